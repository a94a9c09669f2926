"""The part of CBOR that proofs and tokens need (RFC 8949), written in the one deterministic form of section 4.2.1.

Reading is strict, so that nothing is said in two ways: definite lengths, shortest integers and lengths, no floats,
no tags, no repeated map keys, nothing after the item. The order of map keys is not looked at: it says nothing.
"""

from __future__ import annotations

from typing import Final, TypeAlias

from node.core.errors import Malformed

CborKey: TypeAlias = int | str | bytes
Cbor: TypeAlias = "bool | int | bytes | str | list[Cbor] | dict[CborKey, Cbor] | None"

# A proof nests three levels, a COSE header four.
MAX_DEPTH: Final = 16

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_SIMPLE_VALUES: Final[dict[int, bool | None]] = {20: False, 21: True, 22: None}
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}


def encode_cbor(value: Cbor) -> bytes:
    """The deterministic encoding of `value`: shortest heads, map keys in the order of their encoded bytes.

    Integers are those of 64 bits and a sign; anything else that this part of CBOR cannot say is Malformed.
    """
    if value is None or isinstance(value, bool):
        return bytes([_SIMPLE << 5 | {False: 20, True: 21, None: 22}[value]])
    if isinstance(value, int):
        return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
    if isinstance(value, bytes):
        return _head(_BYTES, len(value)) + value
    if isinstance(value, str):
        data = value.encode()
        return _head(_TEXT, len(data)) + data
    if isinstance(value, list):
        return _head(_ARRAY, len(value)) + b"".join(encode_cbor(item) for item in value)
    if isinstance(value, dict):
        members = sorted((_encode_key(key), encode_cbor(member)) for key, member in value.items())
        return _head(_MAP, len(members)) + b"".join(key + member for key, member in members)
    raise Malformed(f"no CBOR is written of {type(value).__name__}")


def decode_cbor(data: bytes, *, bignums: bool = False) -> Cbor:
    """The one item that `data` holds; anything but the strict forms named above is Malformed.

    With `bignums` the tag of a positive integer beyond 64 bits (section 3.4.3) is read, in its shortest form.
    """
    reader = _Reader(data, bignums)
    value = reader.item(0)
    if reader.position != len(data):
        raise Malformed(f"{len(data) - reader.position} bytes follow the CBOR item")
    return value


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([major << 5 | argument])
    for information, width in _WIDTHS.items():
        if argument < 1 << (8 * width):
            return bytes([major << 5 | information]) + argument.to_bytes(width, "big")
    raise Malformed("no CBOR is written of integers beyond 64 bits")


def _encode_key(key: CborKey) -> bytes:
    if isinstance(key, bool) or not isinstance(key, int | str | bytes):
        raise Malformed(f"{type(key).__name__} is no key of a CBOR map")
    return encode_cbor(key)


class _Reader:
    def __init__(self, data: bytes, bignums: bool) -> None:
        self._data = data
        self._bignums = bignums
        self.position = 0

    def item(self, depth: int) -> Cbor:
        if depth > MAX_DEPTH:
            raise Malformed(f"CBOR nested more than {MAX_DEPTH} levels")
        major, argument = self._read_head()
        if major == _UNSIGNED:
            return argument
        if major == _NEGATIVE:
            return -1 - argument
        if major == _BYTES:
            return self._take(argument)
        if major == _TEXT:
            return self._text(argument)
        if major == _ARRAY:
            # However many are promised: each takes a byte at least, and the first that is missing ends it.
            return [self.item(depth + 1) for _ in range(argument)]
        if major == _MAP:
            return self._map(argument, depth)
        if major == _TAG:
            return self._bignum(depth)
        return _SIMPLE_VALUES[argument]

    def _read_head(self) -> tuple[int, int]:
        """Major type and argument; for simple values the value's number."""
        byte = self._take(1)[0]
        major, information = byte >> 5, byte & 0x1F
        if major == _TAG:
            if not (self._bignums and information == 2):
                raise Malformed("CBOR tags are refused")
            return major, information
        if major == _SIMPLE:
            if information not in _SIMPLE_VALUES:
                raise Malformed("CBOR floats and simple values but false, true and null are refused")
            return major, information
        if information < 24:
            return major, information
        width = _WIDTHS.get(information)
        if width is None:
            raise Malformed("CBOR of indefinite length, or with reserved bits")
        argument = int.from_bytes(self._take(width), "big")
        if argument < (24 if width == 1 else 1 << (4 * width)):
            raise Malformed("a CBOR integer or length that is not in its shortest form")
        return major, argument

    def _bignum(self, depth: int) -> int:
        value = self.item(depth + 1)
        if not isinstance(value, bytes) or len(value) <= 8 or value[0] == 0:
            raise Malformed("a CBOR bignum that is not in its shortest form")
        return int.from_bytes(value, "big")

    def _take(self, length: int) -> bytes:
        end = self.position + length
        if end > len(self._data):
            raise Malformed("the CBOR item ends too early")
        taken = self._data[self.position : end]
        self.position = end
        return taken

    def _text(self, length: int) -> str:
        try:
            return self._take(length).decode()
        except UnicodeDecodeError as error:
            raise Malformed("a CBOR text string that is not UTF-8") from error

    def _map(self, argument: int, depth: int) -> dict[CborKey, Cbor]:
        found: dict[CborKey, Cbor] = {}
        for _ in range(argument):
            key = self.item(depth + 1)
            if isinstance(key, bool) or not isinstance(key, int | str | bytes):
                raise Malformed("a CBOR map key that is no integer, text or byte string")
            if key in found:
                raise Malformed("a CBOR map with a repeated key")
            found[key] = self.item(depth + 1)
        return found
