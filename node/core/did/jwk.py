"""did:jwk: the document that follows from the public JWK in the identifier (the did:jwk method specification)."""

from __future__ import annotations

from typing import Final

from node.core import problem
from node.core.did.document import (
    DID_CONTEXT,
    JWS_2020_CONTEXT,
    KEY_AGREEMENT,
    RELATIONSHIPS,
    SIGNING_RELATIONSHIPS,
    DidDocument,
    parse_did_document,
)
from node.core.did.syntax import parse_did
from node.core.encoding import decode_base64url
from node.core.errors import Malformed
from node.core.strict_json import JsonObject, parse_json_object

# `use` (RFC 7517 section 4.2) narrows what the key is for.
_BY_USE: Final = {"sig": SIGNING_RELATIONSHIPS, "enc": (KEY_AGREEMENT,)}


def resolve_did_jwk(did: str) -> DidDocument:
    """The document of a did:jwk; Malformed with type INVALID_DID where it holds no public JWK.

    The one method is `#0`, whatever `kid` the JWK has. A JWK of a type that does not sign here is legal; the
    method's `public_key` is None then.
    """
    method, identifier = parse_did(did)
    if method != "jwk":
        raise Malformed("not a did:jwk", type=problem.INVALID_DID)
    try:
        jwk = parse_json_object(decode_base64url(identifier))
        return parse_did_document(_document(did, jwk), did)
    except Malformed as error:
        raise Malformed(f"a did:jwk without a key: {error.detail}", type=problem.INVALID_DID) from error


def _document(did: str, jwk: JsonObject) -> JsonObject:
    if type(jwk.get("kty")) is not str:
        raise Malformed("kty is missing")
    method_id = did + "#0"
    use = jwk.get("use")
    relationships = _BY_USE.get(use, RELATIONSHIPS) if isinstance(use, str) else RELATIONSHIPS
    return {
        "@context": [DID_CONTEXT, JWS_2020_CONTEXT],
        "id": did,
        "verificationMethod": [
            {"id": method_id, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": jwk}
        ],
        **{relationship: [method_id] for relationship in relationships},
    }
