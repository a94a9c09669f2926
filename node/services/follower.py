"""Following a chain: the words of its registry kept in a replica of our own, each step proven against a trusted header.

A step goes from where the replica ends to the newest trusted header. What the endpoints give as logs is not believed:
the words that follow from them are compared with the state under that header.

- The storage root over all words is that of the registry's account: then nothing was withheld, invented or altered, for
  any identity, those that never wrote included. One small proof a step.
- Development chains only, since Anvil keeps slots that were read in its trie, whose root nobody can compute then: the
  counter of every known identity, and every word that was written since the last sound header, slot by slot. Identities
  that are not known are proven at the step after somebody asked for them. A lie in the contents of a log that nothing
  contradicts stays unseen there, so such a header is one endpoint's word, whoever named it.

Where neither holds, the step is recorded as unsound: the replica answers for nobody (development: not for identities
that do not add up), and the next step goes back to the last sound header and prefers another endpoint. A reorganisation
is seen by the hashes of earlier steps; the replica goes back to one that is still on the chain, or begins anew.

Long ranges are read piece by piece, each kept, so that an interrupted start is resumed. Several processes may follow
with one database: who finds that another was faster leaves the step to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from node.core.did.ethr import EthrEvent
from node.core.errors import BonafidesError, Malformed, NotVerified, Unavailable
from node.core.evm import registry
from node.core.evm.events import TOPICS, Anchored, RegistryEvent, decode_registry_log, slot_of, word_after
from node.core.evm.header import MAX_TIMESTAMP, Header
from node.core.evm.keccak import keccak256
from node.core.evm.log import is_emitted_by, quantity_of
from node.core.evm.network import Network, NetworkClass, format_chain
from node.core.evm.state_proof import prove_slots
from node.core.evm.storage_trie import PART_NIBBLES, Subtree, cut, root_of
from node.core.strict_json import JsonObject
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Strength
from node.outbound.blame import blaming
from node.outbound.chain import ChainClient
from node.outbound.gather import OpenSource
from node.outbound.headers import ChainEndpoints, HeaderSource, Voices, strongest
from node.outbound.http import Egress, EgressLimits
from node.outbound.logs import LogRange, read_logs
from node.outbound.resolve import RegistryEndpoint, fetch_ethr_history
from node.services.replica import encode_history
from node.storage.protocols.store import Store, Transaction
from node.storage.protocols.verifier import ReplicaHead, ReplicaHeader, ReplicaIdentity, ReplicaWrite

# Words are taken back so many blocks at most; a day of Ethereum, and what EIP-2935 remembers.
KEPT_BLOCKS: Final = 8_192
KEPT_HEADERS: Final = 256
# Development chains take more than others, and Anvil makes the whole trie anew for each answer.
PROVEN_AT_ONCE: Final = 1024
_MAX_NODES: Final = 16 * PROVEN_AT_ONCE  # a path of a large trie has some eight nodes of its own
_PROOFS_SIDE_BY_SIDE: Final = 4
STEP_SECONDS: Final = 5.0
_LIMITS: Final = EgressLimits(requests=None, total_bytes=None, total_seconds=None)

log = logging.getLogger("bonafides.follower")


@dataclass(frozen=True, slots=True)
class Progress:
    """What a step came to. `followed` of `newest` blocks; `fault` says why the replica does not answer.

    `newest` is None until somebody told it.
    """

    chain_id: int
    followed: int
    newest: int | None
    fault: str | None


class LostRace(Exception):
    """Another process took the step meanwhile."""


@dataclass(slots=True)
class _Piece:
    """Logs of some blocks, as one endpoint gave them: events in order, and the Unix times of blocks with anchors."""

    to_block: int
    events: list[RegistryEvent]
    times: Mapping[int, int]
    source: str


@dataclass(slots=True)
class _Applied:
    """What became of a piece: words changed, and identities whose events do not add up."""

    writes: list[ReplicaWrite]
    identities: set[bytes]
    faults: dict[bytes, str] = field(default_factory=dict)


class Follower:
    """Keeps the replica of one chain. `egress` belongs to the caller; every step has a guard of its own under it."""

    def __init__(
        self,
        store: Store,
        network: Network,
        egress: Egress,
        *,
        sources: Sequence[OpenSource] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.network = network
        self._store = store
        self._egress = egress
        self._sources = tuple(sources)
        self._clock = clock
        self._widths: dict[str, LogRange] = {}
        self._parts: dict[str, Subtree] | None = None
        self._parts_of = b""  # the hash of the header that they are of
        self._distrusted: tuple[str, ...] = ()
        self._failed_from: int | None = None  # the sound header from which the last step went wrong
        self.progress: Progress | None = None

    async def step(self) -> Progress:
        """Follow to the newest trusted header. Unavailable where it could not be told or nobody gives the logs."""
        async with self._reach() as (voices, sources):
            with contextlib.suppress(LostRace):
                await self._step(voices, sources)
        async with self._store.reading() as tx:
            head = await tx.replica.head(self._chain_id)
        followed, fault = (-1, None) if head is None else (head.followed, head.fault)
        newest = self.progress.newest if self.progress else None
        self.progress = Progress(self._chain_id, followed, max(newest or followed, followed), fault)
        return self.progress

    async def recall(self) -> bool:
        """Take up the progress of a process before this one; whether there is any."""
        async with self._store.reading() as tx:
            head = await tx.replica.head(self._chain_id)
        if head is None or (head.genesis, head.registry) != self._of:
            return False
        self.progress = Progress(self._chain_id, head.followed, None, head.fault)
        return True

    @property
    def _chain_id(self) -> int:
        return self.network.chain_id

    @property
    def _of(self) -> tuple[bytes, bytes]:
        """Genesis and registry: of what the replica is."""
        return self.network.genesis, self.network.credential_registry

    @property
    def _before(self) -> int:
        """The block before the registry's first one, as the table of networks has it, else before the chain's.

        A table that is wrong hides nothing: what was written earlier would be missing from the proven root.
        """
        return self.network.deployed - 1

    @asynccontextmanager
    async def _reach(self) -> AsyncIterator[tuple[Voices, list[HeaderSource]]]:
        async with self._egress.for_report(limits=_LIMITS) as egress:
            chains = ChainEndpoints(egress, {self._chain_id: self.network})
            voices = chains.of(self._chain_id)
            others = [open_source(egress, chains) for open_source in self._sources]
            yield voices, [voices, *(one for one in others if one.chain_id == self._chain_id)]

    async def _step(self, voices: Voices, sources: Sequence[HeaderSource]) -> None:
        head, headers = await self._begin()
        heights = _spread([header.number for header in headers])
        need = HeaderNeed(self._chain_id, tuple(heights))
        answer = await strongest(sources, need, self._is_old)
        target = answer.newest
        self.progress = Progress(self._chain_id, head.followed, target.number, head.fault)
        failed = self._failed_from
        usable = [one for one in headers if one.number in heights and (failed is None or one.number < failed)]
        base = _last_sound(usable, answer, wrong=bool(headers) and not headers[0].is_sound)
        if base is not None and base.number > target.number:
            raise Unavailable(f"{answer.source} lags: it ends at block {target.number}, before {base.number}")
        if headers and headers[0] != base:
            head = await self._go_back(head, headers[0], base)
        if head.proven != target.number or head.fault is not None:
            await self._follow(voices, answer, head, base)
        await self._follow_documents(voices, target)

    async def _begin(self) -> tuple[ReplicaHead, list[ReplicaHeader]]:
        """How far it goes; a replica of another chain or registry is forgotten."""
        async with self._store.reading() as tx:
            head = await tx.replica.head(self._chain_id)
            headers = await tx.replica.headers(self._chain_id, KEPT_HEADERS)
        if head is not None and (head.genesis, head.registry) == self._of:
            return head, headers
        fresh = ReplicaHead(self._chain_id, *self._of, self._before, None, None)
        async with self._store.transaction() as tx:
            await tx.replica.forget(self._chain_id)
            await tx.replica.save_head(fresh)
        return fresh, []

    def _is_old(self, header: Header) -> bool:
        return self.network.is_old(header.timestamp, self._clock())

    async def _go_back(
        self, head: ReplicaHead, last: ReplicaHeader, base: ReplicaHeader | None
    ) -> ReplicaHead:
        """To a header that is sound and still on the chain, or to the beginning.

        After a reorganisation that header answers meanwhile. Where something was found to be wrong, none does.
        """
        fault = None if last.is_sound else head.fault or "logs did not add up, and are read again"
        async with self._store.transaction() as tx:
            await self._expect(tx, head)
            if base is None:
                await tx.replica.forget(self._chain_id)
                head = replace(head, followed=self._before, proven=None, fault=fault)
            else:
                await tx.replica.undo(self._chain_id, base.number)
                head = replace(head, followed=base.number, proven=base.number, fault=fault)
            await tx.replica.save_head(head)
        log.warning("%s: went back to block %d", self.network.chain, head.followed)
        return head

    async def _expect(self, tx: Transaction, head: ReplicaHead) -> None:
        if await tx.replica.head(self._chain_id) != head:
            raise LostRace

    # --- logs ---

    async def _follow(
        self, voices: Voices, answer: HeaderAnswer, head: ReplicaHead, base: ReplicaHeader | None
    ) -> None:
        """Read all logs up to the answer's header, and hold what follows from them to its state."""
        target = answer.newest
        givers: set[str] = set()
        while True:
            piece = await self._piece(voices, head.followed + 1, target.number)
            givers |= {piece.source} - {""}
            if piece.to_block == target.number:
                break
            async with self._store.transaction() as tx:
                await self._expect(tx, head)
                await self._apply(tx, piece)
                head = replace(head, followed=piece.to_block, proven=None)
                await tx.replica.save_head(head)
            self.progress = Progress(self._chain_id, head.followed, target.number, None)
        storage_root = await self._storage_root(voices, target)
        async with self._store.transaction() as tx:
            await self._expect(tx, head)
            applied = await self._apply(tx, piece)
            current = head.proven is not None and base is not None and self._parts_of == base.hash
            parts = await self._parts_after(tx, self._parts if current else None, applied.writes)
            root = await asyncio.to_thread(root_of, parts)
            header = _recorded(answer)
            fault = None
            if root != storage_root and self.network.network_class is NetworkClass.DEVELOPMENT:
                since = -1 if base is None else base.number
                is_sound = await self._prove_each(tx, voices, target, since, applied.faults)
                strength = min(header.strength, int(Strength.ONE_ENDPOINT))
                header = replace(header, is_whole=False, is_sound=is_sound, strength=strength)
            elif root != storage_root:
                fault = _not_all(givers, target.number, self.network.deployed)
                header = replace(header, is_whole=False, is_sound=False)
            await tx.replica.save_header(self._chain_id, header)
            head = replace(head, followed=target.number, proven=target.number, fault=fault)
            await tx.replica.save_head(head)
            kept = _kept(await tx.replica.headers(self._chain_id, KEPT_HEADERS), target.number)
            await tx.replica.prune(self._chain_id, kept)
        self._parts, self._parts_of = parts, target.hash
        self._distrust(givers if not header.is_sound else ())
        # Perhaps that header was of a branch that was given up, and nobody could tell: the next step goes further back.
        self._failed_from = None if header.is_sound or base is None else base.number

    def _distrust(self, givers: Iterable[str]) -> None:
        """Ask others first at the next step, as long as there are any."""
        self._distrusted = tuple(sorted({*self._distrusted, *givers})) if givers else ()
        for giver in givers:
            log.warning("%s: %s gave logs that do not add up", self.network.chain, giver)

    async def _piece(self, voices: Voices, start: int, newest: int) -> _Piece:
        """The next logs, as many as an endpoint answers at once; of a distrusted one only as a last resort."""
        if start > newest:
            return _Piece(newest, [], {}, "")
        ask = partial(self._logs, start=start, newest=newest)
        try:
            piece, source = await voices.read(ask, besides=self._distrusted)
        except Unavailable:
            if not self._distrusted:
                raise
            piece, source = await voices.read(ask)
        return replace(piece, source=source)

    async def _logs(self, client: ChainClient, *, start: int, newest: int) -> _Piece:
        """Events of the registry by one endpoint, read strictly."""
        address = self.network.credential_registry
        width = self._widths.setdefault(client.host, LogRange())
        async with aclosing(read_logs(client, address, [TOPICS], start, newest, width)) as parts:
            end, logs = await anext(parts)
        events: dict[tuple[int, int], RegistryEvent] = {}
        times: dict[int, int] = {}
        with blaming(client.host, "wrong logs"):
            for one in logs:
                event = decode_registry_log(one)
                if event is None or not is_emitted_by(one, address):
                    raise Malformed("a log that was not asked for")
                if not start <= event.block_number <= end or event.place in events:
                    raise Malformed("a log of another block, or twice")
                events[event.place] = event
                if isinstance(event, Anchored) and (time := _time_of(one)) is not None:
                    times[event.block_number] = time
        anchors = {event.block_number for event in events.values() if isinstance(event, Anchored)}
        missing = sorted(anchors - times.keys())
        times |= {number: header.timestamp for number, header in (await client.headers(missing)).items()}
        if anchors - times.keys():
            raise Unavailable(f"{client.host} has logs of blocks that it does not have", asked=client.host)
        return _Piece(end, [events[place] for place in sorted(events)], times, "")

    # --- words ---

    async def _apply(self, tx: Transaction, piece: _Piece) -> _Applied:
        """Change the words of the replica as the events say."""
        applied = await self._replayed(tx, piece)
        await tx.replica.write(self._chain_id, applied.writes)
        known = {
            one.identity for one in await tx.replica.identities(self._chain_id, sorted(applied.identities))
        }
        new = [ReplicaIdentity(identity) for identity in sorted(applied.identities - known)]
        await tx.replica.save_identities(self._chain_id, new)
        return applied

    async def _replayed(self, tx: Transaction, piece: _Piece) -> _Applied:
        places = [(event, slot_of(event), registry.heads_slot(event.identity)) for event in piece.events]
        paths = {slot: keccak256(slot) for _, *slots in places for slot in slots}
        words = await tx.replica.words(self._chain_id, list(paths.values()))
        applied = _Applied([], {event.identity for event in piece.events})
        changed: dict[tuple[int, bytes], ReplicaWrite] = {}

        def change(event: RegistryEvent, slot: bytes, after: int) -> None:
            path = paths[slot]
            at = (event.block_number, slot)
            before = changed[at].before if at in changed else words.get(path, 0)
            changed[at] = ReplicaWrite(event.block_number, slot, path, event.identity, before, after)
            words[path] = after

        for event, slot, counter in places:
            if event.identity in applied.faults:
                continue
            last = words.get(paths[counter], 0)
            if event.n != last + 1:
                applied.faults[event.identity] = f"write {last + 1} was withheld, or {event.n} invented"
                continue
            try:
                after = word_after(event, words.get(paths[slot], 0), piece.times.get(event.block_number, 0))
            except NotVerified as error:
                applied.faults[event.identity] = f"write {event.n}: {error.detail}"
                continue
            change(event, slot, after)
            change(event, counter, event.n)
        applied.writes.extend(changed.values())
        return applied

    # --- proofs ---

    async def _storage_root(self, voices: Voices, header: Header) -> bytes:
        """The root of the registry's storage under a header, of an account that has the registry's code."""
        address, code_hash = self.network.credential_registry, self.network.code_hash

        async def ask(client: ChainClient) -> bytes:
            proven = prove_slots(header, await client.proof_nodes(address, [], header.hash), address, [])
            # Where it is not deployed, nothing says what an identity wrote; that it never did would be an answer.
            proven.require_code(code_hash)
            assert proven.account is not None  # noqa: S101 - narrows for the type checker
            return proven.account.storage_root

        return (await voices.read(ask))[0]

    async def _parts_after(
        self, tx: Transaction, parts: Mapping[str, Subtree] | None, writes: Iterable[ReplicaWrite]
    ) -> dict[str, Subtree]:
        """The parts of the trie over all words, of which only those that were written are computed again."""
        if parts is None:
            everything = await tx.replica.parts(self._chain_id, None)
            return await asyncio.to_thread(cut, everything)
        dirty = {one.path.hex()[:PART_NIBBLES] for one in writes}
        entries = await tx.replica.parts(self._chain_id, dirty)
        again = await asyncio.to_thread(cut, entries)
        kept = {path: part for path, part in parts.items() if path not in dirty}
        return kept | again

    async def _prove_each(
        self, tx: Transaction, voices: Voices, header: Header, since: int, faults: Mapping[bytes, str]
    ) -> bool:
        """Compare counters of all identities, and words written after block `since`; whether all add up."""
        found = dict(faults)
        wanted = {
            registry.heads_slot(one.identity): one.identity
            for one in await tx.replica.identities(self._chain_id)
        }
        wanted |= {slot: identity for identity, slot in await tx.replica.writes_after(self._chain_id, since)}
        slots = list(wanted)
        own = await tx.replica.words(self._chain_id, [keccak256(slot) for slot in slots])
        turns = asyncio.Semaphore(_PROOFS_SIDE_BY_SIDE)

        async def prove(some: Sequence[bytes]) -> None:
            async with turns:
                values, _ = await voices.read(partial(self._values, header=header, slots=some))
            for slot, value in values.items():
                if value != own.get(keccak256(slot), 0):
                    found.setdefault(
                        wanted[slot], "what was told of its writes is not what the registry holds"
                    )

        parts = [slots[at : at + PROVEN_AT_ONCE] for at in range(0, len(slots), PROVEN_AT_ONCE)]
        for failed in await asyncio.gather(*map(prove, parts), return_exceptions=True):
            if failed is not None:
                raise failed
        updated = [
            replace(one, proven=header.number, fault=found.get(one.identity))
            for one in await tx.replica.identities(self._chain_id)
        ]
        await tx.replica.save_identities(self._chain_id, updated)
        return not found

    async def _values(
        self, client: ChainClient, *, header: Header, slots: Sequence[bytes]
    ) -> Mapping[bytes, int]:
        address = self.network.credential_registry
        nodes = await client.proof_nodes(address, slots, header.hash, at_once=PROVEN_AT_ONCE)
        return prove_slots(header, nodes, address, slots, max_nodes=_MAX_NODES).values

    # --- documents ---

    async def _follow_documents(self, voices: Voices, header: Header) -> None:
        """Read the ERC-1056 events of identities whose document was asked for, as of the header."""
        async with self._store.reading() as tx:
            watched = await tx.replica.identities_with_history(self._chain_id)
        read = []
        for one in watched:
            if one.history_number != header.number:
                with contextlib.suppress(Unavailable):
                    read.append(await self._history(voices, header, one))
        if read:
            async with self._store.transaction() as tx:
                if await tx.replica.header_by_hash(self._chain_id, header.hash) is None:
                    return  # another process went back meanwhile: they are of a block that is no longer there
                now = {one.identity: one for one in await tx.replica.identities(self._chain_id)}
                kept = [
                    replace(
                        now.get(one.identity, one),
                        wants_history=True,
                        history=one.history,
                        history_number=one.history_number,
                        history_agreed=one.history_agreed,
                    )
                    for one in read
                ]
                await tx.replica.save_identities(self._chain_id, kept)

    async def _history(self, voices: Voices, header: Header, one: ReplicaIdentity) -> ReplicaIdentity:
        async def ask(client: ChainClient) -> tuple[EthrEvent, ...]:
            endpoint = RegistryEndpoint(client, self.network.did_registry)
            return (await fetch_ethr_history(endpoint, one.identity, block=header.hash)).events

        said = await voices.say("history of the DID", ask, lambda events: events)
        return replace(
            one,
            history=encode_history(said.value),
            history_number=header.number,
            history_agreed=said.several,
        )


