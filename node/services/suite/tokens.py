"""What the W3C's suite for VC-JOSE-COSE asks: one document secured with a given key, or one token judged with it.

The suite hands over the key in a file, so none is looked for; its inputs are files of some day, so neither a validity
period nor `exp` is judged. All else is as everywhere: strict parsing, the rules of the data model, and that a token is
of the kind it is taken for.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from node.core.canonical.rdfc import Canonicalizer
from node.core.cose import prepare_cose
from node.core.credential import check_credential, check_presentation
from node.core.encoding import decode_base64url
from node.core.envelope import Envelope, read_envelope
from node.core.errors import Malformed
from node.core.jose.sd_jwt import Path, salts_needed
from node.core.jose.sd_jwt_vc import prepare_vc_sd_jwt, prepare_vp_sd_jwt
from node.core.jose.vc_jwt import prepare_vc_jwt, prepare_vp_jwt
from node.core.keys import PublicKey, Signer, parse_jwk
from node.core.strict_json import Json, JsonObject
from node.keystore import signer_of

_SALT_BYTES: Final = 16
_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[([0-9]{1,4})\]")
# Members of a credential that VC Data Model 2.0 sections 4 and 5 define. In a document whose context maps any term to
# something, as the examples' does, nothing else would tell a misspelt member from one that was meant.
_MEMBERS: Final = frozenset(
    {
        *("@context", "id", "type", "name", "description", "issuer", "validFrom", "validUntil"),
        *("credentialSubject", "credentialStatus", "credentialSchema", "relatedResource", "refreshService"),
        *("termsOfUse", "evidence", "confidenceMethod", "renderMethod"),
    }
)


class Feature(StrEnum):
    """What is secured and how, by the suite's names."""

    CREDENTIAL_JOSE = "credential_jose"
    CREDENTIAL_SDJWT = "credential_sdjwt"
    CREDENTIAL_COSE = "credential_cose"
    PRESENTATION_JOSE = "presentation_jose"
    PRESENTATION_SDJWT = "presentation_sdjwt"
    PRESENTATION_COSE = "presentation_cose"

    @property
    def is_credential(self) -> bool:
        """Whether it is about credentials."""
        return self.value.startswith("credential")

    @property
    def media_type(self) -> str:
        """The media type of its tokens."""
        form = {"jose": "jwt", "sdjwt": "sd-jwt", "cose": "cose"}[self.value.rpartition("_")[2]]
        return f"application/{'vc' if self.is_credential else 'vp'}+{form}"


@dataclass(frozen=True, slots=True)
class MethodFile:
    """A verification method as a file of the suite has it, with its private key."""

    id: str
    public_key: PublicKey
    signer: Signer | None


def parse_method(value: JsonObject) -> MethodFile:
    """A `JsonWebKey` with `publicKeyJwk` and perhaps `secretKeyJwk`; Malformed otherwise, repeating no secret."""
    identifier, public, secret = value.get("id"), value.get("publicKeyJwk"), value.get("secretKeyJwk")
    if not isinstance(identifier, str) or not isinstance(public, dict):
        raise Malformed("a verification method with id and publicKeyJwk is expected")
    public_key = parse_jwk(public)
    if secret is None:
        return MethodFile(identifier, public_key, None)
    if not isinstance(secret, dict) or not isinstance(secret.get("d"), str):
        raise Malformed("secretKeyJwk holds no private key", path=("secretKeyJwk",))
    signer = signer_of(public_key.kind, decode_base64url(secret["d"]))
    if signer.public_key != public_key:
        raise Malformed("the private key is another's", path=("secretKeyJwk",))
    return MethodFile(identifier, public_key, signer)


def parse_path(text: str) -> Path:
    """`credentialSubject.phoneNumbers[0]` as a path of member names and indexes."""
    path: list[str | int] = []
    at = 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            raise Malformed(f"not a path: {text[:80]}")
        path.append(step[1] if step[2] is None else int(step[2]))
        at = step.end()
    if not path:
        raise Malformed("an empty path")
    return tuple(path)


def issue(
    feature: Feature,
    document: JsonObject,
    method: MethodFile,
    disclosable: Sequence[str],
    canonicalizer: Canonicalizer,
) -> str:
    """The token as text, COSE in base64; it was read and verified again. Malformed where it should not be made."""
    check_document(feature, document, canonicalizer)
    if feature.is_credential and (unknown := sorted(document.keys() - _MEMBERS)):
        raise Malformed(f"the data model has no member {unknown[0][:80]}", path=(unknown[0],))
    token = secure(feature, document, method, [parse_path(path) for path in disclosable])
    verify(feature, token, method, canonicalizer)
    return token


def verify(feature: Feature, text: str, method: MethodFile, canonicalizer: Canonicalizer) -> Envelope:
    """The token that `text` is. Malformed: it is none of the feature's; NotVerified: not signed with the key."""
    token = read_envelope(text)
    if token is None:
        raise Malformed("this is no token")
    if token.media_type != feature.media_type:
        raise Malformed(f"expected {feature.media_type}, got {token.media_type}")
    token.verify(method.public_key)
    check_document(feature, token.document, canonicalizer)
    return token


def check_document(feature: Feature, document: JsonObject, canonicalizer: Canonicalizer) -> None:
    """Malformed where the document breaks the data model, or loses members as JSON-LD."""
    if feature.is_credential:
        check_credential(document)
    else:
        document = _with_urls_stripped(document)
        check_presentation(document)
    canonicalizer.nquads(document)


def secure(
    feature: Feature,
    document: JsonObject,
    method: MethodFile,
    disclosable: Sequence[Path] = (),
    *,
    audience: str | None = None,
    nonce: str | None = None,
) -> str:
    """The document as a token, whatever it says; `audience` and `nonce` are for a presentation as JWT."""
    if method.signer is None:
        raise Malformed("the key file holds no private key")
    key, kid, signer = method.public_key, method.id, method.signer
    if feature in (Feature.CREDENTIAL_COSE, Feature.PRESENTATION_COSE):
        prepared = prepare_cose(document, feature.media_type.removesuffix("+cose"), key, kid)
        return base64.b64encode(prepared.finish(signer.sign(prepared.message))).decode("ascii")
    if feature in (Feature.CREDENTIAL_SDJWT, Feature.PRESENTATION_SDJWT):
        salts = [secrets.token_bytes(_SALT_BYTES) for _ in range(salts_needed(disclosable))]
        make = prepare_vc_sd_jwt if feature.is_credential else prepare_vp_sd_jwt
        sd_jwt = make(document, key, kid, disclosable, salts=salts)
        return sd_jwt.finish(signer.sign(sd_jwt.message))
    if feature.is_credential:
        jwt = prepare_vc_jwt(document, key, kid)
    else:
        jwt = prepare_vp_jwt(document, key, kid, audience=audience, nonce=nonce)
    return jwt.finish(signer.sign(jwt.message))


def _with_urls_stripped(presentation: JsonObject) -> JsonObject:
    """A line end at the end of a data URL is no part of it (URL Standard, basic parser, step 1); the suite has one."""
    held = presentation.get("verifiableCredential")
    if not isinstance(held, list):
        return presentation
    return {**presentation, "verifiableCredential": [_stripped(item) for item in held]}


def _stripped(item: Json) -> Json:
    if isinstance(item, dict) and isinstance(item.get("id"), str):
        return {**item, "id": item["id"].strip("\t\r\n ")}
    return item
