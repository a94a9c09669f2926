"""ecdsa-sd-2023: both published credentials value by value, and what a holder or a thief may try with a proof."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fixtures.published import published_canonicalizer
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core import problem
from node.core.cbor import decode_cbor, encode_cbor
from node.core.dataintegrity import (
    Disclosure,
    Proof,
    derive_proof,
    ecdsa_sd_2023,
    parse_proof,
    prepare_proof,
    proofs_of,
    selective_suite_of,
    signs_rdf,
    unsecured,
    verify_proof,
)
from node.core.dataintegrity.ecdsa_sd_2023 import (
    BaseHashData,
    BaseProof,
    DerivedProof,
    EcdsaSd2023,
    base_signature,
    encode_base_proof,
    encode_derived_proof,
    parse_base_proof,
    parse_derived_proof,
)
from node.core.dataintegrity.selective import (
    Grouping,
    hmac_labels,
    label_statements,
    mandatory_statements,
    select,
)
from node.core.encoding import decode_multibase, encode_base64url, encode_multibase, encode_varint
from node.core.errors import BonafidesError, Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey, parse_multicodec_key, parse_multikey
from node.keystore import Secp256k1Signer

Document = dict[str, Any]
CANONICALIZER = published_canonicalizer()
V2 = "https://www.w3.org/ns/credentials/v2"


def load(path: Path) -> Any:
    return json.loads(path.read_text())


# Published vectors ------------------------------------------------------------------------------------------


class Published:
    """One credential of the W3C's vectors with its steps."""

    def __init__(self, vectors: Path, name: str) -> None:
        base = vectors / "di-ecdsa"
        self.folder = base / "ecdsa-sd-2023" / name
        self.mandatory = tuple(load(base / {"prc": "prCredMandatory.json"}.get(name, "employMandatory.json")))
        self.selective = tuple(load(base / {"prc": "prCredSelective.json"}.get(name, "employSelective.json")))
        self.input = load(base / {"prc": "prCredUnsigned.json"}.get(name, "employmentAuth.json"))
        self.keys = load(base / "ecdsa-sd-2023" / "SDKeyMaterial.json")
        self.hmac_key = bytes.fromhex(self.keys["hmacKeyString"])
        self.proof_key = decode_multibase(self.keys["proofKeyPair"]["secretKeyMultibase"])[2:]
        self.issuer_key = parse_multikey(self.keys["baseKeyPair"]["publicKeyMultibase"])
        self.signed = self("addSignedSDBase")
        self.document = unsecured(self.signed)

    def __call__(self, name: str) -> Any:
        return load(self.folder / f"{name}.json")

    @property
    def proof(self) -> Proof:
        return proofs_of(self.signed)[0]

    def grouping(self) -> Grouping:
        return Grouping(self.document, hmac_labels(self.hmac_key), CANONICALIZER)


@pytest.fixture(params=["prc", "employ"])
def published(vectors: Path, request: pytest.FixtureRequest) -> Published:
    return Published(vectors, request.param)


def test_published_statements_labels_and_groups(published: Published) -> None:
    canonical = published("addBaseDocCanon")
    assert CANONICALIZER.nquads(published.document) == "".join(canonical)
    grouping = published.grouping()
    labelled = published("addBaseDocHMACCanon")
    assert list(grouping.statements) == labelled
    labelled_alone = label_statements(published.document, hmac_labels(published.hmac_key), CANONICALIZER)
    assert list(labelled_alone.labelled) == labelled
    everything = range(len(canonical))
    assert sorted(labelled_alone.canonical_at(everything)) == canonical
    base = published("addBaseTransform")
    groups = published("derivedGroupIndexes")
    combined = published.mandatory + published.selective
    mandatory = grouping.indexes(published.mandatory)
    assert [[index, labelled[index]] for index in mandatory] == base["mandatory"]["value"]
    others = [index for index in range(len(labelled)) if index not in mandatory]
    assert [[index, labelled[index]] for index in others] == base["nonMandatory"]["value"]
    assert others == groups["nonMandatoryIndexes"]
    assert list(mandatory) == groups["mandatoryIndexes"]
    assert list(grouping.indexes(published.selective)) == groups["selectiveIndexes"]
    assert list(grouping.indexes(combined)) == groups["combinedIndexes"]
    detail = published("derivedAllGroupData")
    assert sorted(detail["nquads"]) == labelled
    for name, pointers in {
        "mandatory": published.mandatory,
        "selective": published.selective,
        "combined": combined,
    }.items():
        matching = [[index, labelled[index]] for index in grouping.indexes(pointers)]
        assert matching == detail["groups"][name]["matching"]["value"]


