"""Cryptosuite ecdsa-sd-2023 (Data Integrity ECDSA Cryptosuites 1.0 sections 3.5 and 3.6): selective disclosure.

The issuer signs the mandatory statements once and gives each other statement a signature by a key of this proof
alone; the holder passes on those of the statements that are shown. Whoever holds a base proof can show everything,
so it is never verified as if it had been shown. Two presentations of one credential can be linked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from node.core.canonical.rdfc import Canonicalizer
from node.core.cbor import Cbor, CborKey, encode_cbor
from node.core.dataintegrity.cryptosuite import (
    Disclosure,
    Draft,
    bad_value,
    check_base_options,
    check_key_kind,
    not_generated,
    not_verified,
    options_of,
)
from node.core.dataintegrity.proof import Proof
from node.core.dataintegrity.selective import (
    Grouping,
    LabelledStatements,
    given_labels,
    hmac_labels,
    label_statements,
    take_part,
)
from node.core.dataintegrity.selective_value import (
    base_value,
    bytes_item,
    bytes_items,
    derived_value,
    hash_proof_config,
    hash_statements,
    indexes_item,
    is_base_value,
    labels_item,
    pointers_item,
    value_items,
)
from node.core.encoding import decode_base64url, encode_base64url, encode_multibase
from node.core.errors import Malformed
from node.core.keys import KeyKind, PublicKey, parse_multicodec_key
from node.core.strict_json import JsonObject

_BASE_HEADER: Final = b"\xd9\x5d\x00"
_DERIVED_HEADER: Final = b"\xd9\x5d\x01"
_SIGNATURE_BYTES: Final = 64
_PUBLIC_KEY_BYTES: Final = 35  # multicodec prefix and compressed point; the text of section 3.5.8 says 36
_SECRET_BYTES: Final = 32
# Each is a signature to verify; as many as messages under one of bbs-2023.
MAX_SIGNATURES: Final = 4096
# A label is `u` and the base64url of a digest of 32 bytes.
_DIGEST_BYTES: Final = 32
# A report asks several times what one proof says.
_REMEMBERED: Final = 2


@dataclass(frozen=True, slots=True)
class BaseProof:
    """Section 3.5.2: what an issuer hands to the holder."""

    base_signature: bytes
    public_key: bytes
    hmac_key: bytes
    signatures: tuple[bytes, ...]
    mandatory_pointers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class DerivedProof:
    """Section 3.5.7: what a holder shows. `labels` maps canonical identifiers (`c14n0`) to labels."""

    base_signature: bytes
    public_key: bytes
    signatures: tuple[bytes, ...]
    labels: Mapping[str, str]
    mandatory_indexes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BaseHashData:
    """Sections 3.6.2 and 3.6.3: a document told apart and hashed, with the statements' own signatures."""

    statements: tuple[str, ...]
    mandatory_indexes: tuple[int, ...]
    proof_hash: bytes
    mandatory_hash: bytes
    public_key: bytes
    signatures: tuple[bytes, ...]

    @property
    def message(self) -> bytes:
        """Section 3.5.1: what the issuer's key signs."""
        return self.proof_hash + self.public_key + self.mandatory_hash


