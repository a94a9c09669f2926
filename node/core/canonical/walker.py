"""The fast path from JSON-LD to statements: one walk over a document, with contexts compiled once.

Nearly the whole cost of JSON-LD is to process contexts, and those that documents name are a pinned few. So what
a term means at each kind of place is compiled at its first use and kept. The subset: contexts are URLs, members
are terms, identifiers and types stand under `id` and `type`, values are strings, numbers, booleans, node objects,
language-tagged strings, and arrays of them. All else is `OutsideSubset`: the walker refuses nothing and passes
nothing that the full algorithm (`expansion`) would refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from node.core.canonical.active_context import ActiveContext, Definition, OutsideSubset
from node.core.canonical.contexts import ContextStore
from node.core.canonical.expansion import literal
from node.core.canonical.labelling import Statements
from node.core.canonical.nquads import RDF, Quad, Term, iri_term, literal_term, quoted
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject

# Places compiled before all are forgotten; an issuer's badges need some 30, and whoever writes documents
# chooses how many there are.
MAX_PLACES: Final = 2_000

# Types of an object, or contexts of a document, beyond which what they come to is not kept.
MAX_KEY: Final = 8

_TYPE: Final = f"<{RDF}type>"
_FIRST: Final = f"<{RDF}first>"
_REST: Final = f"<{RDF}rest>"
_NIL: Final = f"<{RDF}nil>"
_CLEARED: Final = Definition(iri="", type=None, container=(), scoped=None, prefix=False, protected=False)
_KEYWORDS: Final = {"id": "@id", "type": "@type"}
_TO_IRIS: Final = ("@id", "@vocab")  # what coerces strings to IRIs
_NOT_STATED: Final = ("@context", "id")  # of themselves
_VALUE_OBJECT: Final = frozenset({"@value", "@language", "@direction"})


class Walker:
    """Documents to statements. Threads may share it."""

    def __init__(self, contexts: ContextStore) -> None:
        self._contexts = contexts
        self._root = _Place.root(contexts)

    def statements(self, document: JsonObject, *, is_bare: bool = False) -> Statements:
        """What `expansion` states of the same document; OutsideSubset where that has to be asked.

        `is_bare`: the caller knows that no string of the document has a character that N-Quads escape.
        """
        walk = _Walk(is_bare)
        self._visit(lambda root: walk.node(document, root, ""))
        if not walk.named and not walk.unnamed:
            raise OutsideSubset
        return Statements(walk.named, walk.unnamed, walk.is_plain)

    def check(self, document: JsonObject) -> None:
        """Raise OutsideSubset where `statements` would, at a fraction of the cost: nothing is written."""
        self._visit(lambda root: _check_node(document, root.whole))
        if all(value == [] for name, value in document.items() if name not in _NOT_STATED):
            raise OutsideSubset

    def _visit(self, visit: Callable[[_Place], object]) -> None:
        root = self._root
        try:
            visit(root)
        except (Malformed, RecursionError) as error:
            raise OutsideSubset from error
        finally:
            if root.tally.places > MAX_PLACES:
                self._root = _Place.root(self._contexts)


@dataclass(frozen=True, slots=True)
class _Member:
    """What a term means at a place, and the places of a node object that is its value."""

    predicate: Term = ""  # nothing for the keywords that have terms: they state nothing of themselves
    coercion: str | None = None  # @id, @vocab, the IRI of a datatype or nothing
    suffix: str | None = None  # of strings that are literals: their datatype as N-Quads writes it
    container: str = ""  # @list, @graph or nothing
    place: _Place = field(kw_only=True)
    reference: _Place = field(kw_only=True)  # the object has an `id` and nothing else
    object: _Place = field(kw_only=True)

    def place_of(self, value: JsonObject) -> _Place:
        """The place of a node object that is its value."""
        return self.reference if len(value) == 1 and "id" in value else self.object


class _Tally:
    """How many places were compiled since the contexts were last forgotten."""

    def __init__(self) -> None:
        self.places = 0

    def add(self) -> None:
        self.places += 1
        if self.places > 2 * MAX_PLACES:  # in one document, since it is looked at after each
            raise OutsideSubset


class _Place:
    """An active context with what was compiled of it."""

    __slots__ = ("_extended", "_typed", "active", "members", "previous", "tally", "whole")

    def __init__(self, active: ActiveContext, previous: _Place | None, tally: _Tally) -> None:
        tally.add()
        self.active = active
        self.previous = previous
        self.tally = tally
        self.whole = _Member(place=self, reference=self, object=self)
        """A document, or what stands under a keyword."""
        self.members = {"@context": self.whole}
        self._typed: dict[str | tuple[str, ...], tuple[_Place, list[Term], bool]] = {}
        self._extended: dict[tuple[str, ...], _Place] = {}

    @classmethod
    def root(cls, contexts: ContextStore) -> _Place:
        return cls(ActiveContext.initial(contexts), None, _Tally())

    def extended(self, context: Json) -> _Place:
        key = tuple(context) if type(context) is list else (context,)
        try:
            found = self._extended.get(key)
        except TypeError as error:
            raise OutsideSubset from error
        if found is None:
            found = _Place(self.active.extended(context), self.previous, self.tally)
            if len(key) <= MAX_KEY:
                self._extended[key] = found
        return found

    def typed(self, types: Json) -> tuple[_Place, list[Term], bool]:
        """The place inside a node object of these types (JSON-LD 1.1 API section 5.1.2), and the types' IRIs.

        And whether the types are terms, all of them.
        """
        key = tuple(types) if type(types) is list else types
        try:
            found = self._typed.get(key)
        except TypeError as error:
            raise OutsideSubset from error
        if found is None:
            self.member("type")  # or it says nothing of types
            names = [_text(name) for name in (types if type(types) is list else [types])]
            iris = [iri_term(self.active.vocabulary_iri(name)) for name in names]
            found = self._scoped_to(names), iris, not any(":" in name for name in names)
            if len(names) <= MAX_KEY and all(name in self.active.definitions for name in names):
                self.tally.add()
                self._typed[key] = found
        return found

    def _scoped_to(self, types: list[str]) -> _Place:
        active = self.active
        for name in sorted(types):
            definition = self.active.definitions.get(name)
            if definition is not None and definition.scoped is not None:
                active = active.scoped_to_type(definition.scoped)
        if active is self.active:
            return self
        return _Place(active, self.previous or self, self.tally)

    def member(self, name: str) -> _Member:
        """What a member of a node object means here."""
        found = self.members.get(name)
        if found is None:
            definition = self.active.definitions.get(name)
            if definition is not None:
                found = self.members[name] = self._compiled(name, definition)
            else:  # not kept: whoever writes documents chooses such names
                found = self._undefined(name)
        return found

    def _undefined(self, name: str) -> _Member:
        if ":" in name or name in _KEYWORDS or self.active.vocab is None:
            raise OutsideSubset
        predicate = iri_term(self.active.vocabulary_iri(name))
        return _Member(predicate, None, "", place=self, reference=self, object=self.previous or self)

    def _compiled(self, name: str, definition: Definition) -> _Member:
        if name in _KEYWORDS or definition.iri.startswith("@"):
            if _KEYWORDS.get(name) != definition.iri:
                raise OutsideSubset
            return self.whole
        inside = self
        if definition.scoped is not None:
            active = self.active.scoped_to_property(definition.scoped)
            inside = _Place(active, self.previous if active.previous else None, self.tally)
        # A scoped context may define the very term whose value it stands for, or clear it.
        within = inside.active.definitions.get(name) or _CLEARED
        if within is not _CLEARED and within.scoped != definition.scoped:
            raise OutsideSubset
        container = [word for word in definition.container if word != "@set"]
        if container not in ([], ["@list"], ["@graph"]) or within.type == "@json":
            raise OutsideSubset
        coercion = None if within.type == "@none" else within.type
        return _Member(
            iri_term(definition.iri),
            coercion,
            None if coercion in _TO_IRIS else literal_term("", coercion)[2:],
            container[0] if container else "",
            place=inside,
            reference=inside,
            object=inside._reverted(within.scoped),
        )

    def _reverted(self, scoped: Json) -> _Place:
        """Where a type-scoped context ends: what was before it, with the term's own context (section 5.1.2)."""
        if self.previous is None:
            return self
        if scoped is None:
            return self.previous
        return _Place(self.previous.active.scoped_to_property(scoped), self.previous.previous, self.tally)


