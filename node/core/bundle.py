"""The bundle: a credential with all that a verifier needs but a trusted header (FORMATS.md section 7).

Closed JSON, of which `schemas/bonafides/bundle.schema.json` is the schema; hashes are lower-case hex with `0x`,
salts, RLP and files base64url, block numbers integers. What is parsed here is well-formed and no more: the
verification engine derives network, registry and slots from the credential and compares. A bundle is read from
bytes by `strict_json` first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from node.core.anchor import (
    DID_DOCUMENT,
    SALT_BYTES,
    Anchor,
    Place,
    commitment_at,
    credential_digest,
    did_document_digest,
    issued_digest,
    parse_anchor,
    parse_path,
)
from node.core.encoding import encode_base64url, encode_hex
from node.core.envelope import Envelope, open_enveloped, read_envelope
from node.core.errors import Malformed
from node.core.evidence import (
    MAX_ITEMS,
    ShownEvidence,
    WithheldEvidence,
    check_names_differ,
    parse_evidence,
)
from node.core.evm.header import MAX_HEADER_BYTES
from node.core.evm.state_proof import MAX_NODE_BYTES, MAX_POOL_NODES
from node.core.keys import PublicKey, parse_multikey
from node.core.members import (
    base64url_member,
    base64url_value,
    closed_object,
    hex_member,
    integer_member,
    list_member,
    text_member,
    within,
)
from node.core.strict_json import Json, JsonObject

MEDIA_TYPE: Final = "application/vnd.bonafides.bundle+json"
VERSION: Final = 1
MAX_KEY_ID_BYTES: Final = 2048
MAX_ANCHORED_PROOFS: Final = 8
MAX_DID_DOCUMENT_BYTES: Final = 256 * 1024
_MAX_MULTIBASE_BYTES: Final = 1024

_OPTIONAL: Final = frozenset(
    {"credential", "credentialDigest", "key", "anchor", "state", "evidence", "didDocument"}
)
_SNAPSHOT: Final = frozenset({"bytes", "salt", "index", "size", "path", "identity"})
_STATE: Final = frozenset({"header", "nodes"})


@dataclass(frozen=True, slots=True)
class BundleKey:
    """The key with which the issuer's proof is checked, if its slot on the chain holds a window."""

    id: str  # the proof's verificationMethod
    public_key: PublicKey

    def to_json(self) -> JsonObject:
        """The key as a bundle's `key`."""
        return {"id": self.id, "publicKeyMultibase": self.public_key.multibase}


@dataclass(frozen=True, slots=True)
class BundleHop:
    """A newer header and the trie nodes that prove the older one's hash in its history contract."""

    header: bytes  # RLP
    nodes: tuple[bytes, ...]

    def to_json(self) -> JsonObject:
        """The hop as a bundle's `state.hop`."""
        return {
            "header": encode_base64url(self.header),
            "nodes": [encode_base64url(node) for node in self.nodes],
        }


@dataclass(frozen=True, slots=True)
class BundleState:
    """A header and one pool of trie nodes for account and slots, under the header's state root."""

    header: bytes  # RLP
    nodes: tuple[bytes, ...]
    hop: BundleHop | None = None

    def to_json(self) -> JsonObject:
        """The state as a bundle's `state`."""
        body: JsonObject = {
            "header": encode_base64url(self.header),
            "nodes": [encode_base64url(node) for node in self.nodes],
        }
        if self.hop is not None:
            body["hop"] = self.hop.to_json()
        return body


@dataclass(frozen=True, slots=True)
class DidDocumentSnapshot:
    """A did:web document, or the log of a did:webvh, as a witness saw it: with its place in the witness's tree.

    Counts only if `identity` is named as a witness by the verifier's trust list.
    """

    data: bytes
    salt: bytes
    index: int
    size: int
    path: tuple[bytes, ...]
    identity: bytes  # 20 bytes, the witness

    def commitment_of(self, did: str) -> bytes:
        """The commitment to which the path leads where these are the bytes of `did`; errors as `commitment_at`."""
        place = Place(self.salt, self.index, self.path)
        return commitment_at(place, self.size, DID_DOCUMENT, did_document_digest(did, self.data))

    def to_json(self) -> JsonObject:
        """The snapshot as a bundle's `didDocument`."""
        return {
            "bytes": encode_base64url(self.data),
            "salt": encode_base64url(self.salt),
            "index": self.index,
            "size": self.size,
            "path": [encode_hex(digest) for digest in self.path],
            "identity": encode_hex(self.identity),
        }


class ShownDocument:
    """A credential and its digests, each made once: whoever sends many bundles has none made for each of them.

    `envelope` where it is a token; `document` is then what the token says.
    """

    def __init__(self, document: JsonObject, envelope: Envelope | None = None) -> None:
        self.document = document
        self.envelope = envelope
        self._digests: dict[str | None, bytes] = {}

    def digest(self, proof_value: str | None) -> bytes | None:
        """As `credential_digest`; None where there is none, or where more proofs were tried than anybody anchors."""
        if self.envelope is not None:
            return None if proof_value is not None else issued_digest(self.envelope.digest_input)
        known = self._digests.get(proof_value)
        if known is not None or len(self._digests) >= MAX_ANCHORED_PROOFS:
            return known
        try:
            found = self._digests[proof_value] = credential_digest(self.document, proof_value)
        except Malformed:
            return None
        return found

    def is_same(self, credential: JsonObject | str) -> bool:
        """Whether `credential` is this one: the same JSON, or a token with the same issuer-signed part."""
        if self.envelope is None:
            return credential == self.document
        try:
            other = open_enveloped(credential) if isinstance(credential, dict) else read_envelope(credential)
        except Malformed:
            return False
        return other is not None and other.digest_input == self.envelope.digest_input


