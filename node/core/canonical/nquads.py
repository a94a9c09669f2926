"""N-Quads 1.1, strict: quads as tuples of terms in their canonical text (RDFC-1.0 section 5, appendix A).

A term is the text that N-Quads writes for it: `<iri>`, `_:label`, or a literal with its quotes.
"""

from __future__ import annotations

import re
from typing import Final

from node.core.errors import Malformed

Term = str
# Subject, predicate, object, graph name; the default graph is "".
Quad = tuple[Term, Term, Term, Term]

XSD: Final = "http://www.w3.org/2001/XMLSchema#"
RDF: Final = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"

# RFC 3987 scheme, and none of the characters that N-Quads forbids in an IRI: white space or `>` inside one
# could write further statements.
ABSOLUTE_IRI: Final = re.compile(r'([A-Za-z][A-Za-z0-9+.-]*):(//)?[^\x00-\x20<>"{}|^`\\]*\Z')
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*\Z")
_ESCAPED: Final = re.compile(r'[\x00-\x1f"\\\x7f]')
_ESCAPES: Final = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
_UNESCAPES: Final = {"b": "\b", "t": "\t", "n": "\n", "f": "\f", "r": "\r", '"': '"', "'": "'", "\\": "\\"}
_UCHAR: Final = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"
_ESCAPE_SEQUENCE: Final = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))", re.DOTALL)

_IRI_REF = rf'<(?:[^\x00-\x20<>"{{}}|^`\\]|{_UCHAR})*>'
_BLANK = r"_:[\w:](?:[\w:.\-\u00b7]*[\w:\-\u00b7])?"
_STRING = rf'"(?:[^"\\\n\r]|\\[tbnrf"\'\\]|{_UCHAR})*"'
_LITERAL = rf"{_STRING}(?:\^\^{_IRI_REF}|@[A-Za-z]+(?:-[A-Za-z0-9]+)*)?"
_STATEMENT: Final = re.compile(
    rf"[ \t]*({_IRI_REF}|{_BLANK})[ \t]*({_IRI_REF})[ \t]*({_IRI_REF}|{_BLANK}|{_LITERAL})[ \t]*"
    rf"({_IRI_REF}|{_BLANK})?[ \t]*\.[ \t]*(?:#[^\n\r]*)?\Z"
)
_NOTHING: Final = re.compile(r"[ \t]*(?:#[^\n\r]*)?\Z")
_LITERAL_PARTS: Final = re.compile(rf"({_STRING})(?:\^\^({_IRI_REF})|@(.+))?\Z", re.DOTALL)
_LINE_END: Final = re.compile(r"[\n\r]+")


def iri_term(iri: str) -> Term:
    """The term of an absolute IRI; Malformed where it is relative or has characters that no IRI has."""
    if not is_absolute_iri(iri):
        raise Malformed(f"not an absolute IRI: {iri[:120]!r}")
    return f"<{iri}>"


def is_absolute_iri(text: str) -> bool:
    """Whether a text is an IRI with a scheme, and nothing that could end it in a statement."""
    return ABSOLUTE_IRI.match(text) is not None


def quoted(value: str) -> Term:
    """The term of a string literal."""
    return f'"{_ESCAPED.sub(_escape, value)}"' if _ESCAPED.search(value) else f'"{value}"'


def literal_term(value: str, datatype: str | None = None, language: str | None = None) -> Term:
    """The term of a literal; `datatype` is an IRI (none for strings), `language` a BCP 47 tag."""
    text = quoted(value)
    if language is not None:
        if not _LANGUAGE.match(language):
            raise Malformed(f"not a language tag: {language[:40]!r}")
        return f"{text}@{language}"
    if datatype is None or datatype == XSD + "string":
        return text
    return f"{text}^^{iri_term(datatype)}"


def is_blank(term: Term) -> bool:
    """Whether a term is a blank node."""
    return term.startswith("_:")


def encode_quad(quad: Quad) -> str:
    """One statement with its final newline."""
    subject, predicate, value, graph = quad
    return f"{subject} {predicate} {value} {graph} .\n" if graph else f"{subject} {predicate} {value} .\n"


def parse_nquads(text: str) -> list[Quad]:
    """The quads that a document writes, terms in canonical text; Malformed where it is not N-Quads."""
    quads = []
    for line in _LINE_END.split(text):
        if _NOTHING.match(line):
            continue
        match = _STATEMENT.match(line)
        if match is None:
            raise Malformed(f"not an N-Quads statement: {line[:120]!r}")
        subject, predicate, value, graph = match.groups()
        quads.append((_term(subject), _term(predicate), _term(value), _term(graph) if graph else ""))
    return quads


def _term(text: str) -> Term:
    if text.startswith("_:"):
        return text
    if text.startswith("<"):
        return iri_term(_unescape(text[1:-1]))
    match = _LITERAL_PARTS.match(text)
    if match is None:  # the statement's pattern contains this one
        raise Malformed("not an N-Quads literal")
    datatype = None if match[2] is None else _unescape(match[2][1:-1])
    return literal_term(_unescape(match[1][1:-1]), datatype, match[3])


def _escape(match: re.Match[str]) -> str:
    letter = match.group()
    return _ESCAPES.get(letter) or f"\\u{ord(letter):04X}"


def _unescape(text: str) -> str:
    return _ESCAPE_SEQUENCE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2]
    if digits is None:
        return _UNESCAPES[match[3]]
    number = int(digits, 16)
    if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
        raise Malformed(f"an escape that is no character: \\{match.group()[1:]}")
    return chr(number)
