"""Every form of a badge: kept, shown in a file to one verifier, accepted by that one and by no other."""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

import pytest
from fixtures.held import NAME, Form, as_cose, as_jwt_1_1, ecdsa_sd, forms, held, sd_jwt, sd_jwt_vc
from fixtures.sd_jwt import badge_sd_jwt
from fixtures.verification import CHALLENGE, DOMAIN, NOW, Signatory, Story, as_jwt, of_key_school, standards
from fixtures.wallets import LEARNER_KEY

from node.core.errors import Malformed, NotFound
from node.core.keys import KeyKind
from node.core.verify.report import CheckName, Outcome, Report
from wallet.arrivals import Became, Importer
from wallet.check import Checker
from wallet.disclose import named_places
from wallet.holder_keys import make_key
from wallet.holdings import Holding
from wallet.presentation import (
    Showing,
    bundles_of,
    check_together,
    disclosed,
    for_a_file,
    holder_of,
    presentation_file,
)
from wallet.store import WalletStore
from wallet.words import disclosed_lines

FORMS = forms()
every_form = pytest.mark.parametrize("form", FORMS.values(), ids=list(FORMS))
# A credential of bbs-2023 alone is held by whoever has it; VC-JWT of version 1.1 has no status that could be shown.
PASSED_BY_ITSELF = (CheckName.CHALLENGE, CheckName.DOMAIN)


def showing(holding: Holding, *names: str) -> Showing:
    places = named_places(holding.choices, names, holding.document)
    (one,) = for_a_file([Showing(holding, selection=places)])
    return one


def file_for(showings: list[Showing], challenge: str = CHALLENGE, domain: str = DOMAIN) -> bytes:
    body = presentation_file(
        [LEARNER_KEY],
        showings,
        standards().canonicalizer,
        secrets.token_bytes,
        challenge=challenge,
        domain=domain,
        now=NOW,
    )
    return json.dumps(body).encode()


@every_form
async def test_it_is_kept_as_it_was_issued_and_judged_as_others_will_judge_it(
    store: WalletStore, form: Form
) -> None:
    holding = held(form.story)
    checker = Checker(form.story.verifier(), clock=lambda: NOW)
    data = (
        json.dumps(holding.full_bundle().to_json())
        if holding.bundle
        else holding.credential
        if isinstance(holding.credential, str)
        else json.dumps(holding.credential)
    )
    (taken,) = await Importer(store, checker, now=NOW).take([("badge", data.encode())])
    assert taken.became is Became.KEPT
    assert taken.report is not None
    assert taken.report.acceptance == "accepted"
    (kept,) = store.holdings()
    assert kept.credential == form.story.issued()
    assert kept.bundle == holding.bundle
    assert kept.issuer_id == form.story.issuer.did


@every_form
def test_a_file_is_accepted_by_the_verifier_it_was_made_for(form: Form) -> None:
    one = showing(held(form.story), *form.chosen)
    report = form.story.judge(file_for([one]))
    assert report.acceptance == "accepted", report.to_json()
    assert report[CheckName.CHALLENGE].outcome is Outcome.PASSED
    assert report[CheckName.DOMAIN].outcome is Outcome.PASSED
    bound = Outcome.UNKNOWN if form.by_itself else Outcome.PASSED
    assert report[CheckName.HOLDER_BINDING].outcome is bound


@every_form
@pytest.mark.parametrize("other", [{"challenge": "another-challenge"}, {"domain": "https://other.example"}])
def test_a_file_for_somebody_else_is_refused(form: Form, other: dict[str, str]) -> None:
    report = form.story.judge(file_for([showing(held(form.story), *form.chosen)], **other))
    assert report.acceptance == "refused"


def documents(report: Report) -> list[dict[str, Any]]:
    return [one.document or {} for one in report.credentials or (report,)]


