"""ecdsa-rdfc-2019 and ecdsa-jcs-2019: the published vectors value by value, both curves, and what is refused."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nacl.signing
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fixtures.published import published_canonicalizer

from node.core import problem
from node.core.dataintegrity import (
    HashData,
    prepare_proof,
    previous_proofs,
    proofs_of,
    signs_rdf,
    unsecured,
    verify_proof,
)
from node.core.encoding import decode_multibase, encode_base58btc, encode_multibase
from node.core.errors import Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey, parse_multikey

Document = dict[str, Any]
CANONICALIZER = published_canonicalizer()
V2 = "https://www.w3.org/ns/credentials/v2"


def load(path: Path) -> Any:
    return json.loads(path.read_text())


# Published vectors ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Vector:
    folder: str
    ending: str
    keys: str
    kind: KeyKind
    hash_name: str
    document: str = "unsigned.json"


VECTORS = [
    Vector("ecdsa-rdfc-2019-p256", "ECDSAP256", "p256KeyPair.json", KeyKind.P256, "sha256"),
    Vector("ecdsa-rdfc-2019-p384", "ECDSAP384", "p384KeyPair.json", KeyKind.P384, "sha384"),
    Vector("ecdsa-jcs-2019-p256", "JCSECDSAP256", "p256KeyPair.json", KeyKind.P256, "sha256"),
    Vector("ecdsa-jcs-2019-p384", "JCSECDSAP384", "p384KeyPair.json", KeyKind.P384, "sha384"),
    Vector(
        "ecdsa-rdfc-2019-p256/employ", "ECDSAP256", "", KeyKind.P256, "sha256", document="employmentAuth.json"
    ),
    Vector(
        "ecdsa-rdfc-2019-p384/employ", "ECDSAP384", "", KeyKind.P384, "sha384", document="employmentAuth.json"
    ),
]
ORDERS = {KeyKind.P256: ec.SECP256R1(), KeyKind.P384: ec.SECP384R1()}


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.folder)
def test_published_vector_with_its_intermediate_values(vectors: Path, vector: Vector) -> None:
    folder = vectors / "di-ecdsa" / vector.folder

    def text(name: str) -> str:
        return (folder / f"{name}{vector.ending}.txt").read_text()

    config = load(folder / f"proofConfig{vector.ending}.json")
    options = {name: value for name, value in config.items() if name != "@context"}
    document = load(vectors / "di-ecdsa" / vector.document)
    prepared = prepare_proof(document, options, CANONICALIZER, key_kind=vector.kind)
    assert isinstance(prepared.data, HashData)
    assert prepared.data.document.decode() == text("canonDoc")
    assert prepared.data.proof_config.decode() == text("proofCanon")
    assert hashlib.new(vector.hash_name, prepared.data.document).hexdigest() == text("docHash").strip()
    assert hashlib.new(vector.hash_name, prepared.data.proof_config).hexdigest() == text("proofHash").strip()
    assert prepared.message.hex() == text("combinedHash").strip()
    signature = bytes.fromhex(text("sigHex").strip())
    assert encode_multibase(signature) == text("sigBTC58").strip()
    if vector.keys:
        keys = load(vectors / "di-ecdsa" / vector.keys)
        secret = decode_multibase(keys["secretKeyMultibase"], "z")[2:]
        assert Signer(vector.kind, int.from_bytes(secret, "big")).sign(prepared.message) == signature
    signed = load(folder / f"signed{vector.ending}.json")
    secured = prepared.finish(signature)
    assert secured == {**signed, "proof": [signed["proof"]]}
    for one in (signed, secured):
        proof = proofs_of(one)[0]
        verify_proof(one, proof, parse_multikey(proof.verification_method.partition("#")[2]), CANONICALIZER)


# Round trips and refusals -----------------------------------------------------------------------------------


class Signer:
    def __init__(self, kind: KeyKind, secret: int) -> None:
        self.hash = hashes.SHA256() if kind is KeyKind.P256 else hashes.SHA384()
        self.key = ec.derive_private_key(secret, ORDERS[kind])
        self.width = 32 if kind is KeyKind.P256 else 48
        point = self.key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self.public = PublicKey(kind, point)

    def sign_der(self, message: bytes) -> bytes:
        return self.key.sign(message, ec.ECDSA(self.hash, deterministic_signing=True))

    def sign(self, message: bytes) -> bytes:
        r, s = decode_dss_signature(self.sign_der(message))
        return r.to_bytes(self.width, "big") + s.to_bytes(self.width, "big")


P256, P384 = Signer(KeyKind.P256, 7), Signer(KeyKind.P384, 7)
OTHERS = {KeyKind.P256: Signer(KeyKind.P256, 8), KeyKind.P384: Signer(KeyKind.P384, 8)}
SUITES = ["ecdsa-rdfc-2019", "ecdsa-jcs-2019"]
SIGNERS = pytest.mark.parametrize("signer", [P256, P384], ids=["P-256", "P-384"])
DOCUMENT: Document = {
    "@context": [V2],
    "id": "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7a11",
    "type": ["VerifiableCredential"],
    "issuer": "did:example:i",
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:s"},
}
ED25519 = nacl.signing.SigningKey(b"\x07" * 32)
ED25519_KEY = PublicKey(KeyKind.ED25519, bytes(ED25519.verify_key))


def options(suite: str, **more: Any) -> Document:
    return {
        "cryptosuite": suite,
        "verificationMethod": "did:example:i#k",
        "proofPurpose": "assertionMethod",
        **more,
    }


def sign(document: Document, suite: str, signer: Signer, **more: Any) -> Document:
    kind = signer.public.kind
    prepared = prepare_proof(document, options(suite, **more), CANONICALIZER, key_kind=kind)
    return prepared.finish(signer.sign(prepared.message))


def verify(document: Document, key: PublicKey) -> None:
    verify_proof(document, proofs_of(document)[-1], key, CANONICALIZER)


@SIGNERS
@pytest.mark.parametrize("suite", SUITES)
def test_what_is_secured_verifies(suite: str, signer: Signer) -> None:
    secured = sign(DOCUMENT, suite, signer, created="2026-01-01T00:00:00Z", challenge="c", domain="d")
    verify(secured, signer.public)
    assert unsecured(secured) == DOCUMENT
    assert [signs_rdf(proof) for proof in proofs_of(secured)] == [suite == "ecdsa-rdfc-2019"]


CHANGES: dict[str, Callable[[Document], object]] = {
    "a member": lambda d: d.update(validFrom="2026-01-02T00:00:00Z"),
    "a new member": lambda d: d.update(validUntil="2026-01-02T00:00:00Z"),
    "a missing member": lambda d: d.pop("validFrom"),
    "purpose": lambda d: d["proof"][0].update(proofPurpose="authentication"),
    "new expires": lambda d: d["proof"][0].update(expires="2036-01-01T00:00:01Z"),
    "no challenge": lambda d: d["proof"][0].pop("challenge"),
    "other suite": lambda d: d["proof"][0].update(
        cryptosuite=SUITES[1 - SUITES.index(d["proof"][0]["cryptosuite"])]
    ),
}


@SIGNERS
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_is_noticed(suite: str, signer: Signer, change: Callable[[Document], object]) -> None:
    secured = sign(DOCUMENT, suite, signer, challenge="c")
    change(secured)
    with pytest.raises((NotVerified, Malformed)):
        verify(secured, signer.public)


@SIGNERS
@pytest.mark.parametrize("suite", SUITES)
def test_another_key_does_not_verify(suite: str, signer: Signer) -> None:
    with pytest.raises(NotVerified) as caught:
        verify(sign(DOCUMENT, suite, signer), OTHERS[signer.public.kind].public)
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", [KeyKind.ED25519, KeyKind.P384], ids=str)
def test_a_key_of_another_kind_does_not_verify(suite: str, kind: KeyKind) -> None:
    key = ED25519_KEY if kind is KeyKind.ED25519 else P384.public
    with pytest.raises((NotVerified, Malformed)):
        verify(sign(DOCUMENT, suite, P256), key)


def other_spellings(value: str, signer: Signer, message: bytes) -> dict[str, str]:
    signature = decode_multibase(value)
    width = signer.width
    order = {32: 2**256 - 2**224 + 2**192, 48: 2**384}[width]
    zero = bytes(width)
    return {
        "base64url": encode_multibase(signature, "u"),
        "no multibase letter": value[1:],
        "leading one": "z1" + value[1:],
        "longer": "z" + encode_base58btc(signature + b"\x01"),
        "shorter": "z" + encode_base58btc(signature[:-1]),
        "DER": encode_multibase(signer.sign_der(message)),
        "r and s in each other's place": encode_multibase(signature[width:] + signature[:width]),
        "r is zero": encode_multibase(zero + signature[width:]),
        "s is zero": encode_multibase(signature[:width] + zero),
        "both are zero": encode_multibase(zero * 2),
        "s beyond the order": encode_multibase(signature[:width] + (order - 1).to_bytes(width, "big")),
        "empty multibase": "z",
    }


@SIGNERS
@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("spelling", sorted(other_spellings("z" + "2" * 86, P256, b"")))
def test_a_proof_value_is_r_and_s_in_base58(suite: str, signer: Signer, spelling: str) -> None:
    prepared = prepare_proof(DOCUMENT, options(suite), CANONICALIZER, key_kind=signer.public.kind)
    secured = prepared.finish(signer.sign(prepared.message))
    value = secured["proof"][0]["proofValue"]
    secured["proof"][0]["proofValue"] = other_spellings(value, signer, prepared.message)[spelling]
    with pytest.raises((NotVerified, Malformed)):
        verify(secured, signer.public)


def test_p384_is_canonicalized_with_its_own_hash() -> None:
    for kind, name in ((KeyKind.P256, "sha256"), (KeyKind.P384, "sha384")):
        prepared = prepare_proof(DOCUMENT, options("ecdsa-rdfc-2019"), CANONICALIZER, key_kind=kind)
        assert isinstance(prepared.data, HashData)
        assert prepared.data.hash_name == name
        assert len(prepared.message) == 2 * hashlib.new(name).digest_size


@pytest.mark.parametrize("suite", SUITES)
@pytest.mark.parametrize("kind", [None, KeyKind.ED25519, KeyKind.SECP256K1, KeyKind.P521])
def test_a_suite_of_two_curves_must_be_told_which(suite: str, kind: KeyKind | None) -> None:
    with pytest.raises(Malformed) as caught:
        prepare_proof(DOCUMENT, options(suite), CANONICALIZER, key_kind=kind)
    assert caught.value.problem.type == problem.PROOF_GENERATION_ERROR


@pytest.mark.parametrize("suite", SUITES)
def test_a_signature_of_the_other_curve_is_not_written(suite: str) -> None:
    prepared = prepare_proof(DOCUMENT, options(suite), CANONICALIZER, key_kind=KeyKind.P384)
    with pytest.raises(Malformed):
        prepared.finish(P256.sign(prepared.message))


# Sets and chains across suites ------------------------------------------------------------------------------

ALL = ["eddsa-rdfc-2022", "eddsa-jcs-2022", *SUITES]


def add(document: Document, suite: str, **more: Any) -> Document:
    if suite.startswith("ecdsa"):
        return sign(document, suite, P384 if suite == "ecdsa-jcs-2019" else P256, **more)
    prepared = prepare_proof(document, options(suite, **more), CANONICALIZER)
    return prepared.finish(ED25519.sign(prepared.message).signature)


def key_for(suite: str | None) -> PublicKey:
    return {"ecdsa-jcs-2019": P384.public, "ecdsa-rdfc-2019": P256.public}.get(suite or "", ED25519_KEY)


def test_proofs_of_all_suites_stand_beside_each_other() -> None:
    document = DOCUMENT
    for suite in ALL:
        document = add(document, suite)
    assert [proof.cryptosuite for proof in proofs_of(document)] == ALL
    for proof in proofs_of(document):
        verify_proof(document, proof, key_for(proof.cryptosuite), CANONICALIZER)


@pytest.mark.parametrize("last", ALL)
@pytest.mark.parametrize("first", ALL)
def test_a_proof_builds_on_one_of_any_suite(first: str, last: str) -> None:
    document = add(add(DOCUMENT, first, id="urn:uuid:a"), last, id="urn:uuid:b", previousProof="urn:uuid:a")
    proof = proofs_of(document)[-1]
    assert proof.raw["previousProof"] == "urn:uuid:a"
    proofs = proofs_of(document)
    for one in proofs:
        verify_proof(document, one, key_for(one.cryptosuite), CANONICALIZER, verified=proofs)
    changed = {**document, "proof": [{**document["proof"][0], "nonce": "n"}, document["proof"][1]]}
    with pytest.raises(NotVerified):
        verify_proof(
            changed,
            proofs_of(changed)[-1],
            key_for(last),
            CANONICALIZER,
            verified=previous_proofs(changed, proofs_of(changed)[-1]),
        )
