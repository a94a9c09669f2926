"""The verifier node: the page on which a file is dropped, `POST /verify`, and what stands in modules of its own: the
VC API, requests to wallets, and the base path for interoperability suites.

`/verify` takes anything that `bonafides verify` takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import BodyPartReader, web

from node.core.errors import BonafidesError, Malformed
from node.core.evm.agreement import Endpoint, Endpoints
from node.core.evm.checkpoint import Checkpoint
from node.core.evm.light_client.settings import LightClientSettings
from node.core.strict_json import JsonObject
from node.core.verify.holder import Asked
from node.core.verify.intake import MAX_INPUT_BYTES
from node.core.verify.materials import Mode
from node.core.verify.verifier import Verifier
from node.outbound.checkpoints import mirror_egress
from node.outbound.headers import ChainEndpoints
from node.outbound.http import Egress, EgressPolicy
from node.outbound.light_client import light_clients
from node.outbound.proofs import EndpointProofs
from node.services.checkpoints import Mirror
from node.services.domains import DOMAIN_SECONDS, DomainWatch, KnownDomains
from node.services.follower import STEP_SECONDS, Followers
from node.services.presentations import MAX_OPEN_REQUESTS, REQUEST_SECONDS, Presentations
from node.services.proofs import Prover
from node.services.replica import StoredReplica
from node.services.suite.issuers import SuiteIssuers
from node.services.suite.keys import suite_keys
from node.services.verification import Clock, Examiner, system_clock
from node.storage.database import open_database
from node.storage.protocols.store import Store, Traces, Transaction
from node.web.app import add_health_routes, make_base_app, read_body
from node.web.downloads import Shelf
from node.web.oid4vp import DIRECT_POST, RequestRoutes
from node.web.origins import same_origin_writes
from node.web.pages import Pages, errors_as_pages, moment_in, twin
from node.web.proofs import add_proof_routes
from node.web.suite import BASE, SuiteApi
from node.web.vc_api import VcApi

_MAX_FIELD_BYTES: Final = 4096
_MAX_PARTS: Final = 16
_PURGE_SECONDS: Final = 60.0
_MIRROR_SECONDS: Final = 3600.0
# So long a start waits for the mirror. One that is down does not keep a verifier down.
_FIRST_SECONDS: Final = 5.0

log = logging.getLogger("bonafides.verifier")


@dataclass(frozen=True, slots=True)
class VerifierOptions:
    """What the application needs to know. `public_url` is where browsers and wallets reach it."""

    public_url: str
    database_url: str
    verifier: Verifier
    endpoints: Endpoints = Endpoints()  # noqa: RUF009 - frozen
    light_clients: Sequence[LightClientSettings] = ()
    folder: Path | None = None
    """Where light clients keep what they learned; None: nowhere."""
    follow: bool = False
    """Whether chains are followed, and checks answered from the replica alone."""
    follow_seconds: float = STEP_SECONDS
    follow_domains: bool = False
    """Whether the domains of the issuers on the trust list are asked for, daily and whatever is checked."""
    domain_seconds: float = DOMAIN_SECONDS
    mirror: Mirror | None = None
    """Whose checkpoint file is kept up to date."""
    name: str | None = None
    development: bool = False
    request_seconds: int = REQUEST_SECONDS
    max_open_requests: int = MAX_OPEN_REQUESTS
    suite: bool = False
    """Whether `/suite` is there, for interoperability suites."""
    suite_seed: bytes | None = None
    """The seed of the keys that issue there; None: nothing is issued."""
    clock: Clock = system_clock


VERIFIER: Final = web.AppKey("verifier", VerifierOptions)


def make_verifier_app(options: VerifierOptions) -> web.Application:
    """The verifier's application. Database and connections open when it starts and close when it ends."""
    pages = Pages("verifier.html", "Bonafides")
    app = make_base_app(
        max_body_bytes=MAX_INPUT_BYTES,
        outermost=[errors_as_pages(pages)],
        innermost=[same_origin_writes(options.public_url, except_under=(DIRECT_POST,))],
    )
    app[VERIFIER] = options
    node = _Node(options, pages)
    app.cleanup_ctx.append(node.run)
    node.add_to(app)
    return app


