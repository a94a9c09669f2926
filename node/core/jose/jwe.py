"""Encryption to a key of the receiver: compact JWE (RFC 7516) with ECDH-ES in direct agreement (RFC 7518 section 4.6).

The sender draws a key pair for one message, agrees with the receiver's public key on a secret, and derives from it the
key under which AES-GCM encrypts and authenticates (section 5.3). Curves: P-256 and X25519 (RFC 8037 section 3.2) to
encrypt, P-256 to decrypt. Nothing says who encrypted: that is for what is inside.
Pure: the randomness is an argument, drawn by the caller from a CSPRNG and used once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash

from node.core.canonical.jcs import canonicalize
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed
from node.core.keys import P256_DRAWN_BYTES, p256_scalar
from node.core.strict_json import JsonObject, parse_json_object

ECDH_ES: Final = "ECDH-ES"
# `enc`, the one to prefer first, and the length of its key in bytes.
CONTENT_ENCRYPTIONS: Final[Mapping[str, int]] = MappingProxyType({"A256GCM": 32, "A128GCM": 16})
SECRET_BYTES: Final = P256_DRAWN_BYTES
IV_BYTES: Final = 12
_TAG_BYTES: Final = 16
_P256: Final = "P-256"
_X25519: Final = "X25519"
_MAX_HEADER_CHARS: Final = 8 * 1024
# No extension is understood (`crit`), and what is compressed tells of its contents by its length (`zip`).
_REFUSED_HEADERS: Final = ("crit", "zip")


@dataclass(frozen=True, slots=True)
class RecipientKey:
    """Whom to encrypt to: a public key on the curve `crv`, a compressed or bare point, and its `kid`."""

    crv: str
    raw: bytes
    kid: str | None = None


@dataclass(frozen=True, slots=True, repr=False)
class DecryptionKey:
    """A private key on P-256, made of SECRET_BYTES random bytes."""

    secret: bytes
    kid: str

    def to_jwk(self) -> JsonObject:
        """The public half, as what others encrypt to."""
        return {
            **_jwk_of(_p256_private(self.secret).public_key()),
            "alg": ECDH_ES,
            "use": "enc",
            "kid": self.kid,
        }

    def decrypt(self, token: str) -> bytes:
        """What was encrypted to this key; Malformed where the token is none, or is for another, or was changed."""
        parts = token.split(".")
        if len(parts) != 5 or parts[1] or len(parts[0]) > _MAX_HEADER_CHARS:
            raise Malformed("a token under direct key agreement has five parts, and the second is empty")
        header = parse_json_object(decode_base64url(parts[0]))
        iv, ciphertext, tag = (decode_base64url(part) for part in parts[2:])
        if len(iv) != IV_BYTES or len(tag) != _TAG_BYTES:
            raise Malformed(f"AES-GCM has an IV of {IV_BYTES} bytes and a tag of {_TAG_BYTES}")
        self._check_header(header)
        agreed = _p256_private(self.secret).exchange(ec.ECDH(), _p256_point(_member(header, "epk")))
        key = _content_key(agreed, header)
        try:
            return AESGCM(key).decrypt(iv, ciphertext + tag, parts[0].encode("ascii"))
        except InvalidTag:
            raise Malformed("what was encrypted is for another key, or was changed") from None

    def _check_header(self, header: JsonObject) -> None:
        if header.get("alg") != ECDH_ES:
            raise Malformed(f"the key is agreed on by {ECDH_ES}", path=("alg",))
        if header.get("enc") not in CONTENT_ENCRYPTIONS:
            raise Malformed(f"enc is one of {', '.join(CONTENT_ENCRYPTIONS)}", path=("enc",))
        if header.get("kid", self.kid) != self.kid:
            raise Malformed("encrypted to a key that is not this one", path=("kid",))
        for name in _REFUSED_HEADERS:
            if name in header:
                raise Malformed("a header that is not understood here", path=(name,))


def parse_recipient_jwk(jwk: JsonObject) -> RecipientKey:
    """A key to encrypt to; Malformed where it is for something else, or of a kind that is not known here."""
    if jwk.get("alg") != ECDH_ES or jwk.get("use", "enc") != "enc":
        raise Malformed(f"a key to encrypt to has the alg {ECDH_ES}, and no other use")
    if "d" in jwk:
        raise Malformed("a JWK with private members has no place in public", path=("d",))
    kid = jwk.get("kid")
    if not isinstance(kid, str | None):
        raise Malformed("kid is a text", path=("kid",))
    if (jwk.get("kty"), jwk.get("crv")) == ("OKP", _X25519):
        return RecipientKey(_X25519, _coordinate(jwk, "x"), kid)
    point = _p256_point(jwk)
    return RecipientKey(
        _P256, b"\x04" + _coordinate(_jwk_of(point), "x") + _coordinate(_jwk_of(point), "y"), kid
    )


def encrypt(plaintext: bytes, recipient: RecipientKey, enc: str, *, secret: bytes, iv: bytes) -> str:
    """The compact token; `secret` (SECRET_BYTES, for the key pair of this message) and `iv` (IV_BYTES) are random."""
    if len(secret) != SECRET_BYTES or len(iv) != IV_BYTES:
        raise ValueError("the randomness has another length")
    epk, agreed = _agree(recipient, secret)
    header: JsonObject = {"alg": ECDH_ES, "enc": enc, "epk": epk}
    if recipient.kid is not None:
        header["kid"] = recipient.kid
    protected = encode_base64url(canonicalize(header))
    sealed = AESGCM(_content_key(agreed, header)).encrypt(iv, plaintext, protected.encode("ascii"))
    parts = (iv, sealed[:-_TAG_BYTES], sealed[-_TAG_BYTES:])
    return ".".join((protected, "", *map(encode_base64url, parts)))


def _agree(recipient: RecipientKey, secret: bytes) -> tuple[JsonObject, bytes]:
    """The public key of this message, and the secret agreed on with its private half."""
    if recipient.crv == _P256:
        private = _p256_private(secret)
        point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), recipient.raw)
        return _jwk_of(private.public_key()), private.exchange(ec.ECDH(), point)
    own = x25519.X25519PrivateKey.from_private_bytes(secret[:32])
    epk: JsonObject = {
        "kty": "OKP",
        "crv": _X25519,
        "x": encode_base64url(own.public_key().public_bytes_raw()),
    }
    try:
        return epk, own.exchange(x25519.X25519PublicKey.from_public_bytes(recipient.raw))
    except ValueError as error:
        # RFC 8037 section 3.2.1: a point of small order agrees with everybody on zero.
        raise Malformed("no secret can be agreed on with this key") from error


def _content_key(agreed: bytes, header: JsonObject) -> bytes:
    """The Concat KDF of NIST SP 800-56A with the inputs of RFC 7518 section 4.6.2."""
    enc = str(header["enc"])
    length = CONTENT_ENCRYPTIONS[enc]
    party_u, party_v = (decode_base64url(_text(header, name, "")) for name in ("apu", "apv"))
    info = b"".join(len(part).to_bytes(4) + part for part in (enc.encode("ascii"), party_u, party_v))
    return ConcatKDFHash(hashes.SHA256(), length, info + (8 * length).to_bytes(4)).derive(agreed)


def _p256_private(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(p256_scalar(secret), ec.SECP256R1())


def _p256_point(jwk: JsonObject) -> ec.EllipticCurvePublicKey:
    if (jwk.get("kty"), jwk.get("crv")) != ("EC", _P256):
        raise Malformed(f"a key on another curve than {_P256}", path=("crv",))
    numbers = ec.EllipticCurvePublicNumbers(
        int.from_bytes(_coordinate(jwk, "x")), int.from_bytes(_coordinate(jwk, "y")), ec.SECP256R1()
    )
    try:
        return numbers.public_key()
    except ValueError as error:
        raise Malformed(f"not a point on {_P256}") from error


def _jwk_of(key: ec.EllipticCurvePublicKey) -> JsonObject:
    numbers = key.public_numbers()
    x, y = (encode_base64url(number.to_bytes(32)) for number in (numbers.x, numbers.y))
    return {"kty": "EC", "crv": _P256, "x": x, "y": y}


def _coordinate(jwk: JsonObject, name: str) -> bytes:
    value = decode_base64url(_text(jwk, name))
    if len(value) != 32:
        raise Malformed("a coordinate has 32 bytes", path=(name,))
    return value


def _member(header: JsonObject, name: str) -> JsonObject:
    value: Any = header.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name} is required and is an object", path=(name,))
    return value


def _text(members: JsonObject, name: str, default: str | None = None) -> str:
    value = members.get(name, default)
    if not isinstance(value, str):
        raise Malformed(f"{name} is a text", path=(name,))
    return value
