"""Promise 1: whatever breaks in the memory, the run goes on: in time, with its whole turn, and one word about it."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import math
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from agents import Agent, RunConfig, Runner, SQLiteSession
from agents.testing import ScriptedModel, assistant_message
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from semantic_memory import MemoryUnavailable, SemanticMemory, SemanticMemoryError, Settings, UserMemory
from semantic_memory.embedding import Fingerprint, Matrix
from semantic_memory.extraction.sentences import SentenceExtractor
from semantic_memory.testing import HashEmbeddingModel
from tests.chroma_server import ChromaServer
from tests.trust.children import Child
from tests.trust.counts import FULL, count, note

HETZNER, QUESTION = "My deploy target is Hetzner.", "What is our deploy target?"
MOVED = "I moved to Lisbon last week."
DEADLINE = 0.3
MARGIN = 0.05  # seconds beside the deadline that memory may cost a run
BUSY = count(0.5, 0.0)  # seconds that a busy machine may take more, where there is one run only
FOREVER = 3600


@dataclass
class Breakable:
    """An embedding model and an extractor that work until they are broken."""

    fault: str = ""
    model: HashEmbeddingModel = field(default_factory=HashEmbeddingModel)
    name: str = "hash"
    version: str = "breakable/1"

    async def load(self) -> Fingerprint:
        return await self.model.load()

    async def embed_documents(self, texts: Any) -> Matrix:
        return await self.model.embed_documents(texts)

    async def embed_query(self, text: str) -> Any:
        await self._break("embedding")
        if self.fault == "embedding returns nothing":
            return None
        if self.fault == "embedding returns zeros":
            return (await self.model.embed_query(text)) * 0
        return await self.model.embed_query(text)

    def count_tokens(self, text: str) -> int:
        return self.model.count_tokens(text)

    async def close(self) -> None:
        await self.model.close()

    async def extract(self, messages: Any, *, known: Any = (), context: Any = ()) -> Any:
        await self._break("extractor")
        if self.fault == "extractor returns junk":
            return {"facts": [None]}
        return await SentenceExtractor().extract(messages)

    async def _break(self, part: str) -> None:
        if self.fault == f"{part} hangs":
            await asyncio.sleep(FOREVER)
        if self.fault == f"{part} hangs and can't be cancelled":
            for _ in range(40):
                try:
                    await asyncio.sleep(0.05)
                except asyncio.CancelledError:
                    continue
        if self.fault == f"{part} blocks its thread":
            time.sleep(0.6)  # noqa: ASYNC251 - that is the fault
        if self.fault == f"{part} raises":
            raise RuntimeError("broken")
        if self.fault == f"{part} is cancelled":
            raise asyncio.CancelledError


@contextmanager
def nothing_broken(memory: SemanticMemory) -> Iterator[None]:
    yield


def index_that(answers: Callable[..., Awaitable[Any]]) -> Callable[[SemanticMemory], AbstractContextManager[None]]:
    @contextmanager
    def broken(memory: SemanticMemory) -> Iterator[None]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(memory._rooms.index, "nearest", answers)
            yield

    return broken


async def hangs(*_: Any) -> Any:
    await asyncio.sleep(FOREVER)


async def raises(*_: Any) -> Any:
    raise RuntimeError("broken")


async def is_cancelled(*_: Any) -> Any:
    raise asyncio.CancelledError


@contextmanager
def at_each_statement(memory: SemanticMemory, act: Callable[[], None]) -> Iterator[None]:
    """The listener stays, because a statement may be going on when the fault ends."""
    broken = True

    def act_while_broken(*_: Any) -> None:
        if broken:
            act()

    event.listen(memory._rooms.ledger.database.engine, "before_cursor_execute", act_while_broken)
    try:
        yield
    finally:
        broken = False


def ledger_raises(memory: SemanticMemory) -> AbstractContextManager[None]:
    def fail() -> None:
        raise OperationalError("SELECT", {}, sqlite3.OperationalError("disk I/O error"))

    return at_each_statement(memory, fail)


@contextmanager
def ledger_locked(memory: SemanticMemory) -> Iterator[None]:
    other = sqlite3.connect(memory.settings.path / "ledger.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def ledger_hangs(memory: SemanticMemory) -> AbstractContextManager[None]:
    return at_each_statement(memory, lambda: time.sleep(1))


FAULTS: dict[str, Callable[[SemanticMemory], AbstractContextManager[None]]] = {
    "embedding hangs": nothing_broken,
    "embedding hangs and can't be cancelled": nothing_broken,
    "embedding blocks its thread": nothing_broken,
    "embedding raises": nothing_broken,
    "embedding is cancelled": nothing_broken,
    "embedding returns nothing": nothing_broken,
    "embedding returns zeros": nothing_broken,
    "index hangs": index_that(hangs),
    "index raises": index_that(raises),
    "index is cancelled": index_that(is_cancelled),
    "ledger locked": ledger_locked,
    "ledger raises": ledger_raises,
    "ledger hangs": ledger_hangs,
}
UNHARMED = ("ledger locked",)  # for writing: who reads goes on
WITHOUT_AN_ANSWER = ("ledger raises", "ledger hangs", "embedding blocks its thread")


@pytest.fixture
async def breakable() -> Breakable:
    return Breakable()


@pytest.fixture
async def ada(open_memory: Any, breakable: Breakable) -> UserMemory:
    """A user with a fact, whose recalls the index answers."""
    memory = await open_memory(embedding=breakable, extractor=breakable, learn_timeout=0.2, deadline=DEADLINE)
    ada = memory.user("ada")
    await ada.remember(HETZNER)
    await answered_by_the_index(ada)
    return ada


async def answered_by_the_index(user: UserMemory) -> None:
    for _ in range(100):
        if (await user.recall(QUESTION)).answered_by == "index":
            return
        await asyncio.sleep(0.05)
    raise AssertionError("the index never answered")


# ---- the three ways to run -----------------------------------------------------------------------------


def agent() -> Agent[Any]:
    return Agent(name="helper", instructions="Be brief.", model=ScriptedModel([[assistant_message("Hetzner.")]]))


def told(agent: Agent[Any]) -> str:
    assert isinstance(agent.model, ScriptedModel)
    return agent.model.calls[-1].system_instructions or ""


async def run(agent: Agent[Any], session: SQLiteSession, config: RunConfig) -> Any:
    return await Runner.run(agent, QUESTION, session=session, run_config=config)


async def run_sync(agent: Agent[Any], session: SQLiteSession, config: RunConfig) -> Any:
    def work() -> Any:
        try:
            return Runner.run_sync(agent, QUESTION, session=session, run_config=config)
        finally:
            asyncio.get_event_loop_policy().get_event_loop().close()

    return await asyncio.to_thread(work)


async def run_streamed(agent: Agent[Any], session: SQLiteSession, config: RunConfig) -> Any:
    result = Runner.run_streamed(agent, QUESTION, session=session, run_config=config)
    async for _ in result.stream_events():
        pass
    return result


RUNS = {"run": run, "run_sync": run_sync, "run_streamed": run_streamed}


async def timed(run: Any, config: RunConfig) -> tuple[float, Any, Agent[Any], SQLiteSession]:
    own, session = agent(), SQLiteSession("s")
    began = time.perf_counter()
    result = await run(own, session, config)
    return time.perf_counter() - began, result, own, session


RUNS_EACH = count(3, 100)
HEARD = count(1, 95)  # of them, in which the memory answers although something else is broken


def assert_in_time(added: list[float]) -> float:
    """The added p99, in seconds; of a few runs the fastest counts, because a busy machine is late now and then."""
    added = sorted(added)
    p99 = added[math.ceil(0.99 * len(added)) - 1]
    assert (p99 if FULL else added[0]) <= DEADLINE + MARGIN, added
    return p99


async def without_memory(run: Any) -> float:
    """How long a run takes by itself."""
    return min([(await timed(run, RunConfig()))[0] for _ in range(count(2, 10))])


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize("fault", FAULTS)
async def test_the_run_survives(
    ada: UserMemory, breakable: Breakable, caplog: pytest.LogCaptureFixture, run: Any, fault: str
) -> None:
    without = await without_memory(run)
    before = len(await degraded(ada))
    caplog.clear()
    breakable.fault = fault
    added, remembered = [], []
    with FAULTS[fault](ada._memory):
        for _ in range(RUNS_EACH):
            took, result, own, session = await timed(run, ada.run_config())
            added.append(took - without)
            remembered.append("Hetzner" in told(own))
            assert result.final_output == "Hetzner."
            assert [item["role"] for item in await session.get_items()] == ["user", "assistant"]
    note_times(f"{fault} / {run.__name__}", added)
    assert sum(remembered) >= HEARD if fault not in WITHOUT_AN_ANSWER else not any(remembered)
    breakable.fault = ""
    if fault in UNHARMED:
        assert len(await degraded(ada)) == before
        assert warnings(caplog) == []
    elif fault.startswith("index"):
        assert len(warnings(caplog)) == RUNS_EACH
    else:
        assert len(await degraded(ada)) - before == RUNS_EACH


def note_times(what: str, added: list[float]) -> None:
    p99 = assert_in_time(added)
    p50 = sorted(added)[len(added) // 2]
    note(1, what, runs=len(added), added_p50_ms=round(p50 * 1000), added_p99_ms=round(p99 * 1000))


async def learned_run(user: UserMemory, session: SQLiteSession) -> Any:
    return await user.run(agent(), MOVED, session=session)


async def learned_run_sync(user: UserMemory, session: SQLiteSession) -> Any:
    """As in a program without an event loop: the run, and then the learn pass, each on a loop of its own."""

    def work() -> Any:
        result = Runner.run_sync(agent(), MOVED, session=session, run_config=user.run_config())
        asyncio.get_event_loop_policy().get_event_loop().close()
        asyncio.run(user.learn(session, result=result))
        return result

    return await asyncio.to_thread(work)


async def learned_run_streamed(user: UserMemory, session: SQLiteSession) -> Any:
    result = user.run_streamed(agent(), MOVED, session=session)
    async for _ in result.stream_events():
        pass
    return result


LEARNED_RUNS = {"run": learned_run, "run_sync": learned_run_sync, "run_streamed": learned_run_streamed}


@pytest.mark.parametrize("run", LEARNED_RUNS.values(), ids=LEARNED_RUNS)
@pytest.mark.parametrize("fault", ["raises", "hangs", "is cancelled", "returns junk"])
async def test_a_run_of_any_kind_survives_its_extractor(
    ada: UserMemory, breakable: Breakable, caplog: pytest.LogCaptureFixture, run: Any, fault: str
) -> None:
    """The learn pass behind the run fails, says so once, and makes up for it later."""
    breakable.fault, session = f"extractor {fault}", SQLiteSession("s")
    caplog.clear()
    began = time.perf_counter()
    result = await run(ada, session)
    took = time.perf_counter() - began
    await ada._memory._drain()
    assert result.final_output == "Hetzner."
    assert [item["role"] for item in await session.get_items()] == ["user", "assistant"]
    assert len([line for line in warnings(caplog) if "unlearned" in line]) == 1, warnings(caplog)
    assert MOVED not in [fact.text for fact in await ada.facts()]
    assert took < 5  # nobody waits for what hangs
    breakable.fault = ""
    assert not (await ada.learn(session, result=result)).failed
    assert MOVED in [fact.text for fact in await ada.facts()]


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
async def test_the_run_survives_a_corrupt_index(tmp_path: Path, caplog: pytest.LogCaptureFixture, run: Any) -> None:
    async with SemanticMemory.open(tmp_path, embedding=HashEmbeddingModel()) as memory:
        await memory.user("ada").remember(HETZNER)
    for path in (tmp_path / "index").rglob("chroma.sqlite3"):
        path.write_bytes(os.urandom(path.stat().st_size))
    without = await without_memory(run)
    caplog.clear()
    settings = Settings(path=tmp_path, min_relevance=0.05)
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as memory:
        took, result, own, session = await timed(run, memory.user("ada").run_config())
        assert took - without <= DEADLINE + MARGIN + BUSY
        assert result.final_output == "Hetzner."
        assert "Hetzner" in told(own)
        assert len(await session.get_items()) == 2
    assert [line for line in warnings(caplog) if "set aside" in line] == warnings(caplog)
    assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
async def test_the_run_survives_an_index_server_that_goes_down(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, run: Any
) -> None:
    with ChromaServer(tmp_path / "chroma") as server:
        settings = Settings(path=tmp_path / "memory", chroma_url=server.url, min_relevance=0.05)
        async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as memory:
            ada = memory.user("ada")
            await ada.remember(HETZNER)
            await answered_by_the_index(ada)
            without, added, remembered = await without_memory(run), [], 0
            server.stop()
            caplog.clear()
            for _ in range(RUNS_EACH):
                took, result, own, session = await timed(run, ada.run_config())
                added.append(took - without)
                remembered += "Hetzner" in told(own)
                assert result.final_output == "Hetzner."
                assert [item["role"] for item in await session.get_items()] == ["user", "assistant"]
            note_times(f"index server down / {run.__name__}", added)
            assert remembered >= HEARD
            # Said once: from then on the ledger answers, and it answers whole.
            assert len([line for line in warnings(caplog) if "did not answer" in line]) == 1
            assert len(await degraded(ada)) <= RUNS_EACH - HEARD


def full_disk(folder: Path) -> None:
    """Mount a small disk of this process's own on the folder."""
    kernel = ctypes.CDLL(None, use_errno=True)
    namespaces = 0x00020000 if os.geteuid() == 0 else 0x10020000  # CLONE_NEWNS, CLONE_NEWUSER
    if kernel.unshare(namespaces) or kernel.mount(b"none", b"/", None, 0x44000, None):  # MS_REC | MS_PRIVATE
        raise OSError(ctypes.get_errno(), "no namespace of its own for this process")
    if kernel.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"size=4m"):
        raise OSError(ctypes.get_errno(), "no disk of its own for this process")


