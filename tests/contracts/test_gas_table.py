"""The tables of contracts/README.md are what the calls cost, on py-evm as on Anvil."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fixtures.chain import AnvilProcess, in_thread

from bench.gas import (
    BATCHES,
    CHAIN_ID,
    GAS_LIMIT,
    OWNER,
    WRITER,
    PyEvm,
    Receipt,
    cost_table,
    gas_of_each,
    markdown_table,
)
from node.chain.transactions import address_of
from node.commands.issuer_options import MAX_BATCH_SIZE
from node.core.encoding import decode_hex, encode_hex
from node.outbound.chain import ChainClient
from node.services.costs import ANCHOR_GAS

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "contracts" / "README.md"


@pytest.fixture(scope="module")
def gas() -> dict[str, int]:
    return gas_of_each(PyEvm())


def between(name: str, text: str) -> str:
    """What stands between the marks of a table."""
    return text.partition(f"<!-- {name}: kept equal to bench/gas.py by tests/contracts -->\n")[2].partition(
        f"<!-- /{name} -->"
    )[0]


def test_readme_tells_what_each_call_costs(gas: dict[str, int]) -> None:
    assert between("gas", README.read_text("utf-8")) == markdown_table(gas)


def test_every_document_that_tells_what_a_credential_costs_tells_the_same(gas: dict[str, int]) -> None:
    told = {
        document: between("costs", document.read_text("utf-8")) for document in (README, ROOT / "README.md")
    }
    assert set(told.values()) == {cost_table(gas)}


@pytest.mark.parametrize("call", ["anchor", "anchor (by a writer)"])
def test_an_anchor_takes_no_more_gas_than_is_reckoned_with(gas: dict[str, int], call: str) -> None:
    assert gas[call] <= ANCHOR_GAS == 62_000


@pytest.mark.parametrize(("call", "at_most"), [("new", 61_000), ("existing", 44_000)])
def test_the_owner_writes_a_status_word_for_no_more_gas_than_is_told(
    gas: dict[str, int], call: str, at_most: int
) -> None:
    assert gas[f"set_status_word ({call})"] <= at_most


def test_no_batch_is_told_of_that_cannot_be_closed() -> None:
    assert max(BATCHES) <= MAX_BATCH_SIZE


class Anvil:
    """Anvil, which makes a block when it is told to, and is told to believe who sends."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ask([("anvil_setBalance", [sender, hex(10**24)]) for sender in _SENDERS])
        self._ask([("anvil_impersonateAccount", [sender]) for sender in _SENDERS])

    def send(self, key: bytes, to: bytes, data: bytes) -> Receipt:
        """As `bench.gas.Meter` asks for."""
        sender = encode_hex(address_of(key))
        transaction = {"from": sender, "data": encode_hex(data), "gas": hex(GAS_LIMIT)}
        if to:
            transaction["to"] = encode_hex(to)
        [digest] = self._ask([("eth_sendTransaction", [transaction])])
        # Left to itself it answers before it has made the block.
        self._ask([("evm_mine", [])])
        [receipt] = self._ask([("eth_getTransactionReceipt", [digest])])
        assert receipt["status"] == "0x1"
        contract = decode_hex(receipt["contractAddress"]) if not to else b""
        return Receipt(int(receipt["gasUsed"], 16), int(receipt["blockNumber"], 16), contract)

    def _ask(self, requests: list[tuple[str, list[Any]]]) -> Any:
        async def ask() -> Any:
            async with ChainClient(self._url) as client:
                return await client.batch(requests)

        return in_thread(ask)


_SENDERS = [encode_hex(address_of(key)) for key in (OWNER, WRITER)]


@pytest.fixture
def still_anvil() -> Iterator[str]:
    chain = AnvilProcess("--chain-id", str(CHAIN_ID), "--no-mining")
    chain.start()
    try:
        yield chain.url
    finally:
        chain.stop()


@pytest.mark.anvil
def test_anvil_finds_that_each_call_costs_as_much(still_anvil: str, gas: dict[str, int]) -> None:
    assert gas_of_each(Anvil(still_anvil)) == gas
