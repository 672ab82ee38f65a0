"""What the verbs cost, in counts that are the same on every machine: SQL statements, hops to the ledger, searches of
Chroma, calls of the model. Raising a figure here is a decision; see docs/performance.md."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from semantic_memory import SemanticMemory, UserMemory, receipts
from semantic_memory.index.folders import FolderIndex
from semantic_memory.ledger import rows
from semantic_memory.ledger.database import Threads
from semantic_memory.testing import HashEmbeddingModel
from semantic_memory.vectors import Shelves

pytestmark = pytest.mark.usefixtures("patient")

FACTS = [f"My colleague number {n} is called Name{n} and works in Oslo." for n in range(40)]


class CountedModel(HashEmbeddingModel):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    async def embed_documents(self, texts: Sequence[str]) -> Any:
        self.calls += 1
        return await super().embed_documents(texts)

    async def embed_query(self, text: str) -> Any:
        self.calls += 1
        return await super().embed_query(text)


@pytest.fixture
def model() -> CountedModel:
    return CountedModel()


@pytest.fixture
async def ada(open_memory: Any, model: CountedModel) -> UserMemory:
    """A user whose recalls the index answers."""
    ada = (await open_memory(embedding=model)).user("ada")
    await ada.remember_all(FACTS)
    await settled(ada)
    assert (await ada.recall("Where does Name3 work?")).answered_by == "index"
    await settled(ada)
    return ada


def without_follower(user: UserMemory, patch: pytest.MonkeyPatch) -> None:
    """What it reads behind a write is no cost of the write, and comes when it comes."""
    patch.setattr(user._rooms.follower, "notice", lambda *_, **__: None)


async def settled(user: UserMemory) -> None:
    await user._rooms.workroom.drain()


@contextmanager
def counted(memory: SemanticMemory | UserMemory, patch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts while the block runs."""
    seen: Counter[str] = Counter()

    def counts(cls: type, name: str, what: str) -> None:
        whole = getattr(cls, name)

        def counting(self: Any, *given: Any, **named: Any) -> Any:
            seen[what] += 1
            return whole(self, *given, **named)

        patch.setattr(cls, name, counting)

    def statement(_connection: Any, _cursor: Any, sql: str, *_: Any) -> None:
        seen["begins" if sql.startswith("BEGIN") else "statements"] += 1

    engine = memory._rooms.ledger.database.engine
    counts(Threads, "run", "hops")
    counts(FolderIndex, "nearest", "searches")
    counts(HashEmbeddingModel, "embed_query", "model")
    counts(HashEmbeddingModel, "embed_documents", "model")
    event.listen(engine, "before_cursor_execute", statement)
    yield seen
    event.remove(engine, "before_cursor_execute", statement)


