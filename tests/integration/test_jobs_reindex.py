"""Lost indexes are built again from what the ledger has, whether or not a model can be had."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from semantic_memory import EmbeddingFailed, SemanticMemory, Settings, jobs
from semantic_memory.testing import HashEmbeddingModel

FACTS = [f"My colleague number {n} is called Ed{n}." for n in range(20)]
LATE = "My cat is called Miso."

pytestmark = pytest.mark.usefixtures("patient")


class Flaky(HashEmbeddingModel):
    """Can be loaded; what it is asked, it answers only while it is up."""

    up = True

    async def embed_documents(self, texts: Sequence[str]) -> np.ndarray:
        if not type(self).up:
            raise EmbeddingFailed("it is down")
        return await super().embed_documents(texts)


async def in_index(memory: SemanticMemory, user: str) -> int:
    rooms = memory._rooms
    state = await rooms.workroom.call(rooms.ledger.user(rooms.ledger.user_key(user)))
    assert state is not None
    place = rooms.follower.place(state, HashEmbeddingModel().dimension)
    assert place is not None
    return await rooms.workroom.call(rooms.index.count(place))


async def test_an_index_is_built_from_the_vectors_there_are_while_the_model_is_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(path=tmp_path, min_relevance=0.0)
    async with SemanticMemory.open(settings, embedding=Flaky()) as memory:
        await memory.user("ada").remember_all(FACTS)
        monkeypatch.setattr(Flaky, "up", False)
        await memory.user("ada").remember(LATE)
    shutil.rmtree(tmp_path / "index")
    async with SemanticMemory.open(settings, embedding=Flaky()) as memory:
        assert await jobs.reindex(memory) == ()
        assert await in_index(memory, "ada") == len(FACTS)
        shutil.rmtree(next(path for path in (tmp_path / "index").iterdir() if not path.name.startswith(".")))
    async with SemanticMemory.open(settings, embedding=Flaky()) as memory:
        assert [one.check for one in (await memory.health(repair=True)).findings] == ["unembedded"]
        assert await in_index(memory, "ada") == len(FACTS)

        monkeypatch.setattr(Flaky, "up", True)
        assert (await memory.user("ada").recall(LATE)).answered_by == "ledger"  # it has them all, and asks for the rest
        await memory._rooms.workroom.drain()
        again = await memory.user("ada").recall(LATE, limit=1)
        assert (again.answered_by, again.facts[0].fact.text) == ("index", LATE)
        assert await in_index(memory, "ada") == len(FACTS) + 1
