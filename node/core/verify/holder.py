"""Who presented it, to whom and when: holder binding, challenge and domain (CHECKS.md 14 to 16)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from node.core import problem
from node.core.credential import CredentialFacts
from node.core.did.resolution import same_issuer
from node.core.problem import Problem
from node.core.verify.report import Check, CheckName, Outcome, Reason, worst


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
    by_secret: bool = False
    """Whether that key is a secret which the issuer signed without seeing it (bbs-2023)."""
    pseudonym: bytes | None = None
    """The name, 48 bytes, that such a holder has in the domain."""
    in_time: bool = True
    """Whether it was made at about the time asked for, where it says when."""
    of_document: bool = False
    """Whether nobody is shown to hold it: it was made for an occasion, by whoever has the credential."""
    also: Holder | None = None
    """Of a credential in a presentation, who presents it by a key binding of its own."""
    subjects: tuple[str, ...] | None = None
    """Of a credential in a record that was presented by key, whom the record is about."""

    def of_held(self, facts: CredentialFacts) -> Holder:
        """The same for a credential that the presented one of these facts holds: its key was bound to that alone."""
        subjects = facts.subject_ids if self.by_key else None
        return replace(self, also=None, subjects=subjects, by_secret=False)


_UNBOUND: Final = Check(
    CheckName.HOLDER_BINDING,
    Outcome.UNKNOWN,
    "a document alone does not show that the person who gave it is its holder",
    Reason.DOCUMENT_ALONE,
)
_KINDS: Final = {
    CheckName.CHALLENGE: problem.INVALID_CHALLENGE_ERROR,
    CheckName.DOMAIN: problem.INVALID_DOMAIN_ERROR,
}
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
        basis = "a copy was given, which answers nothing"
        return Check(name, Outcome.FAILED, basis, Reason.COPY, (Problem(_KINDS[name], basis),))

    challenge = answered(CheckName.CHALLENGE, asked.challenge)
    return _UNBOUND, challenge, answered(CheckName.DOMAIN, asked.domain)


def is_presented(holder: Holder | None) -> bool:
    """Whether somebody presented it, rather than that it was given as a document."""
    return holder is not None and not holder.of_document


def check_binding(holder: Holder, facts: CredentialFacts | None, *, subjects_known: bool = True) -> Check:
    """Passed if the presentation's proof is the holder's, and the holder is every subject.

    With a key binding beside the presentation neither may be false, and one of them has to be known. Where subjects may
    have been left out, `subjects_known` is False.
    """
    ways = [_check_one_binding(holder, facts, subjects_known)]
    if holder.also is not None:
        ways.append(_check_one_binding(holder.also, facts, subjects_known))
        decisive = worst(ways)
        known = (way for way in ways if way.outcome is Outcome.PASSED)
        return decisive if decisive.outcome is Outcome.FAILED else next(known, decisive)
    return ways[0]


def _check_one_binding(holder: Holder, facts: CredentialFacts | None, subjects_known: bool) -> Check:
    if facts is not None and "EndorsementCredential" in facts.types:
        basis = "an endorsement speaks about something else than its holder"
        return _binding(Outcome.NOT_APPLICABLE, basis, Reason.NOT_HELD)
    if holder.outcome is not Outcome.PASSED:
        return _binding(holder.outcome, holder.basis, holder.reason)
    if not holder.by_key:
        return _check_controller(holder, facts, subjects_known)
    if holder.subjects is not None:
        basis = "it is about the holder of the record that it is in"
        return _check_subjects(facts, holder.subjects, basis, subjects_known)
    return _binding(Outcome.PASSED, f"presented by its holder: {holder.basis}")


def _binding(outcome: Outcome, basis: str, reason: Reason | None = None) -> Check:
    return Check(CheckName.HOLDER_BINDING, outcome, basis, reason)


def _check_controller(holder: Holder, facts: CredentialFacts | None, subjects_known: bool) -> Check:
    controller = holder.controller
    if holder.declared is None:
        return _binding(
            Outcome.UNKNOWN, "the presentation does not name its holder", Reason.HOLDER_UNRESOLVED
        )
    if controller is None or not same_issuer(controller, holder.declared):
        basis = "the presentation was signed by another than the holder it names"
        return _binding(Outcome.FAILED, basis, Reason.HOLDER_DIFFERS)
    basis = "presented by the subject, who signed the presentation"
    return _check_subjects(facts, (controller,), basis, subjects_known)


def _check_subjects(
    facts: CredentialFacts | None, holders: tuple[str, ...], basis: str, subjects_known: bool
) -> Check:
    """Passed, for what `basis` says, if every subject is one of `holders`."""
    if facts is None:
        return _binding(Outcome.UNKNOWN, "the credential could not be read", Reason.NOT_REACHED)
    if not all(any(same_issuer(subject, one) for one in holders) for subject in facts.subject_ids):
        differs = "it was issued to somebody else than the person who presented it"
        return _binding(Outcome.FAILED, differs, Reason.HOLDER_DIFFERS)
    if len(facts.subject_ids) < facts.subject_count:
        return _binding(Outcome.UNKNOWN, "it does not name its subject by an identifier", Reason.NO_SUBJECT)
    if not subjects_known:
        hidden = "only a part of it was shown, and other subjects may be in the rest"
        return _binding(Outcome.UNKNOWN, hidden, Reason.MAY_BE_HIDDEN)
    return _binding(Outcome.PASSED, basis)


def check_challenge(holder: Holder, asked: Asked) -> Check:
    """Asked, equal, first and in time; a difference means it was made for somebody else or for another day."""
    given = holder.challenge
    timely = replace(asked, in_time=asked.in_time and holder.in_time)
    found = _answer(CheckName.CHALLENGE, asked.challenge, given, given == asked.challenge, timely)
    return found if holder.also is None else worst((found, check_challenge(holder.also, asked)))


def check_domain(holder: Holder, asked: Asked) -> Check:
    """As the challenge; the sets of domains must be equal (Data Integrity 1.0 section 4.4)."""
    given = frozenset(holder.domain)
    expected = None if asked.domain is None else frozenset(asked.domain)
    found = _answer(CheckName.DOMAIN, expected, given, given == expected, asked)
    return found if holder.also is None else worst((found, check_domain(holder.also, asked)))


def _answer(name: CheckName, expected: object, given: object, equal: bool, asked: Asked) -> Check:
    if expected is None:
        return Check(name, Outcome.UNKNOWN, "nothing was asked for", Reason.NOT_ASKED)
    kind = _KINDS[name]
    basis = "made for somebody else, or for an earlier occasion"
    if not equal:
        missing = "" if given else ": it answers nothing"
        return Check(name, Outcome.FAILED, basis + missing, Reason.FOR_SOMEBODY_ELSE, (Problem(kind, basis),))
    if not asked.first or not asked.in_time:
        basis = "this was answered before" if not asked.first else "the answer came too late"
        return Check(name, Outcome.FAILED, basis, Reason.ANSWERED_BEFORE, (Problem(kind, basis),))
    return Check(name, Outcome.PASSED, f"the {name} is the one that was asked for")
