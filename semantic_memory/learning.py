"""The learn pass: what is new in a transcript is claimed, extracted, reconciled and written, once."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import logging
import threading
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from semantic_memory import secrets
from semantic_memory.drafting import holds
from semantic_memory.embedding import EmbeddingModel
from semantic_memory.errors import Conflict, EmbeddingFailed, ExtractionFailed, InvalidInput
from semantic_memory.extraction import Extractor
from semantic_memory.facts import CandidateFact, Fact, Learned, Message, Source
from semantic_memory.filing import Filing
from semantic_memory.ledger.rows import Claim
from semantic_memory.ledger.store import Clock, Ledger
from semantic_memory.ledger.writing import Writer
from semantic_memory.patience import in_time
from semantic_memory.reconcile import walled_off
from semantic_memory.retrieval.shelf import cosines
from semantic_memory.secrets import Redactor
from semantic_memory.settings import Settings
from semantic_memory.transcript import WHOLE, Part, clean, messages, popped
from semantic_memory.vectors import Shelves
from semantic_memory.workroom import Workroom

log = logging.getLogger("semantic_memory")

Known = Sequence[tuple[str, int]]  # keyed digest and occurrence of messages that were learned

KNOWN_FACTS = 20  # related facts that an extractor is shown
CONTEXT_MESSAGES = 6  # earlier messages that an extractor is shown
BATCH = 20  # messages that are extracted and written together
RACES = 5  # lost to other processes before giving up; what they learned is learned
ASK_AGAIN = 0.01  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """One learn pass over one session, as planned in the ledger."""

    user_id: str
    user_key: str
    epoch: int
    source: Source
    transcript: tuple[Message, ...]  # digests keyed
    batches: tuple[tuple[Message, ...], ...]  # new messages; each is one transaction


class Learner:
    """Learns sessions for one memory. `plan` and `write` run in the workroom, `extract` where the run did."""

    def __init__(
        self,
        ledger: Ledger,
        shelves: Shelves,
        filing: Filing,
        embedding: EmbeddingModel,
        extractor: Extractor,
        workroom: Workroom,
        settings: Settings,
        *,
        clock: Clock,
        redactor: Redactor = secrets.as_it_is,
    ) -> None:
        self._ledger = ledger
        self._shelves = shelves
        self._filing = filing
        self._embedding = embedding
        self._extractor = extractor
        self._workroom = workroom
        self._settings = settings
        self._clock = clock
        self._redactor = redactor
        self._going_on: WeakValueDictionary[tuple[str, str], threading.Lock] = WeakValueDictionary()

    def using(self, extractor: Extractor) -> Learner:
        """The same, with another extractor."""
        other = copy.copy(self)
        other._extractor = extractor
        return other

    async def known(self, user_id: str, source: Source) -> Known:
        """What was learned from a session so far, in its order.

        To be asked before the session is read: what was learned by then and isn't in it any more was
        taken out of it; what somebody adds and learns meanwhile was not.
        """
        ledger = self._ledger
        return await self._workroom.call(ledger.learned(ledger.user_key(user_id), source.session_key or ""))

    async def learn(
        self, user_id: str, transcript: Sequence[Message], source: Source, *, gone: Sequence[Claim] = ()
    ) -> Learned:
        """Take back what the messages that are `gone` taught, and learn what is new in a transcript.

        To be awaited on the caller's loop: extractors may use clients that belong to it. A failing
        extractor is no error: what it failed on stays unlearned and is told.
        """
        async with self._alone(user_id, source):
            total = await self._take_back(user_id, source, gone, reason="its message was taken back")
            for _ in range(RACES):
                plan = await self._workroom.call(self.plan(user_id, transcript, source))
                try:
                    for batch in plan.batches:
                        total += await self._learn_batch(plan, batch)
                    return total
                except Conflict:
                    log.info("another process was first; looking again at what is new")
        return replace(total, failed="other processes were always first; the next pass looks again")

    @contextlib.asynccontextmanager
    async def _alone(self, user_id: str, source: Source) -> AsyncIterator[None]:
        """One pass at a time over a session, so that no message is extracted twice; other processes are met in
        the ledger. The lock is asked, not waited for: passes run on different event loops."""
        lock = self._going_on.setdefault((user_id, source.session_key or ""), threading.Lock())
        while not lock.acquire(blocking=False):  # noqa: ASYNC110
            await asyncio.sleep(ASK_AGAIN)
        try:
            yield
        finally:
            lock.release()

    async def review(
        self, user_id: str, transcript: Sequence[Message], source: Source
    ) -> list[tuple[list[Message], Sequence[CandidateFact]]]:
        """What the extractor finds today in messages that were learned already: batch by batch, nothing is written.

        Raises `ExtractionFailed`.
        """
        known = set(await self.known(user_id, source))
        plan = await self._workroom.call(self.plan(user_id, transcript, source))
        old = [message for message in plan.transcript if _key(message) in known]
        said = [self._redacted(message) for message in old]
        batches = [said[start : start + BATCH] for start in range(0, len(said), BATCH)]
        return [(self._learnable(batch), await self._extract(plan, batch)) for batch in batches]

    async def take_back(self, user_id: str, source: Source, gone: Sequence[Claim], *, reason: str) -> Learned:
        """Retract what only the messages that are `gone` taught; see `Filing.retract`."""
        async with self._alone(user_id, source):
            return await self._take_back(user_id, source, gone, reason=reason)

    async def _take_back(self, user_id: str, source: Source, gone: Sequence[Claim], *, reason: str) -> Learned:
        if not gone:
            return Learned(messages=0)
        work = self._filing.retract(user_id, source, gone, reason=reason)
        return Learned(messages=0, retracted=await self._workroom.finish(work))

    async def plan(self, user_id: str, transcript: Sequence[Message], source: Source) -> Pass:
        """Which messages are new, in which batches they are learned."""
        ledger = self._ledger
        user_key, session_key = ledger.user_key(user_id), source.session_key or ""
        state = await ledger.user(user_key)
        keyed = self._keyed(transcript)
        known = set(await ledger.learned(user_key, session_key))
        failures = await ledger.failed_messages(user_key, session_key=session_key)
        failed = {(failure.digest, failure.occurrence): failure for failure in failures}
        new = [message for message in keyed if _key(message) not in known]
        fresh = [message for message in new if _key(message) not in failed]
        again = [message for message in new if _key(message) in failed and not failed[_key(message)].dead]
        # What failed before is tried alone, so that one message can't keep the others unlearned.
        batches = [tuple(fresh[start : start + BATCH]) for start in range(0, len(fresh), BATCH)]
        return Pass(
            user_id=user_id,
            user_key=user_key,
            epoch=state.epoch if state else 0,
            source=source,
            transcript=keyed,
            batches=(*batches, *((message,) for message in again)),
        )

    async def _learn_batch(self, plan: Pass, batch: Sequence[Message]) -> Learned:
        room = self._workroom
        try:
            said = [self._redacted(message) for message in batch]
            candidates = await self._extract(plan, said)
        except ExtractionFailed as error:
            log.warning("messages stay unlearned: %s", error)
            await room.finish(self._note_failure(plan, batch, clean(secrets.mask(str(error)))))
            return Learned(messages=0, failed=str(error))
        return await room.finish(self._write(plan, said, candidates))

    def _redacted(self, message: Message) -> Message:
        """The message as it may be extracted and stored; its digest stays."""
        try:
            return replace(message, text=secrets.redacted(self._redactor, message.text))
        except InvalidInput as error:
            raise ExtractionFailed(str(error)) from None

    async def _extract(self, plan: Pass, batch: Sequence[Message]) -> Sequence[CandidateFact]:
        """What a batch says. Raises `ExtractionFailed` for whatever else an extractor does."""
        extractor = self._extractor
        learnable = self._learnable(batch)
        if not learnable:
            return ()
        earlier = [m for m in plan.transcript if m.position < learnable[0].position][-CONTEXT_MESSAGES:]
        context = await _blotted([self._redacted(message) for message in earlier])
        batch = await _blotted(batch)
        known = await self._workroom.call(self._related(plan, self._learnable(batch)))
        try:
            work = extractor.extract(batch, known=known, context=context)
            found: object = await in_time(work, self._settings.learn_timeout)
        except ExtractionFailed:
            raise
        except TimeoutError as error:
            raise ExtractionFailed(f"{extractor.version} took too long") from error
        except Exception as error:
            raise ExtractionFailed(f"{extractor.version} failed: {type(error).__name__}: {error}") from error
        if not isinstance(found, list | tuple) or not all(isinstance(one, CandidateFact) for one in found):
            raise ExtractionFailed(f"{extractor.version} returned something else than candidate facts")
        return found

    def _learnable(self, batch: Sequence[Message]) -> list[Message]:
        return [message for message in batch if message.role in self._settings.learn_from]

    async def _related(self, plan: Pass, learnable: Sequence[Message]) -> list[Fact]:
        """The facts nearest to what was said, of those that hold and that a recall with these labels sees."""
        await self._filing.expire(plan.user_key)
        state = await self._ledger.user(plan.user_key)
        if state is None:
            return []
        try:
            fingerprint = await self._embedding.load()
            vectors = await self._embedding.embed_documents([message.text for message in learnable])
        except EmbeddingFailed as error:
            log.warning("learning without a look at what is known: %s", error)
            return []
        shelf = (await self._shelves.get(state, fingerprint)).shelf
        if not len(shelf):
            return []
        likeness = cosines(vectors, shelf.vectors).max(axis=0)
        ranked = (shelf.at(int(row)) for row in np.argsort(-likeness, kind="stable"))
        seen = (
            fact for fact in ranked if holds(fact, self._clock()) and not walled_off(plan.source.labels, fact.labels)
        )
        return list(islice(seen, KNOWN_FACTS))

    async def _write(self, plan: Pass, batch: Sequence[Message], candidates: Sequence[CandidateFact]) -> Learned:
        return await self._filing.file(
            plan.user_id,
            candidates,
            messages=self._learnable(batch),
            source=plan.source,
            claims=[claim_of(message) for message in batch],
            epoch=plan.epoch,
        )

    async def _note_failure(self, plan: Pass, batch: Sequence[Message], error: str) -> None:
        source, claims = plan.source, [claim_of(message) for message in batch]

        def work(writer: Writer) -> None:
            writer.note_failure(
                source.session_key or "",
                source.session_id or "",
                claims,
                error,
                most=self._settings.learn_tries,
            )

        await self._ledger.write(plan.user_key, plan.user_id, work, epoch=plan.epoch)

    def popped_claims(self, known: Known, transcript: Sequence[Message], items: Sequence[Any]) -> list[Claim]:
        """The messages that were popped from a session, in the one case in which that is certain."""
        gone = popped([digest for digest, _ in known], self._keyed(transcript), items)
        popped_ones = known[len(known) - len(gone) :]
        return [Claim(digest=digest, occurrence=n, position=0) for digest, n in popped_ones]

    def turn_claims(self, items: Sequence[Any], turn: Sequence[Any], part: Part = WHOLE) -> list[Claim]:
        """The messages of the last `turn` of `items`, as the ledger names them."""
        start = part.position + len(items) - len(turn)
        return [claim_of(message) for message in self._keyed(messages(items, part)) if message.position >= start]

    def _keyed(self, transcript: Sequence[Message]) -> tuple[Message, ...]:
        return tuple(replace(message, digest=self._ledger.keyed(message.digest)) for message in transcript)


async def _blotted(said: Sequence[Message]) -> list[Message]:
    """Messages as a model may read them; places of quotes in them stay. In a thread: the caller's loop goes on."""
    return await asyncio.to_thread(lambda: [replace(one, text=secrets.blotted(one.text)) for one in said])


def claim_of(message: Message) -> Claim:
    """A message as the ledger names it."""
    return Claim(digest=message.digest, occurrence=message.occurrence, position=message.position)


def _key(message: Message) -> tuple[str, int]:
    return message.digest, message.occurrence
