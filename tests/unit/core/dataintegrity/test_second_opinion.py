"""On which proofs another program may be heard: only where it cannot see something else than we do."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from node.core.dataintegrity import proofs_of
from node.core.dataintegrity.second_opinion import may_be_asked, question

Document = dict[str, Any]
KEY = "zQ3shsLDYXf6gbYXLGRZq8VPgvPyVfDaML69a57zUAccmpa9q"
SOUND: Document = {
    "@context": ["https://www.w3.org/2018/credentials/v1"],
    "type": ["VerifiableCredential"],
    "issuer": f"did:key:{KEY}",
    "proof": {
        "type": "EcdsaSecp256k1Signature2019",
        "proofPurpose": "assertionMethod",
        "verificationMethod": f"did:key:{KEY}#{KEY}",
        "created": "2020-08-19T21:41:50Z",
        "jws": "a..b",
    },
}


def heard(document: Document) -> bool:
    return may_be_asked(document, proofs_of(document)[0])


def test_an_old_proof_by_a_key_that_certifies_itself() -> None:
    assert heard(SOUND)


CHANGES: dict[str, Callable[[Document], object]] = {
    "another type": lambda one: one["proof"].update(type="Eip712Signature2021"),
    "a type that we check ourselves": lambda one: one["proof"].update(type="Ed25519Signature2020"),
    "a cryptosuite": lambda one: one["proof"].update(cryptosuite="eddsa-rdfc-2022"),
    "did:ethr": lambda one: one["proof"].update(verificationMethod="did:ethr:0x00#controller"),
    "did:web": lambda one: one["proof"].update(verificationMethod="did:web:a.example#k"),
    "an end": lambda one: one["proof"].update(expires="2030-01-01T00:00:00Z"),
    "a chain": lambda one: one["proof"].update(previousProof="urn:a:b"),
    "a member by its IRI": lambda one: one["proof"].update({"https://w3id.org/security#domain": "a"}),
    "a context in the proof": lambda one: one["proof"].update({"@context": [{"domain": None}]}),
    "a context unknown to proofs": lambda one: one["proof"].update({"@context": "https://example.org/own"}),
    "a context in the document": lambda one: one["@context"].append({"domain": None}),
    "no context": lambda one: one.pop("@context"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_it_is_not_asked(change: Callable[[Document], object]) -> None:
    document = copy.deepcopy(SOUND)
    change(document)
    assert not heard(document)


def test_it_is_shown_the_document_with_the_one_proof() -> None:
    document = {**SOUND, "proof": [SOUND["proof"], {**SOUND["proof"], "jws": "c..d"}]}
    for proof in proofs_of(document):
        assert json.loads(question(document, proof)) == {**SOUND, "proof": proof.raw}
