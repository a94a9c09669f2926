"""Every byte of a bundle file matters, or changes nothing (FORMATS.md section 7).

Each case changes one byte of the file. What was accepted may stay so only if the report is the same, word by word;
what was not accepted must not become so. Of some bundles every byte is changed, of the others a few; every byte of each
in the test that is marked `exhaustive`, and with `BONAFIDES_EVERY_PLACE=1` every bit.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from fixtures.verification import (
    LEARNER,
    LIST_URL,
    LedgerState,
    Mode,
    Story,
    Verifier,
    engine,
    key_word,
    list_word,
    revoked,
)

from node.core.errors import Malformed
from node.core.verify.intake import read_intake
from node.core.verify.materials import Materials
from node.core.verify.report import Acceptance, Report

# A prime, so that all positions of short members are met by one story or another.
STRIDE = 61
# The bytes of a bundle are tried in so many parts, so that workers share them.
PARTS = 4
LONGEST = 64 * 1024


class Prepared:
    """A story whose verifier and answers are fixed once, so that many files can be judged by them."""

    def __init__(self, story: Story) -> None:
        self.data = story.shown_bytes()
        self.verifier: Verifier = story.verifier()
        credential = story.credential()
        story.report()
        self.now = story.now
        self.asked = story.asked_of(read_intake(self.data))
        self.materials = Materials({need: story.answer(need, credential) for need in story.needed})

    def judge(self, data: bytes) -> Report:
        try:
            intake = read_intake(data)
        except Malformed as error:
            return engine.unreadable(error, self.verifier, now=self.now)
        return engine.verify(intake, self.materials, self.verifier, now=self.now, asked=self.asked)


HOP = LedgerState(number=5_000)
STORIES: dict[str, Story] = {
    "offline": Story(),
    "hop": Story(hop=HOP, checkpoint="hop"),
    "chain": Story(mode=Mode.CHAIN, checkpoint=None),
    "presented": Story(holder=LEARNER),
    "revoked": Story(shown=LedgerState(values=revoked())),
    "retired": Story(shown=LedgerState(key=key_word(until=500))),
    "closed": Story(shown=LedgerState(closed=900)),
    "not anchored": Story(shown=LedgerState(anchor=0)),
    "list of another mode": Story(shown=LedgerState(lists={("revocation", LIST_URL): list_word(mode=2)})),
    "no checkpoint": Story(checkpoint=None),
    "other evidence": Story(spoil=lambda bundle: bundle["evidence"][0].update(name="other.py")),
}


WHOLE = ("offline", "hop", "revoked")
ACCEPTED = ("offline", "hop", "chain", "presented")


def changed(data: bytes, at: int, mask: int = 1) -> bytes:
    """By default one bit of a letter, such that a digit stays a digit and a letter a letter where that can be."""
    return data[:at] + bytes([data[at] ^ mask]) + data[at + 1 :]


def masks(at: int, bits: int) -> list[int]:
    """The lowest bit, which mostly leaves a digit a digit, and a letter a letter; then others, by turns."""
    return [1, *(1 << 1 + (at + turn) % 7 for turn in range(bits - 1))]


def shown(report: Report) -> dict[str, Any]:
    """All that a report says, but for the time it was made for."""
    body = report.to_json()
    del body["as_of"]
    return body


def try_bytes(name: str, places: Iterable[int], bits: int) -> None:
    """Change so many bits of each of these bytes, by turns; hold every report against the one on the whole file."""
    prepared = Prepared(replace(STORIES[name], needed=[]))
    assert len(prepared.data) <= LONGEST, "the bytes beyond would not be tried"
    before = prepared.judge(prepared.data)
    for at in places:
        if at >= len(prepared.data):
            return
        for mask in masks(at, bits):
            after = prepared.judge(changed(prepared.data, at, mask))
            if after.acceptance is not Acceptance.ACCEPTED:
                continue
            place = prepared.data[max(0, at - 40) : at + 10]
            assert before.acceptance is Acceptance.ACCEPTED, (place, mask)
            assert shown(after) == shown(before), (place, mask)


@pytest.mark.parametrize("name", STORIES)
def test_a_changed_byte_turns_nothing_green_and_changes_nothing_that_is(name: str) -> None:
    start = list(STORIES).index(name)
    try_bytes(name, range(start, LONGEST, STRIDE), 2)


@pytest.mark.sampled
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", WHOLE)
def test_every_single_byte_of_a_bundle_turns_nothing_green_and_changes_nothing_that_is(
    name: str, part: int
) -> None:
    try_bytes(name, range(part, LONGEST, PARTS), 1)


@pytest.mark.exhaustive
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("name", STORIES)
def test_every_single_byte_of_each_bundle_turns_nothing_green_and_changes_nothing_that_is(
    name: str, part: int
) -> None:
    bits = 2 if name in ACCEPTED else 1
    try_bytes(name, range(part, LONGEST, PARTS), 8 if os.environ.get("BONAFIDES_EVERY_PLACE") else bits)


def members(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[tuple[str | int, ...], Any]]:
    """Every text and number of a bundle, with where it stands."""
    if isinstance(value, dict):
        return [found for name, one in value.items() for found in members(one, (*path, name))]
    if isinstance(value, list):
        return [found for index, one in enumerate(value) for found in members(one, (*path, index))]
    return [(path, value)]


@pytest.mark.parametrize("name", ["offline", "hop", "chain"])
def test_each_member_is_met_at_its_beginning_middle_and_end(name: str) -> None:
    prepared = Prepared(replace(STORIES[name], needed=[]))
    before = prepared.judge(prepared.data)
    assert before.acceptance is Acceptance.ACCEPTED
    body = json.loads(prepared.data)
    for path, value in members(body):
        if not isinstance(value, str):
            continue
        # The strings of the file itself: a member that stands twice is met twice.
        text = json.dumps(value)[1:-1].encode()
        start = prepared.data.index(text)
        for at in {start, start + len(text) // 2, start + len(text) - 1}:
            after = prepared.judge(changed(prepared.data, at))
            if after.acceptance is Acceptance.ACCEPTED:
                assert shown(after) == shown(before), path


@pytest.mark.parametrize("member", ["key", "anchor", "state", "evidence"])
def test_a_bundle_without_a_member_is_not_accepted_but_for_evidence(member: str) -> None:
    def leave_out(bundle: dict[str, Any]) -> None:
        del bundle[member]

    report = Story(spoil=leave_out).report()
    assert (report.acceptance is Acceptance.ACCEPTED) == (member == "evidence")