@dataclass(frozen=True, slots=True)
class Bundle:
    """A parsed bundle. Either the credential is in it, or its digest (section 3) where it travels beside.

    A credential that is a token is its text, or the object that envelops it (VC Data Model 2.0 section 4.13).
    """

    credential: JsonObject | str | None = None
    credential_digest: bytes | None = None
    key: BundleKey | None = None
    anchor: Anchor | None = None
    state: BundleState | None = None
    evidence: tuple[ShownEvidence | WithheldEvidence, ...] = ()
    did_document: DidDocumentSnapshot | None = None

    def __post_init__(self) -> None:
        if (self.credential is None) == (self.credential_digest is None):
            raise Malformed("a bundle holds either a credential or the digest of one")
        check_names_differ(shown.item for shown in self.evidence if isinstance(shown, ShownEvidence))

    def belongs_to(self, shown: ShownDocument) -> bool:
        """Whether this is the bundle of that credential: the same, or its digest."""
        if self.credential is not None:
            return shown.is_same(self.credential)
        proof_value = self.anchor.proof_value if self.anchor else None
        return shown.digest(proof_value) == self.credential_digest

    def to_json(self) -> JsonObject:
        """The bundle as `parse_bundle` reads it; `version` comes first."""
        body: JsonObject = {"version": VERSION}
        if self.credential is not None:
            body["credential"] = self.credential
        if self.credential_digest is not None:
            body["credentialDigest"] = encode_hex(self.credential_digest)
        for name, part in (("key", self.key), ("anchor", self.anchor), ("state", self.state)):
            if part is not None:
                body[name] = part.to_json()
        if self.evidence:
            body["evidence"] = [item.to_json() for item in self.evidence]
        if self.did_document is not None:
            body["didDocument"] = self.did_document.to_json()
        return body

    def without_credential(self, digest: bytes) -> Bundle:
        """The bundle for a credential that travels beside it, known by its 32-byte digest."""
        return replace(self, credential=None, credential_digest=digest)

    def with_credential(self, credential: JsonObject | str) -> Bundle:
        """The bundle with its credential inside, for a file that holds all."""
        return replace(self, credential=credential, credential_digest=None)


def parse_bundle(value: Json) -> Bundle:
    """The bundle that a JSON object spells; anything unknown, missing or beyond its limit is Malformed.

    The credential is only seen to be an object or a text: it is judged as what it is, by the engine.
    """
    members = closed_object(value, "a bundle", frozenset({"version"}), _OPTIONAL)
    if integer_member(members, "version") != VERSION:
        raise Malformed(f"only version {VERSION} of bundles is known", path=("version",))
    credential = members.get("credential")
    if "credential" in members and not isinstance(credential, dict | str):
        raise Malformed("a credential is a JSON object, or the text of a token", path=("credential",))
    return Bundle(
        credential,
        hex_member(members, "credentialDigest", 32) if "credentialDigest" in members else None,
        _parse_key(members["key"]) if "key" in members else None,
        _parse_anchor(members["anchor"]) if "anchor" in members else None,
        parse_state(members["state"]) if "state" in members else None,
        _parse_evidence(members) if "evidence" in members else (),
        parse_snapshot(members["didDocument"]) if "didDocument" in members else None,
    )


def _parse_key(value: Json) -> BundleKey:
    with within("key"):
        members = closed_object(value, "a key", frozenset({"id", "publicKeyMultibase"}))
        key_id = text_member(members, "id", max_bytes=MAX_KEY_ID_BYTES)
        multibase = text_member(members, "publicKeyMultibase", max_bytes=_MAX_MULTIBASE_BYTES)
        with within("publicKeyMultibase"):
            return BundleKey(key_id, parse_multikey(multibase))


def _parse_anchor(value: Json) -> Anchor:
    with within("anchor"):
        return parse_anchor(value)


def parse_state(value: Json) -> BundleState:
    """The `state` of a bundle; closed, as all of it."""
    with within("state"):
        members = closed_object(value, "a state", _STATE, frozenset({"hop"}))
        hop = None
        if "hop" in members:
            with within("hop"):
                newer = closed_object(members["hop"], "a hop", _STATE)
                hop = BundleHop(*_parse_proof(newer))
        return BundleState(*_parse_proof(members), hop)


def _parse_proof(members: JsonObject) -> tuple[bytes, tuple[bytes, ...]]:
    nodes = []
    for position, node in enumerate(list_member(members, "nodes", max_items=MAX_POOL_NODES)):
        with within("nodes", position):
            nodes.append(base64url_value(node, max_bytes=MAX_NODE_BYTES))
    return base64url_member(members, "header", max_bytes=MAX_HEADER_BYTES), tuple(nodes)


def _parse_evidence(members: JsonObject) -> tuple[ShownEvidence | WithheldEvidence, ...]:
    items = []
    for position, item in enumerate(list_member(members, "evidence", max_items=MAX_ITEMS)):
        with within("evidence", position):
            items.append(parse_evidence(item))
    return tuple(items)


def parse_snapshot(value: Json) -> DidDocumentSnapshot:
    """The `didDocument` of a bundle; closed, as all of it."""
    with within("didDocument"):
        members = closed_object(value, "a snapshot of a DID document", _SNAPSHOT)
        size = integer_member(members, "size", minimum=1)
        index, path = parse_path(members, size)
        return DidDocumentSnapshot(
            base64url_member(members, "bytes", max_bytes=MAX_DID_DOCUMENT_BYTES),
            base64url_member(members, "salt", max_bytes=SALT_BYTES, length=SALT_BYTES),
            index,
            size,
            path,
            hex_member(members, "identity", 20),
        )
