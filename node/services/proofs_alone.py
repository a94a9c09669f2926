"""Verification of a credential's proofs and of nothing else: for vectors of the specifications, under `/suite` alone.

Some of them name an issuer at `https://…` and are signed by a did:key, which says nothing of that issuer. The engine
rightly finds no proof of the issuer's; whoever runs such vectors asks only whether the proof fits the document.
"""

from __future__ import annotations

from datetime import datetime

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import Proof, proofs_of, verify_expiry, verify_proof_chain, verify_purpose
from node.core.did.resolution import did_of, resolve_self_certifying
from node.core.errors import NotVerified
from node.core.keys import PublicKey
from node.core.strict_json import JsonObject
from node.core.verify.report import CheckName, Outcome, Reason, Report

_ASSERTION_METHOD = "assertionMethod"


def rests_on_others(document: JsonObject, report: Report) -> bool:
    """Whether a conforming credential of an issuer at `https://…` failed for want of a proof of that issuer's alone."""
    issuer = document.get("issuer")
    identifier = issuer.get("id") if isinstance(issuer, dict) else issuer
    return (
        report[CheckName.CONFORMANCE].outcome is Outcome.PASSED
        and report[CheckName.PROOF].reason is Reason.ONLY_THIRD_PARTY_PROOFS
        and isinstance(identifier, str)
        and identifier.startswith("https://")
    )


def verify_proofs_alone(document: JsonObject, canonicalizer: Canonicalizer, at: datetime) -> None:
    """Raise unless every proof verifies, to assert, with the key that its did:key (or did:jwk) is.

    What verification itself raises passes through: NotVerified, Malformed, Unavailable.
    """

    def key_of(proof: Proof) -> PublicKey:
        verify_purpose(proof, _ASSERTION_METHOD)
        verify_expiry(proof, at)
        found = resolve_self_certifying(did_of(proof.verification_method))
        key = found.method(proof.verification_method, _ASSERTION_METHOD).public_key if found else None
        if key is None:
            raise NotVerified(
                "the key of the proof is not known", type=problem.INVALID_VERIFICATION_METHOD, path=("proof",)
            )
        return key

    proofs = proofs_of(document)
    if not proofs:
        raise NotVerified("there is no proof", type=problem.CRYPTOGRAPHIC_SECURITY_ERROR)
    for proof in proofs:
        verify_proof_chain(document, proof, key_of, canonicalizer)
