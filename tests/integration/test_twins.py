"""The same words are believed once, however they come about."""

from __future__ import annotations

from typing import Any

import pytest
from agents import SQLiteSession

from semantic_memory import FactFilter, SemanticMemory, UserMemory
from semantic_memory.embedding.bundled import bundled

HETZNER, AWS = "My deploy target is Hetzner.", "We moved: my deploy target is now AWS."


@pytest.fixture
async def ada(open_memory: Any) -> UserMemory:
    memory: SemanticMemory = await open_memory(embedding=bundled())
    return memory.user("ada")


async def say(user: UserMemory, text: str, session_id: str) -> SQLiteSession:
    session = SQLiteSession(session_id)
    await session.add_items([{"role": "user", "content": text}, {"role": "assistant", "content": "Noted."}])
    await user.learn(session)
    return session


async def test_a_correction_in_the_words_of_another_fact_takes_the_place_of_both(ada: UserMemory) -> None:
    home = await ada.remember("I live in Rome.")
    dentist = await ada.remember("My dentist is Dr. Meyer.")
    newer = await ada.correct(dentist.id, "I live in Rome")
    assert [fact.id for fact in await ada.facts()] == [newer.id]
    for old in (home, dentist):
        gone = await ada.fact(old.id)
        assert (gone.status, gone.superseded_by) == ("superseded", newer.id)


async def test_what_was_replaced_and_is_said_again_is_in_dispute_with_what_replaced_it(ada: UserMemory) -> None:
    await say(ada, HETZNER, "1")
    await say(ada, AWS, "2")
    [aws] = await ada.facts()
    await say(ada, HETZNER, "3")
    again, known = await ada.facts()
    assert (again.text, again.conflicts_with, known.id) == (HETZNER, aws.id, aws.id)
    assert [fact.id for fact in await ada.facts(FactFilter(disputed=True))] == [again.id, aws.id]
    assert (await ada.recall("Where do we deploy?")).context.count("disputed") == 2


async def test_what_comes_back_is_not_believed_beside_its_own_words(ada: UserMemory) -> None:
    first = await say(ada, HETZNER, "1")
    second = await say(ada, AWS, "2")
    third = await say(ada, HETZNER, "3")
    [again, _] = await ada.facts()
    await ada.rewind(second)
    assert [fact.id for fact in await ada.facts()] == [again.id]
    await ada.rewind(third)
    [back] = await ada.facts()
    assert (back.text, back.session_id, back.superseded_by) == (HETZNER, "1", None)
    await ada.rewind(first)
    assert await ada.facts() == []


async def test_the_same_words_behind_another_label_stay(ada: UserMemory) -> None:
    await ada.remember("I live in Rome.", labels=["home"])
    dentist = await ada.remember("My dentist is Dr. Meyer.", labels=["work"])
    await ada.correct(dentist.id, "I live in Rome.")
    assert sorted(fact.labels for fact in await ada.facts()) == [("home",), ("work",)]
