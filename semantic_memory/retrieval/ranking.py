"""A query to facts in order of relevance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.facts import Neighbour
from semantic_memory.retrieval.lexical import terms, unique
from semantic_memory.retrieval.query import Query, Question
from semantic_memory.retrieval.reading import Reading, Words
from semantic_memory.retrieval.relevance import Calibration, Relevance, relevance
from semantic_memory.retrieval.shelf import Shelf, highest
from semantic_memory.retrieval.signals import Signals, measure, told
from semantic_memory.retrieval.temporal import preferred

CANDIDATES = 100  # of each kind: near in meaning, near in words
OFFERED = 2  # times as many as are taken: what an index must find, so that those taken are the nearest
DEPTH = 50  # facts that come back
BEYOND = 10  # facts that come back behind those that may be shown


def depth_for(limit: int) -> int:
    """How many facts must come back so that `limit` can be shown, and what was nearly shown is known."""
    return max(DEPTH, limit + BEYOND)


def reach_for(limit: int) -> int:
    """How many candidates of each kind are taken for that."""
    return max(CANDIDATES, depth_for(limit))


@dataclass(frozen=True, slots=True)
class Scored:
    """A fact with its relevance to a query."""

    fact_id: str
    relevance: float  # probability, 0 to 1
    answerable: float  # probability that any fact helps: the same for all facts of a query
    signals: dict[str, float] = field(default_factory=dict)  # each signal's share of the log-odds


@dataclass(frozen=True, slots=True)
class Worded:
    """All facts of a shelf as far as a question's words weigh them: it can be done while the question is embedded."""

    shelf: Shelf
    now: datetime
    words: Words
    told: Signals

    @classmethod
    def of(cls, shelf: Shelf, question: Question, *, now: datetime) -> Worded:
        """Hold a question's words against a shelf that isn't empty."""
        words = Words.of(shelf, question)
        times = (preferred(part, now, lambda event: _when(shelf, event)) for part in question.parts)
        asked_for = next(filter(None, times), None)
        with np.errstate(invalid="ignore"):  # BLAS has been seen to complain of lanes beyond a narrow matrix
            return cls(shelf, now, words, told(shelf, words, now=now, asked_for=asked_for))

    @property
    def fresh(self) -> bool:
        """Whether the shelf is still as it was."""
        return self.shelf.timeline is self.words.line

    def weighed(self, vector: Matrix, calibration: Calibration) -> Weighed:
        """Weigh the facts, now that the question has a vector of shape (dimension,)."""
        with np.errstate(invalid="ignore"):
            reading = Reading.of(self.shelf, self.words, vector, relative=calibration.relative)
            signals = measure(reading, self.told)
            signals["asks_user"] = calibration.probe(vector) if calibration.probe else 0.0
            return Weighed(self, calibration, reading, signals, relevance(signals, calibration))


@dataclass(frozen=True, slots=True)
class Weighed:
    """All facts of a shelf weighed for a query, before it is known which of them are candidates."""

    worded: Worded
    calibration: Calibration
    reading: Reading
    signals: Signals
    relevance: Relevance

    def best(
        self,
        dense: Sequence[Neighbour] | None = None,
        *,
        as_of: datetime | None = None,
        depth: int = DEPTH,
        reach: int = CANDIDATES,
    ) -> NDArray[np.intp]:
        """The places of the most relevant of the candidates, best first; see `rank`."""
        shelf = self.worded.shelf
        valid = _valid(shelf, as_of or self.worded.now, said=as_of is not None)
        eligible = _candidates(shelf, self.reading, dense, reach) & valid
        return highest(np.where(eligible, self.relevance.log_odds, -np.inf), min(depth, int(eligible.sum())))

    def scored(self, places: NDArray[np.intp]) -> list[Scored]:
        """The facts at these places, each with its relevance and what made it."""
        shelf, found = self.worded.shelf, self.relevance
        shares = self.calibration.helps.shares(self.signals, places)
        return [
            Scored(shelf.id_at(row), chance, found.answerable, share)
            for row, chance, share in zip(
                shelf.timeline.order[places].tolist(), found.probability[places].tolist(), shares, strict=True
            )
        ]


def rank(
    shelf: Shelf,
    query: Query,
    *,
    calibration: Calibration,
    now: datetime,
    dense: Sequence[Neighbour] | None = None,
    as_of: datetime | None = None,
    depth: int = DEPTH,
) -> list[Scored]:
    """The most relevant facts, best first.

    Candidates are the nearest in meaning (of those in `dense`; of all where it is None), the facts that share
    words with the query, and what was said next to either. All are scored from the shelf's own vectors, so that
    the answer doesn't depend on who found the neighbours.
    """
    if not len(shelf):
        return []
    weighed = Worded.of(shelf, query, now=as_of or now).weighed(query.vector, calibration)
    return weighed.scored(weighed.best(dense, as_of=as_of, depth=depth))


def _when(shelf: Shelf, event: str) -> float | None:
    """When the event happened: the time of the fact that has most of its words; None where none has half of them."""
    wanted = unique(terms(event))
    weight, held = shelf.lexicon.idf(wanted), shelf.lexicon.saturation(wanted) > 0
    best = int((weight @ held).argmax()) if wanted else 0
    if not wanted or (weight @ held)[best] < weight.sum() / 2:
        return None
    row = shelf.columns[best]
    return float(row["valid_from"] if np.isfinite(row["valid_from"]) else row["said_at"])


def _candidates(shelf: Shelf, reading: Reading, dense: Sequence[Neighbour] | None, reach: int) -> NDArray[np.bool_]:
    """Of each place: whether it is near in meaning, near in words, or next to one that is."""
    line, told, chosen = reading.words.line, reading.words.told, np.zeros(len(shelf), dtype=bool)
    if dense is None:
        chosen[highest(reading.cosine, reach)] = True
    else:
        offered = np.sort(line.place[shelf.rows(one.fact_id for one in dense)])
        chosen[offered[highest(reading.cosine[offered], reach)]] = True
    worded = highest(told, reach)
    chosen[worded[told[worded] > 0]] = True
    return np.asarray(chosen | line.shifted(chosen, 1) | line.shifted(chosen, -1))


def _valid(shelf: Shelf, moment: datetime, *, said: bool) -> NDArray[np.bool_]:
    """Of each place: whether the fact is not expired; with `said`, also whether it was said and held by then.

    What held until a day in the past is still true of the past, and people ask for it: the block says until when.
    """
    at, columns = moment.timestamp(), shelf.columns
    valid = columns["expires_at"] > at
    if said:
        valid &= (columns["said_at"] <= at) & (columns["valid_from"] <= at) & (columns["valid_to"] > at)
    return np.asarray(valid[shelf.timeline.order])
