"""Selection, labels and groups of selective disclosure, in documents of the kinds that credentials have."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.published import published_canonicalizer

from node.core import problem
from node.core.dataintegrity.selective import (
    MAX_POINTERS,
    Grouping,
    LabelledStatements,
    given_labels,
    hmac_labels,
    label_statements,
    parse_pointer,
    select,
)
from node.core.errors import Malformed

Document = dict[str, Any]
CANONICALIZER = published_canonicalizer()
V2 = "https://www.w3.org/ns/credentials/v2"
OB = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
LABELS = hmac_labels(bytes(range(32)))

PLAIN: Document = {
    "@context": [V2],
    "id": "urn:uuid:1",
    "type": ["VerifiableCredential"],
    "issuer": {"id": "did:example:i", "type": "Profile"},
    "credentialSubject": [
        {"a/b": 1, "m~n": [[1, 2], {"x": None}], "": "empty"},
        {"id": "_:b", "type": "T", "y": 2},
    ],
}


# JSON Pointers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pointers", "part"),
    [
        ([""], {name: value for name, value in PLAIN.items() if name not in ("@context", "id", "type")}),
        (["/issuer"], {"issuer": {"id": "did:example:i", "type": "Profile"}}),
        (["/issuer/type"], {"issuer": {"id": "did:example:i", "type": "Profile"}}),
        (["/credentialSubject/0/a~1b"], {"credentialSubject": [{"a/b": 1}]}),
        (["/credentialSubject/0/m~0n/0/1"], {"credentialSubject": [{"m~n": [[2]]}]}),
        (["/credentialSubject/0/m~0n/1/x"], {"credentialSubject": [{"m~n": [{"x": None}]}]}),
        (["/credentialSubject/0/"], {"credentialSubject": [{"": "empty"}]}),
        (["/credentialSubject/1/y"], {"credentialSubject": [{"type": "T", "y": 2}]}),
        (
            ["/credentialSubject/1/y", "/credentialSubject/0/a~1b"],
            {"credentialSubject": [{"a/b": 1}, {"type": "T", "y": 2}]},
        ),
        (
            ["/credentialSubject/1", "/credentialSubject/1/y"],
            {"credentialSubject": [{"id": "_:b", "type": "T", "y": 2}]},
        ),
        (["/id", "/type", "/@context"], {}),
    ],
    ids=str,
)
def test_pointers_select_a_part_with_the_names_of_the_objects_on_the_way(
    pointers: list[str], part: Document
) -> None:
    expected = {"@context": [V2], "id": "urn:uuid:1", "type": ["VerifiableCredential"], **part}
    assert select(pointers, PLAIN) == expected


def test_a_pointer_to_one_type_leaves_the_others() -> None:
    """Every other pointer selects them all, so that what is mandatory would no longer be shown."""
    types = ["VerifiableCredential", "OpenBadgeCredential"]
    assert select(["/type/0"], {**PLAIN, "type": types}) == {
        "@context": [V2],
        "id": "urn:uuid:1",
        "type": types,
    }


def test_no_pointers_select_nothing() -> None:
    assert select([], PLAIN) is None


def test_what_is_selected_is_a_copy() -> None:
    part = select(["/issuer"], PLAIN)
    assert part is not None
    part["issuer"]["type"] = part["@context"][0] = "changed"
    assert PLAIN["issuer"]["type"] == "Profile"
    assert PLAIN["@context"] == [V2]


@pytest.mark.parametrize(
    "pointer",
    ["issuer", "#/issuer", "/nothing", "/issuer/nothing", "/issuer/id/0", "/issuer/id/length", "/issuer/",
     "/credentialSubject/2", "/credentialSubject/-1", "/credentialSubject/-", "/credentialSubject/00",
     "/credentialSubject/01", "/credentialSubject/ 0", "/credentialSubject/+0", "/credentialSubject/\u0660",
     "/credentialSubject/1e0", "/credentialSubject/9999999999", "/credentialSubject/0/a/b",
     "/credentialSubject/0/a~2b", "/credentialSubject/0/a~", "/credentialSubject/0/m~0n/0/2"],
)  # fmt: skip
def test_a_pointer_to_nothing_is_refused(pointer: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_pointer(pointer, PLAIN)
    assert caught.value.problem.type == problem.PROOF_GENERATION_ERROR


def test_pointers_beyond_the_limit_are_refused() -> None:
    assert select(["/id"] * MAX_POINTERS, PLAIN)
    with pytest.raises(Malformed):
        select(["/id"] * (MAX_POINTERS + 1), PLAIN)


# Groups -----------------------------------------------------------------------------------------------------

BADGE: Document = {
    "@context": [V2, OB],
    "type": ["VerifiableCredential", "OpenBadgeCredential"],
    "issuer": {"id": "did:example:i", "type": ["Profile"], "name": "School"},
    "validFrom": "2026-01-01T00:00:00Z",
    "name": "Badge",
    "credentialSubject": {
        "type": ["AchievementSubject"],
        "achievement": {
            "id": "urn:uuid:a",
            "type": ["Achievement"],
            "name": "Plumbing",
            "description": "Pipes",
            "criteria": {"narrative": 'pass\nthe _:c14n0 "exam"'},
            "resultDescription": [
                {
                    "id": "urn:uuid:r1",
                    "type": ["ResultDescription"],
                    "name": "Grade",
                    "resultType": "LetterGrade",
                    "allowedValue": ["A", "B", "C"],
                },
                {
                    "id": "urn:uuid:r2",
                    "type": ["ResultDescription"],
                    "name": "Level",
                    "resultType": "Status",
                    "allowedValue": ["low", "high"],
                },
            ],
        },
        "result": [{"type": ["Result"], "value": "A"}, {"type": ["Result"], "value": "high"}],
    },
}
SCHEMA: Document = {
    "@context": [V2],
    "type": ["VerifiableCredential", "JsonSchemaCredential"],
    "issuer": "did:example:i",
    "name": {"@value": "Schema", "@language": "en"},
    "credentialSubject": {
        "type": "JsonSchema",
        "jsonSchema": {"type": "object", "properties": {"id": {"type": "string"}, "n": {"type": "number"}}},
    },
}
PRESENTATION: Document = {
    "@context": [V2],
    "type": ["VerifiablePresentation"],
    "verifiableCredential": [
        {
            "@context": [V2],
            "type": ["VerifiableCredential"],
            "issuer": "did:example:i",
            "credentialSubject": {"id": "did:example:s", "name": "x"},
        }
    ],
}


LABELLED = {**BADGE, "credentialSubject": {**BADGE["credentialSubject"], "id": "_:b0"}}


@pytest.mark.parametrize(
    "document",
    [BADGE, SCHEMA, PRESENTATION, LABELLED],
    ids=["badge", "JSON literal", "graph", "an object with a label"],
)
def test_the_whole_is_labelled_as_its_canonical_form_says(document: Document) -> None:
    grouping = Grouping(document, LABELS, CANONICALIZER)
    assert grouping.statements == label_statements(document, LABELS, CANONICALIZER).labelled
    assert grouping.indexes([""]) == tuple(range(len(grouping.statements)))
    assert grouping.indexes([]) == ()


@pytest.mark.parametrize(
    ("document", "pointers"),
    [
        (BADGE, ["/credentialSubject/result/1"]),
        (BADGE, ["/credentialSubject/achievement/criteria/narrative"]),
        (BADGE, ["/credentialSubject/achievement/resultDescription/1/allowedValue"]),
        (BADGE, ["/credentialSubject/achievement/resultDescription/0", "/name"]),
        (BADGE, ["/credentialSubject/achievement/resultDescription", "/credentialSubject/result/0/value"]),
        (SCHEMA, ["/credentialSubject/jsonSchema"]),
        (SCHEMA, ["/name"]),
        (PRESENTATION, ["/verifiableCredential/0/issuer", "/verifiableCredential/0/@context"]),
    ],
    ids=str,
)
def test_a_verifier_writes_the_statements_that_were_selected(document: Document, pointers: list[str]) -> None:
    grouping = Grouping(document, LABELS, CANONICALIZER)
    indexes = grouping.indexes(pointers)
    assert 0 < len(indexes) < len(grouping.statements)
    shown = select(pointers, document)
    assert shown is not None
    seen = label_statements(shown, given_labels(grouping.shown_labels(pointers)), CANONICALIZER)
    assert seen.labelled == tuple(grouping.statements[index] for index in indexes)
    assert "".join(sorted(seen.canonical_at(range(len(indexes))))) == CANONICALIZER.nquads(shown)


@pytest.mark.parametrize(
    ("document", "pointer"),
    [
        (BADGE, "/credentialSubject/achievement/resultDescription/0/allowedValue/1"),
        (BADGE, "/credentialSubject/achievement/resultDescription/0/allowedValue/0"),
        (SCHEMA, "/credentialSubject/jsonSchema/properties/id"),
        (SCHEMA, "/name/@value"),
    ],
)
def test_a_pointer_into_the_middle_of_a_value_is_refused(document: Document, pointer: str) -> None:
    grouping = Grouping(document, LABELS, CANONICALIZER)
    with pytest.raises(Malformed):
        grouping.indexes([pointer])
    with pytest.raises(Malformed):
        grouping.shown_labels([pointer])


TWO_GRAPHS = {**PRESENTATION, "verifiableCredential": PRESENTATION["verifiableCredential"] * 2}


@pytest.mark.parametrize(
    "document",
    [
        {**BADGE, "id": "_:b0"},
        {
            **BADGE,
            "id": "urn:uuid:1",
            "credentialSubject": [{"id": "_:b0"}, {"id": "_:b0", "type": "Profile"}],
        },
        {**BADGE, "credentialSubject": {"id": "_:b0"}, "evidence": {"id": "_:b0", "type": "Evidence"}},
        {**BADGE, "issuer": {"id": "did:example:i", "type": ["_:b0", "_:b1"]}},
        TWO_GRAPHS,
    ],
    ids=[
        "a root with a label",
        "a label twice in one place",
        "a label in two places",
        "two labels in one place",
        "two graphs in one place",
    ],
)
def test_blank_nodes_that_cannot_be_told_apart_are_refused(document: Document) -> None:
    with pytest.raises(Malformed):
        Grouping(document, LABELS, CANONICALIZER)


def test_the_names_that_tell_objects_apart_are_not_those_of_a_hostile_document() -> None:
    for hostile in ("urn:bnid:0:0", "urn:bnid:0:0 urn:bnid:1:2", "_:s0", "_:o0", "_:c14n0"):
        document = {**BADGE, "name": hostile}
        statements = Grouping(document, LABELS, CANONICALIZER).statements
        assert any(f'"{hostile}"' in text for text in statements)


def test_a_document_with_all_those_names_is_refused() -> None:
    with pytest.raises(Malformed):
        Grouping({**BADGE, "name": "urn:bnid:0: urn:bnid:1: urn:bnid:2: urn:bnid:3:"}, LABELS, CANONICALIZER)


def test_a_document_where_id_names_no_object_is_refused_unless_that_can_be_seen() -> None:
    terms = {"p": "urn:x:p", "q": "urn:x:q"}
    document = {"@id": "urn:x:whole", "p": {"q": "v"}}
    as_text = {"@context": {**terms, "id": "urn:x:id"}, **document}
    assert Grouping(as_text, LABELS, CANONICALIZER).indexes(["/p/q"]) == (0, 1)
    as_iri = {"@context": {**terms, "id": {"@id": "urn:x:id", "@type": "@id"}}, **document}
    assert CANONICALIZER.nquads(as_iri) == CANONICALIZER.nquads(as_text)
    with pytest.raises(Malformed):
        Grouping(as_iri, LABELS, CANONICALIZER)


# Labels and indexes -----------------------------------------------------------------------------------------


def test_labels_are_the_hmac_of_identifiers_without_their_prefix() -> None:
    key = bytes.fromhex("00112233445566778899aabbccddeeff" * 2)
    assert hmac_labels(key)(["c14n0"]) == {"c14n0": "u4YIOZn1MHES1Z4Ij2hWZG3R4dEYBqg5fHTyDEvYhC38"}


@pytest.mark.parametrize(
    "labels",
    [{}, {"c14n0": "a"}, {"c14n0": "a", "c14n1": "a"}, {"c14n0": "a", "c14n1": "b", "c14n2": "c"},
     {"c14n0": "a", "c14n2": "b"}, {"b0": "a", "b1": "b"}],
    ids=str,
)  # fmt: skip
def test_each_unnamed_object_has_one_label_of_its_own(labels: dict[str, str]) -> None:
    identifiers = ["c14n0", "c14n1"]
    assert given_labels({"c14n1": "a", "c14n0": "b"})(identifiers)
    with pytest.raises(Malformed) as caught:
        given_labels(labels)(identifiers)
    assert caught.value.problem.type == problem.PROOF_VERIFICATION_ERROR


@pytest.mark.parametrize("indexes", [[1, 0], [0, 0], [-1], [-1, 0], [3], [0, 1, 2, 3], [0, 2, 1]], ids=str)
def test_indexes_ascend_and_are_those_of_statements(indexes: list[int]) -> None:
    quads = tuple((f"_:{letter}", "<urn:p>", "<urn:o>", "") for letter in "xyz")
    statements = LabelledStatements(("a", "b", "c"), quads, {"_:x": "_:c14n0"})
    assert statements.split([0, 2]) == (["a", "c"], ["b"])
    assert statements.canonical_at([0, 2]) == ("_:c14n0 <urn:p> <urn:o> .\n", "_:z <urn:p> <urn:o> .\n")
    assert statements.split([]) == ([], ["a", "b", "c"])
    with pytest.raises(Malformed):
        statements.split(indexes)
    with pytest.raises(Malformed):
        statements.canonical_at(indexes)
