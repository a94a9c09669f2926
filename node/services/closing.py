"""`issuer close`: the end of an identity, in two steps (FORMATS.md sections 6 and 11).

    close     the identity is closed, then its keys are retired and leave the DID document. Nothing can begin any more;
              what was anchored before stays good, and its status can still be set.
    abandon   the owner becomes an address that nobody holds, and the writers end with it. What stands then stands.

Neither can be taken back. Both ask for quiet first: what is signed and not anchored would be void, and a status that is
not written would never be. The owner is not set to zero: by ERC-1056 that gives the identity back to its first key.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from node.chain.transactions import CredentialRegistryCalls, DidRegistryCalls
from node.core.errors import Conflict
from node.core.evm import registry
from node.core.evm.header import Header
from node.services import registration, rotation
from node.services.issuer import Issuer
from node.storage.protocols.credentials import CredentialState
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.outbox import TransactionState
from node.storage.protocols.store import Transaction

NOBODY: Final = bytes.fromhex("000000000000000000000000000000000000dead")
_UNSIGNED: Final = (CredentialState.INTENDED, CredentialState.WAITING)


@dataclass(frozen=True, slots=True)
class Standing:
    """How far an identity has come; `closed_block` is 0 while it is open, and final otherwise."""

    closed_block: int
    is_abandoned: bool
    unclaimed: int
    """Credentials that were intended or offered and are not signed: closing withdraws them."""


async def standing(issuer: Issuer) -> Standing:
    """What the chain shows at its finalized block, and what would be withdrawn."""
    chain = issuer.require_chain()
    finalized = await chain.finalized()
    owner = await registration.owner_at(issuer, finalized)
    async with issuer.store.reading() as reading:
        counts = await reading.credentials.counts()
    return Standing(
        await _closed_block(issuer, finalized), owner == NOBODY, sum(counts[state] for state in _UNSIGNED)
    )


async def close(issuer: Issuer) -> None:
    """Ask for the identity to be closed and its keys to end; asked for twice it is once.

    Nothing is signed from here on, and what nobody claimed is withdrawn. Conflict while something waits for the chain,
    unless the identity is closed already: by this database before it was restored, or by the owner's own hand.
    """
    chain = issuer.require_chain()
    is_closed = await _closed_block(issuer, await chain.finalized()) != 0
    call = CredentialRegistryCalls(chain.network.credential_registry).close(issuer.identity)
    async with issuer.store.transaction() as transaction:
        if not is_closed and await transaction.outbox.find("close", call.data) is None:
            await _require_quiet(transaction)
            await registration.ask_as_owner(issuer, transaction, "close", call)
        for key in await transaction.keys.all(KeyRole.ASSERTION):
            await _end(issuer, transaction, key)
        await _withdraw_unsigned(transaction)


async def abandon(issuer: Issuer) -> None:
    """Ask for the owner to be moved where nobody is; asked for twice it is once.

    Conflict while the identity is open, or something waits for the chain.
    """
    chain = issuer.require_chain()
    if not await _closed_block(issuer, await chain.finalized()):
        raise Conflict("the identity is open: close it first")
    call = DidRegistryCalls(chain.network.did_registry).change_owner(issuer.identity, NOBODY)
    async with issuer.store.transaction() as transaction:
        owner = await registration.owner_of(transaction)
        if owner.state is not KeyState.ACTIVE:
            return
        await _require_quiet(transaction)
        if await transaction.outbox.in_state(TransactionState.PARKED, limit=1):
            raise Conflict("a call is set aside, and could never be made again: see `issuer status`")
        await registration.ask_as_owner(issuer, transaction, "change_owner", call)
        await transaction.keys.move(owner.multibase, KeyState.RETIRING)


async def _closed_block(issuer: Issuer, finalized: Header) -> int:
    chain = issuer.require_chain()
    slot = registry.closed_slot(issuer.identity)
    return await chain.slot(finalized, slot)


async def _require_quiet(transaction: Transaction) -> None:
    waiting = (await transaction.batches.waiting()).count or len(await transaction.batches.unfinished())
    lists = await transaction.status_lists.all()
    words = [one for one in lists if await transaction.status_lists.pending_words(one.list_id, 1)]
    under_way = await transaction.outbox.unfinished(limit=1)
    if waiting or words or under_way or await rotation.is_settling(transaction):
        raise Conflict(
            "something waits for the chain still: run `issuer anchor` until it is final, then again"
        )


async def _end(issuer: Issuer, transaction: Transaction, key: IssuerKey) -> None:
    """Out of the DID document, and out of use; `rotation.advance` asks for its window to be closed."""
    if key.state in (KeyState.ACTIVE, KeyState.RETIRED):
        await registration.revoke_attribute(issuer, transaction, key)
    if key.state is KeyState.ACTIVE:
        await transaction.keys.move(key.multibase, KeyState.RETIRING)


async def _withdraw_unsigned(transaction: Transaction) -> None:
    for state in _UNSIGNED:
        while page := await transaction.credentials.page(state=state):
            for record in page:
                credential_id = record.intent.credential_id
                await transaction.credentials.withdraw(credential_id)
                for offer in await transaction.offers.of_credential(credential_id):
                    await transaction.offers.withdraw(offer.id)
