"""The embedded index: names, ownership, the pool's bound, erasure, and what a killed process leaves."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest

from semantic_memory.errors import IndexFailed, IndexLocked
from semantic_memory.index import FolderIndex, Place, chroma
from semantic_memory.index.pool import Pool
from semantic_memory.index.workers import Workers
from tests import processes
from tests.vectors import items, unit_vectors

PLACE = Place(user_key="ada", generation="g1", dimension=32)


def place(number: int) -> Place:
    return Place(user_key=f"user-{number}", generation="g1", dimension=32)


@pytest.fixture
def root(tmp_path) -> Path:
    return tmp_path / "index"


@pytest.fixture
async def index(root):
    index = FolderIndex(root)
    yield index
    await index.close()


def files(root: Path) -> list[Path]:
    """Every file below it, also while another process removes some."""
    return [Path(folder, name) for folder, _, names in os.walk(root) for name in names]


def occurrences(root: Path, vector: np.ndarray) -> int:
    return sum(path.read_bytes().count(vector.astype(np.float32).tobytes()) for path in files(root))


def open_handles(root: Path) -> int:
    targets = []
    for handle in Path("/proc/self/fd").iterdir():
        try:
            targets.append(str(handle.readlink()))
        except FileNotFoundError:
            continue
    return sum(target.startswith(str(root)) for target in targets)


async def eventually(condition, seconds: float = 3.0) -> float:
    """Wait until it holds; how long that took."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "it never came true"
        await asyncio.sleep(0.02)
    return time.monotonic() - start


class TestNames:
    def test_a_name_tells_nothing_and_is_always_the_same(self):
        assert PLACE.name == Place(user_key="ada", generation="g1", dimension=32).name
        assert "ada" not in PLACE.name
        assert len(PLACE.name) == 49

    def test_generations_of_a_user_share_the_first_half_only(self):
        names = {
            Place(user_key=user, generation=generation, dimension=dimension).name
            for user in ("ada", "bob")
            for generation in ("g1", "g2")
            for dimension in (8, 16)
        }
        assert len(names) == 8
        assert len({name.partition("-")[0] for name in names}) == 2

    def test_importing_the_room_loads_neither_chroma_nor_the_lock_library(self):
        code = "say([name for name in ('chromadb', 'filelock', 'torch') if name in sys.modules])"
        assert processes.run(code) == ["[]"]

    async def test_an_environment_that_speaks_to_chroma_is_not_heard(self, root, tmp_path):
        env = {"PERSIST_DIRECTORY": str(tmp_path / "stray"), "IS_PERSISTENT": "false", "ALLOW_RESET": "true"}
        code = """
            index = FolderIndex(sys.argv[1])
            place = Place(user_key="ada", generation="g1", dimension=32)
            await index.rebuild(place, items(3), 1)
            from semantic_memory.index.chroma import _settings
            say(_settings().allow_reset, await index.count(place))
            await index.close()
        """
        with pytest.MonkeyPatch.context() as patch:
            for name, value in env.items():
                patch.setenv(name, value)
            assert processes.run(code, root) == ["False 3"]
        assert not (tmp_path / "stray").exists()


