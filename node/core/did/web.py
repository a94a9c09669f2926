"""did:web: from the identifier to the URL of its document (W3C CCG, did:web Method Specification).

Fetching it is `node/outbound/resolve.py`; whether it may be fetched is FORMATS.md section 10.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import quote, unquote

from node.core import problem
from node.core.did.syntax import parse_did
from node.core.errors import Malformed

_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
# The last label has a letter, else it could be read as an IP address, in any of the forms C libraries accept.
_HOST: Final = re.compile(rf"(?=.{{1,253}}\Z)(?:{_LABEL}\.)*(?=[A-Za-z0-9-]*[A-Za-z])(?!0[xX]){_LABEL}\Z")
_LOOPBACK: Final = re.compile(r"(?:[A-Za-z0-9-]+\.)*localhost\Z|127\.0\.0\.1\Z")
_PORT: Final = re.compile(r"[1-9][0-9]{0,4}\Z")
_FORBIDDEN_IN_SEGMENT: Final = re.compile(r"[/?#%\\\x00-\x20\x7f]")


def did_web_url(did: str, *, allow_loopback: bool = False) -> str:
    """The https URL of the document of a did:web; Malformed with type INVALID_DID where there is none.

    With `allow_loopback`, for development, `localhost` and 127.0.0.1 are read too, and their URL is plain http.
    """
    method, identifier = parse_did(did)
    if method != "web":
        raise Malformed("not a did:web", type=problem.INVALID_DID)
    first, *segments = identifier.split(":")
    host, _, port = unquote(first).partition(":")
    loopback = is_loopback(host)
    if not (loopback and allow_loopback) and (loopback or not _HOST.match(host)):
        raise Malformed("a did:web names a domain", type=problem.INVALID_DID)
    if ":" in unquote(first) and not (_PORT.match(port) and int(port) < 65536):
        raise Malformed("a did:web with a port that is none", type=problem.INVALID_DID)
    authority = host.lower() + (f":{port}" if port else "")
    path = "/".join(_segment(segment) for segment in segments) or ".well-known"
    return f"{'http' if loopback else 'https'}://{authority}/{path}/did.json"


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by name: of use in development alone."""
    return _LOOPBACK.match(host) is not None


def _segment(text: str) -> str:
    # Decoded once, as the method says; what would change the shape of the URL after that is refused.
    try:
        decoded = unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        raise Malformed("a did:web whose path is not UTF-8", type=problem.INVALID_DID) from error
    if decoded in ("", ".", "..") or _FORBIDDEN_IN_SEGMENT.search(decoded):
        raise Malformed("a did:web whose path would leave its place", type=problem.INVALID_DID)
    return quote(decoded, safe="")
