"""What is prepared for a signature: a row's credential with what it is given, and whether it would verify.

Nothing here is stored and nothing signed that lasts: `issuance.py` does both.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import orjson

from node.core.credential import BASE_CONTEXT, check_credential
from node.core.dataintegrity import proofs_of, selective_suite_of, verify_proof
from node.core.dataintegrity.bbs_binding import Binding, Committed
from node.core.dataintegrity.bbs_terms import MAX_WEEKS, broken_terms, validity_of
from node.core.dataintegrity.suites import unsecured
from node.core.encoding import decode_base64url, encode_base64url
from node.core.errors import Malformed, Misconfigured
from node.core.evidence import EvidenceSet
from node.core.keys import KeyKind, PublicKey, Signer
from node.core.openbadges import CLR_CONTEXT, OB_CONTEXT, IdentityObject
from node.core.securing import BBS, DC_SD_JWT, DEFAULT_SECURING, KINDS, SELECTIVE
from node.core.status.entry import StatusEntry, entries_to_json
from node.core.strict_json import JsonObject, parse_json_object
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from node.core.verify.intake import shown
from node.core.verify.reading import Document, read_document
from node.core.verify.report import Outcome
from node.keystore import generate_secret, signer_of
from node.services.derivation import derive_all
from node.services.issuer import Issuer, SigningKey
from node.services.securing import issued_value, secure
from node.services.template import ACHIEVEMENT, CLR, ENDORSEMENT, Filled
from node.storage.protocols.credentials import Intent

CONTEXTS: Final = {
    ACHIEVEMENT: (BASE_CONTEXT, OB_CONTEXT),
    ENDORSEMENT: (BASE_CONTEXT, OB_CONTEXT),
    CLR: (BASE_CONTEXT, CLR_CONTEXT, OB_CONTEXT),
}
"""The contexts of each kind of credential."""
_TERMS: Final = "$terms"  # no term of any context begins so
_NO_ID: Final = "urn:uuid:00000000-0000-0000-0000-000000000000"
_NOBODY: Final = "urn:uuid:00000000-0000-0000-0000-000000000001"
_DAYS_A_WEEK: Final = 7


class Over(Malformed):
    """A credential that would be over when it is signed: nobody would accept it, and no bundle of it would hold."""


@dataclass(frozen=True, slots=True)
class Terms:
    """How a cohort is issued: how it is secured, whether rows may stay unbound, whether they get status entries."""

    securing: str = DEFAULT_SECURING
    bearer: bool = False
    with_status: bool = True

    def __post_init__(self) -> None:
        if self.securing not in KINDS:
            raise Misconfigured(f"nothing is secured by {self.securing}: there are {', '.join(KINDS)}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an intent keeps: the credential without proof, and what is settled when it is signed.

    `mandatory` are JSON Pointers to what its holder cannot withhold. Under `binding` it is signed over what its holder
    `committed` to, which comes with the claim.
    """

    credential: JsonObject
    securing: str
    valid_days: int | None
    mandatory: tuple[str, ...] = ()
    binding: Binding | None = None
    committed: Committed | None = None

    def to_bytes(self) -> bytes:
        """As `Intent.body`: the credential, with what is settled later under a member of its own."""
        terms: JsonObject = {"securing": self.securing, "validDays": self.valid_days}
        if self.mandatory:
            terms["mandatoryPointers"] = list(self.mandatory)
        if self.binding is not None:
            terms["binding"] = self.binding
        if self.committed is not None:
            terms["commitmentWithProof"] = encode_base64url(self.committed.commitment_with_proof)
            terms["signerNymEntropy"] = encode_base64url(self.committed.signer_nym_entropy)
        return orjson.dumps({**self.credential, _TERMS: terms})

    @property
    def kept(self) -> bytes:
        """What is kept as its intent's body once it is signed: what a successor needs and the document does not say."""
        return b"" if self.binding is None else replace(self, credential={}).to_bytes()

    @classmethod
    def of(cls, intent: Intent) -> Prepared:
        """What was stored with an intent."""
        body = parse_json_object(intent.body)
        terms = body.pop(_TERMS)
        committed = None
        if "commitmentWithProof" in terms:
            texts = (terms["commitmentWithProof"], terms["signerNymEntropy"])
            committed = Committed(*map(decode_base64url, texts))
        # Intents of earlier releases know cryptosuites alone.
        return cls(
            body,
            terms["securing"] if "securing" in terms else terms["suite"],
            terms["validDays"],
            tuple(terms.get("mandatoryPointers", ())),
            Binding(terms["binding"]) if "binding" in terms else None,
            committed,
        )

    def at_signing(self, now: datetime, subject_did: str | None) -> JsonObject:
        """The document to be signed at `now`, for the holder who is known by then.

        Under bbs-2023 it names no holder, and holds for the weeks from the begin of the epoch. Over where its end is
        not after its begin and after `now`.
        """
        document = dict(self.credential)
        if self.securing == BBS:
            # What earlier releases prepared, or issued and is renewed, has a salted hash of its row.
            subject = document["credentialSubject"]
            document["credentialSubject"] = {
                name: value for name, value in subject.items() if name != "identifier"
            }
            weeks = MAX_WEEKS if self.valid_days is None else self.valid_days // _DAYS_A_WEEK
            document["validFrom"], document["validUntil"] = validity_of(now, weeks)
            return document
        begins = parse_datetime_stamp(document["validFrom"]) if "validFrom" in document else now
        document["validFrom"] = format_datetime_stamp(begins)
        if "validUntil" not in document and self.valid_days is not None:
            document["validUntil"] = format_datetime_stamp(begins + timedelta(days=self.valid_days))
        if "validUntil" in document:
            ends = parse_datetime_stamp(document["validUntil"])
            _check_ends_later(ends, "validFrom", begins)
            _check_ends_later(ends, "now", now)
        if subject_did is not None:
            document["credentialSubject"] = {"id": subject_did, **document["credentialSubject"]}
        return document


