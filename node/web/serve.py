"""The one runner of everything that serves HTTP: socket, TLS, ready line, clean end.

The socket is bound before the application is made, so that `--port 0` is settled when the application asks for its
own URL. SIGTERM and SIGINT end it: no new connections, those under way get a few seconds, resources are closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click
import orjson
from aiohttp import web

from node.core.errors import Misconfigured

Ready = Callable[[str], None]
AppFactory = Callable[[str], web.Application]

# Longer than a request may take would keep a restart waiting for a client that went away.
SHUTDOWN_SECONDS: Final = 5.0
# Time for one idle connection; a wallet makes its five requests well within it.
KEEPALIVE_SECONDS: Final = 30.0
_BACKLOG: Final = 256
_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files of a certificate chain and its private key."""

    certificate: Path
    key: Path

    @classmethod
    def of(cls, certificate: Path | None, key: Path | None) -> TlsFiles | None:
        """Both or neither; Misconfigured for one alone."""
        if (certificate is None) != (key is None):
            raise Misconfigured("TLS needs both a certificate and its key: --tls-cert and --tls-key")
        return None if certificate is None or key is None else cls(certificate, key)

    def context(self) -> ssl.SSLContext:
        """A server context of at least TLS 1.2."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured(
                f"TLS files {self.certificate} and {self.key} cannot be used: {error}"
            ) from error
        return context


def print_ready(*, as_json: bool) -> Ready:
    """The ready line on standard output, which tests and scripts wait for."""

    def tell(url: str) -> None:
        click.echo(orjson.dumps({"ready": True, "url": url}).decode() if as_json else f"ready: {url}")

    return tell


def run_app(
    app: web.Application | AppFactory,
    host: str,
    port: int,
    *,
    tls: TlsFiles | None = None,
    ready: Ready | None = None,
    reuse_port: bool = False,
) -> None:
    """Serve until SIGTERM or SIGINT. `app` may be a function of the URL that is served.

    Port 0 takes a free one; `reuse_port` lets several processes share a port. `ready` is called with the URL
    once requests are answered. Misconfigured where the address or the TLS files are of no use; what the application's
    start-up raises comes through.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # a new database is no event
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    asyncio.run(serve_app(app, host, port, tls=tls, ready=ready, reuse_port=reuse_port))


async def serve_app(
    app: web.Application | AppFactory,
    host: str,
    port: int,
    *,
    tls: TlsFiles | None = None,
    ready: Ready | None = None,
    reuse_port: bool = False,
) -> None:
    """As `run_app`, inside a loop that runs already."""
    async with serving(app, host, port, tls=tls, reuse_port=reuse_port) as (url, stopped):
        if ready is not None:
            ready(url)
        await stopped.wait()


@contextlib.asynccontextmanager
async def serving(
    app: web.Application | AppFactory,
    host: str,
    port: int,
    *,
    tls: TlsFiles | None = None,
    reuse_port: bool = False,
) -> AsyncIterator[tuple[str, asyncio.Event]]:
    """Requests are answered inside: the URL, and what is set by SIGTERM or SIGINT, for which the caller waits."""
    context = None if tls is None else tls.context()
    with _bound(host, port, reuse_port=reuse_port) as listening, _stop_signals() as stopped:
        url = _url(listening, host, "http" if context is None else "https")
        application = app if isinstance(app, web.Application) else app(url)
        runner = web.AppRunner(
            application,
            access_log=None,  # offers and codes stand in URLs and must not reach a log
            handle_signals=False,
            shutdown_timeout=SHUTDOWN_SECONDS,
            keepalive_timeout=KEEPALIVE_SECONDS,
        )
        try:
            await runner.setup()
            await web.SockSite(runner, listening, ssl_context=context, backlog=_BACKLOG).start()
            yield url, stopped
        finally:
            await runner.cleanup()


@contextlib.contextmanager
def _bound(host: str, port: int, *, reuse_port: bool) -> Iterator[socket.socket]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listening = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Misconfigured(f"cannot listen on {host}: {error.strerror}") from error
    with contextlib.closing(listening):
        try:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if reuse_port:
                listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            listening.bind(address)
        except OSError as error:
            raise Misconfigured(f"cannot listen on {host}:{port}: {error.strerror}") from error
        yield listening


def _url(listening: socket.socket, host: str, scheme: str) -> str:
    port = listening.getsockname()[1]
    # An address that means "all" is nothing that a client could connect to.
    name = {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"{scheme}://{f'[{name}]' if ':' in name else name}:{port}"


@contextlib.contextmanager
def _stop_signals() -> Iterator[asyncio.Event]:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        loop.add_signal_handler(number, stopped.set)
    try:
        yield stopped
    finally:
        for number in _SIGNALS:
            loop.remove_signal_handler(number)
