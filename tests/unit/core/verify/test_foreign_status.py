"""CHECKS.md 9, lists behind a URL: as tokens, of the IETF and of 1EdTech. Who said it, for whom, and when."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from fixtures.check_tables import FAILED, PASSED, UNKNOWN, Row, hold, ids
from fixtures.selective import P256Key, deriving, with_key
from fixtures.verification import (
    CONTEXTS,
    KEY_SCHOOL,
    LIST_URL,
    NOW,
    STRANGER,
    Signatory,
    Story,
    as_jwt,
    entry,
    of_key_school,
    signed_token,
    status_list,
)

from node.core.cbor import encode_cbor
from node.core.encoding import encode_base64url
from node.core.jose.sd_jwt import prepare_sd_jwt, select
from node.core.status.bitstring import Bitstring
from node.core.status.status_list import build_list_credential
from node.core.verify.materials import Mode, StatusListAnswer, StatusListNeed
from node.core.verify.report import CheckName, Reason
from node.core.verify.trust import TrustEntry, TrustList

Json = dict[str, Any]
INDEX = 94_567


def listed(content: Any, **changes: Any) -> Story:
    """The story of a list behind a URL, of an issuer without a chain."""
    fields: Json = {"write": lambda _: None, "mode": Mode.FULL, "lists": {LIST_URL: content}}
    return of_key_school(**{**fields, **changes})


# A list credential that is a token --------------------------------------------------------------------------


def list_jwt(signatory: Signatory = KEY_SCHOOL, bits: tuple[int, ...] = (), **changes: Any) -> str:
    document = {n: v for n, v in status_list(signatory, bits).items() if n != "proof"}
    return as_jwt(signatory, {**document, **changes})


AS_TOKEN = [
    Row("not revoked", lambda: listed(list_jwt()), PASSED),
    Row("revoked", lambda: listed(list_jwt(bits=(INDEX,))), FAILED, Reason.REVOKED),
    Row("made by another", lambda: listed(list_jwt(STRANGER)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("in the issuer's name, signed by another", lambda: listed(as_jwt(STRANGER, {n: v for n, v in status_list(KEY_SCHOOL).items() if n != "proof"})), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("its end is past", lambda: listed(list_jwt(validUntil="2026-05-20T00:00:00Z")), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("its signature's end is past", lambda: listed(list_jwt(exp=int(NOW.timestamp()))), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a token that is cut", lambda: listed(list_jwt()[:-8]), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("no token", lambda: listed("a text"), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize("row", AS_TOKEN, ids=ids)
def test_a_list_credential_that_is_a_token(row: Row) -> None:
    hold(CheckName.STATUS, row)


# Copies at a mirror --------------------------------------------------------------------------------------------


def as_copies(answers: Json) -> None:
    for need, answer in answers.items():
        if isinstance(answer, StatusListAnswer):
            answers[need] = replace(answer, is_copy=True)


def copied(content: Any, **changes: Any) -> Story:
    """As `listed`, where somebody else than the host of its URL has the list."""
    return listed(content, mode=Mode.MIRROR, answers=as_copies, **changes)


END = "2026-07-01T00:00:00Z"


def list_without(*names: str, signatory: Signatory = KEY_SCHOOL, bits: tuple[int, ...] = ()) -> Json:
    document = {**status_list(signatory, bits), "validUntil": END}
    return signatory.sign({n: v for n, v in document.items() if n not in ("proof", *names)})


LATER = int(NOW.timestamp()) + 60
COPIES = [
    Row("signed, with an end", lambda: copied(list_without()), PASSED),
    Row("as a token", lambda: copied(list_jwt(validUntil=END)), PASSED),
    Row("a Token Status List", lambda: copied(status_token(1, 1, 1, 0, exp=LATER), token=referring), PASSED),
    Row("revoked", lambda: copied(list_without(bits=(INDEX,))), FAILED, Reason.REVOKED),
    Row("signed by another", lambda: copied(list_without(signatory=STRANGER)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("not signed", lambda: copied({n: v for n, v in list_without().items() if n != "proof"}), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("its end is past", lambda: copied(list_jwt(validUntil="2026-05-20T00:00:00Z")), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("without an end it may be of any age", lambda: copied(list_without("validUntil")), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a Token Status List without an end", lambda: copied(status_token(1, 1, 1, 0), token=referring), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("without an id it may be another list", lambda: copied(list_without("id")), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a list that nobody signs", lambda: copied(revocations("urn:x:other"), write=with_revocations), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("from its own host a list needs no id", lambda: listed(list_without("id")), PASSED),
    Row("nor an end", lambda: listed(list_without("validUntil")), PASSED),
]  # fmt: skip


@pytest.mark.parametrize("row", COPIES, ids=ids)
def test_of_a_copy_only_what_its_issuer_signed_counts(row: Row) -> None:
    hold(CheckName.STATUS, row)


# A list that was signed so that parts of it can be withheld -----------------------------------------------------


def partial_list(*shown: str, whole: bool = False) -> Json:
    """A list of a school on P-256 whose end is past and not mandatory, as somebody passes it on."""
    unsigned = build_list_credential(
        list_url=LIST_URL,
        issuer=ON_P256.did,
        purpose="revocation",
        bits=Bitstring.zeros(),
        valid_from=NOW - timedelta(days=9),
        valid_until=NOW + timedelta(days=1) if whole else NOW - timedelta(days=1),
    )
    return deriving(*shown)(ON_P256.sign(unsigned))


def partial_token(*shown: str) -> str:
    """The same as SD-JWT, without the Disclosures but those that are named."""
    document = {n: v for n, v in status_list(KEY_SCHOOL).items() if n != "proof"}
    document |= {"validUntil": "2026-05-20T00:00:00Z"}
    header = {"alg": "EdDSA", "typ": "vc+sd-jwt", "kid": KEY_SCHOOL.method}
    prepared = prepare_sd_jwt(header, document, [("validUntil",)], salts=[bytes(16)])
    return select(prepared.finish(KEY_SCHOOL.key.sign(prepared.message).signature), [(n,) for n in shown])


def by_p256(content: Json) -> Story:
    trust = TrustList((TrustEntry(ON_P256.did, "School"),))
    disclose = deriving("/credentialSubject", "/name", "/type")
    return listed(content, issuer=ON_P256, disclose=disclose, trust=trust)


ON_P256 = with_key(P256Key("school on P-256"), "ecdsa-sd-2023", mandatory=("/issuer", "/credentialSubject"))
BADGES = with_key(P256Key("school on P-256"), "ecdsa-sd-2023")
IN_PART = [
    Row("its end is past and withheld", lambda: replace(by_p256(partial_list("/type")), issuer=BADGES), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("all of it shown, which nobody can tell", lambda: replace(by_p256(partial_list("", whole=True)), issuer=BADGES), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("its end is past and withheld, as SD-JWT", lambda: listed(partial_token()), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize("row", IN_PART, ids=ids)
def test_an_old_list_whose_end_was_left_out_is_no_list(row: Row) -> None:
    report = hold(CheckName.STATUS, row)
    assert "withheld" in report[CheckName.STATUS].basis


# Several bits -----------------------------------------------------------------------------------------------


def message_list(value: int) -> Json:
    bits = Bitstring.zeros(1 << 18)
    bits.set(INDEX, value, 2)
    unsigned = build_list_credential(
        list_url=LIST_URL,
        issuer=KEY_SCHOOL.did,
        purpose="message",
        bits=bits,
        valid_from=NOW - timedelta(days=1),
    )
    return KEY_SCHOOL.sign(unsigned)


def with_messages(document: Json) -> None:
    messages = [{"status": hex(n), "message": f"stage {n}"} for n in range(4)]
    document["credentialStatus"] = entry("message", statusSize=2, statusMessage=messages)


def test_a_message_of_two_bits_is_told_and_refuses_nothing() -> None:
    report = listed(message_list(2), write=with_messages).report()
    assert report[CheckName.STATUS].basis.startswith("stage 2: ")
    hold(CheckName.STATUS, Row("a message", lambda: report, PASSED))


def test_a_message_is_told_beside_another_status_that_is_well() -> None:
    other = "https://school.example/status/2"

    def with_both(document: Json) -> None:
        with_messages(document)
        document["credentialStatus"] = [entry(url=other), document["credentialStatus"]]

    lists = {LIST_URL: message_list(2), other: status_list(KEY_SCHOOL, url=other)}
    report = listed({}, write=with_both, lists=lists).report()
    hold(CheckName.STATUS, Row("both", lambda: report, PASSED))
    revoked, told = report[CheckName.STATUS].basis.split("; ")
    assert revoked.startswith("revocation 0: ")
    assert told.startswith("stage 2: ")


# Token Status Lists -----------------------------------------------------------------------------------------


def status_token(
    *values: int, signatory: Signatory = KEY_SCHOOL, kid: str | None = None, **changes: Any
) -> str:
    """A Status List Token with one status a byte."""
    packed = zlib.compress(bytes(values) + bytes(1024))
    claims = {
        "sub": LIST_URL,
        "iat": int(NOW.timestamp()) - 60,
        "status_list": {"bits": 8, "lst": encode_base64url(packed)},
        **changes,
    }
    header = {"alg": "EdDSA", "typ": "statuslist+jwt", "kid": kid or signatory.method}
    return signed_token(header, claims, signatory)


def status_cwt(*values: int, signatory: Signatory = KEY_SCHOOL) -> bytes:
    """The same in CBOR, a COSE_Sign1."""
    lst = zlib.compress(bytes(values) + bytes(1024))
    payload = encode_cbor({2: LIST_URL, 6: int(NOW.timestamp()) - 60, 65533: {"bits": 8, "lst": lst}})
    protected = encode_cbor({1: -8, 4: signatory.method.encode(), 16: "application/statuslist+cwt"})
    signature = signatory.key.sign(encode_cbor(["Signature1", protected, b"", payload])).signature
    return b"\xd2" + encode_cbor([protected, {}, payload, signature])


def referring(signatory: Signatory, document: Json, **more: Any) -> str:
    """A credential as a token, whose status is at place 3."""
    document.pop("credentialStatus", None)
    return as_jwt(signatory, {**document, "status": {"status_list": {"idx": 3, "uri": LIST_URL, **more}}})


def of_token(content: Any, **changes: Any) -> Story:
    return listed(content, **{"token": referring, **changes})


TOKEN_LISTS = [
    Row("valid", lambda: of_token(status_token(1, 1, 1, 0)), PASSED),
    Row("key named in the list's header by its fragment", lambda: of_token(status_token(kid=KEY_SCHOOL.fragment)), PASSED),
    Row("invalid", lambda: of_token(status_token(0, 0, 0, 1)), FAILED, Reason.REVOKED),
    Row("suspended", lambda: of_token(status_token(0, 0, 0, 2)), FAILED, Reason.SUSPENDED),
    Row("valid, in CBOR", lambda: of_token(status_cwt(1, 1, 1, 0)), PASSED),
    Row("invalid, in CBOR", lambda: of_token(status_cwt(0, 0, 0, 1)), FAILED, Reason.REVOKED),
    Row("signed by another, in CBOR", lambda: of_token(status_cwt(signatory=STRANGER)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a place beyond the list", lambda: of_token(status_token(), token=partial(referring, idx=4_000)), FAILED, Reason.STATUS_OUT_OF_RANGE),
    Row("a value of somebody's own", lambda: of_token(status_token(0, 0, 0, 3)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("signed by another", lambda: of_token(status_token(signatory=STRANGER)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("signed by another, with the issuer's key named", lambda: of_token(status_token(signatory=STRANGER, kid=KEY_SCHOOL.method)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("another issuer named", lambda: of_token(status_token(iss=STRANGER.did)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("of another list", lambda: of_token(status_token(sub="https://school.example/status/9")), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("its end is past", lambda: of_token(status_token(exp=int(NOW.timestamp()))), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a list of another kind", lambda: of_token(status_list(KEY_SCHOOL)), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a mechanism that is not known", lambda: listed({}, token=lambda s, d: (d.pop("credentialStatus"), as_jwt(s, {**d, "status": {"other": {}}}))[1]), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
]  # fmt: skip


@pytest.mark.parametrize("row", TOKEN_LISTS, ids=ids)
def test_a_token_status_list(row: Row) -> None:
    hold(CheckName.STATUS, row)


def test_a_status_claim_that_breaks_its_form_does_not_conform() -> None:
    report = of_token(status_token(), token=partial(referring, idx="3")).report()
    assert report[CheckName.CONFORMANCE].reason is Reason.NOT_CONFORMING


def test_the_worse_of_both_kinds_of_status_decides() -> None:
    def both(signatory: Signatory, document: Json) -> str:
        other = "https://school.example/status/9"
        status = {"status_list": {"idx": 3, "uri": other}}
        return as_jwt(signatory, {**document, "status": status})

    story = listed(None, token=both)
    story.lists = {LIST_URL: status_list(KEY_SCHOOL), "https://school.example/status/9": status_token(0, 0, 0, 1, sub="https://school.example/status/9")}  # fmt: skip
    assert story.report()[CheckName.STATUS].reason is Reason.REVOKED


# Revocation lists of 1EdTech --------------------------------------------------------------------------------


def with_revocations(document: Json) -> None:
    document["@context"] = [*CONTEXTS, "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"]
    document["credentialStatus"] = {"id": LIST_URL, "type": "1EdTechRevocationList"}


def revocations(*identifiers: str, issuer: str = KEY_SCHOOL.did) -> Json:
    return {"issuer": issuer, "revokedCredential": [{"id": identifier} for identifier in identifiers]}


BADGE_ID = "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7a11"
REVOCATIONS = [
    Row("not in it", lambda: listed(revocations("urn:x:other"), write=with_revocations), PASSED),
    Row("in it", lambda: listed(revocations(BADGE_ID), write=with_revocations), FAILED, Reason.REVOKED),
    Row("the list of another issuer", lambda: listed(revocations(issuer=STRANGER.did), write=with_revocations), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a file of another kind", lambda: listed({"revokedCredential": 7}, write=with_revocations), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a token", lambda: listed(list_jwt(), write=with_revocations), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("a credential without an id", lambda: listed(revocations(), write=lambda d: (with_revocations(d), d.pop("id"))), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    Row("the issuer is not listed", lambda: listed(revocations(), write=with_revocations, trust=None), UNKNOWN, Reason.NOT_REACHED),
]  # fmt: skip


@pytest.mark.parametrize("row", REVOCATIONS, ids=ids)
def test_a_revocation_list(row: Row) -> None:
    hold(CheckName.STATUS, row)


@pytest.mark.parametrize(
    ("story", "clause"),
    [
        (lambda: listed(list_jwt(bits=(INDEX,))), "Bitstring Status List 1.0 section 3.2"),
        (lambda: of_token(status_token(0, 0, 0, 1)), "Token Status List sections 7.1 and 8.3"),
        (lambda: of_token(status_token(), token=partial(referring, idx=4_000)), "Token Status List sections 7.1 and 8.3"),
        (lambda: listed(revocations(BADGE_ID), write=with_revocations), "Open Badges 3.0 section 9, 1EdTech Revocation List Status Method 1.0"),
    ],
    ids=["a bit", "a token's value", "a place beyond a token's list", "a name in a list"],
)  # fmt: skip
def test_a_refusal_names_the_clause_of_its_kind_of_list(story: Callable[[], Story], clause: str) -> None:
    assert story().report()[CheckName.STATUS].basis.endswith(f" [{clause}]")


def test_no_list_is_asked_for_before_the_signature_of_a_token_is_verified() -> None:
    story = of_token(status_token(), disclose=lambda token: token[:-4] + "AAAA")
    assert story.report()[CheckName.STATUS].reason is Reason.NOT_REACHED
    assert not any(isinstance(need, StatusListNeed) for need in story.needed)
