"""Signatures made to break verifiers (C2SP Wycheproof), for every curve and encoding that is read here.

A proof or token holds r then s (IEEE P1363); DER is read nowhere. The files with DER are asked twice: their bytes as
they stand verify never, and the numbers that they write in valid DER verify as the file says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from node.core.encoding import decode_base64url
from node.core.errors import NotVerified
from node.core.keys import KeyKind, PublicKey, parse_jwk

Group = dict[str, Any]
KINDS = {"secp256k1": KeyKind.SECP256K1, "secp256r1": KeyKind.P256, "secp384r1": KeyKind.P384}
RAW = {
    "ecdsa_secp256r1_sha256_p1363_test": (173, 89),
    "ecdsa_secp384r1_sha384_p1363_test": (193, 87),
    "ed25519_test": (88, 63),
}
# Numbers of valid and invalid cases, and of invalid ones whose DER is at fault.
DER = {
    "ecdsa_secp256r1_sha256_test": (174, 310, 235),
    "ecdsa_secp256k1_sha256_test": (168, 308, 234),
    "ecdsa_secp256k1_sha256_bitcoin_test": (162, 301, 232),
}
# Where a verdict differs from the file's: the case, its comment, and why.
ACCEPTED = {
    ("ecdsa_secp256k1_sha256_bitcoin_test", 1): (
        "Signature malleability",
        "high s: Bitcoin refuses it, while RFC 8812 and the Data Integrity suites set no rule",
    ),
    ("ecdsa_secp256k1_sha256_bitcoin_test", 388): (
        "edge case for signature malleability",
        "high s, one above half of the order: as before",
    ),
}


def groups(vectors: Path, name: str) -> list[Group]:
    found: list[Group] = json.loads((vectors / "wycheproof" / f"{name}.json").read_text())["testGroups"]
    return found


def key_of(group: Group) -> PublicKey:
    public = group["publicKey"]
    if "pk" in public:
        key = PublicKey(KeyKind.ED25519, bytes.fromhex(public["pk"]))
    else:
        point = bytes.fromhex(public["uncompressed"])
        width = len(point) // 2
        key = PublicKey(KINDS[public["curve"]], bytes([2 + (point[-1] & 1)]) + point[1 : 1 + width])
        assert key.uncompressed() == point
    if "publicKeyJwk" in group:
        assert parse_jwk(group["publicKeyJwk"]) == key
        assert decode_base64url(group["publicKeyJwk"]["x"])
    return key


def verifies(key: PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        key.verify(signature, message)
    except NotVerified:
        return False
    return True


def p1363(der: bytes, width: int) -> bytes | None:
    """r then s of a signature in valid DER; None where the encoding is at fault or a number too large."""
    try:
        r, s = decode_dss_signature(der)
        return r.to_bytes(width, "big") + s.to_bytes(width, "big")
    except (ValueError, OverflowError):
        return None


def cases(vectors: Path, name: str) -> Iterator[tuple[PublicKey, bytes, bytes, Group]]:
    for group in groups(vectors, name):
        key = key_of(group)
        for case in group["tests"]:
            yield key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]), case


@pytest.mark.parametrize("name", RAW)
def test_raw_signatures_verify_as_the_file_says(vectors: Path, name: str) -> None:
    seen = {"valid": 0, "invalid": 0}
    for key, signature, message, case in cases(vectors, name):
        found = verifies(key, signature, message)
        assert found is (case["result"] == "valid"), f"{case['tcId']}: {case['comment']}"
        seen[case["result"]] += 1
    assert (seen["valid"], seen["invalid"]) == RAW[name]


@pytest.mark.parametrize("name", DER)
def test_signatures_in_der_verify_as_numbers_alone(vectors: Path, name: str) -> None:
    seen = {"valid": 0, "invalid": 0, "encoding": 0}
    for key, signature, message, case in cases(vectors, name):
        where = f"{case['tcId']}: {case['comment']}"
        seen[case["result"]] += 1
        assert not verifies(key, signature, message), where
        raw = p1363(signature, 32)
        if raw is None:
            assert case["result"] == "invalid", where
            seen["encoding"] += 1
            continue
        differs = ACCEPTED.get((name, case["tcId"]))
        if differs is not None:
            assert (case["comment"], case["result"]) == (differs[0], "invalid"), where
        assert verifies(key, raw, message) is (case["result"] == "valid" or differs is not None), where
    assert (seen["valid"], seen["invalid"], seen["encoding"]) == DER[name]
