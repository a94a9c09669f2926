"""The official vectors of light clients, as ../vectors/light-client/README.md tells, judged step by step.

The specification's store keeps two things that ours does not (see `store`): what differs for that is told here of each
step, and nothing else differs.

- An update that calls no header final moves their optimistic header at most; ours refuses it. Final stays what was.
- After `UPDATE_TIMEOUT` a forced update takes an attested header for final. Ours stands where it is: from then on it
  agrees with the steps that its own committees signed, and refuses the others, as of a period that it does not know.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from node.core.errors import Malformed, NotVerified
from node.core.evm.light_client.beacon_api import parse_bootstrap, parse_updates
from node.core.evm.light_client.containers import LightClientHeader, LightClientUpdate, execution_root
from node.core.evm.light_client.forks import (
    EXECUTION_PAYLOAD_GINDEX,
    BeaconChain,
    Fork,
    named_fork,
    parse_beacon_chain,
)
from node.core.evm.light_client.ssz import check_branch
from node.core.evm.light_client.store import LightClientStore

FOLDER = Path(__file__).parents[4] / "vectors" / "light-client"
SYNC: list[dict[str, Any]] = json.loads(lzma.decompress((FOLDER / "sync.json.xz").read_bytes()))
PROOFS: list[dict[str, Any]] = json.loads((FOLDER / "single_merkle_proof.json").read_text())


AGREED = "agreed"
UPGRADED = "upgraded"
TOO_EARLY = "too early for a forced update"
FORCED = "theirs takes an attested header for final, ours stands"
NOT_FINAL = "calls no header final"
UNKNOWN_PERIOD = "of which no committee is known"
UNKNOWN_FORK = "a fork that is not known here"

_LEGACY = [AGREED]
_MULTI_FORK = [AGREED]
_SINGLE_FORK = [AGREED, AGREED, UPGRADED, *[AGREED] * 5]
OUTCOMES = {
    "advance_finality_without_sync_committee": [AGREED, AGREED, NOT_FINAL, AGREED, AGREED],
    "capella_store_with_legacy_data": _LEGACY,
    "deneb_store_with_legacy_data": _LEGACY,
    "electra_store_with_legacy_data": _LEGACY,
    "gloas_store_with_legacy_data": _LEGACY,
    "light_client_sync": [
        *[AGREED] * 3,
        NOT_FINAL,
        AGREED,
        FORCED,
        *[UNKNOWN_PERIOD] * 2,
        FORCED,
        UNKNOWN_PERIOD,
    ],
    "light_client_sync_no_force_update": [AGREED, NOT_FINAL, TOO_EARLY],
    "supply_sync_committee_from_past_update": [AGREED],
    "capella_fork": _SINGLE_FORK,
    "deneb_fork": _SINGLE_FORK,
    "electra_fork": _SINGLE_FORK,
    "gloas_fork": [AGREED, AGREED, UPGRADED, AGREED, AGREED, *[UNKNOWN_FORK] * 3],
    "capella_deneb_fork": _MULTI_FORK,
    "capella_electra_fork": _MULTI_FORK,
    "deneb_electra_fork": _MULTI_FORK,
    "deneb_gloas_fork": _MULTI_FORK,
    "electra_gloas_fork": _MULTI_FORK,
}


def name(case: dict[str, Any]) -> str:
    return str(case["name"])


class Run:
    """One case, gone through with our store; `outcomes` tells what became of each step."""

    def __init__(self, case: dict[str, Any]) -> None:
        self.case = case
        self.chain: BeaconChain = parse_beacon_chain(case["beacon"])
        root = bytes.fromhex(case["meta"]["trusted_block_root"][2:])
        bootstrap = parse_bootstrap(json.dumps(case["bootstrap"]).encode(), self.chain)
        self.store = LightClientStore.start(self.chain, root, bootstrap)
        self.theirs = told(self.chain, self.store.finalized_header)
        self.behind = False

    def outcomes(self) -> Iterator[str]:
        for step in self.case["steps"]:
            ((kind, what),) = step.items()
            checks = what["checks"]["finalized_header"]
            if kind == "process_update":
                yield self.process_update(what, checks)
            elif kind == "force_update":
                yield self.force_update(checks)
            else:  # upgrade_store: ours has no shape of its own that would have to be upgraded
                assert same(checks, self.theirs)
                yield UPGRADED
            self.theirs = checks

    def force_update(self, checks: dict[str, Any]) -> str:
        if same(checks, self.theirs):
            return TOO_EARLY
        self.behind = True
        return FORCED

    def process_update(self, what: dict[str, Any], checks: dict[str, Any]) -> str:
        """Where ours takes an update, the final header is theirs; where it refuses one, theirs stands or is ahead."""
        document = self.case["updates"][what["update"]]
        if document["version"] == "gloas":
            self.behind = True
            with pytest.raises(Malformed, match="not known here"):
                self.parsed(document)
            return UNKNOWN_FORK
        update = self.parsed(document)
        before, now = self.store, what["current_slot"]
        for outcome, expected in (
            (UNKNOWN_PERIOD, self.behind and self.chain.period_of(update.signature_slot) > before.period + 1),
            (NOT_FINAL, not any(map(any, update.finality_branch))),
        ):
            if expected:
                with pytest.raises(NotVerified, match=outcome):
                    before.apply(update, current_slot=now)
                assert self.behind or same(checks, self.theirs)
                return outcome
        self.store = before.apply(update, current_slot=now)
        assert same(checks, told(self.chain, self.store.finalized_header))
        self.check_committees(update)
        return AGREED

    def check_committees(self, update: LightClientUpdate) -> None:
        """What the tests assert that the vectors come from: the next committee is that of the finalized state."""
        attested = self.chain.period_of(update.attested_header.beacon.slot)
        if update.next_sync_committee is not None and attested == self.store.period:
            assert self.store.next_sync_committee == update.next_sync_committee

    def parsed(self, document: dict[str, Any]) -> LightClientUpdate:
        return parse_updates(json.dumps([document]).encode(), self.chain)[0]


def told(chain: BeaconChain, header: LightClientHeader) -> dict[str, Any]:
    """A header as the checks of a step tell it."""
    fork = chain.fork_of(header.beacon.slot)
    execution = bytes(32)
    if fork >= Fork.CAPELLA:
        assert header.execution is not None
        execution = execution_root(header.execution, fork)
    return {
        "slot": header.beacon.slot,
        "beacon_root": "0x" + header.beacon.root.hex(),
        "execution_root": "0x" + execution.hex(),
    }


def same(checks: dict[str, Any], other: dict[str, Any]) -> bool:
    """A store of before Capella tells no execution root."""
    return all(checks[member] == other[member] for member in checks.keys() & other.keys())


@pytest.mark.parametrize("case", SYNC, ids=name)
def test_our_store_follows_the_official_vectors(case):
    assert list(Run(case).outcomes()) == OUTCOMES[case["name"].partition("/")[2]]


GINDICES = {
    "current_sync_committee_merkle_proof": attrgetter("current_sync_committee_gindex"),
    "next_sync_committee_merkle_proof": attrgetter("next_sync_committee_gindex"),
    "finality_root_merkle_proof": attrgetter("finalized_root_gindex"),
    "execution_merkle_proof": lambda _fork: EXECUTION_PAYLOAD_GINDEX,
}


@pytest.mark.parametrize("case", PROOFS, ids=name)
def test_our_indices_are_where_the_official_proofs_lead(case):
    fork, _, what = case["name"].partition("/")
    gindex = GINDICES[what](named_fork(fork))
    leaf, root, *branch = (
        bytes.fromhex(text[2:]) for text in (case["proof"]["leaf"], case["root"], *case["proof"]["branch"])
    )
    assert gindex == case["proof"]["leaf_index"]
    check_branch(leaf, branch, gindex, root, what="leaf")
    nodes = [leaf, *branch]
    for place, node in enumerate(nodes):
        changed = [*nodes[:place], bytes([node[0] ^ 1]) + node[1:], *nodes[place + 1 :]]
        with pytest.raises(NotVerified):
            check_branch(changed[0], changed[1:], gindex, root, what="leaf")
