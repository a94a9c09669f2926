"""`verify()` judges whatever it is shown and raises nothing: documents, bundles and answers, mutated at random."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from fixtures.verification import (
    CHAIN_ID,
    KEY_SCHOOL,
    LEARNER,
    LIST_URL,
    NETWORK,
    NOW,
    OWN_BLOCK,
    LedgerState,
    Mode,
    Story,
    anchor_word,
    key_word,
    list_word,
    of_key_school,
    status_list,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from node.core.errors import Malformed
from node.core.verify import engine
from node.core.verify.intake import intake_of, read_intake
from node.core.verify.materials import (
    Answer,
    HeaderAnswer,
    HeaderNeed,
    Materials,
    Missing,
    Need,
    StateAnswer,
    StateNeed,
    StatusListAnswer,
)
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import Acceptance, CheckName, Outcome
from node.core.verify.wording import verdict_of

Json = dict[str, Any]
STORIES: dict[str, Story] = {
    "bundle": Story(mode=Mode.FULL),
    "RDF": Story(options={"cryptosuite": "eddsa-rdfc-2022"}, mode=Mode.CHAIN),
    "hop": Story(hop=LedgerState(number=5_000), checkpoint="hop"),
    "presented": Story(holder=LEARNER),
    "presented as RDF": Story(
        holder=LEARNER, presentation_options={"cryptosuite": "eddsa-rdfc-2022"}, bundled=False
    ),
    "list": of_key_school(
        write=lambda _: None,
        mode=Mode.FULL,
        lists={LIST_URL: status_list(KEY_SCHOOL)},
        policy=ANY_ISSUER_UNSAFE,
    ),
    "several proofs": of_key_school(
        more_proofs=((KEY_SCHOOL, {"id": "urn:x:1"}), (KEY_SCHOOL, {"previousProof": "urn:x:1"}))
    ),
}
SHOWN = {name: json.loads(story.shown_bytes()) for name, story in STORIES.items()}
VERIFIERS = {name: story.verifier() for name, story in STORIES.items()}
CREDENTIALS = {name: story.credential() for name, story in STORIES.items()}


def _leaves() -> st.SearchStrategy[Any]:
    words = [
        *(
            "",
            "did:",
            "did:key:z6Mk",
            "did:ethr:foonet:0x12",
            "did:web:x.example",
            "did:ethr:0x1:0x" + "ab" * 20,
        ),
        *(
            "#",
            "did:key:z6Mkx#a b",
            "_:b0",
            "data:,x",
            "urn:x:1",
            "https://x.example/a",
            "0x",
            "0x" + "00" * 32,
        ),
        *("AAAA", "eddsa-jcs-2022", "eddsa-rdfc-2022", "EndorsementCredential", "VerifiablePresentation"),
        *("EnvelopedVerifiableCredential", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", "\u0663"),
        *("https://www.w3.org/2018/credentials/v1", "https://www.w3.org/ns/credentials/v2"),
    ]
    return st.one_of(
        st.sampled_from(words),
        st.none(),
        st.booleans(),
        st.sampled_from([0, -1, 1, 2**53 - 1, 0.5]),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=6),
    )


VALUES = st.recursive(
    _leaves(),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.sampled_from(["id", "type", "@context", "@id", "@value", "@included", "proof", "x"]),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=5,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The paths of all members and items."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in items:
        yield (*path, name)
        yield from places(one, (*path, name))


PLACES = {name: sorted(places(shown), key=str) for name, shown in SHOWN.items()}


@st.composite
def mutated(draw: st.DrawFn) -> tuple[str, Json]:
    """A story's file in which up to three members were replaced, removed or doubled."""
    name = draw(st.sampled_from(sorted(STORIES)))
    value = copy.deepcopy(SHOWN[name])
    for path in draw(st.lists(st.sampled_from(PLACES[name]), min_size=1, max_size=3)):
        change(
            value, path, draw(st.sampled_from(["replace", "replace", "remove", "array", "add"])), draw(VALUES)
        )
    return name, value


def change(value: Any, path: tuple[Any, ...], how: str, new: Any) -> None:
    """Change what stands at a path, as far as it still leads anywhere."""
    *way, last = path
    try:
        for step in way:
            value = value[step]
        if how == "remove":
            del value[last]
        elif how == "array":
            value[last] = [value[last], copy.deepcopy(value[last])]
        elif how == "add" and isinstance(value, dict):
            value["evidence"] = new
        else:
            value[last] = new
    except (KeyError, IndexError, TypeError):
        return


