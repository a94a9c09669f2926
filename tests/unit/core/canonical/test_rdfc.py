from __future__ import annotations

import csv
import hashlib
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyoxigraph
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyld import jsonld

from node.core import problem
from node.core.canonical import expansion, labelling
from node.core.canonical.contexts import ContextStore
from node.core.canonical.expansion import MAX_VALUES, Expander, statements
from node.core.canonical.labelling import MAX_STEPS, canonicalize_quads
from node.core.canonical.nquads import encode_quad, literal_term, parse_nquads
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.selective import hmac_labels, label_statements
from node.core.errors import BonafidesError, Malformed
from schemas import context_digests, load_contexts

V2 = "https://www.w3.org/ns/credentials/v2"
OB = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
STORE = ContextStore(load_contexts(), context_digests())
CANONICALIZER = Canonicalizer(STORE)


def canonical(text: str, hash_name: str = "sha256") -> str:
    """The canonical form of a dataset in N-Quads."""
    return canonicalize_quads(parse_nquads(text), hash_name)[0]


def rdfc_tests(vectors: Path) -> list[dict[str, str]]:
    with (vectors / "rdfc10" / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_published_evaluation_test(vectors: Path) -> None:
    folder = vectors / "rdfc10" / "rdfc10"
    rows = [row for row in rdfc_tests(vectors) if row["rdfc10"] == "TRUE"]
    assert len(rows) > 60
    for row in rows:
        hash_name = row["hashAlgorithm"].lower() or "sha256"
        text = (folder / f"{row['test']}-in.nq").read_text()
        expected = (folder / f"{row['test']}-rdfc10.nq").read_text()
        assert canonical(text, hash_name) == expected, row["test"]


def test_every_published_map_of_labels(vectors: Path) -> None:
    folder = vectors / "rdfc10" / "rdfc10"
    rows = [row for row in rdfc_tests(vectors) if row["rdfc10map"] == "TRUE"]
    assert rows
    for row in rows:
        quads = parse_nquads((folder / f"{row['test']}-in.nq").read_text())
        _, labels = canonicalize_quads(quads, row["hashAlgorithm"].lower() or "sha256")
        expected = json.loads((folder / f"{row['test']}-rdfc10map.json").read_text())
        assert {name[2:]: label[2:] for name, label in labels.items()} == expected, row["test"]


def test_published_poison_graph_is_refused(vectors: Path) -> None:
    rows = [row for row in rdfc_tests(vectors) if "Negative" in row["rdfc10"]]
    assert rows
    for row in rows:
        with pytest.raises(Malformed, match="work limit"):
            canonical((vectors / "rdfc10" / "rdfc10" / f"{row['test']}-in.nq").read_text())


def clique(size: int) -> str:
    pairs = [(a, b) for a in range(size) for b in range(size) if a != b]
    return "".join(f"_:b{a} <urn:p> _:b{b} .\n" for a, b in pairs)


def chain(size: int) -> str:
    return "".join(f"_:{side}{n} <urn:p> _:{side}{n + 1} .\n" for side in "xy" for n in range(size))


def star(size: int) -> str:
    return "".join(f"_:h{hub} <urn:p> _:l{hub}x{n} .\n" for hub in range(2) for n in range(size))


@pytest.mark.parametrize("text", [clique(10), clique(60), chain(3000), star(9), star(4000)])
def test_symmetric_graphs_are_refused_after_bounded_work(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[int] = []

    def counted(data: bytes) -> Any:
        hashed.append(len(data))
        return hashlib.sha256(data)

    monkeypatch.setitem(labelling._HASHES, "sha256", counted)
    with pytest.raises(Malformed, match="work limit"):
        canonical(text)
    assert len(hashed) <= MAX_STEPS
    assert sum(hashed) <= 10 * MAX_STEPS, "bytes"


TERMS = st.sampled_from(["_:a", "_:b", "_:c", "_:d", "<urn:x>", "<urn:y>"])
QUADS = st.tuples(
    TERMS, st.sampled_from(["<urn:p>", "<urn:q>"]), TERMS, st.sampled_from(["", "_:a", "<urn:g>"])
)


@settings(max_examples=150, deadline=None)
@given(st.lists(QUADS, min_size=1, max_size=8))
def test_labels_are_those_of_pyoxigraph(quads: list[tuple[str, str, str, str]]) -> None:
    text = "".join(map(encode_quad, quads))
    dataset = pyoxigraph.Dataset(pyoxigraph.parse(text, pyoxigraph.RdfFormat.N_QUADS))
    dataset.canonicalize(pyoxigraph.CanonicalizationAlgorithm.RDFC_1_0)
    assert canonical(text) == "".join(sorted(str(dataset).splitlines(keepends=True)))


@settings(max_examples=150, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_literal_survives_its_text(value: str) -> None:
    term = literal_term(value)
    assert parse_nquads(f"<urn:s> <urn:p> {term} .\n") == [("<urn:s>", "<urn:p>", term, "")]


def test_escapes_are_those_of_canonical_nquads() -> None:
    assert (
        literal_term('\b\t\n\f\r"\\\x00\x1f\x7f\u0080é')
        == '"\\b\\t\\n\\f\\r\\"\\\\\\u0000\\u001F\\u007F\u0080é"'
    )


@pytest.mark.parametrize(
    "text",
    [
        "<urn:s> <urn:p> .",
        "<s> <urn:p> <urn:o> .",
        '"s" <urn:p> <urn:o> .',
        "<urn:s> _:p <urn:o> .",
        '<urn:s> <urn:p> "a\\x" .',
        '<urn:s> <urn:p> "\\uD800" .',
        '<urn:s> <urn:p> "a"^^<b> .',
        "<urn:s> <urn:p> <urn:\\u0020> .",
        "<urn:s> <urn:p> <urn:o>",
        "<urn:s> <urn:p> <urn:o> . x",
    ],
)
def test_text_that_is_no_nquads_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        parse_nquads(text)


# JSON-LD ----------------------------------------------------------------------------------------------------


def credential(**members: Any) -> dict[str, Any]:
    return {
        "@context": [V2, OB],
        "type": ["VerifiableCredential"],
        "issuer": "did:example:i",
        "credentialSubject": {"id": "did:example:s"},
        **members,
    }


LOSSES = {
    "undefined term": {"unheardOf": 1},
    "undefined term of a subject": {"credentialSubject": {"id": "did:example:s", "unheardOf": 1}},
    "relative type": {"type": ["VerifiableCredential", "Unheard"]},
    "relative id": {"id": "credentials/1"},
    "relative reference": {"issuer": "school"},
    "empty id": {"id": ""},
    "id with a space": {"id": "urn:x: y"},
    "id that would write a statement": {"id": "urn:x><urn:p><urn:o>.<urn:y"},
    "id with a line feed": {"id": "urn:x\n"},
    "null value object": {"name": {"@value": None, "@language": "en"}},
    "language without value": {"name": {"@language": "en"}},
    "direction without value": {"name": {"@direction": "ltr", "@language": "en"}},
    "language that is none": {"name": {"@value": "x", "@language": "not a tag"}},
    "language with a type": {"name": {"@value": "x", "@type": "urn:t"}, "description": {"@language": "en"}},
}


@pytest.mark.parametrize("members", LOSSES.values(), ids=LOSSES)
def test_what_would_be_lost_is_an_error(members: dict[str, Any]) -> None:
    with pytest.raises(Malformed) as caught:
        CANONICALIZER.nquads(credential(**members))
    assert caught.value.problem.type == problem.DATA_LOSS_DETECTION_ERROR


REFUSED = ["@included", "@nest", "@reverse", "@graph", "@index"]


@pytest.mark.parametrize("keyword", REFUSED)
@pytest.mark.parametrize("where", ["document", "subject", "alias", "container", "nested context"])
def test_constructs_that_move_statements_are_refused(keyword: str, where: str) -> None:
    document = credential()
    if where == "document":
        document[keyword] = []
    elif where == "subject":
        document["credentialSubject"][keyword] = {}
    elif where == "alias":
        document["@context"].append({"alias": keyword})
    elif where == "container":
        document["@context"].append({"term": {"@id": "urn:t", "@container": keyword}})
    else:
        document["credentialSubject"]["@context"] = [{"term": {"@id": "urn:t", "@context": {"a": keyword}}}]
    with pytest.raises(Malformed, match=keyword):
        CANONICALIZER.nquads(document)


def test_a_reserved_word_in_a_context_is_an_error() -> None:
    document = credential()
    document["@context"].append({"@unheard": "urn:x:"})
    with pytest.raises(Malformed):
        CANONICALIZER.nquads(document)


def test_a_protected_term_cannot_be_redefined() -> None:
    document = credential()
    document["@context"].append({"VerifiableCredential": "urn:x:vc"})
    with pytest.raises(Malformed, match="protected term"):
        CANONICALIZER.nquads(document)


def test_a_document_without_statements_is_an_error() -> None:
    with pytest.raises(Malformed):
        CANONICALIZER.nquads({"@context": [V2], "id": "urn:x:y"})


def test_a_check_passes_what_has_statements_and_refuses_what_would_lose_some() -> None:
    CANONICALIZER.check(credential(name="x"))
    CANONICALIZER.check(credential(name={"@value": "x", "@type": "http://www.w3.org/2001/XMLSchema#token"}))
    with pytest.raises(Malformed, match="lost"):
        CANONICALIZER.check(credential(unknownTerm="x"))
    with pytest.raises(Malformed, match="lost"):
        CANONICALIZER.check({"@context": [V2], "id": "urn:x:y"})
    with pytest.raises(Malformed, match="values"):
        CANONICALIZER.check(credential(name=["x"] * MAX_VALUES))


def test_too_many_values_are_refused() -> None:
    with pytest.raises(Malformed, match="values"):
        CANONICALIZER.nquads(credential(name=["x"] * MAX_VALUES))


def test_too_many_contexts_to_process_are_refused() -> None:
    profiles = [{"type": ["Profile"], "id": f"did:example:{n}"} for n in range(4000)]
    with pytest.raises(Malformed, match="contexts"):  # a limit of the full algorithm's work alone
        Expander(STORE).expand(credential(credentialSubject=profiles))


def test_base_direction_becomes_an_i18n_datatype() -> None:
    text = CANONICALIZER.nquads(credential(name={"@value": "x", "@language": "ar-EG", "@direction": "rtl"}))
    assert '"x"^^<https://www.w3.org/ns/i18n#ar-eg_rtl>' in text


def test_contexts_of_a_document_do_not_outlive_it() -> None:
    canonicalizer = Canonicalizer(STORE)
    before = canonicalizer.nquads(credential(id="urn:x:1"))
    document = credential(id="urn:x:1")
    document["@context"].append({"foo": "urn:x:foo"})
    assert canonicalizer.nquads(document) == before
    with pytest.raises(Malformed):
        canonicalizer.nquads(credential(foo="bar"))


def test_pyld_is_not_imported_before_its_first_use() -> None:
    code = "import sys, node.core.canonical.plain, node.core.dataintegrity; sys.exit('pyld' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def by_pyld(document: dict[str, Any]) -> str:
    files = load_contexts()

    def load(url: str, options: object) -> dict[str, Any]:
        return {"contextUrl": None, "documentUrl": url, "document": json.loads(files[url])}

    options = {
        "algorithm": "URDNA2015",
        "format": "application/n-quads",
        "documentLoader": load,
        "base": None,
    }
    text: str = jsonld.normalize(document, options)
    return text


def test_published_badges_have_the_statements_that_pyld_makes(vectors: Path) -> None:
    compared = 0
    for file in sorted((vectors / "ob3-1edtech").rglob("*.json")):
        document = json.loads(file.read_text())
        document.pop("proof", None)
        try:
            ours = CANONICALIZER.nquads(document)
        except BonafidesError:
            continue
        assert ours == by_pyld(document), file.name
        compared += 1
    assert compared >= 15


NUMBERS = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False, width=32)
PLAIN_TEXT = st.text(
    st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=["Cs"]), max_size=5
)
INLINE = {
    "p": "urn:x:p",
    "l": {"@id": "urn:x:l", "@container": "@list"},
    "j": {"@id": "urn:x:j", "@type": "@json"},
}
NODES = st.recursive(
    NUMBERS | st.booleans() | PLAIN_TEXT,
    lambda inner: st.dictionaries(
        st.sampled_from(["p", "l", "j"]), inner | st.lists(inner, max_size=2), max_size=2
    ),
    max_leaves=6,
)


@settings(max_examples=60, deadline=None)
@given(NODES)
def test_statements_are_those_of_pyld(value: Any) -> None:
    document = {"@context": INLINE, "@id": "urn:x:s", "p": ["one", value]}
    try:
        ours = CANONICALIZER.nquads(document)
    except Malformed:
        return
    assert ours == by_pyld(document)


KEYS = (
    st.sampled_from(
        ["@id", "@type", "@value", "@list", "@set", "@context", "@language", "id", "type", "name"]
    )
    | PLAIN_TEXT
)
HOSTILE = st.recursive(
    st.none()
    | NUMBERS
    | st.booleans()
    | PLAIN_TEXT
    | st.sampled_from([V2, OB, "@json", "@id", "_:b", "VerifiableCredential"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(KEYS, HOSTILE, max_size=4), HOSTILE)
def test_hostile_documents_raise_errors_of_ours(document: dict[str, Any], context: Any) -> None:
    expander = Expander(STORE)
    for hostile in (document, {"@context": [V2, context], **credential(), "evidence": document}):
        with suppress(BonafidesError):
            statements(expander.expand(hostile))


def test_threads_may_share_a_canonicalizer() -> None:
    shared = Canonicalizer(STORE)
    documents = [
        {"@context": [V2, OB], "id": f"urn:x:{n}", "type": ["VerifiableCredential"], "name": f"badge {n}"}
        for n in range(40)
    ]
    expected = [CANONICALIZER.nquads(document) for document in documents]
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(shared.nquads, documents * 5)) == expected * 5


def with_a_context(number: int, **members: Any) -> dict[str, Any]:
    """A document outside the fast path."""
    own = {f"term{number}": "https://school.example/terms#x"}
    return {**credential(**members), "@context": [V2, own], "id": f"urn:x:{number}"}


def alike(number: int) -> dict[str, Any]:
    """A document whose unnamed objects are told apart by search alone."""
    about = {"type": ["AchievementSubject"], "result": [{"type": ["Result"]} for _ in range(4)]}
    return credential(id=f"urn:x:{number}", credentialSubject=[about, about])


class TestOneReport:
    """What a stranger shows may be many documents: together they have an end."""

    def test_its_documents_need_no_more_than_a_share_of_work(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(expansion, "MAX_CONTEXTS_OF_REPORT", 40)
        bounded = CANONICALIZER.for_one_report()
        with suppress(Malformed):
            for number in range(12):
                bounded.nquads(with_a_context(number))
        assert number > 0, "one document alone has what it needs"
        with pytest.raises(Malformed, match="too many contexts"):
            bounded.nquads(with_a_context(99))
        assert bounded.nquads(credential(name="x")), "the fast path needs none"
        assert CANONICALIZER.for_one_report().nquads(with_a_context(99)), (
            "another report has a share of its own"
        )
        for number in range(12):
            assert CANONICALIZER.nquads(with_a_context(number)), "who issues has no such end"

    def test_its_symmetric_documents_share_an_end_to_labelling(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(labelling, "MAX_STEPS_OF_REPORT", 4_000)
        bounded = CANONICALIZER.for_one_report()
        with suppress(Malformed):
            for number in range(50):
                bounded.nquads(alike(number))
        assert 0 < number < 49, "one document alone has what it needs"
        with pytest.raises(Malformed, match="work limit"):
            bounded.nquads(alike(99))
        with pytest.raises(Malformed, match="work limit"):
            label_statements(alike(98), hmac_labels(b"x" * 32), bounded)
        assert bounded.nquads(credential(name="x")), "a document without symmetry needs none"
        assert CANONICALIZER.for_one_report().nquads(alike(99)), "another report has a share of its own"
        for number in range(50):
            assert CANONICALIZER.nquads(alike(number)), "who issues has no such end"

    def test_a_large_document_is_worked_on_once(self) -> None:
        large = with_a_context(1, name="x" * 100_000)
        bounded = CANONICALIZER.for_one_report()
        assert bounded.canonical(large) is bounded.canonical(large)
        assert bounded.canonical(large).nquads == CANONICALIZER.nquads(large)
        bounded.canonical(with_a_context(2, name="y" * 100_000))
        assert bounded.canonical(large).nquads == CANONICALIZER.nquads(large)
