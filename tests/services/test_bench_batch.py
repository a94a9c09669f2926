"""The measurement of batch issue follows the rules of issuing; else it measures nothing."""

from __future__ import annotations

import asyncio

from bench.batch import measure


async def test_the_batch_measurement_issues_what_it_says() -> None:
    figures = await asyncio.to_thread(measure, 20)
    assert figures["eddsa-jcs-2022: badges a second, all stages"]
    assert figures["eddsa-rdfc-2022: badges a second, all stages"]
