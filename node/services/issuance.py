"""From a cohort to signed credentials (STYLE.md section 8, FORMATS.md section 11).

    prepared   every row becomes its credential, is checked as a verifier would, signed with a throwaway key and
               verified; nothing has been stored yet, and one fault refuses the whole input
    intended   credential id, status index, evidence with its salts: one transaction a hundred rows
    signed     once: the signature is recorded, and the digest waits for the next batch, in one transaction that
               first sees that the key is still the one to sign with
    offered    links for wallets

Crash after prepared: nothing happened. After intended: the row is known by its key and signed at the next run. Between
signing and recording: the signature is lost, nobody has seen it, it is made again for the same id and status index.
After recorded: the batch and the offer follow. Nothing is issued twice, nothing that was handed out is lost.

A row without `subject_did` waits: `sign_for` signs it at the claim, for the DID of the wallet's key proof.
"""

from __future__ import annotations

import contextlib
import secrets
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final, TypeVar

import orjson

from node.core.anchor import CREDENTIAL, credential_digest
from node.core.canonical.jcs import canonicalize
from node.core.credential import BASE_CONTEXT, check_credential
from node.core.dataintegrity import SUITES, proofs_of, verify_proof
from node.core.dataintegrity.suites import unsecured
from node.core.did.resolution import same_issuer
from node.core.did.syntax import parse_did
from node.core.errors import Conflict, Malformed, Misconfigured, NotFound, NotVerified
from node.core.evidence import EvidenceSet, build_evidence
from node.core.keys import KeyKind, Signer
from node.core.openbadges import OB_CONTEXT, IdentityObject
from node.core.status.entry import REVOCATION, SUSPENSION, StatusEntry
from node.core.strict_json import JsonObject, parse_json_object
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from node.core.verify.reading import read_document
from node.core.verify.report import Outcome
from node.keystore import generate_secret, signer_of
from node.services import status_lists
from node.services.cohort import Cohort, PreparedRow
from node.services.faults import Fault, InputFaults
from node.services.issuer import DEFAULT_SUITE, Issuer, SigningKey
from node.storage.base import (
    CredentialRecord,
    CredentialState,
    Intent,
    KnownRow,
    SignedCredential,
    StoredEvidence,
    Transaction,
)

T = TypeVar("T")

# Evidence of a row may be large: few rows a transaction keep other writers waiting briefly.
_CHUNK: Final = 100
# Stand-ins for what is known later, of the same form: what is checked is what will be signed.
_SOMEBODY: Final = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
_TERMS: Final = "$terms"  # no term of any context begins so
API_COHORT: Final = "urn:bonafides:issued-over-http"
MAX_ID_BYTES: Final = 1024

Progress = Callable[[str, int, int], None]
"""Told the name of a stage, how many rows are through it, and of how many."""


def quiet(stage: str, done: int, total: int) -> None:
    """A Progress that tells nobody."""


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
class Plan:
    """A checked cohort: which rows are new, and which are known from an earlier run."""

    cohort: Cohort
    terms: Terms
    purposes: tuple[str, ...]
    new: tuple[PreparedRow, ...]
    known: Mapping[str, KnownRow]


@dataclass(frozen=True, slots=True)
class Issued:
    """What became of one row."""

    row: str
    credential_id: str
    state: CredentialState
    digest: bytes | None
    subject_did: str | None


# --- prepared


async def plan(issuer: Issuer, cohort: Cohort, terms: Terms, progress: Progress = quiet) -> Plan:
    """Check every row as far as it can be checked before anything is stored.

    InputFaults with all that is wrong; Conflict where a row that was issued already now reads differently.
    """
    name = cohort.template.cohort
    async with issuer.store.reading() as reading:
        known = await reading.credentials.known_rows(name)
    changed = [
        row for row in cohort.rows if row.key in known and known[row.key].content_digest != row.content_digest
    ]
    if changed:
        raise InputFaults([Fault("cohort", _CHANGED, row=row.number) for row in changed])
    purposes = _purposes(cohort, terms)
    new = tuple(row for row in cohort.rows if row.key not in known)
    throwaway = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
    faults: list[Fault] = []
    for done, row in enumerate(new, 1):
        try:
            _rehearse(issuer, cohort, row, terms, purposes, throwaway)
        except InputFaults as error:
            faults += error.faults
        except (Malformed, NotVerified) as error:
            faults.append(Fault("cohort", error.detail, row=row.number, path=error.problem.path))
        progress("checked", done, len(new))
    if faults:
        raise InputFaults(faults)
    return Plan(cohort, terms, purposes, new, known)


