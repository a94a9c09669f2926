"""Cryptosuite bbs-2023 (Data Integrity BBS Cryptosuites 1.0, editor's draft of 2025, section 3): unlinkable disclosure.

The issuer signs the statements of a credential one by one under a header that holds the mandatory ones; its holder
derives proofs that show some and cannot be linked to each other by the proof itself. Whoever holds a base proof can
show everything, so it is never verified as if it had been shown.

Of the optional features, which the draft calls at risk, the published vectors are followed: pseudonyms of both kinds
have the headers of the second, the entropy of the issuer is a CBOR bignum, and a derived proof does not repeat the
domain of its pseudonym. What the draft's text has instead (headers 06 and 07, a byte string, the domain before the
pseudonym) is read as well. What makes presentations unlinkable beyond the proof is in `bbs_terms`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise
from types import MappingProxyType
from typing import Final

from node.core.bbs.blind import (
    BLIND_BBS,
    PSEUDONYM_BBS,
    BlindInterface,
    HolderSecrets,
    Pseudonym,
    blind_derive_proof,
    blind_verify,
    nym_secret_of,
    pseudonym_of,
    verify_blind_proof,
)
from node.core.bbs.interface import seeded_scalars
from node.core.bbs.request import SigningRequest
from node.core.bbs.signatures import SIGNATURE_BYTES, derive_proof, undisclosed_in, verify, verify_proof
from node.core.bls12381 import G1_BYTES, G2_BYTES, SCALAR_BYTES
from node.core.canonical.jcs import canonicalize
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
    LabelFactory,
    LabelledStatements,
    given_labels,
    hmac_digest,
    hmac_labels,
    label_statements,
    take_part,
)
from node.core.dataintegrity.selective_value import (
    HEADER_BYTES,
    base_value,
    bytes_item,
    derived_value,
    hash_proof_config,
    hash_statements,
    indexes_item,
    is_base_value,
    labels_item,
    pointers_item,
    value_items,
)
from node.core.encoding import encode_base64url, encode_multibase
from node.core.errors import Malformed, Unavailable
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import JsonObject, parse_json_object


class Feature(StrEnum):
    """The draft's `featureOption`, as far as proof values tell them apart."""

    BASELINE = "baseline"
    ANONYMOUS_HOLDER_BINDING = "anonymous_holder_binding"
    PSEUDONYM = "pseudonym"  # with or without holder binding


_WRITTEN_BASE: Final = {
    Feature.BASELINE: b"\xd9\x5d\x02",
    Feature.ANONYMOUS_HOLDER_BINDING: b"\xd9\x5d\x04",
    Feature.PSEUDONYM: b"\xd9\x5d\x08",
}
_WRITTEN_DERIVED: Final = {
    Feature.BASELINE: b"\xd9\x5d\x03",
    Feature.ANONYMOUS_HOLDER_BINDING: b"\xd9\x5d\x05",
    Feature.PSEUDONYM: b"\xd9\x5d\x09",
}
_BASE: Final = {header: feature for feature, header in _WRITTEN_BASE.items()} | {
    b"\xd9\x5d\x06": Feature.PSEUDONYM
}
_DERIVED: Final = {header: feature for feature, header in _WRITTEN_DERIVED.items()} | {
    b"\xd9\x5d\x07": Feature.PSEUDONYM
}
_HEADER_BYTES: Final = 64  # proofHash and mandatoryHash
_HMAC_KEY_BYTES: Final = 32
# Commitment and its proof: a point, two scalars, and one more for each secret.
_EMPTY_COMMITMENT_BYTES: Final = G1_BYTES + 2 * SCALAR_BYTES
# A report asks several times what one proof says.
_REMEMBERED: Final = 2
# So many unnamed objects need 40,320 tries at the mean, half a second; each one less divides that by their number.
_MAX_ORDERED: Final = 8
_MAX_TRIES: Final = 1_000_000


