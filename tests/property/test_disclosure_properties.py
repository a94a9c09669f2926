"""What a holder leaves out, moves or adds turns nothing into accepted that the whole credential is not.

Invented from a seed: issuers who make this or that mandatory, credentials with one thing that decides against them, and
holders who show some of it, and then drop or move members of what they show, or Disclosures between tokens.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from fixtures.sd_jwt import raw_sd_jwt, showing
from fixtures.selective import P256Key, SelectiveIssuer, deriving
from fixtures.verification import (
    LIST_URL,
    SCHOOL,
    SUSPENSIONS_URL,
    LedgerState,
    Signatory,
    Story,
    entry,
    list_word,
)

from node.core.verify.report import Acceptance

Json = dict[str, Any]
ISSUER = SelectiveIssuer(SCHOOL.did, SCHOOL.fragment, P256Key("school on P-256"))  # type: ignore[arg-type]
NAME = "/credentialSubject/achievement/name"
MEMBERS = ("issuer", "validFrom", "validUntil", "credentialStatus", "credentialSubject", "name", "evidence")
SEEDS = range(24)
LISTS = LedgerState(
    lists={("revocation", LIST_URL): list_word(), ("suspension", SUSPENSIONS_URL): list_word(mode=2)}
)


def _values(purpose: str, url: str) -> LedgerState:
    return replace(LISTS, values={(purpose, url, 94_567, 1): 1})


# What decides against a credential: what is written into it, and what the chain says of it.
AGAINST: dict[str, tuple[Json, LedgerState]] = {
    "nothing": ({}, LISTS),
    "revoked": ({}, _values("revocation", LIST_URL)),
    "suspended": ({}, _values("suspension", SUSPENSIONS_URL)),
    "expired": ({"validUntil": "2026-05-31T00:00:00Z"}, LISTS),
    "to come": ({"validFrom": "2026-07-01T00:00:00Z"}, LISTS),
}


def written(against: str) -> Callable[[Json], None]:
    def write(document: Json) -> None:
        document["credentialStatus"] = [entry(), entry("suspension", url=SUSPENSIONS_URL)]
        document.update(AGAINST[against][0])

    return write


def some(chance: random.Random, of: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(one for one in of if chance.random() < 0.6)


def story(against: str, issuer: Signatory, **changes: Any) -> Story:
    fields: Json = {"issuer": issuer, "write": written(against), "shown": AGAINST[against][1], "show": ()}
    return Story(**{**fields, **changes})


def accepted(one: Story) -> bool:
    return one.report().acceptance is Acceptance.ACCEPTED


def objects(value: Any) -> Iterator[Json]:
    """Every object in a document."""
    if isinstance(value, dict):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from objects(inner)


def drop(document: Json, chance: random.Random) -> None:
    """A member less."""
    place = chance.choice([one for one in objects({**document, "proof": None}) if one])
    target = document if place.keys() == document.keys() else place
    del target[chance.choice(sorted(target.keys() - {"proof"}))]


def move(document: Json, chance: random.Random) -> None:
    """A member in another object than its own, or one of several entries left out."""
    member = chance.choice(sorted(document.keys() & set(MEMBERS)))
    value = document.pop(member)
    if isinstance(value, list) and len(value) > 1 and chance.random() < 0.5:
        document[member] = value[1:]
        return
    target = chance.choice(list(objects({**document, "proof": {}})))
    (document if "proof" in target else target)[member] = value


def spoiled(issuer_shows: Callable[[Json], Json], chance: random.Random) -> Callable[[Json], Json]:
    """What the holder shows, with one or two members dropped or moved."""

    def show(issued: Json) -> Json:
        document = copy.deepcopy(issuer_shows(issued))
        for _ in range(chance.choice((1, 2))):
            chance.choice((drop, move))(document, chance)
        return document

    return show


@pytest.mark.parametrize("seed", SEEDS)
def test_no_statement_that_is_left_out_or_moved_turns_a_derived_document_into_accepted(seed: int) -> None:
    chance = random.Random(f"derived {seed}")  # noqa: S311 - the same every time
    against = list(AGAINST)[seed % len(AGAINST)]
    mandatory = ("/issuer", *(f"/{one}" for one in some(chance, MEMBERS[1:4])))
    issuer = replace(ISSUER, mandatory=mandatory)
    everything = deriving(*(f"/{one}" for one in MEMBERS))
    whole = story(against, issuer, disclose=everything)
    part = deriving(*(f"/{one}" for one in some(chance, MEMBERS)), NAME)
    if against != "nothing":
        assert not accepted(whole)
        assert not accepted(story(against, issuer, disclose=part))
        assert not accepted(story(against, issuer, disclose=spoiled(part, chance)))
    elif accepted(story(against, issuer, disclose=part)):
        assert accepted(whole)
        assert set(mandatory) == {f"/{one}" for one in MEMBERS[:4]}


def of_hidden(withheld: tuple[str, ...]) -> Callable[[Signatory, Json], str]:
    """Makes an SD-JWT of which these members may be withheld, whatever they decide."""

    def make(signatory: Signatory, document: Json) -> str:
        rest = {name: value for name, value in document.items() if name not in withheld}
        hidden = {name: document[name] for name in withheld}
        return raw_sd_jwt(hidden, [(one,) for one in withheld], typ="vc+sd-jwt")(signatory, rest)

    return make


def shuffled(chance: random.Random, others: tuple[str, ...] = ()) -> Callable[[str], str]:
    """Some of a token's Disclosures, in any order, and some of other tokens'."""

    def show(token: str) -> str:
        issued, *disclosures = token.rstrip("~").split("~")
        shown = [*some(chance, tuple(disclosures)), *some(chance, others)]
        chance.shuffle(shown)
        return "~".join([issued, *shown, ""])

    return show


@pytest.mark.parametrize("seed", SEEDS)
def test_no_disclosure_that_is_left_out_or_moved_turns_a_token_into_accepted(seed: int) -> None:
    chance = random.Random(f"token {seed}")  # noqa: S311 - the same every time
    against = list(AGAINST)[seed % len(AGAINST)]
    withheld = ("name", "evidence", *some(chance, MEMBERS[1:4]) * (seed // len(AGAINST) % 2))
    token = of_hidden(withheld)
    others = tuple(story("nothing", SCHOOL, token=token).issued().rstrip("~").split("~")[1:])
    whole = story(against, SCHOOL, token=token)
    part = story(against, SCHOOL, token=token, disclose=shuffled(chance))
    mixed = story(against, SCHOOL, token=token, disclose=shuffled(chance, others))
    if against != "nothing":
        assert not any(map(accepted, (whole, part, mixed)))
    elif accepted(part):
        assert accepted(whole)
        assert not set(withheld) & set(MEMBERS[:4])


def test_the_whole_is_accepted_where_nothing_is_against_it() -> None:
    """Else what is said above would be said of nothing."""
    mandatory = replace(ISSUER, mandatory=tuple(f"/{one}" for one in MEMBERS[:4]))
    assert accepted(story("nothing", mandatory, disclose=deriving(NAME)))
    assert accepted(story("nothing", SCHOOL, token=of_hidden(("name", "evidence")), disclose=showing()))


def test_what_an_issuer_lets_its_holders_hide_beside_a_mandatory_entry_cannot_be_seen() -> None:
    """The limit of it: an array of which one entry is mandatory looks like the one entry (disclosure.py)."""
    pointers = ("/issuer", "/validFrom", "/validUntil", "/credentialStatus/0")
    issuer = replace(ISSUER, mandatory=pointers)
    assert accepted(story("suspended", issuer, disclose=deriving(NAME)))
    assert not accepted(story("suspended", issuer, disclose=deriving(NAME, "/credentialStatus")))
