"""What the document itself says: conformance, schema, proof and proof purpose (CHECKS.md 1 to 4).

What is read is what is signed: for RDF suites the document is read as its canonical quads say, not as its members are
spelled (FORMATS.md section 2). For JCS suites the members are what is signed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.canonical.contexts import ContextNotPinned
from node.core.canonical.plain import read_as_signed
from node.core.canonical.rdfc import Canonicalizer
from node.core.credential import (
    CredentialFacts,
    NonConforming,
    check_credential,
    check_envelope,
    types_of,
)
from node.core.dataintegrity.cryptosuite import UnknownSuite
from node.core.dataintegrity.proof import DATA_INTEGRITY_PROOF, Proof, proofs_of
from node.core.dataintegrity.suites import SUITES, previous_proofs, signs_rdf, verify_proof
from node.core.did.ethr_identity import EthrDid, parse_did_ethr
from node.core.errors import BonafidesError, Malformed, NotVerified, Unavailable
from node.core.keys import PublicKey
from node.core.problem import Problem
from node.core.schema import SchemaSet
from node.core.status.entry import StatusEntry, UnknownStatusEntry, parse_status_entries
from node.core.strict_json import JsonObject
from node.core.verify.report import Check, CheckName, Outcome, Reason

ASSERTION_METHOD: Final = "assertionMethod"
_ENVELOPES: Final = frozenset({"EnvelopedVerifiableCredential", "EnvelopedVerifiablePresentation"})


@dataclass(frozen=True, slots=True)
class KeyFound:
    """A key for a verification method.

    `confirmed`: it certifies itself, or a slot or several voices confirm it; a wrong signature then counts against the
    document. `doubt`: why a right signature does not count for it either. `fit`: the method may be used for the proof's
    purpose.
    """

    key: PublicKey
    source: str
    confirmed: bool = True
    doubt: Reason | None = None
    fit: bool = True


@dataclass(frozen=True, slots=True)
class KeyMissing:
    """No key for a verification method, and why. `refused` where the DID document says that there is none."""

    reason: Reason
    detail: str
    refused: bool = False


KeyFinder = Callable[[Proof], KeyFound | KeyMissing]


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
    entries: tuple[StatusEntry | UnknownStatusEntry, ...] = ()
    ethr: EthrDid | None = None
    """The issuer's DID, where it is a did:ethr of a network that we know by that name."""
    on_unnamed_chain: bool = False
    """Whether the issuer is a did:ethr of a network that is written by a name we do not know."""
    proofs: tuple[Proof, ...] = ()
    context_missing: str | None = None
    enveloped: Check | None = None
    """The proof check of a document that is an envelope around a token, which is not opened here."""

    @property
    def issuer_proofs(self) -> tuple[Proof, ...]:
        """The proofs whose verification method names the issuer, letter by letter."""
        if self.facts is None:
            return ()
        prefix = self.facts.issuer_id + "#"
        return tuple(proof for proof in self.proofs if proof.verification_method.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Secured:
    """What is to be read, whether it was rewritten, and which context stood in the way of its statements."""

    document: JsonObject
    rewritten: bool = False
    context_missing: str | None = None


# 1. conformance, 2. schema ---------------------------------------------------------------------------------


def read_document(raw: JsonObject, canonicalizer: Canonicalizer, schemas: SchemaSet) -> Document:
    """Read a credential: its proofs, then what they cover, then the rules of the data model and of its type."""
    if _ENVELOPES.intersection(types_of(raw)):
        return _read_envelope(raw)
    try:
        proofs = proofs_of(raw)
        read = read_secured(raw, proofs, canonicalizer)
        facts = check_credential(read.document)
        entries = parse_status_entries(read.document)
        ethr, on_unnamed_chain = _identity_of(facts.issuer_id)
    except Malformed as error:
        return _not_conforming(raw, error)
    basis = f"conforms to the VC Data Model {facts.version}"
    if read.rewritten:
        basis += "; it was written outside the plain form and read again with the pinned contexts"
    warnings = tuple(facts.warnings)
    return Document(
        raw,
        read.document,
        Check(CheckName.CONFORMANCE, Outcome.PASSED, basis, None, warnings),
        _check_schema(read.document, schemas),
        facts,
        entries,
        ethr,
        on_unnamed_chain,
        proofs,
        read.context_missing,
    )


def _read_envelope(raw: JsonObject) -> Document:
    """An envelope (VC Data Model 2.0 section 4.13) may be sound: what it holds is in a form that is not read here."""
    try:
        check_envelope(raw)
    except Malformed as error:
        return _not_conforming(raw, error)
    conforming = Check(CheckName.CONFORMANCE, Outcome.PASSED, "an envelope as the VC Data Model 2.0 has it")
    basis = "it is secured as a token, and tokens are not read here"
    proof = Check(CheckName.PROOF, Outcome.UNKNOWN, basis, Reason.UNKNOWN_SUITE)
    return Document(raw, raw, conforming, not_reached(CheckName.SCHEMA), enveloped=proof)


def _identity_of(issuer: str) -> tuple[EthrDid | None, bool]:
    """The did:ethr of the issuer, and whether it is one whose network's name is not known."""
    if not issuer.startswith("did:ethr:"):
        return None, False
    try:
        return parse_did_ethr(issuer), False
    except Unavailable:
        return None, True


def read_secured(raw: JsonObject, proofs: tuple[Proof, ...], canonicalizer: Canonicalizer) -> Secured:
    """The document as its proofs cover it; its terms are looked at whatever the suite."""
    in_json = bool(proofs) and all(_signs_json(proof) for proof in proofs)
    try:
        if in_json:
            canonicalizer.nquads({name: value for name, value in raw.items() if name != "proof"})
            return Secured(raw)
        reading = read_as_signed(raw, canonicalizer)
    except ContextNotPinned as error:
        return Secured(raw, context_missing=None if in_json else error.detail)
    return Secured(reading.document, reading.rewritten)


def _signs_json(proof: Proof) -> bool:
    """Whether the members themselves are signed, so that nothing has to be read for them."""
    return proof.type == DATA_INTEGRITY_PROOF and proof.cryptosuite in SUITES and not signs_rdf(proof)


def _not_conforming(raw: JsonObject, error: Malformed) -> Document:
    problems = error.problems if isinstance(error, NonConforming) else (error.problem,)
    check = Check(CheckName.CONFORMANCE, Outcome.FAILED, error.detail, Reason.NOT_CONFORMING, problems)
    return Document(raw, raw, check, not_reached(CheckName.SCHEMA))


def not_reached(name: CheckName) -> Check:
    """A check behind input that could not be read."""
    return Check(name, Outcome.UNKNOWN, "not reached: the input could not be read", Reason.NOT_REACHED)


def _check_schema(document: JsonObject, schemas: SchemaSet) -> Check:
    verdict = schemas.check(document)
    if verdict.problems:
        basis = f"does not fit {', '.join(verdict.applied)}"
        return Check(CheckName.SCHEMA, Outcome.FAILED, basis, Reason.SCHEMA_BROKEN, verdict.problems)
    if verdict.unpinned:
        basis = f"schemas that are not pinned here: {', '.join(verdict.unpinned)}"
        return Check(CheckName.SCHEMA, Outcome.UNKNOWN, basis, Reason.SCHEMA_NOT_PINNED)
    if not verdict.applied:
        basis = "there is no schema for its type"
        return Check(CheckName.SCHEMA, Outcome.NOT_APPLICABLE, basis, Reason.NO_SCHEMA)
    return Check(CheckName.SCHEMA, Outcome.PASSED, f"fits {', '.join(verdict.applied)}")


# 3. proof, 4. proof purpose --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProofChecks:
    """The two checks of the proofs, and the issuer's keys with which one verified."""

    proof: Check
    purpose: Check
    keys: frozenset[PublicKey] = frozenset()


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What one proof came to."""

    proof: Proof
    outcome: Outcome
    basis: str
    reason: Reason | None = None
    problems: tuple[Problem, ...] = ()
    key: KeyFound | None = None


@dataclass(slots=True)
class ProofJudge:
    """Judges the proofs of one document; a proof that others refer to is verified once."""

    document: JsonObject
    proofs: tuple[Proof, ...]
    canonicalizer: Canonicalizer
    find_key: KeyFinder
    as_of: datetime
    _verdicts: dict[int, _Verdict] = field(default_factory=dict)

    def judge(self, proof: Proof, *, seen: tuple[int, ...] = ()) -> _Verdict:
        """The verdict on one proof and on every proof that it refers to."""
        # By the object in the document: a proof that others refer to is parsed anew each time.
        place = id(proof.raw)
        known = self._verdicts.get(place)
        if known is None:
            known = self._verdicts[place] = self._judge(proof, (*seen, place))
        return known

    def _judge(self, proof: Proof, seen: tuple[int, ...]) -> _Verdict:
        if proof.type != DATA_INTEGRITY_PROOF or proof.cryptosuite not in SUITES:
            named = proof.cryptosuite or proof.type
            return _Verdict(proof, Outcome.UNKNOWN, f"{named} is not known here", Reason.UNKNOWN_SUITE)
        if proof.expires is not None and self.as_of >= proof.expires:
            return _Verdict(proof, Outcome.FAILED, "the proof itself has expired", Reason.PROOF_EXPIRED)
        try:
            previous = previous_proofs(self.document, proof)
        except NotVerified as error:
            return _Verdict(proof, Outcome.FAILED, error.detail, Reason.CHANGED, (error.problem,))
        for one in previous:
            if id(one.raw) in seen:
                basis = "its proofs build on each other in a circle"
                return _Verdict(proof, Outcome.FAILED, basis, Reason.CHANGED)
            earlier = self.judge(one, seen=seen)
            if earlier.outcome is not Outcome.PASSED:
                basis = f"a proof that it builds on does not verify: {earlier.basis}"
                return _Verdict(proof, earlier.outcome, basis, earlier.reason, earlier.problems)
        found = self.find_key(proof)
        if isinstance(found, KeyMissing):
            outcome = Outcome.FAILED if found.refused else Outcome.UNKNOWN
            return _Verdict(proof, outcome, found.detail, found.reason)
        return self._verify(proof, found, previous)

    def _verify(self, proof: Proof, found: KeyFound, previous: tuple[Proof, ...]) -> _Verdict:
        try:
            verify_proof(self.document, proof, found.key, self.canonicalizer, verified=previous)
        except (ContextNotPinned, UnknownSuite) as error:
            reason = (
                Reason.CONTEXT_NOT_PINNED if isinstance(error, ContextNotPinned) else Reason.UNKNOWN_SUITE
            )
            return _Verdict(proof, Outcome.UNKNOWN, error.detail, reason, (error.problem,))
        except (NotVerified, Malformed) as error:
            return _wrong(proof, found, error)
        except Unavailable as error:
            return _Verdict(proof, Outcome.UNKNOWN, error.detail, Reason.KEY_UNKNOWN, (error.problem,))
        if found.doubt is not None:
            basis = f"the signature is right, but for its key there is only {found.source}"
            return _Verdict(proof, Outcome.UNKNOWN, basis, found.doubt, key=found)
        basis = f"{proof.cryptosuite}: signed with the key from {found.source}"
        return _Verdict(proof, Outcome.PASSED, basis, key=found)


def _wrong(proof: Proof, found: KeyFound, error: BonafidesError) -> _Verdict:
    """A wrong signature is the document's fault only where the key is known to be the issuer's."""
    if found.confirmed:
        basis = f"the signature does not fit the document: {error.detail}"
        return _Verdict(proof, Outcome.FAILED, basis, Reason.CHANGED, (error.problem,), found)
    basis = f"the signature does not fit, and nothing confirms the key from {found.source}"
    return _Verdict(proof, Outcome.UNKNOWN, basis, Reason.KEY_NOT_CONFIRMED, (error.problem,), found)


def check_proofs(
    document: Document, canonicalizer: Canonicalizer, find_key: KeyFinder, as_of: datetime
) -> ProofChecks:
    """The issuer's proofs decide; others are told and decide nothing (FORMATS.md section 9, proof)."""
    if not document.proofs:
        return _without("there is no proof", Reason.NO_PROOF)
    if document.context_missing is not None:
        check = Check(CheckName.PROOF, Outcome.UNKNOWN, document.context_missing, Reason.CONTEXT_NOT_PINNED)
        return ProofChecks(check, _purpose_unknown(check))
    issued = document.issuer_proofs
    if not issued:
        return _without("no proof is the issuer's", Reason.ONLY_THIRD_PARTY_PROOFS)
    judge = ProofJudge(document.raw, document.proofs, canonicalizer, find_key, as_of)
    verdicts = [judge.judge(proof) for proof in issued]
    others = len(document.proofs) - len(issued)
    proof = _proof_check(verdicts, others)
    passed = (verdict.key for verdict in verdicts if verdict.outcome is Outcome.PASSED)
    return ProofChecks(proof, _check_purpose(verdicts, proof), frozenset(key.key for key in passed if key))


def _without(basis: str, reason: Reason) -> ProofChecks:
    missing = (Problem(problem.CRYPTOGRAPHIC_SECURITY_ERROR, basis, ("proof",)),)
    check = Check(CheckName.PROOF, Outcome.FAILED, basis, reason, missing)
    return ProofChecks(check, Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, basis, reason))


