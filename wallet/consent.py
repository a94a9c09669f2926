"""What would be disclosed, to whom, and the record of what was.

A credential with one signature over all of it is shown whole: what a verifier did not ask for goes along and the
screen says so. Evidence is shown item by item. Pure: asking a person is `cli.py`, keeping the record `store.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp

# What carries no claim about anybody: how to read the rest, and the signature over it.
_NOT_CLAIMS: Final = frozenset({"@context", "proof", "type"})


class Outcome(StrEnum):
    """How far a disclosure got. Sending: it may have arrived, the answer was never seen."""

    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused by the verifier"
    UNSENT = "not sent"
    WRITTEN = "written to a file"


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One credential as it was shown: its claims by name, and the evidence items that went along."""

    digest: str
    name: str
    claims: tuple[str, ...]
    asked: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    with_bundle: bool = False

    def to_json(self) -> JsonObject:
        """For the store and for `--json`."""
        return {
            "digest": self.digest,
            "name": self.name,
            "claims": list(self.claims),
            "asked": list(self.asked),
            "evidence": list(self.evidence),
            "withheld": list(self.withheld),
            "withBundle": self.with_bundle,
        }


@dataclass(frozen=True, slots=True)
class Disclosure:
    """What was shown to whom, and when. `verifier` is its client identifier or its domain."""

    at: datetime
    verifier: str
    calls_itself: str | None
    shown: tuple[Disclosed, ...]
    outcome: Outcome

    def to_json(self) -> JsonObject:
        """For the store and for `--json`."""
        return {
            "at": format_datetime_stamp(self.at),
            "verifier": self.verifier,
            "callsItself": self.calls_itself,
            "shown": [one.to_json() for one in self.shown],
            "outcome": str(self.outcome),
        }


def parse_disclosure(body: JsonObject) -> Disclosure:
    """Inverse of `Disclosure.to_json`, for what the store kept."""
    shown = tuple(
        Disclosed(
            one["digest"],
            one["name"],
            tuple(one["claims"]),
            tuple(one["asked"]),
            tuple(one["evidence"]),
            tuple(one["withheld"]),
            one["withBundle"],
        )
        for one in body["shown"]
    )
    return Disclosure(
        parse_datetime_stamp(body["at"]),
        body["verifier"],
        body["callsItself"],
        shown,
        Outcome(body["outcome"]),
    )


def claims_in(document: JsonObject) -> tuple[str, ...]:
    """The names of all claims in a credential, as paths: `credentialSubject.achievement.name`, `…result[].value`."""
    return tuple(dict.fromkeys(_walk(document, "")))


def path_text(path: Iterable[str | int | None]) -> str:
    """A DCQL claims path in the same spelling; an index of an array reads like the whole array."""
    text = ""
    for step in path:
        text += f"{'.' if text else ''}{step}" if isinstance(step, str) else "[]"
    return text


def _walk(value: Json, at: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _NOT_CLAIMS:
                yield from _walk(inner, f"{at}.{name}" if at else name)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner, f"{at}[]")
    else:
        yield at
