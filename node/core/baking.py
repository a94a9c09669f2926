"""Baked images: a credential carried inside a PNG or SVG, and beside it the bundle that proves it.

Open Badges 3.0 section 5.3 (`openbadgecredential` in PNG, `openbadges:credential` in SVG) and FORMATS.md section 7
(`bonafidesbundle`, `{urn:bonafides:svg:1}bundle`). Bytes in, bytes out; what the texts say is not judged here.
Of each kind an image holds one: with two, two readers could see two credentials.
"""

from __future__ import annotations

import html
import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal

from node.core import problem
from node.core.errors import Malformed

MAX_IMAGE_BYTES: Final = 16 * 1024 * 1024
MAX_TEXT_BYTES: Final = 8 * 1024 * 1024
_MAX_CHUNKS: Final = 20_000
_MAX_XML_DEPTH: Final = 256

CREDENTIAL_KEYWORD: Final = b"openbadgecredential"
BUNDLE_KEYWORD: Final = b"bonafidesbundle"
OPEN_BADGES_2: Final = problem.ours("open-badges-2")
NOT_BAKED: Final = problem.ours("not-baked")

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_OB2_KEYWORD: Final = b"openbadges"
_OB_NAMESPACE: Final = "https://purl.imsglobal.org/ob/v3p0"
_OB2_NAMESPACE: Final = "http://openbadges.org"
_BUNDLE_NAMESPACE: Final = "urn:bonafides:svg:1"
_SVG: Final = "{http://www.w3.org/2000/svg}svg"
_CREDENTIAL_TAG: Final = f"{{{_OB_NAMESPACE}}}credential"
_BUNDLE_TAG: Final = f"{{{_BUNDLE_NAMESPACE}}}bundle"
# A compact JWS, and an SD-JWT, which is one with disclosures after it.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+(?:~[A-Za-z0-9_.-]*)*\Z")
# Where XML cannot hold a character, JSON can spell it: these two stand in strings only.
_NOT_XML: Final = re.compile("[\ufffe\uffff]")
_DECLARED_ENCODING: Final = re.compile(rb"""<\?xml[^>]*?\bencoding\s*=\s*["']([^"']*)["']""")


@dataclass(frozen=True, slots=True)
class Unbaked:
    """What an image carried: the credential (JSON text, a compact JWS or an SD-JWT), and the bundle if there is one."""

    kind: Literal["png", "svg"]
    credential: str
    bundle: str | None = None


def image_kind(data: bytes) -> Literal["png", "svg"] | None:
    """What the first bytes look like; None for what is neither PNG nor markup."""
    if data.startswith(_PNG):
        return "png"
    return "svg" if data[:256].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<") else None


def bake(image: bytes, credential: str, bundle: str | None = None) -> bytes:
    """`image` with `credential` (JSON text, compact JWS or SD-JWT) and `bundle` (JSON text) in it.

    What was baked before is replaced. Malformed where `image` is no PNG or SVG within the limits.
    """
    for text in (credential, bundle or ""):
        if len(text.encode()) > MAX_TEXT_BYTES:
            raise Malformed(f"more than {MAX_TEXT_BYTES:,} bytes to bake")
    kind = _kind(image)
    return _bake_png(image, credential, bundle) if kind == "png" else _bake_svg(image, credential, bundle)


def unbake(image: bytes) -> Unbaked:
    """The texts that `image` carries.

    Malformed where it is no sound image, carries two, or none (type NOT_BAKED; OPEN_BADGES_2 for a badge of
    version 2, which has no credential in it).
    """
    kind = _kind(image)
    credential, bundle, is_ob2 = _unbake_png(image) if kind == "png" else _unbake_svg(image)
    if credential is None:
        if is_ob2:
            raise Malformed("the image carries a badge of Open Badges 2, not 3", type=OPEN_BADGES_2)
        raise Malformed("the image carries no credential", type=NOT_BAKED)
    return Unbaked(kind, credential, bundle)


