"""Runs one submission against the cases of a task, in a child process with limits, and says what happened.

Limits: processor time for each case and for the whole, address space, size of any file written (the output
included), open files, wall clock, and number of restarts after a case that ended its process. The child runs in
a folder of its own, with an empty environment, without site packages, in its own session.

What this does not do: it is not a sandbox. The child runs as the same user, so a submission written to attack
can look at what that user can look at (`os.stat` raises no audit event, and an audit hook can be climbed from
inside the process). An operator who takes submissions from strangers runs this in a container or under a user
that owns nothing. Root is not held by the hard limits either.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Limits:
    """What one submission may use. Seconds are of processor time unless the name says wall."""

    seconds_per_case: float = 1.0
    wall_seconds_per_case: float = 10.0
    memory_bytes: int = 256 * _MIB
    file_bytes: int = _MIB
    open_files: int = 32
    starts: int = 3
    shown_characters: int = 400
    reply_bytes: int = 4 * _MIB

    def for_child(self, cases: int) -> dict[str, float]:
        """The kernel's limits by name, and the seconds of a case. The whole gets no more than its cases."""
        return {
            "AS": self.memory_bytes,
            "FSIZE": self.file_bytes,
            "NOFILE": self.open_files,
            "CPU": int(self.seconds_per_case * (cases + 1)) + 1,
            "CORE": 0,
            "seconds": self.seconds_per_case,
        }


@dataclass(frozen=True, slots=True)
class Case:
    """One hidden test: files to lay out, a function to call, where to look, what must be there."""

    name: str
    criterion: str
    call: str
    args: Sequence[Any]
    expected: Any
    files: Mapping[str, Any] = field(default_factory=dict)
    look: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What a case came to; `reason` is empty exactly if it passed. `printed` is cut, `printed_bytes` is not."""

    case: Case
    reason: str
    printed: str = ""
    printed_bytes: int = 0

    @property
    def passed(self) -> bool:
        """Whether the submission did what the case asks."""
        return not self.reason


class _Ended(Exception):
    """The child is gone; says why."""


class _Child:
    """A running case runner. Its output goes into a file that is emptied before each case."""

    def __init__(self, folder: Path, limits: Limits, cases: int) -> None:
        self._limits = limits
        self._output = (folder / "output").open("a+b")
        self._replies, theirs = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 - our interpreter, our file, no shell
                [
                    sys.executable,
                    *("-I", "-S", "-B"),
                    str(folder / "case_runner.py"),
                    str(theirs),
                    str(folder / "submission.py"),
                    str(folder / "work"),
                    json.dumps(limits.for_child(cases)),
                ],
                stdin=subprocess.PIPE,
                stdout=self._output,
                stderr=self._output,
                env={"PATH": os.defpath, "LC_ALL": "C.UTF-8", "TMPDIR": str(folder / "work")},
                cwd=folder / "work",
                pass_fds=(theirs,),
                start_new_session=True,
            )
        finally:
            os.close(theirs)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kill()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        os.close(self._replies)
        self._output.close()

    def _kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def tell(self, case: Case) -> None:
        """Hand over a case."""
        os.ftruncate(self._output.fileno(), 0)
        pipe = self._process.stdin
        try:
            if pipe is not None:
                pipe.write(json.dumps({"call": case.call, "args": case.args}).encode() + b"\n")
                pipe.flush()
        except BrokenPipeError as error:
            raise _Ended(self._why()) from error

    def reply(self) -> dict[str, Any]:
        """The answer to the last case (the first is about loading); `_Ended` if none comes."""
        data = bytearray()
        end = time.monotonic() + self._limits.wall_seconds_per_case
        while not data.endswith(b"\n"):
            if not select.select([self._replies], [], [], max(0.0, end - time.monotonic()))[0]:
                raise _Ended(f"stopped: no answer within {self._limits.wall_seconds_per_case:g} s")
            piece = os.read(self._replies, 65_536)
            if not piece:
                raise _Ended(self._why())
            data += piece
            if len(data) > self._limits.reply_bytes:
                raise _Ended("stopped: the function returned too much")
        try:
            answer = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise _Ended("stopped: the answer could not be read") from error
        if not isinstance(answer, dict):
            raise _Ended("stopped: the answer could not be read")
        return answer

    def printed(self) -> tuple[str, int]:
        """What was printed since the last case was told, cut, and how many bytes it was."""
        size = os.fstat(self._output.fileno()).st_size
        data = os.pread(self._output.fileno(), self._limits.shown_characters * 4, 0)
        return data.decode("utf-8", "replace")[: self._limits.shown_characters], size

    def _why(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(timeout=1.0)
            if -code in (signal.SIGPROF, signal.SIGXCPU):
                return f"stopped: more than {self._limits.seconds_per_case:g} s of processor time"
            if code < 0:
                return f"the process was ended by {signal.Signals(-code).name}"
        return "the process ended by itself"


def _lay_out(work: Path, case: Case) -> None:
    """Make `work` hold the files of the case and nothing else."""
    for root, folders, names in os.walk(work, topdown=False):  # without following links
        for name in names:
            Path(root, name).unlink()
        for name in folders:
            path = Path(root, name)
            if path.is_symlink():
                path.unlink()
            else:
                path.rmdir()
    for name, content in case.files.items():
        if isinstance(content, str):
            text = content
        else:
            rows = (content["row"].format(n=number) for number in range(content["times"]))
            text = content["head"] + "".join(rows)
        (work / name).write_text(text, encoding="utf-8", newline="")


def _file_text(path: Path, limit: int) -> str | None:
    """Text of a regular file that the submission wrote; None if there is none. Links and pipes are not opened."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return file.read(limit).decode("utf-8", "replace")


