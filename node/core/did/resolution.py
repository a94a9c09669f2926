"""What resolving a DID gives, and the questions about DIDs that need no resolving.

DID Resolution 1.0 section 4. Methods that need nothing but the identifier are resolved here; the others by
`node/outbound/resolve.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Final

from node.core.did.document import DidDocument
from node.core.did.ethr_identity import parse_did_ethr
from node.core.did.jwk import resolve_did_jwk
from node.core.did.key import resolve_did_key
from node.core.did.pkh import resolve_did_pkh
from node.core.did.syntax import did_of, is_did, is_did_ethr, parse_did
from node.core.errors import BonafidesError
from node.core.strict_json import JsonObject
from node.core.times import format_datetime_stamp

__all__ = [
    "ResolutionResult",
    "did_of",
    "is_did",
    "parse_did",
    "resolve_self_certifying",
    "same_issuer",
]

DID_LD_JSON: Final = "application/did+ld+json"


@dataclass(frozen=True, slots=True)
class ResolutionResult:
    """A resolved DID (DID Resolution section 4.3): the document, and what is known about it.

    Versions are block numbers of did:ethr, where a DID that was never changed has none, and texts of did:webvh, whose
    `history` are all of them, oldest first.
    """

    document: DidDocument
    deactivated: bool = False
    version_id: int | str | None = None
    updated: datetime | None = None
    next_version_id: int | str | None = None
    next_update: datetime | None = None
    content_type: str = DID_LD_JSON
    history: tuple[str, ...] = ()

    def to_json(self) -> JsonObject:
        """The result as a resolver writes it, errors apart: they are raised here."""
        metadata: JsonObject = {}
        if self.deactivated:
            metadata["deactivated"] = True
        if self.version_id is not None:
            metadata["versionId"] = str(self.version_id)
        if self.updated is not None:
            metadata["updated"] = format_datetime_stamp(self.updated)
        if self.next_version_id is not None:
            metadata["nextVersionId"] = str(self.next_version_id)
        if self.next_update is not None:
            metadata["nextUpdate"] = format_datetime_stamp(self.next_update)
        return {
            "didDocument": self.document.to_json(),
            "didDocumentMetadata": metadata,
            "didResolutionMetadata": {"contentType": self.content_type},
        }


@lru_cache(maxsize=256)
def resolve_self_certifying(did: str) -> DidDocument | None:
    """The document that follows from the identifier alone, of did:key, did:jwk and did:pkh (of Ethereum), else None.

    It always is the same one, so it is remembered: callers must not change what is in it.
    """
    method, identifier = parse_did(did)
    if method == "key":
        return resolve_did_key(did)
    if method == "jwk":
        return resolve_did_jwk(did)
    if method == "pkh" and identifier.startswith("eip155:"):
        return resolve_did_pkh(did)
    return None


def same_issuer(a: str, b: str) -> bool:
    """Whether two DIDs name one issuer: chain and identity for did:ethr, the account for did:pkh, else one text."""
    if a == b:
        return True
    if a.startswith("did:pkh:eip155:"):
        return a.lower() == b.lower()  # the case of an address is a checksum (EIP-55)
    if not (is_did_ethr(a) and is_did_ethr(b)):
        return False
    try:
        first, second = parse_did_ethr(a), parse_did_ethr(b)
    except BonafidesError:
        return False
    return (first.chain_id, first.identity) == (second.chain_id, second.identity)
