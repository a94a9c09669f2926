"""Compact JWE under ECDH-ES (RFC 7516, RFC 7518 sections 4.6 and 5.3)."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from joserfc import jwe as other
from joserfc.jwk import ECKey, OKPKey

from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed
from node.core.jose import jwe
from node.core.jose.jwe import CONTENT_ENCRYPTIONS, DecryptionKey, encrypt, parse_recipient_jwk

KEY = DecryptionKey(bytes(range(48)), "k1")
OTHER_KEY = DecryptionKey(bytes(range(1, 49)), "k1")
SECRET, IV = bytes(range(100, 148)), bytes(range(12))
MESSAGE = b'{"vp_token":{}}'
JWK = KEY.to_jwk()


def token(enc: str = "A256GCM") -> str:
    return encrypt(MESSAGE, parse_recipient_jwk(JWK), enc, secret=SECRET, iv=IV)


def with_header(text: str, **members: Any) -> str:
    """The token under another header; a member that is None is left out."""
    protected, _, rest = text.partition(".")
    header = json.loads(decode_base64url(protected)) | members
    header = {name: value for name, value in header.items() if value is not None}
    return encode_base64url(json.dumps(header).encode()) + "." + rest


def test_the_key_of_the_example_in_rfc_7518_appendix_c_is_derived() -> None:
    bob = ec.EllipticCurvePublicNumbers(
        int.from_bytes(decode_base64url("weNJy2HscCSM6AEDTDg04biOvhFhyyWvOHQfeF_PxMQ")),
        int.from_bytes(decode_base64url("e8lnCO-AlStT-NJVX-crhB7QRYhiix03illJOVAOyck")),
        ec.SECP256R1(),
    ).public_key()
    alice = ec.derive_private_key(
        int.from_bytes(decode_base64url("0_NxaRPUMQoAJt50Gz8YiTr8gRTwyEaCumd-MToTmIo")), ec.SECP256R1()
    )
    header = {"alg": "ECDH-ES", "enc": "A128GCM", "apu": "QWxpY2U", "apv": "Qm9i"}
    derived = jwe._content_key(alice.exchange(ec.ECDH(), bob), header)
    assert encode_base64url(derived) == "VqqN6vgjbSBcIijNcacQGg"


# OpenID4VP 1.0 section 8.3: an encrypted answer, and the private key that reads it.
EXAMPLE = (
    "eyJhbGciOiJFQ0RILUVTIiwiZW5jIjoiQTEyOEdDTSIsImtpZCI6ImFjIiwiZXBrIjp7Imt0eSI6IkVDIiwieCI6Im5ubVZwbTNWM2pi"
    "aGNhZlFhUkJrU1ZOSGx3Wkh3dC05ck9wSnVmeVlJdWsiLCJ5IjoicjRmakRxd0p5czlxVU9QLV9iM21SNVNaRy0tQ3dPMm1pYzVWU05U"
    "WU45ZyIsImNydiI6IlAtMjU2In19..uAYcHRUSSn2X0WPX.yVzlGSYG4qbg0bq18JcUiDRw56yVnbKR8E7S7YlEtzT00RqE3Pw5oTpUG"
    "3hdLN4taHZ9gC1kwak8JOnJgQ.1wR024_3-qtAlx1oFIUpQQ"
)


def test_the_example_of_openid4vp_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    number = int.from_bytes(decode_base64url("Et-3ce0omz8_TuZ96Df9lp0GAaaDoUnDe6X-CRO7Aww"))
    private = ec.derive_private_key(number, ec.SECP256R1())
    monkeypatch.setattr(jwe, "_p256_private", lambda _secret: private)
    answer = json.loads(DecryptionKey(b"", "ac").decrypt(EXAMPLE))
    assert answer == {"vp_token": {"example_credential_id": ["eyJhb...YMetA"]}}


@pytest.mark.parametrize("enc", CONTENT_ENCRYPTIONS)
def test_what_is_encrypted_is_read_with_the_key_it_was_encrypted_to(enc: str) -> None:
    assert KEY.decrypt(token(enc)) == MESSAGE


@pytest.mark.parametrize("enc", CONTENT_ENCRYPTIONS)
def test_another_implementation_reads_what_is_encrypted_here(enc: str) -> None:
    number = jwe._p256_private(KEY.secret).private_numbers().private_value
    private = ECKey.import_key(JWK | {"d": encode_base64url(number.to_bytes(32))})
    found = other.decrypt_compact(token(enc), private, algorithms=["ECDH-ES", enc])
    assert found.plaintext == MESSAGE
    assert found.headers()["kid"] == "k1"


@pytest.mark.parametrize("enc", CONTENT_ENCRYPTIONS)
def test_what_another_implementation_encrypts_is_read_here(enc: str) -> None:
    public = ECKey.import_key({name: JWK[name] for name in ("kty", "crv", "x", "y")})
    text = other.encrypt_compact(
        {"alg": "ECDH-ES", "enc": enc, "apu": "QWxpY2U", "apv": "Qm9i"},
        MESSAGE,
        public,
        algorithms=["ECDH-ES", enc],
    )
    assert KEY.decrypt(text) == MESSAGE


def test_another_implementation_reads_what_is_encrypted_to_a_key_on_x25519() -> None:
    private = x25519.X25519PrivateKey.from_private_bytes(bytes(range(32)))
    x = encode_base64url(private.public_key().public_bytes_raw())
    jwk = {"kty": "OKP", "crv": "X25519", "x": x, "alg": "ECDH-ES"}
    text = encrypt(MESSAGE, parse_recipient_jwk(jwk), "A128GCM", secret=SECRET, iv=IV)
    key = OKPKey.import_key({**jwk, "d": encode_base64url(bytes(range(32)))})
    assert other.decrypt_compact(text, key, algorithms=["ECDH-ES", "A128GCM"]).plaintext == MESSAGE


@pytest.mark.parametrize(
    "members",
    [
        {"alg": "ECDH-ES+A256KW"},
        {"alg": "dir"},
        {"alg": None},
        {"enc": "A128CBC-HS256"},
        {"enc": "A128GCM"},
        {"enc": None},
        {"epk": None},
        {"epk": {"kty": "EC", "crv": "P-384", "x": JWK["x"], "y": JWK["y"]}},
        {"epk": {"kty": "EC", "crv": "P-256", "x": JWK["x"], "y": JWK["x"]}},
        {"epk": {"kty": "EC", "crv": "P-256", "x": JWK["x"][:-2], "y": JWK["y"]}},
        {"kid": "another"},
        {"zip": "DEF"},
        {"crit": ["exp"]},
        {"apu": 1},
        {"apu": "QQ=="},
        {"apv": "Qm9i"},
        {"cty": "JWT"},
    ],
    ids=lambda members: "-".join(f"{name}={value}"[:24] for name, value in members.items()),
)
def test_a_token_under_another_header_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        KEY.decrypt(with_header(token(), **members))


@pytest.mark.parametrize("part", [2, 3, 4], ids=["iv", "ciphertext", "tag"])
def test_a_changed_token_is_refused(part: int) -> None:
    parts = token().split(".")
    data = bytearray(decode_base64url(parts[part]))
    data[0] ^= 1
    parts[part] = encode_base64url(bytes(data))
    with pytest.raises(Malformed, match="changed"):
        KEY.decrypt(".".join(parts))


@pytest.mark.parametrize("length", [0, 4, 15], ids=str)
def test_a_shortened_tag_is_refused(length: int) -> None:
    parts = token().split(".")
    parts[4] = encode_base64url(decode_base64url(parts[4])[:length])
    with pytest.raises(Malformed, match="tag of 16"):
        KEY.decrypt(".".join(parts))


def test_a_token_for_another_key_is_refused() -> None:
    with pytest.raises(Malformed, match="another key"):
        OTHER_KEY.decrypt(token())


@pytest.mark.parametrize(
    "text", ["", "a.b.c", "....", "e30....", "e30.QQ.QQ.QQ.QQ", "=.." + "..", "a" * 9000 + "...."]
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        KEY.decrypt(text)


@pytest.mark.parametrize(
    "members",
    [
        {"alg": None},
        {"alg": "ECDH-ES+A128KW"},
        {"use": "sig"},
        {"crv": "P-384"},
        {"kty": "OKP"},
        {"kid": 1},
        {"x": None},
        {"y": JWK["x"]},
        {"d": "AQ"},
    ],
    ids=lambda members: "-".join(f"{name}={value}"[:24] for name, value in members.items()),
)
def test_a_key_that_is_not_to_be_encrypted_to_is_refused(members: dict[str, Any]) -> None:
    jwk = {name: value for name, value in (JWK | members).items() if value is not None}
    with pytest.raises(Malformed):
        parse_recipient_jwk(jwk)


def test_a_key_of_small_order_is_refused() -> None:
    jwk = {"kty": "OKP", "crv": "X25519", "x": encode_base64url(bytes(32)), "alg": "ECDH-ES"}
    with pytest.raises(Malformed, match="no secret"):
        encrypt(MESSAGE, parse_recipient_jwk(jwk), "A128GCM", secret=SECRET, iv=IV)


def test_the_randomness_has_its_length() -> None:
    with pytest.raises(ValueError, match="length"):
        encrypt(MESSAGE, parse_recipient_jwk(JWK), "A128GCM", secret=SECRET[:32], iv=IV)


def test_a_private_key_is_not_shown() -> None:
    assert str(KEY.secret) not in repr(KEY)
    assert "d" not in JWK
