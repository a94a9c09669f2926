"""How a credential can be secured, by the one name under which that is chosen, stored and shown: its `securing`.

The name of a cryptosuite of Data Integrity, or the subtype of the media type of the token that the credential becomes
(VC-JOSE-COSE, SD-JWT VC).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from node.core.keys import KeyKind

DEFAULT_SECURING: Final = "eddsa-rdfc-2022"
ECDSA_SD: Final = "ecdsa-sd-2023"
BBS: Final = "bbs-2023"
VC_JWT: Final = "vc+jwt"
VC_SD_JWT: Final = "vc+sd-jwt"
VC_COSE: Final = "vc+cose"
DC_SD_JWT: Final = "dc+sd-jwt"

_EDDSA: Final = frozenset({KeyKind.ED25519})
_ECDSA: Final = frozenset({KeyKind.P256, KeyKind.P384})

KINDS: Final[Mapping[str, frozenset[KeyKind]]] = MappingProxyType(
    {
        DEFAULT_SECURING: _EDDSA,
        "eddsa-jcs-2022": _EDDSA,
        "ecdsa-rdfc-2019": _ECDSA,
        "ecdsa-jcs-2019": _ECDSA,
        ECDSA_SD: frozenset({KeyKind.P256}),
        BBS: frozenset({KeyKind.BLS12381_G2}),
        VC_JWT: _EDDSA | _ECDSA,
        VC_SD_JWT: _EDDSA | _ECDSA,
        VC_COSE: _EDDSA | _ECDSA,
        DC_SD_JWT: _EDDSA | _ECDSA,
    }
)
"""Every securing in which credentials are issued, with the kinds of key that it takes."""
TOKENS: Final = frozenset({VC_JWT, VC_SD_JWT, VC_COSE, DC_SD_JWT})
SELECTIVE: Final = frozenset({ECDSA_SD, BBS, VC_SD_JWT, DC_SD_JWT})
"""Those of which the holder shows a part."""
HASH_SUITES: Final = frozenset(KINDS) - TOKENS - SELECTIVE
"""Those that sign one hash of the whole document."""
USUAL_SUITES: Final[Mapping[KeyKind, str]] = MappingProxyType(
    {
        KeyKind.ED25519: DEFAULT_SECURING,
        KeyKind.P256: "ecdsa-rdfc-2019",
        KeyKind.P384: "ecdsa-rdfc-2019",
    }
)
"""What signs a whole document with a key of a kind: the one that most verifiers know."""
MANDATORY: Final = ("issuer", "validFrom", "validUntil", "credentialStatus", "credentialSchema")
"""Members of ours that no holder withholds, beside `@context`, `id` and `type` (FORMATS.md section 2)."""


def is_anchored(securing: str) -> bool:
    """Whether its digest goes to the chain: an anchor would link what bbs-2023 keeps apart (FORMATS.md section 3)."""
    return securing != BBS
