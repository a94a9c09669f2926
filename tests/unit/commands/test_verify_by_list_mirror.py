"""`bonafides verify --mirror URL`: a copy of a signed status list counts, and no host of the issuer's is asked."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from fixtures.verification import KEY_SCHOOL, LIST_URL, NOW, Signatory, of_key_school, status_list
from fixtures.web_folder import serve_folder

from node.cli import main
from node.core.times import format_datetime_stamp

INDEX = 94_567


@dataclass
class Desk:
    """An employer's folder with a badge, and a mirror."""

    folder: Path
    url: str
    capsys: pytest.CaptureFixture[str]

    def publish(self, bits: tuple[int, ...] = (), signatory: Signatory = KEY_SCHOOL) -> None:
        document = {**status_list(signatory, bits), "validUntil": "2026-07-01T00:00:00Z"}
        del document["proof"]
        name = sha256(LIST_URL.encode()).hexdigest()
        (self.folder / name).write_text(json.dumps(signatory.sign(document)))

    def verify(self, *options: str) -> tuple[int, Any]:
        trust = self.folder / "trust.json"
        trust.write_text(json.dumps({"issuers": [{"did": KEY_SCHOOL.did, "name": "The School"}]}))
        badge = self.folder / "badge.json"
        badge.write_text(json.dumps(of_key_school(write=lambda _: None).credential()))
        asked = ["verify", str(badge), f"--trust={trust}", f"--as-of={format_datetime_stamp(NOW)}", "--json"]
        status = main([*asked, "--development", *options])
        out = self.capsys.readouterr().out
        return status, json.loads(out) if out else None


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Iterator[Desk]:
    with serve_folder(tmp_path) as url:
        yield Desk(tmp_path, url, capsys)


def status_of(report: Any) -> Any:
    return next(one for one in report["checks"] if one["name"] == "status")


def test_a_copy_tells_that_a_badge_is_not_revoked(desk: Desk) -> None:
    desk.publish()
    status, report = desk.verify(f"--mirror={desk.url}")
    assert (status, report["acceptance"], report["mode"]) == (0, "accepted", "mirror"), status_of(report)
    assert report["contacted"] == [desk.url.removeprefix("http://")]
    assert "a copy at 127.0.0.1" in status_of(report)["basis"]


def test_a_copy_tells_that_it_is_revoked(desk: Desk) -> None:
    desk.publish((INDEX,))
    status, report = desk.verify(f"--mirror={desk.url}/")
    assert (status, report["acceptance"]) == (1, "refused")


def test_of_several_mirrors_the_first_that_has_a_copy_is_taken(desk: Desk) -> None:
    desk.publish()
    status, _ = desk.verify(f"--mirror={desk.url}/nothing", f"--mirror={desk.url}")
    assert status == 0


def test_without_a_copy_it_stays_open(desk: Desk) -> None:
    status, report = desk.verify(f"--mirror={desk.url}")
    assert (status, status_of(report)["outcome"]) == (3, "unknown")
    assert "127.0.0.1: there is no status list" in status_of(report)["basis"]


def test_mode_mirror_without_a_mirror_asks_nobody(desk: Desk) -> None:
    status, report = desk.verify("--mode=mirror")
    assert (status, status_of(report)["outcome"], report["contacted"]) == (3, "unknown", [])


@pytest.mark.parametrize(
    "options",
    [("--mirror=ftp://mirror.example",), ("--mirror=https://m.example?key=1",), ("--mode=full", "--mirror=https://m.example")],
)  # fmt: skip
def test_other_mirrors_are_wrong_use(desk: Desk, options: tuple[str, ...]) -> None:
    assert desk.verify(*options) == (2, None)
