"""The follower of a chain and the replica that it keeps: what is answered, and what is not where endpoints lie."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import pytest
from fixtures.chain import RunningChain
from fixtures.databases import emptied
from fixtures.lying_chain import (
    Ask,
    Lie,
    LyingChain,
    after,
    chain_id_swapped,
    errors,
    lagging,
    log_limits,
    logs_invented,
    logs_withheld,
    only,
    wrong_proof,
)

from node.chain.transactions import Transactions, WordChange, address_of
from node.core.errors import Unavailable
from node.core.evm import registry
from node.core.evm.agreement import Endpoints
from node.core.evm.events import TOPICS, StatusChanged, decode_registry_log
from node.core.evm.keccak import keccak256
from node.core.evm.network import Network, NetworkClass, parse_networks
from node.core.evm.state_proof import prove_slots
from node.core.verify.materials import (
    DocumentAnswer,
    DocumentNeed,
    HeaderAnswer,
    HeaderNeed,
    Missing,
    Mode,
    ReplicaAnswer,
    StateNeed,
    Strength,
)
from node.outbound.chain import ChainClient
from node.outbound.http import Egress, EgressPolicy
from node.services.follower import Follower, Followers
from node.services.replica import StoredReplica
from node.storage.database import Database, sqlite_url
from node.storage.protocols.verifier import ReplicaWrite

KEY = b"\xed\x01" + bytes(range(32))
LIST, SETTABLE = bytes([1]) * 32, bytes([2]) * 32
COMMITMENTS = [bytes([n]) * 32 for n in range(3, 6)]


@dataclass(frozen=True)
class Written:
    """Two schools that wrote; `slots` are all that the first one wrote or might have."""

    running: RunningChain
    network: Network
    school: bytes
    other: bytes
    slots: tuple[bytes, ...]

    def need(self, header: HeaderAnswer, identity: bytes | None = None, *slots: bytes) -> StateNeed:
        identity = identity or self.school
        slots = slots or (self.slots if identity == self.school else (registry.heads_slot(identity),))
        address = self.network.credential_registry
        return StateNeed(self.network.chain_id, header.newest.hash, address, identity, slots)


@pytest.fixture(scope="module")
def written(devchain: RunningChain) -> Written:
    """Every call of the registry, on the embedded chain, in as few blocks as it takes."""
    school_key, other_key = devchain.new_key(), devchain.new_key()
    school, other, writer = address_of(school_key), address_of(other_key), bytes(19) + b"\x01"

    async def write() -> None:
        calls = devchain.deployments.credential_registry_calls
        async with ChainClient(devchain.url) as client:
            transactions = Transactions(client)
            first = [
                calls.set_writer(school, writer, 7, 4_000_000_000),
                calls.add_key(school, KEY, 1),
                *(calls.anchor(school, commitment) for commitment in COMMITMENTS),
                calls.open_list(school, LIST, 1, 17, 1),
                calls.open_list(school, SETTABLE, 2, 17, 1),
            ]
            second = [
                calls.retire_key(school, KEY),
                calls.set_status(school, LIST, [WordChange(5, 3, 0), WordChange(6, 1, 0)]),
                calls.set_status(school, SETTABLE, [WordChange(7, 1 << 255, 0)]),
            ]
            third = [calls.set_status(school, SETTABLE, [WordChange(7, 0, 1 << 255)])]
            for some in (first, second, third):
                await transactions.send_all(some, school_key)
            await transactions.send(calls.anchor(other, COMMITMENTS[0]), other_key)

    asyncio.run(write())
    (network,) = parse_networks({"networks": [devchain.network]}).values()
    slots = (
        registry.heads_slot(school),
        registry.key_slot(school, KEY),
        *(registry.anchor_slot(school, commitment) for commitment in COMMITMENTS),
        registry.list_slot(school, LIST),
        registry.list_slot(school, SETTABLE),
        *(registry.status_slot(school, LIST, word) for word in (4, 5, 6)),
        registry.status_slot(school, SETTABLE, 7),
        registry.writer_slot(school, school, writer),
        registry.closed_slot(school),
    )
    return Written(devchain, network, school, other, slots)


@pytest.fixture
def production(written: Written) -> Network:
    """The same chain in the table of an operator who relies on it."""
    return replace(written.network, network_class=NetworkClass.PRODUCTION)


@pytest.fixture
def liar(written: Written) -> Iterator[LyingChain]:
    with LyingChain(written.running.url) as endpoint:
        yield endpoint


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str | None]:
    """URL and schema of a database for a verifier."""
    if request.param == "postgres":
        found: tuple[str, str] = request.getfixturevalue("postgres")
        return found
    return sqlite_url(tmp_path / "verifier.sqlite3"), None


@pytest.fixture
async def store(place: tuple[str, str | None]) -> AsyncIterator[Database]:
    async with emptied(*place) as database:
        yield database


class Following:
    """A follower with its replica, on the endpoints at `urls`."""

    def __init__(self, store: Database, network: Network, *urls: str) -> None:
        endpoints = Endpoints.of(tuple(f"operator{at}={url}" for at, url in enumerate(urls)), None)
        self.egress = Egress(EgressPolicy(Mode.CHAIN, endpoints))
        self.follower = Follower(store, network, self.egress)
        self.replica = StoredReplica(store, {network.chain_id: network})
        self.chain_id = network.chain_id

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.egress.close()

    async def header(self, *heights: int) -> HeaderAnswer:
        answer = await self.replica.header(HeaderNeed(self.chain_id, heights))
        assert isinstance(answer, HeaderAnswer), answer
        return answer

    async def missing(self) -> str:
        answer = await self.replica.header(HeaderNeed(self.chain_id))
        assert isinstance(answer, Missing)
        return answer.reason


async def proven(written: Written, header: HeaderAnswer) -> dict[bytes, int]:
    """What the chain itself proves of the school's slots."""
    address = written.network.credential_registry
    async with ChainClient(written.running.url) as client:
        nodes = await client.proof_nodes(address, written.slots, header.newest.hash)
    return dict(prove_slots(header.newest, nodes, address, written.slots).values)


