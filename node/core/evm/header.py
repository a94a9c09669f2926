"""Block headers: from RLP, and from what `eth_getBlockByNumber` answers.

A header is authentic if its Keccak-256 is a block hash that somebody trusted has named; this module says what
it holds and what it hashes to, not whether that block is on the chain. Fields: Yellow Paper section 4.3, and
EIP-1559, 4895, 4844, 4788 and 7685 for those that were appended later.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

from node.core import problem
from node.core.errors import Malformed, NotVerified
from node.core.evm.keccak import keccak256
from node.core.evm.rlp import decode_integer, decode_list, encode, encode_integer
from node.core.strict_json import MAX_INTEGER, JsonObject

MAX_HEADER_BYTES: Final = 1024  # FORMATS.md section 8; mainnet's have about 640
MAX_TIMESTAMP: Final = 253_402_300_799  # the last second of the year 9999: no calendar here reaches further

# Name in JSON-RPC, and width in bytes; None: an integer, 0: bytes of any length.
_FIELDS: Final[tuple[tuple[str, int | None], ...]] = (
    ("parentHash", 32),
    ("sha3Uncles", 32),
    ("miner", 20),
    ("stateRoot", 32),
    ("transactionsRoot", 32),
    ("receiptsRoot", 32),
    ("logsBloom", 256),
    ("difficulty", None),
    ("number", None),
    ("gasLimit", None),
    ("gasUsed", None),
    ("timestamp", None),
    ("extraData", 0),
    ("mixHash", 32),
    ("nonce", 8),
    ("baseFeePerGas", None),
    ("withdrawalsRoot", 32),
    ("blobGasUsed", None),
    ("excessBlobGas", None),
    ("parentBeaconBlockRoot", 32),
    ("requestsHash", 32),
)
_REQUIRED: Final = 15  # what every header since the first block has
_STATE_ROOT: Final = 3
_NUMBER: Final = 8
_TIMESTAMP: Final = 11
_QUANTITY: Final = re.compile(r"0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})\Z")
_DATA: Final = re.compile(r"0x(?:[0-9a-fA-F]{2})*\Z")


@dataclass(frozen=True, slots=True)
class Header:
    """A well-formed block header; `hash` is computed from `raw`, never taken from elsewhere."""

    raw: bytes
    hash: bytes
    number: int
    timestamp: int  # seconds since 1970, the proposer's clock
    state_root: bytes
    parent_hash: bytes


def parse_header(raw: bytes) -> Header:
    """The header that `raw`, its RLP, encodes; Malformed if it is none.

    Fields that later forks append are allowed and not read: the hash covers them.
    """
    if len(raw) > MAX_HEADER_BYTES:
        raise Malformed(f"a block header of more than {MAX_HEADER_BYTES} bytes")
    items = decode_list(raw)
    if len(items) < _REQUIRED:
        raise Malformed(f"a block header has at least {_REQUIRED} fields, got {len(items)}")
    for item, (name, width) in zip(items, _FIELDS, strict=False):
        if width is None:
            decode_integer(item, 32)
        elif width and len(item) != width:
            raise Malformed(f"{name} of a block header has {width} bytes, got {len(item)}")
    fields = [item for item in items if isinstance(item, bytes)]
    if len(fields) != len(items):
        raise Malformed("a block header holds byte strings only")
    number, timestamp = (int.from_bytes(fields[at], "big") for at in (_NUMBER, _TIMESTAMP))
    if number > MAX_INTEGER or timestamp > MAX_TIMESTAMP:
        raise Malformed("number of a block header beyond 2^53 - 1, or its timestamp beyond the year 9999")
    return Header(raw, keccak256(raw), number, timestamp, fields[_STATE_ROOT], fields[0])


def header_from_rpc(block: JsonObject) -> Header:
    """The header behind an answer of `eth_getBlockByNumber` or `eth_getBlockByHash`.

    The fields are encoded again and must hash to the answer's own `hash`, else NotVerified: an endpoint that
    lies in a field, or a chain whose headers have fields that are not known here, is not believed. Malformed
    where a field is missing or is not the hex that the JSON-RPC specification asks for.
    """
    fields: list[bytes] = []
    for position, (name, width) in enumerate(_FIELDS):
        value = block.get(name)
        if value is None:
            if position < _REQUIRED:
                raise Malformed("a field of the block header is missing", path=(name,))
            break
        fields.append(_quantity(name, value) if width is None else _data(name, value, width))
    header = parse_header(encode(fields))
    if header.hash != _data("hash", block.get("hash"), 32):
        raise NotVerified(
            "the fields of the block do not hash to its hash",
            type=problem.ours("header-hash"),
            path=("hash",),
        )
    return header


def _quantity(name: str, value: Any) -> bytes:
    if not isinstance(value, str) or not _QUANTITY.match(value):
        raise Malformed("not a hexadecimal quantity", path=(name,))
    return encode_integer(int(value, 16))


def _data(name: str, value: Any, width: int) -> bytes:
    if not isinstance(value, str) or not _DATA.match(value):
        raise Malformed("not hexadecimal data", path=(name,))
    data = bytes.fromhex(value[2:])
    if width and len(data) != width:
        raise Malformed(f"expected {width} bytes, got {len(data)}", path=(name,))
    return data
