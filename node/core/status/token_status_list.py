"""Token Status Lists of the IETF, as SD-JWT VC use them (draft-ietf-oauth-status-list-20).

A referenced token names a list and a place in it (section 6.2); the list is a token too (section 5.1), signed, with
its statuses packed from the LEAST significant bit, the other way round than a W3C bitstring. Which key a list token is
to be verified with, and whether its maker may speak for the issuer, is the caller's to judge.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from node.core import problem
from node.core.credential import is_url
from node.core.encoding import decode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.jose.jws import ALGORITHMS, Jws, parse_jws, require_type, verify_jws
from node.core.keys import PublicKey
from node.core.status.bitstring import MAX_BYTES, OutOfRange
from node.core.status.entry import MAX_URL_BYTES, REVOCATION, SUSPENSION, UnknownStatusEntry
from node.core.status.inflate import ZLIB, inflate
from node.core.status.status_list import Status
from node.core.strict_json import Json, JsonObject
from node.core.times import from_unix

MEDIA_TYPE: Final = "application/statuslist+jwt"
_TYP: Final = "statuslist+jwt"
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
    jws: Jws

    def verify(self, public_key: PublicKey) -> None:
        """Raise NotVerified unless `public_key` signed the token."""
        verify_jws(self.jws, public_key, allowed_algorithms=ALGORITHMS)


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


def parse_status_list_token(token: str) -> StatusListToken:
    """The list token in JWT form (section 5.1). Malformed or NotVerified where it is none."""
    jws = parse_jws(token.strip(), max_chars=_MAX_TOKEN_CHARS)
    require_type(jws, _TYP)
    claims = jws.claims()
    subject, issuer = claims.get("sub"), claims.get("iss")
    if not isinstance(subject, str):
        raise Malformed("sub must be the URI of the list", path=("sub",))
    if issuer is not None and not isinstance(issuer, str):
        raise Malformed("iss must be a string", path=("iss",))
    issued_at = _moment(claims, "iat")
    if issued_at is None:
        raise Malformed("iat is required", path=("iat",))
    ttl = claims.get("ttl")
    if ttl is not None and (type(ttl) is not int or ttl <= 0):
        raise Malformed("ttl must be a positive number of seconds", path=("ttl",))
    bits, packed = _parse_list(claims.get("status_list"))
    return StatusListToken(subject, issuer, issued_at, _moment(claims, "exp"), ttl, bits, packed, jws)


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
    path = ("status_list",)
    if not isinstance(value, dict):
        raise Malformed("status_list must be an object", path=path)
    bits, text = value.get("bits"), value.get("lst")
    if type(bits) is not int or bits not in _WIDTHS:
        raise Malformed("bits must be 1, 2, 4 or 8", path=(*path, "bits"))
    if not isinstance(text, str):
        raise Malformed("lst must be a string", path=(*path, "lst"))
    return bits, decode_base64url(text)


def _moment(claims: JsonObject, name: str) -> datetime | None:
    value = claims.get(name)
    if value is None and name not in claims:
        return None
    # A NumericDate may have a fraction (RFC 7519 section 2); a boolean is a number for Python alone.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Malformed(f"{name} must be a number of seconds", path=(name,))
    return from_unix(int(value))


def _not_verified(detail: str, *path: str) -> NotVerified:
    return NotVerified(detail, type=problem.STATUS_VERIFICATION_ERROR, path=path)
