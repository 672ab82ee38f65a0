"""Time words in a query: the stretch of time that is asked about."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from math import inf

import pytest

from semantic_memory.retrieval.temporal import preferred
from tests.retrieval import NOW  # Wednesday, 17 June 2026


def day(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def asked(text: str) -> tuple[float, float] | None:
    found = preferred(text, NOW, lambda event: next((at for word, at in EVENTS.items() if word in event), None))
    return found and (found.start, found.end)


EVENTS = {"moved": day("2026-03-01"), "worked": day("2026-01-01"), "surgery": day("2026-02-01")}


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("What did I eat yesterday?", "2026-06-16", "2026-06-17"),
        ("Whom did I meet last week?", "2026-06-08", "2026-06-15"),
        ("What happened this month?", "2026-06-01", "2026-07-01"),
        ("Where was I last month?", "2026-05-01", "2026-06-01"),
        ("Where was I in May?", "2026-05-01", "2026-06-01"),
        ("Where was I in December?", "2025-12-01", "2026-01-01"),
        ("Where was I in May 2023?", "2023-05-01", "2023-06-01"),
        ("Which team did I join on 21 May, 2023?", "2023-05-21", "2023-05-22"),
        ("And on May 21st, 2023?", "2023-05-21", "2023-05-22"),
        ("What was decided on 2024-02-29?", "2024-02-29", "2024-03-01"),
        ("What did I plan two weeks ago?", "2026-06-01", "2026-06-08"),
        ("Which trip did I make in 2022?", "2022-01-01", "2023-01-01"),
        ("Which trip did I make last year?", "2025-01-01", "2026-01-01"),
        ("Where was I during May?", "2026-05-01", "2026-06-01"),
        ("What did I plan for May?", "2026-05-01", "2026-06-01"),
        ("What are my notes from 2019?", "2019-01-01", "2020-01-01"),
        ("Whom did I hire in Dec 2024?", "2024-12-01", "2025-01-01"),
        ("Whom did I hire on Dec 3?", "2025-12-03", "2025-12-04"),
        ("What was decided on 03/05/2026?", "2026-03-05", "2026-03-06"),
        ("What was decided on 3.5.2026?", "2026-05-03", "2026-05-04"),
        ("What did I say a month back?", "2026-05-01", "2026-06-01"),
        ("Where was I between March and May?", "2026-03-01", "2026-06-01"),
        ("Where was I between October and May?", "2025-10-01", "2026-06-01"),
        ("Where was I from 2019 to 2021?", "2019-01-01", "2022-01-01"),
        ("What did I do last weekend?", "2026-06-13", "2026-06-15"),
        ("What am I doing this weekend?", "2026-06-20", "2026-06-22"),
        ("What did I tell you this morning?", "2026-06-17", "2026-06-18"),
        ("What did I eat earlier today?", "2026-06-17", "2026-06-18"),
        ("Where did I go last summer?", "2025-06-01", "2025-09-01"),
        ("Where am I going this summer?", "2026-06-01", "2026-09-01"),
        ("Where was I in the fall of 2023?", "2023-09-01", "2023-12-01"),
        ("Where was I last winter?", "2025-12-01", "2026-03-01"),
        ("Where did I live in the 90s?", "1990-01-01", "2000-01-01"),
        ("Where did I live when I worked there?", "2026-01-01", "2026-01-01"),
    ],
)
def test_a_time_is_the_whole_stretch_it_names(text: str, start: str, end: str):
    assert asked(text) == (day(start), day(end))


@pytest.mark.parametrize(
    ("text", "stretch"),
    [
        ("Where did I work before 2024?", (-inf, day("2024-01-01"))),
        ("What have I read since May?", (day("2026-05-01"), inf)),
        ("What did I do after 21 May 2023?", (day("2023-05-22"), inf)),
        ("Where did I live before I moved?", (-inf, day("2026-03-01"))),
        ("What is new since we moved?", (day("2026-03-01"), inf)),
        ("What did I do after the surgery?", (day("2026-02-01"), inf)),
        ("Which plans did I have until May?", (-inf, day("2026-05-01"))),
        ("What did I want to own by 2020?", (-inf, day("2020-01-01"))),
        ("What is new since early 2024?", (day("2024-01-01"), inf)),
    ],
)
def test_before_and_after_are_open_to_one_side(text: str, stretch: tuple[float, float]):
    assert asked(text) == stretch


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("What did I do in early May?", "2026-05-01", "2026-05-10"),
        ("What did I do in mid-May?", "2026-05-12", "2026-05-20"),
        ("What did I do at the end of May?", "2026-05-22", "2026-05-31"),
        ("What did I do late last year?", "2025-09-02", "2025-12-31"),
        ("What did I do in the past two weeks?", "2026-06-04", "2026-06-16"),
        ("What did I do over the last few months?", "2026-03-20", "2026-06-16"),
        ("What did I do recently?", "2026-05-20", "2026-06-16"),
        ("What did I do the other day?", "2026-05-20", "2026-06-16"),
    ],
)
def test_a_vague_time_is_a_stretch_from_its_first_day_to_its_last(text: str, first: str, last: str):
    found = asked(text)
    assert found is not None
    assert 0 <= day(first) - found[0] < 2 * 86400
    assert 0 <= found[1] - day(last) <= 2 * 86400


@pytest.mark.parametrize(
    "text",
    [
        "Where do we deploy?",
        "May I ask?",
        "What may we do?",
        "This may be wrong",
        "We march on",
        "Wait a second",
        "second to none",
        "in the second half",
        "Who wrote 1984?",
        "When I run the tests, they fail",
        "Why does water fall?",
        "Is it about the fall of Rome?",
        "Do I like spring rolls?",
        "mid-level job",
        "the end of the world",
        "Size 40s tyres",
        "decide by then",
        "You may march in 3 rows",
        "Is this the last one?",
        "before I forget",
        "What is 2024 * 2?",
        "",
    ],
)
def test_a_query_that_names_no_time_asks_for_none(text: str):
    assert asked(text) is None


def test_the_date_parser_is_loaded_only_for_those_who_name_a_time():
    program = (
        "import sys; from datetime import datetime; from semantic_memory.retrieval.temporal import preferred;"
        "preferred('Where do we deploy?', datetime(2026, 1, 1), lambda _: None);"
        "sys.exit('dateparser' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
