"""A row of the table, and times taken in turns."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
# Once through all the items: the seconds that each took.
Pass = Callable[[], Sequence[float]]


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured, and what it is to be at least or at most; neither where it only explains another row."""

    work: str
    measured: float | int | str
    unit: str = ""
    at_least: float | None = None
    at_most: float | None = None
    stretch: float | None = None

    @property
    def met(self) -> str:
        """Yes or no, or nothing where there is no limit."""
        if isinstance(self.measured, str) or self.at_least is self.at_most is None:
            return ""
        if self.at_most is not None:
            return "yes" if self.measured <= self.at_most else "NO"
        assert self.at_least is not None
        reached = self.stretch is not None and self.measured >= self.stretch
        return "stretch" if reached else "yes" if self.measured >= self.at_least else "NO"

    @property
    def limit(self) -> str:
        """The limit in words."""
        if self.at_most is not None:
            return f"at most {self.at_most:g} {self.unit}".rstrip()
        if self.at_least is None:
            return ""
        stretch = f", stretch {self.stretch:g}" if self.stretch is not None else ""
        return f"{self.at_least:g} {self.unit}".rstrip() + stretch

    @property
    def figure(self) -> str:
        """What was measured, to three digits."""
        if not isinstance(self.measured, float):
            text = f"{self.measured:,}" if isinstance(self.measured, int) else self.measured
        elif abs(self.measured) >= 1000:
            text = f"{self.measured:,.0f}"
        else:
            text = f"{self.measured:#.3g}".rstrip(".")
        return f"{text} {self.unit}".rstrip()


def each(work: Callable[[T], object], items: Iterable[T]) -> Pass:
    """A pass in this process: `work` done with each item."""
    kept = list(items)

    def once() -> list[float]:
        taken = []
        for item in kept:
            started = time.perf_counter()
            work(item)
            taken.append(time.perf_counter() - started)
        return taken

    return once


def in_turns(passes: Mapping[str, Pass], rounds: int) -> dict[str, float]:
    """Seconds: for each the least time of every item, and of these the mean.

    They take turns, round by round, so that a busy machine slows them alike; the first round warms up.
    """
    best: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, once in passes.items():
            taken = once()
            if number:
                best[name] = [min(pair) for pair in zip(best.get(name, taken), taken, strict=True)]
    return {name: sum(times) / len(times) for name, times in best.items()}


def microseconds(found: Mapping[str, float]) -> list[Row]:
    """A row without a limit for each time."""
    return [Row(name, seconds * 1e6, "µs") for name, seconds in found.items()]
