"""Where the embedded chain is kept: one SQLite file, one transaction for each block.

Holds the key-value store that py-evm builds its tries in, and beside it what a JSON-RPC server must find quickly:
blocks by number and hash, transactions, logs by address and topic, and the pool of pending transactions. Writes of
py-evm gather in memory until `commit`, so that a process killed at any moment leaves a chain that ends with a whole
block.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from node.chain.pyevm import BaseDB
from node.core.errors import Conflict, Misconfigured

_SCHEMA_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE blocks (number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE);
CREATE TABLE transactions (
    hash BLOB PRIMARY KEY, block INTEGER NOT NULL, position INTEGER NOT NULL, raw BLOB NOT NULL,
    sender BLOB NOT NULL, gas_used INTEGER NOT NULL, cumulative_gas_used INTEGER NOT NULL,
    gas_price BLOB NOT NULL, succeeded INTEGER NOT NULL, created BLOB
) WITHOUT ROWID;
CREATE UNIQUE INDEX transactions_of_block ON transactions (block, position);
CREATE TABLE logs (
    block INTEGER NOT NULL, position INTEGER NOT NULL, transaction_hash BLOB NOT NULL,
    transaction_position INTEGER NOT NULL, address BLOB NOT NULL,
    topic0 BLOB, topic1 BLOB, topic2 BLOB, topic3 BLOB, data BLOB NOT NULL,
    PRIMARY KEY (block, position)
) WITHOUT ROWID;
CREATE INDEX logs_of_address ON logs (address, topic0, block);
CREATE INDEX logs_of_topic1 ON logs (topic1, block);
CREATE TABLE pool (
    sender BLOB NOT NULL, nonce INTEGER NOT NULL, hash BLOB NOT NULL UNIQUE, raw BLOB NOT NULL,
    PRIMARY KEY (sender, nonce)
) WITHOUT ROWID;
"""
_TRANSACTION_COLUMNS: Final = (
    "hash, block, position, raw, sender, gas_used, cumulative_gas_used, gas_price, succeeded, created"
)
_LOG_COLUMNS: Final = (
    "block, position, transaction_hash, transaction_position, address, topic0, topic1, topic2, topic3, data"
)


@dataclass(frozen=True, slots=True)
class MinedTransaction:
    """A transaction in its block, with what its receipt says. `position` is zero-based, prices are wei per gas."""

    hash: bytes
    block: int
    position: int
    raw: bytes
    sender: bytes
    gas_used: int
    cumulative_gas_used: int
    gas_price: int
    succeeded: bool
    created: bytes | None  # address of the contract that it created


@dataclass(frozen=True, slots=True)
class MinedLog:
    """A log in its block. `position` is zero-based in the block, as `logIndex` in JSON-RPC."""

    block: int
    position: int
    transaction_hash: bytes
    transaction_position: int
    address: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class PendingTransaction:
    """A transaction that was accepted and is in no block yet."""

    sender: bytes
    nonce: int
    hash: bytes
    raw: bytes


