"""Endpoints that answer anything at all: whatever comes, there is an answer or a reason, and nothing is accepted."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from attacks.test_lying_endpoints import Revoked, judged, made_school, revoked, standards
from fixtures.chain import RunningChain
from fixtures.lying_chain import Ask, Lie, LyingChain

from node.chain.transactions import Transactions, address_of
from node.core.errors import BonafidesError
from node.core.evm.agreement import Endpoints
from node.core.evm.network import NetworkClass
from node.core.verify.materials import (
    DocumentNeed,
    HeaderAnswer,
    HeaderNeed,
    Mode,
    StateNeed,
    TransactionNeed,
)
from node.core.verify.report import Acceptance
from node.core.verify.verifier import Verifier
from node.outbound.chain import ChainClient
from node.outbound.didkit import Didkit
from node.outbound.gather import Gatherer
from node.outbound.headers import ChainEndpoints
from node.outbound.http import Egress, EgressLimits, EgressPolicy
from node.services.audit import audit
from node.services.follower import Follower
from node.services.issuer import now_utc
from node.storage.database import open_database, sqlite_url

__all__ = ["made_school", "revoked", "standards"]

JUNK: Final[tuple[Any, ...]] = (
    None, True, -1, 0, 1.5, 2**53, "", "0x", "0x0", "0x-1", "-0x1", "0x_1", " 0x1", "0xffffffffffffffff",
    "0x" + "f" * 64, "0x" + "f" * 65, "0x" + "00" * 32, "0x" + "c0" * 40, "\u0661", "\ud7ff\0", [], {}, [[]], ["0x"],
    {"0x": None}, "x" * 5000,
)  # fmt: skip


@pytest.fixture(scope="module")
def endpoint(devchain: RunningChain) -> Iterator[LyingChain]:
    with LyingChain(devchain.url) as chain:
        yield chain


def babble(seed: int, rate: float = 0.3) -> Lie:
    """One place of some answers is something else, or is gone, or stands twice."""
    chance = random.Random(seed)  # noqa: S311 - what is told, not what is kept secret

    def wrap(ask: Ask) -> Ask:
        async def lying(method: str, params: list[Any]) -> Any:
            answer = copy.deepcopy(await ask(method, params))
            if chance.random() < (rate):
                return _changed(answer, chance)
            return answer

        return lying

    return wrap


def _changed(value: Any, chance: random.Random) -> Any:
    if isinstance(value, dict) and value and chance.random() < 0.9:
        name = chance.choice(sorted(value))
        if chance.random() < 0.1:
            del value[name]
        else:
            value[name] = _changed(value[name], chance)
        return value
    if isinstance(value, list) and value and chance.random() < 0.9:
        at = chance.randrange(len(value))
        kind = chance.random()
        if kind < 0.1:
            del value[at]
        elif kind < 0.2:
            value.append(value[at])
        else:
            value[at] = _changed(value[at], chance)
        return value
    if isinstance(value, str) and len(value) > 4 and chance.random() < 0.5:
        at = chance.randrange(2, len(value))
        return value[:at] + chance.choice("0123456789abcdefz") + value[at + 1 :]
    return chance.choice(JUNK)


@pytest.mark.parametrize("seed", range(10))
async def test_a_revoked_badge_is_never_accepted(revoked: Revoked, endpoint: LyingChain, seed: int) -> None:
    endpoint.tell(babble(seed, rate=0.06))  # rarely enough that headers come through, and proofs do not
    report = await judged(revoked, [endpoint])
    assert report.acceptance is not Acceptance.ACCEPTED


@pytest.fixture(scope="module")
def changed(devchain: RunningChain) -> bytes:
    """An identity whose DID document has changed."""
    key = devchain.new_key()
    identity = address_of(key)

    async def write() -> None:
        calls = devchain.deployments.did_registry_calls
        async with ChainClient(devchain.url) as client:
            for number in range(2):
                call = calls.set_attribute(
                    identity, "did/pub/Multikey/veriKey", b"\xed\x01" + bytes([number]) * 32, 10**6
                )
                await Transactions(client).send(call, key)

    asyncio.run(write())
    return identity


@pytest.mark.parametrize("seed", range(5))
async def test_every_need_has_an_answer_or_a_reason(
    revoked: Revoked, endpoint: LyingChain, devchain: RunningChain, changed: bytes, seed: int
) -> None:
    network = revoked.network
    endpoint.be_honest()
    async with ChainClient(devchain.url) as client:
        newest = await client.finalized()
        block = await client.block(newest.number, full_transactions=False)
    endpoint.tell(babble(seed))
    verifier = Verifier.of(revoked.standards, operator_networks={network.chain_id: network}, mode=Mode.CHAIN)
    policy = EgressPolicy(Mode.CHAIN, Endpoints.of([endpoint.url]), limits=EgressLimits(request_seconds=5))
    transaction = bytes.fromhex(block["transactions"][0][2:])
    for _ in range(4):
        async with Egress(policy) as egress:
            gatherer = Gatherer(egress, verifier, now=now_utc(), didkit=Didkit())
            answers = await gatherer.answer(
                [
                    HeaderNeed(network.chain_id, (1, newest.number)),
                    StateNeed(
                        network.chain_id, newest.hash, network.credential_registry, changed, (bytes(32),)
                    ),
                    DocumentNeed(f"did:ethr:0x{network.chain_id:x}:0x{changed.hex()}"),
                    TransactionNeed(network.chain_id, transaction),
                ]
            )
        for answer in answers.values():
            if isinstance(answer, HeaderAnswer):
                assert answer.newest.hash == newest.hash


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("network_class", [NetworkClass.DEVELOPMENT, NetworkClass.PRODUCTION])
async def test_following_and_auditing_end_with_an_error_of_ours_at_most(
    revoked: Revoked, endpoint: LyingChain, tmp_path: Path, network_class: NetworkClass, seed: int
) -> None:
    network = replace(revoked.network, network_class=network_class)
    database = await open_database(sqlite_url(tmp_path / "v.sqlite3"))
    policy = EgressPolicy(Mode.CHAIN, Endpoints.of([endpoint.url]), limits=EgressLimits(request_seconds=5))
    endpoint.tell(babble(seed))
    async with Egress(policy) as egress:
        follower = Follower(database, network, egress)
        for _ in range(3):
            with contextlib.suppress(BonafidesError):
                await follower.step()
            async with egress.for_report() as asking:
                with contextlib.suppress(BonafidesError):
                    voices = ChainEndpoints(asking, {network.chain_id: network}).of(network.chain_id)
                    await audit(voices, network, bytes(20))
    await database.close()
