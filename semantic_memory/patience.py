"""Waiting for what others do, and for no longer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def in_time(work: Coroutine[Any, Any, T] | asyncio.Task[T], seconds: float | None) -> T:
    """What `work` returns or raises; `TimeoutError` once `seconds` are over, even if it refuses to be cancelled.

    Raises `RuntimeError` when something inside `work` was cancelled; `CancelledError` means only the caller.
    """
    task = asyncio.ensure_future(work)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        task.cancel()  # does nothing to one that is done
    if not task.done():
        task.add_done_callback(_look_at_its_error)
        raise TimeoutError
    if task.cancelled():
        raise RuntimeError("it was cancelled from within")
    return task.result()


def _look_at_its_error(task: asyncio.Task[Any]) -> None:
    """Keep asyncio from complaining about an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
