"""The fast path to canonical N-Quads and the full algorithm are one function on whatever the fast path takes.

`BONAFIDES_FAST_PATH_DOCUMENTS` says how many documents of each shape are tried; with `--junitxml=FILE` the file
tells how many of them the fast path took, left to the full algorithm, and how many are refused.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from fixtures.mutated_documents import SHAPES, mutated

from node.core.canonical.active_context import OutsideSubset
from node.core.canonical.contexts import ContextStore
from node.core.canonical.expansion import Expander, statements
from node.core.canonical.labelling import canonicalize_parts, canonicalize_quads
from node.core.canonical.plain import is_plain
from node.core.canonical.rdfc import Canonicalizer
from node.core.canonical.walker import Walker
from node.core.errors import BonafidesError
from schemas import context_digests, load_contexts

SINGLE = (
    *("issuer", "holder", "validFrom", "validUntil", "issuanceDate", "expirationDate"),
    *("statusListIndex", "statusListCredential", "statusSize"),
)
DOCUMENTS = int(os.environ.get("BONAFIDES_FAST_PATH_DOCUMENTS", "150"))
STORE = ContextStore(load_contexts(), context_digests())
CANONICALIZER = Canonicalizer(STORE)
WALKER = Walker(STORE)
EXPANDER = Expander(STORE)


def by_full_algorithm(document: dict[str, object]) -> str | None:
    try:
        return canonicalize_quads(statements(EXPANDER.expand(document)))[0]
    except BonafidesError:
        return None


def by_fast_path(document: dict[str, object]) -> str | None:
    try:
        parts = WALKER.statements(document)
    except OutsideSubset:
        return None
    try:
        return canonicalize_parts(parts.named, parts.unnamed)[0]
    except BonafidesError:
        return None


@pytest.mark.parametrize("shape", SHAPES)
def test_what_the_fast_path_calls_plain_is_plain_but_for_arrays_of_what_is_single(shape: str) -> None:
    called = 0
    for seed in range(DOCUMENTS):
        document = mutated(shape, seed)
        try:
            parts = WALKER.statements(document)
        except OutsideSubset:
            continue
        if parts.is_plain:
            called += 1
            assert is_plain(unwrapped(document)), f"{shape}, seed {seed}"
    assert called > DOCUMENTS // 20 or shape in ("presentation", "clr")


def unwrapped(value: Any) -> Any:
    """The value with the first item of each array for the array, where a reader expects a single value."""
    if isinstance(value, dict):
        return {
            name: unwrapped(inner[0] if isinstance(inner, list) and inner and name in SINGLE else inner)
            for name, inner in value.items()
            if not (name in SINGLE and inner == [])
        }
    return [unwrapped(inner) for inner in value] if isinstance(value, list) else value


def has_statements(document: dict[str, object]) -> bool:
    try:
        WALKER.statements(document)
    except OutsideSubset:
        return False
    return True


def is_covered(document: dict[str, object]) -> bool:
    try:
        WALKER.check(document)
    except OutsideSubset:
        return False
    return True


@pytest.mark.parametrize("shape", SHAPES)
def test_mutated_documents_have_one_canonical_form_or_are_left_to_the_full_algorithm(
    shape: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    seen: Counter[str] = Counter()
    for seed in range(DOCUMENTS):
        document = mutated(shape, seed)
        expected = by_full_algorithm(document)
        found = by_fast_path(document)
        assert found is None or found == expected == CANONICALIZER.nquads(document), f"{shape}, seed {seed}"
        seen["refused" if expected is None else "left" if found is None else "fast"] += 1
    for outcome, count in seen.items():
        record_testsuite_property(f"{shape}, {outcome}", count)
    # The generator must try both: documents that the fast path takes, and some that it must not.
    assert seen["fast"] > DOCUMENTS // 10
    assert seen["refused"] > DOCUMENTS // 10


@pytest.mark.parametrize("shape", SHAPES)
def test_a_check_covers_the_documents_that_have_statements_and_no_others(shape: str) -> None:
    for seed in range(DOCUMENTS):
        document = mutated(shape, seed)
        assert is_covered(document) == has_statements(document), f"{shape}, seed {seed}"


@pytest.mark.parametrize("shape", SHAPES)
def test_unchanged_documents_take_the_fast_path(shape: str) -> None:
    for n in range(10):
        assert by_fast_path(SHAPES[shape](n)) is not None
