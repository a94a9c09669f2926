"""The RFC 9162 tree: roots that Certificate Transparency publishes, and proofs against the RFC's own recursion."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.core.errors import Malformed, NotVerified
from node.core.merkle.inclusion import (
    path_length,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from node.core.merkle.tree import MerkleTree, leaf_hash, node_hash

# The reference tree of Certificate Transparency implementations.
CT_ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
CT_ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
# Zero-based index, size, path.
CT_INCLUSION = (
    (
        0,
        8,
        (
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ),
    ),
    (
        5,
        8,
        (
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
)
CT_CONSISTENCY = (
    (
        6,
        8,
        (
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ),
    ),
)
ENTRIES = [bytes([number]) * 3 for number in range(65)]


def mth(entries: list[bytes]) -> bytes:
    """RFC 9162 section 2.1.1, word for word."""
    if len(entries) == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = 1 << (len(entries) - 1).bit_length() - 1
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def path(index: int, entries: list[bytes]) -> tuple[bytes, ...]:
    """RFC 9162 section 2.1.3.1."""
    if len(entries) == 1:
        return ()
    k = 1 << (len(entries) - 1).bit_length() - 1
    if index < k:
        return (*path(index, entries[:k]), mth(entries[k:]))
    return (*path(index - k, entries[k:]), mth(entries[:k]))


def proof(first: int, entries: list[bytes], whole: bool = True) -> tuple[bytes, ...]:
    """RFC 9162 section 2.1.4.1, SUBPROOF."""
    if first == len(entries):
        return () if whole else (mth(entries),)
    k = 1 << (len(entries) - 1).bit_length() - 1
    if first <= k:
        return (*proof(first, entries[:k], whole), mth(entries[k:]))
    return (*proof(first - k, entries[k:], False), mth(entries[:k]))


@pytest.mark.parametrize("size", range(1, 9))
def test_roots_are_those_of_the_published_tree(size):
    assert MerkleTree(CT_ENTRIES[:size]).root.hex() == CT_ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "expected"), CT_INCLUSION)
def test_inclusion_paths_are_those_of_the_published_tree(index, size, expected):
    found = MerkleTree(CT_ENTRIES[:size]).inclusion_path(index)
    assert tuple(digest.hex() for digest in found) == expected


@pytest.mark.parametrize(("first", "second", "expected"), CT_CONSISTENCY)
def test_consistency_paths_are_those_of_the_published_tree(first, second, expected):
    found = MerkleTree(CT_ENTRIES[:second]).consistency_path(first)
    assert tuple(digest.hex() for digest in found) == expected


@pytest.mark.parametrize("size", range(1, 66))
def test_every_entry_of_every_size_is_proven_by_the_path_of_the_rfc(size):
    entries = ENTRIES[:size]
    tree = MerkleTree(entries)
    together = list(tree.inclusion_paths())
    assert tree.root == mth(entries)
    for index, entry in enumerate(entries):
        expected = path(index, entries)
        assert tree.inclusion_path(index) == together[index] == expected
        assert path_length(index, size) == len(expected)
        verify_inclusion(entry, index, size, expected, tree.root)


@pytest.mark.parametrize("at_once", [1, 2, 5, 16])
def test_a_tree_is_the_same_however_much_of_it_is_worked_on_at_a_time(at_once, monkeypatch):
    monkeypatch.setattr("node.core.merkle.tree._AT_ONCE", at_once)
    for size in range(1, 66):
        entries = ENTRIES[:size]
        tree = MerkleTree(entries)
        assert tree.root == MerkleTree([*map(leaf_hash, entries)], hashed=True).root == mth(entries)
        assert list(tree.inclusion_paths()) == [path(index, entries) for index in range(size)]


@pytest.mark.parametrize("size", range(1, 66))
def test_every_earlier_size_is_proven_consistent(size):
    tree = MerkleTree(ENTRIES[:size])
    for first in range(1, size + 1):
        found = tree.consistency_path(first)
        assert found == proof(first, ENTRIES[:size])
        verify_consistency(first, size, found, mth(ENTRIES[:first]), tree.root)


def flipped(data: bytes, bit: int) -> bytes:
    return (int.from_bytes(data, "big") ^ 1 << bit).to_bytes(len(data), "big")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 64, 65])
def test_a_flipped_bit_of_an_inclusion_proof_is_not_verified(size):
    tree = MerkleTree(ENTRIES[:size])
    for index in {0, size // 2, size - 1}:
        good = tree.inclusion_path(index)
        for position in range(len(good)):
            for bit in (0, 100, 255):
                bad = (*good[:position], flipped(good[position], bit), *good[position + 1 :])
                with pytest.raises(NotVerified):
                    verify_inclusion(ENTRIES[index], index, size, bad, tree.root)
        with pytest.raises(NotVerified):
            verify_inclusion(flipped(ENTRIES[index], 3), index, size, good, tree.root)
        with pytest.raises(NotVerified):
            verify_inclusion(ENTRIES[index], index, size, good, flipped(tree.root, 7))


@pytest.mark.parametrize(("first", "second"), [(1, 2), (3, 7), (4, 8), (6, 8), (33, 65), (64, 65)])
def test_a_flipped_bit_of_a_consistency_proof_is_not_verified(first, second):
    good = MerkleTree(ENTRIES[:second]).consistency_path(first)
    old, new = mth(ENTRIES[:first]), mth(ENTRIES[:second])
    for position in range(len(good)):
        bad = (*good[:position], flipped(good[position], 9), *good[position + 1 :])
        with pytest.raises(NotVerified):
            verify_consistency(first, second, bad, old, new)
    for roots in ((flipped(old, 0), new), (old, flipped(new, 0))):
        with pytest.raises(NotVerified):
            verify_consistency(first, second, good, *roots)


def test_equal_sizes_are_consistent_only_with_equal_roots():
    root = mth(ENTRIES[:5])
    verify_consistency(5, 5, (), root, root)
    with pytest.raises(NotVerified):
        verify_consistency(5, 5, (), root, flipped(root, 0))


@pytest.mark.parametrize("index", range(7))
def test_the_path_of_one_index_does_not_prove_another(index):
    tree = MerkleTree(ENTRIES[:7])
    for other in range(7):
        if other != index:
            with pytest.raises((NotVerified, Malformed)):
                verify_inclusion(ENTRIES[index], other, 7, tree.inclusion_path(index), tree.root)


@pytest.mark.parametrize("change", [lambda p: p[:-1], lambda p: (*p, bytes(32)), lambda _: ()])
def test_a_path_of_the_wrong_length_is_malformed(change):
    tree = MerkleTree(ENTRIES[:6])
    with pytest.raises(Malformed):
        verify_inclusion(ENTRIES[2], 2, 6, change(tree.inclusion_path(2)), tree.root)
    with pytest.raises(Malformed):
        verify_consistency(3, 6, change(tree.consistency_path(3)), mth(ENTRIES[:3]), tree.root)


@pytest.mark.parametrize("digest", [b"", bytes(31), bytes(33)])
def test_a_digest_that_is_not_32_bytes_is_malformed(digest):
    tree = MerkleTree(ENTRIES[:2])
    with pytest.raises(Malformed):
        verify_inclusion(ENTRIES[0], 0, 2, (digest,), tree.root)
    with pytest.raises(Malformed):
        verify_consistency(1, 2, (digest,), mth(ENTRIES[:1]), tree.root)


@pytest.mark.parametrize(("index", "size"), [(0, 0), (1, 1), (-1, 4), (8, 8), (0, 2**53), (2**60, 2**61)])
def test_an_index_outside_the_tree_is_malformed(index, size):
    with pytest.raises(Malformed):
        root_of(bytes(32), index, size, ())


@pytest.mark.parametrize(("first", "second"), [(0, 4), (5, 4), (-1, 1)])
def test_consistency_needs_an_older_tree_that_is_not_larger(first, second):
    with pytest.raises(Malformed):
        verify_consistency(first, second, (), bytes(32), bytes(32))


def test_an_inner_node_is_never_a_leaf():
    left, right = map(leaf_hash, ENTRIES[:2])
    root = node_hash(left, right)
    with pytest.raises(NotVerified):  # the second preimage that trees without prefixes allow
        verify_inclusion(left + right, 0, 1, (), root)


def test_a_doubled_last_entry_makes_another_root():
    assert MerkleTree(ENTRIES[:3]).root != MerkleTree([*ENTRIES[:3], ENTRIES[2]]).root  # CVE-2012-2459


def test_leaf_hashes_alone_make_the_same_tree():
    tree = MerkleTree(ENTRIES[:11])
    again = MerkleTree([*map(leaf_hash, ENTRIES[:11])], hashed=True)
    assert again.root == tree.root
    assert list(again.inclusion_paths()) == list(tree.inclusion_paths())


def test_a_tree_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        MerkleTree([])
