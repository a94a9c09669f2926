"""Bitstring Status List 1.0: entries, bits and list credentials, with the published vectors."""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core import problem
from node.core.encoding import encode_base64url
from node.core.errors import Malformed, NotVerified
from node.core.status.bitstring import MAX_BYTES, MIN_ENTRIES, Bitstring, OutOfRange, decode_list, encode_list
from node.core.status.entry import StatusEntry, UnknownStatusEntry, entries_to_json, parse_status_entries
from node.core.status.status_list import build_list_credential, check_list_credential, read_status

URL = "https://school.example/status/3"
ENTRY = {
    "id": f"{URL}#94567",
    "type": "BitstringStatusListEntry",
    "statusPurpose": "revocation",
    "statusListIndex": "94567",
    "statusListCredential": URL,
}
MESSAGES = [{"status": hex(value), "message": f"m{value}"} for value in range(4)]
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def entry(**members: object) -> StatusEntry:
    (found,) = parse_status_entries({"credentialStatus": {**ENTRY, **members}})
    assert isinstance(found, StatusEntry)
    return found


def list_credential(bits: Bitstring | None = None, **subject: object) -> dict:
    document = build_list_credential(
        list_url=URL,
        issuer="did:example:school",
        purpose="revocation",
        bits=bits or Bitstring.zeros(),
        valid_from=NOW,
        ttl=300_000,
    )
    document["credentialSubject"].update(subject)
    return document


def test_an_entry_and_its_json() -> None:
    found = entry()
    assert (found.purpose, found.list_url, found.index, found.size) == ("revocation", URL, 94567, 1)
    assert found.to_json() == ENTRY
    assert StatusEntry("revocation", URL, 94567).to_json() == ENTRY
    assert entries_to_json([found]) == ENTRY
    assert entries_to_json([found, found]) == [ENTRY, ENTRY]


def test_no_entries() -> None:
    assert parse_status_entries({}) == ()


def test_an_entry_of_another_kind_is_kept_as_unknown() -> None:
    document = {"credentialStatus": [{"id": "https://a.example/1", "type": "1EdTechRevocationList"}, ENTRY]}
    first, second = parse_status_entries(document)
    assert first == UnknownStatusEntry(("1EdTechRevocationList",), "https://a.example/1")
    assert isinstance(second, StatusEntry)


@pytest.mark.parametrize(
    "change",
    [
        {"statusListIndex": 94567},
        {"statusListIndex": "-1"},
        {"statusListIndex": "007"},
        {"statusListIndex": "1.0"},
        {"statusListIndex": "1\n"},
        {"statusListIndex": "\u0661"},
        {"statusListIndex": ""},
        {"statusPurpose": 1},
        {"statusPurpose": ""},
        {"statusListCredential": "list"},
        {"statusListCredential": "https://a.example/" + "x" * 2048},
        {"id": URL},
        {"id": "one"},
        {"statusSize": 0},
        {"statusSize": "2"},
        {"statusSize": True},
        {"statusSize": 2},
        {"statusSize": 2, "statusMessage": MESSAGES[:3]},
        {"statusSize": 2, "statusMessage": [*MESSAGES[:3], MESSAGES[0]]},
        {"statusSize": 2, "statusMessage": [*MESSAGES[:3], {"status": "three", "message": "x"}]},
        {"statusSize": 17},
        {"type": "StatusList2021Entry", "statusPurpose": "message"},
        {"type": []},
    ],
)
def test_a_malformed_entry_is_refused_with_its_path(change: dict) -> None:
    with pytest.raises(Malformed) as caught:
        entry(**change)
    assert caught.value.problem.path[0] == "credentialStatus"


@pytest.mark.parametrize("value", [None, [], "x", [1], [ENTRY] * 17])
def test_credential_status_must_be_objects(value: object) -> None:
    with pytest.raises(Malformed):
        parse_status_entries({"credentialStatus": value})


def test_an_index_larger_than_any_list_is_out_of_range_not_malformed() -> None:
    with pytest.raises(OutOfRange) as caught:
        read_status(Bitstring.zeros(), entry(statusListIndex="9" * 40))
    assert caught.value.problem.type == problem.RANGE_ERROR


def test_published_vectors(vectors: Path) -> None:
    published = json.loads((vectors / "bitstring-status-list" / "vectors.json").read_text())
    assert bytes(decode_list(published["specExample"]["encodedList"])) == bytes(16_384)
    for vector in published["vectors"]:
        bits = decode_list(vector["encodedList"])
        assert len(bits) == published["length"]
        assert int.from_bytes(bytes(bits), "big").bit_count() == vector["count"]
        indexes = vector["indexes"]
        if isinstance(indexes, str):
            indexes = [index for index in range(published["length"]) if bits.get(index)]
            assert indexes[:6] == [2, 3, 5, 7, 11, 13]
        made = Bitstring.zeros()
        for index in indexes:
            made.set(index)
        assert made == bits
        assert decode_list(encode_list(made)) == bits


