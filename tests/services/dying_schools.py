"""Issuers that die and go on: how the places are found, how they die there, and what must be true afterwards.

A first life is watched, which gives the places (`statements.py`). Then, for some places at a time, something is asked
for, and worker after worker lives until it comes to the next of them and is killed, each going on from the database
alone. In the end one lives on with an honest endpoint, and what was asked for must have been done, and done once.
"""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import pytest
from fixtures import lying_chain as lies
from fixtures.chain import RunningChain, in_thread
from fixtures.issuers import ALICE, BOB, PASSPHRASE, init_school, write_cohort
from fixtures.lying_chain import Lie, LyingChain
from fixtures.skipping import missing
from services.dying_anywhere import (
    ANCHORING,
    CHANGING,
    LIFETIME,
    STEP,
    Clock,
    Life,
    Mortals,
    Request,
    ask,
    hurry,
)
from services.statements import Place
from services.test_anchoring import head
from services.test_revocation import on_chain, published
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from node.commands.issuer_folder import Folder, open_issuer
from node.core.anchor import CREDENTIAL
from node.core.errors import BonafidesError
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord, ListRecord
from node.core.jose.domain_linkage import linked_origins
from node.core.status.entry import SUSPENSION
from node.services import bundles, compromise, issuance, linking, registration, revocation
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer, address_of
from node.services.preparing import Terms
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.status_lists import StatusList

# Issuers that die side by side.
SIDE_BY_SIDE: Final = 2
# Deaths between one request and the truth about it.
IN_A_ROW: Final = 16
RECOVERY_SECONDS: Final = 30.0
# Revocations that are prepared for at a time.
_ROWS: Final = 40
# What is kept for holders, however old: it is not made anew.
_ANY_AGE: Final = 10**9

Conditions = Mapping[str, tuple[Lie, ...]]

REACHABLE: Conditions = {"reachable": ()}
LAGGING: Conditions = {"lagging": (lies.lagging(1), lies.stale_finalized(1))}
LYING: Conditions = {
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
CONDITIONS: Final = {"reachable": REACHABLE, "lagging": LAGGING, "lying": LYING}


@dataclass
class School:
    """An issuer that dies and goes on, with an endpoint and a database of its own."""

    folder: Path
    endpoint: LyingChain
    mortals: Mortals
    clock: Clock = field(default_factory=lambda: Clock(datetime.now(UTC)))
    rows: list[str] = field(default_factory=list)
    """Credentials that are signed, anchored, and not revoked."""
    cohorts: int = 0

    def life(self, work: Work, request: Request, told: Sequence[Lie]) -> Life:
        self.endpoint.tell(*told)
        self.clock.advance(LIFETIME)
        rpc = self.endpoint.url if told else self.endpoint.truth
        return Life(self.folder, rpc, request, work.modules, self.clock())

    async def issue(self, issuer: Issuer, count: int) -> list[issuance.Issued]:
        """Credentials that wait for their anchor."""
        self.cohorts += 1
        rows = [(f"{self.cohorts}-{number}", (ALICE, BOB)[number % 2], "9") for number in range(count)]
        cohort = write_cohort(self.folder / "input", *rows, with_evidence=False, evidence=None)
        await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms("eddsa-jcs-2022")))
        return await issuance.results(issuer, cohort)


@dataclass(frozen=True)
class Writes:
    """Transactions of owner and writer, and writes of the identity in the CredentialRegistry."""

    owner: int
    writer: int
    registry: int

    @classmethod
    async def of(cls, issuer: Issuer) -> Writes:
        """As they are in truth."""
        client = issuer.require_chain().client
        async with issuer.store.reading() as reading:
            (owner,) = await reading.keys.all(KeyRole.OWNER)
            (writer,) = await reading.keys.all(KeyRole.WRITER)
        nonces = [await client.nonce(address_of(key)) for key in (owner, writer)]
        return cls(*nonces, await head(issuer))

    def since(self, before: Writes) -> Writes:
        return Writes(self.owner - before.owner, self.writer - before.writer, self.registry - before.registry)


@dataclass(frozen=True)
class Work:
    """Something that is asked of a worker, and how to tell that it was done."""

    name: str
    modules: tuple[str, ...]
    writes: Writes
    """What it comes to if it is done once."""
    request: Callable[[School, Issuer], Awaitable[Request]]
    """Something that was not asked for yet."""
    fault: Callable[[Issuer, Request], Awaitable[str]]
    """What is wrong now that it should be done; nothing where nothing is."""


