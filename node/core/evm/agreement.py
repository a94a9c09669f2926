"""Several endpoints of one chain, of which a number must say the same (FORMATS.md section 8, "Trusted headers").

What counts is who runs an endpoint, not how many addresses it has: endpoints of one operator have one vote. Nothing is
asked here; `node/outbound/headers.py` asks.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final, Generic, TypeVar
from urllib.parse import urlsplit

from node.core.errors import Misconfigured
from node.core.strict_json import MAX_INTEGER

MAX_ENDPOINTS: Final = 16
_WRITTEN: Final = re.compile(
    r"(?:(?P<operator>[A-Za-z0-9._-]{1,63})?(?:@(?P<chain>[1-9][0-9]{0,15}))?=)?(?P<url>https?://.+)\Z",
    re.IGNORECASE,
)

# A host that is read in one way: dotted names, as they are asked for.
_NAME: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?\Z")
# What some take for an IPv4 address (URL Standard, "ends in a number").
_ENDS_IN_NUMBER: Final = re.compile(r"(?:.*\.)?(?:[0-9]+|0[xX][0-9A-Fa-f]*)\Z")
_PORTS: Final = {"http": 80, "https": 443}

T = TypeVar("T", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One JSON-RPC endpoint of the configuration. Its URL may hold a key, so it is not shown.

    `chain_id` is the chain that it is configured for, None where it is to tell itself.
    """

    url: str = field(repr=False)
    operator: str
    chain_id: int | None = None


def parse_endpoint(text: str) -> Endpoint:
    """The endpoint that `[OPERATOR][@CHAIN]=URL`, or a URL alone, writes; Misconfigured otherwise.

    Where no operator is named it is the last two labels of the host, or all of an address; this machine has one name.
    """
    match = _WRITTEN.match(text)
    host = None if match is None else _host(match["url"])
    if match is None or host is None:
        raise Misconfigured("an endpoint is written as URL or OPERATOR=URL, the URL beginning with http")
    chain_id = None if match["chain"] is None else int(match["chain"])
    if chain_id is not None and chain_id > MAX_INTEGER:
        raise Misconfigured("the chain of an endpoint is a number of at most 2^53 - 1")
    return Endpoint(match["url"], (match["operator"] or _operator(host)).lower(), chain_id)


def _host(url: str) -> str | None:
    """The host, an address in its one canonical form: whoever is written in two ways would count twice."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    host = host.rstrip(".")
    try:
        address = ip_address(host)
    except ValueError:
        plain = _NAME.match(host) is not None and not _ENDS_IN_NUMBER.match(host)
        return host if plain and port != 0 else None
    return str(getattr(address, "ipv4_mapped", None) or address) if port != 0 else None


def _operator(host: str) -> str:
    """The last two labels; all of an address, and one name for this machine's."""
    try:
        address = ip_address(host)
    except ValueError:
        return ".".join(host.split(".")[-2:])
    return "localhost" if address.is_loopback else host


def _place(url: str) -> tuple[str | None, int | None, str, str]:
    """What tells one endpoint from another, however its URL is written."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    return _host(url), port, parts.path.rstrip("/"), parts.query


@dataclass(frozen=True, slots=True)
class Endpoints:
    """All endpoints of the configuration, and how many operators must agree on what one chain says.

    `agree` is None for the smallest majority. Misconfigured where two numbers of operators as large could say
    different things, where there are fewer operators than must agree, or where two are to be asked at one place.
    """

    every: tuple[Endpoint, ...] = ()
    agree: int | None = None

    def __post_init__(self) -> None:
        if len(self.every) > MAX_ENDPOINTS:
            raise Misconfigured(f"at most {MAX_ENDPOINTS} endpoints are asked")
        if len({(_place(one.url), one.operator) for one in self.every}) > len(
            {_place(one.url) for one in self.every}
        ):
            raise Misconfigured("one endpoint is named as that of two operators, who would be one voice")
        if self.agree is None:
            return
        if not self.every:
            raise Misconfigured("a number of operators that agree needs endpoints")
        for chain_id in {one.chain_id for one in self.every}:
            operators = len({one.operator for one in self.every if one.chain_id in (None, chain_id)})
            if not operators / 2 < self.agree <= operators:
                raise Misconfigured(
                    f"{self.agree} of {operators} operators cannot be asked for: it must be more than half of those "
                    "of a chain, and not more than there are (endpoints of several chains: OPERATOR@CHAIN=URL)"
                )

    @classmethod
    def of(cls, texts: Iterable[str], agree: int | None = None) -> Endpoints:
        """From what a command line or the environment names."""
        return cls(tuple(map(parse_endpoint, texts)), agree)

    def needed(self, operators: int) -> int:
        """How many must agree, N, of as many operators of a chain, M: more than half of them."""
        return self.agree if self.agree is not None else operators // 2 + 1


@dataclass(frozen=True, slots=True)
class Vote(Generic[T]):
    """What the endpoint at `host` said."""

    operator: str
    host: str
    value: T


@dataclass(frozen=True, slots=True)
class Agreement(Generic[T]):
    """What was said by enough operators, by which hosts, and by which ones something else."""

    value: T
    operators: int
    hosts: tuple[str, ...]
    others: tuple[str, ...]


def agreed_height(numbers: Iterable[Vote[int]], needed: int) -> int | None:
    """The `needed`-th highest of the newest final blocks that operators report; None where fewer report any.

    So at least one operator that is honest has it, and no minority can raise or lower it beyond what is.
    """
    highest: dict[str, int] = {}
    for vote in numbers:
        highest[vote.operator] = max(vote.value, highest.get(vote.operator, 0))
    ordered = sorted(highest.values(), reverse=True)
    return ordered[needed - 1] if len(ordered) >= needed else None


def agreement(votes: Sequence[Vote[T]], needed: int) -> Agreement[T] | None:
    """What `needed` operators say alike, None where no such number does.

    An operator whose endpoints contradict each other says nothing.
    """
    said: dict[str, set[T]] = {}
    for vote in votes:
        said.setdefault(vote.operator, set()).add(vote.value)
    count = _count(said)
    for value, operators in count.items():
        if operators >= needed:
            hosts = [vote.host for vote in votes if said[vote.operator] == {value}]
            others = [vote.host for vote in votes if said[vote.operator] != {value}]
            return Agreement(value, operators, tuple(hosts), tuple(others))
    return None


def _count(said: Mapping[str, set[T]]) -> dict[T, int]:
    count: dict[T, int] = {}
    for values in said.values():
        if len(values) == 1:
            (value,) = values
            count[value] = count.get(value, 0) + 1
    return count
