"""Questions made ready to be ranked: each with its user's shelf and its vector."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from semantic_memory.embedding.protocol import EmbeddingModel, Matrix
from semantic_memory.evaluation.datasets import Case, Dataset
from semantic_memory.facts import Fact
from semantic_memory.retrieval.query import Query
from semantic_memory.retrieval.shelf import Shelf

NOWHERE: Matrix = np.zeros(1, dtype=np.float32)
BATCH = 64  # texts per call of the embedding model


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One question to one shelf."""

    shelf: Shelf
    query: Query
    evidence: tuple[frozenset[str], ...]  # as in `Question`; (): nothing on the shelf helps
    now: datetime
    group: str
    source: str  # where it comes from: the data set, or how it was made
    asker: str | None = None  # the group whose question it is, where it is asked of another user

    @property
    def right(self) -> frozenset[str]:
        """All facts that help."""
        return frozenset().union(*self.evidence)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A case with its vectors and its shelf."""

    case: Case
    vectors: dict[str, Matrix]  # by fact id
    shelf: Shelf
    trials: tuple[Trial, ...]


async def embed(dataset: Dataset, embedding: EmbeddingModel) -> list[Embedded]:
    """Every case of a data set on a shelf, with a trial for each question."""
    return [await _embed(case, dataset.name, embedding) for case in dataset.cases]


async def embed_queries(texts: Sequence[str], embedding: EmbeddingModel) -> list[Query]:
    """Queries from texts."""
    return [Query(text=text, vector=await embedding.embed_query(text)) for text in texts]


def shelve(facts: Iterable[Fact], vectors: dict[str, Matrix]) -> Shelf:
    """A shelf of these facts."""
    shelf = Shelf()
    for fact in facts:
        shelf.put(fact, vectors[fact.id])
    return shelf


def without_vector(query: Query) -> Query:
    """The same query without an embedding model."""
    return Query(text=query.text, vector=NOWHERE, earlier=query.earlier)


def without_vectors(embedded: Embedded) -> Embedded:
    """The same case without an embedding model."""
    vectors = dict.fromkeys(embedded.vectors, NOWHERE)
    shelf = shelve(embedded.case.facts, vectors)
    trials = [dataclasses.replace(trial, shelf=shelf, query=without_vector(trial.query)) for trial in embedded.trials]
    return Embedded(embedded.case, vectors, shelf, tuple(trials))


async def _embed(case: Case, source: str, embedding: EmbeddingModel) -> Embedded:
    vectors: dict[str, Matrix] = {}
    for start in range(0, len(case.facts), BATCH):
        batch = case.facts[start : start + BATCH]
        rows = await embedding.embed_documents([fact.text for fact in batch])
        vectors |= {fact.id: row for fact, row in zip(batch, rows, strict=True)}
    shelf = shelve(case.facts, vectors)
    queries = await embed_queries([question.text for question in case.questions], embedding)
    trials = tuple(
        Trial(
            shelf=shelf,
            query=query,
            evidence=question.evidence,
            now=question.asked_at,
            group=question.group,
            source=source,
        )
        for question, query in zip(case.questions, queries, strict=True)
    )
    return Embedded(case, vectors, shelf, trials)
