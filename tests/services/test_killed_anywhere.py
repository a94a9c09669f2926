"""The worker killed at every statement between sealed and final: one anchor, and a bundle for every credential.

A first life is watched, which gives the places (`statements.py`). Then, for each place, two credentials are issued, a
worker lives until it comes there and is killed, and another goes on from the database alone. The chain is reachable,
lags, or lies to the one that dies.

A few places are tried every time. With the marker `exhaustive` each statement is, under each condition, by one of the
ways that lead to it, on the two databases by turns; with `BONAFIDES_EVERY_PLACE=1` by every way, on both.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from fixtures import lying_chain as lies
from fixtures.chain import RunningChain, in_thread, running
from fixtures.fast_chain import FastChainProcess
from fixtures.issuers import ALICE, BOB, PASSPHRASE, init_school, write_cohort
from fixtures.lying_chain import Lie, LyingChain
from fixtures.skipping import missing
from services.dying_anywhere import TICK_SECONDS, Life, killed_at, places_reached
from services.statements import Place, functions
from services.test_anchoring import head, writer_nonce
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import create_async_engine

from node.commands.issuer_folder import Folder, open_issuer
from node.core.anchor import CREDENTIAL
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord
from node.core.keys import KeyKind
from node.keystore import encode_secret
from node.services import anchoring, bundles, issuance
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer
from node.services.preparing import Terms
from node.storage.issuer import keys_table
from node.storage.protocols.issuer import KeyRole

# Issuers that die side by side.
SIDE_BY_SIDE = 3
RECOVERY_SECONDS = 15.0
SPREAD = 6

REACHABLE: dict[str, tuple[Lie, ...]] = {"reachable": ()}
LAGGING: dict[str, tuple[Lie, ...]] = {"lagging": (lies.lagging(2), lies.stale_finalized(3))}
LYING: dict[str, tuple[Lie, ...]] = {
    "transactions swallowed": (lies.transactions_swallowed(),),
    "transactions refused": (lies.transactions_refused(),),
    "higher fees wanted": (
        lies.only(lies.first(2, lies.errors(-32000, "transaction underpriced")), "eth_sendRawTransaction"),
    ),
    "receipts withheld": (lies.receipts_withheld(),),
    "receipts invented": (lies.transactions_swallowed(), lies.receipts_invented()),
    "receipts turned round": (lies.receipts_failed(),),
    "slots invented": (
        lies.transactions_swallowed(),
        lies.receipts_invented(),
        lies.storage_invented(1 << 96 | 1 << 48 | 1),
    ),
    "wrong proofs": (lies.wrong_proof(),),
    "proofs of another block": (lies.proof_of_another_block(50),),
    "answers lost": (lies.only(lies.answers_lost(), "eth_sendRawTransaction"),),
    "nonces ahead": (lies.nonces_ahead(3),),
}


@dataclass
class School:
    """An issuer that dies and goes on, with an endpoint and a database of its own."""

    folder: Path
    endpoint: LyingChain
    environment: dict[str, str] = field(repr=False)
    began: datetime
    database: str
    cohorts: int = 0

    @property
    def life(self) -> Life:
        return Life(self.folder, self.endpoint.url, self.began, self.environment)

    async def issue(self, issuer: Issuer) -> list[bytes]:
        """Two credentials that wait for their anchor, by their digests."""
        self.cohorts += 1
        rows = [(f"{self.cohorts}-{number}", did, "9") for number, did in enumerate((ALICE, BOB))]
        cohort = write_cohort(self.folder / "input", *rows, with_evidence=False, evidence=None)
        await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms("eddsa-jcs-2022")))
        return [one.digest or b"" for one in await issuance.results(issuer, cohort)]


@pytest.fixture(scope="session")
def fast_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChain]:
    with running(FastChainProcess(tmp_path_factory.mktemp("fast"))) as chain:
        yield chain


SQLITE = pytest.param("sqlite", marks=pytest.mark.xdist_group("dying on SQLite"))
POSTGRES = pytest.param(
    "postgres", marks=[pytest.mark.postgres, pytest.mark.xdist_group("dying on PostgreSQL")]
)


@pytest.fixture(scope="session", params=[SQLITE, POSTGRES])
def schools(
    request: pytest.FixtureRequest, fast_chain: RunningChain, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[School]]:
    """On SQLite, then on PostgreSQL."""
    databases = []
    if request.param == "postgres":
        databases = [f"bonafides_{secrets.token_hex(6)}" for _ in range(SIDE_BY_SIDE)]
    began = datetime.now(UTC)

    def make(number: int) -> School:
        folder = tmp_path_factory.mktemp("dying")
        init_school(folder, fast_chain, _new_database(databases[number]) if databases else None)
        return School(
            folder, LyingChain(fast_chain.url), in_thread(lambda: _unseal(folder)), began, request.param
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(anchoring, "TICK_SECONDS", TICK_SECONDS)
        made = list(map(make, range(SIDE_BY_SIDE)))
    for school in made:
        school.endpoint.__enter__()
    yield made
    for school in made:
        school.endpoint.__exit__(None, None, None)
    for name in databases:
        in_thread(lambda name=name: _execute(f"DROP DATABASE {name} WITH (FORCE)"))


def _new_database(name: str) -> str:
    in_thread(lambda: _execute(f"CREATE DATABASE {name}"))
    return f"{_server().rpartition('/')[0]}/{name}"


def _server() -> str:
    return os.environ.get("BONAFIDES_TEST_POSTGRES") or missing("no PostgreSQL: set BONAFIDES_TEST_POSTGRES")


async def _execute(statement: str) -> None:
    engine = create_async_engine(_server(), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()


async def _unseal(folder: Path) -> dict[str, str]:
    """Take the writer's key out of its sealed file: to open it costs more than all that a worker does."""
    async with open_issuer(Folder.load(folder), PASSPHRASE) as issuer:
        async with issuer.store.transaction() as transaction:
            (writer,) = await transaction.keys.all(KeyRole.WRITER)
            name = f"TEST_WRITER_{secrets.token_hex(4).upper()}"
            statement = update(keys_table).where(keys_table.c.multibase == writer.multibase)
            await transaction.keys._connection.execute(statement.values(uri=f"env:{name}"))
        return {name: encode_secret(KeyKind.SECP256K1, issuer.keyring.secret(writer.uri))}


