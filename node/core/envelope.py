"""Documents that travel as tokens: one form for every kind, whatever the signature is wrapped in.

Securing VCs using JOSE and COSE (VC-JOSE-COSE), SD-JWT VC, VC-JWT of VC Data Model 1.1, the JWT profile of Open Badges
3.0, and the envelopes of VC Data Model 2.0 section 4.13. Reading says what a token is and holds; nothing of it is
verified before `verify`, and where the key comes from, and whether the times hold now, is left to the engine.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from node.core import problem
from node.core.cose import CoseSign1, parse_cose_sign1, verify_cose_sign1
from node.core.credential import BASE_CONTEXT, check_envelope, is_url, types_of
from node.core.encoding import decode_base64
from node.core.errors import Malformed
from node.core.jose.claims import Claims, parse_claims
from node.core.jose.jws import ALGORITHMS, parse_jws, verify_jws
from node.core.jose.sd_jwt import (
    Path,
    Processed,
    SdJwt,
    check_no_digests,
    compact_forms,
    parse_sd_jwt,
    process,
    read_key_binding,
    verify_issuer,
    verify_key_binding,
)
from node.core.jose.sd_jwt_vc import (
    DC_SD_JWT,
    MEANING,
    VC_SD_JWT,
    VP_SD_JWT,
    check_sd_jwt_vc,
    check_withheld,
    holder_of,
)
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
from node.core.strict_json import JsonObject, parse_json_object

VC_COSE: Final = "application/vc+cose"
VP_COSE: Final = "application/vp+cose"
ENVELOPED_CREDENTIAL: Final = "EnvelopedVerifiableCredential"
ENVELOPED_PRESENTATION: Final = "EnvelopedVerifiablePresentation"
# The base64url of an object's beginning, which is short, and a dot: the rest of a token is looked at once, when read.
_TOKEN: Final = re.compile(r"e[wy][A-Za-z0-9_-]{,65536}\.")
# A tagged COSE_Sign1 in base64 begins so, with its padding or without.
_COSE_TEXT: Final = re.compile(r"0o[Q-T][A-Za-z0-9+/]+={0,2}\Z")
_WHITE_SPACE: Final = " \t\r\n"
_COSE_BYTES: Final = (b"\xd2\x84", b"\x84")
_ENVELOPE_MEMBERS: Final = frozenset({"@context", "id", "type", "@type"})
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
    withheld: bool = False
    """Whether there are any, wherever."""
    subjects_withheld: bool = False
    """Whether there may be more subjects than are shown."""
    disclosed: tuple[Path, ...] = ()
    """Where the claims stand that its holder could have withheld, and did not."""
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
        """`exp`: end of the signature's life; None for credentials of version 1.1, where it is the document's."""
        return None if self._times_are_members else self.claims.expires

    @property
    def signature_begins(self) -> datetime | None:
        """`nbf`, in the same way."""
        return None if self._times_are_members else self.claims.not_before

    @property
    def _times_are_members(self) -> bool:
        return self.media_type == JWT and not self.presents


def read_envelope(data: bytes | str) -> Envelope | None:
    """The token that `data` is, told by its bytes and its header; None where it is no token, Malformed a broken one.

    White space around a text is dropped. COSE comes as bytes, or as their base64.
    """
    if isinstance(data, bytes) and data.startswith(_COSE_BYTES):
        return _read_cose(data)
    if isinstance(data, bytes) and data.startswith(b"{"):  # no token does
        return None
    try:
        text = data if isinstance(data, str) else data.decode("ascii")
    except UnicodeDecodeError:
        return None
    text = text.strip(_WHITE_SPACE)
    if _COSE_TEXT.match(text):
        return _read_cose(_forgiving_base64(text))
    if _TOKEN.match(text) is None:
        return None
    return _read_sd_jwt(text) if "~" in text else _read_jwt(text)


def read_envelope_json(value: JsonObject) -> Envelope | None:
    """The SD-JWT that a JSON object is (RFC 9901 section 8), with one signature; None where it is none."""
    if "payload" not in value or not value.keys() & {"signature", "signatures"}:
        return None
    forms = compact_forms(value)
    if len(forms) != 1:
        raise _malformed("a credential has one signature of its issuer")
    return _read_sd_jwt(forms[0])


def open_data_url(url: str) -> Envelope:
    """The token in a `data:` URL (VC Data Model 2.0 section 4.13); its media type has to be the token's own."""
    match = _DATA_URL.match(url.rstrip(_WHITE_SPACE))
    if match is None:
        raise _malformed("not a data: URL of a secured credential or presentation")
    media_type, in_base64, text = match.groups()
    is_cose = media_type in (VC_COSE, VP_COSE)
    if is_cose is not (in_base64 is not None):
        raise _malformed("in a data: URL a token of bytes is base64, and one of text is not")
    envelope = _read_cose(_forgiving_base64(text)) if is_cose else read_envelope(text)
    if envelope is None or envelope.media_type != media_type:
        raise _malformed(f"what is in the data: URL is not {media_type}")
    return envelope


