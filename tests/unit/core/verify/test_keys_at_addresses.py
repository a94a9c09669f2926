"""Tokens of issuers with an https address, whose keys are published there: Open Badges 3.0 section 8.2, SD-JWT VC 5."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from fixtures.check_tables import FAILED, PASSED, UNKNOWN, Row, hold, ids
from fixtures.verification import (
    STRANGER,
    Signatory,
    Story,
    as_jwt,
    of_key_school,
    public,
    signed_token,
    signing_key,
)

from node.core.verify.materials import DocumentNeed, KeySetNeed, Mode
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import CheckName, Outcome, Reason
from node.core.verify.trust import TrustEntry, TrustList

Json = dict[str, Any]
ISSUER = "https://school.example/hall/issuer"
SCHOOL = Signatory(ISSUER, "key-1", signing_key("https school"))
METADATA = "https://school.example/.well-known/jwt-vc-issuer/hall/issuer"
KEY = "https://school.example/keys/1"
KEYS = "https://school.example/keys"
OURS = public(SCHOOL.key).to_jwk()
THEIRS = public(STRANGER.key).to_jwk()
LISTED = TrustList((TrustEntry(ISSUER, "The School of the Web"),))


def token(kid: str | None = KEY, by: Signatory = SCHOOL, **header: Any) -> Callable[[Signatory, Json], str]:
    return lambda _, document: as_jwt(by, {"iss": ISSUER, **document}, kid=kid, **header)


def badge(**changes: Any) -> Story:
    """A badge as a token whose `kid` is the address of its key."""
    fields: Json = {
        "issuer": SCHOOL,
        "token": token(),
        "mode": Mode.FULL,
        "trust": LISTED,
        "key_sets": {KEY: OURS},
    }
    return of_key_school(**{**fields, **changes})


def by_metadata(kid: str | None = None, **changes: Any) -> Story:
    """The same, whose key is found by its issuer's metadata."""
    metadata: Json = {"issuer": ISSUER, "jwks": {"keys": [OURS]}}
    sets = {METADATA: {**metadata, **changes.pop("metadata", {})}, **changes.pop("more", {})}
    made = {name: value for name, value in sets[METADATA].items() if value is not None}
    return badge(**{"token": token(kid), "key_sets": {**sets, METADATA: made}, **changes})


def two(**first: Any) -> Json:
    return {"keys": [{**OURS, **first}, {**THEIRS, "kid": "key-2"}]}


def claims(_: Signatory, __: Json) -> str:
    """An SD-JWT VC, which names its issuer by `iss` alone."""
    head = {"alg": "EdDSA", "typ": "dc+sd-jwt", "kid": "key-1"}
    return signed_token(head, {"iss": ISSUER, "vct": "https://school.example/types/1"}, SCHOOL) + "~"