@dataclass(frozen=True, slots=True, repr=False)
class BbsDisclosure(Disclosure):
    """What bbs-2023 needs beyond the options of the proof.

    `public_key` is the issuer's. `commitment_with_proof` comes from a holder who binds the credential to a secret or
    wants pseudonyms, for which `signer_nym_entropy` is 32 fresh random bytes below the order. `uniform` makes labels
    that depend on the shape of the document alone, so that they are the same for all holders of one kind of
    credential: then `hmac_key` is what the key of the labels is searched from.
    """

    public_key: PublicKey | None = None
    commitment_with_proof: bytes = b""
    signer_nym_entropy: bytes = b""
    uniform: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class BoundHolder:
    """What the holder of a base proof with an optional feature knows beside it.

    `nym_domain` is for whom a pseudonym is derived; `tells_domain` writes it into the proof, for those who could not
    know it.
    """

    secret_prover_blind: int
    holder_secret: bytes | None = None
    prover_nym: int | None = None
    nym_domain: bytes | None = None
    tells_domain: bool = False


@dataclass(frozen=True, slots=True)
class BaseProof:
    """Section 3.3.2: what an issuer hands to the holder."""

    feature: Feature
    bbs_signature: bytes
    bbs_header: bytes
    public_key: bytes
    hmac_key: bytes
    mandatory_pointers: tuple[str, ...]
    signer_nym_entropy: int | None = None


@dataclass(frozen=True, slots=True)
class DerivedProof:
    """Section 3.3.7: what a holder shows. `labels` maps canonical identifiers (`c14n0`) to labels (`b0`)."""

    feature: Feature
    bbs_proof: bytes
    labels: Mapping[str, str]
    mandatory_indexes: tuple[int, ...]
    selective_indexes: tuple[int, ...]
    presentation_header: bytes
    pseudonym: bytes | None = None
    nym_domain: bytes | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class BaseHashData:
    """Sections 3.4.2 and 3.4.3: a document told apart and hashed."""

    statements: tuple[str, ...]
    mandatory_indexes: tuple[int, ...]
    proof_hash: bytes
    mandatory_hash: bytes
    request: SigningRequest

    @property
    def message(self) -> bytes:
        """The request that a `Signer` with a BLS12-381 key is given."""
        return self.request.encode()


