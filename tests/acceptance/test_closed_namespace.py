"""Offline, in earnest: with a bundle and a file of trusted hashes nothing is opened, and nothing could be.

The command judges specimens of the vault in a process that tells every socket it makes (PEP 578), and in a network
namespace without any interface but loopback, which is down. Where the machine allows no such namespace (containers
often do not), that half is skipped; sockets are counted in any case.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from vault.specimens import VAULT, read_index

ROOT = Path(__file__).resolve().parents[2]
EDITION = VAULT / "0.1.0"
IN_CLOSED_NAMESPACE = ("unshare", "--user", "--map-root-user", "--net", "--")
ACCEPTED, REFUSED, UNDETERMINED = 0, 1, 3
NOWHERE = "http://127.0.0.1:9"
# What it writes to the file: the interfaces that there are, and each audited event of the module `socket`.
WATCHED = """
import json, socket, sys
interfaces = [name for _, name in socket.if_nameindex()]
events = []
sys.addaudithook(lambda event, _: events.append(event) if event.startswith("socket.") else None)
from node.cli import main
try:
    sys.exit(main(sys.argv[2:]))
finally:
    with open(sys.argv[1], "w") as told:
        json.dump({"interfaces": interfaces, "events": events}, told)
"""


@dataclass(frozen=True)
class Run:
    """What a command answered, and which audited events of `socket` there were."""

    status: int
    reports: list[dict[str, Any]]
    events: list[str]


class Machine:
    """Where the command runs: this machine, or a namespace of its own."""

    def __init__(self, folder: Path, *before: str) -> None:
        self._told = folder / "told.json"
        self._before = before

    def verify(self, *words: str) -> Run:
        command = [*self._before, sys.executable, "-c", WATCHED, str(self._told), "verify", "--json", *words]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, cwd=ROOT, env=_environment(), check=False
        )
        assert self._told.exists(), done.stderr
        told = json.loads(self._told.read_bytes())
        if self._before:
            assert told["interfaces"] == ["lo"]
        reports = [json.loads(line) for line in done.stdout.splitlines()]
        return Run(done.returncode, reports, told["events"])


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("BONAFIDES_")}


@pytest.fixture(params=["closed namespace", "this machine"])
def machine(request: pytest.FixtureRequest, tmp_path: Path) -> Machine:
    if request.param == "this machine":
        return Machine(tmp_path)
    try:
        tried = subprocess.run(
            [*IN_CLOSED_NAMESPACE, "true"], capture_output=True, text=True, timeout=30, check=False
        )
    except FileNotFoundError:
        pytest.skip("no unshare (util-linux) to make a network namespace with")
    if tried.returncode:
        pytest.skip(f"this machine allows no network namespace: {tried.stderr.strip()}")
    return Machine(tmp_path, *IN_CLOSED_NAMESPACE)


def believed(*names: str) -> list[str]:
    """The words with which specimens are judged as of the day they were made."""
    (now,) = {entry["now"] for entry in read_index(EDITION)["specimens"] if entry["name"] in names}
    files = {entry["name"]: entry["file"] for entry in read_index(EDITION)["specimens"]}
    beliefs = [f"--{name}={EDITION / name}.json" for name in ("networks", "trust", "checkpoint")]
    return [*beliefs, f"--as-of={now}", *(str(EDITION / files[name]) for name in names)]


def outcomes(report: dict[str, Any], *names: str) -> list[str]:
    told = {check["name"]: check["outcome"] for check in report["checks"]}
    return [told[name] for name in names]


def test_a_bundle_and_a_trusted_hash_are_judged_with_no_socket_opened(machine: Machine) -> None:
    done = machine.verify(*believed("eddsa-rdfc-2022", "vc-sd-jwt-part", "evidence-one", "baked-png"))
    assert (done.status, done.events) == (ACCEPTED, [])
    assert [report["acceptance"] for report in done.reports] == ["accepted"] * 4
    decided = ("proof", "network", "header", "anchor", "key", "status", "freshness", "issuer_trust")
    assert outcomes(done.reports[0], *decided) == ["passed"] * len(decided)
    assert all(report["contacted"] == [] for report in done.reports)


def test_what_was_revoked_or_lacks_its_bundle_is_told_without_a_socket_too(machine: Machine) -> None:
    done = machine.verify(*believed("revoked", "alone"))
    assert (done.status, done.events) == (REFUSED, [])
    assert [report["acceptance"] for report in done.reports] == ["refused", "undetermined"]
    assert outcomes(done.reports[0], "anchor", "key", "status") == ["passed", "passed", "failed"]
    assert outcomes(done.reports[1], "anchor", "key", "status") == ["unknown"] * 3


def test_who_names_an_endpoint_is_seen_to_open_sockets(machine: Machine) -> None:
    done = machine.verify(*believed("alone"), f"--rpc={NOWHERE}")
    assert done.status == UNDETERMINED
    assert "socket.connect" in done.events
