"""The events of the CredentialRegistry: what each write said, and the storage words that follow from it.

`contracts/CredentialRegistry.vy`. Every write of an identity is one event and carries its number `n`, from 1 without
a gap. All words of the contract follow from its events with the block and time of each: `slot_of` and `word_after`
tell them, and refuse an event that the contract would not have emitted after those before it. An event is somebody's
word all the same: whoever relies on these words compares them with a proven state.

Events of ERC-1056 are decoded by `node.core.did.ethr.decode_log`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from node.core import problem
from node.core.errors import Malformed, NotVerified
from node.core.evm import registry
from node.core.evm.keccak import keccak256
from node.core.evm.log import address, dynamic_bytes, hex_data, number, quantity_of, topics_of, words
from node.core.strict_json import JsonObject

MAX_KEY_BYTES: Final = 4096
_NOT_EMITTED: Final = problem.ours("registry-event")
_BLOCK_BITS: Final = 48


@dataclass(frozen=True, slots=True)
class RegistryEvent:
    """One write of `identity` (20 bytes), its number `n` counted from 1, and where it stands on the chain."""

    identity: bytes
    n: int
    block_number: int
    log_index: int
    transaction_hash: bytes

    @property
    def place(self) -> tuple[int, int]:
        """What orders events of one chain."""
        return self.block_number, self.log_index


@dataclass(frozen=True, slots=True)
class Anchored(RegistryEvent):
    """A commitment (32 bytes) was anchored."""

    commitment: bytes


@dataclass(frozen=True, slots=True)
class KeyAdded(RegistryEvent):
    """A key was made good for `purposes` (`registry.KeyPurpose`); `key` is multicodec prefix and raw key."""

    key_hash: bytes
    purposes: int
    key: bytes


@dataclass(frozen=True, slots=True)
class KeyRetired(RegistryEvent):
    """A key ended."""

    key_hash: bytes


@dataclass(frozen=True, slots=True)
class KeyCompromised(RegistryEvent):
    """A key was declared to be in wrong hands since block `since`."""

    key_hash: bytes
    since: int


@dataclass(frozen=True, slots=True)
class ListOpened(RegistryEvent):
    """A status list was opened."""

    list_id: bytes
    mode: int
    log2_entries: int
    status_size: int


@dataclass(frozen=True, slots=True)
class ListPublished(RegistryEvent):
    """The list points to a mirror, an account's 20-byte address."""

    list_id: bytes
    sequence: int
    pointer: bytes


@dataclass(frozen=True, slots=True)
class StatusChanged(RegistryEvent):
    """The word (zero-based) of a list holds `bits` from now on."""

    list_id: bytes
    word: int
    bits: int


@dataclass(frozen=True, slots=True)
class WriterSet(RegistryEvent):
    """`writer` was given `roles` by `owner` until a Unix time; both are zero where they were taken away."""

    owner: bytes
    writer: bytes
    roles: int
    until: int


@dataclass(frozen=True, slots=True)
class IdentityClosed(RegistryEvent):
    """The identity was closed for good."""


_Place = tuple[bytes, int, int, int, bytes]
_CALLS: Final = {
    Anchored: "anchor",
    KeyAdded: "add_key",
    KeyRetired: "retire_key",
    KeyCompromised: "compromise_key",
    ListOpened: "open_list",
    ListPublished: "publish_list",
    StatusChanged: "set_status",
    WriterSet: "set_writer",
    IdentityClosed: "close",
}


def call_of(event: RegistryEvent) -> str:
    """The call that wrote it, as the contract names it."""
    return _CALLS[type(event)]


_Reader = Callable[[list[bytes], bytes], tuple[int, Callable[[_Place], RegistryEvent]]]


def decode_registry_log(log: JsonObject) -> RegistryEvent | None:
    """The event in one log of `eth_getLogs`; None if it is none of the registry's, Malformed if it is broken.

    By whom it was emitted (`address`) is for the caller to compare.
    """
    topics = topics_of(log)
    reader = _READERS.get(topics[0]) if topics else None
    if reader is None:
        return None
    topic_count, read = reader
    if len(topics) != topic_count:
        raise Malformed("an event of the registry with other topics")
    n, make = read(topics, hex_data(log.get("data")))
    if not 1 <= n < 1 << _BLOCK_BITS:
        raise Malformed("an event of the registry without its number")
    block, index = quantity_of(log, "blockNumber"), quantity_of(log, "logIndex")
    return make((address(topics[1]), n, block, index, hex_data(log.get("transactionHash"), 32)))


