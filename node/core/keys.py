"""Public keys in the forms that documents carry them, and the Signer that services sign with.

Multikey: Controlled Identifiers 1.0 section 2.2.2 (secp256k1 from did:key). JWK: RFC 7517, RFC 8037.
Signatures are raw: 64 bytes for Ed25519 (RFC 8032), `r || s` of the curve's width for ECDSA (IEEE P1363).
RSA comes as a JWK alone and only verifies (RFC 7518 sections 3.3 and 3.5).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Protocol

import coincurve
import nacl.bindings
import nacl.exceptions
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_der_public_key

from node.core import problem
from node.core.bls12381 import check_g2
from node.core.encoding import (
    decode_base64url,
    decode_multibase,
    decode_varint,
    encode_base64url,
    encode_multibase,
    encode_varint,
)
from node.core.errors import Malformed, NotVerified


class KeyKind(StrEnum):
    """The key types that sign here."""

    ED25519 = "Ed25519"
    P256 = "P-256"
    P384 = "P-384"
    P521 = "P-521"
    SECP256K1 = "secp256k1"
    RSA = "RSA"
    BLS12381_G2 = "BLS12-381 G2"


@dataclass(frozen=True, slots=True)
class _Form:
    multicodec: int
    raw_bytes: int  # the public key; compressed point for ECDSA
    coordinate_bytes: int


_FORMS: Final = {
    KeyKind.ED25519: _Form(0xED, 32, 32),
    KeyKind.P256: _Form(0x1200, 33, 32),
    KeyKind.P384: _Form(0x1201, 49, 48),
    KeyKind.P521: _Form(0x1202, 67, 66),
    KeyKind.SECP256K1: _Form(0xE7, 33, 32),
    KeyKind.BLS12381_G2: _Form(0xEB, 96, 96),
}
_BY_MULTICODEC: Final = {form.multicodec: kind for kind, form in _FORMS.items()}
_CURVES: Final[dict[KeyKind, ec.EllipticCurve]] = {
    KeyKind.P256: ec.SECP256R1(),
    KeyKind.P384: ec.SECP384R1(),
    KeyKind.P521: ec.SECP521R1(),
}
_ECDSA_HASHES: Final[dict[KeyKind, hashes.HashAlgorithm]] = {
    KeyKind.P256: hashes.SHA256(),
    KeyKind.P384: hashes.SHA384(),
    KeyKind.P521: hashes.SHA512(),
}
_RSA_MULTICODEC: Final = 0x1205
# RFC 7518 section 3.3 asks for 2,048 bits; a modulus beyond 8,192 only costs the verifier time.
_RSA_BITS: Final = range(2048, 8193)
_RSA_EXPONENTS: Final = range(3, 1 << 33, 2)
# SEC 2 section 2.4.2.
_P256_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
P256_DRAWN_BYTES: Final = 48
"""128 bits more than the order of P-256 has, so that what is left of them is evenly spread (FIPS 186-5 A.2.1)."""
# A public JWK that holds one of these is somebody's leaked private key.
PRIVATE_JWK_MEMBERS: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})


def p256_scalar(drawn: bytes) -> int:
    """The private key that `P256_DRAWN_BYTES` random bytes stand for (FIPS 186-5 appendix A.2.1)."""
    return int.from_bytes(drawn, "big") % (_P256_ORDER - 1) + 1


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A public key that is known to be well-formed.

    `raw` is 32 bytes, a compressed point on the curve (for BLS12-381 in its subgroup), or the DER of an RSAPublicKey
    (RFC 8017 appendix A.1.1).
    """

    kind: KeyKind
    raw: bytes

    def __post_init__(self) -> None:
        if self.kind is KeyKind.RSA:
            _rsa_key(self.raw)
            return
        form = _FORMS[self.kind]
        if len(self.raw) != form.raw_bytes:
            raise Malformed(
                f"a {self.kind} public key has {form.raw_bytes} bytes, got {len(self.raw)}",
                type=problem.INVALID_VERIFICATION_METHOD,
            )
        if self.kind is KeyKind.BLS12381_G2:
            check_g2(self.raw)
        elif self.kind is not KeyKind.ED25519:
            self.uncompressed()  # raises where the point is not on the curve

    @property
    def multicodec_bytes(self) -> bytes:
        """Multicodec prefix and raw key: the value of a Multikey, and what the chain's key slot hashes."""
        code = _RSA_MULTICODEC if self.kind is KeyKind.RSA else _FORMS[self.kind].multicodec
        return encode_varint(code) + self.raw

    @property
    def multibase(self) -> str:
        """`publicKeyMultibase`: `z` and the base58btc of `multicodec_bytes`."""
        return encode_multibase(self.multicodec_bytes)

    def to_jwk(self) -> dict[str, str]:
        """The key as a public JWK; Malformed for BLS12-381, whose JWK no standard has settled."""
        if self.kind is KeyKind.ED25519:
            return {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(self.raw)}
        if self.kind is KeyKind.RSA:
            numbers = _rsa_key(self.raw).public_numbers()
            return {"kty": "RSA", "n": _unsigned(numbers.n), "e": _unsigned(numbers.e)}
        if self.kind is KeyKind.BLS12381_G2:
            raise _bad_key("a BLS12-381 key is written as a Multikey")
        point = self.uncompressed()
        width = _FORMS[self.kind].coordinate_bytes
        return {
            "kty": "EC",
            "crv": str(self.kind),
            "x": encode_base64url(point[1 : 1 + width]),
            "y": encode_base64url(point[1 + width :]),
        }

    def verify(self, signature: bytes, message: bytes) -> None:
        """Raise NotVerified unless `signature` is this key's over `message` (ECDSA hashes it by its curve).

        Ed25519 by libsodium's rules: canonical S, no small-order points. RSA with PKCS #1 v1.5 and SHA-256.
        BLS12-381 keys sign lists of messages (`node.core.bbs`), never one.
        """
        try:
            if self.kind is KeyKind.ED25519:
                self._verify_ed25519(signature, message)
            elif self.kind is KeyKind.SECP256K1:
                self._verify_secp256k1(signature, message)
            elif self.kind is KeyKind.RSA:
                _rsa_key(self.raw).verify(signature, message, padding.PKCS1v15(), hashes.SHA256())
            elif self.kind is KeyKind.BLS12381_G2:
                raise ValueError("BBS signatures are over several messages")
            else:
                self._verify_nist(signature, message)
        except (nacl.exceptions.BadSignatureError, InvalidSignature, ValueError) as error:
            raise NotVerified(
                "the signature does not match the document and the key",
                type=problem.PROOF_VERIFICATION_ERROR,
            ) from error

    def verify_pss(self, signature: bytes, message: bytes) -> None:
        """As `verify`, for an RSA key and RSASSA-PSS with SHA-256 and a salt of 32 bytes (RFC 7518 section 3.5)."""
        try:
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)
            _rsa_key(self.raw).verify(signature, message, pss, hashes.SHA256())
        except InvalidSignature as error:
            raise NotVerified(
                "the signature does not match the document and the key",
                type=problem.PROOF_VERIFICATION_ERROR,
            ) from error

    def _verify_ed25519(self, signature: bytes, message: bytes) -> None:
        if len(signature) != 64:
            raise ValueError("an Ed25519 signature has 64 bytes")
        nacl.bindings.crypto_sign_open(signature + message, self.raw)

    def _verify_secp256k1(self, signature: bytes, message: bytes) -> None:
        # coincurve accepts low s only; both are signatures of the same message (RFC 8812 sets no rule).
        r, s = self._split(signature)
        order = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
        if not 0 < r < order or not 0 < s < order:
            raise ValueError("r or s out of range")
        der = encode_dss_signature(r, min(s, order - s))
        if not coincurve.PublicKey(self.raw).verify(der, message):
            raise InvalidSignature

    def _verify_nist(self, signature: bytes, message: bytes) -> None:
        der = encode_dss_signature(*self._split(signature))
        _nist_key(self.kind, self.raw).verify(der, message, ec.ECDSA(_ECDSA_HASHES[self.kind]))

    def _split(self, signature: bytes) -> tuple[int, int]:
        width = _FORMS[self.kind].coordinate_bytes
        if len(signature) != 2 * width:
            raise ValueError(f"a {self.kind} signature has {2 * width} bytes")
        return int.from_bytes(signature[:width], "big"), int.from_bytes(signature[width:], "big")

    def uncompressed(self) -> bytes:
        """The point as 0x04, x and y; only for the ECDSA kinds."""
        if self.raw[0] not in (2, 3):
            raise _bad_key(f"a {self.kind} public key must be a compressed point")
        try:
            if self.kind is KeyKind.SECP256K1:
                return coincurve.PublicKey(self.raw).format(compressed=False)
            numbers = _nist_key(self.kind, self.raw).public_numbers()
        except ValueError as error:
            raise _bad_key(f"not a point on {self.kind}") from error
        width = _FORMS[self.kind].coordinate_bytes
        return b"\x04" + numbers.x.to_bytes(width, "big") + numbers.y.to_bytes(width, "big")


