"""Where the metadata of an issuer are."""

from __future__ import annotations

import pytest

from node.core.jose.key_set import metadata_url


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
