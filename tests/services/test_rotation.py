"""`key rotate` in the safe order, interrupted anywhere; and what an old badge is worth afterwards."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fixtures.chain import RunningChain
from fixtures.issuers import ALICE, PASSPHRASE, Crash, CrashingStore, MakeCohort, init_school
from services.test_anchoring import judge

from node.commands.issuer_folder import Folder, open_issuer
from node.core.errors import Misconfigured
from node.core.strict_json import parse_json_object
from node.core.verify.report import CheckName, Outcome
from node.services import bundles, export, issuance, rotation, status_lists
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer, Keyring
from node.services.preparing import Terms
from node.storage.database import Database
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState


async def sign_one(issuer: Issuer, make_cohort: MakeCohort, name: str) -> bytes:
    cohort = make_cohort(("s1", ALICE, "90"), cohort=name)
    plan = await issuance.plan(issuer, cohort, Terms("eddsa-jcs-2022"))
    await issuance.issue(issuer, plan)
    (issued,) = await issuance.results(issuer, cohort)
    assert issued.digest is not None
    return issued.digest


async def states(issuer: Issuer) -> list[KeyState]:
    async with issuer.store.reading() as reading:
        return [key.state for key in await reading.keys.all(KeyRole.ASSERTION)]


async def test_the_old_key_is_retired_after_all_that_it_signed_and_old_badges_stay_good(
    devchain: RunningChain, tmp_path: Path, make_cohort: MakeCohort
) -> None:
    folder = tmp_path / "school"
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread(init_school, folder, devchain)
    async with open_issuer(Folder.load(folder), PASSPHRASE) as opened:
        assert isinstance(opened.store, Database)
        issuer = Issuer(
            CrashingStore(opened.store),
            opened.settings,
            opened.keyring,
            opened.standards,
            opened.chain,
        )
        old = await sign_one(issuer, make_cohort, "before")
        # Interrupted before each of its transactions in turn, it goes on where it stopped.
        store = issuer.store
        assert isinstance(store, CrashingStore)
        store.left = 0
        while await states(issuer) != [KeyState.RETIRED, KeyState.ACTIVE]:
            try:
                await rotation.begin(issuer, folder, PASSPHRASE)
                await AnchorWorker(issuer).run_until_done(timeout_seconds=60)
            except Crash:
                assert len(await states(issuer)) <= 2
                store.left = 3
        store.left = None
        new = await sign_one(issuer, make_cohort, "after")
        await AnchorWorker(issuer).run_until_done(timeout_seconds=60)
        for digest, number in ((old, 1), (new, 2)):
            bundle = await bundles.load_bundle(issuer, digest, max_age_seconds=-1)
            assert bundle is not None
            assert bundle.key is not None
            assert bundle.key.id.endswith(f"#delegate-{number}")
            found = await judge(issuer, digest)
            assert found[CheckName.KEY] is Outcome.PASSED
        document = parse_json_object(await export.did_document_json(issuer))
        named = [method["id"].rpartition("#")[2] for method in document["verificationMethod"]]
        assert named == ["controller", "delegate-1", "delegate-2"]  # the retired one is still listed


async def test_a_rotation_that_is_begun_twice_makes_one_key(paper: Issuer, tmp_path: Path) -> None:
    # On paper nothing becomes final: the second call finds the first one's key.
    first = await rotation.begin(paper, tmp_path, PASSPHRASE)
    second = await rotation.begin(paper, tmp_path, PASSPHRASE)
    assert first.multibase == second.multibase
    assert await states(paper) == [KeyState.ACTIVE, KeyState.ADDING]


async def test_until_the_new_key_is_final_the_old_one_signs(paper: Issuer, tmp_path: Path) -> None:
    before = await paper.signing_key()
    await rotation.begin(paper, tmp_path, PASSPHRASE)
    assert (await paper.signing_key()).multibase == before.multibase


async def test_a_did_key_cannot_be_rotated(paper: Issuer, tmp_path: Path) -> None:
    settings = replace(paper.settings, identity=None, chain=None)
    with pytest.raises(Misconfigured):
        await rotation.begin(replace(paper, settings=settings), tmp_path, PASSPHRASE)


async def rotated(paper: Issuer, tmp_path: Path) -> IssuerKey:
    """As the worker does it with a chain."""
    old = await paper.signing_key()
    new = await rotation.begin(paper, tmp_path, PASSPHRASE)
    async with paper.store.transaction() as transaction:
        method = f"{paper.settings.did}#delegate-2"
        await transaction.keys.move(
            new.multibase, KeyState.ACTIVE, valid_from=2, delegate=2, verification_method=method
        )
        await transaction.keys.move(old.multibase, KeyState.RETIRING)
        await transaction.keys.move(old.multibase, KeyState.RETIRED, valid_until=3)
    return new


async def test_who_was_interrupted_learns_that_the_rotation_is_through(paper: Issuer, tmp_path: Path) -> None:
    assert await rotation.finished_lately(paper) is None
    await rotation.begin(paper, tmp_path, PASSPHRASE)
    assert await rotation.finished_lately(paper) is None  # under way: gone on with


async def test_a_rotation_is_lately_for_a_day(paper: Issuer, tmp_path: Path) -> None:
    new = await rotated(paper, tmp_path)
    found = await rotation.finished_lately(paper)
    assert found is not None
    assert found.multibase == new.multibase
    tomorrow = replace(paper, clock=lambda: paper.clock() + timedelta(days=1))
    assert await rotation.finished_lately(tomorrow) is None


async def test_lists_are_signed_anew_by_the_new_key_whoever_died_between(
    paper: Issuer, tmp_path: Path
) -> None:
    assert await status_lists.publish_due(paper) == 2
    assert await status_lists.publish_due(paper) == 0
    await rotated(paper, tmp_path)
    issuer = replace(paper, keyring=Keyring(tmp_path, PASSPHRASE))
    assert await status_lists.publish_due(issuer) == 2
    assert await status_lists.publish_due(issuer) == 0
