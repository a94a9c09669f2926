"""Signed transactions: the hash that was asked for, and the sender by the signature, whatever an endpoint says."""

from __future__ import annotations

from typing import Any

import pytest
from eth_account import Account
from hexbytes import HexBytes

from node.core.errors import Malformed, NotVerified
from node.core.evm.transaction import verify_transaction

ACCOUNT = Account.from_key("0x" + "11" * 32)
BASE: dict[str, Any] = {
    "nonce": 7, "gas": 90_000, "to": "0x" + "22" * 20, "value": 3, "chainId": 11155111, "data": "0x" + "ab" * 32
}  # fmt: skip
LEGACY = {**BASE, "gasPrice": 10**9}
ACCESS_LIST = {
    **LEGACY,
    "type": 1,
    "accessList": [{"address": "0x" + "33" * 20, "storageKeys": ["0x" + "44" * 32, "0x" + "00" * 32]}],
}
DYNAMIC = {**BASE, "type": 2, "maxFeePerGas": 2 * 10**9, "maxPriorityFeePerGas": 10**9}
KINDS = {"legacy": LEGACY, "access list": ACCESS_LIST, "dynamic fee": DYNAMIC}


def told(fields: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The transaction as `eth_getTransactionByHash` writes it, and its hash."""
    signed = ACCOUNT.sign_transaction(fields)
    answer: dict[str, Any] = {
        name: hex(value) if isinstance(value, int) else value
        for name, value in fields.items()
        if name != "data"
    }
    answer |= {"input": fields["data"], "r": hex(signed.r), "s": hex(signed.s), "v": hex(signed.v)}
    answer |= {"from": "0x" + "99" * 20, "blockNumber": "0x1"}
    return answer, bytes(HexBytes(signed.hash))


@pytest.mark.parametrize("fields", KINDS.values(), ids=KINDS)
def test_the_sender_is_whoever_signed_and_not_whom_the_endpoint_names(fields: dict[str, Any]) -> None:
    answer, expected = told(fields)
    found = verify_transaction(answer, expected)
    assert "0x" + found.sender.hex() == ACCOUNT.address.lower()
    assert (found.hash, found.chain_id, found.data) == (expected, 11155111, b"\xab" * 32)
    assert found.to == b"\x22" * 20


def test_a_deployment_has_no_target() -> None:
    answer, expected = told({name: value for name, value in LEGACY.items() if name != "to"} | {"to": ""})
    answer["to"] = None
    assert verify_transaction(answer, expected).to is None


@pytest.mark.parametrize("fields", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("name", ["nonce", "gas", "to", "value", "input", "r", "s", "v"])
def test_a_field_that_was_changed_gives_another_hash(fields: dict[str, Any], name: str) -> None:
    answer, expected = told(fields)
    text = answer[name]
    answer[name] = text[:-1] + ("1" if text[-1] != "1" else "2")
    with pytest.raises((NotVerified, Malformed)):
        verify_transaction(answer, expected)


def test_another_transaction_than_the_one_asked_for_is_refused() -> None:
    answer, _ = told(DYNAMIC)
    with pytest.raises(NotVerified, match="another hash"):
        verify_transaction(answer, told(LEGACY)[1])


def test_a_transaction_that_names_no_chain_is_refused() -> None:
    answer, expected = told({name: value for name, value in LEGACY.items() if name != "chainId"})
    with pytest.raises(Malformed, match="EIP-155"):
        verify_transaction(answer, expected)


@pytest.mark.parametrize(
    "change",
    [
        {"type": "0x3"},
        {"type": 2},
        {"nonce": "7"},
        {"nonce": "0x"},
        {"nonce": "0x1_0"},
        {"nonce": "-0x1"},
        {"gas": None},
        {"to": "0x22"},
        {"input": "0xabc"},
        {"input": 5},
        {"accessList": {}},
        {"accessList": [{"address": "0x" + "33" * 20}]},
    ],
    ids=str,
)
def test_what_is_no_transaction_is_malformed(change: dict[str, Any]) -> None:
    answer, expected = told(DYNAMIC)
    with pytest.raises(Malformed):
        verify_transaction({**answer, **change}, expected)


@pytest.mark.parametrize("value", [None, [], "0x"])
def test_an_answer_that_is_no_object_is_malformed(value: Any) -> None:
    with pytest.raises(Malformed):
        verify_transaction(value, bytes(32))
