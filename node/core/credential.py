"""Verifiable credentials and presentations: the structural rules of the W3C data model.

VC Data Model 2.0 sections 4, 5.3, 6 and 11.1, and 1.1 for verifying old documents. A check reads the whole
document and collects every problem with its path, because an issuer mends a template faster when told all of
them. Left to others: what only JSON-LD processing can tell (undefined and redefined terms:
`canonical/rdfc.py`), proofs, and whether the dates hold now, which is validation, not conformance.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from node.core.encoding import SHA2_256, SHA2_384, decode_base64, decode_multibase
from node.core.errors import Malformed
from node.core.problem import MALFORMED_VALUE_ERROR, Problem
from node.core.strict_json import Json, JsonObject, objects_in
from node.core.times import parse_datetime_stamp

BASE_CONTEXT: Final = "https://www.w3.org/ns/credentials/v2"
BASE_CONTEXT_1_1: Final = "https://www.w3.org/2018/credentials/v1"

# Limits for what a stranger may send: far above any real document, low enough to bound every later step.
MAX_CONTEXTS: Final = 32
MAX_TYPES: Final = 64
MAX_ITEMS: Final = 1_000  # subjects, status entries, evidence and the like
MAX_CREDENTIALS: Final = 100  # in one presentation
MAX_PROBLEMS: Final = 50

_VERSIONS: Final = {BASE_CONTEXT: "2.0", BASE_CONTEXT_1_1: "1.1"}
# An absolute URL: a scheme, then something, nothing that RFC 3986 forbids. http needs an authority.
# White space beyond ASCII is spelled out: as a class it costs half as much again.
_URL: Final = re.compile(
    r"(?!https?:(?!//[^/?#]))[A-Za-z][A-Za-z0-9+.\-]*:"
    r"[^<>\"{}|\\^`\x00-\x20\x7f\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+\Z"
)
_WHITE_SPACE: Final = re.compile(r"\s")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*\Z")
_NO_OFFSET: Final = re.compile(r"-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?\Z", re.ASCII)
_SRI: Final = re.compile(r"sha(256|384|512)-([A-Za-z0-9+/]+={0,2})(?:\?[\x21-\x7e]*)?\Z")
_SRI_BYTES: Final = {"256": 32, "384": 48, "512": 64}
# Final and pre-Recommendation names of the envelopes; parameters such as `;base64` may follow. White space at the end
# is no part of a URL (https://url.spec.whatwg.org section 4.4), and the W3C's vectors have a line feed there.
_ENVELOPE: Final = re.compile(
    r"data:application/(?:vc|vp)(?:[-+]ld)?(?:\+json)?\+(?:jwt|sd-jwt|cose)(?:;[^,\s]*)?,\S+[ \t\r\n]*\Z"
)

# Properties whose values are objects that must say their type (section 4.5); in 1.1 some needed an id too.
_TYPED: Final = (
    "credentialStatus",
    "credentialSchema",
    "evidence",
    "termsOfUse",
    "refreshService",
    "proof",
    "confidenceMethod",
    "renderMethod",
)
_ID_REQUIRED: Final = {
    "2.0": ("credentialSchema",),
    "1.1": ("credentialSchema", "credentialStatus", "refreshService"),
}
_DIGESTS: Final = frozenset({"digestSRI", "digestMultibase"})
# Values that hold names of somebody else's making, where "id" need not be an identifier.
_OPAQUE: Final = frozenset({"@context", "jsonSchema"})

_Path = tuple[str | int, ...]


class NonConforming(Malformed):
    """The document breaks rules of the data model; `problems` are all that were found, at most 50."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        first = problems[0]
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(first.detail + more, type=first.type, path=first.path)
        self.problems = problems


@dataclass(frozen=True, slots=True)
class CredentialFacts:
    """What a conforming credential says of itself; none of it is proven."""

    version: str  # "2.0" or "1.1"
    id: str | None
    types: tuple[str, ...]
    issuer_id: str
    issuer_name: str | None  # what the issuer calls itself
    subject_ids: tuple[str, ...]
    subject_count: int
    valid_from: datetime | None
    valid_until: datetime | None
    warnings: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class PresentationFacts:
    """What a conforming presentation says of itself. `credentials` are its members in order, as received."""

    version: str
    id: str | None
    types: tuple[str, ...]
    holder_id: str | None
    holder_name: str | None
    credentials: tuple[JsonObject | str, ...]
    warnings: tuple[Problem, ...] = ()


