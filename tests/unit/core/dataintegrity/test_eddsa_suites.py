from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nacl.signing
import pytest
from fixtures.published import examples_canonicalizer, published_canonicalizer
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core import problem
from node.core.canonical.contexts import ContextNotPinned
from node.core.canonical.jcs import canonicalize
from node.core.dataintegrity import (
    SUITES,
    HashData,
    Proof,
    UnknownSuite,
    parse_proof,
    prepare_proof,
    previous_proofs,
    proofs_of,
    signs_rdf,
    unsecured,
    verify_domain,
    verify_expiry,
    verify_proof,
    verify_purpose,
)
from node.core.dataintegrity.hash_suite import HashSuite
from node.core.encoding import decode_multibase, encode_base58btc, encode_multibase
from node.core.errors import BonafidesError, Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey, parse_multikey

Document = dict[str, Any]
V2 = "https://www.w3.org/ns/credentials/v2"
CANONICALIZER = examples_canonicalizer()
BOTH = ["eddsa-jcs-2022", "eddsa-rdfc-2022"]
NOW = datetime(2026, 6, 1, tzinfo=UTC)


def load(path: Path) -> Document:
    value: Document = json.loads(path.read_text())
    return value


def key_of(proof: Proof) -> PublicKey:
    return parse_multikey(proof.verification_method.partition("#")[2])


# Published vectors ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suite", "folder", "ending", "document", "kind"),
    [
        ("eddsa-rdfc-2022", "eddsa-rdfc-2022", "DataInt", "unsigned.json", "txt"),
        ("eddsa-jcs-2022", "eddsa-jcs-2022", "JCS", "unsigned.json", "txt"),
    ],
    ids=BOTH[::-1],
)
def test_published_vector_with_its_intermediate_values(
    vectors: Path, suite: str, folder: str, ending: str, document: str, kind: str
) -> None:
    base = vectors / "di-eddsa"
    config = load(base / folder / f"proofConfig{ending}.json")
    keys = load(base / "keyPair.json")
    options = {name: value for name, value in config.items() if name != "@context"}
    prepared = prepare_proof(load(base / document), options, CANONICALIZER)

    def text(name: str) -> str:
        return (base / folder / f"{name}{ending}.{kind}").read_text()

    assert isinstance(prepared.data, HashData)
    assert prepared.data.document.decode() == text("canonDoc")
    assert prepared.data.proof_config.decode() == text("proofCanon")
    assert hashlib.sha256(prepared.data.proof_config).hexdigest() == text("proofHash").strip()
    assert hashlib.sha256(prepared.data.document).hexdigest() == text("docHash").strip()
    assert prepared.message.hex() == text("combinedHash").strip()
    seed = decode_multibase(keys["privateKeyMultibase"], "z")[2:]
    signature = nacl.signing.SigningKey(seed).sign(prepared.message).signature
    assert signature.hex() == text("sigHex").strip()
    assert encode_multibase(signature) == text("sigBTC58").strip()
    signed = load(base / folder / f"signed{ending}.json")
    secured = prepared.finish(signature)
    assert secured == {**signed, "proof": [signed["proof"]]}
    for one in (signed, secured):
        verify_proof(one, proofs_of(one)[0], parse_multikey(keys["publicKeyMultibase"]), CANONICALIZER)


def test_published_employment_vector_whose_context_is_not_pinned(vectors: Path) -> None:
    folder = vectors / "di-eddsa" / "eddsa-rdfc-2022" / "employ"

    def text(name: str) -> str:
        return (folder / f"{name}DataInt.txt").read_text().strip()

    signed, config = load(folder / "signedDataInt.json"), load(folder / "proofConfigDataInt.json")
    options = {name: value for name, value in config.items() if name != "@context"}
    unsigned = load(vectors / "di-eddsa" / "employmentAuth.json")
    data = prepare_proof(unsigned, options, published_canonicalizer()).data
    assert isinstance(data, HashData)
    assert data.document.decode() == (folder / "canonDocDataInt.txt").read_text()
    assert data.proof_config.decode() == (folder / "proofCanonDataInt.txt").read_text()
    assert hashlib.sha256(data.document).hexdigest() == text("docHash")
    assert hashlib.sha256(data.proof_config).hexdigest() == text("proofHash")
    message = hashlib.sha256(data.proof_config).digest() + hashlib.sha256(data.document).digest()
    assert message.hex() == text("combinedHash")
    proof = proofs_of(signed)[0]
    assert proof.proof_value == text("sigBTC58")
    assert decode_multibase(proof.proof_value).hex() == text("sigHex")
    assert unsecured(signed) == unsigned
    verify_proof(signed, proof, key_of(proof), published_canonicalizer())
    with pytest.raises(ContextNotPinned):
        verify_proof(signed, proof, key_of(proof), CANONICALIZER)


