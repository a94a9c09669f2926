"""`issuer key replace-writer`: what the lost or stolen key had to do is done once; what its holder tries is refused."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fixtures.chain import RunningChain
from fixtures.databases import empty, postgres
from fixtures.issuers import PASSPHRASE, URL, Crash, CrashingStore, MakeCohort, init_school
from fixtures.lying_chain import LyingChain, lying_chain, transactions_swallowed
from services.dying import Step, killed_at
from services.test_anchoring import finish, head
from services.test_compromise import own_school
from services.test_issuer_commands import School
from services.test_revocation import change, issue, on_chain
from services.test_revocation import finish as sent
from storage.conftest import place, sqlite_template

from node.chain.transactions import Call, CredentialRegistryCalls, Transactions, WordChange
from node.commands.issuer_folder import Folder, open_chain, open_issuer
from node.core.anchor import STATUS_LIST
from node.core.errors import Conflict, Misconfigured
from node.core.evm import registry
from node.outbound.chain import ChainClient, Fees, Reverted, TransactionRefused
from node.services import anchoring, costs, dispatch, overview, registration, setup, succession
from node.services.anchoring import AnchorWorker
from node.services.doctor import Level
from node.services.issuer import Issuer, address_of
from node.services.revocation import Action
from node.services.writers import has_ended
from node.storage.database import Database, open_database
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.outbox import OutboxEntry, TransactionState

__all__ = ["lying_chain", "own_school", "place", "postgres", "sqlite_template"]
State = TransactionState


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(anchoring, "TICK_SECONDS", 0.1)


@pytest.fixture
async def own(
    place: tuple[str, str | None],
    devchain: RunningChain,
    lying_chain: LyingChain,
    made_school: Path,
    standards: Any,
    tmp_path: Path,
) -> AsyncIterator[Issuer]:
    """An issuer with an identity of its own, on both databases, whose endpoint lies when told to."""
    url, schema = place
    folder = tmp_path / "issuer"
    async with AsyncExitStack() as stack:
        networks = Folder.load(made_school).networks()
        chain = await stack.enter_async_context(open_chain(lying_chain.url, networks))
        store = await open_database(url, schema=schema)
        stack.push_async_callback(store.close)
        if schema is not None:
            await empty(url, schema)
        where = setup.Place(folder, store, PASSPHRASE)
        made = await setup.create_on_chain(where, standards, chain, "A school", URL)
        await setup.fund(chain, devchain.key, await setup.shortages(made))
        await setup.register(made, suspendable=True)
        await AnchorWorker(made).run_until_done(timeout_seconds=60)
        yield made


async def writers(issuer: Issuer) -> tuple[IssuerKey, ...]:
    async with issuer.store.reading() as reading:
        return await reading.keys.all(KeyRole.WRITER)


async def calls_of(issuer: Issuer, key: IssuerKey) -> list[OutboxEntry]:
    """In the order in which they were asked for."""
    async with issuer.store.reading() as reading:
        found = [entry for state in State for entry in await reading.outbox.in_state(state)]
    return sorted((entry for entry in found if entry.sender == address_of(key)), key=lambda entry: entry.id)


async def enqueue(issuer: Issuer) -> None:
    async with issuer.store.transaction() as transaction:
        await transaction.batches.enqueue(STATUS_LIST, [secrets.token_bytes(32)], issuer.clock())


async def nonce_of(issuer: Issuer, key: IssuerKey) -> int:
    return await issuer.require_chain().client.nonce(address_of(key))


async def replaced(issuer: Issuer, folder: Path, faucet: bytes) -> anchoring.Tick:
    """As the command does it, and then with ether for the new writer."""
    assert (await succession.plan(issuer)).new is None
    await succession.begin(issuer, folder, PASSPHRASE)
    await AnchorWorker(issuer).run_until_done(
        close=False, done=lambda tick: not tick.settling, timeout_seconds=60
    )
    await setup.fund(issuer.require_chain(), faucet, await setup.shortages(issuer))
    return await finish(issuer)


async def unplugged(*_: object) -> bytes:
    raise TransactionRefused("unplugged", code="refused")


async def send(issuer: Issuer, raw: bytes) -> None:
    """Into a block, past the endpoint that swallows."""
    client = issuer.require_chain().client
    await Transactions(client).broadcast(raw)


async def refused_in_a_block(issuer: Issuer, call: Call, secret: bytes) -> bool:
    """Whether the contract refuses a call that is sent without asking it first."""
    transactions = Transactions(issuer.require_chain().client)
    fees = Fees(10**10, 10**9)
    signed = await transactions.sign(call, secret, fees=fees, gas_limit=200_000)
    await transactions.broadcast(signed.raw)
    return not (await transactions.wait_for_inclusion(signed.hash)).succeeded


@pytest.mark.parametrize("how", ["lost", "stolen"])
async def test_what_it_had_not_brought_to_the_chain_the_next_one_does_once(
    own: Issuer,
    devchain: RunningChain,
    lying_chain: LyingChain,
    make_cohort: MakeCohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    (old,) = await writers(own)
    folder = tmp_path / "issuer"
    await issue(own, make_cohort)
    assert (await finish(own)).is_done
    written, old_nonce = await head(own), await nonce_of(own, old)

    await enqueue(own)
    lying_chain.tell(transactions_swallowed())
    await AnchorWorker(own).tick(close=True)
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "send_raw", unplugged)
        await enqueue(own)
        await AnchorWorker(own).tick(close=True)
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "estimate_gas", unplugged)
        patch.setattr(ChainClient, "send_raw", unplugged)
        await enqueue(own)
        await change(own, Action.SUSPEND, "s1")
        await AnchorWorker(own).tick(close=True)
    lying_chain.be_honest()
    left = [entry for entry in await calls_of(own, old) if entry.state is not State.FINAL]
    assert [(entry.purpose, entry.state) for entry in left] == [
        ("anchor", State.SENT),
        ("anchor", State.SIGNED),
        ("anchor", State.PREPARED),
        ("set_status", State.PREPARED),
    ]
    async with own.store.reading() as reading:
        (signed, *_) = await reading.outbox.attempts(left[0].id)

    secret = own.keyring.secret(old.uri)
    if how == "lost":
        (folder / old.uri.removeprefix("file:")).unlink()
        own.keyring._secrets.clear()
    assert (await replaced(own, folder, devchain.key)).is_done
    former, new = await writers(own)
    assert (former.multibase, former.state, new.state) == (old.multibase, KeyState.RETIRED, KeyState.ACTIVE)
    # Two calls of the owner, three anchors and a word: nothing is missing, and nothing twice.
    assert await head(own) == written + 6
    assert [entry.id for entry in await calls_of(own, new)] == [entry.id for entry in left]
    assert {entry.state for entry in await calls_of(own, new)} == {State.FINAL}
    assert (await nonce_of(own, new), await nonce_of(own, old)) == (4, old_nonce)
    assert await on_chain(own, "s1", "suspension") == 1
    async with own.store.reading() as reading:
        assert not await reading.batches.unfinished()
        # Whose transaction it was is known for ever: an audit asks that.
        assert signed.transaction_hash in await reading.outbox.signed()

    if how == "stolen":
        # Its holder goes on: with what was signed before, and with what he would like to sign.
        transactions = Transactions(own.require_chain().client)
        await send(own, signed.raw)
        assert not (await transactions.wait_for_inclusion(signed.transaction_hash)).succeeded or (
            await head(own) == written + 6
        )
        calls = CredentialRegistryCalls(own.require_chain().network.credential_registry)
        anchor = calls.anchor(own.identity, secrets.token_bytes(32))
        with pytest.raises(Reverted, match="caller has not the role"):
            await transactions.sign(anchor, secret)
        assert await refused_in_a_block(own, anchor, secret)
        assert await head(own) == written + 6
        assert (await finish(own)).is_done


async def test_what_lands_before_the_removal_counts_and_is_not_signed_again(
    own_school: Issuer, devchain: RunningChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = await head(own_school)
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "send_raw", unplugged)
        await enqueue(own_school)
        await AnchorWorker(own_school).tick(close=True)
    (old,) = await writers(own_school)
    (entry,) = await calls_of(own_school, old)
    async with own_school.store.reading() as reading:
        (signed,) = await reading.outbox.attempts(entry.id)
    await succession.begin(own_school, tmp_path / "school", PASSPHRASE)
    await send(own_school, signed.raw)
    await Transactions(own_school.require_chain().client).wait_for_inclusion(signed.transaction_hash)
    assert (await finish(own_school)).is_done
    (entry,) = await calls_of(own_school, old)
    assert (entry.state, entry.transaction_hash) == (State.FINAL, signed.transaction_hash)
    assert entry.gas_used
    assert await head(own_school) == written + 3
    _, new = await writers(own_school)
    assert await calls_of(own_school, new) == []


async def test_the_removal_goes_first_and_the_old_key_is_never_opened_again(
    own_school: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (old,) = await writers(own_school)
    await succession.begin(own_school, tmp_path / "school", PASSPHRASE)
    async with own_school.store.reading() as reading:
        asked = await reading.outbox.unfinished()
    calls = CredentialRegistryCalls(own_school.require_chain().network.credential_registry)
    _, new = await writers(own_school)
    named = [calls.read(entry.data)[1][1:3] for entry in asked]
    assert named == [("0x" + address_of(old).hex(), 0), ("0x" + address_of(new).hex(), 7)]

    opened: list[str] = []
    whole = own_school.keyring.secret
    monkeypatch.setattr(
        type(own_school.keyring), "secret", lambda _, uri: (opened.append(uri), whole(uri))[1]
    )
    await enqueue(own_school)
    # Meanwhile nothing is closed over, and nothing fails.
    tick = await AnchorWorker(own_school).tick(close=True)
    assert (tick.waiting, tick.settling) == (1, True)
    with pytest.raises(Conflict, match="new writer is not final"):
        await costs.estimate(own_school, 1)
    status = await overview.overview(own_school)
    assert "the writer is being replaced: nothing is anchored until that is final" in status["warnings"]
    await AnchorWorker(own_school).run_until_done(
        close=False, done=lambda tick: not tick.settling, timeout_seconds=60
    )
    assert old.uri not in opened


async def test_where_the_owner_cannot_sign_or_pay_nothing_is_begun(
    own_school: Issuer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def nothing(*_: object) -> int:
        return 0

    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "balance", nothing)
        with pytest.raises(Misconfigured, match=r"the owner 0x.* needs .* ether more"):
            await succession.plan(own_school)
    (tmp_path / "school" / "keys" / "owner.json").unlink()
    own_school.keyring._secrets.clear()
    with pytest.raises(Misconfigured, match="owner"):
        await succession.plan(own_school)
    assert [key.state for key in await writers(own_school)] == [KeyState.ACTIVE]


async def test_asked_for_again_it_goes_on_and_a_key_file_that_lies_there_is_not_used(
    own_school: Issuer, tmp_path: Path
) -> None:
    folder = tmp_path / "school"
    (folder / "keys" / "writer-2.json").write_text("of a copy of the folder, whoever has it")
    await succession.begin(own_school, folder, PASSPHRASE)
    again = await succession.plan(own_school)
    assert again.new is not None
    await succession.begin(own_school, folder, PASSPHRASE)
    old, new = await writers(own_school)
    assert (again.old.multibase, again.new.multibase) == (old.multibase, new.multibase)
    assert new.uri == "file:keys/writer-3.json"
    assert await succession.finished_lately(own_school) is None
    await AnchorWorker(own_school).run_until_done(
        close=False, done=lambda tick: not tick.settling, timeout_seconds=60
    )
    lately = await succession.finished_lately(own_school)
    assert lately is not None
    later = replace(own_school, clock=lambda: own_school.clock() + timedelta(days=1))
    assert await succession.finished_lately(later) is None


async def test_interrupted_before_each_transaction_it_goes_on(
    own_school: Issuer, devchain: RunningChain, tmp_path: Path
) -> None:
    assert isinstance(own_school.store, Database)
    store = CrashingStore(own_school.store)
    issuer = replace(own_school, store=store)
    await enqueue(issuer)
    written = await head(issuer)
    for left in range(40):
        store.left = left
        try:
            if (await succession.plan(issuer)).new is None and len(await writers(issuer)) == 1:
                await succession.begin(issuer, tmp_path / "school", PASSPHRASE)
            await setup.fund(issuer.require_chain(), devchain.key, await setup.shortages(issuer))
            await finish(issuer)
        except Crash:
            continue
        break
    store.left = None
    assert [key.state for key in await writers(issuer)] == [KeyState.RETIRED, KeyState.ACTIVE]
    assert await head(issuer) == written + 3


async def suspension_of(issuer: Issuer, row: str) -> tuple[bytes, int, int]:
    """List, word and bit."""
    async with issuer.store.reading() as reading:
        known = await reading.credentials.known_rows("python")
        entries = await reading.status_lists.indexes_of(known[f"id:{row}"].credential_id)
    (entry,) = [one for one in entries if one.purpose == "suspension"]
    return entry.list_id, entry.index // 256, 1 << (255 - entry.index % 256)


async def handed_on_unsigned(issuer: Issuer, patch: pytest.MonkeyPatch, held: list[bytes]) -> None:
    """The calls of the writers in `held` become the next one's, who does not come to sign: another process does it."""
    whole = ChainClient.estimate_gas

    async def estimate(client: ChainClient, sender: bytes, to: bytes | None, data: bytes) -> int:
        if sender not in held:
            raise TransactionRefused("unplugged", code="refused")
        return await whole(client, sender, to, data)

    async with issuer.store.reading() as reading:
        owner = address_of(await registration.owner_of(reading))
    held.append(owner)
    patch.setattr(ChainClient, "estimate_gas", estimate)
    await AnchorWorker(issuer).run_until_done(
        close=False, done=lambda tick: not tick.settling, timeout_seconds=60
    )


