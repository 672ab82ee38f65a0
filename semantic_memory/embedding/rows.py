"""The one check that every vector passes before anybody else sees it."""

from __future__ import annotations

from typing import Any

import numpy as np

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.errors import EmbeddingFailed


def unit_rows(values: Any, *, count: int, dimension: int | None = None) -> Matrix:
    """`values` as float32 rows of length 1, shape (count, dimension).

    Raises `EmbeddingFailed` for another shape, for NaN or infinity, and for a row of zeros.
    """
    rows: Matrix = np.asarray(values, dtype=np.float32)
    if rows.ndim != 2 or len(rows) != count or (dimension or rows.shape[1]) != rows.shape[1]:
        raise EmbeddingFailed(f"expected {count} vectors of dimension {dimension}, got shape {rows.shape}")
    lengths: Matrix = np.linalg.norm(rows, axis=1, keepdims=True)
    if not np.all(np.isfinite(lengths)):
        raise EmbeddingFailed("the embedding model returned NaN or infinity")
    if not np.all(lengths > 0):
        raise EmbeddingFailed("the embedding model returned a vector of zeros")
    return rows / lengths
