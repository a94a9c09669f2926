"""Stolen, retired and lost keys, and schools that would rather not have signed: blocks decide, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fixtures.own_chain import Employer, OwnChain, School
from fixtures.verification import LIST_URL, public

from node.core.evm import registry
from node.core.evm.registry import KeyWindow
from node.core.verify.policy import STRICT
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report

DISPUTE = replace(STRICT, compromise="dispute")
LATER = 40  # blocks


def key_of(report: Report) -> tuple[Outcome, Reason | None]:
    return report[CheckName.KEY].outcome, report[CheckName.KEY].reason


def window(school: School) -> KeyWindow:
    slot = registry.key_slot(school.identity, public(school.key).multicodec_bytes)
    return KeyWindow.from_word(school.chain.word(slot))


@pytest.mark.parametrize("order", ["anchored first", "retired first"])
def test_a_key_retired_in_the_block_of_the_anchor_is_retired(
    own_chain: OwnChain, school: School, order: str
) -> None:
    """Within a block the order is whoever builds it to choose."""
    made = school.badge()
    retiring = (own_chain.calls.retire_key(school.identity, school.multikey), school.owner)
    both = [school.anchoring(made), retiring]
    at = own_chain.block(*(both if order == "anchored first" else reversed(both)))
    report = Employer(school, [at]).judge(school.bundle(made, at))
    assert key_of(report) == (Outcome.FAILED, Reason.KEY_RETIRED)
    assert report.acceptance is Acceptance.REFUSED


def test_a_key_retired_in_the_block_after_the_anchor_was_open(own_chain: OwnChain, school: School) -> None:
    made = school.anchored()
    at = own_chain.block((own_chain.calls.retire_key(school.identity, school.multikey), school.owner))
    assert key_of(Employer(school, [at]).judge(school.bundle(made, at))) == (Outcome.PASSED, None)


def test_a_key_added_in_the_block_of_the_anchor_counts_and_one_added_after_it_does_not(
    own_chain: OwnChain,
) -> None:
    for together in (True, False):
        school = School(own_chain)
        made = school.badge()
        calls = own_chain.calls
        adding = (calls.add_key(school.identity, school.multikey, 1), school.owner)
        anchoring = (calls.anchor(school.identity, made.commitment), school.owner)
        opening = (school.opening("revocation", LIST_URL, registry.MODE_OR_ONLY), school.owner)
        if together:
            at = own_chain.block(anchoring, adding, opening)
        else:
            own_chain.block(anchoring, opening)
            at = own_chain.block(adding)
        expected = (Outcome.PASSED, None) if together else (Outcome.FAILED, Reason.KEY_NOT_YET_VALID)
        assert key_of(Employer(school, [at]).judge(school.bundle(made, at))) == expected


def test_a_stolen_key_dates_nothing_back_by_what_it_writes_into_created_and_valid_from(
    own_chain: OwnChain, school: School
) -> None:
    """The key was retired; who has it signs with dates from when it was good, and a stolen writer's key anchors."""
    own_chain.block((own_chain.calls.retire_key(school.identity, school.multikey), school.owner))
    own_chain.blocks(2)
    long_ago = "2020-01-01T00:00:00Z"
    forged = school.badge(lambda document: document.update(validFrom=long_ago), created=long_ago)
    unsent = own_chain.head
    unanchored = Employer(school, [unsent]).judge(school.bundle(forged, unsent))
    assert unanchored[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED
    at = own_chain.block(school.anchoring(forged))
    for claimed in (at.number, 1):
        report = Employer(school, [at]).judge(school.bundle(forged, at, claimed=claimed))
        assert report[CheckName.PROOF].outcome is Outcome.PASSED
        assert key_of(report) == (Outcome.FAILED, Reason.KEY_RETIRED)


def test_a_retired_key_is_never_opened_again(own_chain: OwnChain, school: School) -> None:
    calls, me = own_chain.calls, school.identity
    own_chain.block((calls.retire_key(me, school.multikey), school.owner))
    assert own_chain.attempt((calls.add_key(me, school.multikey, 1), school.owner))[1] == [False]


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (-1, (Outcome.FAILED, Reason.KEY_COMPROMISED)),
        (0, (Outcome.FAILED, Reason.KEY_COMPROMISED)),
        (1, (Outcome.PASSED, None)),
    ],
    ids=["before the anchor", "at the anchor", "after the anchor"],
)
def test_a_key_compromised_since(
    own_chain: OwnChain, school: School, since: int, expected: tuple[Outcome, Reason | None]
) -> None:
    own_chain.blocks(1)
    made = school.anchored()
    since += own_chain.head.number
    own_chain.blocks(2)
    at = own_chain.block(
        (own_chain.calls.compromise_key(school.identity, school.multikey, since), school.owner)
    )
    for employer in (Employer(school, [at]), Employer(school, final=at)):
        assert key_of(employer.judge(school.bundle(made, at))) == expected


def declared_late(own_chain: OwnChain, school: School) -> tuple[dict[str, object], dict[str, object]]:
    """A badge with the bundle from before a declaration that reaches back before it, and the one from after."""
    made = school.anchored()
    before = school.bundle(made, own_chain.head)
    since = own_chain.head.number
    own_chain.blocks(LATER)
    own_chain.block((own_chain.calls.compromise_key(school.identity, school.multikey, since), school.owner))
    return before, school.bundle(made, own_chain.head)


