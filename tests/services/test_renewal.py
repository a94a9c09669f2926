"""bbs-2023: what nothing tells apart, and how it is issued again before it runs out (FORMATS.md section 3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fixtures.issuers import ALICE, BOB, URL, Crash, CrashingStore, MakeCohort
from services.test_securing import add_key, stored

from node.core.dataintegrity import proofs_of, unsecured
from node.core.dataintegrity.bbs_2023 import parse_base_proof
from node.core.dataintegrity.bbs_terms import broken_terms, linking_members
from node.core.errors import Conflict, Malformed, NotFound
from node.core.keys import KeyKind
from node.core.oid4vci.credential_request import CredentialRequest
from node.core.oid4vci.credential_response import Deferred
from node.core.oid4vci.credential_response import Issued as Delivered
from node.core.oid4vci.key_proof import prepare_jwt_proof
from node.core.oid4vci.token import TokenRequest
from node.core.securing import BBS
from node.core.strict_json import JsonObject
from node.keystore import generate_secret, signer_of
from node.services import issuance, offering, renewal, revocation
from node.services.derivation import derive
from node.services.faults import InputFaults
from node.services.issuance import Issued
from node.services.issuer import Issuer
from node.services.offers import OfferDesk
from node.services.overview import overview
from node.services.preparing import Prepared, Terms, check_secured, identity_of
from node.services.revocation import Action
from node.services.securing import issued_value, read_issued, secure
from node.storage.protocols.credentials import CredentialState
from node.storage.protocols.issuer import KeyState

TUESDAY = datetime(2026, 3, 3, 12, tzinfo=UTC)
LAST_WEEK = TUESDAY + timedelta(weeks=3)


@pytest.fixture
async def bbs(paper: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """An issuer with a BLS12-381 key of this week."""
    issuer = replace(paper, clock=lambda: TUESDAY)
    await add_key(issuer, KeyKind.BLS12381_G2, monkeypatch, 2)
    return issuer


async def in_last_week(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> Issuer:
    """The same three weeks later, with the key of that week."""
    later = replace(issuer, clock=lambda: LAST_WEEK)
    await add_key(later, KeyKind.BLS12381_G2, monkeypatch, 3)
    return later


async def issue(issuer: Issuer, make_cohort: MakeCohort, *rows: tuple[str, str, str]) -> list[Issued]:
    cohort = make_cohort(*rows, evidence=None, validDays=None, with_evidence=False)
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms(BBS)))
    return await issuance.results(issuer, cohort)


async def documents(issuer: Issuer, issued: list[Issued]) -> list[JsonObject]:
    return [read_issued(await stored(issuer, one)).document for one in issued]


async def test_what_is_issued_keeps_the_terms_verifies_and_is_not_anchored(
    bbs: Issuer, make_cohort: MakeCohort
) -> None:
    issued = await issue(bbs, make_cohort, ("s1", ALICE, "90"))
    (document,) = await documents(bbs, issued)
    (proof,) = proofs_of(document)
    assert not broken_terms(document, end_is_mandatory=True)
    assert not linking_members(document, {k: v for k, v in proof.raw.items() if k != "type"})
    assert (document["validFrom"], document["validUntil"]) == ("2026-03-02T00:00:00Z", "2026-03-30T00:00:00Z")
    assert parse_base_proof(proof).mandatory_pointers == ("/issuer", "/validFrom", "/validUntil")
    key = await bbs.signing_key(kinds={KeyKind.BLS12381_G2})
    check_secured(bbs, issued_value(await stored(bbs, issued[0])), key.signer.public_key)
    async with bbs.store.reading() as reading:
        assert (await reading.batches.waiting()).count == 0
        assert not await reading.status_lists.indexes_of(issued[0].credential_id)


async def test_what_all_holders_must_show_is_the_same(bbs: Issuer, make_cohort: MakeCohort) -> None:
    issued = await issue(bbs, make_cohort, ("s1", ALICE, "90"), ("s2", BOB, "70"))
    least = [derive(document, [], bbs.standards.canonicalizer) for document in await documents(bbs, issued)]
    proofs = [one.pop("proof") for one in least]
    assert least[0] == least[1]
    assert [proof.pop("proofValue")[:4] for proof in proofs] == ["u2V0", "u2V0"]
    assert proofs[0] == proofs[1]


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ({"validFrom": "2026-03-02T00:00:00Z"}, "a week for all"),
        ({"validUntil": "2026-03-30T00:00:00Z"}, "a week for all"),
        ({"validDays": 30}, "must be one of 7, 14, 21, 28"),
        ({"suspendable": True}, "nothing can be suspended"),
        ({"subject": {"identifier": [{"identityHash": "{id}"}]}}, "whose the credential is"),
        ({"evidence": {"items": [{"file": "a.py"}, {"file": "b.log"}]}, "with_evidence": True}, "tells its"),
    ],
)
async def test_a_template_that_would_tell_credentials_apart_is_refused(
    bbs: Issuer, make_cohort: MakeCohort, template: dict[str, Any], words: str
) -> None:
    plain = {"evidence": None, "validDays": None, "with_evidence": False}
    cohort = make_cohort(("s1", ALICE, "90"), **{**plain, **template})
    with pytest.raises(InputFaults, match=words):
        await issuance.plan(bbs, cohort, Terms(BBS))


@pytest.mark.parametrize("learner", [ALICE, ""])
async def test_nothing_in_a_badge_names_its_holder_hashed_or_not(
    bbs: Issuer, make_cohort: MakeCohort, learner: str
) -> None:
    cohort = make_cohort(("s1", learner, "90"), evidence=None, validDays=None, with_evidence=False)
    await issuance.issue(bbs, await issuance.plan(bbs, cohort, Terms(BBS, bearer=True)))
    (document,) = await documents(bbs, await issuance.results(bbs, cohort))
    assert document["credentialSubject"].keys() == {"type", "achievement", "result"}
    assert "id" not in document


async def test_what_would_name_its_holder_is_not_signed(bbs: Issuer, make_cohort: MakeCohort) -> None:
    (document,) = await documents(bbs, await issue(bbs, make_cohort, ("s1", ALICE, "90")))
    named = with_hashed_row(unsecured(document))
    key = await bbs.signing_key(kinds={KeyKind.BLS12381_G2})
    with pytest.raises(Malformed, match=r"would link .*: /credentialSubject/identifier"):
        secure(bbs, named, key, BBS, TUESDAY)


async def test_what_an_earlier_release_prepared_or_renews_loses_the_hash_of_its_row(
    bbs: Issuer, make_cohort: MakeCohort
) -> None:
    (document,) = await documents(bbs, await issue(bbs, make_cohort, ("s1", ALICE, "90")))
    prepared = Prepared(with_hashed_row(unsecured(document)), BBS, 28)
    assert prepared.at_signing(TUESDAY, ALICE)["credentialSubject"] == document["credentialSubject"]


def with_hashed_row(credential: JsonObject) -> JsonObject:
    identifier = [identity_of("id:s1", "salt").to_json()]
    return {**credential, "credentialSubject": {**credential["credentialSubject"], "identifier": identifier}}


async def test_a_key_of_an_earlier_week_signs_nothing(bbs: Issuer, make_cohort: MakeCohort) -> None:
    later = replace(bbs, clock=lambda: TUESDAY + timedelta(weeks=1))
    with pytest.raises(Conflict, match="key rotate --kind BLS12-381"):
        await issue(later, make_cohort, ("s1", ALICE, "90"))
    # A did:key is its key for good.
    alone = replace(later, settings=replace(bbs.settings, identity=None, chain=None))
    assert len(await issue(alone, make_cohort, ("s1", ALICE, "90"))) == 1


async def test_what_runs_out_within_a_week_is_issued_again_once(
    bbs: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await issue(bbs, make_cohort, ("s1", ALICE, "90"))
    assert await renewal.renew(replace(bbs, clock=lambda: TUESDAY + timedelta(days=1))) == []
    later = await in_last_week(bbs, monkeypatch)
    (renewed,) = await renewal.renew(later)
    before, after = await documents(later, [*issued, renewed])
    assert (after["validFrom"], after["validUntil"]) == ("2026-03-23T00:00:00Z", "2026-04-20T00:00:00Z")
    dated = ("validFrom", "validUntil", "proof")
    assert {k: v for k, v in before.items() if k not in dated} == {
        k: v for k, v in after.items() if k not in dated
    }
    assert parse_base_proof(proofs_of(after)[0]).mandatory_pointers == (
        parse_base_proof(proofs_of(before)[0]).mandatory_pointers
    )
    assert proofs_of(after)[0].verification_method.endswith("#delegate-3")
    assert renewed.subject_did == ALICE
    assert await renewal.renew(later) == []


async def test_a_credential_of_one_week_is_renewed_in_the_next_and_once(
    bbs: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = make_cohort(("s1", ALICE, "90"), evidence=None, validDays=7, with_evidence=False)
    await issuance.issue(bbs, await issuance.plan(bbs, cohort, Terms(BBS)))
    assert await renewal.renew(bbs) == []
    later = await in_last_week(bbs, monkeypatch)
    assert await renewal.count_due(later) == 1
    assert len((await overview(later))["warnings"]) == 1
    assert len(await renewal.renew(later)) == 1
    assert await renewal.renew(later) == []


async def test_who_dies_while_renewing_renews_each_once(
    bbs: Issuer, store: CrashingStore, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    await issue(bbs, make_cohort, ("s1", ALICE, "90"), ("s2", BOB, "70"))
    later = await in_last_week(bbs, monkeypatch)
    died = 0
    for number in range(5):
        store.left = number
        try:
            await renewal.renew(later)
            break
        except Crash:
            died += 1
    store.left = None
    assert died == 2  # before the intents, before the signatures
    async with later.store.reading() as reading:
        counts = await reading.credentials.counts()
    assert counts[CredentialState.SIGNED] == 4
    assert counts[CredentialState.INTENDED] == 0


async def test_without_a_key_of_the_week_nothing_is_renewed(bbs: Issuer, make_cohort: MakeCohort) -> None:
    await issue(bbs, make_cohort, ("s1", ALICE, "90"))
    later = replace(bbs, clock=lambda: LAST_WEEK)
    assert await renewal.needs_key(later)
    with pytest.raises(Conflict, match="earlier week"):
        await renewal.renew(later)
    async with later.store.reading() as reading:
        assert (await reading.credentials.counts())[CredentialState.INTENDED] == 0


async def test_revoked_it_is_renewed_no_more(
    bbs: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    issued = await issue(bbs, make_cohort, ("s1", ALICE, "90"), ("s2", BOB, "70"))
    later = await in_last_week(bbs, monkeypatch)
    async with later.store.reading() as reading:
        record = await reading.credentials.load(issued[0].credential_id)
    assert record is not None
    for _ in range(2):
        (change,) = await revocation.change_status(
            later, [record], Action.REVOKE, reason="left", requested_by="test"
        )
        assert change.ends == datetime(2026, 3, 30, tzinfo=UTC)
        assert not change.is_effective
    assert [one.row for one in await renewal.renew(later)] == ["s2"]
    with pytest.raises(NotFound, match="renewed until it is revoked"):
        await revocation.change_status(later, [record], Action.SUSPEND, reason="x", requested_by="test")


async def test_a_holder_who_claims_again_gets_the_newest(
    bbs: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    signer = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
    issued = await issue(bbs, make_cohort, ("s1", "", "90"))
    assert issued[0].state is CredentialState.WAITING
    (made,) = await offering.offer(bbs, issued, bearer=False)
    desk = OfferDesk(bbs, URL)
    code = (await desk.view(made.page.rpartition("/")[2])).offer.pre_authorized_code or ""
    token = await desk.admit((await desk.redeem(TokenRequest(code))).access_token)

    async def claim(issuer: Issuer) -> Delivered | Deferred:
        desk = OfferDesk(issuer, URL)
        prepared = prepare_jwt_proof(
            signer.public_key, credential_issuer=URL, nonce=await desk.new_nonce(), now=issuer.clock()
        )
        proof = prepared.finish(signer.sign(prepared.message))
        request = CredentialRequest("OpenBadgeCredential.bbs-2023", None, "jwt", (proof,))
        return await desk.claim(token, request)

    # What waits for the key of the week is deferred, not refused.
    assert isinstance(await claim(replace(bbs, clock=lambda: TUESDAY + timedelta(weeks=1))), Deferred)
    first = await claim(bbs)
    assert isinstance(first, Delivered)
    later = await in_last_week(bbs, monkeypatch)
    await renewal.renew(later)
    again = await claim(later)
    assert isinstance(again, Delivered)
    ends = [one.items[0].credential["validUntil"] for one in (first, again)]  # type: ignore[index]
    assert ends == ["2026-03-30T00:00:00Z", "2026-04-20T00:00:00Z"]


async def test_a_server_asks_for_the_key_of_the_week_and_renews_when_it_stands(
    bbs: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    await issue(bbs, make_cohort, ("s1", ALICE, "90"))
    later, asked = replace(bbs, clock=lambda: LAST_WEEK), []

    async def add() -> None:
        asked.append(1)

    assert await renewal.renew_in_time(bbs, add) == 0
    assert asked == []
    assert await renewal.renew_in_time(later, add) == 0
    assert asked == [1]
    with pytest.raises(Conflict, match="earlier week"):
        await renewal.renew_in_time(later)
    await in_last_week(bbs, monkeypatch)
    assert await renewal.renew_in_time(later, add) == 1
    assert await renewal.renew_in_time(later, add) == 0
    assert asked == [1]


async def test_of_what_was_renewed_the_newest_is_told_by_its_row(
    bbs: Issuer, make_cohort: MakeCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    await issue(bbs, make_cohort, ("s1", ALICE, "90"))
    assert await renewal.renewed(bbs) == []
    later = await in_last_week(bbs, monkeypatch)
    first = await renewal.renew(later)
    assert await renewal.renewed(later) == first
    latest = replace(bbs, clock=lambda: LAST_WEEK + timedelta(weeks=3))
    await add_key(latest, KeyKind.BLS12381_G2, monkeypatch, 4)
    (second,) = await renewal.renew(latest)
    assert await renewal.renewed(latest) == [second]
    assert (second.row, second.credential_id == first[0].credential_id) == ("s1", False)
    over = replace(bbs, clock=lambda: LAST_WEEK + timedelta(weeks=9))
    assert await renewal.renewed(over) == []


async def test_keys_that_were_retired_renew_nothing_by_themselves(
    bbs: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(bbs, make_cohort, ("s1", ALICE, "90"))
    async with bbs.store.transaction() as transaction:
        key = await bbs.active_key(transaction, {KeyKind.BLS12381_G2})
        await transaction.keys.move(key.multibase, KeyState.RETIRING)
    with pytest.raises(Exception, match="none is active"):
        await renewal.renew(replace(bbs, clock=lambda: LAST_WEEK))
