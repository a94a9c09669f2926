"""Domains of recognised issuers: asked of real sites and a real name server, aged, and told without asking anybody."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fixtures.name_server import name_server

from node.core.did.document import DidDocument, parse_did_document
from node.core.did.key import did_key_of
from node.core.errors import Unavailable
from node.core.jose.domain_linkage import CONFIGURATION_PATH, did_configuration, prepare_linkage
from node.core.keys import KeyKind
from node.core.verify.domains import How, LinkOutcome, line_of
from node.core.verify.materials import DocumentAnswer, DocumentNeed, Missing, Mode
from node.core.verify.trust import parse_trust_list
from node.keystore import generate_secret, signer_of
from node.outbound.http import Egress, EgressPolicy
from node.services.domains import DomainWatch, KnownDomains, ask_site, look
from node.storage.database import Database, open_database, sqlite_url

NOW = datetime(2027, 5, 3, 12, tzinfo=UTC)
SIGNER = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
IDENTITY = "ab" * 20
DID = f"did:ethr:0x1:0x{IDENTITY}"
OTHER = f"did:ethr:0x1:0x{'cd' * 20}"
LINKED, NOT_LINKED = LinkOutcome.LINKED, LinkOutcome.NOT_LINKED
UNKNOWN, WITHDRAWN = LinkOutcome.UNKNOWN, LinkOutcome.WITHDRAWN


def document(*origins: str, did: str = DID, service: Any = None) -> DidDocument:
    method = {
        "id": f"{did}#delegate-1",
        "type": "Multikey",
        "controller": did,
        "publicKeyMultibase": SIGNER.public_key.multibase,
    }
    linked = [
        {"id": f"{did}#service-{n}", "type": "LinkedDomains", "serviceEndpoint": origin}
        for n, origin in enumerate(origins)
    ]
    raw = {"id": did, "verificationMethod": [method], "assertionMethod": [method["id"]]}
    return parse_did_document({**raw, "service": service or linked}, did)


def configuration(origin: str, did: str = DID, *, begins: float = -1, ends: float = 100) -> bytes:
    """Signed by the key of `document`; times in days from NOW."""
    made = prepare_linkage(
        did,
        origin,
        SIGNER.public_key,
        f"{did}#delegate-1",
        begins=NOW + timedelta(days=begins),
        ends=NOW + timedelta(days=ends),
    )
    return json.dumps(did_configuration([made.finish(SIGNER.sign(made.message))])).encode()


@dataclass
class Site:
    """A site on loopback; `says` what it serves at the well-known path. Counts who asks."""

    origin: str
    says: Callable[[], Awaitable[web.StreamResponse]] | None = None
    asked: int = 0
    paths: list[str] = field(default_factory=list)

    def links(self, **terms: Any) -> None:
        self.serves(configuration(terms.pop("origin", self.origin), **terms))

    def serves(self, body: bytes, kind: str = "application/json", **headers: str) -> None:
        async def answer() -> web.StreamResponse:
            return web.Response(body=body, content_type=kind, headers=headers)

        self.says = answer


@asynccontextmanager
async def running_site() -> AsyncIterator[Site]:
    site = Site("")

    async def handle(request: web.Request) -> web.StreamResponse:
        site.asked += 1
        site.paths.append(request.path)
        if site.says is None or request.path != CONFIGURATION_PATH:
            raise web.HTTPNotFound
        return await site.says()

    app = web.Application()
    app.router.add_get("/{tail:.*}", handle)
    async with TestServer(app) as server:
        site.origin = f"http://school.localhost:{server.port}"
        yield site


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running_site() as running:
        yield running


async def loopback(_host: str, _port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    """As a verifier's: its mode lets no document name a host; for domains alone there is a guard of their own."""
    async with Egress(EgressPolicy(Mode.CHAIN, allow_loopback=True), lookup=loopback) as guard:
        yield guard


async def asked(
    site: Site, egress: Egress, did_document: DidDocument | None = None
) -> tuple[str, str | None]:
    async with egress.for_report(mode=Mode.FULL) as own:
        answer = await ask_site(did_document or document(site.origin), site.origin, own, NOW)
    return answer.outcome, answer.fault


