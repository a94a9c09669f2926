"""Status lists, the indexes given out, and every change on its way to the chain (FORMATS.md section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class ListMode(StrEnum):
    """FORMATS.md section 6: modes 1 and 2, and lists of an issuer without a chain."""

    OR_ONLY = "or_only"
    SETTABLE = "settable"
    PUBLISHED = "published"


@dataclass(frozen=True, slots=True)
class StatusList:
    """A status list. Indexes are given out only once it is open: on chain, or at once where there is none."""

    list_id: bytes  # 32 bytes
    purpose: str
    url: str
    mode: ListMode
    log2_entries: int
    status_size: int
    transaction_id: int | None
    opened_block: int | None
    is_open: bool
    allocated: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StatusIndex:
    """The entry of one credential in one list."""

    list_id: bytes
    purpose: str
    url: str
    index: int
    credential_id: str


@dataclass(frozen=True, slots=True)
class ListCredential:
    """The signed list credential last published."""

    document: bytes
    signed_at: datetime
    valid_until: datetime


class ChangeState(StrEnum):
    """ACCEPTED is promised, SENT is on its way to the chain, EFFECTIVE is what a verifier sees."""

    ACCEPTED = "accepted"
    SENT = "sent"
    EFFECTIVE = "effective"


@dataclass(frozen=True, slots=True)
class StatusChange:
    """A revocation, suspension or reinstatement: who asked for it, when and why."""

    id: int
    credential_id: str
    list_id: bytes
    purpose: str
    index: int
    value: int
    reason: str
    requested_by: str
    requested_at: datetime
    state: ChangeState
    transaction_id: int | None


@dataclass(frozen=True, slots=True)
class StatusWord:
    """256 bits of a list (FORMATS.md section 6): as the chain has them, and as they shall be."""

    word: int
    current: bytes  # 32 bytes
    desired: bytes


class StatusLists(Protocol):
    """Status lists, the indexes given out, and every change that was accepted."""

    async def add(self, status_list: StatusList) -> None:
        """Record a list before it is opened; Conflict where its id or URL is known."""
        ...

    async def load(self, list_id: bytes) -> StatusList | None:
        """One list."""
        ...

    async def find_by_url(self, url: str) -> StatusList | None:
        """The list that is published at a URL."""
        ...

    async def all(self, purpose: str | None = None) -> tuple[StatusList, ...]:
        """All lists, or those of a purpose, oldest first."""
        ...

    async def attach(self, list_id: bytes, transaction_id: int) -> None:
        """Name the transaction that opens the list."""
        ...

    async def mark_open(self, list_id: bytes, block_number: int | None) -> None:
        """The list is open: on chain since a final block, or without a chain (None)."""
        ...

    async def allocate(
        self, list_id: bytes, credential_ids: Sequence[str], draw: Callable[[int], int]
    ) -> Mapping[str, int]:
        """Give each credential a random index never given before; one that has an index keeps it.

        `draw(n)` is a CSPRNG's choice below n. Conflict where the list is not open or is more than half full:
        beyond that, what is left would no longer be random enough to hide who was issued next to whom.
        """
        ...

    async def indexes_of(self, credential_id: str) -> tuple[StatusIndex, ...]:
        """All entries of a credential."""
        ...

    async def change(
        self,
        credential_id: str,
        purpose: str,
        value: int,
        *,
        reason: str,
        requested_by: str,
        now: datetime,
    ) -> StatusChange:
        """Accept a change. The value that stands already gives the change that set it.

        NotFound where the credential has no entry of the purpose; Conflict where a revocation would be
        undone.
        """
        ...

    async def changes(self, credential_id: str) -> tuple[StatusChange, ...]:
        """What was ever accepted for a credential, oldest first."""
        ...

    async def value(self, list_id: bytes, index: int) -> int:
        """The desired value of an entry."""
        ...

    async def pending_words(self, list_id: bytes, limit: int = 256) -> tuple[StatusWord, ...]:
        """Words that differ from the chain and are not under way."""
        ...

    async def mark_words_sent(self, list_id: bytes, words: Sequence[int], transaction_id: int) -> None:
        """A transaction carries the desired value of these words, and with it the changes accepted so far."""
        ...

    async def mark_words_effective(self, transaction_id: int) -> None:
        """That transaction is final."""
        ...

    async def mark_published(self, list_id: bytes) -> None:
        """For a list without a chain: everything desired stands in the list credential just saved."""
        ...

    async def effective_words(self, list_id: bytes) -> Mapping[int, bytes]:
        """The words of a list that are not empty, as they were last made final; 32 bytes each."""
        ...

    async def bitstring(self, list_id: bytes) -> bytes:
        """The whole list as desired: 2^log2_entries times status_size bits."""
        ...

    async def save_credential(self, list_id: bytes, credential: ListCredential) -> None:
        """Keep the signed list credential that is served from now on."""
        ...

    async def load_credential(self, list_id: bytes) -> ListCredential | None:
        """The signed list credential, or None where none was made."""
        ...
