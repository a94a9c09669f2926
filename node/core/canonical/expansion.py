"""JSON-LD 1.1 expansion, compaction and statements, in a safe mode of our own around pyld.

pyld drops quietly what it does not understand, resolves relative IRIs against an example's address unless it
is told otherwise, and leaves control characters in N-Quads unescaped. Here whatever would be lost is an error
(VC Data Integrity 1.0 section 2.4.3), statements are made by ourselves, and contexts come from the pinned
list alone. pyld is imported at the first use: most documents are judged without it.
"""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from node.core import problem
from node.core.canonical.contexts import ContextStore
from node.core.canonical.jcs import canonicalize
from node.core.canonical.nquads import RDF, XSD, Quad, Term, iri_term, literal_term
from node.core.errors import BonafidesError, Malformed
from node.core.strict_json import Json, JsonObject

_T = TypeVar("_T")

# JSON values in one document; a badge has some 150. Context work: type-scoped contexts are processed anew for
# each object, at up to a millisecond each.
MAX_VALUES: Final = 20_000
MAX_CONTEXTS_PROCESSED: Final = 2_000
# For all documents of one report: a document is expanded to be read, rewritten, and for each of its proofs.
MAX_CONTEXTS_OF_REPORT: Final = 5 * MAX_CONTEXTS_PROCESSED

# They let a statement be written away from where it is read (FORMATS.md section 2).
REFUSED_KEYWORDS: Final = frozenset({"@included", "@nest", "@reverse", "@graph", "@index"})
_CONTEXT_KEYWORDS: Final = frozenset(
    {
        "@base",
        "@container",
        "@context",
        "@direction",
        "@id",
        "@import",
        "@json",
        "@language",
        "@list",
        "@none",
    }
    | {"@prefix", "@propagate", "@protected", "@set", "@type", "@value", "@version", "@vocab"}
)
# pyld keeps caches for the whole process and does not guard them.
_PYLD: Final = threading.Lock()
_I18N: Final = "https://www.w3.org/ns/i18n#"


class Expander:
    """Expansion and compaction with pinned contexts. Threads may share it; one at a time is inside."""

    def __init__(self, contexts: ContextStore) -> None:
        self._contexts = contexts
        self._shared: dict[str, Any] = {}
        self._left: int | None = None

    def for_one_report(self) -> Expander:
        """The same, for one thread, with an end to the contexts that all documents together may need."""
        bounded = Expander(self._contexts)
        bounded._shared = self._shared
        bounded._left = MAX_CONTEXTS_OF_REPORT
        return bounded

    def expand(self, document: JsonObject) -> list[JsonObject]:
        """The expanded form. Malformed where something would be lost, ContextNotPinned for other contexts."""
        inline = self._examine(document)

        def work(options: dict[str, Any]) -> list[JsonObject]:
            expanded: list[JsonObject] = _processor().expand(document, options)
            return expanded

        return self._run(work, shared=not inline)

    def compact(self, expanded: list[JsonObject], contexts: list[str]) -> JsonObject:
        """Expanded nodes written in the terms of pinned `contexts`, which become its `@context`."""

        def work(options: dict[str, Any]) -> JsonObject:
            compacted: JsonObject = _processor().compact(
                copy.deepcopy(expanded), contexts, {**options, "skipExpansion": True}
            )
            return {**compacted, "@context": contexts}

        return self._run(work, shared=True)

    def _run(self, work: Callable[[dict[str, Any]], _T], *, shared: bool) -> _T:
        # Documents with contexts of their own get a cache of their own: nothing of theirs outlives them.
        from pyld.context_resolver import ContextResolver  # noqa: PLC0415 - at first use

        class CountingResolver(ContextResolver):
            left = MAX_CONTEXTS_PROCESSED if self._left is None else min(self._left, MAX_CONTEXTS_PROCESSED)

            def resolve(self, *args: Any, **kwargs: Any) -> Any:
                self.left -= 1
                if self.left < 0:
                    raise Malformed("the document needs too many contexts to be processed")
                return super().resolve(*args, **kwargs)  # type: ignore[no-untyped-call]

        resolver = CountingResolver(self._shared if shared else {}, self._load)
        allowed = resolver.left
        options = {
            "base": None,
            "processingMode": "json-ld-1.1",
            "documentLoader": self._load,
            "contextResolver": resolver,
        }
        try:
            with _PYLD:
                return work(options)
        except Exception as error:  # pyld raises whatever Python does on odd input
            raise _ours(error) from error
        finally:
            if self._left is not None:
                self._left -= allowed - max(resolver.left, 0)

    def _load(self, url: str, options: object) -> dict[str, Any]:  # noqa: ARG002 - pyld's interface
        document = copy.deepcopy(self._contexts.get(url))
        return {
            "contentType": "application/ld+json",
            "contextUrl": None,
            "documentUrl": url,
            "document": document,
            "tag": "static",
        }

    def _examine(self, document: JsonObject) -> bool:
        """Refuse what no document may have; tell whether it has contexts of its own."""
        values = 0
        inline = False
        todo: list[Json] = [document]
        while todo:
            value = todo.pop()
            values += 1
            if values > MAX_VALUES:
                raise Malformed(f"more than {MAX_VALUES:,} values in a document")
            if type(value) is list:
                todo.extend(value)
            elif type(value) is dict:
                _refuse_lost_value(value)
                for name, member in value.items():
                    if name in REFUSED_KEYWORDS:
                        raise Malformed(f"{name} is refused in documents with RDF signatures", path=(name,))
                    if name == "@context":
                        inline = self._examine_context(member) or inline
                    else:
                        todo.append(member)
        return inline

    def _examine_context(self, context: Json) -> bool:
        entries = context if type(context) is list else [context]
        inline = False
        for entry in entries:
            if type(entry) is str:
                self._contexts.get(entry)
            else:
                inline = True
                for word in _words(entry):
                    self._examine_word(word)
        return inline

    def _examine_word(self, word: str | tuple[str, str]) -> None:
        if isinstance(word, tuple):
            self._contexts.get(word[1])
        elif word in REFUSED_KEYWORDS:
            raise Malformed(f"{word} is refused in documents with RDF signatures", path=("@context",))
        elif word.startswith("@") and word not in _CONTEXT_KEYWORDS:
            raise Malformed(f"{word[:40]} is no keyword of a context", path=("@context",))


