"""The issuer's template: what all credentials of a cohort have in common, and where a row's cells go.

A template is one JSON object, closed, `"template": 1`:

    name                       required: the credential's name
    kind                       AchievementCredential (default), EndorsementCredential or ClrCredential
    achievement                required for an achievement: an Open Badges Achievement
    description, subject       members of the credential and of its AchievementSubject
    results                    Results; each names one of the achievement's result descriptions
    awardedDate, validFrom, validUntil, validDays, suspendable
    statusMessage              4, 16 or 256 texts: what a status of its own may say, the first of them at first
    securing                   how the credentials are secured, unless the command says it
    mandatoryPointers          JSON Pointers into the credential: what its holder cannot withhold beside what nobody can
    holderBinding, pseudonyms  under bbs-2023: bound to a secret of its holder's; a name for him at each verifier
    credentials                required for a ClrCredential: the column that lists what the record holds, by id or
                               COHORT/ROW of credentials that were signed here for the same learner, separated by
                               semicolons
    cohort                     the name within which row ids are unique; else the achievement's id
    evidence                   name, description, narrative, genre; `folder` or `files`; `items`

In any string of these `{column}` stands for a cell (`placeholders.py`); where an optional one is empty in a result, the
result is left out. README.md in this folder has an example.

Here is only what the template itself can get wrong and the filling of a row. Whether the badge conforms is
decided by `node.core.credential` and the schemas before anything is signed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from hashlib import sha256
from typing import Any, Final

from node.core.canonical.jcs import canonicalize
from node.core.dataintegrity.bbs_binding import Binding
from node.core.dataintegrity.bbs_terms import MAX_WEEKS
from node.core.errors import Malformed
from node.core.evidence import check_name
from node.core.securing import BBS, KINDS, SELECTIVE
from node.core.strict_json import Json, JsonObject, parse_json_object
from node.core.times import parse_datetime_stamp
from node.services.faults import Fault, InputFaults
from node.services.placeholders import (
    OMITTED,
    Omitted,
    Text,
    column_of,
    compile_value,
    fill_text,
    holes_in,
    put_values,
    texts_in,
)

VERSION: Final = 1
MAX_TEMPLATE_BYTES: Final = 1024 * 1024
MAX_VALID_DAYS: Final = 36_525  # a hundred years
MAX_ITEMS: Final = 64
_MESSAGES: Final = (4, 16, 256)
_BBS_DAYS: Final = tuple(7 * weeks for weeks in range(1, MAX_WEEKS + 1))
_MAX_KNOWN: Final = 10_000

_MEMBERS: Final[Mapping[str, type]] = {
    "template": int,
    "kind": str,
    "cohort": str,
    "credentials": str,
    "name": str,
    "description": str,
    "achievement": dict,
    "results": list,
    "subject": dict,
    "awardedDate": str,
    "validFrom": str,
    "validUntil": str,
    "validDays": int,
    "suspendable": bool,
    "statusMessage": list,
    "securing": str,
    "mandatoryPointers": list,
    "holderBinding": bool,
    "pseudonyms": bool,
    "evidence": dict,
}
ACHIEVEMENT: Final = "AchievementCredential"
ENDORSEMENT: Final = "EndorsementCredential"
CLR: Final = "ClrCredential"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a kind of credential is called, in it and its subject, and which members its template has."""

    type: str
    subject_type: str
    required: tuple[str, ...]
    foreign: frozenset[str]
    not_in_subject: frozenset[str]


