"""The files that `bonafides demo --dir` leaves behind, tried with other people's tools and with our command.

One demo is run for all tests here; BONAFIDES_DEMO_DIR names the folder of one that was run before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bench.chain import largest_state

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("demo")]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
FILES = (
    "badge.json", "bundle.json", "presentation.json", "presentation.txt", "checkpoint.json", "networks.json",
    "trust.json", "did.json", "badge-did-key.json", "revoked.json", "revoked-bundle.json", "tampered-badge.json",
    "tampered.json",
)  # fmt: skip
ACCEPTED, REFUSED, UNDETERMINED = 0, 1, 3


def bonafides(*words: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "node", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300, check=False)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`DIR/out` of a demo whose expectations all held."""
    if known := os.environ.get("BONAFIDES_DEMO_DIR"):
        return Path(known) / "out"
    folder = tmp_path_factory.mktemp("demo") / "made"
    done = bonafides("demo", "--dir", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "out"


def test_the_state_of_each_bundle_takes_four_kilobytes_at_most(out: Path) -> None:
    assert 1_000 < largest_state(out) <= 4_000


def by_digitalbazaar(*files: Path) -> bool:
    command = ["node", str(HERE / "verify_badge.mjs"), *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (0 if done.stdout == "verified\n" else 1), done.stderr
    return done.stdout == "verified\n"


def test_every_file_that_is_promised_is_there(out: Path, start_other_software: Any) -> None:
    assert {file.name for file in out.iterdir()} >= set(FILES)


def test_the_badge_is_verified_by_digitalbazaar_with_the_issuers_document(
    out: Path, start_other_software: Any
) -> None:
    start_other_software()  # skips without the packages
    assert by_digitalbazaar(out / "badge.json", out / "did.json")
    assert by_digitalbazaar(out / "revoked.json", out / "did.json")  # the chain knows, the signature does not
    assert not by_digitalbazaar(out / "tampered-badge.json", out / "did.json")
    assert not by_digitalbazaar(out / "badge.json")


def test_the_badge_of_an_issuer_without_a_chain_is_verified_by_verifier_core(
    out: Path, other_software: Any
) -> None:
    badge = json.loads((out / "badge-did-key.json").read_bytes())
    result = other_software.ask("verifierCore", credential=badge)
    assert result["errors"] == []
    assert result["steps"]["valid_signature"] is True
    assert result["steps"]["expiration"] is True
    badge["credentialSubject"]["achievement"]["name"] += "!"
    assert other_software.ask("verifierCore", credential=badge)["errors"] == ["invalid_signature"]


def test_the_badges_have_the_form_that_1edtech_asks_for(
    out: Path, other_software: Any, one_edtech_schema: dict[str, Any]
) -> None:
    if not one_edtech_schema:
        pytest.skip("no published vectors")
    badge = json.loads((out / "badge-did-key.json").read_bytes())
    (schema,) = other_software.ask("verifierCore", credential=badge)["schemas"]
    assert schema["result"]["valid"], schema["result"].get("errors")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("bundle.json", ACCEPTED),
        ("badge.json", UNDETERMINED),
        ("badge-did-key.json", UNDETERMINED),
        ("revoked-bundle.json", REFUSED),
        ("revoked.json", UNDETERMINED),
        ("tampered.json", REFUSED),
        ("tampered-badge.json", UNDETERMINED),
    ],
)
def test_our_command_judges_each_file_offline(name: str, status: int, out: Path) -> None:
    options = ("--trust", out / "trust.json", "--networks", out / "networks.json")
    done = bonafides("verify", out / name, *options, "--checkpoint", out / "checkpoint.json", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == status, report
    assert report["contacted"] == []


def test_the_presentation_is_accepted_for_its_challenge_alone(out: Path) -> None:
    lines = (out / "presentation.txt").read_text().splitlines()
    options = [word for line in lines for word in ("--" + line.split()[0], line.split()[1])]
    files = ("--trust", out / "trust.json", "--networks", out / "networks.json")
    offline = (*files, "--checkpoint", out / "checkpoint.json")
    asked = bonafides("verify", out / "presentation.json", *options, *offline)
    assert asked.returncode == ACCEPTED, asked.stdout
    other = bonafides("verify", out / "presentation.json", *options, *offline, "--challenge", "another")
    assert other.returncode == REFUSED, other.stdout
