"""Renewing what bbs-2023 secures: it has no status entry and lives four weeks at most, so it is issued again in time.

    successor   of a credential, at most one, in the same cohort under the row key `next:` and its id. It is intended
                when the credential is in its last week, and signed like any other: at once where its holder is known.
    ended       a successor that is withdrawn: what was "revoked" is not renewed, and so is over within four weeks.

Who calls twice, or is killed between, intends and signs each successor once. Its holder gets it under the access token
of the first, for as long as that lives, and by a new offer after. Where the issuer has a chain each week has a key of
its own (FORMATS.md section 3), which is asked for here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final

from node.core.canonical.jcs import canonicalize
from node.core.dataintegrity import proofs_of, unsecured
from node.core.dataintegrity.bbs_2023 import parse_base_proof
from node.core.dataintegrity.bbs_terms import epoch_of
from node.core.errors import Conflict
from node.core.keys import KeyKind, parse_multikey
from node.core.securing import BBS
from node.core.strict_json import parse_json_object
from node.core.times import parse_datetime_stamp
from node.services import issuance
from node.services.issuance import Issued
from node.services.issuer import Issuer
from node.services.preparing import Prepared
from node.storage.protocols.credentials import CredentialRecord, CredentialState, Intent, SignedCredential
from node.storage.protocols.issuer import IssuerKey, KeyRole
from node.storage.protocols.store import Transaction

AddKey = Callable[[], Awaitable[object]]
"""Asks for a new BLS12-381 key in the place of the newest; while one is on its way, for no other."""

_BEFORE: Final = timedelta(weeks=1)
_PREFIX: Final = "next:"
# More than anybody renews in a life.
_MAX_CHAIN: Final = 5000


async def needs_key(issuer: Issuer) -> bool:
    """Whether there is something to renew, and the newest BLS12-381 key is of an earlier week."""
    return issuer.on_chain and bool(await _due(issuer)) and not await _has_key_of_epoch(issuer)


async def count_due(issuer: Issuer) -> int:
    """How many credentials are to be renewed now."""
    return len(await _due(issuer))


async def renew(issuer: Issuer) -> list[Issued]:
    """Issue again what runs out within a week; the successors. Conflict where the chain has no key of this week yet."""
    due = await _due(issuer)
    if due and issuer.on_chain and not await _has_key_of_epoch(issuer):
        raise Conflict("the BLS12-381 key is of an earlier week: `issuer key rotate --kind BLS12-381`")
    for part in issuance.chunks(due):
        async with issuer.store.transaction() as transaction:
            # Somebody else may renew at this moment: what has a successor by now is passed over.
            fresh = [record for record in part if await _successor(transaction, record) is None]
            await transaction.credentials.intend([_intent(issuer, record) for record in fresh])
    for cohort in dict.fromkeys(record.intent.cohort for record in due):
        await issuance.sign_intended(issuer, cohort)
    return [await _issued(issuer, record) for record in due]


async def renew_in_time(issuer: Issuer, add_key: AddKey | None = None) -> int:
    """What a server does again and again: ask for the key of the week where one is wanted, and renew when it stands.

    How many were renewed. Conflict where a key is wanted and nobody is here who can make one.
    """
    if add_key is not None and await needs_key(issuer):
        await add_key()
        return 0
    return len(await renew(issuer))


async def renewed(issuer: Issuer) -> list[Issued]:
    """The successors that are valid and not renewed themselves: those whose holders may want a link."""
    now, found = issuer.clock(), []
    async with issuer.store.reading() as reading:
        async for record in _signed(reading):
            assert record.signed is not None  # noqa: S101 - its state says so
            is_successor = record.intent.row_key.startswith(_PREFIX)
            if is_successor and _until(record.signed) > now and await newest(reading, record) is record:
                found.append(await _told(reading, record))
    return found


async def newest(reading: Transaction, record: CredentialRecord) -> CredentialRecord:
    """The last of a credential's successors that is signed; itself where there is none."""
    found = record
    for _ in range(_MAX_CHAIN):
        successor = await _successor(reading, found)
        if successor is None or successor.signed is None:
            break
        found = successor
    return found


async def end(issuer: Issuer, transaction: Transaction, record: CredentialRecord) -> datetime:
    """See to it that a credential is renewed no more; the end of what of it is still valid."""
    last = await newest(transaction, record)
    successor = await _successor(transaction, last)
    if successor is None:
        await transaction.credentials.intend([_intent(issuer, last)])
        successor = await _successor(transaction, last)
    assert successor is not None  # noqa: S101 - it was intended a line above
    if successor.state is not CredentialState.WITHDRAWN:
        await transaction.credentials.withdraw(successor.intent.credential_id)
        for offer in await transaction.offers.of_credential(successor.intent.credential_id):
            await transaction.offers.withdraw(offer.id)
    assert last.signed is not None  # noqa: S101 - the newest is signed
    return _until(last.signed)


