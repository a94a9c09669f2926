"""The light client at work: servers of the Beacon API that may lie, a chain's endpoints, a state that is kept."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from aiohttp import web
from fixtures.beacon import PERIOD, Beacon, BeaconServer, chain, final_at, served
from fixtures.chain import RunningChain
from fixtures.lying_chain import LyingChain, wrong_header, wrong_proof

from node.core.errors import Misconfigured, Unavailable
from node.core.evm.agreement import Endpoints, parse_endpoint
from node.core.evm.light_client import beacon_api
from node.core.evm.light_client.settings import LightClientSettings
from node.core.evm.light_client.store import WEAK_SUBJECTIVITY_SECONDS
from node.core.evm.network import parse_networks
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Mode, Strength
from node.outbound import light_client
from node.outbound.chain import ChainClient
from node.outbound.headers import ChainEndpoints
from node.outbound.http import Egress, EgressPolicy
from node.outbound.light_client import REFRESH_SECONDS, LightClient, light_clients

START = 16  # the slot of the checkpoint


class Setting:
    """A chain, a beacon chain whose final blocks are blocks of it, and servers that know of them."""

    def __init__(self, devchain: RunningChain, stack: ExitStack) -> None:
        self.url = devchain.url
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)
        self.head = 40
        genesis = int(self.now.timestamp()) - 12 * (self.head + 1)
        self.beacon = Beacon(chain(genesis_time=genesis))
        network = next(iter(parse_networks({"networks": [devchain.network]}).values()))
        self.network = replace(network, beacon=self.beacon.chain)
        self._stack = stack

    def at_head(self, head: int) -> None:
        """Let the time be that of the slot after `head`."""
        self.now += timedelta(seconds=12 * (head - self.head))
        self.head = head

    def server(self, head: int | None = None) -> BeaconServer:
        return self._stack.enter_context(served(BeaconServer(self.beacon, head or self.head)))

    def client(self, *servers: BeaconServer, **more: Any) -> LightClient:
        urls = [server.url for server in servers]
        root = more.pop("checkpoint", self.beacon.root(START))
        return LightClient(self.network, urls, root, clock=lambda: self.now, **more)

    async def ask(
        self,
        client: LightClient,
        *servers: BeaconServer,
        heights: tuple[int, ...] = (),
        urls: tuple[str, ...] = (),
    ) -> tuple[HeaderAnswer, tuple[str, ...]]:
        """The light client's answer, and the hosts that were asked for it."""
        endpoints = Endpoints(
            tuple(parse_endpoint(f"{at}={url}") for at, url in enumerate(urls or (self.url,)))
        )
        beacons = tuple(server.url for server in servers)
        async with Egress(EgressPolicy(Mode.CHAIN, endpoints=endpoints, beacons=beacons)) as egress:
            source = client.source(egress, ChainEndpoints(egress, {self.network.chain_id: self.network}))
            assert (source.chain_id, source.strength) == (self.network.chain_id, Strength.LIGHT_CLIENT)
            return await source.header(HeaderNeed(self.network.chain_id, heights)), egress.contacted


@pytest.fixture
def setting(devchain: RunningChain) -> Iterator[Setting]:
    with ExitStack() as stack:
        found = Setting(devchain, stack)

        async def newest() -> tuple[int, bytes]:
            async with ChainClient(devchain.url) as client:
                header = await client.header("latest")
                return header.number, header.hash

        block = asyncio.run(newest())
        for slot in range(0, 10 * PERIOD, 8):
            found.beacon.blocks[slot] = block
        yield found


async def test_the_final_block_is_told_with_those_that_are_proven_behind_it(setting):
    server = setting.server()
    number, digest = setting.beacon.blocks[24]
    heights = (0, number - 1, number, number + 1)
    answer, contacted = await setting.ask(setting.client(server), server, heights=heights)
    assert (answer.newest.number, answer.newest.hash, answer.strength) == (
        number,
        digest,
        Strength.LIGHT_CLIENT,
    )
    assert answer.source == "the sync committee (slot 24)"
    assert answer.hashes == {
        0: setting.network.genesis,
        number - 1: answer.newest.parent_hash,
        number: digest,
    }
    assert {f"http://{host}" for host in contacted} == {server.url, setting.url}


