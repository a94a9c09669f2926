"""What suites with selective disclosure share (Data Integrity ECDSA Cryptosuites 1.0 section 3.4).

JSON Pointers select a part of a document; its statements are told apart from the others by skolem identifiers,
which give each unnamed object of document and part the same name; and blank nodes get labels by which a verifier,
who sees the part alone, writes the very statements that the issuer signed.

Beyond the standard's algorithms, lists and graphs may stand in a document: their unnamed nodes, which no skolem
identifier can name, are known by what points to them. What is selected must be statements of the whole: a pointer
into the middle of a list or of a value is refused, not answered with a part that does not verify.
"""

from __future__ import annotations

import hmac
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from node.core.canonical.nquads import Quad, Term, encode_quad, is_blank
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.cryptosuite import Derived, bad_value, not_generated
from node.core.encoding import encode_base64url
from node.core.strict_json import Json, JsonObject

# From canonical identifiers (`c14n0`, in their order) to labels; both without `_:`.
LabelFactory = Callable[[Sequence[str]], Mapping[str, str]]

MAX_POINTERS: Final = 1_000
# Names that stand for blank nodes while parts are compared; a document that has them all is refused.
_PREFIXES: Final = tuple(f"urn:bnid:{number}:" for number in range(4))
_INDEX: Final = re.compile(r"(?:0|[1-9]\d{0,8})\Z")
_BAD_ESCAPE: Final = re.compile(r"~(?![01])")


# JSON Pointers (sections 3.4.10 to 3.4.13) -----------------------------------------------------------------


def select(pointers: Iterable[str], document: JsonObject) -> JsonObject | None:
    """Section 3.4.13: the part of `document` that RFC 6901 pointers select; None where there are no pointers.

    Every object on the way keeps `id` and `type`, the whole its `@context`. Malformed with type
    PROOF_GENERATION_ERROR where a pointer is none or points to nothing.
    """
    paths = [parse_pointer(pointer, document) for pointer in pointers]
    if not paths:
        return None
    if len(paths) > MAX_POINTERS:
        raise not_generated(f"more than {MAX_POINTERS:,} JSON Pointers")
    selected = _Selection(document)
    for path in paths:
        selected.add(path)
    found = selected.taken()
    return {"@context": _copy(document["@context"]), **found} if "@context" in document else found


def parse_pointer(pointer: str, document: JsonObject) -> tuple[str | int, ...]:
    """Section 3.4.10: the member names and zero-based indexes of a pointer into `document`."""
    if pointer and (pointer[0] != "/" or _BAD_ESCAPE.search(pointer)):
        raise not_generated(f"not a JSON Pointer: {pointer[:80]}")
    path: list[str | int] = []
    value: Json = document
    for text in pointer.split("/")[1:]:
        step: str | int = text.replace("~1", "/").replace("~0", "~")
        if type(value) is list:
            step = int(text) if _INDEX.match(text) else -1
            known = 0 <= step < len(value)
        else:
            known = type(value) is dict and step in value
        if not known:
            raise not_generated(f"a JSON Pointer that points to nothing: {pointer[:80]}")
        value = value[step]
        path.append(step)
    return tuple(path)


class _Selection:
    """Sections 3.4.11 and 3.4.12: one value of the document as far as it is selected."""

    def __init__(self, value: Json) -> None:
        self._value = value
        self._whole = type(value) not in (dict, list)
        self._parts: dict[str | int, _Selection] = {}

    def add(self, path: tuple[str | int, ...]) -> None:
        if not path:
            self._whole = True
            return
        step, rest = path[0], path[1:]
        if step not in self._parts:
            self._parts[step] = _Selection(self._value[step])
        self._parts[step].add(rest)

    def taken(self) -> Json:
        if self._whole:
            return _copy(self._value)
        if type(self._value) is list:
            return [self._parts[index].taken() for index in sorted(self._parts)]
        taken = {}
        for name, value in self._value.items():
            if _names_object(name, value):
                taken[name] = _copy(value)  # whole, even where a pointer goes to one of several types
            elif name in self._parts:
                taken[name] = self._parts[name].taken()
        return taken


def _copy(value: Json) -> Json:
    """As `copy.deepcopy`, in a fifth of the time: JSON has no cycles."""
    if type(value) is dict:
        return {name: _copy(member) for name, member in value.items()}
    return [_copy(item) for item in value] if type(value) is list else value


