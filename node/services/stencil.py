"""Documents that differ in a few texts: every canonical form computed once, with holes for what differs.

A stencil is cut from an example in which each hole holds a mark that occurs nowhere else. Its JSON forms are cut by
replacing the marks; its RDF form (RDFC-1.0) statement by statement, where the labels of blank nodes follow from the
values: each node's first-degree hash (section 4.6) is taken anew if a value stands beside it, and where two nodes
come out alike the stencil says nothing. Nothing here knows what a value may be: who cuts a stencil compares what it
fills with what the general way makes of the same values (`shapes.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256, sha384, sha512
from operator import itemgetter
from typing import Any, Final

import orjson

from node.core.canonical.jcs import canonicalize
from node.core.canonical.nquads import Quad, encode_quad, is_blank, parse_nquads, quoted
from node.core.encoding import encode_multibase
from node.core.strict_json import JsonObject

HASHES: Final = {"sha256": sha256, "sha384": sha384, "sha512": sha512}
_PROOF: Final = "stencil-proof"

Pressed = tuple[bytes, bytes]
"""A document as it is issued, and the digest that is anchored (FORMATS.md section 3)."""


@dataclass(frozen=True, slots=True)
class Form:
    """Bytes with holes: between the `pieces` stand the values at `places`."""

    pieces: tuple[bytes, ...]
    places: tuple[int, ...]
    _pattern: bytes = field(init=False, repr=False, compare=False)
    _take: Callable[[Sequence[bytes]], Any] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = b"%b".join(piece.replace(b"%", b"%%") for piece in self.pieces)
        object.__setattr__(self, "_pattern", pattern)
        # Of one place it takes the value itself, which one hole is as content with.
        object.__setattr__(self, "_take", itemgetter(*self.places or (slice(0),)))

    @classmethod
    def of(cls, data: bytes, marks: Sequence[bytes]) -> Form:
        """The form that `data` is with the marks in its holes; a hole may occur often or not at all."""
        # The longest first, so that a mark is never taken for the beginning of another.
        known = sorted(filter(None, marks), key=len, reverse=True)
        pieces = re.split(b"(" + b"|".join(map(re.escape, known)) + b")", data) if known else [data]
        return cls(tuple(pieces[::2]), tuple(marks.index(mark) for mark in pieces[1::2]))

    def fill(self, values: Sequence[bytes]) -> bytes:
        """The bytes with these values, which are escaped already."""
        if not self.places:
            return self.pieces[0]
        filled: bytes = self._pattern % self._take(values)
        return filled

    def with_part(self, place: int, part: Form) -> Form:
        """The form with `part` in its holes for `place`; the holes of the part are for that place then."""
        pieces, places = [self.pieces[0]], []
        for at, after in zip(self.places, self.pieces[1:], strict=True):
            if at == place:
                pieces[-1] += part.pieces[0]
                pieces += part.pieces[1:]
                places += [place] * len(part.places)
                pieces[-1] += after
            else:
                pieces.append(after)
                places.append(at)
        return Form(tuple(pieces), tuple(places))


def escape_json(value: str) -> bytes:
    """A text as it stands between the quotes of a JSON string, in JCS too (RFC 8785 section 3.2.2.2)."""
    return orjson.dumps(value)[1:-1]


def escape_nquads(value: str) -> bytes:
    """A text as it stands between the quotes of a literal (RDFC-1.0 section 5)."""
    return quoted(value)[1:-1].encode()


def nquads_values(values: Sequence[bytes]) -> list[bytes]:
    """For literals, what is escaped for JSON: the same where nothing had to be escaped there, but for DEL."""
    return [
        escape_nquads(orjson.loads(b'"%b"' % value)) if b"\\" in value or b"\x7f" in value else value
        for value in values
    ]


@dataclass(frozen=True, slots=True)
class JsonForms:
    """A document in JCS without a proof, and with one as it is issued and in JCS: `proof` is the place of that."""

    canonical: Form
    issued: Form
    digested: Form
    proof: int

    @classmethod
    def of(cls, example: JsonObject, marks: Sequence[str]) -> JsonForms:
        """The forms of `example`, which has no proof."""
        holes = [escape_json(mark) for mark in marks]
        with_proof = [*holes, orjson.dumps(_PROOF)]
        return cls(
            Form.of(canonicalize(example), holes),
            Form.of(orjson.dumps({**example, "proof": [_PROOF]}), with_proof),
            Form.of(canonicalize({**example, "proof": _PROOF}), with_proof),
            len(holes),
        )


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
        return HASHES[hash_name](b"\n".join(lines) + b"\n").hexdigest()


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


@dataclass(frozen=True, slots=True)
class Plate:
    """A stencil under one proof configuration: it lacks a row's values and a signature, and nothing else.

    It knows nothing of an issuer, so that any process can press it.
    """

    signed: Form | StatementForms
    """What is hashed for the signature, after the hash of the proof configuration."""
    config_hash: bytes
    hash_name: str
    issued: Form
    """The place after the values is that of `proofValue`; so it is in `digested`."""
    digested: Form

    def press(self, values: Sequence[bytes], sign: Callable[[bytes], bytes]) -> Pressed | None:
        """The secured document with these values, escaped for JSON; None where the stencil says nothing of them."""
        signed = self.signed
        canonical = signed.fill(values if isinstance(signed, Form) else nquads_values(values))
        if canonical is None:
            return None
        signature = sign(self.config_hash + HASHES[self.hash_name](canonical).digest())
        proven = [*values, encode_multibase(signature, "z").encode()]
        return self.issued.fill(proven), sha256(self.digested.fill(proven)).digest()


Row = tuple[Plate, list[bytes]]
"""A plate, and values for it that are escaped for JSON."""


class _Masked(dict[str, str]):
    """Section 4.6: the node itself is `_:a`, every other `_:z`."""

    def __init__(self, node: str) -> None:
        super().__init__({node: "_:a"})

    def __missing__(self, _: str) -> str:
        return "_:z"


def _line(quad: Quad, labels: Any) -> bytes:
    subject, predicate, value, graph = (labels[term] if is_blank(term) else term for term in quad)
    return encode_quad((subject, predicate, value, graph)).encode()
