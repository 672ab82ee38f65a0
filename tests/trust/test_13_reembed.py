"""13. A re-embedding that is killed anywhere goes on where it was, embeds nothing twice, and ends in the same state."""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semantic_memory import Conflict, SemanticMemory, Settings, jobs
from semantic_memory.jobs import building
from semantic_memory.testing import HashEmbeddingModel
from tests.jobs_models import OtherModel, WatchedModel
from tests.servers import fresh_database
from tests.trust.children import Child
from tests.trust.counts import SEED, count, note

KILLS = count(3, 20)
USERS = ("ada", "bob", "eve", "kim")
FACTS = 30  # of each user, before the first kill
FRESH = 8  # more of each before every kill: there is always something to embed
BATCH = 8
TARGETS = ("other", "third")  # in turn: every cycle has users to switch
OLD = HashEmbeddingModel()


def settings(folder: Path, url: str | None = None) -> Settings:
    return Settings(path=folder / "memory", ledger_url=url, min_relevance=0.05)


async def job(line: Connection, folder: Path, name: str, url: str | None = None) -> None:
    """One job, which tells each event as it happens, and keeps a log of what it embeds."""
    building.BATCH = BATCH
    with (folder / f"{name}.log").open("a", buffering=1) as log:

        async def before(texts: Sequence[str]) -> None:
            log.write("".join(f"{text}\n" for text in texts))
            await asyncio.sleep(0.02)  # embedded, and not yet written

        def tell(event: jobs.Event) -> None:
            line.send((event.event, getattr(event, "texts", 0), getattr(event, "users", 0)))

        async with SemanticMemory.open(settings(folder, url), embedding=OLD) as memory:
            report = await jobs.reembed(memory, WatchedModel(name=name, before=before), on_event=tell)
    line.send(("over", len(report.failed), report.users))


def kill_at_work(child: Child, chance: random.Random) -> tuple[str, bool]:
    """Kill a job after so many of its events; what it had done last, and whether it had still something to do."""
    last, texts, users = child.said()
    assert last == "plan"
    batches = math.ceil(texts / BATCH)  # at least: one event each, and one for each user
    for _ in range(chance.choice([chance.randrange(batches), batches + chance.randrange(users)])):
        last, *_ = child.said()
    time.sleep(chance.uniform(0, 0.03))  # somewhere in what comes next
    child.kill()
    return last, "done" not in {event for event, *_ in child.rest()}


async def vectors(memory: SemanticMemory, user: str, model: HashEmbeddingModel) -> list[tuple[str, Any]]:
    """The texts of a user's active facts, with the vectors that the ledger has of a model."""
    rooms = memory._rooms
    state = await rooms.workroom.call(rooms.ledger.user(rooms.ledger.user_key(user)))
    assert state is not None
    _, rows = await rooms.workroom.call(rooms.ledger.facts_with_vectors(state, (await model.load()).key))
    return [(fact.text, vector) for fact, vector in rows if fact.status == "active"]


async def mixed(memory: SemanticMemory) -> int:
    """How many vectors are not what the model makes of the fact whose they are."""
    found = 0
    for model in (OLD, *(OtherModel(name=name) for name in TARGETS)):
        for user in USERS:
            kept = [(text, vector) for text, vector in await vectors(memory, user, model) if vector is not None]
            right = await model.embed_documents([text for text, _ in kept]) if kept else []
            found += sum(not np.allclose(vector, row, atol=1e-6) for (_, vector), row in zip(kept, right, strict=True))
    return found


async def lost(memory: SemanticMemory, said: dict[str, list[str]]) -> int:
    """How many statements are no longer among their user's facts."""
    held = {user: {fact.text for fact in await memory.user(user).facts()} for user in USERS}
    return sum(text not in held[user] for user, texts in said.items() for text in texts)


async def learn(memory: SemanticMemory, said: dict[str, list[str]], facts: int) -> None:
    for user in USERS:
        texts = [f"{user} visited the museum number {len(said[user]) + n}." for n in range(facts)]
        await memory.user(user).remember_all(texts)
        said[user] += texts


