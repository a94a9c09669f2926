"""Evidence that a credential commits to (FORMATS.md section 5)."""

from __future__ import annotations

import base64
import dataclasses
from hashlib import sha256

import pytest

from node.core.encoding import decode_multibase
from node.core.errors import Malformed, NotVerified
from node.core.evidence import (
    DATA_URL_PREFIX,
    EvidenceItem,
    ShownEvidence,
    WithheldEvidence,
    build_evidence,
    committed_in,
    parse_evidence,
    verify_shown,
)

ITEMS = [
    EvidenceItem("code.py", "text/x-python", "submission", b"print(1)\n"),
    EvidenceItem("log.txt", "text/plain; charset=utf-8", "", b"ok\n"),
    EvidenceItem("\u00fcbung.md", "text/markdown", "", b"# x"),
    EvidenceItem("empty", "application/octet-stream", "", b""),
    EvidenceItem("score.json", "application/json", "rubric", b"{}"),
]
SALTS = [sha256(b"%d" % n).digest() for n in range(5)]
MADE = build_evidence(ITEMS, SALTS)
COMMITTED = committed_in(MADE.evidence_object())


def test_the_resource_is_in_the_credential_and_its_digest_is_the_commitment():
    member = MADE.evidence_object(name="What was handed in")
    resource = base64.b64decode(member["id"].removeprefix(DATA_URL_PREFIX))
    assert decode_multibase(member["digestMultibase"], "u") == b"\x12\x20" + sha256(resource).digest()
    assert sha256(resource).digest() == MADE.commitment
    assert list(member) == ["id", "type", "name", "digestMultibase"]
    assert COMMITTED is not None
    assert (COMMITTED.size, COMMITTED.commitment) == (5, MADE.commitment)


@pytest.mark.parametrize("indexes", [(0,), (1, 3), (4, 2, 0), range(5)])
def test_any_subset_of_items_can_be_shown(indexes):
    for shown in MADE.show(indexes):
        verify_shown(COMMITTED, parse_evidence(shown.to_json()))


CHANGES = {
    "bytes": lambda shown: _item(shown, data=b"print(2)\n"),
    "name": lambda shown: _item(shown, name="other.py"),
    "media type": lambda shown: _item(shown, media_type="text/html"),
    "genre": lambda shown: _item(shown, genre=""),
    "salt": lambda shown: dataclasses.replace(shown, salt=bytes(32)),
    "index": lambda shown: dataclasses.replace(shown, index=1),
    "path": lambda shown: dataclasses.replace(shown, path=(bytes(32), *shown.path[1:])),
}


def _item(shown, **changes):
    return dataclasses.replace(shown, item=dataclasses.replace(shown.item, **changes))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_an_item_with_one_thing_changed_is_not_verified(change):
    (shown,) = MADE.show([0])
    with pytest.raises(NotVerified):
        verify_shown(COMMITTED, change(shown))


def test_a_path_of_the_wrong_length_is_malformed():
    (shown,) = MADE.show([0])
    with pytest.raises(Malformed):
        verify_shown(COMMITTED, dataclasses.replace(shown, path=shown.path[:-1]))


def test_an_item_of_another_credential_is_not_verified():
    other = build_evidence(ITEMS, [sha256(b"other %d" % n).digest() for n in range(5)])
    with pytest.raises(NotVerified):
        verify_shown(COMMITTED, other.show([0])[0])


