"""CredentialRegistry, function by function: what it writes, what it refuses and to whom (FORMATS.md section 6)."""

from __future__ import annotations

from typing import Any

import boa
import pytest
from conftest import Chain, deploy, raw
from eth.exceptions import Revert
from registry_model import ANCHOR, DEAD, REVOKE, SUSPEND, keccak256, pack, slot

COMMITMENT = bytes(range(32))
KEY = b"\xed\x01" + bytes(range(32))
KEY_HASH = keccak256(KEY)
LIST = b"\x11" * 32
SETTABLE = b"\x22" * 32
EVER = 2**48 - 1


@pytest.fixture
def school(chain: Chain) -> bytes:
    return chain.accounts["school"]


@pytest.fixture
def writer(chain: Chain) -> bytes:
    return chain.accounts["writer"]


def refused(reason: str) -> Any:
    return boa.reverts(f"CredentialRegistry: {reason}")


def head(chain: Chain, identity: bytes) -> int:
    return chain.word(slot(0, identity))


def window(chain: Chain, identity: bytes) -> tuple[int, int, int, int, int]:
    """from, until, compromised since, declared, purposes."""
    word = chain.word(slot(2, identity, KEY_HASH))
    assert word >> 208 == 0
    blocks = [word >> shift & EVER for shift in (0, 48, 96, 144)]
    return blocks[0], blocks[1], blocks[2], blocks[3], word >> 192


def open_both_lists(chain: Chain, school: bytes) -> None:
    chain.call(school, "open_list", school, LIST, 1, 17, 1)
    chain.call(school, "open_list", school, SETTABLE, 2, 18, 4)


# One call of each kind that the owner may make once the school has begun, with the role that also admits it.
CALLS = {
    "anchor": ([COMMITMENT], ANCHOR),
    "add_key": ([b"\xed\x01" + bytes(32), 1], 0),
    "retire_key": ([KEY_HASH], 0),
    "compromise_key": ([KEY_HASH, "now"], 0),
    "open_list (mode 1)": ([b"\x33" * 32, 1, 17, 1], REVOKE),
    "open_list (mode 2)": ([b"\x33" * 32, 2, 17, 1], SUSPEND),
    "publish_list (mode 1)": ([LIST, bytes(19) + b"\x07"], REVOKE),
    "publish_list (mode 2)": ([SETTABLE, bytes(19) + b"\x07"], SUSPEND),
    "set_status (mode 1)": ([LIST, [(0, 1, 0)]], REVOKE),
    "set_status (mode 2)": ([SETTABLE, [(0, 1, 0)]], SUSPEND),
    "set_status_word (mode 1)": ([LIST, (0, 1, 0)], REVOKE),
    "set_status_word (mode 2)": ([SETTABLE, (0, 1, 0)], SUSPEND),
    "set_writer": ([bytes(19) + b"\x07", 7, EVER], 0),
    "close": ([], 0),
}
# What a closed identity can still do: end things, and let others end them.
AFTER_CLOSING = {
    name for name in CALLS if name.split("_", 1)[0] in ("retire", "compromise", "publish", "set")
}


def begin(chain: Chain, school: bytes) -> None:
    chain.call(school, "add_key", school, KEY, 1)
    open_both_lists(chain, school)


def make(chain: Chain, sender: bytes, call: str, identity: bytes) -> list[tuple[str, dict[str, Any]]]:
    arguments = [chain.block if value == "now" else value for value in CALLS[call][0]]
    return chain.call(sender, call.split(" ", maxsplit=1)[0], identity, *arguments)


@pytest.mark.parametrize("call", CALLS)
def test_owner_may_make_every_call_and_each_is_one_write(chain: Chain, school: bytes, call: str) -> None:
    begin(chain, school)
    before = head(chain, school)
    [(_, members)] = make(chain, school, call, school)
    assert members["identity"] == school
    assert members["n"] == head(chain, school) == before + 1


