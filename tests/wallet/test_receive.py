"""Receiving over real HTTP, from an issuer that is slow, fails, or lies; the wallet may die at every step."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from fixtures.held import bbs, by_terms, ecdsa_sd, forms, held
from fixtures.verification import NOW, Story, evidence, of_key_school
from fixtures.wallets import LEARNER_KEY, PASSPHRASE, QUICK, FakeIssuer, serving

from node.core.errors import (
    BonafidesError,
    Malformed,
    Misconfigured,
    NotFound,
    NotVerified,
    Refused,
    Unavailable,
)
from node.core.keys import KeyKind
from node.core.oid4vp.formats import format_of
from node.core.verify.report import Acceptance
from node.outbound.http import EgressDenied
from wallet import receive as receiving
from wallet.check import Checker
from wallet.exchange import open_egress
from wallet.receipt import pending, renewing
from wallet.receive import Receiver
from wallet.store import Disk, WalletStore

ALL = (0, 1, 2)


class Wallet:
    """Drives a receiver as the command does."""

    def __init__(self, store: WalletStore, *, story: Story, keep_anyway: bool = False) -> None:
        self.store = store
        self.checker = Checker(story.verifier(), clock=lambda: story.now)
        self.keep_anyway = keep_anyway
        self.told: list[str] = []
        self.arrived: tuple[receiving.Arrived, ...] = ()

    async def _with(self, work: Any) -> Any:
        async with open_egress(development=True) as egress:
            receiver = Receiver(
                self.store,
                self.store.holder_keys(),
                self.checker,
                egress,
                tell=self.told.append,
                clock=lambda: datetime.now(UTC),
                keep_anyway=self.keep_anyway,
            )
            try:
                return await work(receiver)
            finally:
                self.arrived = receiver.arrived

    async def take(self, link: str, *, tx_code: str | None = None, wait: float = 0) -> None:
        async def work(receiver: Receiver) -> None:
            receipt = receiver.accept(await receiver.look_at(link), tx_code)
            await receiver.go_on(receipt, wait_seconds=wait)

        await self._with(work)

    async def resume(self, *, wait: float = 0) -> None:
        async def work(receiver: Receiver) -> None:
            for receipt in pending(self.store):
                await receiver.go_on(receipt, wait_seconds=wait)

        await self._with(work)

    async def discard(self) -> None:
        async def work(receiver: Receiver) -> None:
            for receipt in pending(self.store):
                await receiver.discard(receipt)

        await self._with(work)


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of an issuer's is a hundredth here."""
    monkeypatch.setattr(receiving, "_MIN_POLL_SECONDS", 0.01)
    monkeypatch.setattr(receiving, "_MAX_POLL_SECONDS", 0.01)


def names(store: WalletStore) -> list[str]:
    (held,) = store.holdings()
    return [one.item.name for one in held.evidence]


async def test_a_credential_comes_with_its_bundle_and_is_judged(store: WalletStore) -> None:
    story = Story(show=ALL)
    async with serving(FakeIssuer(story, bundle_with_credential=True)) as issuer:
        wallet = Wallet(store, story=story)
        await wallet.take(issuer.link)
        (held,) = store.holdings()
        assert held.credential == story.credential()
        assert held.provenance.source == issuer.url
        assert [one.report.acceptance for one in wallet.arrived] == [Acceptance.ACCEPTED]
        assert held.last_check is not None
        assert held.last_check.acceptance == "accepted"
        assert names(store) == [item.name for item in evidence().items]
        assert pending(store) == ()
        assert issuer.notifications == ["credential_accepted"]


async def test_a_deferred_credential_and_a_late_bundle_are_waited_for(store: WalletStore) -> None:
    story = Story(show=ALL)
    async with serving(FakeIssuer(story, deferrals=3, bundle_after=2)) as issuer:
        await Wallet(store, story=story).take(issuer.link, wait=20)
        assert names(store) == [item.name for item in evidence().items]
        assert pending(store) == ()
        assert issuer.log.count("/deferred") == 3
        assert issuer.log.count("/credential") == 1


