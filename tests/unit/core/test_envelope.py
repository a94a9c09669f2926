"""Tokens told apart and read: vc+jwt, vp+jwt, VC-JWT of version 1.1 and the JWT profile of Open Badges."""

from __future__ import annotations

import contextlib
import json
import string
from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

import pytest

from node.core.cbor import encode_cbor
from node.core.cose import prepare_cose
from node.core.encoding import encode_base64url
from node.core.envelope import (
    Envelope,
    enveloped,
    open_data_url,
    open_enveloped,
    read_envelope,
    read_envelope_json,
)
from node.core.errors import Malformed, NotVerified
from node.core.jose.jws import algorithm_of, prepare_jws
from node.core.jose.sd_jwt import Path, prepare_key_binding, prepare_sd_jwt, select
from node.core.jose.sd_jwt_vc import (
    ALWAYS_SHOWN,
    NEVER_WITHHELD,
    prepare_sd_jwt_vc,
    prepare_vc_sd_jwt,
)
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
FLAT: dict[str, Any] = {
    "vct": "https://credentials.example/badge",
    "iss": ISSUER,
    "sub": "did:example:learner",
    "given_name": "Ada",
    "status": {"status_list": {"idx": 1, "uri": "https://school.example/status/1"}},
}
SALTS = [bytes([index]) * 16 for index in range(16)]
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

    def test_it_has_one_spelling_and_so_one_digest(self) -> None:
        token = self.token()
        letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
        stray = token[:-1] + letters[letters.index(token[-1]) ^ 1]
        for spelled in (stray, token + "=", token + "==", token.replace(".", "=.", 1), token + "."):
            with contextlib.suppress(Malformed):
                assert read_envelope(spelled) is None

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

    @pytest.mark.parametrize("data", ["{}", "", "a.b.c", b"\x89PNG", b"\xff\xfe", "<svg/>", "eyJ"])
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


class TestVcSdJwt:
    NAME: Path = ("credentialSubject", "id")

    def token(self, credential: dict[str, Any] = CREDENTIAL, paths: tuple[Path, ...] = (NAME,)) -> str:
        prepared = prepare_vc_sd_jwt(
            credential,
            SIGNER.public_key,
            KID,
            paths,
            salts=SALTS[: len(paths)],
            holder_key=OTHER.public_key,
        )
        return prepared.finish(SIGNER.sign(prepared.message))

    def test_what_is_prepared_is_read_and_verifies(self) -> None:
        envelope = read(self.token())
        assert (envelope.media_type, envelope.document) == ("application/vc+sd-jwt", CREDENTIAL)
        assert (envelope.holder_key, envelope.key_binding) == (OTHER.public_key, None)
        envelope.verify(SIGNER.public_key)
        with pytest.raises(NotVerified):
            envelope.verify(OTHER.public_key)

    def test_what_is_shown_has_the_digest_of_the_whole(self) -> None:
        shown = read(select(self.token(), []))
        assert shown.document["credentialSubject"] == {}
        assert shown.digest_input == read(self.token()).digest_input == self.token().split("~")[0].encode()

    def test_what_is_withheld_at_the_top_is_told(self) -> None:
        credential = CREDENTIAL | {"description": "a badge"}
        token = self.token(credential, (("description",),))
        assert not read(token).hidden
        assert read(select(token, [])).hidden
        assert not read(select(self.token(), [])).hidden

    def test_a_key_binding_is_for_a_verifier_and_its_nonce(self) -> None:
        shown = select(self.token(), [])
        at = datetime(2026, 1, 2, tzinfo=UTC)
        prepared = prepare_key_binding(shown, OTHER.public_key, audience="v", nonce="n", issued_at=at)
        envelope = read(shown + prepared.finish(OTHER.sign(prepared.message)))
        binding = envelope.key_binding
        assert binding is not None
        assert envelope.holder_key is not None
        assert (binding.audience, binding.nonce, binding.issued_at) == ("v", "n", at)
        binding.verify(envelope.holder_key)
        with pytest.raises(NotVerified):
            binding.verify(SIGNER.public_key)
        assert envelope.digest_input == read(shown).digest_input

    @pytest.mark.parametrize("name", sorted(ALWAYS_SHOWN))
    def test_ours_always_show(self, name: str) -> None:
        with pytest.raises(Malformed):
            self.token(CREDENTIAL | {name: {"a": 1}}, ((name, "a"),))
        with pytest.raises(Malformed):
            self.token(CREDENTIAL | {name: {"a": 1}}, ((name,),))

    def test_the_holder_may_be_named_by_a_url(self) -> None:
        token = signed(CREDENTIAL | {"cnf": {"kid": "did:example:learner#1"}}, typ="vc+jwt")
        assert read(token).holder_method == "did:example:learner#1"

    @pytest.mark.parametrize("cnf", ["x", {"jwk": "x"}, {"kid": 1}])
    def test_a_confirmation_of_another_shape_is_refused(self, cnf: Any) -> None:
        with pytest.raises(Malformed):
            read(signed(CREDENTIAL | {"cnf": cnf}, typ="vc+jwt"))

    def test_a_holder_key_of_an_unknown_kind_is_none(self) -> None:
        assert read(signed(CREDENTIAL | {"cnf": {"jwk": {"kty": "oct"}}}, typ="vc+jwt")).holder_key is None

    @pytest.mark.parametrize("typ", ["vc+jwt", "example+sd-jwt", "kb+jwt"])
    def test_an_sd_jwt_of_another_type_is_refused(self, typ: str) -> None:
        with pytest.raises(Malformed):
            read(signed(CREDENTIAL, typ=typ) + "~")

    def test_a_token_of_this_type_without_a_tilde_is_refused(self) -> None:
        with pytest.raises(Malformed):
            read(signed(CREDENTIAL, typ="vc+sd-jwt"))

    def test_it_is_read_from_json_too(self) -> None:
        token = self.token()
        jws, disclosure, _ = token.split("~")
        protected, payload, signature = jws.split(".")
        one = {"protected": protected, "signature": signature, "header": {"disclosures": [disclosure]}}
        envelope = read_envelope_json({"payload": payload, **one})
        assert envelope is not None
        assert (envelope.token, envelope.document) == (token, CREDENTIAL)
        assert read_envelope_json(CREDENTIAL) is None
        two = {"protected": protected, "signature": signature}
        with pytest.raises(Malformed):
            read_envelope_json({"payload": payload, "signatures": [one, two]})


