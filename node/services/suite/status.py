"""Status lists of the issuers that interoperability suites try: in memory, forgotten at the end.

Bitstring Status List 1.0 sections 2 and 3. There is one list for each purpose and width, opened when it is asked for.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from node.core.errors import Conflict, Malformed, NotFound
from node.core.members import within
from node.core.status.bitstring import MIN_ENTRIES, Bitstring
from node.core.status.entry import BITSTRING_ENTRY, REVOCATION, StatusEntry, UnknownStatusEntry
from node.core.status.status_list import build_list_credential
from node.core.strict_json import Json, JsonObject

MAX_LISTS: Final = 64
_MAX_ENTRIES: Final = 4
_MAX_PURPOSE_CHARS: Final = 32
_MAX_BITS: Final = 8


@dataclass(slots=True)
class _List:
    """A status list with the indices that were given out."""

    url: str
    purpose: str
    size: int
    bits: Bitstring
    used: set[int] = field(default_factory=set)

    def draw(self) -> int:
        """An index that nobody has; random, so that neighbours say nothing of each other."""
        if 2 * len(self.used) >= MIN_ENTRIES:
            raise Conflict("the status list is full")
        while (index := secrets.randbelow(MIN_ENTRIES)) in self.used:
            pass
        self.used.add(index)
        return index


class SuiteStatusLists:
    """The lists, by the last step of their URL; `base_url` is where they are served."""

    def __init__(self, base_url: str) -> None:
        self._base_url = base_url
        self._lists: dict[str, _List] = {}

    def entries(self, wanted: Json) -> Json:
        """The value of `credentialStatus`: an entry for each object that describes one, with its other members."""
        described = wanted if isinstance(wanted, list) else [wanted]
        if not 0 < len(described) <= _MAX_ENTRIES or not all(isinstance(one, dict) for one in described):
            raise Malformed(
                f"one to {_MAX_ENTRIES} objects that describe entries", path=("options", "credentialStatus")
            )
        made = [self._entry(one) for one in described]
        return made[0] if len(made) == 1 else made

    def _entry(self, described: JsonObject) -> JsonObject:
        found = self._list_of(described.get("statusPurpose", REVOCATION), described.get("statusSize", 1))
        index = found.draw()
        return {
            "id": f"{found.url}#{index}",
            "type": BITSTRING_ENTRY,
            **described,
            "statusPurpose": found.purpose,
            "statusListIndex": str(index),
            "statusListCredential": found.url,
        }

    def open(self, purpose: Json) -> str:
        """The URL of the list of a purpose, opened where there was none."""
        return self._list_of(purpose, 1).url

    def document(self, name: str, issuer: str, now: datetime) -> JsonObject:
        """The list as a credential to be signed."""
        found = self._lists.get(name)
        if found is None:
            raise NotFound("there is no such status list")
        return build_list_credential(
            list_url=found.url,
            issuer=issuer,
            purpose=found.purpose,
            bits=found.bits,
            valid_from=now,
            size=found.size,
        )

    def set(self, entries: Iterable[StatusEntry | UnknownStatusEntry], purpose: str, status: bool) -> None:
        """Write the status of the first of `entries` that has the purpose and is in one of the lists."""
        by_url = {one.url: one for one in self._lists.values()}
        for entry in entries:
            found = by_url.get(entry.list_url) if isinstance(entry, StatusEntry) else None
            if found is not None and isinstance(entry, StatusEntry) and entry.purpose == purpose:
                found.bits.set(entry.index, int(status), found.size)
                return
        raise NotFound("the credential has no such status entry")

    def _list_of(self, purpose: Json, size: Json) -> _List:
        with within("credentialStatus"):
            if not isinstance(purpose, str) or not purpose.isalnum() or not purpose.isascii():
                raise Malformed("statusPurpose is a word", path=("statusPurpose",))
            if len(purpose) > _MAX_PURPOSE_CHARS:
                raise Malformed("a shorter word is expected", path=("statusPurpose",))
            if type(size) is not int or not 1 <= size <= _MAX_BITS:
                raise Malformed(f"statusSize is a number from 1 to {_MAX_BITS}", path=("statusSize",))
        name = f"{purpose}-{size}"
        if name not in self._lists:
            if len(self._lists) >= MAX_LISTS:
                raise Conflict("there are too many status lists")
            url = f"{self._base_url}/status-lists/{name}"
            self._lists[name] = _List(url, purpose, size, Bitstring.zeros(MIN_ENTRIES, size))
        return self._lists[name]
