"""What is read is what is signed (FORMATS.md section 2), for signatures over RDF statements.

Such a signature covers statements, not JSON: a member can be renamed to its IRI, given an alias, or moved to
another object with the same `id`, and the signature stays valid while a reader of JSON no longer sees that
the credential was revoked. So documents are read only in a plain form that leaves no choice, others are
rewritten to it first, and the statements that decide are counted against what was read in their place.

Signatures over JCS bytes need none of this: there the text read is the text signed.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

from node.core import problem
from node.core.canonical.contexts import CREDENTIALS_V1, CREDENTIALS_V2, OPEN_BADGES_V3
from node.core.canonical.jcs import canonicalize
from node.core.canonical.nquads import Quad, is_blank
from node.core.canonical.rdfc import Canonicalizer
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject, objects_in

_CRED: Final = "https://www.w3.org/2018/credentials#"
_STATUS: Final = "https://www.w3.org/ns/credentials/status#"
_STATUS_2021: Final = "https://w3id.org/vc/status-list#"
_OPEN_BADGES: Final = "https://purl.imsglobal.org/spec/ob/v3p0/"
_OPEN_BADGES_VOCABULARY: Final = "<https://purl.imsglobal.org/spec/vc/ob/vocab.html#"

_VALIDITY: Final = frozenset({"validFrom", "validUntil", "issuanceDate", "expirationDate"})
_ENTRY: Final = frozenset(
    {
        "statusPurpose",
        "statusListIndex",
        "statusListCredential",
        "statusSize",
        "statusMessage",
        "statusReference",
    }
)
_DECIDING: Final = _VALIDITY | _ENTRY | {"issuer", "holder", "credentialStatus"}
# Members of which a reader expects one value and no array around it.
_SINGLE_TERMS: Final = (
    _VALIDITY | {"issuer", "holder"} | (_ENTRY - {"statusMessage", "statusReference", "statusPurpose"})
)
_SINGLE: Final = _SINGLE_TERMS | {"id"}
_PREDICATES: Final = {
    **{f"<{_CRED}{name}>": name for name in _DECIDING - _ENTRY},
    **{f"<{_STATUS}{name}>": name for name in _ENTRY},
    **{
        f"<{_STATUS_2021}{name}>": name
        for name in ("statusPurpose", "statusListIndex", "statusListCredential")
    },
}
_VALUE_OBJECT: Final = frozenset({"@value", "@language", "@direction"})
# Their contents are graphs of their own: each credential is read for itself, proofs by the suites.
_HELD: Final = "verifiableCredential"
_RECORD: Final = "ClrCredential"
_NOT_OWN: Final = frozenset({"proof", _HELD, "@context"})
_WITH_CONTEXT: Final = frozenset(
    {"VerifiableCredential", "EnvelopedVerifiableCredential", "VerifiablePresentation"}
)
_ENDORSEMENT_SUBJECT: Final = frozenset({"id", "type", "endorsementComment"})


@dataclass(frozen=True, slots=True)
class Reading:
    """The form of a document that later checks read.

    `document` keeps the `proof` that was there. `rewritten` says that it is not the text received but the same
    statements in plain form, which the basis of `conformance` tells. `nquads` are the canonical statements
    without proofs.
    """

    document: JsonObject
    rewritten: bool
    nquads: str


def read_as_signed(document: JsonObject, canonicalizer: Canonicalizer) -> Reading:
    """How a document with an RDF signature is read.

    Malformed where it cannot be read safely: constructs that move statements, data that would be lost, two
    different objects with one identifier, statements that decide in another place than where they are read.
    ContextNotPinned where a context is unknown. The credentials of a presentation, and those of a learner's
    record (CLR 2.0), are read each for itself and have each to be verified: in a record they are part of the same
    graph, and it is their own proofs that keep members from changing places with the record's.
    """
    body = {name: value for name, value in document.items() if name != "proof"}
    signed = canonicalizer.canonical(body)
    objects = _objects(body)
    rewritten = not (signed.is_plain and _are_single(objects)) and not _are_plain(objects)
    if rewritten:
        body = _rewrite(body, signed.nquads, canonicalizer)
        objects = _objects(body)
    held = _held_beside(body)
    differ = _check_identifiers(objects)
    _check_quads([*objects, *held], signed.quads, identifiers_differ=differ and not held)
    read = body | {"proof": document["proof"]} if "proof" in document else body
    return Reading(read, rewritten, signed.nquads)


def is_plain(document: JsonObject) -> bool:
    """Whether a document is in the subset in which each statement can be written in one way only.

    Contexts are strings, one `@context` per credential; no member is an IRI or a keyword but for language
    value objects; types are terms; no null, no array in an array or around a single value. Pinned or not is
    not looked at here. The credentials inside a presentation are not part of it.
    """
    return _are_plain(_objects(document))


def _check_identifiers(objects: list[JsonObject]) -> bool:
    """Whether no two objects have one identifier, which is the rule; Malformed where they must not.

    FORMATS.md section 2. Objects with equal `id` are one RDF node, so members could be moved between them under the
    signature. An object whose `id` is that of another credential holds at most `id`, `type` (exactly
    EndorsementSubject) and `endorsementComment`; of other objects with one `id` at most one has more than `id` and
    `type`, or all are equal. No credential is the subject of another: where a badge and its endorsement name each
    other, the same statements could be written with the endorsement outside, and its dates and status would be read.
    """
    found: dict[str, JsonObject] = {}
    shared: dict[str, list[JsonObject]] = {}
    for item in objects:
        if "credentialSubject" in item and any(map(_is_credential, _array(item["credentialSubject"]))):
            path = (*_path_of(item, objects[0]), "credentialSubject")
            raise _unsafe("a credential stands as the subject of another", path)
        identifier = item.get("id")
        if type(identifier) is not str:
            continue
        if is_blank(identifier):
            path = (*_path_of(item, objects[0]), "id")
            raise _unsafe("a blank node label is no identifier", path)
        first = found.setdefault(identifier, item)
        if first is not item:
            shared.setdefault(identifier, [first]).append(item)
    for items in shared.values():
        _check_one_identifier(items, objects[0])
    return not shared


def _check_quads(objects: list[JsonObject], quads: list[Quad], *, identifiers_differ: bool) -> None:
    """Malformed unless the statements that decide are those that stand where they are read.

    Issuer, holder, validity, status and the members of status entries: for each subject as many statements as
    its object shows, and for the document itself and its status entries as many as they show in their place:
    where all identifiers differ, there is no other place.
    """
    signed = _count_signed(quads)
    if _count_read(objects) != signed:
        raise _elsewhere()
    if identifiers_differ:
        return
    document = objects[0]
    for item in (document, *_array(document.get("credentialStatus", []))):
        if type(item) is dict and type(item.get("id")) is str:
            subject = f"<{item['id']}>"
            if {key: count for key, count in signed.items() if key[0] == subject} != _count_read([item]):
                raise _elsewhere()


def _rewrite(body: JsonObject, nquads: str, canonicalizer: Canonicalizer) -> JsonObject:
    contexts = [entry for entry in _array(body.get("@context")) if type(entry) is str]
    if not contexts or contexts[0] not in (CREDENTIALS_V1, CREDENTIALS_V2):
        raise Malformed("the first context of a credential is the credentials context", path=("@context",))
    if _OPEN_BADGES_VOCABULARY in nquads and not any(url.startswith(_OPEN_BADGES) for url in contexts):
        contexts.append(OPEN_BADGES_V3)
    # The credentials of a presentation are graphs with contexts of their own, each to be read for itself.
    own = {name: value for name, value in body.items() if name != _HELD}
    rewritten = canonicalizer.recompact(own, list(dict.fromkeys(contexts)))
    _as_readers_expect(rewritten)
    if _HELD in body and _HELD not in rewritten:
        rewritten[_HELD] = body[_HELD]
    if canonicalizer.nquads(rewritten) != nquads:
        raise _unsafe("the document cannot be written in plain terms without changing what it states")
    return rewritten


def _as_readers_expect(value: Json) -> None:
    """Types as arrays, and a subject with nothing but an identifier as an object again."""
    if type(value) is list:
        for item in value:
            _as_readers_expect(item)
    elif type(value) is dict:
        if type(value.get("type")) is str:
            value["type"] = [value["type"]]
        subject = value.get("credentialSubject")
        if type(subject) is str:
            value["credentialSubject"] = {"id": subject}
        elif type(subject) is list:
            value["credentialSubject"] = [{"id": one} if type(one) is str else one for one in subject]
        for name, member in value.items():
            if name != "@context":
                _as_readers_expect(member)


def _objects(document: JsonObject) -> list[JsonObject]:
    """Every object of a document's own graph, the document first."""
    return objects_in(document, without=_NOT_OWN)


