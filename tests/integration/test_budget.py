"""A context block never has more tokens than it may."""

from __future__ import annotations

from typing import Any

import pytest

from semantic_memory import SemanticMemory, Settings, context
from semantic_memory.embedding.bundled import bundled


@pytest.mark.parametrize("most", [1, 40, 60, 100, Settings().max_tokens])
async def test_the_frame_of_a_block_counts_too(open_memory: Any, most: int) -> None:
    memory: SemanticMemory = await open_memory(embedding=bundled(), min_relevance=0.0)
    ada, count = memory.user("ada"), memory._rooms.embedding.count_tokens
    await ada.remember_all([f"My dog number {n} is called Rex{n} and likes to eat apples." for n in range(30)])
    recall = await ada.recall("What are my dogs called?", max_tokens=most, limit=50)
    assert count(recall.context) <= most
    assert "budget" in {one.stopped_by for one in recall.near}
    assert bool(recall.facts) is bool(recall.context) is (most > count(context.FRAME) + 20)


async def test_eight_facts_of_common_length_find_room_by_default(open_memory: Any) -> None:
    ada = (await open_memory(embedding=bundled(), min_relevance=0.0)).user("ada")
    await ada.remember_all([f"My dog number {n} is called Rex{n} and likes to eat apples." for n in range(10)])
    assert len((await ada.recall("What are my dogs called?")).facts) == Settings().limit
