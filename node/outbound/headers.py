"""Where trusted headers come from (FORMATS.md section 8, "Trusted headers").

One protocol, sources of different strength. Of those that answer, the strongest whose newest header is not older than
the network's limit is taken, and none of the others may contradict it.
"""

from __future__ import annotations

from typing import Protocol

from node.core.verify.materials import HeaderAnswer, HeaderNeed, Strength


class HeaderSource(Protocol):
    """Somebody who tells final headers of one chain. One is made for each report, with that report's egress.

    `header` raises Unavailable, the host named, where nothing is known. Its `newest` is a whole header that has its
    hash; `hashes` holds those of the heights asked for that this source can answer for, and no others.
    """

    @property
    def chain_id(self) -> int:
        """The chain's number (EIP-155)."""
        ...

    @property
    def strength(self) -> Strength:
        """By whose word its headers are trusted."""
        ...

    async def header(self, need: HeaderNeed) -> HeaderAnswer:
        """The newest final header, and the hashes at the heights that are asked for."""
        ...
