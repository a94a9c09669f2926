"""What an issuer says it wrote to the chain, to be held against what stands there: `issuer export --audit`.

Kinds and sizes, and nothing of any credential. The form is our own, JSON with no other members than these:

    {"audit": 1, "did": "did:ethr:…", "exported": "2027-05-03T12:00:00Z",
     "anchors": [{"size": 64, "root": "0x…", "entries": {"credential": 31}}],
     "keys": [{"publicKeyMultibase": "z6Mk…", "purposes": 3}],
     "lists": [{"purpose": "revocation", "url": "https://…", "mode": 1, "log2Entries": 17, "statusSize": 1,
                "words": [[7, "0x…"]]}],
     "writers": ["0x…"], "closed": false, "transactions": ["0x…"], "witnessed": ["0x…"]}

`entries` counts what was anchored by kind (FORMATS.md section 4), the padding left out. `words` are the status words
that are not zero, as they were last made final. `transactions` are those that the issuer sent; a write of one that is
not among them counts as its own only where what was written says so. `witnessed`, which may be missing, are the
commitments to documents of others, each of a tree of its own, whose root is kept with the document.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core.anchor import CREDENTIAL, DID_DOCUMENT, EVIDENCE, STATUS_LIST, commitment
from node.core.encoding import encode_hex
from node.core.errors import Malformed
from node.core.evm import registry
from node.core.evm.events import (
    Anchored,
    KeyAdded,
    ListOpened,
    RegistryEvent,
    StatusChanged,
    WriterSet,
    call_of,
)
from node.core.evm.history import History
from node.core.evm.keccak import keccak256
from node.core.evm.registry import ListRecord, list_id
from node.core.keys import parse_multikey
from node.core.members import (
    boolean_member,
    closed_object,
    digest_list,
    hex_member,
    hex_value,
    integer_member,
    list_member,
    text_member,
    within,
)
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp

KINDS: Final = {
    CREDENTIAL: "credential",
    EVIDENCE: "evidence",
    STATUS_LIST: "statusList",
    DID_DOCUMENT: "didDocument",
}
MAX_ITEMS: Final = 1_000_000
_MAX_TEXT: Final = 2048
_MAX_WORDS: Final = 1 << 24 - 8 + 3  # of the most entries, 256 bits a word and 8 bits an entry
_MEMBERS: Final = frozenset(
    {"audit", "did", "exported", "anchors", "keys", "lists", "writers", "closed", "transactions"}
)
_MAYBE: Final = frozenset({"witnessed"})
_LIST_MEMBERS: Final = frozenset({"purpose", "url", "mode", "log2Entries", "statusSize", "words"})


@dataclass(frozen=True, slots=True)
class ClaimedAnchor:
    """A tree whose commitment was anchored; `entries` counts by the names of KINDS what is in it."""

    size: int
    root: bytes
    entries: Mapping[str, int]

    @property
    def commitment(self) -> bytes:
        """What stands on the chain."""
        return commitment(self.size, self.root)


@dataclass(frozen=True, slots=True)
class ClaimedKey:
    """A key that was added, as a Multikey, for `purposes` (`registry.KeyPurpose`)."""

    multibase: str
    purposes: int

    @property
    def hash(self) -> bytes:
        """The registry's name of it."""
        return keccak256(parse_multikey(self.multibase).multicodec_bytes)


@dataclass(frozen=True, slots=True)
class ClaimedList:
    """A status list that was opened, and its words that are not zero, by their number."""

    purpose: str
    url: str
    mode: int
    log2_entries: int
    status_size: int
    words: Mapping[int, int]

    @property
    def list_id(self) -> bytes:
        """The registry's name of it."""
        return list_id(self.purpose, self.url)


