"""Documents that differ in a few texts: every canonical form computed once, with holes for what differs.

A stencil is cut from an example in which each hole holds a mark that occurs nowhere else. Its JSON forms are cut by
replacing the marks; its RDF form (RDFC-1.0) statement by statement, where the labels of blank nodes follow from the
values: each node's first-degree hash (section 4.6) is taken anew if a value stands beside it, and where two nodes
come out alike the stencil says nothing. Nothing here knows what a value may be: who cuts a stencil compares what it
fills with what the general way makes of the same values (`shapes.py`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from node.core.canonical.jcs import canonicalize
from node.core.canonical.nquads import Quad, encode_quad, is_blank, parse_nquads, quoted
from node.core.strict_json import JsonObject

_PROOF: Final = "stencil-proof"


@dataclass(frozen=True, slots=True)
class Form:
    """Bytes with holes: `pattern` is a format whose fields are the values at `places`."""

    pattern: bytes
    places: tuple[int, ...]

    @classmethod
    def of(cls, data: bytes, marks: Sequence[bytes]) -> Form:
        """The form that `data` is with the marks in its holes; a hole may occur often or not at all."""
        # The longest first, so that a mark is never taken for the beginning of another.
        known = sorted(filter(None, marks), key=len, reverse=True)
        pieces = re.split(b"(" + b"|".join(map(re.escape, known)) + b")", data) if known else [data]
        places = tuple(marks.index(mark) for mark in pieces[1::2])
        return cls(b"%b".join(piece.replace(b"%", b"%%") for piece in pieces[::2]), places)

    def fill(self, values: Sequence[bytes]) -> bytes:
        """The bytes with these values, which are escaped already."""
        return self.pattern % tuple([values[place] for place in self.places])


def escape_json(value: str) -> bytes:
    """A text as it stands between the quotes of a JSON string, in JCS too (RFC 8785 section 3.2.2.2)."""
    return orjson.dumps(value)[1:-1]


def escape_nquads(value: str) -> bytes:
    """A text as it stands between the quotes of a literal (RDFC-1.0 section 5)."""
    return quoted(value)[1:-1].encode()


@dataclass(frozen=True, slots=True)
class JsonForms:
    """A document before its proof: as it is written, in JCS, and in JCS with one proof object."""

    written: Form
    canonical: Form
    _digested: Form

    @classmethod
    def of(cls, example: JsonObject, marks: Sequence[str]) -> JsonForms:
        """The forms of `example`, which has no proof."""
        holes = [escape_json(mark) for mark in marks]
        proven = canonicalize({**example, "proof": _PROOF})
        return cls(
            Form.of(orjson.dumps(example), holes),
            Form.of(canonicalize(example), holes),
            Form.of(proven, [*holes, orjson.dumps(_PROOF)]),
        )

    def with_proof(self, values: Sequence[bytes], proof: bytes) -> bytes:
        """The JCS form with this one proof, itself in JCS."""
        return self._digested.fill([*values, proof])


@dataclass(frozen=True, slots=True)
class _Node:
    """A blank node: its first-degree hash, or the statements around it of which it is taken."""

    digest: str | None
    around: Form

    @classmethod
    def of(cls, around: Form, hash_name: str) -> _Node:
        """The node of these statements: what no hole changes is hashed now."""
        node = cls(None, around)
        return node if around.places else cls(node.hash((), hash_name), around)

    def hash(self, values: Sequence[bytes], hash_name: str) -> str:
        """RDFC-1.0 section 4.6."""
        if self.digest is not None:
            return self.digest
        lines = sorted(self.around.fill(values).split(b"\n")[:-1])
        return hashlib.new(hash_name, b"\n".join(lines) + b"\n").hexdigest()


@dataclass(frozen=True, slots=True)
class StatementForms:
    """The canonical N-Quads of a document; the places after its holes are the labels of its blank nodes."""

    fixed: tuple[bytes, ...]
    varying: Form
    nodes: tuple[_Node, ...]
    hash_name: str

    @classmethod
    def of(cls, nquads: str, marks: Sequence[str], hash_name: str) -> StatementForms:
        """The forms of an example's canonical N-Quads."""
        holes = [escape_nquads(mark) for mark in marks]
        quads = parse_nquads(nquads)
        nodes = sorted({term for quad in quads for term in quad if is_blank(term)})
        # No statement has a NUL: it is escaped in literals and refused in IRIs.
        labels = {node: f"\0{number}\0" for number, node in enumerate(nodes)}
        holes_and_labels = [*holes, *(label.encode() for label in labels.values())]
        lines = [_line(quad, labels) for quad in quads]
        varying = [line for line in lines if Form.of(line, holes_and_labels).places]
        around = {
            node: b"".join(_line(quad, _Masked(node)) for quad in quads if node in quad) for node in nodes
        }
        return cls(
            tuple(line[:-1] for line in lines if line not in varying),
            Form.of(b"".join(varying), holes_and_labels),
            tuple(_Node.of(Form.of(around[node], holes), hash_name) for node in nodes),
            hash_name,
        )

    def fill(self, values: Sequence[bytes]) -> bytes | None:
        """The canonical N-Quads with these values; None where two blank nodes are alike (RDFC-1.0 section 4.8)."""
        digests = [node.hash(values, self.hash_name) for node in self.nodes]
        order = sorted(range(len(digests)), key=digests.__getitem__)
        if len(set(digests)) != len(digests):
            return None
        labels = [b""] * len(order)
        for number, node in enumerate(order):
            labels[node] = b"_:c14n%d" % number
        # A statement is a line, and nothing in it ends one: line ends are escaped in literals.
        lines = [*self.fixed, *self.varying.fill([*values, *labels]).split(b"\n")[:-1]]
        # Nearly in order already; a set first would undo that.
        lines.sort()
        if len(set(lines)) != len(lines):
            lines = sorted(set(lines))
        return b"\n".join(lines) + b"\n"


class _Masked(dict[str, str]):
    """Section 4.6: the node itself is `_:a`, every other `_:z`."""

    def __init__(self, node: str) -> None:
        super().__init__({node: "_:a"})

    def __missing__(self, _: str) -> str:
        return "_:z"


def _line(quad: Quad, labels: Any) -> bytes:
    subject, predicate, value, graph = (labels[term] if is_blank(term) else term for term in quad)
    return encode_quad((subject, predicate, value, graph)).encode()
