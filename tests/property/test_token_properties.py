"""Readers of tokens raise Malformed and nothing else, whatever is done to a token; what they take has one spelling."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from node.core.cose import prepare_cose
from node.core.encoding import encode_base64url
from node.core.envelope import open_data_url, read_envelope, read_envelope_json
from node.core.errors import Malformed, NotVerified
from node.core.jose.jws import prepare_jws
from node.core.jose.sd_jwt import parse_sd_jwt, prepare_key_binding, prepare_sd_jwt, process, select
from node.core.keys import KeyKind
from node.keystore import signer_of

SIGNER = signer_of(KeyKind.ED25519, bytes(range(32)))
CREDENTIAL: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "type": ["VerifiableCredential"],
    "issuer": "did:example:a",
    "credentialSubject": {"id": "did:example:b", "name": "Ada", "scores": [1, 2]},
    "cnf": {"jwk": SIGNER.public_key.to_jwk()},
}
PATHS = {("credentialSubject", "name"), ("credentialSubject", "scores", 1)}


def vc_jwt() -> str:
    prepared = prepare_jws({"alg": "EdDSA", "typ": "vc+jwt"}, CREDENTIAL)
    return prepared.finish(SIGNER.sign(prepared.message))


def sd_jwt() -> str:
    header = {"alg": "EdDSA", "typ": "vc+sd-jwt"}
    prepared = prepare_sd_jwt(header, CREDENTIAL, PATHS, salts=[bytes(16), bytes([1]) * 16])
    shown = prepared.finish(SIGNER.sign(prepared.message))
    at = datetime(2026, 1, 1, tzinfo=UTC)
    binding = prepare_key_binding(shown, SIGNER.public_key, audience="v", nonce="n", issued_at=at)
    return shown + binding.finish(SIGNER.sign(binding.message))


def vc_cose() -> bytes:
    document = {name: value for name, value in CREDENTIAL.items() if name != "cnf"}
    prepared = prepare_cose(document, "application/vc", SIGNER.public_key, "did:example:a#1")
    return prepared.finish(SIGNER.sign(prepared.message))


TEXTS = (vc_jwt(), sd_jwt())
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["_sd", "...", "_sd_alg", "vc", "iss", "cnf", "exp", "vct", "type", "a"]), inner
        )
    ),
    max_leaves=8,
)


def read(data: str | bytes) -> None:
    """Read a token as the engine would, as far as it goes."""
    try:
        envelope = read_envelope(data)
        if envelope is not None:
            envelope.verify(SIGNER.public_key)
            if envelope.key_binding is not None:
                envelope.key_binding.verify(SIGNER.public_key)
    except (Malformed, NotVerified):
        pass


@given(st.text() | st.binary() | st.from_regex(r"eyJ[A-Za-z0-9_-]*\.[A-Za-z0-9_.~-]*", fullmatch=True))
def test_anything(data: str | bytes) -> None:
    read(data)


@given(st.sampled_from(TEXTS), st.integers(0), st.text(max_size=3), st.integers(0, 3))
def test_a_token_of_which_something_was_replaced(text: str, place: int, put: str, cut: int) -> None:
    place %= len(text)
    read(text[:place] + put + text[place + cut :])


@given(st.integers(0), st.binary(max_size=3), st.integers(0, 3))
def test_a_cose_token_of_which_something_was_replaced(place: int, put: bytes, cut: int) -> None:
    data = vc_cose()
    place %= len(data)
    read(data[:place] + put + data[place + cut :])


@given(JSON, JSON, st.sampled_from(["vc+jwt", "vp+jwt", "vc+sd-jwt", "dc+sd-jwt", "JWT"]), st.booleans())
def test_a_payload_of_any_json(payload: Any, more: Any, typ: str, tilde: bool) -> None:
    parts = ({"alg": "EdDSA", "typ": typ, "kid": more, "jwk": more}, payload)
    try:
        texts = [encode_base64url(json.dumps(part).encode()) for part in parts]
    except ValueError:
        return
    read(".".join((*texts, "AAAA")) + ("~" if tilde else ""))
    disclosure = encode_base64url(json.dumps(more).encode())
    read(".".join((*texts, "AAAA")) + f"~{disclosure}~")


@given(JSON)
def test_a_token_in_json(value: Any) -> None:
    parts = vc_jwt().split(".")
    members = dict(zip(("protected", "payload", "signature"), parts, strict=True))
    for given_value in (value, members | {"header": value}, members | {"signatures": value}):
        if isinstance(given_value, dict):
            try:
                read_envelope_json(given_value)
            except Malformed:
                continue


@given(st.text(max_size=40))
def test_a_data_url(text: str) -> None:
    for start in ("", "data:application/vc+jwt,", "data:application/vc+cose;base64,"):
        try:
            open_data_url(start + text)
        except Malformed:
            continue


@given(st.sets(st.sampled_from(sorted(PATHS, key=repr))))
def test_a_selection_shows_what_was_selected_and_nothing_else(paths: set[Any]) -> None:
    whole = sd_jwt().rpartition("~")[0] + "~"
    shown = process(parse_sd_jwt(select(whole, paths)))
    assert {one.disclosure for one in shown.disclosed} == {
        one.disclosure for one in process(parse_sd_jwt(whole)).disclosed if one.path in paths
    }
    assert len(shown.undisclosed) == len(PATHS) - len(paths)
