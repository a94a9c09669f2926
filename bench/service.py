"""`POST /verify` of a running verifier against an aiohttp echo of the same bodies, and two processes on one port.

Verifier, echo and load are processes of their own; the load is one aiohttp client whose connections stay open. What a
request takes beyond verification is counted in echoes. With one connection it is the time from request to answer, with
eight the time by the number of answers in a second; verification is the report in one process, in the same run.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

from bench.rows import Row

_CONNECTIONS = (1, 8)
_ROUNDS = 4
_SECONDS = 1.0
_ROOT = Path(__file__).resolve().parent.parent


def measure(rounds: int = _ROUNDS) -> Iterator[Row]:
    """One process with one and with eight connections, then two processes."""
    from bench.badges import BADGES, accept, as_text, secured
    from bench.rows import each, in_turns

    badges = [as_text(secured(number, "eddsa-rdfc-2022")).encode() for number in range(BADGES)]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bonafides-bench-")))
        bodies = folder / "bodies.json"
        bodies.write_text(json.dumps([badge.decode() for badge in badges]))
        echo = stack.enter_context(_serving([sys.executable, "-m", "bench.service", "echo"]))
        alone = stack.enter_context(_verifier(folder / "alone", 0))
        shared = stack.enter_context(_verifier(folder / "shared", 0))
        stack.enter_context(_verifier(folder / "shared", int(shared.rpartition(":")[2])))
        verification = in_turns({"": each(accept, badges)}, 10)[""]
        yield Row("  verification, eddsa-rdfc-2022", verification * 1e6, "µs")
        for connections in _CONNECTIONS:
            found = {"POST /verify": float("inf"), "echo": float("inf")}
            for _ in range(rounds):
                for name, url in (("POST /verify", f"{alone}/verify"), ("echo", f"{echo}/")):
                    found[name] = min(found[name], _load(url, connections, bodies))
            how = f"{connections} connection{'s' * (connections > 1)}"
            beyond = (found["POST /verify"] - verification) / found["echo"]
            yield Row(f"POST /verify, {how}, beyond verification", beyond, "times echo", at_most=1.75)
            yield from (Row(f"  {name}, {how}", seconds * 1e6, "µs") for name, seconds in found.items())
        one = two = float("inf")
        for _ in range(rounds):
            one = min(one, _load(f"{alone}/verify", _CONNECTIONS[-1], bodies))
            two = min(two, _load(f"{shared}/verify", _CONNECTIONS[-1], bodies))
        yield Row("POST /verify, a second process adds", 100 * (one / two - 1), "%", 30)
        yield Row("  answers a second, one process", round(1 / one))
        yield Row("  answers a second, two processes", round(1 / two))


def _verifier(folder: Path, port: int) -> AbstractContextManager[str]:
    command = [
        sys.executable,
        "-m",
        "node",
        "verifier",
        "serve",
        "--dir",
        str(folder),
        "--json",
        "--development",
    ]
    return _serving([*command, "--policy", "any-issuer-unsafe", "--reuse-port", "--port", str(port)])


@contextmanager
def _serving(command: list[str]) -> Iterator[str]:
    """The URL of a server, from its ready line."""
    process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        url: str = json.loads(process.stdout.readline())["url"]
        yield url
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _load(url: str, connections: int, bodies: Path) -> float:
    """Seconds for each request, as a process of its own saw them."""
    command = [sys.executable, "-m", "bench.service", "load", url, str(connections), str(bodies)]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, check=True)
    return float(done.stdout)


async def _send(url: str, connections: int, bodies: list[bytes]) -> float:
    from aiohttp import ClientSession, TCPConnector

    best = [float("inf")] * len(bodies)
    answers = 0

    async def client(session: ClientSession, first: int, until: float) -> None:
        nonlocal answers
        index = first
        while (started := time.perf_counter()) < until:
            index = (index + 1) % len(bodies)
            async with session.post(url, data=bodies[index], headers=headers) as answer:
                await answer.read()
                assert answer.status == 200
            best[index] = min(best[index], time.perf_counter() - started)
            answers += 1

    async def run(session: ClientSession, seconds: float) -> None:
        until = time.perf_counter() + seconds
        await asyncio.gather(*(client(session, 5 * number, until) for number in range(connections)))

    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    async with ClientSession(connector=TCPConnector(limit=connections)) as session:
        await run(session, 0.2)  # opens the connections
        answers, started = 0, time.perf_counter()
        await run(session, _SECONDS)
        taken = time.perf_counter() - started
    return sum(best) / len(best) if connections == 1 else taken / answers


def _echo() -> None:
    from aiohttp import web

    from node.web.serve import print_ready, run_app

    async def echo(request: web.Request) -> web.Response:
        return web.Response(body=await request.read(), content_type="application/json")

    app = web.Application()
    app.add_routes([web.post("/", echo)])
    run_app(app, "127.0.0.1", 0, ready=print_ready(as_json=True))


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        _echo()
    else:
        url, connections, bodies = sys.argv[2:]
        texts = [text.encode() for text in json.loads(Path(bodies).read_bytes())]
        print(asyncio.run(_send(url, int(connections), texts)))