class TestWhatNoHolderMayWithhold:
    """FORMATS.md section 2: a Disclosure that decides over one of these breaks conformance, shown or not."""

    def issued(self, payload: dict[str, Any], path: Path, typ: str) -> str:
        header = {"alg": "EdDSA", "typ": typ}
        prepared = prepare_sd_jwt(header, payload, [path], salts=SALTS[:1])
        return prepared.finish(SIGNER.sign(prepared.message))

    @pytest.mark.parametrize("typ", ["vc+sd-jwt", "dc+sd-jwt"])
    @pytest.mark.parametrize("name", sorted(NEVER_WITHHELD - {"vct"}))
    def test_refused(self, typ: str, name: str) -> None:
        base = CREDENTIAL if typ == "vc+sd-jwt" else FLAT
        for value, path in (("x", (name,)), ({"a": 1}, (name, "a")), ([1, 2], (name, 0))):
            token = self.issued({**base, name: value}, path, typ)
            # Where the whole member is withheld, nobody can tell: `hidden` says that there is something.
            for shown in (token, select(token, [])) if len(path) > 1 else (token,):
                with pytest.raises(Malformed, match="depends on what the holder discloses"):
                    read_envelope(shown)

    @pytest.mark.parametrize("name", ["type", "@context"])
    def test_what_a_document_is_does_not_depend_on_disclosures(self, name: str) -> None:
        several = {**CREDENTIAL, name: [*CREDENTIAL[name], "https://school.example/more"]}
        for path in ((name,), (name, 1)):
            token = self.issued(several, path, "vc+sd-jwt")
            for shown in (token, select(token, [])) if len(path) > 1 else (token,):
                with pytest.raises(Malformed, match="depends on what the holder discloses"):
                    read_envelope(shown)

    def test_of_claims_they_are_members_like_others(self) -> None:
        token = self.issued({**FLAT, "type": ["a", "b"]}, ("type", 1), "dc+sd-jwt")
        assert read(select(token, [])).document["type"] == ["a"]

    def test_that_one_of_several_subjects_is_withheld_is_seen(self) -> None:
        subjects = [{"id": "did:example:learner"}, {"id": "did:example:other"}]
        token = self.issued(
            {**CREDENTIAL, "credentialSubject": subjects}, ("credentialSubject", 1), "vc+sd-jwt"
        )
        assert read(select(token, [])).subjects_withheld
        assert not read(token).subjects_withheld
        one = self.issued(CREDENTIAL, ("credentialSubject", "id"), "vc+sd-jwt")
        assert not read(select(one, [])).subjects_withheld


