"""Credentials from intent to signature, and the evidence they rest on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class CredentialState(StrEnum):
    """INTENDED is signed as soon as possible, WAITING at its holder's claim; the last two are ends."""

    INTENDED = "intended"
    WAITING = "waiting"
    SIGNED = "signed"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Intent:
    """What shall be signed: stored before any key is touched, so that a crash repeats and never doubles.

    `cohort` and `row_key` make issuing idempotent; `content_digest` tells whether a row known by its id has
    changed since; it is empty once evidence was erased. `body` is the prepared credential without proof, as JSON
    bytes; once it is signed, `kept` of that.
    """

    credential_id: str
    cohort: str
    row_key: str
    content_digest: bytes
    body: bytes
    subject_did: str | None
    state: CredentialState
    evidence_size: int
    evidence_root: bytes | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class SignedCredential:
    """A credential as issued: `document` are its exact JSON bytes, `digest` that of FORMATS.md section 3.

    `kept` becomes the body of its intent: what the document does not say and whoever issues it anew needs.
    """

    credential_id: str
    document: bytes
    digest: bytes
    key_multibase: str
    subject_did: str | None
    signed_at: datetime
    kept: bytes = b""


@dataclass(frozen=True, slots=True)
class CredentialRecord:
    """An intent and, once signed, what became of it."""

    intent: Intent
    signed: SignedCredential | None

    @property
    def state(self) -> CredentialState:
        """The intent's state as it is now."""
        return self.intent.state


@dataclass(frozen=True, slots=True)
class KnownRow:
    """A row of a cohort that was taken in before; `digest` is that of the credential, once it is signed."""

    credential_id: str
    content_digest: bytes
    state: CredentialState
    digest: bytes | None
    subject_did: str | None


class Credentials(Protocol):
    """Intents and signed credentials."""

    async def known_rows(self, cohort: str, row_keys: Sequence[str] | None = None) -> Mapping[str, KnownRow]:
        """Row key to what is recorded of it, for a whole cohort or for some of its rows."""
        ...

    async def intend(self, intents: Sequence[Intent]) -> None:
        """Record intents, all or none; Conflict where an id or (cohort, row key) is recorded already."""
        ...

    async def record_signed(self, signed: Sequence[SignedCredential]) -> None:
        """Move intents to SIGNED, all or none. The same digest again is quiet; another one is a Conflict."""
        ...

    async def withdraw(self, credential_id: str) -> None:
        """End an intent that was not signed; Conflict where it was."""
        ...

    async def load(self, credential_id: str) -> CredentialRecord | None:
        """By the credential's `id`."""
        ...

    async def load_many(self, credential_ids: Sequence[str]) -> Mapping[str, CredentialRecord]:
        """As `load`, for many: those that there are."""
        ...

    async def find_by_digest(self, digest: bytes) -> CredentialRecord | None:
        """By the digest of the signed document."""
        ...

    async def page(
        self,
        *,
        after: str = "",
        limit: int = 500,
        state: CredentialState | None = None,
        cohort: str | None = None,
    ) -> tuple[CredentialRecord, ...]:
        """Records ordered by id, beginning after `after`; for export and for resuming."""
        ...

    async def counts(self, cohort: str | None = None) -> Mapping[CredentialState, int]:
        """How many are in each state."""
        ...


@dataclass(frozen=True, slots=True)
class StoredEvidence:
    """One item of a credential's evidence. Erased: all but index and leaf hash are gone (FORMATS.md
    section 5).
    """

    index: int
    leaf: bytes
    salt: bytes | None
    name: str | None
    media_type: str | None
    genre: str | None
    data: bytes | None
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EvidenceCounts:
    """The evidence of all credentials in numbers of items."""

    items: int
    erased: int


class Evidence(Protocol):
    """Evidence items; what is erased cannot be had back, and the credential stays verifiable."""

    async def store(self, credential_id: str, items: Sequence[StoredEvidence]) -> None:
        """Record the items of a credential; Conflict where it has some."""
        ...

    async def load(self, credential_id: str, *, with_data: bool = True) -> tuple[StoredEvidence, ...]:
        """The items in the order of their index; `with_data=False` leaves the bytes where they are."""
        ...

    async def erase(self, credential_id: str, now: datetime, indexes: Sequence[int] | None = None) -> int:
        """Erase salt, members and bytes of the items (all, or those named); how many were erased now.

        With the first of them goes the digest of the row that they were issued from: it is of what was erased, too.
        """
        ...

    async def counts(self) -> EvidenceCounts:
        """How many items there are, and how many of them are erased."""
        ...
