"""Assesses the sample course: runs every submission, marks it, and writes the evidence that a credential rests on.

For each learner a folder of five items, and beside them three tables:

    OUT/evidence/<id>/submission.py, tests.log, rubric.json, review.md, assessment.json
    OUT/cohort.csv    those who passed, as the issuer reads it: ids, DIDs, levels and points, no names
    OUT/marks.csv     everybody's marks with names, for the school's own book
    OUT/template.json the issuing template of the course

Everything but the times in assessment.json and in the column `assessed_at` is the same at every run.
Run it with `python -m node.demo.assess --out DIR`.
"""

from __future__ import annotations

import csv
import hashlib
import json
import platform
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from io import StringIO
from pathlib import Path
from typing import Any

import click

from node.demo.rubric import Marks, craft_facts, mark
from node.demo.sample import Course, Learner, load_course, load_template
from node.demo.trial import CaseResult, Limits, run_trial

TOOL = "bonafides-assess"
ITEMS = ("submission.py", "tests.log", "rubric.json", "review.md", "assessment.json")


@dataclass(frozen=True, slots=True)
class Assessment:
    """One learner's work, run and marked. Times are aware, UTC."""

    learner: Learner
    source: bytes
    results: tuple[CaseResult, ...]
    marks: Marks
    started: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Assessed:
    """What was written, and all assessments in the order of the learners' list."""

    cohort: Path
    marks: Path
    template: Path
    evidence: Path
    assessments: tuple[Assessment, ...]

    @property
    def passing(self) -> tuple[Assessment, ...]:
        """Those in the cohort."""
        return tuple(one for one in self.assessments if one.marks.passed)


def _now() -> datetime:
    return datetime.now(UTC)


def assess(
    course: Course,
    out: Path,
    *,
    dids: Mapping[str, str] | None = None,
    only: Collection[str] | None = None,
    limits: Limits | None = None,
    workers: int = 2,
    now: Callable[[], datetime] = _now,
) -> Assessed:
    """Assess the learners (those whose id is in `only`, if given) and write evidence and tables below `out`.

    `dids`: learner's id to the DID that a wallet made; rows without one get an empty `subject_did`.
    `workers` submissions run at a time.
    """
    limits = limits or Limits()
    learners = [learner for learner in course.learners if only is None or learner.id in only]

    def one(learner: Learner) -> Assessment:
        source, started = course.submission(learner.id), now()
        results = run_trial(source, course.cases, limits)
        marks = mark(course.rubric, results, craft_facts(source, course.functions))
        return Assessment(learner, source, results, marks, started, now())

    with ThreadPoolExecutor(workers) as pool:
        assessments = tuple(pool.map(one, learners))
    evidence = out / "evidence"
    for assessment in assessments:
        _write_evidence(course, assessment, limits, evidence / assessment.learner.id)
    assessed = Assessed(out / "cohort.csv", out / "marks.csv", out / "template.json", evidence, assessments)
    _write_csv(assessed.cohort, [_cohort_row(one, dids or {}) for one in assessed.passing])
    _write_csv(assessed.marks, [_marks_row(one) for one in assessments])
    _write_json(assessed.template, load_template())
    return assessed


def _write_evidence(course: Course, assessment: Assessment, limits: Limits, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "submission.py").write_bytes(assessment.source)
    (folder / "tests.log").write_text(log_text(course, assessment), encoding="utf-8")
    _write_json(folder / "rubric.json", _rubric_scores(assessment.marks))
    (folder / "review.md").write_text(course.review(assessment.learner.id), encoding="utf-8")
    _write_json(folder / "assessment.json", _provenance(course, assessment, limits))


def log_text(course: Course, assessment: Assessment) -> str:
    """The log of the run: a line for each case, why it failed, and the beginning of what it printed."""
    lines = [
        f"{course.about['course']}, task: {course.about['task']}",
        f"submission.py, {len(assessment.source)} bytes, SHA-256 {hashlib.sha256(assessment.source).hexdigest()}",
        "",
    ]
    for result in assessment.results:
        lines.append(
            f"{'ok  ' if result.passed else 'FAIL'}  {result.case.criterion:<12}  {result.case.name}"
        )
        if result.reason:
            lines.append(f"      {_printable(result.reason)}")
        if result.printed:
            shown = len(result.printed.encode())
            cut = f", the first {shown} shown" if shown < result.printed_bytes else ""
            lines.append(f"      printed {result.printed_bytes} bytes{cut}:")
            lines += [f"      | {_printable(line)}" for line in result.printed.splitlines()]
    passed = sum(result.passed for result in assessment.results)
    lines += ["", f"{passed} of {len(assessment.results)} cases passed", "", "read off the source:"]
    lines += [f"{'yes ' if held else 'no  '}  {fact}" for fact, held in assessment.marks.facts.items()]
    return "\n".join(lines) + "\n"