class _Faults:
    """Collects problems; the rules go on after each, so that one run names them all."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.warnings: list[Problem] = []

    def add(self, detail: str, path: _Path) -> None:
        if len(self.problems) < MAX_PROBLEMS:
            self.problems.append(Problem(MALFORMED_VALUE_ERROR, detail, path))

    def warn(self, detail: str, path: _Path) -> None:
        self.warnings.append(Problem(MALFORMED_VALUE_ERROR, detail, path))

    def raise_if_any(self) -> None:
        if self.problems:
            raise NonConforming(tuple(self.problems))


def is_url(value: Json) -> bool:
    """Whether `value` is a string that is an absolute URL, of any scheme (section 4.4)."""
    return isinstance(value, str) and _URL.match(value) is not None


def types_of(value: JsonObject) -> tuple[str, ...]:
    """The strings under `type` (or its other name `@type`), without judging them."""
    types = value.get("type", value.get("@type"))
    if isinstance(types, str):
        return (types,)
    return tuple(item for item in types if isinstance(item, str)) if isinstance(types, list) else ()


def check_credential(document: JsonObject, *, for_issuing: bool = False) -> CredentialFacts:
    """The facts of a conforming verifiable credential; raises NonConforming with every problem.

    `for_issuing` asks for what we send: version 2.0 and dates with their offset. A proof is not required
    here: an unsigned credential is what is signed next.
    """
    faults = _Faults()
    facts = _credential(document, (), faults, for_issuing=for_issuing)
    faults.raise_if_any()
    return facts


def check_presentation(document: JsonObject) -> PresentationFacts:
    """The facts of a conforming presentation (section 4.13) and of each credential in it, or NonConforming.

    Each member must be an object and secured, by itself or, where its issuer is the holder, by the proof of
    the presentation. Strings (JWTs) in `verifiableCredential` are of version 1.1 alone: 2.0 has envelopes for them.
    """
    faults = _Faults()
    version = _contexts(document, (), faults)
    types = _types(document, (), faults, required="VerifiablePresentation")
    holder_id, holder_name = None, None
    if "holder" in document:
        holder_id, holder_name = _party(document["holder"], ("holder",), faults, version)
    members = document.get("verifiableCredential", [])
    if isinstance(members, dict):
        members = [members]
    if not isinstance(members, list):
        faults.add("verifiableCredential must hold objects", ("verifiableCredential",))
        members = []
    if len(members) > MAX_CREDENTIALS:
        faults.add(f"more than {MAX_CREDENTIALS} credentials in a presentation", ("verifiableCredential",))
        members = []
    for index, member in enumerate(members):
        if not (isinstance(member, str) and version == "1.1"):
            _member(member, ("verifiableCredential", index), holder_id, faults)
    for name in ("termsOfUse", "refreshService", "proof"):
        if name in document:
            _typed(document[name], name, version, faults, ())
    _nested(document, (), faults, version, skip="verifiableCredential")
    faults.raise_if_any()
    return PresentationFacts(
        version=version,
        id=document.get("id"),
        types=types,
        holder_id=holder_id,
        holder_name=holder_name,
        credentials=tuple(members),
        warnings=tuple(faults.warnings),
    )


def check_envelope(document: JsonObject) -> str:
    """The `data:` URL of an enveloped credential or presentation (section 4.13), or NonConforming."""
    faults = _Faults()
    _contexts(document, (), faults)
    if not {"EnvelopedVerifiableCredential", "EnvelopedVerifiablePresentation"} & set(types_of(document)):
        faults.add("not the type of an envelope", ("type",))
    _envelope_id(document, (), faults)
    faults.raise_if_any()
    return str(document["id"])


def _member(member: Json, path: _Path, holder_id: str | None, faults: _Faults) -> None:
    if not isinstance(member, dict):
        faults.add("a credential in a presentation must be an object", path)
        return
    if "EnvelopedVerifiableCredential" in types_of(member):
        _contexts(member, path, faults)
        _envelope_id(member, path, faults)
        return
    facts = _credential(member, path, faults, for_issuing=False)
    if not member.get("proof") and (holder_id is None or facts.issuer_id != holder_id):
        faults.add("a credential without a proof must be the holder's own", path)


def _envelope_id(document: JsonObject, path: _Path, faults: _Faults) -> None:
    value = document.get("id")
    if not isinstance(value, str) or not _ENVELOPE.match(value):
        faults.add("the id of an envelope must be a data: URL whose media type names it", (*path, "id"))


def _credential(document: JsonObject, path: _Path, faults: _Faults, *, for_issuing: bool) -> CredentialFacts:
    version = _contexts(document, path, faults)
    if for_issuing and version != "2.0":
        faults.add("only version 2.0 of the data model is issued", (*path, "@context"))
    types = _types(document, path, faults, required="VerifiableCredential")
    issuer_id, issuer_name = None, None
    if "issuer" in document:
        issuer_id, issuer_name = _party(document["issuer"], (*path, "issuer"), faults, version)
    else:
        faults.add("issuer is required", (*path, "issuer"))
    subjects = _subjects(document, path, faults)
    valid_from, valid_until = _period(document, path, faults, version, for_issuing=for_issuing)
    if version == "2.0":
        _display_texts(document, path, faults)
        if "relatedResource" in document:
            _related_resources(document["relatedResource"], (*path, "relatedResource"), faults)
    for name in _TYPED:
        if name in document:
            _typed(document[name], name, version, faults, path)
    _nested(document, path, faults, version)
    return CredentialFacts(
        version=version,
        id=document.get("id"),
        types=types,
        issuer_id=issuer_id or "",
        issuer_name=issuer_name,
        subject_ids=tuple(subject["id"] for subject in subjects if isinstance(subject.get("id"), str)),
        subject_count=len(subjects),
        valid_from=valid_from,
        valid_until=valid_until,
        warnings=tuple(faults.warnings),
    )


def _contexts(document: JsonObject, path: _Path, faults: _Faults) -> str:
    """The version that item 0 of `@context` names (sections 4.3, 5.2); where none does: 2.0, and a fault."""
    path = (*path, "@context")
    contexts = document.get("@context")
    if isinstance(contexts, str):
        contexts = [contexts]
    if not isinstance(contexts, list) or not contexts:
        faults.add("@context is required: an array that begins with the base context", path)
        return "2.0"
    if len(contexts) > MAX_CONTEXTS:
        faults.add(f"more than {MAX_CONTEXTS} contexts", path)
        return "2.0"
    version = _VERSIONS.get(contexts[0]) if isinstance(contexts[0], str) else None
    if version is None:
        faults.add(f"the first context must be {BASE_CONTEXT}", (*path, 0))
        version = "2.0"
    for index, context in enumerate(contexts[1:], 1):
        if isinstance(context, str):
            # Both protect the same terms differently: such a document means two things at once.
            if _VERSIONS.get(context, version) != version:
                faults.add("the base contexts of versions 1.1 and 2.0 together", (*path, index))
            elif not _URL.match(context):
                faults.add("a context must be a URL or an object", (*path, index))
        elif isinstance(context, dict):
            _inline_context(context, (*path, index), faults)
        else:
            faults.add("a context must be a URL or an object", (*path, index))
    return version


def _inline_context(context: JsonObject, path: _Path, faults: _Faults) -> None:
    """A context of the document's own must at least map its terms to what could be IRIs."""
    for term, definition in context.items():
        target = definition.get("@id") if isinstance(definition, dict) else definition
        if not isinstance(definition, str | dict | bool | int | float | type(None)):
            faults.add("a term must be mapped to a string, an object or null", (*path, term))
        elif isinstance(target, str) and _WHITE_SPACE.search(target):
            faults.add("a term is mapped to something that is no URL", (*path, term))


