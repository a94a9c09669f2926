"""Witnesses of did:web and did:webvh: what a site says is anchored, and is the issuer's key for others offline."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from fixtures.issuers import PASSPHRASE, Crash, CrashingStore
from fixtures.verification import Signatory, badge, did_document, signing_key, without_status
from fixtures.webvh import Log, key_of

from node.commands.issuer import issuer
from node.commands.verify import verify
from node.core.encoding import decode_base64url
from node.core.errors import Malformed, Misconfigured, NotFound, NotVerified, Unavailable
from node.core.evm.agreement import Endpoints
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.claim import parse_claim
from node.core.evm.header import parse_header
from node.core.strict_json import parse_json
from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials, Mode
from node.core.verify.report import CheckName, Report
from node.core.verify.trust import parse_trust_list
from node.core.verify.verifier import Verifier
from node.outbound.gather import examine
from node.outbound.http import Egress, EgressPolicy
from node.services import export, witness
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer
from node.services.witness import Sight

Json = dict[str, Any]


class Site:
    """The web space of a school elsewhere."""

    def __init__(self) -> None:
        self.body: bytes | None = None
        app = web.Application()
        app.router.add_get("/.well-known/{name}", self._answer)
        self.server = TestServer(app)

    async def _answer(self, _: web.Request) -> web.Response:
        if self.body is None:
            raise web.HTTPNotFound
        return web.Response(body=self.body, content_type="application/json")

    @property
    def place(self) -> str:
        return f"127.0.0.1%3A{self.server.port}"

    def school(self) -> Signatory:
        """A school with a did:web here, whose document is put in its place."""
        signatory = Signatory(f"did:web:{self.place}", "key-1", signing_key("web school"))
        self.body = json.dumps(did_document(signatory.did, signatory).to_json()).encode()
        return signatory


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.server:
        yield site


@asynccontextmanager
async def abroad() -> AsyncIterator[Egress]:
    async with Egress(EgressPolicy(mode=Mode.FULL, allow_loopback=True)) as egress:
        yield egress


async def look(issuer: Issuer, did: str) -> Sight:
    async with abroad() as egress:
        return await witness.look(issuer, did, egress)


async def anchored(issuer: Issuer, sight: Sight) -> None:
    await witness.ask(issuer, sight)
    await AnchorWorker(issuer).run_until_done(
        close=False, done=lambda tick: not tick.transactions, timeout_seconds=60
    )


async def calls(issuer: Issuer) -> int:
    async with issuer.store.reading() as reading:
        entries = [await reading.outbox.load(number) for number in range(1, 100)]
    return sum(entry is not None and entry.purpose == witness.PURPOSE for entry in entries)


def offline(issuer: Issuer, sight: Sight, school: Signatory, witnesses: list[str]) -> Report:
    """What an employer makes of a badge of that school, with a checkpoint and no endpoint."""
    unsigned = badge(school.did)
    without_status(unsigned)
    del unsigned["evidence"]
    bundle = sight.bundle_of(school.sign(unsigned)).to_json()
    assert sight.state is not None
    header = parse_header(sight.state.header)
    network = issuer.require_chain().network
    listed = {"issuers": [{"did": school.did, "name": "School", "witnesses": witnesses}]}
    verifier = Verifier.of(
        issuer.standards,
        operator_networks={network.chain_id: network},
        trust=parse_trust_list(listed),
        checkpoints=[Checkpoint(network.chain_id, network.genesis, 1, 1, ((header.number, header.hash),))],
    )
    intake = read_intake(json.dumps(bundle).encode())
    return engine.verify(intake, Materials.none(), verifier, now=issuer.clock())


async def test_what_a_witness_anchored_tells_the_key_offline_to_those_who_name_it(
    school: Issuer, site: Site
) -> None:
    elsewhere = site.school()
    sight = await look(school, elsewhere.did)
    await anchored(school, sight)
    proven = await witness.prove(school, sight)
    site.body = None
    accepted = offline(school, proven, elsewhere, [school.settings.did])
    assert (accepted.acceptance, accepted.verified) == ("accepted", True)
    assert "anchored by its witness" in accepted[CheckName.PROOF].basis
    other = f"did:ethr:0x{school.require_chain().network.chain_id:x}:0x{bytes(20).hex()}"
    assert offline(school, proven, elsewhere, [other]).acceptance == "undetermined"


async def test_the_record_for_an_audit_holds_what_was_witnessed(school: Issuer, site: Site) -> None:
    """Once it is final; it is in no batch."""
    sight = await look(school, site.school().did)
    before = parse_claim(parse_json(await export.audit_json(school)))
    await anchored(school, sight)
    after = parse_claim(parse_json(await export.audit_json(school)))
    assert after.witnessed - before.witnessed == {sight.commitment}
    assert after.anchors == before.anchors


async def test_whoever_has_an_endpoint_proves_the_anchor_for_himself(school: Issuer, site: Site) -> None:
    """The snapshot alone is shown, without a state: the slot is asked for where the witness has its identity."""
    elsewhere = site.school()
    sight = await look(school, elsewhere.did)
    await anchored(school, sight)
    chain = school.require_chain()
    unsigned = badge(elsewhere.did)
    without_status(unsigned)
    del unsigned["evidence"]
    shown = json.dumps(sight.bundle_of(elsewhere.sign(unsigned)).to_json()).encode()
    for witnesses, acceptance in (([school.settings.did], "accepted"), ([], "undetermined")):
        listed = {"issuers": [{"did": elsewhere.did, "name": "School", "witnesses": witnesses}]}
        verifier = Verifier.of(
            school.standards,
            operator_networks={chain.network.chain_id: chain.network},
            trust=parse_trust_list(listed),
            mode=Mode.CHAIN,
        )
        policy = EgressPolicy(mode=Mode.CHAIN, endpoints=Endpoints.of([str(chain.client._url)]))
        async with Egress(policy) as egress:
            report = await examine(read_intake(shown), verifier, egress, now=school.clock())
        assert report.acceptance == acceptance
        assert site.place.replace("%3A", ":") not in report.contacted


async def test_the_log_of_a_did_webvh_is_witnessed_whole(school: Issuer, site: Site) -> None:
    log = Log(site.place)
    site.body = log.to_bytes()
    sight = await look(school, log.did)
    await anchored(school, sight)
    proven = await witness.prove(school, sight)
    assert proven.snapshot.data == log.to_bytes()
    report = offline(school, proven, Signatory(log.did, "key-1", key_of(9)), [school.settings.did])
    assert report.acceptance == "accepted"


async def test_the_same_document_is_seen_and_anchored_anew(school: Issuer, site: Site) -> None:
    """Its time is what counts, so yesterday's anchor does not do."""
    did = site.school().did
    first, second = await look(school, did), await look(school, did)
    assert first.snapshot.data == second.snapshot.data
    assert first.commitment != second.commitment


