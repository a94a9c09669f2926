"""Cryptosuite eddsa-rdfc-2022 (Data Integrity EdDSA Cryptosuites 1.0 section 3.2): RDFC-1.0, SHA-256, Ed25519."""

from __future__ import annotations

from types import MappingProxyType

from node.core.dataintegrity.hash_suite import RdfcSuite, Signature
from node.core.keys import KeyKind


class EddsaRdfc2022(RdfcSuite):
    """EdDSA by RFC 8032 over Ed25519, without a hash before it."""

    name = "eddsa-rdfc-2022"
    signatures = MappingProxyType({KeyKind.ED25519: Signature("sha256", 64)})
