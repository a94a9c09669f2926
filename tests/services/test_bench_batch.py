"""The measurement of batch issue follows the rules of issuing; else it measures nothing."""

from __future__ import annotations

import asyncio

from bench.batch import measure


async def test_the_batch_measurement_issues_what_it_says() -> None:
    rows = await asyncio.to_thread(lambda: list(measure(20)))
    assert {row.work for row in rows if row.limit} == {
        "issue 20 badges by eddsa-jcs-2022",
        "issue 20 badges by eddsa-rdfc-2022",
    }
