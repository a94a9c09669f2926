"""What the fast path takes, with the statements of the full algorithm, and what it leaves to it."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.mutated_documents import badge, presentation

from node.core.canonical import walker as walker_module
from node.core.canonical.active_context import OutsideSubset
from node.core.canonical.contexts import ContextStore
from node.core.canonical.expansion import Expander, statements
from node.core.canonical.labelling import canonicalize_parts, canonicalize_quads
from node.core.canonical.rdfc import Canonicalizer
from node.core.canonical.walker import Walker
from schemas import context_digests, load_contexts

V2 = "https://www.w3.org/ns/credentials/v2"
OB = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
UNDEFINED_TERMS = "https://www.w3.org/ns/credentials/undefined-terms/v2"
STORE = ContextStore(load_contexts(), context_digests())
EXPANDER = Expander(STORE)


def credential(*contexts: str, **members: Any) -> dict[str, Any]:
    return {
        "@context": [V2, OB, *contexts],
        "id": "urn:x:credential",
        "type": ["VerifiableCredential", "OpenBadgeCredential"],
        "issuer": {"id": "did:example:school", "type": ["Profile"], "name": "School"},
        **members,
    }


def subject(**members: Any) -> dict[str, Any]:
    return credential(credentialSubject={"type": ["AchievementSubject"], **members})


def achievement(**members: Any) -> dict[str, Any]:
    return subject(achievement={"id": "urn:x:a", "type": ["Achievement"], **members})


def full(document: dict[str, Any]) -> str:
    return canonicalize_quads(statements(EXPANDER.expand(document)))[0]


def fast(document: dict[str, Any], walker: Walker) -> str:
    parts = walker.statements(document)
    return canonicalize_parts(parts.named, parts.unnamed)[0]


TAKEN = {
    "a type that is a string": credential(type="VerifiableCredential"),
    "a type that is an IRI": credential(type=["VerifiableCredential", "urn:x:Type"]),
    "a type that is a compact IRI": credential(type=["VerifiableCredential", "schema:Thing"]),
    "no types": credential(evidence={"id": "urn:x:e", "type": []}),
    "an issuer that is an identifier": credential(issuer="did:example:school"),
    "an identifier that is a compact IRI": credential(issuer="schema:School"),
    "an object with nothing but an identifier": credential(issuer={"id": "did:example:school"}),
    "an object with nothing": credential(credentialSubject={}),
    "an empty array": credential(evidence=[]),
    "a list in order, with an item twice": achievement(
        resultDescription={"type": "ResultDescription", "allowedValue": ["B", "A", "B"]}
    ),
    "a list without items": achievement(resultDescription={"type": "ResultDescription", "allowedValue": []}),
    "a list of one value without its array": achievement(
        resultDescription={"type": "ResultDescription", "allowedValue": "A"}
    ),
    "a term that the vocabulary coerces": achievement(
        resultDescription={"type": "ResultDescription", "resultType": "RawScore"}
    ),
    "a number for a datatype": subject(creditsEarned=2.5),
    "an integer for a datatype": subject(creditsEarned=2),
    "a boolean": subject(identifier={"type": "IdentityObject", "hashed": True, "identityHash": "x"}),
    "a text with what statements escape": credential(name='"\\\n\r\t\b\f\x00\x7f\u2028'),
    "a text with a language": credential(name={"@value": "x", "@language": "fr-CH"}),
    "a text with a direction": credential(name={"@value": "x", "@language": "ar", "@direction": "rtl"}),
    "a text in a value object": credential(name={"@value": "x"}),
    "a credential with contexts of its own": presentation(2),
    "an undefined term with its vocabulary": credential(UNDEFINED_TERMS, something="x"),
    "a vocabulary's term for objects": credential(
        UNDEFINED_TERMS, something={"other": ["x", {"id": "urn:x"}]}
    ),
    "objects that are alike": credential(credentialSubject=[{"type": "Profile"}, {"type": "Profile"}]),
}


@pytest.mark.parametrize("name", TAKEN)
def test_these_have_the_statements_of_the_full_algorithm(name: str) -> None:
    walker = Walker(STORE)
    assert fast(TAKEN[name], walker) == full(TAKEN[name])
    walker.check(TAKEN[name])


def test_texts_are_not_searched_for_escapes_where_the_caller_knows_that_there_are_none() -> None:
    document = TAKEN["objects that are alike"]
    assert Walker(STORE).statements(document, is_bare=True) == Walker(STORE).statements(document)
    for text in ('"', "\\", "\n", "\x00", "\x7f"):
        assert Canonicalizer(STORE).nquads(credential(name=f"a{text}b")) == full(credential(name=f"a{text}b"))


LEFT = {
    "a null": credential(name=None),
    "an array in an array": credential(evidence=[[{"type": "Evidence"}]]),
    "a null in an array": credential(evidence=[None]),
    "a term that is not defined": credential(something="x"),
    "a term of a type in another object": credential(
        credentialSubject={"id": "urn:x", "achievement": "urn:y"}
    ),
    "a member that is an IRI": credential(**{"https://schema.org/name": "x"}),
    "a member that is a compact IRI": credential(**{"schema:name": "x"}),
    "a member that is a keyword": credential(**{"@type": "x"}),
    "a keyword that refuses documents": credential(**{"@included": [{"id": "urn:x"}]}),
    "a vocabulary's term that is no plain name": credential(UNDEFINED_TERMS, **{"some thing": "x"}),
    "an identifier that is relative": credential(id="credential"),
    "an identifier that is a blank node": credential(id="_:b"),
    "an identifier that could end a statement": credential(id="urn:x> <urn:y"),
    "an identifier that is no string": credential(id=["urn:x"]),
    "an identifier that is null": credential(id=None),
    "an identifier for a value that is relative": credential(issuer="school"),
    "a number for an identifier": credential(issuer=1),
    "a value that is the alias of a keyword": {
        "@context": V2,
        "type": "DataIntegrityProof",
        "proofPurpose": "type",
    },
    "a type that is the alias of a keyword": credential(type=["VerifiableCredential", "id"]),
    "a type that is no string": credential(type=["VerifiableCredential", {"id": "urn:x"}]),
    "a type that is not defined": credential(type=["VerifiableCredential", "Unknown"]),
    "a type that is null": credential(type=None),
    "types in arrays": credential(type=[["VerifiableCredential"]]),
    "a datatype in a value object": credential(name={"@value": "x", "@type": "urn:x"}),
    "a number in a value object": credential(name={"@value": 1}),
    "a direction that there is not": credential(name={"@value": "x", "@direction": "up"}),
    "a language that is no tag": credential(name={"@value": "x", "@language": "a b"}),
    "a list object": credential(name={"@list": ["x"]}),
    "a JSON literal": credential(
        type=["VerifiableCredential", "JsonSchemaCredential"],
        credentialSubject={"id": "urn:x", "type": "JsonSchema", "jsonSchema": {"a": 1}},
    ),
    "a context of the document's own": credential() | {"@context": [V2, {"something": "urn:x:s"}]},
    "a context that is not pinned": credential() | {"@context": [V2, "https://unknown.example/v1"]},
    "a null context": credential() | {"@context": [V2, None]},
    "no context": {"id": "urn:x:y", "type": "VerifiableCredential"},
    "a context inside an object that defines protected terms anew": credential(
        credentialSubject={"@context": "https://www.w3.org/2018/credentials/v1", "id": "urn:x:y"}
    ),
    "a presentation with a text for a credential": {
        "@context": V2,
        "type": "VerifiablePresentation",
        "verifiableCredential": "urn:x:y",
    },
    "a document that states nothing": {"@context": [V2], "id": "urn:x:y"},
    "a document that states nothing, in an array": {"@context": [V2], "id": "urn:x:y", "evidence": []},
    "a value that is no JSON": credential(name=("x",)),
}


@pytest.mark.parametrize("name", LEFT)
def test_these_are_left_to_the_full_algorithm(name: str) -> None:
    walker = Walker(STORE)
    with pytest.raises(OutsideSubset):
        walker.statements(LEFT[name])
    with pytest.raises(OutsideSubset):
        walker.check(LEFT[name])


PLAIN = {
    "a badge": (badge(3), True),
    "a type that is an IRI": (TAKEN["a type that is an IRI"], False),
    "a text with a language": (TAKEN["a text with a language"], False),
    "a value object around nothing but a value": (TAKEN["a text in a value object"], False),
    "a context inside an object": (credential(credentialSubject={"@context": V2, "id": "urn:x:y"}), False),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_is_what_the_walk_is_sure_of(name: str) -> None:
    document, expected = PLAIN[name]
    assert Walker(STORE).statements(document).is_plain is expected


def test_contexts_are_forgotten_before_a_stranger_fills_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walker_module, "MAX_PLACES", 40)
    walker = Walker(STORE)
    first = walker._root
    assert fast(badge(1), walker) == full(badge(1))
    for n in range(60):
        fast(
            credential(type=["VerifiableCredential"] * (1 + n % 8) + ["OpenBadgeCredential"] * (n % 3)),
            walker,
        )
        assert walker._root.tally.places <= 2 * 40
    assert walker._root is not first
    assert fast(badge(1), walker) == full(badge(1))


def test_a_document_that_needs_too_many_contexts_is_left_to_the_limits_of_the_full_algorithm(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(walker_module, "MAX_PLACES", 5)
    walker = Walker(STORE)
    with pytest.raises(OutsideSubset):
        walker.statements(badge(1))
    with pytest.raises(OutsideSubset):  # and again, from the beginning
        walker.statements(badge(1))


def test_long_lists_of_types_and_types_that_nobody_defined_are_not_kept() -> None:
    walker = Walker(STORE)
    for types in (["VerifiableCredential"] * 20, ["VerifiableCredential", "urn:x:Type"]):
        assert fast(credential(type=types), walker) == full(credential(type=types))
    fast(credential(), walker)
    (place,) = walker._root._extended.values()
    assert set(place._typed) == {("VerifiableCredential", "OpenBadgeCredential"), ("Profile",)}


@pytest.mark.parametrize("context", [V2, [V2], [V2, OB]])
def test_contexts_are_compiled_once(context: Any) -> None:
    walker = Walker(STORE)
    document = {"@context": context, "type": "VerifiableCredential", "issuer": "did:example:school"}
    walker.statements(document)
    places = walker._root.tally.places
    walker.statements(document)
    assert walker._root.tally.places == places


def test_lists_of_many_contexts_are_not_kept() -> None:
    walker = Walker(STORE)
    document = credential(*[OB] * 20)
    assert fast(document, walker) == full(document)
    assert not walker._root._extended
