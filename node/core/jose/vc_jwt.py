"""Credentials and presentations as the payload of a token: which document a payload is, and how one is made.

Securing VCs using JOSE and COSE (VC-JOSE-COSE) section 3: the payload is the document, beside claims of the token.
VC Data Model 1.1 section 6.3.1 (VC-JWT): the document is under `vc` or `vp`, and claims stand for members of it.
Open Badges 3.0 section 8.2.4: the payload is the badge, `typ` is absent or JWT, and five claims repeat members.
A claim and the member that it stands for are never read apart: where they differ, the token is Malformed.
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from node.core.credential import BASE_CONTEXT_1_1, types_of
from node.core.errors import Malformed
from node.core.jose.claims import TOKEN_CLAIMS, Claims, numeric_date
from node.core.jose.jws import PreparedJws, algorithm_of, prepare_jws
from node.core.keys import PublicKey
from node.core.strict_json import Json, JsonObject
from node.core.times import format_datetime_stamp, parse_datetime_stamp

VC_JWT: Final = "application/vc+jwt"
VP_JWT: Final = "application/vp+jwt"
# VC-JWT of version 1.1 has no media type of its own.
JWT: Final = "application/jwt"

# What decides over a credential stands in `vc`, or as a claim for it: read past elsewhere, it would not count.
_DECIDING: Final = frozenset(
    {
        *("issuer", "validFrom", "validUntil", "issuanceDate", "expirationDate"),
        *("credentialStatus", "credentialSchema", "credentialSubject"),
    }
)
_BADGES: Final = frozenset(
    {"OpenBadgeCredential", "AchievementCredential", "EndorsementCredential", "ClrCredential"}
)


def media_type_of(claims: Claims) -> str:
    """The form of a token whose header has no `typ`, or only `JWT`, by what its payload holds."""
    if "vc" in claims.raw or "vp" in claims.raw:
        return JWT
    return VP_JWT if "VerifiablePresentation" in types_of(claims.raw) else VC_JWT


def document_of(claims: Claims) -> JsonObject:
    """The credential or presentation that a payload of VC-JOSE-COSE is, without the claims of the token.

    Malformed: the claims `vc` and `vp` (section 3.1.1), and `iss`, `jti` or `sub` beside another issuer or holder,
    id or subject.
    """
    payload = claims.raw
    for name in ("vc", "vp"):
        if name in payload:
            raise Malformed(f"the claim {name} must not be in this form of token", path=(name,))
    document = {name: value for name, value in payload.items() if name not in TOKEN_CLAIMS}
    party = "holder" if "VerifiablePresentation" in types_of(document) else "issuer"
    _same("iss", claims.issuer, _id_of(document.get(party)))
    _same("jti", claims.token_id, document.get("id"))
    _same_subject(claims, document)
    return document


def check_badge_profile(claims: Claims, document: JsonObject) -> None:
    """Raise Malformed where the claims of a badge as JWT break the profile of Open Badges 3.0 section 8.2.4.

    `nbf` is validFrom and `exp` validUntil. A badge has `iss` and `nbf`, and those of `jti` and `exp` that repeat a
    member which it has. Of other documents nothing is asked: there the two claims are the life of the signature.
    """
    if _BADGES.isdisjoint(types_of(document)):
        return
    _same_moment("nbf", claims.not_before, document, ("validFrom", "issuanceDate"))
    _same_moment("exp", claims.expires, document, ("validUntil", "expirationDate"))
    required = ["iss", "nbf"]
    required += ["jti"] if "id" in document else []
    required += ["exp"] if "validUntil" in document or "expirationDate" in document else []
    for name in required:
        if name not in claims.raw:
            raise Malformed(f"a badge as a JWT has the claim {name}", path=(name,))


def document_of_1_1(claims: Claims) -> JsonObject:
    """The document of a VC-JWT: `vc` or `vp` with what the claims say beside it (VC Data Model 1.1 section 6.3.1)."""
    payload = claims.raw
    held = [payload[name] for name in ("vc", "vp") if name in payload]
    if len(held) != 1 or not isinstance(held[0], dict):
        raise Malformed("a token of version 1.1 holds one credential or one presentation")
    document = dict(held[0])
    if ("vp" in payload) is not ("VerifiablePresentation" in types_of(document)):
        raise Malformed("vp holds a presentation, and vc none", path=("vp" if "vp" in payload else "vc",))
    for name in _DECIDING & payload.keys():
        # What did-jwt-vc leaves of an issuer whose id it took for `iss`: it names nobody.
        nobody = name == "issuer" and isinstance(payload[name], dict) and "id" not in payload[name]
        if payload[name] != document.get(name) and not nobody:
            raise Malformed(f"{name} stands beside the document and is not what is in it", path=(name,))
    _stand_for(document, "id", "jti", claims.token_id)
    if "vp" in payload:
        _stand_for(document, "holder", "iss", claims.issuer)
        return document
    _stand_for(document, "issuer", "iss", claims.issuer)
    _stand_for_subject(document, claims.subject)
    old = _first_context(document) == BASE_CONTEXT_1_1
    from_name, until_name = ("issuanceDate", "expirationDate") if old else ("validFrom", "validUntil")
    for name, claim, moment in (
        (from_name, "nbf", claims.not_before),
        (until_name, "exp", claims.expires),
    ):
        if name in document:
            _same_moment(claim, moment, document, (name,))
        elif moment is not None:
            document[name] = format_datetime_stamp(moment)
    return document


def prepare_vc_jwt(
    credential: JsonObject, public_key: PublicKey, kid: str, *, issued_at: datetime | None = None
) -> PreparedJws:
    """What is signed of a credential as `vc+jwt`; `kid` is the absolute URL of the issuer's verification method."""
    header = token_header(VC_JWT, public_key, kid)
    return prepare_jws(header, payload_of(credential, issued_at=issued_at))


