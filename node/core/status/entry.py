"""Status entries: the `credentialStatus` objects of a credential.

Bitstring Status List 1.0 section 2.1; StatusList2021 entries are read too. An entry says where to look, not what
is found there: `status_list.py` reads lists, `evm/registry.py` slots.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from node.core.credential import is_url, types_of
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject

BITSTRING_ENTRY: Final = "BitstringStatusListEntry"
STATUS_LIST_2021_ENTRY: Final = "StatusList2021Entry"

REVOCATION: Final = "revocation"
SUSPENSION: Final = "suspension"
REFRESH: Final = "refresh"
MESSAGE: Final = "message"
# StatusList2021 knows no others.
_PURPOSES_2021: Final = (REVOCATION, SUSPENSION)

MAX_ENTRIES: Final = 16
# 2^16 messages are already more than anybody reads; the standard has no limit.
MAX_STATUS_SIZE: Final = 16
# What the registry can hold as a list's name (FORMATS.md section 6).
MAX_URL_BYTES: Final = 2_048
MAX_PURPOSE_BYTES: Final = 255

# One text per number, so that an index cannot be spelled twice. The standard allows any size: what is too large
# for a list is out of its range, not malformed.
_INDEX: Final = re.compile(r"(?:0|[1-9][0-9]{0,99})\Z")
_MESSAGE_STATUS: Final = re.compile(r"0x[0-9a-fA-F]{1,8}\Z")

_Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class StatusEntry:
    """One entry of a kind that we read."""

    purpose: str
    list_url: str  # statusListCredential, exact text as signed
    index: int  # statusListIndex, zero-based, decoded from its string form
    size: int = 1  # statusSize, bits per status
    messages: tuple[str, ...] = ()  # statusMessage: the message of value v at position v, or none at all
    type: str = BITSTRING_ENTRY
    id: str | None = None

    def message(self, value: int) -> str | None:
        """The issuer's words for `value` (section 3.2 step 14); not made for end users."""
        if self.messages:
            return self.messages[value] if 0 <= value < len(self.messages) else None
        return (
            ("unset", "set")[value]
            if self.purpose == MESSAGE and self.size == 1 and value in (0, 1)
            else None
        )

    def to_json(self) -> JsonObject:
        """The `credentialStatus` object. Without an `id` of its own it gets URL `#` index: 1EdTech asks for one."""
        entry: JsonObject = {
            "id": self.id or f"{self.list_url}#{self.index}",
            "type": self.type,
            "statusPurpose": self.purpose,
            "statusListIndex": str(self.index),
            "statusListCredential": self.list_url,
        }
        if self.size != 1:
            entry["statusSize"] = self.size
        if self.messages:
            entry["statusMessage"] = [
                {"status": hex(value), "message": text} for value, text in enumerate(self.messages)
            ]
        return entry


@dataclass(frozen=True, slots=True)
class UnknownStatusEntry:
    """An entry of a kind that we cannot read: its status stays unknown."""

    types: tuple[str, ...]
    id: str | None


def parse_status_entries(document: JsonObject) -> tuple[StatusEntry | UnknownStatusEntry, ...]:
    """The entries of `document.credentialStatus`, in order; none if it has no such member. Malformed with path."""
    if "credentialStatus" not in document:
        return ()
    value = document["credentialStatus"]
    path: _Path = ("credentialStatus",)
    if isinstance(value, dict):
        return (_parse_entry(value, path),)
    if not isinstance(value, list) or not value:
        raise Malformed("must be an object or a non-empty array of objects", path=path)
    if len(value) > MAX_ENTRIES:
        raise Malformed(f"more than {MAX_ENTRIES} status entries", path=path)
    return tuple(_parse_entry(item, (*path, position)) for position, item in enumerate(value))


def _parse_entry(value: Json, path: _Path) -> StatusEntry | UnknownStatusEntry:
    if not isinstance(value, dict):
        raise Malformed("a status entry must be an object", path=path)
    types = types_of(value)
    identifier = value.get("id")
    if identifier is not None and not is_url(identifier):
        raise Malformed("id must be a URL", path=(*path, "id"))
    if BITSTRING_ENTRY in types:
        kind = BITSTRING_ENTRY
    elif STATUS_LIST_2021_ENTRY in types:
        kind = STATUS_LIST_2021_ENTRY
    else:
        if not types:
            raise Malformed("a status entry must have a type", path=(*path, "type"))
        return UnknownStatusEntry(types, identifier)
    purpose = value.get("statusPurpose")
    if not isinstance(purpose, str) or not 0 < len(purpose.encode()) <= MAX_PURPOSE_BYTES:
        raise Malformed("statusPurpose must be a string", path=(*path, "statusPurpose"))
    list_url = value.get("statusListCredential")
    if not isinstance(list_url, str) or not is_url(list_url) or len(list_url.encode()) > MAX_URL_BYTES:
        raise Malformed("statusListCredential must be a URL", path=(*path, "statusListCredential"))
    if identifier == list_url:
        raise Malformed("the id of an entry must not be the URL of the list", path=(*path, "id"))
    index = value.get("statusListIndex")
    if not isinstance(index, str) or not _INDEX.match(index):
        raise Malformed(
            "statusListIndex must be a decimal number in a string", path=(*path, "statusListIndex")
        )
    if kind == STATUS_LIST_2021_ENTRY:
        if purpose not in _PURPOSES_2021:
            raise Malformed("StatusList2021 has no such purpose", path=(*path, "statusPurpose"))
        return StatusEntry(purpose, list_url, int(index), type=kind, id=identifier)
    size = _parse_size(value, path)
    return StatusEntry(
        purpose, list_url, int(index), size, _parse_messages(value, size, path), kind, identifier
    )


def _parse_size(value: JsonObject, path: _Path) -> int:
    size = value.get("statusSize", 1)
    if type(size) is not int or not 1 <= size <= MAX_STATUS_SIZE:
        raise Malformed(
            f"statusSize must be an integer from 1 to {MAX_STATUS_SIZE}", path=(*path, "statusSize")
        )
    return size


def _parse_messages(value: JsonObject, size: int, path: _Path) -> tuple[str, ...]:
    """Each value of `size` bits has exactly one message; required where there is more than one bit."""
    path = (*path, "statusMessage")
    if "statusMessage" not in value:
        if size > 1:
            raise Malformed("statusMessage is required where statusSize is not 1", path=path)
        return ()
    items = value["statusMessage"]
    if not isinstance(items, list) or len(items) != 1 << size:
        raise Malformed(f"statusMessage must have {1 << size} items", path=path)
    found: dict[int, str] = {}
    for item in items:
        status = item.get("status") if isinstance(item, dict) else None
        text = item.get("message") if isinstance(item, dict) else None
        if not isinstance(status, str) or not _MESSAGE_STATUS.match(status) or not isinstance(text, str):
            raise Malformed("a status message must have a hexadecimal status and a message", path=path)
        found[int(status, 16)] = text
    if found.keys() != set(range(1 << size)):
        raise Malformed("statusMessage must name each value once", path=path)
    return tuple(found[number] for number in range(1 << size))


def entries_to_json(entries: Sequence[StatusEntry]) -> Json:
    """The value of `credentialStatus`: one entry as an object, since 1EdTech's schema refuses an array; else a list."""
    return entries[0].to_json() if len(entries) == 1 else [entry.to_json() for entry in entries]
