"""Every input of the W3C's VC-JOSE-COSE test suite: read, verified, refused; and what is to be issued, issued.

What only the data model tells (undefined terms, missing members) is the engine's to say and not looked at here.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from node.core.cose import prepare_cose
from node.core.encoding import decode_base64url
from node.core.envelope import Envelope, open_enveloped, read_envelope
from node.core.errors import Malformed, NotVerified
from node.core.jose.sd_jwt_vc import prepare_vc_sd_jwt, prepare_vp_sd_jwt
from node.core.jose.vc_jwt import prepare_vc_jwt, prepare_vp_jwt
from node.core.keys import PublicKey, Signer, parse_jwk
from node.keystore import signer_of

ISSUER = "https://example.issuer/vc-jose-cose"


def method(vectors: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((vectors / "jose-cose" / f"vm-{name}.json").read_text())
    return found


def key(vectors: Path, name: str) -> PublicKey:
    return parse_jwk(method(vectors, name)["publicKeyJwk"])


def signer(vectors: Path, name: str) -> tuple[Signer, str]:
    found = method(vectors, name)
    secret = decode_base64url(found["secretKeyJwk"]["d"])
    return signer_of(parse_jwk(found["publicKeyJwk"]).kind, secret), found["id"]


def read(vectors: Path, name: str) -> Envelope:
    envelope = read_envelope((vectors / "jose-cose" / name).read_text())
    if envelope is None:
        raise Malformed("no token")
    return envelope


GOOD = {
    "credential-jose-minimal.txt": ("p256", "application/vc+jwt"),
    "credential-jose-unknown-extensions.txt": ("p521", "application/vc+jwt"),
    "credential-issuer-match-signed.txt": ("ed25519", "application/vc+jwt"),
    "credential-sdjwt-selective.txt": ("p384", "application/vc+sd-jwt"),
    "credential-sdjwt-nested.txt": ("p521", "application/vc+sd-jwt"),
    "credential-cose-minimal.txt": ("p256", "application/vc+cose"),
    "presentation-jose-multiple.txt": ("p384", "application/vp+jwt"),
    "presentation-sdjwt-selective.txt": ("p384", "application/vp+sd-jwt"),
    "presentation-cose-single.txt": ("p384", "application/vp+cose"),
}


def test_every_input_is_looked_at(vectors: Path) -> None:
    inputs = {path.name for path in (vectors / "jose-cose").glob("*.txt")} - {"SOURCE.txt"}
    assert inputs == GOOD.keys() | BROKEN.keys() | WITH_BAD_CREDENTIALS.keys() | {
        name for name, _ in BAD_SIGNATURES
    }


@pytest.mark.parametrize("name", GOOD)
def test_verifies(vectors: Path, name: str) -> None:
    envelope = read(vectors, name)
    key_name, media_type = GOOD[name]
    assert envelope.media_type == media_type
    envelope.verify(key(vectors, key_name))
    # The credential in the one for COSE is a sketch that ends with dots; the suite looks at the presentation alone.
    if envelope.presents and name != "presentation-cose-single.txt":
        for held in envelope.document["verifiableCredential"]:
            assert open_enveloped(held).document["issuer"] == ISSUER


BAD_SIGNATURES = [
    ("credential-jose-bad-signature.txt", "ed25519"),
    ("credential-sdjwt-bad-signature.txt", "p384"),
    ("credential-cose-bad-signature.txt", "ed25519"),
]


@pytest.mark.parametrize(("name", "key_name"), BAD_SIGNATURES)
def test_does_not_verify(vectors: Path, name: str, key_name: str) -> None:
    envelope = read(vectors, name)
    with pytest.raises(NotVerified):
        envelope.verify(key(vectors, key_name))


# The clause that each breaks, in the words of the refusal.
BROKEN = {
    "credential-jose-bad-media-type.txt": "bad+typ",
    "credential-jose-vc-vp-claims.txt": "the claim v[cp] must not be",
    "credential-sdjwt-bad-media-type.txt": "depends on what the holder discloses",
    "credential-cose-bad-media-type.txt": "neither vc.cose nor vp.cose",
    "credential-cose-minimal-not-base64.txt": "no token",
    "presentation-jose-bad-media-type.txt": "bad+typ",
    "presentation-sdjwt-bad-media-type.txt": "bad+typ",
    "presentation-sdjwt-bad-credential.txt": "bad+typ",
    "presentation-cose-bad-media-type.txt": "neither vc.cose nor vp.cose",
}


@pytest.mark.parametrize("name", BROKEN)
def test_refused(vectors: Path, name: str) -> None:
    with pytest.raises(Malformed, match=BROKEN[name].replace("+", r"\+")):
        read(vectors, name)


WITH_BAD_CREDENTIALS = {
    "presentation-jose-bad-credential.txt": "ed25519",
    "presentation-cose-bad-credential.txt": "p256",
}


@pytest.mark.parametrize("name", WITH_BAD_CREDENTIALS)
def test_a_presentation_of_what_is_no_credential(vectors: Path, name: str) -> None:
    envelope = read(vectors, name)
    envelope.verify(key(vectors, WITH_BAD_CREDENTIALS[name]))
    for held in envelope.document["verifiableCredential"]:
        with pytest.raises(Malformed):
            open_enveloped(held)


ISSUED = [
    ("credential-minimal.json", "p256", "vc+jwt", ()),
    ("credential-full.json", "p384", "vc+jwt", ()),
    ("presentation-single.json", "p256", "vp+jwt", ()),
    ("presentation-multiple.json", "p521", "vp+jwt", ()),
    (
        "credential-selective.json",
        "p384",
        "vc+sd-jwt",
        (("credentialSubject", "firstName"), ("credentialSubject", "lastName")),
    ),
    (
        "credential-nested-selective.json",
        "p521",
        "vc+sd-jwt",
        (
            ("credentialSubject", "address", "street"),
            ("credentialSubject", "address", "city"),
            ("credentialSubject", "phoneNumbers", 0),
        ),
    ),
    ("presentation-selective.json", "p384", "vp+sd-jwt", (("holder",), ("verifiableCredential", 0))),
    ("credential-minimal.json", "did-ed25519", "vc+cose", ()),
    ("presentation-single.json", "p384", "vp+cose", ()),
]


@pytest.mark.parametrize(("name", "key_name", "form", "paths"), ISSUED)
def test_issued(vectors: Path, name: str, key_name: str, form: str, paths: tuple[Any, ...]) -> None:
    document = json.loads((vectors / "jose-cose" / name).read_text())
    by, kid = signer(vectors, key_name)
    salts = [sha256(bytes([index])).digest() for index, _ in enumerate(paths)]
    prepared: Any
    match form:
        case "vc+jwt":
            prepared = prepare_vc_jwt(document, by.public_key, kid)
        case "vp+jwt":
            prepared = prepare_vp_jwt(document, by.public_key, kid)
        case "vc+sd-jwt":
            prepared = prepare_vc_sd_jwt(document, by.public_key, kid, paths, salts=salts)
        case "vp+sd-jwt":
            prepared = prepare_vp_sd_jwt(document, by.public_key, kid, paths, salts=salts)
        case _:
            prepared = prepare_cose(document, "application/" + form[:2], by.public_key, kid)
    envelope = read_envelope(prepared.finish(by.sign(prepared.message)))
    assert envelope is not None
    envelope.verify(by.public_key)
    assert (envelope.media_type, envelope.document) == (f"application/{form}", document)
    assert envelope.verification_method == kid
