"""A learner's wallet, open, in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fixtures.wallets import new_wallet

from wallet.store import WalletStore


@pytest.fixture
def store(tmp_path: Path) -> Iterator[WalletStore]:
    """The learner's wallet."""
    with new_wallet(tmp_path / "wallet") as opened:
        yield opened
