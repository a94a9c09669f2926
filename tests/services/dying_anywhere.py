"""A worker in a process of its own that dies (SIGKILL) at any statement between the states of the outbox.

What it is asked to do first is one of `WORKS`; each may be asked for again, and is done once.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Final, Self

import pytest
from fixtures.issuers import PASSPHRASE
from services.dying import CONTEXT, start
from services.statements import Place, lay_trap, sources_of, watch

from node import keystore
from node.chain import transactions
from node.commands import loading
from node.commands.issuer_folder import Folder, open_issuer
from node.core.errors import BonafidesError, Conflict
from node.core.sealed import Cost
from node.core.status.entry import SUSPENSION
from node.services import anchoring, compromise, dispatch, linking, lookup, revocation, rotation, status_lists
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer
from node.services.revocation import Action
from node.storage import database
from node.storage.protocols.issuer import KeyRole

MACHINE: Final = (
    "node.services.anchoring",
    "node.services.dispatch",
    "node.services.effects",
    "node.storage.outbox",
)
"""What takes a call from asked for to final."""
ANCHORING: Final = (
    *MACHINE,
    "node.services.sealing",
    "node.services.bundles",
    "node.storage.batches",
    "node.storage.bundles",
)
"""What takes a batch from sealed to final, and its credentials to their bundles."""
CHANGING: Final = (
    *MACHINE,
    "node.services.compromise",
    "node.services.linking",
    "node.services.registration",
    "node.services.revocation",
    "node.services.rotation",
    "node.services.status_lists",
    "node.storage.issuer",
    "node.storage.status_lists",
)
"""What takes a change of a status, a key, a list or the DID document from asked for to final."""

STEP: Final = timedelta(seconds=0.1)
"""What passes from one step of a worker to the next, by its clock: it waits for nothing else."""
# Where nothing ever becomes final: enough for a transaction to be sent again, and replaced.
_STEPS: Final = 10
LIFETIME: Final = _STEPS * STEP


def hurry(patch: pytest.MonkeyPatch) -> None:
    """What waits for a quarter of a minute, or for two, waits for some steps; a key is sealed, and quickly opened."""
    patch.setattr(anchoring, "TICK_SECONDS", 0)
    patch.setattr(transactions, "_POLL_SECONDS", 0.01)
    patch.setattr(dispatch, "_RESEND_AFTER", 2 * STEP)
    patch.setattr(dispatch, "_REPLACE_AFTER", 5 * STEP)
    cheap = functools.partial(keystore.create_key, cost=Cost(memory_kib=8, passes=1, lanes=1))
    patch.setattr(keystore, "create_key", cheap)


# --- what may be asked for


async def anchor(_issuer: Issuer, *_digests: str) -> None:
    """Nothing: what was signed waits already."""


async def revoke(issuer: Issuer, credential_id: str) -> None:
    record = await lookup.find_credential(issuer, credential_id)
    await revocation.change_status(issuer, [record], Action.REVOKE, reason="a test", requested_by="test")


async def rotate(issuer: Issuer, number: str) -> None:
    """Replace the key in use by one that is the `number`-th of all."""
    async with issuer.store.reading() as reading:
        keys = await reading.keys.all(KeyRole.ASSERTION)
    if len(keys) < int(number):
        await rotation.begin(issuer, issuer.keyring._folder, PASSPHRASE)


async def declare(issuer: Issuer, multibase: str, since: str) -> None:
    """Declare a key compromised, for the first time."""
    with contextlib.suppress(Conflict):  # it stands on the chain
        await compromise.declare(issuer, await compromise.plan(issuer, multibase, int(since)))


async def open_list(issuer: Issuer, entries: str) -> None:
    """Room for so many suspensions."""
    await status_lists.ensure_list(issuer, SUSPENSION, int(entries))


async def link(issuer: Issuer, origin: str) -> None:
    await linking.link(issuer, origin)


async def unlink(issuer: Issuer, origin: str) -> None:
    await linking.unlink(issuer, origin)


Request = tuple[str, ...]
"""The name of a function above, and its arguments."""

_REQUESTS: Final[Mapping[str, Callable[..., Awaitable[None]]]] = {
    function.__name__: function for function in (anchor, revoke, rotate, declare, open_list, link, unlink)
}


async def ask(issuer: Issuer, request: Request) -> None:
    """Ask for it, or ask again: it is done once."""
    name, *arguments = request
    await _REQUESTS[name](issuer, *arguments)


# --- lives


@dataclass
class Clock:
    """A clock that stands until it is put forward, so that what happens does not depend on how fast a machine is."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> None:
        self.now += by


