"""Fetching named documents and resolving DIDs, against a real server and a chain that a test tells what to say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiohttp import web
from fixtures.webvh import Log, did_key
from fixtures.webvh import document as web_vh_document
from fixtures.webvh import multikey as web_vh_key

from node.core import problem
from node.core.did.ethr import (
    ATTRIBUTE_CHANGED,
    MULTIKEY_ATTRIBUTE,
    OWNER_CHANGED,
    AttributeChanged,
    OwnerChanged,
)
from node.core.errors import Malformed, NotFound, NotVerified, Unavailable
from node.core.keys import KeyKind, PublicKey
from node.core.verify.materials import Mode
from node.outbound.fetch import CHECKPOINT_FILE, DID_DOCUMENT, STATUS_LIST, fetch_json, fetch_json_or_token
from node.outbound.http import Egress, EgressDenied, EgressPolicy, NamedBy
from node.outbound.resolve import (
    MAX_CHANGED_BLOCKS,
    RegistryEndpoint,
    fetch_ethr_history,
    resolve_did,
)

NOW = datetime(2026, 6, 1, tzinfo=UTC)
KEY = PublicKey(KeyKind.ED25519, bytes(range(32)))
IDENTITY = bytes.fromhex("f3beac30c498d9e26865f34fcaa57dbb935b0d74")
ETHR = "did:ethr:0x7a69:0x" + IDENTITY.hex()
REGISTRY = bytes.fromhex("dca7ef03e98e0dc2b855be647c39abe984fcf21b")
FAR = 2**40


class Site:
    """A server of documents; `answers` maps a path to status, content type and body."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, str, bytes]] = {}
        self.accepted: list[str] = []
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.accepted.append(request.headers["Accept"])
        status, content_type, body = self.answers.get(request.path, (404, "text/plain", b""))
        return web.Response(status=status, body=body, headers={"Content-Type": content_type})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/list"


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    app = web.Application()
    app.router.add_get("/{tail:.*}", site.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    site.port = runner.addresses[0][1]
    yield site
    await runner.cleanup()


@pytest.fixture
async def egress() -> AsyncIterator[Egress]:
    async with Egress(EgressPolicy(mode=Mode.FULL, allow_loopback=True)) as egress:
        yield egress


async def test_a_fetched_document_keeps_the_bytes_it_came_in(site: Site, egress: Egress) -> None:
    site.answers["/list"] = (200, "application/VC; charset=utf-8", b'{ "a": 1 }')
    fetched = await fetch_json(egress, site.url, purpose=STATUS_LIST)
    assert (fetched.document, fetched.body, fetched.content_type) == (
        {"a": 1},
        b'{ "a": 1 }',
        "application/vc",
    )
    assert site.accepted[0].startswith("application/vc, ")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, "application/json", b"{}"), NotFound),
        ((410, "application/json", b"{}"), NotFound),
        ((500, "application/json", b"{}"), Unavailable),
        ((302, "application/json", b"{}"), Unavailable),
        ((206, "application/json", b"{}"), Unavailable),
        ((200, "text/html", b"{}"), Unavailable),
        ((200, "", b"{}"), Unavailable),
        ((200, "application/json", b" " * (STATUS_LIST.max_bytes + 1)), Unavailable),
        ((200, "application/json", b"[]"), Malformed),
        ((200, "application/json", b'{"a":1,"a":2}'), Malformed),
        ((200, "application/json", b"\xff"), Malformed),
    ],
)
async def test_what_is_not_the_document_is_told_apart_by_its_reason(
    answer: tuple[int, str, bytes], error: type[Exception], site: Site, egress: Egress
) -> None:
    site.answers["/list"] = answer
    with pytest.raises(error):
        await fetch_json(egress, site.url, purpose=STATUS_LIST)


@pytest.mark.parametrize(
    ("content_type", "body", "content"),
    [
        ("application/vc+jwt", b"eyJ9.e30.AA\n", "eyJ9.e30.AA"),
        ("text/plain", b"eyJ9.e30.AA", "eyJ9.e30.AA"),
        ("application/statuslist+jwt", b"eyJ9.e30.AA", "eyJ9.e30.AA"),
        ("application/statuslist+cwt", b"\xd2\x84\n", b"\xd2\x84\n"),
        ("application/vc+cose", b"\xd2\x84 ", b"\xd2\x84 "),
        ("application/vc", b'{"a": 1}', {"a": 1}),
        ("application/json", b'{"a": 1}', {"a": 1}),
    ],
)
async def test_a_status_list_may_be_a_token(
    content_type: str, body: bytes, content: object, site: Site, egress: Egress
) -> None:
    site.answers["/list"] = (200, content_type, body)
    assert await fetch_json_or_token(egress, site.url, purpose=STATUS_LIST) == (content, site.url)


