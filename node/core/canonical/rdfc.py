"""Canonical N-Quads of JSON-LD documents: expansion with pinned contexts, then RDFC-1.0.

`Canonicalizer` is the one door to RDF. Behind it most documents take the fast path (`walker`), the rest the full
algorithm (`expansion`), which refuses and judges the fast path in tests. Importing this module does not import
pyld, nor does a document that the fast path takes.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable
from typing import Final, NamedTuple

import orjson

from node.core.canonical.active_context import OutsideSubset
from node.core.canonical.contexts import ContextStore
from node.core.canonical.expansion import MAX_VALUES, Expander, has_at_most, statements
from node.core.canonical.jcs import canonicalize
from node.core.canonical.labelling import (
    Allowance,
    Statements,
    canonical_labels,
    canonicalize_parts,
    parted,
)
from node.core.canonical.nquads import Quad, Term
from node.core.canonical.walker import Walker
from node.core.strict_json import JsonObject

# A document is canonicalized for its signature and again to compare what is read with it.
_REMEMBERED: Final = 16
_REMEMBERED_CHARS: Final = 64 * 1024
_AS_IT_IS: Final = (
    orjson.OPT_STRICT_INTEGER
    | orjson.OPT_PASSTHROUGH_SUBCLASS
    | orjson.OPT_PASSTHROUGH_DATACLASS
    | orjson.OPT_PASSTHROUGH_DATETIME
)


class Canonical(NamedTuple):
    """Canonical N-Quads, and the same quads in no order with labels of no meaning, some perhaps twice.

    `is_plain`: the document is certainly written as `plain.is_plain` asks, but that what is single may be an array.
    """

    nquads: str
    quads: list[Quad]
    is_plain: bool


class Canonicalizer:
    """JSON-LD documents to canonical N-Quads, with the pinned `contexts` and no others. Threads may share it."""

    def __init__(self, contexts: ContextStore) -> None:
        self.contexts = contexts
        self._expander = Expander(contexts)
        self._walker = Walker(contexts)
        self._recent: OrderedDict[tuple[bytes, str], Canonical] = OrderedDict()
        self._remembering = threading.Lock()
        self._large: dict[tuple[bytes, str], Canonical] | None = None
        self._labelling: Allowance | None = None

    def for_one_report(self) -> Canonicalizer:
        """The same, for one thread and one report, whose documents have no more than a share of work together.

        Whoever is shown a presentation of many credentials, each with many proofs and contexts of its own, would else
        work on it for minutes. A large document that was looked at last is remembered as well.
        """
        bounded = object.__new__(Canonicalizer)
        bounded.contexts, bounded._walker = self.contexts, self._walker
        bounded._recent, bounded._remembering = self._recent, self._remembering
        bounded._expander = self._expander.for_one_report()
        bounded._large = {}
        bounded._labelling = Allowance()
        return bounded

    def nquads(self, document: JsonObject, hash_name: str = "sha256") -> str:
        """Canonical N-Quads of a document that holds its own `@context`; `hash_name` is sha256 or sha384.

        Malformed: not JSON-LD, data would be lost, a construct refused under RDF signatures, or over the
        limits of work. ContextNotPinned: a context is not on the list.
        """
        return self.canonical(document, hash_name).nquads

    def canonical(self, document: JsonObject, hash_name: str = "sha256") -> Canonical:
        """As `nquads`, with the quads whose text that is."""
        written = _written(document)
        key = (written, hash_name)
        found = self._recent.get(key) or (self._large.get(key) if self._large else None)
        if found is None:
            parts = self._parts(document, written)
            text, _ = canonicalize_parts(parts.named, parts.unnamed, hash_name, self._labelling)
            found = Canonical(text, [*parts.named, *parts.unnamed], parts.is_plain)
            self._remember(key, found)
        return found

    def check(self, document: JsonObject) -> None:
        """Raise what `statements` raises: nothing of a document may lack a statement, whoever signs its text."""
        if self._may_walk(document, _written(document)):
            try:
                return self._walker.check(document)
            except OutsideSubset:
                pass
        statements(self._expander.expand(document))
        return None

    def statements(self, document: JsonObject) -> list[Quad]:
        """The quads of a document, in no order, with labels that mean nothing beyond them; errors as `nquads`.

        For selective disclosure, which labels statements in its own way (`labels`).
        """
        parts = self._parts(document, _written(document))
        return [*parts.named, *parts.unnamed]

    def labels(self, unnamed: Iterable[Quad]) -> dict[Term, Term]:
        """The canonical label of each blank node in `unnamed`, the quads of a document that have any."""
        return canonical_labels(unnamed, allowance=self._labelling)

    def _parts(self, document: JsonObject, written: bytes) -> Statements:
        if self._may_walk(document, written):
            try:
                return self._walker.statements(document, is_bare=_is_bare(written))
            except OutsideSubset:
                pass
        return parted(statements(self._expander.expand(document)))

    def _may_walk(self, document: JsonObject, written: bytes) -> bool:
        # A value takes two bytes at least, with what parts it from the next: short texts need no counting.
        return len(written) <= 2 * MAX_VALUES or has_at_most(MAX_VALUES, document)

    def recompact(self, document: JsonObject, contexts: list[str]) -> JsonObject:
        """The same statements written with pinned `contexts`; may be Malformed as `nquads` is."""
        expanded = self._expander.expand(document)
        statements(expanded)  # refuses what compaction would keep and a signature would not cover
        return self._expander.compact(expanded, contexts)

    def _remember(self, key: tuple[bytes, str], found: Canonical) -> None:
        if len(key[0]) + len(found.nquads) > _REMEMBERED_CHARS:
            if self._large is not None:
                self._large.clear()
                self._large[key] = found
            return
        with self._remembering:
            self._recent[key] = found
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)


def _written(document: JsonObject) -> bytes:
    """A text that only equal documents have; Malformed for what is no JSON."""
    try:
        return orjson.dumps(document, option=_AS_IT_IS)
    except orjson.JSONEncodeError:
        return canonicalize(document)


def _is_bare(written: bytes) -> bool:
    """Whether no string of a document has a character that N-Quads escape: JSON escapes all of them but one."""
    return b"\\" not in written and b"\x7f" not in written
