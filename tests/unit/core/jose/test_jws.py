"""Compact JWS: the published example of RFC 8037, and what RFC 8725 refuses."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.jose.jws import ALGORITHMS, algorithm_of, parse_jws, prepare_jws, require_type, verify_jws
from node.core.keys import KeyKind, parse_jwk
from node.keystore import generate_secret, signer_of

# RFC 8037 appendix A.4
RFC8037_KEY = {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
RFC8037 = (
    "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc."
    "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
)


def forged(token: str, **header: Any) -> str:
    _, payload, signature = token.split(".")
    return ".".join((encode_base64url(json.dumps(header).encode()), payload, signature))


def test_the_example_of_rfc_8037_verifies() -> None:
    jws = parse_jws(RFC8037)
    assert jws.payload == b"Example of Ed25519 signing"
    verify_jws(jws, parse_jwk(RFC8037_KEY), allowed_algorithms={"EdDSA"})


@pytest.mark.parametrize("kind", sorted({*ALGORITHMS.values()} - {KeyKind.RSA}))
def test_what_is_signed_verifies_and_nothing_else(kind: KeyKind) -> None:
    signer = signer_of(kind, generate_secret(kind))
    prepared = prepare_jws({"alg": algorithm_of(kind), "typ": "JWT"}, {"aud": "a"})
    token = prepared.finish(signer.sign(prepared.message))
    jws = parse_jws(token)
    assert jws.claims() == {"aud": "a"}
    verify_jws(jws, signer.public_key, allowed_algorithms={algorithm_of(kind)})
    head, _, signature = token.split(".")
    changed = parse_jws(f"{head}.{encode_base64url(b'{}')}.{signature}")
    with pytest.raises(NotVerified):
        verify_jws(changed, signer.public_key, allowed_algorithms={algorithm_of(kind)})


@pytest.mark.parametrize(
    "header",
    [
        {"alg": "none"},
        {"alg": "HS256"},
        {"alg": ["EdDSA"]},
        {},
        {"alg": "EdDSA", "crit": ["b64"], "b64": False},
        {"alg": "EdDSA", "crit": []},
        {"alg": "EdDSA", "zip": "DEF"},
    ],
)
def test_optional_and_unsafe_headers_are_refused(header: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_jws(forged(RFC8037, **header))


def test_the_header_does_not_choose_the_algorithm() -> None:
    key = parse_jwk(RFC8037_KEY)
    with pytest.raises(NotVerified, match="not accepted"):
        verify_jws(parse_jws(RFC8037), key, allowed_algorithms={"ES256"})
    with pytest.raises(NotVerified, match="but the key is"):
        verify_jws(parse_jws(forged(RFC8037, alg="ES256")), key, allowed_algorithms={"ES256"})


def test_the_type_is_explicit() -> None:
    jws = parse_jws(forged(RFC8037, alg="EdDSA", typ="application/kb+JWT"))
    require_type(jws, "kb+jwt")
    for other in (RFC8037, forged(RFC8037, alg="EdDSA", typ=1)):
        with pytest.raises(NotVerified):
            require_type(parse_jws(other), "kb+jwt")


@pytest.mark.parametrize(
    "token",
    [
        "",
        "a.b",
        RFC8037 + ".x",
        RFC8037 + "=",
        RFC8037.replace("eyJ", "fyJ"),
        RFC8037.rpartition(".")[0] + ".",
    ],
)
def test_other_shapes_are_malformed(token: str) -> None:
    with pytest.raises(Malformed):
        parse_jws(token)


@given(st.text(max_size=60) | st.from_regex(r"[\w-]{0,20}\.[\w-]{0,20}\.[\w-]{0,20}", fullmatch=True))
def test_the_parser_raises_malformed_alone(token: str) -> None:
    with contextlib.suppress(Malformed):
        assert parse_jws(token).signature == decode_base64url(token.rpartition(".")[2])
