"""The doctor sees real damage, and what it repairs recalls itself again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from agents import SQLiteSession
from sqlalchemy import update

from semantic_memory import EmbeddingFailed, ExtractionFailed, Health, SemanticMemory, UserMemory
from semantic_memory.ledger import tables
from semantic_memory.testing import HashEmbeddingModel, ScriptedExtractor

OpenMemory = Callable[..., Awaitable[SemanticMemory]]
pytestmark = pytest.mark.usefixtures("patient")

FACTS = [f"The {thing} is in the {place}." for thing in ("car", "bike", "boat") for place in ("yard", "hall", "shed")]


def seen(health: Health) -> list[tuple[str, str | None]]:
    return [(finding.check, finding.user_id) for finding in health.findings]


async def settled(memory: SemanticMemory) -> None:
    await memory._rooms.workroom.drain()


async def recalls_itself(user: UserMemory) -> bool:
    """Whether every fact is what its own words find first, and the index itself says so."""
    found = [(await user.recall(fact.text, limit=1, min_relevance=0.0), fact) for fact in await user.facts()]
    return all(
        recall.answered_by == "index" and [one.fact.id for one in recall.facts] == [fact.id] for recall, fact in found
    )


async def damaged(folder: Path, damage: Callable[[Path], None]) -> None:
    async with SemanticMemory.open(folder, embedding=HashEmbeddingModel()) as memory:
        for user in ("ada", "bob"):
            await memory.user(user).remember_all(FACTS)
    first = sorted(path for path in (folder / "index").iterdir() if not path.name.startswith("."))[0]
    damage(first)


async def test_a_memory_in_which_all_is_well_is_sound_and_its_figures_are_right(open_memory: OpenMemory) -> None:
    memory = await open_memory()
    ada = memory.user("ada")
    old = await ada.remember("The car is in the yard.")
    await ada.correct(old.id, "The car is in the hall.")
    await ada.remember("My cat is called Miso.")
    await memory.user("bob").remember("My cat is called Kater.")
    await ada.recall("Where is the car?", min_relevance=0.01, limit=1)
    health = await memory.health()
    assert (health.findings, health.repaired, health.sound, health.model) == ((), (), True, "hash")
    first, second = health.users
    assert (first.user_id, first.facts, first.never_recalled) == ("ada", {"active": 2, "superseded": 1}, 1)
    assert first.watermark == first.revision == 3
    assert (second.facts, second.never_recalled, second.model) == ({"active": 1}, 1, "hash")
    assert all(health.size[part] > 0 for part in ("ledger", "write-ahead log", "index"))


def remove(folder: Path) -> None:
    shutil.rmtree(folder)


def corrupt(folder: Path) -> None:
    database = folder / "chroma.sqlite3"
    database.write_bytes(os.urandom(database.stat().st_size))


def truncate(folder: Path) -> None:
    os.truncate(folder / "chroma.sqlite3", 100)


@pytest.mark.parametrize("damage", [remove, corrupt, truncate])
async def test_a_damaged_index_is_seen_repaired_and_recalls_itself(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    await damaged(tmp_path, damage)
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        hurt = await memory.health()
        assert [check for check, _ in seen(hurt)] == ["index"]
        assert not hurt.sound
        healed = await memory.health(repair=True)
        assert (healed.findings, healed.sound) == ((), True)
        assert [(one.check, one.user_id) for one in healed.repaired] == seen(hurt)
        for user in ("ada", "bob"):
            assert await recalls_itself(memory.user(user))


async def test_an_older_copy_of_the_index_that_was_put_back_is_seen(tmp_path: Path) -> None:
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        await memory.user("ada").remember(FACTS[0])
    shutil.copytree(tmp_path / "index", tmp_path / "copy")
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        await memory.user("ada").remember("My cat is called Miso.")
    shutil.rmtree(tmp_path / "index")
    shutil.copytree(tmp_path / "copy", tmp_path / "index")
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        [finding] = (await memory.health()).findings
        assert finding.what == "it is at revision 1, the ledger at 2"
        assert (await memory.health(repair=True)).sound
        assert await recalls_itself(memory.user("ada"))


async def test_an_index_that_another_process_keeps_is_no_illness(open_memory: OpenMemory) -> None:
    first = await open_memory()
    await first.user("ada").remember(FACTS[0])
    await settled(first)
    second = await open_memory()
    health = await second.health()
    assert (seen(health), health.sound) == ([("locked", "ada")], True)


class SometimesAway(HashEmbeddingModel):
    """An embedding model that can be away."""

    away = True

    async def load(self) -> Any:
        if type(self).away:
            raise EmbeddingFailed("it is away")
        return await super().load()


async def test_facts_that_were_written_without_the_model_are_embedded(
    open_memory: OpenMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = await open_memory(embedding=SometimesAway())
    await memory.user("ada").remember_all(FACTS)
    assert seen(await memory.health()) == [("model", None), ("unembedded", "ada")]
    monkeypatch.setattr(SometimesAway, "away", False)
    healed = await memory.health(repair=True)
    assert (healed.findings, [one.check for one in healed.repaired]) == ((), ["unembedded"])
    assert await recalls_itself(memory.user("ada"))


async def test_another_model_than_the_one_that_is_running_is_seen(open_memory: OpenMemory) -> None:
    first = await open_memory()
    await first.user("ada").remember(FACTS[0])
    await settled(first)
    second = await open_memory(embedding=HashEmbeddingModel(dimension=32, name="other"), path=first.settings.path)
    assert ("model", "ada") in seen(await second.health())


async def test_an_index_of_another_model_is_rebuilt_from_the_vectors_that_there_are(tmp_path: Path) -> None:
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        await memory.user("ada").remember(FACTS[0])
    shutil.rmtree(tmp_path / "index")
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel(name="other")) as memory:
        await memory.user("ada").remember(FACTS[1])
        assert seen(await memory.health(repair=True)) == [("model", "ada"), ("unembedded", "ada")]


async def test_dead_letters_are_listed_and_tried_again(open_memory: OpenMemory) -> None:
    steps: list[Any] = [ExtractionFailed("junk"), ExtractionFailed("junk")]
    memory = await open_memory(extractor=ScriptedExtractor(steps), learn_tries=2)
    ada, session = memory.user("ada"), SQLiteSession("s")
    await session.add_items([{"role": "user", "content": "My cat is called Miso."}])
    for _ in range(2):
        await ada.learn(session)
    [finding] = (await memory.health()).findings
    assert finding.what == "a message of session s failed 2 times: junk"
    assert (await ada.learn(session)).messages == 0
    assert await memory.retry_dead_letters() == 1
    assert (await ada.learn(session)).messages == 1
    assert (await memory.health()).sound


async def test_what_is_over_is_called_expired(open_memory: OpenMemory) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    memory = await open_memory(clock=lambda: now)
    ada = memory.user("ada")
    fact = await ada.remember(FACTS[0], expires_at=now + timedelta(days=1))
    now += timedelta(days=2)
    health = await memory.health()
    assert (seen(health), health.sound) == ([("expired", "ada")], True)
    assert (await memory.health(repair=True)).findings == ()
    assert [change.after for change in (await ada.explain(fact.id)).history] == ["active", "expired"]


async def test_facts_that_seem_to_say_the_same_are_shown_in_pairs(open_memory: OpenMemory) -> None:
    memory = await open_memory()
    ada = memory.user("ada")
    words = "toys in the big red box that stands behind the green door of the small room under the roof of our house"
    one, other, _ = await ada.remember_all([f"The cat has {words}.", f"The dog has {words}.", FACTS[0]])
    health = await memory.health()
    assert [set(finding.fact_ids) for finding in health.findings] == [{one.id, other.id}]
    assert (seen(health), health.sound) == ([("duplicate", "ada")], True)


async def test_facts_that_are_known_to_contradict_are_no_duplicates(open_memory: OpenMemory) -> None:
    memory = await open_memory()
    words = "toys in the big red box that stands behind the green door of the small room under the roof of our house"
    _, other = await memory.user("ada").remember_all([f"The cat has 3 {words}.", f"The cat has 4 {words}."])
    assert other.conflicts_with is not None
    assert (await memory.health()).findings == ()


async def spoil(memory: SemanticMemory, **columns: Any) -> None:
    """Write into the ledger behind its back, as a bug or a bad disk would."""

    with memory._rooms.ledger.database.engine.begin() as connection:
        connection.execute(update(tables.facts).values(**columns))


@pytest.mark.parametrize(
    ("columns", "check", "what"),
    [
        ({"superseded_by": "nothing"}, "chain", "it is linked to nothing, which is not there"),
        ({"status": "superseded"}, "chain", "it is superseded, and nothing says by what"),
        ({"text": "The key is AKIAIOSFODNN7EXAMPLE."}, "secret", "1 fact holding what looks like a credential"),
    ],
)
async def test_a_ledger_that_was_tampered_with_is_seen(
    open_memory: OpenMemory, columns: dict[str, Any], check: str, what: str
) -> None:
    memory = await open_memory()
    fact = await memory.user("ada").remember(FACTS[0])
    await spoil(memory, **columns)
    findings = [one for one in (await memory.health()).findings if one.check == check]
    assert (what, (fact.id,)) in [(one.what, one.fact_ids) for one in findings]
    assert "AKIA" not in str(findings)
