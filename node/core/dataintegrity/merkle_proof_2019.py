"""MerkleProof2019, the proof of Blockcerts v3 (W3C CCG, Merkle Proof Signature Suite 2019), also as merkle-proof-2019.

The value of such a proof is no signature. It names the SHA-256 of the document's canonical statements, a path from it
to a Merkle root, and transactions that carry the root: the issuer signed by sending one. So three things are
established here from the proof alone, hash, path and root; that a transaction carries the root and who sent it is
`evm/transaction.py`, and which account is the issuer's is the caller's to find out. The members of the proof object
itself (created, purpose, method) are not covered by anything: the method counts because its account sent the root.

    proofValue   multibase z, CBOR [[0, root], [1, target], [2, anchors], [3, path]] in any order; each digest is CBOR
                 in a byte string, of 32 bytes (JavaScript writers) or of 64 hex digits (Python writers)
    path         [[0, left] | [1, right], …]; node SHA-256(left ‖ right), no prefixes; a lone node is promoted
    anchor       [[0, chain], [1, network], [2, transaction id]]

A tree without prefixes lets an inner node pass for a leaf; here that does no harm, since the leaf must be the hash of
the document at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.cbor import Cbor, decode_cbor, encode_cbor
from node.core.dataintegrity.cryptosuite import not_verified
from node.core.dataintegrity.proof import DATA_INTEGRITY_PROOF, Proof
from node.core.encoding import decode_hex, decode_multibase, encode_multibase
from node.core.errors import Malformed
from node.core.strict_json import JsonObject

TYPE: Final = "MerkleProof2019"
CRYPTOSUITE: Final = "merkle-proof-2019"
MAX_PATH: Final = 64
MAX_ANCHORS: Final = 16

_ROOT, _TARGET, _ANCHORS, _PATH = range(4)
_LEFT, _RIGHT = range(2)
# Blink names and numbers of chains and their networks; the CAIP-2 id of those that are read here.
_CHAINS: Final[Mapping[int, tuple[str, Mapping[int, str]]]] = MappingProxyType(
    {
        0: ("btc", {1: "mainnet", 2: "regtest", 3: "testnet"}),
        1: ("eth", {1: "mainnet", 3: "ropsten", 4: "rinkeby", 5: "goerli", 11155111: "sepolia"}),
        2: ("mtc", {137: "mainnet", 80001: "mumbai"}),
    }
)
_MOCKNET: Final = -1


@dataclass(frozen=True, slots=True)
class Transaction:
    """Where a root was written: a chain's and a network's blink names, and the transaction's id of 32 bytes.

    `chain_id` is the number of an EVM chain, None for Bitcoin and for the test chain that is none (`mocknet`).
    """

    chain: str
    network: str
    transaction_id: bytes
    chain_id: int | None

    @property
    def blink(self) -> str:
        """The anchor as a text, `blink:<chain>:<network>:0x<transaction id>`."""
        return ":".join(filter(None, ("blink", self.chain, self.network, "0x" + self.transaction_id.hex())))


@dataclass(frozen=True, slots=True)
class MerkleProof:
    """A decoded proof value; digests have 32 bytes. `path` leads up from the target, True where the other is left."""

    root: bytes
    target: bytes
    path: tuple[tuple[bool, bytes], ...]
    anchors: tuple[Transaction, ...]


def is_merkle_proof(proof: Proof) -> bool:
    """Whether a proof is of this kind, by its type or as a cryptosuite of that name."""
    if proof.type == DATA_INTEGRITY_PROOF:
        return proof.cryptosuite == CRYPTOSUITE
    return proof.type == TYPE and proof.cryptosuite is None


def target_hash(document: JsonObject, canonicalizer: Canonicalizer) -> bytes:
    """SHA-256 of the canonical statements of `document`; may be Malformed as they are."""
    return sha256(canonicalizer.nquads(document).encode()).digest()


def covered(document: JsonObject, proof: JsonObject) -> JsonObject:
    """What a proof of this kind is over: the document with the proofs that stand before it, in their order."""
    listed = document.get("proof")
    earlier = listed[: listed.index(proof)] if type(listed) is list and proof in listed else []
    body = {name: value for name, value in document.items() if name != "proof"}
    return {**body, "proof": earlier} if earlier else body


def verify_merkle_proof(document: JsonObject, proof: JsonObject, canonicalizer: Canonicalizer) -> MerkleProof:
    """The content of `proof`, one of `document`'s, after hash and path were found to lead to the root.

    Malformed: not a proof value. NotVerified: the document has another hash, or the path another end.
    """
    found = decode_proof_value(str(proof.get("proofValue")))
    if target_hash(covered(document, proof), canonicalizer) != found.target:
        raise not_verified("the document is not the one that was anchored: its hash is another")
    digest = found.target
    for is_left, other in found.path:
        digest = sha256(other + digest if is_left else digest + other).digest()
    if digest != found.root:
        raise not_verified("the path does not lead to the Merkle root")
    return found


def merkle_paths(targets: Sequence[bytes]) -> tuple[bytes, tuple[tuple[tuple[bool, bytes], ...], ...]]:
    """The root over `targets` (at least one, 32 bytes each) and the path of each, in their order."""
    if not targets:
        raise ValueError("a tree has at least one leaf")
    paths: list[list[tuple[bool, bytes]]] = [[] for _ in targets]
    # Which leaves lie under each node of the level: their paths grow together.
    level = [(digest, [index]) for index, digest in enumerate(targets)]
    while len(level) > 1:
        above = []
        for (left, under_left), (right, under_right) in zip(level[::2], level[1::2], strict=False):
            for index in under_left:
                paths[index].append((False, right))
            for index in under_right:
                paths[index].append((True, left))
            above.append((sha256(left + right).digest(), under_left + under_right))
        level = above + level[len(level) - len(level) % 2 :]
    return level[0][0], tuple(tuple(path) for path in paths)


# The proof value -------------------------------------------------------------------------------------------


def encode_proof_value(proof: MerkleProof) -> str:
    """The `proofValue` as the Python tools of Blockcerts write it, digests as hex; every verifier reads it."""

    def text(digest: bytes) -> bytes:
        return encode_cbor(digest.hex())

    path: list[Cbor] = [[_LEFT if is_left else _RIGHT, text(other)] for is_left, other in proof.path]
    anchors: list[Cbor] = [_encode_anchor(anchor) for anchor in proof.anchors]
    value: list[Cbor] = [
        [_PATH, path],
        [_ROOT, text(proof.root)],
        [_TARGET, text(proof.target)],
        [_ANCHORS, anchors],
    ]
    return encode_multibase(encode_cbor(value), "z")


def decode_proof_value(text: str) -> MerkleProof:
    """The content of a `proofValue`, or Malformed."""
    try:
        pairs = _pairs(decode_cbor(decode_multibase(text, "z")), {_ROOT, _TARGET, _ANCHORS, _PATH})
        anchors, path = _list(pairs[_ANCHORS], MAX_ANCHORS), _list(pairs[_PATH], MAX_PATH)
        if not anchors:
            raise Malformed("it names no transaction")
        return MerkleProof(
            root=_digest(pairs[_ROOT]),
            target=_digest(pairs[_TARGET]),
            path=tuple(_step(item) for item in path),
            anchors=tuple(_decode_anchor(item) for item in anchors),
        )
    except Malformed as error:
        raise Malformed(
            f"a Merkle proof that cannot be read: {error.detail}",
            type=problem.PROOF_VERIFICATION_ERROR,
            path=("proof", "proofValue"),
        ) from error


def transaction(chain_id: int, transaction_id: bytes) -> Transaction:
    """The anchor for a transaction on an EVM chain that Blockcerts knows; Malformed for others."""
    for name, networks in (_CHAINS[1], _CHAINS[2]):
        if chain_id in networks:
            return Transaction(name, networks[chain_id], transaction_id, chain_id)
    raise Malformed(f"Blockcerts has no name for the chain eip155:{chain_id}")


def _encode_anchor(anchor: Transaction) -> Cbor:
    for number, (name, networks) in _CHAINS.items():
        for network, network_name in networks.items():
            if (name, network_name) == (anchor.chain, anchor.network):
                identifier = encode_cbor("0x" + anchor.transaction_id.hex())
                return [[0, number], [1, network], [2, identifier]]
    raise Malformed(f"Blockcerts has no number for {anchor.chain}:{anchor.network}")


def _decode_anchor(item: Cbor) -> Transaction:
    pairs = _pairs(item, {0, 1, 2}, at_least={0})
    chain = pairs[0]
    if chain == _MOCKNET:
        return Transaction("mocknet", "", bytes(32), None)
    if type(chain) is not int or chain not in _CHAINS or pairs.keys() != {0, 1, 2}:
        raise Malformed("a chain that Blockcerts does not know")
    name, networks = _CHAINS[chain]
    network = pairs[1]
    if type(network) is not int or network not in networks:
        raise Malformed(f"a network of {name} that Blockcerts does not know")
    return Transaction(name, networks[network], _digest(pairs[2]), network if chain else None)


def _pairs(value: Cbor, known: set[int], at_least: set[int] | None = None) -> dict[int, Cbor]:
    """An array of [key, value] pairs, which stands where a map would."""
    found: dict[int, Cbor] = {}
    for item in _list(value, len(known)):
        if type(item) is not list or len(item) != 2 or type(item[0]) is not int or item[0] in found:
            raise Malformed("expected pairs of a number and a value, each number once")
        found[item[0]] = item[1]
    if not (at_least or known) <= found.keys() <= known:
        raise Malformed(f"expected the members {sorted(known)}, got {sorted(found)}")
    return found


def _step(item: Cbor) -> tuple[bool, bytes]:
    if type(item) is not list or len(item) != 2 or item[0] not in (_LEFT, _RIGHT) or type(item[0]) is not int:
        raise Malformed("a step of the path is a side and a digest")
    return item[0] == _LEFT, _digest(item[1])


def _list(value: Cbor, at_most: int) -> list[Cbor]:
    if type(value) is not list or len(value) > at_most:
        raise Malformed(f"expected a list of at most {at_most}")
    return value


def _digest(value: Cbor) -> bytes:
    """32 bytes, as CBOR inside a byte string: of the bytes themselves or of their hex, with or without `0x`."""
    if type(value) is not bytes:
        raise Malformed("a digest is CBOR in a byte string")
    inner = decode_cbor(value)
    if type(inner) is str:
        inner = decode_hex("0x" + inner.removeprefix("0x").lower(), 32)
    if type(inner) is not bytes or len(inner) != 32:
        raise Malformed("a digest has 32 bytes")
    return inner
