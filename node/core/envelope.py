"""Documents that travel as tokens: one form for every kind, whatever the signature is wrapped in.

Securing VCs using JOSE and COSE (VC-JOSE-COSE), VC-JWT of VC Data Model 1.1, the JWT profile of Open Badges 3.0, and
the envelopes of VC Data Model 2.0 section 4.13. Reading says what a token is and holds; nothing of it is verified
before `verify`, and where the key comes from, and whether the times hold now, is left to the engine.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.credential import BASE_CONTEXT, check_envelope, is_url, types_of
from node.core.errors import Malformed
from node.core.jose.claims import Claims, parse_claims
from node.core.jose.jws import ALGORITHMS, Jws, parse_jws, verify_jws
from node.core.jose.vc_jwt import (
    JWT,
    VC_JWT,
    VP_JWT,
    check_badge_profile,
    document_of,
    document_of_1_1,
    media_type_of,
)
from node.core.keys import PublicKey, parse_jwk
from node.core.strict_json import JsonObject

ENVELOPED_CREDENTIAL: Final = "EnvelopedVerifiableCredential"
ENVELOPED_PRESENTATION: Final = "EnvelopedVerifiablePresentation"
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:~|\Z)")
_DATA_URL: Final = re.compile(r"data:(application/v[cp]\+[a-z-]+)(;base64)?,([^\s]+)\Z")


@dataclass(frozen=True, slots=True)
class KeyBinding:
    """What a holder signed beside the token (RFC 9901 section 4.3): for whom, against which nonce, and when.

    `verify(public_key)` raises NotVerified unless the key that the token names as its holder's (`holder_key`, or the
    key of `holder_method`) signed it, over these very disclosures.
    """

    audience: str
    nonce: str
    issued_at: datetime
    verify: Callable[[PublicKey], None]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One token that was read and not verified; `document` is the credential or presentation in it.

    The claims of the token itself (`iss`, `aud`, `status` and so on) are in `claims`, not in the document. A token
    status list entry (`claims.raw["status"]`) revokes as `credentialStatus` does and has to be judged with it.
    """

    media_type: str
    """`application/vc+jwt`, `application/vp+jwt` …; `application/jwt` for VC-JWT of version 1.1."""
    token: str | bytes
    """As received, but for white space around it and the data URL."""
    document: JsonObject
    """As far as it is disclosed; for `application/dc+sd-jwt` all claims."""
    algorithm: str
    """`alg` by its JOSE name, a key of `ALGORITHMS`."""
    digest_input: bytes
    """The issuer-signed part: what the digest of an anchor is taken of (FORMATS.md section 3)."""
    verify: Callable[[PublicKey], None]
    """Raises NotVerified unless the token was signed with this key, under an algorithm of the key's kind."""
    claims: Claims
    verification_method: str | None = None
    """`kid` as an absolute URL, taken as a fragment of `iss` where it is relative; None where neither says which."""
    header_key: PublicKey | None = None
    """`jwk` of the header, which anybody can put there: told, never trusted."""
    hidden: bool = False
    """Whether there are undisclosed digests (or decoys) at the document's top level."""
    holder_key: PublicKey | None = None
    """`cnf.jwk` of the issuer-signed part: the key with which its holder presents it."""
    holder_method: str | None = None
    """`cnf.kid`: the same, as the URL of a verification method."""
    key_binding: KeyBinding | None = None

    @property
    def presents(self) -> bool:
        """Whether the document is a presentation."""
        return "VerifiablePresentation" in types_of(self.document)

    @property
    def signature_expires(self) -> datetime | None:
        """`exp`: end of the signature's life, not the document's; None in `application/jwt`, where it is both."""
        return None if self.media_type == JWT else self.claims.expires

    @property
    def signature_begins(self) -> datetime | None:
        """`nbf`, in the same way."""
        return None if self.media_type == JWT else self.claims.not_before


