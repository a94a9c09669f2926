"""Where trusted headers come from (FORMATS.md section 8, "Trusted headers").

One protocol, sources of different strength. Of those that answer, the strongest whose newest header is not older than
the network's limit is taken, and none of the others may contradict it.

The endpoints of a chain speak together, as `Voices`: what is not proven (which block is final, a history of events, the
block of a transaction) is taken from them only where enough operators say the same; what is proven may come from any.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Generic, Protocol, TypeVar

from node.core.errors import BonafidesError, Unavailable
from node.core.evm.agreement import Agreement, Endpoint, Endpoints, Vote, agreed_height, agreement
from node.core.evm.header import Header
from node.core.evm.network import Network, format_chain
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Strength
from node.outbound.chain import ChainClient
from node.outbound.http import Egress

# Once enough operators have answered, so long is waited for the rest.
GRACE_SECONDS: Final = 2.0

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")


class SourcesDisagree(Unavailable):
    """Those who were asked contradict each other, and too few say the same."""


class HeaderSource(Protocol):
    """Somebody who tells final headers of one chain. One is made for each report, with that report's egress.

    `header` raises Unavailable, the host named, where nothing is known. Its `newest` is a whole header that has its
    hash; `hashes` holds those of the heights asked for that this source can answer for, and no others.
    """

    @property
    def chain_id(self) -> int:
        """The chain's number (EIP-155)."""
        ...

    @property
    def strength(self) -> Strength:
        """By whose word its headers are trusted, at best."""
        ...

    async def header(self, need: HeaderNeed) -> HeaderAnswer:
        """The newest final header, and the hashes at the heights that are asked for."""
        ...


async def strongest(
    sources: Sequence[HeaderSource], need: HeaderNeed, is_old: Callable[[Header], bool]
) -> HeaderAnswer:
    """The answer of the strongest source whose newest header is not old; of the strongest, where all are.

    SourcesDisagree where another one names another block at a height that both know: a weaker one is not taken instead
    of a stronger one that it contradicts. Unavailable where none answers.
    """
    answers: list[HeaderAnswer] = []
    failures: list[Unavailable] = []
    for source in sorted(sources, key=lambda one: -one.strength):
        heights = {*need.heights, *(answer.newest.number for answer in answers)}
        try:
            answers.append(await source.header(replace(need, heights=tuple(sorted(heights)))))
        except SourcesDisagree as error:
            if not answers:
                raise
            failures.append(error)
        except Unavailable as error:
            failures.append(error)
    if not answers:
        raise failures[0]
    chosen = next((one for one in answers if not is_old(one.newest)), answers[0])
    for other in answers:
        _compare(chosen, other)
    passed_over = [
        f"{stronger.source} is stronger, but its newest block {stronger.newest.number} is too old"
        for stronger in answers[: answers.index(chosen)]
    ]
    return replace(chosen, others=(*chosen.others, *passed_over, *(error.detail for error in failures)))


def _compare(one: HeaderAnswer, other: HeaderAnswer) -> None:
    known, told = ({**answer.hashes, answer.newest.number: answer.newest.hash} for answer in (one, other))
    for number in known.keys() & told.keys():
        if known[number] != told[number]:
            raise SourcesDisagree(f"{one.source} and {other.source} name different blocks {number}")


class ChainEndpoints:
    """All endpoints that the egress of one report may ask, by chain. `networks` tells the genesis of each."""

    def __init__(self, egress: Egress, networks: Mapping[int, Network]) -> None:
        self._egress = egress
        self._networks = networks
        self._members: list[_Member] | None = None
        self._voices: dict[int, Voices] = {}

    def of(self, chain_id: int) -> Voices:
        """Those that may be of the chain; Unavailable where there are none."""
        if chain_id not in self._voices:
            members = [one for one in self._every() if one.endpoint.chain_id in (None, chain_id)]
            if not members:
                raise Unavailable(f"no endpoint is configured for the chain {format_chain(chain_id)}")
            network = self._networks.get(chain_id)
            self._voices[chain_id] = Voices(chain_id, members, self._egress.policy.endpoints, network)
        return self._voices[chain_id]

    def _every(self) -> list[_Member]:
        if self._members is None:
            every = self._egress.policy.endpoints.every
            self._members = [_Member(one, self._egress.chain(one.url)) for one in every]
        return self._members


@dataclass(frozen=True, eq=False, slots=True)
class _Member:
    """An endpoint with the client that asks it."""

    endpoint: Endpoint
    client: ChainClient

    @property
    def host(self) -> str:
        return self.client.host


@dataclass(frozen=True, slots=True)
class Said(Generic[T]):
    """What enough operators said alike. `several`: by more than one endpoint's word.

    `hosts` said it; `others` are those who said something else or nothing, a clause each.
    """

    value: T
    source: str
    several: bool
    hosts: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def in_full(self) -> str:
        """The source with those who said something else or nothing."""
        return f"{self.source}, while {'; '.join(self.others)}" if self.others else self.source