async def test_a_site_that_says_so_is_linked(site: Site, egress: Egress) -> None:
    site.links()
    assert await asked(site, egress) == (LINKED, None)


@pytest.mark.parametrize(
    ("terms", "fault"),
    [
        ({"did": OTHER}, f"it links {OTHER}"),
        ({"did": did_key_of(SIGNER.public_key)}, "it links did:key"),
        ({"origin": "https://other.example"}, "https://other.example"),
        ({"ends": -0.5}, "time is over"),
        ({"begins": 1}, "time is over, or has not begun"),
    ],
    ids=["other DID", "other method", "other origin", "expired", "not begun"],
)
async def test_a_site_that_says_something_else_is_not(
    site: Site, egress: Egress, terms: dict[str, Any], fault: str
) -> None:
    site.links(**terms)
    outcome, told = await asked(site, egress)
    assert outcome == NOT_LINKED
    assert fault in str(told)


async def test_a_token_by_a_key_that_the_did_does_not_list_links_nothing(site: Site, egress: Egress) -> None:
    site.links()
    other = document(site.origin)
    object.__setattr__(other, "relationships", {})
    outcome, told = await asked(site, egress, other)
    assert (outcome, "not listed" in str(told)) == (NOT_LINKED, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>welcome</html>",
        b"[]",
        b'{"linked_dids": 5, "@context": ""}',
        b'{"@context": "", "linked_dids": []}',
        b'{"@context": "", "linked_dids": ["x.y.z", 5, {}, [], "..."]}',
        b'{"@context": "", "linked_dids": [' + b",".join([b'"x"'] * 1000) + b"]}",
        b"[" * 5000,
    ],
)
async def test_hostile_documents_link_nothing_and_harm_nothing(
    site: Site, egress: Egress, body: bytes
) -> None:
    site.serves(body)
    outcome, told = await asked(site, egress)
    assert outcome == NOT_LINKED
    assert told
    assert len(told) <= 200


async def test_what_is_too_large_redirected_or_a_page_leaves_it_unknown(site: Site, egress: Egress) -> None:
    site.serves(b" " * 300_000)
    assert (await asked(site, egress))[0] == UNKNOWN
    site.serves(configuration(site.origin), kind="text/html")
    assert (await asked(site, egress))[0] == UNKNOWN

    async def elsewhere() -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    site.says = elsewhere
    assert await asked(site, egress) == (UNKNOWN, "the DID configuration was answered with HTTP status 302")
    assert set(site.paths) == {CONFIGURATION_PATH}


async def test_words_of_a_site_are_kept_short_and_steer_no_terminal(site: Site, egress: Egress) -> None:
    site.serves(json.dumps({"@context": "", "linked_dids": [], "\x1b[31m" + "a" * 10_000: 1}).encode())
    _, told = await asked(site, egress)
    assert told is not None
    assert told.isprintable()
    assert len(told) <= 200


async def test_of_an_address_the_dns_is_not_asked(egress: Egress) -> None:
    async with name_server({}) as (server, texts):
        await look(document("http://127.0.0.1:1"), egress, NOW, texts=texts)
        assert server.asked == []


async def test_only_plain_origins_are_asked_and_a_few_of_them(site: Site, egress: Egress) -> None:
    endpoints = [
        f"{site.origin}/path", f"http://user@{site.origin[7:]}", "ftp://x.example", "https://schööl.example", 5, None,
        {"origins": [f"{site.origin}/", 7]}, "https://x.example:0", "https://", "javascript:alert(1)",
    ]  # fmt: skip
    services = [
        {"id": f"{DID}#a", "type": ["X", "LinkedDomains"], "serviceEndpoint": endpoints},
        {"id": f"{DID}#b", "type": "LinkedDomains"},
        {"id": f"{DID}#c", "type": "Other", "serviceEndpoint": "https://y.example"},
    ]
    raw = document(site.origin).raw | {"service": services}
    odd = DidDocument(DID, raw, document().methods, document().relationships)
    async with name_server({}) as (server, texts):
        links = await look(odd, egress, NOW, texts=texts)
        assert [(one.origin, one.how) for one in links] == [(site.origin, How.SITE)]
        assert server.asked == ["_did.school.localhost"]
        many = await look(
            document(*(f"https://127.0.0.{n}" for n in range(1, 100))), egress, NOW, texts=texts
        )
        assert {one.outcome for one in many} == {UNKNOWN}  # not the site's port, and loopback answers nothing
        assert len(many) == 8


