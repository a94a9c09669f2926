"""What the demo promises and whether it held: each expectation printed with its time, all of them in a transcript."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape

Check = Callable[[], tuple[bool, Mapping[str, Any]]]
"""Finds out whether something is true, and what was seen."""


@dataclass(slots=True)
class Expectation:
    """One sentence that must be true, and what was seen."""

    act: str
    sentence: str
    held: bool
    seconds: float
    seen: Mapping[str, Any] = field(default_factory=dict)


class Playbill:
    """Collects expectations as they are checked, and tells of them on `console`."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.expectations: list[Expectation] = []
        self.told: list[tuple[str, str]] = []
        self.started = time.monotonic()
        self._act = ""
        self._since = self.started

    def act(self, title: str) -> None:
        """Begin the next act."""
        self._act = title
        self._since = time.monotonic()
        self.console.print(f"\n[bold]{escape(title)}[/bold]")

    def tell(self, sentence: str) -> None:
        """Say what happens; nothing is promised by it."""
        self.told.append((self._act, sentence))
        self.console.print(f"  [dim]{escape(sentence)}[/dim]")

    def expect(self, sentence: str, held: bool, **seen: Any) -> None:
        """Record whether a sentence is true. The time is what has passed since the one before."""
        now = time.monotonic()
        seconds, self._since = now - self._since, now
        self.expectations.append(Expectation(self._act, sentence, held, round(seconds, 3), seen))
        mark = "[green]held[/green]" if held else "[bold red]NOT HELD[/bold red]"
        self.console.print(f"  {mark}  {escape(sentence)} [dim]({seconds:.2f} s)[/dim]")
        if not held:
            for name, value in seen.items():
                self.console.print(f"        {escape(f'{name}: {value}')}")

    def attempt(self, sentence: str, check: Check) -> None:
        """As `expect`, for a check that may raise: then it did not hold, and the demo goes on."""
        held, seen = tried(check)
        self.expect(sentence, held, **seen)

    @property
    def held(self) -> int:
        """How many held."""
        return sum(one.held for one in self.expectations)

    def close(self) -> bool:
        """The last line, and whether all held (none at all is not all)."""
        total = len(self.expectations)
        took = time.monotonic() - self.started
        self.console.print(f"\ndemo: {self.held} of {total} expectations held [dim]({took:.0f} s)[/dim]")
        return total > 0 and self.held == total

    def transcript(self) -> dict[str, Any]:
        """What happened, as JSON."""
        return {
            "held": self.held,
            "of": len(self.expectations),
            "seconds": round(time.monotonic() - self.started, 1),
            "told": [{"act": act, "sentence": sentence} for act, sentence in self.told],
            "expectations": [
                {
                    "act": one.act,
                    "expectation": one.sentence,
                    "held": one.held,
                    "seconds": one.seconds,
                    "seen": dict(one.seen),
                }
                for one in self.expectations
            ],
        }


def tried(check: Check) -> tuple[bool, Mapping[str, Any]]:
    """What a check finds; one that raises did not hold."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001 - whatever goes wrong is shown as an expectation that failed
        return False, {"error": f"{type(error).__name__}: {error}"}
