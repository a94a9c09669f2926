"""The egress guard: which hosts may be asked, how they are reached, and the record of who was (FORMATS.md section 10).

URLs come from three places. What the operator configured (chain endpoints, mirrors) is reached as configured. What
a document names is reached only in mode `full`, over https on port 443, without redirects, proxies or user info, and
only if every address of the host is global: a credential must not be able to make a verifier knock on the doors of
its own network (SSRF). A name is looked up once per report and the connection goes to the addresses that were
checked, so a second answer of a hostile name server (DNS rebinding) is never heard.

One `Egress` is one report: its limits are counted and its hosts recorded from its making on. Which document may be
fetched *when* (signature before status list, FORMATS.md section 10) is for the callers.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from node.core import problem
from node.core.errors import Misconfigured, Refused, Unavailable
from node.core.evm.agreement import Endpoints
from node.core.verify.materials import Mode
from node.outbound.chain import MAX_ANSWER_BYTES, ChainClient, EndpointIdentity

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Lookup = Callable[[str, int], Awaitable[list[str]]]
"""Host name and port to the texts of its addresses; OSError where there are none."""

EGRESS_DENIED: Final = problem.ours("egress-denied")

MAX_URL_CHARS: Final = 2048
IDENTITY_SECONDS: Final = 60.0
_READ_BYTES: Final = 64 * 1024
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")  # RFC 4291 section 2.4
# A browser would mend these silently, each in its own way; the host that is checked could be another.
_NOT_IN_URLS: Final = frozenset(' "<>\\^`{|}')


class NamedBy(StrEnum):
    """Where a URL comes from, which decides what it may reach."""

    ENDPOINT = "endpoint"
    BEACON = "beacon"
    MIRROR = "mirror"
    DOCUMENT = "document"


_LEAST_MODE: Final = {
    NamedBy.ENDPOINT: (Mode.CHAIN, Mode.MIRROR, Mode.FULL),
    NamedBy.BEACON: (Mode.CHAIN, Mode.MIRROR, Mode.FULL),
    NamedBy.MIRROR: (Mode.MIRROR, Mode.FULL),
    NamedBy.DOCUMENT: (Mode.FULL,),
}


class EgressDenied(Refused):
    """The policy does not let this connection be opened; nothing was sent."""

    default_type = EGRESS_DENIED

    def __init__(self, detail: str) -> None:
        super().__init__(detail, code="egress_denied")


@dataclass(frozen=True, slots=True)
class EgressLimits:
    """Limits of one report, and of one request in it. None: not limited, for services that run for long."""

    requests: int | None = 4000  # a did:ethr of many changes takes one for each, at every endpoint
    total_bytes: int | None = 32 * 1024 * 1024
    total_seconds: float | None = 60.0
    request_bytes: int = 4 * 1024 * 1024
    request_seconds: float = 20.0


@dataclass(frozen=True, slots=True)
class EgressPolicy:
    """What the operator allows.

    A request to one of `endpoints`, `beacons` (Beacon API, for light clients) or `mirrors` must begin with the same
    scheme, host and port. `hosts` are `host:port` texts: those ports documents may name beside 443. `allow_loopback`
    is the development switch: documents may name loopback hosts, on any port and in plain http.
    """

    mode: Mode = Mode.OFFLINE
    endpoints: Endpoints = Endpoints()  # noqa: RUF009 - frozen
    beacons: tuple[str, ...] = ()
    mirrors: tuple[str, ...] = ()
    list_mirrors: tuple[str, ...] = ()
    """Addresses below which copies of status lists stand, each under the SHA-256 of its URL, in hex."""
    hosts: tuple[str, ...] = ()
    allow_loopback: bool = False
    limits: EgressLimits = field(default_factory=EgressLimits)


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response, whatever its status. `content_type` is lower-case and without parameters."""

    url: str
    status: int
    content_type: str
    headers: Mapping[str, str]
    body: bytes


