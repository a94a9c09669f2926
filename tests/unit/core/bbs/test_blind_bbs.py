"""Blind BBS and pseudonyms, as the vectors of bbs-2023 were made: commitment, signature, proof and pseudonym."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from node.core.bbs.blind import (
    BLIND_BBS,
    PSEUDONYM_BBS,
    BlindInterface,
    Commitment,
    HolderSecrets,
    Pseudonym,
    blind_derive_proof,
    blind_sign,
    blind_verify,
    commit,
    nym_secret_of,
    pseudonym_of,
    verify_blind_proof,
)
from node.core.bbs.interface import RandomScalars, expand_message, seeded_scalars
from node.core.bbs.signatures import key_gen, public_key_of
from node.core.bls12381 import ORDER, PyEcc
from node.core.errors import Malformed, NotVerified

FEATURES = ["HolderBinding", "Pseudonym", "PseudonymHB"]


@dataclass(frozen=True)
class Case:
    """One folder of the vectors, as values."""

    interface: BlindInterface
    secret_key: int
    public_key: bytes
    commitment: Commitment
    messages: list[bytes]
    header: bytes
    signature: bytes
    secrets: HolderSecrets
    prover_nym: int | None
    signer_nym_entropy: int | None
    nym_domain: bytes | None
    pseudonym: bytes | None
    presentation_header: bytes
    indexes: list[int]
    proof: bytes
    seed: bytes

    @property
    def disclosed(self) -> dict[int, bytes]:
        return {index: self.messages[index] for index in self.indexes}

    @property
    def shown_pseudonym(self) -> Pseudonym | None:
        if self.nym_domain is None or self.pseudonym is None:
            return None
        return Pseudonym(self.nym_domain, self.pseudonym)

    def sign(self, interface: BlindInterface, **changed: Any) -> bytes:
        given: dict[str, Any] = {
            "commitment_with_proof": self.commitment.commitment_with_proof,
            "signer_nym_entropy": self.signer_nym_entropy,
            **changed,
        }
        return blind_sign(
            self.secret_key,
            self.public_key,
            header=self.header,
            messages=self.messages,
            interface=interface,
            **given,
        )

    def derive(self, random_scalars: RandomScalars, **changed: Any) -> bytes:
        given = {"secrets": self.secrets, "disclosed_indexes": self.indexes, "nym_domain": self.nym_domain}
        return blind_derive_proof(
            self.public_key,
            self.signature,
            self.header,
            self.presentation_header,
            self.messages,
            random_scalars=random_scalars,
            interface=self.interface,
            **{**given, **changed},
        )

    def verify_proof(self, proof: bytes, **changed: Any) -> None:
        given = {
            "public_key": self.public_key,
            "header": self.header,
            "presentation_header": self.presentation_header,
            "length": len(self.messages),
            "disclosed": self.disclosed,
            "pseudonym": self.shown_pseudonym,
            "committed": len(self.secrets.committed_messages),
            "interface": self.interface,
        }
        verify_blind_proof(proof=proof, **{**given, **changed})


@pytest.fixture(params=FEATURES)
def case(request: pytest.FixtureRequest, vectors: Path) -> Case:
    return read_case(vectors / "di-bbs", request.param)


def read_case(folder: Path, feature: str) -> Case:
    def load(name: str) -> Any:
        return json.loads((folder / f"{name}.json").read_text("utf-8"))

    with_nym, bound = feature != "HolderBinding", feature != "Pseudonym"
    keys, commitment = load("BBSKeyMaterial"), load(f"{feature}/commitmentInfo")
    raw, derived = load(f"{feature}/addRawBaseSignatureInfo"), load(f"{feature}/derivedDisclosureData")
    prover_nym = int(load("FeatureInputs/proverNym")["proverNymHex"], 16)
    entropy = int(load("FeatureInputs/signerNymEntropy")["signerNymEntropyHex"], 16)
    secret = bytes.fromhex(load("FeatureInputs/holderSecret")["holderSecretHex"])
    blind = int(commitment["secretProverBlind"], 16)
    nym_secret = int(load(f"{feature}/nymSecret")["nymSecretHex"], 16) if with_nym else None
    statements = load(f"{feature}/addBaseTransform")["nonMandatory"]["value"]
    return Case(
        interface=PSEUDONYM_BBS if with_nym else BLIND_BBS,
        secret_key=int(keys["privateKeyHex"], 16),
        public_key=bytes.fromhex(keys["publicKeyHex"]),
        commitment=Commitment(bytes.fromhex(commitment["commitmentWithProof"]), blind),
        messages=[statement.encode() for _, statement in statements],
        header=bytes.fromhex(raw["bbsHeader"]),
        signature=bytes.fromhex(raw["bbsSignature"]),
        secrets=HolderSecrets([secret] if bound else [], blind, nym_secret),
        prover_nym=prover_nym if with_nym else None,
        signer_nym_entropy=entropy if with_nym else None,
        nym_domain=load("FeatureInputs/verifierInfo")["verifierId"].encode() if with_nym else None,
        pseudonym=bytes.fromhex(derived["pseudonym"]) if with_nym else None,
        presentation_header=bytes(derived["presentationHeader"].values()),
        indexes=derived["adjSelectiveIndexes"],
        proof=bytes.fromhex(derived["bbsProof"]),
        seed=bytes.fromhex(load("BBSDeriveMaterial")["pseudoRandSeedHex"]),
    )


def drawn_for(case: Case) -> list[int]:
    """The random scalars of a commitment's proof, found again by who knows what is in it."""
    data = case.commitment.commitment_with_proof[48:]
    *answers, challenge = [int.from_bytes(data[i : i + 32], "big") for i in range(0, len(data), 32)]
    secrets = [case.secrets.secret_prover_blind, *case.interface.scalars_of(case.secrets.committed_messages)]
    if case.prover_nym is not None:
        secrets.append(case.prover_nym)
    blinds = [(a - s * challenge) % ORDER for a, s in zip(answers, secrets, strict=True)]
    return [case.secrets.secret_prover_blind, *blinds]


