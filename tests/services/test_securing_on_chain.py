"""Keys of every kind on the embedded chain, and what they sign, judged with a bundle and a checkpoint file alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from fixtures.chain import RunningChain
from fixtures.issuers import ALICE, PASSPHRASE, MakeCohort, init_school, offline_verifier

from node.commands.issuer_folder import Folder, open_issuer
from node.core.dataintegrity.bbs_2023 import nym_domain_of, presentation_header_of
from node.core.dataintegrity.bbs_binding import Binding, bind
from node.core.evm import registry
from node.core.evm.registry import KeyPurpose, KeyWindow
from node.core.jose.sd_jwt import Path as ClaimPath
from node.core.jose.sd_jwt import select
from node.core.keys import KeyKind, parse_multikey
from node.core.securing import BBS
from node.core.strict_json import JsonObject
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import Intake, shown
from node.core.verify.materials import Materials
from node.core.verify.report import Acceptance, CheckName, Outcome, Report
from node.services import bundles, issuance, rotation
from node.services.anchoring import AnchorWorker
from node.services.derivation import Showing, derive
from node.services.issuer import Issuer
from node.services.preparing import Terms

AT_ONCE = Showing()
DECIDED = (
    *(CheckName.CONFORMANCE, CheckName.PROOF, CheckName.NETWORK, CheckName.HEADER, CheckName.ANCHOR),
    *(CheckName.KEY, CheckName.STATUS, CheckName.VALIDITY_PERIOD),
)
RESULT: list[ClaimPath] = [("credentialSubject", "achievement", "name"), ("credentialSubject", "result", 0)]
POINTERS = ["/credentialSubject/achievement/name", "/credentialSubject/result/0"]


async def issue_one(issuer: Issuer, make_cohort: MakeCohort, securing: str) -> bytes:
    plain = {"evidence": None, "validDays": None} if securing == BBS else {}
    cohort = make_cohort(("s1", ALICE, "90"), cohort=securing, with_evidence=securing != BBS, **plain)
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms(securing)))
    (issued,) = await issuance.results(issuer, cohort)
    assert issued.digest is not None
    return issued.digest


async def judge(
    issuer: Issuer, digest: bytes, *, in_part: bool = False, showing: Showing = AT_ONCE
) -> Report:
    """What an employer finds who is shown the whole credential, or the achievement's name and one result alone."""
    bundle = await bundles.load_bundle(issuer, digest, max_age_seconds=-1)
    assert bundle is not None
    credential = bundle.credential
    assert credential is not None
    canonicalizer = issuer.standards.canonicalizer
    if isinstance(credential, str):
        presented: JsonObject | str = select(credential, RESULT) if in_part else credential
    elif in_part:
        presented = derive(credential, POINTERS, canonicalizer, showing)
    else:
        presented = credential
    verifier = await offline_verifier(issuer)
    given = shown(presented, replace(bundle, evidence=()).with_credential(presented))
    asked = Asked("challenge", ("https://employer.example",)) if showing.presentation_header else Asked()
    return engine.verify(Intake((given,)), Materials.none(), verifier, now=issuer.clock(), asked=asked)


async def of_a_bound_badge(issuer: Issuer, make_cohort: MakeCohort) -> None:
    """Its issuer proves its key like any other's, and its holder alone derives from it."""
    plain = {"evidence": None, "validDays": None, "with_evidence": False, "pseudonyms": True}
    cohort = make_cohort(("s2", "", "90"), cohort="bound", **plain)
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms(BBS)))
    (waiting,) = await issuance.results(issuer, cohort)
    made = bind(Binding.PSEUDONYM, bytes(range(32)))
    record = await issuance.sign_for(issuer, waiting.credential_id, ALICE, made.commitment_with_proof)
    assert record.signed is not None
    header = presentation_header_of("challenge", "https://employer.example")
    holder = replace(made.holder, nym_domain=nym_domain_of("https://employer.example"))
    report = await judge(issuer, record.signed.digest, in_part=True, showing=Showing(header, holder))
    assert report[CheckName.KEY].outcome is Outcome.PASSED
    assert report[CheckName.PROOF].outcome is Outcome.PASSED
    assert report.acceptance is Acceptance.ACCEPTED
    assert report.holder_secret is not None
    assert report.holder_secret.pseudonym is not None


async def purposes(issuer: Issuer, kind: KeyKind) -> int:
    async with issuer.store.reading() as reading:
        key = await issuer.active_key(reading, {kind})
    chain = issuer.require_chain()
    slot = registry.key_slot(issuer.identity, parse_multikey(key.multibase).multicodec_bytes)
    word = await chain.client.storage_at(chain.network.credential_registry, slot)
    return KeyWindow.from_word(word).purposes


async def test_keys_of_every_kind_are_added_and_what_they_sign_is_judged_offline(
    devchain: RunningChain, tmp_path: Path, make_cohort: MakeCohort
) -> None:
    folder = tmp_path / "school"
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread(init_school, folder, devchain)
    async with open_issuer(Folder.load(folder), PASSPHRASE) as issuer:
        for kind in (KeyKind.P256, KeyKind.P384, KeyKind.BLS12381_G2):
            await rotation.add(issuer, folder, PASSPHRASE, kind)
        await AnchorWorker(issuer).run_until_done(timeout_seconds=60)
        assert await purposes(issuer, KeyKind.P256) == KeyPurpose.ASSERTION | KeyPurpose.STATUS_LIST
        assert await purposes(issuer, KeyKind.BLS12381_G2) == KeyPurpose.BBS
        whole = ("ecdsa-rdfc-2019", "ecdsa-jcs-2019", "vc+jwt", "vc+cose")
        in_part = ("ecdsa-sd-2023", "vc+sd-jwt")
        digests = {name: await issue_one(issuer, make_cohort, name) for name in (*whole, *in_part, BBS)}
        await AnchorWorker(issuer).run_until_done(timeout_seconds=60)
        for name in whole:
            report = await judge(issuer, digests[name])
            assert {report[check].outcome for check in DECIDED} == {Outcome.PASSED}, name
            assert report.acceptance is Acceptance.ACCEPTED
        for name in in_part:
            report = await judge(issuer, digests[name], in_part=True)
            assert {report[check].outcome for check in DECIDED} == {Outcome.PASSED}, name
            assert report.acceptance is Acceptance.ACCEPTED
        report = await judge(issuer, digests[BBS], in_part=True)
        assert report[CheckName.KEY].outcome is Outcome.PASSED
        assert "no proof of time" in report[CheckName.KEY].basis
        assert report[CheckName.ANCHOR].outcome is Outcome.NOT_APPLICABLE
        assert report[CheckName.STATUS].outcome is Outcome.NOT_APPLICABLE
        assert report.acceptance is Acceptance.ACCEPTED
        await of_a_bound_badge(issuer, make_cohort)
        # A rotation of one kind leaves the others alone.
        await rotation.begin(issuer, folder, PASSPHRASE, KeyKind.P256)
        await AnchorWorker(issuer).run_until_done(timeout_seconds=60)
        async with issuer.store.reading() as reading:
            states = [str(key.state) for key in await reading.keys.all() if key.role == "assertion"]
        assert states == ["active", "retired", "active", "active", "active"]