def _kind(image: bytes) -> Literal["png", "svg"]:
    if len(image) > MAX_IMAGE_BYTES:
        raise Malformed(f"an image of more than {MAX_IMAGE_BYTES:,} bytes")
    kind = image_kind(image)
    if kind is None:
        raise Malformed("neither a PNG nor an SVG image")
    return kind


# PNG (ISO/IEC 15948)


def _chunks(image: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and data of each chunk from IHDR to IEND; bytes after IEND are nobody's and left out."""
    position, count = len(_PNG), 0
    while True:
        count += 1
        if count > _MAX_CHUNKS:
            raise Malformed(f"a PNG of more than {_MAX_CHUNKS:,} chunks")
        head = image[position : position + 8]
        if len(head) < 8:
            raise Malformed("the PNG is cut short")
        length, kind = struct.unpack(">I4s", head)
        end = position + 8 + length
        if end + 4 > len(image):
            raise Malformed("the PNG is cut short")
        if zlib.crc32(image[position + 4 : end]) != int.from_bytes(image[end : end + 4], "big"):
            raise Malformed("a chunk of the PNG has a wrong checksum")
        if (kind == b"IHDR") != (count == 1):
            raise Malformed("a PNG must begin with one IHDR chunk")
        yield kind, image[position + 8 : end]
        if kind == b"IEND":
            return
        position = end + 4


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + zlib.crc32(kind + data).to_bytes(4, "big")


def _text_chunk(keyword: bytes, text: str) -> bytes:
    # Keyword, then: not compressed, method 0, no language, no translated keyword.
    return _chunk(b"iTXt", keyword + b"\0\0\0\0\0" + text.encode())


def _keyword(kind: bytes, data: bytes) -> bytes | None:
    return data.split(b"\0", 1)[0] if kind in (b"iTXt", b"tEXt", b"zTXt") else None


def _read_text_chunk(data: bytes) -> str:
    keyword, _, rest = data.partition(b"\0")
    name = keyword.decode("latin-1")
    if rest[:1] != b"\0":
        raise Malformed(f"the {name} chunk is compressed, which Open Badges does not allow")
    parts = rest[2:].split(b"\0", 2)
    if len(parts) != 3:
        raise Malformed(f"the {name} chunk is cut short")
    return _decode(parts[2], name)


def _decode(data: bytes, name: str) -> str:
    if len(data) > MAX_TEXT_BYTES:
        raise Malformed(f"more than {MAX_TEXT_BYTES:,} bytes in {name}")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Malformed(f"{name} is not UTF-8") from error


def _bake_png(image: bytes, credential: str, bundle: str | None) -> bytes:
    out = [_PNG]
    for kind, data in _chunks(image):
        if kind == b"IEND":
            out.append(_text_chunk(CREDENTIAL_KEYWORD, credential))
            if bundle is not None:
                out.append(_text_chunk(BUNDLE_KEYWORD, bundle))
        elif _keyword(kind, data) in (CREDENTIAL_KEYWORD, BUNDLE_KEYWORD):
            continue
        out.append(_chunk(kind, data))
    return b"".join(out)


def _unbake_png(image: bytes) -> tuple[str | None, str | None, bool]:
    found: dict[bytes, str] = {}
    is_ob2 = False
    for kind, data in _chunks(image):
        keyword = _keyword(kind, data)
        is_ob2 = is_ob2 or keyword == _OB2_KEYWORD
        if kind == b"iTXt" and keyword in (CREDENTIAL_KEYWORD, BUNDLE_KEYWORD):
            if keyword in found:
                raise Malformed(f"two {keyword.decode()} chunks")
            found[keyword] = _read_text_chunk(data)
    return found.get(CREDENTIAL_KEYWORD), found.get(BUNDLE_KEYWORD), is_ob2


# SVG


@dataclass(slots=True)
class _Element:
    """A baked element: where its bytes stand and what it holds."""

    begin: int
    end: int = 0
    verify: str | None = None
    text: list[str] = field(default_factory=list)

    def content(self, name: str) -> str:
        text = "".join(self.text).strip()
        if self.verify is None:
            return text
        if text:
            raise Malformed(f"the {name} element has both an attribute and content")
        if not _TOKEN.match(self.verify):
            raise Malformed(f"the verify attribute of {name} is no token")
        return self.verify


class _SvgScan:
    """Target of the XML parser: notes the byte places of the root tag and of what was baked."""

    def __init__(self) -> None:
        self.parser: Any = None
        self.root: int | None = None
        self.found: dict[str, _Element] = {}
        self.is_ob2 = False
        self._depth = 0
        self._open: _Element | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        place = self.parser.parser.CurrentByteIndex
        self._depth += 1
        if self._depth > _MAX_XML_DEPTH:
            raise Malformed("the SVG is nested too deeply")
        if self.root is None:
            if tag != _SVG:
                raise Malformed("the root element is not svg")
            self.root = place
        if self._open is not None:
            raise Malformed("a baked element holds another element")
        if tag in (_CREDENTIAL_TAG, _BUNDLE_TAG):
            if tag in self.found:
                raise Malformed(f"two elements {tag}")
            self._open = self.found[tag] = _Element(place, verify=attributes.get("verify"))
        elif tag.startswith(f"{{{_OB2_NAMESPACE}}}"):
            self.is_ob2 = True

    def end(self, _tag: str) -> None:
        self._depth -= 1
        if self._open is not None:
            self._open.end = self.parser.parser.CurrentByteIndex
            self._open = None

    def data(self, text: str) -> None:
        if self._open is not None:
            self._open.text.append(text)

    def close(self) -> None:
        """Nothing is built."""


def _scan_svg(image: bytes) -> _SvgScan:
    # Imported here: only images pay for the XML parser.
    from xml.etree.ElementTree import ParseError  # noqa: PLC0415

    from defusedxml import DefusedXmlException  # noqa: PLC0415
    from defusedxml.ElementTree import DefusedXMLParser  # noqa: PLC0415

    _decode(image, "the SVG")
    declared = _DECLARED_ENCODING.match(image.removeprefix(b"\xef\xbb\xbf"))
    # Places are counted in bytes, and two encodings would be two readings.
    if declared is not None and declared[1].lower() not in (b"utf-8", b"us-ascii"):
        raise Malformed("the SVG is not UTF-8")
    scan = _SvgScan()
    # A document type is common in SVG and harmless: entities and anything external are refused.
    scan.parser = DefusedXMLParser(target=scan, forbid_dtd=False, forbid_entities=True, forbid_external=True)
    try:
        scan.parser.feed(image)
        scan.parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise Malformed("the SVG is not well-formed, or declares entities") from error
    return scan


def _unbake_svg(image: bytes) -> tuple[str | None, str | None, bool]:
    scan = _scan_svg(image)
    credential, bundle = scan.found.get(_CREDENTIAL_TAG), scan.found.get(_BUNDLE_TAG)
    return (
        credential.content("credential") if credential else None,
        bundle.content("bundle") if bundle else None,
        scan.is_ob2,
    )


def _bake_svg(image: bytes, credential: str, bundle: str | None) -> bytes:
    scan = _scan_svg(image)
    # From the end, so that earlier places stay true.
    for element in sorted(scan.found.values(), key=lambda item: -item.begin):
        image = image[: element.begin] + image[_tag_end(image, element.end) :]
    begin = scan.root if scan.root is not None else 0
    end = _tag_end(image, begin)
    baked = _svg_element("openbadges", _OB_NAMESPACE, "credential", credential)
    if bundle is not None:
        baked += _svg_element("bonafides", _BUNDLE_NAMESPACE, "bundle", bundle)
    if image[end - 2 : end] == b"/>":
        name = re.split(rb"[\s/>]", image[begin + 1 : end], maxsplit=1)[0]
        return image[: end - 2] + b">" + baked.encode() + b"</" + name + b">" + image[end:]
    return image[:end] + baked.encode() + image[end:]


def _tag_end(image: bytes, begin: int) -> int:
    """The place after the `>` of the tag that begins at `begin`; one inside a quoted value does not end it."""
    quote = 0
    for place in range(begin, len(image)):
        byte = image[place]
        if quote:
            quote = 0 if byte == quote else quote
        elif byte in b"\"'":
            quote = byte
        elif byte == 0x3E:
            return place + 1
    raise Malformed("the SVG is cut short")


def _svg_element(prefix: str, namespace: str, name: str, text: str) -> str:
    begin = f'<{prefix}:{name} xmlns:{prefix}="{namespace}"'
    if _TOKEN.match(text):
        return f'{begin} verify="{text}"/>'
    safe = _NOT_XML.sub(lambda match: f"\\u{ord(match[0]):04x}", text).replace("]]>", "]]]]><![CDATA[>")
    return f"{begin}><![CDATA[{safe}]]></{prefix}:{name}>"


# A picture for badges that have none


_BLUE, _LIGHT, _WHITE = "#1f4e79", "#dce9f5", "#ffffff"
_PNG_SIZE: Final = 96


def default_svg(title: str) -> bytes:
    """A plain badge, a disc with a tick and `title` (at most 60 characters of it) below."""
    words = "".join(letter for letter in title if letter.isprintable())[:60]
    text = html.escape(words, quote=True)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 360" role="img">'
        f"<title>{text}</title>"
        f'<path d="M110 220 90 320 160 285 230 320 210 220z" fill="{_LIGHT}"/>'
        f'<circle cx="160" cy="140" r="120" fill="{_BLUE}"/>'
        f'<circle cx="160" cy="140" r="100" fill="none" stroke="{_LIGHT}" stroke-width="6"/>'
        f'<path d="M105 145 145 185 220 100" fill="none" stroke="{_WHITE}" stroke-width="22"/>'
        '<text x="160" y="348" text-anchor="middle" font-family="sans-serif" font-size="16"'
        ' textLength="300" lengthAdjust="spacingAndGlyphs">'
        f"{text}</text></svg>"
    ).encode()


