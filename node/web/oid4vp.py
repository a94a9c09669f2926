"""Routes of OpenID4VP 1.0: ask, be asked for the request, take the answer, show the result."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from node.core.encoding import decode_base64url
from node.core.errors import Malformed, NotFound
from node.core.oid4vp.dcql import parse_dcql
from node.core.oid4vp.request import MEDIA_TYPE
from node.core.oid4vp.response import MAX_RESPONSE_BYTES
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp
from node.services.presentations import (
    Flow,
    NewRequest,
    Presentations,
    Result,
    ResultState,
    asked_achievement,
    open_badge_query,
)
from node.web.app import add_public_routes, read_form, read_json_object
from node.web.downloads import download
from node.web.pages import Pages, twin, wants_page
from node.web.problems import NO_STORE, json_response, oauth_errors
from node.web.qr import qr_code

MAX_REQUEST_BYTES: Final = 64 * 1024
# The form carries JSON in percent-encoding, which is up to three times as long.
MAX_FORM_BYTES: Final = 3 * MAX_RESPONSE_BYTES
MAX_NAME_CHARS: Final = 500
# What the links of this module end in; wallets in browsers post there from their own pages.
DIRECT_POST: Final = "/response"


class RequestRoutes:
    """Handlers on one `Presentations`. `base_url` is the node's public URL."""

    def __init__(self, presentations: Presentations, pages: Pages, base_url: str) -> None:
        self._presentations = presentations
        self._pages = pages
        self._base_url = base_url.rstrip("/")

    def add_to(self, app: web.Application) -> None:
        """Put the routes into an application."""
        app.add_routes(
            [
                web.get("/requests", self.form),
                web.post("/requests", self.create),
                web.get("/requests/{state}", self.request_object),
                web.get("/results/{id}", self.result),
                web.get("/results/{id}/evidence/{answer}/{credential}/{place}", self.evidence),
            ]
        )
        answer = oauth_errors()(self.answer)
        add_public_routes(app, [web.post(f"/requests/{{state}}{DIRECT_POST}", answer)])

    async def form(self, request: web.Request) -> web.Response:
        """What may be asked for."""
        example = open_badge_query().to_json()
        return twin(
            request,
            self._ask_page,
            {
                "create": {
                    "method": "POST",
                    "body": {"dcql_query": example, "flow": list(Flow), "encrypted": [False, True]},
                }
            },
        )

    def _ask_page(
        self, *, status: int = 200, achievement: str = "", fault: str | None = None
    ) -> web.Response:
        name = self._presentations.client_name
        return self._pages.render("ask.html", status=status, achievement=achievement, fault=fault, name=name)

    async def create(self, request: web.Request) -> web.Response:
        """A new request, from the page's form or as JSON."""
        if request.content_type == "application/x-www-form-urlencoded":
            form = await read_form(request, MAX_REQUEST_BYTES)
            achievement = form.get("achievement", "").strip()
            if len(achievement) > MAX_NAME_CHARS:
                fault = f"A name has at most {MAX_NAME_CHARS} characters."
                return self._ask_page(status=400, achievement=achievement, fault=fault)
            made = await self._presentations.create(open_badge_query(achievement=achievement or None))
            raise web.HTTPSeeOther(f"/results/{made.result_id}")
        body = await read_json_object(request, MAX_REQUEST_BYTES)
        if unknown := body.keys() - {"dcql_query", "achievement", "flow", "encrypted"}:
            raise Malformed(f"unknown members: {', '.join(sorted(unknown))}")
        if "dcql_query" in body:
            query = parse_dcql(body["dcql_query"])
        else:
            named = body.get("achievement")
            if named is not None and not isinstance(named, str):
                raise Malformed("achievement is a text", path=("achievement",))
            query = open_badge_query(achievement=named)
        encrypted = body.get("encrypted", False)
        if not isinstance(encrypted, bool):
            raise Malformed("expected true or false", path=("encrypted",))
        flow = _flow(body.get("flow", Flow.CROSS_DEVICE))
        made = await self._presentations.create(query, flow, encrypted=encrypted)
        result = f"{self._base_url}/results/{made.result_id}"
        return json_response(_created(made, result), status=201, headers={"Location": result})

    async def request_object(self, request: web.Request) -> web.Response:
        """The request for a wallet; how far it has come for whoever asks for JSON; a word for a person."""
        state = request.match_info["state"]
        if wants_page(request, default=False):
            return self._pages.render("for_wallets.html", state=await self._presentations.progress(state))
        if request.headers.get("Accept", "").startswith("application/json"):
            return json_response({"state": await self._presentations.progress(state)})
        text = await self._presentations.request_object(state)
        return web.Response(body=text.encode("ascii"), content_type=MEDIA_TYPE, headers=NO_STORE)

    async def answer(self, request: web.Request) -> web.Response:
        """A wallet's direct_post."""
        state = request.match_info["state"]
        await self._presentations.check_open(state)  # before megabytes are read from a stranger
        form = await read_form(request, MAX_FORM_BYTES)
        return json_response(await self._presentations.answer(state, form))

    async def result(self, request: web.Request) -> web.Response:
        """The result, or the link and QR code while there is none."""
        result_id = request.match_info["id"]
        code = request.query.get("response_code")
        result = await self._presentations.result(result_id, code)
        data = _told(result)
        suffix = f"?response_code={code}" if code else ""
        for number, answer in enumerate(data.get("answers", [])):
            for index, credential in enumerate(answer["account"]["credentials"]):
                for item in credential["evidence"]:
                    path = f"/results/{result_id}/evidence/{number}/{index}/{item['place']}"
                    item["href"] = path + suffix
        return twin(request, lambda: self._page(result, data), data)

    def _page(self, result: Result, data: JsonObject) -> web.Response:
        if result.record is None or result.state is ResultState.DECLINED:
            achievement = asked_achievement(result.query)
            return self._pages.render(
                "waiting.html", result=data, qr=qr_code(result.link), achievement=achievement
            )
        return self._pages.render("answers.html", result=data)

    async def evidence(self, request: web.Request) -> web.Response:
        """A file that came with an answer."""
        result_id = request.match_info["id"]
        result = await self._presentations.result(result_id, request.query.get("response_code"))
        wanted = tuple(request.match_info[name] for name in ("answer", "credential", "place"))
        for number, answer in enumerate((result.record or {}).get("answers", [])):
            for index, files in enumerate(answer["files"]):
                for item in files:
                    if wanted == (str(number), str(index), str(item["place"])):
                        return download(item["name"], decode_base64url(item["data"]))
        raise NotFound("there is no such file, or it was not kept because too many were shown here")


def _flow(value: object) -> Flow:
    try:
        return Flow(str(value))
    except ValueError as error:
        raise Malformed(f"flow is one of {', '.join(Flow)}", path=("flow",)) from error


def _created(made: NewRequest, result: str) -> JsonObject:
    return {
        "result": result,
        "result_id": made.result_id,
        "link": made.link,
        "request_uri": made.request_uri,
        "client_id": made.client_id,
        "nonce": made.nonce,
        "flow": made.flow,
        "expires_at": format_datetime_stamp(made.expires_at),
    }


def _told(result: Result) -> JsonObject:
    """The result as JSON; the files themselves stay behind links."""
    data: JsonObject = {
        "state": result.state,
        "expires_at": format_datetime_stamp(result.expires_at),
        "forgotten_at": format_datetime_stamp(result.forgotten_at),
    }
    if result.state is ResultState.WAITING:
        data |= {"link": result.link, "dcql_query": result.query.to_json()}
    if result.record is not None:
        record = dict(result.record)
        if "answers" in record:
            record["answers"] = [
                {name: value for name, value in answer.items() if name != "files"}
                for answer in record["answers"]
            ]
        data |= record
    return data