@pytest.mark.parametrize("body", [b"a text", b"[]", b"", b"eyJ9.e30.AA eyJ9", b"\xff"])
async def test_a_status_list_that_is_neither_object_nor_token_is_malformed(
    body: bytes, site: Site, egress: Egress
) -> None:
    site.answers["/list"] = (200, "text/plain", body)
    with pytest.raises(Malformed):
        await fetch_json_or_token(egress, site.url, purpose=STATUS_LIST)


async def test_a_status_list_that_cannot_be_had_says_so_in_the_standard_s_words(
    site: Site, egress: Egress
) -> None:
    site.answers["/list"] = (503, "text/plain", b"")
    with pytest.raises(Unavailable) as caught:
        await fetch_json(egress, site.url, purpose=STATUS_LIST)
    assert caught.value.problem.type == problem.STATUS_RETRIEVAL_ERROR


def web_document(did: str, **changes: Any) -> bytes:
    method = {
        "id": did + "#key-1",
        "type": "Multikey",
        "controller": did,
        "publicKeyMultibase": KEY.multibase,
    }
    return orjson.dumps(
        {"id": did, "verificationMethod": [method], "assertionMethod": [method["id"]]} | changes
    )


@pytest.mark.parametrize("answer", [(503, "text/plain", b""), (200, "text/html", b"{}")])
async def test_of_a_mirror_that_fails_the_host_alone_is_told(
    site: Site, answer: tuple[int, str, bytes]
) -> None:
    url = f"{site.url}/very-secret?key=very-secret"
    site.answers["/list/very-secret"] = answer
    async with Egress(EgressPolicy(mode=Mode.MIRROR, mirrors=(url,))) as egress:
        with pytest.raises(Unavailable) as failed:
            await fetch_json(egress, url, purpose=CHECKPOINT_FILE, named_by=NamedBy.MIRROR)
    assert failed.value.asked == "127.0.0.1"
    assert "secret" not in failed.value.detail


async def test_did_web_is_fetched_from_its_url(site: Site, egress: Egress) -> None:
    did = f"did:web:localhost%3A{site.port}:school"
    site.answers["/school/did.json"] = (200, "application/did+json", web_document(did))
    result = await resolve_did(did, now=NOW, egress=egress)
    assert result.document.method(did + "#key-1", "assertionMethod").public_key == KEY
    assert result.content_type == "application/did+json"
    assert egress.contacted == (f"localhost:{site.port}",)


async def test_did_web_must_hold_itself_and_absolute_urls(site: Site, egress: Egress) -> None:
    did = f"did:web:localhost%3A{site.port}"
    for body in (web_document("did:web:other.example"), web_document(did, assertionMethod=["#key-1"])):
        site.answers["/.well-known/did.json"] = (200, "application/json", body)
        with pytest.raises(Malformed):
            await resolve_did(did, now=NOW, egress=egress)


async def test_did_web_without_document_is_not_found(site: Site, egress: Egress) -> None:
    with pytest.raises(NotFound) as caught:
        await resolve_did(f"did:web:localhost%3A{site.port}", now=NOW, egress=egress)
    assert caught.value.problem.type == problem.DID_NOT_FOUND
    assert DID_DOCUMENT.content_types[0] in site.accepted[0]


@pytest.mark.parametrize("mode", [Mode.OFFLINE, Mode.CHAIN, Mode.MIRROR])
async def test_did_web_is_fetched_in_mode_full_alone(mode: Mode, site: Site) -> None:
    async with Egress(EgressPolicy(mode=mode, allow_loopback=True)) as egress:
        with pytest.raises(EgressDenied):
            await resolve_did(f"did:web:localhost%3A{site.port}", now=NOW, egress=egress)


async def test_did_webvh_is_what_its_verified_log_says(site: Site, egress: Egress) -> None:
    log = Log(f"localhost%3A{site.port}:school")
    log.update(state=web_vh_document(log.did, key=8))
    site.answers["/school/did.jsonl"] = (200, "text/jsonl", log.to_bytes())
    result = await resolve_did(log.did, now=NOW, egress=egress)
    assert result.document.methods[0].raw["publicKeyMultibase"] == web_vh_key(8)
    assert result.version_id == log.entries[1]["versionId"]
    log.entries[1]["state"]["alsoKnownAs"] = ["did:web:somebody.example"]
    site.answers["/school/did.jsonl"] = (200, "text/jsonl", log.to_bytes())
    with pytest.raises(NotVerified):
        await resolve_did(log.did, now=NOW, egress=egress)


