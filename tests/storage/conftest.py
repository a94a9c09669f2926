"""The same behaviour on both databases: every test that asks for `store` runs once on each, empty."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from node.storage.database import Database, open_database, sqlite_url
from node.storage.schema import metadata


@pytest.fixture(scope="session")
def postgres() -> Iterator[tuple[str, str]]:
    """URL and a schema of this run's own; without a server a skip, in CI a failure."""
    url = os.environ.get("BONAFIDES_TEST_POSTGRES")
    if not url:
        reason = "no PostgreSQL: set BONAFIDES_TEST_POSTGRES"
        pytest.fail(reason) if os.environ.get("CI", "").lower() == "true" else pytest.skip(reason)
    schema = f"bonafides_{secrets.token_hex(6)}"
    asyncio.run(_execute(url, f"CREATE SCHEMA {schema}"))
    yield url, schema
    asyncio.run(_execute(url, f"DROP SCHEMA {schema} CASCADE"))


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with all tables and no rows, made once."""
    path = tmp_path_factory.mktemp("template") / "node.sqlite3"

    async def make() -> None:
        await (await open_database(sqlite_url(path))).close()

    asyncio.run(make())
    return path


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str | None]:
    """URL and schema of a database that a test may fill."""
    if request.param == "postgres":
        found: tuple[str, str] = request.getfixturevalue("postgres")
        return found
    path = tmp_path / "node.sqlite3"
    shutil.copy(request.getfixturevalue("sqlite_template"), path)
    return sqlite_url(path), None


@pytest.fixture
async def store(place: tuple[str, str | None]) -> AsyncIterator[Database]:
    """An empty database."""
    url, schema = place
    database = await open_database(url, schema=schema)
    if schema is not None:
        tables = ", ".join(f'{schema}."{name}"' for name in metadata.tables)
        await _execute(url, f"TRUNCATE {tables} RESTART IDENTITY")
    yield database
    await database.close()


async def _execute(url: str, statement: str) -> None:
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(statement))
    await engine.dispose()
