"""Tokens told apart and read: vc+jwt, vp+jwt, VC-JWT of version 1.1 and the JWT profile of Open Badges."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from node.core.encoding import encode_base64url
from node.core.envelope import Envelope, enveloped, open_data_url, open_enveloped, read_envelope
from node.core.errors import Malformed, NotVerified
from node.core.jose.jws import algorithm_of, prepare_jws
from node.core.jose.vc_jwt import prepare_vc_jwt, prepare_vp_jwt
from node.core.keys import KeyKind
from node.keystore import signer_of

ISSUER = "did:example:school"
KID = f"{ISSUER}#key-1"
SIGNER = signer_of(KeyKind.ED25519, bytes(range(32)))
OTHER = signer_of(KeyKind.ED25519, bytes(32))
P256 = signer_of(KeyKind.P256, bytes(range(32)))
CREDENTIAL: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "id": "urn:uuid:58172aac-d8ba-11ed-83dd-0b3aef56cc33",
    "type": ["VerifiableCredential"],
    "issuer": {"id": ISSUER, "name": "School"},
    "validFrom": "2026-01-01T00:00:00Z",
    "credentialSubject": {"id": "did:example:learner"},
}
PRESENTATION: dict[str, Any] = {
    "@context": ["https://www.w3.org/ns/credentials/v2"],
    "type": ["VerifiablePresentation"],
    "holder": "did:example:learner",
}
OLD: dict[str, Any] = {
    "@context": ["https://www.w3.org/2018/credentials/v1"],
    "type": ["VerifiableCredential"],
    "credentialSubject": {"name": "Ada"},
}
BADGE = CREDENTIAL | {"type": ["VerifiableCredential", "OpenBadgeCredential"]}
NOW = 1767225600  # 2026-01-01T00:00:00Z
BADGE_CLAIMS = {"iss": ISSUER, "jti": CREDENTIAL["id"], "nbf": NOW, "sub": "did:example:learner"}


def signed(payload: dict[str, Any], **header: Any) -> str:
    prepared = prepare_jws({"alg": algorithm_of(SIGNER.public_key.kind), **header}, payload)
    return prepared.finish(SIGNER.sign(prepared.message))


def read(token: str) -> Envelope:
    envelope = read_envelope(token)
    assert envelope is not None
    return envelope


class TestVcJwt:
    def token(self, **claims: Any) -> str:
        return signed(CREDENTIAL | claims, typ="vc+jwt", cty="vc", kid=KID)

    def test_what_is_prepared_is_read_and_verifies(self) -> None:
        prepared = prepare_vc_jwt(
            CREDENTIAL, SIGNER.public_key, KID, issued_at=datetime(2026, 1, 2, tzinfo=UTC)
        )
        token = prepared.finish(SIGNER.sign(prepared.message))
        envelope = read(token)
        assert (envelope.media_type, envelope.document) == ("application/vc+jwt", CREDENTIAL)
        assert (envelope.verification_method, envelope.algorithm) == (KID, "EdDSA")
        assert envelope.claims.issued_at == datetime(2026, 1, 2, tzinfo=UTC)
        assert envelope.digest_input == token.encode()
        assert not envelope.hidden
        envelope.verify(SIGNER.public_key)

    def test_another_key_does_not_verify_it(self) -> None:
        for key in (OTHER.public_key, P256.public_key):
            with pytest.raises(NotVerified):
                read(self.token()).verify(key)

    def test_claims_of_the_token_are_not_members_of_the_document(self) -> None:
        envelope = read(self.token(iss=ISSUER, sub="did:example:learner", jti=CREDENTIAL["id"], exp=NOW))
        assert envelope.document == CREDENTIAL
        assert envelope.signature_expires == datetime(2026, 1, 1, tzinfo=UTC)

    @pytest.mark.parametrize(
        "claims",
        [
            pytest.param({"iss": "did:example:other"}, id="another issuer"),
            pytest.param({"jti": "urn:other"}, id="another id"),
            pytest.param({"sub": "did:example:other"}, id="another subject"),
            pytest.param({"vc": {}}, id="a vc claim"),
            pytest.param({"vp": {}}, id="a vp claim"),
            pytest.param({"exp": "2026-01-01T00:00:00Z"}, id="exp that is no number"),
            pytest.param({"nbf": True}, id="nbf that is true"),
            pytest.param({"nbf": 10**15}, id="nbf beyond the calendar"),
            pytest.param({"iss": None}, id="iss that is null"),
            pytest.param({"aud": [1]}, id="aud of numbers"),
        ],
    )
    def test_refused_with(self, claims: dict[str, Any]) -> None:
        with pytest.raises(Malformed):
            read(self.token(**claims))

    def test_a_credential_with_the_members_of_a_token_is_not_prepared(self) -> None:
        for name in ("vc", "iss", "status"):
            with pytest.raises(Malformed):
                prepare_vc_jwt({**CREDENTIAL, name: "x"}, SIGNER.public_key, KID)

    @pytest.mark.parametrize("typ", ["vc+ld+jwt", "openid4vci-proof+jwt", "kb+jwt", "statuslist+jwt", 7])
    def test_a_token_of_another_type_is_refused(self, typ: Any) -> None:
        with pytest.raises(Malformed):
            read(signed(CREDENTIAL, typ=typ, kid=KID))

    @pytest.mark.parametrize(
        ("kid", "claims", "method"),
        [
            pytest.param(KID, {}, KID, id="absolute"),
            pytest.param("https://school.example/keys/1", {}, "https://school.example/keys/1", id="https"),
            pytest.param("#key-1", {"iss": ISSUER}, KID, id="a fragment of iss"),
            pytest.param("key-1", {"iss": ISSUER}, KID, id="a name under iss"),
            pytest.param("key-1", {}, None, id="a name under nothing"),
            pytest.param(None, {"iss": ISSUER}, None, id="none"),
        ],
    )
    def test_the_verification_method_is_kid(
        self, kid: str | None, claims: dict[str, Any], method: str | None
    ) -> None:
        header = {} if kid is None else {"kid": kid}
        assert read(signed(CREDENTIAL | claims, typ="vc+jwt", **header)).verification_method == method

    def test_a_key_in_the_header_is_told(self) -> None:
        jwk = SIGNER.public_key.to_jwk()
        assert read(signed(CREDENTIAL, typ="vc+jwt", jwk=jwk)).header_key == SIGNER.public_key
        assert read(signed(CREDENTIAL, typ="vc+jwt", jwk={"kty": "oct"})).header_key is None

    @pytest.mark.parametrize("data", ["{}", "", "a.b", b"\x89PNG", b"\xff\xfe", "eyJ.a.b c", "<svg/>"])
    def test_what_is_no_token_is_left_to_others(self, data: Any) -> None:
        assert read_envelope(data) is None

    def test_white_space_around_a_file_is_dropped(self) -> None:
        token = self.token()
        assert read(f"\n{token}\r\n").token == token


class TestVpJwt:
    def test_what_is_prepared_is_read_and_verifies(self) -> None:
        prepared = prepare_vp_jwt(
            PRESENTATION,
            SIGNER.public_key,
            KID,
            audience="https://verifier.example",
            nonce="n-1",
            expires=datetime(2026, 1, 1, tzinfo=UTC),
        )
        envelope = read(prepared.finish(SIGNER.sign(prepared.message)))
        assert (envelope.media_type, envelope.document) == ("application/vp+jwt", PRESENTATION)
        assert envelope.presents
        assert (envelope.claims.audience, envelope.claims.nonce) == (("https://verifier.example",), "n-1")
        envelope.verify(SIGNER.public_key)

    def test_iss_is_the_holder(self) -> None:
        assert read(signed(PRESENTATION | {"iss": "did:example:learner"}, typ="vp+jwt"))
        with pytest.raises(Malformed):
            read(signed(PRESENTATION | {"iss": ISSUER}, typ="vp+jwt"))


class TestVersion11:
    def test_claims_set_the_members_that_they_stand_for(self) -> None:
        claims = {
            "iss": ISSUER,
            "jti": "urn:uuid:1",
            "sub": "did:example:learner",
            "nbf": NOW,
            "exp": NOW + 60,
        }
        envelope = read(signed({"vc": OLD, **claims}, typ="JWT"))
        assert envelope.media_type == "application/jwt"
        assert envelope.document == OLD | {
            "id": "urn:uuid:1",
            "issuer": ISSUER,
            "issuanceDate": "2026-01-01T00:00:00Z",
            "expirationDate": "2026-01-01T00:01:00Z",
            "credentialSubject": {"name": "Ada", "id": "did:example:learner"},
        }
        assert envelope.signature_expires is None

    def test_the_names_of_version_2_are_set_where_the_document_is_of_version_2(self) -> None:
        envelope = read(signed({"vc": CREDENTIAL, "exp": NOW}))
        assert envelope.document["validUntil"] == "2026-01-01T00:00:00Z"

    def test_the_issuer_keeps_its_other_members(self) -> None:
        old = OLD | {"issuer": {"name": "School"}}
        assert read(signed({"vc": old, "iss": ISSUER})).document["issuer"] == {"name": "School", "id": ISSUER}

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param({"vc": OLD | {"issuer": "did:example:other"}, "iss": ISSUER}, id="another issuer"),
            pytest.param({"vc": OLD | {"id": "urn:b"}, "jti": "urn:a"}, id="another id"),
            pytest.param(
                {"vc": OLD | {"expirationDate": "2030-01-01T00:00:00Z"}, "exp": NOW}, id="another expiry"
            ),
            pytest.param({"vc": OLD | {"credentialSubject": {"id": "urn:b"}}, "sub": "urn:a"}, id="subject"),
            pytest.param({"vc": OLD | {"credentialSubject": [{}, {}]}, "sub": "urn:a"}, id="two subjects"),
            pytest.param({"vc": OLD, "vp": {}}, id="both"),
            pytest.param({"vc": "text"}, id="a text"),
        ],
    )
    def test_a_claim_that_differs_from_its_member_is_refused(self, payload: dict[str, Any]) -> None:
        with pytest.raises(Malformed):
            read(signed(payload, typ="JWT"))

    def test_a_presentation_is_by_its_iss(self) -> None:
        envelope = read(signed({"vp": {"type": ["VerifiablePresentation"]}, "iss": ISSUER, "nonce": "n"}))
        assert envelope.presents
        assert envelope.document["holder"] == ISSUER


class TestBadges:
    def test_a_badge_repeats_five_members_as_claims(self) -> None:
        envelope = read(signed(BADGE | BADGE_CLAIMS, kid="https://school.example/keys/1"))
        assert (envelope.media_type, envelope.document) == ("application/vc+jwt", BADGE)

    @pytest.mark.parametrize("claim", ["iss", "jti", "nbf"])
    def test_a_badge_lacks(self, claim: str) -> None:
        claims = {name: value for name, value in BADGE_CLAIMS.items() if name != claim}
        with pytest.raises(Malformed):
            read(signed(BADGE | claims))

    @pytest.mark.parametrize(
        "changed",
        [
            {"iss": "urn:b"},
            {"jti": "urn:b"},
            {"nbf": NOW + 1},
            {"sub": "urn:b"},
            {"exp": NOW},
            {"validUntil": "2030-01-01T00:00:00Z"},
            {"validUntil": "2030-01-01T00:00:00Z", "exp": NOW},
        ],
    )
    def test_a_badge_whose_claim_is_not_its_member(self, changed: dict[str, Any]) -> None:
        with pytest.raises(Malformed):
            read(signed(BADGE | BADGE_CLAIMS | changed))


class TestEnvelopes:
    def test_an_enveloped_credential_opens(self) -> None:
        envelope = read(signed(CREDENTIAL, typ="vc+jwt", kid=KID))
        assert open_enveloped(enveloped(envelope)).document == CREDENTIAL

    def test_an_enveloped_presentation_opens(self) -> None:
        envelope = read(signed(PRESENTATION, typ="vp+jwt", kid=KID))
        wrapped = enveloped(envelope)
        assert wrapped["type"] == "EnvelopedVerifiablePresentation"
        assert open_enveloped(wrapped).document == PRESENTATION
        with pytest.raises(Malformed):
            open_enveloped({**wrapped, "type": "EnvelopedVerifiableCredential"})

    @pytest.mark.parametrize(
        "url",
        [
            pytest.param("data:application/vp+jwt,{}", id="the media type of another form"),
            pytest.param("data:application/vc+jwt;base64,{}", id="base64"),
            pytest.param("data:text/plain,{}", id="no media type of ours"),
            pytest.param("data:application/vc+jwt,%20{}", id="escapes"),
            pytest.param("https://school.example/{}", id="no data URL"),
            pytest.param("data:application/vc+jwt,", id="nothing"),
        ],
    )
    def test_refused(self, url: str) -> None:
        with pytest.raises(Malformed):
            open_data_url(url.format(signed(CREDENTIAL, typ="vc+jwt")))


def test_a_payload_that_is_not_an_object_is_refused() -> None:
    header = encode_base64url(b'{"alg":"EdDSA","typ":"vc+jwt"}')
    with pytest.raises(Malformed):
        read_envelope(f"{header}.{encode_base64url(b'[]')}.AAAA")
