"""web3's way to a chain: through our client, with its limits and its record of hosts.

For whoever needs web3's own interface; sending and reading do without it, since importing it takes two seconds.
"""

from __future__ import annotations

from typing import Any, cast

from web3 import AsyncWeb3
from web3.providers import AsyncBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from node.core.errors import Unavailable
from node.outbound.chain import ChainClient


class ChainProvider(AsyncBaseProvider):
    """web3's way to a chain: through our client, with its limits and its record of hosts."""

    def __init__(self, client: ChainClient) -> None:
        super().__init__()
        self._client = client

    async def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        return cast("RPCResponse", await self._client.exchange(method, params))

    async def is_connected(self, show_traceback: bool = False) -> bool:  # noqa: ARG002 - web3's signature
        try:
            await self._client.client_version()
        except Unavailable:
            return False
        return True


def web3_on(client: ChainClient) -> AsyncWeb3[ChainProvider]:
    """web3's own interface to the chain behind `client`."""
    return AsyncWeb3(ChainProvider(client))