def read_envelope(data: bytes | str) -> Envelope | None:
    """The token that `data` is, told by its bytes and its header; None where it is no token, Malformed a broken one.

    White space around it is dropped. Media types that say another form than the header are Malformed.
    """
    try:
        text = data if isinstance(data, str) else data.decode("ascii")
    except UnicodeDecodeError:
        return None
    text = text.strip(" \t\r\n")
    if _TOKEN.match(text) is None:
        return None
    return _read_jwt(text)


def open_data_url(url: str) -> Envelope:
    """The token in a `data:` URL (VC Data Model 2.0 section 4.13); its media type has to be the token's own."""
    match = _DATA_URL.match(url)
    envelope = None
    if match is not None and match[2] is None:
        envelope = read_envelope(match[3])
    if match is None or envelope is None:
        raise _malformed("not a data: URL of a secured credential or presentation")
    if envelope.media_type != match[1]:
        raise _malformed(f"the data: URL says {match[1]}, the token in it {envelope.media_type}")
    return envelope


def open_enveloped(document: JsonObject) -> Envelope:
    """The token in an EnvelopedVerifiableCredential or EnvelopedVerifiablePresentation."""
    envelope = open_data_url(check_envelope(document))
    expected = ENVELOPED_PRESENTATION if envelope.presents else ENVELOPED_CREDENTIAL
    if expected not in types_of(document):
        raise _malformed(f"what it envelops makes it an {expected}")
    return envelope


def enveloped(envelope: Envelope) -> JsonObject:
    """The object that stands for a token where JSON is needed, in a presentation for example."""
    if not isinstance(envelope.token, str):
        raise TypeError("a token of bytes")
    return {
        "@context": BASE_CONTEXT,
        "type": ENVELOPED_PRESENTATION if envelope.presents else ENVELOPED_CREDENTIAL,
        "id": f"data:{envelope.media_type},{envelope.token}",
    }


def _read_jwt(token: str) -> Envelope:
    jws = parse_jws(token)
    claims = parse_claims(jws.claims())
    stated = _stated_type(jws)
    media_type = stated or media_type_of(claims)
    if media_type == JWT:
        document = document_of_1_1(claims)
    elif media_type in (VC_JWT, VP_JWT):
        document = document_of(claims)
        if stated is None:
            check_badge_profile(claims, document)
    else:
        raise _malformed(f"a token of type {media_type[:80]} is no credential that is read here")
    return Envelope(
        media_type=media_type,
        token=token,
        document=document,
        algorithm=jws.algorithm,
        digest_input=token.encode("ascii"),
        verify=lambda public_key: verify_jws(jws, public_key, allowed_algorithms=ALGORITHMS),
        claims=claims,
        verification_method=_verification_method(jws.header.get("kid"), claims),
        header_key=_header_key(jws.header),
    )


def _stated_type(jws: Jws) -> str | None:
    """`typ` as a media type (RFC 7515 section 4.1.9); None where there is none, or only `JWT`, which says nothing."""
    typ = jws.header.get("typ", "JWT")
    if not isinstance(typ, str):
        raise _malformed("typ is a string")
    name = typ.lower().removeprefix("application/")
    return None if name == "jwt" else "application/" + name


def _verification_method(kid: object, claims: Claims) -> str | None:
    if kid is None:
        return None
    if not isinstance(kid, str):
        raise _malformed("kid is a string")
    if is_url(kid):
        return kid
    return None if claims.issuer is None else f"{claims.issuer}#{kid.removeprefix('#')}"


def _header_key(header: JsonObject) -> PublicKey | None:
    jwk = header.get("jwk")
    if jwk is None:
        return None
    if not isinstance(jwk, dict):
        raise _malformed("jwk is an object")
    try:
        return parse_jwk(jwk)
    except Malformed:
        return None


def _malformed(detail: str) -> Malformed:
    return Malformed(detail, type=problem.PARSING_ERROR)
