"""Logs of many blocks from one endpoint, in ranges as wide as it answers.

Endpoints limit how many blocks or logs one `eth_getLogs` may span, each in its own way and words: a range that is
refused is halved, and after some that were answered a wider one is tried again. Nothing is believed here.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final

from node.core.errors import Unavailable
from node.core.strict_json import JsonObject
from node.outbound.chain import ChainClient

_WIDEST: Final = 1 << 48
_GROW_AFTER: Final = 8
_REFUSALS: Final = 3
# A hundred million blocks at a thousand a request: hours of asking. An endpoint that answers a block at a time would
# else hold a reading for as long as its chain is.
MAX_REQUESTS: Final = 100_000


@dataclass(slots=True)
class LogRange:
    """How many blocks an endpoint answers at once; kept from one reading to the next."""

    blocks: int = _WIDEST
    _good: int = 0

    def answered(self) -> None:
        """A range of this width was answered."""
        self._good += 1
        if self._good >= _GROW_AFTER:
            self.blocks, self._good = min(_WIDEST, self.blocks * 2), 0

    def refused(self, blocks: int) -> None:
        """A range of so many blocks was not."""
        self.blocks, self._good = max(1, blocks // 2), 0


async def read_logs(
    client: ChainClient,
    address: bytes,
    topics: Sequence[bytes | Sequence[bytes] | None],
    first: int,
    last: int,
    width: LogRange | None = None,
) -> AsyncGenerator[tuple[int, list[JsonObject]], None]:
    """The logs of `address` in blocks `first` to `last`, part by part: each with the last block that it covers.

    Topics as of `ChainClient.logs`. Unavailable where the endpoint does not answer for a single block either, or for
    so few at once that it takes more than MAX_REQUESTS.
    """
    width = width or LogRange()
    at, refusals, requests = first, 0, 0
    while at <= last:
        if requests == MAX_REQUESTS:
            few = f"so few blocks at once that {requests} requests reach only block {at - 1} of {last}"
            raise Unavailable(f"chain endpoint {client.host} answers for {few}", asked=client.host)
        requests += 1
        end = min(last, at + width.blocks - 1)
        try:
            logs = await client.logs(address, topics, from_block=at, to_block=end)
        except Unavailable:
            # One that is down refuses a single block as well: that ends it.
            refusals = refusals + 1 if at == end else 0
            if refusals == _REFUSALS:
                raise
            width.refused(end - at + 1)
            continue
        refusals = 0
        width.answered()
        yield end, logs
        at = end + 1
