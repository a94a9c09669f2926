"""Fetching what a verification needs, and the loop that asks and judges (STYLE.md section 5).

One `Gatherer` is one report: it asks through one `Egress`, so its limits and its record of hosts are the report's.
Nothing fetched is believed here: the engine proves it or says whose word it is. What could not be had becomes a
`Missing` with its reason, never an exception.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial
from typing import Final, Protocol, TypeVar

from node.core.did.resolution import parse_did
from node.core.errors import BonafidesError, Unavailable
from node.core.evm.network import Network
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
    Need,
    ReplicaAnswer,
    SecondOpinionNeed,
    StateAnswer,
    StateNeed,
    StatusListAnswer,
    StatusListNeed,
    Strength,
    TransactionAnswer,
    TransactionNeed,
)
from node.core.verify.report import Report
from node.core.verify.verifier import Verifier
from node.outbound.chain import ChainClient
from node.outbound.didkit import Didkit
from node.outbound.fetch import KEY_SET, STATUS_LIST, fetch_json, fetch_json_or_token
from node.outbound.http import Egress
from node.outbound.resolve import RegistryEndpoint, resolve_did

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
    ) -> None:
        self._egress = egress
        self._didkit = didkit
        self._replica = replica
        self._verifier = verifier
        self._now = now
        self._limit = asyncio.Semaphore(MAX_AT_ONCE)
        self._clients: dict[int, ChainClient | Missing] | None = None
        self._opening = asyncio.Lock()

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
        client = await self._client(need.chain_id)
        newest = await client.finalized()
        heights = [height for height in need.heights if height <= newest.number]
        headers = [newest if height == newest.number else await client.header(height) for height in heights]
        hashes = {header.number: header.hash for header in headers}
        return HeaderAnswer(newest, hashes, f"the endpoint {client.host}", Strength.ONE_ENDPOINT)

    async def _state(self, need: StateNeed) -> StateAnswer:
        client = await self._client(need.chain_id)
        nodes = await client.proof_nodes(need.address, need.slots, need.block_hash)
        return StateAnswer(nodes, f"the endpoint {client.host}")

    async def _document(self, need: DocumentNeed) -> DocumentAnswer:
        registries = {}
        method, _ = parse_did(need.did)
        if method == "ethr":
            for chain_id, network in self._networks().items():
                client = (await self._open()).get(chain_id)
                if isinstance(client, ChainClient):
                    registries[chain_id] = RegistryEndpoint(client, network.did_registry)
        found = await resolve_did(need.did, now=self._now, egress=self._egress, registries=registries)
        source = "the events of its registry, by one endpoint's word" if registries else "its own web site"
        return DocumentAnswer(found.document, agreed=method != "ethr", source=source, versions=found.history)

    async def _key_set(self, need: KeySetNeed) -> KeySetAnswer:
        found = await fetch_json(self._egress, need.url, purpose=KEY_SET)
        return KeySetAnswer(found.document, found.url)

    async def _status_list(self, need: StatusListNeed) -> StatusListAnswer:
        content, url = await fetch_json_or_token(self._egress, need.url, purpose=STATUS_LIST)
        return StatusListAnswer(content, url)

    async def _transaction(self, need: TransactionNeed) -> TransactionAnswer:
        client = await self._client(need.chain_id)
        found, header = await client.final_transaction(need.transaction_id)
        time = from_unix(header.timestamp)
        return TransactionAnswer(found, header.number, time, f"the endpoint {client.host}")

    def _networks(self) -> dict[int, Network]:
        return {**self._verifier.networks.ours, **self._verifier.networks.operator}

    async def _client(self, chain_id: int) -> ChainClient:
        client = (await self._open()).get(chain_id)
        if client is None:
            raise Unavailable(f"no endpoint that answers is of the chain eip155:{chain_id}")
        if isinstance(client, Missing):
            raise Unavailable(client.reason)
        return client

    async def _open(self) -> dict[int, ChainClient | Missing]:
        """The endpoints by the chain that they say they are of, asked once a report."""
        async with self._opening:
            if self._clients is None:
                found: dict[int, ChainClient | Missing] = {}
                for url in self._egress.policy.endpoints:
                    await self._add(found, url)
                self._clients = found
            return self._clients

    async def _add(self, found: dict[int, ChainClient | Missing], url: str) -> None:
        try:
            client = self._egress.chain(url)
            chain_id = await client.chain_id()
            network = self._networks().get(chain_id)
            if network is not None and await client.genesis_hash() != network.genesis:
                reason = f"{client.host} has the number of the chain {network.name}, but another genesis"
                found.setdefault(chain_id, Missing(reason))
            elif not isinstance(found.get(chain_id), ChainClient):
                found[chain_id] = client
        except BonafidesError as error:
            # Which chain it would have been of is not known: every chain without an endpoint hears of it.
            for chain_id in self._networks():
                found.setdefault(chain_id, Missing(error.detail))


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
) -> Report:
    """Fetch what is needed, as far as mode and egress allow, and judge. `egress` is for this report alone.

    `work` runs the judging, which is arithmetic and may be long: a server has it done in another thread, and gives all
    its reports one `didkit`.
    """
    materials = Materials.none()
    gatherer = Gatherer(egress, verifier, now=now, didkit=didkit or Didkit(), replica=replica)
    for _ in range(MAX_ROUNDS):
        found = await work(
            partial(engine.attempt, intake, materials, verifier, now=now, as_of=as_of, asked=asked)
        )
        if isinstance(found, Report):
            return found
        materials = materials.extended(await gatherer.answer(found), gatherer.contacted)
    return await work(partial(engine.verify, intake, materials, verifier, now=now, as_of=as_of, asked=asked))
