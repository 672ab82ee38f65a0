"""The lexicon: BM25 over one user's facts, kept up one fact at a time."""

from __future__ import annotations

import math
import statistics
import time
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_memory.retrieval.lexical import BACKGROUND, K1, B, Lexicon, terms

TEXTS = st.lists(st.sampled_from(["deploy", "target", "hetzner", "cats", "tofu", "friday", "the", "2019"]), max_size=8)


def lexicon_of(texts: list[str]) -> Lexicon:
    lexicon = Lexicon()
    for text in texts:
        lexicon.append(text)
    return lexicon


def bm25(query: list[str], texts: list[str]) -> list[float]:
    """BM25 as the textbook has it, over everything anew."""
    rows = [Counter(terms(text)) for text in texts]
    mean = max(sum(map(Counter.total, rows)) / len(rows), 1.0)
    scores = []
    for row in rows:
        score = 0.0
        for term in query:
            held = sum(term in other for other in rows)
            idf = math.log1p((BACKGROUND + len(rows) - held + 0.5) / (held + 0.5))
            damping = K1 * (1 - B + B * row.total() / mean)
            score += idf * row[term] * (K1 + 1) / (row[term] + damping) if row[term] else 0.0
        scores.append(score)
    return scores


def test_words_meet_in_their_stems_and_function_words_are_left_out():
    assert terms("Where do we deploy?") == terms("The deploying") == ["deploy"]


def test_a_possessive_is_the_name_itself():
    assert terms("Melanie's cats") == terms("Melanie\u2019s cat") == terms("melanie cat")


def test_a_script_without_spaces_is_indexed_by_character():
    assert terms("東京に住む") == list("東京に住む")


@given(st.lists(TEXTS, min_size=1, max_size=12), TEXTS)
def test_scores_are_those_of_bm25(rows: list[list[str]], asked: list[str]):
    texts, query = [" ".join(row) for row in rows], list(dict.fromkeys(terms(" ".join(asked))))
    assert lexicon_of(texts).scores(query) == pytest.approx(bm25(query, texts), abs=1e-4)


@given(st.lists(TEXTS, min_size=2, max_size=12), TEXTS, st.data())
def test_dropping_rows_leaves_what_building_without_them_gives(rows: list[list[str]], asked: list[str], data):
    texts, query = [" ".join(row) for row in rows], list(dict.fromkeys(terms(" ".join(asked))))
    lexicon = lexicon_of(texts)
    for _ in range(data.draw(st.integers(1, len(texts) - 1))):
        row = data.draw(st.integers(0, len(texts) - 1))
        lexicon.drop(row)
        texts[row] = texts[-1]
        texts.pop()
    np.testing.assert_allclose(lexicon.scores(query), lexicon_of(texts).scores(query), rtol=1e-5)


def test_a_fact_joins_twenty_thousand_others_in_less_than_ten_milliseconds():
    words = ["deploy", "target", "billing", "service", "lisbon", "cats", "otter", "server", "rota", "fish"]
    lexicon = lexicon_of([f"{words[n % 10]} {words[n % 7]} fact{n % 5000} of {n}" for n in range(20_000)])
    taken = []
    for n in range(25):
        began = time.perf_counter()
        lexicon.append(f"deploy target of {n}")
        lexicon.drop(n * 700)
        taken.append(time.perf_counter() - began)
    assert statistics.median(taken) < 0.01


def test_a_cold_user_of_a_thousand_facts_is_read_in_less_than_fifty_milliseconds():
    words = ["deploy", "target", "billing", "service", "lisbon", "cats", "otter", "server", "rota", "fish"]
    texts = [f"The {words[n % 10]} and the {words[n % 7]} went to place{n % 500} in year {n}" for n in range(1000)]
    taken = []
    for _ in range(5):
        began = time.perf_counter()
        lexicon_of(texts)
        taken.append(time.perf_counter() - began)
    assert min(taken) < 0.05
