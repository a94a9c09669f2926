"""Merkle-Patricia proofs of accounts and storage slots (Yellow Paper appendix D, EIP-1186), checked offline.

FORMATS.md section 8. A proof is a pool of trie nodes, found by their Keccak-256 from the state root down.
Each node stands in the pool once and is used. Nodes under 32 bytes live inside their parents only, others are
named by hash only; keys are hashed, so every path has 64 nibbles and no branch holds a value. With strict RLP
that leaves one spelling for each proof.

Both families mean that the proof shows nothing: Malformed, that it breaks the form; NotVerified, that it does
not lead from the given root to what was asked. An absent key is a result (None, or 0), proven as strictly as a
present one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.core import problem
from node.core.errors import Malformed, NotVerified
from node.core.evm.header import Header
from node.core.evm.keccak import keccak256
from node.core.evm.registry import HISTORY_ADDRESS, HISTORY_BLOCKS, history_slot
from node.core.evm.rlp import Item, decode_bytes, decode_integer, decode_list, encode

EMPTY_ROOT: Final = bytes.fromhex("56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421")
MAX_NODE_BYTES: Final = 1024
MAX_PATH_NODES: Final = 64
# An account and some thirty slots, each with a path of its own below the shared top of the trie.
MAX_POOL_NODES: Final = 512
_NIBBLES: Final = 64
# RLP of a list of 529 bytes, sixteen strings of 32 and an empty one.
_FULL_BRANCH_BYTES: Final = 532
_FULL_BRANCH_PREFIX: Final = b"\xf9\x02\x11"
_HASH_PREFIXES: Final = b"\xa0" * 16
_MISMATCH: Final = problem.ours("state-proof")


@dataclass(frozen=True, slots=True)
class Account:
    """What the state trie holds of an account."""

    nonce: int
    balance: int  # wei
    storage_root: bytes
    code_hash: bytes


@dataclass(frozen=True, slots=True)
class _Branch:
    children: list[Item]  # by nibble: empty, a 32-byte hash, or an embedded node

    def child(self, nibble: int) -> Item:
        return self.children[nibble]


@dataclass(frozen=True, slots=True)
class _FullBranch:
    """A branch of sixteen hashes, kept as its RLP: of each, one child is looked at."""

    raw: bytes

    def child(self, nibble: int) -> Item:
        start = 4 + 33 * nibble
        return self.raw[start : start + 32]


@dataclass(frozen=True, slots=True)
class _Extension:
    path: str  # nibbles, as lower-case hex digits
    child: Item


@dataclass(frozen=True, slots=True)
class _Leaf:
    path: str
    value: bytes


_Node = _Branch | _FullBranch | _Extension | _Leaf


class NodePool:
    """The trie nodes of one bundle or one answer, by hash; remembers which were used."""

    def __init__(self, nodes: Iterable[bytes], max_nodes: int = MAX_POOL_NODES) -> None:
        self._raw: dict[bytes, bytes] = {}
        self._parsed: dict[bytes, _Node] = {}
        for node in nodes:
            if not 32 <= len(node) <= MAX_NODE_BYTES:
                raise Malformed(f"a trie node of its own has 32 to {MAX_NODE_BYTES} bytes, got {len(node)}")
            digest = keccak256(node)
            if digest in self._raw:
                raise Malformed("a trie node stands twice in the pool")
            if len(self._raw) == max_nodes:
                raise Malformed(f"more than {max_nodes} trie nodes")
            self._raw[digest] = node

    def node(self, digest: bytes) -> _Node:
        """The node with this hash, parsed; NotVerified if the pool lacks it."""
        node = self._parsed.get(digest)
        if node is None:
            raw = self._raw.get(digest)
            if raw is None:
                raise NotVerified("the state proof lacks a node on the way", type=_MISMATCH)
            node = _FullBranch(raw) if _is_full_branch(raw) else _parse_node(decode_list(raw))
            self._parsed[digest] = node
        return node

    def unused(self) -> int:
        """How many nodes no proof has walked through yet."""
        return len(self._raw) - len(self._parsed)

    def check_all_used(self) -> None:
        """Malformed if nodes are left over: each must be needed by what was asked."""
        if self.unused():
            raise Malformed(f"{self.unused()} trie nodes prove nothing that was asked")


def _is_full_branch(raw: bytes) -> bool:
    """Whether the node is a branch of sixteen hashes, as the upper levels of a large trie all are.

    Every byte that is not part of a hash is compared, so this accepts nothing that strict RLP refuses.
    """
    return (
        len(raw) == _FULL_BRANCH_BYTES
        and raw[3:531:33] == _HASH_PREFIXES
        and raw[:3] == _FULL_BRANCH_PREFIX
        and raw[531] == 0x80
    )


def _parse_node(items: list[Item]) -> _Node:
    if len(items) == 17:
        if items[16] != b"":
            raise Malformed("a branch with a value, where all keys are equally long")
        return _Branch(items)
    if len(items) != 2:
        raise Malformed(f"a trie node has 17 or 2 items, got {len(items)}")
    encoded_path, content = items
    if not isinstance(encoded_path, bytes) or not encoded_path:
        raise Malformed("a trie node without a path")
    digits = encoded_path.hex()
    flag = encoded_path[0] >> 4
    if flag > 3 or (not flag & 1 and digits[1] != "0"):
        raise Malformed("a hex-prefix flag beyond 3, or a pad nibble that is not 0")
    path = digits[1:] if flag & 1 else digits[2:]
    if flag & 2:
        if not isinstance(content, bytes) or not content:
            raise Malformed("a leaf without a value")
        return _Leaf(path, content)
    if not path:
        raise Malformed("an extension with an empty path")
    return _Extension(path, content)


def prove_value(pool: NodePool, root: bytes, key: bytes) -> bytes | None:
    """The value under `key` (32 bytes, hashed already) in the trie with `root`, or None if it is absent."""
    if root == EMPTY_ROOT:
        return None
    path, depth = key.hex(), 0
    if len(path) != _NIBBLES:
        raise ValueError("a key of a secure trie has 32 bytes")
    node = pool.node(root)
    for _ in range(MAX_PATH_NODES):
        if isinstance(node, _Leaf):
            if depth + len(node.path) != _NIBBLES:
                raise Malformed("a leaf that does not end at 64 nibbles")
            return node.value if path.endswith(node.path) else None
        if isinstance(node, _Extension):
            if depth + len(node.path) >= _NIBBLES:
                raise Malformed("an extension that leaves nothing of 64 nibbles")
            if not path.startswith(node.path, depth):
                return None
            depth += len(node.path)
            child = node.child
            if child == b"":
                raise Malformed("an extension that leads nowhere")
        else:
            if depth == _NIBBLES:
                raise Malformed("a branch beyond 64 nibbles")
            child = node.child(int(path[depth], 16))
            depth += 1
            if child == b"":
                return None
        node = _child(pool, child)
    raise Malformed(f"a path through more than {MAX_PATH_NODES} nodes")


def _child(pool: NodePool, child: Item) -> _Node:
    if isinstance(child, bytes):
        if len(child) != 32:
            raise Malformed(f"a child is named by a hash of 32 bytes, got {len(child)}")
        return pool.node(child)
    if len(encode(child)) >= 32:
        raise Malformed("an embedded node of 32 bytes or more")
    return _parse_node(child)


def prove_account(pool: NodePool, state_root: bytes, address: bytes) -> Account | None:
    """The account at `address` (20 bytes) in the state with `state_root`, or None if there is none."""
    value = prove_value(pool, state_root, keccak256(address))
    if value is None:
        return None
    items = decode_list(value)
    if len(items) != 4:
        raise Malformed(f"an account has 4 items, got {len(items)}")
    nonce, balance, storage_root, code_hash = items
    if not isinstance(storage_root, bytes) or not isinstance(code_hash, bytes):
        raise Malformed("storage root and code hash of an account are byte strings")
    if len(storage_root) != 32 or len(code_hash) != 32:
        raise Malformed("storage root and code hash of an account have 32 bytes")
    return Account(decode_integer(nonce, 8), decode_integer(balance, 32), storage_root, code_hash)


def prove_slot(pool: NodePool, storage_root: bytes, slot: bytes) -> int:
    """The value of `slot` (32 bytes) in the storage with `storage_root`; 0 if it is absent."""
    value = prove_value(pool, storage_root, keccak256(slot))
    if value is None:
        return 0
    # A chain deletes a slot that becomes zero; Anvil keeps those that were only read, as the empty string. Both say 0.
    return decode_integer(decode_bytes(value), 32)


@dataclass(frozen=True, slots=True)
class ProvenSlots:
    """Slots of one account, proven in the state of `header`. Whether the header is trusted is not said here.

    Where there is no account, `account` is None and every slot is 0, which the state proves as well.
    """

    header: Header
    account: Account | None
    values: Mapping[bytes, int]

    @property
    def code_hash(self) -> bytes | None:
        """Keccak-256 of the account's code; None where there is no account."""
        return self.account.code_hash if self.account else None

    def require_code(self, code_hash: bytes) -> None:
        """NotVerified unless the account has the code of this hash: other code may have written what it likes."""
        if self.code_hash != code_hash:
            raise NotVerified("the account at the registry's address has other code, or none")


