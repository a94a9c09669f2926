"""What the rows of a cohort have in common is judged once; of a row, what it fills in.

Rows that omit the same cells have one shape: their credentials differ in some texts alone. Once a shape has been seen
often enough, a stencil is cut for it (`stencil.py`) and proven: a series of other values goes both through the stencil
and the general way, which must make the same bytes, and every one of these credentials must pass the whole rehearsal.
What a slot of the template may hold is found out in the same manner, by its kind:

    any text     every probe passes: nothing looks at what stands there
    a moment     only moments in time pass: a row's is held to the same form
    fixed        anything else: the value belongs to the shape, and another value is another shape

A row of no proven shape, or with a value outside its kind, goes the general way as if there were no stencils.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from typing import Any, Final

import orjson

from node.core.canonical.jcs import canonicalize
from node.core.dataintegrity.hash_suite import HashData
from node.core.dataintegrity.suites import SUITES, PreparedProof
from node.core.did.key import did_key_of
from node.core.encoding import encode_base64url, encode_multibase
from node.core.errors import Malformed, NotVerified
from node.core.evidence import EvidenceItem, build_evidence
from node.core.keys import KeyKind, PublicKey
from node.core.securing import BBS, HASH_SUITES
from node.core.status.entry import MESSAGE, StatusEntry
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp
from node.services import status_lists
from node.services.cohort import PreparedRow
from node.services.issuer import Issuer, SigningKey
from node.services.placeholders import Omitted
from node.services.preparing import (
    Given,
    Prepared,
    Terms,
    check_issuable,
    identity_of,
    prepare,
    throwaway_key,
)
from node.services.securing import Secured, secure
from node.services.securing import prepare as prepare_signature
from node.services.stencil import (
    HASHES,
    Form,
    JsonForms,
    Plate,
    Row,
    StatementForms,
    escape_json,
    nquads_values,
)
from node.services.template import Filled, Template

# A stencil costs some dozens of rehearsals: below this a shape is not worth it.
CUT_AT: Final = 24
# Where nearly every row has a shape of its own, nothing is gained by remembering them.
_MAX_SHAPES: Final = 512
_MAX_TEXT_CHARS: Final = 4096
_ROUNDS: Final = 8
_STAMP: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")
# What a did:key or did:jwk is written with; none of it is escaped anywhere.
_DID: Final = re.compile(r"did:(?:key|jwk):[A-Za-z0-9:_-]{1,2048}\Z")

_Value = str | int | float | Omitted


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a slot may hold: `mark` gives a value that occurs once, `probes` are values that say most."""

    mark: Callable[[int], str]
    probes: tuple[str, ...]
    accepts: Callable[[str], bool]


@lru_cache(maxsize=4096)
def _is_stamp(text: str) -> bool:
    try:
        return _STAMP.match(text) is not None and parse_datetime_stamp(text) is not None
    except Malformed:
        return False


_TEXT: Final = _Kind(
    lambda number: f"stencil mark {number}.",
    (
        'a "quoted" \\ backslash \\u0041 / slash',
        "line\r\nline\ttab \x7f",
        "ä ß 优秀 \U0001f393 \u0085 \u2028 \ufeff \uffff",
        "@type",
        "_:c14n0",
        "https://example.org/a#b",
        "%s %b %% {0} <b>&amp;</b> $1",
        "x" * _MAX_TEXT_CHARS,
    ),
    lambda text: len(text) <= _MAX_TEXT_CHARS,
)
_MOMENT: Final = _Kind(
    lambda number: f"{1800 + number}-03-01T01:02:03Z",
    ("1970-01-01T00:00:00Z", "2024-02-29T23:59:59Z", "0001-01-01T00:00:00Z", "9998-12-31T23:59:59Z"),
    _is_stamp,
)
_KINDS: Final = (_TEXT, _MOMENT)
# The others decide something together with another value, or are an identifier.
_FIXED: Final = _Kind(lambda _: "", (), lambda _: True)


class Seal:
    """The proof that everything of one suite, signed by one key at one moment, has but for its value."""

    def __init__(self, prepared: PreparedProof) -> None:
        if not isinstance(prepared.data, HashData):
            raise TypeError("a stencil is for suites that sign one hash of the document")
        self.hash_name = prepared.data.hash_name
        digest = HASHES[self.hash_name](prepared.data.document).digest()
        self.config_hash = prepared.message.removesuffix(digest)
        mark = "stencil-proof-value"
        proof = {**prepared.draft.proof, "proofValue": mark}
        self.written = Form.of(orjson.dumps(proof), [mark.encode()])
        self.canonical = Form.of(canonicalize(proof), [mark.encode()])


