"""The verifier's OpenID4VP requests and the reports they led to.

A report says what somebody holds: it is kept until the request expires and purged after.
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Final

from sqlalchemy import Column, LargeBinary, Table, Text, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from node.core.errors import Conflict, NotFound
from node.storage.protocols.verifier import NonceUse, PresentationRequest
from node.storage.schema import Instant, load_record, metadata

requests_table: Final = Table(
    "presentation_requests",
    metadata,
    Column("id_hash", LargeBinary, primary_key=True),
    Column("state_hash", LargeBinary, nullable=False, unique=True),
    Column("nonce", Text, nullable=False),
    Column("request", LargeBinary, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
    Column("taken_at", Instant),
    Column("report", LargeBinary),
    Column("response_code_hash", LargeBinary),
    Column("answered_at", Instant),
)
_r: Final = requests_table.c


class SqlPresentationRequests:
    """`protocols.PresentationRequests`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, request: PresentationRequest) -> None:
        """Record a request before it is shown."""
        await self._connection.execute(insert(requests_table).values(**asdict(request)))

    async def load(self, id_hash: bytes) -> PresentationRequest | None:
        """By the id of the result."""
        query = select(requests_table).where(_r.id_hash == id_hash)
        return await load_record(self._connection, query, PresentationRequest)

    async def find_by_state(self, state_hash: bytes) -> PresentationRequest | None:
        """By the state that the wallet returns."""
        query = select(requests_table).where(_r.state_hash == state_hash)
        return await load_record(self._connection, query, PresentationRequest)

    async def take(self, state_hash: bytes, now: datetime) -> tuple[NonceUse, PresentationRequest | None]:
        """Begin to answer a request; only the first answer gets it."""
        request = await self.find_by_state(state_hash)
        if request is None:
            return NonceUse.UNKNOWN, None
        if request.taken_at is not None:
            return NonceUse.USED, request
        if now >= request.expires_at:
            return NonceUse.EXPIRED, request
        statement = update(requests_table).where(_r.state_hash == state_hash).values(taken_at=now)
        await self._connection.execute(statement)
        return NonceUse.FRESH, request

    async def record_report(
        self, id_hash: bytes, report: bytes, response_code_hash: bytes | None, now: datetime
    ) -> None:
        """Keep the result of a request that was taken."""
        request = await self.load(id_hash)
        if request is None:
            raise NotFound("no such presentation request")
        if request.taken_at is None or request.answered_at is not None:
            raise Conflict("a presentation request is answered once, after it was taken")
        statement = update(requests_table).where(_r.id_hash == id_hash)
        values = {"report": report, "response_code_hash": response_code_hash, "answered_at": now}
        await self._connection.execute(statement.values(**values))

    async def count(self, now: datetime) -> int:
        """How many wait for an answer."""
        query = select(func.count()).where(_r.taken_at.is_(None), _r.expires_at > now)
        return (await self._connection.execute(query)).scalar_one()

    async def purge(self, before: datetime) -> int:
        """Forget requests, reports included, that expired before a time."""
        return (await self._connection.execute(delete(requests_table).where(_r.expires_at < before))).rowcount