# --- batches


async def _credentials(school: School, issuer: Issuer) -> Request:
    return ("anchor", *((one.digest or b"").hex() for one in await school.issue(issuer, 2)))


async def _bundles_fault(issuer: Issuer, request: Request) -> str:
    for digest in map(bytes.fromhex, request[1:]):
        bundle = await bundles.load_bundle(issuer, digest, max_age_seconds=_ANY_AGE)
        if bundle is None or bundle.anchor is None or bundle.state is None:
            return "a credential without its bundle"
        word = await _word(
            issuer, registry.anchor_slot(issuer.identity, bundle.anchor.commitment_of(CREDENTIAL, digest))
        )
        if AnchorRecord.from_word(word).block != bundle.anchor.block:
            return "a bundle with another block than its anchor's"
    return ""


# --- changes


async def _row(school: School, issuer: Issuer) -> Request:
    if not school.rows:
        school.rows += [one.credential_id for one in await school.issue(issuer, _ROWS)]
        await _finish(school, issuer)
    return "revoke", school.rows.pop()


async def _status_fault(issuer: Issuer, request: Request) -> str:
    (credential_id,) = request[1:]
    if (
        await on_chain(issuer, credential_id, "revocation"),
        await published(issuer, credential_id, "revocation"),
    ) != (1, 1):
        return "a revocation that is not to be seen"
    return "" if await revocation.is_effective(issuer, [credential_id]) else "a revocation that is not known"


async def _keys(issuer: Issuer) -> tuple[IssuerKey, ...]:
    async with issuer.store.reading() as reading:
        return await reading.keys.all(KeyRole.ASSERTION)


async def _next_key(_school: School, issuer: Issuer) -> Request:
    return "rotate", str(len(await _keys(issuer)) + 1)


async def _keys_fault(issuer: Issuer, request: Request) -> str:
    keys = await _keys(issuer)
    *_, old, new = keys
    if len(keys) != int(request[1]) or (old.state, new.state) != (KeyState.RETIRED, KeyState.ACTIVE):
        return f"keys that are {', '.join(key.state for key in keys)}"
    finalized = await issuer.require_chain().finalized()
    ended, begun = [await registration.key_window(issuer, key, finalized) for key in (old, new)]
    if not ended.until or not begun.valid_from or begun.until:
        return "windows of keys that are not theirs"
    listed = await _methods(issuer)
    return (
        ""
        if listed.count(new.multibase) == 1
        else f"the new key is listed {listed.count(new.multibase)} times"
    )


async def _methods(issuer: Issuer) -> list[str]:
    return [
        method.get("publicKeyMultibase", "")
        for method in (await linking.own_document(issuer)).raw["verificationMethod"]
    ]


async def _old_key(school: School, issuer: Issuer) -> Request:
    retired = [key for key in await _keys(issuer) if key.state is KeyState.RETIRED]
    if not retired:
        await ask(issuer, await _next_key(school, issuer))
        await _finish(school, issuer)
        return await _old_key(school, issuer)
    return "declare", retired[0].multibase, str(retired[0].valid_from)


async def _loss_fault(issuer: Issuer, request: Request) -> str:
    multibase, since = request[1:]
    state = {key.multibase: key.state for key in await _keys(issuer)}[multibase]
    if state is not KeyState.COMPROMISED or (await compromise.declared(issuer))[multibase] != int(since):
        return f"a lost key that is {state}"
    return "a lost key that is listed" if multibase in await _methods(issuer) else ""


async def _suspensions(issuer: Issuer) -> list[StatusList]:
    async with issuer.store.reading() as reading:
        return list(await reading.status_lists.all(SUSPENSION))


