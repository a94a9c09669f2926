"""The vectors of our own formats: what the code makes, what is committed, and what a second program says."""

from __future__ import annotations

import ast
import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[2] / "vectors"
GENERATOR = runpy.run_path(str(VECTORS / "bonafides" / "generate.py"), run_name="generator")
SECOND_OPINION = VECTORS / "second_opinion.py"


@pytest.mark.parametrize("name", GENERATOR["FILES"])
def test_the_code_still_makes_the_committed_vectors(name):
    committed = (VECTORS / "bonafides" / f"{name}.json").read_text(encoding="ascii")
    assert GENERATOR["text_of"](name) == committed


def second_opinion(folder):
    return subprocess.run(
        [sys.executable, "-I", SECOND_OPINION, folder],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_a_second_program_computes_the_same_vectors():
    done = second_opinion(VECTORS / "bonafides")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "cases agree" in done.stdout


def test_the_second_program_notices_a_difference(tmp_path):
    for name in GENERATOR["FILES"]:
        content = json.loads((VECTORS / "bonafides" / f"{name}.json").read_text())
        if name == "slots":
            content["cases"][1]["expected"]["heads"] = "00" * 32
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    done = second_opinion(tmp_path)
    assert done.returncode == 1
    assert "slots 1: differs in heads" in done.stdout


def test_the_second_program_shares_no_code():
    tree = ast.parse(SECOND_OPINION.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    tops = {name.split(".")[0] for name in names}
    assert tops <= {"__future__", "Crypto", *sys.stdlib_module_names}
