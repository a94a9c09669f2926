"""Of several sources of headers the strongest that is not old is taken, and none may contradict it."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from fixtures.state_trie import header_rlp

from node.core.errors import Unavailable
from node.core.evm.header import Header, parse_header
from node.core.verify.materials import HeaderAnswer, HeaderNeed, Strength
from node.outbound.headers import SourcesDisagree, strongest

NEED = HeaderNeed(1, (4,))
OLD = 1_000


def header(number: int, fork: int = 0, time: int = OLD + 1) -> Header:
    return parse_header(header_rlp(bytes([fork]) * 32, number, time))


@dataclass
class Source:
    """A source that says what it is told to."""

    strength: Strength
    newest: Header | None
    fork: int = 0
    hashes: tuple[int, ...] = (4,)
    error: Unavailable | None = None
    chain_id: int = 1
    asked: list[tuple[int, ...]] = field(default_factory=list)

    async def header(self, need: HeaderNeed) -> HeaderAnswer:
        self.asked.append(need.heights)
        if self.newest is None:
            raise self.error or Unavailable(f"{self.strength.name} is silent")
        known = {number: header(number, self.fork).hash for number in need.heights if number in self.hashes}
        return HeaderAnswer(self.newest, known, self.strength.name, self.strength)


async def chosen(*sources: Source) -> HeaderAnswer:
    return await strongest(sources, NEED, lambda header: header.timestamp <= OLD)


def light(newest: Header | None = None, **changes: object) -> Source:
    return Source(Strength.LIGHT_CLIENT, newest, **changes)  # type: ignore[arg-type]


def agreed(newest: Header | None = None, **changes: object) -> Source:
    return Source(Strength.ENDPOINTS_AGREE, newest, **changes)  # type: ignore[arg-type]


async def test_the_strongest_is_taken_though_another_is_newer() -> None:
    found = await chosen(agreed(header(9)), light(header(6)))
    assert (found.strength, found.newest.number) == (Strength.LIGHT_CLIENT, 6)


async def test_a_weaker_one_is_taken_where_the_strongest_is_old() -> None:
    found = await chosen(agreed(header(9)), light(header(6, time=OLD)))
    assert found.strength is Strength.ENDPOINTS_AGREE
    assert found.others == ("LIGHT_CLIENT is stronger, but its newest block 6 is too old",)


async def test_where_all_are_old_the_strongest_says_so() -> None:
    found = await chosen(agreed(header(9, time=OLD)), light(header(6, time=OLD)))
    assert found.strength is Strength.LIGHT_CLIENT


async def test_a_silent_one_is_passed_over_and_named() -> None:
    found = await chosen(agreed(header(9)), light())
    assert found.strength is Strength.ENDPOINTS_AGREE
    assert found.others == ("LIGHT_CLIENT is silent",)
    with pytest.raises(Unavailable, match="is silent"):
        await chosen(agreed(), light())


async def test_the_weaker_is_asked_for_the_block_of_the_stronger() -> None:
    weaker = agreed(header(9))
    await chosen(weaker, light(header(6)))
    assert weaker.asked == [(4, 6)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (light(header(6)), agreed(header(9), fork=1)),
        (light(header(6), hashes=()), agreed(header(9), fork=1, hashes=(6,))),
        (light(header(6), hashes=()), agreed(header(6, 1), hashes=())),
        (light(header(6, time=OLD)), agreed(header(9), fork=1)),
    ],
    ids=[
        "at a height that was asked for",
        "at the stronger's newest",
        "at the newest of both",
        "an old one too",
    ],
)
async def test_a_contradiction_at_one_height_leaves_it_open_and_names_both(
    one: Source, other: Source
) -> None:
    with pytest.raises(SourcesDisagree, match="name different blocks") as disagreed:
        await chosen(other, one)
    assert "LIGHT_CLIENT" in disagreed.value.detail
    assert "ENDPOINTS_AGREE" in disagreed.value.detail


async def test_endpoints_that_disagree_among_themselves_do_not_contradict_a_stronger_source() -> None:
    torn = agreed(error=SourcesDisagree("endpoints disagree"))
    found = await chosen(torn, light(header(6)))
    assert (found.strength, found.others) == (Strength.LIGHT_CLIENT, ("endpoints disagree",))
