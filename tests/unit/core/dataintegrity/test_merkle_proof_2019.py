"""MerkleProof2019: the codec against cbor2, the tree against merkletools, and every step from document to root."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import pytest
from fixtures.verification import standards

from node.core.dataintegrity.merkle_proof_2019 import (
    MerkleProof,
    covered,
    decode_proof_value,
    encode_proof_value,
    merkle_paths,
    target_hash,
    transaction,
    verify_merkle_proof,
)
from node.core.encoding import encode_multibase
from node.core.errors import Malformed, NotVerified

TX = bytes(range(32))
SEPOLIA = transaction(11155111, TX)


def document(number: int = 0) -> dict[str, Any]:
    return {
        "@context": ["https://www.w3.org/ns/credentials/v2", "https://w3id.org/blockcerts/v3.2"],
        "id": f"urn:uuid:00000000-0000-4000-8000-{number:012d}",
        "type": ["VerifiableCredential", "BlockcertsCredential"],
        "issuer": "did:example:school",
        "credentialSubject": {"id": "did:example:learner", "email": "learner@example.com"},
        "display": {"contentMediaType": "text/html", "content": "<b>Data structures</b>"},
    }


def issued(count: int) -> list[dict[str, Any]]:
    canonicalizer = standards().canonicalizer
    documents = [document(number) for number in range(count)]
    targets = [target_hash(one, canonicalizer) for one in documents]
    root, paths = merkle_paths(targets)
    return [
        with_proof(one, MerkleProof(root, target, path, (SEPOLIA,)))
        for one, target, path in zip(documents, targets, paths, strict=True)
    ]


def with_proof(one: dict[str, Any], proof: MerkleProof) -> dict[str, Any]:
    value = {
        "type": "MerkleProof2019",
        "proofPurpose": "assertionMethod",
        "verificationMethod": "did:example:school#key-1",
        "proofValue": encode_proof_value(proof),
    }
    return {**one, "proof": value}


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 11])
def test_every_document_of_a_batch_leads_to_its_root(count: int) -> None:
    documents = issued(count)
    for one in documents:
        found = verify_merkle_proof(one, one["proof"], standards().canonicalizer)
        assert found.anchors == (SEPOLIA,)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 13, 64, 100])
def test_the_tree_is_that_of_merkletools(count: int) -> None:
    leaves = [hashlib.sha256(b"%d" % number).digest() for number in range(count)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that it lacks SHA-3, which is not used
        import merkletools
    judge = merkletools.MerkleTools(hash_type="sha256")
    judge.add_leaf([leaf.hex() for leaf in leaves])
    judge.make_tree()
    root, paths = merkle_paths(leaves)
    assert root.hex() == judge.get_merkle_root()
    for number, path in enumerate(paths):
        told = [{"left" if is_left else "right": other.hex()} for is_left, other in path]
        assert told == judge.get_proof(number)


def test_the_value_is_written_as_the_python_tools_write_it() -> None:
    digest = bytes(32).hex()
    written = [
        [3, [[1, cbor2.dumps(digest)]]],
        [0, cbor2.dumps(digest)],
        [1, cbor2.dumps(digest)],
        [2, [[[0, 1], [1, 11155111], [2, cbor2.dumps("0x" + TX.hex())]]]],
    ]
    proof = MerkleProof(bytes(32), bytes(32), ((False, bytes(32)),), (SEPOLIA,))
    assert encode_proof_value(proof) == encode_multibase(cbor2.dumps(written), "z")


def test_values_of_the_javascript_tools_are_read_alike() -> None:
    digest = cbor2.dumps(b"\1" * 32)
    anchor = [[0, 0], [1, 3], [2, cbor2.dumps(TX)]]
    value = [[0, digest], [1, digest], [2, [anchor]], [3, [[0, digest], [1, digest]]]]
    found = decode_proof_value(encode_multibase(cbor2.dumps(value), "z"))
    assert found.root == found.target == b"\1" * 32
    assert found.path == ((True, b"\1" * 32), (False, b"\1" * 32))
    assert (found.anchors[0].blink, found.anchors[0].chain_id) == (f"blink:btc:testnet:0x{TX.hex()}", None)


def test_the_chain_that_is_none_has_no_number() -> None:
    digest = cbor2.dumps(bytes(32))
    value = [[0, digest], [1, digest], [2, [[[0, -1]]]], [3, []]]
    (anchor,) = decode_proof_value(encode_multibase(cbor2.dumps(value), "z")).anchors
    assert (anchor.chain, anchor.chain_id) == ("mocknet", None)


def test_a_later_proof_covers_the_proofs_before_it() -> None:
    one = document()
    first, second, third = ({"type": "x", "n": number} for number in range(3))
    listed = {**one, "proof": [first, second, third]}
    assert covered(listed, second) == {**one, "proof": [first]}
    assert covered(listed, first) == one
    assert covered({**one, "proof": first}, first) == one


def flip(digest: bytes) -> bytes:
    return bytes([digest[0] ^ 1]) + digest[1:]


WRONG: dict[str, Callable[[dict[str, Any], MerkleProof], dict[str, Any]]] = {
    "a member changed": lambda one, proof: {
        **with_proof(one, proof),
        "display": {**one["display"], "content": "<b>Quantum physics</b>"},
    },
    "a step of the path changed": lambda one, proof: with_proof(
        one, replace(proof, path=((proof.path[0][0], flip(proof.path[0][1])), *proof.path[1:]))
    ),
    "a side of the path changed": lambda one, proof: with_proof(
        one, replace(proof, path=((not proof.path[0][0], proof.path[0][1]), *proof.path[1:]))
    ),
    "a step of the path left out": lambda one, proof: with_proof(one, replace(proof, path=proof.path[1:])),
    "the root of another batch": lambda one, proof: with_proof(one, replace(proof, root=flip(proof.root))),
    "the proof of another document": lambda _, proof: with_proof(document(9), proof),
}


@pytest.mark.parametrize("spoil", WRONG.values(), ids=WRONG)
def test_what_was_not_anchored_is_refused(spoil: Callable[..., dict[str, Any]]) -> None:
    one = issued(5)[2]
    proof = decode_proof_value(one["proof"]["proofValue"])
    spoiled = spoil({name: value for name, value in one.items() if name != "proof"}, proof)
    with pytest.raises(NotVerified):
        verify_merkle_proof(spoiled, spoiled["proof"], standards().canonicalizer)


DIGEST = cbor2.dumps(bytes(32))
ANCHOR = [[0, 1], [1, 1], [2, DIGEST]]


@pytest.mark.parametrize(
    "value",
    [
        {0: DIGEST, 1: DIGEST, 2: [ANCHOR], 3: []},
        [[0, DIGEST], [1, DIGEST], [2, [ANCHOR]]],
        [[0, DIGEST], [1, DIGEST], [2, []], [3, []]],
        [[0, DIGEST], [0, DIGEST], [2, [ANCHOR]], [3, []]],
        [[0, DIGEST], [1, DIGEST], [2, [ANCHOR]], [3, []], [4, 0]],
        [[0, bytes(32)], [1, DIGEST], [2, [ANCHOR]], [3, []]],
        [[0, cbor2.dumps(bytes(31))], [1, DIGEST], [2, [ANCHOR]], [3, []]],
        [[0, cbor2.dumps("00" * 31)], [1, DIGEST], [2, [ANCHOR]], [3, []]],
        [[0, DIGEST], [1, DIGEST], [2, [[[0, 7], [1, 1], [2, DIGEST]]]], [3, []]],
        [[0, DIGEST], [1, DIGEST], [2, [[[0, 1], [1, 77], [2, DIGEST]]]], [3, []]],
        [[0, DIGEST], [1, DIGEST], [2, [[[0, 1], [1, 1]]]], [3, []]],
        [[0, DIGEST], [1, DIGEST], [2, [ANCHOR]], [3, [[2, DIGEST]]]],
        [[0, DIGEST], [1, DIGEST], [2, [ANCHOR]], [3, [[True, DIGEST]]]],
        [[0, DIGEST], [1, DIGEST], [2, [ANCHOR]], [3, [[0, DIGEST]] * 65]],
        7,
    ],
    ids=lambda value: repr(value)[:30],
)  # fmt: skip
def test_a_value_of_another_shape_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed) as caught:
        decode_proof_value(encode_multibase(cbor2.dumps(value), "z"))
    assert caught.value.problem.path == ("proof", "proofValue")


@pytest.mark.parametrize("text", ["", "z", "u" + "AA", encode_multibase(cbor2.dumps([]) + b"\0", "z")])
def test_a_text_that_is_no_value_is_malformed(text: str) -> None:
    with pytest.raises(Malformed):
        decode_proof_value(text)
