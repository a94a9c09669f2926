"""BBS over BLS12-381-SHA-256: every value of the draft's fixtures, and what must not pass."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from node.core.bbs.interface import (
    CIPHERSUITE_ID,
    MAX_MESSAGES,
    Interface,
    RandomScalars,
    expand_message,
    seeded_scalars,
)
from node.core.bbs.signatures import (
    BBS,
    Terms,
    derive_proof,
    key_gen,
    public_key_of,
    sign,
    undisclosed_in,
    verify,
    verify_proof,
)
from node.core.bls12381 import ORDER, Arkworks, Curve, PyEcc
from node.core.errors import BonafidesError, Malformed, NotVerified

SUITE = "bbs-draft/bls12-381-sha-256"
SIGNATURES = [f"signature{number:03}" for number in range(1, 11)]
PROOFS = [f"proof{number:03}" for number in range(1, 16)]
SLOW = Interface(BBS.api_id, PyEcc())
ENGINES = {"arkworks": Interface(BBS.api_id, Arkworks()), "py-ecc": SLOW}


@cache
def load(folder: Path, name: str) -> Any:
    return json.loads((folder / SUITE / f"{name}.json").read_text("utf-8"))


def octets(texts: list[str]) -> list[bytes]:
    return [bytes.fromhex(text) for text in texts]


def mocked(seed: bytes, dst: bytes) -> RandomScalars:
    """The draft's seeded_random_scalars: for vectors alone."""

    def scalars(count: int) -> list[int]:
        data = expand_message(seed, dst, 48 * count)
        return [int.from_bytes(data[48 * i : 48 * (i + 1)], "big") % ORDER for i in range(count)]

    return scalars


def test_scalars_are_hashed_as_in_the_fixture(vectors: Path) -> None:
    fixture = load(vectors, "h2s")
    assert bytes.fromhex(fixture["dst"]) == BBS.api_id + b"H2S_"
    scalar = BBS.hash_to_scalar(bytes.fromhex(fixture["message"]))
    assert scalar.to_bytes(32, "big").hex() == fixture["scalar"]


def test_messages_become_the_scalars_of_the_fixture(vectors: Path) -> None:
    cases = load(vectors, "MapMessageToScalarAsHash")["cases"]
    scalars = BBS.scalars_of(octets([case["message"] for case in cases]))
    assert [scalar.to_bytes(32, "big").hex() for scalar in scalars] == [case["scalar"] for case in cases]
    messages = json.loads((vectors / "bbs-draft" / "messages.json").read_text("utf-8"))
    assert [case["message"] for case in cases] == messages


@pytest.mark.parametrize("interface", ENGINES.values(), ids=ENGINES)
def test_generators_are_those_of_the_fixture(vectors: Path, interface: Interface) -> None:
    fixture = load(vectors, "generators")
    expected = [fixture["Q1"], *fixture["MsgGenerators"]]
    assert interface.curve.write_g1(interface.base).hex() == fixture["P1"]
    written = [interface.curve.write_g1(point).hex() for point in interface.generators(len(expected))]
    assert written == expected
    assert interface.written_generators(len(expected)).hex() == "".join(expected)


@pytest.mark.parametrize("interface", ENGINES.values(), ids=ENGINES)
def test_a_key_pair_is_that_of_the_fixture(vectors: Path, interface: Interface) -> None:
    fixture = load(vectors, "keypair")
    assert bytes.fromhex(fixture["keyDst"]) == BBS.api_id + b"KEYGEN_DST_"
    secret = key_gen(bytes.fromhex(fixture["keyMaterial"]), bytes.fromhex(fixture["keyInfo"]))
    assert secret.to_bytes(32, "big").hex() == fixture["keyPair"]["secretKey"]
    assert public_key_of(secret, interface=interface).hex() == fixture["keyPair"]["publicKey"]


def test_the_fixtures_random_scalars_are_mocked_as_the_draft_says(vectors: Path) -> None:
    fixture = load(vectors, "mockedRng")
    made = mocked(bytes.fromhex(fixture["seed"]), bytes.fromhex(fixture["dst"]))(fixture["count"])
    assert [scalar.to_bytes(32, "big").hex() for scalar in made] == fixture["mockedScalars"]


