"""What binds a bbs-2023 credential to its holder: a commitment before it is issued, and the secrets behind it.

The holder draws secrets and sends a commitment to them; the issuer signs it unseen; what is derived later shows that
whoever derives it knows them (BBS Cryptosuites 1.0, features at risk, in the state of `bbs_2023`). Nothing here is told
to the issuer or a verifier that could link one showing to another.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.core import problem
from node.core.bbs.blind import BLIND_BBS, PSEUDONYM_BBS, BlindInterface, commit, read_commitment
from node.core.bbs.interface import seeded_scalars
from node.core.bls12381 import ORDER, SCALAR_BYTES
from node.core.dataintegrity.bbs_2023 import BoundHolder, Feature, parse_base_proof
from node.core.dataintegrity.proof import Proof
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed
from node.core.strict_json import JsonObject

SECRET_BYTES: Final = 32
MAX_COMMITMENT_BYTES: Final = 48 + 32 * 4  # a point, two secrets, their blind and the challenge


class Binding(StrEnum):
    """What a credential is bound to, by the draft's `featureOption`."""

    HOLDER = "anonymous_holder_binding"
    """A secret: nobody else shows it."""
    PSEUDONYM = "pseudonym"
    """A secret from which a name for each verifier follows: the same there, another elsewhere."""
    BOTH = "holder_binding_pseudonym"

    @classmethod
    def of(cls, *, holder_binding: bool, pseudonyms: bool) -> Binding | None:
        """What is wanted; None where nothing is."""
        if pseudonyms:
            return cls.BOTH if holder_binding else cls.PSEUDONYM
        return cls.HOLDER if holder_binding else None

    @property
    def has_pseudonyms(self) -> bool:
        """Whether verifiers recognise who comes again."""
        return self is not Binding.HOLDER

    @property
    def secrets(self) -> int:
        """How many secrets a commitment for it is to."""
        return 2 if self is Binding.BOTH else 1

    @property
    def interface(self) -> BlindInterface:
        """The interface of BBS under which it is committed to and signed."""
        return PSEUDONYM_BBS if self.has_pseudonyms else BLIND_BBS


@dataclass(frozen=True, slots=True, repr=False)
class Bound:
    """A commitment, and how it was made: the secrets stay with the holder."""

    holder: BoundHolder
    commitment_with_proof: bytes


@dataclass(frozen=True, slots=True, repr=False)
class Committed:
    """What an issuer signs over unseen: a holder's commitment, and for pseudonyms its own part of their secret.

    With the same two a successor has the same pseudonyms.
    """

    commitment_with_proof: bytes
    signer_nym_entropy: bytes = b""
    """32 random bytes below the order; none without pseudonyms."""


def bind(binding: Binding, entropy: bytes) -> Bound:
    """Secrets of a holder out of 32 fresh random bytes or more, and the commitment for the issuer."""
    secret = hmac.digest(entropy, b"holder secret", "sha256") if binding is not Binding.PSEUDONYM else None
    nym = seeded_scalars(entropy, b"prover nym")(1)[0] if binding.has_pseudonyms else None
    made = commit(
        [] if secret is None else [secret],
        seeded_scalars(entropy, b"commitment", binding.encode()),
        prover_nym=nym,
        interface=binding.interface,
    )
    return Bound(BoundHolder(made.secret_prover_blind, secret, nym), made.commitment_with_proof)


def check_commitment(binding: Binding, commitment_with_proof: bytes) -> None:
    """Raise unless a holder made it for this binding: Malformed, or NotVerified where its maker knew no secrets."""
    if len(commitment_with_proof) > MAX_COMMITMENT_BYTES:
        raise Malformed(
            "a commitment is longer than two secrets make it", type=problem.PROOF_VERIFICATION_ERROR
        )
    _, secrets = read_commitment(binding.interface, commitment_with_proof)
    if secrets != binding.secrets:
        raise Malformed(
            f"{binding} commits to {binding.secrets} secrets, not {secrets}",
            type=problem.PROOF_VERIFICATION_ERROR,
        )


def is_bound(base: Proof) -> bool:
    """Whether proofs are derived from a base proof with its holder's secrets alone; Malformed where it is none."""
    return parse_base_proof(base).feature is not Feature.BASELINE


# What a wallet keeps ----------------------------------------------------------------------------------------


def holder_to_json(holder: BoundHolder) -> JsonObject:
    """The secrets as a wallet keeps them, in base64url; for whom a pseudonym is derived is not among them."""
    found = {
        "secretProverBlind": holder.secret_prover_blind.to_bytes(SCALAR_BYTES, "big"),
        "holderSecret": holder.holder_secret,
        "proverNym": None if holder.prover_nym is None else holder.prover_nym.to_bytes(SCALAR_BYTES, "big"),
    }
    return {name: encode_base64url(value) for name, value in found.items() if value is not None}


def holder_of_json(body: JsonObject) -> BoundHolder:
    """Inverse of `holder_to_json`; Malformed with the path of what is no secret."""
    blind = _scalar(body, "secretProverBlind")
    if blind is None:
        raise Malformed("is missing", path=("secretProverBlind",))
    return BoundHolder(blind, _bytes(body, "holderSecret"), _scalar(body, "proverNym"))


def _bytes(body: JsonObject, name: str) -> bytes | None:
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise Malformed("expected base64url", path=(name,))
    try:
        return decode_base64url(value)
    except Malformed as error:
        raise Malformed(error.detail, path=(name,)) from error


def _scalar(body: JsonObject, name: str) -> int | None:
    data = _bytes(body, name)
    if data is None:
        return None
    number = int.from_bytes(data, "big")
    if len(data) != SCALAR_BYTES or not 0 < number < ORDER:
        raise Malformed("expected a scalar of 32 bytes", path=(name,))
    return number