def _names_object(name: str, value: Json) -> bool:
    if name in ("id", "@id"):
        return type(value) is str and not value.startswith("_:")
    return name in ("type", "@type")


# Labels (sections 3.4.1 to 3.4.4) --------------------------------------------------------------------------


def hmac_digest(hmac_key: bytes, identifier: str) -> bytes:
    """HMAC-SHA-256 of a canonical identifier without `_:`."""
    return hmac.digest(hmac_key, identifier.encode(), "sha256")


def hmac_labels(hmac_key: bytes) -> LabelFactory:
    """Section 3.4.4: labels that tell nothing about the statements that are not shown."""

    def label(identifiers: Sequence[str]) -> dict[str, str]:
        return {one: "u" + encode_base64url(hmac_digest(hmac_key, one)) for one in identifiers}

    return label


def given_labels(labels: Mapping[str, str]) -> LabelFactory:
    """Section 3.4.3: the labels that a derived proof brings; each blank node has one, and no two the same."""

    def label(identifiers: Sequence[str]) -> Mapping[str, str]:
        if labels.keys() != set(identifiers):
            raise bad_value("the proof labels other objects than the document has")
        if len(set(labels.values())) != len(labels):
            raise bad_value("the proof gives two objects one label")
        return labels

    return label


@dataclass(frozen=True, slots=True)
class LabelledStatements:
    """The statements of a document in the order of their labelled form, each with its final newline.

    `quads` are the same statements with the blank nodes that `canonical` has the canonical labels of.
    """

    labelled: tuple[str, ...]
    quads: tuple[Quad, ...] = ()
    canonical: Mapping[Term, Term] = field(default_factory=dict)

    def split(self, indexes: Sequence[int]) -> tuple[list[str], list[str]]:
        """The labelled statements at `indexes` (zero-based, ascending) and all others; Malformed for other indexes."""
        chosen = check_indexes(indexes, len(self.labelled))
        others = [text for index, text in enumerate(self.labelled) if index not in chosen]
        return [self.labelled[index] for index in indexes], others

    def canonical_at(self, indexes: Sequence[int]) -> tuple[str, ...]:
        """The statements at `indexes` with the canonical labels of the document."""
        check_indexes(indexes, len(self.quads))
        return tuple(_encode(self.quads[index], self.canonical) for index in indexes)


def check_indexes(indexes: Sequence[int], count: int) -> frozenset[int]:
    """The indexes as a set; Malformed unless they ascend without repetition from 0 to below `count`."""
    if any(later <= earlier for earlier, later in pairwise(indexes)):
        raise bad_value("the indexes of a proof do not ascend")
    if indexes and not 0 <= indexes[0] <= indexes[-1] < count:
        raise bad_value("an index of the proof is that of no statement")
    return frozenset(indexes)


def label_statements(
    document: JsonObject, labels: LabelFactory, canonicalizer: Canonicalizer
) -> LabelledStatements:
    """Sections 3.4.1 and 3.4.2: the canonical statements of `document` with `labels` in place of canonical ones."""
    return _label(canonicalizer.statements(document), labels, canonicalizer)[0]


def mandatory_statements(
    document: JsonObject, derived: Derived, canonicalizer: Canonicalizer
) -> tuple[str, ...]:
    """The statements of a shown document (in its secured form) that its issuer made mandatory.

    N-Quads, each with its newline, with the canonical labels of `document`.
    """
    statements = label_statements(document, given_labels(derived.labels), canonicalizer)
    return statements.canonical_at(derived.mandatory_indexes)


def _label(
    quads: Iterable[Quad], labels: LabelFactory, canonicalizer: Canonicalizer
) -> tuple[LabelledStatements, dict[Term, Term]]:
    """The statements with other labels, and the new label of each blank node of `quads`."""
    dataset = dict.fromkeys(quads)
    canonical = canonicalizer.labels(quad for quad in dataset if _has_blank(quad))
    by_number = sorted(canonical.values(), key=lambda term: int(term.removeprefix("_:c14n")))
    chosen = labels([term[2:] for term in by_number])
    relabelled = {blank: f"_:{chosen[term[2:]]}" for blank, term in canonical.items()}
    pairs = sorted((_encode(quad, relabelled), quad) for quad in dataset)
    texts, ordered = (tuple(column) for column in zip(*pairs, strict=True)) if pairs else ((), ())
    return LabelledStatements(texts, ordered, canonical), relabelled


