"""Clock and forks of a beacon chain: the shipped ones, and what is refused in an operator's table."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime

import pytest
from fixtures.beacon import chain

import schemas
from node.core.errors import Malformed, NotVerified
from node.core.evm.light_client.forks import Fork, parse_beacon_chain
from node.core.evm.network import parse_networks

SHIPPED = {
    number: network.beacon
    for number, network in parse_networks(json.loads(schemas.load_networks())).items()
    if network.beacon is not None
}
MAINNET = SHIPPED[1].to_json()


def test_the_chains_with_sync_committees_ship_with_every_fork_up_to_fulu():
    assert SHIPPED.keys() == {1, 100, 11155111}
    for beacon in SHIPPED.values():
        assert [entry.fork for entry in beacon.forks] == list(Fork)
        assert parse_beacon_chain(beacon.to_json()) == beacon


@pytest.mark.parametrize("size", [8, 32, 512])
def test_a_sync_committee_has_as_many_members_as_the_table_says(size):
    assert parse_beacon_chain(MAINNET | {"syncCommitteeSize": size}).sync_committee_size == size


def test_a_sync_committee_has_512_members_where_the_table_is_silent():
    silent = {name: value for name, value in MAINNET.items() if name != "syncCommitteeSize"}
    assert parse_beacon_chain(silent) == SHIPPED[1]


# Blocks that everybody can look up: the first of the fork, or the first slot of a period, and its time.
@pytest.mark.parametrize(
    ("number", "slot", "time", "fork"),
    [
        (1, 74240 * 32, "2021-10-27T10:56:23", Fork.ALTAIR),
        (1, 194048 * 32, "2023-04-12T22:27:35", Fork.CAPELLA),
        (1, 269568 * 32, "2024-03-13T13:55:35", Fork.DENEB),
        (1, 364032 * 32, "2025-05-07T10:05:11", Fork.ELECTRA),
        (1, 411392 * 32, "2025-12-03T21:49:11", Fork.FULU),
        (100, 648704 * 16, "2023-08-01T11:34:20", Fork.CAPELLA),
        (100, 1714688 * 16, "2026-04-14T12:06:20", Fork.FULU),
    ],
)
def test_a_fork_begins_when_it_was_announced(number, slot, time, fork):
    beacon = SHIPPED[number]
    assert datetime.fromtimestamp(beacon.time_of(slot), UTC).strftime("%Y-%m-%dT%H:%M:%S") == time
    assert beacon.fork_of(slot) == fork
    if fork > Fork.ALTAIR:
        assert beacon.fork_of(slot - 1) == fork - 1
    assert beacon.slot_at(beacon.time_of(slot)) == slot
    assert beacon.slot_at(beacon.time_of(slot) - 1) == slot - 1


def test_electra_lengthened_the_branches_of_states():
    """specs/altair and specs/electra, light-client/sync-protocol.md, "Constants"."""
    for fork in Fork:
        found = (
            fork.finalized_root_gindex,
            fork.current_sync_committee_gindex,
            fork.next_sync_committee_gindex,
        )
        assert found == ((169, 86, 87) if fork >= Fork.ELECTRA else (105, 54, 55))


def test_before_the_first_fork_there_is_no_light_client():
    with pytest.raises(NotVerified, match="before the first fork"):
        SHIPPED[1].fork_of(74240 * 32 - 1)


def test_before_genesis_is_slot_zero():
    assert chain(genesis_time=100).slot_at(0) == 0


def test_a_signature_is_bound_to_the_fork_of_the_slot_before_it():
    beacon = chain((Fork.ALTAIR, 0), (Fork.ELECTRA, 2))
    root = bytes(32)
    assert beacon.signing_root(root, 0) == beacon.signing_root(root, 1) == beacon.signing_root(root, 16)
    assert beacon.signing_root(root, 17) != beacon.signing_root(root, 16)


FORKS = MAINNET["forks"]
WRONG = {
    "genesisTime": [-1, "0", 1.5, True],
    "genesisValidatorsRoot": ["0x00", None],
    "secondsPerSlot": [0],
    "slotsPerEpoch": [0],
    "epochsPerSyncCommitteePeriod": [0, None],
    "syncCommitteeSize": [0, 4, 36, 520, -8, "512", None],
    "forks": [
        [],
        [*FORKS, FORKS[-1]],
        [FORKS[1], FORKS[0]],
        [{**FORKS[0], "epoch": 5}, {**FORKS[1], "epoch": 4}],
        [{**FORKS[0], "name": "phase0"}],
        [{**FORKS[0], "version": "0x00"}],
        [{**FORKS[0], "more": 1}],
    ],
}


@pytest.mark.parametrize(("member", "value"), [(name, value) for name in WRONG for value in WRONG[name]])
def test_a_wrong_member_is_malformed_there(member, value):
    wrong = copy.deepcopy(MAINNET) | {member: value}
    with pytest.raises(Malformed) as caught:
        parse_beacon_chain(wrong)
    assert caught.value.problem.path[0] == member
