"""The issuer's other routes: VC API, status lists, health, headers."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from aiohttp.test_utils import TestServer
from fixtures.school import School, bearer

from node.core.envelope import open_enveloped, read_envelope
from node.core.errors import Malformed, Refused
from node.core.jose.sd_jwt import select
from node.services import status_lists
from node.services.issuer import Issuer
from node.services.revocation import Action
from node.storage.protocols.issuer import ApiRole
from node.web.issuer import StatusRequest, make_issuer_app, parse_status_request

CREDENTIAL: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "type": ["VerifiableCredential"],
    "id": "urn:uuid:4a6c1c2e-5f7e-4c55-9d6e-0d4b9a3c0001",
    "credentialSubject": {"id": "did:example:learner"},
}


class TestIssuing:
    async def issue(self, school: School, body: Any, token: str | None = None) -> tuple[int, Any]:
        token = token or await school.api_token(ApiRole.ISSUE)
        return await school.post("/credentials/issue", json=body, headers=bearer(token))

    async def test_a_credential_comes_back_signed_with_201(self, school: School) -> None:
        status, body = await self.issue(school, {"credential": CREDENTIAL, "options": {}})
        assert status == 201, body
        signed = body["verifiableCredential"]
        assert signed["proof"][0]["cryptosuite"] == "eddsa-rdfc-2022"
        assert signed["id"] == CREDENTIAL["id"]

    async def test_the_suite_can_be_chosen(self, school: School) -> None:
        options = {"cryptosuite": "eddsa-jcs-2022"}
        _, body = await self.issue(school, {"credential": CREDENTIAL, "options": options})
        assert body["verifiableCredential"]["proof"][0]["cryptosuite"] == "eddsa-jcs-2022"

    @pytest.mark.parametrize("form", ["vc+jwt", "vc+cose"])
    async def test_a_token_comes_back_in_the_object_that_stands_for_it(
        self, school: School, form: str
    ) -> None:
        status, body = await self.issue(school, {"credential": CREDENTIAL, "options": {"proofFormat": form}})
        assert status == 201, body
        signed = body["verifiableCredential"]
        assert signed["type"] == "EnvelopedVerifiableCredential"
        assert open_enveloped(signed).document["id"] == CREDENTIAL["id"]

    async def test_mandatory_pointers_are_kept_open(self, school: School) -> None:
        assert await status_lists.ensure_list(school.issuer, "revocation")
        options = {"proofFormat": "vc+sd-jwt", "mandatoryPointers": ["/name"]}
        credential = CREDENTIAL | {"validUntil": "2099-01-01T00:00:00Z", "name": "Kept", "description": "Not"}
        status, body = await self.issue(school, {"credential": credential, "options": options})
        assert status == 201, body
        token = open_enveloped(body["verifiableCredential"]).token
        least = read_envelope(select(str(token), []))
        assert least is not None
        assert least.document["name"] == "Kept"
        assert "description" not in least.document

    @pytest.mark.parametrize(
        "options",
        [
            {"cryptosuite": "ecdsa-sd-2023"},  # this issuer has no key for it
            {"cryptosuite": "bbs-2023"},
            {"cryptosuite": "dc+sd-jwt"},
            {"cryptosuite": "rsa"},
            {"proofFormat": "vc+jwt", "mandatoryPointers": "/name"},
        ],
    )
    async def test_what_cannot_be_signed_is_400(self, school: School, options: dict[str, Any]) -> None:
        status, answer = await self.issue(school, {"credential": CREDENTIAL, "options": options})
        assert status == 400, answer

    async def test_the_issuer_stays_as_it_was_written(self, school: School) -> None:
        did = school.issuer.settings.did
        for number, given in enumerate((did, {"id": did, "name": "A School"})):
            credential = CREDENTIAL | {"issuer": given, "id": f"urn:example:{number}"}
            status, body = await self.issue(
                school, {"credential": credential}, await school.api_token(ApiRole.ISSUE, label=str(number))
            )
            assert status == 201, body
            assert body["verifiableCredential"]["issuer"] == given

    async def test_asked_again_it_is_the_same_and_with_other_content_a_conflict(self, school: School) -> None:
        token = await school.api_token(ApiRole.ISSUE)
        first = await self.issue(school, {"credential": CREDENTIAL}, token)
        assert await self.issue(school, {"credential": CREDENTIAL}, token) == first
        changed = CREDENTIAL | {"credentialSubject": {"id": "did:example:other"}}
        status, _ = await self.issue(school, {"credential": changed}, token)
        assert status == 409

    async def test_credential_id_names_a_credential_without_one(self, school: School) -> None:
        nameless = {name: value for name, value in CREDENTIAL.items() if name != "id"}
        body = {"credential": nameless, "options": {"credentialId": "urn:example:1"}}
        _, answer = await self.issue(school, body)
        assert answer["verifiableCredential"]["id"] == "urn:example:1"

    @pytest.mark.parametrize(
        "body",
        [
            {},
            {"credential": []},
            {"credential": CREDENTIAL | {"issuer": "did:example:another"}},
            {"credential": CREDENTIAL | {"type": ["Other"]}},
            {"credential": CREDENTIAL | {"undefinedTerm": "dropped"}},
            {"credential": CREDENTIAL | {"proof": {}}},
            {"credential": CREDENTIAL, "options": {"surprise": True}},
            {"credential": CREDENTIAL, "options": {"cryptosuite": "rot13"}},
            {"credential": CREDENTIAL, "options": {"credentialId": "urn:example:other"}},
            {"credential": CREDENTIAL, "options": 1},
        ],
    )
    async def test_what_does_not_conform_is_refused_with_400(self, school: School, body: Any) -> None:
        status, answer = await self.issue(school, body)
        assert status == 400, answer
        assert answer["type"]
        assert answer["detail"]

    async def test_a_token_of_that_role_is_needed(self, school: School) -> None:
        other = await school.api_token(ApiRole.STATUS)
        body = {"credential": CREDENTIAL}
        assert (await school.post("/credentials/issue", json=body))[0] == 401
        assert (await school.post("/credentials/issue", json=body, headers=bearer("x")))[0] == 401
        assert (await school.post("/credentials/issue", json=body, headers=bearer(other)))[0] == 403

    async def test_another_media_type_is_refused(self, school: School) -> None:
        token = await school.api_token(ApiRole.ISSUE)
        headers = bearer(token) | {"Content-Type": "text/plain"}
        assert (await school.post("/credentials/issue", data=b"{}", headers=headers))[0] == 400


class TestStatusRequests:
    def test_both_forms_of_the_vc_api_say_the_same(self) -> None:
        entry = {"type": "BitstringStatusListEntry", "statusPurpose": "revocation"}
        new = {"credentialId": "urn:a", "credentialStatus": entry, "status": True}
        old = {"credentialId": "urn:a", "credentialStatus": [entry | {"status": "1"}]}
        assert parse_status_request(new) == parse_status_request(old)
        assert parse_status_request(new).action is Action.REVOKE

    def test_only_a_suspension_is_taken_back(self) -> None:
        assert StatusRequest("urn:a", "suspension", is_set=False).action is Action.REINSTATE
        with pytest.raises(Refused):
            _ = StatusRequest("urn:a", "revocation", is_set=False).action

    @pytest.mark.parametrize(
        "change",
        [
            {"credentialId": 1},
            {"credentialStatus": "x"},
            {"credentialStatus": []},
            {"credentialStatus": {"statusPurpose": "message"}},
            {"credentialStatus": {"statusListIndex": 1}},
            {"status": 1},
            {"status": None},
        ],
    )
    def test_other_shapes_are_malformed(self, change: dict[str, Any]) -> None:
        good = {"credentialId": "urn:a", "credentialStatus": {}, "status": True}
        with pytest.raises(Malformed):
            parse_status_request(good | change)

    async def test_a_credential_that_is_not_ours_is_404(self, school: School) -> None:
        token = await school.api_token(ApiRole.STATUS)
        body = {"credentialId": "urn:a", "credentialStatus": {}, "status": True}
        status, _ = await school.post("/credentials/status", json=body, headers=bearer(token))
        assert status == 404

    async def test_a_credential_without_a_status_entry_is_404(self, school: School) -> None:
        token = await school.api_token(ApiRole.ISSUE, ApiRole.STATUS)
        await school.post("/credentials/issue", json={"credential": CREDENTIAL}, headers=bearer(token))
        body = {"credentialId": CREDENTIAL["id"], "credentialStatus": {}, "status": True}
        status, _ = await school.post("/credentials/status", json=body, headers=bearer(token))
        assert status == 404

    async def test_an_issuer_without_a_chain_that_has_a_list_can_take_back(self, school: School) -> None:
        assert await status_lists.ensure_list(school.issuer, "revocation")
        token = await school.api_token(ApiRole.ISSUE, ApiRole.STATUS)
        _, issued = await school.post(
            "/credentials/issue", json={"credential": CREDENTIAL}, headers=bearer(token)
        )
        assert issued["verifiableCredential"]["credentialStatus"]["statusPurpose"] == "revocation"
        body = {"credentialId": CREDENTIAL["id"], "credentialStatus": {}, "status": True}
        assert (await school.post("/credentials/status", json=body, headers=bearer(token)))[0] == 200


class TestStatusLists:
    async def test_a_list_is_served_as_signed_with_what_caches_need(self, school: School) -> None:
        assert await status_lists.ensure_list(school.issuer, "revocation")
        async with school.client.get("/hall/status/1") as answer:
            assert answer.status == 200
            assert answer.content_type == "application/vc"
            assert answer.headers["Cache-Control"] == "public, max-age=3600"
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            document, tag = await answer.json(content_type=None), answer.headers["ETag"]
        assert document["id"] == "https://school.example/hall/status/1"
        assert document["credentialSubject"]["statusPurpose"] == "revocation"
        async with school.client.get("/hall/status/1", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 304

    async def test_other_lists_are_not_found(self, school: School) -> None:
        for number in ("1", "0", "x", "..%2f"):
            async with school.client.get(f"/hall/status/{number}") as answer:
                assert answer.status == 404


class TestApplication:
    async def test_health_tells_living_from_ready(self, school: School) -> None:
        for path in ("/health/live", "/health/ready", "/health"):
            async with school.client.get(path) as answer:
                assert (answer.status, (await answer.json())["status"]) == (200, "ok")

    async def test_the_page_about_the_issuer_stands_at_its_url(self, school: School) -> None:
        async with school.client.get("/hall", headers={"Accept": "text/html"}) as answer:
            text = await answer.text()
        assert "A School" in text
        assert school.issuer.settings.did in text
        (style,) = re.findall(r'href="(/hall/static/style.css[^"]*)"', text)
        async with school.client.get(style) as answer:
            assert answer.content_type == "text/css"
            assert "immutable" in answer.headers["Cache-Control"]

    async def test_the_page_about_the_issuer_has_a_twin_in_json(self, school: School) -> None:
        await school.intend()
        async with school.client.get("/hall", headers={"Accept": "application/json"}) as answer:
            about = await answer.json()
        assert about["name"] == "A School"
        assert about.keys() == {"name", "did", "chain", "metadata", "status_lists"}, "nothing about holders"

    async def test_what_goes_wrong_is_a_page_for_a_browser(self, school: School) -> None:
        for path, status in (("/nothing", 404), ("/hall/offers/x", 404), ("/hall/token", 405)):
            async with school.client.get(path, headers={"Accept": "text/html"}) as answer:
                assert (answer.status, answer.content_type) == (status, "text/html")
                assert "That did not work" in await answer.text()

    async def test_unknown_paths_and_methods_are_problems_with_strict_headers(self, school: School) -> None:
        async with school.client.get("/nothing") as answer:
            assert (answer.status, answer.content_type) == (404, "application/problem+json")
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Server"] == "bonafides"
        async with school.client.get("/hall/token") as answer:
            assert answer.status == 405
            assert "POST" in answer.headers["Allow"]

    async def test_a_wallet_in_a_browser_may_ask(self, school: School) -> None:
        async with school.client.options("/hall/credential") as answer:
            assert answer.status == 204
            assert answer.headers["Access-Control-Allow-Origin"] == "*"
            assert "Authorization" in answer.headers["Access-Control-Allow-Headers"]
        async with school.client.options("/hall/credentials/issue") as answer:
            assert answer.status == 405


async def test_a_fault_in_housekeeping_does_not_end_it(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = asyncio.Queue[int]()

    async def fail(_: Issuer) -> int:
        calls.put_nowait(1)
        raise ValueError("nobody foresaw this")

    monkeypatch.setattr("node.web.issuer._HOUSEKEEPING_SECONDS", 0.01)
    monkeypatch.setattr(status_lists, "publish_due", fail)
    async with TestServer(make_issuer_app(school.issuer)), asyncio.timeout(5):
        assert [await calls.get() for _ in range(3)] == [1, 1, 1]
