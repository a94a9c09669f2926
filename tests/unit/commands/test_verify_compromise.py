"""`--compromise`: a badge whose key was declared stolen later, back to a time before the badge was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from fixtures.verification import ANCHOR_BLOCK, NETWORK, NOW, SCHOOL, LedgerState, Story, key_word

from node.cli import main
from node.core.times import format_datetime_stamp


@pytest.fixture
def disputed(tmp_path: Path) -> list[str]:
    """The arguments under which a badge is judged that was recorded before its key was declared stolen, but since."""
    story = Story(shown=LedgerState(key=key_word(since=ANCHOR_BLOCK, declared=ANCHOR_BLOCK + 1)))
    checkpoint = story.checkpoint_file()
    assert checkpoint is not None
    files = {
        "networks": {"networks": [NETWORK.to_json()]},
        "trust": {"issuers": [{"did": SCHOOL.did, "name": "The School"}]},
        "checkpoint": checkpoint.to_json(),
    }
    for name, body in files.items():
        (tmp_path / name).write_text(json.dumps(body))
    (tmp_path / "bundle.json").write_bytes(story.shown_bytes())
    named = [f"--{name}={tmp_path / name}" for name in files]
    return [
        "verify",
        str(tmp_path / "bundle.json"),
        *named,
        f"--as-of={format_datetime_stamp(NOW)}",
        "--json",
    ]


def judged(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, Any]:
    status = main(arguments)
    return status, json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("options", [[], ["--compromise=fail"]])
def test_it_is_refused_on_the_issuers_word(
    disputed: list[str], options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, report = judged([*disputed, *options], capsys)
    assert (status, report["acceptance"], report["policy"]) == (1, "refused", "strict")


def test_it_is_left_undetermined_where_that_is_asked_for_and_the_policys_name_says_so(
    disputed: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    status, report = judged([*disputed, "--compromise=dispute"], capsys)
    assert (status, report["acceptance"], report["policy"]) == (3, "undetermined", "strict+dispute")
    (key,) = [check for check in report["checks"] if check["name"] == "key"]
    assert (key["outcome"], key["reason"]) == ("unknown", "key_disputed")


def test_the_environment_says_it_as_well(
    disputed: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BONAFIDES_VERIFY_COMPROMISE", "dispute")
    assert judged(disputed, capsys)[1]["policy"] == "strict+dispute"
