"""The base path `/suite`: the VC API as the interoperability suites of the W3C expect it. Off by default.

Where it differs from VCALM 1.0: what does not verify is 400, as any other status is a success to the suites' client;
options that nobody knows are passed over; presentations are judged by their proofs alone. With keys it issues, presents
and keeps statuses too (`node.services.suite`). `GET /suite` is the manifest that the suites read.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import web

from node.core.errors import Malformed
from node.core.status.entry import REVOCATION
from node.core.strict_json import Json, JsonObject
from node.services.suite.issuers import SuiteIssuers
from node.services.suite.manifest import suite_manifest
from node.web.app import read_json_object
from node.web.problems import json_response
from node.web.vc_api import REFUSED, VcApi, json_object, refused_for_suites

BASE: Final = "/suite"
# What is issued is remembered, so that it had better not be large.
MAX_ISSUED_BYTES: Final = 128 * 1024


class SuiteApi:
    """The routes under `/suite`; without issuers, the verifying ones alone."""

    def __init__(self, verifying: VcApi, issuers: SuiteIssuers | None, url: str) -> None:
        self._verifying = verifying
        self._issuers = issuers
        self._url = url

    def routes(self) -> list[web.RouteDef]:
        """All of them."""
        routes = [web.get(BASE, self.manifest), *self._verifying.routes(BASE)]
        if self._issuers is not None:
            issuing = _Issuing(self._issuers)
            routes += [
                web.post(f"{BASE}/credentials/issue", issuing.issue),
                web.post(f"{BASE}/{{securing}}/credentials/issue", issuing.issue),
                web.post(f"{BASE}/credentials/status", _telling(issuing.set_status)),
                web.get(f"{BASE}/credentials/{{id}}", issuing.credential),
                web.delete(f"{BASE}/credentials/{{id}}", issuing.forget),
                web.post(f"{BASE}/presentations", _telling(issuing.present)),
                web.post(f"{BASE}/presentations/prove", _telling(issuing.present)),
                web.post(f"{BASE}/status-lists", _telling(issuing.open_list)),
                web.get(f"{BASE}/status-lists/{{name}}", issuing.status_list),
            ]
        return routes

    async def manifest(self, _request: web.Request) -> web.Response:
        """What the suites read as their `localConfig`: this implementation with its issuers and addresses."""
        keys = self._issuers.keys if self._issuers is not None else ()
        return json_response(suite_manifest(self._url + BASE, keys))


class _Issuing:
    def __init__(self, issuers: SuiteIssuers) -> None:
        self._issuers = issuers

    async def issue(self, request: web.Request) -> web.Response:
        """`POST /credentials/issue`; a cryptosuite or token format in the path is for requests that name none."""
        body = await read_json_object(request, MAX_ISSUED_BYTES)
        try:
            options = {**_secured_by(request), **_options(body)}
            secured = await self._issuers.issue(json_object(body, "credential"), options)
        except REFUSED as error:
            return refused_for_suites(error)
        return json_response({"verifiableCredential": secured}, status=201)

    async def present(self, body: JsonObject) -> web.Response:
        """`POST /presentations`."""
        secured = await self._issuers.present(json_object(body, "presentation"), _options(body))
        return json_response({"verifiablePresentation": secured}, status=201)

    async def credential(self, request: web.Request) -> web.Response:
        """`GET /credentials/{id}`."""
        return json_response(self._issuers.credential(request.match_info["id"]))

    async def forget(self, request: web.Request) -> web.Response:
        """`DELETE /credentials/{id}`."""
        self._issuers.forget(request.match_info["id"])
        return web.Response(status=202)

    async def set_status(self, body: JsonObject) -> web.Response:
        """`POST /credentials/status`, as VCALM has it and as its predecessor had."""
        identifier, wanted = body.get("credentialId"), body.get("credentialStatus")
        if not isinstance(identifier, str):
            raise Malformed("credentialId is required and is a text", path=("credentialId",))
        entry = wanted[0] if isinstance(wanted, list) and len(wanted) == 1 else wanted
        if not isinstance(entry, dict):
            raise Malformed("credentialStatus is required and is an object", path=("credentialStatus",))
        purpose = entry.get("statusPurpose", REVOCATION)
        self._issuers.set_status(identifier, purpose, _status(body.get("status", entry.get("status"))))
        return json_response({})

    async def open_list(self, body: JsonObject) -> web.Response:
        """`POST /status-lists`."""
        url = self._issuers.open_list(body.get("statusPurpose"))
        return json_response({"id": url}, status=201, headers={"Location": url})

    async def status_list(self, request: web.Request) -> web.Response:
        """`GET /status-lists/{name}`."""
        return json_response(await self._issuers.status_list(request.match_info["name"]))


def _secured_by(request: web.Request) -> JsonObject:
    named = request.match_info.get("securing")
    if named is None:
        return {}
    return {"proofFormat": named} if "+" in named else {"cryptosuite": named}


def _options(body: JsonObject) -> JsonObject:
    options = body.get("options")
    if options is None:
        return {}
    if not isinstance(options, dict):
        raise Malformed("options is an object", path=("options",))
    return options


def _status(value: Json) -> bool:
    if value in (True, False):
        return bool(value)
    if value in ("0", "1"):
        return bool(int(value))
    raise Malformed("status is true or false", path=("status",))


def _telling(
    handler: Callable[[JsonObject], Awaitable[web.Response]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Read the body; what is wrong with it is told as the suites read it."""

    async def handle(request: web.Request) -> web.Response:
        body = await read_json_object(request, MAX_ISSUED_BYTES)
        try:
            return await handler(body)
        except REFUSED as error:
            return refused_for_suites(error)

    return handle
