"""Anchoring on the embedded chain: once, and bundles that hold offline. What dies when is in `test_killed.py`."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fixtures.chain import RunningChain
from fixtures.issuers import ALICE, BOB, Crash, MakeCohort, offline_verifier
from sqlalchemy import update

from node.chain.transactions import Transactions, transfer
from node.commands import issuer_options
from node.core.anchor import CREDENTIAL, STATUS_LIST
from node.core.errors import Misconfigured, NotFound, Unavailable
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord
from node.core.verify import engine
from node.core.verify.intake import Intake, Shown
from node.core.verify.materials import Materials
from node.core.verify.report import Acceptance, CheckName, Outcome
from node.outbound.chain import ChainClient, TransactionRefused
from node.services import anchoring, bundles, issuance, status_lists
from node.services.anchoring import AnchorWorker
from node.services.dispatch import Trouble
from node.services.issuer import AnchoringTerms, Issuer, address_of
from node.services.preparing import Terms
from node.storage.batches import SqlBatches
from node.storage.protocols.batches import Waiting
from node.storage.protocols.issuer import KeyRole
from node.storage.protocols.outbox import TransactionState
from node.storage.status_lists import lists_table

ROWS = (("s1", ALICE, "90"), ("s2", BOB, "70"), ("s3", BOB, "55"))


async def issue(issuer: Issuer, make_cohort: MakeCohort, **template: Any) -> list[issuance.Issued]:
    cohort = make_cohort(*ROWS, **template)
    plan = await issuance.plan(issuer, cohort, Terms())
    await issuance.issue(issuer, plan)
    return await issuance.results(issuer, cohort)


async def finish(issuer: Issuer) -> anchoring.Tick:
    return await AnchorWorker(issuer).run_until_done(timeout_seconds=60)


async def head(issuer: Issuer) -> int:
    chain = issuer.require_chain()
    slot = registry.heads_slot(issuer.identity)
    return await chain.client.storage_at(chain.network.credential_registry, slot)


async def writer_nonce(issuer: Issuer) -> int:
    async with issuer.store.reading() as reading:
        (writer,) = await reading.keys.all(KeyRole.WRITER)
    return await issuer.require_chain().client.nonce(address_of(writer))


async def judge(issuer: Issuer, digest: bytes) -> dict[str, Outcome]:
    """What an employer finds with nothing but the bundle and a checkpoint file."""
    bundle = await bundles.load_bundle(issuer, digest)
    assert bundle is not None
    assert bundle.credential is not None
    verifier = await offline_verifier(issuer)
    intake = Intake((Shown(bundle.credential, bundle),))
    report = engine.verify(intake, Materials.none(), verifier, now=issuer.clock())
    assert (report.acceptance is Acceptance.ACCEPTED) == (
        Outcome.FAILED not in [check.outcome for check in report.checks]
    )
    return {check.name: check.outcome for check in report.checks}


async def test_a_cohort_is_anchored_in_one_transaction_and_proven_for_each_holder(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(school, make_cohort)
    before = await writer_nonce(school)
    tick = await finish(school)
    assert tick.is_done
    assert await writer_nonce(school) == before + 1
    for one in issued:
        assert one.digest is not None
        found = await judge(school, one.digest)
        decided = (CheckName.PROOF, CheckName.ANCHOR, CheckName.KEY, CheckName.STATUS, CheckName.EVIDENCE)
        assert {found[name] for name in decided} == {Outcome.PASSED}


async def test_the_order_and_number_of_credentials_do_not_show_in_their_places(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(school, make_cohort)
    await finish(school)
    async with school.store.reading() as reading:
        places = [await reading.batches.find_place(CREDENTIAL, one.digest or b"") for one in issued]
    assert all(place is not None and place.batch.size == 64 for place in places)
    assert len({place.place.salt for place in places if place is not None}) == 3


async def test_a_young_small_batch_stays_open_until_it_is_old(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(school, make_cohort)
    tick = await AnchorWorker(school).tick()
    assert (tick.waiting, tick.batches) == (3, 0)
    later = replace(school, clock=lambda: school.clock() + school.anchoring.batch_age)
    tick = await AnchorWorker(later).tick()
    assert tick.waiting == 0
    assert tick.batches == 1


async def test_as_many_items_as_the_operator_says_close_a_batch_at_once(school: Issuer) -> None:
    async with school.store.transaction() as transaction:
        digests = [secrets.token_bytes(32) for _ in range(11)]
        await transaction.batches.enqueue(STATUS_LIST, digests, school.clock())
    small = replace(school, anchoring=AnchoringTerms(batch_size=5))
    tick = await AnchorWorker(small).tick()
    assert (tick.waiting, tick.batches) == (1, 2)


async def test_whether_a_batch_is_full_takes_no_count_of_all_that_waits(
    school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else a million items in batches of a thousand are counted a thousand times."""
    counts: list[int] = []
    whole = SqlBatches.waiting

    async def counted(batches: SqlBatches, most: int | None = None) -> Waiting:
        found = await whole(batches, most)
        counts.append(found.count)
        return found

    async with school.store.transaction() as transaction:
        digests = [secrets.token_bytes(32) for _ in range(11)]
        await transaction.batches.enqueue(STATUS_LIST, digests, school.clock())
    small = replace(school, anchoring=AnchoringTerms(batch_size=5))
    with monkeypatch.context() as patch:
        patch.setattr(SqlBatches, "waiting", counted)
        await AnchorWorker(small).tick()
    assert counts[:3] == [5, 5, 1]


