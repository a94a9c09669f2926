"""What leaves the wallet as a file."""

from __future__ import annotations

import base64
import json

import pytest
from fixtures.verification import Story, evidence, of_key_school
from fixtures.wallets import exported, holding_of

from node.core.baking import default_png, default_svg, unbake
from node.core.bundle import parse_bundle
from node.core.errors import BonafidesError, Malformed, NotFound
from node.core.evidence import ShownEvidence
from node.core.verify.intake import read_intake
from wallet.backup import Format, picture_of

FULL = Story(show=(0, 1, 2))


def shown(bundle: object) -> list[str]:
    return [one.item.name for one in parse_bundle(bundle).evidence if isinstance(one, ShownEvidence)]


def test_json_is_the_credential_as_it_was_issued() -> None:
    held = holding_of(FULL)
    assert json.loads(exported(held, Format.JSON)) == FULL.credential()


def test_a_bundle_holds_the_credential_and_only_the_evidence_that_was_named() -> None:
    body = json.loads(exported(holding_of(FULL), Format.BUNDLE, ["marks"]))
    assert next(iter(body)) == "version"
    assert shown(body) == ["marks"]
    assert body["credential"] == FULL.credential()


@pytest.mark.parametrize("form", [Format.PNG, Format.SVG])
def test_an_image_carries_the_plain_credential_and_the_bundle_beside_it(form: Format) -> None:
    held = holding_of(FULL)
    data = exported(held, form, ["code.py"])
    baked = unbake(data)
    assert baked.kind == form
    assert json.loads(baked.credential) == FULL.credential()
    assert baked.bundle is not None
    bundle = json.loads(baked.bundle)
    assert bundle["credentialDigest"] == "0x" + held.id
    assert shown(bundle) == ["code.py"]
    intake = read_intake(data)
    assert intake.credentials[0].bundle is not None
    assert intake.notes == ()


def test_by_default_no_evidence_leaves() -> None:
    data = exported(holding_of(FULL), Format.PNG)
    for item in evidence().items:
        assert item.name.encode() not in data
        assert base64.urlsafe_b64encode(item.data).rstrip(b"=") not in data


def test_without_a_bundle_an_image_carries_the_credential_alone() -> None:
    held = holding_of(of_key_school(), bundled=False)
    assert unbake(exported(held, Format.SVG)).bundle is None
    with pytest.raises(NotFound, match="no bundle"):
        exported(held, Format.BUNDLE)
    with pytest.raises(BonafidesError):
        exported(held, Format.PNG, ["code.py"])


def test_evidence_has_no_place_in_plain_json() -> None:
    with pytest.raises(Malformed, match="travels in the bundle"):
        exported(holding_of(FULL), Format.JSON, ["marks"])


def test_the_badges_own_picture_is_used_where_it_lies_in_the_badge() -> None:
    svg = default_svg("its own")
    url = "data:image/svg+xml;base64," + base64.b64encode(svg).decode()

    def with_picture(document: dict[str, object]) -> None:
        document["credentialSubject"]["achievement"]["image"] = {"id": url, "type": "Image"}  # type: ignore[index]

    held = holding_of(Story(write=with_picture), bundled=False)
    assert picture_of(held, Format.SVG) == svg
    assert picture_of(held, Format.PNG) == default_png()


@pytest.mark.parametrize(
    "url", ["https://school.example/a.svg", "data:image/svg+xml;base64,!!", "data:text/html,x"]
)
def test_a_picture_elsewhere_is_not_fetched(url: str) -> None:
    def with_picture(document: dict[str, object]) -> None:
        document["credentialSubject"]["achievement"]["image"] = {"id": url, "type": "Image"}  # type: ignore[index]

    held = holding_of(Story(write=with_picture), bundled=False)
    assert picture_of(held, Format.SVG) == default_svg("Data structures")
