"""Credentials and presentations as tokens: the same checks, whatever the signature is wrapped in."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from hashlib import sha256
from typing import Any

import cbor2
import pytest
from fixtures.check_tables import FAILED, PASSED, UNKNOWN, Row, hold, ids
from fixtures.verification import (
    ASKED,
    CHALLENGE,
    CONTEXTS,
    DOMAIN,
    KEY_SCHOOL,
    LEARNER,
    NOW,
    OTHER_LEARNER,
    SCHOOL,
    STRANGER,
    LedgerState,
    Signatory,
    Story,
    agreed,
    as_jwt,
    as_member,
    badge,
    did_document,
    key_word,
    of_key_school,
    public,
    revoked,
    signed_token,
    signing_key,
    without_status,
)

from node.core.baking import bake, default_png, default_svg
from node.core.cose import prepare_cose
from node.core.did.document import DidDocument
from node.core.encoding import decode_base64url, encode_base64url
from node.core.envelope import enveloped, read_envelope
from node.core.errors import Malformed
from node.core.jose.jws import prepare_jws
from node.core.jose.vc_jwt import prepare_vp_jwt
from node.core.verify.holder import Asked
from node.core.verify.intake import intake_of, presented, read_intake
from node.core.verify.materials import Mode
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason

Json = dict[str, Any]
ELSEWHERE = "https://elsewhere.example"
WEB = Signatory("did:web:school.example", "key-1", signing_key("web school"))
HTTPS = Signatory("https://school.example/issuer", "key-1", signing_key("https school"))
STRANGERS_JWK = public(STRANGER.key).to_jwk()


def jwt(**changes: Any) -> Story:
    """A badge as vc+jwt, of a did:key school."""
    return of_key_school(**{"token": as_jwt, **changes})


def anchored(**changes: Any) -> Story:
    """The same of a did:ethr school: with a bundle."""
    return Story(**{"token": as_jwt, **changes})


def claims(**more: Any) -> Callable[[Signatory, Json], str]:
    """Makes a vc+jwt with these claims beside the document."""
    return lambda signatory, document: as_jwt(signatory, {**document, **more})


def header(**changes: Any) -> Callable[[Signatory, Json], str]:
    return partial(as_jwt, **changes)


def changed(token: str) -> str:
    """Another name under the old signature."""
    head, payload, signature = token.split(".")
    document = json.loads(decode_base64url(payload))
    body = prepare_jws({}, {**document, "name": "Data structures with honours"}).message.decode()
    return ".".join((head, body.partition(".")[2], signature))


def by_stranger(_: Signatory, document: Json) -> str:
    return as_jwt(STRANGER, document)


def by_web(**changes: Any) -> Story:
    trust = Story().trust
    assert trust is not None
    listed = type(trust)((type(trust.entries[0])(WEB.did, "The School of the Web"),))
    fields: Json = {
        "issuer": WEB,
        "mode": Mode.FULL,
        "trust": listed,
        "documents": {WEB.did: agreed(did_document(WEB.did, WEB))},
    }
    return jwt(**{**fields, **changes})


def two_keys() -> DidDocument:
    """The document of a school with two keys for its badges."""
    document = did_document(WEB.did, WEB)
    other = replace(document.methods[0], id=WEB.did + "#key-2", public_key=public(STRANGER.key))
    listed = frozenset({WEB.method, other.id})
    return replace(document, methods=(*document.methods, other), relationships={"assertionMethod": listed})


def seconds(**offset: float) -> int:
    return int((NOW + timedelta(**offset)).timestamp())


def vc_1_1(signatory: Signatory, document: Json) -> str:
    """VC-JWT of version 1.1: under `vc`, with claims that stand for members."""
    old = {
        name: value
        for name, value in document.items()
        if name not in ("validFrom", "validUntil", "name", "evidence")
    }
    old["@context"] = ["https://www.w3.org/2018/credentials/v1"]
    old["type"] = ["VerifiableCredential"]
    old["issuer"] = signatory.did
    old["credentialSubject"] = {"id": LEARNER.did}
    payload = {
        "iss": signatory.did,
        "nbf": seconds(days=-3),
        "exp": seconds(days=3),
        "sub": LEARNER.did,
        "jti": old["id"],
        "vc": old,
    }
    return signed_token({"alg": "EdDSA", "typ": "JWT", "kid": signatory.method}, payload, signatory)


CONFORMANCE = [
    Row("a token", jwt, PASSED),
    Row("a token in an object", lambda: jwt(disclose=as_member), PASSED),
    Row("a token of version 1.1", lambda: jwt(token=vc_1_1), PASSED),
    Row("a rule of the data model broken", lambda: jwt(write=lambda d: (without_status(d), d.pop("issuer"))), FAILED, Reason.NOT_CONFORMING),
    Row("a term without meaning", lambda: jwt(token=claims(nonsense=1)), FAILED, Reason.NOT_CONFORMING),
    Row("a status entry that cannot be read", lambda: anchored(write=lambda d: d["credentialStatus"].update(statusListIndex=7)), FAILED, Reason.NOT_CONFORMING),
    Row("another issuer in its claims", lambda: jwt(token=claims(iss=STRANGER.did)), FAILED, Reason.UNREADABLE),
    Row("a member vc", lambda: jwt(token=claims(vc={})), FAILED, Reason.UNREADABLE),
    Row("an extension that must be understood", lambda: jwt(token=header(crit=["exp"])), FAILED, Reason.UNREADABLE),
    Row("an algorithm that signs nothing", lambda: jwt(token=header(alg="none")), FAILED, Reason.UNREADABLE),
    Row("an object that says another kind than the token in it", lambda: jwt(disclose=lambda t: {**as_member(t), "id": as_member(t)["id"].replace("vc+jwt", "vc+sd-jwt")}), FAILED, Reason.NOT_CONFORMING),
]  # fmt: skip

PROOF = [
    Row("a self-certifying key", jwt, PASSED),
    Row("the bundle's key", anchored, PASSED),
    Row("a did:web of a listed issuer", by_web, PASSED),
    Row("version 1.1", lambda: jwt(token=vc_1_1), PASSED),
    Row("no key named, and its issuer has one", lambda: jwt(token=header(kid=None)), PASSED),
    Row("no key named, and its issuer lists the one shown", lambda: by_web(token=header(kid=None, jwk=public(WEB.key).to_jwk())), PASSED),
    Row("a key shown beside the one named", lambda: jwt(token=header(jwk=STRANGERS_JWK)), PASSED),
    Row("its signature lives until its document ends", lambda: jwt(token=claims(exp=seconds(days=-1)), write=lambda d: (without_status(d), d.update(validUntil="2026-05-31T12:00:00Z"))), PASSED),
    Row("addressed to whoever asks (aud), among others", lambda: jwt(token=claims(aud=[ELSEWHERE, DOMAIN]), asked=ASKED), PASSED),
    Row("addressed to somebody else than who asks (aud)", lambda: jwt(token=claims(aud=ELSEWHERE), asked=ASKED), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("addressed to nobody (aud), and asked for", lambda: jwt(token=claims(aud=[]), asked=ASKED), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("addressed to somebody (aud), and changed", lambda: jwt(token=claims(aud=DOMAIN), disclose=changed), FAILED, Reason.CHANGED),
    Row("addressed to somebody (aud), and nothing asked", lambda: jwt(token=claims(aud=DOMAIN)), UNKNOWN, Reason.NOT_ASKED),
    Row("addressed to somebody (aud), and no domain asked", lambda: jwt(token=claims(aud=DOMAIN), asked=Asked(CHALLENGE)), UNKNOWN, Reason.NOT_ASKED),
    Row("addressed to somebody (aud), and its key not known", lambda: anchored(bundled=False, token=claims(aud=DOMAIN)), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("changed under a self-certifying key", lambda: jwt(disclose=changed), FAILED, Reason.CHANGED),
    Row("changed under a key that its slot confirms", lambda: anchored(token=lambda s, d: changed(as_jwt(s, d))), FAILED, Reason.CHANGED),
    Row("a header for another kind of key", lambda: jwt(token=header(alg="ES256")), FAILED, Reason.CHANGED),
    Row("signed by somebody else", lambda: jwt(token=by_stranger), FAILED, Reason.ONLY_THIRD_PARTY_PROOFS),
    Row("signed by somebody else, with the issuer's key named", lambda: jwt(token=lambda _, d: as_jwt(STRANGER, d, kid=KEY_SCHOOL.method)), FAILED, Reason.CHANGED),
    Row("signed by somebody else, who shows his key", lambda: jwt(token=lambda _, d: as_jwt(STRANGER, d, kid=None, jwk=STRANGERS_JWK)), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("the signature has expired", lambda: jwt(token=claims(exp=seconds(seconds=0))), FAILED, Reason.PROOF_EXPIRED),
    Row("the signature is not valid yet", lambda: jwt(token=claims(nbf=seconds(seconds=1))), FAILED, Reason.PROOF_EARLY),
    Row("a method that the DID document has not", lambda: by_web(token=header(kid=WEB.did + "#key-2")), FAILED, Reason.KEY_UNKNOWN),
    Row("no key: offline, no bundle", lambda: anchored(bundled=False), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("no key: did:web of an unlisted issuer", lambda: by_web(trust=None), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("no key: the one shown is not listed", lambda: by_web(token=header(kid=None, jwk=STRANGERS_JWK)), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("no key: none is named, and its issuer has two", lambda: by_web(token=header(kid=None), documents={WEB.did: agreed(two_keys())}), UNKNOWN, Reason.KEY_UNKNOWN),
    Row("no key: at an https address, of an unlisted issuer", lambda: jwt(issuer=HTTPS, mode=Mode.FULL), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("an https address for the key of a DID", lambda: jwt(token=header(kid="https://school.example/keys/1")), FAILED, Reason.ONLY_THIRD_PARTY_PROOFS),
    Row("wrong signature, and no slot confirms the key", lambda: anchored(disclose=changed, checkpoint=None), UNKNOWN, Reason.KEY_NOT_CONFIRMED),
    Row("right signature, and no slot confirms the key", lambda: anchored(checkpoint=None), UNKNOWN, Reason.KEY_NOT_CONFIRMED),
]  # fmt: skip

PURPOSE = [
    Row("assertionMethod", jwt, PASSED),
    Row("the bundle's key, registered for it", anchored, PASSED),
    Row("the bundle's key, registered for another purpose", lambda: anchored(shown=LedgerState(key=key_word(purposes=2))), FAILED, Reason.WRONG_PURPOSE),
    Row("a method of another relationship", lambda: by_web(documents={WEB.did: agreed(did_document(WEB.did, WEB, ["authentication"]))}), FAILED, Reason.WRONG_PURPOSE),
    Row("signed by somebody else", lambda: jwt(token=by_stranger), FAILED, Reason.ONLY_THIRD_PARTY_PROOFS),
    Row("no key", lambda: anchored(bundled=False), UNKNOWN, Reason.KEY_UNKNOWN),
]  # fmt: skip


def cose(signatory: Signatory, document: Json) -> Any:
    """A credential as a COSE_Sign1, in bytes."""
    prepared = prepare_cose(document, "application/vc", public(signatory.key), signatory.method)
    return prepared.finish(signatory.key.sign(prepared.message).signature)


def with_header(token: bytes) -> bytes:
    """The same with something that nobody signed in its open header."""
    protected, _, *rest = cbor2.loads(token).value
    return cbor2.dumps(cbor2.CBORTag(18, [protected, {999: b"x"}, *rest]))


def in_object(token: bytes) -> Json:
    envelope = read_envelope(token)
    assert envelope is not None
    return enveloped(envelope)


ANCHOR = [
    Row("of the issuer-signed token", anchored, PASSED),
    Row("in an object", lambda: anchored(disclose=as_member), PASSED),
    Row("of a COSE_Sign1", lambda: anchored(token=cose, disclose=in_object), PASSED),
    Row("of a COSE_Sign1, with a header added that is not signed", lambda: anchored(token=cose, disclose=lambda one: in_object(with_header(one))), PASSED),
    Row("of another COSE_Sign1", lambda: anchored(token=cose, disclose=lambda _: in_object(cose(SCHOOL, {**badge(SCHOOL.did), "name": "Another"}))), FAILED, Reason.BUNDLE_FALSE),
    Row("of another token", lambda: anchored(disclose=changed), FAILED, Reason.BUNDLE_FALSE),
    Row("of a proof, which it has not", lambda: anchored(spoil=lambda bundle: bundle["anchor"].update(proofValue="z1")), UNKNOWN, Reason.STATE_NOT_PROVEN),
]  # fmt: skip


@pytest.mark.parametrize("row", CONFORMANCE, ids=ids)
def test_conformance(row: Row) -> None:
    hold(CheckName.CONFORMANCE, row)


@pytest.mark.parametrize("row", PROOF, ids=ids)
def test_proof(row: Row) -> None:
    hold(CheckName.PROOF, row)


@pytest.mark.parametrize("row", PURPOSE, ids=ids)
def test_proof_purpose(row: Row) -> None:
    hold(CheckName.PROOF_PURPOSE, row)


@pytest.mark.parametrize("row", ANCHOR, ids=ids)
def test_anchor(row: Row) -> None:
    hold(CheckName.ANCHOR, row)


def test_to_whom_a_token_is_addressed_is_told_where_nothing_was_asked() -> None:
    report = jwt(token=claims(aud=[ELSEWHERE, DOMAIN])).report()
    assert f"addressed to {ELSEWHERE}, {DOMAIN}" in report[CheckName.PROOF].basis
    assert report[CheckName.PROOF_PURPOSE].outcome is Outcome.PASSED
    assert report.acceptance is Acceptance.UNDETERMINED


def test_a_token_whose_document_has_ended_has_expired_and_is_not_forged() -> None:
    report = jwt(
        token=claims(exp=seconds(days=-1)),
        write=lambda d: (without_status(d), d.update(validUntil="2026-05-31T12:00:00Z")),
    ).report()
    assert report[CheckName.VALIDITY_PERIOD].reason is Reason.EXPIRED
    assert report.verified


def test_an_anchored_token_is_accepted_with_its_status_and_refused_once_revoked() -> None:
    assert anchored().report().acceptance is Acceptance.ACCEPTED
    report = anchored(shown=LedgerState(values=revoked())).report()
    assert report[CheckName.STATUS].reason is Reason.REVOKED
    assert report.acceptance is Acceptance.REFUSED


def test_a_key_that_only_the_header_shows_is_never_fetched_for_nor_believed() -> None:
    story = jwt(
        issuer=Signatory("https://school.example/issuer", "k", STRANGER.key),
        token=header(kid=None, jwk=STRANGERS_JWK),
        mode=Mode.FULL,
    )
    assert story.report()[CheckName.PROOF].reason is Reason.KEY_NOT_ASKED
    assert story.needed == []


# Presentations ----------------------------------------------------------------------------------------------


def vp_jwt(signatory: Signatory, presentation: Json, **changes: Any) -> str:
    options: Json = {"audience": DOMAIN, "nonce": CHALLENGE, **changes}
    prepared = prepare_vp_jwt(presentation, public(signatory.key), signatory.method, **options)
    return prepared.finish(signatory.key.sign(prepared.message).signature)


def presents(**changes: Any) -> Story:
    return jwt(**{"holder": LEARNER, "presentation_token": vp_jwt, **changes})


def spoiled(token: str) -> str:
    """The last byte of the signature, changed."""
    signature = bytearray(decode_base64url(token.rpartition(".")[2]))
    signature[-1] ^= 1
    return token.rpartition(".")[0] + "." + encode_base64url(bytes(signature))


def thief(_: Signatory, presentation: Json) -> str:
    return vp_jwt(OTHER_LEARNER, presentation)


HOLDER_BINDING = [
    Row("key, holder and subject are one", presents, PASSED),
    Row("an embedded proof in it", lambda: presents(token=None), PASSED),
    Row("a token in an object with a proof", lambda: presents(presentation_token=None), PASSED),
    Row("no key named, and its holder has one", lambda: presents(presentation_token=lambda s, p: signed_token({"alg": "EdDSA", "typ": "vp+jwt"}, {**p, "nonce": CHALLENGE, "aud": DOMAIN}, s)), PASSED),
    Row("presented by another learner", lambda: presents(holder=OTHER_LEARNER), FAILED, Reason.HOLDER_DIFFERS),
    Row("signed by another than its holder", lambda: presents(presentation_token=thief), FAILED, Reason.HOLDER_DIFFERS),
    Row("changed after it was signed", lambda: presents(presentation_token=lambda s, p: spoiled(vp_jwt(s, p))), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("expired", lambda: presents(presentation_token=partial(vp_jwt, expires=NOW)), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("neither key nor holder named", lambda: presents(presentation={"holder": None}, presentation_token=lambda s, p: signed_token({"alg": "EdDSA", "typ": "vp+jwt"}, p, s)), FAILED, Reason.HOLDER_PROOF_WRONG),
    Row("it does not name its holder", lambda: presents(presentation={"holder": None}), UNKNOWN, Reason.HOLDER_UNRESOLVED),
]  # fmt: skip


def vp_1_1(signatory: Signatory, presentation: Json) -> str:
    """A presentation of version 1.1: under `vp`, with credentials as texts."""
    held = [one["id"].partition(",")[2] for one in presentation["verifiableCredential"]]
    old = {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "type": ["VerifiablePresentation"],
        "verifiableCredential": held,
    }
    payload = {"iss": signatory.did, "aud": DOMAIN, "nonce": CHALLENGE, "vp": old}
    return signed_token({"alg": "EdDSA", "typ": "JWT", "kid": signatory.method}, payload, signatory)


def test_a_presentation_of_version_1_1_holds_credentials_as_texts() -> None:
    report = presents(token=vc_1_1, presentation_token=vp_1_1).report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert len(report.credentials) == 1


def test_a_presentation_of_version_2_0_holds_none() -> None:
    def as_texts(signatory: Signatory, presentation: Json) -> str:
        held = [one["id"].partition(",")[2] for one in presentation["verifiableCredential"]]
        return vp_jwt(signatory, {**presentation, "verifiableCredential": held})

    report = presents(presentation_token=as_texts).report()
    assert report[CheckName.CONFORMANCE].reason is Reason.NOT_CONFORMING


OCCASION = [
    Row("asked and equal", presents, PASSED),
    Row("an answer to another", lambda: presents(presentation_token=partial(vp_jwt, nonce="another", audience="https://other.example")), FAILED, Reason.FOR_SOMEBODY_ELSE),
    Row("an answer to nobody", lambda: presents(presentation_token=partial(vp_jwt, nonce=None, audience=None)), FAILED, Reason.FOR_SOMEBODY_ELSE),
]  # fmt: skip


@pytest.mark.parametrize("row", HOLDER_BINDING, ids=ids)
def test_holder_binding(row: Row) -> None:
    hold(CheckName.HOLDER_BINDING, row)


@pytest.mark.parametrize("row", OCCASION, ids=ids)
@pytest.mark.parametrize("check", [CheckName.CHALLENGE, CheckName.DOMAIN])
def test_nonce_and_audience_are_challenge_and_domain(check: CheckName, row: Row) -> None:
    hold(check, row)


def test_a_presented_token_is_accepted_with_its_bundle() -> None:
    report = anchored(holder=LEARNER, presentation_token=vp_jwt).report()
    assert report.acceptance is Acceptance.ACCEPTED
    assert report.notes == ()


def test_a_presentation_in_an_object_is_read_as_the_token_that_it_is() -> None:
    token = vp_jwt(
        LEARNER, {"@context": CONTEXTS[:1], "type": ["VerifiablePresentation"], "holder": LEARNER.did}
    )
    assert presented(as_member(token), ()).presentation == presented(token, ()).presentation


def test_a_token_in_a_json_string_is_read() -> None:
    token = jwt().credential()
    for written in (json.dumps(token), f" {token}\n"):
        (shown,) = read_intake(written.encode()).credentials
        assert shown.envelope is not None
        assert shown.envelope.token == token


@pytest.mark.parametrize("image", [default_svg("A badge"), default_png()], ids=["SVG", "PNG"])
def test_a_token_in_an_image_is_judged_with_the_bundle_beside_it(image: bytes) -> None:
    story = anchored()
    token = story.credential()
    bundle = story.bundle(token).without_credential(sha256(token.encode()).digest())
    baked = bake(image, token, json.dumps(bundle.to_json()))
    report = story.judge(baked)
    assert report.acceptance is Acceptance.ACCEPTED
    assert report.notes == ()


@pytest.mark.parametrize("value", ["", "a text", 7, ["eyJ9.e30.AA"], None], ids=str)
def test_what_is_neither_object_nor_token_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        intake_of(value)


def test_a_presentation_that_holds_no_token_where_a_text_stands_is_malformed() -> None:
    with pytest.raises(Malformed) as caught:
        presented({"type": "VerifiablePresentation", "verifiableCredential": ["not a token"]}, ())
    assert caught.value.problem.path == ("verifiableCredential", 0)