def _types(
    document: JsonObject, path: _Path, faults: _Faults, required: str | None = None
) -> tuple[str, ...]:
    """The types of an object that must have one or more (section 4.5)."""
    value = document.get("type", document.get("@type"))
    if "type" in document and "@type" in document:
        faults.add("type and @type are two names of one property", (*path, "type"))
    types = [value] if isinstance(value, str) else value
    if not isinstance(types, list) or not types or len(types) > MAX_TYPES:
        faults.add("type is required: one or more terms or URLs", (*path, "type"))
        return ()
    for item in types:
        if not isinstance(item, str) or not item or _WHITE_SPACE.search(item):
            faults.add("a type must be a term or a URL", (*path, "type"))
            return ()
    if required is not None and required not in types:
        faults.add(f"type must include {required}", (*path, "type"))
    return tuple(types)


def _party(value: Json, path: _Path, faults: _Faults, version: str) -> tuple[str | None, str | None]:
    """Identifier and own name of an issuer (section 4.7) or a holder (section 4.13)."""
    if isinstance(value, str):
        if not _URL.match(value):
            faults.add("must be a URL, or an object whose id is one", path)
        return value, None
    if not isinstance(value, dict) or not is_url(value.get("id")):
        faults.add("must be a URL, or an object whose id is one", path)
        return None, None
    if version == "2.0":
        _display_texts(value, path, faults)
    return value["id"], _plain_text(value.get("name"))


