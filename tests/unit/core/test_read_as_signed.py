"""Every rewrite of a revoked and expired badge that keeps its statements (FORMATS.md section 2).

Each is first shown to be a real attack: pyld alone makes the same canonical statements of it, so the signature
still holds. Then it must either be refused, or be read with status, validity and issuer in their places.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import nacl.signing
import pytest
from pyld import jsonld

from node.core.canonical.contexts import ContextNotPinned, ContextStore
from node.core.canonical.plain import read_as_signed
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import prepare_proof, proofs_of, unsecured, verify_proof
from node.core.errors import Malformed
from node.core.keys import KeyKind, PublicKey
from schemas import context_digests, load_contexts

Document = dict[str, Any]
V2 = "https://www.w3.org/ns/credentials/v2"
OB = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
CRED = "https://www.w3.org/2018/credentials#"
STATUS = "https://www.w3.org/ns/credentials/status#"
XSD = "http://www.w3.org/2001/XMLSchema#"
BADGE = "urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7a11"
LIST = "https://school.example/status/1"
KEY = nacl.signing.SigningKey(bytes(range(32)))
PUBLIC_KEY = PublicKey(KeyKind.ED25519, bytes(KEY.verify_key))
DID = f"did:key:{PUBLIC_KEY.multibase}"
CANONICALIZER = Canonicalizer(ContextStore(load_contexts(), context_digests()))
OPTIONS = {
    "cryptosuite": "eddsa-rdfc-2022",
    "verificationMethod": f"{DID}#{PUBLIC_KEY.multibase}",
    "proofPurpose": "assertionMethod",
    "created": "2026-01-02T03:04:05Z",
}
ENTRY = {
    "id": f"{LIST}#94567",
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "94567",
    "statusListCredential": LIST,
}


def badge() -> Document:
    """Revoked by its status entry, expired by its validUntil, endorsed by somebody."""
    return {
        "@context": [V2, OB],
        "id": BADGE,
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": DID, "type": ["Profile"], "name": "School"},
        "validFrom": "2024-01-01T00:00:00Z",
        "validUntil": "2025-01-01T00:00:00Z",
        "name": "Badge",
        "credentialSubject": {
            "id": "did:example:learner",
            "type": ["AchievementSubject"],
            "achievement": {
                "id": "urn:uuid:0f0e0d0c-0000-4000-8000-000000000001",
                "type": ["Achievement"],
                "name": "Achievement",
                "description": "What was achieved",
                "criteria": {"narrative": "All tasks done"},
            },
        },
        "credentialStatus": dict(ENTRY),
        "endorsement": [
            {
                "@context": [V2, OB],
                "id": "urn:uuid:0f0e0d0c-0000-4000-8000-000000000002",
                "type": ["VerifiableCredential", "EndorsementCredential"],
                "issuer": {"id": "did:example:endorser", "type": ["Profile"], "name": "Endorser"},
                "validFrom": "2024-02-01T00:00:00Z",
                "credentialSubject": {
                    "id": BADGE,
                    "type": ["EndorsementSubject"],
                    "endorsementComment": "Well earned",
                },
            }
        ],
    }


def sign(document: Document) -> Document:
    prepared = prepare_proof(document, OPTIONS, CANONICALIZER)
    return prepared.finish(KEY.sign(prepared.message).signature)


def statements_by_pyld(document: Document) -> str:
    """Canonical N-Quads by pyld alone, without our safe mode: what other people's software signs."""
    files = load_contexts()

    def load(url: str, options: object) -> Document:
        return {"contextUrl": None, "documentUrl": url, "document": json.loads(files[url])}

    text: str = jsonld.normalize(
        document,
        {"algorithm": "URDNA2015", "format": "application/n-quads", "documentLoader": load, "base": None},
    )
    return text


def rename(document: Document, name: str, to: str) -> None:
    document[to] = document.pop(name)


def alias(document: Document, name: str, definition: object, to: str = "foo") -> None:
    document["@context"] = [*document["@context"], {to: definition}]
    document[to] = document.pop(name)


def comment_object(document: Document) -> Document:
    subject: Document = document["endorsement"][0]["credentialSubject"]
    return subject


Rewrite = Callable[[Document], None]
REWRITES: dict[str, Rewrite] = {}


def rewrite(function: Rewrite) -> Rewrite:
    REWRITES[function.__name__] = function
    return function


@rewrite
def status_is_renamed_to_its_iri(d: Document) -> None:
    rename(d, "credentialStatus", CRED + "credentialStatus")


