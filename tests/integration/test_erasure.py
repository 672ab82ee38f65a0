"""What was forgotten or erased is in no file of the memory folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from agents import SQLiteSession

from semantic_memory import NotFound, SemanticMemory
from semantic_memory.testing import HashEmbeddingModel

CANARY = "My canary is called Quetzalcoatlus."


def files_holding(folder: Path, *needles: bytes) -> list[str]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(needle in path.read_bytes() for needle in needles)]


async def settled(memory: SemanticMemory) -> None:
    await memory._rooms.workroom.drain()


async def canary_bytes() -> tuple[bytes, bytes]:
    vector = await HashEmbeddingModel().embed_query(CANARY)
    return b"Quetzalcoatlus", np.asarray(vector, dtype="<f4").tobytes()[:64]


async def test_erase_leaves_no_byte_and_a_kept_transcript_teaches_nothing_again(tmp_path: Path) -> None:
    needles = await canary_bytes()
    async with SemanticMemory.open(tmp_path / "memory", embedding=HashEmbeddingModel()) as memory:
        ada, bob = memory.user("ada-lovelace"), memory.user("bob")
        session = SQLiteSession("kept")
        await session.add_items([{"role": "user", "content": CANARY}])
        assert len((await ada.learn(session)).written) == 1
        await ada.recall("What is my canary called?")
        await bob.remember("Bob's dog is called Rex.")
        await settled(memory)
        assert files_holding(tmp_path, *needles)

        certificate = await ada.erase()
        await settled(memory)

        assert certificate.complete
        assert certificate.transcripts == ("kept",)
        assert certificate.removed["memory_facts"] == 1
        assert files_holding(tmp_path, *needles, b"ada-lovelace") == []
        assert (await ada.learn(session)).written == ()
        assert await ada.facts() == []
        assert await memory.users() == ["bob"]
        assert len(await bob.facts()) == 1
        again = await ada.remember("A new life begins.")
        assert [fact.id for fact in await ada.facts()] == [again.id]


async def test_erase_clears_the_sessions_it_is_given(tmp_path: Path) -> None:
    async with SemanticMemory.open(tmp_path / "memory", embedding=HashEmbeddingModel()) as memory:
        ada, session = memory.user("ada"), SQLiteSession("s")
        await session.add_items([{"role": "user", "content": CANARY}])
        await ada.learn(session)
        assert (await ada.erase(sessions=[session])).transcripts == ()
        assert await session.get_items() == []


async def test_forget_blanks_one_fact_and_its_vectors_and_leaves_the_others(tmp_path: Path) -> None:
    needles = await canary_bytes()
    async with SemanticMemory.open(tmp_path / "memory", embedding=HashEmbeddingModel()) as memory:
        ada = memory.user("ada")
        kept = await ada.remember("My deploy target is Hetzner.")
        lost = await ada.remember(CANARY)
        await settled(memory)
        await ada.forget(lost.id, reason="asked")
        await settled(memory)
        assert files_holding(tmp_path, *needles) == []
        assert [fact.id for fact in await ada.facts()] == [kept.id]
        assert (await ada.fact(lost.id)).status == "forgotten"
        with pytest.raises(NotFound):
            await memory.user("bob").forget(kept.id)


async def test_an_erase_during_a_learn_pass_wins(tmp_path: Path) -> None:
    from semantic_memory.testing import ScriptedExtractor

    class Slow(ScriptedExtractor):
        async def extract(self, messages, **given):  # type: ignore[no-untyped-def]
            began.set()
            await go_on.wait()
            return await SentenceExtractor().extract(messages, **given)

    from semantic_memory.errors import Erased
    from semantic_memory.extraction.sentences import SentenceExtractor

    began, go_on = asyncio.Event(), asyncio.Event()
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel(), extractor=Slow()) as memory:
        ada, session = memory.user("ada"), SQLiteSession("s")
        await ada.remember("My deploy target is Hetzner.")
        await session.add_items([{"role": "user", "content": CANARY}])
        learning = asyncio.ensure_future(ada.learn(session))
        await began.wait()
        await ada.erase()
        go_on.set()
        with pytest.raises(Erased):
            await learning
        assert await ada.facts() == []


async def test_rewinding_a_kept_transcript_does_not_bring_an_erased_user_back(tmp_path: Path) -> None:
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        ada, session = memory.user("ada"), SQLiteSession("kept")
        await session.add_items([{"role": "user", "content": CANARY}])
        await ada.learn(session)
        await ada.erase()
        await ada.rewind(session)
        assert await memory.users() == []
        assert await ada.remember(CANARY)
        assert await memory.users() == ["ada"]
