"""What a memory's own receipts tell of its recall, and of what another threshold or model would change."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from semantic_memory import NotFound, Settings
from semantic_memory.evaluation import store
from semantic_memory.evaluation.store import Change
from semantic_memory.facts import Fact, NearMiss, Receipt
from semantic_memory.reasons import Stop
from semantic_memory.testing import HashEmbeddingModel

NOW = datetime(2026, 6, 15, tzinfo=UTC)


def fact(fact_id: str, text: str) -> Fact:
    said = NOW - timedelta(days=30)
    return Fact(id=fact_id, user_id="ada", text=text, said_at=said, recorded_at=said, origin="user", status="active")


def receipt(
    query: str, shown: dict[str, float], near: dict[str, float] | None = None, stopped_by: Stop = "threshold"
) -> Receipt:
    return Receipt(
        id=query,
        at=NOW,
        query=query,
        shown=tuple(shown.items()),
        near=tuple(
            NearMiss(fact_id=one, relevance=chance, stopped_by=stopped_by) for one, chance in (near or {}).items()
        ),
        source="hook",
        answered_by="ledger",
        degraded=None,
        latency_ms=1.0,
    )


def kinds(changes: Sequence[Change]) -> list[str]:
    return [one.kind for one in changes]


def test_a_memory_without_recalls_is_rethought_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        seen = store.rethought([], [0.01, 0.1], limit=8)
    assert np.isnan([*seen.facts, *seen.silent, seen.facts_now, seen.silent_now]).all()


def test_a_mistyped_folder_is_no_memory_and_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"no memory in .*memmory: it holds no ledger\.db"):
        store.folder_with_memory(tmp_path / "memmory")
    assert not (tmp_path / "memmory").exists()
    (tmp_path / "ledger.db").touch()
    assert store.folder_with_memory(str(tmp_path)) == tmp_path


def test_a_higher_threshold_silences_and_a_lower_one_speaks() -> None:
    receipts = [
        receipt("sure", {"a": 0.9}),
        receipt("unsure", {"a": 0.03}),
        receipt("two", {"a": 0.9, "b": 0.03}),
        receipt("silent", {}, {"c": 0.001}),
    ]
    assert kinds(store.with_threshold(receipts, 0.1, limit=8)) == [
        "as before",
        "newly silent",
        "more or fewer facts",
        "as before",
    ]
    assert kinds(store.with_threshold(receipts, 0.0005, limit=8)) == ["as before"] * 3 + ["no longer silent"]
    seen = store.rethought(receipts, [0.0005, 0.1], limit=8)
    assert (seen.facts.tolist(), seen.facts_now) == ([1.25, 0.5], 1.0)
    assert (seen.silent.tolist(), seen.silent_now) == ([0.0, 0.5], 0.25)


def test_what_stopped_a_fact_other_than_its_relevance_stops_it_still() -> None:
    asked = receipt("doubled", {}, {"a": 0.9}, stopped_by="label")
    assert kinds(store.with_threshold([asked], 0.0, limit=8)) == ["as before"]


async def test_another_model_is_asked_of_silent_recalls_too() -> None:
    class Mute(HashEmbeddingModel):
        """Whatever it is asked is as far from everything."""

        async def embed_query(self, text: str) -> np.ndarray:
            return np.zeros(64, np.float32)

    facts = [fact("deploy", "We deploy to Hetzner"), fact("tea", "I like green tea"), fact("cat", "My cat is old")]
    facts += [fact("standup", "My standup is at nine"), fact("city", "I live in Lisbon")]
    receipts = [receipt("Do we deploy to Hetzner?", {}), receipt("Who won the cup?", {"tea": 0.5})]
    models = HashEmbeddingModel(dimension=64), Mute(dimension=64)
    changed = await store.with_model(receipts, facts, models, settings=Settings(), now=NOW)
    assert [one.query for one in changed] == [one.query for one in receipts]
    assert [one.before for one in changed] == [("deploy",), ()]
    same = await store.with_model(receipts, facts, (models[0], models[0]), settings=Settings(), now=NOW)
    assert kinds(same) == ["as before"] * 2


def test_a_change_of_the_first_fact_says_so() -> None:
    assert Change(query="", before=("a", "b"), after=("b", "a")).kind == "another comes first"
