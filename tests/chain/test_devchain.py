"""The embedded chain itself: time, durability, the pool, and what it answers to requests without form."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import pytest
from aiohttp.test_utils import TestServer
from click.testing import CliRunner
from eth_account import Account
from fixtures.chain import ChainProcess, RunningChain

from node.chain.commands import chain as chain_commands
from node.chain.devchain import MAX_NONCE_GAP, DevChain
from node.chain.devchain_rpc import ChainServer, make_app
from node.chain.transactions import Transactions, address_of, transfer
from node.cli import main
from node.core.errors import Conflict, Misconfigured, Refused
from node.core.evm.keccak import keccak256
from node.outbound.chain import ChainClient, RpcError

START = 1_800_000_000
SOMEBODY = bytes(19) + b"\x77"
# Returns the block's time: TIMESTAMP PUSH0 MSTORE PUSH1 32 PUSH0 RETURN; and keeps it: TIMESTAMP PUSH0 SSTORE.
KEEPS_ITS_TIME = bytes.fromhex("425f55425f5260205ff3")


@dataclass
class Clock:
    now: float = START

    def __call__(self) -> float:
        return self.now


@dataclass
class Local:
    """An embedded chain in this process, under a clock that only the test moves."""

    folder: Path
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.chain = DevChain.open(self.folder, clock=self.clock)
        self.key = bytes.fromhex((self.folder / "faucet.key").read_text().strip())
        self.address = address_of(self.key)

    def reopen(self) -> None:
        self.chain.close()
        self.chain = DevChain.open(self.folder, clock=self.clock)

    def raw(self, nonce: int, *, fee: int = 3 * 10**9, key: bytes | None = None, **changes: object) -> bytes:
        body = {
            "type": 2,
            "chainId": self.chain.chain_id,
            "nonce": nonce,
            "to": SOMEBODY,
            "value": 1,
            "gas": 21_000,
            "maxFeePerGas": fee,
            "maxPriorityFeePerGas": fee // 3,
        }
        return bytes(Account.from_key(key or self.key).sign_transaction(body | changes).raw_transaction)

    def mine(self, seconds: float = 1) -> object:
        self.clock.now += seconds
        return self.chain.mine(self.chain.now())

    def balance(self) -> int:
        return int(self.chain.state(self.chain.head).get_balance(SOMEBODY))


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    local = Local(tmp_path / "chain")
    yield local
    local.chain.close()


# --- time ---


def test_a_contract_reads_the_time_and_the_hashes_that_the_header_has(local: Local) -> None:
    deploy = bytes.fromhex("6a") + KEEPS_ITS_TIME.rjust(11, b"\x5b") + bytes.fromhex("5f52600b6015f3")
    local.chain.submit(local.raw(0, to="", value=0, gas=200_000, data=deploy))
    local.mine()
    contract = local.chain.store.transactions_in(1)[0].created
    assert contract is not None
    local.chain.submit(local.raw(1, to=contract, value=0, gas=100_000))
    header = local.mine(7.5)
    state = local.chain.state(header)
    assert state.get_storage(contract, 0) == header.timestamp == START + 8
    assert int.from_bytes(local.chain.call(header, SOMEBODY, contract, b""), "big") == header.timestamp
    local.mine(5)
    # A call on an older block runs in that block's context, not in the newest.
    assert int.from_bytes(local.chain.call(header, SOMEBODY, contract, b""), "big") == header.timestamp
    assert header.mix_hash == bytes(32)
    assert header.coinbase == bytes(20)


def test_no_block_is_later_than_the_clock_nor_as_early_as_its_parent(local: Local) -> None:
    local.mine()
    with pytest.raises(Conflict):
        local.chain.mine(local.chain.now() + 1)
    with pytest.raises(Conflict):
        local.chain.mine(local.chain.head.timestamp)


async def test_blocks_told_to_be_made_fill_the_time_since_the_head_and_date_nothing_back(
    local: Local,
) -> None:
    local.clock.now += 100
    local.chain.submit(local.raw(0))
    server = ChainServer(local.chain)
    assert await server.mine(5) == 5
    assert [local.chain.header(number).timestamp - START for number in range(1, 6)] == [96, 97, 98, 99, 100]
    assert [len(local.chain.store.transactions_in(number)) for number in range(1, 6)] == [0, 0, 0, 0, 1]


async def test_a_quiet_chain_makes_an_empty_block_each_minute_and_a_busy_one_at_once(local: Local) -> None:
    server = ChainServer(local.chain)
    task = asyncio.create_task(server.run())
    try:
        await asyncio.sleep(0.05)
        assert local.chain.head.block_number == 0
        local.clock.now += 59
        await asyncio.sleep(0.05)
        assert local.chain.head.block_number == 0
        answer = await _answer(server, "eth_sendRawTransaction", ["0x" + local.raw(0).hex()])
        assert "result" in answer
        await asyncio.sleep(0.2)
        assert local.chain.head.block_number == 1
        local.clock.now += 60
        # The task sleeps by the real clock, which stands still beside this one: wake it.
        server.wake()
        await asyncio.sleep(0.05)
        assert local.chain.head.block_number == 2
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_finalized_stays_behind_by_the_lag(local: Local) -> None:
    for _ in range(4):
        local.mine()
    server = ChainServer(local.chain, finality_lag_blocks=3)
    numbers = {}
    for tag in ("latest", "safe", "finalized", "earliest"):
        numbers[tag] = int(
            (await _answer(server, "eth_getBlockByNumber", [tag, False]))["result"]["number"], 16
        )
    assert numbers == {"latest": 4, "safe": 1, "finalized": 1, "earliest": 0}


# --- reorganisation ---


async def _reorganise(server: ChainServer, depth: object) -> dict:
    return await _answer(server, "anvil_reorg", [depth, []])


async def _number(server: ChainServer, tag: str) -> int:
    return int((await _answer(server, "eth_getBlockByNumber", [tag, False]))["result"]["number"], 16)


async def test_a_reorganised_block_takes_its_transactions_with_it(local: Local) -> None:
    server = ChainServer(local.chain, finality_lag_blocks=2)
    for _ in range(2):
        local.mine()
    raw = local.raw(0)
    sent = local.chain.submit(raw)
    before = [local.mine(), local.mine()]
    assert local.balance() == 1
    assert "result" in await _reorganise(server, 2)
    after = [local.chain.header(3), local.chain.header(4)]
    assert [header.timestamp for header in after] == [header.timestamp for header in before]
    assert {header.hash for header in before}.isdisjoint(header.hash for header in after)
    assert after[0].parent_hash == before[0].parent_hash
    assert after[1].parent_hash == after[0].hash
    assert local.chain.store.block_number(before[0].hash) is None
    assert local.chain.store.transaction_of(sent) is None
    assert local.chain.store.pending() == []
    assert local.balance() == 0
    # The same bytes can be sent once more.
    assert local.chain.submit(raw) == sent
    local.mine()
    assert local.balance() == 1


async def test_a_reorganised_chain_goes_on_and_reopens_where_it_ended(local: Local) -> None:
    local.mine()
    old = local.mine()
    head = local.chain.reorganise(1)
    assert head.hash != old.hash
    local.reopen()
    assert local.chain.head.hash == head.hash
    assert local.mine().parent_hash == head.hash


def test_a_reorganisation_that_fails_half_way_leaves_the_chain_as_it_was(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    local.chain.submit(local.raw(0))
    head = local.mine().hash
    monkeypatch.setattr(local.chain.store, "add_block", _disk_full)
    with pytest.raises(OSError, match="full"):
        local.chain.reorganise(1)
    monkeypatch.undo()
    assert local.chain.head.hash == head
    assert local.balance() == 1
    assert local.mine().parent_hash == head


@pytest.mark.parametrize("depth", [0, -1, 2, "0x1", True, None])
async def test_no_final_block_is_ever_replaced(local: Local, depth: object) -> None:
    server = ChainServer(local.chain, finality_lag_blocks=1)
    local.mine()
    head = local.mine()
    assert (await _reorganise(server, depth))["error"]["code"] == -32602
    assert local.chain.head.hash == head.hash


async def test_while_finality_is_held_blocks_come_and_none_becomes_final(local: Local) -> None:
    server = ChainServer(local.chain)
    local.mine()
    await _answer(server, "bonafides_holdFinality", [True])
    local.mine()
    local.mine()
    assert (await _number(server, "latest"), await _number(server, "finalized")) == (3, 1)
    assert "error" in await _reorganise(server, 3)
    assert "result" in await _reorganise(server, 2)
    await _answer(server, "bonafides_holdFinality", [False])
    assert await _number(server, "finalized") == 3


def test_nothing_but_the_demo_asks_a_chain_to_waver() -> None:
    root = Path(__file__).resolve().parents[2]
    served = root / "node" / "chain" / "devchain_rpc.py"
    files = {*(root / "node").rglob("*.py"), *(root / "wallet").rglob("*.py")} - {served}
    words = ("anvil_reorg", "bonafides_holdFinality", ".reorganise(")
    asking = {file for file in files if any(word in file.read_text(encoding="utf-8") for word in words)}
    assert {file.parent for file in asking} <= {root / "node" / "demo"}


# --- durability ---


def test_a_chain_reopens_where_it_ended_and_keeps_what_waits(local: Local) -> None:
    local.chain.submit(local.raw(0))
    head = local.mine().hash
    waiting = local.chain.submit(local.raw(1))
    began = time.perf_counter()
    local.reopen()
    assert time.perf_counter() - began < 0.1
    assert local.chain.head.hash == head
    assert local.chain.pending(waiting) is not None
    local.mine()
    assert local.balance() == 2
    assert local.chain.pending(waiting) is None


def test_a_block_that_fails_half_way_leaves_no_trace(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    local.chain.submit(local.raw(0))
    monkeypatch.setattr(local.chain.store, "add_block", _disk_full)
    with pytest.raises(OSError, match="full"):
        local.mine()
    monkeypatch.undo()
    assert local.chain.head.block_number == 0
    assert local.balance() == 0
    local.mine()
    assert local.balance() == 1
    local.reopen()
    assert local.balance() == 1


def _disk_full(*_: object) -> None:
    raise OSError("disk full")


def test_a_killed_chain_has_lost_nothing_that_it_answered_for(tmp_path: Path) -> None:
    process = ChainProcess(tmp_path, "--finality-lag", "1")
    process.start()

    async def send(count: int) -> list[bytes]:
        async with ChainClient(process.url) as client:
            transactions = Transactions(client)
            first = await client.nonce(address_of(process.key), "pending")
            hashes = []
            for index in range(count):
                signed = await transactions.sign(
                    transfer(SOMEBODY, 1), process.key, nonce=first + index, gas_limit=21_000
                )
                await transactions.broadcast(signed.raw)
                hashes.append(signed.hash)
            return hashes

    hashes = asyncio.run(send(10))
    assert process.stop(signal.SIGKILL) != 0
    genesis = process.ready["genesis"]
    process.start()
    assert process.ready["genesis"] == genesis

    async def found() -> int:
        async with ChainClient(process.url) as client:
            transactions = Transactions(client)
            inclusions = [await transactions.wait_for_inclusion(each, timeout_seconds=10) for each in hashes]
            assert all(inclusion.succeeded for inclusion in inclusions)
            return await client.balance(SOMEBODY)

    assert asyncio.run(found()) == 10
    assert process.stop() == 0


def test_one_folder_has_one_chain_process(local: Local) -> None:
    with pytest.raises(Conflict, match="another process"):
        DevChain.open(local.folder)


def test_an_old_chain_does_not_change_its_id(local: Local) -> None:
    local.chain.close()
    with pytest.raises(Conflict, match="has id"):
        DevChain.open(local.folder, chain_id=5)


def test_every_new_chain_draws_an_id_of_its_own(local: Local, tmp_path: Path) -> None:
    other = DevChain.open(tmp_path / "other")
    assert other.chain_id != local.chain.chain_id
    other.close()


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\0 but no more", b"\x00" * 100], ids=["empty", "torn", "zeros"]
)
def test_a_file_that_is_no_chain_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "chain.sqlite").write_bytes(content)
    if not content:
        DevChain.open(tmp_path).close()  # an empty file is where SQLite begins
        return
    with pytest.raises(Misconfigured):
        DevChain.open(tmp_path)


# --- pool ---


REFUSALS = {
    "another_chain": ({"chainId": 1}, "invalid chain id"),
    "nonce_far_ahead": ({"nonce": MAX_NONCE_GAP + 1}, "nonce too high"),
    "more_than_the_balance": ({"value": 10**30}, "insufficient funds"),
    "less_gas_than_a_transfer": ({"gas": 20_999}, "intrinsic gas too low"),
    "more_gas_than_a_block": ({"gas": 30_000_001}, "exceeds block gas limit"),
    "tip_above_the_fee": ({"maxPriorityFeePerGas": 10**10}, "max priority fee"),
}


@pytest.mark.parametrize(("changes", "words"), REFUSALS.values(), ids=REFUSALS)
def test_a_transaction_that_can_never_be_mined_is_refused(local: Local, changes: dict, words: str) -> None:
    nonce = changes.pop("nonce", 0)
    with pytest.raises(Refused, match=words):
        local.chain.submit(local.raw(nonce, **changes))


@pytest.mark.parametrize(
    "raw",
    [b"", b"\x00", b"\x02", b"\x02\xc0", b"\x03\xc0", b"\xc0", b"\x7f" * 40, b"\xf8\xff"],
    ids=lambda raw: raw.hex()[:8] or "empty",
)
def test_bytes_that_are_no_transaction_are_refused(local: Local, raw: bytes) -> None:
    with pytest.raises(Refused):
        local.chain.submit(raw)


def test_a_signature_that_was_touched_is_another_sender_or_none(local: Local) -> None:
    raw = bytearray(local.raw(0))
    raw[-1] ^= 1
    with pytest.raises(Refused, match=r"insufficient funds|invalid transaction"):
        local.chain.submit(bytes(raw))


def test_a_transaction_without_a_chain_id_is_refused(local: Local) -> None:
    body = {"nonce": 0, "to": SOMEBODY, "value": 1, "gas": 21_000, "gasPrice": 10**10}
    raw = bytes(Account.from_key(local.key).sign_transaction(body).raw_transaction)
    with pytest.raises(Refused, match="chain id"):
        local.chain.submit(raw)


def test_a_replacement_takes_the_place_of_the_first_in_the_pool_and_on_disk(local: Local) -> None:
    first = local.chain.submit(local.raw(0))
    with pytest.raises(Refused, match="already known"):
        local.chain.submit(local.raw(0))
    with pytest.raises(Refused, match="underpriced"):
        local.chain.submit(local.raw(0, fee=3 * 10**9 + 10**8))
    second = local.chain.submit(local.raw(0, fee=4 * 10**9, value=2))
    local.reopen()
    local.mine()
    assert local.chain.store.transaction_of(first) is None
    assert local.chain.store.transaction_of(second) is not None
    assert local.balance() == 2


def test_a_gap_in_nonces_waits_until_it_is_filled(local: Local) -> None:
    local.chain.submit(local.raw(1))
    assert not local.chain.has_ready()
    local.mine()
    assert local.balance() == 0
    local.chain.submit(local.raw(0))
    assert local.chain.pending_nonce(local.address) == 2
    local.mine()
    assert local.balance() == 2


def test_a_fee_below_the_base_fee_waits_and_holds_back_only_its_sender(local: Local, tmp_path: Path) -> None:
    other = b"\x01" * 32
    local.chain.submit(local.raw(0, to=address_of(other), value=10**18))
    local.mine()
    local.chain.submit(local.raw(1, fee=100))
    local.chain.submit(local.raw(2))
    local.chain.submit(local.raw(0, key=other))
    local.mine()
    assert local.balance() == 1
    assert len(local.chain.store.pending()) == 2


def test_what_its_sender_can_no_longer_pay_leaves_the_pool(local: Local) -> None:
    all_but_little = 10**27 - 10**18
    local.chain.submit(local.raw(0, value=all_but_little))
    local.chain.submit(local.raw(1, value=all_but_little))
    local.mine()
    assert local.balance() == all_but_little
    assert local.chain.store.pending() == []
    assert not local.chain.has_ready()


def test_a_full_block_leaves_the_rest_for_the_next(local: Local) -> None:
    for nonce in range(3):
        local.chain.submit(local.raw(nonce, gas=14_000_000))
    local.mine()
    assert local.balance() == 2
    local.mine()
    assert local.balance() == 3


# --- requests ---


async def _answer(server: ChainServer, method: str, params: list) -> dict:
    return await server._answer({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})


HOSTILE = {
    "no_such_method": ("eth_sign", [], -32601),
    "params_missing": ("eth_getBalance", [], -32602),
    "address_short": ("eth_getBalance", ["0x11", "latest"], -32602),
    "tag_unknown": ("eth_getBalance", ["0x" + "11" * 20, "newest"], -32602),
    "number_beyond_the_head": ("eth_getBalance", ["0x" + "11" * 20, "0xffffffffffffffffffff"], -32001),
    "hash_unknown": ("eth_getCode", ["0x" + "11" * 20, {"blockHash": "0x" + "22" * 32}], -32001),
    "slot_too_long": ("eth_getStorageAt", ["0x" + "11" * 20, "0x" + "1" * 65, "latest"], -32602),
    "too_many_slots": ("eth_getProof", ["0x" + "11" * 20, ["0x0"] * 1025, "latest"], -32602),
    "topics_no_list": ("eth_getLogs", [{"topics": "0x"}], -32602),
    "five_topics": ("eth_getLogs", [{"topics": [None] * 5}], -32602),
    "raw_no_hex": ("eth_sendRawTransaction", ["zz"], -32602),
    "call_no_object": ("eth_call", ["0x", "latest"], -32602),
    "call_without_to": ("eth_call", [{}, "latest"], -32602),
    "mine_none": ("evm_mine", [{"blocks": 0}], -32602),
    "mine_for_ever": ("evm_mine", [{"blocks": 10**12}], -32602),
    "reorganised_into_something": ("anvil_reorg", [1, [["0x02", 0]]], -32602),
    "finality_held_perhaps": ("bonafides_holdFinality", ["0x1"], -32602),
    "history_of_nothing": ("eth_feeHistory", ["0x0", "latest"], -32602),
}


@pytest.mark.parametrize(("method", "params", "code"), HOSTILE.values(), ids=HOSTILE)
async def test_a_request_without_form_is_answered_with_its_error(
    local: Local, method: str, params: list, code: int
) -> None:
    answer = await _answer(ChainServer(local.chain), method, params)
    assert answer["error"]["code"] == code


async def test_account_and_slot_of_nobody_are_proven_absent(local: Local) -> None:
    answer = await _answer(ChainServer(local.chain), "eth_getProof", ["0x" + "99" * 20, ["0x0"], "latest"])
    proof = answer["result"]
    assert proof["accountProof"]
    assert proof["storageProof"] == [{"key": "0x0", "value": "0x0", "proof": []}]
    assert proof["codeHash"] == "0x" + keccak256(b"").hex()


@pytest.fixture
async def served(local: Local) -> AsyncIterator[TestServer]:
    server = TestServer(make_app(ChainServer(local.chain)))
    await server.start_server()
    yield server
    await server.close()


async def test_a_page_in_a_browser_cannot_speak_to_the_chain(served: TestServer) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.post(served.make_url("/"), data=b'{"method":"eth_chainId"}') as response:
            assert response.status == 415
        headers = {"Content-Type": "application/json"}
        async with session.post(served.make_url("/"), data=b"{", headers=headers) as response:
            assert (await response.json())["error"]["code"] == -32700
        async with session.post(served.make_url("/"), data=b"[]", headers=headers) as response:
            assert (await response.json())["error"]["code"] == -32600
        async with session.get(served.make_url("/health")) as response:
            assert await response.json() == {"status": "ok", "block": 0}


async def test_a_failing_method_is_an_error_of_its_own_and_not_the_end(
    served: TestServer, local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local.chain, "proof", _disk_full)
    async with ChainClient(str(served.make_url("/"))) as client:
        with pytest.raises(RpcError, match="internal error"):
            await client.proof(SOMEBODY, [], "latest")
        assert await client.chain_id() == local.chain.chain_id


# --- commands ---


def test_the_command_makes_blocks_on_a_running_chain(devchain: RunningChain) -> None:
    result = CliRunner().invoke(chain_commands, ["mine", "2", "--rpc", devchain.url, "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["block"] >= 2


def test_a_chain_that_is_not_there_is_one_line_of_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chain", "mine", "--rpc", "http://127.0.0.1:1/secret-key"]) == 1
    told = capsys.readouterr().err
    assert told.startswith("bonafides: chain endpoint 127.0.0.1:1 ")
    assert "secret-key" not in told


def test_the_commands_are_loaded_without_the_chain_itself() -> None:
    code = "import sys, node.chain.commands; print([m for m in ('eth', 'web3', 'aiohttp', 'rlp') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_operator_is_told_what_to_install() -> None:
    code = (
        "import sys; sys.modules['eth'] = None\n"
        "from node.core.errors import Misconfigured\n"
        "try:\n    import node.chain.devchain\nexcept Misconfigured as error:\n    print(error.detail)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "bonafides[devchain]" in done.stdout
