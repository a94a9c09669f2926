"""`bonafides issuer serve`: everything that wallets, caches and the school's own systems ask of an issuer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from node.commands.issuer_options import FILE, anchoring_terms, ask_passphrase, issuer_place
from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from node.commands.issuer_folder import Folder
    from node.web.serve import TlsFiles

_DEFAULT_PORT: Final = 8080
_LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@click.command()
@issuer_place
@anchoring_terms
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    envvar="BONAFIDES_ISSUER_HOST",
    show_envvar=True,
    help="Address to listen on.",
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    envvar="BONAFIDES_ISSUER_PORT",
    show_envvar=True,
    help="Port to listen on; 0 takes a free one.  [default: that of the issuer's URL on loopback, else 8080]",
)
@click.option(
    "--tls-cert",
    type=FILE,
    envvar="BONAFIDES_ISSUER_TLS_CERT",
    show_envvar=True,
    help="Certificate chain (PEM).",
)
@click.option(
    "--tls-key",
    type=FILE,
    envvar="BONAFIDES_ISSUER_TLS_KEY",
    show_envvar=True,
    help="Private key of the certificate (PEM).",
)
@click.option(
    "--url",
    metavar="URL",
    envvar="BONAFIDES_ISSUER_PUBLIC_URL",
    show_envvar=True,
    help="Public URL, if not the one given to `init`.",
)
@click.option(
    "--networks",
    type=FILE,
    envvar="BONAFIDES_ISSUER_NETWORKS",
    show_envvar=True,
    help="Your own table of networks.",
)
@click.option(
    "--development",
    is_flag=True,
    envvar="BONAFIDES_ISSUER_DEVELOPMENT",
    show_envvar=True,
    help="Admit plain http and loopback as public URL.",
)
@click.option("--json", "as_json", is_flag=True, help="Print the ready line as JSON.")
def serve(
    folder: Path,
    host: str,
    port: int | None,
    tls_cert: Path | None,
    tls_key: Path | None,
    rpc: str | None,
    database: str | None,
    url: str | None,
    networks: Path | None,
    passphrase_file: Path | None,
    *,
    development: bool,
    as_json: bool,
    **terms: Any,
) -> None:
    """Serve wallets (OpenID4VCI), status lists and the VC API; anchor and renew in the background.

    Prints one line when it is ready and runs until SIGTERM or SIGINT. Without TLS of its own it stands behind a proxy
    that has it; the public URL is https either way, but for --development.
    """
    from node.commands.issuer_folder import Folder  # noqa: PLC0415 - `--help` needs none of it
    from node.web.serve import TlsFiles  # noqa: PLC0415

    tls = TlsFiles.of(tls_cert, tls_key)
    place = Folder.load(folder)
    place.keep_networks(networks)
    place = place.with_options(rpc=rpc, database=database, terms=terms)
    passphrase = ask_passphrase(passphrase_file)
    asyncio.run(
        _serve(
            place,
            passphrase,
            host,
            port,
            tls=tls,
            url=url,
            development=development or place.development,
            as_json=as_json,
        )
    )


async def _serve(
    place: Folder,
    passphrase: str,
    host: str,
    port: int | None,
    *,
    tls: TlsFiles | None,
    url: str | None,
    development: bool,
    as_json: bool,
) -> None:
    import logging  # noqa: PLC0415
    from functools import partial  # noqa: PLC0415

    from node.commands.issuer_folder import open_issuer  # noqa: PLC0415
    from node.core.keys import KeyKind  # noqa: PLC0415
    from node.services import rotation  # noqa: PLC0415
    from node.services.setup import check_url  # noqa: PLC0415
    from node.web.issuer import make_issuer_app  # noqa: PLC0415
    from node.web.serve import print_ready, serve_app  # noqa: PLC0415

    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    async with open_issuer(place, passphrase) as issuer:
        public = check_url(url or issuer.settings.url)
        if not public.startswith("https://") and not development:
            raise Misconfigured(f"the public URL {public} is not https: only --development admits that")
        await issuer.signing_key()  # a wrong passphrase is told now, not at the first claim
        add_key = None
        if issuer.on_chain:
            add_key = partial(rotation.begin, issuer, place.path, passphrase, KeyKind.BLS12381_G2)
        app = make_issuer_app(issuer, url=public, add_key=add_key)
        await serve_app(app, host, _port(port, public), tls=tls, ready=print_ready(as_json=as_json))


def _port(port: int | None, public: str) -> int:
    if port is not None:
        return port
    parts = urlsplit(public)
    return parts.port if parts.port and parts.hostname in _LOOPBACK else _DEFAULT_PORT