_KINDS: Final[Mapping[str, _Kind]] = {
    ACHIEVEMENT: _Kind(
        "OpenBadgeCredential",
        "AchievementSubject",
        ("template", "name", "achievement"),
        frozenset({"credentials"}),
        # These are made from the row, the claim or the rest of the template.
        frozenset({"id", "type", "achievement", "result"}),
    ),
    # What is endorsed is said by the subject's id: who holds the endorsement is another matter.
    ENDORSEMENT: _Kind(
        "EndorsementCredential",
        "EndorsementSubject",
        ("template", "name", "cohort", "subject"),
        frozenset({"credentials", "achievement", "results", "evidence"}),
        frozenset({"type"}),
    ),
    CLR: _Kind(
        "ClrCredential",
        "ClrSubject",
        ("template", "name", "cohort", "credentials"),
        frozenset({"achievement", "results", "evidence"}),
        frozenset({"id", "type", "verifiableCredential"}),
    ),
}
_FILLED: Final = (
    "name",
    "description",
    "awardedDate",
    "validFrom",
    "validUntil",
    "subject",
    "achievement",
    "results",
)
_TIMES: Final = ("awardedDate", "validFrom", "validUntil")
_EVIDENCE_TEXTS: Final = ("name", "description", "narrative", "genre")
_EVIDENCE_MEMBERS: Final[Mapping[str, type]] = {
    **dict.fromkeys(_EVIDENCE_TEXTS, str),
    "folder": str,
    "files": str,
    "items": list,
}
_ITEM_MEMBERS: Final[Mapping[str, type]] = {
    "file": str,
    "name": str,
    "mediaType": str,
    "genre": str,
    "optional": bool,
}
_WORDS: Final = {str: "a text", int: "an integer", bool: "true or false", dict: "an object", list: "an array"}


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of the template whose cells are judged together: marks and dates repeat, and each is judged once."""

    nodes: JsonObject
    rule: Callable[[JsonObject, Sequence[Any]], Iterator[Fault]]
    slots: tuple[int, ...]
    known: dict[tuple[Any, ...], tuple[Fault, ...]]

    @classmethod
    def of(cls, nodes: JsonObject, rule: Callable[[JsonObject, Sequence[Any]], Iterator[Fault]]) -> _Part:
        """The part that `rule` judges by `nodes`."""
        return cls(nodes, rule, tuple(text.slot for text in texts_in(nodes)), {})

    def judge(self, values: Sequence[Any]) -> tuple[Fault, ...]:
        """What is wrong with the values of its slots."""
        key = tuple([values[slot] for slot in self.slots])
        found = self.known.get(key)
        if found is None:
            found = tuple(self.rule(self.nodes, values))
            if len(self.known) < _MAX_KNOWN:
                self.known[key] = found
        return found


@dataclass(frozen=True, slots=True)
class ItemTemplate:
    """An item of evidence that is expected in every row's folder."""

    file: str
    name: str
    media_type: str | None  # None: by the file's suffix
    genre: str
    is_optional: bool


@dataclass(frozen=True, slots=True)
class EvidenceTemplate:
    """Where a row's evidence lies: a folder, or a column that lists files. `items` None takes every file."""

    members: Any
    folder: Text | str | None
    files: str | None
    items: tuple[ItemTemplate, ...] | None


@dataclass(frozen=True, slots=True)
class Filled:
    """A row put into the template.

    `values` are what stands in the template's slots, the strings of it that have placeholders, in their order: a
    text, a number, or `OMITTED` where an optional cell is empty. Rows that omit the same and have the same numbers
    differ in texts alone.
    """

    template: Template
    values: tuple[str | int | float | Omitted, ...]

    @property
    def credential(self) -> JsonObject:
        """`type`, the texts, dates and `credentialSubject`.

        `@context`, `id`, `issuer`, subject id, status and the evidence commitment are for the issuing service.
        """
        return self.template.put_credential(self.values)

    @property
    def evidence(self) -> JsonObject:
        """The members that the evidence object shall carry beside its commitment."""
        evidence = self.template.evidence
        return {} if evidence is None else _present(put_values(evidence.members, self.values))

    @property
    def folder(self) -> str | None:
        """The folder of the row's evidence; None where its files are listed in a column."""
        evidence = self.template.evidence
        put = OMITTED if evidence is None else put_values(evidence.folder, self.values)
        return put if isinstance(put, str) else None


