"""The table of measurements: what a row says of its limit, and how times are taken."""

from __future__ import annotations

import pytest

from bench.rows import Row, each, in_turns


@pytest.mark.parametrize(
    ("row", "limit", "met"),
    [
        (Row("what explains another", 2.0, "µs"), "", ""),
        (Row("at least", 2.0, "times a peer", at_least=2), "2 times a peer", "yes"),
        (Row("at least", 1.9, "times a peer", at_least=2), "2 times a peer", "NO"),
        (Row("stretch", 3.0, "%", at_least=2, stretch=3), "2 %, stretch 3", "stretch"),
        (Row("short of it", 2.9, "%", at_least=2, stretch=3), "2 %, stretch 3", "yes"),
        (Row("at most", 0.5, "times a peer", at_most=0.5), "at most 0.5 times a peer", "yes"),
        (Row("at most", 0.6, "times a peer", at_most=0.5), "at most 0.5 times a peer", "NO"),
        (Row("none at all", 1, "packages", at_most=0), "at most 0 packages", "NO"),
    ],
    ids=lambda value: value.work if isinstance(value, Row) else None,
)
def test_a_row_says_whether_its_limit_is_met(row: Row, limit: str, met: str) -> None:
    assert (row.limit, row.met) == (limit, met)


@pytest.mark.parametrize(
    ("measured", "figure"),
    [(1234.5, "1,234 s"), (12.345, "12.3 s"), (0.01234, "0.0123 s"), (1234567, "1,234,567 s")],
)
def test_figures_have_three_digits_where_they_were_timed(measured: float, figure: str) -> None:
    assert Row("work", measured, "s").figure == figure


def test_the_least_time_of_each_item_counts_but_not_of_the_first_round() -> None:
    rounds = iter([[0.0, 0.0], [3.0, 5.0], [4.0, 1.0]])
    assert in_turns({"work": lambda: next(rounds)}, 2) == {"work": 2.0}


def test_a_pass_does_the_work_with_each_item() -> None:
    done: list[str] = []
    assert len(each(done.append, ["a", "b"])()) == 2
    assert done == ["a", "b"]
