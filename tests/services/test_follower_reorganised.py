"""The follower on Anvil: blocks that it followed are replaced, and a trie whose root nobody else can compute."""

from __future__ import annotations

import asyncio
import secrets
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from fixtures.chain import ANVIL, ANVIL_KEY, START_SECONDS, RunningChain, _wait_for, deployed
from fixtures.lying_chain import LyingChain, finalized_ahead, only
from fixtures.skipping import missing
from services.test_follower import Following

from node.chain.transactions import Transactions, WordChange, address_of
from node.core.evm import registry
from node.core.evm.network import Network, parse_networks
from node.core.evm.state_proof import prove_slots
from node.core.verify.materials import (
    DocumentAnswer,
    DocumentNeed,
    HeaderAnswer,
    Missing,
    ReplicaAnswer,
    StateNeed,
    Strength,
)
from node.outbound.chain import ChainClient
from node.storage.database import Database, open_database, sqlite_url

pytestmark = pytest.mark.anvil
LIST = bytes([1]) * 32


@pytest.fixture(scope="module")
def mining() -> Iterator[RunningChain]:
    """Anvil that makes a block at once for each transaction, and is nobody else's."""
    if not ANVIL.exists():
        missing("no Anvil: run npm ci --ignore-scripts in tests/interop")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(ANVIL), "--host", "127.0.0.1", "--port", str(port), "--hardfork", "prague"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        _wait_for(f"http://127.0.0.1:{port}")
        yield deployed(f"http://127.0.0.1:{port}", ANVIL_KEY)
    finally:
        process.terminate()
        process.wait(timeout=START_SECONDS)


@pytest.fixture
def endpoint(mining: RunningChain) -> Iterator[str]:
    """One that calls every block final at once, so that what is followed can be replaced."""
    with LyingChain(mining.url) as chain:
        chain.tell(only(finalized_ahead(), "eth_getBlockByNumber"))
        yield chain.url


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Database]:
    database = await open_database(sqlite_url(tmp_path / "verifier.sqlite3"))
    yield database
    await database.close()


@pytest.fixture
def network(mining: RunningChain) -> Network:
    (found,) = parse_networks({"networks": [mining.network]}).values()
    return found


class School:
    """An identity that writes, and what the chain proves of it."""

    def __init__(self, mining: RunningChain, network: Network, client: ChainClient) -> None:
        self.key = mining.new_key()
        self.identity = address_of(self.key)
        self.calls = mining.deployments.credential_registry_calls
        self.client = client
        self.network = network
        self.transactions = Transactions(client)
        self.slots = (
            registry.heads_slot(self.identity),
            registry.list_slot(self.identity, LIST),
            *(registry.status_slot(self.identity, LIST, word) for word in range(4)),
        )

    async def open(self) -> None:
        await self.transactions.send(self.calls.open_list(self.identity, LIST, 1, 17, 1), self.key)

    async def revoke(self, word: int) -> None:
        change = WordChange(word, 1 << secrets.randbelow(256), 0)
        await self.transactions.send(self.calls.set_status(self.identity, LIST, [change]), self.key)

    async def proven(self, header: HeaderAnswer) -> dict[bytes, int]:
        address = self.network.credential_registry
        nodes = await self.client.proof_nodes(address, self.slots, header.newest.hash)
        return dict(prove_slots(header.newest, nodes, address, self.slots).values)

    def need(self, header: HeaderAnswer) -> StateNeed:
        address = self.network.credential_registry
        return StateNeed(self.network.chain_id, header.newest.hash, address, self.identity, self.slots)


@pytest.fixture
async def school(mining: RunningChain, network: Network) -> AsyncIterator[School]:
    async with ChainClient(mining.url) as client:
        found = School(mining, network, client)
        await found.open()
        await found.revoke(0)
        yield found


