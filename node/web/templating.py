"""Pages from templates, and the few static files they use, all out of this package and none from elsewhere.

Templates escape by default. Static files are read once and served from memory with an entity tag.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import jinja2
from aiohttp import web

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_STATIC_SECONDS: Final = 3600


def render(template: str, *, status: int = 200, **values: Any) -> web.Response:
    """A page, which no cache keeps: it may show what only its reader may see."""
    text = _environment().get_template(template).render(**values)
    headers = {"Cache-Control": "no-store", "X-Robots-Tag": "noindex"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)


def add_static_routes(app: web.Application, names: Iterable[str], *, prefix: str = "") -> None:
    """Serve files of `static/` below `prefix`/static/."""
    app.add_routes([web.get(f"{prefix}/static/{name}", _static_handler(name)) for name in names])


def long_date(moment: datetime) -> str:
    """A date in full, as people write it: 5 December 2026."""
    return f"{moment.day} {moment:%B %Y}"


def _static_handler(name: str) -> Any:
    body = (files("node.web") / "static" / name).read_bytes()
    tag = sha256(body).hexdigest()[:16]
    content_type = _TYPES[name[name.rindex(".") :]]

    async def serve(request: web.Request) -> web.Response:
        headers = {"Cache-Control": f"public, max-age={_STATIC_SECONDS}", "ETag": f'"{tag}"'}
        if request.if_none_match and any(known.value == tag for known in request.if_none_match):
            return web.Response(status=304, headers=headers)
        return web.Response(body=body, content_type=content_type, charset="utf-8", headers=headers)

    return serve


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("node.web"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["long_date"] = long_date
    return environment
