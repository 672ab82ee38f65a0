"""A query read against a shelf, fact by fact and term by term."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.retrieval.lexical import K1
from semantic_memory.retrieval.query import Question
from semantic_memory.retrieval.shelf import Shelf, cosines
from semantic_memory.retrieval.timeline import Timeline

# Keeps a place among the user's scores meaningful on a shelf of a few facts, where their spread says little.
SPREAD_FLOOR = 0.05
# Where no word is shared, a cosine below this says less and less; in cosines, and in spreads above the mean.
NEAR, NEAR_RELATIVE = 0.3, 1.5
TINY = np.float32(1e-6)


@dataclass(frozen=True)
class Words:
    """A question's words held against a shelf, in the order of its timeline: all that needs no vector."""

    line: Timeline
    idf: Matrix  # of each term of the question
    known: NDArray[np.bool_]  # of each term: whether any fact holds it
    strength: Matrix  # of each known term (rows) in each fact (columns), 0 to 1
    lengths: Matrix  # in terms, of each fact
    asks: Matrix  # 1 where the fact's text is a question
    names: NDArray[np.bool_]  # of each term: whether the question writes it as a name
    personal: bool  # whether the question speaks of those who ask

    @classmethod
    def of(cls, shelf: Shelf, question: Question) -> Words:
        """Find a question's words on a shelf."""
        order = shelf.timeline.order
        known = [term for term in question.terms if shelf.lexicon.frequency(term)]
        return cls(
            line=shelf.timeline,
            idf=shelf.lexicon.idf(question.terms) * question.weights,
            known=np.array([term in known for term in question.terms], dtype=bool),
            strength=np.take(shelf.lexicon.saturation(known) / np.float32(K1 + 1), order, axis=1),
            lengths=shelf.lexicon.lengths[order],
            asks=shelf.columns["asks"][order].astype(np.float32),
            names=np.array([term in question.names for term in question.terms], dtype=bool),
            personal=question.personal,
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
    def told(self) -> Matrix:
        """The BM25 score of each fact, up to a constant factor."""
        return np.asarray(self.rarity @ self.strength)

    @cached_property
    def lexical(self) -> Matrix:
        """The part of the question's known terms that each fact holds, 0 to 1."""
        return np.asarray(self.weight @ self.strength)


@dataclass(frozen=True)
class Reading:
    """A query read against a shelf, its words and its vector: what every signal is made of."""

    words: Words
    cosine: Matrix  # of each fact, in the order of the shelf's timeline
    near: float  # the cosine from which a fact is near without a shared word

    @classmethod
    def of(cls, shelf: Shelf, words: Words, vector: Matrix, *, relative: bool = False) -> Reading:
        """Hold a vector of shape (dimension,) against all of the shelf that the words were held against.

        `relative` measures cosines in spreads above the user's mean: that makes models alike whose cosines lie on
        scales of their own.
        """
        cosine = cosines(vector[np.newaxis], shelf.vectors)[0]
        if relative:
            cosine = (cosine - cosine.mean()) / (cosine.std() + np.float32(SPREAD_FLOOR))
        return cls(words, cosine[words.line.order], NEAR_RELATIVE if relative else NEAR)

    @cached_property
    def spread(self) -> float:
        """How far the cosines of the user's facts lie apart."""
        return float(self.cosine.std()) + SPREAD_FLOOR

    @cached_property
    def centred(self) -> Matrix:
        """Cosines above the user's mean."""
        return np.asarray(self.cosine - self.cosine.mean())
