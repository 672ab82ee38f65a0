"""Embedding models that behave as the tests of jobs need it: another space, slow, counting, failing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from semantic_memory.embedding import Matrix
from semantic_memory.errors import EmbeddingFailed
from semantic_memory.testing import HashEmbeddingModel


@dataclass(frozen=True)
class OtherModel(HashEmbeddingModel):
    """The same dimension as the hash model's, and a space of its own: mixing the two finds nonsense."""

    name: str = "other"

    def _vector(self, text: str) -> Matrix:
        return np.roll(super()._vector(text), 7)[::-1].copy()


@dataclass(frozen=True)
class WatchedModel(OtherModel):
    """Keeps what it embedded; `before` is awaited with the texts of each batch and may raise."""

    embedded: list[str] = field(default_factory=list, compare=False)
    before: Callable[[Sequence[str]], object] = field(default=lambda texts: None, compare=False)

    async def embed_documents(self, texts: Sequence[str]) -> Matrix:
        waiting = self.before(texts)
        if asyncio.iscoroutine(waiting):
            await waiting
        self.embedded.extend(texts)
        return await super().embed_documents(texts)


@dataclass(frozen=True)
class PoisonedModel(OtherModel):
    """Can't embed a text that holds the word."""

    poison: str = "poison"
    answer: str = "raise"  # or nan, or short

    async def embed_documents(self, texts: Sequence[str]) -> Matrix:
        rows = await super().embed_documents(texts)
        if any(self.poison in text for text in texts):
            if self.answer == "raise":
                raise EmbeddingFailed("it is poisoned")
            return rows * np.float32("nan") if self.answer == "nan" else rows[:, :-1]
        return rows