@rewrite
def valid_until_is_renamed_to_its_iri(d: Document) -> None:
    d[CRED + "validUntil"] = {"@value": d.pop("validUntil"), "@type": XSD + "dateTime"}


@rewrite
def issuer_is_renamed_to_its_iri(d: Document) -> None:
    rename(d, "issuer", CRED + "issuer")


@rewrite
def status_index_is_renamed_to_its_iri(d: Document) -> None:
    rename(d["credentialStatus"], "statusListIndex", STATUS + "statusListIndex")


@rewrite
def status_has_an_alias(d: Document) -> None:
    alias(d, "credentialStatus", {"@id": CRED + "credentialStatus", "@type": "@id"})


@rewrite
def status_has_a_compact_iri(d: Document) -> None:
    d["@context"] = [*d["@context"], {"c": CRED}]
    rename(d, "credentialStatus", "c:credentialStatus")


@rewrite
def valid_until_has_an_alias(d: Document) -> None:
    alias(d, "validUntil", {"@id": CRED + "validUntil", "@type": XSD + "dateTime"})


@rewrite
def alias_with_a_scoped_context(d: Document) -> None:
    d["@context"] = [
        *d["@context"],
        {"foo": {"@id": CRED + "credentialStatus", "@context": {"idx": STATUS + "statusListIndex"}}},
    ]
    rename(d, "credentialStatus", "foo")
    rename(d["foo"], "statusListIndex", "idx")


@rewrite
def alias_in_a_nested_context(d: Document) -> None:
    d["credentialStatus"] = {"@context": {"idx": STATUS + "statusListIndex"}, **d["credentialStatus"]}
    rename(d["credentialStatus"], "statusListIndex", "idx")


@rewrite
def type_and_id_are_keywords(d: Document) -> None:
    rename(d, "type", "@type")
    rename(d, "id", "@id")
    rename(d["credentialStatus"], "type", "@type")
    rename(d["credentialStatus"], "id", "@id")


@rewrite
def status_type_is_an_iri(d: Document) -> None:
    entry = d["credentialStatus"]
    entry["type"] = STATUS + "BitstringStatusListEntry"
    for name in ("statusPurpose", "statusListIndex"):
        rename(entry, name, STATUS + name)
    entry[STATUS + "statusListCredential"] = {"@id": entry.pop("statusListCredential")}


@rewrite
def everything_is_expanded(d: Document) -> None:
    expanded = CANONICALIZER._expander.expand(d)[0]
    d.clear()
    d.update({"@context": [V2, OB], **expanded})


@rewrite
def status_is_a_set(d: Document) -> None:
    d["credentialStatus"] = {"@set": [d["credentialStatus"]]}


@rewrite
def status_is_an_array_in_an_array(d: Document) -> None:
    d["credentialStatus"] = [[d["credentialStatus"]]]


@rewrite
def valid_until_is_in_an_array(d: Document) -> None:
    d["validUntil"] = [d["validUntil"]]


@rewrite
def valid_until_is_a_typed_value_object(d: Document) -> None:
    d["validUntil"] = {"@value": d["validUntil"], "@type": XSD + "dateTime"}


@rewrite
def status_index_is_a_value_object(d: Document) -> None:
    d["credentialStatus"]["statusListIndex"] = {"@value": "94567"}


@rewrite
def status_index_is_in_an_array(d: Document) -> None:
    d["credentialStatus"]["statusListIndex"] = ["94567", None]


@rewrite
def status_is_moved_into_the_endorsements_subject(d: Document) -> None:
    subject = comment_object(d)
    subject["type"] = ["EndorsementSubject", "VerifiableCredential", "OpenBadgeCredential"]
    subject["credentialStatus"] = d.pop("credentialStatus")
    d["type"].append("EndorsementSubject")


@rewrite
def status_is_moved_by_iri_into_the_endorsements_subject(d: Document) -> None:
    comment_object(d)[CRED + "credentialStatus"] = d.pop("credentialStatus")


@rewrite
def valid_until_is_moved_into_the_endorsements_subject(d: Document) -> None:
    comment_object(d)["type"] = ["EndorsementSubject", "VerifiableCredential"]
    comment_object(d)["validUntil"] = d.pop("validUntil")


@rewrite
def issuer_is_moved_into_the_endorsements_subject(d: Document) -> None:
    comment_object(d)["type"] = ["EndorsementSubject", "VerifiableCredential"]
    comment_object(d)["issuer"] = d.pop("issuer")