def check_signature(fixture: Any, interface: Interface) -> None:
    keys, header = fixture["signerKeyPair"], bytes.fromhex(fixture["header"])
    public, messages = bytes.fromhex(keys["publicKey"]), octets(fixture["messages"])
    signature = bytes.fromhex(fixture["signature"])
    if not fixture["result"]["valid"]:
        with pytest.raises(NotVerified):
            verify(public, signature, header, messages, interface=interface)
        return
    verify(public, signature, header, messages, interface=interface)
    assert sign(int(keys["secretKey"], 16), public, header, messages, interface=interface) == signature
    terms = Terms.of(interface, public, header, interface.scalars_of(messages))
    assert terms.domain.to_bytes(32, "big").hex() == fixture["trace"]["domain"]
    assert interface.curve.write_g1(terms.point()).hex() == fixture["trace"]["B"]


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_signature_is_judged_as_its_fixture_says(vectors: Path, name: str) -> None:
    check_signature(load(vectors, f"signature/{name}"), BBS)


def test_py_ecc_judges_signatures_alike(vectors: Path) -> None:
    for name in ("signature001", "signature004", "signature002"):
        check_signature(load(vectors, f"signature/{name}"), SLOW)


class Recording(Interface):
    """Keeps what is hashed: the challenge is made of all that a proof consists of."""

    def __init__(self, api_id: bytes, engine: Curve) -> None:
        super().__init__(api_id, engine)
        self.hashed: list[bytes] = []

    def hash_to_scalar(self, message: bytes, dst: bytes | None = None) -> int:
        self.hashed.append(message)
        return super().hash_to_scalar(message, dst)


def check_proof(fixture: Any, interface: Interface, seed: bytes) -> None:
    public, signature, header, presentation_header, proof = (
        bytes.fromhex(fixture[name])
        for name in ("signerPublicKey", "signature", "header", "presentationHeader", "proof")
    )
    messages, indexes = octets(fixture["messages"]), fixture["disclosedIndexes"]
    disclosed = {index: messages[index] for index in indexes}
    if not fixture["result"]["valid"]:
        with pytest.raises((NotVerified, Malformed)):
            verify_proof(public, proof, header, presentation_header, disclosed, interface=interface)
        return
    verify_proof(public, proof, header, presentation_header, disclosed, interface=interface)
    scalars = mocked(seed, interface.api_id + b"MOCK_RANDOM_SCALARS_DST_")
    trace = fixture["trace"]["random_scalars"]
    names = ("r1", "r2", "e_tilde", "r1_tilde", "r3_tilde")
    expected = [trace[name] for name in names] + trace["m_tilde_scalars"]
    drawn = scalars(5 + len(messages) - len(indexes))
    assert [scalar.to_bytes(32, "big").hex() for scalar in drawn] == expected
    made = derive_proof(
        public, signature, header, presentation_header, messages, indexes, scalars, interface=interface
    )
    assert made == proof
    points = "".join(fixture["trace"][name] for name in ("A_bar", "B_bar", "D", "T1", "T2"))
    assert points.startswith(made[: 3 * 48].hex())
    recording = Recording(interface.api_id, interface.curve)
    verify_proof(public, proof, header, presentation_header, disclosed, interface=recording)
    assert points + fixture["trace"]["domain"] in recording.hashed[-1].hex()
    assert made[-32:].hex() == fixture["trace"]["challenge"]


@pytest.mark.parametrize("name", PROOFS)
def test_a_proof_is_judged_and_made_as_its_fixture_says(vectors: Path, name: str) -> None:
    seed = bytes.fromhex(load(vectors, "mockedRng")["seed"])
    check_proof(load(vectors, f"proof/{name}"), BBS, seed)


def test_py_ecc_judges_and_makes_proofs_alike(vectors: Path) -> None:
    seed = bytes.fromhex(load(vectors, "mockedRng")["seed"])
    for name in ("proof001", "proof003", "proof006"):
        check_proof(load(vectors, f"proof/{name}"), SLOW, seed)


