"""Attacks by endpoints, as a verifier meets them: fewer than N of them lie, N of them do, or nobody knows.

The credential is of a did:ethr that never wrote to the registry of credentials: its key stands in the events of its DID
alone, which no header proves, so that the signature counts only where enough operators tell the same events.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import nacl.signing
import pytest
from fixtures import lying_chain as lies
from fixtures.chain import RunningChain, in_thread
from fixtures.lying_chain import Ask, Lie, LyingChain
from fixtures.verification import Signatory, badge, public, standards, without_status

from node.chain.transactions import Transactions, address_of
from node.core.did.ethr_identity import did_ethr
from node.core.evm.agreement import Endpoints
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.network import Network, parse_networks
from node.core.verify.intake import read_intake
from node.core.verify.materials import Mode, Strength
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report
from node.core.verify.verifier import Verifier
from node.outbound import headers
from node.outbound.chain import ChainClient
from node.outbound.gather import examine
from node.outbound.http import Egress, EgressLimits, EgressPolicy

YEAR = 31_536_000
NAMES = ("alpha", "beta", "gamma")


@dataclass(frozen=True)
class Issued:
    """A badge on a chain, and the network's entry in the verifier's table."""

    data: bytes
    network: Network


@pytest.fixture(scope="module")
def issued(devchain: RunningChain) -> Issued:
    """A badge whose key is an attribute of the DID."""
    owner, key = devchain.new_key(), nacl.signing.SigningKey(secrets.token_bytes(32))
    identity = address_of(owner)
    listed = devchain.deployments.did_registry_calls.set_attribute(
        identity, "did/pub/Multikey/veriKey", public(key).multicodec_bytes, YEAR
    )

    async def write() -> None:
        async with ChainClient(devchain.url) as client:
            await Transactions(client).send_all([listed], owner)

    in_thread(write)
    issuer = Signatory(did_ethr(devchain.chain_id, identity), "delegate-1", key)
    document = badge(issuer.did)
    without_status(document)
    del document["evidence"]
    (network,) = parse_networks({"networks": [devchain.network]}).values()
    return Issued(json.dumps(issuer.sign(document)).encode(), network)


@pytest.fixture(scope="module")
def three(devchain: RunningChain) -> Iterator[list[LyingChain]]:
    with ExitStack() as stack:
        yield [stack.enter_context(LyingChain(devchain.url)) for _ in NAMES]


@pytest.fixture(autouse=True)
def honest_at_first(three: list[LyingChain], monkeypatch: pytest.MonkeyPatch) -> None:
    for endpoint in three:
        endpoint.be_honest()
        endpoint.asked.clear()
    monkeypatch.setattr(headers, "GRACE_SECONDS", 0.3)


def written(three: list[LyingChain]) -> list[str]:
    """The endpoints as a command line names them, each with an operator of its own."""
    return [f"{name}={endpoint.url}" for name, endpoint in zip(NAMES, three, strict=False)]


async def judged(
    issued: Issued,
    texts: list[str],
    *,
    agree: int | None = None,
    network: Network | None = None,
    checkpoint: Checkpoint | None = None,
    now: datetime | None = None,
) -> Report:
    network = network or issued.network
    verifier = Verifier.of(
        standards(),
        operator_networks={network.chain_id: network},
        checkpoints=[checkpoint] if checkpoint else [],
        policy=ANY_ISSUER_UNSAFE,
        mode=Mode.CHAIN,
    )
    policy = EgressPolicy(Mode.CHAIN, Endpoints.of(texts, agree), limits=EgressLimits(request_seconds=5))
    async with Egress(policy) as egress:
        return await examine(read_intake(issued.data), verifier, egress, now=now or datetime.now(UTC))


def said(report: Report, name: CheckName) -> tuple[Outcome, Reason | None]:
    return report[name].outcome, report[name].reason


async def test_endpoints_that_agree_are_believed_and_named(issued: Issued, three: list[LyingChain]) -> None:
    report = await judged(issued, written(three))
    assert report.acceptance is Acceptance.ACCEPTED
    basis = report[CheckName.HEADER].basis
    assert f"endpoints of 3 of 3 operators ({', '.join(one.host for one in three)})" in basis
    assert "this chain has no finality" in basis
    assert "one endpoint's word" not in basis
    assert report.header is not None
    assert report.header.strength is Strength.ENDPOINTS_AGREE
    assert report.to_json()["header"]["strength"] == "endpoints_agree"


async def test_a_lone_endpoint_is_called_one_and_its_events_are_not_enough(
    issued: Issued, three: list[LyingChain]
) -> None:
    report = await judged(issued, written(three)[:1])
    assert report.header is not None
    assert report.header.strength is Strength.ONE_ENDPOINT
    assert "one endpoint's word" in report[CheckName.HEADER].basis
    assert said(report, CheckName.PROOF) == (Outcome.UNKNOWN, Reason.KEY_SOURCE_WEAK)


async def test_everything_after_the_header_is_asked_by_its_hash(
    issued: Issued, three: list[LyingChain]
) -> None:
    report = await judged(issued, written(three))
    assert report.header is not None
    block = {"blockHash": report.header.hash, "requireCanonical": True}
    proofs = [params for one in three for method, params in one.asked if method == "eth_getProof"]
    calls = [params for one in three for method, params in one.asked if method == "eth_call"]
    assert [params[2] for params in proofs] == [block]
    assert [params[1] for params in calls] == [block] * len(three)


OTHER_HEADERS = lies.but_for_the_genesis(lies.forged_headers())
"""Another header for every block but the first, whose hash the verifier's table has."""

