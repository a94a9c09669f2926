"""OpenID4VCI 1.0 over HTTP: the whole way of a credential, and each refusal by its error code."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, timedelta
from typing import Any

import pytest
from fixtures.school import URL, Learner, School, bearer

from node.core.bundle import parse_bundle
from node.core.dataintegrity import proofs_of, verify_proof
from node.core.did.key import resolve_did_key
from node.core.encoding import encode_base64url
from node.core.errors import Conflict, Unavailable
from node.core.oid4vci.credential_response import Issued, parse_credential_response
from node.core.oid4vci.metadata import (
    issuer_metadata_url,
    parse_issuer_metadata,
    parse_server_metadata,
    server_metadata_url,
)
from node.core.oid4vci.offer import OfferReference, parse_offer, parse_offer_link
from node.core.oid4vci.token import TokenRequest, parse_token_response
from node.services import bundles, issuance
from node.services.preparing import Prepared
from node.storage.protocols.credentials import CredentialState
from node.storage.protocols.offers import OfferState

HOST = "https://school.example"


async def offered(
    school: School, learner: Learner | None = None, *, until: datetime | None = None, **terms: Any
) -> str:
    """An access token for a badge of the learner's, or of whoever claims it."""
    credential_id = await school.intend(learner.did if learner else None, until=until)
    return await school.token(await school.offer(credential_id, **terms))


class TestTheWholeWay:
    async def test_a_wallet_goes_from_a_link_to_a_credential_with_its_bundle(
        self, school: School, learner: Learner
    ) -> None:
        offer = await school.offer(await school.intend(learner.did))
        reference = parse_offer_link(offer.link)
        assert isinstance(reference, OfferReference)

        async with school.client.get(reference.url.removeprefix(HOST)) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            found = parse_offer(await answer.json())
        async with school.client.get(
            issuer_metadata_url(found.credential_issuer).removeprefix(HOST)
        ) as answer:
            metadata = parse_issuer_metadata(await answer.json(), found.credential_issuer)
        server_url = server_metadata_url(metadata.authorization_servers[0]).removeprefix(HOST)
        async with school.client.get(server_url) as answer:
            server = parse_server_metadata(await answer.json(), URL)
        assert server.anonymous_access

        form = TokenRequest(found.pre_authorized_code or "").to_form()
        async with school.client.post(server.token_endpoint.removeprefix(HOST), data=form) as answer:
            assert answer.headers["Cache-Control"] == "no-store"
            token = parse_token_response(await answer.json())
        status, body = await school.claim(token.access_token, learner)
        response = parse_credential_response(status, body)
        assert isinstance(response, Issued)
        (item,) = response.items
        assert isinstance(item.credential, dict)
        assert item.credential["credentialSubject"]["id"] == learner.did
        (proof,) = proofs_of(item.credential)
        key = resolve_did_key(school.issuer.settings.did).methods[0].public_key
        assert key is not None
        verify_proof(item.credential, proof, key, school.issuer.standards.canonicalizer)

        notification = {"notification_id": response.notification_id, "event": "credential_accepted"}
        for _ in range(2):  # idempotent
            status, _ = await school.post(
                "/notification", json=notification, headers=bearer(token.access_token)
            )
            assert status == 204
        bundle = parse_bundle(item.bundle)
        assert bundle.credential_digest is not None
        path = f"/hall/bundles/{bundle.credential_digest.hex()}"
        async with school.client.get(path, headers=bearer(token.access_token)) as answer:
            assert answer.content_type == "application/vnd.bonafides.bundle+json"
            assert parse_bundle(await answer.json()).credential == item.credential

    async def test_without_a_named_subject_the_credential_is_for_whoever_proves_a_key(
        self, school: School, learner: Learner
    ) -> None:
        status, body = await school.claim(await offered(school), learner)
        assert status == 200
        assert body["credentials"][0]["credential"]["credentialSubject"]["id"] == learner.did

    async def test_a_bare_jwk_stands_for_its_did_key(self, school: School, learner: Learner) -> None:
        token = await offered(school, learner)
        proof = learner.proof(await school.nonce(), school.clock(), bare=True)
        status, _ = await school.claim(token, learner, proofs={"jwt": [proof]})
        assert status == 200

    @pytest.mark.parametrize("suite", ["eddsa-jcs-2022", "eddsa-rdfc-2022"])
    async def test_a_presentation_proves_a_key_too(
        self, school: School, learner: Learner, suite: str
    ) -> None:
        token = await offered(school, learner)
        proof = learner.presentation(
            suite, await school.nonce(), school.clock(), school.issuer.standards.canonicalizer
        )
        status, body = await school.claim(token, learner, proofs={"di_vp": [proof]})
        assert status == 200, body

    async def test_a_bearer_credential_needs_no_key(self, school: School) -> None:
        credential_id = await school.intend(bearer=True)
        await issuance.sign_intended(school.issuer)
        token = await school.token(
            await school.offer(credential_id, configuration_id="OpenBadgeCredentialBearer")
        )
        body = {"credential_configuration_id": "OpenBadgeCredentialBearer"}
        status, answer = await school.post("/credential", json=body, headers=bearer(token))
        assert status == 200
        assert "id" not in answer["credentials"][0]["credential"]["credentialSubject"]

    async def test_authorization_details_give_an_identifier(self, school: School, learner: Learner) -> None:
        offer = await school.offer(await school.intend(learner.did))
        form = TokenRequest(await school.code(offer), None, ("OpenBadgeCredential",)).to_form()
        _, body = await school.post("/token", data=form)
        token = parse_token_response(body)
        proofs = {"jwt": [learner.proof(await school.nonce(), school.clock())]}
        request = {
            "credential_identifier": token.identifiers["OpenBadgeCredential"][0],
            "proofs": proofs,
        }
        status, _ = await school.post("/credential", json=request, headers=bearer(token.access_token))
        assert status == 200


