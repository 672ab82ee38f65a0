"""A user's facts on a plane, to look at: the principal components of their vectors."""

from __future__ import annotations

import asyncio

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding import Matrix
from semantic_memory.facts import Placed
from semantic_memory.ledger.store import Ledger
from semantic_memory.vectors import Shelves

MOST = 2000  # vectors that the axes are found from; more of them turn the axes no further


class Cartographer:
    """Draws one user's facts; to be awaited on the workroom's loop."""

    def __init__(self, ledger: Ledger, shelves: Shelves) -> None:
        self._ledger = ledger
        self._shelves = shelves

    async def map(self, user_key: str) -> list[Placed]:
        """The active facts that have a vector, on a plane."""
        state = await self._ledger.user(user_key)
        if state is None or state.fingerprint is None:
            return []
        shelf = (await self._shelves.get(state, await self._ledger.fingerprint(state.fingerprint))).shelf
        places = await asyncio.to_thread(flat, shelf.vectors)
        return [Placed(fact=shelf.at(row), x=x, y=y) for row, (x, y) in enumerate(places.tolist())]


def flat(vectors: Matrix) -> NDArray[np.float64]:
    """Places of shape (len(vectors), 2), -1 to 1, along the two directions in which the vectors differ most.

    Pearson (1901), by the eigenvectors of the covariance. The signs are chosen so that the same vectors get the same
    places.
    """
    if len(vectors) < 2:
        return np.zeros((len(vectors), 2))
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    sample = centred[:: -(-len(centred) // MOST)]
    _, axes = np.linalg.eigh(sample.T @ sample)
    axes = axes[:, :-3:-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    places = centred @ axes
    return np.asarray(places / max(float(np.abs(places).max()), 1e-12))
