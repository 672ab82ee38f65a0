"""The parts of an open memory: made when they are asked for, once, and what can't be made is told at opening."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from semantic_memory import InvalidInput, SemanticMemory, Settings
from semantic_memory.rooms import Rooms, part
from semantic_memory.testing import HashEmbeddingModel


class Slow(Rooms):
    def __init__(self) -> None:
        self.making, self.made = threading.RLock(), 0

    @part
    def desk(self) -> object:
        self.made += 1
        time.sleep(0.05)  # the other threads come by
        return object()


def test_threads_that_ask_at_the_same_moment_get_one_and_the_same_part() -> None:
    rooms, start = Slow(), threading.Barrier(8)

    def ask() -> object:
        start.wait()
        return rooms.desk

    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(ask) for _ in range(8)]
    assert len({id(one.result()) for one in asked}) == rooms.made == 1


async def test_whoever_waits_at_opening_finds_every_part_made(tmp_path: Path) -> None:
    parts = {name for name, one in vars(Rooms).items() if isinstance(one, part)}
    assert {"recaller", "learner", "filing", "doctor"} < parts
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        assert parts <= set(vars(memory._rooms))
    async with SemanticMemory.open(tmp_path, load="lazy") as memory:
        assert not {"recaller", "learner", "filing", "doctor"} & set(vars(memory._rooms))


@pytest.mark.parametrize("load", ["wait", "lazy"])
async def test_what_the_settings_name_and_is_not_there_is_told_at_opening(tmp_path: Path, load: str) -> None:
    settings = Settings(path=tmp_path / "memory", calibration=tmp_path / "nowhere.json")
    with pytest.raises(InvalidInput, match="nowhere"):
        async with SemanticMemory.open(settings, load=load):  # type: ignore[arg-type]
            pass
    assert [one.name for one in threading.enumerate() if one.name.startswith("semantic")] == []