@dataclass(frozen=True, slots=True, eq=False)
class _Stencil:
    """The forms of a shape. `body` is the intent's, before the holder and the time are known."""

    body: Form
    document: JsonForms
    statements: StatementForms | None
    kinds: tuple[_Kind, ...]
    names: frozenset[str]
    """The identifiers in it that all rows share: a row's holder is none of them."""
    example: JsonObject

    def is_over(self, now: datetime) -> bool:
        """Whether its credentials, as one was made for an example, would have ended by now."""
        return "validUntil" in self.example and parse_datetime_stamp(self.example["validUntil"]) <= now

    def plate(self, seal: Seal) -> Plate | None:
        """What presses credentials under this seal; None where the statements are labelled by another hash."""
        if self.statements is not None and self.statements.hash_name != seal.hash_name:
            return None
        forms = self.document
        return Plate(
            forms.canonical if self.statements is None else self.statements,
            seal.config_hash,
            seal.hash_name,
            forms.issued.with_part(forms.proof, seal.written),
            forms.digested.with_part(forms.proof, seal.canonical),
        )


@dataclass(slots=True)
class Draft:
    """A row on its way to its signature, with what it was given."""

    shapes: Shapes
    row: PreparedRow
    given: Given
    _stencil: _Stencil | None
    _values: list[bytes] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self._stencil is not None:
            texts = _slot_texts(self.row.filled, self._stencil.kinds)
            self._values = [*map(escape_json, _texts_of(self.given)), *map(_escaped, texts)]

    def body(self) -> bytes:
        """What its intent keeps."""
        return self._prepared().to_bytes() if self._stencil is None else self._stencil.body.fill(self._values)

    def cast(self, subject_did: str | None, key: SigningKey, now: datetime) -> Row | None:
        """The row by its stencil, for the holder who is known now; None where it has none."""
        if self._stencil is None:
            return None
        plate = self.shapes.plate(self._stencil, key, now)
        if plate is None:
            return None
        period = _period(self.row.filled.template.valid_days, now)
        return plate, [*self._values, escape_json(subject_did or ""), *period]

    def secure(self, subject_did: str | None, key: SigningKey, now: datetime) -> Secured:
        """Sign for the holder, who is known now."""
        if (cast := self.cast(subject_did, key, now)) is not None:
            plate, values = cast
            if (pressed := plate.press(values, key.signer.sign)) is not None:
                return Secured(*pressed)
        prepared = self._prepared()
        document = prepared.at_signing(now, subject_did)
        return secure(self.shapes.issuer, document, key, self.shapes.terms.securing, now, prepared.mandatory)

    @property
    def shape(self) -> object | None:
        """What it shares with rows that are made by the same stencil."""
        return self._stencil

    def _prepared(self) -> Prepared:
        return prepare(self.shapes.issuer, self.row.filled, self.given, self.shapes.terms)


