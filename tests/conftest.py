"""What every test may ask for: published vectors, and the rule that nothing is skipped silently in CI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fixtures.skipping import IN_CI, missing

__all__ = ["IN_CI", "missing"]

ROOT = Path(__file__).resolve().parent.parent

pytest_plugins = ["fixtures.chain", "fixtures.lying_chain", "fixtures.databases"]


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of test vectors that the specifications publish."""
    folder = Path(os.environ.get("BONAFIDES_VECTORS") or ROOT.parent / "shared" / "vectors")
    if not folder.is_dir():
        missing(f"no published vectors at {folder}: set BONAFIDES_VECTORS")
    return folder
