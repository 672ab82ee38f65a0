"""Processes that a test may kill: forked off one that has imported everything and used nothing."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import cache
from multiprocessing.connection import Connection
from typing import Any

PRELOADED = [  # also what a memory imports as it opens: a child that is nobody can't read the modules of others
    "agents",
    "chromadb",
    "sqlalchemy.ext.asyncio",
    "semantic_memory.embedding.guarded",
    "semantic_memory.erasure",
    "semantic_memory.extraction.sentences",
    "semantic_memory.health",
    "semantic_memory.index.collection",
    "semantic_memory.index.probe",
    "semantic_memory.learning",
    "semantic_memory.projection",
    "semantic_memory.recalling",
    "semantic_memory.restoring",
    "semantic_memory.rooms",
    "semantic_memory.testing",
]
Work = Callable[..., Awaitable[None]]


class Child:
    """A coroutine function in a process of its own, whose first argument is the line to its parent."""

    def __init__(self, work: Work, *arguments: Any) -> None:
        self.line, theirs = _context().Pipe()
        self.process: Any = _context().Process(target=_live, args=(theirs, work, arguments), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return int(self.process.pid)

    def said(self, *, within: float = 120.0) -> Any:
        """The next thing that it says; `EOFError` where it has died instead."""
        if not self.line.poll(within):
            raise TimeoutError(f"the child said nothing for {within} s")
        try:
            return self.line.recv()
        except ConnectionResetError:
            raise EOFError from None

    def rest(self) -> list[Any]:
        """Everything that it has said and nobody heard, up to its end."""
        heard = []
        with suppress(EOFError):
            while True:
                heard.append(self.said())
        self.line.close()
        self.process.join()
        return heard

    def tell(self, what: Any) -> None:
        self.line.send(what)

    def stop(self) -> None:
        """Freeze it, as a machine that swaps would."""
        os.kill(self.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once, whatever it does; the kernel has let go of its files when this returns."""
        self.process.kill()
        self.process.join()

    def ended(self, *, within: float = 120.0) -> int:
        """Its exit status, once it has ended."""
        self.process.join(within)
        assert self.process.exitcode is not None, "the child goes on for too long"
        return int(self.process.exitcode)


def now() -> float:
    """A clock that all processes of the machine share; seconds."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def _live(line: Connection, work: Work, arguments: tuple[Any, ...]) -> None:
    asyncio.run(work(line, *arguments))  # type: ignore[arg-type]


@cache
def _context() -> Any:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context
