"""After a re-embedding: how far it is, the way back, and the end of the old generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from semantic_memory.errors import NotFound
from semantic_memory.ledger import generations
from semantic_memory.ledger.generations import Generation, ModelUse
from semantic_memory.ledger.joblock import is_locked, job_lock

if TYPE_CHECKING:
    from semantic_memory.memory import SemanticMemory
    from semantic_memory.rooms import Rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """What a memory has of each model, the most used first, and whether a job is running."""

    running: bool
    facts: int  # with words, of all users: what each model could have a vector of
    models: tuple[ModelUse, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WentBack:
    """A user whose older generation is the active one again."""

    user_id: str
    model: str
    unembedded: int  # facts that were learned since: found by words until something embeds them with this model


async def status(memory: SemanticMemory) -> Status:
    """How far the users of a memory are on their way from one model to another."""
    return await memory._rooms.workroom.call(_status(memory._rooms))


async def finish(memory: SemanticMemory) -> int:
    """Drop every generation that isn't active, and the vectors of builds that were given up; how many.

    There is no way back afterwards. Raises `Conflict` while a job is running.
    """

    async def work() -> int:
        async with job_lock(memory._rooms.ledger):
            return await memory._rooms.generations.finish()

    return await memory._rooms.workroom.finish(work())


async def rollback(memory: SemanticMemory, *, users: Sequence[str] | None = None) -> tuple[WentBack, ...]:
    """Make the generation active again that all users, or some, had before; going back twice is going forward.

    Raises `NotFound` where there is none to go back to, `Conflict` while a job is running.
    """

    async def work() -> tuple[WentBack, ...]:
        async with job_lock(memory._rooms.ledger):
            return await _rollback(memory._rooms, users)

    return await memory._rooms.workroom.finish(work())


async def _status(rooms: Rooms) -> Status:
    everything = await rooms.ledger.database.read(generations.standings, "")
    return Status(
        running=await is_locked(rooms.ledger),
        facts=sum(one.facts for one in everything),
        models=tuple(await rooms.ledger.database.read(generations.models)),
    )


async def _rollback(rooms: Rooms, users: Sequence[str] | None) -> tuple[WentBack, ...]:
    ledger, retired = rooms.ledger, await rooms.generations.retired()
    keys = retired.keys() if users is None else {ledger.user_key(user_id): user_id for user_id in users}
    if not keys or keys - retired.keys():
        raise NotFound("there is no older generation to go back to")
    return tuple([await _go_back(rooms, retired[user_key]) for user_key in sorted(keys)])


async def _go_back(rooms: Rooms, older: Generation) -> WentBack:
    ledger = rooms.ledger
    state = await ledger.user(older.user_key)
    user_id = state.user_id if state and state.user_id else ""
    await ledger.write(older.user_key, user_id, lambda writer: generations.switch(writer, older.id))
    standing = await ledger.database.read(generations.standings, older.fingerprint, [older.user_key])
    model = (await ledger.fingerprint(older.fingerprint)).name
    return WentBack(user_id=user_id, model=model, unembedded=sum(one.missing for one in standing))
