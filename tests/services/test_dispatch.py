"""The outbox against an endpoint that lies and a market that moves: what becomes of one call. On the embedded chain."""

from __future__ import annotations

import asyncio
import itertools
import secrets
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fixtures.issuers import PASSPHRASE
from fixtures.lying_chain import (
    Lie,
    LyingChain,
    errors,
    first,
    lagging,
    lying_chain,
    nonces_ahead,
    only,
    receipts_failed,
    receipts_invented,
    receipts_of_no_block,
    receipts_withheld,
    stale_finalized,
    transactions_swallowed,
    wrong_proof,
)
from services.test_anchoring import finish, head, writer_nonce

from node.chain.transactions import Call, Transactions, address_of, transfer
from node.commands.issuer_folder import Folder, open_issuer
from node.core.anchor import STATUS_LIST
from node.core.errors import Unavailable
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord
from node.outbound.chain import ChainClient, Fees, GasPrice, TransactionRefused
from node.services import anchoring, dispatch, registration
from node.services.anchoring import AnchorWorker, Tick
from node.services.issuer import GWEI, AnchoringTerms, Issuer
from node.services.issuer import address_of as key_address
from node.storage.protocols.issuer import KeyRole
from node.storage.protocols.outbox import Attempt, OutboxEntry, TransactionState

__all__ = ["lying_chain"]


@pytest.fixture
async def lied_to(school: Issuer, lying_chain: LyingChain) -> AsyncIterator[Issuer]:
    """The issuer, whose endpoint is one that lies when told to."""
    folder = school.keyring._folder
    async with open_issuer(Folder.load(folder).with_options(rpc=lying_chain.url), PASSPHRASE) as issuer:
        yield issuer


async def enqueue(issuer: Issuer) -> None:
    async with issuer.store.transaction() as transaction:
        await transaction.batches.enqueue(STATUS_LIST, [secrets.token_bytes(32)], issuer.clock())


async def anchor_entry(issuer: Issuer) -> OutboxEntry:
    """The one call that is about an anchor, wherever it is."""
    async with issuer.store.reading() as reading:
        found = [
            entry
            for state in TransactionState
            for entry in await reading.outbox.in_state(state)
            if entry.purpose == "anchor"
        ]
    (entry,) = found
    return entry


async def attempts(issuer: Issuer) -> tuple[Attempt, ...]:
    entry = await anchor_entry(issuer)
    async with issuer.store.reading() as reading:
        return await reading.outbox.attempts(entry.id)


async def ticks_until(issuer: Issuer, done: Callable[[Tick], bool], *, close: bool = False) -> Tick:
    worker = AnchorWorker(issuer)
    async with asyncio.timeout(30):
        while not done(tick := await worker.tick(close=close)):  # noqa: ASYNC110 - a chain
            await asyncio.sleep(0.1)
    return tick


async def use_up_a_nonce(issuer: Issuer, lying_chain: LyingChain) -> None:
    """A transaction of somebody else who has the writer's key, in a block."""
    async with issuer.store.reading() as reading:
        writer = await registration.writer_of(reading)
    async with ChainClient(lying_chain.truth) as client:
        await Transactions(client).send(transfer(bytes(19) + b"\1", 1), issuer.keyring.secret(writer.uri))


def later(issuer: Issuer, seconds: float) -> Issuer:
    return replace(issuer, clock=lambda: issuer.clock() + timedelta(seconds=seconds))


def copy_of(database: Path) -> bytes:
    """As a backup takes it, while the database is in use."""
    with closing(sqlite3.connect(database)) as connection:
        return connection.serialize()


async def unplugged(*_: object) -> bytes:
    raise TransactionRefused("unplugged", code="refused")


def restored(folder: Path, backup: bytes) -> Folder:
    """The folder of an issuer, with a database from before."""
    place = folder.parent / "restored"
    place.mkdir()
    (place / "issuer.db").write_bytes(backup)
    for name in ("keys", "networks.json", "issuer.json"):
        (place / name).symlink_to(folder / name)
    return Folder.load(place)


# --- the chain is asked first


