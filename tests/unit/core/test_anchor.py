"""Digests, entries, batches and the holder's path (FORMATS.md sections 3 and 4)."""

from __future__ import annotations

from hashlib import sha256

import pytest

from node.core import anchor
from node.core.errors import Malformed

SALT, DIGEST = bytes(range(32)), bytes(range(32, 64))
PROOF = {"type": "DataIntegrityProof", "proofValue": "zA"}
OTHER = {"type": "DataIntegrityProof", "proofValue": "zB"}
DOCUMENT = {"id": "urn:x", "name": "n", "proof": [PROOF]}


def sealed(count=3):
    size = anchor.padded_size(count)
    items = [(anchor.CREDENTIAL, sha256(bytes([n])).digest()) for n in range(count)]
    salts = [sha256(b"salt %d" % n).digest() for n in range(size)]
    padding = [sha256(b"padding %d" % n).digest() for n in range(size - count)]
    return items, anchor.seal_batch(items, salts, padding, list(reversed(range(size))))


def placed(place, size, **changes):
    values = {
        "salt": place.salt,
        "index": place.index,
        "size": size,
        "path": place.path,
        "chain": "eip155:1",
        "registry": bytes(20),
        "identity": bytes([1]) * 20,
        "block": 9,
    }
    return anchor.Anchor(**{**values, **changes})


def test_an_entry_has_66_bytes():
    entry = anchor.entry(anchor.STATUS_LIST, SALT, DIGEST)
    assert entry == b"\x01\x03" + SALT + DIGEST
    assert len(entry) == 66


@pytest.mark.parametrize(
    ("kind", "salt", "digest"), [(5, SALT, DIGEST), (1, SALT[:31], DIGEST), (1, SALT, DIGEST + b"\0")]
)
def test_an_entry_of_another_kind_or_length_is_a_mistake_of_the_caller(kind, salt, digest):
    with pytest.raises(ValueError, match=r"kind|bytes"):
        anchor.entry(kind, salt, digest)


@pytest.mark.parametrize(("count", "size"), [(1, 64), (64, 64), (65, 128), (1000, 1024), (1025, 2048)])
def test_a_batch_is_padded_to_a_power_of_two_of_at_least_64(count, size):
    assert anchor.padded_size(count) == size


def test_every_item_of_a_batch_leads_to_its_commitment():
    items, batch = sealed(70)
    assert batch.size == 128
    for (kind, digest), place in zip(items, batch.places, strict=True):
        assert placed(place, batch.size).commitment_of(kind, digest) == batch.commitment


@pytest.mark.parametrize("kind", [anchor.EVIDENCE, anchor.STATUS_LIST, anchor.DID_DOCUMENT, anchor.PADDING])
def test_an_entry_of_one_kind_never_passes_for_another(kind):
    items, batch = sealed()
    assert placed(batch.places[0], batch.size).commitment_of(kind, items[0][1]) != batch.commitment


def test_another_size_salt_or_index_leads_elsewhere():
    items, batch = sealed()
    place, digest = batch.places[0], items[0][1]
    for other in (
        placed(place, batch.size, salt=bytes(32)),
        placed(place, batch.size, index=place.index - 1),
        placed(place, 63, index=31),
    ):
        assert other.commitment_of(anchor.CREDENTIAL, digest) != batch.commitment
    with pytest.raises(Malformed):
        placed(place, 128).commitment_of(anchor.CREDENTIAL, digest)


@pytest.mark.parametrize(
    "change",
    [
        {"salts": [bytes(32)] * 64},
        {"salts": [bytes([n]) * 32 for n in range(63)]},
        {"padding_digests": []},
        {"order": [0] * 64},
        {"order": list(range(63))},
        {"items": []},
    ],
)
def test_a_batch_with_wrong_counts_is_a_mistake_of_the_caller(change):
    arguments = {
        "items": [(1, DIGEST)],
        "salts": [bytes([n]) * 32 for n in range(64)],
        "padding_digests": [DIGEST] * 63,
        "order": list(range(64)),
    }
    with pytest.raises(ValueError, match=r"batch|salts"):
        anchor.seal_batch(**{**arguments, **change})