async def test_without_patience_the_rest_is_fetched_another_day(store: WalletStore) -> None:
    story = Story()
    async with serving(FakeIssuer(story, deferrals=1, bundle_after=1)) as issuer:
        wallet = Wallet(store, story=story)
        await wallet.take(issuer.link)
        assert [one.waits_for for one in pending(store)] == ["the credential"]
        await wallet.resume()
        (held,) = store.holdings()
        assert held.bundle is None
        assert held.last_check is not None
        assert held.last_check.acceptance == "undetermined"
        assert [one.waits_for for one in pending(store)] == ["the proof bundle"]
        await wallet.resume()
        (held,) = store.holdings()
        assert held.bundle is not None
        assert held.last_check is not None
        assert held.last_check.acceptance == "accepted"
        assert pending(store) == ()


@pytest.mark.parametrize("path", ["/token", "/nonce", "/credential", "/deferred", "/bundles"])
async def test_a_failure_of_the_issuer_at_any_step_is_resumed_from(store: WalletStore, path: str) -> None:
    story = Story()
    async with serving(FakeIssuer(story, deferrals=1, broken={path})) as issuer:
        wallet = Wallet(store, story=story)
        with pytest.raises(Unavailable, match="status 500"):
            await wallet.take(issuer.link, wait=20)
        assert len(pending(store)) == 1
        await wallet.resume(wait=20)
        (held,) = store.holdings()
        assert held.bundle is not None
        assert issuer.log.count("/token") == (2 if path == "/token" else 1), "a code is redeemed once"


async def test_a_failed_notification_costs_nothing(store: WalletStore) -> None:
    story = Story()
    async with serving(FakeIssuer(story, broken={"/notification"})) as issuer:
        wallet = Wallet(store, story=story)
        await wallet.take(issuer.link)
        assert len(store.holdings()) == 1
        assert any("could not be told" in line for line in wallet.told)


class Killed(BaseException):
    """The process ended here."""


class MortalDisk(Disk):
    """Dies in the save after `left` more."""

    left = 10_000

    def write(self, path: Path, data: bytes) -> None:
        if self.left == 0:
            path.write_bytes(data[:100])
            raise Killed
        self.left -= 1
        super().write(path, data)


@pytest.mark.parametrize("saves", range(1, 7))
async def test_a_wallet_that_is_killed_at_any_save_loses_nothing(tmp_path: Path, saves: int) -> None:
    """After the yes the code is single-use: whatever came for it must be there, or be had again."""
    story = Story()
    disk = MortalDisk()
    async with serving(FakeIssuer(story, deferrals=1, bundle_after=1)) as issuer:
        with WalletStore.create(tmp_path, PASSPHRASE, cost=QUICK, disk=disk) as store:
            store.add_key(LEARNER_KEY)
            disk.left = saves
            try:
                await Wallet(store, story=story).take(issuer.link, wait=20)
            except Killed:
                pass
            else:
                pytest.fail("it has fewer saves than this test thinks")
        with WalletStore.open(tmp_path, PASSPHRASE) as store:
            if saves == 1:
                # The token was never kept: this issuer burned the code, and says so. Others give it again.
                issuer.codes.add("code-1")
            await Wallet(store, story=story).resume(wait=20)
            (held,) = store.holdings()
            assert held.bundle is not None
            assert pending(store) == ()


async def test_a_used_code_is_said_to_be_used_and_the_receipt_ends(store: WalletStore) -> None:
    story = Story()
    async with serving(FakeIssuer(story, codes=set())) as issuer:
        with pytest.raises(Refused, match="ask the issuer for a new one"):
            await Wallet(store, story=story).take(issuer.link)
        assert pending(store) == ()


async def test_the_transaction_code_is_sent_where_one_is_asked_for(store: WalletStore) -> None:
    story = Story()
    async with serving(FakeIssuer(story, tx_code="493536", bundle_with_credential=True)) as issuer:
        wallet = Wallet(store, story=story)
        with pytest.raises(Misconfigured, match="6 characters"):
            await wallet.take(issuer.link)
        assert "/token" not in issuer.log
        await wallet.take(issuer.link, tx_code="493536")
        assert len(store.holdings()) == 1


