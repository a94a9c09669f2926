"""`GET /proofs/…`: state proofs for holders, on the issuer's node and on any verifier's with endpoints.

    GET /proofs/{chain}/{registry}?slots=0x…,0x…&at=series|newest|NUMBER    {"chain", "block", "state"}
    GET /proofs/{chain}/hop?from=NUMBER&at=series|newest|NUMBER             {"chain", "block", "hop"}

`chain` is a CAIP-2 identifier, `registry` an address; `slots` are at most 24, 32 bytes each. `state` and `hop` are
those of a bundle (FORMATS.md section 7). Without slots the account alone is proven, which tells the header. Pages may
call it: nothing rests on cookies, and nothing is told that the chain does not tell everybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from node.core.encoding import decode_hex
from node.core.errors import Malformed
from node.core.evm.header import parse_header
from node.core.evm.network import format_chain, parse_chain
from node.core.members import within
from node.core.strict_json import MAX_INTEGER, JsonObject
from node.outbound.proofs import MAX_SLOTS, At, Height
from node.services.proofs import Prover
from node.web.app import add_public_routes
from node.web.problems import json_response

_NUMBER: Final = re.compile(r"(?:0|[1-9][0-9]{0,15})\Z")


def add_proof_routes(app: web.Application, prover: Prover, base: str = "") -> None:
    """Serve `prover` below `base`."""
    routes = _Routes(prover)
    add_public_routes(
        app,
        [
            web.get(f"{base}/proofs/{{chain}}/hop", routes.hop),
            web.get(f"{base}/proofs/{{chain}}/{{registry}}", routes.state),
        ],
    )


class _Routes:
    def __init__(self, prover: Prover) -> None:
        self._prover = prover

    async def state(self, request: web.Request) -> web.Response:
        query = _query(request, {"slots", "at"})
        with within("registry"):
            registry = decode_hex(request.match_info["registry"].lower(), 20)
        chain_id, slots, at = _chain(request), _slots(query.get("slots", "")), _height(query)
        found = await self._prover.state(chain_id, registry, slots, at)
        return _answer(chain_id, found.header, {"state": found.to_json()})

    async def hop(self, request: web.Request) -> web.Response:
        query = _query(request, {"from", "at"})
        chain_id, number, at = _chain(request), _block(query.get("from", ""), "from"), _height(query)
        found = await self._prover.hop(chain_id, number, at)
        return _answer(chain_id, found.header, {"hop": found.to_json()})


def _answer(chain_id: int, header: bytes, proof: JsonObject) -> web.Response:
    return json_response({"chain": format_chain(chain_id), "block": parse_header(header).number, **proof})


def _query(request: web.Request, known: set[str]) -> Mapping[str, str]:
    for name in request.query:
        if name not in known or len(request.query.getall(name)) > 1:
            raise Malformed(f"the parameters are {' and '.join(sorted(known))}, each once", path=(name,))
    return request.query


def _chain(request: web.Request) -> int:
    return parse_chain(request.match_info["chain"])


def _slots(text: str) -> tuple[bytes, ...]:
    texts = text.split(",") if text else []
    if len(texts) > MAX_SLOTS:
        raise Malformed(f"at most {MAX_SLOTS} slots are proven at a time", path=("slots",))
    with within("slots"):
        return tuple(decode_hex(one, 32) for one in texts)


def _height(query: Mapping[str, str]) -> Height:
    text = query.get("at", At.SERIES)
    return At(text) if text in list(At) else _block(text, "at")


def _block(text: str, name: str) -> int:
    if not _NUMBER.match(text) or int(text) > MAX_INTEGER:
        raise Malformed("expected the number of a block", path=(name,))
    return int(text)
