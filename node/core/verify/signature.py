"""What one signature comes to, of an embedded proof or of a token: its key, how far that is believed, and its bytes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from node.core.canonical.contexts import ContextNotPinned
from node.core.dataintegrity.cryptosuite import UnknownSuite
from node.core.errors import BonafidesError, Malformed, NotVerified, Unavailable
from node.core.keys import PublicKey
from node.core.problem import Problem
from node.core.verify.methods import KeyFinder, KeyFound, KeyMissing, KeyNamed
from node.core.verify.report import Outcome, Reason


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one signature came to; `key` is there where one was found."""

    outcome: Outcome
    basis: str
    reason: Reason | None = None
    problems: tuple[Problem, ...] = ()
    key: KeyFound | None = None


def judge_signature(
    named: KeyNamed, find_key: KeyFinder, verify: Callable[[PublicKey], None], kind: str
) -> Verdict:
    """The verdict on a signature of a `kind` that the basis tells; `verify` raises unless a key made it."""
    found = find_key(named)
    if isinstance(found, KeyMissing):
        outcome = Outcome.FAILED if found.refused else Outcome.UNKNOWN
        return Verdict(outcome, found.detail, found.reason)
    try:
        verify(found.key)
    except (ContextNotPinned, UnknownSuite) as error:
        not_pinned = isinstance(error, ContextNotPinned)
        reason = Reason.CONTEXT_NOT_PINNED if not_pinned else Reason.UNKNOWN_SUITE
        return Verdict(Outcome.UNKNOWN, error.detail, reason, (error.problem,))
    except (NotVerified, Malformed) as error:
        return _wrong(found, error)
    except Unavailable as error:
        return Verdict(Outcome.UNKNOWN, error.detail, Reason.KEY_UNKNOWN, (error.problem,))
    if found.doubt is not None:
        basis = f"the signature is right, but for its key there is only {found.source}"
        return Verdict(Outcome.UNKNOWN, basis, found.doubt, key=found)
    return Verdict(Outcome.PASSED, f"{kind}: signed with the key from {found.source}", key=found)


def _wrong(found: KeyFound, error: BonafidesError) -> Verdict:
    """A wrong signature is the document's fault only where the key is known to be the issuer's."""
    if found.confirmed:
        basis = f"the signature does not fit the document: {error.detail}"
        return Verdict(Outcome.FAILED, basis, Reason.CHANGED, (error.problem,), found)
    basis = f"the signature does not fit, and nothing confirms the key from {found.source}"
    return Verdict(Outcome.UNKNOWN, basis, Reason.KEY_NOT_CONFIRMED, (error.problem,), found)
