"""Which holdings answer a verifier's query (DCQL, OpenID4VP 1.0 section 6), and which are put before the holder.

Pure. Never chosen: what no query asks for, what does not match its query, what the verifier says it cannot read, more
than one for a query that wants one, and anything at all where the query as a whole cannot be met (section 6.4.2). Of
what can be shown in part, the claims that are asked for are chosen; a query without claims asks for none that could be
left out (section 6.4.1).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.core.errors import NotFound
from node.core.oid4vp.dcql import Candidate, ClaimsQuery, CredentialQuery, DcqlQuery, matched_claims
from node.core.oid4vp.formats import format_of
from node.core.strict_json import JsonObject
from wallet.claims import Place, find_places, under
from wallet.formats import takes_credential, takes_signature
from wallet.holder_keys import HolderKey
from wallet.holdings import Holding
from wallet.presentation import holder_of


@dataclass(frozen=True, slots=True)
class Option:
    """A holding, and what it is to a query."""

    holding: Holding
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Choice:
    """A holding that answers `query`, and the claims by which it does."""

    query: CredentialQuery
    holding: Holding
    claims: tuple[ClaimsQuery, ...]

    @property
    def places(self) -> tuple[Place, ...]:
        """The claims that are asked for, where they stand."""
        choices = self.holding.choices
        found = (
            place
            for claim in self.claims
            for at in find_places(self.holding.document, claim.path)
            for place in under(choices.places, at)
        )
        return tuple(dict.fromkeys(found))


def candidates(
    query: CredentialQuery, options: Sequence[Option], keys: Sequence[HolderKey], formats: JsonObject
) -> tuple[Choice, ...]:
    """The holdings that answer one credential query, the one to prefer first.

    Where holder binding is asked for, a credential of somebody else cannot answer: no signature of ours would bind it.
    One that is shown by a secret needs none.
    """
    found = []
    for option in options:
        holding = option.holding
        if not takes_credential(formats, holding.shown):
            continue
        claims = matched_claims(query, option.candidate)
        wanted = query.require_cryptographic_holder_binding and not holding.choices.by_secret
        bound = not wanted or _can_bind(holding, keys, formats)
        if claims is not None and bound:
            found.append(Choice(query, holding, claims))
    return tuple(sorted(found, key=_preference))


def choose(
    query: DcqlQuery,
    options: Sequence[Option],
    keys: Sequence[HolderKey],
    formats: JsonObject,
    *,
    as_many_as_fit: bool = False,
) -> tuple[Choice, ...] | None:
    """One answer to the whole query, in the order of its credentials; None where it cannot be met.

    A query that takes several gets one, unless the holder picked the options and wants `as_many_as_fit`.
    """
    found = {one.id: candidates(one, options, keys, formats) for one in query.credentials}
    wanted = query.choose([name for name, choices in found.items() if choices])
    if wanted is None:
        return None
    return tuple(
        choice
        for one in query.credentials
        if one.id in wanted
        for choice in (found[one.id] if one.multiple and as_many_as_fit else found[one.id][:1])
    )


def _can_bind(holding: Holding, keys: Sequence[HolderKey], formats: JsonObject) -> bool:
    try:
        key = holder_of(holding, keys)
    except NotFound:
        return False
    return takes_signature(formats, format_of(holding.shown.envelope), key)


def _preference(choice: Choice) -> tuple[bool, bool, bool, float]:
    """Not refused at the last look, with an identified subject, with a bundle, newest."""
    last = choice.holding.last_check
    return (
        last is not None and last.acceptance == "refused",
        not choice.holding.subject_ids,
        choice.holding.bundle is None,
        -choice.holding.provenance.received.timestamp(),
    )
