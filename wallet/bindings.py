"""The wallet's secrets to which issuers bind credentials (bbs-2023), and which of them a credential is bound to.

Each credential that asks for one gets secrets of its own, kept before the commitment leaves. What arrives is matched by
its signature and not by what was asked: a successor comes over the same secrets, perhaps by another offer.
"""

from __future__ import annotations

from collections.abc import Iterable

from node.core.canonical.rdfc import Canonicalizer
from node.core.dataintegrity.bbs_2023 import Bbs2023, BoundHolder, parse_base_proof
from node.core.dataintegrity.bbs_binding import is_bound
from node.core.dataintegrity.proof import Proof
from node.core.dataintegrity.suites import unsecured
from node.core.errors import Malformed, NotVerified, Unavailable
from node.core.keys import KeyKind, PublicKey
from node.core.verify.intake import Shown
from wallet.disclose import base_proof_in


def needs_secrets(shown: Shown) -> bool:
    """Whether nothing can be shown of a credential but with secrets of its holder's."""
    return _bound_proof(shown) is not None


def secrets_of(shown: Shown, kept: Iterable[BoundHolder], canonicalizer: Canonicalizer) -> BoundHolder | None:
    """Which of the secrets that are kept a credential is bound to; None where it needs none, or none of these."""
    base = _bound_proof(shown)
    if base is None:
        return None
    key = PublicKey(KeyKind.BLS12381_G2, parse_base_proof(base).public_key)
    document = unsecured(shown.document)
    for holder in kept:
        try:
            Bbs2023().verify_base(document, base, key, canonicalizer, holder=holder)
        except (Malformed, NotVerified, Unavailable):
            continue
        return holder
    return None


def _bound_proof(shown: Shown) -> Proof | None:
    """The base proof of a credential that is bound to secrets; None where there is none that can be read."""
    base = None if shown.envelope is not None else base_proof_in(shown.document)
    try:
        return base if base is not None and base.cryptosuite == Bbs2023.name and is_bound(base) else None
    except Malformed:
        return None