@rewrite
def subject_is_moved_into_the_endorsements_subject(d: Document) -> None:
    comment_object(d)["type"] = ["EndorsementSubject", "VerifiableCredential"]
    comment_object(d)["credentialSubject"] = d.pop("credentialSubject")
    d["credentialSubject"] = []


@rewrite
def whole_entry_is_moved_to_the_endorsements_subject_and_a_reference_stays(d: Document) -> None:
    subject = comment_object(d)
    subject["type"] = ["EndorsementSubject", "VerifiableCredential"]
    subject["credentialStatus"] = d["credentialStatus"]
    d["credentialStatus"] = {"id": ENTRY["id"]}


@rewrite
def status_entry_is_a_reference_and_a_second_one_has_the_members(d: Document) -> None:
    d["credentialStatus"] = [{"id": ENTRY["id"]}, d["credentialStatus"]]


@rewrite
def status_members_are_split_over_two_objects(d: Document) -> None:
    first, second = dict(ENTRY), {"id": ENTRY["id"], "type": ENTRY["type"]}
    second["statusListIndex"] = first.pop("statusListIndex")
    d["credentialStatus"] = [first, second]


@rewrite
def status_stands_twice(d: Document) -> None:
    d["credentialStatus"] = [dict(ENTRY), dict(ENTRY)]


@rewrite
def status_is_included(d: Document) -> None:
    d["@included"] = [{"@id": BADGE, CRED + "credentialStatus": d.pop("credentialStatus")}]


@rewrite
def status_members_are_included(d: Document) -> None:
    d["@included"] = [d["credentialStatus"]]
    d["credentialStatus"] = {"id": ENTRY["id"]}


@rewrite
def status_is_included_by_an_alias(d: Document) -> None:
    d["@context"] = [*d["@context"], {"more": "@included"}]
    d["more"] = [{"@id": BADGE, CRED + "credentialStatus": d.pop("credentialStatus")}]


@rewrite
def status_is_nested(d: Document) -> None:
    d["@nest"] = {"credentialStatus": d.pop("credentialStatus")}


@rewrite
def status_is_nested_by_an_alias(d: Document) -> None:
    d["@context"] = [*d["@context"], {"details": "@nest"}]
    d["details"] = {"credentialStatus": d.pop("credentialStatus")}


@rewrite
def status_is_reversed(d: Document) -> None:
    entry = d.pop("credentialStatus")
    d["@included"] = [{**entry, "@reverse": {CRED + "credentialStatus": {"@id": BADGE}}}]


@rewrite
def status_is_in_a_second_node_of_a_graph(d: Document) -> None:
    first = copy.deepcopy(d)
    entry = first.pop("credentialStatus")
    context = first.pop("@context")
    d.clear()
    d.update({"@context": context, "@graph": [first, {"@id": BADGE, CRED + "credentialStatus": entry}]})


@rewrite
def status_has_an_index(d: Document) -> None:
    d["credentialStatus"] = {**ENTRY, "@index": "one"}


@rewrite
def status_is_an_index_map(d: Document) -> None:
    alias(d, "credentialStatus", {"@id": CRED + "credentialStatus", "@container": "@index"})
    d["foo"] = {"one": d["foo"]}


@rewrite
def status_is_an_id_map(d: Document) -> None:
    alias(d, "credentialStatus", {"@id": CRED + "credentialStatus", "@container": "@id"})
    entry = d["foo"]
    d["foo"] = {entry.pop("id"): entry}


@rewrite
def status_is_a_type_map(d: Document) -> None:
    alias(d, "credentialStatus", {"@id": CRED + "credentialStatus", "@container": "@type"})
    entry = d["foo"]
    d["foo"] = {entry.pop("type"): entry}


@rewrite
def a_null_stands_beside(d: Document) -> None:
    d["evidence"] = None


@rewrite
def term_is_null_and_an_alias_says_it(d: Document) -> None:
    alias(d, "validUntil", {"@id": CRED + "validUntil", "@type": XSD + "dateTime"})
    d["validUntil"] = None


@rewrite
def the_endorsement_is_written_outside(d: Document) -> None:
    inner = copy.deepcopy(d)
    outer = inner.pop("endorsement")[0]
    subject = outer["credentialSubject"]
    subject.update({name: value for name, value in inner.items() if name not in ("@context", "type")})
    subject["type"] = [*inner["type"], "EndorsementSubject"]
    subject["endorsement"] = [{"id": outer["id"]}]
    d.clear()
    d.update(outer)


