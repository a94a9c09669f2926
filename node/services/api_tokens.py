"""Bearer tokens of programs that issue and revoke over HTTP: told once, stored as a hash."""

from __future__ import annotations

import secrets
from datetime import timedelta
from hashlib import sha256
from typing import Final

from node.core.encoding import encode_base64url
from node.core.errors import Malformed
from node.services.issuer import Issuer
from node.storage.protocols.issuer import ApiRole, ApiToken

# So that a token that leaked is found by searching for it.
PREFIX: Final = "bonafides_"
_MAX_LABEL_CHARS: Final = 200


async def create(issuer: Issuer, label: str, roles: frozenset[ApiRole], lifetime: timedelta | None) -> str:
    """A new token with 256 random bits; Conflict where one with that label is alive."""
    if not 0 < len(label.strip()) <= _MAX_LABEL_CHARS:
        raise Malformed(f"a label has 1 to {_MAX_LABEL_CHARS} letters")
    text = PREFIX + encode_base64url(secrets.token_bytes(32))
    now = issuer.clock()
    token = ApiToken(
        token_hash=hashed(text),
        label=label,
        roles=roles,
        created_at=now,
        expires_at=None if lifetime is None else now + lifetime,
        revoked_at=None,
    )
    async with issuer.store.transaction() as transaction:
        await transaction.api_tokens.add(token)
    return text


async def find(issuer: Issuer, text: str, role: ApiRole) -> ApiToken | None:
    """The token if it is alive and has the role."""
    async with issuer.store.reading() as reading:
        token = await reading.api_tokens.find(hashed(text), issuer.clock())
    return token if token is not None and role in token.roles else None


def hashed(text: str) -> bytes:
    """What the database has instead of the token; it is random enough for a plain hash."""
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
