"""The light client beside Lodestar's types (@lodestar/types): roots, indices of states and bodies, and what is signed.

Blocks and states are whole ones of each fork, made by Lodestar; our light client follows them by their branches.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from fixtures.beacon import EVERYBODY, SYNC_COMMITTEE, Beacon, chain, committee

from node.core.encoding import encode_hex
from node.core.evm.light_client.beacon_api import parse_bootstrap, parse_finality_update, parse_updates
from node.core.evm.light_client.containers import (
    bootstrap_type,
    execution_root,
    finality_update_type,
    header_type,
    update_type,
)
from node.core.evm.light_client.forks import Fork
from node.core.evm.light_client.store import LightClientStore

pytestmark = [pytest.mark.node_js, pytest.mark.xdist_group("lodestar")]
forks = pytest.mark.parametrize("fork", Fork, ids=lambda fork: fork.name.lower())


@pytest.fixture(scope="module")
def lodestar(start_other: Any) -> Any:
    return start_other("light_client.mjs")


def name(fork: Fork) -> str:
    return fork.name.lower()


@forks
def test_both_read_and_write_the_same_documents(lodestar: Any, fork: Fork) -> None:
    beacon = Beacon(chain((fork, 0)))
    documents = {
        "LightClientBootstrap": (bootstrap_type, beacon.bootstrap(16)),
        "LightClientUpdate": (update_type, beacon.update(40, 24)),
        "LightClientFinalityUpdate": (finality_update_type, beacon.finality_update(40, 24)),
    }
    for kind, (type_of, answer) in documents.items():
        written = type_of(fork, EVERYBODY)
        ours = written.to_json(written.parse(answer["data"]))
        assert lodestar.ask("again", fork=name(fork), type=kind, value=answer["data"]) == ours


@forks
def test_both_find_the_same_roots(lodestar: Any, fork: Fork) -> None:
    beacon = Beacon(chain((fork, 0)))
    header, _ = beacon.header(40, 24)
    members = committee("beacon", 0).public
    written = header_type(fork).to_json(header)
    assert lodestar.ask(
        "root", fork="phase0", type="BeaconBlockHeader", value=written["beacon"]
    ) == encode_hex(header.beacon.root)
    assert lodestar.ask(
        "root", fork="altair", type="SyncCommittee", value=SYNC_COMMITTEE.to_json(members)
    ) == encode_hex(members.root)
    if header.execution is not None:
        assert lodestar.ask(
            "root", fork=name(fork), type="ExecutionPayloadHeader", value=written["execution"]
        ) == encode_hex(execution_root(header.execution, fork))


@forks
def test_our_light_client_follows_states_and_blocks_of_each_fork(lodestar: Any, fork: Fork) -> None:
    made = Lodestars(lodestar, fork)
    start = made.header(16, 8)
    store = LightClientStore.start(
        made.beacon.chain,
        made.root(start),
        parse_bootstrap(made.answer({"header": start["header"], **made.current(start)}), made.beacon.chain),
    )
    final = made.header(24, 16)
    update = made.signed(made.header(40, 24, final))
    store = store.apply(
        parse_updates(b"[" + made.answer(update | made.next_of(40)) + b"]", made.beacon.chain)[0],
        current_slot=100,
    )
    assert store.next_sync_committee == made.beacon.committee(1).public
    later = made.header(32, 16)
    update = made.signed(made.header(48, 32, later))
    store = store.apply(parse_finality_update(made.answer(update), made.beacon.chain), current_slot=100)
    assert header_type(fork).to_json(store.finalized_header) == later["header"]


class Lodestars:
    """Headers whose states and bodies Lodestar made; signed by the committees of `fixtures.beacon`."""

    def __init__(self, lodestar: Any, fork: Fork) -> None:
        self.lodestar = lodestar
        self.fork = fork
        self.beacon = Beacon(chain((fork, 0)))
        self.states: dict[int, Any] = {}

    def root(self, made: Any) -> bytes:
        root = self.lodestar.ask(
            "root", fork="phase0", type="BeaconBlockHeader", value=made["header"]["beacon"]
        )
        return bytes.fromhex(root[2:])

    def header(self, slot: int, finalized: int, final: Any = None) -> dict[str, Any]:
        """The header of a slot, whose state calls `final` final, by default a block of which nothing is known."""
        root = sha256(b"%d" % finalized).digest() if final is None else self.root(final)
        committees = {
            what: SYNC_COMMITTEE.to_json(self.beacon.committee(period).public)
            for period, what in enumerate(("current", "next"))
        }
        self.states[slot] = self.lodestar.ask(
            "state", fork=name(self.fork), finalized=encode_hex(root), **committees
        )
        header: dict[str, Any] = {}
        body_root = encode_hex(sha256(b"body").digest())
        if self.fork >= Fork.CAPELLA:
            template = header_type(self.fork).to_json(self.beacon.header(slot)[0])
            body = self.lodestar.ask("body", fork=name(self.fork), header=template["execution"])
            header = {"execution": body["header"], "execution_branch": body["branch"]}
            body_root = body["root"]
        beacon = {
            "slot": str(slot),
            "proposer_index": "3",
            "parent_root": encode_hex(bytes(32)),
            "state_root": self.states[slot]["root"],
            "body_root": body_root,
        }
        return {"slot": slot, "header": {"beacon": beacon, **header}, "final": final}

    def current(self, made: Any) -> dict[str, Any]:
        return {
            "current_sync_committee": SYNC_COMMITTEE.to_json(self.beacon.committee(0).public),
            "current_sync_committee_branch": self.states[made["slot"]]["current"],
        }

    def next_of(self, slot: int) -> dict[str, Any]:
        return {
            "next_sync_committee": SYNC_COMMITTEE.to_json(self.beacon.committee(1).public),
            "next_sync_committee_branch": self.states[slot]["next"],
        }

    def signed(self, made: Any) -> dict[str, Any]:
        """A finality update over a header."""
        version = encode_hex(self.beacon.chain.forks[0].version)
        genesis = encode_hex(self.beacon.chain.genesis_validators_root)
        message = self.lodestar.ask(
            "signing", root=encode_hex(self.root(made)), version=version, genesis=genesis
        )
        return {
            "attested_header": made["header"],
            "finalized_header": made["final"]["header"],
            "finality_branch": self.states[made["slot"]]["finalized"],
            "sync_aggregate": self.beacon.committee(0).sign(bytes.fromhex(message[2:])),
            "signature_slot": str(made["slot"] + 1),
        }

    def answer(self, data: dict[str, Any]) -> bytes:
        return json.dumps({"version": name(self.fork), "data": data}).encode()