# These are read in plain form, with everything in its place; all others are refused.
READ = {
    "a_null_stands_beside",
    "alias_in_a_nested_context",
    "alias_with_a_scoped_context",
    "everything_is_expanded",
    "issuer_is_renamed_to_its_iri",
    "status_has_a_compact_iri",
    "status_has_an_alias",
    "status_index_is_a_value_object",
    "status_index_is_in_an_array",
    "status_index_is_renamed_to_its_iri",
    "status_is_a_set",
    "status_is_a_type_map",
    "status_is_an_array_in_an_array",
    "status_is_an_id_map",
    "status_is_renamed_to_its_iri",
    "status_stands_twice",
    "status_type_is_an_iri",
    "term_is_null_and_an_alias_says_it",
    "type_and_id_are_keywords",
    "valid_until_has_an_alias",
    "valid_until_is_a_typed_value_object",
    "valid_until_is_in_an_array",
    "valid_until_is_renamed_to_its_iri",
}


def in_place(document: Document) -> bool:
    """Whether status, validity and issuer stand where every later check looks for them."""
    status = document.get("credentialStatus")
    entries = status if isinstance(status, list) else [status]
    issuer = document.get("issuer")
    return (
        document.get("id") == BADGE
        and document.get("validUntil") == "2025-01-01T00:00:00Z"
        and (issuer["id"] if isinstance(issuer, dict) else issuer) == DID
        and all({**ENTRY, "type": [ENTRY["type"]]} == {**entry, "type": [ENTRY["type"]]} for entry in entries)
        and all(entry["type"] in (ENTRY["type"], [ENTRY["type"]]) for entry in entries)
    )


@pytest.mark.parametrize("name", sorted(REWRITES))
def test_rewrite_that_keeps_the_statements_hides_nothing(name: str) -> None:
    signed = sign(badge())
    changed = copy.deepcopy(signed)
    proof = changed.pop("proof")
    REWRITES[name](changed)
    changed["proof"] = proof
    assert statements_by_pyld(unsecured(changed)) == statements_by_pyld(unsecured(signed)), "not an attack"
    if name not in READ:
        with pytest.raises(Malformed):
            read_as_signed(changed, CANONICALIZER)
        return
    verify_proof(changed, proofs_of(changed)[0], PUBLIC_KEY, CANONICALIZER)
    assert in_place(read_as_signed(changed, CANONICALIZER).document)


def test_the_badge_itself_is_read_as_it_stands() -> None:
    signed = sign(badge())
    reading = read_as_signed(signed, CANONICALIZER)
    assert reading.document == signed
    assert not reading.rewritten
    assert in_place(reading.document)
    verify_proof(signed, proofs_of(signed)[0], PUBLIC_KEY, CANONICALIZER)


def test_a_credential_moved_to_version_1_still_shows_its_end() -> None:
    """The statement `validUntil` is the same in both versions; so must be the member that is read."""
    document = {
        "@context": [V2],
        "id": BADGE,
        "type": ["VerifiableCredential"],
        "issuer": DID,
        "validFrom": "2024-01-01T00:00:00Z",
        "validUntil": "2025-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:learner"},
        "credentialStatus": dict(ENTRY),
    }
    changed = sign(document)
    changed["@context"] = [
        "https://www.w3.org/2018/credentials/v1",
        "https://www.w3.org/ns/credentials/status/v1",
        "https://w3id.org/security/data-integrity/v2",
    ]
    verify_proof(changed, proofs_of(changed)[0], PUBLIC_KEY, CANONICALIZER)
    assert in_place(read_as_signed(changed, CANONICALIZER).document)


def test_a_blank_node_label_is_no_identifier() -> None:
    document = badge()
    document["credentialStatus"]["id"] = "_:b0"
    with pytest.raises(Malformed):
        read_as_signed(document, CANONICALIZER)


def test_a_context_that_is_not_pinned_leaves_the_reading_unknown() -> None:
    document = badge()
    document["@context"].append("https://example.org/mine/v1")
    with pytest.raises(ContextNotPinned):
        read_as_signed(document, CANONICALIZER)


@pytest.mark.parametrize(
    "context",
    [
        {"@import": "https://example.org/mine/v1", "@version": 1.1},
        {"x": {"@id": "urn:x:x", "@context": "https://example.org/mine/v1"}},
        {"x": {"@id": "urn:x:x", "@context": ["https://example.org/mine/v1"]}},
    ],
    ids=["imported", "scoped", "scoped in an array"],
)
def test_a_context_that_is_not_pinned_inside_another_leaves_the_reading_unknown(context: object) -> None:
    document = badge()
    document["@context"].append(context)
    with pytest.raises(ContextNotPinned):
        read_as_signed(document, CANONICALIZER)


