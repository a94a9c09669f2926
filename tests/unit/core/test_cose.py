"""COSE_Sign1: what is prepared is read by another library and by us, and each rule of reading has its defect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cbor2
import pytest

from node.core.cose import parse_cose_sign1, prepare_cose, verify_cose_sign1
from node.core.errors import Malformed, NotVerified
from node.core.keys import KeyKind
from node.keystore import generate_secret, signer_of

KINDS = (KeyKind.ED25519, KeyKind.P256, KeyKind.P384, KeyKind.P521, KeyKind.SECP256K1)
SIGNER = signer_of(KeyKind.ED25519, bytes(range(32)))
KID = "did:example:school#key-1"
DOCUMENT = {"a": 1}


def token(kind: KeyKind = KeyKind.ED25519) -> bytes:
    signer = SIGNER if kind is KeyKind.ED25519 else signer_of(kind, generate_secret(kind))
    prepared = prepare_cose(DOCUMENT, "application/vc", signer.public_key, KID)
    made = prepared.finish(signer.sign(prepared.message))
    verify_cose_sign1(parse_cose_sign1(made), signer.public_key)
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_prepared_has_the_headers_of_vc_jose_cose(kind: KeyKind) -> None:
    made = cbor2.loads(token(kind))
    assert made.tag == 18
    protected, unsigned, payload, _ = made.value
    headers = cbor2.loads(protected)
    assert (headers[3], headers[4], headers[16]) == ("application/vc", KID.encode(), "application/vc+cose")
    assert (headers[1], unsigned, payload) == (
        {"Ed25519": -8, "P-256": -7, "P-384": -35, "P-521": -36, "secp256k1": -47}[kind],
        {},
        b'{"a":1}',
    )


def parts(headers: dict[Any, Any] | None = None) -> list[Any]:
    return [cbor2.dumps(headers or {1: -8}), {}, b"{}", bytes(64)]


def test_the_tag_may_be_left_out_and_other_headers_said_without_a_signature() -> None:
    bare = parts()
    bare[1] = {4: b"key-1", "x": 1}
    read = parse_cose_sign1(cbor2.dumps(bare))
    assert (read.kid, read.typ, read.algorithm) == ("key-1", None, "EdDSA")
    assert read == parse_cose_sign1(b"\xd2" + cbor2.dumps(bare))


def test_the_digest_is_of_one_form_whatever_is_said_without_a_signature() -> None:
    bare = parts()
    expected = b"\xd2" + cbor2.dumps(bare)
    bare[1] = {4: b"key-1"}
    assert parse_cose_sign1(cbor2.dumps(bare)).digest_input == expected


@pytest.mark.parametrize(
    ("number", "name"), [(-9, "ES256"), (-51, "ES384"), (-52, "ES512"), (-19, "Ed25519")]
)
def test_the_fully_specified_names_of_algorithms_are_read(number: int, name: str) -> None:
    assert parse_cose_sign1(cbor2.dumps(parts({1: number}))).algorithm == name


def test_claims_in_the_headers_are_read_by_their_names() -> None:
    read = parse_cose_sign1(cbor2.dumps(parts({1: -8, 15: {1: "did:example:a", 4: 7, 99: 1, "x": 1}})))
    assert read.claims == {"iss": "did:example:a", "exp": 7}


def test_a_status_in_the_headers_is_read_as_the_one_of_the_token() -> None:
    status = {"status_list": {"idx": 1, "uri": "https://school.example/1"}}
    assert parse_cose_sign1(cbor2.dumps(parts({1: -8, 15: {65535: status}}))).claims == {"status": status}


def changed(index: int, value: Any) -> Callable[[], bytes]:
    def make() -> bytes:
        made = parts()
        made[index] = value
        return cbor2.dumps(made)

    return make


DEFECTS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "three parts": lambda: cbor2.dumps(parts()[:3]),
    "a map": lambda: cbor2.dumps({}),
    "bytes after it": lambda: cbor2.dumps(parts()) + b"\0",
    "the tag of a signature by several": lambda: b"\xd8\x62" + cbor2.dumps(parts()),
    "the tag twice": lambda: b"\xd2\xd2" + cbor2.dumps(parts()),
    "a detached payload": changed(2, None),
    "a payload that is a text": changed(2, "{}"),
    "a signature that is a text": changed(3, "x"),
    "protected headers that are a map": changed(0, {1: -8}),
    "no protected headers": changed(0, b""),
    "protected headers that are an array": changed(0, cbor2.dumps([1, -8])),
    "unprotected headers that are an array": changed(1, []),
    "a header in both": changed(1, {1: -8}),
    "a critical header": changed(0, cbor2.dumps({1: -8, 2: [4]})),
    "a critical header without a signature": changed(1, {2: [4]}),
    "no algorithm": changed(0, cbor2.dumps({4: b"x"})),
    "an algorithm without a signature": lambda: cbor2.dumps([cbor2.dumps({}), {1: -8}, b"{}", b""]),
    "a MAC": changed(0, cbor2.dumps({1: 5})),
    "an algorithm by its name": changed(0, cbor2.dumps({1: "EdDSA"})),
    "a kid that is a text": changed(0, cbor2.dumps({1: -8, 4: "x"})),
    "a kid that is no UTF-8": changed(0, cbor2.dumps({1: -8, 4: b"\xff"})),
    "a typ that is a number": changed(0, cbor2.dumps({1: -8, 16: 61})),
    "claims that are an array": changed(0, cbor2.dumps({1: -8, 15: []})),
    "a claim by the name that its number has": changed(0, cbor2.dumps({1: -8, 15: {"exp": 7}})),
    "a status by its name": changed(0, cbor2.dumps({1: -8, 15: {"status": {}}})),
    "a header twice": changed(0, bytes.fromhex("a2 01 27 01 27")),
    "a number in a long form": changed(0, bytes.fromhex("a1 01 38 07")),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_malformed(defect: str) -> None:
    parse_cose_sign1(cbor2.dumps(parts()))
    with pytest.raises(Malformed):
        parse_cose_sign1(DEFECTS[defect]())


@pytest.mark.parametrize("index", [0, 2, 3])
def test_whatever_is_signed_cannot_be_changed(index: int) -> None:
    made = cbor2.loads(token()).value
    made[index] = {0: cbor2.dumps({1: -8}), 2: b'{"a":2}', 3: bytes(64)}[index]
    with pytest.raises(NotVerified):
        verify_cose_sign1(parse_cose_sign1(cbor2.dumps(made)), SIGNER.public_key)


def test_the_algorithm_has_to_be_that_of_the_key() -> None:
    p256 = signer_of(KeyKind.P256, bytes(range(32)))
    with pytest.raises(NotVerified):
        verify_cose_sign1(parse_cose_sign1(token()), p256.public_key)
