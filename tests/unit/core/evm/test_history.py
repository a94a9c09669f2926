"""A history is whole or it is none; and a claim is held against it both ways."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.errors import Malformed, NotVerified
from node.core.evm import registry
from node.core.evm.claim import Claim, ClaimedAnchor, ClaimedKey, ClaimedList, differences, parse_claim
from node.core.evm.events import (
    Anchored,
    IdentityClosed,
    KeyAdded,
    KeyCompromised,
    KeyRetired,
    ListOpened,
    RegistryEvent,
    StatusChanged,
    WriterSet,
)
from node.core.evm.history import History, read_history
from node.core.keys import parse_multikey

SCHOOL = bytes(19) + b"\x07"
WRITER = bytes(19) + b"\x08"
OWNER = bytes(19) + b"\x09"
KEY = "z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"
URL = "https://school.example/status/1"
TREE = ClaimedAnchor(64, b"\x05" * 32, {"credential": 3})
LIST = ClaimedList("revocation", URL, 1, 17, 1, {2: 1 << 255})
CLAIM = Claim(
    did="did:ethr:0x1:0x" + SCHOOL.hex(),
    exported=datetime(2027, 5, 3, tzinfo=UTC),
    anchors=(TREE,),
    keys=(ClaimedKey(KEY, 3),),
    lists=(LIST,),
    writers=frozenset({WRITER}),
    closed=False,
    transactions=frozenset(bytes([number]) * 32 for number in range(1, 6)),
)


def at(n: int, block: int | None = None) -> tuple[bytes, int, int, int, bytes]:
    """The n-th write, in a block and a transaction of its own."""
    return SCHOOL, n, 10 * n if block is None else block, 0, bytes([n]) * 32


KEY_BYTES = parse_multikey(KEY).multicodec_bytes
WRITES: tuple[RegistryEvent, ...] = (
    KeyAdded(*at(1), CLAIM.keys[0].hash, 3, KEY_BYTES),
    WriterSet(*at(2), OWNER, WRITER, 7, 2_000_000_000),
    ListOpened(*at(3), LIST.list_id, 1, 17, 1),
    Anchored(*at(4), TREE.commitment),
    StatusChanged(*at(5), LIST.list_id, 2, 1 << 255),
)


def history(
    *more: RegistryEvent, writes: tuple[RegistryEvent, ...] = WRITES, head: int | None = None
) -> History:
    events = (*writes, *more)
    times = {event.block_number: 1000 + event.block_number for event in events}
    return read_history(SCHOOL, len(events) if head is None else head, events, times)


def test_what_the_writes_leave_is_told_slot_by_slot() -> None:
    found = history()
    anchored = registry.AnchorRecord.from_word(found.latest(registry.anchor_slot(SCHOOL, TREE.commitment)))
    assert anchored == registry.AnchorRecord(40, 1040, 4)
    assert found.latest(registry.heads_slot(SCHOOL)) == 5
    assert found.latest(registry.closed_slot(SCHOOL)) == 0
    found.check_words(found.words)
    for slot in found.words:
        with pytest.raises(NotVerified, match="1 storage words"):
            found.check_words({**found.words, slot: found.words[slot] + 1})


@pytest.mark.parametrize("left_out", range(5))
def test_one_write_that_is_withheld_is_missed(left_out: int) -> None:
    with pytest.raises(NotVerified, match=f"1 of 5 writes are withheld: {left_out + 1}"):
        history(writes=WRITES[:left_out] + WRITES[left_out + 1 :], head=5)


def test_the_last_writes_are_missed_too() -> None:
    with pytest.raises(NotVerified, match="2 of 7 writes are withheld: 6, 7"):
        history(head=7)


@pytest.mark.parametrize(
    ("more", "match"),
    [
        (WRITES[4], "told twice"),
        (Anchored(*at(6), bytes(32)), "beyond the 5"),
    ],
    ids=["one twice", "one more than the chain counts"],
)
def test_more_than_there_is_is_refused(more: RegistryEvent, match: str) -> None:
    with pytest.raises(NotVerified, match=match):
        history(more, head=5)


@pytest.mark.parametrize(
    "event",
    [
        replace(Anchored(*at(6), bytes(32)), identity=OWNER),
        Anchored(*at(6, block=45), bytes(32)),
        Anchored(*at(6), TREE.commitment),
        KeyRetired(*at(6), b"\x01" * 32),
        KeyCompromised(*at(6), b"\x01" * 32, 3),
        StatusChanged(*at(6), LIST.list_id, 2, 1 << 255),
    ],
    ids=["of somebody else", "earlier than the one before", "an anchor again", "an unknown key retired",
         "an unknown key compromised", "a change that changes nothing"],
)  # fmt: skip
def test_what_the_contract_would_not_have_written_is_refused(event: RegistryEvent) -> None:
    with pytest.raises(NotVerified):
        history(event)


@settings(max_examples=50, deadline=None)
@given(st.permutations(WRITES))
def test_the_order_in_which_they_came_decides_nothing(events: list[RegistryEvent]) -> None:
    assert history(writes=tuple(events)) == history()


# --- claims


def told(claim: Claim, found: History) -> list[tuple[int | None, str]]:
    return [(one.n, one.detail) for one in differences(claim, found)]


def test_an_issuer_that_says_what_it_wrote_differs_in_nothing() -> None:
    assert told(CLAIM, history()) == []


@pytest.mark.parametrize(
    ("event", "match"),
    [
        (Anchored(*at(6), b"\x11" * 32), "anchors what is not in the issuer's record"),
        (KeyAdded(*at(6), sha256(b"k").digest(), 1, b"k"), "adds a key"),
        (ListOpened(*at(6), b"\x11" * 32, 1, 17, 1), "opens a list"),
        (WriterSet(*at(6), OWNER, OWNER, 1, 5), "sets a writer"),
        (WriterSet(*at(6), OWNER, WRITER, 1, 5), "sets a writer"),
        (StatusChanged(*at(6), LIST.list_id, 3, 1), "the issuer's record does not know (set_status)"),
        (KeyRetired(*at(6), CLAIM.keys[0].hash), "does not know (retire_key)"),
        (KeyCompromised(*at(6), CLAIM.keys[0].hash, 11), "does not know (compromise_key)"),
        (IdentityClosed(*at(6)), "does not know (close)"),
    ],
)
def test_a_write_that_the_issuer_did_not_make_is_told_by_its_number(event: RegistryEvent, match: str) -> None:
    (first, *_) = told(CLAIM, history(event))
    assert first[0] == 6
    assert match in first[1]


def test_an_anchor_is_the_issuers_own_whoever_sent_it() -> None:
    """A database that was restored from before the sending knows the tree and not the transaction."""
    assert told(replace(CLAIM, transactions=CLAIM.transactions - {bytes([4]) * 32}), history()) == []


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"anchors": (TREE, ClaimedAnchor(64, b"\x06" * 32, {}))}, "a tree of 64 is not anchored"),
        ({"keys": (*CLAIM.keys, ClaimedKey("z6MktwupdmLXVVqTzCw4i46r4uGyosGXRnR3XjN4Zq7oMMsw", 3))}, "was never added"),
        ({"lists": (LIST, replace(LIST, purpose="suspension", words={}))}, "was never opened"),
        ({"lists": (replace(LIST, words={}),)}, "word 2 of the revocation list"),
        ({"lists": (replace(LIST, words={2: 1 << 255, 9: 1}),)}, "word 9 of the revocation list"),
        ({"witnessed": frozenset({b"\x06" * 32})}, "what was witnessed is not anchored"),
        ({"closed": True}, "calls the identity closed"),
    ],
)  # fmt: skip
def test_what_the_issuer_says_and_the_chain_does_not_is_told(change: dict[str, Any], match: str) -> None:
    ((n, detail),) = told(replace(CLAIM, **change), history())
    assert n is None
    assert match in detail


@pytest.mark.parametrize(
    "change",
    [
        {"anchors": (replace(TREE, size=65),)},
        {"keys": (ClaimedKey(KEY, 1),)},
        {"lists": (replace(LIST, log2_entries=18),)},
        {"writers": frozenset()},
    ],
    ids=["another size", "other purposes", "another length", "no writer"],
)
def test_a_size_or_kind_that_is_not_the_one_on_the_chain_is_told(change: dict[str, Any]) -> None:
    assert any(n is not None for n, _ in told(replace(CLAIM, **change), history()))


def test_what_a_witness_anchored_is_its_own() -> None:
    seen = b"\x11" * 32
    assert told(replace(CLAIM, witnessed=frozenset({seen})), history(Anchored(*at(6), seen))) == []


def test_a_claim_is_read_as_it_was_written() -> None:
    witness = replace(CLAIM, witnessed=frozenset({b"\x11" * 32}))
    assert parse_claim(witness.to_json()) == witness


def test_a_claim_of_who_is_no_witness_may_leave_that_out() -> None:
    body = CLAIM.to_json()
    del body["witnessed"]
    assert parse_claim(body) == CLAIM


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body.update(more=1),
        lambda body: body.pop("closed"),
        lambda body: body.update(audit=2),
        lambda body: body["anchors"][0].update(size=0),
        lambda body: body["anchors"][0]["entries"].update(credential=65),
        lambda body: body["anchors"][0]["entries"].update(padding=1),
        lambda body: body["anchors"][0].update(root="0x00"),
        lambda body: body["keys"][0].update(publicKeyMultibase="zzz"),
        lambda body: body["lists"][0].update(words=[[-1, "0x" + "00" * 32]]),
        lambda body: body["lists"][0].update(words=[[2**19, "0x" + "00" * 32]]),
        lambda body: body["lists"][0].update(words=[["1", "0x" + "00" * 32]]),
        lambda body: body["lists"][0].update(purpose=""),
        lambda body: body["transactions"].append("0x"),
        lambda body: body["witnessed"].append("0x"),
        lambda body: body["writers"].append("0x"),
        lambda body: body.update(closed=0),
    ],
)
def test_a_claim_of_another_form_is_malformed(spoil: Callable[[Any], Any]) -> None:
    body = CLAIM.to_json()
    spoil(body)
    with pytest.raises(Malformed):
        parse_claim(body)
