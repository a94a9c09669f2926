"""Strict RLP (Yellow Paper appendix B): one spelling for each item."""

from __future__ import annotations

import pytest

from node.core.errors import Malformed
from node.core.evm import rlp

GOOD = [
    ("80", b""),
    ("00", b"\x00"),
    ("7f", b"\x7f"),
    ("8180", b"\x80"),
    ("83646f67", b"dog"),
    ("c0", []),
    ("c88363617483646f67", [b"cat", b"dog"]),
    ("c7c0c1c0c3c0c1c0", [[], [[]], [[], [[]]]]),
    ("b838" + "61" * 56, b"a" * 56),
    ("b90400" + "61" * 1024, b"a" * 1024),
    ("f838" + "01" * 56, [b"\x01"] * 56),
]
BAD = {
    "nothing at all": "",
    "a second item": "8080",
    "a byte below 0x80 with a prefix": "8100",
    "the largest such byte": "817f",
    "a short string in long form": "b80161",
    "55 bytes in long form": "b837" + "61" * 55,
    "a length with a leading zero": "b90038" + "61" * 56,
    "a string that ends early": "83646f",
    "a long string that ends early": "b83861",
    "an end within the length": "b9ff",
    "a prefix alone": "b8",
    "a list that ends early": "c3c0",
    "a list whose item is longer than it": "c28361",
    "a short list in long form": "f80180",
    "a list length with a leading zero": "f90038" + "01" * 56,
    "a length beyond all memory": "bfffffffffffffffff",
}


@pytest.mark.parametrize(("text", "item"), GOOD, ids=[text[:20] for text, _ in GOOD])
def test_an_item_has_one_encoding(text, item):
    assert rlp.decode(bytes.fromhex(text)) == item
    assert rlp.encode(item) == bytes.fromhex(text)


@pytest.mark.parametrize("text", BAD.values(), ids=BAD)
def test_another_spelling_is_malformed(text):
    with pytest.raises(Malformed):
        rlp.decode(bytes.fromhex(text))


def test_nesting_has_a_limit():
    def nested(depth):
        return rlp.encode(item) if (item := _nest(depth)) is not None else b""

    assert rlp.decode(nested(rlp.MAX_DEPTH)) == _nest(rlp.MAX_DEPTH)
    with pytest.raises(Malformed, match="deeper"):
        rlp.decode(nested(rlp.MAX_DEPTH + 1))


def _nest(depth):
    item = []
    for _ in range(depth - 1):
        item = [item]
    return item


@pytest.mark.parametrize(("data", "maximum"), [(b"\x00", 8), (b"\x00\x01", 8), (bytes(9), 8), ([], 8)])
def test_an_integer_has_no_leading_zero_and_a_width(data, maximum):
    with pytest.raises(Malformed):
        rlp.decode_integer(data, maximum)


def test_lists_and_byte_strings_are_told_apart():
    with pytest.raises(Malformed):
        rlp.decode_list(b"\x80")
    with pytest.raises(Malformed):
        rlp.decode_bytes(b"\xc0")
