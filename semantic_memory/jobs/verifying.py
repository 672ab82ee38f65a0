"""What is looked at before a user is switched to a new generation."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Sequence

from semantic_memory.embedding import EmbeddingModel, Matrix
from semantic_memory.errors import VerificationFailed
from semantic_memory.facts import Neighbour, Receipt
from semantic_memory.jobs.values import Question
from semantic_memory.ledger.store import Clock, Ledger
from semantic_memory.retrieval.query import Query
from semantic_memory.retrieval.ranking import rank
from semantic_memory.retrieval.relevance import Calibration
from semantic_memory.retrieval.selection import select
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.settings import Settings
from semantic_memory.vectors import Held

NEAR = 10  # a fact must be among so many nearest to its own words
ENOUGH = 0.9  # of the sample; twins crowd each other out
ONE_IN = 50  # facts are in the sample
MOST_FACTS = 20
MOST_QUESTIONS = 5  # of the past, the newest, of each user

Nearest = Callable[[Matrix, int], Awaitable[Sequence[Neighbour]]]


class Verifier:
    """Asks a user's new generation what it should know."""

    def __init__(self, ledger: Ledger, embedding: EmbeddingModel, settings: Settings, *, clock: Clock) -> None:
        self._ledger = ledger
        self._embedding = embedding
        self._settings = settings
        self._clock = clock

    async def find_themselves(self, shelf: Shelf, asked: Nearest | None) -> float:
        """The share of a sample of facts that their own words find: on the shelf and, where it can be asked, in the
        new index too; the lower of both. Raises `VerificationFailed` where it is low.
        """
        words = await self._words(shelf)
        share = _share([_is_in(shelf.nearest(vector, NEAR), fact_id) for fact_id, vector in words])
        if share < ENOUGH:
            raise VerificationFailed(f"only {share:.0%} of a sample of facts are found by their own words")
        if asked is None:
            return share
        indexed = _share([_is_in(await asked(vector, NEAR), fact_id) for fact_id, vector in words])
        if indexed < ENOUGH:
            raise VerificationFailed(f"only {indexed:.0%} of a sample of facts are found in the new index")
        return min(share, indexed)

    async def _words(self, shelf: Shelf) -> list[tuple[str, Matrix]]:
        """A sample of facts, as the new model understands questions in their words."""
        sample = shelf.ids[:: math.ceil(len(shelf) / min(MOST_FACTS, 1 + len(shelf) // ONE_IN))] if len(shelf) else ()
        vectors = await asyncio.gather(*(self._embedding.embed_query(shelf.get(one).text) for one in sample))
        return list(zip(sample, vectors, strict=True))

    async def questions(self, held: Held) -> tuple[Question, ...]:
        """The user's newest questions, asked again of the facts that they could have been answered from."""
        receipts = await self._ledger.find_receipts(held.state.user_key, limit=MOST_QUESTIONS * 2)
        meant = [one for one in receipts if one.degraded is None and one.answered_by != "nothing"][:MOST_QUESTIONS]
        return tuple([await self._asked_again(held.shelf, receipt) for receipt in meant])

    async def _asked_again(self, shelf: Shelf, receipt: Receipt) -> Question:
        vector = await self._embedding.embed_query(receipt.query)
        calibration = Calibration.load(self._embedding.name)
        query = Query(text=receipt.query, vector=vector, earlier=())
        scored = rank(shelf, query, dense=None, calibration=calibration, now=self._clock())
        least = self._settings.min_relevance
        chosen = select(
            [one for one in scored if shelf.get(one.fact_id).recorded_at <= receipt.at],
            shelf,
            min_relevance=calibration.min_relevance if least is None else least,
            limit=self._settings.limit,
            max_tokens=self._settings.max_tokens,
            tokens=self._embedding.count_tokens,
        )
        then = [fact_id for fact_id, _ in receipt.shown if fact_id in shelf]
        return compare(receipt.id, then, [one.fact.id for one in chosen.shown])


def _is_in(found: Sequence[Neighbour], fact_id: str) -> bool:
    return fact_id in {one.fact_id for one in found}


def _share(found: Sequence[bool]) -> float:
    return sum(found) / len(found) if found else 1.0


def compare(receipt_id: str, then: Sequence[str], now: Sequence[str]) -> Question:
    """Two ranked lists of fact ids, best first."""
    both = [fact_id for fact_id in then if fact_id in now]
    longer = max(len(then), len(now))
    return Question(
        receipt_id=receipt_id,
        overlap=len(both) / longer if longer else 1.0,
        correlation=kendall([now.index(fact_id) for fact_id in both]),
        gained=tuple(fact_id for fact_id in now if fact_id not in both),
        lost=tuple(fact_id for fact_id in then if fact_id not in both),
    )


def kendall(ranks: Sequence[int]) -> float | None:
    """Kendall's tau of distinct ranks against their order, -1 to 1; None for fewer than two."""
    pairs = [(a, b) for position, a in enumerate(ranks) for b in ranks[position + 1 :]]
    return sum(1 if a < b else -1 for a, b in pairs) / len(pairs) if pairs else None
