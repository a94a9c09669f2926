"""Closing a batch: everything random is drawn here, the tree is built, and each item gets its place in it.

FORMATS.md section 4. What carries the commitment to a chain is the caller's, in the same transaction.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from node.core import anchor
from node.storage.protocols.batches import AnchorItem, Batch, ItemPlace
from node.storage.protocols.store import Transaction

_DRAW_BYTES: Final = 32


async def seal(transaction: Transaction, items: Sequence[AnchorItem], now: datetime) -> Batch:
    """Close a batch over `items`, which wait."""
    sealed = draw_tree([(item.kind, item.digest) for item in items])
    places = [
        ItemPlace(item.id, place.salt, place.index, place.path)
        for item, place in zip(items, sealed.places, strict=True)
    ]
    return await transaction.batches.seal(sealed.commitment, sealed.size, sealed.root, places, now)


def draw_tree(items: Sequence[tuple[int, bytes]]) -> anchor.SealedBatch:
    """The tree over pairs of kind and digest, salted, padded and in an order that are drawn here."""
    size = anchor.padded_size(len(items))
    return anchor.seal_batch(
        items, _draw(size, anchor.SALT_BYTES), _draw(size - len(items), _DRAW_BYTES), _order(size)
    )


def _draw(count: int, length: int) -> list[bytes]:
    """So many texts of random bytes, asked of the system at once: a thousand questions cost more than the tree."""
    drawn = secrets.token_bytes(count * length)
    return [drawn[start : start + length] for start in range(0, len(drawn), length)]


def _order(size: int) -> list[int]:
    """A permutation, each as likely as any other: 32 random bytes for each index do not repeat."""
    keys = _draw(size, _DRAW_BYTES)
    return sorted(range(size), key=keys.__getitem__)
