"""Finding a credential by whatever a person has at hand: its id, its digest, or its row in a cohort."""

from __future__ import annotations

from node.core.encoding import decode_hex
from node.core.errors import Malformed, NotFound
from node.services.issuer import Issuer
from node.storage.base import CredentialRecord, Transaction


async def find_digest(issuer: Issuer, name: str) -> bytes:
    """The digest of the credential that `name` names: its id, its digest in hex, or `COHORT/ROW`."""
    record = await find_credential(issuer, name)
    if record.signed is None:
        raise NotFound(f"{name} is not signed yet")
    return record.signed.digest


async def find_credential(issuer: Issuer, name: str) -> CredentialRecord:
    """The credential of an id, a digest in hex, a row id, or `COHORT/ROW` where a row id alone is ambiguous."""
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(name)
        if record is None and (digest := _hex_digest(name)) is not None:
            record = await reading.credentials.find_by_digest(digest)
        return record or await _by_row(reading, name)


def _hex_digest(name: str) -> bytes | None:
    try:
        return decode_hex("0x" + name.removeprefix("0x").lower(), 32)
    except Malformed:
        return None


async def _by_row(reading: Transaction, name: str) -> CredentialRecord:
    found: list[CredentialRecord] = []
    after = ""
    while page := await reading.credentials.page(after=after):
        after = page[-1].intent.credential_id
        found += [
            record
            for record in page
            if name in (_row(record), f"{record.intent.cohort}/{_row(record)}", record.intent.row_key)
        ]
    if not found:
        raise NotFound(f"no credential {name}: give its id, its digest or its row's id")
    if len(found) > 1:
        cohorts = ", ".join(sorted(f"{record.intent.cohort}/{_row(record)}" for record in found))
        raise NotFound(f"{name} is in several cohorts: {cohorts}")
    return found[0]


def _row(record: CredentialRecord) -> str:
    return record.intent.row_key.removeprefix("id:")
