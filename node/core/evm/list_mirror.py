"""A whole status list as the code of a contract: a mirror for who reads in bulk (FORMATS.md section 6).

The code is `0x00 ‖ list`, the bytes of the W3C bitstring: word w of the registry is its bytes 32·w to 32·w + 31. It
begins with STOP, so that whoever calls it runs nothing. The usual deployer puts it where its content says (EIP-1014,
salt zero): the same list has one address, whoever pays for it. No verdict reads it.
"""

from __future__ import annotations

from typing import Final

from node.core.errors import Malformed, Refused
from node.core.evm.keccak import keccak256
from node.core.evm.registry import create2_address

MAX_CODE_BYTES: Final = 24_576  # EIP-170
_SALT: Final = bytes(32)
_STOP: Final = b"\x00"


def mirror_code(bits: bytes) -> bytes:
    """The code that mirrors a list; Refused for one that no contract holds."""
    code = _STOP + bits
    if len(code) > MAX_CODE_BYTES:
        raise Refused(
            f"a contract holds lists of {MAX_CODE_BYTES - 1:,} bytes at most, this one has {len(bits):,}"
        )
    return code


def deployment(bits: bytes) -> tuple[bytes, bytes]:
    """What is sent to the usual deployer for a list, and the 20-byte address at which it then stands."""
    code = mirror_code(bits)
    # PUSH2 length, DUP1, PUSH1 10 (this prelude), RETURNDATASIZE (0), CODECOPY, RETURNDATASIZE (0), RETURN
    initcode = b"\x61" + len(code).to_bytes(2, "big") + bytes.fromhex("80600a3d393df3") + code
    return _SALT + initcode, create2_address(_SALT, initcode)


def code_hash(bits: bytes) -> bytes:
    """Keccak-256 of the code, as the account has it."""
    return keccak256(mirror_code(bits))


def read_mirror(code: bytes, log2_entries: int, status_size: int) -> bytes:
    """The list that code mirrors; Malformed for code that is no mirror of a list of that form."""
    expected = (1 << log2_entries) * status_size // 8
    if code[:1] != _STOP or len(code) != 1 + expected:
        raise Malformed(
            f"the code of a list's mirror is a zero byte and {expected:,} bytes, got {len(code):,}"
        )
    return code[1:]