class TestAskedAgain:
    async def test_a_wallet_that_crashed_gets_the_same_credential(
        self, school: School, learner: Learner
    ) -> None:
        token = await offered(school)
        _, first = await school.claim(token, learner)
        _, second = await school.claim(token, learner)
        assert first["credentials"] == second["credentials"]

    async def test_two_claims_at_one_moment_give_one_credential(
        self, school: School, learner: Learner
    ) -> None:
        token = await offered(school)
        answers = await asyncio.gather(*[school.claim(token, learner) for _ in range(3)])
        assert [status for status, _ in answers] == [200, 200, 200]
        assert len({repr(body["credentials"]) for _, body in answers}) == 1

    async def test_nobody_else_gets_it_afterwards(self, school: School, learner: Learner) -> None:
        token = await offered(school)
        await school.claim(token, learner)
        status, body = await school.claim(token, Learner())
        assert (status, body["error"]) == (400, "invalid_proof")


class TestOver:
    async def test_what_would_be_over_is_denied_and_stays_unsigned(
        self, school: School, learner: Learner
    ) -> None:
        token = await offered(school, until=school.clock() + timedelta(seconds=30))
        school.clock.advance(seconds=30)
        status, body = await school.claim(token, learner)
        assert (status, body["error"]) == (400, "credential_request_denied")
        async with school.issuer.store.reading() as reading:
            assert (await reading.credentials.counts())[CredentialState.SIGNED] == 0

    async def test_what_was_deferred_until_it_is_over_is_denied_too(
        self, school: School, learner: Learner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def not_now(*_: Any) -> Any:
            raise Unavailable("later")

        token = await offered(school, until=school.clock() + timedelta(seconds=30))
        with monkeypatch.context() as patch:
            patch.setattr(issuance, "sign_for", not_now)
            _, body = await school.claim(token, learner)
        school.clock.advance(seconds=30)
        transaction = {"transaction_id": body["transaction_id"]}
        status, body = await school.post("/deferred", json=transaction, headers=bearer(token))
        assert (status, body["error"]) == (400, "credential_request_denied")


class TestDeferred:
    async def test_what_cannot_be_signed_now_is_deferred_and_given_later_to_the_same_key(
        self, school: School, learner: Learner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def not_now(*_: Any) -> Any:
            raise Conflict("no list is open")

        token = await offered(school)
        with monkeypatch.context() as patch:
            patch.setattr(issuance, "sign_for", not_now)
            status, body = await school.claim(token, learner)
            assert status == 202
            assert body["interval"] > 0
            transaction = {"transaction_id": body["transaction_id"]}
            status, again = await school.post("/deferred", json=transaction, headers=bearer(token))
            assert (status, again) == (202, body)
        status, body = await school.post("/deferred", json=transaction, headers=bearer(token))
        assert status == 200
        assert body["credentials"][0]["credential"]["credentialSubject"]["id"] == learner.did
        status, body = await school.post("/deferred", json=transaction, headers=bearer(token))
        assert (status, body["error"]) == (400, "invalid_transaction_id")

    async def test_a_transaction_id_with_another_did_put_in_is_unknown(
        self, school: School, learner: Learner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def not_now(*_: Any) -> Any:
            raise Unavailable("later")

        token = await offered(school)
        with monkeypatch.context() as patch:
            patch.setattr(issuance, "sign_for", not_now)
            _, body = await school.claim(token, learner)
        random, _, _ = body["transaction_id"].partition(".")
        forged = f"{random}.{encode_base64url(Learner().did.encode())}"
        status, body = await school.post("/deferred", json={"transaction_id": forged}, headers=bearer(token))
        assert (status, body["error"]) == (400, "invalid_transaction_id")

    async def test_another_offers_token_does_not_open_it(
        self, school: School, learner: Learner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def not_now(*_: Any) -> Any:
            raise Unavailable("later")

        monkeypatch.setattr(issuance, "sign_for", not_now)
        _, body = await school.claim(await offered(school), learner)
        transaction = {"transaction_id": body["transaction_id"]}
        other = await offered(school)
        status, body = await school.post("/deferred", json=transaction, headers=bearer(other))
        assert (status, body["error"]) == (400, "invalid_transaction_id")

    async def test_a_credential_is_handed_out_before_its_bundle_is_final(
        self, school: School, learner: Learner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def pending(*_: Any) -> None:
            return None

        monkeypatch.setattr(bundles, "load_bundle", pending)
        token = await offered(school, learner)
        status, body = await school.claim(token, learner)
        assert status == 200
        assert body["credentials"][0].keys() == {"credential"}
        async with school.issuer.store.reading() as reading:
            record = await reading.credentials.load(body["credentials"][0]["credential"]["id"])
        assert record is not None
        assert record.signed is not None
        path = f"/hall/bundles/{record.signed.digest.hex()}"
        async with school.client.get(path, headers=bearer(token)) as answer:
            assert answer.status == 202
            assert int(answer.headers["Retry-After"]) > 0

    async def test_a_chain_that_is_down_does_not_keep_a_credential_from_its_holder(
        self, school: School, learner: Learner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def down(*_: Any) -> None:
            raise Unavailable("no chain")

        monkeypatch.setattr(bundles, "load_bundle", down)
        status, _ = await school.claim(await offered(school, learner), learner)
        assert status == 200


class TestTokenEndpoint:
    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"grant_type": None}, "invalid_request"),
            ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
            ({"pre-authorized_code": None}, "invalid_request"),
            ({"pre-authorized_code": "guessed"}, "invalid_grant"),
            ({"pre-authorized_code": "böse"}, "invalid_grant"),
            ({"tx_code": "123456"}, "invalid_request"),
            ({"tx_code": ""}, "invalid_request"),
            ({"authorization_details": "{"}, "invalid_request"),
            ({"authorization_details": "[]"}, "invalid_request"),
            ({"authorization_details": '[{"type":"other"}]'}, "invalid_request"),
            (
                {
                    "authorization_details": '[{"type":"openid_credential","credential_configuration_id":"Diploma"}]'
                },
                "invalid_request",
            ),
        ],
    )
    async def test_refusals(self, school: School, change: dict[str, Any], error: str) -> None:
        offer = await school.offer(await school.intend())
        form = TokenRequest(await school.code(offer)).to_form() | change
        status, body = await school.post(
            "/token", data={name: value for name, value in form.items() if value is not None}
        )
        assert (status, body["error"]) == (400, error)
        # A request that was refused has not used the code up.
        assert (await school.redeem(offer))[0] == 200

    async def test_a_code_is_used_once(self, school: School) -> None:
        offer = await school.offer(await school.intend())
        form = TokenRequest(await school.code(offer)).to_form()
        assert (await school.post("/token", data=form))[0] == 200
        status, body = await school.post("/token", data=form)
        assert (status, body["error"]) == (400, "invalid_grant")

    async def test_an_offer_that_is_over_is_not_redeemed(self, school: School) -> None:
        offer = await school.offer(await school.intend())
        form = TokenRequest(await school.code(offer)).to_form()
        school.clock.advance(days=15)
        status, body = await school.post("/token", data=form)
        assert (status, body["error"]) == (400, "invalid_grant")

    async def test_a_parameter_given_twice_is_refused(self, school: School) -> None:
        status, body = await school.post(
            "/token",
            data=b"grant_type=a&grant_type=b",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        assert (status, body["error"]) == (400, "invalid_request")

    async def test_json_is_no_form(self, school: School) -> None:
        status, body = await school.post("/token", json={"grant_type": "x"})
        assert (status, body["error"]) == (400, "invalid_request")

    async def test_a_large_request_is_refused(self, school: School) -> None:
        status, body = await school.post("/token", data={"grant_type": "x" * 20_000})
        assert (status, body["error"]) == (413, "invalid_request")


class TestTxCode:
    async def test_the_code_that_came_another_way_opens_the_offer(self, school: School) -> None:
        offer = await school.offer(await school.intend(), with_tx_code=True)
        assert offer.tx_code is not None
        assert re.fullmatch(r"\d{6}", offer.tx_code)
        assert (await school.redeem(offer, tx_code=offer.tx_code))[0] == 200

    async def test_without_it_the_offer_stays_open(self, school: School) -> None:
        offer = await school.offer(await school.intend(), with_tx_code=True)
        status, body = await school.redeem(offer)
        assert (status, body["error"]) == (400, "invalid_request")
        assert (await school.redeem(offer, tx_code=offer.tx_code or ""))[0] == 200

    async def test_five_wrong_guesses_burn_it(self, school: School) -> None:
        offer = await school.offer(await school.intend(), with_tx_code=True)
        wrong = f"{(int(offer.tx_code or 0) + 1) % 10**6:06}"
        form = TokenRequest(await school.code(offer), wrong).to_form()
        for _ in range(5):
            status, body = await school.post("/token", data=form)
            assert (status, body["error"]) == (400, "invalid_grant")
            school.clock.advance(seconds=1)
        right = form | {"tx_code": offer.tx_code or ""}
        status, body = await school.post("/token", data=right)
        assert (status, body["error"]) == (400, "invalid_grant")
        async with school.issuer.store.reading() as reading:
            stored = await reading.offers.load(offer.offer_id)
        assert stored is not None
        assert stored.state is OfferState.BURNED

    async def test_guesses_are_a_second_apart(self, school: School) -> None:
        offer = await school.offer(await school.intend(), with_tx_code=True)
        form = TokenRequest(await school.code(offer), "000000").to_form()
        await school.post("/token", data=form)
        async with school.client.post("/hall/token", data=form) as answer:
            assert answer.status == 429
            assert int(answer.headers["Retry-After"]) > 0


class TestCredentialEndpoint:
    async def test_without_a_token_the_answer_is_the_challenge_of_rfc_6750(self, school: School) -> None:
        for headers in ({}, {"Authorization": "Basic eA=="}, bearer("unknown")):
            async with school.client.post("/hall/credential", json={}, headers=headers) as answer:
                assert answer.status == 401
                assert answer.headers["WWW-Authenticate"].startswith('Bearer error="invalid_token"')

    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"credential_configuration_id": "Diploma"}, "unknown_credential_configuration"),
            ({"credential_configuration_id": 1}, "invalid_credential_request"),
            ({"credential_identifier": "x"}, "invalid_credential_request"),
            (
                {"credential_configuration_id": None, "credential_identifier": "x"},
                "unknown_credential_identifier",
            ),
            ({"proofs": None}, "invalid_proof"),
            ({"proofs": {}}, "invalid_proof"),
            ({"proofs": {"jwt": []}}, "invalid_proof"),
            ({"proofs": {"jwt": ["a"], "di_vp": [{}]}}, "invalid_proof"),
            ({"proofs": {"jwt": ["a", "b"]}}, "invalid_credential_request"),
            ({"proofs": {"attestation": ["a"]}}, "invalid_proof"),
            ({"proofs": {"jwt": [{}]}}, "invalid_proof"),
            ({"proofs": {"di_vp": ["a"]}}, "invalid_proof"),
            ({"proof": {"proof_type": "jwt", "jwt": "a"}}, "invalid_credential_request"),
            ({"format": "ldp_vc"}, "invalid_credential_request"),
            ({"credential_response_encryption": {}}, "invalid_encryption_parameters"),
        ],
    )
    async def test_refusals(
        self, school: School, learner: Learner, change: dict[str, Any], error: str
    ) -> None:
        token = await offered(school, learner)
        body = {
            "credential_configuration_id": "OpenBadgeCredential",
            "proofs": {"jwt": [learner.proof(await school.nonce(), school.clock())]},
        } | change
        body = {name: value for name, value in body.items() if value is not None}
        status, answer = await school.post("/credential", json=body, headers=bearer(token))
        assert (status, answer["error"]) == (400, error)
        assert answer["error_description"]

    async def test_a_named_subject_alone_can_claim(self, school: School, learner: Learner) -> None:
        status, body = await school.claim(await offered(school, learner), Learner())
        assert (status, body["error"]) == (400, "invalid_proof")

    @pytest.mark.parametrize("how", ["made up", "used", "old"])
    async def test_a_nonce_is_fresh_and_used_once(self, school: School, learner: Learner, how: str) -> None:
        token = await offered(school, learner)
        nonce = "made-up" if how == "made up" else await school.nonce()
        proofs = {"jwt": [learner.proof(nonce, school.clock())]}
        if how == "used":
            assert (await school.claim(token, learner, proofs=proofs))[0] == 200
        if how == "old":
            school.clock.advance(minutes=5)
        status, body = await school.claim(token, learner, proofs=proofs)
        assert (status, body["error"]) == (400, "invalid_nonce")

    async def test_a_proof_for_another_issuer_is_refused(self, school: School, learner: Learner) -> None:
        token = await offered(school, learner)
        proof = learner.proof(await school.nonce(), school.clock(), issuer=URL + "/")
        status, body = await school.claim(token, learner, proofs={"jwt": [proof]})
        assert (status, body["error"]) == (400, "invalid_proof")

    async def test_a_credential_that_was_withdrawn_is_denied_for_good(
        self, school: School, learner: Learner
    ) -> None:
        credential_id = await school.intend()
        token = await school.token(await school.offer(credential_id))
        async with school.issuer.store.transaction() as transaction:
            await transaction.credentials.withdraw(credential_id)
        status, body = await school.claim(token, learner)
        assert (status, body["error"]) == (400, "credential_request_denied")

    async def test_json_that_is_none_or_too_large_is_an_invalid_request(self, school: School) -> None:
        token = await offered(school)
        for data, expected in ((b"{", 400), (b'{"a":1,"a":2}', 400), (b" " * 300_000, 413)):
            status, body = await school.post(
                "/credential", data=data, headers=bearer(token) | {"Content-Type": "application/json"}
            )
            assert (status, body["error"]) == (expected, "invalid_credential_request")

    async def test_what_nobody_foresaw_is_a_number_and_no_more(
        self, school: School, learner: Learner, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def broken(*_: Any) -> None:
            raise RuntimeError("secret detail")

        token = await offered(school, learner)
        monkeypatch.setattr(bundles, "load_bundle", broken)
        status, body = await school.claim(token, learner)
        assert (status, body["error"]) == (500, "server_error")
        assert "secret" not in body["error_description"]


class TestNotification:
    @pytest.mark.parametrize(
        ("change", "error"),
        [
            ({"notification_id": "unknown"}, "invalid_notification_id"),
            ({"notification_id": 1}, "invalid_notification_request"),
            ({"event": "credential_lost"}, "invalid_notification_request"),
            ({"event_description": 1}, "invalid_notification_request"),
        ],
    )
    async def test_refusals(
        self, school: School, learner: Learner, change: dict[str, Any], error: str
    ) -> None:
        token = await offered(school, learner)
        _, body = await school.claim(token, learner)
        notification = {"notification_id": body["notification_id"], "event": "credential_accepted"} | change
        status, answer = await school.post("/notification", json=notification, headers=bearer(token))
        assert (status, answer["error"]) == (400, error)


class TestBundles:
    async def test_only_the_token_of_its_issuance_opens_a_bundle(
        self, school: School, learner: Learner
    ) -> None:
        token, other = await offered(school, learner), await offered(school, learner)
        _, body = await school.claim(token, learner)
        digest = body["credentials"][0]["bonafides_bundle"]["credentialDigest"].removeprefix("0x")
        for headers, expected in (({}, 401), (bearer("x"), 401), (bearer(other), 404), (bearer(token), 200)):
            async with school.client.get(f"/hall/bundles/{digest}", headers=headers) as answer:
                assert answer.status == expected
        async with school.client.get("/hall/bundles/0xzz", headers=bearer(token)) as answer:
            assert answer.status == 404


class TestOffers:
    async def test_the_database_redeems_nothing(self, school: School) -> None:
        offer = await school.offer(await school.intend(), with_tx_code=True)
        secret = offer.page.rpartition("/")[2]
        code = await school.code(offer)
        async with school.issuer.store.reading() as reading:
            stored = repr(await reading.offers.load(offer.offer_id))
        assert secret not in stored
        assert code not in stored
        async with school.client.get(f"/hall/offers/{offer.offer_id}") as answer:
            assert answer.status == 404

    async def test_a_browser_sees_a_page_and_nothing_else_is_loaded(self, school: School) -> None:
        offer = await school.offer(await school.intend(), with_tx_code=True)
        path = offer.page.removeprefix(HOST)
        async with school.client.get(path, headers={"Accept": "text/html,*/*;q=0.8"}) as answer:
            page = await answer.text()
            assert answer.content_type == "text/html"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Referrer-Policy"] == "no-referrer"
            assert answer.headers["Vary"] == "Accept"
        assert "Python, first course" in page
        assert f'href="{offer.link}"' in page
        assert "<svg" in page
        assert offer.tx_code is not None
        assert offer.tx_code not in page
        assert "style=" not in page
        assert not re.findall(r'(?:src|href)="(?:https?:)?//', page)

    async def test_an_offer_that_was_used_says_so_to_both(self, school: School, learner: Learner) -> None:
        offer = await school.offer(await school.intend(learner.did))
        await school.token(offer)
        path = offer.page.removeprefix(HOST)
        async with school.client.get(path) as answer:
            assert answer.status == 410
            assert answer.content_type == "application/problem+json"
        async with school.client.get(path, headers={"Accept": "text/html"}) as answer:
            assert answer.status == 410
            assert "This link was used" in await answer.text()

    async def test_names_are_escaped(self, school: School, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(
            Prepared,
            "of",
            classmethod(lambda cls, _: cls({"name": "<script>alert(1)</script>"}, "eddsa-jcs-2022", None)),
        )
        offer = await school.offer(await school.intend())
        path = offer.page.removeprefix(HOST)
        async with school.client.get(path, headers={"Accept": "text/html"}) as answer:
            assert "<script>" not in await answer.text()
