"""Which clause a failed check is broken by: so that whoever is refused can read the rule, and mend what breaks it.

Only failures cite: that something is not known breaks no rule. A problem says where in a document it is and of which
type; the clauses of the data model follow from where.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.problem import Problem
from node.core.verify.report import Check, Outcome, Reason

_SIGNATURE: Final = "VC Data Integrity 1.0 section 4.4, VC-JOSE-COSE section 4"
_KEY: Final = "FORMATS.md sections 6 and 9"
_BUNDLE: Final = "FORMATS.md sections 4, 7 and 9"
_HOLDER: Final = "VC Data Model 2.0 section 4.13, RFC 9901 section 7.3"
# By the suite, which the basis names.
_OF_BASE_PROOFS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "ecdsa-sd-2023": "ECDSA Cryptosuites 1.0 section 3.6",
        "bbs-2023": "BBS Cryptosuites 1.0 section 3.4",
    }
)

CLAUSES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.UNREADABLE: "VC Data Model 2.0 section 6, FORMATS.md section 2",
        Reason.SCHEMA_BROKEN: "VC Data Model 2.0 section 4.11, Open Badges 3.0 appendix B",
        Reason.NO_PROOF: "VC Data Model 2.0 section 4.12",
        Reason.ONLY_THIRD_PARTY_PROOFS: "VC Data Model 2.0 section 7.1, FORMATS.md section 9",
        Reason.CHANGED: _SIGNATURE,
        Reason.PROOF_EXPIRED: "VC Data Integrity 1.0 section 2.1, RFC 7519 section 4.1.4",
        Reason.PROOF_EARLY: "RFC 7519 section 4.1.5",
        Reason.BASE_PROOF: ", ".join(_OF_BASE_PROOFS.values()),
        Reason.KEY_UNKNOWN: "Controlled Identifiers 1.0 section 3.3",
        Reason.KEY_ENDED: "Controlled Identifiers 1.0 sections 2.2 and 3.3",
        Reason.WRONG_PURPOSE: "VC Data Integrity 1.0 section 4.4, Controlled Identifiers 1.0 section 3.3",
        Reason.TEST_NETWORK: "FORMATS.md section 1",
        Reason.BUNDLE_FALSE: _BUNDLE,
        Reason.NOT_ANCHORED: _BUNDLE,
        Reason.IDENTITY_CLOSED: _BUNDLE,
        Reason.ANCHOR_OUT_OF_PLACE: "FORMATS.md sections 1, 3 and 9",
        Reason.KEY_NOT_REGISTERED: _KEY,
        Reason.KEY_NOT_YET_VALID: _KEY,
        Reason.KEY_RETIRED: _KEY,
        Reason.KEY_COMPROMISED: _KEY,
        Reason.KEY_PURPOSE: _KEY,
        Reason.REVOKED: "Bitstring Status List 1.0 section 3.2, FORMATS.md section 9",
        Reason.SUSPENDED: "Bitstring Status List 1.0 section 3.2, FORMATS.md section 9",
        Reason.STATUS_OUT_OF_RANGE: "Bitstring Status List 1.0 section 3.2",
        Reason.NOT_YET_VALID: "VC Data Model 2.0 section 4.9",
        Reason.EXPIRED: "VC Data Model 2.0 section 4.9",
        Reason.EVIDENCE_SWAPPED: "FORMATS.md section 5",
        Reason.ISSUER_OUTSIDE_TIME: "FORMATS.md section 9",
        Reason.HOLDER_DIFFERS: _HOLDER,
        Reason.HOLDER_PROOF_WRONG: _HOLDER,
        Reason.COPY: "FORMATS.md section 9, VC Data Integrity 1.0 section 4.4",
        Reason.ANSWERED_BEFORE: "FORMATS.md section 9, RFC 9901 section 7.3",
        Reason.FOR_SOMEBODY_ELSE: "VC Data Integrity 1.0 section 4.4, RFC 7519 section 4.1.3, RFC 9901 section 7.3",
    }
)

# Where the standards have a type for why a check failed; for the rest it is ours, with the reason as its name.
_TYPES: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.UNREADABLE: problem.PARSING_ERROR,
        Reason.NOT_CONFORMING: problem.MALFORMED_VALUE_ERROR,
        Reason.NO_PROOF: problem.CRYPTOGRAPHIC_SECURITY_ERROR,
        Reason.ONLY_THIRD_PARTY_PROOFS: problem.CRYPTOGRAPHIC_SECURITY_ERROR,
        Reason.CHANGED: problem.CRYPTOGRAPHIC_SECURITY_ERROR,
        Reason.PROOF_EXPIRED: problem.PROOF_VERIFICATION_ERROR,
        Reason.PROOF_EARLY: problem.PROOF_VERIFICATION_ERROR,
        Reason.BASE_PROOF: problem.PROOF_VERIFICATION_ERROR,
        Reason.KEY_UNKNOWN: problem.INVALID_VERIFICATION_METHOD,
        Reason.KEY_ENDED: problem.INVALID_VERIFICATION_METHOD,
        Reason.WRONG_PURPOSE: problem.INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD,
        Reason.HOLDER_PROOF_WRONG: problem.CRYPTOGRAPHIC_SECURITY_ERROR,
        Reason.STATUS_OUT_OF_RANGE: problem.RANGE_ERROR,
    }
)
_OURS: Final = problem.ours("check-")
# Rules that may be broken at any place: there is more in a document than its members.
_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        problem.DATASET_POISONING: "RDF Dataset Canonicalization 1.0 section 7.1",
        problem.READ_AS_SIGNED: "FORMATS.md section 2",
    }
)

# VC Data Model 2.0, by the member that breaks it; version 1.1 has the same rules under other numbers.
_MEMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "@context": "VC Data Model 2.0 section 4.3",
        "id": "VC Data Model 2.0 section 4.4",
        "type": "VC Data Model 2.0 section 4.5",
        "name": "VC Data Model 2.0 sections 4.6 and 11.1",
        "description": "VC Data Model 2.0 sections 4.6 and 11.1",
        "issuer": "VC Data Model 2.0 section 4.7",
        "credentialSubject": "VC Data Model 2.0 section 4.8",
        "validFrom": "VC Data Model 2.0 section 4.9",
        "validUntil": "VC Data Model 2.0 section 4.9",
        "issuanceDate": "VC Data Model 1.1 section 4.6",
        "expirationDate": "VC Data Model 1.1 section 4.8",
        "credentialStatus": "VC Data Model 2.0 section 4.10, Bitstring Status List 1.0 section 2.1",
        "credentialSchema": "VC Data Model 2.0 section 4.11",
        "proof": "VC Data Model 2.0 section 4.12, VC Data Integrity 1.0 section 2.1",
        "holder": "VC Data Model 2.0 section 4.13",
        "verifiableCredential": "VC Data Model 2.0 section 4.13",
        "relatedResource": "VC Data Model 2.0 section 5.3",
        "digestSRI": "VC Data Model 2.0 section 5.3",
        "digestMultibase": "VC Data Model 2.0 section 5.3",
        "refreshService": "VC Data Model 2.0 section 5.4",
        "termsOfUse": "VC Data Model 2.0 section 5.5",
        "evidence": "VC Data Model 2.0 section 5.6",
        "iss": "SD-JWT VC section 2.2, RFC 7519 section 4.1",
        "exp": "SD-JWT VC section 2.2, RFC 7519 section 4.1",
        "status": "Token Status List section 6",
    }
)
# A basis that has its clause already, and no text of a document's that merely ends in a bracket.
_CITED: Final = re.compile(r" \[[^\[\]]* (?:sections?|appendix) [^\[\]]+\]\Z")
_WHOLE: Final = "VC Data Model 2.0 sections 5.2 and 6, FORMATS.md section 2"
# An object whose own id is part of the rule: said of it, not of identifiers.
_WITH_ID: Final = frozenset(
    {"issuer", "holder", "credentialSchema", "relatedResource", "credentialStatus", "proof"}
)


def cite(check: Check) -> Check:
    """A failed check with the clause in its basis, and with a problem that has a type; others as they are."""
    if check.outcome is not Outcome.FAILED or check.reason is None:
        return check
    problems = check.problems
    if not problems:
        kind = _TYPES.get(check.reason) or _OURS + check.reason.replace("_", "-")
        problems = (Problem(kind, check.basis),)
    if _CITED.search(check.basis):
        return replace(check, problems=problems)
    broken = problems[0]
    clause = _RULES.get(broken.type) or _clause_of_reason(check) or _clause_of_place(broken.path)
    return replace(check, basis=f"{check.basis} [{clause}]", problems=problems)


def _clause_of_reason(check: Check) -> str | None:
    assert check.reason is not None  # noqa: S101 - whatever cites has one
    if check.reason is Reason.BASE_PROOF:
        for suite, clause in _OF_BASE_PROOFS.items():
            if suite in check.basis:
                return clause
    return CLAUSES.get(check.reason)


def _clause_of_place(path: tuple[str | int, ...]) -> str:
    """The clause for the member that stands at `path`, or for the nearest one above it that has a clause."""
    names = [step for step in path if isinstance(step, str)]
    if names[-1:] == ["id"] and len(names) > 1 and names[-2] in _WITH_ID:
        names.pop()
    return next((_MEMBERS[name] for name in reversed(names) if name in _MEMBERS), _WHOLE)
