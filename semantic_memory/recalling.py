"""A query to ranked facts, a context block and a receipt."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

import numpy as np

from semantic_memory import context, secrets
from semantic_memory.embedding import EmbeddingModel, Fingerprint, Matrix
from semantic_memory.errors import EmbeddingFailed, InvalidInput
from semantic_memory.facts import AnsweredBy, Asked, Fact, NearMiss, Neighbour, Recall, RecalledFact
from semantic_memory.following import Follower
from semantic_memory.ledger.rows import UserState
from semantic_memory.ledger.store import Clock, Ledger
from semantic_memory.patience import in_time
from semantic_memory.reasons import Reason
from semantic_memory.reconcile import walled_off
from semantic_memory.retrieval.query import Question, standalone
from semantic_memory.retrieval.ranking import OFFERED, Scored, Weighed, Worded, depth_for, reach_for
from semantic_memory.retrieval.relevance import Calibration
from semantic_memory.retrieval.rerank import RERANKED, Reranker, reordered
from semantic_memory.retrieval.selection import select
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.secrets import Redactor
from semantic_memory.vectors import NO_MODEL, Held, Shelves

if TYPE_CHECKING:
    from semantic_memory.index import Index

log = logging.getLogger("semantic_memory")

FEW = 4  # facts: among fewer, a cosine relative to the others' says nothing
INDEX_PATIENCE = 0.05  # seconds; the ledger's vectors answer a large user in less
HANDOVER = 3  # turns of the loop until the model has the question; all else goes on beside it
EMBEDDING_SHARE = 0.66  # of a deadline that may go into embedding; the rest is for answering by words


@dataclass(slots=True)
class Answer:
    """An answer in the making."""

    receipt_id: str
    began: float
    degraded: list[str] = field(default_factory=list)
    answered_by: AnsweredBy = "ledger"
    shown: tuple[RecalledFact, ...] = ()
    near: tuple[NearMiss, ...] = ()
    answerable: float | None = None

    def recall(self) -> Recall:
        """The finished answer."""
        return Recall(
            facts=self.shown,
            context=context.render(self.shown),
            receipt_id=self.receipt_id,
            near=self.near,
            answerable=self.answerable,
            answered_by=self.answered_by,
            degraded="; ".join(self.degraded) or None,
            latency_ms=(time.perf_counter() - self.began) * 1000,
        )


class Recaller:
    """Answers questions from one user's facts."""

    def __init__(
        self,
        ledger: Ledger,
        shelves: Shelves,
        follower: Follower,
        index: Index,
        embedding: EmbeddingModel,
        *,
        clock: Clock,
        calibration: Calibration | None = None,
        reranker: Reranker | None = None,
        redactor: Redactor = secrets.as_it_is,
    ) -> None:
        self._ledger = ledger
        self._index = index
        self._shelves = shelves
        self._follower = follower
        self._embedding = embedding
        self._clock = clock
        self._calibration = calibration
        self._reranker = reranker
        self._redactor = redactor

    async def recall(self, user_key: str, asked: Asked, receipt_id: str) -> tuple[Recall, int]:
        """The facts that help with a question, and the user's epoch that they are of.

        Raises `LedgerFailed`; everything else only degrades it.
        """
        answer = Answer(receipt_id, time.perf_counter())
        embedding = asyncio.ensure_future(self._embed(asked, answer))
        try:
            for _ in range(HANDOVER):
                await asyncio.sleep(0)
            state = await self._ledger.user(user_key)
            if state is None or state.revision == 0:
                answer.answered_by = "nothing"
                return answer.recall(), state.epoch if state else 0
            worded = await self._worded(asked, state)
            embedded = await embedding
        finally:
            embedding.cancel()
        held, vector = await self._shelf(asked, state, embedded, answer)
        shelf = await self._shelves.seen(held, () if asked.as_of else asked.labels)
        if len(shelf):
            if worded is None or worded.shelf is not shelf:
                worded = self._words(shelf, asked)
            await self._choose(held, worded, asked, vector, answer)
        if embedded is not None and self._follower.current(held) is None:
            self._follower.notice(user_key, embedded[0])  # last of all: it takes the processor
        return answer.recall(), state.epoch

    async def why_not(self, user_key: str, fact: Fact, asked: Asked) -> Reason:
        """What a recall makes of one of the user's facts. Raises as `recall`."""
        if asked.as_of is None and fact.status != "active":
            return Reason(fact_id=fact.id, verdict="status")
        recall, _ = await self.recall(user_key, replace(asked, every=True), receipt_id="")
        reason = recall.why_not(fact.id)
        if reason.verdict != "candidate":
            return reason
        if asked.as_of is not None and not await self._was_active(user_key, fact.id, asked.as_of):
            return replace(reason, verdict="status")
        return replace(reason, verdict="label") if walled_off(asked.labels, fact.labels) else reason

    async def _was_active(self, user_key: str, fact_id: str, moment: datetime) -> bool:
        state = await self._ledger.user(user_key)
        then = await self._ledger.facts_as_of(state, moment) if state else []
        return fact_id in {fact.id for fact, _ in then}

    async def _worded(self, asked: Asked, state: UserState) -> Worded | None:
        """The question's words on the user's shelf, while it is embedded; None where it isn't clear for which model."""
        key = state.fingerprint
        if asked.as_of is not None or key is None or self._shelves.fingerprint(state.user_key) not in (None, key):
            return None
        held = await self._shelves.get(state, await self._ledger.fingerprint(key))
        shelf = await self._shelves.seen(held, asked.labels)
        return self._words(shelf, asked) if len(shelf) else None

    def _words(self, shelf: Shelf, asked: Asked) -> Worded:
        question = Question(text=asked.text, earlier=asked.earlier)
        return Worded.of(shelf, question, now=asked.as_of or self._clock())

    async def _embed(self, asked: Asked, answer: Answer) -> tuple[Fingerprint, Matrix] | None:
        """The model's fingerprint and the question's vector; None, with the reason noted, without a model."""

        async def work() -> tuple[Fingerprint, Matrix]:
            fingerprint = await self._embedding.load()
            return fingerprint, await self._embedding.embed_query(await self._readable(asked))

        try:
            return await in_time(work(), asked.within and asked.within * EMBEDDING_SHARE)
        except TimeoutError:
            answer.degraded.append("the embedding model is slow: answered by words alone")
        except (EmbeddingFailed, InvalidInput) as error:
            answer.degraded.append(f"answered by words alone: {error}")
        return None

    async def _readable(self, asked: Asked) -> str:
        """The question with what it leans on, as a model may read it."""
        return await secrets.fit_to_read(self._redactor, standalone(asked.text, asked.earlier))

    async def _shelf(
        self, asked: Asked, state: UserState, embedded: tuple[Fingerprint, Matrix] | None, answer: Answer
    ) -> tuple[Held, Matrix | None]:
        """The user's shelf for the model at hand, or for the active generation's when there is none."""
        if embedded is not None:
            fingerprint, vector = embedded
            held = await self._shelf_for(asked, state, fingerprint)
            if _waits(held, asked) and state.fingerprint not in (None, fingerprint.key):
                answer.degraded.append("facts embedded with another model answer by words alone: re-embed them")
            return held, vector
        known = await self._ledger.fingerprint(state.fingerprint) if state.fingerprint else NO_MODEL
        return await self._shelf_for(asked, state, known), None

    async def _shelf_for(self, asked: Asked, state: UserState, fingerprint: Fingerprint) -> Held:
        if asked.as_of is not None:
            return await self._shelves.as_of(state, fingerprint, asked.as_of, asked.labels)
        return await self._shelves.get(state, fingerprint)

    async def _choose(self, held: Held, worded: Worded, asked: Asked, vector: Matrix | None, answer: Answer) -> None:
        """Choose what is shown of the facts that are seen of a shelf."""
        weighed, scored = await self._ranked(held, worded, asked, vector, answer)
        shelf = worded.shelf
        scored = await self._reranked(shelf, asked, scored, answer)
        threshold, share = weighed.calibration.bar(asked.min_relevance, asked.min_share)
        chosen = select(
            scored,
            shelf,
            min_relevance=threshold,
            min_share=share,
            limit=asked.limit,
            depth=depth_for(asked.limit),
            max_tokens=asked.max_tokens,
            tokens=self._embedding.count_tokens,
        )
        answer.shown, answer.near, answer.answerable = chosen.shown, chosen.near, weighed.relevance.answerable

    async def _ranked(
        self, held: Held, worded: Worded, asked: Asked, vector: Matrix | None, answer: Answer
    ) -> tuple[Weighed, list[Scored]]:
        """The facts weighed and ranked while the index looks for candidates.

        Mostly it finds what the shelf's own vectors find, and nothing is left to do.
        """
        finding = self._finding(held, asked, vector)
        await asyncio.sleep(0)  # it begins
        own: Sequence[Neighbour] | None = [] if vector is None else None
        depth, reach = len(worded.shelf) if asked.every else depth_for(asked.limit), reach_for(asked.limit)
        weighed = self._weighed(worded, asked, vector)
        best = weighed.best(own, as_of=asked.as_of, depth=depth, reach=reach)
        scored = weighed.scored(best)
        found = await self._found(finding, answer)
        if vector is None:
            answer.answered_by = "lexical"
        stale = not weighed.worded.fresh  # somebody wrote meanwhile
        if stale:
            weighed = self._weighed(worded, asked, vector)
        if stale or found is not None:
            then = weighed.best(own if found is None else found, as_of=asked.as_of, depth=depth, reach=reach)
            scored = scored if not stale and np.array_equal(best, then) else weighed.scored(then)
        return weighed, scored

    def _finding(self, held: Held, asked: Asked, vector: Matrix | None) -> asyncio.Task[Sequence[Neighbour]] | None:
        """The index on its way to candidates; None where the ledger's own vectors are to answer."""
        place = self._follower.current(held)
        if place is None or vector is None or asked.as_of is not None or asked.labels:
            return None  # the index has all facts, whatever their labels: the nearest may all be behind a wall
        wanted = min(OFFERED * reach_for(asked.limit), len(held.shelf))
        return asyncio.ensure_future(self._index.nearest(place, vector, wanted))

    async def _reranked(self, shelf: Shelf, asked: Asked, scored: list[Scored], answer: Answer) -> list[Scored]:
        """The second opinion, where there is one and it comes in time."""
        if self._reranker is None or not scored:
            return scored
        texts = [shelf.get(one.fact_id).text for one in scored[:RERANKED]]
        try:
            query = await self._readable(asked)
            scores = await in_time(self._reranker.score(query, texts), self._reranker.within)
        except Exception as error:  # an opinion that never came changes nothing
            answer.degraded.append(f"not reranked: {type(error).__name__}")
        else:
            scored = reordered(scored, scores)
        return [one for one in scored if one.fact_id in shelf]  # it may have lost some meanwhile

    def _weighed(self, worded: Worded, asked: Asked, vector: Matrix | None) -> Weighed:
        """The facts weighed as they are now."""
        if not worded.fresh:
            worded = self._words(worded.shelf, asked)
        calibration, shelf = self._calibration or Calibration.load(self._embedding.name), worded.shelf
        if vector is None or (calibration.relative and len(shelf) < FEW):
            calibration = Calibration.words_alone()
            vector = np.zeros(shelf.vectors.shape[1], dtype=np.float32)
        return worded.weighed(vector, calibration)

    async def _found(
        self, finding: asyncio.Task[Sequence[Neighbour]] | None, answer: Answer
    ) -> Sequence[Neighbour] | None:
        """The index's candidates; None where the ledger's own vectors are to answer."""
        if finding is None:
            return None
        try:
            found = await in_time(finding, INDEX_PATIENCE)
        except Exception as error:  # whatever is wrong with the index, the ledger has the same vectors
            log.warning("the index did not answer, the ledger does: %s: %s", type(error).__name__, error)
            return None
        answer.answered_by = "index"
        return found


def _waits(held: Held, asked: Asked) -> bool:
    """Whether a fact that is seen here has no vector yet."""
    return any(not walled_off(asked.labels, fact.labels) for fact in held.unembedded.values())
