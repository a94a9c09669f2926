"""Proof type Ed25519Signature2018 (W3C CCG, Linked Data Signatures with Ed25519, 2018)."""

from __future__ import annotations

from node.core.canonical.contexts import CREDENTIALS_V1
from node.core.dataintegrity.legacy_suite import DetachedJwsSuite
from node.core.keys import KeyKind


class Ed25519Signature2018(DetachedJwsSuite):
    """URDNA2015, SHA-256, a detached JWS with EdDSA. The context of VC 1.1 defines the type."""

    name = "Ed25519Signature2018"
    contexts = (CREDENTIALS_V1,)
    key_kinds = frozenset({KeyKind.ED25519})
    algorithms = frozenset({"EdDSA"})