def verify_every(document: Document, key_of: Callable[[Proof], PublicKey]) -> None:
    proofs = proofs_of(document)
    for proof in proofs:
        verify_proof(document, proof, key_of(proof), CANONICALIZER, verified=proofs)


@pytest.mark.parametrize(
    ("name", "proofs"), [("ProofSet1", 1), ("ProofSet2", 2), ("ProofChain1", 3), ("ProofChain2", 4)]
)
def test_published_proof_sets_and_chains(vectors: Path, name: str, proofs: int) -> None:
    document = load(vectors / "di-eddsa" / "proof-set-chain" / f"signed{name}.json")
    assert len(proofs_of(document)) == proofs
    verify_every(document, key_of)


def test_a_proof_that_stands_in_a_set_again_is_not_verified_again(vectors: Path) -> None:
    document = load(vectors / "di-eddsa" / "proof-set-chain" / "signedProofSet2.json")
    first, last = ({name: value for name, value in one.items() if name != "id"} for one in document["proof"])
    again = {**document, "proof": [first, dict(reversed(first.items())), last, first]}
    assert [one.raw for one in proofs_of(again)] == [first, last]
    other = {**first, "nonce": "1"}
    assert [one.raw for one in proofs_of({**document, "proof": [first, other]})] == [first, other]


@pytest.mark.parametrize("step", ["ProofSetConfig", "ProofChainConfig"])
@pytest.mark.parametrize("number", [1, 2])
def test_published_steps_of_sets_and_chains_are_made_alike(vectors: Path, step: str, number: int) -> None:
    folder = vectors / "di-eddsa" / "proof-set-chain"
    name = step[0].lower() + step[1:]
    config = load(folder / f"{name}{number}.json")
    expected = load(folder / f"{name}Signed{number}.json")
    keys = {
        pair["publicKeyMultibase"]: pair["privateKeyMultibase"]
        for pair in load(folder / "multiKeyPairs.json").values()
    }
    if step == "ProofSetConfig":
        document = load(folder / "unsigned.json" if number == 1 else folder / "signedProofSet1.json")
    else:
        document = load(folder / ("signedProofSet2.json" if number == 1 else "signedProofChain1.json"))
    config.pop("@context", None)
    prepared = prepare_proof(document, config, CANONICALIZER)
    if step == "ProofChainConfig":
        before = load(folder / f"proofChainTempDoc{number}.json")
        assert isinstance(prepared.data, HashData)
        assert prepared.data.document.decode() == CANONICALIZER.nquads(before)
    seed = decode_multibase(keys[config["verificationMethod"].partition("#")[2]])[2:]
    secured = prepared.finish(nacl.signing.SigningKey(seed).sign(prepared.message).signature)
    assert secured["proof"][-1] == {name: value for name, value in expected.items() if name != "@context"}


# Round trips and refusals -----------------------------------------------------------------------------------

SIGNER = nacl.signing.SigningKey(b"\x07" * 32)
KEY = PublicKey(KeyKind.ED25519, bytes(SIGNER.verify_key))
OTHER = PublicKey(KeyKind.ED25519, bytes(nacl.signing.SigningKey(b"\x08" * 32).verify_key))
METHOD = f"did:key:{KEY.multibase}#{KEY.multibase}"
DOCUMENT: Document = {
    "@context": [V2],
    "id": "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7a11",
    "type": ["VerifiableCredential"],
    "issuer": METHOD.partition("#")[0],
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:s"},
}


def options(suite: str, **more: Any) -> Document:
    return {"cryptosuite": suite, "verificationMethod": METHOD, "proofPurpose": "assertionMethod", **more}


def sign(document: Document, suite: str, **more: Any) -> Document:
    prepared = prepare_proof(document, options(suite, **more), CANONICALIZER)
    return prepared.finish(SIGNER.sign(prepared.message).signature)


