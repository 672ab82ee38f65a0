"""What is measured. Each scene returns figures; what it is compared with is timed in the same run, in turns."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agents import Agent
from agents.run_config import CallModelData, ModelInputData

from benchmarks import people
from benchmarks.beside import beside
from benchmarks.figures import Times, disk, handles, resident
from benchmarks.server import callers
from semantic_memory import SemanticMemory, Settings, UserMemory
from semantic_memory.embedding import Fingerprint
from semantic_memory.embedding.bundled import DIMENSION, NAME, SHA256
from semantic_memory.ledger.database import Database

MODEL = Fingerprint(name=NAME, weights=SHA256, dimension=DIMENSION)
WARM_UP = 10  # calls that aren't counted

Figures = dict[str, Any]


async def settled(folder: Path, users: int, facts_each: int) -> Path:
    """A memory's folder with so many users of so many facts, written through the ledger."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240
    await people.settle(Database.in_file(folder / "ledger.db"), users, facts_each, MODEL)
    return folder


async def warm(user: UserMemory) -> None:
    """Have Chroma answer this user's recalls."""
    for question in people.questions(600, seed=99):
        if (await user.recall(question)).answered_by == "index":
            break
        await user._rooms.workroom.drain()
    for question in people.questions(WARM_UP, seed=98):
        await user.recall(question)


async def hooked(user: UserMemory, question: str) -> None:
    """What a run waits for: the filter before its first model call."""
    said = ModelInputData(input=[{"role": "user", "content": question}], instructions="Be brief.")
    filter_ = user.run_config().call_model_input_filter
    await filter_(CallModelData(model_data=said, agent=Agent(name="helper"), context=None))


async def recall(root: Path, *, turns: int = 60, sizes: tuple[int, ...] = (100, 1_000, 10_000)) -> Figures:
    """The hook and a bare recall, for a warm user of each size, and a first touch of 1,000 facts."""
    times = Times()
    async with beside("floor", root / "floor") as floor, contextlib.AsyncExitStack() as stack:
        users = {}
        for size in sizes:
            memory = await stack.enter_async_context(SemanticMemory.open(await settled(root / str(size), 1, size)))
            users[size] = memory.user("user-0")
            await warm(users[size])
        cold = await stack.enter_async_context(SemanticMemory.open(await settled(root / "cold", turns, 1_000)))
        await cold.user("nobody").recall("Is anybody there?")
        both = zip(people.questions(turns), people.questions(turns, seed=97), strict=True)  # nothing is asked twice
        for number, (question, another) in enumerate(both):
            times.add("floor", await floor("encode", question))
            times.add("floor", await floor("encode", another))
            for size, user in users.items():
                await times.of(f"recall, {size} facts", user.recall(question))
                await times.of(f"hook, {size} facts", hooked(user, another))
            await times.of("first touch, 1000 facts", cold.user(f"user-{number}").recall(question))
            await cold._rooms.workroom.drain()
        receipts = [receipt for user in users.values() for receipt in await user.receipts(limit=2 * turns)]
    by_index = sum(receipt.answered_by == "index" for receipt in receipts) / len(receipts)
    return {"times": times.table("floor"), "answered_by_index": round(by_index, 3)}


async def remember(root: Path, *, turns: int = 60, count: int = 10_000) -> Figures:
    """One statement, durable and recallable, beside `encode(text)`; and many, beside a batched encode."""
    times = Times()
    async with (
        beside("floor", root / "floor") as floor,
        SemanticMemory.open(await settled(root / "ours", 1, 1_000)) as memory,
    ):
        user = memory.user("user-0")
        await warm(user)
        for number, text in enumerate(people.statements(turns + WARM_UP, seed=7)):
            took = await floor("encode", text), await _timed(user.remember(text))
            await memory._rooms.workroom.drain()
            if number >= WARM_UP:
                times.add("floor", took[0])
                times.add("remember", took[1])
        many = people.statements(count, seed=8)
        bare = count / await floor("encode_many", many) * 1000
        ours = count / await _timed(memory.user("new").remember_all(many)) * 1000
    batch = {"bare_per_second": round(bare), "ours_per_second": round(ours), "ratio": round(ours / bare, 2)}
    return {"times": times.table("floor"), f"batch of {count}": batch}


async def learn(root: Path, *, turns: int = 30) -> Figures:
    """A learn pass over one new message and its answer, without a language model, beside `encode(text)`."""
    from agents import SQLiteSession

    times = Times()
    async with (
        beside("floor", root / "floor") as floor,
        SemanticMemory.open(await settled(root / "ours", 1, 1_000)) as memory,
    ):
        user = memory.user("user-0")
        await warm(user)
        session = SQLiteSession("chat")
        for number, text in enumerate(people.statements(turns + WARM_UP, seed=5)):
            await session.add_items([{"role": "user", "content": text}, {"role": "assistant", "content": "Noted."}])
            took = await floor("encode", text), await _timed(user.learn(session))
            await memory._rooms.workroom.drain()
            if number >= WARM_UP:
                times.add("floor", took[0])
                times.add("learn", took[1])
        session.close()
    return {"times": times.table("floor")}