class Bbs2023:
    """RDFC-1.0, SHA-256, BBS over BLS12-381; base proofs have even headers, derived ones odd, both in base64url."""

    name = "bbs-2023"
    key_kinds = frozenset({KeyKind.BLS12381_G2})
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
        """Section 3.4.1 to 3.4.5: the base proof; `disclosure` is a `BbsDisclosure`."""
        check_base_options(self, options, key_kind)
        if not isinstance(disclosure, BbsDisclosure) or len(disclosure.hmac_key) != _HMAC_KEY_BYTES:
            raise not_generated(f"{self.name} needs an HMAC key of {_HMAC_KEY_BYTES} bytes")
        if disclosure.public_key is None or disclosure.public_key.kind not in self.key_kinds:
            raise not_generated(f"{self.name} needs the public key of the issuer")
        feature = _feature_of(disclosure)
        hmac_key = disclosure.hmac_key
        if disclosure.uniform:
            hmac_key = uniform_hmac_key(document, hmac_key, canonicalizer)
        public_key = disclosure.public_key.raw
        data = _hash_data(document, options, disclosure, hmac_key, public_key, canonicalizer)

        def seal(signature: bytes) -> JsonObject:
            if len(signature) != SIGNATURE_BYTES:
                raise not_generated(f"a BBS signature has {SIGNATURE_BYTES} bytes, got {len(signature)}")
            entropy = disclosure.signer_nym_entropy
            base = BaseProof(
                feature=feature,
                bbs_signature=signature,
                bbs_header=data.request.header,
                public_key=public_key,
                hmac_key=hmac_key,
                mandatory_pointers=disclosure.mandatory_pointers,
                signer_nym_entropy=int.from_bytes(entropy, "big") if entropy else None,
            )
            return {"proofValue": encode_base_proof(base)}

        return Draft(dict(options), data, seal)

    def is_base(self, proof: Proof) -> bool:
        """Whether the proof value has the header of a base proof; Malformed where it has none of the suite's."""
        return is_base_value(proof, _BASE, _DERIVED)

    def derive(
        self,
        document: JsonObject,
        proof: Proof,
        selective_pointers: tuple[str, ...],
        canonicalizer: Canonicalizer,
        *,
        presentation_header: bytes = b"",
        entropy: bytes = b"",
        holder: BoundHolder | None = None,
    ) -> JsonObject:
        """Sections 3.4.6 and 3.3.4: the part of the document that is shown, with its proof.

        `entropy` is 32 fresh random bytes or more, never used before.
        """
        if len(entropy) < 32:
            raise not_generated(f"a proof of {self.name} needs 32 random bytes")
        base = parse_base_proof(proof)
        labels = shuffled_labels(base.hmac_key)
        part = take_part(document, base.mandatory_pointers, selective_pointers, labels, canonicalizer)
        messages = [text.encode() for text in part.others]
        selective = part.selective_indexes
        bbs_proof, pseudonym = _prove(base, messages, selective, presentation_header, entropy, holder)
        derived = DerivedProof(
            feature=base.feature,
            bbs_proof=bbs_proof,
            labels=part.labels,
            mandatory_indexes=part.mandatory_indexes,
            selective_indexes=selective,
            presentation_header=presentation_header,
            pseudonym=pseudonym,
            nym_domain=holder.nym_domain if holder and holder.tells_domain and pseudonym else None,
            length=None if base.feature is Feature.BASELINE else len(messages),
        )
        return {**part.document, "proof": [{**proof.raw, "proofValue": encode_derived_proof(derived)}]}

    def verify(
        self,
        document: JsonObject,
        proof: Proof,
        public_key: PublicKey,
        canonicalizer: Canonicalizer,
        *,
        nym_domain: bytes | None = None,
    ) -> None:
        """Section 3.4.7: the statements shown are of a credential that the issuer's key signed.

        With `nym_domain` a pseudonym must be one of that domain; so too with a presentation header of ours, which names
        one. Unavailable where a proof with a pseudonym does not name its domain and none is given.
        """
        check_key_kind(self, public_key)
        derived = parse_derived_proof(proof)
        statements = label_statements(document, given_labels(derived.labels), canonicalizer)
        mandatory, others = statements.split(derived.mandatory_indexes)
        if len(others) != len(derived.selective_indexes):
            raise not_verified(f"{len(derived.selective_indexes)} indexes for {len(others)} statements")
        disclosed = {
            index: text.encode() for index, text in zip(derived.selective_indexes, others, strict=True)
        }
        if len(disclosed) != len(others):
            raise bad_value("the indexes of a proof do not ascend")
        header = hash_proof_config(document, options_of(proof), canonicalizer) + hash_statements(mandatory)
        _verify(derived, public_key.raw, header, disclosed, nym_domain)

    def verify_base(
        self,
        document: JsonObject,
        proof: Proof,
        public_key: PublicKey,
        canonicalizer: Canonicalizer,
        *,
        holder: BoundHolder | None = None,
    ) -> None:
        """What a holder asks of a base proof that arrives: raise unless proofs for others can be derived from it.

        It was made by `public_key` over `document` and over the secrets of `holder`. Not for what others show.
        """
        check_key_kind(self, public_key)
        base = parse_base_proof(proof)
        if base.public_key != public_key.raw:
            raise not_verified("the base proof names another key than its verification method")
        grouping = Grouping(document, shuffled_labels(base.hmac_key), canonicalizer)
        mandatory, others = LabelledStatements(grouping.statements).split(
            grouping.indexes(base.mandatory_pointers)
        )
        proof_hash = hash_proof_config(document, options_of(proof), canonicalizer)
        if base.bbs_header != proof_hash + hash_statements(mandatory):
            raise not_verified("the base proof is over other mandatory statements or options")
        messages = [text.encode() for text in others]
        if base.feature is Feature.BASELINE:
            verify(base.public_key, base.bbs_signature, base.bbs_header, messages)
            return
        secrets, interface = _secrets(base, holder), _interface(base.feature)
        blind_verify(
            base.public_key, base.bbs_signature, base.bbs_header, messages, secrets, interface=interface
        )

    def parse_derived(self, proof: Proof) -> DerivedProof:
        """As `parse_derived_proof`."""
        return parse_derived_proof(proof)


def presentation_header_of(challenge: str, domain: str) -> bytes:
    """What a derived proof is bound to so that it answers one verifier once; the draft leaves its form open.

    JCS of both: `domain` keeps a verifier from passing the proof on to the one whose `challenge` it got.
    """
    return canonicalize({"challenge": challenge, "domain": domain})


