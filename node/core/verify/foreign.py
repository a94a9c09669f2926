"""Status lists behind a URL, of issuers without an anchored list (CHECKS.md 9; Bitstring Status List 1.0 section 3.2).

A list counts only where the credential's own issuer signed it: a different signer is unknown, not failed. Nothing is
asked for before the credential's own signature has been verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.proof import Proof, proofs_of
from node.core.did.resolution import did_of, same_issuer
from node.core.errors import BonafidesError, Malformed, NotVerified
from node.core.problem import Problem
from node.core.status.entry import (
    MESSAGE,
    REFRESH,
    REVOCATION,
    SUSPENSION,
    StatusEntry,
    UnknownStatusEntry,
)
from node.core.status.status_list import Status, StatusList, check_list_credential, read_status
from node.core.verify.materials import Inquiry, Missing, StatusListAnswer, StatusListNeed
from node.core.verify.methods import KeyFinder
from node.core.verify.proofs import ASSERTION_METHOD, ProofJudge
from node.core.verify.reading import read_secured
from node.core.verify.report import Check, CheckName, Outcome, Reason, worst

_PURPOSES: Final = frozenset({REVOCATION, SUSPENSION, REFRESH, MESSAGE})


def check_foreign_status(
    entries: Sequence[StatusEntry | UnknownStatusEntry],
    issuer: str,
    inquiry: Inquiry,
    canonicalizer: Canonicalizer,
    find_key: KeyFinder,
    as_of: datetime,
    *,
    genuine: bool,
    may_fetch: bool,
) -> Check:
    """The worst of all entries.

    `genuine` says whether the credential's own signature was verified, `may_fetch` whether its issuer is one whose
    hosts may be asked.
    """

    def judge(entry: StatusEntry | UnknownStatusEntry) -> Check:
        if isinstance(entry, UnknownStatusEntry):
            basis = f"a status of type {', '.join(entry.types)} is not read here"
            return _unknown(basis, Reason.STATUS_LIST_UNKNOWN)
        if entry.purpose not in _PURPOSES:
            basis = f"there is no rule for a status of purpose {entry.purpose[:80]}"
            return _unknown(basis, Reason.STATUS_LIST_UNKNOWN)
        if not genuine:
            return _unknown("the list is not asked for before the signature is verified", Reason.NOT_REACHED)
        if not may_fetch:
            return _unknown("the list of an unlisted issuer is not asked for", Reason.NOT_REACHED)
        answer = inquiry.status_list(StatusListNeed(entry.list_url))
        if isinstance(answer, Missing):
            retrieval = Problem(problem.STATUS_RETRIEVAL_ERROR, answer.reason)
            basis = f"its {entry.purpose} list could not be had: {answer.reason}"
            return _unknown(basis, Reason.STATUS_UNREACHABLE, retrieval)
        try:
            found = _verified_list(answer, entry, issuer, canonicalizer, find_key, as_of)
            return _told(entry, read_status(found.bits, entry), answer)
        except BonafidesError as error:
            if error.problem.type == problem.RANGE_ERROR:
                return Check(
                    CheckName.STATUS,
                    Outcome.FAILED,
                    error.detail,
                    Reason.STATUS_OUT_OF_RANGE,
                    (error.problem,),
                )
            return _unknown(error.detail, Reason.STATUS_LIST_UNKNOWN, error.problem)

    return worst([judge(entry) for entry in entries])


def _unknown(basis: str, reason: Reason, *problems: Problem) -> Check:
    return Check(CheckName.STATUS, Outcome.UNKNOWN, basis, reason, problems)


def _verified_list(
    answer: StatusListAnswer,
    entry: StatusEntry,
    issuer: str,
    canonicalizer: Canonicalizer,
    find_key: KeyFinder,
    as_of: datetime,
) -> StatusList:
    """The list, signed by the credential's issuer and valid at `as_of`."""
    proofs = proofs_of(answer.document)
    # What is signed is what is read, here too: else the end of an old list could be renamed and the list replayed.
    read = read_secured(answer.document, proofs, canonicalizer)
    if read.context_missing is not None:
        raise NotVerified(read.context_missing, type=problem.STATUS_VERIFICATION_ERROR)
    found = check_list_credential(read.document, entry)
    if not same_issuer(found.issuer_id, issuer):
        raise NotVerified("the list was made by somebody else", type=problem.STATUS_VERIFICATION_ERROR)
    early = found.valid_from is not None and as_of < found.valid_from
    if early or (found.valid_until is not None and as_of >= found.valid_until):
        raise NotVerified("the list is not valid at this time", type=problem.STATUS_VERIFICATION_ERROR)
    judge = ProofJudge(
        answer.document,
        proofs,
        canonicalizer,
        find_key,
        as_of,
    )
    if not any(_signs(proof, found.issuer_id, judge) for proof in proofs):
        raise NotVerified("no proof of the list is its issuer's", type=problem.STATUS_VERIFICATION_ERROR)
    return found


def _signs(proof: Proof, issuer: str, judge: ProofJudge) -> bool:
    try:
        by_issuer = did_of(proof.verification_method) == issuer
    except Malformed:
        return False
    if not by_issuer or proof.proof_purpose != ASSERTION_METHOD:
        return False
    verdict = judge.judge(proof)
    return verdict.outcome is Outcome.PASSED and verdict.key is not None and verdict.key.fit


def _told(entry: StatusEntry, status: Status, answer: StatusListAnswer) -> Check:
    where = f"list from {answer.source}, index {entry.index}"
    if status.valid:
        word = status.message or f"{entry.purpose} {status.value}"
        return Check(CheckName.STATUS, Outcome.PASSED, f"{word}: {where}")
    reason = Reason.SUSPENDED if entry.purpose == SUSPENSION else Reason.REVOKED
    return Check(CheckName.STATUS, Outcome.FAILED, f"{reason} according to the {where}", reason)
