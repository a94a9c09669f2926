"""A process that is killed at each step of issuing, anchoring and revoking: nothing lost, nothing done twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from fixtures.issuers import ALICE, BOB, MakeCohort
from services.dying import Step, killed_at
from services.test_anchoring import finish, head, judge, writer_nonce
from services.test_issuing import everything
from services.test_revocation import change, on_chain, published
from services.test_revocation import finish as sent

from node.core.verify.report import CheckName, Outcome
from node.services import anchoring, issuance, lookup, offering, revocation
from node.services.cohort import Cohort
from node.services.issuance import Issued
from node.services.issuer import Issuer
from node.services.preparing import Terms
from node.services.revocation import Action

ROWS = (("s1", ALICE, "90"), ("s2", "", "70"), ("s3", BOB, "55"))

# In the order in which they are passed. "after" a function of the storage is inside its transaction.
ISSUING: tuple[tuple[str, Step], ...] = (
    ("indexes given out", ("after", "node.storage.status_lists", "SqlStatusLists.allocate")),
    ("intents stored", ("after", "node.storage.credentials", "SqlCredentials.intend")),
    ("evidence stored", ("after", "node.storage.credentials", "SqlEvidence.store")),
    ("intents committed", ("before", "node.services.issuance", "_sign")),
    ("signed", ("before", "node.storage.credentials", "SqlCredentials.record_signed")),
    ("signatures stored", ("after", "node.storage.credentials", "SqlCredentials.record_signed")),
    ("digests wait", ("after", "node.storage.batches", "SqlBatches.enqueue")),
    ("signatures committed", ("after", "node.services.issuance", "_sign")),
    ("offers stored", ("after", "node.storage.offers", "SqlOffers.add")),
)
ANCHORING: tuple[tuple[str, Step], ...] = (
    ("batch sealed", ("after", "node.storage.batches", "SqlBatches.seal")),
    ("call in the outbox", ("after", "node.storage.outbox", "SqlOutbox.add")),
    ("batch committed", ("after", "node.services.anchoring", "AnchorWorker._close_batches")),
    ("nonce given", ("after", "node.storage.outbox", "SqlOutbox.assign_nonce")),
    ("transaction stored", ("after", "node.storage.outbox", "SqlOutbox.record_attempt")),
    ("transaction committed", ("before", "node.outbound.chain", "ChainClient.send_raw")),
    ("transaction sent", ("after", "node.outbound.chain", "ChainClient.send_raw")),
    ("marked as sent", ("after", "node.storage.outbox", "SqlOutbox.mark_sent")),
    ("seen in a block", ("after", "node.storage.outbox", "SqlOutbox.mark_included")),
    ("found final", ("after", "node.storage.outbox", "SqlOutbox.mark_found")),
    ("proven", ("before", "node.storage.bundles", "SqlBundles.save")),
    ("bundles stored", ("after", "node.storage.bundles", "SqlBundles.save")),
)
REVOKING: tuple[tuple[str, Step], ...] = (
    ("change stored", ("after", "node.storage.status_lists", "SqlStatusLists.change")),
    ("list signed", ("after", "node.storage.status_lists", "SqlStatusLists.save_credential")),
    ("change committed", ("after", "node.services.revocation", "change_status")),
    ("words in the outbox", ("after", "node.storage.outbox", "SqlOutbox.add")),
    ("words marked", ("after", "node.storage.status_lists", "SqlStatusLists.mark_words_sent")),
    ("found final", ("after", "node.storage.status_lists", "SqlStatusLists.mark_words_effective")),
)


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "TICK_SECONDS", 0.1)


def names(steps: tuple[tuple[str, Step], ...]) -> list[str]:
    return [name for name, _ in steps]


def folder_of(issuer: Issuer) -> Path:
    return issuer.keyring._folder


async def issue(issuer: Issuer, cohort: Cohort) -> list[Issued]:
    plan = await issuance.plan(issuer, cohort, Terms("eddsa-jcs-2022"))
    await issuance.issue(issuer, plan)
    return await issuance.results(issuer, cohort)


@pytest.mark.parametrize(("name", "step"), ISSUING, ids=names(ISSUING))
async def test_killed_while_issuing(
    school: Issuer, make_cohort: MakeCohort, tmp_path: Path, name: str, step: Step
) -> None:
    cohort = make_cohort(*ROWS)
    assert await asyncio.to_thread(killed_at, step, folder_of(school), "issue", str(tmp_path / "input")), name
    issued = await issue(school, cohort)
    assert [one.state for one in issued] == ["signed", "waiting", "signed"]
    # Nothing that the dead process began stands beside it: credentials, digests that wait, status indexes.
    assert await everything(school) == (3, 2, 3)
    assert len(await offering.offer(school, issued, bearer=False)) == 3


@pytest.mark.parametrize(("name", "step"), ANCHORING, ids=names(ANCHORING))
async def test_killed_while_anchoring(school: Issuer, make_cohort: MakeCohort, name: str, step: Step) -> None:
    (issued,) = await issue(school, make_cohort(ROWS[0]))
    assert issued.digest is not None
    nonce, written = await writer_nonce(school), await head(school)
    assert await asyncio.to_thread(killed_at, step, folder_of(school), "anchor"), name
    assert (await finish(school)).is_done
    assert (await writer_nonce(school), await head(school)) == (nonce + 1, written + 1)
    found = await judge(school, issued.digest)
    assert {found[check] for check in (CheckName.ANCHOR, CheckName.KEY)} == {Outcome.PASSED}


@pytest.mark.parametrize(("name", "step"), REVOKING, ids=names(REVOKING))
async def test_killed_while_revoking(school: Issuer, make_cohort: MakeCohort, name: str, step: Step) -> None:
    (issued,) = await issue(school, make_cohort(ROWS[0]))
    nonce = await writer_nonce(school)
    assert await asyncio.to_thread(killed_at, step, folder_of(school), "revoke", "s1"), name
    record = await lookup.find_credential(school, "s1")
    async with school.store.reading() as reading:
        accepted = bool(await reading.status_lists.changes(record.intent.credential_id))
    # What was accepted is not asked for again: it goes its way by itself.
    assert accepted == (name not in ("change stored", "list signed"))
    if not accepted:
        await change(school, Action.REVOKE, "s1")
    await sent(school)
    assert await published(school, "s1", "revocation") == 1
    assert await on_chain(school, "s1", "revocation") == 1
    assert await revocation.is_effective(school, [issued.credential_id])
    assert await writer_nonce(school) == nonce + 1
