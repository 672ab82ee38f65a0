"""Promise 3: several processes share a memory, each finds everything, and nobody is shown what is gone."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from semantic_memory import SemanticMemory, Settings, UserMemory
from semantic_memory.testing import HashEmbeddingModel
from tests.chroma_server import ChromaServer
from tests.servers import engine_in, fresh_schema
from tests.trust.children import Child, now
from tests.trust.counts import SEED, count, note

FACTS = count(60, 1_200)  # that each process writes
PROCESSES = 3
BATCH = count(4, 10)


@asynccontextmanager
async def memory_at(folder: Path, schema: str | None, chroma: str | None) -> Any:
    """The memory as every process opens it: in a folder, or on PostgreSQL and `chroma run`."""
    settings = Settings(path=folder / "memory", chroma_url=chroma)
    engine = engine_in(schema) if schema else None
    async with AsyncExitStack() as stack:
        if engine is not None:
            stack.push_async_callback(engine.dispose)
        yield await stack.enter_async_context(
            SemanticMemory.open(settings, embedding=HashEmbeddingModel(), engine=engine)
        )


def statement(writer: int, number: object) -> str:
    return f"My colleague number {writer}x{number} is called Ed{writer}x{number}."


async def everything_like(user: UserMemory, text: str) -> Any:
    return await user.recall(text, min_relevance=0.0, limit=20, max_tokens=10_000)


# ---- what each process does --------------------------------------------------------------------------


async def write_and_read(line: Connection, where: tuple[Any, ...], writer: int, user_id: str, share: Any) -> None:
    """Write facts, replace and forget some, and read all the while; tell when, by the clock of the machine.

    In the end look for a `share` of the user's facts, each by its own text.
    """
    chance, gone, shown = random.Random(SEED + writer), [], []
    async with memory_at(*where) as memory:
        user = memory.user(user_id)
        writing = asyncio.ensure_future(write(user, writer, chance, gone))
        while not writing.done():
            asked = now()
            text = statement(chance.randrange(PROCESSES), chance.randrange(FACTS))
            recall = await everything_like(user, text)
            shown.append((asked, recall.answered_by, [one.fact.id for one in recall.facts]))
            await asyncio.sleep(0.02)
        await writing
        line.send((gone, shown))
        assert await asyncio.to_thread(line.recv) == "everybody has written"
        texts = sorted([fact.text for fact in await user.facts()])
        mine = texts[slice(*share)]
        missed = [text for text in mine if not await is_found(user, text)]
        line.send((texts, len(mine), missed))
        await asyncio.to_thread(line.recv)


async def write(user: UserMemory, writer: int, chance: random.Random, gone: list[tuple[float, str]]) -> None:
    for first in range(0, FACTS, BATCH):
        facts = await user.remember_all([statement(writer, first + n) for n in range(BATCH)])
        if chance.random() < 0.2:
            old = chance.choice(facts)
            await user.correct(old.id, old.text.replace("is called", "is now called"))
            gone.append((now(), old.id))
        elif chance.random() < 0.1:
            extra = await user.remember(statement(writer, f"{first}forgotten"))
            await user.forget(extra.id)
            gone.append((now(), extra.id))


async def is_found(user: UserMemory, text: str) -> bool:
    return [one.fact.text for one in (await user.recall(text, min_relevance=0.0, limit=1)).facts] == [text]


# ---- what must be true of them together --------------------------------------------------------------


def holders(root: Path, pids: list[int]) -> Iterator[tuple[str, list[int]]]:
    """Each Chroma folder with the processes that have its database open, as the kernel tells it."""
    held: dict[str, list[int]] = {}
    for pid in pids:
        names = {name for name in open_files(pid) if name.startswith(str(root)) and ".new/" not in name}
        for folder in {Path(name).parent.name for name in names if name.endswith("chroma.sqlite3")}:
            held.setdefault(folder, []).append(pid)
    yield from held.items()


def open_files(pid: int) -> set[str]:
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found.add(str(descriptor.readlink()))
        except OSError:  # closed meanwhile
            continue
    return found


def watch_the_owners(children: list[Child], root: Path) -> int:
    """Look at who has which folder open until every child has written; how often somebody had one."""
    looks = 0
    while not all(child.line.poll(0) for child in children):
        for folder, pids in holders(root, [child.pid for child in children]):
            assert len(pids) == 1, f"{folder} is open in processes {pids}"
            looks += 1
        time.sleep(0.02)
    return looks


def assert_nothing_gone_was_shown(told: list[tuple[Any, Any]]) -> int:
    gone = {fact_id: at for said, _ in told for at, fact_id in said}
    shown = [(asked, fact_id) for _, reads in told for asked, _, ids in reads for fact_id in ids]
    assert not [fact_id for asked, fact_id in shown if asked > gone.get(fact_id, float("inf"))]
    return len(gone)


@pytest.fixture(params=["folder", "servers"])
async def where(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A memory folder, or PostgreSQL and a Chroma server of the test's own."""
    if request.param == "folder":
        yield tmp_path, None, None
        return
    async with fresh_schema() as schema:
        with ChromaServer(tmp_path / "chroma") as server:
            yield tmp_path, schema, server.url


