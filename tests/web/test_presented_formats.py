"""What a verifier asks for and takes in OpenID4VP, format by format, with a wallet played by the test."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from fixtures.sd_jwt import salts
from fixtures.selective import BbsKey, P256Key, deriving, with_key
from fixtures.served import HTML, Served
from fixtures.shown import BASE_CONTEXT, Person, World, bundle_of

from node.core.bundle import parse_bundle
from node.core.cose import prepare_cose
from node.core.dataintegrity.bbs_2023 import nym_domain_of, presentation_header_of
from node.core.dataintegrity.bbs_binding import Binding, bind
from node.core.envelope import enveloped, read_envelope
from node.core.jose.claims import numeric_date
from node.core.jose.jwe import encrypt
from node.core.jose.jws import prepare_jws
from node.core.jose.sd_jwt import Path, prepare_key_binding, salts_needed, select
from node.core.jose.sd_jwt_vc import prepare_sd_jwt_vc, prepare_vc_sd_jwt
from node.core.jose.vc_jwt import prepare_vc_jwt, prepare_vp_jwt
from node.core.keys import Signer
from node.core.oid4vp.dcql import OPEN_BADGE_TYPES
from node.core.oid4vp.request import AuthorizationRequest
from node.core.oid4vp.response import AuthorizationResponse
from node.core.verify.wording import HELD_BY_NOBODY

Json = dict[str, Any]
ACHIEVEMENT: Path = ("credentialSubject", "achievement", "name")
VCT = "https://school.example/vct/OpenBadgeCredential"
TYPES = {"type_values": [list(OPEN_BADGE_TYPES)]}
SECRET, IV = bytes(range(48)), bytes(range(12))


@dataclass
class Wallet:
    """A holder with credentials of one issuer in every format, and what he answers to a request."""

    world: World
    request: AuthorizationRequest
    now: Any

    @property
    def issuer(self) -> Signer:
        return self.world.issuer.signer

    def document(self, **members: Any) -> Json:
        return {name: value for name, value in self.world.badge(**members).items() if name != "proof"}

    @staticmethod
    def method(person: Person) -> str:
        return f"{person.did}#{person.signer.public_key.multibase}"

    # Credentials

    def ldp(self) -> Json:
        return self.world.badge()

    def jwt(self) -> str:
        prepared = prepare_vc_jwt(self.document(), self.issuer.public_key, self.method(self.world.issuer))
        return prepared.finish(self.issuer.sign(prepared.message))

    def jwt_1_1(self) -> str:
        old = {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "id": "urn:uuid:5b2c8a4e-9f0e-4d7a-8f43-0a4f6d1f2c3c",
            "type": ["VerifiableCredential"],
            "issuer": self.world.issuer.did,
            "issuanceDate": "2026-02-01T00:00:00Z",
            "credentialSubject": {"id": self.world.holder.did},
        }
        header = {"alg": "EdDSA", "typ": "JWT", "kid": self.method(self.world.issuer)}
        said = {"iss": self.world.issuer.did, "jti": old["id"], "sub": self.world.holder.did, "vc": old}
        prepared = prepare_jws(header, said)
        return prepared.finish(self.issuer.sign(prepared.message))

    def sd_jwt(self, *, bound: bool = True) -> str:
        # Nothing at the top: what could be hidden there leaves status and validity unknown (FORMATS.md section 2).
        paths = (ACHIEVEMENT, ("credentialSubject", "result"))
        ends = {"validUntil": "2027-02-01T00:00:00Z"}
        prepared = prepare_vc_sd_jwt(
            self.document(**ends),
            self.issuer.public_key,
            self.method(self.world.issuer),
            paths,
            salts=salts(salts_needed(paths)),
            holder_key=self.world.holder.signer.public_key if bound else None,
        )
        return prepared.finish(self.issuer.sign(prepared.message))

    def sd_jwt_vc(self) -> str:
        paths = (("achievement",), ("grade",))
        claims = {"vct": VCT, "iss": self.world.issuer.did, "achievement": "Python", "grade": "1.0"}
        prepared = prepare_sd_jwt_vc(
            claims | {"exp": numeric_date(self.now + timedelta(days=1))},
            self.issuer.public_key,
            self.method(self.world.issuer),
            paths,
            salts=salts(salts_needed(paths)),
            holder_key=self.world.holder.signer.public_key,
        )
        return prepared.finish(self.issuer.sign(prepared.message))

    def cose(self) -> str:
        prepared = prepare_cose(
            self.document(), "application/vc", self.issuer.public_key, self.method(self.world.issuer)
        )
        return base64.b64encode(prepared.finish(self.issuer.sign(prepared.message))).decode()

    # Presentations

    def vp(self, credential: Json) -> Json:
        return self.world.holder.present(
            self.world.standards, [credential], self.request.nonce, self.request.client_id
        )

    def vp_jwt(self, credential: str, **changes: Any) -> str:
        token = read_envelope(credential)
        assert token is not None
        holder = self.world.holder
        presentation = {
            "@context": [BASE_CONTEXT],
            "type": ["VerifiablePresentation"],
            "holder": holder.did,
            "verifiableCredential": [enveloped(token)],
        }
        asked = {"audience": self.request.client_id, "nonce": self.request.nonce, **changes}
        prepared = prepare_vp_jwt(presentation, holder.signer.public_key, self.method(holder), **asked)
        return prepared.finish(holder.signer.sign(prepared.message))

    def vp_jwt_1_1(self, credential: str) -> str:
        holder = self.world.holder
        held = {
            "@context": ["https://www.w3.org/2018/credentials/v1"],
            "type": ["VerifiablePresentation"],
            "verifiableCredential": [credential],
        }
        said = {"iss": holder.did, "aud": self.request.client_id, "nonce": self.request.nonce, "vp": held}
        prepared = prepare_jws({"alg": "EdDSA", "typ": "JWT", "kid": self.method(holder)}, said)
        return prepared.finish(holder.signer.sign(prepared.message))

    def bind(self, token: str, *paths: Path, by: Person | None = None, **changes: Any) -> str:
        """The token with what is disclosed of it, and the holder's key binding."""
        shown, signer = select(token, paths), (by or self.world.holder).signer
        asked = {"audience": self.request.client_id, "nonce": self.request.nonce, "issued_at": self.now}
        prepared = prepare_key_binding(shown, signer.public_key, **{**asked, **changes})
        return shown + prepared.finish(signer.sign(prepared.message))

    def derived(self, key: Any, suite: str, *, more: Json | None = None, **options: Any) -> Json:
        """The one claim of a badge under ecdsa-sd-2023 or bbs-2023, by somebody whom the verifier does not list."""
        always = ("/issuer", "/validFrom", "/validUntil", "/credentialSubject/id")
        issuer = with_key(key, suite, mandatory=always, more=more or {})
        ends = {"validFrom": "2026-06-01T00:00:00Z", "validUntil": "2026-06-15T00:00:00Z"}
        document = self.document(evidence=None, **ends) | {"issuer": issuer.did}
        derive = deriving("/credentialSubject/id", "/credentialSubject/achievement/name", **options)
        derived: Json = derive(issuer.sign(document))
        return derived


