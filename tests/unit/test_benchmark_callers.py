"""What the benchmark of a server's callers makes of what they met."""

from __future__ import annotations

from collections import Counter

import pytest

from benchmarks.server import Asked, asked, judged

ONE = Asked(10.0, [4.0] * 100)


@pytest.mark.parametrize(
    ("many", "good"),
    [
        (Asked(10.0, [40.0] * 300), True),
        (Asked(10.0, [40.0] * 290 + [60.0] * 10), False),  # a few wait too long
        (Asked(10.0, [40.0] * 240), False),  # too few are answered
        (Asked(10.0, [40.0] * 300, Counter({"ReadTimeout": 1})), False),
    ],
)
def test_what_is_as_good_as_it_shall_be(many: Asked, good: bool) -> None:
    assert judged(ONE, many)["as_good_as_it_shall_be"] is good


def test_the_figures_are_ratios_to_one_caller() -> None:
    figures = judged(ONE, Asked(10.0, [40.0] * 300, Counter({"503": 2})))
    assert (figures["p99_of_many_to_p50_of_one"], figures["throughput_of_many_to_one"]) == (10.0, 3.0)
    assert (figures["errors"], figures["kinds_of_errors"]) == (2, {"503": 2})


async def test_a_server_that_is_away_is_an_error_and_not_the_end() -> None:
    met = await asked(["http://127.0.0.1:1"], "k", 2, 0.2)
    assert met.latencies == []
    assert met.errors["ConnectError"] > 1
