"""The demo's endpoint that lies: what it hides, and that all else is the chain's own word."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fixtures.chain import RunningChain

from node.core.errors import Unavailable
from node.demo.endpoint import Endpoint
from node.demo.stage import http

Open = Callable[..., Endpoint]


@pytest.fixture
def opened(devchain: RunningChain) -> Iterator[Open]:
    every: list[Endpoint] = []

    def open_one(**options: Any) -> Endpoint:
        every.append(Endpoint(devchain.url, **options))
        return every[-1]

    yield open_one
    for endpoint in every:
        endpoint.close()


def ask(url: str, *asked: tuple[str, list[Any]]) -> list[Any]:
    requests = [
        {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        for number, (method, params) in enumerate(asked)
    ]
    _, body = http("POST", url, json.dumps(requests).encode())
    return [answer["result"] for answer in json.loads(body)]


def blocks(url: str, *which: str) -> list[Any]:
    return ask(url, *(("eth_getBlockByNumber", [one, False]) for one in which))


def test_an_honest_one_says_what_the_chain_says(devchain: RunningChain, opened: Open) -> None:
    asked = [("eth_chainId", []), ("eth_getBlockByNumber", ["0x1", False])]
    assert ask(opened().url, *asked) == ask(devchain.url, *asked)


def test_what_came_after_a_block_is_not_there_for_one_that_hides_it(
    devchain: RunningChain, opened: Open
) -> None:
    liar = opened(hides_after=1)
    first, second = blocks(devchain.url, "0x1", "0x2")
    assert blocks(liar.url, "0x0", "0x1") == blocks(devchain.url, "0x0", "0x1")
    assert blocks(liar.url, "latest", "finalized", "0x2") == [first, first, None]
    assert ask(liar.url, ("eth_blockNumber", []), ("eth_getBlockByHash", [second["hash"], False])) == [
        "0x1",
        None,
    ]


def test_what_it_proves_is_of_the_last_block_that_it_shows(devchain: RunningChain, opened: Open) -> None:
    account = devchain.network["credentialRegistry"]["address"]
    (told,) = ask(opened(hides_after=1).url, ("eth_getProof", [account, [], "latest"]))
    (true,) = ask(devchain.url, ("eth_getProof", [account, [], "0x1"]))
    assert told == true


def test_nobody_answers_at_one_that_was_closed(devchain: RunningChain) -> None:
    endpoint = Endpoint(devchain.url)
    endpoint.close()
    with pytest.raises(Unavailable, match="nobody answers"):
        http("POST", endpoint.url, b"[]")


def test_one_whose_chain_is_gone_says_so(devchain: RunningChain, opened: Open) -> None:
    gone = Endpoint(devchain.url)
    gone.close()
    endpoint = Endpoint(gone.url)
    try:
        assert http("POST", endpoint.url, b"[]")[0] == 502
    finally:
        endpoint.close()
