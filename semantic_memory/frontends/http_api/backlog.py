"""Learn passes that nobody waits for, and the end at which somebody does."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from http import HTTPStatus
from time import monotonic
from typing import Any

from semantic_memory.frontends.http_api.problems import Refused

log = logging.getLogger("semantic_memory.server")

MOST = 1000  # passes; more are turned away instead of being promised


class Backlog:
    """Work behind the answers, which shutting down waits for."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def add(self, work: Coroutine[Any, Any, Any]) -> None:
        """Begin some work; its error goes to the log."""
        if len(self) >= MOST:
            work.close()
            raise Refused(HTTPStatus.SERVICE_UNAVAILABLE, "too many learn passes are waiting", Retry_After="5")
        task = asyncio.ensure_future(_quietly(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def drain(self, patience: float) -> None:
        """Wait for all of it, at most `patience` seconds; what is not learned by then, the next pass learns."""
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=patience)
            if left:
                log.warning("%d learn passes did not come to an end", len(left))


class Ending:
    """The time that a server has from the moment at which it begins to end: one for all that it waits for."""

    def __init__(self, patience: float) -> None:
        self._patience = patience
        self._over: float | None = None

    def begin(self) -> None:
        """From now on; a second time changes nothing."""
        if self._over is None:
            self._over = monotonic() + self._patience

    @property
    def begun(self) -> bool:
        """Whether the server ends."""
        return self._over is not None

    def left(self) -> float:
        """Seconds."""
        return self._patience if self._over is None else max(0.0, self._over - monotonic())


async def _quietly(work: Coroutine[Any, Any, Any]) -> None:
    try:
        await work
    except Exception:
        log.exception("learning failed; post the messages again")
