"""The CBOR of proof values with selective disclosure, item by item: of exactly the shape that a suite expects.

A header of three bytes comes first, the array of items after it (Data Integrity ECDSA Cryptosuites 1.0 section 3.5,
BBS Cryptosuites 1.0 section 3.3). Each function returns what it was asked for or is Malformed with type
PROOF_VERIFICATION_ERROR.
"""

from __future__ import annotations

import hashlib
from collections.abc import Container, Sequence

from node.core.canonical.rdfc import Canonicalizer
from node.core.cbor import Cbor, decode_cbor
from node.core.dataintegrity.cryptosuite import bad_value, decode_proof_value, not_verified
from node.core.dataintegrity.hash_suite import rdf_proof_config
from node.core.dataintegrity.proof import Proof
from node.core.errors import Malformed
from node.core.strict_json import JsonObject

HEADER_BYTES = 3


def is_base_value(proof: Proof, base: Container[bytes], derived: Container[bytes]) -> bool:
    """Whether the proof value has one of the headers of base proofs; Malformed where it has none of either."""
    header = decode_proof_value(proof, "u")[:HEADER_BYTES]
    if header not in base and header not in derived:
        raise bad_value(f"no header of the suite: {header.hex()}")
    return header in base


def base_value(proof: Proof, base: Container[bytes]) -> bytes:
    """The value of a base proof, its header first; Malformed where it is none."""
    value = decode_proof_value(proof, "u")
    if value[:HEADER_BYTES] not in base:
        raise bad_value(f"no header of a base proof: {value[:HEADER_BYTES].hex()}")
    return value


def derived_value(proof: Proof, base: Container[bytes], derived: Container[bytes]) -> bytes:
    """The value of a derived proof, its header first; Malformed where it is none, NotVerified for a base proof."""
    value = decode_proof_value(proof, "u")
    if value[:HEADER_BYTES] in base:
        raise not_verified("a base proof is not shown to anyone: proofs for others are derived from it")
    if value[:HEADER_BYTES] not in derived:
        raise bad_value(f"no header of a derived proof: {value[:HEADER_BYTES].hex()}")
    return value


def value_items(value: bytes, counts: tuple[int, ...], *, bignums: bool = False) -> list[Cbor]:
    """The items behind the header, of which there are as many as one of `counts` says."""
    try:
        items = decode_cbor(value[HEADER_BYTES:], bignums=bignums)
    except Malformed as error:
        raise bad_value(error.detail) from error
    if type(items) is not list or len(items) not in counts:
        raise bad_value(f"expected an array of {' or '.join(map(str, counts))} items")
    return items


def bytes_item(value: Cbor, length: int | None, what: str) -> bytes:
    """A byte string; of any length where `length` is None."""
    if type(value) is not bytes or len(value) != (len(value) if length is None else length):
        raise bad_value(f"expected {what}" + ("" if length is None else f" of {length} bytes"))
    return value


def bytes_items(value: Cbor, length: int, what: str, at_most: int) -> tuple[bytes, ...]:
    """An array of byte strings of one length."""
    if type(value) is not list or len(value) > at_most:
        raise bad_value(f"expected an array of at most {at_most:,} items: each item {what}")
    return tuple(bytes_item(item, length, what) for item in value)


def pointers_item(value: Cbor) -> tuple[str, ...]:
    """An array of JSON Pointers, which are not looked at."""
    if type(value) is not list or not all(type(pointer) is str for pointer in value):
        raise bad_value("expected an array of JSON Pointers")
    return tuple(str(pointer) for pointer in value)


def indexes_item(value: Cbor) -> tuple[int, ...]:
    """An array of zero-based indexes, in any order (`selective.check_indexes`)."""
    if type(value) is not list or not all(type(index) is int and index >= 0 for index in value):
        raise bad_value("expected an array of indexes")
    return tuple(index for index in value if type(index) is int)


def labels_item(value: Cbor) -> dict[str, Cbor]:
    """A map from the numbers of canonical identifiers to labels as the suite compresses them, by `c14n0` and so on."""
    if type(value) is not dict:
        raise bad_value("expected a map of labels")
    if not all(type(number) is int and number >= 0 for number in value):
        raise bad_value("expected a map from numbers to labels")
    return {f"c14n{number}": label for number, label in value.items()}  # type: ignore[str-bytes-safe]


def hash_proof_config(document: JsonObject, options: JsonObject, canonicalizer: Canonicalizer) -> bytes:
    """SHA-256 of the canonical proof configuration (sections 3.6.4 and 3.4.4)."""
    return hash_statements([canonicalizer.nquads(rdf_proof_config(document, options))])


def hash_statements(statements: Sequence[str]) -> bytes:
    """SHA-256 of statements one after the other (sections 3.4.17 and 3.4.3)."""
    return hashlib.sha256("".join(statements).encode()).digest()
