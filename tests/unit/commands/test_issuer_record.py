"""What `issuer status` prints is what is there."""

from __future__ import annotations

import pytest

from node.commands.issuer_record import _print_overview

DID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


def test_no_identifier_is_read_as_markup_or_emoji(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """`:key:` is the code of an emoji, and square brackets are markup, to the library that draws the tables."""
    monkeypatch.setenv("COLUMNS", "200")
    found = {
        "name": "School [bold]",
        "did": DID,
        "url": "https://school.example",
        "warnings": [],
        "chain": {"owner": DID, "endpoint": None},
        "paid": {"calls": {}, "batches": None},
        "keys": [{"role": "assertion", "verificationMethod": f"{DID}#[i]"}],
        "lists": [],
        "set_aside": [],
    }
    _print_overview(found)
    shown = capsys.readouterr().out
    assert shown.count(DID) == 3
    assert "School [bold]" in shown
    assert f"{DID}#[i]" in shown
    assert "None" not in shown
