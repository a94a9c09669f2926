"""What a document says of itself, once it is known what of it is signed (CHECKS.md 1 and 2: conformance, schema).

What is read is what is signed: for RDF suites the document is read as its canonical quads say, not as its members are
spelled (FORMATS.md section 2). For JCS suites and for tokens the members are what is signed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Final

from node.core.canonical.contexts import ContextNotPinned
from node.core.canonical.plain import read_as_signed
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import (
    CredentialFacts,
    NonConforming,
    check_credential,
    is_url,
    types_of,
)
from node.core.dataintegrity.bbs_2023 import Bbs2023
from node.core.dataintegrity.merkle_proof_2019 import is_merkle_proof
from node.core.dataintegrity.proof import Proof, proofs_of
from node.core.dataintegrity.suites import find_suite, unsecured
from node.core.did.ethr_identity import EthrDid, parse_did_ethr
from node.core.did.syntax import did_of, is_did_ethr
from node.core.envelope import Envelope, open_enveloped
from node.core.errors import Malformed, Unavailable
from node.core.jose.sd_jwt_vc import DC_SD_JWT
from node.core.related_resource import check_related_resources
from node.core.schema import SchemaSet, SchemaVerdict, title_of
from node.core.status.entry import StatusEntry, UnknownStatusEntry, parse_status_entries
from node.core.status.token_status_list import TokenStatusEntry, parse_token_status
from node.core.strict_json import JsonObject
from node.core.times import parse_datetime_stamp
from node.core.verify.intake import held_by, listed
from node.core.verify.report import Check, CheckName, Outcome, Reason

CLR_CREDENTIAL: Final = "ClrCredential"
_SD_JWT_VC: Final = "SD-JWT VC"
_BEGINS: Final = ("validFrom", "issuanceDate")
_ENDS: Final = ("validUntil", "expirationDate")
_REWRITTEN: Final = "it was written outside the plain form and read again with the pinned contexts"
_APPENDED: Final = "contexts that were added after it was signed are not read"
_ENVELOPES: Final = frozenset({"EnvelopedVerifiableCredential", "EnvelopedVerifiablePresentation"})


AnyStatusEntry = StatusEntry | TokenStatusEntry | UnknownStatusEntry


@dataclass(frozen=True, slots=True)
class Document:
    """A credential as it is read by every later check, and what reading it found."""

    raw: JsonObject
    """As received: what the digest of an anchor is over."""
    read: JsonObject
    """What the proof covers, in the terms of the pinned contexts."""
    conformance: Check
    schema: Check
    facts: CredentialFacts | None = None
    entries: tuple[AnyStatusEntry, ...] = ()
    ethr: EthrDid | None = None
    """The issuer's DID, where it is a did:ethr of a network that we know by that name."""
    on_unnamed_chain: bool = False
    """Whether the issuer is a did:ethr of a network that is written by a name we do not know."""
    proofs: tuple[Proof, ...] = ()
    context_missing: str | None = None
    nquads: str | None = None
    """Its canonical statements without proofs, where statements are signed."""
    held: tuple[JsonObject | str, ...] = ()
    """The credentials that it holds (CLR 2.0), each with proofs of its own."""
    lacking: bool = False
    """Whether its schema refuses it only for what is not in it."""
    envelope: Envelope | None = None
    """The token that it is, where it has no proof of its own to be read."""

    @property
    def unlinkable(self) -> bool:
        """Whether its issuer signed it with bbs-2023 and in no other way."""
        issued = self.issuer_proofs
        return bool(issued) and all(proof.cryptosuite == Bbs2023.name for proof in issued)

    @property
    def of_blockcerts(self) -> bool:
        """Whether its issuer signed it by a transaction."""
        return any(is_merkle_proof(proof) for proof in self.issuer_proofs)

    @property
    def methods(self) -> tuple[str, ...]:
        """The verification methods that its signatures of the issuer name."""
        if self.envelope is None:
            return tuple(proof.verification_method for proof in self.issuer_proofs)
        method = self.envelope.verification_method
        return (method,) if method is not None else ()

    @property
    def issuer_proofs(self) -> tuple[Proof, ...]:
        """The proofs whose verification method names the issuer, letter by letter."""
        if self.facts is None:
            return ()
        prefix = self.facts.issuer_id + "#"
        return tuple(proof for proof in self.proofs if proof.verification_method.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Secured:
    """What is to be read, what to tell of it, and which context stood in the way of its statements."""

    document: JsonObject
    remarks: tuple[str, ...] = ()
    context_missing: str | None = None
    nquads: str | None = None
    """The canonical statements that RDF suites sign, without proofs."""


# 1. conformance, 2. schema ---------------------------------------------------------------------------------


def read_document(
    raw: JsonObject, canonicalizer: Canonicalizer, schemas: SchemaSet, envelope: Envelope | None = None
) -> Document:
    """Read a credential: its proofs, then what they cover, then the rules of the data model and of its type.

    `envelope` is the token that says `raw`, where it is one: an embedded proof in it then proves nothing.
    """
    try:
        proofs = () if envelope is not None else proofs_of(raw)
        if envelope is not None:
            read = read_token(envelope, canonicalizer)
        else:
            _refuse_envelope(raw)
            read = read_secured(raw, proofs, canonicalizer)
        is_claims = envelope is not None and envelope.media_type == DC_SD_JWT
        facts = _facts_of_claims(envelope) if is_claims and envelope else check_credential(read.document)
        if envelope is not None and envelope.subjects_withheld:
            # One that nobody sees has no identifier to compare with the holder's.
            facts = replace(facts, subject_count=facts.subject_count + 1)
        if facts.version == "2.0":
            check_related_resources(read.document, canonicalizer.contexts.published)
        held = _held(read.document, facts)
        entries = _entries(read.document, envelope)
        ethr, on_unnamed_chain = _identity_of(facts.issuer_id)
    except Malformed as error:
        return _not_conforming(raw, error)
    conforms = f"conforms to {'' if is_claims else 'the VC Data Model '}{facts.version}"
    basis = "; ".join((conforms, *read.remarks))
    warnings = tuple(facts.warnings)
    schema, lacking = (_no_schema(), False) if is_claims else _check_schema(read.document, schemas)
    return Document(
        raw,
        read.document,
        Check(CheckName.CONFORMANCE, Outcome.PASSED, basis, None, warnings),
        schema,
        facts,
        entries,
        ethr,
        on_unnamed_chain,
        proofs,
        read.context_missing,
        read.nquads,
        held,
        lacking,
        envelope,
    )


def _facts_of_claims(envelope: Envelope) -> CredentialFacts:
    """What an SD-JWT VC says of itself (draft-ietf-oauth-sd-jwt-vc section 2.2): claims of its own, no data model.

    Without `iss` the issuer is the DID whose key it names; by a certificate (`x5c`) nobody is known here. When it
    begins and ends in the words of the data model counts against it beside `nbf` and `exp`: whoever wrote it meant it.
    """
    claims, method = envelope.claims, envelope.verification_method
    issuer = claims.issuer
    if issuer is None and method is not None and method.startswith("did:"):
        issuer = did_of(method)
    if issuer is not None and not is_url(issuer):
        raise Malformed("iss must be a URL", path=("iss",))
    begins = max(_moments(claims.not_before, claims.raw, _BEGINS), default=None)
    ends = min(_moments(claims.expires, claims.raw, _ENDS), default=None)
    if begins is not None and ends is not None and ends < begins:
        raise Malformed("the validity ends before it begins", path=("exp",))
    return CredentialFacts(
        version=_SD_JWT_VC,
        id=claims.token_id,
        types=(claims.raw["vct"],),
        issuer_id=issuer or "",
        issuer_name=None,
        subject_ids=() if claims.subject is None else (claims.subject,),
        subject_count=1,
        valid_from=begins,
        valid_until=ends,
    )


def _moments(registered: datetime | None, claims: JsonObject, names: tuple[str, ...]) -> list[datetime]:
    found = [] if registered is None else [registered]
    for name in names:
        if name in claims:
            text = claims[name]
            if not isinstance(text, str):
                raise Malformed("must be a dateTimeStamp", path=(name,))
            try:
                found.append(parse_datetime_stamp(text))
            except Malformed as error:
                raise Malformed(error.detail, path=(name,)) from error
    return found


def _entries(document: JsonObject, envelope: Envelope | None) -> tuple[AnyStatusEntry, ...]:
    """Where its status is told: in the document, and in the token's own claim (Token Status List section 6)."""
    entries: tuple[AnyStatusEntry, ...] = parse_status_entries(document)
    told = parse_token_status(envelope.claims.raw) if envelope is not None else None
    return entries if told is None else (*entries, told)


def _held(document: JsonObject, facts: CredentialFacts) -> tuple[JsonObject | str, ...]:
    """The credentials in the subject of a Comprehensive Learner Record (CLR 2.0, ClrSubject)."""
    if CLR_CREDENTIAL not in facts.types or facts.version == _SD_JWT_VC:
        return ()
    found: list[JsonObject | str] = []
    for item in held_by(document):
        # Of version 1.1 a text is a VC-JWT; version 2.0 has objects that envelop tokens.
        if not isinstance(item, dict) and not (isinstance(item, str) and facts.version == "1.1"):
            path = ("credentialSubject", "verifiableCredential")
            raise Malformed("a record holds credentials as objects", path=path)
        found.append(item)
    return tuple(found)


def _refuse_envelope(raw: JsonObject) -> None:
    """Malformed for an envelope (VC Data Model 2.0 section 4.13): what was received as one could not be opened."""
    if _ENVELOPES.intersection(types_of(raw)):
        envelope = open_enveloped(raw)
        raise Malformed(f"an envelope around {envelope.media_type} is not what belongs here", path=("id",))


def _identity_of(issuer: str) -> tuple[EthrDid | None, bool]:
    """The did:ethr of the issuer, and whether it is one whose network's name is not known."""
    if not is_did_ethr(issuer):
        return None, False
    try:
        return parse_did_ethr(issuer), False
    except Unavailable:
        return None, True


def read_secured(raw: JsonObject, proofs: tuple[Proof, ...], canonicalizer: Canonicalizer) -> Secured:
    """The document as the proofs that count cover it; its terms are looked at whatever the suite."""
    counted = _counted(raw, proofs)
    in_json = bool(counted) and all(_signs_json(proof) for proof in counted)
    if in_json:
        return _read_json(raw, counted, canonicalizer)
    try:
        reading = read_as_signed(raw, canonicalizer)
    except ContextNotPinned as error:
        return Secured(raw, context_missing=error.detail)
    return Secured(reading.document, (_REWRITTEN,) if reading.rewritten else (), nquads=reading.nquads)


def _counted(raw: JsonObject, proofs: tuple[Proof, ...]) -> tuple[Proof, ...]:
    """The proofs of the issuer, as it is written, or all of them where none is."""
    issuer = raw.get("issuer")
    written = issuer.get("id") if isinstance(issuer, dict) else issuer
    return tuple(one for one in proofs if one.verification_method.startswith(f"{written}#")) or proofs


def _read_json(raw: JsonObject, proofs: tuple[Proof, ...], canonicalizer: Canonicalizer) -> Secured:
    """The members as they stand, with the contexts that are signed (EdDSA Cryptosuites 1.0 section 3.3.2 step 4).

    A document may have gained contexts after those in its proof, which are no part of what is verified; of several
    proofs, all are over those that the shortest names.
    """
    present = listed(raw.get("@context", []))
    named = [one.raw["@context"] for one in proofs if "@context" in one.raw]
    signed = min((present, *named), key=lambda contexts: len(listed(contexts)))
    if signed is present or listed(signed) != present[: len(listed(signed))]:
        return Secured(raw, _terms_of(unsecured(raw), canonicalizer))
    document = {**raw, "@context": signed}
    return Secured(document, (*_terms_of(unsecured(document), canonicalizer), _APPENDED))


def read_token(envelope: Envelope, canonicalizer: Canonicalizer) -> Secured:
    """What a token says: its members are signed as they stand. Its terms are looked at all the same, if it has any."""
    if envelope.media_type == DC_SD_JWT:
        return Secured(envelope.document)
    return Secured(envelope.document, _terms_of(_without_tokens(unsecured(envelope.document)), canonicalizer))


def _terms_of(document: JsonObject, canonicalizer: Canonicalizer) -> tuple[str, ...]:
    """Malformed where a term has no meaning; what to tell where that cannot be known.

    No statements are signed here, so that a context is missing does not keep the signature from being verified.
    """
    try:
        canonicalizer.check(document)
    except ContextNotPinned as error:
        return (f"{error.detail}, so what its terms mean was not looked up",)
    return ()


def _without_tokens(document: JsonObject) -> JsonObject:
    """Without the texts that stand for credentials in version 1.1, which are no values of JSON-LD."""
    held = document.get("verifiableCredential")
    if isinstance(held, str) or (isinstance(held, list) and any(isinstance(one, str) for one in held)):
        objects = [one for one in listed(held) if not isinstance(one, str)]
        return {**document, "verifiableCredential": objects}
    return document


def _signs_json(proof: Proof) -> bool:
    """Whether the members themselves are signed, so that nothing has to be read for them."""
    suite = find_suite(proof)
    return suite is not None and not suite.signs_rdf


def _not_conforming(raw: JsonObject, error: Malformed) -> Document:
    problems = error.problems if isinstance(error, NonConforming) else (error.problem,)
    check = Check(CheckName.CONFORMANCE, Outcome.FAILED, error.detail, Reason.NOT_CONFORMING, problems)
    return Document(raw, raw, check, not_reached(CheckName.SCHEMA))


def not_reached(name: CheckName) -> Check:
    """A check behind input that could not be read."""
    return Check(name, Outcome.UNKNOWN, "not reached: the input could not be read", Reason.NOT_REACHED)


@cache
def _no_schema() -> Check:
    basis = "there is no schema for its type"
    return Check(CheckName.SCHEMA, Outcome.NOT_APPLICABLE, basis, Reason.NO_SCHEMA)


def _check_schema(document: JsonObject, schemas: SchemaSet) -> tuple[Check, bool]:
    verdict = schemas.check(document)
    return _schema_check(verdict), verdict.lacking


def _schema_check(verdict: SchemaVerdict) -> Check:
    if verdict.problems:
        basis = f"does not fit {', '.join(map(title_of, verdict.applied))}"
        return Check(CheckName.SCHEMA, Outcome.FAILED, basis, Reason.SCHEMA_BROKEN, verdict.problems)
    if verdict.unpinned:
        basis = f"schemas that are not pinned here: {', '.join(verdict.unpinned)}"
        return Check(CheckName.SCHEMA, Outcome.UNKNOWN, basis, Reason.SCHEMA_NOT_PINNED)
    if not verdict.applied:
        return _no_schema()
    return _fits(verdict.applied)


@cache  # there are few schemas
def _fits(applied: tuple[str, ...]) -> Check:
    return Check(CheckName.SCHEMA, Outcome.PASSED, f"fits {', '.join(map(title_of, applied))}")