class EcdsaSd2023:
    """RDFC-1.0, SHA-256, P-256; base proofs are `d95d00`, derived ones `d95d01`, both in base64url."""

    name = "ecdsa-sd-2023"
    key_kinds = frozenset({KeyKind.P256})
    signs_rdf = True

    def prepare(
        self,
        document: JsonObject,
        options: JsonObject,
        canonicalizer: Canonicalizer,
        *,
        key_kind: KeyKind | None,
        disclosure: Disclosure | None,
    ) -> Draft:
        """Section 3.6.1 to 3.6.5: the base proof, its statements signed with the key that `disclosure` brings."""
        check_base_options(self, options, key_kind)
        if disclosure is None or len(disclosure.hmac_key) != _SECRET_BYTES:
            raise not_generated(
                f"{self.name} needs an HMAC key of {_SECRET_BYTES} bytes and a key of its own"
            )
        proof_key = _private_key(disclosure.proof_key)
        grouping = Grouping(document, hmac_labels(disclosure.hmac_key), canonicalizer)
        mandatory = grouping.indexes(disclosure.mandatory_pointers)
        statements = LabelledStatements(grouping.statements).split(mandatory)
        if len(statements[1]) > MAX_SIGNATURES:
            raise not_generated(f"more than {MAX_SIGNATURES:,} statements that are not mandatory")
        data = BaseHashData(
            statements=grouping.statements,
            mandatory_indexes=mandatory,
            proof_hash=hash_proof_config(document, options, canonicalizer),
            mandatory_hash=hash_statements(statements[0]),
            public_key=_public_key_of(proof_key),
            signatures=tuple(_sign(proof_key, text) for text in statements[1]),
        )

        def seal(signature: bytes) -> JsonObject:
            if len(signature) != _SIGNATURE_BYTES:
                raise not_generated(f"a signature of {len(signature)} bytes")
            base = BaseProof(
                signature,
                data.public_key,
                disclosure.hmac_key,
                data.signatures,
                disclosure.mandatory_pointers,
            )
            return {"proofValue": encode_base_proof(base)}

        return Draft(dict(options), data, seal)

    def is_base(self, proof: Proof) -> bool:
        """Whether the proof value has the header of a base proof; Malformed where it has neither."""
        return is_base_value(proof, {_BASE_HEADER}, {_DERIVED_HEADER})

    def derive(
        self,
        document: JsonObject,
        proof: Proof,
        selective_pointers: tuple[str, ...],
        canonicalizer: Canonicalizer,
        *,
        presentation_header: bytes = b"",
        entropy: bytes = b"",  # noqa: ARG002 - for zero-knowledge suites
    ) -> JsonObject:
        """Sections 3.6.6 and 3.5.3: the part of the document that is shown, with its proof."""
        if presentation_header:
            raise not_generated(f"{self.name} binds no proof to its presentation")
        base = parse_base_proof(proof)
        labels = hmac_labels(base.hmac_key)
        part = take_part(document, base.mandatory_pointers, selective_pointers, labels, canonicalizer)
        if len(part.others) != len(base.signatures):
            raise bad_value("a base proof with another number of signatures than its document has statements")
        derived = DerivedProof(
            base_signature=base.base_signature,
            public_key=base.public_key,
            signatures=tuple(base.signatures[index] for index in part.selective_indexes),
            labels=part.labels,
            mandatory_indexes=part.mandatory_indexes,
        )
        return {**part.document, "proof": [{**proof.raw, "proofValue": encode_derived_proof(derived)}]}

    def verify(
        self, document: JsonObject, proof: Proof, public_key: PublicKey, canonicalizer: Canonicalizer
    ) -> None:
        """Section 3.6.7: the issuer's key signed the mandatory statements, the proof's own key each of the others."""
        check_key_kind(self, public_key)
        derived = parse_derived_proof(proof)
        proof_hash = hash_proof_config(document, options_of(proof), canonicalizer)
        statements = label_statements(document, given_labels(derived.labels), canonicalizer)
        mandatory, others = statements.split(derived.mandatory_indexes)
        if len(others) != len(derived.signatures):
            raise not_verified(f"{len(derived.signatures)} signatures for {len(others)} statements")
        public_key.verify(
            derived.base_signature, proof_hash + derived.public_key + hash_statements(mandatory)
        )
        proof_key = _parse_proof_key(derived.public_key)
        for signature, statement in zip(derived.signatures, others, strict=True):
            proof_key.verify(signature, statement.encode())

    def parse_derived(self, proof: Proof) -> DerivedProof:
        """As `parse_derived_proof`."""
        return parse_derived_proof(proof)


