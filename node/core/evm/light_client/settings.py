"""Which light clients an operator wants: for each chain the servers to ask, and the block root to start from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from node.core.encoding import decode_hex
from node.core.errors import Malformed, Misconfigured
from node.core.evm.network import format_chain
from node.core.strict_json import MAX_INTEGER

MAX_SERVERS: Final = 16
_MAINNET: Final = 1
_OF_CHAIN: Final = re.compile(r"(?:@([1-9][0-9]{0,15})=)?(.+)\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class LightClientSettings:
    """Of one chain: base URLs of the Beacon API, which may hold a key, and the block root (32 bytes) to trust."""

    chain_id: int
    servers: tuple[str, ...] = field(repr=False)
    checkpoint: bytes


def light_client_settings(
    servers: Iterable[str], checkpoints: Iterable[str], *, with_endpoints: bool
) -> tuple[LightClientSettings, ...]:
    """From what a command line or the environment names: `[@CHAIN=]URL` and `[@CHAIN=]ROOT`, mainnet by default.

    Misconfigured where a chain has one without the other, or two roots, or where there is no JSON-RPC endpoint that
    could give a header.
    """
    urls: dict[int, list[str]] = {}
    for text in servers:
        chain_id, url = _of_chain(text)
        urls.setdefault(chain_id, []).append(_check_url(url))
    roots: dict[int, bytes] = {}
    for text in checkpoints:
        chain_id, root = _of_chain(text)
        if chain_id in roots:
            raise Misconfigured(f"two checkpoints for the light client of {format_chain(chain_id)}")
        roots[chain_id] = _root(root)
    for chain_id in sorted(urls.keys() ^ roots.keys()):
        lacks = "a checkpoint, the root of a block that you trust" if chain_id in urls else "a beacon server"
        raise Misconfigured(f"the light client of {format_chain(chain_id)} needs {lacks}")
    if sum(map(len, urls.values())) > MAX_SERVERS:
        raise Misconfigured(f"at most {MAX_SERVERS} beacon servers are asked")
    if urls and not with_endpoints:
        raise Misconfigured(
            "a light client needs a JSON-RPC endpoint, which has the headers that it knows the hash of"
        )
    return tuple(LightClientSettings(one, tuple(urls[one]), roots[one]) for one in urls)


def _of_chain(text: str) -> tuple[int, str]:
    match = _OF_CHAIN.match(text)
    chain_id = _MAINNET if match is None or match[1] is None else int(match[1])
    if match is None or chain_id > MAX_INTEGER:
        raise Misconfigured(
            "beacon servers and checkpoints are written as they are, or behind @CHAIN= with its number"
        )
    return chain_id, match[2]


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.fragment:
            return url
    except ValueError:
        pass
    raise Misconfigured("a beacon server is an http or https URL, of another chain than mainnet @CHAIN=URL")


def _root(text: str) -> bytes:
    try:
        return decode_hex(text.lower(), 32)
    except Malformed as error:
        raise Misconfigured(
            "the light client's checkpoint is a block root: 0x and 64 hex digits, of another chain than mainnet "
            "@CHAIN=ROOT"
        ) from error
