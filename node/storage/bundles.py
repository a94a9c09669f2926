"""Proofs kept for holders until they fetch them. Losing them costs time: the chain can prove it all again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Final

from sqlalchemy import BigInteger, Column, LargeBinary, Table, and_, delete, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from node.storage.batches import KIND_CREDENTIAL, batches_table, items_table
from node.storage.outbox import outbox_table
from node.storage.protocols.batches import StoredBundle
from node.storage.protocols.outbox import TransactionState
from node.storage.schema import Instant, chunks, load_record, metadata

bundles_table: Final = Table(
    "bundles",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("header_number", BigInteger, nullable=False),
    Column("header_hash", LargeBinary, nullable=False),
    Column("proven_at", Instant, nullable=False),
)
_b: Final = bundles_table.c


class SqlBundles:
    """`protocols.Bundles`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def save(self, bundles: Sequence[StoredBundle]) -> None:
        """Keep bundles; a newer header takes the place of an older one, never the other way round."""
        for some in chunks(bundles):
            query = select(_b.digest, _b.header_number).where(_b.digest.in_([one.digest for one in some]))
            known = {row.digest: row.header_number for row in await self._connection.execute(query)}
            newer = [one for one in some if known.get(one.digest, -1) <= one.header_number]
            if newer:
                old = delete(bundles_table).where(_b.digest.in_([one.digest for one in newer]))
                await self._connection.execute(old)
                await self._connection.execute(insert(bundles_table), [asdict(one) for one in newer])

    async def load(self, digest: bytes) -> StoredBundle | None:
        """The newest bundle of a credential."""
        return await load_record(
            self._connection, select(bundles_table).where(_b.digest == digest), StoredBundle
        )

    async def due(
        self, header_number: int, limit: int = 100, *, step: int | None = None
    ) -> tuple[bytes, ...]:
        """Digests of anchored, final credentials that have no bundle proven at `header_number` or later."""
        items, batches, outbox = items_table.c, batches_table.c, outbox_table.c
        older = _b.header_number < header_number
        if step is not None:
            older = and_(older, _b.header_number % step != 0)
        query = (
            select(items.digest)
            .join(batches_table, items.batch_id == batches.id)
            .join(outbox_table, batches.transaction_id == outbox.id)
            .outerjoin(bundles_table, items.digest == _b.digest)
            .where(
                items.kind == KIND_CREDENTIAL,
                outbox.state == TransactionState.FINAL,
                outbox.block_number <= header_number,
                or_(_b.header_number.is_(None), older),
            )
            .order_by(items.id)
            .limit(limit)
        )
        return tuple((await self._connection.execute(query)).scalars())
