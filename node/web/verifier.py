"""The verifier node: the page on which a file is dropped, `POST /verify`, and the verifier's part of the VC API.

The VC API (VCALM 1.0 section 3.3) answers 200 with `verified` wherever the check itself ran, and our whole report
beside. `/verify` takes anything that `bonafides verify` takes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Final

from aiohttp import BodyPartReader, web

from node.core.bundle import parse_bundle
from node.core.errors import BonafidesError, Malformed
from node.core.members import within
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp
from node.core.verify.holder import Asked
from node.core.verify.intake import MAX_CREDENTIALS, MAX_INPUT_BYTES, Intake, Shown, presented
from node.core.verify.materials import Mode
from node.core.verify.report import CheckName, Outcome, Report
from node.core.verify.verifier import Verifier
from node.outbound.http import Egress, EgressPolicy
from node.services.presentations import MAX_OPEN_REQUESTS, REQUEST_SECONDS, Presentations
from node.services.verification import Clock, Examiner, system_clock, tell
from node.storage.base import Store, Transaction
from node.storage.database import open_database
from node.web.app import add_health_routes, make_base_app, read_body, read_json_object
from node.web.downloads import Shelf
from node.web.oid4vp import DIRECT_POST, RequestRoutes
from node.web.origins import same_origin_writes
from node.web.pages import Pages, errors_as_pages, moment_in, twin
from node.web.problems import json_response

_UNKNOWN_OPTION: Final = "https://www.w3.org/TR/vcalm#UNKNOWN_OPTION_PROVIDED"
# What VCALM 1.0 and its predecessor name; what only asks for more in the answer is answered anyway.
_OPTIONS: Final = frozenset(
    {
        "challenge",
        "checks",
        "created",
        "domain",
        "proofFormat",
        "proofPurpose",
        "returnCredential",
        "returnPresentation",
        "returnProblemDetails",
        "returnResults",
        "verificationMethod",
    }
)
_PROOF_CHECKS: Final = (CheckName.PROOF, CheckName.PROOF_PURPOSE)
_MAX_FIELD_BYTES: Final = 4096
_MAX_PARTS: Final = 16
_PURGE_SECONDS: Final = 60.0

log = logging.getLogger("bonafides.verifier")


@dataclass(frozen=True, slots=True)
class VerifierOptions:
    """What the application needs to know. `public_url` is where browsers and wallets reach it."""

    public_url: str
    database_url: str
    verifier: Verifier
    endpoints: tuple[str, ...] = ()
    name: str | None = None
    development: bool = False
    request_seconds: int = REQUEST_SECONDS
    max_open_requests: int = MAX_OPEN_REQUESTS
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
        policy = EgressPolicy(options.verifier.mode, options.endpoints, allow_loopback=options.development)
        self._options = options
        self._pages = pages
        self._egress = Egress(policy)
        self._examiner = Examiner(options.verifier, self._egress, options.clock)
        self._shelf = Shelf(options.clock)
        self._lazy_store = _LazyStore()
        self._presentations = Presentations(
            self._lazy_store,
            self._examiner,
            options.public_url,
            client_name=options.name,
            request_seconds=options.request_seconds,
            max_open=options.max_open_requests,
        )

    def add_to(self, app: web.Application) -> None:
        app.add_routes(
            [
                web.get("/", self.start),
                web.post("/verify", self.verify),
                web.get("/verify", self.back_to_start),
                web.get("/evidence/{ticket}", self.evidence),
                web.post("/credentials/verify", self.verify_credential),
                web.post("/presentations/verify", self.verify_presentation),
                web.post("/challenges", self.challenge),
            ]
        )
        self._pages.add_to(app)
        RequestRoutes(self._presentations, self._pages, self._options.public_url).add_to(app)
        add_health_routes(app, self.check_ready)

    async def run(self, _app: web.Application) -> AsyncIterator[None]:
        """Open what is needed, forget old results now and then, close it all."""
        store = await open_database(self._options.database_url)
        self._lazy_store.opened = store
        purging = asyncio.create_task(self._purge())
        try:
            yield
        finally:
            purging.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await purging
            self._examiner.close()
            await self._egress.close()
            await store.close()

    async def _purge(self) -> None:
        while True:
            try:
                await self._presentations.purge()
            except BonafidesError as error:
                log.warning("results could not be forgotten: %s", error.detail)
            await asyncio.sleep(_PURGE_SECONDS)

    async def check_ready(self) -> dict[str, str]:
        """The database and, where there is one, the chain endpoint."""
        lacking = {}
        try:
            async with self._lazy_store.reading() as tx:
                await tx.presentation_requests.count(self._options.clock())
        except BonafidesError:
            lacking["database"] = "cannot be read"
        if self._options.verifier.mode is not Mode.OFFLINE:
            async with self._egress.for_report() as egress:
                for number, url in enumerate(self._options.endpoints):
                    try:
                        await egress.chain(url).request("eth_chainId")  # now, not as remembered
                    except BonafidesError:
                        lacking[f"endpoint {number + 1}"] = "does not answer"
        return lacking

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
            "endpoints": len(self._options.endpoints),
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
        found = await self._examiner.examine_bytes(sent.data, asked=asked, as_of=as_of)
        told = await self._examiner.work(partial(tell, found))
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

    # VC API

    async def verify_credential(self, request: web.Request) -> web.Response:
        """`POST /credentials/verify`; a bundle may stand beside as `bonafides_bundle`."""
        body = await read_json_object(request, MAX_INPUT_BYTES)
        options = _options_of(body)
        credential = _object(body, "verifiableCredential")
        bundle = None
        if "bonafides_bundle" in body:
            with within("bonafides_bundle"):
                bundle = await self._examiner.work(partial(parse_bundle, body["bonafides_bundle"]))
        found = await self._examiner.examine(Intake((Shown(credential, bundle),)))
        answer = _vc_api_answer(found.report)
        if options.get("returnCredential"):
            answer["credential"] = credential
        if options.get("returnResults"):
            answer["results"] = _results_of(found.report)
        return json_response(answer)

    async def verify_presentation(self, request: web.Request) -> web.Response:
        """`POST /presentations/verify`; bundles may stand beside as `bonafides_bundles`."""
        body = await read_json_object(request, MAX_INPUT_BYTES)
        options = _options_of(body)
        member = "verifiablePresentation" if "verifiablePresentation" in body else "presentation"
        presentation = _object(body, member)
        listed = body.get("bonafides_bundles", [])
        if not isinstance(listed, list) or len(listed) > MAX_CREDENTIALS:
            raise Malformed(f"an array of at most {MAX_CREDENTIALS}", path=("bonafides_bundles",))
        intake = await self._examiner.work(partial(_presented, presentation, listed, member))
        domain = options.get("domain")
        asked = await self._presentations.asked(
            options.get("challenge"), (domain,) if isinstance(domain, str) else domain
        )
        found = await self._examiner.examine(intake, asked=asked)
        answer = _vc_api_answer(found.report)
        if options.get("returnPresentation"):
            answer["verifiablePresentation"] = presentation
        if options.get("returnResults"):
            answer["results"] = {
                "presentation": _results_of(found.report),
                "credentials": [_results_of(one) for one in found.report.credentials],
            }
        return json_response(answer)

    async def challenge(self, _request: web.Request) -> web.Response:
        """`POST /challenges`: for one presentation, within five minutes."""
        challenge, until = await self._presentations.new_challenge()
        return json_response({"challenge": challenge, "expires": format_datetime_stamp(until)})


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


def _presented(presentation: JsonObject, listed: list[Json], member: str) -> Intake:
    bundles = []
    for index, item in enumerate(listed):
        with within("bonafides_bundles", index):
            bundles.append(parse_bundle(item))
    with within(member):
        return presented(presentation, bundles)


def _options_of(body: JsonObject) -> JsonObject:
    options = body.get("options", {})
    if not isinstance(options, dict):
        raise Malformed("options is an object", path=("options",))
    if unknown := sorted(options.keys() - _OPTIONS):
        raise Malformed(f"no such option: {unknown[0]}", type=_UNKNOWN_OPTION, path=("options", unknown[0]))
    challenge, domain = options.get("challenge"), options.get("domain")
    if challenge is not None and not isinstance(challenge, str):
        raise Malformed("challenge is a text", path=("options", "challenge"))
    texts = domain if isinstance(domain, list) else [] if domain is None else [domain]
    if not all(isinstance(text, str) for text in texts):
        raise Malformed("domain is a text or an array of texts", path=("options", "domain"))
    if isinstance(domain, list):
        options = {**options, "domain": tuple(domain)}
    return options


def _object(body: JsonObject, name: str) -> JsonObject:
    value = body.get(name)
    if not isinstance(value, dict):
        raise Malformed(f"{name} is required and is an object", path=(name,))
    return value


def _vc_api_answer(report: Report) -> JsonObject:
    """`verified` and the problems; `checks`, `warnings` and `errors` are for clients of the older interface."""
    problems = [problem.to_json() for check in report.checks for problem in check.problems]
    failed = [check.basis for check in report.checks if check.outcome is Outcome.FAILED]
    return {
        "verified": report.verified,
        "problemDetails": problems,
        "checks": ["proof"],
        "warnings": failed if report.verified else [],
        "errors": [] if report.verified else failed or ["it could not be told"],
        "report": report.to_json(),
    }


def _results_of(report: Report) -> JsonObject:
    """VCALM's `results`, as far as its names and our checks are about the same thing."""

    def found(name: CheckName) -> JsonObject:
        check = report[name]
        return {"verified": check.outcome is Outcome.PASSED, "input": check.basis}

    results: JsonObject = {
        "proof": [found(name) for name in _PROOF_CHECKS],
        "validFrom": found(CheckName.VALIDITY_PERIOD),
        "validUntil": found(CheckName.VALIDITY_PERIOD),
        "credentialSchema": [found(CheckName.SCHEMA)],
        "credentialStatus": [found(CheckName.STATUS)],
    }
    return results
