"""The signature of a token, judged (CHECKS.md 3 and 4): JWT and SD-JWT, COSE, and the older kinds of VC-JWT.

VC-JOSE-COSE section 4 (verification), RFC 8725. A token has one signature, so it is the issuer's or the token is
nobody's; `jwk` in its header only helps to choose among the keys that the issuer's own identifier lists, or that an
issuer with an https address publishes there.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime

from node.core.did.address import is_address
from node.core.did.document import ASSERTION_METHOD
from node.core.did.resolution import did_of
from node.core.envelope import Envelope
from node.core.errors import Malformed
from node.core.jose.claims import Claims
from node.core.keys import PublicKey
from node.core.verify.methods import KeyFinder, KeyNamed
from node.core.verify.proofs import ProofChecks, checks_of, without
from node.core.verify.reading import Document
from node.core.verify.report import Outcome, Reason
from node.core.verify.signature import Verdict, judge_signature


def check_token(
    document: Document,
    envelope: Envelope,
    find_key: KeyFinder,
    as_of: datetime,
    domain: Collection[str] | None = None,
) -> ProofChecks:
    """The proof and proof purpose checks of a credential that is a token; `domain` are the names we asked it for by."""
    assert document.facts is not None  # noqa: S101 - nothing asks before the document was read
    issuer = document.facts.issuer_id
    named = signer_of(envelope, issuer, ASSERTION_METHOD)
    if not issuer:
        return _without_key("the token does not name its issuer, and certificates are not looked at here")
    if not may_be_of(named, issuer):
        basis = "the token was signed by somebody else than the issuer that it names"
        return without(basis, Reason.ONLY_THIRD_PARTY_PROOFS)
    # Where the token repeats when the document begins and ends, that is the document's life, not the signature's.
    life = (document.facts.valid_from, document.facts.valid_until)
    verdict = judge_token(envelope, named, find_key, as_of, life)
    return checks_of([(ASSERTION_METHOD, _addressed(verdict, envelope.claims, domain))])


def _addressed(verdict: Verdict, claims: Claims, domain: Collection[str] | None) -> Verdict:
    """The verdict, unless the token is for others: whoever is not meant has to reject it (RFC 7519 section 4.1.3)."""
    if "aud" not in claims.raw or verdict.outcome is not Outcome.PASSED:
        return verdict
    told = f"addressed to {', '.join(claims.audience)[:200] or 'nobody'} (aud)"
    if domain is None:
        basis = (
            f"{verdict.basis}; {told}, and nothing was asked for by which we would know whether we are meant"
        )
        return replace(verdict, outcome=Outcome.UNKNOWN, basis=basis, reason=Reason.NOT_ASKED)
    if set(claims.audience).isdisjoint(domain):
        basis = f"{told}, who did not ask for it here"
        return replace(verdict, outcome=Outcome.FAILED, basis=basis, reason=Reason.FOR_SOMEBODY_ELSE)
    return verdict


def _without_key(basis: str) -> ProofChecks:
    return checks_of([(ASSERTION_METHOD, Verdict(Outcome.UNKNOWN, basis, Reason.KEY_NOT_LOOKED_UP))])


def signer_of(envelope: Envelope, party: str, purpose: str) -> KeyNamed:
    """The key that a token names; where it names none, the one of `party` that its header shows, or its only one."""
    return key_named(envelope.verification_method or party, party, purpose, envelope.header_key)


def key_named(method: str, party: str, purpose: str, shown: PublicKey | None = None) -> KeyNamed:
    """The key by which `party` is said to have signed a token; of issuers alone it may be one at an address."""
    at_address = purpose == ASSERTION_METHOD and is_address(method) and is_address(party)
    return KeyNamed(method, purpose, shown=shown, publisher=party if at_address else None)


def judge_token(
    envelope: Envelope,
    named: KeyNamed,
    find_key: KeyFinder,
    as_of: datetime,
    life: tuple[datetime | None, datetime | None] = (None, None),
) -> Verdict:
    """The verdict on the signature, which has a life of its own (`nbf` and `exp`: RFC 7519 section 4.1).

    `life` is that of the document, for the check of its validity period.
    """
    begins, ends = envelope.signature_begins, envelope.signature_expires
    if ends is not None and as_of >= ends and ends != life[1]:
        return Verdict(Outcome.FAILED, "the token itself has expired (exp)", Reason.PROOF_EXPIRED)
    if begins is not None and as_of < begins and begins != life[0]:
        return Verdict(Outcome.FAILED, "the token itself is not valid yet (nbf)", Reason.PROOF_EARLY)
    return judge_signature(named, find_key, envelope.verify, f"{envelope.media_type}, {envelope.algorithm}")


def may_be_of(named: KeyNamed, party: str) -> bool:
    """Whether a key can be one of `party`; whose one at an address is, is told when it is looked for."""
    return named.publisher is not None or is_of(named.method, party)


def is_of(method: str, party: str) -> bool:
    """Whether a verification method is one of `party`: its DID letter by letter, or what its URL is the start of."""
    if method == party or method.startswith(party + "#"):
        return True
    try:
        return did_of(method) == party
    except Malformed:
        return False
