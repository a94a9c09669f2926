"""Embedded proofs of issuers with an https address, whose methods are in the document there: Controlled Identifiers 1.0."""

# ruff: noqa: E501 - a table has one row a line

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from fixtures.check_tables import FAILED, PASSED, UNKNOWN, Row, hold, ids
from fixtures.verification import (
    LIST_URL,
    NOW,
    STRANGER,
    Signatory,
    Story,
    agreed,
    did_document,
    of_key_school,
    public,
    signing_key,
    status_list,
    without_status,
)

from node.core.did.document import parse_controlled_document
from node.core.verify.materials import DocumentAnswer, DocumentNeed, Mode, StatusListNeed
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import Acceptance, CheckName, Reason
from node.core.verify.trust import TrustEntry, TrustList

Json = dict[str, Any]
ISSUER = "https://school.example/hall/issuer"
SCHOOL = Signatory(ISSUER, "key-1", signing_key("https school"))
LEARNER = Signatory("https://learner.example/me", "key-1", signing_key("https learner"))
LISTED = TrustList((TrustEntry(ISSUER, "The School of the Web"),))
RDF = {"cryptosuite": "eddsa-rdfc-2022"}


def document(**changes: Any) -> DocumentAnswer:
    """What is at the issuer's address, as it is fetched."""
    raw: Json = {
        "@context": ["https://www.w3.org/ns/cid/v1"],
        "id": ISSUER,
        "verificationMethod": [method()],
        "assertionMethod": [SCHOOL.method],
    }
    made = {name: value for name, value in {**raw, **changes}.items() if value is not None}
    return agreed(parse_controlled_document(made, ISSUER))


def method(**changes: Any) -> Json:
    raw: Json = {
        "id": SCHOOL.method,
        "type": "Multikey",
        "controller": ISSUER,
        "publicKeyMultibase": public(SCHOOL.key).multibase,
    }
    return {name: value for name, value in {**raw, **changes}.items() if value is not None}


def badge(**changes: Any) -> Story:
    """A badge with an embedded proof, by a method at its issuer's address."""
    fields: Json = {"issuer": SCHOOL, "mode": Mode.FULL, "trust": LISTED, "documents": {ISSUER: document()}}
    return of_key_school(**{**fields, **changes})


def with_document(**changes: Any) -> Story:
    return badge(documents={ISSUER: document(**changes)})


def with_method(**changes: Any) -> Story:
    return with_document(verificationMethod=[method(**changes)])


def change_mark(credential: Json) -> None:
    credential["name"] = "Data structures with honours"


JWK = {"type": "JsonWebKey", "publicKeyMultibase": None, "publicKeyJwk": public(SCHOOL.key).to_jwk()}
NOON = "2026-06-01T12:00:00Z"  # NOW