async def test_a_chain_without_history_contract_proves_no_other_block(setting):
    setting.network = replace(setting.network, eip2935=False)
    server = setting.server()
    number, digest = setting.beacon.blocks[24]
    answer, _ = await setting.ask(setting.client(server), server, heights=(0, number))
    assert answer.hashes == {number: digest}


async def test_committees_are_followed_through_periods(setting, monkeypatch):
    monkeypatch.setattr(beacon_api, "MAX_UPDATES", 3)
    setting.at_head(5 * PERIOD + 40)
    setting.beacon.blocks = {final_at(setting.head): setting.beacon.blocks[24]}
    server = setting.server()
    answer, _ = await setting.ask(setting.client(server), server)
    assert answer.source == f"the sync committee (slot {5 * PERIOD + 24})"
    assert server.asked == ["bootstrap", "updates", "updates", "finality_update"]


async def test_a_period_whose_committee_is_not_told_yet_is_no_obstacle(setting):
    """The first slots of a period: its own update is there only when a block of it is final."""
    server = setting.server()
    client = setting.client(server)
    await setting.ask(client, server)
    setting.at_head(PERIOD + 2)
    server.head = setting.head
    answer, _ = await setting.ask(client, server)
    assert answer.source == f"the sync committee (slot {PERIOD - 16})"
    setting.at_head(PERIOD + 30)
    server.head = setting.head
    answer, _ = await setting.ask(client, server)
    assert answer.source == f"the sync committee (slot {PERIOD + 8})"


async def test_servers_are_asked_once_a_minute(setting):
    server = setting.server()
    client = setting.client(server)
    for _ in range(3):
        await setting.ask(client, server)
    assert server.asked == ["bootstrap", "updates", "finality_update"]
    setting.now += timedelta(seconds=REFRESH_SECONDS)
    await setting.ask(client, server)
    assert server.asked[3:] == ["finality_update"]


async def test_a_restart_goes_on_from_what_was_learned(setting, tmp_path):
    server, state = setting.server(), tmp_path / "state.json"
    before, _ = await setting.ask(setting.client(server, state=state), server)
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]
    server.asked.clear()
    after, _ = await setting.ask(setting.client(server, state=state), server)
    assert after == before
    assert server.asked == ["finality_update"]


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"checkpoint": "0x00", "store": {}}'], ids=repr)
async def test_a_state_that_cannot_be_read_is_not_used(setting, tmp_path, damage):
    server, state = setting.server(), tmp_path / "state.json"
    state.write_text(damage)
    await setting.ask(setting.client(server, state=state), server)
    assert server.asked[0] == "bootstrap"
    assert json.loads(state.read_text())["checkpoint"] == "0x" + setting.beacon.root(START).hex()


async def test_a_state_from_another_checkpoint_is_not_used(setting, tmp_path):
    server, state = setting.server(), tmp_path / "state.json"
    await setting.ask(setting.client(server, state=state), server)
    server.asked.clear()
    await setting.ask(setting.client(server, state=state, checkpoint=setting.beacon.root(8)), server)
    assert server.asked[0] == "bootstrap"


async def test_a_state_that_cannot_be_written_is_told(setting, tmp_path):
    server = setting.server()
    answer, _ = await setting.ask(setting.client(server, state=tmp_path / "no" / "folder"), server)
    assert answer.others == ("the light client's state could not be written: No such file or directory",)


async def test_a_checkpoint_that_is_too_old_is_told(setting):
    server = setting.server()
    setting.now += timedelta(seconds=WEAK_SUBJECTIVITY_SECONDS)
    with pytest.raises(Unavailable, match=r"more than 14 days ago, and proves nothing any more"):
        await setting.ask(setting.client(server), server)


async def test_a_state_that_is_too_old_makes_way_for_the_checkpoint(setting, tmp_path):
    server, state = setting.server(), tmp_path / "state.json"
    client = setting.client(server, state=state)
    await setting.ask(client, server)
    setting.now += timedelta(seconds=WEAK_SUBJECTIVITY_SECONDS + 12 * 100)
    for one in (client, setting.client(server, state=state)):
        server.asked.clear()
        with pytest.raises(Unavailable, match="proves nothing any more"):
            await setting.ask(one, server)
        assert server.asked == ["bootstrap"]


