"""A submission does what it likes; the trial says what happened and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.demo.trial import Case, CaseResult, Limits, run_trial

QUICK = Limits(seconds_per_case=0.3, starts=2)
CASE = Case("answers", "logic", "answer", [2], 4)


def trial(source: str, *cases: Case, limits: Limits = QUICK) -> tuple[CaseResult, ...]:
    return run_trial(source.encode(), cases or (CASE,), limits)


def reason(source: str, *cases: Case) -> str:
    return trial(source, *cases)[0].reason


def test_a_right_answer_passes() -> None:
    assert trial("def answer(n):\n    return n * 2\n")[0].passed


@pytest.mark.parametrize(
    ("returned", "expected"),
    [("4.0", 4), ("True", 1), ("'4'", 4), ("(1, {2})", [1, [2]]), ("object()", {}), ("float('nan')", None)],
)
def test_an_answer_of_another_type_is_another_answer(returned: str, expected: object) -> None:
    assert reason(f"def answer(n):\n    return {returned}\n", Case("c", "logic", "answer", [1], expected))


def test_a_submission_that_loops_is_stopped_and_the_next_case_still_runs() -> None:
    looping = "def answer(n):\n    while n == 2:\n        pass\n    return n\n"
    first, second = trial(looping, CASE, Case("other", "logic", "answer", [3], 3))
    assert "processor time" in first.reason
    assert second.passed


def test_a_loop_that_catches_everything_is_stopped_too() -> None:
    stubborn = """
def answer(n):
    while True:
        try:
            n += 1
        except BaseException:
            pass
"""
    assert "processor time" in reason(stubborn)


def test_a_submission_that_sleeps_is_stopped() -> None:
    sleeping = "import time\ndef answer(n):\n    time.sleep(60)\n"
    result = trial(sleeping, limits=Limits(wall_seconds_per_case=1.0, starts=1))[0]
    # On a machine so busy that the process takes a second to start, it is stopped while being loaded.
    assert "no answer within 1 s" in result.reason


def test_after_too_many_stops_the_rest_is_not_run() -> None:
    results = trial("import os\ndef answer(n):\n    os._exit(0)\n", *[CASE] * 4)
    assert [result.reason for result in results] == [
        "the process ended by itself",
        "the process ended by itself",
        "not run: too many cases ended their process",
        "not run: too many cases ended their process",
    ]


def test_a_flood_of_output_is_cut_and_does_not_reach_the_next_case() -> None:
    flood = "def answer(n):\n    while n == 2:\n        print('x' * 1000)\n    return n\n"
    limits = Limits(file_bytes=100_000)
    first, second = trial(flood, CASE, Case("other", "logic", "answer", [3], 3), limits=limits)
    assert "OSError" in first.reason
    assert first.printed_bytes <= limits.file_bytes
    assert len(first.printed) == limits.shown_characters
    assert second.passed
    assert second.printed == ""


def test_a_submission_that_takes_too_much_memory_gets_none() -> None:
    assert "MemoryError" in reason("def answer(n):\n    return len(bytearray(1 << 34))\n")


def test_a_file_larger_than_the_limit_is_not_written() -> None:
    writing = (
        "def answer(n):\n    with open('big', 'wb') as f:\n        f.write(bytes(4 << 20))\n    return 4\n"
    )
    assert "File too large" in reason(writing)


@pytest.mark.parametrize(
    "source",
    [
        "def answer(n)\n    return 4\n",
        "import pandas\n",
        "raise ValueError('no')\n",
        "\0",
        "import sys\nsys.exit(3)\n",
    ],
)
def test_a_submission_that_cannot_be_loaded_says_so(source: str) -> None:
    assert reason(source).startswith("could not be loaded: ")


def test_what_is_raised_names_the_line_of_the_submission() -> None:
    assert reason("def answer(n):\n    return int('x')\n").startswith("ValueError in line 2: ")


def test_leaving_the_program_is_a_result_of_the_case() -> None:
    assert reason("import sys\ndef answer(n):\n    sys.exit(3)\n") == "SystemExit in line 3: 3"


@pytest.mark.parametrize(
    "action",
    [
        "open({secret!r}).read()",
        "open({secret!r}, 'w')",
        "__import__('os').open({secret!r}, 0)",
        "open('../submission.py').read()",
        "__import__('os').listdir({folder!r})",
        "__import__('os').remove({secret!r})",
        "__import__('os').symlink({secret!r}, 'link')",
        "__import__('socket').create_connection(('127.0.0.1', 9), 1)",
        "__import__('subprocess').run(['true'])",
        "__import__('os').system('true')",
        "__import__('os').fork()",
    ],
)
def test_what_lies_outside_the_folder_is_fenced_off(action: str, tmp_path: Path) -> None:
    """A fence for mistakes, no sandbox: `os.stat` of anything, for one, still works and the docstring says so."""
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    text = action.format(secret=str(secret), folder=str(tmp_path))
    assert "the assessment " in reason(f"def answer(n):\n    {text}\n    return 4\n")
    assert secret.read_text() == "not yours"


def test_the_environment_is_not_handed_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BONAFIDES_PASSPHRASE", "secret")
    case = Case("c", "logic", "answer", [], None)
    assert trial("import os\ndef answer():\n    return os.environ.get('BONAFIDES_PASSPHRASE')\n", case)[
        0
    ].passed


def test_installed_packages_are_out_of_reach() -> None:
    assert "ModuleNotFoundError" in reason("def answer(n):\n    import node.core.errors\n    return 4\n")


def test_each_case_finds_its_own_files_and_no_others() -> None:
    source = """
import os
def answer(n):
    open(f"left-{n}", "w").close()
    os.mkdir("d")
    return sorted(os.listdir())
"""
    cases = [
        Case("a", "logic", "answer", [1], ["d", "left-1", "one"], files={"one": "1"}),
        Case("b", "logic", "answer", [2], ["d", "left-2", "two"], files={"two": "2"}),
    ]
    assert [result.reason for result in trial(source, *cases)] == ["", ""]


def test_a_pipe_in_the_place_of_the_report_is_not_opened() -> None:
    case = Case("c", "logic", "answer", [], 1, look={"json": "out.json"})
    assert (
        reason("import os\ndef answer():\n    os.mkfifo('out.json')\n", case)
        == "no file out.json was written"
    )


def test_no_folder_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    trial("def answer(n):\n    open('x', 'w').close()\n")
    assert list(tmp_path.iterdir()) == []


def test_a_reply_that_is_too_long_ends_the_case() -> None:
    limits = Limits(reply_bytes=1000, starts=1)
    result = trial("def answer(n):\n    return 'x' * 5000\n", limits=limits)[0]
    assert result.reason == "stopped: the function returned too much"


def test_a_forged_reply_needs_the_answer_that_the_child_never_sees() -> None:
    forging = """
import os
def answer(n):
    for descriptor in range(3, 20):
        try:
            os.write(descriptor, b'{"value": null}\\n')
        except OSError:
            pass
"""
    assert not trial(forging)[0].passed