def _encode(quad: Quad, terms: Mapping[Term, Term]) -> str:
    return encode_quad(_renamed(quad, terms))


def _renamed(quad: Quad, terms: Mapping[Term, Term]) -> Quad:
    subject, predicate, value, graph = quad
    return terms.get(subject, subject), predicate, terms.get(value, value), terms.get(graph, graph)


# Groups (sections 3.4.5 to 3.4.9, 3.4.14 to 3.4.16) --------------------------------------------------------


class Grouping:
    """Section 3.4.16: the labelled statements of a whole document, and which of them JSON Pointers select."""

    def __init__(self, document: JsonObject, labels: LabelFactory, canonicalizer: Canonicalizer) -> None:
        """Malformed where parts of the document cannot be told apart."""
        self._canonicalizer = canonicalizer
        whole = canonicalizer.statements(document)
        self._skolemized, self._terms, quads = _skolemize(document, whole, canonicalizer)
        self._names: dict[tuple[Term, Term], Term] = {}
        self._name_others(quads, fresh=True)
        deskolemized = [_renamed(quad, self._terms) for quad in quads]  # section 3.4.8 step 3
        if Counter(map(_masked, deskolemized)) != Counter(map(_masked, whole)):
            raise not_generated("a document whose unnamed objects cannot be named")
        statements, self._labels = _label(deskolemized, labels, canonicalizer)
        self.statements = statements.labelled
        self._positions = {text: index for index, text in enumerate(self.statements)}
        self._selected: dict[tuple[str, ...], list[Quad]] = {}

    def indexes(self, pointers: Sequence[str]) -> tuple[int, ...]:
        """Which `statements` (zero-based, ascending) the pointers select; Malformed where they cut one in two."""
        found = {self._positions.get(_encode(quad, self._labels), -1) for quad in self._select(pointers)}
        if -1 in found:
            raise not_generated("a JSON Pointer into the middle of a value")
        return tuple(sorted(found))

    def labels_in_order(self) -> tuple[str, ...]:
        """The labels (without `_:`) of the unnamed objects in the order in which the document has them."""
        in_order = sorted(self._labels, key=lambda blank: (blank[2], int(blank[3:])))  # _:o0, _:s0, _:s1 …
        return tuple(self._labels[blank][2:] for blank in in_order)

    def shown_labels(self, pointers: Sequence[str]) -> dict[str, str]:
        """From the canonical identifiers (`c14n0`) of the part that the pointers select to the labels of the whole."""
        self.indexes(pointers)  # refuses what is no part of the whole
        canonical = self._canonicalizer.labels(quad for quad in self._select(pointers) if _has_blank(quad))
        return {term[2:]: self._labels[blank][2:] for blank, term in canonical.items()}

    def _select(self, pointers: Sequence[str]) -> list[Quad]:
        """Section 3.4.14: the statements that the pointers select, with the blank nodes of the whole."""
        key = tuple(pointers)
        found = self._selected.get(key)
        if found is None:
            part = select(pointers, self._skolemized)
            quads = [] if part is None else self._canonicalizer.statements(part)
            self._name_others(quads, fresh=False)
            found = self._selected[key] = list(dict.fromkeys(_renamed(quad, self._terms) for quad in quads))
        return found

    def _name_others(self, quads: list[Quad], *, fresh: bool) -> None:
        """Name the blank nodes of `quads` (cells of lists, graphs) by what points to them, as in the whole."""
        with_blank = [place for place, quad in enumerate(quads) if _has_blank(quad)]
        if not with_blank:
            return
        pointing: dict[Term, list[tuple[Term, Term]]] = {}
        for place in with_blank:
            subject, predicate, value, _ = quads[place]
            if is_blank(value):
                pointing.setdefault(subject, []).append((predicate, value))
        named: dict[Term, Term] = {}
        todo = [term for term in pointing if not is_blank(term)]
        while todo:
            subject = todo.pop()
            for predicate, value in pointing.get(subject, ()):
                key = (named.get(subject, subject), predicate)
                if (key in self._names) is fresh or value in named:
                    raise not_generated("a part of a list, or lists or graphs that cannot be told apart")
                if fresh:
                    self._names[key] = f"_:o{len(self._names)}"
                named[value] = self._names[key]
                todo.append(value)
        for place in with_blank:
            subject, predicate, value, graph = quads[place]
            if any(is_blank(term) and term not in named for term in (subject, value, graph)):
                raise not_generated("a blank node identifier that nothing points to")
            quads[place] = _renamed(quads[place], named)


