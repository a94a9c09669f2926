"""Active contexts of the pinned JSON-LD contexts (JSON-LD 1.1 API section 4).

What a term means, worked out once and kept. Only what the pinned contexts use is known here: everything else,
and every rule that a context would break, is `OutsideSubset`, and the full algorithm (`expansion`) decides.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

from node.core.canonical.contexts import ContextStore
from node.core.canonical.nquads import ABSOLUTE_IRI, is_absolute_iri
from node.core.strict_json import Json

_DEFINITION: Final = frozenset({"@id", "@type", "@container", "@context", "@protected", "@prefix"})
_CONTEXT: Final = frozenset({"@version", "@protected", "@vocab"})
_ALIASED: Final = frozenset({"@id", "@type"})
_COERCIONS: Final = frozenset({"@id", "@vocab", "@json", "@none"})
_ENDS_AS_PREFIX: Final = tuple(":/?#[]@")
# What may follow @vocab: here nothing that the full algorithm might take for something else.
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_-]+\Z")


class OutsideSubset(Exception):
    """Not for the fast path to decide. It is caught where the full algorithm takes over and never seen outside."""


class Definition(NamedTuple):
    """A term definition (JSON-LD 1.1 API section 4.2)."""

    iri: str  # or @id, @type
    type: str | None
    container: tuple[str, ...]
    scoped: Json  # the scoped context as it is written; None where there is none
    prefix: bool
    protected: bool


class ActiveContext:
    """What terms mean at one place of a document. It does not change, and equal places share one."""

    __slots__ = ("definitions", "previous", "store", "vocab")

    def __init__(
        self,
        store: ContextStore,
        definitions: Mapping[str, Definition],
        vocab: str | None,
        previous: ActiveContext | None,
    ) -> None:
        """`previous` is what is active again in the next node object, where this one does not propagate."""
        self.store = store
        self.definitions = definitions
        self.vocab = vocab
        self.previous = previous

    @classmethod
    def initial(cls, store: ContextStore) -> ActiveContext:
        """Section 4.1: nothing is defined."""
        return cls(store, {}, None, None)

    def extended(self, context: Json) -> ActiveContext:
        """After a node object's own `@context`: URLs of pinned contexts."""
        entries = context if type(context) is list else [context]
        if not all(type(entry) is str and entry in self.store for entry in entries):
            raise OutsideSubset
        return self._processed(entries, override_protected=False)

    def scoped_to_property(self, context: Json) -> ActiveContext:
        """Inside the value of a term with this scoped context."""
        return self._processed(_entries(context), override_protected=True)

    def scoped_to_type(self, context: Json) -> ActiveContext:
        """Inside a node object of a type with this scoped context, and not in the node objects within."""
        result = self._processed(_entries(context), override_protected=False)
        return ActiveContext(self.store, result.definitions, result.vocab, self.previous or self)

    def vocabulary_iri(self, value: str) -> str:
        """Section 5.2 for a term, compact IRI or absolute IRI: relative to the vocabulary, never to a base."""
        return _vocabulary_iri(value, self.definitions, self.vocab)

    def iri(self, value: str) -> str:
        """Section 5.2 for a compact or absolute IRI."""
        parts = ABSOLUTE_IRI.match(value)
        if parts is not None and (parts[2] or parts[1] not in self.definitions):  # not compact
            return value
        return _iri(value, self.definitions)

    def has_protected(self) -> bool:
        """Whether a null context would take away what must not be taken away."""
        return any(found.protected for found in self.definitions.values())

    def _processed(self, entries: Iterable[Json], *, override_protected: bool) -> ActiveContext:
        """Section 4.1 for contexts in order."""
        result = self
        for entry in entries:
            if type(entry) is str:
                document = self.store.get(entry).get("@context")
                result = result._processed(_entries(document), override_protected=override_protected)
            elif type(entry) is dict:
                result = _Definer(result, entry, override_protected=override_protected).result()
            elif entry is None and (override_protected or not result.has_protected()):
                result = ActiveContext.initial(self.store)
            else:
                raise OutsideSubset
        return result


