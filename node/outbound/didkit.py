"""A second program's word on proofs of types that are not built here: didkit, in a child process.

Optional (extra `didkit`). What it says is a material for the engine, like a status list. It is asked only about types
of proof that sign RDF statements, and only where the key certifies itself, so that neither of us has to ask anybody:
of issuers whose keys can change (did:ethr, did:web) it knows no registry and would believe the first key for ever.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from node.core.dataintegrity.proof import Proof
from node.core.dataintegrity.suites import unsecured
from node.core.errors import Malformed, Unavailable
from node.core.strict_json import Json, JsonObject, parse_json

# Types of proof that sign RDF statements and that didkit was seen to check.
SUITES: Final = frozenset(
    {
        "EcdsaSecp256k1Signature2019",
        "EcdsaSecp256r1Signature2019",
        "EcdsaSecp256k1RecoverySignature2020",
    }
)
_METHODS: Final = ("did:key:", "did:jwk:", "did:pkh:")
# Anything else in a proof might be read by us and not be signed.
_MEMBERS: Final = frozenset(
    {
        "@context",
        "id",
        "type",
        "verificationMethod",
        "proofPurpose",
        "created",
        "domain",
        "challenge",
        "nonce",
    }
    | {"jws"}
)
# didkit reads a proof in its own contexts and in the document's. With one that somebody wrote into either, a member
# that we read (`domain`) could mean nothing to didkit, and so not be signed.
_PROOF_CONTEXTS: Final = frozenset(
    {
        "https://www.w3.org/2018/credentials/v1",
        "https://w3id.org/security/v1",
        "https://w3id.org/security/v2",
        "https://w3id.org/security/suites/secp256k1recovery-2020/v2",
    }
)
# What it says of a signature that is wrong; everything else it says is that it could not tell.
_WRONG: Final = ("signature error", "Key mismatch", "Key does not match account id")
_CHILD: Final = Path(__file__).with_name("didkit_child.py")
TIME_LIMIT_SECONDS: Final = 10.0
MAX_AT_ONCE: Final = 2


def is_for_didkit(document: JsonObject, proof: Proof) -> bool:
    """Whether didkit may be asked about `proof`: its type and members, their contexts, and whose key it names."""
    return (
        proof.type in SUITES
        and proof.cryptosuite is None
        and proof.raw.keys() <= _MEMBERS
        and proof.verification_method.startswith(_METHODS)
        and set(_context_urls(proof.raw.get("@context", []))) <= _PROOF_CONTEXTS
        and None not in _context_urls(document.get("@context"))
    )


def _context_urls(contexts: Json) -> list[str | None]:
    """The contexts as URLs; None for one that is written out."""
    listed = contexts if isinstance(contexts, list) else [contexts]
    return [item if isinstance(item, str) else None for item in listed]


class Didkit:
    """Asks didkit; one for a process, so that not more than `at_once` children run."""

    def __init__(self, *, at_once: int = MAX_AT_ONCE, time_limit_seconds: float = TIME_LIMIT_SECONDS) -> None:
        self._turn = asyncio.Semaphore(at_once)
        self._time_limit_seconds = time_limit_seconds

    async def verifies(self, document: JsonObject, proof: Proof, *, presentation: bool = False) -> bool:
        """Whether `proof`, one of those of `document`, is a right signature by the key that it names.

        Its purpose is the one that it names; expiry, status and what the document says are not looked at. Unavailable
        where didkit is not installed, was not to be asked, could not tell, or gave no answer in time.
        """
        if not is_for_didkit(document, proof):
            raise Unavailable("didkit is not asked about proofs of this kind", asked=proof.type)
        if find_spec("didkit") is None:
            raise Unavailable("didkit is not installed", asked="didkit")
        question = {
            "document": json.dumps({**unsecured(document), "proof": proof.raw}),
            "presentation": presentation,
            "proofPurpose": proof.proof_purpose,
        }
        try:
            async with asyncio.timeout(self._time_limit_seconds), self._turn:
                errors = await _ask(json.dumps(question).encode())
        except TimeoutError as error:
            raise Unavailable("didkit gave no answer in time", asked="didkit") from error
        if not errors:
            return True
        if all(error.startswith(_WRONG) for error in errors):
            return False
        raise Unavailable("didkit could not tell whether the signature is right", asked="didkit")


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
