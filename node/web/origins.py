"""Writes that a page elsewhere makes a browser send, refused.

Browsers send `Sec-Fetch-Site` and `Origin` by themselves, and no page can talk them out of it. Nothing of ours rests
on cookies; this keeps other sites from using a visitor's browser, and its way through a firewall, as their own.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from node.core.errors import Refused
from node.core.problem import ours
from node.web.problems import Handler

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class ForeignOrigin(Refused):
    """A page elsewhere made the browser send this."""

    default_type = ours("foreign-origin")


def same_origin_writes(public_url: str, *, except_under: tuple[str, ...] = ()) -> Middleware:
    """Refuse what a page elsewhere makes a browser write, by the headers that browsers cannot be talked out of.

    `except_under` are the ends of paths that wallets in browsers post to from their own pages.
    """
    own = _origin(public_url)

    @web.middleware
    async def refuse_foreign(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method not in _SAFE_METHODS and not request.path.endswith(except_under or ("\0",)):
            site = request.headers.get("Sec-Fetch-Site")
            origin = request.headers.get(hdrs.ORIGIN)
            ours_too = {own, f"http://{request.host}", f"https://{request.host}"}
            if (site is not None and site not in ("same-origin", "none")) or (
                site is None and origin is not None and origin not in ours_too
            ):
                raise ForeignOrigin("another site's page may not send this", code="access_denied")
        return await handler(request)

    return refuse_foreign


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
