"""did:key, did:jwk, did:web and the syntax under them."""

from __future__ import annotations

import contextlib

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core import problem
from node.core.did.ethr_identity import parse_did_ethr
from node.core.did.jwk import resolve_did_jwk
from node.core.did.key import did_key_of, resolve_did_key
from node.core.did.resolution import did_of, is_did, resolve_self_certifying, same_issuer
from node.core.did.web import did_web_url
from node.core.encoding import encode_base64url, encode_multibase
from node.core.errors import BonafidesError, Malformed
from node.core.keys import KeyKind, PublicKey

ED25519 = "z6MkrJVnaZkeFzdQyMZu1cgjg7k1pZZ6pvBQ7XJPt4swbTQ2"
# The examples of the did:key draft, one for each kind.
DID_KEYS = {
    "ed25519": ("did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", KeyKind.ED25519),
    "secp256k1": ("did:key:zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme", KeyKind.SECP256K1),
    "p256": ("did:key:zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", KeyKind.P256),
    "p384": (
        "did:key:z82Lm1MpAkeJcix9K8TMiLd5NMAhnwkjjCBeWHXyu3U4oT2MVJJKXkcVBgjGhnLBn2Kaau9",
        KeyKind.P384,
    ),
}
X25519 = "did:key:z6LSeu9HkTHSfLLeUs2nnzUSNedgDUevfNQgQjQC23ZCit6F"
P256_JWK = {
    "crv": "P-256",
    "kty": "EC",
    "x": "acbIQiuMs3i8_uszEjJ2tpTtRM4EU3yz91PH6CdH2V0",
    "y": "_KcyLj9vWMptnmKtm46GqDz8wf74I5LKgrl2GzH3nSE",
}


def did_jwk(jwk: object) -> str:
    return "did:jwk:" + encode_base64url(orjson.dumps(jwk))


@pytest.mark.parametrize(("did", "kind"), DID_KEYS.values(), ids=DID_KEYS)
def test_did_key_has_one_method_for_all_signing_relationships(did: str, kind: KeyKind) -> None:
    document = resolve_did_key(did)
    method_id = f"{did}#{did.removeprefix('did:key:')}"
    method = document.method(method_id, "assertionMethod")
    assert method.public_key is not None
    assert method.public_key.kind is kind
    assert did_key_of(method.public_key) == did
    assert [name for name, ids in document.relationships.items() if ids] == [
        "authentication",
        "assertionMethod",
        "capabilityInvocation",
        "capabilityDelegation",
    ]


def test_did_key_with_version_one_keeps_its_text() -> None:
    did = f"did:key:1:{ED25519}"
    assert resolve_did_key(did).method(f"{did}#{ED25519}", "authentication").public_key is not None


def test_did_key_of_an_x25519_key_is_for_key_agreement_only() -> None:
    document = resolve_did_key(X25519)
    assert [name for name, ids in document.relationships.items() if ids] == ["keyAgreement"]
    assert document.methods[0].public_key is None


@pytest.mark.parametrize(
    "did",
    [
        f"did:web:{ED25519}",
        "did:key:" + ED25519[1:],
        f"did:key:2:{ED25519}",
        f"did:key:{ED25519}a",
        "did:key:" + encode_multibase(b"\xed\x01" + bytes(31)),
        "did:key:" + encode_multibase(b"\xec\x01" + bytes(33)),
        "did:key:" + encode_multibase(b"\xed\x01" + bytes(32), "u"),
        "did:key:" + encode_multibase(b"\x80\x24\x04" + bytes(32)),
        "did:key:z",
    ],
)
def test_did_key_without_a_sound_key_is_malformed(did: str) -> None:
    with pytest.raises(Malformed) as caught:
        resolve_did_key(did)
    assert caught.value.problem.type == problem.INVALID_DID


