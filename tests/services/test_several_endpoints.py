"""An issuer with three endpoints: two operators' word on what is final, and whoever can serves the rest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest
from fixtures.chain import RunningChain
from fixtures.issuers import PASSPHRASE
from fixtures.lying_chain import (
    LyingChain,
    errors,
    forged_headers,
    only,
    receipts_withheld,
    transactions_refused,
    transactions_swallowed,
    wrong_proof,
)
from services.test_anchoring import finish, head
from services.test_dispatch import enqueue

from node.commands.issuer_folder import Folder, open_issuer
from node.core.errors import Misconfigured, Unavailable
from node.services.anchoring import AnchorWorker
from node.services.issuer import Issuer


@pytest.fixture
def endpoints(devchain: RunningChain) -> Iterator[tuple[LyingChain, LyingChain, LyingChain]]:
    """Three in front of one chain, honest until told otherwise."""
    with ExitStack() as stack:
        first, second, third = [stack.enter_context(LyingChain(devchain.url)) for _ in range(3)]
        yield first, second, third


@pytest.fixture
async def issuer(
    school: Issuer, endpoints: tuple[LyingChain, LyingChain, LyingChain]
) -> AsyncIterator[Issuer]:
    """The issuer, whose endpoints are of three operators."""
    rpc = " ".join(f"operator-{number}={one.url}" for number, one in enumerate(endpoints))
    place = Folder.load(school.keyring._folder).with_options(rpc=rpc)
    async with open_issuer(place, PASSPHRASE) as opened:
        yield opened


Three = tuple[LyingChain, LyingChain, LyingChain]


async def test_one_endpoint_that_takes_transactions_is_enough(issuer: Issuer, endpoints: Three) -> None:
    written = await head(issuer)
    endpoints[0].tell(transactions_swallowed())
    endpoints[1].tell(transactions_refused())
    await enqueue(issuer)
    assert (await AnchorWorker(issuer).tick(close=True)).troubles == ()
    assert (await finish(issuer)).is_done
    assert await head(issuer) == written + 1


async def test_a_wrong_proof_of_one_is_passed_over_for_that_of_another(
    issuer: Issuer, endpoints: Three
) -> None:
    endpoints[0].tell(wrong_proof(), receipts_withheld())
    await enqueue(issuer)
    tick = await AnchorWorker(issuer).tick(close=True)
    assert not tick.troubles
    assert endpoints[0].count("eth_getProof")
    assert endpoints[1].count("eth_getProof")


async def test_the_chain_of_one_that_makes_it_up_is_not_believed(issuer: Issuer, endpoints: Three) -> None:
    chain = issuer.require_chain()
    endpoints[0].tell(forged_headers())
    forged = await chain.client.finalized()
    believed = await chain.finalized()
    assert believed.hash != forged.hash
    assert believed.hash == (await chain.others[0].header(believed.number)).hash


async def test_where_too_few_agree_nothing_is_final_and_nothing_is_sent(
    issuer: Issuer, endpoints: Three
) -> None:
    endpoints[0].tell(forged_headers())
    endpoints[1].tell(only(errors(), "eth_getBlockByNumber"))
    await enqueue(issuer)
    with pytest.raises(Unavailable, match="final block"):
        await AnchorWorker(issuer).tick(close=True)
    assert not any(one.count("eth_sendRawTransaction") for one in endpoints)


async def test_a_minority_cannot_be_asked_for(school: Issuer, endpoints: Three) -> None:
    rpc = " ".join(f"operator-{number}={one.url}" for number, one in enumerate(endpoints))
    place = Folder.load(school.keyring._folder).with_options(rpc=rpc, terms={"agree": 1})
    with pytest.raises(Misconfigured, match="more than half"):
        async with open_issuer(place, PASSPHRASE):
            pass
