"""The outbox at work: each call to the chain from prepared to final, across crashes and replacements.

    prepared  no nonce yet. Gas is estimated; then nonce and signed bytes are stored in one transaction.
    signed    stored, perhaps sent. The bytes are sent; an endpoint that has them already says so quietly.
    sent      waits for a block. After a while it is sent again, later replaced with higher fees, same nonce.
    included  in a block that may still go. Asked for again at every step; gone: sent.
    final     at or before the finalized block, and what it was to bring about stands there.
    parked    set aside with its fault: refused by the contract, or its nonce was used up by somebody else.

Every step is one database transaction that looks at the entry again first, so two processes on one database (a
server and a command) may both advance it: what one has done the other finds done. A crash between two steps
repeats the second; what is broadcast twice is one transaction, for its nonce is the same.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol

from node.chain.transactions import Call, Inclusion, Transactions, raised
from node.core.encoding import encode_hex
from node.core.errors import Malformed, Misconfigured, Unavailable
from node.core.evm.header import Header
from node.core.evm.rlp import decode_integer, decode_list
from node.outbound.chain import Fees, Reverted, TransactionRefused
from node.services.issuer import Issuer, address_of
from node.storage.base import Attempt, KeyRole, OutboxEntry, Transaction, TransactionState

State = TransactionState

# Endpoints forget what waits in their pools, and nobody tells.
_RESEND_AFTER: Final = timedelta(seconds=15)
_REPLACE_AFTER: Final = timedelta(seconds=120)
# Between the estimate and the block others may write to slots that the call reads.
_GAS_MARGIN_PERCENT: Final = 125
_LIMIT: Final = 1000


class Effects(Protocol):
    """What the calls of the outbox are for: asked when one comes to its end."""

    async def stands(self, entry: OutboxEntry, finalized: Header) -> bool:
        """Whether the chain shows at the finalized block what the entry was to bring about."""
        ...

    async def settle(self, transaction: Transaction, entry: OutboxEntry) -> None:
        """Record in the same transaction what follows from the entry being final."""
        ...


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not move, and why; for people. `entry_id` is that of the outbox, where it is of it."""

    entry_id: int | None
    purpose: str
    detail: str