def prepare_vp_jwt(
    presentation: JsonObject,
    public_key: PublicKey,
    kid: str,
    *,
    audience: str | None = None,
    nonce: str | None = None,
    issued_at: datetime | None = None,
    expires: datetime | None = None,
) -> PreparedJws:
    """What a holder signs as `vp+jwt`, for the verifier `audience` and its `nonce` where it asked for them."""
    payload = payload_of(presentation, issued_at=issued_at, expires=expires)
    payload |= {} if audience is None else {"aud": audience}
    payload |= {} if nonce is None else {"nonce": nonce}
    return prepare_jws(token_header(VP_JWT, public_key, kid), payload)


def token_header(media_type: str, public_key: PublicKey, kid: str) -> JsonObject:
    """The header of VC-JOSE-COSE section 3: `cty` says that the payload is a credential or a presentation."""
    typ = media_type.removeprefix("application/")
    return {"alg": algorithm_of(public_key.kind), "typ": typ, "cty": typ.partition("+")[0], "kid": kid}


def payload_of(
    document: JsonObject, *, issued_at: datetime | None = None, expires: datetime | None = None
) -> JsonObject:
    """The document and the life of its signature; Malformed where a member would be read as a claim of the token."""
    if clash := document.keys() & (TOKEN_CLAIMS | {"vc", "vp"}):
        raise Malformed(f"a document with the members of a token: {', '.join(sorted(clash))}")
    times = (("iat", issued_at), ("exp", expires))
    return document | {name: numeric_date(moment) for name, moment in times if moment is not None}


def _same(claim: str, said: str | None, member: Json) -> None:
    if said is not None and said != member:
        raise Malformed(f"the claim {claim} and the member that it repeats differ", path=(claim,))


def _same_subject(claims: Claims, document: JsonObject) -> None:
    subjects = document.get("credentialSubject", [])
    listed = subjects if isinstance(subjects, list) else [subjects]
    if claims.subject is not None and claims.subject not in [_id_of(subject) for subject in listed]:
        raise Malformed("the claim sub names none of the subjects", path=("sub",))


def _same_moment(claim: str, said: datetime | None, document: JsonObject, names: tuple[str, ...]) -> None:
    """Raise Malformed where `claim` is another moment than the member of that name has, to the second."""
    if said is None:
        return
    text = next((document[name] for name in names if name in document), None)
    if not isinstance(text, str) or parse_datetime_stamp(text).replace(microsecond=0) != said:
        raise Malformed(f"the claim {claim} and {' or '.join(names)} differ", path=(claim,))


def _stand_for(document: JsonObject, name: str, claim: str, said: str | None) -> None:
    """Set the member that a claim stands for; what is there already must be the same."""
    if said is None:
        return
    held = document.get(name)
    if isinstance(held, dict) and "id" not in held:
        document[name] = {**held, "id": said}
    elif held is None:
        document[name] = said
    else:
        _same(claim, said, _id_of(held))


def _stand_for_subject(document: JsonObject, said: str | None) -> None:
    subjects = document.get("credentialSubject")
    listed = subjects if isinstance(subjects, list) else [subjects]
    if said is None or any(_id_of(subject) == said for subject in listed):
        return
    if len(listed) != 1 or not isinstance(listed[0], dict) or "id" in listed[0]:
        raise Malformed("the claim sub names none of the subjects", path=("sub",))
    named = {**listed[0], "id": said}
    document["credentialSubject"] = [named] if isinstance(subjects, list) else named


def _id_of(value: Json) -> Json:
    return value.get("id") if isinstance(value, dict) else value


def _first_context(document: JsonObject) -> Json:
    contexts = document.get("@context")
    return contexts[0] if isinstance(contexts, list) and contexts else contexts