@cache
def default_png() -> bytes:
    """The same disc and tick as a PNG of 96 by 96 pixels, drawn here."""
    palette = bytes.fromhex("000000" + _BLUE[1:] + _LIGHT[1:] + _WHITE[1:])
    rows = b"".join(
        b"\0" + bytes(_pixel(x + 0.5, y + 0.5) for x in range(_PNG_SIZE)) for y in range(_PNG_SIZE)
    )
    head = struct.pack(">IIBBBBB", _PNG_SIZE, _PNG_SIZE, 8, 3, 0, 0, 0)
    return (
        _PNG
        + _chunk(b"IHDR", head)
        + _chunk(b"PLTE", palette)
        + _chunk(b"tRNS", b"\0")  # colour 0, outside the disc, is transparent
        + _chunk(b"IDAT", zlib.compress(rows, 6))
        + _chunk(b"IEND", b"")
    )


def _pixel(x: float, y: float) -> int:
    middle = _PNG_SIZE / 2
    square = (x - middle) ** 2 + (y - middle) ** 2
    if square > 46**2:
        return 0
    if _near(x, y, (27, 50), (42, 65)) or _near(x, y, (42, 65), (71, 33)):
        return 3
    return 2 if 37**2 < square < 40**2 else 1


def _near(x: float, y: float, begin: tuple[int, int], end: tuple[int, int]) -> bool:
    """Whether a point is within four pixels of a stroke."""
    dx, dy = end[0] - begin[0], end[1] - begin[1]
    along = max(0.0, min(1.0, ((x - begin[0]) * dx + (y - begin[1]) * dy) / (dx * dx + dy * dy)))
    return (x - begin[0] - along * dx) ** 2 + (y - begin[1] - along * dy) ** 2 <= 16
