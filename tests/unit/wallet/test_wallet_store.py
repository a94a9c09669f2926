"""The wallet's file: whole or as it was, and nothing without the passphrase."""

from __future__ import annotations

import errno
import json
import secrets
import subprocess
import sys
from pathlib import Path

import pytest
from fixtures.held import held as held_of
from fixtures.held import sd_jwt
from fixtures.verification import NOW, Story, of_key_school
from fixtures.wallets import LEARNER_KEY, OTHER_KEY, PASSPHRASE, QUICK, holding_of, new_wallet

from node.core.errors import Conflict, Misconfigured, Unavailable
from node.core.keys import KeyKind
from wallet.backup import restore, save_backup
from wallet.consent import Disclosed, Disclosure, Outcome, parse_disclosure
from wallet.holder_keys import make_key
from wallet.store import FILE_NAME, SCHEMA_VERSION, Disk, WalletStore, open_backup


class Killed(BaseException):
    """The process ended here."""


class FailingDisk(Disk):
    """Fails, or dies, at a step of a save."""

    def __init__(self) -> None:
        self.step = ""
        self.error: BaseException = OSError()
        self.truncate = False

    def write(self, path: Path, data: bytes) -> None:
        if self.step == "write":
            path.write_bytes(data[: len(data) // 2])
            raise self.error
        super().write(path, data)

    def replace(self, new: Path, old: Path) -> None:
        if self.step == "replace":
            raise self.error
        super().replace(new, old)

    def sync_folder(self, folder: Path) -> None:
        if self.step == "sync":
            raise self.error
        super().sync_folder(folder)


def reopened(folder: Path) -> WalletStore:
    return WalletStore.open(folder, PASSPHRASE)


def test_what_was_kept_is_there_when_it_is_opened_again(tmp_path: Path) -> None:
    held = holding_of(Story())
    with new_wallet(tmp_path) as store:
        store.save_holding(held)
        number = store.save_receipt(None, {"a": 1})
        shown = Disclosed(held.id, "x", ("a",), ("a",), ("code.py",), ("marks",), True)
        disclosure = Disclosure(NOW, "redirect_uri:https://v.example", None, (shown,), Outcome.SENT)
        store.save_disclosure(None, disclosure)
    with reopened(tmp_path) as store:
        assert store.holdings() == (held,)
        assert store.find(held.id[:6]) == held
        assert store.holder_key() == LEARNER_KEY
        assert store.receipts() == ((number, {"a": 1}),)
        assert store.disclosures() == (disclosure,)


def test_the_file_tells_nothing_without_the_passphrase(tmp_path: Path) -> None:
    with new_wallet(tmp_path) as store:
        store.save_holding(holding_of(of_key_school(), bundled=False))
    data = (tmp_path / FILE_NAME).read_bytes()
    for secret in (b"Data structures", b"did:key", b"SQLite", LEARNER_KEY.did.encode()):
        assert secret not in data
    with pytest.raises(Misconfigured, match="wrong passphrase"):
        WalletStore.open(tmp_path, "another one")


def test_the_file_is_the_owners_alone(tmp_path: Path) -> None:
    with new_wallet(tmp_path / "wallet") as store:
        assert store.path.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "wallet").stat().st_mode & 0o777 == 0o700


def test_the_costs_of_a_guess_are_those_of_rfc_9106(tmp_path: Path) -> None:
    with WalletStore.create(tmp_path, PASSPHRASE) as store:
        store.add_key(LEARNER_KEY)
    kdf = json.loads((tmp_path / FILE_NAME).read_bytes())["kdf"]
    assert (kdf["name"], kdf["memory_kib"], kdf["passes"], kdf["lanes"]) == ("argon2id", 65536, 3, 4)


@pytest.mark.parametrize("step", ["write", "replace"])
def test_a_process_that_dies_before_the_rename_leaves_the_old_wallet(tmp_path: Path, step: str) -> None:
    disk = FailingDisk()
    with new_wallet(tmp_path, disk=disk) as store:
        disk.step, disk.error = step, Killed()
        with pytest.raises(Killed):
            store.save_holding(holding_of(of_key_school(), bundled=False))
    with reopened(tmp_path) as store:
        assert store.holdings() == ()
        assert store.holder_key() == LEARNER_KEY
    assert not (tmp_path / "wallet.bonafides.new").exists()


def test_a_process_that_dies_after_the_rename_leaves_the_new_wallet(tmp_path: Path) -> None:
    disk = FailingDisk()
    with new_wallet(tmp_path, disk=disk) as store:
        disk.step, disk.error = "sync", Killed()
        with pytest.raises(Killed):
            store.save_holding(holding_of(of_key_school(), bundled=False))
    with reopened(tmp_path) as store:
        assert len(store.holdings()) == 1


def test_a_full_disk_is_one_clear_error_and_nothing_is_lost(tmp_path: Path) -> None:
    disk = FailingDisk()
    held = holding_of(of_key_school(), bundled=False)
    with new_wallet(tmp_path, disk=disk) as store:
        disk.step, disk.error = "write", OSError(errno.ENOSPC, "No space left on device")
        with pytest.raises(Unavailable, match="as it was: the disk is full"):
            store.save_holding(held)
        assert store.holdings() == (), "memory and disk say the same"
        assert sorted(path.name for path in tmp_path.iterdir()) == [FILE_NAME, "wallet.lock"]
        disk.step = ""
        store.save_holding(held)
    with reopened(tmp_path) as store:
        assert store.holdings() == (held,)


def test_a_transaction_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    with new_wallet(tmp_path) as store:

        def fail_half_way() -> None:
            with store.transaction():
                store.save_holding(holding_of(of_key_school(), bundled=False))
                raise KeyError

        with pytest.raises(KeyError):
            fail_half_way()
        assert store.holdings() == ()
    with reopened(tmp_path) as store:
        assert store.holdings() == ()


def test_a_wallet_is_never_made_over_another(tmp_path: Path) -> None:
    new_wallet(tmp_path).close()
    with pytest.raises(Conflict, match="not overwritten"):
        WalletStore.create(tmp_path, PASSPHRASE, cost=QUICK)


def test_two_commands_do_not_write_at_once_and_a_reader_does_not_wait(tmp_path: Path) -> None:
    with new_wallet(tmp_path):
        with pytest.raises(Conflict, match="another command"):
            WalletStore.open(tmp_path, PASSPHRASE)
        with WalletStore.open(tmp_path, PASSPHRASE, writable=False) as reader:
            assert reader.holder_key() == LEARNER_KEY
            with pytest.raises(RuntimeError, match="for reading"):
                reader.save_receipt(None, {})
    reopened(tmp_path).close()


def test_the_lock_of_a_killed_process_holds_nobody_up(tmp_path: Path) -> None:
    new_wallet(tmp_path).close()
    code = (
        "import sys,os,signal;from pathlib import Path;from wallet.store import WalletStore;"
        f"WalletStore.open(Path({str(tmp_path)!r}), {PASSPHRASE!r});os.kill(os.getpid(), signal.SIGKILL)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -9
    reopened(tmp_path).close()


@pytest.mark.parametrize("cut", [0, 1, 100, 2000])
def test_a_truncated_wallet_is_refused_and_left_alone(tmp_path: Path, cut: int) -> None:
    new_wallet(tmp_path).close()
    path = tmp_path / FILE_NAME
    data = path.read_bytes()[:cut]
    path.write_bytes(data)
    with pytest.raises(Misconfigured):
        reopened(tmp_path)
    assert path.read_bytes() == data


def test_one_changed_byte_of_the_ciphertext_is_refused(tmp_path: Path) -> None:
    new_wallet(tmp_path).close()
    path = tmp_path / FILE_NAME
    body = json.loads(path.read_bytes())
    body["ciphertext"] = ("A" if body["ciphertext"][0] != "A" else "B") + body["ciphertext"][1:]
    path.write_bytes(json.dumps(body).encode())
    with pytest.raises(Misconfigured, match="changed"):
        reopened(tmp_path)


def test_a_wallet_of_a_newer_release_is_not_touched(tmp_path: Path) -> None:
    with new_wallet(tmp_path) as store, store.transaction():
        store._db.execute("COMMIT")
        store._db.execute("PRAGMA user_version = 99")
        store._db.execute("BEGIN")
    with pytest.raises(Misconfigured, match="newer release"):
        reopened(tmp_path)


def test_a_backup_brings_everything_back_under_its_own_passphrase(tmp_path: Path) -> None:
    held = holding_of(Story())
    with new_wallet(tmp_path / "one") as store:
        store.save_holding(held)
        save_backup(store, tmp_path / "b.bak", "other words", replace=False)
        with pytest.raises(Conflict):
            save_backup(store, tmp_path / "b.bak", "other words", replace=False)
    with pytest.raises(Misconfigured, match="wrong passphrase"):
        open_backup(tmp_path / "b.bak", PASSPHRASE)
    store, aside = restore(
        tmp_path / "b.bak", tmp_path / "two", "other words", PASSPHRASE, NOW, replace=False
    )
    with store:
        assert aside is None
        assert store.holdings() == (held,)
    with reopened(tmp_path / "two") as store:
        assert store.holder_key() == LEARNER_KEY


def test_restoring_moves_a_wallet_aside_and_never_overwrites_it(tmp_path: Path) -> None:
    with new_wallet(tmp_path / "one") as store:
        save_backup(store, tmp_path / "b.bak", PASSPHRASE, replace=False)
    new_wallet(tmp_path / "two", key=OTHER_KEY).close()
    before = (tmp_path / "two" / FILE_NAME).read_bytes()
    with pytest.raises(Conflict, match="moved aside"):
        restore(tmp_path / "b.bak", tmp_path / "two", PASSPHRASE, PASSPHRASE, NOW, replace=False)
    assert (tmp_path / "two" / FILE_NAME).read_bytes() == before
    store, aside = restore(tmp_path / "b.bak", tmp_path / "two", PASSPHRASE, PASSPHRASE, NOW, replace=True)
    with store:
        assert store.holder_key() == LEARNER_KEY
    assert aside is not None
    assert aside.read_bytes() == before


def test_a_damaged_backup_moves_nothing(tmp_path: Path) -> None:
    with new_wallet(tmp_path / "one") as store:
        save_backup(store, tmp_path / "b.bak", PASSPHRASE, replace=False)
        save = (tmp_path / "b.bak").read_bytes()
    (tmp_path / "b.bak").write_bytes(save[:-100])
    before = (tmp_path / "one" / FILE_NAME).read_bytes()
    with pytest.raises(Misconfigured):
        restore(tmp_path / "b.bak", tmp_path / "one", PASSPHRASE, PASSPHRASE, NOW, replace=True)
    assert (tmp_path / "one" / FILE_NAME).read_bytes() == before


def test_a_wallet_file_is_no_backup(tmp_path: Path) -> None:
    new_wallet(tmp_path).close()
    with pytest.raises(Misconfigured, match="wrong passphrase"):
        open_backup(tmp_path / FILE_NAME, PASSPHRASE)


def test_a_wallet_of_the_first_schema_keeps_all_that_is_in_it(tmp_path: Path) -> None:
    """Before keys had kinds, all were Ed25519; credentials were objects, which they may still be."""
    held = holding_of(Story())
    with new_wallet(tmp_path) as store:
        store.save_holding(held)
        with store.transaction():
            store._db.execute("ALTER TABLE holder_keys DROP COLUMN kind")
            store._db.execute("ALTER TABLE holdings DROP COLUMN secrets")
            store._db.execute("DROP TABLE secrets")
            store._db.execute("PRAGMA user_version = 1")
    with reopened(tmp_path) as store:
        assert store.holder_keys() == (LEARNER_KEY,)
        assert store.holdings() == (held,)
        assert store._db.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION
        store.add_key(make_key(KeyKind.P256, secrets.token_bytes, NOW))
    with reopened(tmp_path) as store:
        assert [key.kind for key in store.holder_keys()] == [KeyKind.ED25519, KeyKind.P256]


def test_a_token_is_kept_as_the_text_that_it_is(tmp_path: Path) -> None:
    holding = held_of(sd_jwt())
    with new_wallet(tmp_path) as store:
        store.save_holding(holding)
    with reopened(tmp_path) as store:
        assert store.holdings() == (holding,)
        assert isinstance(store.holdings()[0].credential, str)


def test_a_record_from_before_there_was_a_choice_is_read() -> None:
    shown = Disclosed("ab", "x", ("a",), ("a",), (), (), True).to_json()
    for name in ("always", "hidden", "linkable", "pseudonymous"):
        del shown[name]
    body = Disclosure(NOW, "v", None, (), Outcome.SENT).to_json() | {"shown": [shown]}
    (read,) = parse_disclosure(body).shown
    assert (read.hidden, read.always, read.linkable) == ((), (), True)


@pytest.mark.parametrize("kind", [KeyKind.ED25519, KeyKind.P256])
def test_what_a_key_of_the_holder_signs_verifies(kind: KeyKind) -> None:
    key = make_key(kind, secrets.token_bytes, NOW)
    key.public_key.verify(key.sign(b"message"), b"message")
    assert key.verification_method.startswith(f"{key.did}#")
