"""Times to figures: medians, their spread, ratios to what was timed beside them, and earlier runs."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections import defaultdict
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

RECORDED = Path(__file__).with_name("recorded")


class Times:
    """Durations in milliseconds by name, taken in turns, so that a busy moment meets all of them alike."""

    def __init__(self) -> None:
        self.taken: defaultdict[str, list[float]] = defaultdict(list)

    def add(self, name: str, milliseconds: float) -> None:
        self.taken[name].append(milliseconds)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        self.add(name, (time.perf_counter() - began) * 1000)

    async def of(self, name: str, work: Awaitable[Any]) -> Any:
        with self.time(name):
            return await work

    def median(self, name: str) -> float:
        return statistics.median(self.taken[name])

    def _tenth(self, name: str) -> float:
        """The time that a tenth of them stay below: what other work on the machine touches least."""
        return sorted(self.taken[name])[len(self.taken[name]) // 10]

    def table(self, floor: str = "") -> dict[str, dict[str, Any]]:
        """Of each name the median and the middle half of its times; beside a `floor` also the median ratio to it."""
        table = {}
        for name, taken in self.taken.items():
            ordered = sorted(taken)
            row: dict[str, Any] = {"ms": round(statistics.median(ordered), 3), "n": len(ordered)}
            row["middle_half"] = [round(ordered[len(ordered) * part // 4], 3) for part in (1, 3)]
            if floor and name != floor and self.taken.get(floor):
                row["ratio"] = round(row["ms"] / self.median(floor), 2)
                row["ratio_of_best_tenths"] = round(self._tenth(name) / self._tenth(floor), 2)
            table[name] = row
        return table


def machine() -> dict[str, Any]:
    """Where this was measured."""
    return {"cores": os.cpu_count(), "processor": _processor(), "python": platform.python_version()}


def resident() -> float:
    """MiB of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def handles() -> int:
    """Open file handles of this process."""
    return len(os.listdir("/proc/self/fd"))


def disk(folder: Path) -> int:
    """Bytes on disk in a folder, as its blocks count."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def compared(name: str, now: dict[str, Any]) -> dict[str, str]:
    """Each ratio and target of the last recorded run beside the one of now."""
    path = RECORDED / f"{name}.json"
    if not path.exists():
        return {}
    before = dict(_numbers(json.loads(path.read_text())["result"]))
    return {key: f"{before[key]:g} -> {value:g}" for key, value in _numbers(now) if key in before}


def record(name: str, report: dict[str, Any]) -> None:
    """Keep a run, to be compared with by the next."""
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n")


def _numbers(value: Any, path: str = "") -> Iterator[tuple[str, float]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key not in ("middle_half", "n"):
                yield from _numbers(inner, f"{path}/{key}" if path else key)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield path, float(value)


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
