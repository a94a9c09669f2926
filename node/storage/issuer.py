"""The issuer itself: its settings, its keys and the tokens of those who may call it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any, Final

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    insert,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from node.core.errors import Conflict
from node.storage.protocols.issuer import (
    KEY_TRANSITIONS,
    ApiRole,
    ApiToken,
    IssuerKey,
    IssuerSettings,
    KeyRole,
    KeyState,
)
from node.storage.schema import Choice, Instant, load_record, metadata, record, serial_column

issuer_table: Final = Table(
    "issuer",
    metadata,
    Column(
        "only", Integer, primary_key=True, autoincrement=False
    ),  # always 1: there is one issuer a database
    Column("did", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("url", Text, nullable=False),
    Column("chain", Text),
    Column("identity", LargeBinary),
    Column("did_registry", LargeBinary),
    Column("credential_registry", LargeBinary),
    Column("created_at", Instant, nullable=False),
)
_SETTINGS: Final = [column for column in issuer_table.c if column.name != "only"]

keys_table: Final = Table(
    "keys",
    metadata,
    serial_column(),
    Column("multibase", Text, nullable=False, unique=True),
    Column("role", Choice(KeyRole), nullable=False),
    Column("uri", Text, nullable=False),
    Column("verification_method", Text),
    Column("delegate", Integer),
    Column("state", Choice(KeyState), nullable=False),
    Column("valid_from", BigInteger),
    Column("valid_until", BigInteger),
    Column("created_at", Instant, nullable=False),
)
_KEY: Final = [column for column in keys_table.c if column.name != "id"]

api_tokens_table: Final = Table(
    "api_tokens",
    metadata,
    serial_column(),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("label", String(200), nullable=False),
    Column("roles", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)
_TOKEN: Final = [column for column in api_tokens_table.c if column.name != "id"]


class SqlIssuer:
    """`protocols.Issuer`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def load(self) -> IssuerSettings | None:
        """The settings, or None before `issuer init`."""
        return await load_record(self._connection, select(*_SETTINGS), IssuerSettings)

    async def save(self, settings: IssuerSettings) -> None:
        """Record them; Conflict where another issuer is recorded already."""
        known = await self.load()
        if known is None:
            await self._connection.execute(insert(issuer_table).values(only=1, **asdict(settings)))
            return
        if _fixed(known) != _fixed(settings):
            raise Conflict(f"this database belongs to the issuer {known.did}")
        await self._connection.execute(update(issuer_table).values(name=settings.name, url=settings.url))


def _fixed(settings: IssuerSettings) -> tuple[object, ...]:
    return (
        settings.did,
        settings.chain,
        settings.identity,
        settings.did_registry,
        settings.credential_registry,
    )


class SqlKeys:
    """`protocols.Keys`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, key: IssuerKey) -> None:
        """Record a key; Conflict where the same key has another role or URI."""
        known = await self.load(key.multibase)
        if known is None:
            await self._connection.execute(insert(keys_table).values(**asdict(key)))
        elif (known.role, known.uri) != (key.role, key.uri):
            raise Conflict(f"key {key.multibase} is recorded as {known.role} at {known.uri}")

    async def load(self, multibase: str) -> IssuerKey | None:
        """The key of that `publicKeyMultibase`."""
        query = select(*_KEY).where(keys_table.c.multibase == multibase)
        return await load_record(self._connection, query, IssuerKey)

    async def all(self, role: KeyRole | None = None) -> tuple[IssuerKey, ...]:
        """All keys, or those of a role, oldest first."""
        query = select(*_KEY).order_by(keys_table.c.id)
        if role is not None:
            query = query.where(keys_table.c.role == role)
        return tuple(record(IssuerKey, row) for row in await self._connection.execute(query))

    async def active(self, role: KeyRole) -> IssuerKey | None:
        """The newest key of the role in state ACTIVE."""
        query = (
            select(*_KEY)
            .where(keys_table.c.role == role, keys_table.c.state == KeyState.ACTIVE)
            .order_by(keys_table.c.id.desc())
            .limit(1)
        )
        return await load_record(self._connection, query, IssuerKey)

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
        """Take a step of KEY_TRANSITIONS and fill in what is now known."""
        known = await self.load(multibase)
        if known is None:
            raise Conflict(f"key {multibase} is not one of this issuer's")
        if state is not known.state and state not in KEY_TRANSITIONS[known.state]:
            raise Conflict(f"key {multibase} is {known.state} and cannot become {state}")
        facts: Mapping[str, Any] = {
            "valid_from": valid_from,
            "valid_until": valid_until,
            "delegate": delegate,
            "verification_method": verification_method,
        }
        told = {name: value for name, value in facts.items() if value is not None}
        where = keys_table.c.multibase == multibase
        await self._connection.execute(update(keys_table).where(where).values(state=state, **told))
        row = (await self._connection.execute(select(*_KEY).where(where))).one()
        return record(IssuerKey, row)


class SqlApiTokens:
    """`protocols.ApiTokens`."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, token: ApiToken) -> None:
        """Record a token; Conflict where one with that label is alive."""
        for known in await self.all():
            if known.label == token.label and _alive(known, token.created_at):
                raise Conflict(f"a token labelled {token.label!r} exists: revoke it first")
        values = {
            "token_hash": token.token_hash,
            "label": token.label,
            "roles": sorted(token.roles),
            "created_at": token.created_at,
            "expires_at": token.expires_at,
            "revoked_at": token.revoked_at,
        }
        await self._connection.execute(insert(api_tokens_table).values(**values))

    async def find(self, token_hash: bytes, now: datetime) -> ApiToken | None:
        """The token if it is known, not expired and not revoked."""
        query = select(*_TOKEN).where(api_tokens_table.c.token_hash == token_hash)
        row = (await self._connection.execute(query)).one_or_none()
        token = None if row is None else _token(row._mapping)
        return token if token is not None and _alive(token, now) else None

    async def revoke(self, label: str, now: datetime) -> bool:
        """End the token of that label; False where there is none alive."""
        for token in await self.all():
            if token.label == label and _alive(token, now):
                where = api_tokens_table.c.token_hash == token.token_hash
                await self._connection.execute(update(api_tokens_table).where(where).values(revoked_at=now))
                return True
        return False

    async def all(self) -> tuple[ApiToken, ...]:
        """Every token ever made, oldest first."""
        rows = await self._connection.execute(select(*_TOKEN).order_by(api_tokens_table.c.id))
        return tuple(_token(row._mapping) for row in rows)


def _token(row: Mapping[Any, Any]) -> ApiToken:
    values = {str(name): value for name, value in row.items()}
    return ApiToken(**values | {"roles": frozenset(ApiRole(role) for role in values["roles"])})


def _alive(token: ApiToken, now: datetime) -> bool:
    return token.revoked_at is None and (token.expires_at is None or now < token.expires_at)