def occasion_in(presentation_header: bytes) -> tuple[str, str] | None:
    """Challenge and domain in a presentation header, where it is exactly as `presentation_header_of` makes them."""
    try:
        said = parse_json_object(presentation_header)
    except Malformed:
        return None
    challenge, domain = said.get("challenge"), said.get("domain")
    if not isinstance(challenge, str) or not isinstance(domain, str):
        return None
    return (challenge, domain) if presentation_header_of(challenge, domain) == presentation_header else None


def nym_domain_of(domain: str) -> bytes:
    """The domain of the pseudonyms for a verifier, who is known by the domain of its challenges."""
    return domain.encode()


# Labels (section 3.2.1) -----------------------------------------------------------------------------------


def shuffled_labels(hmac_key: bytes) -> LabelFactory:
    """Section 3.2.1: `b0`, `b1` … in the order of the HMACs of the canonical identifiers."""
    digests = hmac_labels(hmac_key)

    def label(identifiers: Sequence[str]) -> dict[str, str]:
        names = digests(identifiers)
        order = sorted(names.values())
        return {one: f"b{order.index(name)}" for one, name in names.items()}

    return label


def uniform_hmac_key(document: JsonObject, seed: bytes, canonicalizer: Canonicalizer) -> bytes:
    """A key, found from 32 random bytes, whose shuffle puts the unnamed objects in the order of the document.

    A shuffle tells credentials apart: it stays the same in all presentations of one, and k objects have k! of them.
    With this key the labels follow from the shape of the document, and say nothing about who holds it.
    """
    canonical = Grouping(document, _as_they_are, canonicalizer).labels_in_order()
    if len(canonical) > _MAX_ORDERED:
        raise not_generated(f"more than {_MAX_ORDERED} objects without an id cannot be put in order")
    for number in range(_MAX_TRIES):
        key = hashlib.sha256(seed + number.to_bytes(4, "big")).digest()
        if _is_in_order(key, canonical):
            return key
    raise not_generated("no key was found that puts the objects in order")


def _is_in_order(key: bytes, identifiers: Sequence[str]) -> bool:
    """Whether `shuffled_labels` would give the identifiers ascending labels; most keys fail at the second."""
    names = (encode_base64url(hmac_digest(key, one)) for one in identifiers)
    return all(earlier < later for earlier, later in pairwise(names))


def _as_they_are(identifiers: Sequence[str]) -> dict[str, str]:
    return {one: one for one in identifiers}


# Proof values (section 3.3) ---------------------------------------------------------------------------------


def encode_base_proof(base: BaseProof) -> str:
    """Section 3.3.1: the proof value."""
    items: list[Cbor] = [
        base.bbs_signature,
        base.bbs_header,
        base.public_key,
        base.hmac_key,
        list(base.mandatory_pointers),
    ]
    data = encode_cbor(items)
    if base.signer_nym_entropy is not None:
        data = bytes([data[0] + 1]) + data[1:] + _encode_entropy(base.signer_nym_entropy)
    return encode_multibase(_WRITTEN_BASE[base.feature] + data, "u")


def _encode_entropy(entropy: int) -> bytes:
    """An integer, beyond 64 bits with the tag of a bignum (RFC 8949 section 3.4.3), as the vectors have it."""
    length = (entropy.bit_length() + 7) // 8
    return encode_cbor(entropy) if length <= 8 else b"\xc2" + encode_cbor(entropy.to_bytes(length, "big"))


def parse_base_proof(proof: Proof) -> BaseProof:
    """Section 3.3.2; Malformed where the value is no base proof."""
    value = base_value(proof, _BASE)
    feature = _BASE[value[:HEADER_BYTES]]
    items = value_items(value, (6,) if feature is Feature.PSEUDONYM else (5,), bignums=True)
    return BaseProof(
        feature=feature,
        bbs_signature=bytes_item(items[0], SIGNATURE_BYTES, "a BBS signature"),
        bbs_header=bytes_item(items[1], _HEADER_BYTES, "a BBS header"),
        public_key=bytes_item(items[2], G2_BYTES, "a public key"),
        hmac_key=bytes_item(items[3], _HMAC_KEY_BYTES, "an HMAC key"),
        mandatory_pointers=pointers_item(items[4]),
        signer_nym_entropy=_entropy(items[5]) if feature is Feature.PSEUDONYM else None,
    )


