"""An embedded chain in this process, and a school on it that nobody else uses."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fixtures.own_chain import OwnChain, School


@pytest.fixture(scope="session")
def own_chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnChain]:
    """The chain, one for all attacks."""
    made = OwnChain(tmp_path_factory.mktemp("own-chain") / "chain")
    yield made
    made.chain.close()


@pytest.fixture
def school(own_chain: OwnChain) -> School:
    """A school whose key, writer and lists stand."""
    made = School(own_chain)
    made.begin()
    return made
