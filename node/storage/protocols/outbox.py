"""Chain transactions on their way, from the call that is wanted to the block that is final."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol


class TransactionState(StrEnum):
    """A chain transaction's life. A reorganisation takes it from INCLUDED back to SENT."""

    PREPARED = "prepared"
    SIGNED = "signed"
    SENT = "sent"
    INCLUDED = "included"
    FINAL = "final"
    PARKED = "parked"


OWN_CHAIN: Final = ""
"""The chain of the issuer's DID, where the outbox says of which chain a call is; a second chain is named by its
CAIP-2 id.
"""


@dataclass(frozen=True, slots=True)
class Spent:
    """What a transaction came to: gas, and wei per gas (`effectiveGasPrice`)."""

    gas: int
    gas_price: int

    @property
    def wei(self) -> int:
        """The fee that was paid."""
        return self.gas * self.gas_price


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A call that shall reach the chain. `nonce` is None until one is assigned; `fault` says why it is
    parked.
    """

    id: int
    chain: str  # OWN_CHAIN, or the CAIP-2 id of a second chain
    purpose: str  # "anchor", "open_list", "set_status", "add_key" …: the service's own word
    sender: bytes
    to: bytes | None
    data: bytes
    state: TransactionState
    nonce: int | None
    transaction_hash: bytes | None  # of the newest attempt, or of the one included
    block_number: int | None
    block_hash: bytes | None
    gas_used: int | None
    gas_price: int | None  # wei per gas
    fault: str | None
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class Attempt:
    """A signed form of an entry. Every one that may have been broadcast is kept: any of them can be
    included.
    """

    transaction_hash: bytes
    raw: bytes
    nonce: int
    signed_at: datetime


class Outbox(Protocol):
    """Chain transactions, each stored raw before it is broadcast, with nonces counted here."""

    async def add(
        self,
        purpose: str,
        sender: bytes,
        to: bytes | None,
        data: bytes,
        now: datetime,
        chain: str = OWN_CHAIN,
    ) -> OutboxEntry:
        """A new entry, PREPARED."""
        ...

    async def load(self, entry_id: int) -> OutboxEntry | None:
        """One entry."""
        ...

    async def find(self, purpose: str, data: bytes) -> OutboxEntry | None:
        """The newest entry of a purpose with this very data."""
        ...

    async def unfinished(
        self, sender: bytes | None = None, limit: int = 100, chain: str = OWN_CHAIN
    ) -> tuple[OutboxEntry, ...]:
        """Entries of a chain neither final nor parked, in the order in which they were added."""
        ...

    async def in_state(
        self, state: TransactionState, limit: int = 100, chain: str | None = None
    ) -> tuple[OutboxEntry, ...]:
        """Entries in a state, in the order in which they were added; of every chain unless one is named."""
        ...

    async def assign_nonce(self, entry_id: int, at_least: int) -> int:
        """The entry's nonce, given once: the sender's next here, or the chain's count `at_least` if
        higher.
        """
        ...

    async def release_nonce(self, entry_id: int, now: datetime) -> None:
        """Its nonce was used up by a foreign transaction: PREPARED again, to be signed with another."""
        ...

    async def reassign(self, entry_id: int, sender: bytes, now: datetime) -> None:
        """From any state but FINAL: PREPARED again, to be signed by another sender, since nothing that was signed for
        it can take effect any more. Its attempts are void; Conflict where it has that sender already.
        """
        ...

    async def record_attempt(self, entry_id: int, transaction_hash: bytes, raw: bytes, now: datetime) -> None:
        """Keep a signed transaction of the assigned nonce; must be durable before it is broadcast."""
        ...

    async def attempts(self, entry_id: int) -> tuple[Attempt, ...]:
        """All signed forms that are not void, oldest first."""
        ...

    async def signed(self) -> frozenset[bytes]:
        """The hash of every transaction that was signed here for the issuer's own chain, sent or not."""
        ...

    async def mark_sent(self, entry_id: int, now: datetime) -> None:
        """An endpoint has taken it."""
        ...

    async def mark_included(
        self,
        entry_id: int,
        transaction_hash: bytes,
        block_number: int,
        block_hash: bytes,
        now: datetime,
        spent: Spent | None = None,
    ) -> None:
        """One of its attempts stands in a block (again: after a reorganisation perhaps in another), and what it
        cost there.
        """
        ...

    async def mark_reorganised(self, entry_id: int, now: datetime) -> None:
        """Its block is gone: SIGNED, and to be sent again."""
        ...

    async def mark_final(self, entry_id: int, now: datetime) -> None:
        """Its block is final."""
        ...

    async def mark_found(self, entry_id: int, block_number: int | None, now: datetime) -> None:
        """FINAL from any state, since the chain shows at a final block what it was to bring about, in the block
        `block_number` where the chain tells it.
        """
        ...

    async def park(self, entry_id: int, fault: str, now: datetime, *, nonce_spent: bool = False) -> None:
        """Set it aside for the operator; `nonce_spent` (it was included and reverted) takes its nonce
        away.
        """
        ...

    async def resume(self, entry_id: int, now: datetime) -> OutboxEntry:
        """Take a parked entry up again."""
        ...

    async def counts(self, chain: str = OWN_CHAIN) -> Mapping[TransactionState, int]:
        """How many of a chain are in each state."""
        ...

    async def spent(self, chain: str = OWN_CHAIN) -> Mapping[str, tuple[Spent, ...]]:
        """What the calls in blocks came to, by purpose."""
        ...
