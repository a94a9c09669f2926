"""Compact JWS (RFC 7515) under the advice of RFC 8725: which algorithms, which type, and nothing optional.

The verifier names the algorithms it takes; the header only has to be among them and to fit the key. `none`, MACs,
`crit` (no extension is understood), unencoded and compressed payloads are refused whatever the verifier says.
What the claims mean is left to the callers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import JsonObject, parse_json_object

# RFC 8037 and RFC 7518 sections 3.3 to 3.5; `Ed25519` is the fully specified name of RFC 9864.
ALGORITHMS: Final[Mapping[str, KeyKind]] = MappingProxyType(
    {
        "EdDSA": KeyKind.ED25519,
        "Ed25519": KeyKind.ED25519,
        "ES256": KeyKind.P256,
        "ES384": KeyKind.P384,
        "ES512": KeyKind.P521,
        "ES256K": KeyKind.SECP256K1,
        "RS256": KeyKind.RSA,
        "PS256": KeyKind.RSA,
    }
)
_NAME_OF: Final = {
    KeyKind.ED25519: "EdDSA",
    KeyKind.P256: "ES256",
    KeyKind.P384: "ES384",
    KeyKind.P521: "ES512",
    KeyKind.SECP256K1: "ES256K",
}
# A proof or request of ours has under two kilobytes; a credential as JWT with images may have hundreds.
MAX_TOKEN_CHARS: Final = 1024 * 1024
_REFUSED_HEADERS: Final = ("crit", "b64", "zip")
_SHORT_HEADER_CHARS: Final = 1024


@dataclass(frozen=True, slots=True)
class Jws:
    """A compact JWS that was read and not verified; `signing_input` are the bytes that were signed."""

    header: JsonObject
    payload: bytes
    signature: bytes
    signing_input: bytes

    @property
    def algorithm(self) -> str:
        """The header's `alg`, one of ALGORITHMS."""
        return str(self.header["alg"])

    def claims(self) -> JsonObject:
        """The payload as a JSON object (RFC 7519 section 7.2), or Malformed."""
        return parse_json_object(self.payload)


@dataclass(frozen=True, slots=True)
class PreparedJws:
    """A JWS that lacks nothing but the signature over `message`."""

    message: bytes

    def finish(self, signature: bytes) -> str:
        """The compact token; `signature` is raw, for ECDSA r and s."""
        return f"{self.message.decode('ascii')}.{encode_base64url(signature)}"


def algorithm_of(kind: KeyKind) -> str:
    """The `alg` under which a key of this kind signs here."""
    return _NAME_OF[kind]


def prepare_jws(header: JsonObject, payload: JsonObject | bytes) -> PreparedJws:
    """What has to be signed; a JSON payload is written canonically, so that equal claims give equal bytes."""
    body = payload if isinstance(payload, bytes) else canonicalize(payload)
    parts = (encode_base64url(canonicalize(header)), encode_base64url(body))
    return PreparedJws(".".join(parts).encode("ascii"))


def parse_jws(token: str, *, max_chars: int = MAX_TOKEN_CHARS) -> Jws:
    """The parts of a compact JWS (RFC 7515 section 7.1); Malformed where it is none, or one that we do not take."""
    if len(token) > max_chars:
        raise _malformed(f"a token of more than {max_chars:,} characters")
    parts = token.split(".")
    if len(parts) != 3 or not all(parts):
        raise _malformed("a signed token has three parts")
    try:
        header = (_header if len(parts[0]) <= _SHORT_HEADER_CHARS else _read_header)(parts[0])
        payload, signature = decode_base64url(parts[1]), decode_base64url(parts[2])
    except Malformed as error:
        raise _malformed(f"a signed token that cannot be read: {error.detail}") from error
    return Jws(header, payload, signature, token[: -1 - len(parts[2])].encode("ascii"))


def _read_header(text: str) -> JsonObject:
    header = parse_json_object(decode_base64url(text))
    if not isinstance(header.get("alg"), str) or header["alg"] not in ALGORITHMS:
        raise _malformed("the token's alg is none that is taken here")
    for name in _REFUSED_HEADERS:
        if name in header:
            raise _malformed(f"the token's header has {name}, which is not understood here")
    return header


# One issuer writes one header over thousands of tokens. Nobody changes a header that was read.
_header: Final = lru_cache(maxsize=256)(_read_header)


def require_type(jws: Jws, expected_type: str) -> None:
    """Raise NotVerified unless `typ` is `expected_type` (RFC 8725 section 3.11), with or without `application/`."""
    found = jws.header.get("typ")
    if not isinstance(found, str) or found.lower().removeprefix("application/") != expected_type:
        raise NotVerified(f"the token's typ is not {expected_type}")


def verify_jws(jws: Jws, public_key: PublicKey, *, allowed_algorithms: Collection[str]) -> None:
    """Raise NotVerified unless the token was signed by `public_key` under one of `allowed_algorithms`."""
    if jws.algorithm not in allowed_algorithms:
        raise NotVerified(f"the token is signed with {jws.algorithm}, which is not accepted here")
    if ALGORITHMS[jws.algorithm] is not public_key.kind:
        raise NotVerified(f"the token says {jws.algorithm}, but the key is {public_key.kind}")
    if jws.algorithm == "PS256":
        public_key.verify_pss(jws.signature, jws.signing_input)
    else:
        public_key.verify(jws.signature, jws.signing_input)


def _malformed(detail: str) -> Malformed:
    return Malformed(detail, type=problem.PARSING_ERROR)