async def test_an_offer_cannot_send_the_code_to_a_server_of_its_own(store: WalletStore) -> None:
    async with (
        serving(FakeIssuer(Story(show=ALL), tx_code="4711")) as thief,
        serving(FakeIssuer(Story(show=ALL), tx_code="4711")) as issuer,
    ):
        issuer.offered_server = thief.url
        wallet = Wallet(store, story=issuer.story)
        with pytest.raises(NotVerified, match="authorization server that the issuer does not"):
            await wallet.take(issuer.link, tx_code="4711")
        assert thief.log == []
        issuer.offered_server = issuer.url
        await wallet.take(issuer.link, tx_code="4711")
        assert pending(store) == ()


async def test_numbers_beyond_any_date_do_not_cost_the_credential(store: WalletStore) -> None:
    issuer = FakeIssuer(Story(show=ALL), bundle_after=1, token_seconds=2**53 - 1, retry_after="9" * 400)
    async with serving(issuer):
        await Wallet(store, story=issuer.story).take(issuer.link)
        assert len(store.holdings()) == 1


async def test_no_code_is_sent_where_none_is_asked_for(store: WalletStore) -> None:
    async with serving(FakeIssuer(Story())) as issuer:
        with pytest.raises(Misconfigured, match="no code"):
            await Wallet(store, story=Story()).take(issuer.link, tx_code="1")


def better_marks(document: dict[str, Any]) -> None:
    document["credentialSubject"]["achievement"]["name"] = "Something greater"


async def test_what_is_refused_is_kept_only_by_the_holders_will(store: WalletStore) -> None:
    story = of_key_school()
    async with serving(FakeIssuer(story, spoil=better_marks)) as issuer:
        wallet = Wallet(store, story=story)
        await wallet.take(issuer.link)
        assert [one.kept for one in wallet.arrived] == [False]
        assert store.holdings() == ()
        assert [one.waits_for for one in pending(store)] == ["a decision: it was refused"]
        insisting = Wallet(store, story=story, keep_anyway=True)
        issuer.log.clear()
        await insisting.resume()
        (held,) = store.holdings()
        assert held.last_check is not None
        assert held.last_check.acceptance == "refused"
        assert "/credential" not in issuer.log, "it was there already"


async def test_giving_up_tells_the_issuer_and_keeps_nothing(store: WalletStore) -> None:
    story = of_key_school()
    async with serving(FakeIssuer(story, spoil=better_marks)) as issuer:
        wallet = Wallet(store, story=story)
        await wallet.take(issuer.link)
        await wallet.discard()
        assert pending(store) == ()
        assert store.holdings() == ()
        assert issuer.notifications == ["credential_failure"]


async def test_the_bundle_of_another_credential_is_not_taken(store: WalletStore) -> None:
    story = Story()
    other = Story(write=lambda document: document.update({"name": "Another"}))
    async with serving(FakeIssuer(story, other_bundle=other)) as issuer:
        with pytest.raises(BonafidesError, match="another credential"):
            await Wallet(store, story=story).take(issuer.link)
        (held,) = store.holdings()
        assert held.bundle is None


async def test_a_false_bundle_takes_nothing_away_and_is_reported(store: WalletStore) -> None:
    story = Story()
    never = Story(shown=Story().shown.__class__(anchor=0))
    async with serving(FakeIssuer(story, other_bundle=never)) as issuer:
        wallet = Wallet(store, story=never)
        await wallet.take(issuer.link)
        (held,) = store.holdings()
        assert held.bundle is None
        assert [one.kept for one in wallet.arrived] == [False]
        assert held.last_check is not None
        assert held.last_check.acceptance == "refused"
        assert len(pending(store)) == 1


