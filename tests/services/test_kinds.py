"""Endorsements and learner records, issued from a template like badges, each checked against its own schema."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.issuers import ALICE, BOB, URL, MakeCohort
from services.test_securing import stored, versed

from node.core.strict_json import JsonObject
from node.core.verify.reading import read_document
from node.core.verify.report import Outcome
from node.services import bundles, configurations, issuance, offers
from node.services.anchoring import AnchorWorker
from node.services.cohort import Cohort, load_cohort
from node.services.faults import InputFaults
from node.services.issuance import Issued
from node.services.issuer import Issuer
from node.services.preparing import Terms, check_secured
from node.services.securing import issued_value, read_issued

__all__ = ["versed"]

ENDORSED = "urn:uuid:5e1a2c7e-94ab-4d0c-8b39-3a1d0c5f7a20"
ENDORSEMENT = {
    "template": 1,
    "kind": "EndorsementCredential",
    "name": "What we think of it",
    "cohort": "endorsements",
    "subject": {"id": "{endorsed}", "endorsementComment": "{comment}"},
    "validDays": 365,
}
RECORD = {
    "template": 1,
    "kind": "ClrCredential",
    "name": "All that was learned",
    "cohort": "records",
    "credentials": "badges",
    "validDays": 365,
}


def load(folder: Path, template: JsonObject, columns: str, *rows: str) -> Cohort:
    (folder / "kind.json").write_text(json.dumps(template))
    (folder / "kind.csv").write_text("\n".join([columns, *rows]) + "\n")
    return load_cohort(folder / "kind.json", folder / "kind.csv")


def endorsements(folder: Path, **changed: Any) -> Cohort:
    row = f"e1,{ALICE},{ENDORSED},Sound work"
    return load(folder, {**ENDORSEMENT, **changed}, "id,subject_did,endorsed,comment", row)


def records(folder: Path, *ids: str, did: str = ALICE, **changed: Any) -> Cohort:
    return load(folder, {**RECORD, **changed}, "id,subject_did,badges", f"r1,{did},{';'.join(ids)}")


async def issue(issuer: Issuer, cohort: Cohort, securing: str = "eddsa-rdfc-2022") -> list[Issued]:
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms(securing)))
    return await issuance.results(issuer, cohort)


async def checked(issuer: Issuer, issued: Issued) -> JsonObject:
    """What was issued, after it was read as a verifier reads it and found to fit a schema."""
    data = await stored(issuer, issued)
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(issued.credential_id)
        assert record is not None
        assert record.signed is not None
        keys = {key.multibase: key for key in await reading.keys.all()}
    signer = issuer.keyring.signer(keys[record.signed.key_multibase].uri)
    check_secured(issuer, issued_value(data), signer.public_key)
    shown = read_issued(data)
    standards = issuer.standards
    read = read_document(shown.document, standards.canonicalizer, standards.schemas, shown.envelope)
    assert read.schema.outcome is Outcome.PASSED
    return shown.document


# --- endorsements


@pytest.mark.parametrize("securing", ["eddsa-rdfc-2022", "ecdsa-jcs-2019", "vc+jwt", "vc+sd-jwt"])
async def test_an_endorsement_says_what_is_endorsed_and_is_claimed_by_its_holder(
    versed: Issuer, tmp_path: Path, securing: str
) -> None:
    (issued,) = await issue(versed, endorsements(tmp_path), securing)
    document = await checked(versed, issued)
    assert document["type"] == ["VerifiableCredential", "EndorsementCredential"]
    assert document["credentialSubject"] == {
        "type": ["EndorsementSubject"],
        "id": ENDORSED,
        "endorsementComment": "Sound work",
    }
    assert issued.subject_did == ALICE


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"subject": {"endorsementComment": "{comment}"}}, "says what is endorsed"),
        ({"subject": {"id": "{endorsed}", "type": "X"}}, "not the template's to say"),
        ({"achievement": {"id": ENDORSED}}, "does not belong to an EndorsementCredential"),
        ({"evidence": {}}, "does not belong"),
        ({"credentials": "comment"}, "does not belong"),
        ({"cohort": None}, "must be a text"),
        ({"kind": "AssertionCredential"}, "must be one of"),
        ({"kind": 1}, "must be one of"),
    ],
)
def test_one_rule_of_endorsements_broken(tmp_path: Path, changed: dict[str, Any], words: str) -> None:
    with pytest.raises(InputFaults, match=words):
        endorsements(tmp_path, **changed)


async def test_an_endorsement_that_breaks_its_schema_is_refused(paper: Issuer, tmp_path: Path) -> None:
    with pytest.raises(InputFaults, match="id"):
        await issue(paper, load(tmp_path, ENDORSEMENT, "id,endorsed,comment", "e1,no url,x"))


async def test_bbs_is_for_achievements_alone(versed: Issuer, tmp_path: Path) -> None:
    with pytest.raises(InputFaults, match="achievements alone"):
        await issue(versed, endorsements(tmp_path, validDays=28), "bbs-2023")


# --- learner records


async def badge(issuer: Issuer, make_cohort: MakeCohort, securing: str, did: str = ALICE) -> Issued:
    (issued,) = await issue(issuer, make_cohort(("s1", did, "90"), cohort=f"for {securing}"), securing)
    return issued


async def test_a_record_holds_what_was_signed_before_for_the_same_learner(
    versed: Issuer, tmp_path: Path, make_cohort: MakeCohort
) -> None:
    held = [await badge(versed, make_cohort, securing) for securing in ("eddsa-rdfc-2022", "ecdsa-sd-2023")]
    ids = [one.credential_id for one in held]
    for number, securing in enumerate(("eddsa-rdfc-2022", "vc+sd-jwt", "ecdsa-rdfc-2019")):
        (issued,) = await issue(versed, records(tmp_path, *ids, cohort=f"r{number}"), securing)
        document = await checked(versed, issued)
        assert document["type"] == ["VerifiableCredential", "ClrCredential"]
        subject = document["credentialSubject"]
        assert (subject["id"], subject["type"]) == (ALICE, ["ClrSubject"])
        inside = subject["verifiableCredential"]
        assert inside[0] == read_issued(await stored(versed, held[0])).document
        assert inside[1]["proof"]["proofValue"].startswith("u2V0B")  # derived: the base proof is her own


@pytest.mark.parametrize("cohort", ["welding", "https://school.example/welding"])
async def test_a_record_names_what_it_holds_by_cohort_and_row_too(
    paper: Issuer, tmp_path: Path, make_cohort: MakeCohort, cohort: str
) -> None:
    (held,) = await issue(
        paper, make_cohort(("2026/1", ALICE, "90"), cohort=cohort, evidence=None, with_evidence=False)
    )
    (issued,) = await issue(paper, records(tmp_path, f"{cohort}/2026/1"))
    inside = (await checked(paper, issued))["credentialSubject"]["verifiableCredential"]
    assert inside == [read_issued(await stored(paper, held)).document]
    twice = records(tmp_path, held.credential_id, f"{cohort}/2026/1", cohort="twice")
    with pytest.raises(InputFaults, match="listed twice"):
        await issue(paper, twice)


async def test_a_cohort_and_row_that_mean_two_credentials_name_none(
    paper: Issuer, tmp_path: Path, make_cohort: MakeCohort
) -> None:
    for cohort, row in (("a", "b/c"), ("a/b", "c")):
        await issue(paper, make_cohort((row, ALICE, "90"), cohort=cohort, evidence=None, with_evidence=False))
    with pytest.raises(InputFaults, match="in several cohorts"):
        await issue(paper, records(tmp_path, "a/b/c"))


async def test_a_record_has_a_bundle_though_what_is_in_it_needs_those_of_its_own(
    school: Issuer, tmp_path: Path, make_cohort: MakeCohort
) -> None:
    held = await badge(school, make_cohort, "eddsa-jcs-2022")
    (issued,) = await issue(school, records(tmp_path, held.credential_id))
    await AnchorWorker(school).run_until_done(timeout_seconds=60)
    bundle = await bundles.load_bundle(school, issued.digest or b"", max_age_seconds=-1)
    assert bundle is not None
    assert bundle.state is not None


async def test_achievements_and_associations_may_stand_in_a_record(
    paper: Issuer, tmp_path: Path, make_cohort: MakeCohort
) -> None:
    held = await badge(paper, make_cohort, "eddsa-rdfc-2022")
    association = {
        "type": "Association",
        "associationType": "isChildOf",
        "sourceId": ENDORSED,
        "targetId": "urn:uuid:976af6fe-1a18-5be7-9487-596b1e66021e",
    }
    cohort = records(tmp_path, held.credential_id, subject={"association": [association]})
    (issued,) = await issue(paper, cohort)
    assert (await checked(paper, issued))["credentialSubject"]["association"] == [association]


async def test_a_record_holds_nothing_of_somebody_else_nor_what_is_unknown_or_unlinkable(
    versed: Issuer, tmp_path: Path, make_cohort: MakeCohort
) -> None:
    bobs = await badge(versed, make_cohort, "eddsa-rdfc-2022", BOB)
    token = await badge(versed, make_cohort, "vc+jwt")
    for name, words in (
        (bobs.credential_id, "the same learner"),
        ("urn:uuid:unknown", "no credential of this id"),
        (token.credential_id, "does not go into a record"),
    ):
        with pytest.raises(InputFaults, match=words):
            await issue(versed, records(tmp_path, name))
    with pytest.raises(InputFaults, match="the same learner"):
        await issue(versed, records(tmp_path, bobs.credential_id, did=""))


@pytest.mark.parametrize(
    ("ids", "changed", "words"),
    [
        ((), {}, "each once"),
        (("a", "a"), {}, "each once"),
        (("a",), {"subject": {"id": ALICE}}, "not the template's to say"),
        (("a",), {"subject": {"verifiableCredential": []}}, "not the template's to say"),
        (("a",), {"credentials": "nothing"}, "needs this column"),
    ],
)
def test_one_rule_of_records_broken(
    tmp_path: Path, ids: tuple[str, ...], changed: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputFaults, match=words):
        records(tmp_path, *ids, **changed)


async def test_offers_name_the_kind(versed: Issuer, tmp_path: Path) -> None:
    (issued,) = await issue(versed, endorsements(tmp_path), "vc+jwt")
    async with versed.store.reading() as reading:
        record = await reading.credentials.load(issued.credential_id)
    assert record is not None
    name = configurations.configuration_of(record, bearer=False)
    assert name == "EndorsementCredential.vc+jwt"
    metadata = await offers.issuer_metadata(versed, URL)
    assert metadata.configurations[name].types == ("VerifiableCredential", "EndorsementCredential")
    assert "clr/v2p0" in metadata.configurations["ClrCredential"].contexts[1]
