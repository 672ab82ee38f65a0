"""Rebuilding lost or damaged indexes from the ledger's vectors; no model is needed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from semantic_memory.errors import LedgerFailed, NotFound, SemanticMemoryError
from semantic_memory.jobs.values import Failed
from semantic_memory.ledger.joblock import job_lock

if TYPE_CHECKING:
    from semantic_memory.memory import SemanticMemory
    from semantic_memory.rooms import Rooms


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """A user whose index was built again."""

    event: Literal["rebuilt"] = field(default="rebuilt", init=False)
    user_id: str


async def reindex(
    memory: SemanticMemory,
    *,
    users: Sequence[str] | None = None,
    on_event: Callable[[Rebuilt | Failed], None] = lambda event: None,
) -> tuple[Failed, ...]:
    """Build the index of all users, or of some, anew; those that failed.

    Raises `NotFound` for a user without any facts, `Conflict` while another job is running, `LedgerFailed`.
    """

    async def work() -> tuple[Failed, ...]:
        async with job_lock(memory._rooms.ledger):
            return await _reindex(memory._rooms, users, on_event)

    return await memory._rooms.workroom.call(work())


async def _reindex(
    rooms: Rooms, users: Sequence[str] | None, tell: Callable[[Rebuilt | Failed], None]
) -> tuple[Failed, ...]:
    failed = []
    for user_id in await rooms.ledger.user_ids() if users is None else users:
        try:
            if await _rebuilt(rooms, user_id, named=users is not None):
                tell(Rebuilt(user_id=user_id))
        except (LedgerFailed, NotFound):
            raise
        except SemanticMemoryError as error:
            failed.append(Failed(user_id=user_id, error=str(error)))
            tell(failed[-1])
    return tuple(failed)


async def _rebuilt(rooms: Rooms, user_id: str, *, named: bool) -> bool:
    user_key = rooms.ledger.user_key(user_id)
    state = await rooms.ledger.user(user_key)
    if state is None or state.fingerprint is None:
        if named:
            raise NotFound(f"there is nothing to index for {user_id!r}: no such user, or no facts with vectors")
        return False
    await rooms.follower.follow(user_key, await rooms.ledger.fingerprint(state.fingerprint), anew=True)
    return True
