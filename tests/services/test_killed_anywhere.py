"""The worker killed at every statement between the states of a write: it is done, once, and the database knows it.

First batches: one anchor, and a bundle for every credential. Each statement is died before with the chain reachable,
lagging, and lying, on SQLite and on PostgreSQL by turns, so that each comes to both. Then the other writes
(`dying_schools.CHANGES`), which the same machine carries: each statement of it and of what asks for them once, under
one of the conditions, on the databases by turns.

A few places are tried every time, all statements with the marker `exhaustive`; with `BONAFIDES_EVERY_PLACE=1` every
way that leads to each of them, under each condition on both databases.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

import pytest
from fixtures.chain import RunningChain, running
from fixtures.fast_chain import FastChainProcess
from services.dying_anywhere import hurry
from services.dying_schools import (
    BATCHES,
    CHANGES,
    CONDITIONS,
    LAGGING,
    LYING,
    REACHABLE,
    Case,
    Deaths,
    Schools,
    by_statement,
    by_way,
    killed,
    mortal_schools,
    watched,
)
from services.statements import functions

SPREAD = 6
EVERY_PLACE = bool(os.environ.get("BONAFIDES_EVERY_PLACE"))
SOME_CONDITIONS = REACHABLE | LAGGING | dict([*LYING.items()][::4])

STATES = ("node.services.dispatch", "node.services.effects", "node.services.sealing")
# What only a reorganisation, a foreign transaction, or an operator leads to: `test_reorganised.py`, `test_dispatch.py`,
# `test_closing.py`, `test_list_mirrors.py`, `test_setup.py`, `test_succession.py`.
ELSEWHERE = {
    "services.dispatch:Dispatcher._canonical_hash",
    "services.dispatch:Dispatcher._inherit",
    "services.dispatch:Dispatcher._is_out",
    "services.dispatch:Dispatcher._look_for_parked",
    "services.dispatch:Dispatcher._park",
    "services.dispatch:Dispatcher._reorganised",
    "services.dispatch:Dispatcher._spent_elsewhere",
    "services.effects:_close",
    "services.effects:_publish_list",
    "services.effects:_publish_list.<locals>.holds",
    "services.effects:_set_status.<locals>.is_lasting",
    "services.effects:_set_writer",
    "services.effects:_set_writer.<locals>.holds",
}


@pytest.fixture(scope="session")
def fast_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChain]:
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            hurry(patch)
            chain = stack.enter_context(running(FastChainProcess(tmp_path_factory.mktemp("fast"))))
        yield chain


SQLITE = pytest.param("sqlite", marks=pytest.mark.xdist_group("dying on SQLite"))
POSTGRES = pytest.param(
    "postgres", marks=[pytest.mark.postgres, pytest.mark.xdist_group("dying on PostgreSQL")]
)


@pytest.fixture(scope="session", params=[SQLITE, POSTGRES])
def schools(
    request: pytest.FixtureRequest, fast_chain: RunningChain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Schools]:
    with mortal_schools(fast_chain, lambda: tmp_path_factory.mktemp("dying"), request.param) as made:
        yield made


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    hurry(monkeypatch)


def all_survived(deaths: Deaths) -> None:
    assert not deaths.faults
    # Else the places are not where they were: two lives differ by a few statements, on a busy machine by some more.
    assert len(deaths.lived) <= 2 + len(deaths.died) // 10, deaths.lived


@pytest.mark.sampled
@pytest.mark.parametrize("condition", CONDITIONS)
async def test_killed_at_some_statements(schools: Schools, condition: str) -> None:
    conditions = {name: SOME_CONDITIONS[name] for name in CONDITIONS[condition] if name in SOME_CONDITIONS}
    cases = by_statement(await watched(schools, BATCHES, conditions))
    step = max(len(cases) // SPREAD, 1)
    all_survived(await killed(schools, cases[zlib.crc32(condition.encode()) % step :: step]))


@pytest.mark.exhaustive
@pytest.mark.parametrize("condition", CONDITIONS)
async def test_killed_at_every_statement(schools: Schools, condition: str) -> None:
    cases = await watched(schools, BATCHES, CONDITIONS[condition])
    all_survived(await killed(schools, chosen(schools, cases, [*CONDITIONS].index(condition))))


@pytest.mark.exhaustive
async def test_every_other_write_killed_at_every_statement(schools: Schools) -> None:
    all_survived(await killed(schools, chosen(schools, await changing(schools), 0)))


def chosen(schools: Schools, cases: Sequence[Case], turn: int) -> list[Case]:
    """Every way on either database; else each statement once, half of them here and with the next turn there."""
    if EVERY_PLACE:
        return by_way(cases)
    return [case for case in by_statement(cases) if (case.turn + turn) % 2 == (schools.database == "sqlite")]


async def changing(schools: Schools) -> list[Case]:
    """What is reached by each of the other writes, by some of them with a lie, so that each lie is told once."""
    cases = []
    for number, work in enumerate(CHANGES):
        lying = dict([*LYING.items()][number :: len(CHANGES)])
        cases += await watched(schools, work, REACHABLE | LAGGING | lying)
    return cases


@pytest.mark.exhaustive
async def test_no_function_between_the_states_is_left_out(schools: Schools) -> None:
    cases = [*await watched(schools, BATCHES, REACHABLE | LAGGING | LYING), *await changing(schools)]
    reached = {statement.rpartition(":")[0] for case in cases for statement in case.place}
    assert functions(STATES) - reached <= ELSEWHERE