def leaves(value: Any) -> set[str]:
    if isinstance(value, dict):
        return {
            leaf
            for name, inner in value.items()
            if name not in ("@context", "proof")
            for leaf in leaves(inner)
        }
    if isinstance(value, list):
        return {leaf for inner in value for leaf in leaves(inner)}
    return {str(value)}


@every_form
def test_the_record_says_exactly_what_was_shown(form: Form) -> None:
    holding = held(form.story)
    one = showing(holding, *form.chosen)
    record = disclosed(one, with_bundle=False)
    assert set(record.claims) >= {*form.chosen}
    revealed = holding.choices.reveal(one.chosen)
    hidden = [place for place in holding.choices.places if place not in revealed]
    (document,) = documents(form.story.judge(file_for([one])))
    seen = leaves(document)
    for place in revealed:
        if place[0] not in ("cnf", "exp", "iss", "iat"):
            assert str(at(holding, place)) in seen, place
    shown_values = {str(at(holding, place)) for place in revealed}
    for place in hidden:
        value = str(at(holding, place))
        assert value in shown_values or value not in seen, place
    assert bool(record.hidden) == bool(hidden)


def at(holding: Holding, place: tuple[str | int, ...]) -> Any:
    value: Any = holding.document
    for step in place:
        value = value[step] if not isinstance(value, dict) or step in value else None
    return value


@pytest.mark.parametrize("name", ["ecdsa-sd-2023", "vc+sd-jwt"])
def test_of_an_anchored_badge_a_name_and_one_result_are_shown_and_anchor_key_and_status_still_pass(
    name: str,
) -> None:
    story = FORMS[name].story
    holding = held(story)
    one = showing(holding, "credentialSubject.achievement.name", "/credentialSubject/result/1/value")
    report = story.judge(file_for([one]))
    assert report.acceptance == "accepted"
    passed = (CheckName.ANCHOR, CheckName.KEY, CheckName.STATUS, CheckName.HOLDER_BINDING)
    assert {report[check].outcome for check in passed} == {Outcome.PASSED}
    (document,) = documents(report)
    shown_results = [one["value"] for one in document["credentialSubject"]["result"] if "value" in one]
    assert shown_results == ["71"]
    assert "criteria" not in document["credentialSubject"]["achievement"]
    record = disclosed(one, with_bundle=True)
    assert "credentialSubject.result[1].value" in record.hidden
    assert "credentialSubject.result[2].value" in record.claims


def test_two_files_with_one_unlinkable_badge_share_nothing_that_is_the_holders() -> None:
    story = FORMS["bbs-2023 on a chain"].story
    one = showing(held(story), *FORMS["bbs-2023"].chosen)
    first, second = (
        json.loads(file_for([one], challenge=text)) for text in ("first-challenge", "second-one")
    )
    assert LEARNER_KEY.did not in json.dumps(first)
    assert "anchor" not in first
    assert "evidence" not in first
    credential, other = first.pop("credential"), second.pop("credential")
    assert first == second, "the bundle proves the issuer's key, and is the same for all"
    values = [one.pop("proof")[0].pop("proofValue") for one in (credential, other)]
    assert values[0] != values[1]
    assert not disclosed(one, with_bundle=True).linkable


def test_beside_an_unlinkable_badge_no_anchor_and_no_evidence_travel() -> None:
    """An issuer that gave them all the same must not make its learners known by them."""
    story = FORMS["bbs-2023 on a chain"].story
    holding = held(story)
    bundle = replace(story, show=(0, 1)).bundle(story.issued())
    assert bundle.anchor is not None
    assert bundle.evidence
    loose = replace(holding, bundle=replace(bundle, credential=None, credential_digest=holding.digest))
    (beside,) = bundles_of([Showing(loose)], [loose.credential])
    assert beside.anchor is None
    assert beside.evidence == ()
    assert beside.key is not None


def test_each_proof_for_an_occasion_is_made_with_new_randomness() -> None:
    one = showing(held(FORMS["bbs-2023"].story), NAME)
    first, second = (json.loads(file_for([one]))["proof"] for _ in range(2))
    assert first != second, "for the same verifier, of the same claims"