class TestSdJwtVc:
    def token(self, claims: dict[str, Any] = FLAT, path: Path = ("given_name",)) -> str:
        prepared = prepare_sd_jwt_vc(
            claims, SIGNER.public_key, KID, [path], salts=SALTS[:1], holder_key=OTHER.public_key
        )
        return prepared.finish(SIGNER.sign(prepared.message))

    def test_its_document_are_its_claims(self) -> None:
        envelope = read(self.token())
        assert envelope.media_type == "application/dc+sd-jwt"
        assert envelope.document == FLAT | {"cnf": {"jwk": OTHER.public_key.to_jwk()}}
        assert (envelope.claims.issuer, envelope.verification_method) == (ISSUER, KID)
        assert envelope.hidden is False
        assert read(select(self.token(), [])).hidden is True
        envelope.verify(SIGNER.public_key)

    @pytest.mark.parametrize("header", [{}, {"typ": "JWT"}])
    def test_one_that_does_not_state_its_type_is_refused(self, header: dict[str, str]) -> None:
        with pytest.raises(Malformed, match="states its type"):
            read(signed(FLAT, **header) + "~")

    def test_its_older_name_is_told_by_vct(self) -> None:
        assert read(signed(FLAT, typ="vc+sd-jwt") + "~").media_type == "application/dc+sd-jwt"

    def test_it_names_its_type(self) -> None:
        for vct in ("", 1):
            with pytest.raises(Malformed):
                read(signed({**FLAT, "vct": vct}, typ="dc+sd-jwt") + "~")
        untyped = {name: value for name, value in FLAT.items() if name != "vct"}
        with pytest.raises(Malformed):
            read(signed(untyped, typ="dc+sd-jwt") + "~")
        with pytest.raises(Malformed):
            self.token(untyped)

    @pytest.mark.parametrize("path", [("vct",), ("status", "status_list"), ("iss",)])
    def test_ours_never_withhold(self, path: Path) -> None:
        with pytest.raises(Malformed):
            self.token(FLAT, path)

    def test_the_holder_key_is_given_apart(self) -> None:
        with pytest.raises(Malformed):
            self.token(FLAT | {"cnf": {}})


class TestVcCose:
    def token(self, document: dict[str, Any] = CREDENTIAL, media_type: str = "application/vc") -> bytes:
        prepared = prepare_cose(document, media_type, SIGNER.public_key, KID)
        return prepared.finish(SIGNER.sign(prepared.message))

    def test_what_is_prepared_is_read_and_verifies(self) -> None:
        envelope = read_envelope(self.token())
        assert envelope is not None
        assert (envelope.media_type, envelope.document) == ("application/vc+cose", CREDENTIAL)
        assert (envelope.verification_method, envelope.digest_input) == (KID, self.token())
        envelope.verify(SIGNER.public_key)
        with pytest.raises(NotVerified):
            envelope.verify(OTHER.public_key)

    def test_without_its_tag_it_has_the_same_digest(self) -> None:
        envelope = read_envelope(self.token()[1:])
        assert envelope is not None
        assert envelope.digest_input == self.token()

    def test_its_holder_is_named_as_in_a_jwt(self) -> None:
        cnf = {"cnf": {"jwk": OTHER.public_key.to_jwk()}}
        envelope = read_envelope(self.token(CREDENTIAL | cnf))
        assert envelope is not None
        assert (envelope.holder_key, envelope.document) == (OTHER.public_key, CREDENTIAL)

    def test_a_claim_in_the_headers_is_not_in_the_payload_too(self) -> None:
        def made(payload: dict[str, Any], claims: dict[int, Any]) -> bytes:
            headers = encode_cbor({1: -8, 15: claims, 16: "application/vc+cose"})
            return encode_cbor([headers, {}, json.dumps(payload).encode(), bytes(64)])

        envelope = read_envelope(made(CREDENTIAL, {1: ISSUER, 4: NOW}))
        assert envelope is not None
        assert (envelope.claims.issuer, envelope.document) == (ISSUER, CREDENTIAL)
        assert envelope.signature_expires == datetime(2026, 1, 1, tzinfo=UTC)
        with pytest.raises(Malformed):
            read_envelope(made(CREDENTIAL, {1: "did:example:other"}))
        with pytest.raises(Malformed):
            read_envelope(made(CREDENTIAL | {"exp": NOW}, {4: NOW}))

    def test_as_base64_it_is_a_text(self) -> None:
        for text in (b64encode(self.token()).decode(), b64encode(self.token()).decode().rstrip("=")):
            assert read(text + "\n").document == CREDENTIAL

    def test_a_presentation_is_told_from_a_credential(self) -> None:
        envelope = read_envelope(self.token(PRESENTATION, "application/vp"))
        assert envelope is not None
        assert envelope.presents
        with pytest.raises(Malformed):
            read_envelope(self.token(PRESENTATION))
        with pytest.raises(Malformed):
            read_envelope(self.token(media_type="application/json"))

    def test_it_is_enveloped_as_base64(self) -> None:
        envelope = read_envelope(self.token())
        assert envelope is not None
        wrapped = enveloped(envelope)
        assert open_enveloped(wrapped).token == self.token()
        with pytest.raises(Malformed):
            open_data_url(wrapped["id"].replace(";base64", ""))


