"""Who answers a recall: Chroma when it is up to date, the ledger's own vectors otherwise, with the same answer."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from semantic_memory import MemoryUnavailable, SemanticMemory, Settings, UserMemory
from semantic_memory.facts import Neighbour
from semantic_memory.index.folders import FolderIndex
from semantic_memory.testing import HashEmbeddingModel
from tests.servers import engine_in, fresh_schema

pytestmark = pytest.mark.usefixtures("patient")

PLACES = ("the museum", "the lake", "the office", "the bakery", "the station")
FRIENDS = ("Tom", "Sue", "Kim", "Ben")
QUESTIONS = [
    f"Who visited {place} with {friend} in week {n}?" for n in range(4) for place in PLACES for friend in FRIENDS
]


async def fill(user: UserMemory) -> None:
    await user.remember_all(
        [f"I visited {place} with {friend} in week {n}." for n in range(6) for place in PLACES for friend in FRIENDS]
    )


def opened(path: Path, **changes: float) -> object:
    settings = replace(Settings(path=path, min_relevance=0.0, limit=5), **changes)
    return SemanticMemory.open(settings, embedding=HashEmbeddingModel())


async def answers(user: UserMemory) -> list[tuple[str, list[str]]]:
    recalls = [await user.recall(question) for question in QUESTIONS]
    return [(recall.answered_by, [found.fact.id for found in recall.facts]) for recall in recalls]


async def test_a_warm_process_answers_from_chroma_and_the_ledger_would_answer_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path / "memory") as memory:
        ada = memory.user("ada")
        await fill(ada)
        await memory._rooms.workroom.drain()
        warm = await answers(ada)
        by = Counter(answered_by for answered_by, _ in warm)
        assert by["index"] >= 0.95 * len(QUESTIONS)

    async with opened(tmp_path / "memory") as first, opened(tmp_path / "memory") as second:
        await first.user("ada").recall(QUESTIONS[0])
        await first._rooms.workroom.drain()  # the first owns the folder now
        exact = await answers(second.user("ada"))
        assert {answered_by for answered_by, _ in exact} == {"ledger"}
        assert [ids for _, ids in exact] == [ids for _, ids in warm]


@pytest.mark.parametrize("limit", [8, 150])
async def test_among_many_facts_too_the_answers_are_the_same_down_to_what_was_left_out(
    tmp_path: Path, limit: int
) -> None:
    many = {"limit": limit, "max_tokens": 100_000}
    facts = [f"Book {n} on my shelf is about {('dogs', 'cats', 'ships', 'stars')[n % 4]}." for n in range(400)]

    async def told(user: UserMemory) -> list[tuple[list[str], list[str]]]:
        recalls = [await user.recall(question) for question in ("Which books are about ships?", "What do I read?")]
        by.update(recall.answered_by for recall in recalls)
        return [([one.fact.id for one in recall.facts], [one.fact_id for one in recall.near]) for recall in recalls]

    async with opened(tmp_path / "memory", **many) as first, opened(tmp_path / "memory", **many) as second:
        await first.user("ada").remember_all(facts)
        await first._rooms.workroom.drain()
        by: Counter[str] = Counter()
        found = await told(first.user("ada"))
        assert await told(second.user("ada")) == found
        assert by == {"index": 2, "ledger": 2}
        assert {len(shown) for shown, _ in found} == {limit}


async def test_where_the_index_finds_other_facts_these_are_the_candidates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path / "memory") as memory:
        ada = memory.user("ada")
        await ada.remember_all(["My bike is red.", "Our cellar floods.", "Tom plays chess."])
        await memory._rooms.workroom.drain()
        assert len((await ada.recall("Anything new?")).facts) == 3

        async def nearest(*_: object) -> list[Neighbour]:
            return [Neighbour(other.id, 0.1)]

        other = (await ada.facts())[0]
        monkeypatch.setattr(FolderIndex, "nearest", nearest)
        recall = await ada.recall("Anything else new?")
        assert recall.answered_by == "index"
        assert [found.fact.id for found in recall.facts] == [other.id]


async def test_a_high_limit_is_kept_and_what_was_nearly_shown_is_told(tmp_path: Path) -> None:
    async with opened(tmp_path, max_tokens=100_000) as memory:
        ada = memory.user("ada")
        await fill(ada)
        assert len((await ada.recall(QUESTIONS[0], limit=500)).facts) == 120
        recall = await ada.recall(QUESTIONS[0], limit=100)
        assert (len(recall.facts), len(recall.near)) == (100, 10)


async def test_what_one_process_writes_the_other_recalls_at_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as first, opened(tmp_path) as second:
        for n in range(10):
            fact = await first.user("ada").remember(f"I keep the key number {n} in drawer {n}.")
            recall = await second.user("ada").recall(f"Where is the key number {n}?")
            assert fact.id in [found.fact.id for found in recall.facts]
            newer = await second.user("ada").correct(fact.id, f"I keep the key number {n} in box {n}.")
            recall = await first.user("ada").recall(f"Where is the key number {n}?")
            ids = [found.fact.id for found in recall.facts]
            assert newer.id in ids
            assert fact.id not in ids


async def test_a_lost_index_is_built_again_and_meanwhile_the_ledger_answers(tmp_path: Path) -> None:
    async with opened(tmp_path / "memory") as memory:
        await fill(memory.user("ada"))
        await memory._rooms.workroom.drain()
        expected = [ids for _, ids in await answers(memory.user("ada"))]
    shutil.rmtree(tmp_path / "memory" / "index")
    async with opened(tmp_path / "memory") as memory:
        ada = memory.user("ada")
        first = await ada.recall(QUESTIONS[0])
        assert first.answered_by == "ledger"
        await memory._rooms.workroom.drain()
        again = await answers(ada)
        assert {answered_by for answered_by, _ in again} == {"index"}
        assert [ids for _, ids in again] == expected


class Absent(HashEmbeddingModel):
    """A model that is away; what was embedded before is in the ledger."""

    async def load(self):  # type: ignore[no-untyped-def]
        from semantic_memory import EmbeddingFailed

        raise EmbeddingFailed("no model today")


async def test_without_the_embedding_model_words_alone_answer_and_the_receipt_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        await fill(memory.user("ada"))
    settings = Settings(path=tmp_path, min_relevance=0.0, limit=5)
    async with SemanticMemory.open(settings, embedding=Absent()) as memory:
        ada = memory.user("ada")
        recall = await ada.recall("Who visited the lake with Kim in week 3?")
        assert recall.facts[0].fact.text == "I visited the lake with Kim in week 3."
        assert recall.answered_by == "lexical"
        assert "no model today" in (recall.degraded or "")
        kept = await ada.remember("I visited the volcano alone.")
    async with opened(tmp_path) as memory:
        ada = memory.user("ada")
        await ada.recall("warm up")
        await memory._rooms.workroom.drain()  # the follower has embedded what was written without a model
        recall = await ada.recall("Who visited the volcano?")
        assert recall.answered_by == "index"
        assert recall.facts[0].fact.id == kept.id


async def test_postgresql_and_sqlite_give_the_same_answer(tmp_path: Path) -> None:
    found: list[list[list[tuple[str, float]]]] = []
    async with fresh_schema() as schema:
        for engine in (None, engine_in(schema)):
            settings = Settings(path=tmp_path / schema / str(len(found)), min_relevance=0.0, limit=20)
            async with SemanticMemory.open(settings, embedding=HashEmbeddingModel(), engine=engine) as memory:
                ada = memory.user("ada")
                await fill(ada)
                recalls = [await ada.recall(question) for question in QUESTIONS[:10]]
            found.append([[(one.fact.text, one.relevance) for one in recall.facts] for recall in recalls])
            if engine is not None:
                await engine.dispose()
    assert found[0] == found[1]
    assert found[0][0][0][0] == "I visited the museum with Tom in week 0."


async def test_a_closed_memory_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as memory:
        ada = memory.user("ada")
    with pytest.raises(MemoryUnavailable, match="closed"):
        await ada.recall("Anything?")
