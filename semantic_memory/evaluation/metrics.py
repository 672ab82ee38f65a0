"""How good an answer is: metrics over ranked fact ids, and over probabilities."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Pieces = Sequence[Collection[str]]  # pieces of evidence, each covered by any of its facts

BINS = 10  # of equal mass
RESAMPLES = 2000
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its bootstrap confidence interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram."""

    predicted: float  # mean probability
    observed: float  # share that was right
    count: int


def any_at(ranked: Sequence[str], pieces: Pieces, k: int) -> float:
    """1 where some piece of evidence is among the first k."""
    return float(any(set(piece) & set(ranked[:k]) for piece in pieces))


def all_at(ranked: Sequence[str], pieces: Pieces, k: int) -> float:
    """1 where every piece of evidence is among the first k."""
    return float(all(set(piece) & set(ranked[:k]) for piece in pieces))


def reciprocal_rank(ranked: Sequence[str], pieces: Pieces) -> float:
    """1 / the rank of the first right fact; 0 where there is none."""
    right = set().union(*pieces)
    return next((1 / rank for rank, one in enumerate(ranked, start=1) if one in right), 0.0)


def ndcg_at(ranked: Sequence[str], pieces: Pieces, k: int) -> float:
    """Discounted gain of the first k, where a piece counts once, over that of an ideal order."""
    waiting, gain = [set(piece) for piece in pieces], 0.0
    for place, one in enumerate(ranked[:k]):
        covered = [piece for piece in waiting if one in piece]
        gain += bool(covered) / np.log2(place + 2)
        waiting = [piece for piece in waiting if piece not in covered]
    ideal = sum(1 / np.log2(place + 2) for place in range(min(len(pieces), k)))
    return float(gain / ideal) if ideal else 0.0


def estimate(values: ArrayLike, clusters: Sequence[str] | None = None) -> Estimate:
    """The mean of `values` over questions, with a percentile bootstrap interval.

    `clusters` says which values belong together (one user's, one prompt's): whole clusters are drawn.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not len(sample):
        return Estimate(float("nan"), float("nan"), float("nan"))
    _, cluster = np.unique(range(len(sample)) if clusters is None else list(clusters), return_inverse=True)
    sums, sizes = np.bincount(cluster, sample), np.bincount(cluster).astype(np.float64)
    random = np.random.default_rng(0)
    drawn = (random.integers(len(sums), size=len(sums)) for _ in range(RESAMPLES))
    means = [float(sums[those].sum() / sizes[those].sum()) for those in drawn]
    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(float(sample.mean()), float(low), float(high))


def reliability(probabilities: ArrayLike, right: ArrayLike, bins: int = BINS) -> tuple[Bin, ...]:
    """Predictions against what happened, in bins of equal mass."""
    chance, happened = np.asarray(probabilities, dtype=np.float64), np.asarray(right, dtype=np.float64)
    order = np.argsort(chance, kind="stable")
    parts: list[NDArray[np.intp]] = [part for part in np.array_split(order, bins) if len(part)]
    return tuple(Bin(float(chance[part].mean()), float(happened[part].mean()), len(part)) for part in parts)


def calibration_error(bins: Sequence[Bin]) -> float:
    """The expected calibration error: the mean gap of the bins, by their mass."""
    total = sum(one.count for one in bins)
    return sum(one.count * abs(one.predicted - one.observed) for one in bins) / total if total else 0.0
