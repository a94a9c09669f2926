"""One HTTP exchange of a protocol: a request through the egress guard, an answer, a refusal in the server's words.

The hosts are named by an offer or a request that somebody gave the holder, so every URL is one that a document names:
https on port 443 to public addresses, no redirects; `--development` admits loopback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final
from urllib.parse import urlencode, urlsplit

import orjson

from node.core.errors import BonafidesError, Malformed, Unavailable
from node.core.evm.agreement import Endpoints
from node.core.strict_json import JsonObject, parse_json_object
from node.core.verify.materials import Mode
from node.outbound.http import Answer, Egress, EgressLimits, EgressPolicy

_JSON: Final = "application/json"
_FORM: Final = "application/x-www-form-urlencoded"
# A bundle may hold a gigabyte of evidence by its own limits; no wallet takes that in one answer.
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
# Waiting for a batch to become final takes as long as the holder is willing to wait.
_LIMITS: Final = EgressLimits(
    requests=1000, total_bytes=256 * 1024 * 1024, total_seconds=None, request_bytes=MAX_ANSWER_BYTES
)

ErrorReader = Callable[..., BonafidesError]


def open_egress(
    *,
    endpoints: Endpoints = Endpoints(),  # noqa: B008 - frozen
    nodes: Sequence[str] = (),
    development: bool = False,
) -> Egress:
    """The guard of one command; `nodes` are those that the holder named beside the endpoints."""
    policy = EgressPolicy(
        Mode.FULL, endpoints, mirrors=tuple(nodes), allow_loopback=development, limits=_LIMITS
    )
    return Egress(policy)


class Exchange:
    """Requests of one protocol; `read_error` turns an answer that is no success into the error to raise."""

    def __init__(self, egress: Egress, read_error: ErrorReader) -> None:
        self._egress = egress
        self._read_error = read_error

    async def get(
        self,
        url: str,
        *,
        token: str | None = None,
        accept: str = _JSON,
        expected: Sequence[int] = (200,),
        max_bytes: int = 1024 * 1024,
    ) -> Answer:
        """The answer to GET, of an expected status."""
        return await self._ask("GET", url, {"Accept": accept, **_bearer(token)}, None, expected, max_bytes)

    async def post_form(
        self, url: str, form: Mapping[str, str], *, expected: Sequence[int] = (200,)
    ) -> Answer:
        """The answer to a form."""
        headers = {"Accept": _JSON, "Content-Type": _FORM}
        return await self._ask("POST", url, headers, urlencode(form).encode(), expected, 1024 * 1024)

    async def post_json(
        self,
        url: str,
        body: JsonObject | None,
        *,
        token: str | None = None,
        expected: Sequence[int] = (200,),
        max_bytes: int = 1024 * 1024,
    ) -> Answer:
        """The answer to a JSON object, or to an empty body."""
        headers = {"Accept": _JSON, **_bearer(token)}
        data = b""
        if body is not None:
            headers["Content-Type"] = _JSON
            data = orjson.dumps(body)
        return await self._ask("POST", url, headers, data, expected, max_bytes)

    async def _ask(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        expected: Sequence[int],
        max_bytes: int,
    ) -> Answer:
        answer = await self._egress.request(method, url, headers=headers, body=body, max_bytes=max_bytes)
        if answer.status in expected:
            return answer
        if 300 <= answer.status < 400:
            raise Unavailable(
                "the server wants to send us elsewhere, which is not followed", asked=host_of(url)
            )
        raise self._read_error(answer.status, answer.body, asked=host_of(url))


def json_of(answer: Answer) -> JsonObject:
    """The JSON object that was answered; Malformed with the host where it is none."""
    if answer.content_type != _JSON and not answer.content_type.endswith("+json"):
        raise Malformed(
            f"{host_of(answer.url)} answered with {answer.content_type or 'nothing'} instead of JSON"
        )
    try:
        return parse_json_object(answer.body, max_bytes=MAX_ANSWER_BYTES)
    except Malformed as error:
        raise Malformed(f"the answer of {host_of(answer.url)} is {error.detail}") from error


def host_of(url: str) -> str:
    """The host and port of a URL, which is what a person is shown."""
    return urlsplit(url).netloc


def _bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
