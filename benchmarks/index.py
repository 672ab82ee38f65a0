"""What the index costs: `python benchmarks/index.py [--server URL] [--repeat N] [--places N]` prints JSON.

Medians in milliseconds over users of 10 to 10,000 facts (384 dimensions, clustered vectors): build, open, first and
warm query, one fact written, close. `--places` touches so many users in turn and counts handles and threads.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np

from semantic_memory.index import FolderIndex, Index, Place, ServerIndex, Vector

DIMENSION = 384
SIZES = (10, 100, 1_000, 10_000)


def clustered(count: int, seed: int = 0) -> list[tuple[str, Vector]]:
    """Vectors around fifty centres, which is nearer to embeddings than uniform noise."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(50, DIMENSION))
    rows = centres[random.integers(0, 50, count)] + random.normal(size=(count, DIMENSION))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return [(f"fact-{number}", row) for number, row in enumerate(rows)]


async def timed(verb: Awaitable[object]) -> float:
    start = time.perf_counter()
    await verb
    return (time.perf_counter() - start) * 1000


async def one_size(make: Callable[[], Index], count: int, repeat: int) -> dict[str, float]:
    facts = clustered(count + repeat)
    place = Place(user_key=f"bench-{count}-{time.time_ns()}", generation="g", dimension=DIMENSION)
    index = make()
    await index.prepare()
    seen: dict[str, list[float]] = {name: [] for name in ("build", "open", "first", "warm", "write", "close")}
    seen["build"].append(await timed(index.rebuild(place, facts[:count], 0)))
    for turn in range(repeat):
        seen["close"].append(await timed(index.close()))
        index = make()
        await index.prepare()
        seen["open"].append(await timed(index.open(place)))
        seen["first"].append(await timed(index.nearest(place, facts[turn][1], 10)))
        for _, query in facts[:20]:
            seen["warm"].append(await timed(index.nearest(place, query, 10)))
        one = facts[count + turn : count + turn + 1]
        seen["write"].append(await timed(index.apply(place, upserts=one, deletes=[], revision=turn + 1)))
    await index.drop(place)
    await index.close()
    return {name: round(statistics.median(times), 2) for name, times in seen.items()}


async def longest_pause(make: Callable[[], Index]) -> float:
    """For how long the event loop stood still while 1,000 facts were built."""
    index, facts = make(), clustered(1_000)
    place = Place(user_key=f"pause-{time.time_ns()}", generation="g", dimension=DIMENSION)
    await index.rebuild(place, facts[:1], 0)
    building = asyncio.ensure_future(index.rebuild(place, facts, 1))
    longest, last = 0.0, time.perf_counter()
    while not building.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await index.drop(place)
    await index.close()
    return round(longest * 1000, 1)


async def touch(root: Path, places: int) -> dict[str, float]:
    """So many users of ten facts, one after another in one process."""
    index, facts = FolderIndex(root), clustered(10)
    before = (len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), resident())
    highest = before
    start = time.perf_counter()
    for number in range(places):
        place = Place(user_key=f"user-{number}", generation="g", dimension=DIMENSION)
        await index.rebuild(place, facts, 0)
        await index.nearest(place, facts[0][1], 5)
        now = (len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task")), resident())
        highest = (max(highest[0], now[0]), max(highest[1], now[1]), max(highest[2], now[2]))
    took = (time.perf_counter() - start) / places * 1000
    await index.close()
    names = ("handles", "threads", "resident_mb")
    return {"ms_each": round(took, 1)} | {
        name: round(high - low, 1) for name, high, low in zip(names, highest, before, strict=True)
    }


def resident() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--server")
    arguments.add_argument("--repeat", type=int, default=15)
    arguments.add_argument("--places", type=int, default=0)
    asked = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:

        def make() -> Index:
            return ServerIndex(asked.server) if asked.server else FolderIndex(folder)

        report: dict[str, object] = {str(size): await one_size(make, size, asked.repeat) for size in SIZES}
        report["longest_pause_of_the_loop"] = await longest_pause(make)
        if asked.places:
            report["touched"] = await touch(Path(folder) / "touched", asked.places)
        print(json.dumps(report, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
