"""The same commitment on a second chain: by the same identity and writer, and waited for as the operator says."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from fixtures.chain import ChainProcess, RunningChain, in_thread, running
from fixtures.issuers import PASSPHRASE, MakeCohort
from fixtures.lying_chain import LyingChain, errors, transactions_swallowed
from services.test_anchoring import finish, head, issue, judge
from services.test_compromise import own_school
from services.test_issuer_commands import School
from services.test_succession import writers

from node.chain.transactions import Transactions, transfer
from node.chain.transactions import address_of as ethereum_address_of
from node.commands.issuer_folder import Folder, open_issuer
from node.core.anchor import STATUS_LIST
from node.core.errors import Misconfigured
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord
from node.core.verify.report import CheckName, Outcome
from node.outbound.chain import ChainClient
from node.services import costs, dispatch, succession
from node.services.anchoring import AnchorWorker
from node.services.issuer import ChainAccess, Issuer, address_of
from node.services.writers import has_ended
from node.storage.protocols.batches import Batch

__all__ = ["own_school"]


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningChain]:
    """Another embedded chain."""
    with running(ChainProcess(tmp_path_factory.mktemp("second"))) as chain:
        yield chain


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


async def test_a_writer_that_is_replaced_loses_its_role_there_and_leaves_nothing_undone(
    own_school: Issuer,
    make_cohort: MakeCohort,
    devchain: RunningChain,
    second: RunningChain,
    endpoint: LyingChain,
) -> None:
    async with on_two_chains(own_school, second, endpoint, "all") as issuer:
        await issue(issuer, make_cohort)
        assert (await finish(issuer)).is_done
        async with issuer.store.transaction() as transaction:
            await transaction.batches.enqueue(STATUS_LIST, [secrets.token_bytes(32)], issuer.clock())
        endpoint.tell(transactions_swallowed())
        tick = await AnchorWorker(issuer).run_until_done(done=lambda tick: not tick.batches)
        assert tick.transactions == 1, "what the second chain does not have yet"
        endpoint.be_honest()

        (old,) = await writers(issuer)
        await succession.begin(issuer, issuer.keyring._folder, PASSPHRASE)
        _, new = await writers(issuer)
        for chain, faucet in ((issuer.require_chain(), devchain.key), (second_of(issuer), second.key)):
            await Transactions(chain.client).send(transfer(address_of(new), 10**17), faucet)
        assert (await finish(issuer)).is_done
        chain = second_of(issuer)
        header = await chain.finalized()
        assert await has_ended(issuer, old, header, chain)
        assert not await has_ended(issuer, new, header, chain)
        for batch in await batches(issuer):
            assert (await anchored(issuer, chain, batch)).block
        assert await chain.client.nonce(address_of(new)) == 1


async def test_a_role_that_was_asked_for_before_and_comes_after_is_taken_away_too(
    own_school: Issuer,
    devchain: RunningChain,
    second: RunningChain,
    endpoint: LyingChain,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As where the owner had no ether there until then."""
    monkeypatch.setattr(dispatch, "_RESEND_AFTER", timedelta())
    async with on_two_chains(own_school, second, endpoint, "all") as issuer:
        worker = AnchorWorker(issuer)  # as a server has it, all the time
        endpoint.tell(transactions_swallowed())
        await worker.tick()
        (old,) = await writers(issuer)
        await succession.begin(issuer, issuer.keyring._folder, PASSPHRASE)
        await worker.run_until_done(close=False, done=lambda tick: not tick.settling, timeout_seconds=60)
        chain = second_of(issuer)
        assert await has_ended(issuer, old, await chain.finalized(), chain), "it never had one there"

        endpoint.be_honest()
        _, new = await writers(issuer)
        for access, faucet in ((issuer.require_chain(), devchain.key), (chain, second.key)):
            await Transactions(access.client).send(transfer(address_of(new), 10**17), faucet)
        assert (await worker.run_until_done(timeout_seconds=60)).is_done
        header = await chain.finalized()
        assert await has_ended(issuer, old, header, chain)
        assert not await has_ended(issuer, new, header, chain)


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


class TestInit:
    """`issuer init` with a second chain."""

    @pytest.fixture
    def init(self, devchain: RunningChain, second: RunningChain, tmp_path: Path) -> list[str]:
        networks, faucet = tmp_path / "networks.json", tmp_path / "faucet.key"
        networks.write_text(json.dumps({"networks": [devchain.network, second.network]}))
        faucet.write_text(devchain.key.hex())
        files = ["--networks", str(networks), "--faucet", str(faucet)]
        return [
            "init",
            "--name",
            "A school",
            "--url",
            "https://school.example",
            "--rpc",
            devchain.url,
            *files,
        ]

    def test_what_is_no_second_chain_is_refused_before_it_is_kept(
        self, devchain: RunningChain, second: RunningChain, init: list[str], tmp_path: Path
    ) -> None:
        school = School(tmp_path / "school")
        with pytest.raises(Misconfigured, match="needs both"):
            school.json(*init, "--witness-rpc", second.url)
        own = f"eip155:{devchain.chain_id}"
        with pytest.raises(Misconfigured, match="a second chain is another one"):
            school.json(*init, "--witness-rpc", second.url, "--witness-network", own)
        assert not (school.folder / "issuer" / "issuer.json").exists()

    def test_what_an_earlier_run_kept_and_is_none_is_forgotten(
        self, init: list[str], second: RunningChain, tmp_path: Path
    ) -> None:
        school = School(tmp_path / "school")
        folder = school.folder / "issuer"
        replace(Folder(folder), witness_rpc=second.url).save()
        result = school.run(*init)
        assert result.exit_code == 0
        assert "forgotten: a second chain needs both" in result.stderr
        assert Folder.load(folder).witness_rpc is None
        assert school.run("status").exit_code == 0

    def test_the_faucet_pays_there_too_and_what_lacks_is_told(
        self, init: list[str], devchain: RunningChain, second: RunningChain, tmp_path: Path
    ) -> None:
        school = School(tmp_path / "school")
        name = f"eip155:{second.chain_id}"
        told = ["--witness-rpc", second.url, "--witness-network", name]
        without_faucet = init[: init.index("--faucet")]
        assert school.run(*init).exit_code == 0
        result = school.run(*without_faucet, *told)
        assert result.exit_code == 0
        assert re.search(
            f"the owner 0x[0-9a-f]+ needs [0-9.]+ ether more on {name}; the writer 0x", result.stderr
        )
        (warning,) = [one for one in school.json("status")["warnings"] if one.startswith("the owner")]
        assert f"cannot pay for the writer's role on {name}" in warning

        async def fill_faucet() -> None:
            async with ChainClient(second.url) as client:
                calls = [transfer(ethereum_address_of(devchain.key), 10**19)]
                await Transactions(client).send_all(calls, second.key)

        in_thread(fill_faucet)
        result = school.run(*init)  # what it was told before is kept
        assert "second chain" not in result.stderr
        assert not school.json("status")["warnings"]
