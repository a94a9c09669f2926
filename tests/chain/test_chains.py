"""What every chain must do for us, embedded or Anvil: one class, run against both over real HTTP."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
import rlp
from eth_utils import keccak
from fixtures.chain import RunningChain
from trie import HexaryTrie

from node.chain.provider import web3_on
from node.chain.transactions import (
    CredentialRegistryCalls,
    Deployments,
    Transactions,
    WordChange,
    address_of,
    ensure_deployed,
    raised,
    transfer,
)
from node.core.errors import Unavailable
from node.core.evm.header import Header
from node.core.evm.network import parse_networks
from node.core.evm.registry import (
    HISTORY_ADDRESS,
    anchor_slot,
    closed_slot,
    heads_slot,
    history_slot,
    key_slot,
    status_slot,
)
from node.core.evm.state_proof import prove_history, prove_slots
from node.outbound.chain import ChainClient, Reverted, TransactionRefused

ED25519_KEY = b"\xed\x01" + bytes(range(32))


async def anchored(
    client: ChainClient, transactions: Transactions, registry: CredentialRegistryCalls, owner: bytes
) -> tuple[bytes, Header]:
    """A new commitment of the identity of that key, and the header of the block that it stands in."""
    commitment = secrets.token_bytes(32)
    found = await transactions.send(registry.anchor(address_of(owner), commitment), owner)
    return commitment, await client.header(found.block_hash)


class ChainBehaviour:
    """Expects fixtures `running` (a RunningChain), `client` and `transactions`."""

    @pytest.fixture
    async def client(self, running: RunningChain) -> AsyncIterator[ChainClient]:
        async with ChainClient(running.url) as client:
            yield client

    @pytest.fixture
    def transactions(self, client: ChainClient) -> Transactions:
        return Transactions(client)

    @pytest.fixture
    def owner(self, running: RunningChain) -> bytes:
        """The key of a new identity that has ether."""
        return running.new_key()

    async def test_a_header_read_by_number_hash_or_tag_is_one_header(self, client: ChainClient) -> None:
        header = await client.header("latest")
        assert await client.header(header.number) == header
        assert await client.header(header.hash) == header
        assert (await client.finalized()).number <= (await client.header()).number

    async def test_block_0_is_the_genesis(self, client: ChainClient, running: RunningChain) -> None:
        assert (await client.header(0)).hash == await client.genesis_hash()
        assert running.network["genesis"] == "0x" + (await client.genesis_hash()).hex()

    async def test_every_block_is_later_than_its_parent_and_not_later_than_the_clock(
        self, client: ChainClient
    ) -> None:
        newest = await client.header()
        headers = [
            await client.header(number) for number in range(max(newest.number - 5, 0), newest.number + 1)
        ]
        for parent, child in pairwise(headers):
            assert parent.timestamp < child.timestamp <= time.time()
            assert child.parent_hash == parent.hash

    async def test_a_written_anchor_holds_the_block_and_time_of_its_header(
        self, client: ChainClient, transactions: Transactions, running: RunningChain, owner: bytes
    ) -> None:
        registry, identity = running.deployments.credential_registry_calls, address_of(owner)
        commitment, header = await anchored(client, transactions, registry, owner)
        word = await client.storage_at(registry.address, anchor_slot(identity, commitment), header.hash)
        # The contract's block.number and block.timestamp are the header's own.
        assert word == header.number | header.timestamp << 48 | 1 << 96

    async def test_proofs_of_present_and_absent_slots_verify_against_the_state_root(
        self, client: ChainClient, transactions: Transactions, running: RunningChain, owner: bytes
    ) -> None:
        registry, identity = running.deployments.credential_registry_calls, address_of(owner)
        first, second = secrets.token_bytes(32), secrets.token_bytes(32)
        found = await transactions.send(registry.anchor(identity, first), owner)
        await transactions.send(registry.anchor(identity, second), owner)
        # Against the older block: proofs must be had for what is no longer the head.
        header = await client.header(found.block_number)
        slots = [heads_slot(identity), anchor_slot(identity, first), anchor_slot(identity, second)]
        proof = await client.proof(registry.address, slots, header.hash)
        nodes = [rlp.decode(bytes.fromhex(node[2:])) for node in proof["accountProof"]]
        account = HexaryTrie.get_from_proof(header.state_root, keccak(registry.address), nodes)
        storage_root = rlp.decode(account)[2]
        values = []
        for slot, entry in zip(slots, proof["storageProof"], strict=True):
            nodes = [rlp.decode(bytes.fromhex(node[2:])) for node in entry["proof"]]
            value = HexaryTrie.get_from_proof(storage_root, keccak(slot), nodes)
            values.append(int.from_bytes(rlp.decode(value), "big") if value else 0)
            assert int(entry["value"], 16) == values[-1]
        assert values[0] == 1
        assert values[1] & (2**48 - 1) == header.number
        assert values[2] == 0

    async def test_proof_nodes_prove_slots_and_the_hop_to_an_older_header_and_nothing_else(
        self, client: ChainClient, transactions: Transactions, running: RunningChain, owner: bytes
    ) -> None:
        registry, identity = running.deployments.credential_registry_calls, address_of(owner)
        commitment, header = await anchored(client, transactions, registry, owner)
        slots = [heads_slot(identity), anchor_slot(identity, commitment), closed_slot(identity)]
        nodes = await client.proof_nodes(registry.address, slots, header.hash)
        proven = prove_slots(header, nodes, registry.address, slots)
        assert proven.values[slots[0]] == 1
        assert proven.values[slots[1]] & (2**48 - 1) == header.number
        assert proven.values[slots[2]] == 0
        assert proven.code_hash == parse_networks({"networks": [running.network]})[running.chain_id].code_hash
        hop = await client.proof_nodes(HISTORY_ADDRESS, [history_slot(header.number - 1)], header.hash)
        assert prove_history(header, hop, header.number - 1) == header.parent_hash

    async def test_the_history_contract_holds_the_hash_of_the_parent(self, client: ChainClient) -> None:
        header = await client.header("latest")
        if header.number == 0:
            pytest.skip("no block yet")
        parent = await client.header(header.number - 1)
        word = await client.storage_at(HISTORY_ADDRESS, history_slot(parent.number), header.hash)
        assert word.to_bytes(32, "big") == parent.hash

    async def test_keys_lists_and_words_arrive_in_their_slots_and_logs_are_found(
        self, client: ChainClient, transactions: Transactions, running: RunningChain, owner: bytes
    ) -> None:
        registry, identity = running.deployments.credential_registry_calls, address_of(owner)
        dids = running.deployments.did_registry_calls
        list_id = secrets.token_bytes(32)
        writer = secrets.token_bytes(20)
        inclusions = await transactions.send_all(
            [
                registry.add_key(identity, ED25519_KEY, 1),
                registry.open_list(identity, list_id, 1, 17),
                registry.set_writer(identity, writer, 2, 2**40),
                dids.set_attribute(identity, "did/pub/Multikey/veriKey", ED25519_KEY, 10**9),
            ],
            owner,
        )
        await transactions.send(registry.set_status(identity, list_id, [WordChange(3, 1 << 255)]), owner)
        await transactions.send(registry.retire_key(identity, ED25519_KEY), owner)
        window = await client.storage_at(registry.address, key_slot(identity, ED25519_KEY))
        assert window & (2**48 - 1) == inclusions[0].block_number
        assert window >> 192 == 1
        assert await client.storage_at(registry.address, status_slot(identity, list_id, 3)) == 1 << 255
        assert await client.storage_at(registry.address, heads_slot(identity)) == 5
        topic = bytes(12) + identity
        logs = await client.logs(registry.address, [None, topic], from_block=0)
        assert [int(log["blockNumber"], 16) for log in logs] == sorted(
            int(log["blockNumber"], 16) for log in logs
        )
        assert len(logs) == 5
        attribute = await client.logs(dids.address, [None, [topic, bytes(32)]])
        assert len(attribute) == 1
        in_block = await client.logs(dids.address, [None, topic], block_hash=inclusions[3].block_hash)
        assert in_block == attribute

    async def test_what_the_contract_refuses_is_refused_before_it_is_sent(
        self, transactions: Transactions, running: RunningChain, owner: bytes
    ) -> None:
        registry = running.deployments.credential_registry_calls
        with pytest.raises(Reverted) as refused:
            await transactions.send(registry.close(secrets.token_bytes(20)), owner)
        assert refused.value.reason

    async def test_the_caller_has_the_bytes_before_they_are_sent_and_may_send_them_again(
        self, client: ChainClient, transactions: Transactions, running: RunningChain
    ) -> None:
        stored: list[bytes] = []

        async def store(transaction: object) -> None:
            assert await client.transaction(transaction.hash) is None  # type: ignore[attr-defined]
            stored.append(transaction.raw)  # type: ignore[attr-defined]

        found = await transactions.send(transfer(secrets.token_bytes(20), 1), running.key, on_signed=store)
        await transactions.broadcast(stored[0])
        assert found.succeeded

    async def test_a_nonce_that_is_used_up_is_refused_by_name(
        self, transactions: Transactions, owner: bytes
    ) -> None:
        await transactions.send(transfer(bytes(20), 1), owner)
        stale = await transactions.sign(transfer(bytes(20), 2), owner, nonce=0, gas_limit=21_000)
        with pytest.raises(TransactionRefused) as refused:
            await transactions.broadcast(stale.raw)
        assert refused.value.code == "nonce_too_low"

    async def test_a_replacement_must_offer_more(
        self, client: ChainClient, transactions: Transactions, owner: bytes
    ) -> None:
        # A nonce ahead keeps them in the pool.
        first = await transactions.sign(transfer(bytes(20), 1), owner, nonce=5, gas_limit=21_000)
        await transactions.broadcast(first.raw)
        await transactions.broadcast(first.raw)
        second = await transactions.sign(
            transfer(bytes(20), 2), owner, nonce=5, fees=first.fees, gas_limit=21_000
        )
        with pytest.raises(TransactionRefused) as refused:
            await transactions.broadcast(second.raw)
        assert refused.value.code == "underpriced"
        third = await transactions.sign(
            transfer(bytes(20), 3), owner, nonce=5, fees=raised(first.fees), gas_limit=21_000
        )
        await transactions.broadcast(third.raw)
        assert await client.transaction(third.hash) is not None

    async def test_more_than_the_balance_is_refused_by_name(self, transactions: Transactions) -> None:
        poor = await transactions.sign(transfer(bytes(20), 1), secrets.token_bytes(32), gas_limit=21_000)
        with pytest.raises(TransactionRefused) as refused:
            await transactions.broadcast(poor.raw)
        assert refused.value.code == "insufficient_funds"

    async def test_deploying_again_changes_nothing(
        self, client: ChainClient, transactions: Transactions, running: RunningChain
    ) -> None:
        before = await client.nonce(address_of(running.key))
        assert (
            await ensure_deployed(transactions, running.key) == running.deployments == Deployments.expected()
        )
        assert await client.nonce(address_of(running.key)) == before

    async def test_the_network_entry_names_the_block_of_the_registry(
        self, client: ChainClient, running: RunningChain
    ) -> None:
        (network,) = parse_networks({"networks": [running.network]}).values()
        address = network.credential_registry
        assert network.deployed > 0
        assert await client.code(address, network.deployed)
        assert not await client.code(address, network.deployed - 1)

    async def test_the_network_entry_is_one_that_the_table_accepts(self, running: RunningChain) -> None:
        table = parse_networks({"networks": [running.network]})
        assert table[running.chain_id].credential_registry == running.deployments.credential_registry
        assert table[running.chain_id].eip2935

    async def test_web3_speaks_to_the_chain_through_our_client(
        self, client: ChainClient, running: RunningChain
    ) -> None:
        w3 = web3_on(client)
        assert await w3.is_connected()
        assert await w3.eth.chain_id == running.chain_id
        assert (await w3.eth.get_block("latest"))["number"] >= 0
        assert (await w3.eth.fee_history(2, "latest", [50]))["oldestBlock"] >= 0
        assert client.contacted == {running.url.removeprefix("http://")}

    async def test_blocks_and_transactions_that_are_not_there_are_told_apart_from_faults(
        self, client: ChainClient
    ) -> None:
        with pytest.raises(Unavailable, match="has no block"):
            await client.block(10**9)
        with pytest.raises(Unavailable, match="has no block"):
            await client.block(bytes(32))
        assert await client.receipt(bytes(32)) is None
        assert await client.transaction(bytes(32)) is None

    async def test_it_can_be_told_to_mine(self, client: ChainClient) -> None:
        before = await client.block_number()
        await client.request("evm_mine", [{"timestamp": None, "blocks": 1}])
        assert await client.block_number() > before

    async def test_one_batch_answers_in_the_order_of_the_questions(
        self, client: ChainClient, running: RunningChain
    ) -> None:
        answers = await client.batch(
            [("eth_chainId", []), ("eth_getBalance", ["0x" + "00" * 19 + "77", "latest"])] * 30
        )
        assert answers == [hex(running.chain_id), "0x0"] * 30

    async def test_transactions_of_one_sender_at_once_have_nonces_of_their_own(
        self, transactions: Transactions, running: RunningChain
    ) -> None:
        found = await asyncio.gather(
            *(transactions.send(transfer(secrets.token_bytes(20), 1), running.key) for _ in range(8))
        )
        assert all(inclusion.succeeded for inclusion in found)


class TestEmbeddedChain(ChainBehaviour):
    @pytest.fixture
    def running(self, devchain: RunningChain) -> RunningChain:
        return devchain


@pytest.mark.anvil
class TestAnvil(ChainBehaviour):
    @pytest.fixture
    def running(self, anvil: RunningChain) -> RunningChain:
        return anvil

    async def test_a_transaction_that_a_reorganisation_drops_is_in_no_block_and_can_be_sent_again(
        self, client: ChainClient, transactions: Transactions, owner: bytes
    ) -> None:
        signed = await transactions.sign(transfer(bytes(20), 1), owner)
        await transactions.broadcast(signed.raw)
        found = await transactions.wait_for_inclusion(signed.hash)
        depth = await client.block_number() - found.block_number + 1
        await client.request("anvil_reorg", [depth, []])
        assert await transactions.inclusion(signed.hash) is None
        await transactions.broadcast(signed.raw)
        again = await transactions.wait_for_inclusion(signed.hash)
        assert again.succeeded
        assert again.block_hash != found.block_hash