async def test_a_transaction_that_was_sent_and_not_recorded_is_not_sent_as_another(
    school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with school.store.transaction() as transaction:
        await transaction.batches.enqueue(STATUS_LIST, [secrets.token_bytes(32)], school.clock())
    nonce = await writer_nonce(school)
    send = ChainClient.send_raw

    async def send_and_die(client: ChainClient, raw: bytes) -> bytes:
        await send(client, raw)
        raise Crash

    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "send_raw", send_and_die)
        with pytest.raises(Crash):
            await AnchorWorker(school).tick(close=True)
    await finish(school)
    assert await writer_nonce(school) == nonce + 1


async def test_a_call_whose_nonce_somebody_else_used_is_signed_with_another(
    school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with school.store.transaction() as transaction:
        await transaction.batches.enqueue(STATUS_LIST, [secrets.token_bytes(32)], school.clock())
        (writer,) = await transaction.keys.all(KeyRole.WRITER)

    async def lose(_: ChainClient, raw: bytes) -> bytes:
        raise TransactionRefused("the pool is full", code="refused")

    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "send_raw", lose)
        tick = await AnchorWorker(school).tick(close=True)
        assert [trouble.detail for trouble in tick.troubles] == ["the pool is full"]
    client, written = school.require_chain().client, await head(school)
    nonce = await writer_nonce(school)
    secret = school.keyring.secret(writer.uri)
    await Transactions(client).send(transfer(bytes(19) + b"\1", 1), secret)
    assert (await finish(school)).is_done
    assert await head(school) == written + 1
    assert await writer_nonce(school) == nonce + 2


async def test_a_writer_without_ether_is_told_and_nothing_is_lost(
    school: Issuer, devchain: RunningChain
) -> None:
    async with school.store.transaction() as transaction:
        await transaction.batches.enqueue(STATUS_LIST, [secrets.token_bytes(32)], school.clock())

    async def poor(client: ChainClient, raw: bytes) -> bytes:
        raise TransactionRefused("insufficient funds", code="insufficient_funds")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChainClient, "send_raw", poor)
        tick = await AnchorWorker(school).tick(close=True)
    assert f"too little ether for fees on {school.require_chain().network.chain}" in tick.troubles[0].detail
    assert (await finish(school)).is_done


