"""Drawn proofs are as those of tries that are built whole; and what state takes in a bundle on a large chain."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import fmean

import pytest
import rlp
from fixtures.state_trie import keccak256, own_nodes, secure_trie

from bench.chain import draw_hop, draw_state, size_of
from bench.tries import draw_trie
from node.core.errors import NotVerified
from node.core.evm.state_proof import NodePool, prove_slot

KEYS = 2_000
PROVEN = 400
WORD = bytes(range(1, 20))
VALUE = rlp.encode(WORD)


@pytest.mark.parametrize("present", [True, False], ids=["a key that is there", "a key that is not"])
def test_a_drawn_proof_is_like_one_of_a_trie_that_is_built_whole(present: bool) -> None:
    random = Random(1)  # noqa: S311 - the same in every run
    keys = [random.randbytes(20) for _ in range(KEYS)]
    asked = keys[:PROVEN] if present else [random.randbytes(20) for _ in range(PROVEN)]
    whole = secure_trie(dict.fromkeys(keys, VALUE))
    built = [own_nodes(whole.get_proof(keccak256(key))) for key in asked]
    value, others = (VALUE, KEYS - 1) if present else (None, KEYS)
    drawn = [draw_trie({keccak256(key): value}, others, random, VALUE)[1] for key in asked]
    assert fmean(map(len, drawn)) == pytest.approx(fmean(map(len, built)), rel=0.03)
    assert fmean(map(total, drawn)) == pytest.approx(fmean(map(total, built)), rel=0.03)


@pytest.mark.parametrize("others", [0, 1, 2, 17, 5_000, 10**7])
def test_a_drawn_proof_holds_with_no_node_too_many(others: int) -> None:
    for seed in range(20):
        random = Random(seed)  # noqa: S311 - the same in every run
        slots = [random.randbytes(32) for _ in range(4)]
        values = {keccak256(slot): VALUE for slot in slots[:2]} | {
            keccak256(slot): None for slot in slots[2:]
        }
        root, nodes = draw_trie(values, others, random, VALUE)
        pool = NodePool(nodes)
        told = [prove_slot(pool, root, slot) for slot in slots]
        pool.check_all_used()
        assert told == [int.from_bytes(WORD, "big")] * 2 + [0, 0]


def test_a_drawn_state_holds_and_not_without_each_of_its_nodes() -> None:
    state = draw_state(1)
    state.prove()
    for nodes in (state.account, state.storage):
        for at in range(len(nodes)):
            taken = nodes.pop(at)
            with pytest.raises(NotVerified):
                state.prove()
            nodes.insert(at, taken)


def test_state_of_a_bundle_takes_17_kilobytes_at_most_on_a_large_chain_and_23_with_a_hop() -> None:
    for seed in range(30):
        size = size_of(draw_state(seed).bundled)
        assert 13_000 < size <= 17_000
        assert size + size_of(draw_hop(seed)) <= 23_000


def total(nodes: Sequence[bytes]) -> int:
    return sum(map(len, nodes))