def test_a_compromise_declared_late_reaches_back_and_tells_both_blocks(
    own_chain: OwnChain, school: School
) -> None:
    before, after = declared_late(own_chain, school)
    at = own_chain.head
    report = Employer(school, [at]).judge(after)
    assert key_of(report) == (Outcome.FAILED, Reason.KEY_COMPROMISED)
    basis = report[CheckName.KEY].basis
    assert f"since block {window(school).compromised_since}" in basis
    assert f"declared in block {at.number}" in basis
    # The bundle from before hides it from nobody who can ask, and from others for as long as it is fresh.
    assert key_of(Employer(school, final=at).judge(before))[1] is Reason.KEY_COMPROMISED
    stale = Employer(school, [own_chain.header(at.number - LATER - 1)], policy=STRICT.limited_to(60))
    report = stale.judge(before)
    assert report[CheckName.FRESHNESS].reason is Reason.STALE
    assert report.acceptance is Acceptance.UNDETERMINED


def test_a_school_that_declares_late_to_be_rid_of_a_badge_meets_the_policy_dispute(
    own_chain: OwnChain, school: School
) -> None:
    """Undetermined, for a person to look at: neither a theft nor a change of mind can be told from blocks."""
    _, after = declared_late(own_chain, school)
    at = own_chain.head
    report = Employer(school, [at], policy=DISPUTE).judge(after)
    assert key_of(report) == (Outcome.UNKNOWN, Reason.KEY_DISPUTED)
    assert report.acceptance is Acceptance.UNDETERMINED


def test_what_a_stolen_key_signs_after_the_declaration_is_under_no_dispute(
    own_chain: OwnChain, school: School
) -> None:
    me = school.identity
    own_chain.block(
        (own_chain.calls.compromise_key(me, school.multikey, own_chain.head.number), school.owner)
    )
    forged = school.anchored()
    at = own_chain.head
    report = Employer(school, [at], policy=DISPUTE).judge(school.bundle(forged, at))
    assert key_of(report) == (Outcome.FAILED, Reason.KEY_COMPROMISED)


def test_a_declaration_is_never_taken_back_nor_moved_later(own_chain: OwnChain, school: School) -> None:
    since = own_chain.head.number
    own_chain.blocks(2)
    calls, me = own_chain.calls, school.identity
    own_chain.block((calls.compromise_key(me, school.multikey, since), school.owner))
    for later in (since + 1, since, 0):
        sent = (calls.compromise_key(me, school.multikey, later), school.owner)
        assert own_chain.attempt(sent)[1] == [False]
    assert window(school).compromised_since == since


def test_a_key_for_status_lists_signs_no_credentials(own_chain: OwnChain) -> None:
    school = School(own_chain)
    calls, me = own_chain.calls, school.identity
    made = school.badge()
    at = own_chain.block(
        (calls.add_key(me, school.multikey, 2), school.owner),
        (calls.anchor(me, made.commitment), school.owner),
    )
    assert key_of(Employer(school, [at]).judge(school.bundle(made, at)))[1] is Reason.KEY_PURPOSE


def test_a_key_that_nobody_registered_signs_no_credentials_though_the_bundle_brings_it(
    own_chain: OwnChain, school: School
) -> None:
    """The writer's key is stolen, the signing key is not: what the thief signs himself can be anchored."""
    thief = School(own_chain, "thief", owner=school.owner, writer=school.writer)
    forged = thief.anchored()
    at = own_chain.head
    for employer in (Employer(thief, [at]), Employer(thief, final=at)):
        report = employer.judge(thief.bundle(forged, at))
        assert report[CheckName.ANCHOR].outcome is Outcome.PASSED
        assert key_of(report) == (Outcome.FAILED, Reason.KEY_NOT_REGISTERED)
        assert report.acceptance is Acceptance.REFUSED


def test_an_endpoint_that_lags_behind_a_sound_badge_does_not_refuse_it(own_chain: OwnChain) -> None:
    """Key and anchor are younger than its newest block: neither is held against the badge, and it is not accepted."""
    behind = own_chain.head
    school = School(own_chain)
    school.begin()
    made = school.anchored()
    report = Employer(school, final=behind).judge(school.bundle(made, own_chain.head))
    assert report[CheckName.ANCHOR].outcome is Outcome.UNKNOWN
    assert key_of(report) == (Outcome.UNKNOWN, Reason.STATE_NOT_PROVEN)
    assert report.acceptance is Acceptance.UNDETERMINED


def test_a_claim_to_be_anchored_in_a_block_to_come_makes_nothing_accepted(
    own_chain: OwnChain, school: School
) -> None:
    thief = School(own_chain, "thief", owner=school.owner, writer=school.writer)
    forged, at = thief.badge(), own_chain.head
    for employer in (Employer(thief, [at]), Employer(thief, final=at)):
        report = employer.judge(thief.bundle(forged, at, claimed=at.number + 1))
        assert report.acceptance is not Acceptance.ACCEPTED
        assert key_of(report)[0] is Outcome.UNKNOWN
