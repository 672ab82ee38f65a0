"""Facts and shelves for tests of retrieval."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np

from semantic_memory.embedding import Matrix
from semantic_memory.facts import Fact
from semantic_memory.retrieval.query import Query, standalone
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.testing import HashEmbeddingModel

NOW = datetime(2026, 6, 17, 12, tzinfo=UTC)
EMBEDDING = HashEmbeddingModel(dimension=128)


def fact(fact_id: str, text: str, **more: Any) -> Fact:
    times = {"said_at": NOW, "recorded_at": NOW}
    return Fact(id=fact_id, user_id="ada", text=text, **{"origin": "user", "status": "active", **times, **more})


async def shelf_of(facts: Sequence[Fact]) -> Shelf:
    shelf = Shelf()
    for one, vector in zip(facts, await EMBEDDING.embed_documents([one.text for one in facts]), strict=True):
        shelf.put(one, vector)
    return shelf


async def query(text: str, earlier: tuple[str, ...] = ()) -> Query:
    vector = await EMBEDDING.embed_query(standalone(text, earlier))
    return Query(text=text, vector=vector, earlier=earlier)


def random_vectors(count: int, dimension: int = 16, seed: int = 0) -> Matrix:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
