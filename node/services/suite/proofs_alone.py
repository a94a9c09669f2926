"""Verification of proofs and of nothing else: for vectors of the specifications and suites, under `/suite` alone.

Some name an issuer at `https://…` and are signed by a did:key, which says nothing of that issuer. The engine rightly
finds no proof of the issuer's; whoever runs such vectors asks only whether the proof fits the document. And the suite
for the data model has one presentation in an envelope of the type `application/jwt`, from a draft of VC-JOSE-COSE,
that holds an array of arrays: of it too the signature alone is judged.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final, TypeGuard

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import check_envelope
from node.core.dataintegrity import Proof, proofs_of, verify_expiry, verify_proof, verify_purpose
from node.core.did.document import ASSERTION_METHOD, AUTHENTICATION
from node.core.did.resolution import did_of, resolve_self_certifying
from node.core.envelope import ENVELOPED_PRESENTATION, read_envelope
from node.core.errors import Malformed, NotVerified
from node.core.keys import PublicKey
from node.core.strict_json import Json, JsonObject
from node.core.verify.report import CheckName, Outcome, Reason, Report

_JWT_URL: Final = "data:application/jwt,"


def conforms(report: Report) -> bool:
    """Whether the document is as the data model wants it."""
    return report[CheckName.CONFORMANCE].outcome is Outcome.PASSED


def rests_on_others(document: JsonObject, report: Report) -> bool:
    """Whether a conforming credential of an issuer at `https://…` failed for want of a proof of that issuer's alone."""
    only_others = report[CheckName.PROOF].reason is Reason.ONLY_THIRD_PARTY_PROOFS
    return conforms(report) and only_others and _issuer_of(document).startswith("https://")


def verify_proofs_alone(document: JsonObject, canonicalizer: Canonicalizer, at: datetime) -> None:
    """Raise unless every proof verifies, to assert, with the key that its did:key (or did:jwk) is.

    Where the issuer is a DID, that is the issuer's. What verification itself raises passes through: NotVerified,
    Malformed, Unavailable.
    """

    issuer = _issuer_of(document)

    def key_of(proof: Proof) -> PublicKey:
        if issuer.startswith("did:") and did_of(proof.verification_method) != issuer:
            raise NotVerified("the proof is not the issuer's", path=("proof",))
        verify_purpose(proof, ASSERTION_METHOD)
        verify_expiry(proof, at)
        return _key_of(proof.verification_method, ASSERTION_METHOD)

    proofs = proofs_of(document)
    if not proofs:
        raise NotVerified("there is no proof", type=problem.CRYPTOGRAPHIC_SECURITY_ERROR)
    for proof in proofs:
        # Those that it builds on are among them, and one that does not verify fails all.
        verify_proof(document, proof, key_of(proof), canonicalizer, verified=proofs)


def is_enveloped_jwt(presentation: Json) -> TypeGuard[JsonObject]:
    """Whether this is the envelope of a presentation whose data URL says `application/jwt`."""
    return (
        isinstance(presentation, dict)
        and presentation.get("type") == ENVELOPED_PRESENTATION
        and str(presentation.get("id")).startswith(_JWT_URL)
    )


def verify_enveloped_jwt(presentation: JsonObject, challenge: str | None) -> None:
    """Raise unless the envelope is sound, its token is signed by the did:key that it names, and answers `challenge`."""
    token_text = presentation["id"].removeprefix(_JWT_URL)
    check_envelope({**presentation, "id": f"data:application/vp+jwt,{token_text}"})
    token = read_envelope(token_text)
    if token is None or not token.presents or token.verification_method is None:
        raise Malformed("the envelope holds no presentation that names its key", path=("id",))
    token.verify(_key_of(token.verification_method, AUTHENTICATION))
    if challenge is not None and token.claims.nonce != challenge:
        raise NotVerified("the presentation answers another challenge", type=problem.INVALID_CHALLENGE_ERROR)


def _issuer_of(document: JsonObject) -> str:
    issuer = document.get("issuer")
    identifier = issuer.get("id") if isinstance(issuer, dict) else issuer
    return identifier if isinstance(identifier, str) else ""


def _key_of(method: str, purpose: str) -> PublicKey:
    found = resolve_self_certifying(did_of(method))
    key = found.method(method, purpose).public_key if found else None
    if key is None:
        raise NotVerified(
            "the key of the proof is not known", type=problem.INVALID_VERIFICATION_METHOD, path=("proof",)
        )
    return key
