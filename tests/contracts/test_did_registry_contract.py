"""DIDRegistry behaves as ERC-1056 says (https://eips.ethereum.org/EIPS/eip-1056)."""

from __future__ import annotations

import boa
import pytest
from conftest import Chain, raw
from eth.exceptions import Revert
from eth_abi import encode
from registry_model import keccak256

from contracts import load_artifact

VERI_KEY = b"veriKey".ljust(32, b"\x00")
ATTRIBUTE = b"did/pub/Multikey/veriKey".ljust(32, b"\x00")
ZERO = bytes(20)

EVENTS = {
    "DIDOwnerChanged": "address identity*,address owner,uint256 previousChange",
    "DIDDelegateChanged": (
        "address identity*,bytes32 delegateType,address delegate,uint256 validTo,uint256 previousChange"
    ),
    "DIDAttributeChanged": "address identity*,bytes32 name,bytes value,uint256 validTo,uint256 previousChange",
}
FUNCTIONS = {
    "owners(address)": ("view", "address"),
    "delegates(address,bytes32,address)": ("view", "uint256"),
    "changed(address)": ("view", "uint256"),
    "identityOwner(address)": ("view", "address"),
    "validDelegate(address,bytes32,address)": ("view", "bool"),
    "changeOwner(address,address)": ("nonpayable", ""),
    "addDelegate(address,bytes32,address,uint256)": ("nonpayable", ""),
    "revokeDelegate(address,bytes32,address)": ("nonpayable", ""),
    "setAttribute(address,bytes32,bytes,uint256)": ("nonpayable", ""),
    "revokeAttribute(address,bytes32,bytes)": ("nonpayable", ""),
}


def owner_of(chain: Chain, identity: bytes) -> bytes:
    return raw(chain.dids.identityOwner("0x" + identity.hex()))


def is_delegate(chain: Chain, identity: bytes, delegate: bytes) -> bool:
    return bool(chain.dids.validDelegate("0x" + identity.hex(), VERI_KEY, "0x" + delegate.hex()))


def changed(chain: Chain, identity: bytes) -> int:
    return int(chain.dids.changed("0x" + identity.hex()))


def test_abi_is_that_of_erc_1056_without_the_signed_calls() -> None:
    abi = load_artifact("DIDRegistry")["abi"]
    functions = {
        f"{item['name']}({','.join(i['type'] for i in item['inputs'])})": (
            item["stateMutability"],
            ",".join(o["type"] for o in item["outputs"]),
        )
        for item in abi
        if item["type"] == "function"
    }
    events = {
        item["name"]: ",".join(f"{i['type']} {i['name']}{'*' * i['indexed']}" for i in item["inputs"])
        for item in abi
        if item["type"] == "event"
    }
    assert functions == FUNCTIONS
    assert events == EVENTS


def test_an_identity_owns_itself_until_the_owner_changes(chain: Chain) -> None:
    school, heir = chain.accounts["school"], chain.accounts["heir"]
    assert owner_of(chain, school) == school
    assert chain.call(school, "changeOwner", school, heir, of=chain.dids) == [
        ("DIDOwnerChanged", {"identity": school, "owner": heir, "previousChange": 0})
    ]
    assert owner_of(chain, school) == heir
    assert changed(chain, school) == chain.block


def test_the_zero_owner_gives_the_identity_back_to_itself(chain: Chain) -> None:
    school, heir = chain.accounts["school"], chain.accounts["heir"]
    chain.change_owner(school, school, heir)
    chain.change_owner(heir, school, ZERO)
    assert owner_of(chain, school) == school


def test_a_delegate_is_valid_until_its_time_and_not_at_it(chain: Chain) -> None:
    school, writer = chain.accounts["school"], chain.accounts["writer"]
    events = chain.call(school, "addDelegate", school, VERI_KEY, writer, 100, of=chain.dids)
    members = {"identity": school, "delegateType": VERI_KEY, "delegate": writer}
    assert events == [("DIDDelegateChanged", members | {"validTo": chain.time + 100, "previousChange": 0})]
    chain.pass_time(seconds=99)
    assert is_delegate(chain, school, writer)
    chain.pass_time(seconds=1)
    assert not is_delegate(chain, school, writer)


def test_a_delegate_is_stored_under_the_hash_of_its_encoded_type(chain: Chain) -> None:
    school, writer = chain.accounts["school"], chain.accounts["writer"]
    chain.call(school, "addDelegate", school, VERI_KEY, writer, 100, of=chain.dids)
    key = keccak256(encode(["bytes32"], [VERI_KEY]))
    assert chain.dids.delegates("0x" + school.hex(), key, "0x" + writer.hex()) == chain.time + 100
    assert chain.dids.delegates("0x" + school.hex(), VERI_KEY, "0x" + writer.hex()) == 0


