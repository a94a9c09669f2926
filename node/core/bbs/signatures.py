"""BBS signatures and their proofs (draft-irtf-cfrg-bbs-signatures), in the ciphersuite BLS12-381-SHA-256.

A signature over several messages, from which its holder makes proofs that show some of them, cannot be linked to
each other and cannot be made without the signature. `core_*` are the draft's core operations over generators and
scalars, which `blind` uses as well. Randomness is an argument; see `bls12381` for what timing may tell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from node.core import problem
from node.core.bbs.interface import (
    CIPHERSUITE_ID,
    Interface,
    RandomScalars,
    read_points,
    read_public_key,
    read_scalars,
    write_number,
    write_scalars,
)
from node.core.bls12381 import G1_BYTES, ORDER, SCALAR_BYTES, G1Point
from node.core.errors import Malformed, NotVerified

BBS: Final = Interface(CIPHERSUITE_ID + b"H2G_HM2S_")
SIGNATURE_BYTES: Final = G1_BYTES + SCALAR_BYTES
# Three points and four scalars; each message that is not disclosed adds a scalar.
PROOF_FLOOR_BYTES: Final = 3 * G1_BYTES + 4 * SCALAR_BYTES


def key_gen(key_material: bytes, key_info: bytes = b"", *, interface: Interface = BBS) -> int:
    """Section 3.4.1: a secret key out of at least 32 bytes of secret random material."""
    if len(key_material) < 32 or len(key_info) > 65535:
        raise Malformed("a key is made of at least 32 secret bytes and at most 65,535 of information")
    derive_input = key_material + len(key_info).to_bytes(2, "big") + key_info
    return interface.hash_to_scalar(derive_input, interface.api_id + b"KEYGEN_DST_")


def public_key_of(secret_key: int, *, interface: Interface = BBS) -> bytes:
    """Section 3.4.2, SkToPk: 96 bytes."""
    check_secret_key(secret_key)
    return interface.curve.write_g2(interface.curve.g2_times(secret_key))


def sign(
    secret_key: int,
    public_key: bytes,
    header: bytes,
    messages: Sequence[bytes],
    *,
    interface: Interface = BBS,
) -> bytes:
    """Section 3.5.1: the signature, 80 bytes. Nothing random goes into it."""
    check_secret_key(secret_key)
    terms = Terms.of(interface, public_key, header, interface.scalars_of(messages))
    e = interface.hash_to_scalar(write_scalars([secret_key, *terms.scalars, terms.domain]))
    return core_sign(interface, secret_key, terms.point(), e)


def verify(
    public_key: bytes,
    signature: bytes,
    header: bytes,
    messages: Sequence[bytes],
    *,
    interface: Interface = BBS,
) -> None:
    """Section 3.5.2: raise NotVerified unless the signature is over header and messages; Malformed: no signature."""
    core_verify(
        public_key, signature, Terms.of(interface, public_key, header, interface.scalars_of(messages))
    )


def derive_proof(
    public_key: bytes,
    signature: bytes,
    header: bytes,
    presentation_header: bytes,
    messages: Sequence[bytes],
    disclosed_indexes: Sequence[int],
    random_scalars: RandomScalars,
    *,
    interface: Interface = BBS,
) -> bytes:
    """Section 3.5.3, ProofGen: a proof that shows the messages at `disclosed_indexes` (ascending, zero-based).

    The signature is not verified here: a wrong one gives a wrong proof.
    """
    terms = Terms.of(interface, public_key, header, interface.scalars_of(messages))
    return core_derive(signature, terms, presentation_header, disclosed_indexes, random_scalars)


def verify_proof(
    public_key: bytes,
    proof: bytes,
    header: bytes,
    presentation_header: bytes,
    disclosed: Mapping[int, bytes],
    *,
    interface: Interface = BBS,
) -> None:
    """Section 3.5.4, ProofVerify: raise NotVerified unless the proof shows each message at its index.

    Malformed where the bytes are no proof, or an index is beyond the messages it speaks of.
    """
    scalars = dict(zip(disclosed, interface.scalars_of(disclosed.values()), strict=True))
    count = len(disclosed) + undisclosed_in(proof)
    signed = Domain.of(interface, public_key, header, interface.generators(count + 1))
    core_verify_proof(public_key, proof, signed, presentation_header, scalars)


@dataclass(frozen=True, slots=True)
class Domain:
    """The generators of a signature with the scalar that binds them to key and header (section 4.2.3)."""

    interface: Interface
    generators: Sequence[G1Point]  # Q_1, H_1 … H_L
    domain: int
    public_key: bytes

    @staticmethod
    def of(
        interface: Interface,
        public_key: bytes,
        header: bytes,
        generators: Sequence[G1Point],
        written: bytes | None = None,
    ) -> Domain:
        """Calculate the domain; `written` are the generators serialized where they are not the interface's own."""
        if written is None:
            written = interface.written_generators(len(generators))
        count = len(generators) - 1
        domain = interface.hash_to_scalar(
            public_key + write_number(count) + written + interface.api_id + write_number(len(header)) + header
        )
        return Domain(interface, generators, domain, public_key)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a signature is over: generators, domain, and a scalar for each message."""

    signed: Domain
    scalars: Sequence[int]

    @staticmethod
    def of(interface: Interface, public_key: bytes, header: bytes, scalars: Sequence[int]) -> Terms:
        """The terms under the interface's own generators."""
        return Terms(
            Domain.of(interface, public_key, header, interface.generators(len(scalars) + 1)), scalars
        )

    @property
    def domain(self) -> int:
        """The scalar of Q_1."""
        return self.signed.domain

    def point(self) -> G1Point:
        """B = P1 + Q_1 * domain + H_1 * msg_1 + … + H_L * msg_L."""
        engine = self.signed.interface.curve
        terms = zip(self.signed.generators, [self.domain, *self.scalars], strict=True)
        return engine.add(self.signed.interface.base, engine.combine(list(terms)))


