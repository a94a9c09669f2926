"""How long the command takes to start: `bonafides --help` and `bonafides verify FILE` against `import web3`.

Each run is a process of its own; figures are the shortest of several, taken in turns. The file is a badge of a did:key
issuer, judged in mode offline.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.proofs import DID, KEY, SIGNER, badge
from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import prepare_proof
from schemas import context_digests, load_contexts

REPEAT = 11
ROOT = Path(__file__).resolve().parent.parent
SUITES = ("eddsa-jcs-2022", "eddsa-rdfc-2022")


def measure(repeat: int = REPEAT) -> dict[str, float | int | str]:
    """Milliseconds for each command, and ratios to `import web3`."""
    with tempfile.TemporaryDirectory(prefix="bonafides-bench-") as name:
        files = {suite: _signed(Path(name), suite) for suite in SUITES}
        node = [sys.executable, "-m", "node"]
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -c 'import web3'": [sys.executable, "-c", "import web3"],
            "bonafides --help": [*node, "--help"],
            **{f"bonafides verify FILE ({suite})": [*node, "verify", str(files[suite])] for suite in SUITES},
        }
        best = dict.fromkeys(commands, float("inf"))
        for _ in range(repeat):
            for row, command in commands.items():
                best[row] = min(best[row], _seconds(command))
    figures: dict[str, float | int | str] = {f"{row}, ms": round(value * 1e3) for row, value in best.items()}
    web3 = best["python -c 'import web3'"]
    for row, value in best.items():
        if row.startswith("bonafides"):
            figures[f"{row} / import web3"] = round(value / web3, 2)
    return figures


def _seconds(command: list[str]) -> float:
    started = time.perf_counter()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    taken = time.perf_counter() - started
    # 3: no trust list is given, so that nothing can be accepted.
    assert done.returncode in (0, 3), done.stderr.decode()
    return taken


def _signed(folder: Path, suite: str) -> Path:
    document = badge(1)
    # A list would be asked for, and the evidence of that badge is made up.
    del document["credentialStatus"], document["evidence"]
    canonicalizer = Canonicalizer(ContextStore(load_contexts(), context_digests()))
    options = {
        "cryptosuite": suite,
        "verificationMethod": f"{DID}#{KEY.multibase}",
        "proofPurpose": "assertionMethod",
        "created": "2026-01-01T00:00:00Z",
    }
    prepared = prepare_proof(document, options, canonicalizer)
    file = folder / f"{suite}.json"
    file.write_text(json.dumps(prepared.finish(SIGNER.sign(prepared.message).signature)))
    return file


if __name__ == "__main__":
    for row, figure in measure().items():
        print(f"{row:<60} {figure:>12}")
