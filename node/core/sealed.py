"""Bytes sealed under a passphrase: Argon2id (RFC 9106) makes the key, AES-256-GCM (SP 800-38D) the envelope.

One implementation for the node's key files and the wallet's store and backups. Pure: salt (16 bytes) and
nonce (12 bytes) are arguments, and whoever passes them draws them anew from a CSPRNG, because a nonce used
twice under one key gives both plaintexts away. The envelope is a JSON object; everything in it is
authenticated, together with `associated`, which says what the plaintext is and does not lie inside.
"""

from __future__ import annotations

import json
import unicodedata
from dataclasses import dataclass
from typing import Final

import argon2.low_level
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.strict_json import JsonObject, parse_json_object

VERSION: Final = 1
SALT_BYTES: Final = 16
NONCE_BYTES: Final = 12
KEY_BYTES: Final = 32
MAX_ENVELOPE_BYTES: Final = 512 * 1024 * 1024
# A restored backup is anybody's file: its costs are limited before a byte of memory is taken.
_MAX_MEMORY_KIB: Final = 1024 * 1024
_MAX_PASSES: Final = 16
_MAX_LANES: Final = 16
_KDF: Final = "argon2id"
_CIPHER: Final = "AES-256-GCM"


@dataclass(frozen=True, slots=True)
class Cost:
    """What one guess costs. The default is the second recommended choice of RFC 9106 section 4."""

    memory_kib: int = 64 * 1024
    passes: int = 3
    lanes: int = 4

    def __post_init__(self) -> None:
        if not (
            1 <= self.lanes <= _MAX_LANES
            and 1 <= self.passes <= _MAX_PASSES
            and 8 * self.lanes <= self.memory_kib <= _MAX_MEMORY_KIB
        ):
            raise Malformed("Argon2id costs out of range")


@dataclass(frozen=True, slots=True, repr=False)
class SealingKey:
    """A key made from a passphrase, for those who seal often: the wallet saves after every change."""

    salt: bytes
    cost: Cost
    key: bytes


def derive_key(passphrase: str, salt: bytes, cost: Cost | None = None) -> SealingKey:
    """The key of `passphrase` (NFC, UTF-8) and a 16-byte `salt`; takes a tenth of a second on purpose."""
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes")
    cost = cost or Cost()
    key = argon2.low_level.hash_secret_raw(
        unicodedata.normalize("NFC", passphrase).encode("utf-8"),
        salt,
        time_cost=cost.passes,
        memory_cost=cost.memory_kib,
        parallelism=cost.lanes,
        hash_len=KEY_BYTES,
        type=argon2.low_level.Type.ID,
        version=argon2.low_level.ARGON2_VERSION,
    )
    return SealingKey(salt, cost, key)


def seal_with(key: SealingKey, plaintext: bytes, nonce: bytes, associated: bytes) -> bytes:
    """The envelope of `plaintext` under a derived key; `nonce` is 12 bytes never used with it before."""
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"a nonce has {NONCE_BYTES} bytes")
    head = _head(key, nonce)
    ciphertext = AESGCM(key.key).encrypt(nonce, plaintext, _authenticated(head, associated))
    return json.dumps({**head, "ciphertext": encode_base64url(ciphertext)}, indent=1).encode("ascii") + b"\n"


def seal(
    plaintext: bytes,
    passphrase: str,
    salt: bytes,
    nonce: bytes,
    associated: bytes,
    *,
    cost: Cost | None = None,
) -> bytes:
    """The envelope of `plaintext` under `passphrase`; `salt` is 16 and `nonce` 12 fresh random bytes."""
    return seal_with(derive_key(passphrase, salt, cost), plaintext, nonce, associated)


def unseal(
    envelope: bytes, passphrase: str, associated: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES
) -> bytes:
    """The plaintext; Malformed where it is no envelope, NotVerified where passphrase or content is wrong."""
    return open_sealed(envelope, passphrase, associated, max_bytes=max_bytes)[0]


def open_sealed(
    envelope: bytes, passphrase: str, associated: bytes, *, max_bytes: int = MAX_ENVELOPE_BYTES
) -> tuple[bytes, SealingKey]:
    """As `unseal`, and the key as well, so that the next `seal_with` need not derive it again."""
    body = parse_json_object(envelope, max_bytes=max_bytes)
    salt, nonce, cost = _read_head(body)
    ciphertext = decode_base64url(_text(body, "ciphertext"))
    key = derive_key(passphrase, salt, cost)
    try:
        plaintext = AESGCM(key.key).decrypt(nonce, ciphertext, _authenticated(_head(key, nonce), associated))
    except InvalidTag as error:
        # The two cannot be told apart, and saying which would help only somebody who guesses.
        raise NotVerified("wrong passphrase, or the sealed file was changed") from error
    return plaintext, key


def _head(key: SealingKey, nonce: bytes) -> JsonObject:
    return {
        "sealed": VERSION,
        "kdf": {
            "name": _KDF,
            "salt": encode_base64url(key.salt),
            "memory_kib": key.cost.memory_kib,
            "passes": key.cost.passes,
            "lanes": key.cost.lanes,
        },
        "cipher": _CIPHER,
        "nonce": encode_base64url(nonce),
    }


def _read_head(body: JsonObject) -> tuple[bytes, bytes, Cost]:
    if body.get("sealed") != VERSION or body.keys() != {"sealed", "kdf", "cipher", "nonce", "ciphertext"}:
        raise Malformed(f"not a sealed file of version {VERSION}")
    kdf = body["kdf"]
    if not isinstance(kdf, dict) or kdf.keys() != {"name", "salt", "memory_kib", "passes", "lanes"}:
        raise Malformed("the key derivation of a sealed file is incomplete", path=("kdf",))
    if kdf["name"] != _KDF or body["cipher"] != _CIPHER:
        raise Malformed(f"sealed otherwise than with {_KDF} and {_CIPHER}")
    costs = [kdf[name] for name in ("memory_kib", "passes", "lanes")]
    if not all(type(number) is int for number in costs):
        raise Malformed("Argon2id costs are integers", path=("kdf",))
    salt, nonce = decode_base64url(_text(kdf, "salt")), decode_base64url(_text(body, "nonce"))
    if len(salt) != SALT_BYTES or len(nonce) != NONCE_BYTES:
        raise Malformed("salt or nonce of a sealed file has a wrong length")
    return salt, nonce, Cost(*costs)


def _authenticated(head: JsonObject, associated: bytes) -> bytes:
    # The length in front keeps head and associated data apart.
    data = json.dumps(head, sort_keys=True, separators=(",", ":")).encode("ascii")
    return len(data).to_bytes(4, "big") + data + associated


def _text(body: JsonObject, member: str) -> str:
    value = body.get(member)
    if not isinstance(value, str):
        raise Malformed(f"{member} must be a string", path=(member,))
    return value
