"""A renewed proof: at a block of the series, with the very slots that a verifier wants, or the old one stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from fixtures.held import bbs, bbs_on_chain, ecdsa_sd, held, sd_jwt
from fixtures.verification import (
    CHAIN_ID,
    GENESIS,
    NETWORK,
    NOW,
    LedgerState,
    Story,
    of_key_school,
    revoked,
)
from fixtures.wallets import holding_of

from node.core.errors import NotFound, NotVerified, Unavailable
from node.core.evm import registry
from node.core.evm.agreement import Endpoints
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.header import Header
from node.core.verify.materials import Mode, Strength
from node.core.verify.report import CheckName, Outcome
from node.outbound.http import EgressPolicy
from node.outbound.proofs import At
from wallet.holdings import Holding, runs_out
from wallet.refresh import Refreshed, Refresher, is_stale

WITHOUT_HISTORY = replace(NETWORK, eip2935=False)
FRESH = LedgerState(number=8192, time=NOW - timedelta(minutes=5))


@dataclass(eq=False)
class FakeChain:
    """An endpoint with one block of state; `lie` is the state whose nodes it hands out instead."""

    story: Story
    ledger: LedgerState
    finalized_number: int = 8200
    genesis: bytes = GENESIS
    chain: int = CHAIN_ID
    lie: LedgerState | None = None
    host: str = "rpc.example:443"
    asked: tuple[bytes, ...] = ()
    prunes: int | None = None
    """How many blocks behind the newest it proves; None: all."""

    async def chain_id(self) -> int:
        return self.chain

    async def genesis_hash(self) -> bytes:
        return self.genesis

    def _newest(self) -> LedgerState:
        """The ledger at the newest block, which names the block of the proofs that are held."""
        held = self.story.header_of(self.story.shown, self.story.credential())
        history = {registry.history_slot(held.number): int.from_bytes(held.hash, "big")}
        return replace(self.ledger, number=self.finalized_number, time=NOW, history=history)

    async def finalized(self) -> Header:
        return self.story.header_of(self._newest(), self.story.credential())

    async def header(self, block: bytes) -> Header:
        (header,) = (await self.headers([self.ledger.number])).values()
        assert header.hash == block
        return header

    async def headers(self, numbers: Sequence[int]) -> dict[int, Header]:
        header = self.story.header_of(self.ledger, self.story.credential())
        return {header.number: header} if header.number in numbers else {}

    async def proof_nodes(self, address: bytes, slots: Sequence[bytes], block: bytes) -> tuple[bytes, ...]:
        credential = self.story.credential()
        newest = await self.finalized()
        if address == registry.HISTORY_ADDRESS:
            assert block == newest.hash
            return self.story._state(self._newest(), credential).nodes(address, slots)
        assert block == self.story.header_of(self.ledger, credential).hash
        if self.prunes is not None and newest.number - self.ledger.number > self.prunes:
            raise Unavailable("missing trie node")
        self.asked = tuple(slots)
        return self.story._state(self.lie or self.ledger, credential).nodes(address, slots)


class FakeEgress:
    contacted = ("rpc.example:443",)

    def __init__(self, *chains: FakeChain) -> None:
        self._chains = {f"https://{chain.host}": chain for chain in chains}
        self.policy = EgressPolicy(endpoints=Endpoints.of(self._chains))

    def chain(self, url: str) -> FakeChain:
        return self._chains[url]


async def refreshed(holding: Holding, *chains: FakeChain, story: Story | None = None) -> Refreshed:
    verifier = (story or Story()).verifier()
    egress: Any = FakeEgress(*chains)
    return await Refresher(verifier, egress, now=NOW).refresh(holding)


async def test_the_proof_is_made_at_the_newest_final_block_of_the_series() -> None:
    story = Story()
    held = holding_of(story)
    chain = FakeChain(story, FRESH)
    done = await refreshed(held, chain)
    assert done.report is not None
    assert done.holding.header is not None
    assert done.holding.header.number == 8192 == chain.finalized_number // NETWORK.step * NETWORK.step
    assert chain.asked == story.wanted(story.credential()).slots()
    assert done.holding.last_check is not None
    assert done.holding.last_check.acceptance == "accepted"


async def test_what_only_the_holder_has_stays_as_it_is() -> None:
    held = holding_of(Story())
    done = await refreshed(held, FakeChain(Story(), FRESH))
    assert held.bundle is not None
    assert done.holding.bundle is not None
    assert replace(done.holding.bundle, state=held.bundle.state) == held.bundle


async def test_the_renewed_bundle_stands_offline_with_a_checkpoint_of_its_block() -> None:
    story = Story(shown=FRESH, mode=Mode.OFFLINE)
    done = await refreshed(holding_of(Story()), FakeChain(Story(), FRESH))
    assert story.judge(_bytes(done.holding)).acceptance == "accepted"


async def test_a_revocation_is_proven_too_and_told() -> None:
    chain = FakeChain(Story(), replace(FRESH, values=revoked()))
    done = await refreshed(holding_of(Story()), chain)
    assert done.report is not None
    assert done.report.acceptance == "refused"
    assert done.holding.header is not None
    assert done.holding.header.number == 8192


async def test_a_proof_that_does_not_hold_never_takes_the_place_of_the_old() -> None:
    chain = FakeChain(Story(), FRESH, lie=replace(FRESH, heads=10))
    with pytest.raises(Unavailable, match="wrong proof"):
        await refreshed(
            holding_of(Story()), chain, story=Story(operator_networks={CHAIN_ID: WITHOUT_HISTORY})
        )


async def test_another_endpoint_proves_what_one_does_not() -> None:
    liar = FakeChain(Story(), FRESH, lie=replace(FRESH, heads=10), host="liar.test:443")
    done = await refreshed(holding_of(Story()), liar, FakeChain(Story(), FRESH))
    assert done.report is not None
    assert "2 of 2 operators" in done.report[CheckName.HEADER].basis
    assert liar.asked


async def test_endpoints_that_disagree_renew_nothing() -> None:
    other = FakeChain(Story(), replace(FRESH, heads=10), host="other.test:443")
    with pytest.raises(Unavailable, match="fewer than 2 of 2 operators"):
        await refreshed(holding_of(Story()), other, FakeChain(Story(), FRESH))


async def test_an_endpoint_that_lags_renews_nothing() -> None:
    story = Story(operator_networks={CHAIN_ID: replace(NETWORK, header_age_limit_seconds=60)})
    egress: Any = FakeEgress(FakeChain(Story(), FRESH))
    with pytest.raises(Unavailable, match="120 seconds old"):
        await Refresher(story.verifier(), egress, now=NOW + timedelta(minutes=2)).refresh(holding_of(Story()))


async def test_a_block_of_the_future_renews_nothing() -> None:
    ahead = replace(FRESH, time=NOW + timedelta(minutes=2))
    with pytest.raises(Unavailable, match="later than this machine's clock"):
        await refreshed(holding_of(Story()), FakeChain(Story(), ahead))


async def test_a_higher_number_is_not_newer_where_its_time_is_not() -> None:
    """Else whoever once named a huge number would have kept every later proof away."""
    huge = replace(FRESH, number=1 << 40, time=NOW - timedelta(minutes=10))
    held = (
        await refreshed(holding_of(Story()), FakeChain(Story(), huge, finalized_number=(1 << 40) + 1))
    ).holding
    assert held.header is not None
    assert held.header.number == 1 << 40
    done = await refreshed(held, FakeChain(Story(), FRESH))
    assert done.holding.header is not None
    assert done.holding.header.number == FRESH.number


async def test_by_whose_word_the_header_is_stands_in_the_report() -> None:
    done = await refreshed(holding_of(Story()), FakeChain(Story(), FRESH))
    assert done.report is not None
    assert done.report.header is not None
    assert done.report.header.source == "the endpoint rpc.example:443"
    assert done.report.header.strength is Strength.ONE_ENDPOINT
    assert "the endpoint rpc.example:443" in done.report[CheckName.HEADER].basis
    assert "checkpoint" not in done.report[CheckName.HEADER].basis


async def test_a_chain_that_does_not_know_the_anchor_changes_nothing() -> None:
    with pytest.raises(NotVerified, match="the old one was kept"):
        await refreshed(holding_of(Story()), FakeChain(Story(), replace(FRESH, anchor=0)))


async def test_a_chain_with_the_same_number_and_another_genesis_is_not_believed() -> None:
    with pytest.raises(Unavailable, match="another genesis"):
        await refreshed(holding_of(Story()), FakeChain(Story(), FRESH, genesis=bytes(32)))


async def test_an_endpoint_of_another_chain_is_passed_over() -> None:
    with pytest.raises(Unavailable, match="no endpoint that answers is of the chain"):
        await refreshed(holding_of(Story()), FakeChain(Story(), FRESH, chain=1))


async def test_a_chain_in_no_table_is_said_to_be_unknown() -> None:
    with pytest.raises(Unavailable, match="--networks"):
        await refreshed(
            holding_of(Story()), FakeChain(Story(), FRESH), story=Story(operator_networks={}, checkpoint=None)
        )


@pytest.mark.parametrize(
    ("finalized", "note"),
    [(4099, "is the newest that can be proven"), (900, "no block of the series is final yet")],
)
async def test_where_nothing_newer_can_be_proven_nothing_is_changed(finalized: int, note: str) -> None:
    held = holding_of(Story())
    ledger = LedgerState(number=finalized // NETWORK.step * NETWORK.step)
    done = await refreshed(held, FakeChain(Story(), ledger, finalized_number=finalized))
    assert done.report is None
    assert note in done.note
    assert done.holding == held


async def test_without_a_bundle_or_a_chain_there_is_nothing_to_renew() -> None:
    bare = holding_of(Story(), bundled=False)
    assert "no bundle" in (await refreshed(bare, FakeChain(Story(), FRESH))).note
    keyed = holding_of(of_key_school(), bundled=False)
    assert "no bundle" in (await refreshed(keyed, FakeChain(Story(), FRESH))).note


# Hops ----------------------------------------------------------------------------------------------------------


async def test_what_can_be_proven_no_more_is_led_to_the_newest_block() -> None:
    held = holding_of(Story())
    done = await refreshed(held, FakeChain(Story(), FRESH, finalized_number=8400, prunes=128))
    assert done.holding.hop is not None
    assert (done.holding.hop.number, done.holding.header) == (8400, held.header)
    assert "block 8192 could not be proven" in done.note
    assert not done.is_renewed


async def test_a_hop_is_asked_for_by_a_block_alone() -> None:
    chain = FakeChain(Story(), FRESH)
    done = await hopped(holding_of(Story()), chain)
    assert done.holding.hop is not None
    assert chain.asked == (), "no slot of the registry, and so nothing that is this holder's"


async def test_a_hopped_bundle_stands_where_only_the_newer_header_is_trusted() -> None:
    chain = FakeChain(Story(), FRESH)
    done = await hopped(holding_of(Story()), chain)
    newest = await chain.finalized()
    only = Checkpoint(CHAIN_ID, GENESIS, 1, 3, ((newest.number, newest.hash),))
    report = Story(mode=Mode.OFFLINE, checkpoint=only).judge(_bytes(done.holding))
    assert report.acceptance == "accepted"
    assert f"through block {newest.number}" in report[CheckName.HEADER].basis
    bare = Story(mode=Mode.OFFLINE, checkpoint=only).judge(_bytes(holding_of(Story())))
    assert bare[CheckName.HEADER].outcome is Outcome.UNKNOWN


async def test_a_hop_makes_nothing_fresher() -> None:
    old = Story(shown=LedgerState(time=NOW - timedelta(hours=30)))
    done = await hopped(holding_of(old), FakeChain(old, FRESH), story=old)
    assert done.report is not None
    assert done.report[CheckName.HEADER].outcome is Outcome.PASSED
    assert done.report[CheckName.FRESHNESS].outcome is Outcome.UNKNOWN


async def test_a_chain_of_another_history_is_not_hopped_to() -> None:
    other = Story(shown=LedgerState(heads=10))
    with pytest.raises(NotVerified, match="the old one was kept"):
        await hopped(holding_of(Story()), FakeChain(other, FRESH))


async def test_no_hop_is_longer_than_the_history() -> None:
    with pytest.raises(NotFound, match="not among the 8,191"):
        await hopped(holding_of(Story()), FakeChain(Story(), FRESH, finalized_number=12_288))


async def test_a_network_without_history_has_no_hops() -> None:
    story = Story(operator_networks={CHAIN_ID: WITHOUT_HISTORY})
    with pytest.raises(NotFound, match="EIP-2935"):
        await hopped(holding_of(Story()), FakeChain(Story(), FRESH), story=story)


@pytest.mark.parametrize(("hours", "stale"), [(0.9, True), (1.1, False)])
def test_a_proof_is_stale_by_the_time_of_its_block(hours: float, stale: bool) -> None:
    held = holding_of(Story(shown=LedgerState(time=NOW - timedelta(hours=1))))
    assert is_stale(held, timedelta(hours=hours), NOW) is stale


def test_what_has_no_proof_has_none_to_renew() -> None:
    assert not is_stale(holding_of(Story(), bundled=False), timedelta(0), NOW)


async def hopped(holding: Holding, *chains: FakeChain, story: Story | None = None) -> Refreshed:
    egress: Any = FakeEgress(*chains)
    return await Refresher((story or Story()).verifier(), egress, now=NOW, at=At.NEWEST).hop(holding)


# Tokens and selective suites ---------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [ecdsa_sd, sd_jwt])
async def test_whatever_is_shown_of_it_later_the_proof_of_the_anchor_is_renewed(make: Any) -> None:
    done = await refreshed(held(make()), FakeChain(make(), FRESH), story=make())
    assert done.holding.header is not None
    assert done.holding.header.number == 8192
    assert done.holding.last_check is not None
    assert done.holding.last_check.acceptance == "accepted"


async def test_without_an_anchor_the_proof_of_the_key_alone_is_renewed() -> None:
    story = bbs_on_chain()
    chain = FakeChain(story, replace(FRESH, key=story.shown.key, anchor=0))
    done = await refreshed(held(story), chain, story=story)
    assert done.report is not None
    assert done.report[CheckName.KEY].outcome is Outcome.PASSED
    assert done.holding.bundle is not None
    assert done.holding.bundle.anchor is None
    assert len(chain.asked) == 2, "the identity's closing and the key: nothing that is this holder's"


@pytest.mark.parametrize(("days_left", "soon"), [(8, False), (7, True), (-1, True)])
def test_what_is_issued_anew_runs_out_a_week_before_its_end(days_left: int, soon: bool) -> None:
    moment = datetime(2026, 6, 22, tzinfo=UTC) - timedelta(days=days_left)
    assert runs_out(held(bbs()), moment) is soon


def test_what_lives_as_long_as_it_says_is_not_issued_anew() -> None:
    assert not runs_out(holding_of(Story()), datetime(2029, 12, 31, tzinfo=UTC))


def _bytes(holding: Holding) -> bytes:
    import json

    return json.dumps(holding.full_bundle().to_json()).encode()
