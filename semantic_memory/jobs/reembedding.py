"""Re-embedding: another model for the facts of a memory that goes on learning and answering meanwhile.

plan -> build (vectors to the ledger) -> for each user: index, verify, switch. Killed anywhere and started again it
goes on: what is left to do is what the ledger lacks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING

from semantic_memory.embedding import EmbeddingModel
from semantic_memory.embedding.guarded import GuardedEmbedding
from semantic_memory.errors import EmbeddingFailed, LedgerFailed, SemanticMemoryError
from semantic_memory.following import Follower
from semantic_memory.jobs.building import Engine, LocalEngine, pieces
from semantic_memory.jobs.planning import Planner, check_disk
from semantic_memory.jobs.settling import Settler
from semantic_memory.jobs.values import Embedded, Event, Failed, Plan, Question, Report, Settled
from semantic_memory.jobs.verifying import Verifier
from semantic_memory.ledger import generations
from semantic_memory.ledger.generations import Standing
from semantic_memory.ledger.joblock import job_lock
from semantic_memory.rooms import EMBEDDING_PATIENCE
from semantic_memory.vectors import Shelves

if TYPE_CHECKING:
    from semantic_memory.memory import SemanticMemory
    from semantic_memory.rooms import Rooms

log = logging.getLogger("semantic_memory")

HOPELESS = 50  # users: when so many have failed and nobody's facts were ever embedded, the job stops
LANES = 4  # users who are settled at once
PASSES = 3  # over the users: the first takes long, and meanwhile others begin to have facts

OnEvent = Callable[[Event], None]
"""Told what a job does, from the memory's own thread."""


async def plan(memory: SemanticMemory, model: EmbeddingModel, *, users: Sequence[str] | None = None) -> Plan:
    """What re-embedding would take; writes nothing. Raises `NotFound`, `EmbeddingFailed`."""
    rooms = memory._rooms
    planner = Planner(rooms.ledger, _guarded(model), rooms.settings)
    return await rooms.workroom.call(planner.plan(users, measure=True))


async def reembed(
    memory: SemanticMemory,
    model: EmbeddingModel,
    *,
    users: Sequence[str] | None = None,
    engine: Engine | None = None,
    hold: bool = False,
    on_event: OnEvent = lambda event: None,
) -> Report:
    """Give the facts of all users, or of some, the vectors of `model`, and make it their active generation.

    `hold` stops before the switch; the next call goes on from there. The report lists the users that failed, who
    stay as they were. Raises `NotFound` for a user without facts, `Conflict` while another job is running,
    `EmbeddingFailed` where the model is of no use at all, `LedgerFailed`.
    """
    job = Reembedding(memory._rooms, model, engine=engine, hold=hold, on_event=on_event)
    return await memory._rooms.workroom.call(job.run(users))


@dataclass(slots=True)
class Tally:
    """What has been done so far."""

    began: float = field(default_factory=time.perf_counter)
    texts: int = 0
    of: int = 0
    users: int = 0
    questions: list[Question] = field(default_factory=list)
    failed: dict[str, Failed] = field(default_factory=dict)  # by user key

    @property
    def seconds(self) -> float:
        """Since the job began."""
        return time.perf_counter() - self.began


