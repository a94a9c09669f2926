"""`issuer key compromise`: what was anchored before the block stays good, what came after does not, and no way back."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fixtures.chain import RunningChain
from fixtures.issuers import PASSPHRASE, MakeCohort, init_school
from services.test_anchoring import finish, judge
from services.test_rotation import sign_one, states

from node.commands.issuer_folder import Folder, open_issuer
from node.core.errors import Conflict, Malformed, Misconfigured, NotFound
from node.core.keys import KeyKind
from node.core.strict_json import parse_json_object
from node.core.verify.report import CheckName, Outcome
from node.services import bundles, compromise, export, revocation, rotation, status_lists
from node.services.issuer import Issuer
from node.storage.protocols.issuer import KeyRole, KeyState
from node.storage.protocols.outbox import TransactionState


@pytest.fixture
async def own_school(devchain: RunningChain, tmp_path: Path) -> AsyncIterator[Issuer]:
    """An issuer on the embedded chain whose identity is nobody else's."""
    folder = tmp_path / "school"
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread(init_school, folder, devchain)
    async with open_issuer(Folder.load(folder), PASSPHRASE) as issuer:
        yield issuer


async def block_of(issuer: Issuer, digest: bytes) -> int:
    async with issuer.store.reading() as reading:
        place = await reading.batches.find_place(1, digest)
    assert place is not None
    assert place.batch.block_number is not None
    return place.batch.block_number


async def key_outcome(issuer: Issuer, digest: bytes) -> Outcome:
    await bundles.load_bundle(issuer, digest, max_age_seconds=-1)
    return Outcome((await judge(issuer, digest))[CheckName.KEY])


async def test_a_lost_key_loses_what_was_anchored_since_and_nothing_before(
    own_school: Issuer, tmp_path: Path, make_cohort: MakeCohort
) -> None:
    issuer = own_school
    before = await sign_one(issuer, make_cohort, "before")
    await finish(issuer)
    after = await sign_one(issuer, make_cohort, "after")
    await finish(issuer)
    since = await block_of(issuer, after)

    with pytest.raises(Malformed, match="the newest is"):
        await compromise.plan(issuer, "delegate-1", 2**40)
    loss = await compromise.plan(issuer, "delegate-1", since)
    assert loss.void == 1
    await asyncio.to_thread(shutil.copytree, tmp_path / "school", tmp_path / "restored")
    await compromise.declare(issuer, loss)
    # From here on it signs nothing, whatever the chain knows; a declaration that is under way is not made twice.
    with pytest.raises(Misconfigured, match="no assertion key is active"):
        await sign_one(issuer, make_cohort, "now")
    again = await compromise.plan(issuer, "delegate-1", None)
    assert again.is_under_way
    await compromise.declare(issuer, again)
    assert (await finish(issuer)).parked == 0
    assert await states(issuer) == [KeyState.COMPROMISED]
    assert await compromise.declared(issuer) == {loss.key.multibase: since}

    assert await key_outcome(issuer, before) is Outcome.PASSED
    assert await key_outcome(issuer, after) is Outcome.FAILED
    document = parse_json_object(await export.did_document_json(issuer))
    assert [method["id"].rpartition("#")[2] for method in document["verificationMethod"]] == ["controller"]

    # A database that was restored from before it learns of it.
    async with open_issuer(Folder.load(tmp_path / "restored"), PASSPHRASE) as restored:
        assert await states(restored) == [KeyState.ACTIVE]
        await finish(restored)
        assert await states(restored) == [KeyState.COMPROMISED]

    # It can only move earlier.
    with pytest.raises(Conflict, match="only move earlier"):
        await compromise.plan(issuer, loss.key.multibase, None)
    await compromise.declare(issuer, await compromise.plan(issuer, loss.key.multibase, since - 1))
    await finish(issuer)
    assert await compromise.declared(issuer) == {loss.key.multibase: since - 1}

    # Another key takes its place, and lists are signed by it.
    async with issuer.store.reading() as reading:
        assert await reading.outbox.in_state(TransactionState.PARKED) == ()
    await rotation.add(issuer, tmp_path / "school", PASSPHRASE, KeyKind.ED25519)
    await finish(issuer)
    assert await states(issuer) == [KeyState.COMPROMISED, KeyState.ACTIVE]
    assert (await status_lists.signing_key(issuer)).verification_method.endswith("#delegate-3")


async def test_without_a_key_revocations_are_taken_all_the_same(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    """A chain's slots need no signature of a list credential."""
    digest = await sign_one(paper, make_cohort, "course")
    async with paper.store.transaction() as transaction:
        (key,) = await transaction.keys.all(KeyRole.ASSERTION)
        await transaction.keys.move(key.multibase, KeyState.COMPROMISING)
        record = await transaction.credentials.find_by_digest(digest)
        assert record is not None
    (change,) = await revocation.change_status(
        paper, [record], revocation.Action.REVOKE, reason="stolen", requested_by="test"
    )
    assert not change.is_effective
    async with paper.store.reading() as reading:
        words = [
            await reading.status_lists.pending_words(one.list_id, 9)
            for one in await reading.status_lists.all()
        ]
    assert sorted(map(len, words)) == [0, 1]
    assert await status_lists.publish_due(paper) == 0


async def test_a_key_is_found_by_any_of_its_names_and_by_no_other(paper: Issuer) -> None:
    async with paper.store.reading() as reading:
        (key,) = await reading.keys.all(KeyRole.ASSERTION)
    for name in (key.multibase, "delegate-1", "#delegate-1", key.verification_method):
        assert name is not None
        assert (await compromise.find_key(paper, name)).multibase == key.multibase
    for name in ("", "#", "delegate-2", "1", "controller", "did:ethr:0x1:0x00#delegate-1", "x#delegate-1"):
        with pytest.raises(NotFound):
            await compromise.find_key(paper, name)


async def test_a_lost_key_is_not_what_a_rotation_goes_on_with(paper: Issuer, tmp_path: Path) -> None:
    first = await rotation.begin(paper, tmp_path, PASSPHRASE)
    async with paper.store.transaction() as transaction:
        await transaction.keys.move(first.multibase, KeyState.ACTIVE, valid_from=2)
        await transaction.keys.move(first.multibase, KeyState.COMPROMISING)
    second = await rotation.begin(paper, tmp_path, PASSPHRASE)
    assert second.multibase != first.multibase
