"""DID documents: reading one that came from outside, and finding in it the method that a proof names.

DID Core 1.0 section 5, Controlled Identifiers 1.0 (CID) section 2 and the retrieval of section 3.3. What is true of
them is true of the controlled identifier document at an https address, of which they are a kind. Documents are read as
plain JSON, whatever their `@context`. How a document is come by is left to the methods beside this module and to
`node/outbound/resolve.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.did.address import identifier_of
from node.core.did.syntax import did_of, is_did
from node.core.encoding import decode_base58btc, encode_multibase
from node.core.errors import Malformed, NotVerified
from node.core.keys import PRIVATE_JWK_MEMBERS, KeyKind, PublicKey, parse_jwk, parse_multikey
from node.core.strict_json import Json, JsonObject
from node.core.times import parse_datetime_stamp

DID_CONTEXT: Final = "https://www.w3.org/ns/did/v1"
MULTIKEY_CONTEXT: Final = "https://w3id.org/security/multikey/v1"
JWS_2020_CONTEXT: Final = "https://w3id.org/security/suites/jws-2020/v1"
# The first has been the one context of DID documents for years; the others are of DID 1.1 and CID 1.0.
_DOCUMENT_CONTEXTS: Final = frozenset(
    {DID_CONTEXT, "https://www.w3.org/ns/did/v1.1", "https://www.w3.org/ns/cid/v1"}
)

AUTHENTICATION: Final = "authentication"
ASSERTION_METHOD: Final = "assertionMethod"
KEY_AGREEMENT: Final = "keyAgreement"
CAPABILITY_INVOCATION: Final = "capabilityInvocation"
CAPABILITY_DELEGATION: Final = "capabilityDelegation"
RELATIONSHIPS: Final = (
    AUTHENTICATION,
    ASSERTION_METHOD,
    KEY_AGREEMENT,
    CAPABILITY_INVOCATION,
    CAPABILITY_DELEGATION,
)
SIGNING_RELATIONSHIPS: Final = tuple(name for name in RELATIONSHIPS if name != KEY_AGREEMENT)

# Ways of writing a key or an account. A method has one of them, or it is not clear which key it means.
_KEY_MEMBERS: Final = frozenset(
    {
        "publicKeyMultibase",
        "publicKeyJwk",
        "publicKeyHex",
        "publicKeyBase58",
        "publicKeyBase64",
        "publicKeyPem",
        "blockchainAccountId",
        "ethereumAddress",
    }
)
_PRIVATE_MEMBERS: Final = frozenset(
    {"secretKeyMultibase", "secretKeyJwk", "privateKeyMultibase", "privateKeyJwk", "privateKeyBase58"}
)
# No document of the vectors or of a school has a tenth; one method is looked for, none is tried in turn.
MAX_METHODS: Final = 1000
MAX_SERVICES: Final = 1000
# CAIP-10 of an Ethereum account; the form with the chain behind is of documents before 2021.
_ACCOUNT: Final = re.compile(r"eip155:([1-9][0-9]{0,15}):0x([0-9a-fA-F]{40})\Z")
_OLD_ACCOUNT: Final = re.compile(r"0x([0-9a-fA-F]{40})@eip155:([1-9][0-9]{0,15})\Z")


@dataclass(frozen=True, slots=True)
class Account:
    """An Ethereum account: the number of its chain, and its address of 20 bytes, which is the end of a key's hash."""

    chain_id: int
    address: bytes


@dataclass(frozen=True, slots=True)
class VerificationMethod:
    """One verification method (CID section 2.2); `id` is absolute.

    `public_key` is None for recovery methods, for key types that do not sign here and for key material that
    no key can be read from: who needs the key says so then.
    """

    id: str
    type: str
    controller: str
    public_key: PublicKey | None
    raw: JsonObject
    expires: datetime | None = None
    revoked: datetime | None = None

    @property
    def account(self) -> Account | None:
        """The Ethereum account that it names in place of a key (`blockchainAccountId`), else None."""
        text = self.raw.get("blockchainAccountId")
        if not isinstance(text, str):
            return None
        if (found := _ACCOUNT.match(text)) is not None:
            return Account(int(found[1]), bytes.fromhex(found[2]))
        if (found := _OLD_ACCOUNT.match(text)) is not None:
            return Account(int(found[2]), bytes.fromhex(found[1]))
        return None


