"""An issuer on the embedded chain, served: the credential at once, its bundle when the chain has it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from fixtures.chain import RunningChain
from fixtures.issuers import PASSPHRASE, URL, init_school, write_cohort
from fixtures.school import FixedClock, Learner, School, bearer
from services.test_anchoring import judge

from node.commands.issuer_folder import Folder, open_issuer
from node.core.bundle import Bundle, parse_bundle
from node.core.errors import NotVerified, Unavailable
from node.core.evidence import ShownEvidence, WithheldEvidence
from node.core.evm.header import Header
from node.core.verify.report import CheckName, Outcome
from node.outbound.chain import ChainClient
from node.services import bundles, erasure, issuance
from node.services.anchoring import AnchorWorker
from node.services.issuer import address_of, now_utc
from node.services.preparing import Terms
from node.storage.protocols.issuer import ApiRole, KeyRole
from node.web.issuer import make_issuer_app


class RunningClock(FixedClock):
    """The system's clock, which the chain's time is compared with."""

    def __call__(self) -> datetime:
        return now_utc()


@pytest.fixture(scope="session")
def initialised(devchain: RunningChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an issuer on the chain, for the one test that uses it up."""
    folder = tmp_path_factory.mktemp("served")
    init_school(folder, devchain)
    return folder


@pytest.fixture
async def on_chain(initialised: Path) -> AsyncIterator[School]:
    """That issuer, served without its background worker: the test decides when time passes."""
    async with open_issuer(Folder.load(initialised), PASSPHRASE) as issuer:
        client = TestClient(TestServer(make_issuer_app(issuer, with_worker=False)))
        await client.start_server()
        yield School(issuer, RunningClock(), client, "", URL)
        await client.close()


async def gone(_: ChainClient) -> Header:
    raise Unavailable("no answer", asked="127.0.0.1")


async def false_bundle(*_: object) -> Bundle:
    raise NotVerified("a bundle of ours does not hold")


async def test_a_credential_comes_at_once_its_bundle_when_final_and_a_revocation_reaches_the_list(
    on_chain: School, learner: Learner, monkeypatch: pytest.MonkeyPatch
) -> None:
    school = on_chain
    token = await school.token(await school.offer(await school.intend()))
    status, body = await school.claim(token, learner)
    assert status == 200
    assert body["credentials"][0].keys() == {"credential"}
    credential = body["credentials"][0]["credential"]
    async with school.issuer.store.reading() as reading:
        record = await reading.credentials.load(credential["id"])
    assert record is not None
    assert record.signed is not None
    path = f"/bundles/{record.signed.digest.hex()}"
    async with school.client.get(path, headers=bearer(token)) as answer:
        assert (answer.status, "Retry-After" in answer.headers) == (202, True)

    await AnchorWorker(school.issuer).run_until_done(timeout_seconds=60)
    async with school.client.get(path, headers=bearer(token)) as answer:
        assert answer.status == 200
        bundle = parse_bundle(await answer.json())
    assert bundle.credential == credential
    assert bundle.anchor is not None
    status, body = await school.claim(token, learner)
    again = body["credentials"][0]
    assert again["credential"] == credential
    assert parse_bundle(again["bonafides_bundle"]).anchor == bundle.anchor

    api = await school.api_token(ApiRole.ISSUE, ApiRole.STATUS)
    badge = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiableCredential"],
        "credentialSubject": {"id": learner.did},
    }
    status, body = await school.post("/credentials/issue", json={"credential": badge}, headers=bearer(api))
    assert status == 201, body
    issued = body["verifiableCredential"]
    entry = issued["credentialStatus"]
    change = {"credentialId": issued["id"], "credentialStatus": entry, "status": True}
    status, body = await school.post("/credentials/status", json=change, headers=bearer(api))
    assert (status, body["effective"]) == (200, False)
    other = {**change, "credentialStatus": {**entry, "statusListIndex": "1" + entry["statusListIndex"]}}
    assert (await school.post("/credentials/status", json=other, headers=bearer(api)))[0] == 400
    undo = {**change, "status": False}
    assert (await school.post("/credentials/status", json=undo, headers=bearer(api)))[0] == 400
    await AnchorWorker(school.issuer).run_until_done(timeout_seconds=60)
    _, body = await school.post("/credentials/status", json=change, headers=bearer(api))
    assert body["effective"] is True
    async with school.client.get("/health/ready") as answer:
        assert answer.status == 200
    monkeypatch.setattr(ChainClient, "finalized", gone)
    async with school.client.get("/health/ready") as answer:
        assert (answer.status, (await answer.json())["lacking"].keys()) == (503, {"chain"})
    monkeypatch.setattr(bundles, "load_bundle", false_bundle)
    async with school.client.get(path, headers=bearer(token)) as answer:
        assert (answer.status, "Retry-After" in answer.headers) == (503, True)