@pytest.mark.parametrize("call", CALLS)
def test_a_stranger_may_make_no_call(chain: Chain, school: bytes, call: str) -> None:
    begin(chain, school)
    before = head(chain, school)
    reason = "caller has not the role" if CALLS[call][1] else "caller is not the owner"
    with refused(reason):
        make(chain, chain.accounts["stranger"], call, school)
    assert head(chain, school) == before


@pytest.mark.parametrize("call", CALLS)
def test_a_writer_may_make_the_calls_of_its_role_alone(
    chain: Chain, school: bytes, writer: bytes, call: str
) -> None:
    begin(chain, school)
    needed = CALLS[call][1]
    reason = "caller has not the role" if needed else "caller is not the owner"
    for roles in (ANCHOR, REVOKE, SUSPEND):
        chain.call(school, "set_writer", school, writer, roles, EVER)
        with boa.env.anchor():
            if roles == needed:
                assert len(make(chain, writer, call, school)) == 1
            else:
                with refused(reason):
                    make(chain, writer, call, school)


@pytest.mark.parametrize("call", [name for name, (_, role) in CALLS.items() if role])
def test_a_role_holds_until_its_time_and_not_at_it(
    chain: Chain, school: bytes, writer: bytes, call: str
) -> None:
    begin(chain, school)
    chain.call(school, "set_writer", school, writer, 7, chain.time + 100)
    chain.pass_time(seconds=99)
    with boa.env.anchor():
        assert len(make(chain, writer, call, school)) == 1
    chain.pass_time(seconds=1)
    with refused("role of the caller has ended"):
        make(chain, writer, call, school)


@pytest.mark.parametrize("call", CALLS)
def test_a_closed_identity_begins_nothing_and_can_still_end_things(
    chain: Chain, school: bytes, call: str
) -> None:
    begin(chain, school)
    chain.call(school, "close", school)
    chain.pass_time()
    if call in AFTER_CLOSING:
        assert len(make(chain, school, call, school)) == 1
    else:
        with refused("identity is closed"):
            make(chain, school, call, school)


@pytest.mark.parametrize("call", CALLS)
def test_after_a_change_of_owner_the_former_owner_and_its_writers_are_strangers(
    chain: Chain, school: bytes, writer: bytes, call: str
) -> None:
    begin(chain, school)
    chain.call(school, "set_writer", school, writer, 7, EVER)
    heir = chain.accounts["heir"]
    chain.change_owner(school, school, heir)
    reason = "caller has not the role" if CALLS[call][1] else "caller is not the owner"
    for former in (school, writer):
        with refused(reason):
            make(chain, former, call, school)
    assert len(make(chain, heir, call, school)) == 1


def test_an_identity_given_to_nobody_is_written_by_nobody(chain: Chain, school: bytes, writer: bytes) -> None:
    begin(chain, school)
    chain.call(school, "set_writer", school, writer, 7, EVER)
    chain.call(school, "close", school)
    chain.change_owner(school, school, DEAD)
    with refused("caller has not the role"):
        make(chain, writer, "set_status (mode 1)", school)
    with refused("caller is not the owner"):
        make(chain, school, "retire_key", school)


def test_an_anchor_holds_block_time_and_count(chain: Chain, school: bytes) -> None:
    chain.pass_time(7, 77)
    assert chain.call(school, "anchor", school, COMMITMENT) == [
        ("Anchored", {"identity": school, "commitment": COMMITMENT, "n": 1})
    ]
    expected = pack((chain.block, 48), (chain.time, 48), (1, 48))
    assert chain.word(slot(1, school, COMMITMENT)) == expected


@pytest.mark.parametrize("again", ["school", "stranger"])
def test_a_repeated_anchor_returns_quietly_and_writes_nothing(
    chain: Chain, school: bytes, again: str
) -> None:
    chain.call(school, "anchor", school, COMMITMENT)
    first = chain.word(slot(1, school, COMMITMENT))
    chain.pass_time()
    chain.call(school, "close", school)
    assert chain.call(chain.accounts[again], "anchor", school, COMMITMENT) == []
    assert chain.word(slot(1, school, COMMITMENT)) == first
    assert head(chain, school) == 2


