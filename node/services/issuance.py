"""From a cohort to signed credentials (STYLE.md section 8, FORMATS.md section 11).

    prepared   every row becomes its credential, is checked as a verifier would, signed with a throwaway key and
               verified, or is found to be of a shape that was (`shapes.py`); nothing has been stored yet, and one
               fault refuses the whole input
    intended   credential id, status index, evidence with its salts: one transaction a chunk of rows
    signed     once: one credential of each shape is read back, the signatures are recorded, and the digests wait for
               the next batch, in one transaction that first sees that the key is still the one to sign with
    offered    links for wallets

Chunk by chunk; of a large cohort one is signed in a process of its own (`pressing.py`) while the next is intended, and
at most two of them wait for their signatures. Crash after prepared: nothing happened. After intended: the
row is known by its key and signed at the next run. Between signing and recording: the signature is lost, nobody has
seen it, it is made again for the same id and status index. After recorded: the batch and the offer follow. Nothing is
issued twice, nothing that was handed out is lost.

A row without `subject_did` waits: `sign_for` signs it at the claim, for the DID of the wallet's key proof. So does one
that is bound to a secret of its holder's, over the commitment that comes with the claim.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import Final, TypeVar

from node.core.anchor import CREDENTIAL
from node.core.bundle import ShownDocument
from node.core.canonical.jcs import canonicalize
from node.core.dataintegrity.bbs_binding import Committed
from node.core.dataintegrity.bbs_terms import epoch_of
from node.core.did.resolution import same_issuer
from node.core.did.syntax import parse_did
from node.core.errors import Conflict, Malformed, Misconfigured, NotFound, NotVerified
from node.core.evidence import EvidenceSet, build_evidence
from node.core.keys import KeyKind, parse_multikey
from node.core.securing import BBS, DEFAULT_SECURING, KINDS, is_anchored
from node.core.status.entry import MESSAGE, REVOCATION, SUSPENSION, StatusEntry, entries_to_json
from node.core.strict_json import JsonObject
from node.services import status_lists
from node.services.cohort import Cohort, PreparedRow, uncollected
from node.services.faults import Fault, InputFaults
from node.services.issuer import Issuer, SigningKey
from node.services.preparing import (
    Given,
    Over,
    Prepared,
    Terms,
    check_issuable,
    check_secured,
    identity_of,
    throwaway_key,
)
from node.services.pressing import Press, pressing
from node.services.records import with_held
from node.services.securing import Secured, committed_for, issued_value, read_issued, secure
from node.services.shapes import Draft, Shapes
from node.services.stencil import Row
from node.services.template import securing_faults
from node.storage.protocols.credentials import (
    CredentialRecord,
    CredentialState,
    Intent,
    KnownRow,
    SignedCredential,
    StoredEvidence,
)
from node.storage.protocols.issuer import IssuerKey
from node.storage.protocols.store import Transaction

T = TypeVar("T")

# Evidence of a row may be large: few rows a transaction keep other writers waiting briefly.
_CHUNK: Final = 100
# Without evidence a transaction of so many takes a fraction of a second, most of it for the disk.
_LIGHT_CHUNK: Final = 10000
API_COHORT: Final = "urn:bonafides:issued-over-http"
MAX_ID_BYTES: Final = 1024

Progress = Callable[[str, int, int], None]
"""Told the name of a stage, how many rows are through it, and of how many."""


def quiet(stage: str, done: int, total: int) -> None:
    """A Progress that tells nobody."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A checked cohort: which rows are new, and which are known from an earlier run."""

    cohort: Cohort
    terms: Terms
    purposes: tuple[str, ...]
    new: tuple[PreparedRow, ...]
    shapes: Shapes

    def signs_at_once(self, row: PreparedRow) -> bool:
        """Whether a row waits for nothing of its holder's."""
        return self.cohort.template.binding is None and (row.subject_did is not None or self.terms.bearer)


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
    faults = list(securing_faults(cohort.template, terms.securing, with_status=terms.with_status))
    if cohort.template.binding is not None and terms.bearer:
        detail = "what is bound to its holder is for whoever claims it with a key: issue without --bearer"
        faults.append(Fault("template", detail))
    if faults:
        raise InputFaults(faults)
    cohort = await with_held(issuer, cohort)
    name = cohort.template.cohort
    async with issuer.store.reading() as reading:
        known = await reading.credentials.known_rows(name)
        kind = await _kind_of_key(issuer, reading, terms.securing)
    changed = [row for row in cohort.rows if row.key in known and _differs(row, known[row.key])]
    if changed:
        raise InputFaults([Fault("cohort", _CHANGED, row=row.number) for row in changed])
    purposes = _purposes(cohort, terms)
    new = tuple(row for row in cohort.rows if row.key not in known)
    shapes = Shapes(issuer, cohort.template, terms, purposes, kind)
    faults = []
    with uncollected():
        for done, row in enumerate(new, 1):
            try:
                shapes.judge(row)
            except InputFaults as error:
                faults += error.faults
            except (Malformed, NotVerified) as error:
                faults.append(Fault("cohort", error.detail, row=row.number, path=error.problem.path))
            progress("checked", done, len(new))
    if faults:
        raise InputFaults(faults)
    return Plan(cohort, terms, purposes, new, shapes)