async def test_a_killed_job_goes_on_and_ends_in_the_same_state(tmp_path: Path) -> None:
    began, chance = time.monotonic(), random.Random(SEED)
    said: dict[str, list[str]] = {user: [] for user in USERS}
    seen: Counter[str] = Counter()
    after: Counter[str] = Counter()
    async with SemanticMemory.open(settings(tmp_path), embedding=OLD) as memory:
        await learn(memory, said, FACTS)
        for kill in range(KILLS):
            await learn(memory, said, FRESH)
            child = await asyncio.to_thread(Child, job, tmp_path, TARGETS[kill % 2])
            last, at_work = await asyncio.to_thread(kill_at_work, child, chance)
            after[last] += 1
            recall = await memory.user("ada").recall("Which museum did ada visit?")
            seen += Counter(
                at_work=at_work,
                lost=await lost(memory, said),
                mixed=await mixed(memory),
                degraded=recall.degraded is not None,
            )
        for name in TARGETS:
            await ends_well(tmp_path, name)
    seen["embedded_twice"] = sum(embedded_twice(tmp_path / f"{name}.log") for name in TARGETS)
    await is_whole(tmp_path, said)
    facts, seconds = sum(map(len, said.values())), round(time.monotonic() - began)
    figures = {name: seen[name] for name in ("at_work", "lost", "mixed", "degraded", "embedded_twice")}
    note(13, "a re-embedding is killed", kills=KILLS, after=dict(after), **figures, facts=facts, seconds=seconds)
    assert (seen["lost"], seen["mixed"], seen["degraded"]) == (0, 0, 0)
    assert seen["embedded_twice"] <= KILLS * BATCH
    assert seen["at_work"] >= 0.9 * KILLS


async def test_on_a_server_the_lock_of_a_killed_job_ends_with_it(tmp_path: Path) -> None:
    said: dict[str, list[str]] = {user: [] for user in USERS}
    async with fresh_database() as url, SemanticMemory.open(settings(tmp_path, url), embedding=OLD) as memory:
        await learn(memory, said, FACTS)
        for kill in range(count(1, 5)):
            await learn(memory, said, FRESH)
            child = await asyncio.to_thread(Child, job, tmp_path, TARGETS[kill % 2], url)
            assert (await asyncio.to_thread(child.said))[0] == "plan"
            with pytest.raises(Conflict, match="another job"):
                await jobs.reembed(memory, OtherModel())
            assert (await jobs.status(memory)).running
            await asyncio.to_thread(child.said)
            child.kill()
            for _ in range(600):  # until the server misses the connection
                if not (await jobs.status(memory)).running:
                    break
                await asyncio.sleep(0.05)
        await ends_well(tmp_path, TARGETS[0], url)
        assert (await lost(memory, said), await mixed(memory)) == (0, 0)
        assert (await jobs.status(memory)).models[0].active == len(USERS)


async def ends_well(folder: Path, name: str, url: str | None = None) -> None:
    """A job that nobody kills leaves nothing to do."""
    child = await asyncio.to_thread(Child, job, folder, name, url)
    heard = await asyncio.to_thread(child.rest)
    assert heard[-1][:2] == ("over", 0)  # and for how many users: a killed one may have switched some already


def embedded_twice(log: Path) -> int:
    return sum(times - 1 for times in Counter(log.read_text().splitlines()).values())


async def is_whole(folder: Path, said: dict[str, list[str]]) -> None:
    """What a job leaves that was never killed: one generation, its vectors, a folder for each user, no finding."""
    facts = sum(map(len, said.values()))
    async with SemanticMemory.open(settings(folder), embedding=OtherModel(name=TARGETS[1])) as memory:
        await jobs.finish(memory)
        await memory._rooms.workroom.drain()
        (use,) = (await jobs.status(memory)).models
        assert (use.fingerprint.name, use.active, use.vectors) == (TARGETS[1], len(USERS), facts)
        assert [one.what for one in (await memory.health()).findings if one.grave] == []
        assert sum(1 for path in (folder / "memory" / "index").iterdir() if not path.name.startswith(".")) == len(USERS)
        assert await lost(memory, said) == 0
        for user, texts in said.items():
            recall = await memory.user(user).recall(texts[-1], limit=1, min_relevance=0.0)
            assert (recall.degraded, recall.facts[0].fact.text) == (None, texts[-1])