SECRET = key_gen(b"a secret of thirty-two bytes, ok!", b"")
PUBLIC = public_key_of(SECRET)
HEADER, NONCE = b"header", b"presentation header"
MESSAGES = [f"message {number}".encode() for number in range(5)]
SIGNATURE = sign(SECRET, PUBLIC, HEADER, MESSAGES)
SHOWN = {1: MESSAGES[1], 3: MESSAGES[3]}
SEED = bytes(range(32))
PROOF = derive_proof(PUBLIC, SIGNATURE, HEADER, NONCE, MESSAGES, list(SHOWN), seeded_scalars(SEED))


def replaced(data: bytes, start: int, new: bytes) -> bytes:
    return data[:start] + new + data[start + len(new) :]


def test_a_signature_and_a_proof_of_it_verify() -> None:
    verify(PUBLIC, SIGNATURE, HEADER, MESSAGES)
    verify_proof(PUBLIC, PROOF, HEADER, NONCE, SHOWN)


@pytest.mark.parametrize("indexes", [[], [0], [4], [0, 1, 2, 3, 4]], ids=str)
def test_any_choice_of_messages_can_be_shown(indexes: list[int]) -> None:
    proof = derive_proof(PUBLIC, SIGNATURE, HEADER, NONCE, MESSAGES, indexes, seeded_scalars(SEED))
    assert undisclosed_in(proof) == len(MESSAGES) - len(indexes)
    verify_proof(PUBLIC, proof, HEADER, NONCE, {index: MESSAGES[index] for index in indexes})


def test_no_messages_at_all_can_be_signed_and_proven() -> None:
    signature = sign(SECRET, PUBLIC, HEADER, [])
    verify(PUBLIC, signature, HEADER, [])
    verify_proof(
        PUBLIC, derive_proof(PUBLIC, signature, HEADER, b"", [], [], seeded_scalars(SEED)), HEADER, b"", {}
    )


@pytest.mark.parametrize("position", range(0, len(PROOF), 16))
def test_a_changed_byte_of_a_proof_is_noticed(position: int) -> None:
    changed = replaced(PROOF, position, bytes([PROOF[position] ^ 1]))
    with pytest.raises(BonafidesError):
        verify_proof(PUBLIC, changed, HEADER, NONCE, SHOWN)


