"""A verifier that follows: bundles are judged by its own copy of the registry, and no connection is opened for it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from click.testing import CliRunner, Result
from fixtures.chain import RunningChain
from fixtures.issuers import MakeCohort
from fixtures.lying_chain import LyingChain, errors, only, silent
from services.test_anchoring import finish, issue
from services.test_revocation import change

from node.commands.verifier import verifier
from node.core.errors import Misconfigured
from node.core.evm.agreement import Endpoints
from node.core.evm.network import parse_networks
from node.core.verify.materials import Mode
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.verifier import Verifier
from node.services import export
from node.services.issuer import Issuer
from node.services.revocation import Action
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app

Start = Callable[..., AbstractAsyncContextManager["Employer"]]


class Employer:
    """A verifier node that follows the chain by one endpoint: a step when it starts, and no other while a test runs."""

    def __init__(self, client: TestClient[Any, Any], endpoint: LyingChain) -> None:
        self.client = client
        self.endpoint = endpoint

    async def following(self) -> list[dict[str, Any]]:
        async with self.client.get("/health/ready") as answer:
            found: list[dict[str, Any]] = (await answer.json())["following"]
            return found

    async def until_it_fails(self) -> dict[str, Any]:
        """What is told of the one chain once an endpoint was asked in vain."""
        async with asyncio.timeout(60):
            while not (chains := await self.following()) or "fault" not in chains[0]:  # noqa: ASYNC110 - HTTP
                await asyncio.sleep(0.05)
        (chain,) = chains
        return chain

    async def until_block(self, number: int) -> None:
        async with asyncio.timeout(60):
            while not (chains := await self.following()) or chains[0]["block"] < number:  # noqa: ASYNC110 - HTTP
                await asyncio.sleep(0.05)

    async def verify(self, bundle: bytes) -> dict[str, Any]:
        async with self.client.post("/verify", data=bundle) as answer:
            assert answer.status == 200, await answer.text()
            report: dict[str, Any] = await answer.json()
            return report


@pytest.fixture
def employers(devchain: RunningChain, lying_chain: LyingChain, school: Issuer, tmp_path: Path) -> Start:
    """Starts the node, again and again on the same database."""
    options = VerifierOptions(
        "https://verifier.example",
        sqlite_url(tmp_path / "verifier.sqlite3"),
        Verifier.of(
            school.standards,
            operator_networks=parse_networks({"networks": [devchain.network]}),
            policy=ANY_ISSUER_UNSAFE,
            mode=Mode.CHAIN,
        ),
        endpoints=Endpoints.of([lying_chain.url]),
        follow=True,
        follow_seconds=3600,
    )

    @asynccontextmanager
    async def start(*, wait: bool = True) -> AsyncIterator[Employer]:
        async with TestClient(TestServer(make_verifier_app(options))) as client:
            employer = Employer(client, lying_chain)
            if wait:
                await employer.until_block((await school.require_chain().client.finalized()).number)
            yield employer

    return start


async def test_bundles_are_judged_without_a_connection_and_revocations_are_seen(
    employers: Start, school: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(school, make_cohort)
    await finish(school)
    shown = {row: await export.bundle_json(school, row) for row in ("s1", "s2", "s3")}
    async with employers() as employer:
        asked = len(employer.endpoint.asked)
        employer.endpoint.tell(errors())
        for bundle in list(shown.values()) * 4:
            report = await employer.verify(bundle)
            assert (report["acceptance"], report["contacted"]) == ("accepted", [])
            told = {check["name"]: check for check in report["checks"]}
            assert "this verifier's replica" in told["header"]["basis"]
            assert told["status"]["outcome"] == "passed"
        assert len(employer.endpoint.asked) == asked
        employer.endpoint.be_honest()
    await change(school, Action.REVOKE, "s1")
    await finish(school)
    async with employers() as employer:
        (chain,) = await employer.following()
        assert (chain["lag"], "fault" in chain) == (0, False)
        assert (await employer.verify(shown["s1"]))["acceptance"] == "refused"
        assert (await employer.verify(shown["s2"]))["acceptance"] == "accepted"


async def test_after_a_restart_without_an_endpoint_health_tells_what_the_replica_has_and_what_is_wrong(
    employers: Start, school: Issuer, make_cohort: MakeCohort, lying_chain: LyingChain
) -> None:
    await issue(school, make_cohort)
    await finish(school)
    bundle = await export.bundle_json(school, "s1")
    async with employers() as employer:
        (before,) = await employer.following()
    lying_chain.tell(errors())
    async with employers(wait=False) as employer:
        chain = await employer.until_it_fails()
        assert (chain["chain"], chain["block"], chain["lag"]) == (before["chain"], before["block"], None)
        assert lying_chain.host in chain["fault"]
        assert (await employer.verify(bundle))["acceptance"] == "accepted"


async def test_until_the_chain_is_followed_nothing_is_known(
    employers: Start,
    lying_chain: LyingChain,
    school: Issuer,
    make_cohort: MakeCohort,
) -> None:
    """Not even then is an endpoint asked about one credential."""
    await issue(school, make_cohort)
    await finish(school)
    bundle = await export.bundle_json(school, "s1")
    lying_chain.tell(only(silent(), "eth_getLogs"))
    async with employers(wait=False) as employer:
        report = await employer.verify(bundle)
        assert (report["acceptance"], report["contacted"]) == ("undetermined", [])
        lying_chain.be_honest()


class TestTheCommand:
    @pytest.fixture
    def follow(self, devchain: RunningChain, lying_chain: LyingChain, tmp_path: Path) -> Callable[[], Result]:
        networks = tmp_path / "networks.json"
        networks.write_text(json.dumps({"networks": [devchain.network]}))
        arguments = ["--dir", str(tmp_path / "v"), "--rpc", lying_chain.url, "--networks", str(networks)]
        return lambda: CliRunner().invoke(verifier, ["follow", "--once", "--json", *arguments])

    def test_once_follows_to_the_newest_block_and_ends(
        self, follow: Callable[[], Result], lying_chain: LyingChain
    ) -> None:
        first = follow()
        assert first.exit_code == 0, first.output
        (chain,) = json.loads(first.stdout)
        assert chain["lag"] == 0
        asked = lying_chain.count("eth_getLogs")
        again = follow()
        assert json.loads(again.stdout)[0]["block"] >= chain["block"]
        assert lying_chain.count("eth_getLogs") <= asked + 1

    def test_where_the_copy_does_not_answer_the_exit_status_is_1(
        self, follow: Callable[[], Result], lying_chain: LyingChain
    ) -> None:
        lying_chain.tell(errors())
        failed = follow()
        assert failed.exit_code == 1
        assert lying_chain.host in failed.stderr

    def test_without_an_endpoint_there_is_nothing_to_follow(self, tmp_path: Path) -> None:
        refused = CliRunner().invoke(verifier, ["follow", "--once", "--dir", str(tmp_path / "v")])
        assert isinstance(refused.exception, Misconfigured)
        assert "--follow needs --rpc" in refused.exception.detail
