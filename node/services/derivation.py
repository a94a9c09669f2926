"""Deriving what a holder shows from a credential with selective disclosure (VCALM 1.0 section 3.4.1)."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Final

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity import base_proofs_in, derive_proof, unsecured
from node.core.dataintegrity.selective import MAX_POINTERS
from node.core.errors import Malformed
from node.core.problem import pointer_of
from node.core.strict_json import JsonObject

_ENTROPY_BYTES: Final = 64


def derive(credential: JsonObject, pointers: Sequence[str], canonicalizer: Canonicalizer) -> JsonObject:
    """The credential's mandatory part and what the JSON Pointers select, with a proof for just that.

    Malformed: there is no base proof, or more than one, or a pointer points to nothing.
    """
    bases = list(base_proofs_in(credential))
    if len(bases) != 1:
        raise Malformed(f"expected one base proof to derive from, found {len(bases)}", path=("proof",))
    entropy = secrets.token_bytes(_ENTROPY_BYTES)
    return one_proof(derive_proof(credential, bases[0], pointers, canonicalizer, entropy=entropy))


def is_base(credential: JsonObject) -> bool:
    """Whether a credential with embedded proofs is one to derive from: its holder's alone."""
    return any(True for _ in base_proofs_in(credential))


def derive_all(credential: JsonObject, canonicalizer: Canonicalizer) -> JsonObject:
    """All that the holder of a base proof can show, as a verifier is shown it."""
    everything = [pointer_of([name]) for name in unsecured(credential) if name != "@context"]
    return derive(credential, everything, canonicalizer)


def pointers_of(options: JsonObject, name: str) -> tuple[str, ...]:
    """JSON Pointers that an option lists; none where there is no such option."""
    listed = options.get(name, [])
    if not isinstance(listed, list) or len(listed) > MAX_POINTERS:
        raise Malformed(f"an array of at most {MAX_POINTERS:,} JSON Pointers", path=("options", name))
    if not all(isinstance(pointer, str) for pointer in listed):
        raise Malformed("a JSON Pointer is a text", path=("options", name))
    return tuple(listed)


def one_proof(secured: JsonObject) -> JsonObject:
    """One proof as an object, not in an array: clients of the older interface look for its members there."""
    proofs = secured.get("proof")
    return {**secured, "proof": proofs[0]} if isinstance(proofs, list) and len(proofs) == 1 else secured
