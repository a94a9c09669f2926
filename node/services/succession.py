"""`issuer key replace-writer`: another key takes the writer's place, for the old one is lost or in other hands.

    old ACTIVE → RETIRING            its roles are to be taken away, first of all; from here on its key is never opened
    new PREPARED → ADDING → ACTIVE   its roles are asked for behind that, final on the chain
    what the old one had to do       once its roles have ended finally: what is not on the chain by then, the new one
                                     signs anew (`dispatch.py`)
    old RETIRING → RETIRED           when nothing of it is left

Both calls are the owner's, of two nonces in a row, so that no moment comes in which nobody took the roles from the old
one but the new one has them. Asked for in one transaction with the states: whatever runs next goes on with it.

What the old key sends before its roles end counts: the same anchors as if nothing had happened, and whatever else its
new holder does with it. What it sends afterwards the contract refuses. Between the two nothing is anchored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from node import keystore
from node.core.errors import Misconfigured
from node.core.keys import KeyKind
from node.services import registration
from node.services.issuer import Issuer, address_of
from node.services.setup import Shortage
from node.services.writers import SET_WRITER_GAS, former_writers, has_ended, writers_in_use
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.outbox import TransactionState
from node.storage.protocols.store import Transaction

# In which a command that was interrupted is run again by hand.
_LATELY: Final = timedelta(hours=24)
_LIMIT: Final = 1000


@dataclass(frozen=True, slots=True)
class Succession:
    """What replacing a writer comes to. `new` is None while nothing was asked for."""

    old: IssuerKey
    new: IssuerKey | None
    calls: int
    """Calls of the old one that are not final, on every chain."""


async def finished_lately(issuer: Issuer) -> Succession | None:
    """The replacement of the last day that is through, None where there is none or one is under way.

    Whoever ran the command and was interrupted may not know that a server has finished it.
    """
    async with issuer.store.reading() as reading:
        used, former = await writers_in_use(reading), await former_writers(reading)
    if not former or len(used) != 1 or used[0].state is not KeyState.ACTIVE:
        return None
    if former[-1].state is KeyState.RETIRING or issuer.clock() - used[0].created_at >= _LATELY:
        return None
    return Succession(former[-1], used[0], 0)


async def plan(issuer: Issuer) -> Succession:
    """The replacement under way, else what one would come to; reads only.

    Misconfigured where the owner cannot sign here, or cannot pay for its two calls: then nothing should be begun, since
    nothing could be anchored until it is through. Conflict before `issuer init` is through.
    """
    async with issuer.store.reading() as reading:
        used, former = await writers_in_use(reading), await former_writers(reading)
        owner = await registration.owner_of(reading)
        if _is_under_way(used, former):
            return Succession(former[-1], used[-1], await _left(reading, former[-1]))
        writer = await registration.writer_of(reading)
        calls = await _left(reading, writer)
    issuer.keyring.secret(owner.uri)
    client = issuer.require_chain().client
    needed = 2 * SET_WRITER_GAS * (await client.fees()).max_fee_per_gas
    balance = await client.balance(address_of(owner))
    if balance < needed:
        network = issuer.require_chain().network
        lacking = Shortage(network.chain, owner.role, address_of(owner), balance, needed)
        raise Misconfigured(f"{lacking}: send it, then run the same command again")
    return Succession(writer, None, calls)


async def begin(issuer: Issuer, folder: Path, passphrase: str) -> None:
    """Make a key and ask for it to take the writer's place; nothing where that is under way already.

    `folder` is the issuer's, and `passphrase` that of its other keys.
    """
    back = await _back_again(issuer)
    new = await _made_key(issuer, folder, passphrase)
    async with issuer.store.transaction() as transaction:
        used, former = await writers_in_use(transaction), await former_writers(transaction)
        if _is_under_way(used, former):
            return
        await transaction.keys.add(new)
        for old in (*used, *back):
            await registration.remove_writer(issuer, transaction, old)
        await registration.register_writer(issuer, transaction, new)


def _is_under_way(used: Sequence[IssuerKey], former: Sequence[IssuerKey]) -> bool:
    return bool(former) and (former[-1].state is KeyState.RETIRING or used[-1].state is not KeyState.ACTIVE)


async def _back_again(issuer: Issuer) -> list[IssuerKey]:
    """Former writers that have roles all the same: an older copy of the database may have renewed them."""
    async with issuer.store.reading() as reading:
        former = [key for key in await former_writers(reading) if key.state is KeyState.RETIRED]
    finalized = await issuer.require_chain().finalized()
    return [key for key in former if not await has_ended(issuer, key, finalized)]


async def _made_key(issuer: Issuer, folder: Path, passphrase: str) -> IssuerKey:
    async with issuer.store.reading() as reading:
        number = len(await reading.keys.all(KeyRole.WRITER)) + 1
    # Never one that lies there already: whoever took a copy of the folder may have it.
    while (path := folder / "keys" / f"writer-{number}.json").exists():
        number += 1
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    public_key = keystore.create_key(KeyKind.SECP256K1, path, passphrase)
    return IssuerKey(
        multibase=public_key.multibase,
        role=KeyRole.WRITER,
        uri=f"file:keys/{path.name}",
        verification_method=None,
        delegate=None,
        state=KeyState.PREPARED,
        valid_from=None,
        valid_until=None,
        created_at=issuer.clock(),
    )


async def _left(reading: Transaction, writer: IssuerKey) -> int:
    sender = address_of(writer)
    entries = [
        entry
        for state in TransactionState
        if state is not TransactionState.FINAL
        for entry in await reading.outbox.in_state(state, _LIMIT)
    ]
    return sum(entry.sender == sender for entry in entries)