def test_one_commitment_can_be_anchored_by_two_identities(chain: Chain, school: bytes) -> None:
    heir = chain.accounts["heir"]
    chain.call(school, "anchor", school, COMMITMENT)
    [(_, members)] = chain.call(heir, "anchor", heir, COMMITMENT)
    assert members["n"] == 1


def test_the_empty_commitment_is_refused(chain: Chain, school: bytes) -> None:
    with refused("empty commitment"):
        chain.call(school, "anchor", school, bytes(32))


def test_a_key_begins_at_its_block_with_its_purposes(chain: Chain, school: bytes) -> None:
    assert chain.call(school, "add_key", school, KEY, 5) == [
        ("KeyAdded", {"identity": school, "key_hash": KEY_HASH, "purposes": 5, "key": KEY, "n": 1})
    ]
    assert window(chain, school) == (chain.block, 0, 0, 0, 5)


def test_a_key_is_added_once_even_after_retirement(chain: Chain, school: bytes) -> None:
    chain.call(school, "add_key", school, KEY, 1)
    chain.call(school, "retire_key", school, KEY_HASH)
    with refused("key was added before"):
        chain.call(school, "add_key", school, KEY, 1)


@pytest.mark.parametrize(
    ("key", "purposes", "reason"), [(b"", 1, "empty key"), (KEY, 0, "key without purpose")]
)
def test_a_key_without_bytes_or_purpose_is_refused(
    chain: Chain, school: bytes, key: bytes, purposes: int, reason: str
) -> None:
    with refused(reason):
        chain.call(school, "add_key", school, key, purposes)


@pytest.mark.parametrize("size", [34, 35, 98, 2594, 4096])
def test_a_key_is_filed_under_the_hash_of_all_its_bytes(chain: Chain, school: bytes, size: int) -> None:
    key = bytes(n % 251 for n in range(size))
    [(_, members)] = chain.call(school, "add_key", school, key, 1)
    assert (members["key"], members["key_hash"]) == (key, keccak256(key))
    assert chain.word(slot(2, school, keccak256(key))) == pack((chain.block, 192), (1, 16))


def test_a_key_is_retired_once(chain: Chain, school: bytes) -> None:
    chain.call(school, "add_key", school, KEY, 1)
    begun = chain.block
    chain.pass_time(3)
    assert chain.call(school, "retire_key", school, KEY_HASH) == [
        ("KeyRetired", {"identity": school, "key_hash": KEY_HASH, "n": 2})
    ]
    assert window(chain, school) == (begun, begun + 3, 0, 0, 1)
    with refused("key has ended"):
        chain.call(school, "retire_key", school, KEY_HASH)


@pytest.mark.parametrize("call", ["retire_key", "compromise_key"])
def test_a_key_that_was_never_added_cannot_end(chain: Chain, school: bytes, call: str) -> None:
    arguments = [chain.block] if call == "compromise_key" else []
    with refused("unknown key"):
        chain.call(school, call, school, KEY_HASH, *arguments)


def test_a_compromise_ends_an_open_key_and_keeps_the_block_of_its_declaration(
    chain: Chain, school: bytes
) -> None:
    chain.call(school, "add_key", school, KEY, 1)
    begun = chain.block
    chain.pass_time(10)
    events = chain.call(school, "compromise_key", school, KEY_HASH, begun + 4)
    members = {"identity": school, "key_hash": KEY_HASH, "since": begun + 4, "n": 2}
    assert events == [("KeyCompromised", members)]
    assert window(chain, school) == (begun, begun + 10, begun + 4, begun + 10, 1)
    with refused("key has ended"):
        chain.call(school, "retire_key", school, KEY_HASH)


