"""What a cryptosuite does (VC Data Integrity 1.0 section 3): prepare a proof for its signature, and verify one.

A suite is given the document as it is secured: without the proof in hand, with those alone that it builds on.
Which proofs a document has, and in which order they are looked at, is `suites.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.proof import Proof
from node.core.encoding import decode_multibase
from node.core.errors import Malformed, NotVerified, Unavailable
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import JsonObject


class UnknownSuite(Unavailable):
    """A proof of a type or cryptosuite that is not built here: it decides nothing."""

    default_type = problem.ours("unknown-suite")

    def __init__(self, name: str) -> None:
        super().__init__(f"proofs of the suite {name[:80]} are not checked here", asked=name)


class SigningData(Protocol):
    """What a suite makes of a document and of a proof's options, down to the bytes that a key signs."""

    @property
    def message(self) -> bytes:
        """What a `Signer` is given."""
        ...


@dataclass(frozen=True, slots=True)
class Draft:
    """A proof that lacks its signature. `seal` makes the members that hold it (`proofValue`) from raw bytes."""

    proof: JsonObject
    data: SigningData
    seal: Callable[[bytes], JsonObject]


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What a suite with selective disclosure needs beyond the options of the proof; the secrets are fresh.

    `mandatory_pointers` are RFC 6901 JSON Pointers to what every derived proof reveals, `hmac_key` 32 random bytes,
    `proof_key` (ecdsa-sd-2023 alone) 32 random bytes, the private key that signs the statements one by one.
    """

    mandatory_pointers: tuple[str, ...]
    hmac_key: bytes
    proof_key: bytes = b""


class Cryptosuite(Protocol):
    """A suite whose proofs are verified here."""

    @property
    def name(self) -> str:
        """The text of the proof's `cryptosuite`; for suites older than Data Integrity that of its `type`."""
        ...

    @property
    def key_kinds(self) -> AbstractSet[KeyKind]:
        """The kinds of key that it takes; others are refused."""
        ...

    @property
    def signs_rdf(self) -> bool:
        """Whether statements are signed, so that the JSON that is read must be compared with them."""
        ...

    def verify(
        self, document: JsonObject, proof: Proof, public_key: PublicKey, canonicalizer: Canonicalizer
    ) -> None:
        """Raise unless `proof` is a signature by `public_key` over `document`, which is in its secured form.

        NotVerified: the signature or the key is wrong. Malformed: document or proof break their format.
        """
        ...


@runtime_checkable
class SecuringSuite(Cryptosuite, Protocol):
    """A suite whose proofs are also made here."""

    def prepare(
        self,
        document: JsonObject,
        options: JsonObject,
        canonicalizer: Canonicalizer,
        *,
        key_kind: KeyKind | None,
        disclosure: Disclosure | None,
    ) -> Draft:
        """The proof that `options` (a proof without its value) describe, over `document` in its secured form.

        `key_kind` says by what kind of key it will be signed: a suite of one kind needs no telling.
        """
        ...


class Derived(Protocol):
    """What a derived proof says of the statements that are shown."""

    @property
    def labels(self) -> Mapping[str, str]:
        """From canonical identifiers (`c14n0`) to the labels under which the statements were signed."""
        ...

    @property
    def mandatory_indexes(self) -> tuple[int, ...]:
        """Which of the labelled statements shown are mandatory, zero-based."""
        ...


@runtime_checkable
class SelectiveSuite(SecuringSuite, Protocol):
    """A suite whose holder shows a part: from a base proof, which none but the holder sees, others are derived."""

    def is_base(self, proof: Proof) -> bool:
        """Whether this is a base proof, which is never shown and never verified; Malformed where it is neither."""
        ...

    def derive(
        self,
        document: JsonObject,
        proof: Proof,
        selective_pointers: tuple[str, ...],
        canonicalizer: Canonicalizer,
        *,
        presentation_header: bytes = b"",
        entropy: bytes = b"",
    ) -> JsonObject:
        """The part of `document` (in its secured form) that the pointers select, with a proof derived for it.

        `presentation_header` and `entropy` are for suites whose proofs are zero-knowledge.
        """
        ...

    def parse_derived(self, proof: Proof) -> Derived:
        """What a derived proof says; Malformed where it is none, NotVerified where it is a base proof."""
        ...


def check_key_kind(suite: Cryptosuite, public_key: PublicKey) -> None:
    """Raise NotVerified unless the suite takes keys of this kind."""
    if public_key.kind not in suite.key_kinds:
        raise not_verified(f"{suite.name} takes no {public_key.kind} key")


def check_base_options(suite: Cryptosuite, options: JsonObject, key_kind: KeyKind | None) -> None:
    """Raise Malformed (PROOF_GENERATION_ERROR) where the suite makes no base proof with such options and such a key."""
    if key_kind is not None and key_kind not in suite.key_kinds:
        raise not_generated(f"{suite.name} takes no {key_kind} key")
    if "previousProof" in options:
        raise not_generated("a base proof builds on no other, since what is shown could not hold that one")


def decode_proof_value(proof: Proof, letter: str) -> bytes:
    """The bytes of `proofValue`, in multibase with this one letter; Malformed where it is missing or another."""
    if proof.proof_value is None:
        raise bad_value("the proof has no proofValue")
    try:
        return decode_multibase(proof.proof_value, letter)
    except Malformed as error:
        raise bad_value(error.detail) from error


def options_of(proof: Proof) -> JsonObject:
    """The members of a proof without its value: what was signed with the document."""
    return {name: value for name, value in proof.raw.items() if name != "proofValue"}


def bad_value(detail: str) -> Malformed:
    """A proof value that breaks the format of its suite."""
    return Malformed(detail, type=problem.PROOF_VERIFICATION_ERROR, path=("proof", "proofValue"))


def not_verified(detail: str) -> NotVerified:
    """A proof that is not what it says."""
    return NotVerified(detail, type=problem.PROOF_VERIFICATION_ERROR, path=("proof",))


def not_generated(detail: str) -> Malformed:
    """Options that make no proof."""
    return Malformed(detail, type=problem.PROOF_GENERATION_ERROR, path=("proof",))