class _Walk:
    """One document."""

    __slots__ = ("_is_bare", "_labels", "is_plain", "named", "unnamed")

    def __init__(self, is_bare: bool) -> None:
        self.named: list[Quad] = []
        self.unnamed: list[Quad] = []
        self.is_plain = True
        self._is_bare = is_bare
        self._labels = 0

    def node(self, node: JsonObject, place: _Place, graph: Term) -> Term:
        """Section 5.1.2 of expansion and section 8.1 of serialization at once; the node's term."""
        if "@context" in node:
            place = self._extended(place, node["@context"])
        types: list[Term] = []
        if "type" in node:
            place, types, are_terms = place.typed(node["type"])
            self.is_plain &= are_terms
        subject = f"<{place.active.iri(_text(node['id']))}>" if "id" in node else self._blank()
        add = self.unnamed.append if subject[0] == "_" or graph[:1] == "_" else self.named.append
        for term in types:
            add((subject, _TYPE, term, graph))
        members, is_bare = place.members, self._is_bare
        for name, value in node.items():
            member = members.get(name) or place.member(name)
            if type(value) is str and member.suffix is not None and not member.container:
                text = f'"{value}"' if is_bare else quoted(value)
                add((subject, member.predicate, text + member.suffix, graph))
            elif member.predicate:
                self._member(subject, member, value, graph)
        return subject

    def _extended(self, place: _Place, context: Json) -> _Place:
        if place.previous is not None or place.active.definitions:  # not the document's own
            self.is_plain = False
        return place.extended(context)

    def _member(self, subject: Term, member: _Member, value: Json, graph: Term) -> None:
        values = value if type(value) is list else [value]
        if member.container == "@list":
            objects = [self._list(member, values, graph)]
        elif member.container == "@graph":
            objects = [self._graph(member, item) for item in values]
        else:
            objects = [self._object(member, item, graph) for item in values]
        is_unnamed = subject[0] == "_" or graph[:1] == "_"
        for term in objects:
            add = self.unnamed.append if is_unnamed or term[0] == "_" else self.named.append
            add((subject, member.predicate, term, graph))

    def _object(self, member: _Member, value: Json, graph: Term) -> Term:
        if type(value) is dict:
            if "@value" not in value:
                return self.node(value, member.place_of(value), graph)
            self.is_plain = False
        return _leaf(value, member)

    def _list(self, member: _Member, values: list[Json], graph: Term) -> Term:
        head = _NIL
        for value in reversed(values):
            cell = self._blank()
            self.unnamed.append((cell, _FIRST, self._object(member, value, graph), graph))
            self.unnamed.append((cell, _REST, head, graph))
            head = cell
        return head

    def _graph(self, member: _Member, value: Json) -> Term:
        if type(value) is not dict or "@value" in value:
            raise OutsideSubset
        name = self._blank()
        self._object(member, value, name)
        return name

    def _blank(self) -> Term:
        self._labels += 1
        return f"_:n{self._labels}"


