"""Proofs as they are in large tries, of which only the nodes on the way are made.

Keys are hashes, so each digit of a key is any of sixteen. How many of the other keys stand under each child of a node
is drawn accordingly, level by level: depth, occupied children and extensions are then those of a trie that is built
whole, with which `tests/unit/test_bench_tries.py` compares them. What hangs beside the way is a random hash.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from random import Random

from node.core.evm import rlp
from node.core.evm.keccak import keccak256

_DIGITS = "0123456789abcdef"
_LENGTH = 64
# From so many keys on, their shares are drawn as normal deviates: by then no child is empty, and nothing else shows.
_MANY = 8192


def draw_trie(
    values: Mapping[bytes, bytes | None], others: int, random: Random, other: bytes
) -> tuple[bytes, list[bytes]]:
    """Root of a trie, and its nodes on the ways to the keys of `values`, each once.

    By hashed key the value that it has there, or None where it has none; so many `others` have the value `other`.
    Values have at least 2 bytes, so that no node is under 32 and stands in its parent.
    """
    present = {key.hex(): value for key, value in values.items() if value is not None}
    absent = [key.hex() for key, value in values.items() if value is None]
    trie = _Trie(present, random, other)
    return trie.reference(list(present), absent, others, ""), trie.nodes


class _Trie:
    """Keys are written as 64 hex digits."""

    def __init__(self, values: Mapping[str, bytes], random: Random, other: bytes) -> None:
        self._values = values
        self._random = random
        self._other = other
        self.nodes: list[bytes] = []

    def reference(self, present: Sequence[str], absent: Sequence[str], others: int, way: str) -> bytes:
        """Hash of the node below the digits `way`, which is added to `nodes` with those below it that are asked for."""
        if len(present) + others == 1:
            return self._leaf(present, way)
        start = len(way)
        while len(shares := self._shares(present, others, way)) == 1:
            way += next(iter(shares))
        absent = [key for key in absent if key.startswith(way)]
        is_asked_for = bool(present or absent)
        below = self._branch(shares, absent, way) if is_asked_for else self._hash()
        return below if len(way) == start else self._add([_path(way[start:], 0), below])

    def _leaf(self, present: Sequence[str], way: str) -> bytes:
        if present:
            return self._add([_path(present[0][len(way) :], 2), self._values[present[0]]])
        rest = "".join(self._random.choices(_DIGITS, k=_LENGTH - len(way)))
        return self._add([_path(rest, 2), self._other])

    def _branch(self, shares: Mapping[str, tuple[list[str], int]], absent: Sequence[str], way: str) -> bytes:
        children = dict.fromkeys(_DIGITS, b"")
        for digit, (mine, others) in shares.items():
            ended = [key for key in absent if key[len(way)] == digit]
            asked = mine or ended
            children[digit] = self.reference(mine, ended, others, way + digit) if asked else self._hash()
        return self._add([*children.values(), b""])

    def _shares(self, present: Sequence[str], others: int, way: str) -> dict[str, tuple[list[str], int]]:
        """By digit: which of the keys, and how many others, have it next. Digits that none has are left out."""
        counts = _dealt(others, self._random)
        shares = {
            digit: ([key for key in present if key[len(way)] == digit], counts[digit]) for digit in _DIGITS
        }
        return {digit: (mine, count) for digit, (mine, count) in shares.items() if mine or count}

    def _hash(self) -> bytes:
        return self._random.randbytes(32)

    def _add(self, items: list[bytes]) -> bytes:
        node = rlp.encode(items)
        self.nodes.append(node)
        return keccak256(node)


def _dealt(number: int, random: Random) -> Counter[str]:
    if number < _MANY:
        return Counter(random.choices(_DIGITS, k=number))
    mean, deviation = number / 16, (number * 15 / 256) ** 0.5
    return Counter({digit: round(random.gauss(mean, deviation)) for digit in _DIGITS})


def _path(digits: str, flag: int) -> bytes:
    """Hex-prefix form (Yellow Paper appendix C); flag 2 for a leaf, 0 for an extension."""
    odd = len(digits) % 2
    return bytes.fromhex(f"{flag | odd:x}{'' if odd else '0'}{digits}")
