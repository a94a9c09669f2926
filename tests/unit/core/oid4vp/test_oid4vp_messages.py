"""OpenID4VP 1.0 sections 5 and 8: request and response."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.bundle import Bundle
from node.core.encoding import encode_base64url
from node.core.errors import Malformed, Refused
from node.core.jose.jwe import DecryptionKey, encrypt, parse_recipient_jwk
from node.core.oid4vp import request as req
from node.core.oid4vp.dcql import OPEN_BADGE_TYPES, parse_dcql
from node.core.oid4vp.formats import is_taken, vp_formats
from node.core.oid4vp.request import (
    AuthorizationRequest,
    ClientMetadata,
    RequestReference,
    client_id_of,
    encode_link,
    encode_request_object,
    parse_link,
    parse_request,
    parse_request_object,
)
from node.core.oid4vp.response import (
    AuthorizationError,
    AuthorizationResponse,
    encode_answer,
    parse_answer,
    parse_response,
)

RESPONSE_URI = "https://verifier.example/requests/abc/response"
CLIENT_ID = client_id_of(RESPONSE_URI)
DCQL = {
    "credentials": [
        {"id": "badge", "format": "ldp_vc", "meta": {"type_values": [list(OPEN_BADGE_TYPES)]}},
    ]
}
REQUEST = AuthorizationRequest(
    CLIENT_ID,
    "n-0123456789abcdefghijk",
    parse_dcql(DCQL),
    ClientMetadata(vp_formats(), "An employer", bonafides_bundle=True),
    "s-0123456789abcdefghijk",
)


def request_object(header: dict[str, Any], claims: dict[str, Any], signature: str = "") -> str:
    parts = [encode_base64url(json.dumps(part).encode()) for part in (header, claims)]
    return ".".join([*parts, signature])


HEADER = {"alg": "none", "typ": "oauth-authz-req+jwt"}


def test_the_audience_is_the_whole_client_identifier_with_its_prefix() -> None:
    assert CLIENT_ID == "redirect_uri:https://verifier.example/requests/abc/response"
    assert REQUEST.response_uri == RESPONSE_URI


def test_a_request_object_survives_being_written_and_read() -> None:
    assert parse_request_object(encode_request_object(REQUEST), CLIENT_ID) == REQUEST
    assert parse_request(REQUEST.to_json()) == REQUEST


def test_a_link_names_the_client_and_where_its_request_is() -> None:
    reference = RequestReference(CLIENT_ID, "https://verifier.example/requests/abc")
    link = encode_link(reference)
    assert link.startswith("openid4vp://?client_id=redirect_uri%3Ahttps%3A%2F%2Fverifier.example")
    assert parse_link(link) == reference


def test_a_request_may_stand_in_the_link_itself() -> None:
    from urllib.parse import urlencode

    values = REQUEST.to_json()
    text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in values.items()}
    assert parse_link("openid4vp://?" + urlencode(text)) == REQUEST


@pytest.mark.parametrize(
    ("header", "signature"),
    [
        ({"alg": "none"}, ""),
        ({"alg": "none", "typ": "JWT"}, ""),
        ({"alg": "ES256", "typ": "oauth-authz-req+jwt"}, "c2ln"),
        (HEADER, "c2ln"),
    ],
    ids=["no-typ", "other-typ", "signed", "signature-under-none"],
)
def test_request_object_with_another_header_is_refused(header: dict[str, Any], signature: str) -> None:
    with pytest.raises(Refused):
        parse_request_object(request_object(header, REQUEST.to_json(), signature), CLIENT_ID)


def test_request_of_another_client_than_the_link_names_is_refused() -> None:
    with pytest.raises(Refused, match="another client"):
        parse_request_object(encode_request_object(REQUEST), client_id_of("https://other.example/r"))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({"response_type": "code"}, "unsupported_response_type"),
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": "direct_post.jwt"}, "invalid_request"),
        ({"scope": "badge"}, "invalid_request"),
        ({"dcql_query": None, "scope": "badge"}, "invalid_scope"),
        ({"dcql_query": None}, "invalid_request"),
        ({"transaction_data": ["e30"]}, "invalid_transaction_data"),
        ({"redirect_uri": RESPONSE_URI}, "invalid_request"),
        ({"response_uri": "https://elsewhere.example/r"}, "invalid_request"),
        ({"client_id": "x509_hash:abc"}, "invalid_request"),
        ({"client_id": "registered"}, "invalid_request"),
        ({"nonce": "a b"}, "invalid_request"),
        ({"nonce": None}, "invalid_request"),
        ({"client_metadata": None}, "invalid_request"),
        ({"client_metadata": {}}, "invalid_request"),
    ],
)
def test_a_request_that_breaks_a_rule_is_refused_with_the_code(members: dict[str, Any], code: str) -> None:
    values = {**REQUEST.to_json(), **members}
    values = {name: value for name, value in values.items() if value is not None}
    with pytest.raises((Malformed, Refused)) as caught:
        parse_request(values)
    assert getattr(caught.value, "code", "invalid_request") == code


def test_a_request_that_waives_holder_binding_needs_a_state() -> None:
    values = REQUEST.to_json()
    values["dcql_query"]["credentials"][0]["require_cryptographic_holder_binding"] = False
    assert parse_request(values).state == REQUEST.state
    del values["state"]
    with pytest.raises(Refused, match="state"):
        parse_request(values)


KEY = DecryptionKey(bytes(48), "k")
SECRET, IV = bytes(range(48)), bytes(12)
METADATA = {"vp_formats_supported": vp_formats()}


def encrypted_request(**members: Any) -> dict[str, Any]:
    """A request for an encrypted answer; a member of the metadata that is None is left out."""
    both = {
        "jwks": {"keys": [KEY.to_jwk()]},
        "encrypted_response_enc_values_supported": ["A256GCM"],
    } | members
    metadata = METADATA | {name: value for name, value in both.items() if value is not None}
    return REQUEST.to_json() | {"response_mode": "direct_post.jwt", "client_metadata": metadata}


def test_an_answer_is_encrypted_to_the_key_in_the_request() -> None:
    request = parse_request(encrypted_request())
    assert request.response_mode == "direct_post.jwt"
    assert parse_request(request.to_json()) == request
    assert request.encryption is not None
    response = AuthorizationResponse({"badge": ("eyJ.e.y~",)}, "s", (Bundle(credential_digest=b"\x01" * 32),))
    form = response.to_encrypted_form(request.encryption, secret=SECRET, iv=IV)
    assert form.keys() == {"response"}
    assert parse_response(form, KEY) == response


@pytest.mark.parametrize(
    ("members", "enc"),
    [
        ({}, "A256GCM"),
        ({"encrypted_response_enc_values_supported": None}, "A128GCM"),
        ({"encrypted_response_enc_values_supported": ["A128CBC-HS256", "A128GCM"]}, "A128GCM"),
        ({"encrypted_response_enc_values_supported": ["A128GCM", "A256GCM"]}, "A256GCM"),
        ({"encrypted_response_enc_values_supported": ["A128CBC-HS256"]}, None),
        ({"jwks": None}, None),
        ({"jwks": {"keys": []}}, None),
        ({"jwks": {"keys": [{**KEY.to_jwk(), "alg": "ECDH-ES+A256KW"}]}}, None),
        ({"jwks": {"keys": [{**KEY.to_jwk(), "use": "sig"}]}}, None),
        ({"jwks": {"keys": [{"kty": "unknown"}, KEY.to_jwk()]}}, "A256GCM"),
    ],
    ids=[
        "as-asked",
        "default",
        "first-known",
        "strongest",
        "no-way-known",
        "no-keys",
        "empty-keys",
        "other-algorithm",
        "other-use",
        "second-key",
    ],
)
def test_how_an_answer_is_encrypted_follows_from_the_metadata(
    members: dict[str, Any], enc: str | None
) -> None:
    if enc is None:
        with pytest.raises(Refused, match="encrypted"):
            parse_request(encrypted_request(**members))
        return
    encryption = parse_request(encrypted_request(**members)).encryption
    assert encryption is not None
    assert encryption.enc == enc
    assert encryption.recipient.kid == "k"


@pytest.mark.parametrize(
    "members",
    [
        {"jwks": []},
        {"jwks": {}},
        {"jwks": {"keys": ["k"]}},
        {"jwks": {"keys": [KEY.to_jwk()] * 17}},
        {"encrypted_response_enc_values_supported": []},
        {"encrypted_response_enc_values_supported": [1]},
        {"encrypted_response_enc_values_supported": "A256GCM"},
    ],
    ids=str,
)
def test_broken_metadata_of_encryption_are_malformed(members: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        parse_request(encrypted_request(**members))


@pytest.mark.parametrize(
    "payload",
    [
        b"{}",
        b"[]",
        b"x",
        b'{"vp_token": "eyJ"}',
        b'{"vp_token": {"badge": [{}]}, "state": 1}',
        b'{"error": 1}',
    ],
    ids=str,
)
def test_a_broken_answer_is_malformed_when_it_is_encrypted_too(payload: bytes) -> None:
    token = encrypt(payload, parse_recipient_jwk(KEY.to_jwk()), "A128GCM", secret=SECRET, iv=IV)
    with pytest.raises(Malformed):
        parse_response({"response": token}, KEY)


def test_where_an_encrypted_answer_was_asked_for_only_a_refusal_is_taken_in_the_clear() -> None:
    plain = AuthorizationResponse({"badge": ({},)}, "s")
    with pytest.raises(Malformed) as caught:
        parse_response(plain.to_form(), KEY)
    assert caught.value.problem.path == ("response",)
    refusal = AuthorizationError("access_denied", None, "s")
    assert parse_response(refusal.to_form(), KEY) == refusal


def test_members_beside_an_encrypted_answer_count_for_nothing() -> None:
    encryption = parse_request(encrypted_request()).encryption
    assert encryption is not None
    form = AuthorizationResponse({"badge": ({},)}, "s").to_encrypted_form(encryption, secret=SECRET, iv=IV)
    found = parse_response(form | {"error": "access_denied", "state": "other"}, KEY)
    assert isinstance(found, AuthorizationResponse)
    assert found.state == "s"


@pytest.mark.parametrize(
    ("supported", "name", "algorithm", "by_holder", "taken"),
    [
        (vp_formats(), "ldp_vc", "bbs-2023", False, True),
        (vp_formats(), "ldp_vc", "Ed25519Signature2020", False, True),
        (vp_formats(), "ldp_vc", "MerkleProof2019", False, False),
        (vp_formats(), "jwt_vc_json", "ES256", True, True),
        (vp_formats(), "jwt_vc_json", "HS256", True, False),
        (vp_formats(), "dc+sd-jwt", "EdDSA", True, True),
        (vp_formats(), "mso_mdoc", "ES256", False, False),
        ({"ldp_vc": {}}, "ldp_vc", "anything", False, True),
        (
            {"ldp_vc": {"proof_type_values": ["Ed25519Signature2020"]}},
            "ldp_vc",
            "eddsa-rdfc-2022",
            False,
            False,
        ),
        ({"ldp_vc": {"cryptosuite_values": ["bbs-2023"]}}, "ldp_vc", "Ed25519Signature2020", False, True),
        ({"ldp_vc": []}, "ldp_vc", "bbs-2023", False, False),
        ({"ldp_vc": {"cryptosuite_values": "bbs-2023"}}, "ldp_vc", "bbs-2023", False, False),
        ({"vc+sd-jwt": {"kb-jwt_alg_values": ["ES256"]}}, "vc+sd-jwt", "ES384", True, False),
        ({"vc+sd-jwt": {"kb-jwt_alg_values": ["ES256"]}}, "vc+sd-jwt", "ES384", False, True),
        ({"dc+sd-jwt": {"sd-jwt_alg_values": ["Ed25519"]}}, "dc+sd-jwt", "EdDSA", False, True),
    ],
)
def test_what_a_verifier_takes_of_each_format(
    supported: dict[str, Any], name: str, algorithm: str, by_holder: bool, taken: bool
) -> None:
    assert is_taken(supported, name, algorithm, by_holder=by_holder) is taken


def test_a_suite_that_is_not_known_is_not_taken() -> None:
    supported = REQUEST.client_metadata.vp_formats_supported
    assert is_taken(supported, "ldp_vc", "eddsa-jcs-2022", by_holder=True)
    assert not is_taken(supported, "ldp_vc", "ecdsa-2099", by_holder=True)


@pytest.mark.parametrize(
    "link",
    [
        "https://verifier.example",
        "openid4vp://?",
        "openid4vp://?client_id=redirect_uri%3Ahttps%3A%2F%2Fa.example&request_uri=ftp%3A%2F%2Fa.example",
        "openid4vp://?client_id=redirect_uri%3Ahttps%3A%2F%2Fa.example&request_uri=https%3A%2F%2F%5Bz",
        "openid4vp://?client_id=a&client_id=b&request_uri=https%3A%2F%2Fa.example",
        "openid4vp://?client_id=redirect_uri%3Ax&request=a.b&request_uri=https%3A%2F%2Fa.example",
    ],
)
def test_a_broken_link_is_malformed(link: str) -> None:
    with pytest.raises(Malformed):
        parse_link(link)


def test_a_response_survives_being_written_and_read() -> None:
    bundle = Bundle(credential_digest=b"\x01" * 32)
    response = AuthorizationResponse({"badge": ({"type": "VerifiablePresentation"},)}, "s", (bundle,))
    assert parse_response(response.to_form()) == response
    refusal = AuthorizationError("access_denied", "nothing fits", "s")
    assert parse_response(refusal.to_form()) == refusal


@pytest.mark.parametrize(
    ("form", "where"),
    [
        ({}, ("vp_token",)),
        ({"vp_token": "eyJ…"}, ("vp_token",)),
        ({"vp_token": "[]"}, ("vp_token",)),
        ({"vp_token": "{}"}, ("vp_token",)),
        ({"vp_token": '{"badge": {}}'}, ("vp_token", "badge")),
        ({"vp_token": '{"badge": []}'}, ("vp_token", "badge")),
        ({"vp_token": '{"badge": [1]}'}, ("vp_token", "badge")),
        ({"vp_token": '{"badge": [["eyJ"]]}'}, ("vp_token", "badge")),
        ({"vp_token": '{"badge": [{}]}', "bonafides_bundles": "{}"}, ("bonafides_bundles",)),
        ({"vp_token": '{"badge": [{}]}', "bonafides_bundles": "[{}]"}, ("bonafides_bundles", 0)),
        (
            {"vp_token": '{"badge": [{}]}', "bonafides_bundles": '[{"version":1,"credential":{}}]'},
            ("bonafides_bundles", 0),
        ),
        ({"error": "made_up"}, ("error",)),
    ],
)
def test_a_broken_response_is_malformed_and_says_where(form: dict[str, str], where: tuple[str, ...]) -> None:
    with pytest.raises(Malformed) as caught:
        parse_response(form)
    assert caught.value.problem.path == where


def test_what_the_verifier_says_to_a_response() -> None:
    assert parse_answer(json.dumps(encode_answer()).encode()) is None
    assert (
        parse_answer(json.dumps(encode_answer("https://v.example/r#x")).encode()) == "https://v.example/r#x"
    )
    with pytest.raises(Malformed):
        parse_answer(b'{"redirect_uri": 1}')


ANYTHING = st.text(max_size=30) | st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(REQUEST.to_json())), ANYTHING, max_size=4), st.data())
def test_parsers_of_requests_raise_malformed_or_refused_and_nothing_else(
    members: dict[str, Any], data: st.DataObject
) -> None:
    text = data.draw(st.text(max_size=60) | st.just(request_object(HEADER, REQUEST.to_json() | members)))
    for parse in (lambda: parse_request_object(text, CLIENT_ID), lambda: parse_link(f"openid4vp://?{text}")):
        with contextlib.suppress(Malformed, Refused):
            parse()


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["vp_token", "state", "bonafides_bundles", "error", "response"]), st.text(max_size=40)
    ),
    st.none() | st.just(KEY),
)
def test_the_parser_of_responses_raises_malformed_and_nothing_else(
    form: dict[str, str], key: DecryptionKey | None
) -> None:
    with contextlib.suppress(Malformed):
        parse_response(form, key)


def test_links_and_requests_have_a_limit_of_size() -> None:
    with pytest.raises(Malformed):
        parse_link("openid4vp://?" + "a" * req.MAX_REQUEST_BYTES)
    with pytest.raises(Malformed):
        parse_request_object(b"a" * (req.MAX_REQUEST_BYTES + 1), CLIENT_ID)


@pytest.mark.parametrize(
    "token",
    [
        {f"q{number}": [{}] * 33 for number in range(2)},
        {"q": [{"verifiableCredential": [{}] * 33}, {"verifiableCredential": [{}] * 33}]},
    ],
)
def test_an_answer_holds_no_more_than_can_be_judged_in_one_go(token: Any) -> None:
    with pytest.raises(Malformed, match="64"):
        parse_response({"vp_token": json.dumps(token)})