def test_the_text_is_deterministic_gzip_without_a_date() -> None:
    text = encode_list(Bitstring.zeros())
    assert text == encode_list(Bitstring.zeros())
    assert text.startswith("uH4sIAAAAAAAAA")


def test_a_bomb_is_stopped_at_the_limit() -> None:
    bomb = zlib.compressobj(9, wbits=31)
    packed = bomb.compress(bytes(MAX_BYTES + 1)) + bomb.flush()
    with pytest.raises(Malformed, match="more than"):
        decode_list("u" + encode_base64url(packed))


PACKED = gzip.compress(bytes(16_384), mtime=0)


@pytest.mark.parametrize(
    "text",
    [
        encode_base64url(PACKED),
        "z" + encode_base64url(PACKED),
        "u" + encode_base64url(PACKED) + "=",
        "u" + encode_base64url(PACKED[:-1]),
        "u" + encode_base64url(PACKED + b"\0"),
        "u" + encode_base64url(PACKED + PACKED),
        "u" + encode_base64url(PACKED[:-8] + bytes(8)),
        "u" + encode_base64url(zlib.compress(bytes(16_384))),
        "u",
        "",
    ],
)
def test_text_that_is_not_one_gzip_member_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        decode_list(text)


@settings(max_examples=80, deadline=None)
@given(st.data(), st.integers(1, 16))
def test_setting_one_status_changes_no_other(data: st.DataObject, size: int) -> None:
    before = data.draw(st.binary(min_size=8, max_size=80))
    bits = Bitstring(before)
    count = len(bits) // size
    index = data.draw(st.integers(0, count - 1))
    value = data.draw(st.integers(0, 2**size - 1))
    others = [bits.get(other, size) for other in range(count) if other != index]
    bits.set(index, value, size)
    assert bits.get(index, size) == value
    assert [bits.get(other, size) for other in range(count) if other != index] == others


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=2_000))
def test_decode_after_encode_is_identity(data: bytes) -> None:
    assert bytes(decode_list(encode_list(Bitstring(data)))) == data


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40) | st.binary(max_size=60).map(lambda data: "u" + encode_base64url(data)))
def test_decoding_raises_only_malformed(text: str) -> None:
    with contextlib.suppress(Malformed):
        decode_list(text)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_word_of_the_chain_is_32_bytes_of_the_bitstring(size: int) -> None:
    """FORMATS.md section 6: p = index · statusSize, value = (slot >> (256 - statusSize - (p & 255))) & mask."""
    bits = Bitstring.zeros(MIN_ENTRIES, size)
    mask = 2**size - 1
    for index in (0, 1, 255, 256, 300, MIN_ENTRIES - 1):
        bits.set(index, mask, size)
        p = index * size
        assert bits.word(p >> 8) >> (256 - size - (p & 255)) & mask == mask
    words = (bits.word(number) for number in range(len(bits) // 256))
    assert b"".join(word.to_bytes(32, "big") for word in words) == bytes(bits)


def test_words_beyond_the_end_are_out_of_range() -> None:
    with pytest.raises(OutOfRange):
        Bitstring.zeros().word(512)
    with pytest.raises(OutOfRange):
        Bitstring.zeros().get(-1)
    with pytest.raises(Malformed):
        Bitstring.zeros().set(0, 2)


def test_a_revoked_entry_is_found_in_its_list() -> None:
    bits = Bitstring.zeros()
    bits.set(94567)
    found = check_list_credential(list_credential(bits), entry())
    assert (found.id, found.issuer_id, found.ttl) == (URL, "did:example:school", 300_000)
    assert read_status(found.bits, entry()).valid is False
    assert read_status(found.bits, entry(id=None, statusListIndex="94568")).valid is True


def test_messages_of_two_bits() -> None:
    bits = Bitstring.zeros(MIN_ENTRIES, 2)
    bits.set(94567, 2, 2)
    given_entry = entry(statusPurpose="message", statusSize=2, statusMessage=MESSAGES)
    document = list_credential(bits, statusPurpose=["revocation", "message"])
    status = read_status(check_list_credential(document, given_entry).bits, given_entry)
    assert (status.value, status.valid, status.message) == (2, True, "m2")
    assert entry(**given_entry.to_json()) == given_entry


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_a_list_of_wider_statuses_is_issued_and_read_again(size: int) -> None:
    words = tuple(f"m{value}" for value in range(2**size))
    given_entry = StatusEntry("message", URL, 94567, size, words)
    bits = Bitstring.zeros(MIN_ENTRIES, size)
    bits.set(94567, 2**size - 1, size)
    document = build_list_credential(
        list_url=URL,
        issuer="did:example:school",
        purpose="message",
        bits=bits,
        valid_from=NOW,
        size=size,
    )
    (read_entry,) = parse_status_entries({"credentialStatus": given_entry.to_json()})
    assert isinstance(read_entry, StatusEntry)
    found = read_status(check_list_credential(document, read_entry).bits, read_entry)
    assert (found.value, found.message, found.valid) == (2**size - 1, words[-1], True)


def test_a_list_of_wider_statuses_needs_as_many_entries() -> None:
    with pytest.raises(Malformed) as caught:
        build_list_credential(
            list_url=URL, issuer="did:a:b", purpose="message", bits=Bitstring.zeros(), valid_from=NOW, size=2
        )
    assert caught.value.problem.type == problem.STATUS_LIST_LENGTH_ERROR


@pytest.mark.parametrize(("value", "word"), [(0, "unset"), (1, "set")])
def test_a_message_of_one_bit_without_words_of_its_own(value: int, word: str) -> None:
    assert entry(statusPurpose="message").message(value) == word


def test_refresh_is_information_not_invalidity() -> None:
    bits = Bitstring.zeros()
    bits.set(94567)
    assert read_status(bits, entry(statusPurpose="refresh")).valid


def test_a_status_list_shorter_than_131072_entries_is_rejected() -> None:
    document = list_credential(encodedList=encode_list(Bitstring(bytes(16_383))))
    with pytest.raises(Malformed) as caught:
        check_list_credential(document, entry())
    assert caught.value.problem.type == problem.STATUS_LIST_LENGTH_ERROR
    with pytest.raises(Malformed):
        list_credential(Bitstring(bytes(16_383)))


def test_the_minimum_counts_entries_not_bits() -> None:
    with pytest.raises(Malformed) as caught:
        check_list_credential(list_credential(), entry(statusSize=2, statusMessage=MESSAGES))
    assert caught.value.problem.type == problem.STATUS_LIST_LENGTH_ERROR


@pytest.mark.parametrize(
    "subject",
    [{"statusPurpose": "suspension"}, {"type": "Other"}, {"statusSize": 2}],
)
def test_a_list_for_something_else_is_not_verified(subject: dict) -> None:
    with pytest.raises(NotVerified) as caught:
        check_list_credential(list_credential(**subject), entry())
    assert caught.value.problem.type == problem.STATUS_VERIFICATION_ERROR


@pytest.mark.parametrize(
    "subject", [{"encodedList": 1}, {"ttl": 0}, {"ttl": "1"}, {"statusPurpose": []}, {"statusSize": "1"}]
)
def test_a_malformed_list_is_refused(subject: dict) -> None:
    with pytest.raises(Malformed):
        check_list_credential(list_credential(**subject), entry())


def test_another_list_of_the_same_issuer_is_not_taken() -> None:
    document = {**list_credential(), "id": URL + "4"}
    with pytest.raises(NotVerified):
        check_list_credential(document, entry())
    del document["id"]
    check_list_credential(document, entry())
    with pytest.raises(NotVerified):
        check_list_credential(document, entry(), stapled=True)


@pytest.mark.parametrize("padding", ["", "="])
def test_status_list_2021_is_read(padding: str) -> None:
    bits = bytearray(16_384)
    bits[0] = 0x80
    packed = gzip.compress(bytes(bits), mtime=0)
    text = encode_base64url(packed)
    text += padding * (-len(text) % 4)
    document = {
        "@context": ["https://www.w3.org/2018/credentials/v1", "https://w3id.org/vc/status-list/2021/v1"],
        "id": URL,
        "type": ["VerifiableCredential", "StatusList2021Credential"],
        "issuer": "did:example:school",
        "issuanceDate": "2021-04-05T14:27:40Z",
        "credentialSubject": {
            "id": f"{URL}#list",
            "type": "StatusList2021",
            "statusPurpose": "revocation",
            "encodedList": text,
        },
    }
    old = entry(type="StatusList2021Entry", statusListIndex="0", id=f"{URL}#0")
    assert read_status(check_list_credential(document, old).bits, old).valid is False
    with pytest.raises(NotVerified):
        check_list_credential(document, entry())


def test_the_revocation_list_of_1edtech_s_samples(vectors: Path) -> None:
    """Their entry writes its index as a number, which the standard refuses; their list is sound."""
    folder = vectors / "ob3-1edtech" / "bit-string-list"
    credential = json.loads((folder / "credential-status-revoked.json").read_text())
    with pytest.raises(Malformed, match="statusListIndex"):
        parse_status_entries(credential)
    document = json.loads((folder / "testlist").read_text())
    asked = StatusEntry("revocation", document["id"], 23)
    assert read_status(check_list_credential(document, asked).bits, asked).value == 1
