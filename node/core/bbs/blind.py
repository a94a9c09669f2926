"""Blind BBS signatures and pseudonyms.

Specified by draft-irtf-cfrg-bbs-blind-signatures and draft-irtf-cfrg-bbs-per-verifier-linkability.

The holder commits to secrets, the issuer signs its own messages together with the commitment, and only who knows the
secrets can derive proofs. With pseudonyms the last secret is a scalar that holder and issuer made together; times a
point that a verifier's domain decides it is a name that this holder has there and nowhere else.

These drafts change. What is written here is the state that the vectors of bbs-2023 were made with: each domain takes
one pseudonym secret, e is hashed from the secret key and B, and committed messages are never disclosed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.core.bbs.interface import (
    CIPHERSUITE_ID,
    Interface,
    RandomScalars,
    read_points,
    read_scalars,
    write_number,
    write_scalars,
)
from node.core.bbs.signatures import (
    Domain,
    Terms,
    Witness,
    check_indexes,
    check_secret_key,
    core_derive,
    core_sign,
    core_verify,
    core_verify_proof,
    not_verified,
    undisclosed_in,
)
from node.core.bls12381 import G1_BYTES, ORDER, SCALAR_BYTES, Curve, G1Point
from node.core.errors import Malformed


class BlindInterface(Interface):
    """An interface with a second series of generators (Q_2, J_1 … J_M) for what the holder commits to."""

    def __init__(self, api_id: bytes, engine: Curve | None = None) -> None:
        super().__init__(api_id, engine)
        self.blind = Interface(b"BLIND_" + api_id, engine)


BLIND_BBS: Final = BlindInterface(CIPHERSUITE_ID + b"BLIND_H2G_HM2S_")
PSEUDONYM_BBS: Final = BlindInterface(CIPHERSUITE_ID + b"H2G_HM2S_PSEUDONYM_")


@dataclass(frozen=True, slots=True, repr=False)
class Commitment:
    """What the holder sends to the issuer, and the secret that blinds it and stays with the holder."""

    commitment_with_proof: bytes
    secret_prover_blind: int


@dataclass(frozen=True, slots=True, repr=False)
class HolderSecrets:
    """What a holder knows beside a blind signature; `nym_secret` is prover_nym + signer_nym_entropy."""

    committed_messages: Sequence[bytes]
    secret_prover_blind: int
    nym_secret: int | None = None


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """The name, a point in 48 bytes, that a holder has in a domain."""

    nym_domain: bytes
    pseudonym: bytes


def commit(
    committed_messages: Sequence[bytes],
    random_scalars: RandomScalars,
    *,
    prover_nym: int | None = None,
    interface: BlindInterface,
) -> Commitment:
    """Commit, or with `prover_nym` NymCommit: the commitment with a proof that its maker knows what is in it."""
    scalars = interface.scalars_of(committed_messages)
    if prover_nym is not None:
        _check_scalar(prover_nym)
        scalars.append(prover_nym)
    engine = interface.curve
    generators = interface.blind.generators(len(scalars) + 1)
    secret_prover_blind, *blinds = random_scalars(len(scalars) + 2)
    secrets = [secret_prover_blind, *scalars]
    commitment = engine.combine(list(zip(generators, secrets, strict=True)))
    shown = engine.combine(list(zip(generators, blinds, strict=True)))
    challenge = _blind_challenge(interface, len(generators), commitment, shown)
    answers = [(blind + secret * challenge) % ORDER for blind, secret in zip(blinds, secrets, strict=True)]
    written = engine.write_g1(commitment) + write_scalars([*answers, challenge])
    return Commitment(written, secret_prover_blind)


def blind_sign(
    secret_key: int,
    public_key: bytes,
    commitment_with_proof: bytes,
    header: bytes,
    messages: Sequence[bytes],
    *,
    signer_nym_entropy: int | None = None,
    interface: BlindInterface,
) -> bytes:
    """BlindSign, or with `signer_nym_entropy` BlindSignWithNym: the signature over messages and commitment.

    NotVerified where the commitment's proof does not hold; Malformed where it is none.
    """
    check_secret_key(secret_key)
    engine = interface.curve
    commitment, committed = read_commitment(interface, commitment_with_proof)
    signed = _blind_domain(interface, public_key, header, len(messages), committed)
    terms = [(signed.generators[0], signed.domain)]
    terms += zip(signed.generators[1:], interface.scalars_of(messages), strict=False)
    if signer_nym_entropy is not None:
        _check_scalar(signer_nym_entropy)
        if not committed:
            raise Malformed("a commitment to a pseudonym has at least one secret")
        terms.append((signed.generators[-1], signer_nym_entropy))
    point = engine.add(engine.add(interface.base, commitment), engine.combine(terms))
    e = interface.hash_to_scalar(write_scalars([secret_key]) + engine.write_g1(point))
    return core_sign(interface, secret_key, point, e)


def blind_verify(
    public_key: bytes,
    signature: bytes,
    header: bytes,
    messages: Sequence[bytes],
    secrets: HolderSecrets,
    *,
    interface: BlindInterface,
) -> None:
    """The holder's check of a blind signature: raise NotVerified unless it is over messages and secrets."""
    core_verify(public_key, signature, _blind_terms(interface, public_key, header, messages, secrets))


