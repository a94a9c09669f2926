"""The verifier node over HTTP: the page's endpoint, the VC API, and OpenID4VP with a wallet played by the test."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import threading
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from aiohttp import FormData
from fixtures.served import HTML, JSON, URL, Served
from fixtures.shown import FixedClock, bundle_of

from node.core.baking import bake, default_svg
from node.core.envelope import enveloped, read_envelope
from node.core.errors import NotFound
from node.core.jose.vc_jwt import prepare_vc_jwt
from node.core.oid4vp.response import AuthorizationResponse
from node.core.verify import engine
from node.core.verify.intake import MAX_INPUT_BYTES
from node.services import presentations, verification
from node.web.downloads import MAX_KEPT_BYTES, Shelf
from node.web.oid4vp import MAX_FORM_BYTES

INLINE = re.compile(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=\"")


# --- POST /verify


async def test_a_genuine_badge_is_accepted_and_told_in_words(served: Served) -> None:
    report = await served.verify(served.world.badge())
    assert (report["verified"], report["acceptance"], report["contacted"]) == (True, "accepted", [])
    assert len(report["checks"]) == 16
    told = report["account"]["credentials"][0]
    assert report["account"]["headline"].startswith("This document is genuine.")
    assert told["issuer"]["name"] == "Hochschule für Beispiele"
    assert [row["name"] for row in told["results"]] == ["Correctness", "Tests passed"]
    assert told["results"][0]["level"] == "Excellent"
    assert told["results"][0]["required"] == "Sound"


async def test_a_changed_badge_is_refused_and_its_words_are_only_claims(served: Served) -> None:
    badge = served.world.badge()
    badge["credentialSubject"]["result"][1]["value"] = "23"
    report = await served.verify(badge)
    assert (report["verified"], report["acceptance"]) == (False, "refused")
    assert report["account"]["sentence"]["text"] == "It was changed after it was signed."
    told = report["account"]["credentials"][0]
    assert not told["established"]
    assert told["issuer"]["name"] is None
    assert told["issuer"]["calls_itself"] == "A School"


async def test_an_issuer_nobody_recognises_is_undetermined(served: Served) -> None:
    report = await served.verify(served.world.badge(served.world.stranger))
    assert (report["verified"], report["acceptance"]) == (True, "undetermined")


async def test_an_expired_badge_says_when(served: Served) -> None:
    report = await served.verify(served.world.badge(validUntil="2026-03-01T00:00:00Z"))
    assert report["account"]["sentence"] == {
        "text": "It expired on {date}.",
        "fill": {"date": "2026-03-01T00:00:00Z"},
    }
    _, page = await served.page(json.dumps(served.world.badge(validUntil="2026-03-01T00:00:00Z")).encode())
    assert "1 March 2026" in page
    as_of = await served.verify(
        served.world.badge(validUntil="2026-03-01T00:00:00Z"), "?as_of=2026-02-15T00:00:00Z"
    )
    assert as_of["acceptance"] == "accepted"


async def test_a_baked_image_is_read(served: Served) -> None:
    image = bake(default_svg("Badge"), json.dumps(served.world.badge()))
    assert (await served.verify(image))["acceptance"] == "accepted"


@pytest.mark.parametrize(
    "body", [b"", b"hello", b"{}", b"[]", b'{"a":1,"a":2}', b"<svg", b"\x89PNG\r\n\x1a\n"]
)
async def test_what_cannot_be_read_gets_a_report_too(served: Served, body: bytes) -> None:
    report = await served.verify(body)
    assert report["acceptance"] == "refused"
    assert report["checks"][0]["outcome"] == "failed"
    assert len(report["checks"]) == 16


async def test_health_and_pages_answer_while_a_slow_document_is_judged(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    judging, may_end, judge = threading.Event(), threading.Event(), engine.attempt

    def judge_slowly(*arguments: Any, **options: Any) -> Any:
        judging.set()
        assert may_end.wait(10), "nobody else was served meanwhile"
        return judge(*arguments, **options)

    monkeypatch.setattr(engine, "attempt", judge_slowly)
    slow = asyncio.create_task(served.verify(served.world.badge()))
    assert await asyncio.to_thread(judging.wait, 10)
    for path in ("/health/live", "/health/ready", "/health", "/"):
        async with served.client.get(path) as answer:
            assert answer.status == 200
    assert not slow.done()
    may_end.set()
    assert (await slow)["acceptance"] == "accepted"


async def test_a_small_document_is_told_as_a_large_one_is(served: Served) -> None:
    """What is small goes to a thread once; white space makes it large and changes nothing."""
    small = json.dumps(served.world.badge()).encode()
    large = small + b" " * verification.SMALL_BYTES
    assert len(small) < verification.SMALL_BYTES
    assert await served.verify(small) == await served.verify(large)
    for broken in (b"{}", b'{"a": 1}', b'{"a": 1, "a": 2}'):
        assert await served.verify(broken) == await served.verify(broken + b" " * verification.SMALL_BYTES)


async def test_more_slow_documents_than_threads_wait_their_turn(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, judge, inside = threading.Event(), engine.attempt, []

    def judge_slowly(*arguments: Any, **options: Any) -> Any:
        inside.append(1)
        assert may_end.wait(10)
        return judge(*arguments, **options)

    monkeypatch.setattr(engine, "attempt", judge_slowly)
    slow = [
        asyncio.create_task(served.verify(served.world.badge())) for _ in range(verification.MAX_THREADS + 3)
    ]
    await asyncio.sleep(0.3)
    assert len(inside) == verification.MAX_THREADS
    slow.pop(0).cancel()  # its client went away: the thread is still busy
    await asyncio.sleep(0.1)
    assert len(inside) == verification.MAX_THREADS
    may_end.set()
    assert {report["acceptance"] for report in await asyncio.gather(*slow)} == {"accepted"}


async def test_more_than_16_mib_are_not_read(served: Served) -> None:
    async with served.client.post("/verify", data=b" " * (MAX_INPUT_BYTES + 1)) as answer:
        assert answer.status == 413
        assert answer.content_type == "application/problem+json"
    status, page = await served.page(b" " * (MAX_INPUT_BYTES + 1))
    assert status == 413
    assert "larger than this address takes" in page.lower()


async def test_a_presentation_file_is_judged_with_challenge_and_domain(served: Served) -> None:
    badge = served.world.badge()
    shown = served.world.holder.present(served.world.standards, [badge], "c-1", "employer.example")
    file = {"presentation": shown, "bundles": [bundle_of(badge, beside=True)]}
    asked = await served.verify(file, "?challenge=c-1&domain=employer.example")
    assert asked["acceptance"] == "accepted"
    assert asked["account"]["presented"]
    assert (await served.verify(file))["acceptance"] == "undetermined"
    assert (await served.verify(file, "?challenge=c-2&domain=employer.example"))["acceptance"] == "refused"


async def test_evidence_is_only_ever_saved(served: Served) -> None:
    report = await served.verify(bundle_of(served.world.badge()))
    told = report["account"]["credentials"][0]
    assert [item["name"] for item in told["evidence"]] == ["solution.py", "tests.log"]
    async with served.client.get(told["evidence"][0]["href"]) as answer:
        assert await answer.read() == b"print('ok')\n"
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="solution.py"')
        assert answer.headers["Content-Security-Policy"].startswith("sandbox")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    served.clock.now += timedelta(minutes=11)
    assert (await served.get(told["evidence"][0]["href"]))[0] == 404


async def test_swapped_evidence_is_neither_accepted_nor_handed_out(served: Served) -> None:
    bundle = bundle_of(served.world.badge())
    bundle["evidence"][0]["bytes"] = "c3dhcHBlZAo"
    bundle["evidence"][0]["length"] = 8
    report = await served.verify(bundle)
    assert report["acceptance"] == "refused"
    assert report["account"]["credentials"][0]["evidence"] == []


# --- pages


@pytest.mark.parametrize("path", ["/", "/requests"])
async def test_every_page_has_a_json_twin_and_strict_headers(served: Served, path: str) -> None:
    async with served.client.get(path, headers=HTML) as answer:
        policy = answer.headers["Content-Security-Policy"]
        page = await answer.text()
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["Vary"] == "Accept"
    assert not INLINE.search(page)
    assert not re.search(r"""(?:src|href)=["'](?:https?:)?//""", page)
    assert json.loads((await served.get(path))[1])