def encode_derived_proof(derived: DerivedProof) -> str:
    """Sections 3.3.5 and 3.3.7: the proof value, the labels as numbers."""
    labels: dict[CborKey, Cbor] = {
        int(identifier.removeprefix("c14n")): int(label.removeprefix("b"))
        for identifier, label in derived.labels.items()
    }
    items: list[Cbor] = [
        derived.bbs_proof,
        labels,
        list(derived.mandatory_indexes),
        list(derived.selective_indexes),
        derived.presentation_header,
    ]
    items += [item for item in (derived.nym_domain, derived.pseudonym, derived.length) if item is not None]
    return encode_multibase(_WRITTEN_DERIVED[derived.feature] + encode_cbor(items), "u")


def parse_derived_proof(proof: Proof) -> DerivedProof:
    """Sections 3.3.6 and 3.3.8. Malformed where the value is no derived proof, NotVerified where it is a base proof."""
    return _parse_derived(derived_value(proof, _BASE, _DERIVED))


@lru_cache(maxsize=_REMEMBERED)
def _parse_derived(value: bytes) -> DerivedProof:
    feature = _DERIVED[value[:HEADER_BYTES]]
    counts = {Feature.BASELINE: (5,), Feature.ANONYMOUS_HOLDER_BINDING: (6,), Feature.PSEUDONYM: (7, 8)}
    items = value_items(value, counts[feature])
    pseudonym = nym_domain = length = None
    if feature is not Feature.BASELINE:
        length = _number(items[-1])
    if feature is Feature.PSEUDONYM:
        pseudonym = bytes_item(items[-2], G1_BYTES, "a pseudonym")
        nym_domain = bytes_item(items[5], None, "the domain of a pseudonym") if len(items) == 8 else None
    return DerivedProof(
        feature=feature,
        bbs_proof=bytes_item(items[0], None, "a BBS proof"),
        labels=MappingProxyType(
            {name: f"b{_number(label)}" for name, label in labels_item(items[1]).items()}
        ),
        mandatory_indexes=indexes_item(items[2]),
        selective_indexes=indexes_item(items[3]),
        presentation_header=bytes_item(items[4], None, "a presentation header"),
        pseudonym=pseudonym,
        nym_domain=nym_domain,
        length=length,
    )


def _entropy(value: Cbor) -> int:
    number = (
        int.from_bytes(bytes_item(value, SCALAR_BYTES, "entropy"), "big") if type(value) is bytes else value
    )
    if type(number) is not int or number <= 0:
        raise bad_value("expected the issuer's entropy for pseudonyms")
    return number


def _number(value: Cbor) -> int:
    if type(value) is not int or value < 0:
        raise bad_value("expected a number of messages or of a label")
    return value


# Steps of the algorithms ------------------------------------------------------------------------------------


def _feature_of(disclosure: BbsDisclosure) -> Feature:
    """Which feature the commitment is for; Malformed with type PROOF_GENERATION_ERROR where it is for none."""
    secrets, rest = divmod(len(disclosure.commitment_with_proof) - _EMPTY_COMMITMENT_BYTES, SCALAR_BYTES)
    if not disclosure.commitment_with_proof:
        if disclosure.signer_nym_entropy:
            raise not_generated("entropy for pseudonyms goes with a commitment")
        return Feature.BASELINE
    feature = Feature.PSEUDONYM if disclosure.signer_nym_entropy else Feature.ANONYMOUS_HOLDER_BINDING
    if rest or secrets not in ((1, 2) if feature is Feature.PSEUDONYM else (1,)):
        raise not_generated("a commitment to another number of secrets than the feature has")
    return feature


def _hash_data(
    document: JsonObject,
    options: JsonObject,
    disclosure: BbsDisclosure,
    hmac_key: bytes,
    public_key: bytes,
    canonicalizer: Canonicalizer,
) -> BaseHashData:
    grouping = Grouping(document, shuffled_labels(hmac_key), canonicalizer)
    indexes = grouping.indexes(disclosure.mandatory_pointers)
    mandatory, others = LabelledStatements(grouping.statements).split(indexes)
    proof_hash, mandatory_hash = (
        hash_proof_config(document, options, canonicalizer),
        hash_statements(mandatory),
    )
    request = SigningRequest(
        public_key=public_key,
        header=proof_hash + mandatory_hash,
        messages=[text.encode() for text in others],
        commitment_with_proof=disclosure.commitment_with_proof,
        signer_nym_entropy=disclosure.signer_nym_entropy,
    )
    return BaseHashData(grouping.statements, indexes, proof_hash, mandatory_hash, request)