def test_several_are_shown_together_in_one_presentation() -> None:
    stories = [of_key_school(token=make, show=()) for make in (None, as_jwt, as_cose, badge_sd_jwt())]
    report = stories[0].judge(file_for([*for_a_file([Showing(held(one)) for one in stories])]))
    assert report.acceptance == "accepted"
    assert len(report.credentials) == 4


@pytest.mark.parametrize(
    "story", [sd_jwt_vc(), of_key_school(token=as_jwt_1_1)], ids=["dc+sd-jwt", "VC-JWT 1.1"]
)
def test_what_stands_in_no_presentation_of_version_2_is_shown_by_itself(story: Story) -> None:
    showings = [Showing(held(one)) for one in (of_key_school(show=()), story)]
    with pytest.raises(Malformed, match="by itself"):
        file_for(showings)
    check_together([LEARNER_KEY], showings[1:])
    with pytest.raises(Malformed, match="by itself"):
        check_together([LEARNER_KEY], showings)


def test_beside_others_an_unlinkable_badge_is_said_to_be_linked_by_the_did_that_signs() -> None:
    of_bbs, whole = held(FORMS["bbs-2023"].story), held(of_key_school(show=()))
    for showings, linked in (([of_bbs], False), ([of_bbs, whole], True)):
        first = disclosed(for_a_file([Showing(one) for one in showings])[0], with_bundle=True)
        assert (first.linked_by_holder, first.linkable) == (linked, linked)
        assert any("your DID signs around it" in line for line in disclosed_lines([first])) is linked
    (alone,) = for_a_file([Showing(whole)])
    assert not disclosed(alone, with_bundle=True).linked_by_holder


def test_of_keys_that_differ_no_presentation_is_made() -> None:
    other = make_key(KeyKind.P256, lambda count: b"\x07" * count, NOW)
    stories = [of_key_school(write=for_(did)) for did in (LEARNER_KEY.did, other.did)]
    with pytest.raises(NotFound, match="different keys"):
        presentation_file(
            [LEARNER_KEY, other],
            [Showing(held(one)) for one in stories],
            standards().canonicalizer,
            secrets.token_bytes,
            challenge=CHALLENGE,
            domain=DOMAIN,
            now=NOW,
        )


def for_(did: str) -> Any:
    def write(document: dict[str, Any]) -> None:
        del document["credentialStatus"]
        document["credentialSubject"]["id"] = did

    return write


@pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "ecdsa-sd-2023"])
def test_a_key_on_p_256_presents_what_was_made_out_to_it(suite: str) -> None:
    key = make_key(KeyKind.P256, lambda count: b"\x07" * count, NOW)
    base = of_key_school() if suite == "eddsa-jcs-2022" else ecdsa_sd()

    def write(document: dict[str, Any]) -> None:
        base.write(document)
        document["credentialSubject"]["id"] = key.did

    story = replace(base, write=write)
    body = presentation_file(
        [LEARNER_KEY, key],
        [showing(held(story), NAME)],
        standards().canonicalizer,
        secrets.token_bytes,
        challenge=CHALLENGE,
        domain=DOMAIN,
        now=NOW,
    )
    assert body["presentation"]["proof"][0]["cryptosuite"] == "ecdsa-rdfc-2019"
    assert story.judge(json.dumps(body).encode()).acceptance == "accepted"


def test_a_key_binding_is_made_with_the_key_that_the_issuer_named() -> None:
    key = make_key(KeyKind.P256, lambda count: b"\x07" * count, NOW)
    story = sd_jwt(token=badge_sd_jwt(holder=Signatory(key.did, "key", key)))  # type: ignore[arg-type]
    holding = held(story)
    assert holder_of(holding, [LEARNER_KEY, key]) == key
    with pytest.raises(NotFound, match="not in this wallet"):
        holder_of(holding, [LEARNER_KEY])
