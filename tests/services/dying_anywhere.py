"""An issuer's worker in a process of its own that dies (SIGKILL) at any statement between the states of the outbox."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from fixtures.issuers import PASSPHRASE
from services.dying import ended
from services.statements import Place, watch

from node.commands.issuer_folder import Folder, open_issuer
from node.core.errors import BonafidesError
from node.services import anchoring
from node.services.anchoring import AnchorWorker

MACHINE: Final = (
    "node.services.anchoring",
    "node.services.dispatch",
    "node.services.sealing",
    "node.services.bundles",
    "node.storage.batches",
    "node.storage.bundles",
    "node.storage.outbox",
)
"""What takes a batch from sealed to final, and its credentials to their bundles."""

TICK_SECONDS: Final = 0.02
# Where nothing ever becomes final: long enough for a transaction to be sent again, and replaced.
_WATCHED_SECONDS: Final = 2.0
# The same on a busier machine; who dies where he should does not need it.
_DEADLY_SECONDS: Final = 6.0
# What waits for a quarter of a minute, or for two, is not waited for here.
_HURRY: Final = 100


@dataclass(frozen=True, slots=True)
class Life:
    """How a worker lives: on which folder and endpoint, since when its clock hurries, and with which variables."""

    folder: Path
    rpc: str
    began: datetime
    environment: dict[str, str] = field(repr=False)

    def clock(self) -> Callable[[], datetime]:
        """The time, which passes a hundred times as fast as outside since the tests began."""
        return lambda: self.began + (datetime.now(UTC) - self.began) * _HURRY


def places_reached(life: Life) -> list[Place]:
    """All the places that a worker reaches in this life, in the order in which it comes to them."""
    record = life.folder / "places.json"
    assert ended(_live, life, None, record) == 0
    return [tuple(place) for place in json.loads(record.read_text())]


def killed_at(life: Life, place: Place) -> bool:
    """Let a worker live until it comes to `place`; whether it died there."""
    code = ended(_live, life, place, None)
    assert code in (0, -signal.SIGKILL)
    return code != 0


def _live(life: Life, deadly: Place | None, record: Path | None) -> None:
    anchoring.TICK_SECONDS = TICK_SECONDS  # type: ignore[misc]
    os.environ.update(life.environment)
    reached: dict[Place, None] = {}

    def reach(place: Place) -> None:
        if place == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        reached[place] = None

    async def run() -> None:
        async with open_issuer(Folder.load(life.folder).with_options(rpc=life.rpc), PASSPHRASE) as issuer:
            watch(MACHINE, reach)
            worker = AnchorWorker(replace(issuer, clock=life.clock()))
            await _work(worker, _WATCHED_SECONDS if record else _DEADLY_SECONDS)
            if record is not None:
                record.write_text(json.dumps(list(reached)))  # noqa: ASYNC240 - nothing else runs here
            os._exit(0)

    asyncio.run(run())


async def _work(worker: AnchorWorker, seconds: float) -> None:
    """As a server does: go on whatever stands in the way, but only until nothing is left, or for some seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if (await worker.tick(close=True)).is_done:
                return
        except BonafidesError:
            pass
        await asyncio.sleep(TICK_SECONDS)