class KeyValues(BaseDB):  # type: ignore[misc]  # Any, see pyevm.py
    """py-evm's `BaseDB` on a table; what is set stays in memory until the store commits."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._unsaved: dict[bytes, bytes | None] = {}

    def __getitem__(self, key: bytes) -> bytes:
        if key in self._unsaved:
            value = self._unsaved[key]
        else:
            row = self._connection.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
            value = None if row is None else row[0]
        if value is None:
            raise KeyError(key)
        return value

    def __setitem__(self, key: bytes, value: bytes) -> None:
        self._unsaved[key] = value

    def __delitem__(self, key: bytes) -> None:
        if key not in self:
            raise KeyError(key)
        self._unsaved[key] = None

    def _exists(self, key: bytes) -> bool:
        try:
            self[key]
        except KeyError:
            return False
        return True

    def save(self) -> None:
        """Write what is unsaved into the open transaction."""
        gone = [(key,) for key, value in self._unsaved.items() if value is None]
        kept = [(key, value) for key, value in self._unsaved.items() if value is not None]
        self._connection.executemany("DELETE FROM state WHERE key = ?", gone)
        self._connection.executemany("INSERT OR REPLACE INTO state (key, value) VALUES (?, ?)", kept)

    def forget(self) -> None:
        """Drop what is unsaved."""
        self._unsaved.clear()


class ChainStore:
    """The SQLite file of one chain, held by one process at a time."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0.2)
        try:
            self._prepare(path)
        except BaseException:
            self._connection.close()
            raise
        self.key_values = KeyValues(self._connection)

    def _prepare(self, path: Path) -> None:
        try:
            # A second process on the same file would build a second chain on it.
            self._connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("BEGIN EXCLUSIVE")
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in _SCHEMA.split(";\n"):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_SCHEMA_VERSION}")
            self._connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise Conflict(f"another process runs the chain in {path.parent}") from error
            raise Misconfigured(f"the chain in {path.parent} cannot be opened: {error}") from error
        except sqlite3.DatabaseError as error:
            raise Misconfigured(f"{path} is no chain of ours: {error}") from error
        if version not in (0, _SCHEMA_VERSION):
            raise Misconfigured(f"{path} was written by another version (schema {version})")

    def close(self) -> None:
        """Close the file; what was not committed is dropped."""
        self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside, the unsaved part of `key_values` included, is kept together or not at all."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.key_values.save()
            self._connection.execute("COMMIT")
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        finally:
            self.key_values.forget()

    # --- meta ---

    def meta(self, name: str) -> bytes | None:
        """A fact about the chain itself, None if it was never set."""
        row = self._connection.execute("SELECT value FROM meta WHERE name = ?", (name,)).fetchone()
        return None if row is None else bytes(row[0])

    def set_meta(self, name: str, value: bytes) -> None:
        """Set a fact about the chain itself."""
        self._connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES (?, ?)", (name, value))

    # --- blocks ---

    def add_block(
        self,
        number: int,
        block_hash: bytes,
        transactions: Sequence[MinedTransaction] = (),
        logs: Sequence[MinedLog] = (),
    ) -> None:
        """Index a block with its transactions and logs, each in their order."""
        self._connection.execute("INSERT INTO blocks (number, hash) VALUES (?, ?)", (number, block_hash))
        self._connection.executemany(
            f"INSERT INTO transactions ({_TRANSACTION_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            [
                (
                    *(entry.hash, entry.block, entry.position, entry.raw, entry.sender, entry.gas_used),
                    *(entry.cumulative_gas_used, entry.gas_price.to_bytes(32, "big")),
                    *(int(entry.succeeded), entry.created),
                )
                for entry in transactions
            ],
        )
        self._connection.executemany(
            f"INSERT INTO logs ({_LOG_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            [
                (
                    *(log.block, log.position, log.transaction_hash, log.transaction_position, log.address),
                    *(log.topics[at] if at < len(log.topics) else None for at in range(4)),
                    log.data,
                )
                for log in logs
            ],
        )

    def remove_blocks_after(self, number: int) -> None:
        """Take the blocks above `number` out of the index, with their transactions and logs."""
        self._connection.execute("DELETE FROM blocks WHERE number > ?", (number,))
        self._connection.execute("DELETE FROM transactions WHERE block > ?", (number,))
        self._connection.execute("DELETE FROM logs WHERE block > ?", (number,))

    def block_number(self, block_hash: bytes) -> int | None:
        """The number of the block with that hash."""
        row = self._connection.execute("SELECT number FROM blocks WHERE hash = ?", (block_hash,)).fetchone()
        return None if row is None else int(row[0])

    def transaction_of(self, transaction_hash: bytes) -> MinedTransaction | None:
        """The transaction with that hash, if it is in a block."""
        row = self._connection.execute(
            f"SELECT {_TRANSACTION_COLUMNS} FROM transactions WHERE hash = ?",  # noqa: S608
            (transaction_hash,),
        ).fetchone()
        return None if row is None else _transaction(row)

    def transactions_in(self, number: int) -> list[MinedTransaction]:
        """The transactions of a block, in their order."""
        rows = self._connection.execute(
            f"SELECT {_TRANSACTION_COLUMNS} FROM transactions WHERE block = ? ORDER BY position",  # noqa: S608
            (number,),
        )
        return [_transaction(row) for row in rows]

    def logs(
        self,
        from_block: int,
        to_block: int,
        addresses: Sequence[bytes],
        topics: Sequence[Sequence[bytes]],
        limit: int,
    ) -> list[MinedLog]:
        """At most `limit` logs in their order; an empty sequence of addresses or of topics matches any."""
        where: list[str] = ["block BETWEEN ? AND ?"]
        values: list[int | bytes] = [from_block, to_block]
        columns = ("address", "topic0", "topic1", "topic2", "topic3")
        for column, wanted in zip(columns, [addresses, *topics], strict=False):
            if wanted:
                where.append(f"{column} IN ({', '.join('?' * len(wanted))})")
                values += wanted
        rows = self._connection.execute(
            f"SELECT {_LOG_COLUMNS} FROM logs WHERE {' AND '.join(where)} "  # noqa: S608
            "ORDER BY block, position LIMIT ?",
            (*values, limit),
        )
        return [_log(row) for row in rows]

    def logs_of(self, entry: MinedTransaction) -> list[MinedLog]:
        """The logs of one transaction, in their order."""
        rows = self._connection.execute(
            f"SELECT {_LOG_COLUMNS} FROM logs "  # noqa: S608
            "WHERE block = ? AND transaction_position = ? ORDER BY position",
            (entry.block, entry.position),
        )
        return [_log(row) for row in rows]

    # --- pool ---

    def add_pending(self, entry: PendingTransaction) -> None:
        """Put a transaction in the pool, in the place of the one with its sender and nonce."""
        self._connection.execute(
            "INSERT OR REPLACE INTO pool (sender, nonce, hash, raw) VALUES (?, ?, ?, ?)",
            (entry.sender, entry.nonce, entry.hash, entry.raw),
        )

    def remove_pending(self, sender: bytes, nonce: int) -> None:
        """Take a transaction out of the pool."""
        self._connection.execute("DELETE FROM pool WHERE sender = ? AND nonce = ?", (sender, nonce))

    def pending(self) -> list[PendingTransaction]:
        """The whole pool."""
        rows = self._connection.execute("SELECT sender, nonce, hash, raw FROM pool ORDER BY sender, nonce")
        return [PendingTransaction(*row) for row in rows]


def _transaction(row: Sequence[Any]) -> MinedTransaction:
    transaction_hash, block, position, raw, sender, gas_used, cumulative, price, succeeded, created = row
    return MinedTransaction(
        *(transaction_hash, block, position, raw, sender, gas_used, cumulative),
        *(int.from_bytes(price, "big"), bool(succeeded), created),
    )


def _log(row: Sequence[Any]) -> MinedLog:
    block, position, transaction_hash, transaction_position, address, *topics, data = row
    kept = tuple(topic for topic in topics if topic is not None)
    return MinedLog(block, position, transaction_hash, transaction_position, address, kept, data)