def _plain_text(value: Json) -> str | None:
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        value = value.get("@value")
    return value if isinstance(value, str) else None


def _subjects(document: JsonObject, path: _Path, faults: _Faults) -> list[JsonObject]:
    """Section 4.8: one or more subjects, each with at least one member."""
    path = (*path, "credentialSubject")
    value = document.get("credentialSubject")
    subjects = [value] if isinstance(value, dict) else value
    if not isinstance(subjects, list) or not subjects or len(subjects) > MAX_ITEMS:
        faults.add("credentialSubject is required: an object or a non-empty array of objects", path)
        return []
    found = [subject for subject in subjects if isinstance(subject, dict) and subject]
    if len(found) != len(subjects):
        faults.add("each subject must be an object that makes a claim", path)
    return found


def _period(
    document: JsonObject, path: _Path, faults: _Faults, version: str, *, for_issuing: bool
) -> tuple[datetime | None, datetime | None]:
    """Section 4.9. In 1.1 all four names bind, the later beginning and the earlier end."""
    begins: tuple[str, ...] = ("validFrom",)
    ends: tuple[str, ...] = ("validUntil",)
    if version == "1.1":
        begins, ends = ("issuanceDate", "validFrom"), ("expirationDate", "validUntil")
        if "issuanceDate" not in document:
            faults.add("issuanceDate is required in version 1.1", (*path, "issuanceDate"))
    else:
        for name in ("issuanceDate", "expirationDate"):
            # An undefined term in 2.0: reading past it would miss a date that somebody meant.
            if name in document:
                faults.add(f"{name} is a name of version 1.1", (*path, name))

    def dates(names: tuple[str, ...]) -> Iterator[datetime]:
        for name in names:
            if name in document:
                moment = _date(document[name], (*path, name), faults, for_issuing=for_issuing)
                if moment is not None:
                    yield moment

    valid_from = max(dates(begins), default=None)
    valid_until = min(dates(ends), default=None)
    if valid_from is not None and valid_until is not None and valid_until < valid_from:
        faults.add("the validity ends before it begins", (*path, ends[0]))
    return valid_from, valid_until


def _date(value: Json, path: _Path, faults: _Faults, *, for_issuing: bool) -> datetime | None:
    if not isinstance(value, str):
        faults.add("must be a single dateTimeStamp string", path)
        return None
    try:
        if not for_issuing and _NO_OFFSET.match(value):
            # Section 5.8: a time without offset is read as UTC.
            moment = parse_datetime_stamp(value + "Z")
            faults.warn("a time without offset was read as UTC", path)
            return moment
        return parse_datetime_stamp(value)
    except Malformed as error:
        faults.add(error.detail, path)
        return None


def _display_texts(value: JsonObject, path: _Path, faults: _Faults) -> None:
    """`name` and `description` (sections 4.6 and 11.1) of a credential, an issuer or a holder."""
    for name in ("name", "description"):
        text = value.get(name, "")
        if isinstance(text, str):
            continue
        items = text if isinstance(text, list) and text else [text]
        for item in items:
            if not _is_language_value(item):
                faults.add("must be a string or language value objects", (*path, name))
                break


def _is_language_value(value: Json) -> bool:
    if not isinstance(value, dict) or not isinstance(value.get("@value"), str):
        return False
    if value.keys() - {"@value", "@language", "@direction"}:
        return False
    if "@direction" in value and value["@direction"] not in ("ltr", "rtl"):
        return False
    return "@language" not in value or (
        isinstance(value["@language"], str) and _LANGUAGE.match(value["@language"]) is not None
    )


