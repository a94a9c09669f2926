"""The registry of cryptosuites that are built here, by the text of a proof's `cryptosuite` member."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from node.core.dataintegrity.cryptosuite import Cryptosuite, UnknownSuite
from node.core.dataintegrity.eddsa_jcs_2022 import EddsaJcs2022
from node.core.dataintegrity.eddsa_rdfc_2022 import EddsaRdfc2022
from node.core.dataintegrity.proof import DATA_INTEGRITY_PROOF, Proof

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
