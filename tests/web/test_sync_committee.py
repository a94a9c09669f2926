"""The light client behind `bonafides verify` and the verifier node: what the report says of the header."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner
from fixtures.beacon import Beacon, BeaconServer, chain, served
from fixtures.chain import RunningChain
from fixtures.lying_chain import Ask, Lie, LyingChain, RpcFault, stale_finalized, wrong_header
from fixtures.verification import Signatory, badge, signing_key, standards

from node.commands.verify import verify
from node.core.did.ethr_identity import did_ethr
from node.core.evm.agreement import Endpoints
from node.core.evm.light_client.settings import light_client_settings
from node.core.evm.network import Finality, parse_networks
from node.core.strict_json import JsonObject
from node.core.verify.materials import Mode
from node.core.verify.verifier import Verifier
from node.outbound.chain import ChainClient
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app

HEAD, START = 40, 16


class Setting:
    """A badge of an identity that wrote nothing yet, files for the command, and a beacon server, now."""

    def __init__(self, devchain: RunningChain, folder: Path) -> None:
        network = next(iter(parse_networks({"networks": [devchain.network]}).values()))
        genesis = int(datetime.now(UTC).timestamp()) - 12 * (HEAD + 1)
        self.beacon = Beacon(chain(genesis_time=genesis))
        self.beacon.blocks[24] = asyncio.run(_newest(devchain.url))
        self.server = BeaconServer(self.beacon, HEAD)
        self.network = replace(network, beacon=self.beacon.chain, finality=Finality.FINALIZED)
        self.root = f"@{network.chain_id}=0x{self.beacon.root(START).hex()}"
        self.folder = folder
        self.badge = folder / "badge.json"
        self.networks = folder / "networks.json"
        did = did_ethr(network.chain_id, bytes(range(20)))
        document = Signatory(did, "delegate-1", signing_key("school")).sign(badge(did))
        self.badge.write_text(json.dumps(document))
        self.networks.write_text(json.dumps({"networks": [self.network.to_json()]}))

    @property
    def beacon_url(self) -> str:
        return f"@{self.network.chain_id}={self.server.url}"

    def verify(self, *urls: str, root: str | None = None) -> JsonObject:
        """What the command reports."""
        options = [*(f"--rpc=op{at}={url}" for at, url in enumerate(urls)), f"--networks={self.networks}"]
        options += [f"--beacon={self.beacon_url}", f"--light-client-checkpoint={root or self.root}"]
        found = CliRunner().invoke(verify, [str(self.badge), "--json", *options], catch_exceptions=False)
        report: JsonObject = json.loads(found.stdout)
        return report


async def _newest(url: str, *, before: int = 0) -> tuple[int, bytes]:
    async with ChainClient(url) as client:
        header = await client.header("latest")
        if before:
            header = await client.header(header.number - before)
        return header.number, header.hash


def _withheld(number: int, digest: bytes, *, is_error: bool) -> Lie:
    """One block is not given, by its hash nor by its number."""

    def wrap(ask: Ask) -> Ask:
        async def lying(method: str, params: list[Any]) -> Any:
            if params[:1] in ([hex(number)], ["0x" + digest.hex()]):
                if is_error:
                    raise RpcFault(-32603, "internal error")
                return None
            return await ask(method, params)

        return lying

    return wrap


def header_check(report: JsonObject) -> JsonObject:
    (found,) = [check for check in report["checks"] if check["name"] == "header"]
    assert isinstance(found, dict)
    return found


@pytest.fixture
def setting(devchain: RunningChain, tmp_path: Path) -> Iterator[Setting]:
    found = Setting(devchain, tmp_path)
    with served(found.server):
        yield found


def test_the_report_names_the_sync_committee(setting: Setting, devchain: RunningChain):
    report = setting.verify(devchain.url)
    assert header_check(report)["outcome"] == "passed"
    assert header_check(report)["basis"].endswith("final according to the sync committee (slot 24)")
    assert (report["header"]["strength"], report["header"]["number"]) == (
        "light_client",
        setting.beacon.blocks[24][0],
    )
    assert f"127.0.0.1:{setting.server.url.rpartition(':')[2]}" in report["contacted"]


def test_an_endpoint_that_lags_does_not_weaken_it(setting: Setting, lying_chain: LyingChain):
    lying_chain.tell(stale_finalized(1))
    assert setting.verify(lying_chain.url)["header"]["strength"] == "light_client"


def test_an_endpoint_that_lies_of_the_header_leaves_it_unknown(setting: Setting, lying_chain: LyingChain):
    lying_chain.tell(wrong_header())
    check = header_check(setting.verify(lying_chain.url))
    assert check["outcome"] == "unknown"
    assert lying_chain.host in check["basis"]


def test_a_committee_that_makes_another_block_final_contradicts_the_endpoints(
    setting: Setting, devchain: RunningChain
):
    """They have no block with that hash and another one in its place: their word is not taken instead."""
    number = setting.beacon.blocks[24][0]
    setting.beacon.blocks[24] = (number, bytes(32))
    check = header_check(setting.verify(devchain.url))
    assert check["outcome"] == "unknown"
    assert "the sync committee and the endpoint" in check["basis"]
    assert check["basis"].endswith(f"name different blocks {number}")


def test_a_block_that_endpoints_do_not_have_yet_contradicts_nobody(setting: Setting, devchain: RunningChain):
    setting.beacon.blocks[24] = (10**6, bytes(32))
    report = setting.verify(devchain.url)
    assert report["header"]["strength"] == "one_endpoint"
    basis = header_check(report)["basis"]
    assert "(one endpoint's word)" in basis
    assert "; the light client tells no header: " in basis
    assert "has no block" in basis


@pytest.mark.parametrize("is_error", [False, True], ids=["says that there is none", "does not answer"])
def test_an_endpoint_that_denies_what_the_committee_made_final_contradicts_it(
    setting: Setting, lying_chain: LyingChain, is_error: bool
):
    """It calls a later block final, so that it does not lag. One that fails to answer denies nothing."""
    number, digest = asyncio.run(_newest(lying_chain.url, before=1))
    setting.beacon.blocks[24] = (number, digest)
    lying_chain.tell(_withheld(number, digest, is_error=is_error))
    check = header_check(setting.verify(lying_chain.url))
    if is_error:
        assert check["basis"].startswith("block ")
        assert "the light client tells no header" in check["basis"]
    else:
        assert (check["outcome"], check["reason"]) == ("unknown", "sources_disagree")
        assert f"calls a later block final than {number}" in check["basis"]
        assert lying_chain.host in check["basis"]


def test_with_a_wrong_checkpoint_the_word_is_the_endpoints_own(setting: Setting, devchain: RunningChain):
    report = setting.verify(devchain.url, root=f"@{setting.network.chain_id}=0x{'00' * 32}")
    assert report["header"]["strength"] == "one_endpoint"
    assert "HTTP status 404" in json.dumps(report)


def test_options_that_fit_no_light_client_are_told(setting: Setting):
    found = CliRunner().invoke(verify, [str(setting.badge), f"--beacon={setting.server.url}"])
    assert found.exit_code != 0
    assert "needs a checkpoint" in str(found.exception)


async def test_the_verifier_node_keeps_what_it_learned_in_its_folder(
    setting: Setting, devchain: RunningChain, tmp_path: Path
):
    judge = Verifier.of(
        standards(), operator_networks={setting.network.chain_id: setting.network}, mode=Mode.CHAIN
    )
    options = VerifierOptions(
        "https://verifier.example",
        sqlite_url(tmp_path / "verifier.db"),
        judge,
        endpoints=Endpoints.of([devchain.url]),
        light_clients=light_client_settings([setting.beacon_url], [setting.root], with_endpoints=True),
        folder=tmp_path,
        development=True,
    )
    for asked in (["bootstrap", "updates", "finality_update"], ["finality_update"]):
        setting.server.asked.clear()
        async with TestClient(TestServer(make_verifier_app(options))) as client:
            for _ in range(2):
                async with client.post("/verify", data=setting.badge.read_bytes()) as answer:
                    report: Any = await answer.json()
                assert report["header"]["strength"] == "light_client"
        assert setting.server.asked == asked
