"""The list of what the demo promises: what held, what did not, and what a transcript keeps of it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from io import StringIO
from typing import Any, NoReturn

from rich.console import Console

from node.demo.expectations import Playbill


def playbill() -> tuple[Playbill, StringIO]:
    shown = StringIO()
    return Playbill(Console(file=shown, width=120)), shown


def test_one_that_did_not_hold_is_shown_with_what_was_seen_and_counts() -> None:
    bill, shown = playbill()
    bill.act("First")
    bill.expect("water is wet", True)
    bill.expect("[red]fire[/red] is cold", False, seen="burnt [fingers]")
    assert bill.close() is False
    assert "demo: 1 of 2 expectations held" in shown.getvalue()
    assert "[red]fire[/red] is cold" in shown.getvalue()
    assert "seen: burnt [fingers]" in shown.getvalue()


def test_a_check_that_raises_did_not_hold_and_ends_nothing() -> None:
    bill, _ = playbill()

    def breaks() -> NoReturn:
        raise ValueError("out of paper")

    def works() -> tuple[bool, Mapping[str, Any]]:
        return True, {}

    bill.attempt("it prints", breaks)
    bill.attempt("it thinks", works)
    assert [one.held for one in bill.expectations] == [False, True]
    assert bill.expectations[0].seen == {"error": "ValueError: out of paper"}


def test_nothing_expected_is_not_everything_held() -> None:
    bill, _ = playbill()
    assert bill.close() is False


def test_the_transcript_keeps_what_was_told_and_what_was_seen() -> None:
    bill, _ = playbill()
    bill.act("First")
    bill.tell("somebody else's badge: undetermined")
    bill.expect("it is judged", True, verdict="undetermined")
    written = json.loads(json.dumps(bill.transcript()))
    assert written["told"] == [{"act": "First", "sentence": "somebody else's badge: undetermined"}]
    assert (written["held"], written["of"]) == (1, 1)
    assert written["expectations"][0]["seen"] == {"verdict": "undetermined"}
