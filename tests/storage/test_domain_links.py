"""What was found of issuers' domains, alike on both databases."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from node.core.verify.domains import DomainLink, How, LinkOutcome
from node.storage.database import Database

NOW = datetime(2027, 5, 3, 12, tzinfo=UTC)
LINK = DomainLink(
    "did:ethr:0x1:0x" + "1" * 40, "https://school.example", How.SITE, LinkOutcome.LINKED, NOW, NOW
)


class TestDomainLinks:
    async def test_a_finding_takes_the_place_of_the_one_before(self, store: Database) -> None:
        failed = replace(
            LINK, outcome=LinkOutcome.NOT_LINKED, checked=NOW + timedelta(days=1), fault="there is none"
        )
        for link in (LINK, failed):
            async with store.transaction() as tx:
                await tx.domain_links.save(link)
        async with store.reading() as tx:
            assert await tx.domain_links.of([LINK.did]) == [failed]

    async def test_each_did_origin_and_place_has_its_own(self, store: Database) -> None:
        several = [
            LINK,
            replace(LINK, how=How.DNS, outcome=LinkOutcome.UNKNOWN, confirmed=None),
            replace(LINK, origin="https://university.example"),
        ]
        others = [replace(LINK, did=LINK.did[:-1] + "2")]
        async with store.transaction() as tx:
            for link in reversed(several + others):
                await tx.domain_links.save(link)
        async with store.reading() as tx:
            assert await tx.domain_links.of([LINK.did]) == several
            assert await tx.domain_links.of([one.did for one in others]) == others
            assert await tx.domain_links.of([]) == []

    async def test_what_nobody_renewed_is_forgotten(self, store: Database) -> None:
        newer = replace(LINK, how=How.DNS, checked=NOW + timedelta(seconds=1))
        async with store.transaction() as tx:
            await tx.domain_links.save(LINK)
            await tx.domain_links.save(newer)
            assert await tx.domain_links.forget(newer.checked) == 1
            assert await tx.domain_links.of([LINK.did]) == [newer]