def verify(document: Document, key: PublicKey = KEY) -> None:
    verify_proof(document, proofs_of(document)[-1], key, CANONICALIZER)


@pytest.mark.parametrize("suite", BOTH)
def test_what_is_secured_verifies_and_the_input_is_left_alone(suite: str) -> None:
    before = copy.deepcopy(DOCUMENT)
    secured = sign(
        DOCUMENT, suite, created="2026-01-01T00:00:00Z", nonce="n", domain=["a", "b"], challenge="c"
    )
    verify(secured)
    assert before == DOCUMENT == unsecured(secured)
    assert [signs_rdf(proof) for proof in proofs_of(secured)] == [suite == "eddsa-rdfc-2022"]


CHANGES: dict[str, Callable[[Document], None]] = {
    "a member": lambda d: d.update(validFrom="2026-01-02T00:00:00Z"),
    "a new member": lambda d: d.update(validUntil="2026-01-02T00:00:00Z"),
    "a missing member": lambda d: d.pop("validFrom"),
    "purpose": lambda d: d["proof"][0].update(proofPurpose="authentication"),
    "method": lambda d: d["proof"][0].update(verificationMethod=METHOD + "x"),
    "created": lambda d: d["proof"][0].update(created="2026-01-01T00:00:01Z"),
    "new expires": lambda d: d["proof"][0].update(expires="2036-01-01T00:00:01Z"),
    "challenge": lambda d: d["proof"][0].update(challenge="d"),
    "no domain": lambda d: d["proof"][0].pop("domain"),
    "other suite": lambda d: d["proof"][0].update(
        cryptosuite=BOTH[1 - BOTH.index(d["proof"][0]["cryptosuite"])]
    ),
}


@pytest.mark.parametrize("suite", BOTH)
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_change_is_noticed(suite: str, change: Callable[[Document], None]) -> None:
    secured = sign(DOCUMENT, suite, created="2026-01-01T00:00:00Z", challenge="c", domain="x")
    change(secured)
    with pytest.raises((NotVerified, Malformed)):
        verify(secured)


@pytest.mark.parametrize("suite", BOTH)
def test_another_key_does_not_verify(suite: str) -> None:
    with pytest.raises(NotVerified) as caught:
        verify(sign(DOCUMENT, suite), OTHER)
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


@pytest.mark.parametrize("suite", BOTH)
def test_a_key_of_another_kind_is_refused(suite: str) -> None:
    p256 = parse_multikey("zDnaerx9CtbPJ1q36T5Ln5wYt3MQYeGRG5ehnPAmxcf5mDZpv")
    with pytest.raises(NotVerified, match="P-256"):
        verify(sign(DOCUMENT, suite), p256)


def other_spellings(value: str) -> dict[str, str]:
    signature = decode_multibase(value)
    order = 2**252 + 27742317777372353535851937790883648493
    high_s = signature[:32] + (int.from_bytes(signature[32:], "little") + order).to_bytes(32, "little")
    return {
        "base64url": encode_multibase(signature, "u"),
        "no multibase letter": value[1:],
        "leading one": "z1" + value[1:],
        "white space": value + " ",
        "longer": "z" + encode_base58btc(signature + b"\x01"),
        "shorter": "z" + encode_base58btc(signature[:63]),
        "S not canonical": encode_multibase(high_s),
        "other R": encode_multibase(bytes(32) + signature[32:]),
        "small order R": encode_multibase(b"\x01" + bytes(63)),
        "empty multibase": "z",
    }


@pytest.mark.parametrize("suite", BOTH)
@pytest.mark.parametrize("spelling", sorted(other_spellings("z" + "2" * 86)))
def test_a_signature_has_one_spelling(suite: str, spelling: str) -> None:
    secured = sign(DOCUMENT, suite)
    secured["proof"][0]["proofValue"] = other_spellings(secured["proof"][0]["proofValue"])[spelling]
    with pytest.raises((NotVerified, Malformed)):
        verify(secured)


@pytest.mark.parametrize("length", [0, 63, 65, 128])
def test_a_signature_of_another_length_is_malformed(length: int) -> None:
    secured = sign(DOCUMENT, "eddsa-jcs-2022")
    secured["proof"][0]["proofValue"] = encode_multibase(bytes(length))
    with pytest.raises(Malformed, match="expected a signature of 64 bytes"):
        verify(secured)


