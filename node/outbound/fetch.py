"""Fetching the documents that other documents name, through the egress guard: what type, how large, how strict.

Bitstring Status List 1.0 section 3.2 (dereferencing), did:web "Read". Nothing fetched is believed here; whether it
may be fetched at all, and when, is `http.py` and the callers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from yarl import URL

from node.core import problem
from node.core.did.webvh import MAX_LOG_BYTES
from node.core.errors import Malformed, NotFound, Unavailable
from node.core.evm.checkpoint import MAX_FILE_BYTES
from node.core.strict_json import JsonObject, parse_json_object
from node.outbound.http import Answer, Egress, NamedBy

_JSON: Final = "application/json"
_LD_JSON: Final = "application/ld+json"
_COSE_SIGN1: Final = b"\xd2"  # its tag; no text begins so
_TOKEN: Final = re.compile(rb"[A-Za-z0-9_~.-]+\Z")


@dataclass(frozen=True, slots=True)
class FetchPurpose:
    """What a fetched document is for, and so what it may look like. `problem_type` is of failures to get it."""

    name: str
    content_types: tuple[str, ...]
    max_bytes: int
    problem_type: str

    @property
    def accept(self) -> str:
        """The Accept header, the preferred type first."""
        return ", ".join(self.content_types)


# A list of 2^27 entries in random order, the largest that is read, has 16 MB before compression; one that is
# published has few bits set. The content types of version 1.1 are those that old issuers still serve; Open Badges 3.0
# has tokens as text/plain.
STATUS_LIST: Final = FetchPurpose(
    "status list",
    (
        "application/vc",
        "application/vc+jwt",
        "application/vc+cose",
        "application/statuslist+jwt",
        "application/statuslist+cwt",
        _LD_JSON,
        _JSON,
        "application/vc+ld+json",
        "application/jwt",
        "text/plain",
    ),
    4 * 1024 * 1024,
    problem.STATUS_RETRIEVAL_ERROR,
)
# A folder on the web has no type for a file without a suffix.
STATUS_LIST_COPY: Final = replace(
    STATUS_LIST, content_types=(*STATUS_LIST.content_types, "application/octet-stream")
)
DID_DOCUMENT: Final = FetchPurpose(
    "DID document",
    ("application/did", "application/did+ld+json", "application/did+json", _LD_JSON, _JSON),
    256 * 1024,
    problem.INVALID_DID_DOCUMENT,
)
# The history of a did:webvh; plain web space serves a `.jsonl` under whatever type it has for unknown files.
DID_LOG: Final = FetchPurpose(
    "DID log",
    (
        "text/jsonl",
        "application/jsonl",
        "application/x-ndjson",
        _JSON,
        "text/plain",
        "application/octet-stream",
    ),
    MAX_LOG_BYTES,
    problem.DID_NOT_FOUND,
)
DID_WITNESSES: Final = FetchPurpose(
    "witness file", (_JSON, "text/plain"), MAX_LOG_BYTES, problem.DID_NOT_FOUND
)


# Controlled Identifiers 1.0. An issuer's address may answer with a page for people instead, which is not read.
CONTROLLED_DOCUMENT: Final = FetchPurpose(
    "controlled identifier document",
    ("application/cid", _LD_JSON, _JSON),
    256 * 1024,
    problem.INVALID_CONTROLLED_IDENTIFIER_DOCUMENT,
)

# RFC 7517 section 8.5. What many serve as plain JSON is read too.
KEY_SET: Final = FetchPurpose(
    "issuer's keys",
    ("application/jwk-set+json", "application/jwk+json", _JSON),
    256 * 1024,
    problem.INVALID_VERIFICATION_METHOD,
)

CHECKPOINT_FILE: Final = FetchPurpose(
    "checkpoint file", (_JSON, "text/plain", "application/octet-stream"), MAX_FILE_BYTES, problem.UNAVAILABLE
)

# Of a node that makes proofs for holders: a pool of 512 nodes of 532 bytes, mostly, in base64url.
STATE_PROOF: Final = FetchPurpose("state proof", (_JSON,), 1024 * 1024, problem.UNAVAILABLE)


# Well Known DID Configuration (DIF).
DID_CONFIGURATION: Final = FetchPurpose(
    "DID configuration",
    (_JSON, "application/did-configuration+json", _LD_JSON),
    256 * 1024,
    problem.INVALID_DID,
)


@dataclass(frozen=True, slots=True)
class FetchedJson:
    """A JSON object as it came: digests are over `body`."""

    url: str
    content_type: str
    body: bytes
    document: JsonObject


async def fetch_json(
    egress: Egress, url: str, *, purpose: FetchPurpose, named_by: NamedBy = NamedBy.DOCUMENT
) -> FetchedJson:
    """The JSON object at `url`.

    EgressDenied where the policy forbids it; NotFound for status 404 and 410; Unavailable for every other way
    of not getting it, a redirect and another content type included; Malformed where it is not strict JSON.
    """
    answer = await fetch_bytes(egress, url, purpose=purpose, named_by=named_by)
    try:
        document = parse_json_object(answer.body, max_bytes=purpose.max_bytes)
    except Malformed as error:
        raise Malformed(f"the {purpose.name} is {error.detail}", type=error.problem.type) from error
    return FetchedJson(answer.url, answer.content_type, answer.body, document)


async def fetch_json_or_token(
    egress: Egress, url: str, *, purpose: FetchPurpose, named_by: NamedBy = NamedBy.DOCUMENT
) -> tuple[JsonObject | str | bytes, str]:
    """The JSON object at `url`, or the token in its place, text or the bytes of a COSE_Sign1; and the final URL.

    Errors as of `fetch_json`. That it is a token is all that is known of it: neither read nor verified.
    """
    answer = await fetch_bytes(egress, url, purpose=purpose, named_by=named_by)
    text = answer.body.strip()
    if _TOKEN.match(text):
        return text.decode("ascii"), answer.url
    if answer.body.startswith(_COSE_SIGN1):
        return answer.body, answer.url
    try:
        return parse_json_object(answer.body, max_bytes=purpose.max_bytes), answer.url
    except Malformed as error:
        raise Malformed(f"the {purpose.name} is {error.detail}", type=error.problem.type) from error


async def fetch_bytes(
    egress: Egress, url: str, *, purpose: FetchPurpose, named_by: NamedBy = NamedBy.DOCUMENT
) -> Answer:
    """As `fetch_json`, for documents that are not plain JSON."""
    # What the operator configured may hold a key: its host alone is told.
    asked = url if named_by is NamedBy.DOCUMENT else str(URL(url).host)
    answer = await egress.request(
        "GET", url, named_by=named_by, headers={"Accept": purpose.accept}, max_bytes=purpose.max_bytes
    )
    if answer.status in (404, 410):
        raise NotFound(f"there is no {purpose.name} at its URL", type=purpose.problem_type)
    if answer.status != 200:
        raise Unavailable(
            f"the {purpose.name} was answered with HTTP status {answer.status}",
            asked=asked,
            type=purpose.problem_type,
        )
    if answer.content_type not in purpose.content_types:
        raise Unavailable(
            f"the {purpose.name} has the content type {answer.content_type or 'of nothing'!r}",
            asked=asked,
            type=purpose.problem_type,
        )
    return answer