# Servers that lie or fail ------------------------------------------------------------------------------------


def changed(what: str, change: Callable[[Any], Any]) -> Callable[[BeaconServer], None]:
    async def answer(server: BeaconServer, request: web.Request) -> web.StreamResponse:
        told = server.tell(what, request.match_info["what"].partition("/")[2], request)
        return web.json_response(change(told))

    return lambda server: server.answers.update({what: answer})


def responding(what: str, make: Callable[[], web.StreamResponse]) -> Callable[[BeaconServer], None]:
    async def answer(server: BeaconServer, request: web.Request) -> web.StreamResponse:
        return make()

    return lambda server: server.answers.update({what: answer})


async def never(server: BeaconServer, request: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    raise AssertionError


def with_slot(told: Any) -> Any:
    told["data"]["finalized_header"]["beacon"]["slot"] = "32"
    return told


def with_another_block(told: Any) -> Any:
    told["data"]["finalized_header"]["execution"]["block_hash"] = "0x" + "ab" * 32
    return told


@dataclass(frozen=True)
class Fault:
    """What a server does, and what is told of it."""

    make: Callable[[BeaconServer], None]
    told: str


FAULTS = {
    "a bootstrap of another block": Fault(
        lambda server: server.answers.update({"bootstrap": server.beacon.bootstrap(24)}),
        "is at fault: the header is not the one with the trusted root",
    ),
    "updates of nobody": Fault(changed("updates", lambda _: []), ""),
    "a finality update with another slot": Fault(
        changed("finality_update", with_slot), "is at fault: the branch of the finalized header"
    ),
    "a finality update with another block": Fault(
        changed("finality_update", with_another_block), "is at fault: the branch of the execution header"
    ),
    "no JSON": Fault(
        responding("finality_update", lambda: web.Response(text="<html>")), "is at fault: not JSON"
    ),
    "an error": Fault(
        responding("updates", lambda: web.Response(status=503)), "answered the updates with HTTP status 503"
    ),
    "elsewhere": Fault(
        responding("bootstrap", lambda: web.Response(status=302, headers={"Location": "/other"})),
        "answered the bootstrap with HTTP status 302",
    ),
    "too much": Fault(
        responding("updates", lambda: web.Response(body=b"[" + b" " * 2**21)),
        "sent more than 2,097,152 bytes",
    ),
    "compressed": Fault(
        responding("updates", lambda: web.Response(headers={"Content-Encoding": "gzip"}, body=b"")),
        "sent a compressed answer",
    ),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
async def test_a_server_that_lies_or_fails_is_named_and_another_one_asked(setting, fault):
    bad, good = setting.server(), setting.server()
    fault.make(bad)
    answer, _ = await setting.ask(setting.client(bad, good), bad, good)
    assert answer.newest.hash == setting.beacon.blocks[24][1]
    if fault.told:
        assert [other.partition(" ")[2][: len(fault.told)] for other in answer.others] == [fault.told]
        assert answer.others[0].startswith(bad.url.removeprefix("http://"))


async def test_what_a_lying_server_proved_before_is_kept(setting):
    bad, good = setting.server(), setting.server()
    changed("finality_update", with_slot)(bad)
    await setting.ask(setting.client(bad, good), bad, good)
    assert good.asked == ["finality_update"]


async def test_a_server_that_repeats_itself_is_asked_once_more_and_no_further(setting):
    setting.at_head(5 * PERIOD + 40)
    server = setting.server()
    changed("updates", lambda _: [setting.beacon.update(40, 24)])(server)
    answer, _ = await setting.ask(setting.client(server), server)
    assert answer.source == "the sync committee (slot 24)"
    assert server.asked == ["bootstrap", "updates", "updates", "finality_update"]
    assert "of which no committee is known" in answer.others[0]


async def test_without_an_honest_server_nothing_is_told(setting):
    bad = setting.server()
    FAULTS["a bootstrap of another block"].make(bad)
    with pytest.raises(Unavailable, match=r"knows no block yet: 127\.0\.0\.1:[0-9]+ is at fault"):
        await setting.ask(setting.client(bad), bad)


async def test_a_server_that_hangs_takes_a_bounded_time(setting, monkeypatch):
    monkeypatch.setattr(light_client, "SERVER_SECONDS", 0.2)
    slow, good = setting.server(), setting.server()
    slow.answers["finality_update"] = never
    answer, _ = await setting.ask(setting.client(slow, good), slow, good)
    assert answer.newest.hash == setting.beacon.blocks[24][1]
    assert answer.others == (f"{slow.url.removeprefix('http://')} gave no answer in time",)


async def test_a_server_that_lags_is_not_the_only_one_to_be_asked(setting):
    setting.at_head(PERIOD)
    old, new = setting.server(head=24), setting.server()
    answer, _ = await setting.ask(setting.client(old, new), old, new)
    assert answer.source == f"the sync committee (slot {PERIOD - 16})"
    again, _ = await setting.ask(setting.client(new, old), new, old)
    assert (again.newest, old.asked) == (answer.newest, ["bootstrap", "updates", "finality_update"])


# Endpoints that lie ------------------------------------------------------------------------------------------


async def test_a_header_is_taken_from_an_endpoint_that_has_the_one_with_the_hash(
    setting, lying_chain: LyingChain
):
    lying_chain.tell(wrong_header())
    server = setting.server()
    with pytest.raises(Unavailable, match="is at fault"):
        await setting.ask(setting.client(server), server, urls=(lying_chain.url,))
    answer, _ = await setting.ask(setting.client(server), server, urls=(lying_chain.url, setting.url))
    assert answer.newest.hash == setting.beacon.blocks[24][1]


async def test_an_older_block_that_is_not_proven_is_not_told(setting, lying_chain: LyingChain):
    lying_chain.tell(wrong_proof())
    server = setting.server()
    number, digest = setting.beacon.blocks[24]
    answer, _ = await setting.ask(
        setting.client(server), server, heights=(number - 1,), urls=(lying_chain.url,)
    )
    assert answer.hashes == {number: digest}
    assert [one.partition(": ")[0] for one in answer.others] == [f"{lying_chain.host} is at fault"]
    answer, _ = await setting.ask(
        setting.client(server), server, heights=(number - 1,), urls=(lying_chain.url, setting.url)
    )
    assert answer.hashes == {number: digest, number - 1: answer.newest.parent_hash}


# Configuration -----------------------------------------------------------------------------------------------


def test_a_chain_without_beacon_chain_has_no_light_client(setting):
    setting.network = replace(setting.network, beacon=None)
    with pytest.raises(Misconfigured, match="no beacon chain"):
        setting.client()


def test_a_chain_in_no_table_has_no_light_client(setting):
    settings = [LightClientSettings(5, ("https://beacon.example",), bytes(32))]
    with pytest.raises(Misconfigured, match="eip155:5 is in no table"):
        light_clients(settings, {setting.network.chain_id: setting.network})


async def test_each_light_client_keeps_its_state_in_a_file_of_its_own(setting, tmp_path):
    server, number = setting.server(), setting.network.chain_id
    settings = [LightClientSettings(number, (server.url,), setting.beacon.root(START))]
    (client,) = light_clients(settings, {number: setting.network}, tmp_path, lambda: setting.now)
    await setting.ask(client, server)
    assert [path.name for path in tmp_path.iterdir()] == [f"light-client-{number}.json"]


async def test_a_server_that_is_not_configured_is_not_asked(setting):
    server = setting.server()
    with pytest.raises(Unavailable, match="not a configured beacon"):
        await setting.ask(setting.client(server))
    assert server.asked == []


async def test_a_key_in_the_servers_url_is_sent_and_never_told(setting):
    server = setting.server()
    client = LightClient(
        setting.network, [f"{server.url}/?key=hush"], setting.beacon.root(START), clock=lambda: setting.now
    )
    seen: list[str] = []

    async def answer(_: BeaconServer, request: web.Request) -> web.StreamResponse:
        seen.append(request.query_string)
        return web.Response(status=401)

    server.answers["bootstrap"] = answer
    with pytest.raises(Unavailable) as caught:
        await setting.ask(client, server)
    assert seen == ["key=hush"]
    assert "hush" not in str(caught.value)
