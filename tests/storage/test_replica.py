"""The replica of a follower, alike on both databases."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.core.evm.keccak import keccak256
from node.storage.database import Database
from node.storage.protocols.verifier import ReplicaHead, ReplicaHeader, ReplicaIdentity, ReplicaWrite

CHAIN, OTHER = 1, 2**53 - 1
SCHOOL = bytes(range(20))
HEAD = ReplicaHead(CHAIN, bytes(32), bytes(20), 10, None, None)
HEADER = ReplicaHeader(10, b"a" * 32, b"raw", "an endpoint", 1, True, True)
SLOTS = [bytes([n]) * 32 for n in range(4)]
PATHS = [keccak256(slot) for slot in SLOTS]


def write(block: int, which: int, before: int, after: int) -> ReplicaWrite:
    return ReplicaWrite(block, SLOTS[which], PATHS[which], SCHOOL, before, after)


@pytest.fixture
async def three_blocks(store: Database) -> Database:
    """Of block 10, 11 and 12, with another chain beside."""
    async with store.transaction() as tx:
        await tx.replica.write(CHAIN, [write(10, 0, 0, 1), write(10, 1, 0, 2**256 - 1)])
        await tx.replica.write(CHAIN, [write(11, 0, 1, 2), write(12, 0, 2, 0), write(12, 2, 0, 7)])
        await tx.replica.write(OTHER, [write(10, 0, 0, 99)])
        for number in (9, 10, 11, 12):
            header = replace(HEADER, number=number, hash=bytes([number]) * 32)
            await tx.replica.save_header(CHAIN, header)
    return store


class TestReplica:
    async def test_words_are_those_after_the_last_block_or_an_earlier_one(
        self, three_blocks: Database
    ) -> None:
        async with three_blocks.reading() as tx:
            now = await tx.replica.words(CHAIN, PATHS)
            at_11 = await tx.replica.words(CHAIN, PATHS, 11)
            at_10 = await tx.replica.words(CHAIN, PATHS, 10)
            at_9 = await tx.replica.words(CHAIN, PATHS, 9)
        assert now == {PATHS[1]: 2**256 - 1, PATHS[2]: 7}
        assert at_11 == {PATHS[0]: 2, PATHS[1]: 2**256 - 1}
        assert at_10 == {PATHS[0]: 1, PATHS[1]: 2**256 - 1}
        assert at_9 == {}

    async def test_blocks_are_taken_back(self, three_blocks: Database) -> None:
        async with three_blocks.transaction() as tx:
            assert set(await tx.replica.undo(CHAIN, 10)) == {PATHS[0], PATHS[2]}
            assert await tx.replica.words(CHAIN, PATHS) == {PATHS[0]: 1, PATHS[1]: 2**256 - 1}
            assert [header.number for header in await tx.replica.headers(CHAIN, 5)] == [10, 9]
            assert await tx.replica.writes_after(CHAIN, 10) == []
            await tx.replica.write(CHAIN, [write(11, 0, 1, 5)])
            assert await tx.replica.words(CHAIN, PATHS[:1]) == {PATHS[0]: 5}
            assert await tx.replica.words(OTHER, PATHS) == {PATHS[0]: 99}

    async def test_histories_are_taken_back_with_their_blocks(self, three_blocks: Database) -> None:
        kept = ReplicaIdentity(SCHOOL, 12, None, True, b"[1]", history_number=10, history_agreed=True)
        gone = replace(kept, identity=bytes(20), history_number=11)
        async with three_blocks.transaction() as tx:
            for chain in (CHAIN, OTHER):
                await tx.replica.save_identities(chain, [kept, gone])
            await tx.replica.undo(CHAIN, 10)
            nothing = replace(gone, history=None, history_number=None, history_agreed=False)
            found = {one.identity: one for one in await tx.replica.identities(CHAIN, [SCHOOL, bytes(20)])}
            assert found == {SCHOOL: kept, bytes(20): nothing}
            assert await tx.replica.identities(OTHER, [bytes(20)]) == [gone]

    async def test_parts_are_the_words_below_a_prefix(self, three_blocks: Database) -> None:
        async with three_blocks.reading() as tx:
            everything = await tx.replica.parts(CHAIN, None)
            one = await tx.replica.parts(CHAIN, [PATHS[2].hex()[:3]])
            many = await tx.replica.parts(CHAIN, [f"{n:03x}" for n in range(4096)])
            none = await tx.replica.parts(CHAIN, [])
        assert everything == many == sorted([(PATHS[1].hex(), 2**256 - 1), (PATHS[2].hex(), 7)])
        assert one == [(PATHS[2].hex(), 7)]
        assert none == []

    async def test_what_is_pruned_can_no_longer_be_taken_back(self, three_blocks: Database) -> None:
        async with three_blocks.transaction() as tx:
            await tx.replica.prune(CHAIN, 11)
            assert [header.number for header in await tx.replica.headers(CHAIN, 5)] == [12, 11]
            assert await tx.replica.words(CHAIN, PATHS) == {PATHS[1]: 2**256 - 1, PATHS[2]: 7}
            assert {slot for _, slot in await tx.replica.writes_after(CHAIN, 0)} == {SLOTS[0], SLOTS[2]}

    async def test_heads_and_headers_are_replaced(self, store: Database) -> None:
        async with store.transaction() as tx:
            assert await tx.replica.head(CHAIN) is None
            await tx.replica.save_head(HEAD)
            await tx.replica.save_head(replace(HEAD, proven=10))
            assert await tx.replica.head(CHAIN) == replace(HEAD, proven=10)
            await tx.replica.save_header(CHAIN, HEADER)
            await tx.replica.save_header(CHAIN, replace(HEADER, hash=b"b" * 32))
            assert await tx.replica.header_by_hash(CHAIN, HEADER.hash) is None
            assert await tx.replica.header_by_hash(CHAIN, b"b" * 32) == replace(HEADER, hash=b"b" * 32)

    async def test_a_chain_is_forgotten_but_for_the_names_of_identities(self, three_blocks: Database) -> None:
        asked = ReplicaIdentity(bytes(20), 4, "gap", wants_history=True, history=b"[]", history_number=4)
        async with three_blocks.transaction() as tx:
            await tx.replica.save_head(HEAD)
            await tx.replica.save_identities(CHAIN, [asked, ReplicaIdentity(SCHOOL)])
            assert await tx.replica.count_identities(CHAIN) == 2
            assert await tx.replica.identities(CHAIN, [SCHOOL]) == [ReplicaIdentity(SCHOOL)]
            assert await tx.replica.identities_with_history(CHAIN) == [asked]
            await tx.replica.forget(CHAIN)
            assert await tx.replica.head(CHAIN) is None
            assert await tx.replica.words(CHAIN, PATHS) == {}
            assert await tx.replica.headers(CHAIN, 5) == []
            names = [ReplicaIdentity(bytes(20), wants_history=True), ReplicaIdentity(SCHOOL)]
            assert sorted(await tx.replica.identities(CHAIN), key=lambda one: one.identity) == names
            assert await tx.replica.words(OTHER, PATHS) == {PATHS[0]: 99}
