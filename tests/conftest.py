"""What every test may ask for: published vectors, and the rule that nothing is skipped silently in CI."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
IN_CI = os.environ.get("CI", "").lower() == "true"


def missing(reason: str) -> None:
    """Skip for want of `reason`; in CI, where everything can be installed, that is a failure."""
    if IN_CI:
        pytest.fail(f"in CI nothing is skipped: {reason}")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def vectors() -> Path:
    """The folder of test vectors that the specifications publish."""
    folder = Path(os.environ.get("BONAFIDES_VECTORS") or ROOT.parent / "shared" / "vectors")
    if not folder.is_dir():
        missing(f"no published vectors at {folder}: set BONAFIDES_VECTORS")
    return folder