NAMES = {
    "empty": "",
    "a slash": "a/b",
    "a backslash": "a\\b",
    "this folder": ".",
    "the folder above": "..",
    "a line feed": "a\nb",
    "a null": "a\0",
    "delete": "a\x7f",
    "a C1 control": "a\x85",
    "right-to-left override": "gpj\u202e.exe",
    "right-to-left isolate": "\u2067a",
    "Arabic letter mark": "\u061c",
    "not NFC": "u\u0308bung",
    "256 bytes": "\u00fc" * 128,
    "a lone surrogate": "\ud800",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_name_that_deceives_or_leads_elsewhere_is_malformed(name):
    with pytest.raises(Malformed):
        EvidenceItem(name, "text/plain", "", b"")


@pytest.mark.parametrize("name", ["\u00fc" * 127 + "x", "a b.txt", "...", "\u05d0\u05d1.txt", "\U0001f600"])
def test_other_names_are_allowed(name):
    assert EvidenceItem(name, "text/plain", "", b"").name == name


@pytest.mark.parametrize(
    "media_type",
    ["", "text", "text/", "text/plain\r\nX: y", "text/plain; charset", "a/b" * 100, "text/pl\u00e4in"],
)
def test_a_media_type_is_one(media_type):
    with pytest.raises(Malformed):
        EvidenceItem("a", media_type, "", b"")


def test_names_of_one_set_differ():
    with pytest.raises(Malformed, match="one name"):
        build_evidence([ITEMS[0], ITEMS[0]], SALTS[:2])


@pytest.mark.parametrize(("items", "salts"), [(ITEMS[:2], SALTS[:1]), (ITEMS[:2], [SALTS[0]] * 2)])
def test_each_item_has_a_salt_of_its_own(items, salts):
    with pytest.raises(ValueError, match="salt"):
        build_evidence(items, salts)


def test_evidence_of_nothing_is_malformed():
    with pytest.raises(Malformed):
        build_evidence([], [])


SIZED = b"\x02" + (5).to_bytes(8, "big") + MADE.root


def member_of(data):
    multihash = b"\x12\x20" + sha256(data).digest()
    return {
        "id": DATA_URL_PREFIX + base64.b64encode(data).decode(),
        "digestMultibase": "u" + base64.urlsafe_b64encode(multihash).decode().rstrip("="),
    }


def test_the_hand_made_member_beside_them_is_accepted():
    assert committed_in(member_of(SIZED)) == COMMITTED


@pytest.mark.parametrize(
    "member",
    [
        {**member_of(SIZED), "digestMultibase": member_of(b"x")["digestMultibase"]},
        {**member_of(SIZED), "digestMultibase": None},
        {"id": member_of(SIZED)["id"]},
        member_of(SIZED[:-1]),
        member_of(SIZED + b"\0"),
        member_of(b"\x03" + SIZED[1:]),
        member_of(b"\x02" + bytes(8) + MADE.root),
        member_of(b"\x02" + b"\xff" * 8 + MADE.root),
        {**member_of(SIZED), "id": member_of(SIZED)["id"] + "="},
        {**member_of(SIZED), "id": DATA_URL_PREFIX + "%"},
    ],
)
def test_a_commitment_that_contradicts_itself_is_malformed(member):
    with pytest.raises(Malformed):
        committed_in(member)


@pytest.mark.parametrize(
    "member",
    [None, "https://x", [], {}, {"id": 4}, {"id": "https://school.example/file.pdf"}, {"id": "data:,x"}],
)
def test_evidence_of_another_kind_is_left_alone(member):
    assert committed_in(member) is None


def test_a_withheld_item_shows_nothing_but_its_leaf():
    withheld = WithheldEvidence(bytes(range(32)))
    assert parse_evidence(withheld.to_json()) == withheld
    with pytest.raises(Malformed):
        parse_evidence({**withheld.to_json(), "index": 0})


BAD = {
    "index": [-1, 2**53, "0", None],
    "salt": ["", "AA", None],
    "name": ["", "a/b", None, 5],
    "mediaType": ["", "x", None],
    "length": [8, 10, "9", None, 9.0],
    "genre": [None, "g" * 1025],
    "bytes": ["*", None, "AAA=="],
    "path": [None, "0x", [5], ["0x00"], ["0x" + "00" * 32] * 54],
}


@pytest.mark.parametrize(("member", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_a_shown_item_with_a_wrong_member_is_malformed(member, value):
    (shown,) = MADE.show([0])
    with pytest.raises(Malformed):
        parse_evidence({**shown.to_json(), member: value})


@pytest.mark.parametrize("member", BAD)
def test_a_shown_item_lacks_no_member(member):
    value = MADE.show([0])[0].to_json()
    del value[member]
    with pytest.raises(Malformed):
        parse_evidence(value)


def test_a_shown_item_is_read_as_written():
    (shown,) = MADE.show([2])
    again = parse_evidence(shown.to_json())
    assert isinstance(again, ShownEvidence)
    assert again == shown
