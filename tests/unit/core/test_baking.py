"""Baked images: what is baked comes out, samples of 1EdTech are read, hostile images are refused."""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.baking import (
    NOT_BAKED,
    OPEN_BADGES_2,
    Unbaked,
    bake,
    default_png,
    default_svg,
    image_kind,
    unbake,
)
from node.core.errors import Malformed

CREDENTIAL = '{"id":"urn:uuid:1","name":"]]> & <b> \\"é\\""}'
BUNDLE = '{"version":1}'
JWS = "eyJhbGciOiJFZERTQSJ9.e30.c2ln"
SD_JWT = f"{JWS}~WyJzYWx0Iiwgm5hbWUiLCAiQSJd~{JWS}"  # with one disclosure and a key binding
PNG, SVG = default_png(), default_svg("Programming & <more>")
IMAGES = {"png": PNG, "svg": SVG}


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I4s", len(data), kind) + data + zlib.crc32(kind + data).to_bytes(4, "big")


def with_chunk(kind: bytes, data: bytes, image: bytes = PNG) -> bytes:
    return image[:-12] + chunk(kind, data) + image[-12:]


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize("credential", [CREDENTIAL, JWS, SD_JWT, JWS + "~"])
@pytest.mark.parametrize("bundle", [None, BUNDLE])
def test_what_is_baked_comes_out(kind: str, credential: str, bundle: str | None) -> None:
    baked = bake(IMAGES[kind], credential, bundle)
    assert unbake(baked) == Unbaked(kind, credential, bundle)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", IMAGES)
def test_baking_again_replaces(kind: str) -> None:
    baked = bake(bake(IMAGES[kind], CREDENTIAL, BUNDLE), JWS)
    assert unbake(baked) == Unbaked(kind, JWS)  # type: ignore[arg-type]
    assert baked == bake(IMAGES[kind], JWS)


@pytest.mark.parametrize("suffix", ["png", "svg"])
@pytest.mark.parametrize("name", ["simple-json", "simple-jwt", "simple-jwt_v1"])
def test_samples_of_1edtech_are_extracted(vectors: Path, name: str, suffix: str) -> None:
    found = unbake((vectors / "ob3-1edtech" / f"{name}.{suffix}").read_bytes())
    if name == "simple-json":
        assert json.loads(found.credential)["id"] == "http://example.com/credentials/3527"
    else:
        assert found.credential.count(".") == 2
    assert found.bundle is None


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_samples_of_1edtech_are_baked_again_and_otherwise_unchanged(vectors: Path, suffix: str) -> None:
    image = (vectors / "ob3-1edtech" / f"simple-json.{suffix}").read_bytes()
    baked = bake(image, CREDENTIAL, BUNDLE)
    assert unbake(baked) == Unbaked(suffix, CREDENTIAL, BUNDLE)  # type: ignore[arg-type]
    back = bake(baked, unbake(image).credential)
    if suffix == "png":
        assert back == image
    else:
        assert back.endswith(image[-1000:])


def test_the_standard_place_is_where_the_standard_says() -> None:
    """Open Badges 3.0 section 5.3: iTXt, not compressed, no language; in SVG the first child, JSON in CDATA."""
    assert b"openbadgecredential\0\0\0\0\0" + CREDENTIAL.encode() in bake(PNG, CREDENTIAL)
    baked = bake(SVG, JWS).decode()
    assert baked.startswith(
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 320 360" role="img"><openbadges:'
    )
    assert f'xmlns:openbadges="https://purl.imsglobal.org/ob/v3p0" verify="{JWS}"/>' in baked


def test_an_sd_jwt_stands_where_a_token_stands() -> None:
    assert f'verify="{SD_JWT}"/>' in bake(SVG, SD_JWT).decode()


def test_svg_forms() -> None:
    empty = b'\xef\xbb\xbf<?xml version="1.0"?>\n<!-- <svg> --><s:svg xmlns:s="http://www.w3.org/2000/svg" a="1>2"/>'
    baked = bake(empty, CREDENTIAL)
    assert baked.endswith(b"</s:svg>")
    assert unbake(baked).credential == CREDENTIAL


def test_characters_that_xml_cannot_hold_are_spelled_in_json() -> None:
    text = '{"name":"\uffff"}'
    assert json.loads(unbake(bake(SVG, text)).credential) == json.loads(text)


BAKED = bake(PNG, CREDENTIAL)
CREDENTIAL_CHUNK = b"openbadgecredential\0\0\0\0\0{}"
BAD_PNG = {
    "empty": b"",
    "neither": b"GIF89a",
    "signature only": PNG[:8],
    "cut short": BAKED[:-13],
    "wrong checksum": BAKED.replace(b"urn:uuid:1", b"urn:uuid:2"),
    "no IHDR": PNG[:8] + PNG[33:],
    "two IHDR": with_chunk(b"IHDR", bytes(13)),
    "length beyond the end": PNG[:33] + b"\xff\xff\xff\xff" + PNG[37:],
    "two credentials": with_chunk(b"iTXt", CREDENTIAL_CHUNK, BAKED),
    "compressed": with_chunk(b"iTXt", b"openbadgecredential\0\1\0\0\0" + zlib.compress(b"{}")),
    "no text": with_chunk(b"iTXt", b"openbadgecredential"),
    "no language": with_chunk(b"iTXt", b"openbadgecredential\0\0\0{}"),
    "not UTF-8": with_chunk(b"iTXt", CREDENTIAL_CHUNK + b"\xff"),
    "too many chunks": PNG[:-12] + chunk(b"tEXt", b"") * 20_001 + PNG[-12:],
}
ELEMENT = '<c:credential xmlns:c="https://purl.imsglobal.org/ob/v3p0"%s>%s</c:credential>'