class Shapes:
    """The shapes of a cohort that were met so far."""

    def __init__(
        self,
        issuer: Issuer,
        template: Template,
        terms: Terms,
        purposes: tuple[str, ...],
        kind: KeyKind = KeyKind.ED25519,
    ) -> None:
        self.issuer = issuer
        self.terms = terms
        self._purposes = purposes
        self._messages = template.messages
        self._throwaway = throwaway_key(issuer, kind)
        self._kinds: list[_Kind | None] = [None] * template.slot_count
        self._met: dict[tuple[Any, ...], int | _Stencil | None] = {}
        self._sealed: tuple[str, datetime] | None = None
        self._seal: Seal | None = None
        self._plates: dict[_Stencil, Plate | None] = {}
        self._list_url = re.compile(re.escape(f"{issuer.settings.url}/status/") + r"[1-9][0-9]{0,8}\Z")

    def judge(self, row: PreparedRow) -> None:
        """Raise unless the row can be issued: by its shape, else by rehearsing it whole."""
        if self._find(row) is not None:
            return
        subject = row.subject_did or (None if self.terms.bearer else _holder(0))
        given = self._stand_in(row, 0)
        prepared = prepare(self.issuer, row.filled, given, self.terms)
        document = prepared.at_signing(self.issuer.clock(), subject)
        check_issuable(self.issuer, document, self.terms.securing, self._throwaway, prepared.mandatory)
        # Only where one hash of the whole is signed are its forms all that there is.
        if self.terms.securing in HASH_SUITES and not row.held:
            self._meet(row)

    def draft(self, row: PreparedRow, given: Given) -> Draft:
        """The row with what it was given, by its stencil if there is one."""
        stencil = self._find(row)
        if stencil is not None and not all(self._list_url.match(entry.list_url) for entry in given.entries):
            stencil = None
        return Draft(self, row, given, stencil)

    def plate(self, stencil: _Stencil, key: SigningKey, now: datetime) -> Plate | None:
        """What presses credentials of a stencil, signed by this key at this moment."""
        if self._sealed != (key.verification_method, now) or self._seal is None:
            # All shapes of a cohort have the same contexts, and of a document these alone enter the proof.
            prepared = prepare_signature(self.issuer, stencil.example, key, self.terms.securing, now)
            self._seal, self._plates = Seal(prepared), {}
            self._sealed = (key.verification_method, now)
        if stencil not in self._plates:
            # What is over goes the general way, which refuses it.
            self._plates[stencil] = None if stencil.is_over(now) else stencil.plate(self._seal)
        return self._plates[stencil]

    # --- finding

    def _key(self, row: PreparedRow) -> tuple[Any, ...]:
        """Equal for rows of one shape."""
        texts = [
            (None if kind is not _FIXED else value) if type(value) is str else (type(value), value)
            for value, kind in zip(row.filled.values, self._kinds, strict=True)
        ]
        return (row.subject_did is not None, bool(row.evidence), *texts)

    def _find(self, row: PreparedRow) -> _Stencil | None:
        stencil = self._met.get(self._key(row))
        if not isinstance(stencil, _Stencil):
            return None
        for value, kind in zip(row.filled.values, stencil.kinds, strict=True):
            if type(value) is str and not kind.accepts(value):
                return None
        did = row.subject_did
        return stencil if did is None or (_DID.match(did) and did not in stencil.names) else None

    def _meet(self, row: PreparedRow) -> None:
        key = self._key(row)
        times = self._met.get(key, 0)
        if not isinstance(times, int) or (not times and len(self._met) >= _MAX_SHAPES):
            return
        self._met[key] = times + 1
        if times + 1 == CUT_AT:
            self._sort_slots(row)
            self._met[self._key(row)] = self._cut(row)

    # --- cutting

    def _sort_slots(self, row: PreparedRow) -> None:
        """Find the kind of each slot that has a text in this row and none before."""
        timed = row.filled.template.timed_slots
        for slot, value in enumerate(row.filled.values):
            if self._kinds[slot] is None and type(value) is str:
                fits = (kind for kind in _KINDS if slot not in timed and self._passes(row, slot, kind))
                self._kinds[slot] = next(fits, _FIXED)

    def _passes(self, row: PreparedRow, slot: int, kind: _Kind) -> bool:
        values = list(row.filled.values)
        for probe in (kind.mark(slot), *kind.probes):
            values[slot] = probe
            try:
                self._rehearse(self._example(row, values, (), 0).document)
            except (Malformed, NotVerified):
                return False
        return True

    def _rehearse(self, document: JsonObject) -> None:
        check_issuable(self.issuer, document, self.terms.securing, self._throwaway)

    def _cut(self, row: PreparedRow) -> _Stencil | None:
        kinds = tuple(kind or _FIXED for kind in self._kinds)
        values: list[_Value] = [
            kind.mark(slot) if type(value) is str and kind is not _FIXED else value
            for slot, (value, kind) in enumerate(zip(row.filled.values, kinds, strict=True))
        ]
        try:
            example = self._example(row, values, kinds, 0)
            document, marks = example.document, example.texts
            now = self.issuer.clock()
            seal = Seal(prepare_signature(self.issuer, document, self._throwaway, self.terms.securing, now))
        except (Malformed, NotVerified, TypeError):
            return None
        nquads = None
        if self._signs_rdf:
            nquads = self.issuer.standards.canonicalizer.nquads(document, seal.hash_name)
        stencil = _Stencil(
            Form.of(example.body, [escape_json(mark) for mark in marks]),
            JsonForms.of(document, marks),
            None if nquads is None else StatementForms.of(nquads, marks, seal.hash_name),
            kinds,
            frozenset(_identifiers(document)) - set(marks),
            document,
        )
        return stencil if self._is_proven(stencil, row, seal) else None

    @property
    def _signs_rdf(self) -> bool:
        return SUITES[self.terms.securing].signs_rdf

    def _is_proven(self, stencil: _Stencil, row: PreparedRow, seal: Seal) -> bool:
        """Whether the stencil and the general way make the same bytes, and each is fit to be issued."""
        return all(self._agrees(stencil, row, number, seal) for number in range(1, _ROUNDS + 1))

    def _agrees(self, stencil: _Stencil, row: PreparedRow, number: int, seal: Seal) -> bool:
        kinds = stencil.kinds
        values: list[_Value] = [
            kind.probes[(slot + number) % len(kind.probes)]
            if type(value) is str and kind is not _FIXED
            else value
            for slot, (value, kind) in enumerate(zip(row.filled.values, kinds, strict=True))
        ]
        try:
            example = self._example(row, values, kinds, number)
            document = example.document
            self._rehearse(document)
        except (Malformed, NotVerified):
            return False
        filled = [escape_json(text) for text in example.texts]
        forms = stencil.document
        proof = {"type": "DataIntegrityProof", "proofValue": encode_multibase(bytes(64))}
        if (
            stencil.body.fill(filled) != example.body
            or forms.canonical.fill(filled) != canonicalize(document)
            or forms.issued.fill([*filled, orjson.dumps(proof)])
            != orjson.dumps({**document, "proof": [proof]})
            or forms.digested.fill([*filled, canonicalize(proof)])
            != canonicalize({**document, "proof": proof})
        ):
            return False
        if stencil.statements is None:
            return True
        made = stencil.statements.fill(nquads_values(filled))
        nquads = self.issuer.standards.canonicalizer.nquads(document, seal.hash_name)
        return made is None or made == nquads.encode()

    def _example(
        self, row: PreparedRow, values: Sequence[_Value], kinds: Sequence[_Kind], number: int
    ) -> _Example:
        """The row with other values, and example `number` of everything that it is given."""
        filled = Filled(row.filled.template, tuple(values))
        given = self._stand_in(row, number)
        subject = None if given.identity is not None else _holder(number)
        now = self.issuer.clock() + timedelta(seconds=3671 * number)
        prepared = prepare(self.issuer, filled, given, self.terms)
        texts = [
            *_texts_of(given),
            *_slot_texts(filled, kinds),
            subject or "",
            *(value.decode() for value in _period(filled.template.valid_days, now)),
        ]
        return _Example(prepared.to_bytes(), prepared.at_signing(now, subject), texts)

    def _stand_in(self, row: PreparedRow, number: int) -> Given:
        """What a row is given, of the same form: what is checked is what will be signed."""
        entries = []
        for place, purpose in enumerate(self._purposes, 1):
            url = f"{self.issuer.settings.url}/status/{10 * number + place}"
            messages = self._messages if purpose == MESSAGE else ()
            entries.append(
                StatusEntry(purpose, url, 90_417 + 7 * number, status_lists.size_of(messages), messages)
            )
        evidence = None
        if row.evidence:
            item = EvidenceItem("stand-in", "text/plain", "", b"%d" % number)
            evidence = build_evidence([item], [_digest("salt", number)])
        identity = None
        if self.terms.securing == BBS or (self.terms.bearer and row.subject_did is None):
            identity = identity_of(f"id:{number}", encode_base64url(_digest("identity", number)[:16]))
        identifier = uuid.UUID(bytes=_digest("id", number)[:16], version=4)
        return Given(f"urn:uuid:{identifier}", tuple(entries), evidence, identity, row.held)


