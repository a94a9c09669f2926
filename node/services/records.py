"""What a Comprehensive Learner Record holds: credentials that were signed here before, for the same learner.

They go in as a verifier can be shown them: of a base proof all that its holder could show. 1EdTech's schema of a
record wants credentials with embedded proofs, so tokens do not go in; nor does what bbs-2023 secures, whose uses a
record would link.
"""

from __future__ import annotations

from dataclasses import replace

from node.core.errors import Malformed, NotFound
from node.core.securing import BBS, TOKENS
from node.core.strict_json import JsonObject
from node.services.cohort import Cohort, PreparedRow
from node.services.derivation import derive_all, is_base
from node.services.faults import Fault, InputFaults
from node.services.issuer import Issuer
from node.services.lookup import find_row
from node.services.securing import read_issued, securing_of
from node.storage.protocols.credentials import CredentialRecord
from node.storage.protocols.store import Transaction


async def with_held(issuer: Issuer, cohort: Cohort) -> Cohort:
    """The cohort with what its learner records hold; InputFaults where something is not there or another's."""
    if cohort.template.records is None:
        return cohort
    faults, rows = [], []
    async with issuer.store.reading() as reading:
        for row in cohort.rows:
            held: dict[str, JsonObject] = {}
            for name in row.names:
                try:
                    record = await _named(reading, name)
                    if record.intent.credential_id in held:
                        raise Malformed("it is listed twice, by its id and by its row")
                    held[record.intent.credential_id] = _held(issuer, record, row)
                except (Malformed, NotFound) as error:
                    detail, column = f"{name}: {error.detail}", cohort.template.records
                    faults.append(Fault("cohort", detail, row=row.number, column=column))
            rows.append(replace(row, held=tuple(held.values())))
    if faults:
        raise InputFaults(faults)
    return replace(cohort, rows=tuple(rows))


async def _named(reading: Transaction, name: str) -> CredentialRecord:
    record = await reading.credentials.load(name) or await find_row(reading, name)
    if record is None or record.signed is None:
        raise NotFound("no credential of this id or COHORT/ROW was signed here")
    return record


def _held(issuer: Issuer, record: CredentialRecord, row: PreparedRow) -> JsonObject:
    assert record.signed is not None  # noqa: S101 - it was looked for among these
    if row.subject_did is None or record.signed.subject_did != row.subject_did:
        # Unclaimed, nobody knows yet whose record it will be.
        raise Malformed("it is not known to be the same learner's: both need the same subject_did")
    issued = read_issued(record.signed.document)
    if (securing := securing_of(issued)) in (BBS, *TOKENS):
        raise Malformed(f"what is secured by {securing} does not go into a record")
    if is_base(issued.document):
        return derive_all(issued.document, issuer.standards.canonicalizer)
    return issued.document
