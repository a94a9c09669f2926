"""Trees of a million entries against bare SHA-256 and merkletools; a state proof against PyPI trie.

`python -m bench.trees` prints the table. Bare SHA-256 is `sha256(data).digest()` in a list comprehension over the
same inputs, built beforehand: what Python cannot go below. merkletools gets 100,000 leaves as hex texts, and our
tree the same entries where it is compared with it. The state proof is as deep as mainnet's: eight full branches
above the account, five above each of the slots, of which all share the uppermost.
"""

from __future__ import annotations

import gc
import importlib
import time
import warnings
from collections.abc import Callable, Mapping
from hashlib import sha256
from itertools import chain
from typing import Any

from node.core.evm import rlp
from node.core.evm.header import Header
from node.core.evm.keccak import keccak256
from node.core.evm.state_proof import prove_slots
from node.core.merkle.inclusion import verify_inclusion
from node.core.merkle.tree import MerkleTree

ENTRIES = 1_000_000
PEER_ENTRIES = 100_000
ACCOUNT_DEPTH = 8
STORAGE_DEPTH = 5
_REPEAT = 3


def measure() -> dict[str, float | int | str]:
    """Every figure by its name; ratios say what they are ratios of."""
    return {**_against_hashing(), **_against_merkletools(), **_state_proof()}


def _seconds(work: Callable[[], object], repeat: int = _REPEAT) -> float:
    best = float("inf")
    for _ in range(repeat):
        gc.collect()
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def _entries(count: int) -> list[bytes]:
    """Entries of 66 bytes, as anchors have them."""
    return [b"\x01\x01" + number.to_bytes(32, "big") + bytes(32) for number in range(count)]


def _against_hashing() -> dict[str, float | int | str]:
    entries = _entries(ENTRIES)
    leaves = [b"\x00" + entry for entry in entries]
    nodes = [entry[:65] for entry in entries[1:]]
    bare = _seconds(lambda: [sha256(data).digest() for data in chain(leaves, nodes)])
    leaves.clear()
    nodes.clear()
    built = _seconds(lambda: MerkleTree(entries))
    tree = MerkleTree(entries)
    paths = _seconds(lambda: sum(1 for _ in tree.inclusion_paths()), 1)
    path, root = tree.inclusion_path(ENTRIES // 3), tree.root
    checks = 2000

    def check() -> None:
        for _ in range(checks):
            verify_inclusion(entries[ENTRIES // 3], ENTRIES // 3, ENTRIES, path, root)

    checked = _seconds(check)
    return {
        "bare SHA-256, a million leaves and their nodes, s": bare,
        "our tree of a million entries, s": built,
        "our tree / bare SHA-256": built / bare,
        "all million inclusion paths, s": paths,
        "one inclusion check in a tree of a million, µs": checked / checks * 1e6,
    }


def _against_merkletools() -> dict[str, float | int | str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it looks for a SHA-3 package that Python 3 does not need
        peer_type: Any = importlib.import_module("merkletools").MerkleTools
    entries = _entries(PEER_ENTRIES)
    texts = [entry.hex() for entry in entries]

    def theirs() -> Any:
        tree = peer_type()
        tree.add_leaf(texts, do_hash=True)
        tree.make_tree()
        return tree

    peer = theirs()
    their_paths = _seconds(lambda: [peer.get_proof(index) for index in range(0, PEER_ENTRIES, 10)], 1) * 10
    ours = MerkleTree(entries)
    our_paths = _seconds(lambda: list(ours.inclusion_paths()))
    return {
        "merkletools / ours: tree of 100,000": _seconds(theirs) / _seconds(lambda: MerkleTree(entries)),
        "merkletools / ours: all 100,000 paths": their_paths / our_paths,
    }


def _state_proof() -> dict[str, float | int | str]:
    their_check: Any = importlib.import_module("trie").HexaryTrie.get_from_proof
    address = b"\xcd" * 20
    slots = {(7 * number).to_bytes(32, "big"): 10**30 + number for number in range(5)}
    storage_root, storage_nodes = _deep_trie(
        {keccak256(slot): rlp.encode(rlp.encode_integer(word)) for slot, word in slots.items()}, STORAGE_DEPTH
    )
    account = rlp.encode([b"\x01", b"", storage_root, keccak256(b"code")])
    state_root, account_nodes = _deep_trie({keccak256(address): account}, ACCOUNT_DEPTH)
    nodes = (*account_nodes, *storage_nodes)
    header = Header(b"", bytes(32), 1, 1, state_root, bytes(32))
    assert prove_slots(header, nodes, address, tuple(slots)).values == slots
    checks = 300
    ours = (
        _seconds(lambda: [prove_slots(header, nodes, address, tuple(slots)) for _ in range(checks)]) / checks
    )

    def theirs() -> None:
        their_check(state_root, keccak256(address), [rlp.decode(node) for node in account_nodes])
        proof = [rlp.decode(node) for node in storage_nodes]
        for slot in slots:
            their_check(storage_root, keccak256(slot), proof)

    bare = _seconds(lambda: [[keccak256(node) for node in nodes] for _ in range(checks)]) / checks
    return {
        f"state proof, account and 5 slots, {len(nodes)} nodes, µs": ours * 1e6,
        "state proof / Keccak-256 of its nodes alone": ours / bare,
        "PyPI trie / ours: the same proof": _seconds(theirs, 20) / ours,
    }


def _deep_trie(values: Mapping[bytes, bytes], depth: int) -> tuple[bytes, list[bytes]]:
    """Root and proof nodes of a trie that is full down to `depth`, of which only the paths to `values` exist.

    Keys are hashes already. Branches that would be shared by chance below the second level are not.
    """
    nodes: dict[bytes, bytes] = {}

    def reference(keys: list[bytes], level: int) -> bytes:
        if level >= depth and len(keys) == 1:
            nibbles = keys[0].hex()[level:]
            path = bytes.fromhex("3" + nibbles if len(nibbles) % 2 else "20" + nibbles)
            node = rlp.encode([path, values[keys[0]]])
        else:
            children = [sha256(f"{level} {digit} {keys[0].hex()}".encode()).digest() for digit in range(16)]
            for digit in range(16):
                below = [key for key in keys if key.hex()[level] == f"{digit:x}"]
                if below:
                    children[digit] = reference(below, level + 1)
            node = rlp.encode([*children, b""])
        nodes[keccak256(node)] = node
        return keccak256(node)

    return reference(list(values), 0), list(nodes.values())


if __name__ == "__main__":
    for name, figure in measure().items():
        print(f"{name:<72} {figure:>12,.3g}" if isinstance(figure, float) else f"{name:<72} {figure:>12}")
