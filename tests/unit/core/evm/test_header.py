"""Block headers, from RLP and from JSON-RPC answers."""

from __future__ import annotations

import pytest
import rlp
from fixtures.state_trie import header_rlp, keccak256

from node.core.errors import Malformed, NotVerified
from node.core.evm.header import MAX_HEADER_BYTES, header_from_rpc, parse_header

ROOT = bytes(range(100, 132))
RAW = header_rlp(ROOT, 21_000_000, 1_730_000_000)
NAMES = [
    "parentHash",
    "sha3Uncles",
    "miner",
    "stateRoot",
    "transactionsRoot",
    "receiptsRoot",
    "logsBloom",
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "extraData",
    "mixHash",
    "nonce",
    "baseFeePerGas",
    "withdrawalsRoot",
    "blobGasUsed",
    "excessBlobGas",
    "parentBeaconBlockRoot",
    "requestsHash",
]
QUANTITIES = {
    "difficulty",
    "number",
    "gasLimit",
    "gasUsed",
    "timestamp",
    "baseFeePerGas",
    "blobGasUsed",
    "excessBlobGas",
}

# The first block of Ethereum, as every client publishes it.
GENESIS = {
    "hash": "0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3",
    "parentHash": "0x" + "00" * 32,
    "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
    "miner": "0x" + "00" * 20,
    "stateRoot": "0xd7f8974fb5ac78d9ac099b9ad5018bedc2ce0a72dad1827a1709da30580f0544",
    "transactionsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "receiptsRoot": "0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421",
    "logsBloom": "0x" + "00" * 256,
    "difficulty": "0x400000000",
    "number": "0x0",
    "gasLimit": "0x1388",
    "gasUsed": "0x0",
    "timestamp": "0x0",
    "extraData": "0x11bbe8db4e347b4e8c937c1c8370e4b5ed33adb3db69cbdb7a38e1e50b1b82fa",
    "mixHash": "0x" + "00" * 32,
    "nonce": "0x0000000000000042",
}


def answer(raw=RAW):
    """What an endpoint answers for the header."""
    block = {
        name: hex(int.from_bytes(field, "big")) if name in QUANTITIES else "0x" + field.hex()
        for name, field in zip(NAMES, rlp.decode(raw), strict=True)
    }
    return {**block, "hash": "0x" + keccak256(raw).hex(), "size": "0x1", "transactions": []}


def fields(**changes):
    items = rlp.decode(RAW)
    for name, value in changes.items():
        items[NAMES.index(name)] = value
    return items


def test_a_header_is_read_and_hashed():
    header = parse_header(RAW)
    assert (header.number, header.timestamp, header.state_root) == (21_000_000, 1_730_000_000, ROOT)
    assert header.hash == keccak256(RAW)
    assert header.parent_hash == bytes(range(32))


def test_the_first_block_of_mainnet_hashes_to_its_known_hash():
    assert header_from_rpc(GENESIS).number == 0


def test_an_answer_gives_the_header_that_it_spells():
    assert header_from_rpc(answer()) == parse_header(RAW)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_with_another_field_is_not_verified(name):
    block = answer()
    value = block[name]
    block[name] = hex(int(value, 16) + 1) if name in QUANTITIES else value[:-1] + "fe"[value[-1] == "f"]
    if value == "0x":
        block[name] = "0x01"
    with pytest.raises(NotVerified):
        header_from_rpc(block)


@pytest.mark.parametrize("name", ["parentHash", "stateRoot", "number", "nonce", "hash"])
@pytest.mark.parametrize("value", [None, 7, "0x", "0xzz", "12", ["0x1"]])
def test_an_answer_that_is_not_hex_is_malformed(name, value):
    with pytest.raises(Malformed):
        header_from_rpc({**answer(), name: value})


def test_quantities_have_no_leading_zero():
    with pytest.raises(Malformed):
        header_from_rpc({**answer(), "number": "0x01"})


def test_fields_of_later_forks_are_covered_by_the_hash():
    longer = rlp.encode([*rlp.decode(RAW), b"later"])
    assert parse_header(longer).hash == keccak256(longer)


def test_headers_before_london_are_read():
    assert parse_header(rlp.encode(rlp.decode(RAW)[:15])).number == 21_000_000


BAD = {
    "a field too few": rlp.encode(rlp.decode(RAW)[:14]),
    "a short state root": rlp.encode(fields(stateRoot=bytes(31))),
    "a long parent hash": rlp.encode(fields(parentHash=bytes(33))),
    "a list where bytes belong": rlp.encode(fields(extraData=[b"x"])),
    "a list as long as a hash": rlp.encode(fields(stateRoot=[b""] * 32)),
    "a number with a leading zero": rlp.encode(fields(number=b"\x00\x05")),
    "a number beyond JSON": rlp.encode(fields(number=b"\x20" + bytes(6))),
    "a timestamp beyond JSON": rlp.encode(fields(timestamp=b"\x20" + bytes(6))),
    "a later field that is a list": rlp.encode([*rlp.decode(RAW), []]),
    "more than a kilobyte": rlp.encode(fields(extraData=bytes(MAX_HEADER_BYTES))),
    "a byte string": rlp.encode(RAW[:100]),
    "a byte behind": RAW + b"\x00",
    "nothing": b"",
}


@pytest.mark.parametrize("raw", BAD.values(), ids=BAD)
def test_what_is_no_header_is_malformed(raw):
    with pytest.raises(Malformed):
        parse_header(raw)
