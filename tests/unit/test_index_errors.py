"""What Chroma, its Rust side, SQLite, the network and the file system raise becomes `IndexFailed`."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import filelock
import httpx
import pytest
from chromadb import errors as chroma_errors

from semantic_memory.errors import IndexFailed, IndexLocked, InvalidInput, MemoryUnavailable
from semantic_memory.index import FolderIndex, Place
from semantic_memory.index.chroma import translated
from semantic_memory.index.collection import FactCollection
from tests.vectors import items, unit_vectors

PLACE = Place(user_key="ada", generation="g1", dimension=32)

# pyo3 makes the real one when Rust panics, and exports it nowhere.
PanicException = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})

FOREIGN = [
    *(kind("from chroma") for kind in chroma_errors.error_types.values() if kind is not chroma_errors.ChromaError),
    PanicException("called `Option::unwrap()` on a `None` value"),
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    sqlite3.OperationalError("disk I/O error"),
    OSError(28, "No space left on device"),
    PermissionError(13, "Permission denied"),
    ValueError("Could not connect to a Chroma server"),
    AttributeError("'RustBindingsAPI' object has no attribute 'bindings'"),
    ImportError("No module named 'chromadb'"),
    MemoryError(),
]


def test_the_list_names_every_error_that_chroma_has():
    known = {type(error) for error in FOREIGN}
    declared = {
        kind
        for kind in vars(chroma_errors).values()
        if isinstance(kind, type) and issubclass(kind, chroma_errors.ChromaError)
    }
    assert declared - known <= {chroma_errors.ChromaError, chroma_errors.InvalidHTTPVersion}


@pytest.mark.parametrize("error", FOREIGN, ids=lambda error: type(error).__name__)
def test_foreign_errors_are_translated_and_kept_as_the_cause(error):
    with pytest.raises(IndexFailed) as raised, translated("nearest"):
        raise error
    assert raised.value.__cause__ is error
    assert isinstance(raised.value, MemoryUnavailable)
    assert str(raised.value).startswith("nearest: ")
    assert str(error) in str(raised.value)


def test_a_taken_lock_is_its_own_error():
    with pytest.raises(IndexLocked), translated("open"):
        raise filelock.Timeout("x.lock")


@pytest.mark.parametrize("error", [InvalidInput("bad"), KeyboardInterrupt(), SystemExit(), GeneratorExit()])
def test_our_own_errors_and_the_interpreters_pass(error):
    with pytest.raises(type(error)) as raised, translated("apply"):
        raise error
    assert raised.value is error


@pytest.mark.parametrize("error", [PanicException("x"), RuntimeError("x")], ids=["panic", "error"])
@pytest.mark.parametrize(
    ("method", "verb"),
    [
        ("find", lambda index: index.open(Place(user_key="bob", generation="g1", dimension=32))),
        ("create", lambda index: index.rebuild(PLACE, items(3), 2)),
        ("apply", lambda index: index.apply(PLACE, upserts=[], deletes=[], revision=2)),
        ("_search", lambda index: index.nearest(PLACE, unit_vectors(1)[0], 1)),
        ("count", lambda index: index.count(PLACE)),
    ],
)
async def test_no_verb_lets_a_foreign_error_through(tmp_path, monkeypatch, error, method, verb):
    index = FolderIndex(tmp_path)
    await index.rebuild(PLACE, items(3), 1)
    await index.rebuild(Place(user_key="bob", generation="g1", dimension=32), items(3), 1)
    await index.close()
    index = FolderIndex(tmp_path)
    await index.open(PLACE)

    def fail(*_: object) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(FactCollection, method, fail)
        if method == "find":
            assert await verb(index) is None  # what can't be opened is set aside and built again
        else:
            with pytest.raises(IndexFailed):
                await verb(index)
    await index.rebuild(PLACE, items(4), 3)
    assert await index.count(PLACE) == 4
    await index.close()


async def test_a_search_that_fails_takes_the_revision_away(tmp_path):
    index = FolderIndex(tmp_path)
    await index.rebuild(PLACE, items(3), 1)
    with index._pool.reading(PLACE.name) as facts:
        facts._chroma.delete(ids=["fact-0", "fact-1"])  # behind the index's back
    with pytest.raises(IndexFailed, match="found 1 facts where there must be 3"):
        await index.nearest(PLACE, unit_vectors(1)[0], 3)
    assert index.watermark(PLACE) is None
    assert await index.open(PLACE) is None
    await index.rebuild(PLACE, items(3), 1)
    assert index.watermark(PLACE) == 1
    await index.close()


async def test_facts_that_chroma_loses_while_they_are_written_cost_the_revision(tmp_path):
    """Hundreds of equal vectors cut its graph into islands, in most graphs; nothing but a search tells."""
    index = FolderIndex(tmp_path)
    same = [(f"same-{n}", unit_vectors(1, seed=7)[0]) for n in range(1_500)]

    async def write() -> None:
        for _ in range(8):  # the graph is drawn by chance
            await index.rebuild(PLACE, [], 0)
            await index.apply(PLACE, upserts=same, deletes=[], revision=1)
            await index.apply(PLACE, upserts=items(500), deletes=[], revision=2, expected_count=2_000)

    with pytest.raises(IndexFailed, match="can't be found"):
        await write()
    assert index.watermark(PLACE) is None
    assert await index.open(PLACE) is None
    await index.close()


@pytest.mark.parametrize("seed", [0, 99], ids=["the same vectors", "others"])
async def test_no_fact_is_written_over(tmp_path, seed):
    """Of the openings that replay a queue in which some are, one in ten loses a fact."""
    rows, index = items(90), FolderIndex(tmp_path)
    before = list(zip([key for key, _ in rows], unit_vectors(60, seed=seed), strict=False))
    await index.rebuild(PLACE, before, 1)
    await index.apply(PLACE, upserts=rows, deletes=[], revision=2, expected_count=90)
    await index.apply(PLACE, upserts=rows[80:], deletes=["fact-3"], revision=3, expected_count=89)
    await index.apply(PLACE, upserts=[rows[3], rows[4]], deletes=[], revision=4, expected_count=90)
    for _ in range(10):
        await index.release(PLACE)
        await index.open(PLACE)
        found = [(await index.nearest(PLACE, vector, 1))[0].fact_id for _, vector in rows]
        assert found == [fact_id for fact_id, _ in rows]
    await index.close()
    for fact_id, kinds in operations(tmp_path).items():
        assert all(kind != later for kind, later in pairwise(kinds)), fact_id


def operations(root: Path) -> dict[str, list[int]]:
    """What Chroma's queue of a folder's only place tells of each fact, in its order."""
    (file,) = root.glob("*/chroma.sqlite3")
    found: dict[str, list[int]] = {}
    with closing(sqlite3.connect(file)) as database:
        for fact_id, kind in database.execute("SELECT id, operation FROM embeddings_queue ORDER BY seq_id"):
            found.setdefault(fact_id, []).append(kind)
    assert found
    return found
