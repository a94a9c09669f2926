"""State proofs for holders who run no endpoint: any node with endpoints gives them to anybody (FORMATS.md section 7).

What is public already is proven, of registries in our own table and of nothing else; it is checked before it goes out.
A header is looked for again after some seconds, and what was proven at it is kept, so that many who ask cost the
endpoints little.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, TypeVar

from node.core.bundle import BundleHop, BundleState
from node.core.errors import Malformed, NotFound, Refused
from node.core.evm.network import Network
from node.core.problem import ours
from node.outbound.proofs import Height, ProofSource, Target

OpenProofSource = Callable[[], AbstractAsyncContextManager[ProofSource]]
"""A source for one question, with its limits; closed afterwards."""

# A block comes every 12 seconds on mainnet, and one becomes final every six minutes.
HEADER_SECONDS: Final = 5.0
MAX_AT_ONCE: Final = 8
MAX_WAITING: Final = 64
# A proof has some ten kilobytes.
_MAX_KEPT: Final = 512

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class TooBusy(Refused):
    """More proofs are being made than a node makes at a time."""

    default_type = ours("too-many-requests")


class Prover:
    """Makes proofs for whoever asks, of the registries of `networks`. `clock` counts seconds."""

    def __init__(
        self,
        networks: Mapping[int, Network],
        open_source: OpenProofSource,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._networks = networks
        self._open = open_source
        self._clock = clock
        self._targets: _Kept[tuple[int, Height], tuple[float, Target]] = _Kept()
        self._states: _Kept[tuple[bytes, tuple[bytes, ...]], BundleState] = _Kept()
        self._hops: _Kept[tuple[bytes, int], BundleHop] = _Kept()
        self._at_once = asyncio.Semaphore(MAX_AT_ONCE)
        self._waiting = 0

    async def state(self, chain_id: int, account: bytes, slots: Sequence[bytes], at: Height) -> BundleState:
        """Slots of a CredentialRegistry, proven at a final header.

        NotFound for an account that is none of the table; Unavailable where the chain cannot be asked.
        """
        network = self._network(chain_id)
        if account != network.credential_registry:
            raise NotFound(f"{network.chain} has no registry at this address, as far as is known here")
        target = await self._target(network, at)
        asked = tuple(dict.fromkeys(slots))
        key = (target.header.hash, asked)
        return self._states.get(key) or self._states.put(
            key, await self._ask(lambda source: source.state(target, asked))
        )

    async def hop(self, chain_id: int, number: int, at: Height) -> BundleHop:
        """The hash of block `number`, proven at a final header; errors as of `state`.

        Malformed for a block that is not before the height that is asked for, NotFound for one that is too old.
        """
        if isinstance(at, int) and number >= at:
            raise Malformed(f"a hop leads to a later block than {number}", path=("from",))
        target = await self._target(self._network(chain_id), at)
        key = (target.header.hash, number)
        return self._hops.get(key) or self._hops.put(
            key, await self._ask(lambda source: source.hop(target, number))
        )

    def _network(self, chain_id: int) -> Network:
        network = self._networks.get(chain_id)
        if network is None:
            raise NotFound("this chain is not known here")
        return network

    async def _target(self, network: Network, at: Height) -> Target:
        key = (network.chain_id, at)
        known = self._targets.get(key)
        if known is not None and self._clock() - known[0] < HEADER_SECONDS:
            return known[1]
        found = await self._ask(lambda source: source.target(network, at))
        return self._targets.put(key, (self._clock(), found))[1]

    async def _ask(self, question: Callable[[ProofSource], Awaitable[V]]) -> V:
        if self._waiting >= MAX_WAITING:
            raise TooBusy("too many proofs are being made: ask again", code="slow_down")
        self._waiting += 1
        try:
            async with self._at_once, self._open() as source:
                return await question(source)
        finally:
            self._waiting -= 1


class _Kept(Generic[K, V]):
    """The newest of what was found; what was not asked for longest goes first."""

    def __init__(self) -> None:
        self._known: OrderedDict[K, V] = OrderedDict()

    def get(self, key: K) -> V | None:
        if key not in self._known:
            return None
        self._known.move_to_end(key)
        return self._known[key]

    def put(self, key: K, value: V) -> V:
        self._known[key] = value
        while len(self._known) > _MAX_KEPT:
            self._known.popitem(last=False)
        return value
