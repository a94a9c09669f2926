"""JSON Schema checks of a document against schemas that we hold; no schema is ever fetched.

VC Data Model 2.0 section 4.11 (`credentialSchema`), Open Badges 3.0 and CLR 2.0. The schemas are our own wording of
their data models (`schemas/openbadges`). They apply by type, and where `credentialSchema` names one of
1EdTech's: both their strict file (arrays wherever there may be many) and their JSON-LD file (single values too)
stand for ours, which reads like the latter, so that a badge is not refused for a form that means the same.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, NoReturn

from node.core import problem
from node.core.credential import types_of
from node.core.errors import Misconfigured
from node.core.problem import Problem
from node.core.strict_json import Json, JsonObject, parse_json_object

ACHIEVEMENT_CREDENTIAL: Final = "achievementcredential"
ENDORSEMENT_CREDENTIAL: Final = "endorsementcredential"
CLR_CREDENTIAL: Final = "clrcredential"
PROFILE: Final = "profile"

MAX_PROBLEMS: Final = 20

_URN: Final = "urn:bonafides:schema:openbadges:"
_BY_TYPE: Final = {
    "AchievementCredential": ACHIEVEMENT_CREDENTIAL,
    "OpenBadgeCredential": ACHIEVEMENT_CREDENTIAL,
    "EndorsementCredential": ENDORSEMENT_CREDENTIAL,
    "ClrCredential": CLR_CREDENTIAL,
    "Profile": PROFILE,
}
# As people read them: the first type of each.
_TITLES: Final = {name: title for title, name in reversed(_BY_TYPE.items())}
_1EDTECH: Final = re.compile(
    r"https://purl\.imsglobal\.org/spec/(?:"
    r"ob/v3p0/schema/json(?:-ld)?/ob_v3p0_(?:any)?(achievementcredential|endorsementcredential|profile)"
    r"|clr/v2p0/schema/json(?:-ld)?/clr_v2p0_(clrcredential))_schema\.json\Z"
)
# Kinds of `credentialSchema` whose id is the URL of a JSON Schema.
_SCHEMA_TYPES: Final = ("1EdTechJsonSchemaValidator2019", "JsonSchemaValidator2019", "JsonSchema")


# Keywords that a document can break by what is not in it; `anyOf` is ours for "this member or that one".
_OF_ABSENCE: Final = frozenset({"required", "anyOf", "minItems"})


@dataclass(frozen=True, slots=True)
class SchemaVerdict:
    """What the schemas say of a document. `unpinned` are schemas that it names and we do not hold.

    `lacking`: there are problems, and each is that something is not there, which may be for what was left out of a
    document that is shown in part.
    """

    applied: tuple[str, ...]  # names of our schemas, sorted
    problems: tuple[Problem, ...]
    unpinned: tuple[str, ...]
    lacking: bool = False


def title_of(name: str) -> str:
    """The type that a schema of ours is for, by its own name."""
    return _TITLES.get(name, name)


class SchemaSet:
    """The schemas that we hold, compiled at first use, which is once: share one set."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._validators: dict[str, Any] = {}

    def check(self, document: JsonObject) -> SchemaVerdict:
        """Apply every schema of the document's types and of its `credentialSchema`; at most 20 problems."""
        names = {_BY_TYPE[name] for name in types_of(document) if name in _BY_TYPE}
        unpinned = []
        for entry in _entries(document.get("credentialSchema", [])):
            name = _pinned_name(entry)
            if name is None:
                unpinned.append(str(entry.get("id", "")) if isinstance(entry, dict) else "")
            else:
                names.add(name)
        applied = tuple(sorted(names))
        found: list[tuple[Problem, str]] = []
        for name in applied:
            if self._validator(name).is_valid(document):  # at a fraction of what it costs to list errors
                continue
            found += itertools.islice(self._errors(name, document), MAX_PROBLEMS - len(found))
        problems = tuple(told for told, _ in found)
        # All of them or none: with as many problems as are counted, there may be others behind them.
        lacking = 0 < len(found) < MAX_PROBLEMS and all(keyword in _OF_ABSENCE for _, keyword in found)
        return SchemaVerdict(applied, problems, tuple(unpinned), lacking)

    def _errors(self, name: str, document: JsonObject) -> Iterator[tuple[Problem, str]]:
        """Each problem with the keyword of the schema that it breaks."""
        for error in self._validator(name).iter_errors(document):
            # Masked: the message says what was expected, and no value of the learner's.
            told = Problem(
                problem.ours("schema"), f"{title_of(name)}: {error.message}", tuple(error.instance_path)
            )
            yield told, error.kind.name

    def _validator(self, name: str) -> Any:
        if name not in self._validators:
            import jsonschema_rs  # noqa: PLC0415  # a document without a schema should not pay for it

            schema = self._schemas.get(_URN + name)
            if schema is None:
                raise Misconfigured(f"the schema {name} is missing")
            try:
                self._validators[name] = jsonschema_rs.Draft202012Validator(
                    schema,
                    registry=jsonschema_rs.Registry(list(self._schemas.items()), retriever=_refuse),
                    retriever=_refuse,
                    mask="the value",
                    pattern_options=jsonschema_rs.RegexOptions(),  # linear time, no backtracking
                )
            except (ValueError, jsonschema_rs.ReferencingError) as error:
                raise Misconfigured(f"the schema {name} cannot be used: {error}") from error
        return self._validators[name]

    @cached_property
    def _schemas(self) -> dict[str, JsonObject]:
        schemas = [parse_json_object(data) for name, data in self._files.items() if _is_schema(name)]
        return {schema["$id"]: schema for schema in schemas if "$id" in schema}


def _is_schema(name: str) -> bool:
    return name.endswith(".schema.json")


def _refuse(uri: str) -> NoReturn:
    raise Misconfigured(f"a schema refers to {uri}, which is not among those we hold")


def _entries(value: Json) -> list[Json]:
    return value if isinstance(value, list) else [value]


def _pinned_name(entry: Json) -> str | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        return None
    if not set(_SCHEMA_TYPES) & set(types_of(entry)):
        return None
    match = _1EDTECH.match(entry["id"])
    return (match[1] or match[2]) if match else None
