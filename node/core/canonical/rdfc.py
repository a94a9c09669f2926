"""Canonical N-Quads of JSON-LD documents: expansion with pinned contexts, then RDFC-1.0.

`Canonicalizer` is the one door to RDF: a faster way to the same text comes behind it. Importing this module
does not import pyld.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import Final

from node.core.canonical.contexts import ContextStore
from node.core.canonical.expansion import Expander, statements
from node.core.canonical.jcs import canonicalize
from node.core.canonical.labelling import canonicalize_quads
from node.core.canonical.nquads import Quad, parse_nquads
from node.core.strict_json import JsonObject

# A document is canonicalized for its signature and again to compare what is read with it.
_REMEMBERED: Final = 16
_REMEMBERED_CHARS: Final = 64 * 1024


class Canonicalizer:
    """JSON-LD documents to canonical N-Quads, with the pinned `contexts` and no others. Threads may share it."""

    def __init__(self, contexts: ContextStore) -> None:
        self.contexts = contexts
        self._expander = Expander(contexts)
        self._recent: OrderedDict[tuple[bytes, str], str] = OrderedDict()
        self._remembering = threading.Lock()

    def nquads(self, document: JsonObject, hash_name: str = "sha256") -> str:
        """Canonical N-Quads of a document that holds its own `@context`; `hash_name` is sha256 or sha384.

        Malformed: not JSON-LD, data would be lost, a construct refused under RDF signatures, or over the
        limits of work. ContextNotPinned: a context is not on the list.
        """
        key = (canonicalize(document), hash_name)
        text = self._recent.get(key)
        if text is None:
            text, _ = canonicalize_quads(statements(self._expander.expand(document)), hash_name)
            self._remember(key, text)
        return text

    def statements(self, document: JsonObject) -> list[Quad]:
        """The quads of a document, in no order, with labels that mean nothing beyond them; errors as `nquads`.

        For selective disclosure, which labels statements in its own way (`labelling.canonicalize_quads`).
        """
        return statements(self._expander.expand(document))

    def canonicalize_nquads(self, text: str, hash_name: str = "sha256") -> str:
        """Canonical form of a dataset given as N-Quads."""
        return canonicalize_quads(parse_nquads(text), hash_name)[0]

    def recompact(self, document: JsonObject, contexts: list[str]) -> JsonObject:
        """The same statements written with pinned `contexts`; may be Malformed as `nquads` is."""
        expanded = self._expander.expand(document)
        statements(expanded)  # refuses what compaction would keep and a signature would not cover
        return self._expander.compact(expanded, contexts)

    def _remember(self, key: tuple[bytes, str], text: str) -> None:
        if len(key[0]) + len(text) > _REMEMBERED_CHARS:
            return
        with self._remembering:
            self._recent[key] = text
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