@dataclass(frozen=True, slots=True)
class Template:
    """A template that is known to be well-formed; `digest` is the SHA-256 of its JCS form."""

    digest: bytes
    kind: str
    cohort: str
    records: str | None
    """The column that lists what a ClrCredential holds."""
    suspendable: bool
    messages: tuple[str, ...]
    """What the values of a status of purpose `message` say; none without such a status."""
    valid_days: int | None
    securing: str | None
    mandatory: tuple[str, ...]
    binding: Binding | None
    """What of its holder's it is bound to, so that it is signed at the claim."""
    evidence: EvidenceTemplate | None
    columns: frozenset[str]
    _compiled: Any
    _slots: tuple[Text, ...]
    _judged: tuple[_Part, ...]

    @property
    def slot_count(self) -> int:
        """How many strings of the template have placeholders."""
        return len(self._slots)

    @property
    def dated(self) -> tuple[str, ...]:
        """Which ends of the validity period it says itself."""
        return tuple(name for name in ("validFrom", "validUntil") if name in self._compiled)

    @property
    def names_subject(self) -> bool:
        """Whether it says who the subject is, beside the learner's DID."""
        return "identifier" in self._compiled.get("subject", {})

    @property
    def timed_slots(self) -> frozenset[int]:
        """The slots of the validity period, which holds together with the moment of signing."""
        period = [self._compiled.get(name) for name in ("validFrom", "validUntil")]
        return frozenset(text.slot for text in texts_in(period))

    def fill(self, cells: Mapping[str, str]) -> tuple[Filled | None, tuple[Fault, ...]]:
        """The row's credential, or the faults that a person can mend in its cells (without row and line)."""
        faults: list[Fault] = []
        values = tuple([fill_text(text, cells, faults) for text in self._slots])
        if not faults:
            faults += [fault for part in self._judged for fault in part.judge(values)]
        return (None, tuple(dict.fromkeys(faults))) if faults else (Filled(self, values), ())

    def put_credential(self, values: Sequence[Any]) -> JsonObject:
        """The credential with these values in its slots; see `Filled`."""
        put = {name: put_values(node, values) for name, node in self._compiled.items() if name != "results"}
        results = [_put_result(node, values) for node in self._compiled.get("results", ())]
        kept = [{"type": ["Result"]} | result for result in results if result is not OMITTED]
        kind = _KINDS[self.kind]
        subject = {"type": [kind.subject_type], **_present(put.get("subject", {}))}
        if "achievement" in put:
            subject["achievement"] = {"type": ["Achievement"]} | _present(put["achievement"])
        if kept:
            subject["result"] = kept
        return {
            "type": ["VerifiableCredential", kind.type],
            **{name: put[name] for name in _FILLED[:5] if put.get(name, OMITTED) is not OMITTED},
            "credentialSubject": subject,
        }


def parse_template(data: bytes) -> Template:
    """The template in `data`; InputFaults with everything that is wrong with it."""
    try:
        raw = parse_json_object(data.removeprefix(b"\xef\xbb\xbf"), max_bytes=MAX_TEMPLATE_BYTES)
    except Malformed as error:
        raise InputFaults([Fault("template", error.detail)]) from error
    faults: list[Fault] = []
    name = raw.get("kind", ACHIEVEMENT)
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InputFaults([Fault("template", f"must be one of {', '.join(_KINDS)}", path=("kind",))])
    _check_rules(raw, name, kind, faults)
    slots: list[Text] = []
    compiled: JsonObject = {
        name: compile_value(raw[name], (name,), slots, faults) for name in _FILLED if name in raw
    }
    evidence = (
        _parse_evidence(raw["evidence"], slots, faults) if isinstance(raw.get("evidence"), dict) else None
    )
    cohort = raw.get("cohort") or _achievement_id(raw)
    if not faults and not (isinstance(cohort, str) and cohort and "{" not in cohort):
        faults.append(
            Fault("template", "name the cohort: the achievement's id has placeholders", path=("cohort",))
        )
    if faults:
        raise InputFaults(faults)
    return Template(
        digest=sha256(canonicalize(raw)).digest(),
        kind=name,
        cohort=cohort,
        records=raw.get("credentials"),
        suspendable=raw.get("suspendable", False),
        messages=tuple(raw.get("statusMessage", ())),
        valid_days=raw.get("validDays"),
        securing=raw.get("securing"),
        mandatory=tuple(raw.get("mandatoryPointers", ())),
        binding=Binding.of(
            holder_binding=raw.get("holderBinding", False), pseudonyms=raw.get("pseudonyms", False)
        ),
        evidence=evidence,
        columns=_columns(compiled, evidence, raw.get("credentials")),
        _compiled=compiled,
        _slots=tuple(slots),
        _judged=tuple(_judged_parts(compiled)),
    )


