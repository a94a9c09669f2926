"""The Digital Credentials Query Language (OpenID4VP 1.0 sections 6 and 7): parse, match, check an answer.

The wallet matches what it holds, the verifier re-checks what it got: a wallet is not trusted to keep to a query.
A credential of any format is what it says as far as it is disclosed, and a claims path begins at its root: of a token,
at the document in it; of an SD-JWT VC, at its processed claims.
Which credential a person then picks, and what the cryptography says, is decided elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from node.core.canonical.nquads import RDF, parse_nquads
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import types_of
from node.core.envelope import Envelope
from node.core.errors import Malformed, NotVerified
from node.core.members import list_member, within
from node.core.oid4vci.metadata import DC_SD_JWT, LDP_VC, VC_SD_JWT
from node.core.oid4vp.formats import W3C_FORMATS, format_of
from node.core.problem import ours
from node.core.strict_json import Json, JsonObject

OPEN_BADGE_TYPES: Final = (
    "https://www.w3.org/2018/credentials#VerifiableCredential",
    "https://purl.imsglobal.org/spec/vc/ob/vocab.html#OpenBadgeCredential",
)

# A request comes from a stranger; no sensible one asks for more.
MAX_QUERIES: Final = 64
MAX_CLAIMS: Final = 128
MAX_SETS: Final = 64
MAX_PATH: Final = 32
MAX_VALUES: Final = 256
MAX_SELECTED: Final = 10_000

_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,256}\Z")

PathStep = str | int | None
ClaimsPath = tuple[PathStep, ...]


class NotSatisfied(NotVerified):
    """What came is not what the query asks for."""

    default_type = ours("query-not-satisfied")


@dataclass(frozen=True, slots=True)
class ClaimsQuery:
    """One claim that is asked for: a path from the root of the credential, and perhaps the values of use."""

    path: ClaimsPath
    id: str | None = None
    values: tuple[str | int | bool, ...] = ()

    def to_json(self) -> JsonObject:
        """The claim as the query's JSON."""
        body: JsonObject = {"id": self.id} if self.id is not None else {}
        body["path"] = list(self.path)
        if self.values:
            body["values"] = list(self.values)
        return body


@dataclass(frozen=True, slots=True)
class CredentialQuery:
    """One credential that is asked for (section 6.1).

    `type_values` are the alternatives of `meta.type_values`, `vct_values` those of `meta.vct_values`; empty where
    `meta` has none. Kinds of `trusted_authorities` are not known here, so a query that names any matches nothing.
    """

    id: str
    format: str
    meta: JsonObject
    type_values: tuple[frozenset[str], ...] = ()
    claims: tuple[ClaimsQuery, ...] = ()
    claim_sets: tuple[tuple[str, ...], ...] = ()
    multiple: bool = False
    require_cryptographic_holder_binding: bool = True
    trusted_authorities: tuple[JsonObject, ...] = ()
    vct_values: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """The query as JSON; members at their default are left out."""
        body: JsonObject = {"id": self.id, "format": self.format, "meta": self.meta}
        if self.multiple:
            body["multiple"] = True
        if not self.require_cryptographic_holder_binding:
            body["require_cryptographic_holder_binding"] = False
        if self.claims:
            body["claims"] = [claim.to_json() for claim in self.claims]
        if self.claim_sets:
            body["claim_sets"] = [list(names) for names in self.claim_sets]
        if self.trusted_authorities:
            body["trusted_authorities"] = list(self.trusted_authorities)
        return body

    def claim_options(self) -> tuple[tuple[ClaimsQuery, ...], ...]:
        """The sets of claims that would do, best first (section 6.4.1)."""
        if not self.claim_sets:
            return (self.claims,)
        by_id = {claim.id: claim for claim in self.claims}
        return tuple(tuple(by_id[name] for name in names) for names in self.claim_sets)


@dataclass(frozen=True, slots=True)
class CredentialSetQuery:
    """Combinations of credential queries, one of which is wanted (section 6.2)."""

    options: tuple[tuple[str, ...], ...]
    required: bool = True

    def to_json(self) -> JsonObject:
        """The set as JSON."""
        body: JsonObject = {"options": [list(option) for option in self.options]}
        if not self.required:
            body["required"] = False
        return body


