"""Files that bring credentials and bundles, in any order and more than once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fixtures.blockcerts import EthereumKey, blockcert, of_account
from fixtures.held import Form, ecdsa_sd, forms, held, sd_jwt
from fixtures.sd_jwt import CRITERIA as CRITERIA_PATH
from fixtures.sd_jwt import NAME as NAME_PATH
from fixtures.sd_jwt import bound
from fixtures.selective import deriving
from fixtures.verification import LEARNER, Story, evidence, of_key_school
from fixtures.wallets import exported, holding_of, new_wallet

from node.core.errors import Malformed
from node.core.jose.sd_jwt import select
from node.core.verify.report import CheckName, Outcome
from wallet import words
from wallet.arrivals import Became, Importer, Taken
from wallet.backup import Format
from wallet.check import Checker
from wallet.disclose import base_proof_in
from wallet.holdings import summary
from wallet.store import WalletStore

STORY = Story(show=(0, 1, 2))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WalletStore]:
    with new_wallet(tmp_path) as opened:
        yield opened


async def take(
    store: WalletStore, *files: bytes, story: Story = STORY, keep_anyway: bool = False
) -> tuple[Taken, ...]:
    checker = Checker(story.verifier(), clock=lambda: story.now)
    importer = Importer(store, checker, now=story.now, keep_anyway=keep_anyway)
    return await importer.take([(f"file-{at}", data) for at, data in enumerate(files)])


def plain() -> bytes:
    return json.dumps(STORY.credential()).encode()


def loose(*names: str) -> bytes:
    return json.dumps(holding_of(STORY).loose_bundle(names).to_json()).encode()


def shown(store: WalletStore) -> list[str]:
    (held,) = store.holdings()
    return [one.item.name for one in held.evidence]


async def test_each_report_is_made_at_its_own_time() -> None:
    """A command that waited for a bundle must not judge it as of the moment when it began to wait."""
    moments = [STORY.now - timedelta(minutes=2), STORY.now]
    checker = Checker(STORY.verifier(), clock=iter(moments).__next__)
    assert [(await checker.report(STORY.credential(), None)).as_of for _ in moments] == moments


@pytest.mark.parametrize("form", list(Format))
async def test_every_kind_of_export_comes_back(store: WalletStore, form: Format) -> None:
    alone = form in (Format.OWN, Format.JSON)
    names = [] if alone else ["code.py"]
    (taken,) = await take(store, exported(holding_of(STORY), form, names))
    assert taken.became is Became.KEPT
    (held,) = store.holdings()
    assert held.credential == STORY.credential()
    assert (held.bundle is None) == alone
    assert shown(store) == names
    assert taken.report is not None
    assert taken.report.acceptance == ("undetermined" if alone else "accepted")


async def test_credential_and_bundle_in_two_files_meet(store: WalletStore) -> None:
    taken = await take(store, loose("marks"), plain())
    assert {one.became for one in taken} == {Became.KEPT, Became.BUNDLE_ADDED}
    assert shown(store) == ["marks"]


async def test_they_meet_on_different_days_in_either_order(store: WalletStore, tmp_path: Path) -> None:
    (first,) = await take(store, loose("marks"))
    assert first.became is Became.WAITING
    assert [digest.hex() for digest in store.loose_bundles()] == [holding_of(STORY).id]
    (second,) = await take(store, plain())
    assert second.became is Became.KEPT
    assert second.report is not None
    assert second.report.acceptance == "accepted"
    assert store.loose_bundles() == ()
    with new_wallet(tmp_path / "other") as other:
        await take(other, plain())
        (taken,) = await take(other, loose("marks"))
        assert taken.became is Became.BUNDLE_ADDED
        assert shown(other) == ["marks"]


async def test_the_same_file_again_is_known_by_its_digest(store: WalletStore) -> None:
    data = exported(holding_of(STORY), Format.BUNDLE)
    await take(store, data)
    (taken,) = await take(store, data)
    assert taken.became is Became.HELD
    assert len(store.holdings()) == 1


async def test_evidence_is_gathered_from_several_bundles(store: WalletStore) -> None:
    held = holding_of(STORY)
    for item in evidence().items:
        await take(store, exported(held, Format.BUNDLE, [item.name]))
    assert shown(store) == [item.name for item in evidence().items]


def tampered() -> bytes:
    body = STORY.credential()
    body["name"] = "Something greater"
    return json.dumps(STORY.bundle(STORY.credential()).with_credential(body).to_json()).encode()


async def test_what_is_refused_is_not_kept_unless_the_holder_insists(store: WalletStore) -> None:
    (taken,) = await take(store, tampered())
    assert taken.became is Became.REFUSED
    assert taken.report is not None
    assert store.holdings() == ()
    (taken,) = await take(store, tampered(), keep_anyway=True)
    assert taken.became is Became.KEPT
    assert len(store.holdings()) == 1


async def test_a_false_bundle_does_not_displace_a_good_one(store: WalletStore) -> None:
    await take(store, exported(holding_of(STORY), Format.BUNDLE))
    before = store.holdings()[0].bundle
    body = json.loads(exported(holding_of(STORY), Format.BUNDLE))
    body["anchor"]["salt"] = "A" * 43
    (taken,) = await take(store, json.dumps(body).encode())
    assert taken.became is Became.REFUSED
    assert store.holdings()[0].bundle == before


def presentation() -> Any:
    return json.loads(Story(holder=LEARNER).shown_bytes())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"\x89PNG\r\n\x1a\n",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        json.dumps(presentation()).encode(),
        b'{"version": 1, "credentialDigest": "0x00"}',
    ],
    ids=[
        *("empty", "cut short", "half a PNG", "bare SVG"),
        *("presentation", "bundle without form"),
    ],
)
async def test_what_brings_nothing_is_one_clear_error_that_names_the_file(
    store: WalletStore, data: bytes
) -> None:
    good = exported(holding_of(of_key_school(), bundled=False), Format.JSON)
    with pytest.raises(Malformed, match="file-1: "):
        await take(store, good, data)
    assert store.holdings() == (), "all are read before the first is kept"


# Every format ------------------------------------------------------------------------------------------------

FORMS = forms()


def is_chained(form: Form) -> bool:
    return form.story.issuer.did.startswith("did:ethr:")


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("form", [Format.OWN, Format.PNG, Format.SVG])
async def test_what_is_exported_is_kept_or_accepted_elsewhere(
    store: WalletStore, name: str, form: Format
) -> None:
    """As its own it comes back whole; a picture is for others, who accept it."""
    story = FORMS[name].story
    (taken,) = await take(store, exported(held(story), form), story=story)
    assert taken.became is Became.KEPT
    assert taken.holding is not None
    if form is Format.OWN:
        assert taken.holding.credential == story.issued()
    else:
        assert base_proof_in(taken.holding.document) is None
        assert taken.report is not None
        assert taken.report.acceptance == "accepted"


@pytest.mark.parametrize("name", [name for name, form in FORMS.items() if is_chained(form)])
async def test_credential_and_bundle_of_each_format_meet(store: WalletStore, name: str) -> None:
    held_ = held(FORMS[name].story)
    assert held_.bundle is not None
    loose_ = json.dumps(held_.bundle.to_json()).encode()
    await take(store, loose_, story=FORMS[name].story)
    (taken,) = await take(store, exported(held_, Format.OWN), story=FORMS[name].story)
    assert taken.became is Became.KEPT
    (kept,) = store.holdings()
    assert kept.bundle == held_.bundle


async def test_more_of_the_same_sd_jwt_is_joined_with_what_is_held(store: WalletStore) -> None:
    story = sd_jwt()
    token = story.issued()
    first, second = (select(token, [path]) for path in (NAME_PATH, CRITERIA_PATH))
    await take(store, first.encode(), story=story)
    (taken,) = await take(store, second.encode(), story=story)
    assert taken.became is Became.HELD
    (kept,) = store.holdings()
    assert set(kept.credential.split("~")) == set(first.split("~")) | set(second.split("~"))  # type: ignore[union-attr]


async def test_a_base_proof_takes_the_place_of_what_was_derived_from_it_and_not_the_other_way(
    store: WalletStore,
) -> None:
    story = ecdsa_sd()
    issued, derived = story.issued(), deriving("/credentialSubject/achievement/name")(story.issued())
    whole = held(story).full_bundle().to_json()
    await take(store, json.dumps({**whole, "credential": derived}).encode(), story=story)
    assert store.holdings()[0].credential == derived
    for credential in (issued, derived):
        await take(store, json.dumps(credential).encode(), story=story)
        (kept,) = store.holdings()
        assert kept.credential == issued


async def test_a_false_base_proof_does_not_displace_a_genuine_derived_one(store: WalletStore) -> None:
    """Its signature is known from what was shown, and the hidden rest could be anybody's words."""
    story = ecdsa_sd()
    derived = deriving("/credentialSubject/achievement/name")(story.issued())
    held_ = held(story)
    await take(store, json.dumps(derived).encode(), story=story)
    await take(store, json.dumps(held_.bundle.to_json()).encode(), story=story)  # type: ignore[union-attr]
    false = story.issued()
    false["credentialSubject"]["achievement"]["description"] = "Something greater"
    await take(store, json.dumps(false).encode(), story=story, keep_anyway=True)
    (kept,) = store.holdings()
    assert kept.credential == derived


