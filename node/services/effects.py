"""What a call of the outbox is to bring about, as storage of the CredentialRegistry that anybody can prove.

So the worker needs no memory of what it sent: a database that was restored from a backup finds its anchors on the
chain, and no receipt is believed where a slot can be looked at. Calls of the DID registry leave events alone, and a
Blockcerts transaction is its own effect: of those the receipt tells.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from node.chain.transactions import CredentialRegistryCalls
from node.core.errors import Malformed
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord, KeyWindow, ListRecord, WriterRecord
from node.storage.protocols.outbox import OutboxEntry

Values = Mapping[bytes, int]
"""Words by storage slot."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Slots, and whether their words show that the call has done its work."""

    slots: tuple[bytes, ...]
    holds: Callable[[Values], bool]
    block: Callable[[Values], int | None]
    """The block in which it was written, where the slot tells it."""
    is_lasting: Callable[[Values], bool]
    """Whether nothing that comes later undoes it: then a final block after which it is not to be seen contradicts the
    receipt that names the block.
    """


def effect_of(calls: CredentialRegistryCalls, entry: OutboxEntry) -> Effect | None:
    """What an entry is to bring about; None where no slot tells."""
    if entry.to != calls.address:
        return None
    try:
        name, arguments = calls.read(entry.data)
    except Malformed:
        return None
    make = _EFFECTS.get(name)
    return None if make is None else make(entry, *arguments)


def _one(slot: bytes, block: Callable[[int], int], holds: Callable[[int], bool] | None = None) -> Effect:
    """Of a single slot, which holds the block in which it was written; lasting."""
    return Effect(
        (slot,),
        lambda values: bool((holds or block)(values[slot])),
        lambda values: block(values[slot]),
        lambda _: True,
    )


def _anchor(_: OutboxEntry, identity: str, commitment: bytes) -> Effect:
    slot = registry.anchor_slot(_address(identity), commitment)
    return _one(slot, lambda word: AnchorRecord.from_word(word).block)


def _add_key(_: OutboxEntry, identity: str, key: bytes, _purposes: int) -> Effect:
    slot = registry.key_slot(_address(identity), key)
    return _one(slot, lambda word: KeyWindow.from_word(word).valid_from)


def _retire_key(_: OutboxEntry, identity: str, key_hash: bytes) -> Effect:
    slot = registry.key_hash_slot(_address(identity), key_hash)
    return _one(slot, lambda word: KeyWindow.from_word(word).until)


def _compromise_key(_: OutboxEntry, identity: str, key_hash: bytes, since: int) -> Effect:
    slot = registry.key_hash_slot(_address(identity), key_hash)

    def holds(word: int) -> bool:
        return 0 < KeyWindow.from_word(word).compromised_since <= since

    return _one(slot, lambda word: KeyWindow.from_word(word).declared, holds)


def _open_list(
    _: OutboxEntry, identity: str, list_id: bytes, _mode: int, _log2_entries: int, _size: int
) -> Effect:
    slot = registry.list_slot(_address(identity), list_id)
    return _one(slot, lambda word: ListRecord.from_word(word).opened)


def _publish_list(_: OutboxEntry, identity: str, list_id: bytes, pointer: str) -> Effect:
    slot = registry.list_slot(_address(identity), list_id)

    def holds(values: Values) -> bool:
        return ListRecord.from_word(values[slot]).pointer == _address(pointer)

    # A later call may have pointed elsewhere.
    return Effect((slot,), holds, _untold, lambda _: False)


def _close(_: OutboxEntry, identity: str) -> Effect:
    return _one(registry.closed_slot(_address(identity)), lambda word: word)


def _set_writer(entry: OutboxEntry, identity: str, writer: str, roles: int, until: int) -> Effect:
    # `sender` is the owner: nobody else may.
    slot = registry.writer_slot(_address(identity), entry.sender, _address(writer))

    def holds(values: Values) -> bool:
        record = WriterRecord.from_word(values[slot])
        return (int(record.roles), record.until) == (roles, until)

    return Effect((slot,), holds, _untold, lambda _: False)


def _set_status(
    _: OutboxEntry, identity: str, list_id: bytes, changes: tuple[tuple[int, int, int], ...]
) -> Effect:
    slots = [registry.status_slot(_address(identity), list_id, word) for word, _, _ in changes]
    list_slot = registry.list_slot(_address(identity), list_id)

    def holds(values: Values) -> bool:
        return all(
            values[slot] & bits == bits and not values[slot] & cleared
            for slot, (_, bits, cleared) in zip(slots, changes, strict=True)
        )

    def is_lasting(values: Values) -> bool:
        # Of a settable list, another writer may have changed the same bits since.
        return ListRecord.from_word(values[list_slot]).mode == registry.MODE_OR_ONLY

    return Effect((*slots, list_slot), holds, _untold, is_lasting)


def _set_status_word(
    entry: OutboxEntry, identity: str, list_id: bytes, change: tuple[int, int, int]
) -> Effect:
    return _set_status(entry, identity, list_id, (change,))


def _untold(_: Values) -> None:
    return None


def _address(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


_EFFECTS: Final[Mapping[str, Callable[..., Effect]]] = {
    "anchor": _anchor,
    "add_key": _add_key,
    "retire_key": _retire_key,
    "compromise_key": _compromise_key,
    "open_list": _open_list,
    "publish_list": _publish_list,
    "set_writer": _set_writer,
    "set_status": _set_status,
    "set_status_word": _set_status_word,
    "close": _close,
}
