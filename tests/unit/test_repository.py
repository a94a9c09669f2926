"""Rules that hold for the repository as a whole: what starting a command may import, and one version everywhere."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from node.demo.foreign import make_foreign_badge

ROOT = Path(__file__).resolve().parents[2]
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
COMMANDS = sorted(PROJECT["entry-points"]["bonafides.commands"])

# DESIGN, start-up: none of these until the document needs it.
NOT_FOR_VERIFYING = (
    *("web3", "eth", "rlp", "sqlalchemy", "alembic", "pydantic", "aiohttp", "jinja2", "wallet"),
    *("pyld", "py_arkworks_bls12381", "py_ecc", "didkit"),
)
NOT_FOR_HELP = (
    *NOT_FOR_VERIFYING,
    "node.services",
    "node.web",
    "node.storage",
    "node.outbound",
    "orjson",
)

_SCRIPT = """
import json, sys
from node.cli import main
status = main(sys.argv[1:])
print(json.dumps([status, sorted(sys.modules)]), file=sys.stderr)
"""


def imported(*arguments: str, expected_status: int = 0) -> set[str]:
    """The modules that were imported when `bonafides` ended."""
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT, *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        check=True,
    )
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == expected_status, done.stderr
    return set(modules)


def among(modules: set[str], forbidden: tuple[str, ...]) -> set[str]:
    """Those that are one of `forbidden` or inside it; `eth` stands for `eth_…` too."""
    return {
        module
        for module in modules
        for name in forbidden
        if module == name or module.startswith((name + ".", name + "_"))
    }


def test_verifying_a_file_offline_imports_neither_chain_nor_database_nor_http(tmp_path: Path) -> None:
    badge = tmp_path / "badge.json"
    badge.write_text(json.dumps(make_foreign_badge()))
    modules = imported(
        "verify", str(badge), "--json", expected_status=3
    )  # no trust list: nothing is accepted
    assert "node.core.verify.engine" in modules
    assert among(modules, NOT_FOR_VERIFYING) == set()


def test_the_help_of_all_imports_no_command() -> None:
    modules = imported("--help")
    assert among(modules, (*NOT_FOR_HELP, "node.commands", "node.chain", "node.demo")) == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_imports_nothing_that_it_works_with(command: str) -> None:
    allowed = ("wallet",) if command == "wallet" else ("orjson",) if command == "chain" else ()
    forbidden = tuple(name for name in NOT_FOR_HELP if name not in allowed)
    assert among(imported(command, "--help"), forbidden) == set()


def test_the_version_is_one_and_the_same() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "node", "--version"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert PROJECT["version"] == version("bonafides")
    assert done.stdout.split()[-1] == PROJECT["version"]
    assert re.search(r"^## \[Unreleased\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    released = re.findall(r"^## \[(\d+\.\d+\.\d+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert not released or released[0] == PROJECT["version"]


def test_every_python_that_is_named_is_one_that_is_supported() -> None:
    named = {text.rpartition(" ")[2] for text in PROJECT["classifiers"] if ":: 3." in text}
    assert named == {"3.11", "3.12", "3.13"}
    image = re.findall(r"^FROM python:(\d+\.\d+)", (ROOT / "docker/Dockerfile").read_text(), re.MULTILINE)
    assert set(image) <= named
