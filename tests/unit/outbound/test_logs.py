"""Ranges of logs follow what an endpoint answers: all is read, nothing twice, and one that is down is given up."""

from __future__ import annotations

from typing import Any

import pytest
from fixtures.chain import RunningChain
from fixtures.lying_chain import LyingChain, errors, log_limits, only

from node.core.did.ethr import OWNER_CHANGED
from node.core.errors import Unavailable
from node.outbound import logs
from node.outbound.chain import ChainClient
from node.outbound.logs import LogRange, read_logs

REGISTRY = bytes(19) + b"\x01"


async def spans(endpoint: LyingChain, last: int, width: LogRange | None = None) -> list[int]:
    async with ChainClient(endpoint.url) as client:
        return [end async for end, _ in read_logs(client, REGISTRY, [OWNER_CHANGED], 1, last, width)]


def ranges(endpoint: LyingChain) -> list[Any]:
    queries = [params[0] for method, params in endpoint.asked if method == "eth_getLogs"]
    return [(int(one["fromBlock"], 16), int(one["toBlock"], 16)) for one in queries]


async def test_one_that_sets_no_limit_is_asked_once(devchain: RunningChain) -> None:
    with LyingChain(devchain.url) as endpoint:
        assert await spans(endpoint, 3) == [3]
        assert ranges(endpoint) == [(1, 3)]


async def test_a_range_that_is_refused_is_halved_and_later_widened(devchain: RunningChain) -> None:
    width = LogRange()
    with LyingChain(devchain.url) as endpoint:
        endpoint.tell(log_limits(blocks=3))
        ends = await spans(endpoint, 50, width)
        assert ends[-1] == 50
        assert ends == sorted(set(ends))  # each block in one part
        asked = ranges(endpoint)
        assert asked[:5] == [(1, 50), (1, 25), (1, 12), (1, 6), (1, 3)]
        assert (25, 30) in asked  # tried again after eight that were answered
        endpoint.be_honest()
        kept = width.blocks
        assert await spans(endpoint, 2 * kept, width) == [kept, 2 * kept]  # from one reading to the next


async def test_one_that_answers_a_block_at_a_time_is_given_up(
    devchain: RunningChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logs, "MAX_REQUESTS", 20)
    with LyingChain(devchain.url) as endpoint:
        endpoint.tell(log_limits(blocks=1))
        with pytest.raises(Unavailable, match=rf"{endpoint.host} answers for so few .* of 1000\Z"):
            await spans(endpoint, 1000)
        assert len(ranges(endpoint)) == 20
        assert await spans(endpoint, 8) == [*range(1, 9)], "what is enough is no error"


async def test_one_that_answers_nothing_is_given_up(devchain: RunningChain) -> None:
    with LyingChain(devchain.url) as endpoint:
        endpoint.tell(only(errors(), "eth_getLogs"))
        with pytest.raises(Unavailable):
            await spans(endpoint, 1000)
        assert len(ranges(endpoint)) < 20