@dataclass(frozen=True)
class Case:
    """A place to die at, and what the endpoint does meanwhile."""

    name: str
    lies: tuple[Lie, ...]
    place: Place


async def watched(schools: Sequence[School], conditions: Mapping[str, tuple[Lie, ...]]) -> list[Case]:
    """The places that are reached under the conditions, each once, by turns under each that reaches it."""
    left = list(conditions)
    reached: dict[Place, list[str]] = {}

    async def one_after_another(school: School) -> None:
        async with opened(school) as issuer:
            while left:
                name = left.pop()
                digests = await school.issue(issuer)
                before = await written(issuer)
                school.endpoint.tell(*conditions[name])
                places = await asyncio.to_thread(places_reached, school.life)
                assert await survived(school, issuer, digests, before) == "", name
                for place in places:
                    reached.setdefault(place, []).append(name)

    await asyncio.gather(*map(one_after_another, schools))
    cases = []
    for number, (place, names) in enumerate(sorted(reached.items())):
        name = sorted(names)[number % len(names)]
        cases.append(Case(name, conditions[name], place))
    return cases


async def killed(schools: Sequence[School], cases: Sequence[Case]) -> tuple[int, list[str]]:
    """How many died where they should, and what was wrong afterwards."""
    left, deaths, faults = list(reversed(cases)), 0, []

    async def one_after_another(school: School) -> None:
        nonlocal deaths
        async with opened(school) as issuer:
            while left:
                case = left.pop()
                digests = await school.issue(issuer)
                before = await written(issuer)
                school.endpoint.tell(*case.lies)
                has_died = await asyncio.to_thread(killed_at, school.life, case.place)
                deaths += has_died
                fault = await survived(school, issuer, digests, before)
                if fault:
                    faults.append(f"{case.name}, killed before {case.place[0]}: {fault}")
                    return  # what comes after would be wrong for this reason alone

    await asyncio.gather(*(one_after_another(school) for school in schools))
    return deaths, faults


@asynccontextmanager
async def opened(school: School) -> AsyncIterator[Issuer]:
    """The issuer as the process that goes on has it: by the same endpoint, and the clock that hurries."""
    folder = Folder.load(school.folder).with_options(rpc=school.endpoint.url)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in school.environment.items():
            patch.setenv(name, value)
        async with open_issuer(folder, PASSPHRASE) as issuer:
            yield replace(issuer, clock=school.life.clock())