async def rivals(root: Path, *, turns: int = 60, facts: int = 1_000, mem0: str = sys.executable) -> Figures:
    """This library, bare Chroma and mem0 with the same model and the same facts: times, and how often the
    statement that a question is about is among the first ten."""
    times, found = Times(), dict.fromkeys(("ours", "bare Chroma", "mem0"), 0)
    asked = people.asked_about(facts, turns)
    texts = people.statements(facts)
    for name in ("floor", "mem0"):
        (root / name).mkdir()
    async with (
        beside("floor", root / "floor") as floor,
        beside("mem0", root / "mem0", mem0) as other,
        SemanticMemory.open(Settings(path=root / "ours")) as memory,
    ):
        ada = memory.user("ada")
        await ada.remember_all(texts)
        await warm(ada)
        await floor("add", texts)
        await other("add", texts)
        for text in people.statements(turns, seed=3):
            times.add("floor", await floor("encode", text))
            times.add("add: bare Chroma", await floor("add", [text]))
            times.add("add: mem0", await other("add", [text]))
            await times.of("add: ours", ada.remember(text))
            await memory._rooms.workroom.drain()
        for question, answer in asked:
            await floor("encode", question)
            bare, theirs = await floor.ask("search", question), await other.ask("search", question)
            with times.time("search: ours"):
                ours = await ada.recall(question, limit=10, max_tokens=4_000, min_relevance=0.0)
            times.add("search: bare Chroma", bare["ms"])
            times.add("search: mem0", theirs["ms"])
            found["ours"] += answer in [one.fact.text for one in ours.facts]
            found["bare Chroma"] += answer in bare["found"]
            found["mem0"] += answer in theirs["found"]
    ratios = {
        "mem0 search / our recall": round(times.median("search: mem0") / times.median("search: ours"), 2),
        "mem0 add / our remember": round(times.median("add: mem0") / times.median("add: ours"), 2),
    }
    at_10 = {name: round(count / len(asked), 3) for name, count in found.items()}
    return {"times": times.table("floor"), "ratios": ratios, "recall@10": at_10}


async def concurrent(root: Path, *, turns: int = 20, callers: int = 16) -> Figures:
    """Recalls of many callers at once, of different users, beside those of one caller after another."""
    times = Times()
    async with SemanticMemory.open(await settled(root / "ours", callers, 100)) as memory:
        users = [memory.user(f"user-{number}") for number in range(callers)]
        for user in users:
            await warm(user)
        for question in people.questions(turns):
            with times.time("one after another"):
                for user in users:
                    await user.recall(question)
            with times.time("at once"):
                await asyncio.gather(*(user.recall(f"{question} {user.user_id}") for user in users))
        pause = await _longest_pause(users)
    gain = times.median("one after another") / times.median("at once")
    return {"times": times.table(), "throughput_ratio": round(gain, 2), "longest_pause_of_the_loop_ms": pause}


async def users(root: Path, *, turns: int = 40, many: int = 10_000, few: int = 100, touch: int = 1_000) -> Figures:
    """Recall and remember in a store of many users beside one of few; disk, and memory for users touched in turn."""
    times = Times()
    began = time.perf_counter()
    large, small = await settled(root / "many", many, 100), await settled(root / "few", few, 100)
    seeding = time.perf_counter() - began
    ledger = disk(large)
    async with SemanticMemory.open(large) as crowded, SemanticMemory.open(small) as quiet:
        stores = {f"{many} users": (crowded, many), f"{few} users": (quiet, few)}
        texts = people.statements(turns + 1, seed=4)
        for turn, question in enumerate(people.questions(turns + 1, seed=6)):
            for name, (memory, count) in stores.items():
                user = memory.user(f"user-{turn * (count // (turns + 1)) % count}")
                took = [await _timed(user.recall(question))]
                await memory._rooms.workroom.drain()
                took += [await _timed(user.recall(f"{question} Again.")), await _timed(user.remember(texts[turn]))]
                await memory._rooms.workroom.drain()
                if turn:
                    for verb, one in zip(("first touch", "recall", "remember"), took, strict=True):
                        times.add(f"{verb}, {name}", one)
        await quiet.user("user-0").recall("warm")
        before = {"resident_mb": resident(), "handles": handles(), "threads": _threads()}
        highest = dict(before)
        started = time.perf_counter()
        for number in range(touch):
            await crowded.user(f"user-{many - 1 - number}").recall("What about the night train?")
            now = {"resident_mb": resident(), "handles": handles(), "threads": _threads()}
            highest = {key: max(highest[key], value) for key, value in now.items()}
        await crowded._rooms.workroom.drain()
        touched = (time.perf_counter() - started) / max(touch, 1) * 1000
        folders = [path for path in (large / "index").iterdir() if path.is_dir()]
        each = sum(map(disk, folders)) / len(folders)
    ratios = {
        verb: round(times.median(f"{verb}, {many} users") / times.median(f"{verb}, {few} users"), 2)
        for verb in ("first touch", "recall", "remember")
    }
    kilobytes = (ledger / many + each) / 100 / 1024
    return {
        "times": times.table(),
        "ratios": ratios,
        "seeding_s": round(seeding),
        "kb_per_fact": {
            "all": round(kilobytes, 2),
            "ledger": round(ledger / many / 102400, 2),
            "index": round(each / 102400, 2),
            "index_folders_measured": len(folders),
        },
        f"more_for_{touch}_users_touched": {key: round(highest[key] - before[key], 1) for key in before},
        "ms_for_each_touched": round(touched, 1),
    }


