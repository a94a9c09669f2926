"""Token Status Lists: the draft's vectors, and one refusal for each of its rules."""

from __future__ import annotations

import contextlib
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core import problem
from node.core.cbor import encode_cbor
from node.core.encoding import encode_base64url
from node.core.errors import BonafidesError, Malformed, NotVerified
from node.core.jose.jws import algorithm_of, prepare_jws
from node.core.keys import KeyKind
from node.core.status.bitstring import MAX_BYTES, OutOfRange
from node.core.status.entry import UnknownStatusEntry
from node.core.status.status_list import Status
from node.core.status.token_status_list import (
    StatusListToken,
    TokenStatusEntry,
    check_status_list_token,
    parse_status_list_token,
    parse_token_status,
    read_token_status,
    status_at,
)
from node.keystore import generate_secret, signer_of

URI = "https://issuer.example/tsl/1"
NOW = datetime(2026, 1, 1, tzinfo=UTC)
SIGNER = signer_of(KeyKind.P256, generate_secret(KeyKind.P256))
CLAIM = {"status": {"status_list": {"idx": 3, "uri": URI}}}
# Appendix C, one bit: 2^20 entries, all 0 but these.
LONG = (
    "eNrt3AENwCAMAEGogklACtKQPg9LugC9k_ACvreiogEAAKkeCQAAAAAAAAAAAAAAAAAAAIBylgQAAAAAAAAAAAAAAA"
    "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAXG9IAAAAAAAAAPwsJAAAAAAAAAAAAAAAvhsSAAAAAAAAAAAA7KpL"
    "AAAAAAAAAAAAAAAAAAAAAJsLCQAAAAAAAAAAADjelAAAAAAAAAAAKjDMAQAAAACAZC8L2AEb"
)
LONG_SET = {0, 1993, 25460, 159495, 495669, 554353, 645645, 723232, 854545, 934534, 1000345}


def packed(statuses: bytes) -> str:
    return encode_base64url(zlib.compress(statuses, 9))


def claims(**changes: Any) -> dict[str, Any]:
    made = {
        "sub": URI,
        "iss": "https://issuer.example",
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 3600,
        "ttl": 600,
        "status_list": {"bits": 1, "lst": packed(bytes.fromhex("b9a3"))},
        **changes,
    }
    return {name: value for name, value in made.items() if value is not None}


def token(header: dict[str, Any] | None = None, **changes: Any) -> str:
    head = {"alg": algorithm_of(SIGNER.public_key.kind), "typ": "statuslist+jwt", **(header or {})}
    prepared = prepare_jws(head, claims(**changes))
    return prepared.finish(SIGNER.sign(prepared.message))


def read(**changes: Any) -> StatusListToken:
    return parse_status_list_token(token(**changes))


def entry(index: int = 3) -> TokenStatusEntry:
    return TokenStatusEntry(URI, index)


def test_a_token_says_where_its_status_is() -> None:
    assert parse_token_status(CLAIM) == TokenStatusEntry(URI, 3)
    assert parse_token_status({"status": {"status_list": {"idx": 0, "uri": URI}}}) == TokenStatusEntry(URI, 0)
    assert parse_token_status({}) is None
    assert parse_token_status({"status": {"other": 1}}) == UnknownStatusEntry(("other",), None)


@pytest.mark.parametrize(
    "status",
    [
        None,
        {},
        [],
        {"status_list": None},
        {"status_list": {"uri": URI}},
        {"status_list": {"idx": "3", "uri": URI}},
        {"status_list": {"idx": -1, "uri": URI}},
        {"status_list": {"idx": True, "uri": URI}},
        {"status_list": {"idx": 1.0, "uri": URI}},
        {"status_list": {"idx": 3}},
        {"status_list": {"idx": 3, "uri": "tsl/1"}},
        {"status_list": {"idx": 3, "uri": "https://issuer.example/" + "x" * 2048}},
    ],
)
def test_a_malformed_status_claim_is_refused_with_its_path(status: object) -> None:
    with pytest.raises(Malformed) as caught:
        parse_token_status({"status": status})
    assert caught.value.problem.path[0] == "status"


def test_the_statuses_of_one_bit_in_section_4() -> None:
    statuses = bytes.fromhex("b9a3")
    assert [status_at(statuses, index, 1) for index in range(16)] == [
        *(1, 0, 0, 1, 1, 1, 0, 1),
        *(1, 1, 0, 0, 0, 1, 0, 1),
    ]
    assert packed(statuses) == "eNrbuRgAAhcBXQ"


def test_the_statuses_of_two_bits_in_section_4() -> None:
    statuses = bytes.fromhex("c944f9")
    assert [status_at(statuses, index, 2) for index in range(12)] == [1, 2, 0, 3, 0, 1, 0, 1, 1, 2, 3, 3]
    assert packed(statuses) == "eNo76fITAAPfAgc"


