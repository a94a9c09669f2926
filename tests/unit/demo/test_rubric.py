"""The same work always gets the same marks."""

from __future__ import annotations

import pytest

from node.demo.rubric import craft_facts, mark
from node.demo.sample import load_course
from node.demo.trial import CaseResult

COURSE = load_course()
FACTS = dict.fromkeys(craft_facts(b"", ()), True)


def results(failing: int = 0, criterion: str = "") -> list[CaseResult]:
    """Results of all cases, of which the first few under `criterion` failed."""
    out = []
    for case in COURSE.cases:
        fails = case.criterion == criterion and failing > 0
        failing -= fails
        out.append(CaseResult(case, "wrong" if fails else ""))
    return out


def test_all_that_can_be_reached_is_a_hundred_points() -> None:
    marks = mark(COURSE.rubric, results(), FACTS)
    assert (marks.total, marks.passed) == (COURSE.rubric.maximum, True)


@pytest.mark.parametrize(
    ("failing", "level"),
    [
        (0, "strong"),
        (1, "secure"),
        (2, "secure"),
        (3, "beginning"),
        (4, "beginning"),
        (5, "not-yet"),
        (7, "not-yet"),
    ],
)
def test_the_level_is_the_highest_whose_share_of_cases_is_reached(failing: int, level: str) -> None:
    marks = mark(COURSE.rubric, results(failing, "calculation"), FACTS)
    assert {score.criterion.id: score.level.id for score in marks.scores}["calculation"] == level


def test_enough_points_without_a_required_level_do_not_pass() -> None:
    marks = mark(COURSE.rubric, results(7, "calculation"), FACTS)
    assert marks.total >= COURSE.rubric.pass_mark
    assert not marks.passed


def test_a_criterion_without_cases_stays_at_its_lowest_level() -> None:
    assert mark(COURSE.rubric, [], {}).total == 0


GOOD = '''"""What it is for."""

def answer(n: int) -> str:
    """Says it."""
    with open("f", encoding="utf-8") as file:
        return file.read()
'''


@pytest.mark.parametrize(
    ("old", "new", "fact"),
    [
        ('"""What it is for."""', "", "the module says what it is for"),
        ('"""Says it."""', "", "every function of the task has a docstring"),
        ("n: int", "n", "every function of the task is annotated"),
        (" -> str", "", "every function of the task is annotated"),
        (
            'with open("f", encoding="utf-8") as file:',
            'file = open("f", encoding="utf-8")\n    if n:',
            "files are closed by a with statement",
        ),
        (', encoding="utf-8"', "", "the encoding of every file is named"),
        (
            "        return file.read()\n",
            "        try:\n            return ''\n        except:\n            raise\n",
            "no error is caught without being named",
        ),
        ("        return file.read()\n", "        n += 1\n" * 45, "no function is longer than 40 lines"),
    ],
)
def test_each_fact_of_craft_is_one_change_away_from_not_holding(old: str, new: str, fact: str) -> None:
    assert all(craft_facts(GOOD.encode(), ("answer",)).values())
    facts = craft_facts(GOOD.replace(old, new).encode(), ("answer",))
    assert [name for name, held in facts.items() if not held] == [fact]


@pytest.mark.parametrize(
    "source", [b"def (", b"\0", b"(" * 100_000, b"# coding: nonsense\n", b"\xff\xfe", b""]
)
def test_no_fact_holds_of_what_is_not_a_program(source: bytes) -> None:
    assert not any(craft_facts(source, ("answer",)).values())
