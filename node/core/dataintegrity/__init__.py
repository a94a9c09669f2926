"""Embedded proofs: VC Data Integrity 1.0 with its cryptosuites."""

from __future__ import annotations

from node.core.dataintegrity.cryptosuite import Disclosure, UnknownSuite
from node.core.dataintegrity.hash_suite import HashData
from node.core.dataintegrity.proof import (
    Proof,
    parse_proof,
    proofs_of,
    verify_domain,
    verify_expiry,
    verify_purpose,
)
from node.core.dataintegrity.suites import (
    SUITES,
    PreparedProof,
    base_proofs_in,
    derive_proof,
    prepare_proof,
    previous_proofs,
    selective_suite_of,
    signs_rdf,
    unsecured,
    verify_proof,
)

__all__ = [
    "SUITES",
    "Disclosure",
    "HashData",
    "PreparedProof",
    "Proof",
    "UnknownSuite",
    "base_proofs_in",
    "derive_proof",
    "parse_proof",
    "prepare_proof",
    "previous_proofs",
    "proofs_of",
    "selective_suite_of",
    "signs_rdf",
    "unsecured",
    "verify_domain",
    "verify_expiry",
    "verify_proof",
    "verify_purpose",
]
