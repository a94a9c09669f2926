"""Credentials from intent to signature, and the evidence they rest on.

An intent is written before a key is touched: a crash between the two leaves an intent, which is signed again.
Nothing is handed out before `record_signed` is durable, so a signature that was lost was never seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Final

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from node.core.errors import Conflict, NotFound
from node.storage.protocols.credentials import (
    CredentialRecord,
    CredentialState,
    EvidenceCounts,
    Intent,
    KnownRow,
    SignedCredential,
    StoredEvidence,
)
from node.storage.schema import AnyRow, Choice, Instant, chunks, execute_many, metadata

credentials_table: Final = Table(
    "credentials",
    metadata,
    Column("credential_id", Text, primary_key=True),
    Column("cohort", Text, nullable=False),
    Column("row_key", Text, nullable=False),
    Column("content_digest", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("subject_did", Text),
    Column("state", Choice(CredentialState), nullable=False, index=True),
    Column("evidence_size", Integer, nullable=False),
    Column("evidence_root", LargeBinary),
    Column("created_at", Instant, nullable=False),
    Column("document", LargeBinary),
    Column("digest", LargeBinary, unique=True),
    Column("key_multibase", Text),
    Column("signed_at", Instant),
    UniqueConstraint("cohort", "row_key"),
    Index(None, "key_multibase"),
)
_c: Final = credentials_table.c

evidence_table: Final = Table(
    "evidence_items",
    metadata,
    Column("credential_id", Text, ForeignKey(_c.credential_id), primary_key=True),
    Column("index", BigInteger, primary_key=True, autoincrement=False),
    Column("leaf", LargeBinary, nullable=False),
    Column("salt", LargeBinary),
    Column("name", Text),
    Column("media_type", String(255)),
    Column("genre", Text),
    Column("data", LargeBinary),
    Column("erased_at", Instant),
)
_e: Final = evidence_table.c

_KNOWN: Final = select(_c.row_key, _c.credential_id, _c.content_digest, _c.state, _c.digest, _c.subject_did)

# Not asdict: it copies every value, evidence too.
_INTENT: Final = tuple(field.name for field in fields(Intent))
_ITEM: Final = tuple(field.name for field in fields(StoredEvidence))

_SIGN: Final = (
    update(credentials_table)
    .where(
        _c.credential_id == bindparam("of_credential"),
        or_(_c.state == CredentialState.INTENDED, _c.state == CredentialState.WAITING),
        or_(_c.subject_did.is_(None), _c.subject_did == bindparam("of_subject")),
    )
    .values(
        state=CredentialState.SIGNED,
        body=bindparam("of_body"),  # what the document says, the larger half, is not stored twice
        document=bindparam("of_document"),
        digest=bindparam("of_digest"),
        key_multibase=bindparam("of_key"),
        subject_did=bindparam("of_subject"),
        signed_at=bindparam("of_time"),
    )
)
_SIGNED: Final = ("of_credential", "of_document", "of_digest", "of_key", "of_subject", "of_time", "of_body")


class SqlCredentials:
    """`protocols.Credentials`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def known_rows(self, cohort: str, row_keys: Sequence[str] | None = None) -> Mapping[str, KnownRow]:
        """Row key to what is recorded of it."""
        query = _KNOWN.where(_c.cohort == cohort)
        some = (
            [query] if row_keys is None else [query.where(_c.row_key.in_(part)) for part in chunks(row_keys)]
        )
        found: dict[str, KnownRow] = {}
        for one in some:
            found.update((key, KnownRow(*known)) for key, *known in await self._connection.execute(one))
        return found

    async def intend(self, intents: Sequence[Intent]) -> None:
        """Record intents, all or none."""
        for some in chunks(intents):
            rows = [attrgetter(*_INTENT)(intent) for intent in some]
            await execute_many(self._connection, insert(credentials_table), _INTENT, rows)

    async def record_signed(self, signed: Sequence[SignedCredential]) -> None:
        """Move intents to SIGNED, all or none."""
        for some in chunks(signed):
            rows = [_signed_row(one) for one in some]
            if await execute_many(self._connection, _SIGN, _SIGNED, rows) != len(some):
                await self._check_signed(some)

    async def _check_signed(self, signed: Sequence[SignedCredential]) -> None:
        """Raise unless each is recorded, by now or from before."""
        query = select(_c.credential_id, _c.state, _c.digest, _c.subject_did)
        query = query.where(_c.credential_id.in_([one.credential_id for one in signed]))
        known = {row.credential_id: row for row in await self._connection.execute(query)}
        for one in signed:
            _check_recorded(one, known.get(one.credential_id))

    async def withdraw(self, credential_id: str) -> None:
        """End an intent that was not signed."""
        known = await self.load(credential_id)
        if known is None:
            raise NotFound("no such credential")
        if known.state is CredentialState.SIGNED:
            raise Conflict("the credential is signed: revoke it")
        where = _c.credential_id == credential_id
        await self._connection.execute(
            update(credentials_table).where(where).values(state=CredentialState.WITHDRAWN)
        )

    async def load(self, credential_id: str) -> CredentialRecord | None:
        """By the credential's `id`."""
        query = select(credentials_table).where(_c.credential_id == credential_id)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _credential(row)

    async def load_many(self, credential_ids: Sequence[str]) -> Mapping[str, CredentialRecord]:
        """As `load`, for many."""
        found: dict[str, CredentialRecord] = {}
        for some in chunks(credential_ids):
            query = select(credentials_table).where(_c.credential_id.in_(some))
            found.update(
                (row.credential_id, _credential(row)) for row in await self._connection.execute(query)
            )
        return found

    async def find_by_digest(self, digest: bytes) -> CredentialRecord | None:
        """By the digest of the signed document."""
        query = select(credentials_table).where(_c.digest == digest)
        row = (await self._connection.execute(query)).one_or_none()
        return None if row is None else _credential(row)

    async def page(
        self,
        *,
        after: str = "",
        limit: int = 500,
        state: CredentialState | None = None,
        cohort: str | None = None,
    ) -> tuple[CredentialRecord, ...]:
        """Records ordered by id, beginning after `after`."""
        query = (
            select(credentials_table).where(_c.credential_id > after).order_by(_c.credential_id).limit(limit)
        )
        if state is not None:
            query = query.where(_c.state == state)
        if cohort is not None:
            query = query.where(_c.cohort == cohort)
        return tuple(_credential(row) for row in await self._connection.execute(query))

    async def counts(self, cohort: str | None = None) -> Mapping[CredentialState, int]:
        """How many are in each state."""
        query = select(_c.state, func.count().label("number")).group_by(_c.state)
        if cohort is not None:
            query = query.where(_c.cohort == cohort)
        found = {row.state: row.number for row in await self._connection.execute(query)}
        return {state: found.get(state, 0) for state in CredentialState}


