"""Tokens and derived proofs that anybody may make: every one is judged, none that was changed is accepted."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

from fixtures.sd_jwt import ACHIEVEMENT, CRITERIA, badge_sd_jwt, bound, claims_sd_jwt, showing
from fixtures.selective import BbsKey, P256Key, deriving, with_key
from fixtures.verification import (
    CHALLENGE,
    DOMAIN,
    KEY_SCHOOL,
    LEARNER,
    NOW,
    Json,
    Story,
    as_jwt,
    badge,
    of_key_school,
    public,
    signed_token,
    without_status,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.core.cose import prepare_cose
from node.core.envelope import enveloped, read_envelope
from node.core.errors import Malformed
from node.core.jose.vc_jwt import prepare_vp_jwt
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import Acceptance, CheckName, Report
from node.core.verify.wording import verdict_of

SETTINGS = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
SD_SCHOOL = with_key(P256Key("school"), "ecdsa-sd-2023", mandatory=("/issuer", "/validFrom", "/validUntil"))
BBS_SCHOOL = with_key(BbsKey("school"), "bbs-2023", mandatory=("/issuer", "/validFrom", "/validUntil"))
NAME = "/credentialSubject/achievement/name"


def bare() -> Json:
    document = badge(KEY_SCHOOL.did)
    without_status(document)
    del document["evidence"]
    return document


def cose() -> bytes:
    prepared = prepare_cose(bare(), "application/vc", public(KEY_SCHOOL.key), KEY_SCHOOL.method)
    return prepared.finish(KEY_SCHOOL.key.sign(prepared.message).signature)


def vp_of(token: str | bytes) -> str:
    envelope = read_envelope(token)
    assert envelope is not None
    presentation = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": LEARNER.did,
        "verifiableCredential": [enveloped(envelope)],
    }
    prepared = prepare_vp_jwt(
        presentation, public(LEARNER.key), LEARNER.method, audience=DOMAIN, nonce=CHALLENGE
    )
    return prepared.finish(LEARNER.key.sign(prepared.message).signature)


def judge(data: bytes) -> Report:
    """Whatever it is, a whole report."""
    story = of_key_school(policy=ANY_ISSUER_UNSAFE)
    verifier = story.verifier()
    try:
        intake = read_intake(data)
    except Malformed as error:
        return engine.unreadable(error, verifier, now=NOW)
    report = engine.verify(intake, Materials.none(), verifier, now=NOW, asked=story.asked_of(intake))
    assert [check.name for check in report.checks] == list(CheckName)
    json.dumps(report.to_json())
    assert verdict_of(report).headline
    return report


# What may be withheld is deeper down: at the top level it could be a status entry.
BADGE_SD = badge_sd_jwt(ACHIEVEMENT, CRITERIA)(KEY_SCHOOL, bare())
TOKENS: dict[str, bytes] = {
    "vc+jwt": as_jwt(KEY_SCHOOL, bare()).encode(),
    "vc+sd-jwt": BADGE_SD.encode(),
    "vc+sd-jwt with a key binding": bound(ACHIEVEMENT)(BADGE_SD).encode(),
    "dc+sd-jwt": claims_sd_jwt()(KEY_SCHOOL, {}).encode(),
    "vc+cose": cose(),
    "vp+jwt": vp_of(as_jwt(KEY_SCHOOL, bare())).encode(),
    "vp+jwt around vc+cose": vp_of(cose()).encode(),
}


def test_every_token_is_accepted_as_it_is() -> None:
    for name, token in TOKENS.items():
        assert judge(token).acceptance is Acceptance.ACCEPTED, name


@SETTINGS
@given(st.sampled_from(sorted(TOKENS)), st.data())
def test_a_token_of_which_any_byte_was_changed_is_not_accepted(name: str, data: st.DataObject) -> None:
    token = bytearray(TOKENS[name])
    place = data.draw(st.integers(0, len(token) - 1))
    letters = b"AZaz09-_.~ \x00\xff{" if name != "vc+cose" else bytes(range(256))
    new = data.draw(st.sampled_from(sorted(set(letters) - {token[place]})))
    token[place] = new
    assert judge(bytes(token)).acceptance is not Acceptance.ACCEPTED


@SETTINGS
@given(st.sampled_from(sorted(TOKENS)), st.integers(0, 5_000), st.binary(max_size=3))
def test_a_token_that_is_cut_or_lengthened_is_judged(name: str, end: int, more: bytes) -> None:
    judge(TOKENS[name][:end] + more)


def test_disclosures_of_another_token_are_not_taken() -> None:
    other = badge_sd_jwt(("name",))(KEY_SCHOOL, {**bare(), "name": "Another"})
    mixed = showing()(BADGE_SD) + other.split("~", 1)[1]
    assert judge(mixed.encode()).acceptance is Acceptance.REFUSED


# What an issuer may sign -------------------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from(
        [
            *("", "did:", "did:key:z6Mk", "#", "https://x.example/a", "urn:x:1", "data:,x", "a b", "\u0663"),
            *(KEY_SCHOOL.did, KEY_SCHOOL.method, LEARNER.did, "none", "HS256", "RS256", "ES384", "JWT"),
            *("dc+sd-jwt", "vc+cose", "vp+jwt", "statuslist+jwt", "VerifiablePresentation", "ClrCredential"),
        ]
    ),
    st.none(),
    st.booleans(),
    st.sampled_from([0, -1, 1, 2**53 - 1, 0.5, 1e300]),
)
VALUES = st.recursive(
    WORDS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["id", "type", "_sd", "...", "jwk", "kid", "status_list", "idx", "uri", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=4,
)
HEADERS = st.sampled_from(["alg", "typ", "kid", "jwk", "cty", "crit", "b64", "x5c"])
CLAIMS = st.sampled_from(
    [
        *("iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cnf", "status", "nonce", "vct", "vc", "vp"),
        *("_sd", "_sd_alg", "id", "type", "@context", "issuer", "credentialSubject", "credentialStatus"),
        *("validFrom", "validUntil", "proof", "verifiableCredential", "evidence", "credentialSchema"),
    ]
)


@SETTINGS
@given(
    st.sampled_from(["vc+jwt", "vc+sd-jwt", "dc+sd-jwt", "vp+jwt", "JWT"]),
    st.dictionaries(HEADERS, VALUES, max_size=1),
    st.dictionaries(CLAIMS, VALUES, max_size=2),
    st.booleans(),
)
def test_whatever_an_issuer_signs_is_judged(typ: str, header: Json, changes: Json, under_vc: bool) -> None:
    payload: Json = {"iss": KEY_SCHOOL.did, "vct": "urn:x:1"} if typ == "dc+sd-jwt" else bare()
    payload = {**payload, **changes}
    if typ == "JWT" and under_vc:
        payload = {"vc": payload, **changes}
    head = {"alg": "EdDSA", "typ": typ, "kid": KEY_SCHOOL.method, **header}
    try:
        token = signed_token(head, payload, KEY_SCHOOL)
    except Malformed:
        return
    judge((token + "~" * ("sd-jwt" in typ)).encode())


# Derived proofs ----------------------------------------------------------------------------------------------


def derived(issuer: Any, **options: Any) -> Json:
    document = badge(issuer.did)
    without_status(document)
    del document["evidence"]
    shown: Json = Story(issuer=issuer, disclose=deriving(NAME, **options)).disclose(issuer.sign(document))  # type: ignore[misc]
    return shown


DERIVED = {"ecdsa-sd-2023": derived(SD_SCHOOL), "bbs-2023": derived(BBS_SCHOOL, entropy=b"\x07" * 32)}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in items:
        yield (*path, name)
        yield from places(one, (*path, name))


@SETTINGS
@given(st.sampled_from(sorted(DERIVED)), st.data())
def test_a_derived_credential_of_which_any_member_was_changed_is_not_better_for_it(
    suite: str, data: st.DataObject
) -> None:
    document = copy.deepcopy(DERIVED[suite])
    *way, last = data.draw(st.sampled_from(sorted(places(document), key=str)))
    value: Any = document
    for step in way:
        value = value[step]
    if data.draw(st.booleans()):
        del value[last]
    else:
        value[last] = data.draw(VALUES)
    report = judge(json.dumps(document).encode())
    assert report.acceptance is not Acceptance.ACCEPTED
