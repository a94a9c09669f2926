"""`GET /proofs/…`: what anybody may have proven, at which block, and what a node does when its chain fails it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from fixtures.chain import RunningChain, in_thread
from fixtures.lying_chain import LyingChain, errors, wrong_proof
from fixtures.verification import Story

from node.chain.transactions import Transactions, address_of
from node.core.bundle import parse_state
from node.core.encoding import encode_hex
from node.core.errors import NotFound, Unavailable
from node.core.evm import registry
from node.core.evm.agreement import Endpoints
from node.core.evm.header import parse_header
from node.core.evm.network import Network, parse_networks
from node.core.evm.state_proof import prove_history, prove_slots
from node.core.verify.materials import Mode
from node.outbound.chain import ChainClient
from node.outbound.http import Egress, EgressPolicy, NamedBy
from node.outbound.proofs import MAX_SLOTS, At, NodeProofs
from node.services import proofs
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app

SLOTS = tuple(registry.heads_slot(bytes([number]) * 20) for number in range(1, 31))


@pytest.fixture(params=["devchain"])
def chain(request: pytest.FixtureRequest) -> RunningChain:
    """The embedded chain, where a test does not ask for another."""
    found: RunningChain = request.getfixturevalue(request.param)
    if request.param == "anvil":
        in_thread(partial(anchor_something, found))
    return found


async def anchor_something(chain: RunningChain) -> None:
    """So that the registry is not empty: of an empty storage Anvil gives nodes that lead nowhere."""
    key = chain.new_key()
    async with ChainClient(chain.url) as client:
        call = chain.deployments.credential_registry_calls.anchor(address_of(key), sha256(key).digest())
        await Transactions(client).send(call, key)


either_chain = pytest.mark.parametrize(
    "chain", ["devchain", pytest.param("anvil", marks=pytest.mark.anvil)], indirect=True
)


@pytest.fixture
def network(chain: RunningChain) -> Network:
    (found,) = parse_networks({"networks": [chain.network]}).values()
    return found


@pytest.fixture
def lying_chain(chain: RunningChain) -> Iterator[LyingChain]:
    """An endpoint in front of it."""
    with LyingChain(chain.url) as endpoint:
        yield endpoint


@pytest.fixture
async def node(
    tmp_path: Path, lying_chain: LyingChain, network: Network
) -> AsyncIterator[TestClient[Any, Any]]:
    """A verifier that asks the embedded chain."""
    options = VerifierOptions(
        public_url="https://verifier.example",
        database_url=sqlite_url(tmp_path / "verifier.sqlite3"),
        verifier=Story(mode=Mode.CHAIN, operator_networks={network.chain_id: network}).verifier(),
        endpoints=Endpoints.of([lying_chain.url]),
    )
    async with TestClient(TestServer(make_verifier_app(options))) as client:
        yield client


async def get(node: TestClient[Any, Any], path: str) -> tuple[int, Any]:
    async with node.get(path) as answer:
        return answer.status, await answer.json()


def path_of(network: Network, slots: tuple[bytes, ...] = SLOTS[:3], **query: Any) -> str:
    more = "".join(f"&{name}={value}" for name, value in query.items())
    account = encode_hex(network.credential_registry)
    return f"/proofs/{network.chain}/{account}?slots={','.join(map(encode_hex, slots))}{more}"


def source_at(node: TestClient[Any, Any], egress: Egress) -> NodeProofs:
    return NodeProofs(egress, str(node.make_url("/proofs")), named_by=NamedBy.MIRROR)


@pytest.fixture
async def egress(node: TestClient[Any, Any]) -> AsyncIterator[Egress]:
    """A holder's guard, who configured that node."""
    async with Egress(EgressPolicy(Mode.MIRROR, mirrors=(str(node.make_url("/")),))) as opened:
        yield opened


@either_chain
async def test_slots_are_proven_at_a_final_header(node: TestClient[Any, Any], network: Network) -> None:
    status, body = await get(node, path_of(network))
    assert status == 200, body
    assert body["chain"] == network.chain
    state = parse_state(body["state"])
    header = parse_header(state.header)
    assert body["block"] == header.number
    proven = prove_slots(header, state.nodes, network.credential_registry, SLOTS[:3])
    assert proven.code_hash == network.code_hash


@either_chain
async def test_a_hop_proves_the_hash_of_an_older_block(node: TestClient[Any, Any], network: Network) -> None:
    status, newest = await get(node, path_of(network, at="newest"))
    assert status == 200, newest
    block = newest["block"]
    older = parse_header(parse_state((await get(node, path_of(network, at=block - 1)))[1]["state"]).header)
    status, body = await get(node, f"/proofs/{network.chain}/hop?from={block - 1}&at={block}")
    assert status == 200, body
    hop = parse_state(body["hop"])
    assert prove_history(parse_header(hop.header), hop.nodes, block - 1) == older.hash