_CHANGED: Final = (
    "this row was issued before with other content: revoke that credential and issue under another id"
)


def _purposes(cohort: Cohort, terms: Terms) -> tuple[str, ...]:
    if not terms.with_status:
        if cohort.template.suspendable:
            raise Misconfigured("a suspendable template needs status entries: --status")
        return ()
    return (REVOCATION, SUSPENSION) if cohort.template.suspendable else (REVOCATION,)


def _rehearse(
    issuer: Issuer,
    cohort: Cohort,
    row: PreparedRow,
    terms: Terms,
    purposes: Sequence[str],
    throwaway: Signer,
) -> None:
    entries = _stand_ins(issuer, purposes)
    evidence = _evidence_of(row)
    prepared = _prepare(issuer, cohort, row, terms, _new_id(), entries, evidence)
    subject = row.subject_did or (None if terms.bearer else _SOMEBODY)
    check_issuable(issuer, prepared.at_signing(issuer.clock(), subject), terms.suite, throwaway)


def _stand_ins(issuer: Issuer, purposes: Sequence[str]) -> list[StatusEntry]:
    return [
        StatusEntry(purpose, f"{issuer.settings.url}/status/{number}", 0)
        for number, purpose in enumerate(purposes, 1)
    ]


def check_issuable(issuer: Issuer, document: JsonObject, suite: str, throwaway: Signer) -> None:
    """Raise unless `document`, once signed, would conform, fit its schema and verify.

    It is signed with a key that nobody knows and that is thrown away, and read back as a verifier reads it.
    """
    check_credential(document, for_issuing=True)
    key = SigningKey(throwaway.public_key.multibase, f"{issuer.settings.did}#throwaway", throwaway)
    secured = issuer.secure(document, key, suite, issuer.clock())
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
    verify_proof(secured, proof, throwaway.public_key, canonicalizer)


def _prepare(
    issuer: Issuer,
    cohort: Cohort,
    row: PreparedRow,
    terms: Terms,
    credential_id: str,
    entries: Sequence[StatusEntry],
    evidence: EvidenceSet | None,
) -> Prepared:
    filled = row.filled.credential
    subject = dict(filled["credentialSubject"])
    if terms.bearer and row.subject_did is None:
        # Open Badges wants an id or an identifier; a salted hash of the row names nobody.
        name = IdentityObject.of(row.key, "ext:row", secrets.token_urlsafe(16)).to_json()
        subject = {**subject, "identifier": [name]}
    document: JsonObject = {
        "@context": [BASE_CONTEXT, OB_CONTEXT],
        "id": credential_id,
        **{name: value for name, value in filled.items() if name != "credentialSubject"},
        "issuer": issuer.profile(),
        "credentialSubject": subject,
    }
    if evidence is not None:
        members = dict(row.filled.evidence)
        committed = evidence.evidence_object()
        document["evidence"] = [{**committed, **members}]
    if entries:
        document["credentialStatus"] = _status_json(entries)
    return Prepared(document, terms.suite, cohort.template.valid_days)


def _status_json(entries: Sequence[StatusEntry]) -> Any:
    # One entry is an object: 1EdTech's schema refuses an array (FORMATS.md section 11).
    written = [entry.to_json() for entry in entries]
    return written[0] if len(written) == 1 else written


def _evidence_of(row: PreparedRow) -> EvidenceSet | None:
    if not row.evidence:
        return None
    items = [item.read() for item in row.evidence]
    return build_evidence(items, [secrets.token_bytes(32) for _ in items])


def _new_id() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


# --- intended


async def intend(issuer: Issuer, plan: Plan, progress: Progress = quiet) -> None:
    """Store every new row's intent, with its status index and evidence. The lists must be open."""
    done = 0
    for rows in chunks(plan.new):
        async with issuer.store.transaction() as transaction:
            # Seen inside: somebody else may have issued the same cohort a moment ago.
            keys = [row.key for row in rows]
            known = await transaction.credentials.known_rows(plan.cohort.template.cohort, keys)
            await _intend(issuer, transaction, plan, [row for row in rows if row.key not in known])
        done += len(rows)
        progress("prepared", done, len(plan.new))


