"""The items of proof values with selective disclosure: each of its own shape and of no other."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from node.core import problem
from node.core.cbor import Cbor, encode_cbor
from node.core.dataintegrity.selective_value import (
    bytes_item,
    bytes_items,
    indexes_item,
    labels_item,
    pointers_item,
    value_items,
)
from node.core.errors import Malformed

READ: dict[str, tuple[Callable[[Cbor], object], Cbor, object]] = {
    "bytes": (lambda value: bytes_item(value, 2, "two bytes"), b"ab", b"ab"),
    "bytes of any length": (lambda value: bytes_item(value, None, "bytes"), b"", b""),
    "an array of bytes": (lambda value: bytes_items(value, 1, "a byte", 2), [b"a", b"b"], (b"a", b"b")),
    "pointers": (pointers_item, ["", "/a"], ("", "/a")),
    "indexes": (indexes_item, [2, 0], (2, 0)),
    "no indexes": (indexes_item, [], ()),
    "labels": (labels_item, {0: b"a", 7: 1}, {"c14n0": b"a", "c14n7": 1}),
}
REFUSED: dict[str, tuple[Callable[[Cbor], object], Cbor]] = {
    "bytes that are too short": (lambda value: bytes_item(value, 2, "two bytes"), b"a"),
    "bytes that are too long": (lambda value: bytes_item(value, 2, "two bytes"), b"abc"),
    "text for bytes": (lambda value: bytes_item(value, 2, "two bytes"), "ab"),
    "text for bytes of any length": (lambda value: bytes_item(value, None, "bytes"), "ab"),
    "null for bytes": (lambda value: bytes_item(value, None, "bytes"), None),
    "bytes for an array": (lambda value: bytes_items(value, 1, "a byte", 2), b"ab"),
    "one item too many": (lambda value: bytes_items(value, 1, "a byte", 2), [b"a", b"b", b"c"]),
    "a map for an array": (lambda value: bytes_items(value, 1, "a byte", 2), {b"a": 1}),
    "an array with text": (lambda value: bytes_items(value, 1, "a byte", 2), [b"a", "b"]),
    "a pointer for pointers": (pointers_item, "/a"),
    "a map of pointers": (pointers_item, {"/a": "/a"}),
    "a number among pointers": (pointers_item, ["/a", 0]),
    "bytes among pointers": (pointers_item, [b"/a"]),
    "an index for indexes": (indexes_item, 0),
    "a map of indexes": (indexes_item, {0: 0}),
    "true among indexes": (indexes_item, [True]),
    "a negative index": (indexes_item, [-1]),
    "text among indexes": (indexes_item, ["0"]),
    "an array of labels": (labels_item, [b"a"]),
    "a label with a negative number": (labels_item, {-1: b"a"}),
    "a label with a text": (labels_item, {"c14n0": b"a"}),
    "a label with bytes": (labels_item, {b"\0": b"a"}),
}


@pytest.mark.parametrize(("read", "value", "found"), READ.values(), ids=READ)
def test_an_item_is_read(read: Callable[[Cbor], object], value: Cbor, found: object) -> None:
    assert read(value) == found


@pytest.mark.parametrize(("read", "value"), REFUSED.values(), ids=REFUSED)
def test_an_item_of_another_shape_is_refused(read: Callable[[Cbor], object], value: Cbor) -> None:
    with pytest.raises(Malformed) as caught:
        read(value)
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


def test_there_are_as_many_items_as_the_suite_says() -> None:
    value = b"\xd9\x5d\x01" + encode_cbor([1, 2])
    assert value_items(value, (2,)) == value_items(value, (3, 2)) == [1, 2]
    for counts in ((1,), (3,), (1, 3)):
        with pytest.raises(Malformed):
            value_items(value, counts)
    for other in (b"\xd9\x5d\x01", b"\xd9\x5d", value + b"\0", b"\xd9\x5d\x01" + encode_cbor({1: 2, 3: 4})):
        with pytest.raises(Malformed) as caught:
            value_items(other, (2,))
        assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR
