"""The evaluation sets that ship with the package keep what their readers count on."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from datetime import date
from importlib.resources import files
from typing import Any

import pytest

CATEGORIES = {"direct", "paraphrased", "temporal", "multi", "superseded", "unanswerable"}
LABELS = {"same", "replaces", "contradicts", "unrelated"}
FUNCTION_WORDS = """
    a about after all also am an and any are around as at be been before but by can could do does
    during every for from get give go had has have he her here him his how i if in into is it its
    just let like me might mine more most must my myself need never no not nothing of off on once
    one only or other our out over own put say she should since so some such than that the their
    them then there they this those to too up us very was way we well were what when where which
    while who whom why will with would you your
"""


def rows(name: str) -> list[dict[str, Any]]:
    lines = files("semantic_memory.evaluation").joinpath("data", name).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def content_words(text: str) -> set[str]:
    """The words that carry meaning, cut to five letters so that inflections meet."""
    function_words = FUNCTION_WORDS.split()
    words = re.findall(r"[^\W_]+", re.sub(r"['\u2019]\w+", "", text.casefold()))
    return {word[:5] for word in words if word not in function_words}


def _plain(text: str) -> str:
    return text.casefold().rstrip("!.?")


@pytest.fixture(scope="module")
def own() -> list[dict[str, Any]]:
    return rows("own.jsonl")


@pytest.fixture(scope="module")
def facts(own: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {row["id"]: row for row in own if row["type"] == "fact"}


@pytest.fixture(scope="module")
def questions(own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [row for row in own if row["type"] == "question"]


@pytest.fixture(scope="module")
def pairs() -> list[dict[str, Any]]:
    return rows("pairs.jsonl")


class TestOwn:
    """A small evaluation set of invented users."""

    def test_it_is_large_enough(self, own: Any, facts: Any, questions: Any) -> None:
        assert len({row["user"] for row in own}) >= 8
        assert len(facts) >= 180
        assert len(questions) >= 140

    def test_ids_are_unique(self, own: Any) -> None:
        assert len({row["id"] for row in own}) == len(own)

    def test_no_text_occurs_twice_within_a_user(self, own: Any) -> None:
        seen = Counter((row["user"], row["text"].casefold()) for row in own)
        assert max(seen.values()) == 1

    def test_every_category_is_asked_of_every_user(self, questions: Any) -> None:
        asked = defaultdict(set)
        for question in questions:
            asked[question["user"]].add(question["category"])
        assert all(categories == CATEGORIES for categories in asked.values())

    def test_every_category_has_enough_questions(self, questions: Any) -> None:
        assert min(Counter(question["category"] for question in questions).values()) >= 15

    def test_gold_facts_are_the_asking_users_own_and_active(self, facts: Any, questions: Any) -> None:
        for question in questions:
            for gold in question["gold"]:
                assert facts[gold]["user"] == question["user"]
                assert facts[gold]["status"] == "active"

    def test_gold_facts_were_said_before_the_question(self, facts: Any, questions: Any) -> None:
        for question in questions:
            asked = date.fromisoformat(question["asked_at"])
            assert all(date.fromisoformat(facts[gold]["said_at"]) <= asked for gold in question["gold"])

    def test_only_unanswerable_questions_have_no_gold_and_multi_has_several(self, questions: Any) -> None:
        for question in questions:
            assert (question["gold"] == []) == (question["category"] == "unanswerable")
            assert (len(question["gold"]) > 1) == (question["category"] == "multi")

    def test_paraphrased_questions_share_no_content_word_with_their_gold(self, facts: Any, questions: Any) -> None:
        for question in questions:
            if question["category"] == "paraphrased":
                shared = content_words(question["text"]) & content_words(facts[question["gold"][0]]["text"])
                assert not shared, (question["id"], shared)

    def test_superseded_questions_ask_for_a_fact_that_replaced_another(self, facts: Any, questions: Any) -> None:
        for question in questions:
            if question["category"] == "superseded":
                assert facts[facts[question["gold"][0]]["supersedes"]]["status"] == "superseded"

    def test_a_superseded_fact_has_one_later_successor_on_the_same_subject(self, facts: Any) -> None:
        successors = [fact for fact in facts.values() if "supersedes" in fact]
        replaced = Counter(fact["supersedes"] for fact in successors)
        assert set(replaced) == {fact["id"] for fact in facts.values() if fact["status"] == "superseded"}
        assert max(replaced.values()) == 1
        for fact in successors:
            old = facts[fact["supersedes"]]
            assert (old["user"], old["subject"]) == (fact["user"], fact["subject"])
            assert old["said_at"] < fact["said_at"]

    def test_validity_ends_after_it_begins(self, facts: Any) -> None:
        for fact in facts.values():
            bounds = [date.fromisoformat(fact[key]) for key in ("valid_from", "valid_to") if key in fact]
            assert bounds == sorted(bounds)

    def test_a_place_in_a_session_holds_one_fact(self, facts: Any) -> None:
        places = Counter((fact["session"], fact["position"]) for fact in facts.values())
        assert max(places.values()) == 1


class TestUnrelated:
    """Prompts that no stored fact can help with."""

    def test_they_are_320_different_texts_of_varied_length(self) -> None:
        texts = [row["text"] for row in rows("unrelated.jsonl")]
        assert len({text.casefold() for text in texts}) == len(texts) == 320
        assert min(map(len, texts)) < 10
        assert max(map(len, texts)) > 150

    def test_what_is_fitted_on_is_never_what_is_reported(self) -> None:
        fitted, reported = ({_plain(row["text"]) for row in rows(f"{name}.jsonl")} for name in ("asides", "personal"))
        assert len(reported) == len(rows("personal.jsonl")) >= 150
        assert not reported & fitted
        assert not reported & {_plain(row["text"]) for row in rows("unrelated.jsonl")}
        assert not {_plain(row["text"]) for row in rows("shaped.jsonl")} & {
            _plain(row["text"]) for row in rows("stores.jsonl")
        }

    def test_the_reported_personal_prompts_are_of_several_styles(self) -> None:
        styles = Counter(row["style"] for row in rows("personal.jsonl"))
        assert set(styles) == {"how", "chat", "imperative", "timed", "ask"}
        assert min(styles.values()) >= 25

    def test_none_is_a_question_of_the_small_evaluation_set(self, questions: Any) -> None:
        unrelated = {row["text"].casefold() for row in rows("unrelated.jsonl")}
        assert not unrelated & {question["text"].casefold() for question in questions}


class TestPairs:
    """Labelled pairs of a known fact and a candidate."""

    def test_there_are_enough_and_no_label_outweighs_the_others_in_a_split(self, pairs: Any) -> None:
        assert len(pairs) >= 240
        counts = Counter((pair["split"], pair["label"]) for pair in pairs)
        assert set(counts) == {(split, label) for split in ("fit", "test") for label in LABELS}
        assert max(counts.values()) <= 1.75 * min(counts.values())

    def test_a_family_and_a_known_text_stay_in_one_split(self, pairs: Any) -> None:
        for key in ("family", "known"):
            splits = defaultdict(set)
            for pair in pairs:
                splits[pair[key]].add(pair["split"])
            assert all(len(found) == 1 for found in splits.values())

    def test_no_pair_occurs_twice_and_none_is_its_own_candidate(self, pairs: Any) -> None:
        seen = Counter((pair["known"].casefold(), pair["candidate"].casefold()) for pair in pairs)
        assert max(seen.values()) == 1
        assert all(known != candidate for known, candidate in seen)

    def test_some_pairs_name_their_subjects_and_some_do_not(self, pairs: Any) -> None:
        named = sum("known_subject" in pair for pair in pairs)
        assert len(pairs) / 4 < named < len(pairs)
