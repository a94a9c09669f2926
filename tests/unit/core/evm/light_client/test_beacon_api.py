"""Reading the Beacon API's answers: strict where they are used, bounded everywhere."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from fixtures.beacon import EVERYBODY, Beacon, blank_committee, chain
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.errors import Malformed
from node.core.evm.light_client import beacon_api
from node.core.evm.light_client.containers import bootstrap_type, finality_update_type, update_type
from node.core.evm.light_client.forks import Fork

BEACON = Beacon(chain())
UPDATE = BEACON.update(40, 24)


def body(value: Any) -> bytes:
    return json.dumps(value).encode()


@pytest.mark.parametrize("fork", Fork)
def test_what_is_read_is_written_alike(fork):
    beacon = Beacon(chain((fork, 0)))
    for kind, answer in (
        (bootstrap_type, beacon.bootstrap(16)),
        (update_type, beacon.update(40, 24)),
        (finality_update_type, beacon.finality_update(40, 24)),
    ):
        written = kind(fork, EVERYBODY)
        assert written.to_json(written.parse(answer["data"])) == answer["data"]


def test_hex_is_read_in_either_case():
    """beacon-APIs, types/primitive.yaml: `^0x[a-fA-F0-9]…`."""
    answer = copy.deepcopy(UPDATE)
    for holder, name in (
        (answer["data"]["attested_header"]["execution"], "fee_recipient"),
        (answer["data"]["finalized_header"]["execution"], "extra_data"),
        (answer["data"]["sync_aggregate"], "sync_committee_signature"),
        (answer["data"]["finality_branch"], 1),
    ):
        holder[name] = "0x" + holder[name][2:].upper()
    assert beacon_api.parse_updates(body([answer]), BEACON.chain) == beacon_api.parse_updates(
        body([UPDATE]), BEACON.chain
    )


def test_members_that_are_not_known_are_the_servers_own():
    answer = {**UPDATE, "extra": 1, "data": {**UPDATE["data"], "extra": {}}}
    assert beacon_api.parse_updates(body([answer]), BEACON.chain) == beacon_api.parse_updates(
        body([UPDATE]), BEACON.chain
    )


WRONG: dict[tuple[str | int, ...], list[Any]] = {
    ("version",): ["phase0", "gloas", "", None, 5, []],
    ("data",): [None, [], "0x"],
    ("data", "signature_slot"): [
        5,
        "05",
        "-5",
        "0x5",
        "5.0",
        "",
        " 5",
        "\u0665",
        str(2**64),
        "9" * 10_000,
        None,
    ],
    ("data", "attested_header", "beacon", "state_root"): ["0x00", "00" * 32, "0x" + "ag" * 32, 0, None],
    ("data", "finalized_header", "execution", "extra_data"): ["0x" + "00" * 33, "0x0", "00", None],
    ("data", "finalized_header", "execution", "base_fee_per_gas"): [str(2**256), 7],
    ("data", "finalized_header", "execution_branch"): [{}, ["0x00"], ["0x" + "00" * 32] * 33],
    ("data", "finality_branch"): [None, [None]],
    ("data", "sync_aggregate", "sync_committee_bits"): ["0x" + "ff" * 63, "0x" + "ff" * 65],
    ("data", "next_sync_committee", "pubkeys"): [[], ["0x" + "00" * 48] * 511, ["0x" + "00" * 48] * 513],
}


@pytest.mark.parametrize(("path", "value"), [(path, value) for path in WRONG for value in WRONG[path]])
def test_a_wrong_field_is_malformed_there(path, value):
    answer = copy.deepcopy(UPDATE)
    holder: Any = answer
    for step in path[:-1]:
        holder = holder[step]
    holder[path[-1]] = value
    with pytest.raises(Malformed) as caught:
        beacon_api.parse_updates(body([answer]), BEACON.chain)
    assert caught.value.problem.path[1 : len(path) + 1] in {path, path[:-1]}


@pytest.mark.parametrize("name", UPDATE["data"])
def test_a_missing_field_is_malformed(name):
    answer = copy.deepcopy(UPDATE)
    del answer["data"][name]
    with pytest.raises(Malformed, match="missing"):
        beacon_api.parse_updates(body([answer]), BEACON.chain)


def test_a_blank_committee_is_none():
    answer = {**UPDATE, "data": UPDATE["data"] | blank_committee()}
    (update,) = beacon_api.parse_updates(body([answer]), BEACON.chain)
    (whole,) = beacon_api.parse_updates(body([UPDATE]), BEACON.chain)
    assert update == replace(whole, next_sync_committee=None, next_sync_committee_branch=())


def test_a_committee_whose_branch_is_blank_is_malformed():
    answer = copy.deepcopy(UPDATE)
    answer["data"]["next_sync_committee_branch"] = blank_committee()["next_sync_committee_branch"]
    with pytest.raises(Malformed, match="without its branch"):
        beacon_api.parse_updates(body([answer]), BEACON.chain)


def test_more_updates_than_were_asked_for_are_malformed():
    with pytest.raises(Malformed, match="at most 16"):
        beacon_api.parse_updates(body([UPDATE] * 17), BEACON.chain)


def test_an_answer_beyond_two_megabytes_is_malformed():
    with pytest.raises(Malformed, match="bytes of JSON"):
        beacon_api.parse_finality_update(b" " * beacon_api.MAX_ANSWER_BYTES + b"{}", BEACON.chain)


TEXTS = st.sampled_from(["deneb", "0x", "0x00", "1", "version", "data"]) | st.text(max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=100)
@given(VALUES)
def test_anything_else_is_malformed(value):
    for parse in (beacon_api.parse_bootstrap, beacon_api.parse_finality_update):
        with pytest.raises(Malformed):
            parse(body(value), BEACON.chain)
