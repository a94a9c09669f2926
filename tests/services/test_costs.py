"""What anchoring costs: told before, read from receipts after, and said before the writer runs dry."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from fixtures.issuers import MakeCohort
from services.test_anchoring import finish, issue
from services.test_dispatch import anchor_entry, enqueue, priced

from node.outbound.chain import ChainClient
from node.services import costs, overview
from node.services.anchoring import AnchorWorker
from node.services.issuer import GWEI, AnchoringTerms, Issuer
from node.storage.protocols.batches import BatchCost
from node.storage.protocols.outbox import Spent


async def test_an_estimate_is_gas_by_the_endpoint_times_the_price_of_now(
    school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(monkeypatch, base_fee=3 * GWEI, tip=GWEI)
    found = await costs.estimate(replace(school, anchoring=AnchoringTerms(batch_size=100)), 250)
    assert (found.batches, found.gas_price) == (3, 4 * GWEI)
    assert 40_000 < found.gas <= costs.ANCHOR_GAS
    assert found.wei == 3 * found.gas * 4 * GWEI
    assert found.to_json()["wei_per_item"] == -(-found.wei // 250)
    assert "3 anchors" in str(found)


async def test_what_a_batch_cost_is_what_its_receipt_says(school: Issuer, make_cohort: MakeCohort) -> None:
    await issue(school, make_cohort)
    await finish(school)
    entry = await anchor_entry(school)
    receipt = await school.require_chain().client.receipt(entry.transaction_hash or b"")
    assert receipt is not None
    spent = Spent(int(receipt["gasUsed"], 16), int(receipt["effectiveGasPrice"], 16))
    async with school.store.reading() as reading:
        assert (await reading.batches.costs(1))[0] == BatchCost(1, 3, spent)
        paid = await costs.paid(reading)
    assert paid["newest_batch"]["wei_per_item"] == -(-spent.wei // 3)
    assert paid["calls"]["anchor"] == {"transactions": 1, "gas": spent.gas, "wei": spent.wei}
    shown = (await overview.overview(school))["paid"]
    assert shown == paid
    assert "each item anchored" in costs.paid_in_words(shown)


async def test_a_writer_that_can_pay_for_few_more_anchors_is_told_of_while_it_goes_on(
    school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    enough = costs.ANCHOR_GAS * 4 * GWEI * 12

    async def balance(*_: object) -> int:
        return enough

    priced(monkeypatch, base_fee=3 * GWEI, tip=GWEI)
    monkeypatch.setattr(ChainClient, "balance", balance)
    await enqueue(school)
    worker = AnchorWorker(school)
    tick = await worker.run_until_done(timeout_seconds=60)
    assert tick.is_done
    (warning,) = tick.warnings
    assert "can pay for 12 more anchors on eip155:" in warning
    assert warning in (await overview.overview(school))["warnings"]
    content = replace(school, anchoring=AnchoringTerms(low_balance=12))
    assert not (await AnchorWorker(content).tick()).warnings


async def test_a_server_tells_each_warning_once(school: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def none_left(*_: object) -> int:
        return 0

    monkeypatch.setattr(ChainClient, "balance", none_left)
    stopped, told, ticks = asyncio.Event(), list[str](), 0

    def count(_: object) -> None:
        nonlocal ticks
        ticks += 1
        if ticks == 2:
            stopped.set()

    await AnchorWorker(school).run(stopped, told.append, count)
    assert [line.partition(" 0x")[0] for line in told] == ["the writer", "the owner"]


async def test_a_role_that_is_not_there_yet_leaves_the_estimate_at_what_was_measured(
    school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimated = await costs.estimate(
        replace(school, settings=replace(school.settings, identity=bytes(20))), 1
    )
    assert estimated.gas == costs.ANCHOR_GAS
