"""The syntax of DIDs and DID URLs (DID Core section 3); what a method makes of its identifier is its own."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from node.core import problem
from node.core.errors import Malformed

# A did:jwk of a large RSA key has about a thousand characters.
MAX_DID_CHARS: Final = 4096
MAX_DID_URL_CHARS: Final = 2 * MAX_DID_CHARS

_IDCHAR: Final = r"(?:[A-Za-z0-9._-]|%[0-9A-Fa-f]{2})"
_DID: Final = re.compile(rf"did:[a-z0-9]+:(?:{_IDCHAR}*:)*{_IDCHAR}+\Z")
# Of RFC 3986: pchar, "/" and "?" in path, query and fragment.
TAIL: Final = re.compile(
    r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?"
    r"(?:#(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?\Z"
)
_DELIMITER: Final = re.compile(r"[/?#]")


def is_did(text: str) -> bool:
    """Whether `text` is a DID, without path, query or fragment."""
    return len(text) <= MAX_DID_CHARS and _DID.match(text) is not None


def parse_did(text: str) -> tuple[str, str]:
    """Method name and method-specific identifier of a DID; Malformed with type INVALID_DID."""
    if not is_did(text):
        raise Malformed("not a DID", type=problem.INVALID_DID)
    _, method, identifier = text.split(":", 2)
    return method, identifier


def is_did_ethr(text: str) -> bool:
    """Whether the method is ethr, so that keys are on a chain; what follows may still break the method's rules."""
    return text.startswith("did:ethr:")


@lru_cache(maxsize=256)  # one document names the same few again and again
def did_of(did_url: str) -> str:
    """The DID in front of path, query and fragment; Malformed with type INVALID_DID_URL."""
    end = _DELIMITER.search(did_url)
    did, tail = (did_url[: end.start()], did_url[end.start() :]) if end else (did_url, "")
    if len(did_url) > MAX_DID_URL_CHARS or not is_did(did) or not TAIL.match(tail):
        raise Malformed("not a DID URL", type=problem.INVALID_DID_URL)
    return did