class Followers:
    """Follows every chain of the table of which an endpoint is configured.

    Until each endpoint told its chain, those that were followed before may be among them: what the replica has of
    them is told, and why it grows no further.
    """

    def __init__(
        self,
        store: Store,
        networks: Mapping[int, Network],
        egress: Egress,
        *,
        sources: Sequence[OpenSource] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._networks = networks
        self._egress = egress
        self._unasked = {one.url: one.chain_id for one in egress.policy.endpoints.every}
        self._make = partial(Follower, store, egress=egress, sources=sources, clock=clock)
        self._followers: dict[int, Follower] = {}
        self._named: set[int] = set()  # the chains that an endpoint is of
        self._has_recalled = False
        self._faults: dict[int, str] = {}

    async def run(self, seconds: float = STEP_SECONDS) -> None:
        """Step until cancelled; what fails is logged, and tried again."""
        while True:
            try:
                for fault in await self.step():
                    log.warning("not followed: %s", fault)
            except Exception:
                # Whatever it is, the replica answers for what it has, and the next step may do better.
                log.exception("a step of following failed")
            await asyncio.sleep(seconds)

    async def step(self) -> list[str]:
        """Take a step of every chain, side by side; what went wrong."""
        await self._recall()
        faults = await self._find()
        for chain_id, error in zip(
            self._followers,
            await asyncio.gather(*(self._step(follower) for follower in self._followers.values())),
            strict=True,
        ):
            self._faults.pop(chain_id, None)
            if error is not None:
                self._faults[chain_id] = error
                faults.append(f"{format_chain(chain_id)}: {error}")
        return faults

    async def _step(self, follower: Follower) -> str | None:
        try:
            return (await follower.step()).fault
        except BonafidesError as error:
            return error.detail

    async def _recall(self) -> None:
        """Once: find the chains in the replica that an endpoint may be of."""
        if self._has_recalled:
            return
        possible = set(self._unasked.values())
        for chain_id, network in self._networks.items():
            follower = self._make(network)
            if (chain_id in possible or None in possible) and await follower.recall():
                self._followers[chain_id] = follower
        self._has_recalled = True

    async def _find(self) -> list[str]:
        """Ask endpoints that did not tell yet of which chain they are."""
        faults = []
        async with self._egress.for_report(limits=_LIMITS) as egress:
            for url, configured in list(self._unasked.items()):
                client = egress.chain(url)
                try:
                    chain_id = configured or await client.chain_id()
                except BonafidesError as error:
                    faults.append(error.detail)
                    continue
                del self._unasked[url]
                if chain_id not in self._networks:
                    log.warning(
                        "%s is of a chain in no table of networks: %s", client.host, format_chain(chain_id)
                    )
                    continue
                self._named.add(chain_id)
                if chain_id not in self._followers:
                    self._followers[chain_id] = self._make(self._networks[chain_id])
        if not self._unasked:
            self._followers = {one: self._followers[one] for one in self._followers if one in self._named}
        return faults

    def progress(self) -> list[JsonObject]:
        """How far each chain is followed, for health: block, how many blocks remain, and what is wrong."""
        told = []
        for chain_id, follower in self._followers.items():
            state = follower.progress
            followed, newest = (-1, None) if state is None else (state.followed, state.newest)
            one: JsonObject = {"chain": format_chain(chain_id), "block": followed}
            one["lag"] = None if newest is None else newest - followed
            fault = self._faults.get(chain_id) or (state.fault if state else None)
            told.append(one | ({"fault": fault} if fault else {}))
        return told


def _spread(numbers: Sequence[int]) -> list[int]:
    """Of recorded heights, the newest first, those worth asking for: all that are near, ever fewer that are far."""
    near = list(range(min(16, len(numbers))))
    far = [1 << power for power in range(4, 64) if 1 << power < len(numbers)]
    return [numbers[at] for at in sorted({*near, *far, len(numbers) - 1}) if at >= 0]


def _last_sound(
    headers: Iterable[ReplicaHeader], answer: HeaderAnswer, *, wrong: bool
) -> ReplicaHeader | None:
    """The newest header to go on from: sound, and of which nobody says that it is no longer on the chain.

    Of a height that the source cannot speak for nothing is known: what follows is proven anyhow.
    """
    hashes = {**answer.hashes, answer.newest.number: answer.newest.hash}
    # What was found to be wrong may have been wrong at any header that was not proven whole.
    sound = (header for header in headers if header.is_sound and (header.is_whole or not wrong))
    return next((header for header in sound if hashes.get(header.number, header.hash) == header.hash), None)


def _not_all(givers: Iterable[str], number: int, deployed: int) -> str:
    by = " and ".join(sorted(givers)) or "an endpoint"
    begun = f" from block {deployed}, where the table of networks has it deployed," if deployed else ""
    return f"the logs that {by} gave{begun} up to block {number} are not all that the registry holds, or not as it does"


def _recorded(answer: HeaderAnswer) -> ReplicaHeader:
    header = answer.newest
    return ReplicaHeader(
        header.number,
        header.hash,
        header.raw,
        answer.source,
        int(answer.strength),
        is_whole=True,
        is_sound=True,
    )


def _kept(headers: Sequence[ReplicaHeader], newest: int) -> int:
    """The block to which it must be possible to go back: of a header that is sound, and old enough."""
    sound = [header.number for header in headers if header.is_sound]
    old = [number for number in sound if number <= newest - KEPT_BLOCKS]
    return max(old, default=min(sound, default=-1))


def _time_of(log_object: JsonObject) -> int | None:
    """`blockTimestamp`, which some endpoints add."""
    if "blockTimestamp" not in log_object:
        return None
    time = quantity_of(log_object, "blockTimestamp")
    return time if time <= MAX_TIMESTAMP else None
