"""The stage of the demo: a network that is closed, where the machine allows it, and promises looked into together."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any, NoReturn

import pytest
from rich.console import Console

from node.demo.company import Company
from node.demo.expectations import Playbill
from node.demo.stage import Stage, can_reach, closed_network


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])


def test_whoever_runs_in_a_closed_network_reaches_nobody_even_on_this_machine(port: int) -> None:
    assert can_reach("127.0.0.1", port, ())
    within = closed_network()
    if within is None:
        pytest.skip("this machine allows no network namespace")
    assert not can_reach("127.0.0.1", port, within)


@pytest.mark.parametrize("script", [None, "#!/bin/sh\nexit 1\n"], ids=["not_installed", "forbidden"])
def test_a_machine_that_closes_no_network_is_told_from_one_that_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str | None
) -> None:
    if script is not None:
        (tmp_path / "unshare").write_text(script)
        (tmp_path / "unshare").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert closed_network() is None


def test_promises_that_are_looked_into_together_are_told_in_their_order_and_one_may_raise(
    tmp_path: Path,
) -> None:
    bill = Playbill(Console(file=StringIO()))

    def breaks() -> NoReturn:
        raise ValueError("out of paper")

    def holds() -> tuple[bool, Mapping[str, Any]]:
        return True, {"pages": 3}

    Company(Stage(tmp_path), bill).attempt_all(("it prints", breaks), ("it counts", holds))
    assert [(one.sentence, one.held) for one in bill.expectations] == [
        ("it prints", False),
        ("it counts", True),
    ]
    assert [dict(one.seen) for one in bill.expectations] == [
        {"error": "ValueError: out of paper"},
        {"pages": 3},
    ]
