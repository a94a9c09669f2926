"""Verdicts through random histories of a school and of those who have some of its keys, beside a model in Python.

The model knows what was written in which block, and nothing of slots, proofs or headers. Bundles are shown from one
block and judged at another, in both orders.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from fixtures.own_chain import Badge, Employer, OwnChain, School, Sent, with_status

from node.chain.transactions import address_of
from node.core.verify.report import Acceptance, CheckName, Outcome, Report

BLOCKS = 14
BADGES = 3
JUDGEMENTS = 12
PASSED, FAILED, UNKNOWN = Outcome.PASSED, Outcome.FAILED, Outcome.UNKNOWN


@dataclass
class Model:
    """What was written, by block."""

    begun: int
    """The block of key and lists."""
    until: int = 0
    closed: int = 0
    declared: list[tuple[int, int]] = field(default_factory=list)
    """Block of the declaration, and the block since which."""
    anchors: dict[int, int] = field(default_factory=dict)
    revoked: dict[int, int] = field(default_factory=dict)
    suspended: dict[int, list[tuple[int, bool]]] = field(default_factory=dict)

    def expected(self, badge: int, claimed: int, seen: list[int]) -> dict[CheckName, Outcome]:
        """The outcomes by the states of these blocks, the one that decides first."""
        newest = seen[0]
        block = self.anchors.get(badge, newest + 1)
        anchor = self._anchor(block, claimed, newest)
        return {
            CheckName.ANCHOR: anchor,
            CheckName.KEY: self._key(anchor, block, claimed, newest),
            CheckName.STATUS: self._status(badge, seen),
        }

    def _anchor(self, block: int, claimed: int, newest: int) -> Outcome:
        if block > newest:
            return FAILED if newest >= claimed else UNKNOWN
        return FAILED if 0 < self.closed <= newest and self.closed <= block else PASSED

    def _key(self, anchor: Outcome, block: int, claimed: int, newest: int) -> Outcome:
        if self.begun > newest:
            return UNKNOWN if newest < claimed and anchor is not PASSED else FAILED
        if anchor is not PASSED:
            return UNKNOWN
        since = min((since for at, since in self.declared if at <= newest), default=block + 1)
        ended = self.until if 0 < self.until <= newest else block + 1
        return PASSED if self.begun <= block < min(since, ended) else FAILED

    def _status(self, badge: int, seen: list[int]) -> Outcome:
        if self.begun > seen[0]:
            return UNKNOWN
        if any(0 < self.revoked.get(badge, 0) <= block for block in seen):
            return FAILED
        suspended = [value for block, value in self.suspended.get(badge, []) if block <= seen[0]]
        return FAILED if suspended and suspended[-1] else PASSED


class History:
    """A school, three badges, and whoever has a key."""

    def __init__(self, chain: OwnChain, seed: int) -> None:
        self.chain = chain
        self.draw = random.Random(seed)  # noqa: S311 - a fixed seed, so that a failure comes back
        self.school = School(chain)
        self.first = chain.head.number
        self.model = Model(self.school.begin().number)
        self.strangers = [chain.new_key()]
        self.owner = self.school.owner
        self.badges = [self._badge(number) for number in range(BADGES)]

    def _badge(self, number: int) -> Badge:
        both = with_status("revocation", "suspension", index=number)
        return self.school.badge(lambda document: (both(document), document.update(name=f"Badge {number}")))

    def sent(self) -> tuple[Sent, Callable[[int], None]]:
        """A transaction, and what it does to the model if it succeeds."""
        calls, me, model = self.chain.calls, self.school.identity, self.model
        badge = self.draw.randrange(BADGES)
        sender = self.draw.choice(
            [self.owner, self.owner, self.school.writer, self.school.writer, *self.strangers]
        )
        revocation, suspension = self.badges[badge].credential["credentialStatus"]

        def anchored(block: int) -> None:
            model.anchors.setdefault(badge, block)

        def retired(block: int) -> None:
            model.until = block

        def closed(block: int) -> None:
            model.closed = block

        def revoked(block: int) -> None:
            model.revoked.setdefault(badge, block)

        kind = self.draw.choices(
            ["anchor", "retire", "compromise", "close", "revoke", "suspend", "reinstate", "give away"],
            [8, 1, 1, 1, 1, 3, 3, 1],
        )[0]
        if kind == "anchor":
            return (calls.anchor(me, self.badges[badge].commitment), sender), anchored
        if kind == "retire":
            return (calls.retire_key(me, self.school.multikey), sender), retired
        if kind == "compromise":
            return self._compromise(sender)
        if kind == "close":
            return (calls.close(me), sender), closed
        if kind == "revoke":
            return (self.school.setting(revocation)[0], sender), revoked
        if kind == "give away":
            return self._give_away(sender)
        value = kind == "suspend"
        call, _ = self.school.setting(suspension, int(value))
        return (call, sender), lambda block: model.suspended.setdefault(badge, []).append((block, value))

    def _compromise(self, sender: bytes) -> tuple[Sent, Callable[[int], None]]:
        since = self.draw.randint(self.model.begun - 1, self.chain.head.number + 1)

        def declared(block: int) -> None:
            self.model.declared.append((block, since))
            self.model.until = self.model.until or block

        return (
            self.chain.calls.compromise_key(self.school.identity, self.school.multikey, since),
            sender,
        ), declared

    def _give_away(self, sender: bytes) -> tuple[Sent, Callable[[int], None]]:
        heir = self.chain.new_key()

        def given(_: int) -> None:
            self.strangers.append(self.owner)
            self.owner = heir

        call = self.chain.did_calls.change_owner(self.school.identity, address_of(heir))
        return (call, sender), given

    def live(self) -> None:
        """Blocks with none to three transactions each."""
        for _ in range(BLOCKS):
            made = [self.sent() for _ in range(self.draw.randrange(4))]
            strangers = list(self.strangers)
            header, succeeded = self.chain.attempt(*(sent for sent, _ in made))
            for (sent, effect), well in zip(made, succeeded, strict=True):
                if well:
                    # An anchor that stands already may be repeated by anybody, and is not written again.
                    assert sent[1] not in strangers or sent[0].what.endswith(".anchor")
                    effect(header.number)

    def judge(self) -> tuple[Report, dict[CheckName, Outcome]]:
        """One badge, shown from one block and judged at another."""
        blocks = range(self.first, self.chain.head.number + 1)
        badge, shown, final = self.draw.randrange(BADGES), self.draw.choice(blocks), self.draw.choice(blocks)
        claimed = self.model.anchors.get(badge, self.draw.choice(blocks))
        vouched = self.draw.random() < 0.5
        employer = Employer(
            self.school,
            [self.chain.header(shown)] if vouched else (),
            self.chain.header(final),
        )
        seen = sorted({final, shown} if vouched or shown <= final else {final}, reverse=True)
        bundle = self.school.bundle(self.badges[badge], self.chain.header(shown), claimed=claimed)
        return employer.judge(bundle), self.model.expected(badge, claimed, seen)


SEEDS = [*range(4), *(pytest.param(seed, marks=pytest.mark.exhaustive) for seed in range(4, 16))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_verdict_follows_from_what_was_written_and_when(own_chain: OwnChain, seed: int) -> None:
    history = History(own_chain, seed)
    history.live()
    met = set()
    for _ in range(JUDGEMENTS):
        report, expected = history.judge()
        assert {name: report[name].outcome for name in expected} == expected, [
            check.basis for check in report.checks
        ]
        assert (report.acceptance is Acceptance.ACCEPTED) == (set(expected.values()) == {PASSED})
        met.add(report.acceptance)
    assert len(met) > 1
