"""Proof type Ed25519Signature2020 (Data Integrity EdDSA Cryptosuites 1.0 appendix B.1), as VC 1.1 badges carry it."""

from __future__ import annotations

from node.core.dataintegrity.cryptosuite import bad_value, decode_proof_value
from node.core.dataintegrity.legacy_suite import LegacySuite
from node.core.dataintegrity.proof import Proof
from node.core.keys import KeyKind, PublicKey


class Ed25519Signature2020(LegacySuite):
    """RDFC-1.0, SHA-256, Ed25519; `proofValue` is the raw signature in base58btc."""

    name = "Ed25519Signature2020"
    contexts = ("https://w3id.org/security/suites/ed25519-2020/v1",)
    key_kinds = frozenset({KeyKind.ED25519})
    signature_member = "proofValue"

    def verify_signature(self, proof: Proof, public_key: PublicKey, hashes: bytes) -> None:
        """Raise unless `proofValue` is `public_key`'s over `hashes`."""
        signature = decode_proof_value(proof, "z")
        if len(signature) != 64:
            raise bad_value(f"expected a signature of 64 bytes, got {len(signature)}")
        public_key.verify(signature, hashes)
