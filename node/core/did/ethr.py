"""did:ethr: the document that follows from an identity's events in its ERC-1056 registry.

The ethr DID method specification, as npm `ethr-did-resolver` 11.1.3 carries it out: the same events give the
same document, its habits included, since strangers look up `#delegate-N` with that resolver. There are two
differences. A Multikey method has `publicKeyMultibase` where the resolver, which does not know the type, writes
`publicKeyHex`; and a service endpoint whose JSON our parser refuses (duplicate members, huge numbers) stays text.

How N counts: every delegate event and every `did/pub/` attribute event raises it by one, revocations and entries
that have run out included, so an id does not move to another key. Adding a key again gives it a new id. (One habit
breaks this: a `did/pub/` name of another form is counted only once it has run out. Our issuers write none.)

Reading events from a chain is `node/outbound/resolve.py`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.did.document import (
    ASSERTION_METHOD,
    AUTHENTICATION,
    DID_CONTEXT,
    KEY_AGREEMENT,
    RELATIONSHIPS,
    DidDocument,
    read_method,
)
from node.core.did.ethr_identity import (
    EthrDid,
    checksum_address,
    did_ethr,
    ethereum_address,
    parse_did_ethr,
)
from node.core.did.resolution import ResolutionResult
from node.core.encoding import encode_base58btc, encode_multibase
from node.core.errors import Malformed, NotFound
from node.core.evm import log as log_reading
from node.core.evm.log import number
from node.core.keys import PublicKey
from node.core.strict_json import Json, JsonObject, parse_json
from node.core.times import from_unix

__all__ = [
    "AttributeChanged",
    "DelegateChanged",
    "EthrDid",
    "EthrEvent",
    "OwnerChanged",
    "decode_log",
    "delegate_number",
    "did_ethr",
    "document_from_events",
    "ethereum_address",
    "parse_did_ethr",
    "previous_change",
]

MULTIKEY_ATTRIBUTE: Final = b"did/pub/Multikey/veriKey"
"""Name of the attribute that carries an assertion key of ours: its value is multicodec prefix and key."""

OWNER_CHANGED: Final = bytes.fromhex("38a5a6e68f30ed1ab45860a4afb34bcb2fc00f22ca462d249b8a8d40cda6f7a3")
DELEGATE_CHANGED: Final = bytes.fromhex("5a5084339536bcab65f20799fcc58724588145ca054bd2be626174b27ba156f7")
ATTRIBUTE_CHANGED: Final = bytes.fromhex("18ab6b2ae3d64306c00ce663125f2bd680e441a098de1635bd7ad8b0d44965e4")

# What our registry takes. Base58 is quadratic, some milliseconds here, and every event of a hostile identity may be
# written in it.
MAX_VALUE_BYTES: Final = 4096

_CONTEXT: Final = (
    DID_CONTEXT,
    "https://w3id.org/security/suites/secp256k1recovery-2020/v2",
    "https://w3id.org/security/v3-unstable",
)
_RECOVERY_METHOD: Final = "EcdsaSecp256k1RecoveryMethod2020"
_SECP256K1_METHOD: Final = "EcdsaSecp256k1VerificationKey2019"
_ATTRIBUTE: Final = re.compile(r"did/(pub|svc)/(\w+)(?:/(\w+))?(?:/(\w+))?\Z", re.ASCII)
_USAGES: Final = {
    "sigAuth": "SignatureAuthentication2018",
    "veriKey": "VerificationKey2018",
    "enc": "KeyAgreementKey2019",
}
# Algorithm and usage, run together, to the type of the method; any other algorithm is itself the type.
_TYPES: Final = {
    "Secp256k1VerificationKey2018": _SECP256K1_METHOD,
    "Secp256k1SignatureAuthentication2018": _SECP256K1_METHOD,
    "Ed25519VerificationKey2018": "Ed25519VerificationKey2018",
    "Ed25519SignatureAuthentication2018": "Ed25519VerificationKey2018",
    "RSAVerificationKey2018": "RSAVerificationKey2018",
    "X25519KeyAgreementKey2019": "X25519KeyAgreementKey2019",
}


@dataclass(frozen=True, slots=True)
class EthrEvent:
    """What every event of ERC-1056 says. `identity` has 20 bytes; `log_index` orders events of one block."""

    identity: bytes
    block_number: int
    log_index: int
    previous_change: int


@dataclass(frozen=True, slots=True)
class OwnerChanged(EthrEvent):
    """`DIDOwnerChanged`; `owner` has 20 bytes."""

    owner: bytes


@dataclass(frozen=True, slots=True)
class DelegateChanged(EthrEvent):
    """`DIDDelegateChanged`; `delegate_type` has 32 bytes, `valid_to` is in Unix seconds."""

    delegate_type: bytes
    delegate: bytes
    valid_to: int


@dataclass(frozen=True, slots=True)
class AttributeChanged(EthrEvent):
    """`DIDAttributeChanged`; `name` has 32 bytes, `valid_to` is in Unix seconds."""

    name: bytes
    value: bytes
    valid_to: int


def decode_log(log: JsonObject) -> EthrEvent | None:
    """The event in one log of `eth_getLogs`; None if it is not of ERC-1056, Malformed if it is broken."""
    words = log_reading.topics_of(log)
    if len(words) != 2 or words[0] not in (OWNER_CHANGED, DELEGATE_CHANGED, ATTRIBUTE_CHANGED):
        return None
    data = log_reading.hex_data(log.get("data"))
    identity = log_reading.address(words[1])
    block, index = log_reading.quantity_of(log, "blockNumber"), log_reading.quantity_of(log, "logIndex")
    if words[0] == OWNER_CHANGED:
        owner, previous = log_reading.words(data, 2)
        return OwnerChanged(identity, block, index, number(previous), log_reading.address(owner))
    if words[0] == DELEGATE_CHANGED:
        kind, delegate, valid_to, previous = log_reading.words(data, 4)
        return DelegateChanged(
            identity, block, index, number(previous), kind, log_reading.address(delegate), number(valid_to)
        )
    name, offset, valid_to, previous = log_reading.words(data, 4)
    value = log_reading.dynamic_bytes(data, number(offset), MAX_VALUE_BYTES)
    return AttributeChanged(identity, block, index, number(previous), name, value, number(valid_to))


def previous_change(events: Iterable[EthrEvent], block_number: int) -> int:
    """The block before `block_number` that the events of that block point to; 0 where the chain of changes ends.

    Of several events in one block all but the first point to the block itself.
    """
    return min(
        (event.previous_change for event in events if 0 < event.previous_change < block_number), default=0
    )


def document_from_events(
    did: EthrDid,
    events: Iterable[EthrEvent],
    *,
    block_time: int,
    at_block: int | None = None,
    block_times: Mapping[int, int] = MappingProxyType({}),
) -> ResolutionResult:
    """The document of `did` after all its `events`, or with `at_block` after those up to that block.

    `block_time` is the moment at which validity is judged, in Unix seconds: the clock's for the newest document,
    that block's for an older one (`versionId`). `block_times` gives the times of blocks that hold events, for the
    metadata. The document's id is the DID as it was read. An owner of zero deactivates for good, whatever events
    follow.
    """
    replay = _Replay(did, block_time, at_block)
    replay.run(events)
    document = replay.document()
    return ResolutionResult(
        document=document,
        deactivated=replay.deactivated,
        version_id=replay.version_id,
        updated=_moment(block_times, replay.version_id),
        next_version_id=replay.next_version_id,
        next_update=_moment(block_times, replay.next_version_id),
    )


def delegate_number(
    events: Iterable[EthrEvent], key: PublicKey, *, block_time: int, at_block: int | None = None
) -> int:
    """N of the `#delegate-N` by which `key`, registered as a Multikey, is listed; NotFound if it is not.

    `block_time` and `at_block` as in `document_from_events`.
    """
    events = tuple(events)
    if not events:
        raise NotFound("the identity has never been changed: it lists no key")
    did = EthrDid("did:ethr:0x1:0x" + events[0].identity.hex(), 1, events[0].identity)
    replay = _Replay(did, block_time, at_block)
    replay.run(events)
    entry = _Entry("attribute", MULTIKEY_ATTRIBUTE.decode(), key.multicodec_bytes)
    if replay.deactivated or entry not in replay.methods:
        raise NotFound("the identity does not list this key")
    return int(replay.methods[entry]["id"].rpartition("-")[2])


@dataclass(frozen=True, slots=True)
class _Entry:
    """What a later event must repeat to renew or revoke an earlier one."""

    kind: str
    name: str
    value: bytes


@dataclass(slots=True)
class _Replay:
    """The state of an identity while its events pass by, oldest first.

    Dictionaries keep the place of an entry that is renewed, and move one that was revoked and added again to the
    end, as the resolver's objects do: the order of the document's lists is part of being equal.
    """

    did: EthrDid
    block_time: int
    at_block: int | None
    version_id: int | None = None
    next_version_id: int | None = None
    deactivated: bool = False
    owner: bytes = field(init=False)
    delegates: int = 0
    service_count: int = 0
    methods: dict[_Entry, JsonObject] = field(default_factory=dict)
    authentication: dict[_Entry, str] = field(default_factory=dict)
    assertion: dict[_Entry, str] = field(default_factory=dict)
    key_agreement: dict[_Entry, str] = field(default_factory=dict)
    services: dict[_Entry, JsonObject] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.owner = self.did.identity

    def run(self, events: Iterable[EthrEvent]) -> None:
        for event in sorted(events, key=lambda event: (event.block_number, event.log_index)):
            if event.identity != self.did.identity:
                raise Malformed("an event of another identity", type=problem.INVALID_DID_DOCUMENT)
            if isinstance(event, DelegateChanged | AttributeChanged) and _name(event) is None:
                continue  # no text, so no event of a DID: it counts nowhere
            if self.at_block is not None and event.block_number > self.at_block:
                self.next_version_id = self.next_version_id or event.block_number
                continue
            self.version_id = event.block_number
            self.apply(event)
            if self.deactivated:
                return

    def apply(self, event: EthrEvent) -> None:
        match event:
            case OwnerChanged():
                self.owner = event.owner
                self.deactivated = event.owner == bytes(20)
            case DelegateChanged():
                self.delegates += 1
                entry = _Entry("delegate", _name(event) or "", event.delegate)
                if self._is_valid(event.valid_to):
                    self._add_delegate(entry)
                else:
                    self._remove(entry)
            case AttributeChanged():
                entry = _Entry("attribute", _name(event) or "", event.value)
                if self._is_valid(event.valid_to):
                    self._add_attribute(entry)
                else:
                    self._count_ended(entry.name)
                    self._remove(entry)

    def _is_valid(self, valid_to: int) -> bool:
        # Zero is a revocation even where the clock stands at zero.
        return valid_to != 0 and valid_to >= self.block_time

    def _count_ended(self, name: str) -> None:
        # By the beginning of the name alone, unlike `_add_attribute`: the resolver's habit, and its ids.
        if name.startswith("did/pub/"):
            self.delegates += 1
        elif name.startswith("did/svc/"):
            self.service_count += 1

    def _remove(self, entry: _Entry) -> None:
        # Not from keyAgreement: the resolver leaves that reference behind when it takes the key away.
        for table in (self.authentication, self.assertion, self.methods, self.services):
            table.pop(entry, None)

    def _add_delegate(self, entry: _Entry) -> None:
        if entry.name not in ("veriKey", "sigAuth"):
            return
        method_id = self._delegate_id()
        self.methods[entry] = {
            "id": method_id,
            "type": _RECOVERY_METHOD,
            "controller": self.did.text,
            "blockchainAccountId": self._account(entry.value),
        }
        self.assertion[entry] = method_id
        if entry.name == "sigAuth":
            self.authentication[entry] = method_id

    def _add_attribute(self, entry: _Entry) -> None:
        match = _ATTRIBUTE.match(entry.name)
        if match is None:
            return
        section, algorithm, usage, encoding = match.groups()
        if section == "svc":
            self._add_service(entry, algorithm)
            return
        self.delegates += 1
        material = _key_material(algorithm, encoding, entry.value)
        if material is None:
            return
        method_id = self._delegate_id()
        # A name without usage is, to the resolver, of the usage "undefined".
        kind = _TYPES.get(algorithm + _USAGES.get(usage, usage or "undefined"), algorithm)
        self.methods[entry] = {"id": method_id, "type": kind, "controller": self.did.text, **material}
        if usage == "enc":
            self.key_agreement[entry] = method_id
            return
        self.assertion[entry] = method_id
        if usage == "sigAuth":
            self.authentication[entry] = method_id

    def _add_service(self, entry: _Entry, kind: str) -> None:
        self.service_count += 1
        text = _utf8(entry.value)
        if text is not None:
            self.services[entry] = {
                "id": f"{self.did.text}#service-{self.service_count}",
                "type": kind,
                "serviceEndpoint": _endpoint(text),
            }

    def _delegate_id(self) -> str:
        return f"{self.did.text}#delegate-{self.delegates}"

    def _account(self, address: bytes) -> str:
        return f"eip155:{self.did.chain_id}:{checksum_address(address)}"

    def document(self) -> DidDocument:
        """The document as it stands now, and the reading of it."""
        did = self.did.text
        raw: JsonObject = {"@context": list(_CONTEXT), "id": did}
        if self.deactivated:
            raw |= {"verificationMethod": [], AUTHENTICATION: [], ASSERTION_METHOD: []}
        else:
            raw |= self._members()
        return DidDocument(
            id=did,
            raw=raw,
            methods=tuple(read_method(method, did) for method in raw["verificationMethod"]),
            relationships=MappingProxyType({name: frozenset(raw.get(name, ())) for name in RELATIONSHIPS}),
        )

    def _members(self) -> JsonObject:
        own = self._own_methods()
        own_ids = [method["id"] for method in own]
        members: JsonObject = {
            "verificationMethod": own + list(self.methods.values()),
            AUTHENTICATION: own_ids + list(self.authentication.values()),
            ASSERTION_METHOD: own_ids + list(self.assertion.values()),
        }
        if self.services:
            members["service"] = list(self.services.values())
        if self.key_agreement:
            members[KEY_AGREEMENT] = list(self.key_agreement.values())
        return members

    def _own_methods(self) -> list[JsonObject]:
        did = self.did.text
        methods: list[JsonObject] = [
            {
                "id": f"{did}#controller",
                "type": _RECOVERY_METHOD,
                "controller": did,
                "blockchainAccountId": self._account(self.owner),
            }
        ]
        if self.did.public_key is not None and self.owner == self.did.identity:
            methods.append(
                {
                    "id": f"{did}#controllerKey",
                    "type": _SECP256K1_METHOD,
                    "controller": did,
                    "publicKeyHex": did.rpartition("0x")[2],  # letter for letter as the DID writes it
                }
            )
        return methods


def _key_material(algorithm: str, encoding: str | None, value: bytes) -> JsonObject | None:
    match encoding:
        case None | "hex" if algorithm == "Multikey":
            return {"publicKeyMultibase": encode_multibase(value)}
        case None | "hex":
            return {"publicKeyHex": value.hex()}
        case "base64":
            return {"publicKeyBase64": base64.b64encode(value).decode("ascii")}
        case "base58":
            return {"publicKeyBase58": encode_base58btc(value)}
        case "pem":
            text = _utf8(value)
            return None if text is None else {"publicKeyPem": text}
        case _:
            return {"value": value.hex()}


def _endpoint(text: str) -> Json:
    try:
        return parse_json(text)
    except Malformed:
        return text


def _name(event: DelegateChanged | AttributeChanged) -> str | None:
    word = event.name if isinstance(event, AttributeChanged) else event.delegate_type
    text = _utf8(word)
    return None if text is None else text.rstrip("\0")


def _utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _moment(block_times: Mapping[int, int], block: int | None) -> datetime | None:
    return None if block is None or block not in block_times else from_unix(block_times[block])
