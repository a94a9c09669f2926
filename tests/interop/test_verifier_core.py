"""A did:key badge of ours judged by @digitalcredentials/verifier-core 1.0.0-beta.11.

It knows did:key and did:web and the suite eddsa-rdfc-2022; it asks the real clock and guesses the schema of a badge,
which the process gives it from a file. No registry of issuers is given, so none is asked.
"""

from __future__ import annotations

import copy
from typing import Any

import badge_generator as badges
import pytest
from badge_generator import STRANGER, Suite

from node.commands.loading import load_standards

ACHIEVEMENT_SCHEMA = (
    "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_achievementcredential_schema.json"
)
pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("other_software")]

CANONICALIZER = load_standards().canonicalizer
VALID = {"valid_signature": True, "expiration": True, "registered_issuer": False}


def signed(number: int, **changes: Any) -> dict[str, Any]:
    # Of the two names of the type it knows one when it guesses the schema.
    types = ["VerifiableCredential", "OpenBadgeCredential"]
    start = "2025-01-01T00:00:00Z"
    document = {**badges.make_badge(number), "type": types, "validFrom": start, **changes}
    return badges.sign(document, Suite("eddsa-rdfc-2022"), CANONICALIZER)


def test_badges_of_ours_are_verified_and_have_the_form_that_1edtech_asks_for(
    other_software: Any, one_edtech_schema: dict[str, Any]
) -> None:
    for number in range(badges.COUNT):
        result = other_software.ask("verifierCore", credential=signed(number))
        assert result["errors"] == [], number
        assert result["steps"] == VALID, number
        if one_edtech_schema:
            (schema,) = result["schemas"]
            assert schema["schema"] == ACHIEVEMENT_SCHEMA
            assert schema["result"]["valid"], (number, schema["result"].get("errors"))


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document["credentialSubject"].update(id=STRANGER.did),
        lambda document: document["credentialSubject"]["achievement"].update(name="Another"),
        lambda document: document["issuer"].update(name="Another"),
        lambda document: document.update(validUntil="2099-01-01T00:00:00Z"),
        lambda document: document["proof"][0].update(created="2026-02-02T00:00:00Z"),
    ],
    ids=["learner", "achievement", "issuer's name", "end", "time of signing"],
)
def test_a_changed_badge_is_refused(change: Any, other_software: Any) -> None:
    document = copy.deepcopy(signed(3, validUntil="2098-01-01T00:00:00Z"))
    change(document)
    result = other_software.ask("verifierCore", credential=document)
    assert result["errors"] == ["invalid_signature"]
    assert result["steps"] == {}


def test_an_expired_badge_is_told_apart_from_a_changed_one(other_software: Any) -> None:
    result = other_software.ask("verifierCore", credential=signed(3, validUntil="2025-06-01T00:00:00Z"))
    assert result["errors"] == []
    assert result["steps"] == {**VALID, "expiration": False}