class TestPool:
    async def test_a_bounded_number_of_folders_is_open(self, root):
        index = FolderIndex(root, open_folders=4)
        places = [place(n) for n in range(80)]
        for n, each in enumerate(places):
            await index.rebuild(each, items(2, seed=n), n)
            assert sum(index.watermark(other) is not None for other in places[max(0, n - 8) : n + 1]) <= 4
            if n == 20:
                threads = len(os.listdir("/proc/self/task"))
        assert 4 * 3 <= open_handles(root) <= 4 * 20
        assert sum(index.watermark(other) is not None for other in places) == 4
        # The threads of a folder that was closed end behind its back; one that stayed of each would make 59 more.
        # The process may begin and end some others meanwhile, that earlier tests and Chroma's own pools keep.
        await eventually(lambda: len(os.listdir("/proc/self/task")) <= threads + 20, seconds=10)
        assert await index.open(places[0]) == 0
        assert (await index.nearest(places[0], items(2, seed=0)[1][1], 1))[0].fact_id == "fact-1"
        await index.close()
        await eventually(lambda: open_handles(root) == 0)  # the last ones too are closed behind its back

    async def test_the_least_recently_used_is_closed_first(self, root):
        index = FolderIndex(root, open_folders=2)
        for n in (1, 2):
            await index.rebuild(place(n), items(2), n)
        await index.nearest(place(1), unit_vectors(1)[0], 1)
        await index.rebuild(place(3), items(2), 3)
        assert [index.watermark(place(n)) for n in (1, 2, 3)] == [1, None, 3]
        await index.close()

    def test_a_folder_in_use_is_not_closed(self, root):
        workers = Workers()
        pool = Pool(root, 1, workers)

        def in_its_lane(each: Place) -> None:
            workers.run_if_idle(each.name, lambda: pool.rebuild(each, items(2), 1))

        in_its_lane(place(1))
        with pool.reading(place(1).name) as facts:
            in_its_lane(place(2))
            assert pool.names() == {place(1).name, place(2).name}
            assert facts.count() == 2
        in_its_lane(place(3))
        assert pool.names() == {place(3).name}
        pool.let_go(place(3).name)
        workers.close()

    def test_closing_waits_for_those_who_read(self, root):
        workers = Workers()
        pool = Pool(root, 1, workers)
        workers.run_if_idle(PLACE.name, lambda: pool.rebuild(PLACE, items(2), 1))
        with pool.reading(PLACE.name) as facts:
            closing = workers.queue(PLACE.name, "close", lambda: pool.let_go(PLACE.name))
            with pytest.raises(TimeoutError):
                closing.result(timeout=0.3)
            assert pool.watermark(PLACE.name) is None
            assert facts.count() == 2
        closing.result(timeout=3)
        workers.close()

    async def test_readers_never_meet_a_folder_closed_under_them(self, root):
        index = FolderIndex(root, open_folders=1)
        for n in range(3):
            await index.rebuild(place(n), items(20), n)
        answered, opening = 0, True

        async def read() -> None:
            nonlocal answered
            turn = 0
            while opening:
                turn += 1
                if index.watermark(place(turn % 3)) is not None:
                    with suppress(IndexFailed):  # closed since
                        found = await index.nearest(place(turn % 3), unit_vectors(20)[7], 1)
                        assert found[0].fact_id == "fact-7"
                        answered += 1
                await asyncio.sleep(0.001)

        async def open_in_turn() -> None:
            nonlocal opening
            for turn in range(60):
                assert await index.open(place(turn % 3)) == turn % 3
                await asyncio.sleep(0.005)
            opening = False

        await asyncio.gather(read(), read(), open_in_turn())
        assert answered
        await index.close()


