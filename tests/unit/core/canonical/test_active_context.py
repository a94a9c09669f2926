from __future__ import annotations

import copy
import itertools
import json
from typing import Any

import pytest
from pyld import jsonld
from pyld.context_resolver import ContextResolver

from node.core.canonical.active_context import ActiveContext, OutsideSubset
from node.core.canonical.contexts import ContextStore
from schemas import context_digests, load_contexts

V1 = "https://www.w3.org/2018/credentials/v1"
V2 = "https://www.w3.org/ns/credentials/v2"
OB = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
UNDEFINED_TERMS = "https://www.w3.org/ns/credentials/undefined-terms/v2"
STORE = ContextStore(load_contexts(), context_digests())


class Judge:
    """pyld's context processing, with the pinned contexts."""

    def __init__(self) -> None:
        def load(url: str, options: object) -> dict[str, Any]:
            document = copy.deepcopy(STORE.get(url))
            return {
                "contentType": "application/ld+json",
                "contextUrl": None,
                "documentUrl": url,
                "document": document,
            }

        self.processor: Any = jsonld.JsonLdProcessor()
        self.options = {
            "base": None,
            "processingMode": "json-ld-1.1",
            "documentLoader": load,
            "contextResolver": ContextResolver({}, load),
        }
        self.initial: Any = self.processor._get_initial_context(self.options)

    def process(self, active: Any, context: Any, **how: bool) -> Any:
        return self.processor._process_context(active, context, self.options, **how)


JUDGE = Judge()


def definitions_of(active: Any) -> dict[str, tuple[Any, ...]]:
    return {
        term: (
            found["@id"],
            found.get("@type"),
            tuple(found.get("@container", ())),
            found["_prefix"],
            found["protected"],
        )
        for term, found in active["mappings"].items()
    }


def ours(active: ActiveContext) -> dict[str, tuple[Any, ...]]:
    return {
        term: (found.iri, found.type, found.container, found.prefix, found.protected)
        for term, found in active.definitions.items()
    }


def lists() -> list[list[str]]:
    pinned = sorted(STORE)
    around = [V1, V2, OB]
    pairs = [[a, b] for a, b in itertools.product(around, pinned) if a != b]
    return [[url] for url in pinned] + pairs + [[b, a] for a, b in pairs] + [[V2, OB, UNDEFINED_TERMS]]


@pytest.fixture(scope="module")
def processed() -> list[tuple[list[str], ActiveContext, Any]]:
    """Every pinned context alone, before and after the ones that most documents have, as both see it."""
    found = []
    for urls in lists():
        try:
            active = ActiveContext.initial(STORE).extended(urls)
        except OutsideSubset:
            continue
        found.append((urls, active, JUDGE.process(JUDGE.initial, urls)))
    return found


def test_terms_of_pinned_contexts_are_those_of_the_full_algorithm(processed: list[Any]) -> None:
    for urls, active, judged in processed:
        assert ours(active) == definitions_of(judged), urls
        assert active.vocab == judged.get("@vocab"), urls


def test_scoped_contexts_are_those_of_the_full_algorithm(processed: list[Any]) -> None:
    compared = set()
    for urls, active, judged in processed:
        for term, found in active.definitions.items():
            place = json.dumps([urls if len(urls) == 1 else urls[1], term])
            if found.scoped is None or place in compared:
                continue
            compared.add(place)
            scoped = judged["mappings"][term]["@context"]
            inside = active.scoped_to_property(found.scoped)
            assert ours(inside) == definitions_of(JUDGE.process(judged, scoped, override_protected=True)), (
                urls,
                term,
            )
            if scoped is False:
                continue
            try:
                typed = active.scoped_to_type(found.scoped)
            except OutsideSubset:  # a property's context that would define protected terms anew
                with pytest.raises(jsonld.JsonLdError):
                    JUDGE.process(judged, scoped, propagate=False)
                continue
            assert ours(typed) == definitions_of(JUDGE.process(judged, scoped, propagate=False)), (urls, term)
            assert typed.previous is active
    assert len(compared) > 100


def test_the_contexts_of_most_documents_are_in_the_subset(processed: list[Any]) -> None:
    known = [urls for urls, _, _ in processed]
    for urls in ([V1], [V2], [V2, OB], [V2, OB, UNDEFINED_TERMS], [V2, UNDEFINED_TERMS]):
        assert urls in known


def test_a_protected_term_defined_otherwise_is_left_to_the_full_algorithm() -> None:
    with pytest.raises(OutsideSubset):
        ActiveContext.initial(STORE).extended([V1, V2])


@pytest.mark.parametrize("context", ["https://unknown.example/v1", {"a": "urn:x:a"}, None, [None], 1])
def test_contexts_that_are_not_urls_of_pinned_ones_are_left_to_the_full_algorithm(context: Any) -> None:
    with pytest.raises(OutsideSubset):
        ActiveContext.initial(STORE).extended(context)


@pytest.mark.parametrize(
    "context",
    [
        {"a": {"@id": "urn:x:a", "@reverse": "urn:x:b"}},
        {"a": {"@id": "urn:x:a", "@language": "en"}},
        {"a": {"@id": "urn:x:a", "@nest": "@nest"}},
        {"a": {"@id": "urn:x:a", "@index": "b"}},
        {"a": {"@id": "urn:x:a", "@protected": "yes"}},
        {"a": {"@id": "a"}},
        {"a": "b", "b": "a"},
        {"a": {"@id": "b:x"}, "b": {"@id": "a:x"}},
        {"a": "relative"},
        {"a": "@graph"},
        {"a": "@container"},
        {"a": None},
        {"a": ["urn:x:a"]},
        {"a": {"@id": "urn:x:a", "@type": "relative"}},
        {"a": {"@id": "urn:x:a", "@type": "b"}, "b": "@type"},
        {"a:b": "urn:x:a"},
        {"a/b": "urn:x:a"},
        {"": "urn:x:a"},
        {"@version": 1.0},
        {"@language": "en"},
        {"@base": "urn:x:a"},
        {"@propagate": False},
        {"@import": V2},
        {"@vocab": ""},
        {"@vocab": None},
        {"@type": {"@container": "@set"}},
    ],
)
def test_what_pinned_contexts_do_not_use_is_left_to_the_full_algorithm(context: Any) -> None:
    with pytest.raises(OutsideSubset):
        ActiveContext.initial(STORE).scoped_to_property(context)


def test_a_null_context_clears_what_is_defined_unless_it_is_protected() -> None:
    active = ActiveContext.initial(STORE).extended(V2)
    assert not active.scoped_to_property([None]).definitions
    with pytest.raises(OutsideSubset):
        active.scoped_to_type([None])


@pytest.mark.parametrize("name", ["a b", "é", "\u00a0", "x:\u00a0", "@foo", ""])
def test_a_vocabulary_is_for_plain_names_alone(name: str) -> None:
    active = ActiveContext.initial(STORE).scoped_to_property({"@vocab": "urn:x:"})
    assert active.vocabulary_iri("Plain_name-1") == "urn:x:Plain_name-1"
    with pytest.raises(OutsideSubset):
        active.vocabulary_iri(name)
