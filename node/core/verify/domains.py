"""What is known of an issuer's domains, and how it is told: a note beside the issuer, which decides nothing.

Whether a DID and a web origin belong together was asked when the chain was followed, not when a credential was judged;
so each finding has its age. A link that failed or is gone is told as that. It makes no credential worse: who wrote a
site, or took it over, has not written the credential.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from node.core.jose.domain_linkage import domain_of
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp, span

Told = Mapping[str, Sequence[JsonObject]]
"""`told_of` each finding, by the DID of the issuer as its credential writes it."""


class How(StrEnum):
    """Where the domain says it."""

    SITE = "site"
    DNS = "dns"


class LinkOutcome(StrEnum):
    """What was found when it was asked last."""

    LINKED = "linked"
    NOT_LINKED = "not_linked"
    UNKNOWN = "unknown"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class DomainLink:
    """Whether `origin` is a DID's, by both of them.

    `checked` is when that was asked last, `confirmed` when the answer was yes last. `fault` is why it is not, or not
    known.
    """

    did: str
    origin: str
    how: How
    outcome: LinkOutcome
    checked: datetime
    confirmed: datetime | None = None
    fault: str | None = None


_SENTENCES: Final = {
    (How.SITE, LinkOutcome.LINKED): "by its own site",
    (How.DNS, LinkOutcome.LINKED): "by its entry in the DNS, without DNSSEC",
    (How.SITE, LinkOutcome.NOT_LINKED): "which its site does not confirm",
    (How.DNS, LinkOutcome.NOT_LINKED): "which its entry in the DNS does not confirm",
    (How.SITE, LinkOutcome.UNKNOWN): "whose site could not be asked",
    (How.DNS, LinkOutcome.UNKNOWN): "about which the DNS could not be asked",
    (How.SITE, LinkOutcome.WITHDRAWN): "which the issuer does not name any more",
    (How.DNS, LinkOutcome.WITHDRAWN): "which the issuer does not name any more",
}


def told_of(link: DomainLink, now: datetime) -> JsonObject:
    """A finding for people and machines; `age` and `confirmed_age` are lengths of time up to `now`."""
    told: JsonObject = {
        "domain": domain_of(link.origin),
        "how": link.how,
        "outcome": link.outcome,
        "checked": format_datetime_stamp(link.checked),
        "age": _age(now - link.checked),
        "sentence": _SENTENCES[link.how, link.outcome],
    }
    if link.outcome is not LinkOutcome.LINKED and link.confirmed is not None:
        told["confirmed"] = format_datetime_stamp(link.confirmed)
        told["confirmed_age"] = _age(now - link.confirmed)
    if link.fault is not None:
        told["fault"] = link.fault
    return told


def line_of(told: JsonObject) -> str:
    """What `told_of` gives, as one line, to be put behind who the issuer is."""
    before = f", last confirmed {told['confirmed_age']} ago" if "confirmed_age" in told else ""
    return f"domain {told['domain']}, {told['sentence']}, checked {told['age']} ago{before}"


def _age(length: timedelta) -> str:
    return span(max(0, int(length.total_seconds())))