@dataclass(frozen=True, slots=True)
class DcqlQuery:
    """A whole query. Without `credential_sets` every credential is wanted."""

    credentials: tuple[CredentialQuery, ...]
    credential_sets: tuple[CredentialSetQuery, ...] = ()

    def __getitem__(self, query_id: str) -> CredentialQuery:
        for query in self.credentials:
            if query.id == query_id:
                return query
        raise KeyError(query_id)

    def to_json(self) -> JsonObject:
        """The query as `dcql_query`."""
        body: JsonObject = {"credentials": [query.to_json() for query in self.credentials]}
        if self.credential_sets:
            body["credential_sets"] = [one.to_json() for one in self.credential_sets]
        return body

    def choose(self, available: Collection[str]) -> tuple[str, ...] | None:
        """The ids to answer with, given those that can be answered; None where the query cannot be satisfied.

        Every required set by its first option that can be, optional ones as far as they can. Where it cannot be
        satisfied, nothing at all is returned (section 6.4.2).
        """
        if not self.credential_sets:
            wanted = [query.id for query in self.credentials]
            return tuple(wanted) if all(name in available for name in wanted) else None
        chosen: dict[str, None] = {}
        for one in self.credential_sets:
            option = next((names for names in one.options if all(name in available for name in names)), None)
            if option is not None:
                chosen |= dict.fromkeys(option)
            elif one.required:
                return None
        # Only optional sets, none of which can be met: there is nothing to return.
        return tuple(chosen) or None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A credential as far as it is disclosed, with its types as expanded IRIs (none for an SD-JWT VC)."""

    document: JsonObject
    types: frozenset[str]
    format: str = LDP_VC


def candidate_of(document: JsonObject, envelope: Envelope | None, canonicalizer: Canonicalizer) -> Candidate:
    """What a credential is to a query; errors as of `expanded_types`. `envelope` is the token that says `document`."""
    name = format_of(envelope)
    types = frozenset[str]() if name == DC_SD_JWT else expanded_types(document, canonicalizer)
    return Candidate(document, types, name)


def expanded_types(document: JsonObject, canonicalizer: Canonicalizer) -> frozenset[str]:
    """The types of a credential as IRIs, by its own contexts; those that they do not define stay as they are (B.1.1).

    Malformed where the contexts cannot be read, ContextNotPinned where one of them is not on the list.
    """
    contexts, types = document.get("@context", []), types_of(document)
    try:
        return _expanded(contexts, types, canonicalizer)
    except Malformed:
        defined = [name for name in types if _is_defined(contexts, name, canonicalizer)]
        return _expanded(contexts, defined, canonicalizer) | (frozenset(types) - frozenset(defined))


def _is_defined(contexts: Json, name: str, canonicalizer: Canonicalizer) -> bool:
    try:
        return bool(_expanded(contexts, [name], canonicalizer))
    except Malformed:
        return False


def _expanded(contexts: Json, types: Sequence[str], canonicalizer: Canonicalizer) -> frozenset[str]:
    # Types expand by the contexts alone (JSON-LD 1.1 section 4.1.2): the rest of the document need not be walked.
    frame: JsonObject = {"@context": contexts, "id": "urn:bonafides:typed", "type": list(types)}
    return frozenset(
        value[1:-1]
        for _, predicate, value, _ in parse_nquads(canonicalizer.nquads(frame))
        if predicate == f"<{RDF}type>"
    )


def select(document: Json, path: ClaimsPath) -> tuple[Json, ...]:
    """What a claims path points to (section 7.1); empty where that is nothing or the path does not fit.

    A text steps into a member, an integer to an element, null to every element. What has not the member or element
    asked for drops out; where any of those selected is of another kind, the whole path fails.
    """
    selected: list[Json] = [document]
    for step in path:
        kind = dict if isinstance(step, str) else list
        if not all(isinstance(item, kind) for item in selected):
            return ()
        selected = [value for item in selected for value in _step(item, step)]
        if not selected or len(selected) > MAX_SELECTED:
            return ()
    return tuple(selected)


def _step(item: Json, step: PathStep) -> Sequence[Json]:
    if isinstance(step, str):
        return (item[step],) if step in item else ()
    elements: list[Json] = item
    return elements if step is None else elements[step : step + 1]


def matched_claims(query: CredentialQuery, candidate: Candidate) -> tuple[ClaimsQuery, ...] | None:
    """The claims with which a credential answers a query, by the best set there is; None where it does not.

    Format, types and claims are looked at. What has one signature over all of it discloses everything, whatever
    claims are named: the wallet says so before it sends.
    """
    if candidate.format != query.format or query.trusted_authorities:
        return None
    if query.vct_values and candidate.document.get("vct") not in query.vct_values:
        return None
    if query.type_values and not any(types <= candidate.types for types in query.type_values):
        return None
    for claims in query.claim_options():
        if all(_has(candidate.document, claim) for claim in claims):
            return claims
    return None


def _has(document: JsonObject, claim: ClaimsQuery) -> bool:
    found = select(document, claim.path)
    if not claim.values:
        return bool(found)
    # Exact in type too: JSON's true is not 1 (section 6.4.1).
    wanted = {(type(value), value) for value in claim.values}
    return any(isinstance(value, str | int | bool) and (type(value), value) in wanted for value in found)


def check_answer(query: DcqlQuery, answer: Mapping[str, Sequence[Candidate]]) -> None:
    """Raise NotSatisfied unless `answer`, credentials by query id, is what `query` asks for (section 8.6)."""
    known = {one.id for one in query.credentials}
    if unknown := answer.keys() - known:
        raise NotSatisfied(f"the answer names queries that were not asked: {', '.join(sorted(unknown))}")
    for name, candidates in answer.items():
        one = query[name]
        if not candidates:
            raise NotSatisfied(f"the answer to {name} is empty")
        if len(candidates) > 1 and not one.multiple:
            raise NotSatisfied(f"the answer to {name} holds {len(candidates)} credentials, one was asked for")
        if any(matched_claims(one, candidate) is None for candidate in candidates):
            raise NotSatisfied(f"a credential given for {name} is not what was asked for")
    if query.choose(answer.keys()) is None:
        raise NotSatisfied("not everything that was asked for was given")


def parse_dcql(value: Json) -> DcqlQuery:
    """The query that `dcql_query` writes; Malformed with the place. Members that are not known are passed over."""
    if not isinstance(value, dict):
        raise Malformed("dcql_query is a JSON object")
    credentials = []
    for index, item in enumerate(_filled(value, "credentials", MAX_QUERIES)):
        with within("credentials", index):
            credentials.append(_parse_query(item))
    names = [query.id for query in credentials]
    if len(set(names)) != len(names):
        raise Malformed("two credential queries have the same id", path=("credentials",))
    sets = []
    if "credential_sets" in value:
        for index, item in enumerate(_filled(value, "credential_sets", MAX_SETS)):
            with within("credential_sets", index):
                sets.append(_parse_set(item, frozenset(names)))
    return DcqlQuery(tuple(credentials), tuple(sets))


def _parse_query(item: Json) -> CredentialQuery:
    if not isinstance(item, dict):
        raise Malformed("a credential query is an object")
    kind, meta = item.get("format"), item.get("meta")
    if not isinstance(kind, str) or not kind:
        raise Malformed("format is required and is a text", path=("format",))
    if not isinstance(meta, dict):
        raise Malformed("meta is required and is an object", path=("meta",))
    with within("meta"):
        types, vcts = _parse_types(kind, meta), _parse_vcts(kind, meta)
    claims = tuple(_parse_claims(item))
    return CredentialQuery(
        _parse_id(item.get("id")),
        kind,
        meta,
        types,
        claims,
        tuple(_parse_claim_sets(item, claims)),
        _flag(item, "multiple", default=False),
        _flag(item, "require_cryptographic_holder_binding", default=True),
        tuple(_parse_authorities(item)),
        vcts,
    )


def _parse_types(kind: str, meta: JsonObject) -> tuple[frozenset[str], ...]:
    # Section B.1.1: for W3C formats type_values is required, a non-empty array of non-empty arrays.
    if "type_values" not in meta:
        # Until 2025 an SD-JWT VC was called vc+sd-jwt as well: whoever asks so names its vct.
        if kind in W3C_FORMATS and not (kind == VC_SD_JWT and "vct_values" in meta):
            raise Malformed(f"type_values is required for {kind}", path=("type_values",))
        return ()
    alternatives = []
    for index, names in enumerate(_filled(meta, "type_values", MAX_SETS)):
        with within("type_values", index):
            alternatives.append(frozenset(_texts(names)))
    return tuple(alternatives)


def _parse_vcts(kind: str, meta: JsonObject) -> tuple[str, ...]:
    # Section B.3.5.
    if "vct_values" not in meta:
        if kind == DC_SD_JWT:
            raise Malformed(f"vct_values is required for {kind}", path=("vct_values",))
        return ()
    with within("vct_values"):
        return tuple(_texts(meta["vct_values"]))


def _parse_claims(item: JsonObject) -> Iterator[ClaimsQuery]:
    if "claims" not in item:
        return
    for index, claim in enumerate(_filled(item, "claims", MAX_CLAIMS)):
        with within("claims", index):
            if not isinstance(claim, dict):
                raise Malformed("a claims query is an object")
            path = tuple(_filled(claim, "path", MAX_PATH))
            if not all(
                step is None or type(step) is str or (type(step) is int and step >= 0) for step in path
            ):
                raise Malformed("a path is of texts, integers from 0 and nulls", path=("path",))
            values = tuple(_filled(claim, "values", MAX_VALUES)) if "values" in claim else ()
            if not all(type(value) in (str, int, bool) for value in values):
                raise Malformed("values are texts, integers and booleans", path=("values",))
            yield ClaimsQuery(path, _parse_id(claim["id"]) if "id" in claim else None, values)


def _parse_claim_sets(item: JsonObject, claims: tuple[ClaimsQuery, ...]) -> Iterator[tuple[str, ...]]:
    named = [claim.id for claim in claims if claim.id is not None]
    if len(set(named)) != len(named):
        raise Malformed("two claims have the same id", path=("claims",))
    if "claim_sets" not in item:
        return
    if len(named) != len(claims) or not claims:
        raise Malformed("claim_sets needs claims, each with an id", path=("claim_sets",))
    for index, names in enumerate(_filled(item, "claim_sets", MAX_SETS)):
        with within("claim_sets", index):
            yield _references(names, frozenset(named))


def _parse_authorities(item: JsonObject) -> Iterator[JsonObject]:
    if "trusted_authorities" not in item:
        return
    for index, one in enumerate(_filled(item, "trusted_authorities", MAX_SETS)):
        with within("trusted_authorities", index):
            if not isinstance(one, dict) or not isinstance(one.get("type"), str):
                raise Malformed("a trusted authority has a type")
            yield one


def _parse_set(item: Json, known: frozenset[str]) -> CredentialSetQuery:
    if not isinstance(item, dict):
        raise Malformed("a credential set query is an object")
    options = []
    for index, names in enumerate(_filled(item, "options", MAX_SETS)):
        with within("options", index):
            options.append(_references(names, known))
    return CredentialSetQuery(tuple(options), _flag(item, "required", default=True))


def _references(names: Json, known: frozenset[str]) -> tuple[str, ...]:
    found = tuple(_texts(names))
    if unknown := sorted(set(found) - known):
        raise Malformed(f"nothing here has the id {unknown[0]!r}")
    return found


def _texts(names: Json) -> list[str]:
    if not isinstance(names, list) or not names or len(names) > MAX_CLAIMS:
        raise Malformed(f"expected a list of 1 to {MAX_CLAIMS} texts")
    if not all(isinstance(name, str) and name for name in names):
        raise Malformed("expected texts")
    return names


def _parse_id(value: Json) -> str:
    if not isinstance(value, str) or not _ID.match(value):
        raise Malformed("an id is of letters, digits, _ and -", path=("id",))
    return value


def _flag(item: JsonObject, name: str, *, default: bool) -> bool:
    value = item.get(name, default)
    if not isinstance(value, bool):
        raise Malformed("expected true or false", path=(name,))
    return value


def _filled(members: JsonObject, name: str, max_items: int) -> list[Json]:
    if name not in members:
        raise Malformed(f"{name} is required", path=(name,))
    found = list_member(members, name, max_items=max_items)
    if not found:
        raise Malformed("expected at least one", path=(name,))
    return found
