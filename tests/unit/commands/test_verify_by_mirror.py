"""`bonafides verify --checkpoint URL`: a file from elsewhere is signed and the newest, or it is not used."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nacl.signing
import pytest
from fixtures.verification import CHAIN_ID, NETWORK, NOW, SCHOOL, Story, public, signing_key
from fixtures.web_folder import serve_folder

from node.cli import main
from node.core.evm.checkpoint import Checkpoint
from node.core.times import format_datetime_stamp
from node.services.checkpoints import signed

OPERATOR = signing_key("an operator of verifiers")
KEY = public(OPERATOR).multibase


@dataclass(frozen=True)
class Seed:
    """A Signer."""

    key: nacl.signing.SigningKey

    @property
    def public_key(self) -> Any:
        return public(self.key)

    def sign(self, message: bytes) -> bytes:
        return self.key.sign(message).signature


def checkpoint() -> Checkpoint:
    found = Story().checkpoint_file()
    assert found is not None
    return found


@dataclass
class Desk:
    """An employer's folder with a bundle, and a folder of the operator on the web."""

    folder: Path
    url: str
    capsys: pytest.CaptureFixture[str]

    def publish(self, file: Checkpoint) -> None:
        (self.folder / "checkpoint.json").write_text(json.dumps(file.to_json()))

    def verify(self, *options: str) -> tuple[int, Any]:
        files = {
            "networks": {"networks": [NETWORK.to_json()]},
            "trust": {"issuers": [{"did": SCHOOL.did, "name": "The School"}]},
        }
        named = []
        for name, body in files.items():
            (self.folder / name).write_text(json.dumps(body))
            named.append(f"--{name}={self.folder / name}")
        bundle = self.folder / "bundle.json"
        bundle.write_bytes(Story().shown_bytes())
        command = ["verify", str(bundle), *named, f"--as-of={format_datetime_stamp(NOW)}", "--json"]
        status = main([*command, "--development", f"--checkpoint={self.url}/checkpoint.json", *options])
        out = self.capsys.readouterr().out
        return status, json.loads(out) if out else None


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with serve_folder(tmp_path) as url:
        yield Desk(tmp_path, url, capsys)


@pytest.mark.parametrize("key", [KEY, f"did:key:{KEY}"])
def test_a_signed_file_from_a_mirror_is_judged_by(desk: Desk, key: str) -> None:
    desk.publish(signed(checkpoint(), Seed(OPERATOR)))
    status, report = desk.verify(f"--checkpoint-key={key}")
    assert (status, report["acceptance"], report["mode"]) == (0, "accepted", "mirror")
    assert report["header"]["strength"] == "checkpoint"
    assert report["contacted"] == [desk.url.removeprefix("http://")]


@pytest.mark.parametrize(
    "file",
    [
        checkpoint(),
        signed(checkpoint(), Seed(signing_key("a stranger"))),
        replace(signed(checkpoint(), Seed(OPERATOR)), sequence=9),
    ],
    ids=["not signed", "signed by another", "changed after it was signed"],
)
def test_any_other_file_is_not_used_and_the_report_says_so(desk: Desk, file: Checkpoint) -> None:
    desk.publish(file)
    status, report = desk.verify(f"--checkpoint-key={KEY}")
    assert (status, report["acceptance"]) == (3, "undetermined")
    assert "signed by no key that is configured" in report["notes"][0]


def test_a_mirror_that_is_down_leaves_it_open(desk: Desk) -> None:
    status, report = desk.verify(f"--checkpoint-key={KEY}")
    assert status == 3
    assert "was not used" in report["notes"][0]


def test_a_file_older_than_the_one_that_is_named_is_refused(desk: Desk) -> None:
    newer = replace(checkpoint(), sequence=4)
    (desk.folder / "mine.json").write_text(json.dumps(newer.to_json()))
    desk.publish(signed(checkpoint(), Seed(OPERATOR)))
    status, report = desk.verify(f"--checkpoint-key={KEY}", f"--checkpoint={desk.folder / 'mine.json'}")
    assert status == 0
    assert "older than the one that is kept" in report["notes"][0]
    assert "sequence 4" in report["header"]["source"]
    assert report["header"]["chain"] == f"eip155:{CHAIN_ID}"


@pytest.mark.parametrize(
    "options",
    [(), (f"--checkpoint-key={KEY}", "--mode=chain"), ("--checkpoint-key=did:web:x",)],
    ids=["no key", "a mode that asks no mirror", "a key that is none"],
)
def test_wrong_use_is_told_before_anything_is_asked(desk: Desk, options: tuple[str, ...]) -> None:
    assert desk.verify(*options) == (2, None)
