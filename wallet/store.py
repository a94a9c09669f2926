"""The wallet's store: one SQLite image in memory, sealed whole under the passphrase, in one file.

Envelope: `node.core.sealed` (Argon2id with 64 MiB, 3 passes, 4 lanes; AES-256-GCM); the key is derived once a command
and every save takes a fresh nonce. A save writes a new file, syncs it, renames it over the old one and syncs the
folder, so a crash at any moment leaves the image before or the image after. What is trusted with it: the holder's
keys and secrets, every credential with its evidence, and who was shown what. Losing the file or the passphrase loses
them all: hence `wallet backup`.

A change happens inside `transaction()`, which saves at its end; one that fails, the save included, leaves memory and
disk as they were. Who changes holds the lock file for the whole command.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from node.core import sealed
from node.core.bundle import Bundle, parse_bundle
from node.core.dataintegrity.bbs_2023 import BoundHolder
from node.core.dataintegrity.bbs_binding import holder_of_json, holder_to_json
from node.core.errors import Conflict, Malformed, Misconfigured, NotFound, NotVerified, Unavailable
from node.core.keys import KeyKind
from node.core.strict_json import Json, JsonObject, parse_json, parse_json_object
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from wallet.consent import Disclosure, parse_disclosure
from wallet.holder_keys import HolderKey
from wallet.holdings import Holding, LastCheck, Provenance, find

FILE_NAME: Final = "wallet.bonafides"
_NEW_NAME: Final = "wallet.bonafides.new"
_LOCK_NAME: Final = "wallet.lock"
STORE_PURPOSE: Final = b"bonafides wallet 1\0"
BACKUP_PURPOSE: Final = b"bonafides wallet backup 1\0"
SCHEMA_VERSION: Final = 3
# The image in the envelope, base64url: see `sealed.MAX_ENVELOPE_BYTES`.
_MAX_JSON_BYTES: Final = 256 * 1024 * 1024
_HOLDING: Final = "digest, credential, bundle, how, source, received, last_check, secrets"

# Each step leads from one `user_version` to the next; steps are only ever added.
_STEPS: Final = (
    """
    CREATE TABLE holder_keys (
        did TEXT PRIMARY KEY, relation TEXT NOT NULL, seed BLOB NOT NULL, created TEXT NOT NULL
    ) STRICT;
    CREATE TABLE holdings (
        number INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, credential TEXT NOT NULL, bundle TEXT,
        how TEXT NOT NULL, source TEXT NOT NULL, received TEXT NOT NULL, last_check TEXT
    ) STRICT;
    CREATE TABLE loose_bundles (digest BLOB PRIMARY KEY, bundle TEXT NOT NULL) STRICT;
    CREATE TABLE receipts (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    CREATE TABLE disclosures (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    """,
    # Keys of several kinds. `credential` is JSON as before: an object, and from here on also a text, a token.
    """
    ALTER TABLE holder_keys ADD COLUMN kind TEXT NOT NULL DEFAULT 'Ed25519';
    """,
    # Secrets that issuers sign unseen (bbs-2023): all there are, and those that a holding is bound to.
    """
    CREATE TABLE secrets (number INTEGER PRIMARY KEY, body TEXT NOT NULL) STRICT;
    ALTER TABLE holdings ADD COLUMN secrets TEXT;
    """,
)


class Disk:
    """The writes of a save, one method a step, so that tests can fail or die at each."""

    def write(self, path: Path, data: bytes) -> None:
        """`data` in a file of the owner's alone, on the disk when this returns."""
        # Made here and now: a file that somebody else put there would keep its owner and mode.
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - the descriptor carries mode and flags
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def replace(self, new: Path, old: Path) -> None:
        """Put `new` in the place of `old`."""
        new.replace(old)

    def sync_folder(self, folder: Path) -> None:
        """Make the rename last."""
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class WalletStore:
    """An unlocked wallet. Use as a context manager; made by `create`, `open` or `restore`."""

    def __init__(
        self, folder: Path, key: sealed.SealingKey, image: bytes | None, disk: Disk, lock: int | None
    ) -> None:
        self._folder = folder
        self._key = key
        self._disk = disk
        self._lock = lock
        self._image = image
        self._depth = 0
        self._db = _database(image)

    @property
    def path(self) -> Path:
        """The sealed file."""
        return self._folder / FILE_NAME

    # --- opening and closing ---

    @classmethod
    def create(
        cls, folder: Path, passphrase: str, *, disk: Disk | None = None, cost: sealed.Cost | None = None
    ) -> WalletStore:
        """A new wallet, on the disk with its first transaction; Conflict where there is one."""
        _check_passphrase(passphrase)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Misconfigured(f"{folder} cannot be made: {error.strerror}") from error
        lock = _locked(folder)
        try:
            if (folder / FILE_NAME).exists():
                raise Conflict(f"there is a wallet in {folder} already, and it is not overwritten")
            key = sealed.derive_key(passphrase, secrets.token_bytes(sealed.SALT_BYTES), cost)
            return cls(folder, key, None, disk or Disk(), lock)
        except BaseException:
            os.close(lock)
            raise

    @classmethod
    def open(
        cls, folder: Path, passphrase: str, *, writable: bool = True, disk: Disk | None = None
    ) -> WalletStore:
        """The wallet in `folder`; Misconfigured where there is none or the passphrase is wrong.

        Reading alone needs no lock: a save puts a whole file in the place of a whole file.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            raise Misconfigured(f"there is no wallet in {folder}: make one with `bonafides wallet init`")
        lock = _locked(folder) if writable else None
        try:
            if writable:
                # What a crash left of a save that never was.
                (folder / _NEW_NAME).unlink(missing_ok=True)
            image, key = _unsealed(path, passphrase, STORE_PURPOSE)
            return cls(folder, key, image, disk or Disk(), lock)
        except BaseException:
            if lock is not None:
                os.close(lock)
            raise

    @classmethod
    def restore(
        cls,
        folder: Path,
        image: bytes,
        passphrase: str,
        *,
        disk: Disk | None = None,
        cost: sealed.Cost | None = None,
    ) -> WalletStore:
        """A wallet from the image of a backup, on the disk when this returns; Conflict where there is one."""
        checked = _database(image)
        broken = checked.execute("PRAGMA integrity_check").fetchone()[0] != "ok"
        checked.close()
        if broken:
            raise Malformed("the backup holds a damaged database")
        store = cls.create(folder, passphrase, disk=disk, cost=cost)
        try:
            store._db.close()
            store._db = _database(image)
            store._save()
        except BaseException:
            store.close()
            raise
        return store

    @staticmethod
    def check_unused(folder: Path) -> None:
        """Conflict where another command holds the wallet."""
        os.close(_locked(folder))

    def close(self) -> None:
        """Forget the image and give up the lock."""
        self._db.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- saving ---

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is saved together at the end, or not at all. Inside another it belongs to that one."""
        if self._depth:
            yield
            return
        if self._lock is None:
            raise RuntimeError("this wallet was opened for reading")
        self._depth = 1
        self._db.execute("BEGIN")
        try:
            yield
            self._db.execute("COMMIT")
            self._save()
        except BaseException:
            self._undo()
            raise
        finally:
            self._depth = 0

    def sealed_image(self, passphrase: str, *, cost: sealed.Cost | None = None) -> bytes:
        """The whole wallet as a backup under `passphrase`."""
        _check_passphrase(passphrase)
        salt, nonce = secrets.token_bytes(sealed.SALT_BYTES), secrets.token_bytes(sealed.NONCE_BYTES)
        return sealed.seal(self._db.serialize(), passphrase, salt, nonce, BACKUP_PURPOSE, cost=cost)

    def _save(self) -> None:
        image = self._db.serialize()
        envelope = sealed.seal_with(self._key, image, secrets.token_bytes(sealed.NONCE_BYTES), STORE_PURPOSE)
        write_whole(self._disk, self.path, envelope, new=self._folder / _NEW_NAME)
        self._image = image

    def _undo(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        else:
            self._db.close()
            self._db = _database(self._image)

    # --- keys ---

    def add_key(self, key: HolderKey) -> None:
        """Keep a holder's key."""
        with self.transaction():
            self._db.execute(
                "INSERT INTO holder_keys (did, relation, seed, created, kind) VALUES (?, ?, ?, ?, ?)",
                (key.did, key.relation, key.seed, format_datetime_stamp(key.created), str(key.kind)),
            )

    def holder_keys(self) -> tuple[HolderKey, ...]:
        """The keys that the holder authenticates with, the first that was made first."""
        rows = self._db.execute("SELECT seed, created, relation, kind FROM holder_keys ORDER BY rowid")
        return tuple(
            HolderKey(seed, parse_datetime_stamp(created), relation, KeyKind(kind))
            for seed, created, relation, kind in rows
        )

    def holder_key(self) -> HolderKey:
        """The key that identifies the holder: the first that was made."""
        keys = self.holder_keys()
        if not keys:
            raise NotFound("the wallet has no key")
        return keys[0]

    def add_secrets(self, holder: BoundHolder) -> None:
        """Keep secrets to which an issuer is about to bind a credential."""
        with self.transaction():
            self._db.execute("INSERT INTO secrets (body) VALUES (?)", (_dumps(holder_to_json(holder)),))

    def secrets(self) -> tuple[BoundHolder, ...]:
        """All such secrets, the newest first."""
        rows = self._db.execute("SELECT body FROM secrets ORDER BY number DESC")
        return tuple(holder_of_json(_loads(row[0])) for row in rows)

    # --- holdings ---

    def holdings(self) -> tuple[Holding, ...]:
        """All that is held, in the order in which it came."""
        rows = self._db.execute(
            f"SELECT {_HOLDING} FROM holdings ORDER BY number"  # noqa: S608 - names of columns
        )
        return tuple(map(_holding, rows))

    def holding(self, digest: bytes) -> Holding | None:
        """The holding of a credential with this digest."""
        row = self._db.execute(
            f"SELECT {_HOLDING} FROM holdings WHERE digest = ?",  # noqa: S608 - names of columns
            (digest,),
        ).fetchone()
        return None if row is None else _holding(row)

    def find(self, text: str) -> Holding:
        """As `holdings.find`."""
        return find(self.holdings(), text)

    def save_holding(self, holding: Holding) -> None:
        """Keep a holding, or what became of it."""
        last = holding.last_check
        with self.transaction():
            self._db.execute(
                """
                INSERT INTO holdings (digest, credential, bundle, how, source, received, last_check, secrets)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                ON CONFLICT (digest) DO UPDATE SET
                    credential = excluded.credential, bundle = excluded.bundle, last_check = excluded.last_check,
                    secrets = excluded.secrets
                """,
                (
                    holding.digest,
                    _dumps(holding.credential),
                    None if holding.bundle is None else _dumps(holding.bundle.to_json()),
                    holding.provenance.how,
                    holding.provenance.source,
                    format_datetime_stamp(holding.provenance.received),
                    None if last is None else _dumps(last.to_json()),
                    None if holding.secrets is None else _dumps(holder_to_json(holding.secrets)),
                ),
            )

    def save_loose_bundle(self, digest: bytes, bundle: Bundle) -> None:
        """Keep a bundle whose credential has not come yet."""
        with self.transaction():
            self._db.execute(
                "INSERT OR REPLACE INTO loose_bundles (digest, bundle) VALUES (?, ?)",
                (digest, _dumps(bundle.to_json())),
            )

    def take_loose_bundle(self, digests: tuple[bytes, ...]) -> Bundle | None:
        """The bundle that waited for a credential with one of these digests, which it no longer does."""
        with self.transaction():
            for digest in digests:
                row = self._db.execute(
                    "DELETE FROM loose_bundles WHERE digest = ? RETURNING bundle", (digest,)
                ).fetchone()
                if row is not None:
                    return parse_bundle(_loads(row[0]))
        return None

    def loose_bundles(self) -> tuple[bytes, ...]:
        """Digests of the credentials that bundles wait for."""
        return tuple(row[0] for row in self._db.execute("SELECT digest FROM loose_bundles ORDER BY rowid"))

    # --- unfinished receipts and disclosures ---

    def receipts(self) -> tuple[tuple[int, JsonObject], ...]:
        """Receipts under way, with their numbers, oldest first."""
        rows = self._db.execute("SELECT number, body FROM receipts ORDER BY number")
        return tuple((row[0], _loads(row[1])) for row in rows)

    def save_receipt(self, number: int | None, body: JsonObject) -> int:
        """Keep how far a receipt has got; the number is given with the first time."""
        with self.transaction():
            if number is None:
                cursor = self._db.execute("INSERT INTO receipts (body) VALUES (?)", (_dumps(body),))
                return int(cursor.lastrowid or 0)
            self._db.execute("UPDATE receipts SET body = ? WHERE number = ?", (_dumps(body), number))
            return number

    def drop_receipt(self, number: int) -> None:
        """Forget a receipt that is finished or given up."""
        with self.transaction():
            self._db.execute("DELETE FROM receipts WHERE number = ?", (number,))

    def save_disclosure(self, number: int | None, disclosure: Disclosure) -> int:
        """Record a disclosure, or how it went on; the number is given with the first time."""
        body = _dumps(disclosure.to_json())
        with self.transaction():
            if number is None:
                cursor = self._db.execute("INSERT INTO disclosures (body) VALUES (?)", (body,))
                return int(cursor.lastrowid or 0)
            self._db.execute("UPDATE disclosures SET body = ? WHERE number = ?", (body, number))
            return number

    def disclosures(self) -> tuple[Disclosure, ...]:
        """What was shown, oldest first."""
        rows = self._db.execute("SELECT body FROM disclosures ORDER BY number")
        return tuple(parse_disclosure(_loads(row[0])) for row in rows)


def write_whole(disk: Disk, path: Path, data: bytes, *, new: Path) -> None:
    """Put `data` at `path` whole or not at all; Unavailable where it cannot be written."""
    try:
        try:
            disk.write(new, data)
            disk.replace(new, path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror
        raise Unavailable(f"{path} could not be written and is as it was: {why}") from error
    try:
        disk.sync_folder(path.parent)
    except OSError as error:
        raise Unavailable(f"{path} was written, but its folder not synced: {error.strerror}") from error


def open_backup(path: Path, passphrase: str) -> bytes:
    """The image in a backup file."""
    if not path.is_file():
        raise Misconfigured(f"{path} is no file")
    return _unsealed(path, passphrase, BACKUP_PURPOSE)[0]


def _unsealed(path: Path, passphrase: str, purpose: bytes) -> tuple[bytes, sealed.SealingKey]:
    try:
        return sealed.open_sealed(path.read_bytes(), passphrase, purpose)
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read: {error.strerror}") from error
    except Malformed as error:
        raise Misconfigured(f"{path} is damaged, or is none of ours: {error.detail}") from error
    except NotVerified as error:
        raise Misconfigured(f"{path}: {error.detail}") from error


def _check_passphrase(passphrase: str) -> None:
    if not passphrase:
        raise Misconfigured("an empty passphrase protects nothing")


def _locked(folder: Path) -> int:
    """The descriptor of the lock; the system ends the lock with the process, however that ends."""
    try:
        lock = os.open(folder / _LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise Misconfigured(f"{folder} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise Conflict(f"another command is using the wallet in {folder}: wait for it to end") from error
    return lock


def _database(image: bytes | None) -> sqlite3.Connection:
    # Own transactions: the module's implicit ones begin late and end early.
    db = sqlite3.connect(":memory:", isolation_level=None)
    try:
        if image is not None:
            db.deserialize(image)
        db.execute("PRAGMA trusted_schema = OFF")
        _bring_up_to_date(db)
    except sqlite3.DatabaseError as error:
        db.close()
        raise Misconfigured("the wallet holds no database") from error
    except Misconfigured:
        db.close()
        raise
    return db


def _bring_up_to_date(db: sqlite3.Connection) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise Misconfigured("the wallet was made by a newer release of bonafides: update the program")
    for number, step in enumerate(_STEPS[version:], start=version + 1):
        db.executescript(f"BEGIN;{step};PRAGMA user_version = {number};COMMIT;")


def _holding(row: tuple[bytes, str, str | None, str, str, str, str | None, str | None]) -> Holding:
    digest, credential, bundle, how, source, received, last_check, secrets_of = row
    return Holding(
        digest,
        parse_json(credential, max_bytes=_MAX_JSON_BYTES),
        Provenance(how, source, parse_datetime_stamp(received)),
        None if bundle is None else parse_bundle(_loads(bundle)),
        None if last_check is None else _last_check(_loads(last_check)),
        None if secrets_of is None else holder_of_json(_loads(secrets_of)),
    )


def _last_check(body: JsonObject) -> LastCheck:
    doubts = tuple((str(name), str(outcome), str(basis)) for name, outcome, basis in body["doubts"])
    at: datetime = parse_datetime_stamp(body["at"])
    return LastCheck(at, body["acceptance"], body["headline"], body["sentence"], doubts)


def _dumps(value: Json) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _loads(text: str) -> JsonObject:
    return parse_json_object(text, max_bytes=_MAX_JSON_BYTES)