# One issuer's key signs thousands of credentials: its point is decompressed and its numbers are checked once.
@lru_cache(maxsize=256)
def _nist_key(kind: KeyKind, raw: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[kind], raw)


@lru_cache(maxsize=64)
def _rsa_key(der: bytes) -> rsa.RSAPublicKey:
    try:
        key = load_der_public_key(der)
    except ValueError as error:
        raise _bad_key("not an RSA public key") from error
    if not isinstance(key, rsa.RSAPublicKey) or key.public_bytes(Encoding.DER, PublicFormat.PKCS1) != der:
        raise _bad_key("not the DER of an RSAPublicKey")
    if key.key_size not in _RSA_BITS:
        raise _bad_key("an RSA key has 2,048 to 8,192 bits")
    if key.public_numbers().e not in _RSA_EXPONENTS:
        raise _bad_key("an RSA exponent is an odd number from 3 to 33 bits")
    return key


def parse_multicodec_key(data: bytes) -> PublicKey:
    """The public key that multicodec prefix and raw bytes spell; other codecs are Malformed."""
    code, length = decode_varint(data)
    kind = _BY_MULTICODEC.get(code)
    if kind is None:
        raise _bad_key(f"no public key type of ours has multicodec 0x{code:x}")
    return PublicKey(kind, data[length:])


