"""The issuer itself: its settings, its keys, and the tokens of those who may call it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class IssuerSettings:
    """Who issues here. Fixed by `issuer init`; an issuer without a chain has None for all that concerns
    one.
    """

    did: str
    name: str
    url: str
    chain: str | None  # CAIP-2
    identity: bytes | None  # 20 bytes
    did_registry: bytes | None
    credential_registry: bytes | None
    created_at: datetime


class Issuer(Protocol):
    """The issuer's settings, one record a database."""

    async def load(self) -> IssuerSettings | None:
        """The settings, or None before `issuer init`."""
        ...

    async def save(self, settings: IssuerSettings) -> None:
        """Record them; Conflict where another DID, chain, identity or registry is recorded already."""
        ...


class KeyRole(StrEnum):
    """What a key of the issuer may do; different roles are different keys (FORMATS.md section 11)."""

    OWNER = "owner"
    WRITER = "writer"
    ASSERTION = "assertion"
    STATUS_LIST = "status_list"


class KeyState(StrEnum):
    """A key's life; `ADDING`, `RETIRING` and `COMPROMISING` wait for a chain transaction to become final."""

    PREPARED = "prepared"
    ADDING = "adding"
    ACTIVE = "active"
    RETIRING = "retiring"
    RETIRED = "retired"
    COMPROMISING = "compromising"
    COMPROMISED = "compromised"


KEY_TRANSITIONS: Final[Mapping[KeyState, frozenset[KeyState]]] = {
    KeyState.PREPARED: frozenset({KeyState.ADDING, KeyState.ACTIVE}),
    KeyState.ADDING: frozenset({KeyState.ACTIVE}),
    KeyState.ACTIVE: frozenset({KeyState.RETIRING, KeyState.RETIRED, KeyState.COMPROMISING}),
    KeyState.RETIRING: frozenset({KeyState.RETIRED, KeyState.COMPROMISING}),
    KeyState.RETIRED: frozenset({KeyState.COMPROMISING}),
    KeyState.COMPROMISING: frozenset({KeyState.COMPROMISED}),
    KeyState.COMPROMISED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class IssuerKey:
    """One key of the issuer and its window in blocks; `uri` is where the key store finds its secret half."""

    multibase: str
    role: KeyRole
    uri: str
    verification_method: str | None  # DID URL that proofs name
    delegate: int | None  # the N of `#delegate-N`
    state: KeyState
    valid_from: int | None
    valid_until: int | None
    created_at: datetime


class Keys(Protocol):
    """The issuer's keys, none of which is ever forgotten."""

    async def add(self, key: IssuerKey) -> None:
        """Record a key; Conflict where the same key has another role or URI."""
        ...

    async def load(self, multibase: str) -> IssuerKey | None:
        """The key of that `publicKeyMultibase`."""
        ...

    async def all(self, role: KeyRole | None = None) -> tuple[IssuerKey, ...]:
        """All keys, or those of a role, oldest first."""
        ...

    async def active(self, role: KeyRole) -> IssuerKey | None:
        """The newest key of the role in state ACTIVE: the one to sign with."""
        ...

    async def move(
        self,
        multibase: str,
        state: KeyState,
        *,
        valid_from: int | None = None,
        valid_until: int | None = None,
        delegate: int | None = None,
        verification_method: str | None = None,
    ) -> IssuerKey:
        """Take a step of KEY_TRANSITIONS (or none) and fill in what is now known; else Conflict."""
        ...


class ApiRole(StrEnum):
    """What a bearer of an API token may do over HTTP."""

    ISSUE = "issue"
    STATUS = "status"


@dataclass(frozen=True, slots=True)
class ApiToken:
    """A bearer token of `issuer token`, known by the hash of its text."""

    token_hash: bytes
    label: str
    roles: frozenset[ApiRole]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class ApiTokens(Protocol):
    """Tokens of those who call the issuer's own HTTP interface."""

    async def add(self, token: ApiToken) -> None:
        """Record a token; Conflict where one with that label is alive."""
        ...

    async def find(self, token_hash: bytes, now: datetime) -> ApiToken | None:
        """The token if it is known, not expired and not revoked."""
        ...

    async def revoke(self, label: str, now: datetime) -> bool:
        """End the token of that label; False where there is none alive."""
        ...

    async def all(self) -> tuple[ApiToken, ...]:
        """Every token ever made, oldest first."""
        ...
