"""Unpacking what a stranger packed, within a limit that he does not set.

Status lists are packed twice as small as a bit a credential, or a thousand times as small: so is a bomb.
"""

from __future__ import annotations

import zlib
from typing import Final

from node.core.errors import Malformed

# The window bits by which zlib tells its two envelopes apart.
GZIP: Final = 31  # RFC 1952: Bitstring Status List, StatusList2021
ZLIB: Final = 15  # RFC 1950: Token Status List
_NAMES: Final = {GZIP: "gzip", ZLIB: "zlib"}


def inflate(packed: bytes, envelope: int, *, max_bytes: int) -> bytes:
    """The bytes that one whole stream in `envelope` (GZIP or ZLIB) packs, checksum included.

    Malformed where there are more than `max_bytes` of them, or bytes after the stream.
    """
    unpacker = zlib.decompressobj(wbits=envelope)
    try:
        # One byte more than allowed is enough to know, however large the bomb.
        data = unpacker.decompress(packed, max_bytes + 1)
    except zlib.error as error:
        raise Malformed(f"the list is not {_NAMES[envelope]}") from error
    if len(data) > max_bytes:
        raise Malformed(f"the list unpacks to more than {max_bytes:,} bytes")
    if not unpacker.eof or unpacker.unused_data:
        raise Malformed("the list is cut short or has bytes after its end")
    return data
