"""The endpoint that lies: each lie is told as it is named, and an honest one passes everything on."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from fixtures import lying_chain as lies
from fixtures.chain import RunningChain
from fixtures.lying_chain import Lie, LyingChain

from node.chain.transactions import Transactions, address_of
from node.core.errors import NotVerified, Unavailable
from node.core.evm.registry import anchor_slot, heads_slot
from node.core.evm.state_proof import prove_slots
from node.outbound.chain import ChainClient, RpcError, TransactionRefused

COMMITMENT = bytes(range(32))


@pytest.fixture
async def client(lying_chain: LyingChain) -> AsyncIterator[ChainClient]:
    async with ChainClient(lying_chain.url, timeout_seconds=5) as client:
        yield client


@pytest.fixture
async def truth(devchain: RunningChain) -> AsyncIterator[ChainClient]:
    async with ChainClient(devchain.url) as client:
        yield client


@pytest.fixture
def registry(devchain: RunningChain) -> bytes:
    return devchain.deployments.credential_registry


@pytest.fixture
async def anchored(devchain: RunningChain, truth: ChainClient) -> tuple[bytes, bytes, int]:
    """An identity with two anchors: itself, the commitment of the second, and the block of that."""
    owner = devchain.new_key()
    calls, commitment = devchain.deployments.credential_registry_calls, secrets.token_bytes(32)
    identity = address_of(owner)
    first, second = await Transactions(truth).send_all(
        [calls.anchor(identity, secrets.token_bytes(32)), calls.anchor(identity, commitment)], owner
    )
    return identity, commitment, max(first.block_number, second.block_number)


async def test_an_honest_endpoint_passes_on_what_the_chain_says(
    client: ChainClient, truth: ChainClient, lying_chain: LyingChain
) -> None:
    assert await client.header(1) == await truth.header(1)
    assert await client.batch([("eth_chainId", []), ("net_version", [])]) == [
        hex(await truth.chain_id()),
        str(await truth.chain_id()),
    ]
    with pytest.raises(RpcError, match="no method"):
        await client.request("eth_nonsense")
    assert [method for method, _ in lying_chain.asked][-1] == "eth_nonsense"


async def test_another_chain_and_another_genesis(
    client: ChainClient, truth: ChainClient, lying_chain: LyingChain
) -> None:
    lying_chain.tell(lies.chain_id_swapped(5), lies.genesis_swapped())
    assert await client.chain_id() == 5
    assert await client.genesis_hash() != await truth.genesis_hash()
    assert (await client.header(0)).hash == await client.genesis_hash()


async def test_a_header_that_does_not_hash_to_its_hash(client: ChainClient, lying_chain: LyingChain) -> None:
    lying_chain.tell(lies.wrong_header())
    with pytest.raises(Unavailable, match="at fault"):
        await client.header("latest")


async def test_a_forged_header_hashes_to_its_hash_and_is_found_by_it(
    client: ChainClient, truth: ChainClient, lying_chain: LyingChain, registry: bytes
) -> None:
    lying_chain.tell(lies.forged_headers())
    forged, true = await client.header(1), await truth.header(1)
    assert forged.hash != true.hash
    assert forged.state_root == true.state_root
    assert await client.header(forged.hash) == forged
    await client.proof_nodes(registry, [], forged.hash)


async def test_a_forged_state_proves(client: ChainClient, lying_chain: LyingChain, registry: bytes) -> None:
    slot, code_hash = heads_slot(bytes(20)), secrets.token_bytes(32)
    lying_chain.tell(lies.forged_state(registry, {slot: 7}, code_hash))
    header = await client.finalized()
    absent = anchor_slot(bytes(20), bytes(32))
    nodes = await client.proof_nodes(registry, [slot, absent], header.hash)
    proven = prove_slots(header, nodes, registry, [slot, absent])
    assert (dict(proven.values), proven.code_hash) == ({slot: 7, absent: 0}, code_hash)
    assert await client.storage_at(registry, slot, header.hash) == 7


@pytest.mark.parametrize("lie", [lies.wrong_proof(), lies.proof_of_another_block(10**6)])
async def test_a_wrong_proof_does_not_prove(
    client: ChainClient,
    lying_chain: LyingChain,
    registry: bytes,
    anchored: tuple[bytes, bytes, int],
    lie: Lie,
) -> None:
    lying_chain.tell(lie)
    header, slots = await client.finalized(), [heads_slot(anchored[0])]
    with pytest.raises(NotVerified):
        prove_slots(header, await client.proof_nodes(registry, slots, header.hash), registry, slots)


async def test_a_slot_without_proof_holds_whatever_is_said(
    client: ChainClient, lying_chain: LyingChain, registry: bytes
) -> None:
    lying_chain.tell(lies.storage_invented(9))
    assert await client.storage_at(registry, bytes(32)) == 9


async def test_a_stale_finalized_block_beside_a_true_newest_one(
    client: ChainClient, truth: ChainClient, lying_chain: LyingChain, anchored: tuple[bytes, bytes, int]
) -> None:
    lying_chain.tell(lies.stale_finalized(2))
    assert (await client.finalized()).number <= (await truth.finalized()).number - 2
    assert await client.block_number() >= anchored[2]


async def test_an_endpoint_that_lags_has_nothing_of_the_newest_blocks(
    client: ChainClient,
    truth: ChainClient,
    lying_chain: LyingChain,
    registry: bytes,
    devchain: RunningChain,
) -> None:
    owner = devchain.new_key()
    call = devchain.deployments.credential_registry_calls.anchor(address_of(owner), COMMITMENT)
    found = await Transactions(truth).send(call, owner)
    (log,) = await truth.logs(registry, block_hash=found.block_hash)
    sent = bytes.fromhex(log["transactionHash"][2:])
    lag = await truth.block_number() - found.block_number + 1
    lying_chain.tell(lies.lagging(lag))
    assert await client.block_number() < found.block_number
    assert await client.receipt(sent) is None
    transaction = await client.transaction(sent)
    assert transaction is not None
    assert transaction["blockNumber"] is None
    assert await client.storage_at(registry, heads_slot(address_of(owner))) == 0
    assert await client.nonce(address_of(owner)) == 0
    assert log not in await client.logs(registry)
    with pytest.raises(Unavailable, match="has no block"):
        await client.header(found.block_number)


async def test_a_transaction_that_is_swallowed_is_nowhere(
    client: ChainClient, truth: ChainClient, lying_chain: LyingChain, devchain: RunningChain
) -> None:
    owner = devchain.new_key()
    call = devchain.deployments.credential_registry_calls.anchor(address_of(owner), COMMITMENT)
    signed = await Transactions(truth).sign(call, owner)
    lying_chain.tell(lies.transactions_swallowed())
    assert await client.send_raw(signed.raw) == signed.hash
    assert await truth.transaction(signed.hash) is None
    lying_chain.tell(lies.transactions_refused())
    with pytest.raises(TransactionRefused, match="full"):
        await client.send_raw(signed.raw)


async def test_receipts_that_are_withheld_invented_and_turned_round(
    client: ChainClient,
    truth: ChainClient,
    lying_chain: LyingChain,
    registry: bytes,
    anchored: tuple[bytes, bytes, int],
) -> None:
    logs = await truth.logs(registry, from_block=anchored[2])
    mined = bytes.fromhex(logs[0]["transactionHash"][2:])
    lying_chain.tell(lies.receipts_withheld())
    assert await client.receipt(mined) is None
    lying_chain.tell(lies.receipts_failed())
    assert (await client.receipt(mined) or {})["status"] == "0x0"
    assert await client.receipt(bytes(32)) is None
    lying_chain.tell(lies.receipts_invented())
    assert (await client.receipt(bytes(32)) or {})["status"] == "0x1"


async def test_logs_that_are_left_out(
    client: ChainClient,
    truth: ChainClient,
    lying_chain: LyingChain,
    registry: bytes,
    anchored: tuple[bytes, bytes, int],
) -> None:
    topic = bytes(12) + anchored[0]
    ours = await truth.logs(registry, [None, topic])
    assert len(ours) == 2
    for which, left in (("all", []), ("first", ours[1:]), ("last", ours[:1])):
        lying_chain.tell(lies.logs_withheld(topic=topic, which=which))
        assert await client.logs(registry, [None, topic]) == left
        # It is the same log that is missing, however the range is cut.
        everything = [log for at in (0, 1) for log in await client.logs(registry, **_halves(anchored[2])[at])]
        assert [log for log in everything if log in ours] == left


def _halves(block: int) -> tuple[dict[str, int], dict[str, int]]:
    return {"from_block": 0, "to_block": block - 1}, {"from_block": block}


async def test_a_log_that_no_contract_wrote(
    client: ChainClient,
    truth: ChainClient,
    lying_chain: LyingChain,
    registry: bytes,
    anchored: tuple[bytes, bytes, int],
) -> None:
    block = anchored[2]
    lying_chain.tell(lies.logs_invented(registry, [bytes(32)], b"made up", block))
    true = await truth.logs(registry, from_block=block, to_block=block)
    assert len(await client.logs(registry, from_block=block, to_block=block)) == len(true) + 1
    assert await client.logs(registry, to_block=block - 1) == await truth.logs(registry, to_block=block - 1)
    assert await client.logs(bytes(20)) == []


async def test_ranges_of_logs_that_are_too_wide_or_hold_too_much(
    client: ChainClient, lying_chain: LyingChain, registry: bytes, anchored: tuple[bytes, bytes, int]
) -> None:
    lying_chain.tell(lies.log_limits(blocks=1))
    with pytest.raises(RpcError, match="range"):
        await client.logs(registry, from_block=anchored[2] - 1, to_block=anchored[2])
    await client.logs(registry, from_block=anchored[2], to_block=anchored[2])
    lying_chain.tell(lies.log_limits(results=1))
    with pytest.raises(RpcError, match="more than 1"):
        await client.logs(registry)


@pytest.mark.parametrize(
    ("lie", "told"),
    [
        (lies.errors(), "internal error"),
        (lies.http_errors(), "status 502"),
        (lies.too_many_requests(), "status 429"),
        (lies.oversize(), "more than"),
        (lies.hanging_up(), "could not be asked"),
    ],
    ids=["error", "bad gateway", "too many requests", "oversize", "hanging up"],
)
async def test_answers_that_are_none(
    client: ChainClient, lying_chain: LyingChain, lie: Lie, told: str
) -> None:
    lying_chain.tell(lie)
    with pytest.raises(Unavailable, match=told):
        await client.block_number()
    lying_chain.be_honest()
    assert await client.block_number() > 0


async def test_no_answer_at_all(lying_chain: LyingChain) -> None:
    lying_chain.tell(lies.silent())
    async with ChainClient(lying_chain.url, timeout_seconds=0.2) as client:
        with pytest.raises(Unavailable, match="no answer within"):
            await client.block_number()


async def test_a_lie_for_some_methods_or_some_of_the_time(
    client: ChainClient, lying_chain: LyingChain
) -> None:
    lying_chain.tell(lies.only(lies.errors(), "eth_chainId"), lies.first(1, lies.errors(message="once")))
    with pytest.raises(RpcError, match="once"):
        await client.block_number()
    await client.block_number()
    with pytest.raises(RpcError, match="internal"):
        await client.chain_id()
    lying_chain.tell(lies.after(1, lies.errors()))
    await client.block_number()
    with pytest.raises(RpcError):
        await client.block_number()


async def test_other_processes_and_loops_may_ask_it(lying_chain: LyingChain) -> None:
    async def ask() -> int:
        async with ChainClient(lying_chain.url) as client:
            return await client.block_number()

    assert await asyncio.to_thread(lambda: asyncio.run(ask())) > 0
