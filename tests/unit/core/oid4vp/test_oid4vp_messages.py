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
from node.core.oid4vp import request as req
from node.core.oid4vp.dcql import OPEN_BADGE_TYPES, parse_dcql
from node.core.oid4vp.request import (
    AuthorizationRequest,
    ClientMetadata,
    RequestReference,
    check_formats,
    client_id_of,
    encode_link,
    encode_request_object,
    error_code_of,
    parse_link,
    parse_request,
    parse_request_object,
    vp_formats,
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
    assert error_code_of(caught.value) == code


def test_a_request_that_waives_holder_binding_needs_a_state() -> None:
    values = REQUEST.to_json()
    values["dcql_query"]["credentials"][0]["require_cryptographic_holder_binding"] = False
    assert parse_request(values).state == REQUEST.state
    del values["state"]
    with pytest.raises(Refused, match="state"):
        parse_request(values)


def test_formats_that_are_not_known_are_refused() -> None:
    check_formats(REQUEST, "eddsa-jcs-2022")
    with pytest.raises(Refused) as caught:
        check_formats(REQUEST, "bbs-2023")
    assert caught.value.code == "vp_formats_not_supported"


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
        ({"vp_token": '{"badge": ["eyJ"]}'}, ("vp_token", "badge")),
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
        st.sampled_from(["vp_token", "state", "bonafides_bundles", "error"]), st.text(max_size=40)
    )
)
def test_the_parser_of_responses_raises_malformed_and_nothing_else(form: dict[str, str]) -> None:
    with contextlib.suppress(Malformed):
        parse_response(form)


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
