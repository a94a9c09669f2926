"""How long the issuer's writer may write: the slot that says so, and when it is time to renew it.

Reads only; `registration.py` asks for roles.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from node.core.evm import registry
from node.core.evm.header import Header
from node.core.evm.registry import WriterRecord
from node.core.times import from_unix
from node.services.issuer import ChainAccess, Issuer, address_of
from node.storage.base import IssuerKey, KeyRole

# Long enough that somebody looks at `issuer status` before it is over.
RENEW_BEFORE: Final = timedelta(days=365)


async def writer_record(
    issuer: Issuer, writer: IssuerKey, header: Header, chain: ChainAccess | None = None
) -> WriterRecord:
    """The roles of a writer as they stand at a block of `chain`, by default that of the DID, proven."""
    async with issuer.store.reading() as reading:
        (owner, *_) = await reading.keys.all(KeyRole.OWNER)
    slot = registry.writer_slot(issuer.identity, address_of(owner), address_of(writer))
    return WriterRecord.from_word(await (chain or issuer.require_chain()).slot(header, slot))


def ends_soon(issuer: Issuer, record: WriterRecord) -> bool:
    """Whether the roles end within a year."""
    return from_unix(record.until) - issuer.clock() < RENEW_BEFORE
