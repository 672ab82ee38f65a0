"""The shelf: one user's active facts, with exact nearest neighbours."""

from __future__ import annotations

from dataclasses import asdict
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantic_memory.errors import InvalidInput, NotFound
from semantic_memory.facts import Fact
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.retrieval.timeline import Timeline
from tests.retrieval import fact, random_vectors

VECTORS = random_vectors(300)


def full_shelf(count: int) -> Shelf:
    shelf = Shelf()
    for number in range(count):
        shelf.put(fact(f"f{number}", f"fact {number}"), VECTORS[number])
    return shelf


def test_the_nearest_are_those_of_the_highest_cosine():
    query = VECTORS[250]
    best = np.argsort(-(VECTORS[:200] @ query))[:5]
    assert [one.fact_id for one in full_shelf(200).nearest(query, 5)] == [f"f{row}" for row in best]


def test_asking_for_more_than_there_is_gives_everything():
    assert len(full_shelf(3).nearest(VECTORS[0], 10)) == 3
    assert Shelf().nearest(VECTORS[0], 10) == []


@given(st.lists(st.tuples(st.sampled_from(["put", "drop"]), st.integers(0, 20), st.integers(0, 299)), max_size=60))
def test_any_history_leaves_the_facts_that_were_put_last_and_not_dropped(steps: list[tuple[str, int, int]]):
    shelf, kept = Shelf(), {}
    for step, number, vector in steps:
        if step == "put":
            shelf.put(fact(f"f{number}", f"fact {vector}", position=vector), VECTORS[vector])
            kept[f"f{number}"] = vector
        else:
            shelf.drop(f"f{number}")
            kept.pop(f"f{number}", None)
    assert sorted(shelf.ids) == sorted(kept)
    for fact_id, vector in kept.items():
        assert shelf.get(fact_id).text == f"fact {vector}"
        assert np.array_equal(shelf.vectors_of([fact_id])[0], VECTORS[vector])
        assert shelf.columns["position"][shelf.row(fact_id)] == vector
        assert shelf.lexicon.terms_of(shelf.row(fact_id)) == ("fact", str(vector))


def test_many_at_once_are_the_same_as_one_by_one():
    facts = [fact(f"f{n}", f"fact {n} of {n % 7}", position=n % 5, session_id=f"s{n % 3}") for n in range(200)]
    shelf = Shelf()
    shelf.extend(facts[:90], VECTORS[:90])
    shelf.extend(facts[90:], VECTORS[90:200])
    one_by_one = Shelf()
    for one, vector in zip(facts, VECTORS, strict=False):
        one_by_one.put(one, vector)
    assert shelf.ids == one_by_one.ids
    assert np.array_equal(shelf.vectors, one_by_one.vectors)
    assert np.array_equal(shelf.columns, one_by_one.columns)
    wanted = ["fact", "6", "9"]
    assert np.array_equal(shelf.lexicon.scores(wanted), one_by_one.lexicon.scores(wanted))
    assert [shelf.at(row) for row in range(200)] == facts


def test_of_a_record_a_fact_is_made_when_somebody_looks_at_it_and_once():
    made = []

    def read(record: SimpleNamespace) -> Fact:
        made.append(record.id)
        return fact(record.id, record.text)

    facts = [fact(f"f{number}", f"fact {number}") for number in range(4)]
    shelf = Shelf(read)
    shelf.extend([SimpleNamespace(**asdict(one)) for one in facts], VECTORS[:4])
    shelf.drop("f0")
    shelf.put(facts[0], VECTORS[0])
    assert [shelf.nearest(VECTORS[2], 1)[0].fact_id, *shelf.ids] == ["f2", "f3", "f1", "f2", "f0"]
    assert made == []
    assert [shelf.get("f2"), shelf.get("f2"), shelf.get("f0")] == [facts[2], facts[2], facts[0]]
    assert made == ["f2"]


def test_a_fact_that_is_not_there_is_not_found():
    with pytest.raises(NotFound):
        full_shelf(2).get("f7")


def test_a_vector_of_another_length_is_refused_and_loses_nothing():
    shelf = full_shelf(2)
    with pytest.raises(InvalidInput):
        shelf.put(fact("f0", "anew"), np.ones(3, dtype=np.float32))
    assert shelf.get("f0").text == "fact 0"


def test_conversation_is_in_order_of_position_whatever_order_facts_came_in():
    shelf = Shelf()
    for number, (session, position) in enumerate([("b", 1), ("a", 2), ("b", 0), ("a", 1), (None, 0)]):
        shelf.put(fact(f"f{number}", "x", session_id=session, position=position), VECTORS[number])
    line = shelf.timeline
    ids = [shelf.ids[row] for row in line.order]
    assert ids.index("f2") + 1 == ids.index("f0")
    assert ids.index("f3") + 1 == ids.index("f1")


def test_a_change_is_seen_by_the_next_timeline():
    shelf = full_shelf(2)
    assert len(shelf.timeline.order) == 2
    shelf.put(fact("f9", "x"), VECTORS[9])
    assert len(shelf.timeline.order) == 3


def test_scores_spread_within_a_session_and_never_into_another():
    line = Timeline.of(np.array([0, 0, 0, 1], dtype=np.int32), np.array([0, 1, 2, 0], dtype=np.int32))
    scores = np.array([0.0, 0.0, 1.0, 0.0], dtype=np.float32)
    assert line.shifted(scores, -1).tolist() == [0, 1, 0, 0]
    assert line.around(scores, decay=0.5, reach=2).tolist() == [0.25, 0.5, 0, 0]
    assert line.nearby(np.stack([scores, scores[::-1]]), decay=0.5, reach=2).tolist() == [
        [0.25, 0.5, 1, 0],
        [0.5, 1, 0.5, 0],
    ]
    assert line.best_of_session(scores).tolist() == [1, 0]


def test_facts_of_no_session_are_no_neighbours():
    line = Timeline.of(np.array([-1, -1], dtype=np.int32), np.array([0, 1], dtype=np.int32))
    assert line.shifted(np.ones(2, dtype=np.float32), 1).tolist() == [0, 0]
