"""Recursive Length Prefix (Ethereum Yellow Paper, appendix B), strict in both directions.

Each value has one encoding here: lengths are minimal, a single byte below 0x80 stands for itself, nothing
trails, and a list is filled exactly. So `encode(decode(data)) == data` for all that is accepted, and bytes
that were hashed cannot be spelled in a second way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from node.core.errors import Malformed

Item: TypeAlias = "bytes | list[Item]"
Encodable: TypeAlias = "bytes | Sequence[Encodable]"

# Headers, accounts and trie nodes nest three deep; a node embedded in a node in a node stays below 32 bytes.
MAX_DEPTH: Final = 32


def decode(data: bytes) -> Item:
    """The one item that `data` encodes: a byte string or a list of items. Malformed if anything is amiss.

    The caller limits the size; nesting deeper than 32 is refused here.
    """
    items = _items(data, 0, len(data), 0)
    if len(items) != 1:
        raise Malformed(f"expected one RLP item, got {len(items)}")
    return items[0]


def decode_list(data: bytes) -> list[Item]:
    """As `decode`, where only a list makes sense."""
    item = decode(data)
    if isinstance(item, bytes):
        raise Malformed("expected an RLP list, got a byte string")
    return item


def decode_bytes(data: bytes) -> bytes:
    """As `decode`, where only a byte string makes sense."""
    item = decode(data)
    if not isinstance(item, bytes):
        raise Malformed("expected an RLP byte string, got a list")
    return item


def _items(data: bytes, position: int, end: int, depth: int) -> list[Item]:
    """The items that fill `data[position:end]`. Hot: a state proof decodes some 300 items."""
    items: list[Item] = []
    append = items.append
    while position < end:
        first = data[position]
        position += 1
        if first < 0x80:
            append(data[position - 1 : position])
            continue
        start = position
        if first < 0xB8:
            position += first - 0x80
        elif first < 0xC0:
            start, position = _long(data, start, first - 0xB7, end)
        elif first < 0xF8:
            position += first - 0xC0
        else:
            start, position = _long(data, start, first - 0xF7, end)
        if position > end:
            raise Malformed("an RLP item is longer than what holds it")
        if first < 0xC0:
            if first == 0x81 and data[start] < 0x80:
                raise Malformed("an RLP byte below 0x80 stands for itself")
            append(data[start:position])
        elif depth == MAX_DEPTH:
            raise Malformed(f"RLP nested deeper than {MAX_DEPTH}")
        else:
            append(_items(data, start, position, depth + 1))
    return items


def _long(data: bytes, start: int, width: int, end: int) -> tuple[int, int]:
    """Start and end of a payload whose length takes `width` bytes at `start`."""
    payload = start + width
    if payload > end:
        raise Malformed("RLP ends within a length")
    length = int.from_bytes(data[start:payload], "big")
    if data[start] == 0 or length < 56:
        raise Malformed("an RLP length that is not minimal")
    return payload, payload + length


def encode(item: Encodable) -> bytes:
    """The RLP of a byte string or of a (nested) sequence of them."""
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(0x80, len(item)) + item
    payload = b"".join([encode(part) for part in item])
    return _prefix(0xC0, len(payload)) + payload


def _prefix(base: int, length: int) -> bytes:
    if length < 56:
        return bytes([base + length])
    digits = encode_integer(length)
    return bytes([base + 55 + len(digits)]) + digits


def encode_integer(value: int) -> bytes:
    """The big-endian byte string of a non-negative integer, without leading zeros; zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def decode_integer(item: Item, max_bytes: int) -> int:
    """The integer that a decoded byte string writes; a leading zero or more than `max_bytes` is Malformed."""
    if not isinstance(item, bytes) or len(item) > max_bytes or item[:1] == b"\0":
        raise Malformed(f"not an RLP integer of at most {max_bytes} bytes")
    return int.from_bytes(item, "big")
