"""Whatever goes wrong is a page for people and a problem for programs, and tells neither what is ours alone."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator
from importlib.resources import files
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from node.core.errors import Misconfigured, NotFound, Unavailable
from node.core.oid4vci import errors as codes
from node.web.app import make_base_app
from node.web.pages import Pages, errors_as_pages
from node.web.problems import oauth_errors

BROWSER = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
SECRET = "postgresql://user:secret@db"
FAULTS: dict[str, Exception] = {
    "unforeseen": RuntimeError(SECRET),
    "misconfigured": Misconfigured(SECRET),
    "away": Unavailable("the chain <b>100 %(endpoint)s</b> does not answer", asked="chain"),
    "absent": NotFound("there is no such thing"),
}


@pytest.fixture
async def client() -> AsyncIterator[TestClient[Any, Any]]:
    pages = Pages("issuer.html", "A School", "/hall")
    app = make_base_app(request_seconds=0.1, outermost=[errors_as_pages(pages)])
    pages.add_to(app)

    async def fail(request: web.Request) -> web.Response:
        raise FAULTS[request.match_info["how"]]

    async def dawdle(_request: web.Request) -> web.Response:
        await asyncio.sleep(10)
        return web.Response()

    app.add_routes(
        [
            web.get("/fail/{how}", fail),
            web.get("/oauth/{how}", oauth_errors(codes.INVALID_CREDENTIAL_REQUEST)(fail)),
            web.get("/slow", dawdle),
        ]
    )
    async with TestClient(TestServer(app)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "status", "told"),
    [
        ("/fail/unforeseen", 500, "Something went wrong here; it is not a fault of what you sent."),
        ("/fail/misconfigured", 500, "Something went wrong here; it is not a fault of what you sent."),
        ("/fail/away", 503, "The chain &lt;b&gt;100 %(endpoint)s&lt;/b&gt; does not answer."),
        ("/fail/absent", 404, "ask A School for a new one"),
        ("/slow", 503, "This took too long and was given up."),
        ("/nothing", 404, "There is nothing at this address"),
    ],
)
async def test_a_browser_gets_a_page(
    client: TestClient[Any, Any], path: str, status: int, told: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    async with client.get(path, headers=BROWSER) as answer:
        text = await answer.text()
        assert (answer.status, answer.content_type) == (status, "text/html")
        assert ("Retry-After" in answer.headers) == (status == 503)
        assert answer.headers["Vary"] == "Accept"
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert told in text
    assert SECRET not in text
    assert ("Number of the fault:" in text) == (status == 500)


def test_templates_translate_nothing_but_their_own_words() -> None:
    # What `_` and `ngettext` are given is markup to Jinja2: a name in it would be an element of the page.
    texts = {path.name: path.read_text("utf-8") for path in (files("node.web") / "templates").iterdir()}
    assert len(texts) > 10
    for name, text in texts.items():
        assert not re.findall(r"\b(?:_|gettext|ngettext)\((?![\"'])", text), name
        assert not re.findall(r"\|\s*safe\b|autoescape", text), name


@pytest.mark.parametrize("accept", ["application/json", "*/*", ""])
async def test_a_program_gets_a_problem(client: TestClient[Any, Any], accept: str) -> None:
    async with client.get("/fail/absent", headers={"Accept": accept}) as answer:
        assert (answer.status, answer.content_type) == (404, "application/problem+json")
        assert (await answer.json(content_type=None))["detail"] == "there is no such thing"


async def test_errors_of_oauth_stay_what_wallets_read(client: TestClient[Any, Any]) -> None:
    async with client.get("/oauth/absent", headers=BROWSER) as answer:
        assert answer.content_type == "application/json"
        assert (await answer.json())["error"] == "not_found"
