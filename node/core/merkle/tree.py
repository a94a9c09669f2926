"""Building a Merkle tree: RFC 9162 section 2.1.1, with SHA-256.

Leaf `H(0x00 ‖ entry)`, node `H(0x01 ‖ left ‖ right)`, 32-byte digests, zero-based indexes; the odd node at the
end of a level is carried up as it is, never doubled. A tree of no entries has no use here and is refused.
Checking proofs needs no tree and lives in `inclusion.py`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Final

_BYTES: Final = 32  # of a digest


def leaf_hash(entry: bytes) -> bytes:
    """The digest of a leaf, `H(0x00 ‖ entry)`."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The digest of an inner node, `H(0x01 ‖ left ‖ right)`."""
    return sha256(b"\x01" + left + right).digest()


# A level is one run of bytes: digests as objects of their own take twice as much, and are no faster to hash. So many
# of them are objects at a time.
_AT_ONCE: Final = 1024


def _joined(digests: Sequence[bytes]) -> bytes:
    parts = [b"".join(digests[first : first + _AT_ONCE]) for first in range(0, len(digests), _AT_ONCE)]
    return b"".join(parts)


def _leaf_level(entries: Sequence[bytes]) -> bytes:
    # Here and below not by leaf_hash and node_hash: a call costs a third of what the hash does.
    hash_, prefix = sha256, b"\x00"
    return b"".join(
        [
            b"".join([hash_(prefix + entry).digest() for entry in entries[first : first + _AT_ONCE]])
            for first in range(0, len(entries), _AT_ONCE)
        ]
    )


def _level_above(level: bytes) -> bytes:
    hash_, prefix, pair = sha256, b"\x01", 2 * _BYTES
    paired = len(level) // pair * pair
    parts = []
    for first in range(0, paired, _AT_ONCE * pair):
        starts = range(first, min(first + _AT_ONCE * pair, paired), pair)
        parts.append(b"".join([hash_(prefix + level[start : start + pair]).digest() for start in starts]))
    return b"".join([*parts, level[paired:]])


class MerkleTree:
    """A tree over `entries` with all its levels in memory: 64 bytes an entry.

    `hashed=True` says that the entries are leaf hashes already, for who knows some leaves by hash only.
    """

    __slots__ = ("_levels",)

    def __init__(self, entries: Sequence[bytes], *, hashed: bool = False) -> None:
        if not entries:
            raise ValueError("a tree needs at least one entry")
        level = _joined(entries) if hashed else _leaf_level(entries)
        self._levels = [level]
        while len(level) > _BYTES:
            level = _level_above(level)
            self._levels.append(level)

    @property
    def size(self) -> int:
        """The number of entries."""
        return len(self._levels[0]) // _BYTES

    @property
    def root(self) -> bytes:
        """MTH of all entries."""
        return self._levels[-1]

    def inclusion_path(self, index: int) -> tuple[bytes, ...]:
        """PATH(index, entries) of section 2.1.3.1: siblings from the leaf upwards; IndexError outside."""
        if not 0 <= index < self.size:
            raise IndexError(f"no entry {index} in a tree of {self.size}")
        siblings = ((height, (index >> height) ^ 1) for height in range(len(self._levels) - 1))
        return tuple(self._node(height, at) for height, at in siblings if self._has(height, at))

    def inclusion_paths(self) -> Iterator[tuple[bytes, ...]]:
        """The inclusion paths of all entries in order, each a step from its parent's: far cheaper together."""
        height = len(self._levels) - 1
        paths: list[tuple[bytes, ...]] = [()]
        while height and len(paths) < _AT_ONCE:
            height -= 1
            paths = self._paths_below(height, 0, paths)
        for index, path in enumerate(paths):
            below = [path]
            for lower in reversed(range(height)):
                below = self._paths_below(lower, index << (height - lower), below)
            yield from below

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
            path.append(self._node(height, at))
        for height_ in range(height, len(self._levels) - 1):
            sibling = at ^ 1
            if self._has(height_, sibling):
                path.append(self._node(height_, sibling))
            at >>= 1
        return tuple(path) if first < self.size else ()

    def _node(self, height: int, index: int) -> bytes:
        return self._levels[height][index * _BYTES : (index + 1) * _BYTES]

    def _has(self, height: int, index: int) -> bool:
        return index * _BYTES < len(self._levels[height])

    def _paths_below(
        self, height: int, first: int, parents: list[tuple[bytes, ...]]
    ) -> list[tuple[bytes, ...]]:
        """The paths of the nodes at `height` from index `first` on, given those of their parents."""
        level, start = self._levels[height], first * _BYTES
        paths = []
        for parent in parents:
            middle, end = start + _BYTES, start + 2 * _BYTES
            if middle == len(level):
                paths.append(parent)  # carried up as it is
            else:
                paths += ((level[middle:end], *parent), (level[start:middle], *parent))
            start = end
        return paths
