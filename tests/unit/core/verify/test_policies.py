"""Policies and what is drawn from sixteen checks (FORMATS.md section 9), by every combination and at random."""

from __future__ import annotations

import itertools

import pytest
from fixtures.verification import Story
from hypothesis import given
from hypothesis import strategies as st

from node.core.errors import Malformed
from node.core.verify.policy import (
    ANY_ISSUER_UNSAFE,
    POLICIES,
    SIGNATURE_ONLY_UNSAFE,
    STRICT,
    Policy,
    named_policy,
)
from node.core.verify.report import Acceptance, Check, CheckName, Outcome, Reason, Report, worst
from node.core.verify.verifier import make_report

P, F, U, N = Outcome.PASSED, Outcome.FAILED, Outcome.UNKNOWN, Outcome.NOT_APPLICABLE
ALONE = {P}
OR_NONE = {P, N}
NOT_FAILED = {P, U, N}
SIGNATURE = dict.fromkeys(
    [CheckName.CONFORMANCE, CheckName.PROOF, CheckName.PROOF_PURPOSE, CheckName.VALIDITY_PERIOD], ALONE
)
CHAIN = dict.fromkeys(
    [
        CheckName.NETWORK,
        CheckName.HEADER,
        CheckName.ANCHOR,
        CheckName.KEY,
        CheckName.STATUS,
        CheckName.FRESHNESS,
        CheckName.EVIDENCE,
    ],
    OR_NONE,
)
LAST_THREE = [CheckName.HOLDER_BINDING, CheckName.CHALLENGE, CheckName.DOMAIN]
ANY_ISSUER = {**SIGNATURE, **CHAIN, CheckName.SCHEMA: NOT_FAILED}
# As FORMATS.md section 9 says it: for a document, for a presentation.
ACCEPTED: dict[str, tuple[dict[CheckName, set[Outcome]], dict[CheckName, set[Outcome]]]] = {
    "strict": (
        {**ANY_ISSUER, CheckName.ISSUER_TRUST: ALONE, **dict.fromkeys(LAST_THREE, NOT_FAILED)},
        {**ANY_ISSUER, CheckName.ISSUER_TRUST: ALONE, **dict.fromkeys(LAST_THREE, ALONE)},
    ),
    "any-issuer-unsafe": (
        {**ANY_ISSUER, **dict.fromkeys(LAST_THREE, NOT_FAILED)},
        {**ANY_ISSUER, **dict.fromkeys(LAST_THREE, ALONE)},
    ),
    "signature-only-unsafe": (SIGNATURE, {**SIGNATURE, **dict.fromkeys(LAST_THREE, ALONE)}),
}


def checks(outcomes: dict[CheckName, Outcome]) -> list[Check]:
    return [Check(name, outcomes.get(name, P), "", Reason.NOT_REACHED) for name in CheckName]


def expected(policy: str, outcomes: dict[CheckName, Outcome], *, presented: bool) -> Acceptance:
    named = ACCEPTED[policy][presented]
    if any(outcomes[name] is F for name in named):
        return Acceptance.REFUSED
    if all(outcomes[name] in accepted for name, accepted in named.items()):
        return Acceptance.ACCEPTED
    return Acceptance.UNDETERMINED


def made(policy: Policy, outcomes: dict[CheckName, Outcome], *, presented: bool) -> Report:
    story = Story(policy=policy, checkpoint=None)
    return make_report(checks(outcomes), story.verifier(), story.now, presented=presented)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("presented", [False, True], ids=["document", "presentation"])
@pytest.mark.parametrize(("name", "outcome"), itertools.product(CheckName, Outcome))
def test_one_check_against_fifteen_that_passed(
    policy: str, presented: bool, name: CheckName, outcome: Outcome
) -> None:
    outcomes = dict.fromkeys(CheckName, P) | {name: outcome}
    found = POLICIES[policy].judge(checks(outcomes), presented=presented)
    assert found is expected(policy, outcomes, presented=presented)


_outcomes = st.fixed_dictionaries({name: st.sampled_from(Outcome) for name in CheckName})
# Mostly passed, else hardly anything but refusals would be seen.
_mostly_good = st.fixed_dictionaries({name: st.sampled_from([P, P, P, N, P, P, U, F]) for name in CheckName})


@given(st.one_of(_outcomes, _mostly_good), st.sampled_from(sorted(POLICIES)), st.booleans())
def test_any_sixteen_outcomes(outcomes: dict[CheckName, Outcome], policy: str, presented: bool) -> None:
    chosen = POLICIES[policy]
    found = chosen.judge(checks(outcomes), presented=presented)
    assert found is expected(policy, outcomes, presented=presented)
    decisive = chosen.decisive(checks(outcomes), presented=presented)
    assert (decisive is None) == (found is Acceptance.ACCEPTED)
    if decisive is not None:
        assert (decisive.outcome is F) == (found is Acceptance.REFUSED)


@given(st.one_of(_outcomes, _mostly_good), st.booleans())
def test_verified_is_the_securing_mechanism_and_conformance(
    outcomes: dict[CheckName, Outcome], presented: bool
) -> None:
    report = made(STRICT, outcomes, presented=presented)
    needed = [CheckName.CONFORMANCE, CheckName.PROOF, CheckName.PROOF_PURPOSE]
    needed += LAST_THREE if presented else []
    key = outcomes[CheckName.KEY] in (P, N)
    assert report.verified == (key and all(outcomes[name] is P for name in needed))


@given(st.one_of(_outcomes, _mostly_good), st.booleans())
def test_what_strict_accepts_the_others_accept(outcomes: dict[CheckName, Outcome], presented: bool) -> None:
    strict, any_issuer, signature = (
        policy.judge(checks(outcomes), presented=presented)
        for policy in (STRICT, ANY_ISSUER_UNSAFE, SIGNATURE_ONLY_UNSAFE)
    )
    if strict is Acceptance.ACCEPTED:
        assert any_issuer is Acceptance.ACCEPTED
    if any_issuer is Acceptance.ACCEPTED:
        assert signature is Acceptance.ACCEPTED


@given(st.lists(st.sampled_from(Outcome), min_size=1, max_size=5))
def test_the_worst_is_failed_then_unknown_then_passed(outcomes: list[Outcome]) -> None:
    found = worst([Check(CheckName.STATUS, outcome, "") for outcome in outcomes]).outcome
    assert found is next(outcome for outcome in (F, U, P, N) if outcome in outcomes)


def test_an_empty_policy_accepts_nothing() -> None:
    empty = Policy("empty", {}, {})
    everything = checks(dict.fromkeys(CheckName, P))
    assert empty.judge(everything, presented=False) is Acceptance.UNDETERMINED


def test_a_check_that_is_missing_is_not_accepted() -> None:
    without = [check for check in checks({}) if check.name is not CheckName.STATUS]
    assert STRICT.judge(without, presented=False) is Acceptance.UNDETERMINED


def test_permissive_policies_are_called_unsafe() -> None:
    assert {name for name in POLICIES if not name.endswith("-unsafe")} == {"strict"}
    with pytest.raises(Malformed, match="strict"):
        named_policy("lenient")


@pytest.mark.parametrize("policy", POLICIES.values(), ids=lambda policy: policy.name)
def test_a_policy_that_leaves_disputes_open_says_so_in_its_name(policy: Policy) -> None:
    disputing = policy.judging_compromise("dispute")
    assert (disputing.compromise, disputing.name) == ("dispute", f"{policy.name}+dispute")
    assert disputing.judging_compromise("dispute") == disputing
    assert disputing.judging_compromise("fail") == policy
