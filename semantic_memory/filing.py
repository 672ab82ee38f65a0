"""Statements to facts: checked, embedded, reconciled with what is known, and written in one transaction."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from weakref import WeakValueDictionary

from semantic_memory import secrets
from semantic_memory.drafting import Draft, Drafter, Known, as_message, beside, nearest
from semantic_memory.embedding import EmbeddingModel, Fingerprint, Matrix
from semantic_memory.errors import Conflict, EmbeddingFailed, InvalidInput, NotFound
from semantic_memory.facts import CandidateFact, Fact, FactFilter, Learned, Message, Origin, Source
from semantic_memory.identity import NewId
from semantic_memory.ledger.rows import Claim, Moved, UserState
from semantic_memory.ledger.store import Clock, Ledger
from semantic_memory.ledger.writing import Writer
from semantic_memory.reconcile import Thresholds
from semantic_memory.retrieval.shelf import Shelf
from semantic_memory.secrets import Redactor
from semantic_memory.statements import check_source, check_statement
from semantic_memory.succession import supersede, supersede_twins, take_back
from semantic_memory.vectors import NO_MODEL, Shelves

if TYPE_CHECKING:
    from semantic_memory.following import Follower

log = logging.getLogger("semantic_memory")


D = TypeVar("D", CandidateFact, Message, Source)
# The model's fingerprint, and a row for each statement.
Embedded: TypeAlias = "tuple[Fingerprint | None, Matrix | None]"


class Filing:
    """Writes facts for one memory."""

    def __init__(
        self,
        ledger: Ledger,
        shelves: Shelves,
        follower: Follower,
        embedding: EmbeddingModel,
        *,
        clock: Clock,
        new_id: NewId,
        trusted: Sequence[Origin] = (),
        expiry: Mapping[str, timedelta] | None = None,
        redactor: Redactor = secrets.as_it_is,
    ) -> None:
        self._ledger = ledger
        self._shelves = shelves
        self._follower = follower
        self._embedding = embedding
        self._clock = clock
        self._new_id = new_id
        self._redactor = redactor
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        thresholds = Thresholds.of_model(embedding.name)
        self._drafter = Drafter(clock=clock, new_id=new_id, trusted=trusted, expiry=expiry or {}, thresholds=thresholds)

    def check(self, candidates: Sequence[CandidateFact], source: Source) -> Source:
        """The source as it can be kept. Raises `InvalidInput` or `SecretRefused` for a statement that can't be."""
        source = check_source(source)
        for label in source.labels:
            secrets.refuse(label)
        for candidate in candidates:
            secrets.refuse(check_statement(candidate).text)
        return source

    async def remember(
        self,
        user_id: str,
        candidates: Sequence[CandidateFact],
        source: Source,
        *,
        messages: Sequence[Message] | None = None,
        embedded: Embedded | None = None,
        more: bool = False,
    ) -> list[Fact]:
        """File statements that the program, or the user through a tool, makes directly.

        The facts that now say them, in their order. `embedded` is what `embed` made of them, where they were fitted
        and embedded ahead. Without `messages` each statement is its own evidence. With `more` to come at once the
        index waits: to follow all of them together costs less. Raises `InvalidInput` for a text that can't be kept,
        before anything is written.
        """
        if embedded is None:
            candidates, source = self.fit_to_store(candidates, source)
        messages = messages and [self._redacted(message, "text") for message in messages]
        if messages is None:
            messages = [as_message(candidate, position) for position, candidate in enumerate(candidates)]
            candidates = [replace(candidate, position=i) for i, candidate in enumerate(candidates)]
        _, facts = await self._file(user_id, candidates, messages, source, strict=True, embedded=embedded, more=more)
        return facts

    async def file(
        self,
        user_id: str,
        candidates: Sequence[CandidateFact],
        *,
        messages: Sequence[Message],
        source: Source,
        claims: Sequence[Claim],
        epoch: int | None,
    ) -> Learned:
        """File what an extractor found in `messages`, and claim these, in one transaction.

        Raises `Conflict` when another worker has claimed any of them, `Erased` when the user was erased
        since `epoch` was read.
        """
        kept, unfit = _sorted_out(candidates)
        draft, _ = await self._file(user_id, kept, messages, source, claims=claims, epoch=epoch)
        return Learned(
            messages=len(claims),
            written=tuple(draft.facts),
            reaffirmed=tuple(filed.evidence.fact_id for filed, _ in draft.reaffirmed),
            superseded=tuple(fact.supersedes for fact in draft.facts if fact.supersedes),
            rejected=(*unfit, *draft.rejected),
        )

    async def correct(
        self,
        user_id: str,
        fact_id: str,
        candidate: CandidateFact,
        source: Source,
        *,
        message: Message | None = None,
    ) -> Fact:
        """Replace a fact by a newer statement, its own evidence or quoting a `message`.

        Raises `NotFound`, `Conflict` when the fact is not active, `InvalidInput`.
        """
        [candidate], source = self.fit_to_store([candidate], source)
        message = message and self._redacted(message, "text")
        fingerprint, vectors = await self.embed([candidate])
        state, old = await self._one(user_id, fact_id)
        if old.status != "active":
            raise Conflict(f"fact {fact_id} is {old.status}, not active")
        vector = None if vectors is None else vectors[0]
        draft = self._drafter.correction(old, candidate, source, vector, message)
        if draft.rejected:
            raise InvalidInput(draft.rejected[0][1])
        work = partial(self._write, draft=draft, fingerprint=fingerprint, source=source)
        await self._ledger.write(state.user_key, user_id, work, epoch=state.epoch)
        self._changed(state.user_key, fingerprint)
        return draft.facts[0]

    async def retract(self, user_id: str, source: Source, claims: Sequence[Claim], *, reason: str) -> tuple[str, ...]:
        """Take back what only these messages taught, and bring back what it had superseded.

        The ids of the retracted facts.
        """
        user_key, session_key = self._ledger.user_key(user_id), source.session_key or ""
        state = await self._ledger.user(user_key)
        if state is None or not claims:
            return ()
        work = partial(take_back, session_key=session_key, claims=claims, reason=reason)
        touched, retracted = await self._ledger.write(user_key, user_id, work, epoch=state.epoch)
        if touched:
            self._changed(user_key, await self._active(state))
        return retracted

    async def expire(self, user_key: str) -> tuple[str, ...]:
        """Give the facts whose time is over the status that says so; their ids. Nothing is deleted."""
        state = await self._ledger.user(user_key)
        if state is None or not await self._ledger.over(state):
            return ()
        expired = await self._ledger.write(user_key, state.user_id or "", Writer.expire, epoch=state.epoch)
        self._changed(user_key, await self._active(state))
        return expired

    def fit_to_store(self, candidates: Sequence[CandidateFact], source: Source) -> tuple[list[CandidateFact], Source]:
        """Direct statements without what may not be stored; `InvalidInput` or `SecretRefused` where that can't be."""
        source = self.check(candidates, source)
        kept = [self._redacted(candidate, "text", "quote", "subject") for candidate in candidates]
        self.check(kept, source)
        masked = replace(source, reason=source.reason and secrets.mask(source.reason))
        return kept, self._redacted(masked, "reason")

    def _redacted(self, given: D, *names: str) -> D:
        """`given` with what the redactor leaves of these texts."""
        texts = {name: getattr(given, name) for name in names}
        kept: dict[str, Any] = {name: secrets.redacted(self._redactor, text) for name, text in texts.items() if text}
        return replace(given, **kept)

    # ---- one transaction ---------------------------------------------------------------------------

    async def _file(
        self,
        user_id: str,
        candidates: Sequence[CandidateFact],
        messages: Sequence[Message],
        source: Source,
        *,
        claims: Sequence[Claim] = (),
        epoch: int | None = None,
        strict: bool = False,
        embedded: Embedded | None = None,
        more: bool = False,
    ) -> tuple[Draft, list[Fact]]:
        """Decide on what is known, and write it if that is still all; otherwise decide again.

        The draft, and the facts that now say what the candidates do. The user's writers of this process take
        turns; `strict` raises `InvalidInput`, with nothing written, where a candidate is rejected.
        """
        fingerprint, vectors = embedded or await self.embed(candidates)
        user_key = self._ledger.user_key(user_id)
        async with self._turns.setdefault(user_key, asyncio.Lock()):
            while True:
                revision, known = await self._known(user_key, fingerprint, vectors, candidates, messages, source)
                draft = self._drafter.draft(user_id, candidates, messages, vectors, known, source)
                if strict and draft.rejected:
                    raise InvalidInput(draft.rejected[0][1])
                work = partial(self._write, draft=draft, fingerprint=fingerprint, source=source, claims=claims)
                try:
                    facts = await self._ledger.write(user_key, user_id, work, epoch=epoch, revision=revision)
                except Moved:
                    continue  # another process was faster
                if not more:
                    self._changed(user_key, fingerprint)
                return draft, facts

    async def _known(
        self,
        user_key: str,
        fingerprint: Fingerprint | None,
        vectors: Matrix | None,
        candidates: Sequence[CandidateFact],
        messages: Sequence[Message],
        source: Source,
    ) -> tuple[int | None, Known]:
        """The facts that any candidate may concern, and the revision at which this is so; None where none can.

        What had these words before it was replaced is among them, with what is believed in its place: to say it again
        is to contradict that. What is held in quarantine is among them where an origin that isn't trusted speaks, so
        that its repetitions don't pile up there.
        """
        if not candidates:
            return None, nearest(Shelf(), vectors, ())
        state, replaced = await self._ledger.user_and_replaced(user_key, [one.text for one in candidates])
        if state is None:
            return 0, nearest(Shelf(), vectors, candidates)
        held = await self._shelves.get(state, fingerprint or await self._active(state) or NO_MODEL)
        if held.shelf.over(self._clock()):  # what is said anew must not be taken for what is over
            await self.expire(user_key)
            return await self._known(user_key, fingerprint, vectors, candidates, messages, source)
        revision = held.state.revision
        known = beside(nearest(held.shelf, vectors, candidates), [*held.unembedded.values(), *replaced])
        if self._drafter.trusts(messages, source):
            return revision, known
        return revision, beside(known, await self._ledger.facts(state, FactFilter(status=("quarantined",))))

    def _write(
        self,
        writer: Writer,
        *,
        draft: Draft,
        fingerprint: Fingerprint | None,
        source: Source,
        claims: Sequence[Claim] = (),
    ) -> list[Fact]:
        """Write a draft; the facts that its candidates became or repeated."""
        if claims:
            writer.claim(source.session_key or "", claims, extractor=source.extractor or "")
        if draft.facts and fingerprint is not None and writer.user.generation is None:
            writer.activate(self._new_id(), fingerprint)
        writer.add_facts(draft.facts, draft.evidence)
        for fact, filed in zip(draft.facts, draft.evidence, strict=True):
            if fact.supersedes is not None:
                supersede(writer, fact.supersedes, fact.id, filed.evidence.reason)
                supersede_twins(writer, fact)
        for filed, over in draft.reaffirmed:
            writer.reaffirm(filed, labels=source.labels, expires_at=over)
        if fingerprint is not None:
            writer.add_vectors(draft.vectors, fingerprint.key)
        said = [fact_id for fact_id in draft.ids if fact_id]
        facts = writer.facts_by_id(said)
        return [facts[fact_id] for fact_id in said]

    async def embed(self, candidates: Sequence[CandidateFact]) -> Embedded:
        """Vectors of the candidates; none while the model is away: the follower makes up for it."""
        try:
            fingerprint = await self._embedding.load()
            return fingerprint, await self._embedding.embed_documents([one.text for one in candidates])
        except EmbeddingFailed as error:
            log.warning("facts are kept without vectors for now: %s", error)
            return None, None

    async def _one(self, user_id: str, fact_id: str) -> tuple[UserState, Fact]:
        """A user and one of their facts; an unknown user has none."""
        state = await self._ledger.user(self._ledger.user_key(user_id))
        found = await self._ledger.facts_by_id(state, [fact_id]) if state else {}
        if state is None or fact_id not in found:
            raise NotFound(f"there is no fact {fact_id} for this user")
        return state, found[fact_id]

    async def _active(self, state: UserState) -> Fingerprint | None:
        """What the user's index was embedded with: known without loading any model."""
        return await self._ledger.fingerprint(state.fingerprint) if state.fingerprint else None

    def _changed(self, user_key: str, fingerprint: Fingerprint | None) -> None:
        if fingerprint is not None:
            self._follower.notice(user_key, fingerprint)


def _sorted_out(candidates: Sequence[CandidateFact]) -> tuple[list[CandidateFact], list[tuple[str, str]]]:
    """The candidates that can be kept, and why the others can't."""
    kept, unfit = [], []
    for candidate in candidates:
        try:
            kept.append(check_statement(candidate))
        except InvalidInput as error:
            unfit.append(("", str(error)))
    return kept, unfit
