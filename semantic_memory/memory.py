"""A memory of many users: opened once, closed at the end, and asked for one user at a time."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from semantic_memory.findings import Health
from semantic_memory.identity import check_user_id
from semantic_memory.runs import Runs
from semantic_memory.settings import Settings
from semantic_memory.user import UserMemory

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

    from semantic_memory.embedding import EmbeddingModel
    from semantic_memory.extraction import Extractor
    from semantic_memory.keys import Keys
    from semantic_memory.retrieval.rerank import Reranker
    from semantic_memory.rooms import Rooms

log = logging.getLogger("semantic_memory")


class SemanticMemory(Runs):
    """Facts about many users, beside the transcripts that the SDK's sessions keep."""

    def __init__(self, rooms: Rooms) -> None:
        super().__init__(rooms.blocks)
        self._rooms = rooms

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        path_or_settings: str | Path | Settings | None = None,
        *,
        embedding: EmbeddingModel | None = None,
        extractor: Extractor | None = None,
        engine: AsyncEngine | None = None,
        reranker: Reranker | None = None,
        load: Literal["wait", "lazy"] = "wait",
        **parts: Any,
    ) -> AsyncIterator[SemanticMemory]:
        """Open a memory folder, and close it at the end of the `async with` block.

        `engine` keeps the ledger in the database of an engine that you have, beside your sessions.
        `reranker` has the last word on the order of the best facts, for as long as it is in time.
        `load="wait"` waits for the embedding model (30 s, then recall starts degraded); `"lazy"` serves
        at once what needs no embeddings. `redactor=` takes a function from text to what of it may be stored: it
        sees every text before an extractor, the embedding model or the ledger does, and a text on which it fails is
        not kept. Raises `InvalidInput`, `LedgerFailed`.
        """
        from semantic_memory.rooms import Rooms, close_rooms, open_rooms

        rooms = Rooms(
            _settings(path_or_settings),
            embedding=embedding,
            extractor=extractor,
            engine=engine,
            reranker=reranker,
            **parts,
        )
        try:
            await rooms.workroom.call(open_rooms(rooms, wait_for_model=load == "wait"))
            memory = cls(rooms)
            try:
                yield memory
            finally:
                await memory._drain()
        finally:
            await rooms.workroom.drain()
            await rooms.workroom.call(close_rooms(rooms))
            await rooms.workroom.close()

    @property
    def settings(self) -> Settings:
        """How this memory was opened."""
        return self._rooms.settings

    @property
    def keys(self) -> Keys:
        """The keys that callers of the server show."""
        return self._rooms.keys

    def user(self, user_id: str) -> UserMemory:
        """One user's memory. The id is an exact string of yours; raises `InvalidUserId`."""
        return UserMemory(self, check_user_id(user_id))

    async def users(self) -> list[str]:
        """The ids of all users with a memory."""
        return await self._rooms.workroom.call(self._rooms.ledger.user_ids())

    async def health(self, *, repair: bool = False) -> Health:
        """What the doctor sees: counts, sizes, and whether ledger, index and model agree.

        With `repair` what is behind or damaged is built again, facts without vectors are embedded, and what is
        over is called expired.
        """
        await self._rooms.workroom.drain()  # what is being written behind an answer isn't behind the ledger
        return await self._rooms.workroom.finish(self._rooms.doctor.health(repair=repair))

    async def retry_dead_letters(self, user_id: str | None = None) -> int:
        """Have the next `learn` try again what failed too often; how many messages, of one user or of all."""
        return await self._rooms.workroom.finish(self._rooms.doctor.retry_dead_letters(user_id))


def _settings(given: str | Path | Settings | None) -> Settings:
    if isinstance(given, Settings):
        return given
    return Settings.from_environment(path=None if given is None else Path(given))