@dataclass(frozen=True, slots=True)
class Witness:
    """A point times the last scalar, to be proven the same scalar as in the signature (a pseudonym of `blind`)."""

    base: G1Point
    product: G1Point


def core_sign(interface: Interface, secret_key: int, point: G1Point, e: int) -> bytes:
    """Section 3.6.1 from step 3: A = B * (1 / (SK + e)), then e."""
    if not 0 < e < ORDER or (secret_key + e) % ORDER == 0:
        raise Malformed("no signature exists for this key and these messages")
    a = interface.curve.combine([(point, pow(secret_key + e, -1, ORDER))])
    return interface.curve.write_g1(a) + write_scalars([e])


def core_verify(public_key: bytes, signature: bytes, terms: Terms) -> None:
    """Section 3.6.2. e(A, W + BP2 * e) = e(B, BP2), moved to G1: e(A, W) * e(A * e - B, BP2) = 1."""
    engine = terms.signed.interface.curve
    a, e = _read_signature(terms.signed.interface, signature)
    moved = engine.add(engine.combine([(a, e)]), engine.negate(terms.point()))
    pairs = [(a, read_public_key(public_key, engine)), (moved, engine.g2)]
    if not engine.pairings_cancel(pairs):
        raise not_verified("the BBS signature does not match key, header and messages")


def core_derive(
    signature: bytes,
    terms: Terms,
    presentation_header: bytes,
    disclosed_indexes: Sequence[int],
    random_scalars: RandomScalars,
    nym_base: G1Point | None = None,
) -> bytes:
    """Sections 3.6.3, 3.7.1 and 3.7.2; with `nym_base` the last scalar is proven to be that of the pseudonym."""
    engine = terms.signed.interface.curve
    count = len(terms.scalars)
    check_indexes(disclosed_indexes, count)
    hidden = sorted(set(range(count)) - set(disclosed_indexes))
    a, e = _read_signature(terms.signed.interface, signature)
    r1, r2, e_blind, r1_blind, r3_blind, *blinds = random_scalars(5 + len(hidden))

    d = engine.combine([(terms.point(), r2)])
    a_bar = engine.combine([(a, r1 * r2)])
    b_bar = engine.combine([(d, r1), (a_bar, -e)])
    t1 = engine.combine([(a_bar, e_blind), (d, r1_blind)])
    t2 = engine.combine(
        [(d, r3_blind)] + [(terms.signed.generators[j + 1], m) for j, m in zip(hidden, blinds, strict=True)]
    )
    points = [a_bar, b_bar, d, t1, t2]
    if nym_base is not None:
        points += [
            engine.combine([(nym_base, terms.scalars[-1])]),
            nym_base,
            engine.combine([(nym_base, blinds[-1])]),
        ]
    disclosed = {index: terms.scalars[index] for index in disclosed_indexes}
    challenge = _challenge(terms.signed, disclosed, points, presentation_header)

    answers = [
        e_blind + e * challenge,
        r1_blind - r1 * challenge,
        r3_blind - pow(r2, -1, ORDER) * challenge,
        *(m + terms.scalars[j] * challenge for j, m in zip(hidden, blinds, strict=True)),
    ]
    written = b"".join(engine.write_g1(point) for point in (a_bar, b_bar, d))
    return written + write_scalars([*(answer % ORDER for answer in answers), challenge])


