"""What is shipped: a wheel built from this checkout works in an empty environment, far from the checkout."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from fixtures.skipping import missing

from node.demo.foreign import make_foreign_badge

pytestmark = [pytest.mark.wheel, pytest.mark.xdist_group("wheel")]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("node", "wallet", "schemas", "contracts")
# Nothing of the environment that runs the tests: neither its path nor its settings.
CLEAN = {name: os.environ[name] for name in ("HOME", "PATH", "LANG") if name in os.environ}

Run = subprocess.CompletedProcess[str]


def uv() -> str:
    """The uv that `make` uses: named by BONAFIDES_UV, in the environment of the tests, or on PATH."""
    beside = Path(sys.executable).with_name("uv")
    found = os.environ.get("BONAFIDES_UV") or (str(beside) if beside.exists() else shutil.which("uv"))
    return found or missing("no uv: pip install 'uv>=0.13,<0.14', or set BONAFIDES_UV")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [uv(), "build", "--quiet", "--wheel", "--python", sys.executable, "--out-dir", str(folder)]
    subprocess.run([*command, str(ROOT)], check=True, timeout=300)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The `bin` folder of a new environment that holds the wheel and what it asks for, no extras."""
    environment = tmp_path_factory.mktemp("empty") / "environment"
    subprocess.run(
        [uv(), "venv", "--quiet", "--no-project", "--python", sys.executable, str(environment)],
        check=True,
        timeout=60,
    )
    python = environment / "bin" / "python"
    subprocess.run(
        [uv(), "pip", "install", "--quiet", "--python", str(python), str(wheel)], check=True, timeout=600
    )
    return environment / "bin"


def run(*command: str | Path, cwd: Path) -> Run:
    return subprocess.run(
        [str(part) for part in command],
        capture_output=True, text=True, timeout=120, cwd=cwd, env=CLEAN, check=False,
    )  # fmt: skip


def test_the_wheel_holds_every_file_of_its_packages_and_nothing_else(wheel: Path) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *PACKAGES],
        capture_output=True, text=True, cwd=ROOT, check=True,
    )  # fmt: skip
    expected = {name for name in tracked.stdout.split("\0") if name and (ROOT / name).is_file()}
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert shipped == expected
    assert {Path(name).suffix for name in shipped} >= {".json", ".jsonld", ".vy", ".html", ".css", ".csv"}
    assert {
        "node/py.typed",
        "node/storage/migrations/env.py",
        "contracts/artifacts/DIDRegistry.json",
    } <= shipped


def test_the_installed_packages_are_those_of_the_wheel(installed: Path, tmp_path: Path) -> None:
    script = f"import json, {', '.join(PACKAGES)}; print(json.dumps([p.__file__ for p in ({', '.join(PACKAGES)})]))"
    done = run(installed / "python", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    for file in json.loads(done.stdout):
        assert Path(file).is_relative_to(installed.parent), file


def test_every_command_loads_without_extras_and_without_the_tools_of_developers(
    installed: Path, tmp_path: Path
) -> None:
    script = (
        "from importlib.metadata import entry_points\n"
        "for point in entry_points(group='bonafides.commands'): point.load()"
    )
    done = run(installed / "python", "-c", script, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_bonafides_verify_judges_a_badge_from_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    badge = make_foreign_badge()
    trusted = tmp_path / "trust.json"
    trusted.write_text(json.dumps({"issuers": [{"did": badge["issuer"]["id"], "name": "Workshop"}]}))

    def verify(document: dict[str, Any], *options: str | Path) -> Run:
        file = tmp_path / "badge.json"
        file.write_text(json.dumps(document))
        return run(installed / "bonafides", "verify", file, "--json", *options, cwd=tmp_path)

    genuine = verify(badge, "--trust", trusted)
    assert genuine.returncode == 0, genuine.stdout + genuine.stderr
    report = json.loads(genuine.stdout)
    assert (report["verified"], report["acceptance"]) == (True, "accepted")
    assert report["issuer"]["name"] == "Workshop"
    assert verify(badge).returncode == 3
    assert verify({**badge, "name": "Another"}, "--trust", trusted).returncode == 1
