"""The verification engine: `needs()` tells what is to be fetched, `verify()` judges, `attempt()` does both at once.

Pure: the same intake, materials and times give the same report. The order of the checks is the order of FORMATS.md
section 9; each step below carries its number.

    materials = Materials.none()
    while missing := needs(intake, materials, verifier, now=now):
        materials = await gather(missing, …)          # failures are materials too
    report = verify(intake, materials, verifier, now=now)
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from node.core.errors import Malformed
from node.core.verify.credentials import Occasion
from node.core.verify.holder import Asked
from node.core.verify.intake import Intake
from node.core.verify.materials import Inquiry, Materials, Need
from node.core.verify.presentation import judge_alone, judge_presentation
from node.core.verify.reading import not_reached
from node.core.verify.report import Check, CheckName, Outcome, Reason, Report
from node.core.verify.verifier import Verifier, make_report


def needs(
    intake: Intake,
    materials: Materials,
    verifier: Verifier,
    *,
    now: datetime,
    as_of: datetime | None = None,
) -> tuple[Need, ...]:
    """What the verification would ask for that is not among the materials; empty when it can be judged."""
    inquiry = Inquiry(materials, verifier.mode)
    _judge(intake, inquiry, verifier, now, as_of or now, Asked())
    return tuple(inquiry.outstanding)


def verify(
    intake: Intake,
    materials: Materials,
    verifier: Verifier,
    *,
    now: datetime,
    as_of: datetime | None = None,
    asked: Asked = Asked(),  # noqa: B008 - frozen
) -> Report:
    """The report on what was shown. `asked` is what this verifier demanded of a presentation."""
    inquiry = Inquiry(materials, verifier.mode)
    return _told(_judge(intake, inquiry, verifier, now, as_of or now, asked), intake, materials)


def attempt(
    intake: Intake,
    materials: Materials,
    verifier: Verifier,
    *,
    now: datetime,
    as_of: datetime | None = None,
    asked: Asked = Asked(),  # noqa: B008 - frozen
) -> Report | tuple[Need, ...]:
    """What `needs` tells, or where that is nothing what `verify` makes: judged once and not twice."""
    inquiry = Inquiry(materials, verifier.mode)
    report = _judge(intake, inquiry, verifier, now, as_of or now, asked)
    return tuple(inquiry.outstanding) or _told(report, intake, materials)


def unreadable(error: Malformed, verifier: Verifier, *, now: datetime) -> Report:
    """The report on input that is no credential at all: conformance failed, the rest unknown."""
    failed = Check(CheckName.CONFORMANCE, Outcome.FAILED, error.detail, Reason.UNREADABLE, (error.problem,))
    rest = [not_reached(name) for name in CheckName if name is not CheckName.CONFORMANCE]
    return make_report((failed, *rest), verifier, now, presented=False)


def _judge(
    intake: Intake, inquiry: Inquiry, verifier: Verifier, now: datetime, as_of: datetime, asked: Asked
) -> Report:
    occasion = Occasion(inquiry, verifier.for_one_report(), now, as_of, asked)
    if intake.presentation is None:
        return judge_alone(intake.credentials[0], occasion)
    return judge_presentation(intake, occasion)


def _told(report: Report, intake: Intake, materials: Materials) -> Report:
    if not intake.notes and not materials.contacted:
        return report
    return replace(report, notes=(*report.notes, *intake.notes), contacted=materials.contacted)
