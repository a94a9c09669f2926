"""The table in README.md names tests that are there, and forgets no file of this folder."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

HERE = Path(__file__).parent
TESTS = HERE.parent
_NAMED = re.compile(r"`([a-z0-9_/]+\.py)::([A-Za-z0-9_:]+)`")


def rows() -> dict[str, list[tuple[str, str]]]:
    """The tests of each attack, as (file, name)."""
    lines = [line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| ")]
    cells = [line.strip("| ").split(" | ") for line in lines]
    return {row[0]: _NAMED.findall(row[1]) for row in cells if row[0] not in ("attack", "---")}


@cache
def named_in(file: Path) -> frozenset[str]:
    """The names of the tests in a file, those of a class after its name."""
    found = set()
    for one in ast.parse(file.read_text()).body:
        for inner in one.body if isinstance(one, ast.ClassDef) else [one]:
            if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner.name.startswith("test_"):
                found.add(f"{one.name}::{inner.name}" if isinstance(one, ast.ClassDef) else inner.name)
    return frozenset(found)


def test_each_attack_has_a_test_and_each_test_that_is_named_is_there() -> None:
    for attack, named in rows().items():
        assert named, attack
        for file, name in named:
            assert name in named_in(TESTS / file), (attack, file, name)


def test_no_file_of_this_folder_is_forgotten() -> None:
    named = {file for tests in rows().values() for file, _ in tests}
    own = {f"attacks/{file.name}" for file in HERE.glob("test_*.py")} - {f"attacks/{Path(__file__).name}"}
    assert own <= named
