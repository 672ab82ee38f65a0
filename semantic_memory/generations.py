"""Old generations: kept for a way back, dropped when it is no longer wanted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from semantic_memory.errors import SemanticMemoryError
from semantic_memory.ledger import generations
from semantic_memory.ledger.generations import Generation
from semantic_memory.ledger.store import Clock, Ledger

if TYPE_CHECKING:
    from semantic_memory.index import Index

log = logging.getLogger("semantic_memory")


class Generations:
    """The generations of one memory that are not active."""

    def __init__(self, ledger: Ledger, index: Index, *, kept: timedelta, clock: Clock) -> None:
        self._ledger = ledger
        self._index = index
        self._kept = kept
        self._clock = clock

    async def finish(self) -> int:
        """Drop whatever isn't active: retired generations, builds that were given up, their vectors; how many."""
        dropped = await self._drop(await self._ledger.database.read(generations.superfluous))
        await self._ledger.database.write(generations.drop_strays)
        await self._ledger.scrub()
        return dropped

    async def drop_old(self) -> None:
        """Drop what was retired longer ago than the settings keep it; raises nothing."""
        try:
            before = self._clock() - self._kept
            old = await self._ledger.database.read(generations.superfluous, retired_before=before)
            await self._drop(old)
        except SemanticMemoryError as error:
            log.warning("old generations stay for now: %s", error)

    async def retired(self) -> dict[str, Generation]:
        """By user key, the generation that was retired last."""
        found: dict[str, Generation] = {}
        for one in await self._ledger.database.read(generations.superfluous):
            if one.state == "retired":
                found.setdefault(one.user_key, one)  # the newest comes first
        return found

    async def _drop(self, old: Sequence[Generation]) -> int:
        from semantic_memory.index import Place

        for one in old:
            place = Place(user_key=one.user_key, generation=one.id, dimension=one.dimension)
            await self._index.drop(place)  # where another process has it open, that one removes it
            await self._ledger.database.write(generations.drop, one)
        return len(old)
