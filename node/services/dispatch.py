"""The outbox at work: each call to one chain from prepared to final, across crashes, replacements and reorganisations.

    prepared  no nonce yet. Gas is estimated; then nonce and signed bytes are stored in one transaction.
    signed    stored, perhaps sent. The bytes are sent; an endpoint that has them already says so quietly.
    sent      waits for a block. After a while it is sent again, later replaced with an eighth more of both fees.
    included  in a block that may still go. Asked for again at every step; gone: signed, and sent again.
    final     what it was to bring about is proven at the finalized block, or its block is final where no slot tells.
    parked    set aside with its fault: refused by the contract, or dearer than the operator allows. Looked for all
              the same: what waits in pools may still come into a block.

First of all the chain is asked what stands there: a call whose effect is proven is final, whatever is remembered of
it, but for a nonce that it owes (later calls would wait for it for ever). A nonce that a foreign transaction used up
is given back, and the call is signed with another; the old bytes can then never come into a block.

For a writer that was replaced (`succession.py`) nothing is signed or sent any more: its key may be lost, or in other
hands. What it sent may still come into a block while it has its role, and then counts like any other. Once the
finalized block shows that the role has ended, that block shows all that the key ever did: what it lacks the next writer
signs anew, in the order in which it was asked for.

Every step is one database transaction that looks at the entry again first, so that any number of processes on one
database may advance it: what one has done the others find done. A crash between two steps repeats the second; what is
broadcast twice is one transaction, for its nonce is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from node.chain.transactions import (
    Call,
    CredentialRegistryCalls,
    Inclusion,
    Transactions,
    raised,
    with_margin,
)
from node.core.encoding import encode_hex
from node.core.errors import Malformed, Misconfigured, Unavailable
from node.core.evm.header import Header
from node.core.evm.rlp import decode_integer, decode_list
from node.outbound.chain import Fees, GasPrice, Reverted, TransactionRefused
from node.services.effects import Effect, effect_of
from node.services.issuer import ChainAccess, Issuer, address_of, in_gwei
from node.services.writers import former_writers, has_ended
from node.storage.protocols.issuer import IssuerKey, KeyRole
from node.storage.protocols.outbox import OWN_CHAIN, Attempt, OutboxEntry, Spent, TransactionState
from node.storage.protocols.store import Transaction

State = TransactionState

# Endpoints forget what waits in their pools, and nobody tells.
_RESEND_AFTER: Final = timedelta(seconds=15)
_REPLACE_AFTER: Final = timedelta(seconds=120)
# Two programs that hold one key and use up each other's nonces would go on for ever.
_MAX_NONCES: Final = 5
_AT_ONCE: Final = 1000

OnFinal = Callable[[Transaction, OutboxEntry], Awaitable[None]]
"""Records, in the same transaction, what follows from an entry being final."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that does not move, and why; for people. `entry_id` is that of the outbox, where it is of it."""

    entry_id: int | None
    purpose: str
    detail: str
    is_set_aside: bool = False
    """Whether nothing goes on until a person mends it."""


class _Waits(Exception):
    """An entry cannot go on now; its text says why."""


