"""What jobs ask of the ledger, whichever database holds it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from semantic_memory import Conflict, SemanticMemory, Settings, jobs
from semantic_memory.ledger import generations
from semantic_memory.ledger.joblock import is_locked, job_lock
from semantic_memory.testing import HashEmbeddingModel
from tests.jobs_models import OtherModel
from tests.servers import engine_in, fresh_schema


@pytest.fixture(params=["sqlite", "postgresql"])
async def memory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SemanticMemory]:
    async with AsyncExitStack() as stack:
        engine = None
        if request.param == "postgresql":
            engine = engine_in(await stack.enter_async_context(fresh_schema()))
            stack.push_async_callback(engine.dispose)
        settings = Settings(path=tmp_path / "memory", min_relevance=0.05)
        opened = SemanticMemory.open(settings, embedding=HashEmbeddingModel(), engine=engine)
        yield await stack.enter_async_context(opened)


async def embed(memory: SemanticMemory, user: str, *fact_ids: str) -> int:
    """Hand the ledger vectors of another model, as a job does."""
    rooms, model = memory._rooms, OtherModel()
    fingerprint = await model.load()
    rows = {(rooms.ledger.user_key(user), one): await model.embed_query(one) for one in fact_ids}
    work = rooms.ledger.database.write(generations.embed, fingerprint.key, rows, rooms.clock())
    return await rooms.workroom.call(work)


async def revision(memory: SemanticMemory, user: str) -> int:
    rooms = memory._rooms
    state = await rooms.workroom.call(rooms.ledger.user(rooms.ledger.user_key(user)))
    assert state is not None
    return state.revision


async def missing(memory: SemanticMemory, *users: str) -> list[tuple[str, int, int]]:
    rooms, key = memory._rooms, (await OtherModel().load()).key
    keys = [rooms.ledger.user_key(user) for user in users] if users else None
    found = await rooms.workroom.call(rooms.ledger.database.read(generations.standings, key, keys))
    return sorted((one.user_id, one.missing, one.characters) for one in found)


async def test_what_is_missing_is_what_has_words_and_no_vector(memory: SemanticMemory) -> None:
    ada, bob = memory.user("ada"), memory.user("bob")
    one, two, gone = [await ada.remember(text) for text in ("I play the harp.", "I sing.", "My key is under the mat.")]
    await bob.remember("I play the flute.")
    await ada.forget(gone.id)
    assert await missing(memory) == [("ada", 2, 23), ("bob", 1, 17)]
    assert await embed(memory, "ada", one.id) == 1
    assert await missing(memory, "ada") == [("ada", 1, 7)]
    assert await embed(memory, "ada", one.id, two.id, gone.id, "unknown") == 1
    assert await missing(memory, "ada") == [("ada", 0, 0)]


async def test_vectors_come_with_a_new_revision_only_where_somebody_may_look_at_them(memory: SemanticMemory) -> None:
    ada = memory.user("ada")
    first = await ada.remember("I play the harp.")
    at = await revision(memory, "ada")
    assert await embed(memory, "ada", first.id) == 1
    assert await revision(memory, "ada") == at
    await jobs.reembed(memory, OtherModel())
    assert await revision(memory, "ada") == at
    second = await ada.remember("I sing.")
    assert await embed(memory, "ada", second.id) == 1
    assert await revision(memory, "ada") == at + 2
    assert (await ada.explain(second.id)).history[-1].reason == "embedded"


async def test_a_whole_job_and_the_way_back(memory: SemanticMemory) -> None:
    for user in ("ada", "bob"):
        await memory.user(user).remember_all([f"I visited the museum number {n}." for n in range(20)])
    report = await jobs.reembed(memory, OtherModel())
    assert (report.users, report.texts, report.failed) == (2, 40, ())
    assert {use.fingerprint.name: use.active for use in (await jobs.status(memory)).models} == {"other": 2, "hash": 0}
    assert [back.model for back in await jobs.rollback(memory, users=["ada"])] == ["hash"]
    assert {use.fingerprint.name: use.active for use in (await jobs.status(memory)).models} == {"other": 1, "hash": 1}
    assert await jobs.finish(memory) == 2
    found = await jobs.status(memory)
    assert {use.fingerprint.name: use.vectors for use in found.models} == {"other": 20, "hash": 20}


async def test_vectors_that_nobody_described_are_told_and_cleared_away(memory: SemanticMemory) -> None:
    fact = await memory.user("ada").remember("I play the harp.")
    assert await embed(memory, "ada", fact.id) == 1  # and no job has written down whose vectors these are
    found = {use.key: use for use in (await jobs.status(memory)).models}
    stray = found[(await OtherModel().load()).key]
    assert (stray.fingerprint.name, stray.vectors, len(found)) == ("unknown", 1, 2)
    await jobs.finish(memory)
    assert [use.fingerprint.name for use in (await jobs.status(memory)).models] == ["hash"]


async def test_the_lock_is_free_again_whatever_happens_under_it(memory: SemanticMemory) -> None:
    ledger = memory._rooms.ledger

    async def work() -> None:
        async with job_lock(ledger):
            assert await is_locked(ledger)
            with pytest.raises(Conflict):
                async with job_lock(ledger):
                    pass
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await memory._rooms.workroom.call(work())
    assert not await memory._rooms.workroom.call(is_locked(ledger))


async def test_vectors_survive_the_way_through_the_ledger(memory: SemanticMemory) -> None:
    fact = await memory.user("ada").remember("I play the harp.")
    await embed(memory, "ada", fact.id)
    rooms = memory._rooms
    state = await rooms.workroom.call(rooms.ledger.user(rooms.ledger.user_key("ada")))
    assert state is not None
    work = rooms.ledger.facts_with_vectors(state, (await OtherModel().load()).key)
    _, [(_, vector)] = await rooms.workroom.call(work)
    assert np.array_equal(vector, await OtherModel().embed_query(fact.id))
