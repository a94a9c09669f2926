"""What is read is what is signed (FORMATS.md section 2), for signatures over RDF statements.

Such a signature covers statements, not JSON: a member can be renamed to its IRI, given an alias, or moved to
another object with the same `id`, and the signature stays valid while a reader of JSON no longer sees that
the credential was revoked. So documents are read only in a plain form that leaves no choice, others are
rewritten to it first, and the statements that decide are counted against what was read in their place.

Signatures over JCS bytes need none of this: there the text read is the text signed.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from node.core.canonical.contexts import CREDENTIALS_V1, CREDENTIALS_V2, OPEN_BADGES_V3
from node.core.canonical.jcs import canonicalize
from node.core.canonical.nquads import is_blank, parse_nquads
from node.core.canonical.rdfc import Canonicalizer
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject

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
_SINGLE: Final = (
    _VALIDITY | {"id", "issuer", "holder"} | (_ENTRY - {"statusMessage", "statusReference", "statusPurpose"})
)
_PREDICATES: Final = {
    **{_CRED + name: name for name in _DECIDING - _ENTRY},
    **{_STATUS + name: name for name in _ENTRY},
    **{_STATUS_2021 + name: name for name in ("statusPurpose", "statusListIndex", "statusListCredential")},
}
_VALUE_OBJECT: Final = frozenset({"@value", "@language", "@direction"})
# Their contents are graphs of their own: each credential is read for itself, proofs by the suites.
_HELD: Final = "verifiableCredential"
_GRAPHS: Final = frozenset({"proof", _HELD})
_WITH_CONTEXT: Final = frozenset(
    {"VerifiableCredential", "EnvelopedVerifiableCredential", "VerifiablePresentation"}
)
_ENDORSEMENT_SUBJECT: Final = frozenset({"id", "type", "endorsementComment"})

_Object = tuple[JsonObject, tuple[str | int, ...]]


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
    ContextNotPinned where a context is unknown. The credentials of a presentation are read each for itself.
    """
    body = {name: value for name, value in document.items() if name != "proof"}
    nquads = canonicalizer.nquads(body)
    rewritten = not is_plain(body)
    if rewritten:
        body = _rewrite(body, nquads, canonicalizer)
    reading = Reading(body | {"proof": document["proof"]} if "proof" in document else body, rewritten, nquads)
    check_identifiers(reading.document)
    check_quads(reading)
    return reading


def is_plain(document: JsonObject) -> bool:
    """Whether a document is in the subset in which each statement can be written in one way only.

    Contexts are strings, one `@context` per credential; no member is an IRI or a keyword but for language
    value objects; types are terms; no null, no array in an array or around a single value. Pinned or not is
    not looked at here. The credentials inside a presentation are not part of it.
    """
    return all(_is_plain_object(item, is_root=not path) for item, path in _objects(document))


def check_identifiers(document: JsonObject) -> None:
    """Malformed unless each identifier belongs to one object (FORMATS.md section 2).

    Objects with equal `id` are one RDF node, so members could be moved between them under the signature. An
    object whose `id` is that of another credential holds at most `id`, `type` (exactly EndorsementSubject) and
    `endorsementComment`; of other objects with one `id` at most one has more than `id` and `type`, or all are
    equal. No credential is the subject of another: where a badge and its endorsement name each other, the same
    statements could be written with the endorsement outside, and its dates and status would be read instead.
    """
    by_id: dict[str, list[_Object]] = defaultdict(list)
    for item, path in _objects(document):
        if any(_is_credential(subject) for subject in _array(item.get("credentialSubject"))):
            raise Malformed(
                "a credential stands as the subject of another", path=(*path, "credentialSubject")
            )
        identifier = item.get("id")
        if type(identifier) is str:
            if is_blank(identifier):
                raise Malformed("a blank node label is no identifier", path=(*path, "id"))
            by_id[identifier].append((item, path))
    for items in by_id.values():
        if len(items) > 1:
            _check_one_identifier(items)


def check_quads(reading: Reading) -> None:
    """Malformed unless the statements that decide are those that stand where they are read.

    Issuer, holder, validity, status and the members of status entries: for each subject as many statements as
    its object shows, and for the document itself and its status entries as many as they show in their place.
    """
    signed = _count_signed(reading.nquads)
    if _count_read(list(_objects(reading.document))) != signed:
        raise _elsewhere()
    in_place = [reading.document, *_array(reading.document.get("credentialStatus", []))]
    for item in in_place:
        if type(item) is dict and type(item.get("id")) is str:
            shown = _count_read([(item, ())])
            subject = f"<{item['id']}>"
            if {key: count for key, count in signed.items() if key[0] == subject} != dict(shown):
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
        raise Malformed("the document cannot be written in plain terms without changing what it states")
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


