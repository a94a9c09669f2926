"""Evidence is produced by running the submissions; three of the course's own are run here."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from node.demo.assess import ITEMS, Assessed, assess
from node.demo.sample import load_course, load_template

COURSE = load_course()
NOON = datetime(2026, 3, 22, 12, tzinfo=UTC)
DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


def run(out: Path) -> Assessed:
    out.mkdir()
    return assess(COURSE, out, dids={"lm-03": DID}, only={"lm-03", "lm-16", "lm-22"}, now=lambda: NOON)


@pytest.fixture(scope="module")
def assessed(tmp_path_factory: pytest.TempPathFactory) -> Assessed:
    return run(tmp_path_factory.mktemp("assess") / "out")


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def test_the_cohort_holds_those_who_passed_and_no_names(assessed: Assessed) -> None:
    cohort = rows(assessed.cohort)
    assert [(row["id"], row["subject_did"]) for row in cohort] == [("lm-03", DID), ("lm-16", "")]
    text = assessed.cohort.read_text(encoding="utf-8")
    assert not [learner.name for learner in COURSE.learners if learner.name in text]


def test_the_schools_own_book_names_everybody(assessed: Assessed) -> None:
    assert [(row["name"], row["passed"]) for row in rows(assessed.marks)] == [
        ("Zoë Brânză", "yes"),
        ("Chidera Umeano", "yes"),
        ("Piet van Oosterwolde", "no"),
    ]


def test_every_learner_has_five_items_of_evidence(assessed: Assessed) -> None:
    for one in assessed.assessments:
        assert sorted(path.name for path in (assessed.evidence / one.learner.id).iterdir()) == sorted(ITEMS)


def test_the_log_tells_what_failed_and_what_was_printed(assessed: Assessed) -> None:
    log = (assessed.evidence / "lm-16" / "tests.log").read_text(encoding="utf-8")
    assert "SystemExit in line 14: 1" in log
    assert "| cannot read date: soon" in log
    assert "17 of 21 cases passed" in log


def test_marks_in_the_cohort_are_those_of_the_evidence(assessed: Assessed) -> None:
    for row in rows(assessed.cohort):
        scores = json.loads((assessed.evidence / row["id"] / "rubric.json").read_bytes())
        assert row["total"] == str(scores["total"]) == str(sum(one["points"] for one in scores["criteria"]))
        assert {one["criterion"]: one["level"] for one in scores["criteria"]}.items() <= row.items()


def test_the_record_names_tool_model_and_reviewer(assessed: Assessed) -> None:
    record = json.loads((assessed.evidence / "lm-03" / "assessment.json").read_bytes())
    assert record["assessor"]["model"] == "none"
    assert record["assessor"]["reviewer"] == COURSE.about["reviewer"]
    assert record["started"] == record["ended"] == "2026-03-22T12:00:00Z"


def test_a_second_run_writes_the_same_bytes(assessed: Assessed, tmp_path: Path) -> None:
    again = run(tmp_path / "again")
    first, second = assessed.cohort.parent, again.cohort.parent
    names = sorted(path.relative_to(first) for path in first.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(second) for path in second.rglob("*") if path.is_file())
    assert [name for name in names if (first / name).read_bytes() != (second / name).read_bytes()] == []


def test_the_course_has_work_and_a_note_for_each_of_twenty_four_learners() -> None:
    assert len({learner.id for learner in COURSE.learners}) == 24
    assert len({COURSE.submission(learner.id) for learner in COURSE.learners}) == 24
    assert len({COURSE.review(learner.id) for learner in COURSE.learners}) == 24
    assert sum(not learner.wallet for learner in COURSE.learners) >= 5


def test_every_case_belongs_to_a_criterion_and_calls_a_function_of_the_task() -> None:
    criteria = {criterion.id for criterion in COURSE.rubric.criteria if criterion.basis == "cases"}
    assert {case.criterion for case in COURSE.cases} == criteria
    assert {case.call for case in COURSE.cases} == set(COURSE.functions)
    assert all(f"`{name}(" in COURSE.task for name in COURSE.functions)


def test_the_template_has_every_level_of_the_rubric_with_its_points() -> None:
    template = load_template()
    described = {row["name"]: row for row in template["achievement"]["resultDescription"]}
    for criterion in COURSE.rubric.criteria:
        levels = described[criterion.name]["rubricCriterionLevel"]
        assert [(row["id"].rpartition(":")[2], row["points"]) for row in levels] == [
            (level.id, str(level.points)) for level in criterion.levels
        ]


def test_the_template_takes_the_five_items_and_no_others() -> None:
    assert tuple(item["file"] for item in load_template()["evidence"]["items"]) == ITEMS
