"""The same behaviour on both databases: every test that asks for `store` runs once on each, empty."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from fixtures.databases import emptied

from node.storage.database import Database, open_database, sqlite_url


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
    async with emptied(*place) as database:
        yield database