def _differs(row: PreparedRow, known: KnownRow) -> bool:
    # Of a row whose evidence was erased nothing is known that it could be compared with.
    return bool(known.content_digest) and known.content_digest != row.content_digest


_CHANGED: Final = (
    "this row was issued before with other content: revoke that credential and issue under another id"
)


async def _kind_of_key(issuer: Issuer, reading: Transaction, securing: str) -> KeyKind:
    key = await _fitting_key(issuer, reading, securing)
    return parse_multikey(key.multibase).kind


async def _fitting_key(issuer: Issuer, reading: Transaction, securing: str) -> IssuerKey:
    key = await issuer.active_key(reading, KINDS[securing], for_what=securing)
    if securing == BBS and issuer.on_chain and not is_of_epoch(key, issuer.clock()):
        raise Conflict("the BLS12-381 key is of an earlier week: `issuer key rotate --kind BLS12-381`")
    return key


def is_of_epoch(key: IssuerKey, now: datetime) -> bool:
    """Whether a key is one of this week: on a chain each week has its own for bbs-2023 (FORMATS.md section 3)."""
    return epoch_of(key.created_at) == epoch_of(now)


def _purposes(cohort: Cohort, terms: Terms) -> tuple[str, ...]:
    if terms.securing == BBS:
        return ()
    template = cohort.template
    if not terms.with_status:
        for name, wanted in (("suspendable", template.suspendable), ("statusMessage", template.messages)):
            if wanted:
                raise Misconfigured(f"a template with {name} needs status entries: --status")
        return ()
    chosen = ((REVOCATION, True), (SUSPENSION, template.suspendable), (MESSAGE, template.messages))
    return tuple(purpose for purpose, wanted in chosen if wanted)


async def ensure_lists(issuer: Issuer, plan: Plan) -> bool:
    """See to it that the lists which a plan needs are open or on their way; whether they are open now.

    No index is given out before its list is open and final.
    """
    count = len(plan.new)
    ready = [
        await status_lists.ensure_list(issuer, purpose, count, status_lists.size_of(_messages(plan, purpose)))
        for purpose in (plan.purposes if count else ())
    ]
    return all(ready)


def _messages(plan: Plan, purpose: str) -> tuple[str, ...]:
    return plan.cohort.template.messages if purpose == MESSAGE else ()


def _evidence_of(row: PreparedRow) -> EvidenceSet | None:
    if not row.evidence:
        return None
    items = [item.read() for item in row.evidence]
    return build_evidence(items, [secrets.token_bytes(32) for _ in items])