async def test_one_anchor_is_asked_for_however_often_it_is_gone_on_with(school: Issuer, site: Site) -> None:
    sight = await look(school, site.school().did)
    store = school.store
    assert isinstance(store, CrashingStore)
    store.left = 0
    with pytest.raises(Crash):
        await witness.ask(school, sight)
    assert await witness.promised(school, sight) is None
    store.left = None
    again = witness.parse_sight(parse_json(json.dumps(sight.to_json()).encode()))
    assert again.commitment == sight.commitment
    await witness.ask(school, again)
    await witness.ask(school, again)
    assert await calls(school) == 1
    assert not await witness.is_final(school, again)
    with pytest.raises(Unavailable, match="not final yet"):
        await witness.prove(school, again)


async def test_what_became_final_long_after_it_was_seen_is_given_up(school: Issuer, site: Site) -> None:
    sight = await look(school, site.school().did)
    early = replace(sight, seen=sight.seen - witness.MAX_DELAY - timedelta(minutes=1))
    await anchored(school, early)
    with pytest.raises(NotVerified, match="too late"):
        await witness.prove(school, early)


async def test_the_command_writes_the_snapshot_and_the_bundles_of_credentials(
    made_school: Path, school: Issuer, site: Site, tmp_path: Path
) -> None:
    elsewhere = site.school()
    folder, out, credential = tmp_path / "witness", tmp_path / "seen.json", tmp_path / "badge.json"
    await asyncio.to_thread(shutil.copytree, made_school, folder)
    (tmp_path / "passphrase").write_text(PASSPHRASE)
    unsigned = badge(elsewhere.did)
    without_status(unsigned)
    del unsigned["evidence"]
    credential.write_text(json.dumps(elsewhere.sign(unsigned)))

    async def run(did: str, *more: str) -> Any:
        words = ["witness", did, "--dir", str(folder), "--passphrase-file", str(tmp_path / "passphrase")]
        words += ["--out", str(out), "--credential", str(credential), "--development", "--json", *more]
        result = await asyncio.to_thread(CliRunner().invoke, issuer, words)
        if result.exception is not None:
            raise result.exception
        return json.loads(result.stdout)

    begun = await run(elsewhere.did, "--no-wait")
    pending = out.with_name("seen.json.pending")
    assert (begun["final"], begun["snapshot"]) == (False, str(pending))
    seen = json.loads(pending.read_bytes())
    done = await run(elsewhere.did)
    assert (done["final"], done["snapshot"], done["seen"]) == (True, str(out), seen["seen"])
    assert not pending.exists()
    record = json.loads(out.read_bytes())
    assert record["didDocument"] == seen["didDocument"], "what was begun is gone on with"
    bundle = tmp_path / "badge.json.bundle.json"
    assert done["bundles"] == [str(bundle)]
    assert json.loads(bundle.read_bytes())["didDocument"] == record["didDocument"]
    assert bundle.stat().st_mode & 0o777 == 0o600
    site.body = None
    header = parse_header(decode_base64url(record["state"]["header"]))
    network = school.require_chain().network
    trusted = Checkpoint(network.chain_id, network.genesis, 1, 1, ((header.number, header.hash),))
    files = {
        "trust": {"issuers": [{"did": elsewhere.did, "name": "School", "witnesses": [school.settings.did]}]},
        "checkpoint": trusted.to_json(),
    }
    words = [str(bundle), "--networks", str(folder / "networks.json")]
    for name, body in files.items():
        (tmp_path / f"{name}.json").write_text(json.dumps(body))
        words += [f"--{name}", str(tmp_path / f"{name}.json")]
    told = await asyncio.to_thread(CliRunner().invoke, verify, words)
    assert told.exit_code == 0, told.output
    assert "a snapshot of its document, anchored by its witness" in told.output

    again = await run(elsewhere.did, "--prove-again")
    assert (again["final"], again["seen"]) == (True, seen["seen"])
    with pytest.raises(Misconfigured, match="is not a credential of"):
        await run("did:web:elsewhere.example")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (None, NotFound),
        (b"<html>", Malformed),
        (b'{"id": "did:web:elsewhere.example"}', Malformed),
        (b'{"id": 1, "id": 2}', Malformed),
    ],
    ids=["nothing", "a page", "another's document", "one with a member twice"],
)
async def test_what_no_verifier_would_read_is_not_witnessed(
    school: Issuer, site: Site, body: bytes | None, error: type[Exception]
) -> None:
    did = site.school().did
    site.body = body
    with pytest.raises(error):
        await look(school, did)


async def test_a_log_that_does_not_hold_is_not_witnessed(school: Issuer, site: Site) -> None:
    log = Log(site.place)
    log.update(signers=(2,))
    site.body = log.to_bytes()
    with pytest.raises(NotVerified):
        await look(school, log.did)


@pytest.mark.parametrize(
    "did", ["did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", "https://a.example"]
)
async def test_only_what_stands_on_a_site_is_witnessed(school: Issuer, did: str) -> None:
    with pytest.raises(Malformed):
        await look(school, did)
