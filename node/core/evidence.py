"""Evidence that a credential commits to: a small tree of files, of which the holder shows as many as wanted.

FORMATS.md section 5; `‖` is concatenation, H is SHA-256:

    entry       0x01 ‖ 0x11 ‖ salt (32) ‖ H(JCS({"name","mediaType","length","genre"})) ‖ H(bytes)    98 bytes
    tree        as in `anchor.py`, neither permuted nor padded
    id          data:application/vnd.bonafides.evidence-root;base64,… of 0x02 ‖ size (8) ‖ root
    digestMultibase   `u` and base64url of 0x12 0x20 ‖ commitment, which is the SHA-256 of what `id` holds

So the resource that `id` names is in the credential and a stranger's digest check passes with nothing fetched.
Each salt is drawn for one item: whoever erases salt, members and bytes leaves a hash that cannot be guessed
back, and the credential still verifies. What the evidence is worth is for `assessment.py` and people to say.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from node.core import problem
from node.core.anchor import SALT_BYTES, commitment, sized_root
from node.core.canonical.jcs import canonicalize
from node.core.encoding import SHA2_256, decode_base64, encode_base64url, encode_hex, encode_multibase
from node.core.errors import Malformed, NotVerified
from node.core.members import (
    base64url_member,
    closed_object,
    digest_list,
    hex_member,
    integer_member,
    text_member,
)
from node.core.merkle.inclusion import MAX_PATH, MAX_SIZE, root_of
from node.core.merkle.tree import MerkleTree, leaf_hash
from node.core.strict_json import Json, JsonObject

DATA_URL_PREFIX: Final = "data:application/vnd.bonafides.evidence-root;base64,"
MAX_ITEMS: Final = 1024
MAX_ITEM_BYTES: Final = 8 * 1024 * 1024
MAX_NAME_BYTES: Final = 255
MAX_MEDIA_TYPE_BYTES: Final = 255
MAX_GENRE_BYTES: Final = 1024

_ENTRY_PREFIX: Final = b"\x01\x11"
_MISMATCH: Final = problem.ours("evidence")
# RFC 9110 section 8.3.1: it becomes a header field of a download.
_MEDIA_TYPE: Final = re.compile(
    r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+"
    r"(?: *; *[!#$%&'*+.^_`|~0-9A-Za-z-]+=(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+|\"[ !#-\[\]-~]*\"))*\Z"
)
# Characters that make one name look like another, or like a path (Unicode UAX 9, table 4).
_NOT_IN_NAMES: Final = re.compile(
    "[/\\\\\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)
_SHOWN_MEMBERS: Final = frozenset({"index", "salt", "name", "mediaType", "length", "genre", "bytes", "path"})


@dataclass(frozen=True, slots=True)
class EvidenceItem:
    """One file and what is said about it; well-formed when it exists."""

    name: str
    media_type: str
    genre: str  # empty if none
    data: bytes

    def __post_init__(self) -> None:
        check_name(self.name)
        if len(self.media_type) > MAX_MEDIA_TYPE_BYTES or not _MEDIA_TYPE.match(self.media_type):
            raise Malformed("not a media type (RFC 9110 section 8.3.1)", path=("mediaType",))
        if len(self.data) > MAX_ITEM_BYTES:
            raise Malformed(f"more than {MAX_ITEM_BYTES:,} bytes of evidence in one item", path=("bytes",))

    def entry(self, salt: bytes) -> bytes:
        """The item's entry in the evidence tree; `salt` is 32 bytes from a CSPRNG, used for nothing else."""
        if len(salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes, got {len(salt)}")
        members = canonicalize(
            {
                "name": self.name,
                "mediaType": self.media_type,
                "length": len(self.data),
                "genre": self.genre,
            }
        )
        return _ENTRY_PREFIX + salt + sha256(members).digest() + sha256(self.data).digest()


def check_name(name: str) -> None:
    """Malformed unless `name` can be shown and saved as a file: NFC, 1 to 255 bytes, no path, no tricks."""
    try:
        length = len(name.encode("utf-8"))
    except UnicodeEncodeError as error:
        raise Malformed("a lone surrogate in a name", path=("name",)) from error
    if not 0 < length <= MAX_NAME_BYTES or name in (".", ".."):
        raise Malformed(f"a name has 1 to {MAX_NAME_BYTES} bytes and is not a folder", path=("name",))
    if _NOT_IN_NAMES.search(name):
        raise Malformed("a name with a slash, control or bidirectional character", path=("name",))
    if not unicodedata.is_normalized("NFC", name):
        raise Malformed("a name that is not in Unicode form NFC", path=("name",))


def check_names_differ(items: Iterable[EvidenceItem]) -> None:
    """Malformed if two items have one name."""
    seen: set[str] = set()
    for item in items:
        if item.name in seen:
            raise Malformed("two items of evidence have one name", path=("name",))
        seen.add(item.name)


@dataclass(frozen=True, slots=True)
class ShownEvidence:
    """An item with its place in the tree: what a holder shows."""

    index: int  # zero-based
    salt: bytes
    item: EvidenceItem
    path: tuple[bytes, ...]

    def to_json(self) -> JsonObject:
        """The item as `parse_evidence` reads it."""
        return {
            "index": self.index,
            "salt": encode_base64url(self.salt),
            "name": self.item.name,
            "mediaType": self.item.media_type,
            "length": len(self.item.data),
            "genre": self.item.genre,
            "bytes": encode_base64url(self.item.data),
            "path": [encode_hex(digest) for digest in self.path],
        }


@dataclass(frozen=True, slots=True)
class WithheldEvidence:
    """An item that is not shown: nothing but its leaf hash."""

    leaf: bytes

    def to_json(self) -> JsonObject:
        """The item as `parse_evidence` reads it."""
        return {"leaf": encode_hex(self.leaf)}


def parse_evidence(value: Json) -> ShownEvidence | WithheldEvidence:
    """An item of a bundle's `evidence`; closed. `length` must be that of the bytes."""
    if isinstance(value, dict) and "leaf" in value:
        members = closed_object(value, "withheld evidence", frozenset({"leaf"}))
        return WithheldEvidence(hex_member(members, "leaf", 32))
    members = closed_object(value, "shown evidence", _SHOWN_MEMBERS)
    item = EvidenceItem(
        text_member(members, "name", max_bytes=MAX_NAME_BYTES),
        text_member(members, "mediaType", max_bytes=MAX_MEDIA_TYPE_BYTES),
        text_member(members, "genre", max_bytes=MAX_GENRE_BYTES, empty=True),
        base64url_member(members, "bytes", max_bytes=MAX_ITEM_BYTES),
    )
    if integer_member(members, "length") != len(item.data):
        raise Malformed("length is not that of the bytes", path=("length",))
    return ShownEvidence(
        integer_member(members, "index"),
        base64url_member(members, "salt", max_bytes=SALT_BYTES, length=SALT_BYTES),
        item,
        digest_list(members, "path", max_items=MAX_PATH),
    )


@dataclass(frozen=True, slots=True)
class EvidenceCommitment:
    """What a credential's `evidence` object commits to."""

    size: int  # items
    root: bytes
    commitment: bytes


def committed_in(evidence: Json) -> EvidenceCommitment | None:
    """The commitment in one object of a credential's `evidence`, or None for evidence of another kind.

    Malformed where `id` is of our kind and holds no sized root, or `digestMultibase` is not its digest.
    """
    url = evidence.get("id") if isinstance(evidence, dict) else None
    if not isinstance(url, str) or not url.startswith(DATA_URL_PREFIX):
        return None
    data = decode_base64(url.removeprefix(DATA_URL_PREFIX))
    size = int.from_bytes(data[1:9], "big")
    if len(data) != 41 or data[0] != 0x02 or not 0 < size <= MAX_SIZE:
        raise Malformed("an evidence root is 0x02, a size and 32 bytes", path=("id",))
    digest = sha256(data).digest()
    if evidence.get("digestMultibase") != _digest_multibase(digest):
        raise Malformed("digestMultibase is not the digest of the root in id", path=("digestMultibase",))
    return EvidenceCommitment(size, data[9:], digest)


def _digest_multibase(digest: bytes) -> str:
    return encode_multibase(SHA2_256 + digest, "u")


def verify_shown(committed: EvidenceCommitment, shown: ShownEvidence) -> None:
    """Raise NotVerified unless `shown` is the item that stands at its index of the committed tree.

    Malformed where the path has not the length that index and size call for.
    """
    leaf = leaf_hash(shown.item.entry(shown.salt))
    if root_of(leaf, shown.index, committed.size, shown.path) != committed.root:
        raise NotVerified("an item of evidence is not the one that was committed to", type=_MISMATCH)


@dataclass(frozen=True, slots=True)
class EvidenceSet:
    """All items of one credential with their salts: the issuer's side, then the holder's."""

    items: tuple[EvidenceItem, ...]
    salts: tuple[bytes, ...]
    size: int
    root: bytes
    paths: tuple[tuple[bytes, ...], ...]

    @property
    def commitment(self) -> bytes:
        """The 32-byte commitment to the whole set."""
        return commitment(self.size, self.root)

    def evidence_object(
        self,
        *,
        name: str | None = None,
        description: str | None = None,
        narrative: str | None = None,
        genre: str | None = None,
    ) -> JsonObject:
        """The object for the credential's `evidence` (VC 2.0 section 5.6, Open Badges 3.0 Evidence)."""
        sized = sized_root(self.size, self.root)
        members: JsonObject = {
            "id": DATA_URL_PREFIX + base64.b64encode(sized).decode("ascii"),
            "type": ["Evidence"],
            "name": name,
            "description": description,
            "narrative": narrative,
            "genre": genre,
            "digestMultibase": _digest_multibase(sha256(sized).digest()),
        }
        return {member: value for member, value in members.items() if value is not None}

    def show(self, indexes: Iterable[int]) -> tuple[ShownEvidence, ...]:
        """The items at `indexes` (zero-based), ready to be shown."""
        return tuple(
            ShownEvidence(index, self.salts[index], self.items[index], self.paths[index]) for index in indexes
        )


def build_evidence(items: Sequence[EvidenceItem], salts: Sequence[bytes]) -> EvidenceSet:
    """The set over `items`, 1 to 1,024 with names that differ; `salts` hold 32 fresh random bytes for each."""
    if not 0 < len(items) <= MAX_ITEMS:
        raise Malformed(f"evidence has 1 to {MAX_ITEMS:,} items, got {len(items)}")
    if len(set(salts)) != len(items):
        raise ValueError("each item needs a salt of its own")
    check_names_differ(items)
    tree = MerkleTree([item.entry(salt) for item, salt in zip(items, salts, strict=True)])
    return EvidenceSet(tuple(items), tuple(salts), tree.size, tree.root, tuple(tree.inclusion_paths()))