def query(form: str, **more: Any) -> Json:
    meta: Json = {"vct_values": [VCT]} if form == "dc+sd-jwt" else TYPES
    return {"credentials": [{"id": "badge", "format": form, "meta": meta} | more]}


NAMED = {"claims": [{"path": list(ACHIEVEMENT)}]}
FLAT = {"claims": [{"path": ["achievement"]}]}
UNBOUND = {"require_cryptographic_holder_binding": False}
Answer = Callable[[Wallet], Any]

ACCEPTED: dict[str, tuple[Json, Answer]] = {
    "ldp_vc": (query("ldp_vc"), lambda w: w.vp(w.ldp())),
    "jwt_vc_json": (query("jwt_vc_json"), lambda w: w.vp_jwt(w.jwt())),
    "jwt_vc_json of version 1.1": (
        query("jwt_vc_json", meta={"type_values": [list(OPEN_BADGE_TYPES[:1])]}),
        lambda w: w.vp_jwt_1_1(w.jwt_1_1()),
    ),
    "vc+sd-jwt, the one claim": (query("vc+sd-jwt", **NAMED), lambda w: w.bind(w.sd_jwt(), ACHIEVEMENT)),
    "vc+sd-jwt, no claim": (query("vc+sd-jwt"), lambda w: w.bind(w.sd_jwt())),
    "dc+sd-jwt": (query("dc+sd-jwt", **FLAT), lambda w: w.bind(w.sd_jwt_vc(), ("achievement",), ("grade",))),
    "vc+cose": (query("vc+cose"), lambda w: w.vp_jwt(w.cose())),
    "vc+sd-jwt in a presentation": (query("vc+sd-jwt"), lambda w: w.vp_jwt(w.sd_jwt(bound=False))),
}