@pytest.mark.parametrize(
    ("typ", "document"), [("vc+jwt", PRESENTATION), ("vp+jwt", CREDENTIAL), ("vp+sd-jwt", CREDENTIAL)]
)
def test_a_type_that_says_another_kind_of_document_is_refused(typ: str, document: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(signed(document, typ=typ) + ("~" if "sd" in typ else ""))


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

    def test_a_claim_that_is_not_there_sets_nothing(self) -> None:
        assert read(signed({"vc": OLD}, typ="JWT")).document == OLD

    def test_the_issuer_keeps_its_other_members(self) -> None:
        old = OLD | {"issuer": {"name": "School"}}
        assert read(signed({"vc": old, "iss": ISSUER})).document["issuer"] == {"name": "School", "id": ISSUER}

    @pytest.mark.parametrize(
        "payload",
        [
            pytest.param({"vc": OLD | {"issuer": "did:example:other"}, "iss": ISSUER}, id="another issuer"),
            pytest.param({"vc": OLD | {"issuer": {"id": "urn:b"}}, "iss": ISSUER}, id="another issuer's id"),
            pytest.param({"vc": OLD | {"id": "urn:b"}, "jti": "urn:a"}, id="another id"),
            pytest.param(
                {"vc": OLD | {"expirationDate": "2030-01-01T00:00:00Z"}, "exp": NOW}, id="another expiry"
            ),
            pytest.param({"vc": OLD | {"credentialSubject": {"id": "urn:b"}}, "sub": "urn:a"}, id="subject"),
            pytest.param({"vc": OLD | {"credentialSubject": [{}, {}]}, "sub": "urn:a"}, id="two subjects"),
            pytest.param({"vc": OLD, "vp": {}}, id="both"),
            pytest.param({"vc": "text"}, id="a text"),
            pytest.param({"vp": OLD}, id="a credential as vp"),
            pytest.param({"vc": {"type": ["VerifiablePresentation"]}}, id="a presentation as vc"),
        ],
    )
    def test_a_claim_that_differs_from_its_member_is_refused(self, payload: dict[str, Any]) -> None:
        with pytest.raises(Malformed):
            read(signed(payload, typ="JWT"))

    @pytest.mark.parametrize("name", ["credentialStatus", "expirationDate", "validUntil", "issuer"])
    def test_what_decides_may_repeat_what_is_in_the_document_and_not_stand_beside_it(self, name: str) -> None:
        value = {"id": "urn:s", "type": "T"} if name == "credentialStatus" else "2026-01-01T00:00:00Z"
        assert read(signed({"vc": OLD | {name: value}, name: value})).document[name] == value
        for inside in (OLD, OLD | {name: "2030-01-01T00:00:00Z"}):
            with pytest.raises(Malformed, match="beside the document"):
                read(signed({"vc": inside, name: value}))

    def test_an_issuer_beside_it_that_names_nobody_is_passed_over(self) -> None:
        # did-jwt-vc leaves the name of an issuer there whose id it writes as `iss`.
        beside = {"vc": OLD, "iss": ISSUER, "issuer": {"name": "A school"}}
        assert read(signed(beside)).document["issuer"] == ISSUER
        with pytest.raises(Malformed, match="beside the document"):
            read(signed(beside | {"issuer": {"id": "did:example:other"}}))

    def test_a_presentation_is_by_its_iss(self) -> None:
        claims = {"iss": ISSUER, "nonce": "n", "exp": NOW}
        envelope = read(signed({"vp": {"type": ["VerifiablePresentation"]}, **claims}))
        assert envelope.presents
        assert envelope.signature_expires == datetime(2026, 1, 1, tzinfo=UTC)
        assert envelope.document["holder"] == ISSUER


class TestBadges:
    def test_a_badge_repeats_five_members_as_claims(self) -> None:
        envelope = read(signed(BADGE | BADGE_CLAIMS, kid="https://school.example/keys/1"))
        assert (envelope.media_type, envelope.document) == ("application/vc+jwt", BADGE)

    def test_what_is_no_badge_need_not_repeat_them(self) -> None:
        assert read(signed(CREDENTIAL)).document == CREDENTIAL
        for document in (CREDENTIAL, PRESENTATION):
            envelope = read(signed(document | {"exp": NOW, "nbf": NOW - 1}))
            assert envelope.signature_expires == datetime(2026, 1, 1, tzinfo=UTC)
            assert envelope.signature_begins == datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC)

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
        "beside",
        [
            pytest.param({"issuer": "did:example:other"}, id="another issuer"),
            pytest.param({"credentialSubject": {"id": "did:example:other"}}, id="another subject"),
            pytest.param({"proof": {"type": "DataIntegrityProof"}}, id="a proof"),
            pytest.param({"name": "With honours"}, id="another name"),
            pytest.param({"type": ["EnvelopedVerifiableCredential", "VerifiableCredential"]}, id="a type"),
        ],
    )
    def test_an_envelope_says_nothing_beside_its_token(self, beside: dict[str, Any]) -> None:
        wrapped = enveloped(read(signed(CREDENTIAL, typ="vc+jwt", kid=KID)))
        assert open_enveloped(wrapped | {"type": [wrapped["type"]]}).document == CREDENTIAL
        with pytest.raises(Malformed):
            open_enveloped(wrapped | beside)

    @pytest.mark.parametrize(
        "url",
        [
            pytest.param("data:application/vp+jwt,{}", id="the media type of another form"),
            pytest.param("data:application/vc+jwt;base64,{}", id="base64"),
            pytest.param("data:text/plain,{}", id="no media type of ours"),
            pytest.param("data:application/vc+sd-jwt,{}", id="a token without a tilde as SD-JWT"),
            pytest.param("data:application/vc+jwt,%20{}", id="escapes"),
            pytest.param("https://school.example/{}", id="no data URL"),
            pytest.param("data:application/vc+jwt,", id="nothing"),
        ],
    )
    def test_refused(self, url: str) -> None:
        with pytest.raises(Malformed):
            open_data_url(url.format(signed(CREDENTIAL, typ="vc+jwt")))


