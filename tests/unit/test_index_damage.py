"""Damaged folders: the host survives, wrong content is never served, a rebuild heals."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from semantic_memory.errors import IndexFailed
from semantic_memory.index import FolderIndex, Place
from tests import processes
from tests.vectors import items

PLACE = Place(user_key="ada", generation="g1", dimension=32)
SMALL = 200  # all in Chroma's queue
LARGE = 3_300  # with a persisted graph
FACTS = {"small": SMALL, "large": LARGE}
ADDED = {"small": 40, "large": 1_100}  # enough for the graph to be persisted once more


@pytest.fixture(scope="module")
def originals(tmp_path_factory) -> Path:
    """Per size an index root that was closed well, one whose process was killed, and an older closed one."""
    folder = tmp_path_factory.mktemp("originals")
    for size in FACTS:
        code = """
            size, folder, count, added = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
            place = Place(user_key="ada", generation="g1", dimension=32)
            for state in ("closed", "killed"):
                index = FolderIndex(f"{folder}/{state}-{size}")
                await index.rebuild(place, items(count), 1)
                if state == "closed":
                    await index.close()
                    import shutil
                    shutil.copytree(f"{folder}/closed-{size}", f"{folder}/older-{size}")
                    await (index := FolderIndex(f"{folder}/closed-{size}")).open(place)
                rows = items(count + added)
                await index.apply(place, upserts=rows[count:], deletes=["fact-0"], revision=2)
                for _ in range(2 if state == "closed" else 0):  # a new graph is vouched for once it was loaded
                    await index.close()
                    await (index := FolderIndex(f"{folder}/{state}-{size}")).open(place)
                if state == "closed":
                    await index.close()
            say("written")
            sys.stdin.readline()
        """
        process = processes.start(code, size, folder, FACTS[size], ADDED[size])
        assert process.stdout.readline() == "written\n"
        processes.kill(process)
    return folder


@pytest.fixture
def root(tmp_path, originals) -> Callable[[str, str], Path]:
    def copy(state: str, size: str) -> Path:
        return Path(shutil.copytree(originals / f"{state}-{size}", tmp_path / "index"))

    return copy


def expected(size: str) -> list[tuple[str, object]]:
    return items(FACTS[size] + ADDED[size])[1:]


def one(folder: Path, name: str) -> Path:
    (found,) = folder.rglob(name)
    return found


def randomise(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def empty(path: Path) -> None:
    os.truncate(path, 0)


def flip(path: Path) -> None:
    """Sixteen bytes in the middle."""
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(16))


def remove(path: Path) -> None:
    path.unlink()


GRAPH = ["header.bin", "data_level0.bin", "length.bin", "link_lists.bin", "index_metadata.pickle"]


async def self_recall(index: FolderIndex, size: str) -> float:
    """The share of a few hundred facts that are found by their own vectors."""
    rows = expected(size)
    rows = rows[:: 1 + len(rows) // 400]
    found = 0
    for fact_id, vector in rows:
        best = await index.nearest(PLACE, vector, 1)
        found += bool(best) and best[0].fact_id == fact_id
    return found / len(rows)


async def assert_served_whole_or_rebuilt(root: Path, size: str, *, must_notice: bool) -> None:
    """Open it in this very process: what is served is right, and what isn't is refused until a rebuild."""
    index = FolderIndex(root)
    revision = await index.open(PLACE)
    if revision is None:
        with pytest.raises(IndexFailed):
            await index.nearest(PLACE, items(1)[0][1], 1)
        if size == "small":  # a large one takes seconds to build
            await index.rebuild(PLACE, expected(size), 2)
    else:
        assert not must_notice, "it was opened as if nothing had happened"
        assert revision == 2
    if index.watermark(PLACE) is not None:
        assert await index.check(PLACE) == []
        assert await index.count(PLACE) == len(expected(size))
        assert await self_recall(index, size) == 1.0
    await index.close()


@pytest.mark.parametrize("size", FACTS)
@pytest.mark.parametrize("state", ["closed", "killed"])
async def test_an_undamaged_folder_is_opened(root, state, size):
    index = FolderIndex(root(state, size))
    assert await index.open(PLACE) == 2
    assert await self_recall(index, size) == 1.0
    await index.close()