def test_did_jwk_names_its_method_zero_under_all_relationships() -> None:
    did = did_jwk(P256_JWK)
    document = resolve_did_jwk(did)
    assert document.to_json()["verificationMethod"][0]["publicKeyJwk"] == P256_JWK
    assert all(ids == {did + "#0"} for ids in document.relationships.values())
    key = document.method(did + "#0", "assertionMethod").public_key
    assert key is not None
    assert key.to_jwk() == P256_JWK


@pytest.mark.parametrize(
    ("use", "expected"), [("sig", {"keyAgreement"}), ("enc", {"authentication", "assertionMethod"})]
)
def test_use_narrows_the_relationships_of_a_did_jwk(use: str, expected: set[str]) -> None:
    relationships = resolve_did_jwk(did_jwk(P256_JWK | {"use": use})).relationships
    assert {name for name in expected if not relationships[name]} == expected
    assert sum(map(len, relationships.values())) == (4 if use == "sig" else 1)


def test_did_jwk_of_a_key_that_does_not_sign_here_resolves_without_a_key() -> None:
    did = did_jwk({"kty": "OKP", "crv": "X25519", "x": encode_base64url(bytes(32))})
    assert resolve_did_jwk(did).methods[0].public_key is None


@pytest.mark.parametrize(
    "did",
    [
        did_jwk(P256_JWK | {"d": "AA"}),
        did_jwk([]),
        did_jwk({}),
        did_jwk(P256_JWK) + "=",
        "did:jwk:" + encode_base64url(b'{"kty":"EC","kty":"EC"}'),
        "did:key:" + ED25519,
    ],
)
def test_did_jwk_without_a_public_jwk_is_malformed(did: str) -> None:
    with pytest.raises(Malformed) as caught:
        resolve_did_jwk(did)
    assert caught.value.problem.type == problem.INVALID_DID


@pytest.mark.parametrize(
    ("did", "url"),
    [
        ("did:web:w3c-ccg.github.io", "https://w3c-ccg.github.io/.well-known/did.json"),
        ("did:web:w3c-ccg.github.io:user:alice", "https://w3c-ccg.github.io/user/alice/did.json"),
        ("did:web:example.com%3A3000:user:alice", "https://example.com:3000/user/alice/did.json"),
        ("did:web:Example.COM:caf%C3%A9", "https://example.com/caf%C3%A9/did.json"),
    ],
)
def test_did_web_maps_to_the_url_of_the_method(did: str, url: str) -> None:
    assert did_web_url(did) == url


@pytest.mark.parametrize(
    "did",
    [
        "did:web:127.0.0.1",
        "did:web:10.0.0.1",
        "did:web:127.1",
        "did:web:2130706433",
        "did:web:0x7f000001",
        "did:web:example.0x7f",
        "did:web:%5B%3A%3A1%5D",
        "did:web:localhost",
        "did:web:school.localhost",
        "did:web:user%40example.com",
        "did:web:example.com%2Fpath",
        "did:web:example.com%3A",
        "did:web:example.com%3A0",
        "did:web:example.com%3A65536",
        "did:web:example.com%3A80%3A80",
        "did:web:example.com:..",
        "did:web:example.com:%2E%2E:x",
        "did:web:example.com:a%2Fb",
        "did:web:example.com:a%5Cb",
        "did:web:example.com:a%3Fb",
        "did:web:example.com:a%23b",
        "did:web:example.com:%252E",
        "did:web:example.com:%00",
        "did:web:example.com:%FF",
        "did:web:example.com::x",
        "did:web:-example.com",
        "did:web:example..com",
        "did:key:z6Mk",
    ],
)
def test_did_web_that_would_lead_elsewhere_is_malformed(did: str) -> None:
    with pytest.raises(Malformed) as caught:
        did_web_url(did)
    assert caught.value.problem.type == problem.INVALID_DID


def test_development_switch_admits_loopback_over_plain_http_only() -> None:
    assert (
        did_web_url("did:web:localhost%3A8080:a", allow_loopback=True) == "http://localhost:8080/a/did.json"
    )
    assert did_web_url("did:web:127.0.0.1%3A80", allow_loopback=True).startswith("http://127.0.0.1:80/")
    assert did_web_url("did:web:example.com", allow_loopback=True).startswith("https://")
    with pytest.raises(Malformed):
        did_web_url("did:web:10.0.0.1", allow_loopback=True)


