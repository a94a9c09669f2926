"""Showing: who is asked is told first, what was not asked for stays, and the record comes before the sending."""

from __future__ import annotations

import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fixtures.held import Form, forms, held
from fixtures.sd_jwt import VCT
from fixtures.verification import CHALLENGE, DOMAIN, NETWORK, NOW, OTHER_LEARNER, Story, standards
from fixtures.wallets import LEARNER_KEY, holding_of

from node.core.credential import BASE_CONTEXT
from node.core.errors import Malformed, NotFound, Refused, Unavailable
from node.core.evidence import ShownEvidence, WithheldEvidence
from node.core.evm.agreement import Endpoints
from node.core.jose.jwe import CONTENT_ENCRYPTIONS, DecryptionKey
from node.core.oid4vp.dcql import OPEN_BADGE_TYPES, DcqlQuery, parse_dcql
from node.core.oid4vp.formats import format_of, vp_formats
from node.core.oid4vp.request import (
    MEDIA_TYPE,
    AuthorizationRequest,
    ClientMetadata,
    RequestReference,
    client_id_of,
    encode_link,
    encode_request_object,
    encryption_of,
)
from node.core.oid4vp.response import AuthorizationError, AuthorizationResponse, parse_response
from node.core.verify import engine
from node.core.verify.holder import Asked
from node.core.verify.intake import given
from node.core.verify.materials import Materials
from node.core.verify.report import CheckName
from node.core.verify.report import Outcome as CheckOutcome
from node.outbound.http import EgressDenied
from wallet import cli_showing
from wallet.consent import Outcome
from wallet.exchange import open_egress
from wallet.options import Common, Renewal
from wallet.present import Presenter
from wallet.presentation import Showing, disclosed, presentation_file, with_evidence
from wallet.store import WalletStore

FULL = Story(show=(0, 1, 2))
KEY = DecryptionKey(b"\x05" * 48, "key-1")
QUERY = {
    "credentials": [
        {
            "id": "badge",
            "format": "ldp_vc",
            "meta": {"type_values": [list(OPEN_BADGE_TYPES)]},
            "claims": [{"path": ["credentialSubject", "achievement", "name"]}],
        }
    ]
}


def query() -> DcqlQuery:
    return parse_dcql(QUERY)


