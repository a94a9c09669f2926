"""`bonafides verify --rpc`: which endpoints can be named together."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures.verification import of_key_school

from node.cli import main

A, B = "--rpc=https://rpc.a.example/hunter2", "--rpc=b=http://127.0.0.1:1/hunter2"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((A, B, "--agree=1"), "1 of 2 operators cannot be asked for"),
        ((A, "--agree=2"), "2 of 1 operators cannot be asked for"),
        (("--agree=2",), "needs endpoints"),
        (("--rpc=hunter2",), "an endpoint is written as URL or OPERATOR=URL"),
        (("--rpc=http://user:hunter2@rpc.a.example",), "a URL with user info"),
    ],
)
def test_endpoints_that_could_not_agree_are_refused_before_anything_is_asked(
    options: tuple[str, ...], told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "badge.json"
    file.write_bytes(of_key_school().shown_bytes())
    assert main(["verify", str(file), *options]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "hunter2" not in said


def test_several_endpoints_come_from_one_variable(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONAFIDES_VERIFY_RPC", "https://rpc.a.example b=http://127.0.0.1:1")
    monkeypatch.setenv("BONAFIDES_VERIFY_AGREE", "1")
    file = tmp_path / "badge.json"
    file.write_bytes(of_key_school().shown_bytes())
    assert main(["verify", str(file)]) == 2
    assert "1 of 2 operators" in capsys.readouterr().err