REFUSED: dict[str, tuple[Json, Answer, str]] = {
    "another format": (query("ldp_vc"), lambda w: w.vp_jwt(w.jwt()), "not what was asked for"),
    "a claim withheld": (query("vc+sd-jwt", **NAMED), lambda w: w.bind(w.sd_jwt()), "not what was asked for"),
    "a flat claim withheld": (
        query("dc+sd-jwt", **FLAT),
        lambda w: w.bind(w.sd_jwt_vc()),
        "not what was asked for",
    ),
    "another vct": (
        {"credentials": [{"id": "badge", "format": "dc+sd-jwt", "meta": {"vct_values": [VCT + "/2"]}}]},
        lambda w: w.bind(w.sd_jwt_vc()),
        "not what was asked for",
    ),
    "a bare token": (query("jwt_vc_json"), lambda w: w.jwt(), "held by who gave it"),
    "a bare object": (query("ldp_vc"), lambda w: w.ldp(), "held by who gave it"),
    "an SD-JWT without key binding": (query("vc+sd-jwt"), lambda w: w.sd_jwt(), "held by who gave it"),
    "a key binding for another nonce": (
        query("vc+sd-jwt"),
        lambda w: w.bind(w.sd_jwt(), nonce="another"),
        "held by who gave it",
    ),
    "a key binding for another audience": (
        query("vc+sd-jwt"),
        lambda w: w.bind(w.sd_jwt(), audience=w.request.response_uri),
        "held by who gave it",
    ),
    "a key binding of long ago": (
        query("vc+sd-jwt"),
        lambda w: w.bind(w.sd_jwt(), issued_at=w.now - timedelta(hours=1)),
        "held by who gave it",
    ),
    "a token for another nonce": (
        query("jwt_vc_json"),
        lambda w: w.vp_jwt(w.jwt(), nonce="another"),
        "held by who gave it",
    ),
    "a token for another audience": (
        query("jwt_vc_json"),
        lambda w: w.vp_jwt(w.jwt(), audience=w.request.response_uri),
        "held by who gave it",
    ),
    "what is no token": (query("jwt_vc_json"), lambda _: "eyJ", "empty"),
}


WRONG_ITSELF = {
    "a bare token",
    "a bare object",
    "an SD-JWT without key binding",
    "a key binding for another nonce",
    "a key binding for another audience",
    "a key binding of long ago",
    "a token for another nonce",
    "a token for another audience",
    "what is no token",
}


async def asked(served: Served, dcql: Json, **more: Any) -> tuple[Json, Wallet]:
    made, request = await served.ask(dcql_query=dcql, **more)
    return made, Wallet(served.world, request, served.clock())


@pytest.mark.parametrize("name", ACCEPTED)
async def test_each_format_answers_a_query_for_it(served: Served, name: str) -> None:
    dcql, answer = ACCEPTED[name]
    made, wallet = await asked(served, dcql)
    assert (await served.answer(wallet.request, answer(wallet)))[0] == 200
    result = await served.result(made)
    assert (result["acceptance"], result["satisfied"]) == ("accepted", True)
    assert result["answers"][0]["account"]["presented"]
    assert "belongs to the person who showed it" in result["answers"][0]["account"]["headline"]
    _, page = await served.get(urlsplit(made["result"]).path, HTML)
    assert "belongs to the person who showed it" in page


@pytest.mark.parametrize("name", REFUSED)
async def test_what_was_not_asked_for_so_is_refused(served: Served, name: str) -> None:
    dcql, answer, why = REFUSED[name]
    made, wallet = await asked(served, dcql)
    assert (await served.answer(wallet.request, answer(wallet)))[0] == 200
    result = await served.result(made)
    assert (result["acceptance"], result["satisfied"]) == ("refused", False)
    assert why in result["detail"]
    _, page = await served.get(urlsplit(made["result"]).path, HTML)
    assert "Do not rely on this." in page
    # What is wrong with what was shown goes before what it is no answer to.
    told = result["answers"][0]["account"]["sentence"]["text"] if name in WRONG_ITSELF else result["sentence"]
    assert told in html.unescape(page)


async def test_a_key_binding_of_somebody_else_is_refused(served: Served) -> None:
    made, wallet = await asked(served, query("vc+sd-jwt"))
    await served.answer(wallet.request, wallet.bind(wallet.sd_jwt(), by=served.world.stranger))
    assert (await served.result(made))["acceptance"] == "refused"


