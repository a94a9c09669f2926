"""Our RLP and Patricia verifier against PyPI `rlp` and `trie`, which share no code with them."""

from __future__ import annotations

import random

import pytest
import rlp as pypi_rlp
from fixtures.state_trie import State, keccak256, own_nodes
from hypothesis import given, settings
from hypothesis import strategies as st
from trie import HexaryTrie

from node.core.errors import Malformed, NotVerified
from node.core.evm import rlp
from node.core.evm.header import parse_header
from node.core.evm.registry import HISTORY_ADDRESS, history_slot
from node.core.evm.state_proof import (
    EMPTY_ROOT,
    MAX_POOL_NODES,
    NodePool,
    prove_account,
    prove_history,
    prove_slots,
    prove_value,
)

ITEMS = st.recursive(st.binary(max_size=70), lambda inner: st.lists(inner, max_size=6), max_leaves=12)
SOURCE = random.Random(9)  # noqa: S311 - a fixed seed, so that a failure comes back


def listed(item):
    return item if isinstance(item, bytes) else [listed(part) for part in item]


@given(ITEMS)
def test_encoding_agrees_with_rlp_and_decoding_undoes_it(item):
    encoded = rlp.encode(item)
    assert encoded == pypi_rlp.encode(item)
    assert rlp.decode(encoded) == item


@settings(max_examples=400)
@given(st.one_of(st.binary(max_size=80), ITEMS.map(pypi_rlp.encode)), st.data())
def test_what_strict_rlp_accepts_is_what_we_accept(encoded, data):
    if encoded and data.draw(st.booleans()):
        at = data.draw(st.integers(0, len(encoded) - 1))
        encoded = encoded[:at] + data.draw(st.binary(max_size=2)) + encoded[at + 1 :]
    try:
        expected = listed(pypi_rlp.decode(encoded, strict=True))
    except (pypi_rlp.DecodingError, IndexError):
        with pytest.raises(Malformed):
            rlp.decode(encoded)
    else:
        assert rlp.decode(encoded) == expected
        assert rlp.encode(expected) == encoded


# Keys of a secure trie are hashes. Keys that share a long beginning are drawn as well: only there are nodes
# small enough to be embedded in their parents.
KEYS = st.one_of(
    st.binary(min_size=32, max_size=32),
    st.tuples(
        st.sampled_from([b"\x00" * 30, b"\xab" * 31, b"\x12" * 29]), st.binary(min_size=3, max_size=3)
    ).map(lambda parts: (parts[0] + parts[1])[:32]),
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(KEYS, st.binary(min_size=1, max_size=40), max_size=30), st.lists(KEYS, max_size=3))
def test_present_and_absent_keys_are_proven_as_trie_does(values, others):
    trie = HexaryTrie({})
    for key, value in values.items():
        trie[key] = value
    for key in [*list(values)[:4], *others]:
        nodes = dict.fromkeys(own_nodes(trie.get_proof(key)))
        pool = NodePool(nodes)
        assert prove_value(pool, trie.root_hash, key) == values.get(key)
        assert pool.unused() == 0


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(KEYS, st.binary(min_size=1, max_size=40), min_size=1, max_size=20),
    KEYS,
    st.data(),
)
def test_a_mutated_proof_proves_the_truth_or_nothing(values, other, data):
    trie = HexaryTrie({})
    for key, value in values.items():
        trie[key] = value
    key = data.draw(st.sampled_from([*values, other]))
    nodes = list(dict.fromkeys(own_nodes(trie.get_proof(key))))
    at = data.draw(st.integers(0, len(nodes) - 1))
    change = data.draw(st.sampled_from(["byte", "drop", "insert", "cut", "another"]))
    node = nodes[at]
    place = data.draw(st.integers(0, len(node) - 1))
    if change == "byte":
        nodes[at] = node[:place] + bytes([node[place] ^ data.draw(st.integers(1, 255))]) + node[place + 1 :]
    elif change == "insert":
        nodes[at] = node[:place] + b"\x00" + node[place:]
    elif change == "cut":
        nodes[at] = node[:-1]
    elif change == "another":
        nodes.append(rlp.encode([b"\x20" + bytes(32), b"junk"]))
    else:
        del nodes[at]
    with pytest.raises((Malformed, NotVerified)):
        proven_alone(nodes, trie.root_hash, key)


