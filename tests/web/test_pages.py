"""The verifier's pages in a browser: each state at phone and desk width, by keyboard, and without JavaScript."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from fixtures.shown import FixedClock, World, bundle_of
from fixtures.skipping import missing
from playwright.async_api import Browser, Page, async_playwright

from node.core.oid4vp.request import RequestReference, parse_link, parse_request_object
from node.core.oid4vp.response import AuthorizationResponse
from node.core.verify.verifier import Standards
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app

WIDTHS = (360, 1280)
# Pictures are kept where somebody wants to look at them.
SHOTS = os.environ.get("BONAFIDES_SHOTS")
# Deque's axe-core looks at every page too, where npm has installed it.
_AXE = Path(__file__).parents[1] / "interop" / "node_modules" / "axe-core" / "axe.min.js"
_AXE_FILE = Path(os.environ.get("BONAFIDES_AXE") or _AXE)
AXE = _AXE_FILE.read_text("utf-8") if _AXE_FILE.is_file() else None
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LOOK = """async rules => (await axe.run({ runOnly: rules }))
    .violations.map(one => one.id + ": " + one.nodes.map(node => node.html).join(" | "))"""


def tokens(text: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", text))


def luminance(colour: str) -> float:
    channels = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("text", "paper"),
    [
        *[(text, "paper") for text in ("ink", "quiet", "accent", "accepted", "refused", "undetermined")],
        *[(text, f"{text}-paper") for text in ("accepted", "refused", "undetermined")],
        *[("ink", f"{paper}-paper") for paper in ("accepted", "refused", "undetermined")],
        ("accent", "accepted-paper"),
        ("on-accent", "accent"),
        ("ink", "raised"),
    ],
)
def test_text_has_the_contrast_that_wcag_aa_asks_for(scheme: str, text: str, paper: str) -> None:
    source = (files("node.web") / "static" / "tokens.css").read_text("utf-8")
    light, dark = source.split("@media", 1)
    colours = tokens(light) if scheme == "light" else tokens(light) | tokens(dark)
    assert contrast(colours[text], colours[paper]) >= 4.5


class Pages:
    """A verifier and a browser in front of it."""

    def __init__(self, browser: Browser, base: str, world: World, clock: FixedClock, folder: Path) -> None:
        self.browser = browser
        self.base = base
        self.world = world
        self.clock = clock
        self.folder = folder
        self.faults: list[str] = []

    async def open(self, path: str, width: int = 1280, **context: Any) -> Page:
        made = await self.browser.new_context(viewport={"width": width, "height": 800}, **context)
        page = await made.new_page()
        page.set_default_timeout(10_000)
        page.on("console", lambda said: self.faults.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._watch)
        await page.goto(self.base + path)
        return page

    def _watch(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.faults.append(f"asked {request.url}")

    async def check(self, page: Page, document: Any) -> None:
        file = self.folder / "badge.json"
        file.write_text(json.dumps(document), "utf-8")
        await page.set_input_files("#file", file)
        await page.get_by_role("button", name="Check it").click()
        await page.wait_for_selector(".verdict")

    async def keep(self, page: Page, name: str) -> None:
        """No sideways scrolling, nothing that axe-core objects to, and a picture where one is wanted."""
        width = await page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], f"{name} is wider than the window"
        if AXE is not None:
            await page.evaluate(AXE)
            assert await page.evaluate(LOOK, RULES) == [], name
        if SHOTS:
            await page.screenshot(path=f"{SHOTS}/{name}.png", full_page=True)

    async def answer(self, page: Page) -> None:
        """A wallet that scans the code of `page` and answers."""
        link = await page.get_by_role("link", name="Open the wallet").get_attribute("href")
        reference = parse_link(link or "")
        assert isinstance(reference, RequestReference)
        async with aiohttp.ClientSession() as session:
            async with session.get(self.base + urlsplit(reference.request_uri).path) as answer:
                request = parse_request_object(await answer.read(), reference.client_id)
            shown = self.world.holder.present(
                self.world.standards, [self.world.badge()], request.nonce, request.client_id
            )
            form = AuthorizationResponse({"badge": (shown,)}, request.state).to_form()
            async with session.post(self.base + urlsplit(request.response_uri).path, data=form) as answer:
                assert answer.status == 200


@pytest.fixture
async def pages(tmp_path: Path, standards: Standards) -> AsyncIterator[Pages]:
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("no Chromium: apt install chromium")
    world, clock = World(standards), FixedClock()
    options = VerifierOptions(
        "https://verifier.example", sqlite_url(tmp_path / "v.db"), world.verifier(), clock=clock
    )
    async with TestServer(make_verifier_app(options)) as server, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        pages = Pages(browser, str(server.make_url("")).rstrip("/"), world, clock, tmp_path)
        yield pages
        await browser.close()
        assert pages.faults == []


@pytest.mark.chromium
@pytest.mark.parametrize("width", WIDTHS)
async def test_each_verdict_is_a_sentence_before_everything_else(pages: Pages, width: int) -> None:
    world = pages.world
    changed = world.badge()
    changed["credentialSubject"]["result"][1]["value"] = "23"
    states = {
        "accepted": (bundle_of(world.badge()), "This document is genuine."),
        "refused": (changed, "Do not rely on this."),
        "expired": (world.badge(validUntil="2026-03-01T00:00:00Z"), "Do not rely on this."),
        "undetermined": (world.badge(world.stranger), "We could not tell."),
        "unreadable": ({"hello": "world"}, "Do not rely on this."),
    }
    for name, (document, headline) in states.items():
        page = await pages.open("/", width)
        await pages.check(page, document)
        title = page.locator("main h1").first
        assert (await title.text_content() or "").startswith(headline)
        box = await title.bounding_box()
        assert box is not None
        assert box["y"] < 400, "the verdict stands above the fold"
        await pages.keep(page, f"{name}-{width}")
        await page.get_by_text("How we know").click()
        assert await page.locator(".checks li").count() == 16
        await pages.keep(page, f"{name}-checks-{width}")
        await page.context.close()


@pytest.mark.chromium
@pytest.mark.parametrize("width", WIDTHS)
async def test_a_holder_is_asked_and_the_page_changes_when_the_answer_comes(pages: Pages, width: int) -> None:
    page = await pages.open("/", width)
    await pages.keep(page, f"start-{width}")
    await page.get_by_role("navigation").get_by_role("link", name="Ask a holder").click()
    await pages.keep(page, f"ask-{width}")
    await page.get_by_role("button", name="Make the code").click()
    await page.wait_for_selector(".qr svg")
    await pages.keep(page, f"waiting-{width}")
    await pages.answer(page)
    await page.wait_for_selector(".verdict.accepted")
    assert "it belongs to the person who showed it" in (
        await page.locator("main h1").first.text_content() or ""
    )
    await pages.keep(page, f"shown-{width}")
    await page.goto(pages.base + "/requests")
    await page.get_by_role("button", name="Make the code").click()
    await page.wait_for_selector(".qr svg")
    pages.clock.now += timedelta(minutes=6)
    await page.get_by_role("heading", name="The code has run out").wait_for()
    await pages.keep(page, f"expired-request-{width}")


@pytest.mark.chromium
async def test_everything_essential_works_without_javascript(pages: Pages) -> None:
    page = await pages.open("/", java_script_enabled=False)
    await pages.check(page, pages.world.badge())
    assert await page.locator(".verdict.accepted").count() == 1
    await page.get_by_role("link", name="Ask the holder to present it").click()
    await page.get_by_role("button", name="Make the code").click()
    await page.wait_for_selector(".qr svg")
    await pages.answer(page)
    await page.wait_for_selector(".verdict.accepted")


@pytest.mark.chromium
async def test_a_pasted_text_is_checked_with_the_keyboard_alone(pages: Pages) -> None:
    page = await pages.open("/")
    reached = []
    for _ in range(12):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            "[document.activeElement.tagName, document.activeElement.id || document.activeElement.textContent.trim(),"
            " getComputedStyle(document.activeElement).outlineStyle]"
        )
        assert focused[2] != "none", f"the focus on {focused} cannot be seen"
        reached.append(focused[1])
        if focused[1] == "Or paste its text":
            await page.keyboard.press("Enter")
        if focused[1] == "text":
            await page.keyboard.insert_text(json.dumps(pages.world.badge()))
        if focused[1] == "Check it":
            break
    assert reached[0] == "Skip to the content"
    await page.keyboard.press("Enter")
    await page.wait_for_selector(".verdict.accepted")


@pytest.mark.chromium
async def test_a_dropped_file_is_checked_at_once(pages: Pages) -> None:
    page = await pages.open("/")
    await page.evaluate(
        """text => {
            const data = new DataTransfer();
            data.items.add(new File([text], "badge.json", { type: "application/json" }));
            for (const type of ["dragenter", "dragover", "drop"])
                document.body.dispatchEvent(
                    new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
        }""",
        json.dumps(pages.world.badge()),
    )
    await page.wait_for_selector(".verdict.accepted")


@pytest.mark.chromium
async def test_evidence_is_downloaded_and_never_opened(pages: Pages) -> None:
    page = await pages.open("/")
    await pages.check(page, bundle_of(pages.world.badge()))
    async with page.expect_download() as download:
        await page.get_by_role("link", name="tests.log").click()
    saved = await (await download.value).path()
    assert saved.read_bytes() == b"24 passed\n"


@pytest.mark.chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_hold_at_320_pixels_large_text_and_right_to_left(pages: Pages, scheme: Any) -> None:
    page = await pages.open("/", 320, color_scheme=scheme)
    await page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
    await pages.keep(page, f"large-{scheme}")
    await page.evaluate("document.documentElement.style.removeProperty('font-size')")
    await pages.check(page, bundle_of(pages.world.badge()))
    await page.evaluate("document.documentElement.dir = 'rtl'")
    await pages.keep(page, f"rtl-{scheme}")


@pytest.mark.chromium
async def test_print_leaves_out_what_paper_cannot_do(pages: Pages) -> None:
    page = await pages.open("/")
    await pages.check(page, bundle_of(pages.world.badge()))
    await page.emulate_media(media="print")
    assert not await page.locator(".technical").is_visible()
    assert not await page.get_by_role("link", name="Check another").is_visible()
    await pages.keep(page, "print")