async def written(issuer: Issuer) -> tuple[int, int]:
    """Transactions of the writer, and writes of the identity, as they are in truth."""
    return await writer_nonce(issuer), await head(issuer)


async def survived(school: School, issuer: Issuer, digests: Sequence[bytes], before: tuple[int, int]) -> str:
    """Go on, with an honest endpoint, until nothing is left; what is wrong then, nothing where nothing is."""
    school.endpoint.be_honest()
    worker, deadline = AnchorWorker(issuer), time.monotonic() + RECOVERY_SECONDS
    while not (tick := await worker.tick(close=True)).is_done:
        if time.monotonic() > deadline:
            return f"not done: {tick}"
        await asyncio.sleep(TICK_SECONDS)
    nonce, writes = await written(issuer)
    if writes != before[1] + 1:
        return f"{writes - before[1]} anchors"
    if nonce != before[0] + 1:
        return f"{nonce - before[0]} transactions"
    for digest in digests:
        bundle = await bundles.load_bundle(issuer, digest)
        if bundle is None or bundle.anchor is None or bundle.state is None:
            return "a credential without its bundle"
        slot = registry.anchor_slot(issuer.identity, bundle.anchor.commitment_of(CREDENTIAL, digest))
        chain = issuer.require_chain()
        word = await chain.client.storage_at(chain.network.credential_registry, slot)
        if AnchorRecord.from_word(word).block != bundle.anchor.block:
            return "a bundle with another block than its anchor's"
    return ""


STATES = ("node.services.dispatch", "node.services.sealing")
# What only a reorganisation, a foreign transaction, or an operator leads to: `test_reorganised.py`, `test_dispatch.py`,
# `test_succession.py`.
ELSEWHERE = {
    "services.dispatch:Dispatcher._canonical_hash",
    "services.dispatch:Dispatcher._inherit",
    "services.dispatch:Dispatcher._is_out",
    "services.dispatch:Dispatcher._look_for_parked",
    "services.dispatch:Dispatcher._park",
    "services.dispatch:Dispatcher._reorganised",
    "services.dispatch:Dispatcher._spent_elsewhere",
}
CONDITIONS = {"reachable": REACHABLE, "lagging": LAGGING, "lying": LYING}


@pytest.mark.sampled
@pytest.mark.parametrize("condition", CONDITIONS)
async def test_killed_at_some_statements(schools: list[School], condition: str) -> None:
    cases = await watched(schools, CONDITIONS[condition])
    step = max(len(cases) // SPREAD, 1)
    some = cases[zlib.crc32(condition.encode()) % step :: step]
    deaths, faults = await killed(schools, some)
    assert not faults
    assert deaths > len(some) * 3 // 4  # else the places are not where they were


@pytest.mark.exhaustive
@pytest.mark.parametrize("condition", CONDITIONS)
async def test_killed_at_every_statement(schools: list[School], condition: str) -> None:
    cases = await watched(schools, CONDITIONS[condition])
    if not os.environ.get("BONAFIDES_EVERY_PLACE"):
        cases = by_turns(cases, [*CONDITIONS].index(condition) + (schools[0].database == "sqlite"))
    deaths, faults = await killed(schools, cases)
    assert not faults
    assert deaths > len(cases) * 3 // 4


def by_turns(cases: Sequence[Case], turn: int) -> list[Case]:
    """Half of the statements, by one way to each; the other half with the next turn."""
    ways: dict[str, list[Case]] = {}
    for case in cases:
        ways.setdefault(case.place[0], []).append(case)
    chosen = []
    for statement, some in ways.items():
        # Not by their order: two runs may differ by a statement that only one of them came to.
        number = zlib.crc32(statement.encode())
        if (number + turn) % 2:
            chosen.append(some[number // 2 % len(some)])
    return chosen


@pytest.mark.exhaustive
async def test_no_function_between_the_states_is_left_out(schools: list[School]) -> None:
    cases = await watched(schools, REACHABLE | LAGGING | LYING)
    reached = {statement.rpartition(":")[0] for case in cases for statement in case.place}
    assert functions(STATES) - reached <= ELSEWHERE
