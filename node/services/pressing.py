"""Signing the rows of a large cohort in a process of its own, while this one writes to the database.

The child is a pure function: a signer, plates and rows go in by its standard input, what was pressed comes out. It has
no environment and no arguments that say anything, opens no file and ends with its input, so also with its parent. The
key goes to it through the pipe alone.

Nothing depends on it: where it cannot be had, or is lost on the way, the same is done here.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import IO, Final

from node.core.keys import Signer
from node.keystore import Ed25519Signer
from node.services.stencil import Pressed, Row

FROM_ROWS: Final = 4000
"""To start another interpreter takes about as long as some thousand signatures."""
_PIECE: Final = 250
_ROOT: Final = str(Path(__file__).parents[2])
_PROGRAM: Final = f"import sys; sys.path.append({_ROOT!r}); from node.services.pressing import main; main()"
_END_SECONDS: Final = 5


class Press:
    """Presses rows here."""

    async def press(self, signer: Signer, rows: Sequence[Row]) -> list[Pressed | None]:
        """For each row its document and digest; None where its plate says nothing of it."""
        return _pressed(rows, signer.sign)

    @property
    def is_apart(self) -> bool:
        """Whether something else can be done meanwhile."""
        return False


class _Apart(Press):
    """Presses rows in a child, until that is lost."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child: subprocess.Popen[bytes] | None = child
        self._asking = asyncio.Lock()

    async def press(self, signer: Signer, rows: Sequence[Row]) -> list[Pressed | None]:
        # A signer that is no plain secret stays here.
        if rows and isinstance(signer, Ed25519Signer):
            async with self._asking:
                if self._child is not None:
                    pressed = await asyncio.to_thread(_ask, self._child, signer, rows)
                    if pressed is not None:
                        return pressed
                    self.end()
        return await super().press(signer, rows)

    @property
    def is_apart(self) -> bool:
        return self._child is not None

    def end(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        child.kill()
        for pipe in (child.stdin, child.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_END_SECONDS)


@asynccontextmanager
async def pressing(count: int) -> AsyncIterator[Press]:
    """A press for so many rows; its child, if it has one, ends with the block."""
    child = _start() if count >= FROM_ROWS and (os.cpu_count() or 1) > 1 else None
    if child is None:
        yield Press()
        return
    press = _Apart(child)
    try:
        yield press
    finally:
        press.end()


def _start() -> subprocess.Popen[bytes] | None:
    try:
        return subprocess.Popen(  # noqa: S603 - this interpreter, with a text of ours
            [sys.executable, "-I", "-c", _PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={},
        )
    except (OSError, ValueError):
        return None


def _ask(child: subprocess.Popen[bytes], signer: Signer, rows: Sequence[Row]) -> list[Pressed | None] | None:
    """What the child makes of the rows; None where it is gone."""
    assert child.stdin is not None  # noqa: S101 - it was started with both
    assert child.stdout is not None  # noqa: S101
    plates = list({id(plate): plate for plate, _ in rows}.values())
    numbers = {id(plate): number for number, plate in enumerate(plates)}
    pressed: list[Pressed | None] = []
    try:
        _send(child.stdin, (signer, plates, [(numbers[id(plate)], values) for plate, values in rows]))
        while len(pressed) < len(rows):
            pressed += pickle.load(child.stdout)  # noqa: S301 - from a process of this module alone
    except (OSError, EOFError, ValueError, pickle.UnpicklingError):
        return None
    return pressed


def _send(pipe: IO[bytes], value: object) -> None:
    pickle.dump(value, pipe, protocol=pickle.HIGHEST_PROTOCOL)
    pipe.flush()


def _pressed(rows: Sequence[Row], sign: Callable[[bytes], bytes]) -> list[Pressed | None]:
    return [plate.press(values, sign) for plate, values in rows]


def main() -> None:
    """The child: press what comes in until nothing more does."""
    # Ctrl-C is for the parent, which then ends this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    read, write = sys.stdin.buffer, sys.stdout.buffer
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            signer, plates, rows = pickle.load(read)  # noqa: S301 - from the process that started this one
            for start in range(0, len(rows), _PIECE):
                part = [(plates[number], values) for number, values in rows[start : start + _PIECE]]
                _send(write, _pressed(part, signer.sign))