def test_the_commitment_is_that_of_the_vector(case: Case) -> None:
    drawn = drawn_for(case)

    def scalars(count: int) -> list[int]:
        assert count == len(drawn)
        return drawn

    made = commit(
        case.secrets.committed_messages, scalars, prover_nym=case.prover_nym, interface=case.interface
    )
    assert made == case.commitment


def test_the_signature_is_that_of_the_vector_and_its_holder_verifies_it(case: Case) -> None:
    assert case.sign(case.interface) == case.signature
    blind_verify(
        case.public_key, case.signature, case.header, case.messages, case.secrets, interface=case.interface
    )


def test_the_pseudonym_is_that_of_the_vector(case: Case) -> None:
    if case.prover_nym is not None and case.signer_nym_entropy is not None and case.nym_domain is not None:
        assert nym_secret_of(case.prover_nym, case.signer_nym_entropy) == case.secrets.nym_secret
        assert pseudonym_of(case.secrets.nym_secret or 0, case.nym_domain) == case.pseudonym
    else:
        assert case.pseudonym is None


def test_the_proof_is_that_of_the_vector_and_verifies(case: Case) -> None:
    def scalars(count: int) -> list[int]:
        data = expand_message(case.seed, case.interface.api_id, 48 * count)
        return [int.from_bytes(data[48 * i : 48 * (i + 1)], "big") % ORDER for i in range(count)]

    assert case.derive(scalars) == case.proof
    case.verify_proof(case.proof)


def test_py_ecc_signs_and_verifies_alike(vectors: Path) -> None:
    case = read_case(vectors / "di-bbs", "PseudonymHB")
    slow = BlindInterface(PSEUDONYM_BBS.api_id, PyEcc())
    assert case.sign(slow) == case.signature
    case.verify_proof(case.proof, interface=slow)
    with pytest.raises(NotVerified):
        case.verify_proof(case.proof, header=b"other", interface=slow)


