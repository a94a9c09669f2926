"""Text forms of bytes: base64url, base58btc, multibase, multihash, varints and 0x-hex, all strict.

Strict means that each byte string has one text only, so a signature or digest cannot be spelled twice.
Multibase letters and multihash codes: Controlled Identifiers 1.0 section 2.4 and 2.5.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from node.core.errors import Malformed

_BASE58: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_NO_DIGIT: Final = 58
_BASE58_DIGITS: Final = bytes(_BASE58.find(chr(byte)) % (_NO_DIGIT + 1) for byte in range(256))
_BASE58_PAIRS: Final = [first + second for first in _BASE58 for second in _BASE58]
_STANDARD_TO_URL: Final = bytes.maketrans(b"+/", b"-_")
# The last letters that leave no stray bits behind, by the number of letters modulo four.
_LAST_LETTERS: Final = {0: None, 2: frozenset("AQgw"), 3: frozenset("AEIMQUYcgkosw048")}
_HEX: Final = re.compile(r"0x(?:[0-9a-f]{2})*\Z")
# Base58 is quadratic: no key, signature or digest here needs more.
_BASE58_MAX_CHARS: Final = 1024

# For lanes of 1, 2, 4 … bytes: a mask of every second one, over as many bytes as there are letters at most.
_LOW_LANES: Final = tuple(
    int.from_bytes((bytes(lane) + b"\xff" * lane) * (_BASE58_MAX_CHARS // (2 * lane)), "big")
    for lane in (1 << power for power in range(10))
)

SHA2_256: Final = b"\x12\x20"
SHA2_384: Final = b"\x20\x30"


def encode_base64url(data: bytes) -> str:
    """Base64url without padding (RFC 4648 section 5)."""
    return binascii.b2a_base64(data, newline=False).translate(_STANDARD_TO_URL).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """Inverse of `encode_base64url`; padding, white space and stray low bits are Malformed."""
    over = len(text) % 4
    try:
        letters = text.encode("ascii")
        if b"+" in letters or b"/" in letters or b"=" in letters:
            raise ValueError("letters of standard base64")
        standard = letters.replace(b"-", b"+").replace(b"_", b"/") + b"==="[: -over % 4]
        data = binascii.a2b_base64(standard, strict_mode=True)
        last_letters = _LAST_LETTERS[over]
    except (ValueError, KeyError) as error:
        raise Malformed("not base64url without padding") from error
    if last_letters is not None and text[-1] not in last_letters:
        raise Malformed("base64url text has stray bits in its last letter")
    return data


def decode_base64(text: str) -> bytes:
    """Standard base64 with its padding (RFC 4648 section 4), one text per byte string."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Malformed("not standard base64") from error
    if base64.b64encode(data).decode("ascii") != text:
        raise Malformed("base64 text has stray bits in its last letter")
    return data


def encode_base58btc(data: bytes) -> str:
    """Base58 with the Bitcoin alphabet; each leading zero byte is a `1`."""
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data, "big")
    # Dividing a long number is the whole cost: ten digits at a time, which are then a short one.
    pairs = []
    while number:
        number, ten = divmod(number, 58**10)
        for _ in range(5):
            ten, pair = divmod(ten, 58**2)
            pairs.append(_BASE58_PAIRS[pair])
    return "1" * zeros + "".join(reversed(pairs)).lstrip("1")


def decode_base58btc(text: str) -> bytes:
    """Inverse of `encode_base58btc`; at most 1,024 letters."""
    if len(text) > _BASE58_MAX_CHARS:
        raise Malformed(f"base58 text of more than {_BASE58_MAX_CHARS} letters")
    # Every letter that is not ASCII becomes a `?`, which is none of these.
    digits = text.encode("ascii", "replace").translate(_BASE58_DIGITS)
    if _NO_DIGIT in digits:
        raise Malformed("not base58btc")
    zeros = len(digits) - len(digits.lstrip(b"\0"))
    number = _joined(digits)
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _joined(digits: bytes) -> int:
    """The number that base 58 digits write: neighbours are joined, all pairs of them at once, until one is left.

    They stand in lanes of one long integer, and 58^n is always less than 256^n.
    """
    number, lane, base = int.from_bytes(digits, "big"), 8, 58
    for low in _LOW_LANES:
        if lane >= 8 * len(digits):
            break
        number = (number & low) + (number >> lane & low) * base
        lane, base = 2 * lane, base * base
    return number


def encode_multibase(data: bytes, letter: str = "z") -> str:
    """Multibase with `z` (base58btc) or `u` (base64url), the two that the standards here name."""
    if letter == "z":
        return "z" + encode_base58btc(data)
    if letter == "u":
        return "u" + encode_base64url(data)
    raise ValueError(f"no multibase letter of ours: {letter}")


def decode_multibase(text: str, letters: str = "zu") -> bytes:
    """Bytes of a multibase text whose first letter is one of `letters`; anything else is Malformed."""
    if text[:1] not in tuple(letters):
        raise Malformed(f"multibase text must begin with one of: {', '.join(letters)}")
    return decode_base58btc(text[1:]) if text[0] == "z" else decode_base64url(text[1:])


def encode_varint(value: int) -> bytes:
    """Unsigned varint, as multicodec prefixes use: seven bits a byte, lowest first."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode_varint(data: bytes) -> tuple[int, int]:
    """The varint at the beginning of `data` and its length in bytes; over-long forms are Malformed."""
    value = 0
    for position, byte in enumerate(data[:9]):
        value |= (byte & 0x7F) << (7 * position)
        if byte < 0x80:
            if byte == 0 and position:
                break
            return value, position + 1
    raise Malformed("not a minimal unsigned varint")


def encode_hex(data: bytes) -> str:
    """Lower-case hex with `0x`, the one form of FORMATS.md section 7."""
    return "0x" + data.hex()


def decode_hex(text: str, length: int | None = None) -> bytes:
    """Inverse of `encode_hex`; `length` in bytes where it is fixed."""
    if not _HEX.match(text):
        raise Malformed("not lower-case hex with 0x and an even number of digits")
    data = bytes.fromhex(text[2:])
    if length is not None and len(data) != length:
        raise Malformed(f"expected {length} bytes of hex, got {len(data)}")
    return data