@dataclass
class FakeVerifier:
    """One request, and whatever is posted to it."""

    metadata: ClientMetadata = field(
        default_factory=lambda: ClientMetadata(vp_formats(), "An employer", bonafides_bundle=True)
    )
    query: DcqlQuery = field(default_factory=query)
    status: int = 200
    answer: Any = field(default_factory=dict)
    got: list[AuthorizationResponse | AuthorizationError] = field(default_factory=list)
    raw: list[str] = field(default_factory=list)
    content_type: str = MEDIA_TYPE
    url: str = ""
    on_post: Any = None
    key: DecryptionKey | None = None
    """To which answers are to be encrypted."""

    @property
    def request(self) -> AuthorizationRequest:
        metadata = self.metadata
        if self.key is not None:
            metadata = replace(metadata, keys=(self.key.to_jwk(),), enc_values=tuple(CONTENT_ENCRYPTIONS))
        return AuthorizationRequest(
            client_id_of(f"{self.url}/response"),
            "n0nce-of-this-request",
            self.query,
            metadata,
            "st4te",
            None if self.key is None else encryption_of(metadata),
        )

    @property
    def link(self) -> str:
        return encode_link(RequestReference(self.request.client_id, f"{self.url}/request"))

    async def _request(self, _: web.Request) -> web.Response:
        return web.Response(body=encode_request_object(self.request).encode(), content_type=self.content_type)

    async def _response(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.raw.append(json.dumps(form))
        self.got.append(parse_response(form, self.key))
        if self.on_post is not None:
            self.on_post()
        headers = {"Location": "https://elsewhere.example"} if self.status == 302 else {}
        return web.json_response(self.answer, status=self.status, headers=headers)


@asynccontextmanager
async def serving(verifier: FakeVerifier) -> AsyncIterator[FakeVerifier]:
    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.add_routes([web.get("/request", verifier._request), web.post("/response", verifier._response)])
    server = TestServer(app)
    await server.start_server()
    verifier.url = f"http://127.0.0.1:{server.port}"
    try:
        yield verifier
    finally:
        await server.close()


@asynccontextmanager
async def presenting(store: WalletStore) -> AsyncIterator[Presenter]:
    async with open_egress(development=True) as egress:
        yield Presenter(store, store.holder_keys(), standards().canonicalizer, egress, secrets.token_bytes)


async def send(store: WalletStore, verifier: FakeVerifier, *evidence: str) -> str | None:
    async with presenting(store) as presenter:
        request = await presenter.look_at(verifier.link)
        found = presenter.answer_for(request, store.holdings())
        assert found is not None
        return await presenter.send(request, with_evidence(found, evidence), NOW)


def judged(answer: AuthorizationResponse, request: AuthorizationRequest, story: Story = FULL) -> Any:
    """As a verifier judges it, with the endpoint and the trust list of the story."""
    ((token,),) = answer.vp_token.values()
    asked = Asked(request.nonce, (request.client_id,))
    return engine.verify(
        given(token, answer.bundles), Materials.none(), story.verifier(), now=NOW, asked=asked
    )


async def test_an_answer_is_accepted_by_the_one_who_asked_and_by_nobody_else(store: WalletStore) -> None:
    store.save_holding(holding_of(FULL))
    async with serving(FakeVerifier()) as verifier:
        assert await send(store, verifier) is None
        (answer,) = verifier.got
        assert isinstance(answer, AuthorizationResponse)
        assert answer.state == "st4te"
        assert list(answer.vp_token) == ["badge"]
        assert judged(answer, verifier.request).acceptance == "accepted"
        other = AuthorizationRequest(
            "redirect_uri:https://other.example", "other", query(), verifier.metadata
        )
        assert judged(answer, other).acceptance == "refused"


async def test_only_the_evidence_that_was_chosen_leaves(store: WalletStore) -> None:
    store.save_holding(holding_of(FULL))
    async with serving(FakeVerifier()) as verifier:
        await send(store, verifier, "marks")
        (answer,) = verifier.got
        assert isinstance(answer, AuthorizationResponse)
        (bundle,) = answer.bundles
        shown = [one.item.name for one in bundle.evidence if isinstance(one, ShownEvidence)]
        assert shown == ["marks"]
        assert sum(isinstance(one, WithheldEvidence) for one in bundle.evidence) == 2
        assert "code.py" not in verifier.raw[0]


async def test_no_evidence_leaves_unless_it_was_chosen(store: WalletStore) -> None:
    store.save_holding(holding_of(FULL))
    async with serving(FakeVerifier()) as verifier:
        await send(store, verifier)
        for name in ("marks", "code.py", "log.txt"):
            assert name not in verifier.raw[0]


async def test_a_verifier_that_takes_no_bundles_gets_none(store: WalletStore) -> None:
    store.save_holding(holding_of(FULL))
    async with serving(FakeVerifier(ClientMetadata(vp_formats()))) as verifier:
        await send(store, verifier)
        (answer,) = verifier.got
        assert isinstance(answer, AuthorizationResponse)
        assert answer.bundles == ()
        (record,) = store.disclosures()
        assert not record.shown[0].with_bundle


async def test_the_record_says_what_was_shown_to_whom_and_precedes_the_sending(store: WalletStore) -> None:
    store.save_holding(holding_of(FULL))
    seen: list[str] = []

    def look() -> None:
        seen.extend(str(one.outcome) for one in store.disclosures())

    async with serving(FakeVerifier(on_post=look)) as verifier:
        await send(store, verifier, "marks")
        (record,) = store.disclosures()
        assert seen == [Outcome.SENDING]
        assert record.outcome is Outcome.SENT
        assert record.verifier == verifier.request.client_id
        (shown,) = record.shown
        assert shown.evidence == ("marks",)
        assert shown.withheld == ("code.py", "log.txt")
        assert shown.asked == ("credentialSubject.achievement.name",)
        assert "credentialSubject.achievement.description" in shown.claims


@pytest.mark.parametrize(
    ("status", "error", "outcome"),
    [
        (400, Refused, Outcome.REFUSED),
        (500, Unavailable, Outcome.SENDING),
        (302, Unavailable, Outcome.SENDING),
    ],
)
async def test_what_may_have_arrived_is_not_forgotten(
    store: WalletStore, status: int, error: type[Exception], outcome: Outcome
) -> None:
    store.save_holding(holding_of(FULL))
    async with serving(FakeVerifier(status=status, answer={"error": "invalid_request"})) as verifier:
        with pytest.raises(error):
            await send(store, verifier)
        assert [one.outcome for one in store.disclosures()] == [outcome]


async def test_what_was_never_sent_is_not_said_to_be_refused(store: WalletStore) -> None:
    store.save_holding(holding_of(FULL))
    async with serving(FakeVerifier()) as verifier, open_egress() as egress:
        presenter = Presenter(
            store, store.holder_keys(), standards().canonicalizer, egress, secrets.token_bytes
        )
        found = presenter.answer_for(verifier.request, store.holdings())
        assert found is not None
        with pytest.raises(EgressDenied):
            await presenter.send(verifier.request, found, NOW)
        assert verifier.got == []
        assert [one.outcome for one in store.disclosures()] == [Outcome.UNSENT]


async def test_where_the_browser_goes_next_is_handed_on(store: WalletStore) -> None:
    store.save_holding(holding_of(FULL))
    async with serving(
        FakeVerifier(answer={"redirect_uri": "https://v.example/cb#response_code=1"})
    ) as verifier:
        assert await send(store, verifier) == "https://v.example/cb#response_code=1"


async def test_nothing_is_shown_where_nothing_answers_or_the_holder_says_no(store: WalletStore) -> None:
    async with serving(FakeVerifier()) as verifier, presenting(store) as presenter:
        request = await presenter.look_at(verifier.link)
        assert presenter.answer_for(request, store.holdings()) is None
        await presenter.decline(request)
        assert verifier.got == [AuthorizationError("access_denied", None, "st4te")]
        assert store.disclosures() == ()


@pytest.mark.parametrize("says_so", [True, False])
async def test_that_nothing_is_held_is_said_by_the_holder(
    store: WalletStore, says_so: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[str] = []

    def confirm(text: str, **_: Any) -> bool:
        asked.append(text)
        return says_so

    monkeypatch.setattr(click, "confirm", confirm)
    options = Common(tmp_path, None, as_json=False, development=True)
    stapler = cli_showing.Stapler(Renewal(Endpoints(), None, None, None, True), timedelta(hours=12))
    async with serving(FakeVerifier()) as verifier:
        with pytest.raises(NotFound, match="nothing was shown"):
            await cli_showing._present_online(
                options,
                store,
                verifier.link,
                use=(),
                evidence=(),
                no_evidence=False,
                yes=False,
                stapler=stapler,
            )
        assert len(asked) == 1
        assert len(verifier.got) == says_so


@pytest.mark.parametrize("takes_bundles", [True, False])
async def test_what_cannot_be_renewed_is_shown_as_it_is_and_that_is_said(
    store: WalletStore, tmp_path: Path, capsys: pytest.CaptureFixture[str], takes_bundles: bool
) -> None:
    """By an endpoint that nobody runs; where no proof goes along, none is asked for."""
    held = holding_of(FULL)
    store.save_holding(held)
    metadata = ClientMetadata(vp_formats(), "An employer", bonafides_bundle=takes_bundles)
    endpoints = Endpoints.of(["http://127.0.0.1:9"])
    networks = tmp_path / "networks.json"
    networks.write_text(json.dumps({"networks": [NETWORK.to_json()]}))
    stapler = cli_showing.Stapler(Renewal(endpoints, None, networks, None, True), timedelta(hours=12))
    async with serving(FakeVerifier(metadata)) as verifier:
        await cli_showing._present_online(
            Common(tmp_path, None, as_json=False, development=True),
            store,
            verifier.link,
            use=(),
            evidence=(),
            no_evidence=True,
            yes=True,
            stapler=stapler,
        )
        (answer,) = verifier.got
    assert isinstance(answer, AuthorizationResponse)
    assert [one.state for one in answer.bundles] == [
        held.bundle.state for _ in range(takes_bundles) if held.bundle
    ]
    assert ("was not renewed" in capsys.readouterr().err) is takes_bundles


async def test_somebody_elses_credential_does_not_answer(store: WalletStore) -> None:
    def for_another(document: dict[str, Any]) -> None:
        document["credentialSubject"]["id"] = OTHER_LEARNER.did

    store.save_holding(holding_of(Story(write=for_another)))
    async with serving(FakeVerifier()) as verifier, presenting(store) as presenter:
        request = await presenter.look_at(verifier.link)
        assert presenter.answer_for(request, store.holdings()) is None


@pytest.mark.parametrize("suite", ["eddsa-rdfc-2022", "eddsa-jcs-2022"])
async def test_the_presentation_is_signed_with_a_suite_that_the_verifier_takes(
    store: WalletStore, suite: str
) -> None:
    story = replace(FULL, options={"cryptosuite": suite})
    store.save_holding(holding_of(story))
    formats = {"ldp_vc": {"cryptosuite_values": [suite]}}
    async with serving(FakeVerifier(ClientMetadata(formats, bonafides_bundle=True))) as verifier:
        await send(store, verifier)
        (answer,) = verifier.got
        assert isinstance(answer, AuthorizationResponse)
        assert answer.vp_token["badge"][0]["proof"][0]["cryptosuite"] == suite
        assert judged(answer, verifier.request, story).acceptance == "accepted"


async def test_a_verifier_that_takes_no_suite_of_ours_is_told_before_anything_is_shown(
    store: WalletStore,
) -> None:
    formats = {"ldp_vc": {"cryptosuite_values": ["a-suite-of-2040"]}}
    async with serving(FakeVerifier(ClientMetadata(formats))) as verifier, presenting(store) as presenter:
        with pytest.raises(Refused) as refused:
            await presenter.look_at(verifier.link)
        assert refused.value.code == "vp_formats_not_supported"


async def test_what_is_no_request_is_one_clear_error(store: WalletStore) -> None:
    async with serving(FakeVerifier(content_type="text/html")) as verifier, presenting(store) as presenter:
        with pytest.raises(Malformed, match="something else than a request"):
            await presenter.look_at(verifier.link)
        for link in ("openid4vp://", "openid4vp://?client_id=a&client_id=b", "nonsense"):
            with pytest.raises(Malformed):
                await presenter.look_at(link)


def test_a_presentation_file_is_accepted_with_its_challenge_and_domain() -> None:
    showings = with_evidence([Showing(holding_of(FULL))], ["log.txt"])
    body = presentation_file(
        [LEARNER_KEY],
        showings,
        standards().canonicalizer,
        secrets.token_bytes,
        challenge=CHALLENGE,
        domain=DOMAIN,
        now=NOW,
    )
    assert list(body) == ["presentation", "bundles"]
    assert body["presentation"]["@context"] == [BASE_CONTEXT]
    report = FULL.judge(json.dumps(body).encode())
    assert report.acceptance == "accepted"
    body["presentation"]["proof"][0]["challenge"] = "another"
    assert FULL.judge(json.dumps(body).encode()).acceptance == "refused"


def test_evidence_that_nobody_holds_cannot_be_promised() -> None:
    with pytest.raises(NotFound, match=r"there is code\.py, log\.txt, marks"):
        with_evidence([Showing(holding_of(FULL))], ["diary"])


def test_without_a_bundle_no_evidence_is_said_to_be_shown() -> None:
    part = disclosed(Showing(holding_of(FULL), ("marks",)), with_bundle=False)
    assert part.evidence == ()
    assert part.withheld == ("code.py", "log.txt", "marks")


# Every format ------------------------------------------------------------------------------------------------


def asking_for(name: str, form: Form, **more: Any) -> DcqlQuery:
    """A query in the credential's own format, for the claims that the form names."""
    meta: dict[str, Any] = {"type_values": [["https://www.w3.org/2018/credentials#VerifiableCredential"]]}
    if name == "dc+sd-jwt":
        meta = {"vct_values": [VCT]}
    claims = [{"path": one.split(".")} for one in form.chosen]
    body = {"id": "badge", "format": format_of(held(form.story).shown.envelope), "meta": meta, **more}
    return parse_dcql({"credentials": [{**body, "claims": claims} if claims else body]})


FORMS = forms()


@pytest.mark.parametrize("encrypted", [False, True], ids=["in the clear", "encrypted"])
@pytest.mark.parametrize("name", FORMS)
async def test_each_format_answers_a_query_for_it(store: WalletStore, name: str, encrypted: bool) -> None:
    form = FORMS[name]
    store.save_holding(held(form.story))
    binding = not form.by_itself
    asked = asking_for(name, form, require_cryptographic_holder_binding=binding)
    async with serving(FakeVerifier(query=asked, key=KEY if encrypted else None)) as verifier:
        await send(store, verifier)
        (answer,) = verifier.got
        assert isinstance(answer, AuthorizationResponse)
        report = judged(answer, verifier.request, form.story)
        assert report.acceptance == "accepted"
        bound = CheckOutcome.PASSED if binding else CheckOutcome.UNKNOWN
        assert report[CheckName.HOLDER_BINDING].outcome is bound
        assert report[CheckName.CHALLENGE].outcome is CheckOutcome.PASSED
        if encrypted:
            assert "vp_token" not in json.loads(verifier.raw[0])


@pytest.mark.parametrize("name", ["ecdsa-sd-2023", "bbs-2023", "vc+sd-jwt", "dc+sd-jwt"])
async def test_what_was_not_asked_for_does_not_leave(store: WalletStore, name: str) -> None:
    form = FORMS[name]
    if name == "dc+sd-jwt":
        form = replace(form, chosen=("grade",))
    store.save_holding(held(form.story))
    async with serving(FakeVerifier(query=asking_for(name, form))) as verifier:
        await send(store, verifier)
        (record,) = store.disclosures()
        (shown,) = record.shown
        assert set(form.chosen) == set(shown.asked) <= set(shown.claims)
        assert shown.hidden
        withheld = {"dc+sd-jwt": "Ada"}.get(name, "All tests pass")
        assert withheld not in json.dumps(documents_of(verifier.got[0]))


def documents_of(answer: Any) -> Any:
    """What the credentials in an answer say, as far as it is disclosed."""
    ((token,),) = answer.vp_token.values()
    return [one.document for one in given(token, ()).credentials]


@pytest.mark.parametrize("name", ["ecdsa-sd-2023", "vc+sd-jwt"])
async def test_a_query_without_claims_gets_only_what_is_always_shown(store: WalletStore, name: str) -> None:
    """OpenID4VP 1.0 section 6.4.1: then no claim that could be left out is asked for."""
    form = replace(FORMS[name], chosen=())
    store.save_holding(held(form.story))
    async with serving(FakeVerifier(query=asking_for(name, form))) as verifier:
        await send(store, verifier)
        (record,) = store.disclosures()
        assert set(record.shown[0].claims) == set(record.shown[0].always)


async def test_an_unlinkable_badge_in_a_presentation_of_its_holder_is_said_to_be_linkable(
    store: WalletStore,
) -> None:
    form = FORMS["bbs-2023"]
    store.save_holding(held(form.story))
    for binding, linkable in ((True, True), (False, False)):
        asked = asking_for("bbs-2023", form, require_cryptographic_holder_binding=binding)
        async with serving(FakeVerifier(query=asked)) as verifier, presenting(store) as presenter:
            request = await presenter.look_at(verifier.link)
            (one,) = presenter.answer_for(request, store.holdings()) or ()
            assert disclosed(one, with_bundle=True).linkable is linkable


async def test_what_the_verifier_cannot_read_does_not_answer(store: WalletStore) -> None:
    store.save_holding(held(FORMS["ecdsa-sd-2023"].story))
    metadata = ClientMetadata({"ldp_vc": {"cryptosuite_values": ["eddsa-rdfc-2022", "eddsa-jcs-2022"]}})
    async with serving(FakeVerifier(metadata)) as verifier, presenting(store) as presenter:
        request = await presenter.look_at(verifier.link)
        assert presenter.answer_for(request, store.holdings()) is None
