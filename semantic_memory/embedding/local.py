"""A model that runs in this process, as an `EmbeddingModel`."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from semantic_memory.embedding.protocol import Fingerprint, Matrix
from semantic_memory.embedding.text import encodable, estimated_tokens
from semantic_memory.embedding.worker import Encoder, EncodingWorker

CLOSING = 5.0  # seconds that closing waits for the batch or the import that is under way
COUNTED = 16_384  # characters whose tokens are counted; the tokens of a longer text are extrapolated


class LocalEmbedding:
    """An `EmbeddingModel` around a `load` function that makes an `Encoder`; usable from any event loop.

    Loading and encoding happen on one worker thread; the first call that needs the model loads it.
    """

    def __init__(self, name: str, load: Callable[[], Encoder]) -> None:
        self._name = name
        self._worker = EncodingWorker(name, load)
        weakref.finalize(self, self._worker.close)

    @property
    def name(self) -> str:
        """The name a person would use."""
        return self._name

    async def load(self) -> Fingerprint:
        """Make the model ready and tell what it is."""
        encoder = self._worker.encoder
        if encoder is None:
            encoder = await asyncio.wrap_future(self._worker.load())
        return encoder.fingerprint

    async def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """Vectors of shape (len(texts), dimension)."""
        if not texts:
            return np.empty((0, (await self.load()).dimension), dtype=np.float32)
        return await asyncio.wrap_future(self._worker.submit(list(texts), "document"))

    async def embed_query(self, text: str) -> Matrix:
        """One vector of shape (dimension,)."""
        rows: Matrix = await asyncio.wrap_future(self._worker.submit([text], "query"))
        row: Matrix = rows[0]
        return row

    def count_tokens(self, text: str) -> int:
        """How many tokens the model's tokenizer makes of `text`; an estimate while the model isn't loaded."""
        encoder = self._worker.encoder
        if encoder is None:
            return estimated_tokens(text)
        if not text:
            return 0
        count = encoder.count_tokens(encodable(text, COUNTED))
        return count * len(text) // COUNTED if len(text) > COUNTED else count

    async def close(self) -> None:
        """End the thread; calls that wait fail with `EmbeddingFailed`."""
        await asyncio.to_thread(self._worker.close, CLOSING)
