"""Values as JSON, and text that a terminal can't be told anything by."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from semantic_memory import Fact, NearMiss
from semantic_memory.frontends.pages import count, day, minute
from semantic_memory.frontends.plain import SPACES, plain, printable, to_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


def test_a_value_becomes_a_dict_with_the_names_of_its_fields() -> None:
    moment = datetime(2026, 3, 2, 9, tzinfo=UTC)
    fact = Fact(
        id="f", user_id="u", text="t", origin="user", status="active", said_at=moment, recorded_at=moment, labels=("a",)
    )
    found = plain(fact)
    assert found.keys() == set(Fact.__dataclass_fields__)
    assert (found["said_at"], found["labels"]) == ("2026-03-02T09:00:00+00:00", ["a"])
    miss = NearMiss(fact_id="f", relevance=0.1, stopped_by="limit", signals={"cosine": 0.5})
    assert plain([miss])[0]["signals"] == {"cosine": 0.5}


@given(TEXT)
def test_any_text_comes_back_from_json_and_is_harmless_in_between(text: str) -> None:
    line = to_json({"text": text})
    assert json.loads(line) == {"text": text}
    assert all(character.isprintable() or character in SPACES for character in line)


@given(st.text())
def test_what_is_shown_has_nothing_that_a_terminal_obeys(text: str) -> None:
    assert all(character.isprintable() or character in SPACES for character in printable(text))


def test_readable_text_is_shown_as_it_is() -> None:
    for text in ("Grüße aus Köln", "東京に住んでいます", "🧀 and a no-break\u00a0space", "[bold] :smile: <b>"):
        assert printable(text) == text


def test_days_and_minutes_are_told_in_utc() -> None:
    moment = datetime(2026, 3, 2, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert (day(moment), minute(moment)) == ("1 Mar 2026", "1 Mar 2026 22:30")


def test_one_is_singular() -> None:
    assert [count(number, "fact") for number in (0, 1, 2)] == ["0 facts", "1 fact", "2 facts"]
