"""The validator of DID documents and the retrieval of a verification method (CID section 3.3)."""

from __future__ import annotations

import contextlib
import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core import problem
from node.core.did.document import parse_controlled_document, parse_did_document
from node.core.errors import Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey

DID = "did:web:school.example"
KEY = PublicKey(KeyKind.ED25519, bytes(range(32)))
SECP256K1 = PublicKey(
    KeyKind.SECP256K1, bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
)
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def document(**changes: Any) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/ns/did/v1", "https://w3id.org/security/multikey/v1"],
        "id": DID,
        "verificationMethod": [method()],
        "assertionMethod": [DID + "#key-1"],
    } | changes


def method(**changes: Any) -> dict[str, Any]:
    return {
        "id": DID + "#key-1",
        "type": "Multikey",
        "controller": DID,
        "publicKeyMultibase": KEY.multibase,
    } | changes


def test_method_listed_under_the_relationship_is_found_with_its_key() -> None:
    found = parse_did_document(document(), DID).method(DID + "#key-1", "assertionMethod", at=NOON)
    assert found.public_key == KEY
    assert found.raw == method()


@pytest.mark.parametrize(
    ("did_url", "changes", "purpose", "expected"),
    [
        ("key-1", {}, "assertionMethod", problem.INVALID_VERIFICATION_METHOD_URL),
        ("did:web:other.example#key-1", {}, "assertionMethod",
         problem.INVALID_CONTROLLED_IDENTIFIER_DOCUMENT_ID),
        (DID + "#key-2", {}, "assertionMethod", problem.INVALID_VERIFICATION_METHOD),
        (DID + "?a=b#key-1", {}, "assertionMethod", problem.INVALID_VERIFICATION_METHOD),
        (DID + "#key-1", {"verificationMethod": [method(controller="did:web:other.example")]},
         "assertionMethod", problem.INVALID_VERIFICATION_METHOD),
        (DID + "#key-1", {}, "authentication", problem.INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD),
        (DID + "#key-1", {}, "verificationMethod", problem.INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD),
        (DID + "#key-1", {"verificationMethod": [method(revoked="2026-01-01T12:00:00Z")]},
         "assertionMethod", problem.INVALID_VERIFICATION_METHOD),
        (DID + "#key-1", {"verificationMethod": [method(expires="2026-01-01T12:00:00Z")]},
         "assertionMethod", problem.INVALID_VERIFICATION_METHOD),
    ],
)  # fmt: skip
def test_each_step_of_the_retrieval_fails_with_its_own_type(
    did_url: str, changes: dict[str, Any], purpose: str, expected: str
) -> None:
    parsed = parse_did_document(document(**changes), DID)
    with pytest.raises(NotVerified) as caught:
        parsed.method(did_url, purpose, at=NOON)
    assert caught.value.problem.type == expected


def test_expiry_and_revocation_count_from_their_own_second_on() -> None:
    raw = document(
        verificationMethod=[method(expires="2026-01-01T12:00:01Z", revoked="2026-01-01T12:00:01Z")]
    )
    parsed = parse_did_document(raw, DID)
    assert parsed.method(DID + "#key-1", "assertionMethod", at=NOON).revoked is not None
    assert parsed.method(DID + "#key-1", "assertionMethod").expires is not None


@pytest.mark.parametrize(
    "raw",
    [
        method(),
        method(type="JsonWebKey", publicKeyJwk=KEY.to_jwk()),
        method(type="JsonWebKey2020", publicKeyJwk=KEY.to_jwk()),
        method(type="Ed25519VerificationKey2020"),
        method(type="EcdsaSecp256k1VerificationKey2019", publicKeyHex=SECP256K1.raw.hex()),
        method(type="EcdsaSecp256k1VerificationKey2019", publicKeyJwk=SECP256K1.to_jwk()),
    ],
    ids=lambda raw: f"{raw['type']} {sorted(raw)[-2]}",
)
def test_keys_are_read_from_every_form_that_is_spoken(raw: dict[str, Any]) -> None:
    if "publicKeyJwk" in raw or "publicKeyHex" in raw:
        del raw["publicKeyMultibase"]
    (found,) = parse_did_document(document(verificationMethod=[raw]), DID).methods
    assert found.public_key in (KEY, SECP256K1)


@pytest.mark.parametrize(
    "raw",
    [
        {"type": "EcdsaSecp256k1RecoveryMethod2020", "blockchainAccountId": "eip155:1:0xab"},
        {"type": "JsonWebKey2020", "publicKeyJwk": {"kty": "RSA", "n": "AQ", "e": "AQAB"}},
        {"type": "Multikey", "publicKeyMultibase": "z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F"},
        {"type": "Multikey", "publicKeyMultibase": "nonsense"},
        {"type": "Ed25519VerificationKey2020", "publicKeyMultibase": SECP256K1.multibase},
        {"type": "SomethingNew", "publicKeyShape": 1},
    ],
    ids=lambda raw: str(raw["type"]),
)
def test_a_method_whose_key_does_not_sign_here_leaves_the_others_usable(raw: dict[str, Any]) -> None:
    other = {"id": "#other", "controller": DID} | raw
    parsed = parse_did_document(document(verificationMethod=[method(), other]), DID)
    assert [found.public_key for found in parsed.methods] == [KEY, None]


