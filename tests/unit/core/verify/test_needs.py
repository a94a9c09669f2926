"""What a verification asks for, and what it never does (FORMATS.md sections 9 and 10, DESIGN.md property 1)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fixtures.verification import (
    KEY_SCHOOL,
    LEARNER,
    LIST_URL,
    NOW,
    SCHOOL,
    Signatory,
    Story,
    agreed,
    did_document,
    ethr_document,
    of_key_school,
    signing_key,
    status_list,
    without_status,
)

from node.core.verify import engine
from node.core.verify.intake import read_intake
from node.core.verify.materials import (
    DocumentNeed,
    HeaderNeed,
    Materials,
    Missing,
    Mode,
    StateNeed,
    StatusListNeed,
)
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import Acceptance, CheckName, Outcome
from node.core.verify.trust import TrustEntry, TrustList

WEB = Signatory("did:web:school.example", "key-1", signing_key("web school"))
LISTED = TrustList((TrustEntry(WEB.did, "The web school"),))


def by_web(**changes: Any) -> Story:
    fields: dict[str, Any] = {
        "issuer": WEB,
        "mode": Mode.FULL,
        "trust": LISTED,
        "documents": {WEB.did: agreed(did_document(WEB.did, WEB))},
        "lists": {LIST_URL: status_list(WEB)},
    }
    return Story(**{**fields, **changes})


def listed(**changes: Any) -> Story:
    fields: dict[str, Any] = {
        "write": lambda _: None,
        "mode": Mode.FULL,
        "lists": {LIST_URL: status_list(KEY_SCHOOL)},
    }
    return of_key_school(**{**fields, **changes})


STORIES: dict[str, Story] = {
    "bundle": Story(),
    "presented": Story(holder=LEARNER),
    "without bundle": Story(bundled=False, documents={SCHOOL.did: agreed(ethr_document(SCHOOL))}),
    "did:key": of_key_school(),
    "did:key with a list": listed(),
    "did:web": by_web(),
    "did:web and any issuer": by_web(trust=None, policy=ANY_ISSUER_UNSAFE),
}


@pytest.mark.parametrize("name", STORIES)
def test_nothing_is_needed_offline(name: str) -> None:
    story = replace(STORIES[name], mode=Mode.OFFLINE, needed=[])
    story.report()
    assert story.needed == []


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("mode", [Mode.CHAIN, Mode.MIRROR])
def test_only_the_chain_and_mirrors_are_asked_below_full(name: str, mode: Mode) -> None:
    story = replace(STORIES[name], mode=mode, needed=[])
    story.report()
    for need in story.needed:
        on_chain = isinstance(need, DocumentNeed) and need.did.startswith("did:ethr:")
        mirrored = mode is Mode.MIRROR and isinstance(need, StatusListNeed)
        assert on_chain or mirrored or isinstance(need, HeaderNeed | StateNeed)


@pytest.mark.parametrize("name", STORIES)
@pytest.mark.parametrize("mode", Mode)
def test_answers_and_refusals_both_reach_the_fixed_point(name: str, mode: Mode) -> None:
    """`Story.report` asserts that nothing is asked for twice, and ends."""
    for changes in ({}, {"endpoint": False, "documents": {}, "lists": {}}):
        story = replace(STORIES[name], mode=mode, needed=[], **changes)
        story.report()
        intake, verifier = read_intake(story.shown_bytes()), story.verifier()
        refused = Materials({need: Missing("nobody answered") for need in story.needed})
        assert set(engine.needs(intake, refused, verifier, now=NOW)) <= set(story.needed)


def change_name(document: dict[str, Any]) -> None:
    document["name"] = "Changed"


@pytest.mark.parametrize(
    "story",
    [
        listed(tamper=change_name),
        by_web(tamper=change_name),
        listed(tamper=lambda d: d.pop("proof")),
        listed(trust=None),
        listed(trust=LISTED),
        by_web(trust=None),
    ],
    ids=[
        "changed",
        "changed, did:web",
        "unsigned",
        "no trust list",
        "issuer not listed",
        "did:web not listed",
    ],
)
def test_no_list_is_asked_for_before_signature_and_issuer_are_known(story: Story) -> None:
    story.needed = []
    report = story.report()
    assert not any(isinstance(need, StatusListNeed) for need in story.needed)
    assert report[CheckName.STATUS].outcome is Outcome.UNKNOWN


def test_the_list_of_a_listed_issuer_is_asked_for_after_its_signature() -> None:
    story = by_web()
    report = story.report()
    assert story.needed == [DocumentNeed(WEB.did), StatusListNeed(LIST_URL)]
    assert report.acceptance is Acceptance.ACCEPTED


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({"trust": None}, False),
        ({"trust": TrustList((TrustEntry(KEY_SCHOOL.did, "Another"),))}, False),
        ({}, True),
        ({"trust": None, "policy": ANY_ISSUER_UNSAFE}, True),
    ],
    ids=["no list", "another is listed", "listed", "any issuer"],
)
def test_a_did_web_is_fetched_only_for_issuers_that_may_be(changes: dict[str, Any], asked: bool) -> None:
    story = by_web(write=without_status, **changes)
    story.report()
    assert (DocumentNeed(WEB.did) in story.needed) is asked


def test_the_state_is_asked_by_the_hash_of_the_block() -> None:
    """And for the counter of the identity and the slots that decide, in one question."""
    story = Story(mode=Mode.CHAIN)
    report = story.report()
    header, state = story.needed
    assert isinstance(header, HeaderNeed)
    assert isinstance(state, StateNeed)
    assert report.header is not None
    assert "0x" + state.block_hash.hex() == report.header.hash
    assert len(set(state.slots)) == len(state.slots) == 6


def test_what_the_mode_forbids_is_said_not_to_be_at_hand() -> None:
    report = listed(mode=Mode.CHAIN).report()
    assert "mode chain does not ask for it" in report[CheckName.STATUS].basis
