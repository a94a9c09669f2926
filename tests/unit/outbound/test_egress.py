"""The egress guard (FORMATS.md section 10), against real servers on loopback and invented name servers."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp.connector
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from yarl import URL

from node.core.errors import Misconfigured, Unavailable
from node.core.evm.agreement import Endpoints
from node.core.verify.materials import Mode
from node.outbound import http
from node.outbound.http import (
    Egress,
    EgressDenied,
    EgressLimits,
    EgressPolicy,
    NamedBy,
    is_global_address,
)

PUBLIC = "93.184.216.34"
DEVELOPMENT = EgressPolicy(mode=Mode.FULL, allow_loopback=True)
FULL = EgressPolicy(mode=Mode.FULL)


class FakeNames:
    """A name server that answers what it is told, the last answer for ever."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


class Server:
    """An HTTP server on loopback that remembers the requests it saw."""

    def __init__(self) -> None:
        self.requests: list[web.Request] = []
        self.port = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        match request.path:
            case "/redirect":
                raise web.HTTPFound("/json")
            case "/large":
                return web.Response(body=bytes(100_000))
            case "/slow":
                await asyncio.sleep(5)
            case "/gzip":
                return web.Response(body=b"\x1f\x8b", headers={"Content-Encoding": "gzip"})
            case "/rpc":
                body = await request.json()
                return web.json_response({"jsonrpc": "2.0", "id": body["id"], "result": "0x7a69"})
        return web.json_response({"path": request.path}, headers={"Set-Cookie": "a=b"})

    def url(self, path: str = "/json", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    server = Server()
    async for _ in serving(server, None):
        yield server


async def serving(server: Server, tls: ssl.SSLContext | None) -> AsyncIterator[Server]:
    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    server.port = runner.addresses[0][1]
    yield server
    await runner.cleanup()


async def denied(egress: Egress, url: str, named_by: NamedBy = NamedBy.DOCUMENT) -> str:
    with pytest.raises(EgressDenied) as caught:
        await egress.request("GET", url, named_by=named_by)
    assert egress.contacted == ()
    return caught.value.detail


@pytest.mark.parametrize(
    ("mode", "reached"),
    [
        (Mode.OFFLINE, set()),
        (Mode.CHAIN, {NamedBy.ENDPOINT, NamedBy.BEACON}),
        (Mode.MIRROR, {NamedBy.ENDPOINT, NamedBy.BEACON, NamedBy.MIRROR}),
        (Mode.FULL, set(NamedBy)),
    ],
)
async def test_each_mode_opens_what_it_names(mode: Mode, reached: set[NamedBy], server: Server) -> None:
    for named_by in NamedBy:
        url = server.url()
        configured = {
            NamedBy.ENDPOINT: replace(DEVELOPMENT, endpoints=Endpoints.of([url])),
            NamedBy.BEACON: replace(DEVELOPMENT, beacons=(url,)),
            NamedBy.MIRROR: replace(DEVELOPMENT, mirrors=(url,)),
            NamedBy.DOCUMENT: DEVELOPMENT,
        }[named_by]
        async with Egress(replace(configured, mode=mode)) as egress:
            if named_by in reached:
                answer = await egress.request("GET", url, named_by=named_by)
                assert (answer.status, answer.content_type) == (200, "application/json")
                assert egress.contacted == (f"127.0.0.1:{server.port}",)
            else:
                await denied(egress, url, named_by)


async def test_only_configured_endpoints_and_mirrors_are_asked_as_such(server: Server) -> None:
    policy = replace(DEVELOPMENT, endpoints=Endpoints.of([server.url("/rpc")]))
    async with Egress(policy) as egress:
        await denied(egress, server.url(), NamedBy.MIRROR)
        await denied(egress, server.url(host="localhost"), NamedBy.ENDPOINT)
        await denied(egress, server.url().replace("http:", "https:"), NamedBy.ENDPOINT)
        await denied(egress, "http://127.0.0.1:1/", NamedBy.ENDPOINT)
        with pytest.raises(EgressDenied):
            egress.chain("http://127.0.0.1:1/")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "school.localhost", "127.1.2.3", "[::1]"])
async def test_no_document_reaches_what_the_operator_configured(host: str, server: Server) -> None:
    endpoint = replace(DEVELOPMENT, endpoints=Endpoints.of([server.url()]))
    for configured in (endpoint, replace(DEVELOPMENT, mirrors=(server.url(),))):
        async with Egress(configured) as egress:
            assert "operator" in await denied(egress, server.url(host=host))
    public = replace(FULL, endpoints=Endpoints.of(["https://rpc.example/key"]))
    async with Egress(public, lookup=FakeNames([PUBLIC])) as egress:
        await denied(egress, "https://RPC.example/other")


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/",
        "https://example.org:8443/",
        "https://user@example.org/",
        "https://user:pass@example.org/",
        "https://@example.org/",
        "https://example.org./",
        "https:///path",
        "ftp://example.org/",
        "file:///etc/passwd",
        "data:application/json,{}",
        "example.org",
        "",
        "https://example.org\\@127.0.0.1/",
        "https://exa mple.org/",
        "https://example.org/\r\nX: y",
        "https://ex\u00e4mple.org/",
        "https://example.org:99999/",
        "https://[::1/",
        "https://example.org/" + "a" * 3000,
    ],
)
async def test_a_document_names_https_hosts_on_port_443_and_nothing_else(url: str) -> None:
    names = FakeNames([PUBLIC])
    async with Egress(FULL, lookup=names) as egress:
        await denied(egress, url)
    assert names.asked == []


