"""The embedded proofs of a document, judged (CHECKS.md 3 and 4: proof, proof purpose).

The issuer's proofs decide; proofs by others and of suites that are not known are told and decide nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.merkle_proof_2019 import is_merkle_proof
from node.core.dataintegrity.proof import Proof
from node.core.dataintegrity.second_opinion import may_be_asked, question
from node.core.dataintegrity.suites import find_suite, previous_proofs, selective_suite_of, verify_proof
from node.core.did.document import ASSERTION_METHOD
from node.core.errors import Malformed, NotVerified
from node.core.keys import PublicKey
from node.core.problem import Problem
from node.core.strict_json import JsonObject
from node.core.verify.blockcerts import judge_merkle_proof
from node.core.verify.materials import Inquiry, Missing, SecondOpinionNeed
from node.core.verify.methods import KeyFinder, KeyNamed
from node.core.verify.reading import Document
from node.core.verify.report import Check, CheckName, Outcome, Reason
from node.core.verify.signature import Verdict, judge_signature

_TO_ASSERT: Final = Check(CheckName.PROOF_PURPOSE, Outcome.PASSED, ASSERTION_METHOD)


@dataclass(frozen=True, slots=True)
class ProofChecks:
    """The two checks of the proofs, the issuer's keys with which one verified, and those that did."""

    proof: Check
    purpose: Check
    keys: frozenset[PublicKey] = frozenset()
    verified: tuple[Proof, ...] = ()


@dataclass(slots=True)
class ProofJudge:
    """Judges the proofs of one document; a proof that others refer to is verified once."""

    document: JsonObject
    proofs: tuple[Proof, ...]
    canonicalizer: Canonicalizer
    find_key: KeyFinder
    as_of: datetime
    inquiry: Inquiry | None = None
    """Whom else to ask about proofs of types that are not known here; nobody, where it is None."""
    _verdicts: dict[int, Verdict] = field(default_factory=dict)

    def judge(self, proof: Proof, *, seen: tuple[int, ...] = ()) -> Verdict:
        """The verdict on one proof and on every proof that it refers to."""
        # By the object in the document: a proof that others refer to is parsed anew each time.
        place = id(proof.raw)
        known = self._verdicts.get(place)
        if known is None:
            known = self._verdicts[place] = self._judge(proof, (*seen, place))
        return known

    def _judge(self, proof: Proof, seen: tuple[int, ...]) -> Verdict:
        by_transaction = is_merkle_proof(proof)
        if find_suite(proof) is None and not by_transaction:
            return self._second_opinion(proof)
        if proof.expires is not None and self.as_of >= proof.expires:
            return Verdict(Outcome.FAILED, "the proof itself has expired", Reason.PROOF_EXPIRED)
        if (refused := _refuse_base(proof)) is not None:
            return refused
        try:
            previous = previous_proofs(self.document, proof)
        except NotVerified as error:
            return Verdict(Outcome.FAILED, error.detail, Reason.CHANGED, (error.problem,))
        for one in previous:
            if id(one.raw) in seen:
                basis = "its proofs build on each other in a circle"
                return Verdict(Outcome.FAILED, basis, Reason.CHANGED)
            earlier = self.judge(one, seen=seen)
            if earlier.outcome is not Outcome.PASSED:
                basis = f"a proof that it builds on does not verify: {earlier.basis}"
                return Verdict(earlier.outcome, basis, earlier.reason, earlier.problems)
        if by_transaction:
            return judge_merkle_proof(self.document, proof, self.canonicalizer, self.find_key, self.inquiry)
        named = KeyNamed(proof.verification_method, proof.proof_purpose, proof.proof_value)

        def verify(key: PublicKey) -> None:
            verify_proof(self.document, proof, key, self.canonicalizer, verified=previous)

        return judge_signature(named, self.find_key, verify, proof.cryptosuite or proof.type)

    def _second_opinion(self, proof: Proof) -> Verdict:
        """The word of another program on a type of proof that is not built here, where it may be heard."""
        basis = f"{(proof.cryptosuite or proof.type)[:80]} is not known here"
        if self.inquiry is None or not may_be_asked(self.document, proof):
            return Verdict(Outcome.UNKNOWN, basis, Reason.UNKNOWN_SUITE)
        try:
            need = SecondOpinionNeed(question(self.document, proof), proof.proof_purpose)
        except Malformed as error:
            return Verdict(Outcome.UNKNOWN, f"{basis}: {error.detail}", Reason.UNKNOWN_SUITE)
        answer = self.inquiry.second_opinion(need)
        if isinstance(answer, Missing):
            told = f"{basis}, and nobody else was heard: {answer.reason}"
            return Verdict(Outcome.UNKNOWN, told, Reason.UNKNOWN_SUITE)
        if not answer.verifies:
            told = f"the signature does not fit the document, by the word of {answer.source}"
            wrong = Problem(problem.PROOF_VERIFICATION_ERROR, told, ("proof",))
            return Verdict(Outcome.FAILED, told, Reason.CHANGED, (wrong,))
        told = f"{proof.type}: signed with the key of {proof.verification_method[:200]}"
        return Verdict(Outcome.PASSED, f"{told}, by the word of {answer.source}")


