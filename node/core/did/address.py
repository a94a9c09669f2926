"""https addresses as identifiers: of what origin they are, and in whose document a verification method is.

Controlled Identifiers 1.0 (CID) sections 2.1.1 and 3.3, RFC 6454 (origin). What stands at an address is the word of its
host, as the document of a did:web is.
"""

from __future__ import annotations

import re
from typing import Final

from node.core.did.syntax import MAX_DID_URL_CHARS, TAIL, did_of
from node.core.did.web import is_loopback
from node.core.errors import Malformed

# Plain names and ports only: what two readers of URLs could understand differently has no origin.
_ORIGIN: Final = re.compile(r"(https?)://([A-Za-z0-9.-]{1,253})(?::([1-9][0-9]{0,4}))?(?=[/?#]|\Z)")
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def origin_of(url: str) -> tuple[str, str, int]:
    """Scheme, host and port (RFC 6454); Malformed unless it is https, or plain http on this machine."""
    match = _ORIGIN.match(url)
    if match is None:
        raise Malformed("not an https address")
    scheme, host, port = match[1], match[2].lower(), match[3]
    if scheme == "http" and not is_loopback(host):
        raise Malformed("an address without TLS says nothing of whose key is there")
    return scheme, host, int(port) if port else _DEFAULT_PORTS[scheme]


def is_address(text: str) -> bool:
    """Whether `text` is written as an address of the web, whatever else may be wrong with it."""
    return text.startswith(("https://", "http://"))


def identifier_of(method: str) -> str:
    """The identifier in whose document a verification method is: a DID, or an https address without its fragment.

    CID section 3.3, steps 3 and 4. Malformed for what is neither a DID URL nor an address with an origin.
    """
    if not is_address(method):
        return did_of(method)
    origin_of(method)
    if len(method) > MAX_DID_URL_CHARS or not TAIL.match(_ORIGIN.sub("", method, count=1)):
        raise Malformed("not a URL")
    return method.partition("#")[0]