def new_id() -> str:
    """The id of a credential, by which nothing else can be told."""
    return f"urn:uuid:{uuid.uuid4()}"


# --- intended and signed


@dataclass(frozen=True, slots=True)
class _Claim:
    """An intent that is signed now, and for whom; `secure` makes what is stored."""

    credential_id: str
    subject_did: str | None
    securing: str
    secure: Callable[[str | None, SigningKey, datetime], Secured]
    draft: Draft | None = None
    kept: bytes = b""

    @property
    def shape(self) -> object | None:
        """What it shares with others that are made by the same stencil."""
        return None if self.draft is None else self.draft.shape

    def cast(self, key: SigningKey, now: datetime) -> Row | None:
        """What a press makes it of, if there is a stencil for it."""
        return None if self.draft is None else self.draft.cast(self.subject_did, key, now)

    @classmethod
    def of(
        cls, issuer: Issuer, intent: Intent, subject_did: str | None, committed: Committed | None = None
    ) -> _Claim:
        """Of an intent as it was stored, and of what its holder commits to now where he did not before."""
        prepared = Prepared.of(intent)
        if committed is not None:
            prepared = replace(prepared, committed=committed)

        def secured(subject_did: str | None, key: SigningKey, now: datetime) -> Secured:
            document = prepared.at_signing(now, subject_did)
            if prepared.binding is not None and prepared.committed is None:
                raise Conflict("it is signed over what its holder commits to, and nobody did")
            return secure(
                issuer, document, key, prepared.securing, now, prepared.mandatory, prepared.committed
            )

        return cls(intent.credential_id, subject_did, prepared.securing, secured, kept=prepared.kept)


async def issue(issuer: Issuer, plan: Plan, progress: Progress = quiet) -> None:
    """Issue every row that is new: intended, then signed; and sign what an earlier run left. The lists must be open."""
    with uncollected():
        await _issue(issuer, plan, progress)
    await sign_intended(issuer, plan.cohort.template.cohort, progress)


async def count_over(issuer: Issuer) -> int:
    """How many credentials would be over if they were signed now: they stay unsigned until somebody withdraws them."""
    number, now = 0, issuer.clock()
    for state in (CredentialState.INTENDED, CredentialState.WAITING):
        after: str | None = ""
        while after is not None:
            async with issuer.store.reading() as reading:
                page = await reading.credentials.page(after=after, state=state)
            number += sum(is_over(record.intent, now) for record in page)
            after = page[-1].intent.credential_id if page else None
    return number


def is_over(intent: Intent, now: datetime) -> bool:
    """Whether it would be over if it were signed now."""
    # Without one of them it ends later than it is signed.
    if not any(member in intent.body for member in (b'"validFrom"', b'"validUntil"')):
        return False
    try:
        Prepared.of(intent).at_signing(now, None)
    except Over:
        return True
    return False


async def _issue(issuer: Issuer, plan: Plan, progress: Progress) -> None:
    done, signed = 0, 0
    under_way: deque[asyncio.Task[int]] = deque()

    async def finish(most: int) -> None:
        nonlocal signed
        while len(under_way) > most:
            signed += await under_way.popleft()
            progress("signed", signed, len(plan.new))

    async with pressing(len(plan.new)) as press:
        try:
            for rows in _parts(plan):
                claims = await _intend_rows(issuer, plan, rows)
                done += len(rows)
                progress("prepared", done, len(plan.new))
                under_way.append(asyncio.create_task(_sign(issuer, claims, press)))
                await finish(1 if press.is_apart else 0)
            await finish(0)
        finally:
            # What was intended stays so, and is signed by the next run.
            for signing in under_way:
                signing.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)


