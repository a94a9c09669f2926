"""A second program's word on proofs of types that are not built here: didkit, in a child process.

Optional (extra `didkit`). What it says is a material for the engine, like a status list; which proofs it may be asked
about is `core/dataintegrity/second_opinion`.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from node.core.errors import Malformed, Unavailable
from node.core.strict_json import parse_json
from node.core.verify import engine
from node.core.verify.intake import Intake
from node.core.verify.materials import (
    Answer,
    Materials,
    Missing,
    Need,
    SecondOpinionAnswer,
    SecondOpinionNeed,
)
from node.core.verify.verifier import Verifier

# What it says of a signature that is wrong; everything else it says is that it could not tell.
_WRONG: Final = ("signature error", "Key mismatch", "Key does not match account id")
_CHILD: Final = Path(__file__).with_name("didkit_child.py")
TIME_LIMIT_SECONDS: Final = 10.0
MAX_AT_ONCE: Final = 2


class Didkit:
    """Asks didkit; one for a process, so that not more than `at_once` children run."""

    def __init__(self, *, at_once: int = MAX_AT_ONCE, time_limit_seconds: float = TIME_LIMIT_SECONDS) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._time_limit_seconds = time_limit_seconds

    async def answer(self, need: SecondOpinionNeed) -> SecondOpinionAnswer:
        """Whether the one proof in the document is a right signature by the key that it names.

        Its purpose is the one that it names; expiry, status and what the document says are not looked at. Unavailable
        where didkit is not installed, could not tell, or gave no answer in time.
        """
        if find_spec("didkit") is None:
            raise Unavailable("didkit is not installed", asked="didkit")
        question = json.dumps({"document": need.document, "proofPurpose": need.proof_purpose})
        try:
            async with asyncio.timeout(self._time_limit_seconds), self._turn:
                errors = await _ask(question.encode())
        except TimeoutError as error:
            raise Unavailable("didkit gave no answer in time", asked="didkit") from error
        if not errors or all(error.startswith(_WRONG) for error in errors):
            return SecondOpinionAnswer(verifies=not errors, source="didkit")
        raise Unavailable("didkit could not tell whether the signature is right", asked="didkit")


async def second_opinions(
    intake: Intake, verifier: Verifier, *, now: datetime, as_of: datetime | None = None
) -> Materials:
    """What didkit says of the proofs in `intake` that it may be asked about: materials of an offline verification."""
    didkit = Didkit()
    answers: dict[Need, Answer | Missing] = {}
    for need in engine.needs(intake, Materials.none(), verifier, now=now, as_of=as_of):
        if isinstance(need, SecondOpinionNeed):
            answers[need] = await _answer_or_missing(didkit, need)
    return Materials(answers)


async def _answer_or_missing(didkit: Didkit, need: SecondOpinionNeed) -> SecondOpinionAnswer | Missing:
    try:
        return await didkit.answer(need)
    except Unavailable as error:
        return Missing(error.detail)


async def _ask(question: bytes) -> list[str]:
    """The errors that the child found."""
    # Without the environment, which holds an operator's secrets; -I keeps the working directory off its path.
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        str(_CHILD),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={},
    )
    try:
        output, _ = await process.communicate(question)
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode != 0:
        raise _no_answer()
    try:
        errors = parse_json(output)
    except Malformed as error:
        raise _no_answer() from error
    if not isinstance(errors, list):
        raise _no_answer()
    return [str(error) for error in errors]


def _no_answer() -> Unavailable:
    return Unavailable("didkit ended without an answer", asked="didkit")
