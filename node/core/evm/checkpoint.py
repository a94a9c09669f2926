"""Checkpoint files: block hashes that somebody vouches for, so that bundles can be judged offline.

FORMATS.md section 7. A file holds the hashes of one chain's headers in a series, those whose number is a
multiple of `step`: {`chain`, `genesis`, `step`, `sequence`, `headers`: [[number, hash], …], `signature`?}. A file
that is named on the command line is trusted as it is; one that arrives otherwise must be signed by a key of the
operator's configuration: Ed25519 over the JCS form without `signature`, which is base64url. Who keeps the
newest file compares `sequence`, and what the files say of the same blocks.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.encoding import encode_base64url, encode_hex
from node.core.errors import Malformed, NotVerified
from node.core.evm.network import format_chain, parse_chain
from node.core.keys import KeyKind, PublicKey, parse_multikey
from node.core.members import (
    base64url_member,
    closed_object,
    hex_member,
    hex_value,
    integer_member,
    list_member,
    within,
)
from node.core.strict_json import Json, JsonObject

# A hundred years of mainnet at every 4,096th block; a development chain reaches it in a day of blocks.
MAX_HEADERS: Final = 100_000
MAX_FILE_BYTES: Final = 12 * 1024 * 1024
SIGNATURE_BYTES: Final = 64
_MEMBERS: Final = frozenset({"chain", "genesis", "step", "sequence", "headers"})


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Hashes of final headers, in rising order of their numbers; well-formed when it exists."""

    chain_id: int
    genesis: bytes
    step: int
    sequence: int
    headers: tuple[tuple[int, bytes], ...]  # number, hash
    signature: bytes | None = None

    def __post_init__(self) -> None:
        newest = -1
        for number, _ in self.headers:
            if number <= newest or number % self.step:
                raise Malformed("headers rise, each a multiple of step", path=("headers",))
            newest = number

    @property
    def chain(self) -> str:
        """The CAIP-2 identifier."""
        return format_chain(self.chain_id)

    @property
    def newest_number(self) -> int:
        """The number of the last header; -1 where there is none."""
        return self.headers[-1][0] if self.headers else -1

    def hash_at(self, number: int) -> bytes | None:
        """The hash of block `number`, or None if it is not in the file."""
        at = bisect_left(self.headers, (number, b""))
        if at < len(self.headers) and self.headers[at][0] == number:
            return self.headers[at][1]
        return None

    def extended(self, headers: Iterable[tuple[int, bytes]]) -> Checkpoint:
        """The next file of the series, with more headers and without a signature; the oldest leave a full one.

        Malformed where they do not rise from the newest.
        """
        longer = (*self.headers, *headers)[-MAX_HEADERS:]
        return replace(self, headers=longer, sequence=self.sequence + 1, signature=None)

    def check_follows(self, kept: Checkpoint) -> None:
        """Raise NotVerified unless this file may take the place of `kept`: same series, not older, not against it.

        An older one is how a revocation is hidden that the newer one lets prove.
        """
        if (self.chain_id, self.genesis, self.step) != (kept.chain_id, kept.genesis, kept.step):
            raise NotVerified("the checkpoint file is of another chain or series than the one that is kept")
        if self.sequence < kept.sequence:
            raise NotVerified(
                f"the checkpoint file, sequence {self.sequence}, is older than the one that is kept, {kept.sequence}"
            )
        if self.sequence == kept.sequence and self.headers != kept.headers:
            raise NotVerified(f"there are two checkpoint files with the sequence {self.sequence}")
        known = dict(kept.headers)
        for number, digest in self.headers:
            if known.get(number, digest) != digest:
                raise NotVerified(f"two checkpoint files name different blocks {number}")

    @property
    def signed_bytes(self) -> bytes:
        """What is signed: the JCS form without `signature`."""
        return canonicalize(replace(self, signature=None).to_json())

    def verify_signature(self, key: PublicKey) -> None:
        """Raise NotVerified unless the file is signed by `key`, an Ed25519 key of the operator's configuration."""
        if key.kind is not KeyKind.ED25519:
            raise NotVerified("checkpoint files are signed with Ed25519")
        if self.signature is None:
            raise NotVerified("the checkpoint file is not signed", type=problem.PROOF_VERIFICATION_ERROR)
        key.verify(self.signature, self.signed_bytes)

    def to_json(self) -> JsonObject:
        """The file as `parse_checkpoint` reads it."""
        body: JsonObject = {
            "chain": self.chain,
            "genesis": encode_hex(self.genesis),
            "step": self.step,
            "sequence": self.sequence,
            "headers": [[number, encode_hex(digest)] for number, digest in self.headers],
        }
        if self.signature is not None:
            body["signature"] = encode_base64url(self.signature)
        return body


def parse_checkpoint_key(text: str) -> PublicKey:
    """The Ed25519 key that a Multikey or a did:key names; Malformed otherwise."""
    key = parse_multikey(text.removeprefix("did:key:"))
    if key.kind is not KeyKind.ED25519:
        raise Malformed("checkpoint files are signed with Ed25519")
    return key


def parse_checkpoint(value: Json) -> Checkpoint:
    """The checkpoint file that a JSON object spells; closed, and Malformed where its order is wrong."""
    members = closed_object(value, "a checkpoint file", _MEMBERS, frozenset({"signature"}))
    signature = None
    if "signature" in members:
        signature = base64url_member(members, "signature", max_bytes=SIGNATURE_BYTES, length=SIGNATURE_BYTES)
    headers = []
    for position, pair in enumerate(list_member(members, "headers", max_items=MAX_HEADERS)):
        with within("headers", position):
            headers.append(_parse_pair(pair))
    return Checkpoint(
        parse_chain(members["chain"]),
        hex_member(members, "genesis", 32),
        integer_member(members, "step", minimum=1),
        integer_member(members, "sequence"),
        tuple(headers),
        signature,
    )


def _parse_pair(pair: Json) -> tuple[int, bytes]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise Malformed("expected a pair of number and hash")
    number, digest = pair
    return integer_member({"number": number}, "number"), hex_value(digest, 32)