@pytest.mark.parametrize("users", [["ada"] * PROCESSES, ["ada", "bob", "eve"]], ids=["same user", "different users"])
async def test_three_processes_lose_nothing_and_show_nothing_that_is_gone(where: Any, users: list[str]) -> None:
    began = time.monotonic()
    async with memory_at(*where):  # the tables are there before three begin at once
        pass
    alone = len(set(users)) == PROCESSES
    shares = [(None,) if alone else (writer, None, PROCESSES) for writer in range(PROCESSES)]
    children = [Child(write_and_read, where, n, user, shares[n]) for n, user in enumerate(users)]
    looks = await asyncio.to_thread(watch_the_owners, children, where[0] / "memory" / "index")
    told = [child.said() for child in children]
    for child in children:
        child.tell("everybody has written")
    after = [child.said(within=600) for child in children]
    for child in children:
        child.tell("good bye")
        assert child.ended() == 0
    gone = assert_nothing_gone_was_shown(told)
    for user in set(users):
        views = [texts for texts, _, _ in (seen for seen, owner in zip(after, users, strict=True) if owner == user)]
        assert all(view == views[0] for view in views)
        assert len(views[0]) == len(set(views[0])) == FACTS * users.count(user)
    assert [missed for _, _, missed in after] == [[]] * PROCESSES
    assert sum(looked_for for _, looked_for, _ in after) == FACTS * PROCESSES
    if where[2] is None:
        assert looks > 0
    note(
        3,
        f"{'chroma run + PostgreSQL' if where[2] else 'one memory folder'}, {len(set(users))} user(s)",
        processes=PROCESSES,
        facts=FACTS * PROCESSES,
        found=sum(asked for _, asked, _ in after),
        gone=gone,
        gone_and_shown=0,
        answered_by=dict(Counter(by for _, reads in told for _, by, _ in reads)),
        looks_at_owners=looks,
        seconds=round(time.monotonic() - began),
    )


# ---- taking over -------------------------------------------------------------------------------------


async def own(line: Connection, where: tuple[Any, ...]) -> None:
    """Recall until told to stop, and tell each time who answered."""
    async with memory_at(*where) as memory:
        user = memory.user("ada")
        await user.remember(statement(0, 0))
        while not line.poll():
            line.send((await everything_like(user, statement(0, 0))).answered_by)
            await asyncio.sleep(0.02)


def answers_of(child: Child, wanted: str, *, within: float) -> float:
    """Seconds until the child was answered as wanted."""
    began = time.monotonic()
    while child.said() != wanted:
        assert time.monotonic() - began < within, f"no answer by the {wanted}"
    return time.monotonic() - began


async def test_the_folder_of_a_killed_owner_is_taken_over(tmp_path: Path) -> None:
    where, waits = (tmp_path, None, None), []
    first = Child(own, where)
    answers_of(first, "index", within=60)
    for _ in range(count(2, 20)):
        second = Child(own, where)
        answers_of(second, "ledger", within=60)
        first.kill()
        first.rest()
        waits.append(answers_of(second, "index", within=20))
        first = second
    first.tell("stop")
    first.rest()
    assert first.ended() == 0
    note(3, "ownership after a kill", kills=len(waits), slowest_takeover_s=round(max(waits), 2))