PROFILE = {"id": "did:example:p", "type": ["Profile"], "name": "P"}


@pytest.mark.parametrize(
    ("creator", "endorser", "sound"),
    [
        (PROFILE, {"id": "did:example:p"}, True),
        (PROFILE, {"id": "did:example:p", "type": ["Profile"]}, True),
        (PROFILE, PROFILE, True),
        (PROFILE, "did:example:p", True),
        (PROFILE, {**PROFILE, "name": "Q"}, False),
        ({"id": "did:example:p", "type": ["Profile"], "url": "https://p.example"}, PROFILE, False),
    ],
    ids=["reference", "reference with type", "equal", "text", "another value", "split"],
)
def test_of_objects_with_one_id_at_most_one_has_members(
    creator: Document, endorser: object, sound: bool
) -> None:
    document = badge()
    document["credentialSubject"]["achievement"]["creator"] = creator
    document["endorsement"][0]["issuer"] = endorser
    if sound:
        assert read_as_signed(document, CANONICALIZER).document == document
    else:
        with pytest.raises(Malformed):
            read_as_signed(document, CANONICALIZER)


@pytest.mark.parametrize(
    ("subject", "sound"),
    [
        ({"id": BADGE}, True),
        ({"id": BADGE, "type": ["EndorsementSubject"], "endorsementComment": "Fine"}, True),
        ({"id": BADGE, "type": ["Profile"]}, False),
        ({"id": BADGE, "type": ["EndorsementSubject", "Profile"], "endorsementComment": "Fine"}, False),
        ({"id": BADGE, "type": ["EndorsementSubject"], "name": "Badge"}, False),
    ],
    ids=["reference", "endorsement subject", "another type", "a further type", "another member"],
)
def test_an_object_with_the_badges_id_is_an_endorsements_subject(subject: Document, sound: bool) -> None:
    document = badge()
    document["endorsement"][0]["credentialSubject"] = subject
    if sound:
        assert read_as_signed(document, CANONICALIZER).document == document
    else:
        with pytest.raises(Malformed, match="members could change places"):
            read_as_signed(document, CANONICALIZER)


@pytest.mark.parametrize("line_end", ["\u2028", "\u2029", "\x85", "\x1c", "\x0b", "\r\n"])
def test_a_text_with_a_line_end_of_unicode_neither_breaks_nor_adds_a_statement(line_end: str) -> None:
    document = badge()
    document["name"] = f"a{line_end}<{BADGE}> <{CRED}credentialStatus> <{LIST}#1> .{line_end}b"
    assert read_as_signed(document, CANONICALIZER).document == document


def test_a_subject_of_nothing_but_an_identifier_is_an_object_after_rewriting() -> None:
    """Compaction would make a bare string of it, which no reader of credentials expects."""
    document = {
        "@context": [V2],
        "type": ["VerifiableCredential", "https://school.example/terms#Course"],
        "issuer": DID,
        "credentialSubject": {"id": "did:example:learner"},
    }
    reading = read_as_signed(document, CANONICALIZER)
    assert reading.rewritten
    assert reading.document["credentialSubject"] == {"id": "did:example:learner"}
    two = document | {"credentialSubject": [{"id": "did:example:learner"}, {"id": "did:example:other"}]}
    subjects = read_as_signed(two, CANONICALIZER).document["credentialSubject"]
    assert sorted(subject["id"] for subject in subjects) == ["did:example:learner", "did:example:other"]


def presentation() -> Document:
    """A presentation with a context of its own, and the badge in it."""
    return {
        "@context": [V2, {"Application": "https://school.example/terms#Application"}],
        "type": ["VerifiablePresentation", "Application"],
        "holder": DID,
        "verifiableCredential": [badge()],
    }


def test_a_presentation_with_a_context_of_its_own_is_rewritten_around_its_credentials() -> None:
    reading = read_as_signed(presentation(), CANONICALIZER)
    assert reading.rewritten
    assert reading.document["verifiableCredential"] == [badge()]
    assert set(reading.document["type"]) == {
        "VerifiablePresentation",
        "https://school.example/terms#Application",
    }
    assert all(type(entry) is str for entry in reading.document["@context"])


def test_credentials_of_a_presentation_cannot_be_spelled_by_their_iri() -> None:
    document = presentation()
    document[CRED + "verifiableCredential"] = {"@graph": document.pop("verifiableCredential")}
    with pytest.raises(Malformed):
        read_as_signed(document, CANONICALIZER)
