"""What an issuer writes of Open Badges 3.0 by itself: contexts, its own profile, and a learner who has no DID.

Open Badges 3.0 appendix B (data model). All else of a badge is its template's, and is held against the schemas of
`schemas/`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final, Self

from node.core.strict_json import JsonObject

OB_CONTEXT: Final = "https://purl.imsglobal.org/spec/ob/v3p0/context-3.0.3.json"
CLR_CONTEXT: Final = "https://purl.imsglobal.org/spec/clr/v2p0/context-2.0.1.json"


def profile(id: str, name: str, url: str) -> JsonObject:
    """A Profile: the `issuer` member of credentials. `id` is a DID, `url` its site."""
    return {"id": id, "type": ["Profile"], "name": name, "url": url}


@dataclass(frozen=True, slots=True)
class IdentityObject:
    """Who a learner is in another system, hashed (IdentityObject, IdentityHash).

    The salt is public, so a short identifier can be guessed: a DID as the subject's id is better.
    """

    identity_hash: str
    identity_type: str
    salt: str

    @classmethod
    def of(cls, identifier: str, identity_type: str, salt: str) -> Self:
        """The identity of `identifier`: SHA-256 of its UTF-8 bytes and those of the salt after them."""
        digest = hashlib.sha256((identifier + salt).encode()).hexdigest()
        return cls(f"sha256${digest}", identity_type, salt)

    def to_json(self) -> JsonObject:
        """As a member of the subject's `identifier`."""
        return {
            "type": "IdentityObject",
            "identityHash": self.identity_hash,
            "identityType": self.identity_type,
            "hashed": True,
            "salt": self.salt,
        }
