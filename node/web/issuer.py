"""The issuer's application: OpenID4VCI, the VC API's issuer service, status lists, health, and a page about it.

`make_issuer_app` builds all of it around an open `Issuer`, which it does not close. In the background it anchors what
was issued and keeps list credentials fresh; both end with the application.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from aiohttp import web

from node.core.envelope import enveloped
from node.core.errors import BonafidesError, Malformed, Misconfigured, NotFound, Refused, Unavailable
from node.core.jose.domain_linkage import CONFIGURATION_PATH, origin_of
from node.core.oid4vci.metadata import issuer_metadata_url
from node.core.securing import BBS, DC_SD_JWT, DEFAULT_SECURING, KINDS, TOKENS
from node.core.status.entry import REVOCATION, SUSPENSION
from node.core.strict_json import Json, JsonObject
from node.services import export, issuance, renewal, revocation, status_lists
from node.services.derivation import pointers_of
from node.services.issuer import Issuer
from node.services.offers import OfferDesk
from node.services.proofs import Prover
from node.services.revocation import Action
from node.services.securing import read_issued
from node.storage.protocols.issuer import ApiRole, ApiToken
from node.storage.protocols.status_lists import ListCredential
from node.web.app import add_health_routes, add_public_routes, make_base_app, read_json_object
from node.web.oid4vci import DESK, add_oid4vci_routes, base_path, bearer_token
from node.web.pages import PAGES, Pages, errors_as_pages, twin
from node.web.problems import json_response
from node.web.proofs import add_proof_routes
from node.web.vc_api import UNKNOWN_OPTION

ISSUER: Final = web.AppKey("issuer", Issuer)
WARNINGS: Final = web.AppKey("warnings", list[str])
"""Of the worker's last step: what will stand in its way before long."""
VC_TYPE: Final = "application/vc"
# A badge with its images; evidence does not come this way.
MAX_CREDENTIAL_BYTES: Final = 4 * 1024 * 1024
MAX_STATUS_BYTES: Final = 64 * 1024
_LIST_SECONDS: Final = 3600
_HOUSEKEEPING_SECONDS: Final = 60.0
# All that was ever signed by a BLS12-381 key is looked through; a week is long.
_RENEWING_SECONDS: Final = 3600.0
# An endpoint that hangs must not hold up the end.
_STOP_SECONDS: Final = 3.0
# What VC API clients and test suites send beside a credential. Only the first two decide anything here.
_OPTIONS: Final = frozenset(
    {
        "credentialId",
        "cryptosuite",
        "type",
        "checks",
        "proofFormat",
        "verificationMethod",
        "proofPurpose",
        "created",
        "domain",
        "challenge",
        "mandatoryPointers",
    }
)

# Members of a cohort are what bbs-2023 does not tell apart, and over HTTP there are none; `dc+sd-jwt` has no envelope.
_OVER_HTTP: Final = KINDS.keys() - {BBS, DC_SD_JWT}

log = logging.getLogger("bonafides.issuer")


def make_issuer_app(
    issuer: Issuer,
    *,
    url: str | None = None,
    with_worker: bool = True,
    add_key: renewal.AddKey | None = None,
) -> web.Application:
    """Everything that an issuer serves; `url` is its public URL, by default the one in its settings.

    `with_worker=False` leaves anchoring and renewing to somebody else, such as `issuer anchor`. `add_key` makes the
    BLS12-381 key of a week, which needs the passphrase.
    """
    desk = OfferDesk(issuer, url or issuer.settings.url)
    base = base_path(desk.url)
    pages = Pages("issuer.html", issuer.settings.name, base)
    app = make_base_app(max_body_bytes=MAX_CREDENTIAL_BYTES, outermost=[errors_as_pages(pages)])
    pages.add_to(app)
    app[ISSUER] = issuer
    add_oid4vci_routes(app, desk)
    add_public_routes(app, [web.get(f"{base}/status/{{number}}", show_status_list)])
    if not base:
        # Only the root of an origin can speak for it.
        add_public_routes(app, [web.get(CONFIGURATION_PATH, show_did_configuration)])
    if issuer.chain is not None:
        chain = issuer.chain
        prover = Prover(
            {chain.network.chain_id: chain.network}, lambda: contextlib.nullcontext(chain.proofs())
        )
        add_proof_routes(app, prover, base)
    app.add_routes(
        [
            web.get(base or "/", show_home),
            web.post(f"{base}/credentials/issue", issue_credential),
            web.post(f"{base}/credentials/status", change_status),
        ]
    )
    warnings: list[str] = []
    app[WARNINGS] = warnings
    add_health_routes(app, lambda: _lacking(issuer), lambda: warnings)
    app.cleanup_ctx.append(_housekeeping)
    if with_worker:
        app.cleanup_ctx.append(lambda app: _renewing(app, add_key))
    if with_worker and issuer.chain is not None:
        app.cleanup_ctx.append(_anchoring)
    return app