def test_the_long_list_of_appendix_c() -> None:
    found = read(status_list={"bits": 1, "lst": LONG})
    for index in LONG_SET:
        assert read_token_status(found, entry(index)).value == 1
    for index in {index + 1 for index in LONG_SET} | {2**20 - 1}:
        assert read_token_status(found, entry(index)).value == 0
    with pytest.raises(OutOfRange):
        read_token_status(found, entry(2**20))


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
def test_a_status_stands_in_its_bits_counted_from_the_lowest(bits: int) -> None:
    values = [(index * 5 + 1) % 2**bits for index in range(64)]
    number = sum(value << bits * index for index, value in enumerate(values))
    statuses = number.to_bytes(64 * bits // 8, "little")
    assert [status_at(statuses, index, bits) for index in range(64)] == values


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, Status(0, "revocation", valid=True)),
        (1, Status(1, "revocation", valid=False)),
        (2, Status(2, "suspension", valid=False)),
    ],
)
def test_the_registered_values_and_what_they_mean(value: int, expected: Status) -> None:
    found = read(status_list={"bits": 8, "lst": packed(bytes([9, 9, 9, value]))})
    assert read_token_status(found, entry()) == expected


@pytest.mark.parametrize("value", [3, 4, 11, 12, 15, 16, 255])
def test_from_a_value_without_a_registered_meaning_nothing_is_concluded(value: int) -> None:
    found = read(status_list={"bits": 8, "lst": packed(bytes([0, 0, 0, value]))})
    with pytest.raises(NotVerified) as caught:
        read_token_status(found, entry())
    assert caught.value.problem.type == problem.STATUS_VERIFICATION_ERROR


@pytest.mark.parametrize("index", [16, 2**53 - 1, -1])
def test_an_index_beyond_the_list_is_out_of_range(index: int) -> None:
    with pytest.raises(OutOfRange) as caught:
        read_token_status(read(), entry(index))
    assert caught.value.problem.type == problem.RANGE_ERROR


def test_a_list_of_the_entry_that_has_not_expired_is_taken() -> None:
    found = read()
    found.verify(SIGNER.public_key)
    check_status_list_token(found, entry(), NOW)
    assert (found.ttl_seconds, found.issuer) == (600, "https://issuer.example")
    check_status_list_token(read(exp=None), entry(), NOW + timedelta(days=900))


@pytest.mark.parametrize(
    ("changes", "at"),
    [
        ({"sub": URI + "0"}, NOW),
        ({}, NOW + timedelta(hours=1)),
        ({}, NOW - timedelta(seconds=61)),
    ],
    ids=["another list", "expired at this very moment", "made later"],
)
def test_a_list_that_does_not_answer_is_not_verified(changes: dict[str, Any], at: datetime) -> None:
    with pytest.raises(NotVerified) as caught:
        check_status_list_token(read(**changes), entry(), at)
    assert caught.value.problem.type == problem.STATUS_VERIFICATION_ERROR


def test_clocks_may_differ_by_a_minute() -> None:
    check_status_list_token(read(), entry(), NOW - timedelta(seconds=60))


@pytest.mark.parametrize("kid", [1, ["k"], {}])
def test_a_key_id_that_is_no_text_is_malformed(kid: object) -> None:
    with pytest.raises(Malformed, match="kid"):
        parse_status_list_token(token({"kid": kid}))


def test_a_list_signed_by_another_key_is_not_verified() -> None:
    other = signer_of(KeyKind.P256, generate_secret(KeyKind.P256))
    with pytest.raises(NotVerified):
        read().verify(other.public_key)


@pytest.mark.parametrize("typ", ["JWT", "statuslist", "application/statuslist+cwt", None])
def test_a_token_of_another_type_is_no_list(typ: str | None) -> None:
    with pytest.raises(NotVerified, match="typ"):
        parse_status_list_token(token({"typ": typ}))