async def system_lookup(host: str, port: int) -> list[str]:
    """All addresses that this machine's resolver gives for `host`."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


def is_global_address(address: IPAddress) -> bool:
    """Whether `address` is a public unicast one, and so is every IPv4 address that is hidden inside it."""
    if isinstance(address, ipaddress.IPv4Address):
        return address.is_global and not address.is_multicast
    inside = _inside(address)
    if inside:
        return all(map(is_global_address, inside))
    return address in _GLOBAL_UNICAST and address.is_global and address.scope_id is None


def _inside(address: ipaddress.IPv6Address) -> tuple[ipaddress.IPv4Address, ...]:
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


class Egress:
    """The guard of one report.

    `lookup` and `tls` are for tests and for operators with a certificate authority of their own. Sessions are
    opened at the first request, in the running event loop; `close`, or `async with`, ends them.
    """

    def __init__(
        self,
        policy: EgressPolicy,
        *,
        lookup: Lookup = system_lookup,
        tls: ssl.SSLContext | None = None,
        _operator: _OperatorConnections | None = None,
    ) -> None:
        self.policy = policy
        self._lookup = lookup
        self._tls = tls
        self._configured = {
            NamedBy.ENDPOINT: frozenset(_configured(one.url) for one in policy.endpoints.every),
            NamedBy.BEACON: frozenset(map(_configured, policy.beacons)),
            NamedBy.MIRROR: frozenset(map(_configured, (*policy.mirrors, *policy.list_mirrors))),
        }
        self._hosts = frozenset(host.lower() for host in policy.hosts)
        self._budget = _Budget(policy.limits)
        self._contacted: dict[str, None] = {}
        self._chains: list[ChainClient] = []
        # Connections to what the operator configured outlive a report; those to others do not.
        self._operator = _operator or _OperatorConnections()
        self._owns_operator = _operator is None
        self._pins = _Pins()
        self._operator_session: aiohttp.ClientSession | None = None
        self._document_session: aiohttp.ClientSession | None = None

    @property
    def contacted(self) -> tuple[str, ...]:
        """Each host with its port to which a request was sent, in the order of the first ones."""
        everything = dict(self._contacted)
        for client in self._chains:
            everything |= dict.fromkeys(sorted(client.contacted))
        return tuple(everything)

    def for_report(self, *, mode: Mode | None = None, limits: EgressLimits | None = None) -> Egress:
        """A guard with the same policy, fresh limits and an empty record, and perhaps another mode.

        It shares the connections to what the operator configured, so this one must be closed last.
        """
        policy = replace(self.policy, mode=mode or self.policy.mode, limits=limits or self.policy.limits)
        return Egress(policy, lookup=self._lookup, tls=self._tls, _operator=self._operator)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """End the report's connections, and the operator's if this guard opened them."""
        for session in (self._operator_session, self._document_session):
            if session is not None:
                await session.close()
        self._operator_session = self._document_session = None
        if self._owns_operator:
            await self._operator.close()

    def chain(self, url: str) -> ChainClient:
        """A client of the configured chain endpoint `url`, counted and recorded here; EgressDenied otherwise.

        Needs a running event loop. Closing this guard ends it too.
        """
        self._check(_parse(url), NamedBy.ENDPOINT)
        limits = self.policy.limits
        client = ChainClient(
            url,
            session=self._session(NamedBy.ENDPOINT),
            timeout_seconds=limits.request_seconds,
            max_answer_bytes=min(MAX_ANSWER_BYTES, limits.total_bytes or MAX_ANSWER_BYTES),
            identity=self._operator.identity(url),
        )
        self._chains.append(client)
        return client

    async def request(
        self,
        method: str,
        url: str,
        *,
        named_by: NamedBy = NamedBy.DOCUMENT,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        max_bytes: int | None = None,
    ) -> Answer:
        """Send one request and read its answer, a redirect or an error status too.

        EgressDenied before anything is sent; Unavailable where the host cannot be reached, takes too long, or
        answers with more than `max_bytes` or what is left of the report's limits.
        """
        target = _parse(url)
        self._check(target, named_by)
        host = _host_and_port(target)
        limit = min(max_bytes or self.policy.limits.request_bytes, self.policy.limits.request_bytes)
        try:
            async with asyncio.timeout(self._budget.seconds()):
                if named_by is NamedBy.DOCUMENT:
                    self._budget.spend_request()  # in the operator's session a trace does it
                    await self._pin(target)
                return await self._send(method, target, named_by, headers, body, limit)
        except TimeoutError as error:
            raise Unavailable(f"{host} gave no answer in time", asked=host) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{host} could not be asked: {_reason(error)}", asked=host) from error

    # --- what is allowed ---

    def _check(self, target: URL, named_by: NamedBy) -> None:
        mode = self.policy.mode
        if mode not in _LEAST_MODE[named_by]:
            raise EgressDenied(f"mode {mode} opens no connection to a host named by a {named_by}")
        origin = _origin(target)
        if named_by is NamedBy.DOCUMENT:
            self._check_document_url(target)
        elif origin not in self._configured[named_by]:
            raise EgressDenied(f"{_host_and_port(target)} is not a configured {named_by}")

    def _check_document_url(self, target: URL) -> None:
        host = _host_and_port(target)
        operators = frozenset[tuple[str, str, int]]().union(*self._configured.values())
        loopback = _is_loopback_name(target.raw_host or "")
        for _, name, port in operators:
            # On loopback one listener has many names, so there the port alone decides.
            if port == target.port and (name == target.raw_host or (loopback and _is_loopback_name(name))):
                raise EgressDenied(f"{host} is the operator's own: no document may name it")
        if loopback and self.policy.allow_loopback:
            return
        if target.scheme != "https":
            raise EgressDenied(f"{host}: what a document names is fetched over https only")
        if target.port != 443 and host not in self._hosts:
            raise EgressDenied(f"{host}: what a document names is fetched from port 443 only")

    async def _pin(self, target: URL) -> None:
        """Look the host up, once per report, and keep its addresses if every one of them may be reached."""
        name, port = target.raw_host or "", target.port or 443
        if name in self._pins.addresses:
            return
        texts = await self._lookup(name, port)
        addresses = [ipaddress.ip_address(text) for text in dict.fromkeys(texts)]
        loopback = self.policy.allow_loopback and _is_loopback_name(name)
        if not addresses:
            raise OSError("no address")
        for address in addresses:
            if not (address.is_loopback if loopback else is_global_address(address)):
                raise EgressDenied(f"{name} has an address that is not public")
        self._pins.addresses[name] = addresses

    # --- sending ---

    async def _send(
        self,
        method: str,
        target: URL,
        named_by: NamedBy,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        limit: int,
    ) -> Answer:
        host = _host_and_port(target)
        session = self._session(named_by)
        self._contacted[host] = None
        async with session.request(
            method,
            target,
            headers={"Accept-Encoding": "identity", **(headers or {})},
            data=body,
            allow_redirects=False,
        ) as response:
            if response.headers.get("Content-Encoding", "identity").lower() != "identity":
                # Asked for identity. What is decompressed unasked could be a bomb.
                raise Unavailable(f"{host} sent a compressed answer", asked=host)
            chunks: list[bytes] = []
            size = 0
            async for chunk in response.content.iter_chunked(_READ_BYTES):
                size += len(chunk)
                self._budget.spend_bytes(len(chunk))
                if size > limit:
                    raise Unavailable(f"{host} sent more than {limit:,} bytes", asked=host)
                chunks.append(chunk)
            return Answer(
                url=str(target),
                status=response.status,
                content_type=response.headers.get("Content-Type", "").partition(";")[0].strip().lower(),
                headers=response.headers,
                body=b"".join(chunks),
            )

    def _session(self, named_by: NamedBy) -> aiohttp.ClientSession:
        if named_by is NamedBy.DOCUMENT:
            if self._document_session is None:
                connector = aiohttp.TCPConnector(
                    resolver=self._pins, use_dns_cache=False, ssl=self._tls or True, limit=16
                )
                self._document_session = _new_session(connector, owner=True)
            return self._document_session
        if self._operator_session is None:
            trace = aiohttp.TraceConfig()
            trace.on_request_start.append(self._count)
            self._operator_session = _new_session(
                self._operator.connector(self._tls), owner=False, traces=[trace]
            )
        return self._operator_session

    async def _count(self, *_: Any) -> None:
        self._budget.spend_request()


class _Budget:
    """What a report may still spend."""

    def __init__(self, limits: EgressLimits) -> None:
        self._limits = limits
        self._requests = 0
        self._bytes = 0
        self._deadline: float | None = None

    def seconds(self) -> float:
        """Time for the next request; the report's clock starts with the first."""
        if self._limits.total_seconds is None:
            return self._limits.request_seconds
        now = asyncio.get_running_loop().time()
        if self._deadline is None:
            self._deadline = now + self._limits.total_seconds
        if self._deadline <= now:
            raise Unavailable("the time for this report is used up")
        return min(self._limits.request_seconds, self._deadline - now)

    def spend_request(self) -> None:
        self.seconds()
        self._requests += 1
        if self._limits.requests is not None and self._requests > self._limits.requests:
            raise Unavailable(f"a report makes at most {self._limits.requests} requests")

    def spend_bytes(self, count: int) -> None:
        self._bytes += count
        if self._limits.total_bytes is not None and self._bytes > self._limits.total_bytes:
            raise Unavailable(f"a report reads at most {self._limits.total_bytes:,} bytes")


