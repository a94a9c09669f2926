"""The holder's own key: an Ed25519 key under a did:key, for the relation `authentication`.

The seed lies in the wallet's sealed store and nowhere else. Making one takes a seed from the caller, who draws it
from a CSPRNG.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Final

import nacl.bindings

from node.core.did.document import AUTHENTICATION
from node.core.did.key import did_key_of, resolve_did_key
from node.core.keys import KeyKind, PublicKey

SEED_BYTES: Final = 32


@dataclass(frozen=True, repr=False)
class HolderKey:
    """A key of the holder's; `seed` is the 32-byte private key of RFC 8032. A `Signer`."""

    seed: bytes
    created: datetime
    relation: str = AUTHENTICATION

    @cached_property
    def _pair(self) -> tuple[bytes, bytes]:
        return nacl.bindings.crypto_sign_seed_keypair(self.seed)

    @cached_property
    def public_key(self) -> PublicKey:
        """The public half."""
        return PublicKey(KeyKind.ED25519, self._pair[0])

    @cached_property
    def did(self) -> str:
        """The holder's identifier, which is the public key itself."""
        return did_key_of(self.public_key)

    @cached_property
    def verification_method(self) -> str:
        """The DID URL that proofs name."""
        return resolve_did_key(self.did).methods[0].id

    def sign(self, message: bytes) -> bytes:
        """64 bytes, R and S."""
        return nacl.bindings.crypto_sign(message, self._pair[1])[:64]
