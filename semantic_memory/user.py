"""One user's part of a memory. Each verb is a short sequence of the rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from semantic_memory import running
from semantic_memory.chains import Chain
from semantic_memory.errors import InvalidInput
from semantic_memory.facts import (
    Asked,
    CandidateFact,
    Certificate,
    Explanation,
    Fact,
    FactFilter,
    Learned,
    Lineage,
    Message,
    Placed,
    Recall,
    Receipt,
    Source,
)
from semantic_memory.identity import check_text
from semantic_memory.questions import check_filter, check_page
from semantic_memory.reasons import Reason
from semantic_memory.settings import Settings
from semantic_memory.statements import check_labels, check_many, check_moment, check_reason, check_source
from semantic_memory.transcript import WHOLE, Part
from semantic_memory.verbs import UserVerbs, statement

if TYPE_CHECKING:
    from semantic_memory.learning import Learner
    from semantic_memory.memory import SemanticMemory
    from semantic_memory.restoring import OnProgress


BATCH = 256  # statements in a transaction: each is compared with every other of its batch


class UserMemory(UserVerbs):
    """One user's facts."""

    def __init__(self, memory: SemanticMemory, user_id: str) -> None:
        super().__init__(memory, user_id)
        self._rooms = memory._rooms

    # ---- facts -------------------------------------------------------------------------------------

    async def remember_all(
        self, statements: Sequence[str | CandidateFact], *, source: Source | None = None
    ) -> list[Fact]:
        """Keep many statements; the facts that now say them, in their order.

        All are checked before any is written; they are written in transactions of 256. Raises
        `InvalidInput`, `SecretRefused`.
        """
        candidates = [statement(one) for one in check_many("statements", statements)]
        filing, source = self._rooms.filing, source or Source(origin="operator")
        candidates, source = filing.fit_to_store(candidates, source)
        batches = [candidates[start : start + BATCH] for start in range(0, len(candidates), BATCH)]
        room, kept, ahead = self._rooms.workroom, [], None
        try:
            for batch, after in zip_longest(batches, batches[1:]):
                embedded = await (ahead or room.call(filing.embed(batch)))
                # The model works on the next ones while these are compared and written.
                ahead = asyncio.ensure_future(room.call(filing.embed(after))) if after else None
                work = filing.remember(self.user_id, batch, source, embedded=embedded, more=after is not None)
                kept += await room.finish(work)
        finally:
            if ahead is not None:
                ahead.cancel()
        return kept

    async def remember_quoted(self, text: str, quote: str, said: Message | None, source: Source) -> Fact:
        """Keep what an agent says the user said: in the user's name where `said`, a message of theirs, holds
        the quote; in quarantine, in the agent's name, where it is None."""
        said = said and self._keyed(said)
        message = said or Message(position=0, role="assistant", text=text, digest="")
        candidate = CandidateFact(text=check_text(text), position=message.position, quote=quote if said else text)
        source = self._in_its_session(source)
        work = self._rooms.filing.remember(self.user_id, [candidate], source, messages=[message])
        return (await self._rooms.workroom.finish(work))[0]

    async def correct_quoted(self, fact_id: str, text: str, quote: str, said: Message, source: Source) -> Fact:
        """Replace a fact by what an agent says the user said: its evidence is `said`, a message of theirs."""
        old, message = await self.fact(fact_id), self._keyed(said)
        newer = CandidateFact(
            text=check_text(text), position=message.position, quote=quote, kind=old.kind, subject=old.subject
        )
        source = self._in_its_session(source)
        work = self._rooms.filing.correct(self.user_id, fact_id, newer, source, message=message)
        return await self._rooms.workroom.finish(work)

    async def ask(self, asked: Asked) -> Recall:
        """A recall with everything about it said; see `recall`."""
        return await self._rooms.workroom.call(self._ask(asked))

    async def facts(
        self,
        wanted: FactFilter | None = None,
        *,
        as_of: datetime | None = None,
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Fact]:
        """Facts that fit a filter (by default the active ones), the last said first.

        With `as_of` those that were believed at that moment, whatever their status is now.
        """
        wanted = check_filter(wanted)
        check_page(limit, offset)
        check_moment("as_of", as_of)
        work = self._rooms.explainer.facts(self._key, wanted, as_of=as_of, limit=limit, offset=offset)
        return await self._rooms.workroom.call(work)

    async def fact(self, fact_id: str) -> Fact:
        """One fact, whatever its status. Raises `NotFound`, also for another user's."""
        return await self._rooms.workroom.call(self._rooms.explainer.fact(self._key, fact_id))

    async def correct(self, fact_id: str, text: str, *, reason: str | None = None) -> Fact:
        """Replace a fact by a newer statement; the old one stays, superseded and linked."""
        source = Source(origin="operator", reason=reason)
        return await self._rooms.workroom.finish(
            self._rooms.filing.correct(self.user_id, fact_id, statement(text), source)
        )

    async def forget(self, fact_id: str, *, reason: str | None = None) -> None:
        """Blank a fact for good: its text, its quotes and its vectors."""
        check_reason(reason)
        await self._rooms.workroom.finish(self._rooms.eraser.forget(self.user_id, fact_id, reason=reason))

    async def _erase(self) -> Certificate:
        """Remove everything about this user; see `erase`."""
        return await self._rooms.workroom.finish(self._rooms.eraser.erase(self.user_id))

    async def explain(self, fact_id: str) -> Explanation:
        """Why a fact is believed, what became of it, and every recall that showed it."""
        return await self._rooms.workroom.call(self._rooms.explainer.explain(self._key, fact_id))

    async def ask_why_not(self, fact_id: str, asked: Asked) -> Reason:
        """What a recall with everything about it said makes of one fact; see `why_not`."""
        fact = await self.fact(fact_id)
        return await self._rooms.workroom.call(self._rooms.recaller.why_not(self._key, fact, asked))

    async def map(self) -> list[Placed]:
        """The active facts on a plane; those without a vector are left out."""
        return await self._rooms.workroom.call(self._rooms.cartographer.map(self._key))

    async def receipts(
        self,
        *,
        fact_id: str | None = None,
        run_id: str | None = None,
        trace_id: str | None = None,
        session_id: str | None = None,
        limit: int = 100,
    ) -> list[Receipt]:
        """The newest recalls: all, those that showed a fact, those of a run, of an SDK trace, of a session."""
        check_page(limit)
        wanted = {"run_id": run_id, "trace_id": trace_id, "session_id": session_id, "fact_id": fact_id, "limit": limit}
        return await self._rooms.workroom.call(self._rooms.explainer.receipts(self._key, wanted))

    async def receipt(self, receipt_id: str) -> Receipt:
        """One recall. Raises `NotFound`."""
        return await self._rooms.workroom.call(self._rooms.explainer.receipt(self._key, receipt_id))

    async def lineages(self) -> list[Lineage]:
        """All facts, whatever their status, with their evidence and history: what an export is made of."""
        return await self._rooms.workroom.call(self._rooms.ledger.lineages(self._key))

    async def shown(self, *, receipt_id: str | None = None, run_id: str | None = None) -> list[Lineage]:
        """What the model was told in a recall, or in all recalls of a run, with the words that taught it.

        In the order of their rank; what has become of a fact since is in its status and history. Raises
        `NotFound` for a recall that isn't known.
        """
        if (receipt_id is None) == (run_id is None):
            raise InvalidInput("ask for what a recall showed, or for what a run was told")
        work = self._rooms.explainer.shown(self._key, receipt_id=receipt_id, run_id=run_id)
        return await self._rooms.workroom.call(work)

    async def timeline(self, about: str | None = None) -> list[Chain]:
        """How what is known came about: chains of facts of which each replaced the one before, oldest first.

        With `about` the history of a subject: chains in which a subject is, or a fact holds, these words.
        """
        return await self._rooms.workroom.call(self._rooms.explainer.timeline(self._key, about))

    async def restore(self, lineages: Sequence[Lineage], *, on_progress: OnProgress = lambda _: None) -> list[Fact]:
        """Take over exported facts as they are; the new ones. Facts whose ids are known stay untouched.

        All or nothing. Raises `InvalidInput`, `SecretRefused`.
        """
        lineages = check_many("lineages", lineages)
        work = self._rooms.restorer.restore(self.user_id, lineages, on_progress)
        return await self._rooms.workroom.finish(work)

    # ---- conversations -----------------------------------------------------------------------------

    async def learn_items(
        self,
        items: str | Sequence[Any],
        *,
        session_id: str | None,
        labels: Sequence[str] = (),
        part: Part = WHOLE,
        **known: str | None,
    ) -> Learned:
        """Learn what is new in items that come from elsewhere: a whole session, a part of it, or its new end.

        As `learn`, but what is missing was not taken back: see `take_back`. `known` may name the `agent`, the
        `run_id` and the `trace_id`.
        """
        items = items if isinstance(items, str) else check_many("items", items)
        return await running.learn_items(self, items, session_id, {"labels": check_labels(labels)} | known, part)

    async def take_back(
        self, items: Sequence[Any], *, session_id: str | None, start: int, part: Part = WHOLE
    ) -> Learned:
        """Retract what only the items from `start` on taught: a turn that was taken back elsewhere."""
        items = check_many("items", items)
        return await running.take_back(self, items, session_id, start=start, part=part)

    # ---- what `running` needs of a user ----------------------------------------------------------------

    @property
    def settings(self) -> Settings:
        """How the memory was opened."""
        return self._rooms.settings

    @property
    def learner(self) -> Learner:
        """The memory's learn pass."""
        return self._rooms.learner

    def new_id(self) -> str:
        """A new id for a run."""
        return self._rooms.new_id()

    def source(self, session_id: str | None, **known: Any) -> Source:
        """Evidence for what a session says; equal session ids in different namespaces are different."""
        source = Source(session_id=session_id, extractor=self._rooms.extractor.version, **known)
        return replace(check_source(source), session_key=self._session_key(session_id))

    def note_degraded(self, asked: Asked, reason: str, latency_ms: float) -> None:
        """Leave a receipt for a recall that gave no answer, behind everybody's back."""
        lost = Recall(
            facts=(),
            context="",
            receipt_id=self.new_id(),
            degraded=reason,
            answered_by="nothing",
            latency_ms=latency_ms,
        )

        async def work() -> None:
            self._rooms.receipts.add(self._key, Receipt.of(lost, asked, self._rooms.clock()))

        self._rooms.workroom.errand(work())

    # ---- the sequences of rooms, on the workroom's loop ----------------------------------------------

    def _session_key(self, session_id: str | None) -> str:
        return self._rooms.ledger.keyed("session", self.settings.namespace, session_id or "")

    def _in_its_session(self, source: Source) -> Source:
        """The source as the learn pass names it, so that what a message taught is taken back with it."""
        return replace(source, session_key=self._session_key(source.session_id)) if source.session_id else source

    def _keyed(self, message: Message) -> Message:
        return replace(message, digest=self._rooms.ledger.keyed(message.digest))

    @property
    def _key(self) -> str:
        return self._rooms.ledger.user_key(self.user_id)

    async def _ask(self, asked: Asked) -> Recall:
        rooms = self._rooms
        recall, epoch = await rooms.recaller.recall(self._key, asked, rooms.new_id())
        rooms.receipts.add(self._key, Receipt.of(recall, asked, rooms.clock()), epoch=epoch)
        return recall
