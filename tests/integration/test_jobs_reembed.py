"""Another embedding model for a memory that goes on working."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from semantic_memory import Conflict, EmbeddingFailed, LedgerFailed, NotFound, SemanticMemory, Settings, jobs
from semantic_memory.index import FolderIndex, Place
from semantic_memory.jobs import building
from semantic_memory.jobs.building import Built, LocalEngine, Piece
from semantic_memory.jobs.planning import check_disk
from semantic_memory.jobs.reembedding import LANES
from semantic_memory.jobs.settling import Settler
from semantic_memory.jobs.values import Settled
from semantic_memory.ledger.generations import Standing
from semantic_memory.testing import HashEmbeddingModel
from tests import processes
from tests.jobs_models import OtherModel, PoisonedModel, WatchedModel

OTHER_DISK = Path("/dev/shm")
Open = Callable[..., Awaitable[SemanticMemory]]
PLACES = ("the museum", "the lake", "the office", "the bakery", "the station")
FRIENDS = ("Tom", "Sue", "Kim")
STATEMENTS = [
    f"I visited {place} with {friend} in week {n}." for n in range(4) for place in PLACES for friend in FRIENDS
]
QUESTION = "Who visited the lake with Kim in week 3?"
ANSWER = "I visited the lake with Kim in week 3."


async def settled(memory: SemanticMemory) -> None:
    await memory._rooms.workroom.drain()


async def vectors(memory: SemanticMemory, user: str, model: HashEmbeddingModel) -> dict[str, np.ndarray | None]:
    """The vectors of a user's active facts by text, as the ledger keeps them."""
    rooms = memory._rooms
    state = await rooms.workroom.call(rooms.ledger.user(rooms.ledger.user_key(user)))
    assert state is not None
    key = (await model.load()).key
    _, rows = await rooms.workroom.call(rooms.ledger.facts_with_vectors(state, key))
    return {fact.text: vector for fact, vector in rows}


async def is_right(memory: SemanticMemory, user: str, model: HashEmbeddingModel) -> None:
    """Every active fact has the vector of this model, in the ledger and in the index, and none has another's."""
    kept = await vectors(memory, user, model)
    for text, vector in kept.items():
        assert vector is not None, text
        assert vector == pytest.approx(await model.embed_query(text), abs=1e-6)
    rooms = memory._rooms
    state = await rooms.workroom.call(rooms.ledger.user(rooms.ledger.user_key(user)))
    assert state is not None
    assert state.fingerprint == (await model.load()).key
    if kept:
        await rooms.workroom.call(rooms.follower.follow(state.user_key, await model.load()))
        place = rooms.follower.place(state, model.dimension)
        assert place is not None
        assert await rooms.index.count(place) == len(kept)
        for text in kept:
            (nearest,) = await rooms.index.nearest(place, await model.embed_query(text), 1)
            assert nearest.similarity == pytest.approx(1, abs=1e-3)


async def test_the_facts_are_found_by_the_new_model_and_nobody_waited(open_memory: Open) -> None:
    old = await open_memory(limit=5)
    await old.user("ada").remember_all(STATEMENTS)
    await old.user("bob").remember("I play the cello on Sundays.")
    before = await old.user("ada").recall(QUESTION)
    assert before.facts[0].fact.text == ANSWER

    new = await open_memory(embedding=OtherModel(), limit=5)
    early = await new.user("ada").recall(QUESTION)
    assert "another model" in (early.degraded or "")

    events: list[jobs.Event] = []
    report = await jobs.reembed(old, OtherModel(), on_event=events.append)
    assert (report.users, report.texts, report.failed) == (2, len(STATEMENTS) + 1, ())
    assert [event.event for event in events] == ["plan", "embedded", "settled", "settled", "done"]
    assert report.overlap is not None

    for who, model in ((old, HashEmbeddingModel()), (new, OtherModel())):
        recall = await who.user("ada").recall(QUESTION)
        assert recall.degraded is None
        assert recall.facts[0].fact.text == ANSWER
        assert all(vector is not None for vector in (await vectors(who, "ada", model)).values())
    await settled(new)
    await is_right(new, "ada", OtherModel())
    assert (await new.user("ada").recall(QUESTION)).answered_by == "index"
    assert (await old.user("ada").recall(QUESTION)).answered_by == "ledger"  # exactly, with its own model's vectors

    again = await jobs.reembed(old, OtherModel())
    assert (again.users, again.texts) == (0, 0)