class TestOwnership:
    async def test_a_second_owner_is_refused_at_once(self, root, tmp_path, index):
        await index.rebuild(PLACE, items(3), 1)
        (tmp_path / "alias").symlink_to(root)
        for spelling in (root, tmp_path / "alias", tmp_path / "x" / ".." / "index"):
            other = FolderIndex(spelling)
            start = time.monotonic()
            with pytest.raises(IndexLocked):
                await other.open(PLACE)
            with pytest.raises(IndexLocked):
                await other.rebuild(PLACE, [], 2)
            assert time.monotonic() - start < 1
            assert other.watermark(PLACE) is None
            assert "another process" in (await other.check(PLACE))[0]
            await other.close()
        assert await index.count(PLACE) == 3

    async def test_a_second_process_is_refused_and_takes_over_after_a_kill(self, root):
        owner = processes.start(
            """
            index = FolderIndex(sys.argv[1])
            place = Place(user_key="ada", generation="g1", dimension=32)
            await index.rebuild(place, items(30), 4)
            say("mine")
            sys.stdin.readline()
            """,
            root,
        )
        assert owner.stdout.readline() == "mine\n"
        index = FolderIndex(root)
        start = time.monotonic()
        with pytest.raises(IndexLocked):
            await index.open(PLACE)
        assert time.monotonic() - start < 1
        processes.kill(owner)
        assert await index.open(PLACE) == 4
        assert await index.check(PLACE) == []
        await index.close()

    async def test_a_relative_root_stays_where_it_was(self, root, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        index = FolderIndex("index")
        monkeypatch.chdir("/")
        await index.rebuild(PLACE, items(3), 1)
        await index.close()
        assert (root / PLACE.name).exists()

    async def test_closing_lets_the_next_process_in(self, root, index):
        await index.rebuild(PLACE, items(3), 1)
        await index.close()
        other = FolderIndex(root)
        assert await other.open(PLACE) == 1
        await other.close()

    @pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
    def test_a_child_forked_after_use_is_refused_instead_of_hanging(self, root):
        code = """
            import os
            index = FolderIndex(sys.argv[1])
            place = Place(user_key="ada", generation="g1", dimension=32)
            await index.rebuild(place, items(30), 4)
            await index.close()
            if child := os.fork():
                say("child", os.waitpid(child, 0)[1])
                index = FolderIndex(sys.argv[1])
                say("parent", await index.open(place), await index.check(place))
                await index.close()
            else:
                status = 1
                try:
                    asyncio._set_running_loop(None)
                    asyncio.run(FolderIndex(sys.argv[1]).open(place))
                except IndexFailed as error:
                    status = 0 if "fork" in str(error) else 2
                finally:
                    os._exit(status)
        """
        assert processes.run(code, root) == ["child 0", "parent 4 []"]


WRITER = """
    index = FolderIndex(sys.argv[1])
    place = Place(user_key="ada", generation="g1", dimension=32)
    revision = await index.open(place)
    if revision is None:
        await index.rebuild(place, [], 0)
        revision = 0
    rows = items(5000)
    while True:
        revision += 1
        await index.apply(place, upserts=rows[revision - 1 : revision], deletes=[], revision=revision)
        say(revision)
"""


class TestKilledProcesses:
    async def test_what_was_acknowledged_is_there_after_a_kill(self, root):
        acknowledged = 0
        for cycle in range(4):
            writer = processes.start(WRITER, root)
            for _ in range(10 + 7 * cycle):
                acknowledged = int(writer.stdout.readline())
            processes.kill(writer)
            index = FolderIndex(root)
            revision = await index.open(PLACE)
            assert revision is not None
            assert revision >= acknowledged
            assert await index.check(PLACE) == []
            assert await index.count(PLACE) in (revision, revision + 1)
            rows = items(revision)
            found = [(await index.nearest(PLACE, row, 1))[0].fact_id for _, row in rows[:: max(1, revision // 10)]]
            assert found == [fact_id for fact_id, _ in rows[:: max(1, revision // 10)]]
            await index.close()

    async def test_a_build_that_was_killed_is_no_build(self, root):
        builder = processes.start(
            """
            index = FolderIndex(sys.argv[1])
            place = Place(user_key="ada", generation="g1", dimension=32)
            await index.rebuild(place, items(10), 1)
            say("first")
            await index.rebuild(place, items(3000), 2)
            """,
            root,
        )
        assert builder.stdout.readline() == "first\n"
        await eventually(lambda: (root / f"{PLACE.name}.new").exists())
        processes.kill(builder)
        index = FolderIndex(root)
        assert await index.open(PLACE) == 1
        assert await index.check(PLACE) == []
        assert [path.name for path in root.iterdir() if not path.name.startswith(".")] == [PLACE.name]
        await index.close()

    async def test_a_swap_that_was_killed_asks_for_a_rebuild(self, root, index):
        await index.rebuild(PLACE, items(10), 1)
        await index.close()
        (root / PLACE.name).rename(root / f"{PLACE.name}.old")
        shutil.copytree(root / f"{PLACE.name}.old", root / f"{PLACE.name}.new")
        again = FolderIndex(root)
        assert await again.open(PLACE) is None
        await again.rebuild(PLACE, items(10), 1)
        assert [path.name for path in root.iterdir() if not path.name.startswith(".")] == [PLACE.name]
        await again.close()


class TestErasure:
    @pytest.mark.parametrize("count", [50, 3_200])
    async def test_no_byte_of_a_dropped_vector_is_left(self, root, index, count):
        rows = items(count)
        await index.rebuild(PLACE, rows, 1)
        await index.apply(PLACE, upserts=items(count + 5)[count:], deletes=["fact-1"], revision=2)
        assert occurrences(root, rows[3][1])
        assert await index.drop(PLACE)
        assert all(occurrences(root, vector) == 0 for _, vector in rows[:50])
        assert files(root) == []

    async def test_no_byte_of_a_forgotten_vector_is_left_after_a_rebuild(self, root, index):
        rows = items(50)
        await index.rebuild(PLACE, rows, 1)
        await index.apply(PLACE, upserts=[], deletes=["fact-7"], revision=2)
        assert occurrences(root, rows[7][1]), "Chroma's delete leaves the bytes, so the rebuild is what is tested"
        await index.rebuild(PLACE, rows[:7] + rows[8:], 2)
        assert occurrences(root, rows[7][1]) == 0
        assert occurrences(root, rows[8][1])

    async def test_a_quarantined_copy_goes_with_a_rebuild_and_with_a_drop(self, root, index):
        for ending in ("rebuild", "drop"):
            await index.rebuild(PLACE, items(50), 1)
            await index.close()
            index = FolderIndex(root)
            (root / PLACE.name / "seal.json").write_text("{}")
            assert await index.open(PLACE) is None
            assert occurrences(root, items(50)[7][1])
            assert "quarantine" in (await index.check(PLACE))[0]
            await (index.drop(PLACE) if ending == "drop" else index.rebuild(PLACE, items(1), 2))
            assert occurrences(root, items(50)[7][1]) == 0
        await index.close()

    async def test_another_process_lets_go_within_a_second(self, root):
        owner = processes.start(
            """
            index = FolderIndex(sys.argv[1])
            place = Place(user_key="ada", generation="g1", dimension=32)
            await index.rebuild(place, items(30), 4)
            say("mine")
            while index.watermark(place) is not None:
                await asyncio.sleep(0.01)
            while True:
                try:
                    say("let go", await index.open(place))
                    break
                except IndexLocked:  # who removes it holds it still
                    await asyncio.sleep(0.01)
            await index.close()
            """,
            root,
        )
        assert owner.stdout.readline() == "mine\n"
        index = FolderIndex(root)
        start = time.monotonic()
        assert await index.drop(PLACE)
        assert time.monotonic() - start < 1
        assert owner.communicate(timeout=10)[0] == "let go None\n"
        await index.close()
        assert not (root / PLACE.name).exists()

    async def test_a_hanging_owner_is_reported_and_lets_go_when_it_wakes(self, root):
        owner = processes.start(
            """
            index = FolderIndex(sys.argv[1])
            place = Place(user_key="ada", generation="g1", dimension=32)
            await index.rebuild(place, items(30), 4)
            say("mine")
            await asyncio.sleep(60)
            """,
            root,
        )
        assert owner.stdout.readline() == "mine\n"
        owner.send_signal(signal.SIGSTOP)
        index = FolderIndex(root)
        start = time.monotonic()
        assert await index.drop(PLACE) is False
        assert 0.5 < time.monotonic() - start < 2
        assert (root / PLACE.name).exists()
        await index.close()
        owner.send_signal(signal.SIGCONT)
        assert await eventually(lambda: files(root) == []) < 1
        processes.kill(owner)

    async def test_a_request_that_outlived_its_process_is_honoured_by_whoever_comes(self, root, index):
        await index.rebuild(PLACE, items(30), 1)
        await index.close()
        (root / ".drops").mkdir(exist_ok=True)
        (root / ".drops" / PLACE.name).touch()
        later = FolderIndex(root)
        assert await later.open(place(2)) is None
        await eventually(lambda: not (root / PLACE.name).exists())
        assert await later.open(PLACE) is None
        await later.close()

    async def test_a_sweep_removes_what_belongs_to_nobody(self, root, index):
        for n in range(4):
            await index.rebuild(place(n), items(5), n)
        await index.close()
        shutil.copytree(root / place(3).name, root / f"{place(3).name}.quarantine")
        holder = FolderIndex(root)
        await holder.open(place(2))
        other = FolderIndex(root)
        assert await other.names() == {place(n).name for n in range(4)}
        assert await other.sweep([place(0)]) == sorted([place(1).name, place(3).name])
        assert {path.name for path in root.iterdir() if path.name[0] != "."} == {place(0).name, place(2).name}
        await holder.close()
        await other.close()


@pytest.mark.skipif(sys.platform != "linux", reason="glibc can be told to fill what it hands out")
def test_nothing_that_was_in_memory_before_stays_in_the_files(root, monkeypatch):
    """Chroma writes memory that it never set; here it is full of Zs."""
    monkeypatch.setenv("MALLOC_PERTURB_", str(0xFF - ord("Z")))
    code = """
        place = Place(user_key="ada", generation="g1", dimension=32)
        for closes in (False, True):
            index = FolderIndex(sys.argv[1])
            await index.rebuild(place, items(200), 1)
            await index.apply(place, upserts=items(300)[200:], deletes=[], revision=2)
            if closes:
                await index.close()
                index = FolderIndex(sys.argv[1])
                await index.open(place)
            import pathlib
            say(sum(path.read_bytes().count(b"ZZZZ") for path in pathlib.Path(sys.argv[1]).rglob("*.bin")))
            await index.close()
    """
    assert processes.run(code, root) == ["0", "0"]


async def test_a_new_folder_is_a_copy_of_an_empty_one_that_writes_ahead(tmp_path, monkeypatch):
    monkeypatch.setattr(chroma, "_empty", None)
    chroma.create_folder(tmp_path / "first")
    opened: list[Path] = []
    monkeypatch.setattr(chroma, "open_folder", opened.append)
    chroma.create_folder(tmp_path / "second")
    assert opened == []
    first, second = (tmp_path / name / "chroma.sqlite3" for name in ("first", "second"))
    assert first.read_bytes() == second.read_bytes()
    with closing(sqlite3.connect(second)) as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        assert {"collections", "segments", "embeddings_queue"} < tables
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert database.execute("SELECT count(*) FROM collections").fetchone() == (0,)


async def test_the_graph_is_loaded_by_a_call_that_lets_other_threads_run(root, index, monkeypatch):
    """Of Chroma's calls only `get` and `query` do; whichever comes first after opening loads the graph."""
    from chromadb.api.models.Collection import Collection

    await index.rebuild(PLACE, items(10), 1)
    await index.close()
    shutil.copytree(root, root.with_name("unsealed"))
    (root.with_name("unsealed") / PLACE.name / "seal.json").unlink()
    calls: list[str] = []
    for name in ("get", "query", "count", "upsert", "delete", "modify"):
        call = getattr(Collection, name)
        monkeypatch.setattr(Collection, name, lambda *a, n=name, c=call, **k: (calls.append(n), c(*a, **k))[1])
    for folder in (root, root.with_name("unsealed")):
        calls.clear()
        again = FolderIndex(folder)
        assert await again.open(PLACE) == 1
        assert calls[0] == "get"
        await again.close()
