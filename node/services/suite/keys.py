"""Issuers for interoperability suites: one did:key for each type of key, all drawn from one seed.

The suites name an issuer in a file beside them, so its DID must be the same at each start. Such keys sign whatever
anybody sends: they are for trying, recognised by nobody, and kept in a plain file of mode 0600.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from node.core.did.key import did_key_of
from node.core.errors import Malformed, Misconfigured
from node.core.keys import KeyKind, PublicKey, Signer
from node.keystore import signer_of

SEED_BYTES: Final = 32
_KINDS: Final = {KeyKind.ED25519: 32, KeyKind.P256: 32, KeyKind.P384: 48, KeyKind.BLS12381_G2: 32}


@dataclass(frozen=True, slots=True)
class SuiteKey:
    """One key and the DID that it is."""

    kind: KeyKind
    signer: Signer

    @property
    def public_key(self) -> PublicKey:
        """The public half."""
        return self.signer.public_key

    @property
    def did(self) -> str:
        """The issuer's identifier."""
        return did_key_of(self.public_key)

    @property
    def verification_method(self) -> str:
        """The DID URL of the key."""
        return f"{self.did}#{self.public_key.multibase}"


def suite_keys(seed: bytes) -> Mapping[KeyKind, SuiteKey]:
    """The keys that a seed of 32 bytes stands for; equal seeds give equal keys."""
    if len(seed) != SEED_BYTES:
        raise Malformed(f"a seed has {SEED_BYTES} bytes")
    return {kind: SuiteKey(kind, _signer(seed, kind, length)) for kind, length in _KINDS.items()}


def read_seed(path: Path) -> bytes:
    """The seed in a file of hexadecimal text; a new one, made durable, where there is no file."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return _read(path)
    except OSError as error:
        raise Misconfigured(f"{path}: {error.strerror}") from error
    seed = secrets.token_bytes(SEED_BYTES)
    with open(descriptor, "w", encoding="ascii") as file:  # noqa: PTH123 - the descriptor carries the mode
        file.write(seed.hex() + "\n")
        file.flush()
        os.fsync(file.fileno())
    return seed


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            seed = bytes.fromhex(file.read(4 * SEED_BYTES).decode("ascii"))
    except (OSError, ValueError) as error:
        raise Misconfigured(f"{path} does not hold a seed for suite keys") from error
    if len(seed) != SEED_BYTES:
        raise Misconfigured(f"{path} does not hold a seed of {SEED_BYTES} bytes")
    return seed


def _signer(seed: bytes, kind: KeyKind, length: int) -> Signer:
    for attempt in range(256):
        info = f"bonafides suite key {kind} {attempt}".encode()
        secret = HKDF(hashes.SHA256(), length, None, info).derive(seed)
        try:
            return signer_of(kind, secret)
        except Malformed:  # beyond the group's order, which of BLS12-381 every second draw is
            continue
    raise Malformed("no key can be drawn from this seed")
