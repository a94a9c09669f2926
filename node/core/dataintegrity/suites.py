"""The cryptosuites built here, and adding and verifying their proofs (VC Data Integrity 1.0 sections 4.2 to 4.5).

Proof sets and chains included. Left to the caller: which key a verification method names and whether it may be
used for the purpose, expiry, domain and challenge (`proof.py`), and whether what is read is what is signed
(`canonical.plain`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Final

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.bbs_2023 import Bbs2023, BoundHolder
from node.core.dataintegrity.cryptosuite import (
    Cryptosuite,
    Disclosure,
    Draft,
    SecuringSuite,
    SelectiveSuite,
    SigningData,
    UnknownSuite,
    not_generated,
    not_verified,
)
from node.core.dataintegrity.ecdsa_jcs_2019 import EcdsaJcs2019
from node.core.dataintegrity.ecdsa_rdfc_2019 import EcdsaRdfc2019
from node.core.dataintegrity.ecdsa_sd_2023 import EcdsaSd2023
from node.core.dataintegrity.ed25519_signature_2018 import Ed25519Signature2018
from node.core.dataintegrity.ed25519_signature_2020 import Ed25519Signature2020
from node.core.dataintegrity.eddsa_2022 import Eddsa2022
from node.core.dataintegrity.eddsa_jcs_2022 import EddsaJcs2022
from node.core.dataintegrity.eddsa_rdfc_2022 import EddsaRdfc2022
from node.core.dataintegrity.json_web_signature_2020 import JsonWebSignature2020
from node.core.dataintegrity.proof import DATA_INTEGRITY_PROOF, Proof, parse_proof, proofs_of
from node.core.errors import Malformed
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import JsonObject
from node.core.times import parse_datetime_stamp

_BUILT: Final[tuple[Cryptosuite, ...]] = (
    EddsaJcs2022(),
    EddsaRdfc2022(),
    EcdsaJcs2019(),
    EcdsaRdfc2019(),
    EcdsaSd2023(),
    Bbs2023(),
    Eddsa2022(),
)
_LEGACY: Final[tuple[Cryptosuite, ...]] = (
    Ed25519Signature2020(),
    Ed25519Signature2018(),
    JsonWebSignature2020(),
)
# Data Integrity suites by the proof's `cryptosuite`, older ones by its `type`.
SUITES: Final = MappingProxyType({suite.name: suite for suite in _BUILT})
# Asked once: to ask whether a suite keeps a protocol costs as much as half a signature.
_SELECTIVE: Final = {suite.name: suite for suite in _BUILT if isinstance(suite, SelectiveSuite)}
LEGACY_SUITES: Final = MappingProxyType({suite.name: suite for suite in _LEGACY})


def find_suite(proof: Proof) -> Cryptosuite | None:
    """The suite that checks `proof`, or None where it is not built here."""
    if proof.type == DATA_INTEGRITY_PROOF:
        return SUITES.get(proof.cryptosuite or "")
    return LEGACY_SUITES.get(proof.type) if proof.cryptosuite is None else None


def suite_of(proof: Proof) -> Cryptosuite:
    """The suite that checks `proof`; UnknownSuite where it is not built here."""
    suite = find_suite(proof)
    if suite is None:
        raise UnknownSuite(proof.cryptosuite or proof.type)
    return suite


def selective_suite_of(proof: Proof) -> SelectiveSuite | None:
    """The suite of `proof` where that is one with selective disclosure."""
    return _SELECTIVE.get(proof.cryptosuite or "") if proof.type == DATA_INTEGRITY_PROOF else None


def base_proofs_in(document: JsonObject) -> Iterator[Proof]:
    """The base proofs of a document, from which its holder derives what is shown; Malformed for a broken proof."""
    for proof in proofs_of(document):
        suite = selective_suite_of(proof)
        if suite is not None and suite.is_base(proof):
            yield proof


def signs_rdf(proof: Proof) -> bool:
    """Whether the proof is of a known suite that signs RDF, so that `canonical.plain` must be asked."""
    suite = find_suite(proof)
    return suite is not None and suite.signs_rdf


@dataclass(frozen=True, slots=True)
class PreparedProof:
    """A proof that lacks nothing but the signature over `message`."""

    document: JsonObject  # with the proofs that it already had
    draft: Draft

    @property
    def proof(self) -> JsonObject:
        """The proof without its value."""
        return self.draft.proof

    @property
    def data(self) -> SigningData:
        """What the message is made of."""
        return self.draft.data

    @property
    def message(self) -> bytes:
        """The bytes to be signed."""
        return self.draft.data.message

    def finish(self, signature: bytes) -> JsonObject:
        """The secured document: `proof` is an array, this proof its last item. `signature` is raw."""
        proof = {**self.draft.proof, **self.draft.seal(signature)}
        earlier = [earlier.raw for earlier in proofs_of(self.document)]
        return {**unsecured(self.document), "proof": [*earlier, proof]}


def prepare_proof(
    document: JsonObject,
    options: JsonObject,
    canonicalizer: Canonicalizer,
    *,
    key_kind: KeyKind | None = None,
    disclosure: Disclosure | None = None,
) -> PreparedProof:
    """What has to be signed to add a proof with `options` to `document` (section 4.2 and 4.3).

    `options` has `cryptosuite`, `verificationMethod` and `proofPurpose`, and may have `created`, `expires`,
    `id`, `domain`, `challenge`, `nonce`, and `previousProof` for a chain. `key_kind` is needed by suites of several
    curves, `disclosure` by those with selective disclosure. Malformed with type PROOF_GENERATION_ERROR where they do
    not make a proof; Malformed where the document loses data.
    """
    if "proofValue" in options or "@context" in options:
        raise not_generated("proof options hold neither proofValue nor @context")
    proof = parse_proof({"type": DATA_INTEGRITY_PROOF, **options})
    for member in ("created", "expires"):
        if member in options:
            _check_stamp(options[member], member)
    if proof.id is not None and proof.id in {earlier.id for earlier in proofs_of(document)}:
        raise not_generated("the document has a proof with this id already")
    suite = suite_of(proof)
    if not isinstance(suite, SecuringSuite):
        raise not_generated(f"proofs of the suite {suite.name} are not made here")
    secured = _secured_form(document, proof)
    draft = suite.prepare(secured, proof.raw, canonicalizer, key_kind=key_kind, disclosure=disclosure)
    return PreparedProof(document, draft)


def derive_proof(
    document: JsonObject,
    proof: Proof,
    selective_pointers: Collection[str],
    canonicalizer: Canonicalizer,
    *,
    presentation_header: bytes = b"",
    entropy: bytes = b"",
    holder: BoundHolder | None = None,
) -> JsonObject:
    """The part of `document` that its base proof makes mandatory or the JSON Pointers select, with a derived proof.

    `proof` is one of those of `document`; no other is shown. Malformed: it is no base proof, or a pointer points to
    nothing. `presentation_header` and `entropy` (random bytes) go to suites whose derived proofs are zero-knowledge,
    `holder` to those that bind a credential to the secrets of its holder.
    """
    suite = selective_suite_of(proof)
    if suite is None:
        raise not_generated("nothing is derived from proofs of this suite")
    if not suite.is_base(proof):
        raise not_generated("nothing is derived from a derived proof")
    if proof.previous_proof:
        raise not_generated("nothing is derived from a proof that builds on others")
    derive = suite.derive
    if isinstance(suite, Bbs2023):
        derive = partial(suite.derive, holder=holder)
    elif holder is not None:
        raise not_generated(f"{suite.name} binds no credential to secrets of its holder")
    return derive(
        unsecured(document),
        proof,
        tuple(selective_pointers),
        canonicalizer,
        presentation_header=presentation_header,
        entropy=entropy,
    )


def verify_proof(
    document: JsonObject,
    proof: Proof,
    public_key: PublicKey,
    canonicalizer: Canonicalizer,
    *,
    verified: Collection[Proof] = (),
    nym_domain: bytes | None = None,
) -> None:
    """Raise unless `proof`, one of those of `document`, is a signature by `public_key` over it (section 4.4).

    NotVerified: the signature is wrong, the key is of another kind, or a proof that is referenced is missing
    or not among those already `verified`. Malformed: the proof or document breaks its format. Unavailable:
    `UnknownSuite`, a context that is not pinned, or a pseudonym (bbs-2023) whose domain neither the proof nor
    `nym_domain` tells. Expiry, purpose, domain and challenge are not looked at.
    """
    suite = suite_of(proof)
    if not _is_proof_of(document, proof):
        raise not_verified("the proof is not one of the document's")
    for previous in previous_proofs(document, proof):
        if previous not in verified:
            raise not_verified("a proof that this one builds on is not verified")
    secured = _secured_form(document, proof)
    if isinstance(suite, Bbs2023):
        suite.verify(secured, proof, public_key, canonicalizer, nym_domain=nym_domain)
    else:
        suite.verify(secured, proof, public_key, canonicalizer)


def previous_proofs(document: JsonObject, proof: Proof) -> tuple[Proof, ...]:
    """The proofs that `previousProof` names, in the document's order; NotVerified where one is missing."""
    if not proof.previous_proof:
        return ()
    found = tuple(other for other in proofs_of(document) if other.id in proof.previous_proof)
    if len(found) != len(proof.previous_proof):
        raise not_verified("a proof that previousProof names is not in the document")
    return found


def unsecured(document: JsonObject) -> JsonObject:
    """The document without its proofs: what a verifier hands on as verified."""
    return {name: value for name, value in document.items() if name != "proof"}


def _is_proof_of(document: JsonObject, proof: Proof) -> bool:
    value = document.get("proof")
    return any(proof.raw is raw or proof.raw == raw for raw in (value if type(value) is list else [value]))


def _secured_form(document: JsonObject, proof: Proof) -> JsonObject:
    """What the proof is over: no proofs, or those alone that it builds on (section 4.3 step 6, 4.5 step 3)."""
    previous = previous_proofs(document, proof)
    if not previous:
        return unsecured(document)
    return {**unsecured(document), "proof": [item.raw for item in previous]}


def _check_stamp(text: str, member: str) -> None:
    try:
        parse_datetime_stamp(text)
    except Malformed as error:
        raise not_generated(f"{member} is {error.detail}") from error
