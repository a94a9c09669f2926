"""A server and a command on one database at one moment: what may happen once happens once."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from fixtures.databases import postgres
from fixtures.issuers import BOB, URL, CrashingStore, MakeCohort
from services.test_issuing import everything, issue
from sqlalchemy import update
from storage.conftest import place, sqlite_template
from storage.conftest import store as database

from node.chain.transactions import CredentialRegistryCalls
from node.core.anchor import STATUS_LIST
from node.core.errors import BonafidesError, Refused
from node.core.oid4vci.token import TokenRequest
from node.services import issuance, offering, status_lists
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer
from node.services.offers import MAX_TX_CODE_FAILURES, OfferDesk
from node.storage.database import Database, open_database
from node.storage.protocols.offers import OfferState
from node.storage.status_lists import lists_table

__all__ = ["database", "place", "postgres", "sqlite_template"]
Pair = tuple[Issuer, Issuer]


@pytest.fixture
def store(database: Database) -> CrashingStore:
    """That of the issuer on paper, on both databases."""
    return CrashingStore(database)


@pytest.fixture
async def pair(paper: Issuer, place: tuple[str, str | None]) -> AsyncIterator[Pair]:
    """The issuer on paper, and once more with connections of its own, as another process has them."""
    url, schema = place
    database = await open_database(url, schema=schema)
    yield paper, replace(paper, store=database)
    await database.close()


async def test_a_list_that_fills_up_has_one_successor(pair: Pair) -> None:
    async with pair[0].store.transaction() as transaction:
        full = update(lists_table).where(lists_table.c.purpose == "revocation").values(allocated=60_000)
        await transaction.status_lists._connection.execute(full)  # type: ignore[attr-defined]
    await asyncio.gather(*(status_lists.ensure_room(one) for one in pair * 4))
    async with pair[0].store.reading() as reading:
        assert len(await reading.status_lists.all("revocation")) == 2
        assert len(await reading.outbox.unfinished()) == 1


async def test_an_open_batch_is_closed_by_one(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AnchorWorker, "__init__", _on_paper)
    async with pair[0].store.transaction() as transaction:
        digests = [secrets.token_bytes(32) for _ in range(5)]
        await transaction.batches.enqueue(STATUS_LIST, digests, pair[0].clock())
    workers = [AnchorWorker(one) for one in pair * 3]
    await asyncio.gather(*(worker._close_batches(close=True) for worker in workers))
    async with pair[0].store.reading() as reading:
        assert len(await reading.batches.unfinished()) == 1
        assert len(await reading.outbox.unfinished()) == 1


async def test_a_nonce_is_given_to_one_call(pair: Pair) -> None:
    sender = secrets.token_bytes(20)
    async with pair[0].store.transaction() as transaction:
        entries = [
            await transaction.outbox.add("anchor", sender, bytes(20), b"", pair[0].clock()) for _ in range(8)
        ]

    async def number(issuer: Issuer, entry_id: int) -> int:
        async with issuer.store.transaction() as transaction:
            return await transaction.outbox.assign_nonce(entry_id, 7)

    given = await asyncio.gather(*(number(one, entry.id) for entry in entries for one in pair))
    assert sorted(set(given)) == list(range(7, 15))


async def test_a_code_is_redeemed_once(pair: Pair, make_cohort: MakeCohort) -> None:
    code, _, _ = await _offered(pair[0], make_cohort, with_tx_code=False)
    desks = [OfferDesk(one, URL) for one in pair * 3]
    answers = await asyncio.gather(
        *(desk.redeem(TokenRequest(code)) for desk in desks), return_exceptions=True
    )
    assert sum(not isinstance(answer, BaseException) for answer in answers) == 1
    assert all(isinstance(answer, Refused) for answer in answers if isinstance(answer, BaseException))


async def test_wrong_guesses_are_counted_together(pair: Pair, make_cohort: MakeCohort) -> None:
    code, tx_code, credential_id = await _offered(pair[0], make_cohort, with_tx_code=True)
    wrong = f"{(int(tx_code) + 1) % 1_000_000:06}"
    # A desk of its own for every guess, so that none waits: as many processes.
    desks = [OfferDesk(one, URL) for one in pair * MAX_TX_CODE_FAILURES]
    for desk in desks[:MAX_TX_CODE_FAILURES]:
        with pytest.raises(Refused):
            await desk.redeem(TokenRequest(code, wrong))
    with pytest.raises(Refused):
        await desks[-1].redeem(TokenRequest(code, tx_code))
    async with pair[1].store.reading() as reading:
        (offer,) = await reading.offers.of_credential(credential_id)
    assert offer.state is OfferState.BURNED


async def test_a_credential_is_signed_for_one_of_two_claimants(pair: Pair, make_cohort: MakeCohort) -> None:
    issued = await issue(pair[0], make_cohort(("s1", "", "70")))
    claims = [issuance.sign_for(one, issued[0].credential_id, BOB) for one in pair * 2]
    made = await asyncio.gather(*claims, return_exceptions=True)
    assert not [one for one in made if isinstance(one, BaseException) and not isinstance(one, BonafidesError)]
    digests = {one.signed.digest for one in made if not isinstance(one, BaseException) and one.signed}
    assert len(digests) == 1
    assert await everything(pair[0]) == (1, 1, 1)


def _on_paper(worker: AnchorWorker, issuer: Issuer) -> None:
    worker._issuer, worker._store = issuer, issuer.store
    worker._calls = CredentialRegistryCalls(bytes(20))
    worker._second = None


async def _offered(issuer: Issuer, make_cohort: MakeCohort, *, with_tx_code: bool) -> tuple[str, str, str]:
    issued = await issue(issuer, make_cohort(("s1", "", "70")))
    (made,) = await offering.offer(issuer, issued, bearer=False, with_tx_code=with_tx_code)
    view = await OfferDesk(issuer, URL).view(made.page.rpartition("/")[2])
    return view.offer.pre_authorized_code or "", made.tx_code or "", made.credential_id
