"""From `issuer link` to a verdict: DID document and site say it, a verifier that follows tells it, asking nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestClient, TestServer, unused_port
from click.testing import CliRunner, Result
from fixtures.chain import RunningChain
from fixtures.issuers import PASSPHRASE, MakeCohort, init_school
from services.test_anchoring import finish, issue

from node.commands.did import did as did_command
from node.commands.issuer import issuer
from node.commands.issuer_folder import Folder, open_issuer
from node.commands.known_domains import known_domains
from node.commands.verifier import verifier
from node.commands.verify import verify
from node.core.errors import Conflict, Misconfigured
from node.core.evm.agreement import Endpoints
from node.core.evm.network import parse_networks
from node.core.jose.domain_linkage import CONFIGURATION_PATH, MAX_ORIGINS, linked_origins
from node.core.verify.domains import LinkOutcome
from node.core.verify.materials import Mode
from node.core.verify.trust import parse_trust_list
from node.core.verify.verifier import Verifier
from node.outbound.http import Egress, EgressPolicy
from node.services import doctor, export, linking
from node.services.domains import ask_site
from node.services.issuer import Issuer
from node.storage.database import sqlite_url
from node.storage.protocols.outbox import TransactionState
from node.web.issuer import make_issuer_app
from node.web.verifier import VerifierOptions, make_verifier_app

ELSEWHERE = "https://university.example"


@pytest.fixture(scope="module")
def made(devchain: RunningChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("linked")
    init_school(folder, devchain)
    return folder


@pytest.fixture
async def own_school(made: Path) -> AsyncIterator[Issuer]:
    """An issuer whose identity is nobody else's, at a root on loopback."""
    async with open_issuer(Folder.load(made), PASSPHRASE) as issuer:
        url = f"http://127.0.0.1:{unused_port()}"
        yield replace(issuer, settings=replace(issuer.settings, url=url))


async def named(issuer: Issuer) -> tuple[str, ...]:
    return linked_origins(await linking.own_document(issuer))


async def test_the_did_document_names_what_is_linked_until_it_is_unlinked(own_school: Issuer) -> None:
    for change, origin, after in (
        (linking.link, ELSEWHERE, (ELSEWHERE,)),
        (linking.unlink, ELSEWHERE, ()),
        (linking.link, ELSEWHERE, (ELSEWHERE,)),
    ):
        assert await change(own_school, origin)
        assert await change(own_school, origin)  # asked for again before it is final: sent once
        async with own_school.store.reading() as reading:
            assert len(await reading.outbox.in_state(TransactionState.PREPARED)) == 1
        await finish(own_school)
        assert await named(own_school) == after
        assert not await change(own_school, origin)
    await linking.unlink(own_school, ELSEWHERE)


def test_a_domain_is_written_as_the_dns_has_it() -> None:
    assert linking.parse_origin("School.example") == "https://school.example"
    assert linking.parse_origin("https://school.example:8443/") == "https://school.example:8443"
    for text in (
        "schööl.example",
        "school.example/path",
        "",
        "a b",
        "ftp://x.example",
        "https://me@x.example",
    ):
        with pytest.raises(Misconfigured, match="no domain"):
            linking.parse_origin(text)