class Dispatcher:
    """Advances all entries of one issuer's outbox, a step of each state at a time."""

    def __init__(self, issuer: Issuer, effects: Effects) -> None:
        self._issuer = issuer
        self._store = issuer.store
        self._client = issuer.require_chain().client
        self._transactions = Transactions(self._client)
        self._effects = effects
        self._canonical: dict[int, bytes] = {}
        self._fees: Fees | None = None
        self.fault: Misconfigured | None = None
        """Why the calls of one sender could not be signed at the last step, such as a key that is kept elsewhere."""

    async def advance(self, finalized: Header) -> list[Trouble]:
        """Take every entry as far as it goes now; what stands in the way of those that do not move."""
        self._canonical.clear()
        self._fees = self.fault = None
        async with self._store.reading() as reading:
            entries = await reading.outbox.unfinished(limit=_LIMIT)
        troubles: list[Trouble] = []
        blocked: set[bytes] = set()
        for entry in entries:
            if entry.state is State.PREPARED and entry.sender in blocked:
                continue  # nonces are given in the order in which calls were asked for
            try:
                trouble = await self._advance(entry, finalized)
            except Misconfigured as error:
                # The owner's key may be off this machine: the writer's calls go on.
                self.fault = self.fault or error
                blocked.add(entry.sender)
                continue
            if trouble is not None:
                troubles.append(trouble)
                blocked.add(entry.sender)
        return troubles

    async def _advance(self, entry: OutboxEntry, finalized: Header) -> Trouble | None:
        """Step after step until the entry waits for the chain."""
        try:
            while True:
                before = entry.state
                entry = await self._step(entry, finalized)
                if entry.state in (before, State.FINAL, State.PARKED):
                    break
        except TransactionRefused as error:
            return Trouble(entry.id, entry.purpose, self._refusal(entry, error))
        fault = entry.fault if entry.state is State.PARKED else None
        return None if fault is None else Trouble(entry.id, entry.purpose, fault)

    def _refusal(self, entry: OutboxEntry, error: TransactionRefused) -> str:
        if error.code == "insufficient_funds":
            return f"{encode_hex(entry.sender)} has too little ether for fees"
        return error.detail

    async def _step(self, entry: OutboxEntry, finalized: Header) -> OutboxEntry:
        match entry.state:
            case State.PREPARED:
                return await self._sign(entry)
            case State.SIGNED:
                return await self._send(entry)
            case State.SENT:
                return await self._look_for(entry, finalized)
            case State.INCLUDED:
                return await self._follow(entry, finalized)
            case State.FINAL | State.PARKED:
                return entry

    # --- prepared

    async def _sign(self, entry: OutboxEntry) -> OutboxEntry:
        call = Call(entry.to or bytes(20), entry.data, entry.purpose)
        secret = await self._secret_of(entry.sender)
        try:
            estimate = await self._client.estimate_gas(entry.sender, call.to, call.data)
        except Reverted as error:
            return await self._park(
                entry, f"the contract would refuse it: {error.reason or 'no reason given'}"
            )
        except Unavailable as error:
            # Some endpoints answer with an error of their own where the sender cannot pay.
            if not await self._client.balance(entry.sender):
                raise TransactionRefused(error.detail, code="insufficient_funds") from error
            raise
        fees = await self._current_fees()
        count = await self._client.nonce(entry.sender)
        await self._client.chain_id()  # asked once and kept, so that the transaction below waits for nobody
        async with self._entry(entry, State.PREPARED) as (transaction, now_at):
            if now_at is not None:
                return now_at
            nonce = await transaction.outbox.assign_nonce(entry.id, count)
            signed = await self._transactions.sign(
                call, secret, nonce=nonce, fees=fees, gas_limit=estimate * _GAS_MARGIN_PERCENT // 100
            )
            await transaction.outbox.record_attempt(entry.id, signed.hash, signed.raw, self._issuer.clock())
            return await _known(transaction, entry.id)

    async def _current_fees(self) -> Fees:
        if self._fees is None:
            self._fees = await self._client.fees()
        return self._fees

    async def _secret_of(self, sender: bytes) -> bytes:
        async with self._store.reading() as reading:
            keys = [*await reading.keys.all(KeyRole.OWNER), *await reading.keys.all(KeyRole.WRITER)]
        for key in keys:
            if address_of(key) == sender:
                return self._issuer.keyring.secret(key.uri)
        raise Misconfigured(f"no key of this issuer has the address {encode_hex(sender)}")

    # --- signed

    async def _send(self, entry: OutboxEntry) -> OutboxEntry:
        attempts = await self._attempts(entry)
        try:
            await self._transactions.broadcast(attempts[-1].raw)
        except TransactionRefused as error:
            if error.code == "nonce_too_low":
                # Used up: by an earlier attempt of ours, or by somebody else with the same key.
                return await self._mark_sent(entry)
            if error.code == "underpriced":
                return await self._replace(entry, attempts[-1])
            raise
        return await self._mark_sent(entry)

    async def _mark_sent(self, entry: OutboxEntry) -> OutboxEntry:
        async with self._entry(entry, State.SIGNED, State.SENT) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.mark_sent(entry.id, self._issuer.clock())
            return await _known(transaction, entry.id)

    async def _replace(self, entry: OutboxEntry, latest: Attempt) -> OutboxEntry:
        """The same call and nonce with higher fees."""
        fees, gas_limit = _terms_of(latest.raw)
        offered, current = raised(fees), await self._current_fees()
        better = Fees(
            max(offered.max_fee_per_gas, current.max_fee_per_gas),
            max(offered.max_priority_fee_per_gas, current.max_priority_fee_per_gas),
        )
        signed = await self._transactions.sign(
            Call(entry.to or bytes(20), entry.data, entry.purpose),
            await self._secret_of(entry.sender),
            nonce=latest.nonce,
            fees=better,
            gas_limit=gas_limit,
        )
        async with self._entry(entry, State.SIGNED, State.SENT) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.record_attempt(entry.id, signed.hash, signed.raw, self._issuer.clock())
        await self._transactions.broadcast(signed.raw)
        return await self._mark_sent(entry)

    # --- sent

    async def _look_for(self, entry: OutboxEntry, finalized: Header) -> OutboxEntry:
        attempts = await self._attempts(entry)
        found = await self._find(attempts)
        if found is not None:
            return await self._include(entry, *found)
        if attempts[-1].nonce < await self._client.nonce(entry.sender, finalized.hash):
            # Looked for once more: it may have come into a block between the two questions.
            if (found := await self._find(attempts)) is not None:
                return await self._include(entry, *found)
            return await self._park(entry, "its nonce was used by a transaction of somebody else", spent=True)
        waited = self._issuer.clock() - attempts[-1].signed_at
        if waited > _REPLACE_AFTER:
            return await self._replace(entry, attempts[-1])
        if self._issuer.clock() - entry.changed_at > _RESEND_AFTER:
            return await self._send(entry)
        return entry

    async def _find(self, attempts: tuple[Attempt, ...]) -> tuple[Attempt, Inclusion] | None:
        for attempt in reversed(attempts):
            inclusion = await self._transactions.inclusion(attempt.transaction_hash)
            if inclusion is not None:
                return attempt, inclusion
        return None

    async def _include(self, entry: OutboxEntry, attempt: Attempt, inclusion: Inclusion) -> OutboxEntry:
        async with self._entry(entry, entry.state) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.mark_included(
                entry.id,
                attempt.transaction_hash,
                inclusion.block_number,
                inclusion.block_hash,
                self._issuer.clock(),
            )
            return await _known(transaction, entry.id)

    # --- included

    async def _follow(self, entry: OutboxEntry, finalized: Header) -> OutboxEntry:
        found = await self._find(await self._attempts(entry))
        if found is None:
            return await self._reorganised(entry)
        attempt, inclusion = found
        if (inclusion.block_number, inclusion.block_hash) != (entry.block_number, entry.block_hash):
            return await self._include(entry, attempt, inclusion)
        if not await self._is_final(inclusion, finalized):
            return entry
        if not inclusion.succeeded:
            fault = f"the contract refused it in block {inclusion.block_number}"
            return await self._park(entry, fault, spent=True)
        if not await self._effects.stands(entry, finalized):
            return entry
        async with self._entry(entry, State.INCLUDED) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.mark_final(entry.id, self._issuer.clock())
            entry = await _known(transaction, entry.id)
            await self._effects.settle(transaction, entry)
            return entry

    async def _reorganised(self, entry: OutboxEntry) -> OutboxEntry:
        async with self._entry(entry, State.INCLUDED) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.mark_reorganised(entry.id, self._issuer.clock())
            return await _known(transaction, entry.id)

    async def _is_final(self, inclusion: Inclusion, finalized: Header) -> bool:
        """Whether its block is an ancestor of the finalized one, by the endpoint's own word."""
        if inclusion.block_number > finalized.number:
            return False
        return await self._canonical_hash(inclusion.block_number, finalized) == inclusion.block_hash

    async def _canonical_hash(self, number: int, finalized: Header) -> bytes:
        if number == finalized.number:
            return finalized.hash
        if number not in self._canonical:
            self._canonical[number] = (await self._client.header(number)).hash
        return self._canonical[number]

    # --- all

    async def _park(self, entry: OutboxEntry, fault: str, *, spent: bool = False) -> OutboxEntry:
        async with self._entry(entry, entry.state) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.park(entry.id, fault, self._issuer.clock(), nonce_spent=spent)
            return await _known(transaction, entry.id)

    async def _attempts(self, entry: OutboxEntry) -> tuple[Attempt, ...]:
        async with self._store.reading() as reading:
            return await reading.outbox.attempts(entry.id)

    @asynccontextmanager
    async def _entry(
        self, entry: OutboxEntry, *expected: TransactionState
    ) -> AsyncIterator[tuple[Transaction, OutboxEntry | None]]:
        """A writing transaction, and the entry as another process left it, None where it is as expected."""
        async with self._store.transaction() as transaction:
            current = await _known(transaction, entry.id)
            as_expected = current.state in expected and current.block_hash == entry.block_hash
            yield transaction, None if as_expected else current


async def _known(transaction: Transaction, entry_id: int) -> OutboxEntry:
    entry = await transaction.outbox.load(entry_id)
    if entry is None:
        raise Misconfigured(f"transaction {entry_id} is gone from the outbox")
    return entry


def _terms_of(raw: bytes) -> tuple[Fees, int]:
    """Fees and gas limit of a signed EIP-1559 transaction."""
    items = decode_list(raw[1:])
    if raw[:1] != b"\x02" or len(items) < 5:
        raise Malformed("not a signed transaction of type 2")
    tip, most, gas = (decode_integer(item, 32) for item in items[2:5])
    return Fees(max_fee_per_gas=most, max_priority_fee_per_gas=tip), gas