async def test_what_happens_during_the_build_is_right_in_the_new_generation(open_memory: Open) -> None:
    memory = await open_memory()
    ada, bob, eve = map(memory.user, ("ada", "bob", "eve"))
    kept = await ada.remember_all(STATEMENTS)
    await bob.remember_all(STATEMENTS[:10])
    await eve.remember_all(STATEMENTS[:10])

    async def live(texts: Sequence[str]) -> None:
        if not model.embedded:  # the texts of this batch have been read, its vectors aren't written yet
            await ada.correct(kept[0].id, "I visited the museum with Tom and Ann in week 0.")
            await ada.forget(kept[1].id)
            await ada.remember("My sister lives in Porto.")
            await eve.erase()
            await memory.user("new").remember("I collect stamps from Peru.")

    model = WatchedModel(before=live)
    report = await jobs.reembed(memory, model)
    assert report.failed == ()
    new = await open_memory(embedding=OtherModel())
    for user in ("ada", "bob", "new"):
        await is_right(new, user, OtherModel())
    assert len(await vectors(new, "ada", OtherModel())) == len(STATEMENTS)
    assert await new.users() == ["ada", "bob", "new"]
    rows = await memory._rooms.workroom.call(memory._rooms.ledger.rows_of(memory._rooms.ledger.user_key("eve")))
    assert set(rows.values()) == {0}
    recall = await new.user("ada").recall("Where does my sister live?")
    assert recall.facts[0].fact.text == "My sister lives in Porto."


async def test_a_folder_of_another_model_is_never_asked(tmp_path: Path) -> None:
    settings = Settings(path=tmp_path / "memory", min_relevance=0.05)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as old:
        await old.user("ada").remember_all(STATEMENTS)
    async with SemanticMemory.open(settings, embedding=OtherModel()) as new:
        await new.health()  # has opened it, and found it at the ledger's revision
        recall = await new.user("ada").recall(QUESTION)
        assert recall.answered_by == "ledger"


async def test_two_models_of_one_dimension_are_never_mixed(open_memory: Open) -> None:
    old = await open_memory(limit=3)
    await old.user("ada").remember_all(STATEMENTS)
    await settled(old)
    await old.health()  # opens the active generation's folder, whichever model is running
    new = await open_memory(embedding=OtherModel(), limit=3, path=old.settings.path)
    await jobs.reembed(old, OtherModel())
    for _ in range(2):
        for memory in (old, new):
            await memory.health()
            for place in PLACES:
                question = f"Who visited {place} with Sue in week 2?"
                recall = await memory.user("ada").recall(question)
                assert recall.facts[0].fact.text == f"I visited {place} with Sue in week 2."
        await jobs.rollback(old)


async def test_a_failing_user_does_not_stop_the_others(open_memory: Open) -> None:
    memory = await open_memory()
    for user in ("ada", "bob", "eve"):
        await memory.user(user).remember_all(STATEMENTS[:6])
    await memory.user("bob").remember("The vial of poison is in the cellar.")
    for answer, said in (("raise", "poisoned"), ("nan", "NaN"), ("short", "dimension")):
        report = await jobs.reembed(memory, PoisonedModel(answer=answer))
        assert [one.user_id for one in report.failed] == ["bob"]
        assert said in report.failed[0].error
    await is_right(memory, "ada", OtherModel())
    recall = await memory.user("bob").recall("Where is the vial of poison?")
    assert recall.degraded is None  # as before, with the old model

    report = await jobs.reembed(memory, OtherModel())
    assert (report.users, report.failed) == (1, ())