LIES_OF_ONE = {
    "another header": OTHER_HEADERS,
    "a header that does not hash": lies.wrong_header(),
    "another genesis": lies.genesis_swapped(),
    "a stale finalized": lies.stale_finalized(10_000),
    "blocks that it has not seen": lies.lagging(10_000),
    "errors": lies.errors(),
    "no logs": lies.logs_withheld(),
    "too many requests": lies.too_many_requests(),
    "hanging up": lies.hanging_up(),
    "an oversize answer": lies.oversize(),
    "silence": lies.silent(),
}


@pytest.mark.parametrize("name", LIES_OF_ONE)
async def test_fewer_than_n_that_lie_change_nothing_and_are_named(
    issued: Issued, three: list[LyingChain], name: str
) -> None:
    three[0].tell(LIES_OF_ONE[name])
    report = await judged(issued, written(three))
    assert report.acceptance is Acceptance.ACCEPTED
    assert report.header is not None
    assert report.header.strength is Strength.ENDPOINTS_AGREE
    _, beside_the_header = report[CheckName.HEADER].basis.split(")", 1)
    beside_the_history = report[CheckName.PROOF].basis.partition("while ")[2]
    # Who calls fewer blocks final, but knows the same ones, says nothing else.
    named = {"a stale finalized": "", "no logs": beside_the_history}.get(name, beside_the_header)
    assert (three[0].host in named) is (name != "a stale finalized")


async def test_one_of_another_chain_does_not_count(issued: Issued, three: list[LyingChain]) -> None:
    three[0].tell(lies.chain_id_swapped(100))
    report = await judged(issued, written(three))
    assert report.acceptance is Acceptance.ACCEPTED
    assert "of 2 of 2 operators" in report[CheckName.HEADER].basis


async def test_one_that_is_configured_for_the_chain_counts_whatever_it_says(
    issued: Issued, three: list[LyingChain]
) -> None:
    texts = [text.replace("=", f"@{issued.network.chain_id}=", 1) for text in written(three)]
    for liar in three[:2]:
        liar.tell(lies.chain_id_swapped(100))
    report = await judged(issued, texts)
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.CHAIN_UNREACHABLE)
    assert "is of the chain eip155:100" in report[CheckName.HEADER].basis


