"""The whole: an open database, and a transaction through which every aggregate is reached."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from enum import StrEnum
from typing import Protocol

from node.storage.protocols.batches import Batches, Bundles
from node.storage.protocols.credentials import Credentials, Evidence
from node.storage.protocols.issuer import ApiTokens, Issuer, Keys
from node.storage.protocols.offers import Deliveries, Offers
from node.storage.protocols.outbox import Outbox
from node.storage.protocols.status_lists import StatusLists
from node.storage.protocols.verifier import DomainLinks, Nonces, PresentationRequests, Replica


class Transaction(Protocol):
    """One database transaction: everything done through it is kept together or not at all."""

    @property
    def issuer(self) -> Issuer: ...
    @property
    def keys(self) -> Keys: ...
    @property
    def api_tokens(self) -> ApiTokens: ...
    @property
    def credentials(self) -> Credentials: ...
    @property
    def evidence(self) -> Evidence: ...
    @property
    def outbox(self) -> Outbox: ...
    @property
    def batches(self) -> Batches: ...
    @property
    def status_lists(self) -> StatusLists: ...
    @property
    def offers(self) -> Offers: ...
    @property
    def deliveries(self) -> Deliveries: ...
    @property
    def bundles(self) -> Bundles: ...
    @property
    def nonces(self) -> Nonces: ...
    @property
    def presentation_requests(self) -> PresentationRequests: ...
    @property
    def replica(self) -> Replica: ...
    @property
    def domain_links(self) -> DomainLinks: ...


class Traces(StrEnum):
    """Where a database's files still hold what was erased from it."""

    NONE = "none"
    LOG = "log"
    """In the write-ahead log of an SQLite file, which another process is reading."""
    SERVER = "server"
    """In what a PostgreSQL server keeps: versions of rows until VACUUM FULL, its own log, copies."""


class Store(Protocol):
    """An open database."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """A writing transaction; writers queue. An exception undoes all of it."""
        ...

    def reading(self) -> AbstractAsyncContextManager[Transaction]:
        """A consistent view for reading only; it neither waits for writers nor holds them up."""
        ...

    async def overwrite_erased(self) -> Traces:
        """See to it that what was erased is gone from the files as well, as far as that can be done from here."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...