async def _intend(issuer: Issuer, transaction: Transaction, plan: Plan, rows: Sequence[PreparedRow]) -> None:
    ids = [_new_id() for _ in rows]
    entries = [await status_lists.allocate(transaction, purpose, ids) for purpose in plan.purposes]
    now = issuer.clock()
    intents, evidence = [], []
    for row, credential_id in zip(rows, ids, strict=True):
        items = _evidence_of(row)
        own = [given[credential_id] for given in entries]
        prepared = _prepare(issuer, plan.cohort, row, plan.terms, credential_id, own, items)
        at_once = row.subject_did is not None or plan.terms.bearer
        intents.append(
            Intent(
                credential_id=credential_id,
                cohort=plan.cohort.template.cohort,
                row_key=row.key,
                content_digest=row.content_digest,
                body=prepared.to_bytes(),
                subject_did=row.subject_did,
                state=CredentialState.INTENDED if at_once else CredentialState.WAITING,
                evidence_size=items.size if items else 0,
                evidence_root=items.root if items else None,
                created_at=now,
            )
        )
        evidence.append((credential_id, items))
    await transaction.credentials.intend(intents)
    for credential_id, items in evidence:
        if items is not None:
            await transaction.evidence.store(credential_id, _stored(items))


def _stored(evidence: EvidenceSet) -> list[StoredEvidence]:
    from node.core.merkle.tree import leaf_hash  # noqa: PLC0415

    return [
        StoredEvidence(
            index=index,
            leaf=leaf_hash(item.entry(salt)),
            salt=salt,
            name=item.name,
            media_type=item.media_type,
            genre=item.genre,
            data=item.data,
        )
        for index, (item, salt) in enumerate(zip(evidence.items, evidence.salts, strict=True))
    ]


# --- signed


async def sign_intended(issuer: Issuer, cohort: str | None = None, progress: Progress = quiet) -> int:
    """Sign everything that is intended (of a cohort) and not signed, from this run or an earlier one."""
    async with issuer.store.reading() as reading:
        counts = await reading.credentials.counts(cohort)
    total, done = counts[CredentialState.INTENDED], 0
    while True:
        async with issuer.store.reading() as reading:
            page = await reading.credentials.page(limit=_CHUNK, state=CredentialState.INTENDED, cohort=cohort)
        if not page:
            return done
        await _sign(issuer, [(record.intent, record.intent.subject_did) for record in page])
        done += len(page)
        progress("signed", done, max(total, done))


async def _sign(issuer: Issuer, claims: Sequence[tuple[Intent, str | None]]) -> list[SignedCredential]:
    """Sign, then record and let the digests wait for the next batch."""
    while True:
        key = await issuer.signing_key()
        signed = [_signed(issuer, intent, subject, key) for intent, subject in claims]
        async with issuer.store.transaction() as transaction:
            current = await issuer.signing_key(transaction)
            if current.multibase != key.multibase:
                continue  # rotated meanwhile: what the old key signed now would be anchored too late
            await transaction.credentials.record_signed(signed)
            if issuer.on_chain:
                await transaction.batches.enqueue(CREDENTIAL, [one.digest for one in signed], issuer.clock())
            return signed


def _signed(issuer: Issuer, intent: Intent, subject_did: str | None, key: SigningKey) -> SignedCredential:
    prepared = Prepared.of(intent)
    now = issuer.clock()
    document = issuer.secure(prepared.at_signing(now, subject_did), key, prepared.suite, now)
    return SignedCredential(
        credential_id=intent.credential_id,
        document=orjson.dumps(document),
        digest=credential_digest(document),
        key_multibase=key.multibase,
        subject_did=subject_did,
        signed_at=now,
    )


async def sign_for(issuer: Issuer, credential_id: str, subject_did: str) -> CredentialRecord:
    """The credential for the holder who claims it, signed now if it is not.

    Idempotent: claimed again by the same DID, the same document comes back. Conflict where it is another's or was
    withdrawn; NotFound where there is none. An unbound credential (`--bearer`) is anybody's who has the offer.
    """
    parse_did(subject_did)
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(credential_id)
    if record is None:
        raise NotFound("no such credential")
    if record.state is CredentialState.WITHDRAWN:
        raise Conflict("the credential was withdrawn")
    intended = record.intent.subject_did
    if record.signed is None and record.state is CredentialState.WAITING:
        # Claimed twice at one moment, one of them finds it signed: below it shows for whom.
        with contextlib.suppress(Conflict):
            await _sign(issuer, [(record.intent, subject_did)])
    elif record.signed is None:
        if intended is not None and not same_issuer(intended, subject_did):
            raise Conflict("the credential is for another holder")
        await _sign(issuer, [(record.intent, intended)])
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(credential_id)
    if record is None or record.signed is None:
        raise Conflict("the credential could not be signed")
    holder = record.signed.subject_did
    if holder is not None and not same_issuer(holder, subject_did):
        raise Conflict("the credential is for another holder")
    return record


