"""Other people's software as fixtures: one Node.js process for tests of embedded proofs, one for those of tokens."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.skipping import missing

from schemas import load_contexts

HERE = Path(__file__).resolve().parent


class OtherSoftware:
    """A script that answers line by line and loads nothing but what it was given: contexts, DID documents …"""

    def __init__(self, script: str, known: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=HERE,
        )
        assert self._send(known) == {"value": {}}

    def ask(self, task: str, **arguments: Any) -> Any:
        """What `task` answered; an exception there is one here."""
        answer = self._send({"do": task, **arguments})
        if "error" in answer:
            raise RuntimeError("; ".join(answer["error"]))
        return answer["value"]

    def _send(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        """End the process by ending its input."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()


@pytest.fixture(scope="session")
def _start() -> Iterator[Any]:
    started: list[OtherSoftware] = []

    def start(script: str, known: dict[str, Any]) -> OtherSoftware:
        if shutil.which("node") is None or not (HERE / "node_modules/@digitalbazaar/vc").is_dir():
            missing("no Node.js packages: npm ci --prefix tests/interop --ignore-scripts")
        started.append(OtherSoftware(script, known))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture(scope="session")
def start_other(_start: Any) -> Any:
    """Starts a script that is told nothing beforehand."""

    def start(script: str) -> OtherSoftware:
        process: OtherSoftware = _start(script, {})
        return process

    return start


@pytest.fixture(scope="session")
def start_other_software(_start: Any) -> Any:
    """Starts one more process for embedded proofs, which knows other DID documents or schemas."""

    def start(**known: dict[str, Any]) -> OtherSoftware:
        contexts = {url: json.loads(data) for url, data in load_contexts().items()}
        empty: dict[str, Any] = {"contexts": contexts, "schemas": {}, "documents": {}}
        process: OtherSoftware = _start("other_software.mjs", {**empty, **known})
        return process

    return start


@pytest.fixture(scope="session")
def start_other_tokens(_start: Any) -> Any:
    """Starts one more process for tokens, which knows other DID documents or reads them from a chain."""

    def start(**known: Any) -> OtherSoftware:
        process: OtherSoftware = _start("other_tokens.mjs", {"documents": {}, "ethr": None, **known})
        return process

    return start


@pytest.fixture(scope="session")
def other_tokens(start_other_tokens: Any) -> OtherSoftware:
    """The process for tokens that most tests share. It knows did:key alone."""
    process: OtherSoftware = start_other_tokens()
    return process


@pytest.fixture(scope="session")
def other_software(start_other_software: Any, one_edtech_schema: dict[str, Any]) -> OtherSoftware:
    """The process that most tests share. It knows 1EdTech's schema of badges where that is at hand."""
    process: OtherSoftware = start_other_software(schemas=one_edtech_schema)
    return process


@pytest.fixture(scope="session")
def one_edtech_schema() -> dict[str, Any]:
    """1EdTech's own schema by its URL; empty without the published vectors."""
    folder = Path(os.environ.get("BONAFIDES_VECTORS") or HERE.parents[2] / "shared" / "vectors")
    name = "ob_v3p0_achievementcredential_schema.json"
    file = folder / "ob3-schema" / name
    if not file.is_file():
        return {}
    return {f"https://purl.imsglobal.org/spec/ob/v3p0/schema/json/{name}": json.loads(file.read_bytes())}