def _signed_row(one: SignedCredential) -> tuple[object, ...]:
    return (
        one.credential_id,
        one.document,
        one.digest,
        one.key_multibase,
        one.subject_did,
        one.signed_at,
        one.kept,
    )


def _check_recorded(signed: SignedCredential, known: AnyRow | None) -> None:
    if known is None:
        raise NotFound("no intent for this credential: intents come first")
    if known.state is CredentialState.WITHDRAWN:
        raise Conflict("the credential was withdrawn before it was signed")
    if known.state is not CredentialState.SIGNED:
        raise Conflict("the credential was intended for another subject")
    if known.digest != signed.digest:
        raise Conflict("the credential is signed already, and otherwise")


def _credential(row: AnyRow) -> CredentialRecord:
    intent = Intent(
        credential_id=row.credential_id,
        cohort=row.cohort,
        row_key=row.row_key,
        content_digest=row.content_digest,
        body=row.body,
        subject_did=row.subject_did,
        state=row.state,
        evidence_size=row.evidence_size,
        evidence_root=row.evidence_root,
        created_at=row.created_at,
    )
    if row.document is None:
        return CredentialRecord(intent, None)
    signed = SignedCredential(
        credential_id=row.credential_id,
        document=row.document,
        digest=row.digest,
        key_multibase=row.key_multibase,
        subject_did=row.subject_did,
        signed_at=row.signed_at,
        kept=row.body,
    )
    return CredentialRecord(intent, signed)


class SqlEvidence:
    """`protocols.Evidence`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def store(self, credential_id: str, items: Sequence[StoredEvidence]) -> None:
        """Record the items of a credential; Conflict where it has some."""
        if items:
            rows = [{name: getattr(item, name) for name in _ITEM} for item in items]
            values = [{"credential_id": credential_id, **row} for row in rows]
            await self._connection.execute(insert(evidence_table), values)

    async def load(self, credential_id: str, *, with_data: bool = True) -> tuple[StoredEvidence, ...]:
        """The items in the order of their index."""
        columns = [column for column in _e if column.name not in ("credential_id", "data")]
        query = select(*columns, *([_e.data] if with_data else []))
        query = query.where(_e.credential_id == credential_id).order_by(_e.index)
        rows = await self._connection.execute(query)
        return tuple(StoredEvidence(**{"data": None, **row._mapping}) for row in rows)

    async def erase(self, credential_id: str, now: datetime, indexes: Sequence[int] | None = None) -> int:
        """Erase salt, members and bytes; the leaf hash stays, so the commitment can still be opened around
        it.
        """
        statement = update(evidence_table).where(_e.credential_id == credential_id, _e.erased_at.is_(None))
        if indexes is not None:
            statement = statement.where(_e.index.in_(indexes))
        nothing = dict.fromkeys(("salt", "name", "media_type", "genre", "data"))
        result = await self._connection.execute(statement.values(erased_at=now, **nothing))
        if result.rowcount:
            # Unsalted, and of names and bytes: whoever guesses what was erased could find himself right by it.
            of_row = update(credentials_table).where(_c.credential_id == credential_id)
            await self._connection.execute(of_row.values(content_digest=b""))
        return result.rowcount

    async def counts(self) -> EvidenceCounts:
        """How many items there are, and how many of them are erased."""
        query = select(func.count(), func.count(_e.erased_at))
        return EvidenceCounts(*(await self._connection.execute(query.select_from(evidence_table))).one())