@pytest.mark.parametrize(
    "proof",
    [
        {"type": "Ed25519Signature2020"},
        {"type": "Ed25519Signature2020", "cryptosuite": "eddsa-jcs-2022"},
        {"cryptosuite": "eddsa-2021"},
        {"cryptosuite": "unheard-of-2030"},
    ],
)
def test_suites_that_are_not_built_decide_nothing(proof: Document) -> None:
    secured = sign(DOCUMENT, "eddsa-jcs-2022")
    secured["proof"][0].update(proof)
    with pytest.raises(UnknownSuite):
        verify(secured)


def test_a_proof_of_another_document_is_refused() -> None:
    secured = sign(DOCUMENT, "eddsa-jcs-2022")
    with pytest.raises(NotVerified):
        verify_proof(unsecured(secured), proofs_of(secured)[0], KEY, CANONICALIZER)


# eddsa-jcs-2022: contexts -----------------------------------------------------------------------------------


def test_jcs_proof_names_the_contexts_and_later_ones_may_be_appended() -> None:
    secured = sign(DOCUMENT, "eddsa-jcs-2022")
    assert secured["proof"][0]["@context"] == [V2]
    secured["@context"] = [V2, "https://example.org/later/v1"]
    verify(secured)


@pytest.mark.parametrize(
    "contexts", [[], ["urn:a", V2], "urn:a", None], ids=["none", "before", "other", "absent"]
)
def test_jcs_contexts_of_the_document_begin_with_those_of_the_proof(contexts: object) -> None:
    secured = sign(DOCUMENT, "eddsa-jcs-2022")
    if contexts is None:
        secured.pop("@context")
    else:
        secured["@context"] = contexts
    with pytest.raises(NotVerified):
        verify(secured)


def test_jcs_proof_without_contexts_covers_the_contexts_as_they_are() -> None:
    config = {"type": "DataIntegrityProof", **options("eddsa-jcs-2022")}
    suite = SUITES["eddsa-jcs-2022"]
    assert isinstance(suite, HashSuite)
    data = suite.hash_data(DOCUMENT, config, CANONICALIZER)
    assert data.document == canonicalize(DOCUMENT)
    value = encode_multibase(SIGNER.sign(data.message).signature)
    secured = {**DOCUMENT, "proof": {**config, "proofValue": value}}
    verify(secured)
    with pytest.raises(NotVerified):
        verify({**secured, "@context": [V2, "urn:later"]})


def test_jcs_secures_a_document_without_contexts() -> None:
    secured = sign({"a": 1}, "eddsa-jcs-2022")
    assert "@context" not in secured["proof"][0]
    verify(secured)


def test_jcs_keeps_members_of_a_proof_that_it_does_not_know() -> None:
    verify(sign(DOCUMENT, "eddsa-jcs-2022", extension={"x": 1}))


# eddsa-rdfc-2022: the proof itself is RDF ------------------------------------------------------------------

SEC = "https://w3id.org/security#"


@pytest.mark.parametrize(
    "rename",
    [
        ("expires", SEC + "expiration", {"@type": "http://www.w3.org/2001/XMLSchema#dateTime"}),
        ("challenge", SEC + "challenge", {}),
        ("domain", SEC + "domain", {}),
    ],
    ids=lambda rename: rename[0],
)
def test_rdfc_proof_members_renamed_to_their_iri_are_refused(rename: tuple[str, str, Document]) -> None:
    member, iri, typed = rename
    secured = sign(DOCUMENT, "eddsa-rdfc-2022", expires="2026-02-01T00:00:00Z", challenge="c", domain="d")
    proof = secured["proof"][0]
    proof[iri] = {"@value": proof.pop(member), **typed}
    with pytest.raises(Malformed):
        verify(secured)


@pytest.mark.parametrize("member", ["@context", "@id", "@type", "jws", "extension"])
def test_rdfc_proof_has_no_other_members(member: str) -> None:
    secured = sign(DOCUMENT, "eddsa-rdfc-2022")
    secured["proof"][0][member] = [V2]
    with pytest.raises(Malformed):
        verify(secured)


