"""Policies: which outcomes of which checks somebody accepts (FORMATS.md section 9)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

from node.core.errors import Malformed
from node.core.verify.report import Acceptance, Check, CheckName, Outcome, Reason

Compromise: TypeAlias = Literal["fail", "dispute"]
"""What becomes of a credential that was anchored before its key was declared compromised since an earlier block."""

_PASSED: Final = frozenset({Outcome.PASSED})
_PASSED_OR_NONE: Final = frozenset({Outcome.PASSED, Outcome.NOT_APPLICABLE})
_NOT_FAILED: Final = frozenset({Outcome.PASSED, Outcome.NOT_APPLICABLE, Outcome.UNKNOWN})
_DISPUTE: Final = "+dispute"
# Which of several objections explains the others: a missing bundle explains key, status and freshness.
_URGENCY: Final = {
    CheckName.CONFORMANCE: -3,
    CheckName.STATUS: -2,
    CheckName.VALIDITY_PERIOD: -1,
    CheckName.HOLDER_BINDING: 1,
    CheckName.CHALLENGE: 1,
    CheckName.DOMAIN: 1,
    CheckName.ISSUER_TRUST: 3,
    CheckName.SCHEMA: 4,
}
# These say that something else is not known, which is what a person should hear.
_FOLLOWS: Final = frozenset({Reason.KEY_NOT_CONFIRMED, Reason.STATE_NOT_PROVEN, Reason.NOT_REACHED})
OF_PRESENTATION: Final = (CheckName.HOLDER_BINDING, CheckName.CHALLENGE, CheckName.DOMAIN)
"""What only a presentation can answer."""


@dataclass(frozen=True, slots=True)
class Policy:
    """For each check that it names, the outcomes that it accepts. A policy that names nothing accepts nothing.

    `of_presentation` replaces the entries for holder binding, challenge and domain where something was presented.
    `max_header_age_seconds` limits how old the proof of key and status may be; `compromise` says whether a compromise
    that was declared after the anchor fails a credential or leaves it disputed.
    """

    name: str
    accepts: Mapping[CheckName, frozenset[Outcome]]
    of_presentation: Mapping[CheckName, frozenset[Outcome]]
    max_header_age_seconds: int = 24 * 3600
    compromise: Compromise = "fail"

    def judge(self, checks: Iterable[Check], *, presented: bool) -> Acceptance:
        """Refused if a named check failed, accepted if each has an accepted outcome, else undetermined.

        `checks` are one of each name.
        """
        accepts = self._accepts(presented=presented)
        outcomes = {check.name: check.outcome for check in checks}
        failed, undetermined = Outcome.FAILED, not accepts
        for name, wanted in accepts.items():
            outcome = outcomes.get(name)
            if outcome is failed:
                return Acceptance.REFUSED
            undetermined |= outcome not in wanted
        return Acceptance.UNDETERMINED if undetermined else Acceptance.ACCEPTED

    def decisive(self, checks: Iterable[Check], *, presented: bool) -> Check | None:
        """The check that a person should hear about first: of those not accepted, what explains the others."""
        accepts = self._accepts(presented=presented)
        objections = [
            check for check in checks if check.name in accepts and check.outcome not in accepts[check.name]
        ]
        failed = [check for check in objections if check.outcome is Outcome.FAILED]
        return min(failed or objections, key=_urgency, default=None)

    def _accepts(self, *, presented: bool) -> Mapping[CheckName, frozenset[Outcome]]:
        return {**self.accepts, **self.of_presentation} if presented else self.accepts

    def limited_to(self, max_header_age_seconds: int) -> Policy:
        """The same policy with another limit on the age of the header."""
        return replace(self, max_header_age_seconds=max_header_age_seconds)

    def judging_compromise(self, compromise: Compromise) -> Policy:
        """The same policy that fails such a credential, or leaves it disputed; then its name says so."""
        name = self.name.removesuffix(_DISPUTE) + (_DISPUTE if compromise == "dispute" else "")
        return replace(self, name=name, compromise=compromise)


_SIGNATURE: Final = {
    CheckName.CONFORMANCE: _PASSED,
    CheckName.PROOF: _PASSED,
    CheckName.PROOF_PURPOSE: _PASSED,
    CheckName.VALIDITY_PERIOD: _PASSED,
}
_BOUND: Final = dict.fromkeys(OF_PRESENTATION, _PASSED)
_CHAIN: Final = (
    CheckName.NETWORK,
    CheckName.HEADER,
    CheckName.ANCHOR,
    CheckName.KEY,
    CheckName.STATUS,
    CheckName.FRESHNESS,
    CheckName.EVIDENCE,
)
_ANY_ISSUER: Final = {
    **_SIGNATURE,
    **dict.fromkeys(_CHAIN, _PASSED_OR_NONE),
    CheckName.SCHEMA: _NOT_FAILED,
    **dict.fromkeys(OF_PRESENTATION, _NOT_FAILED),
}

STRICT: Final = Policy("strict", {**_ANY_ISSUER, CheckName.ISSUER_TRUST: _PASSED}, _BOUND)
ANY_ISSUER_UNSAFE: Final = Policy("any-issuer-unsafe", _ANY_ISSUER, _BOUND)
SIGNATURE_ONLY_UNSAFE: Final = Policy("signature-only-unsafe", _SIGNATURE, _BOUND)

POLICIES: Final = {policy.name: policy for policy in (STRICT, ANY_ISSUER_UNSAFE, SIGNATURE_ONLY_UNSAFE)}


def _urgency(check: Check) -> tuple[bool, int]:
    return check.reason in _FOLLOWS, _URGENCY.get(check.name, 0)


def named_policy(name: str) -> Policy:
    """The policy of that name; Malformed with the names there are."""
    try:
        return POLICIES[name]
    except KeyError as error:
        raise Malformed(f"no policy is named {name}: there are {', '.join(POLICIES)}") from error
