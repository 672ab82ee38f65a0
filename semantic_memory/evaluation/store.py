"""What a real memory tells about its recall: from its facts and its receipts, without asking it anything."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semantic_memory.embedding.protocol import EmbeddingModel
from semantic_memory.errors import NotFound
from semantic_memory.evaluation.trials import embed_queries, shelve
from semantic_memory.facts import Fact, Receipt
from semantic_memory.retrieval.ranking import rank
from semantic_memory.retrieval.relevance import Calibration
from semantic_memory.retrieval.selection import select
from semantic_memory.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    """How a fact was used, as far as receipts are kept."""

    fact: Fact
    times: int  # recalls that showed it
    last: datetime | None  # the last of them


@dataclass(frozen=True, slots=True, kw_only=True)
class Rethought:
    """What recalls would have shown under other thresholds, one element a threshold; nan without any recall."""

    thresholds: NDArray[np.float64]
    facts: NDArray[np.float64]  # shown in a recall, mean
    silent: NDArray[np.float64]  # share of recalls that show nothing
    facts_now: float  # the same as it was
    silent_now: float


KINDS = ("as before", "more or fewer facts", "another comes first", "newly silent", "no longer silent")


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a recall showed, and what it would show otherwise: fact ids, best first."""

    query: str
    before: tuple[str, ...]
    after: tuple[str, ...]

    @property
    def kind(self) -> str:
        """One of `KINDS`."""
        if self.before == self.after:
            return "as before"
        if not (self.before and self.after):
            return "no longer silent" if self.after else "newly silent"
        return "more or fewer facts" if self.before[0] == self.after[0] else "another comes first"


def folder_with_memory(folder: str | Path) -> Path:
    """The folder, if a memory is in it: opening another would begin a new one there. Raises `NotFound`."""
    if not (Path(folder) / "ledger.db").is_file():
        raise NotFound(f"there is no memory in {folder}: it holds no ledger.db")
    return Path(folder)


def uses(facts: Iterable[Fact], receipts: Iterable[Receipt]) -> list[Use]:
    """How often each fact was shown, the most shown first."""
    shown: dict[str, list[datetime]] = {}
    for receipt in receipts:
        for fact_id, _ in receipt.shown:
            shown.setdefault(fact_id, []).append(receipt.at)
    found = [Use(fact=one, times=len(times := shown.get(one.id, [])), last=max(times, default=None)) for one in facts]
    return sorted(found, key=lambda one: -one.times)


def rethought(
    receipts: Sequence[Receipt], thresholds: Sequence[float] | NDArray[np.float64], *, limit: int
) -> Rethought:
    """What other thresholds would have shown in these recalls, of what their receipts hold.

    A receipt holds what was shown and ten near misses. What stopped a near miss other than relevance stops it still.
    """
    relevances = [np.array([chance for _, chance in _candidates(receipt)]) for receipt in receipts]
    counts = np.array([[min(limit, int((one >= at).sum())) for one in relevances] for at in thresholds])
    now = np.array([[len(receipt.shown) for receipt in receipts]])
    return Rethought(
        thresholds=np.asarray(thresholds, dtype=np.float64),
        facts=_means(counts),
        silent=_means(counts == 0),
        facts_now=float(_means(now)[0]),
        silent_now=float(_means(now == 0)[0]),
    )


def with_threshold(receipts: Sequence[Receipt], min_relevance: float, *, limit: int) -> list[Change]:
    """What another threshold would have made of each recall, silent ones included, of what their receipts hold."""
    return [
        Change(
            query=receipt.query,
            before=tuple(fact_id for fact_id, _ in receipt.shown),
            after=_with(receipt, min_relevance, limit),
        )
        for receipt in receipts
    ]


async def with_model(
    receipts: Sequence[Receipt],
    facts: Sequence[Fact],
    now_and_other: tuple[EmbeddingModel, EmbeddingModel],
    *,
    settings: Settings,
    now: datetime,
) -> list[Change]:
    """What another embedding model would make of each recall, silent ones included.

    Both models are asked anew, of the facts that are active now: so nothing but the model differs.
    """
    queries = list(dict.fromkeys(receipt.query for receipt in receipts))
    before, after = [await asked_again(one, facts, queries, settings=settings, now=now) for one in now_and_other]
    return [
        Change(query=receipt.query, before=before[receipt.query], after=after[receipt.query]) for receipt in receipts
    ]


async def asked_again(
    embedding: EmbeddingModel, facts: Sequence[Fact], queries: Sequence[str], *, settings: Settings, now: datetime
) -> dict[str, tuple[str, ...]]:
    """For each query the ids of the facts that recall with this embedding model shows."""
    rows = await embedding.embed_documents([fact.text for fact in facts])
    shelf = shelve(facts, {fact.id: row for fact, row in zip(facts, rows, strict=True)})
    calibration = Calibration.read(settings.calibration) if settings.calibration else Calibration.load(embedding.name)
    threshold, share = calibration.bar(settings.min_relevance, settings.min_share)
    choose = partial(
        select,
        shelf=shelf,
        min_relevance=threshold,
        min_share=share,
        limit=settings.limit,
        max_tokens=settings.max_tokens,
        tokens=embedding.count_tokens,
    )
    return {
        query.text: tuple(one.fact.id for one in choose(rank(shelf, query, calibration=calibration, now=now)).shown)
        for query in await embed_queries(queries, embedding)
    }


def _candidates(receipt: Receipt) -> list[tuple[str, float]]:
    by_relevance = {"threshold", "gate", "share", "limit"}
    missed = [(one.fact_id, one.relevance) for one in receipt.near if one.stopped_by in by_relevance]
    return sorted((*receipt.shown, *missed), key=lambda pair: -pair[1])


def _with(receipt: Receipt, min_relevance: float, limit: int) -> tuple[str, ...]:
    return tuple(fact_id for fact_id, chance in _candidates(receipt) if chance >= min_relevance)[:limit]


def _means(rows: NDArray[np.generic]) -> NDArray[np.float64]:
    """The mean of each row; nan for empty ones, without numpy's warning."""
    return rows.mean(axis=1) if rows.shape[1] else np.full(len(rows), np.nan)
