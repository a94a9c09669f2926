"""did:ethr: names, events and the documents that follow from them."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core import problem
from node.core.did.ethr import (
    ATTRIBUTE_CHANGED,
    DELEGATE_CHANGED,
    MAX_VALUE_BYTES,
    MULTIKEY_ATTRIBUTE,
    OWNER_CHANGED,
    AttributeChanged,
    DelegateChanged,
    EthrEvent,
    OwnerChanged,
    decode_log,
    delegate_number,
    document_from_events,
    parse_did_ethr,
    previous_change,
)
from node.core.did.ethr_identity import checksum_address, did_ethr
from node.core.did.resolution import ResolutionResult
from node.core.errors import Malformed, NotFound, Unavailable
from node.core.keys import KeyKind, PublicKey

IDENTITY = bytes.fromhex("f3beac30c498d9e26865f34fcaa57dbb935b0d74")
DID = "did:ethr:0x7a69:0x" + IDENTITY.hex()
OTHER = bytes.fromhex("7e5f4552091a69125d5dfcb7b8c2659029395bdf")  # the address of the private key 1
KEY_TEXT = "0x0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"
KEY = PublicKey(KeyKind.ED25519, bytes(range(32)))
NEW_KEY = PublicKey(KeyKind.ED25519, bytes(range(1, 33)))
NOW = 1_800_000_000
FAR = NOW + 10**6


def word(text: str | bytes) -> bytes:
    return (text.encode() if isinstance(text, str) else text).ljust(32, b"\0")


def attribute(
    block: int,
    name: str | bytes,
    value: bytes = b"\1\2",
    valid_to: int = FAR,
    *,
    index: int = 0,
    previous: int = 0,
) -> AttributeChanged:
    return AttributeChanged(IDENTITY, block, index, previous, word(name), value, valid_to)


def delegate(block: int, kind: str, valid_to: int = FAR, address: bytes = OTHER) -> DelegateChanged:
    return DelegateChanged(IDENTITY, block, 0, 0, word(kind), address, valid_to)


def owner(block: int, address: bytes) -> OwnerChanged:
    return OwnerChanged(IDENTITY, block, 0, 0, address)


def multikey(block: int, key: PublicKey = KEY, valid_to: int = FAR) -> AttributeChanged:
    return attribute(block, MULTIKEY_ATTRIBUTE, key.multicodec_bytes, valid_to)


def resolve(*events: EthrEvent, did: str = DID, **changes: Any) -> ResolutionResult:
    return document_from_events(parse_did_ethr(did), events, **({"block_time": NOW} | changes))


def ids(result: ResolutionResult, member: str = "verificationMethod") -> list[str]:
    items = result.document.to_json().get(member, [])
    return [(item if isinstance(item, str) else item["id"]).rpartition("#")[2] for item in items]


@pytest.mark.parametrize(
    ("text", "chain_id"),
    [
        ("did:ethr:0x" + IDENTITY.hex(), 1),
        ("did:ethr:mainnet:0x" + IDENTITY.hex(), 1),
        ("did:ethr:sepolia:0x" + IDENTITY.hex().upper(), 11155111),
        ("did:ethr:0x7A69:" + checksum_address(IDENTITY), 31337),
        ("did:ethr:0x00007a69:0x" + IDENTITY.hex(), 31337),
    ],
)
def test_every_legal_form_is_read_as_chain_and_identity(text: str, chain_id: int) -> None:
    did = parse_did_ethr(text)
    assert (did.text, did.chain_id, did.identity, did.public_key) == (text, chain_id, IDENTITY, None)
    assert did.canonical == did_ethr(chain_id, IDENTITY)


def test_the_identity_of_a_public_key_is_the_hash_of_its_point() -> None:
    did = parse_did_ethr(f"did:ethr:0x1:{KEY_TEXT}")
    assert did.identity == OTHER
    assert did.public_key is not None
    assert did.canonical == "did:ethr:0x1:0x7e5f4552091a69125d5dfcb7b8c2659029395bdf"


@pytest.mark.parametrize(
    "text",
    [
        "did:ethr:0x" + IDENTITY.hex()[:-1],
        "did:ethr:0x" + IDENTITY.hex() + "0",
        "did:ethr:" + IDENTITY.hex(),
        "did:ethr:0x0:0x" + IDENTITY.hex(),
        "did:ethr:0x20000000000000:0x" + IDENTITY.hex(),
        "did:ethr:0x1:0x05" + "00" * 32,
        "did:ethr:0x1:0x02" + "ff" * 32,
        "did:pkh:0x" + IDENTITY.hex(),
        "did:ethr:",
    ],
)
def test_what_names_no_identity_is_malformed(text: str) -> None:
    with pytest.raises(Malformed) as caught:
        parse_did_ethr(text)
    assert caught.value.problem.type == problem.INVALID_DID


@pytest.mark.parametrize("network", ["nowhere", "0x", "0xg", "a:b", "Mainnet"])
def test_a_network_without_a_number_of_ours_could_not_be_told(network: str) -> None:
    with pytest.raises(Unavailable) as caught:
        parse_did_ethr(f"did:ethr:{network}:0x{IDENTITY.hex()}")
    assert caught.value.problem.type == problem.METHOD_NOT_SUPPORTED


def test_addresses_are_written_with_their_checksum() -> None:
    # The examples of EIP-55.
    for text in ("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB"):
        assert checksum_address(bytes.fromhex(text[2:])) == text


def test_an_identity_that_was_never_changed_has_its_controller_alone() -> None:
    result = resolve()
    assert result.to_json() == {
        "didDocument": {
            "@context": [
                "https://www.w3.org/ns/did/v1",
                "https://w3id.org/security/suites/secp256k1recovery-2020/v2",
                "https://w3id.org/security/v3-unstable",
            ],
            "id": DID,
            "verificationMethod": [
                {
                    "id": DID + "#controller",
                    "type": "EcdsaSecp256k1RecoveryMethod2020",
                    "controller": DID,
                    "blockchainAccountId": "eip155:31337:0xF3beAC30C498D9E26865F34fCAa57dBB935b0D74",
                }
            ],
            "authentication": [DID + "#controller"],
            "assertionMethod": [DID + "#controller"],
        },
        "didDocumentMetadata": {},
        "didResolutionMetadata": {"contentType": "application/did+ld+json"},
    }
    assert result.document.method(DID + "#controller", "assertionMethod").public_key is None


def test_our_assertion_key_is_a_multikey_that_may_assert_and_nothing_else() -> None:
    document = resolve(multikey(5)).document
    method = document.method(DID + "#delegate-1", "assertionMethod")
    assert method.public_key == KEY
    assert method.raw == {
        "id": DID + "#delegate-1",
        "type": "Multikey",
        "controller": DID,
        "publicKeyMultibase": KEY.multibase,
    }
    assert DID + "#delegate-1" not in document.relationships["authentication"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (
            "did/pub/Secp256k1/veriKey/hex",
            {"type": "EcdsaSecp256k1VerificationKey2019", "publicKeyHex": "0102"},
        ),
        ("did/pub/Secp256k1/sigAuth", {"type": "EcdsaSecp256k1VerificationKey2019", "publicKeyHex": "0102"}),
        ("did/pub/Ed25519/veriKey/base64", {"type": "Ed25519VerificationKey2018", "publicKeyBase64": "AQI="}),
        ("did/pub/Ed25519/sigAuth/base58", {"type": "Ed25519VerificationKey2018", "publicKeyBase58": "5T"}),
        ("did/pub/X25519/enc/base58", {"type": "X25519KeyAgreementKey2019", "publicKeyBase58": "5T"}),
        ("did/pub/RSA/veriKey/pem", {"type": "RSAVerificationKey2018", "publicKeyPem": "\1\2"}),
        ("did/pub/Multikey/veriKey/base58", {"type": "Multikey", "publicKeyBase58": "5T"}),
        ("did/pub/Multikey/veriKey/hex", {"type": "Multikey", "publicKeyMultibase": "z5T"}),
        ("did/pub/Anything/veriKey/shape", {"type": "Anything", "value": "0102"}),
        ("did/pub/Anything", {"type": "Anything", "publicKeyHex": "0102"}),
    ],
)
def test_algorithm_usage_and_encoding_are_written_as_the_resolver_writes_them(
    name: str, expected: dict[str, str]
) -> None:
    result = resolve(attribute(5, name))
    raw = result.document.to_json()["verificationMethod"][1]
    assert raw == {"id": DID + "#delegate-1", "controller": DID} | expected
    assert ("delegate-1" in ids(result, "authentication")) is ("sigAuth" in name)
    assert ("delegate-1" in ids(result, "keyAgreement")) is ("enc" in name)
    assert ("delegate-1" in ids(result, "assertionMethod")) is ("enc" not in name)


def test_ids_count_every_event_revocations_included() -> None:
    result = resolve(
        multikey(1),
        multikey(2, valid_to=0),
        delegate(3, "veriKey"),
        delegate(4, "veriKey", valid_to=NOW - 1),
        attribute(5, "did/svc/Hub", b"https://hub.example"),
        delegate(6, "sigAuth"),
        multikey(7, NEW_KEY),
        delegate(8, "unknown"),
        multikey(9),
    )
    assert ids(result) == ["controller", "delegate-5", "delegate-6", "delegate-8"]
    assert ids(result, "authentication") == ["controller", "delegate-5"]
    assert ids(result, "service") == ["service-1"]


def test_events_of_one_block_count_in_the_order_of_their_logs() -> None:
    first, second = attribute(5, "did/pub/A/veriKey", index=1), attribute(5, "did/pub/B/veriKey", index=2)
    result = resolve(second, first)
    assert [method.type for method in result.document.methods[1:]] == ["A", "B"]


def test_adding_a_key_again_gives_it_a_new_id_in_its_old_place() -> None:
    result = resolve(multikey(1), multikey(2, NEW_KEY), multikey(3))
    assert ids(result) == ["controller", "delegate-3", "delegate-2"]


def test_an_entry_counts_until_its_last_second_is_over() -> None:
    assert "delegate-1" in ids(resolve(multikey(1, valid_to=NOW)))
    assert "delegate-1" not in ids(resolve(multikey(1, valid_to=NOW - 1)))


def test_a_name_that_is_no_text_counts_nowhere() -> None:
    result = resolve(attribute(1, b"did/pub/\xff", valid_to=0), multikey(2))
    assert ids(result) == ["controller", "delegate-1"]
    assert result.version_id == 2


def test_a_revoked_agreement_key_leaves_its_reference_as_the_resolver_does() -> None:
    result = resolve(attribute(1, "did/pub/X25519/enc"), attribute(2, "did/pub/X25519/enc", valid_to=0))
    assert (ids(result), ids(result, "keyAgreement")) == (["controller"], ["delegate-1"])


@pytest.mark.parametrize(
    ("value", "endpoint"),
    [
        (b"https://hub.example", "https://hub.example"),
        (b'{"uri":"https://hub.example","accept":["a"]}', {"uri": "https://hub.example", "accept": ["a"]}),
        (b'{"a":1,"a":2}', '{"a":1,"a":2}'),
        (b"42", 42),
    ],
)
def test_the_endpoint_of_a_service_is_json_where_it_can_be(value: bytes, endpoint: object) -> None:
    service = resolve(attribute(1, "did/svc/Hub", value)).document.to_json()["service"]
    assert service == [{"id": DID + "#service-1", "type": "Hub", "serviceEndpoint": endpoint}]


def test_a_service_that_is_no_text_is_counted_and_not_shown() -> None:
    result = resolve(attribute(1, "did/svc/Hub", b"\xff"), attribute(2, "did/svc/Hub", b"a"))
    assert ids(result, "service") == ["service-2"]


def test_a_change_of_owner_takes_the_key_of_the_identifier_away() -> None:
    did = f"did:ethr:0x7a69:{KEY_TEXT}"
    assert ids(resolve(did=did)) == ["controller", "controllerKey"]
    assert resolve(did=did).document.methods[1].public_key == parse_did_ethr(did).public_key
    moved = OwnerChanged(OTHER, 4, 0, 0, IDENTITY)
    back = OwnerChanged(OTHER, 5, 0, 0, OTHER)
    assert ids(resolve(moved, did=did)) == ["controller"]
    assert ids(resolve(moved, back, did=did)) == ["controller", "controllerKey"]


def test_owner_zero_deactivates_for_good() -> None:
    result = resolve(multikey(3), owner(7, bytes(20)), owner(9, OTHER), at_block=8, block_times={7: NOW})
    assert result.deactivated
    assert result.document.methods == ()
    assert ids(result, "assertionMethod") == []
    assert result.to_json()["didDocumentMetadata"] == {
        "deactivated": True,
        "versionId": "7",
        "updated": "2027-01-15T08:00:00Z",
    }


def test_a_version_sees_the_events_up_to_its_block_at_the_time_of_its_block() -> None:
    events = (multikey(3, valid_to=NOW - 50), multikey(5, NEW_KEY), multikey(8, valid_to=0))
    times = {3: NOW - 100, 5: NOW - 10, 8: NOW}
    result = resolve(*events, at_block=4, block_time=NOW - 60, block_times=times)
    assert ids(result) == ["controller", "delegate-1"]
    assert (result.version_id, result.next_version_id) == (3, 5)
    assert result.next_update is not None
    assert ids(resolve(*events, at_block=5, block_time=NOW - 10)) == ["controller", "delegate-2"]
    before = resolve(*events, at_block=2, block_time=NOW - 200)
    assert (before.version_id, before.next_version_id) == (None, 3)


def test_the_document_is_named_as_the_did_was_written() -> None:
    written = DID.replace("0x7a69", "0x07A69")
    document = resolve(multikey(1), did=written).document
    assert document.id == written
    assert document.method(written + "#delegate-1", "assertionMethod").public_key == KEY


def test_an_event_of_another_identity_is_malformed() -> None:
    with pytest.raises(Malformed):
        resolve(OwnerChanged(OTHER, 1, 0, 0, OTHER))


def test_an_issuer_finds_the_number_of_its_key() -> None:
    events = (multikey(1), delegate(2, "veriKey"), multikey(3, NEW_KEY), multikey(4, valid_to=0))
    assert delegate_number(events, NEW_KEY, block_time=NOW) == 3
    assert delegate_number(events, KEY, block_time=NOW, at_block=3) == 1
    for found in ((), events, (*events, owner(9, bytes(20)))):
        with pytest.raises(NotFound):
            delegate_number(found, KEY, block_time=NOW)


def test_of_several_events_in_a_block_the_first_points_further_back() -> None:
    assert previous_change([attribute(9, "a", previous=4), attribute(9, "b", previous=9)], 9) == 4
    assert previous_change([attribute(9, "a", previous=0)], 9) == 0


def log(topic: bytes, *words: bytes | int, **changes: Any) -> dict[str, Any]:
    data = b"".join(
        item.to_bytes(32, "big") if isinstance(item, int) else item.rjust(32, b"\0") for item in words
    )
    return {
        "topics": ["0x" + topic.hex(), "0x" + IDENTITY.rjust(32, b"\0").hex()],
        "data": "0x" + data.hex(),
        "blockNumber": "0x9",
        "logIndex": "0x2",
    } | changes


NAME = word(MULTIKEY_ATTRIBUTE)


def test_logs_decode_to_the_events_they_tell() -> None:
    assert decode_log(log(OWNER_CHANGED, OTHER, 4)) == OwnerChanged(IDENTITY, 9, 2, 4, OTHER)
    assert decode_log(log(DELEGATE_CHANGED, word("sigAuth"), OTHER, FAR, 4)) == DelegateChanged(
        IDENTITY, 9, 2, 4, word("sigAuth"), OTHER, FAR
    )
    value = log(ATTRIBUTE_CHANGED, NAME, 128, FAR, 9, 3, word(b"abc"))
    assert decode_log(value) == AttributeChanged(IDENTITY, 9, 2, 9, NAME, b"abc", FAR)


def test_a_value_may_be_as_long_as_our_registry_takes_it() -> None:
    contract = (Path(__file__).parents[4] / "contracts" / "DIDRegistry.vy").read_text(encoding="utf-8")
    assert f"_MAX_VALUE: constant(uint256) = {MAX_VALUE_BYTES}\n" in contract
    event = decode_log(log(ATTRIBUTE_CHANGED, NAME, 128, FAR, 9, MAX_VALUE_BYTES, b"\1" * MAX_VALUE_BYTES))
    assert isinstance(event, AttributeChanged)
    assert event.value == b"\1" * MAX_VALUE_BYTES


def test_an_event_that_is_not_of_the_registry_is_left_out() -> None:
    assert decode_log(log(bytes(32), 1)) is None
    assert decode_log(log(OWNER_CHANGED, OTHER, 4, topics=[])) is None


@pytest.mark.parametrize(
    "broken",
    [
        log(OWNER_CHANGED, OTHER),
        log(OWNER_CHANGED, bytes([1]) * 32, 4),
        log(DELEGATE_CHANGED, word("sigAuth"), OTHER, FAR),
        log(ATTRIBUTE_CHANGED, NAME, 129, FAR, 9, 3),
        log(ATTRIBUTE_CHANGED, NAME, 2**255, FAR, 9, 3),
        log(ATTRIBUTE_CHANGED, NAME, 128, FAR, 9, 33, word(b"abc")),
        log(ATTRIBUTE_CHANGED, NAME, 128, FAR, 9, MAX_VALUE_BYTES + 1, bytes(MAX_VALUE_BYTES + 32)),
        log(OWNER_CHANGED, OTHER, 4, topics=None),
        log(OWNER_CHANGED, OTHER, 4, topics=["0x" + OWNER_CHANGED.hex(), "0x00"]),
        log(OWNER_CHANGED, OTHER, 4, data="0x0"),
        log(OWNER_CHANGED, OTHER, 4, blockNumber=9),
        log(OWNER_CHANGED, OTHER, 4, logIndex=None),
    ],
)
def test_a_log_that_is_broken_is_malformed(broken: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode_log(broken)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from([OWNER_CHANGED, DELEGATE_CHANGED, ATTRIBUTE_CHANGED]),
    st.lists(st.integers(0, 200) | st.integers(0, 2**256 - 1) | st.binary(max_size=32), max_size=7),
)
def test_hostile_logs_raise_malformed_and_nothing_else(topic: bytes, words: list[bytes | int]) -> None:
    with contextlib.suppress(Malformed):
        event = decode_log(log(topic, *words))
        assert event is not None
        resolve(event)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["did/pub/Multikey/veriKey", "did/pub/A/enc/x", "did/svc/S", "did/pub/", "x"]),
            st.binary(max_size=4),
            st.sampled_from([0, FAR]),
        ),
        max_size=12,
    )
)
def test_no_id_ever_names_two_keys(changes: list[tuple[str, bytes, int]]) -> None:
    events = [attribute(block, *change) for block, change in enumerate(changes, 1)]
    seen: dict[str, dict[str, Any]] = {}
    for block in range(len(events) + 1):
        for method in resolve(*events, at_block=block).document.methods:
            assert seen.setdefault(method.id, method.raw) == method.raw


SERIES = json.loads((Path(__file__).parents[3] / "vectors/did-ethr/series.json").read_text())


@pytest.mark.parametrize(
    "case", SERIES["cases"], ids=lambda case: f"{len(case['did'])} letters at {case['versionId'] or 'latest'}"
)
def test_every_version_of_a_recorded_life_is_what_the_resolver_wrote(case: dict[str, Any]) -> None:
    events = [event for log in SERIES["logs"] if (event := decode_log(log)) is not None]
    times = {int(block): moment for block, moment in SERIES["blockTimes"].items()}
    version = case["versionId"]
    result = document_from_events(
        parse_did_ethr(case["did"]),
        events,
        block_time=SERIES["now"] if version is None else times[version],
        at_block=version,
        block_times=times,
    )
    assert result.to_json() == case["result"]