async def assert_as_proven(following: Following, written: Written) -> None:
    """The replica answers, with the words that the chain proves."""
    header = await following.header()
    answer = await following.replica.state(written.need(header))
    assert isinstance(answer, ReplicaAnswer)
    assert answer.slots == await proven(written, header)


async def anchor_again(written: Written) -> None:
    """One more write of another school."""
    calls = written.running.deployments.credential_registry_calls
    async with ChainClient(written.running.url) as client:
        key = written.running.new_key()
        await Transactions(client).send(calls.anchor(address_of(key), secrets.token_bytes(32)), key)


class TestAnHonestChain:
    async def test_every_word_is_the_one_that_the_chain_proves(
        self, store: Database, production: Network, written: Written
    ) -> None:
        async with Following(store, production, written.running.url) as following:
            progress = await following.follower.step()
            header = await following.header()
            answer = await following.replica.state(written.need(header))
        assert progress.fault is None
        assert progress.followed == progress.newest == header.newest.number
        assert header.strength is Strength.ONE_ENDPOINT
        assert "this verifier's replica" in header.source
        assert isinstance(answer, ReplicaAnswer)
        assert answer.slots == await proven(written, header)
        assert sum(word != 0 for word in answer.slots.values()) == 10

    async def test_identities_that_never_wrote_are_known_not_to_have(
        self, store: Database, production: Network, written: Written
    ) -> None:
        async with Following(store, production, written.running.url) as following:
            await following.follower.step()
            header = await following.header()
            answer = await following.replica.state(written.need(header, bytes(20)))
        assert isinstance(answer, ReplicaAnswer)
        assert set(answer.slots.values()) == {0}

    async def test_answers_open_no_connection(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        async with Following(store, production, liar.url) as following:
            await following.follower.step()
            asked = len(liar.asked)
            for _ in range(20):
                header = await following.header(1, 2)
                await following.replica.state(written.need(header))
                await following.replica.state(written.need(header, secrets.token_bytes(20)))
            assert len(liar.asked) == asked

    async def test_a_report_that_began_before_a_step_ends_as_it_began(
        self, store: Database, production: Network, written: Written
    ) -> None:
        async with Following(store, production, written.running.url) as following:
            await following.follower.step()
            before = await following.header()
            words = await following.replica.state(written.need(before))
            await anchor_again(written)
            await following.follower.step()
            after_it = await following.header(before.newest.number)
            assert after_it.newest.number > before.newest.number
            assert after_it.hashes[before.newest.number] == before.newest.hash
            assert await following.replica.state(written.need(before)) == words

    async def test_an_older_header_is_not_told_by_a_stronger_word_than_it_was_taken_on(
        self, store: Database, production: Network, written: Written
    ) -> None:
        async with Following(store, production, written.running.url) as following:
            await following.follower.step()
            old = (await following.header()).newest.number
            await anchor_again(written)
            await following.follower.step()
            assert old in (await following.header(old)).hashes
            async with store.transaction() as tx:
                (newest, _) = await tx.replica.headers(production.chain_id, 2)
                stronger = replace(newest, strength=int(Strength.LIGHT_CLIENT), source="the sync committee")
                await tx.replica.save_header(production.chain_id, stronger)
            now = await following.header(old)
        assert now.strength is Strength.LIGHT_CLIENT
        assert set(now.hashes) == {now.newest.number}

    async def test_after_a_restart_only_new_logs_are_asked_for_whatever_the_endpoint(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        async with Following(store, production, written.running.url) as following:
            first = await following.follower.step()
        await anchor_again(written)
        async with Following(store, production, liar.url) as following:
            await following.follower.step()
            await assert_as_proven(following, written)
        (query,) = [params[0] for method, params in liar.asked if method == "eth_getLogs"]
        assert int(query["fromBlock"], 16) == first.followed + 1

    @pytest.mark.parametrize("deployed", [0, 2])
    async def test_the_first_logs_asked_for_are_of_the_block_of_the_registry_where_the_table_names_it(
        self, store: Database, production: Network, written: Written, liar: LyingChain, deployed: int
    ) -> None:
        """Of a table that names none, of the first block; nothing was written in those of the deployment."""
        async with Following(store, replace(production, deployed=deployed), liar.url) as following:
            assert (await following.follower.step()).fault is None
            await assert_as_proven(following, written)
        queries = [params[0] for method, params in liar.asked if method == "eth_getLogs"]
        assert int(queries[0]["fromBlock"], 16) == deployed

    async def test_a_table_that_has_the_registry_deployed_too_late_hides_nothing(
        self, store: Database, production: Network, written: Written
    ) -> None:
        async with ChainClient(written.running.url) as client:
            newest = await client.block_number()
        async with Following(store, replace(production, deployed=newest), written.running.url) as following:
            progress = await following.follower.step()
            assert f"from block {newest}, where the table of networks has it deployed" in str(progress.fault)
            assert "are not all" in await following.missing()
        async with Following(store, production, written.running.url) as following:
            assert (await following.follower.step()).fault is None
            await assert_as_proven(following, written)

    async def test_another_registry_in_the_table_begins_anew(
        self, store: Database, production: Network, written: Written
    ) -> None:
        async with Following(store, production, written.running.url) as following:
            await following.follower.step()
        other = replace(production, credential_registry=secrets.token_bytes(20))
        async with Following(store, other, written.running.url) as following:
            with pytest.raises(Unavailable, match="other code, or none"):
                await following.follower.step()
            async with store.reading() as tx:
                assert await tx.replica.parts(production.chain_id, None) == []
        async with Following(store, production, written.running.url) as following:
            assert (await following.follower.step()).fault is None
            await assert_as_proven(following, written)

    async def test_where_there_is_no_registry_nobody_is_said_never_to_have_written(
        self, store: Database, production: Network, written: Written
    ) -> None:
        nowhere = replace(production, credential_registry=secrets.token_bytes(20))
        async with Following(store, nowhere, written.running.url) as following:
            with pytest.raises(Unavailable, match="other code, or none"):
                await following.follower.step()
            assert "on its way" in await following.missing()

    async def test_other_code_at_the_address_is_not_followed(
        self, store: Database, production: Network, written: Written
    ) -> None:
        other = replace(production, code_hash=bytes(32))
        async with Following(store, other, written.running.url) as following:
            with pytest.raises(Unavailable, match="other code"):
                await following.follower.step()
            assert "on its way" in await following.missing()

    async def test_ranges_adapt_to_what_the_endpoint_answers(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        liar.tell(log_limits(blocks=3, results=8))
        async with Following(store, production, liar.url) as following:
            assert (await following.follower.step()).fault is None
            await assert_as_proven(following, written)

    async def test_what_was_interrupted_is_resumed_where_it_stopped(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        liar.tell(log_limits(blocks=2), only(after(3, errors()), "eth_getLogs"))
        async with Following(store, production, liar.url) as following:
            with pytest.raises(Unavailable):
                await following.follower.step()
            reason = await following.missing()
        assert "on its way" in reason
        liar.be_honest()
        liar.asked.clear()
        async with Following(store, production, liar.url) as following:
            await following.follower.step()
            await assert_as_proven(following, written)
        first = next(params[0] for method, params in liar.asked if method == "eth_getLogs")
        assert int(first["fromBlock"], 16) > 0

    async def test_two_processes_follow_with_one_database(
        self, store: Database, production: Network, written: Written
    ) -> None:
        async with (
            Following(store, production, written.running.url) as one,
            Following(store, production, written.running.url) as two,
        ):
            for _ in range(2):
                await asyncio.gather(one.follower.step(), two.follower.step())
                await anchor_again(written)
            await one.follower.step()
            await two.follower.step()
            header = await two.header()
            answer = await two.replica.state(written.need(header))
        assert isinstance(answer, ReplicaAnswer)
        assert answer.slots == await proven(written, header)


def status_altered(_written: Written) -> Lie:
    """A word of the list is told with fewer bits: nothing is missing, but a revocation is."""

    def wrap(ask: Ask) -> Ask:
        async def lying(method: str, params: list[Any]) -> Any:
            answer = await ask(method, params)
            return [_with_other_bits(one) for one in answer] if method == "eth_getLogs" else answer

        return lying

    return wrap


def _with_other_bits(log: dict[str, str]) -> dict[str, str]:
    event = decode_registry_log(log)
    if not isinstance(event, StatusChanged) or event.word != 5:
        return log
    return log | {"data": "0x" + (1).to_bytes(32, "big").hex() + log["data"][66:]}


STATUS_CHANGED = keccak256(b"StatusChanged(address,bytes32,uint256,uint256,uint256)")
LIES: dict[str, Callable[[Written], Lie]] = {
    "the last log withheld": lambda written: logs_withheld(
        topic=written.school.rjust(32, b"\0"), which="last"
    ),
    "one log withheld": lambda _: logs_withheld(topic=STATUS_CHANGED, which="first"),
    "all logs of an identity withheld": lambda written: logs_withheld(topic=written.school.rjust(32, b"\0")),
    "all revocations withheld": lambda _: logs_withheld(topic=STATUS_CHANGED),
    "a word altered": status_altered,
    "a log invented": lambda written: logs_invented(
        written.network.credential_registry,
        [TOPICS[-1], written.other.rjust(32, b"\0")],
        (2).to_bytes(32, "big"),
        1,
    ),
}


class TestAllChains:
    async def followed(self, store: Database, network: Network, *endpoints: str) -> list[str]:
        """The chains that are told of after a step, of a table that has one chain more."""
        other = replace(network, chain_id=network.chain_id + 1)
        async with Egress(EgressPolicy(Mode.CHAIN, Endpoints.of(endpoints))) as egress:
            followers = Followers(store, {one.chain_id: one for one in (network, other)}, egress)
            await followers.step()
            return [str(one["chain"]) for one in followers.progress()]

    async def test_one_of_before_is_told_of_while_a_silent_endpoint_may_be_of_it(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        url, other = written.running.url, production.chain_id + 1
        assert await self.followed(store, production, url) == [production.chain]
        liar.tell(errors())
        assert await self.followed(store, production, liar.url) == [production.chain]
        assert await self.followed(store, production, f"@{other}={liar.url}") == [f"eip155:{other}"]
        liar.tell(chain_id_swapped(other))
        assert await self.followed(store, production, liar.url) == [f"eip155:{other}"]


class TestAnEndpointThatLies:
    @pytest.mark.parametrize("lie", LIES)
    async def test_nothing_is_answered_where_logs_and_state_differ(
        self, store: Database, production: Network, written: Written, liar: LyingChain, lie: str
    ) -> None:
        """Not "not revoked": not for the school, nor for others, whose logs may be as wrong."""
        liar.tell(LIES[lie](written))
        async with Following(store, production, liar.url) as following:
            progress = await following.follower.step()
            assert progress.fault is not None
            assert "not all that the registry holds" in await following.missing()
            assert liar.host in progress.fault
            liar.be_honest()
            assert (await following.follower.step()).fault is None
            await assert_as_proven(following, written)

    async def test_what_was_sound_before_answers_again_only_when_the_rest_is(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        async with Following(store, production, liar.url) as following:
            await following.follower.step()
            sound = await following.header()
            await anchor_again(written)
            liar.tell(logs_withheld())
            for _ in range(2):
                await following.follower.step()
                assert "not all that the registry holds" in await following.missing()
                assert isinstance(await following.replica.state(written.need(sound)), Missing)
            liar.be_honest()
            await following.follower.step()
            assert (await following.header()).newest.number > sound.newest.number

    async def test_another_endpoint_is_preferred_after_a_lie(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        liar.tell(logs_withheld())
        async with Following(store, production, liar.url, written.running.url) as following:
            await following.follower.step()
            assert (await following.follower.step()).fault is None
            assert (await following.header()).strength is Strength.ENDPOINTS_AGREE

    async def test_a_wrong_proof_leaves_everything_as_it_was(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        async with Following(store, production, liar.url) as following:
            await following.follower.step()
            sound = await following.header()
            await anchor_again(written)
            liar.tell(wrong_proof())
            with pytest.raises(Unavailable):
                await following.follower.step()
            assert (await following.header()).newest == sound.newest

    async def test_an_endpoint_that_lags_takes_nothing_back(
        self, store: Database, production: Network, liar: LyingChain
    ) -> None:
        async with Following(store, production, liar.url) as following:
            await following.follower.step()
            sound = await following.header()
            liar.tell(lagging(3))
            with pytest.raises(Unavailable, match="lags"):
                await following.follower.step()
            assert (await following.header()).newest == sound.newest


class TestADevelopmentChain:
    """Where the whole cannot be proven, each identity is by itself."""

    @pytest.mark.parametrize("lie", ["all logs of an identity withheld", "the last log withheld"])
    async def test_an_identity_whose_logs_are_withheld_is_missing_and_others_are_not(
        self, store: Database, written: Written, liar: LyingChain, lie: str
    ) -> None:
        liar.tell(LIES[lie](written))
        async with Following(store, written.network, liar.url) as following:
            await following.follower.step()
            await following.replica.state(written.need(await following.header()))  # asked for, then looked up
            await anchor_again(written)
            await following.follower.step()
            header = await following.header()
            answer = await following.replica.state(written.need(header))
            assert isinstance(answer, Missing)
            assert "do not add up" in answer.reason
            other = await following.replica.state(written.need(header, written.other))
            assert isinstance(other, ReplicaAnswer)
            assert set(other.slots.values()) == {1}
            assert header.strength is Strength.ONE_ENDPOINT
            liar.be_honest()
            await following.follower.step()
            await assert_as_proven(following, written)


class TestDocuments:
    async def test_a_document_is_followed_from_when_somebody_asked_for_it(
        self, store: Database, production: Network, written: Written, liar: LyingChain
    ) -> None:
        need = DocumentNeed(f"did:ethr:0x{production.chain_id:x}:0x{written.school.hex()}")
        async with Following(store, production, written.running.url, liar.url) as following:
            await following.follower.step()
            assert isinstance(await following.replica.document(need), Missing)
            await following.follower.step()
            asked = len(liar.asked)
            answer = await following.replica.document(need)
            assert len(liar.asked) == asked
        assert isinstance(answer, DocumentAnswer)
        assert answer.agreed
        assert answer.document.id == need.did

    async def test_by_one_endpoint_it_is_one_endpoints_word(
        self, store: Database, production: Network, written: Written
    ) -> None:
        key = written.running.new_key()
        identity = address_of(key)
        calls = written.running.deployments.did_registry_calls
        async with ChainClient(written.running.url) as client:
            await Transactions(client).send(
                calls.set_attribute(identity, "did/pub/Multikey/veriKey", KEY, 10**6), key
            )
        need = DocumentNeed(f"did:ethr:0x{production.chain_id:x}:0x{identity.hex()}")
        async with Following(store, production, written.running.url) as following:
            await following.follower.step()
            await following.replica.document(need)
            await following.follower.step()
            answer = await following.replica.document(need)
        assert isinstance(answer, DocumentAnswer)
        assert not answer.agreed
        assert "one endpoint's word" in answer.source
        assert [method.id.rpartition("#")[2] for method in answer.document.methods] == [
            "controller",
            "delegate-1",
        ]

    async def test_invented_identities_do_not_keep_out_others(
        self, store: Database, production: Network, written: Written, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("node.services.replica.MAX_HISTORIES", 3)

        async def ask(identity: bytes) -> DocumentAnswer | Missing | None:
            return await following.replica.document(
                DocumentNeed(f"did:ethr:0x{production.chain_id:x}:0x{identity.hex()}")
            )

        key = written.running.new_key()
        calls = written.running.deployments.did_registry_calls
        async with ChainClient(written.running.url) as client:
            call = calls.set_attribute(address_of(key), "did/pub/Multikey/veriKey", KEY, 10**6)
            await Transactions(client).send(call, key)
        async with Following(store, production, written.running.url) as following:
            await following.follower.step()
            await ask(address_of(key))
            for _ in range(2):
                await ask(secrets.token_bytes(20))
            await following.follower.step()
            late = secrets.token_bytes(20)
            for _ in range(5):
                await ask(secrets.token_bytes(20))
            assert isinstance(await ask(late), Missing)
            assert isinstance(await ask(address_of(key)), DocumentAnswer)
            async with store.reading() as tx:
                followed = await tx.replica.identities_with_history(production.chain_id)
            assert len(followed) == 3
            assert late in {one.identity for one in followed}

    async def test_other_chains_and_methods_are_not_its_business(
        self, store: Database, production: Network, written: Written
    ) -> None:
        async with Following(store, production, written.running.url) as following:
            for did in ("https://example.org", "did:web:example.org", "did:ethr:0x1:0x" + "00" * 20):
                assert await following.replica.document(DocumentNeed(did)) is None
            assert await following.replica.header(HeaderNeed(1)) is None


async def test_a_step_that_went_wrong_from_a_sound_header_goes_further_back(
    store: Database, production: Network, written: Written
) -> None:
    """A header of a branch that was given up, of which the source of headers cannot tell."""
    async with Following(store, production, written.running.url) as following:
        await following.follower.step()
        await anchor_again(written)
        await following.follower.step()
        header = await following.header()
        async with store.transaction() as tx:
            path = keccak256(registry.heads_slot(written.school))  # not one that the newest block wrote
            word = (await tx.replica.words(production.chain_id, [path]))[path]
            wrong = ReplicaWrite(header.newest.number, bytes(32), path, written.other, word, word ^ 1)
            await tx.replica.write(production.chain_id, [wrong])
        following.follower = Follower(store, production, following.egress)
        await anchor_again(written)
        assert (await following.follower.step()).fault is not None
        assert (await following.follower.step()).fault is None
        answer = await following.replica.state(written.need(await following.header()))
    assert isinstance(answer, ReplicaAnswer)
