"""A Blockcert from its file to its report, its transaction asked of a chain by HTTP."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer
from fixtures.blockcerts import BlockcertsIssuer, EthereumKey, blockcert, fields_of, of_account
from fixtures.lying_chain import LyingChain, errors, only
from fixtures.verification import badge, standards

from node.chain.devchain import DevChain
from node.chain.devchain_rpc import ChainServer, make_app
from node.core.dataintegrity.merkle_proof_2019 import transaction
from node.core.evm.agreement import Endpoints
from node.core.verify.intake import read_intake
from node.core.verify.materials import Mode
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report
from node.core.verify.trust import TrustEntry, TrustList
from node.core.verify.verifier import Verifier
from node.outbound.gather import examine
from node.outbound.http import Egress, EgressPolicy

# A chain that Blockcerts has a name for, and our table of networks no genesis.
CHAIN = 5
START = int(datetime(2026, 4, 2, tzinfo=UTC).timestamp())
NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = EthereumKey("an issuer's account")


class Chain:
    """An embedded chain of that number, under a clock that only the test moves."""

    def __init__(self, folder: Path, finality_lag_blocks: int = 0) -> None:
        self.now = START
        funded = [bytes.fromhex(KEY.address[2:])]
        self.chain = DevChain.open(folder, chain_id=CHAIN, funded=funded, clock=lambda: self.now)
        server = ChainServer(self.chain, finality_lag_blocks=finality_lag_blocks)
        self.server = TestServer(make_app(server))

    @property
    def url(self) -> str:
        return str(self.server.make_url("/"))

    def send(self, by: BlockcertsIssuer) -> None:
        """The transaction that the issuer signed its batch by."""
        (told,) = by.pool.values()
        fields = fields_of(KEY, bytes.fromhex(told["input"][2:]), CHAIN)
        self.chain.submit(bytes(KEY.account.sign_transaction(fields).raw_transaction))

    def mine(self) -> None:
        self.now += 1
        self.chain.mine(self.chain.now())


Begin = Callable[..., Awaitable[Chain]]


@pytest.fixture
async def begin(tmp_path: Path) -> AsyncIterator[Begin]:
    begun: list[Chain] = []

    async def start(**options: int) -> Chain:
        one = Chain(tmp_path, **options)
        begun.append(one)
        await one.server.start_server()
        return one

    yield start
    for one in begun:
        await one.server.close()
        one.chain.close()


def issuer() -> BlockcertsIssuer:
    return of_account(KEY, CHAIN, chain_id=CHAIN, anchors=lambda one: (transaction(CHAIN, one),))


def issued(by: BlockcertsIssuer, version: str = "2.0") -> bytes:
    document = badge(by.did)
    blockcert(version)(document)
    return json.dumps(by.sign(document)).encode()


async def report(
    at: Chain, by: BlockcertsIssuer, data: bytes, mode: Mode = Mode.CHAIN, beside: Sequence[str] = ()
) -> Report:
    verifier = Verifier.of(standards(), trust=TrustList((TrustEntry(by.did, "School"),)), mode=mode)
    async with Egress(EgressPolicy(mode=mode, endpoints=Endpoints.of([at.url, *beside]))) as egress:
        return await examine(read_intake(data), verifier, egress, now=NOW)


@pytest.mark.parametrize("version", ["1.1", "2.0"])
async def test_a_blockcert_is_accepted_by_a_transaction_in_a_final_block(begin: Begin, version: str) -> None:
    chain, by = await begin(), issuer()
    data = issued(by, version)
    chain.send(by)
    chain.mine()
    found = await report(chain, by, data)
    assert found.acceptance is Acceptance.ACCEPTED
    assert (
        "in block 1 of 2026-04-02T00:00:01Z by the word of the endpoint 127.0.0.1"
        in found[CheckName.PROOF].basis
    )
    assert found.contacted == (f"127.0.0.1:{chain.server.port}",)


async def test_of_several_endpoints_a_majority_must_name_the_block_of_the_transaction(begin: Begin) -> None:
    chain, by = await begin(), issuer()
    data = issued(by)
    chain.send(by)
    chain.mine()
    with LyingChain(chain.url) as second, LyingChain(chain.url) as third:
        beside = [f"second={second.url}", f"third={third.url}"]
        second.tell(only(errors(), "eth_getTransactionByHash"))
        found = await report(chain, by, data, beside=beside)
        assert found.acceptance is Acceptance.ACCEPTED
        assert "by the word of endpoints of 2 of 3 operators" in found[CheckName.PROOF].basis
        assert second.host in found[CheckName.PROOF].basis
        third.tell(only(errors(), "eth_getTransactionByHash"))
        proof = (await report(chain, by, data, beside=beside))[CheckName.PROOF]
        assert (proof.outcome, proof.reason) == (Outcome.UNKNOWN, Reason.TRANSACTION_MISSING)
        assert "1 of the 2 operators that must agree" in proof.basis


async def test_what_another_account_sent_is_refused(begin: Begin) -> None:
    chain, by = await begin(), replace(issuer(), did=of_account(EthereumKey("the victim"), CHAIN).did)
    data = issued(by)
    chain.send(by)
    chain.mine()
    found = await report(chain, by, data)
    assert found.acceptance is Acceptance.REFUSED
    assert found[CheckName.PROOF].reason is Reason.CHANGED


def nothing(chain: Chain, by: BlockcertsIssuer) -> None:
    pass


def waiting(chain: Chain, by: BlockcertsIssuer) -> None:
    chain.send(by)


def mined(chain: Chain, by: BlockcertsIssuer) -> None:
    chain.send(by)
    chain.mine()


@pytest.mark.parametrize(
    ("happens", "lag", "mode", "missing"),
    [
        (nothing, 0, Mode.CHAIN, "knows no such transaction"),
        (waiting, 0, Mode.CHAIN, "has the transaction in no block yet"),
        (mined, 3, Mode.CHAIN, "has the transaction in no final block yet"),
        (mined, 0, Mode.OFFLINE, "mode offline does not ask for it"),
    ],
    ids=["never sent", "in no block", "in a block that is not final", "not asked"],
)
async def test_without_a_final_transaction_it_is_not_known_who_signed(
    begin: Begin, happens: Callable[[Chain, BlockcertsIssuer], None], lag: int, mode: Mode, missing: str
) -> None:
    chain, by = await begin(finality_lag_blocks=lag), issuer()
    data = issued(by)
    happens(chain, by)
    proof = (await report(chain, by, data, mode))[CheckName.PROOF]
    assert (proof.outcome, proof.reason) == (Outcome.UNKNOWN, Reason.TRANSACTION_MISSING)
    assert missing in proof.basis
    assert "its hash leads to the Merkle root" in proof.basis
