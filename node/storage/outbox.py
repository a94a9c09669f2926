"""Chain transactions on their way: stored raw before they are broadcast, numbered here, followed until final.

A crash after `record_attempt` finds the raw transaction and sends the same bytes again; a crash before it has
sent nothing. Replacements (higher fee, same nonce) are further attempts: whichever is included counts. Each chain is
counted by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    String,
    Table,
    Text,
    and_,
    false,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from node.core.errors import Conflict, NotFound
from node.storage.protocols.outbox import OWN_CHAIN, Attempt, OutboxEntry, Spent, TransactionState
from node.storage.schema import Choice, Instant, Serial, load_record, metadata, record, serial_column

State = TransactionState

outbox_table: Final = Table(
    "outbox",
    metadata,
    serial_column(),
    Column("chain", String(64), nullable=False, server_default=OWN_CHAIN),
    Column("purpose", String(64), nullable=False),
    Column("sender", LargeBinary, nullable=False),
    Column("to", LargeBinary),
    Column("data", LargeBinary, nullable=False),
    Column("state", Choice(TransactionState), nullable=False, index=True),
    Column("nonce", BigInteger),
    Column("transaction_hash", LargeBinary),
    Column("block_number", BigInteger),
    Column("block_hash", LargeBinary),
    Column("gas_used", BigInteger),
    Column("gas_price", BigInteger),
    Column("fault", Text),
    Column("created_at", Instant, nullable=False),
    Column("changed_at", Instant, nullable=False),
    # Two entries never share a nonce of one sender: the later would silently displace the earlier.
    Index("uq_outbox_chain_sender_nonce", "chain", "sender", "nonce", unique=True),
)
_o: Final = outbox_table.c

attempts_table: Final = Table(
    "attempts",
    metadata,
    serial_column(),
    Column("entry_id", Serial, ForeignKey(_o.id), nullable=False, index=True),
    Column("transaction_hash", LargeBinary, nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("signed_at", Instant, nullable=False),
    # Signed by a writer that has since lost its role: kept, for its hash tells whose transaction it was.
    Column("is_void", Boolean, nullable=False, server_default=false()),
)
_a: Final = attempts_table.c

next_nonces_table: Final = Table(
    "next_nonces",
    metadata,
    Column("chain", String(64), primary_key=True),
    Column("sender", LargeBinary, primary_key=True),
    Column("next_nonce", BigInteger, nullable=False),
)
_n: Final = next_nonces_table.c

# Whatever was asked for may be found on the chain, or in a block of it, at any time.
_FOUND: Final = frozenset({State.INCLUDED, State.FINAL})
_MOVES: Final[Mapping[State, frozenset[State]]] = {
    State.PREPARED: frozenset({State.SIGNED, State.PARKED, State.FINAL}),
    State.SIGNED: frozenset({State.SIGNED, State.SENT, State.PREPARED, State.PARKED}) | _FOUND,
    State.SENT: frozenset({State.SIGNED, State.SENT, State.PREPARED, State.PARKED}) | _FOUND,
    State.INCLUDED: frozenset({State.SIGNED, State.PARKED}) | _FOUND,
    State.FINAL: frozenset({State.FINAL}),
    State.PARKED: frozenset({State.PARKED, State.PREPARED, State.SIGNED}) | _FOUND,
}


class SqlOutbox:
    """`protocols.Outbox`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(
        self,
        purpose: str,
        sender: bytes,
        to: bytes | None,
        data: bytes,
        now: datetime,
        chain: str = OWN_CHAIN,
    ) -> OutboxEntry:
        """A new entry, PREPARED."""
        statement = insert(outbox_table).values(
            chain=chain,
            purpose=purpose,
            sender=sender,
            to=to,
            data=data,
            state=State.PREPARED,
            created_at=now,
            changed_at=now,
        )
        row = (await self._connection.execute(statement.returning(*_o))).one()
        return record(OutboxEntry, row)

    async def load(self, entry_id: int) -> OutboxEntry | None:
        """One entry."""
        return await load_record(self._connection, select(outbox_table).where(_o.id == entry_id), OutboxEntry)

    async def find(self, purpose: str, data: bytes) -> OutboxEntry | None:
        """The newest entry of a purpose with this very data."""
        query = select(outbox_table).where(_o.purpose == purpose, _o.data == data)
        return await load_record(self._connection, query.order_by(_o.id.desc()).limit(1), OutboxEntry)

    async def unfinished(
        self, sender: bytes | None = None, limit: int = 100, chain: str = OWN_CHAIN
    ) -> tuple[OutboxEntry, ...]:
        """Entries of a chain neither final nor parked, in the order in which they were added."""
        query = select(outbox_table).where(_o.chain == chain, _o.state.not_in([State.FINAL, State.PARKED]))
        if sender is not None:
            query = query.where(_o.sender == sender)
        rows = await self._connection.execute(query.order_by(_o.id).limit(limit))
        return tuple(record(OutboxEntry, row) for row in rows)

    async def in_state(
        self, state: TransactionState, limit: int = 100, chain: str | None = None
    ) -> tuple[OutboxEntry, ...]:
        """Entries in a state, in the order in which they were added; of every chain unless one is named."""
        query = select(outbox_table).where(_o.state == state)
        if chain is not None:
            query = query.where(_o.chain == chain)
        rows = await self._connection.execute(query.order_by(_o.id).limit(limit))
        return tuple(record(OutboxEntry, row) for row in rows)

    async def assign_nonce(self, entry_id: int, at_least: int) -> int:
        """The entry's nonce, given once."""
        entry = await self._known(entry_id)
        if entry.nonce is not None:
            return entry.nonce
        where = and_(_n.chain == entry.chain, _n.sender == entry.sender)
        stored = (await self._connection.execute(select(_n.next_nonce).where(where))).scalar()
        # The chain's count is a floor, never a ceiling: it does not see what is signed and not yet included.
        nonce = max(stored or 0, at_least)
        if stored is None:
            await self._connection.execute(
                insert(next_nonces_table).values(chain=entry.chain, sender=entry.sender, next_nonce=nonce + 1)
            )
        else:
            await self._connection.execute(
                update(next_nonces_table).where(where).values(next_nonce=nonce + 1)
            )
        await self._connection.execute(update(outbox_table).where(_o.id == entry_id).values(nonce=nonce))
        return nonce

    async def release_nonce(self, entry_id: int, now: datetime) -> None:
        """Its nonce was used up by a foreign transaction: PREPARED again, to be signed with another."""
        entry = await self._known(entry_id)
        await self._move(
            entry, State.PREPARED, now, nonce=None, transaction_hash=None, block_number=None, block_hash=None
        )

    async def reassign(self, entry_id: int, sender: bytes, now: datetime) -> None:
        """Nothing that was signed for it can take effect any more: PREPARED again, for another sender."""
        entry = await self._known(entry_id)
        if entry.state is State.FINAL or entry.sender == sender:
            raise Conflict(f"transaction {entry_id} is {entry.state}, and cannot be given to that sender")
        await self._connection.execute(
            update(attempts_table).where(_a.entry_id == entry_id).values(is_void=True)
        )
        unsigned = dict.fromkeys(("nonce", "transaction_hash", "block_number", "block_hash", "fault"))
        unpaid = dict.fromkeys(("gas_used", "gas_price"))
        statement = update(outbox_table).where(_o.id == entry_id)
        values = {"sender": sender, "state": State.PREPARED, "changed_at": now, **unsigned, **unpaid}
        await self._connection.execute(statement.values(**values))

    async def record_attempt(self, entry_id: int, transaction_hash: bytes, raw: bytes, now: datetime) -> None:
        """Keep a signed transaction of the assigned nonce."""
        entry = await self._known(entry_id)
        if entry.nonce is None:
            raise Conflict("a transaction is signed after its nonce was assigned")
        known = {attempt.transaction_hash for attempt in await self.attempts(entry_id)}
        if transaction_hash not in known:
            await self._connection.execute(
                insert(attempts_table).values(
                    entry_id=entry_id,
                    transaction_hash=transaction_hash,
                    raw=raw,
                    nonce=entry.nonce,
                    signed_at=now,
                )
            )
        await self._move(entry, State.SIGNED, now, transaction_hash=transaction_hash, fault=None)

    async def attempts(self, entry_id: int) -> tuple[Attempt, ...]:
        """All signed forms that are not void, oldest first."""
        query = select(_a.transaction_hash, _a.raw, _a.nonce, _a.signed_at)
        query = query.where(_a.entry_id == entry_id, _a.is_void.is_(False))
        rows = await self._connection.execute(query.order_by(_a.id))
        return tuple(record(Attempt, row) for row in rows)

    async def signed(self) -> frozenset[bytes]:
        """The hash of every transaction that was signed here, for the issuer's own chain."""
        query = select(_a.transaction_hash).join(outbox_table, _a.entry_id == _o.id)
        rows = await self._connection.execute(query.where(_o.chain == OWN_CHAIN))
        return frozenset(rows.scalars())

    async def mark_sent(self, entry_id: int, now: datetime) -> None:
        """An endpoint has taken it."""
        await self._move(await self._known(entry_id), State.SENT, now)

    async def mark_included(
        self,
        entry_id: int,
        transaction_hash: bytes,
        block_number: int,
        block_hash: bytes,
        now: datetime,
        spent: Spent | None = None,
    ) -> None:
        """One of its attempts stands in a block, and what it cost there."""
        if all(known.transaction_hash != transaction_hash for known in await self.attempts(entry_id)):
            raise Conflict("a transaction that was never signed here cannot be this entry's")
        await self._move(
            await self._known(entry_id),
            State.INCLUDED,
            now,
            transaction_hash=transaction_hash,
            block_number=block_number,
            block_hash=block_hash,
            fault=None,
            gas_used=None if spent is None else spent.gas,
            gas_price=None if spent is None else spent.gas_price,
        )

    async def mark_reorganised(self, entry_id: int, now: datetime) -> None:
        """Its block is gone: SIGNED, and to be sent again."""
        gone = {"block_number": None, "block_hash": None, "gas_used": None, "gas_price": None}
        await self._move(await self._known(entry_id), State.SIGNED, now, **gone)

    async def mark_final(self, entry_id: int, now: datetime) -> None:
        """Its block is final."""
        entry = await self._known(entry_id)
        if entry.state not in (State.INCLUDED, State.FINAL):
            raise _no_move(entry, State.FINAL)
        await self._move(entry, State.FINAL, now)

    async def mark_found(self, entry_id: int, block_number: int | None, now: datetime) -> None:
        """FINAL, since the chain shows what it was to bring about."""
        entry = await self._known(entry_id)
        known = entry.block_number if block_number is None else block_number
        await self._move(entry, State.FINAL, now, block_number=known, fault=None)

    async def park(self, entry_id: int, fault: str, now: datetime, *, nonce_spent: bool = False) -> None:
        """Set it aside for the operator."""
        entry = await self._known(entry_id)
        freed = {"nonce": None, "block_number": None, "block_hash": None} if nonce_spent else {}
        await self._move(entry, State.PARKED, now, fault=fault, **freed)

    async def resume(self, entry_id: int, now: datetime) -> OutboxEntry:
        """Take a parked entry up again: with its nonce it is sent again, without it starts anew."""
        entry = await self._known(entry_id)
        if entry.state is not State.PARKED:
            raise Conflict(f"transaction {entry_id} is {entry.state}, not parked")
        signed = entry.nonce is not None and entry.transaction_hash is not None
        await self._move(entry, State.SIGNED if signed else State.PREPARED, now, fault=None)
        return await self._known(entry_id)

    async def counts(self, chain: str = OWN_CHAIN) -> Mapping[TransactionState, int]:
        """How many of a chain are in each state."""
        query = select(_o.state, func.count().label("number")).where(_o.chain == chain).group_by(_o.state)
        found = {row.state: row.number for row in await self._connection.execute(query)}
        return {state: found.get(state, 0) for state in State}

    async def spent(self, chain: str = OWN_CHAIN) -> Mapping[str, tuple[Spent, ...]]:
        """What the calls in blocks came to, by purpose."""
        query = (
            select(_o.purpose, _o.gas_used, _o.gas_price)
            .where(_o.chain == chain, _o.gas_used.is_not(None), _o.gas_price.is_not(None))
            .order_by(_o.id)
        )
        found: dict[str, list[Spent]] = {}
        for row in await self._connection.execute(query):
            found.setdefault(row.purpose, []).append(Spent(row.gas_used, row.gas_price))
        return {purpose: tuple(spent) for purpose, spent in found.items()}

    async def _known(self, entry_id: int) -> OutboxEntry:
        entry = await self.load(entry_id)
        if entry is None:
            raise NotFound(f"no transaction {entry_id} in the outbox")
        return entry

    async def _move(self, entry: OutboxEntry, state: State, now: datetime, **values: Any) -> None:
        if state not in _MOVES[entry.state]:
            raise _no_move(entry, state)
        statement = update(outbox_table).where(_o.id == entry.id)
        await self._connection.execute(statement.values(state=state, changed_at=now, **values))


def _no_move(entry: OutboxEntry, state: State) -> Conflict:
    return Conflict(f"transaction {entry.id} is {entry.state} and cannot become {state}")
