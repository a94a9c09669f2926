"""Anchoring on a chain that changes its mind: Anvil reorganised, its fees driven up, its pool emptied, restarted.

Blocks are made only when a test asks for them, and are final 66 blocks later, so that a reorganisation may reach back
as far as 64.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fixtures.chain import AnvilProcess, RunningChain, deployed
from fixtures.issuers import PASSPHRASE, MakeCohort, init_school
from services.test_anchoring import head, issue, judge, writer_nonce

from node.chain.transactions import Transactions, transfer
from node.commands.issuer_folder import Folder, open_issuer
from node.core.anchor import STATUS_LIST
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord
from node.core.verify.report import CheckName, Outcome
from node.outbound.chain import ChainClient
from node.services import anchoring
from node.services.anchoring import AnchorWorker, Tick
from node.services.issuer import Issuer
from node.storage.protocols.issuer import KeyRole
from node.storage.protocols.outbox import Attempt, OutboxEntry, TransactionState

pytestmark = [pytest.mark.anvil, pytest.mark.xdist_group("reorganised")]

State = TransactionState

FINAL_AFTER = 66
# Anvil's newest block must not run ahead of the real clock when many are made at once.
BEGAN_SECONDS_AGO = 10 * 3600


@dataclass
class Clock:
    """A clock that a test may put forward."""

    clock: Callable[[], Any]
    ahead: timedelta = field(default_factory=timedelta)

    def __call__(self) -> Any:
        return self.clock() + self.ahead

    def advance(self, seconds: float) -> None:
        self.ahead += timedelta(seconds=seconds)


@dataclass
class Ledger:
    """A chain, the issuer who anchors on it, and whatever befalls them."""

    client: ChainClient
    issuer: Issuer
    worker: AnchorWorker
    clock: Clock
    before: tuple[int, int] = (0, 0)
    entry_id: int = 0
    commitment: bytes = b""

    async def cheat(self, method: str, *params: Any) -> Any:
        return await self.client.request(method, list(params))

    async def mine(self, blocks: int = 1) -> None:
        await self.cheat("anvil_mine", hex(blocks))

    async def begin(self) -> None:
        """A batch that is sealed, signed and sent."""
        async with self.issuer.store.transaction() as transaction:
            await transaction.batches.enqueue(STATUS_LIST, [secrets.token_bytes(32)], self.issuer.clock())
        self.before = await self.written()
        await self.worker.tick(close=True)
        async with self.issuer.store.reading() as reading:
            (batch,) = await reading.batches.unfinished()
        assert batch.transaction_id is not None
        self.entry_id, self.commitment = batch.transaction_id, batch.commitment
        assert (await self.entry()).state is State.SENT

    async def entry(self) -> OutboxEntry:
        async with self.issuer.store.reading() as reading:
            entry = await reading.outbox.load(self.entry_id)
        assert entry is not None
        return entry

    async def attempts(self) -> tuple[Attempt, ...]:
        async with self.issuer.store.reading() as reading:
            return await reading.outbox.attempts(self.entry_id)

    async def written(self) -> tuple[int, int]:
        """Transactions of the writer, and writes of the identity."""
        return await writer_nonce(self.issuer), await head(self.issuer)

    async def finish(self) -> Tick:
        """Blocks until nothing is left to do."""
        for _ in range(40):
            tick = await self.worker.tick(close=True)
            if tick.is_done:
                return tick
            self.clock.advance(16)
            await self.mine(FINAL_AFTER // 3)
        raise AssertionError(f"not done: {tick}")

    async def anchored_once(self, *, foreign: int = 0) -> None:
        """One anchor, by one transaction beside `foreign` ones, and the block that its slot tells is what is kept."""
        nonce, writes = await self.written()
        assert (nonce, writes) == (self.before[0] + 1 + foreign, self.before[1] + 1)
        slot = registry.anchor_slot(self.issuer.identity, self.commitment)
        chain = self.issuer.require_chain()
        word = await self.client.storage_at(chain.network.credential_registry, slot, "finalized")
        assert (await self.entry()).block_number == AnchorRecord.from_word(word).block

    async def foreign(self, nonce: int) -> bytes:
        """A transaction of somebody else with the writer's key, signed."""
        async with self.issuer.store.reading() as reading:
            (writer,) = await reading.keys.all(KeyRole.WRITER)
        secret = self.issuer.keyring.secret(writer.uri)
        signed = await Transactions(self.client).sign(
            transfer(bytes(19) + b"\1", 1), secret, nonce=nonce, gas_limit=21_000
        )
        return signed.raw


