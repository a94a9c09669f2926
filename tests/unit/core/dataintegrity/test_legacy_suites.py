"""The proof types before Data Integrity: published and foreign specimens, and one refusal for each of their rules."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from fixtures.published import examples_canonicalizer

from node.core.dataintegrity import (
    UnknownSuite,
    parse_proof,
    prepare_proof,
    proofs_of,
    signs_rdf,
    verify_proof,
)
from node.core.dataintegrity.legacy_suite import LegacySuite
from node.core.dataintegrity.suites import LEGACY_SUITES
from node.core.encoding import encode_base64url, encode_multibase
from node.core.errors import Malformed, NotVerified
from node.core.jose.jws import algorithm_of
from node.core.keys import KeyKind, PublicKey, parse_jwk, parse_multikey
from node.keystore import generate_secret, signer_of

Document = dict[str, Any]
CANONICALIZER = examples_canonicalizer()
TYPES = ["Ed25519Signature2020", "Ed25519Signature2018", "JsonWebSignature2020"]
B64_FALSE = {"b64": False, "crit": ["b64"]}

# One credential, signed by didkit 0.3.3 with keys made from SHA-256 of "specimen": type, did:key, signature.
ED = "z6Mkjm2g3zaGwXZBeHyBPqNayyPwZ94Ya41s981cqwWvR6Qf"
P256 = "zDnaexzs9RM2SXT8ChZ9jHhuGZxwQf7k7jUBaH1GYQCzArDHm"
K256 = "zQ3shsLDYXf6gbYXLGRZq8VPgvPyVfDaML69a57zUAccmpa9q"
EDDSA_HEADER = "eyJhbGciOiJFZERTQSIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9.."
ES256_HEADER = "eyJhbGciOiJFUzI1NiIsImNyaXQiOlsiYjY0Il0sImI2NCI6ZmFsc2V9.."
ES256K_HEADER = "eyJhbGciOiJFUzI1NksiLCJjcml0IjpbImI2NCJdLCJiNjQiOmZhbHNlfQ.."
JWS_ED = "RL5NEnLTkXJIsWl7KDcZgQ_Op6MWrPh0tOL0Jye3GRuZI5ij6aYGx56A1TS8Y2wVz4qJLo9Qo-gQceutYXliCA"
ED_2018 = "Xc6YzPlX7nrBNsGAcxwQCbPpqNSge0tC8ij-05WoM6mhey9wRc9DTikGSixFvYGyqthJk8EWPOSrO-mJobtsCg"
ED_2020 = "z65BjW5UdRJEHwqt6wRDFMkA3mogTyzjgJKm8PdEgdEivib7Aq3VDmdC9qYG6EydupZPodfWNUHvw6HEjqzPeJM22"
JWS_P256 = "17aoeEAyj1N4EUdFkKXG7PA0tSagGDBwnooDRHLzece0fPxD3Rmu-DhqqIVSmNAiH7oRqcRfWQRqe-S6D6uP0Q"
JWS_K256 = "6zJMn-sGTo9ofntVsV-9nyFiaZR8PMdGDEjvrw26woVpOligzJY6DzOlflIEZ8_Vg5KJwlAqvRqJw4cM6XBUvg"
SPECIMENS = [
    ("JsonWebSignature2020", ED, EDDSA_HEADER + JWS_ED),
    ("Ed25519Signature2018", ED, EDDSA_HEADER + ED_2018),
    ("Ed25519Signature2020", ED, ED_2020),
    ("JsonWebSignature2020", P256, ES256_HEADER + JWS_P256),
    ("JsonWebSignature2020", K256, ES256K_HEADER + JWS_K256),
]


def credential(**changes: Any) -> Document:
    return {
        "@context": ["https://www.w3.org/2018/credentials/v1"],
        "id": "urn:uuid:1b7a5c6e-0000-4000-8000-000000000000",
        "type": ["VerifiableCredential"],
        "issuer": f"did:key:{ED}",
        "issuanceDate": "2020-08-19T21:41:50Z",
        "credentialSubject": {"id": "did:example:d23dd687a7dc6787646f2eb98d0"},
        **changes,
    }


def options(proof_type: str, key: str = ED, **changes: Any) -> Document:
    return {
        "type": proof_type,
        "created": "2020-08-19T21:41:50Z",
        "proofPurpose": "assertionMethod",
        "verificationMethod": f"did:key:{key}#{key}",
        **changes,
    }


def sealed(proof_type: str, signature: bytes, header: Document) -> Document:
    if proof_type == "Ed25519Signature2020":
        return {"proofValue": encode_multibase(signature)}
    return {"jws": f"{encode_base64url(json.dumps(header).encode())}..{encode_base64url(signature)}"}


def secured(
    proof_type: str,
    kind: KeyKind = KeyKind.ED25519,
    document: Document | None = None,
    header: Document | None = None,
    **changes: Any,
) -> tuple[Document, PublicKey]:
    """A credential signed as the suite says, by a new key; `header` replaces that of the JWS."""
    document = document or credential()
    signer = signer_of(kind, generate_secret(kind))
    proof = options(proof_type, **changes)
    suite = LEGACY_SUITES[proof_type]
    assert isinstance(suite, LegacySuite)
    message = suite.hashes(document, parse_proof(proof), CANONICALIZER)
    header = {"alg": algorithm_of(kind), **B64_FALSE} if header is None else header
    if proof_type != "Ed25519Signature2020":
        message = encode_base64url(json.dumps(header).encode()).encode() + b"." + message
    return {
        **document,
        "proof": {**proof, **sealed(proof_type, signer.sign(message), header)},
    }, signer.public_key


def check(document: Document, key: PublicKey) -> None:
    verify_proof(document, proofs_of(document)[0], key, CANONICALIZER)


def test_the_published_vector_with_its_intermediate_values(vectors: Path) -> None:
    folder = vectors / "di-eddsa" / "Ed25519Signature2020"

    def text(name: str) -> str:
        return (folder / f"{name}EdSig.txt").read_text()

    signed = json.loads((folder / "signedEdSig.json").read_text())
    (proof,) = proofs_of(signed)
    suite = LEGACY_SUITES[proof.type]
    assert isinstance(suite, LegacySuite)
    bare = {name: value for name, value in signed.items() if name != "proof"}
    config = CANONICALIZER.nquads(suite.proof_options(proof))
    assert CANONICALIZER.nquads(bare) == text("canonDoc")
    assert config == text("proofCanon")
    published = json.loads((folder / "proofConfigEdSig.json").read_text())
    assert CANONICALIZER.nquads(published) == config
    assert hashlib.sha256(config.encode()).hexdigest() == text("proofHash").strip()
    assert suite.hashes(bare, proof, CANONICALIZER).hex() == text("combinedHash").strip()
    assert text("combinedHash").strip().endswith(text("docHash").strip())
    assert proof.proof_value == text("sigBTC58").strip()
    assert encode_multibase(bytes.fromhex(text("sigHex").strip())) == proof.proof_value
    check(signed, parse_multikey(proof.verification_method.partition("#")[2]))


@pytest.mark.parametrize(("proof_type", "key", "signature"), SPECIMENS)
def test_what_didkit_signed_verifies(proof_type: str, key: str, signature: str) -> None:
    member = "proofValue" if proof_type == "Ed25519Signature2020" else "jws"
    proof = {**options(proof_type, key), member: signature}
    document = {**credential(issuer=f"did:key:{key}"), "proof": proof}
    check(document, parse_multikey(key))
    # What didkit wrote into the proof beside its members: contexts, which are not those that are used.
    check({**document, "proof": {**proof, "@context": ["https://example.org/any"]}}, parse_multikey(key))


@pytest.mark.parametrize("name", ["ob3-1edtech/simple_v1.json", "ob3-1edtech/credential-status-revoked.json"])
def test_the_badges_of_version_1_1_that_1edtech_publishes_verify(vectors: Path, name: str) -> None:
    document = json.loads((vectors / name).read_text())
    check(document, parse_multikey(proofs_of(document)[0].verification_method.partition("#")[2]))


def test_the_draft_name_of_eddsa_rdfc_2022_is_verified_and_not_made(vectors: Path) -> None:
    document = json.loads((vectors / "ob3-1edtech" / "simple-eddsa-2022.json").read_text())
    key = parse_multikey(proofs_of(document)[0].verification_method.partition("#")[2])
    check(document, key)
    with pytest.raises(NotVerified):
        check({**document, "name": "Another"}, key)
    unsigned = {name: value for name, value in document.items() if name != "proof"}
    proof = {name: value for name, value in document["proof"][0].items() if name != "proofValue"}
    with pytest.raises(Malformed, match="not made here"):
        prepare_proof(unsigned, proof, CANONICALIZER)


def test_they_sign_statements_and_are_not_made_here() -> None:
    for name in TYPES:
        assert signs_rdf(parse_proof(options(name)))
        with pytest.raises(Malformed):
            prepare_proof(credential(), {**options(name), "type": name}, CANONICALIZER)


def test_a_legacy_type_with_a_cryptosuite_is_neither() -> None:
    document, key = secured("Ed25519Signature2020")
    document["proof"]["cryptosuite"] = "eddsa-rdfc-2022"
    with pytest.raises(UnknownSuite):
        check(document, key)


@pytest.mark.parametrize(
    ("proof_type", "kind"),
    [
        ("Ed25519Signature2020", KeyKind.ED25519),
        ("Ed25519Signature2018", KeyKind.ED25519),
        *(
            ("JsonWebSignature2020", kind)
            for kind in (KeyKind.ED25519, KeyKind.P256, KeyKind.P384, KeyKind.SECP256K1)
        ),
    ],
)
def test_each_kind_of_key_that_a_suite_takes(proof_type: str, kind: KeyKind) -> None:
    document, key = secured(proof_type, kind)
    check(document, key)


@pytest.mark.parametrize("name", TYPES)
def test_every_member_of_a_proof_is_signed(name: str) -> None:
    document, key = secured(
        name,
        id="urn:uuid:1b7a5c6e-0000-4000-8000-000000000001",
        expires="2030-01-01T00:00:00Z",
        domain="verifier.example",
        challenge="c",
        nonce="n",
    )
    check(document, key)
    for member in set(document["proof"]) - {"proofValue", "jws", "type"}:
        changed = copy.deepcopy(document)
        del changed["proof"][member]
        with pytest.raises((NotVerified, Malformed)):
            check(changed, key)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(issuanceDate="2020-08-19T21:41:51Z"),
        lambda document: document["credentialSubject"].update(id="did:example:other"),
        lambda document: document.update(type=["VerifiableCredential", "VerifiablePresentation"]),
        lambda document: document["proof"].update(created="2020-08-19T21:41:51Z"),
        lambda document: document["proof"].update(proofPurpose="authentication"),
        lambda document: document["proof"].update(verificationMethod=f"did:key:{ED}#other"),
        lambda document: document["proof"].update(challenge="c"),
    ],
    ids=["date", "subject", "type", "created", "purpose", "method", "challenge added"],
)
def test_any_change_is_noticed(name: str, change: Callable[[Document], None]) -> None:
    document, key = secured(name)
    change(document)
    with pytest.raises(NotVerified):
        check(document, key)


@pytest.mark.parametrize("name", TYPES)
def test_another_key_does_not_verify(name: str) -> None:
    document, _ = secured(name)
    _, other = secured(name)
    with pytest.raises(NotVerified):
        check(document, other)


@pytest.mark.parametrize(
    ("name", "kind"),
    [(name, kind) for name in TYPES[:2] for kind in (KeyKind.P256, KeyKind.SECP256K1)]
    + [("JsonWebSignature2020", KeyKind.P521)],
)
def test_a_key_of_another_kind_is_refused(name: str, kind: KeyKind) -> None:
    document, _ = secured(name)
    with pytest.raises(NotVerified, match="takes no"):
        check(document, signer_of(kind, generate_secret(kind)).public_key)


@pytest.mark.parametrize("name", TYPES)
@pytest.mark.parametrize(
    "member", ["previousProof", "creator", "https://w3id.org/security#expiration", "@id", "signatureValue"]
)
def test_a_proof_has_no_member_that_its_context_does_not_know(name: str, member: str) -> None:
    """A member that says nothing in the statements would be read and not be signed."""
    document, key = secured(name)
    document["proof"][member] = "urn:uuid:1b7a5c6e-0000-4000-8000-000000000001"
    with pytest.raises((Malformed, NotVerified)):
        check(document, key)


@pytest.mark.parametrize("name", TYPES)
def test_a_proof_has_one_signature(name: str) -> None:
    document, key = secured(name)
    document["proof"]["jws" if "proofValue" in document["proof"] else "proofValue"] = "zAnother"
    with pytest.raises(Malformed):
        check(document, key)


@pytest.mark.parametrize("name", TYPES)
def test_a_document_that_would_lose_a_member_is_refused(name: str) -> None:
    document, key = secured(name)
    document["credentialStatus2"] = "nothing"
    with pytest.raises(Malformed):
        check(document, key)


@pytest.mark.parametrize("length", [0, 63, 65])
def test_a_signature_of_2020_has_64_bytes(length: int) -> None:
    document, key = secured("Ed25519Signature2020")
    document["proof"]["proofValue"] = encode_multibase(bytes(length))
    with pytest.raises(Malformed):
        check(document, key)


def test_a_signature_of_2020_is_base58() -> None:
    document, key = secured("Ed25519Signature2020")
    document["proof"]["proofValue"] = encode_multibase(bytes(64), "u")
    with pytest.raises(Malformed):
        check(document, key)


HEADERS: dict[str, Document] = {
    "payload said to be encoded": {"alg": "EdDSA", "b64": True, "crit": ["b64"]},
    "zero for false": {"alg": "EdDSA", "b64": 0, "crit": ["b64"]},
    "b64 not critical": {"alg": "EdDSA", "b64": False},
    "b64 missing": {"alg": "EdDSA", "crit": ["b64"]},
    "something else critical": {"alg": "EdDSA", "b64": False, "crit": ["b64", "exp"]},
    "another member": {"alg": "EdDSA", "kid": "k", **B64_FALSE},
    "no algorithm": B64_FALSE,
    "an algorithm that is no text": {"alg": ["EdDSA"], **B64_FALSE},
}


@pytest.mark.parametrize("name", TYPES[1:])
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_the_header_of_a_detached_jws_is_this_and_no_other(name: str, header: Document) -> None:
    document, key = secured(name, header=header)
    with pytest.raises(Malformed):
        check(document, key)


@pytest.mark.parametrize("name", TYPES[1:])
@pytest.mark.parametrize("algorithm", ["none", "HS256", "ES256", "RS256", "ES512", "eddsa"])
def test_an_algorithm_of_another_key_does_not_verify(name: str, algorithm: str) -> None:
    document, key = secured(name, header={"alg": algorithm, **B64_FALSE})
    with pytest.raises(NotVerified):
        check(document, key)


def test_rsa_signs_with_pss_and_not_otherwise() -> None:
    private = rsa.generate_private_key(65537, 2048)
    numbers = private.public_key().public_numbers()
    modulus = encode_base64url(numbers.n.to_bytes(256, "big"))
    key = parse_jwk({"kty": "RSA", "e": "AQAB", "n": modulus})
    document, proof = credential(), options("JsonWebSignature2020")
    suite = LEGACY_SUITES["JsonWebSignature2020"]
    assert isinstance(suite, LegacySuite)
    message = suite.hashes(document, parse_proof(proof), CANONICALIZER)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    for algorithm, scheme in (("PS256", pss), ("RS256", padding.PKCS1v15())):
        head = encode_base64url(json.dumps({"alg": algorithm, **B64_FALSE}).encode())
        signature = private.sign(head.encode() + b"." + message, scheme, hashes.SHA256())
        signed = {**document, "proof": {**proof, "jws": f"{head}..{encode_base64url(signature)}"}}
        if algorithm == "PS256":
            check(signed, key)
        else:
            with pytest.raises(NotVerified):
                check(signed, key)


@pytest.mark.parametrize("name", TYPES[1:])
@pytest.mark.parametrize(
    "change",
    [
        None,
        1,
        "{head}.{signature}",
        "{head}.e30.{signature}",
        "..{signature}",
        "{head}..",
        "{head}..{signature}.",
        "{head}..{signature}=",
        " {head}..{signature}",
        "e30x..{signature}",
    ],
    ids=[
        *("missing", "number", "two parts", "payload", "no header", "no signature", "four parts"),
        *("padding", "white space", "header no JSON"),
    ],
)
def test_a_jws_that_is_not_detached_or_not_strict_is_malformed(name: str, change: object) -> None:
    document, key = secured(name)
    head, _, signature = document["proof"]["jws"].split(".")
    document["proof"]["jws"] = (
        change.format(head=head, signature=signature) if isinstance(change, str) else change
    )
    with pytest.raises(Malformed):
        check(document, key)


def test_a_jws_over_the_encoded_hashes_is_not_the_signature() -> None:
    """RFC 7797: with b64 false the payload stands in the signing input as it is."""
    document, proof = credential(), options("Ed25519Signature2018")
    suite = LEGACY_SUITES["Ed25519Signature2018"]
    assert isinstance(suite, LegacySuite)
    message = suite.hashes(document, parse_proof(proof), CANONICALIZER)
    signer = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
    head = encode_base64url(json.dumps({"alg": "EdDSA", **B64_FALSE}).encode())
    signature = signer.sign(f"{head}.{encode_base64url(message)}".encode())
    proof["jws"] = f"{head}..{encode_base64url(signature)}"
    with pytest.raises(NotVerified):
        check({**document, "proof": proof}, signer.public_key)