async def test_the_page_of_a_verdict_says_who_says_so_and_whom_was_asked(served: Served) -> None:
    status, page = await served.page(json.dumps(bundle_of(served.world.badge())).encode())
    assert status == 200
    for text in (
        "This document is genuine.",
        "Hochschule für Beispiele",
        "So says the list of recognised issuers",
        "Excellent",
        "solution.py",
        "Nobody. All of this follows from the file",
        "Ask the holder to present it",
    ):
        assert text in page
    assert not INLINE.search(page)


async def test_text_of_a_document_is_escaped(served: Served) -> None:
    badge = served.world.badge(name="<img src=x onerror=alert(1)>")
    _, page = await served.page(json.dumps(badge).encode())
    assert "<img src=x" not in page
    assert "&lt;img src=x" in page


async def test_pasted_text_is_judged_and_an_empty_form_says_what_is_missing(served: Served) -> None:
    form = FormData({"text": json.dumps(served.world.badge())})
    form.add_field("file", b"", filename="", content_type="application/octet-stream")
    async with served.client.post("/verify", data=form, headers=HTML) as answer:
        assert "This document is genuine." in await answer.text()
    status, page = await served.page(b"")
    assert status == 400
    assert "Choose a file, or paste its text." in page


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": URL}, 200),
        ({"Origin": URL}, 200),
        ({}, 200),
    ],
)
async def test_writes_from_other_sites_are_refused(
    served: Served, headers: dict[str, str], status: int
) -> None:
    async with served.client.post("/verify", data=b"{}", headers=headers) as answer:
        assert answer.status == status


