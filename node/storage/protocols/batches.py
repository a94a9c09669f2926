"""What is anchored: items that wait, batches with the places in their trees, and the bundles proven from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from node.storage.protocols.outbox import Spent, TransactionState


@dataclass(frozen=True, slots=True)
class AnchorItem:
    """A digest that shall be anchored; `kind` is that of FORMATS.md section 4."""

    id: int
    kind: int
    digest: bytes
    added_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """The open batch: how many items wait, and since when the oldest does."""

    count: int
    oldest: datetime | None


@dataclass(frozen=True, slots=True)
class ItemPlace:
    """Where an item stands in its batch's tree."""

    item_id: int
    salt: bytes
    index: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """A sealed batch. State and block are those of its transaction; without one it is None: only sealed."""

    id: int
    commitment: bytes
    size: int
    root: bytes
    sealed_at: datetime
    transaction_id: int | None
    state: TransactionState | None
    block_number: int | None


@dataclass(frozen=True, slots=True)
class AnchoredPlace:
    """An item's place together with its batch."""

    item: AnchorItem
    place: ItemPlace
    batch: Batch


@dataclass(frozen=True, slots=True)
class BatchCost:
    """What anchoring one batch cost; items of every kind count."""

    batch_id: int
    items: int
    spent: Spent


@dataclass(frozen=True, slots=True)
class BatchTally:
    """A batch, and how many items of each kind (FORMATS.md section 4) are in it, the padding left out."""

    batch: Batch
    kinds: Mapping[int, int]


class Batches(Protocol):
    """What is to be anchored. Items without a batch are the open batch; sealing gives them their places."""

    async def enqueue(self, kind: int, digests: Sequence[bytes], now: datetime) -> int:
        """Let digests wait for the next batch; those known already are passed over. How many were new."""
        ...

    async def waiting(self, most: int | None = None) -> Waiting:
        """The open batch in numbers; or no more than those `most` items of it that have waited longest."""
        ...

    async def load_waiting(self, limit: int) -> tuple[AnchorItem, ...]:
        """The items that have waited longest."""
        ...

    async def seal(
        self, commitment: bytes, size: int, root: bytes, places: Sequence[ItemPlace], now: datetime
    ) -> Batch:
        """Close a batch over items that wait; Conflict where one of them has a place already."""
        ...

    async def attach(self, batch_id: int, transaction_id: int) -> None:
        """Name the transaction that carries the commitment; Conflict where another does."""
        ...

    async def add_second(self, batch_id: int, chain: str, transaction_id: int) -> None:
        """Name the transaction that carries the commitment to a second chain (CAIP-2)."""
        ...

    async def on_second_chain(self) -> frozenset[int]:
        """Ids of the batches that stand on a second chain at a final block, and not yet on the DID's own."""
        ...

    async def costs(self, limit: int) -> tuple[BatchCost, ...]:
        """What the newest final batches cost on the DID's own chain, newest first."""
        ...

    async def load(self, batch_id: int) -> Batch | None:
        """One batch."""
        ...

    async def unfinished(self) -> tuple[Batch, ...]:
        """Batches whose transaction is not final (or not made), oldest first."""
        ...

    async def places(self, batch_id: int) -> tuple[AnchoredPlace, ...]:
        """All places of a batch."""
        ...

    async def find_place(self, kind: int, digest: bytes) -> AnchoredPlace | None:
        """Where a digest is anchored, or None while it waits or is unknown."""
        ...

    async def unanchored_of_key(self, key_multibase: str) -> int:
        """Credentials signed with a key whose batch is not final: a key is retired when there are none."""
        ...

    async def tallies(self) -> tuple[BatchTally, ...]:
        """The final batches, oldest first."""
        ...

    async def anchored_of_key(self, key_multibase: str, since_block: int) -> int:
        """Credentials signed with a key whose batch is final, anchored in that block or later."""
        ...


@dataclass(frozen=True, slots=True)
class StoredBundle:
    """A final bundle as JSON bytes, without evidence: that is added when it is served, so erasing works."""

    digest: bytes
    body: bytes
    header_number: int
    header_hash: bytes
    proven_at: datetime


class Bundles(Protocol):
    """Proofs made for holders, by the digest of their credential. They can be made again from the chain."""

    async def save(self, bundles: Sequence[StoredBundle]) -> None:
        """Keep bundles; a newer header takes the place of an older one, never the other way round."""
        ...

    async def load(self, digest: bytes) -> StoredBundle | None:
        """The newest bundle of a credential."""
        ...

    async def due(
        self, header_number: int, limit: int = 100, *, step: int | None = None
    ) -> tuple[bytes, ...]:
        """Digests of anchored, final credentials that have no bundle proven at `header_number` or later.

        With `step`, a bundle proven at a multiple of it is as good as new.
        """
        ...
