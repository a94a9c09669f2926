"""The verifier's own list of issuers it recognises, and in which time (FORMATS.md section 9, issuer_trust).

A trust list file is `{"issuers": [{"did", "name", "from"?, "until"?, "witnesses"?}]}`; times are dateTimeStamps,
witnesses did:ethr DIDs of those whose snapshots of the issuer's DID document count (`snapshot.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from node.core.did.ethr_identity import EthrDid, parse_did_ethr
from node.core.did.resolution import same_issuer
from node.core.errors import Malformed, Unavailable
from node.core.times import parse_datetime_stamp

_MEMBERS = frozenset({"did", "name", "from", "until", "witnesses"})


@dataclass(frozen=True, slots=True)
class TrustEntry:
    """One issuer: recognised for what was anchored from `start` (included) to `end` (not included)."""

    did: str
    name: str
    start: datetime | None = None
    end: datetime | None = None
    witnesses: tuple[EthrDid, ...] = ()
    """Whose snapshots of the issuer's DID document count."""

    @property
    def limited(self) -> bool:
        """Whether the time matters at all."""
        return self.start is not None or self.end is not None

    def covers(self, moment: datetime) -> bool:
        """from <= moment < until."""
        return (self.start is None or self.start <= moment) and (self.end is None or moment < self.end)


@dataclass(frozen=True, slots=True)
class TrustList:
    """Entries in the order of the file; one issuer may stand in it for several spans of time."""

    entries: tuple[TrustEntry, ...]

    def of(self, did: str) -> tuple[TrustEntry, ...]:
        """The entries for an issuer: a did:ethr is compared as (chain id, identity), others letter by letter."""
        return tuple(entry for entry in self.entries if same_issuer(entry.did, did))

    def witnesses_of(self, did: str, moment: datetime) -> tuple[EthrDid, ...]:
        """Who may witness the DID document of an issuer, by the entries that recognise it at `moment`."""
        named = (one for entry in self.of(did) if entry.covers(moment) for one in entry.witnesses)
        return tuple(dict.fromkeys(named))


def parse_trust_list(value: Any) -> TrustList:
    """The trust list that a JSON value writes, or Malformed with the place."""
    if not isinstance(value, dict) or not isinstance(value.get("issuers"), list):
        raise Malformed('a trust list is an object with an array "issuers"')
    return TrustList(tuple(_entry(item, ("issuers", index)) for index, item in enumerate(value["issuers"])))


def _entry(item: Any, path: tuple[str | int, ...]) -> TrustEntry:
    if not isinstance(item, dict):
        raise Malformed("an entry of a trust list is an object", path=path)
    if unknown := item.keys() - _MEMBERS:
        raise Malformed(f"unknown members: {', '.join(sorted(unknown))}", path=path)
    for member in ("did", "name"):
        if not isinstance(item.get(member), str) or not item[member]:
            raise Malformed(f"{member} is required and is a string", path=(*path, member))
    return TrustEntry(
        item["did"],
        item["name"],
        _time(item, "from", path),
        _time(item, "until", path),
        _witnesses(item.get("witnesses", []), (*path, "witnesses")),
    )


def _witnesses(named: Any, path: tuple[str | int, ...]) -> tuple[EthrDid, ...]:
    """Identities on a chain that can be found in a table: others could never be proven to have seen anything."""
    if not isinstance(named, list) or not all(isinstance(one, str) for one in named):
        raise Malformed("witnesses is an array of DIDs", path=path)
    try:
        return tuple(map(parse_did_ethr, named))
    except (Malformed, Unavailable) as error:
        raise Malformed(f"a witness is a did:ethr: {error.detail}", path=path) from error


def _time(item: dict[str, Any], member: str, path: tuple[str | int, ...]) -> datetime | None:
    text = item.get(member)
    if text is None:
        return None
    if not isinstance(text, str):
        raise Malformed(f"{member} is a dateTimeStamp", path=(*path, member))
    try:
        return parse_datetime_stamp(text)
    except Malformed as error:
        raise Malformed(error.detail, path=(*path, member)) from error
