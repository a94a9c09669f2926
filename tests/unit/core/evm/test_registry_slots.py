"""The registry's slots and words (FORMATS.md section 6), EIP-2935 and CREATE2."""

from __future__ import annotations

import pytest
from fixtures.state_trie import keccak256

from node.core.errors import Malformed
from node.core.evm import registry
from node.core.evm.registry import AnchorRecord, KeyPurpose, KeyWindow, ListRecord, WriterRecord, WriterRole

IDENTITY = bytes(range(20))
DIGEST = bytes(range(32))


def packed(*parts):
    """A word of (lowest bit, value) pairs."""
    return sum(value << lowest for lowest, value in parts)


def test_an_anchor_word_holds_block_time_and_n():
    word = packed((0, 7), (48, 1_750_000_000), (96, 3))
    assert AnchorRecord.from_word(word) == AnchorRecord(block=7, time=1_750_000_000, n=3)


def test_a_key_word_holds_its_window():
    word = packed((0, 10), (48, 20), (96, 15), (144, 25), (192, 0b101))
    assert KeyWindow.from_word(word) == KeyWindow(10, 20, 15, 25, KeyPurpose.ASSERTION | KeyPurpose.BBS)


def test_a_list_word_holds_mode_size_and_mirror():
    pointer = b"\xaa" * 20
    word = packed((0, 2), (8, 17), (16, 4), (24, 99), (72, 5), (96, int.from_bytes(pointer, "big")))
    assert ListRecord.from_word(word) == ListRecord(2, 17, 4, 99, 5, pointer)


def test_a_writer_word_holds_roles_and_their_end():
    word = packed((0, 0b110), (16, 1_750_000_000))
    assert WriterRecord.from_word(word) == WriterRecord(WriterRole.REVOKE | WriterRole.SUSPEND, 1_750_000_000)


def test_words_of_zero_say_that_nothing_is_there():
    assert AnchorRecord.from_word(0).block == 0
    assert KeyWindow.from_word(0).valid_from == 0
    assert ListRecord.from_word(0).mode == 0
    assert WriterRecord.from_word(0).roles == 0


@pytest.mark.parametrize(("record", "bit"), [(AnchorRecord, 144), (KeyWindow, 208), (WriterRecord, 64)])
def test_bits_that_the_contract_never_sets_are_malformed(record, bit):
    with pytest.raises(Malformed):
        record.from_word(1 << bit)


@pytest.mark.parametrize("size", [1, 2, 4, 8])
def test_status_words_are_the_bytes_of_the_w3c_bitstring(size):
    bitstring = bytes(keccak256(bytes([n]))[0] for n in range(256)) * 4
    for index in (0, 1, 255 // size, 256 // size, 777, 4095 // size):
        at = index * size
        expected = int.from_bytes(bitstring, "big") >> len(bitstring) * 8 - at - size & (1 << size) - 1
        number = registry.status_word(index, size)
        word = int.from_bytes(bitstring[32 * number : 32 * number + 32], "big")
        assert registry.status_value(word, index, size) == expected


@pytest.mark.parametrize(("index", "size"), [(-1, 1), (1 << 24, 1), (0, 3), (0, 0), (0, 16)])
def test_an_index_or_size_that_no_list_has_is_malformed(index, size):
    with pytest.raises(Malformed):
        registry.status_word(index, size)


@pytest.mark.parametrize(
    ("purpose", "url"),
    [
        ("", "https://a"),
        ("p" * 256, "https://a"),
        ("revocation", ""),
        ("revocation", "u" * 2049),
        ("p", "\ud800"),
    ],
)
def test_a_list_has_a_purpose_and_a_url_within_limits(purpose, url):
    with pytest.raises(Malformed):
        registry.list_id(purpose, url)


def test_purpose_and_url_are_told_apart():
    assert registry.list_id("ab", "c") != registry.list_id("a", "bc")


@pytest.mark.parametrize(
    "slot",
    [
        lambda: registry.heads_slot(bytes(19)),
        lambda: registry.anchor_slot(bytes(21), DIGEST),
        lambda: registry.anchor_slot(IDENTITY, bytes(31)),
        lambda: registry.list_slot(IDENTITY, bytes(33)),
        lambda: registry.writer_slot(IDENTITY, IDENTITY, bytes(32)),
    ],
)
def test_slots_of_addresses_and_digests_of_another_length_are_malformed(slot):
    with pytest.raises(Malformed):
        slot()


def test_the_history_slot_wraps_after_8191_blocks():
    assert registry.history_slot(8191) == bytes(32)
    assert registry.history_slot(8192 + 41) == (42).to_bytes(32, "big")


# EIP-1014 gives the address for a deployer of its own; the rule is checked with ours by hand.
def test_a_create2_address_follows_from_salt_and_code():
    salt, code = bytes(32), bytes.fromhex("00")
    expected = keccak256(b"\xff" + registry.CREATE2_DEPLOYER + salt + keccak256(code))[12:]
    assert registry.create2_address(salt, code) == expected