@dataclass(frozen=True, slots=True)
class _Example:
    """A credential that is never issued: its intent's body, what would be signed, and the texts in its holes."""

    body: bytes
    document: JsonObject
    texts: list[str]


def _texts_of(given: Given) -> list[str]:
    texts = [given.credential_id]
    for entry in given.entries:
        texts += (entry.list_url, str(entry.index))
    if given.evidence is not None:
        committed = given.evidence.evidence_object()
        texts += (committed["id"], committed["digestMultibase"])
    if given.identity is not None:
        texts += (given.identity.identity_hash, given.identity.salt)
    return texts


@lru_cache(maxsize=4096)
def _escaped(text: str) -> bytes:
    """`escape_json` of what occurs in many rows."""
    return escape_json(text)


@lru_cache(maxsize=8)
def _period(days: int | None, now: datetime) -> tuple[bytes, bytes]:
    """The validity period that begins with the signature; nothing in it is escaped."""
    until = "" if days is None else format_datetime_stamp(now + timedelta(days=days))
    return format_datetime_stamp(now).encode(), until.encode()


def _slot_texts(filled: Filled, kinds: Sequence[_Kind]) -> list[str]:
    """The texts in the slots that are holes; the others are part of the shape."""
    return [
        value if type(value) is str and kind is not _FIXED else ""
        for value, kind in zip(filled.values, kinds, strict=False)
    ]


def _holder(number: int) -> str:
    # Any 32 bytes are the form of an Ed25519 key.
    return did_key_of(PublicKey(KeyKind.ED25519, _digest("holder", number)))


def _digest(what: str, number: int) -> bytes:
    return sha256(f"stencil {what} {number}".encode()).digest()


def _identifiers(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("id"), str):
            yield value["id"]
        for member in value.values():
            yield from _identifiers(member)
    elif isinstance(value, list):
        for member in value:
            yield from _identifiers(member)