@pytest.mark.parametrize(
    ("url", "did"),
    [
        ("did:example:123", "did:example:123"),
        ("did:example:123#key-1", "did:example:123"),
        ("did:example:1:2:%41/path?versionId=4#a", "did:example:1:2:%41"),
        ("did:ethr:0x1:0x00?versionId=12#delegate-1", "did:ethr:0x1:0x00"),
    ],
)
def test_did_of_takes_path_query_and_fragment_off(url: str, did: str) -> None:
    assert did_of(url) == did


@pytest.mark.parametrize(
    "url",
    ["", "did:", "did:example:", "did:Example:1", "DID:example:1", "did:example:1%4", "did:example:1\n",
     "did:example:1#a#b", "did:example:1 #a", "https://example.com#a", "did:example:" + "a" * 9000],
)  # fmt: skip
def test_what_is_no_did_url_is_malformed(url: str) -> None:
    with pytest.raises(Malformed):
        did_of(url)
    assert not is_did(url)


A = "0xf3beac30c498d9e26865f34fcaa57dbb935b0d74"


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        (f"did:ethr:{A}", f"did:ethr:mainnet:0x{A[2:].upper()}", True),
        (f"did:ethr:0x1:{A}", f"did:ethr:0x01:{A}", True),
        (f"did:ethr:0x1:{A}", f"did:ethr:0x2:{A}", False),
        (f"did:ethr:0x1:{A}", f"did:ethr:0x1:{A[:-1]}5", False),
        (f"did:ethr:nowhere:{A}", f"did:ethr:nowhere:{A}", True),
        (f"did:ethr:nowhere:{A}", f"did:ethr:nowhere:0x{A[2:].upper()}", False),
        ("did:web:example.com", "did:web:EXAMPLE.com", False),
        ("did:pkh:eip155:1:0xAb" + "0" * 38, "did:pkh:eip155:1:0xaB" + "0" * 38, True),
        ("did:pkh:eip155:1:0xab" + "0" * 38, "did:pkh:eip155:137:0xab" + "0" * 38, False),
        ("did:web:example.com", "did:web:example.com", True),
    ],
)
def test_issuers_are_equal_by_chain_and_identity_or_else_by_text(first: str, second: str, same: bool) -> None:
    assert same_issuer(first, second) is same


def test_only_key_and_jwk_hold_their_own_key() -> None:
    key = PublicKey(KeyKind.ED25519, bytes(32))
    document = resolve_self_certifying(did_key_of(key))
    assert document is not None
    assert document.methods[0].public_key == key
    assert resolve_self_certifying(did_jwk(P256_JWK)) is not None
    assert resolve_self_certifying("did:web:example.com") is None


@pytest.mark.parametrize(
    "account", ["eip155:1:0xab", "eip155:01:0x" + "a" * 40, "eip155:1:" + "a" * 42, "eip155:0x" + "a" * 40]
)
def test_did_pkh_of_no_ethereum_account_is_refused(account: str) -> None:
    with pytest.raises(Malformed):
        resolve_self_certifying(f"did:pkh:{account}")


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["", "did:key:", "did:key:z", "did:jwk:", "did:web:", "did:pkh:eip155:1:", "did:ethr:", "did:ethr:0x"]
    ),
    st.text() | st.from_regex(r"[A-Za-z0-9._:%-]{0,60}", fullmatch=True),
)
def test_hostile_identifiers_raise_only_our_errors(start: str, rest: str) -> None:
    for function in (resolve_self_certifying, did_web_url, did_of):
        with contextlib.suppress(Malformed):
            function(start + rest)
    same_issuer(start + rest, "did:ethr:" + A)
    with contextlib.suppress(BonafidesError):
        parse_did_ethr(start + rest)
