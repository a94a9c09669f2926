"""Status lists behind a URL, of issuers without an anchored list (CHECKS.md 9).

Bitstring Status List 1.0 section 3.2 and StatusList2021, with an embedded proof or as a token; Token Status Lists of
the IETF; revocation lists of 1EdTech. A list counts only where the credential's own issuer signed it, or, of a kind
that nobody signs, where it comes from the URL that the issuer signed: a different signer is unknown, not failed.
Nothing is asked for before the credential's own signature has been verified.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import is_url
from node.core.dataintegrity.proof import Proof, proofs_of
from node.core.dataintegrity.suites import selective_suite_of
from node.core.did.address import identifier_of
from node.core.did.document import ASSERTION_METHOD
from node.core.did.resolution import same_issuer
from node.core.envelope import read_envelope
from node.core.errors import BonafidesError, Malformed, NotVerified
from node.core.problem import Problem
from node.core.status.entry import MESSAGE, REFRESH, REVOCATION, SUSPENSION, StatusEntry
from node.core.status.revocation_list import parse_revocation_list, read_revocation, revocation_list_url
from node.core.status.status_list import Status, StatusList, check_list_credential, read_status
from node.core.status.token_status_list import (
    TokenStatusEntry,
    check_status_list_token,
    parse_status_list_token,
    read_token_status,
)
from node.core.strict_json import JsonObject
from node.core.verify.materials import Inquiry, Missing, StatusListAnswer, StatusListNeed
from node.core.verify.methods import KeyFinder, KeyNamed
from node.core.verify.proofs import ProofJudge
from node.core.verify.reading import AnyStatusEntry, read_secured, read_token
from node.core.verify.report import Check, CheckName, Outcome, Reason, worst
from node.core.verify.signature import Verdict, judge_signature
from node.core.verify.tokens import judge_token, key_named, may_be_of, signer_of

_PURPOSES: Final = frozenset({REVOCATION, SUSPENSION, REFRESH, MESSAGE})
# Whoever passes such a list on could leave out its end, and an old one would be as good as new.
# Which clause each kind of list is read by.
_BITS: Final = "Bitstring Status List 1.0 section 3.2"
_TOKENS: Final = "Token Status List sections 7.1 and 8.3"
_REVOCATIONS: Final = "Open Badges 3.0 section 9, 1EdTech Revocation List Status Method 1.0"
_ENDLESS: Final = "a copy of a list that has no end may be of any age"
_IN_PART: Final = "the list was signed so that parts of it can be withheld"


@dataclass(frozen=True, slots=True)
class Told:
    """About which credential a list is asked, and by what it is believed.

    `genuine` says whether the credential's own signature was verified, `may_fetch` whether its issuer is one whose
    hosts may be asked.
    """

    issuer: str
    credential_id: str | None
    genuine: bool
    may_fetch: bool
    canonicalizer: Canonicalizer
    find_key: KeyFinder
    as_of: datetime


def check_foreign_status(entries: Sequence[AnyStatusEntry], told: Told, inquiry: Inquiry) -> Check:
    """The worst of all entries; where all is well, what each of them says: a message among them is for the reader."""
    checks = [_check_entry(entry, told, inquiry) for entry in entries]
    decisive = worst(checks)
    if decisive.outcome is not Outcome.PASSED:
        return decisive
    return Check(CheckName.STATUS, Outcome.PASSED, "; ".join(check.basis for check in checks))


def _check_entry(entry: AnyStatusEntry, told: Told, inquiry: Inquiry) -> Check:
    source = _source_of(entry)
    if isinstance(source, str):
        return _unknown(source, Reason.STATUS_LIST_UNKNOWN)
    if not told.genuine:
        return _unknown("the list is not asked for before the signature is verified", Reason.NOT_REACHED)
    if not told.may_fetch:
        return _unknown("the list of an unlisted issuer is not asked for", Reason.NOT_REACHED)
    answer = inquiry.status_list(StatusListNeed(source.url))
    if isinstance(answer, Missing):
        retrieval = Problem(problem.STATUS_RETRIEVAL_ERROR, answer.reason)
        basis = f"its {source.name} could not be had: {answer.reason}"
        reason = Reason.STATUS_NOT_ASKED if answer.forbidden else Reason.STATUS_UNREACHABLE
        return _unknown(basis, reason, retrieval)
    try:
        return _told(source, source.read(answer, told), answer)
    except BonafidesError as error:
        if error.problem.type == problem.RANGE_ERROR:
            return Check(
                CheckName.STATUS,
                Outcome.FAILED,
                f"{error.detail} [{source.clause}]",
                Reason.STATUS_OUT_OF_RANGE,
                (error.problem,),
            )
        return _unknown(error.detail, Reason.STATUS_LIST_UNKNOWN, error.problem)


def _unknown(basis: str, reason: Reason, *problems: Problem) -> Check:
    return Check(CheckName.STATUS, Outcome.UNKNOWN, basis, reason, problems)


def _told(source: _Source, status: Status, answer: StatusListAnswer) -> Check:
    where = f"list from {answer.source}{source.place}"
    if status.valid:
        word = status.message or f"{status.purpose} {status.value}"
        return Check(CheckName.STATUS, Outcome.PASSED, f"{word}: {where}")
    reason = Reason.SUSPENDED if status.purpose == SUSPENSION else Reason.REVOKED
    return Check(
        CheckName.STATUS, Outcome.FAILED, f"{reason} according to the {where} [{source.clause}]", reason
    )


# The kinds of list -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Source:
    """Where the list of an entry is, what a basis calls it, and how it is read; what `read` raises makes it unknown."""

    url: str
    name: str
    place: str
    clause: str
    read: Callable[[StatusListAnswer, Told], Status]


def _source_of(entry: AnyStatusEntry) -> _Source | str:
    """How the status of an entry is found out, or why it is not."""
    if isinstance(entry, TokenStatusEntry):
        place = f", index {entry.index}"
        return _Source(
            entry.uri, "status list", place, _TOKENS, lambda answer, told: _read_token(answer, entry, told)
        )
    if isinstance(entry, StatusEntry):
        if entry.purpose not in _PURPOSES:
            return f"there is no rule for a status of purpose {entry.purpose[:80]}"
        name, place = f"{entry.purpose} list", f", index {entry.index}"
        return _Source(
            entry.list_url, name, place, _BITS, lambda answer, told: _read_bits(answer, entry, told)
        )
    url = revocation_list_url(entry)
    if url is None:
        return f"a status of type {', '.join(entry.types)} is not read here"
    return _Source(url, "revocation list", "", _REVOCATIONS, _read_revocations)


def _read_bits(answer: StatusListAnswer, entry: StatusEntry, told: Told) -> Status:
    """A list as a credential, signed by the credential's issuer and valid at the time asked for."""
    if isinstance(answer.content, dict):
        found = _list_in_document(answer.content, entry, told, is_copy=answer.is_copy)
    else:
        found = _list_in_token(answer.content, entry, told, is_copy=answer.is_copy)
    if answer.is_copy and found.valid_until is None:
        raise _not_verified(_ENDLESS)
    return read_status(found.bits, entry)