@dataclass(frozen=True, slots=True)
class Claim:
    """All that an issuer says it wrote, as of `exported`."""

    did: str
    exported: datetime
    anchors: tuple[ClaimedAnchor, ...]
    keys: tuple[ClaimedKey, ...]
    lists: tuple[ClaimedList, ...]
    writers: frozenset[bytes]
    closed: bool
    transactions: frozenset[bytes]
    witnessed: frozenset[bytes] = frozenset()

    def to_json(self) -> JsonObject:
        """The form that `parse_claim` reads."""
        return {
            "audit": 1,
            "did": self.did,
            "exported": format_datetime_stamp(self.exported),
            "anchors": [
                {"size": one.size, "root": encode_hex(one.root), "entries": dict(one.entries)}
                for one in self.anchors
            ],
            "keys": [{"publicKeyMultibase": one.multibase, "purposes": one.purposes} for one in self.keys],
            "lists": [
                {
                    "purpose": one.purpose,
                    "url": one.url,
                    "mode": one.mode,
                    "log2Entries": one.log2_entries,
                    "statusSize": one.status_size,
                    "words": [
                        [word, encode_hex(bits.to_bytes(32, "big"))] for word, bits in one.words.items()
                    ],
                }
                for one in self.lists
            ],
            "writers": sorted(map(encode_hex, self.writers)),
            "closed": self.closed,
            "transactions": sorted(map(encode_hex, self.transactions)),
            "witnessed": sorted(map(encode_hex, self.witnessed)),
        }


def parse_claim(value: Json) -> Claim:
    """The claim in a file; Malformed where it has not the form."""
    members = closed_object(value, "an export for an audit", _MEMBERS, _MAYBE)
    if members["audit"] != 1:
        raise Malformed("an export for an audit of another version", path=("audit",))
    return Claim(
        did=text_member(members, "did", max_bytes=_MAX_TEXT),
        exported=parse_datetime_stamp(text_member(members, "exported", max_bytes=64)),
        anchors=tuple(map(_anchor, _objects(members, "anchors", frozenset({"size", "root", "entries"})))),
        keys=tuple(map(_key, _objects(members, "keys", frozenset({"publicKeyMultibase", "purposes"})))),
        lists=tuple(map(_list, _objects(members, "lists", _LIST_MEMBERS))),
        writers=frozenset(hex_value(one, 20) for one in list_member(members, "writers", max_items=MAX_ITEMS)),
        closed=boolean_member(members, "closed"),
        transactions=frozenset(digest_list(members, "transactions", max_items=MAX_ITEMS)),
        witnessed=frozenset(
            digest_list(members, "witnessed", max_items=MAX_ITEMS) if "witnessed" in members else ()
        ),
    )


def _objects(members: JsonObject, name: str, names: frozenset[str]) -> Iterator[JsonObject]:
    for position, one in enumerate(list_member(members, name, max_items=MAX_ITEMS)):
        with within(name, position):
            yield closed_object(one, f"one of {name}", names)


def _anchor(one: JsonObject) -> ClaimedAnchor:
    entries = closed_object(one["entries"], "entries", frozenset(), frozenset(KINDS.values()))
    counts = {name: integer_member(entries, name) for name in entries}
    size = integer_member(one, "size", minimum=1)
    if sum(counts.values()) > size:
        raise Malformed("more entries than the tree has")
    return ClaimedAnchor(size, hex_member(one, "root", 32), counts)


def _key(one: JsonObject) -> ClaimedKey:
    multibase = text_member(one, "publicKeyMultibase", max_bytes=_MAX_TEXT)
    parse_multikey(multibase)
    return ClaimedKey(multibase, integer_member(one, "purposes", minimum=1))


def _list(one: JsonObject) -> ClaimedList:
    words = {}
    for pair in list_member(one, "words", max_items=MAX_ITEMS):
        if not isinstance(pair, list) or len(pair) != 2 or type(pair[0]) is not int:
            raise Malformed("a word of a list is its number and 32 bytes", path=("words",))
        if not 0 <= pair[0] < _MAX_WORDS:
            raise Malformed("a word beyond the longest list", path=("words",))
        words[pair[0]] = int.from_bytes(hex_value(pair[1], 32), "big")
    purpose, url = text_member(one, "purpose", max_bytes=255), text_member(one, "url", max_bytes=_MAX_TEXT)
    return ClaimedList(
        purpose,
        url,
        integer_member(one, "mode"),
        integer_member(one, "log2Entries"),
        integer_member(one, "statusSize"),
        words,
    )