def test_a_method_embedded_in_a_relationship_serves_that_relationship_alone() -> None:
    raw = document(verificationMethod=[], assertionMethod=[], authentication=[method()])
    parsed = parse_did_document(raw, DID)
    assert parsed.method(DID + "#key-1", "authentication").public_key == KEY
    with pytest.raises(NotVerified):
        parsed.method(DID + "#key-1", "assertionMethod")


def test_relative_ids_are_resolved_against_the_document_unless_the_method_forbids_them() -> None:
    raw = document(verificationMethod=[method(id="#key-1")], assertionMethod=["#key-1"])
    assert parse_did_document(raw, DID).method(DID + "#key-1", "assertionMethod").public_key == KEY
    with pytest.raises(Malformed):
        parse_did_document(raw, DID, require_absolute_urls=True)


DEFECTS: dict[str, dict[str, Any]] = {
    "id of another": {"id": "did:web:other.example"},
    "no list of methods": {"verificationMethod": {}},
    "method is text": {"verificationMethod": ["x"]},
    "method without id": {"verificationMethod": [{"type": "Multikey", "controller": DID}]},
    "method id without fragment": {"verificationMethod": [method(id=DID)]},
    "method id is a URL": {"verificationMethod": [method(id="https://school.example#key-1")]},
    "two types": {"verificationMethod": [method(type=["Multikey"])]},
    "controller missing": {"verificationMethod": [method(controller=None)]},
    "same id twice": {"verificationMethod": [method(), method()]},
    "embedded again": {"authentication": [method()]},
    "two key formats": {"verificationMethod": [method(publicKeyJwk=KEY.to_jwk())]},
    "private JWK": {
        "verificationMethod": [
            {"id": "#a", "type": "JsonWebKey", "controller": DID, "publicKeyJwk": KEY.to_jwk() | {"d": "AA"}}
        ]
    },
    "private multikey": {"verificationMethod": [method(secretKeyMultibase="z3u2")]},
    "expires without offset": {"verificationMethod": [method(expires="2026-01-01T12:00:00")]},
    "relationship is text": {"assertionMethod": DID + "#key-1"},
    "relationship lists a number": {"assertionMethod": [1]},
    "reference without fragment": {"assertionMethod": [DID]},
    "foreign context only": {"@context": ["https://example.com/context"]},
    "context is a number": {"@context": 7},
    "controller is no DID": {"controller": "school"},
    "alsoKnownAs is a number": {"alsoKnownAs": 7},
    "service without id": {"service": [{"type": "A", "serviceEndpoint": "https://a.example"}]},
    "service twice": {"service": [{"id": "#a", "type": "A", "serviceEndpoint": "https://a.example"}] * 2},
    "service without endpoint": {"service": [{"id": "#a", "type": "A"}]},
    "service type is a number": {"service": [{"id": "#a", "type": 1, "serviceEndpoint": "x"}]},
}


@pytest.mark.parametrize("changes", DEFECTS.values(), ids=DEFECTS)
def test_a_document_that_breaks_one_rule_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_did_document(document(**changes), DID)


ADDRESS = "https://school.example/issuer"


def at_address(**changes: Any) -> dict[str, Any]:
    found = method(id=ADDRESS + "#key-1", controller=ADDRESS)
    raw = {"id": ADDRESS, "verificationMethod": [found], "assertionMethod": [ADDRESS + "#key-1"]}
    return raw | changes


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"@context": "https://www.w3.org/ns/cid/v1"},
        {"controller": [ADDRESS, "https://other.example", "did:web:school.example"]},
        {"service": [{"id": ADDRESS + "#s", "type": "A", "serviceEndpoint": "https://a.example"}]},
    ],
)
def test_the_document_at_an_https_address_has_the_same_rules(changes: dict[str, Any]) -> None:
    found = parse_controlled_document(at_address(**changes), ADDRESS)
    assert found.method(ADDRESS + "#key-1", "assertionMethod", at=NOON).public_key == KEY


@pytest.mark.parametrize(
    "changes",
    [
        {"id": ADDRESS + "/"},
        {"id": DID},
        {"id": None},
        {"@context": ["https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"]},
        {"verificationMethod": [], "assertionMethod": []},
        {"verificationMethod": [method(id="key-1", controller=ADDRESS)]},
        {"verificationMethod": [method(id="http://school.example/issuer#key-1", controller=ADDRESS)]},
        {"assertionMethod": [ADDRESS]},
        {"controller": 7},
    ],
)
def test_what_else_stands_at_an_address_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_controlled_document(at_address(**changes), ADDRESS)


@pytest.mark.parametrize("raw", [[], "x", None])
def test_what_is_no_object_is_no_document(raw: Any) -> None:
    for parse in (parse_did_document, parse_controlled_document):
        with pytest.raises(Malformed):
            parse(raw, ADDRESS)


def test_a_document_without_context_is_read_as_plain_json() -> None:
    raw = document()
    del raw["@context"]
    assert parse_did_document(raw, DID).methods


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(["id", "verificationMethod", "assertionMethod", "service", "controller", "@context"]),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text() | st.just(method()),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["id", "type", "controller", "publicKeyJwk", "publicKeyMultibase", "kty", "x"]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=8,
    ),
)
def test_hostile_documents_raise_malformed_and_nothing_else(member: str, value: Any) -> None:
    with contextlib.suppress(Malformed):
        parse_did_document(copy.deepcopy(document(**{member: value})), DID)
