"""The replica of a follower: the words of each chain's registry, and the writes by which to go back some blocks.

A word stands under the Keccak-256 of its slot, as in the chain's own trie, so that the parts of the trie that a write
falls into are neighbours here. Words are 32 bytes, big-endian; those that are zero are not kept.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, fields
from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Integer,
    LargeBinary,
    Table,
    Text,
    delete,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from node.storage.protocols.verifier import ReplicaHead, ReplicaHeader, ReplicaIdentity, ReplicaWrite
from node.storage.schema import chunks, execute_many, load_record, metadata, record

heads_table: Final = Table(
    "replica_heads",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("genesis", LargeBinary, nullable=False),
    Column("registry", LargeBinary, nullable=False),
    Column("followed", BigInteger, nullable=False),
    Column("proven", BigInteger),
    Column("fault", Text),
)
headers_table: Final = Table(
    "replica_headers",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary, nullable=False),
    Column("raw", LargeBinary, nullable=False),
    Column("source", Text, nullable=False),
    Column("strength", Integer, nullable=False),
    Column("is_whole", Boolean, nullable=False),
    Column("is_sound", Boolean, nullable=False),
)
words_table: Final = Table(
    "replica_words",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("path", LargeBinary, primary_key=True),
    Column("word", LargeBinary, nullable=False),
)
writes_table: Final = Table(
    "replica_writes",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("path", LargeBinary, primary_key=True),
    Column("block_number", BigInteger, primary_key=True, autoincrement=False, index=True),
    Column("slot", LargeBinary, nullable=False),
    Column("identity", LargeBinary, nullable=False),
    Column("before", LargeBinary, nullable=False),
)
identities_table: Final = Table(
    "replica_identities",
    metadata,
    Column("chain_id", BigInteger, primary_key=True, autoincrement=False),
    Column("identity", LargeBinary, primary_key=True),
    Column("proven", BigInteger),
    Column("fault", Text),
    Column("wants_history", Boolean, nullable=False),
    Column("history", LargeBinary),
    Column("history_number", BigInteger),
    Column("history_agreed", Boolean, nullable=False),
)
_head: Final = heads_table.c
_header: Final = headers_table.c
_word: Final = words_table.c
_write: Final = writes_table.c
_identity: Final = identities_table.c
_HEADER: Final = [_header[field.name] for field in fields(ReplicaHeader)]
_IDENTITY: Final = [_identity[field.name] for field in fields(ReplicaIdentity)]
_NO_HISTORY: Final = {"history": None, "history_number": None, "history_agreed": False}
_PATH_DIGITS: Final = 64
# Beyond as many parts it is quicker to read all.
_MAX_PARTS: Final = 200


class SqlReplica:
    """`protocols.Replica`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def head(self, chain_id: int) -> ReplicaHead | None:
        """How far it goes; None where the chain is not followed."""
        query = select(heads_table).where(_head.chain_id == chain_id)
        return await load_record(self._connection, query, ReplicaHead)

    async def save_head(self, head: ReplicaHead) -> None:
        """Record how far it goes."""
        await self._connection.execute(delete(heads_table).where(_head.chain_id == head.chain_id))
        await self._connection.execute(insert(heads_table).values(**asdict(head)))

    async def forget(self, chain_id: int) -> None:
        """Everything of a chain but whom it knew or was asked for."""
        for table in (heads_table, headers_table, words_table, writes_table):
            await self._connection.execute(delete(table).where(table.c.chain_id == chain_id))
        await self._connection.execute(
            update(identities_table)
            .where(_identity.chain_id == chain_id)
            .values(**_NO_HISTORY, proven=None, fault=None)
        )

    async def headers(self, chain_id: int, limit: int) -> list[ReplicaHeader]:
        """The newest headers, the newest first."""
        query = (
            select(*_HEADER).where(_header.chain_id == chain_id).order_by(_header.number.desc()).limit(limit)
        )
        return [record(ReplicaHeader, row) for row in await self._connection.execute(query)]

    async def headers_at(self, chain_id: int, heights: Collection[int]) -> list[ReplicaHeader]:
        """Those of some heights that are kept."""
        query = select(*_HEADER).where(_header.chain_id == chain_id, _header.number.in_(heights))
        return [record(ReplicaHeader, row) for row in await self._connection.execute(query)]

    async def header_by_hash(self, chain_id: int, block_hash: bytes) -> ReplicaHeader | None:
        """The header with a hash, if it is kept."""
        query = select(*_HEADER).where(_header.chain_id == chain_id, _header.hash == block_hash)
        return await load_record(self._connection, query, ReplicaHeader)

    async def save_header(self, chain_id: int, header: ReplicaHeader) -> None:
        """Record a header, in the place of one of the same number."""
        where = (_header.chain_id == chain_id, _header.number == header.number)
        await self._connection.execute(delete(headers_table).where(*where))
        await self._connection.execute(insert(headers_table).values(chain_id=chain_id, **asdict(header)))

    async def words(
        self, chain_id: int, paths: Sequence[bytes], at_block: int | None = None
    ) -> dict[bytes, int]:
        """What stands under each path, now or after the block `at_block`; those that are zero are left out."""
        found: dict[bytes, int] = {}
        for some in chunks(paths):
            query = select(_word.path, _word.word).where(_word.chain_id == chain_id, _word.path.in_(some))
            found |= {row.path: _integer(row.word) for row in await self._connection.execute(query)}
            if at_block is not None:
                later = (
                    select(_write.path, _write.before)
                    .where(_write.chain_id == chain_id, _write.path.in_(some), _write.block_number > at_block)
                    .order_by(_write.block_number.desc())
                )
                found |= {row.path: _integer(row.before) for row in await self._connection.execute(later)}
        return {path: word for path, word in found.items() if word}

    async def parts(self, chain_id: int, prefixes: Collection[str] | None) -> list[tuple[str, int]]:
        """All words by their path in hex, in its order; or those alone whose path begins with one of `prefixes`."""
        query = select(_word.path, _word.word).where(_word.chain_id == chain_id).order_by(_word.path)
        if prefixes is None or len(prefixes) > _MAX_PARTS:
            rows = [(row.path.hex(), _integer(row.word)) for row in await self._connection.execute(query)]
            wanted = None if prefixes is None else frozenset(prefixes)
            length = len(next(iter(prefixes))) if prefixes else 0
            return [row for row in rows if wanted is None or row[0][:length] in wanted]
        if not prefixes:
            return []
        ranges = [_word.path.between(_filled(prefix, "0"), _filled(prefix, "f")) for prefix in prefixes]
        found = await self._connection.execute(query.where(or_(*ranges)))
        return [(row.path.hex(), _integer(row.word)) for row in found]

    async def write(self, chain_id: int, writes: Sequence[ReplicaWrite]) -> None:
        """Change words; what they were before is kept."""
        after = {one.path: one.after for one in sorted(writes, key=lambda one: one.block_number)}
        for some in chunks(list(after)):
            where = (_word.chain_id == chain_id, _word.path.in_(some))
            await self._connection.execute(delete(words_table).where(*where))
        rows = ((chain_id, path, _bytes(word)) for path, word in after.items() if word)
        await execute_many(self._connection, insert(words_table), ("chain_id", "path", "word"), rows)
        names = ("chain_id", "path", "block_number", "slot", "identity", "before")
        journal = (
            (chain_id, one.path, one.block_number, one.slot, one.identity, _bytes(one.before))
            for one in writes
        )
        await execute_many(self._connection, insert(writes_table), names, journal)

    async def writes_after(self, chain_id: int, block_number: int) -> list[tuple[bytes, bytes]]:
        """Identity and slot of every write after a block."""
        query = (
            select(_write.identity, _write.slot)
            .where(_write.chain_id == chain_id, _write.block_number > block_number)
            .distinct()
        )
        return [(row.identity, row.slot) for row in await self._connection.execute(query)]

    async def undo(self, chain_id: int, to_block: int) -> list[bytes]:
        """Take back all words, headers and histories after a block; the paths of the words."""
        after = (_write.chain_id == chain_id, _write.block_number > to_block)
        query = select(_write.path, _write.before).where(*after).order_by(_write.block_number.desc())
        # The oldest write of each comes last, and what was before it stays.
        before = {row.path: row.before for row in await self._connection.execute(query)}
        for some in chunks(list(before)):
            where = (_word.chain_id == chain_id, _word.path.in_(some))
            await self._connection.execute(delete(words_table).where(*where))
        rows = ((chain_id, path, word) for path, word in before.items() if any(word))
        await execute_many(self._connection, insert(words_table), ("chain_id", "path", "word"), rows)
        await self._connection.execute(delete(writes_table).where(*after))
        newer = (_header.chain_id == chain_id, _header.number > to_block)
        await self._connection.execute(delete(headers_table).where(*newer))
        read_later = (_identity.chain_id == chain_id, _identity.history_number > to_block)
        await self._connection.execute(update(identities_table).where(*read_later).values(**_NO_HISTORY))
        return list(before)

    async def prune(self, chain_id: int, before_block: int) -> None:
        """Forget how to go back further than to a block."""
        old = (_write.chain_id == chain_id, _write.block_number <= before_block)
        await self._connection.execute(delete(writes_table).where(*old))
        older = (_header.chain_id == chain_id, _header.number < before_block)
        await self._connection.execute(delete(headers_table).where(*older))

    async def identities(
        self, chain_id: int, identities: Sequence[bytes] | None = None
    ) -> list[ReplicaIdentity]:
        """Those asked for, or all."""
        query = select(*_IDENTITY).where(_identity.chain_id == chain_id)
        if identities is None:
            return [record(ReplicaIdentity, row) for row in await self._connection.execute(query)]
        found = []
        for some in chunks(identities):
            rows = await self._connection.execute(query.where(_identity.identity.in_(some)))
            found += [record(ReplicaIdentity, row) for row in rows]
        return found

    async def identities_with_history(self, chain_id: int) -> list[ReplicaIdentity]:
        """Those whose document somebody asked for."""
        query = select(*_IDENTITY).where(_identity.chain_id == chain_id, _identity.wants_history)
        return [record(ReplicaIdentity, row) for row in await self._connection.execute(query)]

    async def count_identities(self, chain_id: int) -> int:
        """How many there are."""
        query = select(func.count()).where(_identity.chain_id == chain_id)
        return (await self._connection.execute(query)).scalar_one()

    async def save_identities(self, chain_id: int, identities: Sequence[ReplicaIdentity]) -> None:
        """Record them, in the place of what was recorded."""
        for some in chunks(identities):
            names = [one.identity for one in some]
            where = (_identity.chain_id == chain_id, _identity.identity.in_(names))
            await self._connection.execute(delete(identities_table).where(*where))
            columns = [field.name for field in fields(ReplicaIdentity)]
            rows = ((chain_id, *(getattr(one, name) for name in columns)) for one in some)
            await execute_many(self._connection, insert(identities_table), ("chain_id", *columns), rows)


def _filled(prefix: str, digit: str) -> bytes:
    return bytes.fromhex(prefix.ljust(_PATH_DIGITS, digit))


def _integer(word: bytes) -> int:
    return int.from_bytes(word, "big")


def _bytes(word: int) -> bytes:
    return word.to_bytes(32, "big")
