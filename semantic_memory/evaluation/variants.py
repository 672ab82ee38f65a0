"""Cheaper variants of an embedding model, to compare with it: fewer dimensions, a byte a number, single words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from semantic_memory.embedding.protocol import EmbeddingModel, Fingerprint, Matrix


@dataclass(frozen=True, slots=True)
class Variant:
    """A model whose vectors of shape (n, dimension) are changed by `change`, and brought to length 1 again."""

    base: EmbeddingModel
    suffix: str
    change: Callable[[Matrix], Matrix]

    @property
    def name(self) -> str:
        """The model's name and what is different."""
        return f"{self.base.name} {self.suffix}"

    async def load(self) -> Fingerprint:
        """The model's fingerprint, of the variant's dimension."""
        found = await self.base.load()
        width = self.change(np.zeros((1, found.dimension), np.float32)).shape[1]
        return replace(found, name=self.name, dimension=width)

    async def embed_documents(self, texts: Sequence[str]) -> Matrix:
        """Vectors of shape (len(texts), dimension)."""
        return self._changed(await self.base.embed_documents(texts))

    async def embed_query(self, text: str) -> Matrix:
        """One vector of shape (dimension,)."""
        row: Matrix = self._changed((await self.base.embed_query(text))[None])[0]
        return row

    def count_tokens(self, text: str) -> int:
        """As the model counts."""
        return self.base.count_tokens(text)

    async def close(self) -> None:
        """The model is closed by who opened it."""

    def _changed(self, rows: Matrix) -> Matrix:
        changed = self.change(rows).astype(np.float32)
        unit: Matrix = changed / np.maximum(np.linalg.norm(changed, axis=1, keepdims=True), 1e-9)
        return unit


def truncated(base: EmbeddingModel, dimension: int) -> Variant:
    """The first `dimension` numbers of each vector."""
    return Variant(base, f"first {dimension}", lambda rows: rows[:, :dimension])


def in_bytes(base: EmbeddingModel) -> Variant:
    """Each number rounded to a signed byte, of the largest that a row has."""

    def change(rows: Matrix) -> Matrix:
        step = np.maximum(np.abs(rows).max(axis=1, keepdims=True), 1e-9) / 127
        rounded: Matrix = np.round(rows / step) * step
        return rounded

    return Variant(base, "int8", change)


def of_words(model: Path, folder: Path, dimension: int) -> Path:
    """A sentence-transformers model without layers, made of BERT's kind in the folder `model`: a text is its words.

    Word pieces keep the vectors that they enter the other model with, in their first principal components; common
    ones count for less (vocabularies begin with them). Many times faster, and deaf to context.
    """
    from safetensors.numpy import load_file
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import Tokenizer

    weights = load_file(model / "model.safetensors")["embeddings.word_embeddings.weight"]
    centred = weights - weights.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    rarity = np.log1p(np.arange(1, len(weights) + 1))[:, None]
    pieces = (centred @ axes[:, ::-1][:, :dimension] * rarity).astype(np.float32)
    words = StaticEmbedding(Tokenizer.from_file(str(model / "tokenizer.json")), embedding_weights=pieces)
    SentenceTransformer(modules=[words], device="cpu").save(str(folder))
    return folder