def test_a_revoked_delegate_ends_with_the_block(chain: Chain) -> None:
    school, writer = chain.accounts["school"], chain.accounts["writer"]
    chain.call(school, "addDelegate", school, VERI_KEY, writer, 100, of=chain.dids)
    [(_, members)] = chain.call(school, "revokeDelegate", school, VERI_KEY, writer, of=chain.dids)
    assert members["validTo"] == chain.time
    assert not is_delegate(chain, school, writer)


def test_an_attribute_lives_in_its_event_alone(chain: Chain) -> None:
    school, value = chain.accounts["school"], b"\xed\x01" + bytes(range(32))
    events = chain.call(school, "setAttribute", school, ATTRIBUTE, value, 86400, of=chain.dids)
    members = {"identity": school, "name": ATTRIBUTE, "value": value, "previousChange": 0}
    assert events == [("DIDAttributeChanged", members | {"validTo": chain.time + 86400})]
    before = chain.block
    chain.pass_time()
    [(_, members)] = chain.call(school, "revokeAttribute", school, ATTRIBUTE, value, of=chain.dids)
    assert (members["validTo"], members["previousChange"]) == (0, before)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 2592, 4096])
def test_attributes_up_to_4096_bytes_are_logged_whole(chain: Chain, size: int) -> None:
    school, value = chain.accounts["school"], bytes(n % 251 for n in range(size))
    [(_, members)] = chain.call(school, "setAttribute", school, ATTRIBUTE, value, 1, of=chain.dids)
    assert members["value"] == value


def test_an_attribute_of_4097_bytes_is_refused(chain: Chain) -> None:
    school = chain.accounts["school"]
    with boa.reverts():
        chain.call(school, "setAttribute", school, ATTRIBUTE, bytes(4097), 1, of=chain.dids)


def test_changes_in_one_block_name_that_block_as_the_previous_one(chain: Chain) -> None:
    """As the reference does: a resolver that sees its own block again reads the whole block once."""
    school = chain.accounts["school"]
    previous = []
    for value in (b"a", b"b", b"c"):
        [(_, members)] = chain.call(school, "setAttribute", school, ATTRIBUTE, value, 1, of=chain.dids)
        previous.append(members["previousChange"])
    assert previous == [0, chain.block, chain.block]


def test_a_validity_beyond_the_largest_time_is_refused_and_not_wrapped(chain: Chain) -> None:
    school, writer = chain.accounts["school"], chain.accounts["writer"]
    with boa.reverts():
        chain.call(school, "addDelegate", school, VERI_KEY, writer, 2**256 - 1, of=chain.dids)
    with boa.reverts():
        chain.call(school, "setAttribute", school, ATTRIBUTE, b"", 2**256 - 1, of=chain.dids)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("changeOwner", [bytes(19) + b"\x01"]),
        ("addDelegate", [VERI_KEY, bytes(19) + b"\x01", 1]),
        ("revokeDelegate", [VERI_KEY, bytes(19) + b"\x01"]),
        ("setAttribute", [ATTRIBUTE, b"", 1]),
        ("revokeAttribute", [ATTRIBUTE, b""]),
    ],
)
def test_only_the_present_owner_changes_an_identity(chain: Chain, name: str, arguments: list[object]) -> None:
    school, heir, stranger = (chain.accounts[who] for who in ("school", "heir", "stranger"))
    with boa.reverts("DIDRegistry: bad_actor"):
        chain.call(stranger, name, school, *arguments, of=chain.dids)
    chain.change_owner(school, school, heir)
    with boa.reverts("DIDRegistry: bad_actor"):
        chain.call(school, name, school, *arguments, of=chain.dids)
    assert len(chain.call(heir, name, school, *arguments, of=chain.dids)) == 1


def test_no_ether_is_taken(chain: Chain) -> None:
    school = chain.accounts["school"]
    boa.env.set_balance("0x" + school.hex(), 10)
    for contract in (chain.dids, chain.registry):
        with pytest.raises(Revert):
            boa.env.raw_call(contract.address, sender="0x" + school.hex(), value=1)
    with boa.reverts():
        chain.dids.changeOwner("0x" + school.hex(), "0x" + school.hex(), sender="0x" + school.hex(), value=1)
