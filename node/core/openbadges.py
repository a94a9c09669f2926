"""Building blocks of Open Badges 3.0: achievements, rubrics, results, profiles, and credentials made of them.

Open Badges 3.0 appendix B (data model). A block that exists is well-formed; `to_json()` writes it as 1EdTech's
strict schema wants it: arrays wherever there may be many, nothing null or empty. What is built is unsigned.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import re
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, ClassVar, Final, Self

from node.core.credential import BASE_CONTEXT, is_url
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp

OB_CONTEXT: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
# Defines the names of 1EdTech's own schema, status and refresh types.
CLR_CONTEXT: Final = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"
EXTENSIONS_CONTEXT: Final = "https://purl.imsglobal.org/spec/ob/v3p0/extensions.json"
SCHEMA_TYPE: Final = "1EdTechJsonSchemaValidator2019"
_SCHEMAS: Final = "https://purl.imsglobal.org/spec/ob/v3p0/schema/json/ob_v3p0_"
ACHIEVEMENT_SCHEMA: Final = _SCHEMAS + "achievementcredential_schema.json"
ENDORSEMENT_SCHEMA: Final = _SCHEMAS + "endorsementcredential_schema.json"

MAX_ITEMS: Final = 1_000

_EXTENSION: Final = re.compile(r"ext:[A-Za-z0-9._\-]+\Z")
_LANGUAGE: Final = re.compile(r"[a-z]{2,4}(-[A-Z][a-z]{3})?(-([A-Z]{2}|[0-9]{3}))?\Z")
_IDENTITY_HASH: Final = re.compile(r"(sha256|md5)\$([0-9a-fA-F]+)\Z")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_ACHIEVEMENT_TYPES: Final = _words(
    "Achievement ApprenticeshipCertificate Assessment Assignment AssociateDegree Award Badge BachelorDegree "
    "Certificate CertificateOfCompletion Certification CommunityService Competency Course CoCurricular Degree "
    "Diploma DoctoralDegree Fieldwork GeneralEducationDevelopment JourneymanCertificate LearningProgram License "
    "Membership ProfessionalDoctorate QualityAssuranceCredential MasterCertificate MasterDegree MicroCredential "
    "ResearchDoctorate SecondarySchoolDiploma"
)
_RESULT_TYPES: Final = _words(
    "GradePointAverage LetterGrade Percent PerformanceLevel PredictedScore RawScore Result RubricCriterion "
    "RubricCriterionLevel RubricScore ScaledScore Status"
)
_STATUSES: Final = _words("Completed Enrolled Failed InProgress OnHold Provisional Withdrew")
_TARGET_TYPES: Final = _words(
    "ceasn:Competency ceterms:Credential CFItem CFRubric CFRubricCriterion CFRubricCriterionLevel CTDL"
)
_IDENTITY_TYPES: Final = _words(
    "name sourcedId systemId productId userName accountId emailAddress nationalIdentityNumber isbn issn "
    "lisSourcedId oneRosterSourcedId sisSourcedId ltiContextId ltiDeploymentId ltiToolId ltiPlatformId ltiUserId "
    "identifier"
)


@dataclass(frozen=True, slots=True)
class _Block:
    """What all blocks share: their checks when made, and their JSON.

    A field `target_name` is the member `targetName`. `_TYPE` is the class name to be written, as an array unless
    the model has exactly one.
    """

    _TYPE: ClassVar[list[str] | str | None] = None
    _URIS: ClassVar[frozenset[str]] = frozenset()
    _WORDS: ClassVar[Mapping[str, frozenset[str]]] = {}
    _CLOSED: ClassVar[frozenset[str]] = frozenset()  # vocabularies that `ext:` words cannot extend

    def __post_init__(self) -> None:
        for name in self._URIS:
            value = getattr(self, name)
            if value is not None and not is_url(value):
                raise Malformed("must be an absolute URI", path=(_camel(name),))
        for name, words in self._WORDS.items():
            value = getattr(self, name)
            extended = name not in self._CLOSED and isinstance(value, str) and _EXTENSION.match(value)
            if value is not None and value not in words and not extended:
                raise Malformed("not a word of its vocabulary", path=(_camel(name),))
        language = getattr(self, "in_language", None)
        if language is not None and not _LANGUAGE.match(language):
            raise Malformed("not a language tag", path=("inLanguage",))

    def to_json(self) -> JsonObject:
        """The block as a JSON object; members without a value are left out."""
        out: JsonObject = {}
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if value is not None and value != ():
                out[_camel(field.name)] = _plain(value)
            if field.name == "id" and self._TYPE is not None:
                out["type"] = self._type_json()
        if self._TYPE is not None and "type" not in out:
            out = {"type": self._type_json(), **out}
        return out

    def _type_json(self) -> Json:
        return list(self._TYPE) if isinstance(self._TYPE, list) else self._TYPE

    @classmethod
    def parse(cls, value: Json, path: tuple[str | int, ...] = ()) -> Self:
        """The block that `value` writes. Members that the model does not have are Malformed, not dropped: a
        misspelled one would vanish from what is signed."""
        if not isinstance(value, dict):
            raise Malformed("must be an object", path=path)
        kinds = _kinds(typing.cast("Any", cls))
        given: dict[str, Any] = {}
        for member, content in value.items():
            if member == "type" and cls._TYPE is not None:
                name = cls._TYPE if isinstance(cls._TYPE, str) else cls._TYPE[0]
                if content != name and not (isinstance(content, list) and name in content):
                    raise Malformed(f"type must be {name}", path=(*path, "type"))
                continue
            if member not in kinds:
                raise Malformed(f"{cls.__name__} has no member of this name", path=(*path, member))
            field, kind = kinds[member]
            given[field] = _parse(kind, content, (*path, member))
        missing = [
            _camel(field.name)
            for field in dataclasses.fields(cls)
            if field.name not in given and field.default is dataclasses.MISSING
        ]
        if missing:
            raise Malformed("a required member is missing", path=(*path, missing[0]))
        try:
            return cls(**given)
        except Malformed as error:
            raise Malformed(
                error.detail, type=error.problem.type, path=(*path, *error.problem.path)
            ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Image(_Block):
    """A picture; `id` is its URL or the picture itself as a data: URL."""

    _TYPE: ClassVar[list[str] | str | None] = "Image"
    _URIS: ClassVar[frozenset[str]] = frozenset({"id"})
    id: str
    caption: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Criteria(_Block):
    """How an achievement is earned: a page, words in Markdown, or both."""

    _URIS: ClassVar[frozenset[str]] = frozenset({"id"})
    id: str | None = None
    narrative: str | None = None

    def __post_init__(self) -> None:
        _Block.__post_init__(self)
        if self.id is None and self.narrative is None:
            raise Malformed("criteria need an id or a narrative")


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment(_Block):
    """The entry of a framework that something corresponds to."""

    _TYPE: ClassVar[list[str] | str | None] = ["Alignment"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"target_url"})
    _WORDS: ClassVar[Mapping[str, frozenset[str]]] = {"target_type": _TARGET_TYPES}
    target_name: str
    target_url: str
    target_code: str | None = None
    target_description: str | None = None
    target_framework: str | None = None
    target_type: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Related(_Block):
    """Another version or translation of an achievement."""

    _TYPE: ClassVar[list[str] | str | None] = ["Related"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"id"})
    id: str
    in_language: str | None = None
    version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RubricCriterionLevel(_Block):
    """One level of one criterion of a rubric. Order is lost in RDF: `level` and `points` say it."""

    _TYPE: ClassVar[list[str] | str | None] = ["RubricCriterionLevel"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"id"})
    id: str
    name: str
    description: str | None = None
    level: str | None = None
    points: str | None = None
    alignment: tuple[Alignment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultDescription(_Block):
    """A kind of result that an achievement can have; values are texts, ordered from low to high."""

    _TYPE: ClassVar[list[str] | str | None] = ["ResultDescription"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"id", "required_level"})
    _WORDS: ClassVar[Mapping[str, frozenset[str]]] = {"result_type": _RESULT_TYPES}
    id: str
    name: str
    result_type: str
    allowed_value: tuple[str, ...] = ()
    required_level: str | None = None
    required_value: str | None = None
    rubric_criterion_level: tuple[RubricCriterionLevel, ...] = ()
    value_max: str | None = None
    value_min: str | None = None
    alignment: tuple[Alignment, ...] = ()

    def __post_init__(self) -> None:
        _Block.__post_init__(self)
        levels = [level.id for level in self.rubric_criterion_level]
        if self.required_level is not None and self.required_level not in levels:
            raise Malformed("the required level is none of the levels", path=("requiredLevel",))
        if len(set(levels)) != len(levels):
            raise Malformed("two levels have one id", path=("rubricCriterionLevel",))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(_Block):
    """What was reached, by one result description."""

    _TYPE: ClassVar[list[str] | str | None] = ["Result"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"result_description", "achieved_level"})
    _WORDS: ClassVar[Mapping[str, frozenset[str]]] = {"status": _STATUSES}
    _CLOSED: ClassVar[frozenset[str]] = frozenset({"status"})
    result_description: str | None = None
    achieved_level: str | None = None
    status: str | None = None
    value: str | None = None
    alignment: tuple[Alignment, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifierEntry(_Block):
    """One more name under which something is known in another system."""

    _TYPE: ClassVar[list[str] | str | None] = "IdentifierEntry"
    _WORDS: ClassVar[Mapping[str, frozenset[str]]] = {"identifier_type": _IDENTITY_TYPES}
    identifier: str
    identifier_type: str


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentityObject(_Block):
    """Who a learner is in another system, plain or hashed.

    The salt is public, so a short identifier can be guessed: a DID as the subject's id is better.
    """

    _TYPE: ClassVar[list[str] | str | None] = "IdentityObject"
    _WORDS: ClassVar[Mapping[str, frozenset[str]]] = {"identity_type": _IDENTITY_TYPES}
    identity_hash: str
    identity_type: str
    hashed: bool
    salt: str | None = None

    def __post_init__(self) -> None:
        _Block.__post_init__(self)
        if self.hashed and not _IDENTITY_HASH.match(self.identity_hash):
            raise Malformed("must be sha256$ and hexadecimal digits", path=("identityHash",))

    @classmethod
    def of(cls, identifier: str, identity_type: str, salt: str | None) -> Self:
        """The hashed identity of `identifier`: SHA-256 of its UTF-8 bytes and those of the salt after them."""
        digest = hashlib.sha256((identifier + (salt or "")).encode()).hexdigest()
        return cls(identity_hash=f"sha256${digest}", identity_type=identity_type, hashed=True, salt=salt)

    def is_of(self, identifier: str, identity_type: str) -> bool:
        """Whether this names `identifier`; the old md5 is compared too and never written."""
        if identity_type != self.identity_type:
            return False
        if not self.hashed:
            return hmac.compare_digest(self.identity_hash.encode(), identifier.encode())
        algorithm, expected = self.identity_hash.split("$", 1)
        data = (identifier + (self.salt or "")).encode()
        actual = hashlib.new(algorithm, data, usedforsecurity=False).hexdigest()
        return hmac.compare_digest(actual, expected.lower())


@dataclass(frozen=True, slots=True, kw_only=True)
class GeoCoordinates(_Block):
    """A place in degrees of WGS 84."""

    _TYPE: ClassVar[list[str] | str | None] = "GeoCoordinates"
    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Address(_Block):
    """A postal address."""

    _TYPE: ClassVar[list[str] | str | None] = ["Address"]
    address_country: str | None = None
    address_country_code: str | None = None
    address_region: str | None = None
    address_locality: str | None = None
    street_address: str | None = None
    post_office_box_number: str | None = None
    postal_code: str | None = None
    geo: GeoCoordinates | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile(_Block):
    """A person, organisation or system: issuer, creator, assessor, endorser."""

    _TYPE: ClassVar[list[str] | str | None] = ["Profile"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"id", "url"})
    id: str
    name: str | None = None
    url: str | None = None
    description: str | None = None
    image: Image | None = None
    email: str | None = None
    phone: str | None = None
    address: Address | None = None
    other_identifier: tuple[IdentifierEntry, ...] = ()
    official: str | None = None
    parent_org: Profile | None = None
    family_name: str | None = None
    given_name: str | None = None
    additional_name: str | None = None
    patronymic_name: str | None = None
    honorific_prefix: str | None = None
    honorific_suffix: str | None = None
    family_name_prefix: str | None = None
    date_of_birth: str | None = None
    endorsement: tuple[JsonObject, ...] = ()  # signed EndorsementCredentials, as received


@dataclass(frozen=True, slots=True, kw_only=True)
class Achievement(_Block):
    """What can be achieved, the same for everybody who has it."""

    _TYPE: ClassVar[list[str] | str | None] = ["Achievement"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"id"})
    _WORDS: ClassVar[Mapping[str, frozenset[str]]] = {"achievement_type": _ACHIEVEMENT_TYPES}
    id: str
    name: str
    description: str
    criteria: Criteria
    achievement_type: str | None = None
    creator: Profile | None = None
    image: Image | None = None
    alignment: tuple[Alignment, ...] = ()
    result_description: tuple[ResultDescription, ...] = ()
    credits_available: float | None = None
    field_of_study: str | None = None
    human_code: str | None = None
    in_language: str | None = None
    other_identifier: tuple[IdentifierEntry, ...] = ()
    related: tuple[Related, ...] = ()
    specialization: str | None = None
    tag: tuple[str, ...] = ()
    version: str | None = None
    endorsement: tuple[JsonObject, ...] = ()  # signed EndorsementCredentials, as received


@dataclass(frozen=True, slots=True, kw_only=True)
class AchievementSubject(_Block):
    """Who achieved what, and how well. `source` is who assessed for the issuer."""

    _TYPE: ClassVar[list[str] | str | None] = ["AchievementSubject"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"id"})
    achievement: Achievement
    id: str | None = None
    identifier: tuple[IdentityObject, ...] = ()
    result: tuple[Result, ...] = ()
    source: Profile | None = None
    activity_start_date: datetime | None = None
    activity_end_date: datetime | None = None
    credits_earned: float | None = None
    image: Image | None = None
    license_number: str | None = None
    narrative: str | None = None
    role: str | None = None
    term: str | None = None

    def __post_init__(self) -> None:
        _Block.__post_init__(self)
        if self.id is None and not self.identifier:
            raise Malformed("a subject needs an id or an identifier")
        descriptions = {item.id: item for item in self.achievement.result_description}
        for index, result in enumerate(self.result):
            _check_result(result, descriptions, ("result", index))


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence(_Block):
    """What an achievement rests on; `id` is where it is, or the thing itself as a data: URL."""

    _TYPE: ClassVar[list[str] | str | None] = ["Evidence"]
    _URIS: ClassVar[frozenset[str]] = frozenset({"id"})
    id: str | None = None
    name: str | None = None
    description: str | None = None
    narrative: str | None = None
    genre: str | None = None
    audience: str | None = None
    digest_multibase: str | None = None


def achievement_credential(
    *,
    id: str,
    issuer: Profile | str,
    subject: AchievementSubject,
    name: str,
    valid_from: datetime,
    valid_until: datetime | None = None,
    description: str | None = None,
    image: Image | None = None,
    awarded_date: datetime | None = None,
    evidence: Sequence[Evidence | JsonObject] = (),
    endorsement: Sequence[JsonObject] = (),
    credential_status: Json = None,
    credential_schema: bool = False,
) -> JsonObject:
    """An OpenBadgeCredential to be signed.

    `credential_status` is the JSON of one entry or of several (`entries_to_json`). With `credential_schema` the
    badge promises 1EdTech's strict schema, which allows one status entry only, and has a third context, since
    the name of that kind of schema is in 1EdTech's extensions.
    """
    body = {
        "description": description,
        "image": image,
        "awardedDate": awarded_date,
        "credentialSubject": subject,
        "evidence": tuple(evidence),
        "endorsement": tuple(endorsement),
    }
    return _credential(
        "OpenBadgeCredential",
        id=id,
        issuer=issuer,
        name=name,
        valid_from=valid_from,
        valid_until=valid_until,
        body=body,
        credential_status=credential_status,
        schema=ACHIEVEMENT_SCHEMA if credential_schema else None,
    )


def endorsement_credential(
    *,
    id: str,
    issuer: Profile | str,
    endorsed: str,
    name: str,
    valid_from: datetime,
    valid_until: datetime | None = None,
    comment: str | None = None,
    credential_status: Json = None,
    credential_schema: bool = False,
) -> JsonObject:
    """An EndorsementCredential to be signed: `issuer` vouches for what has the id `endorsed`."""
    if not is_url(endorsed):
        raise Malformed("must be an absolute URI", path=("credentialSubject", "id"))
    subject: JsonObject = {"id": endorsed, "type": ["EndorsementSubject"]}
    if comment is not None:
        subject["endorsementComment"] = comment
    return _credential(
        "EndorsementCredential",
        id=id,
        issuer=issuer,
        name=name,
        valid_from=valid_from,
        valid_until=valid_until,
        body={"credentialSubject": subject},
        credential_status=credential_status,
        schema=ENDORSEMENT_SCHEMA if credential_schema else None,
    )


def _credential(
    kind: str,
    *,
    id: str,
    issuer: Profile | str,
    name: str,
    valid_from: datetime,
    valid_until: datetime | None,
    body: Mapping[str, Any],
    credential_status: Json,
    schema: str | None,
) -> JsonObject:
    for member, value in (("id", id), ("issuer", issuer)):
        if isinstance(value, str) and not is_url(value):
            raise Malformed("must be an absolute URI", path=(member,))
    document: JsonObject = {
        "@context": [BASE_CONTEXT, OB_CONTEXT, *([EXTENSIONS_CONTEXT] if schema else [])],
        "id": id,
        "type": ["VerifiableCredential", kind],
        "name": name,
    }
    members = {
        "issuer": issuer,
        "validFrom": valid_from,
        "validUntil": valid_until,
        **body,
        "credentialStatus": credential_status,
        "credentialSchema": ({"id": schema, "type": SCHEMA_TYPE},) if schema else None,
    }
    document.update(
        (member, _plain(value)) for member, value in members.items() if value is not None and value != ()
    )
    return document


def _check_result(
    result: Result, descriptions: Mapping[str, ResultDescription], path: tuple[str | int, ...]
) -> None:
    """A result must follow a description of the achievement that is asserted."""
    if result.result_description is None:
        return
    description = descriptions.get(result.result_description)
    if description is None:
        raise Malformed("the achievement has no such description", path=(*path, "resultDescription"))
    levels = [level.id for level in description.rubric_criterion_level]
    if result.achieved_level is not None and result.achieved_level not in levels:
        raise Malformed("the description has no such level", path=(*path, "achievedLevel"))
    if description.result_type == "Status" and result.status is None:
        raise Malformed("a result of type Status needs a status", path=(*path, "status"))
    if (
        result.value is not None
        and description.allowed_value
        and result.value not in description.allowed_value
    ):
        raise Malformed("not one of the allowed values", path=(*path, "value"))


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _plain(value: Any) -> Json:
    if isinstance(value, _Block):
        return value.to_json()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return format_datetime_stamp(value) if isinstance(value, datetime) else value


@cache
def _kinds(cls: type[_Block]) -> dict[str, tuple[str, Any]]:
    """Member name to the field and the type of its value, without the None of optional ones."""
    hints = typing.get_type_hints(cls)
    found = {}
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if typing.get_origin(hint) in (types.UnionType, typing.Union):
            (hint,) = [part for part in typing.get_args(hint) if part is not type(None)]
        found[_camel(field.name)] = (field.name, hint)
    return found


def _parse(kind: Any, value: Json, path: tuple[str | int, ...]) -> Any:
    if typing.get_origin(kind) is tuple:
        items = value if isinstance(value, list) else [value]
        if len(items) > MAX_ITEMS:
            raise Malformed(f"more than {MAX_ITEMS} items", path=path)
        inner = typing.get_args(kind)[0]
        return tuple(
            _parse(inner, item, (*path, index) if isinstance(value, list) else path)
            for index, item in enumerate(items)
        )
    if typing.get_origin(kind) is dict:
        if not isinstance(value, dict):
            raise Malformed("must be an object", path=path)
        return value
    if issubclass(kind, _Block):
        return kind.parse(value, path)
    if kind is datetime:
        return _parse_date(value, path)
    allowed: tuple[type, ...] = (int, float) if kind is float else (kind,)
    if type(value) not in allowed:
        raise Malformed(f"must be a {_JSON_NAMES[kind]}", path=path)
    return value


_JSON_NAMES: Final = {str: "string", bool: "boolean", float: "number"}


def _parse_date(value: Json, path: tuple[str | int, ...]) -> datetime:
    if not isinstance(value, str):
        raise Malformed("must be a date and time", path=path)
    try:
        return parse_datetime_stamp(value)
    except Malformed as error:
        raise Malformed(error.detail, path=path) from error
