"""The embedded index: one Chroma folder per user and generation, a bounded number of them open."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from semantic_memory.errors import IndexFailed
from semantic_memory.facts import Neighbour
from semantic_memory.index.chroma import require_chroma
from semantic_memory.index.pool import Pool
from semantic_memory.index.protocol import NAME, Place, Vector
from semantic_memory.index.workers import Workers

if TYPE_CHECKING:
    from semantic_memory.index.collection import FactCollection

OPEN_FOLDERS = 24  # about 19 file handles, 7 threads and 2-5 MB each: 450 handles fit the usual limit of 1,024
LOOK_FOR_REQUESTS = 0.25  # seconds between two looks at what other processes want removed
LET_GO = 1.0  # seconds that `drop` waits for another owner


class FolderIndex:
    """`Index` in folders below `root`, each owned by one process at a time.

    At most `open_folders` are open: the least recently used is closed for another, one that is in use never
    is.
    """

    own_disk = True

    def __init__(self, root: str | Path, *, open_folders: int = OPEN_FOLDERS) -> None:
        self._root = Path(root).resolve()  # a later chdir, or a link that is moved, changes nothing
        self._workers = Workers()
        self._pool = Pool(self._root, open_folders, self._workers)
        self._closing = threading.Event()
        self._watch_lock = threading.Lock()
        self._watcher: threading.Thread | None = None

    async def resume(self) -> None:
        """Go on with removals that others began and did not finish; raises nothing."""
        with suppress(IndexFailed):
            if await self._workers.beside("resume", self._pool.locks.requests):
                self._honour_requests()  # at once: this memory may be open for a moment only
                self._watch()

    async def prepare(self) -> None:
        """Import Chroma, so that the first use isn't the one that waits; raises nothing."""
        with suppress(IndexFailed):
            await self._workers.beside("prepare", require_chroma)

    def watermark(self, place: Place) -> int | None:
        """The revision an open and healthy place is at; None otherwise. Does no I/O."""
        return self._pool.watermark(place.name) if self._workers.usable() else None

    async def open(self, place: Place) -> int | None:
        """Take ownership of the place and make it ready; None when it must be built (`rebuild`)."""

        def work() -> int | None:
            self._pool.own(place)
            return self._pool.watermark(place.name)

        self._watch()
        return await self._workers.alone(place.name, "open", work)

    async def apply(
        self,
        place: Place,
        *,
        upserts: Sequence[tuple[str, Vector]],
        deletes: Sequence[str],
        revision: int,
        expected_count: int | None = None,
    ) -> None:
        """Bring the place from its watermark to `revision`."""

        def work() -> None:
            self._built(place).apply(upserts, deletes, revision, expected_count)

        await self._workers.alone(place.name, "apply", work)

    async def rebuild(self, place: Place, items: Sequence[tuple[str, Vector]], revision: int) -> None:
        """Build the place anew in a folder beside, verify it, swap it in and remove the old one."""
        self._watch()
        await self._workers.alone(
            place.name,
            "rebuild",
            lambda: self._pool.rebuild(place, items, revision),
        )

    async def nearest(self, place: Place, vector: Vector, k: int) -> list[Neighbour]:
        """The `k` facts most similar to `vector`, most similar first; only of a place that is open."""

        def work() -> list[Neighbour]:
            with self._pool.reading(place.name) as facts:
                return facts.nearest(vector, k)

        return await self._workers.beside("nearest", work)

    async def count(self, place: Place) -> int:
        """How many facts the place holds."""
        return await self._workers.alone(place.name, "count", lambda: self._built(place).count())

    async def check(self, place: Place) -> list[str]:
        """What is wrong with the place, one line each; reads all of it."""

        def work() -> list[str]:
            owned = self._pool.own(place)
            found = [f"a leftover folder: {name}" for name in owned.folder.leftovers()]
            return found + (owned.facts.problems() + owned.facts.wear() if owned.facts else ["it is not built"])

        try:
            return await self._workers.alone(place.name, "check", work)
        except IndexFailed as error:
            return [str(error)]

    async def release(self, place: Place) -> None:
        """Close and seal the place's folder, and let others own it."""
        await self._workers.alone(place.name, "release", lambda: self._pool.let_go(place.name))

    async def drop(self, place: Place) -> bool:
        """Remove the place and every copy of it; False while another process owns it.

        The request is written first: whoever owns the place lets go of it, and if this process dies midway,
        the next one that uses the index finishes the removal.
        """
        await self._workers.beside("drop", lambda: self._pool.locks.request_drop(place.name))
        return await self._workers.alone(place.name, "drop", lambda: self._pool.drop(place.name, LET_GO))

    async def names(self) -> set[str]:
        """The places that have a folder, or a copy of one, below the root."""
        return await self._workers.beside("names", self._names)

    async def clear_the_way(self) -> None:
        """Set aside a file that stands where the folder should be."""

        def work() -> None:
            if self._root.is_file():
                self._root.rename(self._root.with_name(f"{self._root.name}.set-aside"))

        await self._workers.beside("clear the way", work)

    async def sweep(self, known: Iterable[Place]) -> list[str]:
        """Remove the places below the root that are none of `known` and that nobody owns; their names."""
        strange = sorted(await self.names() - {place.name for place in known} - self._pool.names())
        return [
            name for name in strange if await self._workers.alone(name, "sweep", partial(self._pool.drop, name, 0.0))
        ]

    async def close(self) -> None:
        """Finish the writes that were begun, close and seal every folder, give back threads and locks."""
        if not self._workers.usable():
            return
        self._closing.set()
        self._pool.close()
        names = self._pool.names() | self._workers.busy()
        await asyncio.gather(*(self._workers.alone(name, "close", partial(self._pool.let_go, name)) for name in names))
        self._workers.close()

    def _built(self, place: Place) -> FactCollection:
        facts = self._pool.own(place).facts
        if facts is None or facts.revision is None:
            raise IndexFailed("this index is not built: rebuild it")
        return facts

    def _names(self) -> set[str]:
        if not self._root.is_dir():
            return set()
        return {match[0] for path in self._root.iterdir() if (match := re.match(NAME, path.name))}

    def _watch(self) -> None:
        with self._watch_lock:
            if self._watcher is None:
                self._watcher = threading.Thread(
                    target=self._keep_honouring, name="semantic-memory-index-watch", daemon=True
                )
                self._watcher.start()

    def _keep_honouring(self) -> None:
        while not self._closing.wait(LOOK_FOR_REQUESTS):
            with suppress(IndexFailed):
                self._honour_requests()

    def _honour_requests(self) -> None:
        """Remove what other processes want removed, wherever this process owns it or nobody does."""
        for name in set(self._pool.locks.requests()) - self._workers.busy():
            self._workers.queue(name, "drop", partial(self._honour, name))

    def _honour(self, name: str) -> None:
        if self._pool.locks.drop_requested(name):  # by now somebody else may have honoured it
            self._pool.drop(name, 0.0)