@pytest.mark.parametrize("sent_before_backup", [False, True], ids=["sealed", "signed"])
async def test_a_database_from_before_the_send_finds_its_anchor_and_sends_nothing(
    school: Issuer, monkeypatch: pytest.MonkeyPatch, sent_before_backup: bool
) -> None:
    folder, written, nonce = school.keyring._folder, await head(school), await writer_nonce(school)
    await enqueue(school)

    with monkeypatch.context() as patch:
        if sent_before_backup:
            patch.setattr(ChainClient, "send_raw", unplugged)
        else:
            patch.setattr(ChainClient, "estimate_gas", unplugged)
        await AnchorWorker(school).tick(close=True)
    backup = copy_of(folder / "issuer.db")
    assert (await finish(school)).is_done
    anchored = await anchor_entry(school)

    async with open_issuer(restored(folder, backup), PASSPHRASE) as issuer:
        assert (await finish(issuer)).is_done
        found = await anchor_entry(issuer)
    assert (found.state, found.block_number) == (TransactionState.FINAL, anchored.block_number)
    assert await head(school) == written + 1
    assert await writer_nonce(school) == nonce + 1


async def test_what_stands_in_a_block_that_is_not_final_is_waited_for_and_not_signed_again(
    school: Issuer, lying_chain: LyingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonce = await writer_nonce(school)
    await enqueue(school)
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "estimate_gas", unplugged)
        await AnchorWorker(school).tick(close=True)
    backup = copy_of(school.keyring._folder / "issuer.db")
    assert (await finish(school)).is_done
    block = (await anchor_entry(school)).block_number
    assert block is not None
    newest = await school.require_chain().client.block_number()

    lying_chain.tell(stale_finalized(newest - block + 1))
    folder = restored(school.keyring._folder, backup).with_options(rpc=lying_chain.url)
    async with open_issuer(folder, PASSPHRASE) as issuer:
        await AnchorWorker(issuer).tick()
        assert (await anchor_entry(issuer)).state is TransactionState.PREPARED
        lying_chain.be_honest()
        assert (await finish(issuer)).is_done
        assert await attempts(issuer) == ()
    assert await writer_nonce(school) == nonce + 1