async def live_on_a_full_disk(line: Connection, folder: Path) -> None:
    try:
        full_disk(folder)
    except OSError as error:
        line.send(str(error))
        return
    line.send("mounted")
    settings, kept = Settings(path=folder / "memory", min_relevance=0.05), [HETZNER]
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as memory:
        ada = memory.user("ada")
        await ada.remember(HETZNER)
        await answered_by_the_index(ada)
        ballast = fill(folder)
        try:
            for number in range(1_000):
                text = f"My colleague number {number} is called Ed{number}. " + "He works in the next room. " * 100
                await ada.remember(text)
                kept.append(text)
        except SemanticMemoryError as error:
            line.send(type(error).__name__)
        for kind in RUNS.values():
            without = await without_memory(kind)
            took, result, own, session = await timed(kind, ada.run_config())
            in_time = took - without <= DEADLINE + MARGIN + BUSY
            line.send((result.final_output, "Hetzner" in told(own), len(await session.get_items()), in_time))
        ballast.unlink()
    async with SemanticMemory.open(settings, embedding=HashEmbeddingModel()) as memory:
        facts = [fact.text for fact in await memory.user("ada").facts()]
        line.send((sorted(facts) == sorted(kept), len(kept), (await memory.health(repair=True)).sound))


def fill(folder: Path) -> Path:
    """Take what is left of the disk."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12):
            with suppress(OSError):
                while file.write(b"x" * size) == size:
                    pass
    return ballast


def test_a_full_disk_is_a_typed_error_runs_go_on_and_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    child = Child(live_on_a_full_disk, tmp_path)
    mounted, *said = child.rest()
    if mounted != "mounted":
        pytest.skip(mounted)
    assert said == ["LedgerFailed", *[("Hetzner.", True, 2, True)] * 3, (True, ANY, True)]
    note(1, "disk full / run, run_sync, run_streamed", acknowledged=said[-1][1], kept=said[-1][1], error=said[0])


async def degraded(user: UserMemory) -> list[str]:
    for _ in range(100):  # receipts are written behind the answers, and the ledger may just have come back
        await asyncio.sleep(0.02)
        if not user._rooms.receipts._waiting and not user._rooms.workroom._errands:
            break
    return [receipt.degraded for receipt in await user.receipts() if receipt.degraded]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        record.getMessage()
        for record in caplog.records
        if record.name.startswith("semantic_memory") and record.levelno >= logging.WARNING
    ]


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
@pytest.mark.parametrize(
    "fault", [fault for fault in FAULTS if not fault.startswith("index") and fault not in UNHARMED]
)
async def test_required_memory_raises_before_the_model_is_called(
    ada: UserMemory, breakable: Breakable, run: Any, fault: str
) -> None:
    breakable.fault = fault
    own, session = agent(), SQLiteSession("s")
    with FAULTS[fault](ada._memory), pytest.raises(MemoryUnavailable):
        await run(own, session, ada.run_config(required=True))
    assert isinstance(own.model, ScriptedModel)
    assert not own.model.calls
    breakable.fault = ""


@pytest.mark.parametrize("fault", ["index hangs", "index raises", "index is cancelled", *UNHARMED])
async def test_required_memory_is_there_while_the_ledger_answers(ada: UserMemory, fault: str) -> None:
    own = agent()
    with FAULTS[fault](ada._memory):
        await ada.run(own, QUESTION, required=True, learn="off")
    assert "Hetzner" in told(own)


async def test_a_ledger_that_is_locked_for_writing_still_answers_and_learns_when_it_is_free(
    ada: UserMemory, breakable: Breakable
) -> None:
    session, own = SQLiteSession("s"), agent()
    with ledger_locked(ada._memory):
        began = time.perf_counter()
        said = [{"role": "user", "content": text} for text in ("I moved to Lisbon.", QUESTION)]
        await ada.run(own, said, session=session)
        assert time.perf_counter() - began < 5
        assert "Hetzner" in told(own)
        await asyncio.sleep(0.1)
    await ada._memory._drain()
    assert "I moved to Lisbon." in [fact.text for fact in await ada.facts()]


@pytest.mark.parametrize("learn", ["wait", "background"])
@pytest.mark.parametrize("fault", ["hangs", "raises", "is cancelled", "returns junk"])
async def test_a_run_survives_its_extractor(ada: UserMemory, breakable: Breakable, fault: str, learn: Any) -> None:
    breakable.fault = f"extractor {fault}"
    session = SQLiteSession("s")
    result = await ada.run(agent(), "I moved to Lisbon last week.", session=session, learn=learn)
    await ada._memory._drain()
    assert result.final_output == "Hetzner."
    assert len(await session.get_items()) == 2
    breakable.fault = ""
    await ada.learn(session)
    assert "I moved to Lisbon last week." in [fact.text for fact in await ada.facts()]


async def test_a_run_that_is_cancelled_is_cancelled(ada: UserMemory, breakable: Breakable) -> None:
    breakable.fault = "embedding hangs"
    task = asyncio.ensure_future(ada.run(agent(), QUESTION))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_memory_that_is_closed_does_not_break_a_run(open_memory: Any, tmp_path: Path) -> None:
    async with SemanticMemory.open(tmp_path / "other", embedding=HashEmbeddingModel()) as memory:
        config = memory.user("ada").run_config()
    result = await Runner.run(agent(), QUESTION, run_config=config)
    assert result.final_output == "Hetzner."


async def test_a_context_without_a_user_does_not_break_a_run(open_memory: Any) -> None:
    memory = await open_memory()
    config = memory.run_config(user=lambda context: context["user"])
    assert (await Runner.run(agent(), QUESTION, run_config=config)).final_output == "Hetzner."
    strict = memory.run_config(user=lambda context: context["user"], required=True)
    with pytest.raises(MemoryUnavailable):
        await Runner.run(agent(), QUESTION, run_config=strict)
