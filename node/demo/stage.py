"""The stage of the demo: one folder, and every role a process of its own that is driven by its command line.

Nothing of the node is called from inside: what the demo shows, anybody can type.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import secrets
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from node.core.errors import BonafidesError, Unavailable
from node.core.problem import ours

T = TypeVar("T")

READY_SECONDS: Final = 60
COMMAND_SECONDS: Final = 120
_BONAFIDES: Final = (sys.executable, "-m", "node")


class CommandFailed(BonafidesError):
    """A command of the demo ended otherwise than expected."""

    default_type = ours("demo-command")


@dataclass(frozen=True, slots=True)
class Finished:
    """A command that ended: its status and what it printed."""

    status: int
    output: str

    @property
    def json(self) -> Any:
        """The output as one JSON value."""
        return json.loads(self.output)

    @property
    def json_lines(self) -> list[Any]:
        """The output as one JSON value a line."""
        return [json.loads(line) for line in self.output.splitlines() if line.strip()]


class Role:
    """A serving process; `ready` is what it printed when it was."""

    def __init__(self, name: str, process: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.name = name
        self.process = process
        self.ready = ready

    @property
    def url(self) -> str:
        """Where it answers."""
        return str(self.ready["url"])

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        """End it and return its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        try:
            status = self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            status = self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


class Stage:
    """A folder with a passphrase file, a log for each role, and the processes that run in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.logs = folder / "logs"
        self.out = folder / "out"
        for path in (folder, self.logs, self.out):
            path.mkdir(parents=True, exist_ok=True)
        self.passphrase_file = folder / "passphrase"
        if not self.passphrase_file.exists():
            self.passphrase_file.touch(mode=0o600)
            self.passphrase_file.write_text(secrets.token_urlsafe(18))
        self.roles: list[Role] = []

    def run(
        self, *arguments: str | Path, expect: Sequence[int] = (0,), within: Sequence[str] = ()
    ) -> Finished:
        """Run `bonafides …` to its end; CommandFailed where its status is none of `expect`.

        `within` is the beginning of a command line that runs another one, as `closed_network` gives it.
        """
        began = time.monotonic()
        done = subprocess.run(  # noqa: S603 - our own command
            [*within, *_BONAFIDES, *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            cwd=self.folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            check=False,
        )
        with (self.logs / "commands.log").open("a", encoding="utf-8") as log:
            shown = " ".join(map(str, arguments))
            log.write(
                f"$ bonafides {shown}\n{done.stderr}[{done.returncode}, {time.monotonic() - began:.2f} s]\n"
            )
        if done.returncode not in expect:
            (self.logs / "unexpected.log").write_text(done.stdout + done.stderr, encoding="utf-8")
            last = (done.stderr or done.stdout).strip().splitlines()[-2:]
            raise CommandFailed(
                f"bonafides {' '.join(map(str, arguments[:3]))} ended with status {done.returncode}: {' / '.join(last)}"
            )
        return Finished(done.returncode, done.stdout)

    def run_all(self, commands: Sequence[Sequence[str | Path]]) -> list[Finished]:
        """Run several commands that do not wait for each other; their results in the same order."""
        return together([partial(self.run, *command) for command in commands])

    def start(self, name: str, *arguments: str | Path) -> Role:
        """Start `bonafides … --json` as a role and wait until it says that it is ready."""
        log = (self.logs / f"{name}.log").open("a", encoding="utf-8")
        with log:
            process = subprocess.Popen(  # noqa: S603 - our own command
                [*_BONAFIDES, *map(str, arguments), "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                stdin=subprocess.DEVNULL,
                text=True,
                cwd=self.folder,
                env=_environment(),
            )
        role = Role(name, process, _ready(name, process, self.logs / f"{name}.log"))
        self.roles.append(role)
        return role

    def stop_all(self) -> None:
        """End every role, the last one started first."""
        for role in reversed(self.roles):
            with contextlib.suppress(OSError):
                role.stop()


def closed_network() -> tuple[str, ...] | None:
    """What runs a command in a network namespace where every interface is down; None where this machine forbids it."""
    for words in (("unshare", "--net"), ("unshare", "--map-root-user", "--net")):
        with contextlib.suppress(OSError, subprocess.TimeoutExpired):
            tried = subprocess.run(  # noqa: S603 - words of our own
                [*words, "true"], capture_output=True, timeout=10, check=False
            )
            if tried.returncode == 0:
                return words
    return None


def can_reach(host: str, port: int, within: Sequence[str]) -> bool:
    """Whether a process that is run `within` can connect to a host."""
    words = f"import socket; socket.create_connection(({host!r}, {port}), 5)"
    tried = subprocess.run(  # noqa: S603 - words of our own
        [*within, sys.executable, "-I", "-S", "-c", words], capture_output=True, timeout=30, check=False
    )
    return tried.returncode == 0


def together(jobs: Sequence[Callable[[], T]], *, workers: int = 3) -> list[T]:
    """The results of jobs that mostly wait for processes and blocks, a few at a time; the first fault is raised."""
    with ThreadPoolExecutor(workers) as pool:
        return [future.result() for future in [pool.submit(job) for job in jobs]]


def _environment() -> dict[str, str]:
    # What the caller configured for roles of their own must not reach the demo's.
    kept = {name: value for name, value in os.environ.items() if not name.startswith("BONAFIDES_")}
    # Sixty commands that compile all they import again would take longer than all they do.
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    return {**kept, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}


def _ready(name: str, process: subprocess.Popen[str], log: Path) -> dict[str, Any]:
    lines: queue.Queue[str] = queue.Queue()
    output = process.stdout
    assert output is not None  # noqa: S101 - it was asked for
    threading.Thread(target=lambda: lines.put(output.readline()), daemon=True).start()
    try:
        line = lines.get(timeout=READY_SECONDS)
        value = json.loads(line)
    except (queue.Empty, ValueError) as error:
        process.kill()
        told = log.read_text(encoding="utf-8").strip().splitlines()[-3:]
        raise Unavailable(f"the {name} did not start: {' / '.join(told)}", asked=name) from error
    if not isinstance(value, dict) or "url" not in value:
        raise Unavailable(f"the {name} did not say where it answers", asked=name)
    return value


def http(
    method: str,
    url: str,
    body: bytes | None = None,
    *,
    content_type: str = "application/json",
    accept: str = "*/*",
) -> tuple[int, bytes]:
    """One request over real HTTP: status and body. Unavailable where nobody answers."""
    request = urllib.request.Request(  # noqa: S310 - http to this machine
        url, data=body, method=method, headers={"Content-Type": content_type, "Accept": accept}
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=30) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError as error:
        raise Unavailable(f"nobody answers at {url}", asked=url) from error


def wait_until(what: str, check: Any, seconds: float = 30.0) -> Any:
    """The first true value that `check()` gives; Unavailable after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := check():
            return value
        time.sleep(0.2)
    raise Unavailable(f"waited {seconds:.0f} seconds for {what}", asked=what)
