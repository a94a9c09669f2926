"""The pinned JSON-LD contexts (VC Data Model 2.0 appendix B.1, Data Integrity 1.0 section 2.4).

A context decides what a signed statement means, so each is known by the digest of its RFC 8785 form and none
is ever fetched. Where the files come from is the caller's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Final

from node.core import problem
from node.core.canonical.jcs import canonicalize
from node.core.errors import Malformed, Misconfigured, Unavailable
from node.core.strict_json import JsonObject, parse_json_object

CREDENTIALS_V1: Final = "https://www.w3.org/2018/credentials/v1"
CREDENTIALS_V2: Final = "https://www.w3.org/ns/credentials/v2"
DATA_INTEGRITY_V2: Final = "https://w3id.org/security/data-integrity/v2"
OPEN_BADGES_V3: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"

# Digests of whole files that the standards print (VC Data Model 2.0 appendix B.1, Data Integrity 1.0 section 2.4).
_PUBLISHED: Final = {
    CREDENTIALS_V2: "59955ced6697d61e03f2b2556febe5308ab16842846f5b586d7f1f7adec92734",
    DATA_INTEGRITY_V2: "67f21e6e33a6c14e5ccfd2fc7865f7474fb71a04af7e94136cb399dfac8ae8f4",
}


class ContextNotPinned(Unavailable):
    """A document names a context that is not on the list: its meaning is unknown, it is not false."""

    default_type = problem.CONTEXT_NOT_PINNED

    def __init__(self, url: str) -> None:
        super().__init__(
            f"the context {url[:200]} is not pinned here, and contexts are never fetched", asked=url
        )


class ContextStore:
    """Contexts by URL, each compared with its digest before its first use."""

    def __init__(self, files: Mapping[str, bytes], digests: Mapping[str, str]) -> None:
        """`files` maps URL to JSON bytes, `digests` URL to the SHA-256 of the RFC 8785 form in lower-case hex."""
        self._files = dict(files)
        self._digests = dict(digests)
        self._parsed: dict[str, JsonObject] = {}

    def __contains__(self, url: object) -> bool:
        return url in self._files

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def get(self, url: str) -> JsonObject:
        """The context document at exactly this URL; callers must not change it.

        ContextNotPinned where the list has none, Misconfigured where the file is not what its digest says.
        """
        document = self._parsed.get(url)
        if document is None:
            document = self._parsed[url] = self._load(url)
        return document

    def published(self, url: str) -> bytes | None:
        """The bytes that a standard publishes at this URL, or None where the file here is not known to be those."""
        data = self._files.get(url)
        same = data is not None and hashlib.sha256(data).hexdigest() == _PUBLISHED.get(url)
        return data if same else None

    def _load(self, url: str) -> JsonObject:
        data = self._files.get(url)
        if data is None:
            raise ContextNotPinned(url)
        try:
            document = parse_json_object(data)
        except Malformed as error:
            raise Misconfigured(f"the file of context {url} is not JSON: {error.detail}") from error
        digest = hashlib.sha256(canonicalize(document)).hexdigest()
        if digest != self._digests.get(url):
            raise Misconfigured(
                f"the file of context {url} has digest {digest}, not {self._digests.get(url)}"
            )
        return document
