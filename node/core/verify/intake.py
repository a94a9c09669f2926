"""What was dropped on the verifier: told apart by its first bytes and its members, never by a file's name.

A credential, a bundle, a presentation, a presentation file (`{"presentation", "bundles"}`, FORMATS.md section 7), or
a PNG or SVG image that carries a credential and perhaps its bundle.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from node.core import problem
from node.core.baking import unbake
from node.core.bundle import Bundle, ShownDocument, parse_bundle
from node.core.errors import Malformed
from node.core.strict_json import JsonObject, parse_json, parse_json_object

MAX_INPUT_BYTES: Final = 16 * 1024 * 1024
MAX_CREDENTIALS: Final = 64
_PNG: Final = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Shown:
    """One credential and, where one travelled with it, its bundle."""

    document: JsonObject
    bundle: Bundle | None = None


@dataclass(frozen=True, slots=True)
class Intake:
    """What there is to judge: credentials, and the presentation that holds them where there is one."""

    credentials: tuple[Shown, ...]
    presentation: JsonObject | None = None
    notes: tuple[str, ...] = ()


def read_intake(data: bytes) -> Intake:
    """The credentials in `data`, at most 16 MiB of it; Malformed where there are none to judge."""
    if len(data) > MAX_INPUT_BYTES:
        raise Malformed(f"more than {MAX_INPUT_BYTES:,} bytes", type=problem.PARSING_ERROR)
    if data.startswith(_PNG) or data.lstrip()[:1] == b"<":
        return _from_image(data)
    return intake_of(parse_json_object(data, max_bytes=MAX_INPUT_BYTES))


def intake_of(value: JsonObject) -> Intake:
    """As `read_intake`, for a JSON object that has been parsed already."""
    if "presentation" in value:
        return _from_presentation_file(value)
    if "version" in value and "@context" not in value:
        return _from_bundle(value)
    if _has_type(value, "VerifiablePresentation"):
        return presented(value, ())
    return Intake((Shown(value),))


def presented(presentation: JsonObject, bundles: Sequence[Bundle]) -> Intake:
    """The credentials of a presentation, each with the bundle whose digest is its own."""
    held = presentation.get("verifiableCredential", [])
    documents = held if isinstance(held, list) else [held]
    if len(documents) > MAX_CREDENTIALS:
        raise Malformed(f"more than {MAX_CREDENTIALS} credentials in one presentation")
    for index, document in enumerate(documents):
        if not isinstance(document, dict):
            raise Malformed(
                "a presentation holds credentials as objects", path=("verifiableCredential", index)
            )
    left = list(bundles)
    shown = tuple(Shown(document, _take_bundle(document, left)) for document in documents)
    return Intake(shown, presentation, tuple("a bundle that matches no credential was ignored" for _ in left))


def _from_presentation_file(value: JsonObject) -> Intake:
    if unknown := value.keys() - {"presentation", "bundles"}:
        raise Malformed(f"unknown members in a presentation file: {', '.join(sorted(unknown))}")
    presentation, bundles = value["presentation"], value.get("bundles", [])
    if not isinstance(presentation, dict):
        raise Malformed("presentation is an object", path=("presentation",))
    if not isinstance(bundles, list) or len(bundles) > MAX_CREDENTIALS:
        raise Malformed(f"bundles is an array of at most {MAX_CREDENTIALS}", path=("bundles",))
    return presented(presentation, [parse_bundle(bundle) for bundle in bundles])


def _from_bundle(value: JsonObject) -> Intake:
    bundle = parse_bundle(value)
    if bundle.credential is None:
        raise Malformed("this bundle belongs to a credential that is not in it: give both")
    return Intake((Shown(bundle.credential, bundle),))


def _from_image(data: bytes) -> Intake:
    baked = unbake(data)
    document = parse_json_object(baked.credential)
    left = [parse_bundle(parse_json(baked.bundle))] if baked.bundle is not None else []
    shown = Shown(document, _take_bundle(document, left))
    return Intake((shown,), None, tuple("a bundle that matches no credential was ignored" for _ in left))


def _take_bundle(document: JsonObject, left: list[Bundle]) -> Bundle | None:
    shown = ShownDocument(document)
    for bundle in left:
        if bundle.belongs_to(shown):
            left.remove(bundle)
            return bundle
    return None


def _has_type(value: JsonObject, name: str) -> bool:
    types: Any = value.get("type", value.get("@type", []))
    listed: Iterable[Any] = types if isinstance(types, list) else [types]
    return name in listed
