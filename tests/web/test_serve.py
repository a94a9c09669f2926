"""The runner as processes see it: one ready line, TLS, a shared port, a clean end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from node.core.errors import Misconfigured
from node.web.serve import TlsFiles, run_app

SCRIPT = """
import sys
from pathlib import Path
from aiohttp import web
from node.web.app import add_health_routes, make_base_app
from node.web.serve import TlsFiles, print_ready, run_app

async def nothing():
    return {}

def app(url):
    made = make_base_app()
    add_health_routes(made, nothing)
    return made

host, port, certificate, key = sys.argv[1:]
tls = TlsFiles(Path(certificate), Path(key)) if certificate else None
run_app(app, host, int(port), tls=tls, ready=print_ready(as_json=True), reuse_port=True)
"""


@contextmanager
def start(
    host: str = "127.0.0.1", port: int = 0, tls: TlsFiles | None = None
) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    files = (str(tls.certificate), str(tls.key)) if tls else ("", "")
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, host, str(port), *files], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        assert ready["ready"] is True
        yield ready["url"], process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def serving(folder: Path, port: int, *options: str) -> Iterator[str]:
    arguments = ["verifier", "serve", "--dir", str(folder), "--development", "--json"]
    process = subprocess.Popen(
        [sys.executable, "-m", "node", *arguments, "--reuse-port", "--port", str(port), *options],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())["url"]
    finally:
        process.kill()
        process.communicate()


async def live(url: str, context: ssl.SSLContext | None = None) -> int:
    async with (
        aiohttp.ClientSession() as session,
        session.get(url + "/health/live", ssl=context or True) as answer,
    ):
        return answer.status


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_says_where_it_serves_and_ends_cleanly(how: signal.Signals) -> None:
    with start() as (url, process):
        assert await live(url) == 200
        process.send_signal(how)
        assert await asyncio.to_thread(process.wait, 10) == 0


async def test_two_processes_may_share_a_port() -> None:
    with start() as (url, _), start(port=int(url.rpartition(":")[2])) as (same, _):
        assert url == same
        assert await live(same) == 200


async def test_two_verifiers_may_share_a_port_and_a_folder(tmp_path: Path) -> None:
    with serving(tmp_path, 0) as url, serving(tmp_path, int(url.rpartition(":")[2])) as same:
        assert url == same
        # A new connection each: the kernel chooses who answers.
        assert [await live(same) for _ in range(8)] == [200] * 8


async def test_a_verifier_that_leaves_disputes_open_says_so(tmp_path: Path) -> None:
    with serving(tmp_path, 0, "--compromise", "dispute") as url:
        async with (
            aiohttp.ClientSession() as session,
            session.get(url, headers={"Accept": "application/json"}) as told,
        ):
            assert (await told.json())["policy"] == "strict+dispute"


async def test_tls_with_files(tmp_path: Path) -> None:
    tls = certificate(tmp_path)
    with start(tls=tls) as (url, _):
        assert url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(tls.certificate))
        assert await live(url.replace("127.0.0.1", "localhost"), context) == 200


def test_what_cannot_be_served_is_the_operators_affair(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(Misconfigured, match="cannot listen"):
            run_app(aiohttp.web.Application(), "127.0.0.1", taken.getsockname()[1])
    with pytest.raises(Misconfigured, match="cannot listen"):
        run_app(aiohttp.web.Application(), "no.such.host.invalid", 0)
    (tmp_path / "empty.pem").touch()
    with pytest.raises(Misconfigured, match="TLS files"):
        run_app(
            aiohttp.web.Application(),
            "127.0.0.1",
            0,
            tls=TlsFiles(tmp_path / "empty.pem", tmp_path / "empty.pem"),
        )
    with pytest.raises(Misconfigured, match="both"):
        TlsFiles.of(tmp_path, None)


def certificate(folder: Path) -> TlsFiles:
    """A certificate for localhost, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    files = TlsFiles(folder / "cert.pem", folder / "key.pem")
    files.certificate.write_bytes(made.public_bytes(Encoding.PEM))
    files.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files
