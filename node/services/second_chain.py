"""A second chain, to which each commitment goes as well: a further record of the time, which no verdict reads.

The same identity anchors there by the same writer, whose role its owner asks for once; a writer that was replaced loses
its role there as well. The calls have an outbox and nonces of their own; what stands in their way is told and holds up
nothing on the chain of the DID.
"""

from __future__ import annotations

from node.chain.transactions import CredentialRegistryCalls
from node.core.errors import Misconfigured, Unavailable
from node.core.evm.header import Header
from node.core.evm.registry import WriterRole
from node.services import registration
from node.services.dispatch import Dispatcher, Trouble
from node.services.issuer import Issuer, SecondChain, address_of
from node.services.writers import former_writers, has_ended, writer_record
from node.storage.protocols.batches import Batch
from node.storage.protocols.issuer import IssuerKey, KeyRole
from node.storage.protocols.outbox import OutboxEntry, TransactionState
from node.storage.protocols.store import Transaction


class OnSecondChain:
    """The worker's hand on the second chain."""

    def __init__(self, issuer: Issuer, second: SecondChain) -> None:
        self._issuer = issuer
        self._chain = second.chain
        self._calls = CredentialRegistryCalls(second.chain.network.credential_registry)
        self._dispatcher = Dispatcher(issuer, second.chain, _nothing_follows, self.name)
        self._ready: str | None = None  # the writer whose role stands, by its multibase
        self._removed: set[str] = set()
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
            former = await former_writers(reading)
        if writer is None and not former:
            return []
        header = await self._chain.finalized()
        for key in former:
            await self._take_role(key, header)
        is_ready = writer is not None and await self._is_ready(writer, header)
        # Before its role stands the contract refuses what the writer asks.
        troubles = await self._dispatcher.advance(header, None if is_ready else registration.SET_WRITER)
        if self._dispatcher.fault is not None:
            troubles.append(Trouble(None, "second chain", self._dispatcher.fault.detail))
        return troubles

    async def _is_ready(self, writer: IssuerKey, header: Header) -> bool:
        """Whether the writer has its role; asked for where it has not."""
        if self._ready != writer.multibase:
            await self._chain.check()
            record = await writer_record(self._issuer, writer, header, self._chain)
            if WriterRole.ANCHOR not in record.roles:
                await self._ask_once(writer, WriterRole.ANCHOR)
                return False
            self._ready = writer.multibase
        return True

    async def _take_role(self, former: IssuerKey, header: Header) -> None:
        """Ask for a former writer's role to be taken away, where it has one."""
        if former.multibase in self._removed:
            return
        async with self._issuer.store.reading() as reading:
            is_promised = await self._is_asked(reading, former, WriterRole.ANCHOR)
        if not await has_ended(self._issuer, former, header, self._chain):
            await self._ask_once(former, WriterRole(0))
        elif not is_promised:  # else it gets its role yet, by a call from before it was replaced
            self._removed.add(former.multibase)

    async def _ask_once(self, writer: IssuerKey, roles: WriterRole) -> None:
        """Ask for a writer's roles to be these from now on, unless that is asked for already."""
        async with self._issuer.store.transaction() as transaction:
            if await self._is_asked(transaction, writer, roles):
                return
            now = self._issuer.clock()
            until = int((now + registration.WRITER_VALIDITY).timestamp()) if roles else 0
            call = self._calls.set_writer(self._issuer.identity, address_of(writer), int(roles), until)
            owner = address_of(await registration.owner_of(transaction))
            await transaction.outbox.add(registration.SET_WRITER, owner, call.to, call.data, now, self.name)

    async def _is_asked(self, reading: Transaction, writer: IssuerKey, roles: WriterRole) -> bool:
        asked = [
            *await reading.outbox.unfinished(limit=1000, chain=self.name),
            *await reading.outbox.in_state(TransactionState.PARKED, 1000, self.name),
        ]
        return any(self._names(entry, writer, roles) for entry in asked)

    def _names(self, entry: OutboxEntry, writer: IssuerKey, roles: WriterRole) -> bool:
        if entry.purpose != registration.SET_WRITER:
            return False
        _, (_, named, given, _) = self._calls.read(entry.data)
        return (bytes.fromhex(named[2:]), given) == (address_of(writer), int(roles))


async def _nothing_follows(_: Transaction, __: OutboxEntry) -> None:
    return None
