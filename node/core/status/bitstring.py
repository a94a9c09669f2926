"""Bitstrings: statuses packed from the most significant bit, and their compressed text.

Bitstring Status List 1.0 sections 3.3 and 3.4. Index 0 is the left-most bit of byte 0. A word of the on-chain
list is 32 bytes of the same string, big-endian (FORMATS.md section 6), so list and chain are compared directly.
"""

from __future__ import annotations

import zlib
from typing import Final

from node.core import problem
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed
from node.core.status.inflate import GZIP, inflate

MIN_ENTRIES: Final = 131_072  # section 2.2: below it an entry would say too much about its credential
MAX_BYTES: Final = 16 * 1024 * 1024  # decompressed; a list of 2^24 entries of 8 bits
WORD_BYTES: Final = 32
# The operating system in a gzip header differs between builds of zlib; the text of a list should not.
_GZIP_HEADER: Final = bytes.fromhex("1f8b08000000000000" + "03")


class OutOfRange(Malformed):
    """An index beyond the end of the list (RANGE_ERROR)."""

    default_type = problem.RANGE_ERROR


class Bitstring:
    """A mutable string of bits, a whole number of bytes long."""

    __slots__ = ("_data",)

    def __init__(self, data: bytes | bytearray) -> None:
        if len(data) > MAX_BYTES:
            raise Malformed(f"a bitstring of more than {MAX_BYTES:,} bytes")
        self._data = bytearray(data)

    @classmethod
    def zeros(cls, entries: int = MIN_ENTRIES, size: int = 1) -> Bitstring:
        """All statuses 0; `size` in bits per entry."""
        if entries < 1 or size < 1 or entries * size > 8 * MAX_BYTES:
            raise Malformed("no such size of a bitstring")
        return cls(bytes((entries * size + 7) // 8))

    def __bytes__(self) -> bytes:
        return bytes(self._data)

    def __len__(self) -> int:
        """The length in bits."""
        return len(self._data) * 8

    def __eq__(self, other: object) -> bool:
        return self._data == other._data if isinstance(other, Bitstring) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable

    def get(self, index: int, size: int = 1) -> int:
        """Status `index` (zero-based) of `size` bits, most significant first; OutOfRange beyond the end."""
        first, last, shift = self._place(index, size)
        window = int.from_bytes(self._data[first : last + 1], "big")
        return window >> shift & (1 << size) - 1

    def set(self, index: int, value: int = 1, size: int = 1) -> None:
        """Write one status; no other bit changes."""
        if not 0 <= value < 1 << size:
            raise Malformed(f"a status that does not fit into {size} bits")
        first, last, shift = self._place(index, size)
        length = last + 1 - first
        window = int.from_bytes(self._data[first : last + 1], "big")
        window = window & ~(((1 << size) - 1) << shift) | value << shift
        self._data[first : last + 1] = window.to_bytes(length, "big")

    def _place(self, index: int, size: int) -> tuple[int, int, int]:
        begin = index * size
        end = begin + size
        if index < 0 or size < 1 or end > len(self):
            raise OutOfRange("the status list has no such index")
        last = (end - 1) >> 3
        return begin >> 3, last, 8 * (last + 1) - end

    def word(self, number: int) -> int:
        """The 256-bit word `number` (zero-based) as the registry holds it: bytes 32·number … +31, big-endian."""
        begin = self._word_begin(number)
        return int.from_bytes(self._data[begin : begin + WORD_BYTES], "big")

    def _word_begin(self, number: int) -> int:
        if number < 0 or (number + 1) * WORD_BYTES > len(self._data):
            raise OutOfRange("the status list has no such word")
        return number * WORD_BYTES


def encode_list(bits: Bitstring) -> str:
    """`encodedList`: multibase `u` of gzip (section 3.3); equal bits give equal text."""
    packer = zlib.compressobj(level=6, wbits=GZIP)
    packed = packer.compress(bytes(bits)) + packer.flush()
    return "u" + encode_base64url(_GZIP_HEADER + packed[len(_GZIP_HEADER) :])


def decode_list(text: str, *, max_bytes: int = MAX_BYTES) -> Bitstring:
    """Inverse of `encode_list` (section 3.4). More than `max_bytes` of bits, or bytes after them, are Malformed."""
    if not text.startswith("u"):
        raise Malformed("encodedList must begin with the multibase letter u")
    return Bitstring(inflate(decode_base64url(text[1:]), GZIP, max_bytes=max_bytes))


def decode_list_2021(text: str, *, max_bytes: int = MAX_BYTES) -> Bitstring:
    """`encodedList` of StatusList2021: no multibase letter, and older writers left the padding on."""
    return Bitstring(inflate(decode_base64url(text.rstrip("=")), GZIP, max_bytes=max_bytes))
