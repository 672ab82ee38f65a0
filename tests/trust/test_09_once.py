"""Promise 9: exactly once, wherever the store fails and whoever else is at it."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
from agents import SQLiteSession
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from semantic_memory import Conflict, FactFilter, SemanticMemory, SemanticMemoryError, UserMemory
from semantic_memory.testing import HashEmbeddingModel
from tests.trust.children import Child
from tests.trust.counts import count, note
from tests.trust.test_02_kill import orphans

SAID = ["My deploy target is Hetzner.", "I moved to Lisbon last week.", "My cat is called Miso."]
STRIDE = count(9, 1)  # every call in the full count
RACES = count(10, 100)


def open_memory(folder: Path) -> Any:
    return SemanticMemory.open(folder / "memory", embedding=HashEmbeddingModel())


async def transcript(folder: Path) -> SQLiteSession:
    session = SQLiteSession("s", folder / "chats.db")
    if not await session.get_items():
        await session.add_items([{"role": "user", "content": text} for text in SAID])
    return session


def engine_of(memory: SemanticMemory) -> Any:
    return memory._rooms.ledger.database.engine


@contextmanager
def failing_at(memory: SemanticMemory, nth: int, happens: Any) -> Iterator[Counter[str]]:
    """Have the nth call of the store fail, be it a statement or a commit; how many calls there were."""
    calls: Counter[str] = Counter()

    def call(*_: Any) -> None:
        calls["calls"] += 1
        if calls["calls"] == nth:
            happens()

    names, engine = ("before_cursor_execute", "commit"), engine_of(memory)
    for name in names:
        event.listen(engine, name, call)
    try:
        yield calls
    finally:
        for name in names:
            event.remove(engine, name, call)


def io_error() -> None:
    raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))


async def learn_in_spite_of(user: UserMemory, session: SQLiteSession) -> None:
    try:
        await user.learn(session)
    except SemanticMemoryError:
        return


async def assert_learned_once(memory: SemanticMemory, folder: Path) -> None:
    ada = memory.user("ada")
    await ada.learn(await transcript(folder))
    assert Counter(fact.text for fact in await ada.facts(FactFilter(status=()))) == Counter(SAID)
    assert [fact.evidence_count for fact in await ada.facts()] == [1] * len(SAID)
    assert (await memory.health(repair=True)).sound
    assert orphans(folder / "memory" / "ledger.db") == {}


async def calls_of_a_pass(folder: Path) -> range:
    """Which calls of the store a learn pass makes: those that may fail."""
    await asyncio.to_thread(folder.mkdir)
    async with open_memory(folder) as memory:
        with failing_at(memory, 0, io_error) as made:
            await memory.user("ada").learn(await transcript(folder))
    assert made["calls"] > 10
    return range(1, made["calls"] + 1, STRIDE)


async def test_two_workers_and_a_store_that_fails_at_its_nth_call(tmp_path: Path) -> None:
    calls = await calls_of_a_pass(tmp_path / "whole")
    for nth in calls:
        folder = tmp_path / str(nth)
        folder.mkdir()
        session = await transcript(folder)
        async with open_memory(folder) as unlucky, open_memory(folder) as other:
            with failing_at(unlucky, nth, io_error):
                one, two = unlucky.user("ada"), other.user("ada")
                await asyncio.gather(learn_in_spite_of(one, session), learn_in_spite_of(two, session))
            await assert_learned_once(unlucky, folder)
    note(9, "two workers, the Nth store call fails", calls=calls.stop - 1, tried=len(calls), doubled=0, lost=0)


async def learn_and_die(line: Connection, folder: Path, nth: int) -> None:
    """Learn, and die at the nth call of the store."""
    async with open_memory(folder) as memory:
        with failing_at(memory, nth, lambda: os._exit(9)):
            await memory.user("ada").learn(await transcript(folder))


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_crash_at_every_store_call(tmp_path: Path, workers: int) -> None:
    calls, died = await calls_of_a_pass(tmp_path / "whole"), 0
    for nth in calls:
        folder = tmp_path / str(nth)
        folder.mkdir()
        await transcript(folder)
        children = [Child(learn_and_die, folder, dies) for dies in (nth, 0)[:workers]]
        exits = [await asyncio.to_thread(child.ended) for child in children]
        assert exits[1:] in ([], [0])
        died += exits[0] == 9
        async with open_memory(folder) as memory:
            await assert_learned_once(memory, folder)
    assert died > len(calls) // 2 or workers == 2  # who comes second has less to do, and an index may follow later
    what = "one worker" if workers == 1 else "two workers, one of them"
    note(9, f"{what} dies at the Nth store call", calls=calls.stop - 1, died=died, doubled=0, lost=0)


async def test_of_two_that_replace_a_fact_one_wins(tmp_path: Path) -> None:
    lost = 0
    async with open_memory(tmp_path) as first, open_memory(tmp_path) as second:
        for race in range(RACES):
            one, two = first.user(f"user {race}"), second.user(f"user {race}")
            old = await one.remember("My deploy target is Hetzner.")
            newer = ["My deploy target is AWS.", "My deploy target is Azure."]
            done = await asyncio.gather(
                *(user.correct(old.id, text) for user, text in zip((one, two), newer, strict=True)),
                return_exceptions=True,
            )
            lost += sum(isinstance(result, Conflict) for result in done)
            assert not [result for result in done if isinstance(result, Exception) and not isinstance(result, Conflict)]
            active = await one.facts()
            assert len(active) == 1, [fact.text for fact in active]
            assert (await two.fact(old.id)).superseded_by == active[0].id
            assert await two.facts() == active
    assert lost == RACES
    note(9, "supersede races", races=RACES, one_active=RACES, conflicts=lost)
