"""RSA and P-521 keys: the forms in which they come, and what is refused (the other kinds: did:key, keystore)."""

from __future__ import annotations

from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey, parse_jwk, parse_multicodec_key, parse_multikey

SECRET = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


def number(value: int) -> str:
    return encode_base64url(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def jwk_of(secret: rsa.RSAPrivateKey, **changed: Any) -> dict[str, Any]:
    numbers = secret.public_key().public_numbers()
    return {"kty": "RSA", "n": number(numbers.n), "e": number(numbers.e), **changed}


def test_an_rsa_key_goes_into_a_jwk_and_comes_back() -> None:
    key = parse_jwk(jwk_of(SECRET))
    assert key.kind is KeyKind.RSA
    assert key.to_jwk() == jwk_of(SECRET)
    assert PublicKey(KeyKind.RSA, key.raw) == key


def test_an_rsa_key_verifies_each_padding_as_itself_alone() -> None:
    key = parse_jwk(jwk_of(SECRET))
    pkcs1 = SECRET.sign(b"message", padding.PKCS1v15(), hashes.SHA256())
    pss = SECRET.sign(b"message", PSS, hashes.SHA256())
    key.verify(pkcs1, b"message")
    key.verify_pss(pss, b"message")
    for verify, signature, message in (
        (key.verify, pss, b"message"),
        (key.verify_pss, pkcs1, b"message"),
        (key.verify, pkcs1, b"massage"),
        (key.verify_pss, pss, b"massage"),
    ):
        with pytest.raises(NotVerified):
            verify(signature, message)


def test_pss_with_a_salt_of_another_length_is_refused() -> None:
    short = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=20)
    with pytest.raises(NotVerified):
        parse_jwk(jwk_of(SECRET)).verify_pss(SECRET.sign(b"message", short, hashes.SHA256()), b"message")


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param({"n": number((1 << 1023) + 1)}, id="a modulus of 1,024 bits"),
        pytest.param({"n": number((1 << 8193) + 1)}, id="a modulus beyond 8,192 bits"),
        pytest.param({"e": number(1)}, id="an exponent that signs nothing"),
        pytest.param({"e": number(65536)}, id="an even exponent"),
        pytest.param({"e": number((1 << 64) + 1)}, id="an exponent of 65 bits"),
        pytest.param({"e": encode_base64url(b"\0\1\0\1")}, id="a leading zero"),
        pytest.param({"e": None}, id="no exponent"),
        pytest.param({"d": "AQAB"}, id="a private exponent"),
        pytest.param({"use": "enc"}, id="another use"),
        pytest.param({"key_ops": ["encrypt"]}, id="other operations"),
        pytest.param({"key_ops": "verify"}, id="operations that are a text"),
        pytest.param({"alg": "PS512"}, id="another algorithm"),
    ],
)
def test_an_rsa_jwk_is_refused_with(changed: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_jwk(jwk_of(SECRET, **changed))


def test_a_jwk_may_say_that_it_is_for_signatures() -> None:
    said = {"use": "sig", "key_ops": ["verify"], "alg": "PS256"}
    assert parse_jwk(jwk_of(SECRET, **said)) == parse_jwk(jwk_of(SECRET))


def test_an_rsa_key_has_no_other_form_than_a_jwk() -> None:
    with pytest.raises(Malformed):
        parse_multicodec_key(parse_jwk(jwk_of(SECRET)).multicodec_bytes)


def test_bytes_after_the_der_of_an_rsa_key_are_refused() -> None:
    with pytest.raises(Malformed):
        PublicKey(KeyKind.RSA, parse_jwk(jwk_of(SECRET)).raw + b"\0")


def test_a_coordinate_of_p521_has_66_bytes() -> None:
    jwk = {
        "kty": "EC",
        "crv": "P-521",
        "x": "Ac8mt4TvYd3TOrYtTk_YTQ5QQMpl58OnrU7uRxQEUoOO_6QnRBM0Xan8KQI_0dPKzcKBak0ZSEXcc5SNFUBHYfbP",
        "y": "ADP_cowssurHA7uMHy4IODl247oQjCxZWFX7Gtr3cFmfVIwEyKGegrJh9ooZy5FsvFVbYwAmLKVfGZs7O15RBsO-",
    }
    key = parse_jwk(jwk)
    assert (key.kind, key.to_jwk()) == (KeyKind.P521, jwk)
    assert parse_multicodec_key(key.multicodec_bytes) == key
    shorter = encode_base64url(decode_base64url(jwk["y"])[1:])
    with pytest.raises(Malformed):
        parse_jwk({**jwk, "y": shorter})


# The issuer's key of the published vectors of bbs-2023.
BLS_MULTIKEY = (
    "zUC7DerdEmfZ8f4pFajXgGwJoMkV1ofMTmEG5UoNvnWiPiLuGKNeqgRpLH2TV4Xe5mJ2cXV76gRN7LFQwapF1VFu6x2yrr5ci1mXqC1WNUrn"
    "HnLgvfZfMH7h6xP6qsf9EKRQrPQ"
)


def test_a_bls12_381_key_is_read_and_written_as_a_multikey() -> None:
    key = parse_multikey(BLS_MULTIKEY)
    assert key.kind is KeyKind.BLS12381_G2
    assert len(key.raw) == 96
    assert key.multibase == BLS_MULTIKEY
    assert key.multicodec_bytes[:2] == b"\xeb\x01"


def test_a_bls12_381_key_that_is_no_point_of_its_subgroup_is_refused() -> None:
    raw = parse_multikey(BLS_MULTIKEY).raw
    for changed in (raw[:-1] + bytes([raw[-1] ^ 1]), b"\xc0" + bytes(95), raw[:48]):
        with pytest.raises(Malformed):
            PublicKey(KeyKind.BLS12381_G2, changed)


def test_a_bls12_381_key_verifies_no_single_message_and_has_no_jwk() -> None:
    key = parse_multikey(BLS_MULTIKEY)
    with pytest.raises(NotVerified):
        key.verify(bytes(80), b"message")
    with pytest.raises(Malformed):
        key.to_jwk()