def test_a_compromise_after_retirement_leaves_the_end_where_it_was(chain: Chain, school: bytes) -> None:
    chain.call(school, "add_key", school, KEY, 1)
    begun = chain.block
    chain.pass_time(5)
    chain.call(school, "retire_key", school, KEY_HASH)
    chain.pass_time(5)
    chain.call(school, "compromise_key", school, KEY_HASH, begun + 2)
    assert window(chain, school) == (begun, begun + 5, begun + 2, begun + 10, 1)


def test_a_compromise_may_only_move_earlier_and_counts_its_last_declaration(
    chain: Chain, school: bytes
) -> None:
    chain.call(school, "add_key", school, KEY, 1)
    begun = chain.block
    chain.pass_time(10)
    chain.call(school, "compromise_key", school, KEY_HASH, begun + 6)
    for since in (begun + 6, begun + 7):
        with refused("compromise only moves earlier"):
            chain.call(school, "compromise_key", school, KEY_HASH, since)
    chain.pass_time(2)
    chain.call(school, "compromise_key", school, KEY_HASH, begun)
    assert window(chain, school) == (begun, begun + 10, begun, begun + 12, 1)


def test_a_compromise_lies_between_the_first_block_and_this_one(chain: Chain, school: bytes) -> None:
    chain.call(school, "add_key", school, KEY, 1)
    begun = chain.block
    with refused("compromise before the key"):
        chain.call(school, "compromise_key", school, KEY_HASH, begun - 1)
    for since in (begun + 1, 2**48 + begun, 2**256 - 1):
        with refused("compromise in the future"):
            chain.call(school, "compromise_key", school, KEY_HASH, since)
    chain.call(school, "compromise_key", school, KEY_HASH, begun)


def test_an_opened_list_keeps_its_shape_and_block(chain: Chain, school: bytes) -> None:
    events = chain.call(school, "open_list", school, LIST, 2, 20, 4)
    members = {"identity": school, "list_id": LIST, "mode": 2, "log2_entries": 20, "status_size": 4}
    assert events == [("ListOpened", members | {"n": 1})]
    expected = pack((2, 8), (20, 8), (4, 8), (chain.block, 48))
    assert chain.word(slot(3, school, LIST)) == expected
    with refused("list was opened before"):
        chain.call(school, "open_list", school, LIST, 2, 20, 4)


@pytest.mark.parametrize(
    ("shape", "reason"),
    [
        ((0, 17, 1), "unknown mode"),
        ((3, 17, 1), "unknown mode"),
        ((1, 16, 1), "list too short"),
        ((1, 25, 1), "list too long"),
        ((1, 17, 0), "unknown status size"),
        ((1, 17, 3), "unknown status size"),
        ((1, 17, 16), "unknown status size"),
    ],
)
def test_a_list_of_another_shape_is_refused(
    chain: Chain, school: bytes, shape: tuple[int, int, int], reason: str
) -> None:
    with refused(reason):
        chain.call(school, "open_list", school, LIST, *shape)


def test_a_published_mirror_changes_sequence_and_pointer_alone(chain: Chain, school: bytes) -> None:
    open_both_lists(chain, school)
    shape = chain.word(slot(3, school, SETTABLE))
    mirror = bytes(range(20))
    chain.call(school, "publish_list", school, SETTABLE, b"\xff" * 20)
    [(name, members)] = chain.call(school, "publish_list", school, SETTABLE, mirror)
    assert name == "ListPublished"
    assert members == {"identity": school, "list_id": SETTABLE, "sequence": 2, "pointer": mirror, "n": 4}
    expected = pack((shape, 72), (2, 24), (int.from_bytes(mirror, "big"), 160))
    assert chain.word(slot(3, school, SETTABLE)) == expected


def test_a_sequence_that_is_used_up_does_not_run_over_into_the_pointer(chain: Chain, school: bytes) -> None:
    open_both_lists(chain, school)
    place = slot(3, school, LIST)
    boa.env.set_storage(chain.registry.address, place, chain.word(place) | (2**24 - 2) << 72)
    [(_, members)] = chain.call(school, "publish_list", school, LIST, bytes(20))
    assert members["sequence"] == 2**24 - 1
    with refused("sequence is used up"):
        chain.call(school, "publish_list", school, LIST, bytes(20))


