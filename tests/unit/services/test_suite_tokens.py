"""`bonafides suite jose-cose`: what the W3C's suite for VC-JOSE-COSE asks, on the suite's own inputs and on ours."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from node.commands.suite import suite
from node.core.canonical.contexts import ContextStore
from node.core.canonical.rdfc import Canonicalizer
from node.core.encoding import encode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey
from node.keystore import generate_secret, signer_of
from node.services.suite.tokens import Feature, MethodFile, issue, parse_method, parse_path, verify
from schemas import context_digests, load_contexts

Document = dict[str, Any]
V2 = "https://www.w3.org/ns/credentials/v2"
EXAMPLES = "https://www.w3.org/ns/credentials/examples/v2"
ISSUER = "https://school.example/issuer"
CANONICALIZER = Canonicalizer(ContextStore(load_contexts(), context_digests()))
KINDS = (KeyKind.ED25519, KeyKind.P256, KeyKind.P384, KeyKind.P521)


def method(kind: KeyKind = KeyKind.P256) -> MethodFile:
    signer = signer_of(kind, generate_secret(kind))
    return MethodFile(f"{ISSUER}#key", signer.public_key, signer)


METHOD = method()


def credential(**changes: Any) -> Document:
    return {
        "@context": [V2, EXAMPLES],
        "type": ["VerifiableCredential"],
        "issuer": ISSUER,
        "validFrom": "2026-01-01T00:00:00Z",
        "credentialSubject": {"id": "did:example:alice", "phones": [{"number": "1"}, {"number": "2"}]},
        **changes,
    }


def presentation(held: str = "data:application/vc+jwt,eyJ.eyJ.x", **changes: Any) -> Document:
    return {
        "@context": [V2],
        "type": ["VerifiablePresentation"],
        "holder": ISSUER,
        "verifiableCredential": [{"@context": V2, "type": "EnvelopedVerifiableCredential", "id": held}],
        **changes,
    }


def document_for(feature: Feature) -> Document:
    return credential() if feature.is_credential else presentation()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("feature", Feature)
def test_what_is_issued_verifies_with_its_key_alone(feature: Feature, kind: KeyKind) -> None:
    own, other = method(kind), method(kind)
    token = issue(feature, document_for(feature), own, [], CANONICALIZER)
    assert verify(feature, token, own, CANONICALIZER).document == document_for(feature)
    with pytest.raises(NotVerified):
        verify(feature, token, other, CANONICALIZER)


@pytest.mark.parametrize("feature", Feature)
def test_a_token_is_not_taken_for_another_kind(feature: Feature) -> None:
    token = issue(feature, document_for(feature), METHOD, [], CANONICALIZER)
    for other in set(Feature) - {feature}:
        with pytest.raises(Malformed, match="expected application"):
            verify(other, token, METHOD, CANONICALIZER)


@pytest.mark.parametrize("feature", Feature)
def test_a_document_without_a_signature_is_no_token(feature: Feature) -> None:
    with pytest.raises(Malformed, match="no token"):
        verify(feature, json.dumps(document_for(feature)), METHOD, CANONICALIZER)


def test_a_holder_may_withhold_what_was_named() -> None:
    paths = ["credentialSubject.id", "credentialSubject.phones[1]", "credentialSubject.phones[0].number"]
    token = issue(Feature.CREDENTIAL_SDJWT, credential(), METHOD, paths, CANONICALIZER)
    issuer_signed, *disclosures = token.split("~")
    assert len(disclosures) == 4  # and what follows the last `~`
    bare = verify(Feature.CREDENTIAL_SDJWT, issuer_signed + "~", METHOD, CANONICALIZER).document
    assert bare["credentialSubject"] == {"phones": [{}]}
    with pytest.raises(Malformed, match="always shown"):
        issue(Feature.CREDENTIAL_SDJWT, credential(), METHOD, ["issuer"], CANONICALIZER)


NOT_ISSUED = {
    "no issuer": {"issuer": None},
    "a member that the data model does not have": {"validFron": "2026-01-01T00:00:00Z"},
    "a claim of the token": {"exp": 1},
}


@pytest.mark.parametrize("changes", NOT_ISSUED.values(), ids=NOT_ISSUED)
def test_what_does_not_conform_is_not_issued(changes: Document) -> None:
    with pytest.raises(Malformed):
        issue(Feature.CREDENTIAL_JOSE, credential(**changes), METHOD, [], CANONICALIZER)


def test_a_presentation_holds_envelopes() -> None:
    for held in ("not-a-credential", "https://school.example/1", "data:text/plain,x"):
        with pytest.raises(Malformed):
            issue(Feature.PRESENTATION_JOSE, presentation(held), METHOD, [], CANONICALIZER)
    # A line end is no part of a URL, and one of the suite's inputs has one.
    issue(
        Feature.PRESENTATION_COSE,
        presentation("data:application/vc+cose;base64,0oQ=\n"),
        METHOD,
        [],
        CANONICALIZER,
    )


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("holder", ("holder",)),
        ("verifiableCredential[0]", ("verifiableCredential", 0)),
        ("credentialSubject.phoneNumbers[10].number", ("credentialSubject", "phoneNumbers", 10, "number")),
    ],
)
def test_paths(text: str, path: tuple[str | int, ...]) -> None:
    assert parse_path(text) == path


@pytest.mark.parametrize("text", ["", "a..b", "a[", "a[x]", "a]", "a[-1]", "."])
def test_what_is_no_path(text: str) -> None:
    with pytest.raises(Malformed):
        parse_path(text)


# --- key files


def method_file(kind: KeyKind = KeyKind.P256) -> Document:
    secret = generate_secret(kind)
    public = signer_of(kind, secret).public_key.to_jwk()
    return {
        "id": f"{ISSUER}#key",
        "type": "JsonWebKey",
        "publicKeyJwk": public,
        "secretKeyJwk": {**public, "d": encode_base64url(secret)},
    }


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_file_is_read(kind: KeyKind) -> None:
    file = method_file(kind)
    found = parse_method(file)
    assert found.signer is not None
    assert found.signer.public_key == found.public_key
    del file["secretKeyJwk"]
    assert parse_method(file).signer is None
    with pytest.raises(Malformed, match="no private key"):
        issue(Feature.CREDENTIAL_JOSE, credential(), parse_method(file), [], CANONICALIZER)


KEY_FAULTS = {
    "no id": lambda file: file.pop("id"),
    "no public key": lambda file: file.pop("publicKeyJwk"),
    "another's private key": lambda file: file.update(secretKeyJwk=method_file()["secretKeyJwk"]),
    "a private key without d": lambda file: file["secretKeyJwk"].pop("d"),
    "a private key among the public": lambda file: file.update(publicKeyJwk=file["secretKeyJwk"]),
}


@pytest.mark.parametrize("fault", KEY_FAULTS.values(), ids=KEY_FAULTS)
def test_a_key_file_with_a_fault_is_refused_without_repeating_the_secret(fault: Any) -> None:
    file = method_file()
    secret = file["secretKeyJwk"]["d"]
    broken = copy.deepcopy(file)
    fault(broken)
    with pytest.raises(Malformed) as raised:
        parse_method(broken)
    assert secret not in str(raised.value)


# --- the command


def run(tmp_path: Path, verb: str, source: str, key: Document, feature: Feature, *more: str) -> Document:
    (tmp_path / "input").write_text(source)
    (tmp_path / "key").write_text(json.dumps(key))
    names = [
        *("jose-cose", verb, "--input", str(tmp_path / "input"), "--key", str(tmp_path / "key")),
        *("--feature", feature.value, "--output", str(tmp_path / "output"), *more),
    ]
    result = CliRunner().invoke(suite, names)
    assert result.exit_code == 0, result.output
    found: Document = json.loads((tmp_path / "output").read_text())
    return found


def test_the_command_writes_a_result_and_what_it_made(tmp_path: Path) -> None:
    key, feature = method_file(), Feature.CREDENTIAL_SDJWT
    paths = json.dumps(["credentialSubject.id"])
    made = run(tmp_path, "issue", json.dumps(credential()), key, feature, "--sd", paths)
    assert made["result"] == "success"
    judged = run(tmp_path, "verify", made["data"], key, feature)
    assert judged == {"result": "success", "data": credential()}
    refused = run(tmp_path, "verify", made["data"], method_file(), feature)
    assert refused["result"] == "failure"
    assert run(tmp_path, "issue", "{", key, feature)["result"] == "failure"


def test_a_context_that_is_not_here_leaves_it_open(tmp_path: Path) -> None:
    unknown = credential()
    unknown["@context"] = [V2, "https://school.example/context"]
    made = run(tmp_path, "issue", json.dumps(unknown), method_file(), Feature.CREDENTIAL_JOSE)
    assert made["result"] == "indeterminate"


def test_a_file_that_is_no_key_is_a_failure(tmp_path: Path) -> None:
    made = run(tmp_path, "issue", json.dumps(credential()), {}, Feature.CREDENTIAL_JOSE)
    assert made["result"] == "failure"


# --- the suite's inputs

_P256, _P384, _P521 = "vm-p256.json", "vm-p384.json", "vm-p521.json"
_ED25519 = "vm-ed25519.json"
# Input, key and feature of each case that verifies, and whether it is to succeed.
VERIFIED = (
    ("credential-jose-minimal.txt", _P256, Feature.CREDENTIAL_JOSE, True),
    ("presentation-jose-multiple.txt", _P384, Feature.PRESENTATION_JOSE, True),
    ("credential-issuer-match-signed.txt", _ED25519, Feature.CREDENTIAL_JOSE, True),
    ("credential-jose-unknown-extensions.txt", _ED25519, Feature.CREDENTIAL_JOSE, False),
    ("credential-minimal.json", _ED25519, Feature.CREDENTIAL_JOSE, False),
    ("presentation-single.json", _ED25519, Feature.PRESENTATION_JOSE, False),
    ("credential-jose-bad-signature.txt", _ED25519, Feature.CREDENTIAL_JOSE, False),
    ("credential-jose-bad-media-type.txt", _ED25519, Feature.CREDENTIAL_JOSE, False),
    ("presentation-jose-bad-media-type.txt", _ED25519, Feature.PRESENTATION_JOSE, False),
    ("credential-jose-vc-vp-claims.txt", _ED25519, Feature.CREDENTIAL_JOSE, False),
    ("presentation-jose-bad-credential.txt", _ED25519, Feature.PRESENTATION_JOSE, False),
    ("credential-sdjwt-selective.txt", _P384, Feature.CREDENTIAL_SDJWT, True),
    ("credential-sdjwt-nested.txt", _P521, Feature.CREDENTIAL_SDJWT, True),
    ("presentation-sdjwt-selective.txt", _P384, Feature.PRESENTATION_SDJWT, True),
    ("credential-sdjwt-bad-signature.txt", _P384, Feature.CREDENTIAL_SDJWT, False),
    ("credential-sdjwt-bad-media-type.txt", _ED25519, Feature.CREDENTIAL_SDJWT, False),
    ("presentation-sdjwt-bad-media-type.txt", _ED25519, Feature.PRESENTATION_SDJWT, False),
    ("presentation-sdjwt-bad-credential.txt", _P521, Feature.PRESENTATION_SDJWT, False),
    ("credential-cose-minimal.txt", _P256, Feature.CREDENTIAL_COSE, True),
    ("credential-cose-minimal-not-base64.txt", _P256, Feature.CREDENTIAL_COSE, False),
    ("presentation-cose-single.txt", _P384, Feature.PRESENTATION_COSE, True),
    ("credential-cose-bad-signature.txt", _ED25519, Feature.CREDENTIAL_COSE, False),
    ("credential-cose-bad-media-type.txt", _P384, Feature.CREDENTIAL_COSE, False),
    ("presentation-cose-bad-media-type.txt", _P384, Feature.PRESENTATION_COSE, False),
    ("presentation-cose-bad-credential.txt", _P256, Feature.PRESENTATION_COSE, False),
)


@pytest.mark.parametrize(
    ("source", "key", "feature", "sound"), VERIFIED, ids=[case[0].partition(".")[0] for case in VERIFIED]
)
def test_the_suites_tokens(source: str, key: str, feature: Feature, sound: bool, vectors: Path) -> None:
    folder = vectors / "jose-cose"
    own = parse_method(json.loads((folder / key).read_text()))
    text = (folder / source).read_text()
    if sound:
        verify(feature, text, own, CANONICALIZER)
        return
    with pytest.raises((Malformed, NotVerified)):
        verify(feature, text, own, CANONICALIZER)


ISSUED = (
    ("credential-minimal.json", _P256, Feature.CREDENTIAL_JOSE, ()),
    ("credential-full.json", _P384, Feature.CREDENTIAL_JOSE, ()),
    ("presentation-single.json", _P256, Feature.PRESENTATION_JOSE, ()),
    ("presentation-multiple.json", _P521, Feature.PRESENTATION_JOSE, ()),
    (
        "credential-selective.json",
        _P384,
        Feature.CREDENTIAL_SDJWT,
        ("credentialSubject.firstName", "credentialSubject.lastName"),
    ),
    (
        "credential-nested-selective.json",
        _P521,
        Feature.CREDENTIAL_SDJWT,
        ("credentialSubject.address.street", "credentialSubject.phoneNumbers[0]"),
    ),
    ("presentation-selective.json", _P384, Feature.PRESENTATION_SDJWT, ("holder", "verifiableCredential[0]")),
    ("credential-minimal.json", "vm-did-ed25519.json", Feature.CREDENTIAL_COSE, ()),
    ("presentation-single.json", _P384, Feature.PRESENTATION_COSE, ()),
)


@pytest.mark.parametrize(("source", "key", "feature", "paths"), ISSUED)
def test_the_suites_documents(
    source: str, key: str, feature: Feature, paths: tuple[str, ...], vectors: Path
) -> None:
    folder = vectors / "jose-cose"
    own = parse_method(json.loads((folder / key).read_text()))
    assert isinstance(own.public_key, PublicKey)
    issue(feature, json.loads((folder / source).read_text()), own, paths, CANONICALIZER)


def test_the_suites_document_with_unknown_members_is_not_issued(vectors: Path) -> None:
    document = json.loads((vectors / "jose-cose/credential-unknown-extensions.json").read_text())
    with pytest.raises(Malformed, match="anotherBadOne"):
        issue(Feature.CREDENTIAL_JOSE, document, METHOD, [], CANONICALIZER)