def _seen(case: Case, value: Any, work: Path, limit: int) -> tuple[Any, str]:
    """What is to be compared with the expectation, and a complaint if there is nothing to compare."""
    name = case.look.get("json") or case.look.get("text")
    if name:
        text = _file_text(work / name, limit)
        if text is None:
            return None, f"no file {name} was written"
        if "text" in case.look:
            missing = [part for part in case.look["holds"] if part not in text]
            return not missing, f"{name} does not hold {', '.join(missing)}" if missing else ""
        try:
            return json.loads(text), ""
        except (ValueError, RecursionError):
            return None, f"{name} is not JSON"
    if "pick" in case.look:
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            return None, f"expected a list of dicts, got {_short(value)}"
        return [row.get(case.look["pick"]) for row in value], ""
    return value, ""


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "..."


def _judge(case: Case, reply: dict[str, Any], work: Path, limits: Limits) -> str:
    """Empty if the case passed, else why not."""
    if "raised" in reply:
        return _raised(reply)
    seen, complaint = _seen(case, reply.get("value"), work, limits.file_bytes)
    if complaint:
        return complaint
    # Compared as JSON text, so that 75 and 75.0, or 1 and true, are different answers.
    if json.dumps(seen, sort_keys=True) != json.dumps(case.expected, sort_keys=True):
        return f"expected {_short(case.expected)}, got {_short(seen)}"
    return ""


def _raised(reply: dict[str, Any]) -> str:
    where = f" in line {reply['line']}" if reply.get("line") else ""
    message = f": {reply['message']}" if reply.get("message") else ""
    return f"{reply['raised']}{where}{message}"


def run_trial(source: bytes, cases: Sequence[Case], limits: Limits | None = None) -> tuple[CaseResult, ...]:
    """One result for each case, in order. The submission's doings never raise; a broken machine does (OSError)."""
    limits = limits or Limits()
    results: list[CaseResult] = []
    with tempfile.TemporaryDirectory(prefix="bonafides-trial-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / "work").mkdir()
        (folder / "submission.py").write_bytes(source)
        (folder / "case_runner.py").write_bytes(files("node.demo").joinpath("case_runner.py").read_bytes())
        for _ in range(limits.starts):
            if len(results) == len(cases):
                break
            with _Child(folder, limits, len(cases)) as child:
                results += _run_from(child, cases[len(results) :], folder / "work", limits)
    results += [
        CaseResult(case, "not run: too many cases ended their process") for case in cases[len(results) :]
    ]
    return tuple(results)


def _run_from(child: _Child, cases: Sequence[Case], work: Path, limits: Limits) -> list[CaseResult]:
    """Results until the cases or the child come to an end; the case that ended the child is among them."""
    try:
        loading = child.reply()
    except _Ended as end:
        return [CaseResult(case, f"could not be loaded: {end}") for case in cases]
    if "raised" in loading:
        return [CaseResult(case, f"could not be loaded: {_raised(loading)}") for case in cases]
    results: list[CaseResult] = []
    for case in cases:
        _lay_out(work, case)
        try:
            child.tell(case)
            reason = _judge(case, child.reply(), work, limits)
        except _Ended as end:
            return [*results, CaseResult(case, str(end), *child.printed())]
        results.append(CaseResult(case, reason, *child.printed()))
    return results
