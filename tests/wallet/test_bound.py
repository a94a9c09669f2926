"""From the issuer's offer to the verifier's report: a bbs-2023 badge that is bound to a secret in the wallet."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestServer, unused_port
from fixtures.issuers import MakeCohort, make_cohort
from fixtures.verification import Story
from fixtures.verification import standards as pinned
from fixtures.wallets import PASSPHRASE, QUICK, new_wallet
from test_present import FakeVerifier, presenting
from test_present import serving as asking

from node.core.dataintegrity import proofs_of
from node.core.dataintegrity.bbs_2023 import DerivedProof, parse_derived_proof
from node.core.errors import Refused
from node.core.keys import KeyKind
from node.core.oid4vp.dcql import OPEN_BADGE_TYPES, parse_dcql
from node.core.oid4vp.response import AuthorizationResponse
from node.core.securing import BBS
from node.core.strict_json import JsonObject
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import given, read_intake
from node.core.verify.materials import Materials
from node.core.verify.report import Acceptance, CheckName, Outcome, Report
from node.core.verify.trust import TrustEntry, TrustList
from node.core.verify.verifier import Verifier
from node.services import issuance, offering, renewal
from node.services.issuer import Issuer
from node.services.preparing import Terms
from node.services.setup import Place, create_without_chain
from node.storage.database import open_database, sqlite_url
from node.web.issuer import make_issuer_app
from wallet.arrivals import Became, Importer
from wallet.backup import Format, encode_export
from wallet.check import Checker
from wallet.disclose import Occasion
from wallet.exchange import open_egress
from wallet.holdings import Holding
from wallet.presentation import Showing, disclosed
from wallet.receipt import pending, renewing
from wallet.receive import Arrived, Receiver
from wallet.store import WalletStore, open_backup
from wallet.words import disclosed_lines

__all__ = ["make_cohort"]
TUESDAY = datetime(2026, 3, 3, 12, tzinfo=UTC)
IN_LAST_WEEK = TUESDAY + timedelta(days=21)
NAME = ["credentialSubject", "achievement", "name"]
QUERY = {
    "credentials": [
        {
            "id": "badge",
            "format": "ldp_vc",
            "meta": {"type_values": [list(OPEN_BADGE_TYPES)]},
            "claims": [{"path": NAME}],
        }
    ]
}
BOTH = {"holderBinding": True, "pseudonyms": True}


@dataclass
class Town:
    """A school that is a key of its own, a learner's wallet, and the time of day."""

    issuer: Issuer
    url: str
    make_cohort: MakeCohort
    now: datetime = TUESDAY

    @property
    def verifier(self) -> Verifier:
        trust = TrustList((TrustEntry(self.issuer.settings.did, "School"),))
        return Story(trust=trust, asked=Asked()).verifier()

    @property
    def checker(self) -> Checker:
        return Checker(self.verifier, clock=lambda: self.now)

    async def offer(self, row: str = "s1", **template: Any) -> str:
        plain = {"evidence": None, "validDays": None, "with_evidence": False}
        cohort = self.make_cohort((row, "", "90"), **plain, **template)
        await issuance.issue(self.issuer, await issuance.plan(self.issuer, cohort, Terms(BBS)))
        issued = await issuance.results(self.issuer, cohort)
        return (await offering.offer(self.issuer, issued, bearer=False, again=True))[0].link

    async def receive(self, store: WalletStore, link: str, **spoiled: Any) -> tuple[Arrived, ...]:
        async with open_egress(development=True) as egress:
            receiver = self.receiver(store, egress)
            receipt = receiver.accept(await receiver.look_at(link), None)
            parts = tuple(replace(part, **spoiled) for part in receipt.parts)
            await receiver.go_on(replace(receipt, parts=parts), wait_seconds=0)
            return receiver.arrived

    async def renew(self, store: WalletStore) -> None:
        async with open_egress(development=True) as egress:
            for receipt in renewing(store):
                await self.receiver(store, egress).renew(receipt, wait_seconds=0)

    def receiver(self, store: WalletStore, egress: Any) -> Receiver:
        keys, clock = store.holder_keys(), lambda: self.now
        return Receiver(store, keys, self.checker, egress, tell=lambda _: None, clock=clock)


@pytest.fixture
async def town(tmp_path: Path, make_cohort: MakeCohort) -> AsyncIterator[Town]:
    port = unused_port()
    url = f"http://127.0.0.1:{port}"
    database = await open_database(sqlite_url(tmp_path / "issuer.db"))
    folder = tmp_path / "issuer"
    place = Place(folder, database, PASSPHRASE)
    made = await create_without_chain(place, pinned(), name="School", url=url, kind=KeyKind.BLS12381_G2)
    town = Town(made, url, make_cohort)
    town.issuer = replace(made, clock=lambda: town.now)
    server = TestServer(make_issuer_app(town.issuer, with_worker=False), port=port)
    await server.start_server()
    yield town
    await server.close()
    await database.close()