def base_signature(proof: Proof) -> bytes:
    """The issuer's signature in a base or derived proof, the same in both: what an anchor is over."""
    if EcdsaSd2023().is_base(proof):
        return parse_base_proof(proof).base_signature
    return parse_derived_proof(proof).base_signature


def encode_base_proof(base: BaseProof) -> str:
    """Section 3.5.2: the proof value."""
    items: list[Cbor] = [
        base.base_signature,
        base.public_key,
        base.hmac_key,
        list(base.signatures),
        list(base.mandatory_pointers),
    ]
    return encode_multibase(_BASE_HEADER + encode_cbor(items), "u")


def parse_base_proof(proof: Proof) -> BaseProof:
    """Section 3.5.3; Malformed where the value is no base proof."""
    items = value_items(base_value(proof, {_BASE_HEADER}), (5,))
    return BaseProof(
        base_signature=bytes_item(items[0], _SIGNATURE_BYTES, "a base signature"),
        public_key=bytes_item(items[1], _PUBLIC_KEY_BYTES, "a public key"),
        hmac_key=bytes_item(items[2], _SECRET_BYTES, "an HMAC key"),
        signatures=bytes_items(items[3], _SIGNATURE_BYTES, "a signature", MAX_SIGNATURES),
        mandatory_pointers=pointers_item(items[4]),
    )


def encode_derived_proof(derived: DerivedProof) -> str:
    """Sections 3.5.5 and 3.5.7: the proof value, the labels as numbers and digests."""
    labels: dict[CborKey, Cbor] = {
        int(identifier.removeprefix("c14n")): decode_base64url(label[1:])
        for identifier, label in derived.labels.items()
    }
    items: list[Cbor] = [
        derived.base_signature,
        derived.public_key,
        list(derived.signatures),
        labels,
        list(derived.mandatory_indexes),
    ]
    return encode_multibase(_DERIVED_HEADER + encode_cbor(items), "u")


def parse_derived_proof(proof: Proof) -> DerivedProof:
    """Sections 3.5.6 and 3.5.8. Malformed where the value is no derived proof, NotVerified where it is a base proof."""
    return _parse_derived(derived_value(proof, {_BASE_HEADER}, {_DERIVED_HEADER}))


@lru_cache(maxsize=_REMEMBERED)
def _parse_derived(value: bytes) -> DerivedProof:
    items = value_items(value, (5,))
    return DerivedProof(
        base_signature=bytes_item(items[0], _SIGNATURE_BYTES, "a base signature"),
        public_key=bytes_item(items[1], _PUBLIC_KEY_BYTES, "a public key"),
        signatures=bytes_items(items[2], _SIGNATURE_BYTES, "a signature", MAX_SIGNATURES),
        labels=MappingProxyType(
            {
                identifier: "u" + encode_base64url(bytes_item(digest, _DIGEST_BYTES, "a label"))
                for identifier, digest in labels_item(items[3]).items()
            }
        ),
        mandatory_indexes=indexes_item(items[4]),
    )


def _parse_proof_key(data: bytes) -> PublicKey:
    try:
        key = parse_multicodec_key(data)
    except Malformed as error:
        raise bad_value(error.detail) from error
    if key.kind is not KeyKind.P256:
        raise bad_value(f"expected a P-256 public key, got {key.kind}")
    return key


def _private_key(secret: bytes) -> ec.EllipticCurvePrivateKey:
    if len(secret) != _SECRET_BYTES:
        raise not_generated(f"the key of a base proof has {_SECRET_BYTES} bytes")
    try:
        return ec.derive_private_key(int.from_bytes(secret, "big"), ec.SECP256R1())
    except ValueError as error:
        raise not_generated("not a P-256 private key") from error


def _public_key_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return PublicKey(KeyKind.P256, point).multicodec_bytes


def _sign(key: ec.EllipticCurvePrivateKey, statement: str) -> bytes:
    """ECDSA with the nonces of RFC 6979: no randomness is needed, none can be weak."""
    der = key.sign(statement.encode(), ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
    r, s = decode_dss_signature(der)
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
