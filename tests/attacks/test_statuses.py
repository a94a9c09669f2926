"""Revoked and suspended badges that would rather not be: lists, stale proofs, and lists behind URLs."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.own_chain import Employer, OwnChain, School, with_status
from fixtures.verification import LIST_URL, entry

from node.core.evm import registry
from node.core.evm.header import Header
from node.core.times import from_unix
from node.core.verify.materials import Mode, StatusListNeed
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report

Json = dict[str, Any]
OTHER_URL = "https://school.example/status/9"
DAY = 86_400


def status_of(report: Report) -> tuple[Outcome, Reason | None]:
    return report[CheckName.STATUS].outcome, report[CheckName.STATUS].reason


def entered(*found: Json) -> Any:
    """Write these status entries."""

    def write(document: Json) -> None:
        document["credentialStatus"] = found[0] if len(found) == 1 else list(found)

    return write


def judged(school: School, found: Json) -> Report:
    """The report on a badge with this status entry, as a checkpoint file has it judged."""
    made = school.anchored(entered(found))
    at = school.chain.head
    return Employer(school, [at]).judge(school.bundle(made, at))


# Lists that are not what the entry says ---------------------------------------------------------------------


def test_a_list_that_was_never_opened_revokes_nobody_and_clears_nobody(school: School) -> None:
    report = judged(school, entry(url=OTHER_URL))
    assert status_of(report) == (Outcome.UNKNOWN, Reason.STATUS_LIST_UNKNOWN)
    assert report.acceptance is Acceptance.UNDETERMINED


def test_words_of_a_list_that_was_never_opened_cannot_be_written(own_chain: OwnChain, school: School) -> None:
    assert own_chain.attempt(school.setting(entry(url=OTHER_URL)))[1] == [False]


def test_a_list_of_the_wrong_mode_is_not_read(own_chain: OwnChain, school: School) -> None:
    """A revocation that its school could take back: the badge does not read as not revoked."""
    own_chain.block((school.opening("revocation", OTHER_URL, registry.MODE_SETTABLE), school.owner))
    assert status_of(judged(school, entry(url=OTHER_URL))) == (Outcome.UNKNOWN, Reason.STATUS_LIST_UNKNOWN)


def test_a_list_opened_once_is_not_opened_again_in_another_mode(own_chain: OwnChain, school: School) -> None:
    call = school.opening("revocation", LIST_URL, registry.MODE_SETTABLE)
    assert own_chain.attempt((call, school.owner))[1] == [False]


def test_an_index_beyond_the_list_fails_and_cannot_be_written(own_chain: OwnChain, school: School) -> None:
    beyond = entry(index=1 << 17)
    assert own_chain.attempt(school.setting(beyond))[1] == [False]
    report = judged(school, beyond)
    assert status_of(report) == (Outcome.FAILED, Reason.STATUS_OUT_OF_RANGE)
    assert report.acceptance is Acceptance.REFUSED
    assert status_of(judged(school, entry(index=(1 << 17) - 1))) == (Outcome.PASSED, None)


def test_one_url_for_two_purposes_is_two_lists(own_chain: OwnChain, school: School) -> None:
    """What is set for the one says nothing of the other, at the same index of the same URL."""
    own_chain.block((school.opening("suspension", LIST_URL, registry.MODE_SETTABLE), school.owner))
    revocation, suspension = entry("revocation", 5), entry("suspension", 5)
    own_chain.block(school.setting(suspension))
    assert status_of(judged(school, revocation)) == (Outcome.PASSED, None)
    assert status_of(judged(school, suspension)) == (Outcome.FAILED, Reason.SUSPENDED)
    own_chain.block(school.setting(revocation), school.setting(suspension, 0))
    assert status_of(judged(school, revocation)) == (Outcome.FAILED, Reason.REVOKED)
    assert status_of(judged(school, suspension)) == (Outcome.PASSED, None)


def test_one_url_for_two_purposes_of_which_one_was_opened_leaves_the_other_unknown(school: School) -> None:
    report = judged(school, entry("suspension", 5, LIST_URL))
    assert status_of(report) == (Outcome.UNKNOWN, Reason.STATUS_LIST_UNKNOWN)


def test_a_url_that_differs_in_a_letter_is_another_list(own_chain: OwnChain, school: School) -> None:
    own_chain.block(school.setting(entry(index=5)))
    report = judged(school, entry(index=5, url=LIST_URL + "/"))
    assert status_of(report) == (Outcome.UNKNOWN, Reason.STATUS_LIST_UNKNOWN)


# Proofs from before -----------------------------------------------------------------------------------------


def revoked_later(own_chain: OwnChain, school: School) -> tuple[Json, Any, Header, Header]:
    """The bundle from before a revocation, the badge, and the headers before and after."""
    made = school.anchored()
    before = own_chain.head
    shown = school.bundle(made, before)
    own_chain.seconds += 2 * DAY
    after = own_chain.block(school.setting(made.credential["credentialStatus"]))
    return shown, made, before, after


def test_a_stale_proof_hopped_to_a_fresh_header_is_as_stale_as_it_was(
    own_chain: OwnChain, school: School
) -> None:
    """EIP-2935 vouches for the old header by the new one; what the old one proves gets no younger by it."""
    _, made, before, after = revoked_later(own_chain, school)
    hopped = school.bundle(made, before, hop_to=after)
    report = Employer(school, [after]).judge(hopped)
    assert report[CheckName.HEADER].outcome is Outcome.PASSED
    assert f"through block {after.number}" in report[CheckName.HEADER].basis
    assert report[CheckName.FRESHNESS].reason is Reason.STALE
    assert "2 days ago" in report[CheckName.FRESHNESS].basis
    assert report.acceptance is Acceptance.UNDETERMINED
    # Asked for the time of the old one, it is what was true then.
    then = Employer(school, [after]).judge(hopped, as_of=from_unix(before.timestamp))
    assert then.acceptance is Acceptance.ACCEPTED
    assert status_of(Employer(school, final=after).judge(hopped)) == (Outcome.FAILED, Reason.REVOKED)


def test_a_hop_to_another_old_header_than_the_history_names_is_none(
    own_chain: OwnChain, school: School
) -> None:
    made = school.anchored()
    first, second = own_chain.head, own_chain.block()
    newest = own_chain.block()
    shown = school.bundle(made, first, hop_to=newest)
    other = school.bundle(made, second, hop_to=newest)
    shown["state"]["hop"]["nodes"] = other["state"]["hop"]["nodes"]
    report = Employer(school, [newest]).judge(shown)
    assert report.acceptance is not Acceptance.ACCEPTED
    assert report[CheckName.HEADER].outcome is Outcome.UNKNOWN


def test_a_bundle_from_before_the_revocation_is_stale_offline_and_overruled_with_an_endpoint(
    own_chain: OwnChain, school: School
) -> None:
    shown, _, before, after = revoked_later(own_chain, school)
    offline = Employer(school, [before]).judge(shown)
    assert offline[CheckName.FRESHNESS].reason is Reason.STALE
    assert offline.acceptance is Acceptance.UNDETERMINED
    assert status_of(Employer(school, final=after).judge(shown)) == (Outcome.FAILED, Reason.REVOKED)
    assert status_of(Employer(school, [before], final=after).judge(shown)) == (
        Outcome.FAILED,
        Reason.REVOKED,
    )


def test_an_endpoint_from_before_the_revocation_hides_nothing_that_the_bundle_shows(
    own_chain: OwnChain, school: School
) -> None:
    _, made, before, after = revoked_later(own_chain, school)
    report = Employer(school, [after], final=before).judge(school.bundle(made, after))
    assert status_of(report) == (Outcome.FAILED, Reason.REVOKED)


# Suspension, lifted again ------------------------------------------------------------------------------------


class Lifted:
    """A badge, and the headers before its suspension, while it holds, and when it is lifted."""

    def __init__(self, school: School) -> None:
        chain = school.chain
        self.school = school
        self.badge = school.anchored(with_status("revocation", "suspension"))
        _, suspension = self.badge.credential["credentialStatus"]
        self.before = chain.head
        self.suspended = chain.block(school.setting(suspension))
        self.lifted = chain.block(school.setting(suspension, 0))

    def judge(self, shown: Header, final: Header | None = None, **times: Any) -> Report:
        trusted = [self.before, self.suspended, self.lifted]
        employer = Employer(self.school, trusted, final)
        return employer.judge(self.school.bundle(self.badge, shown), **times)


@pytest.fixture
def lifted(school: School) -> Lifted:
    return Lifted(school)


SUSPENDED = (Outcome.FAILED, Reason.SUSPENDED)
WELL = (Outcome.PASSED, None)


def test_a_suspension_and_its_end_within_one_finality_window_are_told_by_what_is_final(
    lifted: Lifted,
) -> None:
    """All three blocks wait to be final; whoever asks gets the state of the one that is."""
    shown = lifted.before
    for final, expected in ((lifted.before, WELL), (lifted.suspended, SUSPENDED), (lifted.lifted, WELL)):
        assert status_of(lifted.judge(shown, final)) == expected


def test_a_stale_bundle_from_the_suspension_does_not_outlast_it(lifted: Lifted) -> None:
    assert status_of(lifted.judge(lifted.suspended)) == SUSPENDED
    assert status_of(lifted.judge(lifted.suspended, lifted.lifted)) == WELL
    assert lifted.judge(lifted.suspended, lifted.lifted).acceptance is Acceptance.ACCEPTED


def test_a_bundle_that_is_newer_than_the_endpoint_decides_either_way(lifted: Lifted) -> None:
    assert status_of(lifted.judge(lifted.lifted, lifted.suspended)) == WELL
    assert status_of(lifted.judge(lifted.suspended, lifted.before)) == SUSPENDED


def test_a_bundle_from_before_the_suspension_hides_it_from_nobody_who_asks(lifted: Lifted) -> None:
    assert status_of(lifted.judge(lifted.before, lifted.suspended)) == SUSPENDED


def test_what_a_suspension_was_between_two_final_blocks_is_not_guessed(lifted: Lifted) -> None:
    """Asked for the time of the suspension: neither the state before nor the one after tells it."""
    then = from_unix(lifted.suspended.timestamp)
    for shown, final in ((lifted.before, lifted.lifted), (lifted.lifted, None)):
        report = lifted.judge(shown, final, as_of=then)
        assert status_of(report) == (Outcome.UNKNOWN, Reason.STATUS_LATER)
        assert report.acceptance is Acceptance.UNDETERMINED
    assert status_of(lifted.judge(lifted.suspended, lifted.lifted, as_of=then)) == SUSPENDED


def test_a_revocation_set_and_cleared_in_one_block_stays(own_chain: OwnChain, school: School) -> None:
    """Mode 1: whoever holds the writer's key cannot take it back, in the same block or later."""
    made = school.anchored()
    found = made.credential["credentialStatus"]
    own_chain.attempt(school.setting(found), school.setting(found, 0))
    own_chain.attempt(school.setting(found, 0))
    at = own_chain.head
    assert status_of(Employer(school, [at]).judge(school.bundle(made, at))) == (
        Outcome.FAILED,
        Reason.REVOKED,
    )


