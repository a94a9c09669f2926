"""What every repository promises in `node/storage/protocols`, on SQLite and on PostgreSQL alike."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from node.core.errors import Conflict, NotFound, Unavailable
from node.storage.database import Database, open_database
from node.storage.protocols.batches import BatchCost, ItemPlace, StoredBundle
from node.storage.protocols.credentials import (
    CredentialState,
    EvidenceCounts,
    Intent,
    SignedCredential,
    StoredEvidence,
)
from node.storage.protocols.issuer import ApiRole, ApiToken, IssuerKey, IssuerSettings, KeyRole, KeyState
from node.storage.protocols.offers import AccessToken, Offer, OfferState, Redemption
from node.storage.protocols.outbox import Spent, TransactionState
from node.storage.protocols.status_lists import ChangeState, ListCredential, ListMode, StatusList
from node.storage.protocols.store import Store, Traces
from node.storage.protocols.verifier import NoncePurpose, NonceUse, PresentationRequest

NOW = datetime(2026, 3, 1, 12, 0, 0, 123456, UTC)
LATER = NOW + timedelta(minutes=10)
SENDER, REGISTRY, OTHER = b"\x01" * 20, b"\x02" * 20, b"\x03" * 20


def digest(number: int) -> bytes:
    return number.to_bytes(32, "big")


def intent(number: int, **changes: object) -> Intent:
    values = Intent(
        credential_id=f"urn:uuid:{number:04}",
        cohort="course",
        row_key=f"id:{number}",
        content_digest=digest(number),
        body=b'{"name":"\xc3\xa4"}',
        subject_did="did:key:zHolder",
        state=CredentialState.INTENDED,
        evidence_size=0,
        evidence_root=None,
        created_at=NOW,
    )
    return replace(values, **changes)  # type: ignore[arg-type]


def signed(number: int, **changes: object) -> SignedCredential:
    values = SignedCredential(
        credential_id=f"urn:uuid:{number:04}",
        document=b'{"id":"exactly as issued", "n": 1.0}',
        digest=digest(number),
        key_multibase="zKey",
        subject_did="did:key:zHolder",
        signed_at=LATER,
    )
    return replace(values, **changes)  # type: ignore[arg-type]


async def issue(store: Store, *numbers: int) -> None:
    async with store.transaction() as tx:
        await tx.credentials.intend([intent(number) for number in numbers])
        await tx.credentials.record_signed([signed(number) for number in numbers])


class TestTransactions:
    async def test_read_then_write_loses_no_update(
        self, store: Database, place: tuple[str, str | None]
    ) -> None:
        # Writers that each read a number and write it back plus one, half of them through a second handle, as
        # another process would: the queue inside one handle must not be what saves the updates.
        other = await open_database(place[0], schema=place[1])
        async with store.transaction() as tx:
            await tx.issuer.save(settings("0"))

        async def raise_by_one(database: Database) -> None:
            async with database.transaction() as tx:
                known = await tx.issuer.load()
                assert known is not None
                await asyncio.sleep(0.001)
                await tx.issuer.save(replace(known, name=str(int(known.name) + 1)))

        await asyncio.gather(*(raise_by_one(database) for database in [store, other] * 12))
        async with store.reading() as tx:
            known = await tx.issuer.load()
        await other.close()
        assert known is not None
        assert known.name == "24"

    async def test_an_exception_undoes_everything(self, store: Store) -> None:
        async def fail_half_way() -> None:
            async with store.transaction() as tx:
                await tx.credentials.intend([intent(1)])
                raise RuntimeError

        with pytest.raises(RuntimeError):
            await fail_half_way()
        async with store.reading() as tx:
            assert await tx.credentials.load("urn:uuid:0001") is None

    async def test_reading_does_not_write(self, store: Store) -> None:
        with pytest.raises(Unavailable):
            async with store.reading() as tx:
                await tx.credentials.intend([intent(1)])
        await issue(store, 1)

    async def test_a_reader_neither_waits_nor_sees_what_is_not_committed(self, store: Store) -> None:
        async with store.transaction() as tx:
            await tx.credentials.intend([intent(1)])
            async with store.reading() as other:
                assert await other.credentials.load("urn:uuid:0001") is None

    async def test_a_cancelled_writer_lets_the_next_one_in(self, store: Store) -> None:
        entered = asyncio.Event()

        async def stuck() -> None:
            async with store.transaction() as tx:
                await tx.credentials.intend([intent(1)])
                entered.set()
                await asyncio.Event().wait()

        task = asyncio.create_task(stuck())
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await issue(store, 1)


def settings(name: str = "School", **changes: object) -> IssuerSettings:
    values = IssuerSettings(
        did="did:ethr:0x1:0xab",
        name=name,
        url="https://school.example",
        chain="eip155:1",
        identity=SENDER,
        did_registry=REGISTRY,
        credential_registry=REGISTRY,
        created_at=NOW,
    )
    return replace(values, **changes)  # type: ignore[arg-type]


class TestIssuer:
    async def test_settings(self, store: Store) -> None:
        async with store.transaction() as tx:
            assert await tx.issuer.load() is None
            await tx.issuer.save(settings())
            await tx.issuer.save(settings("School of Arts"))
            assert await tx.issuer.load() == settings("School of Arts")
            for other in ({"did": "did:key:z"}, {"chain": None}, {"credential_registry": SENDER}):
                with pytest.raises(Conflict, match="belongs to the issuer did:ethr"):
                    await tx.issuer.save(settings(**other))  # type: ignore[arg-type]

    async def test_key_rotation(self, store: Store) -> None:
        first = IssuerKey("zA", KeyRole.ASSERTION, "file:a", None, None, KeyState.PREPARED, None, None, NOW)
        second = replace(first, multibase="zB", uri="file:b")
        async with store.transaction() as tx:
            await tx.keys.add(first)
            await tx.keys.add(first)
            with pytest.raises(Conflict, match="recorded as assertion at file:a"):
                await tx.keys.add(replace(first, role=KeyRole.OWNER))
            assert await tx.keys.active(KeyRole.ASSERTION) is None
            await tx.keys.move("zA", KeyState.ADDING)
            await tx.keys.move(
                "zA", KeyState.ACTIVE, valid_from=7, delegate=1, verification_method="did:x#delegate-1"
            )
            await tx.keys.add(second)
            await tx.keys.move("zB", KeyState.ACTIVE, valid_from=9)
            active = await tx.keys.active(KeyRole.ASSERTION)
            assert active is not None
            assert active.multibase == "zB", "the newest signs"
            with pytest.raises(Conflict, match="is active and cannot become prepared"):
                await tx.keys.move("zA", KeyState.PREPARED)
            retired = await tx.keys.move("zA", KeyState.RETIRED, valid_until=12)
            assert (retired.valid_from, retired.valid_until, retired.delegate) == (7, 12, 1)
            assert retired.verification_method == "did:x#delegate-1"
            with pytest.raises(Conflict, match="is retired and cannot become compromised"):
                await tx.keys.move("zA", KeyState.COMPROMISED)
            await tx.keys.move("zA", KeyState.COMPROMISING)
            await tx.keys.move("zA", KeyState.COMPROMISED)
            with pytest.raises(Conflict, match="not one of this issuer's"):
                await tx.keys.move("zC", KeyState.ACTIVE)
            assert [key.multibase for key in await tx.keys.all()] == ["zA", "zB"]
            assert await tx.keys.all(KeyRole.OWNER) == ()

    async def test_api_tokens(self, store: Store) -> None:
        token = ApiToken(digest(1), "registrar", frozenset(ApiRole), NOW, LATER, None)
        async with store.transaction() as tx:
            await tx.api_tokens.add(token)
            with pytest.raises(Conflict, match="revoke it first"):
                await tx.api_tokens.add(replace(token, token_hash=digest(2)))
            assert await tx.api_tokens.find(digest(1), NOW) == token
            assert await tx.api_tokens.find(digest(1), LATER) is None, "the end is already outside"
            assert await tx.api_tokens.find(digest(2), NOW) is None
            assert await tx.api_tokens.revoke("registrar", NOW)
            assert not await tx.api_tokens.revoke("registrar", NOW)
            assert await tx.api_tokens.find(digest(1), NOW) is None
            await tx.api_tokens.add(replace(token, token_hash=digest(2)))
            assert len(await tx.api_tokens.all()) == 2


class TestCredentials:
    async def test_from_intent_to_signature(self, store: Store) -> None:
        zoned = intent(1, created_at=NOW.astimezone(timezone(timedelta(hours=5))))
        async with store.transaction() as tx:
            await tx.credentials.intend([zoned, intent(2, state=CredentialState.WAITING, subject_did=None)])
        async with store.transaction() as tx:
            assert (await tx.credentials.known_rows("course"))["id:1"].content_digest == digest(1)
            assert list(await tx.credentials.known_rows("course", ["id:2", "id:3"])) == ["id:2"]
            assert await tx.credentials.known_rows("another course", ["id:2"]) == {}
            await tx.credentials.record_signed([signed(1), signed(2, subject_did="did:key:zClaimer")])
        async with store.reading() as tx:
            record = await tx.credentials.load("urn:uuid:0001")
            assert record is not None
            assert record.signed == signed(1)
            assert record.intent == intent(1, state=CredentialState.SIGNED, body=b"")
            assert record.intent.created_at.tzinfo is UTC
            claimed = await tx.credentials.find_by_digest(digest(2))
            assert claimed is not None
            assert claimed.intent.subject_did == "did:key:zClaimer"
            assert (await tx.credentials.counts())[CredentialState.SIGNED] == 2
            assert (await tx.credentials.counts("other"))[CredentialState.SIGNED] == 0
            assert await tx.credentials.load("urn:uuid:0003") is None

    async def test_of_what_was_intended_what_a_successor_needs_is_kept(self, store: Store) -> None:
        async with store.transaction() as tx:
            await tx.credentials.intend([intent(1), intent(2)])
            await tx.credentials.record_signed([signed(1, kept=b"terms"), signed(2)])
        async with store.reading() as tx:
            found = await tx.credentials.load_many(["urn:uuid:0001", "urn:uuid:0002"])
        assert [one.intent.body for one in found.values()] == [b"terms", b""]
        assert [one.signed for one in found.values()] == [signed(1, kept=b"terms"), signed(2)]

    async def test_a_row_is_taken_in_once(self, store: Store) -> None:
        await issue(store, 1)
        for again in (intent(9, row_key="id:1"), intent(1, row_key="id:9")):
            with pytest.raises(Conflict):
                async with store.transaction() as tx:
                    await tx.credentials.intend([intent(5), again])
        async with store.transaction() as tx:
            assert await tx.credentials.load("urn:uuid:0005") is None, "all or none"
            await tx.credentials.intend([intent(9, row_key="id:1", cohort="another course")])

    async def test_signed_once(self, store: Store) -> None:
        await issue(store, 1)
        async with store.transaction() as tx:
            await tx.credentials.record_signed([signed(1)])
            with pytest.raises(Conflict, match="signed already, and otherwise"):
                await tx.credentials.record_signed([signed(1, digest=digest(9))])
            with pytest.raises(NotFound, match="intents come first"):
                await tx.credentials.record_signed([signed(3)])
            await tx.credentials.intend([intent(2), intent(4)])
            with pytest.raises(Conflict, match="intended for another subject"):
                await tx.credentials.record_signed([signed(2, subject_did="did:key:zThief")])
            await tx.credentials.withdraw("urn:uuid:0004")
            with pytest.raises(Conflict, match="withdrawn"):
                await tx.credentials.record_signed([signed(4)])
            with pytest.raises(Conflict, match="revoke it"):
                await tx.credentials.withdraw("urn:uuid:0001")
            with pytest.raises(NotFound):
                await tx.credentials.withdraw("urn:uuid:0009")

    async def test_pages_in_order(self, store: Store) -> None:
        await issue(store, *range(25))
        async with store.transaction() as tx:
            await tx.credentials.intend([intent(99, cohort="other", state=CredentialState.WAITING)])
        seen: list[str] = []
        async with store.reading() as tx:
            while page := await tx.credentials.page(after=seen[-1] if seen else "", limit=10):
                seen += [record.intent.credential_id for record in page]
            waiting = await tx.credentials.page(state=CredentialState.WAITING, cohort="other")
        assert seen == sorted(seen)
        assert len(seen) == 26
        assert [record.intent.credential_id for record in waiting] == ["urn:uuid:0099"]

    async def test_a_large_batch(self, store: Store) -> None:
        numbers = range(2500)
        await issue(store, *numbers)
        async with store.transaction() as tx:
            assert await tx.batches.enqueue(1, [digest(number) for number in numbers], NOW) == 2500
            assert await tx.batches.enqueue(1, [digest(number) for number in numbers], NOW) == 0


class TestEvidence:
    async def test_erasing_leaves_the_leaf(self, store: Store) -> None:
        items = [
            StoredEvidence(number, digest(number), b"s" * 32, f"file {number}", "text/plain", "", b"\0\xff")
            for number in range(3)
        ]
        await issue(store, 1)
        async with store.transaction() as tx:
            await tx.evidence.store("urn:uuid:0001", items)
            assert await tx.evidence.load("urn:uuid:0001") == tuple(items)
            without = await tx.evidence.load("urn:uuid:0001", with_data=False)
            assert without == tuple(replace(item, data=None) for item in items)
            assert await tx.evidence.erase("urn:uuid:0001", LATER, [1]) == 1
            assert await tx.evidence.erase("urn:uuid:0001", LATER) == 2
            assert await tx.evidence.erase("urn:uuid:0001", LATER) == 0
            assert await tx.evidence.load("urn:uuid:0001") == tuple(
                StoredEvidence(number, digest(number), None, None, None, None, None, LATER)
                for number in range(3)
            )

    async def test_with_the_first_erased_item_goes_what_would_confirm_a_guess_at_it(
        self, store: Store
    ) -> None:
        items = [StoredEvidence(number, digest(number), b"s" * 32, "name", "t", "", b"") for number in (0, 1)]
        await issue(store, 1)
        async with store.transaction() as tx:
            assert await tx.evidence.counts() == EvidenceCounts(0, 0)
            await tx.evidence.store("urn:uuid:0001", items)
            assert await tx.evidence.erase("urn:uuid:0001", LATER, []) == 0
            before = await tx.credentials.load("urn:uuid:0001")
            assert await tx.evidence.erase("urn:uuid:0001", LATER, [1]) == 1
            after = await tx.credentials.load("urn:uuid:0001")
            assert await tx.evidence.counts() == EvidenceCounts(2, 1)
        assert before is not None
        assert after is not None
        assert before.intent.content_digest
        assert after.intent == replace(before.intent, content_digest=b"")

    async def test_what_else_holds_what_was_erased_is_told(
        self, store: Store, place: tuple[str, str | None]
    ) -> None:
        _, schema = place
        assert await store.overwrite_erased() is (Traces.NONE if schema is None else Traces.SERVER)

    async def test_items_belong_to_a_credential_and_are_stored_once(self, store: Store) -> None:
        item = StoredEvidence(0, digest(0), b"s" * 32, "name", "text/plain", "", b"")
        await issue(store, 1)
        async with store.transaction() as tx:
            await tx.evidence.store("urn:uuid:0001", [])
            await tx.evidence.store("urn:uuid:0001", [item])
        for credential_id in ("urn:uuid:0001", "urn:uuid:0002"):
            with pytest.raises(Conflict):
                async with store.transaction() as tx:
                    await tx.evidence.store(credential_id, [item])


class TestOutbox:
    async def test_the_life_of_a_transaction(self, store: Store) -> None:
        async with store.transaction() as tx:
            entry = await tx.outbox.add("anchor", SENDER, REGISTRY, b"call", NOW)
            assert entry.state is TransactionState.PREPARED
            with pytest.raises(Conflict, match="after its nonce was assigned"):
                await tx.outbox.record_attempt(entry.id, digest(1), b"raw", NOW)
            assert await tx.outbox.assign_nonce(entry.id, 5) == 5
            assert await tx.outbox.assign_nonce(entry.id, 9) == 5, "given once"
            await tx.outbox.record_attempt(entry.id, digest(1), b"raw", NOW)
            await tx.outbox.mark_sent(entry.id, NOW)
            await tx.outbox.record_attempt(entry.id, digest(2), b"raw, higher fee", LATER)
            await tx.outbox.mark_sent(entry.id, LATER)
            assert [one.raw for one in await tx.outbox.attempts(entry.id)] == [b"raw", b"raw, higher fee"]
            hashes = {one.transaction_hash for one in await tx.outbox.attempts(entry.id)}
            assert await tx.outbox.signed() == hashes
            with pytest.raises(Conflict, match="never signed here"):
                await tx.outbox.mark_included(entry.id, digest(3), 7, digest(7), LATER)
            await tx.outbox.mark_included(entry.id, digest(1), 7, digest(7), LATER)
            await tx.outbox.mark_reorganised(entry.id, LATER)
            sent = await tx.outbox.load(entry.id)
            assert sent is not None
            assert (sent.state, sent.block_number) == (TransactionState.SIGNED, None)
            with pytest.raises(Conflict, match="is signed and cannot become final"):
                await tx.outbox.mark_final(entry.id, LATER)
            await tx.outbox.mark_included(entry.id, digest(2), 8, digest(8), LATER)
            assert len(await tx.outbox.unfinished()) == 1
            await tx.outbox.mark_final(entry.id, LATER)
            await tx.outbox.mark_final(entry.id, LATER)
            done = await tx.outbox.load(entry.id)
            assert done is not None
            assert (done.state, done.block_number, done.transaction_hash) == ("final", 8, digest(2))
            assert await tx.outbox.unfinished() == ()
            assert (await tx.outbox.counts())[TransactionState.FINAL] == 1

    async def test_nonces_are_counted_by_sender(self, store: Store) -> None:
        async with store.transaction() as tx:
            entries = [await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW) for _ in range(3)]
            other = await tx.outbox.add("add_key", REGISTRY, None, b"", NOW)
            given = [await tx.outbox.assign_nonce(entry.id, 0) for entry in entries[:2]]
            assert [*given, await tx.outbox.assign_nonce(entries[2].id, 7)] == [0, 1, 7]
            assert await tx.outbox.assign_nonce(other.id, 0) == 0
            assert await tx.outbox.unfinished(REGISTRY) == (replace(other, nonce=0),)

    async def test_each_chain_counts_its_own(self, store: Store) -> None:
        async with store.transaction() as tx:
            own = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW)
            theirs = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW, "eip155:5")
            assert [await tx.outbox.assign_nonce(one.id, 3) for one in (own, theirs)] == [3, 3]
            assert [one.id for one in await tx.outbox.unfinished()] == [own.id]
            assert [one.id for one in await tx.outbox.unfinished(chain="eip155:5")] == [theirs.id]
            assert (await tx.outbox.counts("eip155:5"))[TransactionState.PREPARED] == 1

    async def test_a_nonce_that_was_used_up_is_given_back_and_the_next_is_another(self, store: Store) -> None:
        async with store.transaction() as tx:
            entry = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW)
            await tx.outbox.assign_nonce(entry.id, 4)
            await tx.outbox.record_attempt(entry.id, digest(1), b"raw", NOW)
            await tx.outbox.mark_sent(entry.id, NOW)
            await tx.outbox.release_nonce(entry.id, LATER)
            again = await tx.outbox.load(entry.id)
            assert again is not None
            assert (again.state, again.nonce, again.transaction_hash) == ("prepared", None, None)
            assert await tx.outbox.assign_nonce(entry.id, 0) == 5
            assert [one.nonce for one in await tx.outbox.attempts(entry.id)] == [4]

    async def test_a_call_that_is_given_to_another_sender_begins_anew_and_its_attempts_are_void(
        self, store: Store
    ) -> None:
        async with store.transaction() as tx:
            entries = [await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW) for _ in range(3)]
            sent, parked, final = (entry.id for entry in entries)
            await tx.outbox.assign_nonce(sent, 4)
            await tx.outbox.record_attempt(sent, digest(1), b"raw", NOW)
            await tx.outbox.mark_sent(sent, NOW)
            await tx.outbox.park(parked, "caller has not the role", NOW)
            await tx.outbox.mark_found(final, 12, NOW)
            for one in (sent, parked):
                await tx.outbox.reassign(one, OTHER, LATER)
                again = await tx.outbox.load(one)
                assert again is not None
                assert (again.sender, again.state, again.nonce) == (OTHER, "prepared", None)
                assert (again.transaction_hash, again.fault) == (None, None)
                assert await tx.outbox.attempts(one) == ()
            # A nonce of the new sender's own; and whose the old transaction was is known for ever.
            assert await tx.outbox.assign_nonce(sent, 0) == 0
            await tx.outbox.record_attempt(sent, digest(2), b"raw anew", LATER)
            assert [one.raw for one in await tx.outbox.attempts(sent)] == [b"raw anew"]
            assert await tx.outbox.signed() == {digest(1), digest(2)}
            with pytest.raises(Conflict, match="never signed here"):
                await tx.outbox.mark_included(sent, digest(1), 7, digest(7), LATER)
            for one, sender in ((final, OTHER), (parked, OTHER)):
                with pytest.raises(Conflict, match="cannot be given to that sender"):
                    await tx.outbox.reassign(one, sender, LATER)

    async def test_what_the_chain_shows_is_final_from_any_state(self, store: Store) -> None:
        async with store.transaction() as tx:
            prepared = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW)
            await tx.outbox.mark_found(prepared.id, 12, LATER)
            parked = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW)
            await tx.outbox.park(parked.id, "too dear", NOW)
            await tx.outbox.mark_found(parked.id, None, LATER)
            found = [await tx.outbox.load(entry.id) for entry in (prepared, parked)]
            assert [(one.state, one.block_number, one.fault) for one in found if one] == [
                ("final", 12, None),
                ("final", None, None),
            ]

    async def test_what_was_paid_is_told_by_purpose_and_by_batch(self, store: Store) -> None:
        entry_id = await final_transaction(store, block=9)
        async with store.transaction() as tx:
            assert await tx.outbox.spent() == {}
            other = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW)
            await tx.outbox.assign_nonce(other.id, 0)
            await tx.outbox.record_attempt(other.id, digest(2), b"raw", NOW)
            # Beyond 2^63 wei together, which neither database's integers hold.
            paid = Spent(gas=2**40, gas_price=2**40)
            await tx.outbox.mark_included(other.id, digest(2), 10, digest(10), NOW, paid)
            await tx.outbox.mark_final(other.id, NOW)
            assert await tx.outbox.spent() == {"anchor": (paid,)}
            await tx.batches.enqueue(1, [digest(50), digest(51)], NOW)
            items = await tx.batches.load_waiting(2)
            places = [ItemPlace(item.id, digest(0), index, (digest(0),)) for index, item in enumerate(items)]
            batch = await tx.batches.seal(digest(60), 64, digest(61), places, NOW)
            await tx.batches.attach(batch.id, other.id)
            assert await tx.batches.costs(5) == (BatchCost(batch.id, 2, paid),)
        assert entry_id != other.id

    async def test_a_batch_may_stand_on_a_second_chain_before_its_own(self, store: Store) -> None:
        async with store.transaction() as tx:
            own = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW)
            theirs = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW, "eip155:5")
            await tx.batches.enqueue(1, [digest(50)], NOW)
            (item,) = await tx.batches.load_waiting(2)
            place = ItemPlace(item.id, digest(0), 0, ())
            batch = await tx.batches.seal(digest(60), 64, digest(61), [place], NOW)
            await tx.batches.attach(batch.id, own.id)
            await tx.batches.add_second(batch.id, "eip155:5", theirs.id)
            assert await tx.batches.on_second_chain() == frozenset()
            await tx.outbox.mark_found(theirs.id, 7, NOW)
            assert await tx.batches.on_second_chain() == {batch.id}
            await tx.outbox.mark_found(own.id, 8, NOW)
            assert await tx.batches.on_second_chain() == frozenset()

    async def test_a_call_is_found_by_what_it_says(self, store: Store) -> None:
        async with store.transaction() as tx:
            await tx.outbox.add("blockcerts", SENDER, SENDER, b"root", NOW)
            newest = await tx.outbox.add("blockcerts", SENDER, SENDER, b"root", LATER)
            await tx.outbox.add("anchor", SENDER, REGISTRY, b"other", NOW)
            assert await tx.outbox.find("blockcerts", b"root") == newest
            assert await tx.outbox.find("anchor", b"root") is None

    async def test_parked_and_taken_up_again(self, store: Store) -> None:
        async with store.transaction() as tx:
            first = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW)
            await tx.outbox.assign_nonce(first.id, 0)
            await tx.outbox.record_attempt(first.id, digest(1), b"raw", NOW)
            await tx.outbox.park(first.id, "no money", NOW)
            assert [one.fault for one in await tx.outbox.in_state(TransactionState.PARKED)] == ["no money"]
            resumed = await tx.outbox.resume(first.id, LATER)
            assert (resumed.state, resumed.nonce, resumed.fault) == (TransactionState.SIGNED, 0, None)
            with pytest.raises(Conflict, match="not parked"):
                await tx.outbox.resume(first.id, LATER)
            await tx.outbox.mark_included(first.id, digest(1), 3, digest(3), NOW)
            await tx.outbox.park(first.id, "reverted", NOW, nonce_spent=True)
            again = await tx.outbox.resume(first.id, LATER)
            assert (again.state, again.nonce, again.block_number) == (TransactionState.PREPARED, None, None)
            assert await tx.outbox.assign_nonce(first.id, 1) == 1
            with pytest.raises(NotFound):
                await tx.outbox.mark_sent(99, NOW)


async def final_transaction(store: Store, block: int, number: int = 1) -> int:
    async with store.transaction() as tx:
        entry = await tx.outbox.add("anchor", SENDER, REGISTRY, b"", NOW)
        await tx.outbox.assign_nonce(entry.id, 0)
        await tx.outbox.record_attempt(entry.id, digest(1000 + number), b"raw", NOW)
        await tx.outbox.mark_included(entry.id, digest(1000 + number), block, digest(block), NOW)
        await tx.outbox.mark_final(entry.id, NOW)
    return entry.id


class TestBatches:
    async def test_from_waiting_to_final(self, store: Store) -> None:
        await issue(store, 1, 2, 3)
        async with store.transaction() as tx:
            assert await tx.batches.waiting() == type(await tx.batches.waiting())(0, None)
            assert await tx.batches.enqueue(1, [digest(1), digest(2), digest(1)], NOW) == 2
            await tx.batches.enqueue(3, [digest(1)], LATER)
            waiting = await tx.batches.waiting()
            assert (waiting.count, waiting.oldest) == (3, NOW)
            assert await tx.batches.waiting(2) == replace(waiting, count=2)
            assert await tx.batches.unanchored_of_key("zKey") == 3
            items = await tx.batches.load_waiting(2)
            assert [(item.kind, item.digest) for item in items] == [(1, digest(1)), (1, digest(2))]
            places = [
                ItemPlace(item.id, bytes([number]) * 32, 63 - number, (digest(7), digest(8)))
                for number, item in enumerate(items)
            ]
            batch = await tx.batches.seal(b"c" * 32, 64, b"r" * 32, places, NOW)
            assert batch.state is None
            assert (await tx.batches.waiting()).count == 1
            for wrong in (places, places[:1] * 2, []):
                with pytest.raises(Conflict, match="items that wait"):
                    await tx.batches.seal(b"d" * 32, 64, b"r" * 32, wrong, NOW)
            assert await tx.batches.unfinished() == (batch,)
        transaction = await final_transaction(store, 40)
        async with store.transaction() as tx:
            await tx.batches.attach(batch.id, transaction)
            await tx.batches.attach(batch.id, transaction)
            with pytest.raises(Conflict, match="is carried by transaction"):
                await tx.batches.attach(batch.id, transaction + 1)
            found = await tx.batches.find_place(1, digest(2))
            assert found is not None
            assert found.place == places[1]
            assert (found.batch.state, found.batch.block_number) == (TransactionState.FINAL, 40)
            assert await tx.batches.find_place(3, digest(1)) is None, "it waits"
            assert [one.place for one in await tx.batches.places(batch.id)] == places
            assert await tx.batches.unfinished() == ()
            assert await tx.batches.unanchored_of_key("zKey") == 1, "the third was never enqueued"
            assert await tx.batches.anchored_of_key("zKey", 40) == 2
            assert await tx.batches.anchored_of_key("zKey", 41) == 0
            (tally,) = await tx.batches.tallies()
            assert (tally.batch, tally.kinds) == (found.batch, {1: 2})
            with pytest.raises(NotFound):
                await tx.batches.attach(99, transaction)

    async def test_bundles_follow_final_batches(self, store: Store) -> None:
        await issue(store, 1, 2)
        transaction = await final_transaction(store, 40)
        async with store.transaction() as tx:
            await tx.batches.enqueue(1, [digest(1), digest(2)], NOW)
            items = await tx.batches.load_waiting(10)
            places = [ItemPlace(item.id, bytes(32), number, ()) for number, item in enumerate(items)]
            batch = await tx.batches.seal(b"c" * 32, 64, b"r" * 32, places, NOW)
            assert await tx.bundles.due(100) == ()
            await tx.batches.attach(batch.id, transaction)
            assert await tx.bundles.due(39) == (), "a header before the anchor proves nothing of it"
            assert await tx.bundles.due(100, limit=1) == (digest(1),)
            bundle = StoredBundle(digest(1), b'{"version":1}', 100, digest(100), NOW)
            await tx.bundles.save([bundle])
            assert await tx.bundles.due(100) == (digest(2),)
            await tx.bundles.save([replace(bundle, header_number=50, body=b"older")])
            assert await tx.bundles.load(digest(1)) == bundle
            await tx.bundles.save([replace(bundle, header_number=200, body=b"newer")])
            newest = await tx.bundles.load(digest(1))
            assert newest is not None
            assert newest.body == b"newer"
            assert await tx.bundles.load(digest(2)) is None
            assert await tx.bundles.due(4096) == (digest(1), digest(2))
            assert await tx.bundles.due(4096, step=200) == (digest(2),), "200 is one of the series"
            assert await tx.bundles.due(4096, step=4096) == (digest(1), digest(2))


def status_list(
    purpose: str = "revocation", mode: ListMode = ListMode.OR_ONLY, **changes: object
) -> StatusList:
    values = StatusList(
        list_id=purpose.encode().ljust(32, b"."),
        purpose=purpose,
        url=f"https://school.example/status/{purpose}",
        mode=mode,
        log2_entries=17,
        status_size=1,
        transaction_id=None,
        opened_block=None,
        is_open=False,
        allocated=0,
        created_at=NOW,
    )
    return replace(values, **changes)  # type: ignore[arg-type]


async def change(store: Store, credential_id: str, purpose: str, value: int) -> ChangeState:
    async with store.transaction() as tx:
        done = await tx.status_lists.change(
            credential_id, purpose, value, reason="because", requested_by="registrar", now=NOW
        )
    return done.state


class TestStatusLists:
    async def open(self, store: Store, *lists: StatusList) -> None:
        async with store.transaction() as tx:
            for one in lists:
                await tx.status_lists.add(one)
                await tx.status_lists.mark_open(one.list_id, 12)

    async def test_lists(self, store: Store) -> None:
        one = status_list()
        transaction = await final_transaction(store, 12)
        async with store.transaction() as tx:
            await tx.status_lists.add(one)
            await tx.status_lists.attach(one.list_id, transaction)
            with pytest.raises(Conflict, match="is not open"):
                await tx.status_lists.allocate(one.list_id, ["a"], random.randrange)
            await tx.status_lists.mark_open(one.list_id, 12)
            opened = replace(one, is_open=True, opened_block=12, transaction_id=transaction)
            assert await tx.status_lists.load(one.list_id) == opened
            assert await tx.status_lists.find_by_url(one.url) == opened
            assert await tx.status_lists.all("suspension") == ()
            assert await tx.status_lists.load_credential(one.list_id) is None
            published = ListCredential(b"{}", NOW, LATER)
            await tx.status_lists.save_credential(one.list_id, published)
            assert await tx.status_lists.load_credential(one.list_id) == published
            with pytest.raises(NotFound):
                await tx.status_lists.mark_open(bytes(32), 1)
        with pytest.raises(Conflict):
            async with store.transaction() as tx:
                await tx.status_lists.add(replace(one, list_id=bytes(32)))

    async def test_an_index_is_never_given_twice(self, store: Store) -> None:
        one = status_list(log2_entries=8)
        await self.open(store, one)
        names = [f"credential {number}" for number in range(128)]
        source = random.Random(7)  # noqa: S311 - the same run every time
        async with store.transaction() as tx:
            first = await tx.status_lists.allocate(one.list_id, names[:100], source.randrange)
            again = await tx.status_lists.allocate(one.list_id, names[50:], source.randrange)
            assert {name: again[name] for name in names[50:100]} == {n: first[n] for n in names[50:100]}
            assert len({*first.values(), *again.values()}) == 128
            known = await tx.status_lists.load(one.list_id)
            assert known is not None
            assert known.allocated == 128
            with pytest.raises(Conflict, match="half full"):
                await tx.status_lists.allocate(one.list_id, ["one more"], source.randrange)
            (entry,) = await tx.status_lists.indexes_of(names[0])
            assert (entry.index, entry.purpose) == (first[names[0]], "revocation")

    async def test_a_source_that_does_not_spread_is_noticed(self, store: Store) -> None:
        one = status_list()
        await self.open(store, one)
        async with store.transaction() as tx:
            assert await tx.status_lists.allocate(one.list_id, ["a"], lambda _: 7) == {"a": 7}
            with pytest.raises(Conflict, match="does not spread"):
                await tx.status_lists.allocate(one.list_id, ["b"], lambda _: 7)

    async def allocated(self, store: Store, one: StatusList, **indexes: int) -> None:
        await self.open(store, one)
        async with store.transaction() as tx:
            for credential_id, index in indexes.items():
                await tx.status_lists.allocate(one.list_id, [credential_id], lambda _, index=index: index)

    async def test_a_revocation_on_its_way(self, store: Store) -> None:
        one = status_list()
        await self.allocated(store, one, a=0, b=257, c=3)
        assert await change(store, "a", "revocation", 1) is ChangeState.ACCEPTED
        assert await change(store, "a", "revocation", 1) is ChangeState.ACCEPTED, "asked again, done once"
        await change(store, "b", "revocation", 1)
        transaction = await final_transaction(store, 30)
        async with store.transaction() as tx:
            assert len(await tx.status_lists.changes("a")) == 1
            words = await tx.status_lists.pending_words(one.list_id)
            assert [(word.word, word.desired) for word in words] == [
                (0, b"\x80" + bytes(31)),
                (1, b"\x40" + bytes(31)),
            ]
            assert len(await tx.status_lists.pending_words(one.list_id, limit=1)) == 1
            await tx.status_lists.mark_words_sent(one.list_id, [0, 1], transaction)
            assert await tx.status_lists.pending_words(one.list_id) == ()
            with pytest.raises(Conflict, match="under way"):
                await tx.status_lists.mark_words_sent(one.list_id, [1], transaction)
        # Accepted while the word is under way: it must not be taken for sent.
        await change(store, "c", "revocation", 1)
        async with store.transaction() as tx:
            await tx.status_lists.mark_words_effective(transaction)
            assert [one.state for one in await tx.status_lists.changes("a")] == [ChangeState.EFFECTIVE]
            assert [one.state for one in await tx.status_lists.changes("c")] == [ChangeState.ACCEPTED]
            (word,) = await tx.status_lists.pending_words(one.list_id)
            assert (word.current[0], word.desired[0]) == (0x80, 0x90)
            assert await tx.status_lists.effective_words(one.list_id) == {
                0: b"\x80" + bytes(31),
                1: b"\x40" + bytes(31),
            }
            bits = await tx.status_lists.bitstring(one.list_id)
            assert len(bits) == 16384
            assert (bits[0], bits[32], sum(bits)) == (0x90, 0x40, 0xD0)
            assert await tx.status_lists.value(one.list_id, 257) == 1
            assert await tx.status_lists.value(one.list_id, 9999) == 0
        with pytest.raises(Conflict, match="a revocation is never undone"):
            await change(store, "a", "revocation", 0)

    async def test_suspension_and_reinstatement(self, store: Store) -> None:
        one = status_list("suspension", ListMode.SETTABLE)
        await self.allocated(store, one, a=255, b=254)
        with pytest.raises(Conflict, match="is 0 from the beginning"):
            await change(store, "a", "suspension", 0)
        assert await change(store, "a", "suspension", 1) is ChangeState.ACCEPTED
        assert await change(store, "a", "suspension", 0) is ChangeState.EFFECTIVE, "nothing is left to send"
        async with store.reading() as tx:
            assert await tx.status_lists.pending_words(one.list_id) == ()
            changes = await tx.status_lists.changes("a")
        assert [one.state for one in changes] == [ChangeState.EFFECTIVE] * 2
        assert [(one.value, one.reason, one.requested_by) for one in changes] == [
            (1, "because", "registrar"),
            (0, "because", "registrar"),
        ]
        await change(store, "b", "suspension", 1)
        transaction = await final_transaction(store, 30)
        async with store.transaction() as tx:
            await tx.status_lists.mark_words_sent(one.list_id, [0], transaction)
        await change(store, "b", "suspension", 0)
        async with store.transaction() as tx:
            await tx.status_lists.mark_words_effective(transaction)
            (word,) = await tx.status_lists.pending_words(one.list_id)
            assert (word.current[-1], word.desired[-1]) == (2, 0)

    async def test_wider_entries(self, store: Store) -> None:
        one = status_list("message", ListMode.SETTABLE, status_size=4)
        await self.allocated(store, one, a=65)
        with pytest.raises(Conflict, match="no value 16"):
            await change(store, "a", "message", 16)
        await change(store, "a", "message", 0xA)
        await change(store, "a", "message", 0x5)
        async with store.reading() as tx:
            bits = await tx.status_lists.bitstring(one.list_id)
            assert await tx.status_lists.value(one.list_id, 65) == 5
        assert (len(bits), bits[32]) == (65536, 0x05)

    async def test_a_list_without_a_chain(self, store: Store) -> None:
        one = status_list(mode=ListMode.PUBLISHED)
        await self.allocated(store, one, a=1)
        await change(store, "a", "revocation", 1)
        async with store.transaction() as tx:
            await tx.status_lists.mark_published(one.list_id)
            assert [one.state for one in await tx.status_lists.changes("a")] == [ChangeState.EFFECTIVE]
            assert await tx.status_lists.pending_words(one.list_id) == ()
        with pytest.raises(Conflict, match="never undone"):
            await change(store, "a", "revocation", 0)
        await self.open(store, status_list("refresh"))
        async with store.transaction() as tx:
            with pytest.raises(Conflict, match="by a transaction"):
                await tx.status_lists.mark_published(status_list("refresh").list_id)

    async def test_no_entry_no_change(self, store: Store) -> None:
        await self.allocated(store, status_list(), a=1)
        for credential_id, purpose in (("b", "revocation"), ("a", "suspension")):
            with pytest.raises(NotFound, match="no status entry"):
                await change(store, credential_id, purpose, 1)


def offer(number: int = 1, **changes: object) -> Offer:
    values = Offer(
        id=f"offer-{number}",
        credential_id="urn:uuid:0001",
        configuration_id="badge_ldp",
        code_hash=digest(number),
        tx_code_hash=None,
        tx_code_failures=0,
        state=OfferState.OPEN,
        created_at=NOW,
        expires_at=LATER,
    )
    return replace(values, **changes)  # type: ignore[arg-type]


class TestOffers:
    async def test_a_code_works_once(self, store: Store) -> None:
        await issue(store, 1)
        async with store.transaction() as tx:
            await tx.offers.add([offer()])
            with pytest.raises(Conflict, match="not redeemed"):
                await tx.offers.mark_claimed("offer-1")
            assert await tx.offers.redeem(digest(9), None, NOW) == (Redemption.UNKNOWN, None)
            outcome, redeemed = await tx.offers.redeem(digest(1), None, NOW)
            assert outcome is Redemption.REDEEMED
            assert redeemed == offer(state=OfferState.REDEEMED) == await tx.offers.load("offer-1")
            assert (await tx.offers.redeem(digest(1), None, NOW))[0] is Redemption.USED
            await tx.offers.mark_claimed("offer-1")
            await tx.offers.mark_claimed("offer-1")
            with pytest.raises(Conflict, match="was claimed"):
                await tx.offers.withdraw("offer-1")
            assert [one.id for one in await tx.offers.of_credential("urn:uuid:0001")] == ["offer-1"]
            many = await tx.offers.of_credentials(["urn:uuid:0001", "urn:uuid:0009"])
            assert [one.id for one in many["urn:uuid:0001"]] == ["offer-1"]
            assert list(await tx.credentials.load_many(["urn:uuid:0001", "urn:uuid:0009"])) == list(many)
            with pytest.raises(NotFound):
                await tx.offers.mark_claimed("offer-9")

    async def test_refusals(self, store: Store) -> None:
        await issue(store, 1)
        async with store.transaction() as tx:
            await tx.offers.add([offer(), offer(2, tx_code_hash=digest(77)), offer(3)])
            await tx.offers.withdraw("offer-3")
            rows = [
                (1, None, LATER, Redemption.EXPIRED),
                (1, digest(5), NOW, Redemption.TX_CODE_NOT_EXPECTED),
                (2, None, NOW, Redemption.TX_CODE_MISSING),
                (3, None, NOW, Redemption.USED),
            ]
            for number, tx_code, now, expected in rows:
                assert (await tx.offers.redeem(digest(number), tx_code, now))[0] is expected

    async def test_guessing_a_tx_code_burns_the_offer(self, store: Store) -> None:
        await issue(store, 1)
        async with store.transaction() as tx:
            await tx.offers.add([offer(tx_code_hash=digest(77)), offer(2, tx_code_hash=digest(77))])
        for _ in range(3):
            async with store.transaction() as tx:
                wrong = await tx.offers.redeem(digest(1), digest(5), NOW, max_failures=3)
                assert wrong[0] is Redemption.TX_CODE_WRONG
        async with store.transaction() as tx:
            assert (await tx.offers.redeem(digest(1), digest(77), NOW))[0] is Redemption.USED
            burned = await tx.offers.load("offer-1")
            assert burned is not None
            assert (burned.state, burned.tx_code_failures) == (OfferState.BURNED, 3)
            assert (await tx.offers.redeem(digest(2), digest(77), NOW))[0] is Redemption.REDEEMED

    async def test_deliveries(self, store: Store) -> None:
        await issue(store, 1)
        async with store.transaction() as tx:
            await tx.offers.add([offer()])
            await tx.offers.redeem(digest(1), None, NOW)
            await tx.deliveries.grant(digest(50), "offer-1", LATER)
            token = AccessToken(digest(50), "offer-1", "urn:uuid:0001", "badge_ldp", LATER)
            assert await tx.deliveries.find_token(digest(50), NOW) == token
            assert await tx.deliveries.find_token(digest(50), LATER) is None
            await tx.deliveries.defer(digest(60), "offer-1", NOW)
            deferred = await tx.deliveries.find_deferred(digest(60))
            assert deferred is not None
            assert (deferred.credential_id, deferred.delivered_at) == ("urn:uuid:0001", None)
            assert await tx.deliveries.mark_delivered(digest(60), LATER)
            assert not await tx.deliveries.mark_delivered(digest(60), LATER)
            assert not await tx.deliveries.mark_delivered(digest(61), LATER)
            await tx.deliveries.expect_notification(digest(70), "offer-1")
            for event in ("credential_failure", "credential_accepted"):
                assert await tx.deliveries.record_notification(digest(70), event, "text", NOW)
            assert not await tx.deliveries.record_notification(digest(71), "credential_deleted", None, NOW)
            (notice,) = await tx.deliveries.notifications("urn:uuid:0001")
            assert (notice.event, notice.received_at) == ("credential_accepted", NOW)
            await tx.offers.withdraw("offer-1")
            assert await tx.deliveries.find_token(digest(50), NOW) is None
            assert await tx.deliveries.purge(NOW) == 0
            assert await tx.deliveries.purge(LATER) == 1


class TestSingleUse:
    async def test_all_but_the_newest_nonces_are_forgotten(self, store: Store) -> None:
        async with store.transaction() as tx:
            for number in range(6):
                await tx.nonces.add(NoncePurpose.C_NONCE, digest(number), LATER + timedelta(seconds=number))
            await tx.nonces.add(NoncePurpose.CHALLENGE, digest(0), LATER)
            assert await tx.nonces.trim(NoncePurpose.C_NONCE, 6) == 0
            assert await tx.nonces.trim(NoncePurpose.C_NONCE, 2) == 4
            assert await tx.nonces.use(NoncePurpose.C_NONCE, digest(3), NOW) is NonceUse.UNKNOWN
            assert await tx.nonces.use(NoncePurpose.C_NONCE, digest(4), NOW) is NonceUse.FRESH
            assert await tx.nonces.use(NoncePurpose.CHALLENGE, digest(0), NOW) is NonceUse.FRESH

    async def test_nonces(self, store: Store) -> None:
        async with store.transaction() as tx:
            await tx.nonces.add(NoncePurpose.CHALLENGE, digest(1), LATER)
            await tx.nonces.add(NoncePurpose.CHALLENGE, digest(2), LATER)
            assert await tx.nonces.count(NoncePurpose.CHALLENGE, NOW) == 2
            assert await tx.nonces.count(NoncePurpose.CHALLENGE, LATER) == 0
            assert await tx.nonces.use(NoncePurpose.C_NONCE, digest(1), NOW) is NonceUse.UNKNOWN
            assert await tx.nonces.use(NoncePurpose.CHALLENGE, digest(1), NOW) is NonceUse.FRESH
            assert await tx.nonces.use(NoncePurpose.CHALLENGE, digest(1), NOW) is NonceUse.USED
            assert await tx.nonces.use(NoncePurpose.CHALLENGE, digest(1), LATER) is NonceUse.USED
            assert await tx.nonces.use(NoncePurpose.CHALLENGE, digest(2), LATER) is NonceUse.EXPIRED
            assert await tx.nonces.count(NoncePurpose.CHALLENGE, NOW) == 1
            assert await tx.nonces.purge(LATER) == 0
            assert await tx.nonces.purge(LATER + timedelta(seconds=1)) == 2

    async def test_of_many_answers_to_a_challenge_one_is_first(self, store: Store) -> None:
        async with store.transaction() as tx:
            await tx.nonces.add(NoncePurpose.CHALLENGE, digest(1), LATER)

        async def use() -> NonceUse:
            async with store.transaction() as tx:
                return await tx.nonces.use(NoncePurpose.CHALLENGE, digest(1), NOW)

        uses = await asyncio.gather(*(use() for _ in range(10)))
        assert sorted(uses) == [NonceUse.FRESH] + [NonceUse.USED] * 9

    async def test_presentation_requests(self, store: Store) -> None:
        request = PresentationRequest(
            digest(1), digest(2), "nonce", b"{}", NOW, LATER, None, None, None, None
        )
        late = replace(request, id_hash=digest(3), state_hash=digest(4))
        async with store.transaction() as tx:
            await tx.presentation_requests.add(request)
            await tx.presentation_requests.add(late)
            assert await tx.presentation_requests.load(digest(1)) == request
            assert await tx.presentation_requests.count(NOW) == 2
            with pytest.raises(Conflict, match="after it was taken"):
                await tx.presentation_requests.record_report(digest(1), b"{}", None, NOW)
            assert await tx.presentation_requests.take(digest(9), NOW) == (NonceUse.UNKNOWN, None)
            assert (await tx.presentation_requests.take(digest(4), LATER))[0] is NonceUse.EXPIRED
            assert (await tx.presentation_requests.take(digest(2), NOW))[0] is NonceUse.FRESH
            assert (await tx.presentation_requests.take(digest(2), NOW))[0] is NonceUse.USED
            await tx.presentation_requests.record_report(digest(1), b'{"verified":true}', digest(8), LATER)
            with pytest.raises(Conflict, match="answered once"):
                await tx.presentation_requests.record_report(digest(1), b"{}", None, LATER)
            with pytest.raises(NotFound):
                await tx.presentation_requests.record_report(digest(7), b"{}", None, LATER)
            answered = await tx.presentation_requests.find_by_state(digest(2))
            assert answered is not None
            assert (answered.report, answered.response_code_hash) == (b'{"verified":true}', digest(8))
            assert await tx.presentation_requests.count(NOW) == 1
            assert await tx.presentation_requests.purge(LATER + timedelta(days=1)) == 2