def securing_faults(template: Template, securing: str, *, with_status: bool) -> Iterator[Fault]:
    """What of a template cannot be under what secures its credentials; told once, and not of each row."""
    if securing == BBS:
        yield from _unlinkable_faults(template)
    elif template.binding is not None:
        name = "pseudonyms" if template.binding is Binding.PSEUDONYM else "holderBinding"
        yield Fault("template", f"only {BBS} binds to a secret of the holder's", path=(name,))
    elif securing in SELECTIVE:
        # FORMATS.md section 2: of what is shown in part, what is hidden and what is not there look alike.
        if template.valid_days is None and "validUntil" not in template.dated:
            detail = (
                f'{securing} needs an end, since its holder could hide one: give "validDays" or "validUntil"'
            )
            yield Fault("template", detail, path=("validDays",))
        if not with_status:
            detail = f"{securing} needs a status entry, since its holder could hide one: issue with --status"
            yield Fault("template", detail)


def _unlinkable_faults(template: Template) -> Iterator[Fault]:
    """What of a template cannot be under bbs-2023, where what is the same for all is all that there is."""
    for name in template.dated:
        yield Fault("template", f"under {BBS} it is the begin or the end of a week for all", path=(name,))
    if template.valid_days not in (None, *_BBS_DAYS):
        detail = f"must be one of {', '.join(map(str, _BBS_DAYS))} under {BBS}"
        yield Fault("template", detail, path=("validDays",))
    if template.kind != ACHIEVEMENT:
        yield Fault("template", f"{BBS} is for achievements alone", path=("kind",))
    if template.names_subject:
        detail = f"it says whose the credential is, which {BBS} is there to keep apart from its uses"
        yield Fault("template", detail, path=("subject", "identifier"))
    if template.evidence is not None:
        detail = f"a commitment to evidence tells its credential apart, which {BBS} is there to prevent"
        yield Fault("template", detail, path=("evidence",))
    for name, wanted in (("suspendable", template.suspendable), ("statusMessage", template.messages)):
        if wanted:
            yield Fault(
                "template", f"{BBS} has no status entries, and nothing can be suspended or said", path=(name,)
            )


# --- the template's own rules
# --------------------------------------------------------------------------------


def _check_rules(raw: JsonObject, name: str, kind: _Kind, faults: list[Fault]) -> None:
    _check_members(raw, _MEMBERS, kind.required, (), faults)
    faults += [
        Fault("template", f"does not belong to an {name}", path=(member,))
        for member in raw
        if member in kind.foreign
    ]
    if type(raw.get("template")) is int and raw["template"] != VERSION:
        faults.append(Fault("template", f"this release reads version {VERSION}", path=("template",)))
    _check_days(raw, faults)
    _check_securing(raw, faults)
    _check_messages(raw.get("statusMessage"), faults)
    _check_achievement(raw.get("achievement"), faults)
    _check_subject(raw.get("subject"), kind, faults)
    _check_result_shapes(raw.get("results"), faults)


def _check_members(
    value: JsonObject,
    members: Mapping[str, type],
    required: tuple[str, ...],
    path: tuple[str | int, ...],
    faults: list[Fault],
) -> None:
    for name, member in value.items():
        kind = members.get(name)
        if kind is None:
            faults.append(Fault("template", "unknown member", path=(*path, name)))
        elif type(member) is not kind:
            faults.append(Fault("template", f"must be {_WORDS[kind]}", path=(*path, name)))
        elif kind is str and not member and name != "genre":
            faults.append(Fault("template", "must not be empty", path=(*path, name)))
    faults += [Fault("template", "is missing", path=(*path, name)) for name in required if name not in value]


def _check_days(raw: JsonObject, faults: list[Fault]) -> None:
    days = raw.get("validDays")
    if type(days) is int and not 1 <= days <= MAX_VALID_DAYS:
        faults.append(Fault("template", f"must be 1 to {MAX_VALID_DAYS:,}", path=("validDays",)))


