"""Keccak-256, the hash of Ethereum: the padding that came before FIPS 202, so not `hashlib.sha3_256`."""

from __future__ import annotations

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """The 32-byte Keccak-256 digest of `data`."""
    return keccak.new(data=data, digest_bits=256).digest()