class TestDigestsWhereNothingIsWithheld:
    """An SD-JWT without its last `~` must not be read as a token that lacks what was withheld."""

    WITHHELD: tuple[Path, ...] = (("validUntil",), ("credentialStatus",))

    @pytest.mark.parametrize("header", [{}, {"typ": "JWT"}])
    @pytest.mark.parametrize("kind", [CREDENTIAL, BADGE | BADGE_CLAIMS])
    def test_an_sd_jwt_whose_tilde_was_cut_off_is_refused(
        self, kind: dict[str, Any], header: dict[str, Any]
    ) -> None:
        document = kind | {
            "validUntil": "2026-02-01T00:00:00Z",
            "credentialStatus": {"id": "urn:s", "type": "T"},
        }
        if kind is not CREDENTIAL:
            document |= {"exp": NOW + 31 * 86400}
        prepared = prepare_sd_jwt({"alg": "EdDSA", **header}, document, self.WITHHELD, salts=SALTS[:2])
        token = prepared.finish(SIGNER.sign(prepared.message))
        with pytest.raises(Malformed, match="digests"):
            read(token.partition("~")[0])

    @pytest.mark.parametrize(
        "member",
        [
            pytest.param({"_sd_alg": "sha-256"}, id="the name of the hash"),
            pytest.param({"credentialSubject": {"_sd": ["AAAA"]}}, id="in the subject"),
            pytest.param({"credentialSubject": [{"id": "urn:a"}, {"...": "AAAA"}]}, id="in an array"),
        ],
    )
    def test_digests_are_refused_wherever_they_stand(self, member: dict[str, Any]) -> None:
        for payload in (CREDENTIAL | member, {"vc": OLD | member, "iss": ISSUER}):
            with pytest.raises(Malformed, match="digests"):
                read(signed(payload))
        prepared = prepare_cose(CREDENTIAL | member, "application/vc", SIGNER.public_key, KID)
        with pytest.raises(Malformed, match="digests"):
            read_envelope(prepared.finish(SIGNER.sign(prepared.message)))


def test_a_payload_that_is_not_an_object_is_refused() -> None:
    header = encode_base64url(b'{"alg":"EdDSA","typ":"vc+jwt"}')
    with pytest.raises(Malformed):
        read_envelope(f"{header}.{encode_base64url(b'[]')}.AAAA")