async def test_another_port_must_be_configured() -> None:
    async with Egress(replace(FULL, hosts=("example.org:8443",)), lookup=FakeNames(["10.0.0.1"])) as egress:
        assert "not public" in await denied(egress, "https://example.org:8443/")


NOT_GLOBAL = [
    "0.0.0.0", "10.0.0.1", "100.64.0.1", "127.0.0.1", "169.254.169.254", "172.16.0.1", "192.0.2.1",  # noqa: S104
    "192.168.1.1", "198.18.0.1", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "fe80::1", "fe80::1%2", "fc00::1", "fd12::1", "fec0::1", "ff02::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "2002:7f00:1::", "2002:a00:1::1", "2002:a9fe:a9fe::",
    "64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b:1::1",
    "2001:0:5db8:d822:0:0:f5ff:fffe", "2001:0:a00:1:0:0:a247:27dd", "100::1", "5f00::1",
]  # fmt: skip


@pytest.mark.parametrize("address", NOT_GLOBAL)
def test_addresses_that_are_not_public_are_recognised_inside_others_too(address: str) -> None:
    assert not is_global_address(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "address",
    [PUBLIC, "1.1.1.1", "2606:4700::1111", f"::ffff:{PUBLIC}", "2002:5db8:d822::1", "64:ff9b::5db8:d822"],
)
def test_public_addresses_are_recognised_inside_others_too(address: str) -> None:
    assert is_global_address(ipaddress.ip_address(address))


@pytest.mark.parametrize("addresses", [[PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], ["::1"], [PUBLIC, "::1"]])
async def test_one_address_that_is_not_public_is_enough_to_refuse(addresses: list[str]) -> None:
    async with Egress(FULL, lookup=FakeNames(addresses)) as egress:
        assert "not public" in await denied(egress, "https://example.org/")


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "[::1]", "10.0.0.1", "127.1", "2130706433", "0x7f.1", "localhost"]
)
async def test_an_address_written_into_a_url_is_judged_too(host: str) -> None:
    async with Egress(FULL) as egress:
        with pytest.raises((EgressDenied, Unavailable)):
            await egress.request("GET", f"https://{host}/")
        assert egress.contacted == ()


async def test_the_development_switch_admits_loopback_and_no_other_private_host(server: Server) -> None:
    async with Egress(DEVELOPMENT, lookup=FakeNames(["127.0.0.1"])) as egress:
        assert (await egress.request("GET", server.url(host="school.localhost"))).status == 200
    for url, address in (
        ("http://example.org/", "127.0.0.1"),
        ("https://example.org/", "127.0.0.1"),
        ("http://school.localhost/", "10.0.0.1"),
        ("https://10.0.0.1/", "10.0.0.1"),
    ):
        async with Egress(DEVELOPMENT, lookup=FakeNames([address])) as egress:
            await denied(egress, url)


async def test_the_second_answer_of_a_name_server_is_never_heard(server: Server) -> None:
    names = FakeNames(["127.0.0.1"], ["10.0.0.1"])
    async with Egress(DEVELOPMENT, lookup=names) as egress:
        for _ in range(3):
            url = server.url(host="rebind.localhost")
            assert (await egress.request("GET", url, headers={"Connection": "close"})).status == 200
    assert names.asked == ["rebind.localhost"]


async def test_rebinding_to_loopback_connects_to_the_public_address_that_was_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[tuple[Any, ...]] = []

    async def connect(addr_infos: list[tuple[Any, ...]], **_: Any) -> None:
        tried.extend(info[4] for info in addr_infos)
        raise OSError(111, "Connection refused")

    monkeypatch.setattr(aiohttp.connector.aiohappyeyeballs, "start_connection", connect)
    async with Egress(FULL, lookup=FakeNames([PUBLIC], ["127.0.0.1"])) as egress:
        for _ in range(2):
            with pytest.raises(Unavailable) as caught:
                await egress.request("GET", "https://example.org/secret?code=1")
        assert egress.contacted == ("example.org:443",)
    assert set(tried) == {(PUBLIC, 443)}
    assert "secret" not in caught.value.detail


async def test_redirects_are_answers_and_are_not_followed(server: Server) -> None:
    async with Egress(DEVELOPMENT) as egress:
        assert (await egress.request("GET", server.url("/redirect"))).status == 302
    assert [request.path for request in server.requests] == ["/redirect"]