def blind_derive_proof(
    public_key: bytes,
    signature: bytes,
    header: bytes,
    presentation_header: bytes,
    messages: Sequence[bytes],
    disclosed_indexes: Sequence[int],
    secrets: HolderSecrets,
    random_scalars: RandomScalars,
    *,
    nym_domain: bytes | None = None,
    interface: BlindInterface,
) -> bytes:
    """BlindProofGen, or with `nym_domain` ProofGenWithNym: a proof that shows some of the issuer's messages."""
    check_indexes(disclosed_indexes, len(messages))
    if (nym_domain is None) != (secrets.nym_secret is None):
        raise Malformed("a pseudonym has a secret and a domain")
    terms = _blind_terms(interface, public_key, header, messages, secrets)
    base = None if nym_domain is None else _nym_base(interface, nym_domain)
    return core_derive(signature, terms, presentation_header, disclosed_indexes, random_scalars, base)


def verify_blind_proof(
    public_key: bytes,
    proof: bytes,
    header: bytes,
    presentation_header: bytes,
    length: int,
    disclosed: Mapping[int, bytes],
    *,
    committed: int,
    pseudonym: Pseudonym | None = None,
    interface: BlindInterface,
) -> None:
    """BlindProofVerify, or with `pseudonym` ProofVerifyWithNym; raises as `verify_proof` does.

    `length` is the number of the issuer's messages, as the proof's maker tells it, and `committed` the number of
    the holder's (a pseudonym's secret not counted), as the verifier expects it: the domain covers both.
    """
    check_indexes(list(disclosed), length)
    own = committed + (pseudonym is not None)
    # The secret that blinds the commitment is one more message that is never disclosed.
    if undisclosed_in(proof) + len(disclosed) != length + own + 1:
        raise not_verified("the BBS proof is for another number of messages")
    scalars = dict(zip(disclosed, interface.scalars_of(disclosed.values()), strict=True))
    signed = _blind_domain(interface, public_key, header, length, own)
    nym = None
    if pseudonym is not None:
        point = interface.curve.read_g1(pseudonym.pseudonym)
        nym = Witness(_nym_base(interface, pseudonym.nym_domain), point)
    core_verify_proof(public_key, proof, signed, presentation_header, scalars, nym)


def pseudonym_of(nym_secret: int, nym_domain: bytes, *, interface: BlindInterface = PSEUDONYM_BBS) -> bytes:
    """The name, 48 bytes, that the holder of `nym_secret` has in a domain."""
    _check_scalar(nym_secret)
    engine = interface.curve
    return engine.write_g1(engine.combine([(_nym_base(interface, nym_domain), nym_secret)]))


def nym_secret_of(prover_nym: int, signer_nym_entropy: int) -> int:
    """The secret behind the pseudonyms: neither holder nor issuer chose it alone."""
    return (prover_nym + signer_nym_entropy) % ORDER


def _nym_base(interface: BlindInterface, nym_domain: bytes) -> G1Point:
    return interface.curve.hash_to_g1(nym_domain, interface.api_id)


def _blind_terms(
    interface: BlindInterface,
    public_key: bytes,
    header: bytes,
    messages: Sequence[bytes],
    secrets: HolderSecrets,
) -> Terms:
    scalars = [
        *interface.scalars_of(messages),
        secrets.secret_prover_blind,
        *interface.scalars_of(secrets.committed_messages),
    ]
    if secrets.nym_secret is not None:
        scalars.append(secrets.nym_secret)
    committed = len(scalars) - len(messages) - 1
    return Terms(_blind_domain(interface, public_key, header, len(messages), committed), scalars)


def _blind_domain(
    interface: BlindInterface, public_key: bytes, header: bytes, length: int, committed: int
) -> Domain:
    generators = [*interface.generators(length + 1), *interface.blind.generators(committed + 1)]
    written = interface.written_generators(length + 1) + interface.blind.written_generators(committed + 1)
    return Domain.of(interface, public_key, header, generators, written)


def read_commitment(interface: BlindInterface, data: bytes) -> tuple[G1Point, int]:
    """The point of a commitment whose proof holds, and how many secrets are in it.

    NotVerified where the proof does not hold; Malformed where it is none.
    """
    if len(data) < G1_BYTES + 2 * SCALAR_BYTES:
        raise Malformed("a commitment with its proof has at least 112 bytes")
    engine = interface.curve
    commitment = read_points(data[:G1_BYTES], engine)[0]
    *answers, challenge = read_scalars(data[G1_BYTES:])
    generators = interface.blind.generators(len(answers))
    shown = engine.combine([*zip(generators, answers, strict=True), (commitment, -challenge)])
    if _blind_challenge(interface, len(answers), commitment, shown) != challenge:
        raise not_verified("the commitment's proof does not hold")
    return commitment, len(answers) - 1


def _blind_challenge(interface: BlindInterface, count: int, commitment: G1Point, shown: G1Point) -> int:
    engine = interface.curve
    return interface.hash_to_scalar(
        write_number(count - 1)
        + interface.blind.written_generators(count)
        + engine.write_g1(commitment)
        + engine.write_g1(shown)
    )


def _check_scalar(scalar: int) -> None:
    if not 0 < scalar < ORDER:
        raise Malformed("the secret of a pseudonym is from 1 to the order less one")