async def test_the_witnesses_of_a_did_webvh_are_asked_for_where_it_names_some(
    site: Site, egress: Egress
) -> None:
    rule = {"threshold": 1, "witnesses": [{"id": did_key(3)}]}
    log = Log(f"localhost%3A{site.port}", witness=rule)
    site.answers["/.well-known/did.jsonl"] = (200, "text/plain", log.to_bytes())
    with pytest.raises(NotFound):
        await resolve_did(log.did, now=NOW, egress=egress)
    log.approve(1, 3)
    site.answers["/.well-known/did-witness.json"] = (200, "application/json", log.witness_bytes())
    assert (await resolve_did(log.did, now=NOW, egress=egress)).document.id == log.did


async def test_a_deactivated_did_webvh_has_no_keys_left(site: Site, egress: Egress) -> None:
    log = Log(f"localhost%3A{site.port}")
    log.update(deactivated=True)
    site.answers["/.well-known/did.jsonl"] = (200, "text/jsonl", log.to_bytes())
    result = await resolve_did(log.did, now=NOW, egress=egress)
    assert result.deactivated
    assert result.document.methods == ()


async def test_a_did_webvh_that_moved_is_not_served_from_its_old_place(site: Site, egress: Egress) -> None:
    log = Log(f"localhost%3A{site.port}", portable=True)
    moved = f"did:webvh:{log.scid}:new.example"
    log.update(state=web_vh_document(moved) | {"alsoKnownAs": [log.did]})
    site.answers["/.well-known/did.jsonl"] = (200, "text/jsonl", log.to_bytes())
    with pytest.raises(NotVerified, match=r"moved to .*new\.example"):
        await resolve_did(log.did, now=NOW, egress=egress)


async def test_did_pkh_names_an_account_and_no_key() -> None:
    did = "did:pkh:eip155:1:0xb9c5714089478a327F09197987f16f9E5d936E8a"
    document = (await resolve_did(did, now=NOW)).document
    method = document.method(f"{did}#blockchainAccountId", "assertionMethod")
    assert method.public_key is None
    assert method.raw["blockchainAccountId"] == did.removeprefix("did:pkh:")


async def test_dids_that_hold_their_key_need_nothing() -> None:
    did = "did:key:" + KEY.multibase
    assert (await resolve_did(did, now=NOW)).document.methods[0].public_key == KEY


@pytest.mark.parametrize(
    "did", ["did:web:example.com", "did:pkh:tezos:NetXdQprcVkpaWU:tz1abc", Log().did, ETHR]
)
async def test_what_nobody_here_can_resolve_could_not_be_told(did: str) -> None:
    with pytest.raises(Unavailable) as caught:
        await resolve_did(did, now=NOW)
    assert caught.value.problem.type == problem.METHOD_NOT_SUPPORTED


class FakeChain:
    """As much of a chain client as reading a registry takes. Block n has the time 1,000 n."""

    host = "chain.example:443"

    def __init__(self, *events: AttributeChanged | OwnerChanged) -> None:
        self.by_block: dict[int, list[dict[str, Any]]] = {}
        previous = 0
        for event in events:
            logs = self.by_block.setdefault(event.block_number, [])
            logs.append(encode_log(event, previous))
            previous = event.block_number
        self.changed = previous
        self.asked: list[int] = []

    async def chain_id(self) -> int:
        return 31337

    async def call(self, to: bytes, data: bytes, block: object = "latest") -> bytes:
        assert (to, block, data) == (
            REGISTRY,
            "latest",
            bytes.fromhex("f96d0f9f") + IDENTITY.rjust(32, b"\0"),
        )
        return self.changed.to_bytes(32, "big")

    async def logs(
        self, address: bytes, topics: object, *, from_block: int, to_block: int
    ) -> list[dict[str, Any]]:
        assert (address, from_block) == (REGISTRY, to_block)
        assert topics == [None, IDENTITY.rjust(32, b"\0")]
        self.asked.append(from_block)
        return self.by_block.get(from_block, [])

    async def header(self, block: int) -> Any:
        return type("Header", (), {"timestamp": 1000 * block})


