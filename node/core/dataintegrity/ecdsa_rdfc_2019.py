"""Cryptosuite ecdsa-rdfc-2019 (Data Integrity ECDSA Cryptosuites 1.0 section 3.2): RDFC-1.0, ECDSA with P-256 or P-384.

SHA-256 goes with P-256 and SHA-384 with P-384, inside the canonicalization too. Signatures are r then s, never DER.
"""

from __future__ import annotations

from types import MappingProxyType

from node.core.dataintegrity.hash_suite import RdfcSuite, Signature
from node.core.keys import KeyKind


class EcdsaRdfc2019(RdfcSuite):
    """ECDSA by FIPS 186-5; nonces are the signer's affair (deterministic ones are advised)."""

    name = "ecdsa-rdfc-2019"
    signatures = MappingProxyType(
        {KeyKind.P256: Signature("sha256", 64), KeyKind.P384: Signature("sha384", 96)}
    )
