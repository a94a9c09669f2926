"""The places at which a process may be killed: every statement of some modules, in whatever way it is reached.

Nothing is listed by hand. A run is watched once, and each statement that it reaches, told apart by the statements that
led to it, is a place; a statement that is new in the code is one by itself.
"""

from __future__ import annotations

import ast
import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

Place = tuple[str, ...]
"""The statements on the stack that are of the watched modules, innermost first, each as `module:function:line`."""

_IS_FUNCTION = 0x02  # CO_NEWLOCALS


@dataclass(frozen=True)
class Source:
    """A module, and the first line of the statement that each of its lines is of."""

    name: str
    tree: ast.Module
    statements: dict[int, int]

    @classmethod
    def of(cls, module: str) -> tuple[str, Source]:
        """The module's file, and what stands in it."""
        file = str(importlib.import_module(module).__file__)
        tree = ast.parse(Path(file).read_text())
        statements: dict[int, int] = {}
        # Outer ones come first, so that the innermost has the last word.
        for node in ast.walk(tree):
            if isinstance(node, ast.stmt):
                for number in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                    statements[number] = max(node.lineno, statements.get(number, 0))
        return file, cls(module.removeprefix("node."), tree, statements)


def functions(modules: Sequence[str]) -> set[str]:
    """Every function of the modules that holds statements, as `module:function`; no abstract ones."""
    found = set()
    for _, source in map(Source.of, modules):
        found |= {f"{source.name}:{name}" for name in _functions(source.tree.body, "")}
    return found


def _functions(body: Sequence[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.ClassDef):
            yield from _functions(node.body, f"{prefix}{node.name}.")
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            if not all(
                isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant) for one in node.body
            ):
                yield prefix + node.name
            yield from _functions(node.body, f"{prefix}{node.name}.<locals>.")


def watch(modules: Sequence[str], reached: Callable[[Place], None]) -> None:
    """Call `reached` before each statement of the modules from here on, in this thread."""
    sources = dict(map(Source.of, modules))

    def place(frame: FrameType | None) -> Place:
        found = []
        while frame is not None:
            if frame.f_code.co_filename in sources and is_watched(frame.f_code):
                source = sources[frame.f_code.co_filename]
                line = source.statements.get(frame.f_lineno, frame.f_lineno)
                found.append(f"{source.name}:{frame.f_code.co_qualname}:{line}")
            frame = frame.f_back
        return tuple(found)

    def is_watched(code: CodeType) -> bool:
        # What stands between angle brackets is a part of the statement around it.
        return bool(code.co_flags & _IS_FUNCTION) and code.co_name[0] != "<"

    def enter(frame: FrameType, _event: str, _argument: Any) -> Any:
        # Asked of every function that is called anywhere: the cheap question first.
        return line if frame.f_code.co_filename in sources and is_watched(frame.f_code) else None

    def line(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            reached(place(frame))
        return line

    sys.settrace(enter)
