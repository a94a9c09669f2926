"""Other people's software as a fixture: one Node.js process for all tests that need it."""

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
    """`other_software.mjs`, which loads nothing but what it was given: contexts, schemas, DID documents."""

    def __init__(self, known: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            ["node", str(HERE / "other_software.mjs")],
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
def start_other_software() -> Iterator[Any]:
    """Starts one more process that knows other DID documents or schemas."""
    started: list[OtherSoftware] = []

    def start(**known: dict[str, Any]) -> OtherSoftware:
        if shutil.which("node") is None or not (HERE / "node_modules/@digitalbazaar/vc").is_dir():
            missing("no Node.js packages: npm ci --prefix tests/interop --ignore-scripts")
        contexts = {url: json.loads(data) for url, data in load_contexts().items()}
        empty: dict[str, Any] = {"contexts": contexts, "schemas": {}, "documents": {}}
        started.append(OtherSoftware({**empty, **known}))
        return started[-1]

    yield start
    for process in started:
        process.close()


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
