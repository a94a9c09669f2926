"""Status lists, the indexes given out, and the words that carry what was decided (FORMATS.md sections 6
and 11).

A word is kept three times: as the chain has it, as it was last sent, and as it shall be. A change is
accepted by setting the last one; whatever then happens to transactions, the difference says what is still
to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    and_,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from node.core.errors import Conflict, NotFound
from node.storage.outbox import outbox_table
from node.storage.protocols.status_lists import (
    ChangeState,
    ListCredential,
    ListMode,
    StatusChange,
    StatusIndex,
    StatusList,
    StatusWord,
)
from node.storage.schema import (
    AnyRow,
    Choice,
    Instant,
    Serial,
    chunks,
    execute_many,
    load_record,
    metadata,
    record,
    serial_column,
)

WORD_BITS: Final = 256
_EMPTY: Final = bytes(WORD_BITS // 8)
# Purposes whose bits never return to 0 (Bitstring Status List section 2.1), whatever the list's mode.
_IRREVERSIBLE: Final = frozenset({"revocation", "refresh"})
# At half load a draw is taken twice on average; a hundred rounds in a row do not happen to a sound generator.
_MAX_ROUNDS: Final = 100

lists_table: Final = Table(
    "status_lists",
    metadata,
    Column("list_id", LargeBinary, primary_key=True),
    Column("purpose", String(64), nullable=False),
    # One bitstring is published at a URL, so one purpose has it.
    Column("url", Text, nullable=False, unique=True),
    Column("mode", Choice(ListMode), nullable=False),
    Column("log2_entries", Integer, nullable=False),
    Column("status_size", Integer, nullable=False),
    Column("transaction_id", Serial, ForeignKey(outbox_table.c.id)),
    Column("opened_block", BigInteger),
    Column("is_open", Boolean, nullable=False),
    Column("allocated", Integer, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("document", LargeBinary),
    Column("signed_at", Instant),
    Column("valid_until", Instant),
)
_l: Final = lists_table.c
_LIST: Final = [column for column in _l if column.name not in ("document", "signed_at", "valid_until")]

indexes_table: Final = Table(
    "status_indexes",
    metadata,
    Column("list_id", LargeBinary, ForeignKey(_l.list_id), primary_key=True),
    Column("index", Integer, primary_key=True, autoincrement=False),
    # No foreign key: an index stays taken even if its credential never comes to be.
    Column("credential_id", Text, nullable=False),
    UniqueConstraint("list_id", "credential_id"),
    Index(None, "credential_id"),
)
_i: Final = indexes_table.c

words_table: Final = Table(
    "status_words",
    metadata,
    Column("list_id", LargeBinary, ForeignKey(_l.list_id), primary_key=True),
    Column("word", Integer, primary_key=True, autoincrement=False),
    Column("current", LargeBinary, nullable=False),
    Column("desired", LargeBinary, nullable=False),
    Column("sent", LargeBinary),
    Column("transaction_id", Serial, ForeignKey(outbox_table.c.id), index=True),
)
_w: Final = words_table.c

changes_table: Final = Table(
    "status_changes",
    metadata,
    serial_column(),
    Column("credential_id", Text, nullable=False, index=True),
    Column("list_id", LargeBinary, ForeignKey(_l.list_id), nullable=False),
    Column("purpose", String(64), nullable=False),
    Column("index", Integer, nullable=False),
    Column("word", Integer, nullable=False),
    Column("value", Integer, nullable=False),
    Column("reason", Text, nullable=False),
    Column("requested_by", Text, nullable=False),
    Column("requested_at", Instant, nullable=False),
    Column("state", Choice(ChangeState), nullable=False),
    Column("transaction_id", Serial, ForeignKey(outbox_table.c.id), index=True),
    Index(None, "list_id", "word"),
)
_h: Final = changes_table.c
_CHANGE: Final = [column for column in _h if column.name != "word"]


class SqlStatusLists:
    """`protocols.StatusLists`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    # --- lists

    async def add(self, status_list: StatusList) -> None:
        """Record a list before it is opened."""
        await self._connection.execute(insert(lists_table).values(**asdict(status_list)))

    async def load(self, list_id: bytes) -> StatusList | None:
        """One list."""
        return await self._one(select(*_LIST).where(_l.list_id == list_id))

    async def find_by_url(self, url: str) -> StatusList | None:
        """The list that is published at a URL."""
        return await self._one(select(*_LIST).where(_l.url == url))

    async def all(self, purpose: str | None = None) -> tuple[StatusList, ...]:
        """All lists, or those of a purpose, oldest first."""
        query = select(*_LIST).order_by(_l.created_at, _l.list_id)
        if purpose is not None:
            query = query.where(_l.purpose == purpose)
        return tuple(record(StatusList, row) for row in await self._connection.execute(query))

    async def attach(self, list_id: bytes, transaction_id: int) -> None:
        """Name the transaction that opens the list."""
        await self._known(list_id)
        statement = update(lists_table).where(_l.list_id == list_id)
        await self._connection.execute(statement.values(transaction_id=transaction_id))

    async def mark_open(self, list_id: bytes, block_number: int | None) -> None:
        """The list is open: on chain since a final block, or without a chain (None)."""
        await self._known(list_id)
        statement = update(lists_table).where(_l.list_id == list_id)
        await self._connection.execute(statement.values(is_open=True, opened_block=block_number))

    # --- indexes

    async def allocate(
        self, list_id: bytes, credential_ids: Sequence[str], draw: Callable[[int], int]
    ) -> Mapping[str, int]:
        """Give each credential a random index never given before; one that has an index keeps it."""
        status_list = await self._known(list_id)
        if not status_list.is_open:
            raise Conflict(f"the list {status_list.url} is not open: no index is given out before")
        given: dict[str, int] = {}
        for some in chunks(credential_ids):
            query = select(_i.credential_id, _i.index).where(
                _i.list_id == list_id, _i.credential_id.in_(some)
            )
            given.update({row.credential_id: row.index for row in await self._connection.execute(query)})
        new = [one for one in dict.fromkeys(credential_ids) if one not in given]
        capacity = 1 << status_list.log2_entries
        if (status_list.allocated + len(new)) * 2 > capacity:
            raise Conflict(f"the list {status_list.url} is half full: open another")
        drawn = await self._draw(list_id, len(new), capacity, draw)
        fresh = dict(zip(new, drawn, strict=True))
        for part in chunks(new):
            rows = [(list_id, fresh[one], one) for one in part]
            names = ("list_id", "index", "credential_id")
            await execute_many(self._connection, insert(indexes_table), names, rows)
        statement = update(lists_table).where(_l.list_id == list_id)
        await self._connection.execute(statement.values(allocated=status_list.allocated + len(new)))
        return given | fresh

    async def _draw(
        self, list_id: bytes, number: int, capacity: int, draw: Callable[[int], int]
    ) -> Sequence[int]:
        chosen: dict[int, None] = {}
        for _ in range(_MAX_ROUNDS):
            if len(chosen) == number:
                return list(chosen)
            fresh = dict.fromkeys(draw(capacity) for _ in range(number - len(chosen)))
            for some in chunks([index for index in fresh if index not in chosen]):
                query = select(_i.index).where(_i.list_id == list_id, _i.index.in_(some))
                taken = set((await self._connection.execute(query)).scalars())
                chosen.update(dict.fromkeys(index for index in some if index not in taken))
        raise Conflict("no free index was drawn: the random source does not spread")

    async def indexes_of(self, credential_id: str) -> tuple[StatusIndex, ...]:
        """All entries of a credential."""
        query = (
            select(_i.list_id, _l.purpose, _l.url, _i.index, _i.credential_id)
            .join(lists_table, _i.list_id == _l.list_id)
            .where(_i.credential_id == credential_id)
            .order_by(_l.purpose, _l.list_id)
        )
        return tuple(record(StatusIndex, row) for row in await self._connection.execute(query))

    # --- changes

    async def change(
        self,
        credential_id: str,
        purpose: str,
        value: int,
        *,
        reason: str,
        requested_by: str,
        now: datetime,
    ) -> StatusChange:
        """Accept a change; durable with the transaction, effective later."""
        entry, status_list = await self._entry(credential_id, purpose)
        if not 0 <= value < 1 << status_list.status_size:
            raise Conflict(f"a status of {status_list.status_size} bits has no value {value}")
        word, shift = _position(entry.index, status_list.status_size)
        known = await self._word(entry.list_id, word)
        desired = int.from_bytes(known.desired if known else _EMPTY, "big")
        mask = (1 << status_list.status_size) - 1
        standing = desired >> shift & mask
        if standing == value:
            return await self._standing(entry, value)
        if _is_irreversible(status_list) and standing & ~value:
            raise Conflict(f"a {purpose} is never undone")
        wanted = (desired & ~(mask << shift) | value << shift).to_bytes(WORD_BITS // 8, "big")
        await self._want(entry.list_id, word, known is None, wanted)
        statement = insert(changes_table).values(
            credential_id=credential_id,
            list_id=entry.list_id,
            purpose=purpose,
            index=entry.index,
            word=word,
            value=value,
            reason=reason,
            requested_by=requested_by,
            requested_at=now,
            state=ChangeState.ACCEPTED,
        )
        change_id = (await self._connection.execute(statement.returning(_h.id))).scalar_one()
        await self._settle([(entry.list_id, word)])
        row = (await self._connection.execute(select(*_CHANGE).where(_h.id == change_id))).one()
        return record(StatusChange, row)

    async def changes(self, credential_id: str) -> tuple[StatusChange, ...]:
        """What was ever accepted for a credential, oldest first."""
        query = select(*_CHANGE).where(_h.credential_id == credential_id).order_by(_h.id)
        return tuple(record(StatusChange, row) for row in await self._connection.execute(query))

    async def value(self, list_id: bytes, index: int) -> int:
        """The desired value of an entry."""
        status_list = await self._known(list_id)
        word, shift = _position(index, status_list.status_size)
        known = await self._word(list_id, word)
        bits = int.from_bytes(known.desired if known else _EMPTY, "big")
        return bits >> shift & ((1 << status_list.status_size) - 1)

    async def _entry(self, credential_id: str, purpose: str) -> tuple[StatusIndex, StatusList]:
        for entry in await self.indexes_of(credential_id):
            if entry.purpose == purpose:
                return entry, await self._known(entry.list_id)
        raise NotFound(f"the credential has no status entry of purpose {purpose}")

    async def _standing(self, entry: StatusIndex, value: int) -> StatusChange:
        query = (
            select(*_CHANGE)
            .where(_h.list_id == entry.list_id, _h.index == entry.index)
            .order_by(_h.id.desc())
            .limit(1)
        )
        row = (await self._connection.execute(query)).one_or_none()
        if row is None:
            raise Conflict(f"the {entry.purpose} status is {value} from the beginning")
        return record(StatusChange, row)

    async def _want(self, list_id: bytes, word: int, is_new: bool, wanted: bytes) -> None:
        if is_new:
            values = {"list_id": list_id, "word": word, "current": _EMPTY, "desired": wanted}
            await self._connection.execute(insert(words_table).values(**values))
        else:
            statement = update(words_table).where(_w.list_id == list_id, _w.word == word)
            await self._connection.execute(statement.values(desired=wanted))

    # --- words on their way

    async def pending_words(self, list_id: bytes, limit: int = WORD_BITS) -> tuple[StatusWord, ...]:
        """Words that differ from the chain and are not under way."""
        query = (
            select(_w.word, _w.current, _w.desired)
            .where(_w.list_id == list_id, _w.sent.is_(None), _w.current != _w.desired)
            .order_by(_w.word)
            .limit(limit)
        )
        return tuple(record(StatusWord, row) for row in await self._connection.execute(query))

    async def mark_words_sent(self, list_id: bytes, words: Sequence[int], transaction_id: int) -> None:
        """A transaction carries the desired value of these words, and the changes accepted so far."""
        of_words = and_(_w.list_id == list_id, _w.word.in_(words))
        query = select(_w.word).where(of_words, _w.sent.is_not(None))
        if (await self._connection.execute(query)).first() is not None:
            raise Conflict("one of these words is under way in another transaction")
        await self._connection.execute(
            update(words_table).where(of_words).values(sent=_w.desired, transaction_id=transaction_id)
        )
        await self._connection.execute(
            update(changes_table)
            .where(_h.list_id == list_id, _h.word.in_(words), _h.state == ChangeState.ACCEPTED)
            .values(state=ChangeState.SENT, transaction_id=transaction_id)
        )

    async def mark_words_effective(self, transaction_id: int) -> None:
        """That transaction is final."""
        words = await self._words_of(transaction_id)
        await self._connection.execute(
            update(words_table)
            .where(_w.transaction_id == transaction_id)
            .values(current=_w.sent, sent=None, transaction_id=None)
        )
        await self._connection.execute(
            update(changes_table)
            .where(_h.transaction_id == transaction_id)
            .values(state=ChangeState.EFFECTIVE)
        )
        await self._settle(words)

    async def mark_published(self, list_id: bytes) -> None:
        """For a list without a chain: everything desired stands in the list credential just saved."""
        status_list = await self._known(list_id)
        if status_list.mode is not ListMode.PUBLISHED:
            raise Conflict("the words of a list on a chain take effect by a transaction")
        await self._connection.execute(
            update(words_table).where(_w.list_id == list_id).values(current=_w.desired)
        )
        await self._connection.execute(
            update(changes_table).where(_h.list_id == list_id).values(state=ChangeState.EFFECTIVE)
        )

    async def _words_of(self, transaction_id: int) -> list[tuple[bytes, int]]:
        query = select(_w.list_id, _w.word).where(_w.transaction_id == transaction_id)
        return [(row.list_id, row.word) for row in await self._connection.execute(query)]

    async def _settle(self, words: Iterable[tuple[bytes, int]]) -> None:
        # A suspension lifted before it was sent leaves nothing to send: both changes are as good as done.
        for list_id, word in words:
            known = await self._word(list_id, word)
            if known is not None and known.sent is None and known.current == known.desired:
                await self._connection.execute(
                    update(changes_table)
                    .where(
                        _h.list_id == list_id,
                        _h.word == word,
                        or_(_h.state == ChangeState.ACCEPTED, _h.state == ChangeState.SENT),
                    )
                    .values(state=ChangeState.EFFECTIVE)
                )

    # --- the published list

    async def effective_words(self, list_id: bytes) -> Mapping[int, bytes]:
        """The words of a list that are not empty, as they were last made final."""
        query = select(_w.word, _w.current).where(_w.list_id == list_id, _w.current != _EMPTY)
        rows = await self._connection.execute(query.order_by(_w.word))
        return {row.word: row.current for row in rows}

    async def bitstring(self, list_id: bytes) -> bytes:
        """The whole list as desired."""
        status_list = await self._known(list_id)
        bits = bytearray((1 << status_list.log2_entries) * status_list.status_size // 8)
        query = select(_w.word, _w.desired).where(_w.list_id == list_id)
        for row in await self._connection.execute(query):
            bits[32 * row.word : 32 * row.word + 32] = row.desired
        return bytes(bits)

    async def save_credential(self, list_id: bytes, credential: ListCredential) -> None:
        """Keep the signed list credential that is served from now on."""
        await self._known(list_id)
        statement = update(lists_table).where(_l.list_id == list_id)
        await self._connection.execute(statement.values(**asdict(credential)))

    async def load_credential(self, list_id: bytes) -> ListCredential | None:
        """The signed list credential, or None where none was made."""
        query = select(_l.document, _l.signed_at, _l.valid_until).where(_l.list_id == list_id)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None or row.document is None else record(ListCredential, row)

    async def _one(self, query: Select[Any]) -> StatusList | None:
        return await load_record(self._connection, query, StatusList)

    async def _known(self, list_id: bytes) -> StatusList:
        status_list = await self.load(list_id)
        if status_list is None:
            raise NotFound("no such status list")
        return status_list

    async def _word(self, list_id: bytes, word: int) -> AnyRow | None:
        query = select(_w.current, _w.desired, _w.sent).where(_w.list_id == list_id, _w.word == word)
        return (await self._connection.execute(query)).one_or_none()


def _position(index: int, status_size: int) -> tuple[int, int]:
    """Word and shift of an entry: p = index times size, the leftmost bit first (FORMATS.md section 6)."""
    position = index * status_size
    return position // WORD_BITS, WORD_BITS - status_size - position % WORD_BITS


def _is_irreversible(status_list: StatusList) -> bool:
    return status_list.mode is ListMode.OR_ONLY or status_list.purpose in _IRREVERSIBLE
