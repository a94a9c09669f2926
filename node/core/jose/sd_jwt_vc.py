"""Credentials as SD-JWT: which of their claims no holder may withhold, and how they are made.

SD-JWT VC (draft-ietf-oauth-sd-jwt-vc section 2.2), whose claims are its own, and VC-JOSE-COSE section 3.2, whose
payload is a document of the VC data model. What decides whether a credential still holds, by whom it is and to whom it
is bound must stand in the issuer's own words: a holder who could withhold it would decide instead.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime
from typing import Final

from node.core.errors import Malformed
from node.core.jose.claims import numeric_date
from node.core.jose.sd_jwt import Path, PreparedSdJwt, Processed, prepare_sd_jwt
from node.core.jose.vc_jwt import payload_of, token_header
from node.core.keys import PublicKey, parse_jwk
from node.core.securing import MANDATORY
from node.core.strict_json import JsonObject

VC_SD_JWT: Final = "application/vc+sd-jwt"
VP_SD_JWT: Final = "application/vp+sd-jwt"
DC_SD_JWT: Final = "application/dc+sd-jwt"

# The draft's list (section 2.2.2.2), and FORMATS.md section 2: status, validity, issuer and cnf.
NEVER_WITHHELD: Final = frozenset(
    {
        *("iss", "nbf", "exp", "cnf", "vct", "vct#integrity", "aka_vcts", "status"),
        *("issuer", "validFrom", "validUntil", "issuanceDate", "expirationDate", "credentialStatus"),
    }
)
# Of a credential of the data model besides: without one of its types a learner's record would hold no credentials that
# have to be verified, and a badge would have no rules.
MEANING: Final = frozenset({"@context", "type", "@type"})
# What ours keep open besides (FORMATS.md section 2).
ALWAYS_SHOWN: Final = frozenset({"@context", "id", "type", *MANDATORY})


def check_withheld(processed: Processed, names: AbstractSet[str] = NEVER_WITHHELD) -> None:
    """Raise Malformed where a Disclosure, shown or withheld, decides over `names`: status, validity, issuer, holder."""
    for name in processed.up_to_the_holder & names:
        raise Malformed(f"{name} depends on what the holder discloses", path=(name,))


def check_sd_jwt_vc(payload: JsonObject) -> None:
    """Raise Malformed unless `payload` says its type (`vct`), as every SD-JWT VC does."""
    if not isinstance(payload.get("vct"), str) or not payload["vct"]:
        raise Malformed("an SD-JWT VC names its type in vct", path=("vct",))


def holder_of(payload: JsonObject) -> tuple[PublicKey | None, str | None]:
    """The holder's key (`cnf.jwk`), and the URL of its verification method (`cnf.kid`), RFC 7800 section 3.

    Either is None where it is not there; the key too where it is of a kind that does not sign here.
    """
    confirmation = payload.get("cnf", {})
    if not isinstance(confirmation, dict):
        raise Malformed("cnf is an object", path=("cnf",))
    jwk, kid = confirmation.get("jwk"), confirmation.get("kid")
    if not isinstance(jwk, dict | None) or not isinstance(kid, str | None):
        raise Malformed("cnf holds jwk, an object, or kid, a string", path=("cnf",))
    try:
        return (None if jwk is None else parse_jwk(jwk)), kid
    except Malformed:
        return None, kid


def prepare_vc_sd_jwt(
    credential: JsonObject,
    public_key: PublicKey,
    kid: str,
    disclosable: Collection[Path],
    *,
    salts: Sequence[bytes],
    decoys: Mapping[Path, int] | None = None,
    holder_key: PublicKey | None = None,
    issued_at: datetime | None = None,
) -> PreparedSdJwt:
    """What is signed of a credential as `vc+sd-jwt`; arguments as in `prepare_sd_jwt`.

    Malformed: a disclosable path into one of the members that are always shown.
    """
    _refuse(disclosable, ALWAYS_SHOWN)
    payload = payload_of(credential, issued_at=issued_at) | _confirmation(holder_key)
    header = token_header(VC_SD_JWT, public_key, kid)
    return prepare_sd_jwt(header, payload, disclosable, salts=salts, decoys=decoys)


def prepare_vp_sd_jwt(
    presentation: JsonObject,
    public_key: PublicKey,
    kid: str,
    disclosable: Collection[Path],
    *,
    salts: Sequence[bytes],
    issued_at: datetime | None = None,
) -> PreparedSdJwt:
    """What a holder signs as `vp+sd-jwt`."""
    payload = payload_of(presentation, issued_at=issued_at)
    return prepare_sd_jwt(token_header(VP_SD_JWT, public_key, kid), payload, disclosable, salts=salts)


def prepare_sd_jwt_vc(
    claims: JsonObject,
    public_key: PublicKey,
    kid: str,
    disclosable: Collection[Path],
    *,
    salts: Sequence[bytes],
    decoys: Mapping[Path, int] | None = None,
    holder_key: PublicKey | None = None,
    issued_at: datetime | None = None,
) -> PreparedSdJwt:
    """What is signed as `dc+sd-jwt`: flat claims with `vct`; `holder_key` becomes `cnf`, `issued_at` `iat`.

    Malformed: no `vct`, `cnf` among the claims, or a disclosable path into a claim that is never withheld.
    """
    check_sd_jwt_vc(claims)
    if "cnf" in claims:
        raise Malformed("the holder's key is given apart", path=("cnf",))
    _refuse(disclosable, NEVER_WITHHELD)
    payload = claims | _confirmation(holder_key)
    payload |= {} if issued_at is None else {"iat": numeric_date(issued_at)}
    header = token_header(DC_SD_JWT, public_key, kid)
    del header["cty"]
    return prepare_sd_jwt(header, payload, disclosable, salts=salts, decoys=decoys)


def _refuse(disclosable: Collection[Path], names: frozenset[str]) -> None:
    for path in disclosable:
        if not path or path[0] in names:
            raise Malformed("this is always shown", path=path)


def _confirmation(holder_key: PublicKey | None) -> JsonObject:
    return {} if holder_key is None else {"cnf": {"jwk": holder_key.to_jwk()}}