async def test_errors_are_pages_for_people_and_problems_for_programs(served: Served) -> None:
    status, page = await served.get("/results/nothing", HTML)
    assert status == 404
    assert "There is no such result" in page
    status, text = await served.get("/results/nothing")
    assert json.loads(text)["type"] == "urn:bonafides:problem:not-found"
    assert (await served.get("/nowhere", HTML))[0] == 404


async def test_health_and_static_files(served: Served) -> None:
    assert (await served.get("/health/live"))[0] == 200
    assert (await served.get("/health/ready"))[0] == 200
    _, page = await served.get("/", HTML)
    for address in re.findall(r'"(/static/[^"]+)"', page):
        assert (await served.get(address))[0] == 200
    assert (await served.get("/static/..%2fpages.py"))[0] == 404


# --- VC API


async def test_credentials_verify(served: Served) -> None:
    status, body = await served.post(
        "/credentials/verify",
        {"verifiableCredential": served.world.badge(), "options": {"checks": ["proof"]}},
    )
    assert (status, body["verified"], body["errors"]) == (200, True, [])
    assert body["report"]["acceptance"] == "accepted"


async def test_a_failed_verification_is_200_with_problem_details(served: Served) -> None:
    badge = served.world.badge()
    badge["name"] = "Something else"
    status, body = await served.post(
        "/credentials/verify",
        {"verifiableCredential": badge, "options": {"returnResults": True, "returnCredential": True}},
    )
    assert (status, body["verified"]) == (200, False)
    assert body["problemDetails"][0]["type"].startswith("https://")
    assert body["credential"] == badge
    assert body["results"]["proof"][0]["verified"] is False


async def test_a_token_is_verified_as_text_and_in_its_envelope(served: Served) -> None:
    issuer = served.world.issuer
    method = f"{issuer.did}#{issuer.signer.public_key.multibase}"
    badge = served.world.badge()
    del badge["proof"]
    prepared = prepare_vc_jwt(badge, issuer.signer.public_key, method)
    token = read_envelope(prepared.finish(issuer.signer.sign(prepared.message)))
    assert token is not None
    for document in (token.token, enveloped(token)):
        body = {"verifiableCredential": document, "options": {"returnCredential": True}}
        status, answer = await served.post("/credentials/verify", body)
        assert (status, answer["verified"], answer["credential"]) == (200, True, document)
    other = enveloped(token) | {"id": f"data:application/vc+jwt,{token.token[:-4]}AAAA"}
    status, answer = await served.post("/credentials/verify", {"verifiableCredential": other})
    assert (status, answer["verified"]) == (200, False)