def has_at_most(limit: int, document: JsonObject) -> bool:
    """Whether a document has no more JSON values than `limit`, those of its contexts counted too."""
    left = limit
    todo: list[Json] = [document]
    while todo and left >= 0:
        value = todo.pop()
        left -= 1
        if type(value) is dict:
            todo.extend(value.values())
        elif type(value) is list:
            todo.extend(value)
    return left >= 0


def _refuse_lost_value(value: JsonObject) -> None:
    """Value objects that expansion drops without a word."""
    if "@value" in value:
        if value["@value"] is None:
            raise _lost("a null @value")
    elif "@language" in value or "@direction" in value:
        raise _lost("@language or @direction without @value")


def _words(context: Json) -> Iterator[str | tuple[str, str]]:
    """Every string of an inline context; a URL that it imports as a pair."""
    todo: list[Json] = [context]
    while todo:
        value = todo.pop()
        if type(value) is str:
            yield value
        elif type(value) is list:
            todo.extend(value)
        elif type(value) is dict:
            for name, member in value.items():
                yield name
                if name in ("@context", "@import"):
                    urls = member if type(member) is list else [member]
                    yield from (("import", url) for url in urls if type(url) is str)
                    todo.extend(url for url in urls if type(url) is not str)
                else:
                    todo.append(member)


def _processor() -> Any:
    from pyld.jsonld import JsonLdProcessor  # noqa: PLC0415 - at first use

    def dropped(term: object) -> None:
        raise _lost(
            "a member whose name is no term of the document's contexts" if term is None else f"{term}"
        )

    return JsonLdProcessor(on_property_dropped=dropped)