def judge(name: str, value: Json) -> None:
    """Ask, answer and judge; whatever comes of it is a whole report, and of the changed ones none is greener."""
    story, verifier = STORIES[name], VERIFIERS[name]
    try:
        intake = intake_of(value)
    except Malformed as error:
        report = engine.unreadable(error, verifier, now=NOW)
        assert report.acceptance is Acceptance.REFUSED
        return
    materials = Materials.none()
    for _ in range(6):
        missing = engine.needs(intake, materials, verifier, now=NOW)
        if not missing:
            break
        assert engine.attempt(intake, materials, verifier, now=NOW, asked=story.asked_of(intake)) == missing
        answers = {need: story.answer(need, CREDENTIALS[name]) for need in missing}
        materials = materials.extended(answers, ())
    assert not missing
    report = engine.verify(intake, materials, verifier, now=NOW, asked=story.asked_of(intake))
    assert engine.attempt(intake, materials, verifier, now=NOW, asked=story.asked_of(intake)) == report
    assert [check.name for check in report.checks] == list(CheckName)
    json.dumps(report.to_json())
    assert verdict_of(report).headline


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_a_mutated_file_is_judged(case: tuple[str, Json]) -> None:
    judge(*case)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.binary(max_size=60),
        st.text(max_size=60).map(str.encode),
        VALUES.map(lambda value: json.dumps(value).encode()),
    )
)
def test_bytes_are_malformed_or_judged(data: bytes) -> None:
    verifier = VERIFIERS["bundle"]
    try:
        intake = read_intake(data)
    except Malformed as error:
        report = engine.unreadable(error, verifier, now=NOW)
        assert report[CheckName.CONFORMANCE].outcome is Outcome.FAILED
        return
    report = engine.verify(intake, Materials.none(), verifier, now=NOW)
    assert report.acceptance is not Acceptance.ACCEPTED


# An endpoint may say anything at all ------------------------------------------------------------------------

WORDS = st.one_of(
    st.sampled_from([0, 1, anchor_word(), key_word(), list_word(), 2**256 - 1, 2**255, 1 << 143, 1 << 207]),
    st.integers(0, 2**256 - 1),
)


@settings(max_examples=60, deadline=None)
@given(
    heads=WORDS,
    anchor=WORDS,
    key=WORDS,
    closed=WORDS,
    listed=WORDS,
    bundled=st.booleans(),
    number=st.sampled_from([0, 1, 999, 1_000, OWN_BLOCK, 2**53 - 1]),
)
def test_any_words_in_the_slots_are_judged(
    heads: int, anchor: int, key: int, closed: int, listed: int, bundled: bool, number: int
) -> None:
    own = LedgerState(
        number=number,
        time=NOW,
        heads=heads,
        anchor=anchor,
        key=key,
        closed=closed,
        lists={("revocation", LIST_URL): listed},
    )
    report = Story(mode=Mode.CHAIN, checkpoint=None, own=own, bundled=bundled).report()
    if report.acceptance is Acceptance.ACCEPTED:
        assert bundled
        assert anchor
        assert key
        assert listed & 0xFF == 1


LIES: dict[str, Any] = {
    "no nodes": lambda answer: replace(answer, nodes=()),
    "a node twice": lambda answer: replace(answer, nodes=answer.nodes * 2),
    "junk nodes": lambda answer: replace(answer, nodes=(b"\xc0" * 40, *answer.nodes)),
    "short nodes": lambda answer: replace(answer, nodes=(b"",)),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_wrong_state_proof_leaves_unknown_and_names_the_endpoint(lie: str) -> None:
    def answers(found: dict[Need, Answer | Missing]) -> None:
        for need, answer in found.items():
            if isinstance(need, StateNeed) and isinstance(answer, StateAnswer):
                found[need] = LIES[lie](answer)

    report = Story(mode=Mode.CHAIN, checkpoint=None, bundled=False, answers=answers).report()
    assert report[CheckName.HEADER].outcome is Outcome.UNKNOWN
    assert "rpc.example gave a wrong proof" in report[CheckName.HEADER].basis
    assert report.acceptance is Acceptance.UNDETERMINED


def test_an_endpoint_with_another_header_than_it_proves_is_not_believed() -> None:
    def answers(found: dict[Need, Answer | Missing]) -> None:
        for need, answer in found.items():
            if isinstance(need, HeaderNeed) and isinstance(answer, HeaderAnswer):
                found[need] = replace(answer, newest=replace(answer.newest, state_root=bytes(32)))

    report = Story(mode=Mode.CHAIN, checkpoint=None, bundled=False, answers=answers).report()
    assert report[CheckName.HEADER].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    "document",
    [{}, {"credentialSubject": []}, {"proof": []}, {"proof": 7}, {"type": 3}, {"@context": {}}],
    ids=str,
)
def test_a_status_list_that_is_none_leaves_unknown(document: Json) -> None:
    found = {**status_list(KEY_SCHOOL), **document} if document else {}
    report = of_key_school(write=lambda _: None, mode=Mode.FULL, lists={LIST_URL: found}).report()
    assert report[CheckName.STATUS].outcome is Outcome.UNKNOWN
    assert StatusListAnswer(found, LIST_URL).content == found


def test_a_verifier_without_any_network_still_judges() -> None:
    report = Story(operator_networks={}, our_networks={}, mode=Mode.CHAIN).report()
    assert report[CheckName.NETWORK].outcome is Outcome.UNKNOWN
    assert NETWORK.chain_id == CHAIN_ID
    assert report.acceptance is Acceptance.UNDETERMINED
