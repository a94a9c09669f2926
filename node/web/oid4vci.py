"""Routes of OpenID4VCI 1.0: metadata, offers, token, nonce, credential, deferred, notification, bundles."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from node.core.bundle import MEDIA_TYPE
from node.core.encoding import decode_hex
from node.core.errors import Malformed, NotFound, Refused
from node.core.oid4vci import errors as codes
from node.core.oid4vci.credential_request import (
    MAX_REQUEST_BYTES,
    parse_credential_request,
    parse_deferred_request,
    parse_notification,
)
from node.core.oid4vci.credential_response import Deferred, Issued
from node.core.oid4vci.metadata import ISSUER_WELL_KNOWN, SERVER_WELL_KNOWN
from node.core.oid4vci.token import MAX_TOKEN_REQUEST_BYTES, parse_token_request
from node.core.problem import ours
from node.services.offers import (
    RETRY_SECONDS,
    OfferDesk,
    issuer_metadata,
    server_metadata,
)
from node.web.app import add_public_routes, read_body, read_form, read_json_object
from node.web.pages import PAGES, wants_page
from node.web.problems import PROBLEM_TYPE, json_response, oauth_errors
from node.web.qr import qr_code

DESK: Final = web.AppKey("desk", OfferDesk)
_METADATA_SECONDS: Final = 300
_METADATA_HEADERS: Final = {"Cache-Control": f"public, max-age={_METADATA_SECONDS}"}
# Tokens of ours have 43 characters; nothing longer is looked up.
_MAX_BEARER_CHARS: Final = 512


def add_oid4vci_routes(app: web.Application, desk: OfferDesk) -> None:
    """Serve `desk` at the paths of its URL."""
    app[DESK] = desk
    base = base_path(desk.url)
    add_public_routes(
        app,
        [
            web.get(f"{ISSUER_WELL_KNOWN}{base}", show_issuer_metadata),
            web.get(f"{SERVER_WELL_KNOWN}{base}", show_server_metadata),
            web.get(f"{base}/offers/{{secret}}", show_offer),
            web.post(f"{base}/token", redeem),
            web.post(f"{base}/nonce", give_nonce),
            web.post(f"{base}/credential", give_credential),
            web.post(f"{base}/deferred", give_deferred),
            web.post(f"{base}/notification", take_notification),
            web.get(f"{base}/bundles/{{digest}}", give_bundle),
        ],
    )


def base_path(url: str) -> str:
    """The path of a public URL, empty or beginning with a slash."""
    return urlsplit(url).path.rstrip("/")


def bearer_token(request: web.Request) -> str:
    """The token of the Authorization header (RFC 6750 section 2.1), or Refused with `invalid_token`."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not 0 < len(token) <= _MAX_BEARER_CHARS:
        raise Refused("a bearer token is needed", code=codes.INVALID_TOKEN)
    return token


async def show_issuer_metadata(request: web.Request) -> web.Response:
    """Section 12.2."""
    desk = request.app[DESK]
    metadata = await issuer_metadata(desk.issuer, desk.url)
    return json_response(metadata.to_json(), headers=_METADATA_HEADERS)


async def show_server_metadata(request: web.Request) -> web.Response:
    """RFC 8414."""
    return json_response(server_metadata(request.app[DESK].url).to_json(), headers=_METADATA_HEADERS)


async def show_offer(request: web.Request) -> web.Response:
    """The offer for a wallet, or a page with link and QR code for a browser: one URL for both."""
    desk = request.app[DESK]
    view = await desk.view(request.match_info["secret"])
    if wants_page(request, default=False):
        response = request.app[PAGES].render(
            "offer.html", status=200 if view.is_open else 410, view=view, qr=qr_code(view.link)
        )
    elif view.is_open:
        response = json_response(view.offer.to_json())
    else:
        body = {"type": ours("gone"), "title": "gone", "status": 410, "detail": "the offer is used or over"}
        response = json_response(body, status=410, content_type=PROBLEM_TYPE)
    response.headers["Vary"] = "Accept"
    return response


@oauth_errors()
async def redeem(request: web.Request) -> web.Response:
    """Token endpoint (section 6)."""
    parsed = parse_token_request(await read_form(request, MAX_TOKEN_REQUEST_BYTES))
    return json_response((await request.app[DESK].redeem(parsed)).to_json(), headers={"Pragma": "no-cache"})


@oauth_errors()
async def give_nonce(request: web.Request) -> web.Response:
    """Nonce endpoint (section 7)."""
    await read_body(request, MAX_TOKEN_REQUEST_BYTES)
    return json_response({"c_nonce": await request.app[DESK].new_nonce()})


@oauth_errors(codes.INVALID_CREDENTIAL_REQUEST)
async def give_credential(request: web.Request) -> web.Response:
    """Credential endpoint (section 8)."""
    token = await request.app[DESK].admit(bearer_token(request))
    parsed = parse_credential_request(await read_json_object(request, MAX_REQUEST_BYTES))
    return _credential_response(await request.app[DESK].claim(token, parsed))


@oauth_errors(codes.INVALID_CREDENTIAL_REQUEST)
async def give_deferred(request: web.Request) -> web.Response:
    """Deferred credential endpoint (section 9)."""
    token = await request.app[DESK].admit(bearer_token(request))
    transaction_id = parse_deferred_request(await read_json_object(request, MAX_REQUEST_BYTES))
    return _credential_response(await request.app[DESK].claim_deferred(token, transaction_id))


@oauth_errors(codes.INVALID_NOTIFICATION_REQUEST)
async def take_notification(request: web.Request) -> web.Response:
    """Notification endpoint (section 11)."""
    token = await request.app[DESK].admit(bearer_token(request))
    notification = parse_notification(await read_json_object(request, MAX_REQUEST_BYTES))
    await request.app[DESK].notify(token, notification)
    return web.Response(status=204)


async def give_bundle(request: web.Request) -> web.Response:
    """The bundle of a credential by its digest, 202 until it is final (FORMATS.md section 7, Travel)."""
    token = await request.app[DESK].admit(bearer_token(request))
    try:
        digest = decode_hex("0x" + request.match_info["digest"], 32)
    except Malformed as error:
        raise NotFound("no bundle of this digest belongs to the access token") from error
    bundle = await request.app[DESK].bundle(token, digest)
    if bundle is None:
        return json_response({"status": "pending"}, status=202, headers={"Retry-After": str(RETRY_SECONDS)})
    return json_response(bundle.to_json(), content_type=MEDIA_TYPE)


def _credential_response(answer: Issued | Deferred) -> web.Response:
    return json_response(answer.to_json(), status=200 if isinstance(answer, Issued) else 202)
