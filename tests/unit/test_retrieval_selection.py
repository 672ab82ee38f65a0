"""From ranked facts to the few that are shown, and what stopped the others."""

from __future__ import annotations

from semantic_memory import context
from semantic_memory.facts import Fact, RecalledFact
from semantic_memory.retrieval.ranking import Scored
from semantic_memory.retrieval.selection import Selection, beside, select
from tests.retrieval import EMBEDDING, fact, shelf_of

TEA = fact("tea", "Drinks green tea every morning")
CATS = fact("cats", "Has two cats named Miso and Tofu")
GO = fact("go", "The billing service is written in Go")


async def selection(facts: list[Fact], relevances: list[float], **more) -> Selection:
    scored = [Scored(one.id, relevance, 1.0, {}) for one, relevance in zip(facts, relevances, strict=True)]
    limits = {"min_relevance": 0.1, "limit": 10, "max_tokens": 1000, "tokens": tokens}
    return select(scored, await shelf_of(facts), **{**limits, **more})


def tokens(text: str) -> int:
    return EMBEDDING.count_tokens(text)


def block(*facts: Fact) -> str:
    return context.render([RecalledFact(fact=one, relevance=1.0, rank=1) for one in facts])


def shown(found: Selection) -> list[str]:
    return [one.fact.id for one in found.shown]


def stopped(found: Selection) -> dict[str, str]:
    return {one.fact_id: one.stopped_by for one in found.near}


async def test_what_passes_the_threshold_is_shown_best_first_with_its_rank():
    found = await selection([TEA, CATS, GO], [0.9, 0.1, 0.09])
    assert [(one.fact.id, one.rank, one.relevance) for one in found.shown] == [("tea", 1, 0.9), ("cats", 2, 0.1)]
    assert stopped(found) == {"go": "threshold"}


async def test_what_would_pass_if_the_facts_held_an_answer_is_stopped_by_the_gate():
    scored = [Scored("tea", 0.04, 0.05, {}), Scored("cats", 0.004, 0.05, {})]
    limits = {"min_relevance": 0.1, "limit": 10, "max_tokens": 1000, "tokens": tokens}
    found = select(scored, await shelf_of([TEA, CATS]), **limits)
    assert (shown(found), stopped(found)) == ([], {"tea": "gate", "cats": "threshold"})
    assert [one.answerable for one in found.near] == [0.05, 0.05]


async def test_the_limit_is_kept():
    found = await selection([TEA, CATS, GO], [0.9, 0.8, 0.7], limit=1)
    assert (shown(found), stopped(found)) == (["tea"], {"cats": "limit", "go": "limit"})


async def test_what_stands_deeper_than_an_answer_goes_is_only_told_of():
    again = fact("again", "Drinks green tea every morning!")
    found = await selection([TEA, again, CATS, GO], [0.9, 0.8, 0.7, 0.05], depth=2)
    assert (shown(found), stopped(found)) == (["tea"], {"again": "duplicate", "cats": "limit", "go": "threshold"})


async def test_a_fact_too_long_for_what_is_left_gives_way_to_a_shorter_one():
    short = fact("short", "Vegetarian")
    found = await selection([TEA, CATS, short], [0.9, 0.8, 0.7], max_tokens=tokens(block(TEA, short)))
    assert (shown(found), stopped(found)) == (["tea", "short"], {"cats": "budget"})


async def test_a_block_has_no_more_tokens_than_it_may_all_of_it_counted():
    for most in range(tokens(block(TEA, CATS, GO)) + 1):
        found = await selection([TEA, CATS, GO], [0.9, 0.8, 0.7], max_tokens=most)
        assert tokens(context.render(found.shown)) <= most
        assert set(stopped(found).values()) <= {"budget"}
        assert len(found.shown) + len(found.near) == 3
    assert shown(found) == ["tea", "cats", "go"]


async def test_a_block_that_has_more_tokens_than_its_lines_loses_the_last():
    def greedy(text: str) -> int:
        return len(text.split()) + 5 * text.count("Drinks") * text.count("Has")

    most = greedy(block(TEA, CATS)) - 1
    found = await selection([TEA, CATS, GO], [0.9, 0.8, 0.05], max_tokens=most, tokens=greedy)
    assert (shown(found), stopped(found)) == (["tea"], {"cats": "budget", "go": "threshold"})


async def test_a_fact_that_says_the_same_gives_way():
    again = fact("again", "Drinks green tea every morning!")
    found = await selection([TEA, again, CATS], [0.9, 0.8, 0.7])
    assert (shown(found), stopped(found)) == (["tea", "cats"], {"again": "duplicate"})


async def test_facts_that_differ_in_one_word_are_both_shown():
    rooms = [fact(f"room{n}", f"The weekly planning meeting is always held in room {n}") for n in (12, 13)]
    assert shown(await selection(rooms, [0.9, 0.8])) == ["room12", "room13"]


async def test_others_than_the_user_have_a_quota():
    told = [fact(f"t{n}", text, origin="tool") for n, text in enumerate(["Uses Go", "Likes tea", "Has cats"])]
    own = [
        fact(f"o{n}", text, origin=origin) for n, (text, origin) in enumerate([("A b", "operator"), ("C d", "import")])
    ]
    found = await selection([*told, *own], [0.9, 0.8, 0.7, 0.6, 0.5], foreign_quota=2)
    assert (shown(found), stopped(found)) == (["t0", "t1", "o0", "o1"], {"t2": "quota"})


async def test_what_is_far_behind_the_best_in_odds_is_not_shown_beside_it():
    found = await selection([TEA, CATS, GO], [0.9, 0.5, 0.4], min_share=0.1)
    assert (shown(found), stopped(found)) == (["tea", "cats"], {"go": "share"})


async def test_where_nothing_stands_out_nothing_is_far_behind():
    assert shown(await selection([TEA, CATS, GO], [0.12, 0.11, 0.1], min_share=0.5)) == ["tea", "cats", "go"]


def test_what_is_shown_beside_a_certain_fact_is_certain_too():
    assert beside(1.0, 0.01) == 1.0
    assert beside(0.0, 0.01) == 0.0
    assert beside(0.5, 1.0) == 0.5


async def test_everything_that_was_stopped_is_told_best_first():
    facts = [fact(f"f{n}", f"Fact number {n}") for n in range(20)]
    assert list(stopped(await selection(facts, [0.05] * 20))) == [f"f{n}" for n in range(20)]