class _Pins(AbstractResolver):
    """The resolver that aiohttp asks: it knows only addresses that were checked."""

    def __init__(self) -> None:
        self.addresses: dict[str, list[IPAddress]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host,  # the name for SNI and for the certificate
                host=str(address),
                port=port,
                family=socket.AF_INET if address.version == 4 else socket.AF_INET6,
                proto=0,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for address in self.addresses.get(host, ())
            if family == socket.AF_UNSPEC or (family == socket.AF_INET) == (address.version == 4)
        ]

    async def close(self) -> None:
        self.addresses.clear()


class _OperatorConnections:
    """One pool of connections to configured hosts, for all reports, and which chain each endpoint is of."""

    def __init__(self) -> None:
        self._connector: aiohttp.TCPConnector | None = None
        self._identities: dict[str, tuple[float, EndpointIdentity]] = {}

    def identity(self, url: str) -> EndpointIdentity:
        """What is known of an endpoint: asked again now and then, since another chain may stand there by now."""
        now = asyncio.get_running_loop().time()
        begun, known = self._identities.get(url, (now - IDENTITY_SECONDS, EndpointIdentity()))
        if begun + IDENTITY_SECONDS <= now:
            begun, known = now, EndpointIdentity()
            self._identities[url] = begun, known
        return known

    def connector(self, tls: ssl.SSLContext | None) -> aiohttp.TCPConnector:
        if self._connector is None or self._connector.closed:
            self._connector = aiohttp.TCPConnector(ssl=tls or True)
        return self._connector

    async def close(self) -> None:
        if self._connector is not None:
            await self._connector.close()


