"""Digests of related resources (VC Data Model 2.0 section 5.3), compared with the files that are here."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from node.core.canonical.contexts import CREDENTIALS_V1, CREDENTIALS_V2, DATA_INTEGRITY_V2, ContextStore
from node.core.encoding import SHA2_256, SHA2_384, encode_multibase
from node.core.errors import Malformed
from node.core.related_resource import check_related_resources
from schemas import context_digests, load_contexts

URL = "https://school.example/terms"
DATA = b"the terms"


def published(url: str) -> bytes | None:
    return DATA if url == URL else None


def sri(data: bytes, name: str = "sha384") -> str:
    return f"{name}-{base64.b64encode(hashlib.new(name, data).digest()).decode()}"


def multibase(data: bytes, base: str = "u", header: bytes = SHA2_256, name: str = "sha256") -> str:
    return encode_multibase(header + hashlib.new(name, data).digest(), base)


def check(resource: Any) -> None:
    check_related_resources({"relatedResource": resource}, published)


RIGHT = {
    "sha256": {"digestSRI": sri(DATA, "sha256")},
    "sha384": {"digestSRI": sri(DATA)},
    "sha512": {"digestSRI": sri(DATA, "sha512")},
    "an option behind it": {"digestSRI": sri(DATA) + "?ct=text/html"},
    "the strongest fits, a weaker one does not": {"digestSRI": f"{sri(b'', 'sha256')} {sri(DATA)}"},
    "one of equals": {"digestSRI": f"{sri(b'')} {sri(DATA)}"},
    "a list": {"digestSRI": [sri(b""), sri(DATA)]},
    "multihash of SHA2-256": {"digestMultibase": multibase(DATA)},
    "multihash in base58": {"digestMultibase": multibase(DATA, "z")},
    "multihash of SHA2-384": {"digestMultibase": multibase(DATA, "u", SHA2_384, "sha384")},
    "both": {"digestSRI": sri(DATA), "digestMultibase": multibase(DATA)},
}
WRONG = {
    "of another file": {"digestSRI": sri(b"")},
    "the strongest is wrong": {"digestSRI": f"{sri(DATA, 'sha256')} {sri(b'')}"},
    "multihash of another file": {"digestMultibase": multibase(b"")},
    "one member right, the other wrong": {"digestSRI": sri(DATA), "digestMultibase": multibase(b"")},
}


@pytest.mark.parametrize("digests", RIGHT.values(), ids=RIGHT)
def test_a_digest_of_the_resource_passes(digests: dict[str, Any]) -> None:
    check({"id": URL, **digests})
    check([{"id": URL, **digests}])


@pytest.mark.parametrize("digests", WRONG.values(), ids=WRONG)
def test_a_digest_of_something_else_is_an_error_at_its_place(digests: dict[str, Any]) -> None:
    other = {"id": "urn:uuid:1", **digests}
    with pytest.raises(Malformed) as raised:
        check([other, {"id": URL, **digests}])
    assert raised.value.problem.path[:2] == ("relatedResource", 1)
    with pytest.raises(Malformed):
        check({"id": URL, **digests})


def test_what_is_not_here_is_not_compared() -> None:
    check({"id": "https://school.example/other", "digestSRI": sri(b"")})
    check_related_resources({}, published)


def test_the_contexts_that_standards_publish_are_here_byte_for_byte() -> None:
    store = ContextStore(load_contexts(), context_digests())
    for url in (CREDENTIALS_V2, DATA_INTEGRITY_V2):
        assert store.published(url) is not None, url
    # No standard prints a digest of it, and another layout would be another digest.
    assert store.published(CREDENTIALS_V1) is None


def test_a_context_file_of_another_layout_is_not_the_published_one() -> None:
    files = load_contexts()
    files[CREDENTIALS_V2] += b"\n"
    assert ContextStore(files, context_digests()).published(CREDENTIALS_V2) is None