async def results(issuer: Issuer, cohort: Cohort) -> list[Issued]:
    """What became of every row of the input, in its order."""
    async with issuer.store.reading() as reading:
        known = await reading.credentials.known_rows(cohort.template.cohort)
    return [
        Issued(row.key.removeprefix("id:"), found.credential_id, found.state, found.digest, found.subject_did)
        for row in cohort.rows
        if (found := known.get(row.key)) is not None
    ]


# --- over HTTP


async def issue_document(
    issuer: Issuer, credential: JsonObject, *, suite: str = DEFAULT_SUITE, with_status: bool = True
) -> CredentialRecord:
    """Sign a credential as it was given (VC API `/credentials/issue`); it joins the next batch.

    `id` is drawn where it is missing, `issuer` filled in or must be ours, a status entry added. The same id
    with the same content gives the credential that was signed before; with other content it is a Conflict.
    Malformed with the path of what is wrong. Unavailable or Conflict where no list is open.
    """
    if "proof" in credential or "credentialStatus" in credential:
        raise Malformed("proof and credentialStatus are the issuer's to add")
    content = {**credential, "suite": suite, "status": with_status}
    digest = sha256(canonicalize(content)).digest()
    document = _adopted(issuer, credential)
    record = await _known(issuer, document["id"])
    if record is None:
        purposes = (REVOCATION,) if with_status else ()
        stand_in = _stand_ins(issuer, purposes)
        throwaway = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
        rehearsed = {**document, **({"credentialStatus": _status_json(stand_in)} if stand_in else {})}
        prepared = Prepared(rehearsed, suite, None)
        check_issuable(issuer, prepared.at_signing(issuer.clock(), None), suite, throwaway)
        try:
            await _intend_document(issuer, document, digest, suite, purposes)
        except Conflict:
            # Asked for twice at one moment, one of them finds it recorded.
            if await _known(issuer, document["id"]) is None:
                raise
        record = await _known(issuer, document["id"])
    if record is None or record.intent.cohort != API_COHORT or record.intent.content_digest != digest:
        raise Conflict("another credential was issued under this id")
    if record.state is CredentialState.WITHDRAWN:
        raise Conflict("the credential was withdrawn")
    if record.signed is None:
        with contextlib.suppress(Conflict):  # signed meanwhile
            await _sign(issuer, [(record.intent, None)])
        record = await _known(issuer, document["id"]) or record
    return record


async def _known(issuer: Issuer, credential_id: str) -> CredentialRecord | None:
    async with issuer.store.reading() as reading:
        return await reading.credentials.load(credential_id)


def _adopted(issuer: Issuer, credential: JsonObject) -> JsonObject:
    document = dict(credential)
    # What was given stays as it is: a profile has terms that the document's contexts may lack.
    given = document.setdefault("issuer", issuer.settings.did)
    name = given.get("id") if isinstance(given, dict) else given
    if name != issuer.settings.did:
        raise Malformed(f"the issuer here is {issuer.settings.did}", path=("issuer",))
    document.setdefault("id", _new_id())
    if not isinstance(document["id"], str) or len(document["id"].encode()) > MAX_ID_BYTES:
        raise Malformed(f"a text of at most {MAX_ID_BYTES:,} bytes", path=("id",))
    return document


async def _intend_document(
    issuer: Issuer,
    document: JsonObject,
    digest: bytes,
    suite: str,
    purposes: Sequence[str],
) -> None:
    credential_id = document["id"]
    async with issuer.store.transaction() as transaction:
        entries = [
            (await status_lists.allocate(transaction, purpose, [credential_id]))[credential_id]
            for purpose in purposes
        ]
        if entries:
            document = {**document, "credentialStatus": _status_json(entries)}
        intent = Intent(
            credential_id=credential_id,
            cohort=API_COHORT,
            row_key="id:" + credential_id,
            content_digest=digest,
            body=Prepared(document, suite, None).to_bytes(),
            subject_did=None,
            state=CredentialState.INTENDED,
            evidence_size=0,
            evidence_root=None,
            created_at=issuer.clock(),
        )
        await transaction.credentials.intend([intent])


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """`rows` in parts of which each is one transaction."""
    for start in range(0, len(rows), _CHUNK):
        yield rows[start : start + _CHUNK]
