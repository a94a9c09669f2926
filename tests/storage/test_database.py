"""Opening a database: migrations, and what only SQLite or only PostgreSQL has to answer for."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from node.core.errors import Misconfigured, Unavailable
from node.storage import migrations
from node.storage.database import SqlTransaction, open_database, sqlite_url
from node.storage.protocols.outbox import OWN_CHAIN
from node.storage.schema import metadata

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class TestMigrations:
    async def test_the_steps_make_what_the_modules_declare(self, place: tuple[str, str | None]) -> None:
        url, schema = place
        await (await open_database(url, schema=schema)).close()
        settings = {"server_settings": {"search_path": schema}} if schema else {}
        engine = create_async_engine(url, connect_args=settings)

        def differences(connection: Connection) -> list[object]:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            found: list[object] = compare_metadata(context, metadata)
            return found

        async with engine.connect() as connection:
            found = await connection.run_sync(differences)
            head = (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar_one()
        await engine.dispose()
        assert found == []
        assert head == migrations.newest()

    async def test_numbers_that_were_given_to_calls_are_kept_when_chains_are_told_apart(
        self, tmp_path: Path
    ) -> None:
        path = tmp_path / "node.sqlite3"
        config = Config()
        config.set_main_option("script_location", str(Path(migrations.__file__).parent))
        engine = create_engine(f"sqlite:///{path}")
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "0001")
            connection.execute(text("INSERT INTO senders VALUES (x'01', 7)"))
            connection.execute(
                text(
                    "INSERT INTO outbox (purpose, sender, data, state, created_at, changed_at)"
                    " VALUES ('anchor', x'01', x'', 'prepared', '2026-01-01 00:00:00', '2026-01-01 00:00:00')"
                )
            )
        engine.dispose()
        database = await open_database(sqlite_url(path))
        async with database.transaction() as tx:
            (entry,) = await tx.outbox.unfinished()
            assert entry.chain == OWN_CHAIN
            assert await tx.outbox.assign_nonce(entry.id, 0) == 7
        await database.close()

    async def test_opening_again_changes_nothing(self, tmp_path: Path) -> None:
        url = sqlite_url(tmp_path / "node.sqlite3")
        for _ in range(2):
            await (await open_database(url)).close()

    async def test_two_that_start_together_take_turns(self, tmp_path: Path) -> None:
        for number in range(8):  # of as many, one in some hundred once failed to wait
            url = sqlite_url(tmp_path / f"node-{number}.sqlite3")
            for database in await asyncio.gather(*(open_database(url) for _ in range(4))):
                await database.close()

    async def test_a_database_of_a_later_release_is_left_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "node.sqlite3"
        await (await open_database(sqlite_url(path))).close()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
        with pytest.raises(Misconfigured, match="later release"):
            await open_database(sqlite_url(path))


class TestSqlite:
    async def test_settings(self, tmp_path: Path) -> None:
        path = tmp_path / "node.sqlite3"
        database = await open_database(sqlite_url(path))
        async with database._engine.connect() as connection:
            values = [
                (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "secure_delete")
            ]
        await database.close()
        assert values == ["wal", 2, 1, 1]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

    async def test_a_full_disk_is_one_clear_error_and_nothing_is_half_done(self, tmp_path: Path) -> None:
        database = await open_database(sqlite_url(tmp_path / "node.sqlite3"))

        async def fill() -> None:
            async with database.transaction() as tx:
                assert isinstance(tx, SqlTransaction)
                await tx.outbox._connection.execute(text("PRAGMA max_page_count = 1"))
                for _ in range(20):
                    await tx.outbox.add("anchor", b"", None, bytes(10_000), NOW)

        with pytest.raises(Unavailable, match="the database refused"):
            await fill()
        async with database.reading() as tx:
            assert await tx.outbox.unfinished() == ()
        await database.close()

    async def test_a_killed_writer_leaves_all_or_nothing(self, tmp_path: Path) -> None:
        path = tmp_path / "node.sqlite3"
        program = """
import asyncio, os, sys
from datetime import UTC, datetime
from node.storage.database import open_database
async def main():
    database = await open_database(sys.argv[1])
    now = datetime(2026, 1, 1, tzinfo=UTC)
    async with database.transaction() as tx:
        await tx.outbox.add("kept", b"", None, b"", now)
    async with database.transaction() as tx:
        await tx.outbox.add("lost", b"", None, b"", now)
        os._exit(9)
asyncio.run(main())
"""
        url = sqlite_url(path)
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", program, url], check=False, timeout=60
        )
        assert done.returncode == 9
        database = await open_database(url)
        async with database.reading() as tx:
            assert [entry.purpose for entry in await tx.outbox.unfinished()] == ["kept"]
        await database.close()


class TestUrls:
    @pytest.mark.parametrize(
        ("url", "message"),
        [
            ("mysql://u:hunter2@h/d", "not mysql"),
            ("no url: hunter2", "cannot be read"),
            ("sqlite://", "is a file"),
            ("sqlite+aiosqlite:///:memory:", "is a file"),
            ("sqlite+aiosqlite:////no/such/folder/x", "cannot be opened: No such file"),
        ],
    )
    async def test_urls_of_no_use(self, url: str, message: str) -> None:
        with pytest.raises(Misconfigured, match=message) as caught:
            await open_database(url)
        assert "hunter2" not in str(caught.value)

    async def test_a_server_that_is_not_there(self) -> None:
        with pytest.raises(Unavailable) as caught:
            await open_database("postgresql://u:hunter2@127.0.0.1:1/d")
        assert "hunter2" not in caught.value.asked

    async def test_no_database(self, tmp_path: Path) -> None:
        path = tmp_path / "node.sqlite3"
        path.write_bytes(b"not a database" * 1000)
        with pytest.raises(Unavailable, match="the database refused: the file is no database"):
            await open_database(sqlite_url(path))


def test_the_newest_migration_is_the_head_that_alembic_knows() -> None:
    """Opening a database passes Alembic over where the file names say that nothing is left to do."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    assert ScriptDirectory.from_config(config).get_heads() == [migrations.newest()]