def parse_multikey(text: str) -> PublicKey:
    """The public key of a `publicKeyMultibase` text (`z`, base58btc)."""
    return parse_multicodec_key(decode_multibase(text, "z"))


def parse_jwk(jwk: dict[str, Any]) -> PublicKey:
    """The public key of a JWK; one with private members, or of another type, is Malformed."""
    if PRIVATE_JWK_MEMBERS & jwk.keys():
        raise _bad_key("a JWK with private members has no place in public")
    if not _is_for_signatures(jwk):
        raise _bad_key("a JWK that is not for signatures, or for others than are verified here")
    try:
        if (jwk.get("kty"), jwk.get("crv")) == ("OKP", "Ed25519"):
            return PublicKey(KeyKind.ED25519, decode_base64url(_text(jwk, "x")))
        if jwk.get("kty") == "EC" and jwk.get("crv") in ("P-256", "P-384", "P-521", "secp256k1"):
            return _point(KeyKind(jwk["crv"]), jwk)
        if jwk.get("kty") == "RSA":
            return _rsa_of(_number(jwk, "n"), _number(jwk, "e"))
    except Malformed as error:
        raise _bad_key(f"a JWK that holds no key: {error.detail}") from error
    raise _bad_key("a JWK of a type that does not sign here")


def _is_for_signatures(jwk: dict[str, Any]) -> bool:
    """What the JWK says that it is for (RFC 7517 sections 4.2 to 4.4); a key of RSA may be for another padding."""
    operations = jwk.get("key_ops", ["verify"])
    return (
        jwk.get("use", "sig") == "sig"
        and isinstance(operations, list)
        and ("verify" in operations or "sign" in operations)
        and (jwk.get("kty") != "RSA" or jwk.get("alg", "RS256") in ("RS256", "PS256"))
    )


def _point(kind: KeyKind, jwk: dict[str, Any]) -> PublicKey:
    x, y = decode_base64url(_text(jwk, "x")), decode_base64url(_text(jwk, "y"))
    key = PublicKey(kind, bytes([2 + (y[-1] & 1 if y else 0)]) + x)
    if key.uncompressed() != b"\x04" + x + y:
        raise Malformed(f"not a point on {kind}")
    return key


def _rsa_of(modulus: int, exponent: int) -> PublicKey:
    if modulus.bit_length() not in _RSA_BITS or exponent not in _RSA_EXPONENTS:
        raise Malformed("an RSA key has 2,048 to 8,192 bits and a small odd exponent")
    try:
        key = rsa.RSAPublicNumbers(exponent, modulus).public_key()
    except ValueError as error:
        raise Malformed("not an RSA public key") from error
    return PublicKey(KeyKind.RSA, key.public_bytes(Encoding.DER, PublicFormat.PKCS1))


def _number(jwk: dict[str, Any], member: str) -> int:
    """A Base64urlUInt (RFC 7518 section 2): no leading zero byte."""
    data = decode_base64url(_text(jwk, member))
    if not data or data[0] == 0:
        raise Malformed(f"{member} has leading zeros")
    return int.from_bytes(data, "big")


def _unsigned(number: int) -> str:
    return encode_base64url(number.to_bytes((number.bit_length() + 7) // 8, "big"))


def _text(jwk: dict[str, Any], member: str) -> str:
    value = jwk.get(member)
    if not isinstance(value, str):
        raise Malformed(f"{member} is missing")
    return value


def _bad_key(detail: str) -> Malformed:
    return Malformed(detail, type=problem.INVALID_VERIFICATION_METHOD)


class Signer(Protocol):
    """Whatever holds a private key: a file, a hardware module, a test. Core never calls one; services do."""

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        ...

    def sign(self, message: bytes) -> bytes:
        """The raw signature over `message`, in the form that `PublicKey.verify` reads."""
        ...