ROWS = [
    Row("a JWK at the address in kid", badge, PASSED),
    Row("a set with one key", lambda: badge(key_sets={KEY: {"keys": [OURS]}}), PASSED),
    Row("a set with a key of that name", lambda: badge(key_sets={KEY: two(kid=KEY)}), PASSED),
    Row("a set, and the name after the number sign", lambda: badge(token=token(KEYS + "#key-1"), key_sets={KEYS: two(kid="key-1")}), PASSED),
    Row("metadata of the issuer with its one key", by_metadata, PASSED),
    Row("metadata, and kid is a name", lambda: by_metadata("key-1", metadata={"jwks": two(kid="key-1")}), PASSED),
    Row("metadata, and the header shows one of two", lambda: by_metadata(metadata={"jwks": two()}, token=token(None, jwk=OURS)), PASSED),
    Row("metadata that name an address of the same origin", lambda: by_metadata(metadata={"jwks": None, "jwks_uri": KEYS}, more={KEYS: two(kid="key-1")}, token=token("key-1")), PASSED),
    Row("an SD-JWT VC by its issuer's metadata", lambda: by_metadata(token=claims), PASSED),
    Row("any issuer will do", lambda: badge(trust=None, policy=ANY_ISSUER_UNSAFE), PASSED),
    Row("port 443 is the default", lambda: badge(token=token("https://SCHOOL.example:443/keys/1"), key_sets={"https://SCHOOL.example:443/keys/1": OURS}), PASSED),
    Row("signed by another key than that at the address", lambda: badge(token=token(by=STRANGER)), FAILED, Reason.CHANGED),
    Row("offline", lambda: badge(mode=Mode.OFFLINE), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("mode mirror", lambda: badge(mode=Mode.MIRROR), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("an issuer that is not listed", lambda: badge(trust=TrustList((TrustEntry("https://school.example", "Another"),))), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("another host, whatever is there", lambda: badge(token=token("https://keys.example/1"), key_sets={"https://keys.example/1": OURS}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("another port", lambda: badge(token=token("https://school.example:8443/keys/1"), key_sets={"https://school.example:8443/keys/1": OURS}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("a user in the address", lambda: badge(token=token("https://school.example@keys.example/1")), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("without TLS", lambda: badge(token=token("http://school.example/keys/1")), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("an issuer and its key without TLS", lambda: badge(issuer=Signatory("http://school.example", "k", SCHOOL.key), token=partial(as_jwt, kid="http://school.example/keys/1"), trust=None, policy=ANY_ISSUER_UNSAFE, key_sets={"http://school.example/keys/1": OURS}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("nothing is there", lambda: badge(key_sets={}), UNKNOWN, Reason.KEY_UNREACHABLE),
    Row("something else is there", lambda: badge(key_sets={KEY: {"id": KEY}}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("the private key is there", lambda: badge(key_sets={KEY: {**OURS, "d": "AA"}}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("a key to encrypt with is there", lambda: badge(key_sets={KEY: {**OURS, "use": "enc"}}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("a set without a key of that name", lambda: badge(key_sets={KEY: two(kid="key-1")}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("a set with two keys of that name", lambda: badge(key_sets={KEY: {"keys": [{**OURS, "kid": KEY}, {**THEIRS, "kid": KEY}]}}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("a set of too many", lambda: badge(key_sets={KEY: {"keys": [{**OURS, "kid": KEY}] * 101}}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("metadata of another issuer", lambda: by_metadata(metadata={"issuer": "https://school.example"}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("metadata with a choice", lambda: by_metadata(metadata={"jwks": two()}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("metadata that name keys elsewhere", lambda: by_metadata(metadata={"jwks": None, "jwks_uri": "https://keys.example/1"}, more={"https://keys.example/1": OURS}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("metadata with both", lambda: by_metadata(metadata={"jwks_uri": KEYS}), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("metadata, and the header shows a key that is not there", lambda: by_metadata(token=token(None, by=STRANGER, jwk=THEIRS)), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("metadata of an issuer whose address has a query", lambda: badge(issuer=Signatory(ISSUER + "?1", "k", SCHOOL.key), token=partial(as_jwt, kid=None), trust=None, policy=ANY_ISSUER_UNSAFE), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_proof(row: Row) -> None:
    hold(CheckName.PROOF, row)


@pytest.mark.parametrize("kid", ["https://keys.example/1", "https://school.example:8443/keys/1"])
def test_nobody_but_the_issuer_is_asked_for_its_key(kid: str) -> None:
    story = badge(token=token(kid), key_sets={kid: OURS})
    story.report()
    assert story.needed == []


def test_keys_elsewhere_are_not_asked_for_on_the_word_of_the_metadata() -> None:
    elsewhere = "https://keys.example/1"
    story = by_metadata(metadata={"jwks": None, "jwks_uri": elsewhere}, more={elsewhere: OURS})
    story.report()
    assert story.needed == [KeySetNeed(METADATA)]


def test_the_address_of_a_key_counts_for_tokens_alone() -> None:
    """An embedded proof names a verification method, of which a JWK says nothing."""
    story = badge(token=None, options={"verificationMethod": ISSUER + "#key-1"}, key_sets={METADATA: OURS})
    proof = story.report()[CheckName.PROOF]
    assert (proof.outcome, proof.reason) == (Outcome.UNKNOWN, Reason.KEY_UNREACHABLE)
    assert story.needed == [DocumentNeed(ISSUER)]


def test_the_basis_names_the_site() -> None:
    assert f"its issuer's own site, {KEY}" in badge().report()[CheckName.PROOF].basis