def test_published_selection_of_pointers(published: Published) -> None:
    for entry in published("addPointerValues"):
        selected = select([entry["pointer"]], published.document)
        assert selected is not None
        assert selected[entry["pointer"][1:]] == entry["value"]
    combined = published.mandatory + published.selective
    assert select(combined, published.document) == published("derivedUnsignedReveal")


def test_published_base_proof_with_its_intermediate_values(published: Published) -> None:
    disclosure = Disclosure(published.mandatory, published.hmac_key, published.proof_key)
    config = published("addProofConfig")
    canonical_config = (published.folder / "addProofConfigCanon.txt").read_text()
    assert CANONICALIZER.nquads(config) == canonical_config
    options = {name: value for name, value in config.items() if name != "@context"}
    prepared = prepare_proof(published.document, options, CANONICALIZER, disclosure=disclosure)
    data = prepared.data
    assert isinstance(data, BaseHashData)
    hashed = published("addHashData")
    raw = published("addRawBaseSignatureInfo")
    assert data.proof_hash == hashlib.sha256(canonical_config.encode()).digest()
    assert data.proof_hash.hex() == hashed["proofHash"]
    assert data.mandatory_hash.hex() == hashed["mandatoryHash"]
    assert encode_multibase(data.public_key) == raw["publicKey"]
    assert [signature.hex() for signature in data.signatures] == raw["signatures"]
    assert list(published.mandatory) == raw["mandatoryPointers"]
    secret = decode_multibase(published.keys["baseKeyPair"]["secretKeyMultibase"])[2:]
    signature = es256(secret, prepared.message)
    assert signature.hex() == raw["baseSignature"]
    assert prepared.finish(signature) == {**published.signed, "proof": [published.signed["proof"]]}
    recovered = published("derivedRecoveredBaseData")
    base = parse_base_proof(published.proof)
    assert base.base_signature.hex() == recovered["baseSignature"] == base_signature(published.proof).hex()
    assert encode_multibase(base.public_key) == recovered["proofPublicKey"]
    assert base.hmac_key.hex() == recovered["hmacKey"]
    assert [signature.hex() for signature in base.signatures] == recovered["signatures"]
    assert list(base.mandatory_pointers) == recovered["mandatoryPointers"]
    assert encode_base_proof(base) == published.signed["proof"]["proofValue"]


def test_published_derived_proof_with_its_intermediate_values(published: Published) -> None:
    derived = derive_proof(published.signed, published.proof, published.selective, CANONICALIZER)
    expected = published("derivedRevealDocument")
    assert derived == {**expected, "proof": [expected["proof"]]}
    value = parse_derived_proof(proofs_of(derived)[0])
    disclosed = published("derivedDisclosureData")
    parsed = published("verifyDerivedProofValue")
    for found in (disclosed, parsed):
        assert value.base_signature.hex() == found["baseSignature"] == base_signature(published.proof).hex()
        assert encode_multibase(value.public_key) == found["publicKey"]
        assert [signature.hex() for signature in value.signatures] == found["signatures"]
        assert list(value.mandatory_indexes) == found["mandatoryIndexes"]
    assert list(value.labels.items()) == [tuple(pair) for pair in disclosed["labelMap"]["value"]]
    assert list(value.labels.items()) == [tuple(pair) for pair in parsed["labelMap"]]
    assert list(value.mandatory_indexes) == published("derivedAdjMandatoryIndexes")["adjMandatoryIndexes"]
    filtered = published("derivedAdjSignatures")["filteredSignatures"]
    assert [signature.hex() for signature in value.signatures] == filtered


def test_published_verification_with_its_intermediate_values(published: Published) -> None:
    shown = published("derivedRevealDocument")
    proof = proofs_of(shown)[0]
    value = parse_derived_proof(proof)
    statements = label_statements(unsecured(shown), lambda _: value.labels, CANONICALIZER)
    assert list(statements.labelled) == published("verifyNQuads")
    mandatory, others = statements.split(value.mandatory_indexes)
    data = published("verifyCreateVerifyData")
    assert others == data["nonMandatory"]
    assert hashlib.sha256("".join(mandatory).encode()).hexdigest() == data["mandatoryHash"]
    assert value.base_signature.hex() == data["baseSignature"]
    assert [signature.hex() for signature in value.signatures] == data["signatures"]
    verify_proof(shown, proof, published.issuer_key, CANONICALIZER)


# A credential of our own ------------------------------------------------------------------------------------

ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def private_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())


