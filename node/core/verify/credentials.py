"""One credential, judged with those that it holds (CLR 2.0: a Comprehensive Learner Record).

First the record is verified, then every credential in its subject, each by its own proof. As in a presentation, what is
reported of each check is the worst that was found, so that nothing false can hide in a record that is itself genuine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from node.core.errors import Malformed
from node.core.verify.case import Case
from node.core.verify.holder import Asked, Holder, is_presented
from node.core.verify.intake import MAX_CREDENTIALS, MAX_DEPTH, Shown, shown_in
from node.core.verify.materials import Inquiry
from node.core.verify.report import Check, CheckName, Outcome, Reason, Report, worst
from node.core.verify.verifier import Verifier, make_report


@dataclass(frozen=True, slots=True)
class Occasion:
    """What is the same for all credentials that one verification looks at."""

    inquiry: Inquiry
    verifier: Verifier
    now: datetime
    as_of: datetime
    asked: Asked


def judge_credential(shown: Shown, occasion: Occasion, holder: Holder | None = None) -> Report:
    """The report on a credential, and on all that it holds."""
    return _judge(shown, occasion, holder, [MAX_CREDENTIALS], 1)


def _judge(shown: Shown, occasion: Occasion, holder: Holder | None, left: list[int], depth: int) -> Report:
    case = Case(shown, occasion.inquiry, occasion.verifier, occasion.now, occasion.as_of)
    report = case.report(holder, occasion.asked)
    held = case.document.held
    if not held:
        return report
    left[0] -= len(held)
    if depth >= MAX_DEPTH or left[0] < 0:
        return _merged(report, (), occasion, _too_many(), presented=is_presented(holder))
    try:
        inside = shown_in(shown, held)
    except Malformed as error:
        broken = Check(
            CheckName.CONFORMANCE, Outcome.FAILED, error.detail, Reason.NOT_CONFORMING, (error.problem,)
        )
        return _merged(report, (), occasion, broken, presented=is_presented(holder))
    facts = case.document.facts
    inner = holder.of_held(facts) if holder is not None and facts is not None else holder
    reports = tuple(_judge(one, occasion, inner, left, depth + 1) for one in inside)
    return _merged(report, reports, occasion, presented=is_presented(holder))


def _too_many() -> Check:
    basis = f"it holds more than {MAX_CREDENTIALS} credentials, or credentials in {MAX_DEPTH} others"
    return Check(CheckName.CONFORMANCE, Outcome.FAILED, basis, Reason.NOT_CONFORMING)


def _merged(
    report: Report, held: Sequence[Report], occasion: Occasion, *more: Check, presented: bool
) -> Report:
    checks = []
    for name in CheckName:
        inner = [_told(one[name], number, len(held)) for number, one in enumerate(held, 1)]
        checks.append(worst([report[name], *(check for check in more if check.name is name), *inner]))
    return make_report(
        checks,
        occasion.verifier,
        occasion.as_of,
        presented=presented,
        issuer=report.issuer,
        header=report.header,
        anchored=report.anchored,
        document=report.document,
        credentials=tuple(held),
    )


def _told(check: Check, number: int, count: int) -> Check:
    return replace(check, basis=f"credential {number} of the {count} in it: {check.basis}")