class Dispatcher:
    """Advances all entries of one issuer's outbox for one chain, a step of each state at a time."""

    def __init__(self, issuer: Issuer, chain: ChainAccess, on_final: OnFinal, name: str = OWN_CHAIN) -> None:
        self._issuer = issuer
        self._store = issuer.store
        self._chain = chain
        self._name = name
        self._client = chain.client
        self._calls = CredentialRegistryCalls(chain.network.credential_registry)
        self._transactions = Transactions(chain.client)
        self._on_final = on_final
        self._seen = _Seen(chain)
        self._former: Mapping[bytes, IssuerKey] = {}
        self._canonical: dict[int, bytes] = {}
        self._price: GasPrice | None = None
        self.fault: Misconfigured | None = None
        """Why the calls of one sender could not be signed at the last step, such as a key that is kept elsewhere."""

    async def advance(self, finalized: Header, purpose: str | None = None) -> list[Trouble]:
        """Take every entry, or those of one purpose, as far as it goes now; what stands in the way of those that do
        not move.
        """
        self._canonical.clear()
        self._price = self.fault = None
        async with self._store.reading() as reading:
            entries = [
                *await reading.outbox.in_state(State.PARKED, _AT_ONCE, self._name),
                *await reading.outbox.unfinished(limit=_AT_ONCE, chain=self._name),
            ]
        entries = [entry for entry in entries if purpose in (None, entry.purpose)]
        effects = {entry.id: effect_of(self._calls, entry) for entry in entries}
        await self._seen.look(finalized, [effect for effect in effects.values() if effect is not None])
        entries, troubles = await self._inherited(entries, effects)
        blocked: set[bytes] = set()
        for entry in entries:
            if (
                entry.state is State.PREPARED
                and entry.sender in blocked
                and not self._shows(effects[entry.id])
            ):
                continue  # nonces are given in the order in which calls were asked for
            try:
                now_at, trouble = await self._advance(entry, effects[entry.id])
            except Misconfigured as error:
                # The owner's key may be off this machine: the writer's calls go on.
                self.fault = self.fault or error
                blocked.add(entry.sender)
                continue
            if trouble is not None:
                set_aside = now_at.state is State.PARKED
                troubles.append(Trouble(entry.id, entry.purpose, trouble, set_aside))
                if now_at.state is not State.PARKED or now_at.nonce is not None:
                    blocked.add(entry.sender)  # later calls would wait in pools for the nonce that it has
        return troubles

    async def _inherited(
        self, entries: Sequence[OutboxEntry], effects: Mapping[int, Effect | None]
    ) -> tuple[list[OutboxEntry], list[Trouble]]:
        """The entries that go the ordinary way: those of former writers once they are the present one's."""
        async with self._store.reading() as reading:
            self._former = {address_of(key): key for key in await former_writers(reading)}
            heir = await reading.keys.active(KeyRole.WRITER)
        senders = {entry.sender for entry in entries} & self._former.keys()
        heirs = {sender: heir if await self._is_out(sender) else None for sender in senders}
        kept: list[OutboxEntry] = []
        troubles: list[Trouble] = []
        for entry in entries:
            if entry.sender in heirs:
                try:
                    now_at = await self._inherit(entry, effects[entry.id], heirs[entry.sender])
                except _Waits as wait:
                    troubles.append(Trouble(entry.id, entry.purpose, str(wait)))
                    continue
                if now_at.sender not in heirs:
                    kept.append(now_at)
            else:
                kept.append(entry)
        return kept, troubles

    async def _is_out(self, former: bytes) -> bool:
        """Whether the finalized block shows that a former writer's roles have ended."""
        return await has_ended(self._issuer, self._former[former], self._seen.header, self._chain)

    async def _inherit(
        self, entry: OutboxEntry, effect: Effect | None, heir: IssuerKey | None
    ) -> OutboxEntry:
        """An entry of a former writer: final if it did its work, else the heir's; without one as it is."""
        if effect is not None and self._shows(effect):
            return await self._take_as_found(entry, effect)
        if heir is None:
            return entry
        if entry.state is not State.PREPARED:
            found = await self._find(await self._attempts(entry))
            if found is not None and found[1].succeeded:
                # Undone since, or of a kind that no slot tells of.
                entry = await self._include(entry, *found)
                return await self._follow(entry, effect) if entry.state is State.INCLUDED else entry
        async with self._entry(entry, entry.state) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.reassign(entry.id, address_of(heir), self._issuer.clock())
            return await _known(transaction, entry.id)

    def _shows(self, effect: Effect | None) -> bool:
        """Whether the finalized block shows what a call was to bring about."""
        return effect is not None and effect.holds(self._seen.values)

    async def _advance(self, entry: OutboxEntry, effect: Effect | None) -> tuple[OutboxEntry, str | None]:
        """Step after step until the entry waits for the chain, or for what is told."""
        try:
            if effect is not None and self._shows(effect):
                entry = await self._take_as_found(entry, effect)
            # Each state once at most: an endpoint that contradicts itself must not turn it round for ever.
            for _ in State:
                before = entry.state
                entry = await self._step(entry, effect)
                if entry.state in (before, State.FINAL, State.PARKED):
                    break
        except _Waits as wait:
            return entry, str(wait)
        except TransactionRefused as error:
            return entry, self._refusal(entry, error)
        return entry, entry.fault if entry.state is State.PARKED else None

    def _refusal(self, entry: OutboxEntry, error: TransactionRefused) -> str:
        if error.code == "insufficient_funds":
            return f"{encode_hex(entry.sender)} has too little ether for fees on {self._chain.network.chain}"
        return error.detail

    async def _step(self, entry: OutboxEntry, effect: Effect | None) -> OutboxEntry:
        match entry.state:
            case State.PREPARED:
                return await self._sign(entry, effect)
            case State.SIGNED:
                return await self._send(entry)
            case State.SENT:
                return await self._look_for(entry, effect)
            case State.INCLUDED:
                return await self._follow(entry, effect)
            case State.PARKED:
                return await self._look_for_parked(entry, effect)
            case State.FINAL:
                return entry

    # --- what stands already

    async def _take_as_found(self, entry: OutboxEntry, effect: Effect) -> OutboxEntry:
        """FINAL where no nonce is owed; else the entry as it is, whose bytes are sent like any others."""
        if entry.sender not in self._former and not await self._is_spent(entry):
            return entry
        found = None
        if entry.state is not State.INCLUDED and entry.nonce is not None:
            found = await self._find(await self._attempts(entry))  # for its cost
        async with self._entry(entry, entry.state) as (transaction, now_at):
            if now_at is not None:
                return now_at
            if found is not None and found[1].succeeded:
                await self._record_inclusion(transaction, entry, *found)
            block = effect.block(self._seen.values)
            await transaction.outbox.mark_found(entry.id, block, self._issuer.clock())
            return await self._finish(transaction, entry)

    async def _finish(self, transaction: Transaction, entry: OutboxEntry) -> OutboxEntry:
        entry = await _known(transaction, entry.id)
        await self._on_final(transaction, entry)
        return entry

    async def _is_spent(self, entry: OutboxEntry) -> bool:
        """Whether the entry owes no nonce: its own, if it has one, is used up at the finalized block by whatever
        transaction.
        """
        return entry.nonce is None or entry.nonce < await self._seen.nonce(entry.sender)

    # --- prepared

    async def _sign(self, entry: OutboxEntry, effect: Effect | None) -> OutboxEntry:
        if effect is not None and await self._stands_lately(effect):
            return entry  # sent and forgotten, as by a restored database: it has to become final
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
        fees = await self._affordable_fees()
        # Proven, though at an older block: too high a number would leave a gap that nothing fills.
        count = await self._seen.nonce(entry.sender)
        await self._client.chain_id()  # asked once and kept, so that the transaction below waits for nobody
        async with self._entry(entry, State.PREPARED) as (transaction, now_at):
            if now_at is not None:
                return now_at
            nonce = await transaction.outbox.assign_nonce(entry.id, count)
            signed = await self._transactions.sign(
                call, secret, nonce=nonce, fees=fees, gas_limit=with_margin(estimate)
            )
            await transaction.outbox.record_attempt(entry.id, signed.hash, signed.raw, self._issuer.clock())
            return await _known(transaction, entry.id)

    async def _stands_lately(self, effect: Effect) -> bool:
        """Whether the newest block shows the effect, by the endpoint's word."""
        words = await self._client.storage_words(self._calls.address, effect.slots)
        return effect.holds(dict(zip(effect.slots, words, strict=True)))

    async def _current_price(self) -> GasPrice:
        if self._price is None:
            self._price = await self._client.gas_price()
        return self._price

    async def _affordable_fees(self) -> Fees:
        """The usual fees, up to the operator's limit; _Waits where gas costs more than that now."""
        price, limit = await self._current_price(), self._max_fee
        if price.base_fee >= limit:
            raise _Waits(f"gas costs {in_gwei(price.now)} now, and --max-fee is {in_gwei(limit)}: it waits")
        return _at_most(price.fees, limit)

    @property
    def _max_fee(self) -> int:
        """In wei for each gas."""
        return self._issuer.anchoring.max_fee_per_gas

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
            await self._broadcast(attempts[-1].raw)
        except TransactionRefused as error:
            if error.code == "underpriced" and await self._is_next(attempts[-1], entry):
                return await self._replace(entry, attempts[-1])
            if error.code not in ("nonce_too_low", "underpriced"):
                raise
            # Used up by an earlier attempt of ours, or by somebody else with the same key; or it is not its turn yet.
        return await self._mark_sent(entry)

    async def _broadcast(self, raw: bytes) -> None:
        """Hand the bytes to every endpoint; it is enough that one takes them. Else what the first one says."""
        told = await asyncio.gather(
            *(Transactions(client).broadcast(raw) for client in self._chain.clients), return_exceptions=True
        )
        if all(told):
            raise next(error for error in told if error is not None)

    async def _mark_sent(self, entry: OutboxEntry) -> OutboxEntry:
        async with self._entry(entry, State.SIGNED, State.SENT) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.mark_sent(entry.id, self._issuer.clock())
            return await _known(transaction, entry.id)

    async def _is_next(self, attempt: Attempt, entry: OutboxEntry) -> bool:
        """Whether no earlier call of the sender is what it waits for."""
        return attempt.nonce <= await self._client.nonce(entry.sender)

    async def _replace(self, entry: OutboxEntry, latest: Attempt) -> OutboxEntry:
        """The same call and nonce with an eighth more of both fees at least; parked where that is too much."""
        fees, gas_limit = _terms_of(latest.raw)
        least = raised(fees)
        if least.max_fee_per_gas > self._max_fee:
            offer = f"it offers {in_gwei(fees.max_fee_per_gas)} for gas"
            return await self._park(
                entry, f"{offer} and comes into no block; --max-fee is {in_gwei(self._max_fee)}"
            )
        current = _at_most((await self._current_price()).fees, self._max_fee)
        better = Fees(
            max(least.max_fee_per_gas, current.max_fee_per_gas),
            max(least.max_priority_fee_per_gas, current.max_priority_fee_per_gas),
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
            entry = await _known(transaction, entry.id)
        await self._broadcast(signed.raw)
        return await self._mark_sent(entry)

    # --- sent

    async def _look_for(self, entry: OutboxEntry, effect: Effect | None) -> OutboxEntry:
        attempts = await self._attempts(entry)
        if (found := await self._find(attempts)) is not None:
            return await self._include(entry, *found)
        if await self._is_spent(entry):
            return await self._spent_elsewhere(entry, attempts, effect)
        now = self._issuer.clock()
        if now - entry.changed_at <= _RESEND_AFTER:
            return entry
        if now - attempts[-1].signed_at > _REPLACE_AFTER and await self._is_next(attempts[-1], entry):
            return await self._replace(entry, attempts[-1])
        return await self._send(entry)

    async def _spent_elsewhere(
        self, entry: OutboxEntry, attempts: Sequence[Attempt], effect: Effect | None
    ) -> OutboxEntry:
        """Another nonce for a call whose nonce a foreign transaction used up, for good."""
        # Looked for once more: it may have come into a block between the two questions.
        if (found := await self._find(attempts)) is not None:
            return await self._include(entry, *found)
        if effect is None:
            # No slot shows that it was ours and its receipt withheld: then it would be done twice.
            fault = "its nonce was used by a transaction of somebody else"
            return await self._park(entry, fault, spent=True)
        if len({attempt.nonce for attempt in attempts}) >= _MAX_NONCES:
            fault = (
                f"transactions of somebody else used up its nonce {_MAX_NONCES} times: who else has this key?"
            )
            return await self._park(entry, fault, spent=True)
        async with self._entry(entry, entry.state) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.release_nonce(entry.id, self._issuer.clock())
            return await _known(transaction, entry.id)

    async def _look_for_parked(self, entry: OutboxEntry, effect: Effect | None) -> OutboxEntry:
        attempts = await self._attempts(entry)
        if (found := await self._find(attempts)) is not None and found[1].succeeded:
            return await self._include(entry, *found)
        if entry.nonce is not None and await self._is_spent(entry):
            return await self._spent_elsewhere(entry, attempts, effect)
        return entry

    async def _find(self, attempts: Sequence[Attempt]) -> tuple[Attempt, Inclusion] | None:
        for attempt in reversed(attempts):
            inclusion = await self._transactions.inclusion(attempt.transaction_hash)
            if inclusion is not None:
                return attempt, inclusion
        return None

    async def _include(self, entry: OutboxEntry, attempt: Attempt, inclusion: Inclusion) -> OutboxEntry:
        async with self._entry(entry, entry.state) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await self._record_inclusion(transaction, entry, attempt, inclusion)
            return await _known(transaction, entry.id)

    async def _record_inclusion(
        self, transaction: Transaction, entry: OutboxEntry, attempt: Attempt, inclusion: Inclusion
    ) -> None:
        await transaction.outbox.mark_included(
            entry.id,
            attempt.transaction_hash,
            inclusion.block_number,
            inclusion.block_hash,
            self._issuer.clock(),
            Spent(inclusion.gas_used, inclusion.gas_price),
        )

    # --- included

    async def _follow(self, entry: OutboxEntry, effect: Effect | None) -> OutboxEntry:
        found = await self._find(await self._attempts(entry))
        if found is None:
            return await self._reorganised(entry)
        attempt, inclusion = found
        if (inclusion.block_number, inclusion.block_hash) != (entry.block_number, entry.block_hash):
            return await self._include(entry, attempt, inclusion)
        if not await self._is_final(inclusion):
            return entry
        # What a receipt says of a final block is compared with what is proven of it.
        if not await self._is_spent(entry):
            raise _Waits(
                f"{self._client.host} says it is in a final block, whose state does not have its nonce"
            )
        if not inclusion.succeeded:
            fault = f"the contract refused it in block {inclusion.block_number}"
            return await self._park(entry, fault, spent=True)
        if effect is not None and effect.is_lasting(self._seen.values) and not self._shows(effect):
            raise _Waits(f"{self._client.host} says it is in a final block, whose state does not show it")
        async with self._entry(entry, State.INCLUDED) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.mark_final(entry.id, self._issuer.clock())
            return await self._finish(transaction, entry)

    async def _reorganised(self, entry: OutboxEntry) -> OutboxEntry:
        async with self._entry(entry, State.INCLUDED) as (transaction, now_at):
            if now_at is not None:
                return now_at
            await transaction.outbox.mark_reorganised(entry.id, self._issuer.clock())
            return await _known(transaction, entry.id)

    async def _is_final(self, inclusion: Inclusion) -> bool:
        """Whether its block is an ancestor of the finalized one, by the endpoint's own word."""
        finalized = self._seen.header
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
            as_expected = current.state in expected and _place(current) == _place(entry)
            yield transaction, None if as_expected else current


class _Seen:
    """What is proven of the chain after one block; asked for again only when the block or the question is another."""

    def __init__(self, chain: ChainAccess) -> None:
        self._chain = chain
        self._header: Header | None = None
        self._nonces: dict[bytes, int] = {}
        self._values: dict[bytes, int] = {}

    @property
    def header(self) -> Header:
        assert self._header is not None  # noqa: S101 - `look` comes first
        return self._header

    @property
    def values(self) -> Mapping[bytes, int]:
        return self._values

    async def look(self, header: Header, effects: Sequence[Effect]) -> None:
        if self._header is None or header.hash != self._header.hash:
            self._header = header
            self._nonces.clear()
            self._values.clear()
        slots = dict.fromkeys(slot for effect in effects for slot in effect.slots)
        if missing := [slot for slot in slots if slot not in self._values]:
            self._values |= await self._chain.slots(header, missing)

    async def nonce(self, address: bytes) -> int:
        if address not in self._nonces:
            self._nonces[address] = await self._chain.nonce(self.header, address)
        return self._nonces[address]


def _place(entry: OutboxEntry) -> tuple[bytes, int | None, bytes | None, bytes | None]:
    # The sender too: what was handed on meanwhile has neither nonce nor bytes, as before it was signed.
    return entry.sender, entry.nonce, entry.transaction_hash, entry.block_hash


def _at_most(fees: Fees, limit: int) -> Fees:
    most = min(fees.max_fee_per_gas, limit)
    return Fees(most, min(fees.max_priority_fee_per_gas, most))


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
