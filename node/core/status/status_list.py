"""Status list credentials: built for publishing, and read for an entry that points at one.

Bitstring Status List 1.0 sections 2.2 and 3.2; StatusList2021 is read only. Proof, issuer and validity period of
the list are the caller's to judge, before anything read here is believed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.credential import BASE_CONTEXT, check_credential
from node.core.errors import Malformed, NotVerified
from node.core.status.bitstring import MIN_ENTRIES, Bitstring, decode_list, decode_list_2021, encode_list
from node.core.status.entry import MESSAGE, REFRESH, STATUS_LIST_2021_ENTRY, StatusEntry
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp

# Type of the credential and of its subject, for each kind of list.
_BITSTRING: Final = ("BitstringStatusListCredential", "BitstringStatusList")
_STATUS_LIST_2021: Final = ("StatusList2021Credential", "StatusList2021")
_MAX_TTL: Final = 2**53 - 1


@dataclass(frozen=True, slots=True)
class StatusList:
    """A list as its credential states it. `ttl` is in milliseconds, for caches; it does not extend validity."""

    id: str | None
    issuer_id: str
    purposes: tuple[str, ...]
    bits: Bitstring
    valid_from: datetime | None
    valid_until: datetime | None
    ttl: int | None = None
    size: int | None = None  # statusSize, where the list itself repeats it


@dataclass(frozen=True, slots=True)
class Status:
    """What a list says of one entry (section 3.2 step 13)."""

    value: int
    purpose: str
    valid: bool
    message: str | None = None


def build_list_credential(
    *,
    list_url: str,
    issuer: str | JsonObject,
    purpose: str,
    bits: Bitstring,
    valid_from: datetime,
    valid_until: datetime | None = None,
    ttl: int | None = None,
    size: int = 1,
) -> JsonObject:
    """The list credential to be signed (section 2.2). `ttl` is in milliseconds, `size` in bits per status.

    131,072 entries at least: a shorter list is Malformed with STATUS_LIST_LENGTH_ERROR. How wide a status is, and
    what its values mean, stands in the entries: the context of the standard has no such terms for a list.
    """
    _check_length(bits, size)
    subject: JsonObject = {
        "id": f"{list_url}#list",
        "type": _BITSTRING[1],
        "statusPurpose": purpose,
        "encodedList": encode_list(bits),
    }
    if ttl is not None:
        subject["ttl"] = ttl
    document: JsonObject = {
        "@context": [BASE_CONTEXT],
        "id": list_url,
        "type": ["VerifiableCredential", _BITSTRING[0]],
        "issuer": issuer,
        "validFrom": format_datetime_stamp(valid_from),
    }
    if valid_until is not None:
        document["validUntil"] = format_datetime_stamp(valid_until)
    document["credentialSubject"] = subject
    return document


def check_list_credential(document: JsonObject, entry: StatusEntry, *, stapled: bool = False) -> StatusList:
    """The list in `document`, if it is one that answers `entry`.

    NotVerified with STATUS_VERIFICATION_ERROR for another list, kind or purpose; Malformed with
    STATUS_LIST_LENGTH_ERROR for a short one. A list that arrives beside a credential (`stapled`) must say its id:
    else a holder could bring another list of the same issuer.
    """
    kind = _STATUS_LIST_2021 if entry.type == STATUS_LIST_2021_ENTRY else _BITSTRING
    facts = check_credential(document)
    if kind[0] not in facts.types:
        raise _other(f"a status list must be a {kind[0]}", "type")
    if facts.id != entry.list_url and (stapled or facts.id is not None):
        raise _other("the list has another id than the one that the entry names", "id")
    subject = document["credentialSubject"]
    if isinstance(subject, list) and len(subject) == 1:
        subject = subject[0]
    if not isinstance(subject, dict):
        raise Malformed("a status list has one subject", path=("credentialSubject",))
    types = subject.get("type")
    if types != kind[1] and not (isinstance(types, list) and kind[1] in types):
        raise _other(f"the subject must be a {kind[1]}", "credentialSubject", "type")
    purposes = _purposes(subject)
    if entry.purpose not in purposes:
        raise _other("the list is for another purpose", "credentialSubject", "statusPurpose")
    size = _positive(subject, "statusSize")
    if size is not None and size != entry.size:
        raise _other("the list has statuses of another size", "credentialSubject", "statusSize")
    text = subject.get("encodedList")
    if not isinstance(text, str):
        raise Malformed("encodedList must be a string", path=("credentialSubject", "encodedList"))
    bits = decode_list_2021(text) if kind is _STATUS_LIST_2021 else decode_list(text)
    _check_length(bits, entry.size)
    return StatusList(
        id=facts.id,
        issuer_id=facts.issuer_id,
        purposes=purposes,
        bits=bits,
        valid_from=facts.valid_from,
        valid_until=facts.valid_until,
        ttl=_positive(subject, "ttl"),
        size=size,
    )


def read_status(bits: Bitstring, entry: StatusEntry) -> Status:
    """The status of `entry` in a list that answers it; OutOfRange (RANGE_ERROR) where the index is beyond it.

    `refresh` and `message` never make a credential invalid (section 2.1).
    """
    value = bits.get(entry.index, entry.size)
    return Status(
        value=value,
        purpose=entry.purpose,
        valid=value == 0 or entry.purpose in (REFRESH, MESSAGE),
        message=entry.message(value),
    )


def _check_length(bits: Bitstring, size: int) -> None:
    if len(bits) // size < MIN_ENTRIES:
        raise Malformed(
            f"a status list must have at least {MIN_ENTRIES:,} entries", type=problem.STATUS_LIST_LENGTH_ERROR
        )


def _other(detail: str, *path: str) -> NotVerified:
    return NotVerified(detail, type=problem.STATUS_VERIFICATION_ERROR, path=path)


def _purposes(subject: JsonObject) -> tuple[str, ...]:
    value: Json = subject.get("statusPurpose")
    items: Sequence[Json] = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    if not items or not all(isinstance(item, str) for item in items):
        raise Malformed(
            "statusPurpose must be one or more strings", path=("credentialSubject", "statusPurpose")
        )
    return tuple(items)


def _positive(subject: JsonObject, name: str) -> int | None:
    value = subject.get(name)
    if value is not None and (type(value) is not int or not 0 < value <= _MAX_TTL):
        raise Malformed(f"{name} must be a positive integer", path=("credentialSubject", name))
    return value
