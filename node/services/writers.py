"""Who may write for the issuer, and how long: the slot that says so, and when it is time to renew it.

One writer is in use at a time. Those that were replaced (`succession.py`) are former ones: their keys are never opened
again, and what they had not done yet the next one does.

Reads only; `registration.py` asks for roles.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from node.core.evm import registry
from node.core.evm.header import Header
from node.core.evm.registry import WriterRecord, WriterRole
from node.core.times import from_unix
from node.services.issuer import ChainAccess, Issuer, address_of
from node.storage.protocols.issuer import IssuerKey, KeyRole, KeyState
from node.storage.protocols.store import Transaction

# Long enough that somebody looks at `issuer status` before it is over.
RENEW_BEFORE: Final = timedelta(days=365)
# 75,162 measured, as the identity's first write: all that the owner does on a second chain.
SET_WRITER_GAS: Final = 100_000
_IN_USE: Final = (KeyState.PREPARED, KeyState.ADDING, KeyState.ACTIVE)


async def writer_record(
    issuer: Issuer, writer: IssuerKey, header: Header, chain: ChainAccess | None = None
) -> WriterRecord:
    """The roles of a writer as they stand at a block of `chain`, by default that of the DID, proven."""
    async with issuer.store.reading() as reading:
        (owner, *_) = await reading.keys.all(KeyRole.OWNER)
    slot = registry.writer_slot(issuer.identity, address_of(owner), address_of(writer))
    return WriterRecord.from_word(await (chain or issuer.require_chain()).slot(header, slot))


async def writers_in_use(reading: Transaction) -> tuple[IssuerKey, ...]:
    """The writer, whether or not its roles are final on the chain."""
    return tuple(key for key in await reading.keys.all(KeyRole.WRITER) if key.state in _IN_USE)


async def former_writers(reading: Transaction) -> tuple[IssuerKey, ...]:
    """The writers that were replaced, oldest first, also those whose roles have not ended finally yet."""
    return tuple(key for key in await reading.keys.all(KeyRole.WRITER) if key.state not in _IN_USE)


async def has_ended(
    issuer: Issuer, writer: IssuerKey, header: Header, chain: ChainAccess | None = None
) -> bool:
    """Whether a writer's roles are over at a block, proven: no later block takes anything from it."""
    record = await writer_record(issuer, writer, header, chain)
    return not record.roles or record.until <= header.timestamp


async def may_anchor(issuer: Issuer, chain: ChainAccess) -> bool:
    """Whether every writer in use has its role on `chain`, so that the owner has nothing to pay there."""
    async with issuer.store.reading() as reading:
        used = await writers_in_use(reading)
    header = await chain.finalized()
    records = [await writer_record(issuer, key, header, chain) for key in used]
    return all(WriterRole.ANCHOR in record.roles for record in records)


def ends_soon(issuer: Issuer, record: WriterRecord) -> bool:
    """Whether the roles end within a year."""
    return from_unix(record.until) - issuer.clock() < RENEW_BEFORE
