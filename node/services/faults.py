"""What is wrong with the issuer's input: every fault with its place, all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from node.core import problem
from node.core.errors import Malformed


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend. `row` counts from 1 without the header, `line` is that of the file."""

    source: str  # "template", "cohort" or "evidence"
    detail: str
    row: int | None = None
    line: int | None = None
    column: str | None = None
    path: tuple[str | int, ...] = ()

    def __str__(self) -> str:
        place = self.source
        if self.path:
            place += " /" + "/".join(str(step) for step in self.path)
        if self.row is not None:
            place += f" row {self.row}"
        if self.line is not None:
            place += f" (line {self.line})" if self.row is not None else f" line {self.line}"
        if self.column is not None:
            place += f", column {self.column}"
        return f"{place}: {self.detail}"


class InputFaults(Malformed):
    """The input is refused whole; `faults` is everything that was found, in the order of the input."""

    default_type = problem.ours("input")

    def __init__(self, faults: Sequence[Fault]) -> None:
        more = f" (and {len(faults) - 1:,} more)" if len(faults) > 1 else ""
        super().__init__(f"{faults[0]}{more}")
        self.faults = tuple(faults)
