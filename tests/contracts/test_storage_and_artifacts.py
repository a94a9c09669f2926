"""What others derive from the contracts without asking them: slots, code, addresses."""

from __future__ import annotations

import json

import boa
import pytest
from conftest import Chain, raw, text
from registry_model import keccak256, slot

from contracts import CONTRACT_NAMES, DEPLOYMENT_SALT, deployed_code, deployment_code, load_artifact
from contracts.build import ARTIFACTS, compile_contract, encode_artifact
from node.core.evm import registry as core

DEPLOYER_CODE = bytes.fromhex(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f5801515603957"
    "8182fd5b8082525050506014600cf3"
)


def test_storage_is_declared_in_the_order_of_the_formats() -> None:
    names = ["heads", "anchors", "keys", "lists", "status", "writers", "closed"]
    assert load_artifact("CredentialRegistry")["storage"] == {name: base for base, name in enumerate(names)}
    assert load_artifact("DIDRegistry")["storage"] == {"owners": 0, "delegates": 1, "changed": 2}


def test_getters_slots_and_the_core_name_the_same_words(chain: Chain) -> None:
    """Each word by three ways: the contract's getter, the formula written here, the core's slot function."""
    school, writer = chain.accounts["school"], chain.accounts["writer"]
    key, name, commitment = b"\xed\x01" + bytes(32), b"\x77" * 32, b"\x01" * 32
    chain.call(school, "anchor", school, commitment)
    chain.call(school, "add_key", school, key, 1)
    chain.call(school, "open_list", school, name, 1, 17, 1)
    chain.call(school, "set_status", school, name, [(2, 5, 0)])
    chain.call(school, "set_writer", school, writer, 7, 2**48 - 1)
    chain.call(school, "close", school)
    at, registry = text(school), chain.registry
    rows = [
        (registry.heads(at), slot(0, school), core.heads_slot(school)),
        (registry.anchors(at, commitment), slot(1, school, commitment), core.anchor_slot(school, commitment)),
        (registry.keys(at, keccak256(key)), slot(2, school, keccak256(key)), core.key_slot(school, key)),
        (registry.lists(at, name), slot(3, school, name), core.list_slot(school, name)),
        (registry.status(at, name, 2), slot(4, school, name, 2), core.status_slot(school, name, 2)),
        (
            registry.writers(at, at, text(writer)),
            slot(5, school, school, writer),
            core.writer_slot(school, school, writer),
        ),
        (registry.closed(at), slot(6, school), core.closed_slot(school)),
    ]
    for word, place, core_place in rows:
        assert word != 0
        assert chain.word(place) == word
        assert core_place == place.to_bytes(32, "big")


def test_the_did_registry_keeps_its_words_by_the_same_rule(chain: Chain) -> None:
    school, heir = chain.accounts["school"], chain.accounts["heir"]
    kind = b"sigAuth".ljust(32, b"\x00")
    chain.call(school, "addDelegate", school, kind, heir, 60, of=chain.dids)
    chain.change_owner(school, school, heir)
    assert chain.word(slot(0, school), of=chain.dids) == int.from_bytes(heir, "big")
    assert chain.word(slot(1, school, keccak256(kind), heir), of=chain.dids) == chain.time + 60
    assert chain.word(slot(2, school), of=chain.dids) == chain.block


@pytest.mark.parametrize("name", CONTRACT_NAMES)
def test_artifact_is_what_its_source_compiles_to(name: str) -> None:
    assert (ARTIFACTS / f"{name}.json").read_text("utf-8") == encode_artifact(compile_contract(name))


def test_deployed_code_is_runtime_and_immutables(chain: Chain) -> None:
    dids, registry = chain.dids.address, chain.registry.address
    assert boa.env.get_code(dids) == deployed_code("DIDRegistry")
    assert boa.env.get_code(registry) == deployed_code("CredentialRegistry", raw(dids))


@pytest.mark.parametrize("name", CONTRACT_NAMES)
def test_code_fits_the_limit_of_eip_170_and_nothing_is_payable(name: str) -> None:
    assert len(deployed_code(name, *[bytes(20)] * (name == "CredentialRegistry"))) <= 24_576
    for item in load_artifact(name)["abi"]:
        assert item.get("stateMutability") != "payable"


def test_create2_gives_the_address_that_the_core_computes(chain: Chain) -> None:
    deployer = "0x" + core.CREATE2_DEPLOYER.hex()
    boa.env.set_code(deployer, DEPLOYER_CODE)
    dids = boa.env.raw_call(deployer, data=DEPLOYMENT_SALT + deployment_code("DIDRegistry")).output
    assert dids == core.create2_address(DEPLOYMENT_SALT, deployment_code("DIDRegistry"))
    code = deployment_code("CredentialRegistry", dids)
    registry = boa.env.raw_call(deployer, data=DEPLOYMENT_SALT + code).output
    assert registry == core.create2_address(DEPLOYMENT_SALT, code)
    assert boa.env.get_code(text(registry)) == deployed_code("CredentialRegistry", dids)


def test_arguments_of_the_wrong_number_or_length_are_refused() -> None:
    for arguments in ([], [bytes(19)], [bytes(20)] * 2):
        with pytest.raises(ValueError, match="takes 1 addresses of 20 bytes"):
            deployment_code("CredentialRegistry", *arguments)
    with pytest.raises(KeyError):
        load_artifact("../CredentialRegistry")


def test_artifacts_name_their_compiler_and_no_path_of_this_machine() -> None:
    for name in CONTRACT_NAMES:
        artifact = load_artifact(name)
        assert artifact["compiler"] == "vyper 0.4.3+commit.bff19ea2"
        assert artifact["evmVersion"] == "cancun"
        assert "/" not in json.dumps(artifact)