@dataclass(frozen=True, slots=True)
class Part:
    """What is shown of a document, and its places in the whole (sections 3.5.3 here, 3.3.4 of the BBS suites).

    Indexes are zero-based and ascend. `others` are the statements that are not mandatory; `selective_indexes` tell
    which of these are shown, `mandatory_indexes` which of those shown are mandatory.
    """

    document: JsonObject
    others: tuple[str, ...]
    selective_indexes: tuple[int, ...]
    mandatory_indexes: tuple[int, ...]
    labels: dict[str, str]


def take_part(
    document: JsonObject,
    mandatory_pointers: tuple[str, ...],
    selective_pointers: tuple[str, ...],
    labels: LabelFactory,
    canonicalizer: Canonicalizer,
) -> Part:
    """The part of `document` that the pointers of its issuer and of its holder select; Malformed where none does."""
    combined = (*mandatory_pointers, *selective_pointers)
    shown = select(combined, document)
    if shown is None:
        raise not_generated("nothing is selected")
    grouping = Grouping(document, labels, canonicalizer)
    mandatory = frozenset(grouping.indexes(mandatory_pointers))
    others = [index for index in range(len(grouping.statements)) if index not in mandatory]
    place = {index: position for position, index in enumerate(others)}
    indexes = grouping.indexes(combined)
    return Part(
        document=shown,
        others=tuple(grouping.statements[index] for index in others),
        selective_indexes=tuple(place[index] for index in indexes if index in place),
        mandatory_indexes=tuple(at for at, index in enumerate(indexes) if index in mandatory),
        labels=grouping.shown_labels(combined),
    )


def _has_blank(quad: Quad) -> bool:
    return "_" in (quad[0][0], quad[2][0], quad[3][:1])


def _masked(quad: Quad) -> Quad:
    """The statement with its blank nodes alike."""
    subject, predicate, value, graph = quad
    return (
        "_:" if is_blank(subject) else subject,
        predicate,
        "_:" if is_blank(value) else value,
        "_:" if is_blank(graph) else graph,
    )


def _skolemize(
    document: JsonObject, whole: list[Quad], canonicalizer: Canonicalizer
) -> tuple[JsonObject, dict[Term, Term], list[Quad]]:
    """Sections 3.4.5 to 3.4.9: the document with a name for each object, the blank node of each name, the statements.

    The names go where JSON has an object. Where that is no node (a JSON literal, a map of languages), the name is
    found in a literal, and the object is left as it was. `whole` are the statements of the document.
    """
    prefix = next(
        (text for text in _PREFIXES if not any(text in term for quad in whole for term in quad)), None
    )
    no_nodes: set[int] = set()
    while prefix is not None:
        count = [0]
        named = _with_names(document, prefix, no_nodes, count)
        quads = canonicalizer.statements(named)
        literals = [value for _, _, value, _ in quads if value[0] == '"' and prefix in value]
        if not literals:
            terms = {f"<{prefix}{number}>": f"_:s{number}" for number in range(count[0])}
            return named, terms, quads
        # Those that were left out are not found again, so this ends.
        no_nodes |= {
            int(text) for value in literals for text in re.findall(re.escape(prefix) + r"(\d+)", value)
        }
    raise not_generated("a document whose unnamed objects cannot be named")


def _with_names(value: Json, prefix: str, no_nodes: set[int], count: list[int]) -> Json:
    if type(value) is list:
        return [_with_names(item, prefix, no_nodes, count) for item in value]
    if type(value) is not dict:
        return value
    named = {}
    if not value.keys() & {"id", "@id", "@value", "@list", "@set"}:
        if count[0] not in no_nodes:
            named["id"] = f"{prefix}{count[0]}"
        count[0] += 1
    for name, member in value.items():
        named[name] = member if name == "@context" else _with_names(member, prefix, no_nodes, count)
    return named
