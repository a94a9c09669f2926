"""The table in README.md names tests that are there, and forgets no file of this folder."""

from __future__ import annotations

import subprocess
from pathlib import Path

from fixtures.named_tests import is_there, named_in

HERE = Path(__file__).parent


def rows() -> dict[str, list[tuple[str, str]]]:
    """The tests of each attack, as (file, name)."""
    lines = [line for line in (HERE / "README.md").read_text().splitlines() if line.startswith("| ")]
    cells = [line.strip("| ").split(" | ") for line in lines]
    return {row[0]: named_in(row[1]) for row in cells if row[0] not in ("attack", "---")}


def test_each_attack_has_a_test_and_each_test_that_is_named_is_there() -> None:
    for attack, named in rows().items():
        assert named, attack
        for file, name in named:
            assert is_there(file, name), (attack, file, name)


def test_no_file_of_this_folder_is_forgotten() -> None:
    listing = subprocess.run(
        ["git", "ls-files", "test_*.py"], capture_output=True, text=True, cwd=HERE, check=True
    )
    own = {f"attacks/{name}" for name in listing.stdout.split()} - {f"attacks/{Path(__file__).name}"}
    assert own <= {file for tests in rows().values() for file, _ in tests}
