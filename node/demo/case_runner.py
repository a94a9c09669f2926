"""The child process in which a submission runs, one case after the other; started by `trial` alone.

It imports the standard library only and is started as a file (`python -I -S -B`), so that nothing of ours and
nothing installed is within the submission's reach. It is told a case a line on its standard input and answers
with a line on the descriptor named first. Expected results never come here: a submission cannot read them.

The limits of the kernel are set here and hold. The audit hook is a fence and not a wall: it stops code that
opens a file or a connection by mistake, not code written to climb over it (`trial` says what that means).
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import sys
import types
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, NoReturn

# Events (PEP 578) that no task of this course needs: connections, other processes, native code, limits, links.
_REFUSED = (
    "socket.",
    "subprocess.",
    "ctypes.",
    "resource.",
    "os.exec",
    "os.fork",
    "os.kill",
    "os.link",
    "os.posix_spawn",
    "os.startfile",
    "os.symlink",
    "os.system",
    "pty.",
    "signal.",
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC


def _decode(value: dict[str, Any]) -> Any:
    return date.fromisoformat(value["$date"]) if value.keys() == {"$date"} else value


def _encode(value: Any, depth: int = 0) -> Any:
    """JSON for what a function returned; types that JSON lacks keep their name, so that they match nothing."""
    if depth > 8:
        return {"$type": "nested too deeply"}
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, dict):
        return {str(key): _encode(member, depth + 1) for key, member in value.items()}
    if isinstance(value, (list, tuple)):
        return [_encode(member, depth + 1) for member in value]
    if isinstance(value, date) and not isinstance(value, datetime):
        return {"$date": value.isoformat()}
    return {"$type": type(value).__name__}


def _fence(work: str) -> Callable[[str, tuple[Any, ...]], None]:
    """An audit hook: files below `work` may be used, the standard library may be read, nothing else."""
    inside = os.path.realpath(work) + os.sep
    libraries = tuple(os.path.realpath(entry) + os.sep for entry in sys.path if entry)

    def allowed(path: Any, *, write: bool) -> bool:
        if isinstance(path, int):
            return True
        real = os.path.realpath(os.fsdecode(path)) + os.sep
        return real.startswith(inside) or (not write and real.startswith(libraries))

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event.startswith(_REFUSED):
            raise PermissionError(f"the assessment does not allow {event}")
        if event == "open":
            path, mode, flags = args
            write = bool(isinstance(flags, int) and flags & _WRITING) or (
                isinstance(mode, str) and bool(set(mode) & set("wax+"))
            )
            if path is not None and not allowed(path, write=write):
                raise PermissionError("the assessment allows files in the working folder only")
        elif event.startswith(("os.", "shutil.", "glob.", "tempfile.")):
            write = event not in ("os.listdir", "os.scandir")
            if not all(
                allowed(arg, write=write) for arg in args if isinstance(arg, (str, bytes, os.PathLike))
            ):
                raise PermissionError("the assessment allows files in the working folder only")

    return hook


def _said(error: BaseException) -> dict[str, Any]:
    """Kind and message of what was raised, and the line of the submission where it came from."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == "submission.py":
            line = trace.tb_lineno
        trace = trace.tb_next
    if isinstance(error, SyntaxError):
        line = error.lineno
    message = ""
    with contextlib.suppress(Exception):  # a submission may define an exception that cannot be printed
        message = str(error)[:200]
    return {"raised": type(error).__name__, "message": message, "line": line}


def _load(source: str) -> types.ModuleType:
    module = types.ModuleType("submission")
    sys.modules["submission"] = module  # dataclasses look their module up
    exec(compile(source, "submission.py", "exec"), module.__dict__)  # noqa: S102 - it is what this process is for
    return module


def _clock(seconds: float) -> None:
    """Let the kernel end this process after so much processor time; 0 stops the clock."""
    signal.setitimer(signal.ITIMER_PROF, seconds)


def _measured(work: Callable[[], Any], seconds: float) -> dict[str, Any]:
    _clock(seconds)
    try:
        return {"value": _encode(work())}
    except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt are results of a case too
        return _said(error)
    finally:
        _clock(0)


def main(arguments: list[str]) -> NoReturn:
    """Answer cases until the input ends: `REPLIES SUBMISSION WORK LIMITS` (limits as JSON)."""
    replies, path, work, limits = int(arguments[0]), arguments[1], arguments[2], json.loads(arguments[3])
    with open(path, "rb") as file:  # noqa: PTH123 - pathlib would triple the start of a process of 20 ms
        source = file.read().decode("utf-8", "replace")
    # The submission gets an empty standard input; the cases come on a descriptor that it is not told.
    cases = os.fdopen(os.dup(0), encoding="utf-8")
    with open(os.devnull, "rb") as nothing:  # noqa: PTH123
        os.dup2(nothing.fileno(), 0)
    os.chdir(work)
    for name in ("AS", "FSIZE", "NOFILE", "CPU", "CORE"):
        resource.setrlimit(getattr(resource, f"RLIMIT_{name}"), (limits[name], limits[name]))
    sys.addaudithook(_fence(work))

    def answer(reply: dict[str, Any]) -> None:
        try:
            sys.stdout.flush()
        except (AttributeError, OSError, ValueError):
            # More was printed than may be: what is left over must not appear under the next case.
            sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
        data = json.dumps(reply).encode() + b"\n"
        while data:
            data = data[os.write(replies, data) :]

    loaded: list[types.ModuleType] = []
    answer(_measured(lambda: loaded.append(_load(source)), limits["seconds"]))
    for line in cases if loaded else ():
        case = json.loads(line, object_hook=_decode)
        answer(
            _measured(lambda case=case: getattr(loaded[0], case["call"])(*case["args"]), limits["seconds"])  # type: ignore[misc]
        )
    os._exit(0)  # without the handlers that the submission may have left behind


if __name__ == "__main__":
    main(sys.argv[1:])
