"""Status lists that say something (Bitstring Status List 1.0 section 2.1, statusSize and statusMessage)."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.issuers import ALICE, MakeCohort
from services.test_revocation import change as change_status
from services.test_revocation import entry_of, finish
from services.test_securing import stored

from node.core.errors import Conflict, Malformed, Misconfigured, NotFound
from node.core.evm import registry
from node.core.status.bitstring import MIN_ENTRIES
from node.core.status.entry import StatusEntry
from node.core.status.status_list import check_list_credential, read_status
from node.core.strict_json import parse_json_object
from node.services import issuance, lookup, revocation, status_lists
from node.services.anchoring import AnchorWorker
from node.services.faults import InputFaults
from node.services.issuance import Issued
from node.services.issuer import Issuer
from node.services.preparing import Terms
from node.services.revocation import Action, Change
from node.storage.protocols.status_lists import ListMode

WORDS = ["In good standing", "Paused", "Under review", "Ended"]
SIXTEEN = [f"state {number}" for number in range(16)]


async def open_lists(issuer: Issuer, plan: issuance.Plan) -> None:
    """As the chain has them."""
    if not await issuance.ensure_lists(issuer, plan):
        async with issuer.store.transaction() as transaction:
            for one in await transaction.status_lists.all("message"):
                await transaction.status_lists.mark_open(one.list_id, 1)
    assert await issuance.ensure_lists(issuer, plan)


async def issue(issuer: Issuer, make_cohort: MakeCohort, words: list[str], *, real: bool = False) -> Issued:
    cohort = make_cohort(("s1", ALICE, "90"), statusMessage=words, cohort=f"said {len(words)}")
    plan = await issuance.plan(issuer, cohort, Terms())
    if real:
        await issuance.ensure_lists(issuer, plan)
        await AnchorWorker(issuer).run_until_done(close=False, timeout_seconds=60)
    await open_lists(issuer, plan)
    await issuance.issue(issuer, plan)
    return (await issuance.results(issuer, cohort))[0]


async def say(issuer: Issuer, issued: Issued, value: int) -> list[Change]:
    record = await lookup.find_credential(issuer, issued.credential_id)
    return await revocation.change_status(
        issuer, [record], Action.MESSAGE, reason="so it is", requested_by="test", value=value
    )


async def entry(issuer: Issuer, issued: Issued) -> StatusEntry:
    return entry_of(await lookup.find_credential(issuer, issued.credential_id), "message")


@pytest.mark.parametrize(("words", "size"), [(WORDS, 2), (SIXTEEN, 4)])
async def test_a_message_stands_in_the_list_that_is_published(
    paper: Issuer, make_cohort: MakeCohort, words: list[str], size: int
) -> None:
    issued = await issue(paper, make_cohort, words)
    document = parse_json_object(await stored(paper, issued))
    said = document["credentialStatus"][1]
    assert (said["statusPurpose"], said["statusSize"]) == ("message", size)
    assert [item["message"] for item in said["statusMessage"]] == words
    assert said["statusMessage"][3]["status"] == "0x3"
    for value in (3, 1):
        await say(paper, issued, value)
        found = await entry(paper, issued)
        async with paper.store.reading() as reading:
            status_list = await reading.status_lists.find_by_url(found.list_url)
            assert status_list is not None
            assert (status_list.mode, status_list.status_size) == (ListMode.SETTABLE, size)
            credential = await reading.status_lists.load_credential(status_list.list_id)
        assert credential is not None
        listed = check_list_credential(parse_json_object(credential.document), found)
        assert len(listed.bits) == MIN_ENTRIES * size
        status = read_status(listed.bits, found)
        assert (status.value, status.message) == (value, words[value])


async def test_lists_of_another_width_are_lists_of_their_own(paper: Issuer, make_cohort: MakeCohort) -> None:
    first, second = [await issue(paper, make_cohort, words) for words in (WORDS, SIXTEEN)]
    assert (await entry(paper, first)).list_url != (await entry(paper, second)).list_url
    await status_lists.ensure_room(paper)
    async with paper.store.reading() as reading:
        assert [one.status_size for one in await reading.status_lists.all("message")] == [2, 4]


async def test_a_message_reaches_the_chain_and_is_taken_back(school: Issuer, make_cohort: MakeCohort) -> None:
    issued = await issue(school, make_cohort, WORDS, real=True)
    found = await entry(school, issued)
    chain = school.require_chain()
    slot = registry.status_slot(
        school.identity,
        registry.list_id("message", found.list_url),
        registry.status_word(found.index, found.size),
    )
    for value in (2, 0):
        await say(school, issued, value)
        await finish(school)
        word = await chain.client.storage_at(chain.network.credential_registry, slot)
        assert registry.status_value(word, found.index, found.size) == value


async def test_a_value_that_says_nothing_is_refused(paper: Issuer, make_cohort: MakeCohort) -> None:
    issued = await issue(paper, make_cohort, WORDS)
    with pytest.raises(Conflict, match="has no value 4"):
        await say(paper, issued, 4)
    record = await lookup.find_credential(paper, issued.credential_id)
    for action, value in ((Action.REVOKE, 1), (Action.MESSAGE, None)):
        with pytest.raises(Malformed, match="a message, and nothing else"):
            await revocation.change_status(
                paper, [record], action, reason="x", requested_by="test", value=value
            )


async def test_without_messages_nothing_is_said(paper: Issuer, make_cohort: MakeCohort) -> None:
    cohort = make_cohort(("s1", ALICE, "90"))
    await issuance.issue(paper, await issuance.plan(paper, cohort, Terms()))
    (issued,) = await issuance.results(paper, cohort)
    with pytest.raises(NotFound, match="no statusMessage"):
        await say(paper, issued, 1)
    assert await change_status(paper, Action.REVOKE, "s1")


@pytest.mark.parametrize(
    ("words", "fault"),
    [(["a", "b"], "4 or 16 or 256"), (["a", "b", "c", ""], "must be a text"), (["a", "b", "c", 1], "a text")],
)
def test_a_template_has_a_text_for_each_value(make_cohort: MakeCohort, words: list[Any], fault: str) -> None:
    with pytest.raises(InputFaults, match=fault):
        make_cohort(("s1", ALICE, "90"), statusMessage=words)


async def test_messages_need_status_entries(paper: Issuer, make_cohort: MakeCohort) -> None:
    with pytest.raises(Misconfigured, match="statusMessage needs status entries"):
        await issuance.plan(
            paper, make_cohort(("s1", ALICE, "90"), statusMessage=WORDS), Terms(with_status=False)
        )
