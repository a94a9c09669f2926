"""How long the command takes to start: `bonafides verify FILE` against `import web3`, and what it imports.

Each run is a process of its own; figures are the shortest of several, taken in turns. The file is a badge of a did:key
issuer, judged offline.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.badges import as_text, secured
from bench.rows import Row

_REPEAT = 11
_ROOT = Path(__file__).resolve().parent.parent
_SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")
# What a plain badge has no need of, by top-level package.
_HEAVY = {
    "web3", "eth_account", "eth_abi", "eth_utils", "eth_typing", "eth_keys", "rlp", "pyld", "sqlalchemy",
    "pydantic_settings", "aiohttp", "py_arkworks_bls12381", "py_ecc", "didkit",
}  # fmt: skip


def measure(repeat: int = _REPEAT) -> Iterator[Row]:
    """Milliseconds for each command, and ratios to `import web3`."""
    with tempfile.TemporaryDirectory(prefix="bonafides-bench-") as name:
        files = {suite: _written(Path(name), suite) for suite in _SUITES}
        node = [sys.executable, "-m", "node"]
        verifying = {suite: [*node, "verify", str(file)] for suite, file in files.items()}
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "import web3": [sys.executable, "-c", "import web3"],
            "bonafides --help": [*node, "--help"],
            **verifying,
        }
        best = dict.fromkeys(commands, float("inf"))
        for _ in range(repeat):
            for command, words in commands.items():
                best[command] = min(best[command], _seconds(words))
        for suite, words in verifying.items():
            yield Row(
                f"bonafides verify FILE, {suite}",
                best[suite] / best["import web3"],
                "times import web3",
                at_most=0.5,
            )
            yield Row(f"  heavy imports of it, {suite}", len(_heavy_imports(words)), "packages", at_most=0)
        yield from (Row(f"  {command}", seconds * 1e3, "ms") for command, seconds in best.items())


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    _run(command)
    return time.perf_counter() - started


def _run(command: list[str]) -> str:
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, check=False, text=True)
    # 3: no trust list is given, so that nothing can be accepted.
    assert done.returncode in (0, 3), done.stderr
    return done.stderr


def _heavy_imports(command: list[str]) -> set[str]:
    told = _run([command[0], "-X", "importtime", *command[1:]])
    names = {line.rpartition("|")[2].strip() for line in told.splitlines() if line.startswith("import time:")}
    return {name.partition(".")[0] for name in names} & _HEAVY


def _written(folder: Path, suite: str) -> Path:
    file = folder / f"{suite}.json"
    file.write_text(as_text(secured(1, suite)), encoding="utf-8")
    return file
