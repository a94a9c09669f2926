"""Credential formats in OpenID4VP (1.0 appendix B): which one a credential has, and what a verifier takes of each.

`ldp_vc`, `jwt_vc_json` and `dc+sd-jwt` are the standard's; `vc+sd-jwt` and `vc+cose` (VC-JOSE-COSE) are named as in
issuing. An answer in `ldp_vc` is a JSON object; in every other format it is a text: an SD-JWT with its key binding, or
a token of a presentation, in which a credential without a textual form of its own stands enveloped.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Final

from node.core.dataintegrity.proof import DATA_INTEGRITY_PROOF
from node.core.dataintegrity.suites import LEGACY_SUITES, SUITES
from node.core.envelope import VC_COSE as COSE_TYPE
from node.core.envelope import Envelope
from node.core.jose.jws import ALGORITHMS
from node.core.jose.sd_jwt_vc import DC_SD_JWT as DC_SD_JWT_TYPE
from node.core.jose.sd_jwt_vc import VC_SD_JWT as VC_SD_JWT_TYPE
from node.core.jose.vc_jwt import JWT, VC_JWT
from node.core.oid4vci.metadata import DC_SD_JWT, JWT_VC_JSON, LDP_VC, VC_COSE, VC_SD_JWT
from node.core.strict_json import JsonObject

SD_JWTS: Final = frozenset({DC_SD_JWT, VC_SD_JWT})
# Those whose credentials have types of the VC data model.
W3C_FORMATS: Final = frozenset({LDP_VC, JWT_VC_JSON, VC_SD_JWT, VC_COSE})
_OF_MEDIA_TYPE: Final[Mapping[str, str]] = MappingProxyType(
    {
        VC_JWT: JWT_VC_JSON,
        JWT: JWT_VC_JSON,
        VC_SD_JWT_TYPE: VC_SD_JWT,
        DC_SD_JWT_TYPE: DC_SD_JWT,
        COSE_TYPE: VC_COSE,
    }
)
# RFC 9864: the same algorithm under its fully specified name, which appendix B.3.4 asks for.
_ED25519: Final = frozenset({"EdDSA", "Ed25519"})


def format_of(envelope: Envelope | None) -> str:
    """The format of a credential: of the token that it is, or of an object with embedded proofs (None)."""
    return LDP_VC if envelope is None else _OF_MEDIA_TYPE.get(envelope.media_type, envelope.media_type)


def vp_formats() -> JsonObject:
    """The `vp_formats_supported` of this project's verifier: all that it can judge."""
    algorithms = list(ALGORITHMS)
    tokens: JsonObject = {"alg_values": algorithms}
    sd_jwts: JsonObject = {"sd-jwt_alg_values": algorithms, "kb-jwt_alg_values": algorithms}
    return {
        LDP_VC: {
            "proof_type_values": [DATA_INTEGRITY_PROOF, *LEGACY_SUITES],
            "cryptosuite_values": list(SUITES),
        },
        JWT_VC_JSON: tokens,
        DC_SD_JWT: sd_jwts,
        VC_SD_JWT: sd_jwts,
        VC_COSE: tokens,
    }


def is_taken(supported: JsonObject, name: str, algorithm: str, *, by_holder: bool = False) -> bool:
    """Whether a verifier with these `vp_formats_supported` takes the format `name` signed in that way.

    `algorithm` is a cryptosuite, an older proof type, or a JOSE algorithm; `by_holder` where it is the holder's
    signature, which has a list of its own beside an SD-JWT. A list that is absent limits nothing.
    """
    entry = supported.get(name)
    if not isinstance(entry, dict):
        return False
    if name in SD_JWTS:
        return _lists(entry, "kb-jwt_alg_values" if by_holder else "sd-jwt_alg_values", algorithm)
    if name != LDP_VC:
        return _lists(entry, "alg_values", algorithm)
    if algorithm in LEGACY_SUITES:
        return _lists(entry, "proof_type_values", algorithm)
    by_type = _lists(entry, "proof_type_values", DATA_INTEGRITY_PROOF)
    return by_type and _lists(entry, "cryptosuite_values", algorithm)


def _lists(entry: JsonObject, member: str, algorithm: str) -> bool:
    if member not in entry:
        return True
    names: Collection[str] = _ED25519 if algorithm in _ED25519 else (algorithm,)
    listed = entry[member]
    return isinstance(listed, list) and any(name in listed for name in names)
