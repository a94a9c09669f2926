"""The table of networks: the one that ships, and what is refused in an operator's."""

from __future__ import annotations

import copy
import json

import pytest

import contracts
import schemas
from node.core.errors import Malformed
from node.core.evm.keccak import keccak256
from node.core.evm.network import (
    Finality,
    Network,
    NetworkClass,
    parse_chain,
    parse_networks,
)
from node.core.evm.registry import create2_address

TABLE = json.loads(schemas.load_networks())
SHIPPED = parse_networks(TABLE)


def test_the_shipped_table_is_read_and_written_alike():
    assert {"networks": [network.to_json() for network in SHIPPED.values()]} == TABLE
    assert {n: network.network_class for n, network in SHIPPED.items()} == {
        1: "production",
        100: "production",
        137: "production",
        11155111: "test",
    }


@pytest.mark.parametrize("network", SHIPPED.values(), ids=lambda network: network.name)
def test_the_registry_of_a_network_is_what_create2_gives_for_our_code(network):
    code = contracts.deployment_code("CredentialRegistry", network.did_registry)
    assert network.credential_registry == create2_address(contracts.DEPLOYMENT_SALT, code)
    deployed = contracts.deployed_code("CredentialRegistry", network.did_registry)
    assert network.code_hash == keccak256(deployed)


def test_a_network_of_the_operator_is_read_as_written():
    network = Network(
        chain_id=2**53 - 1,
        name="a demo",
        genesis=bytes(32),
        network_class=NetworkClass.DEVELOPMENT,
        did_registry=bytes(20),
        credential_registry=bytes([1]) * 20,
        code_hash=bytes([2]) * 32,
        did_registry_code_hash=bytes([3]) * 32,
        finality=Finality.NONE,
        eip2935=False,
        header_age_limit_seconds=None,
        step=1,
        blocks_in_31_days=1,
        deployed=2**53 - 1,
    )
    assert parse_networks({"networks": [network.to_json()]}) == {2**53 - 1: network}


BAD = {
    "chain": ["eip155:01", "eip155:0", "eip155:-1", "eip155:9007199254740992", "bip122:1", 1, "eip155:1\n"],
    "class": ["main", None, []],
    "name": ["", "x" * 101, 5],
    "genesis": ["0x00", "00" * 32, "0x" + "AB" * 32, None],
    "didRegistry": [{}, {"address": "0x"}, "0x" + "00" * 20, {"address": "0x" + "00" * 20, "name": "x"}],
    "credentialRegistry": [{"address": "0x" + "00" * 20}, {"codeHash": "0x" + "00" * 32}],
    "finality": ["latest", True],
    "eip2935": [1, "yes"],
    "headerAgeLimitSeconds": [0, -1, 1.5, "1800", False],
    "step": [0, None, True],
    "blocksIn31Days": [0, 2**53],
    "deployed": [0, -1, 2**53, "1", None, True],
}


@pytest.mark.parametrize(("member", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_a_row_with_a_wrong_member_is_malformed_there(member, value):
    table = copy.deepcopy(TABLE)
    table["networks"][1][member] = value
    with pytest.raises(Malformed) as caught:
        parse_networks(table)
    assert caught.value.problem.path[:3] in {("networks", 1, member), ("networks", 1)}


@pytest.mark.parametrize("member", sorted(TABLE["networks"][0].keys() - {"beacon"}))
def test_a_row_without_a_member_is_malformed(member):
    table = copy.deepcopy(TABLE)
    del table["networks"][0][member]
    with pytest.raises(Malformed):
        parse_networks(table)


@pytest.mark.parametrize(
    "table",
    [None, [], {}, {"networks": {}}, {"networks": [1]}, {"networks": [], "version": 1}, {"networks": [{}]}],
)
def test_what_is_no_table_is_malformed(table):
    with pytest.raises(Malformed):
        parse_networks(table)


def test_a_chain_stands_in_a_table_once():
    with pytest.raises(Malformed, match="twice"):
        parse_networks({"networks": [TABLE["networks"][0]] * 2})


def test_caip2_texts_give_chain_ids():
    assert parse_chain("eip155:11155111") == 11155111
