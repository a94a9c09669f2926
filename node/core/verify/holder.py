"""Who presented it, to whom and when: holder binding, challenge and domain (CHECKS.md 14 to 16)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from node.core import problem
from node.core.credential import CredentialFacts
from node.core.did.resolution import same_issuer
from node.core.problem import Problem
from node.core.verify.report import Check, CheckName, Outcome, Reason

AUTHENTICATION: Final = "authentication"


@dataclass(frozen=True, slots=True)
class Asked:
    """What this verifier asked for. `first` and `in_time` are for whoever keeps the challenges.

    A challenge of ours has at least 128 bits, is answered once and within five minutes; where the values come from a
    command line or an API call, that is the caller's care.
    """

    challenge: str | None = None
    domain: tuple[str, ...] | None = None
    first: bool = True
    in_time: bool = True
    of_documents: bool = True
    """Whether a document alone fails for answering nothing; where no binding to a holder is wanted, it will do."""


@dataclass(frozen=True, slots=True)
class Holder:
    """What the proof of a presentation established, and what it was made for."""

    outcome: Outcome
    """Passed: the proof verifies with a key of `controller`."""
    basis: str
    reason: Reason | None
    controller: str | None
    declared: str | None
    """The `holder` of the presentation."""
    challenge: str | None = None
    domain: tuple[str, ...] = ()
    by_key: bool = False
    """Whether it was presented with the key that the issuer wrote into the credential, whoever's that is."""
    in_time: bool = True
    """Whether it was made at about the time asked for, where it says when."""
    of_document: bool = False
    """Whether nobody is shown to hold it: it was made for an occasion, by whoever has the credential."""


_UNBOUND: Final = Check(
    CheckName.HOLDER_BINDING,
    Outcome.UNKNOWN,
    "a document alone does not show that the person who gave it is its holder",
    Reason.DOCUMENT_ALONE,
)
_NOT_PRESENTED: Final = {
    name: Check(name, Outcome.NOT_APPLICABLE, "nothing was presented", Reason.DOCUMENT_ALONE)
    for name in (CheckName.CHALLENGE, CheckName.DOMAIN)
}


def document_alone(asked: Asked) -> tuple[Check, Check, Check]:
    """The three checks where a document was given, not presented.

    Where a challenge or a domain was asked for, giving a document does not answer it: else whoever got hold of a copy
    could leave the presentation out.
    """

    def answered(name: CheckName, expected: object) -> Check:
        if expected is None or not asked.of_documents:
            return _NOT_PRESENTED[name]
        return _answer(name, expected, None, False, asked)

    challenge = answered(CheckName.CHALLENGE, asked.challenge)
    return _UNBOUND, challenge, answered(CheckName.DOMAIN, asked.domain)


def is_presented(holder: Holder | None) -> bool:
    """Whether somebody presented it, rather than that it was given as a document."""
    return holder is not None and not holder.of_document


def check_binding(holder: Holder, facts: CredentialFacts | None) -> Check:
    """Passed if the presentation's proof is the holder's, and the holder is every subject."""
    if facts is not None and "EndorsementCredential" in facts.types:
        basis = "an endorsement speaks about something else than its holder"
        return _binding(Outcome.NOT_APPLICABLE, basis, Reason.NOT_HELD)
    if holder.outcome is not Outcome.PASSED:
        return _binding(holder.outcome, holder.basis, holder.reason)
    if holder.by_key:
        return _binding(Outcome.PASSED, f"presented by its holder: {holder.basis}")
    return _check_controller(holder, facts)


def _binding(outcome: Outcome, basis: str, reason: Reason | None = None) -> Check:
    return Check(CheckName.HOLDER_BINDING, outcome, basis, reason)


def _check_controller(holder: Holder, facts: CredentialFacts | None) -> Check:
    controller = holder.controller
    if holder.declared is None:
        return _binding(
            Outcome.UNKNOWN, "the presentation does not name its holder", Reason.HOLDER_UNRESOLVED
        )
    if controller is None or not same_issuer(controller, holder.declared):
        basis = "the presentation was signed by another than the holder it names"
        return _binding(Outcome.FAILED, basis, Reason.HOLDER_DIFFERS)
    if facts is None:
        return _binding(Outcome.UNKNOWN, "the credential could not be read", Reason.NOT_REACHED)
    if any(not same_issuer(subject, controller) for subject in facts.subject_ids):
        basis = "it was issued to somebody else than the person who presented it"
        return _binding(Outcome.FAILED, basis, Reason.HOLDER_DIFFERS)
    if len(facts.subject_ids) < facts.subject_count:
        return _binding(Outcome.UNKNOWN, "it does not name its subject by an identifier", Reason.NO_SUBJECT)
    return _binding(Outcome.PASSED, "presented by the subject, who signed the presentation")


def check_challenge(holder: Holder, asked: Asked) -> Check:
    """Asked, equal, first and in time; a difference means it was made for somebody else or for another day."""
    given = holder.challenge
    timely = replace(asked, in_time=asked.in_time and holder.in_time)
    return _answer(CheckName.CHALLENGE, asked.challenge, given, given == asked.challenge, timely)


def check_domain(holder: Holder, asked: Asked) -> Check:
    """As the challenge; the sets of domains must be equal (Data Integrity 1.0 section 4.4)."""
    given = frozenset(holder.domain)
    expected = None if asked.domain is None else frozenset(asked.domain)
    return _answer(CheckName.DOMAIN, expected, given, given == expected, asked)


def _answer(name: CheckName, expected: object, given: object, equal: bool, asked: Asked) -> Check:
    if expected is None:
        return Check(name, Outcome.UNKNOWN, "nothing was asked for", Reason.NOT_ASKED)
    kind = problem.INVALID_CHALLENGE_ERROR if name is CheckName.CHALLENGE else problem.INVALID_DOMAIN_ERROR
    basis = "made for somebody else, or for an earlier occasion"
    if not equal:
        missing = "" if given else ": it answers nothing"
        return Check(name, Outcome.FAILED, basis + missing, Reason.FOR_SOMEBODY_ELSE, (Problem(kind, basis),))
    if not asked.first or not asked.in_time:
        basis = "this was answered before" if not asked.first else "the answer came too late"
        return Check(name, Outcome.FAILED, basis, Reason.ANSWERED_BEFORE, (Problem(kind, basis),))
    return Check(name, Outcome.PASSED, f"the {name} is the one that was asked for")