@dataclass(frozen=True, slots=True)
class _Answers(Generic[T]):
    """Who answered what, and why others did not."""

    given: Mapping[_Member, T]
    failures: tuple[str, ...]


def voices_of(network: Network, endpoints: Endpoints, clients: Sequence[ChainClient]) -> Voices:
    """All endpoints of an operator's own configuration for one network; `clients` are in the same order."""
    members = [_Member(one, client) for one, client in zip(endpoints.every, clients, strict=True)]
    return Voices(network.chain_id, members, endpoints, network)


class Voices:
    """The endpoints of one chain, speaking together for one report; a `HeaderSource`.

    An endpoint counts for the chain unless it says that it is of another one: who is silent, or has another genesis,
    leaves the number of those that must agree as it is.
    """

    def __init__(
        self, chain_id: int, members: Sequence[_Member], endpoints: Endpoints, network: Network | None
    ) -> None:
        self.chain_id = chain_id
        self._members = list(members)
        self._endpoints = endpoints
        self._network = network
        self._late: dict[_Member, str] = {}
        self._identified: set[_Member] = set()
        self._agreed: tuple[_Member, ...] = ()
        self._newest: Said[Header] | None = None
        self._asking = asyncio.Lock()

    @property
    def operators(self) -> int:
        """How many operators there are, M of "N of M"."""
        return len({member.endpoint.operator for member in self._members})

    @property
    def needed(self) -> int:
        """How many of them must say the same, N of "N of M"."""
        return self._endpoints.needed(self.operators)

    @property
    def strength(self) -> Strength:
        """One endpoint's word, or that of several which agree."""
        return Strength.ENDPOINTS_AGREE if self.operators > 1 else Strength.ONE_ENDPOINT

    # --- headers ---

    async def header(self, need: HeaderNeed) -> HeaderAnswer:
        """The newest header that enough operators call final or know, and what they say of other heights."""
        newest = await self.newest()
        hashes = {newest.value.number: newest.value.hash}
        heights = [height for height in need.heights if height < newest.value.number]
        others = list(newest.others)
        if heights:
            answers = await self._ask(lambda client: client.headers(heights))
            for height in heights:
                told = {who: known[height].hash for who, known in answers.given.items() if height in known}
                found = self._agreement(told)
                if found is not None:
                    hashes[height] = found.value
                    others += [f"{host} gives another block {height}" for host in found.others]
                elif len(set(told.values())) > 1:
                    others.append(f"{', '.join(who.host for who in told)} give different blocks {height}")
        strength = Strength.ENDPOINTS_AGREE if newest.several else Strength.ONE_ENDPOINT
        return HeaderAnswer(newest.value, hashes, newest.source, strength, tuple(dict.fromkeys(others)))

    async def newest(self) -> Said[Header]:
        """The header at the N-th highest number that operators call final, found out once a report."""
        async with self._asking:
            if self._newest is None:
                self._newest = await self._find_newest()
            return self._newest

    async def _find_newest(self) -> Said[Header]:
        final = await self._ask(lambda client: client.finalized())
        height = agreed_height(
            [Vote(who.endpoint.operator, who.host, header.number) for who, header in final.given.items()],
            self.needed,
        )
        if height is None:
            raise self._too_few("a final block", final)
        known = {who.client: header for who, header in final.given.items() if header.number == height}

        async def at_height(client: ChainClient) -> Header:
            return known.get(client) or await client.header(height)

        said = await self.say(f"block {height}", at_height, lambda header: header.hash)
        self._agreed = tuple(who for who in self._members if who.host in said.hosts)
        return replace(said, others=tuple(dict.fromkeys((*said.others, *final.failures))))

    # --- the rest ---

    async def say(
        self, what: str, question: Callable[[ChainClient], Awaitable[T]], key: Callable[[T], Hashable]
    ) -> Said[T]:
        """The answer of which enough operators give the same `key`; `what` names it.

        SourcesDisagree where they contradict each other, Unavailable where too few answer.
        """
        try:
            return self._said(what, await self._ask(question), key)
        except Unavailable:
            if not self._late:
                raise
        # Who lies may well be the quickest: those who were not waited for are heard before it is left open.
        self._late.clear()
        return self._said(what, await self._ask(question, patient=True), key)

    async def read(
        self, question: Callable[[ChainClient], Awaitable[T]], besides: Sequence[str] = ()
    ) -> tuple[T, str]:
        """An answer that proves itself, with its source: of the first endpoint that has one, `besides` left out.

        Asked are those that agreed on the newest block, or all where that was not asked for.
        """
        failures = []
        for member in self._agreed or tuple(self._members):
            source = _named(member.host)
            if source in besides or member in self._late:
                continue
            try:
                await self._identify(member)
                return await question(member.client), source
            except BonafidesError as error:
                failures.append(error.detail)
        raise Unavailable("; ".join(failures) or "no other endpoint is configured")

    async def _identify(self, member: _Member) -> None:
        """Whether the endpoint is of this chain; `_Elsewhere` where it never said so, Unavailable where it did."""
        said = await member.client.chain_id()
        self._identified.add(member)
        if said != self.chain_id:
            detail = (
                f"{member.host} is of the chain {format_chain(said)}, not of {format_chain(self.chain_id)}"
            )
            raise (_Elsewhere if member.endpoint.chain_id is None else Unavailable)(detail)
        if self._network is not None and await member.client.genesis_hash() != self._network.genesis:
            name = self._network.name
            raise Unavailable(f"{member.host} has the number of the chain {name}, but another genesis")

    async def _ask(
        self, question: Callable[[ChainClient], Awaitable[T]], *, patient: bool = False
    ) -> _Answers[T]:
        """Put a question to all at once, and `patient`, wait for all as long as one request may take.

        Else who is late when enough have answered is not asked again at first.
        """

        async def put(member: _Member) -> T:
            await self._identify(member)
            return await question(member.client)

        tasks = {asyncio.create_task(put(one)): one for one in self._members if one not in self._late}
        given: dict[_Member, T] = {}
        failures = dict(self._late)
        now = asyncio.get_running_loop().time
        waiting = set(tasks)
        deadline: float | None = None
        try:
            while waiting:
                timeout = None if deadline is None else max(deadline - now(), 0)
                done, waiting = await asyncio.wait(
                    waiting, timeout=timeout, return_when=asyncio.FIRST_COMPLETED
                )
                for task in done:
                    self._take(tasks[task], task, given, failures)
                if not done:
                    break
                is_enough = len({one.endpoint.operator for one in given}) >= self.needed
                if is_enough and deadline is None and not patient:
                    deadline = now() + GRACE_SECONDS
            for task in waiting:
                self._late[tasks[task]] = failures[tasks[task]] = f"{tasks[task].host} gave no answer in time"
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)
        if not self._members:
            raise Unavailable(f"no endpoint that answers is of the chain {format_chain(self.chain_id)}")
        of_chain = tuple(failures[one] for one in self._members if one in failures)
        return _Answers({one: given[one] for one in self._members if one in given}, of_chain)

    def _take(
        self, member: _Member, task: asyncio.Task[T], given: dict[_Member, T], failures: dict[_Member, str]
    ) -> None:
        try:
            given[member] = task.result()
        except _Elsewhere:
            self._members = [one for one in self._members if one is not member]
        except BonafidesError as error:
            failures[member] = error.detail

    def _agreement(self, told: Mapping[_Member, K]) -> Agreement[K] | None:
        votes = [Vote(who.endpoint.operator, who.host, value) for who, value in told.items()]
        return agreement(votes, self.needed)

    def _said(self, what: str, answers: _Answers[T], key: Callable[[T], Hashable]) -> Said[T]:
        told = {who: key(value) for who, value in answers.given.items()}
        found = self._agreement(told)
        if found is None:
            raise self._too_few(what, answers, disagreed=len(set(told.values())) > 1)
        value = next(value for value in answers.given.values() if key(value) == found.value)
        others = (*(f"{host} gives another {what}" for host in found.others), *answers.failures)
        if self.operators == 1:
            return Said(value, _named(found.hosts[0]), False, found.hosts, others)
        source = f"endpoints of {found.operators} of {self.operators} operators ({', '.join(found.hosts)})"
        return Said(value, source, found.operators > 1, found.hosts, others)

    def _too_few(self, what: str, answers: _Answers[T], *, disagreed: bool = False) -> Unavailable:
        failed = "".join(f"; {failure}" for failure in answers.failures)
        if disagreed:
            hosts = ", ".join(who.host for who in answers.given)
            alike = f"fewer than {self.needed} of {self.operators} operators give the same {what}"
            return SourcesDisagree(f"{alike}: asked were {hosts}{failed}")
        if self.operators == 1 and self.needed == 1:
            return Unavailable(failed.removeprefix("; "))
        count = len({who.endpoint.operator for who in answers.given})
        cure = self._cure() if answers.given else ""
        return Unavailable(
            f"{count} of the {self.needed} operators that must agree gave {what}{failed}{cure}"
        )

    def _cure(self) -> str:
        """What to do where an endpoint may be of another chain, and counts for this one until it says so."""
        nameless = [
            one.host for one in self._members if one.endpoint.chain_id is None and one not in self._identified
        ]
        if not nameless:
            return ""
        counts = "counts" if len(nameless) == 1 else "count"
        return (
            f"; {' and '.join(nameless)} {counts} among those of every chain until it is known of which: "
            "write OPERATOR@CHAIN=URL"
        )


class _Elsewhere(Unavailable):
    """An endpoint that is of another chain than the one asked about, which is no fault."""


def _named(host: str) -> str:
    return f"the endpoint {host}"