def _check_ends_later(ends: datetime, what: str, moment: datetime) -> None:
    if ends <= moment:
        words = f"{format_datetime_stamp(ends)} is not after {what}, {format_datetime_stamp(moment)}"
        raise Over(f"validUntil {words}", path=("validUntil",))


@dataclass(frozen=True, slots=True)
class Given:
    """What a row is given beside its cells; `identity` names the subject of an unbound credential, `held` is what a
    learner record holds.
    """

    credential_id: str
    entries: tuple[StatusEntry, ...]
    evidence: EvidenceSet | None = None
    identity: IdentityObject | None = None
    held: tuple[JsonObject, ...] = ()


def prepare(issuer: Issuer, filled: Filled, given: Given, terms: Terms) -> Prepared:
    """The row's credential as its intent keeps it."""
    credential = filled.credential
    subject = credential.pop("credentialSubject")
    # Nothing under bbs-2023 may name its holder: what is unique to a row links all its uses.
    if given.identity is not None and "id" not in subject and terms.securing != BBS:
        subject = {**subject, "identifier": [given.identity.to_json()]}
    if given.held:
        subject = {**subject, "verifiableCredential": list(given.held)}
    document: JsonObject = {
        "@context": list(CONTEXTS[filled.template.kind]),
        "id": given.credential_id,
        **credential,
        "issuer": issuer.profile(),
        "credentialSubject": subject,
    }
    if terms.securing == BBS:
        del document["id"]  # whoever saw it twice would know that it is one credential
    if given.evidence is not None:
        document["evidence"] = [{**given.evidence.evidence_object(), **filled.evidence}]
    if given.entries:
        document["credentialStatus"] = entries_to_json(given.entries)
    template = filled.template
    return Prepared(document, terms.securing, template.valid_days, template.mandatory, template.binding)


