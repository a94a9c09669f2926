"""The result of a verification: a list of checks, and two answers drawn from it (FORMATS.md section 9).

Every report has an entry for each of the sixteen checks, in their order. A check that could not run is unknown and
says why; it is never left out and never not applicable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from node.core.problem import Problem
from node.core.times import format_datetime_stamp
from node.core.verify.materials import Strength


class Outcome(StrEnum):
    """What a check found. Unknown is neither yes nor no."""

    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not_applicable"


class CheckName(StrEnum):
    """The closed, ordered list of checks."""

    CONFORMANCE = "conformance"
    SCHEMA = "schema"
    PROOF = "proof"
    PROOF_PURPOSE = "proof_purpose"
    NETWORK = "network"
    HEADER = "header"
    ANCHOR = "anchor"
    KEY = "key"
    STATUS = "status"
    FRESHNESS = "freshness"
    VALIDITY_PERIOD = "validity_period"
    EVIDENCE = "evidence"
    ISSUER_TRUST = "issuer_trust"
    HOLDER_BINDING = "holder_binding"
    CHALLENGE = "challenge"
    DOMAIN = "domain"


class Acceptance(StrEnum):
    """The policy's answer."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNDETERMINED = "undetermined"


class Reason(StrEnum):
    """Why a check did not simply pass, in one word that pages and tests can hold on to."""

    NOT_REACHED = "not_reached"
    UNREADABLE = "unreadable"
    NOT_CONFORMING = "not_conforming"
    SCHEMA_BROKEN = "schema_broken"
    SCHEMA_NOT_PINNED = "schema_not_pinned"
    NO_SCHEMA = "no_schema"
    NO_PROOF = "no_proof"
    ONLY_THIRD_PARTY_PROOFS = "only_third_party_proofs"
    CHANGED = "changed_after_signing"
    PROOF_EXPIRED = "proof_expired"
    PROOF_EARLY = "proof_early"
    UNKNOWN_SUITE = "unknown_suite"
    BASE_PROOF = "base_proof"
    TRANSACTION_MISSING = "transaction_missing"
    CHAIN_NOT_READ = "chain_not_read"
    CONTEXT_NOT_PINNED = "context_not_pinned"
    KEY_UNKNOWN = "key_unknown"
    KEY_NOT_ASKED = "key_not_asked"
    KEY_UNREACHABLE = "key_unreachable"
    KEY_NOT_LOOKED_UP = "key_not_looked_up"
    SNAPSHOT_OLD = "snapshot_old"
    KEY_ENDED = "key_ended"
    KEY_NOT_CONFIRMED = "key_not_confirmed"
    KEY_SOURCE_WEAK = "key_source_weak"
    WRONG_PURPOSE = "wrong_purpose"
    NO_IDENTITY = "no_identity"
    TEST_NETWORK = "test_network"
    UNKNOWN_NETWORK = "unknown_network"
    HEADER_NOT_TRUSTED = "header_not_trusted"
    HEADER_OLD = "header_old"
    SOURCES_DISAGREE = "sources_disagree"
    CHAIN_UNREACHABLE = "chain_unreachable"
    BUNDLE_MISSING = "bundle_missing"
    BUNDLE_FALSE = "bundle_false"
    NOT_ANCHORED = "not_anchored"
    ANCHORED_LATER = "anchored_after_as_of"
    IDENTITY_CLOSED = "identity_closed"
    ANCHOR_OUT_OF_PLACE = "anchor_out_of_place"
    NOTHING_ANCHORED = "nothing_anchored"
    KEY_NOT_REGISTERED = "key_not_registered"
    KEY_NOT_YET_VALID = "key_not_yet_valid"
    KEY_RETIRED = "key_retired"
    KEY_COMPROMISED = "key_compromised"
    KEY_DISPUTED = "key_disputed"
    KEY_PURPOSE = "key_purpose"
    STATE_NOT_PROVEN = "state_not_proven"
    REVOKED = "revoked"
    SUSPENDED = "suspended"
    STATUS_OUT_OF_RANGE = "status_out_of_range"
    STATUS_LIST_UNKNOWN = "status_list_unknown"
    STATUS_UNREACHABLE = "status_unreachable"
    STATUS_NOT_ASKED = "status_not_asked"
    STATUS_LATER = "status_later_than_as_of"
    NO_STATUS = "no_status"
    UNLINKABLE = "unlinkable"
    TERMS_BROKEN = "terms_broken"
    MAY_BE_HIDDEN = "may_be_hidden"
    STALE = "stale"
    CLOCK = "header_ahead_of_clock"
    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    EVIDENCE_SWAPPED = "evidence_swapped"
    EVIDENCE_WITHHELD = "evidence_withheld"
    NO_EVIDENCE = "no_evidence"
    NO_TRUST_LIST = "no_trust_list"
    ISSUER_NOT_LISTED = "issuer_not_listed"
    ISSUER_OUTSIDE_TIME = "issuer_outside_time"
    ISSUER_TIME_UNKNOWN = "issuer_time_unknown"
    DOCUMENT_ALONE = "document_alone"
    NO_SUBJECT = "no_subject"
    HOLDER_UNRESOLVED = "holder_unresolved"
    HOLDER_DIFFERS = "holder_differs"
    HOLDER_PROOF_WRONG = "holder_proof_wrong"
    NOT_HELD = "not_held"
    COPY = "copy"
    NOT_ASKED = "not_asked"
    ANSWERED_BEFORE = "answered_before"
    FOR_SOMEBODY_ELSE = "for_somebody_else"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: `basis` tells a person what was looked at, `reason` is there unless it simply passed."""

    name: CheckName
    outcome: Outcome
    basis: str
    reason: Reason | None = None
    problems: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The check as the report's JSON."""
        body: dict[str, Any] = {"name": self.name, "outcome": self.outcome, "basis": self.basis}
        if self.reason is not None:
            body["reason"] = self.reason
        body["problems"] = [problem.to_json() for problem in self.problems]
        return body