@dataclass(frozen=True, slots=True)
class Life:
    """How a worker lives: on which folder and endpoint, what it is asked first, which modules are watched, and when."""

    folder: Path
    rpc: str
    request: Request
    modules: tuple[str, ...]
    began: datetime


class Mortals:
    """Makes the processes that live and die, each from one that has lived once and has nothing open.

    So they need not do again what any process does that begins: imports, reading of schemas, compiling of statements.
    """

    def __enter__(self) -> Self:
        self._ours, theirs = CONTEXT.Pipe()
        start(_beget, theirs)
        theirs.close()
        return self

    def __exit__(self, *_: object) -> None:
        self._ours.close()

    def live(self, life: Life) -> None:
        """Let one worker live that is not to die, in that process itself."""
        assert self._ended(life, None, None) == 0

    def places_reached(self, life: Life) -> list[Place]:
        """All the places that a worker reaches in this life, in the order in which it comes to them."""
        record = life.folder / "places.json"
        assert self._ended(life, None, record) == 0
        return [tuple(place) for place in json.loads(record.read_text())]

    def killed_at(self, life: Life, place: Place) -> bool:
        """Let a worker live until it comes to `place`; whether it died there."""
        code = self._ended(life, place, None)
        assert code in (0, -signal.SIGKILL)
        return code != 0

    def _ended(self, life: Life, deadly: Place | None, record: Path | None) -> int:
        self._ours.send((life, deadly, record))
        assert self._ours.poll(60), "it neither lives nor dies"
        return int(self._ours.recv())


def _beget(theirs: Connection) -> None:
    with pytest.MonkeyPatch.context() as patch:
        hurry(patch)
        # What is made once for each process is made once for all of them; no connection is open in between.
        patch.setattr(database, "_engine", functools.cache(database._engine))
        patch.setattr(loading, "load_standards", functools.cache(loading.load_standards))
        with contextlib.suppress(EOFError):
            while True:
                life, deadly, record = theirs.recv()
                if deadly is None and record is None:
                    asyncio.run(_live(life, None, None))
                    while threading.active_count() > 1:  # a connection's own, which is about to end
                        time.sleep(0.01)
                    gc.collect()
                    gc.freeze()  # what is there already is not looked through, nor copied for it, in each life
                    theirs.send(0)
                    continue
                if (child := os.fork()) == 0:
                    theirs.close()
                    asyncio.run(_live(life, deadly, record))
                    os._exit(0)
                theirs.send(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))


async def _live(life: Life, deadly: Place | None, record: Path | None) -> None:
    reached: dict[Place, None] = {}
    sources_of(life.modules)
    async with open_issuer(Folder.load(life.folder).with_options(rpc=life.rpc), PASSPHRASE) as issuer:
        if record is not None:
            watch(life.modules, reached.setdefault)
        if deadly is not None:
            lay_trap(life.modules, deadly)
        await _work(issuer, life.request, Clock(life.began))
    sys.settrace(None)
    if record is not None:
        record.write_text(json.dumps(list(reached)))  # noqa: ASYNC240 - nothing else runs here


async def _work(issuer: Issuer, request: Request, clock: Clock) -> None:
    """As a server does: go on whatever stands in the way, but only until nothing is left, or for some steps."""
    issuer = replace(issuer, clock=clock)
    worker, is_asked = AnchorWorker(issuer), False
    for _ in range(_STEPS):
        try:
            if not is_asked:
                await ask(issuer, request)
                is_asked = True
            if (await worker.tick(close=True)).is_done:
                return
        except BonafidesError:
            pass
        clock.advance(STEP)