def _held_beside(record: JsonObject) -> list[JsonObject]:
    """Every object of the credentials that a learner's record holds, which are in the same graph.

    In the place where they are looked for to be verified, and nowhere else: held elsewhere, their statements are
    counted and not read, which is refused.
    """
    found: list[JsonObject] = []
    for subject in _array(record.get("credentialSubject")) if _RECORD in _types(record) else ():
        for value in _array(subject.get(_HELD)) if type(subject) is dict else ():
            if type(value) is dict:
                found += _objects(value) + _held_beside(value)
    return found


def _path_of(item: JsonObject, document: JsonObject) -> tuple[str | int, ...]:
    """Where an object stands in a document, for the one who is told of a fault."""
    todo: list[tuple[Json, tuple[str | int, ...]]] = [(document, ())]
    while todo:
        value, path = todo.pop()
        if value is item:
            return path
        if type(value) is dict:
            todo.extend((inner, (*path, name)) for name, inner in value.items() if name not in _NOT_OWN)
        elif type(value) is list:
            todo.extend((inner, (*path, index)) for index, inner in enumerate(value))
    return ()


def _are_plain(objects: list[JsonObject]) -> bool:
    return all(_is_plain_object(item, is_root=item is objects[0]) for item in objects)


def _are_single(objects: list[JsonObject]) -> bool:
    """What is left to be asked of a document that the fast path calls plain."""
    for item in objects:
        if not _SINGLE_TERMS.isdisjoint(item):
            for name in _SINGLE_TERMS.intersection(item):
                if type(item[name]) is list:
                    return False
    return True


