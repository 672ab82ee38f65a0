"""Labels are walls: a recall with labels is that of a user who never said anything else."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from semantic_memory import SemanticMemory, UserMemory
from semantic_memory.embedding.bundled import bundled
from semantic_memory.testing import HashEmbeddingModel
from semantic_memory.vectors import BYTES_BESIDE_THE_VECTOR

WORK = ["Our standup is at 9:30.", "My manager is Bruno.", "We deploy on Tuesdays.", "I code in Go.", "I lead Apollo."]
PRIVATE = ["I was diagnosed with diabetes in March.", "My dog is called Rex.", "I live in Porto.", "I play the cello."]
QUESTIONS = [
    "When was I diagnosed with diabetes?",
    "Do I have diabetes?",
    "Who is my manager?",
    "What is my dog called?",
    "When do we deploy, and in which language do I code?",
    "How do I say good morning in French?",
]
SHOW_ALL = {"min_relevance": 0.0, "limit": 20, "max_tokens": 10_000}


async def answers(user: UserMemory, **given: Any) -> list[Any]:
    """What each question is answered, without what differs from user to user: ids and times."""
    told = []
    for question in QUESTIONS:
        recall = await user.recall(question, **given)
        near = [((await user.fact(one.fact_id)).text, one.stopped_by, one.relevance) for one in recall.near]
        told.append(([(one.fact.text, one.relevance) for one in recall.facts], near))
    return told


def alike(found: list[Any], expected: list[Any]) -> bool:
    def texts(answer: Any) -> Any:
        return [one[0] for one in answer[0]], [one[:2] for one in answer[1]]

    def chances(all_answers: list[Any]) -> list[float]:
        return [one[-1] for answer in all_answers for part in answer for one in part]

    return [texts(one) for one in found] == [texts(one) for one in expected] and chances(found) == pytest.approx(
        chances(expected), abs=1e-5
    )


@pytest.mark.parametrize("given", [{}, SHOW_ALL])
@pytest.mark.parametrize("then", [False, True])
async def test_what_is_behind_a_wall_changes_nothing_on_this_side(
    open_memory: Any, given: dict[str, Any], then: bool
) -> None:
    memory: SemanticMemory = await open_memory(embedding=bundled(), min_relevance=None)
    ada, bob = memory.user("ada"), memory.user("bob")
    for work, private in zip(WORK, [*PRIVATE, "I am vegetarian."], strict=True):
        await ada.remember(private, labels=["private"])
        await ada.remember(work, labels=["work"])
        await bob.remember(work, labels=["work"])
    moment = datetime.now(UTC) if then else None
    expected = await answers(bob, as_of=moment, **given)
    assert alike(await answers(ada, labels=["work"], as_of=moment, **given), expected)
    assert not alike(await answers(ada, as_of=moment, **given), expected)


async def test_a_fact_is_found_among_many_that_carry_other_labels(open_memory: Any) -> None:
    ada = (await open_memory(min_relevance=None)).user("ada")
    await ada.remember("My work project is a billing migration.", labels=["work"])
    for number in range(60):
        await ada.remember(f"My home project {number} is a garden project.", labels=["home"])
    [found] = (await ada.recall("What is my project about?", labels=["work"])).facts
    assert found.fact.labels == ("work",)


async def test_the_model_of_what_is_behind_a_wall_is_nobodys_business(open_memory: Any) -> None:
    ada = (await open_memory(embedding=HashEmbeddingModel(dimension=32))).user("ada")
    await ada.remember("My cat is called Miso.", labels=["home"])
    ada = (await open_memory(embedding=HashEmbeddingModel(dimension=48))).user("ada")
    assert (await ada.recall("My cat?")).degraded
    assert (await ada.recall("My cat?", labels=["work"])).degraded is None


# ---- what it costs -------------------------------------------------------------------------------------


async def test_what_labels_let_through_is_made_once_and_then_follows(ada: UserMemory) -> None:
    await ada.remember("My project is called Apollo.", labels=["work"])
    await ada.remember("My cat is called Miso.", labels=["home"])
    await ada.recall("Apollo?", labels=["work"])
    held = ada._rooms.shelves._held[ada._key]
    [made] = held.views.shelves
    await ada.recall("Apollo?", labels=["work"])
    await ada.remember("My deadline is Friday.", labels=["work"])
    await ada.recall("Apollo?", labels=["work"])
    assert held.views.shelves == (made,)
    assert len(made) == 2


async def test_what_labels_let_through_counts_as_memory_and_gives_way_first(open_memory: Any) -> None:
    room = 11 * (BYTES_BESIDE_THE_VECTOR + 4 * 64)
    memory: SemanticMemory = await open_memory(cached_bytes=room)
    ada, bob, shelves = memory.user("ada"), memory.user("bob"), memory._rooms.shelves
    await bob.remember("My cat is called Miso.")
    for number in range(3):
        await ada.remember(f"My project {number} is called Apollo {number}.", labels=["work", "code", "go"])
    for label in ("work", "code", "go"):
        await ada.recall("Apollo?", labels=[label])
        assert shelves._bytes <= room
    assert len(shelves._held[ada._key].views.shelves) == 2
    assert bob._key in shelves._held
