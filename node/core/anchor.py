"""What exactly is anchored on a chain: digests, entries, the commitment, and a holder's path to it.

FORMATS.md sections 3 and 4; `‖` is concatenation, integers are big-endian, H is SHA-256:

    entry       0x01 ‖ kind (1) ‖ salt (32) ‖ digest (32)                    66 bytes
    leaf, node  RFC 9162 (`merkle/tree.py`)
    commitment  H(0x02 ‖ size (8) ‖ root)                                    what the chain holds

Entries are salted, since what they digest can be guessed; permuted and padded, so that neither their order nor
their number tells about customers. The verifier sets the kind to what it checks: a status list's entry can
never pass for a credential's. Drawing salts, padding and order is for the caller; which slot holds a commitment
is in `evm/registry.py`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.dataintegrity.ecdsa_sd_2023 import EcdsaSd2023, base_signature
from node.core.dataintegrity.proof import parse_proof
from node.core.encoding import encode_base64url, encode_hex
from node.core.errors import Malformed
from node.core.members import (
    base64url_member,
    closed_object,
    digest_list,
    hex_member,
    integer_member,
    text_member,
)
from node.core.merkle.inclusion import path_length, root_of
from node.core.merkle.tree import MerkleTree, leaf_hash
from node.core.strict_json import Json, JsonObject

CREDENTIAL: Final = 0x01
EVIDENCE: Final = 0x02
STATUS_LIST: Final = 0x03
DID_DOCUMENT: Final = 0x04
PADDING: Final = 0xFF
_KINDS: Final = frozenset({CREDENTIAL, EVIDENCE, STATUS_LIST, DID_DOCUMENT, PADDING})

SALT_BYTES: Final = 32
MIN_BATCH_SIZE: Final = 64
MAX_PROOF_VALUE_BYTES: Final = 4096
_CHAIN: Final = re.compile(r"[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}\Z")  # CAIP-2
_MAX_CHAIN_BYTES: Final = 41
_MEMBERS: Final = frozenset({"salt", "index", "size", "path", "chain", "registry", "identity", "block"})


def entry(kind: int, salt: bytes, digest: bytes) -> bytes:
    """The 66 bytes of a tree entry; `salt` and `digest` are 32 bytes each."""
    if kind not in _KINDS:
        raise ValueError(f"no kind of entry: {kind}")
    _check_length("a salt", salt, SALT_BYTES)
    _check_length("a digest", digest, 32)
    return b"\x01" + bytes([kind]) + salt + digest


def commitment(size: int, root: bytes) -> bytes:
    """The 32 bytes that commit to a tree of `size` entries with `root`: H(0x02 ‖ size ‖ root)."""
    return sha256(sized_root(size, root)).digest()


def sized_root(size: int, root: bytes) -> bytes:
    """What a commitment is the digest of: 0x02 ‖ size (8) ‖ root (32)."""
    _check_length("a root", root, 32)
    return b"\x02" + size.to_bytes(8, "big") + root


def credential_digest(document: JsonObject, proof_value: str | None = None) -> bytes:
    """The digest of a credential with an embedded proof: H(JCS(credential with that one proof object)).

    `proof_value` names the issuer's proof by its `proofValue` where the credential has several, which are
    otherwise Malformed; it must name exactly one. Other proofs are not part of the digest, so that an
    endorsement added later does not undo the anchor. Malformed too where JCS refuses the document.

    Of `ecdsa-sd-2023` it is H(base signature), the same whatever its holder shows.
    """
    proof = _the_proof(document.get("proof"), proof_value)
    if proof.get("cryptosuite") == EcdsaSd2023.name:
        return issued_digest(base_signature(parse_proof(proof)))
    return sha256(canonicalize({**document, "proof": proof})).digest()


def _the_proof(proofs: Json, proof_value: str | None) -> JsonObject:
    candidates = proofs if isinstance(proofs, list) else [proofs]
    if not all(isinstance(proof, dict) for proof in candidates):
        raise Malformed("a credential without an embedded proof has no digest of one", path=("proof",))
    if proof_value is not None:
        candidates = [proof for proof in candidates if proof.get("proofValue") == proof_value]
    if len(candidates) != 1:
        raise Malformed(
            f"exactly one proof is anchored, and {len(candidates)} might be meant", path=("proof",)
        )
    chosen: JsonObject = candidates[0]
    return chosen


def issued_digest(issued: bytes) -> bytes:
    """The digest of a credential of which only `issued` is the same whatever its holder shows (section 3).

    The issuer-signed part of a token, which whoever reads tokens knows in its one spelling (`envelope.py`), or the base
    signature of `ecdsa-sd-2023`.
    """
    return sha256(issued).digest()


def did_document_digest(did: str, data: bytes) -> bytes:
    """The digest of a DID document's bytes as found at `did`: H(0x04 ‖ length of DID (2) ‖ DID ‖ H(bytes))."""
    name = did.encode("utf-8")
    if not 0 < len(name) < 1 << 16:
        raise Malformed("a DID of no or more than 65,535 bytes", type=problem.INVALID_DID)
    return sha256(b"\x04" + len(name).to_bytes(2, "big") + name + sha256(data).digest()).digest()


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry is in its tree; with the digest, all that its owner needs to show it there."""

    salt: bytes
    index: int  # zero-based
    path: tuple[bytes, ...]


def commitment_at(place: Place, size: int, kind: int, digest: bytes) -> bytes:
    """The commitment to a tree of `size` entries in which a digest of `kind` has that place.

    NotVerified or Malformed where the path cannot lead through a tree of that size.
    """
    leaf = leaf_hash(entry(kind, place.salt, digest))
    return commitment(size, root_of(leaf, place.index, size, place.path))


@dataclass(frozen=True, slots=True)
class SealedBatch:
    """A tree that is ready to be anchored; `places` are in the order in which the items were given."""

    commitment: bytes
    size: int
    root: bytes
    places: tuple[Place, ...]


def padded_size(count: int) -> int:
    """The size of the tree for `count` items: a power of two, at least 64."""
    return max(MIN_BATCH_SIZE, 1 << (count - 1).bit_length()) if count > 0 else MIN_BATCH_SIZE


def seal_batch(
    items: Sequence[tuple[int, bytes]],
    salts: Sequence[bytes],
    padding_digests: Sequence[bytes],
    order: Sequence[int],
) -> SealedBatch:
    """The tree over `items`, pairs of kind and digest, and as many padding entries as fill it up.

    Everything random is an argument, each from a CSPRNG: `salts`, one for each of `padded_size` entries;
    `padding_digests`, one for each entry beyond the items; `order`, a permutation of the indexes, whose
    element i is the index at which entry i stands. Wrong counts are a ValueError.
    """
    size = padded_size(len(items))
    if not items or len(salts) != size or len(padding_digests) != size - len(items):
        raise ValueError(f"a batch of {len(items)} items needs {size} salts and a padding for the rest")
    if len(set(salts)) != size or sorted(order) != list(range(size)):
        raise ValueError("salts repeat, or the order is no permutation")
    padding = [(PADDING, digest) for digest in padding_digests]
    entries = [b""] * size
    for (kind, digest), salt, index in zip([*items, *padding], salts, order, strict=True):
        entries[index] = entry(kind, salt, digest)
    tree = MerkleTree(entries)
    paths = list(tree.inclusion_paths())
    places = tuple(
        Place(salt, index, paths[index])
        for salt, index, _ in zip(salts, order, items, strict=False)  # the items come first
    )
    return SealedBatch(commitment(size, tree.root), size, tree.root, places)


@dataclass(frozen=True, slots=True)
class Anchor:
    """The `anchor` of a bundle: the holder's path, and where the commitment is said to stand.

    Chain, registry and identity are claims, to be compared with the verifier's own table, never used.
    """

    salt: bytes
    index: int  # zero-based
    size: int
    path: tuple[bytes, ...]
    chain: str  # CAIP-2
    registry: bytes  # 20 bytes
    identity: bytes  # 20 bytes
    block: int
    proof_value: str | None = None

    def commitment_of(self, kind: int, digest: bytes) -> bytes:
        """The commitment to which this path leads for a digest of `kind`: the key of the slot to look at."""
        return commitment_at(Place(self.salt, self.index, self.path), self.size, kind, digest)

    def to_json(self) -> JsonObject:
        """The anchor as `parse_anchor` reads it."""
        body: JsonObject = {
            "salt": encode_base64url(self.salt),
            "index": self.index,
            "size": self.size,
            "path": [encode_hex(digest) for digest in self.path],
            "chain": self.chain,
            "registry": encode_hex(self.registry),
            "identity": encode_hex(self.identity),
            "block": self.block,
        }
        if self.proof_value is not None:
            body["proofValue"] = self.proof_value
        return body


def parse_anchor(value: Json) -> Anchor:
    """The anchor that a JSON object spells; closed: unknown or missing members are Malformed."""
    members = closed_object(value, "an anchor", _MEMBERS, frozenset({"proofValue"}))
    size = integer_member(members, "size", minimum=1)
    index, path = parse_path(members, size)
    proof_value = None
    if "proofValue" in members:
        proof_value = text_member(members, "proofValue", max_bytes=MAX_PROOF_VALUE_BYTES)
    chain = text_member(members, "chain", max_bytes=_MAX_CHAIN_BYTES)
    if not _CHAIN.match(chain):
        raise Malformed("not a CAIP-2 identifier", path=("chain",))
    return Anchor(
        base64url_member(members, "salt", max_bytes=SALT_BYTES, length=SALT_BYTES),
        index,
        size,
        path,
        chain,
        hex_member(members, "registry", 20),
        hex_member(members, "identity", 20),
        integer_member(members, "block"),
        proof_value,
    )


def parse_path(members: JsonObject, size: int) -> tuple[int, tuple[bytes, ...]]:
    """The `index` and `path` of a JSON object, whose length is checked against a tree of `size` entries."""
    index = integer_member(members, "index")
    expected = path_length(index, size)
    path = digest_list(members, "path", max_items=expected)
    if len(path) != expected:
        raise Malformed(f"an inclusion path of {len(path)} digests where {expected} belong", path=("path",))
    return index, path


def _check_length(what: str, data: bytes, length: int) -> None:
    if len(data) != length:
        raise ValueError(f"{what} has {length} bytes, got {len(data)}")