async def shown_to(town: Town, store: WalletStore, **query: Any) -> tuple[AuthorizationResponse, Report, str]:
    """What a verifier gets who asks for the name of the achievement, and how it judges that."""
    wanted = {"credentials": [{**QUERY["credentials"][0], **query}]}
    async with asking(FakeVerifier(query=parse_dcql(wanted))) as verifier, presenting(store) as presenter:
        request = await presenter.look_at(verifier.link)
        found = presenter.answer_for(request, store.holdings())
        assert found is not None
        await presenter.send(request, found, town.now)
        (answer,) = verifier.got
        assert isinstance(answer, AuthorizationResponse)
        ((token,),) = answer.vp_token.values()
        asked = Asked(request.nonce, (request.client_id,))
        intake = given(token, answer.bundles)
        report = engine.verify(intake, Materials.none(), town.verifier, now=town.now, asked=asked)
        return answer, report, request.client_id


def name_in(report: Report) -> str | None:
    assert report.acceptance is Acceptance.ACCEPTED
    assert report[CheckName.HOLDER_BINDING].outcome is Outcome.PASSED
    assert report.holder_secret is not None
    return report.holder_secret.pseudonym


async def test_a_bound_badge_is_received_and_shown_with_its_secret_and_no_signature_of_the_holders(
    town: Town, store: WalletStore
) -> None:
    (arrived,) = await town.receive(store, await town.offer(holderBinding=True))
    assert arrived.report.acceptance is Acceptance.ACCEPTED
    assert pending(store) == ()
    (held,) = store.holdings()
    assert held.secrets is not None
    assert held.secrets in store.secrets()
    # Holder binding is wanted unless a query says otherwise: the secret is that.
    answer, report, _ = await shown_to(town, store)
    assert name_in(report) is None
    assert store.holder_key().did not in json.dumps(answer.vp_token)


async def test_a_verifier_knows_a_pseudonymous_badge_again_and_another_verifier_does_not(
    town: Town, store: WalletStore
) -> None:
    await town.receive(store, await town.offer(**BOTH))
    _, report, first = await shown_to(town, store)
    _, other, second = await shown_to(town, store)
    assert first != second
    assert name_in(report) != name_in(other)
    (held,) = store.holdings()
    assert {name_for(town, held, first) for _ in range(2)} == {name_in(report)}
    assert name_for(town, held, second) == name_in(other)


def name_for(town: Town, held: Holding, domain: str) -> str | None:
    """The pseudonym for a verifier, shown to it once more."""
    occasion = Occasion(secrets.token_bytes(32), "again", domain)
    made = Showing(held).made(pinned().canonicalizer, occasion)
    asked = Asked("again", (domain,))
    return name_in(engine.verify(given(made, ()), Materials.none(), town.verifier, now=town.now, asked=asked))


async def test_what_is_renewed_keeps_secret_and_names(town: Town, store: WalletStore) -> None:
    await town.receive(store, await town.offer(**BOTH))
    (first,) = store.holdings()
    before = name_for(town, first, "https://employer.example")
    town.now = IN_LAST_WEEK
    assert len(await renewal.renew(town.issuer)) == 1
    await town.renew(store)
    (second,) = (one for one in store.holdings() if one.digest != first.digest)
    assert (second.valid_until or "") > (first.valid_until or "")
    assert second.secrets == first.secrets
    assert name_for(town, second, "https://employer.example") == before


