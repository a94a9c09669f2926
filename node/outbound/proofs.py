"""Fresh state proofs for holders, out of chain endpoints or of a node that has some (FORMATS.md section 7).

One protocol, `ProofSource`, two sources. What they give is checked against its header here; that the header is the
chain's is the word of those who were asked, and `HeaderAnswer.source` says whose.

A hop (EIP-2935) proves the hash of an older block under a newer one. It names a block and nothing that is held, so that
nobody learns from it what a holder has.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

from node.core.bundle import BundleHop, BundleState, parse_state
from node.core.encoding import encode_hex
from node.core.errors import NotFound, Unavailable
from node.core.evm.header import Header, parse_header
from node.core.evm.network import Network
from node.core.evm.registry import HISTORY_ADDRESS, HISTORY_BLOCKS, history_slot
from node.core.evm.state_proof import prove_history, prove_slots
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Strength
from node.outbound.blame import blaming
from node.outbound.chain import ChainClient
from node.outbound.fetch import STATE_PROOF, fetch_json
from node.outbound.headers import Voices
from node.outbound.http import Egress, NamedBy

# A URL of 2,048 characters holds as many slots. More are asked for in parts.
MAX_SLOTS: Final = 24


class At(StrEnum):
    """At which final block a proof is made."""

    SERIES = "series"
    """The newest whose number is a multiple of the network's step: the form to keep."""
    NEWEST = "newest"
    """The newest of all, for verifiers that ask an endpoint."""


Height = At | int
"""A name for a final block, or its number."""


@dataclass(frozen=True, slots=True)
class Target:
    """A final header that proofs are made at, and by whose word it is final."""

    network: Network
    header: Header
    answer: HeaderAnswer

    def check_state(self, nodes: Sequence[bytes], slots: Sequence[bytes]) -> None:
        """NotVerified or Malformed unless `nodes` prove `slots` of the table's registry, and nothing else."""
        proven = prove_slots(self.header, nodes, self.network.credential_registry, slots)
        proven.require_code(self.network.code_hash)

    def check_reach(self, number: int) -> None:
        """Whether a hop leads from block `number` to this one; NotFound where none ever will, to no later one either.

        Unavailable where `number` is not before this block: it will be before a later one.
        """
        if not self.network.eip2935:
            raise NotFound(f"{self.network.name} keeps no history of block hashes (EIP-2935)")
        if number >= self.header.number:
            raise Unavailable(
                f"block {number} is not before {self.header.number}, to which the hop would lead"
            )
        if self.header.number - number > HISTORY_BLOCKS:
            raise NotFound(
                f"no hop leads from block {number}: it is not among the {HISTORY_BLOCKS:,} before "
                f"{self.header.number}"
            )


class ProofSource(Protocol):
    """Somebody who gives proofs. All methods raise Unavailable, the host named, where there are none."""

    async def target(self, network: Network, at: Height) -> Target:
        """The header to prove at."""
        ...

    async def state(self, target: Target, slots: Sequence[bytes]) -> BundleState:
        """Slots of the network's CredentialRegistry, proven at the target."""
        ...

    async def hop(self, target: Target, number: int) -> BundleHop:
        """The hash of an older block, proven at the target; NotFound where it is too old for a hop."""
        ...


