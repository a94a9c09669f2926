"""What is prepared for a signature: a row's credential with what it is given, and whether it would verify.

Nothing here is stored and nothing signed that lasts: `issuance.py` does both.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import orjson

from node.core.anchor import credential_digest
from node.core.credential import BASE_CONTEXT, check_credential
from node.core.dataintegrity import SUITES, proofs_of, verify_proof
from node.core.dataintegrity.suites import unsecured
from node.core.errors import Malformed, Misconfigured
from node.core.evidence import EvidenceSet
from node.core.keys import KeyKind, PublicKey, Signer
from node.core.openbadges import OB_CONTEXT, IdentityObject
from node.core.status.entry import StatusEntry, entries_to_json
from node.core.strict_json import JsonObject, parse_json_object
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from node.core.verify.reading import read_document
from node.core.verify.report import Outcome
from node.keystore import generate_secret, signer_of
from node.services.issuer import DEFAULT_SUITE, Issuer, SigningKey
from node.services.template import Filled
from node.storage.base import Intent

_TERMS: Final = "$terms"  # no term of any context begins so


@dataclass(frozen=True, slots=True)
class Terms:
    """How a cohort is issued: the suite, whether rows may stay unbound, how many status entries."""

    suite: str = DEFAULT_SUITE
    bearer: bool = False
    with_status: bool = True

    def __post_init__(self) -> None:
        if self.suite not in SUITES:
            raise Misconfigured(f"no suite {self.suite}: there are {', '.join(sorted(SUITES))}")


@dataclass(frozen=True, slots=True)
class Prepared:
    """What an intent keeps: the credential without proof, and what is settled when it is signed."""

    credential: JsonObject
    suite: str
    valid_days: int | None

    def to_bytes(self) -> bytes:
        """As `Intent.body`: the credential, with what is settled later under a member of its own."""
        terms = {"suite": self.suite, "validDays": self.valid_days}
        return orjson.dumps({**self.credential, _TERMS: terms})

    @classmethod
    def of(cls, intent: Intent) -> Prepared:
        """What was stored with an intent."""
        body = parse_json_object(intent.body)
        terms = body.pop(_TERMS)
        return cls(body, terms["suite"], terms["validDays"])

    def at_signing(self, now: datetime, subject_did: str | None) -> JsonObject:
        """The document to be signed at `now`, for the holder who is known by then."""
        document = dict(self.credential)
        begins = parse_datetime_stamp(document["validFrom"]) if "validFrom" in document else now
        document["validFrom"] = format_datetime_stamp(begins)
        if "validUntil" not in document and self.valid_days is not None:
            document["validUntil"] = format_datetime_stamp(begins + timedelta(days=self.valid_days))
        if subject_did is not None:
            document["credentialSubject"] = {"id": subject_did, **document["credentialSubject"]}
        return document


@dataclass(frozen=True, slots=True)
class Given:
    """What a row is given beside its cells; `identity` names the subject of an unbound credential."""

    credential_id: str
    entries: tuple[StatusEntry, ...]
    evidence: EvidenceSet | None = None
    identity: IdentityObject | None = None


def prepare(issuer: Issuer, filled: Filled, given: Given, terms: Terms) -> Prepared:
    """The row's credential as its intent keeps it."""
    credential = filled.credential
    subject = credential.pop("credentialSubject")
    if given.identity is not None:
        subject = {**subject, "identifier": [given.identity.to_json()]}
    document: JsonObject = {
        "@context": [BASE_CONTEXT, OB_CONTEXT],
        "id": given.credential_id,
        **credential,
        "issuer": issuer.profile(),
        "credentialSubject": subject,
    }
    if given.evidence is not None:
        document["evidence"] = [{**given.evidence.evidence_object(), **filled.evidence}]
    if given.entries:
        document["credentialStatus"] = entries_to_json(given.entries)
    return Prepared(document, terms.suite, filled.template.valid_days)


def identity_of(row_key: str, salt: str) -> IdentityObject:
    """The subject of an unbound credential: Open Badges wants an id or an identifier, and a salted hash of the row
    names nobody."""
    return IdentityObject.of(row_key, "ext:row", salt)


def throwaway_key(issuer: Issuer) -> SigningKey:
    """A key that nobody knows, for rehearsals."""
    signer: Signer = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
    return SigningKey(signer.public_key.multibase, f"{issuer.settings.did}#throwaway", signer)


def check_issuable(issuer: Issuer, document: JsonObject, suite: str, throwaway: SigningKey) -> None:
    """Raise unless `document`, once signed, would conform, fit its schema and verify.

    It is signed with a key that nobody knows and that is thrown away, and read back as a verifier reads it.
    """
    check_credential(document, for_issuing=True)
    check_secured(
        issuer, issuer.secure(document, throwaway, suite, issuer.clock()), throwaway.signer.public_key
    )


def check_secured(issuer: Issuer, secured: JsonObject, public_key: PublicKey) -> None:
    """Raise unless a verifier who trusts `public_key` finds the secured document conforming, fitting and genuine."""
    canonicalizer = issuer.standards.canonicalizer
    read = read_document(secured, canonicalizer, issuer.standards.schemas)
    for check in (read.conformance, read.schema):
        if check.outcome is Outcome.FAILED or (
            check is read.conformance and check.outcome is not Outcome.PASSED
        ):
            first = check.problems[0] if check.problems else None
            raise Malformed(first.detail if first else check.basis, path=first.path if first else ())
    if read.read != secured and read.read != unsecured(secured):
        raise Malformed("it uses context terms in a form that others would have to rewrite: write it plainly")
    (proof,) = proofs_of(secured)
    verify_proof(secured, proof, public_key, canonicalizer)


@dataclass(frozen=True, slots=True)
class Secured:
    """A credential as it is handed out, and the digest that is anchored (FORMATS.md section 3)."""

    document: bytes
    digest: bytes


def secure(issuer: Issuer, document: JsonObject, key: SigningKey, suite: str, now: datetime) -> Secured:
    """Sign: what is stored of a credential, whatever secures it."""
    secured = issuer.secure(document, key, suite, now)
    return Secured(orjson.dumps(secured), credential_digest(secured))
