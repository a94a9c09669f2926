"""Headers that nobody vouches for, of the wrong time or the wrong chain; and networks that are no production."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures.own_chain import Badge, Employer, OwnChain, School

from node.core.encoding import encode_base64url
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.network import NetworkClass
from node.core.evm.registry import HISTORY_ADDRESS, history_slot
from node.core.times import from_unix
from node.core.verify.policy import ANY_ISSUER_UNSAFE, STRICT
from node.core.verify.report import Acceptance, CheckName, Outcome, Reason


@pytest.fixture
def badge(school: School) -> Badge:
    return school.anchored()


def test_a_checkpoint_older_than_the_bundle_leaves_it_open(
    own_chain: OwnChain, school: School, badge: Badge
) -> None:
    old, new = own_chain.head, own_chain.block()
    report = Employer(school, [old]).judge(school.bundle(badge, new))
    assert report[CheckName.HEADER].reason is Reason.HEADER_NOT_TRUSTED
    assert f"newer than the checkpoint file, which ends at {old.number}" in report[CheckName.HEADER].basis
    assert report.acceptance is Acceptance.UNDETERMINED
    assert Outcome.FAILED not in {check.outcome for check in report.checks}
    assert Employer(school, [old, new]).judge(school.bundle(badge, new)).acceptance is Acceptance.ACCEPTED


@pytest.fixture
def forged(
    own_chain: OwnChain, school: School, badge: Badge, tmp_path: Path
) -> Iterator[tuple[School, dict[str, Any]]]:
    """A thief's bundle on a fork of his own, with the chain's id and registries, where everything is as he likes."""
    fork = OwnChain(tmp_path / "fork", chain_id=own_chain.chain_id)
    thief = School(fork, "thief", owner=school.owner, writer=school.writer)
    thief.begin()
    fork.blocks(own_chain.head.number - fork.head.number - 1)
    made = thief.anchored()
    yield thief, thief.bundle(made, fork.head)
    fork.chain.close()


def test_a_header_of_the_attackers_own_making_is_vouched_for_by_nobody(
    own_chain: OwnChain, school: School, forged: tuple[School, dict[str, Any]]
) -> None:
    thief, shown = forged
    assert Employer(thief, [thief.chain.head]).judge(shown).acceptance is Acceptance.ACCEPTED
    own = own_chain.head
    offline = Employer(school, [own]).judge(shown)
    assert offline[CheckName.HEADER].reason is Reason.HEADER_NOT_TRUSTED
    assert offline.acceptance is Acceptance.UNDETERMINED
    asked = Employer(school, final=own).judge(shown)
    assert asked[CheckName.ANCHOR].reason is Reason.NOT_ANCHORED
    assert asked.acceptance is Acceptance.REFUSED


def test_a_hop_from_a_header_of_the_attackers_own_making_leads_nowhere(
    own_chain: OwnChain, school: School, forged: tuple[School, dict[str, Any]]
) -> None:
    """The newer header and its history are the chain's own; what they name at that height is another block."""
    thief, shown = forged
    newest, number = own_chain.block(), thief.chain.head.number
    nodes = own_chain.nodes(newest, HISTORY_ADDRESS, (history_slot(number),))
    shown["state"]["hop"] = {
        "header": encode_base64url(newest.raw),
        "nodes": [encode_base64url(node) for node in nodes],
    }
    report = Employer(school, [newest]).judge(shown)
    assert report[CheckName.HEADER].reason is Reason.HEADER_NOT_TRUSTED
    assert f"block {newest.number} names another block {number}" in report[CheckName.HEADER].basis
    assert report.acceptance is Acceptance.UNDETERMINED


@pytest.mark.parametrize("member", ["genesis", "chain"])
def test_a_checkpoint_file_of_another_chain_vouches_for_nothing(
    own_chain: OwnChain, school: School, badge: Badge, member: str
) -> None:
    at = own_chain.head
    sound = Checkpoint(own_chain.chain_id, own_chain.network.genesis, 1, 1, ((at.number, at.hash),))
    other = replace(sound, genesis=bytes(32)) if member == "genesis" else replace(sound, chain_id=7)
    shown = school.bundle(badge, at)
    assert Employer(school, checkpoint=sound).judge(shown).acceptance is Acceptance.ACCEPTED
    report = Employer(school, checkpoint=other).judge(shown)
    assert report[CheckName.HEADER].outcome is Outcome.UNKNOWN
    assert report.acceptance is Acceptance.UNDETERMINED


@pytest.mark.parametrize("kind", [NetworkClass.TEST, NetworkClass.DEVELOPMENT])
@pytest.mark.parametrize("policy", [STRICT, ANY_ISSUER_UNSAFE], ids=lambda policy: policy.name)
def test_a_bundle_of_a_testnet_is_refused_under_a_policy_for_production(
    own_chain: OwnChain, school: School, badge: Badge, kind: NetworkClass, policy: object
) -> None:
    """Everything about it is proven; anybody gets ether there for nothing, and it may be gone tomorrow."""
    at = own_chain.head
    network = replace(own_chain.network, network_class=kind)
    employer = Employer(school, [at], network=network, policy=policy)  # type: ignore[arg-type]
    report = employer.judge(school.bundle(badge, at))
    assert report[CheckName.ANCHOR].outcome is Outcome.PASSED
    assert (report[CheckName.NETWORK].outcome, report[CheckName.NETWORK].reason) == (
        Outcome.FAILED,
        Reason.TEST_NETWORK,
    )
    assert report.acceptance is Acceptance.REFUSED
    production = Employer(
        school,
        [at],
        network=replace(network, network_class=NetworkClass.PRODUCTION),
        policy=policy,  # type: ignore[arg-type]
    )
    assert production.judge(school.bundle(badge, at)).acceptance is Acceptance.ACCEPTED


def test_a_header_from_the_future_is_not_fresh(own_chain: OwnChain, school: School, badge: Badge) -> None:
    """A majority of endpoints, or a clock that is wrong: told, and not accepted."""
    at = own_chain.head
    report = Employer(school, [at]).judge(school.bundle(badge, at), now=from_unix(at.timestamp - 61))
    assert report[CheckName.FRESHNESS].reason is Reason.CLOCK
    assert report.acceptance is Acceptance.UNDETERMINED
