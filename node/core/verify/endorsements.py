"""Endorsements in a credential (Open Badges 3.0, `endorsement` and `endorsementJwt`): where they stand, and of what.

Whoever issued the credential signed that it holds them; whether they are genuine is for each one's own signature.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from node.core.strict_json import Json, JsonObject
from node.core.verify.intake import listed

MAX_ENDORSEMENTS: Final = 16


@dataclass(frozen=True, slots=True)
class Endorsement:
    """An endorsement as it stands in a document, and the id of the object that it stands in."""

    credential: Json
    of: str | None


def endorsements_in(document: JsonObject) -> tuple[Endorsement, ...]:
    """The first endorsements of a credential, of its issuer, its subjects, their achievements, and who made these."""
    return tuple(islice(_endorsements(document), MAX_ENDORSEMENTS))


def _endorsements(document: JsonObject) -> Iterator[Endorsement]:
    for one in _endorsed(document):
        identifier = one.get("id")
        of = identifier if isinstance(identifier, str) else None
        for member in ("endorsement", "endorsementJwt"):
            yield from (Endorsement(item, of) for item in listed(one.get(member, [])))


def _endorsed(document: JsonObject) -> Iterator[JsonObject]:
    """The objects that may have endorsements."""
    yield document
    yield from _objects(document.get("issuer"))
    for subject in _objects(document.get("credentialSubject")):
        yield subject
        for achievement in _objects(subject.get("achievement")):
            yield achievement
            yield from _objects(achievement.get("creator"))


def _objects(value: Json) -> Iterator[JsonObject]:
    return (one for one in listed(value) if isinstance(one, dict))