def es256(secret: bytes, message: bytes) -> bytes:
    der = private_key(secret).sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def public_key(secret: bytes) -> PublicKey:
    point = private_key(secret).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return PublicKey(KeyKind.P256, point)


ISSUER, OTHER, PROOF_KEY, THIEF = (bytes([number]) * 32 for number in (7, 8, 9, 10))
KEY = public_key(ISSUER)
HMAC_KEY = bytes(range(32))
MANDATORY = ("/issuer", "/validUntil", "/credentialStatus")
SHOWN = ("/credentialSubject/degree/name", "/credentialSubject/givenName", "/evidence/0")
DOCUMENT: Document = {
    "@context": [V2, "https://www.w3.org/ns/credentials/examples/v2"],
    "type": ["VerifiableCredential"],
    "issuer": "did:example:i",
    "validFrom": "2026-01-01T00:00:00Z",
    "validUntil": "2027-01-01T00:00:00Z",
    "credentialStatus": {
        "id": "https://example.org/list#94567",
        "type": "BitstringStatusListEntry",
        "statusPurpose": "revocation",
        "statusListIndex": "94567",
        "statusListCredential": "https://example.org/list",
    },
    "credentialSubject": {
        "givenName": "Jane",
        "familyName": "Smith",
        "degree": {"type": "Degree", "name": "Bachelor", "grade": "A"},
    },
    "evidence": [{"type": "Evidence", "name": "exam"}, {"type": "Evidence", "name": "thesis"}],
}
OPTIONS = {
    "cryptosuite": "ecdsa-sd-2023",
    "verificationMethod": "did:example:i#k",
    "proofPurpose": "assertionMethod",
}


def issue(document: Document = DOCUMENT, mandatory: tuple[str, ...] = MANDATORY, **more: Any) -> Document:
    disclosure = Disclosure(mandatory, HMAC_KEY, PROOF_KEY)
    prepared = prepare_proof(document, {**OPTIONS, **more}, CANONICALIZER, disclosure=disclosure)
    return prepared.finish(es256(ISSUER, prepared.message))


def derive(document: Document, *pointers: str) -> Document:
    return derive_proof(document, proofs_of(document)[0], pointers, CANONICALIZER)


def verify(document: Document, key: PublicKey = KEY) -> None:
    verify_proof(document, proofs_of(document)[0], key, CANONICALIZER)


@pytest.fixture(scope="module")
def base() -> Document:
    return issue()


@pytest.fixture
def shown(base: Document) -> Document:
    return derive(base, *SHOWN)


@pytest.mark.parametrize("mandatory", [(), ("/issuer",), MANDATORY, ("",)], ids=str)
@pytest.mark.parametrize(
    "pointers",
    [("/credentialSubject/degree",), SHOWN, ("/evidence/1/name", "/evidence/0/name"), ("/type",), ("",)],
    ids=str,
)
def test_what_is_derived_verifies_and_shows_what_was_selected(
    mandatory: tuple[str, ...], pointers: tuple[str, ...]
) -> None:
    found = derive(issue(mandatory=mandatory, created="2026-01-01T00:00:00Z"), *pointers)
    verify(found)
    assert unsecured(found) == select((*mandatory, *pointers), DOCUMENT)
    if "" in (*mandatory, *pointers):
        assert unsecured(found) == DOCUMENT


def test_a_holder_may_show_the_mandatory_part_alone(base: Document) -> None:
    found = derive(base)
    verify(found)
    assert unsecured(found).keys() == {"@context", "type", "issuer", "validUntil", "credentialStatus"}
    assert parse_derived_proof(proofs_of(found)[0]).signatures == ()


def test_nothing_of_what_is_hidden_is_in_the_shown_document(shown: Document) -> None:
    assert "Smith" not in json.dumps(shown)
    assert "grade" not in json.dumps(shown)
    assert HMAC_KEY not in decode_multibase(shown["proof"][0]["proofValue"])


def test_mandatory_statements_are_told_in_the_labels_of_the_shown_document(
    base: Document, shown: Document
) -> None:
    proof = proofs_of(shown)[0]
    suite = selective_suite_of(proof)
    assert suite is not None
    statements = mandatory_statements(unsecured(shown), suite.parse_derived(proof), CANONICALIZER)
    assert set(statements) < set(CANONICALIZER.nquads(unsecured(shown)).splitlines(keepends=True))
    text = "".join(statements)
    assert "credentials#validUntil" in text
    assert "statusListIndex" in text
    assert "credentials#validFrom" not in text
    assert "givenName" not in text
    assert base_signature(proof) == base_signature(proofs_of(base)[0])
    assert [suite.is_base(proofs_of(one)[0]) for one in (base, shown)] == [True, False]
    assert signs_rdf(proof)


