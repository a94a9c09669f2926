"""What can be done with a credential by its format: whether a verifier takes it, and how our keys sign for it.

The formats and what a verifier's `vp_formats_supported` mean are in `node.core.oid4vp.formats`. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from node.core.dataintegrity.proof import proofs_of
from node.core.errors import Malformed
from node.core.jose.vc_jwt import JWT
from node.core.keys import KeyKind
from node.core.oid4vci.metadata import DC_SD_JWT, FORMATS, LDP_VC
from node.core.oid4vp.formats import format_of, is_taken
from node.core.strict_json import JsonObject
from node.core.verify.intake import Shown
from wallet.holder_keys import HolderKey

# What is taken from issuers (OpenID4VCI appendix A); what comes is known by its own bytes.
RECEIVED: Final = frozenset({*FORMATS, "jwt_vc_json-ld"})

# With which suites a key signs a presentation; the one that most verifiers know comes first.
SUITES: Final[Mapping[KeyKind, tuple[str, ...]]] = {
    KeyKind.ED25519: ("eddsa-rdfc-2022", "eddsa-jcs-2022"),
    KeyKind.P256: ("ecdsa-rdfc-2019", "ecdsa-jcs-2019"),
}


def takes_credential(supported: JsonObject, shown: Shown) -> bool:
    """Whether a verifier says that it can read how this credential is secured: one signature of it is enough."""
    name = format_of(shown.envelope)
    if shown.envelope is not None:
        return is_taken(supported, name, shown.envelope.algorithm)
    try:
        proofs = proofs_of(shown.document)
    except Malformed:
        return False
    return any(is_taken(supported, name, proof.cryptosuite or proof.type) for proof in proofs)


def suites_taken(supported: JsonObject, key: HolderKey) -> tuple[str, ...]:
    """The suites with which this key signs a presentation so that the verifier takes it, the best first."""
    return tuple(suite for suite in SUITES[key.kind] if is_taken(supported, LDP_VC, suite, by_holder=True))


def takes_signature(supported: JsonObject, name: str, key: HolderKey) -> bool:
    """Whether the verifier takes what this key signs to present a credential of a format."""
    if name == LDP_VC:
        return bool(suites_taken(supported, key))
    return is_taken(supported, name, key.algorithm, by_holder=True)


def is_version_1_1(shown: Shown) -> bool:
    """Whether it is a token whose document stands under `vc` (VC Data Model 1.1 section 6.3.1)."""
    return shown.envelope is not None and shown.envelope.media_type == JWT


def is_presentable(shown: Shown) -> bool:
    """Whether a presentation of version 2.0 can hold it: SD-JWT VC and tokens of version 1.1 are shown otherwise."""
    return format_of(shown.envelope) != DC_SD_JWT and not is_version_1_1(shown)
