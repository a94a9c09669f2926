"""Names of did:ethr: every legal text form, and the pair (chain id, identity) that it stands for.

FORMATS.md section 1; ethr DID method specification, "Method Specific Identifier". Documents are `ethr.py`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from Crypto.Hash import keccak

from node.core import problem
from node.core.did.syntax import parse_did
from node.core.errors import Malformed, Unavailable
from node.core.keys import KeyKind, PublicKey

# EIP-2294 bounds chain ids at about 2^255; nothing in use, and no JSON here, goes beyond this.
MAX_CHAIN_ID: Final = 2**53 - 1
# The names that the resolver of the method publishes. Any other chain is written by its number.
NETWORK_NAMES: Final = {
    "mainnet": 1,
    "sepolia": 11155111,
    "gno": 100,
    "holesky": 17000,
    "polygon": 137,
    "aurora": 1313161554,
}
_IDENTIFIER: Final = re.compile(r"(?:(.+):)?0x([0-9a-fA-F]{40}|[0-9a-fA-F]{66})\Z")
_CHAIN_NUMBER: Final = re.compile(r"0x([0-9a-fA-F]+)\Z")


@dataclass(frozen=True, slots=True)
class EthrDid:
    """What a did:ethr names. `text` is the DID as it was read, `public_key` the key of the 66-digit form.

    `identity` has 20 bytes. Two texts name one issuer if chain id and identity are equal.
    """

    text: str
    chain_id: int
    identity: bytes
    public_key: PublicKey | None = None

    @property
    def canonical(self) -> str:
        """The one form that we write."""
        return did_ethr(self.chain_id, self.identity)


def did_ethr(chain_id: int, identity: bytes) -> str:
    """`did:ethr:0x<chain id>:0x<40 lower-case hex digits>`."""
    if not 0 < chain_id <= MAX_CHAIN_ID or len(identity) != 20:
        raise ValueError("a chain id above zero and an identity of 20 bytes are needed")
    return f"did:ethr:{chain_id:#x}:0x{identity.hex()}"


def parse_did_ethr(did: str) -> EthrDid:
    """Chain id and identity of a did:ethr; Malformed with type INVALID_DID.

    Unavailable for a network that is written by a name we do not know: a legal DID of a chain in no table.
    """
    method, identifier = parse_did(did)
    match = _IDENTIFIER.match(identifier)
    if method != "ethr" or match is None:
        raise Malformed("not a did:ethr", type=problem.INVALID_DID)
    network, digits = match.groups()
    chain_id = 1 if network is None else _chain_id(network)
    data = bytes.fromhex(digits)
    if len(data) == 20:
        return EthrDid(did, chain_id, data)
    try:
        key = PublicKey(KeyKind.SECP256K1, data)
    except Malformed as error:
        raise Malformed(f"a did:ethr without a key: {error.detail}", type=problem.INVALID_DID) from error
    return EthrDid(did, chain_id, ethereum_address(key), key)


def _chain_id(network: str) -> int:
    number = _CHAIN_NUMBER.match(network)
    if number is None:
        if network not in NETWORK_NAMES:
            raise Unavailable(
                "a did:ethr of a network that no name of ours stands for",
                asked=network,
                type=problem.METHOD_NOT_SUPPORTED,
            )
        return NETWORK_NAMES[network]
    chain_id = int(number[1], 16)
    if not 0 < chain_id <= MAX_CHAIN_ID:
        raise Malformed("a did:ethr of an impossible chain", type=problem.INVALID_DID)
    return chain_id


def ethereum_address(key: PublicKey) -> bytes:
    """The 20-byte address of a secp256k1 key: the end of the hash of its point."""
    if key.kind is not KeyKind.SECP256K1:
        raise ValueError("only a secp256k1 key has an address")
    return _keccak256(key.uncompressed()[1:])[12:]


def checksum_address(address: bytes) -> str:
    """The mixed-case text of an address (EIP-55), as DID documents write it."""
    digits = address.hex()
    # `_keccak256`: arrows point from `evm` to here, so its Keccak is out of reach.
    marks = _keccak256(digits.encode()).hex()
    return "0x" + "".join(
        digit.upper() if int(mark, 16) >= 8 else digit for digit, mark in zip(digits, marks, strict=False)
    )


def _keccak256(data: bytes) -> bytes:
    return keccak.new(digest_bits=256, data=data).digest()
