"""Placeholders in the texts of a template: found once, filled for every row.

In any string `{column}` stands for a cell, which must be filled; `{column:optional}` leaves the member out where it is
empty; `"{column:number}"` alone in its string gives a JSON number; `{{` and `}}` are braces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.core.strict_json import MAX_INTEGER, Json
from node.services.faults import Fault

_TOKEN: Final = re.compile(r"\{\{|\}\}|\{([^{}:]+)((?::[a-z]+)*)\}|[{}]")
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?\Z")


@dataclass(frozen=True, slots=True)
class Hole:
    """A placeholder: the column of its cell, and its flags."""

    column: str
    is_optional: bool
    is_number: bool


@dataclass(frozen=True, slots=True)
class Text:
    """A string of the template with holes; `slot` is its place among all of them."""

    slot: int
    pieces: tuple[str | Hole, ...]

    @property
    def holes(self) -> tuple[Hole, ...]:
        """Its placeholders, in their order."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Hole))


class Omitted:
    """What an optional hole with an empty cell leaves: nothing, not even its member."""


OMITTED: Final = Omitted()


def compile_value(value: Json, path: tuple[str | int, ...], slots: list[Text], faults: list[Fault]) -> Any:
    """The value with every string that has holes parsed into them and the pieces between, and added to `slots`."""
    if isinstance(value, dict):
        return {name: compile_value(member, (*path, name), slots, faults) for name, member in value.items()}
    if isinstance(value, list):
        return [compile_value(member, (*path, number), slots, faults) for number, member in enumerate(value)]
    return _compile_text(value, path, slots, faults) if isinstance(value, str) else value


def _compile_text(
    text: str, path: tuple[str | int, ...], slots: list[Text], faults: list[Fault]
) -> Text | str:
    pieces: list[str | Hole] = []
    end = 0
    for match in _TOKEN.finditer(text):
        pieces.append(text[end : match.start()])
        end = match.end()
        token = match.group()
        if token in ("{{", "}}"):
            pieces.append(token[0])
        elif match.group(1) is None:
            faults.append(Fault("template", f"a stray {token}: write {token * 2} for a brace", path=path))
        else:
            pieces.append(_hole(match.group(1), match.group(2), path, faults))
    compiled = Text(len(slots), tuple(piece for piece in (*pieces, text[end:]) if piece != ""))
    if not compiled.holes:
        return "".join(piece for piece in compiled.pieces if isinstance(piece, str))
    if len(compiled.pieces) > 1 and any(hole.is_number for hole in compiled.holes):
        faults.append(Fault("template", "a :number placeholder stands alone in its text", path=path))
    slots.append(compiled)
    return compiled


def _hole(column: str, flags: str, path: tuple[str | int, ...], faults: list[Fault]) -> Hole:
    names = flags.split(":")[1:]
    faults += [
        Fault("template", f"unknown flag :{name} of {{{column}}}", path=path)
        for name in sorted({*names} - {"optional", "number"})
    ]
    return Hole(column, "optional" in names, "number" in names)


def texts_in(node: Any) -> Iterator[Text]:
    """The strings with holes in a compiled value, in the order of their slots."""
    if isinstance(node, Text):
        yield node
    elif isinstance(node, (dict, list)):
        for member in node.values() if isinstance(node, dict) else node:
            yield from texts_in(member)


def holes_in(node: Any) -> Iterator[Hole]:
    """The placeholders in a compiled value."""
    for text in texts_in(node):
        yield from text.holes


def column_of(node: Any) -> str | None:
    """The column to look at when what a node was filled with is wrong; None: the template itself."""
    return next((hole.column for hole in holes_in(node)), None)


def put_values(node: Any, values: Sequence[Any]) -> Any:
    """A compiled value with these values in its slots; `OMITTED` where nothing of it is left."""
    if isinstance(node, Text):
        return values[node.slot]
    if isinstance(node, dict):
        put = {name: put_values(member, values) for name, member in node.items()}
        kept = {name: member for name, member in put.items() if member is not OMITTED}
        return kept if kept or not node else OMITTED
    if isinstance(node, list):
        items = [item for item in (put_values(member, values) for member in node) if item is not OMITTED]
        return items if items or not node else OMITTED
    return node


def fill_text(text: Text, cells: Mapping[str, str], faults: list[Fault]) -> Any:
    """What a row's cells make of a string: a text, a number, or `OMITTED`; what is wrong is added to `faults`."""
    out = []
    for piece in text.pieces:
        if isinstance(piece, str):
            out.append(piece)
            continue
        cell = cells.get(piece.column, "")
        if not cell:
            if not piece.is_optional:
                faults.append(Fault("cohort", "the cell is empty", column=piece.column))
            return OMITTED
        if piece.is_number:
            return _number(cell, piece.column, faults)
        out.append(cell)
    return "".join(out)


def _number(cell: str, column: str, faults: list[Fault]) -> Any:
    if _NUMBER.match(cell) and len(cell) <= 32:
        value = float(cell) if "." in cell else int(cell)
        if abs(value) <= MAX_INTEGER:
            return value
    faults.append(Fault("cohort", "not a number that JSON can carry", column=column))
    return OMITTED
