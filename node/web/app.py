"""What every application of ours has in common: limits of size and time, headers, errors, and health.

Limits are stated per application and may be narrower per route (`read_body`). Headers are strict by default: nothing
is loaded from elsewhere, nothing is framed, and no address leaks as a referrer (the URL of an offer is a secret).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final
from urllib.parse import parse_qsl

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from node.core.errors import Malformed
from node.core.strict_json import JsonObject, parse_json_object
from node.web.problems import Handler, json_response, problems_middleware

MAX_BODY_BYTES: Final = 1024 * 1024
REQUEST_SECONDS: Final = 30.0
_READ_AT_ONCE_BYTES: Final = 64 * 1024

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_SECURITY_HEADERS: Final = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_ANY_ORIGIN: Final = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Retry-After, WWW-Authenticate",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_PREFLIGHT_SECONDS: Final = "86400"

ReadyCheck = Callable[[], Awaitable[dict[str, str]]]


def make_base_app(
    *,
    max_body_bytes: int = MAX_BODY_BYTES,
    request_seconds: float = REQUEST_SECONDS,
    outermost: Iterable[Middleware] = (),
    innermost: Iterable[Middleware] = (),
) -> web.Application:
    """An application without routes, with limits, headers and problem responses.

    `outermost` see every answer, problems among them; `innermost` may raise as handlers do.
    """
    app = web.Application(
        client_max_size=max_body_bytes,
        middlewares=[*outermost, problems_middleware, _time_limit(request_seconds), *innermost],
    )
    app.on_response_prepare.append(_add_security_headers)
    return app


async def read_body(request: web.Request, max_bytes: int) -> bytes:
    """The body, or 413 as soon as it is known to be larger."""
    if (request.content_length or 0) > max_bytes:
        raise web.HTTPRequestEntityTooLarge(max_size=max_bytes, actual_size=request.content_length or 0)
    body = bytearray()
    async for piece in request.content.iter_chunked(64 * 1024):
        body += piece
        if len(body) > max_bytes:
            raise web.HTTPRequestEntityTooLarge(max_size=max_bytes, actual_size=len(body))
    return bytes(body)


async def read_json_object(request: web.Request, max_bytes: int) -> JsonObject:
    """The body as a JSON object by the strict parser; Malformed for another media type.

    The media type is required because a page elsewhere can send anything else without asking first.
    """
    if request.content_type != "application/json" and not request.content_type.endswith("+json"):
        raise Malformed("the request must be application/json")
    body = await read_body(request, max_bytes)
    parse = partial(parse_json_object, body, max_bytes=max_bytes)
    # Strict parsing takes a fifth of a second for each megabyte: the loop has others to serve.
    return await asyncio.to_thread(parse) if len(body) > _READ_AT_ONCE_BYTES else parse()


async def read_form(request: web.Request, max_bytes: int) -> dict[str, str]:
    """An `application/x-www-form-urlencoded` body; a parameter given twice is Malformed (RFC 6749 section 3.2)."""
    if request.content_type != "application/x-www-form-urlencoded":
        raise Malformed("the request must be application/x-www-form-urlencoded")
    body = await read_body(request, max_bytes)
    return (
        await asyncio.to_thread(_parse_form, body) if len(body) > _READ_AT_ONCE_BYTES else _parse_form(body)
    )


def _parse_form(body: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=32
        )
    except ValueError as error:
        raise Malformed("the form cannot be read") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise Malformed("a parameter is given twice")
    return form


def add_public_routes(app: web.Application, routes: Iterable[web.RouteDef]) -> None:
    """Routes that any page may call, since nothing of theirs rests on cookies: with answers to preflights."""
    routes = list(routes)
    paths = {route.path: {r.method for r in routes if r.path == route.path} for route in routes}
    app.add_routes([_public(route) for route in routes])
    for path, methods in paths.items():
        app.router.add_route(hdrs.METH_OPTIONS, path, _preflight(methods))


def add_health_routes(
    app: web.Application,
    check_ready: ReadyCheck,
    warn: Callable[[], Sequence[str]] = tuple,
    about: Callable[[], JsonObject] = dict,
) -> None:
    """`/health/live`: the process answers. `/health/ready`: `check_ready` names what it lacks, nothing if nothing.

    `/health` is the latter, since it is the address that one tries first. `warn` tells what does not stand in the way
    yet, `about` has members of the role's own.
    """

    async def live(_request: web.Request) -> web.Response:
        return json_response({"status": "ok"})

    async def ready(_request: web.Request) -> web.Response:
        lacking = await check_ready()
        body: JsonObject = {"status": "unavailable" if lacking else "ok", **about()}
        if lacking:
            body["lacking"] = lacking
        if warnings := list(warn()):
            body["warnings"] = warnings
        return json_response(body, status=503 if lacking else 200)

    app.add_routes(
        [web.get("/health/live", live), web.get("/health/ready", ready), web.get("/health", ready)]
    )


def _time_limit(seconds: float) -> Middleware:
    @web.middleware
    async def limit_time(request: web.Request, handler: Handler) -> web.StreamResponse:
        async with asyncio.timeout(seconds):
            return await handler(request)

    return limit_time


async def _add_security_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in _SECURITY_HEADERS.items():
        response.headers.setdefault(name, value)
    if request.secure:
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
    # The server's name and version help nobody but a scanner.
    response.headers[hdrs.SERVER] = "bonafides"


def _public(route: web.RouteDef) -> web.RouteDef:
    async def handle(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await route.handler(request)
        response.headers.update(_ANY_ORIGIN)
        return response

    return web.RouteDef(route.method, route.path, handle, dict(route.kwargs))


def _preflight(methods: set[str]) -> Handler:
    async def answer(_request: web.Request) -> web.Response:
        return web.Response(
            status=204,
            headers={
                **_ANY_ORIGIN,
                "Access-Control-Allow-Methods": ", ".join(sorted(methods)),
                "Access-Control-Allow-Headers": "Authorization, Content-Type",
                "Access-Control-Max-Age": _PREFLIGHT_SECONDS,
            },
        )

    return answer
