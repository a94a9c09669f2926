"""Pages: templates, static files, and which of page and JSON somebody wants.

Everything is escaped by default, nothing inline, nothing from elsewhere. Each text passes `_()`, so that a catalogue
can take its place; sentences of reports come from `node.core.verify.wording` and are handed over whole, to `say()`.
`_()` is for what a template itself says, and for nothing else: Jinja2 takes its text for markup and its % for places.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from gettext import NullTranslations
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import orjson
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from node.core.errors import Malformed
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from node.core.verify.wording import day_of
from node.web.problems import NO_STORE, PROBLEM_TYPE, Handler, json_response

_TYPES: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_IMMUTABLE: Final = "public, max-age=31536000, immutable"
_INNER_CAPITAL: Final = re.compile(r"(?<=[a-z])[A-Z](?=[a-z])")
_UNITS: Final = ((1024 * 1024, "MB"), (1024, "KB"))


class Pages:
    """The templates and static files of the package, read once, for one application.

    `layout` is the template that its pages stand in, `owner` the name at their top, `base` the path they live below.
    """

    def __init__(self, layout: str, owner: str, base: str = "") -> None:
        folder = files("node.web") / "static"
        self._files = {item.name: item.read_bytes() for item in folder.iterdir() if item.is_file()}
        self._base = base
        self._environment = Environment(
            loader=PackageLoader("node.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            extensions=["jinja2.ext.i18n"],
            trim_blocks=True,
            lstrip_blocks=True,
        )
        catalogue = NullTranslations()
        self._environment.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]
        self._environment.filters |= {
            "day": _day,
            "fill": _fill,
            "size": _size,
            "spaced": _spaced,
            "pretty": _pretty,
        }
        self._environment.globals |= {
            "say": catalogue.gettext,
            "static": self._address,
            "layout": layout,
            "owner": owner,
            "home": base or "/",
        }

    def add_to(self, app: web.Application) -> None:
        """Serve the static files, and store the pages for handlers."""
        app[PAGES] = self
        app.router.add_get(f"{self._base}/static/{{name}}", self.static)

    def render(self, template: str, *, status: int = 200, **context: Any) -> web.Response:
        """A page. No cache keeps it: it may tell what somebody holds."""
        text = self._environment.get_template(template).render(**context)
        headers = {**NO_STORE, "X-Robots-Tag": "noindex"}
        return web.Response(text=text, status=status, content_type="text/html", headers=headers)

    async def static(self, request: web.Request) -> web.Response:
        """A static file by its name; the address carries a digest, so that it can be kept for ever."""
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound
        kind = _TYPES["." + name.rpartition(".")[2]]
        return web.Response(
            body=self._files[name], content_type=kind, charset="utf-8", headers={"Cache-Control": _IMMUTABLE}
        )

    def _address(self, name: str) -> str:
        return f"{self._base}/static/{name}?v={sha256(self._files[name]).hexdigest()[:12]}"


PAGES: Final = web.AppKey("pages", Pages)


def wants_page(request: web.Request, *, default: bool) -> bool:
    """Whether a page is wanted rather than JSON: by `?format=`, else by `Accept`, else `default`."""
    asked = request.query.get("format")
    if asked in ("json", "html"):
        return asked == "html"
    weights = _weights(request.headers.get(hdrs.ACCEPT, ""))
    page = max(weights.get("text/html", 0.0), weights.get("application/xhtml+xml", 0.0))
    data = weights.get("application/json", 0.0)
    return default if page == data else page > data


def _weights(accept: str) -> dict[str, float]:
    weights = {}
    for item in accept[:2048].split(","):
        name, *parameters = (part.strip().lower() for part in item.split(";"))
        quality = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        try:
            weights[name] = float(quality)
        except ValueError:
            weights[name] = 0.0
    return weights


def errors_as_pages(pages: Pages) -> Middleware:
    """Problems as pages for those who prefer pages. Outermost: whatever went wrong is problem+json by then."""

    @web.middleware
    async def render_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await handler(request)
        if not isinstance(response, web.Response) or response.content_type != PROBLEM_TYPE:
            return response
        if wants_page(request, default=False):
            problem = orjson.loads(response.body if isinstance(response.body, bytes) else b"{}")
            detail = _sentence(problem["detail"])
            page = pages.render("problem.html", status=response.status, problem=problem, detail=detail)
            for name in (hdrs.RETRY_AFTER, hdrs.ALLOW):
                if name in response.headers:
                    page.headers[name] = response.headers[name]
            response = page
        response.headers[hdrs.VARY] = hdrs.ACCEPT
        return response

    return render_errors


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")


def twin(
    request: web.Request, page: Any, data: object, *, default_page: bool = True, status: int = 200
) -> web.Response:
    """A page, or the same as JSON. `page` is called only if it is wanted."""
    if wants_page(request, default=default_page):
        response: web.Response = page()
    else:
        response = json_response(data, status=status)
    response.headers[hdrs.VARY] = hdrs.ACCEPT
    return response


def _day(when: str | datetime | None) -> Markup:
    """A date in full, with time and zone on hover."""
    if when is None:
        return Markup("")
    moment = when if isinstance(when, datetime) else parse_datetime_stamp(when)
    stamp = format_datetime_stamp(moment)
    return Markup('<bdi><time datetime="{}" title="{}">{}</time></bdi>').format(
        stamp, f"{moment:%H:%M:%S} UTC, {day_of(moment)}", day_of(moment)
    )


def _fill(text: str, fill: Mapping[str, str]) -> Markup:
    """A sentence with its places filled: so far these are moments."""
    filled = escape(text)
    for name, stamp in fill.items():
        filled = Markup(str(filled).replace("{" + name + "}", str(_day(stamp))))  # noqa: S704 - both are escaped
    return filled


def _size(count: int) -> str:
    for unit, name in _UNITS:
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count} bytes"


def _spaced(name: str) -> str:
    """A term such as `TestLog` as people would write it: test log."""
    return _INNER_CAPITAL.sub(lambda found: f" {found[0].lower()}", name)


def _pretty(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def moment_in(text: str | None, name: str) -> datetime | None:
    """A time out of a query or form; Malformed with the name of its field."""
    if not text:
        return None
    try:
        return parse_datetime_stamp(text)
    except Malformed as error:
        raise Malformed(error.detail, path=(name,)) from error