@pytest.mark.parametrize(
    ("form", "answer"),
    [
        ("ldp_vc", lambda w: w.ldp()),
        ("jwt_vc_json", lambda w: w.jwt()),
        ("vc+sd-jwt", lambda w: select(w.sd_jwt(), [])),
        ("vc+cose", lambda w: w.cose()),
    ],
)
async def test_where_no_holder_is_asked_for_a_document_is_taken_and_called_one(
    served: Served, form: str, answer: Answer
) -> None:
    made, wallet = await asked(served, query(form, **UNBOUND))
    await served.answer(wallet.request, answer(wallet))
    result = await served.result(made)
    assert (result["acceptance"], result["satisfied"]) == ("accepted", True)
    account = result["answers"][0]["account"]
    assert not account["presented"]
    assert account["headline"] == "This document is genuine."
    assert account["sentence"]["text"].startswith("It does not show")


def outcomes(result: Json, *names: str) -> set[str]:
    report = result["answers"][0]["report"]
    return {check["outcome"] for check in report["checks"] if check["name"] in names}


async def test_a_part_of_a_badge_under_ecdsa_sd_2023_is_presented(served: Served) -> None:
    made, wallet = await asked(served, query("ldp_vc", **NAMED))
    await served.answer(wallet.request, wallet.vp(wallet.derived(P256Key("school"), "ecdsa-sd-2023")))
    result = await served.result(made)
    assert result["satisfied"]
    assert outcomes(result, "proof", "holder_binding", "challenge", "domain") == {"passed"}


@pytest.mark.parametrize(
    ("asks", "changes", "satisfied", "answered"),
    [
        (UNBOUND, {}, True, "passed"),
        (UNBOUND, {"challenge": "another"}, True, "failed"),
        (UNBOUND, {"domain": "https://other.example"}, True, "failed"),
        ({}, {}, False, "passed"),
    ],
    ids=["as-asked", "for-another-nonce", "for-another-verifier", "where-a-holder-is-asked-for"],
)
async def test_a_proof_of_bbs_2023_is_derived_for_one_request(
    served: Served, asks: Json, changes: Json, satisfied: bool, answered: str
) -> None:
    made, wallet = await asked(served, query("ldp_vc", **NAMED, **asks))
    occasion = {"challenge": wallet.request.nonce, "domain": wallet.request.client_id, **changes}
    header = presentation_header_of(**occasion)
    shown = wallet.derived(BbsKey("school"), "bbs-2023", presentation_header=header, entropy=bytes(range(32)))
    await served.answer(wallet.request, shown)
    result = await served.result(made)
    assert result["satisfied"] is satisfied
    assert result["sentence"] == (None if satisfied else HELD_BY_NOBODY)
    assert answered in outcomes(result, "challenge", "domain")
    assert result["acceptance"] == ("undetermined" if satisfied and answered == "passed" else "refused")


@pytest.mark.parametrize("binding", Binding)
async def test_a_secret_answers_where_a_holder_is_asked_for_and_a_pseudonym_is_shown(
    served: Served, binding: Binding
) -> None:
    made, wallet = await asked(served, query("ldp_vc", **NAMED))
    bound = bind(binding, bytes(range(32)))
    more: Json = {"commitment_with_proof": bound.commitment_with_proof}
    if binding.has_pseudonyms:
        more["signer_nym_entropy"] = (7).to_bytes(32, "big")
    client_id = wallet.request.client_id
    shown = wallet.derived(
        BbsKey("school"),
        "bbs-2023",
        more=more,
        presentation_header=presentation_header_of(wallet.request.nonce, client_id),
        entropy=bytes(range(32)),
        holder=replace(bound.holder, nym_domain=nym_domain_of(client_id)),
    )
    await served.answer(wallet.request, shown)
    result = await served.result(made)
    assert result["satisfied"]
    assert outcomes(result, "proof", "holder_binding", "challenge", "domain") == {"passed"}
    name = result["answers"][0]["report"]["holder_secret"].get("pseudonym")
    assert (name is not None) is binding.has_pseudonyms
    _, page = await served.get(urlsplit(made["result"]).path, HTML)
    assert ("Known to you alone as" in page and str(name) in page) is binding.has_pseudonyms


async def test_the_usual_question_is_answered_in_whatever_format(served: Served) -> None:
    answers: dict[str, Answer] = {
        "badge": lambda w: w.vp(w.ldp()),
        "badge_jwt": lambda w: w.vp_jwt(w.jwt()),
        "badge_sd_jwt": lambda w: w.bind(w.sd_jwt(), ACHIEVEMENT),
    }
    for query_id, answer in answers.items():
        made, request = await served.ask(achievement="Python, first course")
        shown = answer(Wallet(served.world, request, served.clock()))
        form = AuthorizationResponse({query_id: (shown,)}, request.state).to_form()
        async with served.client.post(urlsplit(request.response_uri).path, data=form) as got:
            assert got.status == 200
        assert (await served.result(made))["acceptance"] == "accepted"