async def test_a_model_that_embeds_nothing_is_an_error_and_not_a_list_of_users(open_memory: Open) -> None:
    memory = await open_memory()
    for user in ("ada", "bob"):
        await memory.user(user).remember_all(STATEMENTS[:2])
    with pytest.raises(EmbeddingFailed, match="nobody"):
        await jobs.reembed(memory, PoisonedModel(poison="visited"))


async def test_users_who_fail_are_listed_however_often_the_job_is_started(
    open_memory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = await open_memory()
    for user in ("ada", "bob", "eve"):
        await memory.user(user).remember_all(STATEMENTS[:5])
    for user in ("bob", "eve"):
        await memory.user(user).remember("The vial of poison is in the cellar.")
    for _ in range(2):  # the second time nobody is left but them
        report = await jobs.reembed(memory, PoisonedModel())
        assert {one.user_id for one in report.failed} == {"bob", "eve"}
    await memory.user("kim").remember_all(STATEMENTS[:5])
    monkeypatch.setattr(building, "BATCH", 1)  # each user is a piece, the failing ones may come first
    report = await jobs.reembed(memory, PoisonedModel())
    assert (report.users, len(report.failed)) == (1, 2)


async def test_a_few_users_are_settled_at_once(open_memory: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    settle, at_work, most = Settler.settle, set[str](), 0

    async def watched(self: Settler, user: Standing) -> Settled | None:
        nonlocal most
        at_work.add(user.user_key)
        most = max(most, len(at_work))
        await asyncio.sleep(0.05)
        found = await settle(self, user)
        at_work.discard(user.user_key)
        return found

    memory, users = await open_memory(), [f"user-{number}" for number in range(LANES + 3)]
    for user in users:
        await memory.user(user).remember_all(STATEMENTS[:3])
    monkeypatch.setattr(Settler, "settle", watched)
    report = await jobs.reembed(memory, OtherModel())
    assert (report.users, report.failed, most) == (len(users), (), LANES)
    for user in users:
        await is_right(memory, user, OtherModel())


async def test_a_ledger_that_fails_while_users_are_settled_ends_the_job_and_the_next_goes_on(
    open_memory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_self: Settler, user: Standing) -> Settled | None:
        raise LedgerFailed(f"the ledger can't be reached for {user.user_id}")

    memory = await open_memory()
    for user in ("ada", "bob", "eve"):
        await memory.user(user).remember_all(STATEMENTS[:5])
    with monkeypatch.context() as broken:
        broken.setattr(Settler, "settle", away)
        with pytest.raises(LedgerFailed, match="can't be reached"):
            await jobs.reembed(memory, OtherModel())
    report = await jobs.reembed(memory, OtherModel())
    assert (report.users, report.texts, report.failed) == (3, 0, ())
    for user in ("ada", "bob", "eve"):
        await is_right(memory, user, OtherModel())


async def test_a_node_with_another_model_than_the_job_is_an_error_and_writes_nothing(open_memory: Open) -> None:
    class Node:
        """An engine elsewhere, where somebody has installed other weights."""

        async def build(self, pieces: Sequence[Piece]) -> AsyncIterator[Built]:
            model, ledger = OtherModel(name="third"), memory._rooms.ledger
            async for built in LocalEngine(ledger, model, await model.load(), datetime.now).build(pieces):
                yield built

    memory = await open_memory()
    await memory.user("ada").remember_all(STATEMENTS[:5])
    with pytest.raises(EmbeddingFailed, match=r"third .* isn't the job's"):
        await jobs.reembed(memory, OtherModel(), engine=Node())
    assert [use.fingerprint.name for use in (await jobs.status(memory)).models] == ["hash"]


async def test_a_model_that_finds_nothing_is_not_switched_to(open_memory: Open) -> None:
    class Nonsense(OtherModel):
        async def embed_query(self, text: str) -> np.ndarray:
            return self._vector(text[::-1])

    memory = await open_memory()
    await memory.user("ada").remember_all(STATEMENTS)
    report = await jobs.reembed(memory, Nonsense())
    assert "found by their own words" in report.failed[0].error
    await is_right(memory, "ada", HashEmbeddingModel())


async def test_an_index_that_finds_the_wrong_facts_is_not_switched_to(
    open_memory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = FolderIndex.rebuild

    async def upside_down(self: FolderIndex, place: Place, items: Sequence[tuple[str, Any]], revision: int) -> None:
        await whole(self, place, [(fact_id, -vector) for fact_id, vector in items], revision)

    memory = await open_memory()
    await memory.user("ada").remember_all(STATEMENTS)
    await settled(memory)
    with monkeypatch.context() as patch:
        patch.setattr(FolderIndex, "rebuild", upside_down)
        report = await jobs.reembed(memory, OtherModel())
    assert "found in the new index" in report.failed[0].error
    await is_right(memory, "ada", HashEmbeddingModel())


async def test_what_is_switched_to_is_counted_however_often_the_facts_change(
    open_memory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Busy(OtherModel):
        """While the new generation is verified with it, somebody says something."""

        async def embed_query(self, text: str) -> np.ndarray:
            if len(await memory.user("ada").facts()) == len(STATEMENTS):
                await memory.user("ada").remember("My sister lives in Porto.")
            return await super().embed_query(text)

    async def loses_all(self: FolderIndex, place: Place, **given: Any) -> None:
        await whole(self, place, **given | {"upserts": []})

    memory, whole = await open_memory(), FolderIndex.apply
    await memory.user("ada").remember_all(STATEMENTS)
    await settled(memory)
    monkeypatch.setattr(FolderIndex, "apply", loses_all)
    report = await jobs.reembed(memory, Busy())
    assert f"holds {len(STATEMENTS)} facts, the ledger {len(STATEMENTS) + 1}" in report.failed[0].error
    monkeypatch.setattr(FolderIndex, "apply", whole)


async def test_one_job_at_a_time(open_memory: Open) -> None:
    memory, other = await open_memory(), await open_memory()
    await memory.user("ada").remember_all(STATEMENTS[:5])
    began, go_on = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    async def wait(texts: Sequence[str]) -> None:
        loop.call_soon_threadsafe(began.set)
        await asyncio.to_thread(go_on.wait)

    first = asyncio.create_task(jobs.reembed(memory, WatchedModel(before=wait)))
    await began.wait()
    assert (await jobs.status(other)).running
    for second in (jobs.reembed(other, OtherModel()), jobs.finish(other), jobs.rollback(other)):
        with pytest.raises(Conflict, match="another job"):
            await second
    go_on.set()
    assert (await first).users == 1
    assert not (await jobs.status(other)).running


async def test_the_way_back_and_the_end(open_memory: Open) -> None:
    memory = await open_memory()
    ada = memory.user("ada")
    await ada.remember_all(STATEMENTS[:8])
    await settled(memory)
    with pytest.raises(NotFound):
        await jobs.rollback(memory)
    await jobs.reembed(memory, OtherModel())
    new = await open_memory(embedding=OtherModel())
    await new.user("ada").remember("My sister lives in Porto.")
    found = await jobs.status(memory)
    assert [(use.fingerprint.name, use.active, use.retired, use.vectors) for use in found.models] == [
        ("other", 1, 0, 9),
        ("hash", 0, 1, 8),
    ]

    (back,) = await jobs.rollback(memory)
    assert (back.user_id, back.model, back.unembedded) == ("ada", "hash", 1)
    await ada.recall("Where does my sister live?")
    await settled(memory)
    await is_right(memory, "ada", HashEmbeddingModel())

    (forward,) = await jobs.rollback(memory)
    assert (forward.model, forward.unembedded) == ("other", 0)
    assert await jobs.finish(memory) == 1
    await settled(memory)
    assert [use.fingerprint.name for use in (await jobs.status(memory)).models] == ["other"]
    await asyncio.sleep(0.6)  # a folder that another process has open is removed when it notices
    assert len(folders(memory)) == 1
    await is_right(new, "ada", OtherModel())
    with pytest.raises(NotFound):
        await jobs.rollback(memory)
    assert "another model" in ((await ada.recall(QUESTION)).degraded or "")


async def test_a_job_may_hold_before_the_switch(open_memory: Open) -> None:
    memory = await open_memory()
    await memory.user("ada").remember_all(STATEMENTS[:8])
    model = WatchedModel()
    report = await jobs.reembed(memory, model, hold=True)
    assert report.users == 1
    await is_right(memory, "ada", HashEmbeddingModel())
    await memory.user("ada").remember("My sister lives in Porto.")
    assert (await jobs.reembed(memory, model)).users == 1
    assert sorted(model.embedded) == sorted([*STATEMENTS[:8], "My sister lives in Porto."])
    await is_right(memory, "ada", OtherModel())


async def test_a_retired_generation_goes_after_its_time(open_memory: Open) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    memory = await open_memory(clock=lambda: now)
    await memory.user("ada").remember_all(STATEMENTS[:8])
    await jobs.reembed(memory, OtherModel())
    now += timedelta(days=13)
    await open_memory(clock=lambda: now)
    assert len((await jobs.status(memory)).models) == 2
    now += timedelta(days=2)
    await settled(await open_memory(clock=lambda: now))
    assert [use.fingerprint.name for use in (await jobs.status(memory)).models] == ["other"]


async def test_a_retired_generation_goes_after_its_time_from_a_memory_that_stays_open(open_memory: Open) -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    memory = await open_memory(clock=lambda: now)
    await memory.user("ada").remember_all(STATEMENTS[:8])
    await jobs.reembed(memory, OtherModel())
    for days, models in ((13, ["other", "hash"]), (2, ["other"])):
        now += timedelta(days=days)
        await memory.user("ada").recall(QUESTION)
        await settled(memory)
        assert [use.fingerprint.name for use in (await jobs.status(memory)).models] == models


async def test_what_is_forgotten_leaves_every_generation(open_memory: Open) -> None:
    memory = await open_memory()
    fact = (await memory.user("ada").remember_all(STATEMENTS[:8]))[3]
    await settled(memory)
    await jobs.reembed(memory, OtherModel())
    new = await open_memory(embedding=OtherModel())
    await new.user("ada").forget(fact.id)
    await settled(new)
    await asyncio.sleep(0.6)
    held = b"".join(path.read_bytes() for path in (memory.settings.path / "index").rglob("*") if path.is_file())
    assert fact.id.encode() not in held
    await jobs.rollback(memory)
    await memory.user("ada").recall(QUESTION)
    await settled(memory)
    await is_right(memory, "ada", HashEmbeddingModel())
    assert len(await vectors(memory, "ada", HashEmbeddingModel())) == 7


async def test_what_the_new_program_corrects_and_erases_is_right_after_the_way_back(open_memory: Open) -> None:
    old = await open_memory()
    ada, bob = old.user("ada"), old.user("bob")
    lake, *_ = await ada.remember_all([ANSWER, *STATEMENTS[:6]])
    await bob.remember_all(STATEMENTS[:6])
    await settled(old)
    await jobs.reembed(old, OtherModel())
    new = await open_memory(embedding=OtherModel())
    corrected = await new.user("ada").correct(lake.id, "I visited the lake with Ann in week 3.")
    await new.user("bob").erase()
    await settled(new)
    await is_right(new, "ada", OtherModel())

    with pytest.raises(NotFound):
        await jobs.rollback(old, users=["bob"])
    (back,) = await jobs.rollback(old)
    assert (back.user_id, back.unembedded) == ("ada", 1)
    await ada.recall(QUESTION)
    await settled(old)
    await is_right(old, "ada", HashEmbeddingModel())
    recall = await ada.recall(corrected.text, limit=1, min_relevance=0.0)
    assert (recall.facts[0].fact.id, recall.degraded) == (corrected.id, None)
    assert lake.id not in {one.fact.id for one in (await ada.recall(ANSWER, min_relevance=0.0)).facts}
    assert await old.users() == ["ada"]
    rows = await old._rooms.workroom.call(old._rooms.ledger.rows_of(old._rooms.ledger.user_key("bob")))
    assert set(rows.values()) == {0}


async def test_a_user_without_facts_is_an_error_where_they_are_named(open_memory: Open) -> None:
    memory = await open_memory()
    ada = memory.user("ada")
    await ada.forget((await ada.remember("I play the cello.")).id)
    for user in ("ada", "nobody"):
        with pytest.raises(NotFound, match=user):
            await jobs.reembed(memory, OtherModel(), users=[user])
    assert (await jobs.reembed(memory, OtherModel())).users == 0
    await memory.user("bob").remember("I play the harp.")
    await memory.user("eve").remember("I play the flute.")
    assert (await jobs.reembed(memory, OtherModel(), users=["bob"])).users == 1
    await is_right(memory, "eve", HashEmbeddingModel())


async def test_superseded_facts_keep_a_meaning_for_questions_about_the_past(open_memory: Open) -> None:
    memory = await open_memory()
    ada = memory.user("ada")
    old = await ada.remember("The deploy target is Hetzner.")
    then = datetime.now(UTC)
    await ada.correct(old.id, "The deploy target is AWS.")
    await jobs.reembed(memory, OtherModel())
    new = await open_memory(embedding=OtherModel())
    recall = await new.user("ada").recall("What is the deploy target?", as_of=then)
    assert recall.degraded is None
    assert [one.fact.id for one in recall.facts] == [old.id]


async def test_the_plan_counts_and_writes_nothing(open_memory: Open) -> None:
    memory = await open_memory()
    await memory.user("ada").remember_all(STATEMENTS)
    plan = await jobs.plan(memory, OtherModel())
    assert (plan.users, plan.facts, plan.texts) == (1, len(STATEMENTS), len(STATEMENTS))
    assert plan.characters == sum(map(len, STATEMENTS))
    assert plan.seconds is not None
    assert 0 < plan.seconds < 60
    assert [0 < disk.bytes_needed < disk.bytes_free for disk in plan.disks] == [True]
    assert len((await jobs.status(memory)).models) == 1


@pytest.mark.skipif(not OTHER_DISK.exists(), reason="this machine has one disk")
async def test_the_plan_counts_the_disks_that_are_written_to(tmp_path: Path) -> None:
    """The ledger may be on another disk than the folders, and the index on a server."""
    with TemporaryDirectory(dir=OTHER_DISK) as other:
        elsewhere, server = f"sqlite:///{other}/ledger.db", "http://127.0.0.1:1"
        for url, chroma, disks in (
            (None, None, [tmp_path]),
            (elsewhere, None, [OTHER_DISK, tmp_path]),
            (None, server, [tmp_path]),
            (elsewhere, server, [OTHER_DISK]),
        ):
            settings = Settings(path=tmp_path / "memory", ledger_url=url, chroma_url=chroma)
            async with SemanticMemory.open(settings, embedding=HashEmbeddingModel(), load="lazy") as memory:
                await memory.user("ada").remember("I play the cello.")
                plan = await jobs.plan(memory, OtherModel())
            assert [device(disk.folder) for disk in plan.disks] == [device(disk) for disk in disks]


def device(folder: Path | str) -> int:
    return Path(folder).stat().st_dev


async def test_a_job_that_goes_on_counts_the_folders_that_are_not_built_yet(open_memory: Open) -> None:
    memory = await open_memory()
    await memory.user("ada").remember_all(STATEMENTS)
    whole = await jobs.plan(memory, OtherModel())

    class Stopped(OtherModel):
        async def embed_query(self, text: str) -> np.ndarray:
            raise KeyError("as good as killed, before the folder is verified")

    assert (await jobs.reembed(memory, Stopped())).failed
    rest = await jobs.plan(memory, OtherModel())
    assert rest.texts == 0
    assert 0.5 * whole.bytes_needed < rest.bytes_needed < whole.bytes_needed


async def test_a_batch_that_was_written_is_never_embedded_again(
    open_memory: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(building, "BATCH", 7)
    memory = await open_memory()
    for user in ("ada", "bob", "eve"):
        await memory.user(user).remember_all(STATEMENTS[:20])

    def stop(texts: Sequence[str]) -> None:
        if len(model.embedded) > 30:
            raise KeyError("as good as killed")

    model = WatchedModel(before=stop)
    await jobs.reembed(memory, model)
    whole = WatchedModel()
    await jobs.reembed(memory, whole)
    assert len(model.embedded) + len(whole.embedded) == 60
    for user in ("ada", "bob", "eve"):
        await is_right(memory, user, OtherModel())


async def test_a_large_user_is_divided_and_settled_once(open_memory: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "BATCH", 4)
    monkeypatch.setattr(building, "LARGE", 8)
    memory = await open_memory()
    await memory.user("ada").remember_all(STATEMENTS)
    await memory.user("bob").remember_all(STATEMENTS[:6])
    todo = (await jobs.plan(memory, OtherModel())).todo
    parts = list(building.pieces(todo, "a fingerprint"))
    assert [len({one for part in parts for one in part.user_keys}), len(parts)] == [2, 4]
    events: list[jobs.Event] = []
    model = WatchedModel()
    report = await jobs.reembed(memory, model, on_event=events.append)
    assert (report.users, report.texts, report.failed) == (2, 66, ())
    assert [event.event for event in events].count("settled") == 2
    assert sorted(model.embedded) == sorted([*STATEMENTS, *STATEMENTS[:6]])
    await is_right(memory, "ada", OtherModel())


async def test_a_large_user_who_fails_is_told_once(open_memory: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "BATCH", 4)
    monkeypatch.setattr(building, "LARGE", 8)
    memory = await open_memory()
    await memory.user("ada").remember_all(STATEMENTS)
    events: list[jobs.Event] = []
    report = await jobs.reembed(memory, PoisonedModel(poison="with Tom"), on_event=events.append)
    assert [one.user_id for one in report.failed] == ["ada"]
    assert [event.event for event in events].count("failed") == 1
    await is_right(memory, "ada", HashEmbeddingModel())


def folders(memory: SemanticMemory) -> list[Path]:
    return [path for path in (memory.settings.path / "index").iterdir() if not path.name.startswith(".")]


async def test_a_full_disk_is_told_and_nothing_is_lost(open_memory: Open) -> None:
    memory = await open_memory()
    for user in ("ada", "bob"):
        await memory.user(user).remember_all(STATEMENTS)
    plan = await jobs.plan(memory, OtherModel())
    with pytest.raises(LedgerFailed, match="needed on the disk"):
        check_disk(replace(plan, disks=(replace(plan.disks[0], bytes_free=plan.bytes_needed - 1),)))
    said = await asyncio.to_thread(
        processes.run,
        """
        import resource
        from semantic_memory import SemanticMemory, jobs
        from semantic_memory.testing import HashEmbeddingModel
        from tests.jobs_models import OtherModel

        async with SemanticMemory.open(sys.argv[1], embedding=HashEmbeddingModel()) as memory:
            resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, resource.RLIM_INFINITY))
            try:
                await jobs.reembed(memory, OtherModel())
            except LedgerFailed as error:
                say(error)
        """,
        memory.settings.path,
    )
    assert said
    assert "the ledger failed" in said[0]
    for user in ("ada", "bob"):
        await is_right(memory, user, HashEmbeddingModel())
    assert (await jobs.reembed(memory, OtherModel())).users == 2
    await is_right(memory, "ada", OtherModel())
