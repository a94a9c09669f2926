"""Events of the CredentialRegistry as logs: read back as they were emitted, and enough to know every word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from eth_abi.abi import encode
from registry_model import ANCHOR, REVOKE, SUSPEND, RegistryModel, keccak256

from contracts import load_artifact
from node.core.errors import Malformed, NotVerified
from node.core.evm import events, registry
from node.core.evm.events import RegistryEvent, decode_registry_log, slot_of, word_after

SCHOOL, WRITER, HEIR = (bytes([n]) * 20 for n in (1, 2, 3))
KEY, OTHER_KEY = (b"\xed\x01" + bytes([n]) * 32 for n in (1, 2))
LIST, SETTABLE = bytes([7]) * 32, bytes([8]) * 32
TRANSACTION = bytes([9]) * 32
ABI = {
    entry["name"]: entry for entry in load_artifact("CredentialRegistry")["abi"] if entry["type"] == "event"
}


def topic(entry: dict[str, Any]) -> bytes:
    return keccak256(f"{entry['name']}({','.join(i['type'] for i in entry['inputs'])})".encode())


def as_log(
    name: str, members: dict[str, Any], block: int = 5, index: int = 0, **changes: Any
) -> dict[str, Any]:
    """The log of an event of the model, encoded by PyPI `eth_abi` as the contract's ABI says."""
    inputs = ABI[name]["inputs"]
    given = [
        (i, "0x" + members[i["name"]].hex() if i["type"] == "address" else members[i["name"]]) for i in inputs
    ]
    topics = [encode([i["type"]], [value]) for i, value in given if i["indexed"]]
    data = [(i["type"], value) for i, value in given if not i["indexed"]]
    return {
        "topics": ["0x" + word.hex() for word in [topic(ABI[name]), *topics]],
        "data": "0x" + encode([kind for kind, _ in data], [value for _, value in data]).hex(),
        "blockNumber": hex(block),
        "logIndex": hex(index),
        "transactionHash": "0x" + TRANSACTION.hex(),
    } | changes


class History:
    """A model, and what somebody knows who saw nothing but its logs and the times of blocks."""

    def __init__(self) -> None:
        self.model = RegistryModel(100, 1_700_000_000)
        self.words: dict[bytes, int] = {}
        self.events: list[RegistryEvent] = []

    def do(self, call: str, sender: bytes, identity: bytes, *arguments: Any) -> None:
        for name, members in getattr(self.model, call)(sender, identity, *arguments):
            event = decode_registry_log(as_log(name, members, self.model.block, len(self.events)))
            assert event is not None
            assert type(event).__name__ == name
            assert {member: getattr(event, member) for member in members} == members
            self.events.append(event)
            self.apply(event)
        self.model.block += 1
        self.model.time += 12

    def apply(self, event: RegistryEvent) -> None:
        slot = slot_of(event)
        self.words[slot] = word_after(event, self.words.get(slot, 0), self.model.time)
        self.words[registry.heads_slot(event.identity)] = event.n


@pytest.fixture(scope="module")
def history() -> History:
    """Every call, each event at least once."""
    found = History()
    end = found.model.time + 10**6
    found.do("set_writer", SCHOOL, SCHOOL, WRITER, ANCHOR | REVOKE | SUSPEND, end)
    for key, purposes in ((KEY, 1), (OTHER_KEY, 7)):
        found.do("add_key", SCHOOL, SCHOOL, key, purposes)
    found.do("anchor", WRITER, SCHOOL, LIST)
    found.do("open_list", WRITER, SCHOOL, LIST, 1, 17, 1)
    found.do("open_list", SCHOOL, SCHOOL, SETTABLE, 2, 24, 8)
    found.do("publish_list", SCHOOL, SCHOOL, LIST, HEIR)
    found.do("publish_list", SCHOOL, SCHOOL, LIST, bytes(20))
    found.do("set_status", WRITER, SCHOOL, LIST, [(0, 1, 0), (511, 1 << 255, 0), (0, 2, 0)])
    found.do("set_status", WRITER, SCHOOL, SETTABLE, [(5, 3, 0)])
    found.do("set_status", WRITER, SCHOOL, SETTABLE, [(5, 0, 3)])
    found.do("retire_key", SCHOOL, SCHOOL, keccak256(KEY))
    found.do("compromise_key", SCHOOL, SCHOOL, keccak256(KEY), 104)
    found.do("compromise_key", SCHOOL, SCHOOL, keccak256(KEY), 103)
    found.do("compromise_key", SCHOOL, SCHOOL, keccak256(OTHER_KEY), 110)
    found.do("set_writer", SCHOOL, SCHOOL, WRITER, 0, 0)
    found.do("anchor", HEIR, HEIR, LIST)
    found.do("close", SCHOOL, SCHOOL)
    return found


def test_the_topics_are_those_of_the_contract() -> None:
    assert set(events.TOPICS) == {topic(entry) for entry in ABI.values()}


def test_every_word_of_the_contract_follows_from_its_events(history: History) -> None:
    assert {type(event).__name__ for event in history.events} == set(ABI)
    assert {
        int.from_bytes(slot, "big"): word for slot, word in history.words.items()
    } == history.model.words()


def test_an_event_of_another_contract_is_none_of_these() -> None:
    assert decode_registry_log({"topics": [], "data": "0x"}) is None
    assert decode_registry_log({"topics": ["0x" + bytes(32).hex()], "data": "0x"}) is None


CLOSED: dict[str, Any] = {"identity": SCHOOL, "n": 1}
ADDED: dict[str, Any] = {"identity": SCHOOL, "key_hash": keccak256(KEY), "purposes": 1, "key": KEY, "n": 1}


@pytest.mark.parametrize(
    "broken",
    [
        as_log("IdentityClosed", CLOSED, data="0x"),
        as_log("IdentityClosed", CLOSED | {"n": 0}),
        as_log("IdentityClosed", CLOSED | {"n": 2**48}),
        as_log("IdentityClosed", CLOSED, transactionHash=None),
        as_log("IdentityClosed", CLOSED, blockNumber=None),
        as_log("IdentityClosed", CLOSED, topics=["0x" + topic(ABI["IdentityClosed"]).hex()]),
        as_log(
            "IdentityClosed", CLOSED, topics=["0x" + topic(ABI["IdentityClosed"]).hex(), "0x" + "ff" * 32]
        ),
        as_log("KeyAdded", ADDED | {"key_hash": keccak256(OTHER_KEY)}),
    ],
)
def test_a_log_that_is_broken_is_malformed(broken: dict[str, Any]) -> None:
    with pytest.raises(Malformed):
        decode_registry_log(broken)


def test_what_the_contract_refuses_is_no_event_of_its(history: History) -> None:
    """Each of these writes happened; the contract lets none happen again over what it left."""
    for event in history.events:
        if isinstance(event, events.WriterSet):
            continue  # may be repeated
        after = history.words[slot_of(event)]
        again = replace(event, bits=after) if isinstance(event, events.StatusChanged) else event
        with pytest.raises(NotVerified):
            word_after(again, after, history.model.time)
