"""The contracts of the project: their compiled artefacts, and what their addresses are made of.

Only the standard library is imported here, so that the core's callers, the node's chain commands and tests
can all read the artefacts, from a checkout or a wheel. The Vyper sources lie beside; `contracts.build` compiles
them.
"""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

CONTRACT_NAMES = ("DIDRegistry", "CredentialRegistry")

# Handed to the deployer 0x4e59b44847b379578588920ca78fbf26c0b4956c (CREATE2), so that anybody deploys the same
# code to the same address on every chain (FORMATS.md section 1). Readable ASCII, zero-padded to 32 bytes;
# another text gives another address, so it changes only together with the code. Both contracts use it: their
# init codes differ.
DEPLOYMENT_SALT = b"bonafides contracts 1".ljust(32, b"\x00")


def load_artifact(name: str) -> dict[str, Any]:
    """Return the artefact of contract `name`, one of CONTRACT_NAMES, as `contracts.build` wrote it.

    Members: `name`, `abi`, `initcode` and `runtime` (0x-hex; without constructor arguments and immutables),
    `immutables` and `storage` (name to offset or slot), `compiler`, `evmVersion`, `integrity` (SHA-256 over
    the sources, as Vyper counts it). An unknown name is a KeyError.
    """
    if name not in CONTRACT_NAMES:
        raise KeyError(name)
    artifact: dict[str, Any] = json.loads(
        files("contracts").joinpath("artifacts", f"{name}.json").read_text("utf-8")
    )
    return artifact


def deployment_code(name: str, *addresses: bytes) -> bytes:
    """Return the init code of contract `name` followed by its constructor arguments, 20-byte addresses.

    DIDRegistry takes none, CredentialRegistry the address of the chain's ERC-1056 registry.
    """
    return _with_addresses(load_artifact(name), "initcode", addresses)


def deployed_code(name: str, *addresses: bytes) -> bytes:
    """Return the code that stands at the address of contract `name`: runtime ‖ immutables, here addresses.

    Its keccak-256 is the account's code hash, which `networks.json` names for each network.
    """
    return _with_addresses(load_artifact(name), "runtime", addresses)


def _with_addresses(artifact: dict[str, Any], member: str, addresses: tuple[bytes, ...]) -> bytes:
    # Each constructor argument becomes an immutable, in the same order, so one rule serves both codes.
    expected = len(artifact["immutables"])
    if len(addresses) != expected or any(len(address) != 20 for address in addresses):
        raise ValueError(f"{artifact['name']} takes {expected} addresses of 20 bytes")
    code = bytes.fromhex(str(artifact[member]).removeprefix("0x"))
    return code + b"".join(address.rjust(32, b"\x00") for address in addresses)
