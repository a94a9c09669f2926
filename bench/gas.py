"""Gas of each contract call, as a receipt would show it: intrinsic cost, calldata and refunds included.

Each call is a transaction in a block of its own on py-evm (Prague), so every slot is cold, as it is on a real
chain; `tests/contracts` finds the same on Anvil. `python -m bench.gas` prints the table of `contracts/README.md`, and
what a credential costs.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Protocol

from bench.rows import Row
from contracts import deployment_code, load_artifact
from node.chain.transactions import address_of
from node.core.evm.keccak import keccak256

GAS_LIMIT = 16_000_000
CHAIN_ID = 31337
OWNER = b"\x01" * 32
WRITER = b"\x02" * 32
_GAS_PRICE = 10**10
_KEY = b"\xed\x01" + bytes(range(1, 33))
_OTHER_KEY = b"\xed\x01" + bytes(range(2, 34))
_LIST = b"\x11" * 32
_SETTABLE = b"\x22" * 32
_FULL = 2**256 - 1
_SET_UP = (
    "DIDRegistry.setAttribute (34 bytes, first event)",
    "add_key (34 bytes)",
    "set_writer (first write of the identity)",
    "open_list",
)
GAS_PRICES = (1, 10, 30)  # gwei
DOLLARS_AN_ETHER = 3_000
BATCHES = (1, 100, 10_000, 1_000_000)
_AT_MOST = {"anchor": 62_000, "set_status_word (new)": 61_000, "set_status_word (existing)": 44_000}


@dataclass(frozen=True, slots=True)
class Receipt:
    """Of a transaction: its gas, the number of its block, and the address of what it deployed."""

    gas: int
    block: int
    contract: bytes


class Meter(Protocol):
    """A chain on which `OWNER` and `WRITER` have ether and have sent nothing yet."""

    def send(self, key: bytes, to: bytes, data: bytes) -> Receipt:
        """Of a transaction in a block of its own, which must succeed; `to` is empty where it deploys."""


class PyEvm:
    """A chain in memory."""

    def __init__(self) -> None:
        from eth.chains.base import MiningChain
        from eth.db.atomic import AtomicDB
        from eth.vm.forks.prague import PragueVM

        funded = {"balance": 10**24, "nonce": 0, "code": b"", "storage": {}}
        accounts: dict[Any, Any] = {address_of(key): funded for key in (OWNER, WRITER)}
        chain_class = MiningChain.configure("GasChain", vm_configuration=((0, PragueVM),), chain_id=CHAIN_ID)
        genesis: dict[str, Any] = {
            "difficulty": 0,
            "gas_limit": 30_000_000,
            "timestamp": int(time.time()) - 3600,
        }
        self._chain: Any = chain_class.from_genesis(AtomicDB(), genesis, accounts)

    def send(self, key: bytes, to: bytes, data: bytes) -> Receipt:
        """As `Meter` asks for."""
        from eth_keys.datatypes import PrivateKey

        nonce = self._chain.get_vm().state.get_nonce(address_of(key))
        transaction = self._chain.create_unsigned_transaction(
            nonce=nonce, gas_price=_GAS_PRICE, gas=GAS_LIMIT, to=to, value=0, data=data
        ).as_signed_transaction(PrivateKey(key), chain_id=CHAIN_ID)
        mined, _, [computation] = self._chain.mine_all([transaction])
        assert computation.is_success, computation.error
        header = mined.imported_block.header
        return Receipt(header.gas_used, header.block_number, computation.msg.storage_address)


def _encode_call(contract: str, name: str, arguments: tuple[Any, ...]) -> bytes:
    from eth_abi.abi import encode

    [entry] = [item for item in load_artifact(contract)["abi"] if item.get("name") == name]
    types = [_type_text(item) for item in entry["inputs"]]
    return keccak256(f"{name}({','.join(types)})".encode())[:4] + encode(types, arguments)


def _type_text(item: dict[str, Any]) -> str:
    if not item["type"].startswith("tuple"):
        return str(item["type"])
    members = ",".join(_type_text(member) for member in item["components"])
    return f"({members}){item['type'].removeprefix('tuple')}"


def gas_of_each(meter: Meter) -> dict[str, int]:
    """Gas of both deployments and of each call, in the order of an issuer's life."""
    deployed = meter.send(OWNER, b"", deployment_code("DIDRegistry"))
    dids, did_gas = deployed.contract, deployed.gas
    deployed = meter.send(OWNER, b"", deployment_code("CredentialRegistry", dids))
    registry, registry_gas = deployed.contract, deployed.gas
    school, writer_address = address_of(OWNER), address_of(WRITER)
    attribute, delegate = b"did/pub/Multikey/veriKey".ljust(32, b"\0"), b"veriKey".ljust(32, b"\0")
    newest = deployed.block

    def did(name: str, *arguments: Any) -> int:
        return call(OWNER, dids, "DIDRegistry", name, *arguments)

    def own(name: str, *arguments: Any) -> int:
        return call(OWNER, registry, "CredentialRegistry", name, *arguments)

    def write(name: str, *arguments: Any) -> int:
        return call(WRITER, registry, "CredentialRegistry", name, *arguments)

    def call(key: bytes, to: bytes, contract: str, name: str, *arguments: Any) -> int:
        nonlocal newest
        receipt = meter.send(key, to, _encode_call(contract, name, (school, *arguments)))
        newest = receipt.block
        return receipt.gas

    # The order counts: a dict display is evaluated from top to bottom.
    return {
        "deploy DIDRegistry": did_gas,
        "deploy CredentialRegistry": registry_gas,
        "DIDRegistry.setAttribute (34 bytes, first event)": did("setAttribute", attribute, _KEY, 10**9),
        "DIDRegistry.setAttribute (34 bytes)": did("setAttribute", attribute, _OTHER_KEY, 10**9),
        "DIDRegistry.revokeAttribute (34 bytes)": did("revokeAttribute", attribute, _OTHER_KEY),
        "DIDRegistry.addDelegate": did("addDelegate", delegate, writer_address, 10**6),
        "DIDRegistry.revokeDelegate": did("revokeDelegate", delegate, writer_address),
        "set_writer (first write of the identity)": own("set_writer", writer_address, 7, 2**48 - 1),
        "add_key (34 bytes)": own("add_key", _KEY, 1),
        "open_list": own("open_list", _LIST, 1, 17, 1),
        "open_list (by a writer)": write("open_list", _SETTABLE, 2, 17, 1),
        "anchor": own("anchor", b"\x01" * 32),
        "anchor (by a writer)": write("anchor", b"\x02" * 32),
        "anchor (repeated)": write("anchor", b"\x02" * 32),
        "set_status_word (new)": own("set_status_word", _LIST, (0, 1, 0)),
        "set_status_word (existing)": own("set_status_word", _LIST, (0, 2, 0)),
        "set_status_word (new, by a writer)": write("set_status_word", _LIST, (1, 1, 0)),
        "set_status_word (existing, by a writer)": write("set_status_word", _LIST, (1, 2, 0)),
        "set_status_word (unchanged)": write("set_status_word", _LIST, (1, 2, 0)),
        "set_status (16 words, new)": own("set_status", _LIST, [(n, 1, 0) for n in range(100, 116)]),
        "set_status (256 words, new)": own("set_status", _LIST, [(n, _FULL, 0) for n in range(256, 512)]),
        "publish_list (first)": own("publish_list", _LIST, writer_address),
        "compromise_key": own("compromise_key", keccak256(_KEY), newest),
        "add_key (34 bytes, second)": own("add_key", _OTHER_KEY, 1),
        "retire_key": own("retire_key", keccak256(_OTHER_KEY)),
        "close": own("close"),
        "DIDRegistry.changeOwner": did("changeOwner", bytes(18) + b"\xde\xad"),
    }