class TestClosedWell:
    """The seal tells every difference, also those that Chroma would not notice."""

    @pytest.mark.parametrize("damage", [randomise, truncate, empty, flip, remove])
    @pytest.mark.parametrize(
        ("size", "name"),
        [
            *(("large", name) for name in ["chroma.sqlite3", *GRAPH]),
            *(("small", name) for name in ["chroma.sqlite3", "header.bin", "data_level0.bin", "length.bin"]),
        ],
    )
    async def test_every_damage_to_every_file_is_noticed(self, root, size, damage, name):
        folder = root("closed", size)
        damage(one(folder, name))
        index = FolderIndex(folder)
        assert await index.open(PLACE) is None
        assert await index.open(PLACE) is None
        assert "rebuild" not in "".join(await index.check(PLACE))
        await index.close()
        assert (folder / f"{PLACE.name}.quarantine").exists()
        assert not (folder / PLACE.name).exists()

    @pytest.mark.parametrize(
        ("size", "part"), [("small", "chroma.sqlite3"), ("large", "chroma.sqlite3"), ("large", "segment")]
    )
    async def test_parts_of_an_older_copy_are_noticed(self, root, originals, size, part):
        folder = root("closed", size)
        older, newer = (next(base.glob("*/chroma.sqlite3")).parent for base in (originals / f"older-{size}", folder))
        if part == "chroma.sqlite3":
            shutil.copy(older / part, newer / part)
        else:
            shutil.rmtree(one(newer, "header.bin").parent)
            segment = one(older, "header.bin").parent
            shutil.copytree(segment, newer / segment.name)
        await assert_served_whole_or_rebuilt(folder, size, must_notice=True)

    @pytest.mark.parametrize("size", FACTS)
    async def test_a_whole_older_copy_shows_its_older_revision(self, root, size):
        index = FolderIndex(root("older", size))
        assert await index.open(PLACE) == 1
        await index.apply(
            PLACE,
            upserts=expected(size)[FACTS[size] - 1 :],
            deletes=["fact-0"],
            revision=2,
            expected_count=len(expected(size)),
        )
        assert await self_recall(index, size) == 1.0
        await index.close()

    @pytest.mark.parametrize("seal", [b"", b"junk", b"{}", b"[1]", b'{"chroma.sqlite3": [1, 2]}'])
    async def test_a_seal_that_says_something_else_is_noticed(self, root, seal):
        folder = root("closed", "small")
        (folder / PLACE.name / "seal.json").write_bytes(seal)
        await assert_served_whole_or_rebuilt(folder, "small", must_notice=True)

    async def test_a_file_too_many_is_noticed(self, root):
        folder = root("closed", "small")
        (folder / PLACE.name / "chroma.sqlite3-journal").write_bytes(os.urandom(512))
        await assert_served_whole_or_rebuilt(folder, "small", must_notice=True)


class TestDamagedWhileOpen:
    """The bytes that are there at closing are not the ones that were loaded: they are not vouched for."""

    @pytest.mark.parametrize("damage", [randomise, truncate])
    @pytest.mark.parametrize("name", ["data_level0.bin", "link_lists.bin", "header.bin"])
    async def test_it_does_not_end_this_process_when_it_is_opened_again(self, root, name, damage):
        folder = root("closed", "large")
        index = FolderIndex(folder)
        assert await index.open(PLACE) == 2
        damage(one(folder, name))
        assert await self_recall(index, "large") == 1.0
        await index.close()
        await assert_served_whole_or_rebuilt(folder, "large", must_notice=False)


class TestKilled:
    """There is no seal: a persisted graph is loaded in another process first, every vector is looked at."""

    @pytest.mark.parametrize("damage", [randomise, truncate, remove])
    @pytest.mark.parametrize("name", GRAPH)
    async def test_a_damaged_graph_does_not_end_this_process(self, root, name, damage):
        folder = root("killed", "large")
        damage(one(folder, name))
        await assert_served_whole_or_rebuilt(folder, "large", must_notice=False)

    @pytest.mark.parametrize("size", FACTS)
    async def test_a_missing_segment_folder_costs_no_fact(self, root, size):
        folder = root("killed", size)
        shutil.rmtree(one(folder, "header.bin").parent)
        await assert_served_whole_or_rebuilt(folder, size, must_notice=size == "large")

    @pytest.mark.parametrize("size", FACTS)
    @pytest.mark.parametrize("damage", [randomise, truncate, empty, remove])
    async def test_a_damaged_database_is_noticed(self, root, size, damage):
        folder = root("killed", size)
        damage(folder / PLACE.name / "chroma.sqlite3")
        await assert_served_whole_or_rebuilt(folder, size, must_notice=True)

    async def test_damaged_vectors_are_noticed(self, root):
        folder = root("killed", "small")
        database = folder / PLACE.name / "chroma.sqlite3"
        content, vector = database.read_bytes(), items(SMALL)[50][1].tobytes()
        assert vector in content
        database.write_bytes(content.replace(vector, os.urandom(len(vector))))
        await assert_served_whole_or_rebuilt(folder, "small", must_notice=True)

    async def test_an_older_graph_is_noticed(self, root, originals):
        folder = root("killed", "large")
        segment, older = one(folder, "header.bin").parent, one(originals / "older-large", "header.bin").parent
        for path in older.iterdir():
            shutil.copy(path, segment / path.name)
        await assert_served_whole_or_rebuilt(folder, "large", must_notice=False)


async def test_what_cannot_be_written_to_is_an_error_and_stays_as_it_is(root, tmp_path):
    folder = root("closed", "small")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    code = """
        import os
        place = Place(user_key="ada", generation="g1", dimension=32)
        warm = FolderIndex(sys.argv[2])
        await warm.rebuild(place, items(3), 1)
        await warm.close()
        if os.geteuid() == 0:
            os.setuid(65534)  # nothing is read-only to root
        index = FolderIndex(sys.argv[1])
        for call in (index.open(place), index.rebuild(place, items(3), 9), index.drop(place)):
            try:
                say(await call)
            except IndexFailed as error:
                say("refused", "Permission" in str(error) or "Read-only" in str(error))
        say(index.watermark(place))
        await index.close()
    """
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    for parent in list(folder.parents)[:3]:
        parent.chmod(0o755)
    try:
        assert processes.run(code, folder, tmp_path / "warm") == ["refused True"] * 3 + ["None"]
    finally:
        for path in [folder, *folder.rglob("*")]:
            path.chmod(0o755)
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
