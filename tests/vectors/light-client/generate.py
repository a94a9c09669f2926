# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "eth-consensus-specs[test]==1.7.0a13",
# ]
# ///
"""Writes the official test vectors of light clients beside itself, by running the test functions that publish them.

    uv run tests/vectors/light-client/generate.py

The package `eth-consensus-specs` is Ethereum's executable specification, and holds the tests out of which its vectors
are made: what they yield is written here, and nothing else of it. They know no chance and sign with real keys. Nothing
of this project is imported.
"""

from __future__ import annotations

import importlib
import json
import lzma
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from eth_consensus_specs.debug.encode import encode
from eth_consensus_specs.test import context
from eth_consensus_specs.test.utils import yield_generator
from eth_consensus_specs.utils import bls
from eth_consensus_specs.utils.ssz.ssz_impl import hash_tree_root

HERE = Path(__file__).resolve().parent
FORKS = ("altair", "bellatrix", "capella", "deneb", "electra", "fulu")
FAR_FUTURE_EPOCH = 2**64 - 1
SYNC = tuple(f"{fork}.light_client.test_sync" for fork in ("altair", "bellatrix", "capella", "deneb", "fulu"))
PROOFS = tuple(f"{fork}.light_client.test_single_merkle_proof" for fork in ("altair", "capella"))
Parts = dict[str, tuple[str, Any]]
Case = dict[str, Any]


def yields(module: str, fork: str) -> Iterator[tuple[str, Parts]]:
    """The name of each test of a module that is written for `fork`, and what it yields: kind and value by name."""
    tests = importlib.import_module(f"eth_consensus_specs.test.{module}")
    for name in sorted(vars(tests)):
        found = getattr(tests, name)() if name.startswith("test_") else {}
        if fork in found:
            yield name.removeprefix("test_"), {key: (kind, value) for key, kind, value in found[fork]}
            assert bls.bls_active, "signatures would be stubs"


def sync(name: str, parts: Parts) -> Case:
    """A case of `light_client/sync`; documents as the Beacon API writes them."""
    meta = {key: value for key, (kind, value) in parts.items() if kind == "meta"}
    documents = {key: document(value) for key, (kind, value) in parts.items() if kind == "ssz"}
    return {
        "name": name,
        "meta": meta,
        "beacon": beacon(parts["config"][1], meta["genesis_validators_root"]),
        "bootstrap": documents.pop("bootstrap"),
        "updates": documents,
        "steps": parts["steps"][1],
    }


def beacon(config: dict[str, Any], genesis_validators_root: str) -> dict[str, Any]:
    """The chain as a row of schemas/networks.json has it; without forks that no light client of ours knows."""
    epochs = {fork: config.get(f"{fork.upper()}_FORK_EPOCH", FAR_FUTURE_EPOCH) for fork in FORKS}
    preset = context.spec_targets["minimal"]["altair"]
    return {
        "genesisTime": config["MIN_GENESIS_TIME"],
        "genesisValidatorsRoot": genesis_validators_root,
        "secondsPerSlot": config["SLOT_DURATION_MS"] // 1000,
        "slotsPerEpoch": int(preset.SLOTS_PER_EPOCH),
        "epochsPerSyncCommitteePeriod": int(preset.EPOCHS_PER_SYNC_COMMITTEE_PERIOD),
        "syncCommitteeSize": int(preset.SYNC_COMMITTEE_SIZE),
        "forks": [
            {"name": fork, "version": "0x" + config[f"{fork.upper()}_FORK_VERSION"].hex(), "epoch": epoch}
            for fork, epoch in epochs.items()
            if epoch != FAR_FUTURE_EPOCH
        ],
    }


def document(view: Any) -> dict[str, Any]:
    """`version` is the fork whose specification defines the container."""
    return {"version": type(view).__module__.split(".")[1], "data": texts(encode(view))}


def texts(value: Any) -> Any:
    """Integers in decimal text."""
    if isinstance(value, dict):
        return {name: texts(member) for name, member in value.items()}
    if isinstance(value, list):
        return list(map(texts, value))
    return str(value) if type(value) is int else value


def proof(name: str, parts: Parts) -> Case:
    """A case of `light_client/single_merkle_proof`; of the object, its type and root."""
    held = parts["object"][1]
    written = parts["proof"][1]
    return {
        "name": name,
        "object": type(held).__name__,
        "root": "0x" + hash_tree_root(held).hex(),
        "proof": {**written, "leaf_index": int(written["leaf_index"])},
    }


def prepare() -> None:
    """In every process, before the tests are imported."""
    context.is_generator = True
    context.DEFAULT_PYTEST_FORKS = FORKS
    # Values as they are at that moment, for their roots and their JSON: a forced update changes the one it takes.
    yield_generator.serialize = lambda view: view.copy()
    # One module of the package asks for another by its path in the repository.
    churn = "eth_consensus_specs.test.helpers.churn"
    sys.modules[f"tests.core.pyspec.{churn}"] = importlib.import_module(churn)


def cases(make: Callable[[str, Parts], Case], module: str, fork: str) -> list[Case]:
    """Of one module's tests for one fork."""
    return [make(f"{fork}/{name}", parts) for name, parts in yields(module, fork)]


def main() -> None:
    """Write both files."""
    with ProcessPoolExecutor(initializer=prepare) as pool:
        made = [
            [pool.submit(cases, make, module, fork) for module in modules for fork in FORKS]
            for make, modules in ((sync, SYNC), (proof, PROOFS))
        ]
        steps, proofs = ([case for part in parts for case in part.result()] for parts in made)
    compact = json.dumps(steps, separators=(",", ":")).encode("ascii")
    (HERE / "sync.json.xz").write_bytes(lzma.compress(compact, preset=9 | lzma.PRESET_EXTREME))
    (HERE / "single_merkle_proof.json").write_text(json.dumps(proofs, indent=1) + "\n", encoding="ascii")


if __name__ == "__main__":
    main()