def open_enveloped(document: JsonObject) -> Envelope:
    """The token in an EnvelopedVerifiableCredential or EnvelopedVerifiablePresentation.

    Nothing else is in one: what somebody wrote beside the token would be read as if its issuer had said it.
    """
    envelope = open_data_url(check_envelope(document))
    expected = ENVELOPED_PRESENTATION if envelope.presents else ENVELOPED_CREDENTIAL
    if types_of(document) != (expected,):
        raise _malformed(f"what it envelops makes it an {expected}, and nothing else")
    if more := document.keys() - _ENVELOPE_MEMBERS:
        raise _malformed(f"an envelope has no member {min(more)[:80]}")
    return envelope


def enveloped(envelope: Envelope) -> JsonObject:
    """The object that stands for a token where JSON is needed, in a presentation for example."""
    token = envelope.token
    data = "," + token if isinstance(token, str) else ";base64," + base64.b64encode(token).decode("ascii")
    return {
        "@context": BASE_CONTEXT,
        "type": ENVELOPED_PRESENTATION if envelope.presents else ENVELOPED_CREDENTIAL,
        "id": f"data:{envelope.media_type}{data}",
    }


def _read_jwt(token: str) -> Envelope:
    jws = parse_jws(token)
    claims = parse_claims(jws.claims())
    check_no_digests(claims.raw)
    stated = _stated_type(jws.header.get("typ", "JWT"))
    media_type = stated or media_type_of(claims)
    if media_type == JWT:
        document = document_of_1_1(claims)
    elif media_type in (VC_JWT, VP_JWT):
        document = document_of(claims)
        if stated is None:
            check_badge_profile(claims, document)
    else:
        raise _malformed(f"a token of type {media_type[:80]} is no credential that is read here")
    holder_key, holder_method = holder_of(claims.raw)
    return Envelope(
        media_type=_as_it_is(media_type, document),
        token=token,
        document=document,
        algorithm=jws.algorithm,
        digest_input=token.encode("ascii"),
        verify=lambda public_key: verify_jws(jws, public_key, allowed_algorithms=ALGORITHMS),
        claims=claims,
        verification_method=_verification_method(jws.header.get("kid"), claims),
        header_key=_header_key(jws.header),
        holder_key=holder_key,
        holder_method=holder_method,
    )


