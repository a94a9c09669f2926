"""Offers with their one-time codes, and what follows a redeemed one (OpenID4VCI 1.0).

A tx_code has six digits, so its hash alone would not hide it from somebody who has the database; redeeming
needs the pre-authorized code as well, which has at least 128 bits and stands here as a hash only.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import datetime
from operator import attrgetter
from typing import Any, Final

from sqlalchemy import (
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Select,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from node.core.errors import Conflict, NotFound
from node.storage.credentials import credentials_table
from node.storage.protocols.offers import AccessToken, Deferred, Notification, Offer, OfferState, Redemption
from node.storage.schema import Choice, Instant, chunks, execute_many, load_record, metadata, record

offers_table: Final = Table(
    "offers",
    metadata,
    Column("id", String(200), primary_key=True),
    Column("credential_id", Text, ForeignKey(credentials_table.c.credential_id), nullable=False, index=True),
    Column("configuration_id", String(200), nullable=False),
    Column("code_hash", LargeBinary, nullable=False, unique=True),
    Column("tx_code_hash", LargeBinary),
    Column("tx_code_failures", Integer, nullable=False),
    Column("state", Choice(OfferState), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
_o: Final = offers_table.c
_OFFER: Final = tuple(field.name for field in fields(Offer))

tokens_table: Final = Table(
    "access_tokens",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("offer_id", String(200), ForeignKey(_o.id), nullable=False),
    Column("expires_at", Instant, nullable=False, index=True),
)
_t: Final = tokens_table.c

deferred_table: Final = Table(
    "deferred",
    metadata,
    Column("transaction_hash", LargeBinary, primary_key=True),
    Column("offer_id", String(200), ForeignKey(_o.id), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("delivered_at", Instant),
)
_d: Final = deferred_table.c

notifications_table: Final = Table(
    "notifications",
    metadata,
    Column("notification_hash", LargeBinary, primary_key=True),
    Column("offer_id", String(200), ForeignKey(_o.id), nullable=False, index=True),
    Column("event", String(64)),
    Column("description", Text),
    Column("received_at", Instant),
)
_n: Final = notifications_table.c


class SqlOffers:
    """`protocols.Offers`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, offers: Sequence[Offer]) -> None:
        """Record offers, all or none."""
        for some in chunks(offers):
            rows = [attrgetter(*_OFFER)(offer) for offer in some]
            await execute_many(self._connection, insert(offers_table), _OFFER, rows)

    async def load(self, offer_id: str) -> Offer | None:
        """One offer."""
        return await self._one(select(offers_table).where(_o.id == offer_id))

    async def of_credential(self, credential_id: str) -> tuple[Offer, ...]:
        """The offers ever made for a credential, oldest first."""
        return (await self.of_credentials([credential_id])).get(credential_id, ())

    async def of_credentials(self, credential_ids: Sequence[str]) -> Mapping[str, tuple[Offer, ...]]:
        """As `of_credential`, for many."""
        found: dict[str, list[Offer]] = {}
        for some in chunks(credential_ids):
            query = select(offers_table).where(_o.credential_id.in_(some)).order_by(_o.created_at, _o.id)
            for row in await self._connection.execute(query):
                found.setdefault(row.credential_id, []).append(record(Offer, row))
        return {credential_id: tuple(offers) for credential_id, offers in found.items()}

    async def redeem(
        self, code_hash: bytes, tx_code_hash: bytes | None, now: datetime, *, max_failures: int = 5
    ) -> tuple[Redemption, Offer | None]:
        """Use a code up. A wrong tx_code counts, and the code is burned at `max_failures`."""
        offer = await self._one(select(offers_table).where(_o.code_hash == code_hash))
        if offer is None:
            return Redemption.UNKNOWN, None
        refusal = _refusal(offer, tx_code_hash, now)
        if refusal is Redemption.TX_CODE_WRONG:
            failures = offer.tx_code_failures + 1
            state = OfferState.BURNED if failures >= max_failures else OfferState.OPEN
            return refusal, await self._change(offer, state=state, tx_code_failures=failures)
        if refusal is not None:
            return refusal, offer
        return Redemption.REDEEMED, await self._change(offer, state=OfferState.REDEEMED)

    async def mark_claimed(self, offer_id: str) -> None:
        """Its credential was handed out."""
        offer = await self._known(offer_id)
        if offer.state not in (OfferState.REDEEMED, OfferState.CLAIMED):
            raise Conflict(f"the offer is {offer.state}, not redeemed")
        await self._change(offer, state=OfferState.CLAIMED)

    async def withdraw(self, offer_id: str) -> None:
        """End an offer that was not claimed."""
        offer = await self._known(offer_id)
        if offer.state is OfferState.CLAIMED:
            raise Conflict("the offer was claimed: revoke the credential")
        await self._change(offer, state=OfferState.WITHDRAWN)

    async def _one(self, query: Select[Any]) -> Offer | None:
        return await load_record(self._connection, query, Offer)

    async def _known(self, offer_id: str) -> Offer:
        offer = await self.load(offer_id)
        if offer is None:
            raise NotFound("no such offer")
        return offer

    async def _change(self, offer: Offer, **values: Any) -> Offer:
        await self._connection.execute(update(offers_table).where(_o.id == offer.id).values(**values))
        return replace(offer, **values)


