"""A second opinion on the order of the best facts, from a model that reads question and fact together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from semantic_memory.retrieval.ranking import Scored

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder

RERANKED = 20  # facts; the others stay behind them
WITHIN = 0.1  # seconds


class Reranker(Protocol):
    """Question and texts to one score each; higher is better, on any scale."""

    within: float  # seconds that a recall waits for it, at most

    async def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """The scores of the texts, in their order; may raise anything."""
        ...


class CrossEncoderReranker:
    """Any sentence-transformers `CrossEncoder`, by name, path or object, in a thread of its own.

    A name is loaded by the first question that needs it, which won't wait for it. While a question that nobody
    waits for any more is still being read, others raise `TimeoutError` at once: work never piles up.
    """

    def __init__(self, model: str | CrossEncoder, *, within: float = WITHIN) -> None:
        self._model = model
        self.within = within
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="semantic-memory-rerank")
        self._reading: asyncio.Future[list[float]] | None = None

    async def score(self, query: str, texts: Sequence[str]) -> Sequence[float]:
        """One score for each text. Raises `TimeoutError` while it is busy, and what the model raises."""
        if self._reading is not None and not self._reading.done():
            raise TimeoutError("the reranker is busy")
        self._reading = asyncio.get_running_loop().run_in_executor(self._thread, self._score, query, list(texts))
        return await asyncio.shield(self._reading)

    def _score(self, query: str, texts: list[str]) -> list[float]:
        pairs = [(query, text) for text in texts]
        return [float(one) for one in self._loaded().predict(pairs, show_progress_bar=False)]

    def _loaded(self) -> CrossEncoder:
        if not isinstance(self._model, str):
            return self._model
        from sentence_transformers import CrossEncoder

        loaded: CrossEncoder = CrossEncoder(self._model)
        self._model = loaded
        return loaded


def reordered(scored: Sequence[Scored], scores: Sequence[float]) -> list[Scored]:
    """The first `len(scores)` facts in the order of these scores, the others behind them.

    The relevances stay where they are: the place of a fact changes, not how sure the answer is of its places.
    """
    first, rest = scored[: len(scores)], scored[len(scores) :]
    by_score = sorted(zip(scores, first, strict=True), key=lambda one: -one[0])
    moved = [replace(one, relevance=place.relevance) for (_, one), place in zip(by_score, first, strict=True)]
    return [*moved, *rest]
