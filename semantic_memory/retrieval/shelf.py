"""One user's active facts in memory, with what ranking needs to know about each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import Matrix
from semantic_memory.errors import InvalidInput, NotFound
from semantic_memory.facts import Fact, Neighbour, Origin
from semantic_memory.retrieval.lexical import Lexicon
from semantic_memory.retrieval.timeline import Timeline

OWN_ORIGINS: frozenset[Origin] = frozenset({"user", "operator", "import"})

FEW = 8  # queries for which a multiplication of matrices doesn't pay
ENDING = 24  # characters in which a question mark makes a text a question

_ROW = np.dtype(
    [
        ("session", "i4"),  # -1: of no session
        ("position", "i4"),
        ("said_at", "f8"),  # seconds since 1970, as all times here
        ("valid_from", "f8"),
        ("valid_to", "f8"),
        ("expires_at", "f8"),
        ("evidence", "i4"),
        ("own", "?"),
        ("asks", "?"),  # the text is a question
    ]
)


class Shelf:
    """One user's active facts, their vectors and words; facts can be put and dropped one by one.

    Holds up to some 100,000 facts. Pure: no I/O. Not safe for use from several threads at once.

    What `extend` is given may be records with the attributes of a `Fact`, of which `read` makes one: of most facts
    on a shelf only numbers and words are ever asked for, and making them all takes as long as reading them.
    """

    def __init__(self, read: Callable[[Any], Fact] | None = None) -> None:
        self._read = read
        self._facts: list[Any] = []  # facts, and records that nobody has looked at yet
        self._ids: list[str] = []
        self._row: dict[str, int] = {}
        self._sessions: dict[str, int] = {}
        self._contradicted: dict[str, set[str]] = {}  # by which facts of the shelf
        self._vectors = np.zeros((0, 0), dtype=np.float32)
        self._columns = np.zeros(0, dtype=_ROW)
        self.lexicon = Lexicon()

    def __len__(self) -> int:
        return len(self._facts)

    def __contains__(self, fact_id: object) -> bool:
        return fact_id in self._row

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of all facts, by row."""
        return tuple(self._ids)

    @property
    def vectors(self) -> Matrix:
        """All vectors, by row: shape (facts, dimension). A view that the next `put` or `drop` may outdate."""
        return self._vectors[: len(self)]

    @property
    def columns(self) -> NDArray[np.void]:
        """The numbers of each fact that signals are made of, by row."""
        return self._columns[: len(self)]

    @cached_property
    def timeline(self) -> Timeline:
        """The order of conversation, found anew after each change."""
        return Timeline.of(self.columns["session"], self.columns["position"])

    def put(self, fact: Fact, vector: Matrix) -> None:
        """Add a fact with its unit vector of shape (dimension,), or write it anew."""
        rows = np.asarray(vector, dtype=np.float32).reshape(1, -1)
        self._require_dimension(rows)
        self.drop(fact.id)
        self.extend([fact], rows)

    def extend(self, facts: Sequence[Any], vectors: Matrix) -> None:
        """Add facts that aren't there yet, with their unit vectors of shape (facts, dimension)."""
        self._require_dimension(vectors)
        begin, end = len(self), len(self) + len(facts)
        self._make_room(end, vectors.shape[1])
        self._vectors[begin:end] = vectors
        self._columns[begin:end] = [self._describe(fact) for fact in facts]
        for row, fact in enumerate(facts, start=begin):
            self._ids.append(fact.id)
            self._row[fact.id] = row
            if fact.conflicts_with is not None:
                self._contradicted.setdefault(fact.conflicts_with, set()).add(fact.id)
            self.lexicon.append(fact.text)
        self._facts += facts
        self.__dict__.pop("timeline", None)

    def drop(self, fact_id: str) -> None:
        """Take a fact out; nothing happens where it isn't there."""
        row = self._row.pop(fact_id, None)
        if row is None:
            return
        last = len(self) - 1
        self._contradicted.get(self._facts[row].conflicts_with or "", set()).discard(fact_id)
        self.lexicon.drop(row)
        if row != last:
            self._facts[row], self._ids[row] = self._facts[last], self._ids[last]
            self._row[self._ids[row]] = row
            self._vectors[row] = self._vectors[last]
            self._columns[row] = self._columns[last]
        self._facts.pop(), self._ids.pop()
        self.__dict__.pop("timeline", None)

    def get(self, fact_id: str) -> Fact:
        """The fact of this id; `NotFound` where it isn't on the shelf."""
        return self.at(self.row(fact_id))

    def id_at(self, row: int) -> str:
        """The id of the fact in a row."""
        return self._ids[row]

    def at(self, row: int) -> Fact:
        """The fact in a row."""
        found = self._facts[row]
        fact: Fact = found if self._read is None or isinstance(found, Fact) else self._read(found)
        self._facts[row] = fact
        return fact

    def rivals(self, fact_id: str) -> list[Fact]:
        """The facts on the shelf that contradict one, or that it contradicts, in the order of their ids."""
        links = {self.get(fact_id).conflicts_with} | self._contradicted.get(fact_id, set())
        return [self.get(one) for one in sorted(filter(None, links)) if one in self]

    def row(self, fact_id: str) -> int:
        """The row of a fact; `NotFound` where it isn't on the shelf."""
        try:
            return self._row[fact_id]
        except KeyError:
            raise NotFound from None

    def rows(self, fact_ids: Iterable[str]) -> NDArray[np.intp]:
        """The rows of those facts that are on the shelf."""
        return np.array([self._row[one] for one in fact_ids if one in self._row], dtype=np.intp)

    def vectors_of(self, fact_ids: Sequence[str]) -> Matrix:
        """The vectors of these facts: shape (facts, dimension)."""
        return self._vectors[[self.row(one) for one in fact_ids]]

    def over(self, moment: datetime) -> bool:
        """Whether the time of any fact is over."""
        return bool((self.columns["expires_at"] <= moment.timestamp()).any())

    def nearest(self, query_vector: Matrix, k: int) -> list[Neighbour]:
        """The k facts of the highest cosine, best first: exact; equal cosines in the order of rows."""
        if not len(self) or k < 1:
            return []
        similarity = cosines(np.asarray(query_vector, dtype=np.float32).reshape(1, -1), self.vectors)[0]
        return [Neighbour(self._ids[row], float(similarity[row])) for row in highest(similarity, k)]

    def _require_dimension(self, vectors: Matrix) -> None:
        if len(self) and vectors.shape[1] != self._vectors.shape[1]:
            raise InvalidInput(f"a vector of {vectors.shape[1]} numbers among vectors of {self._vectors.shape[1]}")

    def _make_room(self, size: int, dimension: int) -> None:
        if len(self) and size <= len(self._columns):
            return
        room = max(64, size, 2 * len(self))
        vectors, columns = np.zeros((room, dimension), dtype=np.float32), np.zeros(room, dtype=_ROW)
        if len(self):
            vectors[: len(self)], columns[: len(self)] = self.vectors, self.columns
        self._vectors, self._columns = vectors, columns

    def _describe(self, fact: Any) -> tuple[float | bool, ...]:
        session = -1
        if fact.session_id is not None:
            session = self._sessions.setdefault(fact.session_id, len(self._sessions))
        return (
            session,
            fact.position or 0,
            fact.said_at.timestamp(),
            _seconds(fact.valid_from, -np.inf),
            _seconds(fact.valid_to, np.inf),
            _seconds(fact.expires_at, np.inf),
            fact.evidence_count,
            fact.origin in OWN_ORIGINS,
            "?" in fact.text[-ENDING:],
        )


def cosines(queries: Matrix, rows: Matrix) -> Matrix:
    """The cosine of each query with each row, all unit vectors: shape (queries, rows).

    A few queries stay on one thread: BLAS would split them, and threads that wait for each other on a busy machine
    cost twenty times what they bring (10,000 rows: 10 ms instead of 0.5).
    """
    if len(queries) > FEW:
        return np.asarray(queries @ rows.T)
    return np.stack([np.einsum("ij,j->i", rows, query) for query in queries])


def highest(scores: Matrix, k: int) -> NDArray[np.intp]:
    """The rows of the k highest scores, best first; equal scores in the order of rows."""
    k = min(k, len(scores))
    if not k:
        return np.zeros(0, dtype=np.intp)
    least = np.partition(scores, len(scores) - k)[len(scores) - k]
    rows = np.flatnonzero(scores >= least)
    return rows[np.argsort(-scores[rows], kind="stable")][:k]


def _seconds(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()