@pytest.mark.parametrize(
    ("body", "type_"),
    [
        (
            {"verifiableCredential": {}, "options": {"x": 1}},
            "https://www.w3.org/TR/vcalm#UNKNOWN_OPTION_PROVIDED",
        ),
        ({}, None),
        ({"verifiableCredential": "eyJ"}, None),
        ({"verifiableCredential": {}, "options": []}, None),
        ({"verifiableCredential": {}, "options": {"domain": 1}}, None),
        ({"verifiableCredential": {}, "bonafides_bundle": {}}, None),
    ],
)
async def test_unusable_input_is_400(served: Served, body: dict[str, Any], type_: str | None) -> None:
    status, problem = await served.post("/credentials/verify", body)
    assert status == 400
    if type_ is not None:
        assert problem["type"] == type_


async def test_presentations_verify_uses_up_a_challenge_of_ours(served: Served) -> None:
    _, made = await served.post("/challenges", {})
    world = served.world
    shown = world.holder.present(world.standards, [world.badge()], made["challenge"], "employer.example")
    body = {
        "verifiablePresentation": shown,
        "options": {"challenge": made["challenge"], "domain": "employer.example"},
    }
    status, first = await served.post("/presentations/verify", body)
    assert (status, first["verified"], first["report"]["acceptance"]) == (200, True, "accepted")
    _, again = await served.post("/presentations/verify", body)
    assert again["verified"] is False
    assert again["report"]["checks"][14]["reason"] == "answered_before"


# --- OpenID4VP


async def test_a_wallet_answers_a_request_and_the_result_shows(served: Served) -> None:
    made, request = await served.ask()
    assert request.client_id == made["client_id"]
    assert request.client_id.startswith(f"redirect_uri:{URL}/requests/")
    assert request.client_metadata.client_name == "An employer"
    assert request.client_metadata.bonafides_bundle
    assert len(request.nonce) >= 22
    assert (await served.result(made))["state"] == "waiting"

    badge = served.world.badge()
    bundles = json.dumps([bundle_of(badge, beside=True)])
    assert await served.answer(request, served.present(request, badge), bundles) == (200, {})

    result = await served.result(made)
    assert (result["state"], result["acceptance"], result["satisfied"]) == ("answered", "accepted", True)
    account = result["answers"][0]["account"]
    assert account["headline"] == "This is genuine, and it belongs to the person who showed it."
    assert result["answers"][0]["report"]["contacted"] == []
    item = account["credentials"][0]["evidence"][1]
    async with served.client.get(item["href"]) as answer:
        assert await answer.read() == b"24 passed\n"
        assert "attachment" in answer.headers["Content-Disposition"]
    _, page = await served.get(urlsplit(made["result"]).path, HTML)
    assert "belongs to the person who showed it" in page


async def test_only_the_first_answer_counts(served: Served) -> None:
    made, request = await served.ask()
    presentation = served.present(request)
    assert (await served.answer(request, presentation))[0] == 200
    status, body = await served.answer(request, presentation)
    assert (status, body["error"]) == (400, "invalid_request")
    assert "answered before" in body["error_description"]
    assert (await served.result(made))["acceptance"] == "accepted"


async def test_what_answers_no_open_request_is_not_even_read(served: Served) -> None:
    made, request = await served.ask()
    assert (await served.answer(request, served.present(request)))[0] == 200
    large = b"vp_token=" + b"x" * (MAX_FORM_BYTES + 1)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path in (urlsplit(request.response_uri).path, "/requests/unknown/response"):
        async with served.client.post(path, data=large[:200_000], headers=form) as answer:
            assert answer.status == 400
            words = (await answer.json())["error_description"]
            assert "answered before" in words or "not known" in words
    assert (await served.result(made))["acceptance"] == "accepted"


