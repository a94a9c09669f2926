"""Judging what somebody sent: the one way in which the verifier node looks at anything.

Each report has an egress guard of its own, so its limits and its list of hosts are its own; connections to the
operator's endpoints are shared. A bounded number is judged at once: the rest waits its turn.

Judging is done in threads of its own. A document made to be slow (RDF has many) then holds up other documents at
worst, and neither health nor anybody's page. A request that is given up does not free its thread before the work ends,
so that slow documents cannot pile up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Final, Protocol, TypeVar

from node.core.errors import Malformed
from node.core.evidence import ShownEvidence
from node.core.strict_json import Json, JsonObject
from node.core.verify import engine
from node.core.verify.account import account_of
from node.core.verify.domains import Told as ToldDomains
from node.core.verify.holder import Asked
from node.core.verify.intake import Intake, read_intake
from node.core.verify.materials import Materials
from node.core.verify.report import Report
from node.core.verify.verifier import Verifier
from node.outbound.didkit import Didkit
from node.outbound.gather import OpenSource, Replica, examine
from node.outbound.http import Egress

# Most of the time of a report is waiting for a chain endpoint; the rest is arithmetic, and one thread does it as fast
# as many. More than one is so that a slow document does not stand in the way of all others.
MAX_AT_ONCE: Final = 8
MAX_THREADS: Final = 4
# What has more values than any honest badge is judged one at a time, so that a few such cannot take every thread.
HEAVY_VALUES: Final = 5_000
_HEAVY_AT_ONCE: Final = 2
# A value and what parts it from the next are two bytes of JSON at least, so that nothing as small is heavy. Handing
# work to a thread and back costs as much as judging a badge.
SMALL_BYTES: Final = 2 * HEAVY_VALUES

T = TypeVar("T")

NOTHING_ASKED: Final = Asked()

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The time now, aware, UTC."""
    return datetime.now(UTC)


class _Lane:
    """Threads, and turns to use them."""

    def __init__(self, at_once: int, threads: int, name: str) -> None:
        self.turns = asyncio.Semaphore(at_once)
        self.threads = ThreadPoolExecutor(threads, name)

    async def work(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.threads, function)


def _has_more_values(documents: Sequence[Json], limit: int) -> bool:
    left = list(documents)
    count = 0
    while left and count <= limit:
        value = left.pop()
        count += 1
        if isinstance(value, dict):
            left.extend(value.values())
        elif isinstance(value, list):
            left.extend(value)
    return count > limit


@dataclass(frozen=True, slots=True)
class Examination:
    """A report with what it is about; `intake` is None where nothing could be read.

    `domains` is what was known of the domains of its issuers beforehand.
    """

    report: Report
    intake: Intake | None
    domains: ToldDomains = field(default_factory=dict)


class Domains(Protocol):
    """Knows what was found of issuers' domains, without asking anybody."""

    async def told(self, dids: Collection[str]) -> Mapping[str, Sequence[JsonObject]]:
        """What is told of each issuer of which anything is known."""
        ...