def svg(inner: str, before: str = "") -> bytes:
    return f'{before}<svg xmlns="http://www.w3.org/2000/svg">{inner}</svg>'.encode()


BAD_SVG = {
    "two credentials": svg(ELEMENT % ("", "{}") * 2),
    "attribute and content": svg(ELEMENT % (f' verify="{JWS}"', "{}")),
    "attribute is no JWS": svg(ELEMENT % (' verify="x"', "")),
    "attribute is no SD-JWT": svg(ELEMENT % (f' verify="{JWS}~a b"', "")),
    "element inside": svg(ELEMENT % ("", "<a/>")),
    "another root": b"<html/>",
    "not well-formed": svg("<a>"),
    "entities": svg(ELEMENT % ("", "&e;"), '<!DOCTYPE svg [<!ENTITY e "{}">]>'),
    "external entity": svg(ELEMENT % ("", "&e;"), '<!DOCTYPE svg [<!ENTITY e SYSTEM "file:///etc/passwd">]>'),
    "parameter entity": svg("", '<!DOCTYPE svg [<!ENTITY % e SYSTEM "https://a.example/x">%e;]>'),
    "another encoding": svg("", '<?xml version="1.0" encoding="utf-16"?>'),
    "unknown encoding": svg("", '<?xml version="1.0" encoding="none"?>'),
    "not UTF-8": svg("") + b"\xff",
    "nested too deeply": svg("<g>" * 300 + "</g>" * 300),
}


@pytest.mark.parametrize("image", [*BAD_PNG.values(), *BAD_SVG.values()], ids=[*BAD_PNG, *BAD_SVG])
def test_a_faulty_image_is_refused(image: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        unbake(image)
    assert caught.value.problem.type not in (NOT_BAKED, OPEN_BADGES_2)


OB2 = {
    "iTXt": with_chunk(b"iTXt", b"openbadges\0\0\0\0\0{}"),
    "tEXt": with_chunk(b"tEXt", b"openbadges\0https://a.example/assertion"),
    "svg": svg('<o:assertion xmlns:o="http://openbadges.org" verify="x"/>'),
}


@pytest.mark.parametrize("image", OB2.values(), ids=OB2.keys())
def test_open_badges_2_is_recognised_and_named(image: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        unbake(image)
    assert caught.value.problem.type == OPEN_BADGES_2
    assert unbake(bake(image, CREDENTIAL)).credential == CREDENTIAL


@pytest.mark.parametrize("image", [PNG, SVG])
def test_an_image_without_a_credential_says_so(image: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        unbake(image)
    assert caught.value.problem.type == NOT_BAKED


def test_bytes_after_the_end_of_a_png_are_not_read() -> None:
    assert unbake(BAKED + with_chunk(b"iTXt", CREDENTIAL_CHUNK)).credential == CREDENTIAL


def test_an_image_too_large_is_refused() -> None:
    with pytest.raises(Malformed):
        unbake(PNG + bytes(16 * 1024 * 1024))
    with pytest.raises(Malformed):
        bake(PNG, "x" * (8 * 1024 * 1024 + 1))


def test_the_default_image_is_a_picture() -> None:
    assert (image_kind(PNG), image_kind(SVG), image_kind(b"{}")) == ("png", "svg", None)
    rows = zlib.decompress(PNG[PNG.index(b"IDAT") + 4 : -16])
    assert len(rows) == 97 * 96
    assert set(rows) == {0, 1, 2, 3}
    assert len(PNG) < 1_500
    assert b"Programming &amp; &lt;more&gt;" in SVG


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=40), st.sampled_from(list(IMAGES.values())))
def test_any_json_text_survives_baking(text: str, image: bytes) -> None:
    document = json.dumps({"name": text}, ensure_ascii=False)
    assert json.loads(unbake(bake(image, document, document)).credential) == {"name": text}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_damaged_image_raises_only_malformed(data: st.DataObject) -> None:
    image = bytearray(bake(data.draw(st.sampled_from(list(IMAGES.values()))), CREDENTIAL, BUNDLE))
    for _ in range(data.draw(st.integers(1, 4))):
        image[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    del image[data.draw(st.integers(0, len(image))) :]
    with contextlib.suppress(Malformed):
        unbake(bytes(image))
    with contextlib.suppress(Malformed):
        bake(bytes(image), CREDENTIAL)
    with contextlib.suppress(Malformed):
        unbake(data.draw(st.binary(max_size=60)))
