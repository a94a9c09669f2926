"""Reading the chain: state proofs of mainnet's size, what they take in a bundle, and an anchor read by JSON-RPC.

State proofs are drawn (`bench/tries.py`) for so many accounts and slots as a large chain and a busy registry have. A
bundle with one status entry proves five slots: anchor, key, closing (absent), list, and a word of it that has 32 bytes.
The state after the demo is that of the files which `bonafides demo --dir` leaves; BONAFIDES_DEMO_DIR names a folder of
one that was run before. An anchor is read from Anvil, a process of its own, over connections that stay open.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any

from bench.anvil import ANVIL, ANVIL_KEY, anvil
from bench.rows import Row, each, in_turns
from bench.tries import draw_trie
from node.core.bundle import BundleHop, BundleState, parse_bundle
from node.core.evm import registry, rlp
from node.core.evm.header import Header, parse_header
from node.core.evm.keccak import keccak256
from node.core.evm.state_proof import prove_history, prove_slots
from node.core.strict_json import parse_json_object

ACCOUNTS = 300_000_000
SLOTS = 1_000_000
# Each is drawn anew, so that the largest is one that hardly anybody will meet.
DRAWN = 300
_PROVEN = 40
_ROUNDS = 10
_READS = 40
_NUMBER = 23_000_000
_ROOT = Path(__file__).resolve().parent.parent


def measure(rounds: int = _ROUNDS) -> Iterator[Row]:
    """Proofs, their size, and an anchor."""
    yield from _proofs(rounds)
    sizes = [size_of(draw_state(seed).bundled) for seed in range(DRAWN)]
    yield Row("state part of a bundle after the demo, raw", _after_the_demo(), "bytes", at_most=4_000)
    work = f"state part of a bundle, {ACCOUNTS:,} accounts, {SLOTS:,} slots"
    yield Row(f"{work}, raw", max(sizes), "bytes", at_most=17_000)
    yield Row(f"  the same on average: that was the largest of {DRAWN}", round(fmean(sizes)), "bytes")
    hops = [size_of(draw_hop(seed)) for seed in range(DRAWN)]
    yield Row("  what a hop adds to it, on average", round(fmean(hops)), "bytes")
    yield from _anchor_read(rounds)


# --- state proofs


class DrawnState:
    """A header, and the nodes that prove `slots` of the account at `address` under it."""

    def __init__(self, random: Random, address: bytes, slots: dict[bytes, int], stored: int) -> None:
        self.address = address
        self.slots = slots
        words = {
            keccak256(slot): rlp.encode(rlp.encode_integer(word)) if word else None
            for slot, word in slots.items()
        }
        there = sum(1 for word in words.values() if word is not None)
        root, self.storage = draw_trie(words, stored - there, random, rlp.encode(random.randbytes(18)))
        account = _account(root, random)
        others_account = _account(random.randbytes(32), random)
        state_root, self.account = draw_trie(
            {keccak256(address): account}, ACCOUNTS - 1, random, others_account
        )
        self.header = _header(state_root, random)

    @property
    def bundled(self) -> BundleState:
        """As it stands in a bundle."""
        return BundleState(self.header.raw, (*self.account, *self.storage))

    def prove(self) -> None:
        """As a verifier does; errors where it does not hold."""
        proven = prove_slots(self.header, self.bundled.nodes, self.address, tuple(self.slots))
        assert proven.values == self.slots


def draw_state(seed: int, slots: int = 5) -> DrawnState:
    """What a bundle with one status entry proves of a registry, or the first few slots of it."""
    random = _random(seed)
    identity, commitment, key_hash, listed = (random.randbytes(length) for length in (20, 32, 32, 32))
    block, now, count = _NUMBER - 10_000, 1_750_000_000, 70_000
    wanted = {
        registry.anchor_slot(identity, commitment): block | now << 48 | count << 96,
        registry.key_hash_slot(identity, key_hash): block | 1 << 192,
        registry.closed_slot(identity): 0,
        registry.list_slot(identity, listed): 1 | 17 << 8 | 1 << 16 | block << 24,
        registry.status_slot(identity, listed, random.randrange(512)): 1 << 255 | random.getrandbits(255),
    }
    return DrawnState(random, random.randbytes(20), dict(list(wanted.items())[:slots]), SLOTS)


def draw_hop(seed: int) -> BundleHop:
    """A newer header, and the nodes that prove the hash of an older one in its history contract (EIP-2935)."""
    random = _random(seed)
    digest = random.randbytes(32)
    slot = registry.history_slot(_NUMBER - 1)
    word = int.from_bytes(digest, "big")
    drawn = DrawnState(random, registry.HISTORY_ADDRESS, {slot: word}, registry.HISTORY_BLOCKS)
    hop = BundleHop(drawn.header.raw, drawn.bundled.nodes)
    assert prove_history(drawn.header, hop.nodes, _NUMBER - 1) == digest
    return hop


def size_of(part: BundleState | BundleHop) -> int:
    """Bytes of header and nodes, before they are written as base64url."""
    return len(part.header) + sum(map(len, part.nodes))


def _random(seed: int) -> Random:
    return Random(seed)  # noqa: S311 - the same in every run


def _account(storage_root: bytes, random: Random) -> bytes:
    return rlp.encode([b"\x01", rlp.encode_integer(10**18), storage_root, random.randbytes(32)])


def _header(state_root: bytes, random: Random) -> Header:
    """A header with the fields of Prague, as long as mainnet's."""
    hashes = [random.randbytes(32) for _ in range(8)]
    start = [
        hashes[0],
        hashes[1],
        random.randbytes(20),
        state_root,
        hashes[2],
        hashes[3],
        random.randbytes(256),
    ]
    numbers = [0, _NUMBER, 45_000_000, 20_000_000, 1_750_000_000]
    end = [random.randbytes(20), hashes[4], bytes(8), rlp.encode_integer(10**9), hashes[5]]
    blobs = [rlp.encode_integer(number) for number in (393_216, 100_000_000)]
    fields = [*start, *map(rlp.encode_integer, numbers), *end, *blobs, hashes[6], hashes[7]]
    return parse_header(rlp.encode(fields))