def identity_of(row_key: str, salt: str) -> IdentityObject:
    """The subject of an unbound credential: Open Badges wants an id or an identifier, and a salted hash of the row
    names nobody."""
    return IdentityObject.of(row_key, "ext:row", salt)


def throwaway_key(issuer: Issuer, kind: KeyKind = KeyKind.ED25519) -> SigningKey:
    """A key that nobody knows, for rehearsals; of the kind that will sign."""
    signer: Signer = signer_of(kind, generate_secret(kind))
    return SigningKey(signer.public_key.multibase, f"{issuer.settings.did}#throwaway", signer)


def check_issuable(
    issuer: Issuer,
    document: JsonObject,
    securing: str,
    throwaway: SigningKey,
    mandatory: tuple[str, ...] = (),
) -> None:
    """Raise unless `document`, once signed, would conform, fit its schema and verify.

    It is signed with a key that nobody knows and that is thrown away, and read back as a verifier reads it.
    """
    check_credential(document, for_issuing=True)
    _check_terms(document, securing)
    if securing in (DC_SD_JWT, BBS):
        # Claims have no schema: what they are made of has. And Open Badges wants the ids that bbs-2023 cannot have.
        issuer.standards.canonicalizer.check(document)
        whole = {"id": _NO_ID, **document}
        if securing == BBS:
            whole["credentialSubject"] = {"id": _NOBODY, **document["credentialSubject"]}
        _check_read(read_document(whole, issuer.standards.canonicalizer, issuer.standards.schemas))
    secured = secure(issuer, document, throwaway, securing, issuer.clock(), mandatory)
    check_secured(issuer, issued_value(secured.document), throwaway.signer.public_key)


def _check_terms(document: JsonObject, securing: str) -> None:
    """Raise Malformed where what a holder may withhold could not be told from what is not there (FORMATS.md section 2).

    And where bbs-2023 would not keep apart what it is for (section 3).
    """
    if securing == BBS:
        if broken := broken_terms(document, end_is_mandatory=True):
            raise Malformed(f"not under {BBS}: {broken[0]}")
        return
    if securing not in SELECTIVE:
        return
    for member in ("validUntil", "credentialStatus"):
        if member not in document:
            detail = (
                f"{securing} needs {member}: of what is shown in part nobody could tell whether it is hidden"
            )
            raise Malformed(detail, path=(member,))


def check_secured(issuer: Issuer, issued: JsonObject | str, public_key: PublicKey) -> None:
    """Raise unless a verifier who trusts `public_key` finds what was issued conforming, fitting and genuine.

    Of what is shown in part, that is all that its holder could show: a base proof is never shown itself.
    """
    canonicalizer, schemas = issuer.standards.canonicalizer, issuer.standards.schemas
    given = shown(issued)
    if given.envelope is not None:
        _check_read(read_document(given.document, canonicalizer, schemas, given.envelope))
        given.envelope.verify(public_key)
        return
    secured = given.document
    (base,) = proofs_of(secured)
    if selective_suite_of(base) is not None:
        secured = derive_all(secured, canonicalizer)
    read = read_document(secured, canonicalizer, schemas)
    # The id that a schema asks for is what bbs-2023 cannot have.
    _check_read(read, may_lack=base.cryptosuite == BBS)
    if read.read != secured and read.read != unsecured(secured):
        raise Malformed("it uses context terms in a form that others would have to rewrite: write it plainly")
    (proof,) = proofs_of(secured)
    verify_proof(secured, proof, public_key, canonicalizer)


def _check_read(read: Document, *, may_lack: bool = False) -> None:
    for check in (read.conformance, read.schema):
        if check is read.schema and may_lack and read.lacking:
            continue
        if check.outcome is Outcome.FAILED or (
            check is read.conformance and check.outcome is not Outcome.PASSED
        ):
            first = check.problems[0] if check.problems else None
            raise Malformed(first.detail if first else check.basis, path=first.path if first else ())
