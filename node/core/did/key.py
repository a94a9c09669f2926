"""did:key: the document that follows from the key in the identifier (W3C CCG, The did:key Method v0.9)."""

from __future__ import annotations

from typing import Final

from node.core import problem
from node.core.did.document import (
    DID_CONTEXT,
    KEY_AGREEMENT,
    MULTIKEY_CONTEXT,
    SIGNING_RELATIONSHIPS,
    DidDocument,
    multikey_method,
    parse_did_document,
)
from node.core.did.syntax import parse_did
from node.core.encoding import decode_multibase, decode_varint
from node.core.errors import Malformed
from node.core.keys import PublicKey, parse_multicodec_key

_X25519: Final = 0xEC
# Keys that the method knows and that do not sign: multicodec to length in bytes.
_OTHER_KEYS: Final = {_X25519: 32}


def did_key_of(key: PublicKey) -> str:
    """The did:key of `key`."""
    return "did:key:" + key.multibase


def resolve_did_key(did: str) -> DidDocument:
    """The document of a did:key; Malformed with type INVALID_DID where it holds no key.

    The one method's fragment repeats the multibase text. No key agreement is derived from a signing key.
    """
    method, identifier = parse_did(did)
    if method != "key":
        raise Malformed("not a did:key", type=problem.INVALID_DID)
    version, _, text = identifier.rpartition(":")
    if version not in ("", "1"):
        raise Malformed("a did:key of an unknown version", type=problem.INVALID_DID)
    try:
        data = _multicodec_key(text)
    except Malformed as error:
        raise Malformed(f"a did:key without a key: {error.detail}", type=problem.INVALID_DID) from error
    method_json = multikey_method(did, text, data)
    signing = decode_varint(data)[0] != _X25519
    document = {
        "@context": [DID_CONTEXT, MULTIKEY_CONTEXT],
        "id": did,
        "verificationMethod": [method_json],
    }
    for relationship in SIGNING_RELATIONSHIPS if signing else (KEY_AGREEMENT,):
        document[relationship] = [method_json["id"]]
    return parse_did_document(document, did)


def _multicodec_key(text: str) -> bytes:
    data = decode_multibase(text, "z")
    code, length = decode_varint(data)
    if code not in _OTHER_KEYS:
        parse_multicodec_key(data)
    elif len(data) - length != _OTHER_KEYS[code]:
        raise Malformed("the key has another length than its type")
    return data
