"""Any embedding model, held to what the protocol promises."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from semantic_memory.embedding.protocol import EmbeddingModel, Fingerprint, Matrix
from semantic_memory.embedding.rows import unit_rows
from semantic_memory.errors import EmbeddingFailed
from semantic_memory.patience import in_time

T = TypeVar("T")


class GuardedEmbedding:
    """An embedding model that answers within `patience` seconds with unit vectors, or raises `EmbeddingFailed`."""

    def __init__(self, model: EmbeddingModel, *, patience: float) -> None:
        self._model = model
        self._patience = patience
        self._loading: asyncio.Task[Fingerprint] | None = None

    @property
    def name(self) -> str:
        """The model's own name."""
        return self._model.name

    async def load(self) -> Fingerprint:
        """Wait for the model to be ready; it goes on loading when nobody waits any more."""
        loading = self._loading
        if loading is None or (loading.done() and not _succeeded(loading)):
            loading = self._loading = asyncio.ensure_future(self._model.load())
            loading.add_done_callback(_succeeded)
        return loading.result() if loading.done() else await self._kept(_result_of(loading))

    async def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """Vectors of shape (len(texts), dimension)."""
        dimension = (await self.load()).dimension

        async def work() -> Matrix:
            return unit_rows(await self._model.embed_documents(texts), count=len(texts), dimension=dimension)

        return await self._kept(work())

    async def embed_query(self, text: str) -> Matrix:
        """One vector of shape (dimension,)."""
        dimension = (await self.load()).dimension

        async def work() -> Matrix:
            row: Matrix = unit_rows([await self._model.embed_query(text)], count=1, dimension=dimension)[0]
            return row

        return await self._kept(work())

    def count_tokens(self, text: str) -> int:
        """How many tokens the model makes of `text`; an estimate where it can't tell."""
        try:
            return self._model.count_tokens(text)
        except Exception:
            return len(text) // 3 + 1  # fewer characters than a token has in most languages

    async def close(self) -> None:
        """Give back what the model holds."""
        if self._loading is not None:
            self._loading.cancel()
        await self._kept(self._model.close())

    async def _kept(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            return await in_time(work, self._patience)
        except EmbeddingFailed:
            raise
        except TimeoutError as error:
            raise EmbeddingFailed(f"{self.name} did not answer within {self._patience:g} s") from error
        except Exception as error:
            raise EmbeddingFailed(f"{self.name} failed: {type(error).__name__}: {error}") from error


async def _result_of(task: asyncio.Task[T]) -> T:
    return await asyncio.shield(task)


def _succeeded(task: asyncio.Task[Any]) -> bool:
    return not task.cancelled() and task.exception() is None
