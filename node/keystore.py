"""Private keys at rest, and the Signers opened from them by URI.

`file:PATH` is a key file sealed under a passphrase (`node.core.sealed`), mode 0600. `env:NAME` is an
environment variable that holds `secretKeyMultibase` (Controlled Identifiers 1.0 section 2.2.2), for tests and
for containers whose orchestrator hands out secrets; it needs no passphrase. Whoever can read an opened key
can sign: nothing here protects a running process from its own machine.

ECDSA is deterministic (RFC 6979) with low s, so a weak random source cannot leak a key. Messages name the
file and what is expected of it, never a secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import coincurve
import nacl.bindings
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.core import sealed
from node.core.encoding import decode_multibase, decode_varint, encode_multibase, encode_varint
from node.core.errors import Conflict, Malformed, Misconfigured, NotVerified
from node.core.keys import KeyKind, PublicKey, Signer, parse_multikey
from node.core.strict_json import JsonObject, parse_json_object

_VERSION: Final = 1
_MAX_KEY_FILE_BYTES: Final = 16 * 1024
_MAX_PASSPHRASE_BYTES: Final = 4096
_SECRET_BYTES: Final = {
    KeyKind.ED25519: 32,
    KeyKind.P256: 32,
    KeyKind.P384: 48,
    KeyKind.P521: 66,
    KeyKind.SECP256K1: 32,
    KeyKind.BLS12381_G2: 32,
}
# The multicodec table's "…-priv" codes, as `secretKeyMultibase` uses them.
_SECRET_MULTICODEC: Final = {
    KeyKind.ED25519: 0x1300,
    KeyKind.SECP256K1: 0x1301,
    KeyKind.P256: 0x1306,
    KeyKind.P384: 0x1307,
    KeyKind.P521: 0x1308,
    KeyKind.BLS12381_G2: 0x130A,
}
_KIND_OF_SECRET: Final = {code: kind for kind, code in _SECRET_MULTICODEC.items()}


@dataclass(frozen=True, slots=True)
class _Nist:
    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm
    order: int
    width: int


_NIST: Final = {
    KeyKind.P256: _Nist(
        ec.SECP256R1(),
        hashes.SHA256(),
        0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
        32,
    ),
    KeyKind.P384: _Nist(
        ec.SECP384R1(),
        hashes.SHA384(),
        0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
        48,
    ),
    KeyKind.P521: _Nist(
        ec.SECP521R1(),
        hashes.SHA512(),
        0x01FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA51868783BF2F966B7FCC0148F709A5D03BB5C9B8899C47AEBB6FB71E91386409,
        66,
    ),
}


class Ed25519Signer:
    """Signs with libsodium; `secret` is the 32-byte seed of RFC 8032."""

    def __init__(self, secret: bytes) -> None:
        public, self._secret = nacl.bindings.crypto_sign_seed_keypair(secret)
        self._public_key = PublicKey(KeyKind.ED25519, public)

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """64 bytes, R and S."""
        return nacl.bindings.crypto_sign(message, self._secret)[:64]


class Secp256k1Signer:
    """ECDSA over SHA-256 of the message; `secret` is the 32-byte scalar."""

    def __init__(self, secret: bytes) -> None:
        self._key = coincurve.PrivateKey(secret)
        self._public_key = PublicKey(KeyKind.SECP256K1, self._key.public_key.format(compressed=True))

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """64 bytes, r and s; libsecp256k1 is deterministic and gives low s by itself."""
        r, s = decode_dss_signature(self._key.sign(message))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


class NistSigner:
    """ECDSA on P-256 with SHA-256, P-384 with SHA-384, P-521 with SHA-512; `secret`: the scalar, curve's width."""

    def __init__(self, kind: KeyKind, secret: bytes) -> None:
        self._form = _NIST[kind]
        self._key = ec.derive_private_key(int.from_bytes(secret, "big"), self._form.curve)
        point = self._key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
        self._public_key = PublicKey(kind, point)

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """r and s, each of the curve's width; of the two valid s the lower."""
        algorithm = ec.ECDSA(self._form.hash, deterministic_signing=True)
        r, s = decode_dss_signature(self._key.sign(message, algorithm))
        s = min(s, self._form.order - s)
        return r.to_bytes(self._form.width, "big") + s.to_bytes(self._form.width, "big")