def anvil_of_our_own(*options: str) -> AnvilProcess:
    slots = ("--slots-in-an-epoch", str(FINAL_AFTER // 2))
    return AnvilProcess("--quiet", "--timestamp", str(int(time.time()) - BEGAN_SECONDS_AGO), *slots, *options)


def settle(anvil: AnvilProcess, folder: Path) -> RunningChain:
    """Registries and an issuer on the chain, while blocks are made by themselves."""
    stopped = threading.Event()

    def mine() -> None:
        async def run() -> None:
            async with ChainClient(anvil.url) as client:
                while not stopped.is_set():
                    await client.request("anvil_mine", [hex(FINAL_AFTER // 2)])
                    await asyncio.sleep(0.1)

        asyncio.run(run())

    miner = threading.Thread(target=mine)
    miner.start()
    try:
        chain = deployed(anvil.url, anvil.key)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(anchoring, "TICK_SECONDS", 0.1)
            init_school(folder, chain)
        return chain
    finally:
        stopped.set()
        miner.join()


@pytest.fixture(scope="module")
def unsteady(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an issuer on a chain that these tests may do anything to, short of making it unknown."""
    # States that Anvil takes back from its disk lack the code of contracts: enough of them stay in memory.
    anvil = anvil_of_our_own("--prune-history", str(5 * FINAL_AFTER))
    anvil.start()
    try:
        folder = tmp_path_factory.mktemp("reorganised")
        settle(anvil, folder)
        yield folder
    finally:
        anvil.stop()


@asynccontextmanager
async def open_ledger(folder: Path) -> AsyncIterator[Ledger]:
    async with open_issuer(Folder.load(folder), PASSPHRASE) as opened:
        clock = Clock(opened.clock)
        issuer = replace(opened, clock=clock)
        client = issuer.require_chain().client
        await client.request("evm_setAutomine", [False])
        yield Ledger(client, issuer, AnchorWorker(issuer), clock)


@pytest.fixture
async def ledger(unsteady: Path) -> AsyncIterator[Ledger]:
    async with open_ledger(unsteady) as ledger:
        yield ledger


DEPTHS = [1, 2, 3, 8, 21, 64]
EVERY_DEPTH = [
    depth if depth in DEPTHS else pytest.param(depth, marks=pytest.mark.exhaustive) for depth in range(1, 65)
]


@pytest.mark.parametrize("depth", EVERY_DEPTH)
async def test_a_transaction_that_a_reorganisation_drops_is_sent_again_byte_for_byte(
    ledger: Ledger, depth: int
) -> None:
    await ledger.begin()
    await ledger.mine(depth)
    await ledger.worker.tick()
    assert (await ledger.entry()).state is State.INCLUDED
    await ledger.cheat("anvil_reorg", depth, [])
    assert (await ledger.written())[1] == ledger.before[1]
    await ledger.worker.tick()
    assert (await ledger.entry()).state is State.SENT
    await ledger.finish()
    await ledger.anchored_once()
    assert len(await ledger.attempts()) == 1


@pytest.mark.parametrize("depth", EVERY_DEPTH)
async def test_a_transaction_that_a_reorganisation_moves_is_followed_into_its_new_block(
    ledger: Ledger, depth: int
) -> None:
    await ledger.begin()
    await ledger.mine(depth)
    await ledger.worker.tick()
    first = await ledger.entry()
    assert first.state is State.INCLUDED
    (attempt,) = await ledger.attempts()
    # The last of the new blocks, so that its number differs wherever it can.
    await ledger.cheat("anvil_reorg", depth, [["0x" + attempt.raw.hex(), depth - 1]])
    await ledger.worker.tick()
    second = await ledger.entry()
    assert second.state is State.INCLUDED
    assert first.block_number is not None
    assert second.block_number == first.block_number + depth - 1
    # One block with the same transaction, made within the same second, is the same block.
    assert depth == 1 or second.block_hash != first.block_hash
    await ledger.finish()
    await ledger.anchored_once()
    assert len(await ledger.attempts()) == 1


async def test_a_credential_whose_anchor_was_reorganised_has_a_bundle_that_holds(
    ledger: Ledger, make_cohort: MakeCohort
) -> None:
    issued = await issue(ledger.issuer, make_cohort)
    await ledger.worker.tick(close=True)
    await ledger.mine(5)
    await ledger.worker.tick()
    await ledger.cheat("anvil_reorg", 5, [])
    await ledger.finish()
    for one in issued:
        found = await judge(ledger.issuer, one.digest or b"")
        assert {found[name] for name in (CheckName.ANCHOR, CheckName.KEY, CheckName.STATUS)} == {
            Outcome.PASSED
        }


async def test_a_rise_of_the_base_fee_that_evicts_it_is_outbid_at_the_same_nonce(ledger: Ledger) -> None:
    await ledger.begin()
    (first,) = await ledger.attempts()
    await ledger.cheat("anvil_dropTransaction", "0x" + first.transaction_hash.hex())
    await ledger.cheat("anvil_setNextBlockBaseFeePerGas", hex(30 * 10**9))
    await ledger.mine()
    ledger.clock.advance(130)
    await ledger.worker.tick()
    latest = (await ledger.attempts())[-1]
    assert latest.nonce == first.nonce
    assert latest.raw != first.raw
    await ledger.finish()
    await ledger.anchored_once()


async def test_a_foreign_transaction_that_takes_its_nonce_costs_another_nonce_and_no_anchor(
    ledger: Ledger,
) -> None:
    await ledger.begin()
    (first,) = await ledger.attempts()
    await ledger.cheat("anvil_dropTransaction", "0x" + first.transaction_hash.hex())
    await ledger.client.send_raw(await ledger.foreign(first.nonce))
    await ledger.mine()
    await ledger.finish()
    await ledger.anchored_once(foreign=1)
    assert [attempt.nonce for attempt in await ledger.attempts()] == [first.nonce, first.nonce + 1]


async def test_a_foreign_transaction_that_takes_its_place_in_a_reorganisation(ledger: Ledger) -> None:
    await ledger.begin()
    (first,) = await ledger.attempts()
    await ledger.mine(4)
    await ledger.worker.tick()
    assert (await ledger.entry()).state is State.INCLUDED
    foreign = await ledger.foreign(first.nonce)
    await ledger.cheat("anvil_reorg", 4, [["0x" + foreign.hex(), 0]])
    await ledger.finish()
    await ledger.anchored_once(foreign=1)


async def test_reorganised_back_and_forth_it_is_anchored_once(ledger: Ledger) -> None:
    await ledger.begin()
    (attempt,) = await ledger.attempts()
    await ledger.mine(12)
    for depth in (3, 12, 7, 12, 1, 12):
        again = [["0x" + attempt.raw.hex(), 2]] if depth == 12 else []
        await ledger.cheat("anvil_reorg", depth, again)
        await ledger.worker.tick()
    await ledger.finish()
    await ledger.anchored_once()


@pytest.mark.parametrize("mined", [0, 3], ids=["in the pool", "in a block"])
async def test_a_chain_that_is_restarted_from_its_state_is_gone_on_with(tmp_path: Path, mined: int) -> None:
    anvil = anvil_of_our_own("--state", str(tmp_path / "state.json"), "--preserve-historical-states")
    anvil.start()
    try:
        await asyncio.to_thread(settle, anvil, tmp_path)
        async with open_ledger(tmp_path) as ledger:
            await ledger.begin()
            if mined:
                await ledger.mine(mined)
            await ledger.worker.tick()
            await asyncio.to_thread(anvil.stop)
            await asyncio.to_thread(anvil.start)
            await ledger.cheat("evm_setAutomine", False)
            await ledger.finish()
            await ledger.anchored_once()
            assert len(await ledger.attempts()) == 1
    finally:
        anvil.stop()
