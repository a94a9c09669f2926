"""What a credential says, whatever secures it: its claims one by one, and the facts that lists and screens tell.

Members are those of the VC data model in both versions, of Open Badges, and of SD-JWT VC, whose claims are flat. A
claim is named by its path as `credentialSubject.result[].value`; its place is exact to the element of an array. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from node.core.credential import types_of
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, from_unix

Place: TypeAlias = tuple[str | int, ...]
"""Names of members and zero-based indexes, from the root of the credential."""

# What carries no claim about anybody: how to read the rest, and the signature over it.
_NOT_CLAIMS: Final = frozenset({"@context", "proof", "type"})
# One claim, whatever it is made of.
_HOLDER_KEY: Final = ("cnf",)
_BEGINS: Final = ("validFrom", "issuanceDate", "nbf")
_ENDS: Final = ("validUntil", "expirationDate", "exp")


# Claims ----------------------------------------------------------------------------------------------------


def places_in(document: JsonObject, *, flat: bool = False) -> tuple[Place, ...]:
    """Where each claim stands. `flat` claims (SD-JWT VC) are no document: there `type` is a claim like any other."""
    return tuple(_walk(document, (), frozenset() if flat else _NOT_CLAIMS))


def _walk(value: Json, at: Place, without: frozenset[str]) -> Iterator[Place]:
    if isinstance(value, dict) and value and at != _HOLDER_KEY:
        for name, inner in value.items():
            if name not in without:
                yield from _walk(inner, (*at, name), without)
    elif isinstance(value, list) and value:
        for index, inner in enumerate(value):
            yield from _walk(inner, (*at, index), without)
    else:
        yield at


def path_text(path: Iterable[str | int | None]) -> str:
    """The name of a claim by its place, or by a DCQL claims path; an element reads like the whole array."""
    text = ""
    for step in path:
        text += f"{'.' if text else ''}{step}" if isinstance(step, str) else "[]"
    return text


def names_of(places: Iterable[Place], others: Collection[Place] = ()) -> tuple[str, ...]:
    """The names of claims, each once; where one of `others` has the same name, elements are counted from 1."""
    taken = {path_text(place) for place in others}
    named = ((path_text(place), place) for place in places)
    return tuple(dict.fromkeys(_exact(place) if name in taken else name for name, place in named))


def _exact(place: Place) -> str:
    text = ""
    for step in place:
        text += f"{'.' if text else ''}{step}" if isinstance(step, str) else f"[{step + 1}]"
    return text


def under(places: Iterable[Place], root: Place) -> tuple[Place, ...]:
    """Those of the places that are `root` or below it, else the claim that `root` is a part of."""
    found = tuple(place for place in places if place[: len(root)] == root)
    return found or tuple(place for place in places if root[: len(place)] == place)


def find_places(document: Json, path: Sequence[str | int | None]) -> tuple[Place, ...]:
    """The places that a DCQL claims path points to (OpenID4VP section 7.1); none where it does not fit."""
    found: list[tuple[Place, Json]] = [((), document)]
    for step in path:
        found = [((*at, inner), value) for at, one in found for inner, value in _step(one, step)]
    return tuple(at for at, _ in found)


def _step(value: Json, step: str | int | None) -> Iterator[tuple[str | int, Json]]:
    if isinstance(step, str):
        if isinstance(value, dict) and step in value:
            yield step, value[step]
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            if step is None or step == index:
                yield index, inner


# Facts -----------------------------------------------------------------------------------------------------


def name_in(document: JsonObject) -> str:
    """What the credential calls itself, else what it is."""
    achievement = _object(_subject(document).get("achievement"))
    types = [name for name in types_of(document) if name != "VerifiableCredential"]
    vct = _text(document, "vct").rpartition("/")[2]
    for value in (document.get("name"), achievement.get("name"), *types, vct):
        if isinstance(value, str) and value:
            return value
    return "a credential"


def issuer_in(document: JsonObject) -> str:
    """Who says to have issued it."""
    issuer = document.get("issuer", document.get("iss"))
    value = issuer.get("id") if isinstance(issuer, dict) else issuer
    return value if isinstance(value, str) else ""


def issuer_name_in(document: JsonObject) -> str | None:
    """What the issuer calls itself in the credential; nobody vouches for it."""
    value = _object(document.get("issuer")).get("name")
    return value if isinstance(value, str) else None


def subjects_in(document: JsonObject) -> tuple[str, ...]:
    """The subjects that are named by an identifier."""
    listed = objects_in(document.get("credentialSubject"))
    if "credentialSubject" not in document:
        listed = [{"id": document.get("sub")}]
    return tuple(subject["id"] for subject in listed if isinstance(subject.get("id"), str))


def begin_in(document: JsonObject) -> str | None:
    """When it begins to be valid, as it says; a NumericDate as a date."""
    return _moment(document, _BEGINS)


def end_in(document: JsonObject) -> str | None:
    """When it ends, in the same way."""
    return _moment(document, _ENDS)


def _moment(document: JsonObject, names: Iterable[str]) -> str | None:
    for name in names:
        value = document.get(name)
        if isinstance(value, str):
            return value
        if type(value) is int:
            try:
                return format_datetime_stamp(from_unix(value))
            except Malformed:
                return str(value)
    return None


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One result of the assessment, as a person reads it; empty texts where the credential says nothing."""

    criterion: str
    level: str
    value: str
    description: str


def results_of(document: JsonObject) -> tuple[ResultRow, ...]:
    """The results of an Open Badges credential, each joined with its description by the achievement."""
    subject = _subject(document)
    described = {
        _text(one, "id"): one
        for one in objects_in(_object(subject.get("achievement")).get("resultDescription"))
    }
    rows = []
    for result in objects_in(subject.get("result")):
        about = described.get(_text(result, "resultDescription"), {})
        levels = {_text(one, "id"): one for one in objects_in(about.get("rubricCriterionLevel"))}
        level = levels.get(_text(result, "achievedLevel"), {})
        rows.append(
            ResultRow(
                _text(about, "name") or _text(result, "resultDescription"),
                _text(level, "name") or _text(result, "achievedLevel"),
                _text(result, "value") or _text(result, "status") or _text(level, "points"),
                _text(level, "description"),
            )
        )
    return tuple(rows)


def _subject(document: JsonObject) -> JsonObject:
    """The first subject; of flat claims, the claims."""
    subjects = objects_in(document.get("credentialSubject", document if "vct" in document else None))
    return subjects[0] if subjects else {}


def _object(value: Json) -> JsonObject:
    return value if isinstance(value, dict) else {}


def objects_in(value: Json) -> list[JsonObject]:
    """The objects that a member holds, alone or in an array."""
    return [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, dict)]


def _text(members: JsonObject, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""
