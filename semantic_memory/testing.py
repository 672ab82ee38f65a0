"""Fakes for tests, yours and ours: deterministic, without a model, without the network."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.facts import CandidateFact, Fact, Message

ExtractionStep = Sequence[CandidateFact] | Exception | Callable[[Sequence[Message]], Sequence[CandidateFact]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtractionCall:
    """What one `extract` call of a `ScriptedExtractor` was given."""

    messages: tuple[Message, ...]
    known: tuple[Fact, ...] = ()
    context: tuple[Message, ...] = ()


@dataclass
class ScriptedExtractor:
    """An extractor that plays its `steps`, one a call: candidates, an error to raise, or a function.

    When the steps are used up it finds nothing; `calls` holds what it was given.
    """

    steps: Iterable[ExtractionStep] = ()
    version: str = "scripted/1"
    calls: list[ExtractionCall] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self._remaining = iter(self.steps)

    async def extract(
        self, messages: Sequence[Message], *, known: Sequence[Fact] = (), context: Sequence[Message] = ()
    ) -> Sequence[CandidateFact]:
        """The next step's candidates."""
        self.calls.append(ExtractionCall(messages=tuple(messages), known=tuple(known), context=tuple(context)))
        step = next(self._remaining, ())
        if isinstance(step, Exception):
            raise step
        return step(messages) if callable(step) else step


@dataclass(frozen=True)
class HashEmbeddingModel:
    """An embedding model without a model: each word adds a pseudo-random direction, so that shared words mean near."""

    dimension: int = 64
    name: str = "hash"

    async def load(self) -> Fingerprint:
        """Nothing to load."""
        return Fingerprint(name=self.name, weights="words/1", dimension=self.dimension)

    async def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """Vectors of shape (len(texts), dimension)."""
        rows = [self._vector(text) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(len(rows), self.dimension)

    async def embed_query(self, text: str) -> Matrix:
        """One vector of shape (dimension,)."""
        return self._vector(text)

    def count_tokens(self, text: str) -> int:
        """The number of words."""
        return len(_words(text))

    async def close(self) -> None:
        """Nothing to give back."""

    def _vector(self, text: str) -> Matrix:
        total = np.sum([_direction(word, self.dimension) for word in _words(text) or [""]], axis=0)
        unit: Matrix = (total / np.linalg.norm(total)).astype(np.float32)
        return unit


@lru_cache(maxsize=10_000)
def _direction(word: str, dimension: int) -> Matrix:
    seed = hashlib.sha256(word.encode("utf-8", "replace")).digest()
    direction: Matrix = np.random.default_rng(list(seed)).standard_normal(dimension, dtype=np.float32)
    return direction


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())
