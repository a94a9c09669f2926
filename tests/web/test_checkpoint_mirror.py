"""A verifier that keeps a mirror's checkpoint file: asked at the start and every hour, and by no check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from fixtures.verification import Story, public, signing_key
from fixtures.web_folder import serve_folder

from node.core.evm.checkpoint import Checkpoint
from node.core.verify.materials import Mode
from node.services.checkpoints import Mirror, keep
from node.storage.database import sqlite_url
from node.web.verifier import VerifierOptions, make_verifier_app

OPERATOR = signing_key("an operator of verifiers")


@dataclass
class Web:
    """The operator's folder on the web, and the verifier's own."""

    url: str
    folder: Path
    kept: Path

    def publish(self, file: Checkpoint) -> None:
        signature = OPERATOR.sign(replace(file, signature=None).signed_bytes).signature
        signed = replace(file, signature=signature)
        (self.folder / "checkpoint.json").write_text(json.dumps(signed.to_json()))

    async def report(self) -> Any:
        """What a verifier that starts now says of the bundle."""
        story = Story(mode=Mode.MIRROR, checkpoint=None)
        mirror = Mirror(f"{self.url}/checkpoint.json", [public(OPERATOR)], self.kept)
        options = VerifierOptions(
            public_url="https://verifier.example",
            database_url=sqlite_url(self.kept.with_suffix(".sqlite3")),
            verifier=story.verifier(),
            mirror=mirror,
            clock=lambda: story.now,
        )
        async with (
            TestClient(TestServer(make_verifier_app(options))) as client,
            client.post("/verify", data=story.shown_bytes()) as answer,
        ):
            return await answer.json()


@pytest.fixture
def web(tmp_path: Path) -> Iterator[Web]:
    folder = tmp_path / "web"
    folder.mkdir()
    with serve_folder(folder) as url:
        yield Web(url, folder, tmp_path / "kept.json")


def checkpoint() -> Checkpoint:
    found = Story().checkpoint_file()
    assert found is not None
    return found


async def test_the_file_is_kept_and_judged_by_and_no_check_asks_for_it(web: Web) -> None:
    web.publish(checkpoint())
    report = await web.report()
    assert (report["acceptance"], report["contacted"]) == ("accepted", [])
    assert report["header"]["strength"] == "checkpoint"
    (web.folder / "checkpoint.json").unlink()
    assert (await web.report())["acceptance"] == "accepted"  # by the one that was kept


async def test_a_file_that_was_rolled_back_is_not_taken(web: Web) -> None:
    keep(web.kept, replace(checkpoint(), sequence=9))
    web.publish(replace(checkpoint(), headers=()))
    report = await web.report()
    assert "sequence 9" in report["header"]["source"]


async def test_without_any_file_it_is_left_open(web: Web) -> None:
    assert (await web.report())["acceptance"] == "undetermined"
