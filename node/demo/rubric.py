"""From results and facts to levels and points: a pure function, so that the same work always gets the same marks.

A criterion rests either on the cases filed under it or on the facts of craft that can be read off the source
without running it. Its level is the highest whose share of passed cases (or of facts that hold) is reached.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from node.demo.trial import CaseResult

_LONGEST_FUNCTION = 40
_FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Level:
    """One rubric level; `at_least_percent` of the criterion's cases or facts reach it."""

    id: str
    points: int
    at_least_percent: int


@dataclass(frozen=True, slots=True)
class Criterion:
    """Levels run from lowest to highest, the first at 0 percent. `basis` is `cases` or `facts`."""

    id: str
    name: str
    basis: str
    required_level: str | None
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Rubric:
    """What a piece of work is measured by."""

    id: str
    version: str
    pass_mark: int
    maximum: int
    criteria: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Score:
    """How far a piece of work came under one criterion."""

    criterion: Criterion
    reached: int
    of: int
    level: Level

    @property
    def enough(self) -> bool:
        """Whether the level that the criterion requires is reached."""
        ids = [level.id for level in self.criterion.levels]
        required = self.criterion.required_level
        return required is None or ids.index(self.level.id) >= ids.index(required)


@dataclass(frozen=True, slots=True)
class Marks:
    """Scores in the rubric's order, the facts of craft they used, and what it adds up to."""

    rubric: Rubric
    scores: tuple[Score, ...]
    facts: Mapping[str, bool]

    @property
    def total(self) -> int:
        """Points over all criteria."""
        return sum(score.level.points for score in self.scores)

    @property
    def passed(self) -> bool:
        """The pass mark and every required level."""
        return self.total >= self.rubric.pass_mark and all(score.enough for score in self.scores)


def parse_rubric(value: Mapping[str, Any]) -> Rubric:
    """The rubric of the course file."""
    return Rubric(
        value["id"],
        value["version"],
        value["passMark"],
        value["maximum"],
        tuple(
            Criterion(
                criterion["id"],
                criterion["name"],
                criterion["basis"],
                criterion["requiredLevel"],
                tuple(Level(row["id"], row["points"], row["atLeastPercent"]) for row in criterion["levels"]),
            )
            for criterion in value["criteria"]
        ),
    )


def mark(rubric: Rubric, results: Sequence[CaseResult], facts: Mapping[str, bool]) -> Marks:
    """Marks by the rubric; a criterion without any case or fact stays at its lowest level."""
    scores = []
    for criterion in rubric.criteria:
        if criterion.basis == "facts":
            held = list(facts.values())
        else:
            held = [result.passed for result in results if result.case.criterion == criterion.id]
        reached = sum(held)
        level = criterion.levels[0]
        for better in criterion.levels[1:]:
            if held and reached * 100 >= better.at_least_percent * len(held):
                level = better
        scores.append(Score(criterion, reached, len(held), level))
    return Marks(rubric, tuple(scores), dict(facts))


def craft_facts(source: bytes, functions: Collection[str]) -> dict[str, bool]:
    """What can be said of the source without running it. Nothing holds if it does not parse or lacks a function."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        tree = ast.Module([], [])
    defined = {node.name: node for node in tree.body if isinstance(node, _FunctionNode)}
    asked = [defined[name] for name in functions if name in defined]
    opened = [node for node in ast.walk(tree) if _opens(node)]
    facts = {
        "the module says what it is for": ast.get_docstring(tree) is not None,
        "every function of the task has a docstring": all(ast.get_docstring(node) for node in asked),
        "every function of the task is annotated": all(_annotated(node) for node in asked),
        "files are closed by a with statement": {id(node) for node in opened} <= set(_managed(tree)),
        "the encoding of every file is named": all(_names_encoding(node) for node in opened),
        "no error is caught without being named": not any(
            isinstance(node, ast.ExceptHandler) and _blanket(node) for node in ast.walk(tree)
        ),
        f"no function is longer than {_LONGEST_FUNCTION} lines": all(
            (node.end_lineno or 0) - node.lineno < _LONGEST_FUNCTION
            for node in ast.walk(tree)
            if isinstance(node, _FunctionNode)
        ),
    }
    complete = len(asked) == len(functions)
    return {name: held and complete for name, held in facts.items()}


def _opens(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "open"


def _managed(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.With):
            yield from (id(item.context_expr) for item in node.items)


def _names_encoding(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and any(keyword.arg == "encoding" for keyword in node.keywords)


def _blanket(handler: ast.ExceptHandler) -> bool:
    return handler.type is None or (
        isinstance(handler.type, ast.Name) and handler.type.id in ("Exception", "BaseException")
    )


def _annotated(node: _FunctionNode) -> bool:
    arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return node.returns is not None and all(argument.annotation is not None for argument in arguments)
