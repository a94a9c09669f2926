"""Messages of OpenID4VCI 1.0: what is written is read again, what breaks a rule is refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.dataintegrity.bbs_binding import Binding
from node.core.errors import BonafidesError, Malformed, NotVerified, Refused, Unavailable
from node.core.oid4vci.credential_request import (
    CredentialRequest,
    Notification,
    NotificationEvent,
    parse_credential_request,
    parse_deferred_request,
    parse_notification,
)
from node.core.oid4vci.credential_response import Deferred, Issued, Item, parse_credential_response
from node.core.oid4vci.errors import parse_error
from node.core.oid4vci.metadata import (
    COMMITMENT,
    CredentialConfiguration,
    IssuerMetadata,
    ServerMetadata,
    issuer_metadata_url,
    parse_issuer_metadata,
    parse_server_metadata,
    server_metadata_url,
)
from node.core.oid4vci.offer import (
    PRE_AUTHORIZED_CODE_GRANT,
    CredentialOffer,
    OfferReference,
    TxCode,
    offer_link,
    parse_offer,
    parse_offer_link,
)
from node.core.oid4vci.token import (
    TokenRequest,
    TokenResponse,
    parse_nonce_response,
    parse_token_request,
    parse_token_response,
)

ISSUER = "https://node.example/hall"
# The example of section 4.1.1, with both grants.
OFFER: dict[str, Any] = {
    "credential_issuer": "https://node.example",
    "credential_configuration_ids": ["badge_ldp"],
    "grants": {
        PRE_AUTHORIZED_CODE_GRANT: {
            "pre-authorized_code": "oaKazRN8I0IbtZ0C7JuMn5",
            "tx_code": {"length": 6, "input_mode": "numeric", "description": "Code sent to your e-mail"},
        },
        "authorization_code": {"issuer_state": "eyJhbGciOi"},
    },
}
METADATA: dict[str, Any] = {
    "credential_issuer": ISSUER,
    "credential_endpoint": f"{ISSUER}/credential",
    "credential_configurations_supported": {},
}


class TestOffer:
    def test_the_example_is_read(self) -> None:
        offer = parse_offer(OFFER)
        assert offer.pre_authorized_code == "oaKazRN8I0IbtZ0C7JuMn5"
        assert offer.tx_code == TxCode(6, "numeric", "Code sent to your e-mail")

    def test_what_is_written_is_read(self) -> None:
        offer = CredentialOffer(ISSUER, ("a", "b"), "code", TxCode(4), "https://other.example")
        assert parse_offer(offer.to_json()) == offer

    def test_an_empty_tx_code_still_asks_for_one(self) -> None:
        body = {**OFFER, "grants": {PRE_AUTHORIZED_CODE_GRANT: {"pre-authorized_code": "c", "tx_code": {}}}}
        assert parse_offer(body).tx_code == TxCode()

    def test_without_grants_there_is_no_code(self) -> None:
        body = {name: value for name, value in OFFER.items() if name != "grants"}
        assert parse_offer(body).pre_authorized_code is None

    @pytest.mark.parametrize(
        "change",
        [
            {"credential_issuer": None},
            {"credential_issuer": "node.example"},
            {"credential_issuer": "https://node.example?x"},
            {"credential_issuer": "https://user@node.example"},
            {"credential_configuration_ids": []},
            {"credential_configuration_ids": ["a", "a"]},
            {"credential_configuration_ids": [1]},
            {"grants": []},
            {"grants": {PRE_AUTHORIZED_CODE_GRANT: {}}},
            {"grants": {PRE_AUTHORIZED_CODE_GRANT: {"pre-authorized_code": "c", "tx_code": {"length": 0}}}},
            {
                "grants": {
                    PRE_AUTHORIZED_CODE_GRANT: {
                        "pre-authorized_code": "c",
                        "tx_code": {"input_mode": "voice"},
                    }
                }
            },
            {
                "grants": {
                    PRE_AUTHORIZED_CODE_GRANT: {
                        "pre-authorized_code": "c",
                        "tx_code": {"description": "x" * 301},
                    }
                }
            },
        ],
    )
    def test_one_rule_broken(self, change: dict[str, Any]) -> None:
        with pytest.raises(Malformed):
            parse_offer(OFFER | change)

    def test_an_offer_of_an_old_draft_is_named_as_such(self) -> None:
        with pytest.raises(Malformed, match="draft"):
            parse_offer({"credential_issuer": ISSUER, "credentials": ["x"]})


class TestLinks:
    def test_a_link_by_reference(self) -> None:
        url = "https://node.example/offers/abc?x=1&y=2"
        link = offer_link(url)
        assert link.startswith("openid-credential-offer://?credential_offer_uri=https%3A%2F%2F")
        assert parse_offer_link(link) == OfferReference(url)

    def test_a_link_by_value(self) -> None:
        link = (
            "haip-vci://?credential_offer=%7B%22credential_issuer%22%3A%22https%3A%2F%2Fa.example%22%2C"
            "%22credential_configuration_ids%22%3A%5B%22b%22%5D%7D"
        )
        assert parse_offer_link(link) == CredentialOffer("https://a.example", ("b",))

    def test_a_plain_address_is_where_the_offer_stands(self) -> None:
        assert parse_offer_link("https://a.example/offers/x") == OfferReference("https://a.example/offers/x")

    @pytest.mark.parametrize(
        "link",
        [
            "",
            "openid-credential-offer://",
            "openid-credential-offer://?credential_offer=%7B%7D&credential_offer_uri=https%3A%2F%2Fa.example",
            "openid-credential-offer://?credential_offer_uri=https://a.example&credential_offer_uri=https://b.example",
            "openid-credential-offer://?credential_offer_uri=file%3A%2F%2F%2Fetc%2Fpasswd",
            "openid-credential-offer://?credential_offer=%7B",
            "https://[broken",
            "x" * 40_000,
        ],
    )
    def test_other_links_are_malformed(self, link: str) -> None:
        with pytest.raises(Malformed):
            parse_offer_link(link)


class TestMetadata:
    @pytest.mark.parametrize(
        ("issuer", "expected"),
        [
            ("https://a.example", "https://a.example/.well-known/openid-credential-issuer"),
            ("https://a.example/", "https://a.example/.well-known/openid-credential-issuer"),
            ("https://a.example/t", "https://a.example/.well-known/openid-credential-issuer/t"),
            ("https://a.example:8443/t/u", "https://a.example:8443/.well-known/openid-credential-issuer/t/u"),
        ],
    )
    def test_the_well_known_path_stands_between_host_and_path(self, issuer: str, expected: str) -> None:
        assert issuer_metadata_url(issuer) == expected
        assert server_metadata_url(issuer) == expected.replace(
            "openid-credential-issuer", "oauth-authorization-server"
        )

    def test_what_is_written_is_read(self) -> None:
        configuration = CredentialConfiguration(
            "badge",
            "ldp_vc",
            ("https://c.example",),
            ("T",),
            ("did:key",),
            {"jwt": ("EdDSA",)},
            ("s",),
            "Badge",
        )
        metadata = IssuerMetadata(
            ISSUER,
            f"{ISSUER}/c",
            {"badge": configuration},
            (ISSUER,),
            f"{ISSUER}/n",
            f"{ISSUER}/d",
            f"{ISSUER}/o",
            f"{ISSUER}/b",
            f"{ISSUER}/p",
            "School",
        )
        read = parse_issuer_metadata(metadata.to_json(), ISSUER)
        assert read.to_json() | {"credential_configurations_supported": {}} == metadata.to_json() | {
            "credential_configurations_supported": {}
        }
        assert dict(read.configurations["badge"].proof_types) == {"jwt": ("EdDSA",)}
        assert read.configurations["badge"].display_name == "Badge"
        server = ServerMetadata(ISSUER, f"{ISSUER}/t", anonymous_access=True)
        assert parse_server_metadata(server.to_json(), ISSUER) == server

    @pytest.mark.parametrize(
        ("form", "expected"),
        [
            ("ldp_vc", {"credential_definition": {"@context": ["https://c.example"], "type": ["T"]}}),
            ("jwt_vc_json", {"credential_definition": {"type": ["T"]}}),
            ("vc+sd-jwt", {"credential_definition": {"@context": ["https://c.example"], "type": ["T"]}}),
            ("vc+cose", {"credential_definition": {"@context": ["https://c.example"], "type": ["T"]}}),
            ("dc+sd-jwt", {"vct": "https://c.example/vct"}),
        ],
    )
    def test_each_format_has_its_own_parameters(self, form: str, expected: dict[str, Any]) -> None:
        configuration = CredentialConfiguration(
            "badge",
            form,
            ("https://c.example",),
            ("T",),
            signing_algorithms=("ES256",),
            vct="https://c.example/vct",
        )
        body = configuration.to_json()
        common = {"format": form, "scope": "badge", "credential_signing_alg_values_supported": ["ES256"]}
        assert body == common | expected
        metadata = METADATA | {"credential_configurations_supported": {"badge": body}}
        read = parse_issuer_metadata(metadata, ISSUER).configurations["badge"]
        assert read.to_json() == body
        assert read.signing_algorithms == ("ES256",)

    def test_algorithms_that_are_numbers_are_passed_over(self) -> None:
        body = {"format": "mso_mdoc", "credential_signing_alg_values_supported": [-7, "ES256"]}
        metadata = METADATA | {"credential_configurations_supported": {"other": body}}
        read = parse_issuer_metadata(metadata, ISSUER)
        assert read.configurations["other"].signing_algorithms == ("ES256",)

    @pytest.mark.parametrize("binding", Binding)
    def test_what_a_credential_is_bound_to_is_written_and_read(self, binding: Binding) -> None:
        body = CredentialConfiguration("badge", "ldp_vc", types=("T",), binding=binding).to_json()
        assert body[COMMITMENT] == binding
        metadata = METADATA | {"credential_configurations_supported": {"badge": body}}
        assert parse_issuer_metadata(metadata, ISSUER).configurations["badge"].binding is binding

    @pytest.mark.parametrize("value", ["of a later release", "", 1, None, {}, ["pseudonym"]], ids=str)
    def test_a_binding_that_is_not_known_is_passed_over(self, value: Any) -> None:
        body = {**CredentialConfiguration("badge", "ldp_vc").to_json(), COMMITMENT: value}
        metadata = METADATA | {"credential_configurations_supported": {"badge": body}}
        assert parse_issuer_metadata(metadata, ISSUER).configurations["badge"].binding is None

    def test_binding_and_proof_types_are_both_there_or_both_absent(self) -> None:
        body = CredentialConfiguration("badge", "ldp_vc").to_json()
        assert not {"cryptographic_binding_methods_supported", "proof_types_supported"} & body.keys()

    def test_metadata_of_another_issuer_are_not_believed(self) -> None:
        for parse in (parse_issuer_metadata, parse_server_metadata):
            with pytest.raises(NotVerified):
                parse({**METADATA, "issuer": ISSUER}, ISSUER + "/")

    @pytest.mark.parametrize(
        "change",
        [
            {"credential_endpoint": None},
            {"nonce_endpoint": "javascript:alert(1)"},
            {"authorization_servers": "https://a.example"},
            {"authorization_servers": [1]},
            {"credential_configurations_supported": []},
            {"credential_configurations_supported": {"a": {}}},
            {"credential_configurations_supported": {"a": {"format": "ldp_vc", "credential_definition": 1}}},
            {"credential_configurations_supported": {"a": {"format": "dc+sd-jwt"}}},
            {
                "credential_configurations_supported": {
                    "a": {"format": "x", "proof_types_supported": {"jwt": 1}}
                }
            },
        ],
    )
    def test_one_rule_broken(self, change: dict[str, Any]) -> None:
        with pytest.raises(Malformed):
            parse_issuer_metadata(METADATA | change, ISSUER)


class TestTokens:
    def test_what_is_written_is_read(self) -> None:
        request = TokenRequest("code", "1234", ("a", "b"))
        assert parse_token_request(request.to_form()) == request
        response = TokenResponse("t0ken", 60, {"a": ("x",)})
        assert parse_token_response(response.to_json()) == response

    def test_a_token_response_has_no_nonce(self) -> None:
        assert "c_nonce" not in TokenResponse("t", 1, {}).to_json()

    @pytest.mark.parametrize(
        "change",
        [
            {"access_token": None},
            {"access_token": "with space"},
            {"access_token": "x\r\nEvil: 1"},
            {"token_type": "DPoP"},
            {"expires_in": "60"},
            {"expires_in": -1},
            {"authorization_details": [{"credential_configuration_id": "a", "credential_identifiers": []}]},
        ],
    )
    def test_responses_that_break_a_rule(self, change: dict[str, Any]) -> None:
        with pytest.raises(Malformed):
            parse_token_response({"access_token": "t", "token_type": "bearer"} | change)

    def test_a_nonce_is_a_text(self) -> None:
        assert parse_nonce_response({"c_nonce": "n"}) == "n"
        for body in ({}, {"c_nonce": ""}, {"c_nonce": 1}, []):
            with pytest.raises(Malformed):
                parse_nonce_response(body)


class TestCredentials:
    @pytest.mark.parametrize("value", ["", 1, [], "a b", "AA==", "A", "A" * 353], ids=str)
    def test_a_commitment_that_is_no_base64url_or_too_long_is_refused(self, value: Any) -> None:
        with pytest.raises(Refused, match=COMMITMENT) as caught:
            parse_credential_request({"credential_configuration_id": "badge", COMMITMENT: value})
        assert caught.value.code == "invalid_credential_request"

    def test_what_is_written_is_read(self) -> None:
        for request in (
            CredentialRequest("badge", None, "jwt", ("token",)),
            CredentialRequest(None, "badge-1"),
            CredentialRequest("badge", None, "jwt", ("token",), bytes(112)),
            CredentialRequest("badge", commitment=bytes(range(112))),
        ):
            assert parse_credential_request(request.to_json()) == request
        notification = Notification("id", NotificationEvent.DELETED, "words")
        assert parse_notification(notification.to_json()) == notification
        issued = Issued((Item({"a": 1}, {"b": 2}), Item("token")), "n")
        assert parse_credential_response(200, issued.to_json()) == issued
        deferred = Deferred("t", 5)
        assert parse_credential_response(202, deferred.to_json()) == deferred

    @pytest.mark.parametrize(
        ("status", "body"),
        [
            (200, []),
            (200, {}),
            (200, {"credential": {}}),
            (200, {"credentials": []}),
            (200, {"credentials": [1]}),
            (200, {"credentials": [{"credential": 1}]}),
            (200, {"credentials": [{"credential": {"a": 1}, "bonafides_bundle": "x"}]}),
            (200, {"credentials": [{"credential": "a"}], "notification_id": ""}),
            (200, {"transaction_id": "t", "interval": 1}),
            (202, {"credentials": [{"credential": "a"}]}),
            (202, {"transaction_id": "t"}),
            (202, {"transaction_id": "t", "interval": 0}),
            (202, {"transaction_id": "", "interval": 1}),
            (202, {"transaction_id": "t", "interval": 1, "credentials": []}),
        ],
    )
    def test_responses_that_break_a_rule(self, status: int, body: Any) -> None:
        with pytest.raises(Malformed):
            parse_credential_response(status, body)

    def test_an_error_keeps_the_servers_code_and_shows_no_control_characters(self) -> None:
        body = b'{"error":"invalid_nonce","error_description":"a\\u001b[31mb"}'
        error = parse_error(400, body, asked="a.example")
        assert isinstance(error, Refused)
        assert error.code == "invalid_nonce"
        assert error.detail.isprintable()

    @pytest.mark.parametrize(("status", "body"), [(500, b'{"error":"x"}'), (429, b"{}"), (404, b"<html>")])
    def test_a_servers_own_fault_may_pass(self, status: int, body: bytes) -> None:
        assert isinstance(parse_error(status, body, asked="a.example"), Unavailable)


NAMES = st.sampled_from(
    [
        *OFFER,
        *METADATA,
        *("access_token", "token_type", "expires_in", "authorization_details", "c_nonce", "proofs", "jwt"),
        *("credentials", "credential", "transaction_id", "interval", "notification_id", "event", "grants"),
        *("credential_identifier", "credential_configuration_id", "grant_type", "pre-authorized_code"),
        *("tx_code", "format", "type", "credential_definition", "@context", PRE_AUTHORIZED_CODE_GRANT),
        COMMITMENT,
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from([ISSUER, "bearer"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=8,
)
PARSERS: list[Callable[[Any], Any]] = [
    parse_offer,
    parse_token_response,
    parse_nonce_response,
    parse_credential_request,
    parse_deferred_request,
    parse_notification,
    lambda body: parse_issuer_metadata(body, ISSUER),
    lambda body: parse_server_metadata(body, ISSUER),
    lambda body: parse_credential_response(200, body),
    lambda body: parse_credential_response(202, body),
]


@settings(max_examples=150, deadline=None)
@given(VALUES)
def test_parsers_raise_our_errors_alone(value: Any) -> None:
    for parse in PARSERS:
        for body in (value, {**OFFER, **METADATA, **value} if isinstance(value, dict) else value):
            with contextlib.suppress(BonafidesError):
                parse(body)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(NAMES, st.text(max_size=12), max_size=5), st.text(max_size=60))
def test_forms_and_links_too(form: dict[str, str], link: str) -> None:
    for body in (form, {"grant_type": PRE_AUTHORIZED_CODE_GRANT, "pre-authorized_code": "c", **form}):
        with contextlib.suppress(Refused):
            parse_token_request(body)
    for text in (link, f"openid-credential-offer://?credential_offer={link}", f"https://{link}"):
        with contextlib.suppress(Malformed):
            parse_offer_link(text)