async def test_a_silent_endpoint_counts_for_the_chain_that_it_is_configured_for(
    issued: Issued, three: list[LyingChain]
) -> None:
    three[1].tell(lies.errors())
    one, silent = f"alpha={three[0].url}", three[1].url
    report = await judged(issued, [one, f"beta@1={silent}"])
    assert report.header is not None
    assert report.header.strength is Strength.ONE_ENDPOINT
    report = await judged(issued, [one, f"beta={silent}"])
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.CHAIN_UNREACHABLE)
    told = report[CheckName.HEADER].basis
    assert f"{three[1].host} counts among those of every chain until it is known of which" in told
    assert "write OPERATOR@CHAIN=URL" in told


async def test_no_other_way_to_write_endpoints_is_advised_where_each_said_its_chain(
    issued: Issued, three: list[LyingChain]
) -> None:
    three[1].tell(lies.only(lies.errors(), "eth_getBlockByNumber"))
    report = await judged(issued, written(three[:2]))
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.CHAIN_UNREACHABLE)
    assert "OPERATOR@CHAIN" not in report[CheckName.HEADER].basis


@pytest.mark.parametrize(
    "lie", [lies.wrong_proof(), lies.only(lies.errors(), "eth_getProof")], ids=["wrong proof", "no proof"]
)
async def test_another_endpoint_proves_what_one_does_not(
    issued: Issued, three: list[LyingChain], lie: Lie
) -> None:
    for liar in three[:2]:
        liar.tell(lie)
    report = await judged(issued, written(three))
    assert report.acceptance is Acceptance.ACCEPTED
    assert [one.count("eth_getProof") for one in three] == [1, 1, 1]


async def test_who_proves_wrongly_is_named_as_at_fault(issued: Issued, three: list[LyingChain]) -> None:
    three[0].tell(lies.wrong_proof())
    basis = (await judged(issued, written(three)))[CheckName.HEADER].basis
    assert f"the endpoint {three[0].host} gave a wrong proof" in basis
    for liar in three:
        liar.tell(lies.wrong_proof())
    report = await judged(issued, written(three))
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.CHAIN_UNREACHABLE)
    assert all(f"{one.host} gave a wrong proof" in report[CheckName.HEADER].basis for one in three)
    assert report.acceptance is Acceptance.UNDETERMINED


async def test_a_wrong_proof_from_the_only_endpoint_is_its_fault_and_not_the_documents(
    issued: Issued, three: list[LyingChain]
) -> None:
    three[0].tell(lies.wrong_proof())
    report = await judged(issued, written(three)[:1])
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.CHAIN_UNREACHABLE)
    assert f"{three[0].host} gave a wrong proof" in report[CheckName.HEADER].basis


async def test_too_few_that_agree_leave_it_open_and_all_are_named(
    issued: Issued, three: list[LyingChain]
) -> None:
    three[0].tell(OTHER_HEADERS)
    three[1].tell(lies.errors())
    report = await judged(issued, written(three))
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.SOURCES_DISAGREE)
    assert all(one.host in report[CheckName.HEADER].basis for one in three)
    assert report.acceptance is Acceptance.UNDETERMINED


async def test_taking_endpoints_down_never_makes_one_enough(issued: Issued, three: list[LyingChain]) -> None:
    for dead in three[1:]:
        dead.tell(lies.errors())
    report = await judged(issued, written(three))
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.CHAIN_UNREACHABLE)
    assert report.header is None


async def test_endpoints_of_one_operator_have_one_vote(issued: Issued, three: list[LyingChain]) -> None:
    for liar in three[:2]:
        liar.tell(OTHER_HEADERS)
    texts = [f"alpha={three[0].url}", f"ALPHA={three[1].url}", f"gamma={three[2].url}"]
    report = await judged(issued, texts)
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.SOURCES_DISAGREE)
    assert "of 2 operators" in report[CheckName.HEADER].basis