async def test_who_was_held_up_while_signing_signs_nothing_for_the_next_one(
    own_school: Issuer, devchain: RunningChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the old key's bytes would be the new one's, at a nonce that it does not reach."""
    written = await head(own_school)
    (old,) = await writers(own_school)
    whole = ChainClient.estimate_gas
    with monkeypatch.context() as patch:

        async def slow(client: ChainClient, sender: bytes, to: bytes | None, data: bytes) -> int:
            gas = await whole(client, sender, to, data)
            patch.setattr(ChainClient, "estimate_gas", whole)
            await succession.begin(own_school, tmp_path / "school", PASSPHRASE)
            await handed_on_unsigned(own_school, patch, [address_of(old)])
            return gas

        await enqueue(own_school)
        patch.setattr(ChainClient, "estimate_gas", slow)
        await AnchorWorker(own_school).tick(close=True)
        _, new = await writers(own_school)
        (entry,) = await calls_of(own_school, new)
        async with own_school.store.reading() as reading:
            assert await reading.outbox.attempts(entry.id) == ()
        assert (entry.state, entry.nonce) == (State.PREPARED, None)
    await setup.fund(own_school.require_chain(), devchain.key, await setup.shortages(own_school))
    assert (await finish(own_school)).is_done
    assert (await nonce_of(own_school, new), await head(own_school)) == (1, written + 3)


async def test_of_two_that_hand_on_at_once_the_second_finds_it_done(
    own_school: Issuer, devchain: RunningChain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = await head(own_school)
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "estimate_gas", unplugged)
        await enqueue(own_school)
        await AnchorWorker(own_school).tick(close=True)
    (old,) = await writers(own_school)
    await succession.begin(own_school, tmp_path / "school", PASSPHRASE)
    with monkeypatch.context() as patch:

        async def not_yet(*_: Any) -> bool:
            return False

        async def slow(*_: Any) -> bool:
            patch.setattr(dispatch, "has_ended", has_ended)
            await handed_on_unsigned(own_school, patch, [address_of(old)])
            return True

        patch.setattr(dispatch, "has_ended", not_yet)
        while (await writers(own_school))[-1].state is not KeyState.ACTIVE:
            await AnchorWorker(own_school).tick()
        patch.setattr(dispatch, "has_ended", slow)
        await AnchorWorker(own_school).tick()
    await setup.fund(own_school.require_chain(), devchain.key, await setup.shortages(own_school))
    assert (await finish(own_school)).is_done
    _, new = await writers(own_school)
    assert (await nonce_of(own_school, new), await head(own_school)) == (1, written + 3)


async def test_what_it_did_and_somebody_undid_is_not_done_again(
    own_school: Issuer,
    devchain: RunningChain,
    make_cohort: MakeCohort,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No slot shows it any more, so its receipt in a final block tells."""
    await issue(own_school, make_cohort)
    assert (await finish(own_school)).is_done
    (old,) = await writers(own_school)
    secret = own_school.keyring.secret(old.uri)
    with monkeypatch.context() as patch:
        patch.setattr(ChainClient, "send_raw", unplugged)
        await change(own_school, Action.SUSPEND, "s1")
        await AnchorWorker(own_school).tick()
    asked = (await calls_of(own_school, old))[-1]
    async with own_school.store.reading() as reading:
        (signed,) = await reading.outbox.attempts(asked.id)
    transactions = Transactions(own_school.require_chain().client)
    await transactions.broadcast(signed.raw)
    await transactions.wait_for_inclusion(signed.transaction_hash)
    list_id, word, bit = await suspension_of(own_school, "s1")
    calls = CredentialRegistryCalls(own_school.require_chain().network.credential_registry)
    undo = calls.set_status(own_school.identity, list_id, [WordChange(word, 0, bit)])
    await transactions.send(undo, secret)
    assert (await replaced(own_school, tmp_path / "school", devchain.key)).is_done
    asked = (await calls_of(own_school, old))[-1]
    assert (asked.purpose, asked.state) == ("set_status", State.FINAL)
    assert asked.transaction_hash == signed.transaction_hash
    _, new = await writers(own_school)
    assert await calls_of(own_school, new) == []


async def test_what_a_thief_suspended_is_put_right_by_suspending_and_reinstating(
    own_school: Issuer, devchain: RunningChain, make_cohort: MakeCohort, tmp_path: Path
) -> None:
    await issue(own_school, make_cohort)
    assert (await finish(own_school)).is_done
    (old,) = await writers(own_school)
    secret = own_school.keyring.secret(old.uri)
    list_id, word, bit = await suspension_of(own_school, "s1")
    calls = CredentialRegistryCalls(own_school.require_chain().network.credential_registry)
    stolen = calls.set_status(own_school.identity, list_id, [WordChange(word, bit)])
    await Transactions(own_school.require_chain().client).send(stolen, secret)
    assert await on_chain(own_school, "s1", "suspension") == 1
    assert (await replaced(own_school, tmp_path / "school", devchain.key)).is_done
    await change(own_school, Action.SUSPEND, "s1")
    await sent(own_school)
    await change(own_school, Action.REINSTATE, "s1")
    await sent(own_school)
    assert await on_chain(own_school, "s1", "suspension") == 0


# --- what others see


async def test_the_doctor_tells_a_writer_whose_roles_were_taken_away(
    own_school: Issuer, tmp_path: Path
) -> None:
    from services.test_doctor import found, of

    (old,) = await writers(own_school)
    owner_call = registration.ask_as_owner
    calls = CredentialRegistryCalls(own_school.require_chain().network.credential_registry)
    async with own_school.store.transaction() as transaction:
        call = calls.set_writer(own_school.identity, address_of(old), 0, 0)
        await owner_call(own_school, transaction, "set_writer", call)
    await finish(own_school)
    findings = [one for one in await found(own_school) if one.subject == "writer"]
    assert [one.level for one in findings] == [Level.FAULT]
    assert "were taken away" in findings[0].detail
    assert findings[0].remedy is not None
    assert "`issuer key replace-writer`" in findings[0].remedy
    assert "`issuer init`" in findings[0].remedy
    warnings = (await overview.overview(own_school))["warnings"]
    assert "the writer's roles were taken away: `issuer doctor` says what to do" in warnings

    # What was asked of it meanwhile was refused, and the next one does it.
    await enqueue(own_school)
    assert (await AnchorWorker(own_school).tick(close=True)).parked == 1
    await succession.begin(own_school, tmp_path / "school", PASSPHRASE)
    ((level, detail), (other, _)) = of(await found(own_school), "writer")
    assert (level, other) == (Level.WARNING, Level.WARNING)
    assert "is not final" in detail
    tick = await AnchorWorker(own_school).run_until_done(
        close=False, done=lambda tick: not tick.settling, timeout_seconds=60
    )
    assert tick.parked == 0
    assert [one.level for one in await found(own_school) if one.subject == "writer"] == [Level.GOOD]

    # An older copy of the database renews the old one: told, and taken from it by the next replacement.
    async with own_school.store.transaction() as transaction:
        call = calls.set_writer(own_school.identity, address_of(old), 7, 2**40)
        await owner_call(own_school, transaction, "set_writer", call)
    await AnchorWorker(own_school).run_until_done(
        close=False, done=lambda tick: tick.transactions == 1, timeout_seconds=60
    )
    assert Level.FAULT in [one.level for one in await found(own_school) if one.subject == "writer"]
    # While it has roles, what it signed may still come into a block: nobody else does it.
    async with own_school.store.transaction() as transaction:
        call = calls.anchor(own_school.identity, secrets.token_bytes(32))
        left = await transaction.outbox.add("anchor", address_of(old), call.to, call.data, own_school.clock())
    await AnchorWorker(own_school).tick()
    assert left in await calls_of(own_school, old)
    await succession.begin(own_school, tmp_path / "school", PASSPHRASE)
    await AnchorWorker(own_school).run_until_done(
        close=False, done=lambda tick: not tick.settling, timeout_seconds=60
    )
    chain = own_school.require_chain()
    slot = registry.writer_slot(own_school.identity, own_school.identity, address_of(old))
    assert await chain.slot(await chain.finalized(), slot) == 0
    await AnchorWorker(own_school).tick()
    *_, newest = await writers(own_school)
    assert left.id in [entry.id for entry in await calls_of(own_school, newest)]


# --- killed


REPLACING: tuple[tuple[str, Step], ...] = (
    ("key made", ("before", "node.storage.issuer", "SqlKeys.add")),
    ("key stored", ("after", "node.storage.issuer", "SqlKeys.add")),
    ("a call in the outbox", ("after", "node.storage.outbox", "SqlOutbox.add")),
    ("asked for", ("after", "node.services.succession", "begin")),
    ("nonce given", ("after", "node.storage.outbox", "SqlOutbox.assign_nonce")),
    ("removal stored", ("after", "node.storage.outbox", "SqlOutbox.record_attempt")),
    ("removal committed", ("before", "node.outbound.chain", "ChainClient.send_raw")),
    ("removal sent", ("after", "node.outbound.chain", "ChainClient.send_raw")),
    ("removal final", ("after", "node.storage.outbox", "SqlOutbox.mark_found")),
    ("new writer seen", ("before", "node.services.registration", "_settle_former")),
    ("handed over", ("after", "node.storage.outbox", "SqlOutbox.reassign")),
    ("signed anew", ("before", "node.services.dispatch", "Dispatcher._sign")),
)


@pytest.fixture(scope="module")
def often_replaced(devchain: RunningChain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an issuer whose writer is replaced by each test in turn."""
    folder = tmp_path_factory.mktemp("often")
    init_school(folder, devchain)
    return folder


@pytest.mark.parametrize(("name", "step"), REPLACING, ids=[name for name, _ in REPLACING])
async def test_killed_while_replacing(
    often_replaced: Path, devchain: RunningChain, monkeypatch: pytest.MonkeyPatch, name: str, step: Step
) -> None:
    async with open_issuer(Folder.load(often_replaced), PASSPHRASE) as issuer:
        before = len(await writers(issuer))
        await enqueue(issuer)
        with monkeypatch.context() as patch:
            patch.setattr(ChainClient, "send_raw", unplugged)
            await AnchorWorker(issuer).tick(close=True)
        written = await head(issuer)
        assert await asyncio.to_thread(killed_at, step, often_replaced, "replace_writer"), name
        begun = len(await writers(issuer)) - before
        # What was asked for goes on by itself, whatever runs next.
        assert begun == (name not in ("key made", "key stored", "a call in the outbox"))
        if not begun:
            await succession.begin(issuer, often_replaced, PASSPHRASE)
        await setup.fund(issuer.require_chain(), devchain.key, await setup.shortages(issuer))
        assert (await finish(issuer)).is_done
        assert await head(issuer) == written + 3
        states = [key.state for key in await writers(issuer)]
        assert states == [*[KeyState.RETIRED] * before, KeyState.ACTIVE]


# --- as it is typed


def test_as_an_operator_types_it(devchain: RunningChain, tmp_path: Path) -> None:
    school = School(tmp_path / "school")
    networks, faucet = tmp_path / "networks.json", tmp_path / "faucet.key"
    networks.write_text(json.dumps({"networks": [devchain.network]}))
    faucet.write_text(devchain.key.hex())
    with_faucet = ["--faucet", str(faucet)]
    init = ["init", "--name", "A school", "--url", "https://school.example", "--rpc", devchain.url]
    made = school.json(*init, "--networks", str(networks), *with_faucet)
    (school.folder / "issuer" / "keys" / "writer.json").unlink()

    asked = school.run("key", "replace-writer")  # nobody there to answer
    assert asked.exit_code == 1
    assert f"the writer {made['writer']} loses its roles" in asked.stderr
    assert "whoever has the key can take them" in asked.stderr
    assert not (school.folder / "issuer" / "keys" / "writer-2.json").exists()

    told = school.run("key", "replace-writer", "--yes")
    assert told.exit_code == 0, told.stderr
    old, new = (line.split("  ") for line in told.stdout.splitlines())
    assert old == [made["writer"], "retired", "file:keys/writer.json"]
    assert new[1:] == ["active", "file:keys/writer-2.json"]
    assert f"the writer {new[0]} needs" in told.stderr
    assert "ether more on" in told.stderr

    again = school.json("key", "replace-writer", *with_faucet)
    assert again["replaced"] is False
    assert [one["address"] for one in again["writers"]] == [old[0], new[0]]
    once_more = school.json("key", "replace-writer", "--again", "--yes", *with_faucet)
    assert (once_more["replaced"], once_more["lacking"]) == (True, [])
    assert [one["state"] for one in once_more["writers"]] == ["retired", "retired", "active"]
    # `init` as before knows whom to name.
    assert school.json(*init)["writer"] == once_more["writers"][-1]["address"]
    status = school.json("status")
    assert once_more["writers"][-1]["address"] in status["chain"]["writer"]
    assert status["warnings"] == []