def _objects(document: JsonObject) -> Iterator[_Object]:
    """Every object of a document's own graph with its path, the document first."""
    todo: list[tuple[Json, tuple[str | int, ...]]] = [(document, ())]
    while todo:
        value, path = todo.pop()
        if type(value) is dict:
            yield value, path
            for name, member in value.items():
                if name not in _GRAPHS and name != "@context":
                    todo.append((member, (*path, name)))
        elif type(value) is list:
            todo.extend((item, (*path, index)) for index, item in enumerate(value))


def _is_plain_object(item: JsonObject, *, is_root: bool) -> bool:
    if "@value" in item:
        # A value object around nothing but a value is the value itself, written otherwise.
        return len(item) > 1 and item.keys() <= _VALUE_OBJECT and type(item["@value"]) is str
    if not all(type(name) is str and ":" not in name for name in _types(item)):
        return False
    if "@context" in item:
        has_own = is_root or _WITH_CONTEXT.intersection(_types(item))
        if not has_own or not all(type(entry) is str for entry in _array(item["@context"])):
            return False
    return all(_is_plain_member(name, value) for name, value in item.items() if name != "@context")


def _is_plain_member(name: str, value: Json) -> bool:
    if name.startswith("@") or ":" in name or value is None:
        return False
    if type(value) is not list:
        return True
    return name not in _SINGLE and not any(inner is None or type(inner) is list for inner in value)


def _check_one_identifier(items: list[_Object]) -> None:
    credentials = [item for item, path in items if not path or _is_credential(item)]
    others = [found for found in items if not any(found[0] is item for item in credentials)]
    if credentials:
        for item, path in others:
            subject = item.get("type", ["EndorsementSubject"])
            if not item.keys() <= _ENDORSEMENT_SUBJECT or subject != ["EndorsementSubject"]:
                raise _shared_identifier(path)
        rich = credentials
    else:
        rich = [item for item, _ in items]
    if len({canonicalize(item) for item in rich}) == 1:
        return
    if credentials or sum(bool(item.keys() - {"id", "type"}) for item in rich) > 1:
        raise _shared_identifier(items[-1][1])


def _is_credential(item: Json) -> bool:
    if type(item) is not dict:
        return False
    return "VerifiableCredential" in _types(item) or "credentialSubject" in item


def _count_read(objects: list[_Object]) -> Counter[tuple[str, str]]:
    """Values of deciding members by subject (`_:` for all objects without `id`) and member name."""
    values: dict[tuple[str, str], set[object]] = defaultdict(set)
    for number, (item, _) in enumerate(objects):
        identifier = item.get("id")
        subject = f"<{identifier}>" if type(identifier) is str else "_:"
        for name in _DECIDING & item.keys():
            for index, value in enumerate(_array(item[name])):
                scope = number if subject == "_:" else None
                values[subject, name].add((scope, _fingerprint(value, (number, index))))
    return Counter({key: len(found) for key, found in values.items() if found})


def _fingerprint(value: Json, unnamed: object) -> object:
    """Equal for values that are one RDF term."""
    if type(value) is dict and "@value" not in value:
        identifier = value.get("id")
        return identifier if type(identifier) is str else unnamed
    return value if type(value) is str else canonicalize(value)


def _count_signed(nquads: str) -> Counter[tuple[str, str]]:
    # Not splitlines(): literals keep U+2028, U+0085 and others of its line ends as they are.
    statements = nquads.removesuffix("\n").split("\n") if nquads else []
    lines = [line for line in statements if line.split(" ", 2)[1][1:-1] in _PREDICATES]
    found: Counter[tuple[str, str]] = Counter()
    for subject, predicate, _, graph in parse_nquads("\n".join(lines)):
        if not graph:
            found["_:" if is_blank(subject) else subject, _PREDICATES[predicate[1:-1]]] += 1
    return found


def _types(item: JsonObject) -> list[Json]:
    return _array(item.get("type", []))


def _array(value: Json) -> list[Json]:
    return value if type(value) is list else [value]


def _elsewhere() -> Malformed:
    return Malformed(
        "issuer, validity or status are stated in another place than the one where they are read"
    )


def _shared_identifier(path: tuple[str | int, ...]) -> Malformed:
    return Malformed("two different objects have the same id, so that members could change places", path=path)