def _check_messages(messages: Json, faults: list[Fault]) -> None:
    """As many texts as a status of 2, 4 or 8 bits has values (FORMATS.md section 6)."""
    if not isinstance(messages, list):
        return
    if len(messages) not in _MESSAGES:
        detail = f"has {' or '.join(map(str, _MESSAGES))} texts, one for each value"
        faults.append(Fault("template", detail, path=("statusMessage",)))
    faults += [
        Fault("template", "must be a text", path=("statusMessage", number))
        for number, text in enumerate(messages)
        if not isinstance(text, str) or not text
    ]


def _check_securing(raw: JsonObject, faults: list[Fault]) -> None:
    securing, pointers = raw.get("securing"), raw.get("mandatoryPointers")
    if isinstance(securing, str) and securing not in KINDS:
        faults.append(Fault("template", f"must be one of {', '.join(KINDS)}", path=("securing",)))
    for number, pointer in enumerate(pointers if isinstance(pointers, list) else ()):
        if not isinstance(pointer, str) or not pointer.startswith("/"):
            detail = "must be a JSON Pointer, which begins with /"
            faults.append(Fault("template", detail, path=("mandatoryPointers", number)))


def _check_achievement(achievement: Json, faults: list[Fault]) -> None:
    if not isinstance(achievement, dict):
        return
    faults += [
        Fault("template", "is missing", path=("achievement", name))
        for name in ("id", "name", "description", "criteria")
        if not achievement.get(name)
    ]
    descriptions = achievement.get("resultDescription", [])
    if not isinstance(descriptions, list):
        faults.append(Fault("template", "must be an array", path=("achievement", "resultDescription")))


def _check_subject(subject: Json, kind: _Kind, faults: list[Fault]) -> None:
    if isinstance(subject, dict):
        faults += [
            Fault("template", "is not the template's to say", path=("subject", name))
            for name in sorted(kind.not_in_subject & subject.keys())
        ]
        if "id" not in kind.not_in_subject and not subject.get("id"):
            faults.append(Fault("template", "says what is endorsed: it is missing", path=("subject", "id")))


def _check_result_shapes(results: Json, faults: list[Fault]) -> None:
    for number, result in enumerate(results if isinstance(results, list) else ()):
        if not isinstance(result, dict) or not isinstance(result.get("resultDescription"), str):
            detail = "a result is an object that names its resultDescription"
            faults.append(Fault("template", detail, path=("results", number)))


def _achievement_id(raw: JsonObject) -> Json:
    achievement = raw.get("achievement")
    return achievement.get("id") if isinstance(achievement, dict) else None


def _columns(compiled: JsonObject, evidence: EvidenceTemplate | None, records: str | None) -> frozenset[str]:
    """Every column that the template reads."""
    columns = {hole.column for hole in holes_in(compiled)}
    if evidence is not None:
        columns |= {hole.column for hole in holes_in([evidence.members, evidence.folder])}
        columns |= {evidence.files} if evidence.files else set()
    return frozenset(columns | ({records} if records is not None else set()))


def _judged_parts(compiled: Mapping[str, Any]) -> Iterator[_Part]:
    yield _Part.of({name: compiled[name] for name in _TIMES if name in compiled}, _time_faults)
    described = compiled.get("achievement", {}).get("resultDescription")
    for result in compiled.get("results", ()):
        yield _Part.of({"described": described, "result": result}, _result_faults)


def _parse_evidence(raw: JsonObject, slots: list[Text], faults: list[Fault]) -> EvidenceTemplate:
    _check_members(raw, _EVIDENCE_MEMBERS, (), ("evidence",), faults)
    if "folder" in raw and "files" in raw:
        faults.append(Fault("template", "folder or files, not both", path=("evidence",)))
    texts = {name: raw[name] for name in _EVIDENCE_TEXTS if name in raw}
    folder = None
    if "files" not in raw:
        folder = compile_value(raw.get("folder", "{id}"), ("evidence", "folder"), slots, faults)
    items = raw.get("items")
    return EvidenceTemplate(
        members=compile_value(texts, ("evidence",), slots, faults),
        folder=folder,
        files=raw.get("files"),
        items=_parse_items(items, faults) if isinstance(items, list) else None,
    )


