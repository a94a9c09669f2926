"""`issuer key compromise`: a key is in wrong hands. What was anchored under it from a block on is void, for good.

FORMATS.md sections 6, 9 and 11. Keys that signed and sign no more can be declared as well: a copy may turn up years
later. The declared block can be moved earlier and never later. What the key signed before that block stays good for
those who read the chain; who reads ERC-1056 alone loses all of it, since the attribute goes.
"""

from __future__ import annotations

from dataclasses import dataclass

from node.core.errors import Conflict, Malformed, NotFound
from node.core.evm.registry import KeyWindow
from node.services import registration
from node.services.issuer import Issuer
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState


@dataclass(frozen=True, slots=True)
class Loss:
    """What declaring `key` compromised since block `since` comes to; nothing has been asked for yet."""

    key: IssuerKey
    since: int
    void: int
    """Credentials of ours that are refused from then on: anchored in that block or later, or not final yet."""

    @property
    def is_under_way(self) -> bool:
        """Whether a declaration is asked for already and not final: it is gone on with, and no other is begun."""
        return self.key.state is KeyState.COMPROMISING


async def find_key(issuer: Issuer, name: str) -> IssuerKey:
    """The assertion key of a `publicKeyMultibase`, or of a verification method or its fragment; NotFound otherwise."""
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    for key in keys:
        did, _, fragment = (key.verification_method or "").rpartition("#")
        # A method of another DID may end as ours does: what cannot be taken back asks for the whole of it.
        if name == key.multibase or (fragment and name in (f"{did}#{fragment}", f"#{fragment}", fragment)):
            return key
    raise NotFound(f"no assertion key {name}: `issuer key list` names them")


async def declared(issuer: Issuer) -> dict[str, int]:
    """The keys that stand as compromised at the finalized block, by their multibase, and since which block."""
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    lost = [key for key in keys if key.state in (KeyState.COMPROMISING, KeyState.COMPROMISED)]
    if not lost:
        return {}
    finalized = await issuer.require_chain().finalized()
    windows = {key.multibase: await registration.key_window(issuer, key, finalized) for key in lost}
    return {name: window.compromised_since for name, window in windows.items() if window.compromised_since}


async def plan(issuer: Issuer, name: str, since: int | None) -> Loss:
    """What would come of it, `since` being a block or None for the newest one; reads only.

    Conflict where the chain would refuse it: a key that never was on it, or a block that is not earlier than the one
    declared already. Malformed for a block before the key's first or after the newest.
    """
    key = await find_key(issuer, name)
    newest = await issuer.require_chain().client.header("latest")
    window = await registration.key_window(issuer, key, newest)
    block = newest.number if since is None else since
    if not window.valid_from or key.state in (KeyState.PREPARED, KeyState.ADDING):
        raise Conflict("the key is not on the chain yet, or not finally: run `issuer anchor` first")
    if key.state is not KeyState.COMPROMISING:
        _check_block(window, block, newest.number)
    async with issuer.store.reading() as reading:
        void = await reading.batches.anchored_of_key(key.multibase, block)
        void += await reading.batches.unanchored_of_key(key.multibase)
    return Loss(key, block, void)


def _check_block(window: KeyWindow, block: int, newest: int) -> None:
    if window.compromised_since and block >= window.compromised_since:
        raise Conflict(
            f"the key is declared compromised since block {window.compromised_since}: that can only move earlier"
        )
    if not window.valid_from <= block <= newest:
        raise Malformed(f"the key began in block {window.valid_from} and the newest is {newest}: not {block}")


async def declare(issuer: Issuer, loss: Loss) -> None:
    """Ask for it; the worker carries it to the chain."""
    async with issuer.store.transaction() as transaction:
        key = await transaction.keys.load(loss.key.multibase)
        if key is None:
            raise NotFound("the key is gone from the database")
        await registration.compromise_key(issuer, transaction, key, loss.since)