async def _entries(_school: School, issuer: Issuer) -> Request:
    lists = await _suspensions(issuer)
    return "open_list", str(sum((1 << one.log2_entries) // 2 - one.allocated for one in lists) + 1)


async def _list_fault(issuer: Issuer, _request: Request) -> str:
    newest = (await _suspensions(issuer))[-1]
    record = ListRecord.from_word(await _word(issuer, registry.list_slot(issuer.identity, newest.list_id)))
    if not newest.is_open or newest.opened_block != record.opened:
        return "a list that is not open"
    async with issuer.store.reading() as reading:
        is_served = await reading.status_lists.load_credential(newest.list_id) is not None
    return "" if is_served else "a list that is not served"


async def _origin(school: School, issuer: Issuer) -> Request:
    if named := linked_origins(await linking.own_document(issuer)):
        return "unlink", min(named)
    return "link", f"https://{secrets.token_hex(8)}.example"


async def _origin_fault(issuer: Issuer, request: Request) -> str:
    is_named = request[1] in linked_origins(await linking.own_document(issuer))
    return "" if is_named is (request[0] == "link") else f"{request[0]} had no effect"


BATCHES: Final = Work("anchor", ANCHORING, Writes(0, 1, 1), _credentials, _bundles_fault)
CHANGES: Final = (
    Work("revoke", CHANGING, Writes(0, 1, 1), _row, _status_fault),
    # Into the DID document, into the registry, and the old one out of it.
    Work("rotate", CHANGING, Writes(3, 0, 2), _next_key, _keys_fault),
    Work("declare", CHANGING, Writes(2, 0, 1), _old_key, _loss_fault),
    Work("open list", CHANGING, Writes(1, 0, 1), _entries, _list_fault),
    Work("link", CHANGING, Writes(1, 0, 0), _origin, _origin_fault),
)


# --- places, deaths, and the truth


@dataclass(frozen=True)
class Case:
    """A place to die at, what is asked for and what the endpoint does meanwhile; `number` tells which comes first."""

    work: Work
    condition: str
    told: tuple[Lie, ...]
    number: int
    place: Place

    @property
    def statement(self) -> str:
        """Where it dies, by whatever way it comes there."""
        return self.place[0]

    @property
    def turn(self) -> int:
        """A number of the statement's: not of its order, for two runs may differ by a statement of one of them."""
        return zlib.crc32(self.statement.encode())


@dataclass
class Schools:
    """Several that are alike but for their names, so that they may die side by side."""

    each: list[School]
    database: str
    cases: dict[tuple[str, str], list[Case]] = field(default_factory=dict)
    """The places that were reached, by the work's name and the condition's."""


async def watched(schools: Schools, work: Work, conditions: Conditions) -> list[Case]:
    """The places that are reached under the conditions, each by each of them."""
    known = schools.cases
    left = [(name, told) for name, told in conditions.items() if (work.name, name) not in known]

    async def one_after_another(school: School) -> None:
        async with opened(school) as issuer:
            while left:
                name, told = left.pop()
                places: list[Place] = []

                def live(request: Request, told: Sequence[Lie] = told, places: list[Place] = places) -> None:
                    places += school.mortals.places_reached(school.life(work, request, told))

                fault = await survived(school, issuer, work, live)
                assert not fault, f"{work.name}, {name}: {fault}"
                known[work.name, name] = [
                    Case(work, name, told, number, place) for number, place in enumerate(places)
                ]

    await asyncio.gather(*map(one_after_another, schools.each))
    return [case for name in conditions for case in known[work.name, name]]


def by_statement(cases: Iterable[Case]) -> list[Case]:
    """Each statement once, by one of the ways that lead to it and under one of the conditions."""
    ways: dict[str, list[Case]] = {}
    for case in sorted(cases, key=lambda case: (case.work.name, case.condition, case.place)):
        ways.setdefault(case.statement, []).append(case)
    return [some[some[0].turn // 2 % len(some)] for some in ways.values()]


def by_way(cases: Iterable[Case]) -> list[Case]:
    """Each way to each statement once, under one of the conditions."""
    conditions: dict[Place, list[Case]] = {}
    for case in sorted(cases, key=lambda case: (case.work.name, case.condition)):
        conditions.setdefault(case.place, []).append(case)
    return [some[number % len(some)] for number, (_, some) in enumerate(sorted(conditions.items()))]


def _in_rows(cases: Iterable[Case], length: int) -> list[list[Case]]:
    """Cases that are tried on one request, those first that are come to first."""
    alike: dict[tuple[str, str], list[Case]] = {}
    for case in cases:
        alike.setdefault((case.work.name, case.condition), []).append(case)
    rows = []
    for some in alike.values():
        some.sort(key=lambda case: case.number)
        count = -(-len(some) // length)
        rows += [some[start::count] for start in range(count)]
    return rows


@dataclass
class Deaths:
    """What came of it."""

    died: list[Case] = field(default_factory=list)
    lived: list[Case] = field(default_factory=list)
    """Who did not come to the place where it was to die."""
    faults: list[str] = field(default_factory=list)


async def killed(schools: Schools, cases: Iterable[Case], in_a_row: int = IN_A_ROW) -> Deaths:
    """Let somebody die at each of the places; who did not come there in a row is given another chance alone."""
    deaths = Deaths()
    left = _in_rows(cases, in_a_row)[::-1]

    async def one_after_another(school: School) -> None:
        async with opened(school) as issuer:
            while left:
                row, died = left.pop(), list[Case]()

                def die(request: Request, row: Sequence[Case] = row, died: list[Case] = died) -> None:
                    for case in row:
                        life = school.life(case.work, request, case.told)
                        if school.mortals.killed_at(life, case.place):
                            died.append(case)

                fault = await survived(school, issuer, row[0].work, die)
                deaths.died += died
                missed = [case for case in row if case not in died]
                if len(row) > 1:
                    left.extend([case] for case in missed)
                else:
                    deaths.lived += missed
                if fault:
                    where = ", then ".join(case.statement for case in died)
                    deaths.faults.append(
                        f"{row[0].work.name}, {row[0].condition}, killed before {where}: {fault}"
                    )
                    return  # what comes after would be wrong for this reason alone

    await asyncio.gather(*map(one_after_another, schools.each))
    return deaths


async def survived(school: School, issuer: Issuer, work: Work, befall: Callable[[Request], None]) -> str:
    """Ask for something new, let `befall` happen to those who are to do it, and go on with an honest endpoint until
    nothing is left; what is wrong then, nothing where nothing is.
    """
    request = await work.request(school, issuer)
    before = await Writes.of(issuer)
    await asyncio.to_thread(befall, request)
    try:
        await ask(issuer, request)
        school.clock.advance(LIFETIME)
        await _finish(school, issuer)
    except BonafidesError as error:
        return f"{type(error).__name__}: {error.detail}"
    if (writes := (await Writes.of(issuer)).since(before)) != work.writes:
        return f"{writes} and not {work.writes}"
    return await work.fault(issuer, request)


async def _finish(school: School, issuer: Issuer) -> None:
    await AnchorWorker(issuer).run_until_done(
        on_tick=lambda _: school.clock.advance(STEP), timeout_seconds=RECOVERY_SECONDS
    )


async def _word(issuer: Issuer, slot: bytes) -> int:
    chain = issuer.require_chain()
    return await chain.client.storage_at(chain.network.credential_registry, slot)


# --- schools


@asynccontextmanager
async def opened(school: School) -> AsyncIterator[Issuer]:
    """The issuer as the process that goes on has it: with an honest endpoint."""
    folder = Folder.load(school.folder).with_options(rpc=school.endpoint.truth)
    async with open_issuer(folder, PASSPHRASE) as issuer:
        yield replace(issuer, clock=school.clock)


@contextmanager
def mortal_schools(chain: RunningChain, make_folder: Callable[[], Path], database: str) -> Iterator[Schools]:
    """Schools that die side by side, on `sqlite` or `postgres`."""
    with ExitStack() as stack:
        with pytest.MonkeyPatch.context() as patch:
            hurry(patch)
            schools = []
            for _ in range(SIDE_BY_SIDE):
                folder = make_folder()
                url = stack.enter_context(_new_database()) if database == "postgres" else None
                init_school(folder, chain, url)
                mortals = stack.enter_context(Mortals())
                endpoint = stack.enter_context(LyingChain(chain.url))
                schools.append(School(folder, endpoint, mortals))
                in_thread(functools.partial(_live_once, schools[-1]))
        yield Schools(schools, database)


async def _live_once(school: School) -> None:
    async with opened(school) as issuer:
        fault = await survived(
            school, issuer, BATCHES, lambda request: school.mortals.live(school.life(BATCHES, request, ()))
        )
        assert not fault, fault


@contextmanager
def _new_database() -> Iterator[str]:
    server = os.environ.get("BONAFIDES_TEST_POSTGRES") or missing(
        "no PostgreSQL: set BONAFIDES_TEST_POSTGRES"
    )
    name = f"bonafides_{secrets.token_hex(6)}"
    in_thread(lambda: _execute(server, f"CREATE DATABASE {name}"))
    yield f"{server.rpartition('/')[0]}/{name}"
    in_thread(lambda: _execute(server, f"DROP DATABASE {name} WITH (FORCE)"))


async def _execute(server: str, statement: str) -> None:
    engine = create_async_engine(server, isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        await connection.execute(text(statement))
    await engine.dispose()
