"""Files to download: evidence is hostile, so nothing here is ever shown by the browser.

What came with a document that was judged on the page is kept in memory for a few minutes under random names, up to a
fixed amount; the oldest go first.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import quote

from aiohttp import web

from node.core.errors import NotFound
from node.services.verification import Clock
from node.web.problems import NO_STORE

KEPT_SECONDS: Final = 600
MAX_KEPT_BYTES: Final = 64 * 1024 * 1024
# What an empty file takes in memory: many of them are not for nothing.
_BYTES_EACH: Final = 1024


@dataclass(frozen=True, slots=True)
class _Kept:
    name: str
    data: bytes
    until: datetime


class Shelf:
    """Files by random names, for ten minutes and 64 MiB at most. Lost with the process: the page can be had again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def put(self, name: str, data: bytes) -> str:
        """Keep a file; what is returned is known to nobody else."""
        now = self._clock()
        while self._kept and (
            self._bytes + _weight(data) > MAX_KEPT_BYTES or next(iter(self._kept.values())).until <= now
        ):
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= _weight(oldest.data)
        ticket = secrets.token_urlsafe(18)
        self._kept[ticket] = _Kept(name, data, now + timedelta(seconds=KEPT_SECONDS))
        self._bytes += _weight(data)
        return ticket

    def response(self, ticket: str) -> web.Response:
        """The file of a ticket; NotFound once it has gone."""
        kept = self._kept.get(ticket)
        if kept is None or kept.until <= self._clock():
            raise NotFound("this file is no longer kept here: check the document again")
        return download(kept.name, kept.data)


def _weight(data: bytes) -> int:
    return len(data) + _BYTES_EACH


def download(name: str, data: bytes) -> web.Response:
    """A file that a browser saves and does not open, whatever is in it."""
    plain = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "_" for char in name)
    return web.Response(
        body=data,
        content_type="application/octet-stream",
        headers={
            **NO_STORE,
            "Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}",
            "Content-Security-Policy": "sandbox; default-src 'none'",
        },
    )
