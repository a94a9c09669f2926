"""Cryptosuite eddsa-2022: what the drafts of 2022 and 2023 called eddsa-rdfc-2022. Badges of 1EdTech carry it."""

from __future__ import annotations

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.eddsa_rdfc_2022 import EddsaRdfc2022
from node.core.dataintegrity.proof import Proof
from node.core.keys import KeyKind, PublicKey
from node.core.strict_json import JsonObject


class Eddsa2022:
    """The same bytes are signed. Verified for the sake of the old, and never made: it has no `prepare`."""

    name = "eddsa-2022"
    key_kinds = frozenset({KeyKind.ED25519})
    signs_rdf = True

    def verify(
        self, document: JsonObject, proof: Proof, public_key: PublicKey, canonicalizer: Canonicalizer
    ) -> None:
        """Raise unless the signature is `public_key`'s over the options and the document."""
        EddsaRdfc2022().verify(document, proof, public_key, canonicalizer)
