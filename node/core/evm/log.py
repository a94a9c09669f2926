"""Reading one log of `eth_getLogs`: its members, and the ABI words in its topics and data.

Solidity ABI specification, "Formal Specification of the Encoding" and "Events", as far as ERC-1056 and the
CredentialRegistry need it. Everything here raises Malformed where a log has not the form that it must have; what its
words mean is for `events.py` and `did/ethr.py` to say.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from node.core.encoding import encode_hex
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject

MAX_TOPICS: Final = 4
_HEX: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")
_QUANTITY: Final = re.compile(r"0x[0-9a-fA-F]{1,16}\Z")


def is_emitted_by(log: JsonObject, contract: bytes) -> bool:
    """Whether it says that the contract at that address (20 bytes) emitted it, in a block that still stands."""
    return str(log.get("address")).lower() == encode_hex(contract) and log.get("removed") is not True


def topics_of(log: JsonObject) -> list[bytes]:
    """The topics, each 32 bytes, at most four."""
    topics = log.get("topics")
    if type(topics) is not list or len(topics) > MAX_TOPICS:
        raise Malformed("a log without its topics")
    return [hex_data(topic, 32) for topic in topics]


def quantity_of(log: JsonObject, member: str) -> int:
    """A number of the log: `blockNumber`, `logIndex`."""
    value = log.get(member)
    if type(value) is not str or not _QUANTITY.match(value):
        raise Malformed(f"a log without {member}")
    return int(value, 16)


def hex_data(value: Json, length: int | None = None) -> bytes:
    """The bytes of a hex text; with `length`, exactly that many."""
    if type(value) is not str or not _HEX.match(value):
        raise Malformed("a log whose data is not hex")
    data = bytes.fromhex(value[2:])
    if length is not None and len(data) != length:
        raise Malformed(f"a log with a word that is not {length} bytes")
    return data


def words(data: bytes, count: int) -> Sequence[bytes]:
    """The first `count` words of `data`, 32 bytes each."""
    if len(data) < 32 * count:
        raise Malformed("a log shorter than its event")
    return [data[32 * index : 32 * index + 32] for index in range(count)]


def dynamic_bytes(data: bytes, offset: int, max_bytes: int) -> bytes:
    """The byte string whose length stands at `offset` of `data`."""
    if offset + 32 > len(data):
        raise Malformed("a log whose value lies outside it")
    length = number(data[offset : offset + 32])
    if length > max_bytes:
        raise Malformed(f"a value of more than {max_bytes:,} bytes in a log")
    value = data[offset + 32 : offset + 32 + length]
    if len(value) != length:
        raise Malformed("a log whose value lies outside it")
    return value


def address(word: bytes) -> bytes:
    """The 20 bytes of an address."""
    if any(word[:12]):
        raise Malformed("a log with an address of more than 20 bytes")
    return word[12:]


def number(word: bytes) -> int:
    """An unsigned integer."""
    return int.from_bytes(word, "big")
