"""Token Status Lists of the IETF, as SD-JWT VC use them (draft-ietf-oauth-status-list-20).

A referenced token names a list and a place in it (section 6.2); the list is a token too (section 5.1), signed, with
its statuses packed from the LEAST significant bit, the other way round than a W3C bitstring. Which key a list token is
to be verified with, and whether its maker may speak for the issuer, is the caller's to judge. Both forms of the token
are read, JWT and CWT.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from node.core import problem
from node.core.cbor import decode_cbor
from node.core.cose import CoseSign1, parse_cose_sign1, verify_cose_sign1
from node.core.credential import is_url
from node.core.encoding import decode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.jose.claims import parse_claims
from node.core.jose.jws import ALGORITHMS, Jws, parse_jws, require_type, verify_jws
from node.core.keys import PublicKey
from node.core.status.bitstring import MAX_BYTES, OutOfRange
from node.core.status.entry import MAX_URL_BYTES, REVOCATION, SUSPENSION, UnknownStatusEntry
from node.core.status.inflate import ZLIB, inflate
from node.core.status.status_list import Status
from node.core.strict_json import Json, JsonObject

_JWT_TYPE: Final = "statuslist+jwt"
_CWT_TYPE: Final = "application/statuslist+cwt"
_COSE_SIGN1_TAG: Final = b"\xd2"
# CWT claims by their labels (RFC 8392 section 4 and the draft's section 5.2), under the names that JWT gives them.
_LABELS: Final = {1: "iss", 2: "sub", 4: "exp", 6: "iat", 65534: "ttl", 65533: "status_list"}
_WIDTHS: Final = (1, 2, 4, 8)
_MAX_TOKEN_CHARS: Final = 8 * 1024 * 1024  # a packed list of 2^24 random bits
# Clocks differ: a list that was made now may seem to come from soon.
_SKEW: Final = timedelta(seconds=60)
# Section 7.1: what each registered value means for the token. Others are an application's own, or nobody's yet.
_MEANING: Final = {0: (REVOCATION, True), 1: (REVOCATION, False), 2: (SUSPENSION, False)}


@dataclass(frozen=True, slots=True)
class TokenStatusEntry:
    """Where a referenced token says that its status is (section 6.2)."""

    uri: str
    index: int  # idx, zero-based


@dataclass(frozen=True, slots=True)
class StatusListToken:
    """A list token that was read and not verified; `packed` are its statuses of `bits` bits, not unpacked yet."""

    subject: str
    issuer: str | None
    issued_at: datetime
    expires: datetime | None
    ttl_seconds: int | None  # for caches; it does not extend validity
    bits: int
    packed: bytes
    kid: str | None
    signed: Jws | CoseSign1

    def verify(self, public_key: PublicKey) -> None:
        """Raise NotVerified unless `public_key` signed the token."""
        if isinstance(self.signed, Jws):
            verify_jws(self.signed, public_key, allowed_algorithms=ALGORITHMS)
        else:
            verify_cose_sign1(self.signed, public_key)


def parse_token_status(claims: JsonObject) -> TokenStatusEntry | UnknownStatusEntry | None:
    """The `status` claim of a token; None where it has none, UnknownStatusEntry where it holds no list of ours.

    Malformed with path where the claim breaks section 6.2.
    """
    if "status" not in claims:
        return None
    status = claims["status"]
    if not isinstance(status, dict) or not status:
        raise Malformed("status must be an object that names a mechanism", path=("status",))
    if "status_list" not in status:
        return UnknownStatusEntry(tuple(sorted(status)), None)
    found = status["status_list"]
    if not isinstance(found, dict):
        raise Malformed("status_list must be an object", path=("status", "status_list"))
    index, uri = found.get("idx"), found.get("uri")
    if type(index) is not int or index < 0:
        raise Malformed("idx must be an integer from 0", path=("status", "status_list", "idx"))
    if not isinstance(uri, str) or not is_url(uri) or len(uri.encode()) > MAX_URL_BYTES:
        raise Malformed("uri must be a URI", path=("status", "status_list", "uri"))
    return TokenStatusEntry(uri, index)


def parse_status_list_token(token: str | bytes) -> StatusListToken:
    """The list token, a JWT where it is text (section 5.1), a CWT where it is bytes (section 5.2).

    Malformed or NotVerified where it is none.
    """
    if isinstance(token, str):
        jws = parse_jws(token.strip(), max_chars=_MAX_TOKEN_CHARS)
        require_type(jws, _JWT_TYPE)
        return _read(jws, jws.header.get("kid"), jws.claims())
    if not token.startswith(_COSE_SIGN1_TAG):
        raise Malformed("a status list in CBOR is a tagged COSE_Sign1")
    cose = parse_cose_sign1(token)
    if cose.typ != _CWT_TYPE:
        raise NotVerified(f"the token's type is not {_CWT_TYPE}")
    payload = decode_cbor(cose.payload)
    if not isinstance(payload, dict):
        raise Malformed("the claims of a CWT are a map")
    return _read(
        cose, cose.kid, {name: payload[label] for label, name in _LABELS.items() if label in payload}
    )


def _read(signed: Jws | CoseSign1, kid: Json, payload: JsonObject) -> StatusListToken:
    claims = parse_claims(payload)
    if claims.subject is None:
        raise Malformed("sub is the URI of the list", path=("sub",))
    if claims.issued_at is None:
        raise Malformed("iat is required", path=("iat",))
    if not isinstance(kid, str | None):
        raise Malformed("kid is a string", path=("kid",))
    ttl = payload.get("ttl")
    if ttl is not None and (type(ttl) is not int or ttl <= 0):
        raise Malformed("ttl must be a positive number of seconds", path=("ttl",))
    bits, packed = _parse_list(payload.get("status_list"))
    return StatusListToken(
        claims.subject, claims.issuer, claims.issued_at, claims.expires, ttl, bits, packed, kid, signed
    )


def check_status_list_token(token: StatusListToken, entry: TokenStatusEntry, at: datetime) -> None:
    """Raise NotVerified with STATUS_VERIFICATION_ERROR unless the token is the entry's list, and valid at `at`.

    Section 8.3 step 4. The moment of `exp` is already too late; a list from after `at` says nothing of that time.
    """
    if token.subject != entry.uri:
        raise _not_verified("the list is another than the one that the token names", "sub")
    if token.expires is not None and at >= token.expires:
        raise _not_verified("the list has expired", "exp")
    if at < token.issued_at - _SKEW:
        raise _not_verified("the list was made after the time that is asked for", "iat")


def read_token_status(token: StatusListToken, entry: TokenStatusEntry) -> Status:
    """The status of `entry` (section 7.1).

    OutOfRange (RANGE_ERROR) where the index is beyond the list; NotVerified for a value whose meaning is the
    application's own or not registered: nothing can be concluded from it.
    """
    statuses = inflate(token.packed, ZLIB, max_bytes=MAX_BYTES)
    value = status_at(statuses, entry.index, token.bits)
    meaning = _MEANING.get(value)
    if meaning is None:
        raise _not_verified(f"a status of value {value} has no meaning of its own", "status_list", "lst")
    purpose, valid = meaning
    return Status(value=value, purpose=purpose, valid=valid)


def status_at(statuses: bytes, index: int, bits: int) -> int:
    """Status `index` (zero-based) of `bits` bits, packed from the least significant (section 4.1)."""
    place, shift = divmod(index * bits, 8)
    if index < 0 or place >= len(statuses):
        raise OutOfRange("the status list has no such index")
    return statuses[place] >> shift & (1 << bits) - 1


def _parse_list(value: Json) -> tuple[int, bytes]:
    """Bits per status, and the packed statuses: base64url text in JSON (section 4.2), bytes in CBOR (section 4.3)."""
    path = ("status_list",)
    if not isinstance(value, dict):
        raise Malformed("status_list must be an object", path=path)
    bits, packed = value.get("bits"), value.get("lst")
    if type(bits) is not int or bits not in _WIDTHS:
        raise Malformed("bits must be 1, 2, 4 or 8", path=(*path, "bits"))
    if isinstance(packed, bytes):
        return bits, packed
    if not isinstance(packed, str):
        raise Malformed("lst must be a string", path=(*path, "lst"))
    return bits, decode_base64url(packed)


def _not_verified(detail: str, *path: str) -> NotVerified:
    return NotVerified(detail, type=problem.STATUS_VERIFICATION_ERROR, path=path)
