"""A query to facts in order of relevance, and the silence where nothing helps."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from semantic_memory.facts import Fact, Neighbour
from semantic_memory.retrieval.query import BORROWED, Query, Question, borrowed, standalone
from semantic_memory.retrieval.ranking import CANDIDATES, OFFERED, Scored, Worded, rank
from semantic_memory.retrieval.reading import Reading, Words
from semantic_memory.retrieval.relevance import DEFAULT, SUREST, WORDS_ALONE, Calibration, Logistic, Probe, timed
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.retrieval.signals import meaning
from tests.retrieval import NOW, fact, query, random_vectors, shelf_of

FACTS = [
    fact("deploy", "Deploy target is Hetzner, eu-central"),
    fact("editor", "Prefers dark mode in every editor"),
    fact("cats", "Has two cats named Miso and Tofu"),
    fact("billing", "The billing service is written in Go"),
    fact("food", "Vegetarian since 2019"),
    fact("lisbon", "Works from Lisbon on Fridays"),
]
YEAR = datetime(2019, 3, 1, tzinfo=UTC)
CALIBRATIONS = [DEFAULT, WORDS_ALONE, "all-MiniLM-L6-v2"]


def ranked(shelf: Shelf, asked: Query, **more) -> list[Scored]:
    return rank(shelf, asked, **{"calibration": Calibration.load("all-MiniLM-L6-v2"), "now": NOW, **more})


def ids(found: list[Scored]) -> list[str]:
    return [one.fact_id for one in found]


@pytest.mark.parametrize("name", CALIBRATIONS)
async def test_six_facts_are_enough_to_find_the_one_that_is_asked_for(name: str):
    found = ranked(await shelf_of(FACTS), await query("which deploy target?"), calibration=Calibration.load(name))
    assert found[0].fact_id == "deploy"


async def test_relevance_is_a_probability_and_falls_from_the_first_to_the_last():
    found = ranked(await shelf_of(FACTS), await query("Which editor mode and which cats?"))
    relevances = [one.relevance for one in found]
    assert relevances == sorted(relevances, reverse=True)
    assert all(0 <= one <= 1 for one in relevances)


async def test_the_shares_of_the_signals_add_up_to_the_log_odds():
    calibration = Calibration.load("all-MiniLM-L6-v2")
    found = ranked(await shelf_of(FACTS), await query("Where does the cats' food come from?"))[:3]
    chances = np.array([one.relevance / one.answerable for one in found])
    told = np.array([calibration.helps.bias + sum(one.signals.values()) for one in found])
    level = np.log(chances / (1 - chances)) - told  # of the query: the same for all of its facts
    assert level == pytest.approx(level[0], abs=1e-3)
    assert np.abs(told - told[0]).max() > 1


@pytest.mark.parametrize(
    ("text", "personal"),
    [
        ("Where do we deploy?", True),
        ("What's MY budget?", True),
        ("Can you recommend a hotel for me?", True),
        ("Give me a riddle", False),
        ("Thanks. Could you tell us how bees fly?", False),
        ("Tell me what I should cook", True),
        ("Who painted Las Meninas?", False),
        ("How do mice memorise?", False),
    ],
)
def test_a_query_is_personal_where_those_who_ask_speak_of_themselves(text: str, personal: bool):
    assert Question(text=text).personal is personal


async def test_words_that_no_fact_shares_leave_only_what_is_near():
    facts = [fact("near", "x"), fact("far", "y")]
    shelf = Shelf()
    for one, cosine in zip(facts, (0.9, 0.1), strict=True):
        shelf.put(one, np.array([cosine, np.sqrt(1 - cosine**2)], dtype=np.float32))
    reading = Reading.of(shelf, Words.of(shelf, Question(text="z")), np.array([1, 0], dtype=np.float32))
    by_id = dict(zip((shelf.ids[row] for row in shelf.timeline.order), meaning(reading)["apart"], strict=True))
    assert by_id == {"near": 0, "far": pytest.approx(0.2, abs=1e-6)}


async def test_an_empty_shelf_and_an_empty_query_are_answered():
    assert ranked(Shelf(), await query("anything?")) == []
    assert len(ranked(await shelf_of(FACTS), await query("?"))) == len(FACTS)
    assert len(ranked(await shelf_of(FACTS[:1]), await query("deploy target?"))) == 1


async def test_a_fact_that_no_vector_search_found_can_win_by_its_words():
    shelf = Shelf()
    vectors = random_vectors(7, dimension=384)  # as good as unrelated
    for one, vector in zip(FACTS, vectors, strict=False):
        shelf.put(one, vector)
    asked = Query(text="What are Miso and Tofu?", vector=vectors[6])
    dense = [Neighbour("deploy", 0.3), Neighbour("editor", 0.2)]
    assert ranked(shelf, asked, dense=dense)[0].fact_id == "cats"


async def test_who_found_the_neighbours_does_not_change_the_answer():
    shelf, asked = await shelf_of(FACTS), await query("Which cats, and where?")
    # a store's own similarities are approximate; the shelf's vectors decide
    dense = [Neighbour(one.fact_id, one.similarity - 0.01) for one in shelf.nearest(asked.vector, 100)]
    assert ranked(shelf, asked, dense=dense) == ranked(shelf, asked)


async def test_neighbours_that_are_no_longer_on_the_shelf_are_passed_over():
    shelf, asked = await shelf_of(FACTS), await query("deploy target?")
    assert ids(ranked(shelf, asked, dense=[Neighbour("gone", 0.9)]))[0] == "deploy"


async def test_the_answer_does_not_depend_on_the_order_in_which_facts_were_put():
    asked = await query("Which cats, and where do I work on Fridays?")
    there, back = await shelf_of(FACTS), await shelf_of(FACTS[::-1])
    for one, other in zip(ranked(there, asked)[:3], ranked(back, asked)[:3], strict=True):
        assert one.fact_id == other.fact_id
        assert one.relevance == pytest.approx(other.relevance, rel=1e-3)


def said(number: int, text: str, session: str) -> Fact:
    return fact(f"{session}{number}", text, session_id=session, position=number)


async def test_what_was_said_next_to_the_question_is_preferred_to_the_same_words_elsewhere():
    filler = [said(n, f"Something about topic {n} and subject {n + 40}", "x") for n in range(20)]
    talk = [said(0, "How did the pottery workshop go?", "a"), said(1, "It went really well", "a")]
    elsewhere = [said(0, "Nice weather in June", "b"), said(1, "It went really well", "b")]
    found = ids(ranked(await shelf_of([*filler, *talk, *elsewhere]), await query("How was the pottery workshop?")))
    assert found.index("a1") < found.index("b1")


async def test_of_equal_facts_the_one_said_in_the_time_asked_for_comes_first():
    facts = [
        fact(f"trip{days}", "Went on a hiking trip", said_at=NOW - timedelta(days=days)) for days in (1, 9, 30, 400)
    ]
    assert ids(ranked(await shelf_of(facts), await query("Which hiking trip did I make last week?")))[0] == "trip9"
    assert ids(ranked(await shelf_of(facts), await query("Which hiking trip did I make last year?")))[0] == "trip400"


async def test_before_an_event_of_the_users_own_life_means_before_the_fact_that_tells_it():
    facts = [
        fact("old", "Rents a flat with a balcony", said_at=NOW - timedelta(days=300)),
        fact("moved", "Moved to Porto", said_at=NOW - timedelta(days=100)),
        fact("new", "Rents a flat with a balcony", said_at=NOW - timedelta(days=10)),
    ]
    found = ids(ranked(await shelf_of(facts), await query("Which flat did I rent before I moved to Porto?")))
    assert found.index("old") < found.index("new")


async def test_an_event_that_no_fact_tells_of_is_no_time():
    facts = [
        fact("old", "Rents a flat with a balcony", said_at=NOW - timedelta(days=300)),
        fact("new", "Rents a flat with a balcony", said_at=NOW - timedelta(days=10)),
    ]
    found = ranked(await shelf_of(facts), await query("Which flat did I rent before I adopted the balcony cat?"))
    assert {one.signals["in_time"] for one in found} == {0}


@pytest.mark.parametrize("asked", ["Which trip did I plan in May?", "Which trip did I plan in 2019?"])
async def test_a_fact_counts_for_the_time_that_it_was_said_in_and_for_the_one_it_held_in(asked: str):
    facts = [
        fact("plain", "Planned a trip", said_at=NOW - timedelta(days=200)),
        fact("dated", "Planned a trip", said_at=datetime(2026, 5, 10, tzinfo=UTC), valid_from=YEAR, valid_to=YEAR),
    ]
    assert ids(ranked(await shelf_of(facts), await query(asked)))[0] == "dated"


async def test_a_time_that_all_facts_were_said_in_speaks_for_none_of_them():
    found = ranked(await shelf_of(FACTS), await query("What should I wear today?"))
    assert {one.signals["in_time"] for one in found} == {0}


async def test_the_facts_that_are_near_decide_whether_the_time_speaks_for_an_answer():
    early = NOW - timedelta(days=300)
    old = [dataclasses.replace(one, said_at=early) for one in FACTS if one.id != "billing"]
    shelf = await shelf_of([*old, *FACTS[3:4]])
    near, far = await query("Which billing service today?"), await query("Deploy target, editor mode or cats today?")
    weighed = [measured(shelf, one) for one in (near, far)]
    assert [one > 0.5 for one in weighed] == [True, False]


def measured(shelf: Shelf, asked: Query) -> float:
    calibration = Calibration.load("all-MiniLM-L6-v2")
    weighed = Worded.of(shelf, asked, now=NOW).weighed(asked.vector, calibration)
    return timed(calibration.helps(weighed.signals), weighed.signals, calibration.helps)


async def test_last_week_is_reckoned_from_the_moment_that_is_asked_about():
    facts = [fact(str(days), "Started lessons", said_at=NOW - timedelta(days=days)) for days in (9, 109, 209)]
    asked = await query("Which lessons did I start last week?")
    assert ids(ranked(await shelf_of(facts), asked, as_of=NOW - timedelta(days=100)))[0] == "109"


async def test_an_expired_fact_is_no_candidate():
    facts = [*FACTS, fact("old", "Deploy target is Fly", expires_at=NOW - timedelta(days=1))]
    assert "old" not in ids(ranked(await shelf_of(facts), await query("deploy target?")))


async def test_as_of_a_moment_knows_nothing_that_was_said_later():
    facts = [*FACTS[1:], fact("early", "Deploy target is Fly", said_at=NOW - timedelta(days=10)), FACTS[0]]
    found = ranked(await shelf_of(facts), await query("deploy target?"), as_of=NOW - timedelta(days=5))
    assert ids(found) == ["early"]


async def test_more_evidence_and_the_users_own_word_count():
    facts = [
        fact("once", "Drinks green tea"),
        fact("often", "Drinks green tea", evidence_count=8),
        fact("tool", "Drinks green tea", origin="tool"),
    ]
    assert ids(ranked(await shelf_of(facts), await query("green tea?"))) == ["often", "once", "tool"]


@pytest.mark.parametrize(
    ("earlier", "text", "turn"),
    [
        (["What is my cat called?"], "and the other one?", "What is my cat called?"),
        (["What is my cat called?", "Miso."], "and the other one?", "What is my cat called?"),
        (["What is my cat called?", "And the dog?"], "And the parrot?", "What is my cat called?"),
        (["What is my cat called?", "Where do we deploy?"], "Why there?", "Where do we deploy?"),
        (["Tell me about my cat."], "How old is she?", "Tell me about my cat."),
        (["What is my cat called?"], "Thanks. And the dog?", "What is my cat called?"),
        (["What is my cat called?"], "Where do we deploy the billing service?", None),
        (["What is my cat called?"], "ok", None),
        (["What is my cat called?"], "Thanks!", None),
        (["What is my cat called?"], "Is there a vet in Graz?", None),
        (["What is my cat called?"], "What time is it?", None),
        ([], "and the other one?", None),
    ],
)
def test_a_short_follow_up_borrows_the_last_turn_that_asked(earlier: list[str], text: str, turn: str | None):
    assert borrowed(text, earlier) == turn
    assert standalone(text, earlier) == (f"{text}\n{turn}\n{text}" if turn else text)


def test_what_is_borrowed_counts_for_less_and_is_read_for_names_and_oneself():
    asked = Query(text="and the cat?", vector=np.zeros(1, dtype=np.float32), earlier=("What does our Bruno call it?",))
    assert (asked.personal, asked.names) == (True, {"bruno"})
    assert dict(zip(asked.terms, asked.weights, strict=True)) == {
        "cat": 1,
        "bruno": pytest.approx(BORROWED),
        "call": pytest.approx(BORROWED),
    }


async def test_a_follow_up_asks_about_the_time_that_it_borrows():
    facts = [fact(str(days), "Went on a trip", said_at=NOW - timedelta(days=days)) for days in (1, 9, 30)]
    asked = await query("and which trip?", earlier=("What did I do last week?",))
    assert ids(ranked(await shelf_of(facts), asked))[0] == "9"


async def test_a_follow_up_finds_what_the_turn_before_asked_for():
    asked = await query("and the other one?", earlier=("What are my two cats named?",))
    assert ranked(await shelf_of(FACTS), asked)[0].fact_id == "cats"


def test_a_model_that_was_never_calibrated_gets_the_default():
    assert Calibration.load("somebody/new-model") == Calibration.load(DEFAULT)
    assert Calibration.load("sentence-transformers/all-MiniLM-L6-v2").name == "all-MiniLM-L6-v2"


async def test_a_probe_moves_the_silence_and_never_the_order():
    shelf, asked = await shelf_of(FACTS), await query("Which food?")
    calibration = Calibration.load("default")
    silence = Logistic(0.0, {"asks_user": 1.0})
    probes = [Probe(bias, (0.0,) * len(asked.vector)) for bias in (-2.0, 0.0, 2.0)]
    found = [
        ranked(shelf, asked, calibration=dataclasses.replace(calibration, answerable=silence, probe=probe))
        for probe in probes
    ]
    assert found[0][0].answerable < found[1][0].answerable < found[2][0].answerable
    assert ids(found[0]) == ids(found[1]) == ids(found[2])


def test_a_probe_is_never_surer_than_its_bounds():
    far = np.full(4, 100, dtype=np.float32)
    assert [Probe(0.0, (sign, 0.0, 0.0, 0.0))(far) for sign in (-1.0, 1.0)] == [-SUREST, SUREST]


def test_a_probe_says_nothing_of_vectors_of_another_dimension():
    assert Probe(3.0, (1.0, 1.0))(np.ones(4, dtype=np.float32)) == 0


@pytest.mark.parametrize("name", CALIBRATIONS)
def test_a_calibration_survives_json(name: str):
    calibration = Calibration.load(name)
    assert Calibration.from_json(calibration.to_json()) == calibration


@pytest.mark.parametrize("offered", [CANDIDATES, OFFERED * CANDIDATES, 300])
async def test_however_many_an_index_offers_the_nearest_of_them_are_taken(offered: int) -> None:
    shelf = await shelf_of([fact(f"f{number}", f"Word{number} stands alone") for number in range(300)])
    asked = await query("What is nowhere?")
    near = shelf.nearest(asked.vector, offered)
    found = ids(ranked(shelf, asked, dense=near, depth=300))
    assert found == ids(ranked(shelf, asked, depth=300))
    assert len(found) == CANDIDATES
