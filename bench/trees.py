"""A tree of a million leaves and all its inclusion paths, against bare SHA-256 and merkletools.

Bare SHA-256 is `sha256(data).digest()` in a list comprehension over the same inputs, built beforehand: what Python
cannot go below. merkletools gets the same leaves as hex texts. Each tree grows in a process of its own, which tells
how much more memory it took at its highest once the leaves were there.
"""

from __future__ import annotations

import gc
import importlib
import json
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from hashlib import sha256
from itertools import chain
from pathlib import Path
from typing import Any

from bench.rows import Row
from node.core.merkle.inclusion import verify_inclusion
from node.core.merkle.tree import MerkleTree

ENTRIES = 1_000_000
_ROOT = Path(__file__).resolve().parent.parent


def measure() -> Iterator[Row]:
    """The tree and its paths."""
    ours, theirs = (_in_a_process(which) for which in ("ours", "merkletools"))
    built = ours["tree"]
    yield Row("tree of a million leaves", built / ours["bare"], "times bare hashing", at_most=1.5)
    yield Row(
        "  tree of a million leaves, as against merkletools", theirs["tree"] / built, "times merkletools"
    )
    yield Row("all its inclusion paths", theirs["paths"] / ours["paths"], "times merkletools", 2)
    memory = ours["bytes"] / theirs["bytes"]
    yield Row("memory for tree and paths", memory, "times merkletools", at_most=0.6)
    yield Row("  bare SHA-256 of leaves and nodes", ours["bare"], "s")
    for name, found in (("ours", ours), ("merkletools", theirs)):
        yield Row(f"  tree: {name}", found["tree"], "s")
        yield Row(f"  all paths: {name}", found["paths"], "s")
        yield Row(f"  memory: {name}", found["bytes"] / 2**20, "MiB")
    yield Row("  one inclusion check in a tree of a million", ours["check"] * 1e6, "µs")


def _in_a_process(which: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.trees", which]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _seconds(work: Callable[[], object], repeat: int = 3) -> float:
    best = float("inf")
    for _ in range(repeat):
        gc.collect()
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _entries() -> Iterator[bytes]:
    """Entries of 66 bytes, as anchors have them."""
    return (b"\x01\x01" + number.to_bytes(32, "big") + bytes(32) for number in range(ENTRIES))


def _highest() -> int:
    # Not ru_maxrss: a process begins with that of its parent, which may be large by now.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def _ours() -> dict[str, float]:
    entries = list(_entries())
    before = _highest()
    tree = MerkleTree(entries)
    paths = _seconds(lambda: sum(1 for _ in tree.inclusion_paths()), 1)
    taken = _highest() - before
    path, root = tree.inclusion_path(ENTRIES // 3), tree.root
    checks = 2000

    def check() -> None:
        for _ in range(checks):
            verify_inclusion(entries[ENTRIES // 3], ENTRIES // 3, ENTRIES, path, root)

    found = {"paths": paths, "bytes": taken, "check": _seconds(check) / checks}
    hashed = [b"\x00" + entry for entry in entries], [entry[:65] for entry in entries[1:]]
    for _ in range(3):  # in turns
        bare = _seconds(lambda: [sha256(data).digest() for data in chain(*hashed)], 1)
        built = _seconds(lambda: MerkleTree(entries), 1)
        found["bare"] = min(bare, found.get("bare", bare))
        found["tree"] = min(built, found.get("tree", built))
    return found


def _merkletools() -> dict[str, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a SHA-3 package that Python 3 does not need
        tree: Any = importlib.import_module("merkletools").MerkleTools()
    texts = [entry.hex() for entry in _entries()]
    before = _highest()

    def build() -> None:
        tree.reset_tree()
        tree.add_leaf(texts, do_hash=True)
        tree.make_tree()

    found = {"tree": _seconds(build, 1)}
    found["paths"] = _seconds(lambda: [None for index in range(ENTRIES) if not tree.get_proof(index)], 1)
    return found | {"bytes": _highest() - before}


if __name__ == "__main__":
    print(json.dumps({"ours": _ours, "merkletools": _merkletools}[sys.argv[1]]()))
