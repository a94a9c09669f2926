"""Gas of each contract call, as a receipt would show it: intrinsic cost, calldata and refunds included.

Each call is a transaction in a block of its own on py-evm (Prague), so every slot is cold, as it is on a real
chain. `python -m bench.gas` prints the table of `contracts/README.md`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

from bench.rows import Row
from contracts import deployment_code, load_artifact
from node.core.evm.keccak import keccak256

_GAS_LIMIT = 16_000_000
_GAS_PRICE = 10**10
_KEY = b"\xed\x01" + bytes(range(1, 33))
_OTHER_KEY = b"\xed\x01" + bytes(range(2, 34))
_LIST = b"\x11" * 32
_SETTABLE = b"\x22" * 32
_FULL = 2**256 - 1


class _Meter:
    """A chain in memory with two funded accounts, and the gas of what is sent to it."""

    def __init__(self) -> None:
        from eth.chains.base import MiningChain
        from eth.db.atomic import AtomicDB
        from eth.vm.forks.prague import PragueVM
        from eth_keys.datatypes import PrivateKey

        self.owner = PrivateKey(b"\x01" * 32)
        self.writer = PrivateKey(b"\x02" * 32)
        funded = {"balance": 10**24, "nonce": 0, "code": b"", "storage": {}}
        accounts: dict[Any, Any] = {
            key.public_key.to_canonical_address(): funded for key in (self.owner, self.writer)
        }
        chain_class = MiningChain.configure("GasChain", vm_configuration=((0, PragueVM),), chain_id=31337)
        genesis: dict[str, Any] = {
            "difficulty": 0,
            "gas_limit": 30_000_000,
            "timestamp": int(time.time()) - 3600,
        }
        self.chain: Any = chain_class.from_genesis(AtomicDB(), genesis, accounts)

    def deploy(self, name: str, *addresses: bytes) -> tuple[bytes, int]:
        """Deploy the artefact of `name`; its address and the gas."""
        gas, computation = self._send(self.owner, b"", deployment_code(name, *addresses))
        return computation.msg.storage_address, gas

    def call(self, key: Any, to: bytes, contract: str, name: str, *arguments: Any) -> int:
        """Gas of one call, which must succeed."""
        return self._send(key, to, _encode_call(contract, name, arguments))[0]

    def _send(self, key: Any, to: bytes, data: bytes) -> tuple[int, Any]:
        nonce = self.chain.get_vm().state.get_nonce(key.public_key.to_canonical_address())
        transaction = self.chain.create_unsigned_transaction(
            nonce=nonce, gas_price=_GAS_PRICE, gas=_GAS_LIMIT, to=to, value=0, data=data
        ).as_signed_transaction(key, chain_id=31337)
        mined, _, computations = self.chain.mine_all([transaction])
        assert computations[0].is_success, computations[0].error
        return mined.imported_block.header.gas_used, computations[0]


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


def gas_of_each() -> dict[str, int]:
    """Gas of both deployments and of each call, in the order of an issuer's life."""
    meter = _Meter()
    dids, did_gas = meter.deploy("DIDRegistry")
    registry, registry_gas = meter.deploy("CredentialRegistry", dids)
    owner, writer = meter.owner, meter.writer
    school = owner.public_key.to_canonical_address()
    writer_address = writer.public_key.to_canonical_address()
    attribute, delegate = b"did/pub/Multikey/veriKey".ljust(32, b"\0"), b"veriKey".ljust(32, b"\0")

    def did(name: str, *arguments: Any) -> int:
        return meter.call(owner, dids, "DIDRegistry", name, school, *arguments)

    def own(name: str, *arguments: Any) -> int:
        return meter.call(owner, registry, "CredentialRegistry", name, school, *arguments)

    def write(name: str, *arguments: Any) -> int:
        return meter.call(writer, registry, "CredentialRegistry", name, school, *arguments)

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
        "set_status (1 word, new)": own("set_status", _LIST, [(0, 1, 0)]),
        "set_status (1 word, existing)": own("set_status", _LIST, [(0, 2, 0)]),
        "set_status (1 word, new, by a writer)": write("set_status", _LIST, [(1, 1, 0)]),
        "set_status (1 word, existing, by a writer)": write("set_status", _LIST, [(1, 2, 0)]),
        "set_status (1 word, unchanged)": write("set_status", _LIST, [(1, 2, 0)]),
        "set_status (16 words, new)": own("set_status", _LIST, [(n, 1, 0) for n in range(100, 116)]),
        "set_status (256 words, new)": own("set_status", _LIST, [(n, _FULL, 0) for n in range(256, 512)]),
        "publish_list (first)": own("publish_list", _LIST, writer_address),
        "compromise_key": own(
            "compromise_key", keccak256(_KEY), meter.chain.get_canonical_head().block_number
        ),
        "add_key (34 bytes, second)": own("add_key", _OTHER_KEY, 1),
        "retire_key": own("retire_key", keccak256(_OTHER_KEY)),
        "close": own("close"),
        "DIDRegistry.changeOwner": did("changeOwner", bytes(18) + b"\xde\xad"),
    }


def measure() -> Iterator[Row]:
    """Each call; the same in every run."""
    return (Row(f"  {name}", amount, "gas") for name, amount in gas_of_each().items())


def markdown_table(gas: dict[str, int]) -> str:
    """The figures as the table of `contracts/README.md`."""
    rows = "".join(f"| {name} | {amount:,} |\n" for name, amount in gas.items())
    return "| call | gas |\n| --- | ---: |\n" + rows


def main() -> None:
    """Print the table."""
    print(markdown_table(gas_of_each()), end="")


if __name__ == "__main__":
    main()