def test_the_other_proofs_of_a_document_are_not_shown(base: Document) -> None:
    twice = {**base, "proof": [*base["proof"], {**base["proof"][0], "id": "urn:a"}]}
    assert len(derive(twice, *SHOWN)["proof"]) == 1


def test_the_same_input_gives_the_same_proof() -> None:
    assert issue() == issue()


# Hostile holders --------------------------------------------------------------------------------------------


def test_a_base_proof_is_refused(base: Document) -> None:
    with pytest.raises(NotVerified) as caught:
        verify(base)
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


def test_another_key_does_not_verify(shown: Document) -> None:
    with pytest.raises(NotVerified):
        verify(shown, public_key(OTHER))
    with pytest.raises(NotVerified):
        verify(shown, PublicKey(KeyKind.ED25519, b"\1" * 32))


DOCUMENT_CHANGES: dict[str, Callable[[Document], object]] = {
    "a mandatory statement": lambda d: d.update(validUntil="2037-01-01T00:00:00Z"),
    "a mandatory statement is left out": lambda d: d.pop("validUntil"),
    "the status is left out": lambda d: d.pop("credentialStatus"),
    "a shown statement": lambda d: d["credentialSubject"].update(givenName="Joan"),
    "a shown statement is left out": lambda d: d["credentialSubject"].pop("givenName"),
    "a statement is added": lambda d: d["credentialSubject"].update(familyName="Smith"),
    "a type is added": lambda d: d["type"].append("Extra"),
    "an identifier is given": lambda d: d["credentialSubject"].update(id="did:example:thief"),
    "statements change places": lambda d: d["credentialSubject"].update(
        givenName="Bachelor", degree={**d["credentialSubject"]["degree"], "name": "Jane"}
    ),
    "an unnamed object is added": lambda d: d.update(evidence=[*d["evidence"], {"type": "Evidence"}]),
    "purpose": lambda d: d["proof"][0].update(proofPurpose="authentication"),
    "created": lambda d: d["proof"][0].update(created="2026-01-01T00:00:00Z"),
    "a member of the proof that is none": lambda d: d["proof"][0].update(extension=1),
}


@pytest.mark.parametrize("change", DOCUMENT_CHANGES.values(), ids=DOCUMENT_CHANGES)
def test_any_change_to_what_is_shown_is_noticed(
    shown: Document, change: Callable[[Document], object]
) -> None:
    verify(shown)
    change(shown)
    with pytest.raises((NotVerified, Malformed)):
        verify(shown)


def changed(shown: Document, **more: Any) -> Document:
    value = parse_derived_proof(proofs_of(shown)[0])
    found = copy.deepcopy(shown)
    found["proof"][0]["proofValue"] = encode_derived_proof(replace(value, **more))
    return found


def der(signature: bytes) -> bytes:
    return encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))