def test_words_of_an_or_only_list_gain_bits_and_never_lose_them(chain: Chain, school: bytes) -> None:
    open_both_lists(chain, school)
    chain.call(school, "set_status", school, LIST, [(3, 1 << 255, 0)])
    events = chain.call(school, "set_status", school, LIST, [(3, 1, 0)])
    members = {"identity": school, "list_id": LIST, "word": 3, "bits": 1 << 255 | 1, "n": 4}
    assert events == [("StatusChanged", members)]
    assert chain.word(slot(4, school, LIST, 3)) == 1 << 255 | 1
    with refused("bits of this list stay set"):
        chain.call(school, "set_status", school, LIST, [(3, 0, 1)])


def test_words_of_a_settable_list_take_masks_so_that_writers_do_not_undo_each_other(
    chain: Chain, school: bytes
) -> None:
    open_both_lists(chain, school)
    chain.call(school, "set_status", school, SETTABLE, [(0, 0b1100, 0)])
    chain.call(school, "set_status", school, SETTABLE, [(0, 0b0001, 0b0100)])
    assert chain.word(slot(4, school, SETTABLE, 0)) == 0b1001
    with refused("bit both set and cleared"):
        chain.call(school, "set_status", school, SETTABLE, [(0, 1, 1)])


@pytest.mark.parametrize(
    ("name", "words"), [(LIST, 2**17 // 256), (SETTABLE, 2**18 * 4 // 256)], ids=["mode 1", "mode 2"]
)
def test_words_outside_the_list_are_refused(chain: Chain, school: bytes, name: bytes, words: int) -> None:
    open_both_lists(chain, school)
    assert len(chain.call(school, "set_status", school, name, [(words - 1, 1, 0)])) == 1
    for word in (words, 2**256 - 1):
        with refused("word outside the list"):
            chain.call(school, "set_status", school, name, [(word, 1, 0)])


@pytest.mark.parametrize(
    ("call", "argument"),
    [("set_status", [(0, 1, 0)]), ("set_status_word", (0, 1, 0)), ("publish_list", bytes(20))],
)
def test_a_list_that_is_not_open_is_refused(chain: Chain, school: bytes, call: str, argument: object) -> None:
    with refused("list is not open"):
        chain.call(school, call, school, LIST, argument)


def test_a_single_word_is_changed_by_the_rules_of_several(chain: Chain, school: bytes) -> None:
    open_both_lists(chain, school)
    events = chain.call(school, "set_status_word", school, SETTABLE, (1023, 6, 0))
    members = {"identity": school, "list_id": SETTABLE, "word": 1023, "bits": 6, "n": 3}
    assert events == [("StatusChanged", members)]
    assert len(chain.call(school, "set_status_word", school, SETTABLE, (1023, 1, 2))) == 1
    assert chain.word(slot(4, school, SETTABLE, 1023)) == 5
    assert chain.call(school, "set_status_word", school, SETTABLE, (1023, 1, 2)) == []
    assert head(chain, school) == 4
    for name, change, why in (
        (LIST, (512, 1, 0), "word outside the list"),
        (LIST, (0, 0, 1), "bits of this list stay set"),
        (SETTABLE, (0, 1, 1), "bit both set and cleared"),
    ):
        with refused(why):
            chain.call(school, "set_status_word", school, name, change)


def test_each_changed_word_has_a_count_of_its_own(chain: Chain, school: bytes) -> None:
    open_both_lists(chain, school)
    events = chain.call(school, "set_status", school, LIST, [(0, 1, 0), (1, 1, 0), (0, 1, 0), (0, 2, 0)])
    assert [(members["word"], members["bits"], members["n"]) for _, members in events] == [
        (0, 1, 3),
        (1, 1, 4),
        (0, 3, 5),
    ]
    assert head(chain, school) == 5


def test_a_status_call_sent_twice_writes_once(chain: Chain, school: bytes) -> None:
    open_both_lists(chain, school)
    assert len(chain.call(school, "set_status", school, LIST, [(0, 1, 0), (7, 2, 0)])) == 2
    assert chain.call(school, "set_status", school, LIST, [(0, 1, 0), (7, 2, 0)]) == []
    assert head(chain, school) == 4


def test_256_words_are_changed_in_a_call_and_257_are_refused(chain: Chain, school: bytes) -> None:
    open_both_lists(chain, school)
    full = [(word, 2**256 - 1, 0) for word in range(256)]
    assert len(chain.call(school, "set_status", school, LIST, full)) == 256
    with boa.reverts():
        chain.call(school, "set_status", school, LIST, [*full, (256, 1, 0)])
    assert chain.word(slot(4, school, LIST, 255)) == 2**256 - 1
    assert chain.word(slot(4, school, LIST, 256)) == 0


def test_one_refused_word_refuses_the_whole_call(chain: Chain, school: bytes) -> None:
    open_both_lists(chain, school)
    with refused("word outside the list"):
        chain.call(school, "set_status", school, LIST, [(0, 1, 0), (512, 1, 0)])
    assert chain.word(slot(4, school, LIST, 0)) == 0


def test_a_writer_is_filed_under_the_owner_who_named_it(chain: Chain, school: bytes, writer: bytes) -> None:
    until = chain.time + 50
    events = chain.call(school, "set_writer", school, writer, 5, until)
    members = {"identity": school, "owner": school, "writer": writer, "roles": 5, "until": until, "n": 1}
    assert events == [("WriterSet", members)]
    assert chain.word(slot(5, school, school, writer)) == pack((5, 16), (until, 48))


def test_a_writer_is_removed_by_no_roles_and_no_time(chain: Chain, school: bytes, writer: bytes) -> None:
    chain.call(school, "set_writer", school, writer, ANCHOR, EVER)
    chain.call(school, "set_writer", school, writer, 0, 0)
    assert chain.word(slot(5, school, school, writer)) == 0
    with refused("caller has not the role"):
        chain.call(writer, "anchor", school, COMMITMENT)


def test_writers_of_a_former_owner_return_with_that_owner(chain: Chain, school: bytes, writer: bytes) -> None:
    """A limit that the contract states: entries are not erased by a change of owner, only out of force."""
    chain.call(school, "set_writer", school, writer, ANCHOR, EVER)
    heir = chain.accounts["heir"]
    chain.change_owner(school, school, heir)
    chain.change_owner(heir, school, school)
    assert len(chain.call(writer, "anchor", school, COMMITMENT)) == 1


@pytest.mark.parametrize(
    ("roles", "seconds", "reason"),
    [
        (8, 100, "unknown role"),
        (0, 100, "no roles, but a time"),
        (1, 0, "roles that have ended"),
        (1, -1, "roles that have ended"),
    ],
)
def test_roles_that_mean_nothing_are_refused(
    chain: Chain, school: bytes, writer: bytes, roles: int, seconds: int, reason: str
) -> None:
    with refused(reason):
        chain.call(school, "set_writer", school, writer, roles, chain.time + seconds)


def test_an_identity_is_closed_once_at_its_block(chain: Chain, school: bytes) -> None:
    assert chain.call(school, "close", school) == [("IdentityClosed", {"identity": school, "n": 1})]
    assert chain.word(slot(6, school)) == chain.block
    chain.pass_time()
    with refused("identity is closed"):
        chain.call(school, "close", school)


def test_the_registry_names_its_did_registry_and_needs_one_with_code(chain: Chain) -> None:
    assert chain.registry.DID_REGISTRY() == chain.dids.address
    with pytest.raises(Revert, match="no ERC-1056 registry there"):
        deploy("CredentialRegistry", raw(boa.env.generate_address()))