async def test_the_same_credential_again_is_the_same_holding(store: WalletStore) -> None:
    story = Story()
    async with serving(FakeIssuer(story, codes={"code-1"}, bundle_with_credential=True)) as issuer:
        wallet = Wallet(store, story=story)
        await wallet.take(issuer.link)
        issuer.codes.add("code-1")
        await wallet.take(issuer.link)
        assert len(store.holdings()) == 1


async def test_plain_http_and_loopback_are_for_development_only(store: WalletStore) -> None:
    async with serving(FakeIssuer(Story())) as issuer, open_egress() as egress:
        checker = Checker(Story().verifier(), clock=lambda: Story().now)
        receiver = Receiver(
            store, [LEARNER_KEY], checker, egress, tell=print, clock=lambda: datetime.now(UTC)
        )
        with pytest.raises(EgressDenied):
            await receiver.look_at(issuer.link)
        assert issuer.log == []


@pytest.mark.parametrize(
    "offer",
    ["", "nonsense", "openid-credential-offer://?", "openid-credential-offer://?credential_offer={}"],
)
async def test_what_is_no_offer_is_one_clear_error(store: WalletStore, offer: str) -> None:
    with pytest.raises(Malformed):
        await Wallet(store, story=Story()).take(offer)
    assert pending(store) == ()


async def test_an_offer_that_is_gone_is_said_to_be_gone(store: WalletStore) -> None:
    async with serving(FakeIssuer(Story())) as issuer:
        with pytest.raises(NotFound, match="taken or has run out"):
            await Wallet(store, story=Story()).take(f"{issuer.url}/offers/2")


# Every format ------------------------------------------------------------------------------------------------

FORMS = forms()


@pytest.mark.parametrize("name", FORMS)
async def test_each_format_is_taken_and_judged_as_others_will_judge_it(store: WalletStore, name: str) -> None:
    story = FORMS[name].story
    form = format_of(held(story).shown.envelope)
    async with serving(FakeIssuer(story, format=form, bundle_after=1)) as issuer:
        wallet = Wallet(store, story=story)
        await wallet.take(issuer.link, wait=20)
        (kept,) = store.holdings()
        assert kept.credential == story.issued()
        assert kept.last_check is not None
        assert kept.last_check.acceptance == "accepted"
        assert (kept.bundle is not None) == story.issuer.did.startswith("did:ethr:")
        assert pending(store) == ()


async def test_a_base_proof_that_was_changed_on_the_way_is_refused(store: WalletStore) -> None:
    """A part would verify, with what was changed left out: all of it is judged."""

    def change(document: dict[str, Any]) -> None:
        document["credentialSubject"]["achievement"]["description"] = "Something greater"

    story = ecdsa_sd()
    async with serving(FakeIssuer(story, spoil=change, bundle_with_credential=True)) as issuer:
        wallet = Wallet(store, story=story)
        await wallet.take(issuer.link)
        assert [one.kept for one in wallet.arrived] == [False]
        assert store.holdings() == ()


async def test_for_an_issuer_that_takes_no_eddsa_a_key_on_p_256_is_made_once(store: WalletStore) -> None:
    story = of_key_school()
    for _ in range(2):
        async with serving(FakeIssuer(story, algorithms=("ES256",))) as issuer:
            await Wallet(store, story=story, keep_anyway=True).take(issuer.link)
            first, second = store.holder_keys()
            assert first == LEARNER_KEY
            assert second.kind is KeyKind.P256
            assert [proof.did for proof in issuer.proven] == [second.did]
    assert store.holder_key() == LEARNER_KEY


async def test_the_key_of_an_offer_that_was_not_accepted_is_not_kept(store: WalletStore) -> None:
    async with serving(FakeIssuer(of_key_school(), algorithms=("ES256",))) as issuer:

        async def look(receiver: Receiver) -> None:
            offered = await receiver.look_at(issuer.link)
            assert receiver.key_for(offered.configurations()[0]).kind is KeyKind.P256

        await Wallet(store, story=of_key_school())._with(look)
    assert store.holder_keys() == (LEARNER_KEY,)


