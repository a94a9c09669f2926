"""The sentences in which a report is told to people: one catalogue, by reason (PAGES.md).

English; the pages hand each sentence to gettext. Braces are filled from the report. Nothing here decides anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core.verify.report import Acceptance, Check, CheckName, Outcome, Reason, Report

ACCEPTED_PRESENTATION: Final = "This is genuine, and it belongs to the person who showed it."
ACCEPTED_DOCUMENT: Final = "This document is genuine."
NOT_SHOWN_BY_HOLDER: Final = "It does not show that the person who gave it to you is its holder."
REFUSED: Final = "Do not rely on this."
UNDETERMINED: Final = "We could not tell."

# What happened, in a sentence; where it helps, what to do next.
SENTENCES: Final[dict[Reason, str]] = {
    Reason.NOT_REACHED: "This was not reached, because something before it stood in the way.",
    Reason.UNREADABLE: "This is not a credential that we can read.",
    Reason.NOT_CONFORMING: "It breaks the rules of the standard for credentials.",
    Reason.SCHEMA_BROKEN: "It does not have the form of a badge.",
    Reason.SCHEMA_NOT_PINNED: "It names a form that we do not know.",
    Reason.NO_SCHEMA: "There is no form to compare it with.",
    Reason.NO_PROOF: "Nobody signed it.",
    Reason.ONLY_THIRD_PARTY_PROOFS: "It was signed, but not by the issuer that it names.",
    Reason.CHANGED: "It was changed after it was signed.",
    Reason.PROOF_EXPIRED: "The signature itself has run out.",
    Reason.PROOF_EARLY: "The signature is not to be used yet.",
    Reason.UNKNOWN_SUITE: "It was signed in a way that we do not know.",
    Reason.BASE_PROOF: "It was given in the form that only its holder should have. Ask for a presentation of it.",
    Reason.TRANSACTION_MISSING: "It was signed by a transaction on a chain, which could not be looked up. "
    "Try again with access to that chain.",
    Reason.CHAIN_NOT_READ: "It was signed by a transaction on a chain that is not read here.",
    Reason.CONTEXT_NOT_PINNED: "It uses words whose meaning we do not have on file.",
    Reason.KEY_UNKNOWN: "The issuer's key is not at hand. Ask the holder for the full file.",
    Reason.KEY_NOT_ASKED: "The issuer keeps its key on a site of its own, which was not asked. "
    "Mode full asks it, for issuers that are on your list.",
    Reason.KEY_UNREACHABLE: "The issuer keeps its key on a site of its own, from which it could not be had. Try again.",
    Reason.KEY_NOT_LOOKED_UP: "It does not name its key in a way that can be looked up here. "
    "No other mode and no other file will help.",
    Reason.KEY_ENDED: "The key that it was signed with was withdrawn, or has run out. Ask the issuer for a new one.",
    Reason.SNAPSHOT_OLD: "Which key was the issuer's is shown for too long ago. "
    "Ask the holder for a newer file, or use mode full.",
    Reason.KEY_NOT_CONFIRMED: "Nothing confirms yet whose key it was signed with. Ask the holder to renew the proof.",
    Reason.KEY_SOURCE_WEAK: "Only one voice tells which key is the issuer's.",
    Reason.WRONG_PURPOSE: "It was signed for another purpose.",
    Reason.NO_IDENTITY: "The issuer keeps no record on a chain.",
    Reason.TEST_NETWORK: "It is recorded on a test network, which anybody can write to at will.",
    Reason.UNKNOWN_NETWORK: "It is recorded on a chain that we do not know. Ask your operator to add it.",
    Reason.HEADER_NOT_TRUSTED: "Nobody whom we trust vouches for the block that its proof was made at. "
    "Ask the holder to renew the proof, or get a newer checkpoint file.",
    Reason.HEADER_OLD: "The chain endpoint lags behind. Try again later, or ask another.",
    Reason.SOURCES_DISAGREE: "Those who were asked about the chain contradict each other. "
    "Try again later, or ask others.",
    Reason.CHAIN_UNREACHABLE: "The chain could not be reached. Try again.",
    Reason.BUNDLE_MISSING: "This file alone does not say enough. Ask the holder for the full file (the bundle).",
    Reason.BUNDLE_FALSE: "It does not fit the proof that came with it: one of the two was changed.",
    Reason.NOT_ANCHORED: "The issuer never recorded it on the chain.",
    Reason.ANCHORED_LATER: "It is not shown to have existed at the time that you asked about.",
    Reason.IDENTITY_CLOSED: "It was recorded after the issuer had closed its identity.",
    Reason.ANCHOR_OUT_OF_PLACE: "It came with a record that its issuer cannot have made.",
    Reason.NOTHING_ANCHORED: "The issuer never recorded anything on the chain.",
    Reason.KEY_NOT_REGISTERED: "It was signed with a key that the issuer never registered.",
    Reason.KEY_NOT_YET_VALID: "It was recorded before its key was the issuer's.",
    Reason.KEY_RETIRED: "It was recorded after its key had been retired.",
    Reason.KEY_COMPROMISED: "It was recorded when its key was no longer in the issuer's hands alone.",
    Reason.KEY_DISPUTED: "Its key was later declared stolen, back to a time before this was recorded.",
    Reason.KEY_PURPOSE: "Its key is not for signing credentials.",
    Reason.STATE_NOT_PROVEN: "What the chain says about it is not proven. Ask the holder to renew the proof.",
    Reason.REVOKED: "It was revoked.",
    Reason.SUSPENDED: "It is suspended.",
    Reason.STATUS_OUT_OF_RANGE: "Its place in the revocation list does not exist.",
    Reason.STATUS_LIST_UNKNOWN: "Its revocation list is not one that we can rely on.",
    Reason.STATUS_UNREACHABLE: "Its revocation list could not be had. Try again.",
    Reason.STATUS_NOT_ASKED: "Its revocation list was not asked for in this mode. Mode full asks for it.",
    Reason.STATUS_LATER: "Whether it was revoked at the time that you asked about is not known.",
    Reason.NO_STATUS: "The issuer gave it no way of being revoked.",
    Reason.UNLINKABLE: "It is made so that nobody can trace where it was shown, so nothing is recorded of it.",
    Reason.TERMS_BROKEN: "It was made so that nobody can trace it, but not as such credentials have to be made.",
    Reason.MAY_BE_HIDDEN: "Only a part of it was shown, and what was left out may limit it. Ask for more of it.",
    Reason.STALE: "The proof that it is not revoked is too old. Ask the holder to renew it.",
    Reason.CLOCK: "The proof is from the future: one of the clocks is wrong.",
    Reason.NOT_YET_VALID: "It is not valid yet.",
    Reason.EXPIRED: "It has expired.",
    Reason.EVIDENCE_SWAPPED: "The evidence shown is not the evidence that was assessed.",
    Reason.EVIDENCE_WITHHELD: "There is evidence behind it; none was shown. You can ask the holder for it.",
    Reason.NO_EVIDENCE: "No evidence came with it.",
    Reason.NO_TRUST_LIST: "You have no list of issuers that you recognise, so nobody says who this issuer is.",
    Reason.ISSUER_NOT_LISTED: "The issuer is not on your list of recognised issuers. "
    "If you know it, have it put there.",
    Reason.ISSUER_OUTSIDE_TIME: "The issuer is on your list, but not for the time of this credential.",
    Reason.ISSUER_TIME_UNKNOWN: "The issuer is on your list for a time, and when this was issued is not proven.",
    Reason.DOCUMENT_ALONE: "It was given as a document. Ask the holder to present it.",
    Reason.NO_SUBJECT: "It does not say whom it was issued to.",
    Reason.HOLDER_UNRESOLVED: "The key of the person who showed it is not at hand.",
    Reason.HOLDER_DIFFERS: "It was issued to somebody else than the person who showed it.",
    Reason.HOLDER_PROOF_WRONG: "The person who showed it did not sign for it.",
    Reason.NOT_HELD: "It says something about somebody else than its holder.",
    Reason.COPY: "This is a copy, not a presentation. Ask its holder to present it.",
    Reason.NOT_ASKED: "It was shown without having been asked for, so it may have been made for somebody else.",
    Reason.ANSWERED_BEFORE: "This answer was given before, or came too late.",
    Reason.FOR_SOMEBODY_ELSE: "It was made for somebody else, or for an earlier occasion.",
}

# The same, where the document says when.
DATED: Final[dict[Reason, str]] = {
    Reason.EXPIRED: "It expired on {date}.",
    Reason.NOT_YET_VALID: "It is valid only from {date}.",
}

# How much was shown of a credential that its holder may show in part.
PART_SHOWN: Final = "Its holder showed a part of it and kept the rest back, as its issuer allows."
ALL_SHOWN: Final = "Its holder could have kept back parts of it, and showed all."
SOME_SHOWN: Final = (
    "Its holder chose what to show of it, as its issuer allows. How much was kept back cannot be seen."
)

# Why what was shown is no answer to what was asked, whatever the checks of it say.
OTHER_THAN_ASKED: Final = "It is not what you asked for."
HELD_BY_NOBODY: Final = "Nothing shows that the person who gave it is its holder, as you asked."

# Notes in a report: beside its checks, and deciding nothing.
OF_SOMETHING_ELSE: Final = "It is about something else than what it stands in."
NEWER_ELSEWHERE: Final = "Its issuer says where a newer one may be had. It was not asked for."

# What an endorsement in a credential is worth. It changes nothing in what is said of the credential.
ENDORSEMENTS: Final[dict[Acceptance, str]] = {
    Acceptance.ACCEPTED: "This endorsement is genuine.",
    Acceptance.REFUSED: "Do not rely on this endorsement.",
    Acceptance.UNDETERMINED: "We could not tell whether this endorsement is genuine.",
}
COPIED_BY_ANYBODY: Final = "Whoever made the document that it stands in may have copied it from another one."

# What it means that a check passed.
REASSURANCES: Final[dict[CheckName, str]] = {
    CheckName.CONFORMANCE: "It is a credential as the standard describes it.",
    CheckName.SCHEMA: "It has the form of a badge.",
    CheckName.PROOF: "It was signed by the issuer and has not been changed since.",
    CheckName.PROOF_PURPOSE: "It was signed for the purpose it is used for.",
    CheckName.NETWORK: "It is recorded on a chain that this verifier counts.",
    CheckName.HEADER: "We know where that chain stands.",
    CheckName.ANCHOR: "The issuer recorded it on the chain.",
    CheckName.KEY: "The key it was signed with was the issuer's when it was recorded.",
    CheckName.STATUS: "It is neither revoked nor suspended.",
    CheckName.FRESHNESS: "That is known as of a recent time.",
    CheckName.VALIDITY_PERIOD: "It is valid at this time.",
    CheckName.EVIDENCE: "The files shown are those that were assessed.",
    CheckName.ISSUER_TRUST: "The issuer is on this verifier's list of recognised issuers.",
    CheckName.HOLDER_BINDING: "It was issued to the person who showed it, and that person signed for it.",
    CheckName.CHALLENGE: "It was shown on this occasion, not copied from an earlier one.",
    CheckName.DOMAIN: "It was shown to this verifier and to nobody else.",
}

# What each check asks, in plain words.
QUESTIONS: Final[dict[CheckName, str]] = {
    CheckName.CONFORMANCE: "Does it keep the rules of the standard?",
    CheckName.SCHEMA: "Does it have the form of a badge?",
    CheckName.PROOF: "Is the signature right?",
    CheckName.PROOF_PURPOSE: "Was it signed for this purpose?",
    CheckName.NETWORK: "Is it recorded on a chain that counts?",
    CheckName.HEADER: "Do we know where that chain stands?",
    CheckName.ANCHOR: "Did the issuer record it on the chain?",
    CheckName.KEY: "Was the key the issuer's at that time?",
    CheckName.STATUS: "Is it neither revoked nor suspended?",
    CheckName.FRESHNESS: "Is that known as of a recent time?",
    CheckName.VALIDITY_PERIOD: "Is it valid at this time?",
    CheckName.EVIDENCE: "Is the evidence shown the evidence that was assessed?",
    CheckName.ISSUER_TRUST: "Do you recognise the issuer?",
    CheckName.HOLDER_BINDING: "Does it belong to the person who showed it?",
    CheckName.CHALLENGE: "Was it shown on this occasion?",
    CheckName.DOMAIN: "Was it shown to you?",
}

OUTCOMES: Final[dict[Outcome, str]] = {
    Outcome.PASSED: "yes",
    Outcome.FAILED: "no",
    Outcome.UNKNOWN: "not known",
    Outcome.NOT_APPLICABLE: "does not apply",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """The first thing that a person reads: a headline, and the one sentence under it (empty where none is needed)."""

    headline: str
    sentence: str


def verdict_of(report: Report) -> Verdict:
    """Headline and sentence for a report."""
    if report.acceptance is Acceptance.ACCEPTED:
        if report[CheckName.HOLDER_BINDING].outcome is Outcome.PASSED:
            return Verdict(ACCEPTED_PRESENTATION, "")
        return Verdict(ACCEPTED_DOCUMENT, NOT_SHOWN_BY_HOLDER)
    headline = REFUSED if report.acceptance is Acceptance.REFUSED else UNDETERMINED
    decisive = report.decisive
    return Verdict(headline, sentence_of(decisive) if decisive else "")


def verdict_of_endorsement(report: Report, within: Report) -> tuple[Acceptance, Verdict]:
    """What an endorsement is worth where it stands, in the credential of which `within` is the report.

    What is endorsed is named by an id that anybody can write into a document of his own, with the endorsement beside
    it. So one that is itself accepted counts only where an issuer who is believed signed that it stands there.
    """
    acceptance, why = report.acceptance, sentence_of(report.decisive) if report.decisive else ""
    if acceptance is not Acceptance.REFUSED and OF_SOMETHING_ELSE in report.notes:
        acceptance, why = Acceptance.REFUSED, OF_SOMETHING_ELSE
    elif acceptance is Acceptance.ACCEPTED and not _is_believed(within):
        acceptance, why = Acceptance.UNDETERMINED, COPIED_BY_ANYBODY
    return acceptance, Verdict(ENDORSEMENTS[acceptance], why)


def _is_believed(report: Report) -> bool:
    """Whether its issuer signed it and is recognised, or need not be."""
    recognised = report[CheckName.ISSUER_TRUST].outcome is Outcome.PASSED
    return report.established and (recognised or report.acceptance is Acceptance.ACCEPTED)


def sentence_of(check: Check) -> str:
    """What a check found, in everyday words."""
    if check.reason is None:
        return check.basis
    return SENTENCES[check.reason]


def day_of(moment: datetime) -> str:
    """A date in full, for people: 3 May 2027."""
    return f"{moment.day} {moment:%B %Y}"