class Reembedding:
    """One job."""

    def __init__(
        self,
        rooms: Rooms,
        model: EmbeddingModel,
        *,
        engine: Engine | None = None,
        hold: bool,
        on_event: OnEvent,
    ) -> None:
        self._rooms = rooms
        self._embedding = _guarded(model)
        self._engine = engine
        self._hold = hold
        self._tell = on_event
        self._tally = Tally()

    async def run(self, users: Sequence[str] | None) -> Report:
        """Do it; see `reembed`."""
        rooms, tally = self._rooms, self._tally
        async with job_lock(rooms.ledger):
            planner = Planner(rooms.ledger, self._embedding, rooms.settings)
            plan = await planner.plan(users)
            check_disk(plan)
            self._tell(plan)
            fingerprint = await self._embedding.load()
            await rooms.ledger.database.write(generations.describe, fingerprint)
            for _ in range(1 if self._hold else PASSES):
                todo = [one for one in plan.todo if one.user_key not in tally.failed]
                if not todo:
                    break
                await self._go_over(todo)
                plan = await planner.plan(users)
        report = self._report(plan)
        self._tell(report)
        return report

    async def _go_over(self, todo: Sequence[Standing]) -> None:
        """Build piece by piece; while a piece is built, the users of the one before it are settled."""
        local, settler = await self._parts()
        parts = list(pieces(todo, (await self._embedding.load()).key))
        self._tally.of += sum(one.missing for one in todo)
        by_key = {one.user_key: one for one in todo}
        left = Counter(user_key for piece in parts for user_key in piece.user_keys)
        settling: asyncio.Future[None] = asyncio.ensure_future(asyncio.sleep(0))
        try:
            async for built in (self._engine or local).build(parts):
                self._count(built.texts)
                await self._fail_all(by_key, built.failed)
                if built.last:
                    await settling
                    left.subtract(built.piece.user_keys)
                    done = [by_key[user_key] for user_key in built.piece.user_keys if not left[user_key]]
                    settling = asyncio.ensure_future(self._settle(settler, done))
            await settling
        finally:
            settling.cancel()
        await self._check_use(enough=2)  # one who fails alone may have an odd fact

    async def _settle(self, settler: Settler, users: Sequence[Standing]) -> None:
        """A few users at a time: half of what each costs is waiting, for the disk and for Chroma's locks."""
        waiting = iter(users)

        async def lane() -> None:
            for user in waiting:
                await self._settle_one(settler, user)

        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(min(LANES, len(users))):
                    lanes.create_task(lane())
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None  # the first; the others were stopped by it

    async def _settle_one(self, settler: Settler, user: Standing) -> None:
        if user.user_key in self._tally.failed:
            return
        try:
            settled = await settler.settle(user)
        except LedgerFailed:
            raise
        except SemanticMemoryError as error:
            self._fail(user, str(error))
        else:
            if settled is not None:
                self._count_user(user, settled)

    async def _parts(self) -> tuple[LocalEngine, Settler]:
        """The job's own shelf and follower: what the memory has cached for its answers stays where it is."""
        rooms, fingerprint = self._rooms, await self._embedding.load()
        shelves = Shelves(rooms.ledger, most_bytes=0)
        local = LocalEngine(rooms.ledger, self._embedding, fingerprint, rooms.clock)
        settler = Settler(
            rooms.ledger,
            shelves,
            Follower(rooms.ledger, shelves, rooms.index, self._embedding, rooms.workroom, new_id=rooms.new_id),
            rooms.index,
            local,
            Verifier(rooms.ledger, self._embedding, rooms.settings, clock=rooms.clock),
            fingerprint,
            new_id=rooms.new_id,
            hold=self._hold,
        )
        return local, settler

    def _count(self, texts: int) -> None:
        tally = self._tally
        tally.texts += texts
        if texts:
            self._tell(Embedded(texts=tally.texts, of=max(tally.of, tally.texts), seconds=tally.seconds))

    def _count_user(self, user: Standing, settled: Settled) -> None:
        self._tally.users += 1
        self._tally.questions += settled.verified.questions
        log.info("re-embedded user %s: %d facts", user.user_key[:12], settled.verified.facts)
        self._tell(settled)

    async def _fail_all(self, by_key: dict[str, Standing], failed: dict[str, str]) -> None:
        for user_key, error in failed.items():
            if user_key not in self._tally.failed:  # in another piece of theirs
                self._fail(by_key[user_key], error)
        if failed:
            await self._check_use(enough=HOPELESS)

    async def _check_use(self, *, enough: int) -> None:
        """Raise `EmbeddingFailed` where so many users failed and the model has embedded nobody's facts.

        Not in this job, and not in one before it: of a job that is started again, those who failed may be all.
        """
        tally, key = self._tally, (await self._embedding.load()).key
        if tally.texts or len(tally.failed) < enough:
            return
        if not await self._rooms.ledger.database.read(generations.has_vectors, key):
            raise EmbeddingFailed(f"the model embeds nobody's facts: {next(iter(tally.failed.values())).error}")

    def _fail(self, user: Standing, error: str) -> None:
        failed = self._tally.failed[user.user_key] = Failed(user_id=user.user_id, error=error)
        log.warning("user %s was not re-embedded: %s", user.user_key[:12], error)
        self._tell(failed)

    def _report(self, plan: Plan) -> Report:
        tally = self._tally
        tau = [one.correlation for one in tally.questions if one.correlation is not None]
        return Report(
            model=plan.model,
            fingerprint=plan.fingerprint,
            users=tally.users,
            texts=tally.texts,
            seconds=tally.seconds,
            overlap=fmean(one.overlap for one in tally.questions) if tally.questions else None,
            correlation=fmean(tau) if tau else None,
            gained=sum(len(one.gained) for one in tally.questions),
            lost=sum(len(one.lost) for one in tally.questions),
            failed=tuple(tally.failed.values()),
        )


def _guarded(model: EmbeddingModel) -> GuardedEmbedding:
    return GuardedEmbedding(model, patience=EMBEDDING_PATIENCE)