@pytest.mark.parametrize(
    ("records", "outcome"),
    [
        ([f'"did={DID}"'], LINKED),
        ([f'"did={DID.replace("ab", "AB")}"', '"v=spf1"'], LINKED),
        ([f'"{DID}"'], LINKED),
        ([f'"did={OTHER}"', f'"did={DID}"'], LINKED),
        ([f'"did={OTHER}"'], NOT_LINKED),
        ([f'"did={DID}0"'], NOT_LINKED),
        (['"v=spf1"'], None),
        ([], None),
    ],
)
async def test_the_dns_says_it_by_a_text(
    site: Site, egress: Egress, records: list[str], outcome: LinkOutcome | None
) -> None:
    async with name_server({"_did.school.localhost": records}) as (_, texts):
        links = await look(document(site.origin), egress, NOW, texts=texts)
    assert {one.how: one.outcome for one in links}.get(How.DNS) == outcome


# --- day by day


class Followed:
    """The documents of a replica."""

    def __init__(self, found: DidDocument | None) -> None:
        self.document_now = found

    async def document(self, need: DocumentNeed) -> DocumentAnswer | Missing | None:
        assert need.did == DID
        if self.document_now is None:
            return Missing("its document was not followed yet")
        return DocumentAnswer(self.document_now, True, "a replica")


@dataclass
class Days:
    """A verifier that recognises the DID, its clock, and what it tells."""

    store: Database
    followed: Followed
    egress: Egress
    records: dict[str, list[str]]
    now: datetime = NOW
    dns_fails: bool = False

    async def step(self, hours: float = 0, did: str = DID) -> int:
        self.now += timedelta(hours=hours)
        trust = parse_trust_list(
            {"issuers": [{"did": one, "name": "A school"} for one in (did.replace("ab", "AB"), did)]}
        )
        async with name_server(self.records) as (server, texts):
            server.fails = self.dns_fails
            watch = DomainWatch(
                self.store, self.followed, trust, self.egress, texts=texts, clock=lambda: self.now
            )
            return await watch.step()

    async def told(self, did: str = DID) -> list[str]:
        known = await KnownDomains(self.store, lambda: self.now).told(
            [did, "did:key:zX", "https://x.example"]
        )
        assert set(known) <= {did}
        return [line_of(one) for one in known.get(did, [])]


@pytest.fixture
async def days(site: Site, egress: Egress, tmp_path: Path) -> AsyncIterator[Days]:
    store = await open_database(sqlite_url(tmp_path / "verifier.sqlite3"))
    yield Days(store, Followed(document(site.origin)), egress, {})
    await store.close()


def domain(site: Site) -> str:
    return site.origin.removeprefix("http://")


async def test_a_site_is_asked_once_a_day_and_told_with_its_age(days: Days, site: Site) -> None:
    site.links()
    assert await days.step() == 1
    assert await days.step(hours=3) == 0
    assert site.asked == 1
    assert await days.told() == [f"domain {domain(site)}, by its own site, checked 3 hours ago"]
    assert await days.told(DID.replace("ab", "AB")) == await days.told()
    assert await days.step(hours=21) == 1
    assert site.asked == 2
    assert await days.told() == [f"domain {domain(site)}, by its own site, checked 0 seconds ago"]


async def test_a_link_that_is_gone_from_the_site_is_told_with_when_it_was_there(
    days: Days, site: Site
) -> None:
    site.links()
    await days.step()
    site.says = None
    await days.step(hours=48)
    assert await days.told() == [
        f"domain {domain(site)}, which its site does not confirm, checked 0 seconds ago, last confirmed 2 days ago"
    ]
    (one,) = (await KnownDomains(days.store, lambda: days.now).told([DID]))[DID]
    assert one["fault"] == "there is no DID configuration at its URL"