@pytest.mark.parametrize(
    "changes",
    [
        {"sub": None},
        {"sub": 1},
        {"iss": 1},
        {"iat": None},
        {"iat": "now"},
        {"iat": True},
        {"iat": 10**15},
        {"exp": "later"},
        {"ttl": 0},
        {"ttl": 1.5},
        {"status_list": None},
        {"status_list": []},
        {"status_list": {"bits": 1}},
        {"status_list": {"lst": "eNrbuRgAAhcBXQ"}},
        {"status_list": {"bits": 3, "lst": "eNrbuRgAAhcBXQ"}},
        {"status_list": {"bits": True, "lst": "eNrbuRgAAhcBXQ"}},
        {"status_list": {"bits": "1", "lst": "eNrbuRgAAhcBXQ"}},
        {"status_list": {"bits": 1, "lst": "eNrbuRgAAhcBXQ="}},
        {"status_list": {"bits": 1, "lst": ["eNrbuRgAAhcBXQ"]}},
    ],
)
def test_a_token_that_breaks_section_5_is_malformed(changes: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        read(**changes)


@pytest.mark.parametrize(
    "lst",
    [
        zlib.compress(b"\xb9\xa3")[:-1],
        zlib.compress(b"\xb9\xa3") + b"\0",
        zlib.compress(b"\xb9\xa3", wbits=31),
        zlib.compress(b"\xb9\xa3", wbits=-15),
        zlib.compress(b"\xb9\xa3")[:-4] + bytes(4),
        zlib.compress(bytes(MAX_BYTES + 1)),
        b"",
    ],
    ids=["cut short", "bytes after it", "gzip", "bare deflate", "wrong checksum", "bomb", "empty"],
)
def test_a_list_that_is_not_one_zlib_stream_within_the_limit_is_malformed(lst: bytes) -> None:
    found = read(status_list={"bits": 1, "lst": encode_base64url(lst)})
    with pytest.raises(Malformed) as caught:
        read_token_status(found, entry())
    assert not isinstance(caught.value, OutOfRange)


def cwt(
    *,
    typ: str | None = "application/statuslist+cwt",
    tag: bytes = b"\xd2",
    lst: Any = zlib.compress(bytes.fromhex("b9a3")),  # noqa: B008
    kid: bytes | None = b"key-1",
    **changes: Any,
) -> bytes:
    """The list of `token`, as a CWT."""
    labels = {"sub": 2, "iss": 1, "iat": 6, "exp": 4, "ttl": 65534, "status_list": 65533}
    said = claims(**{"status_list": {"bits": 1, "lst": lst}, **changes})
    header = {1: -7, 4: kid, 16: typ}
    protected = encode_cbor({label: value for label, value in header.items() if value is not None})
    payload = encode_cbor({labels[name]: value for name, value in said.items()})
    message = encode_cbor(["Signature1", protected, b"", payload])
    return tag + encode_cbor([protected, {}, payload, SIGNER.sign(message)])


def test_a_list_in_cbor_says_the_same() -> None:
    found, other = parse_status_list_token(cwt()), read()
    found.verify(SIGNER.public_key)
    check_status_list_token(found, entry(), NOW)
    assert (found.subject, found.issuer, found.ttl_seconds) == (URI, "https://issuer.example", 600)
    assert (found.issued_at, found.expires, found.kid) == (other.issued_at, other.expires, "key-1")
    for index in range(16):
        assert read_token_status(found, entry(index)) == read_token_status(other, entry(index))


def test_a_list_in_cbor_signed_by_another_key_is_not_verified() -> None:
    other = signer_of(KeyKind.P256, generate_secret(KeyKind.P256))
    with pytest.raises(NotVerified):
        parse_status_list_token(cwt()).verify(other.public_key)


@pytest.mark.parametrize(
    "changes",
    [
        {"typ": "application/statuslist+jwt"},
        {"typ": None},
        {"tag": b""},
        {"tag": b"\xd8\x3d\xd2"},
        {"sub": None},
        {"iat": None},
        {"ttl": 0},
        {"lst": None},
        {"lst": 1},
        {"status_list": {"bits": 3, "lst": b""}},
    ],
    ids=[
        *(
            "type of a JWT",
            "no type",
            "no tag",
            "tagged as CWT",
            "no subject",
            "no moment",
            "no time to live",
        ),
        *("no list", "number for a list", "three bits"),
    ],
)
def test_a_token_in_cbor_that_breaks_section_5_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((Malformed, NotVerified)):
        parse_status_list_token(cwt(**changes))


def test_nothing_is_unpacked_before_the_signature_was_asked_for() -> None:
    """Reading a token with a bomb in it costs no more than its own text."""
    assert read(status_list={"bits": 1, "lst": packed(bytes(MAX_BYTES + 1))}).bits == 1


@given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_-]{1,20}(\.[A-Za-z0-9_-]{1,20}){2}", fullmatch=True))
def test_reading_raises_only_errors_of_ours(text: str) -> None:
    with contextlib.suppress(BonafidesError):
        parse_status_list_token(text)


@given(st.binary(max_size=80).map(lambda data: b"\xd2" + data) | st.binary(max_size=40))
def test_reading_bytes_raises_only_errors_of_ours(data: bytes) -> None:
    with contextlib.suppress(BonafidesError):
        parse_status_list_token(data)


@given(st.binary(max_size=120))
def test_a_payload_of_any_bytes_raises_only_errors_of_ours(payload: bytes) -> None:
    protected = encode_cbor({1: -7, 16: "application/statuslist+cwt"})
    with contextlib.suppress(BonafidesError):
        parse_status_list_token(b"\xd2" + encode_cbor([protected, {}, payload, bytes(64)]))