def _list_in_token(text: str | bytes, entry: StatusEntry, told: Told, *, is_copy: bool) -> StatusList:
    envelope = read_envelope(text)
    if envelope is None:
        raise _not_verified("the list is no token that is read here")
    if envelope.withheld:
        raise _not_verified(_IN_PART)
    found = check_list_credential(read_token(envelope, told.canonicalizer).document, entry, stapled=is_copy)
    _check_list(found, told)
    named = signer_of(envelope, found.issuer_id, ASSERTION_METHOD)
    _check_signer(named, found.issuer_id, lambda: judge_token(envelope, named, told.find_key, told.as_of))
    return found


def _list_in_document(document: JsonObject, entry: StatusEntry, told: Told, *, is_copy: bool) -> StatusList:
    proofs = proofs_of(document)
    # What is signed is what is read, here too: else the end of an old list could be renamed and the list replayed.
    read = read_secured(document, proofs, told.canonicalizer)
    if read.context_missing is not None:
        raise _not_verified(read.context_missing)
    found = check_list_credential(read.document, entry, stapled=is_copy)
    _check_list(found, told)
    judge = ProofJudge(document, proofs, told.canonicalizer, told.find_key, told.as_of)
    issued = [proof for proof in proofs if _is_by(proof, found.issuer_id)]
    if issued and all(selective_suite_of(proof) is not None for proof in issued):
        raise _not_verified(_IN_PART)
    if not any(selective_suite_of(proof) is None and _counts(judge.judge(proof)) for proof in issued):
        raise _not_verified("no proof of the list is its issuer's")
    return found


def _check_list(found: StatusList, told: Told) -> None:
    _check_issuer(found.issuer_id, told)
    early = found.valid_from is not None and told.as_of < found.valid_from
    if early or (found.valid_until is not None and told.as_of >= found.valid_until):
        raise _not_verified("the list is not valid at this time")


def _check_issuer(issuer: str, told: Told) -> None:
    if not same_issuer(issuer, told.issuer):
        raise _not_verified("the list was made by somebody else")


def _read_token(answer: StatusListAnswer, entry: TokenStatusEntry, told: Told) -> Status:
    """A Status List Token (draft-ietf-oauth-status-list section 8.3), signed by the issuer of the token it is about."""
    if isinstance(answer.content, dict):
        raise _not_verified("a Status List Token is no JSON document")
    token = parse_status_list_token(answer.content)
    check_status_list_token(token, entry, told.as_of)
    if answer.is_copy and token.expires is None:
        raise _not_verified(_ENDLESS)
    if token.issuer is not None:
        _check_issuer(token.issuer, told)
    kid = token.kid
    method = told.issuer
    if kid is not None:
        method = kid if is_url(kid) else f"{told.issuer}#{kid.removeprefix('#')}"
    named = key_named(method, told.issuer, ASSERTION_METHOD)
    _check_signer(
        named, told.issuer, lambda: judge_signature(named, told.find_key, token.verify, "a status list token")
    )
    return read_token_status(token, entry)


def _read_revocations(answer: StatusListAnswer, told: Told) -> Status:
    """A list that nobody signs: the word of the host that the issuer named under its signature."""
    if answer.is_copy:
        raise _not_verified("nobody signs a revocation list, so that a copy of it says nothing")
    if not isinstance(answer.content, dict):
        raise Malformed("a revocation list is a JSON object")
    found = parse_revocation_list(answer.content)
    _check_issuer(found.issuer_id, told)
    return read_revocation(found, told.credential_id)


# Who signed a list -----------------------------------------------------------------------------------------


def _check_signer(named: KeyNamed, issuer: str, judge: Callable[[], Verdict]) -> None:
    """Raise NotVerified unless a token was signed by its issuer; whose key it is not is not asked for."""
    if not (may_be_of(named, issuer) and _counts(judge())):
        raise _not_verified("no proof of the list is its issuer's")


def _is_by(proof: Proof, issuer: str) -> bool:
    try:
        return identifier_of(proof.verification_method) == issuer and proof.proof_purpose == ASSERTION_METHOD
    except Malformed:
        return False


def _counts(verdict: Verdict) -> bool:
    return verdict.outcome is Outcome.PASSED and verdict.key is not None and verdict.key.fit


def _not_verified(detail: str) -> NotVerified:
    return NotVerified(detail, type=problem.STATUS_VERIFICATION_ERROR)
