"""Which holdings answer a verifier's query (DCQL, OpenID4VP 1.0 section 6), and which are put before the holder.

Pure. Never chosen: what no query asks for, what does not match its query, more than one for a query that wants one,
and anything at all where the query as a whole cannot be met (section 6.4.2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.core.oid4vp.dcql import Candidate, ClaimsQuery, CredentialQuery, DcqlQuery, matched_claims
from wallet.holdings import Holding


@dataclass(frozen=True, slots=True)
class Option:
    """A holding with its types as IRIs."""

    holding: Holding
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Choice:
    """A holding that answers `query`, and the claims by which it does."""

    query: CredentialQuery
    holding: Holding
    claims: tuple[ClaimsQuery, ...]


def candidates(query: CredentialQuery, options: Sequence[Option], holder: str) -> tuple[Choice, ...]:
    """The holdings that answer one credential query, the one to prefer first.

    Where holder binding is asked for, a credential of somebody else cannot answer: no proof of ours would bind it.
    """
    found = []
    for option in options:
        claims = matched_claims(query, Candidate(option.holding.credential, option.types))
        subjects = option.holding.subject_ids
        bound = all(subject == holder for subject in subjects)
        if claims is not None and (bound or not query.require_cryptographic_holder_binding):
            found.append(Choice(query, option.holding, claims))
    return tuple(sorted(found, key=_preference))


def choose(
    query: DcqlQuery, options: Sequence[Option], holder: str, *, as_many_as_fit: bool = False
) -> tuple[Choice, ...] | None:
    """One answer to the whole query, in the order of its credentials; None where it cannot be met.

    A query that takes several gets one, unless the holder picked the options and wants `as_many_as_fit`.
    """
    found = {one.id: candidates(one, options, holder) for one in query.credentials}
    wanted = query.choose([name for name, choices in found.items() if choices])
    if wanted is None:
        return None
    return tuple(
        choice
        for one in query.credentials
        if one.id in wanted
        for choice in (found[one.id] if one.multiple and as_many_as_fit else found[one.id][:1])
    )


def _preference(choice: Choice) -> tuple[bool, bool, bool, float]:
    """Not refused at the last look, with an identified subject, with a bundle, newest."""
    last = choice.holding.last_check
    return (
        last is not None and last.acceptance == "refused",
        not choice.holding.subject_ids,
        choice.holding.bundle is None,
        -choice.holding.provenance.received.timestamp(),
    )
