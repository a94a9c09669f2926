"""A verifier with several endpoints is ready as long as enough operators of a chain answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from fixtures.chain import RunningChain
from fixtures.lying_chain import LyingChain, errors
from fixtures.verification import Story

from node.core.evm.agreement import Endpoints
from node.core.verify.materials import Mode
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app


@pytest.fixture
def three(devchain: RunningChain) -> Iterator[list[LyingChain]]:
    with ExitStack() as stack:
        yield [stack.enter_context(LyingChain(devchain.url)) for _ in range(3)]


async def ready(folder: Path, texts: list[str]) -> tuple[int, Any]:
    options = VerifierOptions(
        public_url="https://verifier.example",
        database_url=sqlite_url(folder / "verifier.sqlite3"),
        verifier=Story(mode=Mode.CHAIN).verifier(),
        endpoints=Endpoints.of(texts),
    )
    async with (
        TestClient(TestServer(make_verifier_app(options))) as client,
        client.get("/health/ready") as answer,
    ):
        return answer.status, await answer.json()


async def test_a_minority_that_is_down_leaves_it_ready(tmp_path: Path, three: list[LyingChain]) -> None:
    texts = [f"operator{place}={one.url}" for place, one in enumerate(three)]
    three[0].tell(errors())
    assert (await ready(tmp_path, texts))[0] == 200
    three[2].tell(errors())
    status, body = await ready(tmp_path, texts)
    assert status == 503
    assert all(one in str(body) for one in ("endpoint 1", "endpoint 3"))
    assert "endpoint 2" not in str(body)
    assert three[0].url not in str(body)


async def test_each_chain_needs_a_majority_of_its_own(tmp_path: Path, three: list[LyingChain]) -> None:
    texts = [f"a@1={three[0].url}", f"b@1={three[1].url}", f"a@5={three[2].url}"]
    assert (await ready(tmp_path, texts))[0] == 200
    three[2].tell(errors())
    status, body = await ready(tmp_path, texts)
    assert (status, "endpoint 3" in str(body)) == (503, True)
