"""`bonafides verify --known-domains`: what a verifier that follows found of issuers' domains."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from node.core.errors import Misconfigured

if TYPE_CHECKING:
    from node.core.verify.domains import Told
    from node.core.verify.report import Report


def known_domains(place: str | None, reports: Sequence[Report], now: datetime) -> Told:
    """What is told of the issuers of `reports`. `place` is a verifier's folder or the URL of its database."""
    return {} if place is None else asyncio.run(_known(_database_url(place), reports, now))


def _database_url(place: str) -> str:
    from node.config import VERIFIER_DATABASE  # noqa: PLC0415
    from node.storage.database import sqlite_url  # noqa: PLC0415

    if "://" in place:
        return place
    file = Path(place) / VERIFIER_DATABASE
    if not file.is_file():
        raise Misconfigured(f"{place} is no folder of a verifier: it has no {file.name}")
    return sqlite_url(file)


async def _known(url: str, reports: Sequence[Report], now: datetime) -> Told:
    from node.services.domains import KnownDomains  # noqa: PLC0415
    from node.services.verification import issuers_of  # noqa: PLC0415
    from node.storage.database import open_database  # noqa: PLC0415

    store = await open_database(url)
    try:
        return await KnownDomains(store, lambda: now).told(
            {did for one in reports for did in issuers_of(one)}
        )
    finally:
        await store.close()
