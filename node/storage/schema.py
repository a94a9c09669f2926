"""What all tables share: one MetaData, column types for times and closed choices, and how a row becomes a record."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeAlias, TypeVar

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Insert,
    Integer,
    LargeBinary,
    MetaData,
    Row,
    Select,
    String,
    Update,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeDecorator, TypeEngine

T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)
# A text, so that SQLAlchemy 2.0, whose Row takes one parameter, need not evaluate it.
AnyRow: TypeAlias = "Row[*tuple[Any, ...]]"

# Names are spelled out so that migrations can speak of constraints on both databases.
metadata: Final = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    }
)

# Both databases take at least 32,766 parameters a statement; a thousand keeps statements small in their logs.
_CHUNK: Final = 1000


class Instant(TypeDecorator[datetime]):
    """An aware time, kept and given back in UTC. SQLite forgets the zone, so a naive one must never enter."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; a naive datetime is a programming error."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime has no place in the database")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Back with its zone."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class Choice(TypeDecorator[E]):
    """A closed choice as its text: readable with any tool, and widened without touching the table."""

    impl = String(32)
    cache_ok = True

    def __init__(self, choices: type[E]) -> None:
        super().__init__(32)
        self.choices = choices

    def process_bind_param(self, value: E | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """The member's text."""
        return None if value is None else str(self.choices(value))

    def process_result_value(self, value: str | None, dialect: Dialect) -> E | None:  # noqa: ARG002
        """The member."""
        return None if value is None else self.choices(value)


# SQLite numbers rows by itself only in a column that it calls INTEGER.
Serial: Final = BigInteger().with_variant(Integer, "sqlite")


def serial_column() -> Column[int]:
    """The `id` of tables whose order of insertion means something."""
    return Column("id", Serial, primary_key=True, autoincrement=True)


def record(kind: type[T], row: AnyRow) -> T:
    """A record of `protocols` from a row whose columns bear the names of its fields."""
    return kind(**row._mapping)


async def load_record(connection: AsyncConnection, query: Select[Any], kind: type[T]) -> T | None:
    """The record of a query that finds one row at most."""
    row = (await connection.execute(query)).one_or_none()
    return None if row is None else record(kind, row)


def chunks(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """`values` in pieces that one statement can take."""
    for start in range(0, len(values), _CHUNK):
        yield values[start : start + _CHUNK]


async def execute_many(
    connection: AsyncConnection,
    statement: Insert | Update,
    names: Sequence[str],
    rows: Iterable[tuple[Any, ...]],
) -> int:
    """Execute an INSERT or UPDATE for each row, which holds the values of the parameters `names`.

    How many rows of the table it came to; -1 where the database does not tell.

    As `connection.execute` does with a list, at a fraction of its cost: there each value of each row goes through its
    type. Here a type is asked once for a value that repeats, as times and states do.
    """
    values = dict(zip(names, zip(*rows, strict=True), strict=False))
    if not values:
        return 0
    count = len(values[names[0]])
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(names))
    columns = []
    for name in compiled.positiontup or ():
        column = values.get(name, itertools.repeat(compiled.params[name], count))
        columns.append(_bound(compiled.binds[name].type, column, connection.dialect))
    result = await connection.exec_driver_sql(compiled.string, list(zip(*columns, strict=True)))
    return result.rowcount


def _bound(kind: TypeEngine[Any], column: Iterable[Any], dialect: Dialect) -> Iterable[Any]:
    process = None if isinstance(kind, LargeBinary) else kind.dialect_impl(dialect).bind_processor(dialect)
    if process is None:
        return column
    known: dict[Any, Any] = {}
    return [known[value] if value in known else known.setdefault(value, process(value)) for value in column]
