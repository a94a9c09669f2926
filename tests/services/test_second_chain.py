"""The same commitment on a second chain: by the same identity and writer, and waited for as the operator says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from fixtures.chain import ChainProcess, RunningChain, deployed
from fixtures.issuers import PASSPHRASE, MakeCohort
from fixtures.lying_chain import LyingChain, errors, transactions_swallowed
from services.test_anchoring import finish, head, issue, judge

from node.chain.transactions import Transactions, transfer
from node.commands.issuer_folder import Folder, open_issuer
from node.core.errors import Misconfigured
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord
from node.core.verify.report import CheckName, Outcome
from node.services import costs
from node.services.anchoring import AnchorWorker
from node.services.issuer import ChainAccess, Issuer, address_of
from node.storage.base import Batch


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChain]:
    """Another embedded chain."""
    chain = ChainProcess(tmp_path_factory.mktemp("second"))
    chain.start()
    try:
        yield deployed(chain.url, chain.key)
    finally:
        chain.stop()


@pytest.fixture
def endpoint(second: RunningChain) -> Iterator[LyingChain]:
    """In front of the second chain."""
    with LyingChain(second.url) as lying:
        yield lying


@asynccontextmanager
async def on_two_chains(
    school: Issuer, second: RunningChain, endpoint: LyingChain, rule: str
) -> AsyncIterator[Issuer]:
    """The issuer with a second chain, whose owner and writer have ether there."""
    folder: Path = school.keyring._folder
    networks = json.loads((folder / "networks.json").read_text())["networks"]
    (folder / "networks.json").write_text(json.dumps({"networks": [networks[0], second.network]}))
    name = f"eip155:{second.chain_id}"
    place = Folder.load(folder).with_options(
        terms={"witness_rpc": endpoint.url, "witness_network": name, "witness": rule}
    )
    async with open_issuer(place, PASSPHRASE) as issuer:
        assert issuer.second is not None
        async with issuer.store.reading() as reading:
            addresses = [address_of(key) for key in await reading.keys.all() if key.role != "assertion"]
        calls = [transfer(address, 10**17) for address in addresses]
        await Transactions(issuer.second.chain.client).send_all(calls, second.key)
        yield issuer


def second_of(issuer: Issuer) -> ChainAccess:
    assert issuer.second is not None
    return issuer.second.chain


async def anchored(issuer: Issuer, chain: ChainAccess, batch: Batch) -> AnchorRecord:
    slot = registry.anchor_slot(issuer.identity, batch.commitment)
    return AnchorRecord.from_word(await chain.slot(await chain.finalized(), slot))


async def batches(issuer: Issuer) -> list[Batch]:
    async with issuer.store.reading() as reading:
        found = [await reading.batches.load(number) for number in range(1, 10)]
    return [batch for batch in found if batch is not None]


async def test_both_chains_hold_the_commitment_and_only_the_own_one_decides(
    school: Issuer, make_cohort: MakeCohort, second: RunningChain, endpoint: LyingChain
) -> None:
    async with on_two_chains(school, second, endpoint, "all") as issuer:
        issued = await issue(issuer, make_cohort)
        assert (await finish(issuer)).is_done
        (batch,) = await batches(issuer)
        assert (await anchored(issuer, issuer.require_chain(), batch)).n == await head(issuer)
        assert (await anchored(issuer, second_of(issuer), batch)).block
        async with issuer.store.reading() as reading:
            assert set((await costs.paid(reading, second_of(issuer).network.chain))["calls"]) == {
                "set_writer",
                "anchor",
            }
        found = await judge(issuer, issued[0].digest or b"")
        assert found[CheckName.ANCHOR] is Outcome.PASSED


async def test_a_second_chain_that_is_needed_and_silent_is_told_and_holds_up_no_bundle(
    school: Issuer, make_cohort: MakeCohort, second: RunningChain, endpoint: LyingChain
) -> None:
    async with on_two_chains(school, second, endpoint, "all") as issuer:
        await issue(issuer, make_cohort)
        endpoint.tell(errors())
        tick = await AnchorWorker(issuer).run_until_done(
            done=lambda tick: not tick.batches and not tick.unproven and bool(tick.troubles),
            timeout_seconds=60,
        )
        assert not tick.is_done
        assert tick.troubles[0].detail.startswith(f"eip155:{second.chain_id}: {endpoint.host}")
        endpoint.be_honest()
        assert (await finish(issuer)).is_done


async def test_either_chain_is_enough_where_the_operator_says_so(
    school: Issuer, make_cohort: MakeCohort, second: RunningChain, endpoint: LyingChain
) -> None:
    with LyingChain(str(school.require_chain().client._url)) as own:
        async with AsyncExitStack() as stack:
            (school.keyring._folder / "issuer.json").write_text(json.dumps({"rpc": own.url}))
            issuer = await stack.enter_async_context(on_two_chains(school, second, endpoint, "any"))
            await issue(issuer, make_cohort)
            own.tell(transactions_swallowed())
            tick = await finish(issuer)
            assert tick.is_done
            assert tick.elsewhere == 1
            (batch,) = await batches(issuer)
            assert not (await anchored(issuer, issuer.require_chain(), batch)).block
            assert (await anchored(issuer, second_of(issuer), batch)).block


async def test_a_second_chain_is_another_one_and_has_both_name_and_endpoint(school: Issuer) -> None:
    place = Folder.load(school.keyring._folder)
    own = school.require_chain().network.chain
    for terms in (
        {"witness_rpc": "http://localhost:1"},
        {"witness_network": "eip155:5"},
        {"witness_rpc": "http://localhost:1", "witness_network": own},
    ):
        with pytest.raises(Misconfigured, match="second chain"):
            async with open_issuer(place.with_options(terms=terms), PASSPHRASE):
                pass