def _ours(error: BaseException) -> BonafidesError:
    """What is behind pyld's exception: an error of ours that it wrapped, or a Malformed that names its code."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BonafidesError):
            return cause
        cause = cause.__cause__
    code = getattr(error, "code", None) or getattr(error.__cause__, "code", None)
    reason = (
        code if isinstance(code, str) else "nested too deeply" if isinstance(error, RecursionError) else None
    )
    return Malformed(f"not JSON-LD: {reason or 'cannot be expanded'}", type=problem.PARSING_ERROR)


def _lost(what: str) -> Malformed:
    return Malformed(
        f"would be lost in the statements that are signed: {what[:160]}",
        type=problem.DATA_LOSS_DETECTION_ERROR,
    )


def statements(expanded: list[JsonObject]) -> list[Quad]:
    """The RDF dataset of expanded nodes (JSON-LD 1.1 API section 8), the base IRI being null.

    Malformed with type DATA_LOSS_DETECTION_ERROR for every value that has no statement.
    """
    writer = _Statements()
    try:
        for node in expanded:
            writer.node(node, "")
    except RecursionError as error:
        raise Malformed("nested too deeply", type=problem.PARSING_ERROR) from error
    if not writer.quads:
        raise _lost("everything")
    return writer.quads


class _Statements:
    def __init__(self) -> None:
        self.quads: list[Quad] = []
        self._labels: dict[str, Term] = {}
        self._fresh = 0

    def node(self, node: JsonObject, graph: Term) -> Term:
        subject = self._subject(node.get("@id"))
        for name, members in node.items():
            if name == "@id":
                continue
            if name == "@type":
                self.quads += [(subject, f"<{RDF}type>", self._resource(item), graph) for item in members]
            elif name == "@graph":
                for item in members:
                    self.node(item, subject)
            elif name.startswith("@"):
                raise _lost(name)
            else:
                predicate = _iri(name)
                for item in members:
                    self.quads.append((subject, predicate, self._object(item, graph), graph))
        return subject

    def _object(self, item: JsonObject, graph: Term) -> Term:
        if "@value" in item:
            return literal(item)
        if "@list" in item:
            return self._list(item["@list"], graph)
        return self.node(item, graph)

    def _list(self, items: list[JsonObject], graph: Term) -> Term:
        head = f"<{RDF}nil>"
        for item in reversed(items):
            cell = self._blank()
            self.quads.append((cell, f"<{RDF}first>", self._object(item, graph), graph))
            self.quads.append((cell, f"<{RDF}rest>", head, graph))
            head = cell
        return head

    def _subject(self, identifier: Json) -> Term:
        return self._blank() if identifier is None else self._resource(identifier)

    def _resource(self, identifier: Json) -> Term:
        if type(identifier) is not str:
            raise _lost("an identifier that is no string")
        if not identifier.startswith("_:"):
            return _iri(identifier)
        if identifier not in self._labels:
            self._labels[identifier] = self._blank()
        return self._labels[identifier]

    def _blank(self) -> Term:
        self._fresh += 1
        return f"_:n{self._fresh}"


def _iri(text: str) -> Term:
    try:
        return iri_term(text)
    except Malformed as error:
        raise _lost(error.detail) from error


def literal(item: JsonObject) -> Term:
    """The term of an expanded value object (JSON-LD 1.1 API section 8.2.2), or Malformed.

    Base directions become i18n datatypes, as in other Data Integrity software.
    """
    value, datatype = item["@value"], item.get("@type")
    if datatype == "@json":
        return literal_term(canonicalize(value).decode(), RDF + "JSON")
    if "@index" in item:
        raise _lost("@index")
    try:
        if type(value) is bool:
            return literal_term("true" if value else "false", datatype or XSD + "boolean")
        if type(value) is int or type(value) is float:
            return _number(value, datatype)
        if type(value) is not str:
            raise _lost("a value that is no string, number or boolean")
        language = item.get("@language")
        if "@direction" in item:
            return literal_term(value, f"{_I18N}{language or ''}_{item['@direction']}")
        return literal_term(value, datatype, language)
    except Malformed as error:
        raise _lost(error.detail) from error


def _number(value: float, datatype: str | None) -> Term:
    """Integers as they are written, everything else as a canonical xsd:double."""
    if not math.isfinite(value):
        raise Malformed("a number that is not finite")
    if value == int(value) and abs(value) < 1e21 and datatype != XSD + "double":
        return literal_term(str(int(value)), datatype or XSD + "integer")
    mantissa, exponent = f"{value:.15E}".split("E")
    mantissa = mantissa.rstrip("0")
    text = f"{mantissa}{'0' if mantissa.endswith('.') else ''}E{int(exponent)}"
    return literal_term(text, datatype or XSD + "double")
