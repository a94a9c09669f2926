"""FORMATS.md section 7: of checkpoint files of one series the newest is kept, and none against another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from node.commands.loading import load_standards
from node.core.errors import Malformed, NotVerified
from node.core.evm.checkpoint import MAX_HEADERS, Checkpoint, parse_checkpoint_key
from node.core.verify.verifier import Verifier

KEPT = Checkpoint(1, b"\x09" * 32, 10, 7, ((10, b"\x01" * 32), (20, b"\x02" * 32)), signature=bytes(64))
NEXT = KEPT.extended([(30, b"\x03" * 32)])


def test_the_next_file_has_more_headers_a_higher_sequence_and_no_signature() -> None:
    assert (NEXT.sequence, NEXT.newest_number, NEXT.signature) == (8, 30, None)
    assert NEXT.hash_at(10) == KEPT.hash_at(10)


def test_headers_that_do_not_rise_from_the_newest_are_not_added() -> None:
    for number in (20, 15, 25):
        with pytest.raises(Malformed):
            KEPT.extended([(number, bytes(32))])


def test_a_full_file_loses_its_oldest() -> None:
    full = replace(KEPT, headers=tuple((10 * place, bytes(32)) for place in range(MAX_HEADERS)))
    longer = full.extended([(10 * MAX_HEADERS, bytes(32))])
    assert len(longer.headers) == MAX_HEADERS
    assert longer.hash_at(0) is None


@pytest.mark.parametrize(
    "arrived",
    [NEXT, KEPT, replace(NEXT, headers=NEXT.headers[2:]), replace(KEPT, signature=None)],
    ids=["a newer one", "the same", "a newer one without the old headers", "the same, signed otherwise"],
)
def test_a_file_that_goes_on_takes_the_place_of_the_old(arrived: Checkpoint) -> None:
    arrived.check_follows(KEPT)


@pytest.mark.parametrize(
    "arrived",
    [
        replace(KEPT, sequence=6),
        replace(NEXT, sequence=7),
        replace(NEXT, headers=((10, b"\x05" * 32), *NEXT.headers[1:])),
        replace(NEXT, chain_id=2),
        replace(NEXT, genesis=bytes(32)),
        replace(NEXT, step=5),
    ],
    ids=[
        "an older one",
        "another one of the same sequence",
        "another block at one height",
        "another chain",
        "another genesis",
        "another series",
    ],
)
def test_no_other_file_does(arrived: Checkpoint) -> None:
    with pytest.raises(NotVerified):
        arrived.check_follows(KEPT)


def test_of_several_files_that_are_named_the_newest_counts_and_none_may_contradict_it() -> None:
    standards = load_standards()
    for named in ((KEPT, NEXT), (NEXT, KEPT)):
        assert Verifier.of(standards, checkpoints=named).checkpoints == {1: NEXT}
    forged = replace(KEPT, headers=((10, b"\x05" * 32),))
    for named in ((forged, NEXT), (NEXT, forged)):
        with pytest.raises(NotVerified, match="different blocks 10"):
            Verifier.of(standards, checkpoints=named)
    other = replace(forged, chain_id=2)
    assert set(Verifier.of(standards, checkpoints=(NEXT, other)).checkpoints) == {1, 2}


def test_the_key_is_an_ed25519_multikey_or_did_key() -> None:
    multikey = "z6MkpTHR8VNsBxYAAWHut2Geadd9jSwuBV8xRoAnwWsdvktH"
    assert parse_checkpoint_key(multikey) == parse_checkpoint_key(f"did:key:{multikey}")
    for other in ("zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", "did:web:school.example", ""):
        with pytest.raises(Malformed):
            parse_checkpoint_key(other)
