from __future__ import annotations

import json
from pathlib import Path

import pytest

from node.core.canonical.contexts import ContextNotPinned, ContextStore
from node.core.errors import Misconfigured
from node.core.problem import CONTEXT_NOT_PINNED
from schemas import context_digests, load_contexts

# Digests that the specifications publish, of RFC 8785 forms (VCDM 2.0 B.1, DI §2.4, BSL §5.2; Open Badges: repository).
PUBLISHED = {
    "https://www.w3.org/ns/credentials/v2": "b463c8d6a066214123ddd9827b135e1b50e1fc73322cc52a9b12a4f1fc7d86cf",
    "https://w3id.org/security/data-integrity/v2": "7ba3c50acf2689d5e07927267343eb353249c7c22a9f2d00307cc970e855e305",
    "https://www.w3.org/2018/credentials/v1": "b01e671e873981f19a9102a9a57f666dbcaeb31b99e3e124378d143e71549247",
    "https://w3id.org/security/multikey/v1": "be20c3ee6af6e9c4102e66a85c26617831218e32216bdf050f870e389e737cdc",
    "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json": (
        "7defe702c102faf14108579b7d65ef39ecf4c3bbef925b803e15bd77cd6e3394"
    ),
    "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json": (
        "c5e555a91a5cf48e32ae0a05674c61ddd5c053b680b5643b2f57f9965e386d99"
    ),
}


def test_every_vendored_context_has_the_digest_of_the_index() -> None:
    store = ContextStore(load_contexts(), context_digests())
    for url in store:
        assert "@context" in store.get(url)


def test_published_digests_are_those_of_the_index() -> None:
    assert context_digests().items() >= PUBLISHED.items()


OPEN_BADGES, CLR = "https://purl.imsglobal.org/spec/ob/v3p0/", "https://purl.imsglobal.org/spec/clr/v2p0/"


@pytest.mark.parametrize(
    ("file", "url"),
    [
        ("ob3-spec/context.json", OPEN_BADGES + "context.json"),
        ("ob3-spec/context-3.0.1.json", OPEN_BADGES + "context-3.0.1.json"),
        ("ob3-spec/context-3.0.2.json", OPEN_BADGES + "context-3.0.2.json"),
        ("ob3-spec/context-3.0.3.json", OPEN_BADGES + "context-3.0.3.json"),
        ("clr2-1edtech/contexts/clr-v2p0.json", CLR + "context.json"),
        ("clr2-1edtech/contexts/clr-v2p0-2.0.1.json", CLR + "context-2.0.1.json"),
    ],
)
def test_a_context_of_1edtech_is_pinned_as_it_was_published(vectors: Path, file: str, url: str) -> None:
    published = json.loads((vectors / file).read_text())
    assert ContextStore(load_contexts(), context_digests()).get(url) == published


def test_a_context_that_is_not_pinned_is_unavailable_and_named() -> None:
    with pytest.raises(ContextNotPinned) as caught:
        ContextStore({}, {}).get("https://example.org/c")
    assert caught.value.asked == "https://example.org/c"
    assert caught.value.problem.type == CONTEXT_NOT_PINNED


@pytest.mark.parametrize(
    "url",
    [
        "https://www.w3.org/ns/credentials/v2#",
        "https://www.w3.org/ns/credentials/./v2",
        "HTTPS://www.w3.org/ns/credentials/v2",
    ],
)
def test_urls_are_compared_as_written(url: str) -> None:
    with pytest.raises(ContextNotPinned):
        ContextStore(load_contexts(), context_digests()).get(url)


@pytest.mark.parametrize("data", [b'{"@context": {}}', b"{", b"[]"], ids=["changed", "cut", "no object"])
def test_a_file_that_is_not_what_its_digest_says_is_misconfigured(data: bytes) -> None:
    store = ContextStore({"urn:c": data}, {"urn:c": "00" * 32})
    with pytest.raises(Misconfigured):
        store.get("urn:c")


def test_white_space_does_not_matter() -> None:
    url = "https://www.w3.org/ns/credentials/v2"
    spaced = json.dumps(json.loads(load_contexts()[url]), indent=3).encode()
    assert ContextStore({url: spaced}, context_digests()).get(url)
