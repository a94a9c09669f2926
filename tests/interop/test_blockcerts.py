"""Proof values of Blockcerts beside @blockcerts/lds-merkle-proof-2019, whose reader and writer the verifiers use.

The suite itself (jsonld-signatures-merkleproof2019) cannot be had from a registry alone; hash, path and root are
tested against merkletools and by vectors in tests/unit/core/dataintegrity.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cbor2
import pytest

from node.core.dataintegrity.merkle_proof_2019 import (
    MerkleProof,
    Transaction,
    decode_proof_value,
    encode_proof_value,
    merkle_paths,
    transaction,
)
from node.core.encoding import decode_multibase, encode_multibase
from node.core.errors import Malformed

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("other_tokens")]

CHAINS = (1, 3, 4, 5, 11155111, 137, 80001)


def invented(number: int) -> MerkleProof:
    """A proof of one of a few documents, the same for the same number."""
    chance = random.Random(f"blockcerts {number}")  # noqa: S311 - the same every time
    targets = [chance.randbytes(32) for _ in range(1 + chance.randrange(9))]
    place = chance.randrange(len(targets))
    root, paths = merkle_paths(targets)
    anchors = [
        transaction(chance.choice(CHAINS), chance.randbytes(32)) for _ in range(1 + chance.randrange(2))
    ]
    return MerkleProof(root, targets[place], paths[place], tuple(anchors))


def as_json(proof: MerkleProof) -> dict[str, Any]:
    """The form that theirs writes and reads."""
    return {
        "path": [{"left" if is_left else "right": other.hex()} for is_left, other in proof.path],
        "merkleRoot": proof.root.hex(),
        "targetHash": proof.target.hex(),
        "anchors": [anchor.blink.replace("0x", "") for anchor in proof.anchors],
    }


@pytest.mark.parametrize("number", range(20))
def test_what_they_write_is_read_by_us(number: int, other_tokens: Any) -> None:
    proof = invented(number)
    assert decode_proof_value(other_tokens.ask("encodeMerkleProof", value=as_json(proof))) == proof


@pytest.mark.parametrize("number", range(20))
def test_what_we_write_is_read_by_them(number: int, other_tokens: Any) -> None:
    proof = invented(number)
    read = other_tokens.ask("decodeMerkleProof", text=encode_proof_value(proof))
    # As the Python tools of Blockcerts write transactions on Ethereum.
    assert read == {**as_json(proof), "anchors": [anchor.blink for anchor in proof.anchors]}


Pairs = dict[int, Any]


def value(edit: Callable[[Pairs], object]) -> str:
    """The value of a sound proof with one thing in it changed."""
    pairs: Pairs = dict(cbor2.loads(decode_multibase(encode_proof_value(invented(3)))))
    edit(pairs)
    return encode_multibase(cbor2.dumps([[name, inner] for name, inner in pairs.items()]), "z")


def _digest(length: int) -> bytes:
    return cbor2.dumps(bytes(length))


def _anchor(pairs: Pairs, **members: Any) -> None:
    chain, network, identifier = (inner for _, inner in pairs[2][0])
    found = {"chain": chain, "network": network, "identifier": identifier} | members
    pairs[2] = [[[0, found["chain"]], [1, found["network"]], [2, found["identifier"]]]]


ROOT, TARGET, ANCHORS, PATH = range(4)
# Whether theirs reads it all the same; their schema is for what is written, and nothing is asked of what is read.
FAULTS: dict[str, tuple[str, bool]] = {
    "base64url": ("u" + value(lambda _: None)[1:], False),
    "not base58": (value(lambda _: None) + "0", False),
    "no root": (value(lambda d: d.pop(ROOT)), True),
    "no target": (value(lambda d: d.pop(TARGET)), True),
    "no path": (value(lambda d: d.pop(PATH)), True),
    "no transaction": (value(lambda d: d.update({ANCHORS: []})), True),
    "a member that is not known": (value(lambda d: d.update({7: 1})), True),
    "a root of 31 bytes": (value(lambda d: d.update({ROOT: _digest(31)})), True),
    "a target that is a number": (value(lambda d: d.update({TARGET: 7})), True),
    "a step to neither side": (value(lambda d: d.update({PATH: [[2, _digest(32)]]})), True),
    "a step of 31 bytes": (value(lambda d: d.update({PATH: [[0, _digest(31)]]})), True),
    "another chain": (value(lambda d: _anchor(d, chain=9)), False),
    "another network": (value(lambda d: _anchor(d, network=9)), True),
    "a transaction of 31 bytes": (value(lambda d: _anchor(d, identifier=_digest(31))), True),
    "bytes after the value": (
        encode_multibase(decode_multibase(value(lambda _: None)) + b"\0", "z"),
        False,
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_value_that_breaks_its_form_is_refused_by_us(fault: str, other_tokens: Any) -> None:
    """The suite's form of `proofValue`: four members, digests of SHA-256, the chains that Blink names."""
    text, they_read = FAULTS[fault]
    with pytest.raises(Malformed):
        decode_proof_value(text)
    if they_read:
        other_tokens.ask("decodeMerkleProof", text=text)
    else:
        with pytest.raises(RuntimeError):
            other_tokens.ask("decodeMerkleProof", text=text)


def test_a_sound_value_is_read_by_both(other_tokens: Any) -> None:
    """The one that the faults are made of; and theirs of the test chain, which names no transaction."""
    text = value(lambda _: None)
    assert decode_proof_value(text) == invented(3)
    assert other_tokens.ask("decodeMerkleProof", text=text)["merkleRoot"] == invented(3).root.hex()
    mocknet = as_json(invented(3)) | {"anchors": ["blink:mocknet"]}
    read = decode_proof_value(other_tokens.ask("encodeMerkleProof", value=mocknet))
    assert read == replace(invented(3), anchors=(Transaction("mocknet", "", bytes(32), None),))
