"""A few texts by which a faster way to run a model is compared with the plain one before it is used."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.embedding.rows import unit_rows

NOISE = 0.001  # cosine distance up to which two encodings of a text are the same
GAIN = 1.15  # times as fast: for less, the plain way isn't left
TRIAL = 0.3  # seconds that each way is timed, three turns at most
PROBES = (
    "We deploy the billing service to Hetzner in Falkenstein.",
    "Where is the billing service deployed?",
    "Her daughter is allergic to peanuts.",
    "Which food must her daughter avoid?",
    "Standup is at 9:30 on weekdays, Berlin time.",
    "He prefers window seats and vegetarian meals on long flights, and would rather take the train "
    "whenever the trip is shorter than five hours.",
)


def same_vectors(expected: Matrix, found: Matrix, *, noise: float = NOISE) -> bool:
    """Whether two encodings of the same texts differ by no more than noise and have the same nearest neighbours."""
    expected, found = unit_rows(expected, count=len(expected)), unit_rows(found, count=len(expected))
    near = np.all(np.sum(expected * found, axis=1) >= 1 - noise)
    return bool(near and np.array_equal(_nearest(expected @ expected.T), _nearest(found @ expected.T)))


def same_cosines(expected: Matrix, found: Matrix) -> bool:
    """Whether the cosines between the rows of `found` are the `expected` ones (a square matrix), up to noise."""
    rows = unit_rows(found, count=len(expected))
    return bool(np.all(np.abs(rows @ rows.T - expected) <= NOISE))


def seconds(encode: Callable[[], object]) -> float:
    """The least time of a few that an encoding takes."""
    times: list[float] = []
    while len(times) < 3 and sum(times) < TRIAL:
        began = time.perf_counter()
        encode()
        times.append(time.perf_counter() - began)
    return min(times)


def _nearest(similarity: Matrix) -> NDArray[np.intp]:
    """Of each text, the other one that is nearest; fills the diagonal of `similarity`."""
    np.fill_diagonal(similarity, -1)
    nearest: NDArray[np.intp] = np.argmax(similarity, axis=1)
    return nearest
