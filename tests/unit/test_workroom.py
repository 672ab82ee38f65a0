"""The thread that the memory lives in: errands, closing, and waiting no longer than one wants to."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from semantic_memory import workroom
from semantic_memory.errors import MemoryUnavailable
from semantic_memory.patience import in_time
from semantic_memory.workroom import Workroom


async def thread() -> str:
    return threading.current_thread().name


async def test_work_is_done_on_a_thread_of_its_own() -> None:
    room = Workroom()
    assert await room.call(thread()) == "semantic-memory"
    await room.close()


def test_it_can_be_used_from_any_loop() -> None:
    room = Workroom()
    for _ in range(2):
        assert asyncio.run(room.call(thread())) == "semantic-memory"
    asyncio.run(room.close())


async def test_cancelling_a_caller_cancels_a_call_and_not_what_has_to_be_finished() -> None:
    room, ended = Workroom(), []

    async def work(name: str) -> None:
        await asyncio.sleep(0.1)
        ended.append(name)

    callers = [asyncio.ensure_future(room.call(work("call"))), asyncio.ensure_future(room.finish(work("finish")))]
    await asyncio.sleep(0.02)
    for caller in callers:
        caller.cancel()
    await asyncio.gather(*callers, return_exceptions=True)
    await asyncio.sleep(0.2)
    assert ended == ["finish"]
    await room.close()


async def test_closing_waits_for_errands_and_those_that_they_begin() -> None:
    room, done = Workroom(), []

    async def errand(left: int) -> None:
        await asyncio.sleep(0.01)
        done.append(left)
        if left:
            room.errand(errand(left - 1))

    room.errand(errand(3))
    await room.close()
    assert done == [3, 2, 1, 0]


async def test_closing_gives_up_an_errand_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workroom, "PATIENCE", 0.05)
    room = Workroom()
    room.errand(asyncio.sleep(3600))
    await asyncio.wait_for(room.close(), 5)


async def test_a_closed_room_refuses_calls_and_lets_errands_go() -> None:
    room = Workroom()
    await room.close()
    await room.close()
    with pytest.raises(MemoryUnavailable):
        await room.call(thread())
    room.errand(thread())


async def test_nobody_waits_for_ever_when_the_room_is_closed_meanwhile() -> None:
    room = Workroom()
    waiting = asyncio.ensure_future(room.call(asyncio.sleep(3600)))
    await asyncio.sleep(0.02)
    await room.close()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 5)


# ---- patience ------------------------------------------------------------------------------------------


async def stubborn() -> None:
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        try:
            await asyncio.sleep(0.05)
        except asyncio.CancelledError:
            continue


async def answers(value: Any) -> Any:
    await asyncio.sleep(0)
    if isinstance(value, BaseException):
        raise value
    return value


async def test_what_comes_in_time_is_returned_or_raised() -> None:
    assert await in_time(answers(7), 1) == 7
    assert await in_time(answers(7), None) == 7
    with pytest.raises(LookupError):
        await in_time(answers(LookupError()), 1)


async def test_time_is_over_even_for_work_that_refuses_to_be_cancelled() -> None:
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        await in_time(stubborn(), 0.05)
    assert time.monotonic() - began < 0.4
    await asyncio.sleep(0.6)


async def test_a_cancellation_from_within_is_an_error_and_one_from_outside_is_a_cancellation() -> None:
    with pytest.raises(RuntimeError):
        await in_time(answers(asyncio.CancelledError()), 1)
    task = asyncio.ensure_future(in_time(asyncio.sleep(3600), 10))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