def _prove(
    base: BaseProof,
    messages: Sequence[bytes],
    selective: Sequence[int],
    presentation_header: bytes,
    entropy: bytes,
    holder: BoundHolder | None,
) -> tuple[bytes, bytes | None]:
    """Section 3.3.4 step 11: the proof, and the pseudonym where there is one."""
    shown = b"".join(index.to_bytes(8, "big") for index in selective)
    domain = (holder.nym_domain or b"") if holder else b""
    scalars = seeded_scalars(entropy, base.bbs_signature, base.bbs_header, presentation_header, shown, domain)
    if base.feature is Feature.BASELINE:
        proof = derive_proof(
            base.public_key,
            base.bbs_signature,
            base.bbs_header,
            presentation_header,
            messages,
            selective,
            scalars,
        )
        return proof, None
    secrets = _secrets(base, holder)
    nym_domain = holder.nym_domain if holder and base.feature is Feature.PSEUDONYM else None
    if secrets.nym_secret is not None and nym_domain is None:
        raise not_generated("a pseudonym is made for a domain")
    proof = blind_derive_proof(
        base.public_key,
        base.bbs_signature,
        base.bbs_header,
        presentation_header,
        messages,
        selective,
        secrets,
        scalars,
        nym_domain=nym_domain,
        interface=_interface(base.feature),
    )
    if secrets.nym_secret is None or nym_domain is None:
        return proof, None
    return proof, pseudonym_of(secrets.nym_secret, nym_domain)


def _secrets(base: BaseProof, holder: BoundHolder | None) -> HolderSecrets:
    if holder is None:
        raise not_generated("proofs of this credential are derived with the holder's secrets alone")
    committed = [] if holder.holder_secret is None else [holder.holder_secret]
    nym_secret = None
    if base.signer_nym_entropy is not None:
        if holder.prover_nym is None:
            raise not_generated("a pseudonym is made with the holder's part of its secret")
        nym_secret = nym_secret_of(holder.prover_nym, base.signer_nym_entropy)
    return HolderSecrets(committed, holder.secret_prover_blind, nym_secret)


def _verify(
    derived: DerivedProof,
    public_key: bytes,
    header: bytes,
    disclosed: dict[int, bytes],
    expected_nym_domain: bytes | None,
) -> None:
    """Section 3.4.7 step 6."""
    if derived.length is None:
        verify_proof(public_key, derived.bbs_proof, header, derived.presentation_header, disclosed)
        return
    pseudonym = _pseudonym(derived, expected_nym_domain)
    # All that is hidden but the issuer's other messages and the blind: what the holder committed to.
    committed = (
        undisclosed_in(derived.bbs_proof) + len(disclosed) - derived.length - 1 - (pseudonym is not None)
    )
    if committed not in ((0, 1) if pseudonym is not None else (1,)):
        raise not_verified("the BBS proof is for another number of messages")
    verify_blind_proof(
        public_key,
        derived.bbs_proof,
        header,
        derived.presentation_header,
        derived.length,
        disclosed,
        committed=committed,
        pseudonym=pseudonym,
        interface=_interface(derived.feature),
    )


def _pseudonym(derived: DerivedProof, expected_nym_domain: bytes | None) -> Pseudonym | None:
    if derived.pseudonym is None:
        return None
    # Whoever derives a proof for one verifier has no other pseudonym in it than the one for that verifier.
    occasion = occasion_in(derived.presentation_header)
    told = (derived.nym_domain, expected_nym_domain, nym_domain_of(occasion[1]) if occasion else None)
    domains = {domain for domain in told if domain is not None}
    if not domains:
        raise Unavailable("the proof does not say for which domain its pseudonym is", asked="nym_domain")
    if len(domains) > 1:
        raise not_verified("the pseudonym is one of another domain")
    return Pseudonym(domains.pop(), derived.pseudonym)


def _interface(feature: Feature) -> BlindInterface:
    return PSEUDONYM_BBS if feature is Feature.PSEUDONYM else BLIND_BBS