PROOF_CHANGES: dict[str, Callable[[DerivedProof], Document]] = {
    "two objects have one label": lambda v: {"labels": {**v.labels, "c14n1": v.labels["c14n0"]}},
    "two labels have changed places": lambda v: {
        "labels": {**v.labels, "c14n1": v.labels["c14n0"], "c14n0": v.labels["c14n1"]}
    },
    "a label too many": lambda v: {"labels": {**v.labels, f"c14n{len(v.labels)}": "u" + "A" * 43}},
    "a label of an object far outside": lambda v: {"labels": {**v.labels, "c14n4000000000": "u" + "A" * 43}},
    "a label too few": lambda v: {"labels": dict(list(v.labels.items())[:-1])},
    "no labels": lambda _: {"labels": {}},
    "a label of its own": lambda v: {"labels": {**v.labels, "c14n0": "u" + "A" * 43}},
    "a label of 31 bytes": lambda v: {"labels": {**v.labels, "c14n0": "u" + encode_base64url(bytes(31))}},
    "a label of 33 bytes": lambda v: {"labels": {**v.labels, "c14n0": "u" + encode_base64url(bytes(33))}},
    "an index beyond the statements": lambda v: {"mandatory_indexes": (*v.mandatory_indexes, 1000)},
    "an index one beyond the statements": lambda v: {
        "mandatory_indexes": (*v.mandatory_indexes, len(v.mandatory_indexes) + len(v.signatures))
    },
    "indexes in descending order": lambda v: {"mandatory_indexes": v.mandatory_indexes[::-1]},
    "two indexes in each other's place": lambda v: {
        "mandatory_indexes": (v.mandatory_indexes[1], v.mandatory_indexes[0], *v.mandatory_indexes[2:])
    },
    "an index repeated": lambda v: {"mandatory_indexes": (v.mandatory_indexes[0], *v.mandatory_indexes)},
    "a negative index": lambda v: {"mandatory_indexes": (-1, *v.mandatory_indexes)},
    "no indexes": lambda _: {"mandatory_indexes": ()},
    "a mandatory statement is called shown": lambda v: {"mandatory_indexes": v.mandatory_indexes[1:]},
    "a mandatory statement is signed by a thief": lambda v: {
        "mandatory_indexes": v.mandatory_indexes[1:],
        "signatures": (bytes(64), *v.signatures),
    },
    "a shown statement is called mandatory": lambda v: {
        "mandatory_indexes": tuple(range(len(v.mandatory_indexes) + 1)),
        "signatures": v.signatures[1:],
    },
    "everything is called mandatory": lambda v: {
        "mandatory_indexes": tuple(range(len(v.mandatory_indexes) + len(v.signatures))),
        "signatures": (),
    },
    "a signature too many": lambda v: {"signatures": (*v.signatures, v.signatures[0])},
    "a signature too few": lambda v: {"signatures": v.signatures[:-1]},
    "no signatures": lambda _: {"signatures": ()},
    "two signatures in each other's place": lambda v: {
        "signatures": (v.signatures[1], v.signatures[0], *v.signatures[2:])
    },
    "a signature repeated for another": lambda v: {"signatures": (v.signatures[0],) * len(v.signatures)},
    "the last signature is wrong": lambda v: {"signatures": (*v.signatures[:-1], bytes(63) + b"\1")},
    "a signature is all zero": lambda v: {"signatures": (bytes(64), *v.signatures[1:])},
    "a signature in DER": lambda v: {"signatures": (der(v.signatures[0]), *v.signatures[1:])},
    "a signature of 63 bytes": lambda v: {"signatures": (v.signatures[0][:63], *v.signatures[1:])},
    "a signature of 65 bytes": lambda v: {"signatures": (v.signatures[0] + b"\0", *v.signatures[1:])},
    "the base signature of another": lambda v: {"base_signature": v.signatures[0]},
    "the base signature in DER": lambda v: {"base_signature": der(v.base_signature)},
    "a base signature of 63 bytes": lambda v: {"base_signature": v.base_signature[:63]},
    "an empty base signature": lambda _: {"base_signature": b""},
    "the key of a thief": lambda _: {"public_key": public_key(THIEF).multicodec_bytes},
    "a key of 36 bytes": lambda v: {"public_key": v.public_key + b"\0"},
    "a key of 34 bytes": lambda v: {"public_key": v.public_key[:-1]},
    "a key without its prefix": lambda v: {"public_key": v.public_key[2:]},
    "a key that is no point": lambda v: {"public_key": v.public_key[:2] + b"\x02" + b"\xff" * 32},
    "an Ed25519 key in 35 bytes": lambda _: {"public_key": encode_varint(0xED) + bytes(33)},
    "a secp256k1 key": lambda v: {"public_key": encode_varint(0xE7) + v.public_key[2:]},
}


@pytest.mark.parametrize("change", PROOF_CHANGES.values(), ids=PROOF_CHANGES)
def test_any_change_to_a_derived_proof_is_noticed(
    shown: Document, change: Callable[[DerivedProof], Document]
) -> None:
    value = parse_derived_proof(proofs_of(shown)[0])
    assert changed(shown) == shown
    with pytest.raises((NotVerified, Malformed)) as caught:
        verify(changed(shown, **change(value)))
    assert caught.value.problem.type in (
        problem.PROOF_VERIFICATION_ERROR,
        problem.INVALID_VERIFICATION_METHOD,
    )


def test_a_thief_who_signs_statements_with_a_key_of_his_own_needs_the_issuer(shown: Document) -> None:
    value = parse_derived_proof(proofs_of(shown)[0])
    statements = label_statements(unsecured(shown), lambda _: value.labels, CANONICALIZER)
    _, others = statements.split(value.mandatory_indexes)
    signatures = tuple(es256(THIEF, text.encode()) for text in others)
    with pytest.raises(NotVerified):
        verify(changed(shown, signatures=signatures, public_key=public_key(THIEF).multicodec_bytes))


