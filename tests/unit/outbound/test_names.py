"""Texts in the DNS, asked of a real name server on loopback."""

from __future__ import annotations

import pytest
from fixtures.name_server import name_server

from node.core.errors import Unavailable
from node.outbound.names import MAX_TEXTS

NAME = "_did.school.example"


async def test_texts_are_read_with_their_pieces_joined() -> None:
    async with name_server({NAME: ['"did=did:ethr:" "0x1"', '"another"']}) as (server, texts):
        assert sorted(await texts(NAME)) == ["another", "did=did:ethr:0x1"]
        assert server.asked == [NAME]


@pytest.mark.parametrize("known", [{}, {NAME: []}], ids=["no such name", "a name without texts"])
async def test_where_there_are_none_there_are_none(known: dict[str, list[str]]) -> None:
    async with name_server(known) as (_, texts):
        assert await texts(NAME) == ()


async def test_what_is_no_text_is_passed_over_and_of_many_a_few_are_read() -> None:
    async with name_server({NAME: [r'"\255"', '"good"']}) as (_, texts):
        assert await texts(NAME) == ("good",)
    async with name_server({NAME: [f'"{n}"' for n in range(100)]}) as (_, texts):
        assert len(await texts(NAME)) == MAX_TEXTS


async def test_a_server_that_fails_leaves_it_unknown() -> None:
    async with name_server({}) as (server, texts):
        server.fails = True
        with pytest.raises(Unavailable, match="DNS gave no answer"):
            await texts(NAME)


@pytest.mark.parametrize("name", ["_did." + "a" * 64 + ".example", "_did..example", "_did." + "a." * 130])
async def test_what_is_no_name_is_asked_of_nobody(name: str) -> None:
    async with name_server({}) as (server, texts):
        with pytest.raises(Unavailable):
            await texts(name)
        assert server.asked == []