async def test_the_block_of_an_anchor_is_that_of_its_slot_and_not_of_a_receipt(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    await enqueue(lied_to)
    lying_chain.tell(receipts_withheld())
    assert (await finish(lied_to)).is_done
    entry = await anchor_entry(lied_to)
    chain = lied_to.require_chain()
    slot = registry.anchor_slot(lied_to.identity, entry.data[-32:])  # its last argument is the commitment
    (word,) = (await chain.slots(await chain.finalized(), [slot])).values()
    assert entry.block_number == AnchorRecord.from_word(word).block
    assert entry.gas_used is None, "nobody has told what it cost"


async def test_what_an_endpoint_is_handed_is_in_the_database_before(
    lied_to: Issuer, lying_chain: LyingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever goes on after a crash must know what is under way: at first, and when it is replaced."""
    stored = []
    honest = ChainClient.send_raw

    async def looked_for(this: ChainClient, raw: bytes) -> bytes:
        stored.append(raw in [attempt.raw for attempt in await attempts(lied_to)])
        return await honest(this, raw)

    monkeypatch.setattr(ChainClient, "send_raw", looked_for)
    await enqueue(lied_to)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(lied_to).tick(close=True)
    await AnchorWorker(later(lied_to, 150)).tick()
    assert len(await attempts(lied_to)) == 2
    assert stored == [True, True]


async def test_what_somebody_else_brought_about_leaves_no_gap_in_the_nonces(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    """Calls that have later nonces already would wait for this one for ever."""
    nonce = await writer_nonce(lied_to)
    await enqueue(lied_to)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(lied_to).tick(close=True)
    entry = await anchor_entry(lied_to)
    async with lied_to.store.reading() as reading:
        (owner,) = await reading.keys.all(KeyRole.OWNER)
    async with ChainClient(lying_chain.truth) as client:
        call = Call(entry.to or b"", entry.data, entry.purpose)
        await Transactions(client).send(call, lied_to.keyring.secret(owner.uri))
    lying_chain.be_honest()
    assert (await finish(later(lied_to, 20))).is_done
    assert await writer_nonce(lied_to) == nonce + 1


# --- calls that no slot tells of


async def ask_for_nothing(issuer: Issuer) -> int:
    """A call to nobody, by its number."""
    async with issuer.store.transaction() as transaction:
        writer = await registration.writer_of(transaction)
        entry = await transaction.outbox.add(
            "nothing", key_address(writer), bytes(19) + b"\1", b"", issuer.clock()
        )
    return entry.id


async def load(issuer: Issuer, entry_id: int) -> OutboxEntry:
    async with issuer.store.reading() as reading:
        entry = await reading.outbox.load(entry_id)
    assert entry is not None
    return entry


async def test_a_receipt_that_comes_between_two_questions_is_not_somebody_elses(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    entry_id = await ask_for_nothing(lied_to)
    lying_chain.tell(receipts_withheld())
    nonce = await writer_nonce(lied_to)
    await AnchorWorker(lied_to).tick()
    async with asyncio.timeout(30):
        while await lied_to.require_chain().client.nonce(await sender(lied_to), "finalized") == nonce:  # noqa: ASYNC110 - a chain
            await asyncio.sleep(0.1)
    lying_chain.tell(only(first(1, receipts_withheld()), "eth_getTransactionReceipt"))
    await AnchorWorker(lied_to).tick()
    assert (await load(lied_to, entry_id)).state in (TransactionState.INCLUDED, TransactionState.FINAL)


async def sender(issuer: Issuer) -> bytes:
    async with issuer.store.reading() as reading:
        return key_address(await registration.writer_of(reading))


async def test_a_call_that_no_slot_tells_of_is_not_made_twice_where_its_nonce_was_used(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    entry_id = await ask_for_nothing(lied_to)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(lied_to).tick()
    await use_up_a_nonce(lied_to, lying_chain)
    lying_chain.be_honest()
    tick = await ticks_until(lied_to, lambda tick: bool(tick.parked))
    assert "its nonce was used by a transaction of somebody else" in tick.troubles[0].detail
    async with lied_to.store.reading() as reading:
        assert len(await reading.outbox.attempts(entry_id)) == 1


async def test_a_receipt_of_no_block_of_the_chain_makes_nothing_final(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    entry_id = await ask_for_nothing(lied_to)
    lying_chain.tell(transactions_swallowed())
    worker = AnchorWorker(lied_to)
    await worker.tick()
    await use_up_a_nonce(lied_to, lying_chain)
    lying_chain.tell(receipts_of_no_block(), receipts_invented(), transactions_swallowed())
    for _ in range(3):
        await worker.tick()
    assert (await load(lied_to, entry_id)).state is TransactionState.INCLUDED


async def test_of_several_attempts_the_first_may_come_into_a_block(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    entry_id = await ask_for_nothing(lied_to)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(lied_to).tick()
    await AnchorWorker(later(lied_to, 150)).tick()
    async with lied_to.store.reading() as reading:
        first_one, _ = await reading.outbox.attempts(entry_id)
    lying_chain.be_honest()
    await lied_to.require_chain().client.send_raw(first_one.raw)
    tick = await ticks_until(lied_to, lambda tick: not tick.transactions)
    assert tick.parked == 0
    entry = await load(lied_to, entry_id)
    assert (entry.state, entry.transaction_hash) == (TransactionState.FINAL, first_one.transaction_hash)


async def test_what_failed_in_a_final_block_is_set_aside_and_told(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    entry_id = await ask_for_nothing(lied_to)
    lying_chain.tell(receipts_failed())
    tick = await ticks_until(lied_to, lambda tick: not tick.transactions)
    assert tick.parked == 1
    assert "the contract refused it in block" in tick.troubles[0].detail
    assert (await load(lied_to, entry_id)).nonce is None, "it is spent, and nobody waits for it"


# --- endpoints that lie


@pytest.mark.parametrize(
    "lie",
    [receipts_invented(), transactions_swallowed(), nonces_ahead(3), receipts_failed(), lagging(1)],
    ids=["receipts invented", "swallowed", "nonces ahead", "receipts failed", "lagging"],
)
async def test_a_lie_that_has_ended_leaves_one_anchor(
    lied_to: Issuer, lying_chain: LyingChain, lie: Lie
) -> None:
    written, nonce = await head(lied_to), await writer_nonce(lied_to)
    await enqueue(lied_to)
    lying_chain.tell(lie)
    worker = AnchorWorker(lied_to)
    for _ in range(3):
        await worker.tick(close=True)
    lying_chain.be_honest()
    await anchoring.retry_parked(lied_to)
    assert (await finish(later(lied_to, 60))).is_done
    assert await head(lied_to) == written + 1
    assert await writer_nonce(lied_to) == nonce + 1


async def test_an_invented_receipt_makes_nothing_final(lied_to: Issuer, lying_chain: LyingChain) -> None:
    await enqueue(lied_to)
    lying_chain.tell(receipts_invented(), transactions_swallowed())
    tick = await ticks_until(lied_to, lambda tick: bool(tick.troubles), close=True)
    assert (
        f"{lying_chain.host} says it is in a final block, whose state does not have"
        in tick.troubles[0].detail
    )
    assert (await anchor_entry(lied_to)).state is TransactionState.INCLUDED


async def test_an_invented_receipt_for_a_nonce_of_somebody_else_makes_nothing_final(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    await enqueue(lied_to)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(lied_to).tick(close=True)
    await use_up_a_nonce(lied_to, lying_chain)
    lying_chain.tell(receipts_invented(), transactions_swallowed())
    tick = await ticks_until(lied_to, lambda tick: bool(tick.troubles))
    assert "whose state does not show it" in tick.troubles[0].detail
    assert (await anchor_entry(lied_to)).state is TransactionState.INCLUDED
    lying_chain.be_honest()
    assert (await finish(lied_to)).is_done


async def test_a_wrong_proof_stops_the_step_and_names_the_endpoint(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    await enqueue(lied_to)
    lying_chain.tell(wrong_proof())
    with pytest.raises(Unavailable, match=f"{lying_chain.host} is at fault: it gave a wrong proof"):
        await AnchorWorker(lied_to).tick(close=True)
    assert lying_chain.count("eth_sendRawTransaction") == 0


async def test_what_an_endpoint_forgets_is_sent_again_byte_for_byte(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    await enqueue(lied_to)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(lied_to).tick(close=True)
    assert (await anchor_entry(lied_to)).state is TransactionState.SENT
    lying_chain.be_honest()
    assert (await finish(later(lied_to, 20))).is_done
    sent = [params for method, params in lying_chain.asked if method == "eth_sendRawTransaction"]
    assert len(sent) >= 2
    assert all(one == sent[0] for one in sent)


# --- fees


def priced(monkeypatch: pytest.MonkeyPatch, base_fee: int, tip: int) -> None:
    async def gas_price(_: ChainClient) -> GasPrice:
        return GasPrice(base_fee, tip)

    monkeypatch.setattr(ChainClient, "gas_price", gas_price)


async def test_a_stuck_call_is_replaced_with_an_eighth_more_of_both_fees_at_one_nonce(
    lied_to: Issuer, lying_chain: LyingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    nonce = await writer_nonce(lied_to)
    await enqueue(lied_to)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(lied_to).tick(close=True)
    now = 0
    for _ in range(3):
        now += 150
        await AnchorWorker(later(lied_to, now)).tick()
    signed = await attempts(lied_to)
    assert [one.nonce for one in signed] == [nonce] * 4
    fees = [dispatch._terms_of(one.raw)[0] for one in signed]
    for before, after in itertools.pairwise(fees):
        assert after.max_fee_per_gas * 8 >= before.max_fee_per_gas * 9
        assert after.max_priority_fee_per_gas * 8 >= before.max_priority_fee_per_gas * 9
    lying_chain.be_honest()
    assert (await finish(later(lied_to, now + 30))).is_done
    assert await writer_nonce(lied_to) == nonce + 1


async def test_beyond_the_limit_a_call_is_parked_and_told_and_goes_on_when_the_limit_is_raised(
    lied_to: Issuer, lying_chain: LyingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(monkeypatch, base_fee=GWEI, tip=GWEI)
    poor = replace(lied_to, anchoring=AnchoringTerms(max_fee_per_gas=3 * GWEI))
    written, nonce = await head(lied_to), await writer_nonce(lied_to)
    await enqueue(poor)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(poor).tick(close=True)
    stuck = later(poor, 150)
    tick = await AnchorWorker(stuck).tick()
    assert tick.parked == 1
    assert "it offers 3 gwei for gas and comes into no block; --max-fee is 3 gwei" in tick.troubles[0].detail
    # Told for as long as it is so; and what comes later does not overtake it, for it has the earlier nonce.
    await enqueue(poor)
    tick = await AnchorWorker(stuck).tick(close=True)
    assert "--max-fee" in tick.troubles[0].detail
    async with poor.store.reading() as reading:
        (waiting,) = await reading.outbox.unfinished()
    assert (waiting.state, waiting.nonce) == (TransactionState.PREPARED, None)
    rich = replace(stuck, anchoring=AnchoringTerms(max_fee_per_gas=10 * GWEI))
    assert await anchoring.retry_parked(rich) == 1
    lying_chain.be_honest()
    assert (await finish(rich)).is_done
    assert await head(lied_to) == written + 2
    assert await writer_nonce(lied_to) == nonce + 2


async def test_a_parked_call_that_comes_into_a_block_after_all_is_final(
    lied_to: Issuer, lying_chain: LyingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    priced(monkeypatch, base_fee=GWEI, tip=GWEI)
    poor = replace(lied_to, anchoring=AnchoringTerms(max_fee_per_gas=3 * GWEI))
    await enqueue(poor)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(poor).tick(close=True)
    assert (await AnchorWorker(later(poor, 150)).tick()).parked == 1
    lying_chain.be_honest()
    (signed,) = await attempts(lied_to)
    await lied_to.require_chain().client.send_raw(signed.raw)
    tick = await ticks_until(lied_to, lambda tick: tick.is_done)
    assert tick.parked == 0
    assert (await anchor_entry(lied_to)).gas_used


async def test_nothing_is_signed_while_gas_costs_more_than_the_limit(
    school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enqueue(school)
    with monkeypatch.context() as patch:
        priced(patch, base_fee=400 * GWEI, tip=GWEI)
        tick = await AnchorWorker(school).tick(close=True)
    assert [trouble.detail for trouble in tick.troubles] == [
        "gas costs 401 gwei now, and --max-fee is 200 gwei: it waits"
    ]
    entry = await anchor_entry(school)
    assert (entry.state, entry.nonce) == (TransactionState.PREPARED, None)
    assert (await finish(school)).is_done


async def test_a_pool_that_drops_what_is_below_the_base_fee_gets_a_better_offer(
    lied_to: Issuer, lying_chain: LyingChain
) -> None:
    await enqueue(lied_to)
    refused = errors(-32000, "max fee per gas less than block base fee: address 0x1, maxFeePerGas: 1")
    sends = 0

    def once(ask: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[object]]:
        async def told(method: str, params: list[object]) -> object:
            nonlocal sends
            sends += method == "eth_sendRawTransaction"
            lie = method == "eth_sendRawTransaction" and sends == 1
            return await (refused(ask) if lie else ask)(method, params)  # type: ignore[arg-type]

        return told

    lying_chain.tell(once)  # type: ignore[arg-type]
    assert (await finish(lied_to)).is_done
    first, second = [dispatch._terms_of(one.raw)[0] for one in await attempts(lied_to)]
    assert second.max_fee_per_gas * 8 >= first.max_fee_per_gas * 9


@pytest.mark.parametrize("limit", [0, 1, 7, 100])
def test_no_fee_exceeds_the_limit(limit: int) -> None:
    assert dispatch._at_most(Fees(100, 10), limit) == Fees(min(100, limit), min(10, limit))


# --- somebody else with the same key


async def test_who_uses_up_every_nonce_is_told_of_in_the_end(
    school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await enqueue(school)
    client = school.require_chain().client
    async with school.store.reading() as reading:
        (writer,) = await reading.keys.all(KeyRole.WRITER)
    secret = school.keyring.secret(writer.uri)
    transactions = Transactions(client)
    honest = ChainClient.send_raw

    async def overtaken(this: ChainClient, raw: bytes) -> bytes:
        count = await client.nonce(address_of(secret))
        foreign = await transactions.sign(
            transfer(bytes(19) + b"\1", 1), secret, nonce=count, gas_limit=21_000
        )
        await honest(this, foreign.raw)
        raise TransactionRefused("nonce too low", code="nonce_too_low")

    monkeypatch.setattr(dispatch, "_MAX_NONCES", 2)
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "send_raw", overtaken)
        tick = await ticks_until(school, lambda tick: bool(tick.parked), close=True)
    assert "used up its nonce 2 times: who else has this key?" in tick.troubles[0].detail
    await anchoring.retry_parked(school)
    assert (await finish(school)).is_done