async def test_health_tells_what_is_set_aside(initialised: Path, tmp_path: Path) -> None:
    folder = tmp_path / "issuer"
    shutil.copytree(initialised, folder)
    async with open_issuer(Folder.load(folder), PASSPHRASE) as issuer:
        async with issuer.store.transaction() as transaction:
            (writer,) = await transaction.keys.all(KeyRole.WRITER)
            registry = issuer.require_chain().network.credential_registry
            # No such call: the contract would refuse it.
            await transaction.outbox.add("anchor", address_of(writer), registry, bytes(4), issuer.clock())
        async with TestClient(TestServer(make_issuer_app(issuer))) as client, asyncio.timeout(30):
            body: dict[str, Any] = {}
            while "warnings" not in body:
                await asyncio.sleep(0.1)
                async with client.get("/health") as answer:
                    body = await answer.json()
    assert body["warnings"][0].startswith("anchor is set aside: the contract would refuse it")


async def test_health_tells_who_is_short_of_ether_while_everything_goes_on(
    initialised: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> int:
        return 0

    monkeypatch.setattr(ChainClient, "balance", nothing)
    async with (
        open_issuer(Folder.load(initialised), PASSPHRASE) as issuer,
        TestClient(TestServer(make_issuer_app(issuer))) as client,
        asyncio.timeout(30),
    ):
        body: dict[str, Any] = {}
        while "warnings" not in body:
            await asyncio.sleep(0.1)
            async with client.get("/health") as answer:
                assert answer.status == 200
                body = await answer.json()
    assert body["status"] == "ok"
    assert "send it ether" in body["warnings"][0]


async def test_erased_evidence_is_gone_from_the_bundle_that_a_wallet_fetches(
    on_chain: School, learner: Learner, tmp_path: Path
) -> None:
    issuer = on_chain.issuer
    cohort = await asyncio.to_thread(
        write_cohort, tmp_path / "input", ("s1", learner.did, "90"), cohort="erased"
    )
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms()))
    (issued,) = await issuance.results(issuer, cohort)
    assert issued.digest is not None
    await AnchorWorker(issuer).run_until_done(timeout_seconds=60)
    token = await on_chain.token(await on_chain.offer(issued.credential_id))
    _, body = await on_chain.claim(token, learner)
    before = parse_bundle(body["credentials"][0]["bonafides_bundle"])
    assert [type(item) for item in before.evidence] == [ShownEvidence, ShownEvidence]

    await erasure.erase(issuer, await erasure.plan(issuer, issued.credential_id, ["a.py"]))
    path = f"/bundles/{issued.digest.hex()}"
    async with on_chain.client.get(path, headers=bearer(token)) as answer:
        assert answer.status == 200
        text = await answer.text()
        after = parse_bundle(await answer.json())
    assert "a.py" not in text
    assert [type(item) for item in after.evidence] == [WithheldEvidence, ShownEvidence]
    assert after.credential == body["credentials"][0]["credential"]
    found = await judge(issuer, issued.digest)
    assert {found[name] for name in (CheckName.PROOF, CheckName.ANCHOR, CheckName.EVIDENCE)} == {
        Outcome.PASSED
    }