async def heavy(root: Path, *, turns: int = 20, facts: int = 100_000) -> Figures:
    """One user of very many facts."""
    times = Times()
    folder = await settled(root / "ours", 1, facts)
    async with beside("floor", root / "floor") as floor, SemanticMemory.open(folder) as memory:
        user = memory.user("user-0")
        await memory.user("nobody").recall("Is anybody there?")
        await times.of("first touch", user.recall("What about the night train?"))
        began = time.perf_counter()
        await memory._rooms.workroom.drain()
        index = time.perf_counter() - began
        other = asyncio.ensure_future(user.recall("What about the book club?"))
        for number, question in enumerate(people.questions(turns)):
            times.add("floor", await floor("encode", question))
            await times.of("recall", user.recall(question))
            await times.of("remember", user.remember(f"My locker at the station is number {number}."))
            await times.of("recall of another user meanwhile", memory.user("bob").recall(question))
        await other
    return {"times": times.table("floor"), "index_built_s": round(index, 1)}


async def imports(root: Path, *, turns: int = 7) -> Figures:
    """Whole processes: an import, a listing of facts, a recall; compiled before, as an installed package is."""
    folder = await settled(root / "ours", 1, 100)
    command, where = ("-m", "semantic_memory.frontends.cli"), ("--memory", str(folder))
    processes = {
        "python -c pass": ("-c", "pass"),
        "import semantic_memory": ("-c", "import semantic_memory"),
        "semantic-memory facts": (*command, "facts", "user-0", *where),
        "semantic-memory recall": (*command, "recall", "user-0", "the night train", *where),
    }
    environment = os.environ | {"PYTHONPYCACHEPREFIX": str(root / "compiled"), "PYTHONDONTWRITEBYTECODE": ""}
    for arguments in processes.values():
        _process(Times(), "compiles", environment, *arguments)
    times = Times()
    for _ in range(turns):
        for name, arguments in processes.items():
            _process(times, name, environment, *arguments)
    loaded = "import sys, semantic_memory; print([m for m in ('torch', 'chromadb', 'sqlalchemy') if m in sys.modules])"
    seen = subprocess.run(  # noqa: ASYNC221
        [sys.executable, "-c", loaded], check=True, capture_output=True, text=True
    )
    own = times.median("import semantic_memory") - times.median("python -c pass")
    return {"times": times.table(), "import_alone_ms": round(own, 1), "loaded_by_import": seen.stdout.strip()}


async def server(root: Path, *, turns: int = 40, many: int = 10_000, url: str = "") -> Figures:
    """A Chroma server with a collection for each of many users: what one of them waits for."""
    from semantic_memory.index import Place, ServerIndex

    times, index = Times(), ServerIndex(url)
    rows = people.vectors(100, DIMENSION)
    vectors = [(f"fact-{number}", row) for number, row in enumerate(rows)]
    await index.prepare()
    found = {}
    for number in range(many):
        place = Place(user_key=f"bench{os.getpid()}-{number}", generation="g", dimension=DIMENSION)
        with times.time(f"build, users {number // 1000 * 1000} and on"):
            await index.rebuild(place, vectors, 1)
        found[number] = place
        if number + 1 in (100, 1_000, many):
            for turn in range(turns):
                one = found[turn * (number + 1) // turns]
                await times.of(f"query at {number + 1} users", index.nearest(one, rows[turn], 10))
                await times.of(f"again at {number + 1} users", index.nearest(one, rows[turn], 10))
                fact = [(f"more-{number}-{turn}", rows[turn])]
                await times.of(f"write at {number + 1} users", index.apply(one, upserts=fact, deletes=[], revision=2))
    await index.close()
    return {"times": times.table()}


def _process(times: Times, name: str, environment: Mapping[str, str], *arguments: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with times.time(name):
        subprocess.run([sys.executable, *arguments], env=environment, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    times.add(f"{name}, processor time", used * 1000)


async def _timed(work: Any) -> float:
    began = time.perf_counter()
    await work
    return (time.perf_counter() - began) * 1000


async def _longest_pause(users: list[UserMemory]) -> float:
    """For how long the caller's event loop stood still while all users wrote and recalled."""
    work = asyncio.gather(*(user.remember_all(people.statements(20, seed=11)) for user in users))
    longest, last = 0.0, time.perf_counter()
    while not work.done():
        await asyncio.sleep(0.001)
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    await work
    return round(longest * 1000, 1)


def _threads() -> int:
    return len(os.listdir("/proc/self/task"))


SCENES = {
    scene.__name__: scene
    for scene in (recall, remember, learn, rivals, concurrent, users, heavy, imports, server, callers)
}
