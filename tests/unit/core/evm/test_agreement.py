"""FORMATS.md section 8: which endpoints count, how many must agree, and at which height."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.core.errors import Misconfigured
from node.core.evm.agreement import (
    MAX_ENDPOINTS,
    Endpoints,
    Vote,
    agreed_height,
    agreement,
    parse_endpoint,
)


@pytest.mark.parametrize(
    ("text", "operator", "chain_id"),
    [
        ("https://mainnet.infura.example/v3/key", "infura.example", None),
        ("https://RPC.Eth.Example./", "eth.example", None),
        ("http://localhost:8545", "localhost", None),
        ("http://127.0.0.1:8545", "localhost", None),
        ("http://[::1]:8545", "localhost", None),
        ("http://192.0.2.1.:8545", "192.0.2.1", None),
        ("http://[2001:DB8:0:0:0:0:0:1]:8545", "2001:db8::1", None),
        ("http://[::ffff:192.0.2.1]:8545", "192.0.2.1", None),
        ("Ours=http://127.0.0.1:8545", "ours", None),
        ("ours@100=http://127.0.0.1:8545", "ours", 100),
        ("@1=https://a.b.example/?key=x", "b.example", 1),
        ("https://b.example/?operator=x@1=https://c.example", "b.example", None),
    ],
)
def test_an_operator_is_named_or_the_last_two_labels_of_the_host(
    text: str, operator: str, chain_id: int | None
) -> None:
    endpoint = parse_endpoint(text)
    assert (endpoint.operator, endpoint.chain_id) == (operator, chain_id)
    assert text.endswith(endpoint.url)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "localhost:8545",
        "ftp://a.example",
        "https://",
        "http://a.example:0",
        "http://[x",
        "a b=https://c.example",
        "a@0=https://c.example",
        "a@9007199254740992=https://c.example",
        "=a=https://c.example",
        "http://127.1:8545",
        "http://2130706433:8545",
        "http://a.0x7f:8545",
        "https://ex%61mple.com",
        "https://bücher.example",
        "https://\uff45xample.com",
    ],
)
def test_what_is_no_endpoint_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        parse_endpoint(text)
    assert not text or text not in refused.value.detail


def test_a_url_is_not_shown_since_it_may_hold_a_key() -> None:
    assert "secret" not in repr(Endpoints.of(["https://rpc.example/secret"]))


A, B, C, D = (f"{name}=http://{name}.example" for name in "abcd")


@pytest.mark.parametrize(
    ("texts", "agree", "sound"),
    [
        ((A,), 1, True),
        ((A, B), 1, False),
        ((A, B), 2, True),
        ((A, B), 3, False),
        ((A, B, C, D), 2, False),
        ((A, B, C, D), 3, True),
        ((A, "a=http://other.example"), 1, True),
        ((A, "a=http://other.example"), 2, False),
        (("a@1=http://a.example", "b@1=http://b.example", "a@5=http://a.example"), 1, False),
        (("a@1=http://a.example", "a@5=http://c.example"), 1, True),
        (("a@1=http://a.example", B), 1, False),
        ((), 1, False),
    ],
)
def test_a_number_of_which_two_could_say_different_things_is_refused(
    texts: tuple[str, ...], agree: int, sound: bool
) -> None:
    if sound:
        assert Endpoints.of(texts, agree).needed(7) == agree
    else:
        with pytest.raises(Misconfigured):
            Endpoints.of(texts, agree)


@pytest.mark.parametrize(
    "again",
    [
        "https://rpc.example/key",
        "https://rpc.example:443/key/",
        "HTTPS://RPC.EXAMPLE./key",
    ],
)
def test_one_endpoint_under_two_names_is_not_two_operators(again: str) -> None:
    with pytest.raises(Misconfigured) as refused:
        Endpoints.of(["one=https://rpc.example/key", f"two={again}"])
    assert "key" not in refused.value.detail
    Endpoints.of(["one=https://rpc.example/key", f"one={again}", "two=https://rpc.example/another"])


def test_this_machine_is_one_operator_by_whatever_name() -> None:
    here = Endpoints.of(["http://localhost:1", "http://127.0.0.1:2", "http://127.9.9.9:2", "http://[::1]:3"])
    assert len({one.operator for one in here.every}) == 1


def test_too_many_endpoints_are_refused() -> None:
    Endpoints.of([A] * MAX_ENDPOINTS)
    with pytest.raises(Misconfigured):
        Endpoints.of([A] * (MAX_ENDPOINTS + 1))


@given(st.integers(1, 100))
def test_by_default_the_smallest_majority_must_agree(operators: int) -> None:
    needed = Endpoints().needed(operators)
    assert operators / 2 < needed <= operators / 2 + 1


def votes(**said: object) -> list[Vote[object]]:
    """By operator; the host is the operator's name, and with a digit behind it another of the same one."""
    return [Vote(host[0], host, value) for host, value in said.items()]


def test_the_height_is_the_nth_highest_that_operators_report() -> None:
    reported = [Vote(name, name, height) for name, height in (("a", 90), ("b", 2**60), ("c", 100))]
    assert [agreed_height(reported, needed) for needed in (1, 2, 3, 4)] == [2**60, 100, 90, None]


def test_an_operator_reports_one_height_however_many_endpoints_it_has() -> None:
    reported = [Vote("a", "a1", 90), Vote("a", "a2", 95), Vote("b", "b", 80)]
    assert agreed_height(reported, 2) == 80


@pytest.mark.parametrize(
    ("said", "needed", "value", "others"),
    [
        ({"a": 1, "b": 1, "c": 2}, 2, 1, ("c",)),
        ({"a": 1, "b": 2, "c": 3}, 2, None, ()),
        ({"a": 1, "a2": 1, "b": 2}, 2, None, ()),
        ({"a": 1, "a2": 2, "b": 1, "c": 1}, 2, 1, ("a", "a2")),
        ({"a": 1, "a2": 2, "b": 1}, 2, None, ()),
        ({}, 1, None, ()),
        ({"a": 1}, 1, 1, ()),
    ],
    ids=[
        "a majority",
        "all differ",
        "two endpoints of one operator",
        "an operator that contradicts itself",
        "its word does not count for either",
        "nobody",
        "a lone endpoint",
    ],
)
def test_what_enough_operators_say_alike_is_taken(
    said: dict[str, int], needed: int, value: int | None, others: tuple[str, ...]
) -> None:
    found = agreement(votes(**said), needed)
    assert (None if found is None else found.value) == value
    assert found is None or found.others == others


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 3)), max_size=8))
def test_a_minority_never_decides(said: list[tuple[str, int]]) -> None:
    given_votes = [
        Vote(operator, f"{operator}{place}", value) for place, (operator, value) in enumerate(said)
    ]
    operators = {vote.operator for vote in given_votes}
    needed = Endpoints().needed(len(operators))
    found = agreement(given_votes, needed)
    if found is not None:
        whole = {vote.operator for vote in given_votes if vote.value == found.value}
        assert len(whole) > len(operators) / 2
        assert sorted(found.hosts + found.others) == sorted(vote.host for vote in given_votes)
