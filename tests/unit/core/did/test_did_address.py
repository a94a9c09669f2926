"""https addresses as identifiers: two readers of a URL must not see different hosts in it."""

from __future__ import annotations

import pytest

from node.core.did.address import identifier_of, origin_of
from node.core.errors import Malformed


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://school.example", ("https", "school.example", 443)),
        ("https://School.EXAMPLE:443/keys?a#b", ("https", "school.example", 443)),
        ("https://school.example:8443/", ("https", "school.example", 8443)),
        ("http://localhost:8080/keys", ("http", "localhost", 8080)),
        ("http://127.0.0.1/keys", ("http", "127.0.0.1", 80)),
    ],
)
def test_the_origin_of_an_address(url: str, origin: tuple[str, str, int]) -> None:
    assert origin_of(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "http://school.example/keys",
        "ftp://school.example",
        "https://",
        "https:///keys",
        "https://school.example@keys.example",
        "https://school.example\\@keys.example",
        "https://school.example\\.keys.example",
        "https://school.example:/",
        "https://school.example:0",
        "https://school.example:443@keys.example",
        "https://[::1]/keys",
        "https://schöol.example",
        "https://school.example /keys",
        " https://school.example",
        "did:web:school.example",
    ],
)
def test_what_could_be_read_in_two_ways_has_no_origin(url: str) -> None:
    with pytest.raises(Malformed):
        origin_of(url)


@pytest.mark.parametrize(
    ("method", "identifier"),
    [
        ("https://school.example/issuers/1#key-1", "https://school.example/issuers/1"),
        ("https://school.example#key-1", "https://school.example"),
        ("https://school.example/?issuer=1#key-1", "https://school.example/?issuer=1"),
        ("http://localhost:8080/issuer#key-1", "http://localhost:8080/issuer"),
        ("did:web:school.example?a=b#key-1", "did:web:school.example"),
    ],
)
def test_a_method_is_in_the_document_of_what_stands_before_its_fragment(method: str, identifier: str) -> None:
    """Controlled Identifiers 1.0 section 3.3: of a URL the fragment is left out, and nothing else."""
    assert identifier_of(method) == identifier


@pytest.mark.parametrize(
    "method",
    [
        "http://school.example/issuer#key-1",
        "https://school.example@keys.example/issuer#key-1",
        "https://school.example/issuer#a b",
        "https://school.example/a\\b#key-1",
        "https://school.example/issuer#a#b",
        "https://school.example/" + "a" * 8192,
        "urn:uuid:4ca4a241-fc3b-4d92-978e-f56fa96ae795#key-1",
        "z6MkrvfzkMnvCroEUP2DVc9SHPE48CRsvHiVSusHioxTYu1x",
    ],
)
def test_what_is_neither_a_did_url_nor_at_an_https_address_names_no_document(method: str) -> None:
    with pytest.raises(Malformed):
        identifier_of(method)
