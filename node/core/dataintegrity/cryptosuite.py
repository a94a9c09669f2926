"""What a cryptosuite does (VC Data Integrity 1.0 section 3): document and proof options to the bytes signed.

The simple suites share their shape: hash of the canonical proof configuration, then of the canonical document.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.errors import Unavailable
from node.core.keys import KeyKind
from node.core.strict_json import JsonObject


class UnknownSuite(Unavailable):
    """A proof of a type or cryptosuite that is not built here: it decides nothing."""

    default_type = problem.ours("unknown-suite")

    def __init__(self, name: str) -> None:
        super().__init__(f"proofs of the suite {name[:80]} are not checked here", asked=name)


@dataclass(frozen=True, slots=True)
class HashData:
    """The canonical forms of a proof configuration and of the document it secures, and their hash's name."""

    proof_config: bytes
    document: bytes
    hash_name: str = "sha256"

    @property
    def message(self) -> bytes:
        """What is signed: H(proof configuration) then H(document)."""
        return self._hash(self.proof_config) + self._hash(self.document)

    def _hash(self, data: bytes) -> bytes:
        return hashlib.new(self.hash_name, data).digest()


class Cryptosuite(Protocol):
    """One cryptosuite; `signature_bytes` says which kinds of key it takes and how long a signature of each is."""

    @property
    def name(self) -> str:
        """The text of the proof's `cryptosuite` member."""
        ...

    @property
    def signature_bytes(self) -> Mapping[KeyKind, int]:
        """Length of the raw signature by kind of key; other kinds are refused."""
        ...

    def proof_options(self, document: JsonObject, options: JsonObject) -> JsonObject:
        """The proof, but for its value, that is written when `document` is secured with `options`."""
        ...

    def hash_data(self, document: JsonObject, options: JsonObject, canonicalizer: Canonicalizer) -> HashData:
        """The canonical forms of `options` (a proof without its value) and `document` (as it is secured).

        Malformed where they have none; NotVerified where the options cannot belong to the document.
        """
        ...