def _is_plain_object(item: JsonObject, *, is_root: bool) -> bool:
    if "@value" in item:
        # A value object around nothing but a value is the value itself, written otherwise.
        return len(item) > 1 and item.keys() <= _VALUE_OBJECT and type(item["@value"]) is str
    names = "".join(item)
    if ":" in names or ("@" in names and not _has_plain_keywords(item, is_root=is_root)):
        return False
    for name, value in item.items():
        if value is None:
            return False
        if type(value) is list and name != "@context" and (name in _SINGLE or not _is_flat(value)):
            return False
    types = item.get("type")
    if type(types) is str:
        return ":" not in types
    return types is None or (
        type(types) is list and all(type(name) is str and ":" not in name for name in types)
    )


def _is_flat(values: list[Json]) -> bool:
    return all(value is not None and type(value) is not list for value in values)


def _has_plain_keywords(item: JsonObject, *, is_root: bool) -> bool:
    if any(name.startswith("@") and name != "@context" for name in item):
        return False
    if "@context" not in item:
        return True
    has_own = is_root or not _WITH_CONTEXT.isdisjoint(_types(item))
    return has_own and all(type(entry) is str for entry in _array(item["@context"]))


def _check_one_identifier(items: list[JsonObject], document: JsonObject) -> None:
    credentials = [item for item in items if item is document or _is_credential(item)]
    others = [item for item in items if item is not document and not _is_credential(item)]
    if credentials:
        for item in others:
            subject = item.get("type", ["EndorsementSubject"])
            if not item.keys() <= _ENDORSEMENT_SUBJECT or subject != ["EndorsementSubject"]:
                raise _shared_identifier(_path_of(item, document))
    rich = credentials or items
    if len({canonicalize(item) for item in rich}) == 1:
        return
    if credentials or sum(bool(item.keys() - {"id", "type"}) for item in rich) > 1:
        raise _shared_identifier(_path_of(items[-1], document))


def _is_credential(item: Json) -> bool:
    if type(item) is not dict:
        return False
    return "VerifiableCredential" in _types(item) or "credentialSubject" in item


def _count_read(objects: list[JsonObject]) -> dict[tuple[str, str], int]:
    """Values of deciding members by subject (`_:` for all objects without `id`) and member name."""
    values: dict[tuple[str, str], set[object]] = defaultdict(set)
    for number, item in enumerate(objects):
        if _DECIDING.isdisjoint(item):
            continue
        identifier = item.get("id")
        subject = f"<{identifier}>" if type(identifier) is str else "_:"
        for name in _DECIDING.intersection(item):
            for index, value in enumerate(_array(item[name])):
                scope = number if subject == "_:" else None
                values[subject, name].add((scope, _fingerprint(value, (number, index))))
    return {key: len(found) for key, found in values.items() if found}


def _fingerprint(value: Json, unnamed: object) -> object:
    """Equal for values that are one RDF term."""
    if type(value) is dict and "@value" not in value:
        identifier = value.get("id")
        return identifier if type(identifier) is str else unnamed
    return value if type(value) is str else canonicalize(value)


def _count_signed(quads: list[Quad]) -> dict[tuple[str, str], int]:
    """Statements of deciding predicates in the document's own graph, by subject and member name."""
    counts: dict[tuple[str, str], int] = defaultdict(int)
    for subject, predicate, _, _ in {quad for quad in quads if quad[1] in _PREDICATES and not quad[3]}:
        counts["_:" if is_blank(subject) else subject, _PREDICATES[predicate]] += 1
    return counts


def _types(item: JsonObject) -> list[Json]:
    return _array(item.get("type", []))


def _array(value: Json) -> list[Json]:
    return value if type(value) is list else [value]


def _elsewhere() -> Malformed:
    return _unsafe("issuer, validity or status are stated in another place than the one where they are read")


def _shared_identifier(path: tuple[str | int, ...]) -> Malformed:
    return _unsafe("two different objects have the same id, so that members could change places", path)


def _unsafe(detail: str, path: tuple[str | int, ...] = ()) -> Malformed:
    return Malformed(detail, type=problem.READ_AS_SIGNED, path=path)