async def test_hosts_of_one_domain_are_one_operator(issued: Issued, three: list[LyingChain]) -> None:
    report = await judged(issued, [one.url for one in three])
    assert report.header is not None
    assert report.header.strength is Strength.ONE_ENDPOINT


async def test_more_than_n_that_lie_alike_are_believed_but_for_a_checkpoint_file(
    issued: Issued, three: list[LyingChain], devchain: RunningChain
) -> None:
    for liar in three[:2]:
        liar.tell(OTHER_HEADERS)
    report = await judged(issued, written(three))
    assert report[CheckName.HEADER].outcome is Outcome.PASSED
    assert f"{three[2].host} gives another block" in report[CheckName.HEADER].basis
    async with ChainClient(devchain.url) as client:
        true = await client.header(1)
    network = issued.network
    checkpoint = Checkpoint(network.chain_id, network.genesis, 1, 1, ((true.number, true.hash),))
    report = await judged(issued, written(three), checkpoint=checkpoint)
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.SOURCES_DISAGREE)
    assert "the checkpoint file name different blocks 1" in report[CheckName.HEADER].basis


async def test_a_demand_for_more_than_the_majority_is_kept(issued: Issued, three: list[LyingChain]) -> None:
    three[0].tell(lies.errors())
    assert (await judged(issued, written(three), agree=2)).acceptance is Acceptance.ACCEPTED
    report = await judged(issued, written(three), agree=3)
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.CHAIN_UNREACHABLE)
    report = await judged(issued, written(three)[1:], agree=2)
    assert report.acceptance is Acceptance.ACCEPTED


@pytest.mark.parametrize("count", [1, 3], ids=["one endpoint", "all of three"])
async def test_a_stale_finalized_is_too_old_to_judge_by(
    issued: Issued, three: list[LyingChain], count: int
) -> None:
    limited = replace(issued.network, header_age_limit_seconds=1800)
    for liar in three:
        liar.tell(lies.stale_finalized(10_000))
    later = datetime.now(UTC) + timedelta(minutes=31)
    report = await judged(issued, written(three)[:count], network=limited, now=later)
    assert said(report, CheckName.HEADER) == (Outcome.UNKNOWN, Reason.HEADER_OLD)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_history_counts_only_where_enough_tell_the_same(
    issued: Issued, three: list[LyingChain], count: int
) -> None:
    for liar in three[:count]:
        liar.tell(lies.logs_withheld())
    report = await judged(issued, written(three))
    proof = report[CheckName.PROOF]
    assert report[CheckName.HEADER].outcome is Outcome.PASSED
    if count == 1:
        assert proof.outcome is Outcome.PASSED
    else:
        assert (proof.outcome, report.acceptance) == (Outcome.UNKNOWN, Acceptance.UNDETERMINED)
        assert all(liar.host in proof.basis for liar in three[:2])


async def test_urls_of_endpoints_stand_nowhere_in_a_report(issued: Issued, three: list[LyingChain]) -> None:
    three[0].tell(lies.errors())
    three[1].tell(OTHER_HEADERS)
    texts = [f"{text}/?key=hunter2" for text in written(three)]
    assert "hunter2" not in json.dumps((await judged(issued, texts)).to_json())


def slow(seconds: float) -> Lie:
    """True, but late."""

    def wrap(ask: Ask) -> Ask:
        async def told(method: str, params: list[Any]) -> Any:
            await asyncio.sleep(seconds)
            return await ask(method, params)

        return told

    return wrap


async def test_a_liar_that_is_quicker_than_the_honest_does_not_silence_them(
    issued: Issued, three: list[LyingChain], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(headers, "GRACE_SECONDS", 0.05)
    three[0].tell(OTHER_HEADERS)
    three[1].tell(slow(0.1))
    report = await judged(issued, written(three))
    assert report.acceptance is Acceptance.ACCEPTED
    assert f"{three[0].host} gives another block" in report[CheckName.HEADER].basis
