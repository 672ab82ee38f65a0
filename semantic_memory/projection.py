"""A user's vectors on a plane, to look at: principal components."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding import Matrix

MOST = 2000  # vectors that the axes are found from; more of them turn the axes no further


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
