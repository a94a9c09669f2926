"""The addresses of issuers' keys: two readers of a URL must not see different hosts in it."""

from __future__ import annotations

import pytest

from node.core.errors import Malformed
from node.core.jose.key_set import metadata_url, origin_of


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
    ("issuer", "url"),
    [
        ("https://school.example", "https://school.example/.well-known/jwt-vc-issuer"),
        ("https://school.example/", "https://school.example/.well-known/jwt-vc-issuer"),
        ("https://school.example:1/a/b", "https://school.example:1/.well-known/jwt-vc-issuer/a/b"),
    ],
)
def test_the_metadata_of_an_issuer_are_between_its_host_and_its_path(issuer: str, url: str) -> None:
    """SD-JWT VC section 5, "JWT VC Issuer Metadata Request"."""
    assert metadata_url(issuer) == url