DEFECTS: dict[str, tuple[bytes, bytes, bytes, bytes, dict[int, bytes]]] = {
    "another key": (public_key_of(SECRET + 1), PROOF, HEADER, NONCE, SHOWN),
    "another header": (PUBLIC, PROOF, b"other", NONCE, SHOWN),
    "another presentation header": (PUBLIC, PROOF, HEADER, b"other", SHOWN),
    "another message": (PUBLIC, PROOF, HEADER, NONCE, {**SHOWN, 3: b"message 4"}),
    "a message at another index": (PUBLIC, PROOF, HEADER, NONCE, {1: MESSAGES[1], 2: MESSAGES[3]}),
    "messages exchanged": (PUBLIC, PROOF, HEADER, NONCE, {1: MESSAGES[3], 3: MESSAGES[1]}),
    "a message left out": (PUBLIC, PROOF, HEADER, NONCE, {1: MESSAGES[1]}),
    "a message more": (PUBLIC, PROOF, HEADER, NONCE, {**SHOWN, 4: MESSAGES[4]}),
    "a scalar more": (PUBLIC, PROOF + bytes(31) + b"\x01", HEADER, NONCE, SHOWN),
    "a scalar less": (PUBLIC, PROOF[:-32], HEADER, NONCE, SHOWN),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_a_proof_does_not_hold_with(defect: str) -> None:
    public, proof, header, nonce, shown = DEFECTS[defect]
    with pytest.raises(NotVerified):
        verify_proof(public, proof, header, nonce, shown)


MALFORMED: dict[str, tuple[bytes, dict[int, bytes]]] = {
    "a byte more": (PROOF + b"\x00", SHOWN),
    "a byte less": (PROOF[:-1], SHOWN),
    "less than three points and four scalars": (PROOF[:240], {}),
    "the identity for A_bar": (replaced(PROOF, 0, b"\xc0" + bytes(47)), SHOWN),
    "the identity for B_bar": (replaced(PROOF, 48, b"\xc0" + bytes(47)), SHOWN),
    "the identity for D": (replaced(PROOF, 96, b"\xc0" + bytes(47)), SHOWN),
    "a scalar of zero": (replaced(PROOF, 144, bytes(32)), SHOWN),
    "a scalar that is the order": (replaced(PROOF, 144, ORDER.to_bytes(32, "big")), SHOWN),
    "an index beyond the messages": (PROOF, {1: MESSAGES[1], 5: MESSAGES[3]}),
    "a negative index": (PROOF, {-1: MESSAGES[1], 3: MESSAGES[3]}),
    "indexes out of order": (PROOF, {3: MESSAGES[3], 1: MESSAGES[1]}),
    "more messages than anybody signs": (PROOF + bytes([1]) * 32 * MAX_MESSAGES, SHOWN),
}


@pytest.mark.parametrize("defect", MALFORMED)
def test_it_is_no_proof_with(defect: str) -> None:
    proof, shown = MALFORMED[defect]
    with pytest.raises(Malformed):
        verify_proof(PUBLIC, proof, HEADER, NONCE, shown)


def test_a_signature_of_another_length_or_range_is_none() -> None:
    e = SIGNATURE[48:]
    for changed in (
        SIGNATURE[:-1],
        SIGNATURE + b"\x00",
        b"\xc0" + bytes(47) + e,
        SIGNATURE[:48] + bytes(32),
        SIGNATURE[:48] + (int.from_bytes(e, "big") + ORDER).to_bytes(33, "big")[-32:],
    ):
        with pytest.raises(Malformed):
            verify(PUBLIC, changed, HEADER, MESSAGES)


def test_a_proof_is_not_made_of_indexes_beyond_the_messages() -> None:
    for indexes in ([5], [1, 1], [3, 1], [-1]):
        with pytest.raises(Malformed):
            derive_proof(PUBLIC, SIGNATURE, HEADER, NONCE, MESSAGES, indexes, seeded_scalars(SEED))


def test_a_proof_of_a_wrong_signature_does_not_hold() -> None:
    wrong = sign(SECRET + 1, PUBLIC, HEADER, MESSAGES)
    proof = derive_proof(PUBLIC, wrong, HEADER, NONCE, MESSAGES, list(SHOWN), seeded_scalars(SEED))
    with pytest.raises(NotVerified, match="not of a signature by this key"):
        verify_proof(PUBLIC, proof, HEADER, NONCE, SHOWN)


def test_secret_keys_are_in_range_and_made_of_enough() -> None:
    for secret in (0, ORDER, -1):
        with pytest.raises(Malformed):
            sign(secret, PUBLIC, HEADER, MESSAGES)
        with pytest.raises(Malformed):
            public_key_of(secret)
    with pytest.raises(Malformed):
        key_gen(bytes(31))
    with pytest.raises(Malformed):
        key_gen(bytes(32), bytes(65536))


def test_two_proofs_have_no_point_and_no_scalar_in_common() -> None:
    other = derive_proof(PUBLIC, SIGNATURE, HEADER, NONCE, MESSAGES, list(SHOWN), seeded_scalars(bytes(32)))
    first, second = (
        {p[i : i + 48] for i in (0, 48, 96)} | {p[i : i + 32] for i in range(144, len(p), 32)}
        for p in (PROOF, other)
    )
    assert not first & second
    assert not any(part in PROOF + other for part in (SIGNATURE[:48], SIGNATURE[48:]))


def test_one_seed_gives_other_scalars_in_another_context() -> None:
    first, second, repeated = (seeded_scalars(SEED, *context)(3) for context in ([b"a"], [b"b"], [b"a"]))
    assert first == repeated
    assert not set(first) & set(second)
    assert seeded_scalars(SEED, b"ab", b"c")(1) != seeded_scalars(SEED, b"a", b"bc")(1)
    assert all(0 < scalar < ORDER for scalar in first)
    with pytest.raises(ValueError, match="32 random bytes"):
        seeded_scalars(bytes(31))


def test_messages_are_expanded_within_the_bounds_of_rfc_9380() -> None:
    assert len(expand_message(b"", CIPHERSUITE_ID, 8160)) == 8160
    for dst, length in ((CIPHERSUITE_ID, 8161), (bytes(256), 32)):
        with pytest.raises(ValueError, match="not defined"):
            expand_message(b"", dst, length)