def test_a_document_without_contexts_has_no_statements_to_sign() -> None:
    with pytest.raises(Malformed, match="@context"):
        sign({name: value for name, value in DOCUMENT.items() if name != "@context"}, "eddsa-rdfc-2022")


def test_rdfc_refuses_to_sign_what_would_be_lost() -> None:
    with pytest.raises(Malformed) as caught:
        sign({**DOCUMENT, "unheardOf": 1}, "eddsa-rdfc-2022")
    assert caught.value.problem.type == problem.DATA_LOSS_DETECTION_ERROR


def test_version_1_1_needs_the_data_integrity_context() -> None:
    document = {
        "@context": ["https://www.w3.org/2018/credentials/v1", "https://w3id.org/security/data-integrity/v2"],
        "id": "urn:uuid:1",
        "type": ["VerifiableCredential"],
        "issuer": "did:example:i",
        "issuanceDate": "2026-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:s"},
    }
    verify(sign(document, "eddsa-rdfc-2022"))
    with pytest.raises(Malformed):
        sign({**document, "@context": document["@context"][:1]}, "eddsa-rdfc-2022")


# Sets and chains --------------------------------------------------------------------------------------------


def chained(suite: str) -> Document:
    first = sign(DOCUMENT, suite, id="urn:uuid:a")
    second = sign(first, suite, id="urn:uuid:b")
    return sign(second, suite, id="urn:uuid:c", previousProof=["urn:uuid:a", "urn:uuid:b"])


@pytest.mark.parametrize("suite", BOTH)
def test_a_chain_verifies_where_all_that_it_builds_on_does(suite: str) -> None:
    verify_every(chained(suite), lambda _: KEY)


def test_two_proofs_may_build_on_one() -> None:
    document = sign(DOCUMENT, "eddsa-jcs-2022", id="urn:uuid:a")
    document = sign(document, "eddsa-jcs-2022", id="urn:uuid:b", previousProof="urn:uuid:a")
    verify_every(sign(document, "eddsa-jcs-2022", previousProof=["urn:uuid:a", "urn:uuid:b"]), lambda _: KEY)


@pytest.mark.parametrize("suite", BOTH)
def test_a_proof_is_not_verified_before_those_that_it_builds_on(suite: str) -> None:
    document = chained(suite)
    with pytest.raises(NotVerified, match="builds on"):
        verify(document)
    last = proofs_of(document)[-1]
    verify_proof(document, last, KEY, CANONICALIZER, verified=previous_proofs(document, last))


BREAKS: dict[str, Callable[[list[Document]], None]] = {
    "a referenced proof is missing": lambda proofs: proofs.pop(0),
    "a referenced proof is changed": lambda proofs: proofs[0].update(proofValue=proofs[1]["proofValue"]),
    "another proof is referenced": lambda proofs: proofs[2].update(previousProof="urn:uuid:a"),
    "nothing is referenced": lambda proofs: proofs[2].pop("previousProof"),
    "a circle": lambda proofs: proofs[0].update(previousProof="urn:uuid:c"),
    "itself": lambda proofs: proofs[2].update(previousProof="urn:uuid:c"),
    "an unknown id": lambda proofs: proofs[2].update(previousProof=["urn:uuid:a", "urn:uuid:d"]),
}


@pytest.mark.parametrize("suite", BOTH)
@pytest.mark.parametrize("change", BREAKS.values(), ids=BREAKS)
def test_a_broken_chain_is_not_verified(suite: str, change: Callable[[list[Document]], None]) -> None:
    document = chained(suite)
    change(document["proof"])
    with pytest.raises(NotVerified):
        verify_every(document, lambda _: KEY)


def test_a_chain_to_a_proof_that_is_not_there_cannot_be_made() -> None:
    with pytest.raises(NotVerified):
        sign(DOCUMENT, "eddsa-jcs-2022", previousProof="urn:uuid:a")


def test_an_id_is_not_given_twice() -> None:
    with pytest.raises(Malformed):
        sign(sign(DOCUMENT, "eddsa-jcs-2022", id="urn:uuid:a"), "eddsa-jcs-2022", id="urn:uuid:a")


# The proof object -------------------------------------------------------------------------------------------

PROOF: Document = {
    "type": "DataIntegrityProof",
    "cryptosuite": "eddsa-jcs-2022",
    "verificationMethod": "did:example:i#k",
    "proofPurpose": "assertionMethod",
    "proofValue": "z1",
}


