"""Cryptosuite eddsa-jcs-2022 (Data Integrity EdDSA Cryptosuites 1.0 section 3.3)."""

from __future__ import annotations

from types import MappingProxyType

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.cryptosuite import HashData
from node.core.errors import NotVerified
from node.core.keys import KeyKind
from node.core.strict_json import Json, JsonObject


class EddsaJcs2022:
    """JCS bytes, SHA-256, Ed25519. The bytes signed are what is read; no JSON-LD is processed."""

    name = "eddsa-jcs-2022"
    signature_bytes = MappingProxyType({KeyKind.ED25519: 64})

    def proof_options(self, document: JsonObject, options: JsonObject) -> JsonObject:
        """Section 3.3.1 step 2: the document's contexts become part of the proof."""
        if "@context" not in document:
            return dict(options)
        return {"@context": document["@context"], **options}

    def hash_data(self, document: JsonObject, options: JsonObject, canonicalizer: Canonicalizer) -> HashData:  # noqa: ARG002 - a suite without JSON-LD
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
        return HashData(proof_config=canonicalize(options), document=canonicalize(document))


def _array(value: Json) -> list[Json]:
    return value if type(value) is list else [value]
