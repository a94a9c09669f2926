"""Storage roots, compared with PyPI `trie`, which shares no code with ours."""

from __future__ import annotations

import rlp
from fixtures.state_trie import big_endian, secure_trie
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.evm.state_proof import EMPTY_ROOT
from node.core.evm.storage_trie import build, cut, key_of, root_of, storage_root

words = st.sampled_from([0, 1, 127, 128, 2**48, 2**256 - 1]) | st.integers(0, 2**256 - 1)


def judged(values: dict[bytes, int]) -> bytes:
    return bytes(
        secure_trie({slot: rlp.encode(big_endian(word)) for slot, word in values.items() if word}).root_hash
    )


def test_nothing_has_the_empty_root() -> None:
    assert storage_root({}) == EMPTY_ROOT == judged({})
    assert storage_root({bytes(32): 0}) == EMPTY_ROOT


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.binary(min_size=32, max_size=32), words, max_size=80))
def test_the_root_is_that_of_the_trie_over_all_words_but_zero(values: dict[bytes, int]) -> None:
    assert storage_root(values) == judged(values)


def test_many_words_fill_whole_branches() -> None:
    values = {number.to_bytes(32, "big"): number + 1 for number in range(3000)}
    assert storage_root(values) == judged(values)


def test_every_word_counts() -> None:
    values = {number.to_bytes(32, "big"): 2**200 + number for number in range(40)}
    roots = {storage_root(values | {slot: word ^ 1}) for slot, word in values.items()}
    roots |= {
        storage_root({other: word for other, word in values.items() if other != slot}) for slot in values
    }
    assert len(roots | {storage_root(values)}) == 81


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.text("01f", min_size=4, max_size=4), st.integers(1, 9)), min_size=1, max_size=30)
)
def test_however_few_nibbles_keys_differ_in_the_parts_join_to_the_same(found: list[tuple[str, int]]) -> None:
    """Short paths and embedded nodes, which hashed keys never show: the whole and its parts agree on them."""
    entries = sorted({key + "0" * 4: word for key, word in found}.items())
    assert root_of(cut(entries)) == root_of({"": build(entries)})


def test_after_a_write_one_part_is_computed_again() -> None:
    values = {number.to_bytes(32, "big"): number + 1 for number in range(500)}
    entries = sorted((key_of(slot), word) for slot, word in values.items())
    parts = cut(entries)
    slot = (7).to_bytes(32, "big")
    place = key_of(slot)[:3]
    changed = [(key, 99 if key == key_of(slot) else word) for key, word in entries if key.startswith(place)]
    assert root_of(parts | cut(changed)) == judged(values | {slot: 99})
