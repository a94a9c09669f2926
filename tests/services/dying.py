"""An issuer's work in a process of its own that is killed (SIGKILL) at a named step, as a power cut would.

Run in children of a fork server that has everything imported: a child takes a fraction of a second.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Final

import pytest
from fixtures.issuers import PASSPHRASE

from node.commands.issuer_folder import Folder, open_issuer
from node.services import anchoring, issuance, lookup, offering, pressing, revocation, shapes, succession
from node.services.anchoring import AnchorWorker
from node.services.cohort import load_cohort
from node.services.issuer import Issuer
from node.services.preparing import Terms
from node.services.revocation import Action

Step = tuple[str, str, str]
"""What is killed: "before" or "after" a function of a module."""

CONTEXT: Final = multiprocessing.get_context("forkserver")
# `__main__` so that no child imports it again; the others are what work imports on its way.
_PRELOADED: Final = (__name__, "__main__", "eth_abi", "eth_account", "node.core.canonical.expansion")
CONTEXT.set_forkserver_preload([*_PRELOADED])


def ended(work: Callable[..., None], *arguments: Any) -> int | None:
    """How a child that does `work` ends, as `Process.exitcode`; None where it did not within a minute."""
    child = start(work, *arguments)
    child.join(60)
    return child.exitcode


def start(work: Callable[..., None], *arguments: Any) -> BaseProcess:
    """A child that does `work`."""
    with pytest.MonkeyPatch.context() as environment:
        # A server that cannot find what it is to preload says nothing, and every child imports it.
        environment.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        forkserver.ensure_running()
    child = CONTEXT.Process(target=work, args=arguments)
    child.start()
    return child


def killed_at(step: Step, folder: Path, work: str, *arguments: str) -> bool:
    """Do `work` (a function of this module) for the issuer in `folder`; whether it died at the step."""
    return ended(_run, step, folder, work, *arguments) == -signal.SIGKILL


async def issue(issuer: Issuer, cohort_folder: str) -> None:
    place = Path(cohort_folder)
    cohort = load_cohort(place / "template.json", place / "cohort.csv", place / "evidence")
    plan = await issuance.plan(issuer, cohort, Terms("eddsa-jcs-2022"))
    await issuance.issue(issuer, plan)
    await offering.offer(issuer, await issuance.results(issuer, cohort), bearer=False)


async def issue_apart(issuer: Issuer, cohort_folder: str) -> None:
    """Small chunks, signed in another process."""
    shapes.CUT_AT, pressing.FROM_ROWS, issuance._LIGHT_CHUNK = 2, 1, 20  # type: ignore[misc]
    place = Path(cohort_folder)
    cohort = load_cohort(place / "template.json", place / "cohort.ndjson")
    await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms("eddsa-jcs-2022")))


async def anchor(issuer: Issuer) -> None:
    await AnchorWorker(issuer).run_until_done(timeout_seconds=50)


async def revoke(issuer: Issuer, row: str) -> None:
    records = [await lookup.find_credential(issuer, row)]
    await revocation.change_status(issuer, records, Action.REVOKE, reason="a test", requested_by="test")
    await AnchorWorker(issuer).run_until_done(
        close=False, done=lambda tick: not tick.transactions, timeout_seconds=50
    )


async def replace_writer(issuer: Issuer) -> None:
    await succession.begin(issuer, issuer.keyring._folder, PASSPHRASE)
    await AnchorWorker(issuer).run_until_done(timeout_seconds=50)


def _run(step: Step, folder: Path, work: str, *arguments: str) -> None:
    _lay_trap(step)
    anchoring.TICK_SECONDS = 0.1  # type: ignore[misc]

    async def run() -> None:
        async with open_issuer(Folder.load(folder), PASSPHRASE) as issuer:
            await globals()[work](issuer, *arguments)

    asyncio.run(run())
    os._exit(0)


def _lay_trap(step: Step) -> None:
    when, module, name = step
    place: Any = importlib.import_module(module)
    *path, last = name.split(".")
    for part in path:
        place = getattr(place, part)
    whole: Callable[..., Awaitable[Any]] = getattr(place, last)

    @functools.wraps(whole)
    async def trapped(*arguments: Any, **options: Any) -> Any:
        if when == "after":
            await whole(*arguments, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, last, trapped)