def test_the_key_of_a_proof_is_of_p256_even_where_the_issuer_signed_another(shown: Document) -> None:
    value = parse_derived_proof(proofs_of(shown)[0])
    statements = label_statements(unsecured(shown), lambda _: value.labels, CANONICALIZER)
    mandatory, others = statements.split(value.mandatory_indexes)
    options = {name: member for name, member in shown["proof"][0].items() if name != "proofValue"}
    config = CANONICALIZER.nquads({"@context": shown["@context"], **options}).encode()
    hashed = [hashlib.sha256(data).digest() for data in (config, "".join(mandatory).encode())]

    def with_key(key: PublicKey, sign: Callable[[bytes], bytes]) -> Document:
        return changed(
            shown,
            public_key=key.multicodec_bytes,
            base_signature=es256(ISSUER, hashed[0] + key.multicodec_bytes + hashed[1]),
            signatures=tuple(sign(text.encode()) for text in others),
        )

    secp256k1 = Secp256k1Signer(THIEF)
    verify(with_key(public_key(THIEF), lambda message: es256(THIEF, message)))
    with pytest.raises(Malformed):
        verify(with_key(secp256k1.public_key, secp256k1.sign))


def test_statements_of_another_credential_of_the_same_issuer_do_not_fit(shown: Document) -> None:
    disclosure = Disclosure(MANDATORY, HMAC_KEY, OTHER)
    document = {**DOCUMENT, "credentialSubject": {**DOCUMENT["credentialSubject"], "givenName": "Joan"}}
    prepared = prepare_proof(document, OPTIONS, CANONICALIZER, disclosure=disclosure)
    other = derive(prepared.finish(es256(ISSUER, prepared.message)), *SHOWN)
    verify(other)
    mixed = changed(shown, signatures=parse_derived_proof(proofs_of(other)[0]).signatures)
    mixed["credentialSubject"]["givenName"] = "Joan"
    with pytest.raises(NotVerified):
        verify(mixed)


def test_two_objects_that_collide_under_one_label_are_not_one_statement() -> None:
    document = {**DOCUMENT, "evidence": [{"type": "Evidence"}, {"type": "Evidence", "name": "exam"}]}
    found = derive(issue(document), "/evidence/0", "/evidence/1")
    verify(found)
    value = parse_derived_proof(proofs_of(found)[0])
    for first in value.labels:
        for second in value.labels:
            if first != second:
                with pytest.raises(Malformed):
                    verify(changed(found, labels={**value.labels, first: value.labels[second]}))


# The encoding of proof values -------------------------------------------------------------------------------


def items_of(document: Document) -> list[Any]:
    items = decode_cbor(decode_multibase(document["proof"][0]["proofValue"])[3:])
    assert isinstance(items, list)
    return items


def encoded(items: list[Any]) -> str:
    return encode_multibase(b"\xd9\x5d\x01" + encode_cbor(items), "u")


ENCODINGS: dict[str, Callable[[list[Any]], str]] = {
    "four items": lambda i: encoded(i[:4]),
    "six items": lambda i: encoded([*i, None]),
    "a map of items": lambda i: encode_multibase(b"\xd9\x5d\x01" + encode_cbor(dict(enumerate(i))), "u"),
    "base58btc": lambda i: encode_multibase(decode_multibase(encoded(i)), "z"),
    "no multibase letter": lambda i: encoded(i)[1:],
    "base64url with padding": lambda i: encoded(i) + "=",
    "white space": lambda i: encoded(i) + " ",
    "the header of a base proof": lambda i: encode_multibase(b"\xd9\x5d\x00" + encode_cbor(i), "u"),
    "the header of bbs-2023": lambda i: encode_multibase(b"\xd9\x5d\x03" + encode_cbor(i), "u"),
    "no header": lambda i: encode_multibase(encode_cbor(i), "u"),
    "half a header": lambda _: encode_multibase(b"\xd9\x5d", "u"),
    "a header alone": lambda _: encode_multibase(b"\xd9\x5d\x01", "u"),
    "a tag": lambda i: encode_multibase(b"\xd9\x5d\x01" + b"\x85\xd8\x40" + encode_cbor(i)[1:], "u"),
    "a byte more": lambda i: encode_multibase(b"\xd9\x5d\x01" + encode_cbor(i) + b"\0", "u"),
    "a byte less": lambda i: encode_multibase(b"\xd9\x5d\x01" + encode_cbor(i)[:-1], "u"),
    "an array of indefinite length": lambda i: encode_multibase(
        b"\xd9\x5d\x01\x9f" + encode_cbor(i)[1:] + b"\xff", "u"
    ),
    "a length that is not the shortest": lambda i: encode_multibase(
        b"\xd9\x5d\x01\x98\x05" + encode_cbor(i)[1:], "u"
    ),
    "a base signature as text": lambda i: encoded(["a" * 64, *i[1:]]),
    "signatures that are no array": lambda i: encoded([*i[:2], b"".join(i[2]), *i[3:]]),
    "a signature as text": lambda i: encoded([*i[:2], ["a" * 64, *i[2][1:]], *i[3:]]),
    "labels that are no map": lambda i: encoded([*i[:3], list(i[3].values()), i[4]]),
    "labels with text keys": lambda i: encoded([*i[:3], {f"c14n{k}": v for k, v in i[3].items()}, i[4]]),
    "labels with a negative key": lambda i: encoded([*i[:3], {**i[3], -1: i[3][0]}, i[4]]),
    "labels as text": lambda i: encoded(
        [*i[:3], {k: "u" + encode_base64url(v) for k, v in i[3].items()}, i[4]]
    ),
    "indexes that are no array": lambda i: encoded([*i[:4], {0: 0}]),
    "indexes as text": lambda i: encoded([*i[:4], [str(index) for index in i[4]]]),
    "an index that is true": lambda i: encoded([*i[:4], [True, *i[4][1:]]]),
}