def prove_slots(
    header: Header,
    nodes: Iterable[bytes],
    address: bytes,
    slots: Sequence[bytes],
    *,
    max_nodes: int = MAX_POOL_NODES,
) -> ProvenSlots:
    """The values of `slots` of the account at `address` after the block of `header`.

    `nodes` prove exactly this: a node that is left over is Malformed. The caller compares `code_hash`, which
    alone proves nothing (the genuine code can be deployed with forged storage): the address decides. `max_nodes` is
    for those who asked for more slots than any bundle shows.
    """
    pool = NodePool(nodes, max_nodes)
    account = prove_account(pool, header.state_root, address)
    root = account.storage_root if account else EMPTY_ROOT
    values = {slot: prove_slot(pool, root, slot) for slot in slots}
    pool.check_all_used()
    return ProvenSlots(header, account, values)


def prove_history(newer: Header, nodes: Iterable[bytes], number: int) -> bytes:
    """The hash of block `number` that the history contract (EIP-2935) held after the block of `newer`.

    Malformed unless `number` is one of the 8,191 blocks before `newer`: beyond them the contract's slot holds
    another block's hash. Zero where the contract holds nothing.
    """
    if not 0 < newer.number - number <= HISTORY_BLOCKS:
        raise Malformed(f"block {number} is not among the {HISTORY_BLOCKS:,} before block {newer.number}")
    slot = history_slot(number)
    return prove_slots(newer, nodes, HISTORY_ADDRESS, (slot,)).values[slot].to_bytes(32, "big")