def _parse_items(items: list[Json], faults: list[Fault]) -> tuple[ItemTemplate, ...]:
    found: list[ItemTemplate] = []
    if not 0 < len(items) <= MAX_ITEMS:
        faults.append(Fault("template", f"1 to {MAX_ITEMS} items", path=("evidence", "items")))
    for number, item in enumerate(items):
        path = ("evidence", "items", number)
        if not isinstance(item, dict):
            faults.append(Fault("template", "must be an object", path=path))
            continue
        before = len(faults)
        _check_members(item, _ITEM_MEMBERS, ("file",), path, faults)
        if len(faults) > before:
            continue
        parsed = ItemTemplate(
            file=item["file"],
            name=item.get("name") or item["file"],
            media_type=item.get("mediaType"),
            genre=item.get("genre", ""),
            is_optional=item.get("optional", False),
        )
        faults += _item_faults(parsed, found, path)
        found.append(parsed)
    return tuple(found)


def _item_faults(
    item: ItemTemplate, others: list[ItemTemplate], path: tuple[str | int, ...]
) -> Iterator[Fault]:
    for member, name in (("file", item.file), ("name", item.name)):
        try:
            check_name(name)
        except Malformed as error:
            yield Fault("template", error.detail, path=(*path, member))
    if any(item.name == other.name for other in others):
        yield Fault("template", "two items have this name", path=(*path, "name"))
    if any(item.file == other.file for other in others):
        yield Fault("template", "two items have this file", path=(*path, "file"))


# --- results
# -------------------------------------------------------------------------------------------------


def _present(value: Any) -> JsonObject:
    return {} if value is OMITTED else value


def _put_result(node: Any, values: Sequence[Any]) -> Any:
    # A result without its value would say that there was one: it goes as a whole.
    put = {name: put_values(member, values) for name, member in node.items()}
    return OMITTED if any(member is OMITTED for member in put.values()) else put


def _time_faults(nodes: JsonObject, values: Sequence[Any]) -> Iterator[Fault]:
    moments = {}
    for name, node in nodes.items():
        if isinstance(value := put_values(node, values), str):
            try:
                moments[name] = parse_datetime_stamp(value)
            except Malformed as error:
                yield Fault("cohort", f"{name}: {error.detail}", column=column_of(node))
    if "validFrom" in moments and "validUntil" in moments and moments["validUntil"] <= moments["validFrom"]:
        column = column_of(nodes["validUntil"]) or column_of(nodes["validFrom"])
        yield Fault("cohort", "validUntil is not after validFrom", column=column)


def _result_faults(nodes: JsonObject, values: Sequence[Any]) -> Iterator[Fault]:
    node, result = nodes["result"], _put_result(nodes["result"], values)
    if result is OMITTED:
        return
    described = {
        description["id"]: description
        for description in _objects(put_values(nodes["described"], values))
        if isinstance(description.get("id"), str)
    }
    description = described.get(result["resultDescription"])
    if description is None:
        column = column_of(node["resultDescription"])
        yield Fault("cohort", "a result that the achievement does not describe", column=column)
        return
    for member, detail in _outside(description, result):
        yield Fault("cohort", f"{member}: {detail}", column=column_of(node[member]))


def _outside(description: JsonObject, result: JsonObject) -> Iterator[tuple[str, str]]:
    """Members of a result that its description does not allow, each with the reason."""
    levels = [
        level.get("id") for level in description.get("rubricCriterionLevel", ()) if isinstance(level, dict)
    ]
    if "achievedLevel" in result and result["achievedLevel"] not in levels:
        yield "achievedLevel", "not one of the levels that the achievement describes"
    value = result.get("value")
    if value is None:
        return
    if not isinstance(value, str):
        yield "value", "the value of a result is a text"
        return
    allowed = description.get("allowedValue")
    if isinstance(allowed, list) and value not in allowed:
        yield "value", "not one of the values that the achievement allows"
    lowest, highest = _decimal(description.get("valueMin")), _decimal(description.get("valueMax"))
    if lowest is None and highest is None:
        return
    number = _decimal(value)
    if number is None:
        yield "value", "not a number"
    elif (lowest is not None and number < lowest) or (highest is not None and number > highest):
        yield "value", f"not between {lowest} and {highest}"


def _objects(value: Json) -> list[JsonObject]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _decimal(value: Json) -> Decimal | None:
    if not isinstance(value, str) or len(value) > 64:
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() else None
