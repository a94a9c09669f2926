"""What the simple cryptosuites share: H(proof configuration) then H(document), signed as one message.

Transformation and proof configuration by RDF Dataset Canonicalization (EdDSA Cryptosuites 1.0 sections 3.2.3 and
3.2.5, ECDSA Cryptosuites 1.0 sections 3.2.3 and 3.2.5) or by JSON Canonicalization (sections 3.3.3 and 3.3.5 of
both), hashing (3.2.4, 3.3.4). The suites differ in curve and hash alone.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import ClassVar, Final

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.cryptosuite import (
    Disclosure,
    Draft,
    bad_value,
    check_key_kind,
    decode_proof_value,
    not_generated,
    options_of,
)
from node.core.dataintegrity.proof import Proof
from node.core.encoding import encode_multibase
from node.core.errors import Malformed, NotVerified
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import Json, JsonObject

# Under RDF a member can be spelled by its IRI with the same signature, so that `expires` would not be seen.
_MEMBERS: Final = frozenset(
    {"id", "type", "cryptosuite", "verificationMethod", "proofPurpose", "created", "expires", "domain"}
    | {"challenge", "previousProof", "nonce"}
)


_HASHES: Final = {"sha256": hashlib.sha256, "sha384": hashlib.sha384}


@dataclass(frozen=True, slots=True)
class HashData:
    """The canonical forms of a proof configuration and of the document it secures, and their hash's name."""

    proof_config: bytes
    document: bytes
    hash_name: str = "sha256"

    @property
    def message(self) -> bytes:
        """What is signed: H(proof configuration) then H(document)."""
        return self._hash(self.proof_config) + self._hash(self.document)

    def _hash(self, data: bytes) -> bytes:
        return _HASHES[self.hash_name](data).digest()


@dataclass(frozen=True, slots=True)
class Signature:
    """How a kind of key signs in a suite: with which hash the message is made, and how long a raw signature is."""

    hash_name: str
    length: int


class HashSuite(ABC):
    """A suite that signs `HashData.message`; `proofValue` is the raw signature in base58btc."""

    name: ClassVar[str]
    signatures: ClassVar[Mapping[KeyKind, Signature]]
    signs_rdf: ClassVar[bool]

    @property
    def key_kinds(self) -> AbstractSet[KeyKind]:
        """The kinds of key that it takes."""
        return self.signatures.keys()

    @abstractmethod
    def proof_options(self, document: JsonObject, options: JsonObject) -> JsonObject:
        """The proof, but for its value, that is written when `document` is secured with `options`."""

    @abstractmethod
    def hash_data(
        self,
        document: JsonObject,
        options: JsonObject,
        canonicalizer: Canonicalizer,
        hash_name: str = "sha256",
    ) -> HashData:
        """The canonical forms of `options` (a proof without its value) and `document` (as it is secured).

        Malformed where they have none; NotVerified where the options cannot belong to the document.
        """

    def prepare(
        self,
        document: JsonObject,
        options: JsonObject,
        canonicalizer: Canonicalizer,
        *,
        key_kind: KeyKind | None,
        disclosure: Disclosure | None,
    ) -> Draft:
        """The proof to be signed."""
        if disclosure is not None:
            raise not_generated(f"{self.name} has no selective disclosure")
        signature = self._signature(key_kind)
        written = self.proof_options(document, options)
        data = self.hash_data(document, written, canonicalizer, signature.hash_name)

        def seal(raw: bytes) -> JsonObject:
            if len(raw) != signature.length:
                raise not_generated(f"a signature of {len(raw)} bytes")
            return {"proofValue": encode_multibase(raw, "z")}

        return Draft(written, data, seal)

    def _signature(self, key_kind: KeyKind | None) -> Signature:
        if key_kind is None:
            if len(self.signatures) > 1:
                raise not_generated(f"{self.name} must know by what kind of key it is signed")
            return next(iter(self.signatures.values()))
        if key_kind not in self.signatures:
            raise not_generated(f"{self.name} takes no {key_kind} key")
        return self.signatures[key_kind]

    def verify(
        self, document: JsonObject, proof: Proof, public_key: PublicKey, canonicalizer: Canonicalizer
    ) -> None:
        """Raise unless the signature is `public_key`'s over the options and the document."""
        check_key_kind(self, public_key)
        kind = self.signatures[public_key.kind]
        signature = decode_proof_value(proof, "z")
        if len(signature) != kind.length:
            raise bad_value(f"expected a signature of {kind.length} bytes, got {len(signature)}")
        data = self.hash_data(document, options_of(proof), canonicalizer, kind.hash_name)
        public_key.verify(signature, data.message)


class RdfcSuite(HashSuite):
    """Canonical form: RDFC-1.0 N-Quads. What is read must be compared with what is signed (`canonical.plain`)."""

    signs_rdf = True

    def proof_options(self, document: JsonObject, options: JsonObject) -> JsonObject:  # noqa: ARG002 - as is
        """The proof is written without contexts; its configuration takes the document's."""
        return dict(options)

    def hash_data(
        self,
        document: JsonObject,
        options: JsonObject,
        canonicalizer: Canonicalizer,
        hash_name: str = "sha256",
    ) -> HashData:
        """The proof may hold the members of Data Integrity 1.0 section 2.1 alone."""
        return HashData(
            proof_config=canonicalizer.nquads(rdf_proof_config(document, options), hash_name).encode(),
            document=canonicalizer.nquads(document, hash_name).encode(),
            hash_name=hash_name,
        )


class JcsSuite(HashSuite):
    """Canonical form: JCS bytes. The bytes signed are what is read; no JSON-LD is processed."""

    signs_rdf = False

    def proof_options(self, document: JsonObject, options: JsonObject) -> JsonObject:
        """Section 3.3.1 step 2: the document's contexts become part of the proof."""
        if "@context" not in document:
            return dict(options)
        return {"@context": document["@context"], **options}

    def hash_data(
        self,
        document: JsonObject,
        options: JsonObject,
        canonicalizer: Canonicalizer,  # noqa: ARG002 - a suite without JSON-LD
        hash_name: str = "sha256",
    ) -> HashData:
        """Section 3.3.2 step 4: the document may have gained contexts after those that the proof names."""
        if "@context" in options:
            signed, present = _array(options["@context"]), _array(document.get("@context", []))
            if present[: len(signed)] != signed:
                raise NotVerified(
                    "the document's contexts do not begin with those of the proof",
                    type=problem.PROOF_VERIFICATION_ERROR,
                    path=("@context",),
                )
            document = {**document, "@context": options["@context"]}
        return HashData(canonicalize(options), canonicalize(document), hash_name)


def rdf_proof_config(document: JsonObject, options: JsonObject) -> JsonObject:
    """The proof configuration of RDF suites: `options` in the terms of the document's contexts."""
    unknown = options.keys() - _MEMBERS
    if unknown:
        raise Malformed(
            f"a proof of this suite cannot have the member {min(unknown)[:80]}",
            type=problem.PROOF_TRANSFORMATION_ERROR,
            path=("proof",),
        )
    if "@context" not in document:
        raise Malformed("a document without @context has no RDF form", path=("@context",))
    return {"@context": document["@context"], **options}


def _array(value: Json) -> list[Json]:
    return value if type(value) is list else [value]
