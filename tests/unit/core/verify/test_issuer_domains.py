"""What is told of an issuer's domains: beside an issuer that is proven, of its own DID, and decides nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product

from fixtures.verification import KEY_SCHOOL, STRANGER, Story, of_key_school

from node.core.strict_json import JsonObject
from node.core.verify.account import account_of
from node.core.verify.domains import DomainLink, How, LinkOutcome, line_of, told_of
from node.core.verify.intake import read_intake

NOW = datetime(2027, 5, 3, 12, tzinfo=UTC)
LINK = DomainLink(
    KEY_SCHOOL.did, "https://school.example", How.SITE, LinkOutcome.LINKED, NOW - timedelta(hours=3)
)
TOLD = told_of(LINK, NOW)


def account(story: Story, did: str = KEY_SCHOOL.did) -> JsonObject:
    return account_of(story.report(), read_intake(story.shown_bytes()), {did: [TOLD]})


def issuer(told: JsonObject) -> JsonObject:
    (credential,) = told["credentials"]
    found: JsonObject = credential["issuer"]
    return found


def test_it_stands_beside_the_issuer_and_changes_nothing_else() -> None:
    story = of_key_school()
    told = account(story)
    assert issuer(told)["domains"] == [TOLD]
    issuer(told)["domains"] = []
    assert told == account_of(story.report(), read_intake(story.shown_bytes()))


def test_of_an_issuer_that_is_not_proven_nothing_is_told() -> None:
    def forge(document: JsonObject) -> None:
        document["name"] = "Another name"

    assert issuer(account(of_key_school(tamper=forge)))["domains"] == []


def test_what_is_known_of_another_issuer_is_not_told() -> None:
    assert issuer(account(of_key_school(), STRANGER.did))["domains"] == []


def test_every_finding_has_its_sentence_and_age() -> None:
    for how, outcome in product(How, LinkOutcome):
        told = told_of(
            DomainLink(LINK.did, LINK.origin, how, outcome, LINK.checked, NOW - timedelta(days=3)), NOW
        )
        line = line_of(told)
        assert line.startswith("domain school.example, ")
        assert "checked 3 hours ago" in line
        assert ("last confirmed 3 days ago" in line) == (outcome is not LinkOutcome.LINKED)


def test_a_clock_that_was_set_back_tells_no_negative_age() -> None:
    assert told_of(LINK, NOW - timedelta(days=1))["age"] == "0 seconds"