def _proof_check(verdicts: list[_Verdict], others: int) -> Check:
    told = f"; {others} more by others, which decide nothing" if others else ""
    failed = next((verdict for verdict in verdicts if verdict.outcome is Outcome.FAILED), None)
    asserted = [verdict for verdict in verdicts if verdict.proof.proof_purpose == ASSERTION_METHOD]
    passed = next((verdict for verdict in asserted if verdict.outcome is Outcome.PASSED), None)
    decisive = failed or passed
    if decisive is None and asserted:
        decisive = asserted[0]
    if decisive is None:
        basis = "the issuer's proof was made for another purpose than to assert"
        return Check(CheckName.PROOF, Outcome.FAILED, basis, Reason.WRONG_PURPOSE)
    return Check(CheckName.PROOF, decisive.outcome, decisive.basis + told, decisive.reason, decisive.problems)


def _check_purpose(verdicts: list[_Verdict], proof: Check) -> Check:
    for verdict in verdicts:
        purpose = verdict.proof.proof_purpose
        if purpose != ASSERTION_METHOD:
            basis = f"a proof of the issuer's has purpose {purpose}, not {ASSERTION_METHOD}"
            return Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, basis, Reason.WRONG_PURPOSE)
        if verdict.key is not None and not verdict.key.fit:
            basis = "the key may not be used to assert"
            return Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, basis, Reason.WRONG_PURPOSE)
        if verdict.outcome is Outcome.FAILED and verdict.reason is Reason.KEY_UNKNOWN:
            return Check(CheckName.PROOF_PURPOSE, Outcome.FAILED, verdict.basis, verdict.reason)
    if proof.outcome is Outcome.UNKNOWN and not any(verdict.key for verdict in verdicts):
        return _purpose_unknown(proof)
    return Check(CheckName.PROOF_PURPOSE, Outcome.PASSED, ASSERTION_METHOD)


def _purpose_unknown(proof: Check) -> Check:
    return Check(CheckName.PROOF_PURPOSE, Outcome.UNKNOWN, proof.basis, proof.reason)