class MethodEnded(NotVerified):
    """A verification method that was revoked, or had expired, by then: no proof is verified with it any more."""


@dataclass(frozen=True, slots=True)
class DidDocument:
    """A DID document, or that of an https address, that keeps the rules; `raw` is the document as it came.

    `relationships` maps each verification relationship to the absolute ids listed under it. An id listed there
    need not be among `methods`: it may stand in another document.
    """

    id: str
    raw: JsonObject
    methods: tuple[VerificationMethod, ...]
    relationships: Mapping[str, frozenset[str]]

    def to_json(self) -> JsonObject:
        """The document as it came."""
        return self.raw

    def method(self, did_url: str, purpose: str, *, at: datetime | None = None) -> VerificationMethod:
        """The method that `did_url` names, if it may be used for `purpose` (a relationship), at the time `at`.

        CID section 3.3, in its order. NotVerified with that section's types otherwise, MethodEnded where it had ended
        by then; without `at` neither `expires` nor `revoked` is looked at.
        """
        try:
            document_id = identifier_of(did_url)
        except Malformed as error:
            raise NotVerified(
                "the verification method is neither a DID URL nor at an https address",
                type=problem.INVALID_VERIFICATION_METHOD_URL,
            ) from error
        if self.id != document_id:
            raise NotVerified(
                f"the verification method belongs to {document_id}, the document to {self.id}",
                type=problem.INVALID_CONTROLLED_IDENTIFIER_DOCUMENT_ID,
            )
        found = next((method for method in self.methods if method.id == did_url), None)
        if found is None:
            raise _bad_method("the document has no such verification method")
        if found.controller != self.id:
            raise _bad_method("the verification method is controlled by somebody else")
        if did_url not in self.relationships.get(purpose, frozenset()):
            raise NotVerified(
                f"the verification method is not listed under {purpose}",
                type=problem.INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD,
            )
        if at is not None and found.revoked is not None and found.revoked <= at:
            raise _ended("the verification method was revoked by then")
        if at is not None and found.expires is not None and found.expires <= at:
            raise _ended("the verification method had expired by then")
        return found


def parse_did_document(json: Json, expected_id: str, *, require_absolute_urls: bool = False) -> DidDocument:
    """The document in `json`, whose `id` must be `expected_id`; Malformed otherwise.

    `require_absolute_urls` is the rule of did:web: no `#key-1` for an id, every DID URL written out.
    """
    return _parse(json, _Reader(expected_id, require_absolute_urls))


def parse_controlled_document(json: Json, address: str) -> DidDocument:
    """The controlled identifier document at an https `address`, which must be its `id` (CID section 2); else Malformed.

    Anything may stand at an address: what neither names a context of such documents nor lists a method is none.
    """
    document = _parse(json, _Reader(address, require_absolute=False))
    if "@context" not in document.raw and not document.methods:
        raise _bad_document("what is there is no controlled identifier document")
    return document


def _parse(json: Json, reader: _Reader) -> DidDocument:
    expected_id = reader.base
    if type(json) is not dict:
        raise _bad_document("a DID document is a JSON object")
    if json.get("id") != expected_id:
        raise Malformed(
            f"the document's id is not {expected_id}",
            type=problem.INVALID_CONTROLLED_IDENTIFIER_DOCUMENT_ID,
            path=("id",),
        )
    _check_context(json)
    _check_strings(json, "controller")
    reader.check_controllers(json)
    _check_strings(json, "alsoKnownAs")
    for index, item in enumerate(_array(json, "verificationMethod")):
        reader.add_method(item, ("verificationMethod", index))
    relationships = {
        name: frozenset(
            reader.reference(item, (name, index)) for index, item in enumerate(_array(json, name))
        )
        for name in RELATIONSHIPS
    }
    reader.check_services(_array(json, "service"))
    return DidDocument(expected_id, json, tuple(reader.methods.values()), MappingProxyType(relationships))


