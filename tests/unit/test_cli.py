"""The command `bonafides`: every option has the environment variable that its help names."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from node.cli import bonafides, main
from node.commands import loading
from node.core.errors import Malformed
from node.core.verify.intake import read_intake
from wallet import config


def options(command: click.Command, path: str) -> Iterator[tuple[str, click.Option]]:
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            sub_command = command.get_command(context, name)
            assert sub_command is not None
            yield from options(sub_command, f"{path} {name}")
    for parameter in command.params:
        if isinstance(parameter, click.Option) and command is not bonafides:
            yield path, parameter


def test_variables_are_called_after_command_and_option() -> None:
    seen = 0
    for path, option in options(bonafides, "bonafides"):
        words = f"{path} {max(option.opts, key=len).lstrip('-')}"
        assert isinstance(option.envvar, list), words
        assert option.envvar[0] == words.upper().replace(" ", "_").replace("-", "_")
        seen += 1
    assert seen > 100


@pytest.mark.parametrize("variable", ["BONAFIDES_ISSUER_STATUS_DIR", "BONAFIDES_ISSUER_DIR"])
def test_a_folder_by_its_variable(
    variable: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, str(tmp_path / "school"))
    assert main(["issuer", "status"]) == 2
    assert f"{tmp_path / 'school'} holds no issuer" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("value", "said"), [("1", "needs an endpoint"), ("0", "begins with https"), ("", "begins with https")]
)
def test_a_switch_by_its_variable(
    value: str, said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("BONAFIDES_ISSUER_INIT_DEVELOPMENT", value)
    assert main(["issuer", "init", "--name", "A school", "--url", "http://127.0.0.1:1"]) == 2
    assert said in capsys.readouterr().err


def test_the_help_names_the_variables() -> None:
    shown = CliRunner().invoke(bonafides, ["issuer", "init", "--help"]).output
    assert "BONAFIDES_ISSUER_INIT_DIR" in shown
    assert "FOLDER" not in shown


def test_names_in_a_document_do_not_steer_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(**_: object) -> None:
        raise Malformed("no such member\x1b[2J\u202e", path=("\x1b]0;title\x07", "\x9b2K"))

    monkeypatch.setattr(bonafides, "main", fail)
    assert main([]) == 2
    printed = capsys.readouterr().err.removesuffix("\n")
    assert printed.startswith("bonafides: no such member")
    assert printed.isprintable()


def test_a_report_that_could_not_be_written_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_args: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bonafides, "main", full)
    assert main([]) == 2
    assert capsys.readouterr().err == "bonafides: could not write: No space left on device\n"


@pytest.mark.parametrize("read", [loading.read_file, config.read_file])
def test_a_file_without_an_end_is_read_to_the_limit(read: Callable[[Path], bytes]) -> None:
    with pytest.raises(Malformed, match="more than 16,777,216 bytes"):
        read_intake(read(Path("/dev/zero")))
