"""Every page in a browser: each state at phone and desk width, by keyboard, and without JavaScript.

One browser and one event loop serve the whole module, since starting Chromium takes longer than most tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp
import pytest
import pytest_asyncio
from aiohttp.test_utils import TestServer
from fixtures.blockcerts import EthereumKey, blockcert, of_account
from fixtures.school import open_school
from fixtures.sd_jwt import ACHIEVEMENT, VCT, badge_sd_jwt, bound, claims_sd_jwt, showing
from fixtures.selective import P256Key, deriving, with_key
from fixtures.shown import FixedClock, World, bundle_of
from fixtures.skipping import missing
from fixtures.verification import (
    KEY_SCHOOL,
    LEARNER,
    STRANGER,
    Json,
    Signatory,
    Story,
    as_jwt,
    badge,
    digest_of,
    of_key_school,
    without_status,
)
from playwright.async_api import Browser, Page, async_playwright

from node.core.oid4vp.request import AuthorizationRequest, RequestReference, parse_link, parse_request_object
from node.core.oid4vp.response import AuthorizationResponse
from node.core.verify.report import Acceptance, Reason
from node.core.verify.trust import TrustEntry, TrustList
from node.core.verify.verifier import Standards
from node.core.verify.wording import (
    ACCEPTED_DOCUMENT,
    ALL_SHOWN,
    ENDORSEMENTS,
    NEWER_ELSEWHERE,
    PART_SHOWN,
    SENTENCES,
    SOME_SHOWN,
    UNDETERMINED,
)
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app

WIDTHS = (1280, 360)
# Pictures are kept where somebody wants to look at them.
SHOTS = os.environ.get("BONAFIDES_SHOTS")
# Deque's axe-core looks at every page too, where npm has installed it.
_AXE = Path(__file__).parents[1] / "interop" / "node_modules" / "axe-core" / "axe.min.js"
_AXE_FILE = Path(os.environ.get("BONAFIDES_AXE") or _AXE)
AXE = _AXE_FILE.read_text("utf-8") if _AXE_FILE.is_file() else None
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
# How long a page may take; the machine may be busy with other tests.
PATIENCE_MILLISECONDS = 20_000
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


def in_browser(test: Any) -> Any:
    """A test on the browser of this module, in whose event loop it has to run."""
    return pytest.mark.chromium(pytest.mark.asyncio(loop_scope="module")(test))


class Pages:
    """A server and a browser in front of it."""

    def __init__(self, browser: Browser, base: str, folder: Path) -> None:
        self.browser = browser
        self.base = base
        self.folder = folder
        self.faults: list[str] = []

    async def open(self, path: str, width: int = 1280, **context: Any) -> Page:
        made = await self.browser.new_context(viewport={"width": width, "height": 800}, **context)
        page = await made.new_page()
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("request", self._watch)
        await page.goto(self.base + path)
        return page

    def _listen(self, said: Any) -> None:
        # Chromium itself says so of every page with such a status.
        if said.type == "error" and "responded with a status of" not in said.text:
            self.faults.append(said.text)

    def _watch(self, request: Any) -> None:
        if not request.url.startswith((self.base, "data:")):
            self.faults.append(f"asked {request.url}")

    async def look(self, page: Page, name: str) -> None:
        """At each width no sideways scrolling, and nothing that axe-core objects to; pictures where they are wanted."""
        for width in WIDTHS:
            await page.set_viewport_size({"width": width, "height": 800})
            await self.fits(page, name)
            if SHOTS:
                for scheme in SCHEMES:
                    await page.emulate_media(color_scheme=scheme)
                    await page.screenshot(path=f"{SHOTS}/{name}-{width}-{scheme}.png", full_page=True)
        assert await page.title(), name
        if AXE is not None:
            await page.evaluate(AXE)
            assert await page.evaluate(LOOK, RULES) == [], name

    async def fits(self, page: Page, name: str) -> None:
        """Nothing is wider than the window."""
        width = await page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
        assert width[0] <= width[1], f"{name} is wider than the window"


class VerifierPages(Pages):
    """A verifier's pages, with somebody who gives it files and a wallet that answers."""

    def __init__(self, browser: Browser, base: str, folder: Path, world: World, clock: FixedClock) -> None:
        super().__init__(browser, base, folder)
        self.world = world
        self.clock = clock

    async def check(self, page: Page, document: Any) -> None:
        file = self.folder / "badge.json"
        file.write_bytes(document if isinstance(document, bytes) else json.dumps(document).encode())
        await page.set_input_files("#file", file)
        await page.get_by_role("button", name="Check it").click()
        await page.wait_for_selector(".verdict")

    async def reference(self, page: Page) -> RequestReference:
        """What the code of `page` says."""
        link = await page.get_by_role("link", name="Open the wallet").get_attribute("href")
        reference = parse_link(link or "")
        assert isinstance(reference, RequestReference)
        return reference

    async def answer(
        self,
        page: Page,
        shown: Callable[[AuthorizationRequest], AuthorizationResponse] | None = None,
        *,
        decline: bool = False,
    ) -> None:
        """A wallet that scans the code of `page` and answers: with a badge, or what `shown` makes for the request."""
        reference = await self.reference(page)
        async with aiohttp.ClientSession() as session:
            async with session.get(self.base + urlsplit(reference.request_uri).path) as answer:
                request = parse_request_object(await answer.read(), reference.client_id)
            if decline:
                form = {"error": "access_denied", "state": request.state or ""}
            else:
                form = (shown or self._badge)(request).to_form()
            async with session.post(self.base + urlsplit(request.response_uri).path, data=form) as answer:
                assert answer.status == 200

    def _badge(self, request: AuthorizationRequest) -> AuthorizationResponse:
        world = self.world
        made = world.holder.present(world.standards, [world.badge()], request.nonce, request.client_id)
        return AuthorizationResponse({"badge": (made,)}, request.state)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        missing("no Chromium: apt install chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="module")
async def pages(tmp_path: Path, standards: Standards, browser: Browser) -> AsyncIterator[VerifierPages]:
    world, clock = World(standards), FixedClock()
    options = VerifierOptions(
        "https://verifier.example",
        sqlite_url(tmp_path / "v.db"),
        world.verifier(),
        name="An Employer",
        clock=clock,
    )
    async with TestServer(make_verifier_app(options)) as server:
        pages = VerifierPages(browser, str(server.make_url("")).rstrip("/"), tmp_path, world, clock)
        yield pages
        for context in browser.contexts:
            await context.close()
    assert pages.faults == []


@in_browser
async def test_each_verdict_is_a_sentence_before_everything_else(pages: VerifierPages) -> None:
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
    page = await pages.open("/", 360)
    for name, (document, headline) in states.items():
        await pages.check(page, document)
        title = page.locator("main h1").first
        assert (await title.text_content() or "").startswith(headline)
        box = await title.bounding_box()
        assert box is not None
        assert box["y"] < 400, "the verdict stands above the fold"
        await page.get_by_text("How we know").click()
        assert await page.locator(".checks li").count() == 16
        await pages.look(page, name)
        await page.set_viewport_size({"width": 360, "height": 800})
        await page.get_by_role("link", name="Check another").click()


NAME = "/credentialSubject/achievement/name"
DERIVED = with_key(P256Key("school"), "ecdsa-sd-2023", mandatory=("/issuer", "/validFrom", "/validUntil"))


def record(document: Json) -> None:
    """Makes a record of two badges of a badge."""
    held = []
    for number in (1, 2):
        one = badge(KEY_SCHOOL.did) | {"id": f"urn:uuid:6b0d5c6e-3a3f-4b57-9d0e-2f1f4c6f7b{number:02}"}
        without_status(one)
        del one["evidence"]
        held.append(KEY_SCHOOL.sign(one))
    without_status(document)
    del document["evidence"]
    document["name"] = "Everything so far"
    document["type"] = ["VerifiableCredential", "ClrCredential"]
    document["@context"].insert(1, "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json")
    whose = document["credentialSubject"]["id"]
    document["credentialSubject"] = {"id": whose, "type": ["ClrSubject"], "verifiableCredential": held}


def endorsed(document: Json) -> None:
    """Puts endorsements into a badge, and where a newer one may be had."""
    unsigned = {
        "@context": document["@context"][:2],
        "id": "urn:uuid:11111111-0000-4000-8000-000000000001",
        "type": ["VerifiableCredential", "EndorsementCredential"],
        "validFrom": "2026-04-01T00:00:00Z",
        "name": "Sound work",
        "credentialSubject": {
            "id": document["id"],
            "type": ["EndorsementSubject"],
            "endorsementComment": "I sat beside her while she wrote it, and asked about every line.",
        },
    }

    def by(who: Signatory, name: str) -> Json:
        return who.sign({**unsigned, "issuer": {"id": who.did, "type": ["Profile"], "name": name}})

    ministry = by(STRANGER, "Ministry of Education")
    unlisted = by(LEARNER, "The Ministry of Education <b>and</b> Research " + "x" * 80)
    without_status(document)
    document["@context"].append("https://purl.imsglobal.org/spec/ob/v3p0/extensions.json")
    document["refreshService"] = {"id": "https://school.example/newer", "type": "1EdTechCredentialRefresh"}
    document["endorsement"] = [ministry, unlisted, {**ministry, "name": "Excellent work"}]


ENDORSER = TrustEntry(STRANGER.did, "The Ministry of Education")
# Each with the sentences that stand on its page.
FORMS: dict[str, tuple[Story, tuple[str, ...]]] = {
    "token": (of_key_school(token=as_jwt, write=without_status), (ACCEPTED_DOCUMENT,)),
    "sd-jwt": (Story(token=badge_sd_jwt(), disclose=showing(ACHIEVEMENT)), (ACCEPTED_DOCUMENT, PART_SHOWN)),
    "sd-jwt-whole": (Story(token=badge_sd_jwt()), (ACCEPTED_DOCUMENT, ALL_SHOWN)),
    "claims": (
        of_key_school(token=claims_sd_jwt(), disclose=showing(("grade",))),
        (UNDETERMINED, PART_SHOWN, VCT),
    ),
    "derived": (Story(issuer=DERIVED, disclose=deriving(NAME)), (UNDETERMINED, SOME_SHOWN)),
    "base-proof": (Story(issuer=DERIVED), (SENTENCES[Reason.BASE_PROOF],)),
    "record": (of_key_school(write=record), (ACCEPTED_DOCUMENT, "It holds 2 credentials")),
    "endorsed": (
        of_key_school(write=endorsed, trust=TrustList((TrustEntry(KEY_SCHOOL.did, "The School"), ENDORSER))),
        (
            ACCEPTED_DOCUMENT,
            NEWER_ELSEWHERE,
            ENDORSEMENTS[Acceptance.ACCEPTED],
            "calls itself “The Ministry of Education <b>and</b> Research",
            f"{ENDORSEMENTS[Acceptance.UNDETERMINED]} {SENTENCES[Reason.ISSUER_NOT_LISTED]}",
            f"{ENDORSEMENTS[Acceptance.REFUSED]} {SENTENCES[Reason.CHANGED]}",
        ),
    ),
    "blockcerts": (
        Story(issuer=of_account(EthereumKey("a school")), write=blockcert()),
        (UNDETERMINED, "BlockcertsCredential"),
    ),
}


@in_browser
@pytest.mark.parametrize("name", FORMS)
async def test_each_form_of_credential_is_explained(
    tmp_path: Path, standards: Standards, browser: Browser, name: str
) -> None:
    story, sentences = FORMS[name]
    database = sqlite_url(tmp_path / "v.db")
    options = VerifierOptions("https://verifier.example", database, story.verifier(), clock=FixedClock())
    async with TestServer(make_verifier_app(options)) as server:
        base = str(server.make_url("")).rstrip("/")
        pages = VerifierPages(browser, base, tmp_path, World(standards), FixedClock())
        page = await pages.open("/", 360)
        await pages.check(page, story.shown_bytes())
        shown = " ".join((await page.locator("main").text_content() or "").split())
        for sentence in sentences:
            assert sentence in shown
        await pages.look(page, f"form-{name}")
        await page.get_by_text("How we know").click()
        await page.get_by_text("Technical report").click()
        # A record, and each of the two badges in it.
        assert await page.locator(".checks li").count() == (48 if name == "record" else 16)
        await pages.fits(page, f"{name}, unfolded")
        await page.context.close()
        assert pages.faults == []


@in_browser
async def test_a_holder_is_asked_and_the_page_changes_when_the_answer_comes(pages: VerifierPages) -> None:
    page = await pages.open("/")
    await pages.look(page, "start")
    await page.get_by_role("navigation").get_by_role("link", name="Ask a holder").click()
    await pages.look(page, "ask")
    await page.get_by_label("Which one?").fill("Python, first course")
    await page.get_by_role("button", name="Make the code").click()
    await page.get_by_text("You ask for “Python, first course”.").wait_for()
    await pages.look(page, "waiting")
    await pages.answer(page)
    await page.wait_for_selector(".verdict.accepted")
    title = await page.locator("main h1").first.text_content() or ""
    assert "it belongs to the person who showed it" in title
    await pages.look(page, "shown")


@in_browser
async def test_a_part_of_a_badge_is_shown_to_whom_asked_for_it(
    tmp_path: Path, standards: Standards, browser: Browser
) -> None:
    story = Story(token=badge_sd_jwt(), disclose=showing(ACHIEVEMENT))
    database = sqlite_url(tmp_path / "v.db")
    options = VerifierOptions("https://verifier.example", database, story.verifier(), clock=FixedClock())

    def bind(request: AuthorizationRequest) -> AuthorizationResponse:
        make = bound(ACHIEVEMENT, nonce=request.nonce, audience=request.client_id)
        shown = replace(story, disclose=make)
        token = shown.credential()
        beside = replace(shown.bundle(token), credential=None, credential_digest=digest_of(token))
        return AuthorizationResponse({"badge_sd_jwt": (token,)}, request.state, (beside,))

    async with TestServer(make_verifier_app(options)) as server:
        base = str(server.make_url("")).rstrip("/")
        pages = VerifierPages(browser, base, tmp_path, World(standards), FixedClock())
        page = await pages.open("/requests")
        await page.get_by_label("Which one?").fill("Data structures")
        await page.get_by_role("button", name="Make the code").click()
        await page.wait_for_selector(".qr svg")
        await pages.answer(page, bind)
        await page.wait_for_selector(".verdict.accepted")
        assert PART_SHOWN in (await page.locator("main").text_content() or "")
        await pages.look(page, "shown-in-part")
        await page.context.close()
        assert pages.faults == []


@in_browser
async def test_a_request_that_was_declined_or_ran_out_says_so(pages: VerifierPages) -> None:
    page = await pages.open("/requests")
    await page.get_by_role("button", name="Make the code").click()
    await page.get_by_text("You ask for any badge.").wait_for()
    await pages.answer(page, decline=True)
    await page.get_by_role("heading", name="The holder did not show it").wait_for()
    await pages.look(page, "declined")
    await page.get_by_role("link", name="Ask again").click()
    await page.get_by_role("button", name="Make the code").click()
    await page.wait_for_selector(".qr svg")
    wallets = urlsplit((await pages.reference(page)).request_uri).path
    pages.clock.now += timedelta(minutes=6)
    await page.get_by_role("heading", name="The code has run out").wait_for()
    await pages.look(page, "run-out")
    await page.goto(pages.base + wallets)
    await pages.look(page, "for-wallets")


@in_browser
async def test_errors_are_pages_too(pages: VerifierPages) -> None:
    page = await pages.open("/nowhere")
    await page.get_by_role("heading", name="That did not work").wait_for()
    await pages.look(page, "not-found")
    await page.get_by_role("link", name="Back to the start").click()
    await page.get_by_role("button", name="Check it").click()
    field = page.get_by_label("The file")
    await field.and_(page.locator("[aria-invalid=true]")).wait_for()
    assert await page.get_by_role("alert").text_content() == "Choose a file, or paste its text."
    await pages.look(page, "nothing-chosen")


@in_browser
async def test_an_issuer_tells_who_it_is_and_hands_out_an_offer(
    tmp_path: Path, standards: Standards, empty_database: Path, browser: Browser
) -> None:
    async with open_school(tmp_path, standards, empty_database) as school:
        pages = Pages(browser, str(school.client.make_url("")).rstrip("/"), tmp_path)
        page = await pages.open("/hall")
        await page.get_by_text("Technical details").click()
        await pages.look(page, "issuer")
        offer = await school.offer(await school.intend(), with_tx_code=True)
        used = await school.offer(await school.intend())
        await school.token(used)
        path, used_path = (urlsplit(one.page).path for one in (offer, used))
        await page.goto(pages.base + path)
        assert await page.get_by_role("link", name="Open in my wallet").get_attribute("href") == offer.link
        await pages.look(page, "offer")
        await page.goto(pages.base + used_path)
        await page.get_by_role("heading", name="This link was used").wait_for()
        await pages.look(page, "offer-used")
        school.clock.advance(days=100)
        await page.goto(pages.base + path)
        await page.get_by_role("heading", name="This link has run out").wait_for()
        await page.goto(pages.base + "/hall/offers/unknown")
        await page.get_by_text("ask A School for a new one").wait_for()
        await pages.look(page, "offer-unknown")
        await page.context.close()
        assert pages.faults == []


@in_browser
async def test_everything_essential_works_without_javascript(pages: VerifierPages) -> None:
    page = await pages.open("/", java_script_enabled=False)
    await pages.check(page, pages.world.badge())
    assert await page.locator(".verdict.accepted").count() == 1
    await page.get_by_role("link", name="Ask the holder to present it").click()
    await page.get_by_role("button", name="Make the code").click()
    await page.wait_for_selector(".qr svg")
    assert await page.locator("meta[http-equiv=refresh]").count() == 1, "else nobody would see the answer"
    await pages.answer(page)
    await page.reload()
    await page.wait_for_selector(".verdict.accepted")


@in_browser
async def test_a_pasted_text_is_checked_with_the_keyboard_alone(pages: VerifierPages) -> None:
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


@in_browser
async def test_a_dropped_file_is_checked_at_once(pages: VerifierPages) -> None:
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


@in_browser
async def test_evidence_is_downloaded_and_never_opened(pages: VerifierPages) -> None:
    page = await pages.open("/")
    await pages.check(page, bundle_of(pages.world.badge()))
    async with page.expect_download() as download:
        await page.get_by_role("link", name="tests.log").click()
    saved = await (await download.value).path()
    assert saved.read_bytes() == b"24 passed\n"


@in_browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_pages_hold_at_320_pixels_large_text_and_right_to_left(
    pages: VerifierPages, scheme: Any
) -> None:
    page = await pages.open("/", 320, color_scheme=scheme)
    await page.evaluate("document.documentElement.style.setProperty('font-size', '200%')")
    await pages.fits(page, f"large-{scheme}")
    await page.evaluate("document.documentElement.style.removeProperty('font-size')")
    await pages.check(page, bundle_of(pages.world.badge()))
    await page.evaluate("document.documentElement.dir = 'rtl'")
    await pages.fits(page, f"rtl-{scheme}")


@in_browser
async def test_print_leaves_out_what_paper_cannot_do(pages: VerifierPages) -> None:
    page = await pages.open("/")
    await pages.check(page, bundle_of(pages.world.badge()))
    await page.emulate_media(media="print", color_scheme="dark")
    colour = await page.evaluate("getComputedStyle(document.querySelector('.says')).color")
    assert colour == "rgb(87, 83, 74)", "paper is white whatever the screen is"
    assert not await page.locator(".technical").is_visible()
    assert not await page.get_by_role("link", name="Check another").is_visible()
    await pages.fits(page, "print")
    if SHOTS:
        await page.screenshot(path=f"{SHOTS}/print.png", full_page=True)