@pytest.mark.parametrize("encoding", ENCODINGS.values(), ids=ENCODINGS)
def test_a_proof_value_has_one_form(shown: Document, encoding: Callable[[list[Any]], str]) -> None:
    items = items_of(shown)
    assert encoded(items) == shown["proof"][0]["proofValue"]
    shown["proof"][0]["proofValue"] = encoding(items)
    with pytest.raises(BonafidesError) as caught:
        verify(shown)
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


@pytest.mark.parametrize("value", [None, "u", "u2V0", "u2V0B"], ids=str)
def test_a_proof_without_a_value_is_malformed(shown: Document, value: str | None) -> None:
    shown["proof"][0]["proofValue"] = value
    if value is None:
        del shown["proof"][0]["proofValue"]
    with pytest.raises(Malformed):
        verify(shown)
    if value != "u2V0B":
        with pytest.raises(Malformed):
            EcdsaSd2023().is_base(parse_proof(shown["proof"][0]))


# Making and deriving proofs ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "disclosure",
    [
        None,
        Disclosure(MANDATORY, b"", PROOF_KEY),
        Disclosure(MANDATORY, HMAC_KEY[1:], PROOF_KEY),
        Disclosure(MANDATORY, HMAC_KEY),
        Disclosure(MANDATORY, HMAC_KEY, b"\0" + PROOF_KEY),
        Disclosure(MANDATORY, HMAC_KEY, bytes(32)),
        Disclosure(MANDATORY, HMAC_KEY, ORDER.to_bytes(32, "big")),
        Disclosure(("/nothing",), HMAC_KEY, PROOF_KEY),
    ],
    ids=[
        "none",
        "no HMAC key",
        "short HMAC key",
        "no key",
        "long key",
        "key of zero",
        "key of the order",
        "pointer",
    ],
)
def test_a_base_proof_is_not_made_without_good_secrets(disclosure: Disclosure | None) -> None:
    with pytest.raises(Malformed) as caught:
        prepare_proof(DOCUMENT, OPTIONS, CANONICALIZER, disclosure=disclosure)
    assert caught.value.problem.type == problem.PROOF_GENERATION_ERROR


def test_a_base_proof_builds_on_no_other_and_is_of_p256() -> None:
    disclosure = Disclosure(MANDATORY, HMAC_KEY, PROOF_KEY)
    with pytest.raises(Malformed):
        prepare_proof(DOCUMENT, OPTIONS, CANONICALIZER, disclosure=disclosure, key_kind=KeyKind.P384)
    chained = issue(id="urn:a")
    with pytest.raises(Malformed):
        prepare_proof(chained, {**OPTIONS, "previousProof": "urn:a"}, CANONICALIZER, disclosure=disclosure)
    prepared = prepare_proof(DOCUMENT, OPTIONS, CANONICALIZER, disclosure=disclosure)
    with pytest.raises(Malformed):
        prepared.finish(bytes(63))


def test_as_many_statements_have_signatures_as_anybody_verifies(monkeypatch: pytest.MonkeyPatch) -> None:
    signatures = len(parse_base_proof(proofs_of(issue())[0]).signatures)
    monkeypatch.setattr(ecdsa_sd_2023, "MAX_SIGNATURES", signatures)
    enough, dated = issue(), issue(created="2026-01-01T00:00:00Z")
    verify(derive(enough, ""))
    shown = derive(dated, "")
    monkeypatch.setattr(ecdsa_sd_2023, "MAX_SIGNATURES", signatures - 1)
    with pytest.raises(Malformed) as caught:
        issue()
    assert caught.value.problem.type == problem.PROOF_GENERATION_ERROR
    with pytest.raises(Malformed, match="at most"):
        parse_base_proof(proofs_of(enough)[0])
    with pytest.raises(Malformed, match="at most"):
        verify(shown)


