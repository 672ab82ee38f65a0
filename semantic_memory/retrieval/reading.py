"""A query read against a shelf, fact by fact and term by term."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.retrieval.lexical import K1
from semantic_memory.retrieval.query import Query
from semantic_memory.retrieval.shelf import Shelf, cosines
from semantic_memory.retrieval.timeline import Timeline

# Keeps a place among the user's scores meaningful on a shelf of a few facts, where their spread says little.
SPREAD_FLOOR = 0.05
# Where no word is shared, a cosine below this says less and less; in cosines, and in spreads above the mean.
NEAR, NEAR_RELATIVE = 0.3, 1.5
TINY = np.float32(1e-6)


@dataclass(frozen=True)
class Reading:
    """A query read against a shelf: what every signal is made of, in the order of the shelf's timeline."""

    line: Timeline
    cosine: Matrix  # of each fact
    idf: Matrix  # of each term of the query
    known: NDArray[np.bool_]  # of each term: whether any fact holds it
    strength: Matrix  # of each known term (rows) in each fact (columns), 0 to 1
    lengths: Matrix  # in terms, of each fact
    asks: Matrix  # 1 where the fact's text is a question
    names: NDArray[np.bool_]  # of each term: whether the query writes it as a name
    personal: bool  # whether the query speaks of those who ask
    near: float  # the cosine from which a fact is near without a shared word

    @classmethod
    def of(cls, shelf: Shelf, query: Query, *, relative: bool = False) -> Reading:
        """Read all of a shelf; `relative` measures cosines in spreads above the user's mean.

        That makes models alike whose cosines lie on scales of their own.
        """
        order = shelf.timeline.order
        cosine = cosines(query.vector[np.newaxis], shelf.vectors)[0]
        if relative:
            cosine = (cosine - cosine.mean()) / (cosine.std() + np.float32(SPREAD_FLOOR))
        idf = shelf.lexicon.idf(query.terms) * query.weights
        known = [term for term in query.terms if shelf.lexicon.frequency(term)]
        return cls(
            line=shelf.timeline,
            cosine=cosine[order],
            idf=idf,
            known=np.array([term in known for term in query.terms], dtype=bool),
            strength=(shelf.lexicon.saturation(known) / np.float32(K1 + 1))[:, order],
            lengths=shelf.lexicon.lengths[order],
            asks=shelf.columns["asks"][order].astype(np.float32),
            names=np.array([term in query.names for term in query.terms], dtype=bool),
            personal=query.personal,
            near=NEAR_RELATIVE if relative else NEAR,
        )

    @cached_property
    def rarity(self) -> Matrix:
        """The idf of each known term."""
        return self.idf[self.known]

    @cached_property
    def weight(self) -> Matrix:
        """Each known term's part of what they weigh together."""
        return np.asarray(self.rarity / np.maximum(self.rarity.sum(), TINY))

    @cached_property
    def words(self) -> Matrix:
        """The BM25 score of each fact, up to a constant factor."""
        return np.asarray(self.rarity @ self.strength)

    @cached_property
    def lexical(self) -> Matrix:
        """The part of the query's known terms that each fact holds, 0 to 1."""
        return np.asarray(self.weight @ self.strength)

    @cached_property
    def spread(self) -> float:
        """How far the cosines of the user's facts lie apart."""
        return float(self.cosine.std()) + SPREAD_FLOOR

    @cached_property
    def centred(self) -> Matrix:
        """Cosines above the user's mean."""
        return np.asarray(self.cosine - self.cosine.mean())