def _proofs(rounds: int) -> Iterator[Row]:
    three, five = ([draw_state(seed, count) for seed in range(_PROVEN)] for count in (3, 5))
    found = in_turns(
        {
            "three": each(DrawnState.prove, three),
            "five": each(DrawnState.prove, five),
            "bare": each(lambda state: [keccak256(node) for node in state.bundled.nodes], five),
            "trie": each(_prove_by_trie, five),
        },
        rounds,
    )
    nodes = fmean(len(state.bundled.nodes) for state in five)
    yield Row("state proof, account and 3 slots", found["three"] * 1e3, "ms", at_most=1)
    work = f"  state proof, account and 5 slots, {nodes:.0f} nodes"
    yield Row(work, found["five"] * 1e3, "ms")
    yield Row(work, found["five"] / found["bare"], "times Keccak-256 of its nodes")
    yield Row(work, found["trie"] / found["five"], "times PyPI trie")


def _prove_by_trie(state: DrawnState) -> None:
    prove: Any = importlib.import_module("trie").HexaryTrie.get_from_proof
    account = prove(state.header.state_root, keccak256(state.address), [*map(rlp.decode, state.account)])
    root = rlp.decode(account)[2]
    nodes = [*map(rlp.decode, state.storage)]
    for slot, word in state.slots.items():
        assert bool(prove(root, keccak256(slot), nodes)) == bool(word)


def _after_the_demo() -> int:
    """The largest state part among the bundles that the demo leaves."""
    if known := os.environ.get("BONAFIDES_DEMO_DIR"):
        return largest_state(Path(known) / "out")
    with tempfile.TemporaryDirectory(prefix="bonafides-bench-") as folder:
        made = Path(folder) / "demo"
        command = [sys.executable, "-m", "node", "demo", "--dir", str(made)]
        subprocess.run(command, cwd=_ROOT, stdout=subprocess.DEVNULL, check=True)
        return largest_state(made / "out")


def largest_state(out: Path) -> int:
    """Raw bytes of the largest state part among the bundles of a folder."""
    bundles = [parse_bundle(parse_json_object(file.read_bytes())) for file in out.glob("*bundle.json")]
    return max(size_of(bundle.state) for bundle in bundles if bundle.state is not None)


# --- an anchor


def _anchor_read(rounds: int) -> Iterator[Row]:
    work = "read an anchor by JSON-RPC"
    if not ANVIL.exists():
        yield Row(work, "no Anvil: npm ci --prefix tests/interop --ignore-scripts")
        return
    with anvil() as url:
        ours, theirs, our_work, their_work = asyncio.run(_reads(url, rounds))
    yield Row(work, ours / theirs, "times web3's contract call", at_most=0.2)
    yield Row("  by JSON-RPC", ours * 1e6, "µs")
    yield Row("  by web3's contract call", theirs * 1e6, "µs")
    yield Row("  by JSON-RPC, our own processor time", our_work * 1e6, "µs")
    yield Row("  by web3's contract call, its own processor time", their_work * 1e6, "µs")


async def _reads(url: str, rounds: int) -> tuple[float, float, float, float]:
    """Seconds a read, by us and by web3; then the processor time of this process alone."""
    from web3 import AsyncHTTPProvider, AsyncWeb3

    from contracts import load_artifact
    from node.chain.transactions import CredentialRegistryCalls, Transactions, address_of, ensure_deployed
    from node.outbound.chain import ChainClient

    identity, commitment = address_of(ANVIL_KEY), b"\x01" * 32
    slot = registry.anchor_slot(identity, commitment)
    async with ChainClient(url) as client:
        transactions = Transactions(client)
        address = (await ensure_deployed(transactions, ANVIL_KEY)).credential_registry
        call = CredentialRegistryCalls(address).anchor(identity, commitment)
        await transactions.send_all([call], ANVIL_KEY, gas_limits=[120_000])
        provider = AsyncHTTPProvider(url)
        contract = AsyncWeb3(provider).eth.contract(
            AsyncWeb3.to_checksum_address(address), abi=load_artifact("CredentialRegistry")["abi"]
        )

        async def by_us() -> int:
            return await client.storage_at(address, slot)

        async def by_web3() -> int:
            word: int = await contract.functions.anchors(
                AsyncWeb3.to_checksum_address(identity), commitment
            ).call()
            return word

        assert 0 < await by_us() == await by_web3()
        taken = [(*await _timed(by_us), *await _timed(by_web3)) for _ in range(rounds + 1)][1:]
        await provider.disconnect()
    ours, our_work, theirs, their_work = (min(column) for column in zip(*taken, strict=True))
    return ours, theirs, our_work, their_work


async def _timed(read: Callable[[], Awaitable[int]]) -> tuple[float, float]:
    """Seconds of a read, the mean of several, and those of the processor."""
    started, used = time.perf_counter(), time.process_time()
    for _ in range(_READS):
        await read()
    return (time.perf_counter() - started) / _READS, (time.process_time() - used) / _READS
