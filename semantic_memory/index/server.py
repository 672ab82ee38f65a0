"""The index on a `chroma run` server: one collection per user and generation, shared by every process."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from semantic_memory.errors import IndexFailed, IndexLocked
from semantic_memory.facts import Neighbour
from semantic_memory.index.chroma import connect_server, disconnect_server
from semantic_memory.index.leases import Lease
from semantic_memory.index.protocol import Place, Vector
from semantic_memory.index.workers import Workers

if TYPE_CHECKING:
    from chromadb.api.client import Client

    from semantic_memory.index.collection import FactCollection

KNOWN = 4_096  # places whose handle and revision are remembered
TIMEOUT = 5.0  # seconds a request may take
LET_GO = 1.0  # seconds that `drop` waits for another writer


class ServerIndex:
    """`Index` on a Chroma server. Every process reads and writes; of one place, one process at a time writes.

    The server has no authentication of its own: keep it on the loopback or behind a proxy (`headers`). Its
    disk is out of reach: `drop` deletes collections, and Chroma leaves bytes of them in its files.
    """

    def __init__(self, url: str, *, headers: Mapping[str, str] | None = None, timeout: float = TIMEOUT) -> None:
        self._url = url
        self._headers = dict(headers or {})
        self._timeout = timeout
        self._workers = Workers()
        self._mutex = threading.Lock()  # guards the two below
        self._connected: Client | None = None
        self._known: OrderedDict[str, FactCollection] = OrderedDict()

    own_disk = False

    async def resume(self) -> None:
        """Nothing: a server removes at once or not at all."""

    async def prepare(self) -> None:
        """Connect, so that the first use isn't the one that waits; raises nothing."""
        with suppress(IndexFailed):
            await self._workers.beside("prepare", self._client)

    def watermark(self, place: Place) -> int | None:
        """The revision that the place was at when this process last saw it; None otherwise. Does no I/O."""
        facts = self._known.get(place.name) if self._workers.usable() else None
        return facts.revision if facts else None

    async def open(self, place: Place) -> int | None:
        """Look up the place on the server; None when it must be built (`rebuild`).

        `IndexLocked` if it can't be searched and another process is writing it, which may be why.
        """
        return await self._workers.alone(place.name, "open", lambda: self._open(place))

    async def apply(
        self,
        place: Place,
        *,
        upserts: Sequence[tuple[str, Vector]],
        deletes: Sequence[str],
        revision: int,
        expected_count: int | None = None,
    ) -> None:
        """Bring the place from its watermark to `revision`.

        `IndexLocked` if another process is writing the place or has moved it since this one last saw it: the
        difference that was handed in is out of date, ask for the watermark again.
        """

        def work() -> None:
            seen = self.watermark(place)
            with Lease(self._client(), f"{place.name}.lock") as lease:
                facts = self._find(place)
                if facts is None or seen is None or facts.revision != seen:
                    self._look(place)
                    raise IndexLocked("this index was moved meanwhile: ask for its watermark again")
                self._remember(place, facts)  # first: what goes wrong shows in its revision
                facts.apply(upserts, deletes, revision, expected_count, lease.renew)

        await self._workers.alone(place.name, "apply", work)

    async def rebuild(self, place: Place, items: Sequence[tuple[str, Vector]], revision: int) -> None:
        """Build the place anew in a collection beside, verify it, and give it the name of the old one."""

        from semantic_memory.index.collection import FactCollection, checked

        def work() -> None:
            rows = checked(items, place.dimension)
            with Lease(self._client(), f"{place.name}.lock") as lease:
                self._delete(f"{place.name}.new")
                fresh = FactCollection.create(self._client(), f"{place.name}.new", place.dimension, len(rows))
                fresh.write(rows, lease.renew)
                fresh.approve(revision, expected_count=len(dict(rows)))
                self._delete(place.name)
                fresh.rename(place.name)
                self._remember(place, fresh)

        await self._workers.alone(place.name, "rebuild", work)

    async def nearest(self, place: Place, vector: Vector, k: int) -> list[Neighbour]:
        """The `k` facts most similar to `vector`, most similar first; only of a place that is open."""

        def work() -> list[Neighbour]:
            facts = self._known.get(place.name)
            if facts is None:
                raise IndexFailed("this index is not open")
            return facts.nearest(vector, k)

        return await self._workers.beside("nearest", work)

    async def count(self, place: Place) -> int:
        """How many facts the place holds."""

        def work() -> int:
            facts = self._find(place)
            if facts is None:
                raise IndexFailed("this index is not built: rebuild it")
            return facts.count()

        return await self._workers.beside("count", work)

    async def check(self, place: Place) -> list[str]:
        """What is wrong with the place, one line each; reads all of it."""

        def work() -> list[str]:
            facts = self._find(place)
            return facts.problems() + facts.wear() if facts else ["it is not built"]

        try:
            return await self._workers.alone(place.name, "check", work)
        except IndexFailed as error:
            return [str(error)]

    async def release(self, place: Place) -> None:
        """Nothing: a server's places belong to all."""

    async def drop(self, place: Place) -> bool:
        """Delete the collections of the place; False while another process is writing it."""

        def work() -> bool:
            with Lease(self._client(), f"{place.name}.lock"):
                self._delete(place.name)
                self._delete(f"{place.name}.new")
            with self._mutex:
                self._known.pop(place.name, None)
            return True

        deadline = time.monotonic() + LET_GO
        while time.monotonic() < deadline:
            with suppress(IndexLocked):
                return await self._workers.alone(place.name, "drop", work)
            await asyncio.sleep(0.05)
        return False

    async def names(self) -> set[str]:
        """None: a server's disk is out of reach."""
        return set()

    async def clear_the_way(self) -> None:
        """Nothing: nothing stands in a server's way."""

    async def sweep(self, known: Iterable[Place]) -> list[str]:
        """Nothing: a server may hold the places of other memories, and nothing tells them from lost ones."""
        return []

    async def close(self) -> None:
        """Finish the writes that were begun and give back threads and connections."""
        if not self._workers.usable():
            return
        await asyncio.gather(*(self._workers.alone(name, "close", lambda: None) for name in self._workers.busy()))
        self._workers.close()
        if self._connected is not None:
            disconnect_server(self._connected)

    def _client(self) -> Client:
        with self._mutex:
            if self._connected is None:
                self._connected = connect_server(self._url, self._headers, self._timeout)
            return self._connected

    def _open(self, place: Place) -> int | None:
        revision = self._look(place)
        if revision is None and self._find(place) is not None:
            # Between an upsert's rows and its graph, Chroma can't search a collection: nobody writes the next time.
            with Lease(self._client(), f"{place.name}.lock"):
                revision = self._look(place)
        return revision

    def _look(self, place: Place) -> int | None:
        """The revision of a place that can be searched, which is remembered; any other is forgotten."""
        facts = self._find(place)
        if facts is None or facts.revision is None or facts.canary():
            with self._mutex:
                self._known.pop(place.name, None)
            return None
        self._remember(place, facts)
        return facts.revision

    def _find(self, place: Place) -> FactCollection | None:
        from chromadb.errors import NotFoundError

        from semantic_memory.index.collection import FactCollection

        try:
            return FactCollection.find(self._client(), place.name, place.dimension)
        except NotFoundError:
            return None

    def _remember(self, place: Place, facts: FactCollection) -> None:
        with self._mutex:
            self._known[place.name] = facts
            self._known.move_to_end(place.name)
            if len(self._known) > KNOWN:
                self._known.popitem(last=False)

    def _delete(self, name: str) -> None:
        from chromadb.errors import NotFoundError

        with suppress(NotFoundError):
            self._client().delete_collection(name)