async def test_a_site_that_does_not_answer_is_asked_again_within_hours(days: Days, site: Site) -> None:
    site.links()
    await days.step()

    async def broken() -> web.StreamResponse:
        raise web.HTTPServiceUnavailable

    site.says = broken
    await days.step(hours=30)
    assert await days.told() == [
        f"domain {domain(site)}, whose site could not be asked, checked 0 seconds ago, last confirmed 30 hours ago"
    ]
    assert await days.step(hours=0.5) == 0
    site.links()
    assert await days.step(hours=1) == 1
    assert await days.told() == [f"domain {domain(site)}, by its own site, checked 0 seconds ago"]


async def test_an_origin_that_the_did_names_no_more_is_told_for_a_month(days: Days, site: Site) -> None:
    site.links()
    await days.step()
    days.followed.document_now = document()
    await days.step(hours=3)
    await days.step(hours=24)
    assert site.asked == 1
    (line,) = await days.told()
    assert line == (
        f"domain {domain(site)}, which the issuer does not name any more, checked 24 hours ago,"
        " last confirmed 27 hours ago"
    )
    await days.step(hours=30 * 24)
    assert await days.told() == []
    days.followed.document_now = document(site.origin)
    assert await days.step() == 1


async def test_a_record_that_is_gone_from_the_dns_is_told_and_one_that_never_was_is_not(
    days: Days, site: Site
) -> None:
    site.links()
    await days.step()
    assert len(await days.told()) == 1
    days.records["_did.school.localhost"] = [f'"did={DID}"']
    await days.step(hours=24)
    site_line, dns_line = await days.told()
    assert (
        dns_line == f"domain {domain(site)}, by its entry in the DNS, without DNSSEC, checked 0 seconds ago"
    )
    days.records.clear()
    await days.step(hours=24)
    still, gone = await days.told()
    assert still == site_line
    assert gone == (
        f"domain {domain(site)}, which its entry in the DNS does not confirm, checked 0 seconds ago,"
        " last confirmed 24 hours ago"
    )


async def test_a_dns_that_fails_is_told_only_where_it_confirmed_before(days: Days, site: Site) -> None:
    site.links()
    days.dns_fails = True
    await days.step()
    assert len(await days.told()) == 1
    days.dns_fails, days.records["_did.school.localhost"] = False, [f'"did={DID}"']
    await days.step(hours=24)
    days.dns_fails = True
    await days.step(hours=24)
    assert (await days.told())[1] == (
        f"domain {domain(site)}, about which the DNS could not be asked, checked 0 seconds ago,"
        " last confirmed 24 hours ago"
    )


async def test_an_origin_that_is_named_again_is_asked_at_once(days: Days, site: Site) -> None:
    site.links()
    await days.step()
    days.followed.document_now = document()
    await days.step(hours=1)
    days.followed.document_now = document(site.origin)
    assert await days.step(hours=1) == 1
    assert await days.told() == [f"domain {domain(site)}, by its own site, checked 0 seconds ago"]


async def test_a_clock_that_was_set_back_leaves_no_finding_fresh_for_ever(days: Days, site: Site) -> None:
    site.links()
    await days.step(hours=1000)
    assert await days.step(hours=-1000) == 1
    assert site.asked == 2


async def test_a_document_that_is_not_followed_yet_leaves_what_is_known_to_age(
    days: Days, site: Site
) -> None:
    site.links()
    await days.step()
    days.followed.document_now = None
    assert await days.step(hours=100) == 0
    assert await days.told() == [f"domain {domain(site)}, by its own site, checked 4 days ago"]
    assert site.asked == 1


async def test_of_issuers_that_are_not_on_a_chain_nothing_is_asked(days: Days, site: Site) -> None:
    assert await days.step(did="did:web:school.example") == 0
    assert site.asked == 0


async def test_a_database_that_cannot_be_read_leaves_reports_without_the_note() -> None:
    class Broken:
        def reading(self) -> Any:
            raise Unavailable("the disk is full", asked="database")

    assert await KnownDomains(Broken(), lambda: NOW).told([DID]) == {}  # type: ignore[arg-type]