async def test_a_server_renews_by_itself(
    town: Town, store: WalletStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await town.receive(store, await town.offer(**BOTH))
    town.now = IN_LAST_WEEK
    done, renew = asyncio.Queue[int](), renewal.renew_in_time

    async def and_tell(issuer: Issuer, add_key: renewal.AddKey | None) -> int:
        done.put_nowait(await renew(issuer, add_key))
        return 0

    monkeypatch.setattr(renewal, "renew_in_time", and_tell)
    async with TestServer(make_issuer_app(town.issuer)), asyncio.timeout(5):
        assert await done.get() == 1
    await town.renew(store)
    assert len(store.holdings()) == 2


async def test_a_renewed_badge_by_a_new_offer_finds_the_secret_that_it_is_bound_to(
    town: Town, store: WalletStore
) -> None:
    await town.receive(store, await town.offer(**BOTH))
    (first,) = store.holdings()
    town.now = IN_LAST_WEEK
    renewed = await renewal.renew(town.issuer)
    (link,) = await offering.offer(town.issuer, renewed, bearer=True)
    (arrived,) = await town.receive(store, link.link)
    assert arrived.kept
    assert arrived.holding.secrets == first.secrets
    assert len(store.secrets()) == 2


async def test_without_the_secret_nothing_can_be_shown_and_the_badge_is_not_kept(
    town: Town, store: WalletStore, tmp_path: Path
) -> None:
    link = await town.offer(holderBinding=True)
    await town.receive(store, link)
    (held,) = store.holdings()
    with new_wallet(tmp_path / "thief") as thief:
        importer = Importer(thief, town.checker, now=town.now)
        (taken,) = await importer.take(
            [("stolen.json", encode_export(held, Format.JSON, pinned().canonicalizer))]
        )
        assert taken.became is Became.REFUSED
        assert thief.holdings() == ()


async def test_a_badge_whose_base_proof_is_broken_is_refused_and_no_secret_is_looked_for(
    town: Town, store: WalletStore
) -> None:
    await town.receive(store, await town.offer(holderBinding=True))
    badge = json.loads(encode_export(store.holdings()[0], Format.JSON, pinned().canonicalizer))
    badge["proof"][0]["proofValue"] = badge["proof"][0]["proofValue"][:40]
    (taken,) = await Importer(store, town.checker, now=town.now).take(
        [("b.json", json.dumps(badge).encode())]
    )
    assert taken.became is Became.REFUSED


async def test_the_badge_comes_back_into_a_wallet_that_has_its_secret(town: Town, store: WalletStore) -> None:
    await town.receive(store, await town.offer(holderBinding=True))
    (held,) = store.holdings()
    with store.transaction():
        store._db.execute("DELETE FROM holdings")
    exported = encode_export(held, Format.JSON, pinned().canonicalizer)
    (taken,) = await Importer(store, town.checker, now=town.now).take([("badge.json", exported)])
    assert taken.became is Became.KEPT
    assert store.holdings()[0].secrets == held.secrets


async def test_a_backup_holds_the_secrets(town: Town, store: WalletStore, tmp_path: Path) -> None:
    await town.receive(store, await town.offer(**BOTH))
    path = tmp_path / "backup"
    path.write_bytes(store.sealed_image("another", cost=QUICK))
    image = open_backup(path, "another")
    with WalletStore.restore(tmp_path / "new", image, PASSPHRASE, cost=QUICK) as restored:
        assert restored.secrets() == store.secrets()
        assert restored.holdings()[0].secrets == store.holdings()[0].secrets


async def test_a_wallet_that_sends_no_commitment_is_told_what_is_missing(
    town: Town, store: WalletStore
) -> None:
    with pytest.raises(
        Refused, match=r"bound to a secret of its holder's .*bonafides_bbs_commitment is missing"
    ):
        await town.receive(store, await town.offer(holderBinding=True), commitment=None)
    assert store.holdings() == ()


async def test_a_wallet_that_dies_after_the_yes_has_the_secret_of_its_commitment(
    town: Town, store: WalletStore
) -> None:
    link = await town.offer(**BOTH)
    async with open_egress(development=True) as egress:
        receiver = town.receiver(store, egress)
        receiver.accept(await receiver.look_at(link), None)
        (kept,) = pending(store)
        await town.receiver(store, egress).go_on(kept, wait_seconds=0)
    (held,) = store.holdings()
    assert store.secrets() == (held.secrets,)


async def test_the_holder_is_told_who_will_know_it_again(town: Town, store: WalletStore) -> None:
    await town.receive(store, await town.offer(**BOTH))
    part = disclosed(Showing(store.holdings()[0], bound=False), with_bundle=False)
    assert part.pseudonymous
    assert not part.linkable
    assert "knows you again by a name that no other verifier gets" in "\n".join(disclosed_lines([part]))


@pytest.mark.parametrize("form", [Format.PNG, Format.SVG])
async def test_pictures_of_a_bound_badge_verify_and_share_no_name(
    town: Town, store: WalletStore, form: Format
) -> None:
    await town.receive(store, await town.offer(**BOTH))
    (held,) = store.holdings()
    found = []
    for _ in range(2):
        intake = read_intake(encode_export(held, form, pinned().canonicalizer))
        report = engine.verify(intake, Materials.none(), town.verifier, now=town.now)
        assert report.acceptance is Acceptance.ACCEPTED
        found.append(derived_in(intake.credentials[0].document).pseudonym)
    assert found[0] != found[1]


def derived_in(document: JsonObject) -> DerivedProof:
    return parse_derived_proof(proofs_of(document)[0])
