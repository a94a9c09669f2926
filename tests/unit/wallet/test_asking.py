"""What a person reads before a yes: steered by nobody else's text, and answered for one thing at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest
from fixtures.verification import Story, of_key_school
from fixtures.wallets import holding_of

from node.core.errors import Malformed
from node.core.oid4vp.request import parse_link
from wallet import words
from wallet.backup import save_file
from wallet.cli_showing import _with_evidence
from wallet.consent import Disclosed
from wallet.holdings import Holding, LastCheck
from wallet.options import Common
from wallet.presentation import Showing
from wallet.store import Disk

STEERING = "\x1b[2J\x1b]0;x\x07\x9b2K\u202e\u2066\u2028\r\n"


def steers(text: str) -> bool:
    return not all(char.isprintable() for char in text)


def two_with_equal_names() -> tuple[Holding, Holding]:
    def other(document: dict[str, Any]) -> None:
        document["name"] = "Another badge"

    first = holding_of(Story(show=(0, 1, 2)))
    second = holding_of(Story(show=(0, 1, 2), write=other))
    assert first.digest != second.digest
    return first, second


def test_a_yes_to_evidence_of_one_credential_is_none_for_that_of_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = two_with_equal_names()
    asked: list[str] = []

    def confirm(text: str, **_: Any) -> bool:
        asked.append(text)
        return len(asked) == 4  # the first item of the second credential

    monkeypatch.setattr(click, "confirm", confirm)
    showings = _with_evidence([Showing(first), Showing(second), Showing(first)], (), ask=True)
    assert [len(one.evidence) for one in showings] == [0, 1, 0]
    assert len(asked) == 6
    assert "Another badge" in asked[3]
    assert "Another badge" not in asked[0]


def test_nothing_that_somebody_else_wrote_steers_the_terminal() -> None:
    held = holding_of(of_key_school(), bundled=False)
    credential = held.document | {
        "name": f"Badge{STEERING}",
        "issuer": {"id": f"did:x:{STEERING}", "name": STEERING},
        "validUntil": f"{STEERING}2030",
    }
    last = LastCheck(held.provenance.received, "refused", f"No{STEERING}", STEERING, (("a", "b", STEERING),))
    held = replace(held, credential=credential, last_check=last)
    lines = [*words.facts(held), words.holding_line(held), *words.check_lines(last)]
    part = Disclosed("00" * 32, STEERING, (STEERING,), (STEERING,), (STEERING,), (STEERING,))
    lines += words.disclosed_lines([part])
    assert not [line for line in lines if steers(line)]


def test_json_keeps_letters_and_steers_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    body = {"name": f"Zeugnis für اردو{STEERING}\U000e0041"}
    Common(Path(), None, as_json=True, development=False).print(body, "")
    printed = capsys.readouterr().out.removesuffix("\n")
    assert "für اردو" in printed
    assert not steers(printed)
    assert json.loads(printed) == body


def test_a_long_name_does_not_push_the_truth_away() -> None:
    assert words.brief("x" * 60_000) == "x" * 99 + "…"
    assert words.brief("  An   employer\n") == "An employer"


def test_a_bundle_is_missed_only_where_there_could_be_one() -> None:
    chained, keyed = (replace(held, bundle=None) for held in map(holding_of, (Story(), of_key_school())))
    for held, missed in ((chained, True), (keyed, False)):
        (line,) = (line for line in words.facts(held) if line.startswith("bundle"))
        assert ("will not be able to tell" in line) is missed
        assert ("no bundle" in words.holding_line(held)) is missed


def test_how_it_is_secured_is_said_in_a_list_and_when_it_came() -> None:
    held = holding_of(of_key_school(), bundled=False)
    assert held.securing.startswith("eddsa-")
    assert held.securing in words.holding_line(held)
    assert f"secured with {held.securing}: kept" in words.received_lines(held, kept=True)[0]


@pytest.mark.parametrize(
    "place",
    [
        "https://good.example@evil.example/r",
        "https://good.example\x1b[8m.evil.example/r",
        "https://good.example\t.evil.example/r",
        "https://good.example\\.evil.example/r",
        "https://good.example\u2024evil.example/r",
        "https://good.example/r#",
    ],
)
def test_a_place_that_is_read_in_two_ways_is_no_place(place: str) -> None:
    from urllib.parse import quote

    with pytest.raises(Malformed):
        parse_link(
            f"openid4vp://?client_id=redirect_uri:https://v.example&request_uri={quote(place, safe='')}"
        )


def test_a_file_that_waits_under_the_new_name_gets_nothing(tmp_path: Path) -> None:
    new = tmp_path / "wallet.bonafides.new"
    new.touch(mode=0o666)
    with new.open("rb") as held_open:
        Disk().write(new, b"secret")
        assert held_open.read() == b""
    assert new.stat().st_mode & 0o777 == 0o600
    new.unlink()
    new.symlink_to(tmp_path / "elsewhere")
    Disk().write(new, b"secret")
    assert not (tmp_path / "elsewhere").exists()


def test_an_export_leaves_its_neighbours_alone(tmp_path: Path) -> None:
    neighbour = tmp_path / "badge.json.new"
    neighbour.write_bytes(b"mine")
    save_file(tmp_path / "badge.json", b"{}", replace=False)
    assert neighbour.read_bytes() == b"mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["badge.json", "badge.json.new"]
    assert (tmp_path / "badge.json").stat().st_mode & 0o777 == 0o600
