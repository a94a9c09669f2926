"""Checking Merkle proofs: RFC 9162 sections 2.1.3.2 (inclusion) and 2.1.4.2 (consistency), with SHA-256.

Digests are 32 bytes, indexes zero-based. A path whose length is not the one that index and size call for is
Malformed before anything is hashed; a path that leads to another root is NotVerified.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from node.core import problem
from node.core.errors import Malformed, NotVerified
from node.core.merkle.tree import leaf_hash, node_hash

# Sizes and indexes travel as JSON integers.
MAX_SIZE: Final = 2**53 - 1
MAX_PATH: Final = 53
_MISMATCH: Final = problem.ours("merkle-proof")


def path_length(index: int, size: int) -> int:
    """The number of digests in the inclusion path of entry `index` of `size`; Malformed if there is no such."""
    if not 0 <= index < size <= MAX_SIZE:
        raise Malformed(f"no entry {index} in a tree of {size}")
    # Below the level at which the path meets the tree's right edge every node has a sibling; on the edge only
    # those do that are right children.
    inner = (index ^ (size - 1)).bit_length()
    return inner + (index >> inner).bit_count()


def root_of(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root to which `path` leads from `leaf`, the 32-byte digest of entry `index` of `size`."""
    if len(path) != path_length(index, size):
        raise Malformed(f"an inclusion path of {len(path)} digests where {path_length(index, size)} belong")
    _check_digests((leaf, *path))
    node, last = leaf, size - 1
    for sibling in path:
        while index == last and not index & 1:  # a node without sibling is carried up
            index >>= 1
            last >>= 1
        node = node_hash(sibling, node) if index & 1 else node_hash(node, sibling)
        index >>= 1
        last >>= 1
    return node


def verify_inclusion(entry: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Raise NotVerified unless `entry` is entry `index` of the tree of `size` entries with `root`.

    RFC 9162 section 2.1.3.2. `entry` is not hashed yet; a wrong path length is Malformed.
    """
    if root_of(leaf_hash(entry), index, size, path) != root:
        raise NotVerified("the inclusion path leads to another root", type=_MISMATCH)


def verify_consistency(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes
) -> None:
    """Raise NotVerified unless the tree of `first` entries is what the one of `second` began with.

    RFC 9162 section 2.1.4.2, for 0 < first <= second; equal sizes need an empty path and equal roots.
    """
    if not 0 < first <= second <= MAX_SIZE:
        raise Malformed(f"no tree of {first} within one of {second}")
    if len(path) != _consistency_length(first, second):
        raise Malformed(f"a consistency path of {len(path)} digests, which these sizes never have")
    _check_digests(path)
    old, new = _consistent_roots(first, second, path, first_root)
    if old != first_root or new != second_root:
        raise NotVerified("the consistency path leads to other roots", type=_MISMATCH)


def _consistency_length(first: int, second: int) -> int:
    if first == second:
        return 0
    at, last = _trim(first - 1, second - 1)
    # A start of its own unless the old tree is one whole subtree, then a sibling a level as for inclusion.
    return bool(at) + path_length(at, last + 1)


def _consistent_roots(
    first: int, second: int, path: Sequence[bytes], first_root: bytes
) -> tuple[bytes, bytes]:
    if first == second:
        return first_root, first_root
    at, last = _trim(first - 1, second - 1)
    old = new = path[0] if at else first_root
    for node in path[1:] if at else path:
        while at == last and not at & 1:
            at >>= 1
            last >>= 1
        if at & 1:
            old, new = node_hash(node, old), node_hash(node, new)
        else:
            new = node_hash(new, node)
        at >>= 1
        last >>= 1
    return old, new


def _trim(at: int, last: int) -> tuple[int, int]:
    """Up from the old tree's last leaf to the root of the largest subtree that it completes."""
    while at & 1:
        at >>= 1
        last >>= 1
    return at, last


def _check_digests(digests: Sequence[bytes]) -> None:
    for digest in digests:
        if len(digest) != 32:
            raise Malformed(f"a digest has 32 bytes, got {len(digest)}")
