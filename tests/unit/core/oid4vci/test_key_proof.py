"""Key proofs: the checks of OpenID4VCI 1.0 appendix F.4, each broken by one change to a good proof."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import prepare_proof
from node.core.did.key import did_key_of
from node.core.encoding import encode_base64url
from node.core.errors import Refused
from node.core.jose.jws import algorithm_of, prepare_jws
from node.core.keys import KeyKind
from node.core.oid4vci.key_proof import (
    CRYPTOSUITES,
    JWT_ALGORITHMS,
    KeyProof,
    prepare_jwt_proof,
    verify_key_proof,
)
from node.keystore import generate_secret, signer_of
from schemas import context_digests, load_contexts

CANONICALIZER = Canonicalizer(ContextStore(load_contexts(), context_digests()))
ISSUER = "https://node.example"
NOW = datetime(2026, 5, 3, 12, tzinfo=UTC)
SIGNER = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
DID = did_key_of(SIGNER.public_key)
KID = f"{DID}#{SIGNER.public_key.multibase}"
PROOF_TYPES = {"jwt": JWT_ALGORITHMS, "di_vp": CRYPTOSUITES}


def verify(kind: str, proof: Any) -> KeyProof:
    return verify_key_proof(
        kind,
        proof,
        credential_issuer=ISSUER,
        now=NOW,
        proof_types=PROOF_TYPES,
        canonicalizer=CANONICALIZER,
    )


def refuse(kind: str, proof: Any) -> None:
    with pytest.raises(Refused) as refused:
        verify(kind, proof)
    assert refused.value.code == "invalid_proof"


def token(header: dict[str, Any] | None = None, claims: dict[str, Any] | None = None) -> str:
    """A good proof but for the changes; None takes a member out."""
    head = {"typ": "openid4vci-proof+jwt", "alg": "EdDSA", "kid": KID} | (header or {})
    body = {"aud": ISSUER, "iat": int(NOW.timestamp()), "nonce": "n"} | (claims or {})
    prepared = prepare_jws(
        {name: value for name, value in head.items() if value is not None},
        {name: value for name, value in body.items() if value is not None},
    )
    return prepared.finish(SIGNER.sign(prepared.message))


def presentation(
    document: dict[str, Any] | None = None, proof: dict[str, Any] | None = None, suite: str = "eddsa-jcs-2022"
) -> dict[str, Any]:
    body = {
        "@context": ["https://www.w3.org/ns/credentials/v2"],
        "type": ["VerifiablePresentation"],
        "holder": DID,
    } | (document or {})
    options = {
        "cryptosuite": suite,
        "verificationMethod": KID,
        "proofPurpose": "authentication",
        "created": "2026-05-03T12:00:00Z",
        "domain": ISSUER,
        "challenge": "n",
    } | (proof or {})
    prepared = prepare_proof(
        {name: value for name, value in body.items() if value is not None},
        {name: value for name, value in options.items() if value is not None},
        CANONICALIZER,
    )
    return prepared.finish(SIGNER.sign(prepared.message))


class TestJwt:
    @pytest.mark.parametrize("kind", [KeyKind.ED25519, KeyKind.P256])
    @pytest.mark.parametrize("bare", [True, False])
    def test_what_a_wallet_makes_is_accepted(self, kind: KeyKind, bare: bool) -> None:
        signer = signer_of(kind, generate_secret(kind))
        did = did_key_of(signer.public_key)
        prepared = prepare_jwt_proof(
            signer.public_key,
            credential_issuer=ISSUER,
            nonce="n",
            now=NOW,
            kid=None if bare else f"{did}#{signer.public_key.multibase}",
        )
        proof = verify("jwt", prepared.finish(signer.sign(prepared.message)))
        assert proof == KeyProof(did, signer.public_key, "n")

    def test_a_did_jwk_is_the_same_holder_as_the_did_key_of_its_key(self) -> None:
        did_jwk = "did:jwk:" + encode_base64url(
            b'{"crv":"Ed25519","kty":"OKP","x":"' + SIGNER.public_key.to_jwk()["x"].encode() + b'"}'
        )
        proof = verify("jwt", token({"kid": did_jwk + "#0"}))
        assert proof.did == did_jwk
        assert proof.is_by(did_jwk)
        assert proof.is_by(DID)
        other = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
        assert not proof.is_by(did_key_of(other.public_key))
        assert not proof.is_by("did:web:a.example")
        assert not proof.is_by("no did")

    @pytest.mark.parametrize(
        "header",
        [
            {"typ": None},
            {"typ": "JWT"},
            {"alg": "none"},
            {"alg": "HS256"},
            {"alg": "ES256"},
            {"kid": None},
            {"jwk": SIGNER.public_key.to_jwk()},
            {"kid": None, "x5c": ["MII"]},
            {"kid": None, "jwk": SIGNER.public_key.to_jwk() | {"d": "AAAA"}},
            {"kid": None, "jwk": {"kty": "oct", "k": "AAAA"}},
            {"kid": None, "jwk": "x"},
            {"kid": DID},
            {"kid": DID + "#other"},
            {"kid": "did:web:a.example#key-1"},
            {"kid": 1},
            {"crit": ["x"]},
        ],
    )
    def test_one_change_to_the_header(self, header: dict[str, Any]) -> None:
        refuse("jwt", token(header))

    @pytest.mark.parametrize(
        "claims",
        [
            {"aud": None},
            {"aud": ISSUER + "/"},
            {"aud": [ISSUER]},
            {"iat": None},
            {"iat": "now"},
            {"iat": True},
            {"iat": int((NOW + timedelta(minutes=2)).timestamp())},
            {"iat": int((NOW - timedelta(minutes=11)).timestamp())},
            {"nonce": None},
            {"nonce": ""},
            {"nonce": 1},
            {"iss": "client"},
        ],
    )
    def test_one_change_to_the_claims(self, claims: dict[str, Any]) -> None:
        refuse("jwt", token(claims=claims))

    def test_a_signature_by_another_key(self) -> None:
        other = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
        refuse("jwt", token({"kid": None, "jwk": other.public_key.to_jwk()}))

    def test_an_algorithm_that_the_configuration_does_not_list(self) -> None:
        signer = signer_of(KeyKind.SECP256K1, generate_secret(KeyKind.SECP256K1))
        prepared = prepare_jwt_proof(signer.public_key, credential_issuer=ISSUER, nonce="n", now=NOW)
        assert algorithm_of(signer.public_key.kind) == "ES256K"
        refuse("jwt", prepared.finish(signer.sign(prepared.message)))


class TestDiVp:
    @pytest.mark.parametrize("suite", CRYPTOSUITES)
    def test_a_signed_presentation_of_nothing_but_its_holder_is_accepted(self, suite: str) -> None:
        assert verify("di_vp", presentation(suite=suite)) == KeyProof(DID, SIGNER.public_key, "n")

    def test_the_holder_may_be_left_out(self) -> None:
        assert verify("di_vp", presentation({"holder": None})).did == DID

    @pytest.mark.parametrize(
        "proof",
        [
            {"proofPurpose": "assertionMethod"},
            {"domain": None},
            {"domain": "https://other.example"},
            {"domain": [ISSUER, "https://other.example"]},
            {"challenge": None},
            {"created": "2026-05-03T11:00:00Z"},
            {"expires": "2026-05-03T12:00:00Z"},
            {"verificationMethod": "did:web:a.example#key-1"},
        ],
    )
    def test_one_change_to_the_proof(self, proof: dict[str, Any]) -> None:
        refuse("di_vp", presentation(proof=proof))

    @pytest.mark.parametrize(
        "document",
        [
            {"holder": "did:example:another"},
            {"type": ["VerifiableCredential"]},
            {"verifiableCredential": []},
            {"@context": ["https://www.w3.org/ns/credentials/v2", {"holder": "urn:x"}]},
        ],
    )
    def test_one_change_to_the_presentation(self, document: dict[str, Any]) -> None:
        refuse("di_vp", presentation(document))

    @pytest.mark.parametrize(
        "change",
        [
            lambda vp: vp | {"proof": vp["proof"] * 2},
            lambda vp: vp | {"proof": []},
            lambda vp: vp | {"proof": [vp["proof"][0] | {"challenge": "m"}]},
            lambda vp: vp | {"proof": [vp["proof"][0] | {"cryptosuite": "bbs-2023"}]},
            lambda vp: vp | {"id": "urn:added"},
            lambda _: "token",
            lambda _: {},
        ],
    )
    def test_one_change_after_signing(self, change: Callable[[dict[str, Any]], Any]) -> None:
        refuse("di_vp", change(presentation()))


def test_other_proof_types_are_refused() -> None:
    refuse("attestation", token())
    refuse("ldp_vp", presentation())


@settings(max_examples=100, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["@context", "type", "holder", "proof", "id", "verifiableCredential"]),
        st.none() | st.text(max_size=5) | st.lists(st.text(max_size=5), max_size=2) | st.just({}),
    )
)
def test_whatever_is_sent_is_refused_with_the_code(changes: dict[str, Any]) -> None:
    if changes:
        refuse("di_vp", presentation() | {"id": "urn:added"} | changes)
