"""Credentials as Blockcerts v3: one transaction of the owner for all, whoever is interrupted when."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType

import pytest
from fixtures.issuers import ALICE, BOB, Crash, CrashingStore, MakeCohort

from node.core.dataintegrity import merkle_proof_2019
from node.core.dataintegrity.merkle_proof_2019 import verify_merkle_proof
from node.core.errors import Malformed, Misconfigured, NotFound
from node.core.evm.agreement import Endpoints
from node.core.evm.transaction import verify_transaction
from node.core.verify.intake import read_intake
from node.core.verify.materials import Mode
from node.core.verify.policy import SIGNATURE_ONLY_UNSAFE
from node.core.verify.reading import read_document
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report
from node.core.verify.verifier import Verifier
from node.outbound.gather import examine
from node.outbound.http import Egress, EgressPolicy
from node.services import blockcerts, issuance
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer
from node.services.preparing import Terms

ROWS = (("s1", ALICE, "90"), ("s2", BOB, "70"), ("s3", BOB, "55"))


@pytest.fixture
def named(school: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """An issuer on a chain that Blockcerts has a name for."""
    chains = dict(merkle_proof_2019._CHAINS)
    chain_id = school.require_chain().network.chain_id
    chains[1] = ("eth", {**chains[1][1], chain_id: "embedded"})
    monkeypatch.setattr(merkle_proof_2019, "_CHAINS", MappingProxyType(chains))
    return school


async def issue(issuer: Issuer, make_cohort: MakeCohort, securing: str = "eddsa-rdfc-2022") -> str:
    date = "2026-01-20T10:00:00Z"
    cohort = make_cohort(*ROWS, cohort=f"exported {securing}", awardedDate=date)
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms(securing)))
    return cohort.template.cohort


async def finished(issuer: Issuer) -> None:
    await AnchorWorker(issuer).run_until_done(
        close=False, done=lambda tick: not tick.transactions, timeout_seconds=60
    )


async def sent(issuer: Issuer) -> int:
    async with issuer.store.reading() as reading:
        entries = [await reading.outbox.load(number) for number in range(1, 100)]
    return sum(entry is not None and entry.purpose == blockcerts.PURPOSE for entry in entries)


async def test_each_file_leads_to_a_root_that_the_owner_sent(
    named: Issuer, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    cohort = await issue(named, make_cohort)
    prepared = await blockcerts.prepare(named, [], cohort)
    files = await blockcerts.export(named, prepared, tmp_path / "out", lambda: finished(named))
    assert len(files) == 3
    standards = named.standards
    for file in files:
        document = json.loads(file.read_text())
        assert file.stat().st_mode & 0o777 == 0o600
        read = read_document(document, standards.canonicalizer, standards.schemas)
        assert (read.conformance.outcome, read.schema.outcome) == (Outcome.PASSED, Outcome.NOT_APPLICABLE)
        assert document["credentialSubject"]["achievement"]["name"] == "Python, first course"
        assert document["credentialStatus"]["statusPurpose"] == "revocation"
        assert read.of_blockcerts
        found = verify_merkle_proof(document, document["proof"], standards.canonicalizer)
        assert found.root == prepared.root
        (anchor,) = found.anchors
        told = await named.require_chain().client.request(
            "eth_getTransactionByHash", ["0x" + anchor.transaction_id.hex()]
        )
        transaction = verify_transaction(told, anchor.transaction_id)
        assert transaction.data == prepared.root
        assert transaction.sender == named.identity
        assert document["proof"]["verificationMethod"] == f"{named.settings.did}#controller"


async def test_a_verifier_with_an_endpoint_finds_the_transaction_and_who_sent_it(
    named: Issuer, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    cohort = await issue(named, make_cohort)
    prepared = await blockcerts.prepare(named, [], cohort)
    first, *_ = await blockcerts.export(named, prepared, tmp_path / "out", lambda: finished(named))
    chain = named.require_chain()
    verifier = Verifier.of(
        named.standards,
        operator_networks={chain.network.chain_id: chain.network},
        policy=SIGNATURE_ONLY_UNSAFE,
        mode=Mode.CHAIN,
    )

    async def report(document: bytes) -> Report:
        async with Egress(
            EgressPolicy(mode=Mode.CHAIN, endpoints=Endpoints.of([str(chain.client._url)]))
        ) as egress:
            return await examine(read_intake(document), verifier, egress, now=named.clock())

    found = (await report(first.read_bytes()))[CheckName.PROOF]
    # Who owns the identity is told by one endpoint's events: not enough to pass (FORMATS.md section 9, anchor).
    assert (found.outcome, found.reason) == (Outcome.UNKNOWN, Reason.KEY_SOURCE_WEAK)
    assert f"0x{named.identity.hex()} sent" in found.basis
    changed = await report(first.read_bytes().replace(b"Python, first course", b"Python, third course"))
    assert (changed[CheckName.PROOF].outcome, changed.acceptance) == (Outcome.FAILED, Acceptance.REFUSED)


async def test_who_is_interrupted_and_runs_it_again_sends_one_transaction(
    named: Issuer, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    cohort = await issue(named, make_cohort)
    store = named.store
    assert isinstance(store, CrashingStore)

    async def dies() -> None:
        raise Crash

    prepared = await blockcerts.prepare(named, [], cohort)
    for _ in range(2):
        with pytest.raises(Crash):
            await blockcerts.export(named, prepared, tmp_path / "out", dies)
    assert not (tmp_path / "out").exists()
    again = await blockcerts.prepare(named, [], cohort)
    assert again.root == prepared.root
    first = await blockcerts.export(named, again, tmp_path / "out", lambda: finished(named))
    before = [file.read_bytes() for file in first]
    second = await blockcerts.export(named, again, tmp_path / "out", dies)  # final: nothing is waited for
    assert [file.read_bytes() for file in second] == before
    assert await sent(named) == 1


async def test_nothing_is_written_before_the_transaction_is_final(
    named: Issuer, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    prepared = await blockcerts.prepare(named, [], await issue(named, make_cohort))

    async def impatient() -> None:
        return None

    with pytest.raises(Misconfigured, match="not final yet"):
        await blockcerts.export(named, prepared, tmp_path / "out", impatient)
    assert not (tmp_path / "out").exists()
    await finished(named)


async def test_a_chain_without_a_name_is_refused_before_anything_is_sent(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    cohort = await issue(school, make_cohort)
    with pytest.raises(Misconfigured, match="no name for the chain eip155:"):
        await blockcerts.prepare(school, [], cohort)


async def test_what_is_shown_in_part_and_what_is_not_signed_is_not_exported(
    named: Issuer, make_cohort: MakeCohort
) -> None:
    cohort = await issue(named, make_cohort, "vc+sd-jwt")
    with pytest.raises(Malformed, match="not exported whole"):
        await blockcerts.prepare(named, [], cohort)
    with pytest.raises(NotFound, match="nothing is signed"):
        await blockcerts.prepare(named, [], "another")