# --- pages and lists


async def show_home(request: web.Request) -> web.Response:
    """Who this issuer is, for whoever follows a link to it: nothing about whom it issued to, or how much."""
    issuer, desk = request.app[ISSUER], request.app[DESK]
    async with issuer.store.reading() as reading:
        lists = [one for one in await reading.status_lists.all() if one.is_open]
    settings = issuer.settings
    about = {
        "name": settings.name,
        "did": settings.did,
        "chain": settings.chain,
        "metadata": issuer_metadata_url(desk.url),
        "status_lists": [{"purpose": one.purpose, "url": one.url} for one in lists],
    }
    return twin(request, lambda: request.app[PAGES].render("issuer_home.html", about=about), about)


async def show_status_list(request: web.Request) -> web.Response:
    """The signed list credential, for caches to keep an hour: who fetches it then stays unknown to us."""
    issuer = request.app[ISSUER]
    credential = await _list_credential(issuer, request.match_info["number"])
    tag = sha256(credential.document).hexdigest()[:32]
    left = int((credential.valid_until - issuer.clock()).total_seconds())
    headers = {
        "Cache-Control": f"public, max-age={max(0, min(_LIST_SECONDS, left))}",
        "ETag": f'"{tag}"',
        "Last-Modified": f"{credential.signed_at:%a, %d %b %Y %H:%M:%S GMT}",
    }
    if request.if_none_match and any(known.value in (tag, "*") for known in request.if_none_match):
        return web.Response(status=304, headers=headers)
    return web.Response(body=credential.document, content_type=VC_TYPE, headers=headers)


async def show_did_configuration(request: web.Request) -> web.Response:
    """That this origin is the DID's own, signed by it (Well Known DID Configuration)."""
    issuer, desk = request.app[ISSUER], request.app[DESK]
    try:
        body = await export.did_configuration_json(issuer, origin_of(desk.url))
    except Misconfigured as error:
        raise NotFound("no key of this issuer signs such a token") from error
    headers = {"Cache-Control": f"public, max-age={_LIST_SECONDS}"}
    return web.Response(body=body, content_type="application/json", headers=headers)


async def _list_credential(issuer: Issuer, number: str) -> ListCredential:
    async with issuer.store.reading() as reading:
        found = await reading.status_lists.find_by_url(f"{issuer.settings.url}/status/{number}")
        if found is None or not found.is_open:
            raise NotFound("there is no such status list")
        credential = await reading.status_lists.load_credential(found.list_id)
    if credential is not None:
        return credential
    await status_lists.publish_due(issuer)  # opened a moment ago
    async with issuer.store.reading() as reading:
        credential = await reading.status_lists.load_credential(found.list_id)
    if credential is None:
        raise Unavailable("the list is not signed yet", asked="status list")
    return credential


# --- VC API


async def issue_credential(request: web.Request) -> web.Response:
    """`POST /credentials/issue` (VC API section 2): 201 with the signed credential.

    The same id with the same content again answers the same credential, so a client may repeat a request.
    """
    await _authorized(request, ApiRole.ISSUE)
    body = await read_json_object(request, MAX_CREDENTIAL_BYTES)
    credential, options = body.get("credential"), body.get("options", {})
    if not isinstance(credential, dict):
        raise Malformed("the credential to be issued is missing", path=("credential",))
    issuer, securing = request.app[ISSUER], _securing(options)
    record = await issuance.issue_document(
        issuer,
        _identified(credential, options),
        securing=securing,
        mandatory=pointers_of(options, "mandatoryPointers"),
        with_status=await status_lists.gives_entries(issuer),
    )
    if record.signed is None:
        raise Unavailable("the credential is recorded and not signed yet: ask again", asked="issuer")
    # As it was signed; the VC API wraps it, and knows no texts: a token is in the object that stands for it.
    issued = read_issued(record.signed.document)
    document = issued.document if issued.envelope is None else enveloped(issued.envelope)
    return json_response({"verifiableCredential": document}, status=201)