def _new_session(
    connector: aiohttp.TCPConnector, *, owner: bool, traces: list[aiohttp.TraceConfig] | None = None
) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        connector_owner=owner,
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        trace_configs=traces,
        # asyncio.timeout around the request is the clock; aiohttp's own five minutes never come.
        timeout=aiohttp.ClientTimeout(total=None),
    )


def _parse(url: str) -> URL:
    """The URL that is both checked and asked: one parser, so the two cannot differ."""
    if len(url) > MAX_URL_CHARS or not url.isascii() or not url.isprintable() or _NOT_IN_URLS & set(url):
        raise EgressDenied("a URL that is too long or has characters that no URL has")
    try:
        target = URL(url)
        host, port = target.raw_host, target.port
    except ValueError as error:
        raise EgressDenied("not a URL") from error
    if target.scheme not in ("http", "https") or not host or port is None or host.endswith("."):
        raise EgressDenied("not an http or https URL with a host")
    if "@" in re.split(r"[/?#]", url.partition("//")[2], maxsplit=1)[0]:
        raise EgressDenied("a URL with user info")
    return target.with_fragment(None)


def _configured(url: str) -> tuple[str, str, int]:
    try:
        return _origin(_parse(url))
    except EgressDenied as error:
        raise Misconfigured(f"a configured endpoint or mirror is {error.detail}") from error


def _origin(target: URL) -> tuple[str, str, int]:
    return target.scheme, target.raw_host or "", target.port or 0


def _host_and_port(target: URL) -> str:
    return f"{target.host_subcomponent}:{target.port}"


def _is_loopback_name(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _reason(error: Exception) -> str:
    # aiohttp's own texts hold the whole URL, which may carry a key or a pre-authorised code.
    if isinstance(error, aiohttp.ClientConnectorError):
        return error.os_error.strerror or "no connection"
    if isinstance(error, OSError) and not isinstance(error, aiohttp.ClientError):
        return error.strerror or "no such host"
    return type(error).__name__