async def _intend_rows(issuer: Issuer, plan: Plan, rows: Sequence[PreparedRow]) -> list[_Claim]:
    try:
        async with issuer.store.transaction() as transaction:
            return await _intend(issuer, transaction, plan, rows)
    except Conflict:
        # Somebody else may have issued the same cohort a moment ago: what is left of it, and else the same again.
        async with issuer.store.transaction() as transaction:
            keys = [row.key for row in rows]
            known = await transaction.credentials.known_rows(plan.cohort.template.cohort, keys)
            left = [row for row in rows if row.key not in known]
            return await _intend(issuer, transaction, plan, left)


async def _intend(
    issuer: Issuer, transaction: Transaction, plan: Plan, rows: Sequence[PreparedRow]
) -> list[_Claim]:
    """Store the rows' intents, with status index and evidence; those that can be signed at once."""
    ids = [new_id() for _ in rows]
    entries = [
        await status_lists.allocate(transaction, purpose, ids, _messages(plan, purpose))
        for purpose in plan.purposes
    ]
    now = issuer.clock()
    intents, claims, evidence = [], [], []
    for row, credential_id in zip(rows, ids, strict=True):
        items = _evidence_of(row)
        is_unbound = plan.terms.bearer and row.subject_did is None
        is_nameless = is_unbound or plan.terms.securing == BBS
        identity = identity_of(row.key, secrets.token_urlsafe(16)) if is_nameless else None
        own = tuple([given[credential_id] for given in entries])
        draft = plan.shapes.draft(row, Given(credential_id, own, items, identity, row.held))
        at_once = plan.signs_at_once(row)
        intents.append(
            Intent(
                credential_id=credential_id,
                cohort=plan.cohort.template.cohort,
                row_key=row.key,
                content_digest=row.content_digest,
                body=draft.body(),
                subject_did=row.subject_did,
                state=CredentialState.INTENDED if at_once else CredentialState.WAITING,
                evidence_size=items.size if items else 0,
                evidence_root=items.root if items else None,
                created_at=now,
            )
        )
        if at_once:
            claims.append(_Claim(credential_id, row.subject_did, plan.terms.securing, draft.secure, draft))
        if items is not None:
            evidence.append((credential_id, _stored(items)))
    await transaction.credentials.intend(intents)
    for credential_id, stored in evidence:
        await transaction.evidence.store(credential_id, stored)
    return claims


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


async def sign_intended(issuer: Issuer, cohort: str | None = None, progress: Progress = quiet) -> int:
    """Sign everything that is intended (of a cohort) and not signed, as an earlier run left it; how many.

    What would be over is left as it is.
    """
    async with issuer.store.reading() as reading:
        counts = await reading.credentials.counts(cohort)
    total, done, after, since = counts[CredentialState.INTENDED], 0, "", 0
    while total:
        async with issuer.store.reading() as reading:
            page = await reading.credentials.page(
                after=after, limit=_CHUNK, state=CredentialState.INTENDED, cohort=cohort
            )
        if not page and done == since:
            break
        # Behind the last page once more from the beginning: somebody else may have intended more meanwhile.
        if not page:
            after, since = "", done
            continue
        after = page[-1].intent.credential_id
        claims = [_Claim.of(issuer, record.intent, record.intent.subject_did) for record in page]
        done += await _sign(issuer, claims)
        progress("signed", done, max(total, done))
    return done


async def _sign(issuer: Issuer, claims: Sequence[_Claim], press: Press | None = None) -> int:
    """Sign, then record and let the digests wait for the next batch; how many. What would be over is left out."""
    signed = 0
    for securing in dict.fromkeys(claim.securing for claim in claims):
        alike = [claim for claim in claims if claim.securing == securing]
        signed += await _sign_alike(issuer, alike, securing, press or Press())
    return signed


async def _sign_alike(issuer: Issuer, claims: Sequence[_Claim], securing: str, press: Press) -> int:
    while True:
        now = issuer.clock()
        async with issuer.store.reading() as reading:
            await _fitting_key(issuer, reading, securing)
        key = await issuer.signing_key(kinds=KINDS[securing])
        made = await _signed(claims, key, now, press)
        _read_back(issuer, made, key)
        signed = [one for _, one in made]
        async with issuer.store.transaction() as transaction:
            current = await issuer.active_key(transaction, KINDS[securing])
            if current.multibase != key.multibase:
                continue  # rotated meanwhile: what the old key signed now would be anchored too late
            await transaction.credentials.record_signed(signed)
            if issuer.on_chain and is_anchored(securing):
                await transaction.batches.enqueue(CREDENTIAL, [one.digest for one in signed], now)
            return len(signed)


