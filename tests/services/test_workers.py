"""Several workers of one issuer at once, each with connections of its own, as processes on one database have them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.chain import RunningChain
from fixtures.databases import empty, postgres
from fixtures.issuers import PASSPHRASE, URL
from services.test_anchoring import head, writer_nonce
from storage.conftest import place, sqlite_template

from node.commands.issuer_folder import Folder, open_chain
from node.core.anchor import STATUS_LIST
from node.services import setup
from node.services.anchoring import AnchorWorker
from node.services.issuer import AnchoringTerms, Issuer
from node.storage.database import open_database
from node.storage.protocols.outbox import TransactionState

__all__ = ["place", "postgres", "sqlite_template"]
WORKERS, BATCHES, ITEMS = 4, 5, 6


@pytest.fixture
async def workers(
    place: tuple[str, str | None], devchain: RunningChain, made_school: Path, standards: Any, tmp_path: Path
) -> AsyncIterator[list[Issuer]]:
    """One issuer, opened as often as there are workers."""
    url, schema = place
    networks = Folder.load(made_school).networks()
    folder = tmp_path / "issuer"
    async with AsyncExitStack() as stack:
        chain = await stack.enter_async_context(open_chain(devchain.url, networks))
        stores = [await open_database(url, schema=schema) for _ in range(WORKERS)]
        if schema is not None:
            await empty(url, schema)
        for store in stores:
            stack.push_async_callback(store.close)
        made = await setup.create_on_chain(
            setup.Place(folder, stores[0], PASSPHRASE), standards, chain, "A school", URL
        )
        await setup.fund(made.require_chain(), devchain.key, await setup.shortages(made))
        await setup.register(made)
        await AnchorWorker(made).run_until_done(timeout_seconds=60)
        terms = AnchoringTerms(batch_size=ITEMS)
        yield [replace(made, store=store, anchoring=terms) for store in stores]


async def test_what_is_promised_once_is_anchored_once_however_many_work_at_it(workers: list[Issuer]) -> None:
    one = workers[0]
    written, nonce = await head(one), await writer_nonce(one)
    async with one.store.transaction() as transaction:
        digests = [secrets.token_bytes(32) for _ in range(BATCHES * ITEMS)]
        await transaction.batches.enqueue(STATUS_LIST, digests, one.clock())
    ticks = await asyncio.gather(
        *(AnchorWorker(issuer).run_until_done(timeout_seconds=60) for issuer in workers)
    )
    assert all(tick.is_done and not tick.parked for tick in ticks)
    assert await head(one) == written + BATCHES
    assert await writer_nonce(one) == nonce + BATCHES
    async with one.store.reading() as reading:
        final = await reading.outbox.in_state(TransactionState.FINAL)
        anchors = [entry for entry in final if entry.purpose == "anchor"]
        signed = [await reading.outbox.attempts(entry.id) for entry in anchors]
    assert sorted(entry.nonce or 0 for entry in anchors) == list(range(nonce, nonce + BATCHES))
    assert [len(attempts) for attempts in signed] == [1] * BATCHES