def proven_alone(nodes, root, key):
    pool = NodePool(nodes)
    value = prove_value(pool, root, key)
    pool.check_all_used()
    return value


def node_of(items):
    return rlp.encode(items)


def judged(raw, key=b"\x11" * 32, root=None):
    return prove_value(NodePool([raw]), root or keccak256(raw), key)


WIDE = b"v" * 40
BAD_NODES = {
    "three items": node_of([b"\x20", WIDE, b""]),
    "sixteen children": node_of([b"c" * 32] * 16),
    "a value in a branch": node_of([b"c" * 32] * 16 + [b"v"]),
    "a branch value that is a list": node_of([b"c" * 32] * 16 + [[]]),
    "hex-prefix flag 4": node_of([b"\x40" + b"\x11" * 32, WIDE]),
    "hex-prefix flag 15": node_of([b"\xf1" + b"\x11" * 31, WIDE]),
    "a pad nibble that is not 0": node_of([b"\x21" + b"\x11" * 32, WIDE]),
    "an empty path": node_of([b"", WIDE]),
    "a path that is a list": node_of([[b"\x20"], WIDE]),
    "a leaf that ends early": node_of([b"\x20" + b"\x11" * 31, WIDE]),
    "a leaf that ends early and differs": node_of([b"\x20" + b"\x22" * 31, WIDE]),
    "a leaf that ends late": node_of([b"\x20" + b"\x11" * 33, WIDE]),
    "a leaf without a value": node_of([b"\x20" + b"\x11" * 32, b""]),
    "a leaf whose value is a list": node_of([b"\x20" + b"\x11" * 32, [WIDE]]),
    "an extension with an empty path": node_of([b"\x00", b"c" * 32]),
    "an extension to nowhere": node_of([b"\x00" + b"\x11" * 31, b""]),
    "an extension over all nibbles": node_of([b"\x00" + b"\x11" * 32, b"c" * 32]),
    "a child of 31 bytes": node_of([b"c" * 31] * 16 + [b""]),
    "a child of 33 bytes": node_of([b"c" * 33] * 16 + [b""]),
    "an embedded node of 32 bytes": node_of([[b"\x31" + b"\x11" * 31, b"v"]] * 16 + [b""]),
    "an embedded leaf that ends early": node_of([[b"\x31\x11", b"v"]] * 16 + [b""]),
    "an embedded node of no kind": node_of([[b"a", b"b", b"c"]] * 16 + [b""]),
    "a byte string": rlp.encode(b"n" * 40),
    "a byte behind": node_of([b"\x20" + b"\x11" * 32, WIDE]) + b"\x00",
}


@pytest.mark.parametrize("raw", BAD_NODES.values(), ids=BAD_NODES)
def test_a_node_that_no_trie_has_is_malformed(raw):
    with pytest.raises(Malformed):
        judged(raw)


FULL = rlp.encode([*[bytes([digit]) * 32 for digit in range(1, 17)], b""])


def test_a_full_branch_is_read_as_strict_rlp_reads_it():
    leaf = rlp.encode([b"\x3f" + b"\x77" * 31, WIDE])
    items = [*[bytes([digit]) * 32 for digit in range(16)], b""]
    items[7] = keccak256(leaf)
    assert (
        prove_value(NodePool([rlp.encode(items), leaf]), keccak256(rlp.encode(items)), b"\x7f" + b"\x77" * 31)
        == WIDE
    )


@pytest.mark.parametrize("at", [0, 1, 2, *range(3, 532, 33)])
def test_a_byte_of_a_full_branch_that_is_no_hash_cannot_differ(at):
    for bit in range(8):
        raw = FULL[:at] + bytes([FULL[at] ^ 1 << bit]) + FULL[at + 1 :]
        with pytest.raises((Malformed, NotVerified)):
            judged(raw, b"\xff" * 32)