async def test_a_hop_that_no_block_will_ever_have_is_not_to_be_asked_for_again(
    node: TestClient[Any, Any], network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = (await get(node, path_of(network, at="newest")))[1]["block"]
    for beginning in (block, block + 1):
        status, body = await get(node, f"/proofs/{network.chain}/hop?from={beginning}&at={block}")
        assert (status, body["pointer"]) == (400, "/from"), body
    monkeypatch.setattr("node.outbound.proofs.HISTORY_BLOCKS", 1)
    status, body = await get(node, f"/proofs/{network.chain}/hop?from={block - 2}&at={block}")
    assert (status, "not among the 1 before" in body["detail"]) == (404, True), body
    # Before a block that is still to come it will be.
    async with node.get(f"/proofs/{network.chain}/hop?from={block + 50}&at=newest") as answer:
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)


async def test_a_page_elsewhere_may_read_it_and_no_cookie_is_set(
    node: TestClient[Any, Any], network: Network
) -> None:
    async with node.get(path_of(network), headers={"Origin": "https://wallet.example"}) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("/proofs/eip155:", "/proofs/solana:"), 400),
        (("eip155:", "eip155:9"), 404),
        (("?slots=0x", "?slots=0xzz"), 400),
        (("?slots=", "?slots=0x00,"), 400),
        (("?slots=", "?at=newest&slots="), 200),
        (("?slots=", "?at=latest&slots="), 400),
        (("?slots=", "?at=-1&slots="), 400),
        (("?slots=", "?at=99999999999&slots="), 503),
        (("?slots=", "?at=newest&at=series&slots="), 400),
        (("?slots=", "?evil=1&slots="), 400),
    ],
)
async def test_what_is_asked_is_read_strictly(
    node: TestClient[Any, Any], network: Network, change: tuple[str, str], status: int
) -> None:
    found, _ = await get(node, path_of(network).replace(*change))
    assert found == status


async def test_only_registries_of_the_table_are_proven(
    node: TestClient[Any, Any], network: Network, lying_chain: LyingChain
) -> None:
    other = encode_hex(network.did_registry)
    status, body = await get(node, f"/proofs/{network.chain}/{other}")
    assert (status, "no registry" in body["detail"]) == (404, True)
    assert not lying_chain.asked


async def test_no_more_slots_than_the_limit(node: TestClient[Any, Any], network: Network) -> None:
    assert (await get(node, path_of(network, SLOTS[:MAX_SLOTS])))[0] == 200
    assert (await get(node, path_of(network, SLOTS[: MAX_SLOTS + 1])))[0] == 400


async def test_who_asks_again_costs_the_endpoint_nothing(
    node: TestClient[Any, Any], network: Network, lying_chain: LyingChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "HEADER_SECONDS", 3600.0)
    first = await get(node, path_of(network))
    asked = len(lying_chain.asked)
    assert await get(node, path_of(network)) == first
    assert len(lying_chain.asked) == asked


async def test_where_the_chain_is_out_of_reach_it_says_when_to_ask_again(
    node: TestClient[Any, Any], network: Network, lying_chain: LyingChain
) -> None:
    lying_chain.tell(errors())
    async with node.get(path_of(network)) as answer:
        assert answer.status == 503
        assert int(answer.headers["Retry-After"]) > 0


async def test_a_wrong_proof_is_not_passed_on(
    node: TestClient[Any, Any], network: Network, lying_chain: LyingChain
) -> None:
    lying_chain.tell(wrong_proof())
    status, body = await get(node, path_of(network))
    assert (status, "at fault" in body["detail"]) == (503, True)


async def test_more_than_a_node_makes_at_a_time_are_asked_to_come_again(
    node: TestClient[Any, Any], network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(proofs, "MAX_WAITING", 0)
    async with node.get(path_of(network)) as answer:
        assert answer.status == 429
        assert "Retry-After" in answer.headers


async def test_a_verifier_without_endpoints_has_no_such_address(tmp_path: Path, network: Network) -> None:
    options = VerifierOptions(
        public_url="https://verifier.example",
        database_url=sqlite_url(tmp_path / "verifier.sqlite3"),
        verifier=Story().verifier(),
    )
    async with (
        TestClient(TestServer(make_verifier_app(options))) as client,
        client.get(path_of(network)) as answer,
    ):
        assert answer.status == 404


# A holder who asks it ------------------------------------------------------------------------------------------


@either_chain
async def test_a_holder_gets_more_slots_than_one_address_holds_at_one_header(
    node: TestClient[Any, Any], network: Network, egress: Egress
) -> None:
    source = source_at(node, egress)
    target = await source.target(network, At.NEWEST)
    state = await source.state(target, SLOTS)
    assert state.header == target.header.raw
    target.check_state(state.nodes, SLOTS)
    assert target.answer.source == f"the node 127.0.0.1:{node.port}"


@either_chain
async def test_a_hop_is_proven_to_the_holder(
    node: TestClient[Any, Any], network: Network, egress: Egress
) -> None:
    source = source_at(node, egress)
    target = await source.target(network, At.NEWEST)
    hop = await source.hop(target, target.header.number - 1)
    assert prove_history(target.header, hop.nodes, target.header.number - 1) == target.header.parent_hash
    with pytest.raises(Unavailable, match="is not before"):
        await source.hop(target, target.header.number)


async def test_a_chain_that_the_node_does_not_know_is_said_to_the_holder(
    node: TestClient[Any, Any], network: Network, egress: Egress
) -> None:
    with pytest.raises(NotFound, match="no state proof"):
        await source_at(node, egress).target(replace(network, chain_id=1), At.SERIES)
