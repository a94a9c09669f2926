"""Handing out: offers with their one-time codes, and what follows a redeemed one (OpenID4VCI 1.0)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol


class OfferState(StrEnum):
    """OPEN can be redeemed once; REDEEMED has an access token; CLAIMED handed out its credential."""

    OPEN = "open"
    REDEEMED = "redeemed"
    CLAIMED = "claimed"
    BURNED = "burned"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Offer:
    """A credential offer with a pre-authorized code (OpenID4VCI section 4)."""

    id: str  # random, the last part of credential_offer_uri
    credential_id: str
    configuration_id: str
    code_hash: bytes
    tx_code_hash: bytes | None
    tx_code_failures: int
    state: OfferState
    created_at: datetime
    expires_at: datetime


class Redemption(StrEnum):
    """What became of a pre-authorized code. Not exceptions: a failed guess must be counted, not rolled
    back.
    """

    REDEEMED = "redeemed"
    UNKNOWN = "unknown"
    USED = "used"
    EXPIRED = "expired"
    TX_CODE_MISSING = "tx_code_missing"
    TX_CODE_NOT_EXPECTED = "tx_code_not_expected"
    TX_CODE_WRONG = "tx_code_wrong"


class Offers(Protocol):
    """Offers and their one-time codes."""

    async def add(self, offers: Sequence[Offer]) -> None:
        """Record offers, all or none."""
        ...

    async def load(self, offer_id: str) -> Offer | None:
        """One offer."""
        ...

    async def of_credential(self, credential_id: str) -> tuple[Offer, ...]:
        """The offers ever made for a credential, oldest first."""
        ...

    async def of_credentials(self, credential_ids: Sequence[str]) -> Mapping[str, tuple[Offer, ...]]:
        """As `of_credential`, for many: those that were offered."""
        ...

    async def redeem(
        self, code_hash: bytes, tx_code_hash: bytes | None, now: datetime, *, max_failures: int = 5
    ) -> tuple[Redemption, Offer | None]:
        """Use a code up. A wrong tx_code counts, and the code is burned at `max_failures`."""
        ...

    async def mark_claimed(self, offer_id: str) -> None:
        """Its credential was handed out."""
        ...

    async def withdraw(self, offer_id: str) -> None:
        """End an offer that was not claimed; Conflict where it was."""
        ...


@dataclass(frozen=True, slots=True)
class AccessToken:
    """An OAuth access token, bound to what was offered."""

    token_hash: bytes
    offer_id: str
    credential_id: str
    configuration_id: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Deferred:
    """A deferred issuance; `delivered_at` ends it."""

    transaction_hash: bytes  # hash of the transaction_id
    offer_id: str
    credential_id: str
    created_at: datetime
    delivered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Notification:
    """What the wallet said of a credential it was given (OpenID4VCI section 11)."""

    notification_hash: bytes  # hash of the notification_id
    offer_id: str
    credential_id: str
    event: str | None
    description: str | None
    received_at: datetime | None


class Deliveries(Protocol):
    """What follows a redeemed offer: access token, deferral, notification."""

    async def grant(self, token_hash: bytes, offer_id: str, expires_at: datetime) -> None:
        """Record an access token for an offer."""
        ...

    async def find_token(self, token_hash: bytes, now: datetime) -> AccessToken | None:
        """The token if it is known and not expired."""
        ...

    async def defer(self, transaction_hash: bytes, offer_id: str, now: datetime) -> None:
        """Record a transaction_id."""
        ...

    async def find_deferred(self, transaction_hash: bytes) -> Deferred | None:
        """The deferral, delivered or not."""
        ...

    async def mark_delivered(self, transaction_hash: bytes, now: datetime) -> bool:
        """End a deferral; False where it was delivered before or is unknown."""
        ...

    async def expect_notification(self, notification_hash: bytes, offer_id: str) -> None:
        """Record a notification_id that was handed out."""
        ...

    async def record_notification(
        self, notification_hash: bytes, event: str, description: str | None, now: datetime
    ) -> bool:
        """Keep what the wallet said, the last word counts; False where the id is unknown."""
        ...

    async def notifications(self, credential_id: str) -> tuple[Notification, ...]:
        """What was said of a credential."""
        ...

    async def purge(self, now: datetime) -> int:
        """Forget access tokens that are over."""
        ...