def _read_sd_jwt(text: str) -> Envelope:
    token = parse_sd_jwt(text)
    processed = process(token)
    check_withheld(processed)
    claims = parse_claims(processed.payload)
    media_type = _sd_jwt_type(token)
    if media_type == VC_SD_JWT:
        check_withheld(processed, MEANING)
    if media_type == DC_SD_JWT:
        check_sd_jwt_vc(processed.payload)
        document = processed.payload
    else:
        document = document_of(claims)
    holder_key, holder_method = holder_of(processed.payload)
    return Envelope(
        media_type=_as_it_is(media_type, document),
        token=text,
        document=document,
        algorithm=token.issued.algorithm,
        digest_input=token.issued_text.encode("ascii"),
        verify=lambda public_key: verify_issuer(token, public_key),
        claims=claims,
        verification_method=_verification_method(token.issued.header.get("kid"), claims),
        header_key=_header_key(token.issued.header),
        hidden=() in processed.undisclosed,
        withheld=bool(processed.undisclosed),
        subjects_withheld=_subjects_withheld(processed),
        disclosed=tuple(one.path for one in processed.disclosed),
        holder_key=holder_key,
        holder_method=holder_method,
        key_binding=_key_binding(token),
    )


def _subjects_withheld(processed: Processed) -> bool:
    several = isinstance(processed.payload.get("credentialSubject"), list)
    return several and ("credentialSubject",) in processed.undisclosed


def _sd_jwt_type(token: SdJwt) -> str:
    stated = _stated_type(token.issued.header.get("typ", "JWT"))
    media_type = stated or VC_SD_JWT
    if media_type == VC_SD_JWT and "vct" in token.payload and "@context" not in token.payload:
        # Until November 2024 what is dc+sd-jwt now was vc+sd-jwt as well; unstated it never was (section 2.2.1).
        if stated is None:
            raise _malformed("an SD-JWT VC states its type in its header")
        return DC_SD_JWT
    if media_type not in (VC_SD_JWT, VP_SD_JWT, DC_SD_JWT):
        raise _malformed(f"an SD-JWT of type {media_type[:80]} is no credential that is read here")
    return media_type


def _key_binding(token: SdJwt) -> KeyBinding | None:
    said = read_key_binding(token)
    if said is None:
        return None

    def verify(holder_key: PublicKey) -> None:
        verify_key_binding(token, holder_key)

    return KeyBinding(said.audience, said.nonce, said.issued_at, verify)


def _read_cose(data: bytes) -> Envelope:
    token = parse_cose_sign1(data)
    payload = parse_json_object(token.payload)
    if payload.keys() & token.claims.keys():
        raise _malformed("a claim that is in the headers and in the payload")
    claims = parse_claims(payload | token.claims)
    check_no_digests(claims.raw)
    document = document_of(claims)
    holder_key, holder_method = holder_of(payload)
    return Envelope(
        media_type=_as_it_is(_cose_type(token), document),
        token=data,
        document=document,
        algorithm=token.algorithm,
        digest_input=token.digest_input,
        verify=lambda public_key: verify_cose_sign1(token, public_key),
        claims=claims,
        verification_method=_verification_method(token.kid, claims),
        holder_key=holder_key,
        holder_method=holder_method,
    )


def _cose_type(token: CoseSign1) -> str:
    media_type = _stated_type(token.typ or f"{token.content_type}+cose")
    if media_type not in (VC_COSE, VP_COSE):
        raise _malformed("a COSE_Sign1 that is neither vc+cose nor vp+cose")
    return media_type


def _forgiving_base64(text: str) -> bytes:
    """Standard base64 with its padding or without, as in data: URLs (https://infra.spec.whatwg.org section 7)."""
    if not text.endswith("="):
        text += "=" * (-len(text) % 4)
    return decode_base64(text)


def _stated_type(typ: object) -> str | None:
    """`typ` as a media type (RFC 7515 section 4.1.9, RFC 9596); None for `JWT`, which says nothing."""
    if not isinstance(typ, str):
        raise _malformed("typ is a string")
    name = typ.lower().removeprefix("application/")
    return None if name == "jwt" else "application/" + name


def _as_it_is(media_type: str, document: JsonObject) -> str:
    """The media type, or Malformed where it says presentation and the document is none, or the other way."""
    if media_type not in (JWT, DC_SD_JWT):
        said = media_type.startswith("application/vp")
        if said is not ("VerifiablePresentation" in types_of(document)):
            raise _malformed(f"what is in the token is not {media_type}")
    return media_type


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