class Examiner:
    """A verifier with its connections and threads. `egress` belongs to the caller, who closes both.

    `sources` tell headers beside the endpoints. A `replica` is asked before anybody else. What `domains` knows of the
    issuers is told with a report, and decides nothing in it.
    """

    def __init__(
        self,
        verifier: Verifier,
        egress: Egress,
        clock: Clock = system_clock,
        *,
        sources: Sequence[OpenSource] = (),
        replica: Replica | None = None,
        domains: Domains | None = None,
    ) -> None:
        self.verifier = verifier
        self.clock = clock
        self._egress = egress
        self._sources = sources
        self._didkit = Didkit()
        self._replica = replica
        self._domains = domains
        self._usual = _Lane(MAX_AT_ONCE, MAX_THREADS, "judging")
        self._heavy = _Lane(_HEAVY_AT_ONCE, 1, "judging heavy ones")

    async def work(self, function: Callable[[], T]) -> T:
        """The result of something pure, from one of the judging threads."""
        return await self._usual.work(function)

    def close(self) -> None:
        """Begin nothing more; what is under way ends by its own limits."""
        for lane in (self._usual, self._heavy):
            lane.threads.shutdown(wait=False, cancel_futures=True)

    async def examine_bytes(
        self,
        data: bytes,
        *,
        asked: Asked = NOTHING_ASKED,
        as_of: datetime | None = None,
    ) -> Examination:
        """Judge a file: credential, bundle, presentation, image. What cannot be read gets a report too."""
        try:
            intake = await self.work(partial(read_intake, data))
        except Malformed as error:
            return self.unreadable(error)
        return await self.examine(intake, asked=asked, as_of=as_of)

    async def tell_bytes(
        self,
        data: bytes,
        *,
        asked: Asked = NOTHING_ASKED,
        as_of: datetime | None = None,
    ) -> Told:
        """`examine_bytes` in words; what is small and needs nothing fetched goes to one thread once."""
        is_small = len(data) <= SMALL_BYTES and data.lstrip().startswith(b"{")
        if is_small and self._domains is None:
            async with self._usual.turns:
                told = await self.work(partial(self._tell_at_once, data, self.clock(), asked, as_of))
            if told is not None:
                return told
        found = await self.examine_bytes(data, asked=asked, as_of=as_of)
        return await self.work(partial(tell, found))

    def _tell_at_once(self, data: bytes, now: datetime, asked: Asked, as_of: datetime | None) -> Told | None:
        """None where something is to be fetched first."""
        try:
            intake = read_intake(data)
        except Malformed as error:
            return tell(self.unreadable(error))
        found = engine.attempt(intake, Materials.none(), self.verifier, now=now, as_of=as_of, asked=asked)
        return tell(Examination(found, intake)) if isinstance(found, Report) else None

    async def examine(
        self,
        intake: Intake,
        *,
        asked: Asked = NOTHING_ASKED,
        as_of: datetime | None = None,
    ) -> Examination:
        """Judge what has been read already."""
        documents = [shown.document for shown in intake.credentials]
        lane = self._heavy if _has_more_values(documents, HEAVY_VALUES) else self._usual
        async with lane.turns, self._egress.for_report() as egress:
            report = await examine(
                intake,
                self.verifier,
                egress,
                now=self.clock(),
                as_of=as_of,
                asked=asked,
                work=lane.work,
                didkit=self._didkit,
                replica=self._replica,
                sources=self._sources,
            )
        told = await self._domains.told(set(issuers_of(report))) if self._domains is not None else {}
        return Examination(report, intake, told)

    def unreadable(self, error: Malformed) -> Examination:
        """The report on input that is nothing we know."""
        return Examination(engine.unreadable(error, self.verifier, now=self.clock()), None)


@dataclass(frozen=True, slots=True)
class Told:
    """An examination in words, and its report as JSON. `files` is the evidence that `account` lists, with its bytes,
    for each of its credentials in their order.
    """

    account: JsonObject
    report: JsonObject
    files: list[list[tuple[JsonObject, bytes]]]


def tell(examination: Examination) -> Told:
    """What there is to say to people. Pure, and as long as the document."""
    account = account_of(examination.report, examination.intake, examination.domains)
    return Told(account, examination.report.to_json(), _shown_files(examination, account))


def _shown_files(examination: Examination, account: JsonObject) -> list[list[tuple[JsonObject, bytes]]]:
    if examination.intake is None:
        return []
    found = []
    for told, shown in zip(account["credentials"], examination.intake.credentials, strict=False):
        items = shown.bundle.evidence if shown.bundle is not None else ()
        files = []
        for one in told["evidence"]:
            item = items[one["place"]]
            if isinstance(item, ShownEvidence):
                files.append((one, item.item.data))
        found.append(files)
    return found


def issuers_of(report: Report) -> Iterator[str]:
    """Those of a report and of what is in it, where they are proven to be."""
    if report.issuer is not None and report.established:
        yield report.issuer.id
    for one in (*report.credentials, *report.endorsements):
        yield from issuers_of(one)