@dataclass(frozen=True, slots=True)
class IssuerNamed:
    """Who issued: `id` as signed, `name` as the trust list has it, `calls_itself` as the document claims."""

    id: str
    name: str | None = None
    calls_itself: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The issuer as the report's JSON; absent names are left out."""
        body = {"id": self.id, "name": self.name, "callsItself": self.calls_itself}
        return {member: value for member, value in body.items() if value is not None}


@dataclass(frozen=True, slots=True)
class HeaderUsed:
    """The block header that key and status were proven against, and whose word was taken for it."""

    chain: str
    number: int
    hash: str
    time: datetime
    source: str
    strength: Strength

    def to_json(self) -> dict[str, Any]:
        """The header as the report's JSON."""
        return {
            "chain": self.chain,
            "number": self.number,
            "hash": self.hash,
            "time": format_datetime_stamp(self.time),
            "source": self.source,
            "strength": self.strength.name.lower(),
        }


@dataclass(frozen=True, slots=True)
class HolderSecret:
    """That whoever presented it for `domain` knows the secret to which its issuer bound it (bbs-2023).

    `pseudonym`, in base64url multibase, is the same whenever the same credential is shown for this domain, also after
    it was issued anew, and another for every other domain. None: nothing tells one showing from another holder's.
    """

    domain: str
    pseudonym: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As in the report's JSON; without a pseudonym where there is none."""
        named = {} if self.pseudonym is None else {"pseudonym": self.pseudonym}
        return {"domain": self.domain, **named}


@dataclass(frozen=True, slots=True)
class Report:
    """What was established about one credential, or about a presentation of several.

    `verified` follows VC Data Model 2.0 section 7.1; `acceptance` is the policy's answer. Neither is the truth value
    of the report: it has none.
    """

    checks: tuple[Check, ...]
    verified: bool
    acceptance: Acceptance
    policy: str
    mode: str
    as_of: datetime
    issuer: IssuerNamed | None = None
    header: HeaderUsed | None = None
    anchored: datetime | None = None
    """The anchor's block time: the only time that is believed."""
    holder_secret: HolderSecret | None = None
    document: Mapping[str, Any] | None = None
    """The credential as it was read, for whoever shows it; not part of the JSON."""
    credentials: tuple[Report, ...] = ()
    endorsements: tuple[Report, ...] = ()
    """On the endorsements in it, which decide nothing."""
    notes: tuple[str, ...] = ()
    contacted: tuple[str, ...] = ()
    decisive: Check | None = None
    """The check that a person should hear about first, unless it was accepted."""

    def __getitem__(self, name: CheckName) -> Check:
        return self.checks[_POSITION[name]]

    @property
    def established(self) -> bool:
        """Whether the issuer's signature stands, whoever showed the document and whatever became of it since."""
        signed = (CheckName.CONFORMANCE, CheckName.PROOF, CheckName.PROOF_PURPOSE)
        passed = all(self[name].outcome is Outcome.PASSED for name in signed)
        return passed and self[CheckName.KEY].outcome in (Outcome.PASSED, Outcome.NOT_APPLICABLE)

    @property
    def of_unknown_suite(self) -> bool:
        """Whether a proof in it could not be judged for its type: another program may know it."""
        unknown = self[CheckName.PROOF].reason is Reason.UNKNOWN_SUITE
        return unknown or any(one.of_unknown_suite for one in self.credentials)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON (FORMATS.md section 9)."""
        body: dict[str, Any] = {
            "verified": self.verified,
            "acceptance": self.acceptance,
            "checks": [check.to_json() for check in self.checks],
            "issuer": self.issuer.to_json() if self.issuer else None,
            "policy": self.policy,
            "mode": self.mode,
            "header": self.header.to_json() if self.header else None,
            "anchored": format_datetime_stamp(self.anchored) if self.anchored else None,
            "as_of": format_datetime_stamp(self.as_of),
            "contacted": list(self.contacted),
        }
        if self.holder_secret is not None:
            body["holder_secret"] = self.holder_secret.to_json()
        if self.notes:
            body["notes"] = list(self.notes)
        if self.credentials:
            body["credentials"] = [report.to_json() for report in self.credentials]
        if self.endorsements:
            body["endorsements"] = [report.to_json() for report in self.endorsements]
        return body


_POSITION: Final = {name: position for position, name in enumerate(CheckName)}
_WORST_FIRST: Final = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.PASSED, Outcome.NOT_APPLICABLE)


def worst(checks: Iterable[Check]) -> Check:
    """The worst of checks of one name: failed, unknown, passed, not applicable; of equals, the first."""
    return min(checks, key=lambda check: _WORST_FIRST.index(check.outcome))
