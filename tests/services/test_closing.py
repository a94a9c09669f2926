"""`issuer close`: closed first, revoked then, abandoned last; and what its badges are worth after each."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from fixtures.issuers import PASSPHRASE, MakeCohort
from services.test_anchoring import finish, judge
from services.test_compromise import own_school
from services.test_rotation import sign_one, states

from node.commands.issuer_folder import Folder, open_issuer
from node.core.errors import Conflict, Misconfigured, Refused
from node.core.strict_json import parse_json_object
from node.core.verify.report import CheckName, Outcome
from node.services import bundles, closing, export, issuance, revocation
from node.services.issuer import Issuer
from node.services.preparing import Terms
from node.storage.protocols.credentials import CredentialState
from node.storage.protocols.issuer import KeyRole, KeyState

__all__ = ["own_school"]


async def revoke(issuer: Issuer, digest: bytes) -> None:
    async with issuer.store.reading() as reading:
        record = await reading.credentials.find_by_digest(digest)
    assert record is not None
    await revocation.change_status(
        issuer, [record], revocation.Action.REVOKE, reason="left", requested_by="test"
    )


async def outcomes(issuer: Issuer, digest: bytes) -> list[Outcome]:
    await bundles.load_bundle(issuer, digest, max_age_seconds=-1)
    found = await judge(issuer, digest)
    return [Outcome(found[name]) for name in (CheckName.ANCHOR, CheckName.KEY, CheckName.STATUS)]


async def closes_again(folder: Path) -> None:
    """A database that was restored from before the closing learns of it, whatever is done first."""
    other = folder.with_name("other")
    await asyncio.to_thread(shutil.copytree, folder, other)
    async with open_issuer(Folder.load(folder), PASSPHRASE) as restored:
        assert await states(restored) == [KeyState.ACTIVE]
        await closing.close(restored)
        assert (await finish(restored)).parked == 0
        assert await states(restored) == [KeyState.RETIRED]
    async with open_issuer(Folder.load(other), PASSPHRASE) as restored:
        await finish(restored)
        assert await states(restored) == [KeyState.RETIRED]


async def test_closed_then_revoked_then_abandoned(
    own_school: Issuer, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    issuer = own_school
    first = await sign_one(issuer, make_cohort, "first")
    offered = make_cohort(("s9", "", "50"), cohort="offered")
    await issuance.issue(issuer, await issuance.plan(issuer, offered, Terms()))
    with pytest.raises(Conflict, match="waits for the chain"):
        await closing.close(issuer)
    await finish(issuer)
    second = await sign_one(issuer, make_cohort, "second")
    await finish(issuer)
    with pytest.raises(Conflict, match="close it first"):
        await closing.abandon(issuer)
    assert await closing.standing(issuer) == closing.Standing(0, is_abandoned=False, unclaimed=1)

    await asyncio.to_thread(shutil.copytree, tmp_path / "school", tmp_path / "restored")
    await closing.close(issuer)
    await closing.close(issuer)
    with pytest.raises(Misconfigured, match="no assertion key is active any more"):
        await sign_one(issuer, make_cohort, "third")
    with pytest.raises(Conflict, match="close it first"):
        await closing.abandon(issuer)
    assert (await finish(issuer)).parked == 0
    standing = await closing.standing(issuer)
    assert (standing.closed_block > 0, standing.is_abandoned, standing.unclaimed) == (True, False, 0)
    assert await states(issuer) == [KeyState.RETIRED]
    (offer_row,) = await issuance.results(issuer, offered)
    assert offer_row.state is CredentialState.WITHDRAWN
    document = parse_json_object(await export.did_document_json(issuer))
    assert [method["id"].rpartition("#")[2] for method in document["verificationMethod"]] == ["controller"]
    assert await outcomes(issuer, first) == [Outcome.PASSED] * 3

    await closes_again(tmp_path / "restored")

    # Its badges can be revoked still.
    await revoke(issuer, first)
    with pytest.raises(Conflict, match="waits for the chain"):
        await closing.abandon(issuer)
    await finish(issuer)
    assert await outcomes(issuer, first) == [Outcome.PASSED, Outcome.PASSED, Outcome.FAILED]

    # A call that was set aside could not be made afterwards.
    async with issuer.store.transaction() as transaction:
        aside = await transaction.outbox.add("set_status", bytes(20), bytes(20), b"", issuer.clock())
        await transaction.outbox.park(aside.id, "its writer's role has ended", issuer.clock())
    with pytest.raises(Conflict, match="set aside"):
        await closing.abandon(issuer)
    async with issuer.store.transaction() as transaction:
        await transaction.outbox.mark_found(aside.id, None, issuer.clock())

    await closing.abandon(issuer)
    await closing.abandon(issuer)
    assert (await finish(issuer)).parked == 0
    assert (await closing.standing(issuer)).is_abandoned
    async with issuer.store.reading() as reading:
        assert [key.state for key in await reading.keys.all(KeyRole.OWNER)] == [KeyState.RETIRED]
    with pytest.raises(Refused, match="abandoned"):
        await revoke(issuer, second)
    assert await outcomes(issuer, second) == [Outcome.PASSED] * 3