def _refuse_base(proof: Proof) -> Verdict | None:
    """A base proof is for its holder alone (ECDSA and BBS cryptosuites: verification takes derived proofs only)."""
    suite = selective_suite_of(proof)
    if suite is None:
        return None
    try:
        if not suite.is_base(proof):
            return None
    except Malformed as error:
        return Verdict(Outcome.FAILED, error.detail, Reason.CHANGED, (error.problem,))
    basis = f"a base proof of {suite.name} is for its holder alone: one derived from it is what is shown"
    told = Problem(problem.PROOF_VERIFICATION_ERROR, basis, ("proof", "proofValue"))
    return Verdict(Outcome.FAILED, basis, Reason.BASE_PROOF, (told,))


def check_proofs(
    document: Document,
    canonicalizer: Canonicalizer,
    find_key: KeyFinder,
    as_of: datetime,
    inquiry: Inquiry | None = None,
) -> ProofChecks:
    """The issuer's proofs decide; others are told and decide nothing (FORMATS.md section 9, proof)."""
    if not document.proofs:
        return without("there is no proof", Reason.NO_PROOF)
    if document.context_missing is not None:
        check = Check(CheckName.PROOF, Outcome.UNKNOWN, document.context_missing, Reason.CONTEXT_NOT_PINNED)
        return ProofChecks(check, _purpose_unknown(check))
    issued = document.issuer_proofs
    if not issued:
        return without("no proof is the issuer's", Reason.ONLY_THIRD_PARTY_PROOFS)
    judge = ProofJudge(document.raw, document.proofs, canonicalizer, find_key, as_of, inquiry)
    verdicts = [(proof.proof_purpose, judge.judge(proof)) for proof in issued]
    found = checks_of(verdicts, others=len(document.proofs) - len(issued))
    passed = zip(issued, verdicts, strict=True)
    verified = tuple(proof for proof, (_, verdict) in passed if verdict.outcome is Outcome.PASSED)
    return ProofChecks(found.proof, found.purpose, found.keys, verified)


def checks_of(verdicts: Sequence[tuple[str, Verdict]], others: int = 0) -> ProofChecks:
    """The two checks that follow from the issuer's signatures, each with what it was made for."""
    proof = _proof_check(verdicts, others)
    passed = (verdict.key for _, verdict in verdicts if verdict.outcome is Outcome.PASSED)
    return ProofChecks(proof, _check_purpose(verdicts, proof), frozenset(key.key for key in passed if key))


def without(basis: str, reason: Reason) -> ProofChecks:
    """The two checks of what its issuer did not sign."""
    missing = (Problem(problem.CRYPTOGRAPHIC_SECURITY_ERROR, basis, ("proof",)),)
    check = Check(CheckName.PROOF, Outcome.FAILED, basis, reason, missing)
    return ProofChecks(check, Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, basis, reason))


def _proof_check(verdicts: Sequence[tuple[str, Verdict]], others: int) -> Check:
    told = f"; {others} more by others, which decide nothing" if others else ""
    failed = next((verdict for _, verdict in verdicts if verdict.outcome is Outcome.FAILED), None)
    asserted = [verdict for purpose, verdict in verdicts if purpose == ASSERTION_METHOD]
    passed = next((verdict for verdict in asserted if verdict.outcome is Outcome.PASSED), None)
    decisive = failed or passed
    if decisive is None and asserted:
        decisive = asserted[0]
    if decisive is None:
        basis = "the issuer's proof was made for another purpose than to assert"
        return Check(CheckName.PROOF, Outcome.FAILED, basis, Reason.WRONG_PURPOSE)
    return Check(CheckName.PROOF, decisive.outcome, decisive.basis + told, decisive.reason, decisive.problems)


def _check_purpose(verdicts: Sequence[tuple[str, Verdict]], proof: Check) -> Check:
    for purpose, verdict in verdicts:
        if purpose != ASSERTION_METHOD:
            basis = f"a proof of the issuer's has purpose {purpose}, not {ASSERTION_METHOD}"
            return Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, basis, Reason.WRONG_PURPOSE)
        if verdict.key is not None and not verdict.key.fit:
            basis = "the key may not be used to assert"
            return Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, basis, Reason.WRONG_PURPOSE)
        if verdict.outcome is Outcome.FAILED and verdict.reason is Reason.KEY_UNKNOWN:
            return Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, verdict.basis, verdict.reason)
    if proof.outcome is Outcome.UNKNOWN and not any(verdict.key for _, verdict in verdicts):
        return _purpose_unknown(proof)
    return _TO_ASSERT


def _purpose_unknown(proof: Check) -> Check:
    return Check(CheckName.PROOF_PURPOSE, Outcome.UNKNOWN, proof.basis, proof.reason)
