"""What was dropped on the verifier: told apart by its first bytes and its members, never by a file's name.

A credential, as JSON or as a token; a bundle; a presentation, as either; a presentation file (`{"presentation",
"bundles"}`, FORMATS.md section 7), whose bundles may be of credentials in a record; or a PNG or SVG image that carries
a credential and perhaps its bundle.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from node.core import problem
from node.core.baking import image_kind, unbake
from node.core.bundle import Bundle, ShownDocument, parse_bundle
from node.core.envelope import (
    ENVELOPED_CREDENTIAL,
    ENVELOPED_PRESENTATION,
    Envelope,
    open_enveloped,
    read_envelope,
    read_envelope_json,
)
from node.core.errors import Malformed
from node.core.strict_json import Json, JsonObject, parse_json, parse_json_object

MAX_INPUT_BYTES: Final = 16 * 1024 * 1024
MAX_CREDENTIALS: Final = 64
# A record of records is legal, and nobody makes one of four storeys.
MAX_DEPTH: Final = 3
_IGNORED: Final = "a bundle that matches no credential was ignored"


@dataclass(frozen=True, slots=True)
class Shown:
    """One credential and, where one travelled with it, its bundle.

    `document` is the JSON object received; of a token, `envelope`, it is what the token says as far as disclosed.
    """

    document: JsonObject
    bundle: Bundle | None = None
    envelope: Envelope | None = None
    bundles: tuple[Bundle, ...] = ()
    """Those of credentials that it holds (CLR 2.0)."""


@dataclass(frozen=True, slots=True)
class Intake:
    """What there is to judge: credentials, and the presentation that holds them where there is one.

    `envelope` is the presentation's, where it is a token.
    """

    credentials: tuple[Shown, ...]
    presentation: JsonObject | None = None
    notes: tuple[str, ...] = ()
    envelope: Envelope | None = None


def read_intake(data: bytes) -> Intake:
    """The credentials in `data`, at most 16 MiB of it; Malformed where there are none to judge."""
    if len(data) > MAX_INPUT_BYTES:
        raise Malformed(f"more than {MAX_INPUT_BYTES:,} bytes", type=problem.PARSING_ERROR)
    if image_kind(data) is not None:
        return _from_image(data)
    envelope = read_envelope(data)
    if envelope is not None:
        return _of_envelope(envelope, ())
    return intake_of(parse_json(data, max_bytes=MAX_INPUT_BYTES))


def intake_of(value: Json) -> Intake:
    """As `read_intake`, for JSON that has been parsed already: an object, or the text of a token."""
    if isinstance(value, str):
        return _of_envelope(_read_token(value), ())
    if not isinstance(value, dict):
        raise Malformed("neither an object nor the text of a token", type=problem.PARSING_ERROR)
    envelope = read_envelope_json(value)
    if envelope is not None:
        return _of_envelope(envelope, ())
    if "presentation" in value:
        return _from_presentation_file(value)
    if "version" in value and "@context" not in value:
        return _from_bundle(value)
    if _is_presentation(value):
        return presented(value, ())
    return Intake((shown(value),))


def shown(value: Json, bundle: Bundle | None = None) -> Shown:
    """A credential as it was received: an object, an object that envelops a token, or the text of a token.

    Malformed for anything else, and for a text that is no token. An envelope that cannot be opened is the object
    that it is: the engine says what is wrong with it.
    """
    if isinstance(value, str):
        envelope = _read_token(value)
        return Shown(envelope.document, bundle, envelope)
    if not isinstance(value, dict):
        raise Malformed("a credential is an object or the text of a token")
    if _has_type(value, ENVELOPED_CREDENTIAL):
        try:
            envelope = open_enveloped(value)
        except Malformed:
            return Shown(value, bundle)
        return Shown(envelope.document, bundle, envelope)
    return Shown(value, bundle)


def held_by(document: JsonObject) -> Iterator[Json]:
    """What stands for credentials in the subject of a Comprehensive Learner Record (CLR 2.0, ClrSubject)."""
    for subject in listed(document.get("credentialSubject", [])):
        if isinstance(subject, dict):
            yield from listed(subject.get("verifiableCredential", []))


def shown_in(one: Shown, held: Iterable[Json]) -> list[Shown]:
    """The credentials that one holds, each with its bundle; Malformed as `shown`."""
    left = list(one.bundles)
    found = [_with_bundle(shown(item), left) for item in held]
    return [replace(inner, bundles=tuple(left)) for inner in found] if left else found


def presented(presentation: Json, bundles: Sequence[Bundle]) -> Intake:
    """The credentials of a presentation, each with the bundle whose digest is its own."""
    if isinstance(presentation, str):
        return _of_envelope(_read_token(presentation), bundles)
    if not isinstance(presentation, dict):
        raise Malformed("a presentation is an object or the text of a token", path=("presentation",))
    if _has_type(presentation, ENVELOPED_PRESENTATION):
        return _of_envelope(open_enveloped(presentation), bundles)
    return _presented(presentation, bundles)


def given(value: Json, bundles: Sequence[Bundle]) -> Intake:
    """As `presented`, where a credential may come alone: with a key binding, or to show nothing but itself."""
    if isinstance(value, dict) and not _is_presentation(value):
        left = list(bundles)
        return Intake((_with_bundle(shown(value), left),), notes=tuple(_IGNORED for _ in left))
    return presented(value, bundles)


def _of_envelope(envelope: Envelope, bundles: Sequence[Bundle]) -> Intake:
    if envelope.presents:
        return _presented(envelope.document, bundles, envelope)
    left = list(bundles)
    one = _with_bundle(Shown(envelope.document, None, envelope), left)
    return Intake(_with_inner([one], left), notes=tuple(_IGNORED for _ in left))


def _presented(
    presentation: JsonObject, bundles: Sequence[Bundle], envelope: Envelope | None = None
) -> Intake:
    held = presentation.get("verifiableCredential", [])
    documents = listed(held)
    if len(documents) > MAX_CREDENTIALS:
        raise Malformed(f"more than {MAX_CREDENTIALS} credentials in one presentation")
    left = list(bundles)
    credentials = []
    for index, document in enumerate(documents):
        try:
            credentials.append(_with_bundle(shown(document), left))
        except Malformed as error:
            path = ("verifiableCredential", index, *error.problem.path)
            raise Malformed(error.detail, type=error.problem.type, path=path) from error
    given = _with_inner(credentials, left)
    return Intake(given, presentation, tuple(_IGNORED for _ in left), envelope)


def _from_presentation_file(value: JsonObject) -> Intake:
    if unknown := value.keys() - {"presentation", "bundles"}:
        raise Malformed(f"unknown members in a presentation file: {', '.join(sorted(unknown))}")
    presentation, bundles = value["presentation"], value.get("bundles", [])
    if not isinstance(bundles, list) or len(bundles) > MAX_CREDENTIALS:
        raise Malformed(f"bundles is an array of at most {MAX_CREDENTIALS}", path=("bundles",))
    return presented(presentation, [parse_bundle(bundle) for bundle in bundles])


def _from_bundle(value: JsonObject) -> Intake:
    bundle = parse_bundle(value)
    if bundle.credential is None:
        raise Malformed("this bundle belongs to a credential that is not in it: give both")
    return Intake((shown(bundle.credential, bundle),))


def _from_image(data: bytes) -> Intake:
    baked = unbake(data)
    envelope = read_envelope(baked.credential)
    one = shown(baked.credential if envelope is not None else parse_json_object(baked.credential))
    left = [parse_bundle(parse_json(baked.bundle))] if baked.bundle is not None else []
    one = _with_bundle(one, left)
    return Intake((one,), notes=tuple(_IGNORED for _ in left))


def _read_token(text: str) -> Envelope:
    envelope = read_envelope(text)
    if envelope is None:
        raise Malformed("the text is no token that is read here", type=problem.PARSING_ERROR)
    return envelope


def _with_bundle(one: Shown, left: list[Bundle]) -> Shown:
    known = ShownDocument(one.document, one.envelope)
    for bundle in left:
        if bundle.belongs_to(known):
            left.remove(bundle)
            return replace(one, bundle=bundle)
    return one


def _is_presentation(value: JsonObject) -> bool:
    return _has_type(value, "VerifiablePresentation") or _has_type(value, ENVELOPED_PRESENTATION)


def _with_inner(credentials: Sequence[Shown], left: list[Bundle]) -> tuple[Shown, ...]:
    """Each credential with those of the bundles that are left which belong to credentials that it holds."""
    if not left:
        return tuple(credentials)
    given = []
    for one in credentials:
        mine = [bundle for inner in _inner(one.document) if (bundle := _with_bundle(inner, left).bundle)]
        given.append(replace(one, bundles=tuple(mine)) if mine else one)
    return tuple(given)


def _inner(document: JsonObject) -> Iterator[Shown]:
    """The credentials that one holds, and those that they hold: as many as are judged, those that can be read."""
    level = [document]
    count = 0
    for _ in range(MAX_DEPTH - 1):
        above, level = level, []
        for item in (item for one in above for item in held_by(one)):
            if (count := count + 1) > MAX_CREDENTIALS:
                return
            with contextlib.suppress(Malformed):
                inner = shown(item)
                level.append(inner.document)
                yield inner


def listed(value: Json) -> list[Any]:
    """The items of a list, or the one value that stands for a list of one."""
    return value if isinstance(value, list) else [value]


def _has_type(value: JsonObject, name: str) -> bool:
    return name in listed(value.get("type", value.get("@type", [])))
