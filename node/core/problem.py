"""Problem details (RFC 9457) and the type URLs that the standards publish.

A `Problem` says in machine words what kind of thing went wrong and in human words where. Errors carry one
(`errors.py`), checks of a verification carry several.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

_VCDM: Final = "https://www.w3.org/TR/vc-data-model#"
_SECURITY: Final = "https://w3id.org/security#"
_STATUS: Final = "https://www.w3.org/ns/credentials/status-list#"
_DID: Final = "https://www.w3.org/ns/did#"
# Our own types are URNs: nobody should mistake them for a page that can be opened.
_OURS: Final = "urn:bonafides:problem:"

# VC Data Model 2.0 section 7.2
PARSING_ERROR: Final = _VCDM + "PARSING_ERROR"
CRYPTOGRAPHIC_SECURITY_ERROR: Final = _VCDM + "CRYPTOGRAPHIC_SECURITY_ERROR"
MALFORMED_VALUE_ERROR: Final = _VCDM + "MALFORMED_VALUE_ERROR"
RANGE_ERROR: Final = _VCDM + "RANGE_ERROR"

# Data Integrity 1.0 section 4.7, Controlled Identifiers 1.0 section 3.5
PROOF_GENERATION_ERROR: Final = _SECURITY + "PROOF_GENERATION_ERROR"
PROOF_VERIFICATION_ERROR: Final = _SECURITY + "PROOF_VERIFICATION_ERROR"
PROOF_TRANSFORMATION_ERROR: Final = _SECURITY + "PROOF_TRANSFORMATION_ERROR"
INVALID_DOMAIN_ERROR: Final = _SECURITY + "INVALID_DOMAIN_ERROR"
INVALID_CHALLENGE_ERROR: Final = _SECURITY + "INVALID_CHALLENGE_ERROR"
DATA_LOSS_DETECTION_ERROR: Final = _SECURITY + "DATA_LOSS_DETECTION_ERROR"
INVALID_VERIFICATION_METHOD_URL: Final = _SECURITY + "INVALID_VERIFICATION_METHOD_URL"
INVALID_CONTROLLED_IDENTIFIER_DOCUMENT_ID: Final = _SECURITY + "INVALID_CONTROLLED_IDENTIFIER_DOCUMENT_ID"
INVALID_CONTROLLED_IDENTIFIER_DOCUMENT: Final = _SECURITY + "INVALID_CONTROLLED_IDENTIFIER_DOCUMENT"
INVALID_VERIFICATION_METHOD: Final = _SECURITY + "INVALID_VERIFICATION_METHOD"
INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD: Final = (
    _SECURITY + "INVALID_RELATIONSHIP_FOR_VERIFICATION_METHOD"
)

# Bitstring Status List 1.0 section 3.5
STATUS_RETRIEVAL_ERROR: Final = _STATUS + "STATUS_RETRIEVAL_ERROR"
STATUS_VERIFICATION_ERROR: Final = _STATUS + "STATUS_VERIFICATION_ERROR"
STATUS_LIST_LENGTH_ERROR: Final = _STATUS + "STATUS_LIST_LENGTH_ERROR"

# DID Resolution section 9
INVALID_DID: Final = _DID + "INVALID_DID"
INVALID_DID_URL: Final = _DID + "INVALID_DID_URL"
INVALID_DID_DOCUMENT: Final = _DID + "INVALID_DID_DOCUMENT"
DID_NOT_FOUND: Final = _DID + "NOT_FOUND"
METHOD_NOT_SUPPORTED: Final = _DID + "METHOD_NOT_SUPPORTED"

UNAVAILABLE: Final = _OURS + "unavailable"
REFUSED: Final = _OURS + "refused"
NOT_FOUND: Final = _OURS + "not-found"
CONFLICT: Final = _OURS + "conflict"
MISCONFIGURED: Final = _OURS + "misconfigured"
CONTEXT_NOT_PINNED: Final = _OURS + "context-not-pinned"
DATASET_POISONING: Final = _OURS + "dataset-poisoning"
READ_AS_SIGNED: Final = _OURS + "read-as-signed"


def pointer_of(path: Iterable[str | int]) -> str:
    """Member names and zero-based indexes from the root as a JSON Pointer (RFC 6901 section 3)."""
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)


def ours(name: str) -> str:
    """The type URN of a problem that no standard names; `name` is lower-case words joined by hyphens."""
    return _OURS + name


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem detail (RFC 9457 section 3.1).

    `path` is where in the document: member names and zero-based indexes from the root, `()` for the whole.
    """

    type: str
    detail: str
    path: tuple[str | int, ...] = ()

    @property
    def title(self) -> str:
        """The last word of the type, as the W3C specifications print it."""
        return self.type.replace("#", ":").rsplit(":", 1)[-1]

    def to_json(self) -> dict[str, object]:
        """The problem as the JSON object of RFC 9457, with `path` as a JSON Pointer where there is one."""
        body: dict[str, object] = {"type": self.type, "title": self.title, "detail": self.detail}
        if self.path:
            body["path"] = pointer_of(self.path)
        return body
