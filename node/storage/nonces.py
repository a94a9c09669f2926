"""Single-use values: the issuer's c_nonces and the verifier's challenges, by hash.

A used value is remembered until it would have expired anyway, so that a replay is told from a stranger.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from sqlalchemy import Column, LargeBinary, Table, and_, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.storage.protocols.verifier import NoncePurpose, NonceUse
from node.storage.schema import Choice, Instant, metadata

nonces_table: Final = Table(
    "nonces",
    metadata,
    Column("purpose", Choice(NoncePurpose), primary_key=True),
    Column("nonce_hash", LargeBinary, primary_key=True),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("used_at", Instant),
)
_n: Final = nonces_table.c


class SqlNonces:
    """`protocols.Nonces`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, purpose: NoncePurpose, nonce_hash: bytes, expires_at: datetime) -> None:
        """Record a value that was handed out."""
        await self._connection.execute(
            insert(nonces_table).values(purpose=purpose, nonce_hash=nonce_hash, expires_at=expires_at)
        )

    async def use(self, purpose: NoncePurpose, nonce_hash: bytes, now: datetime) -> NonceUse:
        """Use a value up: FRESH once and never again."""
        where = and_(_n.purpose == purpose, _n.nonce_hash == nonce_hash)
        query = select(_n.expires_at, _n.used_at).where(where)
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            return NonceUse.UNKNOWN
        if row.used_at is not None:
            return NonceUse.USED
        if now >= row.expires_at:
            return NonceUse.EXPIRED
        await self._connection.execute(update(nonces_table).where(where).values(used_at=now))
        return NonceUse.FRESH

    async def count(self, purpose: NoncePurpose, now: datetime) -> int:
        """How many are out and neither used nor expired."""
        query = select(func.count()).where(_n.purpose == purpose, _n.used_at.is_(None), _n.expires_at > now)
        return (await self._connection.execute(query)).scalar_one()

    async def trim(self, purpose: NoncePurpose, most: int) -> int:
        """Forget all but the `most` that end last."""
        query = select(_n.expires_at).where(_n.purpose == purpose).order_by(_n.expires_at.desc())
        end = (await self._connection.execute(query.offset(most).limit(1))).scalar()
        if end is None:
            return 0
        statement = delete(nonces_table).where(_n.purpose == purpose, _n.expires_at <= end)
        return (await self._connection.execute(statement)).rowcount

    async def purge(self, before: datetime) -> int:
        """Forget what expired before a time."""
        return (await self._connection.execute(delete(nonces_table).where(_n.expires_at < before))).rowcount