def is_renewed(signed: SignedCredential) -> bool:
    """Whether it is secured by bbs-2023, and so renewed."""
    return parse_multikey(signed.key_multibase).kind is KeyKind.BLS12381_G2


async def _due(issuer: Issuer) -> list[CredentialRecord]:
    """What is in its last week, or over, and was neither renewed nor ended."""
    now = issuer.clock()
    found: list[CredentialRecord] = []
    async with issuer.store.reading() as reading:
        async for record in _signed(reading):
            assert record.signed is not None  # noqa: S101 - its state says so
            if _runs_out(record.signed, now):
                successor = await _successor(reading, record)
                if successor is None or successor.state is CredentialState.INTENDED:
                    found.append(record)
    return found


async def _signed(reading: Transaction) -> AsyncIterator[CredentialRecord]:
    """All that is secured by bbs-2023."""
    keys, after = [key.multibase for key in await _keys(reading)], ""
    while keys and (page := await reading.credentials.page(after=after, state=CredentialState.SIGNED)):
        after = page[-1].intent.credential_id
        for record in page:
            if record.signed is not None and record.signed.key_multibase in keys:
                yield record


async def _keys(reading: Transaction) -> Sequence[IssuerKey]:
    keys = await reading.keys.all(KeyRole.ASSERTION)
    return [key for key in keys if parse_multikey(key.multibase).kind is KeyKind.BLS12381_G2]


async def _has_key_of_epoch(issuer: Issuer) -> bool:
    async with issuer.store.reading() as reading:
        key = await issuer.active_key(reading, {KeyKind.BLS12381_G2})
    return issuance.is_of_epoch(key, issuer.clock())


async def _successor(reading: Transaction, record: CredentialRecord) -> CredentialRecord | None:
    key = _PREFIX + record.intent.credential_id
    known = await reading.credentials.known_rows(record.intent.cohort, [key])
    return await reading.credentials.load(known[key].credential_id) if key in known else None


def _runs_out(signed: SignedCredential, now: datetime) -> bool:
    """Whether it is in its last week or over, and one of this week would end later."""
    begins = parse_datetime_stamp(parse_json_object(signed.document)["validFrom"])
    return _until(signed) <= now + _BEFORE and begins < epoch_of(now)


def _until(signed: SignedCredential) -> datetime:
    return parse_datetime_stamp(parse_json_object(signed.document)["validUntil"])


def _intent(issuer: Issuer, record: CredentialRecord) -> Intent:
    """The same credential, to be dated and signed anew."""
    assert record.signed is not None  # noqa: S101 - only what is signed is renewed
    document = parse_json_object(record.signed.document)
    base = parse_base_proof(proofs_of(document)[0])
    credential = unsecured(document)
    begin, end = (parse_datetime_stamp(credential.pop(name)) for name in ("validFrom", "validUntil"))
    prepared = Prepared(credential, BBS, (end - begin).days, base.mandatory_pointers)
    if record.intent.body:
        # Over the same commitment, so that its holder goes on under the same pseudonyms.
        before = Prepared.of(record.intent)
        prepared = replace(prepared, binding=before.binding, committed=before.committed)
    return Intent(
        credential_id=issuance.new_id(),
        cohort=record.intent.cohort,
        row_key=_PREFIX + record.intent.credential_id,
        content_digest=sha256(canonicalize(credential)).digest(),
        body=prepared.to_bytes(),
        subject_did=record.signed.subject_did,
        state=CredentialState.INTENDED,
        evidence_size=0,
        evidence_root=None,
        created_at=issuer.clock(),
    )


async def _issued(issuer: Issuer, record: CredentialRecord) -> Issued:
    async with issuer.store.reading() as reading:
        successor = await _successor(reading, record)
        assert successor is not None  # noqa: S101 - it was made by this run, or another at the same time
        return await _told(reading, successor)


async def _told(reading: Transaction, record: CredentialRecord) -> Issued:
    """What became of a row, by its newest credential."""
    signed = record.signed
    return Issued(
        await _row_of(reading, record),
        record.intent.credential_id,
        record.state,
        None if signed is None else signed.digest,
        None if signed is None else signed.subject_did,
    )


async def _row_of(reading: Transaction, record: CredentialRecord) -> str:
    """The row of the cohort that the first of its line was issued for."""
    for _ in range(_MAX_CHAIN):
        before = None
        if record.intent.row_key.startswith(_PREFIX):
            before = await reading.credentials.load(record.intent.row_key.removeprefix(_PREFIX))
        if before is None:
            break
        record = before
    return record.intent.row_key.removeprefix("id:")