def _refusal(offer: Offer, tx_code_hash: bytes | None, now: datetime) -> Redemption | None:
    if offer.state is not OfferState.OPEN:
        return Redemption.USED
    if now >= offer.expires_at:
        return Redemption.EXPIRED
    if offer.tx_code_hash is None:
        return None if tx_code_hash is None else Redemption.TX_CODE_NOT_EXPECTED
    if tx_code_hash is None:
        return Redemption.TX_CODE_MISSING
    same = hmac.compare_digest(offer.tx_code_hash, tx_code_hash)
    return None if same else Redemption.TX_CODE_WRONG


class SqlDeliveries:
    """`protocols.Deliveries`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def grant(self, token_hash: bytes, offer_id: str, expires_at: datetime) -> None:
        """Record an access token for an offer."""
        values = {"token_hash": token_hash, "offer_id": offer_id, "expires_at": expires_at}
        await self._connection.execute(insert(tokens_table).values(**values))

    async def find_token(self, token_hash: bytes, now: datetime) -> AccessToken | None:
        """The token if it is known and not expired; that of a withdrawn offer is not."""
        query = (
            select(_t.token_hash, _t.offer_id, _o.credential_id, _o.configuration_id, _t.expires_at)
            .join(offers_table, _t.offer_id == _o.id)
            .where(_t.token_hash == token_hash, _t.expires_at > now, _o.state != OfferState.WITHDRAWN)
        )
        return await load_record(self._connection, query, AccessToken)

    async def defer(self, transaction_hash: bytes, offer_id: str, now: datetime) -> None:
        """Record a transaction_id."""
        values = {"transaction_hash": transaction_hash, "offer_id": offer_id, "created_at": now}
        await self._connection.execute(insert(deferred_table).values(**values))

    async def find_deferred(self, transaction_hash: bytes) -> Deferred | None:
        """The deferral, delivered or not."""
        query = (
            select(_d.transaction_hash, _d.offer_id, _o.credential_id, _d.created_at, _d.delivered_at)
            .join(offers_table, _d.offer_id == _o.id)
            .where(_d.transaction_hash == transaction_hash)
        )
        return await load_record(self._connection, query, Deferred)

    async def mark_delivered(self, transaction_hash: bytes, now: datetime) -> bool:
        """End a deferral."""
        statement = update(deferred_table).where(
            _d.transaction_hash == transaction_hash, _d.delivered_at.is_(None)
        )
        return (await self._connection.execute(statement.values(delivered_at=now))).rowcount == 1

    async def expect_notification(self, notification_hash: bytes, offer_id: str) -> None:
        """Record a notification_id that was handed out."""
        values = {"notification_hash": notification_hash, "offer_id": offer_id}
        await self._connection.execute(insert(notifications_table).values(**values))

    async def record_notification(
        self, notification_hash: bytes, event: str, description: str | None, now: datetime
    ) -> bool:
        """Keep what the wallet said."""
        statement = update(notifications_table).where(_n.notification_hash == notification_hash)
        values = {"event": event, "description": description, "received_at": now}
        return (await self._connection.execute(statement.values(**values))).rowcount == 1

    async def notifications(self, credential_id: str) -> tuple[Notification, ...]:
        """What was said of a credential."""
        query = (
            select(
                _n.notification_hash,
                _n.offer_id,
                _o.credential_id,
                _n.event,
                _n.description,
                _n.received_at,
            )
            .join(offers_table, _n.offer_id == _o.id)
            .where(_o.credential_id == credential_id)
            .order_by(_n.received_at, _n.notification_hash)
        )
        return tuple(record(Notification, row) for row in await self._connection.execute(query))

    async def purge(self, now: datetime) -> int:
        """Forget access tokens that are over."""
        return (await self._connection.execute(delete(tokens_table).where(_t.expires_at <= now))).rowcount
