"""The threads of an index: writes of one place one after another, reads beside them.

Threads and locks, no asyncio primitives: callers may live in different event loops.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from semantic_memory.errors import IndexFailed
from semantic_memory.index.chroma import translated

T = TypeVar("T")

WRITERS = 8
READERS = 4


class Workers:
    """Runs blocking work off the event loop; what has begun is finished, also if its caller is cancelled."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self._closed = False
        self._mutex = threading.Lock()
        self._lanes: dict[str, deque[Callable[[], None]]] = {}
        self._writers = ThreadPoolExecutor(WRITERS, thread_name_prefix="semantic-memory-index-write")
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="semantic-memory-index-read")

    def usable(self) -> bool:
        """Whether this is the process that made them, and they aren't closed."""
        return not self._closed and os.getpid() == self._process

    async def alone(self, lane: str, doing: str, work: Callable[[], T]) -> T:
        """The result of `work`, run when everything that its lane was given before is done."""
        return await asyncio.wrap_future(self.queue(lane, doing, work))

    async def beside(self, doing: str, work: Callable[[], T]) -> T:
        """The result of `work`, run at once, beside whatever the lanes do."""
        self._refuse_unusable()
        return await asyncio.wrap_future(self._readers.submit(_guarded, doing, work))

    def queue(self, lane: str, doing: str, work: Callable[[], T]) -> Future[T]:
        """The same as `alone`, without waiting; a lane holds a thread only while it works."""
        self._refuse_unusable()
        future: Future[T] = Future()
        with self._mutex:
            idle = lane not in self._lanes
            self._lanes.setdefault(lane, deque()).append(lambda: _settle(future, doing, work))
        if idle:
            self._writers.submit(self._step, lane)
        return future

    def run_if_idle(self, lane: str, work: Callable[[], Any]) -> bool:
        """Run `work` in this thread if its lane has nothing to do; False if it has."""
        with self._mutex:
            if lane in self._lanes:
                return False
            self._lanes[lane] = deque()
        try:
            work()
        finally:
            self._next(lane)
        return True

    def busy(self) -> set[str]:
        """The lanes that have something to do."""
        with self._mutex:
            return set(self._lanes)

    def close(self) -> None:
        """Take no more work."""
        self._closed = True
        self._writers.shutdown(wait=False)
        self._readers.shutdown(wait=False)

    def _step(self, lane: str) -> None:
        with self._mutex:
            job = self._lanes[lane].popleft()
        job()
        self._next(lane)

    def _next(self, lane: str) -> None:
        with self._mutex:
            if not self._lanes[lane]:
                del self._lanes[lane]
                return
        self._writers.submit(self._step, lane)

    def _refuse_unusable(self) -> None:
        if self._closed:
            raise IndexFailed("the index is closed")
        if os.getpid() != self._process:
            raise IndexFailed("the index was opened before a fork: open it again in this process")


def _guarded(doing: str, work: Callable[[], T]) -> T:
    with translated(doing):
        return work()


def _settle(future: Future[T], doing: str, work: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(_guarded(doing, work))
    except BaseException as error:
        future.set_exception(error)
