"""`bonafides did resolve` of what needs nobody's word, and what it refuses."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from node.commands.did import did
from node.core.errors import Malformed, Misconfigured, Unavailable

KEY = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"


def resolve(name: str, *options: str) -> str:
    found = CliRunner().invoke(did, ["resolve", name, *options])
    if found.exception is not None:
        raise found.exception
    return found.stdout


def test_a_did_key_is_its_own_document() -> None:
    result = json.loads(resolve(f"did:key:{KEY}"))
    assert result["didDocument"]["verificationMethod"][0]["publicKeyMultibase"] == KEY
    assert result["didResolutionMetadata"]["contentType"] == "application/did+ld+json"


@pytest.mark.parametrize(
    ("name", "expected", "match"),
    [
        (f"did:key:{KEY}?versionId=7", Misconfigured, "those of did:ethr"),
        ("did:ethr:0x539:0x" + "00" * 20, Misconfigured, "in no table of networks"),
        ("did:ethr:0x1:0x" + "00" * 20, Unavailable, "no endpoint is configured"),
        ("did:example:1", Unavailable, "not resolved here"),
        ("key:z6Mk", Malformed, None),
        ("did:ethr:0x1:0x" + "00" * 20 + "?versionId=-1", Malformed, None),
    ],
)
def test_what_cannot_be_resolved_is_told(name: str, expected: type[Exception], match: str | None) -> None:
    with pytest.raises(expected, match=match):
        resolve(name)
