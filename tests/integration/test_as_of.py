"""What was believed at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from semantic_memory import SemanticMemory
from semantic_memory.testing import HashEmbeddingModel


async def test_last_week_is_the_week_before_the_moment_that_is_asked_about(tmp_path: Path) -> None:
    now = datetime(2025, 1, 3, tzinfo=UTC)
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel(), clock=lambda: now) as memory:
        ada = memory.user("ada")
        await ada.remember("I started yoga lessons.")
        now = datetime(2025, 3, 5, tzinfo=UTC)
        await ada.remember("I started chess lessons.")
        then, now = now + timedelta(days=7), datetime(2026, 1, 1, tzinfo=UTC)
        found = await ada.recall("Which lessons did I start last week?", as_of=then, min_relevance=0.0)
        signals = {one.fact.text: one.signals["in_time"] for one in found.facts}
        assert signals["I started chess lessons."] > 0.5 > signals["I started yoga lessons."]


async def test_a_corrected_fact_answers_as_of_the_time_before_its_correction(tmp_path: Path) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)

    def clock() -> datetime:
        return now

    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel(), clock=clock) as memory:
        ada = memory.user("ada")
        old = await ada.remember("The deploy target is Hetzner.")
        before, now = now + timedelta(hours=1), now + timedelta(days=1)
        new = await ada.correct(old.id, "The deploy target is AWS.", reason="moved")
        lost = await ada.remember("The cat is called Miso.")
        await ada.forget(lost.id)

        assert [fact.id for fact in await ada.facts()] == [new.id]
        [then_known] = await ada.facts(as_of=before)
        assert (then_known.id, then_known.status, then_known.superseded_by) == (old.id, "active", None)
        assert await ada.facts(as_of=before - timedelta(days=1)) == []
        then = await ada.recall("What is the deploy target?", as_of=before, min_relevance=0.01)
        assert [found.fact.id for found in then.facts] == [old.id]
        today = await ada.recall("What is the deploy target?", min_relevance=0.01)
        assert [found.fact.id for found in today.facts] == [new.id]
