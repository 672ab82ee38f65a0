"""The order of conversation, and how a score spreads along it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import Matrix


@dataclass(frozen=True, slots=True)
class Timeline:
    """The rows of a shelf session by session, by position within each; a *place* is an index into this order.

    Score arrays here have one column per place, and any number of rows before.
    """

    order: NDArray[np.intp]  # the row at each place
    place: NDArray[np.intp]  # of each row
    session: NDArray[np.int32]  # at each place; a fact of no session is one of its own
    begins: NDArray[np.intp]  # the places at which a session begins
    spans: NDArray[np.intp]  # for each place, the index of its session in `begins`

    @classmethod
    def of(cls, session: NDArray[np.int32], position: NDArray[np.int32]) -> Timeline:
        """The timeline of rows with these session numbers (negative: none) and positions."""
        order = np.lexsort((position, session))
        ordered = session[order].copy()
        alone = np.flatnonzero(ordered < 0)
        ordered[alone] = -1 - np.arange(len(alone))
        changes = np.ones(len(order), dtype=bool)
        changes[1:] = ordered[1:] != ordered[:-1]
        place = np.empty_like(order)
        place[order] = np.arange(len(order))
        return cls(order, place, ordered, np.flatnonzero(changes), np.cumsum(changes) - 1)

    def shifted(self, scores: Matrix, by: int) -> Matrix:
        """What stands `by` places earlier (negative: later) in the same session; 0 where nothing does."""
        gap = abs(by)
        moved = np.zeros_like(scores)
        if gap < len(self.order):
            same = self.session[gap:] == self.session[:-gap]
            if by > 0:
                np.multiply(scores[..., :-gap], same, out=moved[..., gap:])
            else:
                np.multiply(scores[..., gap:], same, out=moved[..., :-gap])
        return moved

    def around(self, scores: Matrix, *, decay: float, reach: int) -> Matrix:
        """The sum over the neighbours up to `reach` places away, each `decay` times the one before."""
        total = np.zeros_like(scores)
        for gap, worth in self._worth(decay, reach):
            total[..., gap:] += worth * scores[..., :-gap]
            total[..., :-gap] += worth * scores[..., gap:]
        return total

    def nearby(self, scores: Matrix, *, decay: float, reach: int) -> Matrix:
        """The best of each place and its neighbours up to `reach` away, each step `decay`; scores >= 0."""
        best = scores.copy()
        for gap, worth in self._worth(decay, reach):
            later, earlier = best[..., gap:], best[..., :-gap]
            np.maximum(later, worth * scores[..., :-gap], out=later)
            np.maximum(earlier, worth * scores[..., gap:], out=earlier)
        return best

    def _worth(self, decay: float, reach: int) -> Iterator[tuple[int, Matrix]]:
        """For each gap up to `reach`, what a score counts that far away in its session; 0 beyond."""
        for gap in range(1, min(reach + 1, len(self.order))):
            yield gap, np.float32(decay**gap) * (self.session[gap:] == self.session[:-gap])

    def best_of_session(self, scores: Matrix) -> Matrix:
        """The highest score of each session: one column per session."""
        return np.maximum.reduceat(scores, self.begins, axis=-1)
