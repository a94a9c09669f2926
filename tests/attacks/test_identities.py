"""Identities that were closed or changed hands, and who still writes in their name."""

from __future__ import annotations

import pytest
from fixtures.own_chain import EVER, ROLE_ANCHOR, Employer, OwnChain, School

from node.chain.transactions import address_of
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason


def test_an_identity_closed_before_the_anchor_anchors_nothing(own_chain: OwnChain, school: School) -> None:
    """The keys live on in somebody's hands; the contract refuses them, and the badge is refused."""
    own_chain.block((own_chain.calls.close(school.identity), school.owner))
    made = school.badge()
    for key in (school.writer, school.owner):
        call = own_chain.calls.anchor(school.identity, made.commitment)
        assert own_chain.attempt((call, key))[1] == [False]
    at = own_chain.head
    report = Employer(school, [at]).judge(school.bundle(made, at))
    assert report[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED
    assert report.acceptance is Acceptance.REFUSED


def test_an_identity_closed_in_the_block_of_the_anchor_refuses_it(
    own_chain: OwnChain, school: School
) -> None:
    made = school.badge()
    closing = (own_chain.calls.close(school.identity), school.owner)
    at = own_chain.block(school.anchoring(made), closing)
    assert school.block_of(made) == at.number
    report = Employer(school, [at]).judge(school.bundle(made, at))
    assert report[CheckName.ANCHOR].reason is Reason.IDENTITY_CLOSED
    assert report.acceptance is Acceptance.REFUSED


def test_an_identity_closed_after_the_anchor_leaves_its_badges_good_and_revocable(
    own_chain: OwnChain, school: School
) -> None:
    made = school.anchored()
    at = own_chain.block((own_chain.calls.close(school.identity), school.owner))
    assert Employer(school, [at]).judge(school.bundle(made, at)).acceptance is Acceptance.ACCEPTED
    at = own_chain.block(school.setting(made.credential["credentialStatus"]))
    assert Employer(school, [at]).judge(school.bundle(made, at))[CheckName.STATUS].reason is Reason.REVOKED


def test_a_closed_identity_gets_no_new_key(own_chain: OwnChain, school: School) -> None:
    own_chain.block((own_chain.calls.close(school.identity), school.owner))
    call = own_chain.calls.add_key(school.identity, b"\xed\x01" + bytes(32), 1)
    assert own_chain.attempt((call, school.owner))[1] == [False]


@pytest.fixture
def heir(own_chain: OwnChain, school: School) -> bytes:
    """The key of the school's new owner."""
    key = own_chain.new_key()
    own_chain.block((own_chain.did_calls.change_owner(school.identity, address_of(key)), school.owner))
    return key


def test_after_a_change_of_owner_the_old_writers_and_the_old_owner_anchor_nothing(
    own_chain: OwnChain, school: School, heir: bytes
) -> None:
    made = school.badge()
    call = own_chain.calls.anchor(school.identity, made.commitment)
    for key in (school.writer, school.owner):
        assert own_chain.attempt((call, key))[1] == [False]
    naming = own_chain.calls.set_writer(school.identity, address_of(school.writer), ROLE_ANCHOR, EVER)
    assert own_chain.attempt((naming, school.owner))[1] == [False]
    at = own_chain.head
    report = Employer(school, [at]).judge(school.bundle(made, at))
    assert report[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED
    own_chain.block((call, heir))
    at = own_chain.head
    assert Employer(school, [at]).judge(school.bundle(made, at)).acceptance is Acceptance.ACCEPTED


def test_after_a_change_of_owner_the_old_writers_unrevoke_and_suspend_nothing(
    own_chain: OwnChain, school: School
) -> None:
    made = school.anchored()
    key = own_chain.new_key()
    own_chain.block(
        school.setting(made.credential["credentialStatus"]),
        (own_chain.did_calls.change_owner(school.identity, address_of(key)), school.owner),
    )
    sent = school.setting(made.credential["credentialStatus"], 0)
    assert own_chain.attempt(sent)[1] == [False]
    at = own_chain.head
    assert Employer(school, [at]).judge(school.bundle(made, at))[CheckName.STATUS].reason is Reason.REVOKED


def test_a_change_of_owner_in_the_block_of_the_anchor_counts_by_the_order_in_the_block(
    own_chain: OwnChain, school: School
) -> None:
    key, first, last = own_chain.new_key(), school.badge(), school.badge(lambda d: d.update(name="Other"))
    changing = (own_chain.did_calls.change_owner(school.identity, address_of(key)), school.owner)
    _, succeeded = own_chain.attempt(school.anchoring(first), changing, school.anchoring(last))
    assert succeeded == [True, True, False]
    at = own_chain.head
    outcomes = [
        Employer(school, [at]).judge(school.bundle(one, at))[CheckName.ANCHOR].outcome
        for one in (first, last)
    ]
    assert outcomes == [Outcome.PASSED, Outcome.FAILED]


def test_a_writer_whose_time_is_over_anchors_nothing(own_chain: OwnChain, school: School) -> None:
    until = own_chain.seconds + 24
    naming = own_chain.calls.set_writer(school.identity, address_of(school.writer), ROLE_ANCHOR, until)
    own_chain.block((naming, school.owner))
    made = school.badge()
    assert own_chain.attempt(school.anchoring(made))[1] == [False]
    assert school.block_of(made) == 0