async def test_what_stands_in_the_way_is_told_once_and_named_when_patience_ends(
    school: Issuer, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a terminal too, where nobody sees the line of progress."""
    worker = AnchorWorker(school)
    poor = "0x00 has too little ether"
    stuck = replace(await worker.tick(), transactions=1, troubles=(Trouble(1, "anchor", poor),))
    seen = 0

    async def tick(*, close: bool) -> anchoring.Tick:
        return stuck

    def done(_: anchoring.Tick) -> bool:
        nonlocal seen
        seen += 1
        return seen == 2

    monkeypatch.setattr(worker, "tick", tick)
    await issuer_options.finish(worker, "anchoring", done=done)
    assert capsys.readouterr().err.count(f"anchoring: {poor}") == 1
    with pytest.raises(Unavailable, match=f"not final after 0.1 seconds: {poor}"):
        await worker.run_until_done(timeout_seconds=0.1)


async def test_the_block_in_a_bundle_is_that_of_the_first_anchor(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(school, make_cohort)
    await finish(school)
    bundle = await bundles.load_bundle(school, issued[0].digest or b"")
    assert bundle is not None
    assert bundle.anchor is not None
    chain = school.require_chain()
    commitment = bundle.anchor.commitment_of(CREDENTIAL, issued[0].digest or b"")
    slot = registry.anchor_slot(school.identity, commitment)
    word = await chain.client.storage_at(chain.network.credential_registry, slot)
    assert bundle.anchor.block == AnchorRecord.from_word(word).block


async def test_there_is_no_bundle_before_the_batch_is_final(school: Issuer, make_cohort: MakeCohort) -> None:
    issued = await issue(school, make_cohort)
    assert await bundles.load_bundle(school, issued[0].digest or b"") is None
    with pytest.raises(NotFound):
        await bundles.load_bundle(school, bytes(32))


async def test_a_bundle_is_handed_out_without_the_chain_once_it_is_proven(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(school, make_cohort)
    await finish(school)
    alone = replace(school, chain=None, clock=lambda: school.clock() + timedelta(days=400))
    bundle = await bundles.load_bundle(alone, issued[0].digest or b"")
    assert bundle is not None
    assert bundle.state is not None
    assert len(bundle.evidence) == 2


async def test_erased_evidence_is_gone_from_the_bundle_and_the_rest_still_opens(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(school, make_cohort)
    await finish(school)
    async with school.store.transaction() as transaction:
        await transaction.evidence.erase(issued[0].credential_id, school.clock(), [0])
    found = await judge(school, issued[0].digest or b"")
    assert found[CheckName.EVIDENCE] is Outcome.PASSED
    bundle = await bundles.load_bundle(school, issued[0].digest or b"")
    assert bundle is not None
    assert "leaf" in bundle.evidence[0].to_json()


async def test_two_processes_on_one_database_anchor_once(school: Issuer, make_cohort: MakeCohort) -> None:
    await issue(school, make_cohort)
    nonce = await writer_nonce(school)
    await asyncio.gather(finish(school), finish(school))
    assert await writer_nonce(school) == nonce + 1
    async with school.store.reading() as reading:
        counts = await reading.outbox.counts()
    assert counts[TransactionState.PARKED] == 0


async def test_an_owners_key_that_is_kept_elsewhere_holds_up_nothing_of_the_writers(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    (school.keyring._folder / "keys" / "owner.json").unlink()
    async with school.store.transaction() as transaction:
        full = update(lists_table).where(lists_table.c.purpose == "revocation").values(allocated=60_000)
        await transaction.status_lists._connection.execute(full)  # type: ignore[attr-defined]
    await status_lists.ensure_room(school)  # asks the owner, before the batch asks the writer
    issued = await issue(school, make_cohort)
    worker = AnchorWorker(school)
    async with asyncio.timeout(30):
        while await bundles.load_bundle(school, issued[0].digest or b"") is None:
            with pytest.raises(Misconfigured, match="owner"):
                await worker.tick(close=True)
            await asyncio.sleep(0.2)