class _Node:
    """One running verifier: its parts are there once `run` has begun."""

    def __init__(self, options: VerifierOptions, pages: Pages) -> None:
        policy = EgressPolicy(
            options.verifier.mode,
            options.endpoints,
            beacons=tuple(url for one in options.light_clients for url in one.servers),
            mirrors=(options.mirror.url,) if options.mirror is not None else (),
            allow_loopback=options.development,
        )
        self._options = options
        self._pages = pages
        self._egress = Egress(policy)
        clients = light_clients(
            options.light_clients, options.verifier.networks.every, options.folder, options.clock
        )
        self._lazy_store = _LazyStore()
        self._sources = [one.source for one in clients]
        self._examiner = Examiner(
            options.verifier,
            self._egress,
            options.clock,
            sources=self._sources,
            replica=self._replica() if options.follow else None,
            domains=KnownDomains(self._lazy_store, options.clock) if options.follow_domains else None,
        )
        self._followers: Followers | None = None
        self._shelf = Shelf(options.clock)
        self._presentations = Presentations(
            self._lazy_store,
            self._examiner,
            options.public_url,
            client_name=options.name,
            request_seconds=options.request_seconds,
            max_open=options.max_open_requests,
        )

    def _replica(self) -> StoredReplica:
        return StoredReplica(self._lazy_store, self._options.verifier.networks.every, self._options.clock)

    def _suite(self) -> SuiteApi:
        options, issuers = self._options, None
        if options.suite_seed is not None:
            issuers = SuiteIssuers(suite_keys(options.suite_seed), self._examiner, options.public_url + BASE)
        verifying = VcApi(self._examiner, self._presentations, for_suites=True)
        return SuiteApi(verifying, issuers, options.public_url)

    def add_to(self, app: web.Application) -> None:
        app.add_routes(
            [
                web.get("/", self.start),
                web.post("/verify", self.verify),
                web.get("/verify", self.back_to_start),
                web.get("/evidence/{ticket}", self.evidence),
                *VcApi(self._examiner, self._presentations).routes(),
            ]
        )
        if self._options.endpoints.every and self._options.verifier.mode is not Mode.OFFLINE:
            add_proof_routes(app, Prover(self._options.verifier.networks.every, self._proofs))
        if self._options.suite:
            app.add_routes(self._suite().routes())
        self._pages.add_to(app)
        RequestRoutes(self._presentations, self._pages, self._options.public_url).add_to(app)
        add_health_routes(app, self.check_ready, about=self._followed)

    @contextlib.asynccontextmanager
    async def _proofs(self) -> AsyncIterator[EndpointProofs]:
        async with self._egress.for_report() as egress:
            yield EndpointProofs(ChainEndpoints(egress, self._options.verifier.networks.every).of)

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Open what is needed, forget old results now and then, close it all."""
        store = await open_database(self._options.database_url)
        self._lazy_store.opened = store
        tasks = [asyncio.create_task(self._purge())]
        if self._options.follow:
            networks = self._options.verifier.networks.every
            self._followers = Followers(
                store, networks, self._egress, sources=self._sources, clock=self._options.clock
            )
            tasks.append(asyncio.create_task(self._followers.run(self._options.follow_seconds)))
        if self._options.follow_domains and self._options.verifier.trust is not None:
            trust = self._options.verifier.trust
            watch = DomainWatch(store, self._replica(), trust, self._egress, clock=self._options.clock)
            tasks.append(asyncio.create_task(watch.run(self._options.domain_seconds)))
        try:
            if (mirror := self._options.mirror) is not None:
                await self._begin_with(mirror)
                tasks.append(asyncio.create_task(self._follow_mirror(mirror)))
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._examiner.close()
            await self._egress.close()
            await store.close()

    async def _begin_with(self, mirror: Mirror) -> None:
        if (kept := mirror.kept()) is not None:
            self._believe(kept)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._ask_mirror(mirror), _FIRST_SECONDS)

    async def _follow_mirror(self, mirror: Mirror) -> None:
        """Ask the mirror now and then: no check does, so that it learns of none."""
        while True:
            await asyncio.sleep(_MIRROR_SECONDS)
            await self._ask_mirror(mirror)

    async def _ask_mirror(self, mirror: Mirror) -> None:
        try:
            # By a guard of its own: the files are larger than anything else that is fetched.
            async with mirror_egress(Mode.MIRROR, [mirror.url]) as egress:
                self._believe(await mirror.renewed(egress))
        except BonafidesError as error:
            log.warning("the checkpoint file could not be renewed: %s", error.detail)

    def _believe(self, checkpoint: Checkpoint) -> None:
        self._examiner.verifier = self._examiner.verifier.with_checkpoint(checkpoint)

    async def _purge(self) -> None:
        while True:
            try:
                await self._presentations.purge()
            except BonafidesError as error:
                log.warning("results could not be forgotten: %s", error.detail)
            await asyncio.sleep(_PURGE_SECONDS)

    def _followed(self) -> JsonObject:
        return {} if self._followers is None else {"following": self._followers.progress()}

    async def check_ready(self) -> dict[str, str]:
        """The database and, where there are any, enough chain endpoints."""
        lacking = {}
        try:
            async with self._lazy_store.reading() as tx:
                await tx.presentation_requests.count(self._options.clock())
        except BonafidesError:
            lacking["database"] = "cannot be read"
        if self._options.verifier.mode is not Mode.OFFLINE:
            lacking |= await self._silent_endpoints()
        return lacking

    async def _silent_endpoints(self) -> dict[str, str]:
        """Those that do not answer, where too few of their chain are left."""
        every = self._options.endpoints.every
        async with self._egress.for_report() as egress:
            answers = await asyncio.gather(*(_answers(egress, one) for one in every))
        silent: dict[str, str] = {}
        for chain_id in {one.chain_id for one in every}:
            group = [place for place, one in enumerate(every) if one.chain_id == chain_id]
            operators = {every[place].operator for place in group}
            answering = {every[place].operator for place in group if answers[place]}
            if len(answering) < self._options.endpoints.needed(len(operators)):
                silent |= {
                    f"endpoint {place + 1}": "does not answer" for place in group if not answers[place]
                }
        return silent

    # Pages

    async def start(self, request: web.Request) -> web.Response:
        """The page to drop a file on."""
        return twin(request, self._start_page, self._told_of_self())

    async def back_to_start(self, _request: web.Request) -> web.Response:
        """Somebody reloaded the address of a result: nothing of it is kept."""
        raise web.HTTPSeeOther("/")

    def _start_page(self, fault: str | None = None, status: int = 200, text: str = "") -> web.Response:
        return self._pages.render(
            "start.html", status=status, about=self._told_of_self(), fault=fault, text=text
        )

    def _told_of_self(self) -> JsonObject:
        verifier = self._options.verifier
        return {
            "name": self._options.name,
            "mode": verifier.mode,
            "policy": verifier.policy.name,
            "recognised_issuers": len(verifier.trust.entries) if verifier.trust is not None else None,
            "endpoints": len(self._options.endpoints.every),
            "max_bytes": MAX_INPUT_BYTES,
        }

    async def verify(self, request: web.Request) -> web.Response:
        """Judge what was sent: as the body itself, or by the page's form."""
        if request.content_type == "multipart/form-data":
            sent = await _read_multipart(request)
            if not sent.data.strip():
                fault = "Choose a file, or paste its text."
                error = Malformed("nothing was sent", path=("file",))
                if request.headers.get("Accept", "").startswith("application/json"):
                    raise error
                return self._start_page(fault, status=400, text="")
        else:
            sent = _Sent(await read_body(request, MAX_INPUT_BYTES), dict(request.query))
        as_of = moment_in(sent.fields.get("as_of"), "as_of")
        asked = await self._asked(sent.fields)
        told = await self._examiner.tell_bytes(sent.data, asked=asked, as_of=as_of)
        account, report = told.account, told.report
        for credential, files in zip(account["credentials"], told.files, strict=False):
            for item, (one, data) in zip(credential["evidence"], files, strict=True):
                item["href"] = f"/evidence/{self._shelf.put(one['name'], data)}"

        def page() -> web.Response:
            data = {**report, "account": account}
            return self._pages.render("verdict.html", account=account, report=data)

        return twin(request, page, {**report, "account": account}, default_page=False)

    async def evidence(self, request: web.Request) -> web.Response:
        """A file that came with something judged on the page."""
        return self._shelf.response(request.match_info["ticket"])

    async def _asked(self, fields: Mapping[str, str]) -> Asked:
        domain = fields.get("domain") or None
        return await self._presentations.asked(fields.get("challenge") or None, (domain,) if domain else None)