def test_suites_without_selective_disclosure_take_none() -> None:
    options = {**OPTIONS, "cryptosuite": "eddsa-rdfc-2022"}
    with pytest.raises(Malformed):
        prepare_proof(DOCUMENT, options, CANONICALIZER, disclosure=Disclosure((), HMAC_KEY))
    secured = prepare_proof(DOCUMENT, options, CANONICALIZER).finish(bytes(64))
    assert selective_suite_of(proofs_of(secured)[0]) is None
    with pytest.raises(Malformed):
        derive(secured, "/issuer")


def test_nothing_is_derived_from_a_derived_proof(shown: Document) -> None:
    with pytest.raises(Malformed) as caught:
        derive(shown, "/issuer")
    assert caught.value.problem.type == problem.PROOF_GENERATION_ERROR


def test_nothing_is_derived_without_a_selection() -> None:
    with pytest.raises(Malformed):
        derive(issue(mandatory=()))


@pytest.mark.parametrize("pointer", ["/nothing", "issuer", "/evidence/2", "/evidence/00", "/evidence/-"])
def test_nothing_is_derived_for_a_pointer_to_nothing(base: Document, pointer: str) -> None:
    with pytest.raises(Malformed):
        derive(base, pointer)


def test_a_presentation_header_is_for_other_suites(base: Document) -> None:
    with pytest.raises(Malformed):
        derive_proof(base, proofs_of(base)[0], SHOWN, CANONICALIZER, presentation_header=b"nonce")


BASE_CHANGES: dict[str, Callable[[BaseProof], Document]] = {
    "a signature too many": lambda v: {"signatures": (*v.signatures, v.signatures[0])},
    "a signature too few": lambda v: {"signatures": v.signatures[:-1]},
    "an HMAC key of 31 bytes": lambda v: {"hmac_key": v.hmac_key[:31]},
    "a pointer to nothing": lambda _: {"mandatory_pointers": ("/nothing",)},
    "a pointer that is a number": lambda _: {"mandatory_pointers": (0,)},
    "other pointers": lambda _: {"mandatory_pointers": ("/issuer",)},
}


@pytest.mark.parametrize("change", BASE_CHANGES.values(), ids=BASE_CHANGES)
def test_nothing_is_derived_from_a_broken_base_proof(
    base: Document, change: Callable[[BaseProof], Document]
) -> None:
    broken = copy.deepcopy(base)
    value = replace(parse_base_proof(proofs_of(base)[0]), **change(parse_base_proof(proofs_of(base)[0])))
    broken["proof"][0]["proofValue"] = encode_base_proof(value)
    with pytest.raises(Malformed):
        derive(broken, *SHOWN)


def test_the_key_of_a_proof_is_an_ordinary_p256_key(base: Document) -> None:
    key = parse_multicodec_key(parse_base_proof(proofs_of(base)[0]).public_key)
    assert key == public_key(PROOF_KEY)


# Many cases -------------------------------------------------------------------------------------------------


def pointers_into(value: Any, pointer: str = "") -> list[str]:
    found = [pointer] if pointer else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, member in items:
        if step != "@context":
            found += pointers_into(member, f"{pointer}/{step}")
    return found


POINTERS = st.lists(st.sampled_from(pointers_into(DOCUMENT)), max_size=6).map(tuple)


@settings(max_examples=40, deadline=None)
@given(POINTERS, POINTERS)
def test_any_selection_is_shown_and_verifies(mandatory: tuple[str, ...], chosen: tuple[str, ...]) -> None:
    if not mandatory + chosen:
        return
    found = derive(issue(mandatory=mandatory), *chosen)
    verify(found)
    assert unsecured(found) == select(mandatory + chosen, DOCUMENT)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_byte_of_a_proof_value_can_be_changed(data: st.DataObject) -> None:
    found = derive(ISSUED, *SHOWN)
    value = bytearray(decode_multibase(found["proof"][0]["proofValue"]))
    place = data.draw(st.integers(0, len(value) - 1))
    value[place] ^= data.draw(st.integers(1, 255))
    found["proof"][0]["proofValue"] = encode_multibase(bytes(value), "u")
    with pytest.raises(BonafidesError):
        verify(found)


ISSUED = issue()
