"""From signed credentials to a commitment on the chain: the worker that every issuer with a chain runs.

    tick   1  close the open batch: full, or the oldest has waited long enough (`AnchoringTerms`), or asked to
           2  put status words that changed into the outbox
           3  advance the outbox (`dispatch.py`), and that of a second chain (`second_chain.py`)
           4  read back keys, writers and lists at the finalized block (`registration.py`)
           5  go on with a key rotation that was begun (`rotation.py`)
           6  publish list credentials; open the next list before one is full
           7  prove bundles for what became final

All state is in the database; a tick that dies anywhere is simply run again. `issuer anchor` runs ticks until
nothing is left, `issuer serve` one a second in the background. A batch is closed and its call put into the outbox
in one transaction, so a commitment is either promised with all its places or not at all. Sending it twice would do no
harm either: the contract keeps the first.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from node.chain.transactions import CredentialRegistryCalls, WordChange
from node.core.errors import BonafidesError, Unavailable
from node.core.evm.header import Header
from node.services import bundles, costs, registration, rotation, sealing, status_lists
from node.services.dispatch import Dispatcher, Trouble
from node.services.issuer import AnchoringTerms, Issuer, address_of
from node.services.second_chain import OnSecondChain
from node.storage.protocols.batches import AnchorItem, Batch, Waiting
from node.storage.protocols.issuer import IssuerKey, KeyRole
from node.storage.protocols.outbox import OutboxEntry, TransactionState
from node.storage.protocols.status_lists import ListMode, StatusList
from node.storage.protocols.store import Transaction

TICK_SECONDS: Final = 0.5
_ENDED: Final = (TransactionState.FINAL, TransactionState.PARKED)
_BALANCE_EVERY: Final = timedelta(minutes=5)
_MAX_WORDS: Final = 256  # a call takes no more


@dataclass(frozen=True, slots=True)
class Tick:
    """What is left to do after a step, in numbers; `troubles` need a person or another endpoint."""

    block: int  # number of the finalized block
    waiting: int  # items in the open batch
    batches: int  # closed and not final, on no chain where either is enough
    elsewhere: int  # closed and final on the second chain alone, where either is enough
    transactions: int  # in the outbox, neither final nor parked; with a second chain that is needed, on both
    parked: int
    bundles: int  # made in this step
    unproven: int  # final credentials that still lack a bundle
    unsound: int  # bundles that were made in this step and do not hold
    settling: bool  # keys, writers or lists that wait for the chain
    troubles: tuple[Trouble, ...]
    warnings: tuple[str, ...]
    """What will stand in the way before long: who is short of ether."""

    @property
    def is_stuck(self) -> bool:
        """Whether something is set aside and nothing else moves: only a person can go on."""
        return bool(self.parked) and not self.transactions and not self.is_done

    @property
    def is_done(self) -> bool:
        """Whether nothing is under way."""
        return not (self.waiting or self.batches or self.transactions or self.settling or self.unproven)


class AnchorWorker:
    """Takes everything that the issuer has promised to the chain, and back as proofs."""

    def __init__(self, issuer: Issuer) -> None:
        self._issuer = issuer
        self._store = issuer.store
        self._chain = issuer.require_chain()
        self._calls = CredentialRegistryCalls(self._chain.network.credential_registry)
        self._dispatcher = Dispatcher(issuer, self._chain, self._settle)
        self._second = None if issuer.second is None else OnSecondChain(issuer, issuer.second)
        self._checked = False
        self._warned_at: datetime | None = None
        self._warnings: tuple[str, ...] = ()

    async def tick(self, *, close: bool = False) -> Tick:
        """One step. `close` closes the open batch whatever its size and age. Unavailable: no chain now. Misconfigured:
        a call could not be signed; everything else was done."""
        if not self._checked:
            await self._chain.check()
        finalized = await self._chain.finalized()
        if not self._checked:
            await registration.learn_ends(self._issuer, finalized)
            self._checked = True
        await self._close_batches(close=close)  # 1
        await self._send_words()  # 2
        troubles = await self._dispatcher.advance(finalized)  # 3
        if self._second is not None:
            troubles += await self._second.advance()
        await registration.settle(self._issuer, finalized)  # 4
        await rotation.advance(self._issuer)  # 5
        await status_lists.publish_due(self._issuer)  # 6
        await status_lists.ensure_room(self._issuer)
        proving = await bundles.prove_due(self._issuer, finalized)  # 7
        troubles += [Trouble(None, "bundle", fault) for fault in proving.faults]
        await self._look_at_balances()
        if self._dispatcher.fault is not None:
            raise self._dispatcher.fault  # when all else is done
        return await self._summary(finalized, proving, troubles)

    async def run(
        self,
        stopped: asyncio.Event,
        on_trouble: Callable[[str], None] | None = None,
        on_tick: Callable[[Tick], None] | None = None,
    ) -> None:
        """Tick until `stopped`, whatever stands in the way of a step; each trouble and warning is told once. For
        servers.
        """
        told: set[str] = set()
        while not stopped.is_set():
            try:
                tick = await self.tick()
                if on_tick is not None:
                    on_tick(tick)
                found = dict.fromkeys([*(trouble.detail for trouble in tick.troubles), *tick.warnings])
            except BonafidesError as error:
                found = dict.fromkeys([error.detail])
            for trouble in found:
                if trouble not in told and on_trouble is not None:
                    on_trouble(trouble)
            told = set(found)
            try:
                await asyncio.wait_for(stopped.wait(), 2 * TICK_SECONDS)
            except TimeoutError:
                continue

    async def run_until_done(
        self,
        *,
        close: bool = True,
        on_tick: Callable[[Tick], None] | None = None,
        done: Callable[[Tick], bool] | None = None,
        timeout_seconds: float = 1800.0,
    ) -> Tick:
        """Tick until nothing is under way (or `done` says so); Unavailable when that takes too long, and why."""
        why = ""
        try:
            async with asyncio.timeout(timeout_seconds):
                while True:
                    tick = await self.tick(close=close)
                    if on_tick is not None:
                        on_tick(tick)
                    if (done or _nothing_left)(tick):
                        return tick
                    why = f": {tick.troubles[-1].detail}" if tick.troubles else ""
                    await asyncio.sleep(TICK_SECONDS)
        except TimeoutError as error:
            raise Unavailable(
                f"not final after {timeout_seconds:g} seconds{why}", asked=self._chain.client.host
            ) from error

    async def parked(self) -> int:
        """How many calls are set aside."""
        async with self._store.reading() as reading:
            _, parked = await self._under_way(reading)
        return parked

    # --- 1, batches

    async def _close_batches(self, *, close: bool) -> None:
        now, terms = self._issuer.clock(), self._issuer.anchoring
        while True:
            async with self._store.transaction() as transaction:
                # A batch's worth: all that waits would be counted again for each batch that is closed.
                waiting = await transaction.batches.waiting(terms.batch_size)
                writer = await transaction.keys.active(KeyRole.WRITER)
                # Without a writer, as while another takes its place, all of it waits.
                if writer is None or not _is_due(waiting, now, terms, close=close):
                    return
                items = await transaction.batches.load_waiting(terms.batch_size)
                await self._close(transaction, items, writer, now)

    async def _close(
        self, transaction: Transaction, items: Sequence[AnchorItem], writer: IssuerKey, now: datetime
    ) -> None:
        batch = await sealing.seal(transaction, items, now)
        call = self._calls.anchor(self._issuer.identity, batch.commitment)
        entry = await transaction.outbox.add("anchor", address_of(writer), call.to, call.data, now)
        await transaction.batches.attach(batch.id, entry.id)
        if self._second is not None:
            await self._second.promise(transaction, batch, writer)

    # --- 2, status words

    async def _send_words(self) -> None:
        async with self._store.reading() as reading:
            lists = [one for one in await reading.status_lists.all() if one.is_open]
            due = [one for one in lists if await reading.status_lists.pending_words(one.list_id, 1)]
        for status_list in due:
            async with self._store.transaction() as transaction:
                await self._send_words_of(transaction, status_list)

    async def _send_words_of(self, transaction: Transaction, status_list: StatusList) -> None:
        words = await transaction.status_lists.pending_words(status_list.list_id, _MAX_WORDS)
        writer = await transaction.keys.active(KeyRole.WRITER)
        if not words or writer is None or status_list.mode is ListMode.PUBLISHED:
            return
        changes = []
        for word in words:
            current, desired = (int.from_bytes(bits, "big") for bits in (word.current, word.desired))
            # Only what differs: another writer's bits are left as they are.
            changes.append(WordChange(word.word, desired & ~current, current & ~desired))
        call = self._calls.set_status(self._issuer.identity, status_list.list_id, changes)
        entry = await transaction.outbox.add(
            "set_status", address_of(writer), call.to, call.data, self._issuer.clock()
        )
        numbers = [word.word for word in words]
        await transaction.status_lists.mark_words_sent(status_list.list_id, numbers, entry.id)

    # --- 3, what comes of calls

    async def _settle(self, transaction: Transaction, entry: OutboxEntry) -> None:
        """A final call: its status words are effective."""
        if entry.purpose == "set_status":
            await transaction.status_lists.mark_words_effective(entry.id)

    # --- all

    async def _summary(self, finalized: Header, proving: bundles.Proving, troubles: list[Trouble]) -> Tick:
        async with self._store.reading() as reading:
            waiting = await reading.batches.waiting()
            batches = await reading.batches.unfinished()
            elsewhere = await self._on_second_chain(reading)
            transactions, parked = await self._under_way(reading)
            settling = await rotation.is_settling(reading) or any(
                not one.is_open for one in await reading.status_lists.all()
            )
        return Tick(
            block=finalized.number,
            waiting=waiting.count,
            batches=len(batches) - len(elsewhere),
            elsewhere=len(elsewhere),
            transactions=transactions,
            parked=parked,
            bundles=proving.made,
            unproven=proving.left,
            unsound=len(proving.faults),
            settling=settling,
            troubles=tuple(troubles),
            warnings=self._warnings,
        )

    async def _under_way(self, reading: Transaction) -> tuple[int, int]:
        """How many calls wait for the chain, and how many are set aside, of those for which the worker has to wait."""
        counts = Counter(await reading.outbox.counts())
        if self._second is not None and self._second.is_needed:
            counts.update(await reading.outbox.counts(self._second.name))
        for batch in await self._on_second_chain(reading):
            assert batch.state is not None  # noqa: S101 - a batch that was promised to two chains
            counts[batch.state] -= 1
        under_way = sum(number for state, number in counts.items() if state not in _ENDED)
        return under_way, counts[TransactionState.PARKED]

    async def _on_second_chain(self, reading: Transaction) -> list[Batch]:
        """Batches that need not be waited for, since the second chain has them and either is enough."""
        if self._second is None or self._second.is_needed:
            return []
        known = await reading.batches.on_second_chain()
        return [batch for batch in await reading.batches.unfinished() if batch.id in known]

    async def _look_at_balances(self) -> None:
        now = self._issuer.clock()
        if self._warned_at is None or now - self._warned_at >= _BALANCE_EVERY:
            self._warnings = tuple(await costs.warnings(self._issuer))
            self._warned_at = now


def _is_due(waiting: Waiting, now: datetime, terms: AnchoringTerms, *, close: bool) -> bool:
    """Whether a batch is closed over what waits, the oldest first."""
    if waiting.oldest is None:
        return False
    return close or waiting.count >= terms.batch_size or now - waiting.oldest >= terms.batch_age


def _nothing_left(tick: Tick) -> bool:
    return tick.is_done


async def retry_parked(issuer: Issuer) -> int:
    """Take up again what was parked, after a person mended the reason; how many."""
    async with issuer.store.transaction() as transaction:
        parked = await transaction.outbox.in_state(TransactionState.PARKED, limit=1000)
        for entry in parked:
            await transaction.outbox.resume(entry.id, issuer.clock())
    return len(parked)