def read_method(raw: JsonObject, base: str) -> VerificationMethod:
    """The verification method in `raw`, a member of the document of `base`; Malformed where it breaks a rule.

    Key material that cannot be read is no fault of the document: `public_key` is None then.
    """
    identifier, kind, controller = (_string(raw, member) for member in ("id", "type", "controller"))
    if _PRIVATE_MEMBERS & raw.keys():
        raise _bad_document("a verification method holds a private key")
    if len(_KEY_MEMBERS & raw.keys()) > 1:
        raise _bad_document("a verification method writes its key in more than one way")
    return VerificationMethod(
        id=_absolute(identifier, base),
        type=kind,
        controller=controller,
        public_key=_public_key(kind, raw),
        raw=raw,
        expires=_time(raw, "expires"),
        revoked=_time(raw, "revoked"),
    )


def multikey_method(did: str, fragment: str, multicodec_bytes: bytes) -> JsonObject:
    """The JSON of a Multikey method of `did` (CID section 2.2.2)."""
    return {
        "id": f"{did}#{fragment}",
        "type": "Multikey",
        "controller": did,
        "publicKeyMultibase": encode_multibase(multicodec_bytes),
    }


class _Reader:
    """Collects the methods of one document, those embedded in relationships too."""

    def __init__(self, base: str, require_absolute: bool) -> None:
        self.base = base
        self.require_absolute = require_absolute
        self.methods: dict[str, VerificationMethod] = {}

    def add_method(self, item: Json, path: tuple[str | int, ...]) -> str:
        if type(item) is not dict:
            raise _bad_document("a verification method is an object", path)
        if len(self.methods) >= MAX_METHODS:
            raise _bad_document(f"more than {MAX_METHODS} verification methods", path)
        try:
            self._check_url(item.get("id"))
            method = read_method(item, self.base)
        except Malformed as error:
            raise _bad_document(error.detail, path) from error
        if method.id in self.methods:
            raise _bad_document("two verification methods have one id", path)
        self.methods[method.id] = method
        return method.id

    def reference(self, item: Json, path: tuple[str | int, ...]) -> str:
        if type(item) is dict:
            return self.add_method(item, path)
        if type(item) is not str:
            raise _bad_document("a relationship lists DID URLs and verification methods", path)
        try:
            self._check_url(item)
            return _absolute(item, self.base)
        except Malformed as error:
            raise _bad_document(error.detail, path) from error

    def check_controllers(self, json: JsonObject) -> None:
        """DID Core section 5.1.2: who may change the document. Of a DID they are DIDs."""
        named = json.get("controller", [])
        every = [named] if type(named) is str else named
        if is_did(self.base) and not all(map(is_did, every)):
            raise _bad_document("controller names DIDs", ("controller",))

    def check_services(self, services: list[Json]) -> None:
        """DID Core section 5.4. Nothing here reads a service; a document that breaks the rule is refused."""
        if len(services) > MAX_SERVICES:
            raise _bad_document(f"more than {MAX_SERVICES} services", ("service",))
        seen: set[str] = set()
        for index, item in enumerate(services):
            path = ("service", index)
            if type(item) is not dict or type(item.get("id")) is not str:
                raise _bad_document("a service is an object with an id", path)
            identifier = self.base + item["id"] if item["id"].startswith("#") else item["id"]
            if identifier in seen:
                raise _bad_document("two services have one id", path)
            seen.add(identifier)
            if not _is_strings(item.get("type")):
                raise _bad_document("the type of a service is a string or a list of strings", path)
            if type(item.get("serviceEndpoint")) not in (str, dict, list):
                raise _bad_document("serviceEndpoint is a string, an object or a list", path)

    def _check_url(self, text: Json) -> None:
        if self.require_absolute and isinstance(text, str) and not text.startswith("did:"):
            raise Malformed("DID URLs in this document must be absolute")


