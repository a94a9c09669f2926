"""CBOR: one form is written, and nothing that could be said in two ways is read."""

from __future__ import annotations

import random

import cbor2
import pytest

from node.core.cbor import MAX_DEPTH, Cbor, CborKey, decode_cbor, encode_cbor
from node.core.errors import Malformed

# RFC 8949 appendix A, as far as it concerns the part that is built here.
EXAMPLES: dict[str, Cbor] = {
    "00": 0,
    "17": 23,
    "1818": 24,
    "18ff": 255,
    "190100": 256,
    "1a000f4240": 1_000_000,
    "1b000000e8d4a51000": 1_000_000_000_000,
    "1bffffffffffffffff": 2**64 - 1,
    "20": -1,
    "3863": -100,
    "3bffffffffffffffff": -(2**64),
    "f4": False,
    "f5": True,
    "f6": None,
    "40": b"",
    "4401020304": b"\1\2\3\4",
    "60": "",
    "62225c": '"\\',
    "64f0908591": "\U00010151",
    "80": [],
    "8301820203820405": [1, [2, 3], [4, 5]],
    "a0": {},
    "a201020304": {1: 2, 3: 4},
    "a26161016162820203": {"a": 1, "b": [2, 3]},
    "a24101f66161f5": {b"\1": None, "a": True},
}
REFUSED = {
    "1817": "an integer below 24 in a byte of its own",
    "190018": "an integer that fits one byte, in two",
    "1a0000ffff": "an integer that fits two bytes, in four",
    "1b00000000ffffffff": "an integer that fits four bytes, in eight",
    "5801ff": "a length that fits the head, in a byte",
    "f90000": "a half float",
    "fa00000000": "a single float",
    "fb3ff0000000000000": "a double float",
    "f7": "undefined",
    "f814": "false as a two-byte simple value",
    "f0": "a simple value without meaning",
    "ff": "a break that ends nothing",
    "5f4101ff": "bytes of indefinite length",
    "7f6161ff": "text of indefinite length",
    "9f01ff": "an array of indefinite length",
    "bf0101ff": "a map of indefinite length",
    "1c": "reserved additional information",
    "c000": "a tag",
    "d84043010203": "a tag for typed arrays",
    "c24101": "a bignum",
    "": "nothing",
    "0000": "a second item",
    "4101ff": "a byte after the item",
    "4201": "bytes that end too early",
    "19": "a head that ends too early",
    "8201": "an array that ends too early",
    "a101": "a map that ends too early",
    "9bffffffffffffffff": "an array that promises 2^64 - 1 items",
    "bbffffffffffffffff": "a map that promises 2^64 - 1 members",
    "5bffffffffffffffff": "bytes that promise 2^64 - 1 bytes",
    "a201000101": "a repeated integer key",
    "a2616100616101": "a repeated text key",
    "a1f500": "a key that is true",
    "a1f600": "a key that is null",
    "a18000": "a key that is an array",
    "a1a000": "a key that is a map",
    "61ff": "text that is not UTF-8",
    "63eda080": "text with a lone surrogate",
}


@pytest.mark.parametrize(("data", "value"), EXAMPLES.items())
def test_each_value_has_the_one_encoding_of_the_standard(data: str, value: Cbor) -> None:
    assert encode_cbor(value).hex() == data
    read = decode_cbor(bytes.fromhex(data))
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(("data", "what"), REFUSED.items(), ids=REFUSED.values())
def test_what_could_be_said_otherwise_is_refused(data: str, what: str) -> None:
    with pytest.raises(Malformed):
        decode_cbor(bytes.fromhex(data))


def test_map_keys_are_written_in_the_order_of_their_encoded_bytes() -> None:
    assert encode_cbor({"z": 0, "aa": 0, -1: 0, 100: 0, 10: 0}).hex() == "a50a00186400200" + "0617a0062616100"


def test_map_keys_are_read_in_any_order() -> None:
    assert decode_cbor(bytes.fromhex("a203040102")) == {1: 2, 3: 4}


def test_nesting_is_read_to_its_limit_and_no_deeper() -> None:
    assert decode_cbor(b"\x81" * MAX_DEPTH + b"\x00")
    with pytest.raises(Malformed):
        decode_cbor(b"\x81" * (MAX_DEPTH + 1) + b"\x00")
    with pytest.raises(Malformed):
        decode_cbor(b"\x81" * 100_000)


@pytest.mark.parametrize("value", [2**64, -(2**64) - 1, 0.5, {True: 1}, {None: 1}, (1,)], ids=repr)
def test_what_cannot_be_said_is_not_written(value: Cbor) -> None:
    with pytest.raises(Malformed):
        encode_cbor(value)


def _value(rng: random.Random, depth: int = 0) -> Cbor:
    scalars: list[Cbor] = [
        None,
        rng.random() < 0.5,
        rng.choice((-1, 1)) * rng.getrandbits(rng.choice((3, 5, 8, 16, 33, 63))),
        rng.randbytes(rng.choice((0, 23, 24, 300))),
        "".join(chr(rng.choice((0x20, 0xE9, 0x20AC, 0x1F393))) for _ in range(rng.randrange(30))),
    ]
    if depth > 3 or rng.random() < 0.4:
        return rng.choice(scalars)
    if rng.random() < 0.5:
        return [_value(rng, depth + 1) for _ in range(rng.randrange(30))]
    keys: list[CborKey] = [
        rng.getrandbits(9),
        -rng.getrandbits(9) - 1,
        str(rng.getrandbits(9)),
        rng.randbytes(2),
    ]
    return {key: _value(rng, depth + 1) for key in rng.sample(keys, rng.randrange(5))}


@pytest.mark.parametrize("seed", range(40))
def test_another_implementation_reads_and_writes_the_same(seed: int) -> None:
    value = _value(random.Random(seed))  # noqa: S311 - seeded cases
    data = encode_cbor(value)
    assert cbor2.loads(data) == value == decode_cbor(data)
    assert decode_cbor(cbor2.dumps(value)) == value


BIGNUM = b"\xc2\x58\x20" + b"\x25" * 32


def test_a_bignum_is_read_where_it_is_asked_for() -> None:
    assert decode_cbor(BIGNUM, bignums=True) == int.from_bytes(b"\x25" * 32, "big")
    with pytest.raises(Malformed, match="tags"):
        decode_cbor(BIGNUM)


@pytest.mark.parametrize(
    "data",
    [
        b"\xc3" + BIGNUM[1:],
        b"\xc2\x48" + b"\x25" * 8,
        b"\xc2\x49\x00" + b"\x25" * 8,
        b"\xc2\x01",
        b"\xd8" + BIGNUM[1:],
    ],
    ids=["negative", "that fits 64 bits", "with a leading zero", "of no bytes", "with a longer head"],
)
def test_it_is_no_bignum(data: bytes) -> None:
    with pytest.raises(Malformed):
        decode_cbor(data, bignums=True)