CHANGES: dict[str, dict[str, Any]] = {
    "another header": {"header": b"other"},
    "another presentation header": {"presentation_header": b"other"},
    "a message more than there are": {"length": 24},
    "a message less than there are": {"length": 22},
    "another number of the holder's messages": {"committed": 2},
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_proof_does_not_hold_with(case: Case, change: str) -> None:
    with pytest.raises(NotVerified):
        case.verify_proof(case.proof, **CHANGES[change])


def test_a_secret_of_the_holder_is_never_an_issuers_message(case: Case) -> None:
    """Length and number of committed messages moved against each other: the same total, other generators."""
    committed = len(case.secrets.committed_messages)
    with pytest.raises(NotVerified):
        case.verify_proof(case.proof, length=len(case.messages) + 1, committed=committed - 1)
    with pytest.raises(Malformed):
        case.verify_proof(case.proof, disclosed={**case.disclosed, len(case.messages): b"blind"})


def test_who_does_not_know_the_secrets_derives_nothing_that_holds(case: Case) -> None:
    scalars = seeded_scalars(bytes(32))
    wrong = [replace(case.secrets, secret_prover_blind=case.secrets.secret_prover_blind + 1)]
    if case.secrets.committed_messages:
        wrong.append(replace(case.secrets, committed_messages=[b"guessed"]))
    if case.secrets.nym_secret is not None:
        wrong.append(replace(case.secrets, nym_secret=case.secrets.nym_secret + 1))
    for secrets in wrong:
        with pytest.raises(NotVerified):
            blind_verify(
                case.public_key, case.signature, case.header, case.messages, secrets, interface=case.interface
            )
        with pytest.raises(NotVerified):
            case.verify_proof(case.derive(scalars, secrets=secrets))


def test_a_proof_of_one_interface_is_none_of_another(case: Case) -> None:
    other = BLIND_BBS if case.interface is PSEUDONYM_BBS else PSEUDONYM_BBS
    with pytest.raises(NotVerified):
        case.verify_proof(case.proof, interface=other)


def test_a_commitment_with_a_false_proof_is_not_signed(case: Case) -> None:
    data = case.commitment.commitment_with_proof
    for position in (48, 80, len(data) - 1):
        changed = data[:position] + bytes([data[position] ^ 1]) + data[position + 1 :]
        with pytest.raises(NotVerified):
            case.sign(case.interface, commitment_with_proof=changed)
    for short in (b"", data[:111], data[:-1], b"\xc0" + bytes(47) + data[48:]):
        with pytest.raises(Malformed):
            case.sign(case.interface, commitment_with_proof=short)


DOMAIN = b"https://car.rental.verifier.example/"
PSEUDONYM_CHANGES: dict[str, Any] = {
    "another domain": lambda name: replace(name, nym_domain=b"https://other.example/"),
    "somebody else's pseudonym": lambda name: replace(name, pseudonym=pseudonym_of(7, DOMAIN)),
    "the identity for a pseudonym": lambda name: replace(name, pseudonym=b"\xc0" + bytes(47)),
    "half a pseudonym": lambda name: replace(name, pseudonym=name.pseudonym[:24]),
}


@pytest.mark.parametrize("change", PSEUDONYM_CHANGES)
@pytest.mark.parametrize("feature", ["Pseudonym", "PseudonymHB"])
def test_a_pseudonym_is_not_shown_with(vectors: Path, feature: str, change: str) -> None:
    case = read_case(vectors / "di-bbs", feature)
    with pytest.raises((NotVerified, Malformed)):
        case.verify_proof(case.proof, pseudonym=PSEUDONYM_CHANGES[change](case.shown_pseudonym))


def test_a_proof_with_a_pseudonym_does_not_hold_without(vectors: Path) -> None:
    case = read_case(vectors / "di-bbs", "Pseudonym")
    with pytest.raises(NotVerified):
        case.verify_proof(case.proof, pseudonym=None, committed=1)


def test_a_pseudonym_shown_without_randomness_is_refused(vectors: Path) -> None:
    """NymProofVerifyInit step 3: who hides the secret behind a zero has told it."""
    case = read_case(vectors / "di-bbs", "Pseudonym")
    scalars = seeded_scalars(bytes(32))
    proof = case.derive(lambda count: [*scalars(count)[:-1], 0])
    with pytest.raises(NotVerified, match="gives the secret"):
        case.verify_proof(proof)


def test_a_holder_has_one_name_in_a_domain_and_another_elsewhere() -> None:
    assert pseudonym_of(5, b"a") == pseudonym_of(5, b"a")
    assert len({pseudonym_of(5, b"a"), pseudonym_of(5, b"b"), pseudonym_of(6, b"a")}) == 3
    for secret in (0, ORDER):
        with pytest.raises(Malformed):
            pseudonym_of(secret, b"a")


def test_a_pseudonym_takes_a_secret_and_a_domain(case: Case) -> None:
    scalars = seeded_scalars(bytes(32))
    changed = None if case.nym_domain is not None else b"https://verifier.example/"
    with pytest.raises(Malformed):
        case.derive(scalars, nym_domain=changed)


def test_entropy_is_not_added_to_a_commitment_to_nothing() -> None:
    secret = key_gen(bytes(32))
    empty = commit([], seeded_scalars(bytes(32)), interface=PSEUDONYM_BBS)
    with pytest.raises(Malformed):
        blind_sign(
            secret,
            public_key_of(secret),
            empty.commitment_with_proof,
            b"",
            [],
            signer_nym_entropy=1,
            interface=PSEUDONYM_BBS,
        )
