from __future__ import annotations

import hashlib
from typing import Any

import py_ecc.optimized_bls12_381 as reference
import pytest

from node.core import bls12381
from node.core.bls12381 import ORDER, Arkworks, Curve, PyEcc
from node.core.errors import Malformed

ENGINES: list[Curve] = [Arkworks(), PyEcc()]
FIELD = reference.field_modulus
engines = pytest.mark.parametrize("engine", ENGINES, ids=["arkworks", "py-ecc"])
# RFC 9380 appendix J.9.1: BLS12381G1_XMD:SHA-256_SSWU_RO_, the message "abc".
RFC_DST = b"QUUX-V01-CS02-with-BLS12381G1_XMD:SHA-256_SSWU_RO_"
RFC_ABC_X = "03567bc5ef9c690c2ab2ecdf6a96ef1c139cc0b2f284dca0a9a7943388a49a3aee664ba5379a7655d3c68900be2f6903"


def outside_the_subgroup() -> bytes:
    """A point on the curve E1 whose order is not r, compressed."""
    x = 1
    while True:
        square = (x**3 + 4) % FIELD
        y = pow(square, (FIELD + 1) // 4, FIELD)
        if y * y % FIELD == square:
            point = tuple(reference.FQ(value) for value in (x, y, 1))
            if not reference.is_inf(reference.multiply(point, ORDER)):
                flags = 0b100 if y * 2 < FIELD else 0b101
                return (x | flags << 381).to_bytes(48, "big")
        x += 1


@engines
def test_hashing_to_the_curve_is_that_of_rfc_9380(engine: Curve) -> None:
    written = engine.write_g1(engine.hash_to_g1(b"abc", RFC_DST))
    assert (int.from_bytes(written, "big") & ((1 << 381) - 1)) == int(RFC_ABC_X, 16)


@pytest.mark.parametrize("scalar", [1, 2, ORDER - 1, int.from_bytes(hashlib.sha256(b"k").digest(), "big")])
def test_both_engines_write_the_same_points(scalar: int) -> None:
    first, second = (
        (e.write_g1(e.combine([(e.hash_to_g1(b"p", b"DST"), scalar)])), e.write_g2(e.g2_times(scalar)))
        for e in ENGINES
    )
    assert first == second


@engines
def test_a_sum_of_products_is_the_sum_of_its_products(engine: Curve) -> None:
    p, q = engine.hash_to_g1(b"p", b"DST"), engine.hash_to_g1(b"q", b"DST")
    apart = engine.add(engine.combine([(p, 5)]), engine.negate(engine.combine([(q, 3)])))
    assert engine.write_g1(engine.combine([(p, 5), (q, -3)])) == engine.write_g1(apart)


@engines
def test_scalars_are_taken_modulo_the_order(engine: Curve) -> None:
    p = engine.hash_to_g1(b"p", b"DST")
    assert engine.write_g1(engine.combine([(p, ORDER + 7), (p, 0)])) == engine.write_g1(
        engine.combine([(p, 7)])
    )
    assert engine.is_identity(engine.combine([(p, 7), (p, -7)]))
    assert not engine.is_identity(p)


@engines
def test_pairings_are_bilinear(engine: Curve) -> None:
    p = engine.hash_to_g1(b"p", b"DST")
    six = engine.combine([(p, 6)])
    assert engine.pairings_cancel([(six, engine.g2), (engine.negate(p), engine.g2_times(6))])
    assert not engine.pairings_cancel([(six, engine.g2), (engine.negate(p), engine.g2_times(5))])


@engines
def test_what_is_written_is_read(engine: Curve) -> None:
    written = engine.write_g1(engine.hash_to_g1(b"p", b"DST"))
    assert engine.write_g1(engine.read_g1(written)) == written
    key = engine.write_g2(engine.g2_times(3))
    assert engine.write_g2(engine.read_g2(key)) == key


P = ENGINES[0].write_g1(ENGINES[0].hash_to_g1(b"p", b"DST"))
K = ENGINES[0].write_g2(ENGINES[0].g2_times(3))
BAD_G1 = {
    "the identity": b"\xc0" + bytes(47),
    "an untidy identity": b"\xc0" + bytes(46) + b"\x01",
    "an identity with a sign": b"\xe0" + bytes(47),
    "no compression flag": bytes([P[0] & 0x7F]) + P[1:],
    "an infinity flag on a point": bytes([P[0] | 0x40]) + P[1:],
    "x not below the field's modulus": (FIELD | 0b100 << 381).to_bytes(48, "big"),
    "not on the curve": (3 | 0b100 << 381).to_bytes(48, "big"),
    "outside the subgroup": outside_the_subgroup(),
    "a byte too short": P[:-1],
    "a byte too long": P + b"\x00",
    "empty": b"",
}
BAD_G2 = {
    "the identity": b"\xc0" + bytes(95),
    "an untidy identity": b"\xc0" + bytes(94) + b"\x01",
    "no compression flag": bytes([K[0] & 0x7F]) + K[1:],
    "imaginary part not below the modulus": (FIELD | 0b100 << 381).to_bytes(48, "big") + K[48:],
    "real part not below the modulus": K[:48] + FIELD.to_bytes(48, "big"),
    "outside the subgroup": bytes.fromhex("80" + "00" * 94 + "02"),
    "a point of G1": P,
    "a byte too long": K + b"\x00",
}


@engines
@pytest.mark.parametrize("defect", BAD_G1)
def test_a_point_of_g1_is_refused_that_is(engine: Curve, defect: str) -> None:
    with pytest.raises(Malformed, match="subgroup G1"):
        engine.read_g1(BAD_G1[defect])


@engines
@pytest.mark.parametrize("defect", BAD_G2)
def test_a_point_of_g2_is_refused_that_is(engine: Curve, defect: str) -> None:
    with pytest.raises(Malformed, match="subgroup G2"):
        engine.read_g2(BAD_G2[defect])


def test_py_ecc_is_the_engine_where_arkworks_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(self: Any) -> None:
        raise ImportError

    monkeypatch.setattr(Arkworks, "__init__", missing)
    bls12381.curve.cache_clear()
    assert isinstance(bls12381.curve(), PyEcc)
    bls12381.curve.cache_clear()
    monkeypatch.undo()
    assert isinstance(bls12381.curve(), Arkworks)


def test_both_engines_hash_to_the_same_point_of_g2() -> None:
    first, second = (e.write_g2(e.hash_to_g2(b"abc", b"DST")) for e in ENGINES)
    assert first == second


@engines
def test_the_generator_of_g1_pairs_with_that_of_g2(engine: Curve) -> None:
    pairs = [(engine.combine([(engine.g1, 7)]), engine.g2), (engine.negate(engine.g1), engine.g2_times(7))]
    assert engine.pairings_cancel(pairs)