async def test_proxies_and_cookies_are_not_taken_from_anywhere(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    async with Egress(DEVELOPMENT) as egress:
        for _ in range(2):
            await egress.request("GET", server.url())
    assert "Cookie" not in server.requests[1].headers


async def test_answers_are_limited_in_bytes_time_and_number(server: Server) -> None:
    small = EgressLimits(request_bytes=1000, request_seconds=0.2, requests=3)
    async with Egress(replace(DEVELOPMENT, limits=small)) as egress:
        for path, reason in (("/large", "more than 1,000 bytes"), ("/slow", "in time")):
            with pytest.raises(Unavailable, match=reason):
                await egress.request("GET", server.url(path))
        assert (await egress.request("GET", server.url())).status == 200
        with pytest.raises(Unavailable, match="at most 3 requests"):
            await egress.request("GET", server.url())
        fresh = egress.for_report()
        assert (await fresh.request("GET", server.url())).status == 200
        await fresh.close()


async def test_the_limits_of_a_report_hold_over_all_its_requests(server: Server) -> None:
    limits = EgressLimits(total_bytes=150_000, total_seconds=60)
    async with Egress(replace(DEVELOPMENT, limits=limits)) as egress:
        await egress.request("GET", server.url("/large"))
        with pytest.raises(Unavailable, match="reads at most"):
            await egress.request("GET", server.url("/large"))
    async with Egress(replace(DEVELOPMENT, limits=EgressLimits(total_seconds=0.05))) as egress:
        await egress.request("GET", server.url())
        await asyncio.sleep(0.06)
        with pytest.raises(Unavailable, match="used up"):
            await egress.request("GET", server.url())


async def test_a_compressed_answer_is_not_unpacked(server: Server) -> None:
    async with Egress(DEVELOPMENT) as egress:
        with pytest.raises(Unavailable, match="compressed"):
            await egress.request("GET", server.url("/gzip"))


async def test_a_host_that_cannot_be_reached_is_unavailable_and_was_contacted() -> None:
    async with Egress(DEVELOPMENT) as egress:
        with pytest.raises(Unavailable):
            await egress.request("GET", "http://127.0.0.1:1/")
        assert egress.contacted == ("127.0.0.1:1",)


async def test_a_name_without_address_is_unavailable() -> None:
    async def nowhere(host: str, port: int) -> list[str]:
        raise OSError(-2, "Name or service not known")

    for lookup in (nowhere, FakeNames([])):
        async with Egress(FULL, lookup=lookup) as egress:
            with pytest.raises(Unavailable):
                await egress.request("GET", "https://example.org/")
            assert egress.contacted == ()


async def test_chain_clients_are_counted_and_recorded(server: Server) -> None:
    policy = EgressPolicy(
        mode=Mode.CHAIN, endpoints=Endpoints.of([server.url("/rpc")]), limits=EgressLimits(requests=2)
    )
    async with Egress(policy) as service, service.for_report() as egress:
        client = egress.chain(server.url("/rpc"))
        assert egress.contacted == ()
        assert await client.chain_id() == 31337
        assert egress.contacted == (f"127.0.0.1:{server.port}",)
        assert service.contacted == ()
        await client.request("eth_chainId")
        with pytest.raises(Unavailable, match="at most 2 requests"):
            await client.request("eth_chainId")


def test_a_configured_url_that_is_none_is_found_at_the_start() -> None:
    for url in ("rpc.example", "https://user:pass@rpc.example"):
        with pytest.raises(Misconfigured):
            Egress(EgressPolicy(endpoints=Endpoints.of([url])))


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "school.localhost")])
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("school.localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        built.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


async def test_the_name_travels_as_sni_and_host_and_its_certificate_is_checked(certificate: Path) -> None:
    heard: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: heard.append(name)
    trusting = ssl.create_default_context(cafile=str(certificate))
    async for server in serving(Server(), context):
        for name, tls in (
            ("school.localhost", trusting),
            ("other.localhost", trusting),
            ("school.localhost", None),
        ):
            url = str(URL.build(scheme="https", host=name, port=server.port, path="/json"))
            async with Egress(DEVELOPMENT, lookup=FakeNames(["127.0.0.1"]), tls=tls) as egress:
                if (name, tls) == ("school.localhost", trusting):
                    assert (await egress.request("GET", url)).status == 200
                else:
                    with pytest.raises(Unavailable):
                        await egress.request("GET", url)
        assert server.requests[0].headers["Host"] == f"school.localhost:{server.port}"
        assert len(server.requests) == 1
    assert heard == ["school.localhost", "other.localhost", "school.localhost"]


async def test_which_chain_an_endpoint_is_of_is_asked_once_for_many_reports(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.url("/rpc")
    async with Egress(replace(DEVELOPMENT, endpoints=Endpoints.of([url]))) as egress:
        for expected in (1, 1):
            async with egress.for_report() as report:
                assert await report.chain(url).chain_id() == 31337
            assert len(server.requests) == expected
        assert report.contacted == (), "nobody was asked for the second"
        monkeypatch.setattr(http, "IDENTITY_SECONDS", 0.0)
        async with egress.for_report() as report:
            assert await report.chain(url).chain_id() == 31337
        assert len(server.requests) == 2
