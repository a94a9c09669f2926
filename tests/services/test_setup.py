"""What `issuer init` does when it is run again, and what `issuer status` warns of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from services.test_anchoring import finish

from node.services import setup
from node.services.issuer import Issuer
from node.services.overview import overview
from node.storage.base import TransactionState


async def prepared(issuer: Issuer) -> int:
    async with issuer.store.reading() as reading:
        return (await reading.outbox.counts())[TransactionState.PREPARED]


async def test_a_writer_whose_time_runs_out_is_told_and_renewed_by_init(school: Issuer) -> None:
    assert (await overview(school))["warnings"] == []
    await setup.register(school)
    assert await prepared(school) == 0
    later = replace(school, clock=lambda: school.clock() + timedelta(days=9.5 * 365))
    (warning,) = (await overview(later))["warnings"]
    assert "issuer init" in warning
    await setup.register(later)
    await setup.register(later)
    assert await prepared(school) == 1
    await finish(school)
    assert (await overview(later))["warnings"] == []