async def test_no_more_credentials_are_judged_than_one_answer_may_hold(served: Served) -> None:
    made, wallet = await asked(served, query("jwt_vc_json", multiple=True))
    holder, token = served.world.holder, read_envelope(wallet.jwt())
    assert token is not None
    presentation = {
        "@context": [BASE_CONTEXT],
        "type": ["VerifiablePresentation"],
        "holder": holder.did,
        "verifiableCredential": [enveloped(token)] * 33,
    }
    prepared = prepare_vp_jwt(
        presentation,
        holder.signer.public_key,
        wallet.method(holder),
        audience=wallet.request.client_id,
        nonce=wallet.request.nonce,
    )
    text = prepared.finish(holder.signer.sign(prepared.message))
    form = AuthorizationResponse({"badge": (text, text)}, wallet.request.state).to_form()
    async with served.client.post(urlsplit(wallet.request.response_uri).path, data=form) as got:
        assert got.status == 200
    result = await served.result(made)
    assert result["acceptance"] == "refused"
    assert [len(one["account"]["credentials"]) for one in result["answers"]] == [33, 1]
    assert "64" in result["answers"][1]["report"]["checks"][0]["basis"]


# --- encrypted answers


async def posted(served: Served, request: AuthorizationRequest, form: Json) -> tuple[int, Any]:
    async with served.client.post(urlsplit(request.response_uri).path, data=form) as got:
        return got.status, await got.json()


async def test_an_encrypted_answer_is_judged_with_the_bundles_inside_it(served: Served) -> None:
    made, request = await served.ask(encrypted=True)
    assert request.response_mode == "direct_post.jwt"
    assert request.encryption is not None
    assert request.encryption.enc == "A256GCM"
    badge = served.world.badge()
    shown = Wallet(served.world, request, served.clock()).vp(badge)
    bundles = (parse_bundle(bundle_of(badge, beside=True)),)
    response = AuthorizationResponse({"badge": (shown,)}, request.state, bundles)
    form = response.to_encrypted_form(request.encryption, secret=SECRET, iv=IV)
    assert (await posted(served, request, form))[0] == 200
    result = await served.result(made)
    assert result["acceptance"] == "accepted"
    assert [item["name"] for item in result["answers"][0]["account"]["credentials"][0]["evidence"]] == [
        "solution.py",
        "tests.log",
    ]


async def test_no_two_requests_have_the_same_key(served: Served) -> None:
    keys = [(await served.ask(encrypted=True))[1].client_metadata.keys[0] for _ in range(2)]
    assert keys[0]["x"] != keys[1]["x"]
    assert "d" not in keys[0]


async def test_an_answer_in_the_clear_is_refused_where_it_was_to_be_encrypted(served: Served) -> None:
    made, request = await served.ask(encrypted=True)
    status, body = await served.answer(request, served.present(request))
    assert (status, body["error"]) == (400, "invalid_request")
    assert (await served.result(made))["state"] == "waiting"


async def test_an_answer_encrypted_to_the_key_of_another_request_is_refused(served: Served) -> None:
    _, earlier = await served.ask(encrypted=True)
    made, request = await served.ask(encrypted=True)
    assert earlier.encryption is not None
    response = AuthorizationResponse({"badge": (served.present(request),)}, request.state)
    form = response.to_encrypted_form(earlier.encryption, secret=SECRET, iv=IV)
    assert (await posted(served, request, form))[0] == 400
    assert (await served.result(made))["state"] == "waiting"


async def test_the_state_of_an_encrypted_answer_is_the_one_inside(served: Served) -> None:
    _, request = await served.ask(encrypted=True)
    assert request.encryption is not None
    token = encrypt(
        b'{"vp_token": {"badge": [{}]}, "state": "another"}',
        request.encryption.recipient,
        request.encryption.enc,
        secret=SECRET,
        iv=IV,
    )
    status, body = await posted(served, request, {"response": token, "state": request.state})
    assert (status, body["error_description"]) == (400, "the state is not this request's")


async def test_a_holder_may_decline_in_the_clear(served: Served) -> None:
    made, request = await served.ask(encrypted=True)
    assert (await posted(served, request, {"error": "access_denied", "state": request.state}))[0] == 200
    assert (await served.result(made))["state"] == "declined"


@pytest.mark.parametrize("value", ["yes", 1, None], ids=str)
async def test_encrypted_is_true_or_false(served: Served, value: Any) -> None:
    assert (await served.post("/requests", {"encrypted": value}))[0] == 400
