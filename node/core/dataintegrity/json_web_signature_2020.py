"""Proof type JsonWebSignature2020 (W3C CCG, JSON Web Signature 2020): one suite for the keys of JOSE."""

from __future__ import annotations

from node.core.canonical.contexts import CREDENTIALS_V1
from node.core.dataintegrity.legacy_suite import DetachedJwsSuite
from node.core.keys import KeyKind


class JsonWebSignature2020(DetachedJwsSuite):
    """URDNA2015, SHA-256 whatever the curve, a detached JWS with the algorithm of the key.

    Its context has the words of a proof, but not `type` itself: that is the other's.
    """

    name = "JsonWebSignature2020"
    contexts = (CREDENTIALS_V1, "https://w3id.org/security/suites/jws-2020/v1")
    key_kinds = frozenset({KeyKind.ED25519, KeyKind.P256, KeyKind.P384, KeyKind.SECP256K1, KeyKind.RSA})
    algorithms = frozenset({"EdDSA", "ES256", "ES384", "ES256K", "PS256"})
