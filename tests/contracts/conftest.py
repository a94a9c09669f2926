"""The two contracts, deployed from their committed artefacts into an EVM in memory, and undone after each test."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import boa
import pytest

from contracts import deployment_code, load_artifact

sys.path.insert(0, str(Path(__file__).parent))  # for the model beside

NAMES = ("school", "writer", "heir", "stranger")


def raw(address: str) -> bytes:
    return bytes.fromhex(address.removeprefix("0x"))


def text(address: bytes) -> str:
    return "0x" + address.hex()


@dataclass
class Chain:
    """One chain with both registries; calls take and give 20-byte addresses."""

    dids: Any
    registry: Any
    accounts: dict[str, bytes] = field(
        default_factory=lambda: {name: raw(boa.env.generate_address(name)) for name in NAMES}
    )

    @property
    def block(self) -> int:
        return int(boa.env.evm.patch.block_number)

    @property
    def time(self) -> int:
        return int(boa.env.evm.patch.timestamp)

    def pass_time(self, blocks: int = 1, seconds: int = 12) -> None:
        boa.env.evm.patch.block_number += blocks
        boa.env.evm.patch.timestamp += seconds

    def word(self, slot: int, of: Any = None) -> int:
        """The storage word of the registry, or of another contract."""
        return int(boa.env.get_storage((of or self.registry).address, slot))

    def call(
        self, sender: bytes, name: str, *arguments: Any, of: Any = None
    ) -> list[tuple[str, dict[str, Any]]]:
        """Call as `sender`, and return the events as (name, members)."""
        contract = of or self.registry
        values = [
            text(value) if isinstance(value, bytes) and len(value) == 20 else value for value in arguments
        ]
        getattr(contract, name)(*values, sender=text(sender))
        return [(type(log).__name__, _members(log)) for log in contract.get_logs()]

    def change_owner(self, sender: bytes, identity: bytes, owner: bytes) -> None:
        self.call(sender, "changeOwner", identity, owner, of=self.dids)


def _members(log: Any) -> dict[str, Any]:
    members = {name: value for name, value in log._asdict().items() if name != "address"}
    return {name: raw(value) if isinstance(value, str) else value for name, value in members.items()}


def deploy(name: str, *addresses: bytes) -> Any:
    """Deploy the artefact of `name` and return a handle that speaks its ABI."""
    address, computation = boa.env.deploy(bytecode=deployment_code(name, *addresses))
    if computation.is_error:
        raise computation.error
    return boa.loads_abi(json.dumps(load_artifact(name)["abi"]), name=name).at(address)


@pytest.fixture(scope="session")
def deployed() -> Chain:
    dids = deploy("DIDRegistry")
    return Chain(dids, deploy("CredentialRegistry", raw(dids.address)))


@pytest.fixture
def chain(deployed: Chain) -> Iterator[Chain]:
    with boa.env.anchor():
        yield deployed