def _anchored(topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    (n,) = words(data, 1)
    return number(n), lambda at: Anchored(*at, topics[2])


def _key_added(topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    purposes, offset, n = words(data, 3)
    key = dynamic_bytes(data, number(offset), MAX_KEY_BYTES)
    if keccak256(key) != topics[2]:
        raise Malformed("an event that adds a key under another hash")
    return number(n), lambda at: KeyAdded(*at, topics[2], _small(purposes, 16), key)


def _key_retired(topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    (n,) = words(data, 1)
    return number(n), lambda at: KeyRetired(*at, topics[2])


def _key_compromised(topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    since, n = words(data, 2)
    return number(n), lambda at: KeyCompromised(*at, topics[2], _small(since, _BLOCK_BITS))


def _list_opened(topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    mode, log2_entries, size, n = words(data, 4)
    return number(n), lambda at: ListOpened(
        *at, topics[2], _small(mode, 8), _small(log2_entries, 8), _small(size, 8)
    )


def _list_published(topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    sequence, pointer, n = words(data, 3)
    return number(n), lambda at: ListPublished(*at, topics[2], _small(sequence, 24), address(pointer))


def _status_changed(topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    bits, n = words(data, 2)
    return number(n), lambda at: StatusChanged(*at, topics[2], _small(topics[3], 24), number(bits))


def _writer_set(topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    roles, until, n = words(data, 3)
    return number(n), lambda at: WriterSet(
        *at, address(topics[2]), address(topics[3]), _small(roles, 16), _small(until, 48)
    )


def _identity_closed(_topics: list[bytes], data: bytes) -> tuple[int, Callable[[_Place], RegistryEvent]]:
    (n,) = words(data, 1)
    return number(n), lambda at: IdentityClosed(*at)


def _small(word: bytes, bits: int) -> int:
    value = number(word)
    if value >> bits:
        raise Malformed("a log with a number larger than its type")
    return value


# By first topic: how many topics there are, and what reads them.
_READERS: Final[dict[bytes, tuple[int, _Reader]]] = {
    keccak256(signature): (topic_count, read)
    for signature, topic_count, read in (
        (b"Anchored(address,bytes32,uint256)", 3, _anchored),
        (b"KeyAdded(address,bytes32,uint16,bytes,uint256)", 3, _key_added),
        (b"KeyRetired(address,bytes32,uint256)", 3, _key_retired),
        (b"KeyCompromised(address,bytes32,uint256,uint256)", 3, _key_compromised),
        (b"ListOpened(address,bytes32,uint8,uint8,uint8,uint256)", 3, _list_opened),
        (b"ListPublished(address,bytes32,uint256,address,uint256)", 3, _list_published),
        (b"StatusChanged(address,bytes32,uint256,uint256,uint256)", 4, _status_changed),
        (b"WriterSet(address,address,address,uint16,uint48,uint256)", 4, _writer_set),
        (b"IdentityClosed(address,uint256)", 2, _identity_closed),
    )
}
TOPICS: Final = tuple(_READERS)


def slot_of(event: RegistryEvent) -> bytes:
    """The slot that the event's write changed, beside the identity's counter."""
    match event:
        case Anchored():
            return registry.anchor_slot(event.identity, event.commitment)
        case KeyAdded() | KeyRetired() | KeyCompromised():
            return registry.key_hash_slot(event.identity, event.key_hash)
        case ListOpened() | ListPublished():
            return registry.list_slot(event.identity, event.list_id)
        case StatusChanged():
            return registry.status_slot(event.identity, event.list_id, event.word)
        case WriterSet():
            return registry.writer_slot(event.identity, event.owner, event.writer)
        case IdentityClosed():
            return registry.closed_slot(event.identity)
    raise TypeError("no event of the registry")


def word_after(event: RegistryEvent, before: int, block_time: int) -> int:
    """What `slot_of(event)` holds after the write, from what it held `before` and the Unix time of its block.

    NotVerified where the contract would not have written this over that.
    """
    block = event.block_number
    match event:
        case Anchored():
            _require(before == 0)
            return block | block_time << 48 | event.n << 96
        case KeyAdded() | KeyRetired() | KeyCompromised():
            return _window_after(event, before)
        case ListOpened():
            _require(before == 0)
            return event.mode | event.log2_entries << 8 | event.status_size << 16 | block << 24
        case ListPublished():
            _require(before != 0 and event.sequence == _field(before, 72, 24) + 1)
            kept = _field(before, 0, 72)
            return kept | event.sequence << 72 | int.from_bytes(event.pointer, "big") << 96
        case StatusChanged():
            _require(event.bits != before)
            return event.bits
        case WriterSet():
            return event.roles | event.until << 16
        case IdentityClosed():
            _require(before == 0)
            return block
    raise TypeError("no event of the registry")


def _window_after(event: KeyAdded | KeyRetired | KeyCompromised, before: int) -> int:
    """The key's window (`registry.KeyWindow`)."""
    block, until = event.block_number, _field(before, 48, 48)
    if isinstance(event, KeyAdded):
        _require(before == 0 and event.purposes != 0)
        return block | event.purposes << 192
    if isinstance(event, KeyRetired):
        _require(before != 0 and until == 0)
        return before | block << 48
    declared = _field(before, 96, 48)
    _require(before != 0 and (declared == 0 or event.since < declared))
    kept = _field(before, 0, 48) | before >> 192 << 192
    return kept | (until or block) << 48 | event.since << 96 | block << 144


def _field(word: int, lowest: int, count: int) -> int:
    return word >> lowest & (1 << count) - 1


def _require(possible: bool) -> None:
    if not possible:
        raise NotVerified(
            "an event that the registry would not have emitted after those before it",
            type=_NOT_EMITTED,
        )