class EndpointProofs:
    """Proofs out of chain endpoints, for one report or command; `voices` are those of a chain by its number."""

    def __init__(self, voices: Callable[[int], Voices]) -> None:
        self._voices = voices

    async def target(self, network: Network, at: Height) -> Target:
        """As a majority of operators says."""
        voices = self._voices(network.chain_id)
        newest = (await voices.newest()).value
        number = _number(network, newest, at)
        answer = await voices.header(HeaderNeed(network.chain_id, (number,)))
        digest = answer.hashes.get(number)
        if digest is None:
            raise Unavailable(f"too few endpoints name the same block {number}")
        if digest == newest.hash:
            return Target(network, newest, answer)
        header, _ = await voices.read(lambda client: client.header(digest))
        return Target(network, header, answer)

    async def state(self, target: Target, slots: Sequence[bytes]) -> BundleState:
        """Of the first endpoint whose proof holds."""

        async def ask(client: ChainClient) -> tuple[bytes, ...]:
            address, block = target.network.credential_registry, target.header.hash
            nodes = await client.proof_nodes(address, slots, block)
            with blaming(client.host):
                target.check_state(nodes, slots)
            return nodes

        nodes, _ = await self._voices(target.network.chain_id).read(ask)
        return BundleState(target.header.raw, nodes)

    async def hop(self, target: Target, number: int) -> BundleHop:
        """Of the first endpoint whose proof holds."""
        target.check_reach(number)

        async def ask(client: ChainClient) -> tuple[bytes, ...]:
            nodes = await client.proof_nodes(HISTORY_ADDRESS, [history_slot(number)], target.header.hash)
            with blaming(client.host):
                prove_history(target.header, nodes, number)
            return nodes

        nodes, _ = await self._voices(target.network.chain_id).read(ask)
        return BundleHop(target.header.raw, nodes)


def _number(network: Network, newest: Header, at: Height) -> int:
    if at is At.SERIES:
        return network.last_of_series(newest.number)
    if at is At.NEWEST:
        return newest.number
    if at > newest.number:
        raise Unavailable(f"block {at} is not final yet: the newest that is has the number {newest.number}")
    return int(at)


class NodeProofs:
    """Proofs from a node that gives them to anybody (`GET /proofs/…`), at `base`.

    Which slots are asked for tells that node what is held. The header is its word alone.
    """

    def __init__(self, egress: Egress, base: str, *, named_by: NamedBy) -> None:
        self._egress = egress
        self._base = base.rstrip("/")
        self._named_by = named_by
        self._host = urlsplit(base).netloc.rpartition("@")[2]

    async def target(self, network: Network, at: Height) -> Target:
        """The header that it calls final, and the newest that it does, by which one sees whether it lags."""
        header, _ = await self._ask(network, (), at)
        newest = header if at is At.NEWEST else (await self._ask(network, (), At.NEWEST))[0]
        found = {one.number: one.hash for one in (newest, header)}
        answer = HeaderAnswer(newest, found, f"the node {self._host}", Strength.ONE_ENDPOINT)
        return Target(network, header, answer)

    async def state(self, target: Target, slots: Sequence[bytes]) -> BundleState:
        """In parts, all at the one header."""
        pool: dict[bytes, None] = {}
        for at in range(0, len(slots), MAX_SLOTS):
            header, nodes = await self._ask(target.network, slots[at : at + MAX_SLOTS], target.header.number)
            self._check_header(target, header)
            pool |= dict.fromkeys(nodes)
        with blaming(self._host):
            target.check_state(tuple(pool), slots)
        return BundleState(target.header.raw, tuple(pool))

    async def hop(self, target: Target, number: int) -> BundleHop:
        """By the target's number."""
        target.check_reach(number)
        query = {"from": number, "at": target.header.number}
        header, nodes = await self._get(f"{target.network.chain}/hop", "hop", query)
        self._check_header(target, header)
        with blaming(self._host):
            prove_history(target.header, nodes, number)
        return BundleHop(target.header.raw, nodes)

    async def _ask(
        self, network: Network, slots: Sequence[bytes], at: Height
    ) -> tuple[Header, tuple[bytes, ...]]:
        query = {"slots": ",".join(map(encode_hex, slots)), "at": at}
        path = f"{network.chain}/{encode_hex(network.credential_registry)}"
        return await self._get(path, "state", query)

    async def _get(
        self, path: str, member: str, query: Mapping[str, object]
    ) -> tuple[Header, tuple[bytes, ...]]:
        url = f"{self._base}/{path}?{urlencode(query, safe=',')}"
        answer = await fetch_json(self._egress, url, purpose=STATE_PROOF, named_by=self._named_by)
        with blaming(self._host):
            state = parse_state(answer.document.get(member))
            return parse_header(state.header), state.nodes

    def _check_header(self, target: Target, header: Header) -> None:
        if header.hash != target.header.hash:
            raise Unavailable(
                f"{self._host} gives another block {header.number} than before", asked=self._host
            )
