"""Finding a credential by whatever a person has at hand: its id, its digest, or its row in a cohort."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from node.core.encoding import decode_hex
from node.core.errors import Malformed, NotFound
from node.services.issuer import Issuer
from node.services.preparing import Prepared
from node.services.securing import read_issued, securing_of
from node.storage.protocols.credentials import CredentialRecord, CredentialState
from node.storage.protocols.store import Transaction

# Each is a question to the database, and no row's id is written with so many slashes.
_MAX_PARTS: Final = 16
_CHUNK: Final = 500


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


async def find_row(reading: Transaction, name: str) -> CredentialRecord | None:
    """The credential of `COHORT/ROW`, without looking at others; NotFound where several are meant.

    Both may have slashes of their own.
    """
    found = []
    parts = name.split("/")
    for length in range(1, min(len(parts), _MAX_PARTS)):
        cohort, row = "/".join(parts[:-length]), "/".join(parts[-length:])
        known = await reading.credentials.known_rows(cohort, [f"id:{row}"])
        found += [one.credential_id for one in known.values()]
    if len(found) > 1:
        raise NotFound(f"{name} is in several cohorts: give the credential's id")
    return await reading.credentials.load(found[0]) if found else None


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


async def secured_otherwise(
    issuer: Issuer, cohort: str, keys: Sequence[str], securing: str
) -> Mapping[str, int]:
    """How many of these rows were issued under another securing than this one, by its name."""
    counts: Counter[str] = Counter()
    for start in range(0, len(keys), _CHUNK):
        async with issuer.store.reading() as reading:
            known = await reading.credentials.known_rows(cohort, keys[start : start + _CHUNK])
            records = await reading.credentials.load_many([one.credential_id for one in known.values()])
        alive = (one for one in records.values() if one.state is not CredentialState.WITHDRAWN)
        counts.update(map(_securing_of, alive))
    del counts[securing]
    return dict(sorted(counts.items()))


def _securing_of(record: CredentialRecord) -> str:
    if record.signed is None:
        return Prepared.of(record.intent).securing
    return securing_of(read_issued(record.signed.document))


def _row(record: CredentialRecord) -> str:
    return record.intent.row_key.removeprefix("id:")
