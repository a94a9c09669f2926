"""didkit and we about the same documents: valid ones, and each with one fault, from a seed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
from fixtures.skipping import missing

from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import parse_proof, proofs_of, verify_proof
from node.core.dataintegrity.legacy_suite import LegacySuite
from node.core.dataintegrity.suites import LEGACY_SUITES
from node.core.encoding import encode_base64url, encode_multibase
from node.core.errors import BonafidesError
from node.core.jose.jws import algorithm_of
from node.core.keys import KeyKind, parse_multikey
from node.keystore import signer_of
from node.outbound import didkit
from schemas import context_digests, load_contexts

Document = dict[str, Any]
CANONICALIZER = Canonicalizer(ContextStore(load_contexts(), context_digests()))
SEED = 20_261_121
SUITES = [
    ("Ed25519Signature2018", KeyKind.ED25519),
    ("Ed25519Signature2020", KeyKind.ED25519),
    ("JsonWebSignature2020", KeyKind.ED25519),
    ("JsonWebSignature2020", KeyKind.P256),
    ("JsonWebSignature2020", KeyKind.SECP256K1),
]
CONTEXTS = {
    "Ed25519Signature2020": "https://w3id.org/security/suites/ed25519-2020/v1",
    "JsonWebSignature2020": "https://w3id.org/security/suites/jws-2020/v1",
}


def signed(proof_type: str, kind: KeyKind, chance: random.Random, **members: str) -> Document:
    """A credential of VC 1.1 signed by us, its proof with `members` and what chance gives it of others."""
    signer = signer_of(kind, chance.randbytes(32))
    key = signer.public_key.multibase
    day = f"20{chance.randrange(10, 26)}-{chance.randrange(1, 13):02}-{chance.randrange(1, 29):02}"
    extra = [CONTEXTS[proof_type]] if proof_type in CONTEXTS else []
    document: Document = {
        "@context": ["https://www.w3.org/2018/credentials/v1", *extra],
        "id": f"urn:uuid:{chance.getrandbits(32):08x}-0000-4000-8000-000000000000",
        "type": ["VerifiableCredential"],
        "issuer": f"did:key:{key}",
        "issuanceDate": f"{day}T21:41:50Z",
        "credentialSubject": {"id": f"did:example:{chance.getrandbits(64):x}"},
    }
    if chance.random() < 0.5:
        document["issuer"] = {"id": document["issuer"]}
    proof: Document = {
        "type": proof_type,
        "created": f"{day}T22:00:00Z",
        "proofPurpose": "assertionMethod",
        "verificationMethod": f"did:key:{key}#{key}",
        **members,
    }
    for member in ("challenge", "domain"):
        if chance.random() < 0.3:
            proof[member] = f"{member} {chance.randrange(1000)}"
    suite = LEGACY_SUITES[proof_type]
    assert isinstance(suite, LegacySuite)
    message = suite.hashes(document, parse_proof(proof), CANONICALIZER)
    if proof_type == "Ed25519Signature2020":
        proof["proofValue"] = encode_multibase(signer.sign(message))
    else:
        header = json.dumps({"alg": algorithm_of(kind), "b64": False, "crit": ["b64"]})
        head = encode_base64url(header.encode())
        proof["jws"] = f"{head}..{encode_base64url(signer.sign(head.encode() + b'.' + message))}"
    return {**document, "proof": proof}


def respelled(document: Document) -> None:
    """The signature with one letter of it changed."""
    member = "proofValue" if "proofValue" in document["proof"] else "jws"
    text = document["proof"][member]
    document["proof"][member] = text[:-20] + ("A" if text[-20] != "A" else "B") + text[-19:]


FAULTS: dict[str, Callable[[Document], object] | None] = {
    "valid": None,
    "another date": lambda one: one.update(issuanceDate="2009-01-01T00:00:00Z"),
    "another subject": lambda one: one["credentialSubject"].update(id="did:example:another"),
    "another id": lambda one: one.update(id="urn:uuid:00000000-0000-4000-8000-000000000001"),
    "an end that was not signed": lambda one: one.update(expirationDate="2090-01-01T00:00:00Z"),
    "a member without meaning": lambda one: one.update(grade="A"),
    "a context more": lambda one: one["@context"].append("https://example.org/unknown"),
    "another moment of the proof": lambda one: one["proof"].update(created="2009-01-01T00:00:00Z"),
    "a challenge": lambda one: one["proof"].update(challenge="another"),
    "a domain": lambda one: one["proof"].update(domain="another.example"),
    "another signature": respelled,
    "no signature": lambda one: [one["proof"].pop(member, None) for member in ("proofValue", "jws")],
}


def ours(document: Document) -> bool:
    (proof,) = proofs_of(document)
    try:
        verify_proof(
            document, proof, parse_multikey(proof.verification_method.partition("#")[2]), CANONICALIZER
        )
    except BonafidesError:
        return False
    return True


async def theirs(document: Document) -> bool:
    question = {"document": json.dumps(document), "proofPurpose": "assertionMethod"}
    try:
        return not await didkit._ask(json.dumps(question).encode())
    except BonafidesError:
        return False


@pytest.fixture(autouse=True)
def _installed() -> None:
    if find_spec("didkit") is None:
        missing("didkit is not installed: the extra `didkit`, for Python before 3.13")


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize(("proof_type", "kind"), SUITES)
async def test_both_come_to_the_same_verdict(proof_type: str, kind: KeyKind, fault: str) -> None:
    chance = random.Random(f"{SEED} {proof_type} {kind} {fault}")  # noqa: S311 - the same every time
    document = signed(proof_type, kind, chance)
    change = FAULTS[fault]
    if change is not None:
        change(document)
    assert (ours(document), await theirs(document)) == (change is None, change is None)


@pytest.mark.parametrize(("proof_type", "kind"), SUITES)
async def test_a_nonce_is_where_they_differ(proof_type: str, kind: KeyKind) -> None:
    """Data Integrity 1.0 section 2.1 allows it and the contexts define it; didkit has no place for its statement."""
    chance = random.Random(f"{SEED} {proof_type} {kind} nonce")  # noqa: S311
    document = signed(proof_type, kind, chance, nonce="n")
    assert (ours(document), await theirs(document)) == (True, False)
