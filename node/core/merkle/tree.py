"""Building a Merkle tree: RFC 9162 section 2.1.1, with SHA-256.

Leaf `H(0x00 ‖ entry)`, node `H(0x01 ‖ left ‖ right)`, 32-byte digests, zero-based indexes; the odd node at the
end of a level is carried up as it is, never doubled. A tree of no entries has no use here and is refused.
Checking proofs needs no tree and lives in `inclusion.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256


def leaf_hash(entry: bytes) -> bytes:
    """The digest of a leaf, `H(0x00 ‖ entry)`."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The digest of an inner node, `H(0x01 ‖ left ‖ right)`."""
    return sha256(b"\x01" + left + right).digest()


class MerkleTree:
    """A tree over `entries` with all its levels in memory: some 150 bytes an entry.

    `hashed=True` says that the entries are leaf hashes already, for who knows some leaves by hash only.
    """

    __slots__ = ("_levels",)

    def __init__(self, entries: Sequence[bytes], *, hashed: bool = False) -> None:
        if not entries:
            raise ValueError("a tree needs at least one entry")
        # Written out rather than by leaf_hash and node_hash: a call costs a third of what the hash does.
        hash_, prefix = sha256, b"\x00"
        level = list(entries) if hashed else [hash_(prefix + entry).digest() for entry in entries]
        self._levels = [level]
        prefix = b"\x01"
        while len(level) > 1:
            nodes = iter(level)
            above = [hash_(prefix + left + right).digest() for left, right in zip(nodes, nodes, strict=False)]
            if len(level) & 1:
                above.append(level[-1])
            level = above
            self._levels.append(level)

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        """MTH of all entries."""
        return self._levels[-1][0]

    @property
    def leaf_hashes(self) -> tuple[bytes, ...]:
        """The digests of the leaves, in order."""
        return tuple(self._levels[0])

    def inclusion_path(self, index: int) -> tuple[bytes, ...]:
        """PATH(index, entries) of section 2.1.3.1: siblings from the leaf upwards; IndexError outside."""
        if not 0 <= index < self.size:
            raise IndexError(f"no entry {index} in a tree of {self.size}")
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index >>= 1
        return tuple(path)

    def inclusion_paths(self) -> Iterator[tuple[bytes, ...]]:
        """The inclusion paths of all entries in order, each a step from its parent's: far cheaper together."""
        paths: list[tuple[bytes, ...]] = [()]
        for level in reversed(self._levels[1:-1]):
            paths = list(_paths_below(level, paths))
        return _paths_below(self._levels[0], paths) if self.size > 1 else iter(paths)

    def consistency_path(self, first: int) -> tuple[bytes, ...]:
        """PROOF(first, entries) of section 2.1.4.1: that the tree of the first `first` entries is in this one."""
        if not 0 < first <= self.size:
            raise IndexError(f"no tree of {first} within one of {self.size}")
        # The older tree is cut where it ends: going up, left siblings complete the old root and the new one,
        # right siblings the new one only. Whole subtrees on the old edge need no node of their own.
        path: list[bytes] = []
        at, height = first - 1, 0
        while at & 1:
            at >>= 1
            height += 1
        if at:
            path.append(self._levels[height][at])
        for level in self._levels[height:-1]:
            sibling = at ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            at >>= 1
        return tuple(path) if first < self.size else ()


def _paths_below(level: list[bytes], parents: list[tuple[bytes, ...]]) -> Iterator[tuple[bytes, ...]]:
    """The paths of the nodes of `level`, given those of the level above."""
    nodes = iter(level)
    for left, right, parent in zip(nodes, nodes, parents, strict=False):
        yield (right, *parent)
        yield (left, *parent)
    if len(level) & 1:
        yield parents[-1]