def measure() -> Iterator[Row]:
    """Each call; the same in every run."""
    for name, amount in gas_of_each(PyEvm()).items():
        at_most = _AT_MOST.get(name.replace(", by a writer", "").replace(" (by a writer)", ""))
        yield Row(name if at_most else f"  {name}", amount, "gas", at_most=at_most)


def markdown_table(gas: dict[str, int]) -> str:
    """The figures as the table of `contracts/README.md`."""
    rows = "".join(f"| {name} | {amount:,} |\n" for name, amount in gas.items())
    return "| call | gas |\n| --- | ---: |\n" + rows


def cost_table(gas: dict[str, int]) -> str:
    """What each credential costs by the size of its batch, and what each revocation does, as a table of documents.

    The issuer's worker anchors and revokes by a writer.
    """
    prices = " | ".join(f"{price} gwei" for price in GAS_PRICES)
    head = f"| each | gas | {prices} |\n| --- | ---: |{' ---: |' * len(GAS_PRICES)}\n"
    rows = [(f"credential, batch of {size:,}", gas["anchor (by a writer)"] / size) for size in BATCHES]
    rows += [
        ("revocation, alone in its word of 256", gas["set_status_word (new, by a writer)"]),
        ("revocation, not the first in its word", gas["set_status_word (existing, by a writer)"]),
        ("revocation, 16 words in one call", gas["set_status (16 words, new)"] / 16),
        ("school, once: attribute, key, writer, list", sum(gas[name] for name in _SET_UP)),
    ]
    return head + "".join(f"| {what} | {_short(amount)} | {_prices(amount)} |\n" for what, amount in rows)


def _prices(gas: float) -> str:
    return " | ".join(f"${_short(gas * price * 1e-9 * DOLLARS_AN_ETHER)}" for price in GAS_PRICES)


def _short(number: float) -> str:
    """To three digits, without an exponent."""
    if number >= 100:
        return f"{number:,.0f}"
    return f"{Decimal(f'{number:.3g}'):f}"


def main() -> None:
    """Print both tables."""
    gas = gas_of_each(PyEvm())
    print(markdown_table(gas), cost_table(gas), sep="\n", end="")


if __name__ == "__main__":
    main()
