"""Errors to responses, here and nowhere else (STYLE: errors), in two renderings.

problem+json (RFC 9457) for our own interface and the VC API; `{"error", "error_description"}` (RFC 6749 section 5.2)
for OpenID4VCI and OpenID4VP. What nobody foresaw becomes a bare internal error with a number that the log has too:
its text may hold secrets and is not told to strangers.
"""

from __future__ import annotations

import functools
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import orjson
from aiohttp import web

from node.core.errors import (
    BonafidesError,
    Conflict,
    Malformed,
    Misconfigured,
    NotFound,
    NotVerified,
    Refused,
    Unavailable,
)
from node.core.problem import Problem, ours, pointer_of

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

log = logging.getLogger("bonafides.web")

_STATUS: Final[tuple[tuple[type[BonafidesError], int], ...]] = (
    (Malformed, 400),
    (NotVerified, 400),
    (Refused, 400),
    (NotFound, 404),
    (Conflict, 409),
    (Unavailable, 503),
    (Misconfigured, 500),
)
# RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1: codes that are not a plain 400.
_OAUTH_STATUS: Final = {
    "invalid_token": 401,
    "invalid_client": 401,
    "insufficient_scope": 403,
    "access_denied": 403,
    "not_found": 404,
    "slow_down": 429,
    "server_error": 500,
    "temporarily_unavailable": 503,
}
# What aiohttp itself refuses.
_PLAIN: Final = {
    404: ("not-found", "there is nothing at this address; a part of the link may have got lost"),
    405: ("method-not-allowed", "programs send data to this address; there is nothing to open"),
    413: ("too-large", "that is larger than this address takes"),
    415: ("unsupported-media-type", "this address does not take that kind of data"),
}
RETRY_AFTER_SECONDS: Final = 5
PROBLEM_TYPE: Final = "application/problem+json"
NO_STORE: Final = {"Cache-Control": "no-store"}


def json_response(
    body: object, *, status: int = 200, headers: Mapping[str, str] | None = None, content_type: str = ""
) -> web.Response:
    """A JSON body; nothing is stored by caches unless `headers` say otherwise."""
    return web.Response(
        body=orjson.dumps(body),
        status=status,
        headers={**NO_STORE, **(headers or {})},
        content_type=content_type or "application/json",
    )


def status_of(error: BonafidesError) -> int:
    """The HTTP status that a family stands for."""
    if isinstance(error, Refused):
        return _OAUTH_STATUS.get(error.code, 400)
    return next((status for family, status in _STATUS if isinstance(error, family)), 500)


def problem_object(problem: Problem, status: int | None = None) -> dict[str, object]:
    """A problem detail as RFC 9457 writes it; `pointer` is a JSON pointer into what was sent."""
    body: dict[str, object] = {"type": problem.type, "title": problem.title, "detail": problem.detail}
    if status is not None:
        body["status"] = status
    if problem.path:
        body["pointer"] = pointer_of(problem.path)
    return body


def problem_response(error: BonafidesError) -> web.Response:
    """The error as application/problem+json."""
    status = status_of(error)
    if isinstance(error, Misconfigured):
        # The operator's affair: a stranger learns that it is ours, not what it is.
        return unforeseen(error)
    body = problem_object(error.problem, status)
    if isinstance(error, Refused):
        body["code"] = error.code
    return json_response(body, status=status, headers=_extra_headers(error), content_type=PROBLEM_TYPE)


def oauth_response(error: BonafidesError, *, default: str = "invalid_request") -> web.Response:
    """The error as RFC 6749 section 5.2 has it; `default` is the code of input that is malformed or not verified.

    With `invalid_token` and `insufficient_scope` the challenge of RFC 6750 section 3 goes along.
    """
    code = _oauth_code(error, default)
    if code == "server_error":
        return _oauth(code, f"an internal error, number {_logged(error)}")
    return _oauth(code, error.detail, _extra_headers(error))


def unforeseen(error: BaseException) -> web.Response:
    """A bare internal error with the number under which the log knows it."""
    body = {
        "type": ours("internal-error"),
        "title": "internal-error",
        "status": 500,
        "detail": "something went wrong here; it is not a fault of what you sent",
        "instance": f"urn:bonafides:fault:{_logged(error)}",
    }
    return json_response(body, status=500, content_type=PROBLEM_TYPE)


def oauth_errors(default: str = "invalid_request") -> Callable[[Handler], Handler]:
    """Let a handler's errors be rendered for OAuth clients."""

    def decorate(handler: Handler) -> Handler:
        @functools.wraps(handler)
        async def rendered(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except BonafidesError as error:
                return oauth_response(error, default=default)
            except web.HTTPRequestEntityTooLarge:
                return _oauth(default, "the request is larger than this endpoint takes", status=413)
            except (web.HTTPException, TimeoutError):
                raise
            except Exception as error:  # noqa: BLE001 - the outermost boundary
                return _oauth("server_error", f"an internal error, number {_logged(error)}")

        return rendered

    return decorate


@web.middleware
async def problems_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every error that a handler lets through, as problem+json."""
    try:
        return await handler(request)
    except BonafidesError as error:
        return problem_response(error)
    except web.HTTPException as answer:
        if answer.status < 400:
            raise
        return _plain_http(answer)
    except TimeoutError:
        late = Unavailable("this took too long and was given up", asked=request.path)
        return problem_response(late)
    except Exception as error:  # noqa: BLE001 - the outermost boundary
        return unforeseen(error)


def _plain_http(answer: web.HTTPException) -> web.Response:
    name, detail = _PLAIN.get(answer.status, (f"http-{answer.status}", answer.reason.lower()))
    problem = Problem(ours(name), detail)
    headers = {name: answer.headers[name] for name in ("Allow", "Retry-After") if name in answer.headers}
    return json_response(
        problem_object(problem, answer.status),
        status=answer.status,
        headers=headers,
        content_type=PROBLEM_TYPE,
    )


def _oauth_code(error: BonafidesError, default: str) -> str:
    if isinstance(error, Refused):
        return error.code
    if isinstance(error, Unavailable):
        return "temporarily_unavailable"
    if isinstance(error, NotFound):
        return "not_found"
    return default if isinstance(error, Malformed | NotVerified | Conflict) else "server_error"


def _oauth(
    code: str, description: str, headers: Mapping[str, str] | None = None, *, status: int | None = None
) -> web.Response:
    # RFC 6749 section 5.2: printable ASCII without quote and backslash.
    text = "".join(char if " " <= char <= "~" and char not in '"\\' else " " for char in description)
    body = {"error": code, "error_description": text}
    more = {**NO_STORE, **(headers or {})}
    if code in ("invalid_token", "insufficient_scope"):
        more["WWW-Authenticate"] = f'Bearer error="{code}", error_description="{text}"'
    return json_response(body, status=status or _OAUTH_STATUS.get(code, 400), headers=more)


def _extra_headers(error: BonafidesError) -> dict[str, str]:
    if isinstance(error, Unavailable) or (isinstance(error, Refused) and error.code == "slow_down"):
        return {"Retry-After": str(RETRY_AFTER_SECONDS)}
    if isinstance(error, Refused) and error.code in ("invalid_token", "insufficient_scope"):
        return {"WWW-Authenticate": f'Bearer error="{error.code}"'}
    return {}


def _logged(error: BaseException) -> str:
    number = secrets.token_hex(8)
    log.error("fault %s", number, exc_info=error)
    return number