async def _signed(
    claims: Sequence[_Claim], key: SigningKey, now: datetime, press: Press
) -> list[tuple[_Claim, SignedCredential]]:
    casts = [claim.cast(key, now) for claim in claims]
    pressed = iter(await press.press(key.signer, [cast for cast in casts if cast is not None]))
    signed = []
    for claim, cast in zip(claims, casts, strict=True):
        made = None if cast is None else next(pressed)
        if made is None:
            try:
                secured = claim.secure(claim.subject_did, key, now)
            except Over:
                continue  # it shall not hold up the others
            made = secured.document, secured.digest
        subject, kept = claim.subject_did, claim.kept
        one = SignedCredential(claim.credential_id, *made, key.multibase, subject, now, kept)
        signed.append((claim, one))
    return signed


def _read_back(issuer: Issuer, signed: Sequence[tuple[_Claim, SignedCredential]], key: SigningKey) -> None:
    """Read one credential of each shape as a verifier would, before anything of them is recorded.

    Which one, nobody can tell before. NotVerified or Malformed if a stencil made what nobody could verify.
    """
    by_shape: dict[int, list[SignedCredential]] = {}
    for claim, one in signed:
        if claim.shape is not None:
            by_shape.setdefault(id(claim.shape), []).append(one)
    for alike in by_shape.values():
        one = secrets.choice(alike)
        check_secured(issuer, issued_value(one.document), key.signer.public_key)
        issued = read_issued(one.document)
        if ShownDocument(issued.document, issued.envelope).digest(None) != one.digest:
            raise NotVerified("what is anchored is not what was signed")


async def sign_for(
    issuer: Issuer, credential_id: str, subject_did: str, commitment_with_proof: bytes = b""
) -> CredentialRecord:
    """The credential for the holder who claims it, signed now if it is not.

    Idempotent: claimed again by the same DID, the same document comes back, over the commitment of the first claim.
    Conflict where it is another's or was withdrawn; Over where it would be over; NotFound where there is none. An
    unbound credential (`--bearer`) is anybody's who has the offer.
    """
    parse_did(subject_did)
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(credential_id)
    if record is None:
        raise NotFound("no such credential")
    if record.state is CredentialState.WITHDRAWN:
        raise Conflict("the credential was withdrawn")
    intended = record.intent.subject_did
    if record.signed is None and intended is not None and not same_issuer(intended, subject_did):
        raise Conflict("the credential is for another holder")
    if record.signed is None:
        Prepared.of(record.intent).at_signing(issuer.clock(), intended or subject_did)
    if record.signed is None and record.state is CredentialState.WAITING:
        committed = _committed(record.intent, commitment_with_proof)
        # Claimed twice at one moment, one of them finds it signed: below it shows for whom.
        with contextlib.suppress(Conflict):
            await _sign(issuer, [_Claim.of(issuer, record.intent, intended or subject_did, committed)])
    elif record.signed is None:
        await _sign(issuer, [_Claim.of(issuer, record.intent, intended)])
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(credential_id)
    if record is None or record.signed is None:
        raise Conflict("the credential could not be signed")
    holder = record.signed.subject_did
    if holder is not None and not same_issuer(holder, subject_did):
        raise Conflict("the credential is for another holder")
    return record