class BbsSigner:
    """BBS over BLS12-381; `secret` is the 32-byte scalar. The curve's arithmetic is not in constant time."""

    def __init__(self, secret: bytes) -> None:
        from node.core.bbs.signatures import public_key_of  # noqa: PLC0415 - few have such a key

        self._secret = int.from_bytes(secret, "big")
        self._public_key = PublicKey(KeyKind.BLS12381_G2, public_key_of(self._secret))

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """80 bytes; `message` is an encoded `SigningRequest`, anything else is Malformed."""
        from node.core.bbs.request import sign_request  # noqa: PLC0415 - as above

        return sign_request(self._secret, message)


def signer_of(kind: KeyKind, secret: bytes) -> Signer:
    """A Signer on raw secret bytes (seed or scalar); Malformed where they are no key of that kind."""
    if kind not in _SECRET_BYTES:
        raise Malformed(f"{kind} keys only verify here")
    if len(secret) != _SECRET_BYTES[kind]:
        raise Malformed(f"a {kind} secret key has {_SECRET_BYTES[kind]} bytes, got {len(secret)}")
    try:
        if kind is KeyKind.ED25519:
            return Ed25519Signer(secret)
        if kind is KeyKind.SECP256K1:
            return Secp256k1Signer(secret)
        if kind is KeyKind.BLS12381_G2:
            return BbsSigner(secret)
        return NistSigner(kind, secret)
    except ValueError as error:
        raise Malformed(f"not a secret key on {kind}") from error


def generate_secret(kind: KeyKind) -> bytes:
    """Fresh secret bytes from the system's CSPRNG."""
    while True:
        secret = secrets.token_bytes(_SECRET_BYTES[kind])
        if kind is KeyKind.P521:
            secret = bytes([secret[0] & 1]) + secret[1:]  # 521 bits in 66 bytes
        # A draw outside the group's order happens once in 2^32 at worst (P-256): draw again.
        with contextlib.suppress(Malformed):
            signer_of(kind, secret)
            return secret


def create_key(
    kind: KeyKind,
    path: Path,
    passphrase: str,
    *,
    secret: bytes | None = None,
    cost: sealed.Cost | None = None,
) -> PublicKey:
    """Make a key (or take `secret`), seal it into a new file and give back its public half.

    Conflict where the file exists: a key is never overwritten. Durable when this returns.
    """
    secret = generate_secret(kind) if secret is None else secret
    public_key = signer_of(kind, secret).public_key
    _write(path, _key_file(public_key, secret, passphrase, cost))
    return public_key


def read_public_key(uri: str, *, environ: Mapping[str, str] = os.environ) -> PublicKey:
    """The public half without opening the key; for `file:` a label until `open_signer` confirms it."""
    scheme, rest = _split(uri)
    if scheme == "env":
        kind, secret = _from_environment(rest, environ)
        return signer_of(kind, secret).public_key
    return _read_file(Path(rest))[0]


def open_signer(uri: str, passphrase: str | None, *, environ: Mapping[str, str] = os.environ) -> Signer:
    """The Signer that `uri` names; Misconfigured, with one sentence, where it cannot be had."""
    return signer_of(*_open(uri, passphrase, environ))


def open_secret(uri: str, passphrase: str | None, *, environ: Mapping[str, str] = os.environ) -> bytes:
    """The 32 raw bytes of a secp256k1 key, for Ethereum accounts; any other kind is Misconfigured."""
    kind, secret = _open(uri, passphrase, environ)
    if kind is not KeyKind.SECP256K1:
        raise Misconfigured(f"{uri}: an Ethereum account needs a secp256k1 key, this is {kind}")
    return secret


def encode_secret(kind: KeyKind, secret: bytes) -> str:
    """`secretKeyMultibase`, the text that an `env:` variable holds."""
    return encode_multibase(encode_varint(_SECRET_MULTICODEC[kind]) + secret)


def parse_secret(text: str) -> tuple[KeyKind, bytes]:
    """Inverse of `encode_secret`; Malformed otherwise, without repeating the text."""
    data = decode_multibase(text, "z")
    code, length = decode_varint(data)
    kind = _KIND_OF_SECRET.get(code)
    if kind is None or len(data) - length != _SECRET_BYTES[kind]:
        raise Malformed("not the secretKeyMultibase of a key type of ours")
    return kind, data[length:]


def read_passphrase(path: Path) -> str:
    """The passphrase in a file, less one final line end; Misconfigured where unreadable, empty or not
    UTF-8.
    """
    try:
        data = _read_bytes(path, _MAX_PASSPHRASE_BYTES, "passphrase file")
        text = data.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError as error:
        raise Misconfigured(f"passphrase file {path} is not UTF-8") from error
    if not text:
        raise Misconfigured(f"passphrase file {path} is empty")
    return text


