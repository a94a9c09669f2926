"""COSE_Sign1 (RFC 9052 section 4.2) with one signer, as VC-JOSE-COSE section 3.3 secures documents.

The algorithm is among the signed headers; `kid` may stand among the others, where it only helps to find the key.
Claims of a token (RFC 9597) are read from the signed headers. The payload is in the token, never detached. Critical
headers are refused, as none is understood; other headers say nothing here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.cbor import Cbor, decode_cbor, encode_cbor
from node.core.errors import Malformed, NotVerified
from node.core.jose.jws import ALGORITHMS, MAX_TOKEN_CHARS, algorithm_of
from node.core.keys import PublicKey
from node.core.strict_json import JsonObject

# RFC 9053 section 2, RFC 8812 section 3.1 and RFC 9864 section 2.2, by the names of JOSE.
_ALGORITHMS: Final[Mapping[Cbor, str]] = MappingProxyType(
    {
        -7: "ES256",
        -9: "ES256",
        -35: "ES384",
        -51: "ES384",
        -36: "ES512",
        -52: "ES512",
        -8: "EdDSA",
        -19: "Ed25519",
        -47: "ES256K",
    }
)
_NUMBER_OF: Final = {"ES256": -7, "ES384": -35, "ES512": -36, "EdDSA": -8, "ES256K": -47}
_ALG, _CRIT, _CONTENT_TYPE, _KID, _CWT_CLAIMS, _TYP = 1, 2, 3, 4, 15, 16
# RFC 8392 section 3.1; draft-ietf-oauth-status-list section 6.3.
_CLAIMS: Final[Mapping[int, str]] = MappingProxyType(
    {1: "iss", 2: "sub", 3: "aud", 4: "exp", 5: "nbf", 6: "iat", 65535: "status"}
)
_TAG: Final = b"\xd2"  # tag 18


@dataclass(frozen=True, slots=True)
class CoseSign1:
    """A COSE_Sign1 that was read and not verified; `protected` are the bytes of the signed headers."""

    protected: bytes
    payload: bytes
    signature: bytes
    algorithm: str
    """By its name in JOSE, a key of `ALGORITHMS`."""
    typ: str | None
    content_type: str | None
    kid: str | None
    claims: JsonObject

    @property
    def digest_input(self) -> bytes:
        """The token in its one form, tagged and without unsigned headers (FORMATS.md section 3)."""
        return _TAG + encode_cbor([self.protected, {}, self.payload, self.signature])


@dataclass(frozen=True, slots=True)
class PreparedCose:
    """A COSE_Sign1 that lacks nothing but the signature over `message`."""

    message: bytes
    protected: bytes
    payload: bytes

    def finish(self, signature: bytes) -> bytes:
        """The tagged token; `signature` is raw, for ECDSA r and s."""
        return _TAG + encode_cbor([self.protected, {}, self.payload, signature])


def parse_cose_sign1(data: bytes) -> CoseSign1:
    """The parts of a COSE_Sign1, tagged or not; Malformed where it is none, or one that we do not take."""
    if len(data) > MAX_TOKEN_CHARS:
        raise _malformed(f"a token of more than {MAX_TOKEN_CHARS:,} bytes")
    parts = decode_cbor(data.removeprefix(_TAG))
    if not isinstance(parts, list) or len(parts) != 4:
        raise _malformed("a COSE_Sign1 has four parts")
    protected, unsigned, payload, signature = parts
    if not (isinstance(protected, bytes) and isinstance(payload, bytes) and isinstance(signature, bytes)):
        raise _malformed("protected headers, payload and signature of a COSE_Sign1 are byte strings")
    signed = decode_cbor(protected)
    if not isinstance(signed, dict) or not isinstance(unsigned, dict):
        raise _malformed("the headers of a COSE_Sign1 are maps")
    if signed.keys() & unsigned.keys() or _CRIT in signed or _CRIT in unsigned:
        raise _malformed("a header that is there twice, or critical ones, which are not understood here")
    algorithm = signed.get(_ALG)
    if isinstance(algorithm, bool) or not isinstance(algorithm, int) or algorithm not in _ALGORITHMS:
        raise _malformed("the token's algorithm is none that is taken here")
    return CoseSign1(
        protected,
        payload,
        signature,
        _ALGORITHMS[algorithm],
        _text(signed.get(_TYP), "typ"),
        _text(signed.get(_CONTENT_TYPE), "content type"),
        _key_id(signed.get(_KID, unsigned.get(_KID))),
        _claims(signed.get(_CWT_CLAIMS, {})),
    )


def verify_cose_sign1(token: CoseSign1, public_key: PublicKey) -> None:
    """Raise NotVerified unless the token was signed by `public_key` (RFC 9052 section 4.4)."""
    if ALGORITHMS[token.algorithm] is not public_key.kind:
        raise NotVerified(f"the token says {token.algorithm}, but the key is {public_key.kind}")
    public_key.verify(token.signature, _to_be_signed(token.protected, token.payload))


def prepare_cose(document: JsonObject, media_type: str, public_key: PublicKey, kid: str) -> PreparedCose:
    """What is signed of a credential (`application/vc`) or presentation (`application/vp`) as COSE_Sign1.

    `kid` is the absolute URL of the verification method.
    """
    header: dict[int | str | bytes, Cbor] = {
        _ALG: _NUMBER_OF[algorithm_of(public_key.kind)],
        _CONTENT_TYPE: media_type,
        _KID: kid.encode(),
        _TYP: media_type + "+cose",
    }
    protected, payload = encode_cbor(header), canonicalize(document)
    return PreparedCose(_to_be_signed(protected, payload), protected, payload)


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    return encode_cbor(["Signature1", protected, b"", payload])


def _text(value: Cbor, name: str) -> str | None:
    if not isinstance(value, str | None):
        raise _malformed(f"{name} is a text")
    return value


def _key_id(value: Cbor) -> str | None:
    if value is None:
        return None
    if not isinstance(value, bytes):
        raise _malformed("kid is a byte string")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _malformed("kid is no text") from error


def _claims(value: Cbor) -> JsonObject:
    if not isinstance(value, dict):
        raise _malformed("the claims of a token are a map")
    if not value.keys().isdisjoint(_CLAIMS.values()):
        raise _malformed("a claim that has a number is written by its name")
    return {
        _CLAIMS[name]: claim for name, claim in value.items() if isinstance(name, int) and name in _CLAIMS
    }


def _malformed(detail: str) -> Malformed:
    return Malformed(detail, type=problem.PARSING_ERROR)
