"""`issuer erase`: evidence is taken out of the database, for good (FORMATS.md section 5).

Of an erased item its index and its leaf hash are left, which says nothing without the salt. The commitment in the
credential opens around it, so that the credential and the items that stay verify as before; bundles that are handed
out from then on show its leaf alone. What the holder has, he has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.core.errors import NotFound
from node.services import lookup
from node.services.issuer import Issuer
from node.storage.protocols.credentials import CredentialRecord, StoredEvidence
from node.storage.protocols.store import Traces


@dataclass(frozen=True, slots=True)
class Erasure:
    """What is to be erased of a credential, what stays, and what was erased before; by index."""

    record: CredentialRecord
    items: tuple[StoredEvidence, ...]
    left: tuple[StoredEvidence, ...]
    erased: tuple[StoredEvidence, ...]


async def plan(issuer: Issuer, name: str, wanted: Sequence[str] = ()) -> Erasure:
    """What erasing the items called so comes to, or all; reads only.

    An item is called by its name, or by its index, which stays when its name is erased. NotFound for a credential that
    is unknown or has no evidence, and for an item that is not there.
    """
    record = await lookup.find_credential(issuer, name)
    async with issuer.store.reading() as reading:
        items = await reading.evidence.load(record.intent.credential_id, with_data=False)
    if not items:
        raise NotFound(f"{name} has no evidence here")
    chosen = {_called(items, one).index for one in wanted} or {item.index for item in items}
    alive = [item for item in items if item.erased_at is None]
    return Erasure(
        record,
        tuple(item for item in alive if item.index in chosen),
        tuple(item for item in alive if item.index not in chosen),
        tuple(item for item in items if item.erased_at is not None),
    )


def _called(items: Sequence[StoredEvidence], name: str) -> StoredEvidence:
    for item in items:
        if name == item.name:
            return item
    for item in items:
        if name == str(item.index):
            return item
    known = ", ".join(f"{item.index} {item.name}" for item in items if item.name is not None) or "none"
    erased = [str(item.index) for item in items if item.name is None]
    lost = f"; erased with their names: {', '.join(erased)}" if erased else ""
    raise NotFound(f"no item is called {name}. There are: {known}{lost}")


async def erase(issuer: Issuer, erasure: Erasure) -> Traces:
    """Erase it, and where the files of the database still hold it; asked for again, that is looked after again."""
    async with issuer.store.transaction() as transaction:
        await transaction.evidence.erase(
            erasure.record.intent.credential_id, issuer.clock(), [item.index for item in erasure.items]
        )
    return await issuer.store.overwrite_erased()