async def _answers(egress: Egress, endpoint: Endpoint) -> bool:
    try:
        await egress.chain(endpoint.url).request("eth_chainId")  # now, not as remembered
    except BonafidesError:
        return False
    return True


class _LazyStore:
    """The store between the making of an application and its start, when the database is opened."""

    opened: Store | None = None

    def _store(self) -> Store:
        assert self.opened is not None, "the application has not started"  # noqa: S101
        return self.opened

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self._store().transaction()

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        return self._store().reading()

    async def overwrite_erased(self) -> Traces:
        return await self._store().overwrite_erased()

    async def close(self) -> None:
        await self._store().close()


@dataclass(frozen=True, slots=True)
class _Sent:
    data: bytes
    fields: Mapping[str, str]


async def _read_multipart(request: web.Request) -> _Sent:
    """The page's form: a file or a text, and perhaps challenge and domain."""
    left = MAX_INPUT_BYTES
    data = b""
    fields: dict[str, str] = {}
    try:
        parts = 0
        async for part in await request.multipart():
            parts += 1
            if parts > _MAX_PARTS:
                raise Malformed(f"a form of more than {_MAX_PARTS} parts")
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise Malformed("a part of the form has no name")
            is_document = part.name in ("file", "text")
            content = await _read_part(part, left if is_document else _MAX_FIELD_BYTES)
            left -= len(content)
            if is_document:
                data = data or content
            else:
                fields[part.name] = content.decode("utf-8")
    except (ValueError, AssertionError, EOFError) as error:
        raise Malformed("the form cannot be read") from error
    return _Sent(data, fields)


async def _read_part(part: BodyPartReader, max_bytes: int) -> bytes:
    content = bytearray()
    while piece := await part.read_chunk():
        content += piece
        if len(content) > max_bytes:
            raise web.HTTPRequestEntityTooLarge(max_size=max_bytes, actual_size=len(content))
    return bytes(content)
