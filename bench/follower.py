"""The follower from Anvil: events to words that are proven; and `POST /verify` of bundles by the replica alone.

Anvil is a process of its own and has made all blocks before the clock starts: what is measured is one step from the
first block to the newest. Anvil's trie holds slots that were only read, so every word is proven slot by slot there; on
other chains one root is compared, which is measured over the same words without an endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.anvil import ANVIL, ANVIL_KEY, anvil
from bench.rows import Row

if TYPE_CHECKING:
    from node.chain.transactions import Deployments
    from node.core.evm.network import Network
    from node.services.issuer import Issuer

_LIST = bytes([7]) * 32
_WORDS_A_CALL = 200
_CALLS = 40
_ANCHORS = 2_000
_REQUESTS = 10_000
_BUNDLES = 40


def measure(calls: int = _CALLS, anchors: int = _ANCHORS, requests: int = _REQUESTS) -> Iterator[Row]:
    """Events a second, how long one root takes, and what a replica leaves to be asked for."""
    if not ANVIL.exists():
        yield Row("follow events from Anvil", "no Anvil: npm ci --prefix tests/interop --ignore-scripts")
        return
    with anvil() as url:
        events, seconds, processor, root_seconds = asyncio.run(_follow(url, calls, anchors))
    yield Row("follow events from Anvil, each word proven", events / seconds, "events/s", at_least=2_000)
    yield Row("  by the follower's own processor time", events / processor, "events/s")
    yield Row("  events, written by one identity", events)
    yield Row("  one root over all of their words", root_seconds * 1e3, "ms")
    with anvil("--block-time", "1") as url:
        accepted, connections, seconds = asyncio.run(_verify_by_replica(url, requests))
    work = f"connections by {requests:,} POST /verify of bundles"
    yield Row(work, connections if accepted == requests else "not all were accepted", at_most=0)
    yield Row("  each, client and server in one process", seconds / requests * 1e3, "ms")


async def _follow(url: str, calls: int, anchors: int) -> tuple[int, float, float, float]:
    from node.chain.transactions import Transactions, ensure_deployed, network_entry
    from node.core.evm.agreement import Endpoints
    from node.core.evm.network import parse_networks
    from node.core.evm.storage_trie import cut, root_of
    from node.core.verify.materials import Mode
    from node.outbound.chain import ChainClient
    from node.outbound.http import Egress, EgressPolicy
    from node.services.follower import Follower
    from node.storage.database import open_database, sqlite_url

    async with ChainClient(url) as client:
        deployments = await ensure_deployed(Transactions(client), ANVIL_KEY)
        (network,) = parse_networks({"networks": [await network_entry(client, deployments)]}).values()
        events = await _write(client, deployments, calls, anchors)
    with tempfile.TemporaryDirectory(prefix="bonafides-bench-") as folder:
        store = await open_database(sqlite_url(Path(folder) / "verifier.sqlite3"))
        async with Egress(EgressPolicy(Mode.CHAIN, Endpoints.of([url]))) as egress:
            started, used = time.perf_counter(), time.process_time()
            progress = await Follower(store, network, egress).step()
            seconds, processor = time.perf_counter() - started, time.process_time() - used
        assert progress.fault is None
        assert progress.followed == progress.newest
        async with store.reading() as tx:
            entries = await tx.replica.parts(network.chain_id, None)
        await store.close()
    assert len(entries) == events + 1  # a word of each, and the counter
    started = time.perf_counter()
    root_of(cut(entries))
    return events, seconds, processor, time.perf_counter() - started


async def _write(client: object, deployments: Deployments, calls: int, anchors: int) -> int:
    """Anchors and status words of one identity; how many events there are."""
    from node.chain.transactions import Transactions, WordChange, address_of
    from node.outbound.chain import ChainClient

    assert isinstance(client, ChainClient)
    identity, registry = address_of(ANVIL_KEY), deployments.credential_registry_calls
    changes = [
        [WordChange(call * _WORDS_A_CALL + word, 1 << word % 256, 0) for word in range(_WORDS_A_CALL)]
        for call in range(calls)
    ]
    work = [
        (registry.open_list(identity, _LIST, 1, 24, 1), 200_000),
        *((registry.set_status(identity, _LIST, some), 14_000_000) for some in changes),
        *(
            (registry.anchor(identity, number.to_bytes(32, "big")), 120_000)
            for number in range(1, anchors + 1)
        ),
    ]
    transactions = Transactions(client)
    # A block for each transaction would take Anvil, which computes a whole trie for each block, minutes.
    await client.request("evm_setAutomine", [False])
    nonce, fees = await client.nonce(identity), await client.fees()
    last = b""
    for at, (call, gas) in enumerate(work):
        signed = await transactions.sign(call, ANVIL_KEY, nonce=nonce + at, fees=fees, gas_limit=gas)
        await transactions.broadcast(signed.raw)
        last = signed.hash
    await client.request("anvil_mine", ["0x5"])  # the newest two are not final
    await transactions.wait_for_inclusion(last, timeout_seconds=30)
    return 1 + calls * _WORDS_A_CALL + anchors


# --- POST /verify of bundles, from the replica alone


async def _verify_by_replica(url: str, requests: int) -> tuple[int, int, float]:
    """How many were accepted, how many connections were opened meanwhile to anywhere, and how long all took."""
    from aiohttp.test_utils import TestClient, TestServer

    from node.commands.issuer_folder import open_chain
    from node.commands.loading import load_standards
    from node.core.evm.agreement import Endpoints
    from node.core.verify.materials import Mode
    from node.core.verify.policy import ANY_ISSUER_UNSAFE
    from node.core.verify.verifier import Verifier
    from node.services import setup
    from node.storage.database import open_database, sqlite_url
    from node.web.verifier import VerifierOptions, make_verifier_app

    with tempfile.TemporaryDirectory(prefix="bonafides-bench-") as text:
        folder = Path(text)
        store = await open_database(sqlite_url(folder / "issuer.db"))
        network = await _network(url)
        async with open_chain(url, {network.chain_id: network}) as chain:
            place = setup.Place(folder, store, "bench")
            issuer = await setup.create_on_chain(
                place, load_standards(), chain, "A school", "https://school.example"
            )
            await setup.fund(chain, ANVIL_KEY, await setup.shortages(issuer))
            await setup.register(issuer)
            bundles = await _bundles(issuer, folder)
            height = (await chain.client.finalized()).number
        await store.close()
        verifier = Verifier.of(
            load_standards(),
            operator_networks={network.chain_id: network},
            policy=ANY_ISSUER_UNSAFE,
            mode=Mode.CHAIN,
        )
        async with _relay(url) as relay:
            options = VerifierOptions(
                "https://verifier.example",
                sqlite_url(folder / "verifier.sqlite3"),
                verifier,
                endpoints=Endpoints.of([relay.url]),
                follow=True,
                follow_seconds=1e6,
            )
            async with TestClient(TestServer(make_verifier_app(options))) as client:
                await _until_followed(client, height)
                relay.cut()
                opened, accepted = _connections_of_this_process(), 0
                started = time.perf_counter()
                for number in range(requests):
                    async with client.post("/verify", data=bundles[number % len(bundles)]) as answer:
                        accepted += (await answer.json())["acceptance"] == "accepted"
                seconds = time.perf_counter() - started
                return accepted, len(opened), seconds


async def _network(url: str) -> Network:
    from node.chain.transactions import Transactions, ensure_deployed, network_entry
    from node.core.evm.network import parse_networks
    from node.outbound.chain import ChainClient

    async with ChainClient(url) as client:
        deployments = await ensure_deployed(Transactions(client), ANVIL_KEY)
        (network,) = parse_networks({"networks": [await network_entry(client, deployments)]}).values()
        # Final two blocks later: before that there is no registry to prove anything of.
        await client.request("anvil_mine", ["0x3"])
        return network


async def _bundles(issuer: Issuer, folder: Path) -> list[bytes]:
    from bench.batch import TEMPLATE, write_cohort
    from node.services import export, issuance
    from node.services.anchoring import AnchorWorker
    from node.services.cohort import load_cohort
    from node.services.preparing import Terms

    template, rows = folder / "template.json", folder / "cohort.csv"
    template.write_text(json.dumps(TEMPLATE))
    write_cohort(rows, _BUNDLES)
    await AnchorWorker(issuer).run_until_done(timeout_seconds=120)
    cohort = load_cohort(template, rows)
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms()))
    await AnchorWorker(issuer).run_until_done(timeout_seconds=120)
    return [await export.bundle_json(issuer, str(number)) for number in range(_BUNDLES)]


async def _until_followed(client: Any, height: int) -> None:
    async with asyncio.timeout(60):
        while True:
            async with client.get("/health/ready") as answer:
                following = (await answer.json())["following"]
            if following and following[0]["block"] >= height:
                return
            await asyncio.sleep(0.1)


def _connections_of_this_process() -> list[str]:
    """Grows with each connection that is opened from now on, and each name that is looked up (PEP 578)."""
    watched = ("socket.connect", "socket.getaddrinfo")
    opened: list[str] = []
    # The client's own connection stands since it asked whether all was followed, and is kept.
    sys.addaudithook(lambda event, _: opened.append(event) if event in watched else None)
    return opened


class _Relay:
    """A way to the endpoint that can be cut."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._is_cut = False
        self._open: set[asyncio.StreamWriter] = set()

    def cut(self) -> None:
        """Close all connections, and every new one at once."""
        self._is_cut = True
        for writer in self._open:
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        if self._is_cut:
            writer.close()
            return
        further, onward = await asyncio.open_connection("127.0.0.1", port)
        self._open |= {writer, onward}
        await asyncio.gather(_pass(reader, onward), _pass(further, writer))


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()


@asynccontextmanager
async def _relay(url: str) -> AsyncIterator[_Relay]:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await relay.serve(reader, writer, int(url.rpartition(":")[2]))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    relay = _Relay(server.sockets[0].getsockname()[1])
    try:
        yield relay
    finally:
        relay.cut()
        server.close()
