"""One credential, judged with those that it holds (CLR 2.0: a Comprehensive Learner Record).

First the record is verified, then every credential in its subject, each by its own proof. As in a presentation, what is
reported of each check is the worst that was found, so that nothing false can hide in a record that is itself genuine.
Endorsements have reports of their own, which decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from node.core.credential import types_of
from node.core.errors import Malformed
from node.core.strict_json import JsonObject
from node.core.verify.case import Case
from node.core.verify.endorsements import Endorsement, endorsements_in
from node.core.verify.holder import Asked, Holder, is_presented
from node.core.verify.intake import MAX_CREDENTIALS, MAX_DEPTH, Shown, listed, shown_in
from node.core.verify.intake import shown as shown_as
from node.core.verify.materials import Inquiry
from node.core.verify.report import Check, CheckName, Outcome, Reason, Report, worst
from node.core.verify.verifier import Verifier, make_report
from node.core.verify.wording import NEWER_ELSEWHERE, OF_SOMETHING_ELSE

# Never asked here: what is judged is what was shown, and whose hosts are asked is not for a document to say.
_REFRESH_SERVICES: Final = frozenset({"1EdTechCredentialRefresh", "VerifiableCredentialRefreshService2021"})


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
    case = _case(shown, occasion)
    report = case.report(holder, occasion.asked)
    if report.established and _may_be_renewed(case.document.read):
        report = replace(report, notes=(NEWER_ELSEWHERE,))
    if case.document.facts is not None and (found := endorsements_in(case.document.read)):
        report = replace(report, endorsements=tuple(_judge_endorsement(one, occasion) for one in found))
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


def _case(shown: Shown, occasion: Occasion) -> Case:
    domain = occasion.asked.domain
    return Case(shown, occasion.inquiry, occasion.verifier, occasion.now, occasion.as_of, domain)


def _judge_endorsement(found: Endorsement, occasion: Occasion) -> Report:
    """What an endorsement is worth (Open Badges 3.0 section 9, step 7): told, and for whoever relies on it to weigh."""
    try:
        one = shown_as(found.credential)
    except Malformed:
        one = Shown({})  # no credential, and so none that conforms
    case = _case(one, occasion)
    report = case.report(None, Asked())
    about = case.document.facts.subject_ids if case.document.facts is not None else ()
    return report if about == (found.of,) else replace(report, notes=(*report.notes, OF_SOMETHING_ELSE))


def _may_be_renewed(document: JsonObject) -> bool:
    """Whether it says where a newer one may be had (VC Data Model 2.0, `refreshService`)."""
    services = listed(document.get("refreshService", []))
    return any(not _REFRESH_SERVICES.isdisjoint(types_of(one)) for one in services if isinstance(one, dict))


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
        endorsements=report.endorsements,
        notes=report.notes,
    )


def _told(check: Check, number: int, count: int) -> Check:
    return replace(check, basis=f"credential {number} of the {count} in it: {check.basis}")
