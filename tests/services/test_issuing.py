"""Issuing: whole input or none, each row once, whatever dies when (STYLE.md section 8, FORMATS.md section 11)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import pytest
from fixtures.issuers import ALICE, BOB, URL, Crash, CrashingStore, MakeCohort

from node.core.anchor import credential_digest
from node.core.dataintegrity import proofs_of, verify_proof
from node.core.did.key import did_key_of
from node.core.errors import Conflict, Malformed, Refused
from node.core.evidence import ShownEvidence, committed_in, verify_shown
from node.core.keys import KeyKind, parse_multikey
from node.core.oid4vci.credential_request import CredentialRequest
from node.core.oid4vci.credential_response import Issued as Delivered
from node.core.oid4vci.key_proof import prepare_jwt_proof
from node.core.oid4vci.token import TokenRequest
from node.core.status.entry import parse_status_entries
from node.core.strict_json import JsonObject, parse_json_object
from node.core.times import format_datetime_stamp
from node.keystore import encode_secret, generate_secret, signer_of
from node.services import bundles, issuance, offering, offers, shapes, status_lists
from node.services.cohort import Cohort
from node.services.faults import InputFaults
from node.services.issuance import Issued
from node.services.issuer import Issuer
from node.services.offers import OfferDesk
from node.services.overview import overview
from node.services.preparing import Over, Terms
from node.storage.protocols.credentials import CredentialState
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.offers import AccessToken
from node.storage.protocols.status_lists import ListMode
from node.storage.protocols.verifier import NoncePurpose, NonceUse

ROWS = (("s1", ALICE, "90"), ("s2", "", "70"), ("s3", BOB, "55"))


async def issue(issuer: Issuer, cohort: Cohort, terms: Terms | None = None) -> list[Issued]:
    plan = await issuance.plan(issuer, cohort, terms or Terms())
    await issuance.issue(issuer, plan)
    return await issuance.results(issuer, cohort)


async def document_of(issuer: Issuer, credential_id: str) -> JsonObject:
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(credential_id)
    assert record is not None
    assert record.signed is not None
    return parse_json_object(record.signed.document)


async def everything(issuer: Issuer) -> tuple[int, int, int]:
    """Credentials, digests that wait for a batch, status indexes given out."""
    async with issuer.store.reading() as reading:
        records = await reading.credentials.page()
        waiting = await reading.batches.waiting()
        lists = await reading.status_lists.all("revocation")
    return len(records), waiting.count, sum(one.allocated for one in lists)


async def test_rows_with_a_subject_are_signed_and_the_others_wait_for_their_claim(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(paper, make_cohort(*ROWS))
    assert [(one.row, one.state, one.subject_did) for one in issued] == [
        ("s1", CredentialState.SIGNED, ALICE),
        ("s2", CredentialState.WAITING, None),
        ("s3", CredentialState.SIGNED, BOB),
    ]
    assert await everything(paper) == (3, 2, 3)


@pytest.mark.parametrize("suite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
async def test_what_is_signed_verifies_and_carries_status_evidence_and_validity(
    paper: Issuer, make_cohort: MakeCohort, suite: str
) -> None:
    issued = await issue(paper, make_cohort(*ROWS), Terms(suite))
    document = await document_of(paper, issued[0].credential_id)
    (proof,) = proofs_of(document)
    key = await paper.signing_key()
    assert proof.cryptosuite == suite
    assert proof.verification_method == f"{paper.settings.did}#delegate-1"
    verify_proof(document, proof, parse_multikey(key.multibase), paper.standards.canonicalizer)
    assert credential_digest(document) == issued[0].digest
    assert document["credentialSubject"]["id"] == ALICE
    assert "validUntil" in document
    (entry,) = parse_status_entries(document)
    assert isinstance(document["credentialStatus"], dict)
    assert document["credentialStatus"]["statusListCredential"].endswith("/status/1")
    assert entry.id is not None


async def test_the_holders_evidence_opens_the_commitment_in_the_credential(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(paper, make_cohort(*ROWS))
    document = await document_of(paper, issued[0].credential_id)
    committed = committed_in(document["evidence"][0])
    assert committed is not None
    async with paper.store.reading() as reading:
        items = bundles._evidence(await reading.evidence.load(issued[0].credential_id))
    assert [item.item.name for item in items if isinstance(item, ShownEvidence)] == ["a.py", "b.log"]
    for item in items:
        assert isinstance(item, ShownEvidence)
        verify_shown(committed, item)


async def test_a_suspendable_template_gives_two_status_entries(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(paper, make_cohort(*ROWS, suspendable=True))
    document = await document_of(paper, issued[0].credential_id)
    assert [entry["statusPurpose"] for entry in document["credentialStatus"]] == ["revocation", "suspension"]


async def test_a_cohort_issued_again_repeats_nothing(paper: Issuer, make_cohort: MakeCohort) -> None:
    first = await issue(paper, make_cohort(*ROWS))
    again = await issue(paper, make_cohort(*ROWS))
    assert first == again
    assert await everything(paper) == (3, 2, 3)


async def test_rows_that_are_added_later_are_issued_alone(paper: Issuer, make_cohort: MakeCohort) -> None:
    await issue(paper, make_cohort(*ROWS[:1]))
    await issue(paper, make_cohort(*ROWS))
    assert await everything(paper) == (3, 2, 3)


async def test_a_row_that_was_issued_and_now_reads_differently_is_refused(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(paper, make_cohort(*ROWS))
    with pytest.raises(InputFaults, match=r"row 2.*issued before"):
        await issue(paper, make_cohort(ROWS[0], ("s2", "", "99"), ROWS[2]))
    assert await everything(paper) == (3, 2, 3)


async def test_one_row_that_breaks_the_schema_refuses_the_whole_input(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    cohort = make_cohort(*ROWS, subject={"creditsEarned": "many"})
    with pytest.raises(InputFaults, match="row 1"):
        await issue(paper, cohort)
    assert await everything(paper) == (0, 0, 0)


async def test_a_term_that_no_context_knows_is_refused_before_anything_is_stored(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    with pytest.raises(InputFaults):
        await issue(paper, make_cohort(*ROWS, subject={"favouriteColour": "blue"}))
    assert await everything(paper) == (0, 0, 0)


async def test_a_process_that_dies_anywhere_issues_each_row_once(
    paper: Issuer, store: CrashingStore, make_cohort: MakeCohort
) -> None:
    died = 0
    for number in range(20):
        cohort = make_cohort(*ROWS, cohort=f"python-{number}")
        before = await everything(paper)
        store.left = number
        try:
            await issue(paper, cohort)
        except Crash:
            died += 1
        finished = store.left is not None and store.left > 0
        store.left = None
        issued = await issue(paper, cohort)
        after = await everything(paper)
        assert [one.state for one in issued] == ["signed", "waiting", "signed"]
        assert [now - then for now, then in zip(after, before, strict=True)] == [3, 2, 3]
        if finished:
            break
    assert died == 2  # before the intents, before the signatures


async def test_a_signature_by_a_key_that_was_rotated_meanwhile_is_made_again_by_the_new_one(
    paper: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = generate_secret(KeyKind.ED25519)
    monkeypatch.setenv("TEST_NEW", encode_secret(KeyKind.ED25519, secret))
    public_key = signer_of(KeyKind.ED25519, secret).public_key
    old = await paper.signing_key()
    signatures: list[str] = []

    async def rotate() -> None:
        async with paper.store.transaction() as transaction:
            method = f"{paper.settings.did}#delegate-2"
            await transaction.keys.add(
                IssuerKey(
                    public_key.multibase,
                    KeyRole.ASSERTION,
                    "env:TEST_NEW",
                    method,
                    2,
                    KeyState.ACTIVE,
                    2,
                    None,
                    paper.clock(),
                )
            )
            await transaction.keys.move(old.multibase, KeyState.RETIRING)

    signing_key = Issuer.signing_key

    async def slow(issuer: Issuer, transaction: Any = None, kinds: Any = None) -> object:
        found = await signing_key(issuer, transaction, kinds)
        signatures.append(found.multibase)
        if len(signatures) == 1:
            await rotate()
        return found

    monkeypatch.setattr(Issuer, "signing_key", slow)
    cohort = make_cohort(*ROWS[:1])
    plan = await issuance.plan(paper, cohort, Terms())
    await issuance.issue(paper, plan)
    issued = await issuance.results(paper, cohort)
    document = await document_of(paper, issued[0].credential_id)
    assert proofs_of(document)[0].verification_method.endswith("#delegate-2")
    async with paper.store.reading() as reading:
        assert await reading.batches.unanchored_of_key(old.multibase) == 0


# --- what would be over


def after(**span: float) -> Callable[[], datetime]:
    """The clock of somebody who comes later."""
    now = datetime.now(UTC) + timedelta(**span)
    return lambda: now


def ending(make_cohort: MakeCohort, *ends: datetime, **template: Any) -> Cohort:
    """A cohort in whose column `score` stands the end of each row; the first names its learner."""
    stamps = [format_datetime_stamp(end) for end in ends]
    rows = [(f"s{number}", BOB if number == 1 else "", stamp) for number, stamp in enumerate(stamps, 1)]
    return make_cohort(*rows, **{"results": None, "validDays": None, "validUntil": "{score}", **template})


@pytest.mark.parametrize(
    ("end", "template"),
    [
        (timedelta(seconds=-1), {}),
        (timedelta(days=-400), {"validUntil": None, "validFrom": "{score}", "validDays": 365}),
        (timedelta(days=10), {"validFrom": "2999-01-01T00:00:00Z"}),
    ],
    ids=["the end is past", "a begin with days that are past", "the end is before the begin"],
)
async def test_a_row_that_would_be_over_when_it_is_signed_refuses_the_input(
    paper: Issuer, make_cohort: MakeCohort, end: timedelta, template: dict[str, Any]
) -> None:
    now = datetime.now(UTC)

    async def plan() -> None:
        cohort = ending(make_cohort, now + timedelta(days=500), now + end, **template)
        await issuance.plan(paper, cohort, Terms())

    with pytest.raises(InputFaults, match="validUntil") as refused:
        await plan()
    assert 2 in [fault.row for fault in refused.value.faults]
    assert await everything(paper) == (0, 0, 0)


async def test_what_is_over_by_the_time_of_its_signature_stays_unsigned_and_holds_up_nobody(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    now = datetime.now(UTC)
    cohort = ending(make_cohort, now + timedelta(minutes=1), now + timedelta(days=1))
    plan = await issuance.plan(paper, cohort, Terms(bearer=True))
    later = replace(paper, clock=after(minutes=2))
    plan.shapes.issuer = later
    await issuance.issue(later, plan)
    states = [one.state for one in await issuance.results(later, cohort)]
    assert states == [CredentialState.INTENDED, CredentialState.SIGNED]
    assert await issuance.sign_intended(later) == 0
    async with paper.store.reading() as reading:
        assert (await reading.batches.waiting()).count == 1


async def test_a_claim_of_what_is_over_signs_nothing_and_the_status_tells_it(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    now = datetime.now(UTC)
    cohort = ending(make_cohort, *[now + timedelta(days=1)] * 2)
    waits = (await issue(paper, cohort))[1]
    assert not [one for one in (await overview(paper))["warnings"] if "over" in one]
    later = replace(paper, clock=after(days=2))
    with pytest.raises(Over):
        await issuance.sign_for(later, waits.credential_id, ALICE)
    async with paper.store.reading() as reading:
        assert (await reading.batches.waiting()).count == 1
    (warning,) = (await overview(later))["warnings"]
    assert warning.startswith("1 credentials would be over by now")


async def test_rows_of_one_shape_are_signed_by_no_stencil_once_they_are_over(
    paper: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shapes, "CUT_AT", 2)
    cohort = ending(
        make_cohort, *[datetime.now(UTC) + timedelta(days=1)] * 3, evidence=None, with_evidence=False
    )
    plan = await issuance.plan(paper, cohort, Terms(bearer=True))
    assert any(isinstance(one, shapes._Stencil) for one in plan.shapes._met.values())
    await issuance.issue(replace(paper, clock=after(days=2)), plan)
    async with paper.store.reading() as reading:
        assert (await reading.credentials.counts())[CredentialState.SIGNED] == 0


# --- claims


async def waiting(paper: Issuer, make_cohort: MakeCohort) -> str:
    issued = await issue(paper, make_cohort(*ROWS))
    return issued[1].credential_id


async def test_a_claim_signs_for_the_claimant_and_joins_the_next_batch(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    credential_id = await waiting(paper, make_cohort)
    record = await issuance.sign_for(paper, credential_id, BOB)
    assert record.signed is not None
    assert record.signed.subject_did == BOB
    assert (await document_of(paper, credential_id))["credentialSubject"]["id"] == BOB
    assert await everything(paper) == (3, 3, 3)


async def test_a_claim_that_is_repeated_gives_the_same_document(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    credential_id = await waiting(paper, make_cohort)
    first = await issuance.sign_for(paper, credential_id, BOB)
    again = await issuance.sign_for(paper, credential_id, BOB)
    assert first == again


async def test_a_credential_that_somebody_claimed_is_not_anybody_elses(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    credential_id = await waiting(paper, make_cohort)
    await issuance.sign_for(paper, credential_id, BOB)
    with pytest.raises(Conflict):
        await issuance.sign_for(paper, credential_id, ALICE)


async def test_a_row_with_a_subject_is_claimed_by_that_subject_alone(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(paper, make_cohort(*ROWS))
    with pytest.raises(Conflict):
        await issuance.sign_for(paper, issued[0].credential_id, BOB)


async def test_bearer_rows_are_signed_at_once_without_a_subject_id(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(paper, make_cohort(*ROWS), Terms(bearer=True))
    document = await document_of(paper, issued[1].credential_id)
    assert "id" not in document["credentialSubject"]
    assert document["credentialSubject"]["identifier"][0]["hashed"] is True


# --- offers


async def test_every_row_gets_one_link_and_a_new_one_only_when_asked(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(paper, make_cohort(*ROWS))
    assert len(await offering.offer(paper, issued, bearer=False)) == 3
    assert await offering.offer(paper, issued, bearer=False) == []
    assert len(await offering.offer(paper, issued, bearer=False, again=True)) == 3


async def test_a_link_whose_answer_was_lost_is_made_anew_and_the_lost_token_opens_nothing(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(paper, make_cohort(*ROWS))
    first = (await offering.offer(paper, issued, bearer=False))[0]
    desk = OfferDesk(paper, URL)
    code = (await desk.view(first.page.rpartition("/")[2])).offer.pre_authorized_code
    assert code is not None
    lost = await desk.redeem(TokenRequest(code))
    with pytest.raises(Refused):
        await desk.redeem(TokenRequest(code))
    assert await offering.offer(paper, issued, bearer=False) == []
    renewed = await offering.offer(paper, issued, bearer=False, again=True)
    assert first.credential_id in [one.credential_id for one in renewed]
    with pytest.raises(Refused):
        await desk.admit(lost.access_token)


async def test_a_claim_that_dies_anywhere_is_made_again_and_gives_one_credential(
    paper: Issuer, store: CrashingStore, make_cohort: MakeCohort
) -> None:
    desk, died = OfferDesk(paper, URL), 0
    signer = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
    holder = did_key_of(signer.public_key)
    for number in range(12):
        issued = await issue(paper, make_cohort(("s1", "", "70"), cohort=f"claimed-{number}"))
        (made,) = await offering.offer(paper, issued, bearer=False)
        code = (await desk.view(made.page.rpartition("/")[2])).offer.pre_authorized_code or ""
        token = await desk.admit((await desk.redeem(TokenRequest(code))).access_token)

        async def claim(token: AccessToken = token) -> Any:
            prepared = prepare_jwt_proof(
                signer.public_key,
                credential_issuer=URL,
                nonce=await desk.new_nonce(),
                now=paper.clock(),
                kid=f"{holder}#{signer.public_key.multibase}",
            )
            proof = prepared.finish(signer.sign(prepared.message))
            answer = await desk.claim(token, CredentialRequest("OpenBadgeCredential", None, "jwt", (proof,)))
            assert isinstance(answer, Delivered)
            return answer.items[0].credential

        before = await everything(paper)
        store.left = number
        try:
            await claim()
            finished = True
        except Crash:
            finished, died = False, died + 1
        store.left = None
        document = await claim()
        assert document["credentialSubject"]["id"] == holder
        assert document == await document_of(paper, made.credential_id)
        assert [now - then for now, then in zip(await everything(paper), before, strict=True)] == [0, 1, 0]
        if finished:
            break
    assert died == 4  # before a nonce was given, used, the signature recorded, the offer marked as claimed


async def test_nobody_shuts_wallets_out_by_asking_for_nonces(
    paper: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(offers, "MAX_NONCES", 10)
    desk = OfferDesk(paper, URL)
    asked = [await desk.new_nonce() for _ in range(25)]
    async with paper.store.transaction() as transaction:
        assert await transaction.nonces.count(NoncePurpose.C_NONCE, paper.clock()) <= 10
        use = await transaction.nonces.use(
            NoncePurpose.C_NONCE, sha256(asked[-1].encode()).digest(), paper.clock()
        )
    assert use is NonceUse.FRESH


async def test_what_was_withdrawn_is_not_offered(paper: Issuer, make_cohort: MakeCohort) -> None:
    issued = await issue(paper, make_cohort(*ROWS))
    async with paper.store.transaction() as transaction:
        await transaction.credentials.withdraw(issued[1].credential_id)
    issued = await issue(paper, make_cohort(*ROWS))
    assert [one.credential_id for one in await offering.offer(paper, issued, bearer=False)] == [
        issued[0].credential_id,
        issued[2].credential_id,
    ]


# --- over HTTP


def foreign_document(**members: object) -> JsonObject:
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "id": "urn:uuid:11111111-94ab-4d0c-8b39-3a1d0c5f7a20",
        "type": ["VerifiableCredential"],
        "credentialSubject": {"id": ALICE},
        **members,
    }


async def test_a_document_over_http_gets_issuer_status_and_proof(paper: Issuer) -> None:
    record = await issuance.issue_document(paper, foreign_document())
    document = await document_of(paper, record.intent.credential_id)
    assert document["issuer"] == paper.settings.did
    assert document["credentialStatus"]["statusPurpose"] == "revocation"
    assert await everything(paper) == (1, 1, 1)


async def test_a_document_sent_twice_is_issued_once(paper: Issuer) -> None:
    first = await issuance.issue_document(paper, foreign_document())
    again = await issuance.issue_document(paper, foreign_document())
    assert first == again
    with pytest.raises(Conflict):
        await issuance.issue_document(paper, foreign_document(name="Another"))


async def test_a_document_sent_twice_at_one_moment_is_issued_once(paper: Issuer) -> None:
    made = await asyncio.gather(*(issuance.issue_document(paper, foreign_document()) for _ in range(5)))
    assert len({record.signed.digest for record in made if record.signed is not None}) == 1
    assert await everything(paper) == (1, 1, 1)


async def test_a_document_that_was_withdrawn_is_not_signed(paper: Issuer, store: CrashingStore) -> None:
    store.left = 1
    with pytest.raises(Crash):
        await issuance.issue_document(paper, foreign_document())
    store.left = None
    async with paper.store.transaction() as transaction:
        await transaction.credentials.withdraw(foreign_document()["id"])
    with pytest.raises(Conflict, match="withdrawn"):
        await issuance.issue_document(paper, foreign_document())


async def test_the_id_of_a_cohorts_credential_cannot_be_taken(paper: Issuer, make_cohort: MakeCohort) -> None:
    issued = await issue(paper, make_cohort(*ROWS))
    with pytest.raises(Conflict):
        await issuance.issue_document(paper, foreign_document(id=issued[0].credential_id))


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"},
        {"credentialStatus": {"id": "urn:x"}},
        {"proof": {}},
        {"type": ["Nothing"]},
        {"unknownTerm": 1},
        {"validUntil": "2020-01-01T00:00:00Z"},
    ],
    ids=["another issuer", "status of its own", "proof of its own", "no credential", "unknown term", "over"],
)
async def test_a_document_that_is_not_ours_to_sign_is_refused(paper: Issuer, members: JsonObject) -> None:
    with pytest.raises(Malformed):
        await issuance.issue_document(paper, foreign_document(**members))
    assert await everything(paper) == (0, 0, 0)


async def test_a_document_survives_a_crash_between_intent_and_signature(
    paper: Issuer, store: CrashingStore
) -> None:
    store.left = 1
    with pytest.raises(Crash):
        await issuance.issue_document(paper, foreign_document())
    store.left = None
    record = await issuance.issue_document(paper, foreign_document())
    assert record.signed is not None
    assert await everything(paper) == (1, 1, 1)


async def test_a_cohort_larger_than_a_list_takes_several(
    paper: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_lists, "LOG2_ENTRIES", 3)  # half of eight entries are given out
    monkeypatch.setitem(status_lists._MODES, "another", ListMode.SETTABLE)
    assert not await status_lists.ensure_list(paper, "another", 10)
    async with paper.store.transaction() as transaction:
        lists = await transaction.status_lists.all("another")
        assert len(lists) == 3
        for one in lists:  # as when the chain has them
            await transaction.status_lists.mark_open(one.list_id, 1)
    assert await status_lists.ensure_list(paper, "another", 10)
    async with paper.store.transaction() as transaction:
        names = [f"urn:uuid:{number}" for number in range(12)]
        entries = await status_lists.allocate(transaction, "another", names)
        assert len({(entry.list_url, entry.index) for entry in entries.values()}) == 12
        assert {entry.list_url for entry in entries.values()} == {one.url for one in lists}
        with pytest.raises(Conflict, match="open with room"):
            await status_lists.allocate(transaction, "another", ["urn:uuid:12"])
