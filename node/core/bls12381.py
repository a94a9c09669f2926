"""The curve BLS12-381 (draft-irtf-cfrg-pairing-friendly-curves section 4.2.1): what BBS and sync committees need of it.

Two engines do the same: arkworks, in milliseconds, and py-ecc, in seconds, for systems without a wheel of the first
and as the reference that the first is tested against. Points are opaque: only the engine that made one reads it.
Points that come from outside are read in their one compressed form (ZCash's), in the subgroup of order r, never the
identity.

Neither engine works in constant time, nor do Python's integers: whoever measures the time of signing or deriving on
the same machine may learn of the secret scalars. Sign where nobody else can measure.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, Final, Protocol, TypeAlias

from node.core import problem
from node.core.errors import Malformed

# The order r of the subgroups G1 and G2.
ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
SCALAR_BYTES: Final = 32
G1_BYTES: Final = 48
G2_BYTES: Final = 96

G1Point: TypeAlias = Any
G2Point: TypeAlias = Any


class Curve(Protocol):
    """Operations on the curve; scalars are integers and are taken modulo the order."""

    def __hash__(self) -> int:
        """What was read with one engine is remembered for it alone."""
        ...

    @property
    def g1(self) -> G1Point:
        """The generator of G1."""
        ...

    @property
    def g2(self) -> G2Point:
        """The generator of G2."""
        ...

    def read_g1(self, data: bytes) -> G1Point:
        """The point of 48 compressed bytes; Malformed unless canonical, in the subgroup and not the identity."""
        ...

    def read_g2(self, data: bytes) -> G2Point:
        """The point of 96 compressed bytes; Malformed unless canonical, in the subgroup and not the identity."""
        ...

    def write_g1(self, point: G1Point) -> bytes:
        """The 48 compressed bytes of a point."""
        ...

    def write_g2(self, point: G2Point) -> bytes:
        """The 96 compressed bytes of a point."""
        ...

    def hash_to_g1(self, message: bytes, dst: bytes) -> G1Point:
        """RFC 9380, suite BLS12381G1_XMD:SHA-256_SSWU_RO_ with the domain separation tag `dst`."""
        ...

    def hash_to_g2(self, message: bytes, dst: bytes) -> G2Point:
        """RFC 9380, suite BLS12381G2_XMD:SHA-256_SSWU_RO_ with the domain separation tag `dst`."""
        ...

    def add(self, left: G1Point, right: G1Point) -> G1Point:
        """The sum of two points of G1."""
        ...

    def negate(self, point: G1Point) -> G1Point:
        """The point that gives the identity when added."""
        ...

    def combine(self, terms: Sequence[tuple[G1Point, int]]) -> G1Point:
        """The sum of each point times its scalar; the identity where there are no terms."""
        ...

    def g2_times(self, scalar: int) -> G2Point:
        """The generator of G2 times a scalar."""
        ...

    def is_identity(self, point: G1Point) -> bool:
        """Whether a point of G1 is the identity."""
        ...

    def pairings_cancel(self, pairs: Sequence[tuple[G1Point, G2Point]]) -> bool:
        """Whether the product of the pairings is the identity of GT."""
        ...


@lru_cache(maxsize=1)
def curve() -> Curve:
    """The faster engine that is installed; its library is imported by the first call."""
    try:
        return Arkworks()
    except ImportError:
        return PyEcc()


@lru_cache(maxsize=256)
def check_g2(data: bytes) -> None:
    """Raise Malformed unless `data` is a point of G2 as a public key is one; keys seen before are remembered."""
    curve().read_g2(data)


class Arkworks:
    """py-arkworks-bls12381: the Rust library arkworks."""

    def __init__(self) -> None:
        import py_arkworks_bls12381 as library  # noqa: PLC0415 - only documents with such signatures need it

        self._g1, self._g2, self._gt = library.G1Point, library.G2Point, library.GT
        self._scalar = library.Scalar.from_be_bytes
        self._identity = library.G1Point.identity()
        self.g1, self.g2 = library.G1Point(), library.G2Point()

    def read_g1(self, data: bytes) -> G1Point:
        """As the protocol says; the library checks curve and subgroup and tolerates an untidy identity."""
        return _read(self._g1, data, G1_BYTES)

    def read_g2(self, data: bytes) -> G2Point:
        """As `read_g1`."""
        return _read(self._g2, data, G2_BYTES)

    def write_g1(self, point: G1Point) -> bytes:
        """As the protocol says."""
        return bytes(point.to_compressed_bytes())

    def write_g2(self, point: G2Point) -> bytes:
        """As the protocol says."""
        return bytes(point.to_compressed_bytes())

    def hash_to_g1(self, message: bytes, dst: bytes) -> G1Point:
        """As the protocol says."""
        return self._g1.hash_to_curve(message, dst)

    def hash_to_g2(self, message: bytes, dst: bytes) -> G2Point:
        """As the protocol says."""
        return self._g2.hash_to_curve(message, dst)

    def add(self, left: G1Point, right: G1Point) -> G1Point:
        """As the protocol says."""
        return left + right

    def negate(self, point: G1Point) -> G1Point:
        """As the protocol says."""
        return -point

    def combine(self, terms: Sequence[tuple[G1Point, int]]) -> G1Point:
        """As the protocol says; one multiplication is faster alone than as a sum of one."""
        if len(terms) == 1:
            return terms[0][0] * self._to_scalar(terms[0][1])
        points = [point for point, _ in terms]
        return self._g1.multiexp_unchecked(points, [self._to_scalar(scalar) for _, scalar in terms])

    def g2_times(self, scalar: int) -> G2Point:
        """As the protocol says."""
        return self.g2 * self._to_scalar(scalar)

    def is_identity(self, point: G1Point) -> bool:
        """As the protocol says."""
        return bool(point == self._identity)

    def pairings_cancel(self, pairs: Sequence[tuple[G1Point, G2Point]]) -> bool:
        """As the protocol says."""
        return bool(self._gt.pairing_check([left for left, _ in pairs], [right for _, right in pairs]))

    def _to_scalar(self, scalar: int) -> Any:
        return self._scalar((scalar % ORDER).to_bytes(SCALAR_BYTES, "big"))


def _read(kind: Any, data: bytes, length: int) -> Any:
    try:
        point = kind.from_compressed_bytes(data)
    except ValueError as error:
        raise _no_point(length) from error
    if point == kind.identity() or point.to_compressed_bytes() != data:
        raise _no_point(length)
    return point


class PyEcc:
    """py-ecc: plain Python, some hundred times slower."""

    def __init__(self) -> None:
        from py_ecc import optimized_bls12_381  # noqa: PLC0415 - slow to import, and seldom needed
        from py_ecc.bls import hash_to_curve, point_compression  # noqa: PLC0415

        # Untyped: the package exports its functions without saying so.
        self._curve: Any = optimized_bls12_381
        self._hashing: Any = hash_to_curve
        self._compression: Any = point_compression
        self.g1, self.g2 = self._curve.G1, self._curve.G2

    def read_g1(self, data: bytes) -> G1Point:
        """As the protocol says."""
        return self._read(self._compression.decompress_G1, data, [data], G1_BYTES)

    def read_g2(self, data: bytes) -> G2Point:
        """As the protocol says."""
        halves = [data[:G1_BYTES], data[G1_BYTES:]]
        return self._read(self._compression.decompress_G2, data, halves, G2_BYTES)

    def write_g1(self, point: G1Point) -> bytes:
        """As the protocol says."""
        return int(self._compression.compress_G1(point)).to_bytes(G1_BYTES, "big")

    def write_g2(self, point: G2Point) -> bytes:
        """As the protocol says."""
        high, low = self._compression.compress_G2(point)
        return int(high).to_bytes(G1_BYTES, "big") + int(low).to_bytes(G1_BYTES, "big")

    def hash_to_g1(self, message: bytes, dst: bytes) -> G1Point:
        """As the protocol says."""
        return self._hashing.hash_to_G1(message, dst, hashlib.sha256)

    def hash_to_g2(self, message: bytes, dst: bytes) -> G2Point:
        """As the protocol says."""
        return self._hashing.hash_to_G2(message, dst, hashlib.sha256)

    def add(self, left: G1Point, right: G1Point) -> G1Point:
        """As the protocol says."""
        return self._curve.add(left, right)

    def negate(self, point: G1Point) -> G1Point:
        """As the protocol says."""
        return self._curve.neg(point)

    def combine(self, terms: Sequence[tuple[G1Point, int]]) -> G1Point:
        """As the protocol says."""
        total: Any = self._curve.Z1
        for point, scalar in terms:
            total = self._curve.add(total, self._curve.multiply(point, scalar % ORDER))
        return total

    def g2_times(self, scalar: int) -> G2Point:
        """As the protocol says."""
        return self._curve.multiply(self.g2, scalar % ORDER)

    def is_identity(self, point: G1Point) -> bool:
        """As the protocol says."""
        return bool(self._curve.is_inf(point))

    def pairings_cancel(self, pairs: Sequence[tuple[G1Point, G2Point]]) -> bool:
        """As the protocol says; one final exponentiation for all."""
        product = self._curve.FQ12.one()
        for left, right in pairs:
            product *= self._curve.pairing(right, left, final_exponentiate=False)
        return bool(self._curve.final_exponentiate(product) == self._curve.FQ12.one())

    def _read(self, decompress: Any, data: bytes, halves: Iterable[bytes], length: int) -> Any:
        if len(data) != length:
            raise _no_point(length)
        numbers = tuple(int.from_bytes(half, "big") for half in halves)
        try:
            point = decompress(numbers[0] if length == G1_BYTES else numbers)
        except ValueError as error:
            raise _no_point(length) from error
        if self._curve.is_inf(point) or not self._curve.is_inf(self._curve.multiply(point, ORDER)):
            raise _no_point(length)
        return point


def _no_point(length: int) -> Malformed:
    group = "G1" if length == G1_BYTES else "G2"
    return Malformed(
        f"not {length} bytes of a point in the subgroup {group} of BLS12-381",
        type=problem.INVALID_VERIFICATION_METHOD if group == "G2" else problem.PROOF_VERIFICATION_ERROR,
    )
