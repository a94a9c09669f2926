"""The process in which didkit runs: one JSON document in, one out, then gone.

In a process that goes on, didkit takes the interpreter down with it when that ends (a segmentation fault in its
threads), so this one is left without tidying up. It is run by path, imports nothing of ours and is given nothing but
the document: no environment, no file to write, no network where the system allows to be without one.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

# Far above what the largest document takes; didkit's threads reserve much and use little.
_MAX_CPU_SECONDS = 20
_MAX_MEMORY_BYTES = 4 * 1024**3
_MAX_ERRORS = 10
_MAX_ERROR_CHARS = 300
_NEW_USER_AND_NETWORK = 0x10000000 | 0x40000000


def leave_network() -> bool:
    """Whether this process could be put into a network of its own, which has no way out (Linux)."""
    import ctypes  # noqa: PLC0415 - only a system that has it

    try:
        return int(ctypes.CDLL(None).unshare(_NEW_USER_AND_NETWORK)) == 0
    except (AttributeError, OSError):
        return False


def set_limits() -> None:
    """Bounds that the system holds, whatever didkit does with a hostile document."""
    try:
        import resource  # noqa: PLC0415 - not on every system
    except ImportError:
        return
    for limit, value in (
        (resource.RLIMIT_CPU, _MAX_CPU_SECONDS),
        (resource.RLIMIT_AS, _MAX_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))


async def verify(document: str, purpose: str) -> Any:
    """didkit's result on the one proof of a credential: its signature alone, no status and no schema."""
    import didkit  # type: ignore[import-not-found,import-untyped,unused-ignore]  # noqa: PLC0415

    options = json.dumps({"checks": ["proof"], "proofPurpose": purpose})
    return json.loads(await didkit.verify_credential(document, options))


def main() -> None:
    """Read the question, write the answer, leave."""
    question = json.loads(sys.stdin.buffer.read())
    leave_network()
    set_limits()
    result = asyncio.run(verify(question["document"], question["proofPurpose"]))
    sys.stdout.write(json.dumps([str(error)[:_MAX_ERROR_CHARS] for error in result["errors"][:_MAX_ERRORS]]))
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
