"""Proofs of types that are not built here, on which another program may be heard (didkit, the extra of that name).

Its word counts only where it cannot see something else than we do: for types of proof that sign RDF statements, with
members and contexts that leave no choice of reading, by keys that certify themselves. Of issuers whose keys can change
(did:ethr, did:web) it knows no registry and would believe the first key for ever.
"""

from __future__ import annotations

from typing import Final

from node.core.canonical.jcs import canonicalize
from node.core.dataintegrity.proof import Proof
from node.core.dataintegrity.suites import unsecured
from node.core.strict_json import Json, JsonObject

# Types of proof that didkit was seen to check.
TYPES: Final = frozenset(
    {"EcdsaSecp256k1Signature2019", "EcdsaSecp256r1Signature2019", "EcdsaSecp256k1RecoverySignature2020"}
)
_METHODS: Final = ("did:key:", "did:jwk:", "did:pkh:")
# Anything else in a proof might be read by us and not be signed.
_MEMBERS: Final = frozenset(
    {
        "@context",
        "id",
        "type",
        "verificationMethod",
        "proofPurpose",
        "created",
        "domain",
        "challenge",
        "nonce",
    }
    | {"jws"}
)
# didkit reads a proof in its own contexts and in the document's. With one that somebody wrote into either, a member
# that we read (`domain`) could mean nothing to didkit, and so not be signed.
_PROOF_CONTEXTS: Final = frozenset(
    {
        "https://www.w3.org/2018/credentials/v1",
        "https://w3id.org/security/v1",
        "https://w3id.org/security/v2",
        "https://w3id.org/security/suites/secp256k1recovery-2020/v2",
    }
)


def may_be_asked(document: JsonObject, proof: Proof) -> bool:
    """Whether a second program may be heard on `proof`: its type and members, their contexts, whose key it names."""
    return (
        proof.type in TYPES
        and proof.cryptosuite is None
        and proof.raw.keys() <= _MEMBERS
        and proof.verification_method.startswith(_METHODS)
        and set(_context_urls(proof.raw.get("@context", []))) <= _PROOF_CONTEXTS
        and None not in _context_urls(document.get("@context"))
    )


def question(document: JsonObject, proof: Proof) -> str:
    """What it is shown: the document as JSON text, with this one proof. Malformed where it has no canonical form."""
    return canonicalize({**unsecured(document), "proof": proof.raw}).decode()


def _context_urls(contexts: Json) -> list[str | None]:
    """The contexts as URLs; None for one that is written out."""
    listed = contexts if isinstance(contexts, list) else [contexts]
    return [item if isinstance(item, str) else None for item in listed]
