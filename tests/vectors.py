"""Vectors for tests: seeded, float32, of length 1."""

from __future__ import annotations

import numpy as np

from semantic_memory.index import Vector


def unit_vectors(count: int, dimension: int = 32, seed: int = 0) -> list[Vector]:
    rows = np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32)
    return list(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def items(count: int, dimension: int = 32, seed: int = 0) -> list[tuple[str, Vector]]:
    return [(f"fact-{n}", vector) for n, vector in enumerate(unit_vectors(count, dimension, seed))]