@pytest.mark.parametrize("depth", [1, 2, 7, 64])
async def test_blocks_that_were_followed_and_replaced_are_taken_back(
    store: Database, network: Network, school: School, endpoint: str, depth: int
) -> None:
    async with Following(store, network, endpoint) as following:
        await following.follower.step()
        # Revoked in the first and in the last of the blocks that will be replaced.
        await school.revoke(1)
        await following.follower.step()
        if depth > 1:
            await school.client.request("anvil_mine", [hex(depth - 2)])
            await following.follower.step()
            await school.revoke(2)
            await following.follower.step()
        before = await following.header()
        told = await following.replica.state(school.need(before))
        assert isinstance(told, ReplicaAnswer)
        assert told.slots == await school.proven(before)
        await school.client.request("anvil_reorg", [depth, []])
        await school.client.request("anvil_mine", ["0x1"])
        assert (await following.follower.step()).fault is None
        now = await following.header(before.newest.number)
        assert now.hashes.get(before.newest.number) != before.newest.hash
        after = await following.replica.state(school.need(now))
        assert isinstance(after, ReplicaAnswer)
        assert after.slots == await school.proven(now)
        assert after.slots[school.slots[3]] == 0  # the revocation is gone with its block
        assert after.slots[school.slots[2]] != 0  # the one before them stays
        assert isinstance(await following.replica.state(school.need(before)), Missing)
        await school.revoke(3)
        await following.follower.step()
        header = await following.header()
        last = await following.replica.state(school.need(header))
        assert isinstance(last, ReplicaAnswer)
        assert last.slots == await school.proven(header)


async def test_who_is_not_known_is_missing_until_proven_at_the_next_step(
    store: Database, network: Network, school: School, endpoint: str
) -> None:
    async with Following(store, network, endpoint) as following:
        await following.follower.step()
        header = await following.header()
        assert header.strength is Strength.ONE_ENDPOINT
        stranger = address_of(secrets.token_bytes(32))
        slot = registry.heads_slot(stranger)

        async def asked() -> object:
            at = (await following.header()).newest.hash
            address = network.credential_registry
            return await following.replica.state(StateNeed(network.chain_id, at, address, stranger, (slot,)))

        assert isinstance(await asked(), Missing)
        await school.client.request("anvil_mine", ["0x1"])
        await following.follower.step()
        answer = await asked()
        assert isinstance(answer, ReplicaAnswer)
        assert answer.slots == {slot: 0}
        known = await following.replica.state(school.need(await following.header()))
        assert isinstance(known, ReplicaAnswer)


async def test_a_document_of_a_block_that_was_replaced_by_one_of_its_height_is_read_again(
    store: Database, network: Network, school: School, mining: RunningChain, endpoint: str
) -> None:
    async with Following(store, network, endpoint) as following:
        need = DocumentNeed(f"did:ethr:0x{network.chain_id:x}:0x{school.identity.hex()}")

        async def listed() -> list[str]:
            answer = await following.replica.document(need)
            assert isinstance(answer, DocumentAnswer), answer
            return [method.id.rpartition("#")[2] for method in answer.document.methods]

        await following.replica.document(need)
        await following.follower.step()
        assert isinstance(await following.replica.document(need), Missing)
        calls = mining.deployments.did_registry_calls
        key = b"\xed\x01" + bytes(range(32))
        call = calls.set_attribute(school.identity, "did/pub/Multikey/veriKey", key, 10**6)
        await school.transactions.send(call, school.key)
        await following.follower.step()
        assert await listed() == ["controller", "delegate-1"]
        before = (await following.header()).newest
        await school.client.request("anvil_reorg", [1, []])
        await following.follower.step()
        now = (await following.header()).newest
        assert now.number == before.number
        assert now.hash != before.hash
        assert await listed() == ["controller"]


async def test_two_steps_side_by_side_while_blocks_come(
    store: Database, network: Network, school: School, endpoint: str
) -> None:
    async with Following(store, network, endpoint) as one, Following(store, network, endpoint) as two:
        for word in range(3):
            await asyncio.gather(one.follower.step(), two.follower.step(), school.revoke(word))
        await one.follower.step()
        header = await two.header()
        answer = await two.replica.state(school.need(header))
    assert isinstance(answer, ReplicaAnswer)
    assert answer.slots == await school.proven(header)
