"""The threat model in node/README.md: each row says what we do and what is left, and names tests that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from fixtures.named_tests import is_there, named_in

README = Path(__file__).resolve().parents[2] / "node" / "README.md"
_SECTION = re.compile(r"^## Threat model\n(.*?)^## ", re.DOTALL | re.MULTILINE)
_TABLE = re.compile(r"^\| asset \|[^\n]*\n\| ---[^\n]*\n((?:\|[^\n]*\n)+)", re.MULTILINE)
_CELL = re.compile(r"(?<!\\)\|")


def rows() -> list[list[str]]:
    """The cells of every row: asset (or nothing, for that of the row before), attacker, deed, duty, tests."""
    section = _SECTION.search(README.read_text())
    assert section is not None
    lines = [line for table in _TABLE.findall(section[1]) for line in table.splitlines()]
    return [[cell.strip() for cell in _CELL.split(line.strip()[1:-1])] for line in lines]


def test_there_is_a_table_for_each_audience() -> None:
    section = _SECTION.search(README.read_text())
    assert section is not None
    assert len(_TABLE.findall(section[1])) == 3


@pytest.mark.parametrize("row", [pytest.param(row, id=row[1][:60]) for row in rows()])
def test_each_row_is_whole_and_its_tests_are_there(row: list[str]) -> None:
    _, attacker, deed, duty, shown_by = row
    assert attacker
    assert deed
    assert duty
    named = named_in(shown_by)
    # What nothing can show says so: the row then claims nothing.
    assert named or shown_by.startswith("none: ")
    for file, name in named:
        assert is_there(file, name), f"{file}::{name}"


def test_a_test_that_is_not_there_is_noticed() -> None:
    assert not is_there("unit/test_threat_model.py", "test_of_nothing")
    assert not is_there("unit/test_of_nothing.py", "test_of_nothing")
    assert is_there("unit/test_threat_model.py", "test_a_test_that_is_not_there_is_noticed")
