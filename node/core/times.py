"""XML Schema dateTimeStamps (VC Data Model 2.0 section 4.9): aware, UTC inside, `…Z` outside."""

from __future__ import annotations

import contextlib
import re
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Final

from node.core.errors import Malformed

# The lexical rule of XSD 1.1; the offset is required.
_STAMP: Final = re.compile(
    r"([1-9]\d{3}|0\d{3})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"T(?:([01]\d|2[0-3]):([0-5]\d):([0-5]\d)(?:\.(\d+))?|(24):00:00(?:\.0+)?)"
    r"(Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))\Z",
    re.ASCII,
)

_PLAIN_LENGTH: Final = len("2026-01-01T00:00:00Z")  # which leaves room for nothing else


def parse_datetime_stamp(text: str) -> datetime:
    """The instant that a dateTimeStamp names, in UTC. Fractions beyond microseconds are cut off.

    Years outside 0001 to 9999 are legal in XSD and Malformed here: Python has no instant for them.
    """
    return _plain_instant(text) if len(text) == _PLAIN_LENGTH else _instant(text)


@lru_cache(maxsize=1_024)  # the dates of one term are those of all its credentials
def _plain_instant(text: str) -> datetime:
    match = _STAMP.match(text)
    if match is not None and match[8] is None:
        with contextlib.suppress(ValueError):  # told below
            return datetime.fromisoformat(text)
    return _instant(text)


def _instant(text: str) -> datetime:
    match = _STAMP.match(text)
    if match is None:
        raise Malformed("not a dateTimeStamp: date, time and offset are required")
    year, month, day, hour, minute, second, fraction, midnight, zone = match.groups()
    try:
        local = datetime(
            int(year),
            int(month),
            int(day),
            int(hour or 0),
            int(minute or 0),
            int(second or 0),
            int((fraction or "0")[:6].ljust(6, "0")),
            tzinfo=_zone(zone),
        )
        return (local + timedelta(days=1) if midnight else local).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Malformed("a dateTimeStamp that names no instant between the years 1 and 9999") from error


def _zone(text: str) -> timezone:
    if text == "Z":
        return UTC
    offset = timedelta(hours=int(text[1:3]), minutes=int(text[4:6]))
    return timezone(-offset if text[0] == "-" else offset)


def format_datetime_stamp(moment: datetime) -> str:
    """`YYYY-MM-DDTHH:MM:SSZ`; fractions of a second are dropped. Naive datetimes are a programming error."""
    if moment.tzinfo is None:
        raise ValueError("a naive datetime has no place here")
    return moment.astimezone(UTC).isoformat(timespec="seconds")[:19] + "Z"


def from_unix(seconds: int) -> datetime:
    """The instant of a block's timestamp, in seconds since 1970; Malformed where no calendar reaches."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise Malformed("a timestamp outside the calendar") from error


def span(seconds: int) -> str:
    """A length of time in its largest fitting unit, two at least of it."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} seconds"