def test_the_digest_is_the_same_for_one_proof_as_object_or_array():
    assert anchor.credential_digest(DOCUMENT) == anchor.credential_digest({**DOCUMENT, "proof": PROOF})
    expected = sha256(
        b'{"id":"urn:x","name":"n","proof":{"proofValue":"zA","type":"DataIntegrityProof"}}'
    ).digest()
    assert anchor.credential_digest(DOCUMENT) == expected


def test_other_proofs_are_not_part_of_the_digest():
    several = {**DOCUMENT, "proof": [OTHER, PROOF]}
    assert anchor.credential_digest(several, "zA") == anchor.credential_digest(DOCUMENT)
    assert anchor.credential_digest(several, "zB") != anchor.credential_digest(DOCUMENT)


@pytest.mark.parametrize(
    ("proof", "named"),
    [
        ([PROOF, OTHER], None),
        ([PROOF, PROOF], "zA"),
        ([PROOF], "zC"),
        ([], None),
        (None, None),
        ("zA", None),
        ([PROOF, "zA"], "zA"),
    ],
)
def test_without_exactly_one_proof_meant_there_is_no_digest(proof, named):
    with pytest.raises(Malformed):
        anchor.credential_digest({**DOCUMENT, "proof": proof}, named)


def test_a_document_without_canonical_form_has_no_digest():
    with pytest.raises(Malformed):
        anchor.credential_digest({**DOCUMENT, "number": 2**53})


def test_every_changed_member_changes_the_digest():
    for changed in ({"id": "urn:y"}, {"name": "N"}, {"more": None}, {"proof": OTHER}):
        assert anchor.credential_digest({**DOCUMENT, **changed}) != anchor.credential_digest(DOCUMENT)


@pytest.mark.parametrize("did", ["", "d" * 65_536])
def test_a_did_document_belongs_to_a_did_of_stated_length(did):
    with pytest.raises(Malformed):
        anchor.did_document_digest(did, b"{}")


def json_of(count=3):
    return placed(sealed(count)[1].places[0], anchor.padded_size(count), proof_value="zA").to_json()


def test_an_anchor_is_read_as_written():
    value = json_of()
    assert anchor.parse_anchor(value).to_json() == value
    del value["proofValue"]
    assert anchor.parse_anchor(value).proof_value is None


BAD = {
    "salt": ["", "AAAA", 5, None, "A" * 44, "A" * 42 + "B", "=" * 43],
    "index": [-1, 64, "0", 1.0, True, None],
    "size": [0, 32, 128, 2**53, "64"],
    "path": [
        [],
        "0x",
        None,
        ["0x" + "00" * 32] * 7,
        ["0x" + "00" * 31] * 6,
        ["0x" + "AA" * 32] * 6,
        [None] * 6,
    ],
    "chain": ["eip155", "", "eip155:", "EIP155:1", 1, "eip155:1\n", "e" * 50 + ":1"],
    "registry": ["0x" + "00" * 19, "00" * 20, "0x" + "AB" * 20, None],
    "identity": ["0x" + "00" * 21, {}],
    "block": [-1, 2**53, "9", None, False],
    "proofValue": ["", None, 4, "z" * 4097, "\ud800"],
}


@pytest.mark.parametrize(("member", "value"), [(name, value) for name in BAD for value in BAD[name]])
def test_an_anchor_with_a_wrong_member_is_malformed(member, value):
    with pytest.raises(Malformed):
        anchor.parse_anchor({**json_of(), member: value})


@pytest.mark.parametrize(
    "member", ["salt", "index", "size", "path", "chain", "registry", "identity", "block"]
)
def test_an_anchor_lacks_no_member_and_has_no_other(member):
    value = json_of()
    del value[member]
    with pytest.raises(Malformed):
        anchor.parse_anchor(value)
    with pytest.raises(Malformed):
        anchor.parse_anchor({**json_of(), "note": 1})