def test_the_valid_node_beside_them_is_accepted():
    assert judged(node_of([b"\x20" + b"\x11" * 32, WIDE])) == WIDE
    assert judged(node_of([b"\x20" + b"\x22" * 32, WIDE])) is None


def test_a_length_that_is_not_minimal_inside_a_node_is_malformed():
    raw = node_of([b"\x20" + b"\x11" * 32, b"v" * 40])
    loose = raw.replace(bytes([0x80 + 40]) + b"v", b"\xb8\x28v")
    loose = bytes([0xF8, len(loose) - 2]) + loose[2:]
    with pytest.raises(Malformed):
        judged(loose)


def test_the_empty_trie_needs_an_empty_proof():
    assert HexaryTrie({}).root_hash == EMPTY_ROOT
    pool = NodePool([])
    assert prove_value(pool, EMPTY_ROOT, bytes(32)) is None
    with pytest.raises(NotVerified):
        prove_value(pool, bytes(32), bytes(32))
    with pytest.raises(Malformed):
        NodePool([b"\x80"])


@pytest.mark.parametrize(
    "nodes",
    [
        [b"n" * 31],
        [b"n" * 1025],
        [b"n" * 40, b"n" * 40],
        [n.to_bytes(32, "big") for n in range(MAX_POOL_NODES + 1)],
    ],
    ids=["under 32 bytes", "over 1 KB", "twice", "too many"],
)
def test_a_pool_beyond_its_limits_is_malformed(nodes):
    with pytest.raises(Malformed):
        NodePool(nodes)


def test_a_path_through_more_than_64_nodes_is_refused():
    key = b"\x11" * 32
    node = rlp.encode([b"\x20", WIDE])
    nodes = [node]
    for _ in range(64):
        node = rlp.encode([b"", keccak256(node), *[b"x" * 32] * 14, b""])
        nodes.append(node)
    with pytest.raises(Malformed, match="64"):
        prove_value(NodePool(nodes), keccak256(node), key)


# One account with slots, as the registry has them ----------------------------------------------------------

REGISTRY = b"\xcd" * 20
SLOTS = {SOURCE.randbytes(32): SOURCE.randrange(1, 1 << 256) for _ in range(200)}
STATE = State({REGISTRY: SLOTS, b"\xee" * 20: {}})
HEADER = parse_header(STATE.header())
ASKED = (*list(SLOTS)[:5], bytes(32), b"\xff" * 32)
NODES = STATE.nodes(REGISTRY, ASKED)


def test_slots_are_proven_present_and_absent_over_one_pool():
    proven = prove_slots(HEADER, NODES, REGISTRY, ASKED)
    assert proven.values == {slot: SLOTS.get(slot, 0) for slot in ASKED}
    assert proven.code_hash == STATE.code_hash
    assert proven.account is not None
    assert (proven.account.nonce, proven.account.balance) == (1, 0)


def test_an_account_without_storage_has_slots_of_zero():
    address = b"\xee" * 20
    proven = prove_slots(HEADER, STATE.nodes(address, ASKED), address, ASKED)
    assert proven.values == dict.fromkeys(ASKED, 0)
    assert proven.code_hash == STATE.code_hash


def test_without_an_account_every_slot_is_zero():
    address = b"\xdd" * 20
    proven = prove_slots(HEADER, STATE.nodes(address, ()), address, ASKED)
    assert proven.account is None
    assert proven.code_hash is None
    assert set(proven.values.values()) == {0}


def test_the_order_of_the_nodes_does_not_matter():
    assert prove_slots(HEADER, NODES[::-1], REGISTRY, ASKED) == prove_slots(HEADER, NODES, REGISTRY, ASKED)


def test_a_missing_node_is_not_verified():
    for at in range(len(NODES)):
        with pytest.raises(NotVerified):
            prove_slots(HEADER, NODES[:at] + NODES[at + 1 :], REGISTRY, ASKED)


