"""The places at which a process may be killed: every statement of some modules, in whatever way it is reached.

Nothing is listed by hand. A run is watched once, and each statement that it reaches, told apart by the statements that
led to it, is a place; a statement that is new in the code is one by itself.
"""

from __future__ import annotations

import ast
import copy
import functools
import importlib
import inspect
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, FunctionType, ModuleType
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


def watch(modules: tuple[str, ...], reached: Callable[[Place], None]) -> None:
    """Call `reached` before each statement of the modules from here on, in this thread."""
    sources = sources_of(modules)

    def line(frame: FrameType, event: str, _argument: Any) -> Any:
        if event == "line":
            reached(_place(sources, frame))
        return line

    sys.settrace(lambda frame, _event, _argument: line if _is_watched(sources, frame.f_code) else None)


def lay_trap(modules: tuple[str, ...], deadly: Place) -> None:
    """Kill this process before the innermost statement of `deadly`, when it is come to in that way.

    The trap is compiled into the function that the statement is of, so that everything is as fast as ever.
    """
    sources = sources_of(modules)
    module, function, line = deadly[0].split(":")
    file = next(file for file, source in sources.items() if source.name == module)

    def spring() -> None:
        if _place(sources, sys._getframe(1)) == deadly:
            os.kill(os.getpid(), signal.SIGKILL)

    path = function.partition(".<locals>")[0].split(".")
    tree = _Trapper(int(line)).visit(_only(sources[file].tree, path))
    found = sys.modules[f"node.{module}"]
    found.__dict__[_TRAP] = spring
    _function_of(found, path).__code__ = _code_of(compile(tree, file, "exec"), path)


@functools.cache
def sources_of(modules: tuple[str, ...]) -> Mapping[str, Source]:
    """The modules by their files."""
    return dict(map(Source.of, modules))


_TRAP = "__trap__"


class _Trapper(ast.NodeTransformer):
    """Puts a call of the trap before the statement that begins in a line."""

    def __init__(self, line: int) -> None:
        self.line = line

    def generic_visit(self, node: ast.AST) -> ast.AST:
        node = super().generic_visit(node)
        if not isinstance(node, ast.stmt) or node.lineno != self.line:
            return node
        call = ast.Expr(ast.Call(ast.Name(_TRAP, ast.Load()), [], []))
        return [ast.fix_missing_locations(ast.copy_location(call, node)), node]  # type: ignore[return-value]


def _only(tree: ast.Module, path: Sequence[str]) -> ast.Module:
    """The module with nothing in it but the function at `path`."""
    found: Any = tree
    for part in path:
        kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
        found = next(one for one in found.body if isinstance(one, kinds) and one.name == part)
    kept: ast.stmt = copy.deepcopy(found)
    for part in reversed(path[:-1]):
        kept = ast.copy_location(ast.ClassDef(part, [], [], [kept], []), kept)
    future = ast.parse("from __future__ import annotations").body
    return ast.fix_missing_locations(ast.Module([*future, kept], []))


def _code_of(code: CodeType, path: Sequence[str]) -> CodeType:
    for part in path:
        code = next(one for one in code.co_consts if isinstance(one, CodeType) and one.co_name == part)
    return code


def _function_of(module: ModuleType, path: Sequence[str]) -> FunctionType:
    found: Any = module
    for part in path:
        found = inspect.getattr_static(found, part)
    found = found.fget if isinstance(found, property) else getattr(found, "__func__", found)
    function = inspect.unwrap(found)
    assert isinstance(function, FunctionType)
    return function


def _place(sources: Mapping[str, Source], frame: FrameType | None) -> Place:
    found = []
    while frame is not None:
        if _is_watched(sources, frame.f_code):
            source = sources[frame.f_code.co_filename]
            line = source.statements.get(frame.f_lineno, frame.f_lineno)
            found.append(f"{source.name}:{frame.f_code.co_qualname}:{line}")
        frame = frame.f_back
    return tuple(found)


def _is_watched(sources: Mapping[str, Source], code: CodeType) -> bool:
    # Asked of every function that is called anywhere: the cheap question first. What stands between angle brackets is
    # a part of the statement around it.
    return code.co_filename in sources and bool(code.co_flags & _IS_FUNCTION) and code.co_name[0] != "<"