def _committed(intent: Intent, commitment_with_proof: bytes) -> Committed | None:
    """What it is signed over unseen, with a part of ours for pseudonyms; None where it is bound to nothing."""
    binding = Prepared.of(intent).binding
    return (
        None
        if binding is None or not commitment_with_proof
        else committed_for(binding, commitment_with_proof)
    )


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
    issuer: Issuer,
    credential: JsonObject,
    *,
    securing: str = DEFAULT_SECURING,
    mandatory: tuple[str, ...] = (),
    with_status: bool = True,
) -> CredentialRecord:
    """Sign a credential as it was given (VC API `/credentials/issue`); it joins the next batch.

    `id` is drawn where it is missing, `issuer` filled in or must be ours, a status entry added. The same id
    with the same content gives the credential that was signed before; with other content it is a Conflict.
    Malformed with the path of what is wrong; Over where it would be over. Unavailable or Conflict where no list is
    open.
    """
    if "proof" in credential or "credentialStatus" in credential:
        raise Malformed("proof and credentialStatus are the issuer's to add")
    if securing == BBS:
        raise Malformed(f"{BBS} is for cohorts, whose members nothing tells apart", path=("options",))
    # Named as it was when there were cryptosuites alone: what was sent then is known when it is sent again.
    content: JsonObject = {**credential, "suite": securing, "status": with_status}
    content |= {"mandatoryPointers": list(mandatory)} if mandatory else {}
    digest = sha256(canonicalize(content)).digest()
    document = _adopted(issuer, credential)
    record = await _known(issuer, document["id"])
    if record is None:
        prepared = Prepared(document, securing, None, mandatory)
        purposes = (REVOCATION,) if with_status else ()
        await _rehearse_document(issuer, prepared, purposes)
        try:
            await _intend_document(issuer, prepared, digest, purposes)
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
        Prepared.of(record.intent).at_signing(issuer.clock(), None)
        with contextlib.suppress(Conflict):  # signed meanwhile
            await _sign(issuer, [_Claim.of(issuer, record.intent, None)])
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
    document.setdefault("id", new_id())
    if not isinstance(document["id"], str) or len(document["id"].encode()) > MAX_ID_BYTES:
        raise Malformed(f"a text of at most {MAX_ID_BYTES:,} bytes", path=("id",))
    return document


async def _rehearse_document(issuer: Issuer, prepared: Prepared, purposes: Sequence[str]) -> None:
    """Malformed unless it can be issued so, with status entries that stand for those it will have."""
    document, securing = prepared.credential, prepared.securing
    stand_in = [StatusEntry(purpose, f"{issuer.settings.url}/status/1", 0) for purpose in purposes]
    rehearsed = {**document, **({"credentialStatus": entries_to_json(stand_in)} if stand_in else {})}
    try:
        async with issuer.store.reading() as reading:
            kind = await _kind_of_key(issuer, reading, securing)
    except Misconfigured as error:
        # Whoever asks over HTTP can ask for something else.
        raise Malformed(error.detail, path=("options",)) from error
    signed = replace(prepared, credential=rehearsed).at_signing(issuer.clock(), None)
    check_issuable(issuer, signed, securing, throwaway_key(issuer, kind), prepared.mandatory)


async def _intend_document(
    issuer: Issuer, prepared: Prepared, digest: bytes, purposes: Sequence[str]
) -> None:
    credential_id = prepared.credential["id"]
    async with issuer.store.transaction() as transaction:
        entries = [
            (await status_lists.allocate(transaction, purpose, [credential_id]))[credential_id]
            for purpose in purposes
        ]
        if entries:
            document = {**prepared.credential, "credentialStatus": entries_to_json(entries)}
            prepared = replace(prepared, credential=document)
        intent = Intent(
            credential_id=credential_id,
            cohort=API_COHORT,
            row_key="id:" + credential_id,
            content_digest=digest,
            body=prepared.to_bytes(),
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


def _parts(plan: Plan) -> Iterator[Sequence[PreparedRow]]:
    part = _CHUNK if plan.cohort.template.evidence is not None else _LIGHT_CHUNK
    for start in range(0, len(plan.new), part):
        yield plan.new[start : start + part]
