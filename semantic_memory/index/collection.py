"""One Chroma collection: the active facts of one place, and the revision they are at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from semantic_memory.errors import IndexFailed, InvalidInput
from semantic_memory.facts import Neighbour
from semantic_memory.index.chroma import translated
from semantic_memory.index.protocol import Vector

if TYPE_CHECKING:
    from chromadb.api import ClientAPI
    from chromadb.api.models.Collection import Collection

T = TypeVar("T")

BATCH = 32  # an upsert holds the interpreter lock to its end, also while it waits for the disk
PAGE = 1_000  # rows read at once
SAMPLE = 64  # vectors that must find themselves before a collection is trusted
# Up to here everything stays in Chroma's SQLite queue and the graph is replayed at opening: a killed process
# never corrupted such a collection. Beyond, replaying takes long, and Chroma's default persists the graph.
REPLAYED = 3_000
NEVER = 10**9


class FactCollection:
    """Ids and vectors in one Chroma collection, with the revision in its metadata.

    The revision lives with the data, so that an old copy put back shows an old revision.
    """

    def __init__(self, chroma: Collection, dimension: int) -> None:
        self._chroma = chroma
        self._dimension = dimension
        metadata: dict[str, Any] = dict(chroma.metadata or {})
        self.revision: int | None = metadata.get("revision")
        self._written: int = metadata.get("written", 0)  # upserts and deletes since it was built
        self._size = 0  # facts in it when it was last opened or marked

    @classmethod
    def create(cls, client: ClientAPI, name: str, dimension: int, size: int) -> FactCollection:
        """An empty collection, laid out for about `size` facts."""
        graph: dict[str, Any] = {"space": "cosine"}
        if size <= REPLAYED:
            graph["sync_threshold"] = NEVER
        configuration: Any = {"hnsw": graph}
        chroma = client.create_collection(
            name, embedding_function=None, configuration=configuration, metadata={"written": 0}
        )
        return cls(chroma, dimension)

    @classmethod
    def find(cls, client: ClientAPI, name: str, dimension: int) -> FactCollection:
        """The collection as it is stored; Chroma's `NotFoundError` if there is none."""
        return cls(client.get_collection(name, embedding_function=None), dimension)

    def apply(
        self,
        upserts: Sequence[tuple[str, Vector]],
        deletes: Sequence[str],
        revision: int,
        expected_count: int | None,
        heed: Callable[[], None] = lambda: None,
    ) -> None:
        """Upserts, then deletes, then the revision; `heed` may raise between two batches to stop it.

        Raises `InvalidInput` before anything is written.
        """
        wanted = dict(checked(upserts, self._dimension))
        self._size = 0  # a search that runs meanwhile may find more or less
        self.write(self._missing(wanted, heed), heed)
        self._delete(deletes, heed)
        heed()
        gone = set(deletes)
        lost = self._unfound({key: vector for key, vector in wanted.items() if key not in gone})
        count = self.count()
        problems = [f"{lost} of the facts just written can't be found"] if lost else []
        if expected_count not in (None, count):
            problems.append(f"it holds {count} facts where {expected_count} are expected")
        if problems:
            self._mark(None, count)
            raise IndexFailed("the index must be rebuilt: " + "; ".join(problems))
        self._mark(revision, count)

    def write(self, items: Sequence[tuple[str, Vector]], heed: Callable[[], None] = lambda: None) -> None:
        """Insert or replace; the last vector of an id wins."""
        for batch in _batches(items, BATCH):
            heed()
            rows = dict(batch)
            self._chroma.upsert(ids=list(rows), embeddings=np.stack(list(rows.values())))
            self._written += len(rows)

    def approve(self, revision: int, expected_count: int) -> None:
        """Set the revision of a new build, if it holds what it should and its parts can be found."""
        problems, count = self.problems(), self.count()
        if count != expected_count:
            problems.append(f"it holds {count} facts where {expected_count} are expected")
        if problems:
            raise IndexFailed("the new index is unusable: " + "; ".join(problems))
        self._written = 0
        self._mark(revision, count)

    def rename(self, name: str) -> None:
        """Give the collection another name; handles in this and other processes stay with its content."""
        self._chroma.modify(name=name)

    def count(self) -> int:
        """How many facts are in it."""
        return self._chroma.count()

    def nearest(self, vector: Vector, k: int) -> list[Neighbour]:
        """The `k` most similar facts; similarity is the cosine, 1 - Chroma's distance.

        A search that fails, or finds fewer facts than there must be, takes the revision away in this process:
        Chroma may have lost the graph from its cache, or its files from under it.
        """
        row = checked_vector(vector, self._dimension)
        if k < 1:
            return []
        before = self._size
        try:
            found = self._search(row[np.newaxis], k)[0]
        except BaseException:
            self.revision = None
            raise
        if len(found) < (expected := min(k, before, self._size)):
            self.revision = None
            raise IndexFailed(f"a search found {len(found)} facts where there must be {expected}")
        return found

    def problems(self) -> list[str]:
        """What a look at every vector, and a search for a sample of them, finds wrong."""
        try:
            with translated("look"):
                return self._look()
        except IndexFailed as error:
            return [str(error)]

    def canary(self) -> list[str]:
        """What a search for one of its own vectors finds wrong; loads the graph on the way."""
        from chromadb.errors import InternalError, NotFoundError

        try:
            first = self._load()
            self._size = self.count()
            if not self._size or not len(first):  # empty a moment ago: another process is writing its first facts
                return []
            return ["its first vector can't be found by itself"] if self._lost(first) else []
        except (InternalError, NotFoundError) as error:
            return [f"it can't be searched: {error}"]

    def wear(self) -> list[str]:
        """Why it should be rebuilt though nothing is wrong: deletes never shrink a graph or its queue."""
        count = self.count()
        if self._written > 4 * count + PAGE:
            return [f"it was written {self._written} times for {count} facts: rebuild it"]
        return []

    def _missing(self, wanted: Mapping[str, Vector], heed: Callable[[], None]) -> list[tuple[str, Vector]]:
        """Those of the facts that aren't there with their vectors; any other vectors of them are gone by then.

        Whoever goes on after a kill begins with facts that are there already. Written over, they would be in
        Chroma's queue twice, and of the openings that replay such a queue one in ten gives a graph that has lost
        some fact; of those where every fact was written or deleted in turn, none (of 300).
        """
        there = self._vectors(list(wanted))
        same = {key for key, row in there.items() if np.allclose(row, wanted[key], atol=1e-6)}
        self._delete([key for key in there if key not in same], heed)
        return [(key, vector) for key, vector in wanted.items() if key not in same]

    def _vectors(self, ids: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The vectors of those of the facts that are in it."""
        found: dict[str, NDArray[Any]] = {}
        for batch in _batches(ids, PAGE):
            page = self._chroma.get(ids=batch, include=["embeddings"])
            found |= zip(page["ids"], np.asarray(page["embeddings"]), strict=True)
        return found

    def _delete(self, ids: Sequence[str], heed: Callable[[], None]) -> None:
        for batch in _batches(list(dict.fromkeys(ids)), BATCH):
            heed()
            self._chroma.delete(ids=batch)
            self._written += len(batch)

    def _mark(self, revision: int | None, size: int) -> None:
        metadata = {"written": self._written} | ({} if revision is None else {"revision": revision})
        self.revision = None
        self._chroma.modify(metadata=metadata)
        self._size = size
        self.revision = revision

    def _load(self) -> NDArray[np.float64]:
        """Its first vector, as a row. Asked for first because whatever comes first after opening loads the graph,
        and of all the calls only `get` and `query` release the interpreter's lock meanwhile."""
        return np.asarray(self._chroma.get(limit=1, include=["embeddings"])["embeddings"])

    def _look(self) -> list[str]:
        self._load()
        count, seen, sample = self.count(), 0, []
        for page in self._pages(count):
            if page.ndim != 2 or page.shape[1] != self._dimension or not _are_unit(page):
                return ["it holds vectors that are damaged, or not of this embedding model"]
            sample.append(page[:: max(1, count // SAMPLE)])
            seen += len(page)
        if seen != count:
            return [f"it counts {count} facts and gives {seen} vectors"]
        lost = self._lost(np.concatenate(sample)) if count else 0
        return [f"{lost} vectors of a sample can't be found by themselves"] if lost else []

    def _unfound(self, facts: Mapping[str, Vector]) -> int:
        """How many of the facts a search for them doesn't find: among hundreds that share one vector, Chroma's
        graph loses some without an error."""
        return self._lost(np.stack(list(facts.values()))) if facts else 0

    def _pages(self, count: int) -> Iterator[NDArray[np.float64]]:
        for offset in range(0, count, PAGE):
            page = self._chroma.get(limit=PAGE, offset=offset, include=["embeddings"])["embeddings"]
            yield np.asarray(page)

    def _lost(self, sample: NDArray[Any]) -> int:
        """How many of the vectors have no fact at their own position."""
        return sum(not found or found[0].similarity < 0.999 for found in self._search(sample, 1))

    def _search(self, vectors: NDArray[Any], k: int) -> list[list[Neighbour]]:
        answer = self._chroma.query(query_embeddings=vectors, n_results=k, include=["distances"])
        return [
            [Neighbour(fact_id, min(1.0, 1.0 - distance)) for fact_id, distance in zip(ids, distances, strict=True)]
            for ids, distances in zip(answer["ids"], answer["distances"] or [], strict=True)
        ]


def checked(items: Sequence[tuple[str, Vector]], dimension: int) -> list[tuple[str, Vector]]:
    """The items as Chroma can store them; `InvalidInput` says what is wrong with the first that can't be."""
    return [(_checked_id(fact_id), checked_vector(vector, dimension)) for fact_id, vector in items]


def checked_vector(vector: Vector, dimension: int) -> Vector:
    """The vector as float32 of shape (dimension,) and length 1."""
    row = np.asarray(vector, dtype=np.float32)
    if row.shape != (dimension,):
        raise InvalidInput(f"a vector of shape {row.shape} where ({dimension},) is expected")
    if not _are_unit(row[np.newaxis]):
        raise InvalidInput("a vector is not of length 1, or holds numbers that are not finite")
    return row


def _checked_id(fact_id: str) -> str:
    if not isinstance(fact_id, str) or not fact_id:
        raise InvalidInput(f"a fact id must be a string that isn't empty, not {fact_id!r}")
    return fact_id


def _are_unit(rows: NDArray[Any]) -> bool:
    with np.errstate(all="ignore"):
        return bool(np.all(np.abs(np.linalg.norm(rows, axis=1) - 1.0) < 1e-3))


def _batches(items: Sequence[T], size: int) -> Iterator[list[T]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