def encode_log(event: AttributeChanged | OwnerChanged, previous: int) -> dict[str, Any]:
    if isinstance(event, OwnerChanged):
        topic, words = OWNER_CHANGED, event.owner.rjust(32, b"\0") + previous.to_bytes(32, "big")
    else:
        topic = ATTRIBUTE_CHANGED
        words = event.name + b"".join(
            n.to_bytes(32, "big") for n in (128, event.valid_to, previous, len(event.value))
        )
        words += event.value.ljust(64, b"\0")
    return {
        "address": "0x" + REGISTRY.hex().upper(),
        "topics": ["0x" + topic.hex(), "0x" + IDENTITY.rjust(32, b"\0").hex()],
        "data": "0x" + words.hex(),
        "blockNumber": hex(event.block_number),
        "logIndex": hex(event.log_index),
    }


def multikey(block: int, index: int = 0, valid_to: int = FAR) -> AttributeChanged:
    name = MULTIKEY_ATTRIBUTE.ljust(32, b"\0")
    return AttributeChanged(IDENTITY, block, index, 0, name, KEY.multicodec_bytes, valid_to)


def endpoint(chain: FakeChain) -> RegistryEndpoint:
    return RegistryEndpoint(chain, REGISTRY)  # type: ignore[arg-type]


async def test_events_are_read_backwards_block_by_block_and_told_forwards() -> None:
    chain = FakeChain(multikey(3), multikey(7, 1), multikey(7, 2), OwnerChanged(IDENTITY, 9, 0, 0, IDENTITY))
    history = await fetch_ethr_history(endpoint(chain), IDENTITY)
    assert chain.asked == [9, 7, 3]
    places = [(event.block_number, event.log_index, event.previous_change) for event in history.events]
    assert places == [(3, 0, 0), (7, 1, 3), (7, 2, 7), (9, 0, 7)]
    assert history.source == chain.host


async def test_did_ethr_is_resolved_with_the_times_of_its_versions() -> None:
    registries = {31337: endpoint(FakeChain(multikey(3), multikey(7, valid_to=0)))}
    newest = await resolve_did(ETHR, now=NOW, registries=registries)
    assert newest.to_json()["didDocumentMetadata"] == {"versionId": "7", "updated": "1970-01-01T01:56:40Z"}
    assert len(newest.document.methods) == 1
    version = await resolve_did(ETHR, now=NOW, registries=registries, at_block=5)
    assert version.document.method(ETHR + "#delegate-1", "assertionMethod").public_key == KEY
    assert version.to_json()["didDocumentMetadata"] == {
        "versionId": "3",
        "updated": "1970-01-01T00:50:00Z",
        "nextVersionId": "7",
        "nextUpdate": "1970-01-01T01:56:40Z",
    }


async def test_an_identity_without_changes_asks_for_no_events() -> None:
    chain = FakeChain()
    result = await resolve_did(ETHR, now=NOW, registries={31337: endpoint(chain)})
    assert (chain.asked, result.version_id) == ([], None)


def broken(chain: FakeChain, **changes: Any) -> FakeChain:
    chain.by_block[chain.changed][0] |= changes
    return chain


@pytest.mark.parametrize(
    "chain",
    [
        broken(FakeChain(multikey(3)), data="0x"),
        broken(FakeChain(multikey(3)), removed=True),
        broken(FakeChain(multikey(3)), address="0x" + "11" * 20),
        broken(FakeChain(multikey(3)), blockNumber="0x4"),
        broken(FakeChain(multikey(3), multikey(3, 1)), logIndex="0x1"),
        broken(FakeChain(multikey(3)), topics=["0x" + OWNER_CHANGED.hex(), "0x" + "00" * 32]),
        FakeChain(*(multikey(block) for block in range(1, MAX_CHANGED_BLOCKS + 2))),
    ],
    ids=["data", "removed", "address", "block", "twice", "identity", "too many"],
)
async def test_an_endpoint_that_gives_less_than_the_registry_promises_is_named(chain: FakeChain) -> None:
    with pytest.raises(Unavailable) as caught:
        await fetch_ethr_history(endpoint(chain), IDENTITY)
    assert caught.value.asked == chain.host


async def test_an_endpoint_of_another_chain_is_not_believed() -> None:
    other = "did:ethr:0x1:0x" + IDENTITY.hex()
    with pytest.raises(Unavailable):
        await resolve_did(other, now=NOW, registries={1: endpoint(FakeChain())})
