"""The storage root of an account, computed from all the words that it holds.

Yellow Paper appendix D: a Merkle-Patricia trie whose keys are the Keccak-256 of the slots and whose values are the RLP
of the words; a word of zero is not there. Whoever knows every word of a contract gets the root that the state proves,
and whoever lacks one, has one too many or has one wrong gets another: one comparison tells of all of them.

The trie is cut at the first three nibbles of the keys, so that after a few writes only the parts that they fall into
are computed again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from node.core.evm.keccak import keccak256
from node.core.evm.rlp import Encodable, encode, encode_integer
from node.core.evm.state_proof import EMPTY_ROOT

PART_NIBBLES: Final = 3

Entry = tuple[str, int]
"""The 64 nibbles of a key, lower-case hex, and a word that is not zero."""


@dataclass(frozen=True, slots=True)
class Subtree:
    """What lies below some place of the trie: after `path`, a value or the children of a branch."""

    path: str  # nibbles
    value: bytes | None
    children: tuple[Encodable, ...] = ()

    def below(self, path: str) -> Subtree:
        """The same, seen from further up."""
        return Subtree(path + self.path, self.value, self.children)

    def node(self) -> Encodable:
        """The node at this place."""
        if self.value is not None:
            return [_hex_prefix(self.path, is_leaf=True), self.value]
        branch: Encodable = [*self.children, b""]
        return [_hex_prefix(self.path, is_leaf=False), _reference(branch)] if self.path else branch


def key_of(slot: bytes) -> str:
    """The nibbles under which a slot stands in the trie."""
    return keccak256(slot).hex()


def build(entries: Sequence[Entry], depth: int = 0) -> Subtree:
    """The subtree of one entry or more, sorted by key, which share their first `depth` nibbles."""
    first, last = entries[0][0], entries[-1][0]
    if len(entries) == 1:
        return Subtree(first[depth:], encode(encode_integer(entries[0][1])))
    shared = depth
    while first[shared] == last[shared]:
        shared += 1
    groups = groupby(entries, key=lambda entry: entry[0][shared])
    children = {nibble: build(list(group), shared + 1) for nibble, group in groups}
    return _branch(children).below(first[depth:shared])


def _branch(children: Mapping[str, Subtree]) -> Subtree:
    return Subtree(
        "",
        None,
        tuple(
            _reference(children[nibble].node()) if nibble in children else b""
            for nibble in "0123456789abcdef"
        ),
    )


def root_of(parts: Mapping[str, Subtree]) -> bytes:
    """The root of the trie, from its parts by the nibbles that they are cut at, all equally many."""
    if not parts:
        return EMPTY_ROOT
    return keccak256(encode(_joined(parts).node()))


def _joined(parts: Mapping[str, Subtree]) -> Subtree:
    while "" not in parts:
        upper: dict[str, dict[str, Subtree]] = {}
        for path, part in parts.items():
            upper.setdefault(path[:-1], {})[path[-1]] = part
        parts = {path: _over(children) for path, children in upper.items()}
    return parts[""]


def _over(children: Mapping[str, Subtree]) -> Subtree:
    if len(children) == 1:
        ((nibble, only),) = children.items()
        return only.below(nibble)
    return _branch(children)


def cut(entries: Iterable[Entry]) -> dict[str, Subtree]:
    """The parts of a trie, by their first nibbles; `entries` are sorted by key."""
    groups = groupby(entries, key=lambda entry: entry[0][:PART_NIBBLES])
    return {path: build(list(group), PART_NIBBLES) for path, group in groups}


def storage_root(words: Mapping[bytes, int]) -> bytes:
    """The root over `words` by slot (32 bytes); those that are zero count for nothing."""
    return root_of(cut(sorted((key_of(slot), word) for slot, word in words.items() if word)))


def _reference(node: Encodable) -> Encodable:
    """How a parent names a node: by its hash, or where its RLP has less than 32 bytes by itself."""
    raw = encode(node)
    return keccak256(raw) if len(raw) >= 32 else node


def _hex_prefix(path: str, *, is_leaf: bool) -> bytes:
    flag = 2 * is_leaf + len(path) % 2
    return bytes.fromhex(f"{flag:x}{path}" if len(path) % 2 else f"{flag:x}0{path}")
