"""Two servers over one memory folder, asked by one caller and then by sixteen: recall over HTTP, end to end.

`python -m benchmarks callers [--set seconds=60] [--record]`. The load generator shares the machine.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import math
import os
import socket
import subprocess
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from benchmarks.figures import Times
from semantic_memory import SemanticMemory

USERS, FACTS, CALLERS = 16, 200, 16
MOST_P99, LEAST_THROUGHPUT = 12.0, 2.5  # of sixteen callers: p99 to the p50 of one, throughput to that of one
COMMAND = [sys.executable, "-m", "semantic_memory.frontends.cli"]
THINGS = ("deploy target", "database", "standup", "cat", "car", "editor", "coffee", "release day")


async def fill(folder: Path) -> str:
    """A memory with facts, and the token of a key for it."""
    async with SemanticMemory.open(folder) as memory:
        for user in range(USERS):
            facts = [f"The {THINGS[n % len(THINGS)]} number {n} is called Momo{n}" for n in range(FACTS)]
            await memory.user(f"user-{user}").remember_all(facts)
        return (await memory.keys.create(("read",)))[1]


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """A server in a process of its own."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        port = place.getsockname()[1]
    rate = {"SEMANTIC_MEMORY_SERVER_RATE": "1000000/second"}
    process = subprocess.Popen(
        [*COMMAND, "serve", "--memory", str(folder), "--port", str(port)],
        env=os.environ | rate,
        stderr=subprocess.DEVNULL,
    )
    return process, f"http://127.0.0.1:{port}"


@dataclass
class Asked:
    """What callers met in so many seconds."""

    seconds: float
    latencies: list[float] = field(default_factory=list)  # milliseconds, of the answers
    errors: Counter[str] = field(default_factory=Counter)  # by status, or by what kept an answer from coming

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return len(self.latencies) / self.seconds

    def percentile(self, of_hundred: int) -> float:
        """The time within which so many of a hundred are answered."""
        return float(np.percentile(self.latencies, of_hundred)) if self.latencies else math.inf


async def asked(urls: list[str], token: str, callers: int, seconds: float) -> Asked:
    """Recalls by so many callers, each of whom asks again as soon as it is answered."""
    met = Asked(seconds)
    headers = {"Authorization": f"Bearer {token}"}
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(httpx.AsyncClient(base_url=url, headers=headers, timeout=30))
            for url in urls
        ]
        end = time.perf_counter() + seconds
        await asyncio.gather(*(_caller(n, clients[n % len(clients)], met, end) for n in range(callers)))
    return met


async def _caller(number: int, client: httpx.AsyncClient, met: Asked, end: float) -> None:
    for turn in itertools.count():
        if (began := time.perf_counter()) > end:
            return
        question = {"query": f"What is the {THINGS[turn % len(THINGS)]} number {turn % FACTS} called?"}
        try:
            answer = await client.post(f"/v1/users/user-{number % USERS}/recall", json=question)
        except httpx.TransportError as error:
            met.errors[type(error).__name__] += 1
            continue
        if answer.is_success:
            met.latencies.append((time.perf_counter() - began) * 1000)
        else:
            met.errors[str(answer.status_code)] += 1


async def ready(url: str) -> None:
    """Wait until a server can be asked."""
    async with httpx.AsyncClient(base_url=url) as client:
        while True:
            try:
                if (await client.get("/health/ready")).is_success:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.1)


def judged(one: Asked, many: Asked) -> dict[str, Any]:
    """The figures, and whether they are as good as they shall be."""
    times = Times()
    times.taken |= {"one caller": one.latencies, f"{CALLERS} callers": many.latencies}
    p99, throughput = many.percentile(99) / one.percentile(50), many.rate / (one.rate or math.inf)
    errors = sum((one.errors + many.errors).values())
    return {
        "times": times.table(),
        "answers_per_second": {"one": round(one.rate, 1), "many": round(many.rate, 1)},
        "p99_ms": {"one": round(one.percentile(99), 1), "many": round(many.percentile(99), 1)},
        "p99_of_many_to_p50_of_one": round(p99, 2),
        "throughput_of_many_to_one": round(throughput, 2),
        "errors": errors,
        "kinds_of_errors": dict(one.errors + many.errors),
        "as_good_as_it_shall_be": p99 <= MOST_P99 and throughput >= LEAST_THROUGHPUT and not errors,
    }


async def callers(folder: Path, seconds: int = 60) -> dict[str, Any]:
    """Two servers, one caller and then sixteen: p99 of many to p50 of one, throughput, errors."""
    token = await fill(folder)
    servers = [start(folder) for _ in range(2)]
    urls = [url for _, url in servers]
    try:
        for url in urls:
            await ready(url)
        await asked(urls, token, CALLERS, min(3, seconds))  # shelves and indexes
        gc.collect()
        gc.freeze()  # the memory that was filled here is nobody's who asks
        return judged(await asked(urls, token, 1, seconds), await asked(urls, token, CALLERS, seconds))
    finally:
        for process, _ in servers:
            process.terminate()
            process.wait()
