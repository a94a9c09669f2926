"""npm's packages as peers: one Node.js process, `tests/interop/timings.mjs`, that times itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.rows import Pass
from schemas import load_contexts

_FOLDER = Path(__file__).resolve().parent.parent / "tests" / "interop"


class Peer:
    """The process; it knows the pinned contexts and did:key, and opens no connection."""

    def __init__(self, now: str) -> None:
        node = shutil.which("node")
        if node is None or not (_FOLDER / "node_modules").is_dir():
            raise SystemExit("peers are missing: npm ci --prefix tests/interop --ignore-scripts")
        self._process = subprocess.Popen(
            [node, "timings.mjs"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=_FOLDER
        )
        contexts = {url: json.loads(data) for url, data in load_contexts().items()}
        self._send({"contexts": contexts, "now": now})

    def each(self, work: str, items: Sequence[Any]) -> Pass:
        """A pass in that process over items that it is given now."""
        name = self._send({"do": "keep", "work": work, "items": items})

        def once() -> list[float]:
            taken: list[float] = self._send({"do": "time", "work": work, "name": name})
            return taken

        return once

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)

    def _send(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError("; ".join(answer["error"]))
        return answer["value"]
