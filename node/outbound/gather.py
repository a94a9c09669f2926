"""Fetching what a verification needs, and the loop that asks and judges (STYLE.md section 5).

One `Gatherer` is one report: it asks through one `Egress`, so its limits and its record of hosts are the report's.
Nothing fetched is believed here: the engine proves it or says whose word it is. What could not be had becomes a
`Missing` with its reason, never an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Final, Protocol, TypeVar

from yarl import URL

from node.core.did.address import is_address
from node.core.did.ethr import EthrDid, document_from_events, parse_did_ethr
from node.core.did.resolution import parse_did
from node.core.errors import BonafidesError, Unavailable
from node.core.evm.header import Header
from node.core.evm.network import format_chain
from node.core.strict_json import JsonObject
from node.core.times import from_unix
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import Intake
from node.core.verify.materials import (
    Answer,
    DocumentAnswer,
    DocumentNeed,
    HeaderAnswer,
    HeaderNeed,
    KeySetAnswer,
    KeySetNeed,
    Materials,
    Missing,
    Mode,
    Need,
    ReplicaAnswer,
    SecondOpinionNeed,
    StateAnswer,
    StateNeed,
    StatusListAnswer,
    StatusListNeed,
    TransactionAnswer,
    TransactionNeed,
)
from node.core.verify.report import Report
from node.core.verify.verifier import Verifier
from node.outbound.chain import ChainClient
from node.outbound.didkit import Didkit
from node.outbound.fetch import KEY_SET, STATUS_LIST, STATUS_LIST_COPY, fetch_json, fetch_json_or_token
from node.outbound.headers import ChainEndpoints, HeaderSource, SourcesDisagree, strongest
from node.outbound.http import Egress, NamedBy
from node.outbound.resolve import (
    EthrHistory,
    RegistryEndpoint,
    fetch_controlled_document,
    fetch_ethr_history,
    resolve_did,
)

# Header, state, the documents of method and list, the list itself: a credential that needs more leads in circles.
MAX_ROUNDS: Final = 6
MAX_AT_ONCE: Final = 8

T = TypeVar("T")


class Work(Protocol):
    """Runs something pure and gives its result."""

    async def __call__(self, function: Callable[[], T]) -> T:
        """The result of `function`, or what it raises."""
        ...


async def here(function: Callable[[], T]) -> T:
    """Work done at once, for processes that have nothing else to do meanwhile."""
    return function()


OpenSource = Callable[[Egress, ChainEndpoints], HeaderSource]
"""Makes a source of headers for one report, out of its egress and the endpoints that it may ask."""


class Replica(Protocol):
    """A copy of our own of what registries hold. Where it answers, even with Missing, nobody else is asked.

    None: it does not watch this chain.
    """

    async def header(self, need: HeaderNeed) -> HeaderAnswer | Missing | None:
        """The trusted header up to which the copy goes."""
        ...

    async def state(self, need: StateNeed) -> ReplicaAnswer | Missing | None:
        """Slots at that header; Missing where writes of the identity are not all known."""
        ...

    async def document(self, need: DocumentNeed) -> DocumentAnswer | Missing | None:
        """The document of a did:ethr, by events of which none is missing."""
        ...


class Gatherer:
    """Answers needs from `replica`, and through `egress` from the chain endpoints that its policy names."""

    def __init__(
        self,
        egress: Egress,
        verifier: Verifier,
        *,
        now: datetime,
        didkit: Didkit,
        replica: Replica | None = None,
        sources: Sequence[OpenSource] = (),
    ) -> None:
        self._egress = egress
        self._didkit = didkit
        self._replica = replica
        self._verifier = verifier
        self._now = now
        self._limit = asyncio.Semaphore(MAX_AT_ONCE)
        self._chains = ChainEndpoints(egress, verifier.networks.every)
        self._other_sources = [open_source(egress, self._chains) for open_source in sources]

    @property
    def contacted(self) -> tuple[str, ...]:
        """Every host with its port that was asked so far."""
        return self._egress.contacted

    async def answer(self, needs: Sequence[Need]) -> dict[Need, Answer | Missing]:
        """An answer for each need, found concurrently."""
        answers = await asyncio.gather(*(self._answer(need) for need in needs))
        return dict(zip(needs, answers, strict=True))

    async def _answer(self, need: Need) -> Answer | Missing:
        async with self._limit:
            try:
                known = await self._known(need)
                return await self._asked(need) if known is None else known
            except SourcesDisagree as error:
                return Missing(error.detail, disputed=True)
            except BonafidesError as error:
                return Missing(error.detail)

    async def _asked(self, need: Need) -> Answer | Missing:
        """What somebody else says."""
        match need:
            case HeaderNeed():
                return await self._header(need)
            case StateNeed():
                return await self._state(need)
            case DocumentNeed():
                return await self._document(need)
            case KeySetNeed():
                return await self._key_set(need)
            case StatusListNeed():
                return await self._status_list(need)
            case TransactionNeed():
                return await self._transaction(need)
            case SecondOpinionNeed():
                return await self._didkit.answer(need)

    async def _known(self, need: Need) -> Answer | Missing | None:
        """What the replica says, None where it does not watch what is asked for."""
        if self._replica is None:
            return None
        match need:
            case HeaderNeed():
                return await self._replica.header(need)
            case StateNeed():
                return await self._replica.state(need)
            case DocumentNeed():
                return await self._replica.document(need)
        return None

    async def _header(self, need: HeaderNeed) -> HeaderAnswer:
        sources: list[HeaderSource] = [self._chains.of(need.chain_id)]
        sources += [one for one in self._other_sources if one.chain_id == need.chain_id]
        return await strongest(sources, need, partial(self._is_old, need.chain_id))

    def _is_old(self, chain_id: int, header: Header) -> bool:
        network = self._verifier.networks.get(chain_id)
        return network is not None and network.is_old(header.timestamp, self._now)

    async def _state(self, need: StateNeed) -> StateAnswer:
        def ask(client: ChainClient) -> Awaitable[tuple[bytes, ...]]:
            return client.proof_nodes(need.address, need.slots, need.block_hash)

        nodes, source = await self._chains.of(need.chain_id).read(ask, besides=need.besides)
        return StateAnswer(nodes, source)

    async def _document(self, need: DocumentNeed) -> DocumentAnswer:
        if is_address(need.did):
            found_there = await fetch_controlled_document(need.did, self._egress)
            return DocumentAnswer(found_there, agreed=True, source="its own web site")
        method, _ = parse_did(need.did)
        if method == "ethr":
            return await self._ethr_document(parse_did_ethr(need.did))
        found = await resolve_did(need.did, now=self._now, egress=self._egress)
        return DocumentAnswer(found.document, agreed=True, source="its own web site", versions=found.history)

    async def _ethr_document(self, did: EthrDid) -> DocumentAnswer:
        """By the events up to the newest final block, which nothing proves: enough operators must tell the same."""
        network = self._verifier.networks.get(did.chain_id)
        if network is None:
            raise Unavailable(f"no network is known for the chain {format_chain(did.chain_id)}")
        voices = self._chains.of(did.chain_id)
        block = (await voices.newest()).value.hash

        def ask(client: ChainClient) -> Awaitable[EthrHistory]:
            return fetch_ethr_history(
                RegistryEndpoint(client, network.did_registry), did.identity, block=block
            )

        said = await voices.say("history of the DID", ask, lambda history: history.events)
        found = document_from_events(did, said.value.events, block_time=int(self._now.timestamp()))
        source = said.in_full if said.several else "one endpoint's word"
        return DocumentAnswer(found.document, said.several, f"the events of its registry, by {source}")

    async def _key_set(self, need: KeySetNeed) -> KeySetAnswer:
        found = await fetch_json(self._egress, need.url, purpose=KEY_SET)
        return KeySetAnswer(found.document, found.url)

    async def _status_list(self, need: StatusListNeed) -> StatusListAnswer | Missing:
        if self._egress.policy.mode is Mode.MIRROR:
            return await self._mirrored_list(need)
        content, url = await fetch_json_or_token(self._egress, need.url, purpose=STATUS_LIST)
        return StatusListAnswer(content, url)

    async def _mirrored_list(self, need: StatusListNeed) -> StatusListAnswer | Missing:
        """A copy, of the first mirror that has one."""
        mirrors = self._egress.policy.list_mirrors
        if not mirrors:
            return Missing("no mirror of status lists is configured", forbidden=True)
        failures = []
        for mirror in mirrors:
            url = f"{mirror.rstrip('/')}/{sha256(need.url.encode()).hexdigest()}"
            try:
                content, _ = await fetch_json_or_token(
                    self._egress, url, purpose=STATUS_LIST_COPY, named_by=NamedBy.MIRROR
                )
            except BonafidesError as error:
                failures.append(f"{URL(mirror).host}: {error.detail}")
            else:
                return StatusListAnswer(content, f"{need.url}, a copy at {URL(mirror).host}", is_copy=True)
        return Missing("; ".join(failures))

    async def _transaction(self, need: TransactionNeed) -> TransactionAnswer:
        voices = self._chains.of(need.chain_id)
        newest = (await voices.newest()).value.number

        def ask(client: ChainClient) -> Awaitable[tuple[JsonObject, Header]]:
            return client.final_transaction(need.transaction_id, newest)

        said = await voices.say("block of the transaction", ask, lambda found: found[1].hash)
        content, header = said.value
        return TransactionAnswer(content, header.number, from_unix(header.timestamp), said.in_full)


async def examine(
    intake: Intake,
    verifier: Verifier,
    egress: Egress,
    *,
    now: datetime,
    as_of: datetime | None = None,
    asked: Asked = Asked(),  # noqa: B008 - frozen
    work: Work = here,
    didkit: Didkit | None = None,
    replica: Replica | None = None,
    sources: Sequence[OpenSource] = (),
) -> Report:
    """Fetch what is needed, as far as mode and egress allow, and judge. `egress` is for this report alone.

    `work` runs the judging, which is arithmetic and may be long: a server has it done in another thread, and gives all
    its reports one `didkit`. `sources` tell headers beside the endpoints.
    """
    materials = Materials.none()
    gatherer = Gatherer(
        egress, verifier, now=now, didkit=didkit or Didkit(), replica=replica, sources=sources
    )
    # An endpoint whose proof is wrong takes a round more, in which another one is asked.
    for _ in range(MAX_ROUNDS + len(egress.policy.endpoints.every)):
        found = await work(
            partial(engine.attempt, intake, materials, verifier, now=now, as_of=as_of, asked=asked)
        )
        if isinstance(found, Report):
            return found
        materials = materials.extended(await gatherer.answer(found), gatherer.contacted)
    return await work(partial(engine.verify, intake, materials, verifier, now=now, as_of=as_of, asked=asked))
