"""A revoked credential, shown with the bundle from before, to a verifier whose endpoints would have it accepted.

What is read of a chain is proven against a header, so an endpoint has to lie about headers too, and then to as many
operators as have to agree. The chain is real, and so is all that is not lied about.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import orjson
import pytest
from fixtures import lying_chain as lies
from fixtures.chain import RunningChain, in_thread
from fixtures.issuers import ALICE, PASSPHRASE, made_school, standards, write_cohort
from fixtures.lying_chain import Lie, LyingChain

from node.commands.issuer_folder import Folder, open_issuer
from node.core.evm.agreement import Endpoints
from node.core.evm.network import Network
from node.core.verify.intake import read_intake
from node.core.verify.materials import Mode, Strength
from node.core.verify.policy import ANY_ISSUER_UNSAFE
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason, Report
from node.core.verify.verifier import Standards, Verifier
from node.outbound.chain import ChainClient
from node.outbound.gather import examine
from node.outbound.http import Egress, EgressLimits, EgressPolicy
from node.services import bundles, issuance, lookup, revocation
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer, now_utc
from node.services.preparing import Terms
from node.services.revocation import Action

__all__ = ["made_school", "standards"]


@dataclass(frozen=True)
class Revoked:
    """A badge with the bundle from before its revocation, its network, and the block of the revocation."""

    data: bytes
    network: Network
    standards: Standards
    block: int


@pytest.fixture(scope="module")
def revoked(made_school: Path, tmp_path_factory: pytest.TempPathFactory) -> Revoked:
    folder = tmp_path_factory.mktemp("revoked") / "school"
    shutil.copytree(made_school, folder)

    async def make() -> Revoked:
        async with open_issuer(Folder.load(folder), PASSPHRASE) as issuer:
            cohort = write_cohort(folder / "input", ("s1", ALICE, "90"), with_evidence=False, evidence=None)
            await issuance.issue(issuer, await issuance.plan(issuer, cohort, Terms("eddsa-jcs-2022")))
            (issued,) = await issuance.results(issuer, cohort)
            await AnchorWorker(issuer).run_until_done(timeout_seconds=60)
            bundle = await bundles.load_bundle(issuer, issued.digest or b"")
            assert bundle is not None
            await _revoke(issuer)
            network = issuer.require_chain().network
            newest = (await issuer.require_chain().client.finalized()).number
            return Revoked(orjson.dumps(bundle.to_json()), network, issuer.standards, newest)

    made: Revoked = in_thread(make)
    return made


async def _revoke(issuer: Issuer) -> None:
    record = await lookup.find_credential(issuer, "s1")
    await revocation.change_status(issuer, [record], Action.REVOKE, reason="a test", requested_by="test")
    await AnchorWorker(issuer).run_until_done(
        close=False, done=lambda tick: not tick.transactions, timeout_seconds=60
    )


@pytest.fixture(scope="module")
def three(devchain: RunningChain) -> Iterator[list[LyingChain]]:
    with ExitStack() as stack:
        yield [stack.enter_context(LyingChain(devchain.url)) for _ in range(3)]


@pytest.fixture(autouse=True)
def honest_at_first(three: list[LyingChain]) -> None:
    for endpoint in three:
        endpoint.be_honest()
        endpoint.asked.clear()


async def judged(revoked: Revoked, endpoints: Sequence[LyingChain], **changes: object) -> Report:
    network = replace(revoked.network, **changes)
    verifier = Verifier.of(
        revoked.standards,
        operator_networks={network.chain_id: network},
        policy=ANY_ISSUER_UNSAFE,
        mode=Mode.CHAIN,
    )
    names = [f"operator-{number}={endpoint.url}" for number, endpoint in enumerate(endpoints)]
    policy = EgressPolicy(Mode.CHAIN, Endpoints.of(names, None), limits=EgressLimits(request_seconds=5))
    async with Egress(policy) as egress:
        return await examine(read_intake(revoked.data), verifier, egress, now=now_utc())


async def forged(revoked: Revoked, endpoint: LyingChain) -> Lie:
    """The state as it is but for the status word, which is zero, with headers and proofs that fit."""
    endpoint.asked.clear()
    await judged(revoked, [endpoint])
    slots: dict[bytes, int] = {}
    for method, params in list(endpoint.asked):
        if method == "eth_getProof" and params[0] == "0x" + revoked.network.credential_registry.hex():
            slots |= dict.fromkeys(bytes.fromhex(key[2:]) for key in params[1])
    true = await _words(endpoint, revoked, [*slots])
    (status,) = [slot for slot, word in true.items() if word.bit_count() == 1]
    state = lies.forged_state(
        revoked.network.credential_registry, {**true, status: 0}, revoked.network.code_hash
    )
    return lies.but_for_the_genesis(state)


async def _words(endpoint: LyingChain, revoked: Revoked, slots: Sequence[bytes]) -> Mapping[bytes, int]:
    async with ChainClient(endpoint.url) as client:
        registry = revoked.network.credential_registry
        return {slot: await client.storage_at(registry, slot, "finalized") for slot in slots}


async def test_honest_endpoints_tell_of_the_revocation(revoked: Revoked, three: list[LyingChain]) -> None:
    for endpoints in (three[:1], three):
        report = await judged(revoked, endpoints)
        assert report.acceptance is Acceptance.REFUSED
        assert (report[CheckName.STATUS].outcome, report[CheckName.STATUS].reason) == (
            Outcome.FAILED,
            Reason.REVOKED,
        )
        assert report[CheckName.ANCHOR].outcome is Outcome.PASSED


UNPROVEN: dict[str, Lie] = {
    "wrong proof": lies.wrong_proof(),
    "proof of a block before the revocation": lies.proof_of_another_block(1_000_000),
    "slot without proof": lies.storage_invented(0),
    "header that does not hash": lies.wrong_header(),
    "another header": lies.forged_headers(),
    "another chain": lies.chain_id_swapped(1),
    "another genesis": lies.genesis_swapped(),
    "nothing": lies.errors(),
    "no state, but every header": lies.only(lies.errors(), "eth_getProof"),
    "too much": lies.oversize(),
    "too often": lies.too_many_requests(),
    "no connection": lies.hanging_up(),
}


@pytest.mark.parametrize("name", UNPROVEN)
async def test_a_lone_endpoint_cannot_hide_it_by_what_it_does_not_prove(
    revoked: Revoked, three: list[LyingChain], name: str
) -> None:
    three[0].tell(UNPROVEN[name])
    report = await judged(revoked, three[:1])
    assert report.acceptance is not Acceptance.ACCEPTED
    assert report[CheckName.STATUS].outcome in (Outcome.UNKNOWN, Outcome.FAILED)
    # Nor does its lie make anything of the document false.
    assert Outcome.FAILED not in {report[check].outcome for check in (CheckName.ANCHOR, CheckName.KEY)}


@pytest.mark.parametrize("name", UNPROVEN)
async def test_two_honest_ones_beside_it_still_tell(
    revoked: Revoked, three: list[LyingChain], name: str
) -> None:
    three[0].tell(UNPROVEN[name])
    report = await judged(revoked, three)
    assert report[CheckName.STATUS].reason is Reason.REVOKED


async def test_a_whole_forged_state_is_believed_of_a_lone_endpoint_and_called_one_endpoints_word(
    revoked: Revoked, three: list[LyingChain]
) -> None:
    three[0].tell(await forged(revoked, three[0]))
    report = await judged(revoked, three[:1])
    assert report[CheckName.STATUS].outcome is Outcome.PASSED
    assert report.header is not None
    assert report.header.strength is Strength.ONE_ENDPOINT


async def test_a_whole_forged_state_of_one_among_three_hides_nothing_and_names_it(
    revoked: Revoked, three: list[LyingChain]
) -> None:
    three[0].tell(await forged(revoked, three[0]))
    report = await judged(revoked, three)
    assert report[CheckName.STATUS].reason is Reason.REVOKED
    assert three[0].host in report[CheckName.HEADER].basis


async def test_two_that_forge_apart_from_each_other_leave_it_open(
    revoked: Revoked, three: list[LyingChain]
) -> None:
    three[1].tell(lies.but_for_the_genesis(lies.forged_headers()))
    three[0].tell(await forged(revoked, three[0]))
    report = await judged(revoked, three)
    assert report.acceptance is Acceptance.UNDETERMINED
    assert (report[CheckName.HEADER].outcome, report[CheckName.STATUS].outcome) == (
        Outcome.UNKNOWN,
        Outcome.UNKNOWN,
    )


async def test_a_finalized_block_from_before_the_revocation_is_too_old_where_the_network_has_a_limit(
    revoked: Revoked, three: list[LyingChain]
) -> None:
    three[0].tell(lies.stale_finalized(revoked.block))
    report = await judged(revoked, three[:1], header_age_limit_seconds=1)
    assert report.acceptance is not Acceptance.ACCEPTED
    assert report[CheckName.HEADER].reason is Reason.HEADER_OLD
