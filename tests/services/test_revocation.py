"""Revoking, suspending, reinstating: on the chain, in the signed list, once, and across a crash."""

from __future__ import annotations

import pytest
from fixtures.issuers import ALICE, BOB, Crash, CrashingStore, MakeCohort

from node.core.dataintegrity import proofs_of, verify_proof
from node.core.errors import Conflict, Malformed, NotFound, Refused
from node.core.evm import registry
from node.core.keys import parse_multikey
from node.core.status.entry import StatusEntry, parse_status_entries
from node.core.status.status_list import check_list_credential, read_status
from node.core.strict_json import parse_json_object
from node.outbound.chain import ChainClient, Reverted
from node.services import anchoring, issuance, lookup, revocation
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer
from node.services.preparing import Terms
from node.services.revocation import Action
from node.storage.protocols.credentials import CredentialRecord, CredentialState

ROWS = (("s1", ALICE, "90"), ("s2", BOB, "70"), ("s3", "", "55"))


async def issue(issuer: Issuer, make_cohort: MakeCohort) -> None:
    cohort = make_cohort(*ROWS, suspendable=True)
    plan = await issuance.plan(issuer, cohort, Terms())
    await issuance.issue(issuer, plan)


async def change(
    issuer: Issuer, action: Action, *rows: str, reason: str = "a reason"
) -> list[revocation.Change]:
    records = [await lookup.find_credential(issuer, row) for row in rows]
    return await revocation.change_status(issuer, records, action, reason=reason, requested_by="test")


async def finish(issuer: Issuer) -> None:
    def sent(tick: object) -> bool:
        return not tick.transactions  # type: ignore[attr-defined]

    await AnchorWorker(issuer).run_until_done(close=False, done=sent, timeout_seconds=60)


def entry_of(record: CredentialRecord, purpose: str) -> StatusEntry:
    assert record.signed is not None
    entries = parse_status_entries(parse_json_object(record.signed.document))
    (found,) = [one for one in entries if isinstance(one, StatusEntry) and one.purpose == purpose]
    return found


async def published(issuer: Issuer, row: str, purpose: str) -> int:
    """The value in the signed list credential, its proof checked."""
    entry = entry_of(await lookup.find_credential(issuer, row), purpose)
    async with issuer.store.reading() as reading:
        status_list = await reading.status_lists.find_by_url(entry.list_url)
        assert status_list is not None
        credential = await reading.status_lists.load_credential(status_list.list_id)
    assert credential is not None
    document = parse_json_object(credential.document)
    key = await issuer.signing_key()
    verify_proof(
        document, proofs_of(document)[0], parse_multikey(key.multibase), issuer.standards.canonicalizer
    )
    return read_status(check_list_credential(document, entry).bits, entry).value


async def on_chain(issuer: Issuer, row: str, purpose: str) -> int:
    entry = entry_of(await lookup.find_credential(issuer, row), purpose)
    chain = issuer.require_chain()
    slot = registry.status_slot(
        issuer.identity, registry.list_id(purpose, entry.list_url), registry.status_word(entry.index)
    )
    word = await chain.client.storage_at(chain.network.credential_registry, slot)
    return registry.status_value(word, entry.index)


async def test_a_revocation_is_in_the_list_at_once_and_then_on_the_chain(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(school, make_cohort)
    (made,) = await change(school, Action.REVOKE, "s1")
    assert not made.is_effective
    assert await published(school, "s1", "revocation") == 1
    assert await published(school, "s2", "revocation") == 0
    await finish(school)
    assert await on_chain(school, "s1", "revocation") == 1
    assert await on_chain(school, "s2", "revocation") == 0
    assert await revocation.is_effective(school, [made.credential_id])


async def test_a_suspension_is_lifted_and_a_revocation_is_not(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(school, make_cohort)
    await change(school, Action.SUSPEND, "s1", "s2")
    await finish(school)
    assert await on_chain(school, "s1", "suspension") == 1
    await change(school, Action.REINSTATE, "s1")
    await finish(school)
    assert await on_chain(school, "s1", "suspension") == 0
    assert await on_chain(school, "s2", "suspension") == 1
    assert await published(school, "s1", "suspension") == 0


async def test_revoking_twice_is_one_revocation(paper: Issuer, make_cohort: MakeCohort) -> None:
    await issue(paper, make_cohort)
    await change(paper, Action.REVOKE, "s1", reason="plagiarism")
    (again,) = await change(paper, Action.REVOKE, "s1", reason="another")
    assert again.reason == "plagiarism"
    record = await lookup.find_credential(paper, "s1")
    async with paper.store.reading() as reading:
        assert len(await reading.status_lists.changes(record.intent.credential_id)) == 1


async def test_a_change_is_accepted_for_all_or_for_none(paper: Issuer, make_cohort: MakeCohort) -> None:
    await issue(paper, make_cohort)
    with pytest.raises(Refused):
        await change(paper, Action.SUSPEND, "s1", "s3")
    record = await lookup.find_credential(paper, "s1")
    async with paper.store.reading() as reading:
        assert await reading.status_lists.changes(record.intent.credential_id) == ()


async def test_a_change_that_dies_before_it_is_stored_was_never_accepted(
    paper: Issuer, store: CrashingStore, make_cohort: MakeCohort
) -> None:
    await issue(paper, make_cohort)
    store.left = 0
    with pytest.raises(Crash):
        await change(paper, Action.REVOKE, "s1")
    store.left = None
    await change(paper, Action.REVOKE, "s1")
    assert await published(paper, "s1", "revocation") == 1


async def test_what_nobody_claimed_is_withdrawn_and_never_signed(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(paper, make_cohort)
    (made,) = await change(paper, Action.REVOKE, "s3")
    assert made.is_effective
    assert (await lookup.find_credential(paper, "s3")).state is CredentialState.WITHDRAWN
    with pytest.raises(Conflict):
        await issuance.sign_for(paper, made.credential_id, ALICE)


@pytest.mark.parametrize("reason", ["", "  ", "x" * 1001], ids=["none", "blank", "too long"])
async def test_a_change_needs_a_reason(paper: Issuer, make_cohort: MakeCohort, reason: str) -> None:
    await issue(paper, make_cohort)
    with pytest.raises(Malformed):
        await change(paper, Action.REVOKE, "s1", reason=reason)


async def test_a_credential_is_found_by_id_digest_row_and_cohort(
    paper: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(paper, make_cohort)
    record = await lookup.find_credential(paper, "s1")
    assert record.signed is not None
    digest = record.signed.digest.hex()
    for name in (record.intent.credential_id, digest, "0x" + digest, "python/s1", "id:s1"):
        assert await lookup.find_credential(paper, name) == record
    with pytest.raises(NotFound):
        await lookup.find_credential(paper, "s9")


async def test_a_call_that_the_contract_refuses_is_set_aside_once_and_goes_on_when_mended(
    school: Issuer, make_cohort: MakeCohort
) -> None:
    await issue(school, make_cohort)
    await change(school, Action.REVOKE, "s1")
    worker = AnchorWorker(school)

    async def refuse(*_: object) -> int:
        raise Reverted("eth_estimateGas", "CredentialRegistry: caller has no such role")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ChainClient, "estimate_gas", refuse)
        for _ in range(3):
            tick = await worker.tick()
        assert tick.parked == 1
        assert tick.transactions == 0
    assert await anchoring.retry_parked(school) == 1
    await finish(school)
    assert await on_chain(school, "s1", "revocation") == 1
