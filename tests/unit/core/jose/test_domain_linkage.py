"""A DID configuration links one DID with one origin, for a time, by a key that the DID lists."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from node.core.did.key import did_key_of, resolve_did_key
from node.core.encoding import encode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.jose.domain_linkage import (
    DomainLinkage,
    did_configuration,
    origin_of,
    prepare_linkage,
    read_did_configuration,
)
from node.core.keys import KeyKind
from node.keystore import generate_secret, signer_of

NOW = datetime(2027, 5, 3, 12, tzinfo=UTC)
ORIGIN = "https://school.example"
SIGNER = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
DID = did_key_of(SIGNER.public_key)
KID = f"{DID}#{SIGNER.public_key.multibase}"
DOCUMENT = resolve_did_key(DID)


def token(spoil: Callable[[dict[str, Any]], Any] = id) -> str:
    """Signed by the DID after `spoil` changed header and payload."""
    made = prepare_linkage(
        DID, ORIGIN, SIGNER.public_key, KID, begins=NOW - timedelta(days=1), ends=NOW + timedelta(days=1)
    )
    header, payload = (base64.urlsafe_b64decode(part + "==") for part in made.message.decode().split("."))
    parts = {"header": json.loads(header), "payload": json.loads(payload)}
    spoil(parts)
    message = ".".join(encode_base64url(json.dumps(part).encode()) for part in parts.values())
    return f"{message}.{encode_base64url(SIGNER.sign(message.encode()))}"


def read(entry: Any) -> tuple[DomainLinkage, ...]:
    return read_did_configuration(did_configuration([entry]))


def test_what_a_did_says_of_its_origin_is_verified() -> None:
    (linkage,) = read(token())
    linkage.verify(DOCUMENT, ORIGIN, NOW)


@pytest.mark.parametrize(
    ("origin", "days", "match"),
    [
        ("https://other.example", 0, "it links"),
        ("https://school.example:8443", 0, "it links"),
        ("http://school.example", 0, "it links"),
        (ORIGIN, 1, "not valid now"),
        (ORIGIN, -2, "not valid now"),
    ],
)
def test_another_origin_or_time_is_not_what_was_signed(origin: str, days: int, match: str) -> None:
    (linkage,) = read(token())
    with pytest.raises(NotVerified, match=match):
        linkage.verify(DOCUMENT, origin, NOW + timedelta(days=days))


def test_another_did_has_not_signed_it() -> None:
    stranger = signer_of(KeyKind.ED25519, generate_secret(KeyKind.ED25519))
    (linkage,) = read(token())
    with pytest.raises(NotVerified, match="it links"):
        linkage.verify(resolve_did_key(did_key_of(stranger.public_key)), ORIGIN, NOW)


def test_a_signature_over_something_else_is_refused() -> None:
    other = token(lambda made: made["payload"].update(nbf=1))
    (linkage,) = read(".".join((*token().split(".")[:2], other.split(".")[2])))
    with pytest.raises(NotVerified):
        linkage.verify(DOCUMENT, ORIGIN, NOW)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda made: made["header"].update(typ="JWT"),
        lambda made: made["header"].pop("kid"),
        lambda made: made["payload"].update(jti="urn:uuid:1"),
        lambda made: made["payload"].pop("exp"),
        lambda made: made["payload"].update(sub="did:example:other"),
        lambda made: made["payload"]["vc"].update(issuer="did:example:other"),
        lambda made: made["payload"]["vc"].update(id="urn:uuid:1"),
        lambda made: made["payload"]["vc"].update(issuer={"id": DID}),
        lambda made: made["payload"]["vc"].update(type=["VerifiableCredential"]),
        lambda made: made["payload"]["vc"]["credentialSubject"].update(id="did:example:other"),
        lambda made: made["payload"]["vc"]["credentialSubject"].pop("origin"),
        lambda made: made["payload"].update(vc=[]),
    ],
)
def test_an_entry_of_another_form_is_passed_over(spoil: Any) -> None:
    assert read(token(spoil)) == ()


@pytest.mark.parametrize("entry", ["", "a.b.c", {"proof": {}}, 1, None])
def test_what_is_no_token_is_passed_over(entry: Any) -> None:
    assert read(entry) == ()


def test_one_bad_entry_spoils_no_other() -> None:
    assert len(read_did_configuration(did_configuration(["x", token()]))) == 1


@pytest.mark.parametrize(
    "value", [[], {}, {"@context": "", "linked_dids": {}}, {"@context": "", "linked_dids": [], "more": 1},
              {"@context": "", "linked_dids": ["x"] * 65}]
)  # fmt: skip
def test_what_is_no_did_configuration_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        read_did_configuration(value)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://School.example/hall/", "https://school.example"),
        ("https://school.example:8443", "https://school.example:8443"),
        ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: str) -> None:
    assert origin_of(url) == origin