def _securing(options: Json) -> str:
    """`cryptosuite`, or for tokens `proofFormat`, as older clients of the VC API name them."""
    if not isinstance(options, dict):
        raise Malformed("options is a JSON object", path=("options",))
    if unknown := options.keys() - _OPTIONS:
        raise Malformed("an unknown option", type=UNKNOWN_OPTION, path=("options", min(unknown)))
    form = options.get("proofFormat")
    name = "proofFormat" if form in TOKENS else "cryptosuite"
    securing = options.get(name, DEFAULT_SECURING)
    if not isinstance(securing, str) or securing not in _OVER_HTTP:
        raise Malformed(f"expected one of {', '.join(sorted(_OVER_HTTP))}", path=("options", name))
    return securing


def _identified(credential: JsonObject, options: JsonObject) -> JsonObject:
    name = options.get("credentialId")
    if name is None:
        return credential
    if not isinstance(name, str) or credential.get("id", name) != name:
        raise Malformed(
            "credentialId is a text, and only for a credential without id", path=("options", "credentialId")
        )
    return {**credential, "id": name}


@dataclass(frozen=True, slots=True)
class StatusRequest:
    """A body of `POST /credentials/status`, of either form."""

    credential_id: str
    purpose: str
    is_set: bool
    list_url: str | None = None
    index: str | None = None

    @property
    def action(self) -> Action:
        """What is asked for; Refused where a revocation would be undone."""
        if self.purpose == REVOCATION:
            if not self.is_set:
                raise Refused("a revocation is never undone: issue a new credential")
            return Action.REVOKE
        return Action.SUSPEND if self.is_set else Action.REINSTATE


def parse_status_request(body: JsonObject) -> StatusRequest:
    """The request of VCALM (`credentialStatus` an object, `status` beside it), or of older VC API clients (an array
    of one, `status` inside as "0" or "1").
    """
    name, entry, status = body.get("credentialId"), body.get("credentialStatus"), body.get("status")
    if isinstance(entry, list):
        if len(entry) != 1:
            raise Malformed("one status is changed at a time", path=("credentialStatus",))
        entry = entry[0]
        status = entry.get("status") if isinstance(entry, dict) else None
    if not isinstance(name, str) or not name:
        raise Malformed("expected the id of a credential", path=("credentialId",))
    if not isinstance(entry, dict):
        raise Malformed("expected an object with purpose", path=("credentialStatus",))
    if not isinstance(status, bool) and status not in ("0", "1"):
        raise Malformed("expected true or false", path=("status",))
    purpose = entry.get("statusPurpose", REVOCATION)
    if purpose not in (REVOCATION, SUSPENSION):
        raise Malformed("expected revocation or suspension", path=("credentialStatus", "statusPurpose"))
    for member in ("statusListCredential", "statusListIndex"):
        if not isinstance(entry.get(member, ""), str):
            raise Malformed("expected a text", path=("credentialStatus", member))
    return StatusRequest(
        name,
        purpose,
        status is True or status == "1",
        entry.get("statusListCredential"),
        entry.get("statusListIndex"),
    )


async def change_status(request: web.Request) -> web.Response:
    """`POST /credentials/status` (VC API section 2): 200 once the change is accepted; the chain follows."""
    token = await _authorized(request, ApiRole.STATUS)
    issuer = request.app[ISSUER]
    body = await read_json_object(request, MAX_STATUS_BYTES)
    asked = parse_status_request(body)
    reason = body.get("reason", "asked for over HTTP")
    if not isinstance(reason, str):
        raise Malformed("a reason is a text", path=("reason",))
    async with issuer.store.reading() as reading:
        record = await reading.credentials.load(asked.credential_id)
        entries = [] if record is None else await reading.status_lists.indexes_of(asked.credential_id)
    if record is None:
        raise NotFound("no credential with this id was issued here")
    for entry in entries:
        if entry.purpose == asked.purpose and (
            asked.list_url not in (None, entry.url) or asked.index not in (None, str(entry.index))
        ):
            raise Malformed("the credential has another status entry", path=("credentialStatus",))
    (change,) = await revocation.change_status(
        issuer, [record], asked.action, reason=reason, requested_by=f"token {token.label}"
    )
    return json_response(
        {"credentialId": change.credential_id, "status": asked.is_set, "effective": change.is_effective}
    )


