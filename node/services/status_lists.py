"""Status lists of the issuer: opened before an index is given out, published as signed list credentials.

FORMATS.md sections 6 and 11. The URL of list n is `<issuer url>/status/<n>`. On a chain the slots decide; the list
credential is for verifiers that do not read the chain. An issuer without a chain has the list credential alone.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from node.core.errors import Conflict, Misconfigured
from node.core.evm.registry import list_id
from node.core.keys import KeyKind
from node.core.securing import USUAL_SUITES
from node.core.status.bitstring import Bitstring
from node.core.status.entry import MESSAGE, REVOCATION, SUSPENSION, StatusEntry
from node.core.status.status_list import build_list_credential
from node.core.strict_json import parse_json_object
from node.services.issuer import Issuer, SigningKey
from node.services.securing import secure
from node.storage.protocols.issuer import IssuerKey
from node.storage.protocols.status_lists import ListCredential, ListMode, StatusList
from node.storage.protocols.store import Transaction

LOG2_ENTRIES: Final = 17
_MODES: Final = {
    REVOCATION: ListMode.OR_ONLY,
    SUSPENSION: ListMode.SETTABLE,
    MESSAGE: ListMode.SETTABLE,
}
# A list credential that is signed again each week ends the reign of a stolen copy; caches may keep it an hour.
_VALID: Final = timedelta(days=14)
_RENEW_BEFORE: Final = timedelta(days=7)
_TTL_MILLISECONDS: Final = 3_600_000
# The store gives out no more than half of a list; the next one is opened before that.
_NEARLY_FULL_PERCENT: Final = 80


async def gives_entries(issuer: Issuer) -> bool:
    """Whether credentials get a status entry unless told otherwise.

    Without a chain only where `init --status` asked for it (FORMATS.md section 11). `issue --status` is for what it
    issues alone: its list, which is read in mode `full` alone, is not for credentials that never asked for one.
    """
    if issuer.on_chain:
        return True
    if issuer.status_by_default is not None:
        return issuer.status_by_default
    async with issuer.store.reading() as reading:
        return any(one.is_open for one in await reading.status_lists.all(REVOCATION))


def size_of(messages: Sequence[str]) -> int:
    """How many bits a status has that says one of these messages; 1 where there are none."""
    return max(1, (len(messages) - 1).bit_length())


async def ensure_list(issuer: Issuer, purpose: str, count: int = 1, size: int = 1) -> bool:
    """See to it that lists of the purpose with room for `count` entries are open or on their way; whether they are open
    now. `size` is in bits per status.
    """
    async with issuer.store.transaction() as transaction:
        lists = await _lists(transaction, purpose, size)
        while all(_nearly_full(one) for one in lists) or sum(map(_room, lists)) < count:
            number = len(await transaction.status_lists.all()) + 1
            await _add(issuer, transaction, purpose, number, size)
            lists = await _lists(transaction, purpose, size)
    return sum(_room(one) for one in lists if one.is_open) >= count


async def _lists(reading: Transaction, purpose: str, size: int) -> list[StatusList]:
    return [one for one in await reading.status_lists.all(purpose) if one.status_size == size]


def _room(status_list: StatusList) -> int:
    """How many more entries the store gives out."""
    return max(0, (1 << status_list.log2_entries) // 2 - status_list.allocated)


def _nearly_full(status_list: StatusList) -> bool:
    usable = (1 << status_list.log2_entries) // 2
    return status_list.allocated * 100 >= usable * _NEARLY_FULL_PERCENT


async def _add(issuer: Issuer, transaction: Transaction, purpose: str, number: int, size: int) -> None:
    url = f"{issuer.settings.url}/status/{number}"
    status_list = StatusList(
        list_id=list_id(purpose, url),
        purpose=purpose,
        url=url,
        mode=_MODES[purpose] if issuer.on_chain else ListMode.PUBLISHED,
        log2_entries=LOG2_ENTRIES,
        status_size=size,
        transaction_id=None,
        opened_block=None,
        is_open=False,
        allocated=0,
        created_at=issuer.clock(),
    )
    if issuer.on_chain:
        from node.services import registration  # noqa: PLC0415 - web3 is not for issuers without a chain

        await registration.open_list(issuer, transaction, status_list)
    else:
        await transaction.status_lists.add(status_list)
        await transaction.status_lists.mark_open(status_list.list_id, None)


async def allocate(
    transaction: Transaction, purpose: str, credential_ids: Sequence[str], messages: tuple[str, ...] = ()
) -> Mapping[str, StatusEntry]:
    """A status entry for each credential, at a random index that was never given before.

    `messages` are what its values say, where the purpose is to say something.
    """
    size = size_of(messages)
    left = list(credential_ids)
    entries: dict[str, StatusEntry] = {}
    for chosen in await _lists(transaction, purpose, size):
        some = left[: _room(chosen)] if chosen.is_open else []
        if some:
            given = await transaction.status_lists.allocate(chosen.list_id, some, _drawing(len(some)))
            entries |= {
                one: StatusEntry(purpose, chosen.url, index, size, messages) for one, index in given.items()
            }
            left = left[len(some) :]
    if left:
        raise Conflict(f"no list of purpose {purpose} is open with room: run `issuer anchor` and try again")
    return entries


def _drawing(count: int) -> Callable[[int], int]:
    """`secrets.randbelow`, asking the system once for many numbers; for powers of two, as lists have."""
    drawn = iter(secrets.token_bytes(8 * count))

    def draw(below: int) -> int:
        number = bytes(itertools.islice(drawn, 8))
        if len(number) < 8 or below & (below - 1):
            return secrets.randbelow(below)
        return int.from_bytes(number, "big") % below

    return draw


async def publish(issuer: Issuer, transaction: Transaction, status_list: StatusList) -> None:
    """Sign the list as it shall be, and serve it from now on; in the transaction that changed it.

    An issuer on a chain all of whose keys have ended (a key was lost, or the identity closed) signs none: bits are
    written all the same, and our verifiers read those.
    """
    if issuer.on_chain and await _active_key(issuer, transaction) is None:
        return
    key = await signing_key(issuer, transaction)
    now = issuer.clock()
    bits = Bitstring(await transaction.status_lists.bitstring(status_list.list_id))
    document = build_list_credential(
        list_url=status_list.url,
        issuer=issuer.settings.did,
        purpose=status_list.purpose,
        bits=bits,
        valid_from=now,
        valid_until=now + _VALID,
        ttl=_TTL_MILLISECONDS,
        size=status_list.status_size,
    )
    secured = secure(issuer, document, key, USUAL_SUITES[key.signer.public_key.kind], now)
    await transaction.status_lists.save_credential(
        status_list.list_id, ListCredential(secured.document, now, now + _VALID)
    )
    if status_list.mode is ListMode.PUBLISHED:
        await transaction.status_lists.mark_published(status_list.list_id)


async def signing_key(issuer: Issuer, transaction: Transaction | None = None) -> SigningKey:
    """The key that signs lists: the newest Ed25519 key, else the newest ECDSA key."""
    if transaction is None:
        async with issuer.store.reading() as reading:
            return await signing_key(issuer, reading)
    return await issuer.signing_key(transaction, await _kinds(issuer, transaction))


async def open_signing_key(issuer: Issuer) -> None:
    """Open the key that signs lists, if one does, where there is time: unsealing takes a fraction of a second."""
    async with issuer.store.reading() as reading:
        if issuer.on_chain and await _active_key(issuer, reading) is None:
            return
        await signing_key(issuer, reading)


async def _active_key(issuer: Issuer, reading: Transaction) -> IssuerKey | None:
    try:
        return await issuer.active_key(reading, await _kinds(issuer, reading))
    except Misconfigured:
        return None


async def _kinds(issuer: Issuer, reading: Transaction) -> Collection[KeyKind]:
    try:
        await issuer.active_key(reading, {KeyKind.ED25519})
    except Misconfigured:
        return USUAL_SUITES.keys()
    return {KeyKind.ED25519}


async def publish_due(issuer: Issuer) -> int:
    """Sign the open lists that have no list credential, an old one, or one by a former key; how many."""
    now = issuer.clock()
    async with issuer.store.reading() as reading:
        key = await _active_key(issuer, reading)
        if key is None:
            return 0
        due = [
            one
            for one in await reading.status_lists.all()
            if one.is_open and await _is_due(reading, one, now + _RENEW_BEFORE, key.verification_method)
        ]
    for status_list in due:
        async with issuer.store.transaction() as transaction:
            await publish(issuer, transaction, status_list)
    return len(due)


async def _is_due(
    reading: Transaction, status_list: StatusList, horizon: datetime, method: str | None
) -> bool:
    known = await reading.status_lists.load_credential(status_list.list_id)
    if known is None or known.valid_until < horizon:
        return True
    return bool(parse_json_object(known.document)["proof"][0]["verificationMethod"] != method)


async def ensure_room(issuer: Issuer) -> None:
    """Open the next list of each purpose in use before the present one is full."""
    async with issuer.store.reading() as reading:
        used = sorted({(one.purpose, one.status_size) for one in await reading.status_lists.all()})
    for purpose, size in used:
        await ensure_list(issuer, purpose, size=size)
