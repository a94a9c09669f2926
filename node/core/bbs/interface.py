"""What the operations of BBS share under one interface identifier (draft-irtf-cfrg-bbs-signatures sections 4 and 6).

The ciphersuite is BLS12-381-SHA-256. An `Interface` hashes to scalars, makes the generators and the domain; blind
signatures and pseudonyms are interfaces of their own with the same core.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property, lru_cache
from typing import Final, TypeAlias

from node.core import problem
from node.core.bls12381 import G1_BYTES, ORDER, SCALAR_BYTES, Curve, G1Point, G2Point, curve
from node.core.errors import Malformed

CIPHERSUITE_ID: Final = b"BBS_BLS12381G1_XMD:SHA-256_SSWU_RO_"
# A generator costs a hash to the curve and is kept: this bounds the work and memory that a hostile proof can ask for.
MAX_MESSAGES: Final = 4096
_EXPAND_BYTES: Final = 48
_P1: Final = bytes.fromhex(
    "a8ce256102840821a3e94ea9025e4662b205762f9776b3a766c872b948f1fd225e7c59698588e70d11406d161b4e28c9"
)

RandomScalars: TypeAlias = Callable[[int], Sequence[int]]
"""Gives that many scalars, uniform in 1 … r - 1, each time different ones (draft section 4.2.1)."""


class Interface:
    """One interface identifier over one engine for the curve. Threads may share it."""

    def __init__(self, api_id: bytes, engine: Curve | None = None) -> None:
        self.api_id = api_id
        self._engine = engine
        self._generators: list[G1Point] = []
        self._written: list[bytes] = []
        self._seed = b""
        self._growing = threading.Lock()

    @cached_property
    def curve(self) -> Curve:
        """The engine; the default one is loaded when it is first needed."""
        return self._engine or curve()

    @cached_property
    def base(self) -> G1Point:
        """P1, the fixed point of the ciphersuite (section 7.2.2)."""
        return self.curve.read_g1(_P1)

    def hash_to_scalar(self, message: bytes, dst: bytes | None = None) -> int:
        """Section 4.2.2; `dst` is the interface's H2S tag unless given."""
        expanded = expand_message(message, self.api_id + b"H2S_" if dst is None else dst, _EXPAND_BYTES)
        return int.from_bytes(expanded, "big") % ORDER

    def scalars_of(self, messages: Iterable[bytes]) -> list[int]:
        """Section 4.1.2, messages_to_scalars."""
        dst = self.api_id + b"MAP_MSG_TO_SCALAR_AS_HASH_"
        return [self.hash_to_scalar(message, dst) for message in messages]

    def generators(self, count: int) -> Sequence[G1Point]:
        """Section 4.1.1, create_generators: the first `count`; each is made once."""
        self._grow(count)
        return self._generators[:count]

    def written_generators(self, count: int) -> bytes:
        """The same, serialized."""
        self._grow(count)
        return b"".join(self._written[:count])

    def _grow(self, count: int) -> None:
        if count > MAX_MESSAGES + 2:
            raise Malformed(
                f"more than {MAX_MESSAGES} messages under one signature",
                type=problem.PROOF_VERIFICATION_ERROR,
            )
        with self._growing:
            seed_dst = self.api_id + b"SIG_GENERATOR_SEED_"
            if not self._generators:
                self._seed = expand_message(self.api_id + b"MESSAGE_GENERATOR_SEED", seed_dst, _EXPAND_BYTES)
            for index in range(len(self._generators) + 1, count + 1):
                self._seed = expand_message(self._seed + index.to_bytes(8, "big"), seed_dst, _EXPAND_BYTES)
                point = self.curve.hash_to_g1(self._seed, self.api_id + b"SIG_GENERATOR_DST_")
                self._written.append(self.curve.write_g1(point))
                self._generators.append(point)


def expand_message(message: bytes, dst: bytes, length: int) -> bytes:
    """RFC 9380 section 5.3.1, expand_message_xmd with SHA-256; `length` is at most 8,160 bytes."""
    blocks = -(-length // 32)
    if blocks > 255 or len(dst) > 255:
        raise ValueError("expand_message_xmd is not defined for such lengths")
    tag = dst + bytes([len(dst)])
    first = hashlib.sha256(bytes(64) + message + length.to_bytes(2, "big") + b"\x00" + tag).digest()
    chained = int.from_bytes(first, "big")
    block = hashlib.sha256(first + b"\x01" + tag).digest()
    output = [block]
    for number in range(2, blocks + 1):
        mixed = (chained ^ int.from_bytes(block, "big")).to_bytes(32, "big")
        block = hashlib.sha256(mixed + bytes([number]) + tag).digest()
        output.append(block)
    return b"".join(output)[:length]


def seeded_scalars(seed: bytes, *context: bytes) -> RandomScalars:
    """Random scalars out of 32 or more fresh random bytes.

    They depend on `context` too: what the proof is made of. Two proofs made by mistake from one seed then do not
    share the scalars that would give the signature away. What is asked for again is the same again.
    """
    if len(seed) < 32:
        raise ValueError("a seed of at least 32 random bytes is needed")
    key = hashlib.sha256(seed)
    for item in context:
        key.update(len(item).to_bytes(8, "big") + item)
    dst = CIPHERSUITE_ID + b"SEEDED_RANDOM_SCALARS_DST_"

    def scalars(count: int) -> list[int]:
        return [_scalar_in_range(key.digest() + index.to_bytes(8, "big"), dst) for index in range(count)]

    return scalars


def _scalar_in_range(message: bytes, dst: bytes) -> int:
    return int.from_bytes(expand_message(message, dst, _EXPAND_BYTES), "big") % (ORDER - 1) + 1


def write_number(value: int) -> bytes:
    """Section 4.2.4.1: a count or an index in 8 bytes."""
    return value.to_bytes(8, "big")


def write_scalars(scalars: Iterable[int]) -> bytes:
    """Scalars in 32 bytes each."""
    return b"".join(scalar.to_bytes(SCALAR_BYTES, "big") for scalar in scalars)


def read_scalars(data: bytes) -> list[int]:
    """Scalars of 32 bytes each, from 1 to r - 1; Malformed otherwise."""
    if len(data) % SCALAR_BYTES:
        raise Malformed("scalars of 32 bytes each are expected", type=problem.PROOF_VERIFICATION_ERROR)
    scalars = [
        int.from_bytes(data[at : at + SCALAR_BYTES], "big") for at in range(0, len(data), SCALAR_BYTES)
    ]
    if not all(0 < scalar < ORDER for scalar in scalars):
        raise Malformed("a scalar is zero or not below the order", type=problem.PROOF_VERIFICATION_ERROR)
    return scalars


def read_points(data: bytes, engine: Curve) -> list[G1Point]:
    """Points of G1 in 48 bytes each."""
    return [engine.read_g1(data[at : at + G1_BYTES]) for at in range(0, len(data), G1_BYTES)]


@lru_cache(maxsize=64)
def read_public_key(data: bytes, engine: Curve) -> G2Point:
    """Section 4.2.4.5: the point of a public key; Malformed unless it is a key. Known keys are remembered."""
    return engine.read_g2(data)
