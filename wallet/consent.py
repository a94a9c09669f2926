"""What would be disclosed, to whom, and the record of what was.

What is always shown, what goes along because it was asked for or chosen, and what stays hidden are told apart. A
credential with one signature over all of it is shown whole: what a verifier did not ask for goes along and the screen
says so. Evidence is shown item by item. Pure: asking a person is `cli.py`, keeping the record `store.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp


class Outcome(StrEnum):
    """How far a disclosure got. Sending: it may have arrived, the answer was never seen."""

    SENDING = "sending"
    SENT = "sent"
    REFUSED = "refused by the verifier"
    UNSENT = "not sent"
    WRITTEN = "written to a file"


@dataclass(frozen=True, slots=True)
class Disclosed:
    """One credential as it was shown: its claims by name, and the evidence items that went along.

    `always` are those of the claims that nobody could have left out, `hidden` those that were left out. `withheld` is
    evidence.
    """

    digest: str
    name: str
    claims: tuple[str, ...]
    asked: tuple[str, ...] = ()
    evidence: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    with_bundle: bool = False
    always: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    linkable: bool = True
    """Whether what was shown can be seen to be of the same credential as what is shown another time."""
    linked_by_holder: bool = False
    """Whether nothing in it would link it, but the signature of the holder's DID around it does."""
    pseudonymous: bool = False
    """Whether this verifier knows it again by a name that it has there alone."""

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
            "always": list(self.always),
            "hidden": list(self.hidden),
            "linkable": self.linkable,
            "linkedByHolder": self.linked_by_holder,
            "pseudonymous": self.pseudonymous,
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
            # Records of before there was a choice have none of these.
            tuple(one.get("always", ())),
            tuple(one.get("hidden", ())),
            one.get("linkable", True),
            one.get("linkedByHolder", False),
            one.get("pseudonymous", False),
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
