"""Key files: what is written, what opens it, and the one sentence for everything else."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from node import keystore
from node.core.bbs import signatures as bbs
from node.core.bbs.request import SigningRequest
from node.core.encoding import decode_multibase
from node.core.errors import BonafidesError, Conflict, Malformed, Misconfigured, NotVerified
from node.core.keys import KeyKind
from node.core.sealed import Cost, SealingKey, derive_key, open_sealed, seal, seal_with, unseal

CHEAP = Cost(memory_kib=32, passes=1, lanes=1)
SALT, NONCE = bytes(range(16)), bytes(range(12))


def key_file(folder: Path, kind: KeyKind = KeyKind.ED25519, secret: bytes | None = None) -> Path:
    path = folder / f"{kind}.key"
    keystore.create_key(kind, path, "correct horse", secret=secret, cost=CHEAP)
    return path


class TestSealed:
    def test_what_is_sealed_comes_back(self) -> None:
        envelope = seal(b"plain", "pässword", SALT, NONCE, b"label", cost=CHEAP)
        assert b"plain" not in envelope
        assert unseal(envelope, "pässword", b"label") == b"plain"

    def test_a_passphrase_is_the_same_in_both_unicode_forms(self) -> None:
        envelope = seal(b"plain", "p\u00e4ss", SALT, NONCE, b"", cost=CHEAP)
        assert unseal(envelope, "pa\u0308ss", b"") == b"plain"

    def test_the_default_cost_is_that_of_rfc_9106(self) -> None:
        kdf = json.loads(seal(b"", "p", SALT, NONCE, b""))["kdf"]
        assert (kdf["memory_kib"], kdf["passes"], kdf["lanes"]) == (65536, 3, 4)

    @pytest.mark.parametrize(("passphrase", "associated"), [("wrong", b"label"), ("right", b"other")])
    def test_wrong_passphrase_or_purpose(self, passphrase: str, associated: bytes) -> None:
        envelope = seal(b"plain", "right", SALT, NONCE, b"label", cost=CHEAP)
        with pytest.raises(NotVerified, match="wrong passphrase, or the sealed file was changed"):
            unseal(envelope, passphrase, associated)

    def test_every_member_is_authenticated_or_checked(self) -> None:
        body = json.loads(seal(b"plain", "p", SALT, NONCE, b"", cost=CHEAP))
        changes: list[dict[str, object]] = [
            {"sealed": 2},
            {"cipher": "AES-128-GCM"},
            {"nonce": "AAAA"},
            {"nonce": "AAECAwQFBgcICQoM"},
            {"ciphertext": body["ciphertext"][:-4]},
            {"ciphertext": 1},
            {"kdf": None},
            {"kdf": body["kdf"] | {"passes": 2}},
            {"kdf": body["kdf"] | {"lanes": True}},
            {"kdf": body["kdf"] | {"name": "argon2i"}},
            {"kdf": body["kdf"] | {"memory_kib": 2**31}},
            {"kdf": body["kdf"] | {"salt": "AAAA"}},
            {"more": 1},
        ]
        for change in changes:
            with pytest.raises((Malformed, NotVerified)):
                unseal(json.dumps(body | change).encode(), "p", b"")

    def test_a_derived_key_seals_again_without_the_passphrase(self) -> None:
        first = seal(b"one", "p", SALT, NONCE, b"", cost=CHEAP)
        _, key = open_sealed(first, "p", b"")
        assert unseal(seal_with(key, b"two", bytes(12), b""), "p", b"") == b"two"
        assert key == derive_key("p", SALT, CHEAP)
        assert key.key.hex() not in repr(key)
        assert isinstance(key, SealingKey)


class TestSigners:
    @pytest.mark.parametrize("kind", sorted({*KeyKind} - {KeyKind.RSA, KeyKind.BLS12381_G2}))
    def test_a_key_signs_what_its_public_half_verifies(self, tmp_path: Path, kind: KeyKind) -> None:
        path = key_file(tmp_path, kind)
        signer = keystore.open_signer(f"file:{path}", "correct horse")
        signature = signer.sign(b"message")
        signer.public_key.verify(signature, b"message")
        assert signer.sign(b"message") == signature, "signatures are deterministic"
        assert signer.public_key == keystore.read_public_key(f"file:{path}")
        with pytest.raises(NotVerified):
            signer.public_key.verify(signature, b"another")

    def test_rfc_8032_vector(self) -> None:
        seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
        signer = keystore.signer_of(KeyKind.ED25519, seed)
        assert signer.public_key.raw.hex().startswith("d75a980182b10ab7d54bfed3c964073a")
        assert signer.sign(b"").hex().startswith("e5564300c360ac729086e2cc806e828a84877f1eb8e5d974")

    def test_rfc_6979_vector(self) -> None:
        # A.2.5, P-256 with SHA-256 over "sample": k and r as printed; s there is the higher of the two.
        secret = bytes.fromhex("C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721")
        signature = keystore.signer_of(KeyKind.P256, secret).sign(b"sample")
        r = "EFD48B2AACB6A8FD1140DD9CD45E81D69D2C877B56AAF991C34D0EA84EAF3716"
        s = int("F7CB1C942D657C41D436C7A1B6E29F65F3E900DBB9AFF4064DC4AB2F843ACDA8", 16)
        order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
        assert signature.hex().upper() == r + f"{order - s:064X}"

    def test_a_bbs_key_signs_requests_and_nothing_else(self, tmp_path: Path) -> None:
        path = key_file(tmp_path, KeyKind.BLS12381_G2)
        signer = keystore.open_signer(f"file:{path}", "correct horse")
        public_key = signer.public_key.raw
        messages = [b"one", b"two"]
        signature = signer.sign(SigningRequest(public_key, b"header", messages).encode())
        bbs.verify(public_key, signature, b"header", messages)
        with pytest.raises(NotVerified):
            bbs.verify(public_key, signature, b"header", messages[::-1])
        for message in (b"message", b"", messages[0]):
            with pytest.raises(Malformed):
                signer.sign(message)

    @pytest.mark.parametrize("kind", [KeyKind.P256, KeyKind.P384, KeyKind.SECP256K1, KeyKind.BLS12381_G2])
    def test_a_zero_scalar_is_no_key(self, kind: KeyKind) -> None:
        width = 48 if kind is KeyKind.P384 else 32
        for secret in (bytes(width), b"\xff" * width, bytes(width - 1)):
            with pytest.raises(Malformed):
                keystore.signer_of(kind, secret)


class TestKeyFiles:
    def test_mode_and_no_secret_in_the_clear(self, tmp_path: Path) -> None:
        secret = keystore.generate_secret(KeyKind.SECP256K1)
        path = key_file(tmp_path, KeyKind.SECP256K1, secret)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        text = path.read_text()
        assert secret.hex() not in text
        assert keystore.encode_secret(KeyKind.SECP256K1, secret) not in text
        assert keystore.open_secret(f"file://{path}", "correct horse") == secret
        assert [item.name for item in tmp_path.iterdir()] == [path.name], "no draft is left behind"

    def test_a_key_is_never_overwritten(self, tmp_path: Path) -> None:
        path = key_file(tmp_path)
        before = path.read_bytes()
        with pytest.raises(Conflict, match="exists and is not overwritten"):
            keystore.create_key(KeyKind.ED25519, path, "other", cost=CHEAP)
        assert path.read_bytes() == before
        assert [item.name for item in tmp_path.iterdir()] == [path.name]

    def test_wrong_passphrase_is_one_clear_sentence(self, tmp_path: Path) -> None:
        path = key_file(tmp_path)
        with pytest.raises(Misconfigured, match=rf"^key file {path}: wrong passphrase, or the .* changed$"):
            keystore.open_signer(f"file:{path}", "wrong")

    def test_a_key_that_cannot_be_kept_leaves_no_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(_descriptor: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(Misconfigured, match="No space left on device"):
            key_file(tmp_path)
        assert not list(tmp_path.iterdir())

    def test_an_empty_passphrase_seals_nothing(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match="empty passphrase"):
            keystore.create_key(KeyKind.ED25519, tmp_path / "key", "", cost=CHEAP)

    def test_a_swapped_label_does_not_open(self, tmp_path: Path) -> None:
        path, other = key_file(tmp_path), tmp_path / "other"
        other_key = keystore.create_key(KeyKind.ED25519, other, "correct horse", cost=CHEAP)
        body = json.loads(path.read_text()) | {"publicKeyMultibase": other_key.multibase}
        path.write_text(json.dumps(body))
        with pytest.raises(Misconfigured, match="wrong passphrase, or the sealed file was changed"):
            keystore.open_signer(f"file:{path}", "correct horse")

    @pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"bonafides_key": 1}', b"x" * 20_000])
    def test_damaged_files(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        with pytest.raises(Misconfigured, match=str(path)):
            keystore.open_signer(f"file:{path}", "p")

    def test_missing_things(self, tmp_path: Path) -> None:
        with pytest.raises(Misconfigured, match="cannot be read: No such file"):
            keystore.open_signer(f"file:{tmp_path}/none", "p")
        with pytest.raises(Misconfigured, match="needs a passphrase"):
            keystore.open_signer(f"file:{key_file(tmp_path)}", None)
        with pytest.raises(Misconfigured, match="cannot be written"):
            keystore.create_key(KeyKind.ED25519, tmp_path / "no" / "key", "p", cost=CHEAP)

    @pytest.mark.parametrize(
        "uri", ["", "file:", "env:", "http://x/y", "key", "file://host/p", "file:///p?q"]
    )
    def test_uris_that_name_no_key(self, uri: str) -> None:
        with pytest.raises(Misconfigured, match="file:PATH or env:NAME"):
            keystore.open_signer(uri, "p")


class TestEnvironment:
    def test_a_key_from_the_environment(self) -> None:
        secret = keystore.generate_secret(KeyKind.P256)
        environ = {"KEY": keystore.encode_secret(KeyKind.P256, secret) + "\n"}
        signer = keystore.open_signer("env:KEY", None, environ=environ)
        assert signer.public_key == keystore.read_public_key("env:KEY", environ=environ)
        with pytest.raises(Misconfigured, match="needs a secp256k1 key, this is P-256"):
            keystore.open_secret("env:KEY", None, environ=environ)

    @pytest.mark.parametrize("text", ["", "zzz0", "z" + "1" * 40, "hunter2"])
    def test_messages_do_not_repeat_the_text(self, text: str) -> None:
        with pytest.raises(Misconfigured) as caught:
            keystore.open_signer("env:KEY", None, environ={"KEY": text})
        assert not text or text not in str(caught.value)
        assert caught.value.__suppress_context__ or not text

    def test_secret_text_of_the_published_vectors(self) -> None:
        # VC Data Integrity EdDSA, appendix B: the prefix 0x8026 is the varint of ed25519-priv.
        text = keystore.encode_secret(KeyKind.ED25519, bytes(32))
        assert decode_multibase(text)[:2] == b"\x80\x26"
        assert text.startswith("z3u2")


class TestPassphraseFile:
    @pytest.mark.parametrize("content", [b"secret", b"secret\n", b"secret\r\n"])
    def test_one_line_end_is_dropped(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "passphrase"
        path.write_bytes(content)
        assert keystore.read_passphrase(path) == "secret"

    @pytest.mark.parametrize("content", [b"", b"\n", b"\xff", b"x" * 5000])
    def test_no_passphrase(self, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "passphrase"
        path.write_bytes(content)
        with pytest.raises(BonafidesError, match="passphrase file"):
            keystore.read_passphrase(path)
