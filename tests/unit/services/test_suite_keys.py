"""The seed of the issuers that interoperability suites try: kept in a file, the same at each start."""

from __future__ import annotations

from pathlib import Path

import pytest

from node.core.errors import Malformed, Misconfigured
from node.core.keys import KeyKind
from node.services.suite.keys import SEED_BYTES, read_seed, suite_keys


def test_a_missing_file_is_made_for_its_owner_alone_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "seed"
    seed = read_seed(path)
    assert len(seed) == SEED_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_seed(path) == seed
    assert read_seed(tmp_path / "other") != seed


@pytest.mark.parametrize("text", ["", "00", "zz" * SEED_BYTES, "00" * (SEED_BYTES + 1)])
def test_a_file_that_holds_no_seed_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / "seed"
    path.write_text(text)
    with pytest.raises(Misconfigured, match="seed"):
        read_seed(path)
    assert path.read_text() == text


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured):
        read_seed(tmp_path / "missing" / "seed")


def test_a_key_signs_for_the_did_that_it_is() -> None:
    for kind, key in suite_keys(bytes(SEED_BYTES)).items():
        if kind is not KeyKind.BLS12381_G2:  # which is given requests for BBS signatures, not messages
            key.public_key.verify(key.signer.sign(b"message"), b"message")
        assert key.verification_method == f"{key.did}#{key.public_key.multibase}"


def test_a_seed_has_32_bytes() -> None:
    with pytest.raises(Malformed):
        suite_keys(bytes(16))