def _text(value: Json) -> str:
    if type(value) is not str:
        raise OutsideSubset
    return value


def _leaf(value: Json, member: _Member) -> Term:
    """The term of a value that is no node object."""
    kind = type(value)
    if kind is str:
        return _string(value, member)
    if kind is dict:
        return _language_tagged(value)
    if kind in (bool, int, float) and member.suffix is not None:
        return literal({"@value": value, "@type": member.coercion})
    raise OutsideSubset


def _string(value: str, member: _Member) -> Term:
    if member.suffix is not None:
        return quoted(value) + member.suffix
    active = member.place.active
    return f"<{active.iri(value) if member.coercion == '@id' else active.vocabulary_iri(value)}>"


def _language_tagged(value: JsonObject) -> Term:
    if value.keys() - _VALUE_OBJECT or not all(type(item) is str for item in value.values()):
        raise OutsideSubset
    if value.get("@direction", "ltr") not in ("ltr", "rtl"):
        raise OutsideSubset
    if "@language" in value:
        value = {**value, "@language": value["@language"].lower()}
    return literal(value)


def _check_node(node: JsonObject, holder: _Member) -> None:
    """What `_Walk.node` does with a value of `holder`, but for the writing."""
    place = holder.reference if len(node) == 1 and "id" in node else holder.object
    if "@context" in node:
        place = place.extended(node["@context"])
    if "type" in node:
        place, _, _ = place.typed(node["type"])
    if "id" in node:
        if type(identifier := node["id"]) is not str:
            raise OutsideSubset
        place.active.iri(identifier)
    members = place.members
    for name, value in node.items():
        member = members.get(name) or place.member(name)
        if not member.predicate:
            continue
        kind = type(value)
        if kind is str and not member.container:
            if member.suffix is None:
                _string(value, member)
        elif kind is dict and "@value" not in value:
            _check_node(value, member)
        elif kind is list:
            for item in value:
                _check_value(item, member)
        else:
            _check_value(value, member)


def _check_value(value: Json, member: _Member) -> None:
    if type(value) is dict and "@value" not in value:
        _check_node(value, member)
    elif member.container == "@graph":
        raise OutsideSubset
    else:
        _leaf(value, member)
