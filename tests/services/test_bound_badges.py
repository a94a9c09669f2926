"""bbs-2023 bound to secrets of its holder: committed to at the claim, kept by what it is renewed with."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fixtures.issuers import ALICE, URL, MakeCohort
from services.test_renewal import LAST_WEEK, bbs, in_last_week

from node.core.dataintegrity import proofs_of
from node.core.dataintegrity.bbs_2023 import Bbs2023, BoundHolder, Feature, parse_base_proof
from node.core.dataintegrity.bbs_binding import Binding, Bound, bind
from node.core.dataintegrity.suites import unsecured
from node.core.did.key import did_key_of
from node.core.errors import NotVerified, Refused
from node.core.keys import KeyKind, Signer
from node.core.oid4vci import errors as codes
from node.core.oid4vci.credential_request import CredentialRequest, parse_credential_request
from node.core.oid4vci.credential_response import Deferred, Issued
from node.core.oid4vci.key_proof import prepare_jwt_proof
from node.core.oid4vci.metadata import COMMITMENT, parse_issuer_metadata
from node.core.oid4vci.token import TokenRequest
from node.core.securing import BBS
from node.core.strict_json import JsonObject
from node.keystore import generate_secret, signer_of
from node.services import issuance, offering, offers, renewal
from node.services.faults import InputFaults
from node.services.issuer import Issuer
from node.services.offers import OfferDesk
from node.services.preparing import Terms
from node.storage.protocols.credentials import CredentialState
from node.storage.protocols.offers import AccessToken

__all__ = ["bbs"]
PLAIN: dict[str, Any] = {"evidence": None, "validDays": None, "with_evidence": False}
WANTED = {
    Binding.HOLDER: {"holderBinding": True},
    Binding.PSEUDONYM: {"pseudonyms": True},
    Binding.BOTH: {"holderBinding": True, "pseudonyms": True},
}
BOUND = {binding: bind(binding, bytes([number] * 32)) for number, binding in enumerate(Binding, 1)}


@pytest.fixture(scope="module")
def learner() -> Signer:
    return signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))


class Desk:
    """One badge on its way to a wallet; `learner` proves the key."""

    def __init__(self, issuer: Issuer, token: AccessToken, name: str, learner: Signer) -> None:
        self.issuer, self.token, self.name, self.learner = issuer, token, name, learner

    async def claim(self, commitment: bytes = b"", *, issuer: Issuer | None = None) -> Issued | Deferred:
        desk = OfferDesk(issuer or self.issuer, URL)
        prepared = prepare_jwt_proof(
            self.learner.public_key,
            credential_issuer=URL,
            nonce=await desk.new_nonce(),
            now=desk.issuer.clock(),
        )
        proof = prepared.finish(self.learner.sign(prepared.message))
        request = CredentialRequest(self.name, None, "jwt", (proof,), commitment)
        return await desk.claim(self.token, parse_credential_request(request.to_json()))


async def offered(
    issuer: Issuer, make_cohort: MakeCohort, learner: Signer, binding: Binding | None, did: str = ""
) -> Desk:
    wanted = WANTED[binding] if binding else {}
    cohort = make_cohort(("s1", did, "90"), **PLAIN, **wanted)
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms(BBS)))
    (issued,) = await issuance.results(issuer, cohort)
    assert issued.state is CredentialState.WAITING
    (made,) = await offering.offer(issuer, [issued], bearer=False)
    return await redeemed(issuer, made.page, learner)


async def redeemed(issuer: Issuer, page: str, learner: Signer) -> Desk:
    desk = OfferDesk(issuer, URL)
    offer = (await desk.view(page.rpartition("/")[2])).offer
    token = await desk.redeem(TokenRequest(offer.pre_authorized_code or ""))
    return Desk(issuer, await desk.admit(token.access_token), offer.configuration_ids[0], learner)


def badge_in(answer: Issued | Deferred) -> JsonObject:
    assert isinstance(answer, Issued)
    credential = answer.items[0].credential
    assert isinstance(credential, dict)
    return credential


async def check(issuer: Issuer, badge: JsonObject, holder: BoundHolder) -> None:
    key = await issuer.signing_key(kinds={KeyKind.BLS12381_G2})
    (proof,) = proofs_of(badge)
    Bbs2023().verify_base(
        unsecured(badge), proof, key.signer.public_key, issuer.standards.canonicalizer, holder=holder
    )


def entropy_in(badge: JsonObject) -> int | None:
    return parse_base_proof(proofs_of(badge)[0]).signer_nym_entropy


@pytest.mark.parametrize("binding", Binding)
async def test_a_badge_is_signed_at_its_claim_over_what_its_holder_committed_to(
    bbs: Issuer, make_cohort: MakeCohort, learner: Signer, binding: Binding
) -> None:
    desk = await offered(bbs, make_cohort, learner, binding)
    badge = badge_in(await desk.claim(BOUND[binding].commitment_with_proof))
    feature = parse_base_proof(proofs_of(badge)[0]).feature
    assert feature is (Feature.PSEUDONYM if binding.has_pseudonyms else Feature.ANONYMOUS_HOLDER_BINDING)
    await check(bbs, badge, BOUND[binding].holder)
    with pytest.raises(NotVerified):
        await check(bbs, badge, bind(binding, bytes(32)).holder)


async def test_a_row_that_names_its_holder_waits_for_his_secret_too(
    bbs: Issuer, make_cohort: MakeCohort, learner: Signer
) -> None:
    desk = await offered(bbs, make_cohort, learner, Binding.HOLDER, did_key_of(learner.public_key))
    made = BOUND[Binding.HOLDER]
    await check(bbs, badge_in(await desk.claim(made.commitment_with_proof)), made.holder)


async def test_of_a_row_that_names_its_holder_nobody_else_gets_it(
    bbs: Issuer, make_cohort: MakeCohort, learner: Signer
) -> None:
    desk = await offered(bbs, make_cohort, learner, Binding.HOLDER, ALICE)
    with pytest.raises(Refused, match="another key"):
        await desk.claim(BOUND[Binding.HOLDER].commitment_with_proof)


async def test_metadata_say_what_a_request_has_to_bring(bbs: Issuer) -> None:
    metadata = parse_issuer_metadata((await offers.issuer_metadata(bbs, URL)).to_json(), URL)
    found = {one.binding: one for one in metadata.configurations.values() if one.binding}
    assert set(found) == set(Binding)
    for binding, one in found.items():
        assert one.id == f"OpenBadgeCredential.bbs-2023.{binding}"
        assert one.to_json()[COMMITMENT] == binding


@pytest.mark.parametrize(
    ("commitment", "words"),
    [
        (b"", f"bound to a secret of its holder's .*: {COMMITMENT} is missing"),
        (BOUND[Binding.HOLDER].commitment_with_proof, "proof does not hold"),
        (BOUND[Binding.BOTH].commitment_with_proof, "commits to 1 secrets, not 2"),
        (b"\xc0" + bytes(111), COMMITMENT),
        (BOUND[Binding.PSEUDONYM].commitment_with_proof[:-1], COMMITMENT),
    ],
    ids=["none", "of another kind", "to more", "to nothing", "cut off"],
)
async def test_who_does_not_commit_to_what_is_asked_is_told_so_and_gets_nothing(
    bbs: Issuer, make_cohort: MakeCohort, learner: Signer, commitment: bytes, words: str
) -> None:
    desk = await offered(bbs, make_cohort, learner, Binding.PSEUDONYM)
    with pytest.raises(Refused, match=words) as caught:
        await desk.claim(commitment)
    assert caught.value.code == codes.INVALID_CREDENTIAL_REQUEST
    async with bbs.store.reading() as reading:
        assert (await reading.credentials.counts())[CredentialState.WAITING] == 1
    assert isinstance(await desk.claim(BOUND[Binding.PSEUDONYM].commitment_with_proof), Issued)


async def test_what_is_bound_to_no_secret_takes_no_commitment(
    bbs: Issuer, make_cohort: MakeCohort, learner: Signer
) -> None:
    desk = await offered(bbs, make_cohort, learner, None)
    with pytest.raises(Refused, match="bound to no secret"):
        await desk.claim(BOUND[Binding.HOLDER].commitment_with_proof)


async def test_claimed_again_with_another_commitment_it_is_the_first(
    bbs: Issuer, make_cohort: MakeCohort, learner: Signer
) -> None:
    desk = await offered(bbs, make_cohort, learner, Binding.BOTH)
    first = badge_in(await desk.claim(BOUND[Binding.BOTH].commitment_with_proof))
    again = badge_in(await desk.claim(bind(Binding.BOTH, bytes(32)).commitment_with_proof))
    assert again == first


async def test_a_claim_that_is_deferred_keeps_its_commitment(
    bbs: Issuer, make_cohort: MakeCohort, learner: Signer
) -> None:
    made = BOUND[Binding.BOTH]
    desk = await offered(bbs, make_cohort, learner, Binding.BOTH)
    # The key of the week is not there yet.
    answer = await desk.claim(made.commitment_with_proof, issuer=replace(bbs, clock=lambda: LAST_WEEK))
    assert isinstance(answer, Deferred)
    badge = badge_in(await OfferDesk(bbs, URL).claim_deferred(desk.token, answer.transaction_id))
    await check(bbs, badge, made.holder)


@pytest.mark.parametrize("binding", [Binding.HOLDER, Binding.BOTH])
async def test_what_is_renewed_is_bound_to_the_same_secrets_under_the_same_names(
    bbs: Issuer,
    make_cohort: MakeCohort,
    learner: Signer,
    monkeypatch: pytest.MonkeyPatch,
    binding: Binding,
) -> None:
    made: Bound = BOUND[binding]
    desk = await offered(bbs, make_cohort, learner, binding)
    first = badge_in(await desk.claim(made.commitment_with_proof))
    later = await in_last_week(bbs, monkeypatch)
    (renewed,) = await renewal.renew(later)
    assert renewed.state is CredentialState.SIGNED
    second = badge_in(await desk.claim(made.commitment_with_proof, issuer=later))
    assert second["validUntil"] > first["validUntil"]
    assert entropy_in(second) == entropy_in(first)
    await check(later, second, made.holder)
    # By a new link too, when the first token is over.
    (link,) = await offering.offer(later, [renewed], bearer=True)
    again = await redeemed(later, link.page, learner)
    assert again.name == desk.name
    assert badge_in(await again.claim(bind(binding, bytes(32)).commitment_with_proof)) == second


@pytest.mark.parametrize(
    ("template", "terms", "words"),
    [
        ({"holderBinding": True}, Terms("eddsa-rdfc-2022"), "only bbs-2023 binds"),
        ({"pseudonyms": True}, Terms("vc+sd-jwt"), "only bbs-2023 binds"),
        ({"holderBinding": "yes"}, Terms(BBS), "must be true or false"),
        ({"holderBinding": True}, Terms(BBS, bearer=True), "without --bearer"),
    ],
    ids=str,
)
async def test_a_template_that_binds_what_cannot_be_bound_is_refused(
    bbs: Issuer, make_cohort: MakeCohort, template: dict[str, Any], terms: Terms, words: str
) -> None:
    with pytest.raises(InputFaults, match=words):
        await issuance.plan(bbs, make_cohort(("s1", "", "90"), **PLAIN, **template), terms)
