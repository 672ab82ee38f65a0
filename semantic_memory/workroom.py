"""A thread with an event loop of its own, in which the memory lives.

The verbs can be awaited from any event loop, in any thread (`Runner.run_sync` uses another loop than
the one that opened the memory), database connections stay on the loop that made them, and whatever
the memory is busy with, the caller's loop goes on.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from semantic_memory.errors import MemoryUnavailable
from semantic_memory.patience import in_time

T = TypeVar("T")
log = logging.getLogger("semantic_memory")

PATIENCE = 30.0  # seconds that closing waits for errands: what they write can be written the next time


class Workroom:
    """Runs coroutines on its own loop for callers on other loops."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._errands: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._door = threading.Lock()  # nothing comes in once it is closed
        self._thread = threading.Thread(target=self._loop.run_forever, name="semantic-memory", daemon=True)
        self._thread.start()

    async def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` here and wait for it; cancelling the caller cancels the work."""
        return await asyncio.wrap_future(self._submit(work))

    async def finish(self, work: Coroutine[Any, Any, T]) -> T:
        """Run `work` here and wait for it; once begun it ends, even if the caller is cancelled."""
        return await asyncio.shield(asyncio.wrap_future(self._submit(work)))

    def errand(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run `work` behind everybody's back; `drain` waits for it. It must not raise."""
        with self._door:
            if not self._closed:
                self._loop.call_soon_threadsafe(self._start, work)
                return
        work.close()

    async def drain(self) -> None:
        """Wait until every errand is done, also those that errands begin; in the end no longer than `PATIENCE`."""

        async def wait() -> None:
            while self._errands:
                await asyncio.wait(self._errands)

        async def give_up() -> None:
            for errand in self._errands:
                errand.cancel()

        try:
            await in_time(self.call(wait()), PATIENCE)
        except TimeoutError:
            log.warning("%d errands did not come to an end", len(self._errands))
            await self.call(give_up())

    async def close(self) -> None:
        """Wait for the errands, then end the loop and its thread. Idempotent."""
        if self._closed:
            return
        await self.drain()
        with self._door:
            self._closed = True
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(self._end(), self._loop))
        self._loop.call_soon_threadsafe(self._loop.stop)
        await asyncio.to_thread(self._thread.join)
        self._loop.close()

    async def _end(self) -> None:
        """Cancel what is left, so that nobody waits for it for ever."""
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=1)

    def _submit(self, work: Coroutine[Any, Any, T]) -> Any:
        with self._door:
            if not self._closed:
                return asyncio.run_coroutine_threadsafe(work, self._loop)
        work.close()
        raise MemoryUnavailable("this memory is closed")

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = self._loop.create_task(work)
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)
