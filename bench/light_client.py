"""A sync committee's signature by arkworks; py-ecc checks the same signature with one summed key.

The committee of 512 keys is made up, and all but nineteen sign: that is what mainnet's do. Its keys are read once for
each period of 27 hours.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from hashlib import sha256

from eth_typing import BLSPubkey, BLSSignature
from py_arkworks_bls12381 import G1Point, G2Point, Scalar
from py_ecc.bls.ciphersuites import G2ProofOfPossession

from bench.rows import Row, each, in_turns
from node.core.bls12381 import ORDER, curve
from node.core.evm.light_client.committee import verify_aggregate
from node.core.evm.light_client.containers import SyncAggregate, SyncCommittee
from node.core.evm.light_client.forks import SYNC_COMMITTEE_SIZE

_ABSENT = 19
_MESSAGES = 8
_ROUNDS = 10
_DST = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"


def measure(rounds: int = _ROUNDS) -> Iterator[Row]:
    """With the committee's keys read before, then reading them."""
    secrets = [_secret(f"key {number}") for number in range(SYNC_COMMITTEE_SIZE)]
    committee = _committee(secrets)
    absent = set(random.Random(1).sample(range(SYNC_COMMITTEE_SIZE), _ABSENT))  # noqa: S311 - the same in every run
    signers = [number for number in range(SYNC_COMMITTEE_SIZE) if number not in absent]
    bits = sum(1 << number for number in signers).to_bytes(SYNC_COMMITTEE_SIZE // 8, "little")
    total = sum(secrets[number] for number in signers)
    messages = [sha256(b"%d" % number).digest() for number in range(_MESSAGES)]
    signed = [(SyncAggregate(bits, _sign(total, message)), message) for message in messages]

    curve()  # the library is imported now
    started = time.perf_counter()
    verify_aggregate(committee, *signed[0])
    first = time.perf_counter() - started
    found = in_turns({"ours": each(lambda one: verify_aggregate(committee, *one), signed)}, rounds)["ours"]

    summed = (G1Point() * _scalar(total)).to_compressed_bytes()
    started = time.perf_counter()
    signature = BLSSignature(signed[0][0].sync_committee_signature)
    assert G2ProofOfPossession.Verify(BLSPubkey(summed), messages[0], signature)
    theirs = time.perf_counter() - started

    yield Row("sync committee's signature, keys read before", found * 1e3, "ms", at_most=5)
    yield Row(
        "  sync committee's signature, as against py-ecc with one summed key", theirs / found, "times py-ecc"
    )
    yield Row("  sync committee's signature, its 512 keys read first", first * 1e3, "ms")


def _secret(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest(), "big") % ORDER


def _committee(secrets: list[int]) -> SyncCommittee:
    keys = [(G1Point() * _scalar(one)).to_compressed_bytes() for one in secrets]
    return SyncCommittee(tuple(keys), (G1Point() * _scalar(sum(secrets))).to_compressed_bytes())


def _sign(secret: int, message: bytes) -> bytes:
    return bytes((G2Point.hash_to_curve(message, _DST) * _scalar(secret)).to_compressed_bytes())


def _scalar(number: int) -> Scalar:
    return Scalar.from_be_bytes((number % ORDER).to_bytes(32, "big"))
