"""`issuer doctor`: a sound issuer has nothing to mend, and each thing that is wrong is told with its remedy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer, unused_port
from fixtures.chain import RunningChain
from fixtures.lying_chain import Ask, Lie, LyingChain, chain_id_swapped, errors, forged_headers
from services.test_issuer_commands import School
from sqlalchemy import func, update

from node.core.evm.agreement import Endpoints
from node.core.verify.materials import Mode
from node.outbound.chain import ChainClient
from node.outbound.http import Egress, EgressPolicy
from node.services import export, status_lists
from node.services.doctor import Finding, Level, examine
from node.services.issuer import ChainAccess, Issuer
from node.storage.protocols.issuer import KeyRole, KeyState
from node.storage.status_lists import lists_table
from node.web.issuer import make_issuer_app

NOTHING = EgressPolicy(Mode.OFFLINE)


@asynccontextmanager
async def served(issuer: Issuer, *, linked: bytes | None) -> AsyncIterator[tuple[Issuer, EgressPolicy]]:
    """The issuer at a URL that answers; `linked` is what its origin says, by default (empty) what the issuer serves.

    Below a path it serves none, so that somebody else can.
    """
    port = unused_port()
    url = f"http://127.0.0.1:{port}" + ("" if linked == b"" else "/school")
    moved = replace(issuer, settings=replace(issuer.settings, url=url))
    async with issuer.store.transaction() as transaction:
        # The lists of the copied school, as if they had been opened here.
        await transaction.status_lists._connection.execute(  # type: ignore[attr-defined]
            update(lists_table).values(url=func.replace(lists_table.c.url, issuer.settings.url, url))
        )
        for one in await transaction.status_lists.all():
            await status_lists.publish(moved, transaction, one)
    app = make_issuer_app(moved, with_worker=False)
    if linked:

        async def configuration(_: web.Request) -> web.Response:
            return web.Response(body=linked, content_type="application/json")

        app.router.add_get("/.well-known/did-configuration.json", configuration)
    async with TestServer(app, port=port):
        yield moved, EgressPolicy(Mode.FULL, hosts=(f"127.0.0.1:{port}",), allow_loopback=True)


async def found(issuer: Issuer, policy: EgressPolicy = NOTHING) -> list[Finding]:
    async with Egress(policy) as egress:
        return await examine(issuer, egress)


def of(findings: list[Finding], subject: str) -> list[tuple[Level, str]]:
    return [(one.level, one.detail) for one in findings if one.subject == subject]


async def test_a_sound_issuer_has_nothing_to_mend(school: Issuer) -> None:
    async with served(school, linked=b"") as (issuer, policy):
        findings = await found(issuer, policy)
    assert {one.level for one in findings} == {Level.GOOD}, findings
    ((_, detail),) = of(findings, "domain")
    assert "`issuer link`" in detail
    assert list(dict.fromkeys(one.subject for one in findings)) == [
        "endpoint",
        "clock",
        "contracts",
        "identity",
        "keys",
        "writer",
        "balance",
        "transactions",
        "DID document",
        "status lists",
        "domain",
    ]


async def test_an_origin_that_does_not_link_the_did_is_told(school: Issuer) -> None:
    async with served(school, linked=None) as (issuer, policy):
        ((level, _),) = of(await found(issuer, policy), "domain")
        assert level is Level.WARNING
        elsewhere = await export.did_configuration_json(school)  # says it of another origin
    async with served(issuer, linked=elsewhere) as (issuer, policy):
        ((level, detail),) = of(await found(issuer, policy), "domain")
        assert level is Level.FAULT
        assert "it links did:ethr" in detail


async def test_lists_that_strangers_cannot_fetch_are_a_fault_with_a_remedy(school: Issuer) -> None:
    lists = [one for one in await found(school) if one.subject == "status lists"]
    assert [one.level for one in lists] == [Level.FAULT, Level.FAULT]
    assert all(one.remedy and "issuer serve" in one.remedy for one in lists)


async def test_a_writers_key_that_is_not_there_is_told_with_what_replaces_it(school: Issuer) -> None:
    (school.keyring._folder / "keys" / "writer.json").unlink()
    good, missing = [one for one in await found(school) if one.subject == "writer"]
    assert (good.level, missing.level) == (Level.GOOD, Level.WARNING)
    assert "there is no file:keys/writer.json" in missing.detail
    assert missing.remedy is not None
    assert "`issuer key replace-writer`" in missing.remedy


def later(issuer: Issuer, **span: float) -> Issuer:
    return replace(issuer, clock=lambda: issuer.clock() + timedelta(**span))


def other_code(issuer: Issuer) -> Issuer:
    chain = issuer.require_chain()
    return replace(
        issuer, chain=replace(chain, network=replace(chain.network, did_registry_code_hash=bytes(32)))
    )


def other_identity(issuer: Issuer) -> Issuer:
    return replace(issuer, settings=replace(issuer.settings, identity=bytes(19) + b"\x01"))


@pytest.mark.parametrize(
    ("ill", "subject", "expected", "detail"),
    [
        (lambda school: later(school, minutes=-2), "clock", Level.FAULT, "after this machine's time"),
        (lambda school: later(school, hours=1), "clock", Level.WARNING, "long before"),
        (lambda school: later(school, days=3650), "writer", Level.FAULT, "which is over"),
        (lambda school: later(school, days=3500), "writer", Level.WARNING, "may write until"),
        (other_code, "contracts", Level.FAULT, "another code"),
        (other_identity, "identity", Level.FAULT, "not the owner's key here"),
        (other_identity, "keys", Level.FAULT, "is not on the chain"),
        (lambda school: replace(school, chain=None), "endpoint", Level.FAULT, "none is known"),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_told_by_its_name(
    school: Issuer, ill: Callable[[Issuer], Issuer], subject: str, expected: Level, detail: str
) -> None:
    findings = [one for one in await found(ill(school)) if one.subject == subject]
    told = [one for one in findings if one.level is expected]
    assert told, findings
    assert detail in told[0].detail
    assert told[0].remedy


def forked(ask: Ask) -> Ask:
    """Another chain from the same beginning."""
    forged = forged_headers()(ask)

    async def answer(method: str, params: list[Any]) -> Any:
        return await (ask if params[:1] == ["0x0"] else forged)(method, params)

    return answer


@pytest.mark.parametrize(
    ("lie", "alone", "beside"),
    [
        (errors(), ["internal error"], "internal error"),
        (chain_id_swapped(), ["another chain"], "another chain"),
        (forged_headers(), ["another chain"], "another chain"),
        (forked, [], "name different blocks"),
    ],
    ids=["answers nothing", "another number", "another genesis", "another fork"],
)
async def test_an_endpoint_that_does_not_agree_is_a_fault(
    school: Issuer, devchain: RunningChain, lie: Lie, alone: list[str], beside: str
) -> None:
    network = school.require_chain().network
    with LyingChain(devchain.url) as endpoint:
        endpoint.tell(lie)
        endpoints = Endpoints.of([f"one={devchain.url}", f"two={endpoint.url}"])
        async with ChainClient(endpoint.url) as liar, ChainClient(devchain.url) as honest:
            for chain, expected in (
                (ChainAccess(liar, network), alone),
                (ChainAccess(honest, network, (liar,), endpoints), [beside]),
            ):
                told = of(await found(replace(school, chain=chain)), "endpoint")
                faults = [detail for level, detail in told if level is Level.FAULT]
                assert len(faults) == len(expected), told
                assert all(part in fault for part, fault in zip(expected, faults, strict=True)), told


async def test_a_call_that_was_set_aside_is_a_fault(school: Issuer) -> None:
    async with school.store.transaction() as transaction:
        entry = await transaction.outbox.add("open_list", bytes(20), bytes(20), b"", school.clock())
        await transaction.outbox.park(entry.id, "the contract would refuse it", school.clock())
    ((level, detail),) = of(await found(school), "transactions")
    assert level is Level.FAULT
    assert "the contract would refuse it" in detail


async def test_a_key_that_the_database_takes_for_something_else_is_told(school: Issuer) -> None:
    async with school.store.transaction() as transaction:
        (key,) = await transaction.keys.all(KeyRole.ASSERTION)
        await transaction.keys.move(key.multibase, KeyState.COMPROMISING)
    findings = await found(school)
    assert (Level.FAULT, "none is active: nothing can be signed") in of(findings, "keys")
    assert (Level.FAULT, "#delegate-1 was lost, and is listed still") in of(findings, "DID document")


async def test_who_cannot_pay_is_warned(school: Issuer) -> None:
    rich = replace(school, anchoring=replace(school.anchoring, low_balance=10**12))
    ((level, detail),) = of(await found(rich), "balance")
    assert level is Level.WARNING
    assert "more anchors" in detail


def test_the_exit_status_tells_a_fault(tmp_path: Path) -> None:
    school = School(tmp_path / "school")
    url = f"http://127.0.0.1:{unused_port()}"
    init = ["init", "--name", "A school", "--url", url, "--did", "key", "--development"]
    school.json(*init)
    sound = school.run("doctor")
    assert sound.exit_code == 0
    assert "warning  domain:" in sound.stdout  # nobody serves it
    school.json(*init, "--status")
    ill = school.run("doctor", "--json")
    assert ill.exit_code == 1
    assert '"level":"fault"' in ill.stdout
