"""What the linked-data suites before Data Integrity share; their proofs are verified here and never made.

Hash of the canonical proof options, then hash of the canonical document, as in `hash_suite`, always SHA-256. The
options are read in the suite's own context and never in one that the proof brings: a member then means what its name
says, whatever contexts stand beside it, and a signer who meant something else has not signed this.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Set as AbstractSet
from typing import ClassVar, Final

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.cryptosuite import check_key_kind
from node.core.dataintegrity.proof import Proof
from node.core.encoding import decode_base64url
from node.core.errors import Malformed
from node.core.jose.jws import Jws, verify_jws
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import JsonObject, parse_json_object

# What the contexts of these suites define; with another member, what is read would be more than what is signed.
_MEMBERS: Final = frozenset(
    {"id", "type", "verificationMethod", "proofPurpose", "created", "expires", "domain", "challenge", "nonce"}
)


class LegacySuite(ABC):
    """A suite that is named by the `type` of its proofs; `contexts` are the pinned ones that define that type."""

    name: ClassVar[str]
    contexts: ClassVar[tuple[str, ...]]
    key_kinds: ClassVar[AbstractSet[KeyKind]]
    signs_rdf: ClassVar[bool] = True
    # The member that holds the signature, and is no part of what is signed.
    signature_member: ClassVar[str]

    def verify(
        self, document: JsonObject, proof: Proof, public_key: PublicKey, canonicalizer: Canonicalizer
    ) -> None:
        """Raise unless the signature is `public_key`'s over the options and the document."""
        check_key_kind(self, public_key)
        self.verify_signature(proof, public_key, self.hashes(document, proof, canonicalizer))

    def hashes(self, document: JsonObject, proof: Proof, canonicalizer: Canonicalizer) -> bytes:
        """64 bytes: SHA-256 of the canonical proof options, then of the canonical document."""
        forms = (canonicalizer.nquads(self.proof_options(proof)), canonicalizer.nquads(document))
        return b"".join(hashlib.sha256(form.encode()).digest() for form in forms)

    def proof_options(self, proof: Proof) -> JsonObject:
        """The proof without its signature, in the suite's own context; Malformed with a member unknown to it."""
        kept = {
            name: value
            for name, value in proof.raw.items()
            if name not in (self.signature_member, "@context")
        }
        if unknown := kept.keys() - _MEMBERS:
            raise Malformed(
                f"a proof of this suite cannot have the member {min(unknown)[:80]}",
                type=problem.PROOF_TRANSFORMATION_ERROR,
                path=("proof",),
            )
        return {"@context": list(self.contexts), **kept}

    @abstractmethod
    def verify_signature(self, proof: Proof, public_key: PublicKey, hashes: bytes) -> None:
        """Raise unless the proof's signature is `public_key`'s over `hashes`."""


class DetachedJwsSuite(LegacySuite):
    """A suite whose signature is a detached JWS over unencoded bytes (RFC 7797), in the member `jws`."""

    algorithms: ClassVar[AbstractSet[str]]
    signature_member = "jws"

    def verify_signature(self, proof: Proof, public_key: PublicKey, hashes: bytes) -> None:
        """The signing input is the header as it is written, a full stop, and the hashes as bytes."""
        jws = _read_detached(proof.raw.get("jws"), hashes)
        verify_jws(jws, public_key, allowed_algorithms=self.algorithms)


def _read_detached(text: object, payload: bytes) -> Jws:
    """The JWS in `text`, header, two full stops and signature, with the payload that is not in it."""
    parts = text.split(".") if isinstance(text, str) else []
    if len(parts) != 3 or not parts[0] or parts[1] or not parts[2]:
        raise _bad_jws("a detached JWS has a header, no payload and a signature")
    try:
        header, signature = parse_json_object(decode_base64url(parts[0])), decode_base64url(parts[2])
    except Malformed as error:
        raise _bad_jws(error.detail) from error
    # Exactly these members: another could change what the signature means.
    if header.keys() != {"alg", "b64", "crit"} or header["b64"] is not False or header["crit"] != ["b64"]:
        raise _bad_jws("the header of a detached JWS has alg, b64 (false) and crit (b64), and nothing else")
    if not isinstance(header["alg"], str):
        raise _bad_jws("alg is not a string")
    return Jws(header, payload, signature, parts[0].encode("ascii") + b"." + payload)


def _bad_jws(detail: str) -> Malformed:
    return Malformed(detail, type=problem.PROOF_VERIFICATION_ERROR, path=("proof", "jws"))
