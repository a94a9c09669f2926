"""Opens the database that a URL names and hands out transactions.

SQLite (default): write-ahead log, every commit synced, foreign keys on, deleted content overwritten. A writing
transaction begins `BEGIN IMMEDIATE`: the driver's default takes the lock at the first write, so that two
which read first lose one update of two. PostgreSQL: a transaction-wide advisory lock gives writers the
same order; the issuer has one writer at a time by design, and its queue is short.

Within one process writers wait in a queue of asyncio, not in the database's busy loop.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy.exc
from sqlalchemy import event, text
from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from node.core.errors import BonafidesError, Conflict, Misconfigured, Unavailable
from node.storage import migrations
from node.storage.batches import SqlBatches
from node.storage.bundles import SqlBundles
from node.storage.credentials import SqlCredentials, SqlEvidence
from node.storage.domain_links import SqlDomainLinks
from node.storage.issuer import SqlApiTokens, SqlIssuer, SqlKeys
from node.storage.nonces import SqlNonces
from node.storage.offers import SqlDeliveries, SqlOffers
from node.storage.outbox import SqlOutbox
from node.storage.presentation_requests import SqlPresentationRequests
from node.storage.protocols.store import Traces, Transaction
from node.storage.replica import SqlReplica
from node.storage.status_lists import SqlStatusLists

_BUSY_SECONDS: Final = 30
_WAIT_SECONDS: Final = 0.02
# Any fixed number: it names the queue of this project's writers among a database's advisory locks.
_WRITERS: Final = 0x626F6E61
_READING: Final = "bonafides_reading"
# What an operator can mend, by SQLite's names of result codes (their beginnings) and PostgreSQL's SQLSTATE.
_REASONS: Final = {
    "SQLITE_FULL": "the disk is full",
    "SQLITE_IOERR": "the disk cannot be read or written",
    "SQLITE_READONLY": "the file or its folder cannot be written",
    "SQLITE_CANTOPEN": "the file cannot be opened",
    "SQLITE_BUSY": "another process holds it",
    "SQLITE_CORRUPT": "the file is damaged",
    "SQLITE_NOTADB": "the file is no database",
    "53100": "the disk is full",
    "53300": "it has too many connections",
    "57P": "it is shutting down",
}


class SqlTransaction:
    """`protocols.Transaction` on one connection."""

    def __init__(self, connection: AsyncConnection) -> None:
        self.issuer = SqlIssuer(connection)
        self.keys = SqlKeys(connection)
        self.api_tokens = SqlApiTokens(connection)
        self.credentials = SqlCredentials(connection)
        self.evidence = SqlEvidence(connection)
        self.outbox = SqlOutbox(connection)
        self.batches = SqlBatches(connection)
        self.status_lists = SqlStatusLists(connection)
        self.offers = SqlOffers(connection)
        self.deliveries = SqlDeliveries(connection)
        self.bundles = SqlBundles(connection)
        self.nonces = SqlNonces(connection)
        self.presentation_requests = SqlPresentationRequests(connection)
        self.replica = SqlReplica(connection)
        self.domain_links = SqlDomainLinks(connection)


class Database:
    """`protocols.Store` on SQLAlchemy; made by `open_database`."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._is_sqlite = engine.dialect.name == "sqlite"
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """A writing transaction; writers queue. An exception undoes all of it."""
        with _translated():
            async with self._write() as connection:
                yield SqlTransaction(connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Transaction]:
        """A consistent view for reading only; it neither waits for writers nor holds them up."""
        with _translated():
            async with _connected(self._engine) as connection:
                options: dict[str, Any] = {_READING: True}
                if not self._is_sqlite:
                    options |= {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
                await connection.execution_options(**options)
                async with connection.begin():
                    yield SqlTransaction(connection)

    async def migrate(self) -> None:
        """Bring the tables to this release's form; two processes that start together take turns."""
        with _translated():
            async with self._write() as connection:
                await connection.run_sync(migrations.upgrade)

    async def overwrite_erased(self) -> Traces:
        """See to it that what was erased is gone from the files as well.

        In the file itself deleted content is overwritten; the log holds what was written before, until it is taken
        over and cut off. That waits for whoever reads, as long as a writer would.
        """
        if not self._is_sqlite:
            return Traces.SERVER
        with _translated():
            async with self._writing, _connected(self._engine) as connection:
                # By the driver's own hand: a checkpoint is refused within a transaction.
                driver: Any = (await connection.get_raw_connection()).driver_connection
                cursor = await driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                is_busy, *_ = await cursor.fetchone()
                await cursor.close()
        return Traces.LOG if is_busy else Traces.NONE

    async def close(self) -> None:
        """Let go of every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[AsyncConnection]:
        async with self._writing, _connected(self._engine) as connection, connection.begin():
            if not self._is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:queue)"), {"queue": _WRITERS})
            yield connection


async def open_database(url: str, *, schema: str | None = None) -> Database:
    """Open the database at `url` and bring its tables to this release's form.

    `sqlite+aiosqlite:///FILE` (made with mode 0600 where it is missing) or `postgresql+asyncpg://…`; `schema` is
    PostgreSQL's search path. Misconfigured where the URL is of no use or the database is of a later release,
    Unavailable where it cannot be reached.
    """
    database = Database(_engine(_parse_url(url), schema))
    try:
        await database.migrate()
    except BaseException:
        await database.close()
        raise
    return database


def sqlite_url(path: Path) -> str:
    """The URL of an SQLite file."""
    return URL.create("sqlite+aiosqlite", database=str(path.absolute())).render_as_string()


def _parse_url(url: str) -> URL:
    try:
        parsed = make_url(url)
        dialect = parsed.get_backend_name()
    except sqlalchemy.exc.ArgumentError as error:
        # The text may hold a password and is not repeated.
        raise Misconfigured("the database URL cannot be read") from error
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg"}
    if dialect not in drivers:
        raise Misconfigured(f"the database is sqlite+aiosqlite or postgresql+asyncpg, not {dialect}")
    if dialect == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise Misconfigured("an SQLite database is a file: sqlite+aiosqlite:///PATH")
    return parsed.set(drivername=drivers[dialect])


def _engine(url: URL, schema: str | None) -> AsyncEngine:
    # Parameters are subject data and stay out of messages and logs.
    if url.get_backend_name() == "postgresql":
        settings = {"server_settings": {"search_path": schema}} if schema else {}
        return create_async_engine(url, hide_parameters=True, connect_args=settings, pool_pre_ping=True)
    _make_private(Path(str(url.database)))
    # The connection that was used last still has the pages that were written last.
    engine = create_async_engine(
        url, hide_parameters=True, connect_args={"timeout": _BUSY_SECONDS}, pool_use_lifo=True
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def _make_private(path: Path) -> None:
    """Make the file before SQLite does: it holds personal data, and the log beside it takes over its mode."""
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise Misconfigured(f"database file {path} cannot be opened: {error.strerror}") from error


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # The driver shall not begin transactions by itself: `_begin_sqlite` does.
    connection.isolation_level = None
    cursor = connection.cursor()
    try:
        # A new file's alone. A credential takes about half of a page: one to a page of the default size leaves much
        # of it empty, and every page is written twice.
        cursor.execute("PRAGMA page_size = 8192")
        _keep_log(cursor)
        for pragma in (
            "synchronous = FULL",  # in WAL mode NORMAL may lose the newest commits with the power
            "foreign_keys = ON",
            "secure_delete = ON",  # erased evidence shall not linger in free pages
            # Ids and digests fall anywhere in their indexes, so a large issue touches all of their pages again and
            # again: with room for them (KiB, pages) each is written once in many transactions.
            "cache_size = -65536",
            "wal_autocheckpoint = 4096",
        ):
            cursor.execute(f"PRAGMA {pragma}")
    finally:
        cursor.close()


def _keep_log(cursor: Any) -> None:
    # SQLite does not wait its turn here: of two that make the file at one moment, one is refused at once.
    tries = round(_BUSY_SECONDS / _WAIT_SECONDS)
    for left in reversed(range(tries)):
        try:
            cursor.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            if not left or error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            time.sleep(_WAIT_SECONDS)
        else:
            return


def _begin_sqlite(connection: Connection) -> None:
    is_reading = connection.get_execution_options().get(_READING, False)
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if is_reading else 'OFF'}")
    connection.exec_driver_sql("BEGIN" if is_reading else "BEGIN IMMEDIATE")


@asynccontextmanager
async def _connected(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    try:
        connection = await engine.connect()
    except OSError as error:
        # asyncpg lets the system's own errors through: connection refused, no such host.
        raise Unavailable("the database cannot be reached", asked=_place(engine)) from error
    try:
        yield connection
    finally:
        await connection.close()


def _place(engine: AsyncEngine) -> str:
    return engine.url.render_as_string(hide_password=True)


@contextmanager
def _translated() -> Iterator[None]:
    """No exception of the library crosses; its messages may quote values, so they stay in the cause alone."""
    try:
        yield
    except sqlalchemy.exc.IntegrityError as error:
        raise Conflict("this contradicts what is recorded already") from error
    except sqlalchemy.exc.DBAPIError as error:
        raise Unavailable(f"the database refused: {_reason(error)}", asked="database") from error
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise BonafidesError("the database layer failed") from error


def _reason(error: sqlalchemy.exc.DBAPIError) -> str:
    """Why, in words of ours: the driver's own may quote values."""
    code = str(getattr(error.orig, "sqlite_errorname", None) or getattr(error.orig, "sqlstate", None) or "")
    known = (words for start, words in _REASONS.items() if code.startswith(start))
    return next(known, type(error.orig).__name__)
