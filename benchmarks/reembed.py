"""What a change of the embedding model costs: `python benchmarks/reembed.py [PART ...] [--users N] [--facts N]`.

`throughput`: texts a second of the whole job (read, embed, write, index, verify, switch), over those of a bare
`SentenceTransformer.encode` over the same texts in the same process. `latency`: the median of a recall while another
process re-embeds, over the idle one. `memory`: the peak of a process that re-embeds 10,000 and 200,000 facts (users
of 500, a model that costs nothing). Prints JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from semantic_memory import SemanticMemory, Settings, jobs
from semantic_memory.embedding import EmbeddingModel
from semantic_memory.embedding.bundled import bundled, verified_folder
from semantic_memory.embedding.sentence_transformers import SentenceTransformerEmbedding
from semantic_memory.facts import Evidence, Fact
from semantic_memory.ledger.rows import Filed
from semantic_memory.testing import HashEmbeddingModel

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SUBJECTS = ("My sister", "The billing service", "Our team in Porto", "I", "My neighbour's dog", "The landlord")
VERBS = ("moved to", "asked for", "prefers", "depends on", "was charged for", "will visit", "is allergic to")
OBJECTS = ("the old harbour", "peanuts", "a window seat", "PostgreSQL 16", "the museum of modern art", "green tea")
ENDS = (
    "",
    " since last spring",
    ", and nobody has complained about it so far",
    " every other Thursday at half past nine",
)
SIZES = (10_000, 200_000)
TURNS = 3


def sentences(count: int, seed: int) -> list[str]:
    """Statements of 5 to 40 words, no two alike."""
    chance = random.Random(seed)
    parts = (SUBJECTS, VERBS, OBJECTS, ENDS)
    return [
        "; ".join(" ".join(map(chance.choice, parts)) for _ in range(chance.choice((1, 1, 1, 2, 3)))) + f" ({number})."
        for number in range(count)
    ]


async def fill(memory: SemanticMemory, users: int, facts: int) -> list[str]:
    """Users with facts of the memory's own model, written straight to the ledger; their texts."""
    rooms, written = memory._rooms, []
    fingerprint = await rooms.workroom.call(rooms.embedding.load())
    for number in range(users):
        user, texts = f"user-{number}", sentences(facts, seed=number)
        vectors = await rooms.workroom.call(rooms.embedding.embed_documents(texts))
        kept = [_fact(user, f"{number}-{at}", text) for at, text in enumerate(texts)]

        def work(writer: Any, kept: list[Fact] = kept, vectors: Any = vectors) -> None:
            if writer.user.generation is None:
                writer.activate(rooms.new_id(), fingerprint)
            said = [_filed(one) for one in kept]
            writer.add_facts(kept, said)
            writer.add_vectors({one.id: row for one, row in zip(kept, vectors, strict=True)}, fingerprint.key)

        await rooms.workroom.call(rooms.ledger.write(rooms.ledger.user_key(user), user, work))
        written += texts
    return written


def _fact(user: str, fact_id: str, text: str) -> Fact:
    return Fact(id=fact_id, user_id=user, text=text, origin="user", status="active", said_at=NOW, recorded_at=NOW)


def _filed(fact: Fact) -> Filed:
    evidence = Evidence(id=f"e-{fact.id}", fact_id=fact.id, origin="user", quote=fact.text, recorded_at=NOW)
    return Filed(evidence=evidence)


async def throughput(users: int, facts: int) -> dict[str, Any]:
    """The job beside a bare loop, in turns: as both come, in either precision, and with the bundled model."""
    texts = [text for number in range(users) for text in sentences(facts, seed=number)]
    times: dict[str, list[float]] = {}
    for _ in range(TURNS):
        for precision in ("float32", "bfloat16"):
            times.setdefault(f"bare {precision}", []).append(bare(texts, precision))
        for precision in ("float32", "bfloat16", "auto"):
            model = SentenceTransformerEmbedding(verified_folder(), precision=precision)
            times.setdefault(f"job {precision}", []).append(await whole_job(model, users, facts))
        times.setdefault("job onnxruntime", []).append(await whole_job(bundled(), users, facts))
    middle = {name: statistics.median(some) for name, some in times.items()}
    pairs = [("auto", "float32"), ("float32", "float32"), ("bfloat16", "bfloat16"), ("onnxruntime", "float32")]
    return {
        "users": users,
        "facts_of_each": facts,
        "texts_a_second": middle,
        "spread": {name: [min(some), max(some)] for name, some in times.items()},
        "ratios": {
            f"job {job} / bare {by}": round(middle[f"job {job}"] / middle[f"bare {by}"], 2) for job, by in pairs
        },
    }


