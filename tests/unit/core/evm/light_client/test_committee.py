"""The signature of a sync committee, by our engine and by py-ecc's own FastAggregateVerify."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fixtures.beacon import EVERYBODY, committee
from py_ecc.bls import G2ProofOfPossession

from node.core.errors import Malformed, NotVerified
from node.core.evm.light_client.committee import verify_aggregate
from node.core.evm.light_client.containers import SyncAggregate

MESSAGE = bytes(range(32))
COMMITTEE = committee("beacon", 0)


def signed(count: int) -> SyncAggregate:
    written = COMMITTEE.sign(MESSAGE, count)
    return SyncAggregate(*(bytes.fromhex(text[2:]) for text in written.values()))


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 511, EVERYBODY])
def test_the_signature_of_those_who_signed_verifies(count):
    aggregate = signed(count)
    assert aggregate.participants == count
    verify_aggregate(COMMITTEE.public, aggregate, MESSAGE)
    with pytest.raises(NotVerified, match="not over this header"):
        verify_aggregate(COMMITTEE.public, aggregate, MESSAGE[::-1])


def test_the_reference_implementation_agrees():
    signature = signed(3).sync_committee_signature
    keys = COMMITTEE.public.pubkeys[:3]
    assert G2ProofOfPossession.FastAggregateVerify(keys, MESSAGE, signature)
    assert not G2ProofOfPossession.FastAggregateVerify(keys[:2], MESSAGE, signature)


def test_a_signer_more_or_fewer_than_named_is_refused():
    for named in (299, 301):
        aggregate = replace(signed(300), sync_committee_bits=signed(named).sync_committee_bits)
        with pytest.raises(NotVerified):
            verify_aggregate(COMMITTEE.public, aggregate, MESSAGE)


@pytest.mark.parametrize(
    "signature", [bytes(96), b"\xc0" + bytes(95), b"\xff" * 96], ids=["zeros", "identity", "no point"]
)
def test_what_is_no_signature_is_refused(signature):
    with pytest.raises(NotVerified, match="no point"):
        verify_aggregate(COMMITTEE.public, replace(signed(400), sync_committee_signature=signature), MESSAGE)


def test_nobody_signs_nothing():
    """The sum of no keys is the identity, and so is the sum of no signatures: their pairings would agree."""
    nobody = SyncAggregate(bytes(EVERYBODY // 8), b"\xc0" + bytes(95))
    with pytest.raises(NotVerified, match="nobody"):
        verify_aggregate(COMMITTEE.public, nobody, MESSAGE)


def test_keys_that_cancel_each_other_sign_nothing():
    """One key and its negative, half of the committee each."""
    key = COMMITTEE.public.pubkeys[0]
    negative = bytes([key[0] ^ 0x20]) + key[1:]
    pairs = replace(COMMITTEE.public, pubkeys=(key, negative) * (EVERYBODY // 2))
    for signature in (b"\xc0" + bytes(95), signed(EVERYBODY).sync_committee_signature):
        aggregate = SyncAggregate(b"\xff" * (EVERYBODY // 8), signature)
        with pytest.raises(NotVerified):
            verify_aggregate(pairs, aggregate, MESSAGE)


def test_a_committee_with_a_key_that_is_no_point_is_malformed():
    wrong = replace(COMMITTEE.public, pubkeys=(bytes(48), *COMMITTEE.public.pubkeys[1:]))
    with pytest.raises(Malformed):
        verify_aggregate(wrong, signed(400), MESSAGE)
