"""The holder's own keys, each under a did:key, for the relation `authentication`.

The first is an Ed25519 key. Issuers that take no EdDSA (those of the EUDI profiles know ES256 alone) make credentials
out to a second one on P-256, which is made when the first of them asks for it. The private keys lie in the wallet's
sealed store and nowhere else. Making one takes bytes from the caller, who draws them from a CSPRNG.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Final

import nacl.bindings

from node.core.did.document import AUTHENTICATION
from node.core.did.key import did_key_of, resolve_did_key
from node.core.errors import NotFound
from node.core.jose.jws import algorithm_of
from node.core.keys import P256_DRAWN_BYTES, KeyKind, PublicKey, p256_scalar

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

SEED_BYTES: Final = 32


@dataclass(frozen=True, repr=False)
class HolderKey:
    """A key of the holder's, a `Signer`; `seed` is the 32-byte private key (RFC 8032; a big-endian scalar)."""

    seed: bytes
    created: datetime
    relation: str = AUTHENTICATION
    kind: KeyKind = KeyKind.ED25519

    @cached_property
    def _pair(self) -> tuple[bytes, bytes]:
        return nacl.bindings.crypto_sign_seed_keypair(self.seed)

    @cached_property
    def _scalar(self) -> EllipticCurvePrivateKey:
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415 - few wallets have such a key

        return ec.derive_private_key(int.from_bytes(self.seed, "big"), ec.SECP256R1())

    @cached_property
    def public_key(self) -> PublicKey:
        """The public half."""
        if self.kind is KeyKind.ED25519:
            return PublicKey(KeyKind.ED25519, self._pair[0])
        point = self._scalar.public_key().public_numbers()
        return PublicKey(KeyKind.P256, bytes([2 + (point.y & 1)]) + point.x.to_bytes(32, "big"))

    @cached_property
    def did(self) -> str:
        """The holder's identifier, which is the public key itself."""
        return did_key_of(self.public_key)

    @cached_property
    def verification_method(self) -> str:
        """The DID URL that proofs name."""
        return resolve_did_key(self.did).methods[0].id

    @property
    def algorithm(self) -> str:
        """Its `alg`."""
        return algorithm_of(self.kind)

    def sign(self, message: bytes) -> bytes:
        """64 bytes, R and S; on P-256 with the nonces of RFC 6979."""
        if self.kind is KeyKind.ED25519:
            return nacl.bindings.crypto_sign(message, self._pair[1])[:64]
        from cryptography.hazmat.primitives import hashes  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec, utils  # noqa: PLC0415

        der = self._scalar.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        r, s = utils.decode_dss_signature(der)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def make_key(kind: KeyKind, draw: Callable[[int], bytes], now: datetime) -> HolderKey:
    """A new key of a kind (Ed25519, P-256); `draw` gives so many bytes from a CSPRNG."""
    if kind is KeyKind.ED25519:
        return HolderKey(draw(SEED_BYTES), now)
    return HolderKey(p256_scalar(draw(P256_DRAWN_BYTES)).to_bytes(SEED_BYTES, "big"), now, kind=KeyKind.P256)


def key_of(keys: Sequence[HolderKey], dids: Sequence[str]) -> HolderKey:
    """The key that speaks for all of these subjects; the first of the keys where nobody is named.

    NotFound where it is none of them.
    """
    for key in keys:
        if all(did == key.did for did in dids):
            return key
    raise NotFound("it was issued to another DID than yours")
