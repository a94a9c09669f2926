"""The sample course as values: task, cases, rubric, learners, submissions, review notes and issuing template.

The files lie in the folder `course`, inside the package, and are read alike from a checkout and from a wheel.
"""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any

from node.demo.rubric import Rubric, parse_rubric
from node.demo.trial import Case


@dataclass(frozen=True, slots=True)
class Learner:
    """One invented person. `wallet`: whether a DID is known before issuing, or the credential is claimed later."""

    id: str
    name: str
    wallet: bool


@dataclass(frozen=True)
class Course:
    """All of one course. Bytes of submissions and notes are as handed in."""

    about: Mapping[str, Any]
    rubric: Rubric
    cases: tuple[Case, ...]
    functions: tuple[str, ...]
    learners: tuple[Learner, ...]
    cases_digest: str
    rubric_digest: str
    folder: Traversable

    def submission(self, learner: str) -> bytes:
        """Python source, UTF-8."""
        return self.folder.joinpath("submissions", f"{learner}.py.txt").read_bytes()

    def review(self, learner: str) -> str:
        """The reviewer's note, Markdown."""
        return self.folder.joinpath("reviews", f"{learner}.md").read_text(encoding="utf-8")

    @cached_property
    def task(self) -> str:
        """The text that the learners were given, Markdown."""
        return self.folder.joinpath("task.md").read_text(encoding="utf-8")


def load_template() -> dict[str, Any]:
    """The issuing template, a new value at each call so that a caller may change it."""
    template: dict[str, Any] = json.loads(_folder().joinpath("template.json").read_bytes())
    return template


def load_course() -> Course:
    """The course of the package."""
    folder = _folder()
    tests, rubric = folder.joinpath("tests.json").read_bytes(), folder.joinpath("rubric.json").read_bytes()
    parsed = json.loads(tests)
    rows = csv.DictReader(folder.joinpath("learners.csv").read_text(encoding="utf-8").splitlines())
    return Course(
        about=json.loads(folder.joinpath("course.json").read_bytes()),
        rubric=parse_rubric(json.loads(rubric)),
        cases=tuple(Case(**case) for case in parsed["cases"]),
        functions=tuple(parsed["functions"]),
        learners=tuple(Learner(row["id"], row["name"], row["wallet"] == "yes") for row in rows),
        cases_digest=hashlib.sha256(tests).hexdigest(),
        rubric_digest=hashlib.sha256(rubric).hexdigest(),
        folder=folder,
    )


def _folder() -> Traversable:
    return files("node.demo").joinpath("course")
