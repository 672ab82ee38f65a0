"""Promise 4: a damaged index ends no process, gives no wrong answer, and is whole again after a repair."""

from __future__ import annotations

import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest

from semantic_memory import SemanticMemory, UserMemory
from semantic_memory.index import collection
from semantic_memory.testing import HashEmbeddingModel
from tests.trust.children import Child
from tests.trust.counts import count, note

FACTS = count(40, 200)
PERSISTED = count(150, 400)  # with a graph on disk, as a large collection has
SIZES = {"queue": (FACTS, False), "graph": (PERSISTED, True)}
STATES = count(["killed"], ["killed", "closed"])
ASKED = count(8, 60)


def open_memory(folder: Path) -> Any:
    return SemanticMemory.open(folder / "memory", embedding=HashEmbeddingModel())


def statements(size: int) -> list[str]:
    return [f"My colleague number {number} is called Ed{number}." for number in range(size)]


# ---- what is damaged: a memory that was closed, or whose process was killed, with a graph on disk or without --------


async def make(line: Connection, folder: Path, size: int, persist: bool, killed: bool) -> None:
    """A memory with corrections and deletions, and beside it an older copy of its index."""
    if persist:
        collection.NEVER = 100  # writes after which Chroma persists its graph, as it does in a large collection
    async with open_memory(folder) as memory:
        ada = memory.user("ada")
        facts = await ada.remember_all(statements(size))
        await memory.health(repair=True)
    shutil.copytree(folder / "memory" / "index", folder / "older")
    async with open_memory(folder) as memory:
        ada = memory.user("ada")
        await memory.health()
        await ada.correct(facts[0].id, "My colleague number zero is now called Jo.")
        await ada.forget(facts[1].id)
        await ada.remember_all([f"My friend number {number} is called Al{number}." for number in range(size // 4)])
        await memory.health(repair=True)
        if killed:
            line.send("written")
            line.recv()
    line.send("written")


@pytest.fixture(scope="module", params=count(["graph"], ["queue", "graph"]))
def originals(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    size, persist = SIZES[request.param]
    made = {}
    for state in STATES:
        made[state] = tmp_path_factory.mktemp(state)
        child = Child(make, made[state], size, persist, state == "killed")
        assert child.said() == "written"
        if state == "killed":
            child.kill()
        else:
            assert child.ended() == 0
        assert persist == any(made[state].rglob("memory/index/*/*/index_metadata.pickle"))
    return made


# ---- the kinds of damage -----------------------------------------------------------------------------


def files(folder: Path, name: str) -> list[Path]:
    return list((folder / "memory" / "index").rglob(name))


def on(name: str, damage: Callable[[Path], None]) -> Callable[[Path], None]:
    def work(folder: Path) -> None:
        for path in files(folder, name):
            damage(path)

    return work


def randomise(path: Path) -> None:
    path.write_bytes(os.urandom(path.stat().st_size))


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(os.urandom(16))


def no_segment(folder: Path) -> None:
    for path in files(folder, "header.bin"):
        shutil.rmtree(path.parent)


def put_back_an_older_copy(folder: Path) -> None:
    shutil.rmtree(folder / "memory" / "index")
    shutil.copytree(folder / "older", folder / "memory" / "index")


def an_older_database(folder: Path) -> None:
    for path in files(folder, "chroma.sqlite3"):
        for older in (folder / "older").rglob("chroma.sqlite3"):
            shutil.copy(older, path)


def swap_two_users(folder: Path) -> None:
    """The folder of one user under the name of another."""
    [first] = [path for path in (folder / "memory" / "index").iterdir() if not path.name.startswith(".")]
    shutil.copytree(first, first.with_name(f"{'0' * 32}-{'0' * 16}"))
    no_segment(folder)


def read_only(folder: Path) -> None:
    for path in [*files(folder, "*"), folder / "memory" / "index"]:
        path.chmod(0o555 if path.is_dir() else 0o444)


def a_file_in_its_place(folder: Path) -> None:
    shutil.rmtree(folder / "memory" / "index")
    (folder / "memory" / "index").write_text("not a folder")


DAMAGES: dict[str, Callable[[Path], None]] = {
    "random bytes in data_level0.bin": on("data_level0.bin", randomise),
    "random bytes in header.bin": on("header.bin", randomise),
    "random bytes in length.bin": on("length.bin", randomise),
    "random bytes in link_lists.bin": on("link_lists.bin", randomise),
    "random bytes in index_metadata.pickle": on("index_metadata.pickle", randomise),
    "data_level0.bin truncated": on("data_level0.bin", truncate),
    "sixteen bytes in chroma.sqlite3": on("chroma.sqlite3", flip),
    "random bytes in chroma.sqlite3": on("chroma.sqlite3", randomise),
    "chroma.sqlite3 truncated": on("chroma.sqlite3", truncate),
    "no chroma.sqlite3": on("chroma.sqlite3", Path.unlink),
    "no segment folder": no_segment,
    "an older copy put back": put_back_an_older_copy,
    "an older chroma.sqlite3": an_older_database,
    "a stranger's folder, and no segment": swap_two_users,
    "read-only": read_only,
    "a file in place of the index": a_file_in_its_place,
}


# ---- what happens then -------------------------------------------------------------------------------


async def examine(line: Connection, folder: Path, unprivileged: bool) -> None:
    """Recall in this very process, damaged and repaired; what was wrong, and who answered."""
    if unprivileged and os.geteuid() == 0:
        os.setuid(65534)  # nothing is read-only to root
    async with open_memory(folder) as memory:
        ada = memory.user("ada")
        first = await wrong(ada)
        await memory._rooms.workroom.drain()
        second = await wrong(ada)
        repaired = await memory.health(repair=True)
        third = await wrong(ada, everything=True)
        line.send((first, second, third, [one.what for one in repaired.findings]))


async def wrong(user: UserMemory, *, everything: bool = False) -> dict[str, Any]:
    """Facts that aren't found by their own words, and facts that are told though they are gone."""
    facts = await user.facts()
    active, asked = {fact.id for fact in facts}, facts if everything else facts[:: 1 + len(facts) // ASKED]
    missed, gone, by = 0, 0, Counter()  # type: ignore[var-annotated]
    for fact in asked:
        recall = await user.recall(fact.text, min_relevance=0.0, limit=5, max_tokens=10_000)
        told = [one.fact.id for one in recall.facts]
        missed, gone = missed + (fact.id not in told), gone + len(set(told) - active)
        by[recall.answered_by] += 1
    return {"asked": len(asked), "missed": missed, "gone": gone, "by": dict(by)}


TRIED: Counter[str] = Counter()


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_index_harms_nobody(originals: dict[str, Path], tmp_path: Path, state: str, damage: str) -> None:
    folder = Path(shutil.copytree(originals[state], tmp_path / "copy"))
    before = looks(folder)
    DAMAGES[damage](folder)
    if looks(folder) == before:
        pytest.skip("this memory has no such file, or none with anything in it")
    if damage == "read-only":
        opened_up(folder)
    began = time.monotonic()
    child = Child(examine, folder, damage == "read-only")
    first, second, third, findings = child.said()
    assert child.ended() == 0, "the host died"
    for seen in (first, second, third):
        assert (seen["missed"], seen["gone"]) == (0, 0)
    if damage == "read-only":
        assert third["by"] == {"ledger": third["asked"]}
    else:
        assert findings == []
        assert third["by"]["index"] >= 0.95 * third["asked"]  # a busy machine may be too slow for one
    TRIED[damage] += 1
    note(4, f"{damage} / {state}", **third, seconds=round(time.monotonic() - began, 1))


def looks(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below the index with its bytes and its mode."""
    index = folder / "memory" / "index"
    everything = [path for path in [index, *index.rglob("*")] if path.is_file()]
    return {str(path): (path.stat().st_mode, path.read_bytes()) for path in everything}


def opened_up(folder: Path) -> None:
    """Let anybody read the way there and write the ledger."""
    for parent in [folder, *folder.parents][:5]:
        parent.chmod(0o755)
    for path in [folder / "memory", *(folder / "memory").glob("ledger*")]:
        path.chmod(0o777)


def test_there_are_twelve_kinds_of_damage() -> None:
    assert len(DAMAGES) >= 12
