"""A model that breaks its promises, behind a guard that keeps them."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from semantic_memory.embedding import Fingerprint
from semantic_memory.embedding.guarded import GuardedEmbedding
from semantic_memory.errors import EmbeddingFailed
from semantic_memory.testing import HashEmbeddingModel


class Careless(HashEmbeddingModel):
    """Answers with whatever it is given."""

    def __init__(self, answer: Any) -> None:
        super().__init__()
        object.__setattr__(self, "answer", answer)

    async def embed_documents(self, texts: Any) -> Any:
        return await self._answered()

    async def embed_query(self, text: str) -> Any:
        return await self._answered()

    def count_tokens(self, text: str) -> int:
        raise RuntimeError("no tokenizer")

    async def _answered(self) -> Any:
        answer: Any = self.answer  # type: ignore[attr-defined]
        if isinstance(answer, BaseException):
            raise answer
        return await answer() if callable(answer) else answer


async def forever() -> Any:
    await asyncio.sleep(3600)


BROKEN = {
    "raises": RuntimeError("broken"),
    "is cancelled": asyncio.CancelledError(),
    "hangs": forever,
    "returns nothing": None,
    "returns a text": "vector",
    "returns another dimension": np.ones((1, 3), dtype=np.float32),
    "returns NaN": np.full((1, 64), np.nan, dtype=np.float32),
    "returns zeros": np.zeros((1, 64), dtype=np.float32),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN)
async def test_whatever_a_model_does_is_one_kind_of_error(answer: Any) -> None:
    model = GuardedEmbedding(Careless(answer), patience=0.05)
    with pytest.raises(EmbeddingFailed):
        await model.embed_documents(["a"])
    row = answer[0] if isinstance(answer, np.ndarray) else answer
    with pytest.raises(EmbeddingFailed):
        await GuardedEmbedding(Careless(row), patience=0.05).embed_query("a")


async def test_vectors_of_another_length_are_made_unit_vectors() -> None:
    model = GuardedEmbedding(Careless(np.full((1, 64), 7, dtype=np.float64)), patience=1)
    rows = await model.embed_documents(["a"])
    assert np.linalg.norm(rows[0]) == pytest.approx(1)
    assert rows.dtype == np.float32


async def test_tokens_are_estimated_where_the_model_cannot_count_them() -> None:
    assert GuardedEmbedding(Careless(None), patience=1).count_tokens("x" * 30) == 11


class SlowToLoad(HashEmbeddingModel):
    loads = 0

    async def load(self) -> Fingerprint:
        type(self).loads += 1
        await asyncio.sleep(0.1)
        if type(self).loads == 1:
            raise OSError("not yet")
        return await super().load()


async def test_a_model_goes_on_loading_when_a_caller_gives_up_and_is_tried_again_when_it_failed() -> None:
    SlowToLoad.loads = 0
    model = GuardedEmbedding(SlowToLoad(), patience=0.03)
    for _ in range(2):
        with pytest.raises(EmbeddingFailed, match="did not answer"):
            await model.load()
    assert SlowToLoad.loads == 1
    await asyncio.sleep(0.1)
    for _ in range(2):
        with pytest.raises(EmbeddingFailed, match="did not answer"):
            await model.embed_query("a")
    await asyncio.sleep(0.1)
    assert (await model.load()).name == "hash"
    assert SlowToLoad.loads == 2
    await model.close()
