"""A second chain, to which each commitment goes as well: a further record of the time, which no verdict reads.

The same identity anchors there by the same writer, whose role its owner asks for once. The calls have an outbox and
nonces of their own; what stands in their way is told and holds up nothing on the chain of the DID.
"""

from __future__ import annotations

from typing import Final

from node.chain.transactions import CredentialRegistryCalls
from node.core.errors import Misconfigured, Unavailable
from node.core.evm.header import Header
from node.core.evm.registry import WriterRole
from node.services import registration
from node.services.dispatch import Dispatcher, Trouble
from node.services.issuer import Issuer, SecondChain, address_of
from node.services.writers import writer_record
from node.storage.protocols.batches import Batch
from node.storage.protocols.issuer import IssuerKey, KeyRole
from node.storage.protocols.outbox import OutboxEntry, TransactionState
from node.storage.protocols.store import Transaction

_SET_WRITER: Final = "set_writer"


class OnSecondChain:
    """The worker's hand on the second chain."""

    def __init__(self, issuer: Issuer, second: SecondChain) -> None:
        self._issuer = issuer
        self._chain = second.chain
        self._calls = CredentialRegistryCalls(second.chain.network.credential_registry)
        self._dispatcher = Dispatcher(issuer, second.chain, _nothing_follows, self.name)
        self._is_ready = False
        self.is_needed = second.is_needed

    @property
    def name(self) -> str:
        """Its CAIP-2 id."""
        return self._chain.network.chain

    async def promise(self, transaction: Transaction, batch: Batch, writer: IssuerKey) -> None:
        """Ask for a batch's commitment to be anchored there too, in the transaction that seals it."""
        call = self._calls.anchor(self._issuer.identity, batch.commitment)
        now = self._issuer.clock()
        entry = await transaction.outbox.add("anchor", address_of(writer), call.to, call.data, now, self.name)
        await transaction.batches.add_second(batch.id, self.name, entry.id)

    async def advance(self) -> list[Trouble]:
        """Take its calls as far as they go now; an endpoint that cannot be asked is a trouble like any other."""
        try:
            return await self._advance()
        except (Unavailable, Misconfigured) as error:
            return [Trouble(None, "second chain", f"{self.name}: {error.detail}")]

    async def _advance(self) -> list[Trouble]:
        async with self._issuer.store.reading() as reading:
            writer = await reading.keys.active(KeyRole.WRITER)
        if writer is None:
            return []
        header = await self._chain.finalized()
        if not self._is_ready:
            await self._chain.check()
            self._is_ready = await self._has_role(writer, header)
        # Before its role stands the contract refuses what the writer asks.
        troubles = await self._dispatcher.advance(header, None if self._is_ready else _SET_WRITER)
        if self._dispatcher.fault is not None:
            troubles.append(Trouble(None, "second chain", self._dispatcher.fault.detail))
        return troubles

    async def _has_role(self, writer: IssuerKey, header: Header) -> bool:
        record = await writer_record(self._issuer, writer, header, self._chain)
        if WriterRole.ANCHOR in record.roles:
            return True
        async with self._issuer.store.transaction() as transaction:
            asked = [
                *await transaction.outbox.unfinished(limit=1000, chain=self.name),
                *await transaction.outbox.in_state(TransactionState.PARKED, 1000, self.name),
            ]
            if all(entry.purpose != _SET_WRITER for entry in asked):
                await self._ask_for_role(transaction, writer)
        return False

    async def _ask_for_role(self, transaction: Transaction, writer: IssuerKey) -> None:
        now = self._issuer.clock()
        until = int((now + registration.WRITER_VALIDITY).timestamp())
        roles = int(WriterRole.ANCHOR)
        call = self._calls.set_writer(self._issuer.identity, address_of(writer), roles, until)
        owner = address_of(await registration.owner_of(transaction))
        await transaction.outbox.add(_SET_WRITER, owner, call.to, call.data, now, self.name)


async def _nothing_follows(_: Transaction, __: OutboxEntry) -> None:
    return None