async def _authorized(request: web.Request, role: ApiRole) -> ApiToken:
    issuer = request.app[ISSUER]
    token_hash = sha256(bearer_token(request).encode("utf-8", "surrogateescape")).digest()
    async with issuer.store.reading() as reading:
        token = await reading.api_tokens.find(token_hash, issuer.clock())
    if token is None:
        raise Refused("the token is unknown, expired or revoked", code="invalid_token")
    if role not in token.roles:
        raise Refused(f"the token is not for {role}", code="insufficient_scope")
    return token


# --- health and the background


async def _lacking(issuer: Issuer) -> dict[str, str]:
    """What an issuer that cannot work now is without."""
    lacking = {}
    try:
        async with issuer.store.reading() as reading:
            await reading.issuer.load()
        await issuer.signing_key()
    except Misconfigured:
        lacking["key"] = "no assertion key can be used"
    except BonafidesError:
        lacking["database"] = "the database does not answer"
    if issuer.on_chain:
        try:
            chain = issuer.require_chain()
            if await chain.client.chain_id() != chain.network.chain_id:
                lacking["chain"] = "the endpoint is of another chain"
            await chain.client.finalized()  # the chain's number was asked for once and kept
        except BonafidesError:
            lacking["chain"] = "the chain endpoint does not answer"
    return lacking


async def _housekeeping(app: web.Application) -> AsyncIterator[None]:
    """Sign lists again in time, and forget what is over."""
    issuer, desk = app[ISSUER], app[DESK]
    jobs = (lambda: status_lists.publish_due(issuer), desk.forget_expired)
    task = asyncio.create_task(_again_and_again("housekeeping", jobs, _HOUSEKEEPING_SECONDS))
    yield
    await _ended(task)


async def _renewing(app: web.Application, add_key: renewal.AddKey | None) -> AsyncIterator[None]:
    """Issue again in time what bbs-2023 secures."""
    jobs = (lambda: renewal.renew_in_time(app[ISSUER], add_key),)
    task = asyncio.create_task(_again_and_again("renewing", jobs, _RENEWING_SECONDS))
    yield
    await _ended(task)


async def _again_and_again(name: str, jobs: Sequence[Callable[[], Awaitable[int]]], seconds: float) -> None:
    while True:
        for job in jobs:
            try:
                await job()
            except BonafidesError as error:
                log.warning("%s: %s", name, error.detail)
            except Exception:
                # Whatever it was, lists that nobody renews would run out in silence, and nonces fill up.
                log.exception(name)
        await asyncio.sleep(seconds)


async def _anchoring(app: web.Application) -> AsyncIterator[None]:
    """Anchor what was issued, for as long as the application runs."""
    from node.services.anchoring import AnchorWorker, Tick  # noqa: PLC0415 - web3 is not for issuers without a chain

    stopped = asyncio.Event()
    worker = AnchorWorker(app[ISSUER])

    def remember(tick: Tick) -> None:
        set_aside = [one for one in tick.troubles if one.is_set_aside]
        app[WARNINGS][:] = [
            *(f"{one.purpose} is set aside: {one.detail}" for one in set_aside),
            *tick.warnings,
        ]

    async def run() -> None:
        # A fault in one step must not end anchoring for good while everything else looks well.
        while not stopped.is_set():
            try:
                await worker.run(stopped, lambda trouble: log.warning("anchoring: %s", trouble), remember)
            except BonafidesError as error:
                log.warning("anchoring: %s", error.detail)
            except Exception:
                log.exception("anchoring")
            else:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopped.wait(), _STOP_SECONDS)

    task = asyncio.create_task(run())
    yield
    stopped.set()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), _STOP_SECONDS)
    await _ended(task)


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