# Lists behind URLs ------------------------------------------------------------------------------------------


def test_a_rolled_back_status_list_is_not_even_asked_for_where_the_chain_tells(
    own_chain: OwnChain, school: School
) -> None:
    """The host serves last week's list, properly signed, in which the badge is well: the slot decides."""
    made = school.anchored()
    at = own_chain.block(school.setting(made.credential["credentialStatus"]))
    employer = Employer(school, final=at, mode=Mode.FULL)
    assert status_of(employer.judge(school.bundle(made, at))) == (Outcome.FAILED, Reason.REVOKED)
    assert not [need for need in employer.needed if isinstance(need, StatusListNeed)]


def test_a_published_copy_of_a_list_is_read_by_no_verdict(own_chain: OwnChain, school: School) -> None:
    """Its pointer may be moved by a writer; words and their proofs stay as they are."""
    made = school.anchored()
    own_chain.block(school.setting(made.credential["credentialStatus"]))
    pointing = own_chain.calls.publish_list(
        school.identity, registry.list_id("revocation", LIST_URL), bytes(19) + b"\x09"
    )
    at = own_chain.block((pointing, school.owner))
    assert status_of(Employer(school, [at]).judge(school.bundle(made, at))) == (
        Outcome.FAILED,
        Reason.REVOKED,
    )