# --- held against the chain


@dataclass(frozen=True, slots=True)
class Difference:
    """What chain and claim do not say alike; `n` is the number of the write, None where the chain lacks one."""

    n: int | None
    detail: str


def differences(claim: Claim, history: History) -> tuple[Difference, ...]:
    """Everything in which the two differ: writes that the issuer does not know of first, then what is not there."""
    return (*_not_claimed(claim, history), *_not_written(claim, history))


def _not_claimed(claim: Claim, history: History) -> Iterator[Difference]:
    known = _Known.of(claim)
    for event in history.events:
        detail = known.objection(event)
        if detail is not None:
            yield Difference(event.n, detail)


@dataclass(frozen=True, slots=True)
class _Known:
    """The claim, by what events name."""

    claim: Claim
    anchors: frozenset[bytes]
    keys: Mapping[bytes, ClaimedKey]
    lists: Mapping[bytes, ClaimedList]

    @classmethod
    def of(cls, claim: Claim) -> _Known:
        return cls(
            claim,
            frozenset(one.commitment for one in claim.anchors) | claim.witnessed,
            {one.hash: one for one in claim.keys},
            {one.list_id: one for one in claim.lists},
        )

    def objection(self, event: RegistryEvent) -> str | None:
        """Why the issuer's own word does not cover an event, None where it does."""
        sent = event.transaction_hash in self.claim.transactions
        match event:
            case Anchored():
                is_known, what = (
                    event.commitment in self.anchors,
                    "anchors what is not in the issuer's record",
                )
            case KeyAdded():
                known = self.keys.get(event.key_hash)
                is_known = known is not None and known.purposes == event.purposes
                what = "adds a key that is not in the issuer's record, or for other purposes"
            case ListOpened():
                is_known, what = self._is_list(event), "opens a list that is not in the issuer's record so"
            case WriterSet():
                is_known = sent and event.writer in self.claim.writers
                what = "sets a writer without the issuer's record knowing"
            case _:
                # What it says, others may have said before; only who sent it can tell.
                is_known, what = (
                    sent,
                    f"is of a transaction that the issuer's record does not know ({call_of(event)})",
                )
        return None if is_known else what

    def _is_list(self, event: ListOpened) -> bool:
        known = self.lists.get(event.list_id)
        shape = (event.mode, event.log2_entries, event.status_size)
        return known is not None and (known.mode, known.log2_entries, known.status_size) == shape


def _not_written(claim: Claim, history: History) -> Iterator[Difference]:
    identity = history.identity
    for anchor in claim.anchors:
        if not history.latest(registry.anchor_slot(identity, anchor.commitment)):
            yield Difference(
                None, f"a tree of {anchor.size} is not anchored: {encode_hex(anchor.commitment)}"
            )
    for seen in sorted(claim.witnessed):
        if not history.latest(registry.anchor_slot(identity, seen)):
            yield Difference(None, f"what was witnessed is not anchored: {encode_hex(seen)}")
    for key in claim.keys:
        if not history.latest(registry.key_hash_slot(identity, key.hash)):
            yield Difference(None, f"the key {key.multibase} was never added")
    for one in claim.lists:
        if not ListRecord.from_word(history.latest(registry.list_slot(identity, one.list_id))).mode:
            yield Difference(None, f"the {one.purpose} list {one.url} was never opened")
        yield from _words(one, history)
    is_closed = bool(history.latest(registry.closed_slot(identity)))
    if is_closed is not claim.closed:
        said = "open" if is_closed else "closed"
        yield Difference(None, f"the issuer's record calls the identity {said}, and it is not")


def _words(claimed: ClaimedList, history: History) -> Iterator[Difference]:
    written = {
        event.word
        for event in history.events
        if isinstance(event, StatusChanged) and event.list_id == claimed.list_id
    }
    for word in sorted(written | claimed.words.keys()):
        slot = registry.status_slot(history.identity, claimed.list_id, word)
        if history.latest(slot) != claimed.words.get(word, 0):
            detail = f"word {word} of the {claimed.purpose} list {claimed.url} has other bits on the chain"
            yield Difference(None, detail)
