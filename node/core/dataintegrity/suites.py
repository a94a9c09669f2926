"""The cryptosuites built here, and adding and verifying their proofs (VC Data Integrity 1.0 sections 4.2 to 4.5).

Proof sets and chains included. Left to the caller: which key a verification method names and whether it may be
used for the purpose, expiry, domain and challenge (`proof.py`), and whether what is read is what is signed
(`canonical.plain`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.cryptosuite import Cryptosuite, HashData, UnknownSuite
from node.core.dataintegrity.eddsa_jcs_2022 import EddsaJcs2022
from node.core.dataintegrity.eddsa_rdfc_2022 import EddsaRdfc2022
from node.core.dataintegrity.proof import DATA_INTEGRITY_PROOF, Proof, parse_proof, proofs_of
from node.core.encoding import decode_multibase, encode_multibase
from node.core.errors import Malformed, NotVerified
from node.core.keys import PublicKey
from node.core.strict_json import JsonObject
from node.core.times import parse_datetime_stamp

_BUILT: Final[tuple[Cryptosuite, ...]] = (EddsaJcs2022(), EddsaRdfc2022())
SUITES: Final = MappingProxyType({suite.name: suite for suite in _BUILT})
# Suites whose signature is over RDF statements: the JSON that is read must be compared with them.
RDF_SUITES: Final = frozenset({EddsaRdfc2022.name})


def suite_of(proof: Proof) -> Cryptosuite:
    """The suite that checks `proof`; UnknownSuite for legacy proof types and suites that are not built."""
    suite = SUITES.get(proof.cryptosuite or "") if proof.type == DATA_INTEGRITY_PROOF else None
    if suite is None:
        raise UnknownSuite(proof.cryptosuite or proof.type)
    return suite


def signs_rdf(proof: Proof) -> bool:
    """Whether the proof is of a known suite that signs RDF, so that `canonical.plain` must be asked."""
    return proof.type == DATA_INTEGRITY_PROOF and proof.cryptosuite in RDF_SUITES


@dataclass(frozen=True, slots=True)
class PreparedProof:
    """A proof that lacks nothing but the signature over `message`."""

    document: JsonObject  # with the proofs that it already had
    proof: JsonObject  # without proofValue
    data: HashData

    @property
    def message(self) -> bytes:
        """The bytes to be signed."""
        return self.data.message

    def finish(self, signature: bytes) -> JsonObject:
        """The secured document: `proof` is an array, this proof its last item. `signature` is raw."""
        suite = SUITES[self.proof["cryptosuite"]]
        if len(signature) not in suite.signature_bytes.values():
            raise Malformed(f"a signature of {len(signature)} bytes", type=problem.PROOF_GENERATION_ERROR)
        proof = {**self.proof, "proofValue": encode_multibase(signature, "z")}
        earlier = [earlier.raw for earlier in proofs_of(self.document)]
        return {**unsecured(self.document), "proof": [*earlier, proof]}


def prepare_proof(document: JsonObject, options: JsonObject, canonicalizer: Canonicalizer) -> PreparedProof:
    """What has to be signed to add a proof with `options` to `document` (section 4.2 and 4.3).

    `options` has `cryptosuite`, `verificationMethod` and `proofPurpose`, and may have `created`, `expires`,
    `id`, `domain`, `challenge`, `nonce`, and `previousProof` for a chain. Malformed with type
    PROOF_GENERATION_ERROR where they do not make a proof; Malformed where the document loses data.
    """
    if "proofValue" in options or "@context" in options:
        raise _not_generated("proof options hold neither proofValue nor @context")
    proof = parse_proof({"type": DATA_INTEGRITY_PROOF, **options})
    for member in ("created", "expires"):
        if member in options:
            _check_stamp(options[member], member)
    if proof.id is not None and proof.id in {earlier.id for earlier in proofs_of(document)}:
        raise _not_generated("the document has a proof with this id already")
    suite = suite_of(proof)
    written = suite.proof_options(document, proof.raw)
    data = suite.hash_data(_secured_form(document, proof), written, canonicalizer)
    return PreparedProof(document, written, data)


def verify_proof(
    document: JsonObject,
    proof: Proof,
    public_key: PublicKey,
    canonicalizer: Canonicalizer,
    *,
    verified: Collection[Proof] = (),
) -> None:
    """Raise unless `proof`, one of those of `document`, is a signature by `public_key` over it (section 4.4).

    NotVerified: the signature is wrong, the key is of another kind, or a proof that is referenced is missing
    or not among those already `verified`. Malformed: the proof or document breaks its format. Unavailable:
    `UnknownSuite`, or a context that is not pinned. Expiry, purpose, domain and challenge are not looked at.
    """
    suite = suite_of(proof)
    if not any(proof.raw is other.raw or proof.raw == other.raw for other in proofs_of(document)):
        raise _not_verified("the proof is not one of the document's")
    if proof.proof_value is None:
        raise Malformed(
            "the proof has no proofValue", type=problem.PROOF_VERIFICATION_ERROR, path=("proof", "proofValue")
        )
    length = suite.signature_bytes.get(public_key.kind)
    if length is None:
        raise _not_verified(f"{suite.name} takes no {public_key.kind} key")
    signature = decode_multibase(proof.proof_value, "z")
    if len(signature) != length:
        raise Malformed(
            f"expected a signature of {length} bytes, got {len(signature)}",
            type=problem.PROOF_VERIFICATION_ERROR,
            path=("proof", "proofValue"),
        )
    for previous in previous_proofs(document, proof):
        if previous not in verified:
            raise _not_verified("a proof that this one builds on is not verified")
    options = {name: value for name, value in proof.raw.items() if name != "proofValue"}
    data = suite.hash_data(_secured_form(document, proof), options, canonicalizer)
    public_key.verify(signature, data.message)


def verify_proof_chain(
    document: JsonObject,
    proof: Proof,
    key_of: Callable[[Proof], PublicKey],
    canonicalizer: Canonicalizer,
) -> tuple[Proof, ...]:
    """Verify `proof` and, first, every proof that it builds on; return them in the order of verification.

    `key_of` finds the key of a proof's verification method; what it raises passes through. NotVerified where
    the references form a circle.
    """
    verified: list[Proof] = []
    for item in _chain(document, proof):
        verify_proof(document, item, key_of(item), canonicalizer, verified=verified)
        verified.append(item)
    return tuple(verified)


def previous_proofs(document: JsonObject, proof: Proof) -> tuple[Proof, ...]:
    """The proofs that `previousProof` names, in the document's order; NotVerified where one is missing."""
    if not proof.previous_proof:
        return ()
    found = tuple(other for other in proofs_of(document) if other.id in proof.previous_proof)
    if len(found) != len(proof.previous_proof):
        raise _not_verified("a proof that previousProof names is not in the document")
    return found


def unsecured(document: JsonObject) -> JsonObject:
    """The document without its proofs: what a verifier hands on as verified."""
    return {name: value for name, value in document.items() if name != "proof"}


def _chain(document: JsonObject, proof: Proof) -> list[Proof]:
    order: list[Proof] = []
    open_ids: list[str | None] = []

    def visit(item: Proof) -> None:
        if item in order:
            return
        if item.id is not None and item.id in open_ids:
            raise _not_verified("the proofs of a chain reference each other in a circle")
        open_ids.append(item.id)
        for previous in previous_proofs(document, item):
            visit(previous)
        open_ids.pop()
        order.append(item)

    visit(proof)
    return order


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
        raise _not_generated(f"{member} is {error.detail}") from error


def _not_generated(detail: str) -> Malformed:
    return Malformed(detail, type=problem.PROOF_GENERATION_ERROR, path=("proof",))


def _not_verified(detail: str) -> NotVerified:
    return NotVerified(detail, type=problem.PROOF_VERIFICATION_ERROR, path=("proof",))
