"""Judging what somebody sent: the one way in which the verifier node looks at anything.

Each report has an egress guard of its own, so its limits and its list of hosts are its own; connections to the
operator's endpoints are shared. A bounded number is judged at once: the rest waits its turn.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from node.core.errors import Malformed
from node.core.evidence import ShownEvidence
from node.core.strict_json import JsonObject
from node.core.verify import engine
from node.core.verify.account import account_of
from node.core.verify.holder import Asked
from node.core.verify.intake import Intake, read_intake
from node.core.verify.report import Report
from node.core.verify.verifier import Verifier
from node.outbound.gather import examine
from node.outbound.http import Egress

# Judging is mostly arithmetic on one core; waiting for a chain endpoint is the rest.
MAX_AT_ONCE: Final = 8

NOTHING_ASKED: Final = Asked()

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The time now, aware, UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Examination:
    """A report with what it is about; `intake` is None where nothing could be read."""

    report: Report
    intake: Intake | None


class Examiner:
    """A verifier with its connections. `egress` belongs to the caller, who closes it."""

    def __init__(self, verifier: Verifier, egress: Egress, clock: Clock = system_clock) -> None:
        self.verifier = verifier
        self.clock = clock
        self._egress = egress
        self._turns = asyncio.Semaphore(MAX_AT_ONCE)

    async def examine_bytes(
        self,
        data: bytes,
        *,
        asked: Asked = NOTHING_ASKED,
        as_of: datetime | None = None,
    ) -> Examination:
        """Judge a file: credential, bundle, presentation, image. What cannot be read gets a report too."""
        try:
            intake = read_intake(data)
        except Malformed as error:
            return self.unreadable(error)
        return await self.examine(intake, asked=asked, as_of=as_of)

    async def examine(
        self,
        intake: Intake,
        *,
        asked: Asked = NOTHING_ASKED,
        as_of: datetime | None = None,
    ) -> Examination:
        """Judge what has been read already."""
        async with self._turns, self._egress.for_report() as egress:
            report = await examine(intake, self.verifier, egress, now=self.clock(), as_of=as_of, asked=asked)
        return Examination(report, intake)

    def unreadable(self, error: Malformed) -> Examination:
        """The report on input that is nothing we know."""
        return Examination(engine.unreadable(error, self.verifier, now=self.clock()), None)


def shown_files(examination: Examination) -> list[list[tuple[JsonObject, bytes]]]:
    """The evidence that an account lists, with its bytes, for each of its credentials in their order."""
    if examination.intake is None:
        return []
    account = account_of(examination.report, examination.intake)
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