async def whole_job(model: EmbeddingModel, users: int, facts: int) -> float:
    """Texts a second, from the plan to the last switch; loading the model is not in it."""
    with tempfile.TemporaryDirectory() as folder:
        async with SemanticMemory.open(Settings(path=Path(folder)), embedding=HashEmbeddingModel()) as memory:
            await fill(memory, users, facts)
            await model.embed_documents(["warm"])
            report = await jobs.reembed(memory, model)
            assert not report.failed, report.failed[0]
    await model.close()
    return round(report.texts / report.seconds, 1)


def bare(texts: list[str], precision: str) -> float:
    """Texts a second of what `encode` does with all texts at once; it sorts them by length itself."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(verified_folder()), device="cpu", model_kwargs={"dtype": precision})
    model.encode(texts[:64], show_progress_bar=False)
    began = time.perf_counter()
    model.encode(texts, show_progress_bar=False, normalize_embeddings=True)
    return round(len(texts) / (time.perf_counter() - began), 1)


async def latency(users: int, facts: int) -> dict[str, Any]:
    """Recalls of the bundled model while another process re-embeds the same memory on torch."""
    with tempfile.TemporaryDirectory() as folder:
        async with SemanticMemory.open(Settings(path=Path(folder), open_folders=users)) as memory:
            await fill(memory, users, facts)
            await recalls(memory, users, 20)
            await memory._rooms.workroom.drain()
            idle = await recalls(memory, users, 300)
            command = [sys.executable, "-m", "semantic_memory.frontends.cli", "reembed", "--memory", folder, "--json"]
            job = subprocess.Popen(  # noqa: ASYNC220
                [*command, "--model", str(verified_folder())], stdout=subprocess.PIPE, text=True
            )
            assert job.stdout is not None
            await asyncio.to_thread(job.stdout.readline)  # the plan: it begins
            busy = await recalls(memory, users, 300)
            still = job.poll() is None
            job.kill()
            job.communicate()
    return {
        "idle_ms": round(statistics.median(idle), 2),
        "during_ms": round(statistics.median(busy), 2),
        "ratio": round(statistics.median(busy) / statistics.median(idle), 2),
        "job_outlasted_the_recalls": still,
    }


async def recalls(memory: SemanticMemory, users: int, count: int) -> list[float]:
    times = []
    for number in range(count):
        began = time.perf_counter()
        await memory.user(f"user-{number % users}").recall(f"What is my sister allergic to in year {number}?")
        times.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(0.01)
    return times


async def peak(facts: int) -> dict[str, Any]:
    """The most memory that this process has held, before the job and after it, in MB."""
    with tempfile.TemporaryDirectory() as folder:
        small = HashEmbeddingModel(dimension=8)
        async with SemanticMemory.open(Settings(path=Path(folder)), embedding=small) as memory:
            await fill(memory, facts // 500, 500)
        command = [sys.executable, __file__, "one-job", "--folder", folder]
        job = await asyncio.to_thread(subprocess.run, command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(job.stdout)
    return found


async def one_job(folder: Path) -> dict[str, Any]:
    async with SemanticMemory.open(Settings(path=folder), embedding=HashEmbeddingModel(dimension=8)) as memory:
        report = await jobs.reembed(memory, HashEmbeddingModel(dimension=384))
    return {
        "peak_mb": round(most_resident()),
        "texts_a_second": round(report.texts / report.seconds),
        "failed": len(report.failed),
    }


def most_resident() -> float:
    """The most memory that this process has held, in MB; `ru_maxrss` would count what its parent held before."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", default=["throughput", "latency", "memory"])
    parser.add_argument("--users", type=int, default=8)
    parser.add_argument("--facts", type=int, default=250)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    if given.parts == ["one-job"]:
        print(json.dumps(await one_job(given.folder)))
        return
    found: dict[str, Any] = {}
    for part in given.parts:
        if part == "memory":
            found[part] = {f"{size:,} facts": await peak(size) for size in SIZES}
        else:
            found[part] = await {"throughput": throughput, "latency": latency}[part](given.users, given.facts)
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    asyncio.run(main())