def _public_key(kind: str, raw: JsonObject) -> PublicKey | None:
    jwk = raw.get("publicKeyJwk")
    if jwk is not None and (type(jwk) is not dict or PRIVATE_JWK_MEMBERS & jwk.keys()):
        raise _bad_document("publicKeyJwk is not a public key")
    try:
        match kind:
            case "Multikey":
                return parse_multikey(_string(raw, "publicKeyMultibase"))
            case "Ed25519VerificationKey2020":
                return _of_kind(KeyKind.ED25519, parse_multikey(_string(raw, "publicKeyMultibase")))
            case "JsonWebKey" | "JsonWebKey2020":
                return None if jwk is None else parse_jwk(jwk)
            case "EcdsaSecp256k1VerificationKey2019":
                return _of_kind(KeyKind.SECP256K1, _secp256k1_2019(raw))
            case "Ed25519VerificationKey2018":
                raw_key = decode_base58btc(_string(raw, "publicKeyBase58"))
                return PublicKey(KeyKind.ED25519, raw_key)
            case _:
                return None
    except Malformed:
        return None


def _secp256k1_2019(raw: JsonObject) -> PublicKey:
    if "publicKeyJwk" in raw:
        return parse_jwk(raw["publicKeyJwk"])
    if "publicKeyHex" in raw:
        try:
            return PublicKey(KeyKind.SECP256K1, bytes.fromhex(_string(raw, "publicKeyHex")))
        except ValueError as error:
            raise Malformed("publicKeyHex is not hex") from error
    if "publicKeyBase58" in raw:
        return PublicKey(KeyKind.SECP256K1, decode_base58btc(_string(raw, "publicKeyBase58")))
    return parse_multikey(_string(raw, "publicKeyMultibase"))


def _of_kind(kind: KeyKind, key: PublicKey) -> PublicKey:
    if key.kind is not kind:
        raise Malformed(f"expected a {kind} key, got {key.kind}")
    return key


def _absolute(text: str, base: str) -> str:
    """The absolute form of a method's URL; only fragments may be relative (DID Core section 3.2.2).

    A DID document names DID URLs alone.
    """
    url = base + text if text.startswith("#") else text
    if "#" not in url or not url.rpartition("#")[2]:
        raise Malformed("a verification method is named by a URL with a fragment")
    if is_did(base):
        did_of(url)
    else:
        identifier_of(url)
    return url


def _check_context(json: JsonObject) -> None:
    if "@context" not in json:
        return
    context = json["@context"]
    entries = context if type(context) is list else [context]
    if not all(type(entry) in (str, dict) for entry in entries):
        raise _bad_document("@context holds URLs and objects", ("@context",))
    if not any(type(entry) is str and entry in _DOCUMENT_CONTEXTS for entry in entries):
        raise _bad_document("@context names no context of DID documents", ("@context",))


def _check_strings(json: JsonObject, member: str) -> None:
    if member in json and not _is_strings(json[member]):
        raise _bad_document(f"{member} is a string or a list of strings", (member,))


def _is_strings(value: Json) -> bool:
    return type(value) is str or (
        type(value) is list and bool(value) and all(type(item) is str for item in value)
    )


def _array(json: JsonObject, member: str) -> list[Json]:
    value = json.get(member, [])
    if type(value) is not list:
        raise _bad_document(f"{member} is a list", (member,))
    return value


def _string(raw: JsonObject, member: str) -> str:
    value = raw.get(member)
    if type(value) is not str:
        raise _bad_document(f"{member} is missing or no string")
    return value


def _time(raw: JsonObject, member: str) -> datetime | None:
    return parse_datetime_stamp(_string(raw, member)) if member in raw else None


def _bad_document(detail: str, path: tuple[str | int, ...] = ()) -> Malformed:
    return Malformed(detail, type=problem.INVALID_CONTROLLED_IDENTIFIER_DOCUMENT, path=path)


def _bad_method(detail: str) -> NotVerified:
    return NotVerified(detail, type=problem.INVALID_VERIFICATION_METHOD)


def _ended(detail: str) -> MethodEnded:
    return MethodEnded(detail, type=problem.INVALID_VERIFICATION_METHOD)