def core_verify_proof(
    public_key: bytes,
    proof: bytes,
    signed: Domain,
    presentation_header: bytes,
    disclosed: Mapping[int, int],
    nym: Witness | None = None,
) -> None:
    """Sections 3.6.4 and 3.7.3; with `nym` the last scalar must be that of the pseudonym."""
    engine = signed.interface.curve
    count = len(signed.generators) - 1
    check_indexes(list(disclosed), count)
    hidden = sorted(set(range(count)) - set(disclosed))
    if undisclosed_in(proof) != len(hidden):
        raise not_verified("the BBS proof is for another number of messages")
    a_bar, b_bar, d = read_points(proof[: 3 * G1_BYTES], engine)
    e_hat, r1_hat, r3_hat, *answers, challenge = read_scalars(proof[3 * G1_BYTES :])

    t1 = engine.combine([(b_bar, challenge), (a_bar, e_hat), (d, r1_hat)])
    q1, *h = signed.generators
    t2 = engine.combine(
        [(signed.interface.base, challenge), (q1, signed.domain * challenge), (d, r3_hat)]
        + [(h[i], scalar * challenge) for i, scalar in disclosed.items()]
        + [(h[j], answer) for j, answer in zip(hidden, answers, strict=True)]
    )
    points = [a_bar, b_bar, d, t1, t2]
    if nym is not None:
        shown = engine.combine([(nym.base, answers[-1]), (nym.product, -challenge)])
        if engine.is_identity(shown):
            raise not_verified("the BBS proof gives the secret of its pseudonym away")
        points += [nym.product, nym.base, shown]
    if _challenge(signed, disclosed, points, presentation_header) != challenge:
        raise not_verified("the BBS proof does not match what is disclosed")
    pairs = [(a_bar, read_public_key(public_key, engine)), (engine.negate(b_bar), engine.g2)]
    if not engine.pairings_cancel(pairs):
        raise not_verified("the BBS proof is not of a signature by this key")


def undisclosed_in(proof: bytes) -> int:
    """How many messages a proof keeps to itself; Malformed where its length fits no number."""
    count, rest = divmod(len(proof) - PROOF_FLOOR_BYTES, SCALAR_BYTES)
    if count < 0 or rest:
        raise Malformed(f"no BBS proof has {len(proof)} bytes", type=problem.PROOF_VERIFICATION_ERROR)
    return count


def check_indexes(indexes: Sequence[int], count: int) -> None:
    """Raise Malformed unless the indexes ascend and are below `count`."""
    ascending = all(left < right for left, right in pairwise(indexes))
    if not ascending or (indexes and not 0 <= indexes[0] <= indexes[-1] < count):
        raise Malformed(
            "indexes of disclosed messages ascend and stay below their number",
            type=problem.PROOF_VERIFICATION_ERROR,
        )


def check_secret_key(secret_key: int) -> None:
    """Raise Malformed unless the secret key is from 1 to r - 1."""
    if not 0 < secret_key < ORDER:
        raise Malformed("a BBS secret key is from 1 to the order less one")


def not_verified(detail: str) -> NotVerified:
    """The error of every proof and signature that does not hold."""
    return NotVerified(detail, type=problem.PROOF_VERIFICATION_ERROR)


def _challenge(
    signed: Domain, disclosed: Mapping[int, int], points: Sequence[G1Point], presentation_header: bytes
) -> int:
    """Section 3.7.4; the points of a pseudonym stand between T2 and the domain."""
    engine = signed.interface.curve
    return signed.interface.hash_to_scalar(
        write_number(len(disclosed))
        + b"".join(write_number(index) + write_scalars([scalar]) for index, scalar in disclosed.items())
        + b"".join(engine.write_g1(point) for point in points)
        + write_scalars([signed.domain])
        + write_number(len(presentation_header))
        + presentation_header
    )


def _read_signature(interface: Interface, signature: bytes) -> tuple[G1Point, int]:
    if len(signature) != SIGNATURE_BYTES:
        raise Malformed(
            f"a BBS signature has {SIGNATURE_BYTES} bytes, got {len(signature)}",
            type=problem.PROOF_VERIFICATION_ERROR,
        )
    return interface.curve.read_g1(signature[:G1_BYTES]), read_scalars(signature[G1_BYTES:])[0]
