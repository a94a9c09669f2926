"""What a verifier that follows found of the domains of the issuers that it recognises."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, fields
from datetime import datetime
from typing import Final

from sqlalchemy import Column, Table, Text, delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from node.core.verify.domains import DomainLink, How, LinkOutcome
from node.storage.schema import Choice, Instant, chunks, metadata, record

links_table: Final = Table(
    "domain_links",
    metadata,
    Column("did", Text, primary_key=True),
    Column("origin", Text, primary_key=True),
    Column("how", Choice(How), primary_key=True),
    Column("outcome", Choice(LinkOutcome), nullable=False),
    Column("checked", Instant, nullable=False),
    Column("confirmed", Instant),
    Column("fault", Text),
)
_link: Final = links_table.c
_LINK: Final = [_link[field.name] for field in fields(DomainLink)]


class SqlDomainLinks:
    """`protocols.DomainLinks`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def of(self, dids: Collection[str]) -> list[DomainLink]:
        """All findings of some DIDs, by DID, origin and place."""
        found = []
        for some in chunks(sorted(dids)):
            query = select(*_LINK).where(_link.did.in_(some))
            found += [record(DomainLink, row) for row in await self._connection.execute(query)]
        # Sorted here: databases differ in how they order texts.
        return sorted(found, key=lambda link: (link.did, link.origin, link.how != How.SITE))

    async def save(self, link: DomainLink) -> None:
        """Record a finding, in the place of the one before."""
        where = (_link.did == link.did, _link.origin == link.origin, _link.how == link.how)
        await self._connection.execute(delete(links_table).where(*where))
        await self._connection.execute(insert(links_table).values(**asdict(link)))

    async def forget(self, checked_before: datetime) -> int:
        """Forget findings that were not renewed since a time; how many."""
        result = await self._connection.execute(delete(links_table).where(_link.checked < checked_before))
        return result.rowcount