async def test_an_answer_that_could_not_be_judged_is_said_to_be_lost(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made, request = await served.ask()

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("out of memory, say")

    with monkeypatch.context() as patch:
        patch.setattr(engine, "attempt", fail)
        assert (await served.answer(request, served.present(request)))[0] == 500
    assert (await served.result(made))["state"] == "judging"
    served.clock.now += timedelta(seconds=60)
    assert (await served.result(made))["state"] == "failed"
    _, page = await served.get(urlsplit(made["result"]).path, HTML)
    assert "We could not tell" in page


async def test_answers_do_not_fill_the_disk(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    badge = served.world.badge()
    bundles = json.dumps([bundle_of(badge, beside=True)])
    monkeypatch.setattr(presentations, "MAX_KEPT_BYTES", 100)
    statuses = []
    for _ in range(8):
        made, request = await served.ask()
        assert (await served.answer(request, served.present(request, badge), bundles))[0] == 200
        result = await served.result(made)
        assert result["acceptance"] == "accepted"
        item = result["answers"][0]["account"]["credentials"][0]["evidence"][1]
        statuses.append((await served.get(item["href"]))[0])
    assert set(statuses) == {200, 404}
    assert statuses == sorted(statuses)


async def test_heavy_documents_leave_threads_to_the_others(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_end, judge = threading.Event(), engine.attempt

    def judge_slowly(intake: Any, *arguments: Any, **options: Any) -> Any:
        if "heavy" in intake.credentials[0].document:
            assert may_end.wait(10), "nobody else was served meanwhile"
        return judge(intake, *arguments, **options)

    monkeypatch.setattr(engine, "attempt", judge_slowly)
    document = served.world.badge() | {"heavy": [0] * verification.HEAVY_VALUES}
    heavy = [asyncio.create_task(served.verify(document)) for _ in range(verification.MAX_AT_ONCE + 1)]
    await asyncio.sleep(0.1)
    assert (await served.verify(served.world.badge()))["acceptance"] == "accepted"
    assert not any(task.done() for task in heavy)
    may_end.set()
    assert {report["acceptance"] for report in await asyncio.gather(*heavy)} == {"refused"}


async def test_a_form_of_countless_parts_is_refused(served: Served) -> None:
    form = FormData()
    for number in range(20):
        form.add_field(f"field{number}", "", content_type="text/plain", filename="x")
    async with served.client.post("/verify", data=form, headers=JSON) as answer:
        assert answer.status == 400
        assert "parts" in (await answer.json())["detail"]


def test_empty_files_do_not_fill_the_memory() -> None:
    shelf = Shelf(FixedClock())
    tickets = [shelf.put("a", b"") for _ in range(MAX_KEPT_BYTES // 1024 + 1)]
    with pytest.raises(NotFound):
        shelf.response(tickets[0])
    assert shelf.response(tickets[-1]).status == 200


async def test_an_answer_after_five_minutes_is_refused(served: Served) -> None:
    made, request = await served.ask()
    presentation = served.present(request)
    served.clock.now += timedelta(seconds=300)
    status, body = await served.answer(request, presentation)
    assert (status, body["error_description"]) == (400, "this request has expired")
    assert (await served.result(made))["state"] == "expired"
    served.clock.now += timedelta(hours=2)
    assert (await served.get(urlsplit(made["result"]).path))[0] == 404


async def test_a_presentation_made_for_another_request_is_refused(served: Served) -> None:
    _, earlier = await served.ask()
    made, request = await served.ask()
    assert (await served.answer(request, served.present(earlier)))[0] == 200
    result = await served.result(made)
    assert result["acceptance"] == "refused"
    assert "made for somebody else" in result["answers"][0]["account"]["sentence"]["text"]


async def test_a_badge_of_somebody_else_is_refused(served: Served) -> None:
    made, request = await served.ask()
    world = served.world
    shown = world.stranger.present(world.standards, [world.badge()], request.nonce, request.client_id)
    await served.answer(request, shown)
    result = await served.result(made)
    assert result["acceptance"] == "refused"
    assert "somebody else" in result["answers"][0]["account"]["sentence"]["text"]


async def test_the_query_is_checked_again_by_the_verifier(served: Served) -> None:
    made, request = await served.ask(achievement="Bread, second course")
    assert (await served.answer(request, served.present(request)))[0] == 200
    result = await served.result(made)
    assert (result["acceptance"], result["satisfied"]) == ("refused", False)
    _, page = await served.get(urlsplit(made["result"]).path, HTML)
    assert "It is not what you asked for." in page


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "another"},
        {"vp_token": "[]"},
        {"vp_token": '{"badge": [1]}'},
        {"bonafides_bundles": "{}"},
    ],
)
async def test_a_broken_answer_is_refused_and_does_not_use_the_request_up(
    served: Served, changes: dict[str, str]
) -> None:
    made, request = await served.ask()
    status, body = await served.answer(request, served.present(request), **changes)
    assert (status, body["error"]) == (400, "invalid_request")
    assert (await served.result(made))["state"] == "waiting"


async def test_a_holder_may_decline(served: Served) -> None:
    made, request = await served.ask()
    form = {"error": "access_denied", "state": request.state}
    async with served.client.post(urlsplit(request.response_uri).path, data=form) as answer:
        assert (answer.status, await answer.json()) == (200, {})
    result = await served.result(made)
    assert (result["state"], result["declined"]["error"]) == ("declined", "access_denied")
    _, page = await served.get(urlsplit(made["result"]).path, HTML)
    assert "The holder did not show it" in page


async def test_on_the_same_device_only_the_browser_with_the_code_reads_the_result(served: Served) -> None:
    made, request = await served.ask(flow="same_device")
    status, body = await served.answer(request, served.present(request))
    assert status == 200
    back = urlsplit(body["redirect_uri"])
    assert "answers" not in await served.result(made)
    assert "answers" not in await served.result(made, "?response_code=guess")
    status, text = await served.get(f"{back.path}?{back.query}")
    assert json.loads(text)["acceptance"] == "accepted"


async def test_whoever_has_the_link_learns_nothing_of_the_result(served: Served) -> None:
    made, request = await served.ask()
    path = urlsplit(made["request_uri"]).path
    assert json.loads((await served.get(path))[1]) == {"state": "waiting"}
    await served.answer(request, served.present(request))
    assert json.loads((await served.get(path))[1]) == {"state": "answered"}
    assert (await served.get(path, {"Accept": "*/*"}))[0] == 404
    assert (await served.get(f"/results/{request.state}"))[0] == 404


async def test_the_form_makes_a_request_with_a_code_to_scan(served: Served) -> None:
    async with served.client.post("/requests", data={"achievement": "Python, first course"}) as answer:
        assert answer.status == 200
        assert answer.url.path.startswith("/results/")
    _, page = await served.get(answer.url.path, HTML)
    assert "<svg" in page
    assert "openid4vp://?client_id=" in page
    assert '<meta http-equiv="refresh"' in page


@pytest.mark.parametrize(
    "body",
    [
        {"flow": "sideways"},
        {"achievement": 1},
        {"dcql_query": {}},
        {"other": 1},
        {"dcql_query": {"credentials": [{"id": "a", "format": "mso_mdoc", "meta": {}}]}},
    ],
)
async def test_a_request_that_cannot_be_judged_is_not_made(served: Served, body: dict[str, Any]) -> None:
    assert (await served.post("/requests", body))[0] == 400


async def test_a_wallet_in_a_browser_may_answer_from_its_own_page(served: Served) -> None:
    _, request = await served.ask()
    headers = {"Origin": "https://wallet.example", "Sec-Fetch-Site": "cross-site"}
    form = AuthorizationResponse({"badge": (served.present(request),)}, request.state).to_form()
    path = urlsplit(request.response_uri).path
    async with served.client.post(path, data=form, headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Access-Control-Allow-Origin"] == "*"


async def test_two_credentials_are_told_one_by_one(served: Served) -> None:
    world = served.world
    other = copy.deepcopy(world.badge(world.stranger, id="urn:uuid:9c8b3f0e-1111-4d7a-8f43-0a4f6d1f2c3b"))
    shown = world.holder.present(world.standards, [world.badge(), other], "c", "d.example")
    report = await served.verify(shown, "?challenge=c&domain=d.example")
    assert report["acceptance"] == "undetermined"
    assert [told["acceptance"] for told in report["account"]["credentials"]] == ["accepted", "undetermined"]