class _Definer:
    """Section 4.2 for the terms of one context map."""

    def __init__(self, active: ActiveContext, local: Mapping[str, Json], *, override_protected: bool) -> None:
        self.before = active
        self.local = local
        self.override_protected = override_protected
        self.protected = local.get("@protected", False) is True
        self.definitions = dict(active.definitions)
        self.vocab = active.vocab
        self.done: dict[str, bool] = {}  # False while a term is being defined

    def result(self) -> ActiveContext:
        for name in self.local:
            if name.startswith("@") and name not in _CONTEXT:
                raise OutsideSubset
        if self.local.get("@version", 1.1) != 1.1:
            raise OutsideSubset
        if "@vocab" in self.local:
            self.vocab = self._vocabulary(self.local["@vocab"])
        for term in self.local:
            if term not in _CONTEXT:
                self._define(term)
        return ActiveContext(self.before.store, self.definitions, self.vocab, self.before.previous)

    def _define(self, term: str) -> None:
        if self.done.get(term):
            return
        if term in self.done or not term:
            raise OutsideSubset
        self.done[term] = False
        # While it is defined anew, a term does not mean what it meant.
        before = self.definitions.pop(term, None)
        found = self._definition(term, self.local[term])
        if before is not None and before.protected and not self.override_protected:
            found = found._replace(protected=True)
            if found != before:
                raise OutsideSubset
        self.definitions[term] = found
        self.done[term] = True

    def _definition(self, term: str, written: Json) -> Definition:
        is_simple = type(written) is str
        members: dict[str, Any] = {"@id": written} if is_simple else written
        if type(members) is not dict or not members.keys() <= _DEFINITION:
            raise OutsideSubset
        iri = self._iri_of(term, members)
        is_prefix = is_simple and ":" not in term and iri.endswith(_ENDS_AS_PREFIX)
        return Definition(
            iri=iri,
            type=self._type_of(members),
            container=tuple(_entries(members.get("@container", []))),
            scoped=_scoped(members),
            prefix=_flag(members, "@prefix", default=is_prefix),
            protected=_flag(members, "@protected", default=self.protected),
        )

    def _iri_of(self, term: str, members: Mapping[str, Json]) -> str:
        if ":" in term or "/" in term:
            raise OutsideSubset
        written = members.get("@id", term)
        if written in _ALIASED:
            return str(written)
        if written == term:
            if self.vocab is None or not _PLAIN_NAME.match(term):
                raise OutsideSubset
            return self.vocab + term
        return self._expanded(written)

    def _vocabulary(self, written: Json) -> str:
        if type(written) is not str or not is_absolute_iri(written):
            raise OutsideSubset
        return written

    def _type_of(self, members: Mapping[str, Json]) -> str | None:
        written = members.get("@type")
        if written is None and "@type" not in members:
            return None
        if written in _COERCIONS:
            return str(written)
        return self._expanded(written)

    def _expanded(self, written: Json) -> str:
        """Section 5.2 while a context is processed: what the IRI rests on is defined first."""
        if type(written) is not str or written.startswith("@"):
            raise OutsideSubset
        for name in dict.fromkeys((written, written.partition(":")[0])):
            if name in self.local and name not in _CONTEXT:
                self._define(name)
        return _vocabulary_iri(written, self.definitions, self.vocab)


def _vocabulary_iri(value: str, definitions: Mapping[str, Definition], vocab: str | None) -> str:
    found = definitions.get(value)
    if found is not None:
        if found.iri.startswith("@"):  # the alias of a keyword is no name of anything
            raise OutsideSubset
        return found.iri
    if vocab is not None:
        if _PLAIN_NAME.match(value):
            return vocab + value
        if not value.isascii():  # not everybody's white space is the same
            raise OutsideSubset
    return _iri(value, definitions)


def _iri(value: str, definitions: Mapping[str, Definition]) -> str:
    prefix, colon, suffix = value.partition(":")
    if colon and not suffix.startswith("//"):
        found = definitions.get(prefix)
        if found is not None and found.prefix:
            value = found.iri + suffix
    if not is_absolute_iri(value):
        raise OutsideSubset
    return value


def _entries(context: Json) -> list[Json]:
    return context if type(context) is list else [context]


def _scoped(members: Mapping[str, Json]) -> Json:
    if "@context" in members and members["@context"] is None:
        return [None]  # there is one, and it clears
    return members.get("@context")


def _flag(members: Mapping[str, Json], name: str, *, default: bool) -> bool:
    value = members.get(name, default)
    if type(value) is not bool:
        raise OutsideSubset
    return value