async def test_where_no_proof_is_wanted_none_is_made(store: WalletStore) -> None:
    story = of_key_school()
    async with serving(FakeIssuer(story, algorithms=())) as issuer:
        await Wallet(store, story=story).take(issuer.link)
        assert issuer.proven == []
        assert len(store.holdings()) == 1


@pytest.mark.parametrize(
    ("changes", "why"),
    [({"format": "mso_mdoc"}, "does not hold"), ({"algorithms": ("RS256",)}, "no proof that a key")],
)
async def test_what_cannot_be_held_or_proven_is_said_before_the_yes(
    store: WalletStore, changes: dict[str, Any], why: str
) -> None:
    async with serving(FakeIssuer(of_key_school(), **changes)) as issuer:
        with pytest.raises(Refused, match=why):
            await Wallet(store, story=of_key_school()).take(issuer.link)
        assert pending(store) == ()


# What is issued anew -----------------------------------------------------------------------------------------

ENDS = datetime(2026, 6, 22, tzinfo=UTC)
LATER = {"validFrom": "2026-06-22T00:00:00Z", "validUntil": "2026-07-20T00:00:00Z"}


def successor() -> Story:
    """What the issuer gives in the place of the badge of `bbs()` in its last week."""

    def write(document: dict[str, Any]) -> None:
        by_terms(document)
        document.update(LATER)

    return replace(bbs(), write=write)


async def renew(store: WalletStore, now: datetime) -> list[str]:
    """What the wallet says while it renews at a moment."""
    told: list[str] = []
    checker = Checker(replace(bbs(), now=now).verifier(), clock=lambda: now)
    async with open_egress(development=True) as egress:
        receiver = Receiver(
            store, store.holder_keys(), checker, egress, tell=told.append, clock=lambda: now, keep_anyway=True
        )
        for receipt in renewing(store):
            await receiver.renew(receipt, wait_seconds=0)
    return told


async def test_what_runs_out_is_asked_for_again_under_the_token_of_the_first(
    store: WalletStore,
) -> None:
    async with serving(FakeIssuer(bbs(), token_seconds=30 * 24 * 3600)) as issuer:
        issuer.clock = lambda: NOW
        await take_at(store, issuer, NOW)
        assert pending(store) == ()
        assert len(renewing(store)) == 1
        await renew(store, NOW)
        assert issuer.log.count("/credential") == 1, "it does not run out yet"
        issuer.story = successor()
        soon = ENDS - timedelta(days=3)
        issuer.clock = lambda: soon
        await renew(store, soon)
        assert [one.valid_until for one in store.holdings()] == [
            f"{ENDS:%Y-%m-%dT00:00:00Z}",
            LATER["validUntil"],
        ]
        assert issuer.log.count("/token") == 1
        assert len(renewing(store)) == 1


async def test_with_a_token_that_has_ended_nobody_is_asked(
    store: WalletStore,
) -> None:
    async with serving(FakeIssuer(bbs(), token_seconds=3600)) as issuer:
        issuer.clock = lambda: NOW
        await take_at(store, issuer, NOW)
        told = await renew(store, ENDS - timedelta(days=3))
        assert issuer.log.count("/credential") == 1
        assert any("ask it for a new one" in line for line in told)
        assert renewing(store) == ()


async def test_what_lives_as_long_as_it_says_leaves_no_receipt(store: WalletStore) -> None:
    async with serving(FakeIssuer(of_key_school(), token_seconds=30 * 24 * 3600)) as issuer:
        await Wallet(store, story=of_key_school()).take(issuer.link)
        assert store.receipts() == ()


async def take_at(store: WalletStore, issuer: FakeIssuer, now: datetime) -> None:
    checker = Checker(bbs().verifier(), clock=lambda: now)
    async with open_egress(development=True) as egress:
        receiver = Receiver(
            store, store.holder_keys(), checker, egress, tell=print, clock=lambda: now, keep_anyway=True
        )
        receipt = receiver.accept(await receiver.look_at(issuer.link), None)
        await receiver.go_on(receipt, wait_seconds=0)
