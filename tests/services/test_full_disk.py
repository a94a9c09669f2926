"""A disk that fills up at any moment: one clear error, nothing lost, nothing half issued.

SQLite is told how many pages its file may have; what PostgreSQL then does is its own tests' affair.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fixtures.issuers import ALICE, BOB, CrashingStore, MakeCohort
from services.test_anchoring import finish, head, writer_nonce
from services.test_issuing import everything, issue
from services.test_revocation import change, published
from sqlalchemy import event

from node.core.anchor import STATUS_LIST
from node.core.errors import Unavailable
from node.services import lookup, offering
from node.services.issuer import Issuer
from node.services.revocation import Action
from node.storage.database import Database

# So many that they do not fit into what is free in pages that the file has already.
ROWS = tuple((f"s{number}", (ALICE, "", BOB)[number % 3], "70") for number in range(12))
# More than any transaction of these tests needs.
MOST_PAGES = 60


@contextmanager
def room(issuer: Issuer, pages: int) -> Iterator[None]:
    """Let no transaction make the database's file longer by more than `pages`."""
    assert isinstance(issuer.store, CrashingStore)
    assert isinstance(issuer.store.store, Database)
    engine = issuer.store.store._engine.sync_engine

    def limit(connection: Any, most: int | None = None) -> None:
        if most is None:
            most = connection.exec_driver_sql("PRAGMA page_count").scalar() + pages
        connection.exec_driver_sql(f"PRAGMA max_page_count = {most}")

    def unlimited(connection: Any) -> None:
        limit(connection, 2**30)

    event.listen(engine, "begin", limit)
    try:
        yield
    finally:
        event.remove(engine, "begin", limit)
        event.listen(engine, "begin", unlimited)


def is_full(error: Unavailable) -> bool:
    return error.detail == "the database refused: the disk is full"


async def test_a_cohort_is_issued_once_whichever_page_is_the_last(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    refusals: list[Unavailable] = []
    for pages in range(MOST_PAGES):
        cohort = make_cohort(*ROWS, cohort=f"python-{pages}")
        before = await everything(paper)
        seen = len(refusals)
        with room(paper, pages):
            try:
                await issue(paper, cohort)
            except Unavailable as error:
                refusals.append(error)
        issued = await issue(paper, cohort)
        assert [one.state for one in issued] == ["signed", "waiting", "signed"] * 4
        after = await everything(paper)
        assert [now - then for now, then in zip(after, before, strict=True)] == [12, 8, 12]
        if len(refusals) == seen:
            break
    assert 0 < len(refusals) < MOST_PAGES
    assert all(map(is_full, refusals))


async def test_offers_are_made_for_all_or_for_none(paper: Issuer, make_cohort: MakeCohort) -> None:
    issued = await issue(paper, make_cohort(*((f"s{number}", "", "5") for number in range(60))))
    with room(paper, 0), pytest.raises(Unavailable) as caught:
        await offering.offer(paper, issued, bearer=False)
    assert is_full(caught.value)
    assert len(await offering.offer(paper, issued, bearer=False)) == 60


async def test_a_revocation_that_finds_no_room_was_not_accepted(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    rows = [(f"s{number}", ALICE, "5") for number in range(12)]
    await issue(paper, make_cohort(*rows))
    with room(paper, 0), pytest.raises(Unavailable) as caught:
        await change(paper, Action.REVOKE, *(row[0] for row in rows), reason="x" * 1000)
    assert is_full(caught.value)
    record = await lookup.find_credential(paper, "s1")
    async with paper.store.reading() as reading:
        assert await reading.status_lists.changes(record.intent.credential_id) == ()
    await change(paper, Action.REVOKE, "s1")
    assert await published(paper, "s1", "revocation") == 1


@pytest.mark.parametrize("pages", [0, 1, 2, 4])
async def test_a_batch_is_anchored_once_whichever_page_is_the_last(school: Issuer, pages: int) -> None:
    digests = [secrets.token_bytes(32) for _ in range(100)]
    async with school.store.transaction() as transaction:
        await transaction.batches.enqueue(STATUS_LIST, digests, school.clock())
    nonce, written = await writer_nonce(school), await head(school)
    refusal = None
    with room(school, pages):
        try:
            await finish(school)
        except Unavailable as error:
            refusal = error
    assert refusal is None or is_full(refusal)
    assert refusal is not None or pages > 0
    assert (await finish(school)).is_done
    assert (await writer_nonce(school), await head(school)) == (nonce + 1, written + 1)
