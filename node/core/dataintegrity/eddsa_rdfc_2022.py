"""Cryptosuite eddsa-rdfc-2022 (Data Integrity EdDSA Cryptosuites 1.0 section 3.2)."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from node.core import problem
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.cryptosuite import HashData
from node.core.errors import Malformed
from node.core.keys import KeyKind
from node.core.strict_json import JsonObject

# Under RDF a member can be spelled by its IRI with the same signature, so that `expires` would not be seen.
_MEMBERS: Final = frozenset(
    {"id", "type", "cryptosuite", "verificationMethod", "proofPurpose", "created", "expires", "domain"}
    | {"challenge", "previousProof", "nonce"}
)


class EddsaRdfc2022:
    """RDFC-1.0 N-Quads, SHA-256, Ed25519. What is read must be compared with what is signed (`canonical.plain`)."""

    name = "eddsa-rdfc-2022"
    signature_bytes = MappingProxyType({KeyKind.ED25519: 64})

    def proof_options(self, document: JsonObject, options: JsonObject) -> JsonObject:  # noqa: ARG002 - as is
        """The proof is written without contexts; its configuration takes the document's."""
        return dict(options)

    def hash_data(self, document: JsonObject, options: JsonObject, canonicalizer: Canonicalizer) -> HashData:
        """Sections 3.2.3 and 3.2.5; the proof may hold the members of Data Integrity 1.0 section 2.1 alone."""
        unknown = options.keys() - _MEMBERS
        if unknown:
            raise Malformed(
                f"a proof of this suite cannot have the member {min(unknown)[:80]}",
                type=problem.PROOF_TRANSFORMATION_ERROR,
                path=("proof",),
            )
        if "@context" not in document:
            raise Malformed("a document without @context has no RDF form", path=("@context",))
        config = {"@context": document["@context"], **options}
        return HashData(
            proof_config=canonicalizer.nquads(config).encode(),
            document=canonicalizer.nquads(document).encode(),
        )