def _typed(value: Json, name: str, version: str, faults: _Faults, path: _Path) -> None:
    """One object or a non-empty array of them, each with a type (sections 4.5, 4.10 to 4.12, 5.4 to 5.6)."""
    path = (*path, name)
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list) or not items or len(items) > MAX_ITEMS:
        faults.add("must be an object or a non-empty array of objects", path)
        return
    for index, item in enumerate(items):
        where = path if isinstance(value, dict) else (*path, index)
        if not isinstance(item, dict):
            faults.add("must be an object", where)
            continue
        _types(item, where, faults)
        if name in _ID_REQUIRED[version] and "id" not in item:
            faults.add("id is required", (*where, "id"))


def _related_resources(value: Json, path: _Path, faults: _Faults) -> None:
    """Section 5.3: each resource once, with an id and a digest, whose shape `_nested` judges."""
    items = [value] if isinstance(value, dict) else value
    if not isinstance(items, list) or not items or len(items) > MAX_ITEMS:
        faults.add("must be an object or a non-empty array of objects", path)
        return
    seen: set[str] = set()
    for index, item in enumerate(items):
        where = path if isinstance(value, dict) else (*path, index)
        if not isinstance(item, dict) or not is_url(item.get("id")):
            faults.add("a related resource must be an object with an id", where)
            continue
        if item["id"] in seen:
            faults.add("a related resource must be listed once", (*where, "id"))
        seen.add(item["id"])
        if "digestSRI" not in item and "digestMultibase" not in item:
            faults.add("a related resource needs digestSRI or digestMultibase", where)
        if not isinstance(item.get("mediaType", ""), str):
            faults.add("mediaType must be a string", (*where, "mediaType"))


def _nested(document: JsonObject, path: _Path, faults: _Faults, version: str, skip: str = "") -> None:
    """Identifiers (section 4.4) and digests (section 5.3) wherever they stand in the document.

    The common case is a clean document, so the walk carries no paths; they are worked out after a fault.
    """
    digests = version == "2.0"
    without = (*_OPAQUE, skip) if skip else _OPAQUE
    for value in objects_in(document, without=without):
        if "id" in value and not (type(identifier := value["id"]) is str and _URL.match(identifier)):
            break
        if digests and not _DIGESTS.isdisjoint(value) and _member_faults(value, digests=digests):
            break
    else:
        return
    for where, value in _objects(document, path, skip):
        for name, detail in _member_faults(value, digests=digests):
            faults.add(detail, (*where, name))


def _objects(value: Any, path: _Path, skip: str) -> Iterator[tuple[_Path, JsonObject]]:
    todo: list[tuple[_Path, Any]] = [(path, value)]
    while todo:
        where, item = todo.pop()
        if isinstance(item, dict):
            yield where, item
            todo.extend(
                ((*where, name), child)
                for name, child in item.items()
                if name not in _OPAQUE and name != skip
            )
        elif isinstance(item, list):
            todo.extend(((*where, index), child) for index, child in enumerate(item))


def _member_faults(value: JsonObject, *, digests: bool) -> list[tuple[str, str]]:
    found = []
    if "id" in value and not ((text := value["id"]).__class__ is str and _URL.match(text)):
        found.append(("id", "id must be a single URL"))
    if digests:
        if "digestSRI" in value and not _is_sri(value["digestSRI"]):
            found.append(("digestSRI", "must be sha256-, sha384- or sha512- and base64 of as many bits"))
        if "digestMultibase" in value and not _is_multibase_digest(value["digestMultibase"]):
            found.append(("digestMultibase", "must be multibase u or z of a SHA2-256 or SHA2-384 multihash"))
    return found


def _is_sri(value: Json) -> bool:
    texts = value.split() if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or len(texts) > MAX_ITEMS:
        return False
    for text in texts:
        match = _SRI.match(text) if isinstance(text, str) else None
        if match is None:
            return False
        try:
            if len(decode_base64(match[2])) != _SRI_BYTES[match[1]]:
                return False
        except Malformed:
            return False
    return True


def _is_multibase_digest(value: Json) -> bool:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not texts or len(texts) > MAX_ITEMS:
        return False
    for text in texts:
        if not isinstance(text, str):
            return False
        try:
            data = decode_multibase(text)
        except Malformed:
            return False
        if (data[:2], len(data)) not in ((SHA2_256, 34), (SHA2_384, 50)):
            return False
    return True
