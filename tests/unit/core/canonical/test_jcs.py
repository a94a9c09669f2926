from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.canonical import jcs
from node.core.errors import Malformed
from node.core.strict_json import parse_json

FLOATS = st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | FLOATS | st.text(max_size=8)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
)


@pytest.mark.parametrize("name", ["arrays", "french", "structures", "unicode", "values", "weird"])
def test_published_vector(vectors: Path, name: str) -> None:
    # One input has 1E30, which the strict parser refuses.
    value = json.loads((vectors / "jcs" / "input" / f"{name}.json").read_bytes())
    expected = (vectors / "jcs" / "output" / f"{name}.json").read_bytes()
    assert jcs.canonicalize(value) == expected
    assert jcs.canonicalize(value) == bytes.fromhex((vectors / "jcs" / "outhex" / f"{name}.txt").read_text())


@settings(max_examples=300, deadline=None)
@given(VALUES)
def test_fast_path_writes_what_the_reference_writes(value: object) -> None:
    assert jcs.canonicalize(value) == rfc8785.dumps(value)  # type: ignore[arg-type]


@settings(max_examples=500, deadline=None)
@given(FLOATS)
def test_every_float_is_written_as_ecmascript_writes_it(number: float) -> None:
    assert jcs.canonicalize([number]) == rfc8785.dumps([number])


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_canonical_form_parses_to_itself(value: object) -> None:
    form = jcs.canonicalize({"v": value})
    # Integral doubles beyond 2^53 have a canonical form and are refused by the strict parser.
    try:
        again = parse_json(form)
    except Malformed:
        return
    assert jcs.canonicalize(again) == form


@pytest.mark.parametrize(
    ("value", "form"),
    [
        ({"b": 1, "a": 2}, b'{"a":2,"b":1}'),
        ({"\ufb33": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ufb33":1}'.encode()),  # UTF-16 order, §3.2.3
        ([1.0, -0.0, 1e21, 1e-7, 0.00001, 100000.5], b"[1,0,1e+21,1e-7,0.00001,100000.5]"),
        ('\u007f\u0000\u001f\u2028"\\/', b'"\x7f\\u0000\\u001f\xe2\x80\xa8\\"\\\\/"'),
        ({}, b"{}"),
    ],
    ids=["order", "utf-16-order", "numbers", "strings", "empty"],
)
def test_rule_of_rfc_8785(value: object, form: bytes) -> None:
    assert jcs.canonicalize(value) == form


def _deep() -> object:
    value: object = 1
    for _ in range(100_000):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        math.nan, math.inf, 2**53, -(2**53), "\ud800", {"\udfff": 1}, {1: 2}, {b"a": 1}, b"bytes",
        {"a": {1, 2}}, datetime(2026, 1, 1, tzinfo=UTC), object(), _deep(),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_has_no_canonical_form_is_malformed(value: object) -> None:
    with pytest.raises(Malformed):
        jcs.canonicalize(value)