def test_a_node_that_no_slot_needs_is_malformed():
    with pytest.raises(Malformed, match="prove nothing"):
        prove_slots(HEADER, STATE.nodes(REGISTRY, list(SLOTS)[:9]), REGISTRY, list(SLOTS)[:2])


def test_a_proof_of_another_account_is_not_verified():
    with pytest.raises((NotVerified, Malformed)):
        prove_slots(HEADER, NODES, b"\xee" * 20, ASKED)


def test_every_changed_byte_of_a_node_is_refused():
    for at, node in enumerate(NODES):
        for place in range(0, len(node), 7):
            changed = node[:place] + bytes([node[place] ^ 0x41]) + node[place + 1 :]
            with pytest.raises((NotVerified, Malformed)):
                prove_slots(HEADER, (*NODES[:at], changed, *NODES[at + 1 :]), REGISTRY, ASKED)


@pytest.mark.parametrize(
    "value",
    [b"\x00", b"\x82\x00\x01", b"\xa1" + b"\x01" * 33, b"\xc0", b"\x01\x01", b"\x81\x01"],
    ids=["zero", "leading zero", "33 bytes", "a list", "trailing byte", "not minimal"],
)
def test_a_slot_value_in_another_spelling_is_malformed(value):
    state = State({REGISTRY: {}})
    slot = bytes(32)
    trie = HexaryTrie({})
    trie[keccak256(slot)] = value
    state.storage[REGISTRY] = trie
    state.accounts[keccak256(REGISTRY)] = state.account(trie.root_hash)
    header = parse_header(state.header())
    with pytest.raises(Malformed):
        prove_slots(header, state.nodes(REGISTRY, (slot,)), REGISTRY, (slot,))


@pytest.mark.parametrize(
    "items",
    [
        [b"\x01", b"", bytes(32)],
        [b"\x01", b"", bytes(32), bytes(32), b""],
        [b"\x00\x01", b"", bytes(32), bytes(32)],
        [b"\x01", bytes(33), bytes(32), bytes(32)],
        [b"\x01" * 9, b"", bytes(32), bytes(32)],
        [b"\x01", b"", bytes(31), bytes(32)],
        [b"\x01", b"", [b""] * 32, bytes(32)],
        [b"\x01", b"", bytes(32), bytes(33)],
        b"not a list at all, but long enough to be one",
    ],
)
def test_an_account_in_another_form_is_malformed(items):
    trie = HexaryTrie({})
    trie[keccak256(REGISTRY)] = pypi_rlp.encode(items)
    pool = NodePool(own_nodes(trie.get_proof(keccak256(REGISTRY))))
    with pytest.raises(Malformed):
        prove_account(pool, trie.root_hash, REGISTRY)


# EIP-2935 --------------------------------------------------------------------------------------------------

OLDER = 5000
HISTORY = State({HISTORY_ADDRESS: {history_slot(OLDER): int.from_bytes(HEADER.hash, "big"), bytes(32): 1}})


def hop(number):
    newer = parse_header(HISTORY.header(number))
    return prove_history(newer, HISTORY.nodes(HISTORY_ADDRESS, (history_slot(OLDER),)), OLDER)


@pytest.mark.parametrize("distance", [1, 100, 8191])
def test_the_history_contract_names_the_hash_of_one_of_8191_blocks(distance):
    assert hop(OLDER + distance) == HEADER.hash


@pytest.mark.parametrize("distance", [-1, 0, 8192])
def test_a_hop_backwards_or_too_far_is_malformed(distance):
    with pytest.raises(Malformed):
        hop(OLDER + distance)


def test_a_hash_with_leading_zeros_is_padded():
    state = State({HISTORY_ADDRESS: {history_slot(OLDER): 5}})
    newer = parse_header(state.header(OLDER + 1))
    nodes = state.nodes(HISTORY_ADDRESS, (history_slot(OLDER),))
    assert prove_history(newer, nodes, OLDER) == (5).to_bytes(32, "big")