async def test_a_warm_recall_looks_once_at_the_ledger_and_once_at_the_index(
    ada: UserMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted(ada, monkeypatch) as seen:
        await ada.recall("Who is Name7?")
    assert seen == {"hops": 1, "begins": 1, "statements": 1, "searches": 1, "model": 1}
    assert next(iter(seen)) == "model"  # it takes longest, and all else goes on beside it


async def test_behind_a_warm_recall_there_is_only_its_receipt(ada: UserMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receipts, "PAUSE", 0.5)  # longer than five recalls on a busy machine
    with counted(ada, monkeypatch) as seen:
        for n in range(5):
            await ada.recall(f"Who is Name{n}?")
        await settled(ada)
    # five receipts in one hop: who was erased meanwhile, what was forgotten, and two inserts
    assert (seen["hops"], seen["statements"], seen["searches"]) == (5 + 1, 5 + 4, 5)


async def test_a_first_touch_reads_the_user_twice(
    ada: UserMemory, open_memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = (await open_memory(embedding=CountedModel())).user("ada")
    without_follower(other, monkeypatch)
    await other._memory.user("bob").recall("Who is Name7?")  # the first receipt of a memory sweeps out the old ones
    await settled(other)
    with counted(other, monkeypatch) as seen:
        assert (await other.recall("Who is Name7?")).answered_by == "ledger"
    # where the user stands; the fingerprint; the facts, with where the user stands by then
    assert seen["hops"] == 3
    assert seen["statements"] <= 5


async def test_a_first_touch_makes_facts_only_of_those_that_it_shows_or_nearly_shows(
    ada: UserMemory, open_memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await ada.remember_all([f"My neighbour at number {n} is called Other{n} and keeps bees." for n in range(200)])
    other = (await open_memory(embedding=CountedModel())).user("ada")
    without_follower(other, monkeypatch)
    made: list[str] = []
    read = rows.fact_from
    monkeypatch.setattr(rows, "fact_from", lambda row, user_id: made.append(row.id) or read(row, user_id))
    recall = await other.recall("Who is Name7?")
    assert recall.facts
    assert len(made) <= len(recall.facts) + len(recall.near) < 60


async def test_to_remember_is_one_transaction_whose_size_does_not_grow_with_the_user(
    ada: UserMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_follower(ada, monkeypatch)
    with counted(ada, monkeypatch) as seen:
        await ada.remember("My landlord is called Ole.")
    assert seen == {"hops": 2, "begins": 2, "statements": 9, "model": 1}


async def test_statements_for_a_batch_do_not_grow_with_it(ada: UserMemory, monkeypatch: pytest.MonkeyPatch) -> None:
    without_follower(ada, monkeypatch)
    with counted(ada, monkeypatch) as seen:
        await ada.remember_all([f"My neighbour at number {n} is called Other{n}." for n in range(100)])
    assert (seen["hops"], seen["statements"], seen["model"]) == (2, 9, 1)


async def test_batches_are_embedded_while_the_ones_before_are_written(
    open_memory: Any, model: CountedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semantic_memory.user.BATCH", 10)
    ada = (await open_memory(embedding=model)).user("ada")
    filing, embedded = ada._rooms.filing, []
    write = filing.remember

    async def watched(*given: Any, **named: Any) -> Any:
        written = await write(*given, **named)
        embedded.append(model.calls)
        return written

    monkeypatch.setattr(filing, "remember", watched)
    facts = await ada.remember_all(FACTS)
    assert [fact.text for fact in facts] == FACTS
    assert embedded == [2, 3, 4, 4]  # batches, when each of them was written; none is embedded twice


async def test_the_index_follows_many_batches_once(
    open_memory: Any, model: CountedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semantic_memory.user.BATCH", 10)
    ada = (await open_memory(embedding=model)).user("ada")
    follower, rounds = ada._rooms.follower, []
    follow = follower.follow

    async def watched(*given: Any, **named: Any) -> None:
        rounds.append(given)
        await follow(*given, **named)

    monkeypatch.setattr(follower, "follow", watched)
    await ada.remember_all(FACTS)
    await settled(ada)
    assert len(rounds) == 1
    assert (await ada.recall("Where does Name3 work?")).answered_by == "index"


async def test_a_recall_of_one_user_does_not_look_at_the_shelves_of_others(
    ada: UserMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = [ada._memory.user(f"user{n}") for n in range(20)]
    for other in others:
        await other.remember("My landlord is called Ole.")
    await settled(ada)
    sized: list[Any] = []
    monkeypatch.setattr("semantic_memory.vectors._size", lambda held: sized.append(held) or 1)
    await ada.recall("Who is Name7?")
    await settled(ada)
    assert sized == []


async def test_shelves_keep_to_their_bound_and_count_what_they_hold(open_memory: Any) -> None:
    memory = await open_memory(cached_bytes=40_000)
    users = [memory.user(f"user{n}") for n in range(8)]
    for user in users:
        await user.remember_all(FACTS[:5])
        await user.recall("Who is Name1?")
    shelves: Shelves = memory._rooms.shelves
    assert 1 <= len(shelves._held) < len(users)
    assert shelves._bytes == sum(held.size for held in shelves._held.values()) <= 40_000
    for user in users:
        assert (await user.recall("Who is Name1?")).facts
    await users[-1].erase()
    assert shelves._bytes == sum(held.size for held in shelves._held.values())