async def test_what_was_made_for_a_verifier_is_not_imported(store: WalletStore) -> None:
    story = sd_jwt()
    with pytest.raises(Malformed, match="made for one verifier"):
        await take(store, bound(NAME_PATH)(story.issued()).encode(), story=story)


def blockcert_file(version: str, **changes: Any) -> bytes:
    """A Blockcert of an account's, and no endpoint to ask for its transaction."""
    story = Story(
        issuer=of_account(EthereumKey("an issuer's account")),
        write=blockcert(version),
        options={"created": "2026-04-02T00:00:00Z"},
        bundled=False,
        **changes,
    )
    return json.dumps(story.issued()).encode()


@pytest.mark.parametrize("version", ["1.1", "2.0"])
async def test_a_blockcert_is_kept_though_its_transaction_cannot_be_asked_for(
    store: WalletStore, version: str
) -> None:
    data = blockcert_file(version)
    (taken,) = await take(store, data)
    assert taken.became is Became.KEPT
    assert taken.report is not None
    assert taken.report[CheckName.PROOF].outcome is Outcome.UNKNOWN
    (kept,) = store.holdings()
    assert words.facts(kept)
    assert json.loads(exported(kept, Format.OWN)) == json.loads(data)


async def test_a_blockcert_that_was_changed_is_refused(store: WalletStore) -> None:
    data = blockcert_file("2.0", tamper=lambda document: document["credentialSubject"].update(name="Another"))
    (taken,) = await take(store, data)
    assert taken.became is Became.REFUSED
    assert not store.holdings()


@pytest.mark.parametrize("folder", ["ob3-1edtech", "clr2-1edtech"])
async def test_every_published_badge_and_record_can_be_kept_shown_and_exported(
    tmp_path: Path, vectors: Path, folder: str
) -> None:
    kinds = {".json", ".jwt", ".1ob", ".png", ".svg"}
    files = sorted(file for file in (vectors / folder).rglob("*") if file.suffix in kinds)
    files = [file for file in files if "contexts" not in file.parts]
    assert files
    for number, file in enumerate(files):
        with new_wallet(tmp_path / str(number)) as store:
            (taken,) = await take(store, file.read_bytes(), keep_anyway=True)
            assert taken.became is Became.KEPT, file.name
            (kept,) = store.holdings()
            assert words.facts(kept)
            assert summary(kept)["issuer"].startswith(("did:", "http", "urn:")), file.name
            (again,) = await take(store, exported(kept, Format.OWN), keep_anyway=True)
            assert again.became is Became.HELD, file.name