ROWS = [
    Row("a Multikey", badge, PASSED),
    Row("a Multikey, RDF suite", lambda: badge(options=RDF), PASSED),
    Row("a JsonWebKey", lambda: with_method(**JWK), PASSED),
    Row("a document without context", lambda: with_document(**{"@context": None}), PASSED),
    Row("a method that is written where it is listed", lambda: with_document(verificationMethod=None, assertionMethod=[method()]), PASSED),
    Row("named by their fragments", lambda: with_document(verificationMethod=[method(id="#key-1")], assertionMethod=["#key-1"]), PASSED),
    Row("beside methods of others that are named only", lambda: with_document(assertionMethod=[SCHOOL.method, "https://other.example/#1", "did:web:other.example#1"]), PASSED),
    Row("any issuer will do", lambda: badge(trust=None, policy=ANY_ISSUER_UNSAFE), PASSED),
    Row("revoked in a second", lambda: with_method(revoked="2026-06-01T12:00:01Z"), PASSED),
    Row("expired in a second", lambda: with_method(expires="2026-06-01T12:00:01Z"), PASSED),
    Row("revoked later than the time that is asked about", lambda: replace(with_method(revoked=NOON), as_of=NOW - timedelta(seconds=1)), PASSED),
    Row("changed", lambda: badge(tamper=change_mark), FAILED, Reason.CHANGED),
    Row("signed with another key", lambda: badge(issuer=replace(SCHOOL, key=STRANGER.key)), FAILED, Reason.CHANGED),
    Row("no such method", lambda: badge(issuer=replace(SCHOOL, fragment="key-2")), FAILED, Reason.KEY_UNKNOWN),
    Row("a method that is another's", lambda: with_method(controller="https://school.example/other"), FAILED, Reason.KEY_UNKNOWN),
    Row("revoked now", lambda: with_method(revoked=NOON), FAILED, Reason.KEY_ENDED),
    Row("expired now", lambda: with_method(expires=NOON), FAILED, Reason.KEY_ENDED),
    Row("a method in another document of that origin", lambda: badge(options={"verificationMethod": "https://school.example/other#key-1"}), FAILED, Reason.ONLY_THIRD_PARTY_PROOFS),
    Row("a key that does not sign", lambda: with_method(publicKeyMultibase="z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F"), UNKNOWN, Reason.UNKNOWN_SUITE),
    Row("offline", lambda: badge(mode=Mode.OFFLINE), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("mode mirror", lambda: badge(mode=Mode.MIRROR), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("an issuer that is not listed", lambda: badge(trust=TrustList((TrustEntry("https://school.example", "Another"),))), UNKNOWN, Reason.KEY_NOT_ASKED),
    Row("nothing is there", lambda: badge(documents={}), UNKNOWN, Reason.KEY_UNREACHABLE),
    Row("without TLS", lambda: badge(issuer=replace(SCHOOL, did="http://school.example"), trust=None, policy=ANY_ISSUER_UNSAFE), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
    Row("a user in the address", lambda: badge(issuer=replace(SCHOOL, did="https://school.example@keys.example"), trust=None, policy=ANY_ISSUER_UNSAFE), UNKNOWN, Reason.KEY_NOT_LOOKED_UP),
]  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_proof(row: Row) -> None:
    hold(CheckName.PROOF, row)


def test_it_is_accepted_where_its_issuer_is_recognised() -> None:
    story = badge()
    assert story.report().acceptance is Acceptance.ACCEPTED
    assert story.needed == [DocumentNeed(ISSUER)]


@pytest.mark.parametrize("relationships", [{"assertionMethod": None}, {"assertionMethod": [], "authentication": [SCHOOL.method]}])  # fmt: skip
def test_a_method_that_is_not_listed_to_assert_asserts_nothing(relationships: Json) -> None:
    report = with_document(**relationships).report()
    assert report[CheckName.PROOF_PURPOSE].outcome is FAILED
    assert report[CheckName.PROOF_PURPOSE].reason is Reason.WRONG_PURPOSE
    assert report.acceptance is Acceptance.REFUSED


@pytest.mark.parametrize("story", [badge(mode=Mode.MIRROR), badge(trust=None), badge(issuer=replace(SCHOOL, did="http://school.example"))])  # fmt: skip
def test_nobody_is_asked_who_may_not_be(story: Story) -> None:
    story.report()
    assert story.needed == []


def test_a_document_that_a_proof_builds_on_is_asked_for_by_the_same_rule() -> None:
    """Of a chain of proofs only the last need be the issuer's."""
    other = Signatory("https://other.example/issuer", "key-1", STRANGER.key)
    chain = ((other, {"id": "urn:x:1"}), (SCHOOL, {"previousProof": "urn:x:1"}))
    story = badge(more_proofs=chain)
    story.report()
    assert story.needed == [DocumentNeed(ISSUER)]


# Status lists ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "bits", "outcome", "reason"),
    [
        (SCHOOL, (), PASSED, None),
        (SCHOOL, (94_567,), FAILED, Reason.REVOKED),
        (replace(SCHOOL, key=STRANGER.key), (94_567,), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
        (replace(SCHOOL, did="https://school.example/other"), (94_567,), UNKNOWN, Reason.STATUS_LIST_UNKNOWN),
    ],
    ids=["in the clear", "revoked", "signed with another key", "by another of that origin"],
)
def test_its_status_list_counts_by_the_same_document(
    by: Signatory, bits: tuple[int, ...], outcome: object, reason: Reason | None
) -> None:
    story = badge(write=lambda _: None, lists={LIST_URL: status_list(by, bits)})
    status = story.report()[CheckName.STATUS]
    assert (status.outcome, status.reason) == (outcome, reason)
    assert story.needed == [DocumentNeed(ISSUER), StatusListNeed(LIST_URL)]


# Holders -----------------------------------------------------------------------------------------------------


def about_learner(credential: Json) -> None:
    without_status(credential)
    credential["credentialSubject"]["id"] = LEARNER.did


@pytest.mark.parametrize(
    ("relationship", "key", "outcome", "reason"),
    [
        ("authentication", LEARNER.key, PASSED, None),
        ("assertionMethod", LEARNER.key, FAILED, Reason.HOLDER_PROOF_WRONG),
        ("authentication", STRANGER.key, FAILED, Reason.HOLDER_PROOF_WRONG),
    ],
)
def test_a_holder_with_an_https_address_is_bound_by_the_document_there(
    relationship: str, key: Any, outcome: object, reason: Reason | None
) -> None:
    story = of_key_school(
        holder=replace(LEARNER, key=key),
        write=about_learner,
        mode=Mode.FULL,
        documents={LEARNER.did: agreed(did_document(LEARNER.did, LEARNER, [relationship]))},
        trust=None,
        policy=ANY_ISSUER_UNSAFE,
    )
    binding = story.report()[CheckName.HOLDER_BINDING]
    assert (binding.outcome, binding.reason) == (outcome, reason), binding.basis