@pytest.mark.parametrize(
    "change",
    [
        {"type": None}, {"type": ["DataIntegrityProof"]}, {"cryptosuite": None}, {"cryptosuite": 1}, {"id": []},
        {"verificationMethod": None}, {"verificationMethod": {}}, {"proofPurpose": None}, {"nonce": 1},
        {"proofValue": 1}, {"proofValue": ""}, {"created": "2026-01-01"}, {"created": "yesterday"}, {"expires": 1},
        {"domain": []}, {"domain": ["a", 1]}, {"domain": ["a", "a"]}, {"challenge": ["a"]}, {"previousProof": {}},
        {"previousProof": []},
    ],
    ids=str,
)  # fmt: skip
def test_a_proof_that_breaks_its_format_is_malformed(change: Document) -> None:
    value = {name: value for name, value in {**PROOF, **change}.items() if value is not None}
    with pytest.raises(Malformed):
        parse_proof(value)


@pytest.mark.parametrize(
    "value", [None, [], "proof", [PROOF, 1], [{**PROOF, "id": "urn:a"}] * 2, [PROOF] * 17]
)
def test_a_proof_member_that_breaks_its_format_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        proofs_of({"proof": value})


def test_a_document_without_proof_has_none() -> None:
    assert proofs_of({}) == ()


@pytest.mark.parametrize(
    "change",
    [
        {"created": "2026-01-01T00:00:00"}, {"expires": "2026-01-01"}, {"proofValue": "z1"}, {"@context": []},
        {"verificationMethod": None}, {"proofPurpose": None},
    ],
    ids=str,
)  # fmt: skip
def test_options_that_make_no_proof_are_refused(change: Document) -> None:
    given_options = {**options("eddsa-jcs-2022"), **change}
    with pytest.raises(Malformed):
        prepare_proof(DOCUMENT, {k: v for k, v in given_options.items() if v is not None}, CANONICALIZER)


def test_a_moment_without_offset_is_read_as_utc() -> None:
    assert parse_proof({**PROOF, "created": "2026-06-01T00:00:00"}).created == NOW


@pytest.mark.parametrize(
    ("expires", "sound"),
    [
        (None, True),
        ("2026-06-01T00:00:01Z", True),
        ("2026-06-01T00:00:00Z", False),
        ("2026-06-01T01:00:00+01:00", False),
    ],
)
def test_the_moment_of_expires_is_already_too_late(expires: str | None, sound: bool) -> None:
    proof = parse_proof(PROOF if expires is None else {**PROOF, "expires": expires})
    if sound:
        verify_expiry(proof, NOW)
    else:
        with pytest.raises(NotVerified):
            verify_expiry(proof, NOW)


@pytest.mark.parametrize(
    ("domain", "expected", "sound"),
    [
        ("a", ["a"], True),
        (["b", "a"], ["a", "b"], True),
        ("a", ["a", "b"], False),
        (["a", "b"], ["a"], False),
        (None, ["a"], False),
    ],
)
def test_domains_are_equal_as_sets(domain: object, expected: list[str], sound: bool) -> None:
    proof = parse_proof(PROOF if domain is None else {**PROOF, "domain": domain})
    if sound:
        verify_domain(proof, expected)
        return
    with pytest.raises(NotVerified) as caught:
        verify_domain(proof, expected)
    assert caught.value.problem.type == problem.INVALID_DOMAIN_ERROR


def test_the_purpose_is_compared_exactly() -> None:
    proof = parse_proof(PROOF)
    verify_purpose(proof, "assertionMethod")
    with pytest.raises(NotVerified):
        verify_purpose(proof, "authentication")


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
MEMBERS = st.sampled_from(
    [*PROOF, "id", "created", "expires", "domain", "challenge", "previousProof", "nonce", "@context"]
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(MEMBERS, JSON_VALUES, max_size=3), st.sampled_from(BOTH))
def test_hostile_proofs_never_verify_and_raise_errors_of_ours(change: Document, suite: str) -> None:
    secured = sign(DOCUMENT, suite)
    changed = {**secured["proof"][0], **change}
    if changed == secured["proof"][0]:
        return
    with pytest.raises(BonafidesError):
        verify({**secured, "proof": changed})
