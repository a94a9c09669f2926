"""The files under docker/, as far as they can be held to without an engine.

docker-compose reads them; every command line in them is one that our commands understand, and the whole story of the
compose file is run here with the same words, as processes instead of containers.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fixtures.chain import ANVIL
from fixtures.command_lines import check_command_line
from fixtures.skipping import missing

ROOT = Path(__file__).resolve().parents[2]
DOCKER = ROOT / "docker"
COMPOSE_FILE = DOCKER / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE_FILE.read_text())["services"]
OURS = {name: service for name, service in SERVICES.items() if service.get("image") == "bonafides"}
DOCKERFILE = (DOCKER / "Dockerfile").read_text()


def command_line(service: dict[str, Any]) -> list[str]:
    """What the container runs, less the name of the program."""
    return [*service.get("entrypoint", ["bonafides"])[1:], *service["command"]]


def test_docker_compose_understands_the_file() -> None:
    if shutil.which("docker-compose") is None:
        missing("no docker-compose")
    done = subprocess.run(
        ["docker-compose", "-f", str(COMPOSE_FILE), "config", "--services"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == set(SERVICES)
    assert {"issuer", "verifier", "wallet", "database", "chain"} <= set(SERVICES)


@pytest.mark.parametrize("service", OURS)
def test_every_command_of_ours_is_one_that_the_command_line_knows(service: str) -> None:
    check_command_line(command_line(OURS[service]))


@pytest.mark.parametrize(
    "block", re.findall(r"```sh\n(.*?)```", (DOCKER / "README.md").read_text(), re.DOTALL)
)
def test_the_commands_of_the_readme_are_known_too(block: str) -> None:
    run = re.compile(r"docker-compose -f docker/docker-compose\.yml run --rm (\S+) ?(.*)")
    for service, words in run.findall(block.replace("\\\n", " ")):
        entrypoint = SERVICES[service].get("entrypoint", ["bonafides"])[1:]
        check_command_line([*entrypoint, *shlex.split(words, comments=True)])


@pytest.mark.parametrize("service", [name for name, one in OURS.items() if "healthcheck" in one])
def test_a_health_check_asks_where_the_service_listens(service: str) -> None:
    port = next(word for word in OURS[service]["command"] if word.startswith("--port="))[len("--port=") :]
    assert f"http://127.0.0.1:{port}/health/ready" in OURS[service]["healthcheck"]["test"][-1]
    assert f"127.0.0.1:{port}:{port}" in SERVICES["chain"]["ports"]


def test_every_service_that_stays_has_a_health_check() -> None:
    for name, service in SERVICES.items():
        stays = "serve" in service["command"] or name in ("chain", "database")
        assert stays is ("healthcheck" in service), name


def test_the_versions_in_the_dockerfile_are_those_of_the_project() -> None:
    lock = json.loads((ROOT / "tests/interop/package-lock.json").read_text())["packages"]
    anvil = lock["node_modules/@foundry-rs/anvil-linux-amd64"]["version"]
    assert f"@foundry-rs/anvil@{anvil} " in DOCKERFILE
    wanted = re.search(r'required-version = "(.*)"', (ROOT / "pyproject.toml").read_text())
    assert wanted is not None
    assert f"'uv{wanted[1]}'" in DOCKERFILE


def test_nothing_in_the_image_of_the_roles_runs_as_root() -> None:
    stages = DOCKERFILE.split("\nFROM ")
    assert "\nUSER bonafides\n" in stages[-1]
    assert "\nUSER node\n" in stages[-2]


def copied() -> list[str]:
    """What the Dockerfile takes from the repository."""
    lines = re.findall(r"^COPY (?!--)(.*) \S+$", DOCKERFILE, re.MULTILINE)
    return [name for line in lines for name in line.split()]


def test_the_engine_is_sent_what_the_dockerfile_copies_and_no_more() -> None:
    admitted = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)
    assert sorted(admitted) == sorted(copied())


@pytest.mark.wheel
def test_what_is_copied_is_enough_to_install(tmp_path: Path) -> None:
    beside = Path(sys.executable).with_name("uv")
    uv = os.environ.get("BONAFIDES_UV") or (str(beside) if beside.exists() else shutil.which("uv"))
    source = tmp_path / "src"
    source.mkdir()
    for name in copied():
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    (sync,) = re.findall(r"^RUN uv (sync .*)$", DOCKERFILE, re.MULTILINE)
    environment = tmp_path / "bonafides"
    variables = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    subprocess.run(
        [uv or missing("no uv"), "--quiet", *sync.split()],
        cwd=source,
        env={**variables, "UV_PROJECT_ENVIRONMENT": str(environment), "UV_PYTHON": sys.executable},
        check=True,
        timeout=600,
    )
    shutil.rmtree(source)
    done = subprocess.run(
        [str(environment / "bin" / "bonafides"), "--help"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=True,
    )
    assert "issuer" in done.stdout


class Story:
    """The services of the compose file as processes: same words, other paths, ports and database."""

    def __init__(self, folder: Path, database: str) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.secret = folder / "passphrase"
        self.secret.write_text("a passphrase for a test\n")
        self.replacements = {
            "postgresql+asyncpg://bonafides@127.0.0.1/bonafides": database,
            "/run/passphrase": str(self.secret),
            "/run/faucet.key": str(DOCKER / "anvil.key"),
            "/run/trust.json": str(DOCKER / "trust.json"),
            "/networks": str(folder / "networks"),
            "/state": str(folder),
            "0.0.0.0": "127.0.0.1",  # noqa: S104 - what is replaced
            **{port: str(free_port()) for port in ("8545", "8080", "8081")},
        }

    def words(self, service: str) -> list[str]:
        replacements = {**self.replacements, "/data": str(self.folder / service.removesuffix("-init"))}
        return [self._replaced(word, replacements) for word in command_line(SERVICES[service])]

    def _replaced(self, word: str, replacements: dict[str, str]) -> str:
        pattern = "|".join(map(re.escape, sorted(replacements, key=len, reverse=True)))
        return re.sub(rf"(?<!\w)(?:{pattern})", lambda match: replacements[match[0]], word)

    def run(self, service: str) -> str:
        """A service that ends; what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "node", *self.words(service)],
            capture_output=True, text=True, cwd=ROOT, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, service: str, program: list[str]) -> None:
        """A service that stays."""
        log = (self.folder / f"{service}.log").open("wb")
        self.processes.append(
            subprocess.Popen([*program, *self.words(service)], stdout=log, stderr=log, cwd=ROOT)
        )
        log.close()

    def healthy(self, port: str, path: str = "/health/ready") -> dict[str, Any]:
        """What the service behind a port of the compose file says of its health, once it does."""
        return _within_a_minute(lambda: self._asked(int(self.replacements[port]), path))

    def _asked(self, port: int, path: str) -> dict[str, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            assert answer.status == 200, answer.read()
            return dict(json.loads(answer.read()))
        finally:
            connection.close()

    def stop(self) -> list[int]:
        """End them as compose would; their exit statuses, the last started first."""
        statuses = []
        for process in reversed(self.processes):
            process.send_signal(signal.SIGTERM)
            statuses.append(process.wait(timeout=30))
        self.processes.clear()
        return statuses


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _within_a_minute(ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    deadline = time.monotonic() + 60
    while True:
        try:
            return ask()
        except (OSError, AssertionError, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


@pytest.fixture
def story(tmp_path: Path) -> Iterator[Story]:
    if not os.access(ANVIL, os.X_OK):
        missing("no Anvil: run npm ci --ignore-scripts in tests/interop")
    server = os.environ.get("BONAFIDES_TEST_POSTGRES") or missing(
        "no PostgreSQL: set BONAFIDES_TEST_POSTGRES"
    )
    telling = Story(tmp_path, _new_database(server))
    try:
        yield telling
    finally:
        for process in telling.processes:
            process.kill()
            process.wait()


def _new_database(server: str) -> str:
    """A database of its own on the server, empty."""
    import asyncio

    import asyncpg

    name = f"docker_{os.getpid()}_{time.monotonic_ns()}"

    async def create() -> None:
        connection = await asyncpg.connect(server.replace("+asyncpg", ""))
        await connection.execute(f'CREATE DATABASE "{name}"')
        await connection.close()

    asyncio.run(create())
    return server.rpartition("/")[0] + "/" + name


@pytest.mark.anvil
@pytest.mark.postgres
def test_the_story_of_the_compose_file_can_be_told(story: Story) -> None:
    story.start("chain", [str(ANVIL)])
    node = [sys.executable, "-m", "node"]
    deployed = _within_a_minute(lambda: {"printed": story.run("registries")})
    assert "eip155:31337" in deployed["printed"]
    assert "did:ethr:0x7a69:0x" in story.run("issuer-init")
    story.run("issuer-init")  # again, as compose would after a restart
    story.start("issuer", node)
    story.start("verifier", node)
    assert story.healthy("8080")
    assert story.healthy("8081")
    assert story.stop()[:2] == [0, 0]
