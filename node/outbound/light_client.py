"""The light client at work: asks servers of the Beacon API, keeps what it learned, tells final headers.

What such a server says is proven or refused (`node/core/evm/light_client`), so any will do, and one that lies only
costs time; the one thing that must be known is the block root to start from. The servers tell the hash of the final
execution block. Its header is asked from any chain endpoint and must have that hash. Of older blocks only those are
told that the history contract (EIP-2935) proves to be behind that header, at most 8,191 back; of all others nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
from yarl import URL

from node.core.encoding import encode_hex
from node.core.errors import BonafidesError, Malformed, Misconfigured, NotVerified, Unavailable
from node.core.evm.header import Header
from node.core.evm.light_client import beacon_api
from node.core.evm.light_client.containers import LightClientUpdate
from node.core.evm.light_client.settings import LightClientSettings
from node.core.evm.light_client.store import FinalBlock, LightClientStore, parse_store
from node.core.evm.network import Network, format_chain
from node.core.evm.registry import HISTORY_ADDRESS, HISTORY_BLOCKS, history_slot
from node.core.evm.state_proof import prove_history
from node.core.members import closed_object, hex_member
from node.core.strict_json import parse_json
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Strength
from node.outbound.blame import blaming
from node.outbound.chain import ChainClient
from node.outbound.headers import ChainEndpoints, HeaderSource, SourcesDisagree, Voices
from node.outbound.http import Egress, NamedBy

# A new block becomes final every 32 slots, six minutes on mainnet.
REFRESH_SECONDS: Final = 60
# A block is final two to three epochs after it; a server that is further behind is not the only one to be asked.
FRESH_EPOCHS: Final = 4
# All that one server is given, so that one that hangs does not use up the time of a report.
SERVER_SECONDS: Final = 10.0
# A server's clock may be that much ahead of ours: its newest signature is then of a slot that begins here soon.
CLOCK_DISPARITY_SECONDS: Final = 12
# A stored state has two committees of 50 KB.
MAX_STATE_BYTES: Final = 512 * 1024

Clock = Callable[[], datetime]


def _system_clock() -> datetime:
    return datetime.now(UTC)


def light_clients(
    settings: Iterable[LightClientSettings],
    networks: Mapping[int, Network],
    folder: Path | None = None,
    clock: Clock = _system_clock,
) -> tuple[LightClient, ...]:
    """The light clients that are configured; each keeps its state in a file of `folder`, where there is one."""
    found = []
    for one in settings:
        if one.chain_id not in networks:
            raise Misconfigured(f"{format_chain(one.chain_id)} is in no table of networks: no light client")
        state = None if folder is None else folder / f"light-client-{one.chain_id}.json"
        network = networks[one.chain_id]
        found.append(LightClient(network, one.servers, one.checkpoint, state=state, clock=clock))
    return tuple(found)


class LightClient:
    """The light client of one chain, for as long as a process lives; reports share it.

    `servers` are base URLs of the Beacon API, `checkpoint` the root of a final block that the operator trusts, at
    most two weeks old. `state` is the file that keeps what was learned since; without one every process starts from
    the checkpoint. A file that was made from another checkpoint, or that cannot be read, is not used.
    """

    def __init__(
        self,
        network: Network,
        servers: Sequence[str],
        checkpoint: bytes,
        *,
        state: Path | None = None,
        clock: Clock = _system_clock,
    ) -> None:
        if network.beacon is None:
            raise Misconfigured(f"the table of networks names no beacon chain for {network.name}")
        self.network = network
        self._chain = network.beacon
        self._servers = tuple(servers)
        self._checkpoint = checkpoint
        self._state = state
        self._clock = clock
        self._store = self._load()
        self._header: Header | None = None
        self._asked: datetime | None = None
        self._failures: tuple[str, ...] = ()
        self._following = asyncio.Lock()

    def source(self, egress: Egress, endpoints: ChainEndpoints) -> HeaderSource:
        """Its word for one report."""
        return _Source(self, egress, endpoints)

    async def follow(self, egress: Egress) -> tuple[LightClientStore, tuple[str, ...]]:
        """What is known after asking the servers, at most once a minute, and what went wrong meanwhile.

        Unavailable where nothing could be learned yet.
        """
        async with self._following:
            now = self._clock()
            if self._asked is None or not 0 <= (now - self._asked).total_seconds() < REFRESH_SECONDS:
                self._failures = await self._ask_servers(egress, int(now.timestamp()))
                self._asked = now
            if self._store is None:
                raise Unavailable(f"the light client knows no block yet: {'; '.join(self._failures)}")
            return self._store, self._failures

    async def header(self, store: LightClientStore, voices: Voices) -> Header:
        """The final block's header, from any endpoint that has one with its hash; kept until the next is final.

        SourcesDisagree where they have another block in its place.
        """
        block = store.final_block
        if block is None:
            raise Unavailable("the light client's final header names no block of the execution layer")
        known = self._header
        if known is None or known.hash != block.hash:
            try:
                found, _ = await voices.read(lambda client: client.header(block.hash))
            except Unavailable:
                await _check_contradiction(block, voices)
                raise
            known = self._header = found
        return known

    # --- servers ---

    async def _ask_servers(self, egress: Egress, now: int) -> tuple[str, ...]:
        """Ask one after the other until the newest final header is fresh; why that failed, of each that failed."""
        failures = []
        for server in self._servers:
            before, is_enough = self._store, False
            try:
                async with asyncio.timeout(SERVER_SECONDS):
                    await self._catch_up(egress, server, now)
            except TimeoutError:
                failures.append(f"{_host(server)} gave no answer in time")
            except (Malformed, NotVerified) as error:
                failures.append(f"{_host(server)} is at fault: {error.detail}")
            except BonafidesError as error:
                failures.append(error.detail)
            else:
                is_enough = self._store is not None and self._is_fresh(self._store, now)
            if self._store is not before:
                failures += self._save()
            if is_enough:
                break
        return tuple(failures)

    def _is_fresh(self, store: LightClientStore, now: int) -> bool:
        behind = self._chain.slot_at(now) - store.finalized_header.beacon.slot
        return behind <= FRESH_EPOCHS * self._chain.slots_per_epoch

    async def _catch_up(self, egress: Egress, server: str, now: int) -> None:
        """Follow the committees to the present period, then take the newest final header.

        What was learned is kept at each step, so that another server goes on from there.
        """
        store = await self._started(egress, server, now)
        current_slot = self._chain.slot_at(now + CLOCK_DISPARITY_SECONDS)
        present = self._chain.period_of(current_slot)
        while store.next_sync_committee is None or store.period + 1 < present:
            first = store.period if store.next_sync_committee is None else store.period + 1
            body = await _get(egress, server, beacon_api.updates_path(first))
            updates = beacon_api.parse_updates(body, self._chain)
            before = store
            for update in updates:
                store = await self._applied(store, update, current_slot)
            if store is before:
                break  # a period's first updates come when its first block is final
        body = await _get(egress, server, beacon_api.FINALITY_UPDATE_PATH)
        update = beacon_api.parse_finality_update(body, self._chain)
        await self._applied(store, update, current_slot)

    async def _applied(
        self, store: LightClientStore, update: LightClientUpdate, current_slot: int
    ) -> LightClientStore:
        # In another thread: reading a committee's keys takes some 30 ms, which a service's other callers need not wait.
        self._store = await asyncio.to_thread(store.apply, update, current_slot=current_slot)
        return self._store

    async def _started(self, egress: Egress, server: str, now: int) -> LightClientStore:
        """What is known, or what the checkpoint gives; neither may be too old."""
        if self._store is not None:
            try:
                self._store.check_age(now)
            except NotVerified:
                self._store = None
            else:
                return self._store
        body = await _get(egress, server, beacon_api.bootstrap_path(self._checkpoint))
        bootstrap = beacon_api.parse_bootstrap(body, self._chain)
        store = LightClientStore.start(self._chain, self._checkpoint, bootstrap)
        try:
            store.check_age(now)
        except NotVerified as error:
            raise Unavailable(error.detail) from error
        self._store = store
        return store

    # --- state ---

    def _load(self) -> LightClientStore | None:
        if self._state is None or not self._state.is_file():
            return None
        try:
            value = parse_json(self._state.read_bytes(), max_bytes=MAX_STATE_BYTES)
            members = closed_object(value, "the state of a light client", frozenset({"checkpoint", "store"}))
            if hex_member(members, "checkpoint", 32) != self._checkpoint:
                return None
            return parse_store(self._chain, members["store"])
        except (Malformed, OSError):
            return None

    def _save(self) -> list[str]:
        """Write what is known, whole or not at all; why that failed. It can be learned again."""
        if self._state is None or self._store is None:
            return []
        body = orjson.dumps({"checkpoint": encode_hex(self._checkpoint), "store": self._store.to_json()})
        draft = self._state.with_name(f".{self._state.name}.{os.getpid()}")
        try:
            with draft.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._state)
        except OSError as error:
            return [f"the light client's state could not be written: {error.strerror}"]
        return []


class _Source:
    """The light client's word for one report; a `HeaderSource`."""

    strength = Strength.LIGHT_CLIENT

    def __init__(self, client: LightClient, egress: Egress, endpoints: ChainEndpoints) -> None:
        self.chain_id = client.network.chain_id
        self._client = client
        self._egress = egress
        self._endpoints = endpoints

    async def header(self, need: HeaderNeed) -> HeaderAnswer:
        """The newest block that a sync committee made final, and what is proven behind it."""
        try:
            voices = self._endpoints.of(self.chain_id)
            store, failures = await self._client.follow(self._egress)
            newest = await self._client.header(store, voices)
        except SourcesDisagree:
            raise
        except Unavailable as error:
            raise Unavailable(
                f"the light client tells no header: {error.detail}", asked=error.asked
            ) from error
        hashes, others = {newest.number: newest.hash}, list(failures)
        for height in need.heights:
            if self._client.network.eip2935 and 0 < newest.number - height <= HISTORY_BLOCKS:
                try:
                    hashes[height] = await _behind(newest, height, voices)
                except Unavailable as error:
                    others.append(error.detail)
        source = f"the sync committee (slot {store.finalized_header.beacon.slot})"
        return HeaderAnswer(newest, hashes, source, self.strength, tuple(others))


