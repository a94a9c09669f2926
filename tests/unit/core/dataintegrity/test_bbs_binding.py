"""Commitments and secrets that bind a bbs-2023 credential to its holder."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.core.dataintegrity.bbs_2023 import BoundHolder
from node.core.dataintegrity.bbs_binding import (
    Binding,
    bind,
    check_commitment,
    holder_of_json,
    holder_to_json,
)
from node.core.errors import BonafidesError, Malformed, NotVerified

VECTORS = Path(os.environ.get("BONAFIDES_VECTORS", "../shared/vectors")) / "di-bbs"
ENTROPY = bytes(range(32))
PUBLISHED = {
    "HolderBinding": Binding.HOLDER,
    "Pseudonym": Binding.PSEUDONYM,
    "PseudonymHB": Binding.BOTH,
}


@pytest.mark.parametrize("binding", Binding)
def test_a_commitment_is_taken_for_the_binding_that_it_was_made_for_and_no_other(binding: Binding) -> None:
    made = bind(binding, ENTROPY).commitment_with_proof
    check_commitment(binding, made)
    for other in set(Binding) - {binding}:
        with pytest.raises((Malformed, NotVerified)):
            check_commitment(other, made)


@pytest.mark.parametrize("folder", PUBLISHED)
def test_a_published_commitment_is_taken(folder: str) -> None:
    published = json.loads((VECTORS / folder / "commitmentInfo.json").read_text())
    check_commitment(PUBLISHED[folder], bytes.fromhex(published["commitmentWithProof"]))


@settings(max_examples=20, deadline=None)
@given(place=st.integers(0, 8 * 175))
def test_a_commitment_with_one_bit_changed_is_refused(place: int) -> None:
    made = bytearray(bind(Binding.BOTH, ENTROPY).commitment_with_proof)
    made[place // 8] ^= 1 << place % 8
    with pytest.raises(BonafidesError):
        check_commitment(Binding.BOTH, bytes(made))


@pytest.mark.parametrize("length", [0, 47, 111, 113, 177, 10_000])
def test_a_commitment_of_another_length_is_malformed(length: int) -> None:
    made = bind(Binding.BOTH, ENTROPY).commitment_with_proof
    with pytest.raises(BonafidesError):
        check_commitment(Binding.BOTH, (made * 100)[:length])


def test_other_randomness_gives_other_secrets_and_another_commitment() -> None:
    first, second = (bind(Binding.BOTH, entropy) for entropy in (ENTROPY, bytes(32)))
    assert first.commitment_with_proof != second.commitment_with_proof
    ours, theirs = (holder_to_json(one.holder) for one in (first, second))
    assert all(ours[name] != theirs[name] for name in ("secretProverBlind", "holderSecret", "proverNym"))


@pytest.mark.parametrize("binding", Binding)
def test_secrets_are_kept_and_read_again(binding: Binding) -> None:
    holder = bind(binding, ENTROPY).holder
    assert holder_of_json(holder_to_json(holder)) == holder


@pytest.mark.parametrize(
    "change",
    [
        {"secretProverBlind": None},
        {"secretProverBlind": "AA"},
        {"proverNym": "A" * 43},
        {"proverNym": "_" * 43},
        {"holderSecret": 1},
        {"holderSecret": "="},
    ],
    ids=str,
)
def test_what_is_no_secret_is_malformed(change: dict[str, Any]) -> None:
    kept = holder_to_json(bind(Binding.BOTH, ENTROPY).holder)
    with pytest.raises(Malformed):
        holder_of_json({**kept, **change})


def test_secrets_do_not_show_themselves() -> None:
    bound = bind(Binding.BOTH, ENTROPY)
    assert str(bound.holder.secret_prover_blind) not in repr(bound)
    assert isinstance(bound.holder, BoundHolder)
