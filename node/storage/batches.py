"""What is to be anchored: items that wait, batches that were sealed, and the place of each item in its tree.

Items without a batch are the open batch. A batch has no state of its own beyond "sealed": whatever comes
later is the state of the transaction that carries its commitment, so the two cannot disagree.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    LargeBinary,
    Select,
    SmallInteger,
    String,
    Table,
    UniqueConstraint,
    and_,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from node.core.errors import Conflict, NotFound
from node.storage.credentials import credentials_table
from node.storage.outbox import outbox_table
from node.storage.protocols.batches import (
    AnchoredPlace,
    AnchorItem,
    Batch,
    BatchCost,
    BatchTally,
    ItemPlace,
    Waiting,
)
from node.storage.protocols.outbox import Spent, TransactionState
from node.storage.schema import AnyRow, Instant, Serial, chunks, execute_many, metadata, serial_column

KIND_CREDENTIAL: Final = 1  # FORMATS.md section 4

batches_table: Final = Table(
    "batches",
    metadata,
    serial_column(),
    Column("commitment", LargeBinary, nullable=False, unique=True),
    Column("size", BigInteger, nullable=False),
    Column("root", LargeBinary, nullable=False),
    Column("sealed_at", Instant, nullable=False),
    Column("transaction_id", Serial, ForeignKey(outbox_table.c.id), unique=True),
)
_b: Final = batches_table.c

items_table: Final = Table(
    "anchor_items",
    metadata,
    serial_column(),
    Column("kind", SmallInteger, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("added_at", Instant, nullable=False),
    Column("batch_id", Serial, ForeignKey(_b.id), index=True),
    Column("salt", LargeBinary),
    Column("index", BigInteger),
    Column("path", LargeBinary),
    UniqueConstraint("kind", "digest"),
)
_i: Final = items_table.c

witness_anchors_table: Final = Table(
    "witness_anchors",
    metadata,
    Column("batch_id", Serial, ForeignKey(_b.id), primary_key=True, autoincrement=False),
    Column("chain", String(64), primary_key=True),
    Column("transaction_id", Serial, ForeignKey(outbox_table.c.id), nullable=False, unique=True),
)
_v: Final = witness_anchors_table.c

_BATCH: Final = select(
    _b.id,
    _b.commitment,
    _b.size,
    _b.root,
    _b.sealed_at,
    _b.transaction_id,
    outbox_table.c.state,
    outbox_table.c.block_number,
).outerjoin(outbox_table, _b.transaction_id == outbox_table.c.id)

_PLACE: Final = (
    select(
        _i.id.label("item_id"),
        _i.kind,
        _i.digest,
        _i.added_at,
        _i.salt,
        _i.index.label("leaf_index"),
        _i.path,
        *_BATCH.selected_columns,
    )
    .select_from(items_table)
    .join(batches_table, _i.batch_id == _b.id)
    .outerjoin(outbox_table, _b.transaction_id == outbox_table.c.id)
)

# What is signed and not even enqueued counts as well: hence outer joins from the credential.
_OF_KEY: Final = (
    select(func.count())
    .select_from(credentials_table)
    .outerjoin(items_table, and_(_i.kind == KIND_CREDENTIAL, _i.digest == credentials_table.c.digest))
    .outerjoin(batches_table, _i.batch_id == _b.id)
    .outerjoin(outbox_table, _b.transaction_id == outbox_table.c.id)
)

_GIVE_PLACE: Final = (
    update(items_table)
    .where(_i.id == bindparam("of_item"))
    .values(
        batch_id=bindparam("of_batch"),
        salt=bindparam("of_salt"),
        index=bindparam("of_index"),
        path=bindparam("of_path"),
    )
)


class SqlBatches:
    """`protocols.Batches`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def enqueue(self, kind: int, digests: Sequence[bytes], now: datetime) -> int:
        """Let digests wait for the next batch."""
        known: set[bytes] = set()
        for some in chunks(digests):
            query = select(_i.digest).where(_i.kind == kind, _i.digest.in_(some))
            known.update((await self._connection.execute(query)).scalars())
        # dict keeps the order in which they came and drops repetitions.
        new = [digest for digest in dict.fromkeys(digests) if digest not in known]
        for some in chunks(new):
            rows = [(kind, digest, now) for digest in some]
            names = ("kind", "digest", "added_at")
            await execute_many(self._connection, insert(items_table), names, rows)
        return len(new)

    async def waiting(self, most: int | None = None) -> Waiting:
        """The open batch in numbers; or no more than those `most` items of it that have waited longest."""
        chosen = select(_i.added_at).where(_i.batch_id.is_(None))
        items = (chosen if most is None else chosen.order_by(_i.id).limit(most)).subquery()
        query = select(func.count().label("number"), func.min(items.c.added_at).label("oldest"))
        row = (await self._connection.execute(query.select_from(items))).one()
        return Waiting(row.number, row.oldest)

    async def load_waiting(self, limit: int) -> tuple[AnchorItem, ...]:
        """The items that have waited longest."""
        query = select(_i.id, _i.kind, _i.digest, _i.added_at).where(_i.batch_id.is_(None))
        rows = await self._connection.execute(query.order_by(_i.id).limit(limit))
        return tuple(AnchorItem(*row) for row in rows.all())

    async def seal(
        self, commitment: bytes, size: int, root: bytes, places: Sequence[ItemPlace], now: datetime
    ) -> Batch:
        """Close a batch over items that wait."""
        ids = [place.item_id for place in places]
        free = 0
        for some in chunks(ids):
            query = select(func.count()).where(_i.id.in_(some), _i.batch_id.is_(None))
            free += (await self._connection.execute(query)).scalar_one()
        if not places or free != len(ids):
            raise Conflict("a batch is sealed over items that wait, each once")
        statement = insert(batches_table).values(commitment=commitment, size=size, root=root, sealed_at=now)
        batch_id = (await self._connection.execute(statement.returning(_b.id))).scalar_one()
        for part in chunks(places):
            rows = [
                (place.item_id, batch_id, place.salt, place.index, b"".join(place.path)) for place in part
            ]
            names = ("of_item", "of_batch", "of_salt", "of_index", "of_path")
            await execute_many(self._connection, _GIVE_PLACE, names, rows)
        return Batch(batch_id, commitment, size, root, now, None, None, None)

    async def attach(self, batch_id: int, transaction_id: int) -> None:
        """Name the transaction that carries the commitment."""
        batch = await self.load(batch_id)
        if batch is None:
            raise NotFound(f"no batch {batch_id}")
        if batch.transaction_id not in (None, transaction_id):
            raise Conflict(f"batch {batch_id} is carried by transaction {batch.transaction_id}")
        statement = update(batches_table).where(_b.id == batch_id)
        await self._connection.execute(statement.values(transaction_id=transaction_id))

    async def add_second(self, batch_id: int, chain: str, transaction_id: int) -> None:
        """Name the transaction that carries the commitment to a second chain."""
        await self._connection.execute(
            insert(witness_anchors_table).values(
                batch_id=batch_id, chain=chain, transaction_id=transaction_id
            )
        )

    async def on_second_chain(self) -> frozenset[int]:
        """Batches final on a second chain and not on the own one."""
        own, theirs = outbox_table.alias(), outbox_table.alias()
        query = (
            select(_v.batch_id)
            .join(theirs, _v.transaction_id == theirs.c.id)
            .join(batches_table, _v.batch_id == _b.id)
            .join(own, _b.transaction_id == own.c.id)
            .where(theirs.c.state == TransactionState.FINAL, own.c.state != TransactionState.FINAL)
        )
        return frozenset((await self._connection.execute(query)).scalars())

    async def costs(self, limit: int) -> tuple[BatchCost, ...]:
        """What the newest final batches cost, newest first."""
        o = outbox_table.c
        query = (
            select(_b.id, func.count(_i.id).label("items"), o.gas_used, o.gas_price)
            .join(outbox_table, _b.transaction_id == o.id)
            .join(items_table, _i.batch_id == _b.id)
            .where(o.state == TransactionState.FINAL, o.gas_used.is_not(None), o.gas_price.is_not(None))
            .group_by(_b.id, o.gas_used, o.gas_price)
            .order_by(_b.id.desc())
            .limit(limit)
        )
        rows = await self._connection.execute(query)
        return tuple(BatchCost(row.id, row.items, Spent(row.gas_used, row.gas_price)) for row in rows)

    async def load(self, batch_id: int) -> Batch | None:
        """One batch."""
        return await self._one(_BATCH.where(_b.id == batch_id))

    async def unfinished(self) -> tuple[Batch, ...]:
        """Batches whose transaction is not final (or not made), oldest first."""
        state = outbox_table.c.state
        query = _BATCH.where(or_(state.is_(None), state != TransactionState.FINAL)).order_by(_b.id)
        return tuple(_batch(row) for row in await self._connection.execute(query))

    async def places(self, batch_id: int) -> tuple[AnchoredPlace, ...]:
        """All places of a batch."""
        query = _PLACE.where(_i.batch_id == batch_id).order_by(_i.id)
        return tuple(_anchored(row) for row in await self._connection.execute(query))

    async def find_place(self, kind: int, digest: bytes) -> AnchoredPlace | None:
        """Where a digest is anchored."""
        query = _PLACE.where(_i.kind == kind, _i.digest == digest)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _anchored(row)

    async def unanchored_of_key(self, key_multibase: str) -> int:
        """Credentials signed with a key whose batch is not final."""
        state = outbox_table.c.state
        query = _OF_KEY.where(
            credentials_table.c.key_multibase == key_multibase,
            or_(state.is_(None), state != TransactionState.FINAL),
        )
        return (await self._connection.execute(query)).scalar_one()

    async def tallies(self) -> tuple[BatchTally, ...]:
        """The final batches, oldest first, with how many items of each kind are in them."""
        counting = select(_i.batch_id, _i.kind, func.count().label("number")).group_by(_i.batch_id, _i.kind)
        kinds: dict[int, dict[int, int]] = {}
        for row in await self._connection.execute(counting.where(_i.batch_id.is_not(None))):
            kinds.setdefault(row.batch_id, {})[row.kind] = row.number
        query = _BATCH.where(outbox_table.c.state == TransactionState.FINAL).order_by(_b.id)
        batches = [_batch(row) for row in await self._connection.execute(query)]
        return tuple(BatchTally(batch, kinds.get(batch.id, {})) for batch in batches)

    async def anchored_of_key(self, key_multibase: str, since_block: int) -> int:
        """Credentials signed with a key that are final, anchored in that block or later."""
        query = _OF_KEY.where(
            credentials_table.c.key_multibase == key_multibase,
            outbox_table.c.state == TransactionState.FINAL,
            outbox_table.c.block_number >= since_block,
        )
        return (await self._connection.execute(query)).scalar_one()

    async def _one(self, query: Select[Any]) -> Batch | None:
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _batch(row)


def _batch(row: AnyRow) -> Batch:
    return Batch(
        row.id,
        row.commitment,
        row.size,
        row.root,
        row.sealed_at,
        row.transaction_id,
        row.state,
        row.block_number,
    )


def _anchored(row: AnyRow) -> AnchoredPlace:
    path = tuple(row.path[start : start + 32] for start in range(0, len(row.path), 32))
    return AnchoredPlace(
        AnchorItem(row.item_id, row.kind, row.digest, row.added_at),
        ItemPlace(row.item_id, row.salt, row.leaf_index, path),
        _batch(row),
    )