def _split(uri: str) -> tuple[str, str]:
    scheme, colon, rest = uri.partition(":")
    if colon and scheme == "env" and rest:
        return "env", rest
    if colon and scheme == "file" and rest:
        if not rest.startswith("//"):
            return "file", rest
        parts = urlsplit(uri)
        if parts.netloc in ("", "localhost") and parts.path and not (parts.query or parts.fragment):
            return "file", unquote(parts.path)
    raise Misconfigured(
        f"a key is named by file:PATH or env:NAME, got {scheme + colon if colon else 'no scheme'}"
    )


def _open(uri: str, passphrase: str | None, environ: Mapping[str, str]) -> tuple[KeyKind, bytes]:
    scheme, rest = _split(uri)
    if scheme == "env":
        return _from_environment(rest, environ)
    if passphrase is None:
        raise Misconfigured(f"key file {rest} needs a passphrase")
    secret, public_key = _open_file(Path(rest), passphrase)
    return public_key.kind, secret


def _from_environment(name: str, environ: Mapping[str, str]) -> tuple[KeyKind, bytes]:
    text = environ.get(name)
    if not text:
        raise Misconfigured(f"environment variable {name} holds no key")
    try:
        return parse_secret(text.strip())
    except Malformed:
        # Without the cause: its message is harmless today, but a key in a traceback would not be.
        raise Misconfigured(f"environment variable {name} does not hold a secretKeyMultibase") from None


def _associated(public_key: PublicKey) -> bytes:
    return b"bonafides key file 1\0" + public_key.multicodec_bytes


def _key_file(public_key: PublicKey, secret: bytes, passphrase: str, cost: sealed.Cost | None) -> bytes:
    if not passphrase:
        raise Misconfigured("an empty passphrase protects nothing")
    envelope = sealed.seal(
        encode_secret(public_key.kind, secret).encode("ascii"),
        passphrase,
        secrets.token_bytes(sealed.SALT_BYTES),
        secrets.token_bytes(sealed.NONCE_BYTES),
        _associated(public_key),
        cost=cost,
    )
    body = {
        "bonafides_key": _VERSION,
        "kind": str(public_key.kind),
        "publicKeyMultibase": public_key.multibase,
        "secret": json.loads(envelope),
    }
    return json.dumps(body, indent=1).encode("ascii") + b"\n"


def _read_file(path: Path) -> tuple[PublicKey, JsonObject]:
    try:
        return _parse_file(_read_bytes(path, _MAX_KEY_FILE_BYTES, "key file"))
    except Malformed as error:
        raise Misconfigured(f"key file {path} is damaged: {error.detail}") from error


def _parse_file(data: bytes) -> tuple[PublicKey, JsonObject]:
    body = parse_json_object(data)
    envelope, label = body.get("secret"), body.get("publicKeyMultibase")
    if body.get("bonafides_key") != _VERSION or not isinstance(envelope, dict):
        raise Malformed(f"not a key file of version {_VERSION}")
    public_key = parse_multikey(label if isinstance(label, str) else "")
    if body.get("kind") != public_key.kind:
        raise Malformed("kind and public key differ")
    return public_key, envelope


def _open_file(path: Path, passphrase: str) -> tuple[bytes, PublicKey]:
    public_key, envelope = _read_file(path)
    try:
        # The public key is authenticated with the envelope, so a label that was swapped does not open.
        text = sealed.unseal(json.dumps(envelope).encode(), passphrase, _associated(public_key))
        _, secret = parse_secret(text.decode("ascii"))
    except Malformed as error:
        raise Misconfigured(f"key file {path} is damaged: {error.detail}") from error
    except NotVerified as error:
        raise Misconfigured(f"key file {path}: {error.detail}") from error
    return secret, public_key


def _read_bytes(path: Path, limit: int, what: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise Misconfigured(f"{what} {path} cannot be read: {error.strerror}") from error
    if len(data) > limit:
        raise Misconfigured(f"{what} {path} has more than {limit:,} bytes")
    return data


def _write(path: Path, data: bytes) -> None:
    """Put `data` at `path` whole or not at all, and on the disk before this returns."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with open(descriptor, "wb") as file:  # noqa: PTH123 - the descriptor carries the mode
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            # A link, unlike a rename, refuses to take the place of another key.
            os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
        _sync_folder(path.parent)
    except FileExistsError as error:
        raise Conflict(f"key file {path} exists and is not overwritten") from error
    except OSError as error:
        raise Misconfigured(f"key file {path} cannot be written: {error.strerror}") from error


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