def _printable(text: str) -> str:
    """Control and direction characters would let a submission repaint the log in a terminal: shown as code points."""
    return "".join(letter if letter.isprintable() else f"<U+{ord(letter):04X}>" for letter in text)


def _rubric_scores(marks: Marks) -> dict[str, Any]:
    return {
        "rubric": marks.rubric.id,
        "version": marks.rubric.version,
        "criteria": [
            {
                "criterion": score.criterion.id,
                "name": score.criterion.name,
                "basis": f"{score.reached} of {score.of} {score.criterion.basis}",
                "level": score.level.id,
                "points": score.level.points,
                "maximum": score.criterion.levels[-1].points,
            }
            for score in marks.scores
        ],
        "total": marks.total,
        "maximum": marks.rubric.maximum,
        "passMark": marks.rubric.pass_mark,
        "passed": marks.passed,
    }


def _provenance(course: Course, assessment: Assessment, limits: Limits) -> dict[str, Any]:
    """Who and what assessed: nothing here names the learner."""
    return {
        "assessor": {
            "tool": TOOL,
            "version": _version(),
            "python": platform.python_version(),
            "model": "none",
            "reviewer": course.about["reviewer"],
        },
        "method": "marks by rule from hidden tests and the source; the note by a person; no marks by a model",
        "task": {"name": course.about["task"], "version": course.about["taskVersion"]},
        "rubricSha256": course.rubric_digest,
        "testsSha256": course.cases_digest,
        "submissionSha256": hashlib.sha256(assessment.source).hexdigest(),
        "limits": asdict(limits),
        "submitted": course.about["submitted"],
        "started": _stamp(assessment.started),
        "ended": _stamp(assessment.ended),
    }


def _version() -> str:
    try:
        return version("bonafides")
    except PackageNotFoundError:
        return "not installed"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _scores(assessment: Assessment) -> dict[str, str]:
    levels = {score.criterion.id: score.level.id for score in assessment.marks.scores}
    return {**levels, "total": str(assessment.marks.total)}


def _cohort_row(assessment: Assessment, dids: Mapping[str, str]) -> dict[str, str]:
    """`valid_until` is empty: the template's `validDays` decides unless somebody fills it."""
    return {
        "id": assessment.learner.id,
        "subject_did": dids.get(assessment.learner.id, ""),
        **_scores(assessment),
        "assessed_at": _stamp(assessment.ended),
        "valid_until": "",
    }


def _marks_row(assessment: Assessment) -> dict[str, str]:
    passed = "yes" if assessment.marks.passed else "no"
    return {
        "id": assessment.learner.id,
        "name": assessment.learner.name,
        **_scores(assessment),
        "passed": passed,
    }


def _write_csv(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    text = StringIO(newline="")
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8", newline="")


def _read_dids(lines: Iterable[str]) -> dict[str, str]:
    return {row["id"]: row["subject_did"] for row in csv.DictReader(lines) if row["subject_did"]}


@click.command()
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to."
)
@click.option("--dids", type=click.File(encoding="utf-8"), help="CSV with the columns id and subject_did.")
@click.option(
    "--workers", type=click.IntRange(1, 16), default=2, show_default=True, help="Submissions at a time."
)
def main(out: Path, dids: Iterable[str] | None, workers: int) -> None:
    """Run the submissions of the sample course, mark them, and write evidence and tables."""
    course = load_course()
    out.mkdir(parents=True, exist_ok=True)
    assessed = assess(course, out, dids=_read_dids(dids) if dids else {}, workers=workers)
    for one in assessed.assessments:
        passed = sum(result.passed for result in one.results)
        word = "passed" if one.marks.passed else "not yet"
        click.echo(
            f"{one.learner.id}  {passed:>2} of {len(one.results)} cases  {one.marks.total:>3} points  {word}"
        )
    click.echo(f"{len(assessed.passing)} of {len(assessed.assessments)} passed: {assessed.cohort}", err=True)


if __name__ == "__main__":
    main()
