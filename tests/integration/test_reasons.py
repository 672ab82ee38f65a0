"""Why a fact was shown, or wasn't."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from semantic_memory import NotFound, SemanticMemory, UserMemory
from semantic_memory.embedding.bundled import bundled
from semantic_memory.reasons import KINDS
from semantic_memory.retrieval.relevance import Calibration

QUESTION = "Which tea do I drink?"


@pytest.fixture
async def ada(open_memory: Any) -> UserMemory:
    memory: SemanticMemory = await open_memory(min_relevance=0.0)
    return memory.user("ada")


async def test_every_fact_that_was_considered_says_what_became_of_it(ada: UserMemory) -> None:
    tea, cat = await ada.remember_all(["I drink green tea.", "Miso is a cat."])
    reasons = (await ada.recall(QUESTION, limit=1)).explain()
    assert [(one.fact_id, one.verdict) for one in reasons] == [(tea.id, "shown"), (cat.id, "limit")]


async def test_the_shares_tell_how_far_a_fact_stands_above_another(ada: UserMemory) -> None:
    await ada.remember_all(["I drink green tea.", "Miso is a cat."])
    recall = await ada.recall(QUESTION)
    best, other = recall.explain()
    assert best.shares is not None
    assert other.shares is not None
    assert set(best.shares) == set(KINDS)
    assert best.shares["words"] > 0 > other.shares["words"]
    above = sum(best.shares.values()) - sum(other.shares.values())
    signals = [sum(found.signals.values()) for found in recall.facts]
    assert above == pytest.approx(signals[0] - signals[1], abs=1e-3)


def test_every_signal_of_a_fact_is_of_one_kind() -> None:
    kinds = [name for names in KINDS.values() for name in names]
    assert sorted(kinds) == sorted(Calibration.load("default").helps.weights)


@pytest.mark.parametrize(
    ("told", "verdict"),
    [
        ({"limit": 1}, "limit"),
        ({"max_tokens": 12}, "budget"),
        ({"min_relevance": 1.0}, "threshold"),
        ({"min_share": 1.0}, "share"),
        ({}, "shown"),
    ],
)
async def test_why_not_names_what_stopped_a_fact(open_memory: Any, told: dict[str, Any], verdict: str) -> None:
    ada = (await open_memory(**{"min_relevance": 0.0, **told})).user("ada")
    _, other = await ada.remember_all(["I drink green tea.", "Miso, the neighbour's cat, drinks milk."])
    assert (await ada.why_not(other.id, QUESTION)).verdict == verdict


async def test_what_repeats_a_better_fact_is_its_duplicate(ada: UserMemory) -> None:
    now = datetime.now(UTC)
    twice = [await ada.remember("I drink green tea.", kind=kind, subject=kind, valid_from=now) for kind in ("a", "b")]
    reasons = {(await ada.why_not(one.id, QUESTION)).verdict for one in twice}
    assert reasons <= {"shown", "duplicate"}


async def test_a_fact_that_was_replaced_is_stopped_by_its_status(ada: UserMemory) -> None:
    old = await ada.remember("I drink green tea.")
    await ada.correct(old.id, "I drink black tea.")
    assert (await ada.why_not(old.id, QUESTION)).verdict == "status"


async def test_a_fact_that_is_over_is_stopped_by_its_status(open_memory: Any) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    ada = (await open_memory(min_relevance=0.0, clock=lambda: now)).user("ada")
    over = await ada.remember("I drink green tea.", expires_at=now + timedelta(hours=1))
    assert (await ada.why_not(over.id, QUESTION)).verdict == "shown"
    now += timedelta(hours=1)
    assert (await ada.why_not(over.id, QUESTION)).verdict == "status"


async def test_a_fact_that_nothing_brought_near_was_never_a_candidate(ada: UserMemory) -> None:
    far = await ada.remember("Quartz is hard.")
    await ada.remember_all([f"I drink tea number {number}." for number in range(250)])
    found = await ada.why_not(far.id, "Which tea number 7?")
    assert (found.verdict, found.relevance, found.shares) == ("candidate", None, None)


async def test_asking_why_not_leaves_no_receipt(ada: UserMemory) -> None:
    fact = await ada.remember("I drink green tea.")
    await ada.why_not(fact.id, QUESTION)
    assert await ada.receipts() == []


async def test_a_fact_that_is_not_ones_own_is_not_there(ada: UserMemory) -> None:
    with pytest.raises(NotFound):
        await ada.why_not("f7", QUESTION)


async def test_a_given_threshold_stands_alone_and_a_share_can_be_given_with_it(open_memory: Any) -> None:
    ada = (await open_memory(min_relevance=None)).user("ada")
    await ada.remember_all(["I drink green tea.", "Miso, the neighbour's cat, drinks milk.", "My car is red."])
    assert len((await ada.recall(QUESTION, min_relevance=0)).facts) == 3
    assert len((await ada.recall(QUESTION, min_relevance=0, min_share=1)).facts) == 1


# ---- that very recall ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ({}, "shown"),
        ({"limit": 1}, "limit"),
        ({"max_tokens": 12}, "budget"),
        ({"min_relevance": 1.0}, "threshold"),
        ({"min_share": 1.0}, "share"),
        ({"labels": ["home"]}, "shown"),
        ({"labels": ["work"]}, "label"),
        ({"as_of": datetime(2020, 1, 1, tzinfo=UTC)}, "status"),
    ],
)
async def test_why_not_explains_the_recall_with_the_same_arguments(
    ada: UserMemory, given: dict[str, Any], verdict: str
) -> None:
    await ada.remember("I drink green tea.", labels=["home"])
    fact = await ada.remember("Miso, the neighbour's cat, drinks milk.", labels=["home"])
    recall, reason = await ada.recall(QUESTION, **given), await ada.why_not(fact.id, QUESTION, **given)
    assert reason.verdict == verdict
    assert (fact.id in {one.fact.id for one in recall.facts}) is (verdict == "shown")


async def test_a_fact_that_was_replaced_since_is_explained_as_of_the_time_when_it_held(ada: UserMemory) -> None:
    old = await ada.remember("I drink green tea.")
    then = datetime.now(UTC)
    newer = await ada.correct(old.id, "I drink black tea.")
    assert (await ada.why_not(old.id, QUESTION, as_of=then)).verdict == "shown"
    assert (await ada.why_not(newer.id, QUESTION, as_of=then)).verdict == "status"


async def test_why_not_sees_the_turns_before(ada: UserMemory) -> None:
    fact = await ada.remember("I drink green tea.")
    await ada.remember_all([f"Quartz number {number} is hard." for number in range(5)])
    alone, after = [await ada.why_not(fact.id, "And in the morning?", earlier=turns) for turns in ((), (QUESTION,))]
    assert (after.relevance or 0) > (alone.relevance or 0)


# ---- silence -------------------------------------------------------------------------------------------


async def test_where_the_facts_hold_no_answer_the_recall_its_receipt_and_every_reason_say_so(open_memory: Any) -> None:
    ada: UserMemory = (await open_memory(embedding=bundled(), min_relevance=None)).user("ada")
    tea, *_ = await ada.remember_all(["I drink green tea.", "Miso is a cat.", "My car is red.", "I live in Porto."])
    question = "Who painted the Mona Lisa?"
    recall = await ada.recall(question)
    assert recall.facts == ()
    assert recall.answerable is not None
    assert recall.answerable < 0.5
    assert (
        {one.answerable for one in recall.explain()} == {one.answerable for one in recall.near} == {recall.answerable}
    )
    receipt = await ada.receipt(recall.receipt_id)
    assert receipt.answerable == pytest.approx(recall.answerable)
    assert [one.answerable for one in receipt.near] == pytest.approx([recall.answerable] * len(receipt.near))
    [near] = [one for one in recall.near if one.fact_id == tea.id]
    reason = await ada.why_not(tea.id, question)
    assert reason.verdict == near.stopped_by == "gate"
    assert reason.answerable == recall.answerable