async def _check_contradiction(block: FinalBlock, voices: Voices) -> None:
    """Raise SourcesDisagree where an endpoint has another block than the final one at its height, or denies it.

    Without one there it only lags; unless it calls a later block final, which would be of another chain.
    """

    async def in_its_place(client: ChainClient) -> bytes | None:
        found = (await client.headers([block.number])).get(block.number)
        if found is None and (newest := await client.finalized()).number >= block.number:
            return newest.hash if newest.number == block.number else None
        if found is None:
            raise Unavailable(f"{client.host} has no block {block.number} yet", asked=client.host)
        return found.hash

    try:
        other, endpoint = await voices.read(in_its_place)
    except Unavailable:
        return
    if other is None:
        denied = f"{endpoint} calls a later block final than {block.number}, and has no block there"
        raise SourcesDisagree(f"{denied}, which the sync committee has")
    if other != block.hash:
        raise SourcesDisagree(f"the sync committee and {endpoint} name different blocks {block.number}")


async def _behind(newest: Header, height: int, voices: Voices) -> bytes:
    """The hash of block `height`, proven from the history contract in the state of `newest`."""

    async def prove(client: ChainClient) -> bytes:
        nodes = await client.proof_nodes(HISTORY_ADDRESS, [history_slot(height)], newest.hash)
        with blaming(client.host):
            return prove_history(newest, nodes, height)

    return (await voices.read(prove))[0]


async def _get(egress: Egress, server: str, path: str) -> bytes:
    """The body of an answer with status 200. A key may stand in the server's path or query."""
    base, _, key = server.partition("?")
    own, _, query = path.partition("?")
    together = "&".join(filter(None, (query, key)))
    url = base.rstrip("/") + own + (f"?{together}" if together else "")
    answer = await egress.request(
        "GET",
        url,
        named_by=NamedBy.BEACON,
        headers={"Accept": "application/json"},
        max_bytes=beacon_api.MAX_ANSWER_BYTES,
    )
    if answer.status != 200:
        host = _host(server)
        what = own.rpartition("light_client/")[2].partition("/")[0]
        raise Unavailable(f"{host} answered the {what} with HTTP status {answer.status}", asked=host)
    return answer.body


def _host(server: str) -> str:
    url = URL(server)
    return f"{url.host}:{url.port}"