class Employer:
    """A verifier that follows the chain and the domains of the school."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client

    async def verify(self, bundle: bytes, kind: str = "json") -> Any:
        async with self.client.post("/verify", data=bundle, params={"format": kind}) as answer:
            return await (answer.json() if kind == "json" else answer.text())

    async def until_told(self, bundle: bytes, outcome: str) -> dict[str, Any]:
        async with asyncio.timeout(60):
            while True:
                report: dict[str, Any] = await self.verify(bundle)
                domains = report["account"]["credentials"][0]["issuer"]["domains"]
                if [one["outcome"] for one in domains] == [outcome]:
                    return report
                await asyncio.sleep(0.05)


@dataclass
class LinkedSite:
    """An issuer that linked the origin at which it is served, a bundle of its own, and who asked the site for what."""

    issuer: Issuer
    bundle: bytes
    asked: list[str]
    port: int

    @property
    def did(self) -> str:
        return self.issuer.settings.did

    @property
    def domain(self) -> str:
        return f"127.0.0.1:{self.port}"


@pytest.fixture
async def linked(own_school: Issuer, make_cohort: MakeCohort) -> AsyncIterator[LinkedSite]:
    origin = own_school.settings.url
    await issue(own_school, make_cohort)
    await linking.link(own_school, origin)
    await finish(own_school)
    bundle = await export.bundle_json(own_school, "s1")
    site = LinkedSite(own_school, bundle, [], int(origin.rpartition(":")[2]))

    @web.middleware
    async def count(request: web.Request, handler: Any) -> web.StreamResponse:
        site.asked.append(request.path)
        return await handler(request)  # type: ignore[no-any-return]

    app = make_issuer_app(own_school, with_worker=False)
    app.middlewares.append(count)
    async with TestServer(app, port=site.port):
        yield site
    await linking.unlink(own_school, origin)
    await finish(own_school)


async def test_the_site_and_the_document_say_that_they_belong_together(linked: LinkedSite) -> None:
    async with (
        ClientSession() as browser,
        browser.get(f"http://{linked.domain}{CONFIGURATION_PATH}") as answer,
    ):
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
    async with Egress(EgressPolicy(Mode.FULL, allow_loopback=True)) as egress:
        found = [one for one in await doctor.examine(linked.issuer, egress) if one.subject == "domain"]
    assert [(one.level, "belong together" in one.detail) for one in found] == [(doctor.Level.GOOD, True)]


async def test_a_verifier_tells_it_beside_the_issuer_and_asks_nobody(
    linked: LinkedSite, devchain: RunningChain, tmp_path: Path
) -> None:
    options = VerifierOptions(
        "https://verifier.example",
        sqlite_url(tmp_path / "verifier.sqlite3"),
        Verifier.of(
            linked.issuer.standards,
            operator_networks=parse_networks({"networks": [devchain.network]}),
            trust=parse_trust_list({"issuers": [{"did": linked.did, "name": "A school"}]}),
            mode=Mode.CHAIN,
        ),
        endpoints=Endpoints.of([devchain.url]),
        follow=True,
        follow_seconds=0.1,
        follow_domains=True,
        domain_seconds=0.1,
        development=True,
    )
    async with TestClient(TestServer(make_verifier_app(options))) as client:
        employer = Employer(client)
        report = await employer.until_told(linked.bundle, "linked")
        assert (report["acceptance"], report["contacted"]) == ("accepted", [])
        (told,) = report["account"]["credentials"][0]["issuer"]["domains"]
        assert (told["domain"], told["how"]) == (linked.domain, "site")
        page = await employer.verify(linked.bundle, "html")
        assert f"Domain <bdi>{linked.domain}</bdi>, by its own site, <span title=" in page
        linked.asked.clear()
        for _ in range(3):
            await employer.verify(linked.bundle)
        assert linked.asked == []
        # What is forged is not told to be the school's.
        forged = json.loads(linked.bundle)
        forged["credential"]["name"] = "Another name"
        (one,) = (await employer.verify(json.dumps(forged).encode()))["account"]["credentials"]
        assert one["issuer"]["domains"] == []

        await linking.unlink(linked.issuer, linked.issuer.settings.url)
        await finish(linked.issuer)
        report = await employer.until_told(linked.bundle, "withdrawn")
        assert report["acceptance"] == "accepted"


async def test_on_the_command_line_it_is_told_now_and_from_what_was_followed(
    linked: LinkedSite, devchain: RunningChain, tmp_path: Path
) -> None:
    networks, trust, file = (tmp_path / name for name in ("networks.json", "trust.json", "bundle.json"))
    networks.write_text(json.dumps({"networks": [devchain.network]}))
    trust.write_text(json.dumps({"issuers": [{"did": linked.did, "name": "A school"}]}))
    file.write_bytes(linked.bundle)
    chain = ["--rpc", devchain.url, "--networks", str(networks), "--development"]
    line = f"domain {linked.domain}, by its own site, checked"

    async def run(command: Any, *words: str | Path) -> Result:
        found = await asyncio.to_thread(CliRunner().invoke, command, [*map(str, words), *chain])
        assert found.exit_code == 0, found.output
        return found

    assert line in (await run(did_command, "resolve", linked.did, "--domains")).stderr
    folder = tmp_path / "verifier"
    await run(verifier, "follow", "--dir", folder, "--trust", trust, "--follow-domains", "--once")
    linked.asked.clear()
    known = (file, "--trust", trust, "--known-domains", folder)
    assert f"({linked.did})\n    {line}" in (await run(verify, *known)).output
    told = json.loads((await run(verify, *known, "--json")).output)
    assert [one["outcome"] for one in told["domains"][linked.did]] == ["linked"]
    assert linked.asked == []


async def test_one_whose_clock_is_behind_believes_the_site(linked: LinkedSite) -> None:
    document = await linking.own_document(linked.issuer)
    origin, earlier = f"http://{linked.domain}", datetime.now(UTC) - timedelta(minutes=30)
    async with Egress(EgressPolicy(Mode.FULL, allow_loopback=True)) as egress:
        assert (await ask_site(document, origin, egress, earlier)).outcome is LinkOutcome.LINKED


async def test_below_a_path_an_issuer_does_not_speak_for_the_origin(own_school: Issuer) -> None:
    settings = replace(own_school.settings, url=f"{own_school.settings.url}/school")
    app = make_issuer_app(replace(own_school, settings=settings), with_worker=False)
    async with TestClient(TestServer(app)) as client, client.get(CONFIGURATION_PATH) as answer:
        assert answer.status == 404


async def test_more_origins_than_readers_look_at_are_not_linked(
    own_school: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(linking, "linked_origins", lambda _: tuple(map(str, range(MAX_ORIGINS))))
    with pytest.raises(Conflict, match="readers look at no more"):
        await linking.link(own_school, ELSEWHERE)


def test_a_folder_that_is_no_verifiers_is_refused_and_not_filled(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="no folder of a verifier"):
        known_domains(str(tmp_path), [], datetime.now(UTC))
    assert list(tmp_path.iterdir()) == []


async def test_no_record_in_the_dns_is_proposed_for_an_address(made: Path, tmp_path: Path) -> None:
    passphrase = tmp_path / "passphrase"
    passphrase.write_text(PASSPHRASE)

    async def link(*words: str) -> str:
        command = ["link", "--dir", str(made), "--passphrase-file", str(passphrase), *words]
        found = await asyncio.to_thread(CliRunner().invoke, issuer, command)
        assert found.exit_code == 0, found.output
        return found.stderr

    assert "_did." not in await link("https://192.0.2.1")
    assert "_did.university.example. TXT" in await link(ELSEWHERE)
    for origin in ("https://192.0.2.1", ELSEWHERE):
        assert "_did." not in await link(origin, "--remove")
